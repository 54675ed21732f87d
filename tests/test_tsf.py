"""readers/tsf.py: files of the Monash archive, written here by hand as its loaders read them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from errors import DataError
from readers.dated import dated
from readers.dialect import AUTO, Dialect
from readers.long import read_long

from .runs import go

HEAD = """# Dataset Information
# For more details, please refer to
#
@relation Toy
@attribute series_name string
@attribute start_timestamp date
@frequency {}
@horizon 4
@missing {}
@equallength false
@data
"""


def archive(frequency: str, *lines: str, missing: str = "false") -> str:
    return HEAD.format(frequency, missing) + "\n".join(lines) + "\n"


def values(count: int, first: int = 0) -> str:
    return ",".join(f"{first + k}.5" for k in range(count))


FREQUENCIES = {
    "yearly": "YS",
    "quarterly": "QS",
    "monthly": "MS",
    "weekly": "7D",
    "daily": "D",
    "hourly": "h",
    "half_hourly": "30min",
    "10_minutes": "10min",
    "minutely": "min",
    "4_seconds": "4s",
}


@pytest.mark.parametrize("frequency", FREQUENCIES)
@pytest.mark.parametrize("ending", [".tsf", ".txt"])
def test_series_of_each_frequency_begin_and_end_when_the_file_says(put, frequency, ending):
    text = archive(frequency, f"T1:1990-01-01 00-00-00:{values(30)}", f"T2:1992-01-01 00-00-00:{values(12, 7)}")
    path = put(text, "toy" + ending)
    found = dated(path, Dialect(AUTO, AUTO))
    assert (found.time, found.ids) == ("time", ("series_name",))
    step = FREQUENCIES[frequency]
    if frequency == "weekly":  # days of one clock
        path = put(text.replace("1992-01-01", "1990-01-15"), "toy" + ending)
    series = read_long([path], time_col="time", id_col="series_name", sep=AUTO, decimal=AUTO)
    first = pd.date_range("1990-01-01", periods=30, freq=step)
    then = pd.date_range("1990-01-15" if frequency == "weekly" else "1992-01-01", periods=12, freq=step)
    assert {*series.rows} == {"T1", "T2"} and series.channels == ("value",)
    for name, times, numbers in (("T1", first, np.arange(30) + 0.5), ("T2", then, np.arange(12) + 7.5)):
        row = slice(*series.offsets[series.rows.index(name) :][:2])
        assert series.time[row].tolist() == times.as_unit("ns").asi8.tolist()
        assert series.values[0, row].tolist() == numbers.tolist()


def test_missing_values_attributes_and_the_horizon(put, tmp_path):
    text = archive(
        "daily", *(f"T{k}:G{k % 2}:2020-01-0{k} 12-00-00:1,?,{values(30)}" for k in (1, 2, 3, 4)), missing="true"
    )
    put(text.replace("@attribute start", "@attribute group string\n@attribute start"), "toy.tsf")
    answer = go(tmp_path, "--csv toy.tsf")
    assert "4 series of 32 steps, 1 column (value)" in answer.out and "from 2020-01-01 to 2020-02-04" in answer.out
    assert "its horizon is 4, --horizon 4 forecasts that" in answer.out
    assert "--categorical group takes it as categories" in answer.out
    assert "4 missing and 0 infinite values" in answer.out


def test_without_a_beginning_and_beyond_all_times_steps_are_counted(put):
    bare = archive("yearly", f"T1:{values(9)}", f"T2:{values(5)}").replace("@attribute start_timestamp date\n", "")
    late = archive("yearly", f"T1:1750-01-01 00-00-00:{values(600)}", f"T2:1990-01-01 00-00-00:{values(5)}")
    for text, lengths in ((bare, [9, 5]), (late, [600, 5])):
        path = put(text, "toy.tsf")
        assert dated(path, Dialect(AUTO, AUTO)).time == "step"
        series = read_long([path], time_col="step", id_col="series_name")
        assert series.clock is None and series.lengths.tolist() == lengths


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("T1:1,2,3", "1 attribute before the values, expected 2"),
        ("T1:yesterday:1,2,3", "'yesterday' is not a date and time"),
    ],
)
def test_a_line_that_is_not_in_order_is_named(put, line, told):
    with pytest.raises(DataError, match=told) as caught:
        read_long([put(archive("daily", line), "toy.tsf")], time_col="time")
    assert caught.value.where.endswith("toy.tsf:12")


@pytest.mark.parametrize(("cut", "told"), [("@data\n", "no line @data"), ("T1", "no series below @data")])
def test_a_file_without_data(put, cut, told):
    text = archive("daily", f"T1:2020-01-01 00-00-00:{values(9)}")
    with pytest.raises(DataError, match=told):
        read_long([put(text[: text.index(cut)], "toy.tsf")], time_col="time")
