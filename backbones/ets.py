"""Exponential smoothing of level, slope and season (ETS), a grid of parameters averaged by Akaike's criterion.

The members are in `smoothing.py`; an origin costs no pass of its own. `season=multiplicative` has a season that grows
with the level; `log=true` smooths logarithms, and its forecasts stay below three times the greatest value so far. Both
are for histories above 0; others are smoothed as they are. A season of more than 24 steps is taken out first where a
test finds it (season.py), as theta does. `second=true` takes a second, longer season out first, where a series has
enough of it (the week in hourly data): on such data that is the larger part.
"""

from __future__ import annotations

import numpy as np

from backbones import register
from backbones.adjustment import lines
from backbones.carried import every
from backbones.histories import Stack
from backbones.local_forecaster import MOST, LocalForecaster
from backbones.season import without_second
from backbones.smoothing import LEAST_CYCLES, smoothed

HYPER = {
    "period": {"default": 0, "min": 0, "max": 100000, "help": "steps of the season; 0: the calendar's, or found"},
    "season": {
        "default": "additive",
        "choices": ["additive", "multiplicative"],
        "help": "whether the season is added to the level or multiplies it",
    },
    "log": {"default": False, "help": "smooth logarithms"},
    "second": {"default": False, "help": "take a second, longer season out first, the week in hourly data"},
}
SPACE = {"model_args.season": ["additive", "multiplicative"], "model_args.log": [False, True]}

LONGEST = 24  # steps of a season that is smoothed; of a longer one each phase is seen too seldom
STEPS = 400  # before an origin that are smoothed then
CELLS = 1 << 20


@register
class ETS(LocalForecaster):
    """One pass a series."""

    _cycles = LEAST_CYCLES

    def local(self, stack: Stack) -> np.ndarray:
        longer = self.second if self.hyper.second else 1
        found = without_second(stack, longer, self.season, self.forecast.horizon) if longer > 1 else None
        if found is None:
            return self._one_season(stack)
        rest, ahead, which = found
        made = np.empty((len(stack), self.forecast.horizon))
        if every(self.season) > 1:
            made[which] = self._adjusted(rest) + ahead
        else:
            made[which] = smoothed(rest, self.season, self.forecast.horizon) + ahead
        if not which.all():
            made[~which] = self._one_season(stack.some(~which))
        return made

    def _one_season(self, stack: Stack) -> np.ndarray:
        """The forecasts [n, H] with the shorter season alone."""
        if self.season > LONGEST:
            return self._adjusted(stack)
        multiplies = self.hyper.season == "multiplicative"
        if not (multiplies or self.hyper.log):
            return smoothed(stack, self.season, self.forecast.horizon)
        made = np.empty((len(stack), self.forecast.horizon))
        above = np.minimum.accumulate(stack.y, axis=1)[stack.series, stack.end - 1] > 0
        if above.any():
            made[above] = self._above_zero(stack.some(above), multiplies)
        if not above.all():
            made[~above] = smoothed(stack.some(~above), self.season, self.forecast.horizon)
        return made

    def _above_zero(self, stack: Stack, multiplies: bool) -> np.ndarray:
        """The forecasts [n, H] where all of the histories is above 0."""
        y = np.maximum(stack.y, 1e-300) if not self.hyper.log else np.log(np.maximum(stack.y, 1e-300))
        made = smoothed(Stack(y, stack.series, stack.end), self.season, self.forecast.horizon, multiplies)
        if not self.hyper.log:
            return made
        greatest = np.maximum.accumulate(stack.y, axis=1)[stack.series, stack.end - 1]
        capped: np.ndarray = np.exp(np.minimum(made, np.log(MOST * greatest)[:, None]))
        return capped

    def _adjusted(self, stack: Stack) -> np.ndarray:
        """The forecasts [n, H] where a season has too many phases to be states: taken out before, put back after."""
        made = np.empty((len(stack), self.forecast.horizon))
        longest = min(STEPS, stack.y.shape[1])
        for part, some in stack.blocks(longest // every(self.season), CELLS):
            rest, season = lines(some, self.season, longest, self.hyper.log or self.hyper.season == "multiplicative")
            logs = season.ratio & self.hyper.log
            of_logs = rest.series[logs]
            rest.y[of_logs] = np.log(rest.y[of_logs])
            line = smoothed(rest, 1, self.forecast.horizon)
            if logs.any():
                greatest = np.maximum.accumulate(rest.y, axis=1)[of_logs, rest.end[logs] - 1]
                line[logs] = np.exp(np.minimum(line[logs], np.log(MOST) + greatest[:, None]))
            made[part] = season.put_back(line)
        return made
