"""The user's data, from files or a database."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import data
from config import RunConfig
from data import Series
from errors import DataError, UsageError
from readers.written import ORDERS


def read(config: RunConfig, columns: Sequence[str] | None = None, known: Sequence[str] = ()) -> Series:
    """The files, or the answer to the query, that a configuration names, as one Series.

    Parameters
    ----------
    config : the run's settings.
    columns : names of the channels wanted, in order; None for those of --columns, or all. `name=column` of --columns
        says in which column a channel is.
    known : names of the channels whose future values are known.

    Raises
    ------
    UsageError, DataError : as `data.read`, and --db without --db-query.
    """
    items = {name: column for name, _, column in (word.partition("=") for word in config.columns) if column}
    if not items:
        return _read(config, (config.columns or None) if columns is None else columns, known)
    names = [word.partition("=")[0] for word in config.columns] if columns is None else list(columns)
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
