"""tasks/forecast.py through the real path: long CSVs in, judged forecasts and what comes next out."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tasks.forecast import viz

from .runs import go, good, numbers, strict

TRAIN = "--mode train --task forecast --time-col date --context-len 24 --horizon 6 --reference off --no-plots"
QUICK = f"{TRAIN} --backbone dlinear --epochs 2 --model-args kernel=5"


def lay_hours(folder: Path, name="load.csv", hours=400, start="2016-07-01", seed=0, tz=None, **columns) -> Path:
    """A long CSV of two noisy daily cycles, `a` of level 50 and `b` of level 3."""
    rng = np.random.default_rng(seed)
    times = pd.date_range(start, periods=hours, freq="h", tz=tz)
    cycle = np.sin(2 * np.pi * np.arange(hours) / 24)
    table = {"a": 50 + 10 * cycle + rng.normal(size=hours), "b": 3 - cycle + 0.1 * rng.normal(size=hours)}
    frame = pd.DataFrame({"date": times.map(str), **table, **columns})
    frame.to_csv(folder / name, index=False, float_format="%.4f")
    return folder / name


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


# --- what a run leaves -----------------------------------------------------------------------------------------------


def test_a_run_leaves_what_is_promised_and_its_figures_are_those_of_its_forecasts(tmp_path):
    path = lay_hours(tmp_path)
    words = QUICK.replace("--reference off --no-plots", "")
    folder = good(tmp_path, words, "--csv load.csv --save-preds --seed 3")
    assert folder.name == "train_forecast_ctx24_ch2_h6_M_dlinear_seed3_splitholdout"
    names = {"config.yaml", "error_by_step.png", "forecast.png", "history.csv", "learning_curve.png", "manifest.json"}
    assert {p.name for p in folder.iterdir()} == names | {
        "model.pt", "model.pt.best", "index.html", "preds.npz", "forecast.csv", "summary.json",
    }  # fmt: skip
    content, saved = strict(folder / "summary.json"), np.load(folder / "preds.npz")
    # 400 hours, a fifth for test, a tenth for validation; every window whose six steps lie in the part
    assert content["n"] == 80 - 6 + 1 and content["validation"]["n"] == 40 - 6 + 1
    frame = pd.read_csv(path)
    truth = frame[["a", "b"]].to_numpy(np.float32).T
    expected = np.stack([truth[:, 320 + i : 326 + i] for i in range(75)])
    assert np.allclose(saved["truth"], expected, rtol=1e-5)
    assert list(pd.to_datetime(saved["time"])) == list(pd.to_datetime(frame["date"][320:395]))
    error = saved["pred"].astype(float) - saved["truth"]
    std = truth[:, :280].astype(float).std(axis=1)
    assert content["mse"] == pytest.approx(np.mean((error / std[:, None]) ** 2), rel=1e-4)
    assert content["original"]["mae"] == pytest.approx(np.mean(abs(error)), rel=1e-4)
    assert content["original"]["per_channel"]["a"]["rmse"] == pytest.approx(
        np.sqrt(np.mean(error[:, 0] ** 2)), rel=1e-4
    )
    assert content["per_step"]["mae"][5] == pytest.approx(np.mean(abs(error / std[:, None])[:, :, 5]), rel=1e-4)
    naive = abs(truth[:, 24:280] - truth[:, :256]).mean(axis=1)  # a day: the period found in training
    mase = np.mean(abs(error).mean(axis=(0, 2)) / naive)
    assert content["mase"] == pytest.approx(mase, rel=1e-3)
    inside = (saved["truth"] >= saved["low"]) & (saved["truth"] <= saved["high"])
    assert content["interval"]["coverage"] == pytest.approx(inside.mean(), abs=1e-3)
    assert content["horizon"] == 6 and content["context"] == 24 and content["seed"] == 3


@pytest.mark.slow
def test_figures_do_not_depend_on_the_batch_size(tmp_path):
    lay_hours(tmp_path)
    good(tmp_path, QUICK, "--csv load.csv --desc x")
    found = []
    for size in (1, 7, 64, 1000):
        words = f"--mode infer --csv load.csv --eval-split test --no-plots --batch-size {size} --desc b{size}"
        run = "artifacts/train_forecast_ctx24_ch2_h6_M_dlinear_seed777_splitholdout_x"
        found.append(strict(good(tmp_path, words, "--ckpt", run) / "summary.json"))
    for other in found[1:]:
        assert other["mse"] == pytest.approx(found[0]["mse"], rel=1e-6)
        assert other["original"]["smape"] == pytest.approx(found[0]["original"]["smape"], rel=1e-6)


def test_the_references_are_what_their_names_say(tmp_path):
    path = lay_hours(tmp_path)
    words = QUICK.replace("--reference off", "")
    content = strict(good(tmp_path, words, "--csv load.csv") / "summary.json")
    values = pd.read_csv(path)[["a", "b"]].to_numpy(np.float32).astype(float)
    scaled = (values - values[:280].mean(axis=0)) / values[:280].std(axis=0)
    ends = range(320, 395)
    last = np.mean([(scaled[t : t + 6] - scaled[t - 1]) ** 2 for t in ends])
    day = np.mean([(scaled[t : t + 6] - scaled[t - 24 : t - 18]) ** 2 for t in ends])
    assert content["references"]["repeat_last"]["mse"] == pytest.approx(last, rel=1e-4)
    assert content["references"]["seasonal_naive"]["mse"] == pytest.approx(day, rel=1e-4)
    assert content["references"]["ridge"]["mse"] < content["references"]["repeat_last"]["mse"]


@pytest.mark.slow
def test_features_choose_what_goes_in_and_what_comes_out(tmp_path):
    lay_hours(tmp_path, text=["x"] * 400)  # a column that nobody asks for may hold anything
    for features, channels, inputs in (("S", 1, ["b"]), ("MS", 2, ["a", "b"])):
        lay_hours(tmp_path) if features == "MS" else None
        folder = good(tmp_path, TRAIN, f"--csv load.csv --features {features} --target b --backbone gru --epochs 1")
        assert folder.name == f"train_forecast_ctx24_ch{channels}_h6_{features}_b_gru_seed777_splitholdout"
        assert list(strict(folder / "summary.json")["per_channel"]) == ["b"]
        assert strict(folder / "manifest.json")["data"]["channels"] == inputs


@pytest.mark.slow
def test_every_setting_of_the_published_example_is_taken(tmp_path):
    lay_hours(tmp_path, name="ETTh1.csv", hours=700)
    line = (
        "--mode train --task forecast --csv ETTh1.csv --time-col date --features M --target a --context-len 96 "
        "--horizon 24 --backbone informer --split-sizes 400,140,140 --epochs 1 --batch-size 64 --no-plots "
        "--model-args d_model=16 n_heads=2 e_layers=2 d_layers=1 d_ff=32 factor=5 dropout=0.05 label_len=48 "
        "distil=true mix=true revin=true"
    )
    content = strict(good(tmp_path, line) / "summary.json")
    assert content["n"] == 140 - 24 + 1 and content["split_sizes"] == [400, 140, 140]


def test_the_default_backbone_needs_no_epochs(tmp_path):
    lay_hours(tmp_path, hours=900)
    folder = good(tmp_path, TRAIN, "--csv load.csv")
    content = strict(folder / "summary.json")
    assert content["backbone"] == "auto" and content["fit"]
    assert not (folder / "history.csv").exists()
    again = good(
        tmp_path, "--mode infer --csv load.csv --eval-split test --no-plots --ckpt", folder.relative_to(tmp_path)
    )
    assert strict(again / "summary.json")["mse"] == pytest.approx(content["mse"], rel=1e-6)


# --- leaks -----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("backbone", ["dlinear", "ridge", "ridge_ensemble"])
def test_nothing_that_is_fitted_sees_the_test_part(backbone, tmp_path):
    """Another test part: the same weights, scale, margins and period."""
    import torch

    import checkpoint

    kept = []
    for name, change in (("one", 1.0), ("two", 5.0)):
        (tmp_path / name).mkdir()
        path = lay_hours(tmp_path / name, hours=600)
        frame = pd.read_csv(path)
        frame.loc[480:, ["a", "b"]] *= change
        frame.to_csv(path, index=False)
        words = f"{TRAIN} --csv load.csv --backbone {backbone} --epochs 2"
        kept.append(checkpoint.read(good(tmp_path / name, words) / "model.pt.best"))
    first, second = kept
    assert first["fitted"] == second["fitted"] and first["scaler"] == second["scaler"]
    assert torch.equal(first["calibration"]["margin"], second["calibration"]["margin"])
    assert all(torch.equal(first["state"][key], second["state"][key]) for key in first["state"])


@pytest.mark.parametrize("backbone", ["dlinear", "ridge"])
def test_validation_chooses_and_does_not_fit(backbone, tmp_path):
    """Another validation part: the same scale; the margins are its own."""
    import checkpoint

    kept = []
    for name, change in (("one", 1.0), ("two", 1.3)):
        (tmp_path / name).mkdir()
        path = lay_hours(tmp_path / name, hours=600)
        frame = pd.read_csv(path)
        frame.loc[420:479, ["a", "b"]] *= change
        frame.to_csv(path, index=False)
        words = f"{TRAIN} --csv load.csv --backbone {backbone} --epochs 1"
        kept.append(checkpoint.read(good(tmp_path / name, words) / "model.pt.best"))
    assert kept[0]["fitted"] == kept[1]["fitted"] and kept[0]["scaler"] == kept[1]["scaler"]
    assert not np.array_equal(kept[0]["calibration"]["margin"], kept[1]["calibration"]["margin"])


# --- past the end ----------------------------------------------------------------------------------------------------


def infer(folder: Path, run: Path, *words: object) -> list[dict[str, str]]:
    """`--mode infer --ckpt DIR --csv FILE` and nothing else that matters; forecast.csv."""
    return rows(good(folder, "--mode infer --no-plots --ckpt", run.relative_to(folder), *words) / "forecast.csv")


def test_dates_continue_over_a_leap_day(tmp_path):
    run = good(tmp_path, QUICK, "--csv", lay_hours(tmp_path).name)
    lay_hours(tmp_path, "newer.csv", hours=24 * 10 + 20, start="2020-02-18")  # to 2020-02-28 19:00
    found = infer(tmp_path, run, "--csv newer.csv")
    assert [line["date"] for line in found[:6]] == [
        "2020-02-28 20:00:00", "2020-02-28 21:00:00", "2020-02-28 22:00:00", "2020-02-28 23:00:00",
        "2020-02-29 00:00:00", "2020-02-29 01:00:00",
    ]  # fmt: skip
    assert [line["channel"] for line in found] == ["a"] * 6 + ["b"] * 6
    assert all(float(line["low"]) < float(line["value"]) < float(line["high"]) for line in found)
    assert all(35 < float(line["value"]) < 65 for line in found[:6])  # in the file's own units


@pytest.mark.slow
def test_dates_continue_over_a_daylight_saving_change(tmp_path):
    berlin = {"tz": "Europe/Berlin"}
    lay_hours(tmp_path, start="2024-03-01", hours=24 * 20, **berlin)
    naive = pd.read_csv(tmp_path / "load.csv")
    naive["date"] = naive["date"].str.slice(0, 19)  # wall clock, as a local logger writes it
    naive.to_csv(tmp_path / "load.csv", index=False)
    run = good(tmp_path, QUICK, "--csv load.csv --tz Europe/Berlin")
    frame = pd.read_csv(lay_hours(tmp_path, "newer.csv", start="2024-03-20", hours=24 * 10 + 23, **berlin))
    frame["date"] = frame["date"].str.slice(0, 19)
    frame.to_csv(tmp_path / "newer.csv", index=False)  # to 2024-03-30 22:00, the night before
    found = infer(tmp_path, run, "--csv newer.csv")
    assert [line["date"] for line in found[:6]] == [
        "2024-03-30 23:00:00+01:00", "2024-03-31 00:00:00+01:00", "2024-03-31 01:00:00+01:00",
        "2024-03-31 03:00:00+02:00", "2024-03-31 04:00:00+02:00", "2024-03-31 05:00:00+02:00",
    ]  # fmt: skip


@pytest.mark.slow
def test_a_loaded_model_forecasts_what_the_trained_one_did(tmp_path):
    """Trained twice from scratch, and loaded: the same numbers to 1e-6."""
    lay_hours(tmp_path)
    words = (
        f"{TRAIN} --csv load.csv --backbone informer --epochs 1 --save-preds --model-args d_model=16 d_ff=32 n_heads=2"
    )
    first, second = (good(tmp_path, words, f"--desc {name}") for name in "ab")
    loaded = good(
        tmp_path, "--mode infer --csv load.csv --eval-split test --save-preds --ckpt", first.relative_to(tmp_path)
    )
    parts = [np.load(place / "preds.npz")["pred"] for place in (first, second, loaded)]
    assert np.abs(parts[0] - parts[1]).max() < 1e-6 * 50 and np.abs(parts[0] - parts[2]).max() < 1e-6 * 50


def test_columns_are_matched_by_name(tmp_path):
    path = lay_hours(tmp_path)
    run = good(tmp_path, QUICK, "--csv load.csv")
    frame = pd.read_csv(path)
    straight = infer(tmp_path, run, "--csv load.csv --desc straight")
    frame[["b", "date", "a"]].assign(note="text").to_csv(tmp_path / "turned.csv", index=False)
    turned = infer(tmp_path, run, "--csv turned.csv --desc turned")
    assert [line["value"] for line in turned] == [line["value"] for line in straight]
    for end in ("low", "high"):  # margins follow what was measured before: in another file all of it
        np.testing.assert_allclose(numbers(turned, end), numbers(straight, end), rtol=0.05)
    frame[["date", "a"]].rename(columns={"a": "bb"}).to_csv(tmp_path / "lacking.csv", index=False)
    done = go(tmp_path, "--mode infer --csv lacking.csv --desc lacking --ckpt", run.relative_to(tmp_path))
    assert done.code == 3 and "'a'" in done.err and "lacking.csv" in done.err


def test_steps_of_another_length_are_refused(tmp_path):
    lay_hours(tmp_path)
    run = good(tmp_path, QUICK, "--csv load.csv")
    times = pd.date_range("2020-01-01", periods=60, freq="15min").map(str)
    pd.DataFrame({"date": times, "a": 1.0, "b": np.arange(60)}).to_csv(tmp_path / "fine.csv", index=False)
    done = go(tmp_path, "--mode infer --csv fine.csv --ckpt", run.relative_to(tmp_path))
    assert done.code == 4 and "was trained on steps of 1 h, these data have steps of 15min" in done.err


def test_a_context_and_no_more_is_enough_to_forecast(tmp_path):
    run = good(tmp_path, QUICK, "--csv", lay_hours(tmp_path).name)
    lay_hours(tmp_path, "short.csv", hours=24, start="2017-01-01")
    done = good(tmp_path, "--mode infer --csv short.csv --ckpt", run.relative_to(tmp_path))
    assert len(rows(done / "forecast.csv")) == 12 and (done / "forecast.png").is_file()
    assert "unscored" in strict(done / "summary.json")


# --- several series, covariates, quantiles ---------------------------------------------------------------------------


@pytest.mark.slow
def test_several_files_are_several_series_and_windows_stay_within_one(tmp_path):
    lay_hours(tmp_path, "one.csv", hours=300)
    lay_hours(tmp_path, "two.csv", hours=200, start="2018-01-01", seed=1)
    folder = good(tmp_path, QUICK, "--csv one.csv two.csv")
    told = strict(folder / "manifest.json")
    assert told["data"]["rows"] == 2 and told["split"]["overlap"] == 0
    # a row's train part is 70 % of it: 210 and 140 steps, less a context and a horizon
    assert told["split"]["train"]["windows"] == (210 - 29) + (140 - 29)
    found = infer(tmp_path, folder, "--csv one.csv two.csv")
    assert [line["row"] for line in found] == ["one"] * 12 + ["two"] * 12
    assert found[12]["date"] == str(pd.Timestamp("2018-01-01") + pd.Timedelta(hours=200))


def test_an_id_column_tells_series_apart_and_whole_ones_can_be_held_out(tmp_path):
    parts = [pd.read_csv(lay_hours(tmp_path, f"{name}.csv", hours=60, seed=i)) for i, name in enumerate("pqrst")]
    pd.concat([part.assign(site=name) for part, name in zip(parts, "pqrst", strict=True)]).to_csv(tmp_path / "all.csv")
    words = (
        QUICK
        + " --csv all.csv --id-col site --split-mode group --val-ratio 0.2 --test-ratio 0.2 --features S --target a"
    )
    told = strict(good(tmp_path, words) / "manifest.json")
    assert told["data"]["rows"] == 5 and told["split"]["test"]["windows"] == 60 - 24 - 6 + 1


def test_wide_files_forecast_every_row(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("sales", "price"):
        np.savetxt(tmp_path / f"{name}.csv", rng.random((8, 60)), delimiter=",", fmt="%.4f")
    line = "--mode train --task forecast --csv sales.csv price.csv --context-len 12 --horizon 3 --backbone dlinear"
    words = f"{line} --features MS --target sales --epochs 1 --no-plots --reference off"
    folder = good(tmp_path, words)
    found = infer(tmp_path, folder, "--csv sales.csv price.csv")
    assert [found[0][key] for key in ("row", "step", "channel")] == ["0", "60", "sales"] and len(found) == 8 * 3


def test_truths_are_written_as_the_file_has_them_so_that_coverage_can_be_counted_again(tmp_path):
    """Two of three counts are 0, where intervals begin: rounded by standardising they would lie outside of these."""
    rng = np.random.default_rng(5)
    counts = rng.integers(1, 60, 500) * (rng.random(500) < 1 / 3)
    times = pd.date_range("2016-07-01", periods=500, freq="h").map(str)
    pd.DataFrame({"date": times, "n": counts}).to_csv(tmp_path / "n.csv", index=False)
    folder = good(tmp_path, f"{TRAIN} --csv n.csv --backbone ridge --save-preds")
    content, saved = strict(folder / "summary.json"), np.load(folder / "preds.npz")
    expected = np.stack([counts[400 + i : 406 + i] for i in range(95)])[:, None]  # the last fifth
    assert np.array_equal(saved["truth"], expected) and (saved["low"] == 0).mean() > 0.5
    inside = (saved["truth"] >= saved["low"]) & (saved["truth"] <= saved["high"])
    assert inside.mean() == pytest.approx(content["interval"]["coverage"])


def test_pictures_show_windows_whose_truth_is_known_and_no_made_up_past(tmp_path, monkeypatch):
    """What fills gaps is not drawn as what was measured, and panels are of windows near by that have a truth."""
    drawn: list[viz.Panel] = []
    figure = viz.forecast_figure
    monkeypatch.setattr(viz, "forecast_figure", lambda panels, *rest: (drawn.extend(panels), figure(panels, *rest))[1])
    frame = pd.read_csv(lay_hours(tmp_path, hours=800))
    gone = np.zeros(800, bool)
    gone[650:690] = gone[705:707] = gone[730] = True  # of the last 160, which are the test part
    frame[~gone].to_csv(tmp_path / "gaps.csv", index=False)
    words = QUICK.replace("--no-plots", "")
    done = go(tmp_path, words, "--csv gaps.csv --columns a --resample 1h --nan ffill")
    assert done.code == 0, done.err
    start, level = np.datetime64(frame["date"][0], "ns"), frame["a"].to_numpy()
    assert len(drawn) == 4
    for panel in drawn:
        at = ((panel.times - start) // np.timedelta64(1, "h")).astype(int)
        known = np.where(gone[at], np.nan, level[at])
        assert panel.context == pytest.approx(known[:24], rel=1e-4, nan_ok=True)
        assert panel.truth == pytest.approx(known[24:], rel=1e-4, nan_ok=True)
    assert np.isnan(np.concatenate([panel.context for panel in drawn])).any()
    assert [int(np.isnan(panel.truth).sum()) for panel in drawn] == [0, 0, 0, 0]


def test_finer_steps_and_short_files_are_refused_with_what_they_lack(tmp_path):
    """4,900 hours are no 4,900 months (past the year 2262); a forecast needs a look-back, no horizon in the file."""
    days = pd.date_range("2000-01-01", periods=120, freq="MS")
    pd.DataFrame({"date": days.map(str), "a": np.arange(120) % 7}).to_csv(tmp_path / "m.csv", index=False)
    words = TRAIN.replace("--context-len 24", "--context-len 12")
    folder = good(tmp_path, words, "--csv m.csv --backbone ridge")
    line = f"--mode infer --ckpt {folder.relative_to(tmp_path)} --reference off --no-plots"
    lay_hours(tmp_path, hours=4900)
    done = go(tmp_path, line, "--csv load.csv")
    assert done.code == 4 and "steps of 1 month, these data have steps of 1 h" in done.err
    assert "hint: --resample MS" in done.err
    frame = pd.read_csv(tmp_path / "m.csv")
    frame.tail(11).to_csv(tmp_path / "short.csv", index=False)
    done = go(tmp_path, line, "--csv short.csv")
    assert (
        done.code == 3 and "ends with a whole context: 12 steps without a missing value; the longest has 11" in done.err
    )
    frame.tail(12).to_csv(tmp_path / "enough.csv", index=False)
    assert len(infer(tmp_path, folder, "--csv enough.csv")) == 6


def test_one_series_of_many_is_not_far_from_training(tmp_path):
    """A place with a thousandth of the others' spread is none of other units, if training has seen it."""
    frame = pd.read_csv(lay_hours(tmp_path, hours=200))
    places = {"huge": frame.assign(a=1000 * frame["a"], b=1000 * frame["b"]), "small": frame}
    pd.concat([f.assign(place=name) for name, f in places.items()]).to_csv(tmp_path / "two.csv", index=False)
    folder = good(tmp_path, QUICK, "--csv two.csv --id-col place")
    line = f"--mode infer --ckpt {folder.relative_to(tmp_path)} --reference off --no-plots"
    for name, shift, far in (("small", 0, False), ("other", 7, True)):
        hours = frame.iloc[shift : shift + 150] if shift else frame.iloc[:150]
        hours.assign(place=name).to_csv(tmp_path / f"{name}.csv", index=False)
        done = go(tmp_path, line, f"--csv {name}.csv --tag {name}")
        assert done.code == 0 and ("are the units the same?" in done.err) == far


@pytest.mark.slow
def test_what_is_known_ahead_is_used_and_asked_for(tmp_path):
    """The target follows a switch that is known beforehand; only a model that sees it can tell."""
    rng = np.random.default_rng(0)
    switch = (rng.random(900) < 0.5).astype(float)
    times = pd.date_range("2021-01-01", periods=900, freq="h").map(str)
    frame = pd.DataFrame({"date": times, "y": 5 * switch + 0.1 * rng.normal(size=900), "switch": switch})
    frame.to_csv(tmp_path / "s.csv", index=False)
    line = f"{TRAIN} --csv s.csv --features S --target y --backbone dlinear --epochs 20 --lr 0.01 --model-args kernel=3"
    blind = strict(good(tmp_path, line, "--desc blind") / "summary.json")["mse"]
    folder = good(tmp_path, line, "--known-future switch")
    assert strict(folder / "summary.json")["mse"] < 0.2 * blind
    more = pd.date_range("2021-02-07 12:00", periods=6, freq="h").map(str)
    ahead = pd.DataFrame({"date": more, "y": np.nan, "switch": [1, 0, 0, 1, 1, 0]})
    pd.concat([frame, ahead]).to_csv(tmp_path / "told.csv", index=False)
    found = infer(tmp_path, folder, "--csv told.csv")
    assert [line["date"] for line in found] == list(more)
    assert [float(line["value"]) > 2.5 for line in found] == [True, False, False, True, True, False]
    done = go(tmp_path, "--mode infer --csv s.csv --desc none --ckpt", folder.relative_to(tmp_path))
    assert done.code == 0 and "switch must be given for the 6 steps" in done.err


def test_training_says_what_it_does_not_forecast_past_the_end_and_why(tmp_path):
    """No plan of the next six hours, no forecast; with one there is. A row that ends in a gap has none."""
    path = lay_hours(tmp_path, hours=200, plan=np.arange(200) % 2)
    line = f"{QUICK} --known-future plan --features S --target a"
    done = go(tmp_path, line, "--csv load.csv")
    assert done.code == 0 and not (done.directory / "forecast.csv").exists()
    assert "nothing is forecast past the end: plan must be given for the 6 steps after it" in done.err
    frame = pd.read_csv(path)
    more = pd.date_range("2016-07-09 08:00", periods=6, freq="h").map(str)  # 200 hours are 8 days and 8 hours
    pd.concat([frame, pd.DataFrame({"date": more, "plan": 1})]).to_csv(tmp_path / "told.csv", index=False)
    done = go(tmp_path, line, "--csv told.csv --tag told")
    assert "past the end" not in done.err
    assert [line["date"] for line in rows(done.directory / "forecast.csv")] == list(more)

    other = frame.assign(a=frame["a"].where(frame.index != 190))  # one hour of its last context is missing
    pd.concat([frame.assign(place="x"), other.assign(place="y")]).to_csv(tmp_path / "two.csv", index=False)
    done = go(tmp_path, QUICK, "--csv two.csv --id-col place --columns a --nan drop")
    assert {line["row"] for line in rows(done.directory / "forecast.csv")} == {"x"}
    assert (
        "not predicted past their end: y (200 steps); of the last 24 steps of y, a is missing at 2016-07-08 22:00:00; "
        "--nan ffill repeats the value before" in done.err
    )
    assert strict(done.directory / "manifest.json")["data"]["left_out"]["not predicted past their end"]["rows"] == 1


@pytest.mark.slow
def test_quantiles_are_in_order_and_calibrated(tmp_path):
    lay_hours(tmp_path, hours=1500)
    words = f"{TRAIN} --csv load.csv --backbone dlinear --epochs 15 --lr 0.005 --quantiles 0.1 0.5 0.9"
    folder = good(tmp_path, words)
    assert "_q0.10-0.50-0.90_" in folder.name
    content = strict(folder / "summary.json")
    assert content["monitor"]["name"] == "pinball" and content["pinball"] < content["mae"] / 2
    assert content["interval"]["nominal"] == pytest.approx(0.8)
    assert content["interval"]["coverage"] == pytest.approx(0.8, abs=0.1)
    found = infer(tmp_path, folder, "--csv load.csv")
    for line in found:
        assert float(line["q0.10"]) < float(line["q0.50"]) < float(line["q0.90"]) and line["value"] == line["q0.50"]


@pytest.mark.slow
def test_references_are_judged_on_the_levels_too(tmp_path):
    lay_hours(tmp_path, hours=700)
    words = QUICK.replace("--reference off", "") + " --quantiles 0.2 0.8"
    done = go(tmp_path, words, "--csv load.csv")
    content = strict(done.directory / "summary.json")
    ridge = content["references"]["ridge"]
    assert ridge["pinball"] == pytest.approx(ridge["mae"] / 2, rel=1e-6)  # levels 0.2 and 0.8 of a point forecast
    assert "ridge" in done.out and "repeat_last" in done.out


def test_a_run_can_be_repeated_from_its_config(tmp_path):
    lay_hours(tmp_path)
    words = f"{QUICK} --csv load.csv --quantiles 0.1 0.9 --split-sizes 200,60,60 --features S --target b"
    first = good(tmp_path, words)
    again = good(tmp_path, "--config", (first / "config.yaml").relative_to(tmp_path))
    assert again == first and (tmp_path / "artifacts" / f"{first.name}.1").is_dir()
    assert strict(again / "summary.json")["mse"] == strict(tmp_path / f"artifacts/{first.name}.1/summary.json")["mse"]


def test_windows_far_apart_leave_gaps_between_them_alone(tmp_path):
    """With a stride beyond a window, missing steps between windows are no part of any, a closed form's included."""
    frame = pd.read_csv(lay_hours(tmp_path, hours=2000))
    frame.loc[range(35, 1400, 40), "a"] = np.nan
    frame.to_csv(tmp_path / "load.csv", index=False)
    words = f"{TRAIN} --csv load.csv --backbone ridge --stride 40 --nan drop"
    content = strict(good(tmp_path, words) / "summary.json")
    assert np.isfinite(content["mse"])


def test_finetuning_goes_on_from_a_checkpoint_with_its_scale(tmp_path):
    lay_hours(tmp_path)
    run = good(tmp_path, QUICK, "--csv load.csv")
    lay_hours(tmp_path, "newer.csv", start="2019-01-01", seed=9)
    line = "--mode finetune --csv newer.csv --epochs 1 --reference off --no-plots --ckpt"
    tuned = good(tmp_path, line, run.relative_to(tmp_path))
    import checkpoint

    assert checkpoint.read(tuned / "model.pt")["scaler"] == checkpoint.read(run / "model.pt")["scaler"]


@pytest.mark.slow
def test_an_ensemble_blends_trained_runs(tmp_path):
    lay_hours(tmp_path, hours=700)
    runs = [
        good(tmp_path, TRAIN, f"--csv load.csv --save-preds --backbone {name} --epochs 3")
        for name in ("dlinear", "ridge", "gru")
    ]
    members = ",".join(str(run.relative_to(tmp_path)) for run in runs)
    folder = good(tmp_path, TRAIN, f"--csv load.csv --save-preds --backbone ensemble --model-args members={members}")
    content = strict(folder / "summary.json")
    weights = np.array(content["fit"]["weights"])
    assert weights.min() >= 0 and weights.sum() == pytest.approx(1)
    parts = [np.load(run / "preds.npz")["pred"] for run in runs]
    blended = sum(w * part for w, part in zip(weights, parts, strict=True))
    assert np.allclose(np.load(folder / "preds.npz")["pred"], blended, atol=1e-3)
    best = min(strict(run / "summary.json")["validation"]["mse"] for run in runs)
    assert content["validation"]["mse"] <= best * 1.02
    other = good(tmp_path, TRAIN, "--csv load.csv --backbone dlinear --epochs 1 --val-ratio 0.2 --desc other")
    words = f"{TRAIN} --csv load.csv --backbone ensemble --desc bad --model-args members={other.relative_to(tmp_path)}"
    done = go(tmp_path, words)
    assert done.code == 4 and "may have seen this run's test" in done.err


# --- mistakes --------------------------------------------------------------------------------------------------------


def broken(kind: str) -> pd.DataFrame:
    times = pd.date_range("2020-01-01", periods=200, freq="h")
    frame = pd.DataFrame({"date": times.map(str), "a": np.sin(np.arange(200.0)), "b": np.arange(200.0)})
    match kind:
        case "unsorted":
            frame = frame.iloc[[0, 1, 3, 2, *range(4, 200)]]
        case "duplicate":
            frame.loc[7:17, "date"] = frame.loc[6, "date"]  # more than a few
        case "text":
            frame["a"] = frame["a"].astype(object)
            frame.loc[11, "a"] = "off"
        case "nan":
            frame.loc[5, "b"] = np.nan
        case "gap":
            frame = frame.drop(index=range(50, 61))  # more than a few
        case "constant":
            frame["a"], frame["b"] = 1.0, 2.0
        case "short":
            frame = frame.head(20)
    return frame


@pytest.mark.parametrize(
    ("kind", "more", "code", "texts"),
    [
        ("whole", "--time-col when", 3, ["when", "date"]),
        ("unsorted", "--strict --time-col date", 3, ["t.csv:5", "sort"]),
        ("duplicate", "", 3, ["t.csv:9", "2020-01-01 06:00"]),
        ("gap", "--nan error", 3, ["t.csv:52", "--resample"]),
        ("short", "", 3, ["rows have 20 steps, a window needs 24 + 6 = 30"]),
        ("whole", "--horizon 0", 2, ["--horizon must be 1 or more, got 0"]),
        ("whole", "--split-sizes 150,20,3", 3, ["the test split has no window (windows: train 121, val 15, test 0)"]),
        ("whole", "--split-sizes 150,20", 2, ["--split-sizes takes three numbers"]),
        ("whole", "--split-sizes 150,40,20", 3, ["150 + 40 + 20 = 210 steps", "has 200"]),
        ("text", "", 3, ["t.csv:13:2", "'off'", "'a'"]),
        ("constant", "", 3, ["constant in training", "a, b"]),
        ("whole", "--features S --target bb", 3, ["'bb'", "did you mean b?"]),
        ("whole", "--features MS --target bb", 3, ["'bb'", "did you mean b?"]),
        ("whole", "--features S", 2, ["--target", "a, b"]),
        ("nan", "--nan error", 3, ["t.csv:7:3", "--nan"]),
        ("whole", "--quantiles 0.9 0.1", 2, ["rising"]),
        ("whole", "--quantiles 0 0.5", 2, ["(0, 1)"]),
        ("whole", "--known-future a --target a --features S", 2, ["is a target too"]),
        ("whole", "--labels x.csv", 2, ["--labels does not apply to --task forecast"]),
        ("whole", "--label-offset 3", 2, ["--label-offset does not apply"]),
        ("whole", "--backbone ridge --quantiles 0.1 0.9", 2, ["ridge"]),
    ],
)
def test_mistakes_are_named(kind, more, code, texts, tmp_path):
    broken(kind).to_csv(tmp_path / "t.csv", index=False)
    words = QUICK.replace("--model-args kernel=5", "") if "--backbone" in more else QUICK
    done = go(tmp_path, words, "--csv t.csv", more)
    assert done.code == code, done.err
    for text in texts:
        assert text in done.err
    assert not list(tmp_path.glob("artifacts/train*"))


def test_missing_values_can_be_left_out_or_filled(tmp_path):
    broken("nan").to_csv(tmp_path / "t.csv", index=False)
    for policy, lost in (("drop", 6), ("ffill", 0)):
        told = strict(good(tmp_path, QUICK, f"--csv t.csv --nan {policy} --desc {policy}") / "manifest.json")
        assert told["split"]["train"]["windows"] == 140 - 29 - lost


def test_a_constant_channel_beside_others_is_told_and_survived(tmp_path):
    broken("whole").assign(b=4.0).to_csv(tmp_path / "t.csv", index=False)
    done = go(tmp_path, QUICK, "--csv t.csv")
    assert done.code == 0 and "constant in training, so without information: b" in done.err
    content = strict(done.directory / "summary.json")
    assert content["original"]["per_channel"]["b"]["mase"] is None and content["mase"] is not None


@pytest.mark.slow
def test_a_published_set_is_used_where_it_lies(tmp_path, shared):
    (tmp_path / "data" / "ett").mkdir(parents=True)
    (tmp_path / "data" / "ett" / "ETTh1.csv").symlink_to(shared / "ett" / "ETTh1.csv")
    line = "--mode train --task forecast --dataset etth1 --features S --context-len 96 --horizon 96 --backbone ridge"
    content = json.loads(go(tmp_path, line, "--no-plots --json").out)
    assert content["n"] == 2785 and content["split_sizes"] == [8640, 2880, 2880]
    assert content["references"]["repeat_last"]["mse"] == pytest.approx(0.0693, abs=0.0005)  # a published figure
