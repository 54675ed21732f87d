"""Ids of future runs: reserved under the lock, kept by signs of life, ended by a report."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from errors import ResourceError, UsageError, nearest
from nas_agent.journal import Event, happened
from nas_agent.records import AgentState, RunInfo, as_run_id
from nas_agent.study import (
    ATTEMPTS,
    COMPLETE,
    FAILED,
    PRUNED,
    RUNNING,
    Run,
    Study,
    begins,
    ended,
    opened,
    shown,
    view_of,
)

LEASE = 3600.0  # seconds that a claim lasts without a sign of life, by default


@dataclass(frozen=True)
class Claim:
    """A reserved id. `attempt` counts from 1; it is higher when earlier processes with this run were lost."""

    run_id: str
    attempt: int
    proposal: dict[str, Any] | None = None


def claim_run(where: str | os.PathLike[str] | AgentState | None = None, *, lease: float = LEASE) -> str:
    """Reserve the id of one run in a study (its folder, its agent_state.json, or a state loaded from it).

    Without a place it is the study that `load_agent_state()` finds.

    No other process gets the id, and all processes together get `max_runs`. A run whose process was lost (no report and
    no `beat` for `lease` seconds) has failed; its id is handed out again first, at most twice. `add_run` and
    `save_agent_state` with this id report the run.

    Raises
    ------
    ResourceError : the budget of the study is spent, or the disk is full.
    """
    remembered = vars(where)["memory"].view if isinstance(where, AgentState) and "memory" in vars(where) else None
    view = remembered or view_of(None if isinstance(where, AgentState) else where)
    return (reclaim(view, lease=lease) or claim(view, lease=lease)).run_id


def claim(
    view: Path,
    proposal: dict[str, Any] | None = None,
    *,
    lease: float = LEASE,
    begun: bool = False,
    prepare: Callable[[str], None] | None = None,
) -> Claim:
    """Reserve a new id for `proposal`; with `begun` the caller also runs it. Errors are those of `claim_run`.

    `prepare` is called with the id before it is reserved, under the lock.
    """
    with opened(view) as (journal, study):
        check_budget(view, study)
        made = Claim(study.next_id(), 1, proposal)
        if prepare is not None:
            prepare(made.run_id)
        journal.write([*begins(study), _claimed(made, lease, begun)], shown)
        return made


def reclaim(view: Path, run_id: str | None = None, *, lease: float = LEASE, begun: bool = False) -> Claim | None:
    """Claim a lost run again: `run_id`, or the first lost one; None if there is none.

    With `begun`, `run_id` may also be a claimed run that nobody has started yet. UsageError if it is neither.
    """
    with opened(view) as (journal, study):
        run = known(study, run_id) if run_id is not None else _first_lost(study)
        if run is None:
            return None
        if begun and run.status == RUNNING and not run.begun:
            journal.note(happened("beat", run_id=run.info.run_id, lease=lease, begun=True))
            return Claim(run.info.run_id, run.attempt, run.proposal)
        if not run.retriable:
            why = f"{run.info.run_id} is {run.status}" + (f" after {run.attempt} attempts" if run.lost else "")
            hint = f"only a run whose process was lost can be retried, {ATTEMPTS} attempts in all: propose a new run"
            raise UsageError(why, where="run_id", hint=hint)
        check_budget(view, study, again=True)
        made = Claim(run.info.run_id, run.attempt + 1, run.proposal)
        journal.write([_claimed(made, lease, begun)], shown)
        return made


def _claimed(made: Claim, lease: float, begun: bool) -> Event:
    content = {"run_id": made.run_id, "attempt": made.attempt, "lease": lease, "proposal": made.proposal}
    return happened("claimed", **content, begun=begun)


def check_budget(view: Path, study: Study, *, again: bool = False) -> None:
    """ResourceError if nothing may be claimed any more."""
    if reason := study.spent(time.time(), again=again):
        hint = "python -m nas_agent finalize confirms the best run"
        raise ResourceError(reason, where=str(view.parent), hint="" if study.closed else hint)


def _first_lost(study: Study) -> Run | None:
    return next((run for run in study.runs.values() if run.retriable), None)


def known(study: Study, run_id: str | int) -> Run:
    """The run with this id. UsageError if it was not claimed."""
    name = as_run_id(run_id)
    if name not in study.runs:
        raise UsageError(f"no run {name} is claimed", where="run_id", hint=nearest(name, study.runs))
    return study.runs[name]


def beat(view: Path, run_id: str, attempt: int | None = None) -> None:
    """Report that a claimed run is alive. UsageError if it is not running, or was claimed again since."""
    with opened(view) as (journal, study):
        run = _owned(study, run_id, attempt)
        journal.note(happened("beat", run_id=run.info.run_id, lease=run.lease, begun=True))


def report(
    view: Path,
    info: RunInfo,
    *,
    status: str = COMPLETE,
    attempt: int | None = None,
    reason: str = "",
    lost: bool = False,
) -> RunInfo:
    """End a claimed run. `accepted` is decided here, against all earlier runs. Only `complete` keeps its metrics.

    A stale run may still be reported until it is claimed again. UsageError if the run has ended, if `attempt` is not
    the current one, or if a complete run has no validation MSE.
    """
    if status == COMPLETE and info.val_mse is None:
        raise UsageError("a complete run needs a val_mse that is a number", where="val_mse", hint="or --status failed")
    with opened(view) as (journal, study):
        run = _owned(study, info.run_id, attempt, late=True)
        kept = (info.val_mse, info.test_mse) if status == COMPLETE else (None, None)
        better = status == COMPLETE and study.is_better(info.val_mse)
        made = RunInfo(run.info.run_id, *kept, info.history_summary, better)
        if status in (PRUNED, FAILED):
            made["history_summary"] = ": ".join(filter(None, [status, reason or info.history_summary]))
        journal.write([ended(made, status, reason=reason, lost=lost)], shown)
        return made


def _owned(study: Study, run_id: str | int, attempt: int | None, *, late: bool = False) -> Run:
    """The run, if it is running as `attempt`, or (`late`) was lost and not claimed again."""
    run = known(study, run_id)
    if attempt not in (None, run.attempt):
        hint = "it gave no sign of life for too long: drop this result"
        raise UsageError(f"{run.info.run_id} was claimed again, attempt {run.attempt}", where="run_id", hint=hint)
    if run.status != RUNNING and not (late and run.lost):
        raise UsageError(f"{run.info.run_id} has ended: {run.status}", where="run_id", hint="claim a new run")
    return run
