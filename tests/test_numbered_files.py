"""Recordings in numbered files and labels by these numbers, as many archives have them."""

from __future__ import annotations

import numpy as np
import pytest

from .runs import go, strict

DRAW = np.random.default_rng(0)
CLASSES = DRAW.integers(0, 2, 40)


def lay(folder, form: str) -> None:
    """40 recordings of two channels and 20 to 30 lines; those of class 1 are higher. Labels in no order of files."""
    (folder / "data").mkdir()
    for k, label in enumerate(CLASSES, 1):
        rows = DRAW.normal(2 * label, 0.5, (20 + k % 11, 2))
        text = "\n".join(["#anchor1, anchor2", *(f"{a:.3f},{b:.3f}" for a, b in rows)])
        (folder / "data" / f"{form.format(k)}.csv").write_text(text + "\n")
    order = DRAW.permutation(40)
    (folder / "target.csv").write_text(
        "#sequence_ID, class_label\n" + "".join(f"{k + 1},{CLASSES[k]}\n" for k in order)
    )


@pytest.mark.parametrize("form", ["Movement_RSS_{}", "rec{:03d}_clean", "1_{}"])
def test_labels_are_matched_by_the_numbers_in_the_files_names(form, tmp_path):
    lay(tmp_path, form)
    line = "--task classify --csv 'data/*.csv' --labels target.csv --backbone logistic --reference off --no-plots"
    done = go(tmp_path, line)
    assert done.code == 3 and "--time-col line if each file is a series, whose lines are steps" in done.err
    done = go(tmp_path, f"{line} --time-col line")
    assert done.code == 0 and "its ids are the numbers in the rows' names" in done.err, done.err
    assert "read: 40 rows of" in done.err and "2 channels (anchor1, anchor2)" in done.err
    assert strict(done.directory / "metrics.json")["headline"]["accuracy"] > 0.9  # by chance .5


def test_other_names_are_no_numbers(tmp_path):
    lay(tmp_path, "rec{}")
    (tmp_path / "data/rec7.csv").rename(tmp_path / "data/other.csv")
    done = go(tmp_path, "--task classify --csv 'data/*.csv' --labels target.csv --time-col line --dry-run")
    assert done.code == 3 and "are not those of the rows" in done.err
