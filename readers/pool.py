"""Files parsed by processes side by side, where there are cores for them and enough to do."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from errors import TsrunError

if TYPE_CHECKING:
    from concurrent.futures import Future, ProcessPoolExecutor

Found = TypeVar("Found")
LARGE = 1 << 28  # bytes of all files from which it pays to start processes, which import numpy and pandas
MOST = 8  # processes
AHEAD = 2  # files for each process that are read and not yet asked for


def in_order(read: Callable[[Path], Found], paths: Sequence[Path]) -> Iterator[Found]:
    """What `read` gives for each of the paths, in order, and its errors as they would come one after the other.

    Parameters
    ----------
    read : a function of a module, or a `partial` of one: another process calls it. What it cannot read there, or does
        not come back from there, this process reads itself.
    paths : the files.
    """
    count = processes(paths)
    if count < 2:
        yield from map(read, paths)
        return
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    context = get_context("forkserver")  # this process may have threads, which a fork would lose in the middle of work
    waiting: deque[tuple[Path, Future[Found | None] | None]] = deque()
    with ProcessPoolExecutor(count, context, _leave_signals) as pool:
        try:
            for path in paths:
                waiting.append((path, _given(pool, read, path)))
                if len(waiting) > AHEAD * count:
                    yield _result(read, *waiting.popleft())
            while waiting:
                yield _result(read, *waiting.popleft())
        finally:
            pool.shutdown(cancel_futures=True)


def processes(paths: Sequence[Path]) -> int:
    """How many processes read these files: as many as there are cores, if the files are large."""
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    if min(cores, len(paths)) < 2 or sys.platform == "win32":
        return 1
    with contextlib.suppress(OSError):  # whoever reads it says what is wrong
        if sum(path.stat().st_size for path in paths) >= LARGE:
            return min(cores, len(paths), MOST)
    return 1


def _leave_signals() -> None:
    """Ctrl-C ends the process that asked, and that one these."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _read(read: Callable[[Path], Found], path: Path) -> Found | None:
    """In another process: what `read` gives; None where it fails."""
    try:
        return read(path)
    except (TsrunError, MemoryError):
        return None


def _given(pool: ProcessPoolExecutor, read: Callable[[Path], Found], path: Path) -> Future[Found | None] | None:
    from concurrent.futures.process import BrokenProcessPool

    try:
        return pool.submit(_read, read, path)
    except BrokenProcessPool:
        return None


def _result(read: Callable[[Path], Found], path: Path, coming: Future[Found | None] | None) -> Found:
    from concurrent.futures.process import BrokenProcessPool

    found = None
    if coming is not None:
        with contextlib.suppress(BrokenProcessPool):  # a process was killed, such as where memory is short
            found = coming.result()
    return read(path) if found is None else found
