"""Small files beside the series, a line per row: given labels, and groups of rows.

A first line of names and a column of row ids are optional. With ids the lines may be in any order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from data import Series
from errors import DataError
from readers import reader_of
from readers.dialect import Dialect, Layout, width_error
from readers.files import dialect_of, read_cells
from readers.guess import has_names, is_id_word
from readers.marks import text_error
from readers.paths import abridge
from readers.precision import narrowed


@dataclass(frozen=True)
class _Lines:
    """The cells of a file of labels or groups, a list per series row; `lines` are their numbers in it, from 1."""

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
    labels, groups : files with a line per row; "" for none.
    named : whether the series' rows have ids that come from the user, and not just numbers.
    dialect : how CSVs are written.
    every : gives the ids of all rows of the data, of which a shard's series has some; None where it has all.

    Raises
    ------
    DataError : a file that cannot be read, lines that do not fit the rows, a label that is not a finite number.
    """
    rows = series.rows if every is None or not (labels or groups) else every()
    if labels:
        found = read_labels(Path(labels), rows, named, dialect)
        series = replace(series, labels=found.values[_own(series)], label_names=found.names, label_words=found.words)
        series = replace(series, notes=(*series.notes, *found.notes))
    if groups:
        of, notes = read_groups(Path(groups), rows, named, dialect)
        series = replace(series, groups=of[_own(series)], notes=(*series.notes, *notes))
    return series


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


def read_labels(path: Path, rows: Sequence[str], named: bool, dialect: Dialect) -> Labels:
    """The labels in a file, a line per row; for the arguments and errors see `attach`.

    A column without a number is one of words; a word where all others are numbers is an error.
    """
    cells, notes = read_cells(path, dialect)
    dialect = dialect_of(path, dialect)
    header = reader_of([path]).named_columns or _labels_have_names(cells, rows, named, dialect)
    index = len(cells[0]) > 1 and _has_ids(cells, header, rows if named else (), dialect)
    found = _match(path, cells, Layout(header, index, len(cells[0]) - index), rows, named)
    count = found.layout.columns
    columns = [_label_column(path, found, number, dialect) for number in range(count)]
    plain = ["label"] if count == 1 else [f"label{k}" for k in range(count)]
    values = np.stack([column for column, _ in columns], axis=1)
    words = tuple(words for _, words in columns)
    return Labels(values, tuple(found.names or plain), words if any(words) else (), (*notes, *found.notes))


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


def _label_column(path: Path, found: _Lines, number: int, dialect: Dialect) -> tuple[np.ndarray, tuple[str, ...]]:
    """The labels float [N] of one column, and the words that they stand for. DataError at a cell that is neither."""
    cells = [line[number].strip() for line in found.cells]
    column = 1 + number + found.layout.index
    numbers = [dialect.number(cell) for cell in cells]
    worded = not any(number is not None and np.isfinite(number) for number in numbers)
    for cell, value, line in zip(cells, numbers, found.lines, strict=True):
        if value is None and not worded:
            raise text_error(path, line, column, cell, found.layout, dialect)
        if value is not None and not np.isfinite(value):
            raise DataError(f"label {cell!r} is not a finite number", where=f"{path}:{line}:{column}")
    words, codes = np.unique(cells, return_inverse=True)
    if worded:
        return codes.astype(np.float32), tuple(words.tolist())
    return narrowed(np.array([numbers], np.float64), np.array([0, len(cells)]))[0], ()


def read_groups(path: Path, rows: Sequence[str], named: bool, dialect: Dialect) -> tuple[np.ndarray, list[str]]:
    """The group of each row, str [N], and notes; for the arguments and errors see `attach`."""
    cells, notes = read_cells(path, dialect)
    if len(cells[0]) > 2:
        what = f"{len(cells[0])} columns where a line should be GROUP, or ID and GROUP"
        raise DataError(what, where=str(path))
    index, first = len(cells[0]) == 2, cells[0][0].strip()
    # Groups are text, as a header is: what distinguishes them is the number of lines, or the word over the ids.
    headed = len(cells) == len(rows) + 1 or (index and is_id_word(first))
    header = reader_of([path]).named_columns or (headed and not (named and first in rows))
    found = _match(path, cells, Layout(header, index, 1), rows, named)
    groups = [values[0].strip() for values in found.cells]
    if "" in groups:
        raise DataError("a row without a group", where=f"{path}:{found.lines[groups.index('')]}")
    return np.array(groups), notes + found.notes


def _match(path: Path, cells: list[list[str]], layout: Layout, rows: Sequence[str], named: bool) -> _Lines:
    """The lines in the order of `rows`: by id where both have ids, else as they come."""
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
        if named or set(ids) == set(rows):
            order = _order(path, ids, rows)
            notes.append(f"{path}: matched to the rows by the ids in column 1")
        else:
            notes.append(f"warning: {path} has row ids and the series have none: its lines are read in their order")
    if len(order) != len(rows):
        what = f"{len(order)} lines for {len(rows)} rows{layout.skipped}"
        raise DataError(what, where=str(path), hint="one line per row of the series")
    names = [name.strip() for name in cells[0][layout.index :]] if layout.header else []
    lines = [position + 1 + layout.header for position in order]
    return _Lines([body[position][layout.index :] for position in order], lines, names, layout, notes)


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


def _order(path: Path, ids: list[str], rows: Sequence[str]) -> list[int]:
    """For each row the position of its id. DataError that lists ids which are missing, unknown or given twice."""
    at = {name: position for position, name in enumerate(ids)}
    known = set(rows)
    problems = {
        "missing": [name for name in dict.fromkeys(rows) if name not in at],
        "unknown": [name for name in at if name not in known],
        "given twice": [name for name, count in Counter(ids).items() if count > 1],
    }
    listed = [f"{kind}: {abridge(names)}" for kind, names in problems.items() if names]
    if listed:
        raise DataError(f"the ids in column 1 are not those of the rows; {'; '.join(listed)}", where=str(path))
    return [at[name] for name in rows]
