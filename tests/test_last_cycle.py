"""What followed a cycle ago: against a plain loop, and where it has to be right."""

from __future__ import annotations

import numpy as np
import pytest

from backbones.histories import Stack
from backbones.last_cycle import ALPHA, SAY, USUAL, cycles_agree, followed

from .test_histories import fitted, histories


def level(values: np.ndarray) -> float:
    one = values[0]
    for value in values[1:]:
        one = ALPHA * value + (1 - ALPHA) * one
    return one


def pairs(y: np.ndarray, period: int, horizon: int) -> np.ndarray:
    """What had come a cycle before, and what came, of each pair of steps [2, q], by loops."""
    found = []
    for h in range(1, horizon + 1):
        for t in range(period, len(y) - h):
            found.append((y[t + h - period] - level(y[: t - period + 1]), y[t + h] - level(y[period : t + 1])))
    return np.array(found).T


def plain(y: np.ndarray, period: int, horizon: int) -> np.ndarray:
    """The forecast of one series."""
    said, came = pairs(y, period, horizon)
    change = y[len(y) - period + np.arange(horizon) % period] - level(y[:-period])
    usual = SAY * (change**2).sum()
    share = ((said * came).sum() + USUAL * usual) / ((said**2).sum() + usual)
    return level(y[period:]) + min(max(share, 0.0), 1.0) * change


@pytest.mark.parametrize(("steps", "period", "horizon"), [(14, 12, 3), (31, 12, 12), (20, 4, 9), (70, 24, 8)])
def test_it_equals_a_plain_loop(steps, period, horizon):
    rng = np.random.default_rng(steps)
    y = 300 + np.cumsum(rng.normal(size=(2, steps)), axis=1) + 5 * np.sin(2 * np.pi * np.arange(steps) / period)
    ends = np.array([steps, steps - 2 if steps > period + 4 else steps])
    found = followed(Stack(y, np.array([0, 1]), ends), period, horizon)
    for i, end in enumerate(ends):
        np.testing.assert_allclose(found[i], plain(y[i, :end], period, horizon), rtol=1e-9)


def test_a_season_that_comes_again_is_forecast_from_a_new_level_on():
    """One cycle and five steps of the next, 40 higher: seasonal-naive is 40 off, the last value the whole season."""
    season = np.array([0.0, 3, 9, 4, -2, -7, -9, -4, 1, 8, 6, 2])
    y = 100 + np.concatenate([season, season[:5] + 40])
    found = followed(Stack(y[None], np.zeros(1, np.int64), np.array([17])), 12, 6)[0]
    np.testing.assert_allclose(found, 140 + season[5:11], atol=0.3)  # USUAL draws a little


def test_of_noise_nothing_of_the_last_cycle_comes_again():
    rng = np.random.default_rng(0)
    y = rng.normal(size=(200, 60))
    found = followed(Stack(y, np.arange(200), np.full(200, 60)), 24, 8)
    moves = np.abs(np.diff(found, axis=1)).mean()
    assert moves < 0.25 * np.abs(np.diff(y, axis=1)).mean()


def test_of_a_long_history_the_last_steps_are_looked_at():
    """What 9,000 steps in which a cycle came again in reverse say is forgotten 9,000 steps later."""
    t = np.arange(20_000)
    day = np.sin(2 * np.pi * t / 24)
    y = np.where(t < 10_000, day * np.where(t // 24 % 2 == 0, 1, -1), day)
    past = histories([y[None]], least=19_500, step=100, periods=(24,))
    made = fitted("last_cycle", past, period=24).from_histories(past).numpy()[:, 0] + 20
    np.testing.assert_allclose(made, np.array([y[o : o + 6] for o in past.origin]), atol=1e-3)


def test_with_less_than_a_cycle_it_repeats_the_last_value_and_the_year_of_days_is_one_of_weeks():
    rows = list(np.random.default_rng(1).normal(size=(3, 1, 410)))
    past = histories(rows, least=20, step=30, periods=(7, 365))
    model = fitted("last_cycle", past, second=True)
    assert (model.season, model.second, model.needs) == (7, 364, 366)
    made = model.from_histories(past).numpy()[:, 0] + 20
    for i, origin in enumerate(past.origin):
        row, at = divmod(origin, 410)
        if at < 366:
            np.testing.assert_allclose(made[i], rows[row][0, at - 1], rtol=1e-5)


def test_how_far_cycles_agree_is_the_share_of_the_median_series():
    rng = np.random.default_rng(2)
    rows = [np.tile(rng.normal(size=12), 2)[:21] + 0.2 * rng.normal(size=21), rng.normal(size=23)]
    slopes = []
    for y in rows:
        said, came = pairs(y, 12, 6)
        slopes.append((said * came).sum() / (said**2).sum())
    assert slopes[0] > 0.8 and slopes[1] < 0.4
    for y, slope in zip(rows, slopes, strict=True):
        np.testing.assert_allclose(cycles_agree(histories([y[None]], periods=(12, 52))), slope, rtol=1e-6)
    np.testing.assert_allclose(cycles_agree(histories([y[None] for y in rows], periods=(12,))), np.mean(slopes))
    assert cycles_agree(histories([np.arange(15.0)[None]], periods=(24,))) == 0
