"""Tables without times whose lines are steps all the same: the names of their columns say so (acc_x, acc_y, acc_z), or,
where there are no names, their numbers do.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Sequence

from readers.dialect import Dialect
from readers.fitting import MOST_LINES
from readers.guess import DAY_LONG, is_id_word, steps_named
from times.words import is_time, is_time_word, words_of

LEAST_LINES = 20  # lines, by fewer of which nothing is seen
MOST_COLUMNS = 50  # more are rather the steps of series, whatever they are called
BLOCK = 25  # lines of which a correlation is taken
ALIKE = 0.5  # correlation of a column with itself a line before, from which on lines follow one another in time
SOME = 0.2  # of the columns, of which more are so
PLACES = {"lat", "lon", "lng", "long", "latitude", "longitude", "easting", "northing"}
MOSTLY_ALIKE = 0.3  # the same of most columns of a table without names
BY_FAR = 0.1  # by which columns are more like the one beside them than like others, where they are steps
DAYS = (7, 12, *DAY_LONG)  # columns that are rather parts of a week, a year or a day
LEAST_IDS, FAR = 3, 10  # columns, and how far above all numbers what names them is
FEW_STEPS, MANY_LINES = 8, 1000  # nobody keeps a thousand series of so few steps


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
    if any(map(dialect.is_number, names)) or _are_months(names[1:]):
        return None
    columns = dict(zip(names, zip(*rows, strict=True), strict=True))
    timed = [name for name in names if is_time_word(name)]
    if any(name.isalpha() or _goes_on(_numbers(columns[name], dialect)) for name in timed):
        return None
    if any(len(some) > 1 and steps_named(some, dialect) for some in (names, names[:-1])):
        return None
    if is_id_word(names[0]) and len({row[0] for row in rows}) == len(rows):
        return None
    worded = sum(not _numbers(cells, dialect) for cells in columns.values())
    return worded if worded <= 1 else None


def are_ids(first: Sequence[str], rows: Sequence[Sequence[str]], dialect: Dialect) -> bool:
    """Whether the first line of a table of numbers names its columns, as of detectors: whole numbers, each another and
    far above all below, which have decimals in each column.

    Parameters
    ----------
    first : its cells. rows : those of some lines below it. dialect : what a number is.
    """
    if len(first) < LEAST_IDS or len({*first}) < len(first) or not all(map(str.isdecimal, first)) or not rows:
        return False
    columns = [_numbers(cells, dialect) for cells in zip(*rows, strict=False)]
    decimals = len(columns) == len(first) and all(any(number % 1 for number in column) for column in columns)
    return decimals and min(map(int, first)) > FAR * max(max(map(abs, column)) for column in columns)


def _overlap(rows: Sequence[Sequence[str]]) -> bool:
    """Whether each line begins with the end of the line before, at least with half of it."""
    pairs = list(itertools.pairwise(rows))
    return any(all(b[:-by] == a[by:] for a, b in pairs) for by in range(1, len(rows[0]) // 2 + 1))


def _goes_on(numbers: Sequence[float]) -> bool:
    """Whether numbers may be times, rather than go up and down again and again (DE_time) or mostly stay the same, as a
    number of days to go does; what are no numbers, or few, may be times."""
    steps = [after - before for before, after in itertools.pairwise(numbers)]
    back, same = sum(step < 0 for step in steps), sum(step == 0 for step in steps)
    return len(numbers) < LEAST_LINES or not (len(numbers) < 4 * back < 3 * len(numbers) or 2 * same > len(numbers))


def _are_months(names: Sequence[str]) -> bool:
    return all(is_time(f"{name} 2000") for name in names)


def follow(rows: Sequence[Sequence[str]], dialect: Dialect, names: Sequence[str] = ()) -> bool:
    """Whether lines follow one another in time: some columns are much like themselves a line before, and not sorted.

    Where a thing stands says nothing, since lists of places go round a country as well.

    Parameters
    ----------
    rows : the cells of some lines, the first ones at the beginning.
    dialect : what a number is.
    names : of their columns; () for none.
    """
    places = [bool(PLACES & {*words_of(name)}) for name in names] or [False] * len(rows[0])
    cells = zip(zip(*rows[:MOST_LINES], strict=True), places, strict=True)
    columns = [numbers for column, place in cells if not place and len(numbers := _numbers(column, dialect)) >= BLOCK]
    varied = [numbers for numbers in columns if len({*numbers}) * 4 >= len(numbers)]
    return sum(_alike(numbers) >= ALIKE for numbers in varied) > SOME * len(varied)


def unnamed(rows: Sequence[Sequence[str]], count: int, dialect: Dialect) -> bool | None:
    """Whether the lines of a table of numbers without names are seen to follow one another; None for series.

    Most columns are then much like themselves a line before, and no more like the column beside them than like another:
    of series neighbours are the steps of one thing, and windows that overlap repeat the line before. Where lines are
    not seen to follow one another, a few columns of many lines are no series either.

    Parameters
    ----------
    rows : the cells of some lines, the first ones at the beginning.
    count : of all lines, about.
    dialect : what a number is.
    """
    if not 2 <= len(rows[0]) <= MOST_COLUMNS or len(rows) < max(LEAST_LINES, 2 * len(rows[0])):
        return None
    columns = [_numbers(cells, dialect) for cells in zip(*rows[:MOST_LINES], strict=True)]
    if not all(columns) or _overlap(rows[:BLOCK]):
        return None
    varied = [numbers for numbers in columns if len({*numbers}) * 4 >= len(numbers) >= BLOCK]
    if len(varied) > 1 and len({*map(len, varied)}) == 1:
        before = statistics.median(map(_alike, varied))
        beside, apart = (_alike_beside(varied, by) for by in (1, len(varied) // 2))
        if before >= MOSTLY_ALIKE and (beside < apart + BY_FAR or beside < before - BY_FAR):
            return len(columns) not in DAYS or None
    return False if len(columns) <= FEW_STEPS and count >= MANY_LINES and len(varied) == len(columns) else None


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


def _alike_beside(columns: Sequence[Sequence[float]], by: int) -> float:
    """The median correlation of columns with those `by` places on."""
    return statistics.median(abs(_correlation(a, b)) for a, b in zip(columns, columns[by:], strict=False))


def _correlation(after: Sequence[float], before: Sequence[float]) -> float:
    """0 where either is constant."""
    return statistics.correlation(after, before) if min(len({*after}), len({*before})) > 1 else 0.0
