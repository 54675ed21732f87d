"""Typical years: the hours of twelve months of different years, put together as one year, as weather files for
buildings and solar plants are.
"""

from __future__ import annotations

import calendar
import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from readers.rows import Rows, usual_step
from times.clock import DAY

SHORTEST, LONGEST = 364, 367  # days in such a year
PART, CHANGES = 60, 2  # days of a part of one, and from one year to another in it
_YEAR = re.compile(r"(?<!\d)(?:1[89]|20)\d\d(?!\d(?:\D|$)|\d\d(?:\D|$)|\d\d\d(?:\D|$))")


def as_one_year(rows: Rows) -> tuple[Rows, list[str]]:
    """Rows that are typical years with the times of one year, and a note; as they are where one row is none.

    Parameters
    ----------
    rows : sorted by row, each in the order of its file.
    """
    times = rows.times.copy()
    of: list[str] = []
    for begin, end in rows.spans():
        found = _moved(rows.times[begin:end])
        if found is None:
            return rows, []
        times[begin:end] = found[0]
        of.append(found[1])
    told = f"a typical year, whose months are of several years: those of {of[0]}{', ...' * (len(of) > 1)}"
    return replace(rows, times=times), [told]


def _moved(times: np.ndarray) -> tuple[np.ndarray, str] | None:
    """The times, int64 ns [n], of one row as those of about the year in which it begins, and which years these are;
    None where it is no typical year.
    """
    steps = np.diff(times)
    usual = usual_step(steps) if len(steps) else 0
    shortest = SHORTEST if (steps != usual).sum() < CHANGES else PART
    if usual <= 0 or not shortest * DAY <= len(times) * usual <= LONGEST * DAY or (steps == usual).all():
        return None
    for late in (0, usual):  # where the last hour of December is 0:00 of the next year
        own = times - late
        days = (own // DAY).astype("datetime64[D]")
        months = days.astype("datetime64[M]")
        within = own - months.astype("datetime64[ns]").astype(np.int64)
        numbers, years = months.astype(np.int64) % 12, _years(own)
        leap = bool(((numbers == 1) & (within >= 28 * DAY)).any())
        year = next(year for year in itertools.count(int(years[0]), -1) if calendar.isleap(year) == leap)
        first = ((year - 1970) * 12 + numbers).astype("datetime64[M]").astype("datetime64[ns]").astype(np.int64)
        moved: np.ndarray = first + within + late
        gaps = np.diff(moved)
        if (gaps == usual).sum() >= len(gaps) - 1 and (gaps > 0).all() and gaps.max(initial=0) <= DAY + usual:
            return moved, f"{years.min()} to {years.max()} as of {year}"
    return None


def _years(times: np.ndarray) -> np.ndarray:
    """The years of times in ns."""
    years: np.ndarray = times.astype("datetime64[ns]").astype("datetime64[Y]").astype(np.int64) + 1970
    return years


def is_typical(cells: Sequence[str], stamps_of: Callable[[Sequence[str]], list[float]]) -> bool:
    """Whether times of several years, as text, rise from line to line only without their years.

    Parameters
    ----------
    cells : those of some lines, in order.
    stamps_of : gives something that grows as times do.
    """
    years = [found[0] if (found := _YEAR.search(cell)) else "" for cell in cells]
    runs = [year for year, _ in itertools.groupby(years)]
    if (
        not all(years)
        or not 1 < len(runs) <= 13
        or (all(a <= b for a, b in itertools.pairwise(runs)) and len(runs) < 3)
    ):
        return False
    stamps = stamps_of([_YEAR.sub("2000", cell, count=1) for cell in cells])
    return bool(stamps) and all(a < b for a, b in itertools.pairwise(stamps[:-1]))
