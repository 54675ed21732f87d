"""Hydra's and MiniRocket's features against plain loops over kernels, steps and biases."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
import torch

from backbones.fitting import Labelled
from backbones.kernels import BAND, GOLDEN, Hydra, MiniRocket


def over(x: np.ndarray) -> Labelled:
    held = torch.from_numpy(x)
    return Labelled(lambda numbers: held[numbers], torch.zeros(len(x), 1), np.arange(len(x)))


def walks(n: int, channels: int, length: int) -> np.ndarray:
    x = np.random.default_rng(1).normal(size=(n, channels, length)).cumsum(axis=2)
    return x.astype(np.float32)


def convolved(series: np.ndarray, kernel: np.ndarray, dilation: int) -> np.ndarray:
    """[C, T] under [C, 9], zeros beyond the ends: [T]."""
    out, steps = np.zeros(series.shape[1]), np.arange(series.shape[1])
    for k in range(9):
        at = steps + (k - 4) * dilation
        there = (at >= 0) & (at < len(out))
        out[there] += kernel[:, k] @ series[:, at[there]]
    return out


@pytest.mark.parametrize(("channels", "length"), [(1, 20), (3, 40)])
def test_hydra(channels, length):
    """But for ties within BAND, which random data hardly have: the published argmax and argmin."""
    x = walks(3, channels, length)
    bank = Hydra(channels, length)
    bank.fit(over(x), np.random.default_rng(0), 0)
    found = bank(torch.from_numpy(x)).numpy()
    assert found.shape == (3, bank.size)
    assert bank.dilations == [2**e for e in range(math.floor(math.log2((length - 1) / 8)) + 1)]
    weight = bank.weight.numpy().reshape(-1, 32, 8, channels, 9)
    assert np.abs(weight.sum(axis=-1)).max() < 1e-6
    off = []
    for i, series in enumerate(x.astype(np.float64)):
        wanted = []
        for b, groups in enumerate(weight):
            source = np.diff(series, axis=1) if b % 2 else series
            best, worst = np.zeros((32, 8)), np.zeros((32, 8))
            for g, group in enumerate(groups):
                out = np.array([convolved(source, kernel, bank.dilations[b // 2]) for kernel in group])
                for t in range(out.shape[1]):
                    top = out[:, t].argmax()
                    best[g, top] += out[top, t]
                    worst[g, out[:, t].argmin()] += 1
            wanted += [best.ravel(), worst.ravel()]
        off.append(np.abs(found[i] - np.sqrt(np.maximum(np.concatenate(wanted), 0))))
    assert (np.array(off) > 1e-4).mean() < 0.03 and np.median(off) < 1e-5


@pytest.mark.parametrize(("channels", "length"), [(1, 30), (2, 9)])
def test_minirocket(channels, length):
    x = walks(4, channels, length)
    bank = MiniRocket(channels, length)
    bank.fit(over(x), np.random.default_rng(0), 84 * 6)
    found = bank(torch.from_numpy(x)).numpy()
    assert found.shape == (4, bank.size)
    kernels = [np.where(np.isin(np.arange(9), places), 2.0, -1.0) for places in combinations(range(9), 3)]
    draw = np.random.default_rng(0)
    draw.integers(1, min(channels, 9) + 1, len(bank.dilations) * 84)
    assert bank.dilations[0] == 1 and bank.dilations[-1] == max(int((length - 1) / 8), 1)
    wanted = {}
    for d, dilation in enumerate(bank.dilations):
        mask = bank.masks[d].numpy()
        for k, kernel in enumerate(kernels):
            weight = mask[k][:, None] * kernel
            for i, series in enumerate(x.astype(np.float64)):
                out = convolved(series, weight, dilation)
                edge = 4 * dilation if (k + d) % 2 and length > 8 * dilation else 0
                inside = out[edge : length - edge]
                for n, bias in enumerate(bank.bias(d)[k].numpy().astype(np.float64)):
                    wanted[d, k % 2, n, k, i] = np.clip((inside - bias) / BAND + 0.5, 0, 1).mean()
    rows = [[wanted[key] for key in sorted(wanted) if key[-1] == i] for i in range(4)]
    assert np.abs(found - np.array(rows)).max() < 2e-3
    assert np.abs(found - np.array(rows)).mean() < 1e-4


def test_biases_are_quantiles_of_trainings_convolutions():
    x = walks(1, 1, 50)  # one window, so that it is known which one was drawn
    bank = MiniRocket(1, 50)
    bank.fit(over(x), np.random.default_rng(0), 84 * 4)
    count = bank.bias(0).shape[1]
    levels = np.arange(1, 84 * count + 1) * GOLDEN % 1
    out = convolved(x[0].astype(np.float64), np.where(np.isin(np.arange(9), [0, 1, 2]), 2.0, -1.0)[None], 1)
    assert np.abs(bank.bias(0)[0].numpy() - np.quantile(out, levels[:count])).max() < 1e-5


def test_a_flat_stretch_and_a_single_step_are_finite():
    for length in (1, 5, 9):
        x = np.full((2, 2, length), 3.7, np.float32)
        for bank in (Hydra(2, length), MiniRocket(2, length)):
            bank.fit(over(x), np.random.default_rng(0), 840)
            assert bank(torch.from_numpy(x)).isfinite().all()
