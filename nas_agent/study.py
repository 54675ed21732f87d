"""A study, built from its events: runs and their status, what is left of the budgets, the best run."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from errors import DataError
from metrics import clean_json
from nas_agent.files import RUNS, as_json, read_json
from nas_agent.journal import VIEW, Event, Journal, happened
from nas_agent.records import MAX_RUNS, AgentState, RunInfo, best_of, run_name, run_number

log = logging.getLogger("nas_agent")
RUNNING, COMPLETE, PRUNED, FAILED = STATUSES = ("running", "complete", "pruned", "failed")
ATTEMPTS = 3  # at one run whose process is lost


@dataclass
class Run:
    """One run: `beat` is the time of its last sign of life, `lease` the seconds without one that make it stale."""

    info: RunInfo
    status: str = COMPLETE
    attempt: int = 0
    claimed: float = 0.0
    beat: float = 0.0
    lease: float = 0.0
    begun: bool = False  # somebody is running it, not only planning to
    ended: float | None = None
    proposal: dict[str, Any] | None = None
    reason: str = ""  # why it failed
    lost: bool = False  # its process was lost: the configuration is not to blame

    @property
    def retriable(self) -> bool:
        """Whether the next claim retries this run."""
        return self.status == FAILED and self.lost and self.attempt < ATTEMPTS

    def stale(self, now: float) -> bool:
        """Whether there is no sign of life; one from the future was given before the clock was set back."""
        return self.status == RUNNING and abs(now - self.beat) > self.lease


@dataclass
class Study:
    """The state after all events. Times are seconds since 1970."""

    settings: dict[str, Any] = field(default_factory=dict)
    runs: dict[str, Run] = field(default_factory=dict)
    finished: dict[str, None] = field(default_factory=dict)  # ids in the order in which their runs ended
    failures: int = 0  # in a row
    started: float | None = None
    closed: str | None = None  # the run that finalize confirms
    final: dict[str, Any] | None = None
    repairs: list[Event] = field(default_factory=list)

    @classmethod
    def of(cls, events: Sequence[Event]) -> Study:
        study = cls()
        for event in events:
            study.apply(event)
        return study

    def apply(self, event: Event) -> None:
        """Apply one event. DataError for a kind that this version does not know."""
        kinds = {
            "study": self._set,
            "claimed": self._claimed,
            "beat": self._beat,
            "ended": self._ended,
            "closed": self._closed,
            "finalized": self._finalized,
            "repaired": self.repairs.append,
        }
        if event["event"] not in kinds:
            hint = "a newer version wrote it, or a person by hand"
            raise DataError(f"unknown event {event['event']!r}", where="runs.jsonl", hint=hint)
        try:
            kinds[event["event"]](event)
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"an event {event['event']!r} lacks {error}", where="runs.jsonl") from None

    def _set(self, event: Event) -> None:
        self.settings |= {key: value for key, value in event.items() if key not in ("event", "time")}

    def _claimed(self, event: Event) -> None:
        time_, run_id = event["time"], event["run_id"]
        self.runs[run_id] = Run(
            RunInfo(run_id),
            RUNNING,
            attempt=event["attempt"],
            claimed=time_,
            beat=time_,
            lease=event["lease"],
            begun=event["begun"],
            proposal=event["proposal"],
        )
        self.finished.pop(run_id, None)
        self.started = time_ if self.started is None else self.started

    def _beat(self, event: Event) -> None:
        run = self.runs[event["run_id"]]
        run.beat, run.lease, run.begun = event["time"], event["lease"], event["begun"]

    def _ended(self, event: Event) -> None:
        info = RunInfo.of(event["run"])
        run = self.runs.setdefault(info.run_id, Run(info, claimed=event["time"]))
        if info.run_id not in self.finished:
            self.failures = self.failures + 1 if event["status"] == FAILED else 0
        self.finished.setdefault(info.run_id)
        run.info, run.status, run.ended = info, event["status"], event["time"]
        run.reason, run.lost = event.get("reason", ""), event.get("lost", False)

    def _closed(self, event: Event) -> None:
        self.closed = event["best_run_id"]

    def _finalized(self, event: Event) -> None:
        self.final = event["result"]

    @property
    def best(self) -> RunInfo | None:
        return best_of(run.info for run in self.done())

    def done(self) -> list[Run]:
        """The runs that have ended, the latest last."""
        return [self.runs[run_id] for run_id in self.finished]

    def is_better(self, val_mse: float | None) -> bool:
        """Whether a run with this validation MSE is better than all before it."""
        return val_mse is not None and (self.best is None or val_mse < self.best["val_mse"])

    def next_id(self) -> str:
        """The first id above all ids so far."""
        numbers = [number for run_id in self.runs if (number := run_number(run_id)) is not None]
        return run_name(max(numbers, default=-1) + 1)

    def state(self) -> AgentState:
        """What agent_state.json shows: the runs that have ended."""
        best = self.best
        infos = [run.info for run in self.done()]
        most = self.settings.get("max_runs", None if self.settings or self.runs else MAX_RUNS)
        return AgentState(most, None if best is None else best.run_id, infos)

    def left(self, now: float) -> dict[str, float | None]:
        """What is left of each budget; None for a budget without a limit."""
        used = {
            "runs": len(self.runs),
            "seconds": 0.0 if self.started is None else round(max(now - self.started, 0.0), 1),
            "failures": self.failures,
        }
        bounds = {name: self.settings.get(f"max_{name}") for name in used}
        return {name: None if (most := bounds[name]) is None else max(0, most - used[name]) for name in used}

    def spent(self, now: float, *, again: bool = False) -> str:
        """Why no run may be claimed any more, or ""; with `again`, a run that is already counted."""
        if self.closed is not None:
            return f"the study is closed: finalize confirms {self.closed}"
        left, settings = self.left(now), self.settings
        if left["runs"] == 0 and not again:
            return f"all {settings['max_runs']} runs are claimed"
        if left["seconds"] == 0:
            return f"the {settings['max_seconds']:g} s of the study are used up"
        if left["failures"] == 0:
            return f"{self.failures} runs in a row failed"
        return ""


def ended(info: RunInfo, status: str, **more: Any) -> Event:
    """The event that a run ended; `more`: reason, lost."""
    return happened("ended", run=dict(info), status=status, **more)


def begins(study: Study, max_runs: int | None = MAX_RUNS) -> list[Event]:
    """The first event of a study that has none yet: its budget of runs."""
    return [] if study.settings or study.runs else [happened("study", max_runs=max_runs)]


def view_of(where: str | os.PathLike[str] | None) -> Path:
    """agent_state.json of a study's folder, or the JSON file itself; None: the one here, else the one in `runs`."""
    if where is None:
        return Path(VIEW) if Path(VIEW).is_file() else Path(RUNS) / VIEW
    path = Path(where)
    return path if path.suffix == ".json" and not path.is_dir() else path / VIEW


@contextlib.contextmanager
def opened(view: Path) -> Iterator[tuple[Journal, Study]]:
    """A study under its lock: stale runs have become failed, and agent_state.json matches runs.jsonl.

    A view without a journal (written by hand, or by an older version) becomes the start of the journal. Errors are
    those of `Journal.opened`.
    """
    with Journal.opened(view) as journal:
        events = [] if journal.events or not view.exists() else _adopted(view)
        study = Study.of([*journal.events, *events])
        events += [_lost(run) for run in study.runs.values() if run.stale(time.time())]
        differs = bool(journal.events) and _differs(view, study)
        if differs and (edits := _edits(view, journal.events)):
            what = f"{view} was changed by hand, or damaged; {journal.path.name} is what counts"
            log.warning("warning: %s, and the file is written anew without the change: %s", what, edits)
        if events or differs:
            journal.write(events, shown)
            study = Study.of(journal.events)
        yield journal, study


def shown(events: Sequence[Event]) -> AgentState:
    """The view that goes with these events."""
    return Study.of(events).state()


def _lost(run: Run) -> Event:
    reason = f"no sign of life for {run.lease:g} s"
    info = RunInfo(run.info.run_id, history_summary=f"failed: {reason}", accepted=False)
    return ended(info, FAILED, reason=reason, lost=True)


def _adopted(view: Path) -> list[Event]:
    state = AgentState.of(read_json(view), str(view))
    events = [happened("study", max_runs=state.max_runs)]
    return events + [ended(run, FAILED if run.val_mse is None else COMPLETE) for run in state.runs]


def _edits(view: Path, events: Sequence[Event]) -> str:
    """What was changed by hand in a view that is none of those that the events gave; "" if nothing was.

    A view that is behind is one of a process that was killed between journal and view, or was deleted.
    """
    if not view.exists():
        return ""
    try:
        found = json.loads(view.read_bytes())
        runs = {str(run["run_id"]): run for run in found.get("runs", [])}
    except (ValueError, AttributeError, KeyError, TypeError):
        return "it is no state any more"
    study, state = Study(), clean_json(dict(AgentState()))
    for event in events:
        study.apply(event)
        if event["event"] in ("study", "ended"):
            state = clean_json(dict(study.state()))
            if found == state:
                return ""
    known = {run["run_id"]: run for run in state["runs"]}
    parts = {
        "left out": [name for name in runs if name not in known],
        "put back": [name for name in known if name not in runs],
        "as it was": [name for name in runs if name in known and runs[name] != known[name]]
        + [key for key in ("max_runs", "best_run_id") if found.get(key) != state[key]],
    }
    return (
        "; ".join(f"{word}: {', '.join(names)}" for word, names in parts.items() if names) or "other keys, or an order"
    )


def _differs(view: Path, study: Study) -> bool:
    return not view.exists() or view.read_bytes() != as_json(study.state())
