"""`tsrun.load(DIR).predict(data)`: the same numbers as inference on files, from frames and arrays, in any folder."""

from __future__ import annotations

import shlex
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

import tasks
import tsrun

from . import runs
from .conftest import ROOT
from .runs import go, lay

TRAIN = "--mode train --no-plots --reference off --epochs 1"


def trained(folder, words):
    done = go(folder, f"{TRAIN} {words}")
    assert done.code == 0, done.err
    return done.directory


def inferred(folder, run, words, name):
    done = go(folder, f"--mode infer --no-plots --reference off --ckpt {run} {words}")
    assert done.code == 0, done.err
    return pd.read_csv(done.directory / name, dtype={"row": str})


def same(found, expected):
    """Equal numbers and words; dates are times in one and text in the other.

    Margins follow what was measured before: of the files of training what it saw, of another table all of it.
    """
    assert list(found.columns) == list(expected.columns) and len(found) == len(expected)
    for name in expected.columns:
        if pd.api.types.is_datetime64_any_dtype(found[name]):
            assert list(found[name]) == list(pd.to_datetime(expected[name])), name
        elif pd.api.types.is_numeric_dtype(expected[name]):
            loose = 0.02 if name in ("low", "high") else 0
            np.testing.assert_allclose(found[name], expected[name], loose, loose, err_msg=name)
        else:
            assert list(found[name].fillna("")) == list(expected[name].fillna("")), name


@pytest.mark.parametrize("task", tasks.names())
def test_a_frame_or_array_gives_what_inference_on_the_files_gives(task, tmp_path):
    flags = " ".join(map(shlex.quote, runs.sampled(task, tmp_path)))
    run = trained(tmp_path, f"--task {task} --backbone linear {flags}")
    file = tasks.class_of(task).opens[0]
    for path in (tmp_path / name for name in ("a.csv", "b.csv")):
        if path.is_file():  # the same numbers, and not the files of training, of which more is known
            np.savetxt(path, np.loadtxt(path, delimiter=","), delimiter=",", fmt="%.5f")
    expected = inferred(tmp_path, run, flags, file)
    model = tsrun.load(run)
    assert model.task == task and model.channels and model.context == 9
    if "--time-col" in flags:
        frame = pd.read_csv(tmp_path / "meter.csv")
        found = model.predict(frame.set_index(pd.to_datetime(frame.pop("time"))))
    else:
        found = model.predict(np.stack([np.loadtxt(tmp_path / f"{name}.csv", delimiter=",") for name in "ab"], axis=1))
    same(found, expected)


@pytest.fixture(scope="module")
def dated(tmp_path_factory):
    """(folder, run, frame) of two channels over 200 hours."""
    folder = tmp_path_factory.mktemp("dated")
    t = np.arange(200)
    frame = pd.DataFrame(
        {"a": np.sin(t / 4) + 5, "b": np.cos(t / 5)}, pd.date_range("2024-03-01", periods=200, freq="h")
    )
    frame.rename_axis("date").to_csv(folder / "load.csv")
    run = trained(
        folder, "--task forecast --backbone ridge --csv load.csv --time-col date --context-len 24 --horizon 6"
    )
    return folder, run, frame


def test_a_dated_forecast_comes_from_an_index_a_column_and_an_array_with_a_start(dated):
    folder, run, frame = dated
    expected, model = inferred(folder, run, "--csv load.csv", "forecast.csv"), tsrun.load(run / "model.pt.best")
    same(model.predict(frame), expected)
    same(model.predict(frame[["b", "a"]].rename_axis("date").reset_index()), expected)
    same(model.predict(frame.to_numpy().T, start="2024-03-01"), expected)
    assert model.horizon == 6 and found_steps(model.predict(frame)) == 6


def found_steps(found):
    return found.groupby("channel").size().max()


def test_several_series_come_from_a_batch_of_arrays(dated):
    _, run, frame = dated
    model = tsrun.load(run)
    batch = np.stack([frame.to_numpy().T, frame.to_numpy().T + 1])
    both = model.predict(batch, start="2024-03-01")
    one = model.predict(batch[1], start="2024-03-01")
    np.testing.assert_array_equal(both[both["row"] == "1"]["value"], one["value"])


@pytest.mark.parametrize(
    ("given", "more", "said"),
    [
        (np.zeros((2, 100)), {}, "an array has none"),
        (np.zeros((3, 100)), {"start": "2024-01-01"}, r"\[2, T\]"),
        (pd.DataFrame({"a": [1.0] * 50}, pd.date_range("2024", periods=50, freq="h")), {}, "b"),
        (pd.DataFrame({"a": [1.0] * 50, "b": 1.0}, pd.date_range("2024", periods=50, freq="D")), {}, "step"),
        (pd.DataFrame({"a": [1.0] * 50, "b": 1.0}), {}, "has no times"),
        (
            pd.DataFrame({"a": [1.0] * 5, "b": 1.0}, pd.date_range("2024", periods=5, freq="h")),
            {},
            "24 steps without a missing value; the longest has 5",
        ),
        (np.zeros((2, 100)), {"start": "2024-01-01", "nonsense": 3}, "nonsense"),
        (np.zeros((2, 100)), {"start": "2024-01-01", "nan": {}}, "no value of a flag"),
    ],
)
def test_what_does_not_fit_is_one_error_of_the_packages_own(dated, given, more, said):
    _, run, _ = dated
    with pytest.raises(tsrun.TsrunError, match=said):
        tsrun.load(run).predict(given, **more)


def test_a_run_that_is_not_there_says_which_are(dated):
    folder, run, _ = dated
    with pytest.raises(tsrun.TsrunError, match=run.name):
        tsrun.load(run.parent / "nowhere")


def test_flags_of_the_command_line_may_follow(dated):
    _, run, frame = dated
    holed = frame.copy()
    holed.iloc[-1, 0] = np.nan
    with pytest.raises(tsrun.TsrunError, match="--nan"):
        tsrun.load(run).predict(holed, nan="error")
    filled = holed.ffill()
    for more in ({}, {"nan": "ffill"}):  # a short gap is filled without a flag
        same(tsrun.load(run).predict(holed, **more), tsrun.load(run).predict(filled))


def test_classes_of_whole_recordings_come_from_arrays_by_modality(tmp_path):
    rng = np.random.default_rng(0)
    arrays = {"cam": rng.normal(size=(24, 8, 3)), "mic": rng.normal(size=(24, 8, 2))}
    labels = (rng.random((24, 2)) < 0.5).astype(int)
    np.savez(tmp_path / "r.npz", labels=labels, **arrays)
    run = trained(tmp_path, "--task classify --npz r.npz --backbone ridge")
    np.savez(tmp_path / "new.npz", **arrays)
    expected = inferred(tmp_path, run, "--npz new.npz", "preds.csv")
    model = tsrun.load(run)
    found = model.predict(arrays)
    np.testing.assert_array_equal(found.iloc[:, -2], expected.iloc[:, -2])
    batch = np.concatenate([arrays["cam"], arrays["mic"]], axis=2).transpose(0, 2, 1)
    np.testing.assert_array_equal(model.predict(batch).iloc[:, -2], expected.iloc[:, -2])


def test_it_is_imported_beside_modules_of_the_same_names(dated, tmp_path):
    """A program with a config.py, a data.py and a package of a room's name keeps them, before and after."""
    _, run, _ = dated
    for name in ("config", "data", "errors", "metrics"):
        (tmp_path / f"{name}.py").write_text(f"MINE = {name!r}\n")
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "__init__.py").write_text("MINE = 'tasks'\n")
    (tmp_path / "main.py").write_text(
        "import sys\nimport config, tasks\nimport numpy as np\nimport tsrun\n"
        f"model = tsrun.load({str(run)!r})\n"
        "import data, errors\n"
        "first = model.predict(np.ones((2, 60)) * np.arange(60) % 7, start='2024-01-01')\n"
        "import metrics\n"
        "again = model.predict(np.ones((2, 60)) * np.arange(60) % 7, start='2024-01-01')\n"
        "assert first.equals(again) and len(first) == 12\n"
        "try:\n    model.predict(np.ones((2, 60)))\n"
        "except tsrun.TsrunError as error:\n    assert 'start=' in str(error)\n"
        "names = [one.MINE for one in (config, data, errors, metrics, tasks)]\n"
        "assert names == ['config', 'data', 'errors', 'metrics', 'tasks'], names\n"
        "assert 'pipeline' not in sys.modules and sys.modules['tasks'] is tasks\nprint('well')\n"
    )
    env = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "main.py"], cwd=tmp_path, capture_output=True, text=True, env=env)
    assert (done.returncode, done.stdout) == (0, "well\n"), done.stderr


def test_a_wide_model_takes_a_frame_whose_lines_are_steps(tmp_path):
    lay(tmp_path, a=np.random.default_rng(1).normal(size=(12, 20)))
    run = trained(tmp_path, "--task regress --csv data/a.csv --context-len 5 --backbone ridge")
    model, row = tsrun.load(run), np.random.default_rng(2).normal(size=20)
    np.testing.assert_array_equal(model.predict(pd.DataFrame({"a": row}))["y_pred"], model.predict(row[None])["y_pred"])


@pytest.mark.parametrize("task", ["regress", "forecast"])
def test_columns_that_are_dates_say_when_to_forecasts_alone(tmp_path, task):
    """A label has no use for them: an array needs no start. A forecast has its dates."""
    numbers, days = np.sin(np.arange(8 * 40)).reshape(8, 40), pd.date_range("2024-01-01", periods=40)
    table = pd.DataFrame(numbers, columns=[f"{day:%Y-%m-%d}" for day in days], index=[f"r{k}" for k in range(8)])
    table.to_csv(tmp_path / "a.csv", index_label="id")
    words = "--task regress --csv a.csv" if task == "regress" else "--task forecast --horizon 3 --csv a.csv"
    model = tsrun.load(trained(tmp_path, f"{words} --backbone linear --context-len 9"))
    if task == "regress":
        assert len(model.predict(numbers[:, None])) == len(model.predict(tmp_path / "a.csv"))
    else:
        with pytest.raises(tsrun.TsrunError, match="the model's steps have dates, and an array has none"):
            model.predict(numbers[:, None])
        found = model.predict(numbers[:, None], start="2024-01-01")
        assert found["date"].iloc[0] == days[-1] + days.freq


def test_files_are_read_as_the_command_reads_them(dated):
    folder, run, frame = dated
    model = tsrun.load(run)
    same(model.predict(folder / "load.csv"), model.predict(frame))
    same(model.predict([str(folder / "load.csv")]), model.predict(frame))
    with pytest.raises(tsrun.TsrunError, match="not found"):
        model.predict("nowhere.csv")


def test_times_with_a_zone_are_those_of_its_wall_clock_where_training_had_none(dated):
    _, run, frame = dated
    model = tsrun.load(run)
    found, expected = model.predict(frame.tz_localize("America/New_York")), model.predict(frame)
    assert np.array_equal(found["value"], expected["value"])
    local = pd.to_datetime(found["date"], utc=True).dt.tz_convert("America/New_York").dt.tz_localize(None)
    assert local.tolist() == pd.to_datetime(expected["date"]).tolist()
