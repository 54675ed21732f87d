"""Trees that see what is known ahead, the calendar and other channels, and the regression beside them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from backbones import ForecastSpec, Hyper, InputSpec
from backbones.base import KnownAhead
from backbones.boosted_known import HYPER, BoostedKnown
from backbones.step_regression import FAR, StepRegression

from .runs import good, strict

QUIET = "--mode train --task forecast --csv t.csv --time-col date --quiet --no-plots --threads 1"
USUAL = {name: row["default"] for name, row in HYPER.items()}


def blank(channels: int, length: int, horizon: int) -> BoostedKnown:
    """Of the first of some channels, with one column known ahead."""
    spec = ForecastSpec(horizon=horizon, targets=(0,), covariates=1)
    return BoostedKnown(InputSpec(channels=channels, length=length, forecast=spec), Hyper("boosted_known", USUAL))


# ---- the regression


def test_the_regression_finds_weights_that_are_parabolas_of_the_step():
    rng, horizon = np.random.default_rng(0), 8
    x = np.column_stack([rng.normal(3, 2, size=(4000, 2)), rng.integers(0, horizon, 4000)])

    def truth(z):
        s = (z[:, 2] + 1) / horizon
        return 1 + (2 - s**2) * z[:, 0] + 0.5 * s * z[:, 1]

    x = x.astype(np.float32)
    line = StepRegression(horizon)
    line.fit(x, truth(x), 1e-9)
    other = np.column_stack([rng.normal(3, 1, size=(50, 2)), rng.integers(0, horizon, 50)]).astype(np.float32)
    np.testing.assert_allclose(line(torch.from_numpy(other)).numpy(), truth(other), atol=1e-3)


def test_the_regression_says_no_more_than_of_what_is_far():
    x = np.column_stack([np.random.default_rng(0).normal(size=500), np.zeros(500)]).astype(np.float32)
    line = StepRegression(1)
    line.fit(x, 5 * x[:, 0], 1e-9)
    limit, beyond = x[:, 0].mean() + FAR * x[:, 0].std(), torch.tensor([[1e6, 0.0]])
    assert float(line(beyond)) == pytest.approx(5 * limit, rel=1e-3)
    line.fit(x, x[:, 0], None)
    assert float(line(beyond)) == 0


def test_noise_is_held_most_strongly():
    rng = np.random.default_rng(0)
    x, other = (np.column_stack([rng.normal(size=(n, 30)), np.zeros(n)]).astype(np.float32) for n in (120, 3000))
    assert StepRegression(1).choose(x, rng.normal(size=120), other, rng.normal(size=3000)) == 1.0


# ---- features


def test_what_trees_see_of_a_step_ahead():
    """By hand: two channels, the second an input alone, one column known ahead, a season of three to start from."""
    model, rng = blank(2, 6, 4), np.random.default_rng(0)
    model.features.see_season(3, seasonal=True)
    x, known = (rng.normal(size=size).astype(np.float32) for size in ((1, 2, 6), (1, 1, 10)))
    found = model.features(torch.from_numpy(x), torch.from_numpy(known), torch.tensor([[0, 3]]))
    table, start, unit = (part.numpy() for part in found)
    changes = np.diff(x[0, 0])
    assert unit[0, 0] == pytest.approx(np.sqrt((changes**2).mean()))
    for row, step in enumerate((0, 3)):
        now, same, u, y = 6 + step, 3 + step % 3, known[0, 0], x[0, 0]
        last, mean = x[0, 1, -1], x[0, 1, -3:].mean()
        beside = [u[now], u[now] - u[same], u[now - 1], u[min(now + 1, 9)], last, last - mean]
        near = [max(same - 1, 0), min(same + 1, 5), max(same - 3, 0), max(same - 6, 0)]
        own = [*(y[:-1] - y[-1]), y[-3:].mean() - y[-1], y.mean() - y[-1], y[-1] - y[2]]
        own += [y[same] - y[-1], *(y[near] - y[same])]
        np.testing.assert_allclose(table[row], [*beside, *(np.array(own) / unit[0, 0]), step], rtol=1e-5, atol=1e-6)
        assert start[0, 0, row] == y[same]


def test_a_window_in_which_nothing_changes_goes_on():
    rng, (length, horizon) = np.random.default_rng(0), (12, 3)
    y, u = rng.normal(size=(1, 400)).cumsum(axis=1), rng.normal(size=(1, 400))
    model = blank(1, length, horizon)
    part = [torch.from_numpy(y).float()]
    model.fit(part, part, part, KnownAhead([u], [u], [u]))
    x = torch.full((2, 1, length), 7.0)
    said = model(x, torch.randn(2, 1, length + horizon))
    assert (said == 7).all() and torch.isfinite(model(x + torch.randn(2, 1, length), torch.zeros(2, 1, 15))).all()


# ---- in the blend


def load(folder, hours=1500):
    """A load that cold and heat both raise: a parabola of a temperature, known ahead, that nothing else tells."""
    rng, t = np.random.default_rng(0), np.arange(hours)
    warm = rng.uniform(-3, 3, hours)
    load = 50 + 5 * np.sin(2 * np.pi * t / 24) + warm**2 + 0.3 * rng.normal(size=hours)
    dates = pd.date_range("2024-01-01", periods=hours, freq="h").strftime("%Y-%m-%d %H:%M")
    pd.DataFrame({"date": dates, "load": load, "warm": warm}).round(4).to_csv(folder / "t.csv", index=False)


@pytest.mark.grows
def test_a_response_that_is_no_straight_line_is_learned(tmp_path):
    """A straight line leaves all of the parabola, 7.2 of the 20 of variance."""
    load(tmp_path)
    words = "--horizon 6 --features MS --target load --known-future warm --model-args members=ridge,ets,boosted_known"
    found = strict(good(tmp_path, QUIET, words) / "summary.json")
    assert found["mse"] < 0.3 * found["references"]["ridge"]["mse"]
    assert found["fit"]["members"]["boosted_known"]["weight"] > 0.9


@pytest.mark.grows
def test_a_checkpoint_forecasts_as_what_was_trained(tmp_path):
    load(tmp_path, 600)
    words = "--horizon 6 --features MS --target load --known-future warm --backbone boosted_known --reference off"
    run = good(tmp_path, QUIET, words)
    again = good(tmp_path, f"--mode infer --csv t.csv --ckpt {run} --eval-split test --quiet --no-plots --tag again")
    one, two = (strict(folder / "summary.json")["mse"] for folder in (run, again))
    assert two == pytest.approx(one, rel=1e-6)


def test_where_nothing_is_known_beside_the_targets_it_is_not_tried(tmp_path):
    load(tmp_path, 300)
    words = "--horizon 4 --columns load --model-args members=ets,boosted_known"
    members = strict(good(tmp_path, QUIET, words) / "summary.json")["fit"]["members"]
    assert members["boosted_known"]["error"] is None and members["boosted_known"]["weight"] == 0
