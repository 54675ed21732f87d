"""Temporal convolution network (Bai et al. 2018, arXiv 1803.01271, section 3 and figure 1).

`x [B, C, T] -> z [B, T, filters]`. Block i is two convolutions with dilation 2^i around which a residual goes, so
that a token sees `1 + 2 (kernel - 1) (2^depth - 1)` steps: with `causal` its step and those before it, otherwise as
many after it as before. Batch norm replaces the paper's weight norm. Widths change in the first residual
alone, by a 1x1 convolution.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from backbones import Hyper, InputSpec, register
from backbones.base import Backbone
from backbones.forecast_layers import Dropout
from backbones.layers import check_odd
from ranks.norms import BatchNorm1d

HYPER = {
    "filters": {"default": 48, "min": 1, "max": 512, "help": "width"},
    "depth": {"default": 7, "min": 1, "max": 16, "help": "blocks; each doubles the dilation"},
    "kernel": {"default": 3, "min": 1, "max": 63, "help": "steps of a convolution, an odd number"},
    "dropout": {"default": 0.1, "min": 0.0, "max": 0.9, "help": "after each convolution"},
    "causal": {"default": False, "help": "see no later step, as a stream needs it"},
}
SPACE = {"model_args.depth": [5, 6, 7, 8], "model_args.kernel": [3, 5, 7]}  # reach doubles by block; kernels are odd


class Dilated(nn.Module):
    """`[B, C, T] -> [B, width, T]`: convolution, batch norm, ReLU, dropout; beyond the window are zeros."""

    def __init__(self, channels: int, width: int, kernel: int, dilation: int, dropout: float, causal: bool) -> None:
        super().__init__()
        around = (kernel - 1) * dilation
        self.padding = (around, 0) if causal else (around // 2, around // 2)
        # Batch norm takes away what a bias would add.
        self.convolve = nn.Conv1d(channels, width, kernel, dilation=dilation, bias=False)
        self.norm = BatchNorm1d(width)
        self.dropout = Dropout(dropout)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.dropout(F.relu(self.norm(self.convolve(F.pad(x, self.padding)))))


class Block(nn.Module):
    """Two dilated convolutions and what goes around them."""

    def __init__(self, channels: int, width: int, kernel: int, dilation: int, dropout: float, causal: bool) -> None:
        super().__init__()
        self.first = Dilated(channels, width, kernel, dilation, dropout, causal)
        self.second = Dilated(width, width, kernel, dilation, dropout, causal)
        self.around = nn.Conv1d(channels, width, 1) if channels != width else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(self.around(x) + self.second(self.first(x)))


@register
class TCN(Backbone):
    """If causal, its summary is the last token, the only one that has seen the whole window."""

    stride = 1

    def __init__(self, inputs: InputSpec, hyper: Hyper) -> None:
        super().__init__(inputs, hyper)
        check_odd(hyper.kernel)
        self.causal = hyper.causal
        self.pool = "last" if hyper.causal else "mean"
        self.dim = hyper.filters
        blocks = (
            Block(self.dim if i else inputs.channels, self.dim, hyper.kernel, 2**i, hyper.dropout, hyper.causal)
            for i in range(hyper.depth)
        )
        self.blocks = nn.Sequential(*blocks)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.blocks(x).transpose(1, 2)
