"""An experiment from its file to its directory; every mistake in the file is answered with its line, nothing is run."""

from __future__ import annotations

import json
import math
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

import checkpoint
import cli
from errors import UsageError
from experiments import as_run, config_file
from rundir import RunDir

from . import forkserver
from .conftest import ROOT
from .runs import go, strict

FILES = {"metrics.json", "history.json", "learning_curve.png", "best_model.pth", "config_used.py", "manifest.json"}
FILES |= {"index.html"}
ISSUE = """\
import torch.optim as optim
import torch.nn as nn
seed = 42
data = {"csv": "ETTh1.csv", "target": "OT", "features": "S", "seq_len": 96, "label_len": 48, "pred_len": 24, "batch_size": 32}
model = {"d_model": 256, "n_heads": 4, "e_layers": 3, "d_layers": 1, "d_ff": 1024, "dropout": 0.1, "factor": 5}
training = {"optimizer_class": optim.Adam, "optimizer_params": {"lr": 0.0001, "weight_decay": 0.0001},
            "criterion_class": nn.MSELoss, "scheduler_class": optim.lr_scheduler.CosineAnnealingLR,
            "scheduler_params": {"T_max": 10}, "max_epochs": 20, "patience": 5}
"""  # noqa: E501
SMALL = {
    "seed": 3,
    "data": {"csv": "ett.csv", "seq_len": 24, "label_len": 12, "pred_len": 4, "batch_size": 64},
    "model": {"d_model": 8, "n_heads": 2, "e_layers": 2, "d_layers": 1, "d_ff": 16, "dropout": 0.1, "factor": 2},
    "training": {
        "optimizer_class": "optim.AdamW",
        "optimizer_params": {"lr": 0.003, "betas": (0.9, 0.98)},
        "criterion_class": "nn.MSELoss",
        "scheduler_class": "optim.lr_scheduler.CosineAnnealingLR",
        "scheduler_params": {"T_max": 4},
        "max_epochs": 3,
        "patience": 0,
    },
}
HEADER = "date,HUFL,HULL,MUFL,MULL,LUFL,LULL,OT"
ROWS = 600


def changed(*path_and_value: object) -> dict:
    """SMALL with another value at a path; the value `...` takes the key away."""
    *path, last, value = path_and_value
    copy = json.loads(json.dumps(SMALL))
    inner = copy
    for key in path:
        inner = inner[key]
    if value is ...:
        del inner[last]
    else:
        inner[last] = value
    return copy


LINEAR = {**SMALL, "model": {"backbone": "dlinear"}}


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CSV in the layout of the ETT sets: a day's wave that drifts, in hours."""
    rng = np.random.default_rng(0)
    hours = np.arange(ROWS)[:, None]
    values = np.sin(2 * np.pi * (hours / 24 + np.arange(7) / 7)) + np.cumsum(rng.normal(0, 0.1, (ROWS, 7)), axis=0)
    dates = np.datetime64("2020-01-01T00", "h") + np.arange(ROWS)
    lines = [
        ",".join([str(date).replace("T", " ") + ":00:00", *(f"{v:.6f}" for v in row)])
        for date, row in zip(dates, values, strict=True)
    ]
    path = tmp_path_factory.mktemp("ett") / "ett.csv"
    path.write_text("\n".join([HEADER, *lines]) + "\n")
    return path


def lay(folder: Path, table: Path, config: Mapping | str) -> Path:
    shutil.copy(table, folder / "ett.csv")
    (folder / "config.py").write_text(config if isinstance(config, str) else config_file.to_text(config))
    return folder


@pytest.fixture(scope="module")
def finished(table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with config.py and runs/run_0000, a tiny Informer's."""
    folder = lay(tmp_path_factory.mktemp("finished"), table, SMALL)
    done = go(folder, "--config config.py --tag run_0000")
    assert done.code == 0, done.err
    assert done.directory == folder / "runs" / "run_0000"
    return folder


def metrics_of(folder: Path, tag: str = "run_0000") -> dict:
    return strict(folder / "runs" / tag / "metrics.json")


# --- what a run leaves -----------------------------------------------------------------------------------------------


def test_the_directory_holds_six_files_and_nothing_lies_beside_it(finished):
    runs = finished / "runs"
    assert {path.name for path in (runs / "run_0000").iterdir()} == FILES
    assert {path.name for path in runs.iterdir() if not path.name.startswith("infer")} == {"run_0000"}
    assert (runs / "run_0000" / "config_used.py").read_bytes() == (finished / "config.py").read_bytes()
    page = (runs / "run_0000" / "index.html").read_text()
    assert set(re.findall(r'href="\./([^"]+)"', page)) == FILES - {"index.html"} and "repeat_last" in page
    manifest = strict(runs / "run_0000" / "manifest.json")
    assert manifest["command"] == "python run.py --config config.py --tag run_0000"
    assert (runs / "run_0000" / "learning_curve.png").read_bytes().startswith(b"\x89PNG")


def test_metrics_hold_what_was_promised(finished):
    metrics = metrics_of(finished)
    numbers = ["best_epoch", "val_mse", "test_mse", "train_mse", "train_time_sec", "n_params"]
    assert list(metrics) == [*numbers, "horizon", "look_back", "split", "references"]
    assert all(type(metrics[key]) in (int, float) for key in numbers)
    assert (metrics["horizon"], metrics["look_back"]) == (4, 24)
    # 70, 10 and 20 of 600 hours; a window belongs to the part that holds all four hours of its target
    assert metrics["split"]["windows"] == {"train": 420 - 24 - 3, "val": 60 - 3, "test": 120 - 3}
    state = checkpoint.read(finished / "runs/run_0000/best_model.pth")["state"]
    assert metrics["n_params"] == sum(value.numel() for name, value in state.items() if "running_" not in name
                                      and "num_batches" not in name)  # fmt: skip


def test_repeat_last_stands_beside_it_over_the_same_windows(finished, table):
    rows = [line.split(",") for line in table.read_text().splitlines()[1:]]
    value = np.array([float(row[-1]) for row in rows])
    value = (value - value[:420].mean()) / value[:420].std()
    errors = [(value[t + h] - value[t - 1]) ** 2 for t in range(480, 600 - 3) for h in range(4)]
    assert metrics_of(finished)["references"]["repeat_last"] == pytest.approx(np.mean(errors), rel=1e-5)
    assert 0 < metrics_of(finished)["references"]["ridge"] < np.mean(errors)


def test_the_history_says_every_epoch(finished):
    history = strict(finished / "runs/run_0000/history.json")
    assert list(history) == ["best_epoch", "epochs"]
    assert [list(line) for line in history["epochs"]] == [["epoch", "train_mse", "val_mse", "lr"]] * 3
    assert [line["epoch"] for line in history["epochs"]] == [0, 1, 2]  # as `for epoch in range(3)` counts
    rates = [0.003 * 0.5 * (1 + math.cos(math.pi * epoch / 4)) for epoch in range(3)]
    assert [line["lr"] for line in history["epochs"]] == pytest.approx(rates)
    values = [line["val_mse"] for line in history["epochs"]]
    metrics = metrics_of(finished)
    assert history["best_epoch"] == metrics["best_epoch"] == int(np.argmin(values))
    assert metrics["val_mse"] == pytest.approx(min(values), rel=1e-6)


@pytest.mark.parametrize("split", ["train", "val", "test"])
@pytest.mark.parametrize("ckpt", ["runs/run_0000/best_model.pth", "runs/run_0000"])
def test_inference_with_the_checkpoint_says_the_same(finished, split, ckpt):
    words = f"--eval-split {split} --no-plots --reference off --json --overwrite --out again"
    done = go(finished, "--mode infer --csv ett.csv --ckpt", ckpt, words)
    assert done.code == 0, done.err
    assert json.loads(done.out)["mse"] == pytest.approx(metrics_of(finished)[f"{split}_mse"], rel=1e-5)


def test_the_history_has_the_mse_whatever_the_loss(tmp_path, table):
    """With a rate of nearly nothing, the mean over an epoch's steps is that of the weights as they were made."""
    still = {
        **LINEAR,
        "training": {**SMALL["training"], "criterion_class": "nn.L1Loss", "optimizer_params": {"lr": 1e-12}},
    }
    done = go(lay(tmp_path, table, still), "--config config.py --tag a --json --quiet")
    assert done.code == 0, done.err
    shown = json.loads(done.out)
    assert shown["metrics"] == metrics_of(tmp_path, "a") and Path(shown["directory"]).name == "a"
    history = strict(tmp_path / "runs/a/history.json")
    assert history["epochs"][0]["train_mse"] == pytest.approx(shown["metrics"]["train_mse"], rel=0.02)
    assert history["epochs"][0]["val_mse"] == pytest.approx(shown["metrics"]["val_mse"], rel=1e-6)


def test_a_table_as_a_spreadsheet_exports_it(tmp_path, table):
    """Semicolons, decimal commas, a line above the names, a time column of another name: the same run."""
    lines = table.read_text().replace(".", "\N{BULLET}").replace(",", ";").replace("\N{BULLET}", ",").splitlines()
    lines[0] = lines[0].replace("date", "Datum")
    plain, exported = (tmp_path / name for name in ("plain", "exported"))
    plain.mkdir()
    exported.mkdir()
    go(lay(plain, table, LINEAR), "--config config.py --tag run_0000")
    lay(exported, table, LINEAR)
    (exported / "ett.csv").write_text("Station 7;;;;;;;\n" + "\n".join(lines) + "\n")
    done = go(exported, "--config config.py --tag run_0000")
    assert done.code == 0, done.err
    assert metrics_of(exported)["test_mse"] == metrics_of(plain)["test_mse"]


def test_a_closed_form_has_no_epochs(tmp_path, table):
    done = go(lay(tmp_path, table, changed("model", {"backbone": "ridge"})), "--config config.py --tag a")
    assert done.code == 0, done.err
    assert strict(tmp_path / "runs/a/history.json") == {"best_epoch": 0, "epochs": []}
    metrics = metrics_of(tmp_path, "a")
    assert metrics["test_mse"] == pytest.approx(metrics["references"]["ridge"], rel=1e-5)
    assert {path.name for path in (tmp_path / "runs/a").iterdir()} == FILES


def test_yaml_says_the_same_as_python(tmp_path, table):
    lay(tmp_path, table, LINEAR)
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(json.loads(json.dumps(LINEAR)), sort_keys=False))
    for file, tag in (("config.py", "a"), ("config.yaml", "b")):
        done = go(tmp_path, f"--config {file} --tag {tag} --out made")
        assert done.code == 0, done.err
    first, second = (strict(tmp_path / "made" / tag / "metrics.json") for tag in "ab")
    assert {**first, "train_time_sec": 0} == {**second, "train_time_sec": 0}
    used = config_file.parse(tmp_path / "made/b/config_used.py").plain()
    assert used == config_file.parse(tmp_path / "config.yaml").plain() == json.loads(json.dumps(LINEAR))


# --- its name --------------------------------------------------------------------------------------------------------


def test_a_tag_is_used_once_unless_it_is_overwritten(tmp_path, table):
    lay(tmp_path, table, LINEAR)
    assert go(tmp_path, "--config config.py --tag a").code == 0
    before = (tmp_path / "runs/a/metrics.json").stat().st_mtime_ns
    again = go(tmp_path, "--config config.py --tag a")
    assert again.code == 2 and "already exists" in again.err and "--overwrite" in again.err
    assert (tmp_path / "runs/a/metrics.json").stat().st_mtime_ns == before
    resumed = go(tmp_path, "--config config.py --tag a --resume --json")
    assert resumed.code == 0 and json.loads(resumed.out)["test_mse"] == metrics_of(tmp_path, "a")["test_mse"]
    assert go(tmp_path, "--config config.py --tag a --overwrite").code == 0
    assert (tmp_path / "runs/a/metrics.json").stat().st_mtime_ns > before
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["a"]


def test_one_that_was_stopped_while_its_files_were_written_is_finished_by_resuming(tmp_path, table, monkeypatch):
    def stop(*args):
        raise KeyboardInterrupt

    lay(tmp_path, table, LINEAR)
    with monkeypatch.context() as patch:
        patch.setattr("viz.learning_figure", stop)
        assert go(tmp_path, "--config config.py --tag a").code == 130
    assert not (tmp_path / "runs/a").exists()
    assert go(tmp_path, "--config config.py --tag a --resume").code == 0
    assert {path.name for path in (tmp_path / "runs/a").iterdir()} == FILES
    assert go(tmp_path, "--config config.py --tag b").code == 0
    first, second = (metrics_of(tmp_path, tag) for tag in "ab")
    assert {**first, "train_time_sec": 0} == {**second, "train_time_sec": 0}


def test_a_dry_run_of_one_leaves_nothing(tmp_path, table):
    done = go(lay(tmp_path, table, LINEAR), "--config config.py --tag a --dry-run --json")
    assert done.code == 0 and json.loads(done.out)["windows"]["test"] == 117
    assert not (tmp_path / "runs").exists()


def test_two_jobs_on_one_tag(tmp_path, table):
    lay(tmp_path, table, LINEAR)
    with RunDir(str(tmp_path / "runs"), "a"):
        done = go(tmp_path, "--config config.py --tag a")
    assert done.code == 2 and "another job is writing this run" in done.err


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("--config config.py", "--tag NAME is required"),
        ("--config config.py --tag a/b", "cannot be part of a directory's name"),
        ("--config config.py --tag ..", "cannot be part of a directory's name"),
        (f"--config config.py --tag {'a' * 300}", "a shorter --tag"),
        ("--config config.py --tag a --epochs 3", "--epochs does not go with --config config.py"),
        ("--config config.py --tag a --task nilm", "--task does not go with"),
        ("--config no.py --tag a", "no.py: cannot read the config file"),
        ("--mode train --task forecast --demo --context-len 9 --tag a --desc b", "exclude each other"),
    ],
)
def test_what_the_command_line_may_not_say(tmp_path, table, words, text):
    done = go(lay(tmp_path, table, LINEAR), words)
    assert done.code == 2 and text in done.err
    assert not (tmp_path / "runs").exists() or not list((tmp_path / "runs").iterdir())


def test_any_run_takes_a_tag(tmp_path):
    words = "--mode train --task forecast --demo --context-len 24 --horizon 2 --backbone ridge --no-plots --tag mine"
    assert go(tmp_path, words).directory == tmp_path / "artifacts" / "mine"
    assert go(tmp_path, words).code == 2
    assert "tag" not in yaml.safe_load((tmp_path / "artifacts/mine/config.yaml").read_text())


# --- what a file may say ---------------------------------------------------------------------------------------------


def problem(text: str, file: str = "config.py") -> str:
    with pytest.raises(UsageError) as caught:
        config_file.parse_text(text, file)
    return str(caught.value)


def test_the_example_is_read_as_it_stands():
    plain = config_file.parse_text(ISSUE).plain()
    assert list(plain) == ["seed", "data", "model", "training"]
    assert plain["training"]["scheduler_class"] == "optim.lr_scheduler.CosineAnnealingLR"
    assert plain["training"]["optimizer_params"] == {"lr": 0.0001, "weight_decay": 0.0001}
    assert plain["model"]["d_ff"] == 1024 and plain["data"]["csv"] == "ETTh1.csv"


def test_the_example_is_the_run_that_flags_would_ask_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("config.py").write_text(ISSUE)
    Path("ETTh1.csv").write_text("\n".join([HEADER] + ["2016-07-01 00:00:00" + ",1" * 7] * 17420) + "\n")
    got = cli.parse(["--config", "config.py", "--tag", "run_0000"])
    words = """--mode train --task forecast --csv ETTh1.csv --time-col date --preset etth --features S --target OT
        --context-len 96 --horizon 24 --batch-size 32 --backbone informer --optimizer Adam --lr 0.0001
        --weight-decay 0.0001 --scheduler CosineAnnealingLR --scheduler-args T_max=10 --loss MSELoss --epochs 20
        --patience 5 --clip 0 --seed 42 --no-plots --out runs --tag run_0000 --model-args d_model=256 n_heads=4
        e_layers=3 d_layers=1 d_ff=1024 dropout=0.1 factor=5 label_len=48"""
    assert got.flat() == cli.parse(words.split()).flat()
    assert got.options["preset"] == "etth" and got.split_sizes == (8640, 2880, 2880)
    assert got.experiment == ISSUE


def test_what_is_left_out_is_what_users_of_informer_expect(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    least = {"seed": 1, "data": {"csv": "a.csv"}, "model": {}, "training": SMALL["training"]}
    least["training"] = {k: v for k, v in least["training"].items() if not k.startswith("scheduler")}
    flags = as_run.settings(config_file.parse_text(config_file.to_text(least)))
    assert (flags["context_len"], flags["horizon"], flags["batch_size"]) == (96, 24, 32)
    assert flags["model_args"] == {"label_len": 48} and flags["backbone"] == "informer"
    assert flags["features"] == "S" and list(flags["target"]) == ["OT"] and flags["time_col"] == "date"
    assert flags["scheduler"] == "none" and flags["weight_decay"] == 0.01  # AdamW's own
    assert (flags["val_ratio"], flags["test_ratio"]) == (0.1, 0.2)


@pytest.mark.parametrize(
    ("split", "flags"),
    [
        ([300, 100, 200], {"split_sizes": [300, 100, 200]}),
        ([0.5, 0.2, 0.3], {"val_ratio": 0.2, "test_ratio": 0.3}),
    ],
)
def test_a_split_of_the_users_own(tmp_path, monkeypatch, split, flags):
    monkeypatch.chdir(tmp_path)
    text = config_file.to_text(changed("data", "split", split))
    assert as_run.settings(config_file.parse_text(text)).items() >= flags.items()


@pytest.mark.parametrize(
    "plain",
    [
        SMALL,
        LINEAR,
        changed("training", "scheduler_class", None) | {"seed": 0},
        changed("data", "target", ["OT", "HUFL"]),
        changed("data", "csv", 'it\'s "a"\\ file\nname ü.csv'),
        changed("model", {"backbone": "informer", "distil": False, "dropout": 0.0}),
    ],
)
def test_what_is_written_is_read_again(plain):
    if plain["training"]["scheduler_class"] is None:
        plain["training"].pop("scheduler_params")
    assert config_file.parse_text(config_file.to_text(plain)).plain() == plain


IMPORTS = "import torch.nn as nn\nimport torch.optim as optim\n"


@pytest.mark.parametrize(
    ("imports", "optimizer", "loss"),
    [
        ("import torch", "torch.optim.SGD", "torch.nn.L1Loss"),
        ("from torch import nn, optim", "optim.SGD", "nn.L1Loss"),
        ("from torch import nn as n, optim as o", "o.SGD", "n.L1Loss"),
        ("import torch.nn\nfrom torch.optim import SGD", "SGD", "torch.nn.L1Loss"),
        ('"""What it is."""\n# why', '"torch.optim.SGD"', '"nn.L1Loss"'),
    ],
)
def test_other_ways_to_name_a_class(imports, optimizer, loss):
    text = config_file.to_text(SMALL).replace(IMPORTS, imports + "\n")
    text = text.replace("optim.AdamW", optimizer).replace("nn.MSELoss", loss)
    text = text.replace(", 'betas': (0.9, 0.98)", "").replace("optim.lr_scheduler.CosineAnnealingLR", "None")
    text = text.replace("'scheduler_params': {'T_max': 4},", "")
    got = as_run.settings(config_file.parse_text(text))
    assert (got["optimizer"], got["loss"], got["scheduler"]) == ("SGD", "L1Loss", "none")


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        # not a plain value
        ("seed = 42", "import os\nos.system('touch hacked')", "config.py:3: import of 'os': only torch, torch.nn"),
        (
            "seed = 42",
            "os.system('touch hacked')",
            "config.py:3: a call, \"os.system('touch hacked')\", is not allowed",
        ),
        ("42", "__import__('os').system('touch hacked')", "config.py:3: a call"),
        ("42", "(lambda: 1)()", "config.py:3: a call"),
        ("42", "40 + 2", "config.py:3: arithmetic, '40 + 2'"),
        ("42", "[x for x in 'a']", "config.py:3: a comprehension"),
        ("42", "f'{1}'", "config.py:3: an f-string"),
        ("42", "seed", "config.py:3: the name 'seed' is not known"),
        ("42", "true", "did you mean True?"),
        ("42", "b'x'", "config.py:3: more than a plain value"),
        ("42", "1e999", "config.py:3: this number is too large"),
        ("42", "-'a'", "is not allowed here"),
        ("seed = 42", "seed += 42", "config.py:3: more than a plain value, 'seed += 42'"),
        ("seed = 42", "if True: seed = 42", "config.py:3: a condition"),
        ("seed = 42", "def f(): pass", "config.py:3: a function"),
        ("seed = 42", "seed = 42\nseed = 43", "config.py:4: seed is set twice"),
        ("seed = 42", "seed = (", "config.py:3: not Python: '(' was never closed"),
        ("seed = 42", "seed = " + "(" * 5000 + ")" * 5000, "config.py"),
        ("42", "9" * 5000, "config.py:3: not Python"),
        ("as nn", "as optim", "config.py:7: the name 'nn' is not known"),
        ("import torch.nn as nn", "from torch.nn import *", "config.py:2: more than a plain value"),
        ("import torch.nn as nn", "import torch.nn.functional as nn", "import of 'torch.nn.functional'"),
        ("import torch.nn as nn", "from . import nn", "import of '.'"),
        ('"seq_len": 96', '"seq_len": 96, "seq_len": 97', "config.py:4: the key 'seq_len' is there twice"),
        ('"seq_len": 96', "3: 96", "config.py:4: a key of a dict must be text, got 3"),
        ('"seq_len": 96', "**data", "config.py:4: a key of a dict must be text"),
        # names
        ("optim.Adam,", "optim.Adm,", "config.py:6: torch.optim has no optimizer 'Adm' (did you mean Adam?)"),
        ("optim.Adam,", "optim.adam,", "config.py:6: torch.optim has no optimizer 'adam' (did you mean Adam?)"),
        ("optim.Adam,", "optim.LBFGS,", "config.py:6: LBFGS evaluates the loss again"),
        ("optim.Adam,", "optim.SparseAdam,", "config.py:6: cannot be used: SparseAdam does not support dense"),
        ("optim.Adam,", "nn.Linear,", "config.py:6: training['optimizer_class'] takes a class of torch.optim, got the"),
        ("optim.Adam,", "optim.Optimizer,", "config.py:6: torch.optim has no optimizer 'Optimizer'"),
        ("nn.MSELoss", "nn.MSLoss", "config.py:7: torch.nn has no criterion 'MSLoss' (did you mean MSELoss?)"),
        ("nn.MSELoss", "nn.CTCLoss", "config.py:7: CTCLoss does not compare numbers with numbers"),
        ("nn.MSELoss", "nn.Linear", "config.py:7: torch.nn has no criterion 'Linear'"),
        ("lr_scheduler.CosineAnnealingLR", "lr_scheduler.CosineLR", "config.py:7: torch.optim.lr_scheduler has no"),
        ("lr_scheduler.CosineAnnealingLR", "lr_scheduler.LambdaLR", "config.py:7: LambdaLR needs a function"),
        (
            'scheduler.CosineAnnealingLR,\n            "scheduler_params": {"T_max": 10}',
            'scheduler.OneCycleLR, "scheduler_params": {"max_lr": "high"}',
            "config.py:7: cannot be used",
        ),
        ('{"T_max": 10}', "{}", "config.py:7: CosineAnnealingLR needs T_max"),
        ('{"T_max": 10}', '{"Tmax": 10}', "config.py:8: CosineAnnealingLR has no argument 'Tmax' (did you mean T_max?"),
        ('"weight_decay": 0.0001}', '"weight_decy": 1}', "config.py:6: Adam has no argument 'weight_decy'"),
        ('{"lr": 0.0001, ', '{"lr": 0, ', "config.py:6: training['optimizer_params']['lr'] must be above 0, got 0"),
        ('{"lr": 0.0001, ', '{"betas": (0.9, 2), ', "config.py:6: cannot be used: Invalid beta parameter"),
        ('{"lr": 0.0001, ', '{"betas": {"a": 1}, ', "config.py:6: training['optimizer_params']['betas'] takes plain"),
        (
            '{"lr": 0.0001, "weight_decay": 0.0001}',
            "3",
            "config.py:6: training['optimizer_params'] takes a dict, got 3",
        ),
        ("nn.MSELoss", "None", "config.py:7: training['criterion_class'] takes a class of torch.nn, got None"),
        (
            '"scheduler_class": optim.lr_scheduler.CosineAnnealingLR,',
            "",
            "config.py:8: training['scheduler_params'] needs",
        ),
        # keys and values
        ("seed", "sed", "there is no setting 'sed' (did you mean seed?)"),
        ("42", "-1", "config.py:3: seed must be in [0, 4294967295], got -1"),
        ("42", "True", "config.py:3: seed takes a whole number, got True"),
        ('"csv"', '"csvv"', "config.py:4: data has no key 'csvv' (did you mean csv?)"),
        ('"batch_size": 32', '"device": "cuda"', "config.py:4: data has no key 'device'"),
        ('"seq_len": 96', '"seq_len": "96"', "config.py:4: data['seq_len'] takes a whole number, got '96'"),
        ('"seq_len": 96', '"seq_len": 96.5', "config.py:4: data['seq_len'] takes a whole number, got 96.5"),
        ('"seq_len": 96', '"seq_len": 0', "config.py:4: data['seq_len'] must be 1 or more, got 0"),
        ('"seq_len": 96', '"seq_len": 40', "config.py:4: data['label_len'] 48 is more than the 40 steps of seq_len"),
        ('"features": "S"', '"features": "X"', "config.py:4: data['features'] 'X' is not one of S, M, MS"),
        ('"target": "OT"', '"target": optim.Adam', "config.py:4: data['target'] takes text, got the name optim.Adam"),
        ('"batch_size": 32', '"split": [1, 2]', "config.py:4: data['split'] takes 3 values, got 2"),
        ('"batch_size": 32', '"split": [0.5, 0.2, 0.2]', "config.py:4: data['split'] takes three numbers of steps"),
        ('"d_model": 256', '"d_modl": 256', "config.py:5: model has no key 'd_modl' (did you mean d_model?)"),
        ('"d_model": 256', '"d_model": 0', "config.py:5: model['d_model'] must be in [1, 4096], got 0"),
        ('"d_model": 256', '"label_len": 3', "config.py:5: model has no key 'label_len'"),
        ('"d_model": 256', '"backbone": "informr"', "there is no backbone 'informr' (did you mean informer?)"),
        ('"d_model": 256', '"backbone": "gru"', "config.py:5: model has no key 'n_heads'"),
        ('"max_epochs": 20, ', "", "config.py:6: training['max_epochs'] is missing"),
        ('"max_epochs": 20', '"max_epochs": 0', "config.py:8: training['max_epochs'] must be 1 or more, got 0"),
        (
            '"patience": 5',
            '"patience": 5, "epochs": 3',
            "config.py:8: training has no key 'epochs' (did you mean max_e",
        ),
    ],
)
def test_mistakes_are_named_with_their_line(tmp_path, monkeypatch, old, new, text):
    monkeypatch.chdir(tmp_path)
    assert old in ISSUE
    assert text in problem(ISSUE.replace(old, new))
    assert not list(tmp_path.iterdir())


def test_a_file_with_model_and_training_alone_takes_the_published_table(tmp_path, shared):
    """Seed 42, ETTh1, batches of 32: told at the start, and in the manifest."""
    (tmp_path / "data" / "ett").mkdir(parents=True)
    (tmp_path / "data" / "ett" / "ETTh1.csv").symlink_to(shared / "ett" / "ETTh1.csv")
    (tmp_path / "config.py").write_text(config_file.to_text({key: LINEAR[key] for key in ("model", "training")}))
    done = go(tmp_path, "--config config.py --tag a --dry-run --json")
    windows = {"train": 8640 - 96 - 23, "val": 2880 - 23, "test": 2880 - 23}
    assert done.code == 0 and json.loads(done.out)["windows"] == windows
    told = "has no seed, data['csv'], data['batch_size']: seed 42, the published ETTh1 (--dataset etth1), batches of 32"
    assert told in done.err
    got = as_run.settings(config_file.parse(tmp_path / "config.py"))
    assert (got["seed"], got["dataset"], got["batch_size"], got["target"]) == (42, "etth1", 32, ("OT",))


def test_a_published_set_goes_with_a_file(tmp_path, table, shared, monkeypatch):
    lay(tmp_path, table, changed("data", "split", [0.6, 0.2, 0.2]))
    monkeypatch.chdir(tmp_path)
    got = cli.parse("--config config.py --tag a --dataset etth2".split())
    assert got.csv == ("data/ett/ETTh2.csv",) and got.options["target"] == ("OT",) and not got.split_sizes
    assert got.notes == ("ett.csv is not read: --dataset etth2 is",)
    (tmp_path / "config.py").write_text(config_file.to_text(changed("data", "csv", "gone.csv")))
    missing = go(tmp_path, "--config config.py --tag a")
    assert missing.code == 3 and "config.py:6: files not found: 'gone.csv'" in missing.err
    assert "hint: --dataset etth1 takes the published ETTh1 in its place" in missing.err


def test_a_missing_table_and_all_other_mistakes_come_at_once(tmp_path, table):
    """Of the file's syntax, its keys, its classes, its sizes, its table, and of the command line."""
    text = ISSUE.replace("import torch.nn as nn", "import torch.nn as nn\nimport os").replace(
        "optim.Adam,", "optim.Adm,"
    )
    text = text.replace('"n_heads": 4', '"n_heads": 5').replace("nn.MSELoss", "nn.MSLoss").replace("42", "40 + 2")
    done = go(lay(tmp_path, table, text), "--config config.py --epochs 3")
    assert done.code == 2 and "8 problems:" in done.err
    for said in (
        "--epochs does not go with",
        "--tag NAME is required",
        "config.py:3: import of 'os'",
        "config.py:4: arithmetic",
        "config.py:5: files not found: 'ETTh1.csv'",
        "config.py:6: model: d_model 256 does not split into 5 heads",
        "has no optimizer 'Adm'",
        "has no criterion 'MSLoss'",
    ):
        assert said in done.err
    assert done.err.count("not known") == 0


def test_what_a_refused_import_binds_is_reported_once():
    assert problem(ISSUE.replace("import torch.nn as nn", "import torch.nn.functional as nn")).count("config.py:") == 1


def test_both_columns_that_are_not_there_are_named(tmp_path, table):
    two = changed("data", "target", "OTT") | {}
    two["data"]["time_col"] = "day"
    done = go(lay(tmp_path, table, two), "--config config.py --tag a")
    assert done.code == 2 and "no column 'OTT'" in done.err and "no column 'day'" in done.err


def test_an_empty_folder_of_that_name_is_free(tmp_path, table):
    lay(tmp_path, table, LINEAR)
    (tmp_path / "runs" / "a").mkdir(parents=True)
    assert go(tmp_path, "--config config.py --tag a").code == 0
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["a"]


def test_all_mistakes_come_at_once():
    text = problem(ISSUE.replace("42", "-1").replace('"seq_len": 96', '"seqlen": 96').replace("20", "0"))
    assert text.startswith("3 problems:\n  config.py:3: seed") and "config.py:4:" in text and "config.py:8:" in text


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("seed: 3", "seed: !!python/object/apply:os.system ['touch hacked']", "config.yaml:1: the tag"),
        ("seed: 3", "seed: !!python/name:os.system ''", "config.yaml:1: the tag"),
        ("seed: 3", "seed: &a [1]\nb: *a", "config.yaml:1: an alias"),
        ("seed: 3", "seed: .inf", "config.yaml:1: takes finite numbers"),
        ("seed: 3", "seed: 2020-01-01", "config.yaml:1: seed takes a whole number, got '2020-01-01'"),
        ("seed: 3", "seed: 010", "config.yaml:1: seed takes a whole number, got '010'"),  # 8 in YAML 1.1
        ("seed: 3", "seed: on", "config.yaml:1: seed takes a whole number, got True"),
        ("seed: 3", "seed: 3\nseed: 4", "config.yaml:2: the key 'seed' is there twice"),
        ("seed: 3", "seed: [3", "config.yaml:2: not plain YAML"),
        ("seq_len: 24", "seq_len: '24'", "config.yaml:4: data['seq_len'] takes a whole number, got '24'"),
        ("optim.AdamW", "optim.AdmW", "did you mean AdamW?"),
        ("optim.AdamW", "AdamW", "takes a class of torch.optim, got 'AdamW' (such as optim.Adam)"),
    ],
)
def test_mistakes_in_yaml_are_named_with_their_line(old, new, text):
    whole = yaml.safe_dump(json.loads(json.dumps(SMALL)), sort_keys=False)
    assert old in whole
    assert text in problem(whole.replace(old, new, 1), "config.yaml")


def test_a_column_named_no_or_007_keeps_its_name_in_yaml():
    """YAML 1.1 takes NO (nitrogen monoxide) for false, 007 for 7 and 2016 for a number."""
    text = yaml.safe_dump(json.loads(json.dumps(SMALL)), sort_keys=False)
    head, tail = text.split("data:\n")
    for written, name in (("NO", "NO"), ("007", "007"), ("2016", "2016"), ("[NO, 007]", ["NO", "007"])):
        data = config_file.parse_text(f"{head}data:\n  target: {written}\n{tail}", "config.yaml").plain()["data"]
        assert data["target"] == name


def test_a_rate_written_as_1e_4_is_a_number_in_yaml():
    text = yaml.safe_dump(json.loads(json.dumps(SMALL)), sort_keys=False).replace("lr: 0.003", "lr: 1e-4")
    assert config_file.parse_text(text, "c.yml").plain()["training"]["optimizer_params"]["lr"] == 1e-4


@pytest.mark.parametrize(
    ("config", "code", "text"),
    [
        (changed("data", "target", "OTT"), 2, "config.py:11: ett.csv has no column 'OTT' (data['target'])"),
        (changed("data", "time_col", "time"), 2, "has no column 'time'"),
        (changed("data", "csv", "no.csv"), 3, "files not found"),
        (changed("data", "pred_len", 900), 3, "window"),
        (changed("model", "d_model", 9), 2, "d_model 9 does not split into 2 heads"),
        (changed("training", "scheduler_class", "optim.lr_scheduler.StpLR"), 2, "did you mean StepLR?"),
    ],
)
def test_what_the_data_refuse_leaves_nothing(tmp_path, table, config, code, text):
    done = go(lay(tmp_path, table, config), "--config config.py --tag a")
    assert done.code == code and text in done.err and "Traceback" not in done.err
    assert not list((tmp_path / "runs").iterdir()) if (tmp_path / "runs").exists() else True


def test_a_wrong_file_is_no_experiment(tmp_path, put):
    put(b"\xff\xfe\x00", "config.py")
    assert "is not UTF-8 text" in go(tmp_path, "--config config.py --tag a").err
    for flags in (
        "mode: train\ntask: forecast\n",
        "task: forecast\ndata: a.csv\ntraining: {}\n",
        "mode: train\ndata: a\n",
    ):
        put(flags, "flags.yaml")
        assert not config_file.is_one(str(tmp_path / "flags.yaml"))


# --- real processes and real data ------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_stopped_experiment_appears_only_when_it_is_resumed(tmp_path, table):
    long = {**LINEAR, "training": {**SMALL["training"], "max_epochs": 150}}
    lay(tmp_path, table, long)
    words = ["--config", "config.py", "--tag", "a"]
    process = forkserver.Popen(
        [sys.executable, str(ROOT / "run.py"), *words], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    )
    for line in process.stderr:
        if "epoch 9/150" in line:
            break
    process.send_signal(signal.SIGTERM)
    process.stderr.read()
    assert process.wait() == 143 and not (tmp_path / "runs" / "a").exists()
    refused = go(tmp_path, *words)
    assert refused.code == 2 and "--resume" in refused.err
    assert go(tmp_path, *words, "--resume").code == 0
    assert go(tmp_path, *words[:-1], "b").code == 0
    first, second = (metrics_of(tmp_path, tag) for tag in "ab")
    assert {**first, "train_time_sec": 0} == {**second, "train_time_sec": 0}
    assert {path.name for path in (tmp_path / "runs" / "a").iterdir()} == FILES
    weights = [checkpoint.read(tmp_path / f"runs/{tag}/best_model.pth")["state"] for tag in "ab"]
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])


@pytest.mark.slow
def test_etth1_has_its_published_split_and_references(tmp_path, shared):
    """Repeat-last .034 and ridge .026 for OT a day ahead; the model is tiny and sees the data once."""
    (tmp_path / "ETTh1.csv").symlink_to(shared / "ett" / "ETTh1.csv")
    text = ISSUE.replace("256", "8").replace("1024", "8").replace("20,", "1,").replace('"e_layers": 3', '"e_layers": 1')
    text = text.replace('"n_heads": 4', '"n_heads": 1')
    (tmp_path / "config.py").write_text(
        text.replace('"batch_size": 32', '"batch_size": 256').replace("0.0001,", "0.003,")
    )
    done = go(tmp_path, "--config config.py --tag run_0000")
    assert done.code == 0, done.err
    metrics = metrics_of(tmp_path)
    assert metrics["split"]["split_sizes"] == [8640, 2880, 2880]
    assert metrics["split"]["windows"] == {"train": 8640 - 96 - 23, "val": 2880 - 23, "test": 2880 - 23}
    assert metrics["references"]["repeat_last"] == pytest.approx(0.034, abs=5e-4)
    assert metrics["references"]["ridge"] == pytest.approx(0.0265, abs=5e-4)
    assert 0 < metrics["test_mse"] < 2
