"""QUANT's features against a plain loop over representations, intervals and quantiles."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from backbones.intervals import IntervalQuantiles, cuts


def representations(series: np.ndarray) -> list[np.ndarray]:
    """x, smoothed first difference, second difference, magnitudes of the Fourier transform."""
    first = np.diff(series)
    if len(first):
        padded = np.concatenate([[first[0]] * 2, first, [first[-1]] * 2])
        first = np.array([padded[i : i + 5].mean() for i in range(len(padded) - 4)])
    return [series, first, np.diff(series, 2), np.abs(np.fft.rfft(series))]


def plain(series: np.ndarray) -> list[float]:
    found: list[float] = []
    for part in representations(series):
        n = len(part)
        for j in range(min(6, math.floor(math.log2(n)) + 1) if n else 0):
            edges = np.floor(np.linspace(0, n, 2**j + 1)).astype(int)
            spans = [(edges[i], edges[i + 1]) for i in range(2**j)]
            if 2**j > 1 and np.median([b - a for a, b in spans]) > 1:
                by = math.ceil(n / 2**j / 2)
                spans += [(a + by, b + by) for a, b in spans[:-1]]
            for a, b in spans:
                values = part[a:b]
                m = len(values)
                k = 1 + (m - 1) // 4
                if m == 1:
                    found.append(values[0])
                elif k == 1:
                    found.append(np.median(values))
                else:
                    cut = np.quantile(values, np.linspace(0, 1, k))
                    found += [v - (values.mean() if i % 2 else 0) for i, v in enumerate(cut)]
    return found


@pytest.mark.parametrize("length", [1, 2, 3, 8, 31, 97, 260])
def test_against_a_plain_loop(length):
    x = np.random.default_rng(length).normal(size=(5, 2, length)).cumsum(axis=2)
    features = IntervalQuantiles(2, length)
    found = features(torch.from_numpy(x.astype(np.float32))).numpy()
    wanted = np.array([[value for channel in window for value in plain(channel)] for window in x])
    assert found.shape == wanted.shape == (5, features.size)
    assert np.abs(found - wanted).max() < 1e-5 * max(np.abs(wanted).max(), 1)


def test_intervals_stay_inside():
    for n in range(1, 300):
        assert all(0 <= begin < end <= n for begin, end in cuts(n))
