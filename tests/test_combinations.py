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

SMALL = {
    "llm_ts": "size=tiny",
    "fusion_gru": "width=8 heads=2 context=12 hidden=8",
    "gru": "hidden=8",
    "lstm": "hidden=8",
    "multiscale": "d_model=16 depth=2",
    "seq2point": "hidden=8",
    "tcn": "filters=8 depth=3",
    "tpnn": "filters=4",
    "unet": "filters=4 levels=3",
    "informer": "d_model=16 d_ff=32 n_heads=2",
    "sparsetsf": "period=2",
}
HEADS = {"classify": "pool", "regress": "pool", "forecast": "forecast", "nilm": "step"}
OWN = {
    "forecast": ["--horizon", "2", "--val-ratio", "0.3", "--test-ratio", "0"],
    "nilm": ["--time-col", "time", "--device-cols", "tv", "--stride", "3", "--val-ratio", "0.3", "--test-ratio", "0"],
}
FILES = {"nilm": ["meter.csv"]}


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
def test_train_then_infer_on_the_same_split(backbone, task, tmp_path, monkeypatch, capsys, write_csv):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(5)
    for name in ("a.csv", "b.csv"):
        write_csv(name, np.round(rng.gamma(1.0, size=(12, 20)) * (rng.random((12, 20)) < 0.5), 3))
    power = np.round(50 * (rng.random(200) < 0.5), 1)
    steps = [f"2024-01-01 00:{8 * i // 60:02d}:{8 * i % 60:02d},{20 + w},{w}" for i, w in enumerate(power)]
    (tmp_path / "meter.csv").write_text("time,mains,tv\n" + "\n".join(steps) + "\n")
    files = FILES.get(task, ["a.csv", "b.csv"])
    words = ["--task", task, "--csv", *files, "--context-len", "9", "--backbone", backbone]
    more = ["--epochs", "1", "--batch-size", "32", "--reference", "off", *OWN.get(task, [])]
    chosen = backbones.backbone_class(backbone)
    if HEADS[task] not in chosen.heads:
        assert run.main(["--mode", "train", *words, *more]) == 2
        assert f"has no {HEADS[task]!r} head" in capsys.readouterr().err
        return
    args = SMALL.get(backbone, "").split()
    if chosen.blends_runs:
        parts = [[*words[:-1], "linear"], [*words[:-1], "gru"]]
        runs = [run_json(capsys, "--mode", "train", *part, *more)["directory"] for part in parts]
        args = [f"members={','.join(runs)}"]
    trained = run_json(capsys, "--mode", "train", *words, *more, *(["--model-args", *args] if args else []))
    assert trained["backbone"] == backbone and trained["parameters"] > 0
    if chosen.blends_runs:  # it needs its members no longer
        for place in runs:
            shutil.rmtree(place)
    again = run_json(capsys, "--mode", "infer", *words, "--ckpt", trained["directory"], "--eval-split", "val")
    monitor = trained["monitor"]["name"]
    assert again[monitor] == pytest.approx(trained[monitor], abs=1e-6)
    assert again["n"] == trained["n"]
    if task == "nilm":
        lines = (tmp_path / again["directory"] / "timeline.csv").read_text().splitlines()
        assert lines[0].startswith("time,mains,over,tv p,tv state,tv W") and len(lines) == again["steps"] + 1
    elif task == "forecast":
        header, *lines = (tmp_path / again["directory"] / "forecast.csv").read_text().splitlines()
        assert header == "row,step,channel,value,low,high" and len(lines) == 12 * 2 * 2
        assert [line.split(",")[:3] for line in lines[:3]] == [["0", "20", "a"], ["0", "21", "a"], ["0", "20", "b"]]
    else:
        header, *lines = (tmp_path / again["directory"] / "preds.csv").read_text().splitlines()
        assert header.startswith("row,time,y_true,") and len(lines) == again["n"] + 12  # and the step after each row


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
