"""backbones/lagged.py: sums over windows of several channels against windows that are made."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import Ridge as SklearnRidge

from backbones import lagged
from backbones.gram import uncentred

LOOKBACK, LAGS, HORIZON = 12, 5, 4


def pieces(*shapes: tuple[int, int], seed: int = 0) -> list[np.ndarray]:
    draw = np.random.default_rng(seed)
    return [draw.normal(size=shape) + 2 for shape in shapes]


def made(own: list[np.ndarray], others: list[np.ndarray], target: int) -> tuple[np.ndarray, np.ndarray]:
    """The windows of one target, and the last steps of the others before its future, by lag and channel."""
    width, z, x = LOOKBACK + HORIZON, [], []
    for one, beside in zip(own, others, strict=True):
        for s in range(one.shape[1] - width + 1):
            z.append(one[target, s : s + width])
            x.append(beside[:, s + LOOKBACK - LAGS : s + LOOKBACK].T.ravel())
    return np.array(z), np.array(x)


OWN, OTHERS = pieces((2, 60), (2, 15), (2, 31)), pieces((3, 60), (3, 15), (3, 31), seed=1)  # the second has no window


def test_sums_are_products_of_windows():
    for target, found in enumerate(lagged.joint(OWN, OTHERS, LOOKBACK, LAGS, HORIZON)):
        z, x = made(OWN, OTHERS, target)
        assert found.n == len(z) == 45 + 16
        np.testing.assert_allclose(found.own, z.T @ z, atol=1e-9)
        np.testing.assert_allclose(found.cross.reshape(len(z.T), -1), z.T @ x, atol=1e-9)
        np.testing.assert_allclose(found.others.reshape(15, 15), x.T @ x, atol=1e-9)


@pytest.mark.parametrize("change", [False, True])
@pytest.mark.parametrize("centre", [0, 1, 3])
def test_a_joint_fit_is_ridge_regression_on_windows_that_are_made(change, centre):
    lookback = 8
    sums = lagged.joint(OWN, OTHERS, LOOKBACK, LAGS, HORIZON)[1].squares(lookback, centre, change)
    z, x = made(OWN, OTHERS, 1)
    level = z[:, LOOKBACK - centre : LOOKBACK].mean(axis=1, keepdims=True) if centre else np.zeros((len(z), 1))
    seen = x.reshape(len(x), LAGS, 3)
    read = (seen - seen[:, -1:] if change else seen).reshape(len(x), -1)
    inputs = np.concatenate([z[:, LOOKBACK - lookback : LOOKBACK] - level, read], axis=1)
    expected = SklearnRidge(alpha=5.0, fit_intercept=False, solver="cholesky").fit(inputs, z[:, LOOKBACK:] - level)
    weight = sums.fit(np.full(lookback + 15, 5.0))
    np.testing.assert_allclose(weight, expected.coef_.T, atol=1e-8)
    past = weight[lookback:]
    past = lagged.unchanged(past, LAGS) if change else past.reshape(LAGS, 3, HORIZON)
    ours = z[:, LOOKBACK - lookback : LOOKBACK] @ uncentred(weight[:lookback], centre) + np.einsum(
        "nlc,lch->nh", seen, past
    )
    np.testing.assert_allclose(ours, expected.predict(inputs) + level, atol=1e-8)
    assert sums.error(weight) == pytest.approx(np.square(z[:, LOOKBACK:] - ours).sum(), rel=1e-8)


def test_targets_that_share_a_map_add_up():
    both = lagged.together(parts := lagged.joint(OWN, OTHERS, LOOKBACK, LAGS, HORIZON))
    assert both.n == sum(part.n for part in parts)
    z, x = (np.concatenate(part) for part in zip(*(made(OWN, OTHERS, target) for target in (0, 1)), strict=True))
    np.testing.assert_allclose(both.own, z.T @ z, atol=1e-9)
    np.testing.assert_allclose(both.cross.reshape(len(z.T), -1), z.T @ x, atol=1e-9)
    np.testing.assert_allclose(both.others.reshape(15, 15), x.T @ x, atol=1e-9)


def test_no_window_is_no_sum():
    short = lagged.joint(pieces((1, 9)), pieces((2, 9)), LOOKBACK, LAGS, HORIZON)
    assert short[0].n == 0 and not short[0].cross.any() and not short[0].others.any()
