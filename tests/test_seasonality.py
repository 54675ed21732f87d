"""backbones/seasonality.py: what passes for a season, and what does not."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from backbones import seasonality
from backbones.seasonality import beyond_chance


def drawn(kind: str, n: int, seed: int, period: int = 12) -> np.ndarray:
    draw = np.random.default_rng(seed)
    noise, t = draw.normal(size=n), np.arange(n)
    return {
        "noise": noise,
        "walk": noise.cumsum(),
        "trend": noise + 0.3 * t,
        "phases": noise + 2 * draw.normal(size=period)[t % period],
        "wave": noise + np.sin(2 * np.pi * t / period) + 0.05 * noise.cumsum(),
    }[kind][None]


def test_the_test_of_phases_is_an_analysis_of_variance():
    z = np.random.default_rng(0).uniform(size=97)  # whose changes have none so far off that it is clipped
    steps = np.diff(z)
    _, expected = stats.f_oneway(*(steps[phase::12] for phase in range(12)))
    assert seasonality._chance([z[None]], lambda one: seasonality._of_phases(one, 12, 1)) == pytest.approx(
        expected, rel=1e-6
    )


@pytest.mark.parametrize("kind", ["noise", "walk", "trend"])
def test_false_alarms_are_rare(kind):
    assert sum(beyond_chance([drawn(kind, 100, seed)], 12) for seed in range(100)) <= 5


@pytest.mark.parametrize("kind", ["phases", "wave"])
def test_seasons_are_found_across_holes_and_in_rows(kind):
    for seed in range(4):
        z = drawn(kind, 120, seed)
        assert beyond_chance([z], 12)
        z[:, 50:56] = np.nan
        assert beyond_chance([z], 12)
    assert beyond_chance([drawn(kind, 40, seed) for seed in range(12)], 12)


def test_a_longer_season_must_show_beside_a_shorter_one():
    t = np.arange(240)
    noise = np.random.default_rng(0).normal(size=240)
    half = noise + 3 * np.random.default_rng(1).normal(size=6)[t % 6]
    assert beyond_chance([half[None]], 6) and not beyond_chance([half[None]], 12, within=6)
    assert beyond_chance([(half + 2 * (t % 12 == 3))[None]], 12, within=6)


def test_rows_that_move_together_are_few_witnesses():
    alarms = 0
    for seed in range(20):
        walk = drawn("walk", 60, seed)
        alarms += beyond_chance([np.repeat(walk, 30, axis=0)], 12)
    assert alarms <= 1


@pytest.mark.parametrize("z", [np.zeros((1, 0)), np.ones((2, 90)), np.full((1, 90), np.nan), np.arange(20.0)[None]])
def test_nothing_is_no_season(z):
    assert not beyond_chance([z], 12)
    assert not beyond_chance([], 12)


def test_of_many_channels_some_speak_for_all_whatever_their_order():
    random = np.random.default_rng(0)
    week = np.sin(2 * np.pi * np.arange(120) / 7)
    many = np.stack([0.5 * week + random.normal(0, 1, 120) + k for k in range(300)])
    orders = [random.permutation(300) for _ in range(3)]
    chosen = [seasonality.spread(many[order], seasonality.MOST_CHANNELS) for order in orders]
    assert all(len(one) == seasonality.MOST_CHANNELS and np.array_equal(one, chosen[0]) for one in chosen)
    assert beyond_chance([many], 7) and not beyond_chance([many - 0.5 * week], 7)


@pytest.mark.parametrize("length", range(1, 5))
def test_a_piece_of_a_few_steps_has_no_season(length):
    """What gaps leave of a series: beside a long piece with one it changes nothing."""
    long, short = drawn("wave", 96, 0), drawn("wave", length, 1)
    assert not beyond_chance([short], 12)
    assert beyond_chance([long, short], 12) == beyond_chance([long], 12)
