"""Rows of numbers that arrive in blocks, in one array."""

from __future__ import annotations

import numpy as np

from readers import mapped
from readers.precision import hides


class Rows:
    """Rows [N, T] that arrive in blocks, in one array of about their final size: they are never held twice.

    It is in a file where they are `large`.
    """

    def __init__(self, number: type[np.floating], columns: int, expected: int, *, large: bool) -> None:
        self.number = number
        self._array = (mapped.array if large else np.empty)((expected, columns), number)
        self._count = 0
        self._lost = 0.0  # the most that rounding changed in a value

    def add(self, block: np.ndarray, lost: float) -> None:
        """Add values [n, T], of which rounding to float32 changes one by `lost`."""
        end = self._count + len(block)
        self._lost = max(self._lost, lost)
        if end > len(self._array):
            before = self.values
            self._array = mapped.like(before, (end + end // 2 + 1, before.shape[1]), before.dtype)
            self._array[: self._count] = before
        with np.errstate(over="ignore"):  # what float32 cannot hold is infinite there, and told
            self._array[self._count : end] = block
        self._count = end

    def holds(self) -> bool:
        """Whether the type of the array shows how all its values differ."""
        return self._array.dtype == np.float64 or not hides(self._lost, self.values.reshape(-1))

    @property
    def values(self) -> np.ndarray:
        return self._array[: self._count]
