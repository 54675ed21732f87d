"""times/clock.py against pandas' own calendar, and against dates written out."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from pandas.tseries import frequencies, offsets

from errors import DataError
from readers.long import read_long
from settings.zones import fixed_offset
from times.clock import Clock, infer_clock, offset_text, steps_hint
from times.frequencies import canonical


def stamps(*texts: str, tz: str = "") -> np.ndarray:
    """Wall-clock texts (or with offsets) as int64 ns; in UTC where tz is named."""
    index = pd.DatetimeIndex(pd.to_datetime(list(texts), utc=bool(tz))).as_unit("ns")
    return index.asi8


# ---- spelling


@pytest.mark.parametrize(
    ("freq", "words"),
    [
        *(("MS", "1 month"), ("ME", "1 month"), ("3MS", "3 months"), ("QS", "1 quarter"), ("YE", "1 year")),
        *(
            ("D", "1 day"),
            ("24h", "1 day"),
            ("10D", "10 days"),
            ("7D", "1 week"),
            ("W-MON", "1 week"),
            ("2W", "2 weeks"),
        ),
        *(("B", "1 business day"), ("h", "1 h"), ("36h", "36h"), ("15min", "15min"), ("D@MON-SAT", "1 day on MON-SAT")),
    ],
)
def test_a_step_in_words_that_need_no_pandas(freq, words):
    assert str(Clock(freq)) == words


@pytest.mark.parametrize(
    ("wanted", "found", "hint"),
    [
        *(("D", "h", "--resample D"), ("MS", "D", "--resample MS"), ("QS-JAN", "ME", "--resample QS-JAN")),
        *(("h", "15min", "--resample 1h"), ("7D", "D", "--resample 7D"), ("B", "h", "--resample B")),
        (
            "D",
            "W-MON",
            "data in steps of 1 day, or a model trained on these: a coarser step does not tell what lies between",
        ),
        ("ME", "D", "data in steps of 1 month, or a model trained on these"),  # --resample names no step by its end
        ("MS-15", "D", "--resample MS-15"),
        ("8D-JAN", "D", "--resample 8D-JAN"),
    ],
)
def test_what_to_do_about_other_steps_is_a_flag_that_is_taken(wanted, found, hint):
    assert steps_hint(wanted, found) == hint


@pytest.mark.parametrize(
    ("expected", "spellings"),
    [
        ("h", "h H 1h 60min 60T 3600s"),
        ("24h", "24h 1440min"),
        ("15min", "15min 15T"),
        ("s", "s S 1000ms"),
        ("500ms", "500ms 500L"),
        ("250us", "250us 250U"),
        ("ns", "ns N"),
        ("D", "D 1D"),
        ("7D", "7D"),
        ("B", "B"),
        ("W-MON", "W W-MON 1W"),
        ("2W-MON", "2W-MON"),
        ("ME", "ME M"),
        ("3ME", "3ME 3M"),
        ("MS", "MS"),
        ("QE-DEC", "QE Q QE-DEC"),
        ("QE-NOV", "QE-FEB Q-MAY QE-AUG QE-NOV"),
        ("QS-JAN", "QS QS-JAN QS-APR QS-OCT"),
        ("QS-FEB", "QS-FEB QS-NOV"),
        ("YE-DEC", "YE Y A A-DEC"),
        ("YS-JAN", "YS AS AS-JAN"),
        ("BME", "BME BM"),
        ("BYE-DEC", "BYE BA BY-DEC"),
        ("WOM-3FRI", "WOM-3FRI"),
    ],
)
def test_frequencies_have_one_spelling(expected, spellings):
    assert {canonical(given) for given in spellings.split()} == {expected}
    assert len({Clock(given) for given in spellings.split()}) == 1


@pytest.mark.parametrize("text", ["", "x", "0h", "-1h", "1.5h", "m", "bh", "h-SUN", "h-JAN", "1 h 2", "hour"])
def test_what_is_no_frequency(text):
    with pytest.raises(ValueError, match="not a frequency"):
        Clock(text)


@pytest.mark.parametrize(
    ("freq", "offset"),
    [
        ("h", offsets.Hour()),
        ("36h", offsets.Hour(36)),
        ("15min", offsets.Minute(15)),
        ("500ms", offsets.Milli(500)),
        ("2D", offsets.Day(2)),
        ("B", offsets.BDay()),
        ("W-MON", offsets.Week(weekday=0)),
        ("MS", offsets.MonthBegin()),
        ("3ME", offsets.MonthEnd(3)),
        ("QS-FEB", offsets.QuarterBegin(startingMonth=2)),
        ("QE", offsets.QuarterEnd(startingMonth=12)),
        ("YS", offsets.YearBegin(month=1)),
        ("YE", offsets.YearEnd(month=12)),
        ("BME", offsets.BMonthEnd()),
    ],
)
def test_as_pandas_has_it(freq, offset):
    assert Clock(freq).offset() == offset


@pytest.mark.parametrize(
    ("freq", "old"),
    [("3ME", "3M"), ("QE", "1Q-DEC"), ("YE", "1A-DEC"), ("BME", "1BM"), ("2BYE-MAR", "2BA-MAR"), ("h", "h")],
)
def test_as_pandas_had_it_before_2_2(monkeypatch, freq, old):
    def to_offset(text):
        if "E" in text.replace("DEC", ""):
            raise ValueError(f"Invalid frequency: {text}")
        return text

    monkeypatch.setattr(frequencies, "to_offset", to_offset)
    assert Clock(freq).offset() == old


def test_zones():
    assert Clock("h", "Z") == Clock("h", "+00:00") == Clock("h", "UTC")
    hour = 3600 * 10**9
    assert [fixed_offset(tz) for tz in ("", "UTC", "+01:00", "-03:30", "+5", "Europe/Berlin")] == [
        *(0, 0, hour, -3.5 * hour),
        *(None, None),
    ]
    assert [offset_text(shift) for shift in (0, hour, int(-3.5 * hour))] == ["+00:00", "+01:00", "-03:30"]
    assert offset_text(3208 * 10**9) == "+00:53:28"  # Berlin before 1893


def test_through_a_checkpoint():
    clock = Clock("60min", "Europe/Berlin")
    assert clock.plain() == {"freq": "h", "tz": "Europe/Berlin"} and Clock.of(clock.plain()) == clock


# ---- how it goes on


def test_hours_cross_the_changes_of_clocks():
    clock = Clock("h", "Europe/Berlin")
    spring = stamps("2024-03-31 00:00+01:00", tz="UTC")
    assert clock.show(clock.extend(spring[0], 4)) == [
        "2024-03-31 01:00:00+01:00",
        "2024-03-31 03:00:00+02:00",
        "2024-03-31 04:00:00+02:00",
        "2024-03-31 05:00:00+02:00",
    ]
    autumn = stamps("2024-10-27 01:00+02:00", tz="UTC")
    assert clock.show(clock.extend(autumn[0], 3)) == [
        "2024-10-27 02:00:00+02:00",
        "2024-10-27 02:00:00+01:00",
        "2024-10-27 03:00:00+01:00",
    ]


def test_days_stay_at_midnight_when_the_clocks_change():
    clock = Clock("D", "Europe/Berlin")
    start = stamps("2024-03-30 00:00+01:00", tz="UTC")[0]
    ahead = clock.extend(start, 3)
    assert clock.show(ahead) == [
        "2024-03-31 00:00:00+01:00",
        "2024-04-01 00:00:00+02:00",
        "2024-04-02 00:00:00+02:00",
    ]
    assert (np.diff([start, *ahead]) / 3600e9).tolist() == [24, 23, 24]
    # A length of time of 24 hours is another thing.
    assert Clock("24h", "Europe/Berlin").show(Clock("24h", "Europe/Berlin").extend(start, 2))[1] == (
        "2024-04-01 01:00:00+02:00"
    )


def test_a_midnight_that_is_skipped_or_comes_twice():
    beirut, azores = Clock("D", "Asia/Beirut"), Clock("D", "Atlantic/Azores")
    start = stamps("2021-03-27 00:00+02:00", tz="UTC")[0]
    assert beirut.show(beirut.extend(start, 2)) == ["2021-03-28 01:00:00+03:00", "2021-03-29 00:00:00+03:00"]
    start = stamps("2021-10-30 00:00+00:00", tz="UTC")[0]
    assert azores.show(azores.extend(start, 2)) == ["2021-10-31 00:00:00+00:00", "2021-11-01 00:00:00-01:00"]


@pytest.mark.parametrize(
    ("freq", "last", "expected"),
    [
        ("D", "2024-02-28", ["2024-02-29", "2024-03-01"]),
        ("D", "2023-02-28", ["2023-03-01"]),
        ("h", "2024-02-28 23:00", ["2024-02-29 00:00:00", "2024-02-29 01:00:00"]),
        ("B", "2024-03-28", ["2024-03-29", "2024-04-01", "2024-04-02"]),
        ("B", "2024-03-30", ["2024-04-01", "2024-04-02"]),
        ("ME", "2023-12-31", ["2024-01-31", "2024-02-29", "2024-03-31", "2024-04-30"]),
        ("MS", "2023-12-01", ["2024-01-01", "2024-02-01", "2024-03-01"]),
        ("QS-JAN", "2023-10-01", ["2024-01-01", "2024-04-01"]),
        ("YS", "2019-01-01", ["2020-01-01", "2021-01-01"]),
        ("YE", "2019-12-31", ["2020-12-31"]),
        ("7D", "2024-02-26", ["2024-03-04"]),
        ("W-MON", "2024-02-26", ["2024-03-04", "2024-03-11"]),
        ("WOM-3FRI", "2024-02-16", ["2024-03-15", "2024-04-19"]),
        ("15min", "2023-12-31 23:45", ["2024-01-01 00:00:00", "2024-01-01 00:15:00"]),
        ("MS", "2024-01-01 06:00", ["2024-02-01 06:00:00", "2024-03-01 06:00:00"]),
    ],
)
def test_what_comes_after(freq, last, expected):
    clock = Clock(freq)
    ahead = clock.extend(int(stamps(last)[0]), len(expected))
    assert ahead.dtype == np.int64 and clock.show(ahead) == expected


@pytest.mark.parametrize("tz", ["", "UTC", "+05:30", "-03:30", "Europe/Berlin", "Australia/Lord_Howe"])
@pytest.mark.parametrize("freq", ["15min", "h", "6h", "D", "3D", "W-WED", "B", "MS", "ME", "QE", "YS"])
def test_extending_is_a_range_of_pandas(freq, tz):
    clock = Clock(freq, tz)
    start = pd.Timestamp("2023-06-01", tz=tz or None)
    expected = pd.date_range(start, periods=200, freq=clock.offset(), unit="ns")
    ahead = clock.extend(expected.asi8[0], 199)
    np.testing.assert_array_equal(ahead, expected.asi8[1:])
    assert clock.extend(expected.asi8[0], 0).shape == (0,)
    np.testing.assert_array_equal(clock.wall(ahead), expected[1:].tz_localize(None).asi8)
    np.testing.assert_array_equal(clock.extend(int(ahead[99]), 99), ahead[100:])


# ---- the calendar


@pytest.mark.parametrize(
    ("freq", "marks"),
    [
        ("s", "second minute hour weekday day month"),
        ("59s", "second minute hour weekday day month"),
        ("min", "minute hour weekday day month"),
        ("15min", "minute hour weekday day month"),
        ("h", "hour weekday day month"),
        ("6h", "hour weekday day month"),
        ("D", "weekday day month"),
        ("B", "weekday day month"),
        ("W-MON", "day month"),
        ("7D", "day month"),
        ("28D", "month"),
        ("MS", "month"),
        ("ME", "month"),
        ("QS", "month"),
        ("YE", "month"),
    ],
)
def test_marks_are_what_changes_from_step_to_step(freq, marks):
    assert Clock(freq).marks == tuple(marks.split())


@pytest.mark.parametrize("tz", ["", "+05:30", "Europe/Berlin", "America/New_York"])
def test_features_are_those_of_pandas(tz):
    times = np.sort(np.random.default_rng(1).integers(-(10**18), 2 * 10**18, 5000))
    clock = Clock("s", tz)
    index = pd.DatetimeIndex(times.astype("datetime64[ns]"))
    index = index.tz_localize("UTC").tz_convert(tz) if tz else index
    expected = {
        "second": index.second / 59,
        "minute": index.minute / 59,
        "hour": index.hour / 23,
        "weekday": index.dayofweek / 6,
        "day": (index.day - 1) / 30,
        "month": (index.month - 1) / 11,
    }
    found = clock.features(times)
    assert found.dtype == np.float32 and found.shape == (6, 5000)
    for name, row in zip(clock.marks, found, strict=True):
        np.testing.assert_allclose(row, expected[name].to_numpy() - 0.5, atol=1e-7, err_msg=name)
        assert row.min() == -0.5 and row.max() == 0.5


def test_features_of_an_hour():
    clock = Clock("h", "Europe/Berlin")
    time = stamps("2024-02-29 22:00+00:00", tz="UTC")  # a Thursday, 23:00 in Berlin
    np.testing.assert_allclose(clock.features(time)[:, 0], [0.5, 3 / 6 - 0.5, 28 / 30 - 0.5, 1 / 11 - 0.5], atol=1e-7)


# ---- text


@pytest.mark.parametrize(
    ("clock", "time", "text"),
    [
        (Clock("h"), "2016-07-01", "2016-07-01 00:00:00"),
        (Clock("D"), "2016-07-01", "2016-07-01"),
        (Clock("ME"), "2016-07-31", "2016-07-31"),
        (Clock("D"), "2016-07-01 06:00", "2016-07-01 06:00:00"),
        (Clock("24h"), "2016-07-01", "2016-07-01 00:00:00"),
        (Clock("500ms"), "2016-07-01", "2016-07-01 00:00:00.000"),
        (Clock("s"), "2016-07-01 00:00:00.25", "2016-07-01 00:00:00.250"),
        (Clock("us"), "2016-07-01", "2016-07-01 00:00:00.000000"),
        (Clock("ns"), "1969-12-31 23:59:59.999999999", "1969-12-31 23:59:59.999999999"),
        (Clock("h", "UTC"), "2016-07-01", "2016-07-01 00:00:00+00:00"),
        (Clock("D", "UTC"), "2016-07-01", "2016-07-01 00:00:00+00:00"),
        (Clock("h", "-03:30"), "2016-07-01", "2016-06-30 20:30:00-03:30"),
    ],
)
def test_show(clock, time, text):
    assert clock.show(stamps(time)) == [text]


def test_text_is_read_back_by_pandas():
    times = np.sort(np.random.default_rng(2).integers(0, 2 * 10**9, 1000)) * 10**9
    for tz in ("", "UTC", "+05:30", "Europe/Berlin"):
        index = pd.DatetimeIndex(pd.to_datetime(Clock("s", tz).show(times), format="ISO8601", utc=bool(tz)))
        np.testing.assert_array_equal(index.as_unit("ns").asi8, times)
    assert Clock("h").show(np.array([], np.int64)) == [] == Clock("h", "Europe/Berlin").show(np.array([], np.int64))


# ---- found from stamps


@pytest.mark.parametrize("tz", ["", "UTC", "+01:00", "Europe/Berlin"])
@pytest.mark.parametrize("freq", "s 15min h 36h D 2D 7D B MS ME QS-JAN YS-JAN WOM-3FRI BME MS-1-15 16D-JAN".split())
def test_a_clock_is_found_in_what_it_made(freq, tz):
    clock = Clock(freq, tz)
    axis = clock.extend(stamps("2019-02-27", tz="UTC")[0], 40)
    assert infer_clock(axis, tz) == clock
    assert infer_clock(np.delete(axis, 20), tz) is None


def test_months_of_equal_length_are_months():
    assert infer_clock(stamps("2024-07-01", "2024-08-01", "2024-09-01"), "") == Clock("MS")
    assert infer_clock(stamps("2021-01-01", "2022-01-01", "2023-01-01"), "") == Clock("YS")
    assert infer_clock(stamps("2024-01-07", "2024-02-04", "2024-03-03"), "") == Clock("28D")


def test_hours_of_a_year_in_a_zone():
    hours = Clock("h").extend(stamps("2023-12-31 22:00")[0], 24 * 366)
    assert infer_clock(hours, "Europe/Berlin") == Clock("h", "Europe/Berlin")


def test_business_hours_are_those_of_a_week():
    days = pd.date_range("2024-01-01", periods=20, freq="B")
    hours = [day + pd.Timedelta(hours=hour) for day, hour in itertools.product(days, range(9, 17))]
    times = pd.DatetimeIndex(hours).as_unit("ns").asi8
    assert infer_clock(times, "") == Clock("h@MON-FRI 09:00-16:00")
    assert infer_clock(np.delete(times, 70), "") is None


def test_steps_beyond_all_years_are_reached_by_none():
    start = np.datetime64("1900-01-01", "ns").astype(np.int64)
    assert Clock("10YS-JAN").show(Clock("10YS-JAN").reach(start, 3)) == ["1910-01-01", "1920-01-01", "1930-01-01"]
    assert len(Clock("10YS-JAN").reach(start, 40)) == 0
    with pytest.raises(DataError, match="40 steps of 10YS-JAN after 1900-01-01 00:00:00 go beyond the year 2262"):
        Clock("10YS-JAN").extend(start, 40)


def test_years_with_gaps_are_told_as_such(put):
    """Rows of lines a decade apart and of each year: before, an overflow."""
    years = {"a": range(1900, 2018), "b": (*range(1900, 2000, 10), 2001, 2002, 2009)}
    lines = [f"{name},{year},1.5" for name, some in years.items() for year in some]
    with pytest.raises(DataError, match="where the usual step is"):
        read_long([put("\n".join(["entity,year,x", *lines]))], time_col="year", id_col="entity")
