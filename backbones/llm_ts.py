"""A causal patch decoder, built as language models are today; or a local pretrained one instead.

`x [B, C, T] -> z [B, ceil(T / patch), d]`. Each window is standardised per channel (RevIN, Kim et al. 2022,
section 3.1) and cut from its newest step backwards into patches of all channels together (the patches of PatchTST,
Nie et al. 2023, section 3.1; a decoder over them as in TimesFM, Das et al. 2024, section 4). The mean and the
log-scale that standardising took away enter as one more token, first in the sequence, so that every patch can attend to
the level; it is dropped from z. The blocks are those of Llama (Touvron et al. 2023, section 2.2): RMSNorm before each
half (Zhang and Sennrich 2019), rotary positions (Su et al. 2021, equation 34), SwiGLU (Shazeer 2020, equation 6).

A local Hugging Face directory replaces these blocks: see `pretrained_files.py` for what it may hold.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Literal

import torch
from torch import nn
from torch.nn import functional as F

from backbones import Hyper, InputSpec, pretrained_files, register
from backbones.base import Backbone
from backbones.layers import MAX_TOKENS, PatchTokens, choose_patch
from errors import UsageError

HYPER = {
    "size": {"default": "small", "choices": ["tiny", "small", "base"], "help": "d_model, layers and heads at once"},
    "d_model": {"default": 0, "min": 0, "max": 4096, "help": "width; 0: as size says"},
    "layers": {"default": 0, "min": 0, "max": 64, "help": "blocks; 0: as size says, or all the directory has"},
    "heads": {"default": 0, "min": 0, "max": 64, "help": "attention heads; 0: as size says"},
    "patch": {"default": 0, "min": 0, "max": 512, "help": "steps a token; 0: 4, or more to keep within 64 tokens"},
    "dropout": {"default": 0.1, "min": 0.0, "max": 0.9, "help": "after the embedding and in each block"},
}

SIZES = {"tiny": (64, 2, 2), "small": (128, 4, 4), "base": (256, 6, 8)}  # d_model, layers, heads
FIXED_BY_DIRECTORY = ("size", "d_model", "heads", "dropout")
ROTARY_BASE = 10000.0
INIT_STD = 0.02  # GPT-2's; the maps that write to the residual stream get this over sqrt(2 * layers)


def rotary_table(tokens: int, head_dim: int) -> torch.Tensor:
    """`[2, tokens, head_dim / 2]`: cosine and sine of position times frequency `base ** (-2i / head_dim)`."""
    frequency = ROTARY_BASE ** (-torch.arange(0, head_dim, 2, dtype=torch.float64) / head_dim)
    angle = torch.outer(torch.arange(tokens, dtype=torch.float64), frequency)
    return torch.stack([angle.cos(), angle.sin()]).float()


def rotate(x: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
    """`x [B, heads, P, head_dim]`: feature i and feature i + head_dim / 2 turn as a pair."""
    first, second = x.chunk(2, dim=-1)
    cosine, sine = table
    return torch.cat([first * cosine - second * sine, first * sine + second * cosine], dim=-1)


class Attention(nn.Module):
    """Causal self-attention over tokens `[B, P, d]` with rotary positions."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.out = nn.Linear(dim, dim, bias=False)

    def forward(self, x: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
        q, k, v = self.qkv(x).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)  # each [B, heads, P, head_dim]
        # The table is float32; under autocast q and k must come back to the precision of v.
        q, k = rotate(q, table).to(v.dtype), rotate(k, table).to(v.dtype)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out(mixed.transpose(1, 2).flatten(2))


class SwiGLU(nn.Module):
    """`[B, P, d] -> [B, P, d]`; hidden width 8d/3, so that three maps weigh what the usual two of 4d do."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        hidden = 8 * math.ceil(dim / 3)  # a multiple of 8, as tensor cores like it
        self.gate = nn.Linear(dim, hidden, bias=False)
        self.up = nn.Linear(dim, hidden, bias=False)
        self.out = nn.Linear(hidden, dim, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(F.silu(self.gate(x)) * self.up(x))


class Block(nn.Module):
    """A pre-norm transformer block: attention, then SwiGLU, each added to the stream."""

    def __init__(self, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.norm_attention = nn.RMSNorm(dim, eps=1e-5)
        self.attention = Attention(dim, heads)
        self.norm_mlp = nn.RMSNorm(dim, eps=1e-5)
        self.mlp = SwiGLU(dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
        x = x + self.dropout(self.attention(self.norm_attention(x), table))
        return x + self.dropout(self.mlp(self.norm_mlp(x)))


class PatchDecoder(nn.Module):
    """`x [B, C, T] -> z [B, P, d]`, from scratch."""

    pool: Literal["last"] = "last"
    causal = True
    table: torch.Tensor

    def __init__(
        self, channels: int, length: int, *, dim: int, layers: int, heads: int, patch: int, dropout: float
    ) -> None:
        super().__init__()
        self.dim, self.stride = dim, patch
        self.tokens = PatchTokens(channels, length, patch, dim)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(Block(dim, heads, dropout) for _ in range(layers))
        self.norm = nn.RMSNorm(dim, eps=1e-5)
        # A table, not a weight: it is computed from the sizes and stays out of the state dict.
        self.register_buffer("table", rotary_table(1 + self.tokens.count, dim // heads), persistent=False)
        self._initialise()

    def _initialise(self) -> None:
        """The blocks' maps small, those into the stream smaller: its variance then does not grow with depth."""
        for name, weight in self.blocks.named_parameters():
            if weight.ndim == 2:
                into_stream = name.endswith("out.weight")
                nn.init.normal_(weight, std=INIT_STD / math.sqrt(2 * len(self.blocks)) if into_stream else INIT_STD)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.dropout(self.tokens(x))
        for block in self.blocks:
            h = block(h, self.table)
        return self.norm(h)[:, 1:]


def _sizes(hyper: Hyper) -> tuple[int, int, int]:
    """Width, blocks and heads: those of `size`, unless they are given one by one."""
    of_size = SIZES[hyper.size]
    dim, layers, heads = hyper.d_model or of_size[0], hyper.layers or of_size[1], hyper.heads or of_size[2]
    if dim % (2 * heads):
        raise UsageError(
            f"d_model {dim} does not split into {heads} heads of an even width",
            where="--model-args",
            hint=f"take a d_model that is a multiple of {2 * heads}, or another number of heads",
        )
    return dim, layers, heads


@register
class LLMTS(Backbone):
    """The decoder above, or the pretrained body that `inputs.pretrained` describes (`load_pretrained`)."""

    takes_pretrained_dir = True

    def __init__(self, inputs: InputSpec, hyper: Hyper) -> None:
        super().__init__(inputs, hyper)
        self.body: PatchDecoder | pretrained_files.Body
        if inputs.pretrained is not None:
            self.body = pretrained_files.build_body(inputs.pretrained, inputs.channels, inputs.length, hyper.patch)
        else:
            dim, layers, heads = _sizes(hyper)
            patch = hyper.patch or choose_patch(inputs.length, MAX_TOKENS)
            sizes = {"dim": dim, "layers": layers, "heads": heads, "patch": patch}
            self.body = PatchDecoder(inputs.channels, inputs.length, dropout=hyper.dropout, **sizes)
        self.dim, self.stride = self.body.dim, self.body.stride
        self.pool, self.causal = self.body.pool, self.body.causal

    @classmethod
    def load_pretrained(cls, inputs: InputSpec, hyper: Hyper, directory: str) -> LLMTS:
        """The blocks of a Hugging Face directory on this disk, cut to the first `hyper.layers` of them (0: all)."""
        pretrained_files.refuse_fixed("llm_ts", hyper, FIXED_BY_DIRECTORY)
        model = cls(replace(inputs, pretrained=pretrained_files.describe(directory, hyper.layers)), hyper)
        assert isinstance(model.body, pretrained_files.Body)
        pretrained_files.load_body(model.body, directory)
        return model

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.body(x)
