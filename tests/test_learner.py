"""learner.py: what one fold fits, keeps, chooses and leaves, against numpy and the files that it writes."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch

import dataset
import learner
import restore
import tasks
import trainer
from checkpoint import BEST, LAST, Checkpoint
from config import RunConfig, core_flags
from data import Series, Source
from errors import CheckpointError, DataError, UsageError
from learner import Learner
from rundir import Listener
from times.clock import Clock

from .runs import strict

CPU = torch.device("cpu")
QUICK = {"backbone": "linear", "epochs": 3, "batch_size": 16, "plots": False, "reference": "off", "quiet": True}
QUICK |= {"wide": False, "patience": 9}  # the net alone, of the best epoch on a few windows


class Stopped(Exception):
    """What ends a run from outside."""


def series_of(rows=10, steps=14, channels="ab", seed=0, **more) -> Series:
    values = np.random.default_rng(seed).normal(size=(len(channels), rows * steps)).astype(np.float32)
    offsets = np.arange(rows + 1, dtype=np.int64) * steps
    more.setdefault("sources", (Source("a.csv", f"sum of {seed}", 1, (rows, steps)),))
    return Series(values, offsets, tuple(channels), tuple(map(str, range(rows))), **more)


def folds_of(name="regress", series=None, options=(), **settings):
    """(run data, task, folds) of a small run."""
    flags = {flag.name: flag.default for flag in tasks.flags(name)} | dict(options)
    task = tasks.build(name, flags)
    config = RunConfig(**{"mode": "train", "task": name, "context_len": 4, "options": flags} | QUICK | settings)
    task.finalize_config(config, config.context_len)
    run_data = dataset.open_run_data(config, task, series_of() if series is None else series, {})
    return run_data, task, dataset.make_splits(run_data)


def learner_of(name="regress", series=None, options=(), start=None, on_epoch=None, alone=True, **settings) -> Learner:
    run_data, task, folds = folds_of(name, series, options, **settings)
    return Learner(run_data, task, folds[-1], CPU, start, Listener(on_epoch), alone=alone)


def trained(folder: Path, *args, **settings) -> Learner:
    folder.mkdir(exist_ok=True)
    made = learner_of(*args, **settings)
    made.content = made.run(folder, "the-run", ["--words"])
    return made


def labels(index, series, channel=0) -> np.ndarray:
    """Each window's label, one step after its context of four."""
    return np.array([series.values[channel, start + 4] for start in index.starts()], np.float64)


def contexts(index, values, length=4) -> np.ndarray:
    return np.stack([values[:, start : start + length] for start in index.starts()])


# ---- what a fold fits


def test_two_folds_keep_constants_of_their_own():
    run_data, task, folds = folds_of(split_mode="rolling", folds=2, val_ratio=0.3)
    made = [Learner(run_data, task, split, CPU, None) for split in folds]
    assert not hasattr(task, "fitted")
    for one, split in zip(made, folds, strict=True):
        y = labels(split.train, run_data.series)
        assert one.task.fitted["mean"] == pytest.approx([y.mean()], rel=1e-6)
        assert one.task.fitted["std"] == pytest.approx([y.std()], rel=1e-6)
        assert one.task.fitted["median"] == pytest.approx([np.median(y)], rel=1e-6)
        assert one.label_means["val"] == pytest.approx([labels(split.val, run_data.series).mean()], rel=1e-6)
        assert one.label_means["test"] == []
    assert made[0].task.fitted["mean"] != made[1].task.fitted["mean"]


def test_scalers_are_fitted_to_what_training_sees():
    """The covariates' scaler on the same steps, which of a forecast are contexts and targets."""
    sun = {"known": ("sun",), "after": np.ones((1, 10, 2), np.float32)}
    series = series_of(channels=("a", "sun"), **sun)
    made = learner_of("forecast", series, {"horizon": 2, "known_future": ("sun",)}, split_mode="holdout", val_ratio=0.3)
    seen = np.zeros(140, bool)
    for start in made.split.train.starts():
        seen[start : start + 6] = True
    for fitted, channel in ((made.scaler, 0), (made.known_scaler, 1)):
        values = series.values[channel, seen].astype(np.float64)
        assert fitted.mean == pytest.approx([values.mean()], rel=1e-9)
        assert fitted.std == pytest.approx([values.std()], rel=1e-9)
    assert (made.scaler.channels, made.known_scaler.channels) == (("a",), ("sun",))
    assert learner_of().known_scaler is None


def test_a_constant_channel_is_a_warning(monkeypatch):
    heard = []
    monkeypatch.setattr(learner.log, "warning", lambda text, *values: heard.append(text % values))
    learner_of()
    assert heard == []
    series = series_of(channels="abc")
    series.values[1:] = 3
    learner_of(series=series)
    assert heard == ["warning: constant in training, so without information: b, c"]


def test_finetuning_keeps_what_the_outputs_mean_and_the_scaler():
    old, new = series_of(seed=0), series_of(seed=1)
    first = learner_of(series=old)
    start = first.snapshot(first.model.state_dict())
    made = learner_of(series=new, start=start)
    assert made.scaler is start.scaler
    assert {key: made.task.fitted[key] for key in ("mean", "std")} == {
        key: start.fitted[key] for key in ("mean", "std")
    }
    assert made.task.fitted["median"] == pytest.approx([np.median(labels(made.split.train, new))])  # of a reference


def test_a_scaler_is_fitted_again_when_asked_to():
    """The label of a regression keeps its meaning all the same; a forecast is in the units of its input."""
    for name, refitted in (("regress", False), ("forecast", True)):
        first = learner_of(name, options={"horizon": 2} if name == "forecast" else {})
        start = first.snapshot(first.model.state_dict())
        new = series_of(seed=1)
        options = {"horizon": 2} if name == "forecast" else {}
        made = learner_of(name, new, options, start=start, refit_scaler=True)
        seen = made.run_data.seen(made.task, made.split.train)
        assert made.scaler.mean == pytest.approx(new.values[:, seen].mean(axis=1, dtype=np.float64), abs=1e-9)
        assert (made.task.fitted["mean"] != start.fitted["mean"]) is refitted


def test_a_new_model_depends_on_the_seed_alone():
    torch.manual_seed(1)
    one = learner_of().model.state_dict()
    torch.manual_seed(2)
    two, three = learner_of().model.state_dict(), learner_of(seed=778).model.state_dict()
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert not torch.equal(one["head.weight"], three["head.weight"])


@pytest.mark.parametrize(("backbone", "marks"), [("dlinear", 0), ("informer", 4)])
def test_times_are_for_backbones_that_look_at_them(backbone, marks):
    time = np.tile(np.arange(14, dtype=np.int64) * 3600 * 10**9, 10)
    made = learner_of("forecast", series_of(time=time, clock=Clock("h")), {"horizon": 2}, backbone=backbone)
    assert (made.forecast.marks, made.forecast.targets, made.forecast.horizon) == (marks, (0, 1), 2)
    assert made.model.spec.forecast == made.forecast


def test_who_learns_with_others_may_lack_a_class():
    """Alone it is an error; together the others know the class."""
    series = series_of()
    series.values[0] = np.abs(series.values[0])
    with pytest.raises(DataError, match="one class only"):
        learner_of("classify", series, {"bin_rule": "lt"})
    assert learner_of("classify", series, {"bin_rule": "lt"}, alone=False).task.fitted["base_rate"] == [0.0]


# ---- splits


@pytest.mark.parametrize("flag", ["eval_split", "plot_split"])
def test_a_split_that_is_not_there_is_an_error_before_training(flag):
    with pytest.raises(UsageError, match="there is no test split") as caught:
        learner_of(**{flag: "test"})
    assert caught.value.where == "--eval-split test"
    learner_of(**{flag: "test"}, test_ratio=0.2)


def test_splits_by_name():
    made = learner_of()
    assert made.index_of("all") is made.run_data.index
    assert made.index_of("train") is made.split.train and made.index_of("val") is made.split.val
    assert made.scored_split() == "val"
    assert learner_of(test_ratio=0.2).scored_split() == "test"
    assert learner_of(test_ratio=0.2, eval_split="train").scored_split() == "train"


def test_sizes_are_counted_before_anything_is_trained():
    """Of 10 rows of 14 steps, 10 windows each: 2 rows validate and 2 test; two channels of 4 steps and a bias."""
    made = learner_of(test_ratio=0.2)
    assert made.sizes() == {
        "windows": {"train": 60, "val": 20, "test": 20},
        "label_mean": {
            n: pytest.approx([labels(made.split[n], made.run_data.series).mean()]) for n in made.label_means
        },
        "overlap": 0,
        "parameters": 9,
        "memory": {
            "data_bytes": 2 * 4 * 2 * 140,  # float32, raw and scaled
            "model_and_optimizer_bytes": 4 * 4 * 9,  # weights, gradients and the two moments of Adam
            "batch_bytes": 4 * 16 * 2 * 4,
        },
    }
    assert learner_of(batch_size=999).sizes()["memory"]["batch_bytes"] == 4 * 80 * 2 * 4


# ---- what a run leaves


def test_a_snapshot_gives_the_same_outputs_after_a_way_through_a_file(tmp_path):
    made = trained(tmp_path)
    made.snapshot(made.model.state_dict(), {"epoch": 3}).save(tmp_path / "x.pt")
    found = Checkpoint.load(tmp_path / "x.pt")
    series, val = made.run_data.series, made.split.val
    mean, std = found.scaler.mean[:, None], found.scaler.std[:, None]
    x = torch.from_numpy(contexts(val, ((series.values - mean) / std).astype(np.float32)))
    with torch.no_grad():
        outputs = restore.model_of(found).eval()(x)
    got = restore.task_of(found).decode(outputs)
    np.testing.assert_allclose(got, made.evaluator().score(val).pred, rtol=1e-5, atol=1e-6)
    assert (found.input_channels, found.outputs, found.per_row) == (["a", "b"], ["a"], False)
    assert (found.sources, found.split, found.training) == (("sum of 0",), made.split.how, {"epoch": 3})
    assert found.config["context_len"] == 4 and found.clock is None and found.task == "regress"


def test_the_last_weights_and_the_best_have_a_threshold_each(tmp_path):
    """Found again from the files, by trying every cut between two scores of validation."""
    made = trained(tmp_path, "classify", None, {"bin_rule": "gt", "calibration": "off"}, lr=0.5, epochs=4, seed=3)
    val, series = made.split.val, made.run_data.series
    truth = labels(val, series) > 0
    assert made.progress.best_epoch < 4
    found = {}
    for file in (BEST, LAST):
        one = Checkpoint.load(tmp_path / file)
        x = contexts(val, one.scaler.apply(series.values)).reshape(len(val), -1)
        logits = x @ one.state["head.weight"].numpy().T + one.state["head.bias"].numpy()
        score = 1 / (1 + np.exp(-logits.ravel().astype(np.float64)))
        cuts = np.sort(score)
        f1 = {}
        for cut in [cuts[0] / 2, *((cuts[1:] + cuts[:-1]) / 2)]:
            guess = score >= cut
            f1[cut] = 2 * (guess & truth).sum() / (guess.sum() + truth.sum())
        (tau,), (best,) = one.calibration["tau"], one.calibration["f1_on_val"]
        assert best == pytest.approx(max(f1.values()))
        assert (
            f1[min(f1, key=lambda cut: abs(cut - tau))] == pytest.approx(best) and one.calibration["chosen_on"] == "val"
        )
        assert min(abs(cut - tau) for cut in f1) < 1e-5
        found[file] = one
    assert not torch.equal(found[BEST].state["head.weight"], found[LAST].state["head.weight"])
    assert found[BEST].training is None and found[LAST].training["progress"]["epoch"] == 4
    assert made.calibration == found[BEST].calibration  # what is judged is the best


def test_weights_that_are_the_best_and_the_last_are_calibrated_once(tmp_path, monkeypatch):
    calls, plain = [], learner.calibrated
    monkeypatch.setattr(learner, "calibrated", lambda *given, **more: (calls.append(given), plain(*given, **more))[1])
    made = trained(tmp_path, "classify", None, {"bin_rule": "gt"}, lr=1e-3, epochs=1)
    assert made.progress.best_epoch == 1 and len(calls) == 1
    best, last = (Checkpoint.load(tmp_path / file) for file in (BEST, LAST))
    assert best.calibration == last.calibration == made.calibration and best.calibration["tau"]
    assert best.training is None and last.training["progress"]["epoch"] == 1


def test_the_summary_is_of_the_best_epoch(tmp_path):
    made = trained(tmp_path, test_ratio=0.2, lr=0.3, epochs=4)
    with (tmp_path / "history.csv").open(encoding="utf-8") as file:
        history = [float(line["val_mae"]) for line in csv.DictReader(file)]
    content = strict(tmp_path / "summary.json")
    assert len(history) == 4 and content["epochs"] == 4
    assert content["best_epoch"] == 1 + int(np.argmin(history)) and content["best_val"] == min(history)
    assert content["validation"]["mae"] == pytest.approx(min(history), rel=1e-5)
    assert (content["split"], content["selection"]) == ("test", "chosen on val, test scored once")
    pred, test = made.evaluator().score(made.split.test).pred.ravel(), labels(made.split.test, made.run_data.series)
    assert content["mae"] == pytest.approx(np.abs(pred - test).mean()) and content["n"] == 20
    assert "validation" not in trained(tmp_path / "other").content


@pytest.mark.parametrize(
    ("backbone", "args", "selection", "calibrated"),
    [
        ("ridge", {}, "chosen on val, test scored once", True),
        ("ridge_ensemble", {"refit": True}, "fitted on train and val", False),  # validation has nothing left to say
    ],
)
def test_a_closed_form_has_no_epochs(tmp_path, backbone, args, selection, calibrated):
    series = series_of(rows=4, steps=80)
    settings = {"backbone": backbone, "model_args": args, "test_ratio": 0.25, "context_len": 8}
    made = trained(tmp_path, "forecast", series, {"horizon": 2}, **settings)
    content = strict(tmp_path / "summary.json")
    assert (content["epochs"], content["selection"]) == (0, selection)
    assert not (tmp_path / "history.csv").exists()
    states = [Checkpoint.load(tmp_path / file).state for file in (BEST, LAST)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert ("margin" in made.calibration) is calibrated
    assert made.progress.best == pytest.approx(
        made.task.val_metrics(*made.evaluator().score(made.split.val).judged())["mse"]
    )


# ---- an interrupted run goes on


def interrupted(folder: Path, after=2, **settings) -> None:
    """A run that somebody stops while its epoch number `after` ends."""

    def stop(line):
        if line["epoch"] == after:
            raise Stopped

    with pytest.raises(Stopped):
        trained(folder, on_epoch=stop, **settings)


@pytest.fixture
def kept_at_once(monkeypatch):
    """Every epoch is written, however short."""
    monkeypatch.setattr(trainer, "FLUSH_SECONDS", 0)


@pytest.mark.usefixtures("kept_at_once")
def test_a_resumed_run_ends_where_one_without_a_break_does(tmp_path):
    straight = trained(tmp_path / "straight")
    interrupted(tmp_path / "broken", after=2)
    assert Checkpoint.load(tmp_path / "broken" / LAST).training["progress"]["epoch"] == 1
    epochs = []
    resumed = trained(tmp_path / "broken", on_epoch=lambda line: epochs.append(line["epoch"]), resume=True)
    assert epochs == [2, 3]
    for name, value in straight.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name])
    without = {"seconds"}
    assert {k: v for k, v in straight.content.items() if k not in without} == {
        k: v for k, v in resumed.content.items() if k not in without
    }


@pytest.mark.usefixtures("kept_at_once")
def test_what_only_the_judgement_needs_may_change(tmp_path):
    changed = {"eval_split": "train", "plot_split": "val", "reference": "auto", "threads": 1, "out": "elsewhere"}
    interrupted(tmp_path)
    assert not any(flag.trains for flag in core_flags() if flag.name in changed)
    resumed = trained(tmp_path, resume=True, overwrite=True, quiet=False, **changed)
    assert resumed.content["split"] == "train" and "median" in resumed.content["references"]


@pytest.mark.usefixtures("kept_at_once")
def test_what_training_depends_on_may_not_change(tmp_path):
    interrupted(tmp_path)
    with pytest.raises(CheckpointError) as caught:
        trained(tmp_path, resume=True, lr=0.5, epochs=9)
    assert caught.value.what == "the interrupted run had --epochs 3 (now 9), --lr 0.001 (now 0.5)"
    assert caught.value.where == "--resume" and "--overwrite" in caught.value.hint
    with pytest.raises(CheckpointError, match=r"--target-clip None \(now 0 1\)"):
        trained(tmp_path, options={"target_clip": (0, 1)}, resume=True)
    with pytest.raises(CheckpointError, match=r"the files have changed since the run was interrupted: a\.csv"):
        trained(tmp_path, series=series_of(seed=1), resume=True)


@pytest.mark.usefixtures("kept_at_once")
def test_without_resume_a_run_begins_again(tmp_path):
    interrupted(tmp_path)
    epochs = []
    trained(tmp_path, on_epoch=lambda line: epochs.append(line["epoch"]))
    assert epochs == [1, 2, 3]
