"""Forecasts over other horizons than the trained one, and with a floor; the commands, and the margins behind them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import tsrun
from data import Series, extended
from tasks.forecast.growth import growth, reaching
from tasks.forecast.levels import Levels
from tasks.forecast.reach import in_units, joined, raised
from tasks.predictions import Predictions
from times.clock import Clock
from windows import Index

from . import runs
from .runs import go, strict

WORDS = "--mode train --task forecast --csv load.csv --time-col date --context-len 24 --horizon 6 --no-plots"
QUICK = "--epochs 1 --reference off"
BACKBONES = ("ridge", "dlinear", "seasonal_naive", "auto")


def hours(count=260, level=3.0):
    t = np.arange(count)
    rng = np.random.default_rng(4)
    values = {
        "a": level + np.sin(t / 4) + 0.1 * rng.normal(size=count),
        "b": np.cos(t / 6) + 0.1 * rng.normal(size=count),
    }
    return pd.DataFrame(values, pd.date_range("2024-03-01", periods=count, freq="h", name="date"))


def trained(folder, frame, words):
    frame.to_csv(folder / "load.csv")
    done = go(folder, WORDS, QUICK, words)
    assert done.code == 0, done.err
    return done.directory


@pytest.fixture(scope="module", params=BACKBONES)
def run(request, tmp_path_factory):
    return trained(tmp_path_factory.mktemp(request.param), hours(), f"--backbone {request.param}")


def values(table):
    return table.pivot(index="date", columns="channel", values="value")


def test_a_shorter_horizon_is_the_beginning_of_the_trained_one(run):
    model, frame = tsrun.load(run), hours()
    whole, short = model.predict(frame), model.predict(frame, horizon=2)
    pd.testing.assert_frame_equal(short, whole.groupby("channel").head(2).reset_index(drop=True))


def test_a_longer_horizon_is_a_loop_by_hand(run):
    model, frame = tsrun.load(run), hours()
    found = values(model.predict(frame, horizon=15))
    longer = frame.copy()
    for _ in range(3):
        more = values(model.predict(longer))
        longer = pd.concat([longer, more.rename_axis("date")[list(frame)]])
    assert len(found) == 15 and list(found.index) == list(longer.index[len(frame) : len(frame) + 15])
    np.testing.assert_allclose(found, longer[len(frame) : len(frame) + 15][found.columns], rtol=2e-5, atol=2e-6)


def test_intervals_grow_on_beyond_the_trained_steps(run):
    found = tsrun.load(run).predict(hours(), horizon=24)
    for _, one in found.groupby("channel"):
        width = (one["high"] - one["low"]).to_numpy()
        assert (np.diff(width[6:]) >= -1e-4).all() and width[6:].min() >= width[3:6].max() * 0.999
        assert (one["low"] < one["value"]).all() and (one["value"] < one["high"]).all()


def test_the_command_names_runs_by_the_horizon_and_scores_it(run):
    folder = run.parent.parent
    done = go(
        folder, f"--mode infer --ckpt {run} --csv load.csv --horizon 2 --eval-split test --reference off --no-plots"
    )
    assert done.code == 0, done.err
    content, whole = strict(done.directory / "summary.json"), strict(run / "summary.json")
    assert "_h2_" in done.directory.name and content["horizon"] == 2 and len(content["per_step"]["mse"]) == 2
    np.testing.assert_allclose(content["per_step"]["mse"], whole["per_step"]["mse"][:2], rtol=1e-4)
    longer = go(folder, f"--mode infer --ckpt {run} --csv load.csv --horizon 9 --reference off --no-plots")
    assert "6 steps are forecast at once: the others go on from these forecasts" in longer.err
    assert len(pd.read_csv(longer.directory / "forecast.csv")) == 18


def test_the_horizon_still_binds_where_a_checkpoint_is_trained_on(run):
    done = go(run.parent.parent, f"--mode finetune --ckpt {run} --csv load.csv --horizon 2 --no-plots")
    assert done.code == 4 and "--horizon 2 (the checkpoint has 6)" in done.err


def test_a_model_that_sees_what_it_does_not_forecast_cannot_go_on(tmp_path):
    run = trained(tmp_path, hours(), "--backbone ridge --features MS --target a")
    with pytest.raises(tsrun.TsrunError, match="sees b, which it does not forecast"):
        tsrun.load(run).predict(hours(), horizon=7)
    assert len(tsrun.load(run).predict(hours(), horizon=5)) == 5


def test_what_is_known_ahead_must_reach_as_far(tmp_path):
    frame = hours()
    run = trained(tmp_path, frame, "--backbone ridge --features MS --target a --known-future b")
    ahead = pd.DataFrame({"a": np.nan, "b": 1.0}, pd.date_range(frame.index[-1], periods=16, freq="h")[1:])
    given = pd.concat([frame, ahead])
    model = tsrun.load(run)
    assert len(model.predict(given, horizon=15)) == 15
    with pytest.raises(tsrun.TsrunError, match="b must be given for all the 18 steps"):
        model.predict(given, horizon=18)


def test_quantiles_go_on_in_order_and_around_the_point(tmp_path):
    run = trained(tmp_path, hours(), "--backbone dlinear --quantiles 0.1 0.9 --features S --target a")
    found = tsrun.load(run).predict(hours(), horizon=20)
    assert len(found) == 20 and (found["q0.10"] <= found["value"]).all() and (found["value"] <= found["q0.90"]).all()


@pytest.mark.parametrize("backbone", ["ridge", "dlinear --quantiles 0.1 0.9", "auto"])
def test_nothing_is_forecast_below_the_floor(backbone, tmp_path):
    frame = hours(level=0.2).clip(lower=0)
    if "auto" in backbone or "quantiles" in backbone:
        frame = frame[["a"]]
    run = trained(tmp_path, frame, f"--backbone {backbone} --floor 0 --save-preds")
    content, saved = strict(run / "summary.json"), np.load(run / "preds.npz")
    for name in ("pred", "low", "high"):
        assert saved[name].min() >= 0, name
    assert content["floor"]["share"] == pytest.approx((saved["pred"] <= 1e-6).mean(), abs=0.02)
    inside = (saved["truth"] >= saved["low"] - 1e-6) & (saved["truth"] <= saved["high"] + 1e-6)
    assert content["interval"]["coverage"] == pytest.approx(inside.mean(), abs=0.02)  # a plain count
    model = tsrun.load(run)
    for table in (model.predict(frame), model.predict(frame, horizon=20)):
        numbers = table.drop(columns=["date", "channel"])
        assert numbers.to_numpy().min() == 0 or numbers.to_numpy().min() > 0


def test_a_floor_may_come_with_inference_and_is_told(tmp_path):
    frame = hours(level=0.2)
    run = trained(tmp_path, frame, "--backbone ridge")
    free, held = tsrun.load(run).predict(frame), tsrun.load(run).predict(frame, floor=0.5)
    assert free["value"].min() < 0.5
    np.testing.assert_allclose(held["value"], free["value"].clip(lower=0.5), rtol=1e-5)
    np.testing.assert_allclose(held["low"], free["low"].clip(lower=0.5), rtol=1e-5)
    words = f"--mode infer --ckpt {run} --csv load.csv --floor 0.5 --reference off --no-plots"
    assert "--floor holds up " in go(tmp_path, words).out


def test_margins_grow_halfway_to_the_usual_power():
    margin = 2.0 * np.arange(1, 9.0) ** 0.65
    assert growth(margin) == pytest.approx(0.5) and growth(np.ones(1)) == 0.5 and growth(np.ones(8)) == 0.175
    found = reaching(margin[None], 16)
    np.testing.assert_allclose(found[0, :8], margin)
    np.testing.assert_allclose(found[0, 8:], margin[7] * (np.arange(9, 17) / 8) ** 0.5)
    np.testing.assert_array_equal(reaching(margin[None], 3), margin[None, :3])
    np.testing.assert_array_equal(reaching(-margin[None], 10)[0, 8:], [-margin[6]] * 2)


def test_a_series_goes_on_by_rows_on_its_clock_and_with_what_is_known():
    hour = 3_600_000_000_000
    time = hour * np.array([0, 1, 2, 10, 11])
    series = Series(
        np.arange(10, dtype=np.float32).reshape(2, 5), np.array([0, 3, 5]), ("a", "k"), ("x", "y"), time=time,
        clock=Clock("h"), known=("k",), after=np.arange(6.0).reshape(1, 2, 3), filled=np.ones((2, 5), bool),
    )  # fmt: skip
    found = extended(series, ["a"], np.array([[[7.0, 8.0]], [[np.nan, np.nan]]]))
    nan = np.nan
    np.testing.assert_array_equal(found.values, [[0, 1, 2, 7, 8, 3, 4, nan, nan], [5, 6, 7, 0, 1, 8, 9, 3, 4]])
    assert list(found.time // hour) == [0, 1, 2, 3, 4, 10, 11, 12, 13] and list(found.offsets) == [0, 5, 9]
    assert found.after.tolist() == [[[2.0], [5.0]]] and not found.filled[:, [3, 4, 7, 8]].any()


def test_joined_quantiles_spread_as_they_would_so_far_ahead():
    index = Index(np.array([0]), np.array([1]), np.array([0]), 1, 4, 4, 2)
    part = Predictions(index, np.array([[[-1.0, -2.0], [0.0, 0.0], [1.0, 2.0]]]), None)
    found = joined([part, part], Levels((0.1, 0.5, 0.9), (0.1, 0.9)), 1, 3)
    assert found.index.horizon == 3
    np.testing.assert_allclose(found.pred[0], [[-1, -2, -(3**0.35)], [0, 0, 0], [1, 2, 3**0.35]])


def test_only_outputs_below_the_floor_of_their_channel_are_raised():
    import torch

    found = raised(torch.tensor([[[-1.0, 3.0], [-1.0, 3.0]]]), (0.0, 2.0), 1)
    assert found.tolist() == [[[0.0, 3.0], [2.0, 3.0]]]
    assert runs.built("forecast").options.floor is None


def test_what_is_held_at_a_floor_is_the_floor_in_units_of_the_file():
    """Standardised in float32, 0 comes back as 5e-6 or so: (0 - 123.4) / 306.9 is no float32."""
    mean, std, floors = np.array([[123.4], [10.0]]), np.array([[306.9], [2.0]]), np.array([[0.0], [-np.inf]])
    least = ((floors - mean) / std).astype(np.float32)
    assert float(least[0, 0]) * 306.9 + 123.4 > 0
    values = np.array([[least[0, 0], 1.0], [-7.0, 0.5]], np.float32)
    np.testing.assert_allclose(in_units(values, mean, std, floors), [[0.0, 430.3], [-4.0, 11.0]], rtol=1e-6, atol=0)
