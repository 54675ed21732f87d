"""Times that look like numbers: years, years with a fraction (1949.083 is February), months or weeks of six digits.

Tables of published series have them, in a column named as times are. 194902 is February; week 2 under a name of weeks.
A fraction may be that of the step's beginning, of its middle (1880.5, or 1993.042 for January), or of a day in it.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

import numpy as np

from times.parted import part_of, weeks
from times.words import is_time_word
from times.written import YEAR

PER_YEAR = (1, 2, 4, 12)  # steps
NOTE = "times read as {} since their column is named {!r}"
MOST_OFF = 0.25  # of a step, that rounding may make
OF_DAYS, LEAST = 0.1, 12  # of a month, by which days in its middle differ; cells that show it
_YEAR = re.compile(rf"{YEAR}(?:\.\d+)?")
_FRACTION = re.compile(rf"{YEAR}\.(?:\d{{2,}}|5)")
_MONTH = re.compile(rf"{YEAR}(?:0[1-9]|1[0-2])")
_WEEK = re.compile(rf"{YEAR}(?:0[1-9]|[1-4]\d|5[0-3])")
COUNTERS = ("cycle", "cycles", "step", "steps", "timestep", "tick", "frame", "iteration", "epoch")


def are_years(name: str, cells: Sequence[str]) -> bool:
    """Whether all cells are years, or years and months, by their numbers and the name of their column.

    Parameters
    ----------
    name : of the column; the number of one without a name, whose years must have fractions.
    cells : its text, or some of it, without spaces around.
    """
    if part_of(name) == "week":
        return all(map(_WEEK.fullmatch, cells)) and not any("W" in day for day in _weeks(cells)[0])
    words = re.findall(r"[a-z]+", name.casefold())
    if name.isdecimal():
        return all(map(_FRACTION.fullmatch, cells)) and bool(_per_year(cells)[0])
    if not is_time_word(name) or not words or words[-1] in COUNTERS:
        return False
    return bool(all(map(_MONTH.fullmatch, cells)) or (all(map(_YEAR.fullmatch, cells)) and _per_year(cells)[0]))


def are_halves(cells: Sequence[str]) -> bool:
    """Whether all cells are middles of years (1880.5), which ISO 8601 has as months.

    Parameters
    ----------
    cells : text.
    """
    return all(_YEAR.fullmatch(cell) and cell.endswith(".5") for cell in cells)


def read(name: str, cells: Sequence[str]) -> tuple[np.ndarray, str]:
    """Wall times at which these years, quarters or months begin, int64 ns [n], and a note.

    Parameters
    ----------
    name, cells : as in `are_years`, which is true of them.
    """
    if part_of(name) == "week":
        days, note = _weeks(cells)
        return np.array(days, "datetime64[ns]").astype(np.int64), note or NOTE.format("weeks", name)
    if _MONTH.fullmatch(cells[0]):
        numbers, each = np.array([12 * int(cell[:4]) + int(cell[4:]) - 1 for cell in cells]), 12
    else:
        each, begin = _per_year(cells)
        numbers = np.rint(np.array(cells, float) * each - begin).astype(np.int64) * (12 // each)
    months = (numbers - 12 * 1970).astype("datetime64[M]")
    what = {1: "years", 2: "halves of years", 4: "quarters", 12: "months"}[each]
    note = NOTE.format(what, name) if not name.isdecimal() else f"times read as {what}, each with its year's fraction"
    return months.astype("datetime64[ns]").astype(np.int64), note


def _weeks(cells: Sequence[str]) -> tuple[list[str], str]:
    return weeks([int(cell[:4]) for cell in cells], [int(cell[4:]) for cell in cells])


def _per_year(cells: Sequence[str]) -> tuple[int, float]:
    """The fewest steps a year on which all of some years with fractions lie, and how far into each: 0, or half of it.

    Fractions of days (1958.2027 is the 15th of March) are of months where each cell is of another one. (0, 0) for none.
    """
    digits = max(len(cell.partition(".")[2]) for cell in cells)
    years = np.array(cells, float)
    for each, begin in itertools.product(PER_YEAR, (0, 0.5)):
        slack = each * 10.0**-digits + 1e-6 if digits else 0
        off = np.abs(years * each - begin - np.rint(years * each - begin))
        if slack < MOST_OFF and (off <= slack).all():
            return each, begin
        months = np.diff(np.rint(years * each - begin))
        if each == 12 and len(cells) >= LEAST and (off <= OF_DAYS).all() and ((months > 0).all() or (months < 0).all()):
            return each, begin
    return 0, 0
