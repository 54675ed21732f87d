"""Wide tables whose columns are named by dates, as statistical offices and counters of visits publish them: the steps
have times, and the series a calendar.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from errors import DataError
from times import written
from times.clock import Clock, infer_clock
from times.stamps import read_stamps
from times.words import is_time
from times.years import are_years

LEAST = 3  # dates that show a step
_COMPACT = re.compile(rf"{written.YEAR}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])")
_CLOCK = re.compile(r"\d{1,2}:\d\d.*")
_WORD = re.compile(r"(?P<word>[A-Za-z]{1,6}[ _.]?)(?=\d)")
_JOINTS = re.compile(r"(?<=\d)[_.](?=\d)")
_BEHIND = re.compile(r" \[YR\d{4}\]$")  # of the World Bank
_YEAR_WORDS = ("", "x", "y", "yr", "year", "fy", "f")  # R's make.names, the FAO, national accounts


def plain_dates(names: Sequence[str]) -> tuple[str, ...]:
    """The dates that names of columns hold, without what is put around all of them (X2001.01.31, Y1961, 1990 [YR1990]);
    () where they hold none.

    Parameters
    ----------
    names : of the columns of steps, in the order of the file.
    """
    cells = [_BEHIND.sub("", name.strip()) for name in names]
    if len(cells) < LEAST:
        return ()
    if _are_dates(cells):
        return tuple(cells)
    found = _WORD.match(cells[0])
    word = found["word"] if found else ""
    named = word.casefold().rstrip(" _.") in _YEAR_WORDS
    if not all(cell.startswith(word) for cell in cells):
        return ()
    bare = [_JOINTS.sub("-", cell.removeprefix(word)) for cell in cells]
    return tuple(bare) if _are_dates(bare) and (named or not all(map(str.isdecimal, bare))) else ()


def _are_dates(cells: Sequence[str]) -> bool:
    whole = all(map(_COMPACT.fullmatch, cells)) or are_years("date", cells)
    return whole or all(is_time(cell) and not _CLOCK.fullmatch(cell) for cell in cells)


def calendar(dates: Sequence[str]) -> tuple[np.ndarray, Clock] | None:
    """The times of steps by their dates, int64 ns [T], and their clock.

    Parameters
    ----------
    dates : [T], as text, of `plain_dates`, in the order of time.

    Returns
    -------
    None where the dates cannot be read for certain, are in two zones, or go on in no even steps.
    """
    try:
        stamps = read_stamps(np.array(dates, dtype=object), str, name="date")
    except DataError:
        return None
    if stamps.counted or len(stamps.zones) > 1 or not (np.diff(stamps.times) > 0).all():
        return None
    clock = infer_clock(stamps.times, next(iter(stamps.zones), ""))
    return (stamps.times, clock) if clock else None
