"""Small files beside the series, a line per row: given labels, and groups of rows.

A first line of names and a column of row ids are optional. With ids the lines may be in any order.
"""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from data import Series
from errors import DataError
from readers import reader_of
from readers.dialect import Dialect, Layout, width_error
from readers.files import dialect_of, read_cells
from readers.guess import has_names, is_id_word
from readers.marks import number_hint, text_error
from readers.paths import abridge
from readers.precision import narrowed
from readers.spellings import one_spelling
from readers.units import accounted, same_mark
from times.words import is_time

_T = TypeVar("_T")

DIGITS = "0123456789"


class NoLabels(DataError):
    """A column of labels without any."""


MOST_MISSING = 0.5  # of the rows may have no label
_UNNAMED = re.compile(r"label(\d{1,4})")  # what a column of several without names is called


def of_file(word: str) -> tuple[Path, str]:
    """The file that `FILE` or `FILE:COLUMN` names, and the column, "" for all."""
    file, colon, column = word.rpartition(":")
    return (Path(file), column) if colon and not Path(word).exists() and Path(file).is_file() else (Path(word), "")


@dataclass(frozen=True)
class _Lines:
    """The cells of a file of labels or groups, a list per series row; `lines` are their numbers in it, from 1.

    A row without a line has empty cells, and the number 0.
    """

    cells: list[list[str]]
    lines: list[int]
    names: list[str]
    layout: Layout
    notes: list[str]


def attach(
    series: Series,
    labels: Path | str,
    groups: Path | str,
    *,
    named: bool,
    dialect: Dialect,
    every: Callable[[], Sequence[str]] | None = None,
) -> Series:
    """The series with labels and groups from files, and the notes on them.

    Parameters
    ----------
    series : N rows.
    labels, groups : files with a line per row, or one column of such a file as `FILE:COLUMN`; "" for none.
    named : whether the series' rows have ids that come from the user, and not just numbers.
    dialect : how CSVs are written.
    every : gives the ids of all rows of the data, of which a shard's series has some; None where it has all.

    Raises
    ------
    DataError : a file that cannot be read, lines that do not fit the rows, a label that is not a finite number.
    """
    rows = series.rows if every is None or not (labels or groups) else every()
    if labels:
        found = read_labels(labels, rows, named, dialect)
        series = replace(series, labels=found.values[_own(series)], label_names=found.names, label_words=found.words)
        series = replace(series, notes=(*series.notes, *found.notes))
    if groups:
        of, notes = read_groups(groups, rows, named, dialect)
        series = replace(series, groups=of[_own(series)], notes=(*series.notes, *notes))
    return series


def with_labels(
    series: Series, path: Path, cells: Sequence[str], name: str, layout: Layout, dialect: Dialect
) -> Series:
    """The series with labels that a column of its own file holds.

    Parameters
    ----------
    series : N rows.
    path, layout, dialect : the file, and how it is laid out and written.
    cells : N cells of the column.
    name : of the column.

    Raises
    ------
    DataError : no row has a label, or one is neither a number nor a word.
    """
    names = ["label" if name in ("first", "last") else name]
    lines = list(range(1 + layout.header, 1 + layout.header + len(cells)))
    found = _Lines([[cell] for cell in cells], lines, names, layout, [])
    values, words, told = _label_column(path, found, 0, dialect_of(path, dialect))
    return replace(
        series,
        labels=values[:, None],
        label_names=tuple(names),
        label_words=(words,) if words else (),
        notes=(*series.notes, *told),
    )


def _own(series: Series) -> np.ndarray | slice:
    """Which rows of the data a series has."""
    return slice(None) if series.part is None else series.numbers


@dataclass(frozen=True)
class Labels:
    """Labels of N rows: values float [N, K], K names, and the words that values stand for, as `Series` has them."""

    values: np.ndarray
    names: tuple[str, ...]
    words: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]


def read_labels(word: Path | str, rows: Sequence[str], named: bool, dialect: Dialect) -> Labels:
    """The labels in a file, or in one column of it, a line per row; for the arguments and errors see `attach`.

    A column without a number is one of words; a word where all others are numbers is an error. A label may be missing.
    """
    path, column = of_file(str(word))
    cells, notes = read_cells(path, dialect)
    dialect = dialect_of(path, dialect)
    cells = _ids_first(cells, rows if named else ())
    cells, told_times = _without_times(cells, column)
    if (number := _UNNAMED.fullmatch(column)) and not _labels_have_names(cells, rows, named, dialect):
        index = len(cells[0]) > 1 and _has_ids(cells, False, rows if named else (), dialect)
        if index + int(number[1]) < min(map(len, cells)):
            cells, column = [[*line[:index], line[index + int(number[1])]] for line in cells], ""
    cells = _one_column(path, cells, rows if named else (), column, "--labels") if column else cells
    header = bool(column) or reader_of([path]).named_columns or _labels_have_names(cells, rows, named, dialect)
    index = len(cells[0]) > 1 and _has_ids(cells, header, rows if named else (), dialect)
    found = _match(path, cells, Layout(header, index, len(cells[0]) - index), rows, named, some=True)
    count = found.layout.columns
    columns = [_label_column(path, found, number, dialect) for number in range(count)]
    plain = ["label"] if count == 1 else [f"label{k}" for k in range(count)]
    values = np.stack([column for column, _, _ in columns], axis=1)
    words = tuple(words for _, words, _ in columns)
    told = [note for _, _, notes in columns for note in notes]
    names = tuple(found.names or plain)
    return Labels(values, names, words if any(words) else (), (*notes, *told_times, *found.notes, *told))


def _without_times(cells: list[list[str]], column: str) -> tuple[list[list[str]], list[str]]:
    """The cells without the columns of times beside others, which say when labels were taken; and a note."""
    body, width = cells[1:] or cells, len(cells[0])
    if any(len(line) != width for line in cells):
        return cells, []
    timed = [k for k in range(1, width) if all(is_time(line[k]) for line in body) and cells[0][k].strip() != column]
    if not timed:
        return cells, []
    told = f"the times in column {timed[0] + 1} of the labels left out"
    return [[line[k] for k in range(width) if k not in timed] for line in cells], [told]


def _ids_first(cells: list[list[str]], rows: Sequence[str]) -> list[list[str]]:
    """The cells with the column of row ids first, where another than the first holds all of them."""
    known, width = set(rows), len(cells[0])
    if not known or any(len(line) != width for line in cells) or known <= {line[0].strip() for line in cells}:
        return cells
    at = next((k for k in range(1, width) if known <= {line[k].strip() for line in cells}), 0)
    return [[line[at], *line[:at], *line[at + 1 :]] for line in cells] if at else cells


def _one_column(path: Path, cells: list[list[str]], rows: Sequence[str], column: str, flag: str) -> list[list[str]]:
    """The column of a name, behind the first where that holds row ids. DataError for a name that is not there."""
    names = [name.strip() for name in cells[0]]
    if column not in names or any(len(line) != len(names) for line in cells):
        raise DataError(f"no column {column!r}", where=f"{flag} {path}", hint=f"its columns: {', '.join(names[:12])}")
    at, first = names.index(column), [line[0].strip() for line in cells[1:]]
    ids = at > 0 and (is_id_word(names[0]) or not set(first).isdisjoint(rows))
    return [[line[0], line[at]] if ids else [line[at]] for line in cells]


def _labels_have_names(cells: list[list[str]], rows: Sequence[str], named: bool, dialect: Dialect) -> bool:
    """Whether a file of labels begins with names: labels may be words, and names numbers, as the codes of classes are.

    Then the number of lines decides.
    """
    first = [cell.strip() for cell in cells[0]]
    texts, more = has_names(first, dialect), len(cells) == len(rows) + 1
    if texts and len(cells) > 1 and any(map(dialect.is_number, cells[1][1:] or cells[1])):
        return True
    apart = len(first) > 1 and len(set(first)) == len(first)
    return more and (texts or apart) and not (named and first[0] in rows)


def _label_column(
    path: Path, found: _Lines, number: int, dialect: Dialect
) -> tuple[np.ndarray, tuple[str, ...], list[str]]:
    """The labels float [N] of one column, NaN where missing, the words that they stand for, and notes.

    DataError at a cell that is neither, and for a column without any.
    """
    cells = [line[number].strip() for line in found.cells]
    column, name = 1 + number + found.layout.index, found.names[number] if found.names else "label"
    numbers, told = _numbers_of(cells, dialect, name)
    worded = not any(number is not None and math.isfinite(number) for number in numbers)
    for cell, value, line in zip(cells, numbers, found.lines, strict=True):
        if value is None and (not worded or number_hint([cell], dialect)):
            raise text_error(path, line, column, cell, found.layout, dialect)
        if value is not None and math.isinf(value):
            raise DataError(f"label {cell!r} is not a finite number", where=f"{path}:{line}:{column}")
    if None not in numbers and worded:
        raise NoLabels(f"no row has a label in column {column}", where=str(path))
    if worded:
        lost = np.array([value is not None for value in numbers])
        words, codes = np.unique(np.array(cells)[~lost], return_inverse=True)
        values = np.full(len(cells), np.nan, np.float32)
        values[~lost] = codes
        kept, values, more = one_spelling(words.tolist(), values, name)
        return values, kept, [*told, *more]
    plain = np.array([numbers], np.float64)
    known = ~np.isnan(plain[0])
    kind = narrowed(plain[:, known], np.array([0, int(known.sum())])).dtype
    return plain[0].astype(kind), (), told


def _numbers_of(cells: Sequence[str], dialect: Dialect, name: str) -> tuple[list[float | None], list[str]]:
    """Cells as numbers, None for text, and a note where each has the same unit beside it, which is left out."""
    numbers = _each_once(dialect.number, cells)
    if None not in numbers:
        return numbers, []
    plain, mark = same_mark(cells, dialect)
    spelled = _each_once(dialect.number, plain if mark else _each_once(accounted, cells))
    if None in spelled:
        return numbers, []
    told = "numbers in brackets or before a minus are below zero"
    return spelled, [f"units beside the numbers left out: {name} in {mark}" if mark else told]


def _each_once(of: Callable[[str], _T], cells: Sequence[str]) -> list[_T]:
    """`of` of every cell, asked once for cells that are alike: labels mostly are."""
    known = {cell: of(cell) for cell in set(cells)}
    return [known[cell] for cell in cells]


def read_groups(word: Path | str, rows: Sequence[str], named: bool, dialect: Dialect) -> tuple[np.ndarray, list[str]]:
    """The group of each row, str [N], and notes; for the arguments and errors see `attach`."""
    path, column = of_file(str(word))
    cells, notes = read_cells(path, dialect)
    cells = _ids_first(cells, rows if named else ())
    cells = _one_column(path, cells, rows if named else (), column, "--groups") if column else cells
    if len(cells[0]) > 2:
        what = f"{len(cells[0])} columns where a line should be GROUP, or ID and GROUP"
        hint = f"--groups {path}:{cells[0][-1].strip()} reads one column" if len(cells) > 1 else ""
        raise DataError(what, where=str(path), hint=hint)
    index, first = len(cells[0]) == 2, cells[0][0].strip()
    # Groups are text, as a header is: what distinguishes them is the number of lines, or the word over the ids.
    headed = bool(column) or len(cells) == len(rows) + 1 or (index and is_id_word(first))
    header = reader_of([path]).named_columns or (headed and not (named and first in rows))
    found = _match(path, cells, Layout(header, index, 1), rows, named)
    groups = [values[0].strip() for values in found.cells]
    if "" in groups:
        raise DataError("a row without a group", where=f"{path}:{found.lines[groups.index('')]}")
    return np.array(groups), notes + found.notes


def _match(
    path: Path, cells: list[list[str]], layout: Layout, rows: Sequence[str], named: bool, *, some: bool = False
) -> _Lines:
    """The lines in the order of `rows`: by id where both have ids, else as they come.

    By id, lines of other rows are left out, and with `some` rows may lack a line; both are told.
    """
    for number, line in enumerate(cells, start=1):
        if len(line) != layout.width:
            raise width_error(path, number, found=len(line), expected=layout.width)
    body = cells[layout.header :]
    order = list(range(len(body)))
    guessed = layout.header and not reader_of([path]).named_columns
    notes = [f"{path}: first line taken as a header ({', '.join(cells[0][:3])})"] * guessed
    if layout.index:
        ids = [line[0].strip() for line in body]
        if not named and set(ids) == set(_numbers(rows, 1)):
            rows = _numbers(rows, 1)
        if named and set(ids).isdisjoint(rows) and (numbers := _in_names(rows)) and {*numbers} & {*map(_bare, ids)}:
            ids, rows = list(map(_bare, ids)), numbers
            notes.append(f"{path}: its ids are the numbers in the rows' names")
        if named or set(ids) == set(rows):
            order, told = _order(path, ids, rows, body, some=some)
            notes += [f"{path}: matched to the rows by the ids in column 1", *told]
        else:
            notes.append(f"warning: {path} has row ids and the series have none: its lines are read in their order")
    if len(order) != len(rows):
        what = f"{len(order)} lines for {len(rows)} rows{layout.skipped}"
        raise DataError(what, where=str(path), hint="one line per row of the series")
    names = [name.strip() for name in cells[0][layout.index :]] if layout.header else []
    lines = [position + 1 + layout.header if position >= 0 else 0 for position in order]
    none = [""] * layout.columns
    found = [body[position][layout.index :] if position >= 0 else none for position in order]
    return _Lines(found, lines, names, layout, notes)


def _in_names(rows: Sequence[str]) -> list[str]:
    """The number in each row's name, in which alone they differ: 7 of RSS_007; [] where they differ in more."""
    front, back = (_shared(names).rstrip(DIGITS) for names in (rows, [row[::-1] for row in rows]))
    rests = [row[len(front) : len(row) - len(back)] for row in rows]
    numbers = list(map(_bare, rests))
    plain = all(rest.isascii() and rest.isdecimal() for rest in rests) and len({*numbers}) == len(rows)
    return numbers if plain and len(rows) > 1 and (front or back) else []  # of numbers alone zeros may be lost


def _shared(names: Sequence[str]) -> str:
    """The letters with which all names begin."""
    same = itertools.takewhile(lambda letters: len({*letters}) == 1, zip(*names, strict=False))
    return "".join(letters[0] for letters in same)


def _bare(number: str) -> str:
    """A number without zeros in front; other text as it is."""
    return str(int(number)) if number.isascii() and number.isdecimal() else number


def _has_ids(cells: list[list[str]], header: bool, known: Sequence[str], dialect: Dialect) -> bool:
    """Whether column 1 holds row ids: by its name, or since it is all text, has known ids, or numbers the lines."""
    first = [line[0].strip() for line in cells[header:]]
    unique = len(set(first)) == len(first)
    headed = header and is_id_word(cells[0][0], things=unique)
    counts = [_numbers(first, start) for start in (0, 1)]
    counted = len(first) >= 3 and (first in counts or (len(first) > 4 and sorted(first) in map(sorted, counts)))
    return headed or counted or (unique and not set(first).isdisjoint(known)) or all(map(dialect.is_text, first))


def _numbers(lines: Sequence[str], start: int) -> list[str]:
    """The numbers of lines, counted from `start`, as text."""
    return [str(number + start) for number in range(len(lines))]


def _order(
    path: Path, ids: list[str], rows: Sequence[str], body: Sequence[Sequence[str]], *, some: bool
) -> tuple[list[int], list[str]]:
    """For each row the position of its id, -1 where `some` may be missing, and notes.

    DataError that lists ids which are missing or have lines that differ, and where more than half of the rows have
    none. Lines that come again as they are count once.
    """
    ids, told = _as_spelled(path, ids, rows)
    texts: dict[str, set[tuple[str, ...]]] = {}
    for name, line in zip(ids, body, strict=True):
        texts.setdefault(name, set()).add(tuple(cell.strip() for cell in line[1:]))
    at = {name: position for position, name in enumerate(ids)}
    known = set(rows)
    missing = [name for name in dict.fromkeys(rows) if name not in at]
    unknown = [name for name in at if name not in known]
    twice = [name for name, others in texts.items() if len(others) > 1]
    few = len(missing) > MOST_MISSING * len(known) or (bool(missing) and not some)
    problems = {
        "missing": missing if few else [],
        "unknown": unknown if few else [],
        "given twice": twice,
    }
    listed = [f"{kind}: {abridge(names)}" for kind, names in problems.items() if names]
    if listed:
        what = f"the ids in column 1 are not those of the rows; {'; '.join(listed)}"
        raise DataError(what, where=str(path), hint="keep one line of each id" * (len(listed) == 1 and bool(twice)))
    if len(texts) < len(ids):
        again = [name for name, count in Counter(ids).items() if count > 1]
        told.append(f"{path}: lines that come again as they are count once: {abridge(again)}")
    if unknown:
        told.append(f"warning: {path}: lines of ids that no row has are left out: {abridge(unknown)}")
    if missing:
        told.append(f"warning: {path}: no line for the rows {abridge(missing)}")
    return [at.get(name, -1) for name in rows], told


def _as_spelled(path: Path, ids: list[str], rows: Sequence[str]) -> tuple[list[str], list[str]]:
    """Ids as the rows spell them, where both are whole numbers and only zeros before them differ; and a note."""
    if not set(ids).isdisjoint(rows) or not all(map(str.isdecimal, (*ids, *rows))):
        return ids, []
    spelled = {int(name): name for name in rows}
    if len(spelled) < len(set(rows)):
        return ids, []
    told = f"{path}: ids are matched as numbers, {ids[0]} as {spelled.get(int(ids[0]), ids[0])}"
    return [spelled.get(int(name), name) for name in ids], [told]
