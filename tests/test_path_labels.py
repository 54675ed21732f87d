"""Labels that folders and files are named by."""

from pathlib import Path

import numpy as np
import pytest

from sources.path_labels import of_paths

from .runs import go, preds, strict


def paths(*names: str) -> list[Path]:
    return [Path(name) for name in names]


@pytest.mark.parametrize(
    ("names", "classes"),
    [
        (("d/walk/1.csv", "d/walk/2.csv", "d/run/1.csv"), ["walk", "walk", "run"]),
        (("d/train/walk/1.csv", "d/test/walk/2.csv", "d/test/run/1.csv"), ["walk", "walk", "run"]),
        (("d/subject1/walk/a.csv", "d/subject2/walk/a.csv", "d/subject2/run/a.csv"), ["walk", "walk", "run"]),
        (("d/p01/walk/a.csv", "d/p02/run/a.csv"), ["walk", "run"]),
        (("subject1/a.csv", "subject2/a.csv"), []),  # whose data they are
        (("train/a.csv", "test/a.csv"), []),  # a split
        (("left/walk/a.csv", "right/run/a.csv"), []),  # either may be meant
    ],
)
def test_the_one_level_of_folders_that_differs_is_the_class(names, classes) -> None:
    assert of_paths(paths(*names), "folder") == classes


@pytest.mark.parametrize(
    ("names", "classes"),
    [
        (("subject01_walk.csv", "subject02_walk.csv", "subject02_run.csv"), ["walk", "walk", "run"]),
        (("walk-1.csv", "going_up_01.csv", "going_up_02.csv"), ["walk", "going up", "going up"]),
        (("Normal_0.csv", "IR007_1.csv", "B007_2.csv"), ["Normal", "IR", "B"]),
        (("ball_fault.csv", "inner_race.csv", "outer_race.csv"), ["ball fault", "inner race", "outer race"]),
        (("001.csv", "002.csv"), []),
        (("week1.csv", "week2.csv"), []),
        (("anna_walk.csv", "bob_walk.csv", "bob_run.csv", "anna_run.csv"), []),  # who, or what
    ],
)
def test_the_one_word_in_names_that_differs_is_the_class(names, classes) -> None:
    assert of_paths(paths(*names), "filename") == classes


def recordings(folder: Path, each: int, steps: int) -> None:
    """Files of three channels that swing by another amount in each class."""
    draw = np.random.default_rng(3)
    for name, scale in (("idle", 0.1), ("walk", 1.0), ("run", 4.0)):
        (folder / name).mkdir()
        for k in range(each):
            table = draw.normal(0, scale, (steps + k, 3))
            np.savetxt(folder / name / f"{k}.csv", table, "%.4f", ",", header="ax,ay,az", comments="")


def test_files_in_folders_of_classes_are_labelled_and_a_new_one_is_predicted(tmp_path) -> None:
    recordings(tmp_path, 6, 40)
    done = go(tmp_path, "--task classify --csv '*/*.csv' --backbone ridge --reference off --test-ratio 0.2")
    assert done.code == 0 and "label: the folder of each file (idle, run, walk)" in done.err
    new = go(tmp_path, f"--mode infer --ckpt {done.directory} --csv run/2.csv")
    assert new.code == 0 and "predictions only" in new.err
    lines = (new.directory / "preds.csv").read_text().splitlines()
    assert lines[0].startswith("row,time,y_true,y_pred") and ",run," in lines[1]


def test_one_recording_of_each_class_is_cut_in_time(tmp_path) -> None:
    recordings(tmp_path, 1, 400)
    for name in ("idle", "walk", "run"):
        (tmp_path / name / "0.csv").rename(tmp_path / f"{name}.csv")
    words = "--task classify --csv '*.csv' --context-len 20 --backbone ridge --reference off --test-ratio 0.2"
    done = go(tmp_path, words)
    assert done.code == 0 and "few files of each class" in done.err
    split = strict(done.directory / "manifest.json")["split"]
    assert split["gap"] == 20 and "gap: 20 steps" in done.err
    first = min(int(line["time"]) for line in preds(done.directory)) - 1 - 19  # of the first context of test
    assert first >= split["cuts"]["test_from"] - split["gap"] - 1
    truth = [line.split(",")[2] for line in (done.directory / "preds.csv").read_text().splitlines()[1:]]
    assert {word: truth.count(word) for word in set(truth)} == {"idle": 80, "walk": 80, "run": 80}  # a fifth of 400
    again = go(tmp_path, f"--mode infer --ckpt {done.directory} --csv walk.csv")
    assert again.code == 0


def test_names_that_do_not_tell_files_apart_are_refused_with_what_does(tmp_path) -> None:
    recordings(tmp_path, 3, 40)
    (tmp_path / "y.csv").write_text("".join(f"{n}/{k}.csv,{n}\n" for n in ("idle", "walk", "run") for k in range(3)))
    done = go(tmp_path, "--task classify --csv '*/*.csv' --label-src-ch filename --dry-run")
    assert done.code == 3 and "--labels FILE" in done.err
    given = go(tmp_path, "--task classify --csv '*/*.csv' --labels y.csv --backbone ridge --dry-run")
    assert given.code == 0 and "'label' holds 3 classes" in given.err


def test_a_table_whose_first_channel_has_zeros_keeps_the_usual_label(tmp_path) -> None:
    draw = np.random.default_rng(1)
    for name in ("north", "south"):
        (tmp_path / name).mkdir()
        for k in range(3):
            rain = draw.normal(0, 1, 80) * (draw.random(80) < 0.5)
            rows = "".join(f"{x:.3f},{y:.3f}\n" for x, y in zip(rain, draw.normal(0, 1, 80), strict=True))
            (tmp_path / name / f"{k}.csv").write_text("rain,wind\n" + rows)
    done = go(tmp_path, "--task classify --csv '*/*.csv' --context-len 8 --backbone ridge --dry-run")
    assert done.code == 0 and "the folder of each file" not in done.err


def test_files_of_one_number_a_line_are_series(tmp_path):
    """Vibrations of bearings, a file each, in folders of their states: each line was a series of one step."""
    draw = np.random.default_rng(0)
    for state, rate in (("normal", 0.05), ("inner", 0.2)):
        (tmp_path / state).mkdir()
        for k in range(8):
            values = np.sin(2 * np.pi * rate * np.arange(200) + draw.uniform(0, 6)) + draw.normal(0, 0.2, 200)
            np.savetxt(tmp_path / state / f"{k:02d}.csv", values, "%.4f")
    done = go(tmp_path, "--task classify --csv '*/*.csv' --backbone logistic --reference off --dry-run")
    assert done.code == 0 and "16 rows of 200 steps" in done.err, done.err
    assert "label 'folder' is true where it is" in done.err
