"""Rows whose labels come in runs are split in blocks of neighbours."""

from itertools import groupby

import numpy as np
import pytest

from readers.runs import blocks, changes, in_runs, sorted_alike, summed_up

from .runs import go, strict


def recordings(folder, *, order: str = "time") -> np.ndarray:
    """Windows of 40 recordings of two classes, eight of each, told by their neighbours alone: the class is a coin's."""
    draw = np.random.default_rng(1)
    label = draw.integers(0, 2, 40).repeat(8)
    x = draw.normal(0, 1, (40, 60)).repeat(8, axis=0) + draw.normal(0, 0.1, (320, 60))
    at = {"time": np.arange(320), "sorted": np.argsort(label, kind="stable"), "mixed": draw.permutation(320)}[order]
    np.savetxt(folder / "x.txt", x[at], "%.4f", ",")
    np.savetxt(folder / "y.txt", label[at], "%d")
    np.savetxt(folder / "of.txt", at // 8, "%d")
    return label[at]


WORDS = "--task classify --csv x.txt --labels y.txt --test-ratio 0.2 --backbone ridge --reference off"


def test_neighbours_stay_together_where_labels_come_in_runs(tmp_path) -> None:
    label = recordings(tmp_path)
    done = go(tmp_path, WORDS)
    assert done.code == 0 and "labels come in runs" in done.err
    rows = strict(done.directory / "manifest.json")["split"]["rows"]
    part = np.full(320, -1)
    for number, name in enumerate(("train", "val", "test")):
        part[rows[name]] = number
    assert (part >= 0).all()
    # Every place where two neighbours are in different parts is a change of the label, or the cut of a long run.
    borders = np.flatnonzero(part[1:] != part[:-1])
    cut = [at for at in borders if label[at] == label[at + 1]]
    assert len(borders) > 3 and len(cut) <= len(borders) // 2 and sum(1 for _ in groupby(part)) < 40
    # A coin's class cannot be told of a new recording, and is told of one whose windows are in training.
    blocked = strict(done.directory / "metrics.json")["headline"]["accuracy"]
    drawn = go(tmp_path, f"{WORDS} --split-mode group")
    assert "labels come in runs" not in drawn.err
    single = strict(drawn.directory / "metrics.json")["headline"]["accuracy"]
    assert blocked + 0.2 < single


def test_rows_in_no_order_are_drawn_one_by_one(tmp_path) -> None:
    recordings(tmp_path, order="mixed")
    done = go(tmp_path, f"{WORDS} --dry-run")
    assert done.code == 0 and "neighbours stay together" not in done.err


def test_recordings_one_after_another_that_are_sorted_by_class(tmp_path) -> None:
    """Before, a window of each recording was in validation, and a coin's class seemed to be known."""
    label = recordings(tmp_path, order="sorted")
    done = go(tmp_path, WORDS)
    assert done.code == 0 and "rows are sorted by label, and those of a class go on from row to row" in done.err
    rows = strict(done.directory / "manifest.json")["split"]["rows"]
    assert all({*label[rows[name]]} == {0, 1} for name in ("train", "val", "test"))
    blocked = strict(done.directory / "metrics.json")["headline"]["accuracy"]
    drawn = go(tmp_path, f"{WORDS} --split-mode group")
    assert "neighbours stay together" not in drawn.err
    single = strict(drawn.directory / "metrics.json")["headline"]["accuracy"]
    assert blocked + 0.2 < single


def test_what_sums_rows_up_and_what_goes_on_within_a_class() -> None:
    values = np.array([[1.0, 3, 5, np.nan, 2, 2]])
    assert summed_up(values, np.array([0, 3, 6])).tolist() == [[3, np.sqrt(8 / 3), 4], [2, 0, 0]]
    draw, label = np.random.default_rng(0), np.repeat([0.0, 1, 2], 40)
    walk = np.concatenate([np.arange(40) + level for level in (0, 500, 900)])
    alike = lambda sums: sorted_alike(label, np.stack(sums, axis=1).astype(float))  # noqa: E731
    assert alike([draw.normal(size=120), walk])
    assert not alike([draw.normal(size=120) + 100 * label])  # the level of a class is the label's own
    assert not alike([np.zeros(120), label])  # nothing changes within a class
    mixed = draw.permutation(120)
    assert not sorted_alike(label[mixed], walk[mixed][:, None].astype(float))


@pytest.mark.parametrize("form", ["words", "one column for each"])
def test_rows_that_are_sorted_by_class_are_drawn_one_by_one_however_many_classes_there_are(tmp_path, form) -> None:
    """Names whose order is not that of the rows, or columns of which all but two have a run in the middle: before, both
    seemed to be labels in runs, and parts lacked classes.
    """
    label = np.repeat(np.arange(24), 20)
    np.savetxt(tmp_path / "x.txt", np.random.default_rng(0).normal(size=(480, 9)), "%.4f", ",")
    columns = np.eye(24, dtype=int)[label].astype(str)
    lines = [f"k{of}" for of in label] if form == "words" else [",".join(row) for row in columns]
    title = "kind" if form == "words" else ",".join(f"k{k}" for k in range(24))
    (tmp_path / "y.txt").write_text("\n".join([title, *lines]) + "\n")
    done = go(tmp_path, f"{WORDS.replace('ridge', 'logistic')} --no-plots")
    assert done.code == 0 and "labels come in runs" not in done.err, done.err
    rows = strict(done.directory / "manifest.json")["split"]["rows"]
    assert all(len({*label[rows[name]].tolist()}) >= 20 for name in ("train", "val", "test"))


@pytest.mark.parametrize("flags", ["--split-mode group", "--time-col line", "--groups of.txt"])
def test_strict_guesses_nothing_and_its_hints_work(tmp_path, flags) -> None:
    recordings(tmp_path)
    done = go(tmp_path, f"{WORDS} --strict --dry-run")
    assert done.code == 3 and flags.rpartition(" ")[0] in done.err
    again = go(tmp_path, f"{WORDS} --strict --dry-run {flags}")
    assert again.code == 0, again.err


def test_numbers_that_go_on_from_row_to_row_are_runs_too() -> None:
    draw = np.random.default_rng(0)
    walk = np.cumsum(draw.normal(size=300))
    assert in_runs(walk) and not in_runs(np.sort(walk)) and not in_runs(draw.permutation(walk))


@pytest.mark.parametrize("seed", range(5))
def test_changes_expected_are_those_of_shuffled_labels(seed) -> None:
    draw = np.random.default_rng(seed)
    label = draw.choice(4, 200, p=[0.6, 0.2, 0.15, 0.05]).astype(float)
    shuffled = [int((np.diff(draw.permutation(label)) != 0).sum()) for _ in range(2000)]
    assert abs(changes(label)[1] - np.mean(shuffled)) < 0.6
    assert not in_runs(label)


@pytest.mark.parametrize("runs", [[7, 3, 20, 1, 1, 1, 30, 2, 35], [100], [1] * 60, [33, 34, 33]])
def test_blocks_are_of_neighbours_and_end_where_the_label_changes_soon(runs) -> None:
    label = np.repeat(np.arange(len(runs)), runs)
    of, size = blocks(label, 10), max(len(label) // 10, 1)
    assert len(of) == len(label) and of[0] == 0 and set(np.diff(of)) <= {0, 1}
    counts = np.bincount(of)
    assert counts.min() >= size / 2 and counts.max() < 3 * size
    for at in np.flatnonzero(np.diff(of)) + 1:
        soon = label[at - size + 1 : at + size]
        assert label[at] != label[at - 1] or len(set(soon[size - 1 :])) == 1


def test_groups_are_kept_beside_labels_of_the_same_table(tmp_path) -> None:
    steps = ",".join(f"t{k}" for k in range(6))
    lines = [f"{k},{k % 4 * 1.5 + 0.25 * (k % 3)}," + ",".join(f"{k % 5 + s / 8}" for s in range(5)) for k in range(40)]
    rows = [f"{line.partition(',')[2]},{'ab'[number % 2]}" for number, line in enumerate(lines)]
    (tmp_path / "w.csv").write_text(f"{steps},class\n" + "\n".join(rows) + "\n")
    (tmp_path / "of.txt").write_text("".join(f"g{k // 8}\n" for k in range(40)))
    words = "--task classify --csv w.csv --label-src-ch class --groups of.txt --val-groups g4 --dry-run"
    done = go(tmp_path, words)
    assert done.code == 0 and "windows: 32 train, 8 val" in done.err, done.err
