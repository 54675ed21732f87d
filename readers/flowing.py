"""Texts of a title and numbers alone, which go on from line to line as they were typed or printed: one series."""

from __future__ import annotations

import io
import itertools
import re
import statistics

from errors import many
from readers.base import NUMBER, TableText
from readers.pieces import looked_through

MOST, MOST_ABOVE, LEAST_LINES = 1 << 24, 12, 6  # bytes; lines of the title; lines of numbers
OF_A_YEAR, MOST_MONTHS = (6, 12), 3000  # numbers a line, whose seasons may lie far apart; and of a text then
LEAST, MOST_NUMBERS = 6, 5000  # numbers a line: fewer are rather channels; of a text, that are looked at
ALIKE = 0.9  # the correlation of numbers with those a line before, as channels have it
_LINE = re.compile(rf"\s*{NUMBER}(?:\s+{NUMBER})*\s*")
_LETTER = re.compile(r"[A-Za-z]{2}")


def flowing(text: io.BufferedReader, head: int) -> tuple[TableText | None, io.BufferedReader]:
    """A text of a title and numbers as one number a line; or None, and the text at its start.

    Parameters
    ----------
    text : at its start. head : how many bytes are looked at first.
    """
    start = text.peek(head)[:head]
    above = _above(start)
    if not above:
        return None, text
    whole, text = looked_through(text, MOST)
    if not whole:
        return None, text
    lines = whole.decode("latin-1").splitlines()
    rows = [line.split() for line in lines[above:] if line.strip()]
    titles = [line.split() for line in lines[:above] if line.strip()]
    if not all(map(_LINE.fullmatch, map(" ".join, rows))) or not _flows(rows, titles):
        return None, text
    numbers = list(itertools.chain.from_iterable(rows))
    told = f"{many(above, 'line')} above the numbers left out ({' '.join(titles[0])[:60]})"
    told += f"; they go on from line to line: one series of {len(numbers)}" * (len(numbers) > len(rows))
    return TableText(io.BytesIO("\n".join(["value", *numbers, ""]).encode()), (told,)), text


def _above(head: bytes) -> int:
    """How many lines of words stand above lines of numbers between spaces; 0 where none, or other lines, do."""
    lines = head.replace(b"\r\n", b"\n").decode("latin-1").split("\n")
    lines = lines[:-1] if len(lines) > 1 else lines
    at = next((k for k, line in enumerate(lines) if _LINE.fullmatch(line)), 0)
    if not 0 < at <= MOST_ABOVE or not _LETTER.search(lines[0]) or lines[0][:1] in "#%" or '"' in lines[0]:
        return 0
    body = [line for line in lines[at:] if line.strip()]
    return at if len(body) >= LEAST_LINES and all(map(_LINE.fullmatch, body)) else 0


def _is_prose(words: list[str]) -> bool:
    """Whether words are those of a title, with commas and years, and no names of columns."""
    return any(word.endswith((",", ".")) or _LINE.fullmatch(word) for word in words)


def _flows(rows: list[list[str]], titles: list[list[str]]) -> bool:
    """Whether numbers go on from line to line: one a line, or as many in all but the last, all of one kind, and the
    title does not name them as columns."""
    widths = [len(row) for row in rows]
    width = widths[0]
    if (
        {*widths[:-1]} != {width}
        or widths[-1] > width
        or any(len(title) == width > 1 and not _is_prose(title) for title in titles)
    ):
        return False
    if width == 1:
        return any("," in word for title in titles for word in title)  # else it is the name of the column
    columns = [[float(row[k]) for row in rows[:-1]] for k in range(width)]
    steady = len({b - a for a, b in itertools.pairwise(columns[0])}) == 1  # a count, or times
    middles = [statistics.median(column) for column in columns]
    alike = all(min(column) <= middle <= max(column) for column in columns for middle in middles)
    places = {len(cell.partition(".")[2]) for row in rows for cell in row}
    years = width in OF_A_YEAR and len(places) == 1 and len(rows) * width <= MOST_MONTHS
    if width < LEAST or steady or not (alike or years):
        return False
    return years or _goes_on([float(cell) for row in rows for cell in row], width)


def _goes_on(numbers: list[float], width: int) -> bool:
    """Whether numbers are as much like those before them as like those a line before, or not much like these."""
    some = numbers[:MOST_NUMBERS]
    if len({*some}) < LEAST or len(some) < 3 * width:
        return False
    beside, below = (statistics.correlation(some[by:], some[:-by]) for by in (1, width))
    return below < ALIKE or beside >= below
