"""Wide tables with a label for each row and a column that says of whom it is: no step, and a person is in one part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from data import Series
from readers.dialect import Dialect, Layout
from readers.files import first_cells
from readers.guess import is_id_word, is_person

LEAST = 3  # people, of whom some can be held out


def by_person(series: Series, path: Path, layout: Layout, dialect: Dialect, *, grouped: bool) -> Series:
    """The series without the step that holds a person's number, by which its rows are grouped, told; or as it is.

    Parameters
    ----------
    series : N rows of one channel, with T steps each.
    path, layout, dialect : the file, how it is laid out, and written; `apart` there is its column of labels.
    grouped : whether a flag says how rows are grouped.
    """
    if dialect.strict or not layout.header or series.n_channels > 1 or len({*series.lengths.tolist()}) > 1:
        return series
    things = series.things
    steps = _steps(path, layout, dialect) if things is None else things.steps
    people = [step for step, name in enumerate(steps if things is None else things.numbers) if is_person(name)]
    table = series.values[0].reshape(series.n_rows, -1)
    if len(people) != 1 or table.shape[1] != len(steps) or len(steps) < LEAST:
        return series
    at = people[0]
    numbers = table[:, at]
    kinds = np.unique(numbers)
    if not 1 < len(kinds) <= len(numbers) // 2 or not (np.mod(numbers, 1) == 0).all():  # NaN is no number
        return series
    count = len(series.values[0]) // len(steps)
    filled = None if series.filled is None else np.delete(series.filled.reshape(-1, count, len(steps)), at, axis=2)
    if things is not None:
        rest = (*things.numbers[:at], *things.numbers[at + 1 :])
        things = replace(things, numbers=rest, lacking=np.delete(things.lacking, at, axis=1))
    enough, name = not grouped and len(kinds) >= LEAST, steps[at]
    stay = f"; {_stay(name, len(kinds))}" * enough
    return replace(
        series,
        values=np.delete(table, at, axis=1).reshape(1, -1),
        filled=None if filled is None else filled.reshape(len(series.values), -1),
        things=things,
        offsets=np.arange(count + 1, dtype=np.int64) * (len(steps) - 1),
        groups=np.array([f"{number:.0f}" for number in numbers]) if enough else None,
        notes=(*series.notes, f"column {name!r} is no step, and left out{stay}"),
    )


def by_name(series: Series, people: Sequence[str]) -> Series:
    """The series with rows of one person as a group, told, where a column of words or of ids names them; or as it is.

    Parameters
    ----------
    series : N rows. people : the name of that column and its N cells, or ().
    """
    name, *cells = people or [""]
    kinds = {*cells}
    if series.groups is not None or len(cells) != series.n_rows or not LEAST <= len(kinds) < len(cells):
        return series
    if not is_id_word(name, things=False) and 2 * len(kinds) > len(cells):
        return series
    return replace(series, groups=np.array(cells), notes=(*series.notes, _stay(name, len(kinds))))


def _stay(name: str, count: int) -> str:
    return f"rows of one {name} stay in one part, of {count}; --groups FILE says others"


def _steps(path: Path, layout: Layout, dialect: Dialect) -> Sequence[str]:
    """The names of the columns that are steps: without those of the row ids and of the labels."""
    names = first_cells(path, dialect)[layout.index :]
    if dialect.apart in ("first", "last") and dialect.apart not in names:
        return names[1:] if dialect.apart == "first" else names[:-1]
    return [name for name in names if name != dialect.apart]
