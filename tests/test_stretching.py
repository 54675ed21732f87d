"""Rows of different length as windows of one length (sources/stretching.py)."""

from pathlib import Path

import numpy as np
import pytest

from data import Series
from sources.stretching import stretched, usual_length

from .runs import go, good, strict

LENGTHS = (1, 4, 9, 30)


def series(dtype=np.float64) -> Series:
    offsets = np.concatenate([[0], np.cumsum(LENGTHS)])
    values = np.random.default_rng(0).normal(size=(2, offsets[-1])).astype(dtype)
    values[1, 7] = np.nan
    filled = np.zeros(values.shape, bool)
    filled[0, 3] = True
    return Series(values, offsets, ("a", "b"), tuple("wxyz"), filled=filled)


@pytest.mark.parametrize("length", [1, 2, 7, 40])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_lie_on_the_lines_between_their_steps(length, dtype):
    whole = series(dtype)
    found = stretched(whole, length)
    assert found.lengths.tolist() == [length] * 4 and found.values.dtype == dtype
    for row in range(4):
        steps = whole.values[:, whole.offsets[row] : whole.offsets[row + 1]]
        place = np.linspace(0, steps.shape[1] - 1, length) if length > 1 else np.zeros(1)
        for channel in range(2):
            expected = np.interp(place, np.arange(steps.shape[1]), steps[channel])
            seen = found.values[channel, row * length : (row + 1) * length]
            np.testing.assert_allclose(seen, expected, rtol=1e-5, atol=1e-6)


def test_what_was_made_up_stays_marked():
    found = stretched(series(), 7)  # of four steps, the third is: half a step away it counts
    assert found.filled is not None and found.filled.sum() == 3
    assert found.filled[0, 7:14].tolist() == [False, False, False, True, True, True, False]


def test_the_usual_length_does_not_follow_one_row():
    assert usual_length(series()) == 6


def test_a_label_of_the_end_is_learned_from_rows_of_any_length(tmp_path: Path):
    draw = np.random.default_rng(1)
    for name, rows in (("known", 40), ("new", 20)):
        lines, labels = [], []
        for kind in np.arange(rows) % 2:
            place = np.linspace(0, 1, draw.integers(12, 40))
            values = np.where(place < 0.7, 0, kind) + 0.1 * draw.normal(size=len(place))
            lines.append(",".join([*(f"{value:.4f}" for value in values), *[""] * (40 - len(place))]))
            labels.append(("off", "on")[kind])
        (tmp_path / f"{name}.csv").write_text("\n".join(lines) + "\n")
        (tmp_path / f"{name}_labels.csv").write_text("\n".join(labels) + "\n")

    both = "--task classify --header no --index no --no-plots --csv {0}.csv --labels {0}_labels.csv"
    trained = go(tmp_path, "--mode train --backbone logistic", both.format("known"))
    assert "stretched or shrunk to" in trained.err and trained.code == 0
    ckpt = f"--mode infer --eval-split all --ckpt {trained.directory}"
    assert strict(good(tmp_path, both.format("new"), ckpt) / "metrics.json")["accuracy"] == 1


def test_a_row_is_no_window_where_nothing_belongs_to_it(tmp_path: Path):
    done = go(tmp_path, "--mode train --task classify --demo --stride 0")
    assert done.code == 2 and "--stride: 0 takes a row as one window" in done.err
