"""Every backbone x every task, through the real path: train, infer, and the same numbers again."""

from __future__ import annotations

import json
import signal

import numpy as np
import pytest

import backbones
import run
import tasks

SMALL = {"llm_ts": "size=tiny", "gru": "hidden=8", "lstm": "hidden=8", "inception": "", "ttm": "", "linear": ""}


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
    words = ["--task", task, "--csv", "a.csv", "b.csv", "--context-len", "9", "--backbone", backbone]
    more = ["--epochs", "1", "--batch-size", "32", "--reference", "off"]
    args = SMALL.get(backbone, "")
    trained = run_json(capsys, "--mode", "train", *words, *more, *(["--model-args", args] if args else []))
    assert trained["backbone"] == backbone and trained["parameters"] > 0
    again = run_json(capsys, "--mode", "infer", *words, "--ckpt", trained["directory"], "--eval-split", "val")
    monitor = trained["monitor"]["name"]
    assert again[monitor] == pytest.approx(trained[monitor], abs=1e-6)
    assert again["n"] == trained["n"]
    header, *lines = (tmp_path / again["directory"] / "preds.csv").read_text().splitlines()
    assert header.startswith("row,time,y_true,") and len(lines) == again["n"] + 12  # and the step after each row
