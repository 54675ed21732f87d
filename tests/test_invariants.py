"""What holds of the parts whatever they are given: splits, windows, stitching, metrics, batches, streams, seeds.

tests/test_properties.py has the properties of whole runs and of readers. The same examples are tried each time.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn.metrics as skm
import torch
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

import metrics
import splits
import windows
from checkpoint import Checkpoint
from errors import DataError
from evaler import predict
from hardware import Precision
from tasks.nilm.states import Stitcher
from tools.stream import Streamer
from windows import Index, Windows

from . import test_backbones, test_stream
from .conftest import ROOT
from .runs import good, strict

QUIET: dict[str, Any] = {"deadline": None, "derandomize": True, "suppress_health_check": list(HealthCheck)}
QUIET["phases"] = (Phase.explicit, Phase.generate, Phase.shrink)
many, few = settings(max_examples=60, **QUIET), settings(max_examples=5, **QUIET)


# --- windows and splits ----------------------------------------------------------------------------------------------


@st.composite
def planned(draw: Any, whole_rows: bool = False) -> tuple[np.ndarray, Index]:
    """Windows over rows of any length with gaps: (offsets [N + 1], their index)."""
    lengths = draw(st.lists(st.one_of(st.integers(25, 60), st.integers(0, 60)), min_size=2, max_size=9))
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    known = np.random.default_rng(draw(st.integers(0, 999))).random(offsets[-1]) >= draw(st.sampled_from([0.0, 0.05]))
    sizes = {"length": st.integers(1, 6), "stride": st.integers(1, 4), "horizon": st.integers(1, 5)}
    index = windows.plan(
        offsets, known, known, offset=draw(st.integers(1, 3)), **{name: draw(size) for name, size in sizes.items()}
    )
    assume(len(index))
    return offsets, index


def steps_of(index: Index) -> list[set[int]]:
    """The steps of each window's target."""
    return [set(range(target, target + index.horizon)) for target in index.targets()]


ways = st.fixed_dictionaries(
    {
        "mode": st.sampled_from(["group", "holdout", "rolling"]),
        "val_ratio": st.floats(0.05, 0.45),
        "test_ratio": st.sampled_from([0.0, 0.1, 0.3]),
        "gap": st.integers(0, 4),
        "folds": st.integers(1, 3),
        "seed": st.integers(0, 9),
        "grouped": st.booleans(),
    }
)


@many
@given(data=planned(), how=ways)
def test_no_step_is_a_target_of_two_parts(data, how):
    offsets, index = data
    grouped = how.pop("grouped")
    groups = np.array([f"g{k // 2}" for k in range(len(offsets) - 1)]) if grouped else None
    if how["mode"] != "rolling":
        how["folds"] = 1
    try:
        made = splits.make(index, offsets, groups=groups, **how)
    except DataError:  # too few windows for so many parts
        return
    scored: set[int] = set()
    for split in made:
        parts = {name: set().union(*steps_of(split[name])) for name in splits.NAMES}
        assert (
            sum(map(len, parts.values())) == len(set.union(*parts.values())) and splits.overlap(split, offsets[-1]) == 0
        )
        last = parts["test"] or parts["val"]
        assert not last & scored
        scored |= last
        assert {*map(tuple, at(split))} <= {*zip(index.rows(), index.starts(), strict=True)}  # windows of the plan
        if how["mode"] == "group":
            owner = np.arange(len(offsets) - 1) if groups is None else groups
            owners = [set(owner[np.unique(split[name].rows())]) for name in splits.NAMES]
            assert sum(map(len, owners)) == len(set.union(*owners))
        else:
            in_time(split, offsets, how["gap"])


def at(split: splits.Split) -> Iterator[tuple[int, int]]:
    for name in splits.NAMES:
        yield from zip(split[name].rows(), split[name].starts(), strict=True)


def in_time(split: splits.Split, offsets: np.ndarray, gap: int) -> None:
    """In each row training ends before validation begins, and that before test, with the gap between them."""
    for row in range(len(offsets) - 1):
        spans = [
            [(min(steps), max(steps)) for steps, r in zip(steps_of(part), part.rows(), strict=True) if r == row]
            for part in (split.train, split.val, split.test)
        ]
        for before, after in ((0, 1), (1, 2), (0, 2)):
            if spans[before] and spans[after]:
                assert max(end for _, end in spans[before]) + gap < min(begin for begin, _ in spans[after])


@many
@given(data=planned(), size=st.integers(1, 50), seed=st.integers(0, 99))
def test_windows_are_plain_slices_in_batches_of_any_size(data, size, seed):
    offsets, index = data
    random = np.random.default_rng(seed)
    values, targets = (torch.from_numpy(random.normal(size=(n, offsets[-1])).astype(np.float32)) for n in (3, 2))
    over, seen = Windows(values, targets, index), []
    starts = index.starts()
    for positions, count in over.in_order(size):
        x, y = (part[:count] for part in over.gather(positions))
        for b in range(count):
            start, target = starts[len(seen)], index.targets()[len(seen)]
            assert torch.equal(x[b], values[:, start : start + index.length])
            assert torch.equal(y[b], targets[:, target : target + index.horizon])
            seen.append(start)
    assert len(seen) == len(index)
    drawn = torch.cat([positions[0] for positions in over.shuffled(size, seed)])
    assert set(drawn.tolist()) == set(starts.tolist())  # in an epoch every window comes


@many
@given(length=st.integers(1, 8), channels=st.integers(1, 3), data=st.data(), seed=st.integers(0, 99))
def test_joined_predictions_are_the_means_of_a_plain_loop(length, channels, data, seed):
    total = 40
    starts = np.array(data.draw(st.lists(st.integers(0, total - length), min_size=1, max_size=30, unique=True)))
    parts = np.random.default_rng(seed).normal(size=(len(starts), channels, length)).astype(np.float32)
    stitcher = Stitcher(channels, total)
    stitcher.add(parts, starts)
    covered, joined = stitcher.means()
    for step in range(total):
        cover = [part[:, step - start] for part, start in zip(parts, starts, strict=True) if 0 <= step - start < length]
        assert (step in covered) == bool(cover)
        if cover:
            found = joined[:, covered.tolist().index(step)]
            np.testing.assert_allclose(found, np.mean(cover, axis=0), rtol=1e-5, atol=1e-6)


# --- metrics ---------------------------------------------------------------------------------------------------------

labelled = st.lists(st.tuples(st.booleans(), st.integers(0, 20)), min_size=1, max_size=60)  # scores with ties
close = pytest.approx


@many
@given(pairs=labelled, cut=st.integers(0, 20))
def test_metrics_of_labels_are_scikit_learns(pairs, cut):
    y, score = np.array([a for a, _ in pairs], int), np.array([b for _, b in pairs]) / 20
    hard, found = (score >= cut / 20).astype(int), metrics.binary_metrics(y, score, cut / 20)
    for name in ("precision", "recall", "f1"):
        expected = getattr(skm, f"{name}_score")(y, hard, zero_division=np.nan)
        assert found[name] == (None if np.isnan(expected) else close(expected)), name
    assert found["accuracy"] == close(skm.accuracy_score(y, hard))
    ranked = metrics.ranking_metrics(y, score)
    if 0 < y.mean() < 1:
        assert ranked["roc_auc"] == close(skm.roc_auc_score(y, score))
        assert ranked["pr_auc"] == close(skm.average_precision_score(y, score))
        tau, best = metrics.best_threshold(y, score)
        assert best == close(max(skm.f1_score(y, score >= t) for t in np.unique(score)))
        assert skm.f1_score(y, score >= tau) == close(best)
    assert ranked["brier"] == close(np.mean((score - y) ** 2))


@many
@given(pairs=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=60))
def test_metrics_of_classes_are_scikit_learns(pairs):
    y, said = np.array(pairs).T
    found = metrics.class_metrics(y, said, 5)
    assert found["accuracy"] == close(skm.accuracy_score(y, said))
    assert found["confusion"] == skm.confusion_matrix(y, said, labels=range(5)).tolist()
    for name in ("precision", "recall", "f1"):
        score = getattr(skm, f"{name}_score")
        assert found[name] == close(score(y, said, average="macro", zero_division=0)), name


values = st.floats(-1e6, 1e6, width=32)


@many
@given(pairs=st.lists(st.tuples(values, values), min_size=2, max_size=60))
def test_metrics_of_numbers_are_scikit_learns(pairs):
    y, said = np.array(pairs).T
    found = metrics.regression_metrics(y, said)
    assert found["mae"] == close(skm.mean_absolute_error(y, said))
    assert found["mse"] == close(skm.mean_squared_error(y, said))
    assert found["rmse"] == close(np.sqrt(found["mse"]))
    if found["r2"] is None:
        assert np.var(y) == 0 or y.min() == y.max()
    else:
        assert found["r2"] == close(skm.r2_score(y, said), rel=1e-6, abs=1e-9)


# --- batches ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name, head", test_backbones.FIRST)
def test_no_window_is_judged_by_its_neighbours_in_the_batch(name, head):
    """Every backbone of the registry, after statistics of batches were learned."""
    model = test_backbones.make(name, head=head)
    model(test_backbones.windows(16))
    model.eval()
    offsets, channels, length = np.array([0, 40]), test_backbones.CHANNELS, test_backbones.LENGTH
    known = np.ones(40, bool)
    over = Windows(
        torch.randn(channels, 40, generator=torch.Generator().manual_seed(2)),
        torch.zeros(2, 40),
        windows.plan(offsets, known, known, length=length, offset=1),
    )
    whole, alone, some = (predict(model, over, Precision(torch.device("cpu")), size) for size in (100, 1, 4))
    torch.testing.assert_close(alone, whole, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(some, whole, rtol=1e-4, atol=1e-5)


# --- streams ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stored() -> dict[str, Any]:
    return test_stream.made("both", "none", "gru", hidden=8)


@few
@given(gaps=st.lists(st.integers(0, 199), max_size=60, unique=True))
def test_a_stream_with_any_gaps_says_what_the_batch_says(stored, gaps):
    series = test_stream.metered(steps=200, gaps=gaps)
    streamer = Streamer(Checkpoint.of(stored, "here"), "here")
    test_stream.agree(stored, series, [streamer.step(sample) for sample in test_stream.samples(series)])


# --- seeds -----------------------------------------------------------------------------------------------------------

COMMON = "--seed 5 --no-plots --quiet --reference off"
DATA = {
    "classify": "--csv a.csv --context-len 8",
    "regress": "--csv a.csv --context-len 8",
    "forecast": "--csv t.csv --time-col time --id-col site --context-len 12 --horizon 3",
    "nilm": "--csv h.csv --time-col time --mains-col total --device-cols kettle --resample 10s --window 20",
}
MODELS = {
    "classify": "gru --model-args hidden=4 dropout=0.2 layers=2 --epochs 1",
    "regress": "boosting",
    "forecast": "patchtst --epochs 1",
    "nilm": "tcn --model-args filters=4 --epochs 1",
}
EVERY = """
import json, sys, run
from tests import saplings
saplings.few(wanted=True)
for words in json.loads(sys.stdin.read()):
    assert run.main(words) == 0
"""


def lay(folder: Path) -> Path:
    """A table of steps, two sites and a house."""
    random = np.random.default_rng(3)
    table = random.poisson(1.0, (20, 30))
    (folder / "a.csv").write_text("\n".join(",".join(map(str, row)) for row in table) + "\n")
    hours = np.datetime_as_string(np.datetime64("2024-01-01T00") + np.arange(120), "m")
    load = (5 + np.sin(np.arange(240) / 4) + random.normal(0, 0.1, 240)).round(4)
    lines = [f"{hours[k % 120]},{'ab'[k // 120]},{v}\n" for k, v in enumerate(load)]
    (folder / "t.csv").write_text("time,site,load\n" + "".join(lines))
    kettle = 2000 * (np.arange(600) % 60 < 10)
    times = np.datetime64("2024-01-01T00:00:00") + 10 * np.arange(600)
    lines = [f"{time},{90 + watts + random.normal():.1f},{watts}\n" for time, watts in zip(times, kettle, strict=True)]
    (folder / "h.csv").write_text("time,total,kettle\n" + "".join(lines))
    return folder


def training(task: str) -> str:
    return f"--mode train --task {task} {DATA[task]} --backbone {MODELS[task]} {COMMON} --tag {task}"


def said(folder: Path) -> dict[str, bytes]:
    """The predictions and the weights of every run in a folder."""
    names = ("preds.csv", "timeline.csv", "model.pt.best")
    files = [file for name in names for file in folder.glob(f"artifacts/*/{name}")]
    return {f"{file.parent.name} {file.name}": hashlib.sha256(file.read_bytes()).digest() for file in files}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the tables, and a run of each task."""
    folder = lay(tmp_path_factory.mktemp("trained"))
    for task in DATA:
        good(folder, training(task))
    return folder


@pytest.mark.slow
def test_a_seed_gives_the_same_run_in_another_process(trained, tmp_path):
    """Another interpreter, in which sets have another order."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "1", "OMP_NUM_THREADS": "1"}
    words = json.dumps([training(task).split() for task in DATA])
    argv = [sys.executable, "-c", EVERY]
    done = subprocess.run(argv, input=words, cwd=lay(tmp_path), env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert said(tmp_path) == said(trained) and {name.split()[0] for name in said(trained)} == set(DATA)


@pytest.mark.parametrize("task", DATA)
def test_the_batch_size_changes_no_judgement(trained, task):
    words = f"--mode infer --task {task} {DATA[task]} --ckpt artifacts/{task} --out judged {COMMON} --eval-split all"
    found = [good(trained, words.replace("--seed 5", ""), f"--batch-size {n} --tag {task}{n}") for n in (3, 1000)]
    one, other = (
        strict(run / ("metrics.json" if (run / "metrics.json").exists() else "summary.json")) for run in found
    )
    assert one["headline"] == pytest.approx(other["headline"], rel=1e-4, abs=1e-6) and one["n"] == other["n"]
