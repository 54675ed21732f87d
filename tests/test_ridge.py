"""Ridge: sums over windows against windows that are made, fits against scikit-learn, figures known for ETTh1."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import Ridge as SklearnRidge

from backbones import ForecastSpec, ModelSpec
from backbones import gram as sums_of_windows
from backbones.gram import Squares, count, gram, squares, uncentred
from backbones.model import build_model
from errors import DataError, UsageError

FREE = {"lookback": 0, "strength": 0.0, "norm": "auto"}


def walk(channels: int, n: int, seed: int = 0) -> np.ndarray:
    """Days on a random walk `[channels, n]`."""
    draw = np.random.default_rng(seed)
    return draw.normal(size=(channels, n)).cumsum(axis=1) / 4 + 2 * np.sin(2 * np.pi * np.arange(n) / 12)


def windows(pieces: list[np.ndarray], width: int) -> np.ndarray:
    """Every window of every channel, one a row: piece by piece, channel by channel."""
    rows = [row[i : i + width] for piece in pieces for row in piece for i in range(len(row) - width + 1)]
    return np.array(rows).reshape(-1, width)


def made(name: str, channels: int, length: int, horizon: int, *, targets: tuple[int, ...] = (), **args):
    """The backbone under its forecast head."""
    return build_model(spec_of(name, channels, length, ForecastSpec(horizon, targets or tuple(range(channels))), args))


def spec_of(name: str, channels: int, length: int, forecast: ForecastSpec, args: dict) -> ModelSpec:
    sizes = {"channels": channels, "length": length, "outputs": forecast.outputs, "horizon": forecast.horizon}
    return ModelSpec(backbone=name, head="forecast", forecast=forecast, args=args, **sizes)


def mse(model: torch.nn.Module, z: np.ndarray, length: int, horizon: int) -> float:
    """Over every window of z `[C, n]`, its targets being all channels."""
    cut = torch.tensor(z, dtype=torch.float32).unfold(1, length + horizon, 1).transpose(0, 1)  # [windows, C, T + H]
    with torch.no_grad():
        parts = [(model(x[..., :length]) - x[..., length:]).double().square().sum() for x in cut.split(256)]
    return float(sum(parts)) / (len(cut) * len(z) * horizon)


# Sums over windows


@pytest.mark.parametrize(
    ("sizes", "width"),
    [(((3, 300),), 40), (((2, 50), (2, 41), (2, 40), (2, 39), (2, 3)), 40), (((1, 9),), 1), (((2, 60),), 60)],
)
def test_gram_is_the_product_of_the_windows(sizes, width):
    pieces = [walk(channels, n, seed) + 5 for seed, (channels, n) in enumerate(sizes)]
    z = windows(pieces, width)
    assert count(pieces, width) == len(z) > 0
    assert np.abs(gram(pieces, width) - z.T @ z).max() <= 4e-11 * np.abs(z.T @ z).max()


def test_gram_keeps_its_digits_over_long_and_wide_windows(shared):
    z = pd.read_csv(shared / "ett" / "ETTh1.csv").iloc[:8640, 1:].to_numpy().T
    made = windows([z[:2]], 400)
    found = gram([z[:2]], 400)
    assert np.abs(found - made.T @ made).max() <= 4e-11 * np.abs(found).max()
    assert np.array_equal(found, found.T)


def test_gram_of_nothing_is_zero():
    assert count([walk(2, 5)], 6) == 0 and not gram([walk(2, 5)], 6).any()


@pytest.mark.parametrize("centre", [0, 1, 5])
def test_sums_are_those_of_centred_windows(centre):
    pieces, horizon = [walk(2, 80), walk(2, 60, 1)], 7
    z = windows(pieces, 20 + horizon)
    level = z[:, 20 - centre : 20].mean(axis=1, keepdims=True) if centre else 0.0
    x, y = (z - level)[:, :20], (z - level)[:, 20:]
    found = squares(gram(pieces, 27), len(z), horizon, centre)
    for ours, plain in ((found.xx, x.T @ x), (found.xy, x.T @ y), (found.yy, np.trace(y.T @ y))):
        np.testing.assert_allclose(ours, plain, atol=1e-9)
    weight = np.random.default_rng(2).normal(size=(20, horizon))
    assert found.error(weight) == pytest.approx(np.square(y - x @ weight).sum(), rel=1e-10)
    np.testing.assert_allclose(z[:, :20] @ uncentred(weight, centre), x @ weight + level, atol=1e-10)


@pytest.fixture(params=["small", "large"])
def _solver(request, monkeypatch):
    """Maps as they are, solved by torch, and as if they were large."""
    if request.param == "large":
        monkeypatch.setattr(sums_of_windows, "LARGE", 0)


@pytest.mark.usefixtures("_solver")
def test_fit_is_ridge_regression():
    pieces, horizon = [walk(2, 90), walk(2, 70, 1)], 5
    z = windows(pieces, 17)
    x, y = z[:, :12], z[:, 12:]
    sums = squares(gram(pieces, 17), len(z), horizon, centre=0)
    plain = SklearnRidge(alpha=30.0, fit_intercept=False, solver="cholesky").fit(x, y).coef_.T
    np.testing.assert_allclose(sums.fit(np.full(12, 30.0)), plain, atol=1e-9)
    # A penalty of its own for each input is one penalty for rescaled inputs.
    penalty = np.linspace(1, 50, 12)
    scaled = SklearnRidge(alpha=1.0, fit_intercept=False, solver="cholesky").fit(x / np.sqrt(penalty), y).coef_.T
    np.testing.assert_allclose(sums.fit(penalty), scaled / np.sqrt(penalty)[:, None], atol=1e-9)
    # Pulled to a base is the base and a regression of what it leaves.
    base = np.random.default_rng(3).normal(size=(12, horizon))
    rest = SklearnRidge(alpha=30.0, fit_intercept=False, solver="cholesky").fit(x, y - x @ base).coef_.T
    np.testing.assert_allclose(sums.fit(np.full(12, 30.0), base), base + rest, atol=1e-9)


@pytest.mark.usefixtures("_solver")
def test_fit_survives_sums_without_rank():
    nothing = Squares(4, np.zeros((3, 3)), np.zeros((3, 2)), 0.0)
    assert not nothing.fit(np.zeros(3)).any()
    same = Squares(4, np.ones((3, 3)), np.ones((3, 2)), 2.0)  # three equal inputs, targets equal to them
    np.testing.assert_allclose(same.fit(np.zeros(3)), np.full((3, 2), 1 / 3), atol=1e-4)
    with pytest.raises(RuntimeError, match="positive-definite"):
        Squares(4, np.diag([1.0, -1.0]), np.ones((2, 1)), 1.0).fit(np.full(2, 0.5))


# The backbone


def test_choice_is_that_of_scikit_learn_on_windows_that_are_made():
    """Look-back, centring and strength with the least error on validation, every candidate fitted the long way."""
    z, length, horizon = walk(2, 400), 60, 6
    train, val = [z[:, :180], z[:, 180:250]], [z[:, 250 - length : 300], z[:, 320:400]]
    best = None
    for lookback in (48, 60):
        for norm, centre in (("last", 1), ("mean", 12)):
            fit, judge = windows(train, lookback + horizon), windows(val, length + horizon)[:, length - lookback :]
            fit, judge = (v - v[:, lookback - centre : lookback].mean(axis=1, keepdims=True) for v in (fit, judge))
            for strength in 10.0 ** np.arange(0, 6.5, 0.5):
                model = SklearnRidge(alpha=strength, fit_intercept=False, solver="cholesky")
                model.fit(fit[:, :lookback], fit[:, lookback:])
                error = np.square(model.predict(judge[:, :lookback]) - judge[:, lookback:]).mean()
                if best is None or error < best[0]:
                    best = error, lookback, norm, centre, strength, model.coef_.T
    ours = made("ridge", 2, length, horizon)
    found = ours.backbone.fit(train, val, [])
    assert best is not None
    assert found == {
        "lookback": best[1],
        "norm": best[2],
        "centre": best[3],
        "strength": best[4],
        "val_mse": pytest.approx(best[0], rel=1e-9),
        "candidates": 2 * 2 * 13,
    }
    expected = np.zeros((length, horizon))
    expected[-best[1] :] = uncentred(best[5], best[3])
    np.testing.assert_allclose(ours.backbone.weight[0].detach().numpy().T, expected, atol=1e-6)


def test_what_is_chosen_on_validation_may_be_fitted_on_it_too():
    """With the strength that validation chose, on the windows of both parts: scikit-learn on windows that are made."""
    z, length, horizon = walk(2, 300), 24, 4
    train, val = [z[:, :220]], [z[:, 220 - length :]]
    model = made("ridge", 2, length, horizon, lookback=length, norm="last")
    model.backbone.refits = True
    told = model.backbone.fit(*([torch.tensor(one) for one in part] for part in (train, val, [z])))
    plain = made("ridge", 2, length, horizon, lookback=length, norm="last")
    assert told == plain.backbone.fit(*([torch.tensor(one) for one in part] for part in (train, val, [z])))
    w = windows([z], length + horizon)
    x, y = (part - w[:, length - 1 : length] for part in (w[:, :length], w[:, length:]))
    fitted = SklearnRidge(alpha=told["strength"], fit_intercept=False).fit(x, y)
    expected = fitted.predict(x) + w[:, length - 1 : length]
    with torch.no_grad():
        found = model(torch.tensor(w[:, None, :length], dtype=torch.float32))[:, 0]
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_what_is_fitted_to_validation_is_not_judged_there():
    """How much of other channels is mixed in: as of a model that has all for its training, whose last quarter says it.
    Judged on validation, to which the regression on them was fitted, it was .97 for .80."""
    z, length, horizon = walk(4, 300), 24, 4
    z[0, 2:] -= 0.3 * np.cumsum(np.diff(z[1])[:-1])  # which leads by two steps
    parts = [[torch.tensor(part)] for part in (z[:, :220], z[:, 220 - length :], z)]
    given = {"targets": (0,), "lookback": length, "norm": "last", "strength": 10.0}
    one, other = (made("ridge", 4, length, horizon, **given) for _ in range(2))
    one.backbone.refits = True
    (found,), (expected,) = one.backbone.fit(*parts)["others"], other.backbone.fit(parts[2], [], [])["others"]
    assert found == {**expected, "share": pytest.approx(expected["share"], abs=0.01)} and 0.5 < found["share"] < 0.9


@pytest.mark.parametrize("norm", ["last", "mean", "none"])
def test_forecast_is_a_plain_loop_over_targets_and_steps(norm):
    z = walk(2, 300)
    model = made("ridge", 2, 24, 5, targets=(1, 0), lookback=20, strength=3.0, norm=norm)
    model.backbone.fit([torch.tensor(z, dtype=torch.float32)], [], [])
    x = torch.randn(4, 2, 24)
    weight = model.backbone.weight[0].detach()
    assert weight.shape == (5, 24) and not weight[:, :4].any() and weight[:, 4:].all()
    expected = [[[float(weight[h] @ x[b, c]) for h in range(5)] for c in (1, 0)] for b in range(4)]
    np.testing.assert_allclose(model(x).detach().numpy(), expected, atol=1e-5)
    if norm != "none":  # a level that is added comes out again
        np.testing.assert_allclose((model(x + 10) - model(x)).detach().numpy(), 10, atol=1e-3)


def test_other_channels_that_say_nothing_train_nothing():
    z = walk(3, 300)
    one, other = (made("ridge", 3, 24, 5, targets=(1,), **FREE) for _ in range(2))
    z[[0, 2]] = np.random.default_rng(9).normal(size=(2, 300))
    changed = z.copy()
    changed[[0, 2]] = np.random.default_rng(8).normal(size=(2, 300))
    assert one.backbone.fit([z[:, :200]], [z[:, 176:]], [z]) == other.backbone.fit(
        [changed[:, :200]], [changed[:, 176:]], [changed]
    )
    assert torch.equal(one.backbone.weight, other.backbone.weight)
    assert not one.backbone.past.any() and not other.backbone.past.any()


def test_what_follows_training_changes_no_weight():
    z = walk(2, 300)
    fixed = {"lookback": 20, "strength": 3.0, "norm": "last"}
    first, second = made("ridge", 2, 24, 5, **fixed), made("ridge", 2, 24, 5, **fixed)
    first.backbone.fit([z[:, :200]], [z[:, 176:250]], [z[:, :250]])
    z[:, 200:] = np.random.default_rng(9).normal(size=(2, 100))
    second.backbone.fit([z[:, :200]], [z[:, 176:250]], [z[:, :250]])
    assert torch.equal(first.backbone.weight, second.backbone.weight)


def test_until_fitted_it_repeats_the_last_value():
    x = torch.randn(2, 3, 9)
    assert torch.equal(made("ridge", 3, 9, 4)(x), x[..., -1:].expand(2, 3, 4))


def test_size_and_state():
    model = made("ridge", 3, 9, 4)
    assert sum(p.numel() for p in model.parameters()) == 9 * 4
    assert {key: tuple(v.shape) for key, v in model.state_dict().items()} == {"backbone.weight": (1, 4, 9)}


@pytest.mark.parametrize("value", [0.0, 3.0])
def test_constant_channels_go_on(value):
    z = np.full((2, 120), value)
    model = made("ridge", 2, 24, 5)
    assert model.backbone.fit([z], [z[:, :60]], [z])["val_mse"] == pytest.approx(0, abs=1e-12)
    assert model(torch.full((1, 2, 24), value)).detach().numpy() == pytest.approx(value, abs=1e-5)


@pytest.mark.parametrize(
    ("arguments", "wanted", "where"),
    [
        ({}, {"levels": 3}, "--quantiles"),
        ({"lookback": 25}, {}, "--model-args lookback"),
    ],
)
def test_what_it_cannot_do_is_refused(arguments, wanted, where):
    with pytest.raises(UsageError) as caught:
        build_model(spec_of("ridge", 2, 24, ForecastSpec(5, (0, 1), **wanted), arguments))
    assert caught.value.where.startswith(where) and caught.value.hint


def test_no_window_to_fit_or_to_choose_on_is_told_with_sizes():
    z = walk(2, 100)
    with pytest.raises(DataError, match=r"24 \+ 5 steps fits"):
        made("ridge", 2, 24, 5).backbone.fit([z[:, :28], z[:, 40:60]], [z], [z])
    with pytest.raises(DataError, match=r"no window of 24 \+ 5 steps to choose on"):
        made("ridge", 2, 24, 5).backbone.fit([z], [z[:, :28]], [z])


# Figures

LINES = [(96, 0.3634), (192, 0.3964), (336, 0.4188), (720, 0.4239)]


def etth1(shared, columns: slice = slice(None)) -> np.ndarray:
    """`[C, 17420]`, standardised on the rows of training."""
    z = pd.read_csv(shared / "ett" / "ETTh1.csv").iloc[:, 1:].to_numpy().T[columns]
    return (z - z[:, :8640].mean(axis=1, keepdims=True)) / z[:, :8640].std(axis=1, keepdims=True)


def fitted(name: str, z: np.ndarray, length: int, horizon: int) -> torch.nn.Module:
    model = made(name, len(z), length, horizon)
    model.backbone.fit([z[:, :8640]], [z[:, 8640 - length : 11520]], [z[:, :11520]])
    return model


@pytest.mark.slow
@pytest.mark.parametrize(("horizon", "published"), LINES)
def test_etth1(shared, horizon, published):
    """Look-back up to 512, as where these were measured; every window of the test part."""
    z = etth1(shared)
    model = fitted("ridge", z, 512, horizon)
    assert abs(mse(model, z[:, 11520 - 512 : 14400], 512, horizon) - published) < 0.002


@pytest.mark.slow
def test_etth1_oil_temperature_alone(shared):
    z = etth1(shared, slice(6, 7))
    model = fitted("ridge", z, 512, 96)
    assert abs(mse(model, z[:, 11520 - 512 : 14400], 512, 96) - 0.0538) < 0.001
