"""readers/worded.py, and columns of words among which are numbers: they are left out, and all else is read."""

from __future__ import annotations

import numpy as np
import pytest

from errors import DataError
from readers.categories import Asked
from readers.long import read_long

from .runs import go

HOURS = [f"2024-03-{1 + k // 24:02d}T{k % 24:02d}:00:00Z" for k in range(120)]


def history(doors: bool = True) -> str:
    """The history of three things as Home Assistant exports it."""
    lines = ["entity_id,state,last_changed"]
    lines += [f"sensor.hall,{'unavailable' if k == 7 else 20 + k / 8},{time}" for k, time in enumerate(HOURS)]
    if doors:
        lines += [
            f"binary_sensor.door,{'unavailable' if k == 7 else ('on', 'off')[k % 2]},{t}" for k, t in enumerate(HOURS)
        ]
    lines += [f"sensor.power,{100 + k},{time}" for k, time in enumerate(HOURS)]
    return "\n".join(lines) + "\n"


def test_doors_beside_thermometers_are_left_out(put, tmp_path):
    names = {"time_col": "last_changed", "id_col": "entity_id", "nan": "drop", "sep": "auto", "decimal": "auto"}
    found = read_long([put(history(), "all.csv")], **names)
    want = read_long([put(history(doors=False), "rest.csv")], **names)
    assert found.rows == ("sensor.hall", "sensor.power") and found.channels == ("state",)
    np.testing.assert_array_equal(found.values, want.values)
    np.testing.assert_array_equal(found.time, want.time)
    assert found.values[0, :3].tolist() == [20, 20.125, 20.25] and np.isnan(found.values[0, 7])
    assert "1 series of words alone left out, 120 lines: binary_sensor.door" in " ".join(found.notes)
    assert "2 series of 120 steps, 1 column (state)" in go(tmp_path, "--csv all.csv").out


def test_one_word_of_a_series_of_numbers_is_still_an_error(put):
    text = history(doors=False).replace(",103,", ",broken,")
    with pytest.raises(DataError, match="where a number is expected, in column 'state'"):
        read_long([put(text)], time_col="last_changed", id_col="entity_id", sep="auto", decimal="auto")


def read(put, cells):
    lines = [f"{time},{k}.5,{cell}" for k, (time, cell) in enumerate(zip(HOURS, cells, strict=True))]
    path = put("\n".join(["time,load,other", *lines]) + "\n")
    return read_long([path], time_col="time", sep="auto", decimal="auto", asked=Asked(free=True))


@pytest.mark.parametrize(
    "cells",
    [
        ["0abc"[k % 4] for k in range(120)],  # holidays of shops
        [("0", "1", "2", "3+")[k % 4] for k in range(120)],
        ["800" if k == 60 else f"swift {k % 9}" for k in range(120)],  # a car of that name
    ],
)
def test_a_column_of_words_among_which_are_numbers_is_left_out(put, cells):
    series = read(put, cells)
    assert series.channels == ("load",) and series.text == ("other",)
    assert "left out, since it holds text: 'other'" in " ".join(series.notes)


@pytest.mark.parametrize(
    "cells",
    [
        ["x" if k == 60 else k % 3 for k in range(120)],  # a slip
        ["x" if k % 9 == 4 else k / 4 for k in range(120)],  # a measurement
        [f"{k % 3}{'x' * (k % 2)}" if k % 9 == 4 else k for k in range(120)],
    ],
)
def test_a_word_in_a_column_of_numbers_is_an_error(put, cells):
    with pytest.raises(DataError, match="where a number is expected, in column 'other'"):
        read(put, cells)
