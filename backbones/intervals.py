"""The features of QUANT (Dempster, Schmidt and Webb 2024, arXiv 2308.00928): quantiles of intervals, sorted once each.

`x [B, C, T] -> [B, F]`. Four representations: x; its first difference, averaged over 5; its second difference; the
magnitudes of its Fourier transform. Each, of length n, is cut into 1, 2, 4, ... intervals, up to 32, and into the same
shifted by half an interval. An interval of m values gives 1 + (m - 1) // 4 quantiles, every second one less the mean
of the interval.
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import torch
from torch import nn
from torch.nn import functional

DEPTH = 6  # how often a representation is halved, at most
EACH = 4  # values of an interval for each of its quantiles
SMOOTH = 5  # steps that the first difference is averaged over


class IntervalQuantiles(nn.Module):
    """The features of windows of one size; nothing is learned."""

    def __init__(self, channels: int, length: int) -> None:
        super().__init__()
        self.cuts = cuts_of(length)
        self.size = size_of(channels, length)
        self._gather_by_width()
        turn = torch.arange(length // 2 + 1)[:, None] * torch.arange(length) % length  # exact, however long the window
        angle = turn.double() * (2 * math.pi / length)
        self.register_buffer("wave", torch.stack([angle.cos(), angle.sin()]), persistent=False)

    def _gather_by_width(self) -> None:
        """Intervals of one width are taken at once: an exported graph of each by itself has ten thousand nodes."""
        self.widths: list[tuple[int, int]] = []
        order: list[int] = []
        for which, one in enumerate(self.cuts):
            firsts = [sum(count_of(end - begin) for begin, end in one[:at]) for at in range(len(one))]
            past = len(order)
            for m in sorted({end - begin for begin, end in one}):
                chosen = [at for at, (begin, end) in enumerate(one) if end - begin == m]
                steps = [step for at in chosen for step in range(*one[at])]
                self.register_buffer(f"steps_{which}_{m}", torch.tensor(steps), persistent=False)
                self.widths.append((which, m))
                order += [past + firsts[at] + k for at in chosen for k in range(count_of(m))]
        self.register_buffer("order", torch.tensor(order, dtype=torch.long).argsort(), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        parts, found = self._representations(x), []
        for which, m in self.widths:
            taken = parts[which].index_select(2, self.get_buffer(f"steps_{which}_{m}"))
            found.append(quantiles(taken.unflatten(2, (-1, m))).flatten(2))
        return torch.cat(found, dim=2).index_select(2, self.get_buffer("order")).flatten(1)

    def _representations(self, x: torch.Tensor) -> list[torch.Tensor]:
        """The four of them; a difference of too short a window is empty."""
        first = x[:, :, 1:] - x[:, :, :-1]
        second = first[:, :, 1:] - first[:, :, :-1]
        if first.shape[2]:
            ends = (SMOOTH - 1) // 2
            padded = functional.pad(first, (ends, ends), mode="replicate")
            first = sum((padded[:, :, k : k + first.shape[2]] for k in range(SMOOTH)), torch.zeros_like(first)) / SMOOTH
        assert isinstance(self.wave, torch.Tensor)
        # In float64, which autocast leaves alone; a graph has no Fourier transform that every runtime knows.
        parts = torch.matmul(x.double().flatten(0, 1), self.wave.transpose(1, 2))  # [2, B * C, n]
        spectrum = parts.square().sum(0).sqrt().unflatten(0, x.shape[:2])
        return [x, first, second, spectrum.to(x.dtype)]


def size_of(channels: int, length: int) -> int:
    """F, the number of features of windows of one size."""
    return channels * sum(count_of(end - begin) for one in cuts_of(length) for begin, end in one)


def cuts_of(length: int) -> list[list[tuple[int, int]]]:
    """The intervals of the four representations of a window."""
    return [cuts(n) if n > 0 else [] for n in (length, length - 1, length - 2, length // 2 + 1)]


def cuts(n: int) -> list[tuple[int, int]]:
    """The intervals [begin, end) of a representation of n values, those of each halving with their shifted ones."""
    found = []
    for halving in range(min(DEPTH, int(math.log2(n)) + 1)):
        edges = np.linspace(0, n, 2**halving + 1).astype(int).tolist()
        plain = list(pairwise(edges))
        found += plain
        if halving and np.median(np.diff(edges)) > 1:
            shift = math.ceil(n / 2**halving / 2)
            found += [(begin + shift, end + shift) for begin, end in plain[:-1]]
    return found


def count_of(m: int) -> int:
    """The quantiles of an interval of m values."""
    return 1 + (m - 1) // EACH


def quantiles(x: torch.Tensor) -> torch.Tensor:
    """The quantiles [..., k] of intervals [..., m], k = 1 + (m - 1) // 4."""
    m = x.shape[-1]
    if m == 1:
        return x
    count = count_of(m)
    ordered = x.sort(dim=-1).values
    place = np.array([0.5]) if count == 1 else np.linspace(0, 1, count)
    place = place * (m - 1)
    low = np.floor(place).astype(np.int64)
    share = torch.as_tensor(place - low, dtype=x.dtype, device=x.device)
    below, above = (torch.as_tensor(at, device=x.device) for at in (low, np.minimum(low + 1, m - 1)))
    found = ordered.index_select(-1, below) * (1 - share) + ordered.index_select(-1, above) * share
    if count == 1:
        return found
    less = torch.as_tensor(np.arange(count) % 2, dtype=x.dtype, device=x.device)
    return found - less * x.mean(dim=-1, keepdim=True)
