"""tasks/forecast/conformal.py: margins cover what they promise, of windows that depend on each other too."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tasks.forecast import conformal


def conformal_margin(truth, low, high, coverage, alike=1.0):
    score = np.maximum(low - truth, truth - high)
    return np.stack([conformal.margins_of(score[:, k], [coverage], alike)[0] for k in range(score.shape[1])])


def test_conformal_margins_cover_what_they_promise():
    """Exchangeable errors: the chance to cover is between the promise and 1 / (n + 1) above it."""
    covered = []
    for seed in range(200):
        errors = np.random.default_rng(seed).exponential(size=(100, 1, 2)).astype(np.float32)
        margin = conformal_margin(errors[:99], 0 * errors[:99], 0 * errors[:99], 0.9)
        assert margin.shape == (1, 2) and margin[0, 0] == np.sort(errors[:99, 0, 0])[89]
        covered += (errors[99] <= margin).ravel().tolist()
    assert np.mean(covered) == pytest.approx(0.9, abs=0.04)
    few = conformal_margin(errors[:3], 0 * errors[:3], 0 * errors[:3], 0.9)
    assert few[0, 1] == errors[:3, 0, 1].max()


@pytest.mark.parametrize(("reach", "expected"), [(1, 1), (10, 10)])
def test_windows_that_overlap_count_for_less(reach, expected):
    """Means of `reach` independent draws have the autocorrelations 1 - lag / reach, which sum to `reach`."""
    rng = np.random.default_rng(0)
    draws = rng.normal(size=(40_000 + reach, 2, 3))
    total = np.cumsum(np.concatenate([np.zeros((1, 2, 3)), draws]), axis=0)
    score = (total[reach:] - total[:-reach])[:40_000]
    when = np.arange(40_000) + np.repeat(np.arange(4), 10_000) * 10**6  # four series
    assert conformal.alike(score, when) == pytest.approx(expected, rel=0.1)
    gappy = np.where(rng.random(score.shape) < 0.2, np.nan, score)
    assert conformal.alike(gappy, when) == pytest.approx(expected, rel=0.15)
    kept = np.flatnonzero(rng.random(40_000) < 0.7)  # windows that a gap took away
    assert conformal.alike(score[kept], when[kept]) == pytest.approx(expected, rel=0.15)
    assert conformal.alike(np.zeros((5, 1, 1)), np.arange(5)) == 1
    assert conformal.alike(score, 10**6 * np.arange(40_000)) == 1  # none is beside another


def test_margins_of_dependent_windows_are_wider_and_cover_better():
    """Runs of 20 alike errors: a tenth of the independent ones is too few for what their number says."""
    covered = {1.0: [], 20.0: []}
    for seed in range(300):
        errors = np.abs(np.random.default_rng(seed).normal(size=12)).repeat(20)[:, None, None].astype(np.float32)
        for alike, found in covered.items():
            margin = conformal_margin(errors[:-20], 0 * errors[:-20], 0 * errors[:-20], 0.8, alike)
            found.append(errors[-1] <= margin)
    assert np.mean(covered[1.0]) < 0.77 and np.mean(covered[20.0]) == pytest.approx(0.83, abs=0.04)  # 10 of 12


def test_a_step_whose_truth_is_never_known_has_the_widest_margin_of_its_channel():
    rng = np.random.default_rng(1)
    truth, pred = rng.normal(size=(2, 40, 3, 5)).astype(np.float32)
    lost = rng.random(truth.shape) < 0.3
    lost[:, 2, 4] = True
    margin = conformal_margin(np.where(lost, np.nan, truth), pred, pred, 0.8)
    scores = np.sort(abs(truth - pred)[:, 0, 1][~lost[:, 0, 1]])
    assert margin[0, 1] == scores[math.ceil((len(scores) + 1) * 0.8) - 1]
    assert margin[2, 4] == margin[2, :4].max()  # never known: the widest of its channel
