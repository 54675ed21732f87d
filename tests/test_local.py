"""The closed form of one series: against plain loops, scikit-learn and what must come out."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from backbones.local import PENALTIES, POWERS, _boxed, _power, _shrinkage, _unboxed, continued, ridge_to_nothing
from backbones.local import second_season as factors

from .test_histories import fitted, histories


def plain_ridge(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Every penalty, every row left out in turn."""
    losses, weights = [], []
    for penalty in PENALTIES:
        model = Ridge(alpha=penalty, fit_intercept=False)
        off = [y[i] - model.fit(np.delete(x, i, 0), np.delete(y, i)).predict(x[i : i + 1])[0] for i in range(len(y))]
        losses.append(np.mean(np.square(off)))
        weights.append(model.fit(x, y).coef_)
    share = np.exp(-(np.array(losses) - min(losses)) / min(losses))
    return share / share.sum() @ np.array(weights)


def test_the_ridge_equals_scikit_learns_with_every_row_left_out():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 9, 3)), rng.normal(size=(2, 9))
    x[1, :3], y[1, :3] = 0, 0  # rows before the first step
    found = ridge_to_nothing(x, y, np.array([9, 6]))
    np.testing.assert_allclose(found, [plain_ridge(x[0], y[0]), plain_ridge(x[1, 3:], y[1, 3:])], rtol=1e-6)


def plain_course(level: list[float], steps: int) -> list[float]:
    """Changes by ridge on a constant, a trend and the last value; step by step."""
    unit = max(level)
    z = np.array(level) / unit
    scores = {}
    for power in POWERS:
        boxed = (z**power - 1) / power if power else np.log(z)
        scores[power] = -0.5 * len(z) * np.log(boxed.var() + 1e-12) + (power - 1) * np.log(z).sum()
    power = max(scores, key=scores.__getitem__)
    boxed = (z**power - 1) / power if power else np.log(z)
    last, boxed = boxed[-1], boxed - boxed[-1]
    time = 1 - np.arange(len(z))[::-1] / len(z)
    weight = plain_ridge(np.column_stack([np.ones(len(z) - 1), time[1:], -boxed[:-1]]), np.diff(boxed))
    off = np.diff(boxed) - np.diff(boxed).mean()
    damping = max((off[1:] * off[:-1]).sum() / (off**2).sum(), 0)
    t, stride, now, made = 1.0, 1 / len(z), 0.0, []
    for _ in range(steps):
        stride *= damping
        t += stride
        now += weight @ [1, t, -now]
        whole = now + last
        made.append(unit * min((whole * power + 1) ** (1 / power) if power else np.exp(whole), 3.0))
    return made


def test_levels_go_on_as_in_a_plain_loop():
    rng = np.random.default_rng(1)
    level = np.exp(0.05 * np.arange(14) + 0.1 * rng.normal(size=(2, 14)).cumsum(1))
    known = np.ones((2, 14), bool)
    known[1, :5], level[1, :5] = False, 0
    made = continued(level, known, 6)
    for row, there, line in zip(level, known, made, strict=True):
        np.testing.assert_allclose(line, plain_course(row[there].tolist(), 6), rtol=1e-6)


@pytest.mark.parametrize("power", POWERS)
def test_the_transform_is_undone(power):
    level = np.random.default_rng(2).gamma(2.0, size=(3, 40)) + 0.01
    each = np.full(3, power)
    np.testing.assert_allclose(_unboxed(_boxed(level, each), each), level, rtol=1e-9)


def test_the_power_is_that_of_the_data():
    z, known = np.random.default_rng(3).normal(size=(2, 400)), np.ones((2, 400), bool)
    assert _power(np.exp(z / 2), known).tolist() == [0.0, 0.0] and (_power(10 + z, known) > 0.5).any()
    assert _power(np.abs(z) * (z > 0), known).tolist() == [1.0, 1.0]  # zeros


def test_what_is_of_rank_one_is_not_shrunk_and_noise_is():
    rng = np.random.default_rng(4)
    exact = np.outer(rng.gamma(5, size=30), rng.gamma(5, size=12))
    noisy = exact + 5 * rng.normal(size=exact.shape)
    known = np.ones((2, 30), bool)
    found = _shrinkage(np.stack([exact, noisy]), known)
    s = np.linalg.svd(noisy, compute_uv=False)
    y = s[0] / np.sqrt((s[1:] ** 2).sum() / (29 * 11) * 30)
    expected = np.sqrt((y**2 - 0.4 - 1) ** 2 - 4 * 0.4) / y**2
    np.testing.assert_allclose(found, [1.0, expected], rtol=1e-6)


def test_a_second_season_of_levels_is_found_and_noise_is_not():
    rng, week = np.random.default_rng(5), np.array([1.2, 1.1, 1.0, 1.0, 1.0, 0.9, 0.8])
    level = np.tile(week, 10)[None] * 50 + rng.normal(size=(1, 70))
    found = factors(level, np.ones((1, 70), bool), 7)
    np.testing.assert_allclose(found[0], week, atol=0.03)
    assert np.abs(factors(50 + rng.normal(size=(1, 70)), np.ones((1, 70), bool), 7) - 1).max() < 0.02
    short = np.arange(70) >= 57
    assert (factors(level, short[None], 7) == 1).all()


def test_a_season_of_one_level_is_repeated():
    y = np.tile([3.0, 5.0, 2.0, 9.0], 15)
    past = histories([y[None]], least=30)
    found = fitted("local", past).from_histories(past) + 20
    np.testing.assert_allclose(found[:, 0], [y[origin : origin + 6] for origin in past.origin], rtol=1e-5)
