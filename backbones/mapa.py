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
from backbones.adjustment import adjustment
from backbones.histories import Stack
from backbones.local_forecaster import LocalForecaster
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
    """Each origin by itself."""

    def local(self, stack: Stack) -> np.ndarray:
        made = np.empty((len(stack), self.forecast.horizon))
        longest = min(STEPS, stack.y.shape[1])
        for part, some in stack.blocks(longest, CELLS):
            season = adjustment(some, self.season)
            rest, count = season.without(some.last(longest)), np.minimum(some.end, longest)
            made[part] = season.put_back(aggregated(rest, count, blocks(self.season), self.forecast.horizon))
        return made


def blocks(period: int) -> tuple[int, ...]:
    """How many steps are taken together."""
    parts = tuple(k for k in range(2, LONGEST + 1) if period % k == 0) if period > 1 else ()
    return parts if len(parts) >= FEWEST else PLAIN


def aggregated(z: np.ndarray, count: np.ndarray, sizes: tuple[int, ...], horizon: int) -> np.ndarray:
    """The mean of the forecasts [n, H] by blocks of each size, of series without a season z [n, T], of which the last
    `count` steps are known. A size with fewer than LEAST blocks has no say; where none has enough, single steps have.
    """
    total, made = np.zeros((len(z), horizon)), np.zeros(len(z))
    for size in sizes:
        which = count >= LEAST * size
        if which.any():
            total[which] += _by_blocks(z[which], count[which] // size, size, horizon)
            made += which
    alone = made == 0
    if alone.any():
        total[alone] = _by_blocks(z[alone], count[alone], 1, horizon)
    mean: np.ndarray = total / np.maximum(made, 1)[:, None]
    return mean


def _by_blocks(z: np.ndarray, count: np.ndarray, size: int, horizon: int) -> np.ndarray:
    """The forecasts [n, H] from the means of the last `count` blocks of `size` steps."""
    most = z.shape[1] // size
    means = z[:, z.shape[1] - most * size :].reshape(len(z), most, size).mean(2)
    at = np.minimum(np.arange(most) + (most - count)[:, None], most - 1)  # the first block first
    ahead = smoothed(
        Stack(np.take_along_axis(means, at, axis=1), np.arange(len(z)), count), 1, max(-(-horizon // size) + 1, 2)
    )
    place = (np.arange(1, horizon + 1) - (size + 1) / 2) / size  # in blocks from the middle of the first
    left = np.maximum(place.astype(np.int64), 0)
    share = place - left
    line: np.ndarray = ahead[:, left] * (1 - share) + ahead[:, left + 1] * share
    return line
