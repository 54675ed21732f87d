"""The column that says whose the lines of a table without times are, where those of one person or machine stand
together: a window must not go from one into the next.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from readers.counted import Columns
from readers.dialect import Dialect
from readers.files import dialect_of, first_lines
from readers.fitting import MOST_LINES, rows_of
from readers.guess import is_class_word, is_person
from readers.paths import abridge
from readers.tidying import numbered
from times.stamps import Stamps
from times.words import words_of

FEW_CHANGES = 10  # one line of so many at most is of another owner than the line before
IDS = ("id", "ids", "uid", "uuid", "guid")
_NUMBERS = (*IDS, "number", "no", "nr", "num", "name", "code", "key")  # behind the word for what they number
_THINGS = (  # what a recording is of
    " engine machine device meter house household home customer client vehicle car truck well turbine building room "
    "asset battery station animal cow driver athlete rider player equipment pump motor bearing unit plant site store "
    "shop session recording trial episode file filename "
)


def is_owner_word(name: str) -> bool:
    """Whether a column is named as people, things and their ids are: user, machineID, unit no, but not class_id.

    Parameters
    ----------
    name : of the column.
    """
    words = words_of(name)
    if not words or any(map(is_class_word, words)):
        return False
    if is_person(name) or words[-1] in IDS:
        return True
    bare = words[:-1] if len(words) > 1 and words[-1] in _NUMBERS else words
    return f" {bare[-1]} " in _THINGS


def owner_of(columns: Columns, dialect: Dialect) -> str:
    """The column that is named as owners are, and whose words or whole numbers come in runs, people's first; or "".

    Parameters
    ----------
    columns : the cells of some lines by name, the first ones, which follow one another, at the beginning.
    dialect : what a number is.
    """
    found = [name for name, cells in columns.items() if is_owner_word(name) and in_runs(cells, dialect)]
    return next(filter(is_person, found), found[0] if found else "")


def in_runs(cells: Sequence[str], dialect: Dialect) -> bool:
    """Whether words or whole numbers, of several kinds, change from line to line at most once in FEW_CHANGES lines.

    Parameters
    ----------
    cells, dialect : as in `owner_of`.
    """
    first = cells[:MOST_LINES]
    changes = sum(a != b for a, b in itertools.pairwise(first))
    plain = all(cell.isdecimal() or (dialect.is_text(cell) and cell.strip()) for cell in cells)
    return plain and len({*cells}) > 1 and changes * FEW_CHANGES <= len(first)


def owner_in(path: Path, asked: Dialect) -> str:
    """The same of a file whose lines are steps; "" for none.

    Parameters
    ----------
    path : the file. asked : how the flags say that CSVs are written.

    Raises
    ------
    DataError : the file cannot be read.
    """
    dialect = dialect_of(path, asked)
    rows = rows_of(first_lines(path)[0], dialect)
    if len(rows) < FEW_CHANGES or any(map(dialect.is_number, rows[0])):
        return ""
    return owner_of(dict(zip(numbered(rows[0]), zip(*rows[1:], strict=True), strict=True)), dialect)


def counted_each(stamps: Stamps, ids: np.ndarray) -> Stamps:
    """Stamps that count the lines of each series from 0 on, where they count those of the file; series whose lines
    stand in several places are told, since a window may go from one to the next.

    Parameters
    ----------
    stamps : of n lines, which are steps. ids : text [n], the series of each.
    """
    kinds, codes = np.unique(ids.astype(str), return_inverse=True)
    order = np.argsort(codes, kind="stable")
    sizes = np.bincount(codes, minlength=len(kinds))
    times = np.empty(len(ids), np.int64)
    times[order] = np.arange(len(ids)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    begun = np.bincount(codes[np.flatnonzero(np.diff(codes, prepend=-1))], minlength=len(kinds))
    apart = kinds[begun > 1].tolist()
    note = f"the lines of {abridge(apart)} stand in several places, and are taken one after the other" if apart else ""
    return replace(stamps, times=times, note="; ".join(filter(None, [stamps.note, note])))
