"""Exponential smoothing by a grid, and the theta method: against plain loops and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from backbones import smoothing
from backbones.histories import Stack
from backbones.smoothing import PHIS, first_states, grid, smoothed
from backbones.theta import ALPHAS, theta

from .test_histories import fitted, histories, series


def one(y: np.ndarray, *ends: int) -> Stack:
    return Stack(y[None], np.zeros(len(ends), np.int64), np.array(ends))


def plain_ets(y: np.ndarray, period: int, horizon: int, multiplies: bool) -> np.ndarray:
    """Member by member, step by step, from the same first states."""
    prefix = min(len(y), 3 * period if period > 1 else 10)
    period = period if len(y) >= 2 * period else 1
    level, slope, season = (part[0] for part in first_states(y[None, :prefix], period))
    if multiplies:
        season = np.maximum(1 + season / max(level + slope * (prefix - 1) / 2, 0.1 * y[:prefix].mean()), 0.05)
    g, losses, made = grid(period), [], []
    for i in range(len(g.alpha)):
        phi = g.phi[i]
        a, b = (level - slope, slope) if phi else (level, 0.0)
        s = season.copy() if g.season[i] else np.full(period, 1.0 if multiplies else 0.0)
        squares = 0.0
        for t, value in enumerate(y):
            p, base = t % period, a + phi * b
            if multiplies:
                e = value - base * s[p]
                s[p] = np.clip(s[p] + g.gamma[i] * e / base, 0.05, 20)
                a, b = base + g.alpha[i] * e / s[p], phi * b + g.beta[i] * e / s[p]
            else:
                e = value - base - s[p]
                s[p] += g.gamma[i] * e
                a, b = base + g.alpha[i] * e, phi * b + g.beta[i] * e
            squares += e * e
        line = [a + b * sum(phi**j for j in range(1, h + 1)) for h in range(1, horizon + 1)]
        made.append([v * s[(len(y) + h) % period] if multiplies else v + s[(len(y) + h) % period]
                     for h, v in enumerate(line)])  # fmt: skip
        k = g.count[i]
        losses.append(len(y) * np.log(squares / len(y)) + 2 * k + 2 * k * (k + 1) / max(len(y) - k - 1, 0.5))
    weight = np.exp(-0.5 * (np.array(losses) - min(losses)))
    return (weight / weight.sum()) @ np.array(made)


@pytest.mark.parametrize("multiplies", [False, True])
@pytest.mark.parametrize("period, ends", [(1, (4, 11, 25)), (4, (6, 9, 25)), (5, (40,))])
def test_the_grid_equals_a_plain_loop(period, ends, multiplies):
    y = series()[1][0]
    made = smoothed(one(y, *ends), period, 7, multiplies and period > 1)
    for row, end in zip(made, ends, strict=True):
        expected = plain_ets(y[:end], period, 7, multiplies and period > 1 and end >= 2 * period)
        np.testing.assert_allclose(row, expected, rtol=1e-8)


def test_many_series_are_smoothed_as_each_alone(monkeypatch):
    y = np.concatenate([row[:, :31] for row in series()])
    where, ends = np.array([3, 0, 7, 3, 5]), np.array([31, 9, 20, 14, 31])
    together = smoothed(Stack(y, where, ends), 4, 5)
    monkeypatch.setattr(smoothing, "CELLS", 1)
    apart = smoothed(Stack(y, where, ends), 4, 5)
    np.testing.assert_allclose(together, apart, rtol=1e-9)
    alone = [smoothed(one(y[s], e), 4, 5)[0] for s, e in zip(where, ends, strict=True)]
    np.testing.assert_allclose(together, alone, rtol=1e-9)


def test_of_a_long_series_the_latest_steps_are_smoothed(monkeypatch):
    """At 87 of 20 to 40 steps: those from 60 on; a history of 39 is smoothed whole."""
    y = np.concatenate([series()[0], series()[1]], axis=1)[:, :90]
    monkeypatch.setattr(smoothing, "LONG", 20)
    ends = (39, 40, 87, 79)
    found = smoothed(Stack(y, np.zeros(4, np.int64), np.array(ends)), 4, 5)
    for row, begin, end in zip(found, (0, 20, 60, 40), ends, strict=True):
        np.testing.assert_allclose(row, plain_ets(y[0, begin:end], 4, 5, False), rtol=1e-8)


def test_the_grid_has_the_members_that_it_says():
    plain, season = grid(1), grid(12)
    assert len(plain.alpha) == 9 * (1 + 3 * 3) and len(season.alpha) == len(plain.alpha) + 9 * (1 + 3 * 3) * 8
    assert (season.slope.sum(1) == (season.phi > 0)).all() and (season.slope @ np.array(PHIS) == season.phi).all()
    assert season.count.max() == 3 + 3 + 12 and season.count.min() == 3


def test_the_levels_of_a_textbook_example(monkeypatch):
    """Exports of Algeria, Hyndman and Athanasopoulos, Forecasting: Principles and Practice, 3rd edition, table 8.1."""
    y = np.array([39.04, 46.24, 19.79, 24.68, 25.08, 22.60])
    none = np.zeros(1)
    alone = smoothing.Grid(none + 0.84, none, none, none, none + 2, np.zeros((1, 3)), none)
    monkeypatch.setattr(smoothing, "grid", lambda _: alone)
    monkeypatch.setattr(smoothing, "first_states", lambda y, _: (np.full(len(y), 39.54), 0 * y[:, 0], 0 * y[:, :1]))
    levels = smoothed(one(y, *range(1, 7)), 1, 2)
    np.testing.assert_allclose(
        levels, np.repeat([[39.12], [45.10], [23.84], [24.55], [25.00], [22.99]], 2, 1), atol=0.01
    )


def test_first_states_are_a_line_with_a_season():
    t, season = np.arange(15), np.array([1.0, -2, 0, 3, -2])
    level, slope, found = first_states((4 + 0.5 * t + season[t % 5])[None], 5)
    np.testing.assert_allclose([level[0], slope[0], *found[0]], [4, 0.5, *season], rtol=1e-9, atol=1e-9)


def test_a_line_with_a_season_goes_on():
    y = 10 + 0.5 * np.arange(60) + np.tile([1.0, -2, 0, 3], 15)
    past = histories([y[None]], least=40)
    found = fitted("ets", past).from_histories(past) + 20
    expected = [y[origin : origin + 6] for origin in past.origin]
    np.testing.assert_allclose(found[:, 0], expected, atol=0.05)


def test_a_season_that_grows_is_followed_by_factors_and_logarithms():
    t = np.arange(72)
    y = np.exp(2 + 0.02 * t) * np.tile([1.3, 0.8, 1.0, 0.9], 18)
    past = histories([y[None]], least=60, step=3)
    for args in ({"season": "multiplicative"}, {"log": True}):
        found = fitted("ets", past, **args).from_histories(past) + 20
        for i, origin in enumerate(past.origin):
            np.testing.assert_allclose(found[i, 0], y[origin : origin + 6], rtol=0.03)


def test_forecasts_from_logarithms_stay_below_three_times_the_greatest_value():
    past = histories([np.exp(0.8 * np.arange(20.0))[None]], least=8)
    found = fitted("ets", past, log=True).from_histories(past) + 20
    greatest = np.exp(0.8 * (past.origin - 1))
    assert (found.numpy()[:, 0] <= 3.0001 * greatest[:, None]).all() and found.max() > 2.5 * greatest.max()


def plain_theta(y: np.ndarray, horizon: int) -> np.ndarray:
    """Assimakopoulos and Nikolopoulos: a line and a doubled series, forecast apart, averaged."""
    t, losses, made = np.arange(len(y)), [], []
    b, a = np.polyfit(t, y, 1)
    for alpha in ALPHAS:
        rows = np.array([[(1 - alpha) ** j, y[j]] for j in range(len(y))])
        errors0 = []
        level = 0.0
        for value in y:
            errors0.append(value - level)
            level += alpha * errors0[-1]
        first = (rows[:, 0] @ errors0) / (rows[:, 0] @ rows[:, 0])
        losses.append(((np.array(errors0) - rows[:, 0] * first) ** 2).sum())
        level += (1 - alpha) ** len(y) * first
        add = [(h - 1) + (1 - (1 - alpha) ** len(y)) / alpha for h in range(1, horizon + 1)]
        made.append(level + b / 2 * np.array(add))
    weight = np.array(losses) ** (-len(y) / 2)
    return (weight / weight.sum()) @ np.array(made)


@pytest.mark.parametrize("steps", [3, 8, 40])
def test_theta_equals_a_plain_loop(steps):
    y = series()[1][1, :steps]
    further = np.stack([np.full(steps + 5, 7.0), np.concatenate([y, np.full(5, y[-1] + 9)])])
    stack = Stack(further, np.array([1, 0, 1]), np.array([steps, 4, steps - 1]))
    expected = [plain_theta(y, 6), np.full(6, 7.0), plain_theta(y[:-1], 6)]
    found = theta(stack, 6)
    np.testing.assert_allclose(found[:2], expected[:2], rtol=1e-8)
    if steps > 3:  # a line through two points leaves nothing to weigh by
        np.testing.assert_allclose(found[2], expected[2], rtol=1e-8)


def test_theta_takes_a_season_out_only_where_there_is_one():
    rng = np.random.default_rng(0)
    walk = 50 + rng.normal(size=80).cumsum()
    past = histories([walk[None]], least=60)
    np.testing.assert_allclose(
        fitted("theta", past).from_histories(past)[:, 0] + 20,
        [plain_theta(walk[:origin], 6) for origin in past.origin],
        rtol=1e-5,
    )


def test_a_week_of_days_is_followed_where_it_is_asked_for():
    rng, t = np.random.default_rng(3), np.arange(24 * 7)
    week = np.where(t % 7 < 5, 1.0, -2.0) + np.where(t % 4 == 0, 1.0, 0.0)
    past = histories([(20 + week + 0.1 * rng.normal(size=len(t)))[None]], least=120, periods=(4, 28))
    assert fitted("ets", past).period.tolist() == [4, 28]
    truth = past.labels(torch.arange(len(past)))
    one, two = (fitted("ets", past, second=second) for second in (False, True))
    errors = [(model.from_histories(past) - truth).square().mean() for model in (one, two)]
    assert errors[1] < 0.3 * errors[0]


@pytest.mark.parametrize("args", [{}, {"log": True}, {"season": "multiplicative"}])
def test_a_long_season_is_taken_out_and_put_back(args):
    rng, t = np.random.default_rng(4), np.arange(150)
    y = 100 + 20 * np.sin(2 * np.pi * t / 40) + rng.normal(size=(3, 150))
    past = histories(list(y[:, None]), least=100, step=9, periods=(40,))
    found = fitted("ets", past, **args).from_histories(past)
    truth = past.labels(torch.arange(len(past)))
    assert (found - truth).square().mean() < 0.05 * truth.var()


@pytest.mark.filterwarnings("error")
def test_members_that_diverge_have_no_weight(monkeypatch):
    """A gain of 3 makes an error twice as large, with the other sign, each step: beyond all numbers after 1,024."""
    y = series()[0][:1, :31].mean() + np.random.default_rng(0).normal(0, 1, (1, 1500))
    none = np.zeros(2)
    both = smoothing.Grid(np.array([0.2, 3.0]), none, none, none, none + 2, np.zeros((2, 3)), none)
    monkeypatch.setattr(smoothing, "grid", lambda _: both)
    found = smoothed(one(y[0], 1200, 1500), 1, 3)
    alone = smoothing.Grid(*(part[:1] for part in vars(both).values()))
    monkeypatch.setattr(smoothing, "grid", lambda _: alone)
    np.testing.assert_array_equal(found, smoothed(one(y[0], 1200, 1500), 1, 3))
