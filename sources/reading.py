"""The user's data, from files or a database."""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import data
from config import RunConfig
from data import Series
from errors import DataError, UsageError
from readers.columns import NoColumn, read_names
from readers.dialect import Dialect
from readers.late import late, without_partial
from readers.paths import expand_paths
from sources.idle import without_idle
from times.written import ORDERS

CLOSE = 0.4  # of two names: alike enough to be proposed


def read(
    config: RunConfig, columns: Sequence[str] | None = None, known: Sequence[str] = (), *, partial: bool = True
) -> Series:
    """The files, or the answer to the query, that a configuration names, as one Series.

    Parameters
    ----------
    config : the run's settings.
    columns : names of the channels wanted, in order; None for those of --columns, or all. `name=column` of --columns
        says in which column a channel is.
    known : names of the channels whose future values are known.
    partial : whether columns stay that no flag names and that hardly overlap with the others, as a label may.

    Raises
    ------
    UsageError, DataError : as `data.read`, and --db without --db-query.
    """
    try:
        series = _read_items(strict_on_gaps(config), columns, known)
    except NoColumn as error:
        if columns is None or config.mode == "train" or config.db:
            raise
        series = _respelled(config, columns, known, error)
    numbered = isinstance(config.label_src_ch, int) and "label_src_ch" in config.given
    if not (columns is not None or config.columns or config.strict or numbered):
        named = _named(config, known)
        series = without_idle(series, named)
        series = series if partial else without_partial(series, named)
    return replace(series, notes=(*series.notes, *late(series))) if config.time_col else series


def strict_on_gaps(config: RunConfig) -> RunConfig:
    """The settings with which --strict refuses missing values, where --nan says nothing else."""
    return config.read_as(nan="error") if config.strict and config.nan == "auto" else config


def _named(config: RunConfig, known: Sequence[str]) -> set[str]:
    """What the flags of a run name, columns among it."""
    values = [*vars(config).values(), *config.options.values()]
    several = [each for value in values if isinstance(value, (tuple, list)) for each in value]
    return {each for each in (*values, *several, *known) if isinstance(each, str)}


def _respelled(config: RunConfig, columns: Sequence[str], known: Sequence[str], error: NoColumn) -> Series:
    """The channels of a checkpoint from columns that spell their names in another way, told; the error for others."""
    there = names_of(config, expand_paths(config.csv)[:1])
    keys = {*config.time_col.split("+"), config.time_col, *config.id_col.split("+"), config.id_col}
    free = [name for name in there if name not in (*keys, *columns, *known)]
    missing = [name for name in dict.fromkeys((*columns, *known)) if name not in (*there, *config.column_of)]
    alike = {name: [other for other in free if _plain(other) == _plain(name)] for name in missing}
    if missing and all(len(found) == 1 for found in alike.values()) and not config.strict:
        items = tuple(f"{name}={found[0]}" for name, found in alike.items())
        series = _read_items(config.read_as(columns=(*config.columns, *items)), columns, known)
        told = ", ".join(f"{name} from {found[0]!r}" for name, found in alike.items())
        return replace(series, notes=(*series.notes, f"read in another spelling: {told}"))
    if error.name in missing:
        if len(missing) == 1 and free:
            likely = free[0] if len(free) == 1 else (difflib.get_close_matches(missing[0], free, 1, CLOSE) or [""])[0]
            words = shlex.quote(f"{missing[0]}={likely or 'COLUMN'}")
            error.hint = f"--columns {words} if that is it here; its other columns: {', '.join(free[:12])}"
        else:
            kept = shlex.join(name for name in columns if name in there)
            without = f"; --mode train --columns {kept} learns without" if kept else ", and none of them is here"
            error.hint = f"the checkpoint reads {', '.join(columns[:12])}{without}"
    raise error


def names_of(config: RunConfig, paths: Sequence[Path]) -> list[str]:
    """The names of the columns of a long file, time and id among them; [] of none.

    Parameters
    ----------
    config : how CSVs are written, and the columns of the times.
    paths : the file, or none.
    """
    keys = [config.time_col] if config.time_col else []
    return read_names(paths[0], Dialect.of_long(config), keys) if paths and keys else []


def _plain(name: str) -> str:
    """A name without what spellings differ in: case, spaces and punctuation."""
    return "".join(filter(str.isalnum, name.casefold()))


def _read_items(config: RunConfig, columns: Sequence[str] | None, known: Sequence[str]) -> Series:
    """As `read`, with columns as they are spelled."""
    items = config.column_of
    if all(name == column for name, column in items.items()):
        return _read(config, (config.columns or None) if columns is None else columns, known)
    names = [word.partition("=")[0] for word in config.columns] if columns is None else columns
    series = _read(config, [items.get(name, name) for name in names], [items.get(name, name) for name in known])
    own = {column: name for name, column in items.items()}
    parts = (series.channels, series.known, series.static)
    channels, ahead, static = (tuple(own.get(name, name) for name in part) for part in parts)
    return replace(series, channels=channels, known=ahead, static=static)


def _read(config: RunConfig, columns: Sequence[str] | None, known: Sequence[str]) -> Series:
    if not config.db:
        series = data.read(config, columns, known)
        if config.strict:
            _refuse_order(series.notes)
        return series
    if not config.db_query:
        raise UsageError(
            "requires --db-query", where="--db", hint="--db-query FILE.sql, with a SELECT: the time, channels"
        )
    from sources import query  # psycopg is an extra

    return query.read(config, columns, known)


def _refuse_order(notes: Iterable[str]) -> None:
    """DataError where an order of day and month was taken since no other fits: --strict wants it to be said."""
    for order, words in ORDERS.items():
        for note in notes:
            if f"times read as {words}:" in note:
                raise DataError(note, where="--strict", hint=f"--date-order {order}")
