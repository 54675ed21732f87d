"""Window features against a plain loop."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch

from backbones.features import WindowFeatures, ageing
from backbones.fitting import Labelled


def plain(window: np.ndarray, minimum: np.ndarray) -> list[float]:
    """Flat, then summary by summary over the channels."""
    length = window.shape[1]
    columns = [list(channel) for channel in window]
    found = [value for channel in columns for value in channel]

    found += [channel[-1] for channel in columns]
    for span in sorted({min(w, length) for w in (3, 6, 12, 24, length)}):
        recent = [channel[-span:] for channel in columns]
        found += [np.mean(v) for v in recent] + [np.std(v) for v in recent]
        found += [min(v) for v in recent] + [max(v) for v in recent]
        found += [np.polyfit(np.arange(span), v, 1)[0] if span > 1 else 0.0 for v in recent]
        found += [v[-1] - np.mean(v) for v in recent]
    for alpha in (0.1, 0.3, 0.6):
        weights = [(1 - alpha) ** (length - 1 - t) for t in range(length)]
        found += [np.dot(weights, channel) / sum(weights) for channel in columns]
    ages = [
        [t for t in range(length) if v[length - 1 - t] > low + 1e-4] for v, low in zip(columns, minimum, strict=True)
    ]
    found += [len(age) / length for age in ages]
    found += [min(age, default=length) for age in ages]
    return found


def spiky(n: int, channels: int, length: int) -> np.ndarray:
    draw = np.random.default_rng(3)
    x = draw.gamma(1.0, size=(n, channels, length)) * (draw.random((n, channels, length)) < 0.3)
    return (x - 0.5).astype(np.float32)


def over(x: np.ndarray) -> Labelled:
    windows = torch.from_numpy(x)
    return Labelled(lambda n: windows[n], torch.zeros(len(x), 1), np.arange(len(x)))


@pytest.mark.parametrize("length", [1, 2, 7, 24, 31])
def test_against_a_plain_loop(length):
    x = spiky(20, 3, length)
    features = WindowFeatures(3, length)
    features.fit(over(x))
    minimum = x.min(axis=(0, 2))
    wanted = np.array([plain(window.astype(np.float64), minimum) for window in x])
    found = features(torch.from_numpy(x)).numpy()
    assert found.shape == wanted.shape == (20, features.size)
    assert np.abs(found - wanted).max() < 2e-6


@pytest.mark.parametrize("length", [5, 13, 31, 96])
def test_older_steps_as_means_of_ever_more(length):
    x, widths = spiky(20, 3, length), ageing(length)
    features = WindowFeatures(3, length, summaries=False, aged=True)
    edges = np.cumsum([0, *widths])
    wanted = [[row[c, b:e].mean() for c in range(3) for b, e in pairwise(edges)] for row in x]
    found = features(torch.from_numpy(x)).numpy()
    assert found.shape == (20, features.size) == (20, 3 * len(widths)) and np.abs(found - wanted).max() < 1e-6
    both = WindowFeatures(3, length, aged=True)
    assert both.size == features.size + WindowFeatures(3, length, flat=False).size


def test_the_last_steps_are_seen_one_by_one_and_older_ones_as_means_of_ever_more():
    assert ageing(5) == [1] * 5
    assert ageing(31) == [3, 6, 4, 3, 2] + [1] * 13
    assert sum(ageing(2880)) == 2880 and len(ageing(2880)) <= 30


def test_parts_alone():
    x = torch.from_numpy(spiky(5, 2, 9))
    both, flat, short = (
        WindowFeatures(2, 9, flat=f, summaries=s) for f, s in ((True, True), (True, False), (False, True))
    )
    assert torch.equal(both(x), torch.cat([flat(x), short(x)], dim=1))
    assert both.size == flat.size + short.size


def test_autocast_changes_nothing():
    x = torch.from_numpy(spiky(5, 2, 31))
    features = WindowFeatures(2, 31)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(features(x), features(x.clone())) and features(x).dtype == torch.float32
    with torch.autocast("cpu", torch.bfloat16):
        inside = features(x)
    assert torch.equal(inside, features(x))


def test_a_sample_is_bounded_and_told(caplog):
    windows = over(spiky(50, 1, 4))
    assert windows.sample(50, 1, "x") is windows
    with caplog.at_level("INFO", logger="tsrun"):
        part = windows.sample(20, 1, "boosting")
    assert "boosting: fitted to a random sample of 20 of 50 windows" in caplog.text
    assert len(part) == 20 and part.witnesses == 20 and (np.diff(part.groups) > 0).all()
    again = windows.sample(20, 1, "boosting")
    assert torch.equal(part.read(torch.arange(20)), again.read(torch.arange(20)))
