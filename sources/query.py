"""Any table of a PostgreSQL as a Series: a query selects the time, then a column per channel.

The answer is sent as CSV and read as a long CSV is, with the same clock, gaps, zones and errors.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from config import RunConfig
from data import Series
from errors import DataError, UsageError
from readers.categories import Asked
from readers.columns import LongFile, read_answer
from readers.dialect import Dialect
from readers.long import check_options, join_files
from readers.rows import file_names
from readers.sidecars import attach
from readers.sieve import Sieve
from settings.shards import parse_shard
from sources.postgres import Answer, Server, connect, refused, server_of

_HEAD = "COPY (\n"  # a line of its own, since a query may begin or end with a comment
_TAIL = "\n) TO STDOUT (FORMAT csv, HEADER)"
_END = re.compile(r";(?:\s|--[^\n]*(?:\n|\Z)|/\*.*?\*/)*\Z", re.DOTALL)
_HINTS = {  # by SQLSTATE
    "3F000": "the query names the schema: SELECT ... FROM schema.table",
    "42P01": "the query names the table, and its schema where that is not public: SELECT ... FROM schema.table",
}
TIME_HINT = "the first column is the time: to_timestamp(t) of seconds, timestamp '2024-01-01' + t of an interval"
SELECT_HINT = "one SELECT: the time first, then one column a channel (and one for --id-col)"


def read(config: RunConfig, columns: Sequence[str] | None = None, known: Sequence[str] = ()) -> Series:
    """The answer to the query in `config.db_query`, as one Series.

    Parameters
    ----------
    config : the run's settings.
    columns, known : as in `data.read`.

    Raises
    ------
    UsageError : options that contradict each other, a query that cannot be read.
    DataError : what the database refuses, with the query's line; an answer that is not in order, with its row.
    """
    file = Path(config.db_query)
    query = _query(file)
    check_options((config.id_col,), columns, config.resample, config.tz, config.nan)
    wanted, asked = None if columns is None else tuple(columns), Asked.of(config, columns, known)
    shard = parse_shard(config.shard) if config.id_col else None
    sieve = None if shard is None else Sieve(shard)
    reads = partial(read_answer, na=config.na, columns=wanted, sieve=sieve, categories=asked)
    try:
        table, server = _ask(config, file, query, reads)
    except DataError as error:
        if "--time-col" in error.hint:  # of files: a query makes the time itself
            error.hint = TIME_HINT
        raise
    whole = bool(config.strict or config.labels or config.groups or shard)
    how: dict[str, Any] = {"resample": config.resample, "tz": config.tz, "nan": config.nan, "whole": whole}
    how["zoned"] = not (config.strict or shard)
    series = join_files([table], file_names([file]), known=known, **how)
    series = replace(series, part=None if sieve is None else sieve.part)
    answer = Answer(**vars(table.source), query_sha256=hashlib.sha256(query.encode()).hexdigest(), server=server)
    named = bool(config.id_col) or series.n_rows > 1
    dialect = Dialect(config.sep, config.decimal)
    series = replace(series, sources=(answer,))
    return attach(
        series, config.labels, config.groups, named=named, dialect=dialect, every=None if sieve is None else sieve.names
    )


def _query(file: Path) -> str:
    """The text of the query's file, without the semicolon at its end."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UsageError(f"cannot read the query: {error.strerror}", where=f"--db-query {file}") from None
    except UnicodeDecodeError:
        raise UsageError("the query is not UTF-8 text", where=f"--db-query {file}") from None
    query = _END.sub("", text)
    if not query.strip():
        raise UsageError("the file is empty", where=f"--db-query {file}", hint=SELECT_HINT)
    return query


def _ask(config: RunConfig, file: Path, query: str, reads: Callable[..., LongFile]) -> tuple[LongFile, Server]:
    """The answer as `reads` reads it while it comes, and the server."""
    with connect(config.db, timeout=config.db_timeout) as connection:
        import psycopg  # an extra: without it `connect` has said what to install

        statement = _HEAD + query + _TAIL
        try:
            with connection.cursor() as cursor, cursor.copy(statement.encode()) as copy:
                table = reads(iter(copy), file, config.id_col)
        except psycopg.ProgrammingError as error:
            found = refused(error, str(file), config.db_timeout, _HINTS)
            if position := error.diag.statement_position:
                line = statement.count("\n", 0, int(position) - 1)  # the query begins in the statement's second
                found.where = f"{file}:{line}"
            found.hint = found.hint or SELECT_HINT
            raise found from None
        server = server_of(connection, config.db)
    return table, server
