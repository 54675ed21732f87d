"""Layers that more than one backbone uses. Shapes: B windows, C channels, T steps, P patches, d features."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from errors import UsageError

# Added to the variance of a window, so that a constant one is divided by 0.003 and not by zero.
VARIANCE_FLOOR = 1e-5
# Where a patch length is not given, patches grow until a window is at most this many tokens.
MAX_TOKENS = 64
POSITION_BASE = 10000.0


def standardise(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """`x [B, C, T]` -> (x - mean) / scale by window and channel, `mean [B, C, 1]`, `scale [B, C, 1]`."""
    variance, mean = torch.var_mean(x, dim=2, correction=0, keepdim=True)
    scale = (variance + VARIANCE_FLOOR).sqrt()
    return (x - mean) / scale, mean, scale


def level_of(mean: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """What `standardise` removed, as features `[B, 2C]`: the means and the logarithms of the scales."""
    return torch.cat([mean, scale.log()], dim=1).squeeze(2)


def left_pad(x: torch.Tensor, length: int) -> torch.Tensor:
    """`x [B, C, T]` behind as many zeros as make it `length` steps; windows end at their newest step."""
    return F.pad(x, (length - x.shape[2], 0))


def patch_count(length: int, patch: int) -> int:
    """The patches that cover `length` steps."""
    return -(-length // patch)


def choose_patch(length: int, most: int) -> int:
    """The smallest of 4, 8, 16, ... that covers `length` steps by at most `most` patches."""
    patch = 4
    while patch_count(length, patch) > most:
        patch *= 2
    return patch


def fit_tokens(z: torch.Tensor, count: int) -> torch.Tensor:
    """`z [B, P, d]` -> `[B, count, d]`: the newest `count`; where a model has fewer, its oldest token repeated."""
    missing = count - z.shape[1]
    if missing > 0:
        z = torch.cat([z[:, :1].expand(-1, missing, -1), z], dim=1)
    return z[:, -count:]


def join_channels(h: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
    """Per-channel features `h [B, C, P, d]` and `level [B, 2C]` -> `z [B, P, C * d + 2C]`.

    The channels are side by side: the head is linear and weighs them itself, and none is averaged away. The
    level of the window is added to every token, since a model of standardised windows does not see it.
    """
    joined = h.transpose(1, 2).flatten(2)
    return torch.cat([joined, level.unsqueeze(1).expand(-1, h.shape[2], -1)], dim=2)


def repeat_last(x: torch.Tensor, multiple: int) -> torch.Tensor:
    """`x [B, C, T]` -> `[B, C, T']` with T' the next multiple, two of them at least; the last value fills it.

    Two, because batch norm cannot train on a single value, which is what one window might leave.
    """
    length = x.shape[2]
    missing = max(2, -(-length // multiple)) * multiple - length
    return torch.cat([x, x[:, :, -1:].expand(-1, -1, missing)], dim=2) if missing else x


def position_table(length: int, dim: int) -> torch.Tensor:
    """`[length, dim]`: sines in the even columns, cosines in the odd ones (Vaswani et al. 2017, section 3.5)."""
    frequency = POSITION_BASE ** (-torch.arange(0, dim, 2, dtype=torch.float64) / dim)
    angle = torch.outer(torch.arange(length, dtype=torch.float64), frequency)
    table = torch.empty(length, dim)
    table[:, 0::2], table[:, 1::2] = angle.sin(), angle.cos()[:, : dim // 2]
    return table


def check_odd(kernel: int) -> None:
    """UsageError for an even kernel, which has no middle step."""
    if kernel % 2 == 0:
        raise UsageError(f"kernel {kernel} has no middle step", where="--model-args", hint=f"take {kernel + 1}")


class PatchTokens(nn.Module):
    """`x [B, C, T]` -> `[B, 1 + P, d]`: a token of the window's level, then one for each patch of all channels."""

    def __init__(self, channels: int, length: int, patch: int, dim: int) -> None:
        super().__init__()
        self.patch = patch
        self.count = patch_count(length, patch)
        self.embed = nn.Linear(channels * patch, dim)
        self.embed_level = nn.Linear(2 * channels, dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        standard, mean, scale = standardise(x)
        patches = left_pad(standard, self.count * self.patch).unflatten(2, (self.count, self.patch))
        tokens = self.embed(patches.transpose(1, 2).flatten(2))
        # Under autocast the maps give bfloat16; the residual stream that starts here keeps the input's precision.
        return torch.cat([self.embed_level(level_of(mean, scale)).unsqueeze(1), tokens], dim=1).to(x.dtype)
