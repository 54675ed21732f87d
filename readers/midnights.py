"""Midnights that are written with the day that ends: 31 March 23:45, 31 March 00:00, 1 April 00:15."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from errors import many
from readers.rows import Rows, line_steps

DAY = 24 * 3600
NS = 1_000_000_000


def ending_days(times: np.ndarray, second: int = 1) -> np.ndarray:
    """Mask [n] of lines at midnight that are of the day after; none unless all that go back are such.

    They come one step after the last line of a day, are a whole day too early, and what follows them is of the next.

    Parameters
    ----------
    times : [n], in the order of the lines. second : how many of their units.
    """
    none = np.zeros(len(times), bool)
    steps = np.diff(times)
    back = np.flatnonzero(steps < 0)
    if not len(back) or len(back) * 2 > len(steps):
        return none
    day, usual = DAY * second, np.median(steps[steps > 0])
    whole = (times[back + 1] % day == 0) & (steps[back] == usual - day)
    following = back[back + 1 < len(steps)] + 1
    if not whole.all() or not len(following) or (steps[following] <= day).any():
        return none
    none[back + 1] = True
    return none


def to_next_day(stamps: Sequence[float]) -> list[float]:
    """The times of some lines in seconds, such lines a day later."""
    times = np.array(stamps, np.float64)
    found: list[float] = (times + DAY * ending_days(times)).tolist()
    return found


def next_day(rows: Rows) -> tuple[Rows, list[str]]:
    """The rows with such lines a day later, and a note where there are some.

    Parameters
    ----------
    rows : as `join` returns them.
    """
    if not (line_steps(rows) < 0).any():
        return rows, []
    times, moved = rows.times.copy(), 0
    for start, end in rows.spans():
        late = ending_days(rows.times[start:end], NS)
        times[start:end][late] += DAY * NS
        moved += int(late.sum())
    if not moved:
        return rows, []
    what = "00:00 after the last line of the day that they are written with: taken as the midnight that ends it"
    return replace(rows, times=times), [f"{many(moved, 'line')} at {what}"]
