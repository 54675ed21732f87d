"""readers/unlabelled.py: of a table of things it must be said what to learn; its lines were read as series of steps."""

from __future__ import annotations

import shlex

import numpy as np
import pytest

from readers.dialect import Dialect
from readers.named_labels import named_as_labels
from readers.unlabelled import unlabelled

from .runs import go, preds, strict

NAMES = ("patient", "age", "pregnancies", "smokes_years", "pressure", "biopsy")


def table(names=NAMES, count: int = 80) -> str:
    draw = np.random.default_rng(4)
    age, who = draw.integers(18, 60, count), [f"{'abcdefgh'[k % 8]}{'xyzuvwrstq'[k // 8]}" for k in range(count)]
    numbers = [age, draw.integers(0, 6, count), draw.integers(0, 20, count), draw.integers(90, 160, count), age > 40]
    rows = zip(who, *(column.astype(int).tolist() for column in numbers), strict=True)
    return "\n".join([",".join(names), *(",".join(map(str, row)) for row in rows)]) + "\n"


@pytest.mark.parametrize("task", ["classify", "regress"])
def test_nothing_is_learned_until_it_is_said_what(put, task):
    path = put(table())
    done = go(path.parent, f"--task {task} --csv {path.name}")
    assert done.code == 3 and "each line is an example of its own, with patient, age, pregnancies" in done.err
    assert "--task classify --label-src-ch biopsy if each line is an example" in done.err
    assert go(path.parent, f"--task {task} --csv {path.name} --header yes --dry-run").code == 0  # as the hint says


def test_the_command_of_the_first_look_learns_the_label(put):
    path = put(table())
    look = go(path.parent, f"--csv {path.name}")
    assert look.code == 2
    said = look.out + look.err
    words = next(line for line in said.splitlines() if "--label-src-ch biopsy" in line).split("run.py", 1)[1]
    done = go(path.parent, f"{shlex.join(words.split())} --reference off --no-plots")
    assert done.code == 0, done.err
    assert "4 columns (age, pregnancies, smokes_years, pressure)" in done.err
    cells = [line.split(",") for line in path.read_text().splitlines()[1:]]
    assert all(cells[int(each["row"])][-1] == each["y_true"] for each in preds(done.directory))
    assert strict(done.directory / "metrics.json")["roc_auc"] > 0.95  # the label is age above 40


@pytest.mark.parametrize(
    "names",
    [
        ("id", "t0", "t1", "t2", "t3", "t4"),
        ("id", "jan", "feb", "mar", "apr", "may"),
        ("store", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday"),
        ("p", "a", "b", "c", "d", "e"),
        ("name", "2019", "2020", "2021", "2022", "2023"),
        ("name", "step 1", "step 2", "step 3", "step 4", "step 5"),
    ],
)
def test_names_of_steps_are_no_things(tmp_path, names):
    rows = [line.split(",") for line in table(names).splitlines()]
    assert unlabelled(tmp_path / "a.csv", rows, Dialect()) is None


def test_of_several_names_of_labels_the_plain_one_counts():
    assert named_as_labels(["age", "Hit target", "Disciplinary failure", "class"]) == ["class"]
    assert named_as_labels(["Hit target", "Disciplinary failure"]) == ["Hit target", "Disciplinary failure"]
