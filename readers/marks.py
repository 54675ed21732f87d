"""Marks within numbers: which flag would read cells that are text, and whether a decimal mark is one of thousands."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np

from errors import DataError
from readers import stem
from readers.dialect import THOUSANDS, Dialect, Layout
from readers.missing import parts_of
from readers.units import split_mark

UNIT_HINT = "a long table (--time-col) is read without the units beside its numbers; here, write numbers alone"
MOST_WORDS = 6  # of a column, that a hint gives as marks of missing values
LEAST_STEPS = 3  # of a table whose last column may hold labels
FIRST = 256  # values that are looked at before all are


def number_hint(cells: Sequence[str], dialect: Dialect) -> str:
    """The flag with which all of some cells are numbers, or the two between which only the user can decide.

    Parameters
    ----------
    cells : text, of which some is no number.
    dialect : what a number is.

    Returns
    -------
    A hint; "" where no flag makes all of them numbers.
    """
    if _fits(cells, dialect):
        return ""
    texts = [cell for cell in cells if dialect.is_text(cell)]
    tried = {} if dialect.thousands == "none" else THOUSANDS
    marks = [name for name, mark in tried.items() if any(mark in cell.strip() for cell in texts)]
    by_thousands = [name for name in marks if _fits(cells, Dialect(";", dialect.decimal, thousands=name))]
    by_decimal = _fits(cells, dialect.swapped)
    if not by_thousands:
        return f"--decimal '{dialect.swapped.decimal}'" if by_decimal else ""
    thousands = f"--thousands {_typed(by_thousands[0])}"
    # Another decimal mark than the usual one was asked for, and so the usual one is none.
    if not by_decimal or dialect.decimal != "." or _counts_on(cells):
        return thousands
    if any(re.match(r"[+-]?0\d*[.,]", cell.strip()) for cell in cells):
        return f"--decimal '{dialect.swapped.decimal}'"
    return f"{thousands} if {texts[0].strip()} is above 999, --decimal '{dialect.swapped.decimal}' if it is not"


def _typed(mark: str) -> str:
    """A mark as one types it."""
    return mark if mark.isalpha() or mark == "." else f"'{mark}'" if mark != "'" else '"\'"'


def _fits(cells: Sequence[str], dialect: Dialect) -> bool:
    return not any(map(dialect.is_text, cells))


def _counts_on(cells: Sequence[str]) -> bool:
    """Whether there are whole numbers of three digits, after which those with a mark of thousands go on."""
    return any(re.fullmatch(r"[+-]?[1-9]\d\d", cell.strip()) for cell in cells)


def text_error(
    path: Path, line: int, column: int, cell: str, layout: Layout, dialect: Dialect, name: str = ""
) -> DataError:
    """The error for a cell that should be a number, with the flag that may help.

    Parameters
    ----------
    path : the file.
    line, column : the cell's location in it, both from 1.
    cell : its text.
    layout, dialect : how the table was understood.
    name : of the column, in a table of things.
    """
    from readers.dated import long_hint  # it looks at whole tables, of which this is a part
    from readers.things import label_hint

    whole = f"--categorical {shlex.quote(stem(path))} if the file holds categories"
    whole = f"--categorical {shlex.quote(name)} takes the column as categories" if name else whole
    apart = column == layout.width > LEAST_STEPS and not number_hint([cell], dialect) and not split_mark(cell)
    labels = "--task classify --label-src-ch last if the last column holds labels" if apart else ""
    if line == 1:
        labels = labels or label_hint(path, dialect)
        steps = "" if labels else long_hint(path, dialect)
        hint = "; ".join(filter(None, [labels, steps, "--header yes if row 1 holds column names"]))
    elif column == 1 and layout.width == 1:
        hint = "the whole line is one cell, since no separator fits the lines: --sep names one, as in --sep ';'"
    elif column == 1:
        hint = label_hint(path, dialect) or "--index yes if column 1 holds row ids"
    else:
        hint = (
            number_hint([cell], dialect)
            or (UNIT_HINT if split_mark(cell) else "")
            or labels
            or label_hint(path, dialect)
            or ("" if name else long_hint(path, dialect))
            or f"{missing_hint(cell)}; {whole}"
        )
    what = f"text {cell[:40]!r} where a number is expected{layout.skipped}"
    return DataError(what, where=f"{path}:{line}:{column}", hint=hint)


def missing_hint(cell: str, others: Sequence[str] = ()) -> str:
    """The hint for text that no flag makes a number: it may be a mark of missing values.

    Parameters
    ----------
    cell : the text.
    others : all such texts of the column, where they are known: a few words are marks, all of them.
    """
    marks = [*dict.fromkeys(each.strip() for each in others)]
    if not 1 < len(marks) <= MOST_WORDS or not all(mark.isalpha() for mark in marks):
        marks = [cell.strip()]
    typed = shlex.join(marks)
    what = "these mark missing values" if len(marks) > 1 else "this marks a missing value"
    said = f"if {what}, as an empty cell, NA, nan and null do"
    return f"--na={typed} {said}" if typed.startswith("-") else f"--na {typed} {said}"


def may_begin_so(values: np.ndarray) -> np.ndarray:
    """Mask [C] of the channels whose first values are such as `may_hide_thousands` looks for.

    Parameters
    ----------
    values : [C, n].
    """
    head = np.abs(values[:, :FIRST].astype(np.float64))
    with np.errstate(invalid="ignore"):
        broken = head != np.trunc(head)
        thousandths = np.abs(head * 1000 - np.rint(head * 1000)) > 0.05
        wrong = np.where(broken, (head < 1) | (head >= 1000) | thousandths, head >= 1000)
    return np.asarray(~(wrong & np.isfinite(head)).any(axis=1))


def may_hide_thousands(values: np.ndarray) -> bool:
    """Whether numbers are such as a mark of thousands makes that is read as a decimal one: 998, then 1.005.

    Parameters
    ----------
    values : of any shape.
    """
    if not may_begin_so(values.reshape(1, -1))[0]:
        return False
    some_broken = some_whole = False
    for part in parts_of(values):
        known = np.abs(part[np.isfinite(part)].astype(np.float64))
        whole = known == np.trunc(known)
        broken = known[~whole]
        if (known >= 1000).any() or (broken < 1).any():
            return False
        if (np.abs(broken * 1000 - np.rint(broken * 1000)) > 0.05).any():
            return False
        some_broken, some_whole = some_broken or len(broken) > 0, some_whole or bool((known[whole] >= 100).any())
    return some_broken and some_whole


def may_be_marked(cell: str, dialect: Dialect) -> bool:
    """Whether a cell has no decimal mark, or one behind which there are three digits as behind marks of thousands."""
    cell = cell.strip()
    return dialect.decimal not in cell or bool(_grouped(dialect.decimal).fullmatch(cell))


@cache
def _grouped(mark: str) -> re.Pattern[str]:
    return re.compile(rf"[+-]?[1-9]\d{{0,2}}(?:{re.escape(mark)}\d{{3}})+")


def check_thousands(cells: Sequence[str], dialect: Dialect, where: str) -> None:
    """Refuse numbers of which every one with a decimal mark has three digits behind it, beside whole ones above 100.

    Parameters
    ----------
    cells : text of a column of which `may_hide_thousands` holds.
    dialect : how the file is read.
    where : the file and the column, for the message.

    Raises
    ------
    DataError : the mark is likely to be one of thousands; the message names the flags that decide.
    """
    texts = [cell.strip() for cell in cells]
    marked = [cell for cell in texts if dialect.decimal in cell]
    if not marked or not all(map(_grouped(dialect.decimal).fullmatch, marked)) or not _counts_on(texts):
        return
    plain = next(cell for cell in texts if re.fullmatch(r"[+-]?[1-9]\d\d", cell))
    what = f"{marked[0]!r} beside {plain!r} may be {marked[0].replace(dialect.decimal, '')}, with a mark of thousands"
    hint = f"--thousands {_typed(dialect.decimal)} if it is, --thousands none if these are decimals"
    raise DataError(what, where=where, hint=hint)
