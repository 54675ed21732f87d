"""Trees as tensors give what scikit-learn's give."""

from __future__ import annotations

import io
import time

import numpy as np
import pytest
import torch
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
)

from backbones import ruled_out
from backbones.trees import NOTHING, Forest, of_boosting, of_forest


def made(n: int = 600, width: int = 12, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Features [n, width] with two constant columns and one of few values, and a noisy target [n]."""
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(n, width)).astype(np.float32)
    x[:, 3], x[:, 7] = 0.0, 5.25
    x[:, 5] = np.round(x[:, 5])
    return x, x[:, 0] + x[:, 1] * x[:, 5] + 0.5 * draw.normal(size=n)


def planted(trees, outputs: int, **more) -> Forest:
    forest = Forest(outputs)
    forest.plant(trees, **more)
    return forest


def said(forest: Forest, x: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return forest(torch.from_numpy(x)).numpy()


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error"])
def test_boosting_of_values(loss):
    x, y = made()
    model = HistGradientBoostingRegressor(loss=loss, max_iter=40, max_features=0.5, random_state=1).fit(x, y)
    found = said(planted(of_boosting(model), 1), made(seed=1)[0])[:, 0] + float(np.ravel(model._baseline_prediction)[0])
    assert np.abs(found - model.predict(made(seed=1)[0])).max() < 1e-6 * 10  # sums of 40 trees in float32


@pytest.mark.parametrize("classes", [2, 4])
def test_boosting_of_classes(classes):
    x, y = made()
    truth = np.digitize(y, np.quantile(y, np.arange(1, classes) / classes))
    model = HistGradientBoostingClassifier(max_iter=20, max_leaf_nodes=15, random_state=1).fit(x, truth)
    other, base = made(seed=1)[0], np.ravel(model._baseline_prediction)
    found = torch.from_numpy(said(planted(of_boosting(model), len(base)), other) + base)
    share = torch.cat([torch.zeros_like(found), found], dim=1).softmax(1) if classes == 2 else found.softmax(1)
    assert np.abs(share.numpy() - model.predict_proba(other)).max() < 1e-6


def test_the_first_iterations_alone():
    x, y = made()
    model = HistGradientBoostingRegressor(max_iter=9, random_state=1).fit(x, y)
    stages = list(model.staged_predict(x))
    for count in (1, 4):
        found = said(planted(of_boosting(model, count), 1), x)[:, 0] + float(np.ravel(model._baseline_prediction)[0])
        assert np.abs(found - stages[count - 1]).max() < 1e-6


def test_extra_trees_of_values_and_classes():
    x, y = made()
    other = made(seed=1)[0]
    model = ExtraTreesRegressor(30, random_state=1).fit(x, y)
    assert np.abs(said(planted(of_forest(model), 1), other)[:, 0] - model.predict(other)).max() < 1e-6
    truth = np.digitize(y, [-1, 0, 1])
    sorts = ExtraTreesClassifier(30, min_samples_leaf=2, criterion="entropy", random_state=1).fit(x, truth)
    forest = planted(of_forest(sorts, lambda value: value[:, 0] / value[:, 0].sum(1, keepdims=True)), 4)
    assert np.abs(said(forest, other) - sorts.predict_proba(other)).max() < 1e-6


def test_a_threshold_that_is_a_value_of_training_goes_the_same_way():
    """Thresholds are float64 and features float32: on the threshold itself, and one float32 to either side of it."""
    x, y = made()
    model = ExtraTreesRegressor(10, random_state=1).fit(x, y)
    tree = model.estimators_[0].tree_
    cuts = [(tree.feature[i], tree.threshold[i]) for i in range(tree.node_count) if tree.children_left[i] >= 0]
    rows = []
    for feature, cut in cuts[:50]:
        for value in (
            np.float32(cut),
            np.nextafter(np.float32(cut), np.float32(9)),
            np.nextafter(np.float32(cut), np.float32(-9)),
        ):
            row = x[0].copy()
            row[feature] = value
            rows.append(row)
    edges = np.array(rows)
    assert np.abs(said(planted(of_forest(model), 1), edges)[:, 0] - model.predict(edges)).max() < 1e-6


def test_a_margin_keeps_rounding_from_deciding():
    x, y = made()
    model = HistGradientBoostingRegressor(max_iter=20, random_state=1).fit(x, y)
    exact, wide = planted(of_boosting(model), 1), planted(of_boosting(model), 1, margin=1e-6)
    up = np.nextafter(x, np.float32(np.inf))
    assert np.array_equal(said(wide, x), said(wide, up)) and np.array_equal(said(wide, x), said(exact, x))


def test_growing_on_and_a_leaf_alone():
    x, y = made()
    one = HistGradientBoostingRegressor(max_iter=5, random_state=1).fit(x, y)
    two = HistGradientBoostingRegressor(max_iter=3, max_leaf_nodes=40, random_state=2).fit(x, y)
    forest = planted(of_boosting(one), 1)
    first = said(forest, x)
    forest.plant([*of_boosting(two), NOTHING], keep=True)
    assert np.abs(said(forest, x) - first - said(planted(of_boosting(two), 1), x)).max() < 1e-6
    assert len(forest.root) == 9 and int(forest.width.sum()) == len(forest.child)


def test_forests_that_are_taken_in_say_the_sum():
    x, y = made()
    first, second, third = (
        planted(of_forest(ExtraTreesRegressor(count, random_state=count).fit(x, y)), 1) for count in (3, 5, 4)
    )
    forest = Forest(1)
    for other in (first, second, third):
        forest.take_in(other)
    assert len(forest.root) == 12 and int(forest.width.sum()) == len(forest.child)
    assert np.abs(said(forest, x) - said(first, x) - said(second, x) - said(third, x)).max() < 1e-5


def test_a_state_brings_its_own_sizes():
    x, y = made()
    forest = planted(of_forest(ExtraTreesRegressor(5, random_state=1).fit(x, y)), 1)
    file = io.BytesIO()
    torch.save(forest.state_dict(), file)
    file.seek(0)
    other = Forest(1)
    other.load_state_dict(torch.load(file, weights_only=True))
    assert np.array_equal(said(other, x), said(forest, x))


def test_every_level_for_all_is_the_same_as_setting_aside():
    x, y = made()
    forest = planted(of_forest(ExtraTreesRegressor(20, random_state=1).fit(x, y)), 1)
    seen = torch.from_numpy(x)
    assert torch.equal(forest._walk(seen).long(), forest._walk_all(seen))


@pytest.mark.parametrize("leaves", [2, 7, 16, 17])
@pytest.mark.parametrize("kind", [HistGradientBoostingRegressor, HistGradientBoostingClassifier])
def test_leaves_that_are_ruled_out_leave_the_one_that_is_walked_to(leaves, kind):
    """Of many windows, with values that are thresholds and some that are missing; trees of more leaves are walked."""
    x, y = made()
    truth = y if kind is HistGradientBoostingRegressor else np.digitize(y, [-1, 1])
    model = kind(max_iter=12, max_leaf_nodes=leaves, min_samples_leaf=5, random_state=1).fit(x, truth)
    forest = planted([*of_boosting(model), NOTHING] if truth is y else of_boosting(model), 1 if truth is y else 3)
    seen = torch.from_numpy(np.tile(made(seed=1)[0], (10, 1)))
    seen[::7, 1] = seen[::5, 5] = torch.nan
    seen[::3, 0] = forest.threshold[1]
    trees = forest._rulings(seen)
    assert bool(trees) == (leaves <= ruled_out.LEAVES) and not forest._rulings(seen[: ruled_out.LEAST - 1])
    walked = forest._walk(seen)
    assert not trees or torch.equal(forest._ruled(seen, trees), walked)
    assert torch.equal(forest(seen), forest._sum(walked, len(seen)))


def test_as_fast_as_scikit_learn():
    """Ten thousand windows, one thread; the best of five."""
    x, y = made(n=10_000, width=200)
    model = HistGradientBoostingRegressor(max_iter=60, max_leaf_nodes=15, random_state=1).fit(x, y)
    forest = planted(of_boosting(model), 1)

    def least(call) -> float:
        spent = []
        for _ in range(5):
            begun = time.process_time()
            call(x)
            spent.append(time.process_time() - begun)
        return min(spent)

    assert least(lambda x: said(forest, x)) < least(model.predict)
