"""The values of a long table that come some lines at a time, and whether float32 holds them."""

from __future__ import annotations

from typing import Any

import numpy as np

from readers import mapped
from readers.missing import LARGEST
from readers.precision import NEVER, judged

HALF_A_BIT = 2.0**-24  # of a value: the most that float32 changes it


class Blurred(Exception):
    """Float32 may hide how values differ."""


class Filling:
    """Values [C, n] and times [n] to which lines are added.

    Parameters
    ----------
    number : the type of the values.
    large : whether they are in a file, see `readers.mapped`.
    """

    def __init__(self, number: type[np.floating], *, large: bool) -> None:
        self.large, self.done = large, 0
        self.values, self.times = np.empty((0, 0), number), np.empty(0, np.int64)

    def expect(self, channels: int, lines: int) -> None:
        """Make room for C channels of so many lines; for more lines, those that are there are copied."""
        self.values, self.times = self._new((channels, lines), self.values.dtype), self._new((lines,), np.int64)
        self._lost = np.zeros(channels)  # the most that float32 changes in each channel
        self._only = np.full(channels, np.nan)  # the one value of each channel that has no other so far
        self._one = np.arange(channels)  # those channels

    def _new(self, shape: tuple[int, ...], kind: Any) -> np.ndarray:
        return mapped.array(shape, kind) if self.large else np.empty(shape, kind)

    def add(self, part: np.ndarray, times: np.ndarray) -> None:
        """Add lines: values float64 [n, C] and times [n]. Blurred where a large file's are not for float32."""
        begin, end = self.done, self.done + len(part)
        if end > len(self.times):
            self._grow(end)
        with np.errstate(over="ignore", invalid="ignore"):
            kept = part.astype(self.values.dtype, copy=False)
            if kept is not part:
                lost = np.fmax.reduce(np.abs(part - kept), axis=0)
                if self.large and any(judged(part[:, c][None])[0] for c in np.flatnonzero(lost > 0)):
                    raise Blurred
                self._lost = np.fmax(self._lost, lost)
                self._look_for_others(part[:, self._one])
        self.values[:, begin:end] = kept.T
        self.times[begin:end] = times
        self.done = end

    def _look_for_others(self, part: np.ndarray) -> None:
        """Leave out of `_one` the channels of which `part` [n, those] has another value."""
        low, high = np.fmin.reduce(part, axis=0), np.fmax.reduce(part, axis=0)
        before = np.where(np.isnan(self._only[self._one]), low, self._only[self._one])
        self._only[self._one] = before
        self._one = self._one[~((low < before) | (high > before))]

    def _grow(self, least: int) -> None:
        room = max(least, len(self.times) * 3 // 2)
        values, times = self._new((len(self.values), room), self.values.dtype), self._new((room,), np.int64)
        values[:, : self.done], times[: self.done] = self.values[:, : self.done], self.times[: self.done]
        self.values, self.times = values, times

    def close(self, ids: np.ndarray | None) -> None:
        """Leave out the room that no line took.

        Blurred where float32 may hide how the values of a row, each of which has another of the `ids` [n], or of a
        channel differ, or how large they are.
        """
        count, (channels, room) = self.done, self.values.shape
        if room > count and not self.large:
            flat = self.values.reshape(-1)
            for c in range(1, channels):  # to the front within the same memory
                flat[c * count : (c + 1) * count] = self.values[c, :count]
            self.values = flat[: channels * count].reshape(channels, count)
        self.values, self.times = self.values[:, :count], self.times[:count]
        if self.values.dtype == np.float32 and not self.large:  # a large file was judged part by part
            self._check(ids)

    def _check(self, ids: np.ndarray | None) -> None:
        order, starts = None, np.zeros(1, int)
        if ids is not None:
            import pandas

            rows = pandas.factorize(ids)[0]
            order, starts = np.argsort(rows, kind="stable"), np.append(0, np.cumsum(np.bincount(rows))[:-1])
        for c, channel in enumerate(self.values):
            if order is None and c in self._one and abs(self._only[c]) <= LARGEST:
                continue
            line = channel if order is None else channel[order]
            low, high = (f.reduceat(line, starts).astype(np.float64) for f in (np.fmin, np.fmax))
            most = np.fmax(np.abs(low), np.abs(high))
            lost = np.minimum(self._lost[c], most * HALF_A_BIT)
            if (most > LARGEST).any() or (lost > NEVER * (high - low - 2 * lost)).any():
                raise Blurred
