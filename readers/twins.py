"""A second column that tells series of one name apart: cities of two countries, products of two shops."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from readers.columns import Wanted, joined_names
from readers.dialect import Dialect
from readers.files import dialect_of, open_table, read_whole
from readers.longtext import table_of
from readers.owned import is_owner_word

EACH = 3  # lines of each series, at least: what differs from line to line names none


def second_owner(path: Path, wanted: Wanted, asked: Dialect) -> str:
    """The columns of the id with the one beside it with which no time of a series comes twice, joined as --id-col takes
    them: of several the one called as people and things are, or with the fewest words; "" for none.

    Parameters
    ----------
    path : a file whose lines of one id have a time twice. wanted : its columns of times and ids, and the channels.
    asked : how the flags say that CSVs are written.

    Raises
    ------
    DataError : the file cannot be read.
    """
    dialect = dialect_of(path, asked)
    with open_table(path) as table:
        text, _ = table_of(read_whole(table.text, path), path, dialect, wanted.keys)
    names = text.header()
    keys = [*joined_names(names, wanted.time), *joined_names(names, wanted.id)]
    others = [name for name in dict.fromkeys(names) if name and names.count(name) == 1 and name not in keys]
    frame = text.cells_of(names, [*keys, *others], dtype=object, na_filter=False)
    found = [name for name in others if _tells_apart(frame, keys, name, dialect)]
    best = min(found, key=lambda name: (not is_owner_word(name), frame[name].nunique()), default="")
    return f"{wanted.id}+{best}" if best else ""


def _tells_apart(frame: Any, keys: Sequence[str], name: str, dialect: Dialect) -> bool:
    """Whether a column of words, or of whole numbers called as ids are, makes all times of a series different ones."""
    cells = frame[name]
    kinds = cells.unique()
    plain = all(map(dialect.is_text, kinds)) or (is_owner_word(name) and all(map(str.isdecimal, kinds)))
    few = 1 < len(kinds) <= len(cells) // EACH
    return plain and few and not frame.duplicated([*keys, name]).any()
