"""The season at origins, to be taken out of what came before and put back into what follows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from backbones.carried import asked, every, kept, kept_together
from backbones.histories import Stack
from backbones.season import indices, seasonal


@dataclass(frozen=True)
class Adjustment:
    """The season at n origins, estimated at g of them or shortly before.

    phases : float64 [g, m], what each phase adds or multiplies with; column j is j steps after the estimate.
    ratio : mask [n] of where it multiplies.
    which, late : int64 [n], the number of each origin's estimate, and how many steps before the origin that was.
    """

    phases: np.ndarray
    ratio: np.ndarray
    which: np.ndarray
    late: np.ndarray

    def without(self, past: np.ndarray) -> np.ndarray:
        """The last steps [n, k] at the origins, the newest last, without their season."""
        each, ratio = self._at(np.arange(-past.shape[1], 0)), self.ratio[:, None]
        found: np.ndarray = np.where(ratio, past / np.where(ratio, each, 1.0), past - each)
        return found

    def put_back(self, ahead: np.ndarray) -> np.ndarray:
        """Forecasts [n, H] with the season of their steps."""
        each = self._at(np.arange(ahead.shape[1]))
        found: np.ndarray = np.where(self.ratio[:, None], ahead * each, ahead + each)
        return found

    def _at(self, steps: np.ndarray) -> np.ndarray:
        """What the phases `steps` after each origin add or multiply with, [n, k]."""
        period = self.phases.shape[1]
        if len(self.phases) == len(self.which) and not self.late.any():
            return self.phases[:, steps % period]
        return self.phases[self.which[:, None], (self.late[:, None] + steps) % period]


def adjustment(stack: Stack, period: int, factors: bool = True, steps: int = 0) -> Adjustment:
    """The season at each origin of a stack where the test finds one; with `factors` it multiplies where all of the
    history is above 0. A long season is that of at most a hundredth of its cycle before, and where something is to be
    estimated from the last `steps`, any season that of the origin at which that is (`carried.asked`).
    """
    ratio = np.minimum.accumulate(stack.y, axis=1)[stack.series, stack.end - 1] > 0
    ratio &= factors
    grid, which, late = asked(stack, period, ratio, steps)
    multiplies = np.zeros(len(grid), bool)
    multiplies[which] = ratio
    if every(period) == 1:
        found = kept_together(grid, ("phases", period), multiplies, partial(_phases, grid, period, multiplies))
        return Adjustment(found, ratio, which, late)
    phases = np.empty((len(grid), period))
    for kind in np.unique(multiplies).tolist():
        alike = np.flatnonzero(multiplies == kind)
        phases[alike] = kept(
            grid.some(alike), ("phases", period, kind), partial(_alike, grid.some(alike), period, kind)
        )
    return Adjustment(phases, ratio, which, late)


def _alike(stack: Stack, period: int, multiplies: bool, which: np.ndarray) -> np.ndarray:
    """The phases [k, m] at some of the origins, which all multiply or all add."""
    return _phases(stack.some(which), period, np.full(len(which), multiplies))


def _phases(stack: Stack, period: int, ratio: np.ndarray) -> np.ndarray:
    """What each phase adds or, where the mask `ratio` [n] is true, multiplies with: [n, m]."""
    has = seasonal(stack, period)
    phases = np.repeat(np.where(ratio, 1.0, 0.0)[:, None], period, axis=1)
    if has.any():
        phases[has] = indices(stack.some(has), period, ratio[has])
    return phases


def lines(
    stack: Stack, period: int, steps: int, factors: bool = True, shared: bool = False
) -> tuple[Stack, Adjustment]:
    """Series without their season, each from `steps` before the estimate on, and the n origins in them.

    Origins of one estimate share a line, so that a recursion passes all of them at once; with `shared` also those of a
    short season in a long history.
    """
    season = adjustment(stack, period, factors, steps if shared else 0)
    begin, ratio, last, series = (np.zeros(len(season.phases), kind) for kind in (int, bool, int, int))
    begin[season.which], ratio[season.which] = stack.end - season.late, season.ratio
    series[season.which] = stack.series
    np.maximum.at(last, season.which, season.late)
    whole = Adjustment(season.phases, ratio, np.arange(len(last)), last)
    longest = min(steps + int(last.max(initial=0)), stack.y.shape[1])
    rest = whole.without(Stack(stack.y, series, begin + last).last(longest))
    count = np.minimum(begin, steps) + last
    at = np.minimum(np.arange(longest) + (longest - count)[:, None], longest - 1)
    y = np.take_along_axis(rest, at, axis=1)
    return Stack(y, season.which, np.minimum(begin, steps)[season.which] + season.late), season
