"""readers/stray.py: lines that a clock wrote before it was set."""

from __future__ import annotations

import datetime

import numpy as np
import pandas as pd
import pytest

from errors import DataError
from readers.long import read_long

MINUTES = [datetime.datetime(2024, 3, 4) + datetime.timedelta(minutes=k) for k in range(200)]


def lines(*others):
    """Two hundred minutes, with other lines before these numbers, from 0."""
    made = [f"{time},{k}" for k, time in enumerate(MINUTES)]
    for at, line in sorted(others, reverse=True):
        made.insert(at, line)
    return "\n".join(["time,x", *made])


@pytest.mark.parametrize("resample", ["", "5min"])
@pytest.mark.parametrize("others", [
    [(0, "1970-01-01 00:00:00,7"), (0, "1970-01-01 00:00:03,7")],
    [(90, "2000-01-01 00:00:00,7")],  # of a logger that started anew
    [(200, "2204-03-04 03:20:00,7")],
    [(0, "1970-01-01 00:00:00,7"), (200, "2080-01-01 00:00:00,7")],
])  # fmt: skip
def test_lines_years_away_are_left_out(put, others, resample):
    whole = read_long([put(lines(), "whole.csv")], time_col="time", resample=resample)
    path = put(lines(*others), "x.csv")
    series = read_long([path], time_col="time", resample=resample)
    assert np.array_equal(series.values, whole.values) and np.array_equal(series.time, whole.time)
    count, at = len(others), min(number for number, _ in others) + 2
    told = f"warning: {count} line{'s' * (count > 1)} years away from all others left out: {path}:{at} ("
    assert any(note.startswith(told) for note in series.notes)


def test_strict_and_more_lines_keep_them(put):
    few = put(lines((0, "1970-01-01 00:00:00,7")))
    with pytest.raises(DataError, match="a step of"):
        read_long([few], time_col="time", strict=True)
    many = [(0, f"1970-01-01 00:{k:02d}:00,7") for k in range(5)[::-1]]
    with pytest.raises(DataError, match="a step of"):
        read_long([put(lines(*many))], time_col="time")


def test_a_pause_of_years_in_long_records_stays(put):
    """Days of ten years, one more eleven years later: no more than the record takes itself, ten times."""
    days = [datetime.date(2000, 1, 1) + datetime.timedelta(days=k) for k in range(3650)]
    text = "\n".join(["time,x", *(f"{day},{k}" for k, day in enumerate(days)), "2021-01-01,5"])
    with pytest.raises(DataError, match="a step of"):
        read_long([put(text)], time_col="time")


@pytest.mark.parametrize(("early", "fits"), [(5, True), (90, False)])
def test_few_lines_outside_of_the_hours_of_a_market_are_left_out(put, early, fits):
    days = pd.bdate_range("2023-01-02", periods=200)
    usual = [day + pd.Timedelta(minutes=570 + 15 * k) for day in days for k in range(26)]
    odd = [day + pd.Timedelta(hours=hour) for day in days[:early] for hour in ((7,) if fits else (7, 8))]
    times = sorted([*usual, *odd])
    values = {time: k / 4 for k, time in enumerate(times)}
    path = put("\n".join(["time,price", *(f"{time},{values[time]}" for time in times)]) + "\n")
    if not fits:
        with pytest.raises(DataError, match="a step of"):
            read_long([path], time_col="time")
        return
    series = read_long([path], time_col="time")
    assert series.clock.freq == "15min@MON-FRI 09:30-15:45"
    assert np.array_equal(series.time.view("datetime64[ns]"), np.array(usual, "datetime64[ns]"))
    assert series.values[0].tolist() == [values[time] for time in usual]
    told = "warning: 5 lines outside of the usual hours (MON-FRI 09:30-15:45) left out"
    assert any(note.startswith(told) for note in series.notes)
    with pytest.raises(DataError):
        read_long([path], time_col="time", strict=True)
