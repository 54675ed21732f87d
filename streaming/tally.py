"""Counts and times of a stream for the summary, and messages on stderr."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from errors import printable
from rundir import digits

MOST_REPORTED = 5  # malformed lines that are reported one by one
TIMED = 100_000  # the times in the summary are those of the last so many samples


def report(text: str) -> None:
    """Print a line on stderr. The stream continues if nobody reads stderr any more."""
    with suppress(OSError):
        os.write(2, f"{text}\n".encode(errors="replace"))


def is_number(value: Any) -> bool:
    """Whether a value of JSON is a number."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def short(value: float, deviation: float = 1.0) -> float:
    """A number that a model made in float32, with the digits it carries and no more.

    `deviation` is what the model's output was multiplied by: beside it a level may be large (see `rundir.digits`).
    """
    return float(f"{value:.{digits(np.array([value]), deviation)}g}")


@dataclass
class Tally:
    """Counts lines (or messages) and the seconds for each; `describe` gives the counts as text."""

    unit: str  # line or message
    thing: str = "sample"  # the times are for one of these
    taken: int = 0
    malformed: int = 0
    noted: int = 0
    spent: deque[float] = field(default_factory=lambda: deque(maxlen=TIMED))  # seconds
    describe: Callable[[], str] = str

    def refuse(self, number: int, reason: ValueError) -> None:
        """Count a malformed line, and report the first few. `number` is the line's, from 1."""
        self.malformed += 1
        if self.malformed <= MOST_REPORTED:
            report(f"warning: {self.unit} {number}: {printable(str(reason))}; left out")
        if self.malformed == MOST_REPORTED:
            report(f"warning: further malformed {self.unit}s are counted, not reported")

    def note(self, text: str) -> None:
        """Report what became of a message that is none of the malformed ones: the first few, then at every doubling."""
        self.noted += 1
        doublings, rest = divmod(self.noted, MOST_REPORTED)
        if self.noted <= MOST_REPORTED:
            report(f"warning: {text}")
        elif not rest and not doublings & (doublings - 1):
            report(f"warning: {text}; {self.noted} such warnings so far, {doublings * MOST_REPORTED // 2} not shown")

    def __str__(self) -> str:
        text = f"{self.describe()}; {self.malformed} malformed {self.unit}s"
        if not self.spent:
            return text
        half, most = 1e3 * np.quantile(list(self.spent), [0.5, 0.99])
        return f"{text}; {half:.3f} ms a {self.thing} in the median, {most:.3f} ms at 99 %"
