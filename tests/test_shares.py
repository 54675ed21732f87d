"""backbones/shares.py: how cold the weights of many series are, against a plain loop over dates that are left out."""

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
