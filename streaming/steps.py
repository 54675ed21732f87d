"""Messages of several sensors, each with its own time, as steps of one length.

A step holds the last values that each sensor measured within it. It is closed once a message is newer than its end by
`wait` seconds, by the times in the messages: a recording played at any speed gives the same steps. A message for a
closed step is late; it is counted and dropped.
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

LEAP = 100  # steps ahead of all others: the clock of one sensor may be wrong, two are believed
NEARLY = 1e-6  # of a step: in binary, times such as 0.3 s are not exact multiples of 0.1 s
MOST_SECONDS = 1e11  # a larger number is in milliseconds; 1000 times more is not a time


@dataclass(frozen=True)
class Reading:
    """A message of one sensor: seconds since 1970 (or any common start), and the sensor's values float32 [d]."""

    sensor: str
    time: float
    values: np.ndarray


@dataclass(frozen=True)
class Step:
    """Step `number` since second 0, and the values [d] of each sensor that was measured in it."""

    number: int
    values: dict[str, np.ndarray]


def parse(message: bytes, sizes: Mapping[str, int]) -> Reading:
    """{"sensor": name, "time": ..., "values": [...]} of a sensor in `sizes` {name: d}. ValueError with the reason."""
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
    for position, value in enumerate(values):
        if not is_number(value):
            raise ValueError(f"values[{position}] of {sensor} is not a number")
    try:
        with np.errstate(over="ignore"):
            found = np.array(values, np.float64).astype(np.float32)
    except OverflowError:
        raise ValueError(f"a value of {sensor} is too large") from None
    if not np.isfinite(found).all():
        raise ValueError(f"values[{int(np.argmin(np.isfinite(found)))}] of {sensor} is not finite")
    return found


def seconds(moment: Any) -> float:
    """A time as seconds: from seconds, from milliseconds since 1970, or from ISO 8601 (without an offset: UTC)."""
    if isinstance(moment, str):
        try:
            stamp = datetime.fromisoformat(moment.removesuffix("Z") + "+00:00" if moment.endswith("Z") else moment)
            return (stamp if stamp.tzinfo else stamp.replace(tzinfo=timezone.utc)).timestamp()
        except (ValueError, OverflowError):
            raise ValueError(f"{moment[:40]!r} is not a time") from None
    if not is_number(moment) or not abs(moment) < 1000 * MOST_SECONDS:
        raise ValueError('"time" is neither a text nor a number of seconds')
    return float(moment) / (1000 if abs(moment) >= MOST_SECONDS else 1)


class Aligner:
    """Readings in, closed steps out, in order. Steps without any message come too, up to `hold` of them in a row."""

    def __init__(self, sensors: int, period: float, wait: float, hold: int) -> None:
        self.sensors, self.period, self.wait, self.hold = sensors, period, wait, hold
        self.open: dict[int, dict[str, Reading]] = {}
        self.next: int | None = None  # the first step that is not closed
        self.silent = 0  # steps without a message that were closed in a row
        self.newest = -math.inf
        self.late = 0
        self._doubted: dict[str, int] = {}

    def number_of(self, time: float) -> int:
        """The number of the step that a time is in."""
        return math.floor(time / self.period + NEARLY)

    def take(self, reading: Reading) -> list[Step]:
        """The steps that this reading closes. ValueError where its time is too far ahead of all others."""
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
        """Refuse a leap ahead until a second sensor confirms it: it would make all further messages late."""
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
                values = {name: reading.values for name, reading in (slot or {}).items()}
                steps.append(Step(self.next, values))
                self.next += 1
            else:  # a long silence is skipped
                self.next = min([until, *self.open])
        return steps
