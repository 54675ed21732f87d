"""The tables of months of climate indices, as NOAA's Physical Sciences Laboratory writes them: a line with the first
and the last year, a line for each year with its twelve months, the mark of missing values, and notes.
"""

from __future__ import annotations

import re

from errors import many
from readers.base import TableText, csv_text
from readers.paths import abridge

START = re.compile(rb"\s*(?:1[5-9]|2[01])\d\d\s+(?:1[5-9]|2[01])\d\d\s*\r?\n\s*(?:1[5-9]|2[01])\d\d\s")
NAMES = ("Year", *("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"))


def table(text: bytes) -> TableText | None:
    """Such a text as a table of years and months; None where it is another one.

    Parameters
    ----------
    text : a file's.
    """
    first, *lines = text.decode("latin-1").splitlines()
    begin, end = map(int, first.split())
    rows: list[list[str]] = []
    for line in lines:
        cells = line.split()
        if len(cells) != len(NAMES) or cells[0] != str(begin + len(rows)):
            break
        rows.append(cells)
    if len(rows) != end - begin + 1:
        return None
    below = [line.strip() for line in lines[len(rows) :] if line.strip()]
    mark = below[0] if below and re.fullmatch(r"-?\d+(?:\.\d*)?", below[0]) else ""
    notes = below[1 if mark else 0 :]
    rows = [[row[0], *("" if mark and float(cell) == float(mark) else cell for cell in row[1:])] for row in rows]
    told = [f"months of {begin} to {end}" + f", of which {mark} is missing" * bool(mark)]
    told += [f"{many(len(notes), 'line')} below the table left out: {abridge(notes)}"] * bool(notes)
    return TableText(csv_text([NAMES, *rows]), tuple(told))
