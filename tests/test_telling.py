"""What a run says: what was read, the table with units, the first values, which files to open, and errors in JSON."""

from __future__ import annotations

import csv
import json
import shlex

import numpy as np
import pytest

import tasks
from data import Series
from tasks.lines import aligned, dates
from tasks.units_of_names import unit_of, unit_of_all, without_unit
from telling import read
from telling.result import table
from times.clock import Clock

from . import runs
from .runs import go

FAST = "--epochs 1 --backbone linear --no-plots --reference off"


@pytest.fixture(scope="module", params=tasks.names())
def pair(request, tmp_path_factory):
    """(task, a small training, inference with its checkpoint on the same files)."""
    folder = tmp_path_factory.mktemp(request.param)
    flags = " ".join(map(shlex.quote, runs.sampled(request.param, folder)))
    trained = go(folder, f"--mode train --task {request.param}", flags, FAST)
    assert trained.code == 0, trained.err
    inferred = go(folder, f"--mode infer --ckpt {trained.directory} --no-plots", flags)
    assert inferred.code == 0, inferred.err
    return request.param, trained, inferred


def test_every_run_says_in_one_line_what_was_read(pair):
    _, trained, inferred = pair
    for done in (trained, inferred):
        lines = [line for line in done.err.splitlines() if line.startswith("read: ")]
        assert len(lines) == 1 and "channel" in lines[0] and "windows: " in lines[0]
    sizes = json.loads((trained.directory / "manifest.json").read_text())["split"]
    said = next(line for line in trained.err.splitlines() if line.startswith("read: "))
    assert f"{sizes['train']['windows']:,} train, {sizes['val']['windows']:,} val" in said


def test_every_run_names_the_files_to_open_above_its_folder(pair):
    task, trained, inferred = pair
    for done in (trained, inferred):
        *_, files, folder = done.out.strip().splitlines()
        assert folder == str(done.directory.relative_to(done.folder))
        named = files.partition(": ")[2].split(", ")
        assert named[0] in ("index.html", tasks.class_of(task).summary)
        assert all((done.directory / name).is_file() for name in named) and len(named) > 1


def test_inference_shows_the_first_values_as_the_file_has_them(pair):
    task, trained, inferred = pair
    name = tasks.class_of(task).opens[0]
    with (inferred.directory / name).open(encoding="utf-8", newline="") as file:
        first = next(csv.DictReader(file))
    shown = json.loads((inferred.directory / tasks.class_of(task).summary).read_text())
    assert "first" not in shown and "first" not in trained.out.splitlines()
    column = {"forecast": "value", "regress": "y_pred", "classify": "p_true"}.get(task)
    if column in first and task == "forecast":
        assert f"{float(first[column]):.5g}" in inferred.out
    else:
        assert any(word in inferred.out for word in ("kWh", "preds.csv:", "after the last step:"))


@pytest.mark.parametrize("pair", ["nilm"], indirect=True)
def test_the_devices_used_what_a_plain_sum_of_the_timeline_gives(pair):
    task, _, inferred = pair
    with (inferred.directory / "timeline.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    kwh = sum(float(line["tv W"]) for line in lines) * 8 / 3.6e6
    minutes = sum(int(line["tv state"]) for line in lines) * 8 / 60
    said = next(line.split() for line in inferred.out.splitlines() if line.split()[:1] == ["tv"])
    with (inferred.directory / "energy.csv").open(encoding="utf-8", newline="") as file:
        by_day = [float(line["tv"]) for line in csv.DictReader(file)]
    assert float(said[1]) == pytest.approx(sum(by_day), abs=6e-4) and float(said[2]) == pytest.approx(minutes, abs=0.06)
    assert float(said[1]) >= kwh - 6e-4  # watts of the timeline are those of sure runs alone


def test_training_writes_the_forecast_past_the_end_too(pair):
    task, trained, inferred = pair
    both = [done.directory / "forecast.csv" for done in (trained, inferred)]
    if task != "forecast":
        assert not any(path.exists() for path in both)
        return
    assert both[0].read_text() == both[1].read_text()


@pytest.mark.parametrize("pair", ["forecast"], indirect=True)
def test_forecast_errors_stand_in_both_units_with_what_the_intervals_cover(pair):
    task, trained, _ = pair
    header, model = trained.out.splitlines()[1:3]
    assert header.split("  ")[-1].strip() == "in 90 %" and "mae [std]" in header and "mae [as read]" in header
    content = json.loads((trained.directory / "summary.json").read_text())
    cells = model.split()
    assert float(cells[-1]) == pytest.approx(content["interval"]["coverage"], rel=1e-3)
    assert float(cells[-2]) == pytest.approx(content["original"]["mae"], rel=1e-3)


def test_the_table_leaves_empty_what_a_reference_lacks(tmp_path):
    content = {
        "monitor": {"name": "mse", "direction": "min"}, "headline": {"mse": 1.0}, "mse": 1.0, "backbone": "x",
        "shown": {"mse": "mse", "mae [kW]": "original.mae"}, "original": {"mae": 12.5}, "split": "test", "n": 3,
        "selection": "val", "parameters": 1, "seconds": 0.0, "references": {"naive": {"mse": 2.0}},
    }  # fmt: skip
    (tmp_path / "a.csv").write_text("")
    _, header, model, naive, files, folder = table(content, tmp_path, ("a.csv", "b.csv")).splitlines()
    assert header.split() == ["mse", "mae", "[kW]"] and model.split() == ["x", "1", "12.5"]
    assert naive.split() == ["naive", "2"] and files.endswith(": a.csv") and folder == str(tmp_path)


def test_a_reference_of_the_models_name_is_told_apart_or_left_out(tmp_path):
    content = {
        "monitor": {"name": "mse", "direction": "min"}, "headline": {"mse": 1.0}, "mse": 1.0, "backbone": "theta",
        "split": "test", "n": 3, "selection": "val", "parameters": 1, "seconds": 0.0,
        "references": {"theta": {"mse": 1.00001}, "ets": {"mse": 2.0}},
    }  # fmt: skip
    _, _, *rows, _ = table(content, tmp_path, ()).splitlines()
    assert [row.split() for row in rows] == [["theta", "1"], ["ets", "2"]]  # to four digits it is the model again
    content["references"]["theta"]["mse"] = 1.1
    _, header, *rows, _ = table(content, tmp_path, ()).splitlines()
    assert [row.split()[:-1] for row in rows] == [["theta"], ["theta", "(reference)"], ["ets"]]
    assert {len(row) for row in (header, *rows)} == {32}


@pytest.mark.parametrize(
    ("name", "unit"),
    [("load [MW]", "MW"), ("wind (m/s)", "m/s"), ("load_kw", "kW"), ("power.kWh", "kWh"), ("OT", ""), ("a_b", ""),
     ("site_A", ""), ("temp_degC", "degC"), ("house", ""), ("x []", ""),
     ("Mains_A (kWhs)", "kWh"), ("Fridge [Watts]", "W"), ("fridge_watts", "W"), ("Gas (m³)", "m3")],
)  # fmt: skip
def test_a_channels_name_may_hold_its_unit(name, unit):
    assert unit_of(name) == unit


def test_a_name_without_its_unit_however_that_is_spelled():
    names = ["Mains_A (kWhs)", "Fridge[kW]", "load_MW", "power.kWh", "OT", "[Wh]"]
    assert [without_unit(name) for name in names] == ["Mains_A", "Fridge", "load", "power", "OT", "[Wh]"]


def test_channels_of_one_unit_share_it():
    assert unit_of_all(["a_kW", "b [kW]"]) == "kW" and unit_of_all(["a_kW", "b"]) == ""


@pytest.mark.parametrize("at_once", [3, 100])
def test_predictions_have_the_dates_of_their_steps_also_beyond_the_end(at_once, monkeypatch):
    monkeypatch.setattr("tasks.lines.AT_ONCE", at_once)
    hour = 3_600_000_000_000
    begin = int(np.datetime64("2024-02-28T22:00", "ns").astype(np.int64))
    time = np.concatenate([begin + hour * np.arange(3), begin + 10 * hour + hour * np.arange(2)])
    series = Series(np.zeros((1, 5), np.float32), np.array([0, 3, 5]), ("a",), ("x", "y"), time=time, clock=Clock("h"))
    context = type("Context", (), {"series": series})
    found = dates(context, np.array([0, 1, 0, 1]), np.array([2, 0, 4, 2]))
    shown = ["2024-02-29 00:00:00", "2024-02-29 08:00:00", "2024-02-29 02:00:00", "2024-02-29 10:00:00"]
    assert [date for (date,) in found] == shown
    line = read._line(series, {"train": 1200, "val": 0})
    assert line == (
        "read: 2 rows of 2 to 3 steps (5 in all); 1 channel (a); 2024-02-28 22:00:00 to 2024-02-29 09:00:00, "
        "a step is 1 h; windows: 1,200 train"
    )


def test_a_dated_table_has_dates_in_its_predictions(put):
    value = np.random.default_rng(0).normal(size=60)
    days = np.datetime64("2024-01-01") + np.arange(60)
    path = put("day,a\n" + "\n".join(f"{d},{v:.4f}" for d, v in zip(days, value, strict=True)) + "\n")
    flags = f"--task regress --csv {path.name} --time-col day --no-plots"
    trained = go(
        path.parent, f"--mode train {flags} --split-mode holdout --context-len 5 --backbone ridge --reference off"
    )
    assert trained.code == 0, trained.err
    for line in runs.preds(trained.directory):
        assert line["date"] == str(days[int(line["time"])])
        assert float(line["y_true"]) == pytest.approx(value[int(line["time"])], abs=1e-4)
    inferred = go(path.parent, f"--mode infer --ckpt {trained.directory} {flags}")
    assert runs.preds(inferred.directory)[-1]["date"] == "2024-03-01" and "2024-03-01" in inferred.out


def test_text_stands_left_and_numbers_right():
    assert aligned([("name", "kWh"), ("a", "1.5"), ("long", "10.123456")], "t:") == [
        "t:", "  name     kWh", "  a        1.5", "  long  10.123",
    ]  # fmt: skip


@pytest.mark.parametrize("pair", ["regress"], indirect=True)
def test_a_run_that_moves_an_older_one_aside_says_where(pair):
    task, trained, _ = pair
    flags = " ".join(runs.sampled(task, trained.folder))
    again = go(trained.folder, f"--mode train --task {task}", flags, FAST)
    assert f"the earlier run of this name is now {again.out.splitlines()[-1]}.1" in again.err
    assert (trained.folder / f"{again.out.splitlines()[-1]}.1" / "summary.json").is_file()


@pytest.mark.parametrize(
    ("words", "code", "kind"),
    [
        ("--mode train --task forecast --csv nowhere.csv --context-len 8 --json", 3, "DataError"),
        ("--mode train --task nothing --json", 2, "UsageError"),
        ("--mode infer --json --task regress --csv a.csv --ckpt nowhere", 4, "CheckpointError"),
    ],
)
def test_errors_are_json_where_json_was_asked_for(words, code, kind, tmp_path):
    (tmp_path / "a.csv").write_text("1,2,3\n")
    done = go(tmp_path, words)
    found = json.loads(done.out)["error"]
    assert done.code == code == found["exit_code"] and found["kind"] == kind
    assert done.err.startswith("error: ") and found["what"] in done.err and found["hint"] in done.err


def test_without_json_nothing_is_on_stdout(tmp_path):
    assert go(tmp_path, "--mode train --task nothing").out == ""
    assert go(tmp_path, "--mode train --task nothing --json --no-json").out == ""


def test_a_name_of_digits_and_underscores_is_no_number():
    """Python reads 40346_00060 as a number; rivers' channels are called so."""
    assert aligned([["channel", "value"], ["40346_00060", "805.591234"]], "next:")[2] == "  40346_00060  805.59"
