"""tasks/nilm/cycles.py and wholes.py: another house's fridge is found in its own meter."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from tasks.nilm.cycles import Seen, cyclic, own_cycle
from tasks.nilm.doubts import most_often
from tasks.nilm.habits import Habit, learned, meter_jumps
from tasks.nilm.runs import Whole
from tasks.nilm.states import agreement
from tasks.nilm.timeline import Timeline
from tasks.nilm.wholes import WholeRuns

STEP = 30.0


def cycles(on: float, off: float, steps: int, seed: int) -> np.ndarray:
    """States of a fridge whose runs and breaks are so long, within a tenth."""
    random, parts, total = np.random.default_rng(seed), [], 0
    while total < steps:
        for state, usual in ((0, off), (1, on)):
            parts.append(np.full(round(usual * random.uniform(0.9, 1.1)), state, np.int8))
            total += len(parts[-1])
    return np.concatenate(parts)[:steps]


def meter(states: np.ndarray, watts: float, seed: int) -> np.ndarray:
    """With a base, lamps that change at any time, and a washing machine that heats in bursts."""
    random = np.random.default_rng(seed)
    lamps = np.repeat(random.uniform(0, 300, 1 + len(states) // 150), 150)[: len(states)]
    wash = np.zeros(len(states))
    for begin in range(700, len(states) - 200, 1500):
        wash[begin : begin + 200] = 230 * (np.arange(200) % 14 < 8)
    found: np.ndarray = float(watts) * states + lamps + wash + 90 + random.normal(0, 3, len(states))
    return found.astype(np.float32)


@cache
def trained() -> Whole:
    """What training shows of a fridge of 80 W."""
    states, watts = cycles(36, 76, 9000, 1), 80.0
    mains = meter(states, watts, 2)
    found = learned(states[None], np.ones(len(states), bool), mains, np.array([0, len(states)]), [watts], STEP)
    whole = cyclic(Habit(**{name: value[0] for name, value in found.items()}, mean=watts), STEP)
    assert whole is not None
    return whole


def seen(mains: np.ndarray, score: np.ndarray | float = 0.5, ends: tuple[int, ...] = ()) -> Seen:
    at = np.arange(len(mains))
    jumps = meter_jumps(mains, at, np.zeros(len(at), np.int64), np.array([0, len(at)]))
    return Seen(mains, jumps, np.broadcast_to(score, len(mains)), np.array([0, *ends, len(mains)]), 0.5)


@pytest.mark.parametrize(("watts", "on", "off"), [(160, 24, 40), (50, 60, 60)])
def test_a_fridge_of_other_watts_and_times_is_found_without_a_net(watts, on, off):
    states = cycles(on, off, 4000, 3)
    house = seen(meter(states, watts, 4), ends=(1700,))
    own = own_cycle(trained(), house, [])
    assert own is not None and own.own and own.habit.mean == pytest.approx(watts, rel=0.1)
    assert np.median(own.habit.run_seconds) == pytest.approx(on * STEP, rel=0.1)
    assert agreement(house.states(own), states == 1) > 0.9
    assert f"{own.habit.mean:.0f} W for" in own.told()


def test_what_comes_in_bursts_or_is_not_believed_or_is_another_devices_is_no_fridge():
    nothing = np.zeros(4000, np.int8)
    assert own_cycle(trained(), seen(meter(nothing, 0, 4)), []) is None
    states = cycles(24, 40, 4000, 3)
    mains = meter(states, 160, 4)
    assert own_cycle(trained(), seen(mains), [states == 1]) is None
    assert own_cycle(trained(), seen(mains, np.where(states, 1e-4, 0.5)), []) is None  # the net knows better


def test_only_devices_that_come_and_go_day_and_night_have_a_cycle():
    habit = trained().habit
    assert cyclic(habit, 0.0) is None and cyclic(habit._replace(runs=11.0), STEP) is None
    assert cyclic(habit._replace(mean=2000.0), STEP) is None
    assert cyclic(habit._replace(break_seconds=np.geomspace(600, 40_000, 24).tolist()), STEP) is None
    assert cyclic(habit._replace(run_seconds=np.geomspace(300, 9000, 24).tolist()), STEP) is None


def test_each_house_is_decided_by_its_own_fridge_and_the_one_of_training_by_training():
    whole = trained()
    houses = [cycles(36, 76, 5000, 7), cycles(24, 40, 5000, 8)]
    mains = np.concatenate([meter(houses[0], 80, 9), meter(houses[1], 160, 10)])
    states, rows = np.concatenate(houses) == 1, np.repeat([0, 1], 5000)
    at, offsets = np.arange(10_000), np.array([0, 5000, 10_000])
    random = np.random.default_rng(0)
    score = np.where(states, 0.9, 0.1)
    score[5000:] = np.where(random.random(5000) < 0.35, 0.6, 0.4)  # the net knows nothing of the second
    known = WholeRuns.everywhere({0: whole}, {0: whole}, mains, meter_jumps(mains, at, rows, offsets), rows)
    parts = [slice(0, 5000), slice(5000, 10_000)]
    usual = np.concatenate([whole.states(score[part], [0.5], known.jumps[part])[0] for part in parts])
    found = known.fitted(score[None], [0.5], at + (rows << 20), score[None] >= 0.5, usual[None])
    assert found.devices[0][0] is whole and found.devices[0][1].own
    own = found.devices[0][1]
    assert agreement(own.states(score[5000:], [0.5], known.jumps[5000:])[0], states[5000:]) > 0.9
    drawn = found.drawn(np.full((1, 10_000), 70.0, np.float32))
    assert (drawn[0, :5000] == 70).all() and drawn[0, 5000:] == pytest.approx(160, rel=0.1)
    assert found.told()[0] == f"{whole.told()} in 1 of 2 houses; {own.told()} in 1 of 2 houses"
    assert found.mask(0, often=True).all() and not found.rare


def test_training_keeps_what_is_its_own_and_yields_to_what_is_much_likelier():
    whole, states = trained(), cycles(36, 76, 3000, 5) == 1
    house = seen(meter(states.astype(np.int8), 80, 6), np.where(states, 0.8, 0.2))
    assert WholeRuns._least(whole, house, states, states) == np.inf
    some = states & (np.arange(3000) % 5 < 3)  # F1 .75
    assert WholeRuns._least(whole, house, some, states) == pytest.approx(1.5 * sum(house.support(whole, states)))
    shown = sum(house.support(whole, states))
    assert WholeRuns._least(whole, house, np.roll(states, 20), states) == pytest.approx(1.5 * shown)  # the meter knows
    assert WholeRuns._least(whole, house, some, np.roll(states, 20)) == -np.inf  # neither steps nor the meter say so
    assert WholeRuns._least(whole, seen(np.full(3000, 200.0), 0.8), some, states) == -np.inf  # the meter does


def test_a_device_that_is_on_far_more_than_in_training_is_said_to_be_off_in_that_house_alone():
    assert most_often(0.05, 6.0) == pytest.approx(0.375) and most_often(0.05, 1.0) == pytest.approx(1.0)
    assert most_often(0.001, 30.0) == 0.1 and most_often(0.05, 0.0) == 1  # nothing is known of its runs
    rows = np.repeat([0, 1, 2], [100, 100, 99])
    known = replace(WholeRuns.everywhere({}, {}, np.zeros(299), np.zeros(299), rows), most={1: 0.3})
    on = np.stack([rows >= 0, (rows > 0) & (np.arange(299) % 3 < 1)])
    found = known.silenced(on, 100)  # the third house is too short to say
    assert found.silent == {1: [1]} and known.silenced(on, 101).silent == {}
    line = Timeline(np.arange(299), rows, np.zeros((2, 299)), np.zeros((2, 299)), None, None)
    assert (line.believed(on, found) == on & (np.arange(2)[:, None] + (rows == 1) < 2)).all()
    assert "off in 1 of 3 houses: on for over 30% of the time" in found.told()[1]
