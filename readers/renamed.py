"""First lines as pandas writes them where a table has no names: 0, 1 and so on above few columns, and nothing above the
index; and a line of values that was once read as names, and written back as it numbers those that come twice, 1.5 and
1.5.1, which is a line of values all the same.
"""

from __future__ import annotations

import io
import itertools
import re
from collections import Counter

from readers.base import NUMBER
from readers.pieces import BLOCK, Pieces

SOME = 2  # lines
LEAST, SEVERAL = 4, 3  # cells of a line; whole numbers with a number behind them that are no chance
NOTE = "the first line holds values, once taken as names and numbered where two are alike ({}): it is read as values"
NUMBERED = (
    "the first line numbers the columns from 0 on, as pandas does where they have no names: here they are called {}"
)
NAMES = ("one", "two", "three", "four", "five", "six", "seven", "eight")  # the lines of more may be series
VALUE, LEAST_LINES = "value", 20
_NUMBER = re.compile(NUMBER)
_AGAIN = re.compile(rf"({NUMBER})\.(\d+)")
_NAMELESS = re.compile(r"Unnamed: \d+")
_INTEGER = re.compile(r"[-+]?\d+")


def values_renamed(text: io.BufferedReader) -> tuple[io.BufferedReader, str]:
    """A file's text with its first line as the values that it was, and a note; as it is, and "", where it has names.

    Parameters
    ----------
    text : at its start.
    """
    head = text.peek(BLOCK)[:BLOCK]
    lines = head.split(b"\n", 2)
    if len(lines) < SOME or not re.match(rb"[-+.\d]", head) or not (lines[0] + lines[1]).isascii():
        return text, ""
    first, second = (line.decode().rstrip("\r") for line in lines[:2])
    sep = next((mark for mark in (",", ";", "\t") if mark in first), "\n")
    names = first.split(sep)
    values = _values(names, second.split(sep))
    told = next((a for a, b in zip(names, values, strict=False) if a != b), "")
    if not told:
        return text, ""
    text.read(len(first))
    parts = itertools.chain([sep.join(values).encode()], iter(lambda: text.read(BLOCK), b""))
    return io.BufferedReader(Pieces(parts), BLOCK), NOTE.format(told)


def without_numbers(text: io.BufferedReader) -> tuple[io.BufferedReader, str]:
    """A file's text with words in place of a first line that only numbers its few columns, and a note; as it is, and ""
    where that is not plain: the lines below have an index, or a point in each number, which the first one has not.

    Parameters
    ----------
    text : at its start.
    """
    head = text.peek(BLOCK)[:BLOCK]
    if not re.match(rb'["\']?(?:Unnamed: 0|0)?["\']?(?:[,;\t]["\']?0["\']?)?[,;\t\r\n]', head):
        return text, ""
    lines = head.decode("latin-1").splitlines()[: LEAST_LINES + 1]
    sep = next((mark for mark in (",", ";", "\t") if mark in lines[0]), "\n")
    rows = [[cell.strip("\"' ") for cell in line.split(sep)] for line in lines]
    names, below = rows[0], rows[1:]
    indexed = names[0] == "" or _NAMELESS.fullmatch(names[0]) is not None
    count = len(names) - indexed
    if len(below) < LEAST_LINES or not 0 < count <= len(NAMES) or names[indexed:] != [*map(str, range(count))]:
        return text, ""
    if any(len(row) != len(names) for row in below):
        return text, ""
    if indexed and [row[0] for row in below] != [*map(str, range(LEAST_LINES))]:
        return text, ""
    if not indexed and not all("." in cell for row in below for cell in row):
        return text, ""
    text.readline()
    called = NAMES[:count] if count > 1 else (VALUE,)
    parts = itertools.chain([f"{sep.join([*[''] * indexed, *called])}\n".encode()], iter(lambda: text.read(BLOCK), b""))
    return io.BufferedReader(Pieces(parts), BLOCK), NUMBERED.format(", ".join(called))


def _values(names: list[str], below: list[str]) -> list[str]:
    """The values that a line of names was; [] where they are names.

    Parameters
    ----------
    names : its cells. below : those of the next line.
    """
    if len(names) < LEAST or len(names) != len(below):
        return []
    seen: Counter[str] = Counter()
    values, again, texts = [], 0, 0
    certain = False  # 1.5.1 is no number, and 5.1 may be one
    for name, under in zip(names, below, strict=True):
        found = _AGAIN.fullmatch(name)
        known = found and 0 < seen[found[1]] == int(found[2]) and (_is_odd(name) or _INTEGER.fullmatch(under))
        values.append(found[1] if found and known else "" if _NAMELESS.fullmatch(name) else name)
        seen[values[-1]] += 1
        again += bool(known)
        certain = certain or bool(known and _is_odd(name))
        texts += not (values[-1] == "" or _NUMBER.fullmatch(values[-1]))
    counted = again >= SEVERAL and all(map(_INTEGER.fullmatch, values)) and not _rises(names)
    return values if texts <= 1 and (certain or counted) else []


def _is_odd(name: str) -> bool:
    """Whether a cell is no number."""
    return not _NUMBER.fullmatch(name)


def _rises(names: list[str]) -> bool:
    """Whether numbers are those of steps: 0, 0.1, 0.2, ..."""
    numbers = [float(name) for name in names if _NUMBER.fullmatch(name)]
    return all(a < b for a, b in itertools.pairwise(numbers))
