"""Seasons: when one is seen, and what each phase adds."""

from __future__ import annotations

import numpy as np
import pytest

from backbones.histories import Stack
from backbones.season import (
    _seasonal,
    _smoothed,
    _waves_show,
    indices,
    periods_of,
    repeatable,
    seasonal,
    without_second,
)

from .test_histories import histories


def at_the_end(y: np.ndarray) -> Stack:
    return Stack(y, np.arange(len(y)), np.full(len(y), y.shape[1]))


def noise(rng: np.random.Generator, kind: str, n: int, steps: int) -> np.ndarray:
    e = rng.normal(size=(n, steps))
    t = np.arange(steps)
    return {"noise": e, "walk": e.cumsum(1), "trend": 0.2 * t + e, "heavy": rng.standard_t(2, size=(n, steps))}[kind]


@pytest.mark.parametrize("kind", ["noise", "walk", "trend", "heavy"])
@pytest.mark.parametrize("period, steps", [(4, 30), (12, 60), (12, 140), (24, 200)])
def test_what_has_no_season_seldom_passes(kind, period, steps):
    y = noise(np.random.default_rng(period + steps), kind, 400, steps)
    assert seasonal(at_the_end(y), period).mean() <= 0.055


@pytest.mark.parametrize("period, steps", [(4, 30), (12, 60), (12, 140), (24, 200)])
def test_a_season_on_a_trend_or_a_walk_is_seen(period, steps):
    rng, t = np.random.default_rng(1), np.arange(steps)
    wave = 3 * np.sin(2 * np.pi * t / period) + 2 * (t % period == 1)
    y = noise(rng, "walk", 100, steps) + 5 * wave
    assert seasonal(at_the_end(y), period).mean() > 0.95


def test_a_smooth_season_in_much_noise_is_seen():
    rng, t = np.random.default_rng(2), np.arange(160)
    y = 20 * np.sin(2 * np.pi * t / 52) + 4 * rng.normal(size=(40, 160)) + 1.5 * rng.normal(size=(40, 160)).cumsum(1)
    assert seasonal(at_the_end(y), 52).mean() > 0.95


def plain_waves(y: np.ndarray, period: int) -> float:
    """The F of two waves beside a line and three lags, by least squares."""
    t = np.arange(3, len(y))
    waves = [f(2 * np.pi * k * t / period) for k in (1, 2) for f in (np.sin, np.cos)]
    plain = np.column_stack([np.ones(len(t)), t, y[2:-1], y[1:-2], y[:-3]])
    left = [np.linalg.lstsq(x, y[3:])[1][0] for x in (plain, np.column_stack([plain, *waves]))]
    return (left[0] - left[1]) / 4 / (left[1] / (len(t) - 9))


def test_the_test_of_waves_equals_a_plain_f_test():
    from scipy.stats import f

    rng = np.random.default_rng(9)
    y = rng.normal(size=(60, 61)).cumsum(1) + np.linspace(0, 3, 60)[:, None] * np.sin(2 * np.pi * np.arange(61) / 12)
    y[::3, :20] = np.nan
    known = [row[np.isfinite(row)] for row in y]
    expected = [plain_waves(row, 12) > f.isf(0.005, 4, len(row) - 12) for row in known]
    assert _waves_show(y, 12).tolist() == expected and 5 < sum(expected) < 55


def test_less_than_two_cycles_and_constants_have_none():
    t = np.arange(23.0)
    y = np.stack([np.sin(2 * np.pi * t / 12), 0 * t])
    assert not seasonal(at_the_end(y), 12).any() and not seasonal(at_the_end(y), 1).any()
    longer = np.sin(2 * np.pi * np.arange(40.0) / 12)[None]
    stack = Stack(longer, np.zeros(3, np.int64), np.array([20, 24, 40]))
    assert seasonal(stack, 12).tolist() == [False, True, True]


@pytest.mark.parametrize("period", [4, 5, 12])
@pytest.mark.parametrize("ratio", [True, False])
def test_the_indices_of_a_line_with_a_season_are_that_season(period, ratio):
    """Exact for differences; of ratios the average of a season of mean 1 on a flat line."""
    rng, steps = np.random.default_rng(2), 7 * period + 3
    season, t = rng.normal(size=period), np.arange(steps)
    season -= season.mean()
    if ratio:
        season = 1 + season / 10
    y = (5 * season[t % period] if ratio else 3 + 0.7 * t + season[t % period])[None]
    ends = np.arange(4 * period, steps + 1)
    found = indices(Stack(y, np.zeros(len(ends), np.int64), ends), period, np.full(len(ends), ratio))
    expected = season[(ends[:, None] + np.arange(period)) % period]
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


def plain_indices(y: np.ndarray, period: int) -> np.ndarray:
    """Classical decomposition by loops, shrunk."""
    half, end = period // 2, len(y)
    weights = np.full(2 * half + 1, 1 / period)
    if period % 2 == 0:
        weights[[0, -1]] /= 2
    off = {t: y[t] - weights @ y[t - half : t + half + 1] for t in range(half, end - half)}
    groups = [[off[t] for t in off if t % period == (end + j) % period] for j in range(period)]
    means = np.array([np.mean(group) for group in groups])
    within = sum(((np.array(g) - np.mean(g)) ** 2).sum() for g in groups) / sum(len(g) - 1 for g in groups)
    noise = within / np.mean([len(g) for g in groups])
    between = max(means.var() - noise, 0)
    return (means - means.mean()) * between / (between + noise)


def test_indices_equal_a_plain_loop():
    y = np.random.default_rng(3).normal(size=53) + np.tile([3.0, -1, 0, 2, 0], 11)[:53]
    for end in (30, 41, 53):
        stack = Stack(y[None], np.zeros(1, np.int64), np.array([end]))
        np.testing.assert_allclose(indices(stack, 5, np.array([False]))[0], plain_indices(y[:end], 5), rtol=1e-9)


def test_noise_has_smaller_indices_than_its_phase_means():
    y = np.random.default_rng(4).normal(size=(200, 60))
    found = indices(at_the_end(y), 12, np.zeros(200, bool))
    means = np.stack([y[:, p::12].mean(1) for p in range(12)], axis=1)
    assert found.var(1).mean() < 0.3 * means.var(1).mean()


def test_phases_are_smoothed_where_that_foretells_a_cycle_better():
    rng, phase = np.random.default_rng(5), np.arange(48)
    smooth, rough = np.sin(2 * np.pi * phase / 48), np.where(phase % 2, 1.0, -1.0)
    for season, helps in ((smooth, True), (rough, False)):
        cycles = season + (0.5 if helps else 0.01) * rng.normal(size=(30, 4, 48))
        mean = cycles.mean(1)
        found = _smoothed(mean, cycles - mean[:, None], np.full((30, 48), 4))
        before, after = (np.square(each - season).mean() for each in (mean, found))
        assert after < 0.5 * before if helps else after == before


def test_the_periods_are_those_of_the_calendar_as_far_as_series_are_long_enough():
    rows = list(np.random.default_rng(6).normal(size=(3, 1, 80)))
    assert periods_of(histories(rows, periods=(7, 30))) == (7, 30)
    assert periods_of(histories(rows, periods=(7, 365))) == (7, 1)
    assert periods_of(histories(rows, periods=(365,))) == (1, 1)
    waves = [np.sin(2 * np.pi * np.arange(200) / 8)[None] + 0.1 * np.random.default_rng(7).normal(size=(1, 200))]
    assert periods_of(histories(waves, periods=())) == (8, 1)


def test_to_repeat_a_period_one_cycle_and_two_steps_are_enough():
    rows = list(np.random.default_rng(6).normal(size=(3, 1, 80)))
    seen = histories(rows, periods=(52, 365))
    known = seen.pieces(seen.horizon)[0].shape[1]
    assert repeatable(seen) == 52 and periods_of(seen) == (1, 1)
    assert repeatable(histories(rows, periods=(known - 2,))) == known - 2
    assert repeatable(histories(rows, periods=(known - 1,))) == 1
    assert repeatable(histories(rows, periods=(7, 24, 52)), above=7) == 24
    assert repeatable(histories(rows, periods=())) == 1


def plain_second(y: np.ndarray, step: int, end: int, period: int, reach: int) -> float:
    """The season of a step as known at `end`: over cycles whose average ends before it."""
    half, mates = period // 2, []
    weights = np.full(2 * half + 1, 1 / period)
    if period % 2 == 0:
        weights[[0, -1]] /= 2

    def off(t: int) -> float:
        return y[t] - weights @ y[t - half : t + half + 1]

    for t in range(step - period, half + reach - 1, -period):
        if t + half + reach < end:
            mates.append(np.mean([off(t + k) for k in range(-reach, reach + 1)]))
    return sum(mates) / (len(mates) + 0.5)


@pytest.mark.parametrize("period, first, reach", [(12, 4, 0), (21, 7, 0), (30, 7, 7), (15, 4, 0)])
def test_a_second_season_is_taken_out_as_known_before_each_step(period, first, reach):
    rng, horizon = np.random.default_rng(8), 2 * period + 3
    y = rng.normal(size=(2, 5 * period)) + 3 * np.tile(rng.normal(size=period), 5)
    ends = np.array([5 * period, 4 * period + 3, period])
    found = without_second(Stack(y, np.array([0, 1, 1]), ends), period, first, horizon)
    assert found is not None
    rest, ahead, which = found
    assert which.tolist() == [True, True, False] and ahead.shape == (2, horizon)
    start = 5 * period - rest.y.shape[1]
    for s, end, row in ((0, ends[0], ahead[0]), (1, ends[1], ahead[1])):
        gone = [y[s, t] - plain_second(y[s], t, t, period, reach) for t in range(start, end)]
        np.testing.assert_allclose(rest.y[s, : end - start], gone, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(row, [plain_second(y[s], end + h, end, period, reach) for h in range(horizon)])
    assert rest.end.tolist() == [5 * period - start, 4 * period + 3 - start]
    assert without_second(Stack(y, np.array([1]), np.array([period])), period, first, horizon) is None


def test_in_a_long_cycle_the_answer_of_a_hundredth_before_holds():
    """At 250 steps a cycle it is asked at every second step, so that of neighbours both or none have a season."""
    wave = np.where(np.arange(1200) < 600, 0, 0.5) * np.sin(np.arange(1200) * 2 * np.pi / 250)
    y = np.random.default_rng(1).normal(0, 1, (1, 1200)) + wave
    ends = np.arange(500, 1200)
    found = seasonal(Stack(y, np.zeros(len(ends), int), ends), 250)
    even = _seasonal(Stack(y, np.zeros(350, int), ends[::2]), 250, 1000)
    np.testing.assert_array_equal(found, np.repeat(even, 2))
    assert 0 < even.sum() < len(even)
    assert (found != _seasonal(Stack(y, np.zeros(len(ends), int), ends), 250, 1000)).any()
