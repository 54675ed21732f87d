"""times/dates.py: steps on the same dates of every month or year, against plain loops over days."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest

from readers.long import read_long
from times import dates
from times.clock import Clock, infer_clock
from times.hours import DAY

ALL = [dt.date(2015, 1, 1) + dt.timedelta(days=k) for k in range(6 * 366)]
KINDS = {
    "MS-1-11-21": lambda day: day.day in (1, 11, 21),
    "MS-1-15": lambda day: day.day in (1, 15),
    "MS-15-31": lambda day: day.day == 15 or (day + dt.timedelta(days=1)).day == 1,
    "MS-1-6-11-16-21-26": lambda day: day.day in (1, 6, 11, 16, 21, 26),
    "8D-JAN": lambda day: (day.timetuple().tm_yday - 1) % 8 == 0,
    "16D-JAN": lambda day: (day.timetuple().tm_yday - 1) % 16 == 0,
    "5D-JAN": lambda day: (day.timetuple().tm_yday - 1) % 5 == 0,
}


def wall(days, hour=0):
    return np.array([(day - dt.date(1970, 1, 1)).days * DAY + hour * DAY // 24 for day in days], np.int64)


@pytest.mark.parametrize("hour", [0, 12])
@pytest.mark.parametrize("freq", KINDS)
def test_what_comes_after_and_what_holds_a_day(freq, hour):
    expected = [day for day in ALL if KINDS[freq](day)]
    clock = Clock(freq)
    assert Clock(clock.freq).freq == freq and clock.calendar and clock.named
    for start in (0, 1, 7):
        ahead = clock.extend(int(wall(expected[start : start + 1], hour)[0]), 120)
        np.testing.assert_array_equal(ahead, wall(expected[start + 1 : start + 121], hour))
    steps = np.diff(wall(expected))
    assert clock.step <= steps.min() <= clock.step + DAY  # the shortest of all may be in none of these years
    for day in ALL[31:800:7]:
        assert clock.beginning(int(wall([day], hour)[0])) == wall([max(d for d in expected if d <= day)])[0]


@pytest.mark.parametrize("hour", [0, 12])
@pytest.mark.parametrize("freq", KINDS)
def test_they_are_found_in_what_they_made(freq, hour):
    times = wall([day for day in ALL if KINDS[freq](day)], hour)[5:]
    assert infer_clock(times, "") == Clock(freq)
    assert infer_clock(np.delete(times, 9), "") is None
    assert dates.found_in(np.delete(times, [9, 40])) == freq


@pytest.mark.parametrize(
    "days",
    [
        ALL[:60],
        [day for day in ALL if day.weekday() < 5],
        ALL[3::16],
        [dt.date(2020, 1, 1), dt.date(2020, 1, 11)],
        [day for k, day in enumerate(ALL) if day.day == 1 and k % 3],
        np.random.default_rng(0).choice(ALL, 40, replace=False),
    ],
    ids=["days", "business days", "every 16th", "one month", "months", "any"],
)
def test_others_are_not(days):
    assert dates.found_in(wall(sorted(days))) == ""


def test_the_calendar_knows_their_periods():
    periods = {freq: Clock(freq).periods for freq in KINDS}
    assert periods["MS-1-11-21"] == (3, 36) and periods["MS-15-31"] == (2, 24)
    assert (periods["8D-JAN"], periods["16D-JAN"], periods["5D-JAN"]) == ((46,), (23,), (73,))


def test_in_words_and_not_in_pandas():
    assert str(Clock("16D-JAN")) == "16 days from each 1 January"
    assert str(Clock("MS-1-11-31")) == "a part of a month (1st, 11th, last)"
    for freq in ("MS-1-15", "8D-JAN"):
        with pytest.raises(ValueError, match="pandas has no such steps"):
            Clock(freq).offset()


@pytest.mark.parametrize("text", ["MS-1-1", "MS-15-1", "MS-0-15", "MS-1-32", "2MS-1-15", "ME-1-15", "D-JAN", "8D-FEB"])
def test_what_is_no_such_step(text):
    with pytest.raises(ValueError, match="is not a frequency"):
        Clock(text)


def test_a_table_of_dekads_that_lacks_one_is_read(put):
    days = [day for day in ALL if KINDS["MS-1-11-21"](day)]
    lines = [f"{day},{k}" for k, day in enumerate(days) if k != 50]
    series = read_long([put("\n".join(["date,rain", *lines]))], time_col="date")
    assert series.clock == Clock("MS-1-11-21") and len(series.time) == len(days)
    assert series.values[0, 48:53].tolist() == [48, 49, 49, 51, 52]
    assert "a step without a line repeats the values before it" in series.notes[-1]
