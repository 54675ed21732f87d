"""Whether series have a season of a given length: two F tests, of which one must be clear.

The phase means of changes from step to step: changes have no trend, and those of a random walk are white, so that
neither passes for a season (as both do for a test of the autocorrelation at the lag of a season). And two waves of that
length beside a line and the last three values, which finds a smooth season in much noise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

FALSE_ALARM = 0.005  # of each test
LEAST_CYCLES = 2  # of the season, in a series that has a say
FARTHEST = 4.0  # median absolute deviations from the median, to which changes are clipped
LAGS, WAVES = 3, 2
MOST_SERIES, MOST_CHANNELS = 256, 64


class _Squares(NamedTuple):
    """Of one series: the squares that a season explains and leaves, and the degrees of freedom of both."""

    explained: float
    left: float
    free: float
    rest: float

    def of_size(self, size: float) -> _Squares | None:
        """The same of a series whose values have a variance of 1; None where this one's is 0."""
        return self._replace(explained=self.explained / size, left=self.left / size) if size > 0 else None


def spread(every: Sequence[np.ndarray], most: int) -> list[np.ndarray]:
    """At most so many of some series, spread evenly over them in an order that their values alone decide.

    Parameters
    ----------
    every : series `[n]`, NaN where a step is missing.
    most : of them.
    """
    return list(every) if len(every) <= most else some(in_order(every), most)


def in_order(every: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Series `[n]` in an order that their values alone decide."""
    return sorted(every, key=lambda z: (len(z), float(np.add.reduce(z, dtype=np.float64, where=np.isfinite(z)))))


def some(ordered: Sequence[np.ndarray], most: int) -> list[np.ndarray]:
    """At most so many of some series, spread evenly over them."""
    if len(ordered) <= most:
        return list(ordered)
    return [ordered[i] for i in np.linspace(0, len(ordered) - 1, most).round().astype(int)]


def beyond_chance(pieces: Iterable[np.ndarray], period: int, within: int = 1) -> bool:
    """Whether a season of `period` steps explains more than one of `within`, which divides it.

    Parameters
    ----------
    pieces : series `[C, n]`, NaN where a step is missing; the phase of each is its own.
    period : steps of the season.
    within : steps of a shorter one that is known already; 1: none.

    Returns
    -------
    False, too, where no piece has two cycles. The channels of a piece count as one, and N pieces as sqrt(N): what
    belongs to one table often moves together.
    """
    series = [
        [z.astype(np.float64) for z in spread(list(piece), MOST_CHANNELS)] for piece in list(pieces)[:MOST_SERIES]
    ]
    tests: list[Callable[[np.ndarray], _Squares | None]] = [lambda z: _of_phases(z, period, within)]
    if within == 1:
        tests.append(lambda z: _of_waves(z, period))
    return any(_chance(series, test) < FALSE_ALARM for test in tests)


def _chance(series: Sequence[Sequence[np.ndarray]], test: Callable[[np.ndarray], _Squares | None]) -> float:
    """How probable it is that series without a season explain so much."""
    found = [[sums for z in piece if (sums := test(z)) is not None] for piece in series]
    pooled = [np.mean(sums, axis=0) for sums in found if sums]
    if not pooled:
        return 1.0
    from scipy.special import fdtrc  # takes as long to import as numpy, which only dated tables should cost

    explained, left, free, rest = np.sum(pooled, axis=0)
    with np.errstate(over="ignore"):  # of a series that only repeats itself it is infinite
        ratio = explained / free / max(left / rest, np.finfo(float).tiny)
    return float(fdtrc(*(np.array([free, rest]) / np.sqrt(len(pooled))), ratio))


def _of_phases(z: np.ndarray, period: int, within: int) -> _Squares | None:
    """The test of the phase means of changes of a series `[n]`; None: it is too short, or constant."""
    steps = np.diff(z)
    known = np.isfinite(steps)
    if known.sum() < LEAST_CYCLES * period - 1:
        return None
    steps, phase = steps[known], np.flatnonzero(known)
    middle = np.median(steps)
    reach = FARTHEST * np.median(np.abs(steps - middle))
    clipped = np.clip(steps, middle - reach, middle + reach) if reach else steps
    fine, coarse = (_left(clipped, phase % length, length) for length in (period, within))
    rest = len(clipped) - period
    return _Squares(coarse - fine, fine, period - within, rest).of_size(float(np.var(clipped))) if rest > 0 else None


def _left(values: np.ndarray, group: np.ndarray, groups: int) -> float:
    """The squares left around the means of groups."""
    counts = np.maximum(np.bincount(group, minlength=groups), 1)
    means = np.bincount(group, values, minlength=groups) / counts
    return float(np.square(values - means[group]).sum())


def waves(period: int, t: np.ndarray) -> np.ndarray:
    """WAVES waves of a period at steps t [n], fewer of one that is shorter than that: [n, at most 2 WAVES]."""
    angle = 2 * np.pi * t / period
    each = [f(k * angle) for k in range(1, min(WAVES, (period - 1) // 2) + 1) for f in (np.sin, np.cos)]
    return np.stack(each or [(-1.0) ** t], axis=1)


def _of_waves(z: np.ndarray, period: int) -> _Squares | None:
    """The test of two waves in a series `[n]`; None: it is too short, or constant."""
    if len(z) <= LAGS:
        return None
    t = np.arange(LAGS, len(z))
    season = waves(period, t)
    plain = np.stack([np.ones(len(t)), t / max(len(z), 1)] + [z[LAGS - k : len(z) - k] for k in range(1, LAGS + 1)], 1)
    known = np.isfinite(plain).all(axis=1) & np.isfinite(z[LAGS:])
    plain, season, y = plain[known], season[known], z[LAGS:][known]
    if len(y) < max(LEAST_CYCLES * period - LAGS, plain.shape[1] + season.shape[1] + 1):
        return None
    both = np.concatenate([plain, season], axis=1)
    coarse, fine = (float(np.square(y - x @ np.linalg.lstsq(x, y)[0]).sum()) for x in (plain, both))
    free, rest = season.shape[1], len(y) - both.shape[1]
    return _Squares(coarse - fine, fine, free, rest).of_size(coarse / len(y))
