"""CSVs whose names take more than one line or column: several columns of words beside the steps of a wide table, as
statistical offices write them, below what stands above it; the three lines of names of a pandas frame; and names of all
columns but the first, which holds those of the lines, as R writes them.
"""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections.abc import Iterator, Sequence

from errors import many
from readers.base import TableText
from readers.bundles import bundled, is_dated
from readers.dialect import SEPARATORS, Dialect, line_of
from readers.fitting import QUOTED
from readers.heads import plain_dates
from readers.months_down import MOST_LINES, months_down
from readers.once import NOTE, filled, stands_once
from readers.paths import abridge
from readers.pieces import Pieces
from times.growing import is_step_word
from times.words import is_time, is_time_word
from times.written import YEAR

HEAD = 1 << 16  # bytes that show how a file is laid out
MOST_ABOVE, MOST_WORDS, LEAST_STEPS = 12, 12, 4  # lines above the names, columns of words, columns of steps
PLAIN = Dialect()
_TYPES = """
    int integer int32 int64 bigint smallint long float float32 float64 double decimal numeric real number str string
    text varchar char object datetime datetime64 date timestamp timestamptz bool boolean category
"""
MOST_ONCE = 500  # first lines, of which some have a name for those below
LEAST_COUNTED = 20  # columns of steps that are counted, not dated
_BEGIN = re.compile(r"start|begin|first", re.IGNORECASE)
_COUNT = re.compile(r"(\D*)(\d+)")
_YEAR = re.compile(rf"(?:X|Y|YR|FY?)?{YEAR}(?: \[YR\d{{4}}\])?")
_MADE = re.compile(rf"X(?={YEAR}\.|\d{{1,2}}\.\d{{1,2}}\.\d\d)")  # what R puts before a date that is to be a name
_MONTH = re.compile(rf"{YEAR}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])?")
MOST_FLAGS = 3  # letters behind a year or a date that name the column of its flags and notes
_NUMBER = re.compile(r"[+-]?\d*[.,]\d+")


def described(text: io.BufferedReader) -> TableText | None:
    """A table with one line and one column of names, and notes on what was done; None where it has these.

    Parameters
    ----------
    text : at its start.
    """

    def made(pieces: Iterator[bytes], note: str) -> TableText:
        return TableText(io.BufferedReader(Pieces(pieces), HEAD), (note,))

    head = text.peek(HEAD)[:HEAD].removeprefix(b"\xef\xbb\xbf")
    if b"\0" in head:
        return None
    lines = head.decode("utf-8", "replace").replace("\r\n", "\n").split("\n")
    lines = lines[:-1] if len(head) == HEAD and len(lines) > 1 else lines
    for sep in SEPARATORS:
        rows = _rows(lines[: MOST_ABOVE + LEAST_STEPS], sep)
        if count := _types_below(rows):
            note = "line 2 holds the columns' types and is left out"
            note = note if count == 1 else "lines 2 and 3 hold the columns' types and marks, and are left out"
            return made(_without_types(text, count), note)
        if names := _two_names(rows):
            return made(_renamed(text, names, sep), "two lines of names are taken as one")
        if _has_three_names(rows):
            return made(_joined(text, rows, sep), "three lines of names are taken as one")
        if len(lines) <= MOST_LINES and (turned := months_down(_rows(lines, sep))):
            return made((f"{line_of(cells, sep)}\n".encode() for cells in turned[0]), turned[1])
        if found := _layout(rows):
            return _with_ids(text, sep, *found)
        if rows[2:] and rows[2][:1] == [""] and stands_once(_rows(lines[:MOST_ONCE], sep)):
            return made(filled(iter(text.readline, b""), sep.encode()), NOTE.format(rows[0][0]))
        if _has_one_more(rows):
            note = f"{rows[0][-1]!r}, the last of the names, has no column and is left out"
            return made(_with_names(text, rows[0][:-1], sep), note)
        if _lacks_first(rows):
            return made(_headed(text, sep), _without_first(rows))
    if QUOTED.fullmatch(lines[0]) and _lacks_first(rows := _rows(lines[: MOST_ABOVE + LEAST_STEPS], " ")):
        return made(_headed(text, " "), _without_first(rows))
    return None


def _without_first(rows: Sequence[Sequence[str]]) -> str:
    return f"the {len(rows[0])} names are those of all columns but the first, which names the lines"


def _rows(lines: Sequence[str], sep: str) -> list[list[str]]:
    try:
        return [[cell.strip() for cell in row] for row in csv.reader(lines, delimiter=sep)]
    except csv.Error:
        return []


# ---- no name of the first column


def _lacks_first(rows: Sequence[Sequence[str]]) -> bool:
    """Whether a table has a name less than columns, and a first column that counts its lines or names them."""
    names, body = (rows[0], rows[1:]) if rows else ([], [])
    if len(names) < 2 or len(body) < LEAST_STEPS or {*map(len, body)} != {len(names) + 1}:
        return False
    firsts = [row[0] for row in body]
    counted = all(map(str.isdecimal, firsts)) and all(int(b) == int(a) + 1 for a, b in itertools.pairwise(firsts))
    dated = all(map(is_time, firsts))
    worded = (
        all(map(PLAIN.is_text, firsts)) and len({*firsts}) == len(firsts) and (dated or not any(map(is_time, firsts)))
    )
    worded = worded and not (dated and is_time_word(names[0]))
    plain = all(names) and len({*names}) == len(names) and not any(map(PLAIN.is_like_number, names))
    return plain and (counted or worded) and any(row[-1] for row in body)


def _headed(text: io.BufferedReader, sep: str) -> Iterator[bytes]:
    """The text with an empty name before the others."""
    first = text.read(HEAD).removeprefix(b"\xef\xbb\xbf")
    yield b'""' + sep.encode() + first
    while block := text.read(HEAD):
        yield block


def _has_one_more(rows: Sequence[Sequence[str]]) -> bool:
    """Whether a table of dated lines has a name more than columns, as exports of prices do, the zone's last."""
    names, body = (rows[0], rows[1:]) if rows else ([], [])
    if len(names) < 3 or len(body) < LEAST_STEPS or {*map(len, body)} != {len(names) - 1}:
        return False
    plain = all(names) and not any(map(PLAIN.is_like_number, names))
    return plain and any(all(map(is_time, column)) for column in zip(*body, strict=True))


def _with_names(text: io.BufferedReader, names: Sequence[str], sep: str) -> Iterator[bytes]:
    """The text with other names in its first line."""
    text.readline()
    yield f"{line_of(names, sep)}\n".encode()
    while block := text.read(HEAD):
        yield block


# ---- types below the names


def _types_below(rows: Sequence[Sequence[str]]) -> int:
    """How many lines below the names hold the types of the columns (int, float, datetime), and maybe a mark for each
    (S, T), as NuPIC and exports of databases write them; 0 for none."""
    if len(rows) < 3 or len({*map(len, rows[:3])}) != 1 or len(rows[0]) < 2:
        return 0
    names, types = rows[0], rows[1]
    known = _TYPES.split()
    if not all(cell.casefold() in known for cell in types) or all(name.casefold() in known for name in names):
        return 0
    return 1 + (any(rows[2]) and all(len(cell) <= 1 and not cell.isdecimal() for cell in rows[2]))


def _without_types(text: io.BufferedReader, count: int) -> Iterator[bytes]:
    """The text without so many lines below its first."""
    yield text.readline()
    for _ in range(count):
        text.readline()
    while block := text.read(HEAD):
        yield block


# ---- three lines of names


def _has_three_names(rows: Sequence[Sequence[str]]) -> bool:
    """Whether a table begins as pandas writes columns of two levels: names, names, and that of the index alone."""
    if len(rows) < 4 or len({*map(len, rows[:4])}) != 1 or len(rows[0]) < 2:
        return False
    first, second, index, body = rows[:4]
    words = all(first[1:]) and any(second[1:]) and not any(map(PLAIN.is_like_number, filter(None, [*second, *first])))
    called = bool(index[0]) or (bool(first[0]) and bool(second[0]))  # the index, or the levels of the names alone
    return (
        words
        and (called and (all(second[1:]) or not index[0]))
        and not any(index[1:])
        and is_time(body[0])
        and any(map(PLAIN.is_like_number, body[1:]))
    )


def _two_names(rows: Sequence[Sequence[str]]) -> list[str]:
    """The names of a table of which two lines name the columns, neither of them each with another name: both in one;
    [] for another table. Where a cell of the first is empty, that before it goes on, as of merged cells."""
    if len(rows) < 4 or len({*map(len, rows[:4])}) != 1 or len(rows[0]) < 3 or rows[2][1:] == [""] * (len(rows[0]) - 1):
        return []
    (_, *first), (index, *second), *body = rows
    for at, name in enumerate(first):
        first[at] = name or first[max(at - 1, 0)]
    both = [f"{one} {two}" for one, two in zip(first, second, strict=True)]
    words = all(first) and all(second) and not any(map(PLAIN.is_like_number, [*first, *second]))
    again = len({*first}) < len(first) and 1 < len({*second}) < len(second) and len({*both}) == len(both)
    dated = all(is_time(row[0]) and any(map(PLAIN.is_like_number, row[1:])) for row in body[:2])
    return [index or "time", *both] if words and again and dated and not is_time(index) else []


def _renamed(text: io.BufferedReader, names: Sequence[str], sep: str) -> Iterator[bytes]:
    """The text with these names in place of its first two lines."""
    for _ in range(2):
        text.readline()
    yield f"{line_of(names, sep)}\n".encode()
    while block := text.read(HEAD):
        yield block


def _joined(text: io.BufferedReader, rows: Sequence[Sequence[str]], sep: str) -> Iterator[bytes]:
    """The text with the first of its lines of names that has none twice, or both in one."""
    for _ in range(3):
        text.readline()
    both = [" ".join(filter(None, names)) for names in zip(rows[0][1:], rows[1][1:], strict=True)]
    names = next(
        each for each in (rows[0][1:], rows[1][1:], both) if (all(each) and len({*each}) == len(each)) or each is both
    )
    yield f"{line_of([rows[2][0] or 'time', *names], sep)}\n".encode()
    while block := text.read(HEAD):
        yield block


# ---- columns of words


def _layout(rows: Sequence[Sequence[str]]) -> tuple[int, int, int] | None:
    """The line of names, the first column of steps, and the one after the last in a wide table with words before them,
    or behind; None for no such one."""
    for at, row in enumerate(rows[: MOST_ABOVE + 1]):
        names = list(row[:-1]) if row and not row[-1] else list(row)
        first = next((k for k, name in enumerate(names[: MOST_WORDS + 1]) if _is_step(name) or is_dated(name)), 0)
        if not 0 < first <= MOST_WORDS:
            continue
        end = _end(names, first)
        steps = [names[k] for k in _unflagged(names[:end], first)]
        if len(steps) < LEAST_STEPS or len({*steps}) < len(steps):
            continue
        below = [each for each in rows[at + 1 : at + 4] if any(each)]
        alike = bool(below) and all(abs(len(each) - len(row)) <= 1 for each in below)
        dated = all(map(_is_step, steps)) or plain_dates(steps) or bundled(steps)[0]
        more = first > 1 or at or end < len(names)
        if dated and alike and more and not any(is_time(each[0]) for each in below):
            return at, first, end
    found = _counted(rows)
    return found and (*found, len(rows[found[0]]))


def _end(names: Sequence[str], first: int) -> int:
    """The column after the last one of steps, where a few behind them have names of another kind: a source, a note."""
    end = next((k + 1 for k in range(len(names) - 1, first, -1) if _is_step(names[k])), len(names))
    behind = names[end:]
    return end if len(behind) <= MOST_WORDS and not any(map(PLAIN.is_like_number, behind)) else len(names)


def _counted(rows: Sequence[Sequence[str]]) -> tuple[int, int] | None:
    """The same of a table whose first line names several columns, and then steps that count: d_1, d_2, d_3. Where
    numbers are among what stands before them, such as an age, the steps are called so, and begin with 0 or 1."""
    names = rows[0] if rows else []
    numbered = [_COUNT.fullmatch(name) for name in names]
    first = next((k for k, found in enumerate(numbered) if found), 0)
    steps = [(found[1], int(found[2])) for found in numbered[first:] if found]
    begin = steps[0] if steps else ("", 0)
    counts = steps == [(begin[0], begin[1] + k) for k in range(len(names) - first)]
    below = [row for row in rows[1:4] if any(row)]
    before = [k for k in range(first) if not _BEGIN.search(names[k])]  # where a series begins, as the M3 has it
    dated = any(is_time_word(names[k]) or any(is_time(row[k]) for row in below if len(row) > k) for k in before)
    plain = below and not dated and 1 < first <= MOST_WORDS and counts and len(steps) >= LEAST_COUNTED
    words = all(row[:first] and not any(map(PLAIN.is_like_number, row[:first])) for row in below)
    return (0, first) if plain and (words or (begin[1] in (0, 1) and is_step_word(begin[0]))) else None


def _is_step(name: str) -> bool:
    plain = _MADE.sub("", name)
    return bool(_YEAR.fullmatch(name) or _MONTH.fullmatch(name)) or (is_time(plain) and not name.isdecimal())


def _unflagged(names: Sequence[str], first: int) -> list[int]:
    """The columns from the first of the steps on, without those of flags beside them: Y1961, Y1961F, Y1961N."""
    kept: list[int] = []
    for k in range(first, len(names)):
        flag = names[k].removeprefix(names[kept[-1]]).strip(" _") if kept else ""
        beside = bool(flag) and names[k] != flag and len(flag) <= MOST_FLAGS and flag.isalpha()
        kept += [k] * (not beside)
    return kept


def _with_ids(text: io.BufferedReader, sep: str, at: int, first: int, end: int) -> TableText:
    """The table with one column of ids in place of its columns of words, and without those behind its steps."""
    whole = text.read().removeprefix(b"\xef\xbb\xbf")
    try:
        lines = whole.decode()
    except UnicodeDecodeError:
        lines = whole.decode("latin-1")
    head, *body = [row for row in _rows(lines.replace("\r\n", "\n").split("\n"), sep) if any(row)][_full(lines, at) :]
    body = [row for row in body if len(row) >= first + LEAST_STEPS]
    words, columns = head[:first], _unflagged(head[:end], first)
    body, marks = _without_marks(body, columns)
    chosen = _ids(words, body)
    made = io.BytesIO()
    made.write(f"{line_of(['id', *(head[k] for k in columns)], sep)}\n".encode())
    for row in body:
        values = [row[k] for k in columns if k < len(row)]
        made.write(f"{line_of(['/'.join(row[k] for k in chosen if row[k]), *values], sep)}\n".encode())
    made.seek(0)
    behind = {k: head[k] for k in range(end, len(head)) if any(row[k : k + 1] != [""] for row in body) and head[k]}
    others = [name or f"column {k + 1}" for k, name in enumerate(words) if k not in chosen] + [*behind.values()]
    notes = [f"rows are named by {' and '.join(repr(words[k]) for k in chosen)}"]
    said = "is no step" if len(others) == 1 else "are no steps"
    notes[0] += f", and {', '.join(map(repr, others))} {said}" * bool(others)
    flags = [name for k, name in enumerate(head[:end]) if k > first and k not in columns]
    notes += [f"columns of flags left out: {abridge(flags)}"] * bool(flags)
    notes += [f"{many(at, 'line')} above the names left out"] * bool(at)
    notes += [f"{many(len(marks), 'line')} of letters that mark the values left out: {abridge(marks)}"] * bool(marks)
    apart = {word: [row[k] for row in body] for k, word in enumerate(words)}
    apart |= {word: [row[k] if k < len(row) else "" for row in body] for k, word in behind.items()}
    if len(head) - 1 in behind:  # as --label-src-ch calls it
        apart |= {"last": apart[head[-1]]}
    return TableText(made, tuple(notes), apart)


def _without_marks(body: list[list[str]], columns: Sequence[int]) -> tuple[list[list[str]], list[str]]:
    """The lines of a table without those of letters that mark the values above them, as INSEE writes them (A, P), and
    what these are called; all lines where none has numbers."""

    def marks(row: Sequence[str]) -> bool:
        cells = [row[k] for k in columns if k < len(row) and row[k]]
        return bool(cells) and all(cell.isalpha() and len(cell) <= MOST_FLAGS and PLAIN.is_text(cell) for cell in cells)

    kept = [row for row in body if not marks(row)]
    return (kept, [row[0] for row in body if marks(row)]) if kept else (body, [])


def _full(lines: str, at: int) -> int:
    """How many of the lines above the names are not blank."""
    return sum(bool(line.strip(" ,;\t|\r")) for line in lines.split("\n")[:at])


def _ids(words: Sequence[str], body: Sequence[Sequence[str]]) -> list[int]:
    """The columns that tell the rows apart: the first that does alone, else all that vary and are no decimals; names
    rather than numbers."""
    columns = [[row[k] for row in body] for k in range(len(words))]
    order = sorted(range(len(words)), key=lambda k: not words[k] or any(map(PLAIN.is_like_number, columns[k])))
    alone = [k for k in order if len({*columns[k]}) == len(body) and all(columns[k])]
    alone = [k for k in alone if not any(map(_NUMBER.fullmatch, columns[k]))]
    if alone:
        return alone[:1]
    vary = [k for k in order if len({*columns[k]}) > 1 and not any(map(_NUMBER.fullmatch, columns[k]))]
    kept: list[int] = []
    for k in vary:  # a code beside each name adds nothing
        names = [{*zip(columns[j], columns[k], strict=True)} for j in kept if all(columns[j])]
        told = any(len(pairs) == len({name for name, _ in pairs}) for pairs in names)
        kept += [k] * (not told)
    return kept or list(range(len(words)))
