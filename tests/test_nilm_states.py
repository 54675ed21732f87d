"""states.py against plain loops, pandas, and the outage that the REFIT data are known to hold."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from tasks.nilm import states


def looped(power, threshold, min_on, min_off, step):
    """The rule of on_states for one device, run by run."""
    wanted = [states.UNKNOWN] * len(power)
    begin = 0
    while begin < len(power):
        if math.isnan(power[begin]):
            begin += 1
            continue
        end = begin
        while end < len(power) and not math.isnan(power[end]):
            end += 1
        on = [watts >= threshold for watts in power[begin:end]]
        events: list[list[int]] = []  # [first step, one after the last]
        for at, now in enumerate(on):
            if now and (at == 0 or not on[at - 1]):
                events.append([at, at])
            if now:
                events[-1][1] = at + 1
        merged: list[list[int]] = []
        for event in events:
            if merged and (event[0] - merged[-1][1]) * step < min_off:
                merged[-1][1] = event[1]
            else:
                merged.append(event)
        wanted[begin:end] = [0] * (end - begin)
        for first, last in merged:
            if (last - first) * step >= min_on:
                wanted[begin + first : begin + last] = [1] * (last - first)
        begin = end
    return wanted


@pytest.mark.parametrize("seed", range(12))
def test_states_are_those_of_a_loop_over_runs(seed):
    random = np.random.default_rng(seed)
    power = random.choice([0.0, 10.0, 50.0, 90.0], (3, 400), p=[0.3, 0.2, 0.2, 0.3])
    power = np.repeat(power, random.integers(1, 6, 400), axis=1)
    power[random.random(power.shape) < 0.02] = np.nan
    threshold, min_on, min_off, step = [50, 10, 90], [24, 0, 41], [17, 33, 0], 8
    found = states.on_states(power.astype(np.float32), threshold, min_on, min_off, step)
    wanted = [looped(*each, step) for each in zip(power.tolist(), threshold, min_on, min_off, strict=True)]
    assert found.dtype == np.int8
    np.testing.assert_array_equal(found, np.array(wanted))
    assert 0.05 < np.mean(found == 1) < 0.95


def test_breaks_are_filled_before_short_runs_are_dropped():
    power = np.array([[0, 9, 0, 9, 0, 0, 0, 9, 0]], np.float32)
    assert states.on_states(power, 5, 30, 20, 10).tolist() == [[0, 1, 1, 1, 0, 0, 0, 0, 0]]


def test_limits_are_met_by_runs_of_just_that_length():
    power = np.array([[9, 9, 0, 0, 9, 9]], np.float32)
    assert states.on_states(power, 9, 20, 20, 10).tolist() == [[1, 1, 0, 0, 1, 1]]
    assert states.on_states(power, 9, 20.1, 20, 10).tolist() == [[0] * 6]
    assert states.on_states(power, 9, 20, 20.1, 10).tolist() == [[1] * 6]
    assert states.on_states(power, 9.1, 0, 0, 10).tolist() == [[0] * 6]


def test_a_gap_splits_and_stays_unknown():
    nan = math.nan
    power = np.array([[9, 9, nan, 9, 0, nan, 9, 9, 9]], np.float32)
    found = states.on_states(power, 5, 30, 1000, 10)
    np.testing.assert_array_equal(found, [[0, 0, 2, 0, 0, 2, 1, 1, 1]])
    assert states.on_states(np.empty((2, 0), np.float32), 5, 10, 10, 8).shape == (2, 0)


def test_scores_are_compared_in_their_own_float_type():
    score = np.array([[0.7]], np.float32)  # which is below 0.7 in float64
    assert states.on_states(score, 0.7, 0, 0, 8).tolist() == [[1]]


# ---- frozen meters


def test_the_frozen_mains_of_refit_house_2_are_found_and_nothing_of_its_nights(shared):
    frame = pd.read_csv(shared / "refit_house2" / "refit_house2_2015-01-04_2015-01-17_8s.csv.gz")
    mains = frame["aggregate"].to_numpy(np.float32)
    resting = states.resting_level(mains[: len(mains) * 7 // 10], 8, 1800)
    starts, lengths = states.runs(states.flat_lines(mains, 8, 1800, resting))
    spans = {frame["timestamp"][at]: (mains[at], n * 8 / 60) for at, n in zip(starts[1::2], lengths[1::2], strict=True)}
    assert spans["2015-01-05 20:45:28+00:00"] == (2729, 795.6)
    # The other one is an outage as well: the next day the value stands for 88 minutes at 389 W, five times standby.
    assert [watts for watts, _ in spans.values()] == [2729, 389]


def household(nights: int, standby: float, outage: int) -> np.ndarray:
    """Whole watts, a step a minute: nights of constant standby, lively days, and a frozen hour on one of them."""
    random = np.random.default_rng(0)
    day = np.round(400 + random.normal(0, 30, (nights, 960)))
    mains = np.concatenate([np.full((nights, 480), standby), day], axis=1).ravel()
    mains[outage : outage + 60] = 735
    return mains.astype(np.float32)


def test_a_standby_that_stands_still_every_night_is_not_frozen():
    mains = household(nights=10, standby=62, outage=5 * 1440 + 900)
    found = states.flat_lines(mains, 60, 1800, states.resting_level(mains, 60, 1800))
    assert np.flatnonzero(found).tolist() == list(range(5 * 1440 + 900, 5 * 1440 + 960))


def test_a_lamp_on_top_of_the_standby_is_known_by_coming_back():
    mains = household(nights=10, standby=62, outage=2 * 1440 + 900)
    mains[6 * 1440 : 6 * 1440 + 240] = 121
    mains[7 * 1440 : 7 * 1440 + 300] = 122  # the same lamp: a meter of whole watts
    assert states.resting_level(mains, 60, 1800) == 122
    found = states.flat_lines(mains, 60, 1800, 122)
    assert np.flatnonzero(found).tolist() == list(range(2 * 1440 + 900, 2 * 1440 + 960))


def test_a_span_counts_from_its_least_length_and_gaps_never():
    mains = np.array([5, 9, 9, 9, 5, 9, 9, math.nan, math.nan, math.nan, math.nan], np.float32)
    assert np.flatnonzero(states.flat_lines(mains, 10, 30, 6)).tolist() == [1, 2, 3]
    assert not states.flat_lines(mains, 10, 30.5, 6).any() and not states.flat_lines(mains, 10, 30, 9).any()
    assert not states.flat_lines(np.arange(9, dtype=np.float32), 10, 5, 0).any()  # one step is no standstill
    assert states.resting_level(np.full(5, np.nan, np.float32), 10, 30) == 0


# ---- the base under a signal


@pytest.mark.parametrize("width", [1, 2, 3, 7, 64, 200, 1000])
@pytest.mark.parametrize("centred", [True, False])
def test_rolling_minimum_is_that_of_pandas(width, centred, monkeypatch):
    random = np.random.default_rng(width)
    x = random.normal(size=(2, 203)).astype(np.float32)
    x[random.random(x.shape) < 0.2] = np.nan
    x[1, 40:60] = np.nan
    wanted = pd.DataFrame(x.T).rolling(width, min_periods=1, center=centred).min().to_numpy().T
    found = states.rolling_minimum(x, width, centred)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, wanted.astype(np.float32))
    monkeypatch.setattr(states, "PIECE", 10)
    np.testing.assert_array_equal(states.rolling_minimum(x, width, centred), wanted.astype(np.float32))


# ---- windows joined up


@pytest.mark.parametrize("stride", [1, 3, 10, 25])
def test_stitched_windows_are_means_over_what_covers_a_step(stride):
    random = np.random.default_rng(stride)
    starts = np.arange(0, 90, stride) + 4
    windows = random.random((len(starts), 2, 10)).astype(np.float32)
    cover: list[list[np.ndarray]] = [[] for _ in range(110)]
    for window, start in zip(windows, starts, strict=True):
        for step in range(10):
            cover[start + step].append(window[:, step])
    wanted = np.array([np.mean(found, axis=0) if found else [np.nan, np.nan] for found in cover]).T
    covered = np.flatnonzero(~np.isnan(wanted[0]))
    found = {}
    for parts in (1, 3, len(starts)):
        stitcher = states.Stitcher(2, 110)
        for part in np.array_split(np.arange(len(starts)), parts):
            stitcher.add(windows[part], starts[part])
        at, found[parts] = stitcher.means()
        assert at.tolist() == covered.tolist() and found[parts].dtype == np.float32
        np.testing.assert_allclose(found[parts], wanted[:, covered], rtol=1e-5)
        np.testing.assert_array_equal(found[parts], found[1])


def test_an_outage_with_a_gap_in_it_does_not_come_back():
    """A standby of 60 W returns; a meter that hangs at 900 W does not, although a step of it is missing."""
    mains = np.random.default_rng(0).uniform(100, 800, 3000).astype(np.float32)
    mains[100:160] = mains[500:560] = 60
    mains[2000:2200] = 900
    mains[2100] = np.nan
    assert states.resting_level(mains[:2500], 60, 1800) < 200
    frozen = states.flat_lines(mains, 60, 1800, states.resting_level(mains[:2500], 60, 1800))
    assert frozen.sum() == 199 and not frozen[100:160].any()
    mains[2300:2340] = 900  # once more, on its own: now it is a level that comes back
    assert states.resting_level(mains[:2500], 60, 1800) == 900
