"""`--backbone auto`: the parts against brute force and plain loops, the whole on made data."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch

import backbones
from backbones import Hyper, InputSpec, ModelSpec, TargetSpec, by_steps, pools
from backbones.auto import FOLDS
from backbones.fitted import loss_of, outputs_on
from backbones.fitting import Fitting, Labelled, joined
from backbones.model import build_model
from backbones.pools import LABELS, LAST, ROWS_VALUES, SHAPE_VALUES, SHAPES, VALUES, pool_of
from backbones.weighing import (
    STEPS,
    by_loss,
    by_ratio,
    comparable,
    folds,
    greedy,
    learnable,
    mixed,
    on_validation,
    pooled,
    power,
    raised,
)
from backbones.window_ridge import WindowRidge
from errors import UsageError

from .runs import go, good, preds, strict
from .test_fitted import windows


def scores_of(n: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Three members' logits [3, n, 1] of a label [n, 1]: two that know different halves of it, and one that errs."""
    draw = torch.Generator().manual_seed(seed)
    parts = torch.randn(3, n, 1, generator=draw)
    y = (parts[0] + parts[1] + 0.5 * torch.randn(n, 1, generator=draw) > 0).float()
    return parts * torch.tensor([1.0, 1.5, 1.0])[:, None, None], y


def test_greedy_is_near_the_best_weights_of_all():
    """Every weight in steps of 1/25, of three members."""
    scores, y = scores_of(300)
    found = greedy(scores, y, "label", "")
    best = min(
        loss_of(pooled(scores, torch.tensor([a, b, STEPS - a - b]) / STEPS, "label"), y, "label", "")
        for a, b in product(range(STEPS + 1), repeat=2)
        if a + b <= STEPS
    )
    assert float(found.sum()) == pytest.approx(1)
    assert loss_of(pooled(scores, found, "label"), y, "label", "") <= best * 1.005


def test_pooling_is_the_weighted_geometric_mean():
    p = torch.tensor([[[0.7, 0.2, 0.1]], [[0.3, 0.3, 0.4]]], dtype=torch.float64)
    weight = torch.tensor([0.25, 0.75], dtype=torch.float64)
    plain = p[0] ** 0.25 * p[1] ** 0.75
    assert torch.allclose(pooled(p.log(), weight, "class").exp(), plain / plain.sum(1, keepdim=True))
    q = torch.tensor([[[0.9]], [[0.4]]], dtype=torch.float64)
    odds = (q[0] / (1 - q[0])) ** 0.25 * (q[1] / (1 - q[1])) ** 0.75
    assert torch.allclose(pooled(q.logit(), weight, "label").sigmoid(), odds / (1 + odds))


def test_a_power_undoes_a_known_distortion():
    draw = torch.Generator().manual_seed(0)
    truth = torch.randn(5000, 1, generator=draw) * 2
    y = (torch.rand(5000, 1, generator=draw) < truth.sigmoid()).float()
    assert power(truth / 2, y, "label") == pytest.approx(2, rel=0.12)
    assert power(truth * 3, y, "label") == pytest.approx(1 / 3, rel=0.12)
    assert power(torch.tensor([[1.0], [-1.0]]), torch.tensor([[1.0], [0.0]]), "label") < 2.5  # two rows are no proof


def test_log_odds_that_are_mixed_stay_exact_where_events_are_rare():
    far = torch.linspace(-13, 13, 53, dtype=torch.float64)
    for share, rate in ((0.0, 0.1), (0.03, 0.001), (0.5, 0.9)):
        p = (1 - share) * far.sigmoid() + share * rate
        odds = mixed(far.float(), share, torch.tensor([rate]), "label").double()
        assert torch.allclose(odds, p.log() - (1 - p).log(), rtol=2e-6, atol=1e-6)


def test_the_base_rate_is_mixed_in():
    rate = torch.tensor([0.1])
    assert float(mixed(torch.tensor([[20.0]]), 0.25, rate, "label").sigmoid()) == pytest.approx(0.75 + 0.025, abs=1e-5)
    classes = torch.tensor([[0.9, 0.1]])
    found = mixed(classes.log(), 0.5, torch.tensor([0.5, 0.5]), "class").exp()
    assert torch.allclose(found, torch.tensor([[0.7, 0.3]]))
    assert torch.equal(raised(mixed(classes, 0.5, rate, "value"), 3.0, "value"), classes)


def test_a_prior_counts_where_rows_are_few():
    prior = torch.tensor([0.5, 0.5])
    few, many = by_loss([0.3, 0.5], prior, 5), by_loss([0.3, 0.5], prior, 5000)
    assert 0.5 < float(few[0]) < 0.6 and float(many[0]) > 0.85


def test_of_errors_the_ratio_counts():
    prior = torch.tensor([0.5, 0.5], dtype=torch.float64)
    small, large = (by_loss(comparable([error, 4 * error]), prior, 10**6) for error in (0.04, 0.4))
    assert torch.allclose(small, large) and float(small[0]) > 0.99
    assert float(by_loss(comparable([0.5, 0.51]), prior, 10**6)[0]) == pytest.approx(
        float(by_loss([0.5, 0.51], prior, 10**6)[0]), abs=1e-3
    )


def test_of_rare_changes_it_counts_how_many_times_the_least_loss_a_member_has():
    prior = torch.tensor([0.25, 0.75], dtype=torch.float64)
    found = by_ratio([0.002, 0.006], prior, 150)  # of 150 rows three quarters of the power
    each = np.array([0.25, 0.75 * 3 ** (-2.5 * 0.75)])
    assert found.tolist() == pytest.approx((each / each.sum()).tolist())
    assert by_ratio([0.2, 0.6], prior, 150).tolist() == pytest.approx(found.tolist())
    assert by_ratio([0.2, 0.6], prior, 0).tolist() == pytest.approx([0.25, 0.75])


@pytest.mark.parametrize(
    ("kind", "n", "groups", "share"),
    [("value", 60, 1, 1.0), ("label", 50, 1, 0.25), ("label", 450, 1, 0.45), ("label", 450, 60, 0.75)],
)
def test_the_fewer_windows_and_groups_validation_has_the_more_a_label_takes_of_losses(kind, n, groups, share):
    y = (torch.arange(n) % 2).float()[:, None]
    val = Labelled(lambda i: torch.zeros(len(i), 1, 1), y, np.arange(n) % groups)
    said = torch.stack([4 * y - 2, 2 - 4 * y]) if kind == "label" else torch.stack([y, 1 - y])
    prior = torch.tensor([0.5, 0.5])
    losses = [float(np.log1p(np.exp(-2))), float(np.log1p(np.exp(2)))]
    rest = by_ratio(losses, prior, n).tolist()
    found = on_validation(said, val, kind, "l1", prior).tolist()
    assert found == pytest.approx([share + (1 - share) * rest[0], (1 - share) * rest[1]])


@pytest.mark.parametrize("kind", ["class", "label", "value"])
def test_folds_share_out_every_class_and_keep_groups_together(kind):
    draw = np.random.default_rng(0)
    sort = draw.integers(0, 3, 90)
    y = torch.eye(3)[sort] if kind == "class" else torch.from_numpy(sort[:, None].astype(np.float32))
    fold = folds(y, np.arange(90), kind, 5, seed=1)
    assert sorted(np.bincount(fold)) == [18] * 5
    for one in range(3):
        counts = np.bincount(fold[sort == one], minlength=5)
        assert counts.max() - counts.min() <= 1
    groups = np.arange(90) // 3
    fold = folds(y, groups, kind, 5, seed=1)
    assert all(len(set(fold[groups == g])) == 1 for g in range(30))
    assert len(np.unique(folds(y, np.zeros(90, int), kind, 5, seed=1))) == 5  # one group is no group


def test_windows_of_two_parts():
    one, other = windows("label", 20), windows("label", 10, 1)
    both = joined(one, other)
    numbers = torch.tensor([25, 3, 29, 0, 20])
    wanted = torch.stack([(one.read if n < 20 else other.read)(torch.tensor([n % 20]))[0] for n in numbers.tolist()])
    assert torch.equal(both.read(numbers), wanted) and len(both) == 30
    assert torch.equal(both.read(torch.tensor([2])), one.read(torch.tensor([2])))


def whole_series(n: int, seed: int) -> Labelled:
    """Three classes of slow, quick and no waves, at any phase."""
    draw = np.random.default_rng(seed)
    sort = np.arange(n) % 3
    time = np.arange(24) + draw.uniform(0, 24, n)[:, None]
    x = np.where(sort[:, None] == 2, 0, np.sin(time * np.array([0.3, 0.9, 0.0])[sort][:, None])) + 0.5 * draw.normal(
        size=(n, 24)
    )
    held = torch.from_numpy(x[:, None].astype(np.float32))
    return Labelled(lambda numbers: held[numbers], torch.eye(3)[sort], np.arange(n))


def blend_of(kind: str, *, whole: bool, channels: int, length: int, outputs: int = 3, members: str = "", **more):
    sizes = {"channels": channels, "length": length, "outputs": outputs, "horizon": 1, "head": "pool"}
    target = TargetSpec(kind, outputs, whole=whole, **more)
    return build_model(ModelSpec(backbone="auto", args={"members": members} if members else {}, target=target, **sizes))


def test_whole_series_against_a_plain_loop():
    """Two members: out-of-fold predictions, powers, base rate, weights, refit and pooling, written out again."""
    train, new = whole_series(45, 0), whole_series(30, 1)
    model = blend_of("class", whole=True, channels=1, length=24, members="nearest,logistic").eval()
    told = model.backbone.fit_windows(Fitting(train, whole_series(9, 2), seed=3))
    fold = folds(train.y, train.groups, "class", FOLDS, 3)
    target, refitted, out = TargetSpec("class", 3, whole=True), [], []
    for name in ("nearest", "logistic"):

        def fresh(name: str = name):
            spec = ModelSpec(backbone=name, target=target, channels=1, length=24, outputs=3, horizon=1, head="pool")
            return build_model(spec).backbone

        rows = np.zeros((45, 3))
        for k in range(FOLDS):
            member = fresh()
            member.fit_windows(Fitting(train.part(np.flatnonzero(fold != k)), train.part(np.flatnonzero(fold == k)), 3))
            rows[fold == k] = np.exp(outputs_on(train.part(np.flatnonzero(fold == k)), member.answer).double().numpy())
        out.append(rows / rows.sum(1, keepdims=True))
        member = fresh()
        member.fit_windows(Fitting(train, train, 3))
        refitted.append(np.exp(outputs_on(new, member.answer).double().numpy()))
    truth, rate = train.y.numpy().argmax(1), train.y.numpy().mean(0)
    grid = np.exp(np.linspace(np.log(0.25), np.log(4), 33))

    def softened(p: np.ndarray, a: float) -> np.ndarray:
        q = p**a
        return q / q.sum(1, keepdims=True)

    def loss(p: np.ndarray) -> float:
        return -np.log(np.maximum(p[np.arange(45), truth], 1e-300)).mean()

    powers = [min(grid, key=lambda a, p=p: 45 * loss(softened(p, a)) + np.log(a) ** 2) for p in out]
    share = 1 / 47
    ready = [(1 - share) * softened(p, a) + share * rate for p, a in zip(out, powers, strict=True)]

    def blended(parts: list[np.ndarray], weight: np.ndarray) -> np.ndarray:
        q = np.exp(sum(w * np.log(p) for w, p in zip(weight, parts, strict=True)))
        return q / q.sum(1, keepdims=True)

    counts = np.zeros(2)
    for _ in range(25):
        tried = [blended(ready, (counts + np.eye(2)[i]) / (counts.sum() + 1)) for i in range(2)]
        counts[int(np.argmin([loss(p) for p in tried]))] += 1
    losses = np.array([loss(p) for p in ready])
    soft = 0.5 * np.exp(-(losses - losses.min()) / 0.1 * 45 / 95)
    weight = (counts / 25 + soft / soft.sum()) / 2
    assert np.abs(model.backbone.weight.numpy() - weight).max() < 1e-4
    final = [(1 - share) * softened(p, a) + share * rate for p, a in zip(refitted, powers, strict=True)]
    found = outputs_on(new, model.backbone.answer).softmax(1).numpy()
    assert np.abs(found - blended(final, weight)).max() < 1e-4
    assert list(told["members"]) == ["nearest", "logistic"]
    assert [told["members"][name]["loss"] for name in told["members"]] == pytest.approx(losses, abs=1e-4)


def test_windows_of_labels_are_weighed_half_by_greedy_selection_and_half_by_losses():
    train, val = windows("label", 200, outputs=1), windows("label", 80, 1, outputs=1)
    model = blend_of("label", whole=False, channels=2, length=12, outputs=1, members="ridge,nearest").eval()
    model.backbone.fit_windows(Fitting(train, Labelled(val.read, val.y, np.zeros(80, int)), 1))
    said = torch.stack([outputs_on(val, member.answer) for member in model.backbone.members])
    losses = [loss_of(one, val.y, "label", "") for one in said]
    share, prior = 80 / 130 / 2, torch.tensor([0.5, 0.5])
    expected = share * greedy(said, val.y, "label", "") + (1 - share) * by_ratio(losses, prior, 80)
    assert model.backbone.weight.tolist() == pytest.approx(expected.tolist(), abs=1e-5)


def test_of_a_few_recordings_the_smallest_view_weighs_most_where_it_fits_as_well(monkeypatch):
    """The class is the level of the first of four sensors, or in the other set seen at the beginning alone."""
    last = ("extra_trees", {"summaries": False, "steps": 1, "trees": 10}, 0.2)
    monkeypatch.setattr(pools, "SHAPES", (("nearest", {}, 0.8),))
    monkeypatch.setattr(pools, "LAST", (last,))
    draw, sort = np.random.default_rng(0), np.arange(60) % 3
    for fits in (True, False):
        x = draw.normal(size=(60, 4, 12)).astype(np.float32)
        x[:, 0, slice(None) if fits else slice(0, 6)] += 9 * sort[:, None]
        held, weight = torch.from_numpy(x), {}
        for groups in (np.arange(60), np.arange(60) // 12):
            data = Labelled(lambda numbers, held=held: held[numbers], torch.eye(3)[sort], groups)
            model = blend_of("class", whole=True, channels=4, length=12).eval()
            model.backbone.fit_windows(Fitting(data, data, seed=3))
            weight[len(np.unique(groups))] = float(model.backbone.weight[1])
        if fits:
            assert weight[5] > 0.3 > 0.1 > weight[60]
        else:
            assert max(weight.values()) < 0.2


def test_of_a_walk_the_last_value_is_said(monkeypatch, caplog):
    """Windows of a walk, and of one whose steps go on as they were."""
    monkeypatch.setattr(pools, "VALUES", (("ridge", {}, 1.0),))
    draw = np.random.default_rng(0)
    steps = draw.normal(size=(3000, 13)).astype(np.float32)
    for share, stays in ((0.0, True), (0.8, False)):
        x = torch.from_numpy(steps[:, :12].cumsum(1))[:, None]
        y = x[:, :, -1] + torch.from_numpy(share * steps[:, 11:12] + (1 - share) * steps[:, 12:])
        parts = [Labelled(lambda n, x=x[p]: x[n], y[p], np.arange(len(y[p]))) for p in (slice(2000), slice(2000, None))]
        model = blend_of("value", whole=False, channels=1, length=12, outputs=1, channel=0).eval()
        with caplog.at_level("INFO", logger="tsrun"):
            model.backbone.fit_windows(Fitting(*parts, seed=1, loss="l1", refit=True))
        found = outputs_on(parts[1], model.backbone.answer)
        assert torch.allclose(found, x[2000:, :, -1]) == stays
        assert ("not 1 % better than the last value" in caplog.text) == stays
        caplog.clear()


def test_what_it_says_of_validation_was_made_without_it():
    """Permuting validation's labels changes what is held out for them no more than refitting on others does."""
    train, val = whole_series(30, 0), whole_series(12, 1)
    model = blend_of("class", whole=True, channels=1, length=24, members="nearest").eval()
    told = model.backbone.fit_windows(Fitting(train, val, 1, refit=True))
    seen = outputs_on(val, model.backbone.answer).softmax(1)[torch.arange(12), val.y.argmax(1)]
    held = told["held_out"].softmax(1)[torch.arange(12), val.y.argmax(1)]
    assert told["windows"] == 42 and float(seen.mean()) > float(held.mean())


def test_members_that_cannot_be_blended():
    for members, hint in (("auto", "ridge"), ("fusion_gru", "ridge"), ("bosting", "did you mean boosting")):
        with pytest.raises(UsageError, match="cannot be blended") as refused:
            blend_of("label", whole=False, channels=1, length=9, members=members)
        assert hint in refused.value.hint
    with pytest.raises(UsageError, match="cannot be blended"):
        blend_of("value", whole=False, channels=1, length=9, members="logistic")


def fitted_blend(members: str, data: Fitting, **more):
    model = blend_of("label", whole=False, channels=2, length=12, outputs=1, members=members).eval()
    return model, model.backbone.fit_windows(replace(data, **more))


def test_a_net_joins_and_has_the_weight_that_it_earns(monkeypatch):
    monkeypatch.setattr(by_steps, "STEPS", 30)
    monkeypatch.setattr(by_steps, "EPOCHS", 1)
    data = Fitting(windows("label", 200, outputs=1), windows("label", 80, 1, outputs=1), 1)
    model, told = fitted_blend("ridge,gru", data)
    assert list(told["members"]) == ["ridge", "gru"] and "left_out" not in told
    again, same = fitted_blend("ridge,gru", data)
    assert told == same
    state = model.state_dict()
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in state.items())
    fresh = blend_of("label", whole=False, channels=2, length=12, outputs=1, members="ridge,gru").eval()
    fresh.load_state_dict(state)
    x = data.val.read(torch.arange(5))
    assert torch.equal(fresh(x), model(x))


def test_a_net_stands_on_its_closed_form_where_validation_is_better_for_it(monkeypatch):
    """A line is what a closed form says at once; the product of two steps is what it can only spoil."""
    monkeypatch.setattr(by_steps, "STEPS", 150)
    x = torch.randn(700, 2, 6, generator=torch.Generator().manual_seed(5))
    target = TargetSpec("value", 1, None)

    def part(y: torch.Tensor, a: int, b: int) -> Labelled:
        return Labelled(lambda numbers: x[a:b][numbers], y[a:b, None], np.arange(b - a))

    def fitted(y: torch.Tensor) -> tuple[float, float, by_steps.Net]:
        net = by_steps.Net(InputSpec(channels=2, length=6, target=target), "gru", {"hidden": 8})
        told = net.fit_windows(Fitting(part(y, 0, 500), part(y, 500, 700), 1, "mse"))
        said = net(x[500:])[:, 0, 0].detach()
        assert told["val_loss"] == pytest.approx(float(((said - y[500:]) ** 2).mean()), rel=1e-5)
        return told["on_closed_form"], told["val_loss"], net

    stands, loss, _ = fitted(x[:, 0, 0] - 2 * x[:, 1, 3])
    assert stands == 1 and loss < 0.01
    stands, _, net = fitted((x[:, 0, -1].abs() * 4).clamp(max=3))
    assert net.net.wide is not None and (stands > 0) == bool(net.net.wide.weight.any())
    assert net.share == stands


def test_a_budget_that_is_too_small_for_a_member_says_so(caplog):
    data = Fitting(windows("label", 200, outputs=1), windows("label", 80, 1, outputs=1), 1)
    with caplog.at_level("INFO", "tsrun"):
        model, told = fitted_blend("ridge,gru,nearest", data, seconds=1e-9)
    assert told["left_out"] == ["gru", "nearest"] and caplog.text.count("left out, --budget is spent") == 2
    assert model.backbone.weight.tolist() == [1, 0, 0]
    with pytest.raises(by_steps.TooShort, match="200 steps would take"):
        by_steps._affordable(1000, 0.1, 5)
    assert by_steps._affordable(1000, 0.1, 60) == 500 and by_steps._affordable(1000, 0.1, 100) == 1000


def test_finished_members_are_not_fitted_again(monkeypatch):
    """Interrupted in the second member: the first keeps its weights, and the whole is as if nothing had happened."""
    data = Fitting(windows("label", 200, outputs=1), windows("label", 80, 1, outputs=1), 1)
    whole, told = fitted_blend("ridge,nearest", data)
    kept = {}
    model = blend_of("label", whole=False, channels=2, length=12, outputs=1, members="ridge,nearest").eval()

    def keep(members):
        kept.update(members)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        model.backbone.fit_windows(replace(data, keep=keep))
    assert list(kept) == ["ridge"]
    monkeypatch.setattr(WindowRidge, "fit_windows", lambda *_: pytest.fail("fitted again"))
    assert model.backbone.fit_windows(replace(data, done=kept)) == told
    state = whole.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


def test_windows_with_a_value_are_learned_again_with_those_of_validation():
    """The weights and what validation chose stay; what is held out was said before."""
    train, val = windows("value", 200, outputs=1), windows("value", 80, 1, outputs=1)
    found = []
    for refit in (False, True):
        model = blend_of("value", whole=False, channels=2, length=12, outputs=1, members="ridge,nearest").eval()
        found.append((model.backbone, model.backbone.fit_windows(Fitting(train, val, 1, "l1", refit=refit))))
    (plain, before), (again, after) = found
    assert torch.equal(plain.weight, again.weight) and before["members"] == after["members"]
    assert torch.equal(plain.members[0].chosen, again.members[0].chosen)
    held_out = outputs_on(val, plain.answer)
    assert torch.allclose(after["held_out"], held_out, atol=1e-5)
    seen = loss_of(outputs_on(val, again.answer), val.y, "value", "l1")
    assert seen < loss_of(held_out, val.y, "value", "l1")


def test_what_cannot_be_right_without_being_seen_weighs_nothing():
    y = torch.eye(4)[torch.tensor([0, 0, 1, 2, 2, 2])]
    alone = np.arange(6)
    assert learnable(y, "class", alone).tolist() == [True, True, False, True, True, True]
    assert learnable(torch.eye(3), "class", alone[:3]).all() and learnable(torch.zeros(3, 1), "label", alone[:3]).all()
    # Both rows of the first class are of one group: where one is left out, so is the other.
    assert learnable(y, "class", np.array([7, 7, 1, 1, 4, 4])).tolist() == [False, False, False, True, True, True]


def test_the_pools_hold_what_can_be_built():
    for name, args, share in (*LABELS, *VALUES, *SHAPES, *SHAPE_VALUES, *LAST, *ROWS_VALUES):
        assert share > 0 and set(args) <= set(backbones.hyper(name))


@pytest.mark.parametrize("kind", ["value", "class"])
def test_rows_of_few_numbers_have_members_of_their_own_at_the_end(kind):
    target = TargetSpec(kind, 3 if kind == "class" else 1, whole=True)
    few, many = pool_of("", target, 4, 8), pool_of("", target, 4, 9)
    assert few[: len(many)] == many and few[len(many)][0] == "extra_trees"
    steps = TargetSpec("value", 1, channel=0)
    assert pool_of("", steps, 1, 8) == pool_of("", steps, 4, 9)


def test_a_checkpoint_from_before_the_last_members_of_a_pool_says_the_same(monkeypatch):
    """Recordings by four sensors of which the last step decides."""
    held = torch.randn(40, 4, 9, generator=torch.Generator().manual_seed(1))
    y = (held[:, 0, -1] > 0).float()[:, None]
    data = Labelled(lambda n: held[n], y, np.arange(40))
    few = (("logistic", {}, 0.5), ("nearest", {}, 0.5))
    monkeypatch.setattr(pools, "SHAPES", few)
    asked = InputSpec(channels=4, length=9, target=TargetSpec("label", 1, whole=True))
    with monkeypatch.context() as patch:
        patch.setattr(pools, "LAST", ())
        old = backbones.backbone_class("auto").build(asked, Hyper("auto", {}))
        old.fit_windows(Fitting(data, data.part(np.arange(10)), 1, refit=True))
    new = backbones.backbone_class("auto").build(asked, Hyper("auto", {}))
    assert new.labels[2:] == [
        "extra_trees summaries=False steps=1",
        "extra_trees summaries=False steps=1 leaf=1 share=0.1",
    ]
    told = new.fit_windows(Fitting(data, data.part(np.arange(10)), 1, refit=True))
    assert told["members"][new.labels[2]]["weight"] + told["members"][new.labels[3]]["weight"] > 0.5
    new.load_state_dict(old.state_dict())
    assert torch.equal(new.answer(held), old.answer(held)) and new.labels == old.labels


@pytest.fixture(scope="module")
def series(tmp_path_factory):
    """60 series of three classes, and a run of the default pool on them that the tests below share."""
    folder = tmp_path_factory.mktemp("auto")
    part = whole_series(60, 0)
    np.savetxt(folder / "a.csv", part.read(torch.arange(60))[:, 0].numpy(), delimiter=",", fmt="%.4f")
    np.savetxt(folder / "y.csv", part.y.numpy(), delimiter=",", fmt="%d")
    words = (
        "--mode train --task classify --csv a.csv --labels y.csv --test-ratio 0.3 --reference off --quiet --no-plots"
    )
    return folder, good(folder, words, "--backbone auto")


def test_a_run_on_whole_series(series):
    folder, run = series
    content = strict(run / "metrics.json")
    fit = content["fit"]
    assert content["accuracy"] > 0.8 and len(fit["members"]) == 8 and fit["fitted_to"] == "training and validation"
    assert sum(member["weight"] for member in fit["members"].values()) == pytest.approx(1)
    assert content["calibration"]["chosen_on"] == "default" and content["thin"]["default_threshold"]
    again = good(folder, f"--mode infer --csv a.csv --labels y.csv --ckpt {run} --eval-split test --quiet --no-plots")
    assert [line["y_pred"] for line in preds(again)] == [line["y_pred"] for line in preds(run)]


def test_nothing_of_the_test_part_is_seen(series):
    """Other labels in the test part: the same checkpoint, tensor by tensor."""
    folder, run = series
    from checkpoint import BEST, Checkpoint

    first = Checkpoint.load(run / BEST)
    tested = {int(line["row"]) for line in preds(run)}
    y = np.loadtxt(folder / "y.csv", delimiter=",", dtype=int)
    rows = sorted(tested)
    y[rows] = np.roll(y[rows], 1, axis=1)
    np.savetxt(folder / "z.csv", y, delimiter=",", fmt="%d")
    words = (
        "--mode train --task classify --csv a.csv --labels z.csv --test-ratio 0.3 --reference off --quiet --no-plots"
    )
    other = good(folder, words, "--backbone auto --desc other")
    found = Checkpoint.load(other / BEST)
    assert found.state.keys() == first.state.keys()
    assert all(torch.equal(found.state[key], first.state[key]) for key in first.state)
    assert json.dumps(found.calibration) == json.dumps(first.calibration)


@pytest.mark.parametrize("task", ["classify", "regress"])
def test_nothing_of_other_rows_for_test_is_seen(tmp_path, task):
    """Other values in the test rows, both inputs and labels: the same checkpoint, tensor by tensor, though the members
    are fitted again to training and validation."""
    from checkpoint import BEST, Checkpoint

    draw = np.random.default_rng(0)
    x = draw.normal(size=(15, 30))
    words = f"--mode train --task {task} --bin-rule gt --csv a.csv --context-len 9 --test-ratio 0.3 --reference off"
    words = words.replace(" --bin-rule gt", "") if task == "regress" else words
    words += " --quiet --no-plots --backbone auto --model-args members=ridge,nearest"
    found = []
    for name in ("one", "other"):
        np.savetxt(tmp_path / "a.csv", x, delimiter=",", fmt="%.5f")
        run = good(tmp_path, words, f"--desc {name}")
        found.append(Checkpoint.load(run / BEST))
        tested = sorted({int(line["row"]) for line in preds(run)})
        x[tested] = 5 * draw.normal(size=(len(tested), 30)) + 3
    one, other = found
    assert len(tested) > 2 and one.state.keys() == other.state.keys()
    assert all(torch.equal(one.state[key], other.state[key]) for key in one.state)
    assert one.calibration == other.calibration and one.fitted == other.fitted


def test_finetuning_may_keep_the_members(series):
    folder, run = series
    from checkpoint import BEST, Checkpoint

    words = f"--mode finetune --csv a.csv --labels y.csv --ckpt {run} --reference off --quiet --no-plots"
    kept = good(folder, words, "--train-only head --desc kept")
    first, found = (Checkpoint.load(folder / each / BEST).state for each in (run, kept))
    same = {key for key in first if torch.equal(first[key], found[key])}
    assert {key for key in first if ".members." in key} <= same and "backbone.head.weight" not in same


def test_a_killed_run_goes_on_after_its_finished_members(tmp_path, monkeypatch):
    """Stopped in the third of four members: the same checkpoint as a run that nothing stopped, the first two kept."""
    from backbones.boosting import Boosting
    from checkpoint import BEST, Checkpoint

    draw = np.random.default_rng(0)
    np.savetxt(tmp_path / "a.csv", draw.gamma(1.0, size=(12, 30)) * (draw.random((12, 30)) < 0.5), delimiter=",")
    words = "--mode train --task classify --csv a.csv --context-len 9 --reference off --no-plots --backbone auto"
    whole = Checkpoint.load(good(tmp_path, words, "--out whole") / BEST)

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Boosting, "fit_windows", stop)
        assert go(tmp_path, words).code == 130
    done = go(tmp_path, words, "--resume")
    assert done.code == 0 and done.err.count("as it was") == 2
    found = Checkpoint.load(done.directory / BEST)
    assert all(torch.equal(value, found.state[name]) for name, value in whole.state.items())
    assert found.calibration == whole.calibration


def test_what_a_budget_adds_is_in_the_checkpoint(tmp_path, monkeypatch):
    monkeypatch.setattr(by_steps, "STEPS", 20)
    monkeypatch.setattr(by_steps, "EPOCHS", 1)
    draw = np.random.default_rng(0)
    np.savetxt(tmp_path / "a.csv", draw.normal(size=(12, 30)).cumsum(axis=1), delimiter=",")
    words = "--mode train --task regress --csv a.csv --context-len 9 --reference off --backbone auto --budget 10min"
    run = good(tmp_path, words, "--quiet")
    fit = strict(run / "summary.json")["fit"]
    assert list(fit["members"]) == ["ridge", "boosting", "extra_trees", "gru", "llm_ts size=tiny", "persistence"]
    assert (run / "blend.png").is_file()
    again = good(tmp_path, f"--mode infer --csv a.csv --ckpt {run} --eval-split val --quiet --no-plots")
    assert strict(again / "summary.json")["mae"] == pytest.approx(strict(run / "summary.json")["mae"], abs=1e-6)
