"""agent_state.json for a script: load, add, save. Several processes may do so at once, and nobody's run is dropped."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from errors import UsageError
from nas_agent.files import RUNS
from nas_agent.journal import Event, happened
from nas_agent.records import AgentState, RunInfo, best_of, run_name, run_number
from nas_agent.study import COMPLETE, FAILED, RUNNING, Study, ended, opened, shown, view_of

log = logging.getLogger("nas_agent")
State = AgentState | dict[str, Any]
Where = str | os.PathLike[str]


@dataclass
class _Memory:
    """What a state was when it was last read or written: what differs since is this process's doing."""

    view: Path | None = None
    max_runs: int | None = None
    seen: dict[str, dict[str, Any]] = field(default_factory=dict)
    undecided: set[str] = field(default_factory=set)  # runs whose `accepted` is still to be settled under the lock


def _memory(state: State) -> _Memory:
    return vars(state).setdefault("memory", _Memory()) if isinstance(state, AgentState) else _Memory()


def _runs(state: State) -> list[RunInfo]:
    return [run if isinstance(run, RunInfo) else RunInfo.of(run) for run in state.get("runs", [])]


def load_agent_state(path: Where = RUNS) -> AgentState:
    """The state in `path`, a study's folder or its agent_state.json; an empty one where there is none.

    Raises:
        DataError: what is there is damaged.
        UsageError: the folder cannot be written (the lock stands in it), or filelock is not installed.
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

    A run whose id another one has gets the next free id, and a warning says so. Where `accepted` is left out, it says
    whether the validation MSE is below that of every run before; saving settles it with the runs of other processes.
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
    log.warning("warning: another run is %s already; this one is now %s", info.run_id, free)
    info["run_id"] = free


def get_best_run(state: State) -> RunInfo | None:
    """The run with the lowest validation MSE; None where no run has one. Test figures play no part."""
    return best_of(_runs(state))


def get_recent_runs(state: State, k: int = 5) -> list[RunInfo]:
    """The last `k` runs, the latest last."""
    return _runs(state)[-k:] if k > 0 else []


def save_agent_state(state: State, path: Where | None = None) -> None:
    """Merge `state` into what `path` holds: runs that others have saved meanwhile stay, and are in `state` afterwards.

    `path` is a study's folder or its agent_state.json; left out, it is where the state was loaded from. A new run
    whose id was taken meanwhile gets the next free one, and a warning says so.

    Raises:
        ResourceError: the disk is full; what was there before still is, and nothing half written.
        DataError: what is there is damaged.
        UsageError: it cannot be written there, or filelock is not installed.
    """
    if isinstance(path, Mapping):
        raise UsageError("save_agent_state takes the state first", hint="save_agent_state(state, path)")
    memory = _memory(state)
    view = memory.view if path is None else view_of(path)
    view = view_of(RUNS) if view is None else view
    if view != memory.view:  # nothing is known of what stands there
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
    events: list[Event] = []
    if state.max_runs not in (memory.max_runs, study.settings.get("max_runs")):
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
