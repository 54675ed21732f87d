"""Columns that say how far a recording is, without a date: seconds since its start, frames, the index of a frame."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Mapping, Sequence

from readers.dialect import Dialect
from readers.fitting import MOST_LINES
from readers.guess import is_id_word, rises, steps_named
from readers.restarts import begin_anew
from times.words import is_clock_word

EVEN, LEAST_EVEN = 0.01, 5  # of a step, by which it may be off as rounding makes it; steps, at least

MANY_LINES, FEW_CHANNELS = 100, 8  # lines beside which so few columns under one word are channels
PLAIN = Dialect()
Columns = Mapping[str, Sequence[str]]


def even_counter(columns: Columns, dialect: Dialect) -> str:
    """The first column that is named as times are and goes on in even steps (1, 2, 3 or 0.00, 0.02, 0.04), beside what
    is measured; "" for none, and beside columns that are the steps of series.

    Parameters
    ----------
    columns : cells by name. dialect : what a number is.
    """
    others = [name for name in columns if not is_clock_word(name)]
    if not any(dialect.is_number(cell) for name in others for cell in columns[name]):
        return ""
    lines = len(next(iter(columns.values())))
    least = 1 if lines < MANY_LINES else FEW_CHANNELS  # of thousands of lines CH1 and CH2 are no steps
    if any(len(some) > least and steps_named(some, dialect) for some in (others, others[:-1])):
        return ""
    return next((name for name in clocks(columns, dialect) if are_even(columns[name], dialect)), "")


def clocks(columns: Columns, dialect: Dialect) -> list[str]:
    """The columns that are named as times are and grow from each line to the next.

    Parameters
    ----------
    columns : cells by name. dialect : what a number is.
    """
    return [name for name, cells in columns.items() if is_clock_word(name) and _grow(cells, dialect)]


def anew(columns: Columns, dialect: Dialect) -> list[str]:
    """The columns that are named as times are and grow in the first lines, from their beginning again with each of
    several recordings.

    Parameters
    ----------
    columns : cells by name, of the first lines and of some from all over. dialect : what a number is.
    """
    named = {name: _numbers(cells, dialect) for name, cells in columns.items() if is_clock_word(name)}
    return [name for name, numbers in named.items() if begin_anew(name, numbers[:MOST_LINES])]


def is_index(name: str, cells: Sequence[str]) -> bool:
    """Whether a column without a name, or named as indices are, counts the lines by one, from 0 or 1 on; without a
    name, as in a part of a frame, from any number on, or in even steps of a fraction or from below zero.

    Parameters
    ----------
    name : as the header has it. cells : of the first lines.
    """
    if not name and len(cells) > LEAST_EVEN and ("." in "".join(cells) or cells[0].startswith("-")):
        return _grow(cells, PLAIN) and are_even(cells, PLAIN)
    if not is_id_word(name, things=False) or not cells[0].isdecimal() or (name and cells[0] not in ("0", "1")):
        return False
    return all(cell == str(number) for number, cell in enumerate(cells, int(cells[0])))


def _numbers(cells: Sequence[str], dialect: Dialect) -> list[float]:
    """[] where one is none."""
    values = [dialect.number(cell) for cell in cells]
    numbers = [value for value in values if value is not None and value == value]
    return numbers if len(numbers) == len(cells) else []


def _grow(cells: Sequence[str], dialect: Dialect) -> bool:
    numbers = _numbers(cells, dialect)
    return bool(numbers) and rises(numbers)


def are_even(cells: Sequence[str], dialect: Dialect) -> bool:
    """Whether all steps are as long as most, or some times as long: between lines others may not be looked at.

    Parameters
    ----------
    cells : text. dialect : what a number is.
    """
    steps = [b - a for a, b in itertools.pairwise(_numbers(cells, dialect))]
    if len(steps) < LEAST_EVEN:
        return False
    first, usual = steps[: MOST_LINES // 2], statistics.median(steps)  # lines that follow one another; others, too
    next_one = statistics.median(first)
    usual = next_one if all(abs(step - next_one) <= EVEN * next_one for step in first) else usual
    if usual <= 0:
        return False
    return all(abs(step / usual - round(step / usual)) <= EVEN * max(round(step / usual), 1) for step in steps)
