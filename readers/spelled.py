"""CSV text in spellings that the parser does not know, as it reads it: cells in single quotes, columns between runs of
spaces or with spaces around the line, and lines that end in a semicolon.
"""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from readers import ruled
from readers.pieces import BLOCK, Pieces

HEAD = 1 << 16  # bytes that show how a file is spelled
MOST, LEAST = 50, 3  # lines of it
LEAST_COMMAS = 2  # of a line that may end in a semicolon
_NUMBERS = re.compile(rb"[-+.\deEnaNA ?]+")
COLUMNS = "columns stand between runs of spaces; their units, and words behind the last one, are left out"
MOST_ABOVE, LEAST_BODY = 12, 6  # lines above the names, without those behind a hash sign, and of numbers below them
MOST_LINES = 200
_CELL = re.compile(rb"[-+]?(?:\d*\.?\d+|\d+\.)(?:[eE][-+]?\d+)?[*#$]*|-+")
_VALUE = re.compile(_CELL.pattern + rb"|MM|NaN|NA")
NOTHING = b"MM"  # of a buoy, where nothing was measured
_YEAR = re.compile(rb"(?:19|20)\d\d")
SPACES = "runs of spaces between cells are read as one separator"
TABS = "runs of tabs between cells are read as one separator"
_TABS = re.compile(rb"\t+")
_SINGLE = re.compile(rb"\s*'[^'\"]*'(?:\s*[,;\t|]\s*(?:'[^'\"]*'|[^'\"]*))*\s*")
_OTHER = re.compile(rb"[,;\t|\"']")
_BLANKS, _MIXED = re.compile(rb"[ \t]+"), re.compile(rb"[ \t]{2,}| .*\t|\t.* ")
_RUN, _WIDE, _GAP = re.compile(rb"[ ]+"), re.compile(rb"[ ]{2,}"), re.compile(rb"\S[ ]{2,}\S")


def spelled(text: io.BufferedReader) -> tuple[io.BufferedReader | None, str]:
    """A file's text as the parser reads it, and a note on what was done; None where it is so already.

    Parameters
    ----------
    text : at its start.
    """
    head = text.peek(HEAD)[:HEAD]
    lines = [line for line in head.replace(b"\r\n", b"\n").split(b"\n")[:-1] if line.strip() and line[:1] != b"#"]
    first = head.split(b"\n", 1)[0].rstrip(b"\r")
    apart = b"  " in first.strip() or (b" " in first.strip() and first != first.strip())
    if apart and _NUMBERS.fullmatch(first):  # as Fortran and MATLAB write, whose lines may be long
        return changed(text, partial(_apart, gap=_RUN, mark=b" ")), SPACES
    lines = lines[:MOST]
    if len(lines) < LEAST:
        return None, ""
    if drawn := ruled.ruled(head):
        return changed(text, drawn.change), ruled.NOTE
    if all(map(_is_ended, lines)):
        return changed(text, _bare), "a semicolon at the end of each line is left out"
    if all(map(_SINGLE.fullmatch, lines)):
        return changed(text, lambda part: part.replace(b"'", b'"')), "cells are in single quotes"
    if found := _below_titles(head) or _below_notes(head):
        return changed(text, _Columns(*found).change), COLUMNS
    if len({_blanks(line) for line in lines}) == 1 and _blanks(lines[0]) > 1:
        return changed(text, _outside_quotes), SPACES
    if _are_doubled(lines):
        return changed(text, partial(_apart, gap=_TABS, mark=b"\t")), TABS
    if any(map(_OTHER.search, lines)) or not any(map(_GAP.search, lines)):
        return None, ""
    for gap, mark in ((_RUN, b" "), (_WIDE, b"\t")):
        if len({len(gap.split(line.strip())) for line in lines}) == 1:
            return changed(text, partial(_apart, gap=gap, mark=mark)), SPACES
    return None, ""


def _are_doubled(lines: Sequence[bytes]) -> bool:
    """Whether lines between tabs have as many cells each only where several tabs are one."""
    bare = [line.strip() for line in lines]
    if any(re.search(rb"[,;|\"']", line) for line in bare) or len({line.count(b"\t") for line in bare}) == 1:
        return False
    widths = {len(_TABS.split(line)) for line in bare}
    return len(widths) == 1 and widths.pop() > LEAST_COMMAS


def _blanks(line: bytes) -> int:
    """How many gaps of several blanks or tabs, or one, are between the cells of a line, of which some are in quotes; 0
    for a line without quotes, or with another separator outside of them."""
    parts = line.strip().split(b'"')
    outside = b'"'.join(parts[::2])
    if len(parts) < 3 or len(parts) % 2 == 0 or re.search(rb"[,;|]|[^\s\"]\"|\"[^\s\"]", outside):
        return 0
    return len(_BLANKS.findall(outside)) if _MIXED.search(outside) else 0


def _outside_quotes(lines: bytes) -> bytes:
    """Whole lines with a tab for each gap between their cells."""
    return b"\n".join(_of_quotes(line.strip()) for line in lines.split(b"\n"))


def _of_quotes(line: bytes) -> bytes:
    parts = line.split(b'"')
    return b'"'.join([_BLANKS.sub(b"\t", part) if at % 2 == 0 else part for at, part in enumerate(parts)])


def _is_ended(line: bytes) -> bool:
    """Whether a line of cells between commas, two at least, ends in semicolons alone."""
    bare = line.rstrip(b";, \t\r")
    return b";" in line[len(bare) :] and b";" not in bare and bare.count(b",") >= LEAST_COMMAS


def _below_titles(head: bytes) -> tuple[int, int, int] | None:
    """Of a report whose columns stand between runs of spaces, below some lines of text, as weather services write them:
    the line of its names, the first one of numbers, and how many columns there are; None for another text."""
    lines = head.replace(b"\r\n", b"\n").split(b"\n")[:MOST_LINES]
    cells, noted = [line.lstrip(b"# ").split() for line in lines], [line[:1] == b"#" for line in lines]
    for at, names in enumerate(cells):
        if at - sum(noted[:at]) >= MOST_ABOVE:
            break
        width = len(names)
        below = cells[at + 1] if at + 1 < len(lines) else []
        numbers = len(below) >= width and all(map(_VALUE.fullmatch, below[:width]))
        begin = at + 1 if numbers or len(below) == width else at + 2  # below a line of units
        begin += noted[at] and begin == at + 1 and not numbers  # units behind a hash sign
        body = cells[begin : begin + LEAST_BODY]
        named = (at or noted[at]) and width > 2 and len({*names}) == width and not any(map(_CELL.fullmatch, names))
        named = named and not all(name.startswith((b"(", b"[")) for name in names)  # which are units
        whole = not noted[at] or all(len(row) == width for row in body)  # words of a remark may be fewer
        plain = whole and all(len(row) >= width and all(map(_VALUE.fullmatch, row[:width])) for row in body)
        if named and plain and len(body) == LEAST_BODY and not any(noted[begin : begin + LEAST_BODY]):
            return at, begin, width
    return None


def _below_notes(head: bytes) -> tuple[int, int, int] | None:
    """The same of lines that begin with a year, of numbers between runs of spaces, below lines of text of which none
    names them: the line of names is then the first of numbers."""
    lines = [line.split() for line in head.replace(b"\r\n", b"\n").split(b"\n")[:MOST_LINES]]
    at = next((k for k, row in enumerate(lines) if row and _YEAR.fullmatch(row[0])), 0)
    above = [row for row in lines[:at] if row and not row[0].startswith(b"#")]
    body = lines[at : at + LEAST_BODY]
    if len(above) > MOST_ABOVE or any(len(row) == len(body[0]) for row in above):  # which name them
        return None
    width = len(list(itertools.takewhile(_VALUE.fullmatch, body[0]))) if at else 0
    if at and any(map(_VALUE.fullmatch, body[0][width:])):  # words between numbers are a column, no remarks at the end
        body, width = [[_word(cell) for cell in row] for row in body], len(body[0])
    alike = all(len(row) == len(body[0]) and all(map(_VALUE.fullmatch, row[:width])) for row in body)
    dated = all(_YEAR.fullmatch(row[0]) for row in body if row)
    return (at, at, width) if width > 2 and len(body) == LEAST_BODY and alike and dated else None


def _word(cell: bytes) -> bytes:
    """A number in place of a word, which counts as well where columns have words."""
    return cell if _CELL.fullmatch(cell) else b"0"


class _Columns:
    """The lines of such a report with tabs between cells; blank above, and without a word behind the last column."""

    def __init__(self, names: int, begin: int, width: int) -> None:
        self.out, self.names, self.width = {*range(names), *range(names + 1, begin)}, names, width
        self.seen = 0

    def change(self, lines: bytes) -> bytes:
        """Some whole lines, which follow those of the call before."""
        rows = lines.replace(b"\r", b"").split(b"\n")
        kept = [
            [] if at in self.out else row.lstrip(b"# ").split()[: self.width] for at, row in enumerate(rows, self.seen)
        ]
        names = kept[self.names - self.seen] if self.seen <= self.names < self.seen + len(rows) else []
        kept = [[b"NaN" if cell == NOTHING and row is not names else cell for cell in row] for row in kept]
        if names:
            kept[self.names - self.seen] = [name.rstrip(b",") for name in names]
        self.seen += len(rows)
        return b"\n".join(b"\t".join(row) for row in kept)  # as many lines, so that messages count those of the file


def _apart(lines: bytes, gap: re.Pattern[bytes], mark: bytes) -> bytes:
    """Whole lines with a mark for each gap between their cells."""
    return b"\n".join(gap.sub(mark, line.strip()) if line[:1] != b"#" else line for line in lines.split(b"\n"))


def _bare(lines: bytes) -> bytes:
    """Whole lines without the semicolons at their ends."""
    return b"\n".join(re.sub(rb";[;,\s]*$", b"", line) for line in lines.split(b"\n"))


def changed(text: io.BufferedReader, change: Callable[[bytes], bytes]) -> io.BufferedReader:
    """A text with its lines changed.

    Parameters
    ----------
    text : at its start. change : makes some whole lines of some.
    """

    def parts() -> Iterator[bytes]:
        rest = b""
        while piece := text.read(BLOCK):
            whole, end, rest = (rest + piece).rpartition(b"\n")
            if whole or end:
                yield change(whole) + end
        if rest:
            yield change(rest)

    return io.BufferedReader(Pieces(parts()), BLOCK)
