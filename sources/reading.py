"""The user's data, wherever a configuration says that they are."""

from __future__ import annotations

from collections.abc import Sequence

import data
from config import RunConfig
from data import Series
from errors import UsageError


def read(config: RunConfig, columns: Sequence[str] | None = None, known: Sequence[str] = ()) -> Series:
    """Files or the answer to a query, as one Series; `columns` and `known` are those of `data.read`."""
    if not config.db:
        return data.read(config, columns, known)
    if not config.db_query:
        raise UsageError("names no query", where="--db", hint="--db-query FILE.sql, with a SELECT: the time, channels")
    from sources import query  # psycopg is an extra

    return query.read(config, columns, known)
