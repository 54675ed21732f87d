"""Tables whose columns are series of different lengths, side by side under counted names (Y1, Y2, ...), as collections
of series for competitions are written: turned, so that each series is a line.
"""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections.abc import Sequence

from errors import many
from readers.base import TableText, csv_text
from readers.dialect import Dialect
from readers.pieces import looked_through

MOST = 1 << 24  # bytes: a collection in columns is a sheet, of a few megabytes
LEAST, LEAST_LINES = 3, 8  # columns; lines below the names
MOSTLY = 0.75  # of the columns, whose first line says how many values there are
MOST_ABOVE = 4  # lines above the values: how many there are, and the parts of the time at which they begin
PLAIN = Dialect()
_NAME = re.compile(rb"\"?([A-Za-z_.]+)(\d+)\"?")


def upright(text: io.BufferedReader, head: int) -> tuple[TableText | None, io.BufferedReader]:
    """A table of such columns with a line for each; or None, and the text at its start.

    Parameters
    ----------
    text : at its start. head : how many bytes are looked at first.
    """
    start = text.peek(head)[:head]
    names = start.partition(b"\n")[0].rstrip(b"\r").removeprefix(b"\xef\xbb\xbf").split(b",")
    if len(names) < LEAST or not _are_counted(names):
        return None, text
    whole, text = looked_through(text, MOST)
    if not whole:
        return None, text
    rows = [row for row in csv.reader(whole.decode("utf-8-sig", "replace").splitlines()) if any(row)]
    found = _series(rows[1:], len(names))
    if not found:
        return None, text
    columns, more = found
    longest = max(map(len, columns))
    lines = [[name, *column, *[""] * (longest - len(column))] for name, column in zip(rows[0], columns, strict=True)]
    note = f"columns end at different lines: each is a series, and the lines are its steps{more}"
    return TableText(csv_text([["id", *range(1, longest + 1)], *lines]), (note,)), text


def _are_counted(names: Sequence[bytes]) -> bool:
    """Whether names are one word with numbers that go on by one."""
    found = [_NAME.fullmatch(name.strip()) for name in names]
    known = [(match[1], int(match[2])) for match in found if match]
    return len(known) == len(names) and known == [(known[0][0], known[0][1] + k) for k in range(len(known))]


def _series(rows: Sequence[Sequence[str]], width: int) -> tuple[list[list[str]], str] | None:
    """The values of columns that are empty below their last one, or above their first, and do not end as lines do, and
    what is to be told of other cells; None for a table of none such."""
    if len(rows) < LEAST_LINES or {*map(len, rows)} != {width}:
        return None
    columns = [[cell.strip() for cell in column] for column in zip(*rows, strict=True)]
    if not all(not cell or PLAIN.is_like_number(cell) for column in columns for cell in column):
        return None
    spans = [[k for k, cell in enumerate(column) if cell] for column in columns]
    if not all(spans):
        return None
    if above := _above(columns, [*map(len, spans)]):
        return _counted(columns, above)
    falling = all(len(a) >= len(b) for a, b in itertools.pairwise(spans))  # so that lines end early as well
    begin, end = {span[0] for span in spans}, {span[-1] for span in spans}
    whole = all(span[-1] - span[0] + 1 == len(span) for span in spans)
    aligned = not falling and (begin == {0} or end == {len(rows) - 1})
    return (
        ([column[span[0] : span[-1] + 1] for column, span in zip(columns, spans, strict=True)], "")
        if (whole and aligned)
        else None
    )


def _above(columns: Sequence[Sequence[str]], filled: Sequence[int]) -> int:
    """How many lines stand above the values, the first of them with the number of values; 0 where none does.

    filled : how many cells of each column hold something.
    """
    for count in range(2, MOST_ABOVE + 1):
        right = sum(column[0] == str(cells - count) for column, cells in zip(columns, filled, strict=True))
        if right >= MOSTLY * len(columns):
            return count
    return 0


def _counted(columns: Sequence[Sequence[str]], above: int) -> tuple[list[list[str]], str] | None:
    """As many values of each column as its first line says, and what is told of the others; None where some lack."""
    counts = [int(column[0]) if column[0].isdecimal() else 0 for column in columns]
    found = [list(column[above : above + count]) for column, count in zip(columns, counts, strict=True)]
    if not all(counts) or any(len(series) < count for series, count in zip(found, counts, strict=True)):
        return None
    if not all(map(all, found)):
        return None
    behind = sum(any(column[above + count :]) for column, count in zip(columns, counts, strict=True))
    more = f"; {above} lines above the values, of how many there are and when they begin, are left out"
    return found, more + f", and so is what stands behind so many in {many(behind, 'column')}" * bool(behind)
