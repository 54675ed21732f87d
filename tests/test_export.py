"""Exported models against what the checkpoint itself wrote, run by their runtimes alone."""

from __future__ import annotations

import contextlib
import csv
import json
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score

import backbones
import tasks
from backbones import ModelSpec, intervals
from backbones.model import build_model
from errors import UsageError
from exporting import export as building
from exporting import formats
from exporting.check import Shift
from scaler import Scaler
from tasks.nilm.watts import capped, counted
from tasks.nilm.watts import sure as watts_rule
from tools import export

from .conftest import ROOT
from .runs import built, good, lay, numbers, preds, sampled, strict
from .test_combinations import KINDS, SMALL

onnx = pytest.importorskip("onnx", reason="requirements-export.txt is not installed")
ort = pytest.importorskip("onnxruntime", reason="requirements-export.txt is not installed")


_registries = {}  # torch's own, which it makes again for each export, in two seconds: nothing is added to them


@pytest.fixture(autouse=True)
def _one_registry(monkeypatch):
    with contextlib.suppress(ImportError, AttributeError):  # another torch makes each its own
        from torch.onnx._internal.exporter._registration import ONNXRegistry

        make = ONNXRegistry.from_torchlib

        def once(*args, **named):
            asked = (args, *sorted(named.items()))
            if asked not in _registries:
                _registries[asked] = make(*args, **named)
            return _registries[asked]

        monkeypatch.setattr(ONNXRegistry, "from_torchlib", staticmethod(once))


FEW_EPOCHS = "--epochs 1 --batch-size 64 --reference off --no-plots --quiet"


def tables(folder, level=0.0, names=("a", "b"), rows=12, steps=20):
    """data/NAME.csv, spiky and not negative; `level` lifts the first far above its spread."""
    rng = np.random.default_rng(5)
    made = {n: np.round(rng.gamma(1.0, size=(rows, steps)) * (rng.random((rows, steps)) < 0.5), 3) for n in names}
    made[names[0]] += level
    return lay(folder, **made), np.stack([table.astype(np.float32) for table in made.values()])


def train(folder, task, backbone, *more, files="data/a.csv data/b.csv", length=9):
    words = f"--mode train --task {task} --csv {files} --context-len {length} --backbone {backbone} {FEW_EPOCHS}"
    return good(folder, words, *more)


def tool(capsys, *words):
    """(exit code, stdout, stderr) of the tool."""
    capsys.readouterr()
    code = export.main([*map(str, words)])
    told = capsys.readouterr()
    return code, told.out, told.err


def exported(capsys, ckpt, form="onnx", *words):
    """The file that was written."""
    code, out, err = tool(capsys, "--ckpt", ckpt, "--format", form, *words)
    assert code == 0, err
    return Path.cwd() / out.splitlines()[-1]


def run_onnx(path, *arrays):
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [place.name for place in session.get_inputs()]
    return session.run(None, dict(zip(names, arrays, strict=True)))[0]


def run_torch(path, *arrays):
    with torch.inference_mode():
        return torch.export.load(path).module()(*map(torch.from_numpy, arrays)).numpy()


def contexts(values, length):
    """Every window of [C, N, T]: {(row, last step): [C, L]}."""
    return {
        (row, last): values[:, row, last + 1 - length : last + 1]
        for row in range(values.shape[1])
        for last in range(length - 1, values.shape[2])
    }


def beside(folder, values, run, length, column):
    """The windows that the run's preds.csv speaks of (it names the step after each), and what it says."""
    lines = preds(run)
    windows = contexts(values, length)
    x = np.stack([windows[int(line["row"]), int(line["time"]) - 1] for line in lines])
    return x, numbers(lines, column)


@pytest.fixture(scope="module")
def classified(tmp_path_factory):
    """A folder with tables and a run on them, to be copied."""
    folder = tmp_path_factory.mktemp("classified")
    _, values = tables(folder)
    words = "--model-args hidden=8 --no-wide --val-ratio 0.3 --test-ratio 0.3"
    return folder, train(folder, "classify", "gru", words).relative_to(folder), values


@pytest.fixture
def classifier(classified, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder, run, values = classified
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    return tmp_path / run, values


@pytest.mark.slow
def test_raw_windows_give_the_probabilities_that_the_run_wrote(classifier, tmp_path, capsys):
    run, values = classifier
    x, said = beside(tmp_path, values, run, 9, "y_score")
    path = exported(capsys, run)
    np.testing.assert_allclose(run_onnx(path, x)[:, 0, 0], said, atol=1e-5)
    np.testing.assert_allclose(run_onnx(path, x[:1])[:, 0, 0], said[:1], atol=1e-5)  # any batch


@pytest.mark.slow
def test_the_card_says_what_a_consumer_needs_and_how_the_model_did(classifier, tmp_path, capsys):
    run, values = classifier
    path = exported(capsys, run, "onnx-int8")
    card = strict(run / "model.int8.onnx.json")
    assert card["inputs"] == [{"name": "x", "channels": ["a", "b"], "shape": ["batch", 2, 9], "type": "float32"}]
    (outputs,) = card["outputs"]
    assert outputs["rows"] == [{"name": "a", "what": "probability"}] and outputs["shape"] == ["batch", 1, 1]
    metrics = json.loads((run / "metrics.json").read_text())
    assert card["calibration"]["tau"] == metrics["calibration"]["tau"]
    assert card["bytes"] == path.stat().st_size and card["parameters"] >= metrics["parameters"]
    x, _ = beside(tmp_path, values, run, 9, "y_score")
    true = numbers(preds(run), "y_true")
    by_hand = average_precision_score(true, run_onnx(path, x)[:, 0, 0])
    assert card["metric"]["exported"] == pytest.approx(by_hand, abs=1e-6)
    assert card["metric"]["checkpoint"] == pytest.approx(metrics["pr_auc"], abs=1e-6)
    assert card["metric"]["drop"] == pytest.approx(metrics["pr_auc"] - by_hand, abs=1e-6)
    assert card["check"]["split"] == "test" and card["check"]["windows"] == min(256, len(true))


def test_a_label_comes_in_its_own_unit(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    _, values = tables(tmp_path, level=1000.0)
    run = train(tmp_path, "regress", "linear", "--val-ratio 0.3 --no-wide")  # of noise a closed form says the mean
    x, said = beside(tmp_path, values, run, 9, "y_pred")
    got = run_torch(exported(capsys, run, "torch"), x)[:, 0, 0]
    np.testing.assert_allclose(got, said, atol=7e-4)  # the file has seven digits: half a unit of the last is 5e-4
    assert np.std(said) > 0.05


def test_a_mean_that_float32_does_not_hold_is_taken_away_whole():
    """A hundred thousand and a bit, with a deviation of a hundredth: one float32 step would err by 0.4 deviations."""
    scaler = Scaler(np.array([100000.0123, -3.0]), np.array([0.01, 2.0]), ("a", "b"))
    x = np.array([[[100000.0, 100000.015625, 100000.03125], [1.0, -3.0, 5.5]]], np.float32)
    true = (x.astype(np.float64) - scaler.mean[:, None]) / scaler.std[:, None]
    np.testing.assert_allclose(Shift.of(scaler)(torch.from_numpy(x)).numpy(), true, rtol=1e-5)


def forecaster(folder, backbone, *more):
    """Two channels by the hour; `plan` is known ahead."""
    rng = np.random.default_rng(3)
    hours = np.arange("2024-01-01", "2024-01-08", dtype="datetime64[h]")
    values = np.round(10 * rng.random((3, len(hours))) - 5, 3)  # below 0: margins that follow no level
    lines = [",".join([str(hour), *map(str, step)]) for hour, step in zip(hours, values.T, strict=True)]
    (folder / "load.csv").write_text("\n".join(["date,north,south,plan", *lines]) + "\n")
    more = ["--time-col date --known-future plan --horizon 3 --val-ratio 0.2 --test-ratio 0.2 --save-preds", *more]
    return train(folder, "forecast", backbone, *more, files="load.csv", length=6), values.astype(np.float32), hours


@pytest.mark.slow
@pytest.mark.parametrize("backbone", ["linear", "itransformer"])
def test_a_forecast_takes_what_is_known_ahead_and_speaks_in_the_channels_units(backbone, tmp_path, monkeypatch, capsys):
    """`known` is the plan as the file has it, and for those that read the calendar hour, weekday, day and month."""
    monkeypatch.chdir(tmp_path)
    args = SMALL.get(backbone, "")
    run, values, hours = forecaster(tmp_path, backbone, *(["--model-args", args] if args else []))
    path = exported(capsys, run)
    card = strict(path.with_name(path.name + ".json"))
    saved = np.load(run / "preds.npz")
    first = np.searchsorted(hours.astype("datetime64[ns]").astype(np.int64), saved["time"])
    days = hours.astype("datetime64[D]")
    calendar = {  # from -0.5, the first, to 0.5, the last
        "hour": (hours - days).astype(int) / 23,
        "weekday": (days.astype(int) + 3) % 7 / 6,
        "day": (days - days.astype("datetime64[M]")).astype(int) / 30,
        "month": np.zeros(len(hours)),
    }
    told = {name: (part - 0.5).astype(np.float32) for name, part in calendar.items()} | {"plan": values[2]}
    inputs = {place["name"]: place for place in card["inputs"]}
    names = inputs["known"]["channels"]
    assert names == (["hour", "weekday", "day", "month", "plan"] if backbone == "itransformer" else ["plan"])
    assert inputs["x"]["channels"] == ["north", "south"]
    x = np.stack([values[:2, at - 6 : at] for at in first])
    known = np.stack([np.stack([told[name][at - 6 : at + 3] for name in names]) for at in first])
    np.testing.assert_allclose(run_onnx(path, x, known), saved["pred"], rtol=1e-5, atol=1e-5)
    margin = np.array(card["calibration"]["margin"])
    np.testing.assert_allclose(np.broadcast_to(margin, saved["pred"].shape), saved["high"] - saved["pred"], atol=1e-4)


@pytest.mark.slow
def test_quantiles_are_rows_that_the_card_names(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run, _, _ = forecaster(tmp_path, "linear", "--quantiles 0.1 0.5 0.9")
    path = exported(capsys, run)
    card = strict(path.with_name(path.name + ".json"))
    assert card["metric"]["name"] == "pinball" and abs(card["metric"]["drop"]) < 1e-6
    rows = card["outputs"][0]["rows"]
    assert [row["name"] for row in rows] == 3 * ["north"] + 3 * ["south"]
    assert [row["level"] for row in rows] == 2 * [0.1, 0.5, 0.9]


@pytest.mark.slow
def test_a_meter_gives_the_timeline_that_the_run_wrote(tmp_path, monkeypatch, capsys):
    """Windows that do not overlap: the timeline is the windows' answers, one after the other."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(5)
    on = rng.random(400) < 0.3
    watts = np.round(50 * on + 20 + rng.random(400), 1).astype(np.float32)
    stamps = np.datetime64("2024-01-01T00:00:00") + 8 * np.arange(400)
    lines = [f"{str(t).replace('T', ' ')},{w},{50 * o}" for t, w, o in zip(stamps, watts, on, strict=True)]
    (tmp_path / "meter.csv").write_text("time,mains,tv\n" + "\n".join(lines) + "\n")
    own = "--time-col time --device-cols tv --nilm-features none --stride 10 --min-on tv=0 --min-off tv=0"
    run = train(tmp_path, "nilm", "gru", own, "--model-args hidden=8", files="meter.csv", length=10)
    path = exported(capsys, run)
    card = strict(path.with_name(path.name + ".json"))
    assert card["inputs"][0]["channels"] == ["mains", "mains change"]
    assert [row["what"] for row in card["outputs"][0]["rows"]] == ["probability", "watts"]
    with (run / "timeline.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    begin = int((np.datetime64(table[0]["time"].replace(" ", "T")) - stamps[0]).astype(int)) // 8
    raw = np.stack([watts, np.diff(watts, prepend=watts[:1])])
    count = len(table) // 10
    x = np.stack([raw[:, begin + 10 * n : begin + 10 * (n + 1)] for n in range(count)])
    probability, power = run_onnx(path, x).transpose(1, 0, 2).reshape(2, -1)
    np.testing.assert_allclose(probability, numbers(table, "tv p")[: 10 * count], atol=1e-4)
    tau = card["calibration"]["tau"][0]
    said = (probability >= tau)[None]
    sure = counted(said, probability[None], np.arange(len(power)), [watts_rule(tau, strict=True)])[0][0]
    gated = capped(np.where(sure, power, 0)[None], watts[begin : begin + len(power)])[0]
    np.testing.assert_allclose(gated, numbers(table, "tv W")[: 10 * count], rtol=1e-3, atol=0.06)


@pytest.mark.slow
def test_a_torch_program_runs_where_our_code_is_not(classifier, tmp_path, capsys):
    run, values = classifier
    x, said = beside(tmp_path, values, run, 9, "y_score")
    path = exported(capsys, run, "torch")
    np.save(tmp_path / "x.npy", x)
    code = (
        "import sys, numpy, torch\n"
        f"model = torch.export.load({str(path)!r}).module()\n"
        "numpy.save('y.npy', model(torch.from_numpy(numpy.load('x.npy'))).detach().numpy())\n"
        "assert not {'backbones', 'tasks', 'tools'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, timeout=120)
    np.testing.assert_allclose(np.load(tmp_path / "y.npy")[:, 0, 0], said, atol=1e-5)
    without_an_answer(torch.export.load(path).module(), [torch.from_numpy(x)])
    with zipfile.ZipFile(path) as archive:
        held = b"".join(archive.read(name) for name in archive.namelist())
    assert str(ROOT).encode() not in held


# --- int8 ------------------------------------------------------------------------------------------------------------


def test_a_row_of_weights_becomes_its_scale_times_whole_numbers():
    from exporting import onnx_graph

    weights = np.array([[[0.5, -2.54, 0.0], [0.0, 0.0, 0.0]], [[1.0, 0.3, 0.1], [3.0, -127.0, 0.4]]], np.float32)
    whole, scale = onnx_graph.rounded(weights, axis=1)
    np.testing.assert_allclose(scale, [2.54 / 127, 1.0], rtol=1e-6)
    assert whole.tolist() == [[[25, -127, 0], [0, 0, 0]], [[50, 15, 5], [3, -127, 0]]]


def quantised_by_hand(layer, names):
    """Each row of the named weights as whole numbers times a 127th of its largest element; both directions at once."""
    for name in names:
        both = [part for part in (name, f"{name}_reverse") if hasattr(layer, part)]
        scale = torch.stack([getattr(layer, part).data.abs().amax(dim=1, keepdim=True) for part in both]).amax(0) / 127
        for part in both:
            weight = getattr(layer, part).data
            weight.copy_((weight / scale).round() * scale)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "args"), [("gru", {"layers": 2}), ("gru", {"bidirectional": True}), ("lstm", {})])
def test_recurrent_weights_are_int8_too(kind, args):
    """The whole model equals torch's with rounded weights; the file holds no matrix of floats any more."""
    from exporting import onnx_graph

    torch.manual_seed(0)
    model = build_model(
        ModelSpec(backbone=kind, channels=5, length=12, outputs=3, horizon=1, head="pool", args={"hidden": 32, **args})
    ).eval()
    with formats.quietly():
        data = onnx_graph.quantised(onnx_graph.graph_of(model, {"x": torch.zeros(2, 5, 12)}, "y"))
    weights = onnx.load_from_string(data).graph.initializer
    assert not [w.name for w in weights if w.data_type == onnx.TensorProto.FLOAT and np.prod(w.dims) > 2 * 2 * 8 * 32]
    assert len(data) < 2 * sum(p.numel() for p in model.parameters())
    x = torch.randn(4, 5, 12)
    said = ort.InferenceSession(data).run(None, {"x": x.numpy()})[0]
    assert np.abs(said - model(x).detach().numpy()).max() > 1e-5  # it did change something
    rows = [name for name, _ in model.backbone.rnn.named_parameters() if "weight" in name and "reverse" not in name]
    quantised_by_hand(model.backbone.rnn, rows)
    quantised_by_hand(model.head, ["weight"] if any(w.name == "head.weight.int8" for w in weights) else [])
    np.testing.assert_allclose(said, model(x).detach().numpy(), atol=1e-5)


@pytest.mark.slow
def test_encoder_and_gru_together_take_at_most_160_kilobytes(tmp_path, monkeypatch, capsys):
    """At the sizes of the robot's sensors, five kinds, labels that exclude each other: rows are classes."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    sizes = {"visual": 14, "audio": 17, "pose": 51, "spatial": 7, "time": 10}
    parts = {name: rng.normal(size=(60, 30, width)).astype(np.float32) for name, width in sizes.items()}
    np.savez(tmp_path / "raw.npz", labels=np.eye(7, dtype=np.float32)[np.arange(60) % 7], **parts)
    words = f"--mode train --task classify --npz raw.npz --backbone fusion_gru {FEW_EPOCHS} --val-ratio 0.4"
    run = good(tmp_path, words)
    path = exported(capsys, run, "onnx-int8")
    assert path.stat().st_size <= 160_000
    card = strict(path.with_name(path.name + ".json"))
    assert card["exclusive"] and card["inputs"][0]["modalities"] == sizes and card["metric"]["name"] == "macro_f1"
    said = run_onnx(path, np.concatenate(list(parts.values()), axis=2).transpose(0, 2, 1))
    np.testing.assert_allclose(said.sum(axis=1), 1, atol=1e-5)
    lines = preds(run)
    wrote = np.array([[float(line[f"p {row['name']}"]) for row in card["outputs"][0]["rows"]] for line in lines])
    np.testing.assert_allclose(said[[int(line["row"]) for line in lines], :, 0], wrote, atol=0.02)  # eight bits


# --- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_model_that_is_not_the_checkpoints_is_never_written(classifier, capsys, monkeypatch):
    """A format whose maker spoils the head by a thousandth."""
    run, _ = classifier

    def spoiled(module, example):
        with torch.no_grad():
            module.model.head.bias += 1e-3
            data = formats.FORMS["torch"].make(module, example)
            module.model.head.bias -= 1e-3
        return data

    monkeypatch.setitem(formats.FORMS, "spoiled", replace(formats.FORMS["torch"], make=spoiled, ending="spoiled"))
    code, _, err = tool(capsys, "--ckpt", run, "--format", "spoiled")
    assert code == 2 and "not the checkpoint's: up to 0.000" in err
    assert not [path.name for path in run.iterdir() if "spoiled" in path.name]


@pytest.mark.slow
def test_what_stands_there_and_was_not_exported_stays(classifier, tmp_path, capsys):
    run, _ = classifier
    other = tmp_path / "mine.pt2"
    other.write_text("mine")
    code, _, err = tool(capsys, "--ckpt", run, "--format", "torch", "--out", other)
    assert code == 2 and "has no .json beside it" in err and other.read_text() == "mine"
    code, _, err = tool(capsys, "--ckpt", run, "--format", "torch", "--out", run / "model.pt.best")
    assert code == 2 and "--out" in err
    first = exported(capsys, run, "torch", "--out", "new/m.pt2")
    first.write_bytes(b"an older export")
    assert exported(capsys, run, "torch", "--out", "new/m.pt2").stat().st_size > 1000
    assert sorted(path.name for path in first.parent.iterdir()) == ["m.pt2", "m.pt2.json"]


def test_bad_words_are_told(classifier, tmp_path, capsys, put):
    run, _ = classifier
    code, _, err = tool(capsys, "--ckpt", run, "--format", "onx")
    assert code == 2 and "did you mean onnx?" in err and "onnx-int8, torch" in err
    code, _, err = tool(capsys, "--format", "onnx")
    assert code == 2 and "--ckpt" in err
    code, _, err = tool(capsys, "--ckpt", run, "--format", "onnx", "--sidewise")
    assert code == 2 and "unknown flag --sidewise" in err
    code, _, err = tool(capsys, "--ckpt", run, "--format", "onnx", "--out", put("x", "file") / "m.onnx")
    assert code == 2 and "cannot be written" in err
    code, _, err = tool(capsys, "--ckpt", put("not one", "model.pt"), "--format", "onnx")
    assert code == 4 and "not a whole checkpoint" in err
    code, _, err = tool(capsys, "--ckpt", tmp_path / "nowhere", "--format", "onnx")
    assert code == 4 and "no such file" in err
    code, _, err = tool(capsys, "--ckpt", run, "--format", "onnx", "--csv", "data/a.csv")
    assert code == 4 and "trained on 2 input channel(s), the data have 1" in err
    code, _, err = tool(capsys, "--ckpt", run, "--format", "onnx", "--csv", "data/a.csv", "data/none.csv")
    assert code in (2, 3) and "none.csv" in err
    assert not list(run.glob("*onnx*"))


def test_without_the_extra_it_says_what_to_install(classifier, capsys, monkeypatch):
    run, _ = classifier
    monkeypatch.delitem(sys.modules, "exporting.onnx_graph", raising=False)
    monkeypatch.setattr("exporting.onnx_graph", None, raising=False)
    monkeypatch.delattr("exporting.onnx_graph", raising=False)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    code, _, err = tool(capsys, "--ckpt", run, "--format", "onnx-int8")
    assert code == 2 and "needs onnxruntime" in err and "requirements-export.txt" in err
    code, _, err = tool(capsys, "--ckpt", run, "--format", "torch")
    assert code == 0, err


def test_a_backbone_that_does_not_export_is_refused(classifier, capsys, monkeypatch):
    """One whose forward depends on what it sees, which no graph can hold."""
    run, _ = classifier
    from backbones.gru import GRU

    whole = GRU.forward
    monkeypatch.setattr(GRU, "forward", lambda self, x: whole(self, x) if x.sum() > -1e9 else -whole(self, x))
    code, _, err = tool(capsys, "--ckpt", run, "--format", "torch")
    assert code == 2 and "--backbone gru --format torch: does not export" in err
    assert not list(run.glob("*pt2*"))


@pytest.mark.slow
def test_other_files_are_checked_on_all_of_their_windows(classifier, tmp_path, capsys):
    run, _ = classifier
    lay(tmp_path / "new", a=np.ones((3, 12)) * [[1], [2], [3]], b=np.zeros((3, 12)))
    path = exported(capsys, run, "torch", "--csv", "new/data/a.csv", "new/data/b.csv")
    check = strict(path.with_name(path.name + ".json"))["check"]
    assert check["split"] == "all" and check["windows"] == 3 * (12 - 9)


# --- the registry ----------------------------------------------------------------------------------------------------


def task_of(name, number):
    """One of the tasks that a backbone serves, another for each."""
    chosen = backbones.backbone_class(name)
    served = [task for task in tasks.names() if built(task).head in chosen.heads]
    served = [task for task in served if not chosen.answers or KINDS.get(task, "value") in chosen.kinds]
    return served[number % len(served)]


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(backbones.names())), ids=backbones.names())
def test_every_backbone_goes_into_a_graph(number, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(intervals, "DEPTH", 2)  # intervals of each width have the same nodes
    from exporting import onnx_graph

    name = backbones.names()[number]
    if backbones.backbone_class(name).needs_pretrained_dir:
        pytest.skip("its own tests build it")
    task = task_of(name, number)
    words = f"--mode train --task {task} --epochs 1 --batch-size 32 --reference off --no-plots --val-ratio 0.3"
    words = [*words.split(), *(built(task).sample(tmp_path) if name == "tcn" else sampled(task, tmp_path))]
    if task in KINDS and name != "gru" and not backbones.backbone_class(name).closed_form:
        words.append("--no-wide")  # that path is the same beside each of them, and takes most of an export
    args = SMALL.get(name, "") if (name, task) != ("auto", "forecast") else "members=theta,ets"
    if backbones.backbone_class(name).blends_runs:
        members = [str(good(tmp_path, *words, "--backbone", part)) for part in ("linear", "gru")]
        args = f"members={','.join(members)}"
    run = good(tmp_path, *words, "--backbone", name, *(["--model-args", args] if args else []))
    if backbones.backbone_class(name).reads_history and built(task).head == "forecast":
        with pytest.raises(UsageError, match="an exported model sees the look-back alone"):
            building.check_of(run / "model.pt.best", [])
        return
    trial = building.check_of(run / "model.pt.best", [])
    data, exact = building.build("onnx", trial)  # which exports as `torch` does, first, and checks what comes out
    whole = onnx_graph.quantised(data)
    small = onnx_graph.opened(whole, trial.names)
    trial.difference(small, exact=False)
    assert len(whole) <= len(data)
    for model in (trial.deployed, exact, small):
        without_an_answer(model, trial.sample)


def without_an_answer(model, sample):
    """A window with a missing value has none, the others have theirs, and no windows have none."""
    few = [part[:3].clone() for part in sample]
    whole = model(*few)
    assert torch.isfinite(whole).all()
    for part in few:
        spoilt = [other.clone() for other in few]
        place = next(k for k, other in enumerate(few) if other is part)
        for value in (float("nan"), float("inf")):
            spoilt[place][1, -1, part.shape[2] // 2] = value
            answer = model(*spoilt)
            assert torch.isnan(answer[1]).all() and torch.allclose(answer[[0, 2]], whole[[0, 2]], atol=1e-5)
    assert model(*(part[:0] for part in few)).shape == (0, *whole.shape[1:])
