"""tasks/forecast/references.py: what a forecast is compared with."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import checkpoint
import windows
from data import Series
from tasks.forecast import references
from tasks.predictions import EvalContext, Predictor

from .runs import good, strict


def index_of(total: int, length: int, horizon: int, part: slice) -> windows.Index:
    usable = np.ones(total, bool)
    whole = windows.plan(np.array([0, total]), usable, usable, length=length, horizon=horizon, offset=1)
    low, high = (np.array([at]) for at in (part.start, part.stop))
    return whole.with_target_in(low, high)


def context_of(seen: np.ndarray, targets: tuple[int, ...] = (0,), known: np.ndarray | None = None) -> EvalContext:
    """A table of one row as a task sees it; what is `known` [F, total + H] ahead is channels of the series too."""
    covariates = [] if known is None else [f"u{i}" for i in range(len(known))]
    channels = tuple([f"x{i}" for i in range(len(seen))] + covariates)
    values = seen if known is None else np.concatenate([seen, known[:, : seen.shape[1]]])
    offsets = np.array([0, seen.shape[1]])
    series = Series(values=values, offsets=offsets, channels=channels, rows=("a",), known=tuple(covariates))
    return EvalContext(
        series, None, seen, targets, ("y",), False, 0, labelled=lambda index: None, scaler={},
        known=None if known is None else torch.from_numpy(known),
    )  # fmt: skip


def error(predict: Predictor, seen: np.ndarray, target: int, test: windows.Index) -> float:
    truth = np.stack([seen[target, at : at + test.horizon] for at in test.targets()])
    return float(np.square(predict(test)[:, 0] - truth).mean())


@pytest.mark.parametrize("sees", ["past", "ahead"])
def test_the_reference_ridge_sees_other_channels_and_what_is_known_ahead(sees):
    draw, total, horizon = np.random.default_rng(0), 900, 4
    x = draw.normal(size=total + horizon).astype(np.float32)
    y = (np.roll(x, 5) if sees == "past" else x) + 0.1 * draw.normal(size=total + horizon).astype(np.float32)
    seen = np.stack([x, y])[:, :total] if sees == "past" else y[None, :total]
    train, val, test = (
        index_of(total, 16, horizon, part) for part in (slice(0, 600), slice(600, 750), slice(750, 900))
    )
    target = len(seen) - 1
    context = context_of(seen, (target,), x[None] if sees == "ahead" else None)
    alone = references.ridge(context_of(seen[target:]), train, val, horizon)
    assert error(references.ridge(context, train, val, horizon), seen, target, test) < 0.03
    assert error(alone, seen[target:], 0, test) > 0.7


@pytest.mark.parametrize("length", [24, references.LONGEST + 80])
def test_the_reference_ridge_looks_back_as_far_as_the_model_and_no_further_than_its_limit(length):
    total, horizon = 2400, 3
    walk = np.random.default_rng(0).normal(size=total).cumsum()
    seen = ((walk - walk.mean()) / walk.std()).astype(np.float32)[None]
    train, val, test = (
        index_of(total, length, horizon, part) for part in (slice(0, 1800), slice(1800, 2100), slice(2100, 2400))
    )
    predict = references.ridge(context_of(seen), train, val, horizon)
    found = predict(test)
    assert found.shape == (len(test), 1, horizon) and len(test) == 2400 - 2100 - horizon + 1
    repeated = seen[0, 2100 - 1 : 2400 - horizon]
    truth = np.lib.stride_tricks.sliding_window_view(seen[0, 2100:], horizon)
    assert np.mean((found[:, 0] - truth) ** 2) < 1.05 * np.mean((repeated[:, None] - truth) ** 2)

    used = min(length, references.LONGEST)
    first = 2100 - used  # of the steps that the first window of test may use
    seen[0, 2100 - length : first] += 5  # the map is fitted: only what it reads can change a forecast
    assert np.array_equal(predict(test)[0], found[0])


def test_a_run_without_references_does_not_run_the_slow_ones_and_inference_still_shows_them(tmp_path):
    words = "--task forecast --demo --context-len 48 --horizon 12 --no-plots"
    trained = good(tmp_path, f"--mode train {words} --backbone ridge --reference off")
    kept = checkpoint.Checkpoint.load(trained / "model.pt.best").references
    assert "repeat_last" in kept and not {"theta", "ets"} & set(kept)
    shown = good(tmp_path, f"--mode infer --demo --ckpt {trained} --no-plots --tag later")
    assert strict(shown / "summary.json")["references"]["theta"]["mse"] > 0


def test_weeks_of_less_than_two_years_are_repeated_by_the_backbone_as_by_the_reference(tmp_path):
    """120 weeks, of which 84 are training: the year is repeated, and `auto` relies on that where it is right."""
    weeks = np.arange("2020-01-06", "2022-04-19", 7, dtype="datetime64[D]")
    y = 50 + 10 * np.sin(2 * np.pi * np.arange(120) / 52) + np.random.default_rng(0).normal(size=120)
    lines = "\n".join(f"{week},{value:.3f}" for week, value in zip(weeks, y, strict=True))
    (tmp_path / "w.csv").write_text(f"week,y\n{lines}\n")
    words = "--mode train --task forecast --csv w.csv --time-col week --horizon 12 --no-plots"
    found = strict(good(tmp_path, words, "--backbone seasonal_naive") / "summary.json")
    assert found["fit"]["period"] == 52
    assert found["mse"] == pytest.approx(found["references"]["seasonal_naive"]["mse"], rel=1e-5)
    blend = "--backbone auto --model-args members=seasonal_naive,theta,ets,pretrained_mlp --reference off"
    assert strict(good(tmp_path, words, blend) / "summary.json")["fit"]["members"]["seasonal_naive"]["weight"] > 0.3
