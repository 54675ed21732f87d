"""Every backbone x every task, through the real path: train, infer, and the same numbers again."""

from __future__ import annotations

import json
import shutil
import signal

import numpy as np
import pytest

import backbones
import run
import tasks
from tasks.forecast.task import Forecast
from tasks.label_task import LabelTask
from tasks.nilm.task import Nilm

from .runs import built, sampled

SMALL = {
    "llm_ts": "size=tiny layers=1",
    "fusion_gru": "width=8 heads=2 context=12 hidden=8",
    "gru": "hidden=8",
    "lstm": "hidden=8",
    "inception": "filters=4 depth=3",
    "itransformer": "d_model=16 d_ff=16 heads=2 layers=1",
    "multiscale": "d_model=16 depth=1",
    "patchtst": "layers=1 d_ff=16",
    "seq2point": "hidden=8",
    "tcn": "filters=8 depth=2",
    "tpnn": "filters=4",
    "ttm": "d_model=16 levels=2 layers=1 decoder_layers=1 decoder_dim=8",
    "unet": "filters=4 levels=2",
    "informer": "d_model=16 d_ff=32 n_heads=2",
    "sparsetsf": "period=2",
    "boosting": "trees=20 fixed=10",
    "extra_trees": "trees=10",
    "quant": "trees=10",
    "rocket": "most=500",
    "auto": "members=ridge,nearest",
}
KINDS = {"classify": "label", "regress": "value"}  # of the targets in the tasks' own samples


def check_timeline(folder, told):
    lines = (folder / "timeline.csv").read_text().splitlines()
    assert lines[0].startswith("time,mains,over,tv p,tv state,tv W") and len(lines) == told["steps"] + 1


def check_forecast(folder, told):
    header, *lines = (folder / "forecast.csv").read_text().splitlines()
    assert header == "row,step,channel,value,low,high" and len(lines) == 12 * 2 * 2
    assert [line.split(",")[:3] for line in lines[:3]] == [["0", "20", "a"], ["0", "21", "a"], ["0", "20", "b"]]


def check_preds(folder, told):
    header, *lines = (folder / "preds.csv").read_text().splitlines()
    assert header.startswith("row,time,y_true,") and len(lines) == told["n"] + 12  # and the step after each row


CHECKS = {LabelTask: check_preds, Forecast: check_forecast, Nilm: check_timeline}  # another task has its own test


@pytest.fixture(autouse=True)
def _signals():
    """run.main installs a SIGTERM handler; the test process keeps its own."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def run_json(capsys, *words):
    assert run.main([*words, "--json", "--quiet"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("task", tasks.names())
@pytest.mark.parametrize("backbone", backbones.names())
def test_train_then_infer_on_the_same_split(backbone, task, tmp_path, monkeypatch, capsys):
    """On the small data set that the task itself gives."""
    monkeypatch.chdir(tmp_path)
    head, chosen = built(task).head, backbones.backbone_class(backbone)
    given = (
        built(task).sample(tmp_path) if backbone == "gru" else sampled(task, tmp_path)
    )  # one for all as a user has it
    words = ["--task", task, *given, "--backbone", backbone]
    more = ["--epochs", "1", "--batch-size", "32", "--reference", "off"]
    if head not in chosen.heads:
        assert run.main(["--mode", "train", *words, *more]) == 2
        assert f"has no {head!r} head" in capsys.readouterr().err
        return
    if chosen.answers and KINDS.get(task, chosen.kinds[0]) not in chosen.kinds:
        assert run.main(["--mode", "train", *words, *more]) == 2
        assert "these targets are of the kind" in capsys.readouterr().err
        return
    if chosen.needs_pretrained_dir:
        assert run.main(["--mode", "train", *words, *more]) == 2
        assert "--pretrained-dir DIR" in capsys.readouterr().err
        return
    args = SMALL.get(backbone, "").split() if (backbone, head) != ("auto", "forecast") else []  # other members
    if chosen.blends_runs:
        parts = [[*words[:-1], "linear"], [*words[:-1], "gru"]]
        runs = [run_json(capsys, "--mode", "train", *part, *more)["directory"] for part in parts]
        args = [f"members={','.join(runs)}"]
    trained = run_json(capsys, "--mode", "train", *words, *more, *(["--model-args", *args] if args else []))
    assert trained["backbone"] == backbone and (trained["parameters"] > 0 or chosen.reads_history)
    if chosen.blends_runs:  # it needs its members no longer
        for member in runs:
            shutil.rmtree(member)
    again = run_json(capsys, "--mode", "infer", *words, "--ckpt", trained["directory"], "--eval-split", "val")
    monitor = trained["monitor"]["name"]
    assert again[monitor] == pytest.approx(trained[monitor], abs=1e-6)
    assert again["n"] == trained["n"]
    folder = tmp_path / again["directory"]
    assert [path for path in folder.glob("*.csv") if path.stat().st_size]
    for kind, check in CHECKS.items():
        if isinstance(built(task), kind):
            check(folder, again)


@pytest.mark.slow
def test_a_pretrained_directory_is_not_needed_afterwards(tmp_path, monkeypatch, capsys, write_csv):
    """GPT-2 blocks from a local directory: trained, the directory deleted, inferred with and finetuned."""
    transformers = pytest.importorskip("transformers")
    monkeypatch.chdir(tmp_path)
    sizes = {"n_embd": 16, "n_layer": 3, "n_head": 2, "vocab_size": 7, "n_positions": 32}
    transformers.GPT2Model(transformers.GPT2Config(**sizes)).save_pretrained(tmp_path / "gpt2")
    rng = np.random.default_rng(5)
    write_csv("a.csv", np.round(rng.gamma(1.0, size=(12, 20)) * (rng.random((12, 20)) < 0.5), 3))
    words = ["--task", "classify", "--csv", "a.csv", "--context-len", "9"]
    more = ["--epochs", "1", "--reference", "off"]
    args = ["--pretrained-dir", "gpt2", "--model-args", "layers=2"]
    trained = run_json(capsys, "--mode", "train", *words, *more, *args)
    shutil.rmtree(tmp_path / "gpt2")
    again = run_json(capsys, "--mode", "infer", *words, "--ckpt", trained["directory"], "--eval-split", "val")
    assert again["pr_auc"] == pytest.approx(trained["pr_auc"], abs=1e-6)
    tuned = run_json(capsys, "--mode", "finetune", *words, *more, "--ckpt", trained["directory"], "--reinit", "head")
    assert tuned["parameters"] == trained["parameters"]


def test_inference_finds_the_training_split_without_the_groups_file(tmp_path, monkeypatch, capsys, write_csv):
    """The checkpoint lists its rows, so `--eval-split val` scores what training validated on, and says what it saw."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(5)
    write_csv("a.csv", np.round(rng.gamma(1.0, size=(12, 20)) * (rng.random((12, 20)) < 0.5), 3))
    (tmp_path / "groups.csv").write_text("\n".join("abcdef"[r // 2] for r in range(12)) + "\n")
    words = ["--task", "classify", "--csv", "a.csv", "--context-len", "9", "--backbone", "linear"]
    more = ["--epochs", "1", "--reference", "off", "--groups", "groups.csv", "--seed", "1"]
    trained = run_json(capsys, "--mode", "train", *words, *more)
    for split, overlap in (("val", 0), ("all", 12 * 11 - trained["n"])):
        again = run_json(capsys, "--mode", "infer", *words, "--ckpt", trained["directory"], "--eval-split", split)
        told = json.loads((tmp_path / again["directory"] / "manifest.json").read_text())["split"]
        assert told["overlap"] == overlap and told["files_of_training"]
        assert split == "all" or again["pr_auc"] == pytest.approx(trained["pr_auc"], abs=1e-6)
