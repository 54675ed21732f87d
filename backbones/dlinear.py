"""DLinear (Zeng et al. 2023, arXiv 2205.13504, section 4): trend and remainder of a window, a linear map of each.

`x [B, C, T] -> [B, outputs, H]`. The trend is a moving average over `kernel` steps, with the first and the last value
repeated beyond the ends; the remainder is what it leaves. Each has one map `T -> H` that all channels share, or one for
each channel. All weights start at 1/T, as in the authors' code where the weights are to be looked at: the untrained
forecast is the window's mean, and what a trained map shows it has learnt. With `norm` a window is forecast as its
difference to its last value, which is their NLinear.

Decomposing and mapping are linear, so that one map does both: with A the moving average as a matrix,

    W_trend A x + W_remainder (x - A x) = (W_remainder + (W_trend - W_remainder) A) x.

Averaging the weights costs as much as averaging H windows, and there are many more windows than that in a batch. The
parameters, and so the training, are those of the two maps.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from backbones import ForecastSpec, Hyper, InputSpec, register
from backbones.base import Backbone
from backbones.forecast_layers import SelectTargets

HYPER = {
    "kernel": {"default": 25, "min": 1, "max": 10000, "help": "steps of the moving average that is the trend"},
    "individual": {"default": False, "help": "separate maps for each channel"},
    "norm": {"default": False, "help": "forecast the difference to the window's last value (NLinear)"},
}


def averaged(weight: torch.Tensor, kernel: int) -> torch.Tensor:
    """`weight [G, R, T]` -> weight A, where A takes a window to its moving average over `kernel` steps.

    Step t of a window enters the averages around it, and the end steps also those that look beyond the ends.
    """
    length = weight.shape[2]
    if length == 1:
        return weight
    before = (kernel - 1) // 2
    spread = F.avg_pool1d(F.pad(weight, (kernel - 1, kernel - 1)), kernel, stride=1)  # onto T + kernel - 1 steps
    first, within, last = spread.split([before + 1, length - 2, kernel - before], dim=2)
    return torch.cat([first.sum(dim=2, keepdim=True), within, last.sum(dim=2, keepdim=True)], dim=2)


@register
class DLinear(Backbone):
    """Two linear maps from a window to what follows."""

    separate = True
    forecasts = True
    heads = ("forecast",)
    forecast: ForecastSpec

    def __init__(self, inputs: InputSpec, hyper: Hyper) -> None:
        super().__init__(inputs, hyper)
        wanted, length = self.forecast, inputs.length
        self.kernel, self.norm, self.levels = hyper.kernel, hyper.norm, wanted.levels
        self.targets = SelectTargets(inputs.channels, wanted.targets)
        groups, rows = len(wanted.targets) if hyper.individual else 1, wanted.levels * wanted.horizon
        self.trend = nn.Parameter(torch.full((groups, rows, length), 1 / length))
        self.remainder = nn.Parameter(torch.full((groups, rows, length), 1 / length))
        bound = length**-0.5  # as in torch's linear maps
        self.bias_trend = nn.Parameter(torch.empty(groups * rows).uniform_(-bound, bound))
        self.bias_remainder = nn.Parameter(torch.empty(groups * rows).uniform_(-bound, bound))

    def forward(self, x: torch.Tensor, known: torch.Tensor | None = None) -> torch.Tensor:
        x = self.targets(x)
        last = x[..., -1:]
        y = self._map(x - last) + last if self.norm else self._map(x)
        return y.unflatten(2, (self.levels, -1)).flatten(1, 2)

    def _map(self, x: torch.Tensor) -> torch.Tensor:
        """`x [B, K, T] -> [B, K, levels * H]`."""
        weight = self.remainder + averaged(self.trend - self.remainder, self.kernel)
        bias = (self.bias_trend + self.bias_remainder).view(weight.shape[:2])
        if len(weight) == 1:
            return F.linear(x, weight[0], bias[0])
        return torch.baddbmm(bias.unsqueeze(1), x.transpose(0, 1), weight.transpose(1, 2)).transpose(0, 1)
