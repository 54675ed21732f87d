"""Lines that are not evenly apart, one a day, week, month, quarter or year: the last trading day of each month."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from readers.rows import Rows
from times.clock import DAY, Clock

UNITS = ((0.97, 1.2, "day"), (5, 9, "week"), (28, 31.5, "month"), (88, 94, "quarter"), (360, 370, "year"))  # in days
MONTHS = {"month": 1, "quarter": 3, "year": 12}
MOST = 0.02  # of a row's lines may share their step with another


def one_a_step(rows: Rows, *, days: bool = True) -> tuple[Rows, str] | None:
    """The same rows with each line at the beginning of its calendar step (of a week: on the weekday of most lines).

    Parameters
    ----------
    rows : N rows, sorted.
    days : whether lines one a day count too.

    Returns
    -------
    The rows and a note; None where lines are not about one such step apart, or several fall into one.
    """
    clock = Clock("D", rows.tz)
    wall = clock.wall(rows.times)
    usual = [(wall[end - 1] - wall[begin]) / DAY / (end - begin - 1) for begin, end in rows.spans() if end - begin > 2]
    if not usual:
        return None
    units = UNITS if days else UNITS[1:]
    unit = next((name for low, high, name in units if low <= min(usual) and max(usual) <= high), "")
    moved = _moved(wall, unit) if unit else wall
    for begin, end in rows.spans():
        steps = np.diff(moved[begin:end])
        if (steps < 0).any() or (steps == 0).sum() > MOST * (end - begin):
            return None
    at = int(np.argmax(moved != wall))
    if moved[at] == wall[at]:
        return None
    there = replace(rows, times=clock.of_wall(moved))
    return there, f"lines are one a {unit}, not evenly apart, and count as such: {rows.show(at)} as {there.show(at)}"


def _moved(wall: np.ndarray, unit: str) -> np.ndarray:
    """Local times [n] at the beginnings of their steps."""
    days = wall // DAY
    if unit == "day":
        return days * DAY
    if unit == "week":
        weekday = int(np.bincount(days % 7).argmax())
        return ((days - weekday + 3) // 7 * 7 + weekday) * DAY
    months = (wall.astype("datetime64[ns]").astype("datetime64[M]").astype(np.int64)) // MONTHS[unit] * MONTHS[unit]
    moved: np.ndarray = months.astype("datetime64[M]").astype("datetime64[ns]").astype(np.int64)
    return moved
