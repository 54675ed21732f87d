"""Threads where memory may be short: Python waits without end for one that cannot begin, and for what it was to do."""

from __future__ import annotations

import mmap
import threading
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TimedOut
from typing import TypeVar

STACK = 8 << 20  # bytes, the usual one of a thread
_Given = TypeVar("_Given")


def check_room(threads: int, each: int = 0) -> None:
    """MemoryError where so many threads would have no room.

    Parameters
    ----------
    threads : how many begin.
    each : bytes that one needs beside its stack.
    """
    try:
        mmap.mmap(-1, threads * ((threading.stack_size() or STACK) + each)).close()
    except OSError:
        raise MemoryError from None


def result_of(future: Future[_Given], pool: str) -> _Given:
    """What a thread gives; MemoryError where there is none left to give it.

    Parameters
    ----------
    future : what was asked of a pool of threads.
    pool : how the names of its threads begin.
    """
    while True:
        try:
            return future.result(timeout=1)
        except TimedOut:
            if not any(thread.name.startswith(pool) for thread in threading.enumerate()):
                raise MemoryError from None
