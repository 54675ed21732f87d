"""Tables of things of which nothing says what is to be learned: no line of them is a series of steps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from errors import DataError
from readers.dialect import Dialect
from readers.files import dialect_of, first_lines
from readers.fitting import rows_of
from readers.guess import LINE, is_id_word, steps_named
from readers.named_labels import named_as_labels
from readers.paths import abridge
from readers.things import FEW, learns
from times.words import is_time, words_of

LEAST_NAMES, MOST_NAMES, LEAST_LINES = 4, 50, 20
SHORT = 3  # letters, of which all names may be days, months or letters in their order


def unlabelled_in(path: Path, asked: Dialect) -> DataError | None:
    """The same of a file.

    Parameters
    ----------
    path : the file. asked : how the flags say that CSVs are written.
    """
    dialect = dialect_of(path, asked)
    rows = rows_of(first_lines(path)[0], dialect)
    return unlabelled(path, rows, dialect) if rows else None


def unlabelled(path: Path, rows: Sequence[Sequence[str]], dialect: Dialect) -> DataError | None:
    """What a table of things is refused with where neither a flag nor a name says its label; None for another table.

    Parameters
    ----------
    path : the file. rows : the cells of its first lines. dialect : what a number is.
    """
    names = [name.strip() for name in rows[0]]
    if len(rows) <= LEAST_LINES or not LEAST_NAMES <= len(names) <= MOST_NAMES or not _of_things(names, dialect):
        return None
    named = named_as_labels(names)
    kept = [name for name in names[1:] if not is_id_word(name, things=False)] or names
    label = named[0] if len(named) == 1 else kept[-1]
    cells = {row[names.index(label)].strip() for row in rows[1:]}
    task = "classify" if len(cells) <= FEW else "regress"
    what = f"each line is an example of its own, with {abridge(names)}, and nothing says which is to be learned"
    steps = f"--time-col {LINE} if each line is a step of time; --header yes if each is a series of steps"
    hint = f"{learns(task, label, repr(label))}; {steps}"
    return DataError(what, where=str(path), hint=hint)


def _of_things(names: Sequence[str], dialect: Dialect) -> bool:
    """Whether names are those of different things, rather than of steps: numbers, times, days."""
    if len({*names}) < len(names) or not all(any(map(str.isalpha, name)) for name in names):
        return False
    if any(dialect.is_number(name) or is_time(name) or is_time(f"{name} 2000") for name in names):
        return False
    if any(len(some) > 1 and steps_named(some, dialect) for some in (names, names[1:], names[:-1], names[1:-1])):
        return False
    days = all(name.casefold().endswith(("day", "tag", "di")) for name in names[1:])  # of a week, in some languages
    return not days and any(len(name) > SHORT for name in names[1:]) and len({*map(_plainly, names)}) == len(names)


def _plainly(name: str) -> tuple[str, ...]:
    return tuple(words_of(name))
