"""times/daynumbers.py: days of years, of six and eight digits, Julian ones and MATLAB's, as the time of a table."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import numpy as np
import pytest

from errors import DataError
from readers.dated import dated
from readers.dialect import AUTO, Dialect
from readers.long import read_long
from times.daynumbers import scale_of, spelled_out

START = date(2019, 11, 20)
DAYS = [START + timedelta(k) for k in range(120)]  # into a leap year


def read(put, name, cells, **flags):
    path = put(f"{name},a\n" + "".join(f"{cell},{k}.5\n" for k, cell in enumerate(cells)))
    found = dated(path, Dialect(AUTO, AUTO))
    assert found is not None and found.time == name
    return read_long([path], time_col=name, **flags)


@pytest.mark.parametrize("form", ["%y%j", "%Y%j", "%y%m%d", "%d%m%Y", "%m%d%Y", "%Y%m%d"])
def test_a_day_in_digits(put, form):
    """They were counted, channels, or (24001) days of 1965: Excel's."""
    series = read(put, "date", [f"{day:{form}}" for day in DAYS])
    assert series.channels == ("a",) and series.clock.freq == "D"
    assert series.clock.show(series.time[[0, -1]]) == ["2019-11-20", "2020-03-18"]


def test_days_of_one_year_begin_with_the_first(put):
    """As crop models write; numbers of Excel's days that cross no year stay such."""
    series = read(put, "DATE", [f"{56000 + k}" for k in range(1, 101)])
    assert series.clock.show(series.time[[0, -1]]) == ["1956-01-01", "1956-04-09"]
    series = read(put, "date", [f"{45292 + k}" for k in range(100)])
    assert series.clock.show(series.time[:1]) == ["2024-01-01"]
    assert spelled_out("cycle", ["2019001", "2019002", "2019003"]) == ([], "")
    assert spelled_out("date", ["201901", "201902", "201903"]) == ([], "")  # months


HOURS = [datetime(2024, 2, 28) + timedelta(hours=3 * k) for k in range(60)]


@pytest.mark.parametrize(
    ("name", "zero", "digits"),
    [
        ("JD", 2440587.5, 5),
        ("BJD_TDB", 2440587.5, 6),
        ("mjd", 40587, 4),
        ("datenum", 719529, 6),
        ("Julian Date", 2440587.5, 3),
    ],
)
def test_days_since_an_epoch(put, name, zero, digits):
    """They were channels. The zeros are those of 1970-01-01 in each scale."""
    cells = [f"{zero + (time - datetime(1970, 1, 1)) / timedelta(days=1):.{digits}f}" for time in HOURS]
    series = read(put, name, cells)
    assert series.channels == ("a",) and series.clock.freq == "3h"
    assert series.clock.show(series.time[[0, 8]]) == ["2024-02-28 00:00:00", "2024-02-29 00:00:00"]


def test_uneven_julian_days_are_no_channel(put):
    """As a star is looked at: each line is a step, and a note says that the days are left out."""
    days = 2458484.5 + np.cumsum(np.random.default_rng(0).uniform(0.2, 9, 60)).round(4)
    path = put("HJD,mag,err\n" + "".join(f"{day:.4f},{k % 7}.5,{k % 5}.25\n" for k, day in enumerate(days)))
    found = dated(path, Dialect(AUTO, AUTO))
    assert found is not None and found.time == "line"
    assert read_long([path], time_col="line").channels == ("mag", "err")
    with pytest.raises(DataError, match="a step of"):
        read_long([path], time_col="HJD")


def test_other_numbers_keep_their_scale():
    assert not scale_of("JD", ["1", "2", "3"]) and not scale_of("price", ["2458484.5"] * 3)
    assert scale_of("MJD", ["58484", "58485"]) == "modified Julian days"


def test_a_column_named_by_how_its_days_are_written_holds_times(tmp_path):
    days = np.arange("2006-12-20", "2007-03-01", dtype="datetime64[D]")
    years = days.astype("datetime64[Y]")
    numbers = (years.astype(int) + 1970) * 1000 + (days - years).astype(int) + 1
    lines = [f" {number}, {k}.5" for k, number in enumerate(numbers)]
    (tmp_path / "a.csv").write_text("\n".join(["ice of the north", "yyyyddd, north", *lines]) + "\n")
    assert dated(tmp_path / "a.csv", Dialect()).time == "yyyyddd"
    series = read_long([tmp_path / "a.csv"], time_col="yyyyddd")
    assert np.array_equal(series.time.view("datetime64[ns]"), days.astype("datetime64[ns]"))
