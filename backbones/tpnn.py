"""Temporal-pooling network (Massidda et al. 2020, Applied Sciences 10(4) 1454, section 3): context at four scales.

`x [B, C, T] -> z [B, T, filters]`. An encoder of four convolutions, max-pools of 2 between them, leaves an eighth of
the steps at eight times the width. Averages over 5, 10, 20 and 30 of its tokens, each squeezed to a quarter of the
width and interpolated to the length they came from, join the encoder's features; a transposed convolution of 8
gives every step of the window its features. Convolutions are padded where the paper lets its window shrink.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional as F

from backbones import Hyper, InputSpec, register
from backbones.base import Backbone
from backbones.forecast_layers import Dropout
from backbones.layers import repeat_last
from ranks.norms import BatchNorm1d

HYPER = {
    "filters": {"default": 32, "min": 4, "max": 512, "help": "width of the first convolution and of the tokens"},
    "dropout": {"default": 0.1, "min": 0.0, "max": 0.9, "help": "in the encoder and on the tokens"},
}

KERNEL = 3
SCALES = (5, 10, 20, 30)  # tokens of the encoder that a pooled branch averages
CONVOLUTIONS = 4
SHRINK = 2 ** (CONVOLUTIONS - 1)  # steps of the window behind one token of the encoder


class Pooled(nn.Module):
    """`[B, C, T] -> [B, width, T]`: means over `scale` tokens (the last over as many as are left), interpolated.

    Without batch norm: the widest scale may leave one value a window.
    """

    def __init__(self, channels: int, width: int, scale: int) -> None:
        super().__init__()
        self.scale = scale
        self.squeeze = nn.Conv1d(channels, width, 1)

    def forward(self, h: torch.Tensor) -> torch.Tensor:
        scale = min(self.scale, h.shape[2])
        coarse = F.relu(self.squeeze(F.avg_pool1d(h, scale, ceil_mode=True)))
        return F.interpolate(coarse, size=h.shape[2], mode="linear")


@register
class TPNN(Backbone):
    """Features at full resolution from an encoder and its surroundings; their mean is the window's summary."""

    stride = 1
    pool = "mean"
    causal = False

    def __init__(self, inputs: InputSpec, hyper: Hyper) -> None:
        super().__init__(inputs, hyper)
        widths = [inputs.channels] + [hyper.filters * 2**i for i in range(CONVOLUTIONS)]
        self.convolve = nn.ModuleList(
            # Batch norm takes away what a bias would add.
            nn.Sequential(nn.Conv1d(a, b, KERNEL, padding=KERNEL // 2, bias=False), BatchNorm1d(b), nn.ReLU())
            for a, b in pairwise(widths)
        )
        width = widths[-1]
        self.pooled = nn.ModuleList(Pooled(width, width // len(SCALES), scale) for scale in SCALES)
        self.enlarge = nn.ConvTranspose1d(2 * width, hyper.filters, SHRINK, stride=SHRINK)
        self.dropout = Dropout(hyper.dropout)
        self.dim = hyper.filters

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = repeat_last(x, SHRINK)
        for number, convolve in enumerate(self.convolve):
            h = self.dropout(convolve(F.max_pool1d(h, 2) if number else h))
        h = torch.cat([h, *(pooled(h) for pooled in self.pooled)], dim=1)
        z = F.relu(self.enlarge(h))[:, :, : x.shape[2]]
        return self.dropout(z.transpose(1, 2))
