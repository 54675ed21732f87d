"""The network that was trained on other series: what it sees, its sums, and series that it has not seen."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from backbones.pretrained_mlp import (
    DAMPED,
    LAGS,
    MEANS,
    PERIODS,
    SEEN,
    SLOPE,
    SLOPES,
    STEPS,
    WEIGHTS,
    features,
    further,
    steps,
)
from tools import pretrain

from .test_arima import process
from .test_histories import fitted, histories


def plain_features(z: np.ndarray, period: int, ratio: bool) -> list[float]:
    """Of one series, number by number."""
    change = np.diff(z)
    unit = max(np.abs(change[-48:]).mean(), 0.1 * np.abs(change).mean()) + 1e-9 * abs(z[-1])
    x = [(z[max(len(z) - 1 - k, 0)] - z[-1]) / unit for k in range(1, LAGS + 1)]
    x += [(z[-k:].mean() - z[-1]) / unit for k in (*MEANS, len(z))]
    x += [10 * np.polyfit(np.arange(len(part)), part, 1)[0] / unit for part in (z, *(z[-k:] for k in SLOPES))]
    x += [10 * change.mean() / unit]
    off = change - change.mean()
    x += [(off[k:] * off[:-k]).sum() / (off**2).sum() for k in (1, 2)]
    x += [np.sqrt((change**2).mean()) / unit - 1.3, np.log(len(z)) - 4, np.log(z.std() / unit + 1e-3)]
    return [*x, *(float(period == one) for one in PERIODS), float(ratio), np.log(abs(z[-1]) / unit) / 3]


def test_features_equal_those_of_each_series_by_itself():
    one, other = process(70, 1), process(9, 2)
    both = np.stack([one, np.append(np.full(61, np.nan), other)])
    found = features(both, 4, np.array([True, False])).x
    np.testing.assert_allclose(found[0], plain_features(one, 4, True), atol=1e-9)
    np.testing.assert_allclose(found[1], plain_features(other, 4, False), atol=1e-9)


def test_steps_are_those_of_torch_averaged():
    torch.manual_seed(0)
    networks, x = [pretrain.Network(SEEN + 10).eval() for _ in range(2)], torch.randn(5, SEEN + 10)
    for network in networks:
        torch.nn.init.normal_(network.line.weight)
        torch.nn.init.normal_(network.out.weight)
    expected = torch.stack([network(x) for network in networks]).mean(dim=0).detach().numpy()
    weights = [network.weights() for network in networks]
    together = {name: np.stack([of[name] for of in weights]) for name in weights[0]}
    np.testing.assert_allclose(steps(x.numpy(), together), expected, rtol=1e-4, atol=1e-4)


def test_steps_after_the_last_go_on_with_a_slope_that_fades():
    made = np.arange(STEPS, dtype=float)[None] ** 2
    assert np.array_equal(further(made, 5), made[:, :5])
    found, last = further(made, STEPS + 3), made[0, -1]
    slope = (last - made[0, -1 - SLOPE]) / SLOPE
    np.testing.assert_allclose(found[0, STEPS:] - last, slope * np.cumsum([DAMPED, DAMPED**2, DAMPED**3]))


@pytest.mark.parametrize("horizon", [6, 30])
def test_level_and_unit_say_nothing_and_a_constant_stays(horizon):
    y = 50 + process(60, 3).cumsum()

    def made(values: np.ndarray) -> np.ndarray:
        past = histories([values[None]], least=40, step=7, periods=(12,))
        return fitted("pretrained_mlp", past).from_histories(past).numpy()[:, 0] + 20

    np.testing.assert_allclose(made(1000 * y), 1000 * made(y), rtol=1e-4)
    np.testing.assert_allclose(made(np.full(60, 7.0)), 7.0, rtol=1e-5)


@pytest.mark.parametrize("steps_known", [1, 2, 3, 4, 5, 13])
def test_the_shortest_histories_have_a_forecast(steps_known):
    past = histories([process(40, 4)[None]], least=steps_known, step=50, periods=())
    found = fitted("pretrained_mlp", past).from_histories(past).numpy()
    assert np.isfinite(found).all()
    if steps_known < 4:
        assert np.allclose(found + 20, process(40, 4)[steps_known - 1], rtol=1e-5)


def test_a_damped_trend_and_a_season_are_foretold_better_than_by_their_last_year():
    draw, t = np.random.default_rng(0), np.arange(120)
    y = 100 + 60 * (1 - 0.98**t) + 8 * np.sin(2 * np.pi * t / 12) + draw.normal(size=120)
    past = histories([y[None]], least=84, step=2, periods=(12,))
    truth = np.array([y[origin : origin + 6] for origin in past.origin])
    off = {name: np.abs(fitted(name, past).from_histories(past).numpy()[:, 0] + 20 - truth).mean() for name in
           ("pretrained_mlp", "seasonal_naive")}  # fmt: skip
    assert off["pretrained_mlp"] < 0.8 * off["seasonal_naive"]


def test_a_checkpoint_holds_its_own_weights():
    past = histories([process(40, 5)[None]], least=20, step=5, periods=())
    model = fitted("pretrained_mlp", past)
    with np.load(WEIGHTS) as kept:
        assert all(np.allclose(model.state_dict()[name], kept[name]) for name in kept.files)
    before = model.from_histories(past)
    model.line.mul_(2)
    assert not torch.equal(model.from_histories(past), before)


def test_the_networks_learn_what_other_series_do(tmp_path):
    table, out = tmp_path / "series.csv", tmp_path / "weights.npz"
    t = np.arange(60)
    with table.open("w") as file:
        file.write("series,period,value\n")
        for i in range(300):  # halfway back to 0 with each step
            draw, y = np.random.default_rng(i), np.zeros(60)
            for step in t[1:]:
                y[step] = 0.5 * y[step - 1] + draw.normal()
            file.writelines(f"s{i},1,{value}\n" for value in y)
    pretrain.main([str(table), "--out", str(out), "--networks", "1"])
    with np.load(out) as weights:
        y = np.random.default_rng(0).normal(size=(1, 50)) * 0.3
        y[0, -1] = 3.0
        seen = features(y, 1, np.zeros(1, bool))
        made = seen.last + seen.unit * steps(seen.x, weights)[0]
    assert abs(made[-1]) < 2 and made[0] < 2.4  # it repeats 3.0 before it has learned
