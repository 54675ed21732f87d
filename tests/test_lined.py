"""readers/lined.py: tables without times whose columns are channels, by their names."""

from __future__ import annotations

import numpy as np
import pytest

import cli
from readers.dated import dated
from readers.dialect import AUTO, Dialect
from readers.lined import are_ids, named_as_channels, unnamed
from readers.long import read_long

from .runs import go


def walk(count=120, channels=3, keep=0.9):
    noise = np.random.default_rng(3).normal(size=(count, channels))
    for k in range(1, count):
        noise[k] += keep * noise[k - 1]
    return noise.round(4)


def table(values, names="acc_x,acc_y,acc_z", words=()):
    rows = [",".join(map(str, row)) for row in values.tolist()]
    return "\n".join([names, *(f"{row},{word}" for row, word in zip(rows, words, strict=True))] if words else
                     [names, *rows])  # fmt: skip


SPELLS = ["walk"] * 50 + ["sit"] * 40 + ["run"] * 30


def test_lines_of_readings_are_steps(put):
    """Before, each line was a series of three steps, and of a day's readings the next axis was forecast."""
    path = put(table(walk()))
    done = go(path.parent, f"--task forecast --csv {path.name} --horizon 4 --backbone ridge --no-plots")
    assert done.code == 0
    assert "1 row of 120 steps; 3 channels (acc_x, acc_y, acc_z)" in done.err
    assert "no column holds times: each line is a step, and the columns (acc_x, acc_y, acc_z) are channels" in done.err


def test_the_column_of_words_is_the_label_of_each_line(put):
    path = put(table(walk(1200), "acc_x,acc_y,acc_z,activity", SPELLS * 10))
    done = go(path.parent, f"--task classify --csv {path.name} --backbone ridge --no-plots --context-len 8")
    assert done.code == 0
    assert "1 row of 1200 steps" in done.err.replace(",", "") and "activity" in done.err


@pytest.mark.parametrize(
    ("text", "follow"),
    [
        (table(walk()), True),
        (table(walk(), "acc_x,acc_y,acc_z,activity", SPELLS), True),
        (table(walk(keep=0)), False),  # noise, or lines that have nothing to do with one another
        (table(np.sort(walk(), axis=0)), False),  # sorted
        (table(np.concatenate([walk(50, keep=0) + shift for shift in (0, 6, 12)])), False),  # one class after another
    ],
)
def test_whether_lines_follow_one_another(put, text, follow):
    found = dated(put(text), Dialect())
    assert found is not None and found.time == "line" and found.follow is follow


@pytest.mark.parametrize(
    "text",
    [
        table(walk(), "t0,t1,t2"),
        table(walk(), "t0,t1,t2,activity", SPELLS),
        table(walk(), "Jan,Feb,Mar"),
        table(walk(), "1,2,3"),
        table(walk(), "0.5,0.7,0.9"),
        table(walk(15)),  # too few lines
        table(np.column_stack([np.arange(120), walk()]), "patient,a,b,c"),  # a line for each patient
        table(walk(), "Datum,y,z"),  # times that could not be read
        table(walk(120, 60), ",".join(f"gene{chr(97 + k % 26)}{k // 26}x" for k in range(60))),
    ],
)  # fmt: skip
def test_other_tables_keep_their_rows(put, text):
    assert dated(put(text), Dialect()) is None


def test_rows_with_a_label_stay_series_where_they_do_not_follow(put, monkeypatch):
    """Such as 120 flowers of four measures: what is taken is told, with the flag for the other reading."""
    monkeypatch.chdir(put(table(walk(keep=0), "sepal,petal,stem,kind", SPELLS)).parent)
    config = cli.parse("--mode train --task classify --csv a.csv --label-src-ch kind".split())
    assert config.time_col == "" and "--time-col line if each is a step of time" in "".join(config.notes)
    config = cli.parse("--mode train --task classify --csv a.csv --labels b.csv".split())
    assert config.time_col == ""


def unnamed_table(kind: str) -> list[list[str]]:
    """A hundred lines of ten numbers: a walk in each column; cases of one smooth series each; sliding windows; days."""
    draw = np.random.default_rng(4)
    made = {
        "channels": np.cumsum(draw.normal(0, 1, (100, 10)), axis=0),
        "series": np.cumsum(draw.normal(0, 1, (100, 10)), axis=1),
        "windows": np.lib.stride_tricks.sliding_window_view(np.cumsum(draw.normal(0, 1, 109)), 10),
        "noise": draw.normal(0, 1, (100, 10)),
        "days": 10 * np.sin(np.arange(24) / 4) + np.cumsum(draw.normal(0, 1, (100, 1)), axis=0),
    }
    return [[f"{value:.4f}" for value in line] for line in made[kind]]


@pytest.mark.parametrize(
    ("kind", "follow"), [("channels", True), ("series", None), ("windows", None), ("noise", None), ("days", None)]
)
def test_lines_of_numbers_without_names_are_steps_where_they_follow_one_another(kind, follow) -> None:
    assert unnamed(unnamed_table(kind), 100, Dialect()) is follow


@pytest.mark.parametrize(("count", "follow"), [(5000, False), (500, None)])
def test_thousands_of_lines_of_four_numbers_are_no_series(count, follow) -> None:
    rows = [[f"{value:.3f}" for value in line] for line in np.random.default_rng(5).normal(0, 1, (100, 4))]
    assert unnamed(rows, count, Dialect()) is follow


def test_a_column_named_time_that_goes_up_and_down_is_a_channel() -> None:
    rows = [[f"{value:.3f}" for value in line] for line in np.random.default_rng(6).normal(0, 1, (100, 2))]
    assert named_as_channels(["DE_time", "FE_time"], rows, Dialect()) == 0
    days = [[str(90 - 30 * (number // 40)), row[1]] for number, row in enumerate(rows)]
    assert named_as_channels(["maintenance_days", "force"], days, Dialect()) == 0
    rising = [[str(number), row[1]] for number, row in enumerate(rows)]
    assert named_as_channels(["time", "force"], rising, Dialect()) is None


def test_numbers_of_detectors_name_the_columns(put):
    """As METR-LA is published: its first line was one of the speeds, and each line a series."""
    ids = [717000 + 7 * k for k in range(12)]  # as dates they are of no month
    speeds = (60 + 9 * np.sin(np.arange(48)[:, None] / 5 + np.arange(12))).round(4) + 0.00005
    path = put("\n".join(",".join(map(str, row)) for row in [ids, *speeds.tolist()]) + "\n")
    assert dated(path, Dialect(AUTO, AUTO)).time == "line"
    series = read_long([path], time_col="line", sep=AUTO, decimal=AUTO)
    assert series.channels == tuple(map(str, ids)) and series.values.shape == (12, 48)
    np.testing.assert_allclose(series.values, speeds.T, rtol=1e-6)
    near = [60 + k for k in range(12)]  # which may be a first line as well
    assert not are_ids(list(map(str, near)), [list(map(str, row)) for row in speeds.tolist()], Dialect())
