"""Excel's dates as numbers: days since 1899-12-30, with the time of day behind the point, as 45292.5."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from times.clock import DAY
from times.words import is_time_word

EXCEL = "excel"  # what --date-order says for them
EPOCH = -25_569  # days from 1970-01-01 to Excel's day 0
LEAST, MOST = 32_874, 73_051  # 1990 to 2100
SECOND, MINUTE = 10**9, 60 * 10**9
_DATES = re.compile(r"(?:.*[^a-z])?(?:date|dates|datetime|timestamp|datum|zeitstempel|fecha)", re.IGNORECASE)
_NUMBER = re.compile(r"\d{5}(?:\.\d{1,12})?")


def may_be_serials(cells: Sequence[str]) -> bool:
    """Whether all cells can be Excel's dates from 1990 to 2100.

    Parameters
    ----------
    cells : text, without spaces around.
    """
    return all(_NUMBER.fullmatch(cell) and LEAST <= float(cell) < MOST for cell in cells)


def are_serials(name: str, cells: Sequence[str]) -> bool:
    """Whether cells are Excel's dates and can hardly be anything else: by the column's name, or as minutes of days.

    Parameters
    ----------
    name : of the column.
    cells : its text, or some of it.
    """
    if not may_be_serials(cells):
        return False
    if are_dates_named(name):
        return True
    days = np.array(cells, float)
    off = np.abs(days * 1440 - np.rint(days * 1440))
    return is_time_word(name) and bool((days % 1).any()) and bool((off <= 1440 * _rounding(cells)).all())


def are_dates_named(name: str) -> bool:
    """Whether a column's name says that it holds dates."""
    return bool(_DATES.fullmatch(name.strip()))


def times_of(cells: Sequence[str], epoch: float = EPOCH) -> np.ndarray:
    """Wall times in ns, int64 [n], as exact as the digits are: whole minutes, or seconds, where these are within them.

    Parameters
    ----------
    cells : Excel's dates, or other days. epoch : days from 1970-01-01 to their day 0.
    """
    exact = (np.array(cells, np.float64) + epoch) * DAY
    slack = _rounding(cells) * DAY + SECOND / 1000
    for unit in (MINUTE, SECOND):
        whole = np.rint(exact / unit) * unit
        if (np.abs(whole - exact) <= slack).all():
            return whole.astype(np.int64)
    return np.rint(exact / 1e6).astype(np.int64) * 10**6


def _rounding(cells: Sequence[str]) -> float:
    """Half of the last digit, in days."""
    return 0.5 * 10.0 ** -max(len(cell.partition(".")[2]) for cell in cells)
