"""tasks/nilm/reading.py: which devices a house has, and where; units; and what flags mean for each kind of source."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import checkpoint
from tasks.nilm.targets import DeviceTargets
from windows import Index

from .runs import built, go, good, strict
from .test_nilm import column, lay_house, rows

SMALL = "--window 60 --epochs 2 --seeds 2 --backbone tcn --model-args filters=8 --nilm-features none --no-plots"
SMALL += " --reference off"
METER = "--csv home.csv --time-col time --mains-col total --resample 10s --device-cols kettle=K1 lamp=L1"


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """A folder with a model of kettle and lamp, `run`, and four houses: two that call their columns otherwise."""
    folder = tmp_path_factory.mktemp("homes")
    for name, seed, names in (
        ("home", 0, {"kettle": "K1", "light": "L1"}),
        ("other", 1, {"kettle": "boiler", "light": "K1"}),  # whose K1 is the lamp
        ("kettles", 2, {"kettle": "kettle", "light": "unused"}),
        ("alone", 3, {"kettle": "a", "light": "b"}),
    ):
        frame = lay_house(folder, f"{name}.csv", seed=seed).rename(columns=names)
        frame.to_csv(folder / f"{name}.csv", index=False)
    done = good(folder, f"--mode train --task nilm {METER} {SMALL} --lr 0.01 --epochs 4")
    done.rename(folder / "run")
    return folder


def infer(home: Path, words: str, desc: str):
    return go(home, f"--mode infer --ckpt run --no-plots --reference off --desc {desc} {words}")


def test_another_house_is_scored_where_it_has_its_devices(home):
    done = infer(home, "--csv other.csv --device-cols kettle=boiler lamp=K1", "other")
    assert done.code == 0, done.err
    lines, truth = rows(done.directory / "timeline.csv"), pd.read_csv(home / "other.csv")
    for device, name in (("kettle", "boiler"), ("lamp", "K1")):
        assert column(lines, f"{device} true watts") == pytest.approx(truth[name].to_numpy()[: len(lines)])


def test_a_device_that_a_house_lacks_is_predicted_and_not_scored(home):
    done = infer(home, "--csv other.csv --device-cols kettle=boiler", "some")
    assert done.code == 0 and "not in these data, so predicted without a score: lamp" in done.err
    lines, found = rows(done.directory / "timeline.csv"), strict(done.directory / "kpis.json")["devices"]
    assert {line["lamp true on"] for line in lines} == {""} and column(lines, "lamp p").min() >= 0
    assert found["lamp"]["f1"] is None and found["lamp"]["undefined"]["f1"] == "the device is not in these data"
    true, said = (column(lines, f"kettle {what}") == 1 for what in ("true on", "state"))
    f1 = 2 * (true & said).sum() / (true.sum() + said.sum())
    content = strict(done.directory / "summary.json")
    assert found["kettle"]["f1"] == pytest.approx(f1) == content["macro_f1"]


def test_a_column_of_a_devices_name_is_taken_for_it(home):
    done = infer(home, "--csv kettles.csv", "named")
    content = strict(done.directory / "summary.json")
    assert content["devices"]["kettle"]["f1"] is not None and content["devices"]["lamp"]["f1"] is None


def test_a_column_that_other_files_had_is_not_taken_for_the_same_device(home):
    done = infer(home, "--csv other.csv", "borrowed")
    assert "unscored" in strict(done.directory / "summary.json")
    assert "not scored, since these are not the files of training: kettle" in done.err
    again = infer(home, "--csv home.csv", "same")
    assert strict(again.directory / "summary.json")["devices"]["kettle"]["f1"] is not None
    done = go(home, f"--mode finetune --ckpt run --csv other.csv {SMALL}", "--mains-col total --desc x --stride 30")
    assert done.code == 2 and "which columns are kettle here?" in done.err
    assert "--device-cols kettle=K1 if they are the same here" in done.err


def test_houses_of_one_run_may_lack_different_devices(home):
    done = infer(home, "--csv kettles.csv other.csv --device-cols kettle=kettle lamp=K1", "both")
    assert done.code == 0, done.err
    lines = pd.read_csv(done.directory / "timeline.csv")
    one, two = (lines[lines.row == name] for name in ("kettles", "other"))
    assert one["lamp true on"].isna().all() and one["kettle true on"].notna().all()
    assert two["lamp true on"].notna().all() and two["kettle true on"].isna().all()
    assert go(home, "--mode infer --ckpt run --csv other.csv --device-cols kettle=kettel").code == 3


def test_a_device_that_the_checkpoint_does_not_have_is_an_error_that_lists_its_own(home):
    done = infer(home, "--csv other.csv --device-cols boiler", "stray")
    assert done.code == 4 and "it has kettle, lamp" in done.err and "--device-cols kettle=boiler" in done.err


def test_finetuning_learns_the_devices_that_are_there_and_leaves_the_others(home):
    words = f"--mode finetune --ckpt run --csv other.csv --device-cols kettle=boiler --mains-col total {SMALL}"
    tuned = checkpoint.Checkpoint.load(good(home, words, "--desc tuned --stride 30") / "model.pt")
    start = checkpoint.Checkpoint.load(home / "run" / "model.pt.best")
    for member in range(2):
        before, after = (ckpt.state[f"members.{member}.head.weight"] for ckpt in (start, tuned))
        rows = (before - after).abs().amax(dim=1)
        (kettle, lamp), levels = rows[:2], rows[2:].unflatten(0, (2, 12))  # states of both, then levels of each
        assert kettle > 50 * lamp >= 0 and levels[0].min() > 10 * levels[1].max() >= 0
    for key in ("pos_weight", "on_mean"):
        assert tuned.fitted[key][1] == start.fitted[key][1] and np.isfinite(tuned.fitted[key]).all()


def test_what_is_not_known_has_no_gradient():
    task = built("nilm")
    task.load_fitted({"pos_weight": [2.0, 3.0], "on_mean": [10.0, 20.0], "on_w": [5.0, 5.0]})
    outputs = torch.randn(3, 4, 7, generator=torch.Generator().manual_seed(1)).requires_grad_()
    y = torch.rand(3, 4, 7).round()
    loss = task.loss(torch.device("cpu"))
    whole = loss(outputs, y)
    y[:, [1, 3]] = torch.nan
    part = loss(outputs, y)
    (grad,) = torch.autograd.grad(part, outputs)
    assert torch.isfinite(part) and part != whole
    assert not grad[:, [1, 3]].any() and grad[:, [0, 2]].abs().amax(dim=(0, 2)).min() > 0


def test_steps_are_usable_where_the_devices_of_the_house_are_known():
    watts = np.ones((2, 6), np.float32)
    watts[0, 3:] = np.nan
    watts[1, 1] = np.nan
    states = np.where(np.isnan(watts), 2, 1).astype(np.int8)
    absent = np.array([[False, True], [False, False]])
    targets = DeviceTargets(watts, ("a", "b"), False, states, np.array([0, 3, 6]), absent, np.ones(6, np.float32))
    assert targets.usable().tolist() == [True, False, True, True, True, True]
    index = Index(np.array([3]), np.array([1]), np.array([1]), stride=1, length=3, shift=0, horizon=3)
    found = targets.at(index)[0]  # states, then watts
    assert np.isnan(found[[0, 2]]).all() and (found[[1, 3]] == 1).all()
