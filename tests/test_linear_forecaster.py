"""Ridge and its ensemble beside covariates: other channels' past, and what is known ahead."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch

from backbones import ForecastSpec, ModelSpec, impulse
from backbones.base import KnownAhead
from backbones.model import build_model
from times.clock import Clock

from .test_ridge import walk

NAMES = ("ridge", "ridge_ensemble")
LENGTH, HORIZON, TRAIN, VAL = 40, 6, 420, 560


def spec_of(name: str, channels: int, targets: tuple[int, ...], covariates: int = 0, **args) -> ModelSpec:
    forecast = ForecastSpec(HORIZON, targets, covariates=covariates)
    sizes = {"channels": channels, "length": LENGTH, "outputs": len(targets), "horizon": HORIZON}
    return ModelSpec(backbone=name, head="forecast", forecast=forecast, args=args, **sizes)


def fitted(name: str, z: np.ndarray, targets: tuple[int, ...], known: np.ndarray | None = None, **args):
    """(model, what it told) of a table [C, n] with what is `known` [F, n] ahead."""
    model = build_model(spec_of(name, len(z), targets, 0 if known is None else len(known), **args)).eval()
    parts = [[v[:, :TRAIN], v[:, TRAIN - LENGTH : VAL], v[:, :VAL]] for v in (z, z if known is None else known)]
    seen, ahead = ([[piece] for piece in part] for part in parts)
    return model, model.backbone.fit(*seen, None if known is None else KnownAhead(*ahead))


def forecasts(model, z: np.ndarray, known: np.ndarray | None = None, begin: int = VAL) -> tuple[np.ndarray, np.ndarray]:
    """(forecasts of every window whose targets begin at `begin` or later, truth), [n, K, H]."""
    cut = [
        torch.tensor(v[:, begin - LENGTH :], dtype=torch.float32).unfold(1, LENGTH + HORIZON, 1).transpose(0, 1)
        for v in ([z] if known is None else [z, known])
    ]
    with torch.no_grad():
        found = model(cut[0][..., :LENGTH], *cut[1:])
    return found.numpy(), cut[0][:, list(model.forecast.targets), LENGTH:].numpy()


def mse(*pair: np.ndarray) -> float:
    return float(np.square(pair[0] - pair[1]).mean())


@cache
def leading() -> np.ndarray:
    """[noise, a channel, what follows it 8 steps later], [3, 800]."""
    draw = np.random.default_rng(0)
    x = draw.normal(size=(2, 800))
    return np.stack([*x, np.roll(x[1], 8) + 0.3 * draw.normal(size=800)])


@cache
def promoted() -> tuple[np.ndarray, np.ndarray]:
    """(two targets, of which a plan moves the first at once and the second a step later too; the plan [1, 800])."""
    plan = (np.random.default_rng(1).random((1, 800)) < 0.15) * 1.0
    z = 0.5 * walk(2, 800)
    z[0] += 3 * plan[0]
    z[1] += 2 * plan[0] + np.roll(plan[0], 1)
    return z, plan


@pytest.mark.parametrize("name", NAMES)
def test_a_channel_that_leads_is_learned_from(name):
    z = leading()
    model, told = fitted(name, z, (2,))
    alone, _ = fitted(name, z[2:], (0,))
    assert told["others"][0]["share"] > 0.9
    assert mse(*forecasts(model, z)) < 0.15 and mse(*forecasts(alone, z[2:])) > 0.9


@pytest.mark.parametrize("name", NAMES)
def test_what_is_known_ahead_is_learned_from(name):
    z, plan = promoted()
    model, told = fitted(name, z, (0, 1), plan)
    alone, _ = fitted(name, z, (0, 1))
    assert told["known_ahead"]["targets_that_respond"] == 2
    assert mse(*forecasts(model, z, plan)) < 0.5 * mse(*forecasts(alone, z))
    np.testing.assert_allclose(model.backbone.impulse[:, 0, :3].detach(), [[3, 0, 0], [2, 1, 0]], atol=0.2)


@pytest.mark.parametrize("name", NAMES)
def test_what_says_nothing_leaves_the_forecast_as_it_is(name):
    z, draw = walk(1, 800), np.random.default_rng(3)
    plain, told = fitted(name, z, (0,))
    beside, _ = fitted(name, np.concatenate([z, draw.normal(size=(20, 800))]), (0,))
    ahead, _ = fitted(name, z, (0,), draw.normal(size=(4, 800)))
    for other in (beside, ahead):
        assert torch.equal(other.backbone.weight, plain.backbone.weight) and not other.backbone.past.any()
    assert not ahead.backbone.impulse.any() and "others" not in told


def test_the_forecast_is_a_plain_loop():
    z, plan = promoted()
    z = np.concatenate([z, np.random.default_rng(5).normal(size=(1, 800))])
    model = build_model(spec_of("ridge", 3, (0, 1), 1)).eval()
    draw = torch.Generator().manual_seed(0)
    for value in model.parameters():
        value.data.normal_(0, 0.1, generator=draw)
    backbone = model.backbone
    weight, past, responses = (v.detach().double().numpy() for v in (backbone.weight, backbone.past, backbone.impulse))
    found, _ = forecasts(model, z, plan, begin=790)
    x, u = z[:, 790 - LENGTH : 790], plan[:, 790 - LENGTH : 790 + HORIZON]
    effects = impulse.effects(u, responses)
    beside = np.concatenate([x[2:], u[:, :LENGTH]])[:, -backbone.lags :]
    for k in range(2):
        own = x[k] - effects[k, :LENGTH]
        for h in range(HORIZON):
            expected = weight[k, h] @ own + effects[k, LENGTH + h] + (past[k, h] * beside).sum()
            assert found[0, k, h] == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_what_comes_after_a_window_does_not_change_its_forecast(name):
    z = leading()
    model, _ = fitted(name, z, (2,))
    changed = z.copy()
    changed[:, VAL:] = 50
    assert np.array_equal(forecasts(model, z)[0][0], forecasts(model, changed)[0][0])
    refitted, _ = fitted(name, changed, (2,))
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), refitted.parameters(), strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_the_plan_after_the_horizon_is_not_read_and_that_within_it_is(name):
    z, plan = promoted()
    model, _ = fitted(name, z, (0, 1), plan)
    later, within = plan.copy(), plan.copy()
    later[:, VAL + HORIZON :] = 9
    within[:, VAL + HORIZON - 1] += 1
    first = forecasts(model, z, plan)[0][0]
    assert np.array_equal(forecasts(model, z, later)[0][0], first)
    moved = forecasts(model, z, within)[0][0] - first
    assert not moved[:, :-1].any() and moved[0, -1] == pytest.approx(3, abs=0.2)


def test_a_level_that_is_added_comes_out_again():
    z, plan = promoted()
    model, _ = fitted("ridge", z, (0, 1), plan)
    np.testing.assert_allclose(forecasts(model, z + 10, plan)[0] - forecasts(model, z, plan)[0], 10, atol=1e-3)


def test_refit_learns_from_validation_too():
    z = leading()
    plain, _ = fitted("ridge_ensemble", z, (2,))
    again, told = fitted("ridge_ensemble", z, (2,), refit=True)
    assert told["refit"] and not torch.equal(plain.backbone.past, again.backbone.past)
    assert mse(*forecasts(again, z)) < 0.15


def test_very_many_targets_share_their_maps():
    z, plan = np.concatenate([walk(33, 800), np.random.default_rng(0).normal(size=(2, 800))]), promoted()[1]
    model, _ = fitted("ridge", z, tuple(range(33)), plan, lookback=20, strength=1.0, norm="last")
    assert model.backbone.weight.shape[0] == model.backbone.past.shape[0] == 1
    assert model.backbone.impulse.shape[0] == 33
    assert forecasts(model, z, plan)[0].shape == (800 - VAL - HORIZON + 1, 33, HORIZON)


def test_checkpoints_from_before_covariates_load_and_predict_the_same():
    x, weight = torch.randn(4, 3, LENGTH), torch.randn(1, HORIZON, LENGTH)
    for name, old in (("ridge", weight), ("ridge_ensemble", weight.expand(2, -1, -1) + torch.randn(2, 1, 1))):
        model = build_model(spec_of(name, 3, (2, 0)))
        model.load_state_dict({"backbone.weight": old})
        expected = torch.einsum("bkt,kht->bkh", x[:, [2, 0]], old.expand(2, -1, -1))
        torch.testing.assert_close(model(x), expected)
        assert model.state_dict()["backbone.past"].shape == (2, HORIZON, 1, LENGTH)


# The calendar


@cache
def weekends() -> tuple[np.ndarray, np.ndarray]:
    """(hours [1, 1600] whose days differ at weekends, which a look-back of 40 does not see coming; their marks)."""
    times = np.arange(1600) * 3_600_000_000_000 + 4 * 86_400_000_000_000  # from a Monday on
    hour, day = np.arange(1600) % 24, np.arange(1600) // 24 % 7
    noise = 0.2 * np.random.default_rng(0).normal(size=1600)
    return (np.sin(2 * np.pi * hour / 24) + 2 * (day >= 5) * (hour > 7) + noise)[None], Clock("h").features(times)


def dated(name: str, z: np.ndarray, marks: np.ndarray):
    """A model of hours, fitted on 1100 and chosen on 200."""
    forecast = ForecastSpec(HORIZON, (0,), marks=len(marks), periods=(24, 168))
    sizes = {"channels": 1, "length": LENGTH, "outputs": 1, "horizon": HORIZON}
    model = build_model(ModelSpec(backbone=name, head="forecast", forecast=forecast, **sizes)).eval()
    seen, known = ([[v[:, :1100]], [v[:, 1100 - LENGTH : 1300]], [v[:, :1300]]] for v in (z, marks))
    model.backbone.fit(*seen, known=KnownAhead(*known))
    return model


@pytest.mark.parametrize("name", NAMES)
def test_weekends_are_seen_coming(name):
    z, marks = weekends()
    model, plain = dated(name, z, marks), dated(name, z, np.zeros((0, 1600), np.float32))
    assert model.as_fitted().marks == 4
    assert mse(*forecasts(model, z, marks, begin=1300)) < 0.5 * mse(*forecasts(plain, z, begin=1300))
    again = build_model(model.spec)
    again.load_state_dict(model.state_dict())
    assert np.array_equal(*(forecasts(one.eval(), z, marks, begin=1300)[0] for one in (model, again)))


@pytest.mark.parametrize("name", NAMES)
def test_a_calendar_that_does_not_help_is_left_out(name):
    z, (_, marks) = np.random.default_rng(2).normal(size=(1, 1600)).cumsum(axis=1) / 4, weekends()
    model, plain = dated(name, z, marks), dated(name, z, np.zeros((0, 1600), np.float32))
    assert model.as_fitted() == model.spec.forecast and model.spec.forecast.marks == 0
    assert model.state_dict().keys() == plain.state_dict().keys()
    assert torch.equal(model.backbone.weight, plain.backbone.weight)
    np.testing.assert_array_equal(forecasts(model, z)[0], forecasts(plain, z)[0])
