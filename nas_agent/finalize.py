"""The end of a study: its best configuration over three seeds, and only then the test set."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

from errors import TsrunError, UsageError
from experiments import config_file
from nas_agent import proposals, runner
from nas_agent.commands import base_of, study_in
from nas_agent.files import load_metrics, run_dir, write_whole
from nas_agent.journal import happened
from nas_agent.study import Run, opened, shown, view_of

SEEDS = 3
FIGURES = ("val_mse", "test_mse")


def finalize(folder: Path, *, timeout: float | None = None) -> dict[str, Any]:
    """Run the best configuration with three seeds (`final_0` to `final_2`); returns validation and test MSE.

    This closes the study: nothing can be claimed any more. After an interruption, repeat the command: it continues
    where it stopped, and only repeats the answer once everything is done. A run may take `timeout` seconds.

    Raises
    ------
    UsageError : no run is complete, or the best has no proposal.
    TsrunError : one of the three failed; has the exit code of that run.
    """
    study = study_in(folder)
    if study.final is not None:
        return study.final
    base, run = base_of(study, folder), _closed(folder)
    config = proposals.merged(base, run.proposal)
    runs = [_confirmed(folder, f"final_{k}", config | {"seed": config["seed"] + k}, timeout) for k in range(SEEDS)]
    result = {"best_run_id": run.info.run_id, "searched_val_mse": run.info.val_mse, "config": config, **_summary(runs)}
    with opened(view_of(folder)) as (journal, _):
        journal.write([happened("finalized", result=result)], shown)
    return result


def _closed(folder: Path) -> Run:
    """Close the study; returns the best run."""
    with opened(view_of(folder)) as (journal, study):
        if study.closed is not None:
            return study.runs[study.closed]
        if study.best is None:
            raise UsageError("no run is complete: there is nothing to confirm", where=str(folder))
        run = study.runs[study.best.run_id]
        if run.proposal is None:
            what = f"{run.info.run_id} was not proposed here, so its configuration is unknown"
            raise UsageError(what, where=str(folder))
        journal.write([happened("closed", best_run_id=run.info.run_id)], shown)
        return run


def _confirmed(folder: Path, tag: str, config: dict[str, Any], timeout: float | None) -> dict[str, Any]:
    """The metrics of one final run, trained now unless it exists."""
    file, place = folder / "configs" / f"{tag}.py", run_dir(tag, folder)
    text = config_file.to_text(config).encode()
    if not (place / "metrics.json").is_file() or not file.is_file() or file.read_bytes() != text:
        write_whole(file, text)
        outcome = runner.execute(file, tag, folder, timeout=timeout, alive=lambda: None)
        if outcome.reason:
            error = TsrunError(outcome.reason, where=tag, hint="repeat finalize: finished runs are kept")
            error.exit_code = 6 if outcome.code is None else max(outcome.code, 1)
            raise error
    return {"tag": tag, "seed": config["seed"], **load_metrics(place)}


def _summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean and spread (the sample's standard deviation) over the seeds, beside the references."""
    spread = {
        name: {
            "mean": statistics.fmean(run[name] for run in runs),
            "sd": statistics.stdev(run[name] for run in runs),
        }
        for name in FIGURES
    }
    short = [{key: run[key] for key in ("tag", "seed", *FIGURES)} for run in runs]
    return {**spread, "references": runs[0].get("references"), "runs": short}
