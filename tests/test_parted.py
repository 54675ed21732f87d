"""times/parted.py: times in several columns, such as a year and a week."""

from __future__ import annotations

import datetime
import itertools

import numpy as np
import pandas as pd
import pytest

from errors import DataError
from readers.dated import dated
from readers.dialect import AUTO, Dialect
from readers.long import read_long
from times.parted import part_of, sunday_week
from times.written import iso_week

AXES = {  # a column's name: the times, and what each says of them besides its year
    "WEEK": (pd.date_range("2015-09-28", periods=300, freq="7D"), lambda t: t.isocalendar()[1]),
    "Quarter": (pd.date_range("2001-04-01", periods=40, freq="QS"), lambda t: t.quarter),
    "DOY": (pd.date_range("2019-11-30", periods=500, freq="D"), lambda t: t.dayofyear),
    "day of year": (pd.date_range("2019-11-30", periods=500, freq="D"), lambda t: t.dayofyear),
    "month": (pd.date_range("2015-10-01", periods=60, freq="MS"), lambda t: t.month),
}


def table(put, name, times, number, turned=False):
    years = [t.isocalendar()[0] if name == "WEEK" else t.year for t in times]
    cells = [(str(year), str(number(t))) for year, t in zip(years, times, strict=True)]
    lines = [f"{','.join(pair[::-1] if turned else pair)},{k % 7}.5" for k, pair in enumerate(cells)]
    return put("\n".join([",".join([name, "YEAR"] if turned else ["YEAR", name]) + ",x", *lines]))


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("name", AXES)
def test_a_year_and_its_part_are_the_time(put, name, turned):
    times, number = AXES[name]
    path = table(put, name, times, number, turned)
    series = read_long([path], time_col=f"{name}+YEAR" if turned else f"YEAR+{name}")
    assert series.clock.show(series.time) == [f"{t:%Y-%m-%d}" for t in times]
    assert np.array_equal(series.values[0], np.arange(len(times)) % 7 + 0.5)
    found = dated(path, Dialect("auto", "auto"))
    assert found is not None and found.time == f"YEAR+{name}"


def test_weeks_of_the_cdc_are_counted_from_sunday(put):
    """2014 has a week 53 there, which begins on 2014-12-28 (CDC, MMWR weeks); by ISO 8601 it has 52."""
    sundays = pd.date_range("2014-09-28", periods=30, freq="7D")  # week 40
    first = pd.Timestamp("2015-01-04")
    lines = [f"{2014 + (t >= first)},{(t - first).days // 7 + 1 if t >= first else 40 + k},1.5" for k, t in
             enumerate(sundays)]  # fmt: skip
    assert lines[13].startswith("2014,53")
    series = read_long([put("\n".join(["YEAR,WEEK,x", *lines]))], time_col="YEAR+WEEK")
    assert series.clock.show(series.time) == [f"{t:%Y-%m-%d}" for t in sundays]
    assert any("weeks counted from Sunday" in note for note in series.notes)


@pytest.mark.parametrize("name", ["epiweek", "Year Week"])
@pytest.mark.parametrize("first", ["2014-09-28", "2016-01-03"])
def test_weeks_of_six_digits(put, name, first):
    sundays = pd.date_range(first, periods=30 if first < "2016" else 10, freq="7D")
    weeks = {f"{day:%Y-%m-%d}": f"{year}{week:02d}" for year in (2014, 2015, 2016) for week in range(1, 54)
             if (day := sunday_week(year, week))}  # fmt: skip
    lines = [f"{weeks[f'{t:%Y-%m-%d}']},1.5" for t in sundays]
    series = read_long([put("\n".join([f"{name},x", *lines]))], time_col=name)
    off = 0 if first < "2016" else 1  # without a week 53 they are those of ISO 8601, from Monday
    assert series.clock.show(series.time) == [f"{t + pd.Timedelta(days=off):%Y-%m-%d}" for t in sundays]


def test_a_week_of_no_calendar(put):
    path = put("\n".join(["week,x", *(f"{week},1" for week in (201651, 201652, 201653, 201701))]))
    with pytest.raises(DataError, match="goes on by 48, where its usual step is 1"):
        read_long([path], time_col="week")


def test_weeks_against_the_calendar():
    for day in pd.date_range("1996-12-29", "2033-01-01", freq="D"):
        year, week, weekday = day.isocalendar()
        assert iso_week(year, week) == (day - pd.Timedelta(days=weekday - 1)).date()
    begins = [sunday_week(year, week) for year in range(1997, 2033) for week in range(1, 54)]
    weeks = [day for day in begins if day]
    assert all(b - a == datetime.timedelta(7) for a, b in itertools.pairwise(weeks))
    long = [year for year in range(1997, 2033) if sunday_week(year, 53)]
    assert long == [1997, 2003, 2008, 2014, 2020, 2025, 2031]  # as the CDC lists them


@pytest.mark.parametrize(
    ("name", "part"),
    [("mmwr_week", "week"), ("KW", "week"), ("weekOfYear", "week"), ("qtr", "quarter"),
     ("Day of Year", "day of the year"), ("weekday", ""), ("weekly_sales", ""), ("day", ""), ("x", "")],
)  # fmt: skip
def test_parts_of_a_year_by_name(name, part):
    assert part_of(name) == part


def test_dates_of_a_spreadsheet_and_times_of_day(put):
    """Its cells of dates become text with a midnight."""
    times = pd.date_range("2024-01-01 09:00", periods=60, freq="h")
    lines = [f"{t:%Y-%m-%d} 00:00:00,{t:%H:%M:%S},{k}.5" for k, t in enumerate(times)]
    path = put("\n".join(["Date,Time,x", *lines]))
    assert dated(path, Dialect("auto", "auto")).time == "Date+Time"
    series = read_long([path], time_col="Date+Time")
    assert series.clock.show(series.time) == [f"{t:%Y-%m-%d %H:%M:%S}" for t in times]


def test_times_of_a_spreadsheet_as_fractions_of_a_day(put):
    times = pd.date_range("2017-12-22 23:50", periods=60, freq="30s")
    parts = [(t.hour * 3600 + t.minute * 60 + t.second) / 86_400 for t in times]
    lines = [
        f"{t.month}/{t.day}/{t.year},{part:.6f},{k}.5" for k, (t, part) in enumerate(zip(times, parts, strict=True))
    ]
    path = put("\n".join(["Date,Time,x", *lines]))
    assert dated(path, Dialect("auto", "auto")).time == "Date+Time"
    series = read_long([path], time_col="Date+Time")
    assert series.clock.show(series.time) == [f"{t:%Y-%m-%d %H:%M:%S}" for t in times]
    assert "fractions of a day are taken to the second" in " ".join(series.notes)


@pytest.mark.parametrize("dash", [" - ", "\N{NO-BREAK SPACE}-\N{NO-BREAK SPACE}", "-"])
def test_hours_from_one_to_the_next(put, dash):
    """As exchanges of power write them, beside a column of days."""
    times = pd.date_range("2024-01-01", periods=72, freq="h")
    lines = [f"{t:%d-%m-%Y},{t.hour:02d}{dash}{(t.hour + 1) % 24:02d},{k}" for k, t in enumerate(times)]
    path = put("\n".join(["day,Hours,price", *lines]))
    assert dated(path, Dialect(AUTO, AUTO)).time == "day+Hours"
    assert (read_long([path], time_col="day+Hours").time == times.as_unit("ns").asi8).all()


@pytest.mark.parametrize("name", ["MST", "HHMM", "Hour"])
def test_a_year_its_day_and_the_time_of_day_as_one_number(put, name):
    """As the Measurement and Instrumentation Data Center writes: 5 is 00:05, 1330 is 13:30."""
    minutes = 60 if name == "Hour" else 5
    times = pd.date_range("2023-12-31 00:00", periods=600, freq=f"{minutes}min")
    number = {"Hour": lambda t: t.hour}.get(name, lambda t: 100 * t.hour + t.minute)
    lines = [f"{t.year},{t.dayofyear},{number(t)},{k}.5" for k, t in enumerate(times)]
    path = put("\n".join([f"Year,DOY,{name},ghi", *lines]))
    time = f"Year+DOY+{name}"
    assert dated(path, Dialect(AUTO, AUTO)).time == time
    series = read_long([path], time_col=time)
    assert (series.time == times.as_unit("ns").asi8).all() and series.channels == ("ghi",)


def test_parts_of_hours_that_are_counted_from_one(tmp_path):
    """As ERCOT writes prices: the 24 hours end, and their quarters count from 1."""
    times = pd.date_range("2023-05-01", periods=960, freq="15min")
    lines = [f"{t:%m/%d/%Y},{t.hour + 1},{t.minute // 15 + 1},{k % 9}.5" for k, t in enumerate(times)]
    (tmp_path / "x.csv").write_text("\n".join(["DeliveryDate,DeliveryHour,DeliveryInterval,Price", *lines]) + "\n")
    found = dated(tmp_path / "x.csv", Dialect(AUTO, AUTO))
    assert found is not None and found.time == "DeliveryDate+DeliveryHour+DeliveryInterval"
    series = read_long([tmp_path / "x.csv"], time_col=found.time)
    assert np.array_equal(series.times(0), times.as_unit("ns").asi8) and series.clock.freq == "15min"


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("Quarter", "Q{}"),
        ("Quarter", "{}Q"),
        ("Quarter", "Qtr {}"),
        ("Trimestre", "T{}"),
        ("Quartal", "{}. Quartal"),
        ("quarter", "ROMAN"),
        ("period", "Q{}"),
    ],
)
def test_quarters_in_words_beside_their_year(put, name, write):
    """They were four series of a step a year."""
    begins = pd.date_range("2001-04-01", periods=40, freq="QS")
    cells = [write.format(t.quarter).replace("ROMAN", ["I", "II", "III", "IV"][t.quarter - 1]) for t in begins]
    rows = [f"{t.year},{cell},{k}" for k, (t, cell) in enumerate(zip(begins, cells, strict=True))]
    path = put("\n".join([f"Year,{name},x", *rows]))
    found = dated(path, Dialect(AUTO, AUTO))
    assert (found.time, found.ids) == (f"Year+{name}", ())
    assert read_long([path], time_col=found.time).time.tolist() == begins.as_unit("ns").asi8.tolist()


@pytest.mark.parametrize("write", ["W{:02d}", "Week {}", "KW {}", "wk-{}"])
def test_weeks_in_words_beside_their_year(put, write):
    mondays = pd.date_range("2019-12-02", periods=70, freq="7D")
    rows = [f"{t.isocalendar()[0]},{write.format(t.isocalendar()[1])},{k}" for k, t in enumerate(mondays)]
    path = put("\n".join(["Year,Week,x", *rows]))
    found = dated(path, Dialect(AUTO, AUTO))
    assert (found.time, found.ids) == ("Year+Week", ())
    assert read_long([path], time_col=found.time).time.tolist() == mondays.as_unit("ns").asi8.tolist()


def test_words_of_another_column_are_no_quarters(put):
    rows = [f"{year},T{k},{year % 7}.{k}" for year in range(2000, 2020) for k in range(1, 5)]
    found = dated(put("\n".join(["Year,Treatment,x", *rows])), Dialect(AUTO, AUTO))
    assert (found.time, found.ids) == ("Year", ("Treatment",))


def test_hours_and_minutes_in_digits_to_2400_beside_year_month_and_day(put):
    hours = pd.date_range("2023-01-01 01:00", periods=100, freq="h")
    before = hours - pd.Timedelta(hours=1)
    rows = [f"{t.year},{t.month},{t.day},{(t.hour + 1) * 100},{k}" for k, t in enumerate(before)]
    path = put("\n".join(["YEAR,MONTH,DAY,HHMM,x", *rows]))
    found = dated(path, Dialect(AUTO, AUTO))
    assert found.time == "YEAR+MONTH+DAY+HHMM"
    assert read_long([path], time_col=found.time).time.tolist() == hours.as_unit("ns").asi8.tolist()
