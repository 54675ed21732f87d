"""backbones/covariates.py: how much of the other channels is taken in."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from backbones import covariates
from backbones.covariates import Own
from backbones.gram import Squares


def series(n: int, seed: int, lag: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """(a target that repeats another channel `lag` steps later, that channel and noise [3, n])."""
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(3, n))
    return (np.roll(x[1], lag) + 0.2 * draw.normal(size=n))[None], x


def mixed(y: np.ndarray, x: np.ndarray, lookback: int = 12, lags: int = 8, horizon: int = 4):
    cut = int(0.75 * y.shape[1])
    train, val = ([y[:, :cut]], [x[:, :cut]]), ([y[:, cut - lookback :]], [x[:, cut - lookback :]])
    weight = np.zeros((1, lookback, horizon))
    weight[0, -1] = 1
    return covariates.with_others(weight, Own(lookback, 1, np.full(lookback, 0.1)), train, val, lags, horizon)


def test_a_channel_that_leads_is_used_at_the_lag_at_which_it_leads():
    weight, past, told = mixed(*series(500, 0))
    assert told[0]["share"] > 0.95 and told[0]["strength"] in covariates.STRENGTHS
    for step in range(4):  # the step h + 1 after the window is what the channel was 5 steps before it
        assert np.unravel_index(np.abs(past[0, :, :, step]).argmax(), (8, 3)) == (8 - 5 + step, 1)
        assert past[0, 8 - 5 + step, 1, step] == pytest.approx(1, abs=0.15)
    assert np.abs(weight[0]).max() < 0.5


def test_channels_that_say_nothing_change_nothing():
    for seed in range(4):
        draw = np.random.default_rng(seed)
        weight, past, told = mixed(draw.normal(size=(1, 260)).cumsum(axis=1), draw.normal(size=(12, 260)))
        assert told == [{"share": 0.0}] and not past.any()
        assert (weight[0, -1] == 1).all() and not weight[0, :-1].any()


def test_the_share_has_the_least_error_of_all_mixtures():
    draw = np.random.default_rng(0)
    x, one, other = draw.normal(size=(60, 4)), draw.normal(size=(4, 2)), draw.normal(size=(4, 2))
    y = x @ (0.7 * one + 0.3 * other) + 0.1 * draw.normal(size=(60, 2))
    sums = Squares(60, x.T @ x, x.T @ y, float(np.square(y).sum()))
    curve = np.array([covariates._errors(sums, one, other)])
    share, errors = covariates._share(curve, np.ones(1))
    tried = np.linspace(0, 1, 1001)
    plain = [np.square(y - x @ (one + a * (other - one))).sum() for a in tried]
    assert share == pytest.approx(tried[int(np.argmin(plain))], abs=1e-3)
    assert errors[0] == pytest.approx(min(plain) / plain[0], rel=1e-4)


def test_few_windows_must_gain_more():
    assert covariates.gain_needed(12, 100_000) == covariates.LEAST_GAIN
    assert covariates.gain_needed(12, 120) == pytest.approx(0.1)
    assert covariates.gain_needed(12, 0) == covariates.gain_needed(12, 3) == covariates.MOST_GAIN


def test_of_very_many_channels_those_that_agree_are_read():
    draw = np.random.default_rng(0)
    others = draw.normal(size=(40, 300))
    target = np.zeros((1, 300))
    target[0, 1:] = others[17, :-1]
    assert covariates.strongest([target], [others], 1, 40).tolist() == list(range(40))
    few = covariates.strongest([target], [others], 1, 3)
    assert 17 in few and len(few) == 3 and sorted(few) == few.tolist()


def test_room_for_lags_and_what_is_left_out_is_told_once(caplog):
    assert covariates.lags_of(1, 1, 96) == 96 and covariates.lags_of(7, 1, 720) == 146
    assert covariates.lags_of(7, 4, 720) == 73 and covariates.lags_of(5000, 1, 720) == 1
    covariates.tell_cut.cache_clear()
    with caplog.at_level(logging.INFO, "tsrun"):
        for _ in range(2):
            covariates.tell_cut(3000, 1024, 96)
    assert [record.message for record in caplog.records] == [
        "the closed forms see only the latest of the 96 steps in 1024 of 3000 other channels, those that agree most "
        "with the changes of a target"
    ]
