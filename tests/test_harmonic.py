"""backbones/harmonic.py: against least squares written out, and what it is for."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from backbones import ForecastSpec, Hyper, InputSpec, carried, harmonic
from backbones.harmonic import Harmonic
from backbones.histories import Stack

HORIZON = 8
PM = 3  # lags of a history of 15 to 20 steps


def fitted(y: np.ndarray, ends: list[int], period: int = 0, **args: bool) -> np.ndarray:
    """The forecasts [n, H] of one series at some origins."""
    spec = InputSpec(channels=1, length=1, forecast=ForecastSpec(HORIZON, (0,)))
    model = Harmonic(spec, Hyper("harmonic", {"period": period, **args}))
    found: np.ndarray = model.local(Stack(y[None], np.zeros(len(ends), np.int64), np.array(ends)))
    return found


def by_hand(y: np.ndarray, period: int) -> np.ndarray:
    """All regressions of a history of 15 to 20 steps, one by one."""
    n, made, criteria = len(y), [], []
    z = (y - y.mean()) / y.std()
    t = np.arange(n + HORIZON)
    for changes, order, waves in product((False, True), (0, 1, 2, 3), (0, 1, 2) if period else (0,)):
        x = np.diff(z, prepend=np.nan) if changes else z
        season = [f(2 * np.pi * k * t / period) for k in range(1, waves + 1) for f in (np.cos, np.sin)][: period - 1]
        season = [np.diff(one, prepend=0) if changes else one for one in season]
        for constant in (False, True) if changes else (True,):
            terms = ([np.ones(len(t))] if constant else []) + season
            rows = range(PM + 1, n)
            design = np.array([[*(x[i - j] for j in range(1, order + 1)), *(one[i] for one in terms)] for i in rows])
            b = np.linalg.lstsq(design, x[PM + 1 :], rcond=None)[0] if design.size else np.zeros(0)
            rss = float(((x[PM + 1 :] - design @ b) ** 2).sum()) if design.size else float((x[PM + 1 :] ** 2).sum())
            k, count = len(b) + 1, len(rows)
            criteria.append(count * np.log(rss / count) + 2 * k + 2 * k * (k + 1) / (count - k - 1))
            line = list(x)
            for h in range(HORIZON):
                lags = [line[-j] for j in range(1, order + 1)]
                line.append(float(np.dot(b, [*lags, *(one[n + h] for one in terms)])))
            ahead = np.array(line[n:])
            made.append(z[-1] + np.cumsum(ahead) if changes else ahead)
    weight = np.exp(-0.5 * (np.array(criteria) - min(criteria)))
    weight[weight < 1e-3] = 0
    low, high = z.min(), z.max()
    every = np.clip(np.array(made), 2 * low - high, 2 * high - low)
    found: np.ndarray = weight @ every / weight.sum() * y.std() + y.mean()
    return found


@pytest.mark.parametrize("period", [0, 4])
@pytest.mark.parametrize("log", [False, True])
def test_forecasts_are_those_of_least_squares_one_by_one(period, log):
    rng = np.random.default_rng(4)
    y = 20 + np.cumsum(rng.normal(size=40)) + 2 * np.sin(np.arange(40) * np.pi / 2)
    for end, found in zip((18, 20), fitted(y, [18, 20], period, log=log), strict=True):
        own = y[:end]
        expected = np.exp(by_hand(np.log(own), period)) if log else by_hand(own, period)
        np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_a_cycle_that_no_calendar_has_is_continued():
    t = np.arange(120)
    y = 50 + 9 * np.sin(2 * np.pi * t / 9.6) + np.random.default_rng(0).normal(0, 0.3, 120)
    truth = 50 + 9 * np.sin(2 * np.pi * np.arange(110, 118) / 9.6)
    np.testing.assert_allclose(fitted(y, [110])[0], truth, atol=1.0)


def test_a_long_season_is_seen_in_two_cycles_and_not_in_fewer():
    t = np.arange(130)
    y = 50 + 9 * np.sin(2 * np.pi * t / 52) + np.random.default_rng(0).normal(0, 1.0, 130)
    truth = 50 + 9 * np.sin(2 * np.pi * np.arange(120, 128) / 52)
    assert np.abs(fitted(y, [120], 52)[0] - truth).mean() < 1.2
    np.testing.assert_allclose(fitted(y, [100], 52), fitted(y, [100]), rtol=1e-9)


def test_what_is_too_short_or_still_or_negative_has_a_forecast():
    walk = np.cumsum(np.random.default_rng(1).normal(size=60))
    assert np.array_equal(fitted(walk, [1, 5])[:, 0], walk[[0, 4]])
    assert np.allclose(fitted(np.full(40, 7.0), [6, 40]), 7)
    assert np.array_equal(fitted(walk - 100, [50], log=True), fitted(walk - 100, [50]))
    grown = np.exp(0.5 * np.arange(30.0))
    assert fitted(grown, [30], log=True).max() <= 3 * grown[-1] + 1e-6


def test_nothing_from_the_origin_on_is_seen():
    y = np.random.default_rng(2).normal(size=80).cumsum() + 90
    other = np.append(y[:50], y[50:] * 3)
    np.testing.assert_array_equal(fitted(y, [30, 50], 7), fitted(other, [30, 50], 7))


def test_in_a_long_history_a_few_origins_share_an_estimate_and_go_on_from_their_own_steps(monkeypatch):
    t = np.arange(460)
    y = 50 + 9 * np.sin(2 * np.pi * t / 9.6) + 4 * np.cos(2 * np.pi * t / 17.3)
    ends = list(range(424, 433))  # of the estimates at 424 and 432
    found = fitted(y, ends)
    truth = np.stack([y[end : end + HORIZON] for end in ends])
    np.testing.assert_allclose(found, truth, rtol=1e-3)
    assert np.array_equal(found[[2, 8]], fitted(y, [426, 432]))  # whatever else is asked for
    monkeypatch.setattr(harmonic, "CELLS", 1)  # and however many are estimated at once
    assert np.array_equal(found, fitted(y, ends))
    later = np.append(y[:426], 0 * y[426:])
    assert np.array_equal(found[2], fitted(later, [426])[0])
    monkeypatch.setattr(carried, "SHORT", 10**9)
    fresh = fitted(y, ends)
    assert np.array_equal(found[[0, 8]], fresh[[0, 8]]) and not np.array_equal(found[5], fresh[5])
