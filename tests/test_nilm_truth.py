"""tasks/nilm/truth.py: readings that cannot be true, by plain loops."""

from __future__ import annotations

import numpy as np
import pytest

import cli
import splits
import windows
from data import Series
from tasks.nilm.rules import Rules
from tasks.nilm.states import UNKNOWN
from tasks.nilm.truth import believable, dead, exceeding, learned_from, spikes, targets_of
from times.clock import Clock
from times.frequencies import fixed_freq

SECOND = 10**9


def house(mains: np.ndarray, *devices: np.ndarray, step: int = 10) -> Series:
    values = np.stack([mains, *devices]).astype(np.float32)
    steps, names = len(mains), ("mains", "kettle", "lamp")[: len(values)]
    time = np.arange(steps) * step * SECOND
    return Series(values, np.array([0, steps]), names, ("h",), time=time, clock=Clock(fixed_freq(step * SECOND), "UTC"))


def looped(mains: np.ndarray, devices: np.ndarray, step: float) -> list[bool]:
    found, run = [False] * len(mains), []
    for i in range(len(mains) + 1):
        if i < len(mains) and np.nansum(np.maximum(devices[:, i], 0)) > 1.1 * mains[i] + 20:
            run.append(i)
            continue
        if len(run) * step >= 300:
            for j in run:
                found[j] = True
        run = []
    return found


@pytest.mark.parametrize("step", [10, 16, 60])
def test_devices_above_the_meter_for_five_minutes_are_those_of_a_plain_loop(step):
    random = np.random.default_rng(step)
    mains = random.uniform(50, 200, 600).astype(np.float32)
    devices = random.uniform(-5, 60, (2, 600)).astype(np.float32)
    for begin, length in ((20, 29), (80, 30), (140, 31), (200, 19), (300, 5), (560, 40)):
        devices[0, begin : begin + length] = 512
    devices[1, 150], mains[145] = np.nan, np.nan
    found = exceeding(mains, devices, step)
    assert found.tolist() == looped(mains, devices, step) and found.any()


def test_a_meter_of_nothing_has_read_nothing_unless_the_house_rests_there():
    mains = np.full(1000, 150, np.float32)
    kettle = np.zeros(1000, np.float32)
    mains[100:129] = mains[200:230] = mains[300:302] = 0
    kettle[301] = 2000
    assert np.flatnonzero(dead(mains, kettle[None], 10)).tolist() == [*range(200, 230), 300, 301]
    mains[500:700] = 0  # a fifth of the time: plugs alone, or the sun on the roof
    assert not dead(mains, kettle[None], 10).any()
    assert not dead(np.full(5, np.nan, np.float32), np.zeros((1, 5), np.float32), 10).any()


def test_what_cannot_be_true_is_left_out_and_counted():
    mains, kettle, lamp = np.full(1000, 150.0), np.zeros(1000), np.zeros(1000)
    kettle[50:110], lamp[700:800] = 400, 60
    mains[300:400] = 0
    series = believable(house(mains, kettle, lamp))
    assert np.isnan(series.values[0, 300:400]).all() and np.isnan(series.values[0]).sum() == 100
    zero, more = series.notes
    assert "100 steps" in zero and "60 steps" in more
    found = targets_of(
        series,
        cli.parse(["--mode", "train", "--task", "nilm", "--demo"]),
        Rules({"on_w": {}, "min_on": {}, "min_off": {}}),
        False,
    )
    assert (found.states[:, 50:110] == UNKNOWN).all() and (found.states == UNKNOWN).sum() == 120
    fine = house(mains + 100, lamp)
    assert believable(fine).notes == () and believable(fine).values is fine.values


def test_a_device_that_holds_others_makes_nothing_wrong():
    """A phase of the house beside what hangs on it: together they are above the meter most of the time."""
    mains = np.full(1000, 300.0)
    lamp = np.where(np.arange(1000) < 400, 200.0, 0)
    series = believable(house(mains, mains, lamp))
    assert "400 steps" in series.notes[0] and "one of them may hold others; they stay" in series.notes[0]
    config = cli.parse(["--mode", "train", "--task", "nilm", "--demo"])
    found = targets_of(series, config, Rules({"on_w": {}, "min_on": {}, "min_off": {}}), False)
    assert not (found.states == UNKNOWN).any()


@pytest.mark.parametrize(
    "words", ["--folds 3", "--folds 1", "--folds 2 --test-ratio 0", "--folds 2 --split-sizes 500 90 80"]
)
def test_the_power_at_rest_is_learned_on_what_the_first_fold_trains_on(words):
    config = cli.parse([*"--mode train --task nilm --demo --split-mode rolling".split(), *words.split()])
    steps, offsets = 1000, np.array([0, 1000])
    index = windows.cover(offsets, np.ones(steps, bool), length=1, stride=1)
    first, *_ = splits.make(
        index, offsets, mode="rolling", val_ratio=config.val_ratio, test_ratio=config.test_ratio, seed=0,
        folds=config.folds, sizes=config.split_sizes,
    )  # fmt: skip
    assert learned_from(steps, config) == np.flatnonzero(first.train.targeted(steps)).max() + 1


@pytest.mark.parametrize(("step", "frozen"), [(60, 30), (150, 12), (900, 12), (3600, 12)])
def test_in_long_steps_a_frozen_meter_repeats_itself_more_than_twice(step, frozen):
    """A meter of whole Wh says the same twice in a row by chance: dozens of steps were left out for it."""
    mains = np.random.default_rng(3).integers(0, 4, 400) * 100.0 + 300
    for begin, length in ((100, frozen - 1), (200, frozen)):
        mains[begin - 1 : begin + length + 1] = 320, *[950.0] * length, 330
    series = house(mains, np.zeros(400), step=step)
    config = cli.parse(
        "--mode train --task nilm --csv x.csv --time-col t --device-cols kettle --drop-flatlines".split()
    )
    found = targets_of(series, config, Rules({}), drop_flatlines=True).states[0] == UNKNOWN
    assert np.flatnonzero(found).tolist() == list(range(200, 200 + frozen))


def test_a_moment_above_all_that_the_house_draws_around_is_a_spike():
    draw = np.random.default_rng(3)
    mains = 100.0 + 900 * (draw.random(400) < 0.1)
    mains[50:70] = np.nan
    watts = np.where(draw.random(400) < 0.3, 80.0, 0.0)
    watts[[30, 31, 200, 399]] = 32768, 4000, 32768, 1300
    watts[300:306] = 5000  # a minute: no moment
    watts[350] = 1100  # no more than the house draws somewhere around
    found = spikes(mains, watts, 10.0)
    high, plain = 1.1 * np.array([np.nanmax(mains[max(i - 30, 0) : i + 30]) for i in range(400)]) + 20, []
    for i in range(400):
        begin, end = i, i + 1
        while begin and watts[begin - 1] > high[begin - 1]:
            begin -= 1
        while end < 400 and watts[end] > high[end]:
            end += 1
        plain.append(bool(watts[i] > high[i] and (end - begin) * 10 < 60))
    np.testing.assert_array_equal(found, plain)
    assert np.flatnonzero(found).tolist() == [30, 31, 200, 399]


def test_a_spike_is_read_as_what_came_before_it_and_told():
    mains = np.tile([100.0, 2300.0, 2300.0, 2300.0, 100.0], 100)
    kettle = np.where(mains > 1000, 2200.0, 0.0)
    lamp = np.full(500, 40.0)
    lamp[[0, 100, 101]], kettle[8] = (49150, 12288, 9000), np.nan
    found = believable(house(mains, kettle, lamp))
    np.testing.assert_array_equal(found.values[2], np.full(500, 40, np.float32))
    np.testing.assert_array_equal(found.values[1], kettle.astype(np.float32))
    (note,) = found.notes
    assert "ten minutes around: lamp (3, up to 49,150 W); taken as the ones before them" in note
    lamp[::20] = 49150  # more than a hundredth: another unit, say
    assert not any("ten minutes" in note for note in believable(house(mains, kettle, lamp)).notes)
