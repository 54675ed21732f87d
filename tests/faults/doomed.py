"""A command that a signal meets while it does a certain thing: `python doomed.py PLACE CALL SIGNAL ENTRY WORDS...`.

The signal comes from the process itself, at the CALL-th function call (of Python's or of C's) that it makes while it is
at PLACE: no waiting, and the same moment each time. With PLACE `nowhere` it goes to its end, and writes to the file
SIGNAL how many calls it makes at each place; without a PLACE it goes to its end as it is. A SIGNAL that is none is a
folder that vanishes then.
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

# The functions within which a command is at a place.
PLACES = {
    "load": ("dataset.py", {"load"}),
    "cache": ("readers/cache.py", {"store"}),
    "train": ("trainer.py", {"run"}),
    "checkpoint": ("checkpoint.py", {"save"}),
    "judge": ("evaler.py", {"summary", "judge", "score"}),
    "artifacts": ("evaler.py", {"write", "describe", "write_history"}),
    "plots": ("evaler.py", {"draw"}),
    "commit": ("rundir.py", {"commit"}),
    "queue": ("studies/queue.py", {"take", "done", "failed"}),
    "search": ("studies/searcher.py", {"_listen", "_start"}),
}


class Watch:
    """Counts the calls at each place, and sends the signal."""

    def __init__(self, place: str, call: int, name: str) -> None:
        self.place, self.call, self.name = place, call, name
        self.calls = dict.fromkeys(PLACES, 0)
        self.inside = dict.fromkeys(PLACES, 0)
        self.there: list[str] = []  # where it is, which is asked at each call
        self.at: dict[Any, str] = {}

    def _place(self, frame: FrameType) -> str:
        code = frame.f_code
        if code not in self.at:
            own = (name for name, (file, names) in PLACES.items() if self._is(code, file, names))
            self.at[code] = next(own, "")
        return self.at[code]

    @staticmethod
    def _is(code: Any, file: str, names: set[str]) -> bool:
        return code.co_name in names and code.co_filename.endswith("/" + file) and "/.venv/" not in code.co_filename

    def __call__(self, frame: FrameType, event: str, _: Any) -> None:
        if event in ("call", "return") and (place := self._place(frame)):
            self.inside[place] += 1 if event == "call" else -1
            self.there = [place for place, depth in self.inside.items() if depth > 0]
        if self.there and event in ("call", "c_call"):
            for place in self.there:
                self.calls[place] += 1
            if self.place in self.there and self.calls[self.place] == self.call:
                sys.setprofile(None)
                self.act()

    def act(self) -> None:
        if self.name in signal.Signals.__members__:
            os.kill(os.getpid(), signal.Signals[self.name])
        else:
            shutil.rmtree(Path(self.name).absolute())


def quick() -> None:
    """Pictures are blank, and the cache takes small and young files."""
    from readers import cache
    from tests import pictures

    pictures.paint(wanted=False)
    cache.LEAST_BYTES = cache.RACY_NS = 0


def main(place: str, call: str, number: str, entry: str, *words: str) -> int:
    """Run ENTRY's main(WORDS); returns its exit code."""
    quick()
    command = importlib.import_module(entry)
    if not place:
        return int(command.main(list(words)))
    watch = Watch(place, int(call), number)
    sys.setprofile(watch)
    code = int(command.main(list(words)))
    sys.setprofile(None)
    if place == "nowhere":
        Path(number).write_text(json.dumps(watch.calls))
    return code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
