"""The theta method: a line that has half of the trend's slope, and exponential smoothing for the rest.

For a series z without its season, `y[T + h] = level + b / 2 (h - 1 + (1 - (1 - a)^T) / a)` with the least-squares slope
b of z and the level of simple exponential smoothing with the parameter a (Assimakopoulos and Nikolopoulos 2000; the
formula is that of Hyndman and Billah 2003, equation 10). Forecasts for twelve values of a are averaged with the weights
of their likelihoods. The season is taken out where the test of `season.seasonal` finds one, as ratios where all of the
history is above 0, and put back.

Estimated anew at every origin, from its last cycles: n origins cost n times 12 passes over at most 20 cycles, or 4,000
steps.
"""

from __future__ import annotations

import numpy as np

from backbones import register
from backbones.adjustment import lines
from backbones.carried import every
from backbones.histories import Stack
from backbones.local_forecaster import LocalForecaster
from backbones.season import LEAST_CYCLES

HYPER = {
    "period": {"default": 0, "min": 0, "max": 100000, "help": "steps of the season; 0: the calendar's, or found"},
}

ALPHAS = np.array([0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.99])
CYCLES, STEPS, MOST = 20, 240, 4000  # cycles before an origin that are looked at; steps at least, and at most
CELLS = 1 << 21


@register
class Theta(LocalForecaster):
    """Each origin by itself."""

    _cycles = LEAST_CYCLES

    def local(self, stack: Stack) -> np.ndarray:
        made = np.empty((len(stack), self.forecast.horizon))
        longest = min(max(CYCLES * self.season, STEPS), MOST, stack.y.shape[1])
        for part, some in stack.blocks(longest // every(self.season), CELLS):
            rest, season = lines(some, self.season, longest)
            made[part] = season.put_back(theta(rest, self.forecast.horizon))
        return made


def theta(stack: Stack, horizon: int) -> np.ndarray:
    """The forecasts [n, H] at the origins of series without a season."""
    level, weight, gain = _smoothed(stack)
    half = _slope(stack) / 2
    made = np.empty((len(stack), horizon))
    at_once = max(CELLS // (horizon * len(ALPHAS)), 1)
    for part in (slice(begin, begin + at_once) for begin in range(0, len(stack), at_once)):
        ahead = np.arange(horizon)[None, :, None] + gain[part, None]  # [n, H, a]
        made[part] = ((level[part, None] + half[part, None, None] * ahead) * weight[part, None]).sum(2)
    return made


def _slope(stack: Stack) -> np.ndarray:
    """The least-squares slope [n] up to each origin."""
    z, at, count = stack.y - stack.y[:, :1], (stack.series, stack.end - 1), stack.end
    total, moment = (np.cumsum(each, axis=1)[at] for each in (z, z * np.arange(z.shape[1])))
    slope: np.ndarray = (moment - (count - 1) / 2 * total) / np.maximum(count * (count**2 - 1) / 12, 1.0)
    return slope


def _smoothed(stack: Stack) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Exponential smoothing for every a: levels, weights, and what the slope adds before the first step, [n, a] each.

    The first level is the one with the least squared error, in closed form: errors depend on it linearly.
    """
    start = stack.y[:, :1]
    z = stack.y - start
    shape = len(z), len(ALPHAS)
    level, share = np.zeros(shape), np.ones(shape)  # from a first level of 0, and how much of it is left
    ee, es, ss = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    states = level, share, ee, es, ss
    there = np.empty((len(states), len(stack), len(ALPHAS)))
    order = np.argsort(stack.end, kind="stable")
    bounds = np.searchsorted(stack.end[order], np.arange(z.shape[1] + 2))
    for t in range(z.shape[1]):
        error = z[:, t, None] - level
        ee += error**2
        es += error * share
        ss += share**2
        level += ALPHAS * error
        share -= ALPHAS * share
        which = order[bounds[t + 1] : bounds[t + 2]]
        if len(which):
            there[:, which] = [state[stack.series[which]] for state in states]
    level, share, ee, es, ss = there
    first, count = es / np.maximum(ss, 1e-300), stack.end[:, None]
    size = np.cumsum(z**2, axis=1)[stack.series, stack.end - 1][:, None] / count
    loss = np.maximum((ee - es * first) / count, 1e-12 * size + 1e-300)
    fit = -0.5 * count * np.log(loss)
    weight = np.exp(fit - fit.max(1, keepdims=True))
    weight /= weight.sum(1, keepdims=True)
    return level + share * first + start[stack.series], weight, (1 - share) / ALPHAS
