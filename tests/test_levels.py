"""sources/levels.py: categories as channels of zeros and ones, in training, in inference and in between."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

import checkpoint
import cli
import tsrun
from checkpoint import Checkpoint, is_coding
from data import Category, Series
from errors import CheckpointError, DataError, TsrunError
from federation.homes import HomeSplit, difference, read_homes, schema_of
from scaler import Scaler
from sources import levels
from streaming.sensors import SensorModel

from .runs import go, good, preds, standing_in, strict

QUICK = "--no-plots --reference off"
HOLDOUT = "--split-mode holdout --test-ratio 0.2"
EFFECT = {"rain": 3.0, "sun": 10.0, "fog": -4.0, "snow": 20.0}


def coded(words: list[str], **more) -> Series:
    """A load and a category, in one row or several."""
    kinds = sorted(set(words) - {""})
    codes = [kinds.index(word) if word else -1 for word in words]
    values = np.array([np.arange(len(words)), codes], np.float32)
    parts = {"offsets": np.array([0, len(words)]), "rows": ("0",)} | more
    return Series(values, channels=("load", "sky"), words=(tuple(kinds),), **parts)


def test_channels_are_what_get_dummies_gives():
    words = list(np.random.default_rng(0).choice(["fog", "rain", "sun", ""], 50))
    series = coded(words)
    found = levels.spread(series, levels.learned(series, np.ones(50, bool), 20))
    dummies = pd.get_dummies(pd.Series(words).replace("", None), prefix="sky", prefix_sep="=")
    assert found.channels == ("load", *dummies.columns) and found.columns == ("load", "sky")
    np.testing.assert_array_equal(found.values[1:], dummies.to_numpy().T)
    np.testing.assert_array_equal(found.values[0], series.values[0])
    assert found.words == () and found.numeric == 1


def test_levels_are_those_of_the_steps_that_training_sees(caplog):
    words = ["a", "b", "a", "", "c", "b"]
    seen = np.array([1, 1, 1, 1, 0, 0], bool)
    series = coded(words)
    (found,) = levels.learned(series, seen, 20)
    assert found == Category("sky", ("a", "b"))
    with caplog.at_level("WARNING", "tsrun"):
        made = levels.spread(series, [found])
    np.testing.assert_array_equal(made.values[1:], [[1, 0, 1, 0, 0, 0], [0, 1, 0, 0, 0, 1]])
    assert "sky 'c' (1 step) is zero in all its channels" in caplog.text


def test_rare_levels_share_a_channel_and_new_ones_join_it(caplog):
    words = ["a"] * 4 + ["b"] * 3 + ["other"] * 2 + ["c", "d"]
    series = coded(words)
    (found,) = levels.learned(series, np.ones(11, bool), 3)
    assert found.levels == ("a", "b") and found.rare == ("c", "d", "other")
    assert found.channels == ("sky=a", "sky=b", "sky=other")
    with caplog.at_level("WARNING", "tsrun"):
        made = levels.spread(coded([*words, "new"]), [found])
    assert made.values[1:].argmax(axis=0).tolist() == [0] * 4 + [1] * 3 + [2] * 5
    assert "sky 'new' (1 step) counts as other" in caplog.text and "'c'" not in caplog.text


def test_what_is_known_ahead_is_coded_as_well():
    after = np.array([[[1.0, -1.0, np.nan]]])
    series = coded(["a", "b", "a", "a"], known=("sky",), after=after)
    made = levels.spread(series, [Category("sky", ("a", "b"))])
    assert made.known == ("sky=a", "sky=b")
    np.testing.assert_array_equal(made.after[:, 0], [[0, 0, np.nan], [1, 0, np.nan]])


def test_a_column_of_that_name_is_an_error():
    series = coded(["a", "b"])
    with pytest.raises(DataError, match="'load=a' has the name of a level's channel"):
        levels.spread(
            Series(series.values[[0, 0, 1]], series.offsets, ("x", "load=a", "load"), ("0",), words=(("a", "b"),)),
            [Category("load", ("a", "b"))],
        )


def test_strange_categories_are_none():
    for wrong in ({"categories": {"a": 1}}, {"categories": [1]}, {"categories": {"a": {"levels": 3, "rare": []}}}):
        assert not is_coding(wrong | {"static": []})
    assert not is_coding({"categories": {}, "static": "region"})
    assert is_coding({"categories": {"a": {"levels": ["x"], "rare": []}}, "static": ["a"]})


# ---- from a file to a forecast


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with days whose sales only the weather explains: that of the day, or that of the day before."""
    place, draw, n = tmp_path_factory.mktemp("days"), np.random.default_rng(3), 160
    weather = draw.choice(list(EFFECT), n)
    effect = np.array([EFFECT[word] for word in weather])
    table = pd.DataFrame({"step": range(n), "weather": weather, "sales": effect + draw.normal(0, 0.1, n)}).round(2)
    ahead = table.copy()
    ahead.loc[n - 4 :, "sales"] = np.nan
    ahead.to_csv(place / "ahead.csv", index=False)
    table["sales"] = np.roll(table["sales"], 1)
    table.to_csv(place / "before.csv", index=False)
    return place


def test_the_default_forecasts_from_a_category_that_is_known_ahead(folder):
    line = "--task forecast --context-len 4 --horizon 4 --time-col step --features S --target sales"
    few = "--model-args members=ridge,ridge_ensemble,theta"  # of auto's, the others see no words and take long
    run = good(folder, f"--mode train {line} --csv ahead.csv --known-future weather --tag known {few} {QUICK}")
    made = pd.read_csv(run / "forecast.csv")["value"]
    told = pd.read_csv(folder / "ahead.csv")["weather"].iloc[-4:].map(EFFECT)
    np.testing.assert_allclose(made, told, atol=0.5)
    # A word that training does not have, among those to come.
    table = pd.read_csv(folder / "ahead.csv")
    table.loc[len(table) - 2, "weather"] = "hail"
    table.to_csv(folder / "hail.csv", index=False)
    done = go(folder, f"--mode infer --task forecast --csv hail.csv --ckpt {run} --tag hail {QUICK}")
    assert done.code == 0, done.err
    assert "not a level in training: weather 'hail' (1 step) is zero in all its channels" in done.err
    again = pd.read_csv(done.directory / "forecast.csv")["value"]
    np.testing.assert_allclose(again[[0, 1, 3]], made[[0, 1, 3]], atol=1e-4)
    found = tsrun.load(run).predict(table)
    np.testing.assert_allclose(found["value"], again, rtol=1e-6)


def test_the_next_value_follows_from_the_word_before(folder):
    line = f"--csv before.csv --time-col step --categorical weather {HOLDOUT} --context-len 3"
    line = f"--mode train --task regress {line} --backbone auto --model-args members=ridge --tag next {QUICK}"
    run = good(folder, line)
    kept = Checkpoint.load(checkpoint.find(str(run)))
    assert kept.input_channels == ["sales", "weather"] and kept.config["categorical"] == ["weather"]
    assert kept.scaler.channels == ("sales", *(f"weather={word}" for word in sorted(EFFECT)))
    assert strict(run / "summary.json")["mae"] < 0.2
    lines = preds(run)
    # The same file, and a model that goes on from this one, code it alike.
    infer = good(folder, f"--mode infer --task regress --csv before.csv --ckpt {run} --eval-split test --tag i {QUICK}")
    assert [row["y_pred"] for row in preds(infer)][: len(lines)] == [row["y_pred"] for row in lines]
    few = pd.read_csv(folder / "before.csv").query("weather != 'fog'").assign(step=lambda t: range(len(t)))
    few.to_csv(folder / "few.csv", index=False)
    tuned = good(folder, f"--mode finetune --task regress --csv few.csv --ckpt {run} {HOLDOUT} --tag tuned {QUICK}")
    assert Checkpoint.load(checkpoint.find(str(tuned))).coding == kept.coding


def test_a_channel_that_holds_words_is_no_label(folder):
    line = "--mode train --task regress --csv before.csv --time-col step --columns sales weather"
    done = go(folder, f"{line} --label-src-ch 1 {QUICK}")
    assert done.code == 2 and "no channel 1: 1 given, counted from 0, beside the categories weather" in done.err


def test_words_are_chosen_and_left_out_by_name(folder):
    line = f"--mode train --task forecast --csv before.csv --time-col step --horizon 2 --backbone ridge {QUICK}"
    plain = good(folder, f"{line} --columns sales --tag plain")
    assert strict(plain / "manifest.json")["data"]["channels"] == ["sales"]
    none = go(folder, f"{line} --tag none")
    assert strict(none.directory / "manifest.json")["data"]["channels"] == ["sales"]
    assert "left out, since it holds text: 'weather'" in none.err and "--categorical weather takes it" in none.err
    line += " --categorical weather"
    done = go(folder, f"{line} --max-levels 2 --tag two")
    assert "weather (rain, sun, and 2 rarer ones as other)" in done.err or "rarer ones as other" in done.err
    alone = go(folder, f"{line} --backbone dlinear --epochs 1 --tag alone")
    assert alone.code == 0 and "dlinear forecasts a channel from itself alone, without weather" in alone.err
    assert strict(alone.directory / "manifest.json")["data"]["channels"][:1] == ["sales"]


def test_an_array_has_no_words(folder):
    line = "--mode train --task forecast --csv before.csv --time-col step --horizon 2 --backbone ridge"
    line += f" --categorical weather {QUICK}"
    run = good(folder, f"{line} --tag array --overwrite")
    with pytest.raises(TsrunError, match="weather are categories, and these are numbers"):
        tsrun.load(run).predict(np.zeros((2, 80)))


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    """24 people, of whom those from the north are ill; and their area, a number each."""
    place, draw = tmp_path_factory.mktemp("people"), np.random.default_rng(1)
    region = draw.choice(["north", "south", "east"], 24)
    rows = [(f"p{k}", day, round(draw.normal(), 3), region[k], k % 5) for k in range(24) for day in range(12)]
    pd.DataFrame(rows, columns=["id", "day", "pulse", "region", "area"]).to_csv(place / "p.csv", index=False)
    ill = pd.DataFrame({"id": [f"p{k}" for k in range(24)], "ill": (region == "north").astype(int)})
    ill.to_csv(place / "ill.csv", index=False)
    return place


def test_a_label_that_only_a_static_column_explains(people):
    line = "--mode train --task classify --csv p.csv --time-col day --id-col id --labels ill.csv --test-ratio 0.3"
    line += " --categorical region"
    run = good(people, f"{line} --backbone auto --model-args members=ridge --tag ill {QUICK}")
    assert strict(run / "metrics.json")["pr_auc"] == 1
    truth = pd.read_csv(people / "ill.csv").set_index("id")["ill"]
    found = tsrun.load(run).predict(pd.read_csv(people / "p.csv"))
    sides = found.groupby(found["row"].map(truth))["y_score"].agg(["min", "max"])
    assert sides.loc[0, "max"] < sides.loc[1, "min"]


def test_an_array_of_words_is_a_category_of_whole_recordings(tmp_path):
    draw = np.random.default_rng(2)
    sex, kind = draw.choice(["f", "m"], 40), draw.choice([1, 2], 40)
    arrays = {
        "hand": draw.normal(size=(40, 8, 2)),
        "sex": sex,
        "kind": kind,
        "labels": ((sex == "f") & (kind == 1)) * 1,
    }
    np.savez(tmp_path / "a.npz", **arrays)
    line = "--mode train --task classify --npz a.npz --test-ratio 0.2 --backbone auto --model-args members=extra_trees"
    assert "arrays ignored: sex, kind" in go(tmp_path, f"{line} --dry-run").err
    run = good(tmp_path, f"{line} --categorical sex kind --tag n {QUICK}")
    kept = Checkpoint.load(checkpoint.find(str(run)))
    assert kept.input_channels == ["hand.0", "hand.1", "sex", "kind"] and strict(run / "metrics.json")["pr_auc"] == 1
    assert kept.scaler.channels[2:] == ("sex=f", "sex=m", "kind=1", "kind=2")
    arrays["sex"] = np.where(np.arange(40) == 3, "?", sex)
    np.savez(tmp_path / "b.npz", **arrays)
    done = go(tmp_path, f"--mode infer --task classify --npz b.npz --ckpt {run} --tag i {QUICK}")
    assert done.code == 0 and "not a level in training: sex '?' (8 steps)" in done.err, done.err
    found = tsrun.load(run).predict({name: part for name, part in arrays.items() if name != "labels"})
    made = [float(row["y_score"]) for row in preds(done.directory)]
    np.testing.assert_allclose(found["y_score"], made, rtol=1e-6)
    with pytest.raises(TsrunError, match="sex, kind are categories, and these are numbers"):
        tsrun.load(run).predict(np.zeros((4, 8)))
    done = go(tmp_path, f"{line} --categorical sexx --tag x {QUICK}")
    assert (
        done.code == 3 and "--categorical sexx: there is no such array" in done.err and "did you mean sex" in done.err
    )
    with pytest.raises(CheckpointError, match="sees sex, kind, which no sensor sends"):
        SensorModel(kept, "here")


def test_static_columns_are_known_ahead_and_not_forecast(people):
    line = "--mode train --task forecast --csv p.csv --time-col day --id-col id --horizon 2 --context-len 4"
    line += " --categorical region"
    done = go(people, f"{line} --backbone ridge --tag ahead {QUICK}")
    assert done.code == 0 and "one value in each row, so known ahead and not forecast: area, region" in done.err
    kept = Checkpoint.load(checkpoint.find(str(done.directory)))
    assert kept.outputs == ["pulse"] and kept.coding["static"] == ["area", "region"]
    assert kept.known_scaler.channels == ("area", "region=east", "region=north", "region=south")
    whole = pd.read_csv(done.directory / "forecast.csv").set_index("row")
    assert len(whole) == 48 and set(whole["channel"]) == {"pulse"}
    # One person alone, whose region stands in the first line, and farther ahead than was trained.
    one = pd.read_csv(people / "p.csv").query("id == 'p3'")
    one.iloc[1:, 3] = ""
    one.to_csv(people / "one.csv", index=False)
    infer = f"--mode infer --task forecast --csv one.csv --ckpt {done.directory} {QUICK}"
    made = pd.read_csv(good(people, f"{infer} --tag one") / "forecast.csv")
    np.testing.assert_allclose(made["value"], whole.loc["p3", "value"], rtol=1e-5)
    far = pd.read_csv(good(people, f"{infer} --horizon 5 --tag far") / "forecast.csv")
    np.testing.assert_allclose(far["value"][:2], made["value"], rtol=1e-5)
    assert len(far) == 5
    # A rule that sees the past of the targets alone is not given them.
    rule = go(people, f"{line} --backbone seasonal_naive --tag rule {QUICK}")
    assert "neither forecast nor of use to --backbone seasonal_naive: area, region" in rule.err
    kept = Checkpoint.load(checkpoint.find(str(rule.directory)))
    assert kept.outputs == kept.input_channels == ["pulse"] and kept.coding is None
    good(people, f"--mode infer --task forecast --csv p.csv --ckpt {rule.directory} {QUICK} --tag rule2")
    asked = good(people, f"{line} --backbone ridge --features MS --target area --tag asked {QUICK}")
    assert Checkpoint.load(checkpoint.find(str(asked))).outputs == ["area"]


def test_a_run_that_is_resumed_codes_as_before(folder):
    line = "--mode train --task regress --csv before.csv --time-col step --categorical weather --split-mode holdout"
    line += f" {QUICK} --context-len 3"
    first = good(folder, f"{line} --backbone linear --epochs 1 --tag more")
    kept = Checkpoint.load(first / checkpoint.LAST)
    done = go(folder, f"{line} --backbone linear --epochs 1 --tag more --resume")
    assert done.code == 0 and "this run is complete" in done.err, done.err
    assert kept.coding == {"categories": {"weather": {"levels": sorted(EFFECT), "rare": []}}, "static": []}
    assert all(torch.is_tensor(value) for value in kept.state.values())


def test_each_fold_has_the_levels_of_its_training(tmp_path):
    n = 60
    words = ["a", "b"] * 15 + ["b", "c"] * 15
    pd.DataFrame({"t": range(n), "x": np.arange(n) % 7, "w": words}).to_csv(tmp_path / "f.csv", index=False)
    line = "--mode train --task regress --csv f.csv --time-col t --categorical w --split-mode rolling --folds 2"
    done = go(tmp_path, f"{line} --context-len 3 --val-ratio 0.2 --test-ratio 0.2 --backbone linear --epochs 1 {QUICK}")
    assert done.code == 0, done.err
    found = [Checkpoint.load(done.directory / f"fold_{k}" / checkpoint.BEST).coding for k in (0, 1)]
    assert [one["categories"]["w"]["levels"] for one in found] == [["a", "b"], ["a", "b", "c"]]


def test_importance_shuffles_a_category_as_one(folder):
    line = f"--mode train --task regress --csv before.csv --time-col step {HOLDOUT} --context-len 3 --explain"
    line += " --columns sales weather"
    run = good(folder, f"{line} --backbone auto --model-args members=ridge --tag why {QUICK}")
    table = pd.read_csv(run / "explain.csv")
    channels = table[table["kind"] == "channel"].set_index("part").iloc[:, 1]
    assert set(channels.index) == {"sales", "weather"} and channels["weather"] > 5 * abs(channels["sales"])


def test_homes_with_other_levels_are_other_homes(tmp_path):
    for name, words in (("a", "xyxz"), ("b", "xyxz"), ("c", "xyxw")):
        rows = [(k, k % 5, words[k * 7 % 4]) for k in range(80)]
        pd.DataFrame(rows, columns=["t", "x", "w"]).to_csv(tmp_path / f"{name}.csv", index=False)
    parsed = (
        f"--mode train --task classify --time-col t --categorical w {HOLDOUT} --context-len 3 --backbone linear --csv"
    )
    with standing_in(tmp_path):
        config = cli.parse([*parsed.split(), "a.csv", "b.csv", "c.csv"])
        homes = read_homes(config, HomeSplit(by="files"), ())
    schemas = [schema_of(home, {}, exclusive=False) for home in homes.values()]
    assert schemas[0]["channels"] == ["x", "w=x", "w=y", "w=z"] and difference(schemas[1], schemas[0]) == ""
    assert "channels 4 (x, w=w, w=x, w=y), where the federation has 4" in difference(schemas[2], schemas[0])


def test_a_first_look_names_the_categories(folder):
    done = go(folder, "--csv before.csv --time-col step")
    assert "it holds text: 'weather'" in done.out and "; --categorical weather takes it as categories" in done.out
    assert "1 column (sales)" in done.out and "--time-col step --categorical" not in done.out
    done = go(folder, "--csv before.csv --time-col step --categorical weather")
    assert "categories in 'weather': fog, rain, snow, sun" in done.out and "left out" not in done.out
    assert "--task forecast --csv before.csv --time-col step --categorical weather" in done.out


def test_new_data_of_rare_levels_are_not_far():
    known = Scaler(np.zeros(2), np.array([1.0, 0.1]), ("x", "w=a"))
    new = Scaler(np.array([0.0, 1.0]), np.ones(2), ("x", "w=a"))
    assert known.far(new).startswith("w=a is 10 deviations") and known.far(new, {"w=a"}) == ""


def test_wide_files_of_words(tmp_path):
    """A file with a word for each step, and one with a word for each row, beside the numbers."""
    draw = np.random.default_rng(5)
    sky, region = draw.choice(list(EFFECT), (12, 30)), draw.choice(["north", "south"], 12)
    load = np.vectorize(EFFECT.get)(np.roll(sky, 1, axis=1)) + np.where(region == "north", 50, 0)[:, None]
    ids = [f"p{k}" for k in range(12)]
    tables = {"load": np.round(load + draw.normal(0, 0.1, load.shape), 2), "sky": sky, "region": region[:, None]}
    for name, table in tables.items():
        pd.DataFrame(table, index=ids).to_csv(tmp_path / f"{name}.csv", index_label="part")
    line = "--mode train --task regress --csv region.csv sky.csv load.csv --context-len 3 --test-ratio 0.2"
    done = go(tmp_path, line)
    assert done.code == 3 and "--categorical region if the file holds categories" in done.err
    line += " --backbone auto --model-args members=ridge"
    run = good(tmp_path, f"{line} --categorical sky region --tag w {QUICK}")
    kept = Checkpoint.load(checkpoint.find(str(run)))
    assert kept.input_channels == ["load", "region", "sky"] and kept.coding["static"] == ["region"]
    assert strict(run / "summary.json")["mae"] < 0.2
    infer = "--mode infer --task regress --csv sky.csv load.csv region.csv"
    made = good(tmp_path, f"{infer} --ckpt {run} --eval-split test --tag i {QUICK}")
    assert preds(made)[:20] == preds(run)[:20]
    frame = pd.DataFrame({name: np.broadcast_to(table, (12, 30))[3] for name, table in tables.items()})
    found = tsrun.load(run).predict(frame)
    whole = pd.read_csv(good(tmp_path, f"{infer} --ckpt {run} --tag all {QUICK}") / "preds.csv").query("row == 'p3'")
    np.testing.assert_allclose(found["y_pred"], whole["y_pred"], rtol=1e-5)
    for odd in ("p0,north\n" * 3, "part,0\n" + "".join(f"q{k},north\n" for k in range(12))):
        (tmp_path / "region.csv").write_text(odd)
        assert go(tmp_path, f"{infer} --ckpt {run} --tag odd {QUICK}").code == 3
