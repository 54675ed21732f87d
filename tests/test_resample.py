"""readers/resample.py, clocks and their hints: steps of the calendar, partial steps, jitter, newest first."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from errors import DataError, UsageError
from readers.long import read_long
from times.clock import Clock

NAN = float("nan")


@pytest.fixture
def series(put):
    """Read times and values, by default 0, 1, 2, ..., as a long file."""

    def read(times, values=None, **options):
        values = range(len(times)) if values is None else values
        lines = [f"{time},{value}" for time, value in zip(times, values, strict=True)]
        return read_long([put("\n".join(["t,x", *lines]))], time_col="t", **options)

    return read


def monthly(days, start="2018-01", n=30):
    """Dates on a day of each month that `days` gives for its number."""
    months = pd.period_range(start, periods=n, freq="M")
    return [f"{month}-{days(k, month):02d}" for k, month in enumerate(months)]


# ---- steps of the calendar


@pytest.mark.parametrize("day", [2, 3, 15, 28, 29, 30])
@pytest.mark.parametrize("every", [1, 3, 12])
def test_months_on_any_day(series, day, every):
    times = monthly(lambda _, month: min(day, month.days_in_month), n=4 * 12 + 1)[::every]
    found = series(times)
    ahead = monthly(lambda _, month: min(day, month.days_in_month), n=120)[::every][len(times) :][:4]
    assert found.clock.show(found.clock.extend(int(found.time[-1]), 4)) == ahead
    assert found.clock.freq == f"{every if every > 1 else ''}MS-{day}"


def test_months_on_a_day_with_an_hour_and_a_zone(series):
    times = [f"{day} 07:30" for day in monthly(lambda *_: 15)]
    clock = series(times, tz="Europe/Berlin").clock
    last = pd.Timestamp("2020-06-15 07:30", tz="Europe/Berlin").as_unit("ns").value
    expected = [f"2020-{month:02d}-15 07:30:00+0{2 if month < 11 else 1}:00" for month in range(7, 13)]
    assert clock.show(clock.extend(last, 6)) == expected


@pytest.mark.parametrize(
    ("freq", "better"),
    [
        *[("MS", "MS"), ("ME", "MS"), ("BME", "MS"), ("BMS", "MS"), ("WOM-4SAT", "MS"), ("WOM-2WED", "MS")],
        *[("QE", "QS-JAN"), ("QS-FEB", "QS-FEB"), ("BQE", "QS-JAN"), ("QE-JAN", "QS-JAN")],
        *[("YE", "YS-JAN"), ("YS", "YS-JAN"), ("BYE", "YS-JAN"), ("YE-JUN", "YS-JAN")],
        *[("B", "B"), ("7D", "7D"), ("D", "1D"), ("h", "1h")],
    ],
)
@pytest.mark.parametrize("missing", [1, 5, 17])
def test_the_hint_for_a_missing_step_makes_it_one(series, freq, better, missing):
    times = pd.date_range("2015-01-05", periods=24, freq=Clock(freq).offset()).astype(str).delete(missing)
    with pytest.raises(DataError) as caught:
        series(times)
    hint = re.search(r"--resample (\S+)", str(caught.value))[1]
    values = [*range(missing), *range(missing + 1, 24)]
    found = series(times, values, resample=hint, nan="drop")
    if freq == "B":
        assert hint == "B"
    np.testing.assert_array_equal(found.values[0], [k if k != missing else NAN for k in range(24)])
    assert hint == better or missing == 1


def test_the_hint_for_a_missing_month_on_the_15th(series):
    times = monthly(lambda *_: 15)
    with pytest.raises(DataError, match=r"where the usual step is MS-15\n.*--resample MS-15 makes"):
        series([*times[:20], *times[21:]])
    found = series([*times[:20], *times[21:]], resample="MS-15", nan="drop")
    assert found.clock.show(found.time) == times and np.isnan(found.values[0]).nonzero()[0].tolist() == [20]


def test_the_middle_of_each_month(series):
    times = [str(pd.Timestamp(m.start_time) + (m.end_time - m.start_time).round("D") / 2) for m in months(60)]
    assert series(times).clock.freq == "MS"  # one line a month
    found = series(times, resample="MS")
    assert found.clock.freq == "MS" and found.values[0].tolist() == list(range(60))


def months(n):
    return pd.period_range("2018-01", periods=n, freq="M")


@pytest.mark.parametrize("begin", range(3))
def test_months_of_four_and_five_weeks(series, begin):
    weeks = np.cumsum([0, *([4, 4, 5] * 8)[begin : begin + 20]])
    times = [str((pd.Timestamp("2023-01-28") + pd.Timedelta(7 * int(w), "D")).date()) for w in weeks]
    if begin:
        with pytest.raises(DataError, match=r"4-4-5.*--resample 91D averages"):
            series(times)
    else:  # each month has one of these days
        assert series(times).clock.freq == "MS"
    assert series(times, resample="91D").clock.freq == "91D"


@pytest.mark.parametrize("named", ["ME", "2ME", "QE", "QE-FEB", "YE", "BME", "BQE", "BYE", "WOM-4SAT"])
def test_steps_named_by_their_end_are_refused_with_one_that_works(series, named):
    with pytest.raises(UsageError, match="names a step by its end") as caught:
        series(["2024-01-31"] * 3, resample=named)
    hint = re.search(r"--resample (\S+)", str(caught.value))[1]
    assert len(series(pd.date_range("2010", periods=6000).astype(str), resample=hint).values[0]) >= 3


# ---- weeks


@pytest.mark.parametrize("day", "MON TUE WED THU FRI SAT SUN".split())
def test_weeks_begin_on_any_day(series, day):
    times = pd.date_range("2023-01-01", periods=100)
    found = series(times.astype(str), range(100), resample=f"W-{day}")
    begins = [k for k, time in enumerate(times) if time.strftime("%a").upper() == day]
    assert found.clock.show(found.time) == [str(times[k].date()) for k in begins if k + 7 <= 100]
    np.testing.assert_array_equal(found.values[0], [k + 3 for k in begins if k + 7 <= 100])
    assert found.clock == Clock(f"W-{day}")


def test_a_week_begins_on_monday():
    assert Clock("W") == Clock("W-MON") and Clock("2W") == Clock("2W-MON")


# ---- steps that are not whole


@pytest.mark.parametrize(
    ("first", "last", "freq", "step", "left"),
    [
        ("2024-01-01 00:00", "2024-03-31 23:00", "h", "D", 0),
        ("2024-01-01 01:00", "2024-03-31 22:00", "h", "D", 2),
        ("2024-01-01 13:00", "2024-03-31 23:00", "h", "D", 1),
        ("2024-01-02", "2024-12-31", "D", "MS", 1),
        ("2024-01-01", "2024-12-30", "D", "MS", 1),
        ("2024-01-01", "2024-12-31", "D", "QS", 0),
        ("2024-01-31", "2025-12-31", "ME", "QS", 0),
        ("2024-02-29", "2025-12-31", "ME", "QS", 1),
        ("2024-01-15", "2025-11-15", "MS-15", "QS", 1),
        ("2024-06-03", "2024-12-31", "B", "MS", 0),
        ("2024-06-05", "2024-12-26", "B", "MS", 2),
        ("2024-01-01 00:07", "2024-01-03 23:52", "15min", "h", 0),
        ("2024-01-01 00:22", "2024-01-03 23:37", "15min", "h", 2),
        ("2024-01-01", "2024-01-31", "D", "h", 0),
    ],
)
def test_first_and_last_steps_that_lines_cover_in_part_are_left_out(series, first, last, freq, step, left):
    clock = Clock(freq)
    if freq == "MS-15":
        times = pd.DatetimeIndex(list(monthly(lambda *_: 15, "2024-01", 23)))
    else:
        times = pd.date_range(first, last, freq=clock.offset())
    found = series(times.astype(str), resample=step, nan="drop")
    frame = pd.Series(range(len(times)), times).resample(Clock(step).offset(), closed="left", label="left")
    assert len(found.time) == len(frame.mean()) - left
    told = [note for note in found.notes if "left out" in note]
    assert len(told) == bool(left) and all(note.startswith(f"{left} first or last step") for note in told)


def test_the_rows_that_are_cut_are_named(put):
    days = pd.date_range("2024-01-01", periods=42)
    lines = [f"{time.date()},{name},{k}" for name, cut in (("a", 0), ("b", 3)) for k, time in enumerate(days[cut:])]
    found = read_long([put("\n".join(["t,id,x", *lines]))], time_col="t", id_col="id", resample="W")
    assert found.lengths.tolist() == [6, 5]
    assert "1 first or last step left out, of which the lines cover a part: b 2024-01-01 00:00:00" in found.notes


# ---- jitter


@pytest.mark.parametrize("step", [120, 3600])
def test_a_second_early_or_late_is_the_same_step(series, step):
    random = np.random.default_rng(3)
    shift = np.where(random.random(200) < 0.3, random.integers(-1, 2, 200), 0)
    times = pd.Timestamp("2024-05-01") + pd.to_timedelta(np.arange(200) * step + shift, "s")
    with pytest.raises(DataError) as caught:
        series(times.astype(str), strict=True)
    hint = re.search(r"--resample (\S+)", str(caught.value))[1]
    found = series(times.astype(str), resample=hint)
    by_itself = series(times.astype(str))
    assert np.array_equal(by_itself.values, found.values) and np.array_equal(by_itself.time, found.time)
    assert found.clock.step == step * 10**9 and found.values[0].tolist() == list(range(200))
    assert any("early count to the step that begins then" in note for note in found.notes)


# ---- order


def test_lines_that_come_newest_first_are_turned(series, put):
    times = pd.date_range("2024-05-01", periods=50, freq="h").astype(str)
    found = series(times[::-1], range(49, -1, -1))
    assert found.values[0].tolist() == list(range(50)) and (np.diff(found.time) > 0).all()
    assert "lines are newest first, and were read from the last to the first: a" in found.notes
    with pytest.raises(DataError, match=r"a.csv:12:2: missing value"):
        series(times[::-1], [*range(10), "", *range(39)])
    mixed = np.random.default_rng(0).permutation(50)
    found = series(times[mixed], mixed)
    assert found.values[0].tolist() == list(range(50)) and (np.diff(found.time) > 0).all()


@pytest.mark.parametrize("step", ["h", "15min"])
@pytest.mark.parametrize("resample", ["", "1h"])
@pytest.mark.parametrize("newest", [False, True])
def test_the_hour_that_comes_twice(series, step, resample, newest):
    axis = pd.date_range("2024-10-25", "2024-10-29", freq=step, tz="Europe/Berlin", inclusive="left")
    wall, values = axis.tz_localize(None).astype(str), list(range(len(axis)))
    order = slice(None, None, -1 if newest else 1)
    with pytest.raises(DataError, match="--tz Europe/Berlin"):
        series(wall[order], values[order], resample=resample, strict=True)
    expected = pd.Series(values, axis).resample(resample or step).mean()
    for zone in ("", "Europe/Berlin"):
        found = series(wall[order], values[order], resample=resample, tz=zone)
        np.testing.assert_array_equal(found.time, expected.index.as_unit("ns").asi8)
        np.testing.assert_allclose(found.values[0], expected)


def test_lines_of_one_time_at_all_hours_are_averaged(series):
    """Ten lines an hour with the hour alone as their time: no clock was set back."""
    times = np.repeat(pd.date_range("2024-10-25", periods=96, freq="h").astype(str), 10)
    found = series(times, resample="1h")
    np.testing.assert_allclose(found.values[0], np.arange(960).reshape(96, 10).mean(axis=1))
