"""Parsed tables kept on disk, so that a large file is parsed once and not at each run.

An entry is one file: a line with the format and a checksum, a line of JSON, the raw values. It says which
state of the source it was made from; an entry that does not match is replaced after reading the source again. The
cache never fails a run: an error in writing is a note.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import itertools
import json
import os
import shutil
import tempfile
import time
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

FORMAT = "tsrun-table-24"
LEAST_BYTES = 1_000_000  # a smaller file is parsed about as fast as its entry is found
MOST_BYTES = 4 << 30  # of all entries together, without those that are mapped: these take at most half of what is free
MAPPED, ALIGNED = ".mapped", 64  # ending of an entry that is mapped; its arrays begin at a multiple of so many bytes
_KINDS = {"float32": np.float32, "float64": np.float64, "int64": np.int64}
ABANDONED = 3600  # seconds after which nobody writes an entry any more
RACY_NS = 2_000_000_000  # a file this young may change again without a change of its time stamps


@dataclass(frozen=True)
class Key:
    """One source file as it is now, read in one way, and the entry that belongs to it."""

    entry: Path
    state: dict[str, Any]
    young: bool


def folder() -> Path | None:
    """The cache's folder: `$TSRUN_CACHE`, `$XDG_CACHE_HOME/tsrun` or `~/.cache/tsrun`; None where TSRUN_CACHE=off."""
    named = os.environ.get("TSRUN_CACHE", "")
    if named.casefold() == "off":
        return None
    if named:
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tsrun"


def key(path: Path, options: dict[str, str]) -> Key | None:
    """The key of a file as it is now.

    Parameters
    ----------
    path : the source file.
    options : how it is read; another reading is another entry.

    Returns
    -------
    The key; None where the file is not cached: the cache is off, or the file is small, missing or not a plain file.
    """
    directory = folder()
    try:
        status = path.stat()
    except OSError:
        return None
    if directory is None or status.st_size < LEAST_BYTES or not path.is_file():
        return None
    times = {"mtime_ns": status.st_mtime_ns, "ctime_ns": status.st_ctime_ns}
    stamps = {"size": status.st_size, **times, "ino": status.st_ino, "dev": status.st_dev}
    name = json.dumps([str(path.resolve()), options], sort_keys=True)
    entry = directory / f"{hashlib.sha256(name.encode()).hexdigest()[:32]}.table"
    young = time.time_ns() - max(status.st_mtime_ns, status.st_ctime_ns) < RACY_NS
    return Key(entry, {"source": name, **stamps}, young)


def load(wanted: Key) -> tuple[dict[str, Any], list[np.ndarray]] | None:
    """What `store` kept for a key.

    Returns
    -------
    (facts, arrays); None where there is no valid entry. It never raises.
    """
    try:
        with wanted.entry.open("rb") as file:
            form, checksum = file.readline(80).split()
            line = file.readline()
            head = json.loads(line)
            if form.decode() != FORMAT or head["state"] != wanted.state:
                return None
            arrays = [np.empty(shape, _KINDS[kind]) for kind, shape in head["arrays"]]
            whole = all(file.readinto(_bytes(array)) == array.nbytes for array in arrays) and not file.read(1)
        if not whole or _checksum(line, arrays) != checksum:
            return None
    except (OSError, ValueError, KeyError, TypeError, MemoryError):
        return None
    with contextlib.suppress(OSError):
        os.utime(wanted.entry)  # the time of last use: the oldest entries are removed first
    return head["facts"], arrays


def mapped(wanted: Key) -> tuple[dict[str, Any], list[np.ndarray]] | None:
    """As `load`, with arrays that are read from the entry as they are needed, and cannot be written to.

    Only the size of the entry is checked: a checksum would read all of it.
    """
    try:
        with wanted.entry.open("rb") as file:
            form, _ = file.readline(80).split()
            head = json.loads(file.readline())
            if form.decode() != FORMAT or head["state"] != wanted.state:
                return None
            arrays, at = [], file.tell()
            for kind, shape in head["arrays"]:
                arrays.append(np.memmap(file, _KINDS[kind], "r", at, tuple(shape)))
                at += arrays[-1].nbytes
            if at != os.fstat(file.fileno()).st_size:
                return None
    except (OSError, ValueError, KeyError, TypeError, MemoryError):
        return None
    with contextlib.suppress(OSError):
        os.utime(wanted.entry)
    return head["facts"], [np.asarray(array) for array in arrays]


def keep(path: Path, options: dict[str, str], before: Key, facts: dict[str, Any], arrays: Sequence[np.ndarray]) -> str:
    """As `store`, of a file that is still what it was `before` it was read.

    Parameters
    ----------
    path, options : as for `key`.
    before : what that gave.
    facts, arrays : as for `store`.
    """
    after = key(path, options)
    if after is None or after.state != before.state:
        return "warning: the file changed while it was read"
    return store(before, facts, arrays)


def store(wanted: Key, facts: dict[str, Any], arrays: Sequence[np.ndarray]) -> str:
    """Keep what was parsed of a file.

    Parameters
    ----------
    wanted : the key.
    facts : plain values, for JSON.
    arrays : float32, float64 or int64, of any shape.

    Returns
    -------
    A note where that failed, else "". A file that changed a moment ago is not kept, nor what would fill the disk.
    """
    kinds = [(str(array.dtype), array.shape) for array in arrays]
    head = json.dumps({"state": wanted.state, "arrays": kinds, "facts": facts}).encode()
    head += b" " * (-(len(FORMAT) + 11 + len(head)) % ALIGNED) + b"\n"
    try:
        wanted.entry.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _sweep(wanted.entry.parent)
        large = wanted.entry.suffix == MAPPED
        most = shutil.disk_usage(wanted.entry.parent).free // 2 if large else MOST_BYTES
        if wanted.young or sum(array.nbytes for array in arrays) > most:
            return ""
        with tempfile.NamedTemporaryFile(dir=wanted.entry.parent, suffix=".part", delete=False) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX)  # it ends with this process, however that ends
                file.write(FORMAT.encode() + b" " + _checksum(head, arrays) + b"\n" + head)
                for array in arrays:
                    file.writelines(_parts(array))
                file.flush()
                Path(file.name).replace(wanted.entry)
            except BaseException:  # a full disk, Ctrl-C
                Path(file.name).unlink(missing_ok=True)
                raise
        _trim(wanted.entry.parent, (MAPPED,) if large else (".table", ".part"), most)
    except OSError as error:
        return (
            f"no cache in {wanted.entry.parent} ({error.strerror or error}); TSRUN_CACHE names another folder or 'off'"
        )
    return ""


def _bytes(array: np.ndarray) -> memoryview:
    """The bytes of an array, without a copy; of one in another order, of a copy."""
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


def _parts(array: np.ndarray) -> Iterator[memoryview]:
    """The same in parts: rows that lie apart are not put together in memory."""
    return map(_bytes, [array] if array.ndim == 1 or array.flags.c_contiguous else array)


def _checksum(head: bytes, arrays: Sequence[np.ndarray]) -> bytes:
    found = zlib.crc32(head)
    for part in itertools.chain.from_iterable(map(_parts, arrays)):
        found = zlib.crc32(part, found)
    return b"%08x" % found


def _sweep(directory: Path) -> None:
    """Remove what writers left that were killed: half entries of over an hour that no process holds."""
    for path in directory.glob("*.part"):
        with contextlib.suppress(OSError):  # another process may have removed it, or still writes it
            if abs(time.time() - path.stat().st_mtime) > ABANDONED:  # the clock may have been set back since
                with path.open("rb") as file:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    path.unlink()


def _trim(directory: Path, kinds: Sequence[str], most: int) -> None:
    """Remove the entries of some kinds that were used longest ago, until the rest has at most so many bytes."""
    found = []
    for path in directory.iterdir():
        if path.suffix in kinds:
            with contextlib.suppress(OSError):  # another process may have removed it
                status = path.stat()
                found.append((status.st_mtime_ns, status.st_size, path))
    total = sum(size for _, size, _ in found)
    for _, size, path in sorted(found):
        if total <= most:
            return
        path.unlink(missing_ok=True)
        total -= size
