"""tasks/forecast/intervals.py: margins of few windows, and the score of a distribution, worked out by other means."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

import windows
from tasks.forecast.conformal import Scores
from tasks.forecast.intervals import CENTRAL_SHARES, by_growth, calibrated, chosen, crps
from tasks.forecast.levels import Levels
from tasks.predictions import Predictions


def test_margins_of_few_windows_grow_with_the_step_and_have_the_tails_of_a_t():
    steps = np.arange(1, 9.0)
    error = np.array([-1.0, 1.0])[:, None, None] * steps**0.35  # the power is the usual one itself
    margin = by_growth(error, (0.9, 0.5), apart=3.0)
    for share, found in zip((0.9, 0.5), margin, strict=True):
        np.testing.assert_allclose(found[0], stats.t.ppf((1 + share) / 2, 6) * steps**0.35, rtol=1e-5)
    flat = by_growth(np.ones((2, 1, 8)), (0.9,), 3.0)[0, 0]
    assert flat[-1] / flat[0] == pytest.approx(
        8 ** (0.35 / 4), rel=1e-5
    )  # of three windows, a quarter of the usual growth


def test_margins_of_a_step_that_no_window_knows(recwarn):
    """A filled step is scored nowhere: its margin follows the others' growth, and nothing is printed."""
    error = np.random.default_rng(5).normal(size=(4, 1, 6))
    gap = error.copy()
    gap[:, :, 2] = np.nan
    found, whole = by_growth(gap, (0.9,), apart=3.0)[0, 0], by_growth(np.abs(error), (0.9,), apart=3.0)[0, 0]
    assert np.isfinite(found).all() and found[1] <= found[2] <= found[3] and whole.shape == found.shape
    assert not recwarn.list


def test_few_windows_of_one_series_cover_about_what_they_should():
    rng = np.random.default_rng(0)
    inside = []
    for _ in range(300):
        error = np.cumsum(rng.normal(size=(9, 1, 6)), axis=2) * 0.5 + rng.normal(size=(9, 1, 6))
        when = np.arange(8) * 3
        point = np.zeros((8, 1, 6))
        scores = Scores(point.shape)
        scores.add(error[:8], point, point, None)
        margins, apart = calibrated(scores, (0.9,), when, series=1)
        assert apart == pytest.approx(1 + 7 * 3 / 6)
        inside.append(np.abs(error[8]) <= margins[0].numpy())
    assert 0.86 < np.mean(inside) < 0.95


@pytest.mark.parametrize(("steps", "alike", "scaled"), [(40, True, True), (2000, True, False), (2000, False, True)])
def test_margins_follow_sizes_unless_many_windows_are_alike(steps, alike, scaled):
    usable = np.ones(steps, bool)
    index = windows.plan(np.array([0, steps]), usable, usable, length=5, offset=1, horizon=3)
    at = np.linspace(1, 3, len(index))[:, None]
    error = np.random.default_rng(0).normal(size=(len(index), 1, 3)) * at[:, :, None]
    part = Predictions(index, np.zeros_like(error), error)
    found = chosen(part, Levels((), ()), 0.9, ("y",), at, alike)
    assert ("scale" in found) is scaled
    if scaled:
        assert found["scale"] == [pytest.approx(2.0)]
    if steps == 2000 and scaled:  # a series as it usually is: the noise is twice that of the smallest
        assert found["margin"].numpy() == pytest.approx(2 * stats.norm.ppf(0.95), rel=0.1)


def test_the_score_of_a_normal_forecast_is_that_of_its_deciles():
    rng = np.random.default_rng(1)
    truth = rng.normal(size=(4000, 1, 1))
    ends = [stats.norm.ppf((1 + share) / 2) for share in CENTRAL_SHARES]
    calibration = {"deciles": torch.tensor(ends).reshape(-1, 1, 1)}
    found = crps(truth, np.zeros_like(truth), Levels((), ()), calibration, None)
    levels = np.arange(1, 10) / 10
    by_hand = np.mean(
        [
            2 * np.maximum(q * (truth - z), (q - 1) * (truth - z))
            for q, z in zip(levels, stats.norm.ppf(levels), strict=True)
        ]
    )
    assert found.mean() == pytest.approx(by_hand, rel=1e-6)
    assert found.mean() == pytest.approx(1 / np.sqrt(np.pi), rel=0.12)  # of the whole distribution
    assert crps(truth, np.zeros_like(truth), Levels((), ()), {}, None) is None


def test_the_score_of_quantiles_is_twice_their_pinball_loss():
    truth = np.array([[[3.0]], [[-1.0]]])
    pred = np.array([[[0.0], [1.0], [2.0]]] * 2)
    found = crps(truth, pred, Levels((0.1, 0.5, 0.9), (0.1, 0.9)), {}, None)
    assert found.ravel() == pytest.approx([2 * (0.1 * 3 + 0.9 * 1) / 2, 2 * (0.9 * 1 + 0.1 * 3) / 2])
