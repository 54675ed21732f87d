"""tasks/forecast/deciles.py: deciles on each side, and the score of a distribution, worked out by other means."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from tasks.forecast import deciles
from tasks.forecast.conformal import Scores
from tasks.forecast.intervals import crps
from tasks.forecast.levels import Levels


def plain(truth: np.ndarray, ends: np.ndarray) -> float:
    """Twice the mean pinball loss, a loop over the deciles."""
    losses = []
    for level, end in zip(np.arange(1, 10) / 10, ends, strict=True):
        losses.append(np.where(truth > end, level * (truth - end), (1 - level) * (end - truth)))
    return 2 * float(np.mean(losses))


def test_deciles_of_many_windows_are_those_of_the_errors_on_each_side():
    rng = np.random.default_rng(0)
    error = rng.exponential(size=(4000, 2, 3)).astype(np.float32) - 1
    point = np.zeros_like(error)
    scores = Scores(error.shape, signed=True)
    scores.add(error, point, point, None)
    found = deciles.sided(scores, 1.0).numpy()
    assert found.shape == (9, 2, 3)
    exact = stats.expon.ppf(np.arange(1, 10) / 10) - 1
    np.testing.assert_allclose(found.mean(axis=(1, 2)), exact, atol=0.03)
    mirrored = Scores(error.shape, signed=True)
    mirrored.add(-error, point, point, None)
    np.testing.assert_allclose(deciles.sided(mirrored, 1.0).numpy(), -found[::-1], rtol=1e-6)
    score = deciles.score(error, point, found, None, ()).mean()
    assert score == pytest.approx(plain(error, found), rel=1e-5)
    even = np.stack([np.quantile(np.abs(error), share, axis=0) for share in deciles.CENTRAL_SHARES])
    assert score < 0.97 * deciles.score(error, point, deciles.even(torch.tensor(even)).numpy(), None, ()).mean()


def test_no_decile_is_below_the_floor_and_all_follow_the_size_of_a_series():
    truth = np.array([[[0.0, 1.0]], [[0.0, 4.0]]])
    point, size = np.full((2, 1, 2), 1.0), np.array([[1.0], [2.0]])
    offsets = np.linspace(-2, 2, 9)[:, None, None] * np.ones((9, 1, 2))
    found = deciles.score(truth, point, offsets, size, (0.0,))
    for window in range(2):
        ends = np.maximum(1 + size[window, 0] * np.linspace(-2, 2, 9), 0)
        for step in range(2):
            assert found[window, 0, step] == pytest.approx(plain(truth[window, 0, step], ends))


def test_deciles_of_an_older_checkpoint_lie_evenly_around_the_forecast():
    margins = np.array([0.3, 0.5, 0.8, 1.3])[:, None, None] * np.array([1.0, 2.0])
    truth = np.random.default_rng(1).normal(size=(50, 1, 2))
    old = crps(truth, np.zeros_like(truth), Levels((), ()), {"deciles": torch.tensor(margins)}, None)
    ends = np.concatenate([-margins[::-1], np.zeros((1, 1, 2)), margins])
    for step in range(2):
        assert old[:, :, step].mean() == pytest.approx(plain(truth[:, 0, step], ends[:, 0, step]))


def test_deciles_beyond_the_trained_steps_stay_on_their_side():
    offsets = np.array([-2.0, -1, -0.5, -0.2, 0.1, 0.3, 0.6, 1.1, 2.5])[:, None, None] * np.ones((9, 1, 4))
    truth = np.zeros((1, 1, 6))
    near, far = (deciles.score(truth, truth, offsets, None, ())[0, 0, at] for at in (3, 5))
    assert far == pytest.approx(near * (6 / 4) ** 0.175)  # of level margins, half of the usual growth
