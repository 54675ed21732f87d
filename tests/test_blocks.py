"""Predictions in blocks: the figures, margins and files are those of whole arrays."""

from __future__ import annotations

import json
import shutil
import tracemalloc

import numpy as np
import pandas as pd
import pytest

import cli
import tasks
import trainer
from tasks import blocks
from tasks.arrays import Arrays
from tasks.blocks import Kept, Made
from tasks.forecast import conformal
from tasks.nilm.timeline import Timeline
from tasks.predictions import Predictions
from windows import Index

from .runs import good


@pytest.mark.parametrize("most", [0, 1 << 20])
def test_what_is_kept_reads_as_an_array(tmp_path, monkeypatch, most):
    monkeypatch.setattr(blocks, "MOST", most)
    values = np.random.default_rng(0).normal(size=(50, 2, 3)).astype(np.float32)
    kept = Kept(values.shape, tmp_path)
    for begin in (0, 7, 30):
        kept.add(values[begin : {0: 7, 7: 30, 30: 50}[begin]])
    made = Made(values.shape, lambda begin, end: values[begin:end])
    for found in (kept, made):
        np.testing.assert_array_equal(np.asarray(found), values)
        for at in (slice(3, 9), slice(-4, None), slice(0, 50, 7), 5, np.array([40, 2]), (slice(1, 4), 1), (6, 0)):
            np.testing.assert_array_equal(found[at], values[at])
        assert len(found) == 50 and found.shape == values.shape
    assert not list(tmp_path.iterdir())


def test_a_part_of_an_index_has_its_windows():
    index = Index(np.array([0, 50, 90]), np.array([5, 1, 7]), np.array([0, 2, 3]), 3, 4, 4, 2)
    for begin, end in [(0, 13), (0, 1), (3, 6), (5, 6), (6, 13), (2, 9), (12, 13)]:
        part = index.between(begin, end)
        assert part.starts().tolist() == index.starts()[begin:end].tolist()
        assert part.rows().tolist() == index.rows()[begin:end].tolist() and len(part) == end - begin


def test_arrays_written_in_parts_are_the_file_of_whole_ones(tmp_path):
    x, y = np.random.default_rng(1).normal(size=(2, 40, 3, 2))
    names = np.array(["a", "longer"])
    with Arrays(tmp_path / "parts.npz", 40) as arrays:
        for at in (slice(0, 16), slice(16, 40)):
            arrays.add("pred", x[at])
            arrays.add("truth", y[at].astype(np.float32))
        arrays.whole("row", names)
    np.savez_compressed(tmp_path / "whole.npz", pred=x, truth=y.astype(np.float32), row=names)
    assert (tmp_path / "parts.npz").read_bytes() == (tmp_path / "whole.npz").read_bytes()
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("most", [0, 1 << 20])
def test_margins_from_a_file_are_those_from_memory(monkeypatch, most):
    monkeypatch.setattr(conformal, "MOST", most)
    monkeypatch.setattr(conformal, "MOST_WINDOWS", 100)
    truth, pred = np.random.default_rng(2).normal(size=(2, 300, 2, 3)).astype(np.float32)
    scores = conformal.Scores(truth.shape)
    for begin in range(0, 300, 90):
        at = slice(begin, begin + 90)
        scores.add(truth[at], pred[at], pred[at], None)
    expected = np.abs(truth - pred)
    for k, channel in enumerate(scores.channels()):
        np.testing.assert_array_equal(channel, expected[:, k])
    assert scores.alike(np.arange(300)) == conformal.alike(expected, np.arange(300))


PARTS = ("", "--quantiles 0.1 0.9 --floor -1 --reference off --no-plots")


@pytest.mark.parametrize("how", PARTS)
def test_a_run_in_blocks_is_the_run_at_once(tmp_path, monkeypatch, how):
    random = np.random.default_rng(3)
    times = pd.date_range("2024-01-01", periods=900, freq="h")
    parts = [np.sin(np.arange(900) / 4 + k) + random.normal(0, 0.2, 900) for k in range(4)]
    rows = [pd.DataFrame({"id": row, "t": times, "x": parts[row], "y": parts[row + 2]}) for row in range(2)]
    pd.concat(rows).to_csv(tmp_path / "a.csv", index=False)
    command = "--mode train --task forecast --csv a.csv --time-col t --id-col id --context-len 24 --horizon 6 "
    command += f"--backbone dlinear --epochs 1 {how} --save-preds --val-ratio 0.3 --test-ratio 0.3"
    whole = good(tmp_path, f"{command} --tag whole")
    for module, name, value in ((blocks, "MOST", 0), (conformal, "MOST", 0), (blocks, "BLOCK", 1)):
        monkeypatch.setattr(module, name, value)
    monkeypatch.setattr("evaler.MOST", 0)
    monkeypatch.setattr("training.validating.MOST", 0)
    monkeypatch.setattr(trainer, "predict", None)  # which holds the outputs of all windows
    shutil.rmtree(tmp_path / "artifacts" / "blocks", ignore_errors=True)
    found = good(tmp_path, f"{command} --tag blocks")
    for name in ("forecast.csv", "preds.npz"):
        assert (found / name).read_bytes() == (whole / name).read_bytes(), name
    one, other = (json.loads((run / "summary.json").read_text()) for run in (whole, found))
    for summary in (one, other):
        summary.pop("seconds"), summary.pop("run")
    alike(one, other)
    before, after = (pd.read_csv(run / "history.csv") for run in (whole, found))
    np.testing.assert_allclose(after.drop(columns="seconds"), before.drop(columns="seconds"), rtol=1e-6)


def alike(one, other, where=""):
    if isinstance(one, dict):
        assert one.keys() == other.keys(), where
        for key in one:
            alike(one[key], other[key], f"{where}.{key}")
    elif isinstance(one, list):
        for k, pair in enumerate(zip(one, other, strict=True)):
            alike(*pair, f"{where}[{k}]")
    else:
        assert one == (pytest.approx(other, rel=1e-12) if isinstance(one, float) else other), where


def kettle_house(folder):
    """Five days of a kettle and a fridge over a base load, a reading a minute."""
    random = np.random.default_rng(8)
    steps = 5 * 1440
    kettle, fridge = np.zeros(steps), 90.0 * (np.arange(steps) % 60 < 25)
    for at in random.integers(0, steps - 9, 120):
        kettle[at : at + random.integers(3, 9)] = 2000
    times = pd.date_range("2024-01-01", periods=steps, freq="min")
    mains = kettle + fridge + 60 + random.normal(0, 3, steps)
    table = {"t": times, "mains": mains.round(1), "kettle": kettle, "fridge": fridge}
    pd.DataFrame(table).to_csv(folder / "house.csv", index=False)


METER = "--task nilm --csv house.csv --time-col t --device-cols kettle fridge --window 60 --backbone tcn --seeds 1"


def test_a_meter_in_blocks_is_the_meter_at_once(tmp_path, monkeypatch):
    kettle_house(tmp_path)
    command = f"--mode train {METER} --model-args filters=4 depth=2 --stride 6 --epochs 2 --no-plots"
    command += " --val-ratio 0.3 --test-ratio 0.3"
    whole = good(tmp_path, f"{command} --tag whole")
    for module in ("tasks.blocks", "evaler", "training.validating"):
        monkeypatch.setattr(f"{module}.MOST", 0)
    monkeypatch.setattr(blocks, "BLOCK", 1)
    monkeypatch.setattr(trainer, "predict", None)
    monkeypatch.setattr("tasks.predictions.Predictions.judged", at_most(blocks.ALIKE))
    found = good(tmp_path, f"{command} --tag blocks")
    for name in ("timeline.csv", "energy.csv", "kpis.json", "per_device_metrics.csv"):
        assert (found / name).read_bytes() == (whole / name).read_bytes(), name
    before, after = (pd.read_csv(run / "history.csv").drop(columns=["seconds", "val_loss"]) for run in (whole, found))
    np.testing.assert_allclose(after, before, rtol=1e-12)


def at_most(windows):
    """`Predictions.judged`, which arrays of more windows fail."""
    plain = Predictions.judged

    def judged(self):
        assert len(self.pred) <= windows
        return plain(self)

    return judged


def peak_of(make):
    """The most bytes that were held at once while `make` ran, above those before."""
    tracemalloc.start()
    try:
        make()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("kind", ["timeline", "metrics"])
def test_what_a_meter_takes_does_not_grow_with_its_windows(kind, monkeypatch):
    """The same 6,000 steps under 300 and under 2,990 windows of 60: ten times as many numbers are predicted."""
    monkeypatch.setattr(blocks, "BLOCK", 1)
    peaks = []
    for stride in (20, 2):
        index = Index(np.array([0]), np.array([(6000 - 60) // stride + 1]), np.array([0]), stride, 60, 0, 60)
        shape = len(index), 4, 60
        made = Made(shape, lambda begin, end: np.ones((end - begin, 4, 60), np.float32))
        scored = Predictions(index, made, made)
        if kind == "timeline":
            peaks.append(peak_of(lambda scored=scored: Timeline.of(scored)))
        else:
            task = tasks.build("nilm", cli.parse(["--task", "nilm", "--demo"]).options)
            peaks.append(peak_of(lambda scored=scored, task=task: task.val_metrics_of(scored)))
    assert peaks[1] < 1.2 * peaks[0] and 2 * peaks[1] < 4 * 2970 * 240
