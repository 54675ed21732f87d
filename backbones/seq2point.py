"""Sequence-to-point network (Zhang et al. 2018, arXiv 1612.09106, section 4.1 and figure 2), all points at once.

`x [B, C, T] -> z [B, T, hidden]`. The published network reads a window through convolutions of 10, 8, 6, 5 and 5
steps with 30, 30, 40, 50 and 50 filters, ReLU after each, and maps all that came out to a layer of 1024 units for the
window's middle point. That layer is itself a convolution, so one pass over a window gives the point of every step,
each from the `around` steps about it; beyond the window's ends are zeros. `around=599 hidden=1024` is the published
size, at 31 million multiplications a step.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from backbones import Hyper, InputSpec, register
from backbones.base import Backbone
from backbones.forecast_layers import Dropout

HYPER = {
    "around": {"default": 61, "min": 1, "max": 9999, "help": "steps whose features a point is made of"},
    "hidden": {"default": 128, "min": 1, "max": 4096, "help": "width of a point"},
    "dropout": {"default": 0.1, "min": 0.0, "max": 0.9, "help": "on the points"},
}

CONVOLUTIONS = ((10, 30), (8, 30), (6, 40), (5, 50), (5, 50))  # steps, filters


class Centred(nn.Conv1d):
    """A convolution that keeps the length: as many zeros before as after, one less before where that is uneven."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        kernel = self.kernel_size[0]
        return super().forward(F.pad(x, ((kernel - 1) // 2, kernel // 2)))


@register
class Seq2Point(Backbone):
    """A token is the point of its step; their mean is the window's summary."""

    stride = 1
    pool = "mean"
    causal = False

    def __init__(self, inputs: InputSpec, hyper: Hyper) -> None:
        super().__init__(inputs, hyper)
        layers: list[nn.Module] = []
        channels = inputs.channels
        for kernel, filters in CONVOLUTIONS:
            layers += [Centred(channels, filters, kernel), nn.ReLU()]
            channels = filters
        # What is further away than the window's other end is zero at every step.
        around = min(hyper.around, 2 * inputs.length - 1)
        self.convolve = nn.Sequential(*layers, Centred(channels, hyper.hidden, around), nn.ReLU())
        self.dropout = Dropout(hyper.dropout)
        self.dim = hyper.hidden

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.dropout(self.convolve(x).transpose(1, 2))
