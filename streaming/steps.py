"""Sensors' messages, each with a time of its own, as steps of one length.

A step holds what was measured within it, of each sensor the last. It is closed once a message is newer than its end by
`wait` seconds, on the messages' own clock: a recording played at any speed gives the same steps. What comes for a
closed step is late, and counted.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

import numpy as np

from streaming.tally import is_number

LEAP = 100  # steps ahead of all others: one sensor's clock may be wrong, that of two is the time
NEARLY = 1e-6  # of a step: times such as 0.3 s are not whole multiples of 0.1 s in binary
MOST_SECONDS = 1e11  # beyond it a number is in milliseconds; and beyond those no time at all


@dataclass(frozen=True)
class Reading:
    """One sensor's message: seconds since 1970 (or any start that all share), and its values [d]."""

    sensor: str
    time: float
    values: np.ndarray


@dataclass(frozen=True)
class Step:
    """Step `number` since the clock's start, and what was measured in it."""

    number: int
    values: dict[str, np.ndarray]


def parse(message: bytes, sizes: Mapping[str, int]) -> Reading:
    """{"sensor": name, "time": ..., "values": [...]} of one of the sensors `sizes` {name: d}. ValueError: why not."""
    try:
        given = json.loads(message)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(given, dict) or not {"sensor", "time", "values"} <= given.keys():
        raise ValueError('is not {"sensor": ..., "time": ..., "values": [...]}')
    sensor, values = given["sensor"], given["values"]
    if not isinstance(sensor, str) or sensor not in sizes:
        raise ValueError(f"there is no sensor {str(sensor)[:40]!r}: {', '.join(sizes)}")
    if not isinstance(values, list) or len(values) != sizes[sensor]:
        count = len(values) if isinstance(values, list) else "no list of"
        raise ValueError(f"{sensor} has {sizes[sensor]} values, these are {count}")
    return Reading(sensor, seconds(given["time"]), _floats(sensor, values))


def _floats(sensor: str, values: list[Any]) -> np.ndarray:
    for place, value in enumerate(values):
        if not is_number(value):
            raise ValueError(f"values[{place}] of {sensor} is no number")
    try:
        with np.errstate(over="ignore"):
            found = np.array(values, np.float64).astype(np.float32)
    except OverflowError:
        raise ValueError(f"a value of {sensor} is too large") from None
    if not np.isfinite(found).all():
        raise ValueError(f"values[{int(np.argmin(np.isfinite(found)))}] of {sensor} is not finite")
    return found


def seconds(moment: Any) -> float:
    """A time as seconds: a number of them, of milliseconds since 1970, or ISO 8601 (without an offset: UTC)."""
    if isinstance(moment, str):
        try:
            stamp = datetime.fromisoformat(moment.removesuffix("Z") + "+00:00" if moment.endswith("Z") else moment)
            return (stamp if stamp.tzinfo else stamp.replace(tzinfo=timezone.utc)).timestamp()
        except (ValueError, OverflowError):
            raise ValueError(f"{moment[:40]!r} is no time") from None
    if not is_number(moment) or not abs(moment) < 1000 * MOST_SECONDS:
        raise ValueError('"time" is neither a text nor a number of seconds')
    return float(moment) / (1000 if abs(moment) >= MOST_SECONDS else 1)


class Aligner:
    """Readings in, closed steps out, in order. A step in which nobody spoke comes too, `hold` of them in a row."""

    def __init__(self, sensors: int, period: float, wait: float, hold: int) -> None:
        self.sensors, self.period, self.wait, self.hold = sensors, period, wait, hold
        self.open: dict[int, dict[str, Reading]] = {}
        self.next: int | None = None  # the first step that is not closed
        self.silent = 0  # steps closed in a row in which nobody spoke
        self.newest = -math.inf
        self.late = 0
        self._doubted: dict[str, int] = {}

    def number_of(self, time: float) -> int:
        """The step that a time lies in."""
        return math.floor(time / self.period + NEARLY)

    def take(self, reading: Reading) -> list[Step]:
        """The steps that this reading closes. ValueError where its clock cannot be believed."""
        number = self.number_of(reading.time)
        if self.next is None:
            self.next = number
        if number < self.next:
            self.late += 1
            return []
        self._doubt(reading.sensor, number)
        slot = self.open.setdefault(number, {})
        if reading.sensor not in slot or slot[reading.sensor].time <= reading.time:
            slot[reading.sensor] = reading
        self.newest = max(self.newest, reading.time)
        return self._close(self.number_of(self.newest - self.wait))

    def _doubt(self, sensor: str, number: int) -> None:
        """A leap is believed once another sensor has made it too; else it would make all that follows late."""
        ahead = number - max(self.open, default=self.next or 0)
        if ahead <= LEAP:
            self._doubted.clear()
            return
        self._doubted[sensor] = number
        agree = [one for one, there in self._doubted.items() if abs(there - number) <= LEAP]
        if len(agree) < min(2, self.sensors):
            raise ValueError(f"{sensor} is {ahead} steps ahead of all others")

    def end(self) -> list[Step]:
        """The steps that are still open."""
        return self._close(max(self.open, default=-1) + 1) if self.open else []

    def _close(self, until: int) -> list[Step]:
        """Close the steps before `until`."""
        steps = []
        assert self.next is not None
        while self.next < until:
            slot = self.open.pop(self.next, None)
            self.silent = 0 if slot else self.silent + 1
            if self.silent <= self.hold:
                said = {name: reading.values for name, reading in (slot or {}).items()}
                steps.append(Step(self.next, said))
                self.next += 1
            else:  # a long silence is passed over
                self.next = min([until, *self.open])
        return steps
