"""What is learned from windows of all series: global ridge and boosted lags."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge

from backbones import global_ridge
from backbones.boosted_lags import _sample, lag_features
from backbones.histories import Stack

from .test_histories import HORIZON, fitted, histories, series

pytestmark = pytest.mark.grows


def test_the_global_ridge_is_scikit_learns_on_pooled_windows(monkeypatch):
    """Series over their own deviation, windows less their last value, one penalty a window."""
    monkeypatch.setattr(global_ridge, "PENALTIES", (0.3,))
    monkeypatch.setattr(global_ridge, "WITHOUT_SEASON", (5,))
    past = histories(series(), periods=())
    model = fitted("global_ridge", past, period=1)
    x, y = [], []
    for piece in past.pieces(HORIZON):
        z = piece[0] / np.sqrt(np.mean(np.diff(piece[0]) ** 2))
        for t in range(5, len(z) - HORIZON + 1):
            x.append(z[t - 5 : t] - z[t - 1])
            y.append(z[t : t + HORIZON] - z[t - 1])
    expected = Ridge(alpha=0.3 * len(x), fit_intercept=False).fit(np.array(x), np.array(y)).coef_.T
    found = model.weight.detach().numpy()
    np.testing.assert_allclose(found[:-1], expected[:-1], atol=1e-5)
    np.testing.assert_allclose(found.sum(0), 1, atol=1e-5)  # the last value was taken off, and is put back


def test_maps_that_foretell_better_weigh_more():
    t = np.arange(60)
    rows = [np.stack([10 + 0.3 * t, 30 + np.sin(2 * np.pi * t / 4 + k)]) for k in range(3)]
    past = histories(rows, least=10)
    found = fitted("global_ridge", past).from_histories(past)
    truth = past.labels(torch.arange(len(past)))
    assert (found - truth).square().mean() < 0.05 * truth.var()


def test_a_season_is_put_back_as_it_was_taken_out():
    season = np.tile([1.3, 0.8, 1.0, 0.9], 15)
    past = histories([season[None] * 50], least=30)
    found = fitted("global_ridge", past, adjusted=True).from_histories(past) + 20
    np.testing.assert_allclose(found[:, 0], [50 * season[o : o + 6] for o in past.origin], rtol=1e-3)


def test_without_a_window_the_last_value_is_repeated():
    past = histories([np.array([[1.0, 2.0, 4.0, 3.0]])[:, :1].repeat(7, 1)], least=1)
    assert (fitted("global_ridge", past).from_histories(past) + 20 == 1).all()
    assert (fitted("boosted_lags", past).from_histories(past) + 20 == 1).all()


def test_features_are_what_they_say():
    y = np.random.default_rng(0).normal(size=50).cumsum() + 30
    stack, steps = Stack(y[None], np.zeros(2, np.int64), np.array([40, 3])), np.array([[0, 5], [1, 2]])
    for seasonal in (False, True):
        x, start, unit = lag_features(stack, steps, 4, seasonal)
        past = y[:40]
        np.testing.assert_allclose(unit[0], np.sqrt(np.mean(np.diff(past) ** 2)), rtol=1e-9)
        same = past[36 + 5 % 4]
        assert start[0, 1] == (same if seasonal else past[-1]) and np.isfinite(x).all()
        expected = [*(past[-2 - i] - past[-1] for i in range(6)), past[-4:].mean() - past[-1],
                    past[-8:].mean() - past[-1], same - past[-1], past[36] - same, past[38] - same, past[33] - same,
                    past[29] - same, past[-1] - past[-5]]  # fmt: skip
        np.testing.assert_allclose(x[1, :-1], np.array(expected) / unit[0], rtol=1e-4, atol=1e-6)
        assert x[:, -1].tolist() == [0, 5, 1, 2]


def test_trees_learn_what_repeats_and_change_nothing_else():
    rng = np.random.default_rng(1)
    rows = [20 + 5 * np.tile(rng.normal(size=(2, 4)), (1, 20)) + 0.2 * rng.normal(size=(2, 80)) for _ in range(8)]
    past = histories(rows, least=10)
    model = fitted("boosted_lags", past)
    error = (model.from_histories(past) - past.labels(torch.arange(len(past)))).square().mean()
    naive = (fitted("seasonal_naive", past).from_histories(past) - past.labels(torch.arange(len(past)))).square().mean()
    assert error < 0.8 * naive


def test_a_sample_has_a_few_steps_of_as_many_origins_as_fit():
    past = histories(series()).everywhere(3)
    assert len(past) == 2 * sum(row.shape[1] - HORIZON - 3 + 1 for row in series())
    draw = np.random.default_rng(0)
    every, some = _sample(past, 10**6, draw), _sample(past, 60, draw)
    assert every.steps.shape == (len(past), HORIZON) and some.steps.shape == (10, HORIZON)
    assert (np.diff(some.steps, axis=1) > 0).all()


def test_flat_histories_are_the_same_ones():
    past = histories(series(), step=5)
    flat, n = past.flat(), len(past)
    for k in range(2):
        for i in range(n):
            one = past.values[k, past.begin[k, i] : past.origin[i]]
            np.testing.assert_array_equal(flat.values[0, flat.begin[0, k * n + i] : flat.origin[k * n + i]], one)
