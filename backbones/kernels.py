"""Features from random convolutions: Hydra (Dempster, Schmidt and Webb 2023, arXiv 2203.13652) and MiniRocket (the same
authors 2021, arXiv 2012.08791).

`x [B, C, T] -> [B, F]`. All kernels have length 9, are dilated, and are padded with zeros so that T values come out.

Published, both count steps at which something is greater: a jump, which rounding elsewhere (an exported graph, another
machine) would decide differently. Here what is within BAND of a tie counts in part, so that features are continuous.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from itertools import combinations

import numpy as np
import torch
from torch.nn import functional

from backbones.fitting import Labelled
from backbones.trees import Resized

WIDTH = 9
GROUPS, PER_GROUP = 64, 8  # of Hydra; half of the groups see the first differences
KERNELS, MOST_DILATIONS = 84, 32  # of MiniRocket
BAND = 1e-3  # of a convolution's value, x being standardised
NONE = 1e-2  # a sum of Hydra's below which a feature counts as absent, more and more so towards 0
GOLDEN = (math.sqrt(5) + 1) / 2
AT_ONCE = 1 << 20  # values of convolutions that are made at once: they stay in the processor's cache
TOGETHER = 32  # biases that one node of an exported graph takes


class Kernels(Resized):
    """A bank of kernels; `fit` learns what depends on training."""

    heaviest: int  # values made for one window at once
    sparse: bool = False  # a feature of 0 says nothing

    @abstractmethod
    def fit(self, train: Labelled, generator: np.random.Generator, features: int) -> None:
        """Draw kernels, and learn from training; `features` is how many are wanted where a bank can choose."""

    @abstractmethod
    def transform(self, x: torch.Tensor) -> torch.Tensor:
        """Features [B, F] of a batch."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if torch.compiler.is_compiling():
            return self.transform(x)
        parts = [self.transform(part) for part in x.split(max(AT_ONCE // self.heaviest, 1))]
        return parts[0] if len(parts) == 1 else torch.cat(parts)


def difference(x: torch.Tensor) -> torch.Tensor:
    """First differences [B, C, T - 1]; of a single step, a zero."""
    return x[:, :, 1:] - x[:, :, :-1] if x.shape[2] > 1 else torch.zeros_like(x)


def convolve(x: torch.Tensor, kernels: torch.Tensor, dilation: int) -> torch.Tensor:
    """x [B, C, T] under kernels [N, C, 9]: [B, N, T]."""
    return functional.conv1d(x, kernels, padding=dilation * (WIDTH // 2), dilation=dilation)


def channel_masks(count: int, channels: int, least: int, generator: np.random.Generator) -> np.ndarray:
    """Which channels each of `count` kernels or groups sums: 0 or 1, [count, channels]."""
    masks = np.zeros((count, channels), np.float32)
    for mask in masks:
        mask[generator.choice(channels, min(least, channels), replace=False)] = 1
    return masks


class Hydra(Kernels):
    """Of the 8 kernels of a group, at each step one fits best and one worst: how well the one, how often the other.

    Each kernel has two features in each dilation: the sum of its values where it is the greatest of its group, and the
    number of steps where it is the least. They are clamped at 0, and their root is taken.
    """

    sparse = True

    def __init__(self, channels: int, length: int) -> None:
        super().__init__()
        self.channels = channels
        self.dilations = [2**e for e in range(max(int(math.log2(max(length - 1, 1) / (WIDTH - 1))), 0) + 1)]
        self.each = GROUPS // 2
        self.heaviest = self.each * PER_GROUP * length * 4
        self.size = len(self.dilations) * 2 * 2 * self.each * PER_GROUP
        shape = (len(self.dilations) * 2, self.each * PER_GROUP, channels, WIDTH)
        self.register_buffer("weight", torch.zeros(shape))

    def fit(self, train: Labelled, generator: np.random.Generator, features: int) -> None:
        assert isinstance(self.weight, torch.Tensor)
        banks = len(self.weight)
        plain = generator.normal(size=(banks, self.each, PER_GROUP, 1, WIDTH))
        plain -= plain.mean(axis=-1, keepdims=True)
        plain /= np.abs(plain).sum(axis=-1, keepdims=True)
        least = int(np.clip(self.channels // 2, 2, 8))
        masks = channel_masks(banks * self.each, self.channels, least, generator)
        masks = masks.reshape(banks, self.each, 1, self.channels, 1)
        self.weight.copy_(torch.from_numpy((plain * masks).reshape(self.weight.shape)))

    def transform(self, x: torch.Tensor) -> torch.Tensor:
        assert isinstance(self.weight, torch.Tensor)
        found = []
        sources = (x, difference(x))
        for bank, kernels in enumerate(self.weight):
            out = convolve(sources[bank % 2], kernels, self.dilations[bank // 2])
            out = out.unflatten(1, (self.each, PER_GROUP))
            best, worst = _near(out - out.amax(2, keepdim=True)), _near(out.amin(2, keepdim=True) - out)
            found += [best.mul_(out).sum(3).flatten(1), worst.sum(3).flatten(1)]
        return torch.cat(found, dim=1).clamp_min(0).sqrt()


def _near(lead: torch.Tensor) -> torch.Tensor:
    """The share of each of 8 kernels in being first, from their distances to the first, at most 0 [B, groups, 8, T]."""
    share = lead.mul_(1 / BAND).add_(1).clamp_min_(0)
    return share.div_(share.sum(2, keepdim=True))


class MiniRocket(Kernels):
    """84 kernels, of weight 2 at three of nine places and -1 elsewhere: the share of steps above each of many biases.

    The biases are quantiles of the convolutions of training windows. Of every other kernel those steps alone count that
    no padding reaches.
    """

    masks: torch.Tensor

    def __init__(self, channels: int, length: int) -> None:
        super().__init__()
        self.channels = channels
        top = math.log2(max((length - 1) / (WIDTH - 1), 1))
        grid = np.logspace(0, top, MOST_DILATIONS, base=2).astype(int)
        dilations, counts = np.unique(grid, return_counts=True)
        self.dilations, self.share = dilations.tolist(), (counts / MOST_DILATIONS).tolist()
        self.heaviest = KERNELS * length * 4
        patterns = torch.full((KERNELS, 1, WIDTH), -1.0)
        for row, places in zip(patterns, combinations(range(WIDTH), 3), strict=True):
            row[0, list(places)] = 2
        self.register_buffer("patterns", patterns, persistent=False)
        self.register_buffer("masks", torch.ones(len(self.dilations), KERNELS, channels))
        for d in range(len(self.dilations)):
            self.register_buffer(f"bias_{d}", torch.zeros(KERNELS, 1))

    @property
    def size(self) -> int:
        """F; known once fitted."""
        return sum(self.bias(d).numel() for d in range(len(self.dilations)))

    def bias(self, dilation: int) -> torch.Tensor:
        """The biases [84, n] of the dilation with this number."""
        return self.get_buffer(f"bias_{dilation}")

    def fit(self, train: Labelled, generator: np.random.Generator, features: int) -> None:
        each = max(features // KERNELS, 1)
        sizes = generator.integers(1, min(self.channels, WIDTH) + 1, self.masks.shape[0] * KERNELS)
        masks = [channel_masks(1, self.channels, int(size), generator)[0] for size in sizes]
        self.masks.copy_(torch.from_numpy(np.array(masks)).view_as(self.masks))
        turn = 0
        for d in range(len(self.dilations)):
            count = max(round(each * self.share[d]), 1)
            chosen = torch.from_numpy(generator.integers(0, len(train), KERNELS))
            kernel = torch.arange(KERNELS)
            out = self.convolved(train.read(chosen), d)[kernel, kernel].cpu().double().numpy()  # one window a kernel
            levels = (np.arange(turn + 1, turn + KERNELS * count + 1) * GOLDEN % 1).reshape(KERNELS, count)
            turn += KERNELS * count
            edges = [self.edge(out.shape[1], k, d) for k in range(KERNELS)]
            bias = [np.quantile(out[k, edge : out.shape[1] - edge], levels[k]) for k, edge in enumerate(edges)]
            self.resize(f"bias_{d}", torch.from_numpy(np.array(bias)))

    def convolved(self, x: torch.Tensor, dilation: int) -> torch.Tensor:
        """The convolutions [B, 84, T] of the dilation with this number."""
        assert isinstance(self.patterns, torch.Tensor)
        return convolve(x, self.patterns * self.masks[dilation][:, :, None], self.dilations[dilation])

    def edge(self, length: int, kernel: int, dilation: int) -> int:
        """Steps at either end that do not count."""
        edge = self.dilations[dilation] * (WIDTH // 2)
        return edge if (kernel + dilation) % 2 and length > 2 * edge else 0

    def transform(self, x: torch.Tensor) -> torch.Tensor:
        found = []
        for d in range(len(self.dilations)):
            out = self.convolved(x, d)
            for first in (0, 1):
                edge = self.edge(out.shape[2], first, d)
                part = out[:, first::2, edge : out.shape[2] - edge] / BAND + 0.5
                levels = self.bias(d)[first::2].t() / BAND
                # One bias at a time: all at once would be many times the convolutions. But each is nodes of a graph.
                some = levels.split(TOGETHER if torch.compiler.is_compiling() else 1)
                found += [(part[:, None] - each[:, :, None]).clamp(0, 1).mean(3).flatten(1) for each in some]
        return torch.cat(found, dim=1)
