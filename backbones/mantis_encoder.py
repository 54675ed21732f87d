"""The encoder of Mantis (Feofanov et al. 2025, arXiv 2502.15637, section 3): a series as one vector.

`x [B, C, T] -> [B, C, d]`, each channel by itself. A window of any length is resized to the model's by linear
interpolation, and stands in patches. A patch's token has the mean over its steps of two convolutions, of the
standardised window and of its differences, and the mean and the spread of its raw values, as vectors (`Scalar`). A
class token before them goes through the transformer with them and comes out as the vector.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

SCALES = tuple(10.0**power for power in range(-4, 5))  # published: 1e-4 to 1e4
AT_ONCE = 32  # series that go through the convolutions at once: they stay in the processor's cache
SETTINGS: dict[str, Any] = {  # as in a published config.json, with what a file means that leaves one out
    "seq_len": 512, "hidden_dim": 256, "num_patches": 32, "scalar_scales": None, "hidden_dim_scalar_enc": 32,
    "epsilon_scalar_enc": 1.1, "transf_depth": 6, "transf_num_heads": 8, "transf_mlp_dim": 512, "transf_dim_head": 128,
    "transf_dropout": 0.1,
}  # fmt: skip

# From the published key names to the ones here, in this order.
RENAMES = (
    (r"^(vit|transf)_unit\.", ""),  # the first release called it a ViT
    (r"^transformer\.layers\.(\d+)\.0\.fn\.", r"blocks.\1.attention."),
    (r"^transformer\.layers\.(\d+)\.0\.norm\.", r"blocks.\1.norm_attention."),
    (r"^transformer\.layers\.(\d+)\.1\.fn\.net\.", r"blocks.\1.mlp."),
    (r"^transformer\.layers\.(\d+)\.1\.norm\.", r"blocks.\1.norm_mlp."),
    (r"\.to_qkv\.", ".qkv."),
    (r"\.to_out\.0\.", ".out."),
    (r"^pos_encoder\.pe$", "places"),
    (r"^cls_token$", "token"),
    (r"^tokgen_unit\.convs\.(\d)\.conv\.", r"convolutions.\1."),
    (r"^tokgen_unit\.layer_norms\.", "norms."),
    (r"^tokgen_unit\.scalar_encoders\.(\d)\.encoders\.(\d+)\.layer_norm\.", r"scalars.\1.each.\2.norm."),
    (r"^tokgen_unit\.scalar_encoders\.(\d)\.encoders\.", r"scalars.\1.each."),
    (r"^tokgen_unit\.scalar_encoders\.", "scalars."),
    (r"^tokgen_unit\.linear_encoder\.linear\.", "join."),
    (r"^tokgen_unit\.linear_encoder\.layer_norm\.", "norm."),
)


def renamed(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors of a published file by the names here, without the projector that its training alone used."""
    found = {}
    for key, value in weights.items():
        name = key
        for pattern, ours in RENAMES:
            name = re.sub(pattern, ours, name)
        if not key.startswith("prj."):
            found[name] = value.flatten(1) if name == "places" else value
    return found


class ScaledMap(nn.Module):
    """`v [..., 1] -> [..., size]`: a linear map of a number, whose offset is as large as the scale, normalised."""

    def __init__(self, scale: float, size: int) -> None:
        super().__init__()
        self.scale = scale
        self.w = nn.Parameter(torch.rand(1, size))
        self.b = nn.Parameter(torch.rand(1, size))
        self.norm = nn.LayerNorm(size, eps=1e-15)

    def forward(self, v: torch.Tensor) -> torch.Tensor:
        return self.norm(v * self.w + self.scale * self.b)


class Scalar(nn.Module):
    """Numbers of any size as vectors, `v [N, P] -> [N, P, size]` (NuTime, Lin et al. 2023, arXiv 2310.07402).

    A map for each scale; the nearer |v| is to a scale, the more its map counts: by `1 / |log(|v| / scale + epsilon)|`.
    """

    scales: torch.Tensor

    def __init__(self, scales: Sequence[float], size: int, epsilon: float) -> None:
        super().__init__()
        self.epsilon = epsilon
        self.register_buffer("scales", torch.tensor(scales))
        self.each = nn.ModuleList(ScaledMap(scale, size) for scale in scales)

    def forward(self, v: torch.Tensor) -> torch.Tensor:
        v = v[..., None]
        near = (v.abs() * (1 / self.scales) + self.epsilon).log().reciprocal().abs()
        share = near / near.sum(dim=-1, keepdim=True)
        said = torch.stack([one(v) for one in self.each], dim=-2)  # [N, P, scales, size]
        return (said * share[..., None]).sum(dim=-2)


class Attention(nn.Module):
    """Self-attention over all tokens `[N, P, d]`."""

    def __init__(self, dim: int, heads: int, head_dim: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.qkv = nn.Linear(dim, 3 * heads * head_dim, bias=False)
        # Published: one head of the model's own width needs no map back.
        self.out = nn.Identity() if heads == 1 and head_dim == dim else nn.Linear(heads * head_dim, dim)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = self.qkv(x).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)  # each [N, heads, P, head_dim]
        mixed = F.scaled_dot_product_attention(q, k, v, dropout_p=self.dropout if self.training else 0.0)
        return self.drop(self.out(mixed.transpose(1, 2).flatten(2)))


class Block(nn.Module):
    """A pre-norm transformer block."""

    def __init__(self, dim: int, heads: int, head_dim: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.norm_attention, self.norm_mlp = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.attention = Attention(dim, heads, head_dim, dropout)
        self.mlp = nn.Sequential(
            nn.Linear(dim, hidden), nn.GELU(), nn.Dropout(dropout), nn.Linear(hidden, dim), nn.Dropout(dropout)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attention(self.norm_attention(x))
        return x + self.mlp(self.norm_mlp(x))


class MantisEncoder(nn.Module):
    """The published network for one channel, shared by all.

    Parameters
    ----------
    settings : values for SETTINGS.
    """

    places: torch.Tensor

    def __init__(self, settings: Mapping[str, Any]) -> None:
        super().__init__()
        given = SETTINGS | dict(settings)
        self.length, self.patches, self.dim = given["seq_len"], given["num_patches"], given["hidden_dim"]
        if self.length % self.patches:
            raise ValueError(f"{self.length} steps are not {self.patches} patches")
        dim, size, dropout = self.dim, given["hidden_dim_scalar_enc"], given["transf_dropout"]
        width = self.length // self.patches
        width += width % 2 == 0  # a kernel of an odd width has a middle
        self.convolutions = nn.ModuleList(nn.Conv1d(1, dim, width, padding=width // 2) for _ in range(2))
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(2))
        scales = given["scalar_scales"] or SCALES
        self.scalars = nn.ModuleList(Scalar(scales, size, given["epsilon_scalar_enc"]) for _ in range(2))
        self.join = nn.Linear(2 * size + 2 * dim, dim)
        self.norm = nn.LayerNorm(dim, eps=1e-15)
        self.token = nn.Parameter(torch.randn(dim))
        self.register_buffer("places", _sinusoids(self.patches + 1, dim))
        self.drop = nn.Dropout(dropout)
        sizes = given["transf_num_heads"], given["transf_dim_head"], given["transf_mlp_dim"]
        self.blocks = nn.ModuleList(Block(dim, *sizes, dropout) for _ in range(given["transf_depth"]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rows = x.flatten(0, 1)[:, None]
        if torch.compiler.is_compiling():  # or exporting, where the number of windows is not known
            return self._vectors(rows).unflatten(0, x.shape[:2])
        parts = [self._vectors(part) for part in rows.split(AT_ONCE)]
        return torch.cat(parts).unflatten(0, x.shape[:2])

    def _vectors(self, rows: torch.Tensor) -> torch.Tensor:
        """The class token [N, d] that comes out for series [N, 1, T]."""
        tokens = self._tokens(F.interpolate(rows, size=self.length, mode="linear", align_corners=False))
        first = F.pad(self.token[None], (0, 0, 0, self.patches))  # the class token in its place, which is empty
        h = self.drop(F.pad(tokens, (0, 0, 1, 0)) + first + self.places)
        for block in self.blocks:
            h = block(h)
        return h[:, 0]

    def _tokens(self, x: torch.Tensor) -> torch.Tensor:
        """The tokens [N, P, d] of resized series [N, 1, L]."""
        steps = F.pad(x.diff(dim=2), (0, 1))  # the last difference is 0
        parts = []
        for signal, convolution, norm in zip((steps, x), self.convolutions, self.norms, strict=True):
            found = norm(convolution(_standard(signal)).transpose(1, 2))
            parts.append(found.unflatten(1, (self.patches, -1)).mean(2))
        cut = x[:, 0].unflatten(1, (self.patches, -1))
        parts += [scalar(v) for scalar, v in zip(self.scalars, (cut.mean(2), cut.std(2)), strict=True)]
        return self.norm(self.join(torch.cat(parts, dim=2)))


def _standard(x: torch.Tensor) -> torch.Tensor:
    """Series [N, 1, L] of mean 0 and deviation 1; what is constant is 0, for which rounding is taken off once more."""
    centred = x - x.mean(2, keepdim=True)
    centred = centred - centred.mean(2, keepdim=True)
    return centred / (x.std(2, keepdim=True) + 1e-5)


def _sinusoids(count: int, dim: int) -> torch.Tensor:
    """`[count, dim]`: sines and cosines of the place times frequencies, side by side."""
    angle = torch.arange(count)[:, None] * torch.exp(torch.arange(0, dim, 2) * (-math.log(10000.0) / dim))
    return torch.stack([angle.sin(), angle.cos()], dim=2).flatten(1)
