"""Watts as a choice among levels: a device draws few different powers, and a net that names one does not hedge.

A regression with absolute error says something between two phases of a device where it is not sure which one runs. Here
a net gives each of a device's levels a share instead; in training its power is their mean, and what counts as said is
the median level.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch.nn import functional as F

LEVELS = 12  # of each device
ROUNDS = 30  # of k-medians
APART = 1e-4  # between two levels, at least: no two are one
CHOICE = 0.1  # weight of the cross-entropy of the right level, while a device is on


def learned_levels(drawn: np.ndarray, count: int = LEVELS) -> list[float]:
    """The levels of a device, rising: one-dimensional k-medians of what it draws while it is on.

    The start is half way between the middles of equally full parts and an even grid from 0 to the greatest.

    Parameters
    ----------
    drawn : [n], any unit; without a value the levels are even from 0 to 1.
    count : how many levels.
    """
    ordered = np.sort(drawn.astype(np.float64))
    if not len(ordered):
        return [i / (count - 1) for i in range(count)]
    middles = np.quantile(ordered, (np.arange(count) + 0.5) / count)
    levels = (middles + np.linspace(0, ordered[-1], count)) / 2
    for _ in range(ROUNDS):
        cuts = np.searchsorted(ordered, (levels[1:] + levels[:-1]) / 2)
        parts = np.split(ordered, cuts)
        levels = np.sort([np.median(part) if len(part) else old for part, old in zip(parts, levels, strict=True)])
    return [float(level) + APART * i for i, level in enumerate(levels)]


def split_outputs(outputs: torch.Tensor, devices: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Outputs [B, K + K M, L] as logits of states [B, K, L] and of levels [B, K, M, L]."""
    return outputs[:, :devices], outputs[:, devices:].unflatten(1, (devices, -1))


def mean_power(logits: torch.Tensor, levels: torch.Tensor) -> torch.Tensor:
    """The mean of levels [K, M] by the shares that logits [B, K, M, L] give them: [B, K, L]."""
    return (torch.softmax(logits, dim=2) * levels[:, :, None]).sum(dim=2)


def median_power(logits: torch.Tensor, levels: torch.Tensor) -> torch.Tensor:
    """The median of levels [K, M] by the shares that logits [B, K, M, L] give them: [B, K, L]."""
    below = (torch.softmax(logits, dim=2).cumsum(dim=2) < 0.5).to(logits.dtype)
    steps = torch.diff(levels, dim=1)[:, :, None]  # from each level to the next
    return levels[:, :1] + (below[:, :, :-1] * steps).sum(dim=2)


def level_loss(logits: torch.Tensor, levels: torch.Tensor, watts: torch.Tensor, on: torch.Tensor) -> torch.Tensor:
    """The cross-entropy of the levels of true watts, over the steps at which a device is on; the mean of the devices.

    The truth between two levels is shared by them, more for the nearer one.

    Parameters
    ----------
    logits : [B, K, M, L].
    levels : [K, M], rising.
    watts, on : the truth, [B, K, L], in the unit of the levels, and 0 or 1.
    """
    within = torch.maximum(torch.minimum(watts, levels[:, -1:]), levels[:, :1])
    above = torch.searchsorted(levels, within.transpose(0, 1).flatten(1).contiguous()).clamp(1, levels.shape[1] - 1)
    high, low = (levels.gather(1, place).unflatten(1, (len(watts), -1)).transpose(0, 1) for place in (above, above - 1))
    share = (within - low) / (high - low)
    upper = above.unflatten(1, (len(watts), -1)).transpose(0, 1)[:, :, None]
    log_share = F.log_softmax(logits, dim=2)
    missed = -(share * log_share.gather(2, upper)[:, :, 0] + (1 - share) * log_share.gather(2, upper - 1)[:, :, 0])
    of_device: torch.Tensor = (missed * on).sum(dim=(0, 2)) / on.sum(dim=(0, 2)).clamp(min=1)
    return of_device.mean()


def as_tensor(levels: Sequence[Sequence[float]], like: torch.Tensor) -> torch.Tensor:
    """Levels [K, M] of the type, and on the device, of outputs."""
    return torch.tensor(levels, dtype=like.dtype, device=like.device)
