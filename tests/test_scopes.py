"""Oscilloscopes' recordings: readers/scopes.py; each file is written as the devices write them."""

from __future__ import annotations

import numpy as np
import pytest

from errors import DataError
from readers.dated import dated
from readers.dialect import AUTO, Dialect
from readers.long import read_long

WAVE = np.sin(np.arange(200) / 9).round(4)
FACTS = ["Record Length,2.0e+02", "Sample Interval,4.0e-06", "Source,CH1", "Vertical Units,V"]


def read(path):
    found = dated(path, Dialect(AUTO, AUTO))
    assert found is not None and found.time == "time"
    return read_long([path], time_col="time")


def tektronix(path, channels=1, late=0.0):
    lines = []
    for at, value in enumerate(WAVE):
        fact = FACTS[at] if at < len(FACTS) else ","
        parts = [
            f"{fact.replace('CH1', f'CH{k + 1}')},,{(at - 100) * 4e-6 + late * k:016.12f},{(k + 1) * value:.4f},"
            for k in range(channels)
        ]
        lines.append(",".join(parts))
    path.write_text("\r\n".join(lines) + "\r\n", newline="")
    return path


@pytest.mark.parametrize("channels", [1, 2])
def test_facts_beside_the_values_are_none_of_them(channels, tmp_path):
    series = read(tektronix(tmp_path / "x.csv", channels))
    assert series.channels == ("CH1 (V)", "CH2 (V)")[:channels] and series.values.shape == (channels, 200)
    assert np.allclose(series.values, np.outer(np.arange(1, channels + 1), WAVE), atol=1e-6)


def test_channels_with_times_of_their_own_are_refused(tmp_path):
    with pytest.raises(DataError, match="channels of an oscilloscope with times of their own"):
        read_long([tektronix(tmp_path / "x.csv", 2, late=1e-6)], time_col="time")


def test_the_first_time_and_the_step_stand_below_their_names(tmp_path):
    lines = [f"{k},{value},{k % 5}.5," for k, value in enumerate(WAVE)]
    head = ["X,CH1,CH2,Start,Increment,", "Sequence,Volt,Volt,-6.0e-03,1.0e-05"]
    (tmp_path / "x.csv").write_text("\n".join([*head, *lines]) + "\n")
    series = read(tmp_path / "x.csv")
    assert series.channels == ("CH1 (Volt)", "CH2 (Volt)") and np.allclose(series.values[0], WAVE)
    (tmp_path / "y.csv").write_text("\n".join([head[0], *lines]) + "\n")
    with pytest.raises(DataError, match="without its first time and its step"):
        read_long([tmp_path / "y.csv"], time_col="time")
