"""Predictions of many windows a block at a time: kept in a file where they are large, or made as they are read."""

from __future__ import annotations

import contextlib
import math
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from io import BufferedRandom
from pathlib import Path
from typing import Any

import numpy as np

from ranks.alone import Alone

BLOCK = 1 << 20  # numbers that are held at once
MOST = 1 << 25  # bytes of one array that is kept in memory
ALIKE = 256  # a block has a multiple of so many windows, so that batches and sums are those of the whole


class Sliced(ABC):
    """Numbers [n, ...] that are read in slices of windows; all of them come only where `numpy.asarray` asks.

    shape : (n, K, H).
    """

    shape: tuple[int, ...]

    @abstractmethod
    def read(self, begin: int, end: int) -> np.ndarray:
        """Those of the windows from `begin` up to `end`."""

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, at: Any) -> np.ndarray:
        if isinstance(at, tuple):
            first, rest = at[0], at[1:]
            found: np.ndarray = self[first][rest if isinstance(first, int) else (slice(None), *rest)]
            return found
        if isinstance(at, slice):
            begin, end, step = at.indices(len(self))
            return self.read(begin, max(begin, end))[::step]
        if isinstance(at, int | np.integer):
            one: np.ndarray = self.read(int(at), int(at) + 1)[0]
            return one
        return np.concatenate([self.read(int(one), int(one) + 1) for one in at])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        whole = self.read(0, len(self))
        return whole if dtype is None else whole.astype(dtype)


class Made(Sliced):
    """Numbers that are made when they are read."""

    def __init__(self, shape: Iterable[int], make: Callable[[int, int], np.ndarray]) -> None:
        self.shape, self._make = tuple(shape), make

    def read(self, begin: int, end: int) -> np.ndarray:
        return self._make(begin, end)


class Kept(Sliced):
    """Numbers float32 [n, ...], written once, in order: in memory, or in a file without a name if they are large.

    Parameters
    ----------
    shape : (n, K, H).
    folder : where the file is; None for the system's folder of temporary files.
    """

    def __init__(self, shape: Iterable[int], folder: Path | None = None) -> None:
        self.shape = tuple(shape)
        self._each = math.prod(self.shape[1:])
        self._done = 0
        self._array: np.ndarray | None = None
        if 4 * len(self) * self._each <= MOST:
            self._array = np.empty(self.shape, np.float32)
        else:
            self._file = unnamed(folder)

    def add(self, block: np.ndarray) -> None:
        """Write the next windows [m, ...]."""
        if self._array is not None:
            self._array[self._done : self._done + len(block)] = block
        else:
            self._file.write(np.ascontiguousarray(block, np.float32).data.cast("B"))
        self._done += len(block)

    def __getitem__(self, at: Any) -> np.ndarray:
        return super().__getitem__(at) if self._array is None else self._array[at]

    def read(self, begin: int, end: int) -> np.ndarray:
        assert end <= self._done, "read before it was written"
        if self._array is not None:
            return self._array[begin:end]
        found = np.empty((end - begin, *self.shape[1:]), np.float32)
        self._file.seek(4 * begin * self._each)
        assert self._file.readinto(found.data.cast("B"))
        self._file.seek(0, 2)
        return found


def collected(own: Kept, total: int, together: Alone, folder: Path | None) -> Kept:
    """What each process has kept of its share of `total` windows, one after the other: on the first process.

    The others, which hand theirs over a block at a time, go on with their own.
    """
    if together.world == 1 or total < together.world:  # then each has kept all
        return own
    each = own.shape[1:]
    whole = Kept((total, *each), folder) if together.first else own
    for rank in range(together.world):
        for begin, end in spans(total * (rank + 1) // together.world - total * rank // together.world, math.prod(each)):
            if together.first or rank == together.rank:
                block = own.read(begin, end) if rank == together.rank else np.empty((end - begin, *each), np.float32)
                together.hand(block, rank)
                if together.first:
                    whole.add(block)
    return whole


def added(parts: Iterable[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The sums of arrays of the same name."""
    sums: dict[str, np.ndarray] = {}
    for part in parts:
        sums |= {name: sums[name] + value if name in sums else value for name, value in part.items()}
    return sums


def unnamed(folder: Path | None) -> BufferedRandom:
    """A file without a name, which is gone when nobody holds it."""
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(tempfile.TemporaryFile(dir=folder))
        stack.pop_all()
    return file


def spans(n: int, each: int) -> list[tuple[int, int]]:
    """The blocks [begin, end) of n windows of `each` numbers."""
    size = max(BLOCK // max(each, 1) // ALIKE, 1) * ALIKE
    return [(begin, min(begin + size, n)) for begin in range(0, n, size)]
