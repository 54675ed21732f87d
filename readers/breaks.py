"""Line breaks within cells in quotes, as comments and names of two lines have them: they are spaces."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator

from readers.dialect import SEPARATORS
from readers.pieces import BLOCK, Pieces
from times.words import is_clock_word, is_time

HEAD = 1 << 16  # bytes that show whether there are some
LEAST = 4  # records of one width
MOST_ODD = 10  # one record of so many may be of another width: what stands above a table, or below it
NOTE = "line breaks in the {}, which are in quotes, are read as spaces, and lines are counted without them"
_QUOTE, _SPACE, _ENDS = 34, 32, (10, 13)


def in_names(text: io.BufferedReader) -> tuple[io.BufferedReader | None, str]:
    """A file's text in which no line ends within quotes, and a note, where its first line does, or others of a table
    without times in its first column; None for another file.

    Parameters
    ----------
    text : at its start.
    """
    head = text.peek(HEAD)[:HEAD]
    first = head.lstrip(b"\xef\xbb\xbf\r\n").split(b"\n", 1)[0]
    named = first.count(b'"') % 2 == 1
    if not are_in(head) or (not named and _begins_with_times(head)):
        return None, ""
    return io.BufferedReader(Pieces(_joined(text, BLOCK)), BLOCK), NOTE.format("names" if named else "cells")


def _begins_with_times(head: bytes) -> bool:
    """Whether the first column of a table is one of times, by its name or below it: long tables may have such lines."""
    lines = [re.split(r"[,;\t|]", line, maxsplit=1)[0] for line in without(head).decode("utf-8", "replace").split("\n")]
    cells = [cell.strip().strip('"\ufeff') for cell in lines[:3]]
    return is_clock_word(cells[0]) or any(map(is_time, cells[1:]))


def are_in(head: bytes) -> bool:
    """Whether the first bytes of a file are those of a table only if lines may end within quotes.

    Parameters
    ----------
    head : of any length; the last line may end early.
    """
    lines = head.split(b"\n")
    if b'"' not in head or not any(line.count(b'"') % 2 for line in lines[:-1]):
        return False
    text = head.decode("utf-8", "replace")
    return any(_has_breaks(text, sep) for sep in SEPARATORS)


def without(head: bytes) -> bytes:
    """The first bytes of a file with a space in place of each line break within quotes."""
    parts = head.split(b'"')
    parts[1::2] = [part.replace(b"\r", b" ").replace(b"\n", b" ") for part in parts[1::2]]
    return b'"'.join(parts)


def _has_breaks(text: str, sep: str) -> bool:
    """Whether the text is a table of some lines of one width only if lines may end within quotes."""
    rows = []
    try:
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=sep, strict=True):
            rows.append(row)
    except csv.Error:  # a quote amid a cell, or the end of what is looked at
        rows.append([])
    rows = [row for row in rows[:-1] if row]  # the last may end early
    widths = [len(row) for row in rows]
    usual = max({*widths}, key=widths.count, default=0)
    broken = any("\n" in cell or "\r" in cell for row in rows if len(row) == usual for cell in row)
    odd = len(rows) - widths.count(usual)
    return broken and usual > 1 and len(rows) >= LEAST and odd * MOST_ODD <= len(rows)


def _joined(text: io.BufferedReader, size: int) -> Iterator[bytes]:
    """The text, a space in place of each line break within quotes."""
    import numpy as np

    inside = 0  # quotes before, odd where one is open
    while block := text.read(size):
        codes = np.frombuffer(block, np.uint8)
        quotes = codes == _QUOTE
        opened = (np.cumsum(quotes) + inside) % 2 == 1
        inside = (inside + int(quotes.sum())) % 2
        breaks = opened & np.isin(codes, _ENDS)
        yield np.where(breaks, _SPACE, codes).astype(np.uint8).tobytes() if breaks.any() else block
