"""runs.jsonl: what happened in a study, one event per line, append-only. All other state is derived from it.

Every event is on the disk before the call that reports it returns. agent_state.json is a view of it, replaced as a
whole: reading that file needs no lock. A torn last line (the machine stopped during a write) is moved to
`runs.jsonl.torn`, and recorded as an event `repaired`.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from errors import DataError, ResourceError, UsageError
from nas_agent.files import as_json, replacing, write_durably, writing

log = logging.getLogger("nas_agent")
Event = dict[str, Any]
VIEW = "agent_state.json"
PATIENCE = 60.0  # seconds to wait for the lock; its holder only writes a few lines


def happened(event: str, **content: Any) -> Event:
    """An event with the current time."""
    return {"event": event, "time": time.time(), **content}


class Journal:
    """The events of one study, for the holder of its lock (`opened`); `view` is the path of agent_state.json."""

    def __init__(self, view: Path) -> None:
        self.view = view
        self.path = view.with_name("runs.jsonl" if view.name == VIEW else f"{view.stem}.runs.jsonl")
        self.events: list[Event] = []
        self._end = 0  # bytes of whole lines

    @classmethod
    @contextlib.contextmanager
    def opened(cls, view: Path) -> Iterator[Journal]:
        """The journal beside `view`, read and repaired, locked while the block runs.

        Raises
        ------
        ResourceError : the disk is full, or another process kept the lock for a minute.
        DataError : a line in the middle is damaged.
        UsageError : it cannot be written there, or filelock is not installed.
        """
        journal = cls(view)
        with writing(view):
            view.parent.mkdir(parents=True, exist_ok=True)
            with _locked(journal.path.with_name(f".{journal.path.name}.lock")):
                journal._read()
                yield journal

    def _read(self) -> None:
        data = self.path.read_bytes() if self.path.exists() else b""
        whole, _, rest = data.rpartition(b"\n")
        lines = whole.split(b"\n") if whole else []
        self.events = [_event(line, f"{self.path}:{number}") for number, line in enumerate(lines, 1)]
        self._end = len(data) - len(rest)
        if rest:
            self._repair(rest)

    def _repair(self, rest: bytes) -> None:
        """Move away what follows the last complete line: we hold the lock, so nobody is still writing it."""
        if _parsed(rest) is not None:  # only the line break is missing
            os.truncate(self.path, self._end)
            self._append([_event(rest, str(self.path))])
            return
        aside = self.path.with_name(f"{self.path.name}.torn")
        with aside.open("ab") as file:
            file.write(rest + b"\n")
            os.fsync(file.fileno())
        log.warning("warning: %s ended in a torn line of %d bytes; moved to %s", self.path, len(rest), aside.name)
        os.truncate(self.path, self._end)
        self._append([happened("repaired", bytes=len(rest), kept=aside.name)])

    def write(self, events: Sequence[Event], show: Callable[[Sequence[Event]], Mapping[str, Any]]) -> None:
        """Append `events` and replace the view by what `show` makes of all events.

        The view is on the disk, under another name, before the journal grows: if the disk is full, neither changes.
        """
        with replacing(self.view, locked=True) as part:
            write_durably(part, as_json(show([*self.events, *events])))
            self._append(events)

    def note(self, event: Event) -> None:
        """Append an event that no view shows."""
        self._append([event])

    def _append(self, events: Sequence[Event]) -> None:
        lines = (json.dumps(event, ensure_ascii=False, allow_nan=False) + "\n" for event in events)
        data = "".join(lines).encode("utf-8", "backslashreplace")  # half a character is in no file
        if not data:
            return
        file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        try:
            _write_all(file, data)
        except OSError:
            os.ftruncate(file, self._end)
            raise
        finally:
            os.close(file)
        self._end += len(data)
        self.events += events


def _write_all(file: int, data: bytes) -> None:
    while data:
        data = data[os.write(file, data) :]
    os.fsync(file)


def _parsed(line: bytes) -> Event | None:
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and isinstance(event.get("event"), str) else None


def _event(line: bytes, where: str) -> Event:
    event = _parsed(line)
    if event is None:
        hint = "a crash can only damage the last line; restore this one, or delete it"
        raise DataError("a damaged line", where=where, hint=hint)
    return event


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    try:
        import filelock
    except ImportError:
        raise UsageError("filelock is not installed", hint="pip install -r requirements-agent.txt") from None
    try:
        with filelock.FileLock(path, timeout=PATIENCE, poll_interval=0.01):
            yield
    except filelock.Timeout:
        raise ResourceError(f"another process has held the lock for over {PATIENCE:.0f} s", where=str(path)) from None
