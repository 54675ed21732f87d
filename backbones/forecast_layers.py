"""Layers that the forecasters share. Shapes: B windows, C channels, K of them targets, N tokens, d features."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from errors import UsageError
from ranks.norms import BatchNorm1d


class SelectTargets(nn.Module):
    """`[B, C, ...] -> [B, K, ...]`: the channels that are forecast; where those are all, the tensor as it is."""

    index: torch.Tensor

    def __init__(self, channels: int, targets: tuple[int, ...]) -> None:
        super().__init__()
        self.all = targets == tuple(range(channels))
        self.register_buffer("index", torch.tensor(targets), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x if self.all else x.index_select(1, self.index)


class Dropout(nn.Dropout):
    """`nn.Dropout`; eagerly on a CPU four times as fast, with one random byte for each element.

    There p is rounded to a 256th, and what is kept is scaled accordingly: the expectation is x.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training or self.p == 0.0 or x.device.type != "cpu" or torch.compiler.is_compiling():
            return super().forward(x)
        dropped = max(1, round(256 * self.p))
        words = torch.empty(-(-x.numel() // 8), dtype=torch.int64).random_(-(2**63), None)
        # Clamped to two neighbours and made 0 or 1: byte arithmetic is vectorised, a comparison is not.
        kept = words.view(torch.uint8)[: x.numel()].view(x.shape).clamp_(dropped - 1, dropped).sub_(dropped - 1)
        return x * kept.to(x.dtype).mul_(256 / (256 - dropped))


class BatchNorm(BatchNorm1d):
    """Each feature of tokens `[B, N, d]` over all of them."""

    def forward(self, h: torch.Tensor) -> torch.Tensor:
        return super().forward(h.flatten(0, 1)).view_as(h)


class Attention(nn.Module):
    """Self-attention over tokens `[B, N, d]` (Vaswani et al. 2017, section 3.2.2), every one seeing every other."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)

    def forward(self, h: torch.Tensor) -> torch.Tensor:
        q, k, v = self.qkv(h).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)  # each [B, heads, N, head_dim]
        return self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class EncoderLayer(nn.Module):
    """Attention, then a GELU network of one hidden layer; each is added to the tokens `[B, N, d]`, then normalised."""

    def __init__(self, dim: int, heads: int, hidden: int, dropout: float, norm: type[nn.Module]) -> None:
        super().__init__()
        self.attention = Attention(dim, heads)
        self.norm_attention = norm(dim)
        self.widen = nn.Linear(dim, hidden)
        self.narrow = nn.Linear(hidden, dim)
        self.norm = norm(dim)
        self.dropout = Dropout(dropout)

    def forward(self, h: torch.Tensor) -> torch.Tensor:
        h = self.norm_attention(h + self.dropout(self.attention(h)))
        return self.norm(h + self.dropout(self.narrow(self.dropout(F.gelu(self.widen(h))))))


def check_heads(dim: int, heads: int) -> None:
    """UsageError when features do not split into attention heads."""
    if dim % heads:
        raise UsageError(
            f"d_model {dim} does not split into {heads} heads",
            where="--model-args",
            hint=f"take a d_model that is a multiple of {heads}, or another number of heads",
        )
