"""The closed form under a net, against scikit-learn and refitting; and what a run makes of it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge

from backbones import ModelSpec
from backbones.alone import Alone
from backbones.fitted import loss_of, outputs_on
from backbones.fitting import Fitting, Labelled
from backbones.model import build_model
from backbones.specs import TargetSpec
from backbones.standing import SHARES, Standing, share_of_net, shares_of
from backbones.wide import Wide, fits
from checkpoint import BEST, LAST, Checkpoint

from .runs import go, good, lay, strict


def windows(n: int, seed: int, channels: int = 2, length: int = 4) -> torch.Tensor:
    return torch.randn(n, channels, length, generator=torch.Generator().manual_seed(seed))


def labelled(x: torch.Tensor, y: torch.Tensor) -> Labelled:
    return Labelled(lambda n: x[n], y, np.arange(len(x)))


def table(wide: Wide, x: torch.Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features [n, F], their means and deviations."""
    found = wide.features(x).double().numpy()
    scale = found.std(axis=0)
    return found, found.mean(axis=0), np.where(scale > 1e-6, scale, np.inf)


def solved(n: int, val: int, target: TargetSpec, of) -> tuple[Wide, torch.Tensor, dict, torch.Tensor, torch.Tensor]:
    """(wide, what training stands on, what was chosen, x and y of training) where `of` makes targets of windows."""
    x, other = windows(n, 0), windows(val, 1)
    wide = Wide(target, 2, 4)
    y = of(x)
    stood, told = wide.fit(Fitting(labelled(x, y), labelled(other, of(other)), 0, "mse"), target, [0.0])
    return wide, stood, told, x, y


def noisy(x: torch.Tensor) -> torch.Tensor:
    draw = torch.Generator().manual_seed(len(x))
    return x[:, 0, :2].sum(1, keepdim=True) + 0.5 * torch.randn(len(x), 1, generator=draw)


@pytest.mark.parametrize(("n", "val"), [(1200, 200), (40, 200), (40, 10)])
def test_it_is_the_ridge_of_the_strength_that_was_chosen(n, val):
    """And each of few windows stands on what the fit without it says."""
    wide, stood, told, x, y = solved(n, val, TargetSpec("value", 1), noisy)
    f, mean, scale = table(wide, x)
    z = (f - mean) / scale
    model = Ridge(alpha=told["strength"]).fit(z, y)
    said = outputs_on(labelled(x, y), wide.outputs_of)
    assert np.abs(said.numpy() - model.predict(z).reshape(-1, 1)).max() < 1e-3
    if n == 1200:
        assert torch.equal(stood[:, :, 0], said)
        return
    for i in (0, 7, n - 1):
        rest = np.delete(np.arange(n), i)
        one = Ridge(alpha=told["strength"]).fit(z[rest], y[rest]).predict(z[i : i + 1])
        assert float(stood[i]) == pytest.approx(one.item(), abs=2e-3)


def test_the_strength_is_that_of_least_loss_on_validation():
    wide, _, told, x, y = solved(60, 300, TargetSpec("value", 1), noisy)
    other, (f, mean, scale) = windows(300, 1), table(wide, x)
    within = np.clip(table(wide, other)[0], f.min(0), f.max(0))
    z, held = (f - mean) / scale, (within - mean) / scale
    losses = {
        s: np.mean((Ridge(alpha=s).fit(z, y).predict(held).ravel() - noisy(other).numpy().ravel()) ** 2)
        for s in told["strength"] * 10.0 ** np.arange(-1, 1.1, 0.5)
    }
    assert min(losses, key=losses.get) == pytest.approx(told["strength"])


def test_a_window_beyond_all_of_training_says_no_more_than_the_ends_of_its_features():
    wide, _, told, x, y = solved(1200, 200, TargetSpec("value", 1), noisy)
    f, mean, scale = table(wide, x)
    model = Ridge(alpha=told["strength"]).fit((f - mean) / scale, y)
    far = torch.cat([x[:3] * 1e6, x[:3] * -1e6])
    ends = (np.clip(table(wide, far)[0], f.min(0), f.max(0)) - mean) / scale
    assert np.abs(wide.outputs_of(far).numpy() - model.predict(ends).reshape(-1, 1)).max() < 1e-3


def test_the_change_from_the_last_value_is_said_where_that_is_better():
    target = TargetSpec("value", 1, 1, 3.0, 0.5)  # the second channel's later value, in other units

    def walk(x):
        return 3 * x[:, 1, -1:] + 0.5 + 0.01 * torch.randn(len(x), 1, generator=torch.Generator().manual_seed(1))

    wide, stood, told, x, y = solved(30, 60, target, walk)
    assert told["says"] == "change"
    other = windows(500, 5)
    assert (wide.outputs_of(other) - (3 * other[:, 1, -1:] + 0.5)).abs().max() < 0.2
    assert (stood[:, :, 0] - y).abs().max() < 0.2
    wide, _, told, x, y = solved(200, 60, target, lambda x: x[:, 0, :1] + 0.5 * x[:, 0, 1:2])
    assert told["says"] == "level"


def test_labels_are_probabilities_that_the_weight_of_the_loss_leans():
    x, other = windows(900, 0), windows(4000, 1)

    def of(x):
        draw = torch.Generator().manual_seed(len(x))
        p = (2 * x[:, 0, -1:] - 1).sigmoid()
        return torch.cat([torch.bernoulli(p, generator=draw), torch.bernoulli(1 - p, generator=draw)], dim=1)

    target = TargetSpec("label", 2)
    data = Fitting(labelled(x, of(x)), labelled(other[:300], of(other[:300])), 0)
    plain, leaning = Wide(target, 2, 4), Wide(target, 2, 4)
    plain.fit(data, target, [0.0, 0.0])
    leaning.fit(data, target, [0.0, 1.5])
    p = plain.outputs_of(other)
    assert (p[:, 0].sigmoid() - (2 * other[:, 0, -1] - 1).sigmoid()).abs().mean() < 0.05
    assert torch.allclose(leaning.outputs_of(other) - p, torch.tensor([0.0, 1.5]), atol=1e-4)


def test_one_class_of_few_windows_each():
    """With more features than windows, what training stands on is no better than it is on other windows."""
    target, x, other = TargetSpec("class", 3), windows(30, 0), windows(600, 1)

    def of(x):
        return torch.nn.functional.one_hot(x[:, 0, :3].argmax(1), 3).float()

    wide = Wide(target, 2, 4)
    stood, _ = wide.fit(Fitting(labelled(x, of(x)), labelled(other[:9], of(other[:9])), 0), target, [0.0] * 3)
    hits = (stood[:, :, 0].argmax(1) == of(x).argmax(1)).float().mean()
    fair = (wide.outputs_of(other).argmax(1) == of(other).argmax(1)).float().mean()
    assert abs(float(hits - fair)) < 0.25 and fair > 0.5


def test_a_window_of_many_channels_has_no_such_map():
    one, many = (TargetSpec(kind="label", outputs=outputs) for outputs in (1, 1000))
    assert fits(31, 31, one) and not fits(500, 31, one) and not fits(4, 500, many)


def net(**more):
    wide = TargetSpec("label", 1)
    return build_model(
        ModelSpec(backbone="gru", channels=2, length=6, outputs=1, horizon=1, head="pool", wide=wide, **more)
    )


def test_the_model_adds_both_and_the_checkpoint_builds_it_again():
    torch.manual_seed(0)
    model, x = net().eval(), windows(5, 0, length=6)
    model.wide.weight.normal_()
    model.wide.bias.fill_(0.3)
    both, alone = model(x), model(x, torch.zeros(5, 1, 1))
    assert torch.allclose(both, alone + model.wide(x)) and torch.equal(model(x, model.wide(x)), both)
    again = build_model(ModelSpec.of(model.spec.plain())).eval()
    again.load_state_dict(model.state_dict())
    assert torch.equal(again(x), both)
    model.take_of_head(0.0)
    assert torch.equal(model(x), model.wide(x))
    assert not any(name.startswith("wide") for name, _ in model.named_parameters())


def test_autocast_leaves_it_in_full_precision():
    model, x = net().eval(), 100 * windows(5, 0, length=6)
    model.wide.weight.normal_()
    with torch.autocast("cpu", torch.bfloat16):
        said = model.wide(x)
    assert said.dtype == torch.float32 and torch.equal(said, model.wide(x))


def few(n: int, seed: int) -> Labelled:
    """Classes that the first steps of windows show."""
    x = windows(n, seed, length=6)
    return labelled(x, (x[:, 0, :1] > 0).float())


def test_a_net_of_few_windows_learns_alone_and_joins_its_closed_form_by_validation():
    torch.manual_seed(0)
    model, target, lean = net().eval(), TargetSpec("label", 1), [0.7]
    standing = Standing(model, Fitting(few(20, 0), few(12, 1), 0), lean)
    train, val = standing.under(target, fresh=True)
    x = standing.data.val.read(torch.arange(12))
    assert not train.any() and not val.any() and standing.aside and not model.wide(x).any()
    alone, state = model(x).detach(), {name: value.clone() for name, value in model.state_dict().items()}
    standing.joined({"best": state}, lambda: model(x).detach()[:, :, 0])
    closed = Wide(target, 2, 6)
    closed.load_state_dict(standing.aside)
    of_map, of_net = standing.told["shares"].values()
    assert (of_map, of_net) == pytest.approx(
        shares_of(closed(x)[:, :, 0] - 0.7, alone[:, :, 0] - 0.7, standing.data.val.y, "label", plenty=False), rel=1e-4
    )
    wanted = of_map * (closed(x) - 0.7) + of_net * (alone - 0.7) + 0.7
    assert torch.allclose(model(x), wanted, atol=1e-5)


def classes(n: int) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(n)
    y = torch.nn.functional.one_hot(torch.arange(n) % 3, 3).float()
    return 2 * y + torch.randn(n, 3, generator=draw), y


@pytest.mark.parametrize("n", [6, 300])
def test_a_net_that_is_too_sure_is_brought_to_the_scale_of_the_closed_form(n):
    closed, y = classes(n)
    net = 20 * classes(n + 1)[0][torch.arange(n)] + 7.0
    size = [np.sqrt(((z - z.mean(1, keepdims=True)) ** 2).mean()) for z in (closed.numpy(), net.numpy())]
    scale = size[0] / size[1]

    def loss(a, b):
        return float(torch.nn.functional.cross_entropy(a * closed + b * net, y))

    gap = np.array([loss(1, 0), loss(0, scale)])
    usual = np.array([0.85, 0.15]) * np.exp(-(gap - gap.min()) / 0.1 * n / (n + 50))
    usual = usual / usual.sum() * [1, scale]
    best = np.array(min(SHARES, key=lambda one: loss(*one)))
    found = shares_of(closed, net, y, "class", plenty=False)
    assert found == pytest.approx(usual, rel=1e-3)
    trust = n / (n + 50)
    assert shares_of(closed, net, y, "class", plenty=True) == pytest.approx(
        trust * best + (1 - trust) * usual, rel=1e-3
    )
    assert shares_of(closed, 0 * net, y, "class", plenty=False)[1] <= 0.15


def test_with_windows_enough_it_learns_what_is_left():
    model, target = net().eval(), TargetSpec("label", 1)
    standing = Standing(model, Fitting(few(200, 0), few(60, 1), 0), [0.0])
    train, val = standing.under(target, fresh=True)
    x = standing.data.val.read(torch.arange(60))
    assert not standing.aside and train.any() and torch.allclose(model(x)[:, :, :1], val, atol=1e-6)


@pytest.mark.parametrize("says", ["level", "change"])
def test_both_heads_fold_into_one_that_says_the_same(says):
    torch.manual_seed(0)
    target, x = TargetSpec("value", 2, 1, 3.0, 0.5), windows(7, 0, length=6)
    model = build_model(ModelSpec(backbone="gru", channels=2, length=6, outputs=2, horizon=1, head="pool", wide=target))
    model.wide.weight.normal_()
    alone = model.learn_alone_too(says)
    alone.head.weight.data.normal_()
    on, by_itself = model.eval()(x).unbind(2)
    rest = 3 * x[:, 1, -1:] + 0.5 if says == "change" else 0.0
    z = model.backbone(x)[:, -1]
    assert torch.allclose(by_itself, alone.head(z) + rest, atol=1e-5)
    assert torch.allclose(on, model.head(z) + model.wide(x)[:, :, 0], atol=1e-5)
    assert torch.equal(model.train()(x), torch.cat([on, by_itself])[:, :, None])
    alone.share.fill_(0.25)
    model.fold(model.state_dict())
    assert model.alone is None and not any("alone" in name for name in model.state_dict())
    assert torch.allclose(model.eval()(x)[:, :, 0], 0.25 * on + 0.75 * by_itself, atol=1e-5)


def test_the_share_is_that_of_least_loss_and_ties_go_to_the_closed_form():
    alone, y = Alone(3, Wide(TargetSpec("value", 1), 2, 4), "level"), torch.zeros(5, 1)
    both = torch.stack([y + 3, y - 1], dim=2)
    for target, share in ((0.0, 0.25), (9.0, 1.0), (-9.0, 0.0), (1.0, 0.5)):
        alone.choose(both, lambda said, target=target: float((said - target).abs().mean()))
        assert float(alone.share) == share and torch.equal(
            alone.joined(both), share * both[..., :1] + (1 - share) * both[..., 1:]
        )
    alone.choose(both, lambda said: 1.0)
    assert float(alone.share) == 1


class Squared:
    """The validation of a task."""

    monitor, direction = "mse", "min"

    def loss(self, outputs, y):
        return (outputs - y).square().mean()

    def val_metrics(self, outputs):
        return {"mse": float(outputs.detach().square().mean())}


@pytest.mark.parametrize("fixed", [None, {"on_closed_form": 0.25}, {}])
def test_training_on_everything_keeps_the_share_that_was_chosen(fixed):
    model, target = net().eval(), TargetSpec("label", 1)
    standing = Standing(model, Fitting(few(200, 0), few(60, 1), 0), [0.0], fixed)
    _, val = standing.under(target, fresh=True)
    judged, x = standing.judging(Squared()), standing.data.val.read(torch.arange(60))
    if fixed == {}:
        assert model.alone is None and judged.val_metrics(model(x)) == Squared().val_metrics(val)
        return
    assert float(judged.loss(model(x), val).detach()) == pytest.approx(
        0 if fixed is None else float((0.75 * val).square().mean())
    )
    share = 1 if fixed is None else 0.25
    assert judged.val_metrics(model(x))["mse"] == pytest.approx(float((share * val).square().mean()))
    standing.joined({"best": model.state_dict()}, lambda: val[:, :, 0])
    assert standing.told["on_closed_form"] == share and torch.allclose(model(x), share * val, atol=1e-6)


@pytest.mark.parametrize(
    ("gains", "rows"), [([3.0, 1.0], 100), ([2.0, 2.0], 40), ([0.5, -0.4], 100), ([3.0, 2.0], 41), ([-1.0, 2.0], 9)]
)
def test_a_net_is_worth_what_validation_shows_beyond_chance(gains, rows):
    """Of blocks that gain by turns, ten of them; fewer rows show nothing either way."""
    truth, closed = torch.zeros(rows, 1), torch.full((rows, 1), 5.0)
    sizes = [rows // 10 + (block < rows % 10) for block in range(10)]
    turns = torch.tensor([0, 1] * 5).repeat_interleave(torch.tensor(sizes))
    found = share_of_net(
        closed, closed - torch.tensor(gains)[turns][:, None], truth, partial(loss_of, kind="value", loss="l1")
    )
    each = np.array(gains * 5)
    shrunk = max(0.0, 1 - 4 * each.var(ddof=1) / 10 / each.mean() ** 2) * rows / (rows + 50)
    assert found == pytest.approx(shrunk if rows >= 10 else 9 / 59, abs=1e-6)


def test_a_net_that_is_too_sure_of_labels_is_judged_by_what_it_says_once_calibrated():
    """Right in 85 of 100, and as sure as if it never erred, which alone would cost more than to say nothing."""
    torch.manual_seed(0)
    draw, target = np.random.default_rng(1), TargetSpec("label", 1)
    train, val = (  # of whose labels windows say nothing
        Labelled(part.read, torch.from_numpy(draw.integers(0, 2, (len(part), 1))).float(), part.groups)
        for part in (few(200, 0), few(300, 1))
    )
    standing = Standing(net().eval(), Fitting(train, val, 0), [0.5], None)
    standing.under(target, fresh=True)
    wrong = torch.from_numpy(np.random.default_rng(0).random((300, 1)) < 0.15)
    said = 0.5 + torch.where(wrong, -8.0, 8.0) * (2 * val.y - 1)
    assert loss_of(said - 0.5, val.y, "label", "") > 1
    standing.joined({"best": standing.model.state_dict()}, lambda: said)
    assert standing.told["net"] > 0.5


def test_a_net_that_only_loses_is_worth_nothing():
    truth = torch.zeros(60, 1)
    assert share_of_net(truth, truth + 1, truth, partial(loss_of, kind="value", loss="l1")) == 0
    assert (
        share_of_net(truth, truth + 1e-6, truth, partial(loss_of, kind="value", loss="l1")) == 1
    )  # it is the closed form


@pytest.mark.parametrize("fixed", [None, {"net": 0.5}, {}])
def test_a_value_is_said_by_the_closed_form_and_a_share_of_what_the_net_adds(fixed):
    torch.manual_seed(0)
    target = TargetSpec("value", 1)
    spec = ModelSpec(backbone="gru", channels=2, length=6, outputs=1, horizon=1, head="pool", wide=target)
    model, train, val = build_model(spec).eval(), few(200, 0), few(60, 1)
    standing = Standing(model, Fitting(train, val, 0, "l1"), [0.0], fixed)
    standing.under(target, fresh=True)
    x, (closed, judged) = val.read(torch.arange(60)), (standing.wide.says_of(val), model.alone)
    torch.nn.init.normal_(model.head.weight, std=0.1)
    if judged is not None:
        judged.share.fill_(0.75)
        torch.nn.init.normal_(judged.head.weight, std=0.1)
    said = (model(x) if judged is None else judged.joined(model(x))).detach()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    kept = standing.joined({"best": state, "last": state}, lambda: said[:, :, 0])
    share = (
        fixed.get("net", 1.0)
        if fixed is not None
        else share_of_net(closed[:, :, 0], said[:, :, 0], val.y, partial(loss_of, kind="value", loss="l1"))
    )
    assert standing.told["net"] == share and standing.changed == (share < 1)
    assert torch.allclose(model(x), share * said + (1 - share) * closed, atol=1e-5)
    assert all(torch.equal(value, kept["last"][name]) for name, value in kept["best"].items())


# ---- runs


@pytest.fixture(scope="module")
def box(tmp_path_factory):
    """A walk of which the next value is near the last, beside noise."""
    folder, rng = tmp_path_factory.mktemp("wide"), np.random.default_rng(0)
    lay(folder, a=rng.normal(size=(16, 30)).cumsum(axis=1), b=rng.normal(size=(16, 30)))
    return folder


LINE = "--mode train --task regress --csv data/a.csv data/b.csv --context-len 6 --test-ratio 0.2 --no-plots --quiet"


@pytest.mark.grows
def test_a_net_cannot_end_below_its_closed_form_on_validation(box):
    wild = good(box, LINE, "--backbone gru --epochs 2 --lr 100 --tag wild")
    told = strict(wild / "summary.json")
    assert told["best_epoch"] == 0 and told["best_val"] == pytest.approx(told["start"]["val_mae"], rel=1e-3)
    assert told["wide"]["says"] == "change"
    quiet = strict(good(box, LINE, "--backbone linear --epochs 1 --lr 1e-12 --tag quiet") / "summary.json")
    assert quiet["mae"] == pytest.approx(told["mae"], rel=1e-5)
    alone = strict(good(box, LINE, "--backbone linear --epochs 1 --lr 1e-12 --no-wide --tag alone") / "summary.json")
    assert alone["mae"] > 1.5 * told["mae"] and "wide" not in alone and "start" not in alone


def test_finetuning_cannot_end_below_its_start_and_keeps_the_map(box):
    first = good(box, LINE, "--backbone gru --epochs 2 --tag first")
    line = LINE.replace("train", "finetune")
    second = good(box, line, f"--ckpt {first} --epochs 2 --lr 100 --tag second")
    one, two = (Checkpoint.load(place / BEST) for place in (first, second))
    assert strict(second / "summary.json")["best_epoch"] == 0
    assert all(torch.equal(one.state[name], value) for name, value in two.state.items())
    other = good(box, line, f"--ckpt {first} --epochs 1 --refit-scaler --tag other")
    assert "wide" in strict(other / "summary.json")
    refused = go(box, line, f"--ckpt {first} --no-wide --tag refused")
    assert refused.code == 4 and "contradicts the checkpoint" in refused.err


@pytest.fixture(scope="module")
def bent(tmp_path_factory):
    """The size of a step of another channel: no line says anything about it."""
    folder, rng = tmp_path_factory.mktemp("bent"), np.random.default_rng(0)
    b = rng.normal(size=(20, 30))
    lay(folder, a=np.abs(np.roll(b, 1, axis=1)) + 0.05 * rng.normal(size=b.shape), b=b)
    return folder


BENT = LINE.replace(
    "--task", "--drop-label-from-x --backbone gru --model-args hidden=16 --batch-size 8 --lr 0.02 --task"
)


def test_a_net_learns_alone_beside_what_its_closed_form_leaves(bent, monkeypatch):
    for few in ("grown.FEWEST", "grown_boosting.FEWEST_WINDOWS"):  # trees would leave little
        monkeypatch.setattr(f"backbones.{few}", 10**9)
    made = strict(good(bent, BENT, "--epochs 8 --tag both") / "summary.json")
    assert made["wide"]["on_closed_form"] < 1 and made["best_val"] < 0.8 * made["start"]["val_mae"]
    assert made["validation"]["mae"] == pytest.approx(made["best_val"], rel=1e-4)


def test_a_run_with_both_heads_resumes_bit_for_bit_and_goes_on(bent):
    whole = good(bent, BENT, "--epochs 6 --scheduler none --tag whole")
    good(bent, BENT, "--epochs 5 --scheduler none --tag cut")
    cut = good(bent, BENT, "--epochs 6 --scheduler none --tag cut --resume")
    # The last epoch is compared with what the best one reached, not with what the model says that was made of it.
    assert 0 < strict(whole / "summary.json")["best_epoch"] < 6
    for name in (BEST, LAST):
        one, two = (Checkpoint.load(place / name).state for place in (whole, cut))
        assert one.keys() == two.keys() and all(torch.equal(one[key], two[key]) for key in one)
    inferred = good(
        bent, f"--mode infer --ckpt {whole / LAST} --csv data/a.csv data/b.csv --no-plots --quiet --tag last"
    )
    assert strict(inferred / "summary.json")["mae"] < 1


def walk(n: int, seed: int, pull: float) -> Labelled:
    """Windows of a walk, and where it goes next: towards the second channel by `pull`."""
    draw = np.random.default_rng(seed)
    x = np.zeros((2, n + 9), np.float32)
    for t in range(1, n + 9):
        x[1, t] = draw.normal()
        x[0, t] = x[0, t - 1] + pull * x[1, t - 1] + draw.normal()
    seen = torch.from_numpy(x).unfold(1, 8, 1).transpose(0, 1)[:n].contiguous()
    return Labelled(lambda i: seen[i], torch.from_numpy(x[:1, 8 : n + 8].T.copy()), np.zeros(n, np.int64))


@pytest.mark.parametrize("pull", [0.0, 0.4, 3.0])
def test_what_is_said_of_a_value_is_drawn_to_its_last_one_as_far_as_its_gain_may_be_chance(pull):
    """Of a walk that is all of it; what is left is one less the square of the standard error beside the gain."""
    target = TargetSpec("value", 1, channel=0)
    train, val = walk(300, 0, pull), walk(100, 1, pull)
    wide, plain = Wide(target, 2, 8), Wide(target, 2, 8)
    plain.settled = {"map": 1.0}
    free, _ = plain.fit(Fitting(train, val, 3, "l1"), target, [0.0])
    stood, told = wide.fit(Fitting(train, val, 3, "l1"), target, [0.0])
    last, said = (val.read(torch.arange(100))[:, 0, -1].numpy(), outputs_on(val, plain.outputs_of)[:, 0].numpy())
    y = val.y[:, 0].numpy()
    gains = [np.abs(last[i] - y[i]).mean() - np.abs(said[i] - y[i]).mean() for i in np.arange(100).reshape(10, 10)]
    error = np.std(gains, ddof=1) / np.sqrt(10)
    share = max(1 - (error / np.mean(gains)) ** 2, 0) if np.mean(gains) > 0 else 0.0
    assert (pull == 0 and share < 0.5) or (pull == 3 and share > 0.95) or pull == 0.4
    assert told["of"] == {"map": pytest.approx(share, abs=1e-3), "last": pytest.approx(1 - share, abs=1e-3)}
    found = outputs_on(val, wide.outputs_of)[:, 0].numpy()
    assert found == pytest.approx(share * said + (1 - share) * last, abs=1e-3)
    before = train.read(torch.arange(300))[:, 0, -1:, None]
    assert torch.allclose(stood, share * free + (1 - share) * before, atol=1e-3)

    again = Wide(target, 2, 8)
    again.settled = told["of"]
    again.fit(Fitting(train, val, 3, "l1"), target, [0.0])
    assert outputs_on(val, again.outputs_of)[:, 0].numpy() == pytest.approx(found, abs=1e-2)


def test_a_run_whose_trees_saw_every_step_is_not_gone_on_with(bent):
    """Their places would be those of other features."""
    old = good(bent, BENT, "--epochs 1 --tag old")
    for name in (BEST, LAST):
        kept = Checkpoint.load(old / name)
        assert kept.model.boosted and kept.model.aged
        replace(kept, model=replace(kept.model, aged=False)).save(old / name)
    done = go(bent, BENT, "--epochs 2 --tag old --resume")
    assert done.code == 4 and "whose nets stand on something else" in done.err, done.err
    assert "--overwrite starts again" in done.err


def test_inference_repeats_what_training_scored(box):
    for task, file in (("regress", "summary.json"), ("classify --bin-rule gt", "metrics.json")):
        line = LINE.replace("regress", task)
        name = task.split()[0]
        trained = good(box, line, f"--backbone gru --epochs 1 --tag again_{name}")
        words = f"--mode infer --ckpt {trained} --csv data/a.csv data/b.csv --eval-split test --no-plots --quiet"
        again = good(box, words, f"--tag infer_{name}")
        head = [strict(place / file)["headline"] for place in (trained, again)]
        assert head[0] == pytest.approx(head[1], rel=1e-6)


def test_whole_series_have_both(box, tmp_path):
    """Twelve rows of 30 steps: inference says what training scored, and resuming for longer finds the map again."""
    values = np.loadtxt(box / "data/a.csv", delimiter=",")
    lay(tmp_path, a=values)
    (tmp_path / "labels.csv").write_text("label\n" + "\n".join("ab"[row % 2] for row in range(len(values))) + "\n")
    line = "--mode train --task classify --csv data/a.csv --labels labels.csv --backbone gru --no-plots --quiet"
    first = good(tmp_path, line, "--epochs 2 --tag both")
    told = strict(first / "metrics.json")
    assert set(told["wide"]["shares"]) == {"closed_form", "net"} and told["thin"]["averaged"] == [2]
    words = f"--mode infer --ckpt {first} --csv data/a.csv --labels labels.csv --eval-split val --no-plots --tag i"
    assert strict(good(tmp_path, words) / "metrics.json")["headline"] == pytest.approx(told["headline"], rel=1e-6)
    longer = strict(good(tmp_path, line, "--epochs 3 --resume --tag both") / "metrics.json")
    assert longer["epochs"] == 3 and longer["wide"]["features"] == told["wide"]["features"]
