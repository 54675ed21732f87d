"""scaler.py against numpy: a mean and a deviation a channel, of what training sees and knows."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

import scaler
from scaler import Scaler


def gappy(seed=0, channels=3, steps=40) -> tuple[np.ndarray, np.ndarray]:
    """Values with one in five missing, and a mask of the steps that training sees."""
    rng = np.random.default_rng(seed)
    values = rng.normal(3, 2, (channels, steps)).astype(np.float32)
    values[rng.random(values.shape) < 0.2] = np.nan
    return values, rng.random(steps) < 0.6


def by_numpy(values: np.ndarray, seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    chosen = values[:, seen].astype(np.float64)
    return np.nanmean(chosen, axis=1), np.nanstd(chosen, axis=1)


@pytest.mark.parametrize("part", [1, 7, 40, 1000])
def test_moments_are_those_of_numpy_wherever_the_parts_end(part, monkeypatch):
    monkeypatch.setattr(scaler, "PART", part)
    monkeypatch.setattr(scaler, "AT_ONCE", 1)
    values, seen = gappy()
    seen[14:21] = False  # the third part of 7 has no step of training
    mean, std = by_numpy(values, seen)
    found = Scaler.fit(values, seen, "abc")
    assert found.mean == pytest.approx(mean, rel=1e-12) and found.std == pytest.approx(std, rel=1e-12)
    assert found.mean.dtype == found.std.dtype == np.float64
    assert (found.channels, found.constant) == (("a", "b", "c"), ())


@pytest.mark.parametrize("first", [0, 3], ids=["whole", "scattered"])
@pytest.mark.parametrize("at_once", [1, 50, 90, 10_000])
def test_short_channels_taken_together_are_those_taken_one_by_one(at_once, first, monkeypatch):
    values = np.random.default_rng(0).normal(1e6, 2, (7, 40))
    values[2, 5], values[4], values[6] = np.nan, 0.1, np.nan
    seen = np.arange(40) < 30
    seen[:first] = [True, False, True][:first]  # not one after the other
    monkeypatch.setattr(scaler, "AT_ONCE", at_once)
    found = scaler.moments(iter(values), seen)
    for channel, (mean, std, same) in zip(values, found, strict=True):
        known = [value for value in channel[seen] if not np.isnan(value)]
        if not known:
            assert np.isnan(mean) and np.isnan(std)
            continue
        middle = math.fsum(known) / len(known)
        deviation = math.sqrt(math.fsum((value - middle) ** 2 for value in known) / len(known))
        assert mean == pytest.approx(middle, rel=1e-14) and std == pytest.approx(deviation, rel=1e-9, abs=1e-15)
        assert same == (len({*known}) == 1)
    assert scaler.moments([], seen).shape == (0, 3)


def test_steps_that_training_does_not_see_change_nothing():
    values, seen = gappy()
    other = np.where(seen, values, np.float32(1e9))
    one, two = (Scaler.fit(part, seen, "abc") for part in (values, other))
    assert (one.mean == two.mean).all() and (one.std == two.std).all()
    other[:, np.flatnonzero(seen)[0]] = -50
    assert (Scaler.fit(other, seen, "abc").mean != one.mean).all()


def test_channels_may_come_one_after_the_other():
    values, seen = gappy()
    one, two = Scaler.fit(values, seen, "abc"), Scaler.fit(iter(list(values)), seen, "abc")
    assert (one.mean == two.mean).all() and (one.std == two.std).all()


@pytest.mark.parametrize("value", [0.0, 5.0, 0.1, -1e9, 1e30])
def test_a_constant_channel_is_centred_and_named(value):
    """0.1 and 1e30 are no float32: what rounding leaves of a deviation is no scale to divide by."""
    values = np.full((2, 30), value, np.float32)
    values[1] = np.arange(30)
    values[0, 20:] = 7  # not seen
    found = Scaler.fit(values, np.arange(30) < 20, ("flat", "rising"))
    assert found.constant == ("flat",) and found.std[0] == 1
    centred = found.apply(values)[0, :20]
    assert np.abs(centred).max() <= abs(value) * 1e-6


def test_a_small_deviation_beside_a_large_offset_survives():
    """Sums of squares of 1e6 would lose a deviation of a tenth, and so would a difference in float32."""
    steps = np.random.default_rng(1).integers(-2, 3, 500)
    values = (1e6 + steps * 0.0625).astype(np.float32)[None]  # a sixteenth apart: just what float32 still holds there
    found = Scaler.fit(values, np.ones(500, bool), ["a"])
    mean, std = 0.0625 * steps.mean(), 0.0625 * steps.std()
    assert found.mean[0] - 1e6 == pytest.approx(mean, abs=1e-9) and found.std[0] == pytest.approx(std, rel=1e-6)
    assert found.apply(values)[0] == pytest.approx((0.0625 * steps - mean) / std, abs=1e-5)


def test_what_is_scaled_is_a_copy_in_float32_where_missing_stays_missing():
    values, seen = gappy()
    before = values.copy()
    found = Scaler(np.array([1.0, -2.0, 0.5]), np.array([2.0, 0.25, 4.0]), ("a", "b", "c"))
    scaled = found.apply(values)
    for c, (mean, std) in enumerate([(1.0, 2.0), (-2.0, 0.25), (0.5, 4.0)]):
        np.testing.assert_allclose(scaled[c], (before[c] - mean) / std, rtol=1e-6)
    assert scaled.dtype == np.float32 and np.array_equal(values, before, equal_nan=True)
    assert np.isnan(scaled[np.isnan(before)]).all()


def test_training_data_come_out_with_mean_0_and_deviation_1():
    values, seen = gappy()
    chosen = Scaler.fit(values, seen, "abc").apply(values)[:, seen]
    assert np.nanmean(chosen, axis=1) == pytest.approx(0, abs=1e-6)
    assert np.nanstd(chosen, axis=1) == pytest.approx(1, abs=1e-6)


def test_a_scaler_comes_back_from_plain_text():
    values, seen = gappy()
    found = Scaler.fit(values, seen, ("a", "b", "c"))
    again = Scaler.of(json.loads(json.dumps(found.plain())))
    assert again.channels == found.channels
    assert (again.mean == found.mean).all() and (again.std == found.std).all()
    assert np.array_equal(again.apply(values), found.apply(values), equal_nan=True)


def scaler_of(*channels) -> Scaler:
    values = [np.asarray(channel, np.float32) for channel in channels]
    return Scaler.fit(values, np.ones(len(values[0]), bool), [f"c{number}" for number in range(len(values))])


def test_inputs_far_from_those_of_training_are_named_by_how_far():
    noise = np.random.default_rng(2).normal(size=(2, 5000))
    noise = (noise - noise.mean(axis=1, keepdims=True)) / noise.std(axis=1, keepdims=True)
    known = scaler_of(20 + 5 * noise[0], 3 * noise[1])
    assert known.far(scaler_of(22 + 6 * noise[1], 2 * noise[0] - 1)) == ""
    kelvin = known.far(scaler_of(293 + 5 * noise[0], 3 * noise[1]))
    assert kelvin == "c0 is 54.6 deviations above the mean of training"
    milli = known.far(scaler_of(20 + 5 * noise[0], 0.003 * noise[1]))
    assert milli == "c1 has 0.001 times the deviation of training"
    both = known.far(scaler_of(-2000 + 5 * noise[0], 3000 * noise[1]))
    assert both.startswith("c0 is 404 deviations below the mean of training; c1 has 1e+03 times")
    assert known.far(scaler_of(np.full(5000, 21.0), 3 * noise[1])) == ""  # an hour in which nothing changes
