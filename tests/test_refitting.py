"""--refit: what is trained once more on everything is what training on everything gives, and says so."""

from __future__ import annotations

import shlex

import numpy as np
import pandas as pd
import pytest
import torch

import backbones
import tasks
import tsrun
from backbones import backbone_class
from checkpoint import Checkpoint
from tools import synth

from . import runs
from .runs import go, good, lay, strict

WORDS = "--no-plots --reference off --refit"


def hours(folder, count=300):
    t = np.arange(count)
    rng = np.random.default_rng(4)
    frame = pd.DataFrame(
        {"a": 3 + np.sin(t / 4) + 0.1 * rng.normal(size=count), "b": np.cos(t / 6) + 0.1 * rng.normal(size=count)},
        pd.date_range("2024-03-01", periods=count, freq="h", name="date"),
    )
    frame.to_csv(folder / "load.csv")
    return frame


def test_the_ridge_is_the_closed_form_on_all_rows(tmp_path):
    """Centred on the last value, of all windows of both channels, in numpy."""
    frame = hours(tmp_path)
    args = "lookback=8 norm=last strength=10"
    words = "--mode train --task forecast --csv load.csv --time-col date --context-len 24 --horizon 3"
    run = good(tmp_path, words, WORDS, "--backbone ridge --tz UTC --resample 1h --model-args", args)
    model = Checkpoint.load(run / "model.pt.best")
    weight = model.state["backbone.weight"].numpy()[0]
    scaled = (frame.to_numpy().T - model.scaler.mean[:, None]) / model.scaler.std[:, None]
    if "backbone.calendar" in model.state:
        pytest.skip("the calendar helped")
    view = np.lib.stride_tricks.sliding_window_view(scaled, 11, axis=1).reshape(-1, 11)
    x, y = view[:, :8] - view[:, 7:8], view[:, 8:] - view[:, 7:8]
    expected = np.linalg.solve(x.T @ x + 10 * np.eye(8), x.T @ y).T
    expected[:, -1] += 1 - expected.sum(axis=1)
    np.testing.assert_allclose(weight[:, -8:], expected, atol=2e-4)
    first = Checkpoint.load(run / "model.pt.scored").state["backbone.weight"].numpy()[0]
    assert abs(first - weight).max() > 1e-3


def test_a_net_is_what_training_on_everything_for_the_best_epochs_gives(tmp_path):
    """The same weights as a run of so many epochs whose training part is everything."""
    frame = hours(tmp_path)
    words = (
        "--mode train --task forecast --csv load.csv --time-col date --context-len 12 --horizon 3 --backbone dlinear"
    )
    run = good(tmp_path, words, WORDS, "--epochs 3 --lr 0.01")
    content, model = strict(run / "summary.json"), Checkpoint.load(run / "model.pt.best")
    assert (
        content["refit"]["windows"] == len(frame) - 12 - 3 + 1 and content["refit"]["epochs"] == content["best_epoch"]
    )
    assert model.refit == {"windows": 286, "epochs": content["best_epoch"]}
    assert strict(run / "manifest.json")["refit"]["windows"] == 286
    first = Checkpoint.load(run / "model.pt.scored")
    assert (
        first.refit is None and torch.equal(first.scaler.mean, model.scaler.mean)
        if torch.is_tensor(first.scaler.mean)
        else np.array_equal(first.scaler.mean, model.scaler.mean)
    )
    assert any(not torch.equal(first.state[name], model.state[name]) for name in first.state)
    assert torch.equal(first.calibration["margin"], model.calibration["margin"])


def able(task):
    """A few backbones of every kind: nets, closed forms, trees, rules, blends."""
    wanted = {
        "forecast": ("ridge", "ridge_ensemble", "auto", "theta", "global_ridge", "boosted_lags", "dlinear", "gru"),
        "regress": ("ridge", "boosting", "quant", "auto", "linear"),
        "classify": ("logistic", "extra_trees", "auto", "linear", "fusion_gru"),
        "nilm": ("tcn",),
    }
    return [name for name in wanted.get(task, ("linear",)) if name in backbones.names()]


@pytest.mark.parametrize(("task", "backbone"), [(task, name) for task in tasks.names() for name in able(task)])
def test_every_kind_of_model_is_trained_once_more_and_says_so(task, backbone, tmp_path):
    flags = " ".join(map(shlex.quote, runs.built(task).sample(tmp_path)))
    if backbone_class(backbone).reads_modalities:
        rng = np.random.default_rng(0)
        np.savez(tmp_path / "r.npz", labels=(rng.random((24, 2)) < 0.5).astype(int), cam=rng.normal(size=(24, 8, 3)))
        flags = "--npz r.npz"
    done = go(tmp_path, f"--mode train --task {task} --backbone {backbone} --epochs 1 {flags}", WORDS)
    assert done.code == 0, done.err
    run = done.directory
    assert "_refit_" in run.name and "was trained once more on all " in done.out
    model, first = (Checkpoint.load(run / f"model.pt.{name}") for name in ("best", "scored"))
    assert model.refit and first.refit is None and model.setting("refit")
    assert tsrun.load(run).refit and not tsrun.load(run / "model.pt.scored").refit
    again = go(tmp_path, f"--mode infer --ckpt {run} --no-plots", flags)
    assert again.code == 0, again.err
    assert "no score" in again.out or "predicted" in again.out
    if task == "forecast":
        assert (run / "forecast.csv").read_text() == (again.directory / "forecast.csv").read_text()


def test_a_blend_of_finished_runs_is_refused(tmp_path):
    lay(tmp_path, a=np.random.default_rng(0).normal(size=(4, 60)))
    words = "--mode train --task forecast --csv data/a.csv --context-len 8 --horizon 2 --backbone ensemble"
    done = go(tmp_path, words, "--refit --model-args members=x")
    assert done.code == 2 and "--refit" in done.err


def test_of_a_backbone_with_stages_the_run_says_which_part_stays(tmp_path):
    """The encoder is as the first stage left it; what follows it is trained again, on everything."""
    made = synth.main(["sensors", "--samples-per-scenario", "4", "--out", str(tmp_path / "rooms.npz")])
    sizes = "--model-args width=8 heads=2 context=12 hidden=6 --epochs 1 --test-ratio 0.2"
    done = go(tmp_path, "--task classify --npz rooms.npz --backbone fusion_gru", sizes, WORDS)
    assert made == done.code == 0, done.err
    assert "backbone.encoder stays as an earlier training stage left it" in done.err
    first, again = (Checkpoint.load(done.directory / name) for name in ("model.pt.scored", "model.pt.best"))
    assert again.refit["as_before"] == ["backbone.encoder"]
    assert "all but backbone.encoder" in strict(done.directory / "metrics.json")["refit"]["in_words"]
    same = {key: torch.equal(first.state[key], again.state[key]) for key in first.state}
    assert all(same[key] for key in same if key.startswith("backbone.encoder."))
    assert not any(same[key] for key in same if "rnn.weight" in key or "gru.weight" in key)
