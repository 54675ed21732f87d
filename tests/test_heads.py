"""readers/heads.py: dates in the names of a wide table's columns, against pandas' calendars."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from readers.heads import calendar, plain_dates
from readers.wide import read_wide

DAYS = pd.date_range("2020-01-22", periods=40, freq="D")
MONTHS = pd.date_range("2010-01-01", periods=30, freq="MS")
QUARTERS = pd.date_range("2001-01-01", periods=20, freq="QS")
YEARS = pd.date_range("1961-01-01", periods=25, freq="YS")

WRITTEN = {
    "days": (DAYS, [f"{day:%Y-%m-%d}" for day in DAYS]),
    "days of the United States": (DAYS, [f"{day.month}/{day.day}/{day:%y}" for day in DAYS]),
    "days of Germany": (DAYS, [f"{day:%d.%m.%Y}" for day in DAYS]),
    "days in digits": (DAYS, [f"{day:%Y%m%d}" for day in DAYS]),
    "days as R names them": (DAYS, [f"X{day:%Y.%m.%d}" for day in DAYS]),
    "days of the United States as R names them": (DAYS, [f"X{day.month}.{day.day}.{day:%y}" for day in DAYS]),
    "days with a clock": (DAYS, [str(day) for day in DAYS]),
    "days of business": (days := pd.bdate_range("2020-01-22", periods=40), [f"{day:%Y-%m-%d}" for day in days]),
    "months": (MONTHS, [f"{month:%Y-%m}" for month in MONTHS]),
    "months by their names": (MONTHS, [f"{month:%b %Y}" for month in MONTHS]),
    "months in digits": (MONTHS, [f"{month:%Y%m}" for month in MONTHS]),
    "months with a line": (MONTHS, [f"{month:%Y_%m}" for month in MONTHS]),
    "months behind a word": (MONTHS, [f"sales_{month:%Y_%m}" for month in MONTHS]),
    "months of Eurostat": (MONTHS, [f"{month:%YM%m}" for month in MONTHS]),
    "ends of months": (ends := pd.date_range("2000-01-31", periods=30, freq="ME"), [f"{end:%Y-%m-%d}" for end in ends]),
    "quarters": (
        parts := pd.date_range("2001-01-01", periods=20, freq="QS"),
        [f"{q.year}-Q{q.quarter}" for q in parts],
    ),
    "years": (YEARS, [f"{year:%Y}" for year in YEARS]),
    "years of the FAO": (YEARS, [f"Y{year:%Y}" for year in YEARS]),
    "years of the World Bank": (YEARS, [f"{year:%Y} [YR{year:%Y}]" for year in YEARS]),
    "hours": (hours := pd.date_range("2020-01-01", periods=50, freq="h"), [f"{hour:%Y-%m-%d %H:%M}" for hour in hours]),
}


@pytest.mark.parametrize("form", WRITTEN)
def test_the_names_of_columns_are_the_times_of_steps(form):
    times, names = WRITTEN[form]
    found = calendar(plain_dates(names))
    assert found is not None
    np.testing.assert_array_equal(found[0], times.as_unit("ns").asi8)
    following = found[1].extend(int(found[0][-1]), 3)
    expected = pd.date_range(times[-1], periods=4, freq=times.freq)[1:]
    np.testing.assert_array_equal(following, expected.as_unit("ns").asi8)


@pytest.mark.parametrize(
    "names",
    [
        [f"{hour:02d}:00" for hour in range(24)],  # of any day
        [f"d_{k}" for k in range(1, 30)],
        [f"v{1900 + k}" for k in range(30)],  # a letter that names no years
        [f"X{1100 + 2 * k}" for k in range(700)],  # nanometres
        ["2000", "2001"],  # two show no step
        [f"{k}" for k in range(1, 40)],
        ["2001-01-01", "2001-01-02", "rest"],
    ],
)
def test_other_names_are_no_dates(names):
    assert plain_dates(names) == ()


def table(names, rows=2):
    lines = [f"s{row}," + ",".join(str(100 * row + k) for k in range(len(names))) for row in range(rows)]
    return "\n".join([",".join(["name", *names]), *lines]) + "\n"


def test_each_row_has_the_times_of_its_steps(put):
    names = [f"{day:%Y-%m-%d}" for day in DAYS]
    text = table(names).replace(",138,139", ",,")  # the last row ends two days before
    series = read_wide([put(text)])
    assert series.lengths.tolist() == [40, 38] and series.clock is not None and series.clock.freq == "D"
    np.testing.assert_array_equal(series.times(0), DAYS.as_unit("ns").asi8)
    np.testing.assert_array_equal(series.times(1, more=1), DAYS[:39].as_unit("ns").asi8)


def test_columns_that_are_newest_first_have_their_times_turned_too(put):
    names = [f"{month:%YM%m}" for month in MONTHS[::-1]]
    series = read_wide([put(table(names))])
    np.testing.assert_array_equal(series.times(1), MONTHS.as_unit("ns").asi8)
    assert series.values[0, 30:].tolist() == list(range(129, 99, -1))


@pytest.mark.parametrize(
    "names",
    [
        ["1990", "2000", "2011", "2012", "2013"],  # as one picks them at the World Bank
        [f"1/{day}/20" for day in range(2, 10)],  # eight days, or the first of eight months
    ],
)
def test_dates_without_certain_steps_are_counted_and_it_is_told(put, names):
    series = read_wide([put(table(names))])
    assert series.clock is None and series.time is None
    assert f"the dates of the columns ({', '.join(names[:3])}, ...) have no even steps that are certain" in " ".join(
        series.notes
    )


def test_files_of_other_dates_have_no_calendar_together(put):
    files = [put(table([f"{year + k}" for k in range(5)]), f"{year}.csv") for year in (1990, 2000)]
    series = read_wide(files)
    assert series.clock is None
    assert any(note.startswith("warning: the columns of ") and "have other dates than" in note for note in series.notes)
    assert read_wide([files[0], files[0]]).clock is not None
