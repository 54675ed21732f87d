"""Split-conformal margins of intervals, and how many windows of validation tell as much as one."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from io import BufferedRandom
from itertools import pairwise
from pathlib import Path

import numpy as np

from tasks.blocks import MOST, unnamed
from tasks.forecast import lagged

FEW_COLUMNS = 32  # channels and steps, spread evenly, from which the dependence of windows is estimated
MOST_WINDOWS = 20_000  # for that
SPARSE = 8  # times as many places as windows, from which most are empty


def margins_of(score: np.ndarray, coverages: Sequence[float], alike: float = 1.0) -> np.ndarray:
    """By how much intervals must widen (or, if negative, may shrink) to reach each coverage, float32 [Q, H].

    Split-conformal: the ceil((n + 1) coverage)-th smallest of max(low - y, y - high) over n windows, for each step; the
    largest where n is too small for that rank. Where `alike` windows tell as much as one (see `alike`), n / alike takes
    the place of n. `score` [n, H] is of one channel; n counts the windows where it is not NaN, and a step without any
    has the largest margin of its channel.
    """
    n = (~np.isnan(score)).sum(axis=0)
    wanted = np.ceil((n + alike) * np.asarray(coverages)[:, None]).astype(int)
    rank = np.maximum(np.minimum(wanted, n) - 1, 0)
    score = np.partition(score, np.unique(rank), axis=0)  # all ranks at once; NaN comes last
    margins: np.ndarray = np.take_along_axis(score, rank, axis=0).astype(np.float32)
    widest = np.nanmax(margins, axis=1, initial=0)
    return np.where(n == 0, widest[:, None], margins)


def some_columns(count: int) -> np.ndarray:
    """The numbers of the columns, of so many, that stand for all in `alike`."""
    numbers: np.ndarray = np.linspace(0, count - 1, min(count, FEW_COLUMNS)).round().astype(int)
    return numbers


def alike(score: np.ndarray, when: np.ndarray) -> float:
    """How many neighbouring windows tell as much as one independent one: 1 + 2 sum of the scores' autocorrelations.

    The sum goes up to the first lag without a positive one (Geyer 1992, Practical Markov chain Monte Carlo, section 3).

    Parameters
    ----------
    score : `[n, K, H]` of windows in order; NaN does not count.
    when : rising int64 `[n]`, the places of the windows: those of neighbours differ by 1.
    """
    flat, when = score[-MOST_WINDOWS:].reshape(min(len(score), MOST_WINDOWS), -1), when[-MOST_WINDOWS:]
    sample = flat[:, some_columns(flat.shape[1])].astype(np.float64)
    known = ~np.isnan(sample)
    count = known.sum(axis=0)
    sample = np.where(known, sample - np.where(known, sample, 0).sum(axis=0) / np.maximum(count, 1), 0)
    power = (sample**2).sum() / max(known.sum(), 1)
    if not power > 0:
        return 1.0
    total = 1.0
    for together, pairs in _by_lag(sample, known, when):
        if not pairs or together <= 0:
            break
        total += 2 * float(together / pairs / power)
    return total


def _by_lag(sample: np.ndarray, known: np.ndarray, when: np.ndarray) -> Iterator[tuple[float, float]]:
    """(the sum of products, how many) of all pairs of windows that are 1, 2, ... apart, up to half of their number.

    `sample` [n, columns] is 0 where it is not `known`. All lags at once where the windows lie near each other.
    """
    half = len(sample) // 2
    at, reach = _closed(when, half)
    if at[-1] < SPARSE * len(at):
        placed = np.zeros((2, sample.shape[1], at[-1] + 1))
        placed[0][:, at], placed[1][:, at] = sample.T, known.T
        some = slice(1, reach + 1)
        yield from zip(lagged.products(placed[0])[some], lagged.pairs(placed[1] > 0)[some], strict=True)
        return
    for lag in range(1, half):
        second = np.minimum(np.searchsorted(when, when + lag), len(when) - 1)
        first = np.flatnonzero(when[second] == when + lag)
        pair = known[first] & known[second[first]]
        yield (sample[first] * sample[second[first]])[pair].sum(), pair.sum()


def _closed(when: np.ndarray, half: int) -> tuple[np.ndarray, int]:
    """The places `when` [n] from 0 on, with gaps closed that no pair less than `half` apart lies across, and how far
    apart the farthest of such pairs are."""
    gaps = np.diff(when)
    ends = np.flatnonzero(gaps > half)
    spans = when[np.r_[ends, len(when) - 1]] - when[np.r_[0, ends + 1]]
    reach = max(min(half - 1, int(spans.max())), 0)
    return np.r_[0, np.cumsum(np.where(gaps > half, reach + 1, gaps))], reach


class Scores:
    """max(low - y, y - high) of n windows, K channels and H steps, added some windows at a time and read by channel.

    Parameters
    ----------
    shape : (n, K, H). Beyond `MOST` bytes they go into a file without a name.
    signed : both ends are the forecast, and y - it is kept: the score is its size.
    """

    def __init__(self, shape: tuple[int, ...], folder: Path | None = None, *, signed: bool = False) -> None:
        self.shape, self.signed = shape, signed
        self._blocks: list[np.ndarray] = []
        self._ends = [0]
        self._file: BufferedRandom | None = unnamed(folder) if 4 * math.prod(shape) > MOST else None
        self._sample: list[np.ndarray] = []
        self._columns = some_columns(shape[1] * shape[2])

    def add(self, truth: np.ndarray, low: np.ndarray, high: np.ndarray, size: np.ndarray | None) -> None:
        """Add windows [m, K, H], of series of `size` [m, K] beside the usual one; None: all alike."""
        own = np.ones((1, 1, 1), np.float32) if size is None else size[:, :, None].astype(np.float32)
        y, low, high = truth / own, low / own, high / own
        score = y - high if self.signed else np.maximum(low - y, y - high)
        self._ends.append(self._ends[-1] + len(score))
        if self._ends[-1] > self.shape[0] - MOST_WINDOWS:
            sample = score.reshape(len(score), -1)[:, self._columns]
            self._sample.append(np.abs(sample) if self.signed else sample)
        if self._file is None:
            self._blocks.append(score)
        else:
            self._file.write(np.ascontiguousarray(score.transpose(1, 0, 2), np.float32).data.cast("B"))

    def channels(self) -> Iterator[np.ndarray]:
        """Those of each channel, [n, H]."""
        n, channels, steps = self.shape
        for k in range(channels):
            if self._file is None:
                yield np.concatenate([block[:, k] for block in self._blocks])
                continue
            found = np.empty((n, steps), np.float32)
            for begin, end in pairwise(self._ends):
                self._file.seek(4 * steps * (begin * channels + k * (end - begin)))
                self._file.readinto(found[begin:end].data.cast("B"))
            yield found

    def alike(self, when: np.ndarray) -> float:
        """How many neighbours at the places `when` [n] tell as much as one, see `alike`."""
        return alike(np.concatenate(self._sample)[:, :, None], when)
