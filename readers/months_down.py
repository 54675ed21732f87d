"""Tables of years side by side whose lines are the twelve months, as people compare them: one monthly series."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence

from readers.dialect import Dialect
from readers.paths import abridge
from times.tongues import month_of
from times.written import YEAR

MONTHS = 12
MOST_LINES = 20  # of such a table, with blank ones and those of totals and sources below the months
LEAST_YEARS = 2
PLAIN = Dialect()
_YEAR = re.compile(YEAR)


def months_down(rows: Sequence[Sequence[str]]) -> tuple[list[list[str]], str] | None:
    """Such a table with a line for each month, and the note on it; None for another.

    Parameters
    ----------
    rows : the cells of all its lines, the names first.
    """
    rows = [row for row in rows if any(row)]
    if not 1 + MONTHS <= len(rows) <= MOST_LINES or len(rows[0]) <= LEAST_YEARS:
        return None
    body, below = rows[1 : 1 + MONTHS], rows[1 + MONTHS :]
    years = [k for k, name in enumerate(rows[0]) if k and _YEAR.fullmatch(name)]
    numbers = [int(rows[0][k]) for k in years]
    rising = all(b == a + 1 for a, b in itertools.pairwise(numbers))
    if len(years) < LEAST_YEARS or not rising or any(len(row) != len(rows[0]) for row in body):
        return None
    if [_month(row[0]) for row in body] != [*range(1, MONTHS + 1)] or any(PLAIN.is_number(row[0]) for row in below):
        return None
    out = [*filter(None, (rows[0][k] for k in range(1, len(rows[0])) if k not in years)), *(row[0] for row in below)]
    note = f"the lines are the months of the {len(years)} years side by side: one monthly series"
    note += f"; left out beside them: {abridge(out)}" * bool(out)
    return [["month", "value"], *_lines(rows, body, years)], note


def _lines(rows: Sequence[Sequence[str]], body: Sequence[Sequence[str]], years: Sequence[int]) -> Iterator[list[str]]:
    for k in years:
        for number, row in enumerate(body, 1):
            yield [f"{rows[0][k]}-{number:02d}", row[k]]


def _month(cell: str) -> int:
    """The number of a month, by its name in any language or in digits; 0 for none."""
    return int(cell) if cell.isdecimal() and len(cell) < 3 else month_of(cell)
