"""A Transformer that attends at two resolutions in every block: to single steps and to averages over `scale` of them.

`x [B, C, T] -> z [B, T, d_model]`. A step is embedded by a linear map; its position is added (Vaswani et al. 2017,
arXiv 1706.03762, section 3.5). A block normalises, attends at full resolution and, after average pooling, at the
coarse one, repeats the coarse result for the steps it stands for, and fuses both by a linear map into the residual
stream; a feed-forward part follows. Where `scale` does not divide the window, the last average is over the rest.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from backbones import Hyper, InputSpec, register
from backbones.base import Backbone
from backbones.forecast_layers import Dropout, check_heads
from backbones.layers import position_table

HYPER = {
    "d_model": {"default": 128, "min": 2, "max": 4096, "help": "width, a multiple of heads"},
    "heads": {"default": 4, "min": 1, "max": 64, "alias": "num_heads", "help": "attention heads at each resolution"},
    "depth": {"default": 4, "min": 1, "max": 64, "help": "blocks"},
    "scale": {
        "default": 4,
        "min": 2,
        "max": 512,
        "alias": "scale_factor",
        "help": "steps that the coarse resolution averages",
    },
    "mlp_ratio": {
        "default": 4.0,
        "min": 0.25,
        "max": 64.0,
        "searched": False,
        "help": "width of the feed-forward part, in d_model",
    },
    "dropout": {"default": 0.1, "min": 0.0, "max": 0.9, "help": "on what a block adds; in the reference inside it"},
    "variant": {
        "default": "house",
        "choices": ["house", "reference"],
        "searched": False,
        "help": "the block of this house, or the one that was published (with scale=2, --nilm-features power)",
    },
}


class Attention(nn.Module):
    """`x [B, T, d] -> [B, T, d]`: multi-head attention over all T; the map that follows is the block's `fuse`."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = self.qkv(x).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)  # each [B, heads, T, width]
        return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)


class Block(nn.Module):
    """`x [B, T, d] -> [B, T, d]`."""

    def __init__(self, dim: int, heads: int, scale: int, widen: int, dropout: float) -> None:
        super().__init__()
        self.scale = scale
        self.norm = nn.LayerNorm(dim)
        self.fine, self.coarse = Attention(dim, heads), Attention(dim, heads)
        self.fuse = nn.Linear(2 * dim, dim)
        self.norm_fused = nn.LayerNorm(dim)
        self.widen, self.narrow = nn.Linear(dim, widen), nn.Linear(widen, dim)
        self.dropout = Dropout(dropout)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.norm(x)
        averages = F.avg_pool1d(h.transpose(1, 2), self.scale, ceil_mode=True).transpose(1, 2)
        coarse = self.coarse(averages).repeat_interleave(self.scale, dim=1)[:, : h.shape[1]]
        x = x + self.dropout(self.fuse(torch.cat([self.fine(h), coarse], dim=2)))
        return x + self.dropout(self.narrow(F.gelu(self.widen(self.norm_fused(x)))))


class ReferenceAttention(Attention):
    """The same with dropout on the attention weights, and a map of what the heads found."""

    def __init__(self, dim: int, heads: int, dropout: float) -> None:
        super().__init__(dim, heads)
        self.project, self.dropout = nn.Linear(dim, dim), nn.Dropout(dropout)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = self.qkv(x).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)  # each [B, heads, T, width]
        weights = self.dropout(torch.softmax(q @ k.transpose(2, 3) / q.shape[-1] ** 0.5, dim=3))
        return self.dropout(self.project((weights @ v).transpose(1, 2).flatten(2)))


class ReferenceBlock(nn.Module):
    """`x [B, T, d] -> [B, T, d]` as it was published.

    Each resolution is normalised by itself. The coarse one averages whole groups of `scale` steps alone: the steps of a
    rest at the end get the value of the last group, and a window that is shorter than a group gets zeros.
    """

    def __init__(self, dim: int, heads: int, scale: int, widen: int, dropout: float) -> None:
        super().__init__()
        self.scale = scale
        self.norm_fine, self.norm_coarse, self.norm_fused = (nn.LayerNorm(dim) for _ in range(3))
        self.fine, self.coarse = (ReferenceAttention(dim, heads, dropout) for _ in range(2))
        self.fuse = nn.Linear(2 * dim, dim)
        self.widen, self.narrow = nn.Linear(dim, widen), nn.Linear(widen, dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        fused = self.fuse(torch.cat([self.fine(self.norm_fine(x)), self._coarse(self.norm_coarse(x))], dim=2))
        x = x + fused
        hidden = self.dropout(F.gelu(self.widen(self.norm_fused(x))))
        return x + self.dropout(self.narrow(hidden))

    def _coarse(self, h: torch.Tensor) -> torch.Tensor:
        """Attention over averages, repeated for the steps that they stand for: [B, T, d] -> the same."""
        steps = h.shape[1]
        if steps < self.scale:
            return torch.zeros_like(h)
        averages = F.avg_pool1d(h.transpose(1, 2), self.scale).transpose(1, 2)
        found = self.coarse(averages).repeat_interleave(self.scale, dim=1)
        rest = steps - found.shape[1]
        return torch.cat([found, found[:, -1:].expand(-1, rest, -1)], dim=1) if rest else found


BLOCKS: dict[str, type[nn.Module]] = {"house": Block, "reference": ReferenceBlock}


@register
class Multiscale(Backbone):
    """Tokens that have attended both ways in time; their mean is the window's summary."""

    stride = 1
    pool = "mean"
    causal = False
    position: torch.Tensor

    def __init__(self, inputs: InputSpec, hyper: Hyper) -> None:
        super().__init__(inputs, hyper)
        self.dim = dim = hyper.d_model
        check_heads(dim, hyper.heads)
        self.embed = nn.Linear(inputs.channels, dim)
        self.register_buffer("position", position_table(inputs.length, dim), persistent=False)
        sizes = (dim, hyper.heads, hyper.scale, max(round(hyper.mlp_ratio * dim), 1), hyper.dropout)
        blocks = (BLOCKS[hyper.variant](*sizes) for _ in range(hyper.depth))
        self.blocks = nn.Sequential(*blocks)
        self.norm = nn.LayerNorm(dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.embed(x.transpose(1, 2)).to(x.dtype) + self.position
        return self.norm(self.blocks(h))
