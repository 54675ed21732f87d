"""readers/elapsed.py: first columns that say how much has passed, or a clock without a date."""

from __future__ import annotations

from pathlib import Path

import pytest

from readers.dated import dated
from readers.dialect import Dialect
from readers.elapsed import _Seconds
from readers.long import read_long

from .runs import go


@pytest.mark.parametrize(
    ("cell", "seconds"),
    [
        ("5 min", 300),
        ("2h", 7200),
        ("1h 30min", 5400),
        ("1m30s", 90),
        ("250 ms", 0.25),
        ("PT1H30M", 5400),
        ("2 days 00:01:30", 172_890),
        ("1 day, 2:00:00", 93_600),
        ("00:01:30", 90),
        ("25:00:00", 90_000),
        ("01:30", 5400),
        ("00:00:01.5", 1.5),
    ],
)
def test_seconds_of_a_cell(cell, seconds):
    assert _Seconds(",").of(cell) == pytest.approx(seconds)


def write(path: Path, cells: list[str], head: str = "time,temp") -> Path:
    path.write_text("\n".join([head, *(f"{cell},{(k * k) % 17}" for k, cell in enumerate(cells))]) + "\n")
    return path


@pytest.mark.parametrize(
    "cells",
    [
        [f"{k} min" for k in range(60)],
        [f"{2 * k}h" for k in range(60)],
        [f"{k // 24} days {k % 24:02d}:00:00" for k in range(60)],
        [f"{k * 90 // 3600:02d}:{k * 90 // 60 % 60:02d}:{k * 90 % 60:02d}" for k in range(60)],
        [f"{k // 2 % 24:02d}:{k % 2 * 30:02d}" for k in range(60)],  # past midnight
        [f'"{k // 2 % 24:02d}:{k % 2 * 30:02d}"' for k in range(60)],
    ],
)
def test_steps_are_counted_without_a_flag(tmp_path, cells):
    write(tmp_path / "a.csv", cells)
    done = go(tmp_path, "--mode train --task forecast --csv a.csv --horizon 4 --dry-run")
    assert done.code == 0, done.err
    assert "are taken as the seconds that have passed" in done.err and "read: 1 row of 60 steps" in done.err
    series = read_long([tmp_path / "a.csv"], time_col="time")
    assert series.values[0].tolist() == [(k * k) % 17 for k in range(60)] and series.clock is None


def test_a_missing_minute_is_a_missing_step(tmp_path):
    write(tmp_path / "a.csv", [f"{k} min" for k in range(60) if k != 30])
    done = go(tmp_path, "--mode train --task forecast --csv a.csv --horizon 4 --dry-run")
    assert done.code == 3 and "goes on by 120, where its usual step is 60" in done.err


@pytest.mark.parametrize(
    ("head", "cells"),
    [
        ("time,temp", [f"{7 * k % 24:02d}:{13 * k % 60:02d}" for k in range(60)]),  # in no order
        ("room,temp", [f"{k} min" for k in range(60)]),  # of another name
        ("time,temp", [f"2024-01-{1 + k // 24:02d} {k % 24:02d}:00" for k in range(60)]),
    ],
)
def test_other_columns_stay_as_they_are(tmp_path, head, cells):
    write(tmp_path / "a.csv", cells, head)
    assert "seconds that have passed" not in go(tmp_path, "--csv a.csv").out


def test_a_clock_in_a_column_of_dates_is_no_day_of_a_spreadsheet(put):
    """34,187 s are within the days that a spreadsheet counts."""
    seconds = [9 * 3600 + 29 * 60 + 47 + 60 * k for k in range(300)]
    lines = [f"{s // 3600:02d}:{s // 60 % 60:02d}:{s % 60:02d},{k}.5" for k, s in enumerate(seconds)]
    path = put("\n".join(["date,x", *lines]) + "\n")
    found = dated(path, Dialect())
    assert found is not None and found.time == "date"
    series = read_long([path], time_col="date")
    assert series.clock is None and series.values.tolist() == [[k + 0.5 for k in range(300)]]
