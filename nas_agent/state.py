"""agent_state.json for a script: load, add, save. Several processes may do so at once without losing a run."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from errors import UsageError
from nas_agent.journal import Event, happened
from nas_agent.records import AgentState, RunInfo, best_of, run_name, run_number
from nas_agent.study import COMPLETE, FAILED, RUNNING, Study, begins, ended, opened, shown, view_of

log = logging.getLogger("nas_agent")
State = AgentState | dict[str, Any]
Where = str | os.PathLike[str]


@dataclass
class _Memory:
    """A state as it was last read or written: what differs from it now was changed by this process."""

    view: Path | None = None
    max_runs: int | None = None
    seen: dict[str, dict[str, Any]] = field(default_factory=dict)
    undecided: set[str] = field(default_factory=set)  # runs whose `accepted` is decided under the lock


def _memory(state: State) -> _Memory:
    return vars(state).setdefault("memory", _Memory()) if isinstance(state, AgentState) else _Memory()


def _runs(state: State) -> list[RunInfo]:
    return [run if isinstance(run, RunInfo) else RunInfo.of(run) for run in state.get("runs", [])]


def load_agent_state(path: Where | None = None) -> AgentState:
    """The state in `path`, a study's folder or its agent_state.json; an empty one of 100 runs if there is none.

    Without `path` it is `./agent_state.json` if that is there, else the one in the folder `runs`.

    Raises
    ------
    DataError : the files are damaged.
    UsageError : the folder cannot be written (it holds the lock), or filelock is not installed.
    """
    view = view_of(path)
    with opened(view) as (_, study):
        return _remembered(AgentState(), study, view)


def _remembered(state: AgentState, study: Study, view: Path) -> AgentState:
    state.update(study.state())
    vars(state)["memory"] = _Memory(view, state.max_runs, {run.run_id: dict(run) for run in state.runs})
    return state


def add_run(state: State, run: RunInfo | Mapping[str, Any]) -> State:
    """Append a finished run to `state`, in place; `save_agent_state` writes it. Returns the state.

    A run whose id is taken gets the next free id, with a warning. By default `accepted` says whether the validation MSE
    is the best so far; saving decides it again with the runs of other processes.
    """
    info = run if isinstance(run, RunInfo) else RunInfo.of(run)
    before = _runs(state)
    taken = {other.run_id for other in before}
    if info.run_id in taken:
        _rename(info, taken)
    if info.accepted is None:
        best = best_of(before)
        info["accepted"] = info.val_mse is not None and (best is None or info.val_mse < best["val_mse"])
        _memory(state).undecided.add(info.run_id)
    state["runs"] = [*before, info]
    best = best_of(state["runs"])
    state["best_run_id"] = None if best is None else best.run_id
    return state


def _rename(info: RunInfo, taken: set[str]) -> None:
    numbers = [number for run_id in taken if (number := run_number(run_id)) is not None]
    free = run_name(max(numbers, default=-1) + 1)
    log.warning("warning: there is a run %s already; this one is now %s", info.run_id, free)
    info["run_id"] = free


def get_best_run(state: State) -> RunInfo | None:
    """The run with the lowest validation MSE; None if no run has one. Test scores play no part."""
    return best_of(_runs(state))


def get_recent_runs(state: State, k: int = 5) -> list[RunInfo]:
    """The last `k` runs, the latest last."""
    return _runs(state)[-k:] if k > 0 else []


def save_agent_state(state: State, path: Where | None = None) -> None:
    """Merge `state` into `path`: runs that others have saved meanwhile stay, and are in `state` afterwards.

    `path` is a study's folder or its agent_state.json (default: where the state was loaded from). A new run whose id
    was taken meanwhile gets the next free one, with a warning.

    Raises
    ------
    ResourceError : the disk is full; the old files are unchanged.
    DataError : the files are damaged.
    UsageError : it cannot be written there, or filelock is not installed.
    """
    if isinstance(path, Mapping):
        raise UsageError("save_agent_state takes the state first", hint="save_agent_state(state, path)")
    memory = _memory(state)
    view = memory.view if path is None else view_of(path)
    view = view_of(None) if view is None else view
    if view != memory.view:  # another study, of which nothing is known
        memory = _Memory(undecided=memory.undecided)
    mine = state if isinstance(state, AgentState) else AgentState.of(state, "the state")
    with opened(view) as (journal, study):
        events = _changes(mine, memory, study)
        if events or not view.exists():
            journal.write(events, shown)
        merged = _remembered(mine, Study.of(journal.events), view)
    if mine is not state:
        state.update(merged)


def _changes(state: AgentState, memory: _Memory, study: Study) -> list[Event]:
    """The events that make `study` hold what this process did; `study` goes along."""
    events = begins(study, state.max_runs)
    if not events and state.max_runs not in (memory.max_runs, study.settings.get("max_runs")):
        events.append(happened("study", max_runs=state.max_runs))
    for run in _runs(state):
        if dict(run) == memory.seen.get(run.run_id):
            continue
        known = study.runs.get(run.run_id)
        if known is not None and run == known.info and known.status != RUNNING:
            continue
        undecided = run.run_id in memory.undecided
        if known is not None and run.run_id not in memory.seen and known.status != RUNNING and not known.lost:
            _rename(run, set(study.runs))
        if undecided:
            run["accepted"] = study.is_better(run.val_mse)
        events.append(ended(run, FAILED if run.val_mse is None else COMPLETE))
        study.apply(events[-1])
    return events
