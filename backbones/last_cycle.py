"""What followed at this place of the last cycle, as far as cycles are alike, from the level that is now.

`f[n + h] = l[n] + s (y[n + h - m] - l[n - m])`, with the level l of simple exponential smoothing (ALPHA) and the
season's m steps; beyond a cycle the last one is repeated. The share s, from 0 (level) to 1 (the season as it was), is
the slope of what came 1 to H steps after a level on what had come a cycle before, over all steps whose cycle before
is known, drawn to USUAL as much as SAY windows could say. It needs one cycle and two steps: forecasters with seasonal
indices need two, and to repeat the season as it was is worse where it is weak or the level has changed. Where a
history is shorter, its last value is repeated.

Running sums over a series serve all of its origins: S series of T steps cost S T. Of long histories the last steps are
looked at.
"""

from __future__ import annotations

import numpy as np

from backbones import register
from backbones.histories import Histories, Stack
from backbones.season import AFTER, repeatable
from backbones.seasonal_naive import SeasonalNaive

HYPER = {
    "period": {"default": 0, "min": 0, "max": 100000, "help": "steps of the season; 0: the calendar's, or found"},
    "second": {"default": False, "help": "the longer of two seasons: the week in hourly data, the year in daily"},
}

ALPHA = 0.6  # of the level
USUAL, SAY = 0.7, 0.1  # the share before anything is known, and how many windows it counts for
LONG, CYCLES = 1 << 12, 8  # steps, or cycles, before an origin that are looked at, up to twice as many
TINY = 1e-12


@register
class LastCycle(SeasonalNaive):
    """One pass over each series."""

    def periods(self, train: Histories) -> tuple[int, int]:
        first, second = super().periods(train)
        second = second if second > 1 else repeatable(train, above=first)
        return first, second // first * first  # a day of the year before on the same day of the week

    @property
    def needs(self) -> int:
        return self.repeats + AFTER if self.repeats > 1 else 0

    def local(self, stack: Stack) -> np.ndarray:
        horizon = self.forecast.horizon
        made = np.repeat(stack.y[stack.series, stack.end - 1, None], horizon, axis=1)
        able = (stack.end >= self.needs) & (self.repeats > 1)
        if able.any():
            some = stack.some(able).bounded(max(LONG, CYCLES * self.repeats))
            made[able] = followed(some, self.repeats, horizon)
        return made


def followed(stack: Stack, period: int, horizon: int) -> np.ndarray:
    """The forecasts [n, H] at origins with a cycle and two steps at least."""
    level, change, both, square = _seen(stack, period, horizon)
    usual = SAY * (change**2).sum(axis=1)
    share = np.clip((both + USUAL * usual) / (square + usual + TINY), 0, 1)
    made: np.ndarray = level[:, None] + share[:, None] * change
    return made


def cycles_agree(histories: Histories) -> float:
    """How far what is known of a second cycle is like the first: the share s of the median series at the end of its
    targets, drawn to nothing. Of the calendar's shortest cycles; 0 where no series has one.
    """
    period, found = min(histories.periods), []
    for _, stack in histories.ends(histories.horizon).stacks():
        some = stack.some(stack.end >= period + AFTER)
        if len(some):
            *_, both, square = _seen(some, period, histories.horizon)
            found.append(both / (square + TINY))
    return float(np.median(np.concatenate(found))) if found else 0.0


def _seen(stack: Stack, period: int, horizon: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """At each origin the level [n], the changes after it that the cycle before says [n, H], and the sums [n] of a b and
    of b b over all pairs of steps."""
    first = stack.y[:, :1]  # known at every origin; sums of squares lose less beside it
    y, before = (part - first for part in (stack.y[:, period:], stack.y[:, :-period]))
    level, level_before = _smoothed(y), _smoothed(before)
    at = stack.series, stack.end - period - 1
    both, square = (sums[at] for sums in _sums(y, before, level, level_before, horizon))
    place = stack.end[:, None] - period + np.arange(horizon) % period
    change = stack.y[stack.series[:, None], place] - first[stack.series] - level_before[at][:, None]
    return first[stack.series, 0] + level[at], change, both, square


def _smoothed(y: np.ndarray) -> np.ndarray:
    """The level of simple exponential smoothing at each step of y [S, T], from its first value on."""
    level = np.empty_like(y)
    level[:, 0] = y[:, 0]
    for t in range(1, y.shape[1]):
        level[:, t] = ALPHA * y[:, t] + (1 - ALPHA) * level[:, t - 1]
    return level


def _sums(
    y: np.ndarray, before: np.ndarray, level: np.ndarray, level_before: np.ndarray, horizon: int
) -> tuple[np.ndarray, np.ndarray]:
    """Up to each step t [S, T] the sums over all pairs u <= t and 1 <= h <= H, u - h >= 0, of a b and of b b, where
    a = y[u] - level[u - h], and b the same of the cycle before. Moving sums over h, by differences of running ones."""

    def moving(values: np.ndarray) -> np.ndarray:
        """The sum of the H values before each step."""
        total = np.cumsum(np.pad(values, ((0, 0), (1, 0))), axis=1)[:, :-1]
        return total - np.pad(total, ((0, 0), (horizon, 0)))[:, : total.shape[1]]

    count = np.minimum(np.arange(y.shape[1]), horizon)
    each, each_before = moving(level), moving(level_before)
    products = count * y * before - y * each_before - before * each + moving(level * level_before)
    squares = count * before**2 - 2 * before * each_before + moving(level_before**2)
    return np.cumsum(products, axis=1), np.cumsum(squares, axis=1)
