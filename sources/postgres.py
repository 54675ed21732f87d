"""PostgreSQL by psycopg 3: connections that read one snapshot and change nothing, and their errors.

The password comes from the address, PGPASSWORD, ~/.pgpass or a service file, as in libpq, and goes nowhere else.
"""

from __future__ import annotations

import math
import types
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from data import Source
from errors import ADDRESS_FORMS, DataError, UsageError, is_address
from sources.embedded import address_of

if TYPE_CHECKING:
    import psycopg

EMBEDDED = "embedded:"
CONNECT_TIMEOUT = 10  # seconds, where the address gives none
# A pooler gives each transaction another session of the server, which does not know the names of statements that were
# prepared in the one before: nothing is prepared.
UNPREPARED: dict[str, Any] = {"prepare_threshold": None}
_HINTS = {  # by SQLSTATE: https://www.postgresql.org/docs/current/errcodes-appendix.html
    "42501": "the user needs the right to SELECT",
    "25006": "a query for data reads and changes nothing",
}


class Server(NamedTuple):
    """What a manifest says of a server: nothing that gives access to it."""

    version: str
    database: str
    host: str


@dataclass(frozen=True)
class Answer(Source):
    """Data from a database: `sha256`, `bytes` and `shape` are those of the data, `path` says what was read."""

    query_sha256: str
    server: Server

    def plain(self) -> dict[str, Any]:
        return super().plain() | {"server": self.server._asdict()}


@contextmanager
def connect(
    db: str, *, timeout: float = 300, write: bool = False, hints: Mapping[str, str] | None = None
) -> Iterator[psycopg.Connection]:
    """One transaction in the database `db`: an address (see `is_address`), or embedded:DIR, which is started.

    It works through a pooler, too: it needs no state of the session.

    Parameters
    ----------
    timeout : seconds that a statement may take; 0 for any.
    hints : what to do about an error, by its SQLSTATE.
    write : allows changes, and makes DIR if it does not exist. Otherwise the transaction is read-only and sees one
        snapshot. Times are in UTC.

    Raises
    ------
    UsageError : not an address, or psycopg is not installed.
    DataError : no connection, or an error of the database within the block.
    """
    try:
        import psycopg
    except ImportError:
        hint = "pip install -r requirements-postgres.txt"
        raise UsageError("needs psycopg", where="--db", hint=hint) from None
    if not db.startswith(EMBEDDED) and not is_address(db):
        raise UsageError(f"takes {ADDRESS_FORMS}", where="--db")
    address = address_of(Path(db.removeprefix(EMBEDDED)), create=write) if db.startswith(EMBEDDED) else db
    try:
        with psycopg.connect(address, **_settings(address), **UNPREPARED) as connection:
            connection.read_only = not write
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            local = {"statement_timeout": str(math.ceil(timeout * 1000)), "TimeZone": "UTC", "DateStyle": "ISO"}
            for name, value in local.items():
                connection.execute("SELECT set_config(%s, %s, true)", (name, value))
            yield connection
    except psycopg.Error as error:
        raise refused(error, f"--db {db}", timeout, hints or {}) from None


def _settings(address: str) -> dict[str, Any]:
    from psycopg.conninfo import conninfo_to_dict

    chosen = {"application_name": "tsrun", "connect_timeout": CONNECT_TIMEOUT} | conninfo_to_dict(address)
    return {name: chosen[name] for name in ("application_name", "connect_timeout")} | {"client_encoding": "UTF8"}


def refused(
    error: psycopg.Error, where: str, timeout: float, hints: Mapping[str, str] = types.MappingProxyType({})
) -> DataError:
    """An error of the database as one that a user can act on; `hints` by SQLSTATE."""
    message = error.diag.message_primary
    if message is None:  # not from a server: libpq describes the connection, in several lines
        text = " ".join(str(error).split()).removeprefix("connection failed: ")
        hint = "is the server running, and are host, port and name right?"
        if "password" in text:
            hint = "the password is that of the address, of PGPASSWORD, ~/.pgpass or a service file"
        return DataError(f"no connection: {text}", where=where, hint=hint)
    if error.sqlstate == "57014" and "timeout" in message:
        return DataError(
            f"a statement took longer than {timeout:g} s",
            where=where,
            hint="--db-timeout 0 waits for as long as it takes",
        )
    hint = (_HINTS | dict(hints)).get(error.sqlstate or "") or error.diag.message_hint or ""
    return DataError(message, where=where, hint=hint)


def server_of(connection: psycopg.Connection, db: str) -> Server:
    """The server at the other end."""
    info = connection.info
    host = db if db.startswith(EMBEDDED) else info.host
    return Server(info.parameter_status("server_version") or "", info.dbname, host)
