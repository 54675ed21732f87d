"""The last value, and from there the mean change of the whole history: `y[T] + h (y[T] - y[1]) / (T - 1)`."""

from __future__ import annotations

import numpy as np

from backbones import register
from backbones.histories import Stack
from backbones.local_forecaster import LocalForecaster

HYPER: dict[str, dict[str, object]] = {}


@register
class Drift(LocalForecaster):
    """One gather."""

    def local(self, stack: Stack) -> np.ndarray:
        last = stack.y[stack.series, stack.end - 1]
        slope = (last - stack.y[stack.series, 0]) / np.maximum(stack.end - 1, 1)
        made: np.ndarray = last[:, None] + slope[:, None] * np.arange(1, self.forecast.horizon + 1)
        return made
