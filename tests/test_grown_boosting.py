"""Boosted trees beside the map under a net: against scikit-learn's own, boosted by hand on each fold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression

from backbones import ModelSpec
from backbones.features import ageing
from backbones.fitted import outputs_on
from backbones.fitting import Fitting, Labelled
from backbones.grown import FOLDS
from backbones.grown_boosting import FEWEST_WINDOWS, LEAF, MOST, RATE, SMALL, SMALL_LEAVES, Boosted, drawn
from backbones.model import build_model
from backbones.specs import ROW, TargetSpec
from backbones.weighing import folds
from backbones.wide import Wide, asked_of_map

pytestmark = pytest.mark.grows

VALUE, LABEL = TargetSpec("value", 1, whole=True), TargetSpec("label", 1, whole=True)


def rows(n: int, seed: int, kind: str = "value") -> Labelled:
    """The target is the product of two of six numbers, beside noise, or whether that is above 0."""
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 1, 6, generator=draw)
    y = x[:, :, 1] * x[:, :, 4] + 0.1 * torch.randn(n, 1, generator=draw)
    return Labelled(lambda i: x[i], y if kind == "value" else (y > 0).float(), np.arange(n))


def by_hand(train: Labelled, kind: str) -> tuple[torch.Tensor, int]:
    """What boosting of scikit-learn says of each row that has not seen its fold, [n], and after how many iterations."""
    x, y = train.read(torch.arange(len(train)))[:, 0].numpy(), train.y[:, 0].numpy()
    fold = folds(train.y, train.groups, kind, FOLDS, 7)
    common = {"learning_rate": RATE, "max_leaf_nodes": SMALL_LEAVES, "l2_regularization": 1.0, "max_iter": MOST}
    common |= {"min_samples_leaf": 5, "early_stopping": False, "random_state": 7}
    stages = np.empty((MOST, len(y)))
    for one in range(FOLDS):
        inside = fold != one
        if kind == "value":
            model = HistGradientBoostingRegressor(loss="absolute_error", **common).fit(x[inside], y[inside])
            stages[:, ~inside] = list(model.staged_predict(x[~inside]))
        else:
            model = HistGradientBoostingClassifier(**common).fit(x[inside], y[inside])
            stages[:, ~inside] = [said.ravel() for said in model.staged_decision_function(x[~inside])]
    losses = np.abs(stages - y) if kind == "value" else np.logaddexp(0, stages * np.where(y > 0, -1, 1))
    best = int(losses.mean(1).argmin())
    return torch.from_numpy(stages[best]), best + 1


@pytest.mark.parametrize("target", [VALUE, LABEL])
def test_what_it_says_out_of_fold_is_what_scikit_learn_says(target):
    train = rows(200, 0, target.kind)
    boosted = Boosted(target, 1, 6, rows=True)
    said, raised = boosted.grow(train, Fitting(train, train, 7, "l1" if target is VALUE else ""))
    expected, count = by_hand(train, target.kind)
    assert torch.allclose(said[:, 0].double(), raised * expected, atol=1e-4)
    assert len(boosted.forest.root) == count and (raised == 1 or target is LABEL)


def test_it_says_nothing_before_and_its_weight_times_the_trees_afterwards():
    train, x = rows(200, 0), rows(30, 1).read(torch.arange(30))
    boosted = Boosted(VALUE, 1, 6, rows=True)
    assert torch.equal(boosted(x), torch.zeros(30, 1)) and not list(boosted.named_parameters())
    boosted.grow(train, Fitting(train, train, 7, "l1"))
    boosted.weight.fill_(0.5)
    settings = {"learning_rate": RATE, "max_leaf_nodes": SMALL_LEAVES, "l2_regularization": 1.0, "random_state": 7}
    model = HistGradientBoostingRegressor(
        loss="absolute_error", min_samples_leaf=5, max_iter=len(boosted.forest.root), early_stopping=False, **settings
    ).fit(train.read(torch.arange(200))[:, 0].numpy(), train.y[:, 0].numpy())
    assert boosted(x)[:, 0].numpy() == pytest.approx(0.5 * model.predict(x[:, 0].numpy()), abs=1e-5)
    assert all(torch.isfinite(value).all() for value in boosted.state_dict().values())


def test_a_value_that_is_seen_is_said_as_the_change_from_its_last():
    """A walk whose next step is the sign of another channel: far from the levels of training, the step is the same."""
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(400, 2, 3, generator=draw)
    target = TargetSpec("value", 1, channel=0, scale=2.0, shift=5.0)
    y = x[:, :1, -1] * 2 + 5 + x[:, 1:, -1].sign()
    train = Labelled(lambda i: x[i], y, np.arange(400))
    boosted = Boosted(target, 2, 3)
    boosted.grow(train, Fitting(train, train, 7, "l1"))
    far = x[:50].clone()
    far[:, 0] += 100
    assert (boosted.answer(far) - y[:50] - 200).abs().mean() < 0.1


@pytest.mark.parametrize("kind", ["label", "class"])
def test_a_sample_that_keeps_what_is_rare_is_told_what_it_lacks(kind):
    """Logistic regression of a sample in which the rare side is all there is that of all, but for what is added."""
    draw = np.random.default_rng(0)
    x = draw.normal(size=(40_000, 2))
    true = draw.random(40_000) < 1 / (1 + np.exp(6 - 2 * x[:, 0]))
    kept = true | (draw.random(40_000) < 0.1)
    weight = np.where(true, 1.0, 10.0)[kept]
    y = np.stack([~true, true], 1)[kept] if kind == "class" else true[kept, None]
    lean = drawn(torch.from_numpy(y.astype(np.float32)), weight, kind)
    more = float(lean[1] - lean[0]) if kind == "class" else float(lean[0])
    whole, some = (LogisticRegression(C=1e6).fit(x[part], true[part]) for part in (slice(None), kept))
    assert some.intercept_[0] + more == pytest.approx(whole.intercept_[0], abs=0.2) and more < -2
    assert torch.equal(drawn(torch.ones(5, 1), np.ones(5), kind), torch.zeros(1))


def test_rows_of_few_numbers_stand_on_both_kinds_of_trees_and_longer_ones_on_intervals():
    asked = asked_of_map("gru", VALUE, 1, ROW)
    assert (asked["trees"], asked["boosted"], asked["rows"]) == (True, True, True)
    asked = asked_of_map("gru", VALUE, 1, ROW + 1)
    assert (asked["trees"], asked["boosted"], asked["rows"]) == (True, False, False)
    asked = asked_of_map("gru", TargetSpec("value", 1, channel=0), 3, 24)
    assert (asked["trees"], asked["boosted"], asked["rows"]) == (True, True, False)


def test_a_sum_of_bends_stands_on_boosted_trees_and_each_row_on_what_does_not_know_it():
    """Which no line says, and a forest of so few rows only roughly."""
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(1000, 1, 6, generator=draw)
    every = Labelled(lambda i: x[i], x[:, 0].abs().sum(1, keepdim=True), np.arange(1000))
    train, other = every.part(np.arange(600)), every.part(np.arange(600, 1000))
    data, found = Fitting(train, other, 7, "l1"), []
    for beside in ({}, {"trees": True, "rows": True}, {"trees": True, "boosted": True, "rows": True}):
        wide = Wide(VALUE, 1, 6, **beside)
        stood, told = wide.fit(data, VALUE, [0.0])
        found.append(float((outputs_on(other, wide.outputs_of) - other.y).abs().mean()))
    assert found[2] < 0.9 * found[1] < 0.9 * found[0]
    assert told["of"]["boosted"] > 0.5 and sum(told["of"].values()) == pytest.approx(1, abs=1e-3)
    assert (stood[:, :, 0] - train.y).abs().mean() == pytest.approx(found[2], rel=0.25)


def test_few_windows_and_many_outputs_have_none():
    assert Boosted(VALUE, 1, 6).suits(FEWEST_WINDOWS) and not Boosted(VALUE, 1, 6).suits(FEWEST_WINDOWS - 1)
    assert not Boosted(TargetSpec("class", 200), 30, 60).suits(1000)
    wide = TargetSpec("label", 1)
    assert not Boosted(wide, 30, 96).suits(10_000) and Boosted(wide, 30, 96, aged=True).suits(10_000)
    assert 2 * LEAF < FEWEST_WINDOWS < SMALL


def test_the_checkpoint_builds_it_again_and_older_ones_have_none():
    spec = ModelSpec(
        backbone="gru",
        channels=1,
        length=6,
        outputs=1,
        horizon=1,
        head="pool",
        wide=VALUE,
        trees=True,
        boosted=True,
        rows=True,
    )
    model, train = build_model(spec).eval(), rows(150, 0)
    model.wide.fit(Fitting(train, train, 0, "l1"), VALUE, [0.0])
    again = build_model(ModelSpec.of(model.spec.plain())).eval()
    again.load_state_dict(model.state_dict())
    x = rows(5, 2).read(torch.arange(5))
    assert torch.equal(again(x), model(x)) and float(model.wide.boosted.weight) > 0
    before = {key: value for key, value in spec.plain().items() if key not in ("boosted", "rows")}
    older = build_model(ModelSpec.of(before)).wide
    assert older.boosted is None and older.trees.kind == "series"
    windows = replace(VALUE, whole=False).plain()
    steps, aged = (
        {**spec.plain(), "wide": windows, "rows": False, "length": 96, "aged": aged} for aged in (None, True)
    )
    sizes = [build_model(ModelSpec.of(one)).wide.boosted.features.size for one in (steps, aged)]
    assert sizes[0] - sizes[1] == 96 - len(ageing(96))  # what was trained before sees every step
