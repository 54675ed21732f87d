"""Axes over time: what their ticks say, and where lines break."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, num2date
from matplotlib.ticker import Formatter

GAP = 1.6  # steps: what is longer is a gap
DAY, MONTH, YEAR = 1.0, 27.0, 360.0  # days between ticks from which on they stand for days, months, years


class Dates(Formatter):
    """Every tick says its own date: a day with its month, an hour with its day where that changes.

    A formatter that writes the month once, beside the axis, writes that of the last tick, which may lie beyond it.
    """

    def format_ticks(self, values: Sequence[float]) -> list[str]:
        """The labels of ticks (days since 1970); those out of sight are empty."""
        assert self.axis is not None
        low, high = sorted(self.axis.get_view_interval())
        margin = 1e-9 * (high - low)
        ticks = np.asarray(values, np.float64)
        gap = float(np.min(np.diff(ticks))) if len(ticks) > 1 else high - low
        labels, before = [], None
        for tick in ticks:
            date = num2date(tick)
            seen = low - margin <= tick <= high + margin
            labels.append(date_label(date, before, gap) if seen else "")
            before = date if seen else before
        return labels

    def __call__(self, x: float, pos: int | None = None) -> str:
        return f"{num2date(x):%Y-%m-%d %H:%M}"


def date_label(date: datetime, before: datetime | None, gap: float) -> str:
    """What a tick says that comes after the tick `before`, with `gap` days between two of them."""
    year = f"\n{date.year}" if before is None or before.year != date.year else ""
    if gap >= YEAR:
        return str(date.year)
    if gap >= MONTH:
        return f"{date:%b}{year}"
    day = f"{date.day} {date:%b}"
    if gap >= DAY:
        return day + year
    clock = f"{date:%H:%M}" if gap * 1440 >= 1 else f"{date:%H:%M:%S}"
    if before is not None and before.date() == date.date():
        return clock
    return f"{clock}\n{day}" + (f" {date.year}" if year else "")


def date_axis(ax: Axes, least: int, most: int) -> None:
    """Ticks at round dates, between `least` and `most` of them."""
    locator = AutoDateLocator(minticks=least, maxticks=most)
    locator.intervald[1] = [1, 2, 3, 4, 6, 12]  # months: two years with few ticks
    locator.intervald[3] = [1, 2, 3, 7, 14, 21]  # days
    locator.intervald[4] = [1, 2, 3, 6, 12, 24]  # hours: two days with few ticks
    locator.intervald[5] = [1, 5, 10, 15, 30, 60]  # minutes: a few hours with few ticks
    locator.intervald[6] = [1, 5, 10, 15, 30, 60]  # seconds
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(Dates())


def after_gaps(times: np.ndarray) -> np.ndarray:
    """The positions in times [n] before which more than a step is missing."""
    steps = np.diff(times).astype(np.int64)
    if len(steps) < 2:
        return np.zeros(0, np.int64)
    return np.flatnonzero(steps > GAP * np.median(steps)) + 1


def opened(times: np.ndarray) -> np.ndarray:
    """Times [n] with one more in each gap, a step after its beginning."""
    after = after_gaps(times)
    steps = np.diff(times)
    return np.insert(times, after, times[after - 1] + np.sort(steps)[len(steps) // 2]) if len(after) else times
