"""SparseTSF (Lin et al. 2024, arXiv 2405.00946, section 3): every phase of a period continues by the same small map.

`x [B, C, T] -> [B, outputs, H]`. Less its mean, a window is smoothed by a convolution over about a period, which is
added to it, and cut into its n periods of w steps. The n values at one phase of the period give the m values at that
phase of the horizon, by a map without bias that all phases and channels share: n m + 2 floor(w / 2) + 1 weights. A
window that is not whole periods is padded in front with its first value; of the last period forecast, the steps
beyond the horizon are dropped. So few weights want large steps: published are a learning rate of 0.02 and a period of
24 for hourly data, of 4 for ETT's quarter hours.

The map over periods and the convolution within them are both linear and act on different axes, so the map comes first,
which leaves the convolution m periods instead of n; and the convolution is a matrix product, many times faster on a CPU
than one of a single channel.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from backbones import ForecastSpec, Hyper, InputSpec, register
from backbones.base import Backbone
from backbones.forecast_layers import SelectTargets
from backbones.layers import patch_count

HYPER = {"period": {"default": 24, "min": 1, "max": 10000, "help": "steps of a period: 24 for hourly data with days"}}


def bands(kernel: torch.Tensor, period: int) -> torch.Tensor:
    """`kernel [k]` -> `[period, 2 * period]`: row p is the kernel from column p on, zero elsewhere."""
    padded = F.pad(kernel, (period - 1, 2 * period - len(kernel)))
    return padded.unfold(0, 2 * period, 1).flip(0)


@register
class SparseTSF(Backbone):
    """A convolution within a period and a linear map from period to period."""

    separate = True
    forecasts = True
    heads = ("forecast",)
    forecast: ForecastSpec
    identity: torch.Tensor

    def __init__(self, inputs: InputSpec, hyper: Hyper) -> None:
        super().__init__(inputs, hyper)
        self.period = period = hyper.period
        self.targets = SelectTargets(inputs.channels, self.forecast.targets)
        self.before, self.after = patch_count(inputs.length, period), patch_count(self.forecast.horizon, period)
        width = 2 * (period // 2) + 1
        bound = width**-0.5  # as in torch's convolutions
        self.kernel = nn.Parameter(torch.empty(width).uniform_(-bound, bound))
        self.periods = nn.Linear(self.before, self.forecast.levels * self.after, bias=False)
        identity = F.one_hot(torch.tensor(period // 2), width).float()
        self.register_buffer("identity", identity, persistent=False)  # the kernel that leaves a window as it is

    def forward(self, x: torch.Tensor, known: torch.Tensor | None = None) -> torch.Tensor:
        x = self.targets(x)
        mean = x.mean(dim=2, keepdim=True)
        y = self._continue(x - mean).unflatten(2, (self.forecast.levels, -1))[..., : self.forecast.horizon]
        return (y + mean.unsqueeze(3)).flatten(1, 2)

    def _continue(self, x: torch.Tensor) -> torch.Tensor:
        """`x [B, K, T] -> [B, K, levels * m * w]`."""
        x = F.pad(x, (self.before * self.period - x.shape[2], 0), mode="replicate")
        # Smoothed, a period reads itself and half a period on either side. Behind half a period of zeros, that is
        # block i and block i + 1 of n + 1, which the map over periods takes to two other blocks.
        half = self.period // 2
        blocks = F.pad(x, (half, self.period - half)).unflatten(2, (-1, self.period)).flatten(0, 1)
        over = torch.cat([F.pad(self.periods.weight, (0, 1)), F.pad(self.periods.weight, (1, 0))])
        left, right = (over @ blocks).chunk(2, dim=1)  # each [B * K, levels * m, w]
        first, second = bands(self.identity + self.kernel, self.period).chunk(2, dim=1)
        return (F.linear(left, first) + F.linear(right, second)).flatten(1).unflatten(0, (x.shape[0], -1))
