"""`--backbone auto` for forecasts: short tables with the default command, and what must not change a forecast."""

from __future__ import annotations

import csv
import json

import numpy as np
import pandas as pd
import pytest
import torch

from backbones.shares import doubt, errors, simplest, weights
from checkpoint import BEST, Checkpoint

from .runs import go, good, strict

QUIET = "--mode train --task forecast --csv t.csv --time-col date --quiet --no-plots --threads 1"


def seasonal(n: int, period: int = 12, seed: int = 0, level: float = 100.0) -> np.ndarray:
    rng, t = np.random.default_rng(seed), np.arange(n)
    wave = np.sin(2 * np.pi * t / period) + 0.4 * np.cos(4 * np.pi * t / period)
    return np.round(level * (1 + 0.003 * t + 0.2 * wave + 0.03 * rng.normal(size=n)), 4)


def written(folder, freq: str, **series: np.ndarray) -> None:
    """One file t.csv of series that end at different times; without an id where there is one."""
    parts = []
    for name, values in series.items():
        dates = pd.date_range("2001-01-01", periods=len(values), freq=freq).strftime("%Y-%m-%d")
        parts.append(pd.DataFrame({"date": dates, "id": name, "y": values}))
    frame = pd.concat(parts)
    (frame if len(series) > 1 else frame.drop(columns="id")).to_csv(folder / "t.csv", index=False)


def ahead(run) -> dict[str, np.ndarray]:
    """Of each series what forecast.csv says, [H, 3]: value, low, high."""
    found: dict[str, list[list[float]]] = {}
    with (run / "forecast.csv").open(newline="") as file:
        for line in csv.DictReader(file):
            found.setdefault(line.get("row", ""), []).append([float(line[key]) for key in ("value", "low", "high")])
    return {row: np.array(values) for row, values in found.items()}


def predicted(folder, run) -> dict[str, np.ndarray]:
    return ahead(good(folder, f"--mode infer --csv t.csv --ckpt {run} --quiet --no-plots --overwrite"))


@pytest.mark.parametrize(
    ("freq", "n", "horizon"),
    [("MS", 36, 6), ("MS", 60, 10), ("MS", 108, 12), ("MS", 144, 12), ("W-MON", 120, 12), ("YS", 30, 5)],
)
def test_short_tables_are_forecast_with_the_default_command(tmp_path, freq, n, horizon):
    values = seasonal(n, 52 if freq == "W-MON" else 12)
    written(
        tmp_path,
        freq,
        a=np.round(100 + np.cumsum(np.random.default_rng(1).normal(0.5, 1, n)), 3) if n == 30 else values,
    )
    content = strict(good(tmp_path, QUIET, "--backbone auto") / "summary.json")
    assert content["horizon"] == horizon and content["context"] < n and content["n"] >= 1
    assert all(np.isfinite(content[name]) for name in ("mse", "mase", "crps"))
    assert content["calibration"]["chosen_on"] == "backtests"
    assert sum(member["weight"] for member in content["fit"]["members"].values()) == pytest.approx(1)


@pytest.fixture(scope="module")
def panel(tmp_path_factory):
    """Two runs' worth of a table: a folder with four monthly series of very different levels, and a run on them."""
    folder = tmp_path_factory.mktemp("panel")
    levels = {"a": 40.0, "b": 300.0, "c": 1500.0, "d": 310_000.0}
    table = {name: seasonal(70 + 9 * i, 12, i, level) for i, (name, level) in enumerate(levels.items())}
    written(folder, "MS", **table)
    run = good(folder, QUIET, "--id-col id --horizon 6 --backbone auto --save-preds")
    return folder, table, run


def test_series_of_very_different_levels_are_each_forecast_by_their_season(panel):
    folder, table, run = panel
    kept = np.load(run / "preds.npz")
    for name, values in table.items():
        own = kept["row"] == name
        error = np.abs(kept["pred"] - kept["truth"])[own].mean()
        assert error < 0.5 * np.abs(np.diff(values)).mean(), name  # repeat-last is at more than 1
    assert strict(run / "summary.json")["interval"]["coverage"] > 0.75


def test_what_a_month_adds_is_a_share_of_what_a_series_is(tmp_path):
    """Sales of different size with a week and months that come in steps: members learned the calendar of series each in
    its own units, and put it on the data's, or, in the data's, the same on each.
    """
    draw, days = np.random.default_rng(0), np.arange("2019-01-01", "2023-01-01", dtype="datetime64[D]")
    month = days.astype("datetime64[M]").astype(int) % 12
    factor = draw.uniform(0.6, 1.5, 12)[month] * (1 + 0.1 * (np.arange(len(days)) % 7 > 4))
    written(tmp_path, "D", **{f"s{level}": draw.poisson(level * factor).astype(float) for level in (10, 20, 40, 160)})
    run = good(tmp_path, QUIET.replace("--reference off", ""), "--id-col id --horizon 14 --model-args members=ridge")
    found = strict(run / "summary.json")
    assert (
        found["mse"] < 0.95 * found["references"]["ridge"]["mse"] < 0.8 * found["references"]["seasonal_naive"]["mse"]
    )


def test_a_promotion_adds_a_share_of_what_a_shop_sells(tmp_path):
    """Shops that sell 10 to 10,000, known days on which each sells half as much again: within the noise of 5 % on these
    days too, by the model that was trained and by its checkpoint. A member had put the largest shop's on all."""
    draw, days = np.random.default_rng(0), np.arange("2022-01-01", "2022-11-01", dtype="datetime64[D]")
    lines, levels = ["day,id,sold,promo"], {"a": 10.0, "b": 300.0, "c": 10_000.0}
    for name, level in levels.items():
        promo = (draw.random(len(days)) < 0.15).astype(int)
        sold = level * (1 + 0.5 * promo) * np.exp(0.05 * draw.normal(size=len(days)))
        lines += [f"{day},{name},{x:.4f},{p}" for day, x, p in zip(days, sold, promo, strict=True)]
    (tmp_path / "t.csv").write_text("\n".join(lines) + "\n")
    words = "--id-col id --time-col day --features MS --target sold --known-future promo --horizon 7 --save-preds"
    run = good(tmp_path, QUIET, words, "--model-args members=ridge,ets")
    kept, found = np.load(run / "preds.npz"), strict(run / "summary.json")
    for name, level in levels.items():
        own = kept["row"] == name
        assert np.abs(kept["pred"] - kept["truth"])[own].mean() < 0.08 * level, name
    again = good(tmp_path, f"--mode infer --csv t.csv --ckpt {run} --eval-split test --quiet --no-plots --tag again")
    assert strict(again / "summary.json")["mse"] == pytest.approx(found["mse"], rel=1e-5)


@pytest.mark.parametrize(("small", "earns"), [(14, True), (3, False)])
def test_where_the_largest_of_many_series_go_their_own_way_a_member_in_units_of_the_data_helps(tmp_path, small, earns):
    """Two series of some 10,000 swing, all others of some 10 wander: one map for all in their own units is that of the
    small ones. Of few series it is not tried."""
    draw, n = np.random.default_rng(0), 120
    noise = [draw.normal(size=n) for _ in range(small + 2)]
    written(
        tmp_path,
        "MS",
        **{f"s{i}": np.round(20 + np.cumsum(noise[i]), 3) for i in range(small)},
        **{f"l{i}": 3e4 + 1e4 * np.cos(np.arange(n) * 0.7 + i) + 500 * noise[small + i] for i in range(2)},
    )
    words = "--id-col id --horizon 4 --context-len 12 --model-args"
    run = good(tmp_path, QUIET.replace("--reference off", ""), words, "'members=ridge,ridge units=data'")
    found = strict(run / "summary.json")
    own, data = found["fit"]["members"]["ridge"], found["fit"]["members"]["ridge units=data"]
    if not earns:
        assert data["error"] is None and data["weight"] == 0 and own["weight"] == 1
        return
    alone = strict(good(tmp_path, QUIET, words, "members=ridge --tag alone") / "summary.json")
    assert data["weight"] > 0.1 and found["mse"] < 0.9 * alone["mse"]
    again = good(tmp_path, f"--mode infer --csv t.csv --ckpt {run} --eval-split test --quiet --no-plots --tag again")
    assert strict(again / "summary.json")["mse"] == pytest.approx(found["mse"], rel=1e-5)


def test_scaling_the_series_scales_the_forecasts(panel, tmp_path):
    folder, table, run = panel
    written(tmp_path, "MS", **{name: values * 1024 for name, values in table.items()})
    other = good(tmp_path, QUIET, "--id-col id --horizon 6 --backbone auto")
    one, two = predicted(folder, run), predicted(tmp_path, other)
    for name, values in one.items():
        np.testing.assert_allclose(two[name] / 1024, values, rtol=1e-3)


def test_permuting_the_series_permutes_the_forecasts(panel, tmp_path):
    folder, table, run = panel
    written(tmp_path, "MS", **{name: table[name] for name in "cadb"})
    one, two = (
        predicted(folder, run),
        predicted(tmp_path, good(tmp_path, QUIET, "--id-col id --horizon 6 --backbone auto")),
    )
    assert list(two) == list("cadb")
    for name, values in one.items():
        np.testing.assert_allclose(two[name], values, rtol=1e-3)


def test_nothing_of_the_scored_part_is_seen(panel, tmp_path):
    """Other values in the test part: the same checkpoint, tensor by tensor, and the same margins."""
    folder, table, run = panel
    first = Checkpoint.load(run / BEST)
    cuts = first.split["cuts"]["test_from"]
    other = {
        name: np.append(values[:cut], values[cut:][::-1] * 1.3)
        for (name, values), cut in zip(table.items(), cuts, strict=True)
    }
    written(tmp_path, "MS", **other)
    found = Checkpoint.load(good(tmp_path, QUIET, "--id-col id --horizon 6 --backbone auto") / BEST)
    assert found.state.keys() == first.state.keys()
    assert all(torch.equal(found.state[key], first.state[key]) for key in first.state)
    assert torch.equal(found.calibration["margin"], first.calibration["margin"])


def test_new_series_are_forecast_from_their_own_history(panel, tmp_path):
    folder, _, run = panel
    fresh = seasonal(64, 12, 9, 70.0)
    written(tmp_path, "MS", x=fresh, y=fresh * 50)
    found = predicted(tmp_path, run)
    t = np.arange(64, 70)
    truth = 70.0 * (1 + 0.003 * t + 0.2 * (np.sin(2 * np.pi * t / 12) + 0.4 * np.cos(4 * np.pi * t / 12)))
    np.testing.assert_allclose(found["x"][:, 0], truth, rtol=0.12)
    np.testing.assert_allclose(found["y"][:, 0], 50 * found["x"][:, 0], rtol=3e-3)


def test_a_walk_is_forecast_about_as_its_last_value(tmp_path):
    walk = np.round(100 + np.cumsum(np.random.default_rng(3).normal(size=900)), 3)
    written(tmp_path, "D", a=walk)
    content = json.loads((good(tmp_path, QUIET, "--horizon 10 --backbone auto") / "summary.json").read_text())
    assert content["mse"] < 1.03 * content["references"]["repeat_last"]["mse"]


def test_other_channels_are_seen_by_the_members_that_can(tmp_path):
    """y is z eight steps before: nothing that sees y alone can forecast it."""
    rng = np.random.default_rng(0)
    z = rng.normal(size=300)
    y = np.roll(z, 8) + 0.05 * rng.normal(size=300)
    dates = pd.date_range("2020-01-01", periods=300, freq="D").strftime("%Y-%m-%d")
    pd.DataFrame({"date": dates, "y": y, "z": z}).round(4).to_csv(tmp_path / "t.csv", index=False)
    words = "--horizon 4 --context-len 16 --features MS --target y"
    assert strict(good(tmp_path, QUIET, words) / "summary.json")["mse"] < 0.15


# ---- weights


def test_errors_are_shares_of_the_mean_of_all_series_by_series():
    truth = torch.zeros(4, 1, 2)
    found = torch.tensor([1.0, 2.0])[:, None, None, None] * torch.ones(2, 4, 1, 2)
    found[:, 2:] *= 1000  # a second series, a thousand times as large
    rows = np.array([0, 0, 1, 1])
    share = errors(found, truth, rows, series=40)
    np.testing.assert_allclose(share[:, 0], [1 / 2.5, 4 / 2.5])
    found[1, :2] = torch.nan  # not fitted in the first series: as elsewhere, halfway to the mean of all
    assert share[0, 0] < errors(found, truth, rows, series=40)[1, 0] < np.inf
    found[1] = torch.nan
    assert errors(found, truth, rows, series=40)[1, 0] == np.inf


def test_no_wild_stretch_of_a_series_decides_for_all_of_its_backtests():
    """By hand: the first member is three times as far off at one of four backtests, where all errors are large."""
    truth = torch.zeros(4, 1, 1)
    found = torch.tensor([[1.0, 1.0, 1.0, 30.0], [2.0, 2.0, 2.0, 10.0]])[:, :, None, None]
    rows = np.zeros(4, np.int64)
    one = errors(found, truth, rows, series=1)[:, 0]
    shares = np.array([903.0, 112.0]) / (1015 / 2)  # of summed squares
    least = 0.001 * (903 + 112) / 8  # of the mean error
    small, large = np.array([1, 4]) + least, np.array([900, 100]) + least
    each = (3 * small / np.sqrt(small.prod()) + large / np.sqrt(large.prod())) / 4
    np.testing.assert_allclose(one, shares ** (1 / 3) * each ** (2 / 3))  # four count as half of eight
    found[0, :2] = 0.0  # nothing changes there, and a member says so
    assert errors(found, truth, rows, series=1).max() < 10
    found[1, 0] = torch.nan
    some = errors(found, truth, rows, series=1)
    assert np.isfinite(some).all()
    found[1] = torch.nan
    assert errors(found, truth, rows, series=1)[1, 0] == np.inf


def test_weights_are_a_softmax_of_log_errors_of_many_and_of_the_prior_for_few():
    error = np.array([[1.0], [0.8], [np.inf]])
    many = weights(error, [0.0, 0.0, 0.0], tests=4, series=40)
    by_hand = np.array([1.0, 0.8**-5, 0.0])
    np.testing.assert_allclose(many[:, 0], by_hand / by_hand.sum())
    few = weights(error, [0.0, 0.1, 0.0], tests=8, series=1)
    by_hand = np.exp(-np.array([0.0, np.log(0.8) / 2 + 0.1 / 2]) / 0.15)
    np.testing.assert_allclose(few[:2, 0], by_hand / by_hand.sum())
    assert few[2, 0] == 0


def test_of_who_could_not_be_tried_as_it_will_be_the_error_is_taken_as_usual():
    """Two members are e^.3 worse than usual; the third, tried nowhere, is thought so too."""
    usual = [0.1, -0.2, -0.5]
    error = np.exp([[0.4], [0.1], [np.inf]])
    weight = weights(error, usual, tests=8, series=1, untested=[False, False, True])[:, 0]
    z = np.array([0.4, 0.1, -0.2]) / 2 + np.array(usual) / 2
    by_hand = np.exp(-z / 0.15)
    by_hand[by_hand < 0.05 * by_hand.max()] = 0
    np.testing.assert_allclose(weight, by_hand / by_hand.sum())
    nowhere = weights(np.full((2, 1), np.inf), usual[:2], tests=8, series=1, untested=[True, True])[:, 0]
    np.testing.assert_allclose(nowhere[1] / nowhere[0], np.exp(0.3 / 0.15))  # by what is usual alone


@pytest.mark.parametrize(("doubted", "temperature"), [(0.0, 0.05), (0.1, 0.07), (9.0, 0.15)])
def test_many_backtests_of_one_series_decide_as_far_as_they_leave_no_doubt(doubted, temperature):
    error, tests = np.array([[1.0], [0.95]]), 48  # six that share no step
    weight = weights(error, [0.0, 0.0], tests, series=1, doubted=np.array([doubted, 0.0]))[:, 0]
    odds = 0.95 ** (36 / 37 / temperature)
    np.testing.assert_allclose(weight, [odds / (1 + odds), 1 / (1 + odds)])


def test_series_that_share_their_dates_tell_no_more_than_these_do():
    """Of 45 series two of four dates are a holiday's, to which one member is right and the other two are not."""
    off = np.array([[0.18, 0.18, 0.12, 0.18], [0.4, 0.4, 0.23, 0.14], [0.12, 0.12, 0.12, 1e6]])
    series, dates = 45, 4
    back = np.tile(np.arange(dates), series)
    rows = np.repeat(np.arange(series), dates)
    found = torch.from_numpy(off[:, back])[:, :, None, None] * (1 + rows)[:, None, None]  # each of its own size
    truth = torch.zeros(found.shape[1:])
    square = off**2 + 0.001 * (off[0] ** 2).mean()
    of_two = np.log(square[1:] / square[0]).std(axis=1, ddof=1) / np.sqrt(2.5)  # five halves that share nothing
    doubted = doubt(found, truth, rows, back)
    np.testing.assert_allclose(doubted, [0, *of_two], rtol=1e-6)
    share = errors(found, truth, rows, series)
    weight = weights(share, [0.0] * 3, dates, series, doubted)[:, 0]
    told = share[1, 0] / share[0, 0]
    assert weight[1] / weight[0] == pytest.approx(told ** (-1 / (0.7 * of_two[0])), rel=1e-6)
    assert 0.05 < weight[1] < 0.2 and weight[2] == 0  # none for what was wrong beyond measure, however seldom
    assert weights(share, [0.0] * 3, dates, series)[1, 0] == 0


def test_dates_that_agree_leave_no_doubt():
    rng, series = np.random.default_rng(0), 200
    back, rows = np.tile(np.arange(4), series), np.repeat(np.arange(series), 4)
    truth = torch.zeros(4 * series, 1, 6)
    found = torch.from_numpy(rng.normal(size=(3, 4 * series, 1, 6)) * np.array([1, 1.2, 1.5])[:, None, None, None])
    assert doubt(found, truth, rows, back).max() < 0.1
    found[2] = torch.nan
    assert doubt(found, truth, rows, back)[2] == 0
    assert not doubt(found, truth, rows, 0 * back).any()  # one date tells nothing of others


@pytest.mark.parametrize(("better", "plain"), [(1.0, True), (1.05, True), (0.9, False)])
def test_many_walks_are_their_last_values_unless_a_blend_is_clearly_better(better, plain):
    truth = torch.zeros(80, 1, 2)
    off = torch.from_numpy(np.random.default_rng(0).normal(size=(80, 1, 2))).float()
    found = torch.stack([off, better * off])
    weight = np.array([[0.0], [1.0]])
    chosen = simplest(weight, found, truth, np.arange(80) // 4, plain=0)
    assert chosen.tolist() == ([[1.0], [0.0]] if plain else [[0.0], [1.0]])


def test_two_days_of_hours_are_forecast_from_the_day_before_and_that_it_could_not_be_tried_is_told(tmp_path):
    """Of 33 hours 28 come before the test part, and no backtest has a day before it."""
    t = np.arange(33)
    day = np.random.default_rng(3).normal(0, 10, 24)
    y = 200 + day[t % 24] + np.random.default_rng(4).normal(0, 0.5, 33)
    dates = pd.date_range("2024-03-01", periods=33, freq="h")
    pd.DataFrame({"date": dates, "y": y}).to_csv(tmp_path / "t.csv", index=False)
    done = go(tmp_path, QUIET.replace("--quiet ", ""), "--horizon 5")
    content = strict(done.directory / "summary.json")
    assert content["fit"]["members"]["last_cycle"]["error"] is None
    assert content["fit"]["members"]["last_cycle"]["weight"] > 0.5
    assert content["mse"] < 0.5 * min(one["mse"] for one in content["references"].values())
    assert "no backtest has as much before it as last_cycle asks for, whose weight is the usual one" in done.err


def test_a_series_without_a_cycle_is_forecast_by_those_that_ask_for_none(tmp_path):
    """What repeats a day has most weight, and of half a day it says the last value: that is left to the others."""
    rng, t = np.random.default_rng(5), np.arange(44)
    y = 200 + 2 * t + np.random.default_rng(3).normal(0, 4, 24)[t % 24] + rng.normal(0, 6, 44)
    dates = pd.date_range("2024-03-01", periods=44, freq="h")
    pd.DataFrame({"date": dates, "y": y}).to_csv(tmp_path / "t.csv", index=False)
    run = good(tmp_path, QUIET, "--horizon 5 --model-args members=last_cycle,ets")
    weights = {name: one["weight"] for name, one in strict(run / "summary.json")["fit"]["members"].items()}
    assert 0.05 < weights["ets"] < weights["last_cycle"]
    climbs = pd.DataFrame({"date": dates[:16], "y": 100 + 2.0 * np.arange(16)})
    climbs.to_csv(tmp_path / "t.csv", index=False)
    np.testing.assert_allclose(predicted(tmp_path, run)[""][:, 0], 130 + 2 * np.arange(1, 6), rtol=0.01)
