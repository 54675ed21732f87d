"""tasks/forecast/intervals.py: margins of few windows, and the score of a distribution, worked out by other means."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy import stats

import windows
from tasks.forecast.conformal import Scores
from tasks.forecast.deciles import CENTRAL_SHARES
from tasks.forecast.intervals import (
    FAR,
    by_growth,
    by_profile,
    calibrated,
    chosen,
    crps,
    width,
    without_breaks,
)
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


def test_how_wide_margins_are_depends_on_the_windows_that_they_are_for():
    """Margins of 2 and 6 that are for series of twice the size are those of 1 and 3."""
    calibration = {"margin": torch.tensor([[1.0, 3.0], [2.0, 2.0]])}
    assert width(calibration, None) == 2 and width({}, None) == 0
    assert width(calibration, np.array([[2.0, 1.0], [4.0, 1.0]])) == np.mean([4, 2, 8, 2])


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
        scores = Scores(point.shape, signed=True)
        scores.add(error[:8], point, point, None)
        margins, apart = calibrated(scores, (0.9,), when, np.zeros(8, int))
        assert apart == pytest.approx(1 + 7 * 3 / 6)
        inside.append(np.abs(error[8]) <= margins[0].numpy())
    assert 0.86 < np.mean(inside) < 0.95


@pytest.mark.parametrize(("windows", "narrower"), [(3, False), (100, True)])
def test_few_windows_do_not_narrow_the_quantiles_of_a_model(windows, narrower):
    """All truths lie in the middle of ends that are 2 apart."""
    truth, ends = np.zeros((windows, 1, 4)), np.ones((windows, 1, 4))
    scores = Scores(truth.shape)
    scores.add(truth, -ends, ends, None)
    margins, _ = calibrated(scores, (0.9,), np.arange(windows) * 4)
    assert (margins == (-1 if narrower else 0)).all()


def test_margins_of_some_windows_are_quantiles_of_the_errors_of_all_steps_in_proportion_to_their_reach():
    rng = np.random.default_rng(3)
    steps = np.arange(1, 13.0)
    shape = np.abs(rng.normal(size=(24, 1, 1))) * steps**0.5  # each step like the others but for its reach
    margin = by_profile(shape, (0.9, 0.5), apart=1e9, alike=1.0)
    for share, found in zip((0.9, 0.5), margin, strict=True):
        rank = int(np.ceil(25 * share)) - 1
        np.testing.assert_allclose(found[0], np.sort(shape[:, 0, 0])[rank] * steps**0.5, rtol=1e-5)
    plain = np.abs(rng.normal(size=(400, 24, 1, 12)))
    ragged = [np.abs(np.diff(np.log(by_profile(one, (0.9,), 12.5, 1.0)[0, 0]))).mean() for one in plain]
    alone = [np.abs(np.diff(np.log(np.sort(one[:, 0], axis=0)[22]))).mean() for one in plain]  # the 23rd of 24
    assert np.mean(ragged) < np.mean(alone) / 4
    inside = [one[:, 0] <= by_profile(other, (0.9,), 12.5, 1.0)[0, 0] for one, other in pairwise(plain)]
    assert 0.9 < np.mean(inside) < 0.94  # the 23rd of 24 covers .92, and steps could all be alike


def test_a_profile_of_errors_that_many_windows_show_stays():
    profile = np.where(np.arange(24) < 8, 1.0, 4.0)  # nights and days
    error = np.abs(np.random.default_rng(4).normal(size=(60, 1, 24))) * profile
    margin = by_profile(error, (0.9,), apart=60.0, alike=1.0)[0, 0]
    assert margin == pytest.approx(stats.norm.ppf(0.95) * profile, rel=0.4)
    error[:, :, 3], error[:, :, 5] = 0, np.nan  # a step that is known beforehand, and one that nobody measured
    odd = by_profile(error, (0.9,), 60.0, 1.0)[0, 0]
    assert odd[3] < 1e-6 and np.isfinite(odd).all() and odd[20] > 0
    assert not by_profile(0 * np.ones((24, 2, 3)), (0.9,), 12.5, 1.0).any()


def test_a_break_that_is_over_counts_like_the_widest_of_the_other_windows():
    error = np.random.default_rng(5).uniform(0.5, 1.5, size=(16, 2, 6))
    rows = np.repeat([0, 1], 8)
    error[3:5, 0] *= 50
    found = without_breaks(error, rows)
    size = np.sqrt((error**2).mean(axis=2))
    widest = size[[0, 1, 2, 5, 6, 7], 0].max()
    assert np.sqrt((found[3:5, 0] ** 2).mean(axis=1)) == pytest.approx(widest)
    found[3:5, 0] = error[3:5, 0]
    assert np.array_equal(found, error)  # other windows, channels and series stay
    for windows_of_it in ([7], [6, 7], [1, 3, 5], [0, 1, 2, 3, 4, 5, 6, 7]):  # not over, not rare, of the whole series
        wide = np.array(error)
        wide[3:5, 0] /= 50
        wide[windows_of_it, 1] *= 10 * FAR
        assert np.array_equal(without_breaks(wide, rows), wide)
    still = np.zeros((8, 1, 6))
    still[2] = 1.0
    assert np.array_equal(without_breaks(still, np.zeros(8, int)), still)  # nothing else says how far errors reach


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


def test_few_windows_of_many_channels_are_few():
    usable = np.ones(12, bool)
    index = windows.plan(np.array([0, 12]), usable, usable, length=5, offset=1, horizon=4)
    error = np.abs(np.random.default_rng(0).normal(size=(len(index), 20, 4)))
    part = Predictions(index, np.zeros_like(error), error)
    found = chosen(part, Levels((), ()), 0.9, [f"c{k}" for k in range(20)], np.ones((len(index), 20)), alike=True)
    np.testing.assert_allclose(found["margin"], by_growth(error, (0.9,), 1 + (len(index) - 1) / 4)[0], rtol=1e-5)


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
