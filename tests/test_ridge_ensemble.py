"""The ensemble: members against scikit-learn, folds against windows that are made, the blend against its members."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge as SklearnRidge

from backbones import ForecastSpec, Hyper, InputSpec, ModelSpec, ridge_ensemble
from backbones.gram import squares, uncentred
from backbones.model import build_model
from backbones.ridge_ensemble import Fold, Member
from errors import DataError, UsageError

from .test_ridge import etth1, fitted, gram, made, mse, walk, windows

SETTINGS = {"horizon": 7, "period": 12}


def regress(x: np.ndarray, y: np.ndarray, alpha: float) -> np.ndarray:
    return SklearnRidge(alpha=alpha, fit_intercept=False, solver="cholesky").fit(x, y).coef_.T


def cut(pieces: list[np.ndarray], lookback: int, horizon: int, centre: int) -> tuple[np.ndarray, np.ndarray]:
    """Inputs and targets of every window, centred."""
    z = windows(pieces, lookback + horizon)
    z = z - z[:, lookback - centre : lookback].mean(axis=1, keepdims=True)
    return z[:, :lookback], z[:, lookback:]


def solved(pieces: list[np.ndarray], members: list[Member], **settings) -> dict[tuple[Member, int | None], np.ndarray]:
    return {(one, channel): weight for one, channel, weight in ridge_ensemble._solve(pieces, members, **settings)}


# Members


def test_plain_and_aged_members_are_ridge_regressions():
    pieces = [walk(2, 120), walk(2, 90, 1)]
    plain, aged = Member(30, 12, "plain", 0.2), Member(30, 1, "aged", 0.1)
    found = solved(pieces, [plain, aged], **SETTINGS)
    x, y = cut(pieces, 30, 7, centre=12)
    np.testing.assert_allclose(found[plain, None], regress(x, y, 0.2 * len(x)), atol=1e-8)
    x, y = cut(pieces, 30, 7, centre=1)
    held = np.array([1 + (29 - step) / (7 * 12) for step in range(30)])
    expected = regress(x / held, y, 0.1 * len(x)) / held[:, None]
    np.testing.assert_allclose(found[aged, None], expected, atol=1e-8)


@pytest.mark.parametrize(("lookback", "horizon"), [(36, 24), (40, 24), (40, 31), (27, 5)])
def test_the_map_between_cycles_is_a_regression_of_cycles_on_cycles(lookback, horizon):
    """Target block by block: the samples are its steps in every window, the inputs their phase in whole cycles."""
    pieces, period = [walk(2, 150)], 12
    x, y = cut(pieces, lookback, horizon, centre=1)
    cycles = lookback // period
    start = lookback - cycles * period
    expected = np.zeros((lookback, horizon))
    for first in range(0, horizon, period):
        steps = range(first, min(first + period, horizon))
        inputs = [start + (h - first) + period * np.arange(cycles) for h in steps]
        stacked_x = np.concatenate([x[:, at] for at in inputs])
        stacked_y = np.concatenate([y[:, h] for h in steps])
        weight = regress(stacked_x, stacked_y, ridge_ensemble.FOLD * len(stacked_x))
        for h, at in zip(steps, inputs, strict=True):
            expected[at, h] = weight
    found = ridge_ensemble._between_cycles(squares(gram(pieces, lookback + horizon), len(x), horizon, 1), period)
    np.testing.assert_allclose(found, expected, atol=1e-8)


def test_folded_members_and_channels_of_their_own_regress_what_is_left():
    pieces = [walk(2, 150), walk(2, 80, 1)]
    folded, own = Member(40, 1, "folded", 0.2), Member(40, 1, "folded", 0.2, channel_penalty=0.5)
    found = solved(pieces, [folded, own], **SETTINGS)
    x, y = cut(pieces, 40, 7, centre=1)
    base = ridge_ensemble._between_cycles(squares(gram(pieces, 47), len(x), 7, 1), 12)
    shared = base + regress(x, y - x @ base, 0.2 * len(x))
    np.testing.assert_allclose(found[folded, None], shared, atol=1e-8)
    for channel in (0, 1):
        x, y = cut([piece[channel : channel + 1] for piece in pieces], 40, 7, centre=1)
        expected = shared + regress(x, y - x @ shared, 0.5 * len(x))
        np.testing.assert_allclose(found[own, channel], expected, atol=1e-8)
    assert set(solved(pieces, [own], **SETTINGS)) == {(own, 0), (own, 1)}


def test_which_members_there_are():
    both = ridge_ensemble._members([168, 336, 512, 720], period=24, by_channel=True)
    assert len(both) == len(set(both)) == 4 * 2 * (3 + 2 + 2 + 4)
    assert {one.centre for one in both} == {1, 24}
    alone = ridge_ensemble._members([168, 336, 512, 720], period=24, by_channel=False)
    assert alone == [one for one in both if not one.channel_penalty] and len(alone) == 4 * 2 * 7
    assert {one.kind for one in ridge_ensemble._members([40, 80], period=41, by_channel=False)} == {"aged", "plain"}
    assert {one.centre for one in ridge_ensemble._members([8], period=1, by_channel=False)} == {1, 8}


# Folds, scores, weights


def test_folds_lie_one_after_the_other():
    t = np.arange(800.0)[None]
    folds = ridge_ensemble._folds([t], [t[:, -100:]], context=50, horizon=10)
    spans = [(f.fit[0][0, 0], f.fit[0][0, -1], f.score[0][0, 0], f.score[0][0, -1]) for f in folds]
    assert spans == [(0, 399, 350, 599), (0, 599, 550, 799), (0, 799, 700, 799)]


def test_short_training_has_fewer_folds_or_shorter_look_backs():
    z = walk(1, 400)
    assert ridge_ensemble._lookbacks([walk(1, 2000)], 720, 96) == [168, 336, 512, 720]
    assert ridge_ensemble._lookbacks([walk(1, 1300)], 720, 96) == [168, 336, 512]
    assert ridge_ensemble._lookbacks([z], 720, 96) == [168]  # of which no window fits into the first half
    assert ridge_ensemble._lookbacks([z], 96, 24) == [24, 48, 72, 96]
    assert ridge_ensemble._lookbacks([z], 1, 1) == [1]
    assert [len(f.fit[0][0]) for f in ridge_ensemble._folds([z], [z], 168, 96)] == [300, 400]
    assert [len(f.fit[0][0]) for f in ridge_ensemble._folds([z[:, :300]], [z], 168, 96)] == [300]
    assert [len(f.fit[0][0]) for f in ridge_ensemble._folds([z], [z[:, :90]], 48, 24)] == [300, 400]
    assert [len(f.fit[0][0]) for f in ridge_ensemble._folds([z], [z[:, :60]], 48, 24)] == [300]


def test_half_of_training_is_a_fold_where_it_has_enough_windows():
    enough = 2 * (ridge_ensemble.LEAST_HALF + 71)
    for steps, expected in ((enough, 3), (enough - 2, 2)):
        z = walk(1, steps)
        assert len(ridge_ensemble._folds([z], [z[:, :90]], 48, 24)) == expected
    few = [walk(1, 120, seed) for seed in range(40)]  # of many short series there are enough together
    assert len(ridge_ensemble._folds(few, few, 24, 12)) == 3


def test_scores_are_errors_of_windows_that_are_made():
    """Whatever a member's look-back: the targets are those behind the longest."""
    fold = Fold([walk(2, 200)], [walk(2, 90, 1), walk(2, 70, 2)], context=40)
    members = [
        Member(20, 12, "aged", 0.2),
        Member(40, 1, "folded", 0.2),
        Member(40, 1, "folded", 0.2, channel_penalty=0.5),
    ]
    weights = solved(fold.fit, members, **SETTINGS)
    by_channel = ridge_ensemble._score(fold, members, **SETTINGS, groups=2)
    of_all = ridge_ensemble._score(fold, members[:2], **SETTINGS, groups=1)
    for one in members:
        errors = []
        for channel in (0, 1):
            z = windows([piece[channel : channel + 1] for piece in fold.score], 47)
            weight = uncentred(weights.get((one, None), weights.get((one, channel))), one.centre)
            errors.append(np.square(z[:, 40:] - z[:, 40 - one.lookback : 40] @ weight).mean())
        np.testing.assert_allclose(by_channel[one], errors, rtol=1e-8)
        if not one.channel_penalty:
            np.testing.assert_allclose(of_all[one], [np.mean(errors)], rtol=1e-8)


def test_weights_fall_with_the_mean_log_error():
    a, b, c, d = (Member(8, 1, "plain", s) for s in (1.0, 2.0, 3.0, 4.0))
    first = {a: 0.2, b: 0.2 * np.exp(0.06), c: 0.1, d: 0.2 * np.exp(0.5)}
    second = {a: 3.0, b: 3.0, c: 6.0, d: 3.0}
    found = ridge_ensemble._weigh({one: [np.array([first[one]]), np.array([second[one]])] for one in first})
    # The means of the logs lie 0, 0.03, 0 and 0.25 above the least; the last is too light.
    total = 2 + np.exp(-1)
    assert {one: float(w[0]) for one, w in found.items()} == pytest.approx(
        {a: 1 / total, b: np.exp(-1) / total, c: 1 / total}
    )


def test_few_windows_tell_members_apart_less():
    assert [ridge_ensemble._temperature(n) for n in (0, 50, 300, 1200, 60_000)] == [0.2, 0.2, 0.2, 0.1, 0.03]
    a, b = Member(8, 1, "plain", 1.0), Member(8, 1, "plain", 2.0)
    found = ridge_ensemble._weigh({a: [np.array([1.0])], b: [np.array([np.exp(0.2)])]}, temperature=0.2)
    assert found[b][0] / found[a][0] == pytest.approx(np.exp(-1))


def test_what_validation_finds_twice_as_bad_has_no_say():
    a, b, c = (Member(8, 1, "plain", s) for s in (1.0, 2.0, 3.0))
    folds = {a: [0.1, 2.1], b: [1.0, 1.0], c: [1.0, 1.9]}  # a is far better on the fold inside training
    found = ridge_ensemble._weigh({one: [np.array([v]) for v in mse] for one, mse in folds.items()}, temperature=1.0)
    assert set(found) == {b, c}


def test_few_windows_bring_weaker_penalties():
    _, few = small(walk(1, 400))
    members = ridge_ensemble._members([10, 20, 30, 40], 12, by_channel=False)
    weak = ridge_ensemble._members([10, 20, 30, 40], 12, by_channel=False, weak=ridge_ensemble.WEAK)
    assert few["candidates"] == len(weak) > len(members) and set(members) < set(weak)
    assert min(one.strength for one in weak) < min(one.strength for one in members) / 10


def test_each_channel_weighs_for_itself():
    a, b, c = (Member(8, 1, "plain", s) for s in (1.0, 2.0, 3.0))
    found = ridge_ensemble._weigh({a: [np.array([1.0, 9.0])], b: [np.array([9.0, 1.0])], c: [np.array([9.0, 9.0])]})
    assert {one: list(w) for one, w in found.items()} == {a: [1, 0], b: [0, 1]}


def test_rounding_does_not_weigh():
    a, b, c = (Member(8, 1, "plain", s) for s in (1.0, 2.0, 3.0))
    found = ridge_ensemble._weigh({a: [np.array([0.0, 1e-16])], b: [np.array([0.0, 0.0])], c: [np.array([0.0, 1.0])]})
    assert {one: list(w) for one, w in found.items()} == {a: [1 / 3, 0.5], b: [1 / 3, 0.5], c: [1 / 3, 0]}


# The backbone


def small(z: np.ndarray, **args):
    """Fitted on 300 steps, weighed on 100 more, with 40 of them seen and 7 forecast."""
    model = made("ridge_ensemble", len(z), 40, 7, **args)
    found = model.backbone.fit([z[:, :300]], [z[:, 260:400]], [z[:, :400]])
    return model, found


@pytest.mark.parametrize("channels", [1, 3])
def test_the_matrix_is_the_sum_of_its_members_forecasts(channels):
    z = walk(channels, 400)
    model, found = small(z)
    assert found["period"] == 12 and found["lookbacks"] == [10, 20, 30, 40]
    members = ridge_ensemble._members([10, 20, 30, 40], 12, by_channel=channels > 1, weak=ridge_ensemble.WEAK)
    assert found["candidates"] == len(members)
    context = 40
    folds = ridge_ensemble._folds([z[:, :300]], [z[:, 260:400]], context, 7)
    scores = [ridge_ensemble._score(fold, members, 7, 12, channels) for fold in folds]
    temperature = ridge_ensemble._temperature(channels * (300 - 46))
    weights = ridge_ensemble._weigh({one: [score[one] for score in scores] for one in members}, temperature)
    assert found["members"] == len(weights)
    x = np.random.default_rng(5).normal(size=(6, channels, 40))
    expected = np.zeros((6, channels, 7))
    for (one, channel), weight in solved([z[:, :300]], list(weights), **SETTINGS).items():
        past = x[..., -one.lookback :]
        level = past[..., -one.centre :].mean(axis=-1, keepdims=True)
        forecast = (past - level) @ weight + level
        for row in range(channels) if channel is None else [channel]:
            expected[:, row] += weights[one][row] * forecast[:, row]
    np.testing.assert_allclose(model(torch.tensor(x).float()).detach().numpy(), expected, atol=1e-5)


def test_it_says_what_it_used():
    _, found = small(walk(3, 400))
    assert set(found) == {
        "members", "effective_members", "candidates", "period", "lookbacks", "fold_mse", "heaviest", "refit",
    }  # fmt: skip
    assert 1 <= found["effective_members"] <= found["members"] <= found["candidates"]
    assert len(found["fold_mse"]) == 3 and len(found["heaviest"]) == 5 and found["refit"] is False
    heaviest = list(found["heaviest"].values())
    assert heaviest == sorted(heaviest, reverse=True) and sum(heaviest) < 1


def test_it_beats_repeating_the_last_cycle_where_there_is_one():
    z = walk(2, 700)
    model, _ = small(z)
    test = z[:, 360:]
    cycles = np.square(windows([test], 47)[:, 40:] - windows([test], 47)[:, 28:35]).mean()
    assert mse(model, test, 40, 7) < 0.8 * cycles


def test_a_constant_channel_goes_on_beside_others():
    z = np.vstack([walk(2, 400), np.full(400, 3.0)])
    model, _ = small(z)
    x = torch.randn(2, 3, 40)
    x[:, 2] = 3
    assert model(x)[:, 2].detach().numpy() == pytest.approx(3, abs=1e-4)
    assert model.backbone.weight.isfinite().all()


def test_what_follows_training_and_validation_changes_nothing():
    z = walk(2, 500)
    first, told = small(z)
    z[:, 400:] = 99
    again, told_again = small(z)
    assert told == told_again and torch.equal(first.backbone.weight, again.backbone.weight)


def test_validation_weighs_and_does_not_train():
    """A fold is fitted on what lies before the windows that it scores; the members on training alone."""
    z = walk(2, 800)
    members = ridge_ensemble._members([20, 40], 12, by_channel=True)
    scores = []
    for changed in (800, 700, 525):
        other = z.copy()
        other[:, changed:] = np.random.default_rng(7).normal(size=other[:, changed:].shape)
        folds = ridge_ensemble._folds([other[:, :700]], [other[:, 660:]], 40, 7)
        scores.append([ridge_ensemble._score(fold, members, 7, 12, 2) for fold in folds])
    untouched, no_validation, half = scores
    for other, same in ((no_validation, [True, True, False]), (half, [True, False, False])):
        assert [all(np.array_equal(untouched[i][one], other[i][one]) for one in members) for i in range(3)] == same
    weights = dict.fromkeys(members, np.full(2, 1 / len(members)))
    blend = ridge_ensemble._sum([z[:, :700]], weights, **SETTINGS)
    z[:, 700:] = 99
    assert np.array_equal(blend, ridge_ensemble._sum([z[:, :700]], weights, **SETTINGS))


def test_refit_uses_both_parts_and_says_so():
    z = walk(2, 400)
    (plain, told), (refit, told_refit) = small(z), small(z, refit=True)
    assert told_refit == told | {"refit": True}
    assert not torch.equal(plain.backbone.weight, refit.backbone.weight)
    z[:, 300:400] = walk(2, 100, 8)
    model = made("ridge_ensemble", 2, 40, 7, refit=True)
    model.backbone.fit([z[:, :300]], [walk(2, 400)[:, 260:]], [z])
    assert not torch.equal(refit.backbone.weight, model.backbone.weight)


def test_many_channels_share_one_matrix():
    z = walk(33, 400)
    model, found = small(z)
    assert model.backbone.weight.shape == (1, 7, 40) and model(torch.randn(2, 33, 40)).shape == (2, 33, 7)
    assert not any("by channel" in name for name in found["heaviest"])
    assert made("ridge_ensemble", 33, 40, 7, targets=(4, 2)).backbone.weight.shape == (2, 7, 40)


@pytest.mark.parametrize(
    ("length", "horizon", "train", "val"),
    [
        (8, 1, [300], [60]),
        (1, 1, [50], [20]),
        (2, 3, [60], [30]),
        (40, 13, [70], [80]),
        (40, 5, [200, 30, 3, 0], [60, 9]),
        (12, 4, [20] * 12, [30, 30]),
        (40, 5, [200], []),
        (150, 20, [200], [180]),
        (720, 24, [300], [800]),
    ],
)
def test_little_data_is_enough(length, horizon, train, val):
    for channels in (1, 2):
        parts = [[walk(channels, n, i) for i, n in enumerate(sizes)] for sizes in (train, val)]
        model = made("ridge_ensemble", channels, length, horizon)
        model.backbone.fit(*parts, parts[0])
        assert model.backbone.weight.isfinite().all()
        level = model(torch.full((1, channels, length), 5.0)).detach().numpy()
        assert level == pytest.approx(5, abs=1e-3)


def test_too_little_is_told_with_sizes():
    z = walk(2, 100)
    with pytest.raises(DataError, match=r"no window of 10 \+ 7 steps fits"):
        made("ridge_ensemble", 2, 40, 7).backbone.fit([z[:, :16], z[:, :3]], [z], [z])
    with pytest.raises(DataError, match=r"no window of 10 \+ 7 steps is left"):
        made("ridge_ensemble", 2, 40, 7).backbone.fit([z[:, :20]], [z[:, :44]], [z])


def test_quantiles_are_refused():
    inputs = InputSpec(channels=2, length=24, forecast=ForecastSpec(5, (0, 1), levels=3))
    with pytest.raises(UsageError, match="quantiles"):
        ridge_ensemble.RidgeEnsemble(inputs, Hyper("ridge_ensemble"))


def test_a_stored_checkpoint_loads_by_its_old_keys_and_predicts_the_same():
    """It keeps the one map that its members add up to, and none of them."""
    weight, x = torch.randn(2, 7, 40), torch.randn(3, 2, 40)
    plain = {
        "backbone": "ridge_ensemble", "channels": 2, "length": 40, "outputs": 2, "horizon": 7, "head": "forecast",
        "args": {}, "pretrained": None,
        "ahead": {"horizon": 7, "targets": [0, 1], "levels": 1, "marks": 0, "covariates": 0},
    }  # fmt: skip
    model = build_model(ModelSpec.of(plain))
    model.load_state_dict({"backbone.weight": weight})
    assert model.spec.plain() == plain
    torch.testing.assert_close(model(x), torch.einsum("bkt,kht->bkh", x, weight))


@pytest.mark.slow
def test_etth1(shared):
    """No worse than this family of models was once measured to be; every window of the test part."""
    z = etth1(shared)
    model = fitted("ridge_ensemble", z, 720, 96)
    assert mse(model, z[:, 11520 - 720 : 14400], 720, 96) < 0.3612
