"""rundir.py: names, locks, and runs that appear whole or not at all."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
import yaml

import rundir
from config import RunConfig
from errors import UsageError
from rundir import RunDir, run_name, write_config, write_csv, write_json

from .conftest import ROOT


def name_of(**settings):
    defaults = {"mode": "train", "task": "classify", "context_len": 31}
    return run_name(RunConfig(**defaults | settings), channels=31, task_part=["alpha0.50", "pwglobal"])


def test_the_name_can_be_known_beforehand():
    assert name_of() == "train_classify_ctx31_ch31_alpha0.50_pwglobal_llm_ts_seed777_splitgroup"
    assert name_of(desc="v2", backbone="gru", seed=1, split_mode="rolling").endswith("_gru_seed1_splitrolling_v2")


def test_the_date_stands_in_a_name_where_it_is_asked_for():
    usual, when = name_of(), r"2\d{3}[01]\d[0-3]\d_[0-2]\d[0-5]\d[0-5]\d"
    assert re.fullmatch(rf"{usual}_{when}", name_of(tag="{date}"))
    assert re.fullmatch(rf"mine_{when}", name_of(tag="mine_{date}"))
    assert re.fullmatch(rf"{usual}_v2-{when}", name_of(desc="v2-{date}"))
    with pytest.raises(UsageError, match="cannot be part of a directory's name"):
        name_of(tag="{dat}")


@pytest.mark.parametrize("desc", ["../../x", "a/b", "..", ".hidden", "a b", "x\n", "a\\b", "$(rm)"])
def test_a_description_cannot_leave_its_folder(desc):
    with pytest.raises(UsageError, match="cannot be part of a directory's name"):
        name_of(desc=desc)


def test_a_korean_description_is_fine_and_a_long_one_is_not(tmp_path):
    name = name_of(desc="수요예측")
    with RunDir(str(tmp_path), name) as run:
        run.commit()
    assert (tmp_path / name).is_dir()
    with pytest.raises(UsageError, match="bytes long, at most"):
        name_of(desc="x" * 300)
    with pytest.raises(UsageError, match="bytes long"):
        name_of(desc="수" * 60)  # 60 letters, 180 bytes


@pytest.mark.parametrize("csv", ["a.csv", "수요 예측: 예.csv", "no text \udcff.csv", "'#\t" + "xyz" * 60])
def test_settings_are_written_as_yaml_that_reads_the_same(tmp_path, csv):
    config = RunConfig(mode="train", task="forecast", context_len=31, csv=(csv,), lr=1.5e-7, desc="v2")
    write_config(tmp_path / "config.yaml", config)
    text = (tmp_path / "config.yaml").read_text(encoding="utf-8")
    flat = config.flat()
    kept = {name: value for name, value in flat.items() if name not in rundir.ONE_CALL}
    assert yaml.safe_load(text) == kept
    assert text == yaml.safe_dump(kept, sort_keys=False, allow_unicode=True)  # by the one in Python


def test_a_run_appears_when_it_is_whole(tmp_path):
    with RunDir(str(tmp_path), "r") as run:
        (run.path / "metrics.json").write_text("{}")
        assert not (tmp_path / "r").exists()
        run.commit()
    assert [p.name for p in tmp_path.iterdir()] == ["r"]
    assert (tmp_path / "r" / "metrics.json").is_file()


@pytest.mark.fault("an output that is a symbolic link", "exit 2 before training; nothing is written through it")
@pytest.mark.parametrize("where", ["r", ".r.partial", ".r.lock"])
@pytest.mark.parametrize("what", ["link", "dangling link", "file"])
def test_links_and_files_in_the_way_are_refused_before_training(tmp_path, where, what):
    """Through a link a run would overwrite what is not its own."""
    (tmp_path / "mine").mkdir()
    place = tmp_path / where
    if what == "file":
        place.write_text("mine")
    else:
        place.symlink_to(tmp_path / ("mine" if what == "link" else "nowhere"))
    if (where, what) == (".r.lock", "file"):  # left by a job that was killed: nobody holds it
        with RunDir(str(tmp_path), "r"):
            return
    for overwrite in (False, True):
        with pytest.raises(UsageError), RunDir(str(tmp_path), "r", overwrite=overwrite):
            pytest.fail("it began")
    assert os.path.lexists(place) and list((tmp_path / "mine").iterdir()) == []


@pytest.mark.fault("a formula in names")
@pytest.mark.parametrize("tag", ["=1+1", "+1", "-x", "@sum"])
def test_a_runs_name_is_no_formula(tag):
    with pytest.raises(UsageError, match="begins as a formula"):
        name_of(tag=tag)


@pytest.mark.fault("a formula in names", "quoted in every CSV, and refused in a run's name")
def test_a_spreadsheet_shows_text_and_runs_none_of_it(tmp_path):
    texts = ["=cmd|' /C calc'!A0", "+1+1", "-x", "@SUM(A1)", "\t=1", "a=b", "'=1", ""]
    write_csv(
        tmp_path / "a.csv",
        ["=x", "n"],
        [[text, number] for text, number in zip(texts, ["-1.5", "+2", "-1e3", *range(5)], strict=True)],
    )
    with (tmp_path / "a.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["'=x", "n"]
    assert [row[0] for row in rows] == [f"'{text}" if text[:1] in tuple("=+-@\t") and text else text for text in texts]
    assert [row[1] for row in rows] == ["-1.5", "+2", "-1e3", *map(str, range(5))]  # numbers stay numbers


def test_a_failed_run_leaves_nothing(tmp_path):
    with pytest.raises(ZeroDivisionError), RunDir(str(tmp_path), "r") as run:
        (run.path / "half").write_text("x")
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_finished_runs_move_aside_or_are_replaced(tmp_path):
    for content in "abc":
        with RunDir(str(tmp_path), "r") as run:
            (run.path / "f").write_text(content)
            run.commit()
    read = {p.name: (p / "f").read_text() for p in tmp_path.iterdir()}
    assert read == {"r.1": "a", "r.2": "b", "r": "c"}
    with RunDir(str(tmp_path), "r", overwrite=True) as run:
        (run.path / "f").write_text("d")
        run.commit()
    assert (tmp_path / "r" / "f").read_text() == "d" and not (tmp_path / "r.3").exists()


def test_what_a_killed_process_had_half_written_is_no_part_of_the_run(tmp_path):
    partial = tmp_path / ".r.partial"
    (partial / "fold_0").mkdir(parents=True)
    halves = [
        partial / name for name in ("model.pt.part", ".plot.png.7.part", "preds.part.npz", "fold_0/model.pt.part")
    ]
    for path in [partial / "model.pt", *halves]:
        path.write_bytes(b"half")
    with RunDir(str(tmp_path), "r", resume=True) as run:
        assert {path.name for path in run.path.rglob("*")} == {"model.pt", "fold_0"}


def test_an_interrupted_run_is_not_lost_by_accident(tmp_path):
    with pytest.raises(KeyboardInterrupt), RunDir(str(tmp_path), "r") as run:
        (run.path / "model.pt").write_text("state")
        raise KeyboardInterrupt
    with (
        pytest.raises(UsageError, match="an interrupted run with this name exists") as caught,
        RunDir(str(tmp_path), "r"),
    ):
        pass
    assert "--resume" in caught.value.hint and "--overwrite" in caught.value.hint
    with RunDir(str(tmp_path), "r", resume=True) as run:
        assert (run.path / "model.pt").read_text() == "state"
    with RunDir(str(tmp_path), "r", overwrite=True) as run:
        assert not run.resumable()


@pytest.mark.fault("two jobs with one name")
def test_two_jobs_on_one_name(tmp_path):
    """The other job is a process of its own; its lock ends with it, even when it is killed."""
    code = (
        "import sys; from rundir import RunDir\n"
        f"with RunDir({str(tmp_path)!r}, 'r') as run:\n"
        "    print('held', flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdout.readline() == "held\n"
    with pytest.raises(UsageError, match="another job is writing this run"), RunDir(str(tmp_path), "r"):
        pass
    other.kill()
    other.wait()
    with RunDir(str(tmp_path), "r") as run:
        run.commit()
    assert (tmp_path / "r").is_dir()


def test_an_output_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be written") as caught, RunDir(str(tmp_path / "file"), "r"):
        pass
    assert caught.value.exit_code == 2


def test_json_holds_null_and_never_nan(tmp_path):
    write_json(tmp_path / "m.json", {"a": float("nan"), "b": [1.5, float("inf")], "c": "é"})
    assert json.loads((tmp_path / "m.json").read_text()) == {"a": None, "b": [1.5, None], "c": "é"}
    write_csv(tmp_path / "t.csv", ["a", "b"], [[1, "x,y"], [None, 2.5]])
    assert (tmp_path / "t.csv").read_text().splitlines() == ["a,b", '1,"x,y"', ",2.5"]


def test_locks_and_partials_are_hidden(tmp_path):
    with RunDir(str(tmp_path), "r"):
        assert all(path.name.startswith(".") for path in tmp_path.iterdir())


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_a_number_is_written_with_the_digits_it_carries(kind):
    random = np.random.default_rng(0)
    for value in (random.normal(size=50) * 10.0 ** random.integers(-9, 12, 50)).astype(kind):
        assert kind(rundir.shortest(value)) == value
    assert rundir.shortest(kind(20.1)) == "20.1" and rundir.shortest(kind(123456)) == "123456"
    assert rundir.shortest(np.float64(1235166321)) == "1235166321"


def test_a_prediction_is_written_as_finely_as_its_model_can_tell():
    values = np.array([1235166321.25, 1235166655.5, np.nan])
    figures = rundir.digits(values, 1e5)
    assert [abs(float(f"{v:.{figures}g}") - v) < 0.01 for v in values[:2]] == [True, True] and figures == 13
    assert rundir.digits(np.array([0.5, -3.0]), 2.0) == 9 and rundir.digits(np.zeros(3), 1.0) == 8
    assert rundir.digits(np.array([1e300]), 1e-3) == 17


def test_numbers_are_written_by_column_as_they_are_one_by_one(tmp_path):
    numbers = [0.1, -0.0, 0.0, 20.0, 1e16, 1e-05, np.nan, np.inf, 0.1, 1235166321.0]
    for values in (np.array(numbers), np.array(numbers, np.float32), np.arange(9) % 2, np.array(numbers)[::3]):
        assert rundir.texts(values) == [rundir.shortest(value) for value in values]
    columns = [["a", "b, c"], rundir.texts(np.array([1.5, 2.0]))]
    rundir.write_columns(tmp_path / "new.csv", ["=x", "y"], [columns, columns])
    rundir.write_csv(tmp_path / "old.csv", ["=x", "y"], 2 * list(zip(*columns, strict=True)))
    assert (tmp_path / "new.csv").read_bytes() == (tmp_path / "old.csv").read_bytes()
