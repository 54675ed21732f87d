"""What `python -m nas_agent` and its MCP server do: each command takes plain values and returns one JSON object.

Before `finalize` no answer holds a score on the test set, so that nobody can choose by it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from errors import DataError, TsrunError, UsageError
from experiments import config_file
from nas_agent import claims, proposals, runner
from nas_agent.files import load_history, load_metrics, replacing, run_dir, write_durably
from nas_agent.history import build_history_summary
from nas_agent.journal import happened
from nas_agent.records import MAX_RUNS, RunInfo, check_count
from nas_agent.study import COMPLETE, FAILED, PRUNED, STATUSES, Run, Study, opened, shown, view_of

Answer = dict[str, Any]
RECENT = 5
BOUNDS = ("max_runs", "max_seconds", "max_failures", "run_seconds")


def init(
    folder: Path,
    config: Path,
    *,
    max_runs: int = MAX_RUNS,
    max_seconds: float | None = None,
    max_failures: int | None = None,
    run_seconds: float | None = None,
) -> Answer:
    """Start a study in `folder` with a base configuration and budgets. UsageError if there is one already."""
    base = proposals.read_base(config)
    counts = {"max_runs": check_count(max_runs, "max_runs"), "max_failures": check_count(max_failures, "max_failures")}
    bounds: Answer = {**counts, "max_seconds": max_seconds, "run_seconds": run_seconds}
    with opened(view_of(folder)) as (journal, study):
        if "base" in study.settings:
            raise UsageError("there is a study already", where=str(folder), hint="another --study")
        _put(folder / "base.py", base)
        journal.write([happened("study", **bounds, base=base)], shown)
    return {"study": str(folder), **bounds, "base": base}


def _put(file: Path, config: Mapping[str, Any]) -> None:
    """Write a configuration file to run, under the lock of the study."""
    file.parent.mkdir(exist_ok=True)
    with replacing(file, locked=True) as part:
        write_durably(part, config_file.to_text(config).encode())


def status(folder: Path) -> Answer:
    """Budgets, counts, the best run, and what was repaired."""
    study = study_in(folder)
    now = time.time()
    counts = {name: sum(run.status == name for run in study.runs.values()) for name in STATUSES}
    answer = {
        "study": str(folder),
        "budget": {name: study.settings.get(name) for name in BOUNDS},
        "left": study.left(now),
        "stop": study.spent(now) or None,
        "counts": counts,
        "best": _best(study),
        "running": [_public(run) for run in study.runs.values() if run.ended is None],
        "repairs": study.repairs,
    }
    return answer | ({"final": study.final} if study.final is not None else {})


def look(folder: Path, k: int = RECENT) -> Answer:
    """What to read before a proposal: the last `k` runs, the best, budgets, the base and what may be changed."""
    study = study_in(folder)
    base, now = base_of(study, folder), time.time()
    return {
        "stop": study.spent(now) or None,
        "left": study.left(now),
        "best": _best(study),
        "recent": [_public(run) for run in study.done()[-k:]] if k > 0 else [],
        "retry": [run_id for run_id, run in study.runs.items() if run.retriable],
        "base": base,
        "space": proposals.space(base),
    }


def claim(folder: Path, proposal: Any, *, lease: float = claims.LEASE) -> Answer:
    """Reserve an id for a valid proposal, or (None) claim a lost run again; the answer has the path of its config."""
    made = _claim(folder, proposal, lease=lease, begun=False)
    return _claimed(folder, made)


def _claim(folder: Path, proposal: Any, *, lease: float, begun: bool) -> claims.Claim:
    view, study = view_of(folder), study_in(folder)
    if proposal is None:
        made = claims.reclaim(view, lease=lease, begun=begun)
        if made is None:
            raise UsageError("there is no lost run to retry", where="proposal", hint="give a proposal")
        return made
    base = base_of(study, folder)
    claims.check_budget(view, study)  # before the dry run of the proposal, which takes seconds
    config = proposals.checked(base, proposal, folder)

    def prepare(run_id: str) -> None:
        _put(config_of(folder, run_id), config)

    return claims.claim(view, proposal, lease=lease, begun=begun, prepare=prepare)


def config_of(folder: Path, run_id: str) -> Path:
    """The configuration of a claimed run."""
    return folder / "configs" / f"{run_id}.py"


def _claimed(folder: Path, made: claims.Claim) -> Answer:
    config, place = config_of(folder, made.run_id), run_dir(made.run_id, folder)
    return {"run_id": made.run_id, "attempt": made.attempt, "config": str(config), "directory": str(place)}


def run(folder: Path, proposal: Any = None, run_id: str | None = None, *, timeout: float | None = None) -> Answer:
    """Claim and run a proposal, or run the claimed or lost `run_id`, or (neither given) the first lost run.

    The run may take `timeout` seconds, and no more than the budgets of the study leave. A run that fails is recorded as
    failed with the reason: that is an answer, not an error.
    """
    if run_id is None:
        made = _claim(folder, proposal, lease=runner.LEASE, begun=True)
    elif proposal is not None:
        raise UsageError("a claimed run already has a proposal", where="run_id", hint="a proposal, or a run id")
    else:
        taken = claims.reclaim(view_of(folder), run_id, lease=runner.LEASE, begun=True)
        assert taken is not None
        made = taken
    return _run(folder, made, _seconds(study_in(folder), timeout))


def _seconds(study: Study, timeout: float | None) -> float | None:
    limits = [timeout, study.settings.get("run_seconds"), study.left(time.time())["seconds"]]
    return min((limit for limit in limits if limit is not None), default=None)


def _run(folder: Path, made: claims.Claim, timeout: float | None) -> Answer:
    view = view_of(folder)
    try:
        outcome = runner.execute(
            config_of(folder, made.run_id),
            made.run_id,
            folder,
            timeout=timeout,
            alive=lambda: claims.beat(view, made.run_id, made.attempt),
        )
    except BaseException as error:  # also Ctrl-C: the run is lost and may be retried
        stopped = f"stopped: {error.what if isinstance(error, TsrunError) else type(error).__name__}"
        claims.report(view, RunInfo(made.run_id), status=FAILED, attempt=made.attempt, reason=stopped, lost=True)
        raise
    if outcome.reason:
        claims.report(view, RunInfo(made.run_id), status=FAILED, attempt=made.attempt, reason=outcome.reason)
    else:
        _report_files(folder, made.run_id, made.attempt)
    return _answer(folder, made.run_id)


def _report_files(folder: Path, run_id: str, attempt: int | None) -> None:
    """Report what an experiment left in its directory; without a result the run has failed."""
    view, place = view_of(folder), run_dir(run_id, folder)
    try:
        metrics, history = load_metrics(place), load_history(place)
        info = RunInfo(run_id, metrics.get("val_mse"), metrics.get("test_mse"), build_history_summary(history))
    except DataError as error:
        claims.report(view, RunInfo(run_id), status=FAILED, attempt=attempt, reason=str(error))
        return
    if info.val_mse is None:
        claims.report(view, info, status=FAILED, attempt=attempt, reason="val_mse is not a finite number")
    else:
        claims.report(view, info, attempt=attempt)


def report(
    folder: Path,
    run_id: str,
    *,
    status: str = COMPLETE,
    attempt: int | None = None,
    metrics: Mapping[str, Any] | None = None,
    reason: str = "",
    alive: bool = False,
) -> Answer:
    """The report of an external runner on a run that it claimed: it is `alive`, or how it ended.

    `metrics` is `{val_mse, test_mse, history_summary}`, all but the first optional. Without it, a complete run is read
    from metrics.json and history.json in its directory.
    """
    study_in(folder)
    view = view_of(folder)
    if alive:
        claims.beat(view, run_id, attempt)
    elif status not in (COMPLETE, PRUNED, FAILED):
        raise UsageError(f"takes complete, pruned or failed, got {status!r}", where="status")
    elif status == COMPLETE and metrics is None:
        place = run_dir(run_id, folder)
        load_metrics(place)  # a runner that forgot to write gets an error, and may report again
        _report_files(folder, run_id, attempt)
    else:
        claims.report(view, _info(run_id, metrics or {}), status=status, attempt=attempt, reason=reason)
    return _answer(folder, run_id)


def _info(run_id: str, metrics: Mapping[str, Any]) -> RunInfo:
    known = ("val_mse", "test_mse", "history_summary")
    if not isinstance(metrics, Mapping) or any(key not in known for key in metrics):
        raise UsageError("not the metrics of a run", where="metrics", hint=f"a JSON object with {', '.join(known)}")
    return RunInfo(run_id, **metrics)


def curve(folder: Path, run_id: str) -> Answer:
    """The learning curve of a run: its history.json, and in words."""
    study = study_in(folder)
    claims.known(study, run_id)
    history = load_history(run_dir(run_id, folder))
    return {"run_id": run_id, "summary": build_history_summary(history), **history}


def study_in(folder: Path) -> Study:
    """The study in `folder`. UsageError if there is none."""
    if not view_of(folder).exists() and not (folder / "runs.jsonl").exists():
        raise UsageError("there is no study", where=str(folder), hint="python -m nas_agent init --config FILE ...")
    with opened(view_of(folder)) as (_, study):
        return study


def base_of(study: Study, folder: Path) -> dict[str, Any]:
    """The base configuration. UsageError if there is none: a state made by the library needs none."""
    if "base" not in study.settings:
        hint = "python -m nas_agent init --config FILE ... gives it one"
        raise UsageError("this study has no base configuration", where=str(folder), hint=hint)
    base: dict[str, Any] = study.settings["base"]
    return base


def _answer(folder: Path, run_id: str) -> Answer:
    study = study_in(folder)
    best = study.best
    return _public(claims.known(study, run_id)) | {"best_run_id": None if best is None else best.run_id}


def _best(study: Study) -> Answer | None:
    return None if study.best is None else _public(study.runs[study.best.run_id])


def _public(run: Run) -> Answer:
    """A run as an agent may see it: without scores on the test set."""
    taken = None if run.ended is None else round(run.ended - run.claimed, 1)
    answer = {key: value for key, value in run.info.items() if key != "test_mse"}
    answer |= {"status": run.status, "seconds": taken, "attempt": run.attempt, "proposal": run.proposal}
    return answer | ({"reason": run.reason} if run.reason else {})
