"""The last season again: `y[T + h] = y[T + h - m ceil(h / m)]` for a period of m steps.

The period is the calendar's, one cycle of which is enough, or else the one that training shows; `second=true` takes the
longer of two (the week in hourly data). Where a history has no whole period, its last value is repeated.
"""

from __future__ import annotations

import numpy as np

from backbones import register
from backbones.histories import Histories, Stack
from backbones.local_forecaster import LocalForecaster
from backbones.season import repeatable

HYPER = {
    "period": {"default": 0, "min": 0, "max": 100000, "help": "steps of the season; 0: the calendar's, or found"},
    "second": {"default": False, "help": "repeat the longer of two seasons, the week in hourly data"},
}


@register
class SeasonalNaive(LocalForecaster):
    """One gather, whatever the number of origins."""

    _cycles = 1

    def periods(self, train: Histories) -> tuple[int, int]:
        first, second = super().periods(train)
        return (first if first > 1 else repeatable(train)), second

    @property
    def repeats(self) -> int:
        """Steps of the season that is repeated."""
        return self.second if self.hyper.second and self.second > 1 else self.season

    @property
    def needs(self) -> int:
        return self.repeats if self.repeats > 1 else 0

    def local(self, stack: Stack) -> np.ndarray:
        return repeated(stack, self.repeats, self.forecast.horizon)


def repeated(stack: Stack, period: int, horizon: int) -> np.ndarray:
    """The last `period` steps over and over, [n, H]; the last value where a history is shorter."""
    period_at = np.where(stack.end >= period, period, 1)[:, None]
    at = stack.end[:, None] - period_at + np.arange(horizon) % period_at
    found: np.ndarray = stack.y[stack.series[:, None], at]
    return found
