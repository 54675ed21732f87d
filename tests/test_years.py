"""times/years.py: years, fractions of them and months of six digits as the time column of a table."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from errors import DataError
from readers.dated import dated
from readers.dialect import AUTO, Dialect
from readers.long import read_long
from times.years import are_years

from .runs import good, strict

MONTHS = pd.date_range("1949-01-01", periods=40, freq="MS")


def put(folder, cells, name="time", **more):
    path = folder / "t.csv"
    pd.DataFrame({**more, name: cells, "value": np.arange(len(cells)) ** 1.5}).to_csv(path, index=False)
    return path


@pytest.mark.parametrize(
    ("cells", "freq", "last"),
    [
        ([f"{1949 + k / 12:.15g}" for k in range(40)], "MS", "1952-04-01"),
        ([f"{1949 + k / 12:.3f}" for k in range(40)], "MS", "1952-04-01"),
        (
            [f"{int((1949 + k / 12) * 1000 + 1e-6) / 1000:.3f}" for k in range(40)],
            "MS",
            "1952-04-01",
        ),  # cut, not rounded
        ([f"{1949 + (k + 0.5) / 12:.3f}" for k in range(40)], "MS", "1952-04-01"),  # the middle of each
        ([f"{1949 + (k + 0.5) / 12:.4f}" for k in range(40)], "MS", "1952-04-01"),
        ([f"{d.year + (d.dayofyear + 13) / 365:.4f}" for d in MONTHS], "MS", "1952-04-01"),  # the 15th, by its day
        ([f"{1880 + k}.5" for k in range(40)], "YS-JAN", "1919-01-01"),  # no month of May
        ([f"{1880 + k // 12}-{d:%b}" for k, d in enumerate(MONTHS)], "MS", "1883-04-01"),
        ([f"{1960 + k / 4:g}" for k in range(40)], "QS-JAN", "1969-10-01"),
        ([f"{1821 + k}" for k in range(40)], "YS-JAN", "1860-01-01"),
        ([f"{1821 + k}.0" for k in range(40)], "YS-JAN", "1860-01-01"),
        ([date.strftime("%Y%m") for date in MONTHS], "MS", "1952-04-01"),
        ([date.strftime("%YM%m") for date in MONTHS], "MS", "1952-04-01"),
        ([date.strftime("%b-%y").replace("49", "99").replace("5", "0") for date in MONTHS], "MS", "2002-04-01"),
        ([f"Q{k % 4 + 1} {1960 + k // 4}" for k in range(40)], "QS-JAN", "1969-10-01"),
        ([f"{1960 + k // 4}:Q{k % 4 + 1}" for k in range(40)], "QS-JAN", "1969-10-01"),
    ],
)
def test_a_table_of_a_published_series_has_dates(tmp_path, cells, freq, last):
    path = put(tmp_path, cells, rownames=range(1, 41))
    found = dated(path, Dialect())
    assert found is not None and found.time == "time" and not found.ids
    series = read_long([path], time_col="time")
    assert series.clock.freq == freq and series.clock.show(series.time[-1:]) == [last]
    assert series.channels == ("value",)  # not the numbers of the lines


def test_year_and_month_in_columns_of_their_own(tmp_path):
    path = put(tmp_path, MONTHS.year, "year", month=MONTHS.month)
    found = dated(path, Dialect())
    assert found is not None and found.time == "year+month"
    assert read_long([path], time_col=found.time).clock.freq == "MS"


@pytest.mark.parametrize("ending", ["", ".0"])
def test_years_that_nanoseconds_do_not_reach_count(tmp_path, ending):
    series = read_long([put(tmp_path, [f"{1500 + k}{ending}" for k in range(300)], "year")], time_col="year")
    assert series.clock is None and series.values.shape[1] == 300
    with pytest.raises(DataError, match="goes on by 3, where its usual step is 1"):
        read_long([put(tmp_path, [f"{1500 + k + 2 * (k > 20)}{ending}" for k in range(300)], "year")], time_col="year")


def test_what_only_looks_like_years_counts(tmp_path):
    assert not are_years("cycle", ["1900", "1901"]) and not are_years("price", ["1900.5", "1901.0"])
    assert not are_years("time", ["1900.13", "1900.26"]) and not are_years("time", ["0.5", "1.0"])
    series = read_long([put(tmp_path, np.arange(40) / 8)], time_col="time")
    assert series.clock is None
    days = [f"Jan-{k + 1:02d}" for k in range(20)]  # of one month: no years
    with pytest.raises(DataError, match="not a date"):
        read_long([put(tmp_path, days)], time_col="time")


def test_such_a_table_is_forecast_by_the_default_command(tmp_path):
    put(tmp_path, [f"{1949 + k / 12:.15g}" for k in range(84)], rownames=range(1, 85))
    words = "--task forecast --csv t.csv --horizon 6 --quiet --no-plots --reference off --model-args members=theta"
    content = strict(good(tmp_path, words) / "summary.json")
    assert content["n"] >= 1 and np.isfinite(content["mase"])


@pytest.mark.parametrize("name", ["yearweek", "YearWeek", "isoweek", "epi_week", "yyyyww"])
def test_numbers_of_weeks_by_the_name_of_their_column(tmp_path, name):
    mondays = pd.date_range("2019-12-02", periods=110, freq="7D")  # 2020 has 53 of them
    cells = [f"{monday.isocalendar()[0]}{monday.isocalendar()[1]:02d},{k % 7}" for k, monday in enumerate(mondays)]
    path = tmp_path / "t.csv"
    path.write_text("\n".join([f"{name},x", *cells]))
    assert dated(path, Dialect(AUTO, AUTO)).time == name
    assert read_long([path], time_col=name).time.tolist() == mondays.as_unit("ns").asi8.tolist()
