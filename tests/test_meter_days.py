"""readers/meter_days.py: a line for each day of a meter, with its parts side by side."""

from __future__ import annotations

import datetime

import numpy as np
import pytest

from readers.long import read_long

from .runs import go

SLOTS = [f"{k // 2:02d}:{k % 2 * 30:02d}" for k in range(48)]
SPANS = [f"{a} - {b}" for a, b in zip(SLOTS, [*SLOTS[1:], "00:00"], strict=True)]


def value(meter: int, day: int, part: int) -> float:
    return meter * 1000 + (day * 48 + part) % 97 / 10


def write(path, meters, days, *, names=("CON/GEN", "DATE", "ESTIMATED?"), slots=SPANS, begins=None):
    """Blocks of one meter after the other; meter m begins on day `begins[m]`."""
    lines = [",".join([*names, *slots])]
    for m, meter in enumerate(meters):
        for day in range(begins[m] if begins else 0, days):
            date = datetime.date(2024, 1, 1) + datetime.timedelta(day)
            cells = [f"{value(m, day, part):.1f}" for part in range(len(slots))]
            lines.append(",".join([meter, f"{date:%d/%m/%y}", "No", *cells]))
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize("slots", [SPANS, SLOTS])
def test_a_few_registers_are_channels(tmp_path, slots):
    path = write(tmp_path / "a.csv", ["Consumption", "Generation"], 40, slots=slots, begins=(0, 5))
    series = read_long([path], time_col="time", nan="drop")
    assert series.channels == ("Consumption", "Generation") and series.n_rows == 1
    wanted = [[value(m, day, part) for day in range(40) for part in range(48)] for m in range(2)]
    np.testing.assert_allclose(series.values[0], wanted[0], rtol=1e-6)
    assert np.isnan(series.values[1, : 5 * 48]).all()
    np.testing.assert_allclose(series.values[1, 5 * 48 :], wanted[1][5 * 48 :], rtol=1e-6)
    assert any("a channel for each 'CON/GEN'; left out: 'ESTIMATED?'" in note for note in series.notes)
    done = go(tmp_path, "--mode train --task forecast --csv a.csv --horizon 48 --dry-run")
    assert done.code == 0 and "read: 1 row of 1,920 steps; 2 channels (Consumption, Generation)" in done.err


def test_many_meters_are_series(tmp_path):
    meters = [f"M{k:03d}" for k in range(12)]
    write(tmp_path / "a.csv", meters, 30)
    done = go(tmp_path, "--mode train --task forecast --csv a.csv --horizon 8 --dry-run")
    assert done.code == 0 and "read: 12 rows of 1,440 steps" in done.err, done.err
    series = read_long([tmp_path / "a.csv"], time_col="time", id_col="meter")
    assert list(series.rows) == meters
    for m in range(12):
        own = series.values[0, series.offsets[m] : series.offsets[m + 1]]
        np.testing.assert_allclose(own, [value(m, d, part) for d in range(30) for part in range(48)], rtol=1e-6)


def test_lines_that_nothing_tells_apart_stay_as_they_are(tmp_path):
    path = write(tmp_path / "a.csv", ["one", "one"], 10)
    assert "parts of a day are steps" not in go(tmp_path, f"--csv {path.name}").out
