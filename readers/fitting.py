"""What separates the cells of a CSV, and its decimal mark, where no flag says it: the only ones that fit its lines.

Where none fits, or two do, the usual ones are tried, and the error of reading names the flags that decide.
"""

from __future__ import annotations

import csv
import functools
import io
import itertools
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from readers.breaks import are_in, without
from readers.dialect import AUTO, SEPARATORS, SNIFF_CELLS, Dialect
from readers.guess import has_names
from readers.missing import is_mark
from readers.tidying import MOST_NOTES, foot, widened
from readers.units import accounted, odd_number, same_mark, split_mark, units_below
from times.words import is_time

HEAD = 1 << 18  # bytes of a file's beginning that are looked at
LEAST_HEAD, MOST_HEAD = 12, 1 << 23  # lines of it, at least, where they are longer, up to so many bytes
CHUNKS, CHUNK = 8, 1 << 14  # pieces of the rest, as a meter that stood still at first has no decimals there, and bytes
MOST_LINES = 100  # first lines of each, and about as many from all over the rest of it
PHASE = (5**0.5 - 1) / 2  # whose multiples modulo 1 are the most even
MOST_ABOVE = 120  # lines above a header, which is looked for among so many
MANY = 20  # numbers such as "1,234" in quotes, between commas, of which none has another count of digits: thousands
FACT = 2  # cells: what is said of a whole table, and its name
LEAST_LINES = 20  # of which none has a space within a word by chance
CHANCE = 2  # numbers more than texts in a column above its name, as the head of a report may have
MARKS = ((".", ""), (",", ""), (",", "."), (",", " "), (",", "'"), (".", ","), (".", " "), (".", "'"))
NAMES = {"\t": "tabs", " ": "spaces"}
QUOTED = re.compile(r'"[^"]*"(?: "[^"]*")+\s*')  # names as R writes them
NUMERIC = re.compile(r"[+-]?[\d.,][\d.,'\s\u202f]*(?:e[+-]?\d+)?", re.IGNORECASE)
# A number in quotes with a comma within, or one with a mark between thousands. Between commas and without any, only
# points can be decimal marks, and the cells need no look.
_OTHER_MARK = re.compile(r""""[^",]*\d[^",]*,|\d['\s\u202f]\d{3}""")
_GROUPED = re.compile(r"[+-]?[1-9]\d{0,2}(?:,\d{3})+")


def fitted(lines: Sequence[str], asked: Dialect) -> Dialect:
    """The dialect of a CSV: as asked, with a separator and a decimal mark for what is `AUTO` there.

    Parameters
    ----------
    lines : some of the file, its first ones at the beginning, without their ends.
    asked : what the flags say.

    Returns
    -------
    A dialect whose `taken` says what was taken, "" for the usual comma and point.
    """
    return _fitted(tuple(lines), asked)


@functools.lru_cache(maxsize=4)  # a header is looked at before its table is read
def _fitted(lines: tuple[str, ...], asked: Dialect) -> Dialect:
    sep = _separator(lines, asked) if asked.sep == AUTO else asked.sep
    asked_mark, asked = asked, replace(asked, decimal=AUTO) if asked.decimal == sep else asked
    plain = replace(asked, sep=sep, decimal=_usual(asked))
    marks = (
        None if sep == "," and not any(map(_OTHER_MARK.search, lines)) else _marks(rows_of(lines, plain), asked, sep)
    )
    decimal, thousands = marks or (plain.decimal, "")
    if asked_mark.decimal == sep != decimal:
        return replace(asked_mark, sep=sep)  # which is refused: no cell with quotes needs this mark
    told = [f"{decimal!r} as the decimal mark, in quotes"] if decimal == sep else []
    if asked.sep == AUTO and sep != ",":
        told.append(f"{NAMES.get(sep, repr(sep))} between cells")
    if asked.decimal == AUTO and decimal not in (".", sep):
        told.append(f"{decimal!r} as the decimal mark")
    if thousands and not asked.thousands:
        told.append(f"{thousands!r} between thousands")
    taken = f"read with {', '.join(told)}: nothing else fits" if told else ""
    return replace(plain, decimal=decimal, thousands=asked.thousands or thousands, taken=taken)


def read_head(text: io.BufferedIOBase) -> tuple[bytes, bool]:
    """The first bytes of a text, HEAD of them or LEAST_HEAD lines, and whether it ends with them."""
    head, wanted = text.read(HEAD), HEAD
    while len(head) == wanted < MOST_HEAD and head.count(b"\n") <= LEAST_HEAD:
        head, wanted = head + text.read(wanted), 2 * wanted
    return head, len(head) < wanted


def some_lines(path: Path, head: bytes, *, ended: bool, plain: bool) -> list[str]:
    """Lines from the beginning of a file and, where it goes on, from places all over it.

    Parameters
    ----------
    path : the file.
    head : its first bytes as text.
    ended : whether these are all.
    plain : whether that text is what the file holds, and not packed or translated.
    """
    broken = are_in(head)  # then a place further on may be within quotes
    lines = _whole_lines(without(head) if broken else head, first=True, last=ended)
    size, begun = path.stat().st_size, len(head)
    if not broken and not ended and size > begun and plain:
        with path.open("rb") as file:
            begin = begun
            for number in range(1, CHUNKS + 1):
                end = begun + (size - begun) * number // CHUNKS
                begin = max(begin, end - CHUNK)  # no line is taken twice
                file.seek(begin)
                lines += _whole_lines(file.read(end - begin), first=False, last=number == CHUNKS)
                begin = end
    return lines


def _whole_lines(text: bytes, *, first: bool, last: bool) -> list[str]:
    """The complete lines of a piece of a file; a piece that is its `first` or `last` begins or ends with one."""
    lines = text.replace(b"\r\n", b"\n").split(b"\n")
    kept = lines[0 if first else 1 : None if last or (first and len(lines) == 1) else -1]
    step = len(kept) // MOST_LINES or 1  # of series whose lines take turns, one alone might come at even steps
    spread = (at + int(PHASE * (at - MOST_LINES)) % step for at in range(MOST_LINES, len(kept), step))
    within = (at for at in spread if at < len(kept))
    chosen = sorted({*range(min(MOST_LINES, len(kept))), *within, *range(len(kept))[-1:]})
    return [_decoded(kept[at]) for at in chosen if kept[at].strip()]


def _decoded(line: bytes) -> str:
    """A line as UTF-8, or else Latin-1."""
    try:
        return line.decode()
    except UnicodeDecodeError:
        return line.decode("latin-1")


def _usual(asked: Dialect) -> str:
    return asked.decimal if asked.decimal != AUTO else "."


def _separator(lines: Sequence[str], asked: Dialect) -> str:
    """The only separator with which the lines are a table; a comma where there is none, or several."""
    spaced = replace(asked, sep=" ", decimal=_usual(asked))
    if lines and QUOTED.fullmatch(lines[0]) and _is_table(lines, spaced) and _has_words_quoted(lines, spaced):
        return " "
    if not any(mark in line for line in lines for mark in SEPARATORS[1:]) and any("," in line for line in lines):
        return ","
    marks = [mark for mark in SEPARATORS if mark != asked.decimal]
    fit = [mark for mark in marks if _is_table(lines, replace(asked, sep=mark, decimal=_usual(asked)))]
    if not fit and not any(mark in line for line in lines for mark in SEPARATORS[1:]):
        return " " if _is_table(lines, spaced) and (_has_no_words(lines, spaced) or _mostly(lines, spaced)) else ","
    return fit[0] if len(fit) == 1 else ","


def _is_table(lines: Sequence[str], dialect: Dialect) -> bool:
    """Whether the lines have equally many cells, several, with numbers in a column, and no other separator in one."""
    rows = rows_of(lines, dialect)
    if not rows or len(rows[-1]) < 2:
        return False
    others = [mark for mark in SEPARATORS[1:] if mark != dialect.sep]
    if any(mark in cell for row in rows for cell in row for mark in others):
        return False
    return any(_is_numeric(column, dialect) or all(map(is_time, column)) for column in _columns(rows))


def _mostly(lines: Sequence[str], dialect: Dialect) -> bool:
    """Whether lines have equally many cells, most of them numbers, where words with spaces in them would differ."""
    rows = [line.split() for line in lines if line.strip()]
    columns = list(zip(*rows, strict=False))
    numeric = sum(_is_numeric([cell for cell in column if not is_mark(cell)], dialect) for column in columns)
    return len(rows) >= LEAST_LINES and len({*map(len, rows)}) == 1 and 2 * numeric > len(columns) > FACT


def _has_no_words(lines: Sequence[str], dialect: Dialect) -> bool:
    """Whether all columns are numbers or times: among words, a space is one within a name."""
    return all(
        _is_numeric(column, dialect) or all(map(is_time, column)) for column in _columns(rows_of(lines, dialect))
    )


def _has_words_quoted(lines: Sequence[str], dialect: Dialect) -> bool:
    """Whether all names and words are in quotes, as R writes them, and no space is within one by chance."""
    names, *rows = rows_of(lines, dialect)
    words = [{*filter(dialect.is_text, column)} for column in zip(*rows, strict=True)]
    text = "\n".join(lines)
    return all(f'"{word}"' in text for word in {*names}.union(*words) if word)


def rows_of(lines: Sequence[str], dialect: Dialect) -> list[list[str]]:
    """The cells of the table in some lines, the header first; [] where they are not all of one width.

    Parameters
    ----------
    lines : as `fitted` takes them. What stands above the header, and lines that begin with a hash sign, are left out.
    dialect : how they are written.
    """
    rows: list[list[str]] = []
    names, below = "", 0  # which may stand behind a hash sign, and the lines above
    for line in lines:
        if line.startswith("#"):
            names, below = (
                (line.lstrip("# "), len(rows)) if line.strip("# ") and _is_above(rows, dialect) else (names, below)
            )
        else:
            try:
                rows += list(csv.reader([line], delimiter=dialect.sep, skipinitialspace=dialect.sep != " "))
            except csv.Error:
                return []
    rows = [[cell.strip() for cell in row[:SNIFF_CELLS]] for row in rows if any(map(str.strip, row))]
    rows = _once(rows, dialect)
    if not rows:
        return []
    width = Counter(map(len, rows[len(rows) // 2 :])).most_common(1)[0][0]
    hidden = [cell.strip() for cell in names.split(dialect.sep)[:SNIFF_CELLS]]
    under = [row for row in rows[below:] if row][:1]
    named = len(hidden) == width > 1 and not any(map(dialect.is_number, hidden))
    if named and under and len(under[0]) == width and any(map(dialect.is_number, under[0])):
        rows[:below] = [hidden]
    texts = len(list(itertools.takewhile(lambda row: len(row) != width, reversed(rows[-MOST_NOTES:]))))
    rows = rows[: len(rows) - texts]
    rows = rows[_below_others(rows, width, dialect) :]
    start = next((at for at, row in enumerate(rows) if len(row) == width and any(row[1:] or row)), 0)
    if start and 1 < len(rows[start - 1]) < width:  # lines that end in a separator, below names that do not
        rows[start - 1] = widened(rows[start - 1], rows[start:])
        start -= len(rows[start - 1]) == width
    kept = rows[start:]
    kept = kept[_facts_above(kept) :]
    if start > MOST_ABOVE or any(len(row) != width for row in kept) or (width < 2 and start):
        return []
    return _plain(kept[_header_of(kept[: MOST_ABOVE + 2], dialect) :], dialect)


def _is_above(rows: Sequence[Sequence[str]], dialect: Dialect) -> bool:
    """Whether what stands below these first rows may have its names there: none has several numbers or times yet."""
    last = rows[-1] if rows else []
    return len(rows) <= MOST_ABOVE and sum(dialect.is_number(cell) or is_time(cell) for cell in last) < FACT


def _once(rows: list[list[str]], dialect: Dialect) -> list[list[str]]:
    """The rows, each row of words alone only once: where one table was written behind another, its names come again."""
    known: set[tuple[str, ...]] = set()
    kept = []
    for row in rows:
        words = len(row) > 1 and not any(dialect.is_like_number(cell) or is_time(cell) for cell in row)
        if words and tuple(row) in known:
            continue
        kept.append(row)
        if words:
            known.add(tuple(row))
    return kept


def _below_others(rows: Sequence[Sequence[str]], width: int, dialect: Dialect) -> int:
    """The first row below all those at the beginning that are of another width, where it has names; else 0.

    A small table of facts may stand above, of which some rows happen to be as wide.
    """
    odd = next((at for at in range(min(MOST_ABOVE, len(rows)) - 1, -1, -1) if len(rows[at]) != width), -1)
    if not any(len(row) == width for row in rows[: max(odd, 0)]):
        return 0
    below = rows[odd + 1 :]
    if len(rows[odd]) < width and has_names(rows[odd], dialect) and len(widened(rows[odd], below)) == width:
        return odd  # names of lines that end in separators
    return odd + 1 if below and has_names(below[0], dialect) else 0


def _facts_above(rows: Sequence[Sequence[str]]) -> int:
    """How many of the first rows are a fact and its name, filled up with separators, above names in all columns."""
    count = sum(1 for _ in itertools.takewhile(lambda row: sum(map(bool, row)) <= FACT, rows[: MOST_ABOVE + 1]))
    if not rows or len(rows[0]) < 2 * FACT or not 0 < count < len(rows) - 1:
        return 0
    if all(rows[count][:-1]) and not rows[count][0][:1].isdigit():
        return count
    # Two columns of values under names that leave those of the times out are no facts, which stand to the left.
    left = sum(1 for _ in itertools.takewhile(lambda row: not any(row[FACT:]), rows[:count]))
    return left if not any(rows[left][:FACT]) and all(rows[left][FACT:]) else 0


def _header_of(rows: Sequence[Sequence[str]], dialect: Dialect) -> int:
    """The row above which lines have as many cells by chance: the one on which a column of numbers stands."""
    columns = [column for column in zip(*rows, strict=True) if any(column[len(rows) // 2 :])]
    top = min((_last_text(column, dialect) for column in columns), default=0)
    # A line of a time, as those below it have, names nothing: a door's `off` stands there among numbers.
    if top >= len(rows) - 1 or any(is_time(a) and is_time(b) for a, b in zip(rows[top], rows[top + 1], strict=False)):
        return 0
    above = rows[top - 1] if top and all(rows[top - 1]) else ()
    named = len({*above}) == len(rows[0]) or not rows[top][0]  # names may come twice, units leave the times' out
    return top - (bool(above) and named and units_below(rows[top - 1 :], dialect))


def _last_text(column: Sequence[str], dialect: Dialect) -> int:
    """The last cell of a column that is text and has hardly more numbers than texts above it; 0 for none."""
    numbers = [_may_be_number(cell, dialect) for cell in column]
    counts = [0 if not cell else 1 if number else -1 for cell, number in zip(column, numbers, strict=True)]
    above = list(itertools.accumulate(counts))
    return next((at for at in reversed(range(len(numbers))) if not numbers[at] and above[at] <= CHANCE), 0)


def _plain(rows: Sequence[Sequence[str]], dialect: Dialect) -> list[list[str]]:
    """A table of names and lines without a line of units, a total at its end, and units in the cells of a column."""
    units = units_below(rows, dialect)
    body = [list(row) for row in rows[1 + units + (units and not rows[2][0]) :]]  # below units, how values were taken
    dates = [k for k, column in enumerate(zip(*body, strict=True)) if sum(map(is_time, column)) > len(body) // 2]
    if dates or sum(row[0].isdecimal() for row in body) > len(body) // 2:  # numbers of months, or of lines
        body = body[: len(body) - foot(body[-MOST_ABOVE:], dates[0] if dates else 0)]
    for k, column in enumerate(zip(*body, strict=True)):
        plain, _ = ([], "") if k in dates or dialect.is_number(column[0]) else same_mark(column, dialect)
        for row, cell in zip(body, plain, strict=False):
            row[k] = cell
    return [list(rows[0]), *body]


def _may_be_number(cell: str, dialect: Dialect) -> bool:
    if not dialect.is_text(cell) or NUMERIC.fullmatch(cell):
        return True
    return split_mark(cell) is not None or accounted(cell) != cell or odd_number(cell, dialect) is not None


def _columns(rows: Sequence[Sequence[str]]) -> list[tuple[str, ...]]:
    """The columns below the first line, which may be a header."""
    return list(zip(*(rows[1:] or rows), strict=True))


def _is_numeric(column: Sequence[str], dialect: Dialect) -> bool:
    """Whether a column has numbers, with any marks in them, and otherwise missing values."""
    texts = [cell for cell in column if dialect.is_text(cell)]
    return all(map(NUMERIC.fullmatch, texts)) and (bool(texts) or any(map(dialect.is_number, column)))


def _marks(rows: Sequence[Sequence[str]], asked: Dialect, sep: str) -> tuple[str, str] | None:
    """The marks of decimals and of thousands with which all columns that can be numbers are; None where unclear."""
    tried = [
        (mark, group) for mark, group in MARKS if asked.decimal in (AUTO, mark) and not (group and asked.thousands)
    ]
    if not any("," in cell for row in rows for cell in row):
        tried = [(mark, group) for mark, group in tried if "," not in (mark, group)] or tried
    kinds = [replace(asked, sep=";", decimal=mark, thousands=group or asked.thousands) for mark, group in tried]
    columns = _columns(rows)

    @functools.cache
    def fits(column: int, kind: int) -> bool:
        return not any(map(kinds[kind].is_text, columns[column]))

    numeric = [c for c, _ in enumerate(columns) if any(fits(c, at) for at, _ in enumerate(kinds))]
    fit = next((at for at, _ in enumerate(kinds) if all(fits(c, at) for c in numeric)), None)
    if fit is None or not numeric:
        return None
    marked = [cell for c in numeric for cell in columns[c] if "," in cell]
    if tried[fit] == (",", "") and all(map(_GROUPED.fullmatch, marked)):  # 1,234 may be a thousand or one
        return (".", ",") if sep == "," and len(marked) >= MANY and (".", ",") in tried else None
    return tried[fit]
