"""Tables in which a year stands in the first line of its months alone, as people write them in sheets: it is put into
each of their lines.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence

from times.words import is_time
from times.written import YEAR

LEAST = 12  # lines that show it
_YEAR = re.compile(YEAR)
NOTE = "{!r} stands in the first line of each year alone, and is taken for the lines below it"


def stands_once(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first column has years above empty cells, beside months that go round.

    Parameters
    ----------
    rows : the cells of the first lines, the names first.
    """
    body = [row for row in rows[1:] if len(row) > 2]
    if len(body) < LEAST or len(body) < len(rows) - 2 or not rows[0][0] or not body[0][0]:
        return False
    years = [row[0] for row in body if row[0]]
    months = [row[1] for row in body]
    named = all(is_time(f"{month} 2000") for month in months) or all(
        month.isdecimal() and 1 <= int(month) <= 12 for month in months
    )
    above = all(not row[0] for row in body[1 : min(len(body), 3)])  # else a year is in each line but some
    rising = all(int(a) < int(b) for a, b in itertools.pairwise(years)) if all(map(_YEAR.fullmatch, years)) else False
    return named and above and rising and 2 * len(years) < len(body)


def filled(lines: Iterator[bytes], sep: bytes) -> Iterator[bytes]:
    """Lines whose first cell, where it is empty, is that of the line above.

    Parameters
    ----------
    lines : with their ends.
    """
    last = b""
    for line in lines:
        first, mark, rest = line.partition(sep)
        if first.strip():
            last = first
        yield (last if mark and rest.strip(sep + b" \r\n") else first) + mark + rest
