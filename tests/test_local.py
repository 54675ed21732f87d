"""The closed form of one series: against plain loops, scikit-learn and what must come out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge

from backbones import ForecastSpec, Hyper, InputSpec
from backbones.histories import HistoryFitting
from backbones.local import POWERS, Local, _boxed, _power, _shrinkage, _unboxed, continued
from backbones.local import second_season as factors
from backbones.mixed_ridges import PENALTIES, MixedRidges

from .runs import good, preds
from .test_histories import HORIZON, fitted, histories


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
    found = MixedRidges(x, y, np.array([9, 6])).weight
    np.testing.assert_allclose(found, [plain_ridge(x[0], y[0]), plain_ridge(x[1, 3:], y[1, 3:])], rtol=1e-6)


def test_errors_and_doubts_equal_plain_loops_over_penalties_and_rows():
    rng = np.random.default_rng(2)
    x, y, at = rng.normal(size=(9, 3)), rng.normal(size=9), rng.normal(size=(4, 3))
    found = MixedRidges(x[None], y[None], np.array([9]))
    left, leverage, losses = [], [], []
    for penalty in PENALTIES:
        model = Ridge(alpha=penalty, fit_intercept=False)
        left.append([y[i] - model.fit(np.delete(x, i, 0), np.delete(y, i)).predict(x[i : i + 1])[0] for i in range(9)])
        leverage.append([one @ np.linalg.solve(x.T @ x + penalty * np.eye(3), one) for one in at])
        losses.append(np.mean(np.square(left[-1])))
    share = np.exp(-(np.array(losses) - min(losses)) / min(losses))
    share /= share.sum()
    np.testing.assert_allclose(found.left[0], share @ np.array(left), rtol=1e-6)
    np.testing.assert_allclose(found.leverage(at[None])[0], share @ np.array(leverage), rtol=1e-6)


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
    made = continued(level, known, 6)[:, 0]
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


LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)


def with_levels(rows: list[np.ndarray], levels: tuple[float, ...] = LEVELS, least: int = 8) -> np.ndarray:
    """The forecasts [n, K, levels, H] of `local` at every origin, counted from the data's zero."""
    past, targets = histories(rows, least=least), len(rows[0])
    forecast = ForecastSpec(HORIZON, tuple(range(targets)), levels=max(len(levels), 1), quantiles=levels)
    model = Local(InputSpec(channels=targets, length=8, forecast=forecast), Hyper("local"))
    model.fit_histories(HistoryFitting(past, past, lambda: ([], [], [], None), 0))
    return model.from_histories(past).numpy().reshape(len(past), targets, -1, HORIZON) + 20


def drawn(kind: str, n: int = 60, steps: int = 70) -> list[np.ndarray]:
    """Series of known noise: walks, or four phases on a level that wanders."""
    rng = np.random.default_rng(3)
    walk = 100 + rng.normal(size=(n, steps)).cumsum(1)
    season = np.tile([0.0, 30.0, 10.0, -20.0], steps)[:steps]
    return list((walk if kind == "walk" else walk + season + 2 * rng.normal(size=(n, steps)))[:, None])


@pytest.mark.parametrize("kind", ["walk", "season"])
def test_quantiles_hold_what_they_say(kind):
    rows = drawn(kind)
    found = with_levels(rows, least=60)
    past = histories(rows, least=60)
    truth = past.labels(torch.arange(len(past))).numpy()[:, :, None] + 20
    below = (truth <= found).mean(axis=(0, 1, 3))
    np.testing.assert_allclose(below, LEVELS, atol=0.08)
    assert (np.diff(found, axis=2) >= 0).all()


def test_quantiles_are_around_the_point_forecast_and_widen_with_the_step_ahead():
    rows = drawn("walk")
    found, point = with_levels(rows, least=60), with_levels(rows, (), least=60)
    width = found[:, :, -1] - found[:, :, 0]
    assert (width[..., -1] > width[..., 0]).mean() > 0.95
    assert abs(found[:, :, 2] - point[:, :, 0]).mean() < 0.1 * width.mean()


def test_quantiles_of_a_series_are_its_own():
    """Neither other series nor other origins change them, and scaled by 10 they are 10 times as large."""
    rows = drawn("season", 3)
    whole = with_levels(rows)
    np.testing.assert_allclose(with_levels(rows[1:2]), whole[len(whole) // 3 : 2 * len(whole) // 3], rtol=1e-5)
    np.testing.assert_allclose(with_levels(rows, least=40)[-1], whole[-1], rtol=1e-5)
    np.testing.assert_allclose(with_levels([10 * row for row in rows]), 10 * whole, rtol=1e-4)


def test_quantiles_of_several_targets_stand_side_by_side():
    rows = [np.concatenate(drawn("season", 2))]
    both = with_levels(rows)
    for k in range(2):
        np.testing.assert_allclose(both[:, k], with_levels([rows[0][k : k + 1]])[:, 0], rtol=1e-5)


def test_levels_that_are_asked_for_come_with_an_interval_that_few_windows_do_not_narrow(tmp_path):
    months = np.arange("2015-01", "2020-01", dtype="datetime64[M]")
    y = drawn("walk", 1, len(months))[0][0]
    lines = "\n".join(f"{month}-01,{value:.3f}" for month, value in zip(months, y, strict=True))
    (tmp_path / "m.csv").write_text(f"month,y\n{lines}\n")
    words = "--mode train --task forecast --csv m.csv --time-col month --horizon 6 --backbone local --no-plots"
    run = good(tmp_path, words, "--quantiles 0.05 0.95 --reference off --save-preds")
    ahead = preds(run, "forecast.csv")
    assert len(ahead) == 6
    for line in ahead:
        low, high = float(line["low"]), float(line["high"])
        assert low <= float(line["q0.05"]) + 1e-5 and high >= float(line["q0.95"]) - 1e-5
