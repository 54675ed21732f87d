"""evaler.py: every window scored once, and references that are what they say."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import average_precision_score
from torch import nn

import dataset
import run
import tasks
from config import RunConfig
from data import Series
from dataset import DeviceData
from evaler import Evaluator, References, chosen, predict
from hardware import Precision
from scaler import Scaler
from tasks import references
from tasks.predictions import Tried
from windows import Index

from .runs import good, strict

CPU = torch.device("cpu")
OPTIONS = {flag.name: flag.default for flag in tasks.flags("classify")}
OPTIONS |= {"bin_rule": "gt", "bin_thr": 0.5, "pos_weight": "none"}


class Last(nn.Module):
    """The logit is the first channel's last value; BatchNorm would betray a batch-dependent evaluation."""

    def forward(self, x):
        return x[:, :1, -1:] * 2 - x.mean(dim=(1, 2), keepdim=True)


def device_data_of(seed=0, rows=30, steps=25, **settings):
    rng = np.random.default_rng(seed)
    values = rng.random((2, rows * steps)).astype(np.float32)
    offsets = np.arange(rows + 1, dtype=np.int64) * steps
    series = Series(values, offsets, ("a", "b"), tuple(map(str, range(rows))))
    config = RunConfig(**{"mode": "train", "task": "classify", "context_len": 6, "options": OPTIONS} | settings)
    task = tasks.build("classify", config.options)
    run_data = dataset.open_run_data(config, task, series, {})
    (split,) = dataset.make_splits(run_data)
    task.fit(run_data.sample(task, split.train), ["a"])
    scaler = Scaler.fit(run_data.values(), run_data.seen(task, split.train), run_data.channels)
    return DeviceData(run_data, task, scaler, CPU), split


@pytest.mark.parametrize("batch_size", [1, 7, 64, 10_000])
def test_predictions_do_not_depend_on_the_batch_size(batch_size):
    device_data, split = device_data_of()
    over = device_data.windows(split.val)
    got = predict(Last(), over, Precision(CPU), batch_size)
    x = np.stack([device_data.scaled[:, s : s + 6] for s in split.val.starts()])
    expected = x[:, :1, -1:] * 2 - x.mean(axis=(1, 2), keepdims=True)
    assert got.shape == (len(split.val), 1, 1)
    assert np.allclose(got.numpy(), expected, atol=1e-6)


def test_truth_is_the_binarised_label_k_steps_after_the_context():
    device_data, split = device_data_of(label_offset=3)
    scored = Evaluator(device_data, Last(), Precision(CPU), 64).score(split.val)
    raw = device_data.run_data.series.values[0]
    expected = [float(raw[s + 6 - 1 + 3] > 0.5) for s in split.val.starts()]
    assert scored.truth[:, 0, 0].tolist() == expected


def test_references_are_what_their_names_say():
    device_data, split = device_data_of()
    evaluator = Evaluator(device_data, Last(), Precision(CPU), 64)
    val = evaluator.score(split.val)
    trivial = References(device_data, ["a"], split.train)
    found = trivial.judge(val, trivial.choose_thresholds(val, {}))
    raw, y = device_data.run_data.series.values[0], val.truth[:, 0, 0]

    last = np.array([raw[s + 5] > 0.5 for s in split.val.starts()], float)
    assert found["persistence"]["pr_auc"] == pytest.approx(average_precision_score(y, last))

    rate = np.mean([raw[s + 6] > 0.5 for s in split.train.starts()])
    assert found["base_rate"]["brier"] == pytest.approx(np.mean((rate - y) ** 2), abs=1e-6)
    assert found["majority"]["default"]["tp"] == (y.sum() if rate > 0.5 else 0)

    x = {n: np.stack([device_data.scaled[:, s : s + 6].ravel() for s in split[n].starts()]) for n in ("train", "val")}
    target = np.array([raw[s + 6] > 0.5 for s in split.train.starts()])
    model = tasks.build("classify", OPTIONS).estimator(777).fit(x["train"], target)
    expected = average_precision_score(y, model.predict_proba(x["val"])[:, 1].astype(np.float32))
    assert found["gradient_boosting"]["pr_auc"] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("val", "tests", "alone", "expected"), [(3.0, 2.0, False, 3.0), (2.0, 3.0, False, 3.0), (3.0, 2.0, True, 2.0)]
)
def test_the_wider_of_two_margins_is_kept_but_where_validation_is_short(val, tests, alone, expected):
    class Task:
        def choose_thresholds(self, part, names, eval_context):
            return {} if part is None else {"margin": part.index, "chosen_on": "val"}

        def width(self, calibration, eval_context, index):
            assert index == val  # both are compared at the windows of validation
            return calibration["margin"]

    data = SimpleNamespace(task=Task(), eval_context=lambda names: None)
    evaluator = SimpleNamespace(device_data=data, give=lambda index, outputs: SimpleNamespace(index=index))
    tried = Tried(tests, torch.zeros(1), alone)
    found = chosen(evaluator, ["y"], SimpleNamespace(index=val), tried)
    assert found == {"margin": expected, "chosen_on": "val" if expected == val else "backtests"}
    assert chosen(evaluator, ["y"], SimpleNamespace(index=val), None)["margin"] == val
    assert chosen(evaluator, ["y"], None, tried) == {}


def test_gradient_boosting_learns_from_a_few_windows():
    """Leaves of twenty would leave it a constant."""
    device_data, split = device_data_of(rows=4, steps=13)
    val = Evaluator(device_data, Last(), Precision(CPU), 64).score(split.val)
    said = References(device_data, ["a"], split.train).predictors["gradient_boosting"](split.train)
    truth = device_data.run_data.truth(device_data.task, split.train)
    assert len(split.train) < 40 and len(np.unique(said)) > 2 and len(val.pred)
    assert said[truth > 0.5].mean() > said[truth < 0.5].mean() + 0.3


def test_gradient_boosting_is_bounded_and_scores_every_window(monkeypatch):
    device_data, split = device_data_of()
    seen = []
    fit = HistGradientBoostingClassifier.fit
    monkeypatch.setattr(
        HistGradientBoostingClassifier, "fit", lambda self, x, y: seen.append(x.shape) or fit(self, x, y)
    )
    monkeypatch.setattr(references, "affordable", lambda *sizes, ages: (100, np.ones(6, int)))
    monkeypatch.setattr(references, "CHUNK", 50)  # several chunks of windows
    val = Evaluator(device_data, Last(), Precision(CPU), 64).score(split.val)
    trivial = References(device_data, ["a"], split.train)
    found = trivial.judge(val, trivial.choose_thresholds(val, {}))
    told = found["gradient_boosting"]
    assert seen == [(100, 12)] and told["n"] == len(split.val)
    assert (told["windows"], told["of"]) == (100, len(split.train)) and "windows" not in found["persistence"]


@pytest.mark.parametrize("widths", [[2, 4, 4], [5, 2, 1, 1, 1]])
def test_steps_are_averaged_from_the_oldest(widths):
    draw = np.random.default_rng(0)
    inputs, starts = draw.normal(size=(2, 30)).astype(np.float32), np.array([0, 3, 20])
    found = references.flatten(inputs, starts, 10, np.array(widths))
    ends = np.cumsum(widths)
    plain = [
        [inputs[c, s + e - w : s + e].mean() for c in range(2) for e, w in zip(ends, widths, strict=True)]
        for s in starts
    ]
    np.testing.assert_allclose(found, plain, rtol=1e-5)
    assert references.flatten(inputs, starts, 10).shape == (3, 20)


def test_of_many_columns_of_things_those_are_seen_that_go_with_the_label(tmp_path, capfd, monkeypatch):
    draw = np.random.default_rng(2)
    x, y = draw.normal(size=(80, 30)), draw.normal(size=(80, 2))
    x[:, 11] += 2 * y[:, 0]
    x[:, 4] -= 2 * y[:, 1]
    x[:, 7] = 3.0
    plain = [max(abs(np.corrcoef(column, truth)[0, 1]) for truth in y.T) for column in np.delete(x, 7, axis=1).T]
    best = np.sort(np.delete(np.arange(30), 7)[np.argsort(plain)[::-1][:5]])
    np.testing.assert_array_equal(references.strongest(x, y, 5), best)
    assert {4, 11} < {*best}
    table = pd.DataFrame(x, columns=[f"gene {chr(97 + k)}{chr(97 + k // 5)}" for k in range(30)])
    table.assign(ill=np.where(y[:, 0] > 0, "yes", "no")).to_csv(tmp_path / "genes.csv", index=False)
    monkeypatch.setattr(references, "affordable", lambda windows, *sizes, ages: (windows, np.full(6, 5)))
    words = f"--task classify --csv {tmp_path}/genes.csv --label-src-ch ill --backbone logistic --no-plots --tag one"
    assert run.main([*words.split(), "--out", str(tmp_path)]) == 0
    said = "".join(capfd.readouterr())
    assert "gradient_boosting: sees the 6 of 30 columns that go most with the label in training" in said
    found = json.loads((tmp_path / "one" / "metrics.json").read_text())["references"]["gradient_boosting"]
    assert found["columns"] == 6 and found["of_columns"] == 30 and "steps_averaged" not in found


def test_what_boosting_sees_is_everything_that_takes_seconds():
    """(windows, channels, steps, outputs): what was measured to take ten seconds or less is neither sampled nor coarse.
    Ten classes of long series are coarse, and a hundred million numbers a sample."""
    full, quick = references.Pace(100, 31), references.Pace(80, 8)
    for sizes in ((250_000, 1, 31, 1), (20_000, 4, 31, 1), (60, 1, 300, 3), (16, 2, 100, 2)):
        for pace in (full, quick):
            windows, widths = references.affordable(*sizes, pace, ages=True)
            assert windows == sizes[0] and widths.tolist() == [1] * sizes[2]
    windows, widths = references.affordable(375, 1, 720, 10, full)
    assert windows == 375 and 1 < widths.max() < 20 and widths.sum() == 720
    windows, widths = references.affordable(1_000_000, 4, 31, 1, full)
    assert 80_000 < windows < 300_000 and widths.max() == 1
    aged, widths = references.affordable(1_000_000, 4, 31, 1, full, ages=True)
    assert aged > 1.6 * windows and len(widths) == 18


def test_references_take_a_tenth_of_the_run_by_its_sizes():
    """Least beside a closed form or a small net, ten seconds beside hours; a linear model's half a million windows of
    three epochs were measured at 15 CPU-seconds."""
    few, some, many = (Index(*np.array([[0], [n], [0]]), 1, 31, 31) for n in (1000, 20_000, 360_000))
    assert references.seconds_beside(few, 0, 100) == references.LEAST
    assert 1.2 <= references.seconds_beside(many, 3, 125) < 2
    assert references.seconds_beside(some, 5, 800_000) > 5
    assert references.seconds_beside(many, 50, 800_000) == references.SECONDS
    rows = Index(*np.array([[0], [40_000], [0]]), 1, 40, 40)
    assert 2 * references.seconds_beside(rows, 3, 161, 4) == pytest.approx(4.1, rel=0.1)  # of 41 s, for both


def test_a_forest_has_fewer_trees_before_it_sees_fewer_series():
    """200 trees took 43 CPU-seconds of 5,000 series with 1,884 features, and 3.2 of 500, on a machine at half speed."""
    assert references.growable(500, 1884, 1.2) == (500, 200)
    windows, trees = references.growable(40_000, 1884, 10)
    assert windows == references.MOST_GROWN and 60 < trees < 120
    windows, trees = references.growable(40_000, 1884, 1.2)
    assert 2000 < windows < 3000 and trees == references.FEW_TREES
    assert references.growable(40_000, 10_000_000, 1.2)[0] == references.LEAVES


def test_without_training_windows_the_reason_is_given():
    device_data, split = device_data_of()
    val = Evaluator(device_data, Last(), Precision(CPU), 64).score(split.val)
    trivial = References(device_data, ["a"], None)
    found = trivial.judge(val, trivial.choose_thresholds(val, {}))
    assert "needs the training windows" in found["gradient_boosting"]["skipped"]


def test_the_scaler_sees_the_training_contexts_alone():
    device_data, split = device_data_of(split_mode="holdout", val_ratio=0.4)
    values = device_data.run_data.series.values
    seen = np.zeros(values.shape[1], bool)
    for s in split.train.starts():
        seen[s : s + 6] = True
    assert device_data.scaler.mean == pytest.approx(values[:, seen].mean(axis=1), abs=1e-6)
    assert device_data.scaler.std == pytest.approx(values[:, seen].std(axis=1), abs=1e-6)
    assert np.allclose(
        device_data.scaled, (values - device_data.scaler.mean[:, None]) / device_data.scaler.std[:, None], atol=1e-6
    )


def test_what_was_fitted_to_a_nets_outputs_is_not_for_the_forest_beside_it(tmp_path):
    """Its probabilities are those that it says as the model of a run of its own, which nothing is fitted to."""
    draw = np.random.default_rng(1)
    y = draw.random(400) < 0.3
    x = draw.normal(size=(400, 12)) + 0.4 * y[:, None]
    np.savetxt(tmp_path / "a.csv", x, delimiter=",", fmt="%.4f")
    np.savetxt(tmp_path / "y.csv", y, fmt="%d")
    words = "--mode train --task classify --csv a.csv --labels y.csv --test-ratio 0.3 --val-ratio 0.3 --quiet"
    net = strict(good(tmp_path, words, "--backbone linear --epochs 2 --tag net") / "metrics.json")
    alone = strict(good(tmp_path, words, "--backbone quant --reference off --tag alone") / "metrics.json")
    assert net["calibration"]["shift"] != [0.0]
    for name in ("brier", "ece", "log_loss"):
        assert net["references"]["interval_trees"][name] == pytest.approx(alone[name], abs=1e-6)


@pytest.mark.parametrize(("task", "columns"), [("classify", 1), ("classify", 2), ("classify", 3), ("regress", 1)])
def test_whole_series_have_forests_and_logistic_regressions_beside_them(tmp_path, task, columns):
    """Bumps at one of three places, one column of labels each; of one column two places. The references find them."""
    draw = np.random.default_rng(0)
    place = np.arange(60) % max(columns, 2)
    x = 0.3 * draw.normal(size=(60, 30))
    for row, at in zip(x, place, strict=True):
        row[3 + 8 * at : 8 + 8 * at] += 3
    labels = place[:, None] if columns == 1 else np.eye(columns, dtype=int)[place]
    np.savetxt(tmp_path / "a.csv", x, delimiter=",", fmt="%.4f")
    np.savetxt(tmp_path / "y.csv", labels, delimiter=",", fmt="%d")
    words = (
        f"--mode train --task {task} --csv a.csv --labels y.csv --test-ratio 0.3 --backbone linear --no-wide --epochs 1"
    )
    summary = "summary.json" if task == "regress" else "metrics.json"
    found = strict(good(tmp_path, words, "--quiet --no-plots") / summary)["references"]
    wanted = {"gradient_boosting", "interval_trees"} | ({"logistic_window"} if task == "classify" else set())
    assert wanted <= set(found) and "persistence" not in found
    for name in wanted:
        assert found[name]["mae"] < 0.3 if task == "regress" else found[name]["balanced_accuracy"] > 0.8
