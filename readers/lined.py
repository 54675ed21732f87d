"""Tables without times whose lines are steps all the same, as the names of their columns say: acc_x, acc_y, acc_z."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Sequence

from readers.dialect import Dialect
from readers.fitting import MOST_LINES
from readers.guess import is_id_word, is_time, is_time_word, steps_named

LEAST_LINES = 20  # lines, by fewer of which nothing is seen
MOST_COLUMNS = 50  # more are rather the steps of series, whatever they are called
BLOCK = 25  # lines of which a correlation is taken
ALIKE = 0.5  # correlation of a column with itself a line before, from which on lines follow one another in time


def named_as_channels(names: Sequence[str], rows: Sequence[Sequence[str]], dialect: Dialect) -> int | None:
    """The number of columns of words, at most one, of a table whose columns are named as things rather than as steps.

    None for a table whose columns may be steps, whose lines are things, or that holds too little.

    Parameters
    ----------
    names : those of the header.
    rows : the cells of some lines below it.
    dialect : what a number is.
    """
    if not 2 <= len(names) <= MOST_COLUMNS or len(rows) < max(LEAST_LINES, len(names)):
        return None
    if any(dialect.is_number(name) or is_time_word(name) for name in names) or _are_months(names[1:]):
        return None
    if any(steps_named(some, dialect) for some in (names, names[:-1])):
        return None
    if is_id_word(names[0]) and len({row[0] for row in rows}) == len(rows):
        return None
    worded = sum(not _numbers(cells, dialect) for cells in zip(*rows, strict=True))
    return worded if worded <= 1 else None


def _are_months(names: Sequence[str]) -> bool:
    return all(is_time(f"{name} 2000") for name in names)


def follow(rows: Sequence[Sequence[str]], dialect: Dialect) -> bool:
    """Whether lines follow one another in time: some column is much like itself a line before, and not sorted.

    Parameters
    ----------
    rows : the cells of some lines, the first ones at the beginning.
    dialect : what a number is.
    """
    columns = [_numbers(cells, dialect) for cells in zip(*rows[:MOST_LINES], strict=True)]
    return any(_alike(numbers) >= ALIKE for numbers in columns if len(numbers) >= BLOCK)


def _numbers(cells: Sequence[str], dialect: Dialect) -> list[float]:
    """A column's numbers; [] where it holds something else, or hardly any."""
    values = [dialect.number(cell) for cell in cells]
    numbers = [value for value in values if value is not None and value == value]
    return numbers if None not in values and len(numbers) * 2 >= len(cells) else []


def _alike(numbers: Sequence[float]) -> float:
    """The median over blocks of the correlation with the line before; 0 of a few codes, and of what is sorted.

    A table sorted by classes is alike over its whole length, but not within one of them.
    """
    steps = [after - before for before, after in itertools.pairwise(numbers)]
    if len({*numbers}) * 4 < len(numbers) or min(steps) >= 0 or max(steps) <= 0:
        return 0.0
    blocks = [numbers[at : at + BLOCK] for at in range(0, len(numbers) - BLOCK + 1, BLOCK)]
    return statistics.median(_correlation(block[1:], block[:-1]) for block in blocks)


def _correlation(after: Sequence[float], before: Sequence[float]) -> float:
    """0 where either is constant."""
    return statistics.correlation(after, before) if min(len({*after}), len({*before})) > 1 else 0.0
