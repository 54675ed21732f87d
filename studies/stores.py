"""Where studies are kept: a PostgreSQL that many machines share, or a SQLite file on one machine.

psycopg itself connects, from the address as libpq reads it, so that no password passes through URLs of other libraries.
Error messages do not show it.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import sqlite3
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from errors import (
    ADDRESS_FORMS,
    LIMITS,
    DataError,
    ResourceError,
    TsrunError,
    UsageError,
    is_address,
    refused,
    without_password,
)

if TYPE_CHECKING:
    import optuna
    import psycopg

EMBEDDED, SQLITE = "embedded:", "sqlite:///"
BUSY = 60  # seconds to wait for another process that writes to the same SQLite file


@dataclass(frozen=True)
class Store:
    """The place of `--storage`: a PostgreSQL that `connect` opens, or a SQLite file at `path`."""

    shown: str  # the address without its password
    connect: Callable[[], psycopg.Connection] | None = None
    path: Path | None = None

    @contextmanager
    def exclusive(self, name: str) -> Iterator[None]:
        """One process at a time, on all machines that share the store; a process that dies lets go."""
        if self.connect is not None:
            key = int.from_bytes(hashlib.sha256(f"tsrun search {name}".encode()).digest()[:8], "big", signed=True)
            with self.connect() as connection:
                connection.execute("SET LOCAL idle_in_transaction_session_timeout = '5min'")  # a machine may vanish
                connection.execute("SELECT pg_advisory_xact_lock(%s)", (key,))
                yield
            return
        assert self.path is not None
        with self.path.with_name(self.path.name + ".lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def open(self, grace: int) -> optuna.storages.RDBStorage:
        """Optuna's storage; a trial that gives no sign of life for `grace` seconds counts as lost."""
        import optuna

        _quiet_optuna()
        url = f"{SQLITE}{self.path}"
        engine: dict[str, Any] = {"connect_args": {"timeout": BUSY}}
        if self.connect is not None:
            url, engine = "postgresql+psycopg://", {"creator": self.connect, "pool_pre_ping": True}
        return optuna.storages.RDBStorage(url, engine, heartbeat_interval=beats(grace), grace_period=grace)


def store_at(storage: str) -> Store:
    """The store that `--storage` names. UsageError for an invalid address, DataError if nothing answers."""
    if storage.startswith(EMBEDDED) or is_address(storage):
        return _postgres(storage)
    path = storage.removeprefix(SQLITE)
    if "://" in path or not path:
        raise UsageError(f"takes a file (SQLite), {ADDRESS_FORMS}", where="--storage")
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with sqlite3.connect(path) as connection:
            connection.execute("SELECT count(*) FROM sqlite_master")
    except OSError as error:
        raise refused(error, UsageError, "cannot be written", f"--storage {path}") from None
    except sqlite3.Error as error:
        raise _of_sqlite(error, f"--storage {path}", "a SQLite file, or one that is not there") from None
    return Store(path, path=Path(path))


def _postgres(storage: str) -> Store:
    from sources.embedded import address_of
    from sources.postgres import CONNECT_TIMEOUT, UNPREPARED

    try:
        import psycopg
        from psycopg.conninfo import conninfo_to_dict
    except ImportError:
        hint = "pip install -r requirements-postgres.txt"
        raise UsageError("needs psycopg", where="--storage postgresql://...", hint=hint) from None
    address = storage
    if storage.startswith(EMBEDDED):
        address = address_of(Path(storage.removeprefix(EMBEDDED)), create=True)
    settings: dict[str, Any] = {"connect_timeout": CONNECT_TIMEOUT, "application_name": "tsrun search"}
    settings |= conninfo_to_dict(address) | UNPREPARED
    store = Store(without_password(storage), connect=lambda: psycopg.connect("", **settings))
    with answering(store):
        assert store.connect is not None
        store.connect().close()
    return store


def _quiet_optuna() -> None:
    """Silence its log, which repeats ours, and the warning that heartbeats are experimental."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    warnings.filterwarnings("ignore", message="Heartbeat of storage is supposed")


def beats(grace: int) -> int:
    """Seconds between a trial's signs of life."""
    return max(grace // 4, 1)


@contextmanager
def answering(store: Store) -> Iterator[None]:
    """Errors of the store in this block become a DataError that shows no password."""
    import optuna
    import sqlalchemy.exc

    try:
        yield
    except (optuna.exceptions.StorageInternalError, sqlalchemy.exc.SQLAlchemyError) as error:
        raise _refused(error, store) from None
    except Exception as error:
        if store.connect is None or not isinstance(error, _postgres_error()):
            raise
        raise _refused(error, store) from None


def _postgres_error() -> type[Exception]:
    import psycopg

    return psycopg.Error


def _of_sqlite(error: BaseException, where: str, hint: str = "") -> TsrunError:
    if "disk is full" in str(error):
        return ResourceError(LIMITS[errno.ENOSPC][0], where=where)
    return DataError(str(error), where=where, hint=hint)


def _refused(error: BaseException, store: Store) -> TsrunError:
    """The message of the database, unwrapped from Optuna and SQLAlchemy."""
    said: BaseException | None = error
    while said is not None and not isinstance(said, sqlite3.Error) and not hasattr(said, "sqlstate"):
        said = getattr(said, "orig", None) or said.__cause__
    where = f"--storage {store.shown}"
    if said is None or isinstance(said, sqlite3.Error):
        return _of_sqlite(said or error, where)
    from sources import postgres

    return postgres.refused(said, where, postgres.CONNECT_TIMEOUT)  # type: ignore[arg-type]
