"""Messages of several sensors, each with its own time, as steps of one length.

A step holds the last values that each sensor measured within it. It is closed once a message is newer than its end by
`wait` seconds, by the times in the messages: a recording played at any speed gives the same steps. A message for a
closed step is late; it is counted, reported and dropped.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

import numpy as np

from readers.missing import is_known
from streaming.tally import is_number

MOST_DOUBTED = 100  # readings that wait for others to agree
NEARLY = 1e-6  # of a step: in binary, times such as 0.3 s are not exact multiples of 0.1 s
SHAPE = 'is not {"sensor": ..., "time": ..., "values": [...]}'
MOST_SECONDS = 1e11  # a larger number is in milliseconds; 1000 times more is not a time


@dataclass(frozen=True, eq=False)
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
    except json.JSONDecodeError as error:
        raise ValueError(f"{SHAPE}: {error}") from None
    if not isinstance(given, dict) or not {"sensor", "time", "values"} <= given.keys():
        raise ValueError(SHAPE)
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
    if not (known := is_known(found)).all():
        raise ValueError(f"values[{int(np.argmin(known))}] of {sensor} is not finite")
    return found


def seconds(moment: Any) -> float:
    """A time as seconds: from seconds, from milliseconds since 1970, or from ISO 8601 (without an offset: UTC)."""
    if isinstance(moment, str):
        try:
            stamp = datetime.fromisoformat(moment.removesuffix("Z") + "+00:00" if moment.endswith("Z") else moment)
            return (stamp if stamp.tzinfo else stamp.replace(tzinfo=timezone.utc)).timestamp()
        except (ValueError, OverflowError):
            raise ValueError(f"{moment[:40]!r} is not a time: seconds since 1970, or ISO 8601") from None
    if not is_number(moment) or not abs(moment) < 1000 * MOST_SECONDS:
        raise ValueError('"time" is neither a text nor a number of seconds')
    return float(moment) / (1000 if abs(moment) >= MOST_SECONDS else 1)


class Aligner:
    """Readings in, closed steps out, in order. Steps without any message come too, up to `hold` of them in a row.

    A reading that is more than `reach` steps ahead of the newest, or as far behind, waits for another that agrees: the
    clock of one sensor may be wrong, two are believed. The next reading in its place contradicts it, and it is left
    out. So the clocks may leap, or be set back, and a wrong one costs its own message, also the first of all.

    Parameters
    ----------
    sensors : how many send.
    period : seconds of a step.
    wait : seconds that a message may come late.
    hold : steps that a sensor may be silent.
    """

    def __init__(self, sensors: int, period: float, wait: float, hold: int) -> None:
        self.sensors, self.period, self.wait, self.hold = sensors, period, wait, hold
        self.reach = hold + 1 + math.ceil(wait / period)  # steps by which the sensors may differ
        self.open: dict[int, dict[str, Reading]] = {}
        self.next: int | None = None  # the first step that is not closed
        self.fresh = True  # no step is closed since the clocks were first believed, or were set back
        self.silent = 0  # steps without a message that were closed in a row
        self.newest = -math.inf
        self.late = self.ahead = 0
        self.told: list[str] = []  # what happened to readings and clocks since this was last emptied
        self._doubted: list[Reading] = []

    def number_of(self, time: float) -> int:
        """The number of the step that a time is in."""
        return math.floor(time / self.period + NEARLY)

    def take(self, reading: Reading) -> list[Step]:
        """The steps that this reading closes."""
        number = self.number_of(reading.time)
        if self.fresh and self.next is not None and self.number_of(self.newest - self.wait) <= number < self.next:
            self.next = number  # the first messages came in another order
        if self.next is None or not self.next - self.reach <= number <= self._top() + self.reach:
            return self._doubt(reading)
        self._leave_out_doubted()
        if number < self.next:
            self._leave_out(reading)
            return []
        return self._accept([reading])

    def _top(self) -> int:
        """The newest step."""
        assert self.next is not None
        return max(self.open, default=self.next - 1)

    def _accept(self, readings: list[Reading]) -> list[Step]:
        for reading in readings:
            slot = self.open.setdefault(self.number_of(reading.time), {})
            if reading.sensor not in slot or slot[reading.sensor].time <= reading.time:
                slot[reading.sensor] = reading
            self.newest = max(self.newest, reading.time)
        return self._close(self.number_of(self.newest - self.wait))

    def _doubt(self, reading: Reading) -> list[Step]:
        """Keep a reading until others agree with it: then the clocks are believed, and it closes the steps before."""
        self._doubted.append(reading)
        agree = self._agreeing(reading)
        by_steps = self.next is None or self.sensors == 1  # then one sensor is its own witness, in another step
        witnesses = len({one.sensor for one in agree})
        if by_steps:
            witnesses = max(witnesses, len({self.number_of(one.time) for one in agree}))
        if witnesses < 2:
            if len(self._doubted) > MOST_DOUBTED:
                self._leave_out(self._doubted.pop(0))
            return []
        self._doubted = [one for one in self._doubted if one not in agree]
        self._leave_out_doubted()
        return self._believe(agree)

    def _agreeing(self, reading: Reading) -> list[Reading]:
        """The most readings that may be right if this one is: all near each other, none later by the sensor's clock."""
        number = self.number_of(reading.time)
        later = [one for one in self._doubted if one.sensor == reading.sensor and one.time > reading.time]
        at = [(self.number_of(one.time), one) for one in self._doubted if one not in later]
        begins = sorted({begin for begin, _ in at if number - self.reach <= begin <= number})
        groups = [[one for n, one in at if begin <= n <= begin + self.reach] for begin in begins]
        return max(groups, key=len)  # the earliest of equals

    def _believe(self, agree: list[Reading]) -> list[Step]:
        """Go on where several readings agree to be."""
        first, steps = min(self.number_of(one.time) for one in agree), []
        if self.next is not None:
            by = first - self._top()
            where = f"{by} steps ahead" if by > 0 else f"set back by {1 - by} steps"
            self.told.append(f"the clocks of the sensors are {where}: a new window begins")
        if self.next is None or first < self.next:
            steps = self.end()
            self.next, self.fresh, self.silent, self.newest = first, True, 0, -math.inf
        return steps + self._accept(agree)

    def _leave_out_doubted(self) -> None:
        for reading in self._doubted:
            self._leave_out(reading)
        self._doubted = []

    def _leave_out(self, reading: Reading) -> None:
        """Count a reading that is dropped, and say so."""
        what, number = f"{reading.sensor} at {reading.time:.15g} s", self.number_of(reading.time)
        if self.next is None or number >= self.next:
            self.ahead += 1
            by = f"{number - self._top()} steps ahead of" if self.next is not None else "far from"
            self.told.append(f"{what} is {by} all others; left out")
        else:
            self.late += 1
            self.told.append(f"{what} is {self.next - number} steps late; left out")

    def end(self) -> list[Step]:
        """The steps that are still open."""
        steps = []
        if self.next is None and self._doubted:  # a short stream: the most that agree are believed
            most = max((self._agreeing(one) for one in self._doubted), key=len)
            self._doubted = [one for one in self._doubted if one not in most]
            steps = self._believe(most)
        self._leave_out_doubted()
        return steps + (self._close(max(self.open) + 1) if self.open else [])

    def _close(self, until: int) -> list[Step]:
        """Close the steps before `until`."""
        steps = []
        assert self.next is not None
        while self.next < until:
            slot = self.open.pop(self.next, None)
            self.silent, self.fresh = 0 if slot else self.silent + 1, False
            if self.silent <= self.hold:
                values = {name: reading.values for name, reading in (slot or {}).items()}
                steps.append(Step(self.next, values))
                self.next += 1
            else:  # a long silence is skipped
                self.next = min([until, *self.open])
        return steps
