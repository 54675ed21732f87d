"""What a stream came to, and what it says on the way."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np

TOLD = 5  # malformed lines that are told one by one
TIMED = 100_000  # samples, the last ones, that the summary's times speak of


def tell(text: str) -> None:
    """On stderr; a stream goes on where nobody reads that any more."""
    with suppress(OSError):
        os.write(2, f"{text}\n".encode(errors="replace"))


def is_number(value: Any) -> bool:
    """Whether a value of JSON is a number."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def short(value: float) -> float:
    """A float32 without the digits that a float64 adds to it."""
    return float(f"{value:.7g}")


@dataclass
class Tally:
    """Counts lines (or messages) and the seconds that each took; `describe` says what they were."""

    unit: str  # line or message
    thing: str = "sample"  # what the times are of
    taken: int = 0
    malformed: int = 0
    spent: deque[float] = field(default_factory=lambda: deque(maxlen=TIMED))  # seconds
    describe: Callable[[], str] = str

    def refuse(self, number: int, reason: ValueError) -> None:
        """Count what is malformed, and tell the first few."""
        self.malformed += 1
        if self.malformed <= TOLD:
            text = "".join(mark if mark.isprintable() else "?" for mark in str(reason))
            tell(f"warning: {self.unit} {number}: {text}; left out")
        if self.malformed == TOLD:
            tell(f"warning: further malformed {self.unit}s are counted, not told")

    def __str__(self) -> str:
        text = f"{self.describe()}; {self.malformed} malformed {self.unit}s"
        if not self.spent:
            return text
        half, most = 1e3 * np.quantile(list(self.spent), [0.5, 0.99])
        return f"{text}; {half:.3f} ms a {self.thing} in the median, {most:.3f} ms at 99 %"
