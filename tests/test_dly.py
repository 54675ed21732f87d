"""The daily files of NOAA's GHCN: readers/dly.py."""

from __future__ import annotations

import calendar
import datetime

import numpy as np

from readers.dated import dated
from readers.dialect import AUTO, Dialect
from readers.long import read_long

STATION = "GME00111445"


def day(n: int) -> datetime.date:
    return datetime.date(2019, 11, 1) + datetime.timedelta(n)


def lines(station=STATION):
    """Half a year of a temperature and a depth of snow: 7 n tenths, n mm; day 5 has none, day 6 has failed a check."""
    for year, month in ((2019, 11), (2019, 12), (2020, 1), (2020, 2), (2020, 3), (2020, 4)):
        for element, factor in (("TMAX", 7), ("SNWD", 1)):
            cells = ""
            for k in range(1, 32):
                if k > calendar.monthrange(year, month)[1]:
                    cells += "-9999   "
                    continue
                n = (datetime.date(year, month, k) - day(0)).days
                cells += f"{-9999 if n == 5 else factor * n - 20:5d} {'I' if n == 6 else ' '}S"
            yield f"{station}{year}{month:02d}{element}{cells}"


def test_a_line_of_a_month_becomes_days_and_elements_columns(tmp_path):
    path = tmp_path / f"{STATION}.dly"
    path.write_text("\n".join(lines()) + "\n")
    found = dated(path, Dialect(AUTO, AUTO))
    assert found is not None and found.time == "date" and found.ids == ()
    series = read_long([path], time_col="date", nan="drop")
    assert series.channels == ("TMAX", "SNWD") and series.clock.freq == "D"
    n = np.arange(182.0)
    known = ~np.isin(n, (5, 6))
    assert np.allclose(series.values[0][known], (7 * n[known] - 20) / 10)
    assert np.allclose(series.values[1][known], n[known] - 20) and np.isnan(series.values[:, ~known]).all()
    told = " ".join(series.notes)
    assert "1 station, 2 elements; tenths in the file are whole here: TMAX" in told and "2 values that failed" in told


def test_stations_of_a_file_are_series(tmp_path):
    (tmp_path / "x.dly").write_text("\n".join([*lines(), *lines("USW00094728")]) + "\n")
    series = read_long([tmp_path / "x.dly"], time_col="date", id_col="station", nan="drop")
    assert series.rows == (STATION, "USW00094728") and series.values.shape == (2, 364)
