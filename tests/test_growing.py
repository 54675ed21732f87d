"""times/growing.py: columns of one word and numbers beside times are things, not the steps of a series a line."""

from __future__ import annotations

import datetime

import numpy as np
import pytest

from readers.dated import dated
from readers.dialect import AUTO, Dialect
from readers.long import read_long
from times.growing import are_things

from .runs import go

START = datetime.datetime(2011, 1, 1, 0, 15)


def table(word: str, step: datetime.timedelta, first: str = "", count: int = 80) -> str:
    head = ";".join([first, *(f"{word}{k:03d}" for k in range(1, 7))])
    rows = [f"{START + k * step};" + ";".join(f"{k % 7 + j},5" for j in range(6)) for k in range(count)]
    return "\n".join([head, *rows]) + "\n"


@pytest.mark.parametrize("first", ["", '""', "ds"])
@pytest.mark.parametrize("word", ["MT_", "location_", "y"])
def test_clients_measured_every_quarter_of_an_hour_are_channels(put, tmp_path, first, word):
    put(table(word, datetime.timedelta(minutes=15), first), "load.csv")
    done = go(tmp_path, "--task forecast --csv load.csv --dry-run --backbone ridge")
    assert done.code == 0, done.err
    told = " ".join((done.out + done.err).split())
    assert "1 row of 80 steps; 6 channels" in told and "a step is 15min" in told, told


@pytest.mark.parametrize(
    ("word", "minutes"), [("t", 15), ("step", 15), ("x", 15), ("MT_", 1440), ("hour_", 60)], ids=str
)
def test_steps_and_some_days_may_be_either(put, word, minutes):
    found = dated(put(table(word, datetime.timedelta(minutes=minutes), "date", count=50)), Dialect(AUTO, AUTO))
    assert found is not None and found.steps


def test_what_is_said_of_a_table_that_may_be_either_is_a_command_for_each(put, tmp_path):
    put(table("MT_", datetime.timedelta(days=1), "date", count=50), "load.csv")
    answer = go(tmp_path, "--csv load.csv")
    commands = [line.strip() for line in answer.out.splitlines() if line.startswith("  python")]
    assert [command.split("load.csv ")[1] for command in commands] == ["--time-col date", "--index yes"]
    for command in commands:
        done = go(tmp_path, command.split("run.py ")[1], "--dry-run --backbone ridge --context-len 2 --horizon 1")
        assert done.code == 0, done.err


def test_times_that_are_uneven_or_fewer_than_the_columns_show_nothing():
    names, even = ["MT_1", "MT_2", "MT_3"], list(np.arange(30) * 900.0)
    assert are_things(names, even) and not are_things(names, even[:2])
    assert not are_things(names, list(np.cumsum(np.arange(30) * 100.0)))
    assert not are_things(["MT_1", "other"], even)


def test_iso_dates_with_a_clock_of_twelve_hours(put):
    """As a tester of batteries writes them: after noon the hours seemed to go back, and the table to have no times."""
    start = datetime.datetime(2024, 3, 5, 11, 0)
    times = [start + datetime.timedelta(minutes=7 * k) for k in range(200)]
    lines = [f"{time:%Y-%m-%d %I:%M:%S %p},{k % 5}.5,{k % 3}" for k, time in enumerate(times)]
    path = put("\n".join(["[Summary]", "Cell: A", "[Data]", "Date and Time,Potential (V),Step", *lines]) + "\n")
    found = dated(path, Dialect(AUTO, AUTO))
    assert found is not None and found.time == "Date and Time"
    series = read_long([path], time_col=found.time, sep=AUTO, decimal=AUTO)
    assert series.clock.show(series.time[[0, -1]]) == ["2024-03-05 11:00:00", "2024-03-06 10:13:00"]


@pytest.mark.parametrize(("names", "things"), [(3, True), (10, True), (12, False), (96, False)])
def test_columns_that_count_are_things_where_lines_are_many_more(names, things):
    """A hundred days and some that are farther apart, as the first lines of a table and those from all over it are."""
    stamps = [86_400.0 * day for day in [*range(100), *range(100, 600, 10)]]
    assert are_things([f"item_{k}" for k in range(names)], stamps[:119]) == things
