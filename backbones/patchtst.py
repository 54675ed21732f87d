"""PatchTST (Nie et al. 2023, arXiv 2211.14730, section 3.1): attention over patches, each channel for itself.

A window is standardised per channel (RevIN without its affine part) and cut into overlapping patches, as published with
its last value repeated for `stride` more steps. An encoder takes the patches, with learned positions, through attention
over them. It normalises by BatchNorm after each half, as published (Zerveas et al. 2021 found it to suit time series
better than LayerNorm). It leaves out the residual attention scores of the authors' code, which are not in the paper.
The patches side by side give the forecast through one linear map, brought back by the window's mean and scale. Encoder
and map are the same for every channel.

Patches are counted from the newest step, so that the newest steps are never cut off; a window that they do not fit is
padded in front with its first value.

The defaults are the published ones for ETTh1; for larger data sets they are d_model 128, heads 16, d_ff 256, dropout
0.2. Under heads "pool" and "step", `z [B, ceil(T / stride), C * d_model + 2C]`: the patches, their channels side by
side, with the level of the window (`join_channels`).
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from backbones import Hyper, InputSpec, register
from backbones.base import Backbone
from backbones.forecast_layers import BatchNorm, Dropout, EncoderLayer, SelectTargets, check_heads
from backbones.layers import fit_tokens, join_channels, level_of, patch_count, standardise
from errors import UsageError

HYPER = {
    "patch": {"default": 16, "min": 1, "max": 512, "help": "steps a patch"},
    "stride": {"default": 8, "min": 1, "max": 512, "help": "steps from patch to patch, at most patch"},
    "d_model": {"default": 16, "min": 1, "max": 4096, "help": "width, a multiple of heads"},
    "heads": {"default": 4, "min": 1, "max": 64, "help": "attention heads"},
    "d_ff": {"default": 128, "min": 1, "max": 16384, "help": "hidden width of a layer"},
    "layers": {"default": 3, "min": 1, "max": 64, "help": "encoder layers"},
    "dropout": {"default": 0.3, "min": 0.0, "max": 0.9, "help": "after the embedding and in each layer"},
    "head_dropout": {"default": 0.0, "min": 0.0, "max": 0.9, "help": "before the map that forecasts"},
}
SPACE = {"model_args.patch": [16, 32], "model_args.stride": [4, 8, 16]}  # no stride above its patch

POSITION_SCALE = 0.02  # positions start uniform within it, as the published ones


@register
class PatchTST(Backbone):
    """The encoder, and where a forecast is asked for the map to it."""

    separate = True
    forecasts = True
    pool = "mean"
    causal = False

    def __init__(self, inputs: InputSpec, hyper: Hyper) -> None:
        super().__init__(inputs, hyper)
        width, patch, stride = hyper.d_model, hyper.patch, hyper.stride
        check_heads(width, hyper.heads)
        if stride > patch:
            raise UsageError(f"stride {stride} leaves steps out between patches of {patch}", where="--model-args")
        self.patch, self.stride, self.length = patch, stride, inputs.length
        self.dim = inputs.channels * (width + 2)
        self.patches = patch_count(max(inputs.length - patch, 0), stride) + 2
        self.embed = nn.Linear(patch, width)
        self.positions = nn.Parameter(torch.empty(self.patches, width).uniform_(-POSITION_SCALE, POSITION_SCALE))
        self.dropout = Dropout(hyper.dropout)
        self.layers = nn.ModuleList(
            EncoderLayer(width, hyper.heads, hyper.d_ff, hyper.dropout, BatchNorm) for _ in range(hyper.layers)
        )
        if self.forecast is not None:
            self.targets = SelectTargets(inputs.channels, self.forecast.targets)
            self.head_dropout = Dropout(hyper.head_dropout)
            self.head = nn.Linear(self.patches * width, self.forecast.levels * self.forecast.horizon)

    def forward(self, x: torch.Tensor, known: torch.Tensor | None = None) -> torch.Tensor:
        if self.forecast is None:
            standard, mean, scale = standardise(x)
            joined = join_channels(self._encode(standard), level_of(mean, scale))
            return fit_tokens(joined, patch_count(self.length, self.stride))
        standard, mean, scale = standardise(self.targets(x))
        y = self.head(self.head_dropout(self._encode(standard).flatten(2)))
        return (y * scale + mean).unflatten(2, (self.forecast.levels, -1)).flatten(1, 2)

    def _encode(self, x: torch.Tensor) -> torch.Tensor:
        """`x [B, C, T] -> [B, C, P, d]`."""
        missing = (self.patches - 2) * self.stride + self.patch - self.length
        padded = F.pad(x, (missing, self.stride), mode="replicate")
        patches = padded.unfold(2, self.patch, self.stride).flatten(0, 1)
        # Under autocast the map gives bfloat16; the residual stream that starts here keeps the input's precision.
        h = self.dropout(self.embed(patches).to(x.dtype) + self.positions)
        for layer in self.layers:
            h = layer(h)
        return h.unflatten(0, x.shape[:2])
