"""times/stamps.py: months among days, which a parser takes for first days, in lines looked at one by one or all."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from errors import DataError
from readers.dated import dated
from readers.dialect import Dialect
from readers.long import read_long
from times import stamps

DAYS = [f"2023-{month:02d}-{day:02d}" for month in (1, 2, 3) for day in range(1, 29)]


def lines(cells: list[str], beside: str = ",1.5") -> bytes:
    return "\n".join(cell + beside for cell in cells).encode()


@pytest.mark.parametrize("most", [stamps.MOST_LOOKED_AT, 0])
@pytest.mark.parametrize("head", [b"", b"day,x\n"])
@pytest.mark.parametrize("end", [b"", b"\n"])
@pytest.mark.parametrize(
    ("cells", "among"),
    [
        (DAYS, False),
        ([*DAYS[:28], "2023-01", *DAYS[28:]], True),
        (["2023-02", *DAYS], True),
        ([*DAYS, "2023"], True),
        (DAYS * 3, False),  # a panel whose series begin on the first of a month
    ],
)
def test_months_among_days(cells, among, head, end, most, monkeypatch):
    monkeypatch.setattr(stamps, "MOST_LOOKED_AT", most)
    times = pd.to_datetime(pd.Series(cells), format="ISO8601").to_numpy("datetime64[ns]").view(np.int64)
    assert stamps._has_months_among_days(times, head + lines(cells) + end) == among


def test_a_column_of_years_and_a_panel_of_months_are_none():
    for cells, beside in ((DAYS * 3, ",2023,1.5"), ([f"2023-{month:02d}" for month in range(1, 13)] * 3, ",1.5")):
        times = pd.to_datetime(pd.Series(cells), format="ISO8601").to_numpy("datetime64[ns]").view(np.int64)
        assert not stamps._has_months_among_days(times, lines(cells, beside))


@pytest.mark.parametrize("form", ["%m/%d/%Y", "%d/%m/%Y", "%d.%m.%Y"])
@pytest.mark.parametrize("freq", ["ME", "D"])
def test_dates_before_1900_stand_beside_those_that_a_spreadsheet_knows(put, form, freq):
    days = pd.date_range("1899-01-01" if freq == "D" else "1850-01-31", periods=900, freq=freq)
    cells = [str(day.date()) if day.year < 1900 else day.strftime(form) for day in days]
    path = put("\n".join(["date,x", *(f"{cell},{k}.5" for k, cell in enumerate(cells))]) + "\n")
    assert dated(path, Dialect()).time == "date"
    series = read_long([path], time_col="date")
    assert series.clock.freq == freq and np.array_equal(series.time.view("datetime64[ns]"), days.to_numpy())
    assert series.values.tolist() == [[k + 0.5 for k in range(900)]]


def test_other_columns_of_two_kinds_of_dates_are_refused(put):
    for cells in (["1901-01-01", "1/2/1901", "1/3/1901", "1/4/1901"], ["1/1/1899", "1899-01-02", "1899-01-03"]):
        path = put("\n".join(["date,x", *(f"{cell},1" for cell in cells)]) + "\n")
        with pytest.raises(DataError, match="is not a date and time"):
            read_long([path], time_col="date")
