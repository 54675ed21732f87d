"""Trees beside the map under a net: against scikit-learn's own, grown by hand on each fold."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor
from sklearn.linear_model import Ridge as SklearnRidge
from sklearn.metrics import average_precision_score, log_loss

from backbones import ModelSpec
from backbones.alone import folded
from backbones.extra_trees import LEAF, usual_leaf
from backbones.features import WindowFeatures
from backbones.fitted import outputs_on
from backbones.fitting import Fitting, Labelled
from backbones.grown import FEW, FEWEST, FOLDS, KINDS, Grown, sampled, weighed
from backbones.intervals import IntervalQuantiles
from backbones.model import build_model
from backbones.preval import Chosen, Ridge, Solved
from backbones.shapes import Shapes
from backbones.specs import TargetSpec
from backbones.weighing import POWERS, folds
from backbones.wide import Wide

from .runs import good, lay, strict

pytestmark = pytest.mark.grows

VALUE, LABEL = TargetSpec("value", 1, whole=True), TargetSpec("label", 1, whole=True)


def levels(n: int, seed: int, kind: str = "value") -> Labelled:
    """The target is the product of the levels of two channels, or whether these have one sign."""
    draw = torch.Generator().manual_seed(seed)
    level = torch.randn(n, 2, 1, generator=draw)
    x = level + 0.3 * torch.randn(n, 2, 16, generator=draw)
    y = level.prod(1)
    return Labelled(lambda i: x[i], y if kind == "value" else (y > 0).float(), np.arange(n))


def by_hand(train: Labelled, kind: str) -> torch.Tensor:
    """What trees of scikit-learn say of each window that have not seen its fold, [n, 1]."""
    table = IntervalQuantiles(2, 16)(train.read(torch.arange(len(train)))).numpy()
    y, said = train.y[:, 0].numpy(), np.empty(len(train))
    fold = folds(train.y, train.groups, kind, FOLDS, 7)
    for one in range(FOLDS):
        inside, rate = fold != one, y[fold != one].mean()
        common = {"n_estimators": KINDS["series"][1] // 2, "max_features": 0.1, "random_state": 7}
        if kind == "value":
            said[~inside] = ExtraTreesRegressor(**common).fit(table[inside], y[inside]).predict(table[~inside])
        else:
            forest = ExtraTreesClassifier(**common, criterion="entropy").fit(table[inside], y[inside])
            share = 1 / (inside.sum() + 2)
            p = (1 - share) * forest.predict_proba(table[~inside])[:, 1] + share * rate
            said[~inside] = np.log(p / (1 - p))
    return torch.from_numpy(said)[:, None]


@pytest.mark.parametrize("target", [VALUE, LABEL])
def test_what_it_says_out_of_fold_is_what_scikit_learn_says(target):
    train = levels(60, 0, target.kind)
    grown = Grown(target, 2, 16)
    said, raised = grown.grow(train, Fitting(train, train, 7))
    assert torch.allclose(said.double(), raised * by_hand(train, target.kind), atol=1e-4)
    if target is VALUE:
        assert raised == 1
        return
    z = by_hand(train, "label").numpy()[:, 0] * np.where(train.y[:, 0], 1, -1)
    losses = [np.logaddexp(0, -a * z).sum() + np.log(a) ** 2 for a in POWERS]
    assert raised == pytest.approx(POWERS[np.argmin(losses)])


def test_it_says_nothing_before_and_its_weight_times_the_trees_afterwards():
    train, other = levels(80, 0), levels(30, 1)
    grown, x = Grown(VALUE, 2, 16), other.read(torch.arange(30))
    assert torch.equal(grown(x), torch.zeros(30, 1)) and not list(grown.named_parameters())
    grown.grow(train, Fitting(train, train, 7))
    grown.weight.fill_(0.5)
    table = IntervalQuantiles(2, 16)
    forest = ExtraTreesRegressor(n_estimators=KINDS["series"][1], max_features=0.1, random_state=7)
    forest.fit(table(train.read(torch.arange(80))).numpy(), train.y[:, 0].numpy())
    assert grown(x)[:, 0].numpy() == pytest.approx(0.5 * forest.predict(table(x).numpy()), abs=1e-5)


def test_its_numbers_may_be_averaged_over_epochs():
    train = levels(40, 0)
    grown, x = Grown(VALUE, 2, 16), train.read(torch.arange(40))
    grown.grow(train, Fitting(train, train, 7))
    grown.weight.fill_(1.0)
    said = grown(x)
    state = grown.state_dict()
    mean = {name: v.lerp(v, 0.5) if v.is_floating_point() else v for name, v in state.items()}
    assert all(torch.isfinite(value).all() for value in mean.values())
    grown.load_state_dict(mean)
    assert torch.allclose(grown(x), said)


def test_a_value_that_is_no_sum_of_parts_stands_on_trees():
    """And each window of training on what neither a map nor trees know of it by heart."""
    train, other = levels(200, 0), levels(200, 1)
    alone, both = (Wide(VALUE, 2, 16, trees=trees) for trees in (False, True))
    data = Fitting(train, other, 7, "l1")
    alone.fit(data, VALUE, [0.0])
    stood, told = both.fit(data, VALUE, [0.0])
    assert told["of"]["trees"] > 0.7 and sum(told["of"].values()) == pytest.approx(1, abs=1e-3)
    said, before = (outputs_on(other, one.outputs_of) for one in (both, alone))
    assert (said - other.y).abs().mean() < 0.7 * (before - other.y).abs().mean()
    seen = (outputs_on(train, both.outputs_of) - train.y).abs().mean()
    unseen = (stood[:, :, 0] - train.y).abs().mean()
    assert seen < 0.5 * unseen and unseen == pytest.approx(float((said - other.y).abs().mean()), rel=0.35)
    assert both.trees is not None
    x, parts = other.read(torch.arange(200)), both.trees(other.read(torch.arange(200)))
    both.take(0.5, [1.0])
    assert torch.allclose(both.outputs_of(x), 0.5 * said + 1, atol=1e-5)
    assert torch.allclose(both.trees(x), 0.5 * parts, atol=1e-6)


def test_labels_that_are_no_sum_of_parts_stand_on_trees():
    train, other = levels(150, 0, "label"), levels(200, 1, "label")
    losses = []
    for trees in (False, True):
        shapes = Shapes(LABEL, 2, 16, trees=trees)
        _, told = shapes.fit(Fitting(train, other, 7), LABEL, [0.3])
        assert ("trees" in told["of"]) == trees
        said = outputs_on(other, shapes.outputs_of) - 0.3
        losses.append(float(torch.nn.functional.binary_cross_entropy_with_logits(said, other.y)))
    assert losses[1] < 0.9 * losses[0]


def test_copies_of_a_series_in_its_group_do_not_speak_for_a_map_of_values():
    """Targets drawn for groups of copies: what nothing says is stood on for no series, if its group is left out."""
    draw = torch.Generator().manual_seed(4)
    group = np.repeat(np.arange(20), 5)
    x = torch.randn(20, 2, 16, generator=draw)[group] + 0.01 * torch.randn(100, 2, 16, generator=draw)
    y, errors = torch.randn(20, 1, generator=draw)[group], []
    for groups in (np.arange(100), group):
        train = Labelled(lambda i: x[i], y, groups)
        wide = Wide(VALUE, 2, 16, trees=True)
        stood, _ = wide.fit(Fitting(train, train.part(np.arange(10)), 7, "l1"), VALUE, [0.0])
        errors.append(float((stood[:, :, 0] - y).abs().mean() / (y - y.mean()).abs().mean()))
    assert errors[0] < 0.2 and errors[1] > 0.7


def test_copies_of_a_thing_in_its_group_do_not_speak_for_a_map_of_classes():
    """Classes drawn for groups of copies: before, each thing told its copies, and the map had all the say."""
    draw = torch.Generator().manual_seed(4)
    group = np.repeat(np.arange(40), 5)
    x = torch.randn(40, 1, 60, generator=draw)[group] + 0.01 * torch.randn(200, 1, 60, generator=draw)
    y = torch.eye(3)[torch.randint(0, 3, (40,), generator=draw)][group]
    target, losses = TargetSpec("class", 3, whole=True, things=True), []
    for groups in (np.arange(200), group):
        train = Labelled(lambda i: x[i], y, groups)
        wide = Wide(target, 1, 60, trees=True, rows=True)
        stood, _ = wide.fit(Fitting(train, train.part(np.arange(10)), 7), target, [0.0] * 3)
        losses.append(float(torch.nn.functional.cross_entropy(stood[:, :, 0], y)))
    assert losses[0] < 0.3 and 0.8 < losses[1] < 1.4, losses  # of chance: 1.1


def test_a_map_of_groups_left_out_is_scikit_learns():
    train = levels(60, 0)
    train = Labelled(train.read, train.y, np.arange(60) // 3)
    wide, data = Wide(VALUE, 2, 16, trees=True), Fitting(train, train, 7, "l1")
    wide.features.fit(train)
    table, y = train.table(wide.features).astype(float), train.y[:, 0].numpy()
    found = Solved([Chosen(Ridge(None, train.y, train.y, train.y), 30.0, 1.0, torch.zeros(1))])
    said = wide._by_groups(found, data)[:, 0].numpy()
    fold = folds(train.y, train.groups, "value", FOLDS, 7)
    for one in range(FOLDS):
        inside = fold != one
        mean, scale = table[inside].mean(0), table[inside].std(0)
        z = (table - mean) / np.where(scale > 1e-6, scale, np.inf)
        model = SklearnRidge(alpha=30.0 * inside.mean()).fit(z[inside], y[inside])
        assert said[~inside] == pytest.approx(model.predict(z[~inside]), abs=1e-3)


def test_few_windows_grow_none():
    train = levels(FEWEST - 1, 0)
    _, told = Wide(VALUE, 2, 16, trees=True).fit(Fitting(train, train, 7), VALUE, [0.0])
    assert "of" not in told and Grown(VALUE, 2, 16).suits(FEWEST) and not Grown(VALUE, 2, 16).suits(5001)


@pytest.mark.parametrize("rows", [8, 40])
def test_a_run_of_whole_series_is_used_again_whether_it_has_trees_or_not(tmp_path, rows):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, 12))
    lay(tmp_path, a=x)
    (tmp_path / "y.csv").write_text("".join(f"{value:.3f}\n" for value in x.mean(1)))
    line = "--task regress --csv data/a.csv --labels y.csv --no-plots --quiet"
    run = good(tmp_path, "--mode train", line, "--backbone linear --epochs 1 --reference off --tag run")
    assert ("of" in strict(run / "summary.json")["wide"]) == (rows == 40)
    again = good(tmp_path, "--mode infer", line, f"--ckpt {run} --eval-split val --tag again")
    assert strict(again / "summary.json")["mae"] == pytest.approx(strict(run / "summary.json")["mae"], rel=1e-5)


def test_the_checkpoint_builds_it_again_and_older_ones_have_none():
    spec = ModelSpec(backbone="gru", channels=2, length=16, outputs=1, horizon=1, head="pool", wide=VALUE, trees=True)
    model, train = build_model(spec).eval(), levels(60, 0)
    model.wide.fit(Fitting(train, train, 0), VALUE, [0.0])
    again = build_model(ModelSpec.of(model.spec.plain())).eval()
    again.load_state_dict(model.state_dict())
    x = levels(5, 2).read(torch.arange(5))
    assert torch.equal(again(x), model(x)) and float(model.wide.trees.weight) > 0
    before = {key: value for key, value in spec.plain().items() if key != "trees"}
    assert build_model(ModelSpec.of(before)).wide.trees is None


def test_both_heads_as_one_say_the_same():
    """A share of what stands on the map and trees, the rest of what the second head says alone."""
    spec = ModelSpec(backbone="gru", channels=2, length=16, outputs=1, horizon=1, head="pool", wide=VALUE, trees=True)
    model, train = build_model(spec).eval(), levels(60, 0)
    model.wide.fit(Fitting(train, train, 0), VALUE, [0.0])
    alone = model.learn_alone_too("level")
    torch.nn.init.normal_(alone.head.weight)
    alone.share.fill_(0.25)
    x = levels(5, 2).read(torch.arange(5))
    said, state = alone.joined(model(x)), folded(model.state_dict(), alone, model.wide)
    model.alone = None
    model.load_state_dict(state)
    assert torch.allclose(model(x), said, atol=1e-5)


def test_members_are_weighed_by_greedy_selection_and_by_loss():
    """Of one that is right and one that is far off, all of the one share and the softmax of the other."""
    train = levels(50, 0)
    said = torch.stack([train.y + 0.1, train.y + 1.0])
    gap = (np.log(1.0) - np.log(0.1)) / 2
    for groups, greedy in ((50, 50 / 70), (10, 1 / 3)):  # n / (n + 20)
        far = 3 * np.exp(-gap / 0.1 * groups / (groups + 50))
        some = Labelled(train.read, train.y, np.arange(50) % groups)
        weight = weighed(said, some, "value", "l1", (1.0, 3.0))
        rest = (1 - greedy) * far / (1 + far)
        assert weight.numpy() == pytest.approx([1 - rest, rest], abs=1e-5)


def steps(n: int, seed: int) -> Labelled:
    """Windows of one recording whose target, a later value of channel 0, is the size of the last of channel 1."""
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(2, n + 8, generator=draw).unfold(1, 8, 1).transpose(0, 1)[:n].contiguous()
    return Labelled(lambda i: x[i], x[:, 1:2, -1].abs(), np.zeros(n, np.int64))


def test_windows_stand_on_trees_as_validation_wants(monkeypatch):
    """Which say the target's change from its last value; of windows of one recording stretches are left out."""
    monkeypatch.setattr("backbones.wide.sure", lambda *given: 1.0)  # all of it
    target = TargetSpec("value", 1, channel=0, scale=1.0, shift=0.0)
    train, val = steps(400, 0), steps(200, 1)
    wide, data = Wide(target, 2, 8, trees=True), Fitting(train, val, 3, "l1")
    stood, told = wide.fit(data, target, [0.0])
    assert told["of"]["trees"] > 0.7
    assert wide.trees is not None
    of_map, of_trees = told["of"]["map"], outputs_on(val, wide.trees.forest.answer)
    rest = outputs_on(val, wide.outputs_of) - told["of"]["trees"] * of_trees
    losses = [(w * of_trees + (1 - w) * rest / max(of_map, 1e-6) - val.y).abs().mean() for w in (0.0, 1.0)]
    assert (outputs_on(val, wide.outputs_of) - val.y).abs().mean() <= min(losses) + 1e-6
    unseen, seen = (stood[:, :, 0] - train.y).abs().mean(), (outputs_on(train, wide.outputs_of) - train.y).abs().mean()
    assert seen < 0.7 * unseen

    again = Wide(target, 2, 8, trees=True)
    again.settled = {"map": 0.75, "trees": 0.25}
    again.fit(data, target, [0.0])
    assert again.trees is not None and float(again.trees.weight) == 0.25


def test_of_many_windows_a_sample_is_grown_on_and_says_of_all_that_it_has_not_seen(monkeypatch):
    monkeypatch.setattr("backbones.grown.SAMPLES", (200,))
    target, train = TargetSpec("value", 1), steps(600, 0)
    grown = Grown(target, 2, 8)
    said, _ = grown.grow(train, Fitting(train, train, 3, "l1"))
    seen = np.zeros(600, bool)
    seen[np.random.default_rng(3).choice(600, 200, replace=False)] = True
    features = WindowFeatures(2, 8)
    features.fit(train.part(np.flatnonzero(seen)))
    table, y = train.table(features), train.y[:, 0].numpy()
    expected, fold = np.empty(600), np.arange(600) * FOLDS // 600  # stretches of one recording
    of_all = np.zeros(600)  # the mean of all trees, none of which is grown on all
    common = {"max_features": 0.3, "min_samples_leaf": LEAF, "random_state": 3}
    for one in range(FOLDS):
        some = ExtraTreesRegressor(n_estimators=100 // FOLDS, **common).fit(
            table[seen & (fold != one)], y[seen & (fold != one)]
        )
        expected[fold == one] = some.predict(table[fold == one])
        of_all += some.predict(table) / FOLDS
    assert said[:, 0].numpy() == pytest.approx(expected, abs=1e-5)
    assert len(grown.forest.forest.root) == 100
    assert outputs_on(train, grown.forest.answer)[:, 0].numpy() == pytest.approx(of_all, abs=1e-5)


def plenty(kind: str, outputs: int, rare: float = 0.5) -> Labelled:
    """Many windows, of which a share of a label, or of the first class, is `rare`."""
    draw = np.random.default_rng(0)
    of = np.where(draw.random(50_000) < rare, 0, draw.integers(1, max(outputs, 2), 50_000))
    y = np.eye(outputs)[of] if kind == "class" else (of[:, None] == 0)
    x = torch.from_numpy(draw.normal(size=(50_000, 4, 31)).astype(np.float32))
    return Labelled(lambda i: x[i], torch.from_numpy(y.astype(np.float32)), np.arange(50_000))


@pytest.mark.parametrize(("kind", "outputs"), [("value", 1), ("label", 1), ("class", 20)])
def test_a_checkpoint_of_many_windows_is_no_larger_than_some_megabytes(kind, outputs):
    """Of a node, feature, threshold, child and values; a tree has twice as many nodes as leaves."""
    train = plenty(kind, outputs)
    grown = Grown(TargetSpec(kind, outputs), 4, 31)
    windows = len(sampled(train, kind, 1, grown._most(len(train)))[0])
    trees = grown._affordable(windows)
    leaf = grown._leaf(windows, trees) or usual_leaf(kind, windows)
    assert windows >= 5_000 and 4 * (3 + outputs) * 2 * trees * windows / leaf < 8e6
    assert Grown(TargetSpec(kind, outputs), 31, 60)._most(len(train)) <= 5_000  # many features take long


def test_of_many_windows_a_smaller_share_of_the_features_is_tried_before_some_are_left_out():
    grown = Grown(TargetSpec("value", 1), 5, 96)
    assert grown._share(5_000) == 0.3 and grown._share(20_000) == 0.1 and grown._most(50_000) == 20_000
    assert Grown(VALUE, 5, 96)._share(2_000) == 0.1  # as for whole series, always


@pytest.mark.parametrize(("kind", "outputs"), [("label", 1), ("class", 3)])
def test_a_sample_keeps_what_is_rare_and_counts_it_for_less(kind, outputs):
    train, grown = plenty(kind, outputs, 0.002), Grown(TargetSpec(kind, outputs), 4, 31)
    seen, weight = sampled(train, kind, 1, grown._most(len(train)))
    true, found = train.y[:, 0].numpy() > 0, train.y[torch.from_numpy(seen), 0].numpy() > 0
    assert found.sum() == true.sum() < 150 and len(np.unique(seen)) == len(seen)
    assert np.average(found, weights=weight) == pytest.approx(true.mean())


def test_what_a_sample_says_of_a_rare_label_is_as_often_true_as_it_is_among_all(monkeypatch):
    """2.9 % of the windows are true, by the product of two last values; in the sample one in eight is."""
    monkeypatch.setattr("backbones.grown.SAMPLES", (2000,))
    draw = np.random.default_rng(0)
    x = torch.from_numpy(draw.normal(size=(15_000, 2, 4)).astype(np.float32))
    y = (torch.from_numpy(draw.random(15_000)) < torch.sigmoid(2 * x[:, :, -1].prod(1) - 5.3)).float()[:, None]
    train, later = (
        Labelled(lambda i, x=x[part]: x[i], y[part], np.arange(len(x[part])))
        for part in (slice(10_000), slice(10_000, None))
    )
    grown = Grown(TargetSpec("label", 1), 2, 4)
    _, raised = grown.grow(train, Fitting(train, train, 1))
    p = (raised * outputs_on(later, grown.forest.answer)).sigmoid().double().numpy()[:, 0]
    truth = later.y[:, 0].numpy()
    assert p.mean() == pytest.approx(truth.mean(), rel=0.35)
    assert log_loss(truth, p) < 0.8 * log_loss(truth, np.full(len(truth), truth.mean()))
    assert average_precision_score(truth, p) > 10 * truth.mean()


def test_windows_have_none_where_validation_is_thin():
    target = TargetSpec("value", 1, channel=0)
    _, told = Wide(target, 2, 8, trees=True).fit(Fitting(steps(400, 0), steps(49, 1), 3, "l1"), target, [0.0])
    assert "trees" not in told.get("of", {})


def test_labels_have_trees_where_validation_has_one_class_and_training_both():
    """They are weighed by what they say of training that they have not seen."""
    target, train = TargetSpec("label", 1), steps(400, 0)
    known = Labelled(train.read, (train.y > 0.5).float(), train.groups)
    thin = Labelled(train.read, torch.zeros(100, 1), train.groups[:100])
    _, told = Wide(target, 2, 8, trees=True).fit(Fitting(known, thin, 3), target, [0.0])
    assert told["of"]["trees"] > 0.3 and sum(told["of"].values()) == pytest.approx(1, abs=1e-3)


def test_trees_are_fewer_where_they_would_take_long():
    """200 of 5,000 series with 1,884 features took 43 CPU-seconds on a machine at half speed, and three times as many
    are grown in all: about forty seconds at full speed allow for 120."""
    few, many = Grown(VALUE, 4, 40), Grown(VALUE, 16, 100)
    assert few.forest.width == 1884 and few._affordable(800) == KINDS["series"][1]
    assert 100 < few._affordable(5000) < 150
    assert many._affordable(5000) == FEW
