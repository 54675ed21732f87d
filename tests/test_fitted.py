"""Backbones that are fitted to windows: every one of them, for every kind of target that it serves."""

from __future__ import annotations

import io
import types
from dataclasses import replace

import numpy as np
import pytest
import torch

import backbones
from backbones import ModelSpec, TargetSpec
from backbones import fitted as fitted_module
from backbones.fitted import loss_of, outputs_on
from backbones.fitting import Fitting, Labelled
from backbones.model import Model, build_model
from errors import UsageError

from .runs import go, good, strict
from .test_combinations import SMALL

CHANNELS, LENGTH = 2, 12
ANSWERS = [name for name in backbones.names() if backbones.backbone_class(name).answers]
NAMES = [name for name in ANSWERS if not backbones.backbone_class(name).needs_pretrained_dir]  # their tests build those
SERVED = [(name, kind) for name in NAMES for kind in backbones.backbone_class(name).kinds]
# What an hour of tuning would find is not asked for: a share of the loss of the best constant.
ENOUGH = 0.8


def windows(kind: str, n: int, seed: int = 0, outputs: int = 3) -> Labelled:
    """Steps that wander, and targets that depend on the last steps: values, labels or classes [n, outputs]."""
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(n, CHANNELS, LENGTH)).cumsum(axis=2) / 2
    score = np.stack([x[:, 0, -1] - x[:, 1, -3:].mean(1), x[:, 1, -1], x.mean(axis=(1, 2))], axis=1)[:, :outputs]
    score = score + 0.2 * draw.normal(size=score.shape)
    if kind == "label":
        score = score > 0.3
    elif kind == "class":
        score = np.eye(outputs)[score.argmax(1)]
    held = torch.from_numpy(x.astype(np.float32))
    return Labelled(lambda numbers: held[numbers], torch.from_numpy(score.astype(np.float32)), np.arange(n))


def small(name: str) -> dict[str, object]:
    table = backbones.hyper(name)
    pairs = (word.split("=") for word in SMALL.get(name, "").split())
    return {key: type(table[key]["default"])(value) for key, value in pairs}


def blank(name: str, kind: str, outputs: int = 3, **target) -> Model:
    sizes = {"channels": CHANNELS, "length": LENGTH, "outputs": outputs, "horizon": 1, "head": "pool"}
    return build_model(ModelSpec(backbone=name, args=small(name), target=TargetSpec(kind, outputs, **target), **sizes))


def fitted(name: str, kind: str, train: Labelled, val: Labelled, seed: int = 1, outputs: int = 3) -> Model:
    model = blank(name, kind, outputs).eval()
    model.told = model.backbone.fit_windows(Fitting(train, val, seed, "l1" if kind == "value" else ""))
    return model


def loss(model: Model, on: Labelled, kind: str) -> float:
    return loss_of(outputs_on(on, model.backbone.answer), on.y, kind, "l1")


def constant(on: Labelled, kind: str) -> float:
    """The loss of the best constant."""
    mean = on.y.mean(0, keepdim=True).expand_as(on.y)
    if kind == "value":
        return loss_of(on.y.median(0, keepdim=True).values.expand_as(on.y), on.y, kind, "l1")
    return loss_of(mean.log() if kind == "class" else mean.logit(), on.y, kind, "")


def state(model: Model) -> bytes:
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    return file.getvalue()


@pytest.mark.parametrize(("name", "kind"), SERVED)
def test_it_learns_and_a_state_is_all_that_is_kept(name, kind):
    train, val, new = (windows(kind, n, seed) for n, seed in ((300, 0), (100, 1), (300, 2)))
    model = fitted(name, kind, train, val)
    assert loss(model, new, kind) < ENOUGH * constant(new, kind)
    assert model.told["windows"] == 300
    other = blank(name, kind).eval()
    other.load_state_dict(torch.load(io.BytesIO(state(model)), weights_only=True))
    x = new.read(torch.arange(50))
    assert torch.equal(other(x), model(x)) and model(x).shape == (50, 3, 1)


@pytest.mark.parametrize("name", NAMES)
def test_a_seed_fixes_every_byte(name):
    train, val = windows("label", 120), windows("label", 60, 1)
    first, again = (fitted(name, "label", train, val, seed=3) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first.state_dict().values(), again.state_dict().values(), strict=True))


@pytest.mark.parametrize(("name", "kind"), [pair for pair in SERVED if pair[0] != "auto"])
def test_fitted_again_it_has_forgotten_what_it_knew(name, kind):
    """Byte for byte what a fresh one knows: `auto` fits its members again to training and validation."""
    before, train, val = (windows(kind, n, seed) for n, seed in ((60, 3), (60, 0), (30, 1)))
    again = fitted(name, kind, before, val)
    again.backbone.fit_windows(Fitting(train, val, 1, "l1" if kind == "value" else ""))
    assert state(again) == state(fitted(name, kind, train, val))


@pytest.mark.parametrize(("name", "kind"), SERVED)
def test_finetuning_learns_what_changed(name, kind):
    """New windows in which the channels have changed places; before, the old map is worse there than a constant."""
    train, val = windows(kind, 300), windows(kind, 100, 1)
    model = fitted(name, kind, train, val)

    def turned(on: Labelled) -> Labelled:
        return Labelled(lambda numbers: on.read(numbers).flip(1), on.y, on.groups)

    new, judged, later = turned(windows(kind, 600, 3)), turned(windows(kind, 100, 4)), turned(windows(kind, 300, 5))
    before = loss(model, later, kind)
    model.backbone.fit_windows(Fitting(new, judged, 1, "l1" if kind == "value" else "", goes_on=True))
    assert loss(model, later, kind) < 0.8 * before


@pytest.mark.parametrize("name", [name for name in NAMES if "class" in backbones.backbone_class(name).kinds])
def test_two_classes_and_one_that_training_lacks(name):
    train, val = windows("class", 150, outputs=2), windows("class", 60, 1, outputs=2)
    model = fitted(name, "class", train, val, outputs=2)
    assert loss(model, val, "class") < ENOUGH * constant(val, "class")
    more = [
        Labelled(part.read, torch.cat([part.y, torch.zeros(len(part), 1)], 1), part.groups) for part in (train, val)
    ]
    three = fitted(name, "class", *more)
    share = outputs_on(val, three.backbone.answer).softmax(1)
    assert float(share[:, 2].max()) < 0.2 and share.isfinite().all()
    assert loss(three, more[1], "class") < ENOUGH * constant(val, "class")


@pytest.mark.parametrize("name", [name for name in NAMES if "label" in backbones.backbone_class(name).kinds])
def test_a_label_that_never_changes(name):
    train, val = windows("label", 100), windows("label", 60, 1)
    train.y[:, 1], val.y[:, 1] = 1.0, 1.0
    said = outputs_on(val, fitted(name, "label", train, val).backbone.answer)
    assert said.isfinite().all() and float(said[:, 1].sigmoid().min()) > 0.9


@pytest.mark.parametrize("name", [name for name in NAMES if "value" in backbones.backbone_class(name).kinds])
def test_a_target_that_goes_on_from_its_last_value(name):
    """Far from zero and drifting: what is learned is the change."""
    train, val, new = (windows("value", n, seed, outputs=1) for n, seed in ((200, 0), (100, 1), (100, 2)))
    change = {id(part): part.y for part in (train, val, new)}
    parts = []
    for part, level in ((train, 0.0), (val, 20.0), (new, 40.0)):
        held = part.read(torch.arange(len(part))) + level
        y = 0.5 * held[:, 0, -1:] + 3.0 + 0.3 * change[id(part)]
        parts.append(Labelled(lambda numbers, held=held: held[numbers], y, part.groups))
    model = blank(name, "value", 1, channel=0, scale=0.5, shift=3.0)
    model.backbone.fit_windows(Fitting(parts[0], parts[1], 1, "l1"))
    if name in ("boosting", "ridge"):
        assert loss(model, parts[2], "value") < 0.6  # as level, trees cannot leave the range of training
    assert loss(model, parts[2], "value") < 2.0


@pytest.mark.parametrize("name", NAMES)
def test_labels_of_whole_series_and_rolling_folds(name, tmp_path, write_csv):
    """The command line: K classes by `--labels`, folds in time, finetuning, a kind that is not served."""
    draw = np.random.default_rng(0)
    kinds = backbones.backbone_class(name).kinds
    label = draw.integers(0, 3, 60)
    waves = np.sin(np.arange(20) * (0.3 + 0.4 * label[:, None])) + 0.3 * draw.normal(size=(60, 20))
    write_csv("a.csv", np.round(waves, 4))
    write_csv("y.csv", np.eye(3, dtype=int)[label])
    words = f"--backbone {name} --reference off --no-plots --quiet"
    words += f" --model-args {SMALL[name]}" if name in SMALL else ""
    run = good(tmp_path, f"--mode train --task classify --csv a.csv --labels y.csv --test-ratio 0.3 {words}")
    content = strict(run / "metrics.json")
    assert content["accuracy"] > 0.5 and content["fit"]["windows"] >= 30 and content["epochs"] == 0
    folds = "--split-mode rolling --folds 2 --val-ratio 0.2 --context-len 6"
    good(tmp_path, f"--mode train --task classify --csv a.csv --bin-rule gt {folds} {words}")
    if "value" not in kinds:
        done = go(tmp_path, f"--mode train --task regress --csv a.csv --context-len 6 {words}")
        assert done.code == 2 and "these targets are of the kind 'value'" in done.err and "boosting" in done.err
    good(
        tmp_path, f"--mode finetune --task classify --csv a.csv --labels y.csv --ckpt {run} --reference off --no-plots"
    )


@pytest.mark.parametrize("features", ["hydra+minirocket", "intervals", "steps"])
def test_what_hardly_varied_in_training_does_not_decide_alone(features):
    """A channel that is still in training and moves later: probabilities stay near those of the other channel."""
    train, val, new = (windows("label", n, seed, outputs=1) for n, seed in ((200, 0), (60, 1), (200, 2)))
    spec = {"channels": 3, "length": LENGTH, "outputs": 1, "horizon": 1, "head": "pool"}
    model = build_model(
        ModelSpec(backbone="rocket", args={"features": features}, target=TargetSpec("label", 1), **spec)
    ).eval()

    def beside(on: Labelled, size: float) -> Labelled:
        """With a third channel of noise of this size."""
        noise = size * torch.randn(len(on), 1, LENGTH, generator=torch.Generator().manual_seed(len(on)))
        held = torch.cat([on.read(torch.arange(len(on))), noise], dim=1)
        return Labelled(lambda numbers: held[numbers], on.y, on.groups)

    model.backbone.fit_windows(Fitting(beside(train, 1e-5), beside(val, 1e-5), 1))
    assert loss(model, beside(new, 5.0), "label") < 3.0


def test_sizes_that_a_forecast_takes_are_refused_for_windows():
    with pytest.raises(UsageError, match="lookback is for forecasts"):
        build_model(
            ModelSpec(
                backbone="ridge", args={"lookback": 4}, target=TargetSpec("label", 1), channels=1, length=9, outputs=1,
                horizon=1, head="pool",
            )
        )  # fmt: skip


def test_a_budget_takes_the_windows_that_fit_it(monkeypatch, caplog):
    """A fit that takes 2 seconds and 1 millisecond a window; a trial of 500 and one of 2,000 show that."""
    clock = types.SimpleNamespace(now=0.0)
    monkeypatch.setattr(fitted_module.time, "perf_counter", lambda: clock.now)
    model, counts = blank("ridge", "value").backbone, []
    solve = type(model).fit_windows

    def timed(self, data):
        counts.append(len(data.train))
        clock.now += 2 + 0.001 * len(data.train)
        return solve(self, data)

    monkeypatch.setattr(type(model), "fit_windows", timed)
    data = Fitting(windows("value", 9000), windows("value", 60, 1), 1, "l1")
    with caplog.at_level("INFO", "tsrun"):
        told = model.fit_in_time(replace(data, seconds=14.0))
    assert counts == [500, 2000, 4583] and clock.now <= 14  # (14 - 2.5 - 4 - 2) / (1.2 * .001)
    assert (told["windows"], told["of"]) == (4583, 9000)
    assert "ridge, for --budget: fitted to a random sample of 4,583 of 9,000 windows" in caplog.text
    counts.clear()
    assert model.fit_in_time(replace(data, seconds=1000.0))["windows"] == 9000 and counts == [500, 2000, 9000]
    counts.clear()
    model.fit_in_time(data)
    assert counts == [9000]


def test_leaves_of_labels_are_larger_where_windows_are_many():
    settings = {kind: blank("extra_trees", kind).backbone.settings for kind in ("label", "class", "value")}
    least = {kind: [make(n)["min_samples_leaf"] for n in (4999, 5000)] for kind, make in settings.items()}
    assert least == {"label": [3, 10], "class": [3, 10], "value": [3, 3]}


def test_trees_of_the_last_step_see_nothing_else():
    sizes = {"channels": CHANNELS, "length": LENGTH, "outputs": 1, "horizon": 1, "head": "pool"}
    args = {"steps": 1, "summaries": False}
    model = build_model(ModelSpec(backbone="extra_trees", args=args, target=TargetSpec("label", 1), **sizes)).eval()
    part = windows("label", 300, outputs=1)
    model.backbone.fit_windows(Fitting(part, part, 1))
    x = part.read(torch.arange(20))
    other = torch.randn_like(x)
    other[:, :, -1] = x[:, :, -1]
    assert torch.equal(model(x), model(other)) and model(x).std() > 0.1


def test_a_ridge_of_many_features_keeps_no_sums_and_says_the_same(monkeypatch):
    train, val = windows("label", 200), windows("label", 100, seed=1)
    kept = fitted("ridge", "label", train, val)
    monkeypatch.setattr("backbones.window_ridge.MOST_KEPT", 10)
    other = fitted("ridge", "label", train, val)
    assert not len(other.backbone.gram) and len(kept.backbone.gram)
    assert torch.equal(other(val.read(torch.arange(5))), kept(val.read(torch.arange(5))))
