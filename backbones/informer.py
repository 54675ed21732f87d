"""Informer (Zhou et al. 2021, arXiv 2012.07436): an encoder that halves its sequence, a decoder of one pass.

An encoder layer is ProbSparse self-attention (`probsparse.py`) and two maps with a GELU between, each half added to
the stream and normalised; a distilling convolution between the layers halves the sequence (equation 5). The decoder
reads the newest `label_len` steps and zeros for the horizon (equation 6), attends to the encoder's tokens, and
gives all steps of the horizon at once. Inputs enter by a convolution over three steps, with a fixed sinusoidal position
and a linear map of the time features and covariates (appendix B; the published "timeF"), without biases.

A forecast is `x [B, C, T], known [B, M, T + H] -> [B, outputs, H]`. The other heads get the encoder alone:
`x [B, C, T] -> z [B, ceil(T / stride), d_model]`, `stride` 2^(e_layers - 1) when it distils.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from backbones import ForecastSpec, Hyper, InputSpec, register
from backbones.base import Backbone
from backbones.forecast_layers import Dropout, check_heads
from backbones.layers import position_table, standardise
from backbones.probsparse import ProbSparse
from errors import UsageError
from ranks.norms import BatchNorm2d

HYPER = {
    "d_model": {"default": 512, "min": 1, "max": 4096, "help": "width of the model"},
    "n_heads": {"default": 8, "min": 1, "max": 64, "help": "attention heads"},
    "e_layers": {"default": 2, "min": 1, "max": 16, "help": "encoder layers"},
    "d_layers": {"default": 1, "min": 1, "max": 16, "help": "decoder layers"},
    "d_ff": {"default": 2048, "min": 1, "max": 16384, "help": "hidden width of the maps after attention"},
    "factor": {"default": 5, "min": 1, "max": 1000, "help": "ProbSparse: factor * ceil(ln L) queries of L attend"},
    "dropout": {"default": 0.05, "min": 0.0, "max": 0.9, "help": "after the embeddings and in each layer"},
    "label_len": {"default": 0, "min": 0, "max": 100000, "help": "context steps the decoder reads; 0: the newer half"},
    "distil": {"default": True, "help": "halve the sequence between encoder layers"},
    "mix": {"default": True, "help": "join the heads of the decoder's self-attention in the published, mixed order"},
    "revin": {"default": False, "help": "standardise each window by its mean and deviation"},
}

SPACE = {
    "only": True,
    "model_args.d_model": [256, 512, 768],
    "model_args.n_heads": [4, 8, 16],
    "model_args.e_layers": [2, 3, 4],
    "model_args.d_layers": [1, 2],
    "model_args.d_ff": [512, 1024, 2048],
    "model_args.dropout": {"low": 0.1, "high": 0.3},
    "model_args.factor": [3, 4, 5],
    "optimizer": ["adam", "adamw", "sgd"],
    "lr": {"low": 1e-5, "high": 1e-3, "log": True},
    "weight_decay": {"low": 0.0, "high": 0.01},
    "batch_size": [16, 32, 64],
    "epochs": [20, 30, 50],
    "patience": [5, 10],
    "loss": ["mse", "l1", "huber"],  # torch's SmoothL1Loss is the Huber loss of width 1
    "scheduler": ["cosine", "StepLR", "plateau"],
    "scheduler_args.step_size": {"choices": [5, 10], "when": {"scheduler": "StepLR"}},
    "scheduler_args.gamma": {"choices": [0.1, 0.5], "when": {"scheduler": "StepLR"}},
}


@dataclass(frozen=True)
class Sizes:
    """What the layers of encoder and decoder have in common."""

    dim: int
    heads: int
    hidden: int
    factor: int
    dropout: float


class Map(nn.Linear):
    """`[B, L, d] -> [B, L, d']`, a linear map of each step."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.device.type != "cpu":
            return super().forward(x)
        # On a CPU nn.Linear is MKL's, a convolution oneDNN's. On AMD's Zen 5 that one takes half the time (240 to 105
        # GFLOP/s, float32); in the order of x, channels last, it copies nothing.
        return F.conv2d(image(x), self.weight[:, :, None, None], self.bias).squeeze(2).transpose(1, 2)


def image(x: torch.Tensor) -> torch.Tensor:
    """`x [B, L, d]` as an image of one row, `[B, d, 1, L]`, whose memory is in the order "channels last"."""
    return x.transpose(1, 2).unsqueeze(2)


class Neighbours(nn.Conv2d):
    """`[B, L, d] -> [B, L, d']`, a map of each step and the two beside it; the first and the last are neighbours."""

    def __init__(self, dim: int, out: int, *, bias: bool) -> None:
        super().__init__(dim, out, (1, 3), bias=bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        circle = torch.cat([x[:, -1:], x, x[:, :1]], dim=1)
        return super().forward(image(circle)).squeeze(2).transpose(1, 2)


class Embedding(nn.Module):
    """`x [B, C, L], known [B, M, L] -> [B, L, d]`."""

    def __init__(self, channels: int, known: int, length: int, sizes: Sizes) -> None:
        super().__init__()
        self.value = Neighbours(channels, sizes.dim, bias=False)
        nn.init.kaiming_normal_(self.value.weight, nonlinearity="leaky_relu")
        self.time = nn.Linear(known, sizes.dim, bias=False) if known else None
        self.register_buffer("position", position_table(length, sizes.dim), persistent=False)
        self.dropout = Dropout(sizes.dropout)

    def forward(self, x: torch.Tensor, known: torch.Tensor | None) -> torch.Tensor:
        h = self.value(x.transpose(1, 2)) + self.position
        if self.time is not None:
            assert known is not None, "the time features are missing"
            h = h + self.time(known.transpose(1, 2))
        # One channel is in every memory order at once; its convolution treats it as channels first.
        return self.dropout(h.contiguous())


class SelfAttention(nn.Module):
    """ProbSparse attention of tokens `[B, L, d]` to each other."""

    def __init__(self, length: int, sizes: Sizes, *, causal: bool = False, mix: bool = False) -> None:
        super().__init__()
        self.heads, self.mix = sizes.heads, mix
        self.qkv = Map(sizes.dim, 3 * sizes.dim)
        self.sparse = ProbSparse(length, sizes.factor, causal=causal)
        self.out = Map(sizes.dim, sizes.dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = self.qkv(x).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)  # each [B, heads, L, head_dim]
        mixed = self.sparse(q, k, v)
        # The published decoder reads [heads, L, head_dim] as [L, d]: a token gets consecutive steps of one head.
        mixed = mixed.reshape(x.shape) if self.mix else mixed.transpose(1, 2).flatten(2)
        return self.out(mixed)


class CrossAttention(nn.Module):
    """Full attention of tokens `[B, L, d]` to the encoder's `[B, L', d]`."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.heads, self.dropout = sizes.heads, sizes.dropout
        self.q = Map(sizes.dim, sizes.dim)
        self.kv = Map(sizes.dim, 2 * sizes.dim)
        self.out = Map(sizes.dim, sizes.dim)

    def forward(self, x: torch.Tensor, memory: torch.Tensor) -> torch.Tensor:
        q = self.q(x).unflatten(2, (self.heads, -1)).transpose(1, 2)
        k, v = self.kv(memory).unflatten(2, (2, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v, dropout_p=self.dropout if self.training else 0.0)
        return self.out(mixed.transpose(1, 2).flatten(2))


def feed_forward(sizes: Sizes) -> nn.Sequential:
    """The maps after attention."""
    widen, narrow = Map(sizes.dim, sizes.hidden), Map(sizes.hidden, sizes.dim)
    return nn.Sequential(widen, nn.GELU(), Dropout(sizes.dropout), narrow, Dropout(sizes.dropout))


class EncoderLayer(nn.Module):
    """`[B, L, d] -> [B, L, d]`."""

    def __init__(self, length: int, sizes: Sizes) -> None:
        super().__init__()
        self.attention = SelfAttention(length, sizes)
        self.maps = feed_forward(sizes)
        self.norm1, self.norm2 = nn.LayerNorm(sizes.dim), nn.LayerNorm(sizes.dim)
        self.dropout = Dropout(sizes.dropout)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.norm1(x + self.dropout(self.attention(x)))
        return self.norm2(x + self.maps(x))


class Distil(nn.Module):
    """`[B, L, d] -> [B, ceil(L / 2), d]` (equation 5): the stronger of neighbouring steps goes on."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.conv = Neighbours(dim, dim, bias=True)
        self.norm = BatchNorm2d(dim)
        self.pool = nn.MaxPool2d((1, 3), stride=(1, 2), padding=(0, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.pool(F.elu(self.norm(image(self.conv(x)))))
        # Under autocast the convolution gives bfloat16; the residual stream keeps its precision.
        return h.squeeze(2).transpose(1, 2).to(x.dtype)


class DecoderLayer(nn.Module):
    """`x [B, L, d], memory [B, L', d] -> [B, keep, d]`, the newest `keep` steps.

    After the self-attention a step does not affect the others, so those that nobody reads are dropped there.
    """

    def __init__(self, length: int, sizes: Sizes, *, mix: bool) -> None:
        super().__init__()
        self.attention = SelfAttention(length, sizes, causal=True, mix=mix)
        self.cross = CrossAttention(sizes)
        self.maps = feed_forward(sizes)
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(sizes.dim) for _ in range(3))
        self.dropout = Dropout(sizes.dropout)

    def forward(self, x: torch.Tensor, memory: torch.Tensor, keep: int) -> torch.Tensor:
        x = self.norm1(x + self.dropout(self.attention(x)))[:, -keep:]
        x = self.norm2(x + self.dropout(self.cross(x, memory)))
        return self.norm3(x + self.maps(x))


class Encoder(nn.Module):
    """`x [B, C, T], known [B, M, T] or None -> [B, T', d]`."""

    def __init__(self, channels: int, known: int, length: int, layers: int, sizes: Sizes, *, distil: bool) -> None:
        super().__init__()
        self.embed = Embedding(channels, known, length, sizes)
        blocks: list[nn.Module] = []
        for number in range(layers):
            if number and distil:
                blocks.append(Distil(sizes.dim))
                length = math.ceil(length / 2)
            blocks.append(EncoderLayer(length, sizes))
        self.blocks = nn.Sequential(*blocks, nn.LayerNorm(sizes.dim))

    def forward(self, x: torch.Tensor, known: torch.Tensor | None = None) -> torch.Tensor:
        return self.blocks(self.embed(x, known))


class Decoder(nn.Module):
    """`x [B, C, label], known [B, M, label + H] or None, memory [B, T', d] -> [B, outputs, H]`."""

    def __init__(
        self, channels: int, known: int, label: int, forecast: ForecastSpec, layers: int, sizes: Sizes, mix: bool
    ) -> None:
        super().__init__()
        self.horizon = forecast.horizon
        length = label + forecast.horizon
        self.embed = Embedding(channels, known, length, sizes)
        self.blocks = nn.ModuleList(DecoderLayer(length, sizes, mix=mix) for _ in range(layers))
        self.norm = nn.LayerNorm(sizes.dim)
        self.project = nn.Linear(sizes.dim, forecast.outputs)

    def forward(self, x: torch.Tensor, known: torch.Tensor | None, memory: torch.Tensor) -> torch.Tensor:
        h = self.embed(F.pad(x, (0, self.horizon)), known)
        for block in self.blocks[:-1]:
            h = block(h, memory, keep=h.shape[1])
        h = self.blocks[-1](h, memory, keep=self.horizon)
        return self.project(self.norm(h)).transpose(1, 2)


@register
class Informer(Backbone):
    """Encoder and decoder where a forecast is asked for, the encoder alone otherwise."""

    forecasts = True
    reads_known = True
    reads_marks = True
    pool = "mean"
    causal = False

    owner: torch.Tensor

    def __init__(self, inputs: InputSpec, hyper: Hyper) -> None:
        super().__init__(inputs, hyper)
        if hyper.label_len > inputs.length:
            raise UsageError(
                f"label_len {hyper.label_len} is more than the {inputs.length} steps of the context",
                where="--model-args",
                hint=f"take at most {inputs.length}, or 0 for the newer half",
            )
        self.dim, self.stride = hyper.d_model, 2 ** (hyper.e_layers - 1) if hyper.distil else 1
        self.label, self.revin = hyper.label_len or math.ceil(inputs.length / 2), hyper.revin
        check_heads(hyper.d_model, hyper.n_heads)
        sizes = Sizes(hyper.d_model, hyper.n_heads, hyper.d_ff, hyper.factor, hyper.dropout)
        channels, wanted = inputs.channels, self.forecast
        known = wanted.marks + wanted.covariates if wanted else 0
        self.encoder = Encoder(channels, known, inputs.length, hyper.e_layers, sizes, distil=hyper.distil)
        self.decoder: Decoder | None = None
        if wanted:
            self.decoder = Decoder(channels, known, self.label, wanted, hyper.d_layers, sizes, mix=hyper.mix)
            owner = torch.tensor(wanted.targets).repeat_interleave(wanted.levels)
            self.register_buffer("owner", owner, persistent=False)  # the channel that each output continues

    def forward(self, x: torch.Tensor, known: torch.Tensor | None = None) -> torch.Tensor:
        if self.decoder is None:
            return self.encoder(x)
        if not self.revin:
            return self._continue(x, known)
        standard, mean, scale = standardise(x)
        y = self._continue(standard, known)
        return y * scale.index_select(1, self.owner) + mean.index_select(1, self.owner)

    def _continue(self, x: torch.Tensor, known: torch.Tensor | None) -> torch.Tensor:
        """`x [B, C, T], known [B, M, T + H] or None -> [B, outputs, H]`, in the units of what the network sees."""
        steps = x.shape[2]
        past = future = None
        if known is not None:
            past, future = known[..., :steps], known[..., steps - self.label :]
        assert self.decoder is not None
        return self.decoder(x[..., steps - self.label :], future, self.encoder(x, past))
