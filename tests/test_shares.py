"""backbones/shares.py: what dates that are left out say of the weights of many series, against a plain loop."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch

from backbones import shares

SERIES, DATES = 20, 4


def panel(noise, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, np.ndarray, np.ndarray]:
    """Forecasts [M, b, 1, 6] of noise(draw, b) [M, b, 6], truth of 0, rows and dates [b] of 20 series."""
    draw, count = np.random.default_rng(seed), SERIES * DATES
    found = torch.from_numpy(noise(draw, count)[:, :, None]).float()
    return found, torch.zeros(found.shape[1:]), np.arange(count) // DATES, np.arange(count) % DATES


def one_error(draw, count):
    """Members err alike, the first one least: an average is worse than it."""
    return np.array([1.0, 1.15, 1.2, 1.25])[:, None, None] * draw.normal(size=(count, 6))


def own_errors(draw, count):
    """Members err each in their way: an average is better than any."""
    return np.array([1.0, 1.1, 1.1, 1.15])[:, None, None] * draw.normal(size=(4, count, 6))


@pytest.mark.parametrize("noise", [one_error, own_errors])
def test_many_series_are_weighed_as_dates_that_are_left_out_say(noise):
    found, truth, rows, back = panel(noise)
    logs = []
    for date in range(DATES):
        of = []
        for least in (0.05, 0.1, 0.2):
            there = back != date
            squares = np.zeros((4, SERIES))
            for i, row in np.ndenumerate(rows):
                if there[i]:
                    squares[:, row] += (found[:, i[0], 0].numpy() ** 2).mean(axis=1)
            error = (squares / squares.mean(axis=0)).mean(axis=1)
            doubted = 0.7 * shares.doubt(found[:, there], truth[there], rows[there], back[there])
            heavy = np.exp((np.log(error.min()) - np.log(error)) / np.clip(doubted, least, 1.0))
            heavy[heavy < 0.05] = 0
            blend = np.tensordot(heavy / heavy.sum(), found[:, ~there, 0].numpy(), axes=1)
            usual = (found[:, ~there, 0].numpy() ** 2).mean(axis=2).mean(axis=0)
            of.append(np.log(((blend**2).mean(axis=1) / usual).mean()))
        logs.append(of)
    gain = np.array(logs)[:, :2] - np.array(logs)[:, 2:]
    clear = gain.mean(axis=0) + 2 * gain.std(axis=0, ddof=1) / 2 < 0
    expected = (0.05, 0.1)[int(np.argmin(np.where(clear, gain.mean(axis=0), np.inf)))] if clear.any() else 0.2
    assert shares.temperature(found, truth, rows, back, SERIES) == expected == (0.05 if noise is one_error else 0.2)


def test_few_series_or_dates_keep_the_usual_temperature():
    found, truth, rows, back = panel(one_error)
    assert shares.temperature(found, truth, rows, back, shares.MANY_SERIES - 1) == shares.TEMPERATURE
    two = back < 2
    assert shares.temperature(found[:, two], truth[two], rows[two], back[two], SERIES) == shares.TEMPERATURE
    assert shares.temperature(found * 0, truth, rows, back, SERIES) == shares.TEMPERATURE  # nobody errs


def test_a_member_that_could_not_be_fitted_at_a_date_is_left_out_there():
    found, truth, rows, back = panel(one_error)
    found[2, back == 3] = torch.nan
    found[3] = torch.nan
    assert shares.temperature(found, truth, rows, back, SERIES) == 0.05
    found[:, back == 3] = torch.nan  # three dates are left
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert shares.temperature(found, truth, rows, back, SERIES) == 0.05
        found[:, back > 0] = torch.nan
        assert shares.temperature(found, truth, rows, back, SERIES) == shares.TEMPERATURE


def test_a_colder_blend_gives_the_best_member_more_say():
    error = np.array([[1.0], [1.1], [1.3]])
    usual, cold = (shares.weights(error, (), 0, SERIES, None, least)[:, 0] for least in (0.2, 0.05))
    np.testing.assert_allclose(usual / usual[0], [1, 1.1**-5, 1.3**-5], rtol=1e-12)
    np.testing.assert_allclose(cold / cold[0], [1, 1.1**-20, 0], rtol=1e-12)  # 1.3**-20 is below a twentieth
    np.testing.assert_allclose([usual.sum(), cold.sum()], 1)


def test_the_error_of_all_series_together_is_that_of_each_date_alike():
    """By hand: 20 series at two dates; one member is right about the last, which is large, the other about the rest."""
    size = np.append(np.ones(19), 50.0)
    back = np.tile([1, 0], 20)
    off = np.repeat(np.array([[2.0] * 19 + [1.0], [1.0] * 19 + [2.0]]) * size, 2, axis=1)
    found = torch.from_numpy(off * np.where(back == 0, 10.0, 1.0))[:, :, None, None]  # one date is wilder
    truth, each = torch.zeros(found.shape[1:]), np.array([[0.4], [1.6]])
    sums = np.array([19 * 4 + 2500, 19 + 4 * 2500])[:, None]
    for say in (0, 0.5, 1):
        expected = each ** (1 - say) * (sums / sums.mean()) ** say
        np.testing.assert_allclose(shares.with_all(each, found, truth, back, say), expected)
    found[:, back == 0] = found.flip(0)[:, back == 0]  # at each date another one is ahead
    np.testing.assert_allclose(shares.with_all(each, found, truth, back, 1.0), 1)
    found[1, back == 1] = torch.nan
    assert shares.with_all(each, found, truth, back, 1.0)[1] < np.inf
    found[1] = torch.nan
    assert shares.with_all(np.array([[0.4], [np.inf]]), found, truth, back, 0.5)[1] == np.inf


@pytest.mark.parametrize(("ahead", "expected"), [(0, 0.0), (1, 1.0), (None, 0.0)])
def test_all_series_together_have_a_say_where_the_large_ones_go_their_own_way(ahead, expected):
    """Two of 20 series are large; there a member is as good as elsewhere, or another one is better, or at one date."""
    draw, size = np.random.default_rng(1), np.repeat(np.append(np.ones(18), [40.0, 60.0]), DATES)
    found, truth, rows, back = panel(lambda draw, count: draw.normal(size=(4, count, 6)))
    of_small, of_large = np.array([1.0, 1.6, 1.7, 1.8]), np.array([1.6, 1.0, 1.7, 1.8])
    large = size > 1 if ahead is not None else (size > 1) & (back == 0)
    spread = np.where(large if ahead != 0 else np.zeros_like(large), of_large[:, None], of_small[:, None]) * size
    found = torch.from_numpy(draw.normal(size=(SERIES * DATES, 6)) * spread[:, :, None])[:, :, None].float()
    assert shares.say_of_all(found, truth, rows, back, SERIES, 0.2) == expected
    assert shares.say_of_all(found, truth, rows, back, shares.MANY_SERIES - 1, 0.2) == 0
    weight, error, say = shares.weighed(found, truth, rows, back, SERIES, [0.0] * 4, None)
    assert say == expected and (weight[1] > weight[0]) == (expected > 0)
    np.testing.assert_allclose(
        error, shares.with_all(shares.errors(found, truth, rows, SERIES), found, truth, back, say)
    )
