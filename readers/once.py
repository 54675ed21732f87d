"""Tables in which a year stands in the first line of its months alone, a day above its hours, or a name above its
times, as people write them in sheets: it is put into each of their lines.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence

from readers.dialect import Dialect
from times.growing import stamps_of
from times.parted import part_numbers
from times.words import is_time
from times.written import YEAR

LEAST = 12  # lines that show it
PLAIN = Dialect()
_YEAR = re.compile(YEAR)
_CLOCK = re.compile(r"\d{1,2}:\d\d(:\d\d)?")
NOTE = "{!r} stands in the first line of several alone, and is taken for the lines below it"


def stands_once(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first column has cells above empty ones, beside what goes round below each: years beside months or
    quarters, days beside times of day, names beside times.

    Parameters
    ----------
    rows : the cells of the first lines, the names first.
    """
    body = [row for row in rows[1:] if len(row) > 2]
    if len(body) < LEAST or len(body) < len(rows) - 2 or not rows[0][0] or not body[0][0]:
        return False
    tops, beside = [row[0] for row in body if row[0]], [row[1] for row in body]
    if any(row[0] for row in body[1:3]) or 2 * len(tops) >= len(body):  # else it is in each line but some
        return False
    if all(map(_YEAR.fullmatch, tops)):
        months = all(is_time(f"{cell} 2000") for cell in beside) or _within(beside, 12)
        rising = all(int(a) < int(b) for a, b in itertools.pairwise(tops))
        return rising and (months or bool(part_numbers("quarter", beside)))
    if all(map(is_time, tops)):
        return len({*tops}) == len(tops) and (all(map(_CLOCK.fullmatch, beside)) or _within(beside, 24))
    names = len({*tops}) == len(tops) > 1 and not any(map(PLAIN.is_number, tops))
    return names and all(map(is_time, beside)) and _go_round([bool(row[0]) for row in body], stamps_of(beside))


def _within(cells: Sequence[str], most: int) -> bool:
    return all(cell.isdecimal() and int(cell) <= most for cell in cells)


def _go_round(tops: Sequence[bool], stamps: Sequence[float]) -> bool:
    """Whether times begin anew at each top, so that it is no remark on a line of one series."""
    return all(now <= before for top, before, now in zip(tops[1:], stamps, stamps[1:], strict=False) if top)


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
