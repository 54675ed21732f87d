"""Quarters in words, days of years, fiscal weeks: times/periods.py; and what times/tongues.py makes of them."""

from __future__ import annotations

import numpy as np
import pytest

from errors import DataError
from readers.dated import dated
from readers.dialect import AUTO, Dialect
from readers.long import read_long
from times.periods import counted, of_short_years
from times.tongues import english
from times.words import is_time

QUARTERS = {
    "2003 1. Quartal": "2003-Q1",
    "4. Quartal 2003": "2003-Q4",
    "1er trimestre 2020": "2020-Q1",
    "2020 2º trimestre": "2020-Q2",
    "II кв. 2020": "2020-Q2",
    "3 квартал 2021": "2021-Q3",
    "IV kwartał 2020": "2020-Q4",
    "2020年第1季度": "2020-Q1",
    "2020年第三季度": "2020-Q3",
    "2020 Quarter 3": "2020-Q3",
    "4th quarter 2019": "2019-Q4",
    "2020K2": "2020-Q2",
    "FY23 W05": "2023-W05",
    "2020U05": "2020-W05",
}


@pytest.mark.parametrize("cell", QUARTERS)
def test_a_quarter_or_week_in_words(cell):
    assert english(cell) == QUARTERS[cell] and is_time(cell)


@pytest.mark.parametrize(
    ("cell", "day"),
    [
        ("2023/301-21:09:23", "2023-10-28 21:09:23"),
        ("2024-060", "2024-02-29"),
        ("2023-365T00:00", "2023-12-31 00:00"),
        ("2023-366", "2023-366"),  # that year has none
        ("2024 KW 5", "2024-W05"),  # a week, no quarter
        ("2023年6月11日1时30分", "2023-6-11 1:30"),
        ("2023年6月12日5时", "2023-6-12 5:00"),
        ("2024年1月5日", "2024-1-5"),
    ],
)
def test_days_of_years_and_hours_of_days(cell, day):
    assert english(cell) == day


def test_a_year_and_a_count_are_quarters_or_months():
    assert counted(["1960:1", "1960:2", "1960:3", "1960:4"])[3] == "1960-10-01"
    assert counted(["1960:01", "1960:02", "1960:04"])[2] == "1960-04-01"
    assert counted([f"1960:{k}" for k in range(1, 13)])[11] == "1960-12-01"
    assert counted(["1960:1", "1960:13"]) == [] == counted(["1960", "1961"])


def read(path, cells, **more):
    path.write_text("\n".join(["date;y", *(f"{cell};{k % 7}.5" for k, cell in enumerate(cells))]) + "\n")
    return read_long([path], time_col="date", sep=";", **more)


def test_a_column_of_counted_quarters(tmp_path):
    series = read(tmp_path / "x.csv", [f"{1960 + k // 4}:{k % 4 + 1}" for k in range(40)])
    months = series.times(0).astype("datetime64[ns]").astype("datetime64[M]").astype(int)
    assert np.array_equal(months, np.arange(40) * 3 - 120)


def test_dates_with_dots_have_the_day_first(tmp_path):
    hours = [f"03.04.2023 {k:02d}:00" for k in range(24)]
    series = read(tmp_path / "x.csv", hours)
    assert np.array_equal(
        series.times(0).astype("datetime64[ns]"), np.datetime64("2023-04-03T00", "ns") + np.arange(24) * 3600 * 10**9
    )
    assert any("day before month, since dates with dots are" in note for note in series.notes)
    with pytest.raises(DataError, match="could be day before month or month before day"):
        read(tmp_path / "y.csv", [hour.replace(".", "/") for hour in hours])
    assert read(tmp_path / "z.csv", hours, date_order="mdy").times(0)[0] == np.datetime64("2023-03-04", "ns").astype(
        int
    )


def test_days_in_eight_digits_with_a_fraction_of_nothing(tmp_path):
    series = read(tmp_path / "x.csv", [f"202401{k:02d}.0" for k in range(1, 31)])
    days = series.times(0).astype("datetime64[ns]").astype("datetime64[D]")
    assert np.array_equal(days, np.datetime64("2024-01-01") + np.arange(30))


def test_a_tuesday_in_french_is_no_march():
    assert english("mar. 7 mars 2023 01:00") == "7 Mar 2023 01:00" and english("mars 2023") == "Mar 2023"
    assert english("Mar 7, 2023") == "Mar 7, 2023"


def test_years_of_two_digits_beside_months_and_days(tmp_path):
    days = np.datetime64("1961-12-20") + np.arange(60)
    parts = [str(day).split("-") for day in days]
    body = "".join(f"{y[2:]} {int(m):2d} {int(d):2d} {k / 4:5.2f} {k % 7:5.1f}\n" for k, (y, m, d) in enumerate(parts))
    (tmp_path / "x.txt").write_text("Yr Mo Dy   RPT   VAL\n" + body)
    found = dated(tmp_path / "x.txt", Dialect(AUTO, AUTO))
    assert found is not None and found.time == "Yr+Mo+Dy"
    series = read_long([tmp_path / "x.txt"], time_col=found.time, sep=AUTO, decimal=AUTO)
    assert np.array_equal(series.times(0).astype("datetime64[ns]").astype("datetime64[D]"), days)
    assert np.array_equal(series.values[0], np.arange(60) / 4)


MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
NAMED = [f"{year:02d}-{month}" for year in range(98, 100) for month in MONTHS]


@pytest.mark.parametrize(
    ("cells", "first", "last"),
    [
        (NAMED, "1998-01-01", "1999-12-01"),
        ([f"{year:02d}-{month}" for year in (3, 4) for month in MONTHS], "2003-01-01", "2004-12-01"),
        ([f"{year}-{month}" for year in (9, 10) for month in MONTHS], "2009-01-01", "2010-12-01"),  # zeros are lost
        ([f"{year}-{month:02d}" for year in (1, 2, 3) for month in range(1, 13)], "2001-01-01", "2003-12-01"),
        ([f"{year} {month}" for year in (15, 16) for month in MONTHS[2::3]], "2015-03-01", "2016-12-01"),
        (NAMED[::-1], "1999-12-01", "1998-01-01"),
        ([*NAMED[:14], *NAMED[12:]], "1998-01-01", "1999-12-01"),  # two lines twice
        ([name for name in NAMED for _ in "ab"], "1998-01-01", "1999-12-01"),  # two series
    ],
)
def test_months_behind_short_years_that_go_on(cells, first, last):
    found = counted(cells)
    assert (len(found), found[0], found[-1]) == (len(cells), first, last)
    assert of_short_years(cells) == f"months of years: {cells[0]!r} is {first[:7]}"


@pytest.mark.parametrize(
    "cells",
    [
        [f"15-{month}" for month in MONTHS],  # may be the fifteenth of each month
        [f"{day}-Jan" for day in range(1, 29)],
        [f"{day}-{month}" for month in MONTHS[:2] for day in range(1, 29)],
        [f"{month}-{day:02d}" for month in (1, 2) for day in range(1, 29)],
        ["03-Jan", "03-May", "04-Feb", "07-Mar", "09-Jul"],  # in no even steps
        [*NAMED, "total"],
        ["1-00", "1-06", "2-00"],
        [],
    ],
)
def test_numbers_beside_months_that_may_be_days_are_not_taken_for_years(cells):
    assert counted(cells) == [] and of_short_years(cells) == ""


@pytest.mark.parametrize("last", [9, 38])
def test_a_table_of_months_behind_short_years_has_a_season(tmp_path, last):
    lines = [f"{year:02d}-{month},{year + k}" for year in range(3, last) for k, month in enumerate(MONTHS)]
    (tmp_path / "sales.csv").write_text("\n".join(["Month-Year,sold", *lines]) + "\n")
    assert dated(tmp_path / "sales.csv", Dialect()).time == "Month-Year"
    series = read_long([tmp_path / "sales.csv"], time_col="Month-Year")
    assert series.clock.freq == "MS" and 12 in series.clock.periods
    assert np.datetime64(int(series.time[0]), "ns") == np.datetime64("2003-01-01")
    assert series.values.tolist() == [[year + k for year in range(3, last) for k in range(12)]]
    assert "months of years: '03-Jan' is 2003-01" in " ".join(series.notes)
