"""Seasons that are taken out and put back, at every origin or carried from one to the next."""

from __future__ import annotations

import numpy as np
import pytest

from backbones.adjustment import adjustment, lines
from backbones.histories import Stack
from backbones.season import indices, seasonal

from .test_histories import fitted, histories
from .test_season import at_the_end

PERIOD, EVERY = 300, 3


def long_season(level: float) -> Stack:
    """A series of five cycles and the origins of the last one, some of them before 0 comes where the level is low."""
    t = np.arange(5 * PERIOD)
    y = level + 4 * np.sin(2 * np.pi * t / PERIOD) + np.random.default_rng(0).normal(size=len(t))
    y[-40] = level - 8
    ends = np.arange(4 * PERIOD, 5 * PERIOD + 1)
    return Stack(y[None], np.zeros(len(ends), int), ends)


def test_an_adjustment_is_undone():
    rng, season = np.random.default_rng(10), np.tile([1.5, 0.7, 0.8, 1.0], 12)
    for level, factor in ((50, True), (0, False)):
        y = (level + 1) * season[None] + 0.01 * rng.normal(size=(3, 48)) - (0 if factor else 3)
        for asked in (True, False):
            found = adjustment(at_the_end(y), 4, factors=asked)
            assert (found.ratio == (factor and asked)).all()
            assert found.without(y).std(1).max() < 0.2 * y.std(1).min()
            np.testing.assert_allclose(found.put_back(found.without(y)), y, rtol=1e-9)


@pytest.mark.parametrize("level", [40.0, 7.5])
def test_a_long_season_is_that_of_a_hundredth_of_its_cycle_before(level):
    """By loops: of each origin the indices at the step before it that 3 divides."""
    stack = long_season(level)
    found, past, ahead = adjustment(stack, PERIOD), stack.last(20), np.zeros((len(stack), 30))
    rest, back = found.without(past), found.put_back(ahead + 1)
    assert len(found.phases) < len(stack) / 2 and found.ratio[0] and found.ratio[-1] == (level > 10)
    for i in range(0, len(stack), 7):
        end = stack.end[i] // EVERY * EVERY
        one = Stack(stack.y, np.zeros(1, int), np.array([end]))
        assert seasonal(one, PERIOD)[0]
        season = indices(one, PERIOD, found.ratio[i : i + 1])[0]
        before, after = (
            season[np.arange(*part) % PERIOD]
            for part in ((stack.end[i] - end - 20, stack.end[i] - end), (stack.end[i] - end, stack.end[i] - end + 30))
        )
        np.testing.assert_allclose(rest[i], past[i] / before if found.ratio[i] else past[i] - before)
        np.testing.assert_allclose(back[i], after if found.ratio[i] else 1 + after)


@pytest.mark.parametrize("period", [12, PERIOD])
def test_a_line_holds_what_its_origins_have_without_their_season(period):
    stack = long_season(40.0)
    rest, season = lines(stack, period, 50)
    there = season.without(stack.last(50))
    np.testing.assert_allclose(rest.last(50), there)
    assert len(rest.y) == (len(stack) if period == 12 else -(-(PERIOD + 1) // EVERY))
    assert (rest.end == 50 + season.late).all()


@pytest.mark.parametrize("name", ["theta", "ets", "ets log", "ets second", "local", "mapa", "arima", "harmonic"])
def test_in_a_long_season_no_forecast_depends_on_which_others_are_asked_for(name):
    name, *more = name.split()
    y = long_season(40.0).y
    past = histories([y], least=4 * PERIOD, periods=(PERIOD,))
    member = fitted(name, past, **dict.fromkeys(more, True))
    whole = member.from_histories(past)
    for i in (0, 100, 101, len(past) - 1):
        np.testing.assert_allclose(member.from_histories(past.part(np.array([i])))[0], whole[i], rtol=1e-4)


@pytest.mark.parametrize("name", ["theta", "ets", "local", "mapa", "arima"])
def test_a_carried_season_forecasts_as_well(name, monkeypatch):
    """Within 2 % of the error with a season of each origin's own."""
    y = long_season(40.0).y
    past = histories([y], least=4 * PERIOD, periods=(PERIOD,))
    truth = np.stack(
        [y[:, origin : origin + past.horizon] for origin in past.origin if origin + past.horizon <= y.size]
    )
    carried = fitted(name, past).from_histories(past).numpy()[: len(truth)] + 20
    monkeypatch.setattr("backbones.carried.LONG", PERIOD + 1)
    each = fitted(name, past).from_histories(past).numpy()[: len(truth)] + 20
    assert (carried != each).any()
    assert np.abs(carried - truth).mean() < 1.02 * np.abs(each - truth).mean()
