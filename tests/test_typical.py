"""readers/typical.py: months of several years as one, against the hours of that year, which pandas counts."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from errors import DataError
from readers.dated import dated
from readers.dialect import AUTO, Dialect
from readers.long import read_long

HOURS = pd.date_range("2001-01-01", periods=8760, freq="h")
YEARS = (1997, 1985, 1990, 1992, 2003, 1988, 2000, 1985, 1999, 1991, 1994, 1998)  # of the months, 4 of them leap years


def written(form, *, late=0):
    """The hours of a typical year as a column of text; `late` ones have the number of their end, 24:00 the last."""
    made = []
    for at in HOURS:
        text = form.format(y=YEARS[at.month - 1], m=at.month, d=at.day, h=at.hour + late)
        made.append(text)
    return made


FORMS = {
    "eight digits": ("time(UTC)", "{y}{m:02d}{d:02d}:{h:02d}00", 0),
    "american": ("Date (MM/DD/YYYY),Time (HH:MM)", "{m:02d}/{d:02d}/{y},{h:02d}:00", 1),
    "columns": ("Year,Month,Day,Hour,Minute", "{y},{m},{d},{h},0", 0),
}


@pytest.mark.parametrize("kind", FORMS)
def test_months_of_several_years_are_the_hours_of_one(tmp_path, kind):
    head, form, late = FORMS[kind]
    path = tmp_path / "tmy.csv"
    lines = [f"{time},{k % 31}.25" for k, time in enumerate(written(form, late=late))]
    path.write_text("\n".join([f"{head},temp", *lines]) + "\n")
    found = dated(path, Dialect(AUTO, AUTO))
    assert found is not None and found.time == head.replace(",", "+") and found.ids == ()
    series = read_long([path], time_col=found.time)
    expected = HOURS.map(lambda at: at.replace(year=1997)) + pd.Timedelta(hours=late)
    assert series.time.tolist() == expected.as_unit("ns").asi8.tolist()
    assert series.values[0].tolist() == [k % 31 + 0.25 for k in range(8760)]
    told = "a typical year, whose months are of several years: those of 1985 to 2003 as of 1997"
    assert told in " ".join(series.notes)


def test_years_that_follow_one_another_are_left_as_they_are(tmp_path):
    days = pd.date_range("2001-01-01", periods=900, freq="D")
    path = tmp_path / "plain.csv"
    path.write_text("\n".join(["date,temp", *(f"{day.date()},{k % 7}" for k, day in enumerate(days))]))
    series = read_long([path], time_col="date")
    assert series.time.tolist() == days.as_unit("ns").asi8.tolist() and not any("typical" in n for n in series.notes)


def test_facts_above_in_a_small_table_of_their_own_and_names_that_end_early_are_no_part_of_a_table(tmp_path):
    """As registers of wells write them: facts filled up with separators, a table of filters, then the levels."""
    days = pd.date_range("1999-01-14", periods=60, freq="14D")
    lines = ["Title:,,,,,,", "Period:,01-01-1800,to:,05-10-2015,,,", "", "Well,Filter,From,To,Top,Low,Depth,Note"]
    lines += ["B33,001,05-10-1972,28-11-1986,717,32,385,285", "B33,001,28-11-1986,10-09-1997,709,24,385,285", ""]
    lines += ["Well,Filter,Day,Level (cm),Note,More"]
    lines += [f"B33,001,{day:%d-%m-%Y},{500 + k},,," for k, day in enumerate(days)]
    path = tmp_path / "well.csv"
    path.write_text("\n".join(lines) + "\n")
    found = dated(path, Dialect(AUTO, AUTO))
    assert found is not None and found.time == "Day"
    series = read_long([path], time_col="Day", sep=AUTO, decimal=AUTO)
    assert series.clock.freq == "14D" and series.time.tolist() == days.as_unit("ns").asi8.tolist()
    np.testing.assert_array_equal(series.values[list(series.channels).index("Level (cm)")], 500 + np.arange(60))


def test_units_in_names_and_names_without_values_above_a_table_are_no_columns(tmp_path):
    """As solar services write them: names and values of facts as wide as the table, then its names and lines."""
    half = pd.date_range("2017-01-01", periods=200, freq="30min")
    lines = ["Source,Id,City,Latitude,GHI Units,DHI Units,Cloud 0,Cloud 1", "NSRDB,401182,-,40.53,w/m2,w/m2,Clear,Fog"]
    lines += ["Year,Month,Day,Hour,Minute,GHI,,"]
    lines += [f"{t.year},{t.month},{t.day},{t.hour},{t.minute},{k},," for k, t in enumerate(half)]
    path = tmp_path / "sun.csv"
    path.write_text("\n".join(lines) + "\n")
    found = dated(path, Dialect(AUTO, AUTO))
    assert found is not None and found.time == "Year+Month+Day+Hour+Minute"
    series = read_long([path], time_col=found.time)
    assert series.time.tolist() == half.as_unit("ns").asi8.tolist() and series.channels == ("GHI",)
    assert series.values[0].tolist() == [*range(200)]


@pytest.mark.parametrize("late", [0, 1])
def test_months_days_and_hours_without_a_year_are_those_of_one(tmp_path, late):
    """As simulations of solar plants write them: facts above, filled up with separators, and a total at the end."""
    lines = ["PV: hourly data,,,", "Location:,Bern,,", "Tilt (deg):,20,,", "Month,Day,Hour,Output (W)"]
    lines += [f"{at.month},{at.day},{at.hour + late},{k % 31}.5" for k, at in enumerate(HOURS)]
    path = tmp_path / "pv.csv"
    path.write_text("\n".join([*lines, "Totals,,,131400.5"]) + "\n")
    found = dated(path, Dialect(AUTO, AUTO))
    assert found is not None and found.time == "Month+Day+Hour"
    series = read_long([path], time_col=found.time)
    assert series.time.tolist() == (HOURS + pd.Timedelta(hours=late)).as_unit("ns").asi8.tolist()
    assert series.values[0].tolist() == [k % 31 + 0.5 for k in range(8760)]
    assert "times without a year, taken as of 2001" in " ".join(series.notes)


def test_the_end_of_a_typical_year_may_be_kept_aside(tmp_path):
    """As for a test of one's own: ten months and some days, whose years change eight times."""
    whole, part = written("{y}{m:02d}{d:02d}:{h:02d}00"), 24 * 310
    path = tmp_path / "tmy.csv"
    path.write_text("\n".join(["time(UTC),temp", *(f"{time},{k % 31}.25" for k, time in enumerate(whole[:part]))]))
    series = read_long([path], time_col="time(UTC)")
    expected = HOURS[:part].map(lambda at: at.replace(year=1997))
    assert series.time.tolist() == expected.as_unit("ns").asi8.tolist()


def test_two_months_of_two_years_are_no_typical_year(tmp_path):
    days = [
        *pd.date_range("2018-01-01", "2018-01-31 23:00", freq="h"),
        *pd.date_range("2019-02-01", periods=672, freq="h"),
    ]
    path = tmp_path / "two.csv"
    path.write_text("\n".join(["date,temp", *(f"{day},{k % 7}" for k, day in enumerate(days))]))
    with pytest.raises(DataError, match="a step of 8761h, where the usual step is 1h"):
        read_long([path], time_col="date")
