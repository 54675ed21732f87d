"""readers/lined.py: tables without times whose columns are channels, by their names."""

from __future__ import annotations

import numpy as np
import pytest

import cli
from readers.dated import dated
from readers.dialect import Dialect

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
