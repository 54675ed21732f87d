"""tasks/nilm/doubts.py: runs that something else on the meter explains, or that are far too long."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.nilm.doubts import LEAST_W, LONGER, MOST, Usual, _rises, doubted

STEPS, MEAN = 6000, 400.0


def house(seed: int = 0) -> np.ndarray:
    """What is left of a meter: a base, and lamps that change at odd times."""
    random = np.random.default_rng(seed)
    left: np.ndarray = 200 + np.repeat(random.uniform(0, 60, STEPS // 40), 40) + random.normal(0, 5, STEPS)
    return left


def runs_at(*begins: int, length: int = 300) -> np.ndarray:
    on = np.zeros((1, STEPS), bool)
    for begin in begins:
        on[0, begin : begin + length] = True
    return on


def doubts(on: np.ndarray, left: np.ndarray, mean: float, when: np.ndarray | None = None) -> list[int]:
    """Where doubted runs of a device begin that had four runs in training, of 400 steps at most."""
    at = np.arange(STEPS) if when is None else when
    found = doubted(on, left, at, np.zeros(STEPS, np.int64), {0: Usual(mean, 400, 4)})
    assert not (found & ~on).any()
    return np.flatnonzero(np.diff(found[0].astype(int), prepend=0) == 1).tolist()


def test_a_run_that_comes_with_a_load_of_its_own_is_doubted_and_one_under_a_longer_load_is_not():
    left = house()
    left[2000:2250] += 2500  # a heater, which is all that there is of the second run
    left[3500:4500] += 2500  # one that is on long before and after the third
    left[5200:5240] += 9000  # a shower in the fourth
    on = runs_at(500, 2000, 3800, 5100)
    assert doubts(on, left, MEAN) == [2000]
    assert not doubted(on, left, np.arange(STEPS), np.zeros(STEPS, np.int64), {}).any()


def test_a_rise_counts_from_a_share_of_the_power_on():
    for rise, expected in ((0.8 * MOST, []), (1.2 * MOST, [2000])):
        left = house()
        left[2000:2300] += rise * MEAN
        assert doubts(runs_at(500, 2000), left, MEAN) == expected


def test_what_the_house_does_all_day_is_no_reason_for_doubt():
    """A device beside others that change by more than its power within every hour, and one of little power."""
    random = np.random.default_rng(1)
    restless = 200 + np.repeat(random.uniform(0, 2000, STEPS // 300), 300)
    restless[2000:2300] = 2200
    assert doubts(runs_at(500, 2000), restless, MEAN) == []
    lamps = house()
    lamps[2000:2300] += 100
    assert doubts(runs_at(500, 2000), lamps, LEAST_W - 1) == []


def test_a_run_far_longer_than_any_of_training_is_not_believed():
    most = LONGER * (1 + 1 / 4) * 400
    for mean in (MEAN, LEAST_W - 1):
        assert doubts(runs_at(1000, length=int(most)), house(), mean) == []
        assert doubts(runs_at(1000, length=int(most) + 1), house(), mean) == [1000]
    gap = np.arange(STEPS) + 5 * (np.arange(STEPS) >= 1500)  # nobody saw it all
    assert doubts(runs_at(1000, length=int(most) + 1), house(), MEAN, gap) == []


def test_a_rise_is_that_of_medians_within_the_house():
    left = np.r_[np.full(20, 5.0), np.full(10, 50.0), np.full(20, 7.0), np.full(30, 1.0)]
    rows = np.repeat([0, 1], [50, 30])
    left[[2, 22, 40]] = np.nan
    found = _rises(left, rows, np.array([20, 40, 50, 62]), np.array([10, 10, 30, 4]))
    assert found == pytest.approx([50 - 7, 7 - 7, -np.inf, 0])  # the third is its house, with nothing beside it


def test_nothing_is_doubted_where_the_meter_is_unknown():
    assert doubts(runs_at(2000), np.full(STEPS, np.nan), MEAN) == []
    cut = house()
    cut[:2590] = cut[3420:] = np.nan
    assert doubts(runs_at(2600, length=800), cut + 9000, MEAN) == []  # nothing is before and after it
