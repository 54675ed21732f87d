"""The closed form of things, fitted again to validation once all is chosen; and the second kinds of trees beside it."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import Ridge

from backbones import ModelSpec
from backbones.fitted import outputs_on
from backbones.fitting import Fitting, Labelled, joined
from backbones.grown import BAGGED_LEAF, Grown
from backbones.grown_boosting import FEWEST_SLOW, Boosted
from backbones.model import build_model
from backbones.specs import TargetSpec
from backbones.standing import Standing
from backbones.wide import Wide, asked_of_map
from checkpoint import BEST, Checkpoint

from .runs import good, numbers, preds

THINGS = TargetSpec("value", 1, whole=True, things=True)
PARTS = {"trees": True, "boosted": True, "rows": True, "second": True}


def things(n: int, seed: int, kind: str = "value") -> Labelled:
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 1, 5, generator=draw)
    y = 3 * x[:, :, 0] + x[:, :, 1] * x[:, :, 2] + 0.3 * torch.randn(n, 1, generator=draw)
    return Labelled(lambda i: x[i], y if kind == "value" else (y > 0).float(), np.arange(n))


def table(windows: Labelled) -> np.ndarray:
    return windows.read(torch.arange(len(windows)))[:, 0].numpy()


def standing(kind: str, *, net: float, share: float) -> tuple[Standing, Labelled, Labelled]:
    """A net that said nothing, on a closed form of which so much was taken."""
    target = replace(THINGS, kind=kind)
    spec = ModelSpec(backbone="gru", channels=1, length=5, outputs=1, horizon=1, head="pool", wide=target, **PARTS)
    train, val = things(200, 0, kind), things(100, 1, kind)
    stands = Standing(build_model(spec), Fitting(train, val, 3, "l1" if kind == "value" else ""), [0.5])
    stands.under(target, fresh=True)
    stands.told |= {"net": net, "on_closed_form": share}
    return stands, train, val


def test_the_map_is_that_of_all_things_and_counts_for_as_much():
    stands, train, val = standing("value", net=1.0, share=1.0)
    of = stands.told["of"]
    before = {name: float(part.weight) for name, part in stands.wide.beside.items()}
    stands.fit_again()
    whole = joined(train, val)
    x, y = table(whole), whole.y[:, 0].numpy()
    weight = stands.wide.weight[0].double().numpy() / of["map"]
    centred = (x - x.mean(0)) / x.std(0)
    # of any strength, the ridge of all 300 lies on the curve that scikit-learn's draws
    strengths = np.logspace(-6, 5, 400)
    curve = np.stack([Ridge(alpha=a).fit(centred, y).coef_ / x.std(0) for a in strengths])
    assert np.abs(curve - weight).max(1).min() < 2e-3 * np.abs(weight).max()
    of_train = Ridge(alpha=1e-3).fit(table(train), train.y[:, 0].numpy()).coef_
    assert np.abs(of_train - weight).max() > 1e-2
    assert {name: float(part.weight) for name, part in stands.wide.beside.items()} == before


def test_trees_know_by_heart_what_they_were_grown_on_and_their_number_stays():
    stands, _, val = standing("value", net=1.0, share=1.0)
    wide = stands.wide
    counts = [len(part.root) for part in (wide.boosted.forest, wide.slow.forest, wide.trees.forest.forest)]
    error = (outputs_on(val, wide.trees.answer) - val.y).abs().mean()
    stands.fit_again()
    assert counts == [len(part.root) for part in (wide.boosted.forest, wide.slow.forest, wide.trees.forest.forest)]
    assert (outputs_on(val, wide.trees.answer) - val.y).abs().mean() < 1e-3 * error  # a leaf holds one thing


@pytest.mark.parametrize(("net", "share"), [(0.0, 0.5), (0.4, 0.5), (1.0, 0.25)])
def test_it_is_taken_as_far_as_the_first_one_was(net, share):
    whole, part = (standing("label", net=n, share=s)[0] for n, s in ((1.0, 1.0), (net, share)))
    whole.fit_again()
    part.fit_again()
    taken = net * share + 1 - net  # of the net's model its share, of the closed form alone the rest
    x = things(20, 2).read(torch.arange(20))
    assert torch.allclose(part.wide(x), taken * whole.wide(x), atol=1e-5)


def test_windows_and_what_was_chosen_before_stay_as_they_are():
    stands = standing("value", net=1.0, share=1.0)[0]
    assert stands.fits_again
    stands.fixed = stands.told
    assert not stands.fits_again  # trained on everything already
    stands.fixed, stands.wide.target = None, replace(THINGS, things=False)
    assert not stands.fits_again


@pytest.mark.grows
@pytest.mark.parametrize("kind", ["value", "label"])
def test_trees_on_draws_are_the_random_forest_of_scikit_learn(kind):
    train, x = things(150, 0, kind), things(40, 1).read(torch.arange(40))
    grown = Grown(replace(THINGS, kind=kind), 1, 5, bagged=True)
    data = Fitting(train, train, 7, "l1" if kind == "value" else "")
    grown.grow(train, data)
    settings = {"n_estimators": 100, "max_features": 0.4, "random_state": 7}
    if kind == "value":
        found = RandomForestRegressor(**settings).fit(table(train), train.y[:, 0].numpy(), np.ones(150))
        assert grown.answer(x)[:, 0].numpy() == pytest.approx(found.predict(x[:, 0].numpy()), abs=1e-4)
    else:
        found = RandomForestClassifier(min_samples_leaf=BAGGED_LEAF, **settings)
        says = found.fit(table(train), train.y[:, 0].numpy(), np.ones(150)).predict_proba(x[:, 0].numpy())[:, 1]
        rate = (1 - 1 / 152) * says + float(train.y.mean()) / 152
        assert grown.answer(x).sigmoid()[:, 0].numpy() == pytest.approx(rate, abs=1e-4)


@pytest.mark.grows
def test_rounding_moves_no_thing_of_whole_numbers_to_another_leaf():
    """Halfway between two ages may be a third: an exported model, which scales by itself, was refused."""
    draw = torch.Generator().manual_seed(2)
    x = (torch.randint(0, 30, (200, 1, 5), generator=draw) - 14.5) / 8.655
    train = Labelled(lambda i: x[i], x[:, :, 0] * x[:, :, 1] + torch.randn(200, 1, generator=draw), np.arange(200))
    grown = Grown(THINGS, 1, 5, bagged=True)
    grown.grow(train, Fitting(train, train, 7, "l1"))
    for far in (1 + 2e-7, 1 - 2e-7):
        assert torch.equal(grown.answer(x), grown.answer(x * far))


@pytest.mark.grows
def test_values_are_boosted_in_small_steps_by_squared_errors():
    train, x = things(300, 0), things(40, 1).read(torch.arange(40))
    slow = Boosted(THINGS, 1, 5, rows=True, slow=True)
    slow.grow(train, Fitting(train, train, 7, "l1"))
    settings = {"learning_rate": 0.06, "max_leaf_nodes": 15, "l2_regularization": 5.0, "max_features": 0.5}
    count = len(slow.forest.root)
    model = HistGradientBoostingRegressor(
        min_samples_leaf=5, max_iter=count, early_stopping=False, random_state=7, **settings
    ).fit(table(train), train.y[:, 0].numpy())
    assert 20 < count <= 300
    assert slow.answer(x)[:, 0].numpy() == pytest.approx(model.predict(x[:, 0].numpy()), abs=1e-4)


def test_only_things_have_the_second_kinds_and_few_of_labels_no_small_steps():
    assert asked_of_map("gru", THINGS, 1, 5)["second"]
    for target, length in ((replace(THINGS, things=False), 5), (TargetSpec("value", 1, channel=0), 24)):
        assert not asked_of_map("gru", target, 1, length)["second"]
    few, value = Boosted(replace(THINGS, kind="label"), 1, 5, rows=True, slow=True), Boosted(THINGS, 1, 5, slow=True)
    assert few.suits(FEWEST_SLOW) and not few.suits(FEWEST_SLOW - 1) and value.suits(FEWEST_SLOW - 1)
    older = {name: part for name, part in asked_of_map("gru", THINGS, 1, 5).items() if name != "second"}
    sizes = {"channels": 1, "length": 5, "outputs": 1, "horizon": 1, "head": "pool"}
    before = build_model(ModelSpec(backbone="gru", **sizes, **older)).wide
    assert set(before.beside) == {"trees", "boosted"}  # as checkpoints of before have it
    now = build_model(ModelSpec.of(ModelSpec(backbone="gru", **sizes, **older, second=True).plain())).wide
    assert isinstance(now, Wide) and set(now.beside) == {"trees", "bagged", "boosted", "slow"}


# --- runs ------------------------------------------------------------------------------------------------------------

FLAGS = "--mode train --task regress --csv a.csv --label-src-ch price --epochs 2 --reference off --no-plots --quiet"


@pytest.fixture(scope="module")
def box(tmp_path_factory):
    """A folder with a table of things, a run with a test part and one without."""
    folder = tmp_path_factory.mktemp("settling")
    draw = np.random.default_rng(0)
    size, age, rooms, floor = draw.normal(80, 20, 240), *(draw.integers(0, most, 240) for most in (60, 6, 9))
    price = 900 * size - 400 * age + draw.normal(0, 9000, 240)
    rows = zip(size.round(1), age, rooms, floor, price.round(), strict=True)
    lines = ["size,age,rooms,floor,price", *(",".join(map(str, row)) for row in rows)]
    (folder / "a.csv").write_text("\n".join(lines) + "\n")
    good(folder, FLAGS, "--tag two")
    good(folder, FLAGS, "--tag three --test-ratio 0.2")
    return folder


def summary(folder) -> dict:
    return json.loads((folder / "summary.json").read_text())


def again(box, tag: str, split: str):
    """What the best weights of a run say of a part of the files of training."""
    flags = f"--mode infer --csv a.csv --ckpt artifacts/{tag} --eval-split {split} --tag i --overwrite --no-plots"
    return good(box, flags)


def test_figures_of_validation_are_those_of_before(box):
    """What has learned from them since errs less there, and says that it has."""
    judged = summary(box / "artifacts/two")
    assert judged["split"] == "val" and judged["selection"] == "val-selected"
    assert judged["wide"]["fitted_to"] == "training and validation"
    found = summary(again(box, "two", "val"))
    assert found["n"] == judged["n"] and found["selection"] == "fitted on train and val"
    assert found["headline"]["mae"] < 0.9 * judged["headline"]["mae"]


def test_test_is_scored_by_what_is_kept(box):
    judged = summary(box / "artifacts/three")
    done = again(box, "three", "test")
    found = summary(done)
    assert found["selection"] == judged["selection"] == "chosen on val, test scored once"
    assert found["headline"]["mae"] == pytest.approx(judged["headline"]["mae"], rel=1e-5)
    said = [numbers(preds(folder), "y_pred") for folder in (box / "artifacts/three", done)]
    assert said[0] == pytest.approx(said[1], rel=1e-5)
    assert summary(again(box, "three", "val"))["headline"]["mae"] < 0.95 * judged["validation"]["mae"]


def test_the_checkpoint_says_what_it_learned_from(box):
    for tag in ("two", "three"):
        assert Checkpoint.load(box / "artifacts" / tag / BEST).learned == ["train", "val"]


def test_a_run_that_trains_once_more_on_everything_keeps_the_scored_one_as_it_was_scored(box):
    good(box, FLAGS, "--tag all --refit")
    kept = Checkpoint.load(box / "artifacts/all/model.pt.scored")
    assert kept.learned is None and kept.refit is None
    assert Checkpoint.load(box / "artifacts/all" / BEST).refit is not None
