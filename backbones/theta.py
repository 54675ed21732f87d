"""The theta method: a line that has half of the trend's slope, and exponential smoothing for the rest.

For a series z without its season, `y[T + h] = level + b / 2 (h - 1 + (1 - (1 - a)^T) / a)` with the least-squares slope
b of z and the level of simple exponential smoothing with the parameter a (Assimakopoulos and Nikolopoulos 2000; the
formula is that of Hyndman and Billah 2003, equation 10). Forecasts for twelve values of a are averaged with the weights
of their likelihoods. The season is taken out where the test of `season.seasonal` finds one, as ratios where all of the
history is above 0, and put back.

Estimated anew at every origin, from its last cycles: n origins cost n times 12 passes over at most 20 cycles.
"""

from __future__ import annotations

import numpy as np

from backbones import register
from backbones.histories import Stack
from backbones.local_forecaster import LocalForecaster
from backbones.season import adjustment

HYPER = {
    "period": {"default": 0, "min": 0, "max": 100000, "help": "steps of the season; 0: the calendar's, or found"},
}

ALPHAS = np.array([0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.99])
CYCLES, STEPS = 20, 240  # before an origin that are looked at: so many cycles, and at least so many steps
CELLS = 1 << 21


@register
class Theta(LocalForecaster):
    """Each origin by itself."""

    def local(self, stack: Stack) -> np.ndarray:
        made = np.empty((len(stack), self.forecast.horizon))
        longest = min(max(CYCLES * self.season, STEPS), stack.y.shape[1])
        for part, some in stack.blocks(longest, CELLS):
            made[part] = self._block(some, longest)
        return made

    def _block(self, stack: Stack, longest: int) -> np.ndarray:
        season = adjustment(stack, self.season)
        return season.put_back(theta(season.without(stack.last(longest)), self.forecast.horizon))


def theta(z: np.ndarray, horizon: int) -> np.ndarray:
    """The forecasts [n, H] of series without a season z [n, T], NaN before the first step of each."""
    known = np.isfinite(z)
    count = known.sum(1)
    z = np.where(known, z, 0.0)
    level, weight, gain = _smoothed(z, known, count)
    half = _slope(z, known, count) / 2
    made = np.empty((len(z), horizon))
    at_once = max(CELLS // (horizon * len(ALPHAS)), 1)
    for part in (slice(begin, begin + at_once) for begin in range(0, len(z), at_once)):
        ahead = np.arange(horizon)[None, :, None] + gain[part, None]  # [n, H, a]
        made[part] = ((level[part, None] + half[part, None, None] * ahead) * weight[part, None]).sum(2)
    return made


def _slope(z: np.ndarray, known: np.ndarray, count: np.ndarray) -> np.ndarray:
    """The least-squares slope of each line of z [n, T]."""
    t = np.where(known, np.arange(z.shape[1]), 0.0)
    size = np.maximum(count, 1)
    off = np.where(known, t - t.sum(1, keepdims=True) / size[:, None], 0.0)
    slope: np.ndarray = (off * z).sum(1) / np.maximum((off**2).sum(1), 1.0)
    return slope


def _smoothed(z: np.ndarray, known: np.ndarray, count: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Exponential smoothing for every a: levels, weights, and what the slope adds before the first step, [n, a] each.

    The first level is the one with the least squared error, in closed form: errors depend on it linearly.
    """
    shape = len(z), len(ALPHAS)
    level, share = np.zeros(shape), np.ones(shape)  # from a first level of 0, and how much of it is left
    ee, es, ss = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    start = (z * known).sum(1) / np.maximum(count, 1)
    z = np.where(known, z - start[:, None], 0.0)
    for t in range(z.shape[1]):
        there = known[:, t, None]
        error, left = np.where(there, z[:, t, None] - level, 0.0), np.where(there, share, 0.0)
        ee += error**2
        es += error * left
        ss += left**2
        level += ALPHAS * error
        share -= ALPHAS * left
    first = es / np.maximum(ss, 1e-300)
    size = (z**2).sum(1, keepdims=True) / np.maximum(count, 1)[:, None]
    loss = np.maximum((ee - es * first) / np.maximum(count, 1)[:, None], 1e-12 * size + 1e-300)
    fit = -0.5 * count[:, None] * np.log(loss)
    weight = np.exp(fit - fit.max(1, keepdims=True))
    weight /= weight.sum(1, keepdims=True)
    return level + share * first + start[:, None], weight, (1 - share) / ALPHAS
