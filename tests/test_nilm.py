"""tasks/nilm.py through the real path: one meter in, states and watts of its devices out, on one timeline."""

from __future__ import annotations

import csv
import itertools
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics as skm
import torch

import checkpoint
import tasks
import windows
from config import RunConfig
from tasks.nilm import plots
from tasks.nilm.flags import DEFAULTS, FLAGS
from tasks.nilm.task import SEEDS
from tasks.nilm.timeline import Timeline
from tasks.predictions import Predictions

from . import forkserver
from .conftest import ROOT
from .runs import go, good, strict

METER = "--task nilm --time-col time --mains-col total --resample 10s --device-cols kettle lamp=light"
QUICK = f"--mode train {METER} --window 60 --epochs 2 --seeds 1 --model-args filters=8 --no-plots --reference off"


def lay_house(folder: Path, name="house.csv", steps=2400, seed=0, step=10, **columns) -> pd.DataFrame:
    """A kettle of 2 kW for three minutes at a time, a lamp of 60 W for ten, and 90 W that are always there."""
    rng = np.random.default_rng(seed)
    power = {"kettle": np.zeros(steps), "light": np.zeros(steps)}
    for device, watts, length in (("kettle", 2100, 18), ("light", 60, 60)):
        for begin in range(int(rng.integers(10, 40)), steps - 3 * length, length * 5):
            at = begin + int(rng.integers(0, length))
            power[device][at : at + length] = watts
    total = 90 + sum(power.values()) + rng.normal(scale=3, size=steps)
    times = pd.date_range("2024-01-01", periods=steps, freq=f"{step}s").map(str)
    frame = pd.DataFrame({"time": times, "total": total.round(1), **power, **columns})
    frame.to_csv(folder / name, index=False)
    return frame


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def column(lines: list[dict[str, str]], name: str) -> np.ndarray:
    return np.array([float(line[name]) for line in lines])


def test_a_run_leaves_what_is_promised_and_its_figures_are_those_of_its_timeline(tmp_path):
    lay_house(tmp_path)
    line = QUICK.replace("--no-plots --reference off", "").replace("--epochs 2", "--epochs 10 --lr 0.01")
    folder = good(tmp_path, line, "--csv house.csv --min-on lamp=0 kettle=0 --min-off lamp=0 kettle=0")
    assert folder.name == "train_nilm_ctx60_ch3_both_seeds1_tcn_seed777_splitholdout"
    names = {
        "config.yaml",
        "energy.csv",
        "energy.png",
        "index.html",
        "history.csv",
        "kpis.json",
        "learning_curve.png",
        "manifest.json",
        "model.pt",
    }
    names |= {"model.pt.best", "normalizer.json", "per_device_metrics.csv", "summary.json", "summary.png"}
    assert {p.name for p in folder.iterdir()} == names | {"timeline.csv", "timelines.png", "window.png"}
    lines, kpis = rows(folder / "timeline.csv"), strict(folder / "kpis.json")
    content = strict(folder / "summary.json")
    for name, found in kpis["devices"].items():
        on, said = column(lines, f"{name} true on"), column(lines, f"{name} state")
        assert found["f1"] == pytest.approx(skm.f1_score(on, said))
        assert np.array_equal(said, column(lines, f"{name} p") >= found["tau"]) or name == "lamp"
        watts, true = column(lines, f"{name} W"), column(lines, f"{name} true watts")
        assert found["mae"] == pytest.approx(np.abs(watts - true).mean(), rel=1e-3)
        assert not watts[said == 0].any() and watts.min() >= 0
    assert content["macro_f1"] == pytest.approx(np.mean([d["f1"] for d in kpis["devices"].values()]))
    assert content["macro_f1"] > content["references"]["all_on"]["macro_f1"]
    assert content["references"]["all_zero"]["macro_f1"] == 0
    lamp = [d["mae"] for d in content["references"]["all_zero"]["devices"].values()]
    power = np.array([column(lines, f"{name} true watts") for name in ("kettle", "lamp")])
    assert lamp == pytest.approx(power.mean(axis=1).tolist(), rel=1e-3)
    scale = strict(folder / "normalizer.json")
    assert scale["channels"][:2] == ["mains", "mains change"] and len(scale["mean"]) == 6
    device = rows(folder / "per_device_metrics.csv")
    assert [line["device"] for line in device] == ["kettle", "lamp"]


def test_thresholds_and_rules_stand_in_the_figures_and_a_default_is_told(tmp_path):
    lay_house(tmp_path)
    done = go(tmp_path, QUICK, "--csv house.csv --on-w 30 kettle=500 --min-on lamp=20 --tau lamp=0.4")
    assert done.code == 0, done.err
    kpis, table = strict(done.directory / "kpis.json")["devices"], rows(done.directory / "per_device_metrics.csv")
    assert [kpis[name]["on_w"] for name in ("kettle", "lamp")] == [500, 30] and kpis["lamp"]["min_on"] == 20
    assert (kpis["lamp"]["tau"], kpis["lamp"]["tau_from"]) == (0.4, "given")
    why = kpis["kettle"]["tau_from"]
    assert why.startswith("default: validation holds") and table[0]["tau_from"] == why and table[0]["on_w"] == "500.0"
    assert f"runs of 12 s (usual for a kettle, --on-w), tau 0.5 ({why.removeprefix('default: ')})" in done.err
    assert "; --tau kettle=best takes" in done.err and kpis["lamp"]["rule_from"] == table[1]["rule_from"]
    best = go(tmp_path, f"--mode infer --ckpt {done.directory} --csv house.csv --no-plots --tau best")
    found = strict(best.directory / "kpis.json")["devices"]
    assert found["kettle"]["tau_from"] == "best F1 on validation" and found["kettle"]["tau"] != 0.5
    other = go(tmp_path, f"--mode infer --ckpt {done.directory} --csv house.csv --no-plots --on-w lamp=45 --min-off 0")
    found = strict(other.directory / "kpis.json")["devices"]
    assert [found[name]["on_w"] for name in ("kettle", "lamp")] == [500, 45]
    assert found["lamp"]["min_on"] == 20 and found["lamp"]["least_w"] == 45 and found["kettle"]["least_w"] == 0
    again = go(tmp_path, QUICK, "--csv house.csv --tau best --desc best")
    content = strict(again.directory / "summary.json")["calibration"]
    assert content["tau"] == content["best"] and content["not_chosen"] == {}


@pytest.mark.parametrize(
    ("asked", "weights"), [("sqrt", [3, 2]), ("global", [9, 4]), ("none", [1, 1]), (2.5, [2.5, 2.5])]
)
def test_the_weight_of_the_on_state(asked, weights):
    from tasks.nilm.loss import weight_of

    assert weight_of(torch.tensor([9.0, 4.0]), asked).tolist() == weights


def test_the_plain_ratio_is_off_to_on_and_stands_in_the_name(tmp_path):
    frame = lay_house(tmp_path)
    folder = good(
        tmp_path, QUICK, "--csv house.csv --pos-weight global --split-sizes 1800,300,300 --min-on 0 --min-off 0"
    )
    assert folder.name == "train_nilm_ctx60_ch3_both_pwglobal_seeds1_tcn_seed777_splitholdout"
    on = frame["kettle"][:1800] > 0
    ratio = checkpoint.read(folder / "model.pt")["fitted"]["pos_weight"][0]
    assert ratio == pytest.approx((~on).sum() / on.sum(), rel=0.05)  # windows may leave out some steps at the end
    done = go(tmp_path, QUICK, "--csv house.csv --nilm-target power --pos-weight global")
    assert done.code == 2 and "learns watts alone" in done.err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("target", "backbone"), [("state", "unet"), ("power", "unet"), ("both", "unet"), ("both", "gru")]
)
def test_states_and_watts_are_learned(target, backbone, tmp_path):
    lay_house(tmp_path)
    small = {"gru": "hidden=16", "unet": "filters=8"}[backbone]
    quick = "--window 120 --stride 20 --epochs 8 --seeds 1 --batch-size 8 --lr 0.01 --other-loads 0 --no-plots"
    line = f"--mode train {METER} --csv house.csv {quick}"
    content = strict(
        good(tmp_path, line, f"--backbone {backbone} --model-args {small} --nilm-target {target}") / "summary.json"
    )
    assert content["devices"]["kettle"]["f1"] > 0.7
    assert content["devices"]["kettle"]["mae"] < 0.5 * content["references"]["all_zero"]["devices"]["kettle"]["mae"]


def test_overlapping_windows_are_averaged_into_one_value_a_step():
    offsets, usable = np.array([0, 50]), np.ones(50, bool)
    usable[30] = False
    index = windows.cover(offsets, usable, length=8, stride=5)
    assert index.starts().tolist() == [0, 5, 10, 15, 20, 22, 31, 36, 41, 42]
    rng = np.random.default_rng(0)
    pred = rng.random((len(index), 4, 8)).astype(np.float32)
    line = Timeline.of(Predictions(index, pred, None))
    assert line.at.tolist() == [t for t in range(50) if t != 30]
    for i, t in enumerate(line.at):
        said = [pred[w, 1, t - s] for w, s in enumerate(index.starts()) if s <= t < s + 8]
        assert line.score[1, i] == pytest.approx(np.mean(said), rel=1e-5)


def test_windows_cover_every_stretch_of_every_row_and_nothing_else():
    rng = np.random.default_rng(1)
    for _ in range(50):
        offsets = np.concatenate([[0], np.cumsum(rng.integers(3, 40, 3))])
        usable = rng.random(offsets[-1]) > 0.05
        length, stride = int(rng.integers(2, 9)), int(rng.integers(1, 12))
        index = windows.cover(offsets, usable, length=length, stride=stride)
        covered = np.zeros(offsets[-1], int)
        for start, row in zip(index.starts(), index.rows(), strict=True):
            assert offsets[row] <= start and start + length <= offsets[row + 1]
            assert usable[start : start + length].all()
            covered[start : start + length] += 1
        for begin, end in itertools.pairwise(offsets):
            run = begin
            for t in range(begin, end + 1):
                if t == end or not usable[t]:
                    if t - run >= length and stride <= length:
                        assert covered[run:t].all()
                    run = t + 1
        assert len(set(index.starts())) == len(index)


def test_a_meter_alone_is_told_apart_and_not_scored(tmp_path):
    frame = lay_house(tmp_path)
    run = good(tmp_path, QUICK, "--csv house.csv")
    frame[["time", "total"]].to_csv(tmp_path / "alone.csv", index=False)
    ckpt = run.relative_to(tmp_path)
    alone = good(tmp_path, "--mode infer --csv alone.csv --desc alone --ckpt", ckpt)
    both = good(tmp_path, "--mode infer --csv house.csv --desc both --no-plots --ckpt", ckpt)
    told = rows(alone / "timeline.csv")
    assert len(told) == 2400 and "kettle true on" not in told[0]
    assert np.allclose(column(told, "kettle p"), column(rows(both / "timeline.csv"), "kettle p"), atol=1e-4)
    assert "unscored" in strict(alone / "summary.json") and not (alone / "kpis.json").exists()
    assert {p.name for p in alone.glob("*.png")} == {"timelines.png", "energy.png", "window.png"}
    assert strict(both / "summary.json")["steps"] == 2400


def test_a_loaded_model_repeats_the_judgement_of_training(tmp_path):
    lay_house(tmp_path)
    run = good(tmp_path, QUICK, "--csv house.csv")
    again = good(
        tmp_path, "--mode infer --csv house.csv --eval-split test --no-plots --ckpt", run.relative_to(tmp_path)
    )
    first, second = (strict(place / "summary.json") for place in (run, again))
    assert first["steps"] == second["steps"]
    assert first["macro_f1"] == pytest.approx(second["macro_f1"]) and first["mae"] == pytest.approx(second["mae"])


@pytest.mark.slow
def test_nothing_that_is_fitted_sees_the_test_part(tmp_path):
    kept = []
    for name, factor in (("one", 1.0), ("two", 3.0)):
        (tmp_path / name).mkdir()
        frame = lay_house(tmp_path / name)
        frame.loc[2040:, ["total", "kettle", "light"]] *= factor
        frame.to_csv(tmp_path / name / "house.csv", index=False)
        # the last training windows' half-hour minimum looks ahead, never beyond validation
        kept.append(checkpoint.read(good(tmp_path / name, QUICK, "--csv house.csv") / "model.pt.best"))
    first, second = kept
    assert first["fitted"] == second["fitted"] and first["scaler"] == second["scaler"]
    known = [part["calibration"].pop("best") for part in kept]  # the last steps' half-hour minimum looks ahead
    assert first["calibration"] == second["calibration"] and known[0] == pytest.approx(known[1], abs=1e-4)
    assert all(torch.equal(first["state"][key], second["state"][key]) for key in first["state"])


def test_a_gap_ends_a_stretch_and_no_window_crosses_it(tmp_path):
    frame = lay_house(tmp_path)
    frame.drop(index=range(500, 520)).to_csv(tmp_path / "gap.csv", index=False)  # 200 s, longer than --max-ffill
    folder = good(tmp_path, QUICK, "--csv gap.csv")
    inferred = good(tmp_path, "--mode infer --csv gap.csv --no-plots --ckpt", folder.relative_to(tmp_path))
    assert strict(inferred / "summary.json")["steps"] == 2400 - 20


@pytest.mark.slow
def test_several_houses_are_rows(tmp_path):
    for seed in range(4):
        lay_house(tmp_path, f"house{seed}.csv", steps=900, seed=seed)
    split = "--split-mode group --val-ratio 0.25 --test-ratio 0.25"
    line = f"{QUICK} --csv house0.csv house1.csv house2.csv house3.csv {split}"
    told = strict(good(tmp_path, line) / "manifest.json")
    assert told["data"]["rows"] == 4 and told["split"]["overlap"] == 0


def test_a_stride_that_is_not_given_overlaps_by_half():
    task = tasks.build("nilm", options())
    config = RunConfig(mode="train", task="nilm", context_len=200, given=frozenset({"context_len"}))
    assert task.finalize_config(config, 200) == {"stride": 100} and task.horizon == 200
    assert task.finalize_config(RunConfig(mode="train", task="nilm", context_len=600), 600) == {"stride": 60}
    given = RunConfig(mode="train", task="nilm", context_len=200, stride=7, given=frozenset({"stride"}))
    assert task.finalize_config(given, 200) == {}


def options(**changed):
    return {flag.name: flag.default for flag in tasks.flags("nilm")} | changed


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_a_run_killed_at_a_random_moment_and_resumed_ends_with_the_same_weights(tmp_path, seed):
    lay_house(tmp_path)
    words = f"{QUICK} --epochs 8 --threads 1 --csv house.csv".replace("--epochs 2 ", "").split()
    whole = checkpoint.read(good(tmp_path, *words, "--desc whole") / "model.pt")
    line = [sys.executable, str(ROOT / "run.py"), *words, "--desc", "cut"]
    with forkserver.Popen(line, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as cut:
        next(told for told in cut.stderr if told.startswith("epoch 1/8"))  # from here on there is something to lose
        time.sleep(np.random.default_rng(seed).uniform(0, 0.4))
        cut.kill()
    assert cut.returncode == -signal.SIGKILL
    resumed = checkpoint.read(good(tmp_path, *words, "--desc cut --resume") / "model.pt")
    assert whole["state"].keys() == resumed["state"].keys()
    assert all(torch.equal(value, resumed["state"][name]) for name, value in whole["state"].items())
    assert whole["calibration"] == resumed["calibration"]


@pytest.mark.slow
def test_frozen_meters_are_found_on_real_data(tmp_path, shared):
    (place,) = (shared / "refit_house2").glob("*.csv.gz")
    line = f"--mode train --task nilm --csv {place} --time-col timestamp --mains-col aggregate --resample 16s"
    done = go(tmp_path, line, "--device-cols fridge dishwasher --drop-flatlines --dry-run")
    assert done.code == 0, done.err
    assert "is frozen at 2729 W for 795" in done.err


# --- mistakes --------------------------------------------------------------------------------------------------------


def broken(frame: pd.DataFrame, kind: str) -> pd.DataFrame:
    match kind:
        case "unknown device":
            frame = frame.rename(columns={"light": "lights"})
        case "never known":
            frame["light"] = np.nan
        case "text":
            frame["light"] = frame["light"].astype(object)
            frame.loc[7, "light"] = "broken"
        case "unsorted":
            frame = frame.iloc[[1, 0, *range(2, len(frame))]]
        case "gaps":
            frame = frame[frame.index % 100 < 50]
    return frame


@pytest.mark.parametrize(
    ("kind", "more", "code", "texts"),
    [
        ("unknown device", "", 3, ["'light'", "did you mean lights?"]),
        ("never known", "", 3, ["lamp"]),
        ("text", "", 3, ["t.csv:9:4", "'broken'"]),
        ("unsorted", "", 3, ["t.csv:3"]),
        ("gaps", "", 3, ["every window holds a missing value", "longest stretch has 5"]),
        ("whole", "--start 2030-01-01", 3, ["2024-01-01"]),
        ("whole", "--on-w lmap=3", 2, ["--on-w", "did you mean lamp?"]),
        ("whole", "--on-w lamp=much", 2, ["--on-w", "lamp=much"]),
        ("whole", "--resample often", 2, ["--resample", "'often'"]),
        ("whole", "--mains-col totl", 3, ["'totl'", "did you mean total?"]),
        ("whole", "--label-offset 2", 2, ["--label-offset does not apply to --task nilm"]),
        ("whole", "--backbone dlinear", 2, ["has no 'step' head"]),
    ],
)
def test_mistakes_are_named(kind, more, code, texts, tmp_path):
    broken(lay_house(tmp_path), kind).to_csv(tmp_path / "t.csv", index=False)
    words = QUICK.replace("--model-args filters=8", "") if "--backbone" in more else QUICK
    done = go(tmp_path, words, "--csv t.csv", more)
    assert done.code == code, done.err
    for text in texts:
        assert text in done.err, done.err
    assert not list(tmp_path.glob("artifacts/train*"))


def test_a_device_that_is_never_on_has_no_f1_and_drowns_nobody(tmp_path):
    frame = lay_house(tmp_path)
    frame["light"] = frame["light"].where(frame.index < 1900, 0.0)  # on in training and validation alone
    frame.to_csv(tmp_path / "t.csv", index=False)
    folder = good(tmp_path, QUICK, "--csv t.csv")
    content = strict(folder / "summary.json")
    assert content["devices"]["lamp"]["f1"] is None and content["devices"]["lamp"]["undefined"]["f1"]
    assert content["macro_f1_devices"] == ["kettle"]
    assert checkpoint.read(folder / "model.pt")["fitted"]["pos_weight"][1] <= 1e4


def test_negative_watts_are_none_and_devices_above_the_mains_are_told(tmp_path):
    frame = lay_house(tmp_path)
    frame["kettle"] = np.where(frame["kettle"] > 0, 9000.0, -5.0)
    frame.to_csv(tmp_path / "t.csv", index=False)
    done = go(tmp_path, QUICK, "--csv t.csv")
    assert done.code == 0, done.err
    assert "more than the mains" in done.err
    assert column(rows(done.directory / "timeline.csv"), "kettle true watts").min() == 0


def test_no_threshold_is_chosen_where_runs_are_decided_as_a_whole(tmp_path):
    lay_house(tmp_path)
    found = strict(good(tmp_path, QUICK, "--csv house.csv") / "summary.json")
    chosen = found["calibration"]
    assert chosen["tau"][1] == 0.5 and chosen["not_chosen"]["lamp"] == "its runs are decided as a whole"
    kettle, lamp = (device["decided"].partition(",")[0] for device in found["devices"].values())
    assert kettle == "step by step" and lamp in ("whole runs", "step by step")  # the latter where both differ


def test_the_defaults_are_those_that_the_manual_names():
    assert DEFAULTS["backbone"] == "tcn" and FLAGS["seeds"]["default"] == SEEDS == 3 and DEFAULTS["context_len"] == 600


# --- PostgreSQL ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_database_gives_what_the_same_readings_in_a_file_give(tmp_path, postgres):
    """DEDDIAG's tables, one reading a change, against a long CSV of every second."""
    from tools import deddiag_db

    rng = np.random.default_rng(4)
    seconds = 6000
    kettle = 2000.0 * (np.arange(seconds) // 90 % 7 == 0)
    total = kettle + 100 + 50.0 * (np.arange(seconds) // 400 % 2) + rng.integers(0, 2, seconds)
    times = pd.date_range("2024-05-01", periods=seconds, freq="s")
    pd.DataFrame({"time": times.map(str), "total": total, "kettle": kettle}).to_csv(tmp_path / "m.csv", index=False)
    home = tmp_path / "dump" / "house_03"
    home.mkdir(parents=True)
    (home / "house.tsv").write_text("id\tpersons\n3\t\n")
    (home / "items.tsv").write_text("id\tname\tcategory\thouse\n1\tMeter\tTotal\t3\n2\tBoiler\tKettle\t3\n")
    for item, values in ((1, total), (2, kettle)):
        changes = np.flatnonzero(np.diff(values, prepend=-1) != 0)
        lines = [f"{item}\t{times[at]}\t{values[at]}\n" for at in (*changes, seconds - 1)]
        (home / f"item_{item:04d}_data.tsv").write_text("item_id\ttime\tvalue\n" + "".join(lines))
    deddiag_db.load(tmp_path / "dump", postgres, schema="nilm_test")
    common = "--mode train --task nilm --resample 10s --window 60 --epochs 1 --seeds 1 --backbone tcn --no-plots"
    common += " --reference off --model-args filters=8 --nilm-features none --end 2024-05-01T01:39:50"
    of_file = f"--csv m.csv --time-col time --mains-col total --device-cols kettle --start 2024-05-01 --tz UTC {common}"
    of_base = f"--db '{postgres}' --db-schema nilm_test --house 3 --mains 1 --devices kettle=Boiler {common} --desc db"
    one, two = (good(tmp_path, line) for line in (of_file, of_base))
    first, second = (rows(place / "timeline.csv") for place in (one, two))
    assert [line["mains"] for line in first] == [line["mains"] for line in second]
    assert [line["time"][:19] for line in first] == [line["time"][:19] for line in second]
    assert np.allclose(column(first, "kettle p"), column(second, "kettle p"), atol=1e-5)
    loaded = f"--mode infer --db '{postgres}' --db-schema nilm_test --house 3 --mains 1 --eval-split test --no-plots"
    again = good(tmp_path, loaded, "--ckpt", two.relative_to(tmp_path))
    assert strict(again / "summary.json")["macro_f1"] == strict(two / "summary.json")["macro_f1"]
    import psycopg

    with psycopg.connect(postgres) as connection:  # another house, which has a meter only
        connection.execute("INSERT INTO nilm_test.houses (id) VALUES (4)")
        connection.execute("INSERT INTO nilm_test.items (id, name, category, house) VALUES (9, 'Total', 'Other', 4)")
        connection.execute("INSERT INTO nilm_test.houses (id) VALUES (5)")  # and one whose kettle is another item
        connection.execute("INSERT INTO nilm_test.items (id, name, category, house) VALUES (11, 'All', 'Other', 5)")
        connection.execute("INSERT INTO nilm_test.items (id, name, category, house) VALUES (12, 'Kocher', 'Other', 5)")
        for item, of in ((9, 1), (11, 1), (12, 2)):
            table = "nilm_test.measurements"
            copied = f"INSERT INTO {table} SELECT %s, time, value FROM {table} WHERE item_id = %s"
            connection.execute(copied, (item, of))
    alone = loaded.replace("--house 3 --mains 1 --eval-split test", "--house 4 --mains 9 --desc alone")
    alone = good(tmp_path, alone, "--ckpt", two.relative_to(tmp_path))
    assert "unscored" in strict(alone / "summary.json") and "kettle true on" not in rows(alone / "timeline.csv")[0]
    lines = {line["time"]: line["kettle p"] for line in rows(alone / "timeline.csv")}
    assert len(lines) > len(second)
    other = loaded.replace("--house 3 --mains 1 --eval-split test", "--house 5 --mains 11 --desc other")
    named = good(tmp_path, other, "--devices kettle=12 --ckpt", two.relative_to(tmp_path))
    whole = good(tmp_path, loaded.replace("--eval-split test", "--desc whole"), "--ckpt", two.relative_to(tmp_path))
    assert strict(named / "summary.json")["devices"] == strict(whole / "summary.json")["devices"]
    stray = go(tmp_path, other, "--devices 12 --ckpt", two.relative_to(tmp_path))
    assert stray.code == 4 and "--devices kettle=Kocher says that Kocher is the kettle" in stray.err


@pytest.mark.slow
def test_a_database_is_asked_for_a_meter_and_devices(tmp_path, postgres):
    line = f"--mode train --task nilm --db '{postgres}' --house 3"
    assert "--mains: is needed with --db" in go(tmp_path, line, "--devices 2").err
    assert "--devices: is needed with --db" in go(tmp_path, line, "--mains 1").err


def two_houses(gap: int = 0) -> Timeline:
    """Two houses of 60 steps, one device; the second lacks `gap` steps from its 30th on."""
    index = windows.cover(
        np.array([0, 60, 120]), np.r_[np.ones(90), np.zeros(gap), np.ones(30 - gap)] == 1, length=5, stride=5
    )
    score = np.zeros((len(index), 2, 5), np.float32)
    score[:, 0] = (index.starts()[:, None] + np.arange(5)) % 60 >= 55
    return Timeline.of(Predictions(index, score, score))


def test_houses_and_gaps_are_no_neighbours_on_the_timeline():
    line = two_houses(gap=7)
    assert line.rows.tolist() == [0] * 60 + [1] * 53
    assert (np.diff(line.when) != 1).nonzero()[0].tolist() == [59, 89]
    on = line.states([[0.5]], [(0, 0)])
    assert on.sum() == 10 and line.states([[0.5]], [(6, 0)]).sum() == 0  # five steps at the end of each house
    on = Timeline(line.at, line.rows, np.roll(line.score, 2, axis=1), line.watts, None, None).states([[0.5]], [(6, 0)])
    assert not on.any()  # three steps before the border and two after it are no run of five


def test_pictures_stay_in_one_house_and_are_broken_at_gaps():
    line = two_houses(gap=7)
    states = np.zeros((1, 113), np.float32)
    states[0, 50:70] = states[0, 80:100] = 1
    house, steps = plots.busiest(line, states, 40)
    assert house == 1 and steps.start >= 60 and steps.stop <= 120 and steps.stop - steps.start == 40
    axis = plots.on_axis(line, states, slice(60, 120))
    assert np.isnan(axis[0, 30:37]).all() and np.isfinite(np.delete(axis[0], np.s_[30:37])).all()
    assert np.nansum(axis) == 10 + 20


def test_another_house_is_read_by_devices_in_its_own_words_and_its_head_alone_is_trained(tmp_path):
    """Finetuning binds names: columns in another order and language, and days in kWh of a meter alone."""
    lay_house(tmp_path)
    run = good(tmp_path, QUICK.replace("lamp=light", "light"), "--csv house.csv")
    other = lay_house(tmp_path, "other.csv", seed=4).rename(columns={"kettle": "Wasserkocher", "light": "Light"})
    other[["Light", "time", "Wasserkocher", "total"]].to_csv(tmp_path / "other.csv", index=False)
    flags = f"--mode finetune --ckpt {run} --csv other.csv --mains-col total --train-only head --epochs 1 --no-plots"
    done = go(tmp_path, flags)
    assert done.code == 0 and "kettle is read from Wasserkocher" in done.err and "light is read from Light" in done.err
    before = checkpoint.read(run / "model.pt.best")["state"]
    after = checkpoint.read(done.directory / "model.pt")["state"]
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed and all("head" in name for name in changed)
    other[["time", "total"]].to_csv(tmp_path / "alone.csv", index=False)
    alone = go(tmp_path, f"--mode infer --ckpt {done.directory} --csv alone.csv --mains-col total --no-plots")
    assert alone.code == 0 and "minutes on" in alone.out and "kWh a day" not in alone.out  # of 6.7 hours
    days, line = rows(alone.directory / "energy.csv"), rows(alone.directory / "timeline.csv")
    assert [row["day"] for row in days] == ["2024-01-01"] and float(days[0]["hours"]) == pytest.approx(
        len(line) / 360, 1e-3
    )
    assert float(days[0]["kettle"]) == pytest.approx(column(line, "kettle W").sum() * 10 / 3.6e6, abs=1e-3)


def test_a_device_that_is_never_on_in_training_is_told_by_name_and_said_to_be_off(tmp_path):
    lay_house(tmp_path, sauna=0.5)
    done = go(tmp_path, QUICK, "--csv house.csv --device-cols kettle sauna lamp=light")
    assert done.code == 0 and "never on in training, so left out and said to be off: sauna" in done.err
    assert "--device-cols kettle lamp=light leaves it out" in done.err
    lines = rows(done.directory / "timeline.csv")
    assert not column(lines, "sauna W").any() and not column(lines, "sauna p").any() and column(lines, "kettle p").any()
