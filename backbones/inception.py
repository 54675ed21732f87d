"""InceptionTime (Ismail Fawaz et al. 2019, arXiv 1909.04939, section 3.1 and figures 1 and 2).

`x [B, C, T] -> z [B, T, 4 * filters]`. A block: a bottleneck to `filters` channels, three convolutions of long,
half and quarter kernels beside a max-pool of width 3, their four outputs joined, batch norm, ReLU; a residual
around every third block. The paper ensembles five such networks; this is one. Kernels are cut to the window.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from backbones import Hyper, InputSpec, register
from backbones.base import Backbone
from ranks.norms import BatchNorm1d

HYPER = {
    "filters": {"default": 32, "min": 1, "max": 512, "help": "channels of a branch; the width is four times that"},
    "depth": {"default": 6, "min": 1, "max": 30, "help": "blocks; every third is the end of a residual"},
    "kernel": {"default": 39, "min": 3, "max": 511, "help": "longest kernel; the others are half and a quarter"},
    "dropout": {"default": 0.0, "min": 0.0, "max": 0.9, "help": "on the tokens"},
}

BLOCKS_A_RESIDUAL = 3


def odd_kernel(wanted: int, length: int) -> int:
    """The largest odd kernel within `wanted` and the window: an odd one keeps the length by equal padding."""
    fitting = max(1, min(wanted, length))
    return fitting if fitting % 2 else fitting - 1


class Inception(nn.Module):
    """`[B, C, T] -> [B, 4 * filters, T]`."""

    def __init__(self, channels: int, filters: int, kernels: list[int]) -> None:
        super().__init__()
        # One channel has nothing to squeeze: the convolutions read it as it is.
        self.bottleneck = nn.Conv1d(channels, filters, 1, bias=False) if channels > 1 else nn.Identity()
        width = filters if channels > 1 else 1
        self.branches = nn.ModuleList(nn.Conv1d(width, filters, k, padding=k // 2, bias=False) for k in kernels)
        self.pool = nn.MaxPool1d(3, stride=1, padding=1)
        self.pooled = nn.Conv1d(channels, filters, 1, bias=False)
        self.norm = BatchNorm1d(4 * filters)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        squeezed = self.bottleneck(x)
        joined = torch.cat([*(branch(squeezed) for branch in self.branches), self.pooled(self.pool(x))], dim=1)
        return F.relu(self.norm(joined))


class Shortcut(nn.Module):
    """What a residual adds: its input under batch norm, brought to the width by a 1x1 convolution if need be."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.widen = nn.Conv1d(channels, width, 1, bias=False) if channels != width else nn.Identity()
        self.norm = BatchNorm1d(width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(self.widen(x))


@register
class InceptionTime(Backbone):
    """Convolutions of several scales, both ways in time; the mean over the window is its summary."""

    stride = 1
    pool = "mean"
    causal = False

    def __init__(self, inputs: InputSpec, hyper: Hyper) -> None:
        super().__init__(inputs, hyper)
        depth, self.dim = hyper.depth, 4 * hyper.filters
        kernels = [odd_kernel(hyper.kernel // share, inputs.length) for share in (1, 2, 4)]
        widths = [inputs.channels] + [self.dim] * depth
        self.blocks = nn.ModuleList(Inception(width, hyper.filters, kernels) for width in widths[:depth])
        starts = range(0, depth - BLOCKS_A_RESIDUAL + 1, BLOCKS_A_RESIDUAL)
        self.shortcuts = nn.ModuleList(Shortcut(widths[start], self.dim) for start in starts)
        self.dropout = nn.Dropout(hyper.dropout)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        entered = x
        for number, block in enumerate(self.blocks, start=1):
            x = block(x)
            if number % BLOCKS_A_RESIDUAL == 0:
                x = F.relu(x + self.shortcuts[number // BLOCKS_A_RESIDUAL - 1](entered))
                entered = x
        return self.dropout(x.transpose(1, 2))
