"""A 1-D U-Net (Ronneberger et al. 2015, arXiv 1505.04597, figure 1) that labels every step of a window.

`x [B, C, T] -> z [B, T, filters]`. Each level is two convolutions, batch norm and ReLU after each; from level to
level the length halves (max-pool of 2) and the width doubles. On the way up a transposed convolution of 2 doubles the
length again, the features of the same level on the way down join, and two convolutions take both. Convolutions are
padded, so that a window keeps its length; one that does not halve often enough is padded at the end with its last
value, and the padded steps are cut off again.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional as F

from backbones import Hyper, InputSpec, register
from backbones.base import Backbone
from backbones.forecast_layers import Dropout
from backbones.layers import check_odd, repeat_last
from ranks.norms import BatchNorm1d

HYPER = {
    "filters": {"default": 24, "min": 1, "max": 512, "help": "width of the first level and of the tokens"},
    "levels": {"default": 4, "min": 2, "max": 8, "help": "resolutions; each has half the steps of the one above it"},
    "kernel": {"default": 5, "min": 1, "max": 63, "help": "steps of a convolution, an odd number"},
    "dropout": {"default": 0.1, "min": 0.0, "max": 0.9, "help": "at the lowest level"},
}
SPACE = {"model_args.levels": [3, 4, 5], "model_args.kernel": [3, 5, 9]}  # widths double by level; kernels are odd


class TwoConvolutions(nn.Sequential):
    """`[B, C, T] -> [B, width, T]`."""

    def __init__(self, channels: int, width: int, kernel: int) -> None:
        layers: list[nn.Module] = []
        for entering in (channels, width):
            # Batch norm takes away what a bias would add.
            layers += [nn.Conv1d(entering, width, kernel, padding=kernel // 2, bias=False)]
            layers += [BatchNorm1d(width), nn.ReLU()]
        super().__init__(*layers)


@register
class UNet(Backbone):
    """Features at full resolution that know their surroundings; the mean over the window is its summary."""

    stride = 1
    pool = "mean"
    causal = False

    def __init__(self, inputs: InputSpec, hyper: Hyper) -> None:
        super().__init__(inputs, hyper)
        kernel = hyper.kernel
        check_odd(kernel)
        widths = [hyper.filters * 2**level for level in range(hyper.levels)]
        self.multiple = 2 ** (hyper.levels - 1)
        self.down = nn.ModuleList(TwoConvolutions(a, b, kernel) for a, b in pairwise([inputs.channels, *widths]))
        ups = list(pairwise(reversed(widths)))  # the width below and the level's own, from the lowest
        self.enlarge = nn.ModuleList(nn.ConvTranspose1d(below, width, 2, stride=2) for below, width in ups)
        self.up = nn.ModuleList(TwoConvolutions(2 * width, width, kernel) for _, width in ups)
        self.dropout = Dropout(hyper.dropout)
        self.dim = hyper.filters

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        length = x.shape[2]
        h = self.down[0](repeat_last(x, self.multiple))
        passed = []
        for block in self.down[1:]:
            passed.append(h)
            h = block(F.max_pool1d(h, 2))
        h = self.dropout(h)
        for enlarge, block, beside in zip(self.enlarge, self.up, reversed(passed), strict=True):
            h = block(torch.cat([beside, enlarge(h)], dim=1))
        return h[:, :, :length].transpose(1, 2)
