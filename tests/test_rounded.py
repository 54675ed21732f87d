"""readers/rounded.py: times that were rounded as they were written are those of even steps."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from errors import DataError
from readers.long import read_long

from .runs import go


def table(times: np.ndarray, form: str) -> str:
    """Lines at these times, ns, of which the label changes every ten."""
    written = pd.DatetimeIndex(times.astype("datetime64[ns]")).strftime(form)
    if form.endswith("%f"):  # whole thousandths of seconds
        written = [time[:-3] for time in written]
    return "\n".join(["time,x,state", *(f"{time},{k}.5,{k // 10 % 2}" for k, time in enumerate(written))]) + "\n"


def read(put, text, **more):
    return read_long([put(text)], time_col="time", sep="auto", decimal="auto", **more)


@pytest.mark.parametrize("rate", [30, 60, 64, 128, 256])
@pytest.mark.parametrize("way", [np.floor, np.round])
def test_so_many_lines_a_second_in_whole_milliseconds(put, rate, way):
    start = 1_700_000_000_000_000_000
    exact = np.arange(4000) * 1e9 / rate
    series = read(put, table(start + (way(exact / 1e6) * 1e6).astype(np.int64), "%Y-%m-%d %H:%M:%S.%f"))
    assert series.values.shape == (2, 4000) and series.values[1, :21].tolist() == [0] * 10 + [1] * 10 + [0]
    assert series.clock.step == round(1e9 / rate)
    assert np.abs(series.time - start - exact).max() < 1e6
    assert "times are rounded to 1 ms: they are those of even steps of" in " ".join(series.notes)


def test_a_line_a_minute_of_which_some_are_a_second_early(put, tmp_path):
    random = np.random.default_rng(0)
    minutes = np.arange(1, 601) * 60_000_000_000
    times = 1_700_000_040_000_000_000 + minutes - (random.random(600) < 0.3) * 1_000_000_000
    times[0] = 1_700_000_040_000_000_000 + minutes[0]
    text = table(times, "%Y-%m-%d %H:%M:%S")
    series = read(put, text)
    assert series.clock.freq == "min" and series.values.shape == (2, 600)
    assert {*np.unique(series.values[1])} == {0, 1}  # no label is the mean of two
    assert "--label-src-ch state" in go(tmp_path, "--csv a.csv").out


def test_lines_a_little_early_or_late_and_some_missing_are_on_the_steps_that_they_are_nearest_to(put):
    random = np.random.default_rng(0)
    minutes = np.delete(np.arange(1, 601), [100, *range(300, 340)]) * 60_000_000_000
    off = random.integers(-5, 6, len(minutes)) * 1_000_000_000
    series = read(put, table(1_700_000_040_000_000_000 + minutes + off, "%Y-%m-%d %H:%M:%S"), nan="auto")
    assert series.clock.freq == "min" and series.values.shape == (2, 600)
    told = " ".join(series.notes)
    assert "lines up to 5s early or late count to the even steps of 1 min" in told
    assert "each of 41 steps without a line counts as missing" in told and np.isnan(series.values[:, 301:338]).all()
    k = np.searchsorted(minutes, 500 * 60_000_000_000)  # minute 500 is column 499 still
    assert series.values[0, 499] == k + 0.5


def test_a_device_with_steps_of_its_own_and_lines_missing(put):
    random = np.random.default_rng(1)
    kept = np.delete(np.arange(2000), [50, 51, 700, *random.choice(np.arange(900, 1900), 30, replace=False)])
    exact = 1_700_000_000_000_000_000 + (kept * 30.717e9).astype(np.int64)
    exact[kept > 1500] += 12_000_000_000  # it was switched off for a while, and begins anew
    series = read(put, table(exact // 1_000_000_000 * 1_000_000_000, "%Y-%m-%d %H:%M:%S"), nan="auto")
    assert series.values.shape == (2, 2000) and abs(series.clock.step / 30.717e9 - 1) < 1e-3
    assert np.isnan(series.values[0]).sum() == 0 and series.filled[0].sum() == 2000 - len(kept)
    at = np.flatnonzero(~series.filled[0])
    assert at.tolist() == kept.tolist()
    assert np.abs(series.time[at] - exact).max() < 30e9


@pytest.mark.parametrize("seconds", [(0, 7, 15), (0, 0, 0, 0, 0, 0, 20)])
def test_lines_that_are_nowhere_near_even_steps_are_an_error(put, seconds):
    off = np.resize(seconds, 300) * 1_000_000_000
    times = 1_700_000_040_000_000_000 + np.arange(300) * 30_000_000_000 + off
    with pytest.raises(DataError, match="where the usual step is"):
        read(put, table(times, "%Y-%m-%d %H:%M:%S"))


def test_times_that_are_rounded_too_far_and_strict_reading_are_errors(put):
    times = 1_700_000_010_000_000_000 + np.arange(300) * 30_000_000_000 + np.arange(300) % 3 * 1_000_000_000
    assert read(put, table(times, "%Y-%m-%d %H:%M:%S")).clock.step == 30_000_000_000
    with pytest.raises(DataError, match="where the usual step is 31s") as caught:
        read_long([put(table(times, "%Y-%m-%d %H:%M:%S"))], time_col="time", strict=True)
    assert "--resample 30s makes the steps regular" in caught.value.hint  # which they are in the mean
    even = 1_700_000_000_000_000_000 + (np.arange(300) * 15.625 // 1 * 1e6).astype(np.int64)
    with pytest.raises(DataError, match="a step of 15ms, where the usual step is 16ms"):
        read_long([put(table(even, "%Y-%m-%d %H:%M:%S.%f"))], time_col="time", strict=True)


def test_a_part_of_the_lines_has_the_same_step(put):
    exact = np.arange(4000) * 1e9 / 64
    times = 1_700_000_000_000_000_000 + (exact // 1e6 * 1e6).astype(np.int64)
    whole, part = (read(put, table(some, "%Y-%m-%d %H:%M:%S.%f")) for some in (times, times[1001:1300]))
    assert whole.clock.freq == part.clock.freq


def test_every_other_day_at_changing_times_is_a_step_of_two_days(put):
    """A runner's list: the mean of its steps is 2 days but for a second, and a step of two days is meant."""
    late = np.random.default_rng(3).integers(-50, 50, 160)
    times = pd.date_range("2023-02-15 07:12:33", periods=160, freq="2D") + pd.to_timedelta(late, unit="min")
    lines = [f"{time},{k % 7}.5" for k, time in enumerate(times)]
    series = read_long([put("\n".join(["Date,Distance", *lines]) + "\n")], time_col="Date")
    assert np.unique(np.diff(series.time)).tolist() == [2 * 24 * 3600 * 10**9]
    assert any("min early or late count to the even steps of 2 days" in note for note in series.notes)


@pytest.mark.parametrize(("usual", "spread"), [(60.1, 15), (5.3, 0.7), (3601, 900), (1.9, 0.3), (0.051, 0.01)])
def test_lines_of_a_device_that_keeps_no_time_are_averaged_over_its_usual_step(put, usual, spread):
    draw = np.random.default_rng(0)
    steps = usual + draw.uniform(-spread, spread, 399)
    steps[200] += 40 * usual  # it was off
    seconds = np.append(0, np.cumsum(steps))
    times = pd.Timestamp("2024-03-01 10:00") + pd.to_timedelta(seconds, "s").round("ms")
    values = np.arange(400) % 50 / 4
    path = put("\n".join(["time,x", *(f"{time},{value}" for time, value in zip(times, values, strict=True))]) + "\n")
    series = read_long([path], time_col="time", nan="drop")
    step = min((60, 5, 3600, 2, 0.05), key=lambda length: abs(length - usual))
    wanted = pd.Series(values, times).resample(f"{round(step * 1000)}ms").mean()
    wanted = wanted[series.time.view("datetime64[ns]")[0] :][: series.values.shape[1]]
    assert series.clock.step == step * 1e9 and len(wanted) >= 400
    assert np.array_equal(series.time.view("datetime64[ns]"), wanted.index.to_numpy())
    np.testing.assert_allclose(series.values[0], wanted, rtol=1e-6)
    assert "lines come in uneven steps, and the mean of each" in " ".join(series.notes)
    with pytest.raises(DataError, match="a step of"):
        read_long([path], time_col="time", nan="drop", strict=True)


@pytest.mark.parametrize("kind", ["events", "calendar", "few"])
def test_lines_of_events_are_no_steps_of_a_device(put, kind):
    draw = np.random.default_rng(1)
    steps = {"events": draw.exponential(60, 300), "calendar": draw.choice([28, 31], 60) * 86_400.0, "few": [60, 63] * 6}
    seconds = np.cumsum(steps[kind])
    times = pd.Timestamp("2024-03-01 10:00") + pd.to_timedelta(seconds, "s").round("s")
    path = put("\n".join(["time,x", *(f"{time},1" for time in times.unique())]) + "\n")
    with pytest.raises(DataError):
        read_long([path], time_col="time", nan="drop")


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("odd", "hint"), [((1753, 1757), "5YS-JAN"), (range(1742, 1782), "YS-JAN")])
def test_years_are_no_steps_of_a_device_that_is_early_or_late(put, odd, hint):
    """Every fifth year, but for two that stand off, or forty of each year: they were put 346 days away, told in ms."""
    years = sorted({*range(1742, 2003, 5), *odd} - {1747})
    path = put("\n".join(["year,gini", *(f"{year},0.{year}" for year in years)]) + "\n")
    with pytest.raises(DataError, match=f"--resample {hint} makes the steps regular"):
        read_long([path], time_col="year", nan="auto")
