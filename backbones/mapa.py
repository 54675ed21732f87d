"""Exponential smoothing of a series at several steps at once: each by itself, by pairs, by threes, and so on, averaged.

After the multiple aggregation of Kourentzes, Petropoulos and Trapero (2014): in sums of some steps noise is smaller and
what remains is trend, which steps by themselves hide; no single choice of the step has to be right. The season is taken
out first where a test finds one (season.py); the means of blocks of k steps, counted back from the origin, are smoothed
(smoothing.py), and their forecasts joined by straight lines between the middles of blocks. k is 2 to 4, or every part
of the season up to 12 steps; one step by itself is what `ets` does.
"""

from __future__ import annotations

import numpy as np

from backbones import register
from backbones.adjustment import lines
from backbones.histories import Stack
from backbones.local_forecaster import LocalForecaster
from backbones.season import LEAST_CYCLES
from backbones.smoothing import smoothed

HYPER = {
    "period": {"default": 0, "min": 0, "max": 100000, "help": "steps of the season; 0: the calendar's, or found"},
}

STEPS = 600  # before an origin that are looked at
PLAIN = (2, 3, 4)  # steps of a block
LONGEST, FEWEST = 12, 3  # steps of a block in a season; numbers of its parts, with fewer of which PLAIN is taken
LEAST = 8  # blocks
CELLS = 1 << 20


@register
class MAPA(LocalForecaster):
    """Each origin by itself, or a few of one estimate of the season."""

    _cycles = LEAST_CYCLES

    def local(self, stack: Stack) -> np.ndarray:
        made = np.empty((len(stack), self.forecast.horizon))
        longest = min(STEPS, stack.y.shape[1])
        for part, some in stack.blocks(longest, CELLS):
            rest, season = lines(some, self.season, longest, shared=True)
            made[part] = season.put_back(aggregated(rest, blocks(self.season), self.forecast.horizon))
        return made


def blocks(period: int) -> tuple[int, ...]:
    """How many steps are taken together."""
    parts = tuple(k for k in range(2, LONGEST + 1) if period % k == 0) if period > 1 else ()
    return parts if len(parts) >= FEWEST else PLAIN


def aggregated(stack: Stack, sizes: tuple[int, ...], horizon: int) -> np.ndarray:
    """The mean of the forecasts [n, H] by blocks of each size, at origins of series without a season. A size with fewer
    than LEAST blocks has no say; where none has enough, single steps have.
    """
    total, made = np.zeros((len(stack), horizon)), np.zeros(len(stack))
    for size in sizes:
        which = stack.end >= LEAST * size
        if which.any():
            total[which] += _by_blocks(stack.some(which), size, horizon)
            made += which
    alone = made == 0
    if alone.any():
        total[alone] = _by_blocks(stack.some(alone), 1, horizon)
    mean: np.ndarray = total / np.maximum(made, 1)[:, None]
    return mean


def _by_blocks(stack: Stack, size: int, horizon: int) -> np.ndarray:
    """The forecasts [n, H] from the means of blocks of `size` steps, counted back from the origin.

    Origins of one series whose blocks end at the same steps share a pass.
    """
    length = stack.y.shape[1]
    (series, first), which = np.unique(np.stack([stack.series, stack.end % size]), axis=1, return_inverse=True)
    at = np.minimum(first[:, None] + np.arange(length // size * size), length - 1)
    means = stack.y[series[:, None], at].reshape(len(series), -1, size).mean(2)
    some = Stack(means, which.ravel(), stack.end // size)
    ahead = smoothed(some, 1, max(-(-horizon // size) + 1, 2))
    place = (np.arange(1, horizon + 1) - (size + 1) / 2) / size  # in blocks from the middle of the first
    left = np.maximum(place.astype(np.int64), 0)
    share = place - left
    line: np.ndarray = ahead[:, left] * (1 - share) + ahead[:, left + 1] * share
    return line
