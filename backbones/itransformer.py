"""iTransformer (Liu et al. 2024, arXiv 2310.06625, section 3): a channel's whole window is one token.

A window is standardised per channel and embedded, channel by channel, by one linear map `T -> d` (equation 1).
Attention over the tokens, with LayerNorm after each half, mixes channels; a linear map `d -> H` that they share takes
each target's token to its forecast, which the window's mean and scale bring back. Channels have no positions: a
forecast does not depend on their order.

Time features enter as the authors' code has them, as further tokens through the same embedding, each over the context.
Covariates are known over the horizon too: they are tokens of all T + H steps through a separate embedding, in the
units they come in, since the level of a temperature or a price matters.

The defaults are the published ones for ETTm1, without dropout on the attention weights. Under heads "pool" and "step",
`z [B, 1, C * d_model + 2C]`: one token, the channels side by side with the level of the window (`join_channels`).
"""

from __future__ import annotations

import torch
from torch import nn

from backbones import Hyper, InputSpec, register
from backbones.base import Backbone
from backbones.forecast_layers import Dropout, EncoderLayer, SelectTargets, check_heads
from backbones.layers import join_channels, level_of, standardise

HYPER = {
    "d_model": {"default": 128, "min": 1, "max": 4096, "help": "width, a multiple of heads"},
    "heads": {"default": 8, "min": 1, "max": 64, "help": "attention heads"},
    "d_ff": {"default": 128, "min": 1, "max": 16384, "help": "hidden width of a layer"},
    "layers": {"default": 2, "min": 1, "max": 64, "help": "encoder layers"},
    "dropout": {"default": 0.1, "min": 0.0, "max": 0.9, "help": "after the embedding and in each layer"},
}


@register
class ITransformer(Backbone):
    """Attention over channels, and where a forecast is asked for the map to it."""

    forecasts = True
    reads_known = True
    reads_marks = True
    pool = "last"
    causal = True

    def __init__(self, inputs: InputSpec, hyper: Hyper) -> None:
        super().__init__(inputs, hyper)
        width, dropout = hyper.d_model, hyper.dropout
        check_heads(width, hyper.heads)
        self.channels, self.stride = inputs.channels, inputs.length
        self.dim = inputs.channels * (width + 2)
        self.embed = nn.Linear(inputs.length, width)
        self.dropout = Dropout(dropout)
        self.layers = nn.ModuleList(
            EncoderLayer(width, hyper.heads, hyper.d_ff, dropout, nn.LayerNorm) for _ in range(hyper.layers)
        )
        self.norm = nn.LayerNorm(width)
        if self.forecast is not None:
            self.targets = SelectTargets(inputs.channels, self.forecast.targets)
            self.head = nn.Linear(width, self.forecast.levels * self.forecast.horizon)
            if self.forecast.covariates:
                self.embed_known = nn.Linear(inputs.length + self.forecast.horizon, width)

    def forward(self, x: torch.Tensor, known: torch.Tensor | None = None) -> torch.Tensor:
        standard, mean, scale = standardise(x)
        h = self.dropout(self._embedded(standard, known).to(x.dtype))
        for layer in self.layers:
            h = layer(h)
        h = self.norm(h[:, : self.channels])
        if self.forecast is None:
            return join_channels(h.unsqueeze(2), level_of(mean, scale))
        y = self.head(self.targets(h)) * self.targets(scale) + self.targets(mean)
        return y.unflatten(2, (self.forecast.levels, -1)).flatten(1, 2)

    def _embedded(self, standard: torch.Tensor, known: torch.Tensor | None) -> torch.Tensor:
        """`[B, C + marks + covariates, d]`."""
        wanted = self.forecast
        marks, covariates = (wanted.marks, wanted.covariates) if wanted is not None else (0, 0)
        if not marks + covariates:
            return self.embed(standard)
        assert known is not None, "covariates or marks without their values"
        tokens = self.embed(torch.cat([standard, known[:, :marks, : self.stride]], dim=1))
        return torch.cat([tokens, self.embed_known(known[:, marks:])], dim=1) if covariates else tokens
