"""Clocks of the open hours of a week, against days and hours written out one by one."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from times.clock import Clock, infer_clock
from times.hours import DAY, found_in, slots, text_of

from .runs import go

MINUTE = DAY // 1440


def stamps(days, *hours):
    """ns of the times `HH:MM` of each day, one by one."""
    return np.array([pd.Timestamp(f"{day:%Y-%m-%d} {hour}").as_unit("ns").value for day in days for hour in hours])


def days(first, count, *weekdays):
    return [day for day in pd.date_range(first, periods=count) if not weekdays or day.day_name()[:3] in weekdays]


BARS = [f"{minute // 60:02d}:{minute % 60:02d}" for minute in range(570, 960, 15)]
TRADED = days("2024-01-01", 60, "Mon", "Tue", "Wed", "Thu", "Fri")
SHORTER = np.sort(
    np.concatenate(
        [
            stamps(days("2024-01-01", 40, "Mon", "Tue", "Wed", "Thu", "Fri"), *BARS),
            stamps(days("2024-01-01", 40, "Sat"), *BARS[:8]),
        ]
    )
)


@pytest.mark.parametrize(
    "times, freq, cycles",
    [
        (stamps(TRADED, *BARS), "15min@MON-FRI 09:30-15:45", (26, 130)),
        (stamps(days("2024-01-01", 40), "08:00", "09:00", "10:00", "18:00"), "h@MON-SUN 08:00-10:00 18:00", (4, 28)),
        (stamps(days("2024-01-01", 60, "Mon", "Wed", "Sat"), "00:00"), "D@MON; WED; SAT", (3,)),
        (stamps(days("2024-01-01", 60, "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"), "06:00"), "D@MON-SAT 06:00", (6,)),
        (SHORTER, "15min@MON-FRI 09:30-15:45; SAT 09:30-11:15", (138,)),
    ],
)
def test_what_comes_again_each_week_is_the_clock_and_it_goes_on(times, freq, cycles):
    half = len(times) // 2
    clock = infer_clock(times[:half], "")
    assert clock == Clock(freq) and clock.freq == freq
    assert np.array_equal(clock.extend(int(times[half - 1]), len(times) - half), times[half:])
    assert [cycle for cycle in clock.periods if cycle < 300] == list(cycles)
    assert Clock.of(clock.plain()) == clock


def test_an_hour_of_local_time_stays_when_the_clocks_change():
    local = pd.DatetimeIndex(stamps(days("2024-03-01", 60, "Mon", "Tue", "Wed", "Thu", "Fri"), *BARS)).tz_localize(
        "Europe/Berlin"
    )
    times = local.tz_convert("UTC").asi8
    clock = infer_clock(times, "Europe/Berlin")
    assert clock == Clock("15min@MON-FRI 09:30-15:45", "Europe/Berlin")
    assert clock.show(times[-1:]) == ["2024-04-29 15:45:00+02:00"]


def test_text_and_steps_of_a_week_are_each_others_inverse():
    rng = np.random.default_rng(3)
    for step in (DAY, DAY // 24, 30 * MINUTE):
        grid = np.arange(0, 7 * DAY, step)
        for _ in range(20):
            open_ = np.sort(rng.choice(grid, rng.integers(1, len(grid)), replace=False))
            assert np.array_equal(slots(text_of(open_, step), step), open_)


def test_times_that_leave_nothing_out_or_do_not_come_again_have_no_hours():
    every = np.arange(0, 30 * DAY, DAY // 24)
    assert not found_in(every, DAY // 24)
    assert not found_in(np.delete(every, slice(200, 300)), DAY // 24)  # a gap of four days
    rng = np.random.default_rng(0)
    assert not found_in(np.sort(rng.choice(every, 200, replace=False)) + rng.integers(0, 9, 200), DAY // 24)


@pytest.mark.parametrize(
    "text", ["", "MON-XYZ", "FRI-MON", "MON 9:00", "MON 10:00-09:00", "MON; MON", "MON 09:00-09:07 09:05"]
)
def test_other_text_is_no_clock(text):
    with pytest.raises(ValueError):
        slots(text, 5 * MINUTE)
    with pytest.raises(ValueError):
        Clock(f"5min@{text}") if text else slots(text, DAY)


def test_three_days_show_the_hours_and_a_fortnight_the_days():
    week = stamps(days("2024-01-03", 3), *BARS)  # Wednesday to Friday
    assert infer_clock(week, "") == Clock("15min@MON-SUN 09:30-15:45")
    over = stamps(days("2024-01-04", 6, "Thu", "Fri", "Mon", "Tue"), *BARS)
    assert infer_clock(over, "") == Clock("15min@MON-FRI 09:30-15:45")
    assert infer_clock(over[: 26 + 26], "") is None


RIDGE = "--task forecast --context-len 52 --horizon 30 --backbone ridge --no-plots --reference off --tag a"


@pytest.fixture
def bars(tmp_path):
    """60 days of quarter hours of trading, without one holiday and one afternoon."""
    times = np.delete(stamps(TRADED, *BARS), [*range(260, 286), *range(400, 416)])
    rng = np.random.default_rng(5)
    frame = pd.DataFrame({"time": pd.to_datetime(times), "price": 100 + rng.normal(0, 0.1, len(times)).cumsum()})
    path = tmp_path / "bars.csv"
    frame.to_csv(path, index=False)
    return path


def test_hours_of_trading_are_forecast_into_the_next_days_and_a_holiday_is_told(bars, tmp_path):
    done = go(tmp_path, RIDGE, "--csv", str(bars))
    assert done.code == 0, done.err
    assert "a step is 15min on MON-FRI 09:30-15:45" in done.err
    assert "42 steps without a line repeats the values before it, which is never scored" in done.err
    after = pd.read_csv(tmp_path / "artifacts" / "a" / "forecast.csv")["date"].tolist()
    assert after == [f"2024-03-01 {hour}:00" for hour in BARS] + [f"2024-03-04 {hour}:00" for hour in BARS[:4]]


def test_a_model_of_open_hours_takes_data_of_a_few_days(bars, tmp_path):
    assert go(tmp_path, RIDGE, "--csv", str(bars)).code == 0
    lines = bars.read_text().splitlines(keepends=True)
    new = tmp_path / "new.csv"
    new.write_text("".join([lines[0], *lines[-78:]]))  # Tuesday to Thursday
    done = go(
        tmp_path, "--mode infer --no-plots --tag b", "--ckpt", str(tmp_path / "artifacts" / "a"), "--csv", str(new)
    )
    assert done.code == 0, done.err
    assert pd.read_csv(tmp_path / "artifacts" / "b" / "forecast.csv")["date"].tolist()[-1] == "2024-03-04 10:15:00"
