"""Steps that begin on the same dates of every month or year: halves and thirds of months, composites of 8 or 16 days.

Satellites' composites count anew from the first of January, so the last one of a year is cut; stations report a month
in dekads (its days 1, 11 and 21), offices pay on the 15th and on the last day.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from times.hours import DAY

MOST_DAYS = 6  # of a month: those of pentads
LAST = 31  # stands for a month's last day
COMMON = 0.5  # of the months from the first to the last have each of the days
LONGEST_STEP = 100  # days, of steps that count anew each year


def in_years(first: int, last: int, every: int, days: Sequence[int]) -> np.ndarray:
    """The days on which steps begin from one year to another, both included, int64 since 1970, in order.

    Parameters
    ----------
    first, last : years, as in dates.
    every : days of a step, counted anew from each first of January; unused where there are `days`.
    days : of each month; one that a month lacks is its last.
    """
    if days:
        return np.unique(of_months(np.arange(12 * (first - 1970), 12 * (last - 1969)), days))
    begins = np.arange(first - 1970, last - 1968).astype("datetime64[Y]").astype("datetime64[D]").astype(np.int64)
    return np.concatenate([np.arange(begin, end, every) for begin, end in pairwise(begins)])


def of_months(months: np.ndarray, days: Sequence[int]) -> np.ndarray:
    """Those days of each month, of one that it lacks its last: int64 since 1970, [n, d] of months [n] since 1970."""
    first, following = (each.astype("datetime64[M]").astype("datetime64[D]") for each in (months, months + 1))
    begin, end = first.astype(np.int64)[:, None], following.astype(np.int64)[:, None]
    return np.minimum(begin + np.asarray(days), end) - 1  # type: ignore[no-any-return]


def after(wall: int, steps: int, every: int, days: Sequence[int]) -> np.ndarray:
    """The `steps` local times after `wall`, at its time of day, int64 ns [steps]."""
    day, clock = divmod(wall, DAY)
    year = _year(day)
    begins = in_years(year, year + steps // count(every, days) + 1, every, days)
    found: np.ndarray = begins[begins > day][:steps] * DAY + clock
    return found


def before(wall: int, every: int, days: Sequence[int]) -> int:
    """The midnight, in ns, on which the step begins that holds a local time."""
    day = wall // DAY
    begins = in_years(_year(day) - 1, _year(day), every, days)
    return int(begins[begins <= day][-1]) * DAY


def count(every: int, days: Sequence[int]) -> int:
    """How many steps a year of 365 days has."""
    return 12 * len(days) if days else -(-365 // every)


def shortest(every: int, days: Sequence[int]) -> int:
    """The shortest step, in days."""
    return int(np.diff(in_years(2000, 2004, every, days)).min())


def found_in(wall: np.ndarray) -> str:
    """The frequency of most of some local times, int64 ns [n], sorted: `MS-1-11-21`, `16D-JAN`; "" where none fits."""
    day, clock = np.divmod(wall, DAY)
    if len(day) < 2 or (clock != clock[0]).any():
        return ""
    dates = day.astype("datetime64[D]")
    return _of_months(dates) or _of_years(dates)


def _of_months(dates: np.ndarray) -> str:
    months = dates.astype("datetime64[M]")
    number = (dates - months).astype(np.int64) + 1
    last = (dates + 1).astype("datetime64[M]") > months
    if last[number >= 28].all():  # the 30th of April and the 28th of February are then the same day
        number = np.where(last, LAST, number)
    days, counts = np.unique(number, return_counts=True)
    among = (months[-1] - months[0]).astype(np.int64) + 1
    if not 2 <= len(days) <= MOST_DAYS or among < 2 or (counts < COMMON * among).any():
        return ""
    return "MS-" + "-".join(map(str, days.tolist()))


def _of_years(dates: np.ndarray) -> str:
    years = dates.astype("datetime64[Y]")
    number = (dates - years.astype("datetime64[D]")).astype(np.int64)
    steps, counts = np.unique(np.diff(dates).astype(np.int64), return_counts=True)
    every = int(steps[np.argmax(counts)])
    begun = (number % every == 0).all() if every > 1 else False
    return f"{every}D-JAN" if begun and every <= LONGEST_STEP and years[0] < years[-1] else ""


def _year(day: int) -> int:
    return int(np.datetime64(day, "D").astype("datetime64[Y]").astype(np.int64)) + 1970
