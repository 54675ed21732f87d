"""readers/blank_ends.py: lines of days that are not over, and of those before a device was there."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from errors import DataError
from readers.long import read_long

DAYS = pd.date_range("2024-01-01", periods=40, freq="D").strftime("%Y-%m-%d").tolist()


def table(put, *, begin=3, end=30, hole=12, more=""):
    lines = [
        f"{day},{k if begin <= k < end and k != hole else ''},{2 * k if 5 <= k < end else ''}"
        for k, day in enumerate(DAYS)
    ]
    return put("day,load,wind\n" + "\n".join(lines) + more)


def test_a_table_ends_where_its_values_end(put):
    series = read_long([table(put)], time_col="day", nan="auto")
    assert series.values.shape == (2, 27) and series.clock.show(series.time[[0, -1]]) == ["2024-01-04", "2024-01-30"]
    assert series.values[0].tolist() == [11.0 if k == 12 else k for k in range(3, 30)]  # the hole is filled
    assert "13 lines without a value before the first one or after the last left out" in " ".join(series.notes)
    assert read_long([table(put)], time_col="day", nan="drop").values.shape == (2, 27)


def test_where_missing_values_are_zeros_or_refused_all_lines_stay(put):
    assert read_long([table(put)], time_col="day", nan="zero").values.shape == (2, 40)
    with pytest.raises(DataError, match="missing"):
        read_long([table(put)], time_col="day", nan="error")


def test_each_series_ends_by_itself_whatever_one_value_it_has_in_all_lines(put):
    lines = [f"{day},a,7,{k if k < 20 else ''}" for k, day in enumerate(DAYS)]
    lines += [f"{day},b,9,{k + 100}" for k, day in enumerate(DAYS)]
    series = read_long([put("day,shop,area,sales\n" + "\n".join(lines))], time_col="day", id_col="shop", nan="drop")
    assert series.lengths.tolist() == [20, 40] and series.static == ("area",)
    np.testing.assert_array_equal(series.values[1], [*range(20), *range(100, 140)])


def test_future_lines_of_what_is_known_ahead_stay(put):
    lines = [f"{day},{k if k < 30 else ''},{k % 7}" for k, day in enumerate(DAYS)]
    path = put("day,load,weekday\n" + "\n".join(lines))
    series = read_long([path], time_col="day", known=["weekday"], nan="drop")
    assert series.lengths.tolist() == [30] and series.after.shape == (1, 1, 10)


@pytest.mark.parametrize("policy", ["auto", "drop"])
def test_lines_of_a_button_between_steps_and_of_the_end_are_left_out(put, policy):
    """A HOBO logger numbers its lines, and writes one each time that it is plugged in or a button is pressed."""
    times = pd.date_range("2024-01-01", periods=50, freq="30min").tolist()
    events = [(times[20] + pd.Timedelta("13min"), ""), (times[-1] + pd.Timedelta("7min"), "")]
    lines = sorted([*((time, f"{k / 4}") for k, time in enumerate(times)), *events])
    text = "\n".join(
        f"{number},{time},{value},{'' if value else 'Logged'}" for number, (time, value) in enumerate(lines, 1)
    )
    series = read_long([put("#,date,temp,button\n" + text)], time_col="date", nan=policy)
    assert series.channels == ("temp",) and series.clock.freq == "30min"
    assert np.array_equal(series.values[0], np.arange(50) / 4)
    told = " ".join(series.notes)
    assert "1 line without a value between the steps of the others left out" in told and "after the last" in told


def test_a_missing_step_stays_one(put):
    lines = [f"{day},{'' if k == 20 else k}" for k, day in enumerate(DAYS)]
    assert read_long([put("day,load\n" + "\n".join(lines))], time_col="day", nan="drop").values.shape == (1, 40)
