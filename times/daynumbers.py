"""Days as numbers: a year and the number of its day (2024032, 24032), days in six digits (240201), in eight with the
day or the month first (01022024), Julian days (2460342.5), modified ones (60342) and MATLAB's (739283).
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np

from times.serials import are_dates_named, may_be_serials, times_of
from times.tongues import full_year
from times.words import is_time_word
from times.years import COUNTERS

LEAST = 3  # cells
SCALES = {  # name, day 0 from 1970-01-01 on, least and most: years of 1800 to 2100
    "Julian days": (2_440_587.5, 2_378_496, 2_488_070),
    "modified Julian days": (40_587, 15_020, 88_070),
    "MATLAB's days": (719_529, 657_438, 767_010),
}
_NAMES = {
    "Julian days": re.compile(r"(?:.*[^a-z])?(?:[hb]?jd|julian[ _]?da(?:te|y)s?)(?:[ _(]+(?:tdb|utc|tt)\)?)?", re.I),
    "modified Julian days": re.compile(r"(?:.*[^a-z])?(?:[hb]?mjd)(?:[ _(]+(?:tdb|utc|tt)\)?)?", re.I),
    "MATLAB's days": re.compile(r"(?:.*[^a-z])?(?:datenum|matlab[ _]?time|serial[ _]?date(?:[ _]?number)?)", re.I),
}
_NUMBER = re.compile(r"\d{5,7}(?:\.\d*)?")
_YEAR_AND_DAY = re.compile(r"((?:1[89]|20)\d\d|\d\d)(\d{3})")
_MONTH = re.compile(r"(?:1[5-9]|20)\d\d(?:0[1-9]|1[0-2])")
_WHOLE_DAY = re.compile(r"(?:1[5-9]|2[01])\d{6}\.0+")  # as programs write them that know numbers alone
_LAST_YEAR = re.compile(r"(\d\d)(\d\d)((?:1[89]|20)\d\d)")


def spelled_out(name: str, cells: Sequence[str]) -> tuple[list[str], str]:
    """Such days in a spelling with marks between year, month and day, and a note; ([], "") for other cells.

    Parameters
    ----------
    name : of their column, which must be one of times.
    cells : text, without spaces around.
    """
    cells = list(cells)
    if is_time_word(name) and len(cells) >= LEAST and all(map(_WHOLE_DAY.fullmatch, cells)):
        days = [_day(int(cell[:4]), int(cell[4:6]), int(cell[6:8])) for cell in cells]
        return _told(days, cells, "days in eight digits") if all(days) else ([], "")
    size = len(cells[0]) if len(cells) >= LEAST else 0
    if size not in (5, 6, 7, 8) or not is_time_word(name) or name.strip().casefold() in COUNTERS:
        return [], ""
    if any(len(cell) != size or not cell.isdecimal() for cell in cells):
        return [], ""
    if size in (5, 7):
        days = _of_years(cells)
        if not all(days) or (size == 5 and not (are_dates_named(name) and _by_years(cells, days))):
            return [], ""
        return _told(days, cells, "a year and the number of its day")
    if size == 8:
        found = [_LAST_YEAR.fullmatch(cell) for cell in cells]
        known = [f"{match[1]}/{match[2]}/{match[3]}" for match in found if match and _is_date(match)]
        return (known, "") if len(known) == len(cells) else ([], "")
    days = [_day(int(full_year(cell[:2])), int(cell[2:4]), int(cell[4:])) for cell in cells]
    if not all(days) or all(map(_MONTH.fullmatch, cells)):
        return [], ""
    return _told(days, cells, "days in six digits, the year first")


def scale_of(name: str, cells: Sequence[str]) -> str:
    """The scale, one of SCALES, of days under such a name; "" for other cells.

    Parameters
    ----------
    name : of their column. cells : text, without spaces around.
    """
    for scale, (_, least, most) in SCALES.items():
        if _NAMES[scale].fullmatch(name.strip()) and all(map(_NUMBER.fullmatch, cells)):
            return scale if all(least <= float(cell) < most for cell in cells) else ""
    return ""


def times(scale: str, cells: Sequence[str]) -> tuple[np.ndarray, str]:
    """Wall times in ns, int64 [n], and a note.

    Parameters
    ----------
    scale : one of SCALES. cells : text [n].
    """
    read = times_of(cells, -SCALES[scale][0])
    return read, f"times read as {scale}: {cells[0]} is {read[:1].astype('datetime64[ns]').astype('datetime64[s]')[0]}"


def _day(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def _is_date(match: re.Match[str]) -> bool:
    """Whether it is a date with the day first, or with the month."""
    first, second, year = map(int, match.groups())
    return bool(_day(year, first, second) or _day(year, second, first))


def _of_years(cells: Sequence[str]) -> list[date | None]:
    days: list[date | None] = []
    for cell in cells:
        found = _YEAR_AND_DAY.fullmatch(cell)
        first = date(int(full_year(found[1])), 1, 1) if found else date(1, 1, 1)
        day = first + timedelta(int(found[2]) - 1) if found and 1 <= int(found[2]) <= 366 else first
        days.append(day if found and day.year == first.year and int(found[2]) else None)
    return days


def _by_years(cells: Sequence[str], days: Sequence[date | None]) -> bool:
    """Whether numbers of five digits are rather days of years than Excel's: these have none of 366 to 1000 in years."""
    if not may_be_serials(cells):
        return True
    ordinals = [day.toordinal() for day in days if day]
    steps, plain = ({b - a for a, b in itertools.pairwise(each)} for each in (ordinals, list(map(int, cells))))
    one_year = len({cell[:2] for cell in cells}) == 1
    return len(steps) < len(plain) or (one_year and "001" in (cells[0][2:], cells[-1][2:]))


def _told(days: Sequence[date | None], cells: Sequence[str], what: str) -> tuple[list[str], str]:
    written = [day.isoformat() for day in days if day]
    return written, f"times read as {what}: {cells[0]} is {written[0]}"
