"""tasks/forecast/sums.py: errors, pinball losses and coverage, as scikit-learn and formulas have them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import sklearn.metrics as skm

from tasks.forecast import sums

RNG = np.random.default_rng(0)


def forecast_metrics(truth, pred, names, *, mean, std):
    found = sums.ForecastSums(names, mean, std)
    for part in (slice(0, 2), slice(2, None)):
        found.add(truth[part], pred[part])
    return found.report()


def scaled_errors(truth, pred, rows, scale):
    found = sums.SeriesErrors(scale)
    for part in (slice(0, 2), slice(2, None)):
        found.add(rows[part], np.abs(pred[part].astype(np.float64) - truth[part]))
    return found.scaled()


def interval_metrics(truth, low, high, names, std):
    found = sums.IntervalSums()
    for part in (slice(0, 1), slice(1, None)):
        found.add(truth[part], low[part], high[part])
    return found.report(names, std)


def forecasts(seed=0, n=300, channels=3, horizon=5):
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=(n, channels, horizon)).astype(np.float32)
    return truth, (truth + rng.normal(scale=0.5, size=truth.shape)).astype(np.float32)


def test_forecast_errors_are_those_of_scikit_learn_in_both_scales():
    truth, pred = forecasts()
    names, mean, std = ["a", "b", "c"], [10.0, -3.0, 0.5], [2.0, 0.1, 7.0]
    got = forecast_metrics(truth, pred, names, mean=mean, std=std)
    assert got["n"] == 300
    assert got["mse"] == pytest.approx(skm.mean_squared_error(truth.ravel(), pred.ravel()), rel=1e-6)
    assert got["mae"] == pytest.approx(skm.mean_absolute_error(truth.ravel(), pred.ravel()), rel=1e-6)
    y, p = (part.astype(np.float64) * np.array(std)[:, None] + np.array(mean)[:, None] for part in (truth, pred))
    original = got["original"]
    assert original["mse"] == pytest.approx(skm.mean_squared_error(y.ravel(), p.ravel()))
    assert original["rmse"] == pytest.approx(math.sqrt(original["mse"]))
    assert original["smape"] == pytest.approx(np.mean(200 * abs(y - p) / (abs(y) + abs(p))))
    for k, name in enumerate(names):
        own = original["per_channel"][name]
        assert own["mae"] == pytest.approx(skm.mean_absolute_error(y[:, k].ravel(), p[:, k].ravel()))
        scaled = skm.mean_absolute_error(truth[:, k].ravel(), pred[:, k].ravel())
        assert got["per_channel"][name]["mae"] == pytest.approx(scaled, rel=1e-6)
    for h in range(5):
        expected = skm.mean_squared_error(truth[:, :, h].ravel(), pred[:, :, h].ravel())
        assert got["per_step"]["mse"][h] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("block", [1, 7, 299, 10_000])
def test_forecast_errors_do_not_depend_on_how_windows_are_grouped(block, monkeypatch):
    truth, pred = forecasts(n=301)
    scale = {"mean": [0] * 3, "std": [1] * 3}
    whole = forecast_metrics(truth, pred, "abc", **scale)
    monkeypatch.setattr(sums, "BLOCK", block)
    assert forecast_metrics(truth, pred, "abc", **scale)["mse"] == pytest.approx(whole["mse"], rel=1e-12)


def test_what_is_not_known_is_not_scored():
    """The figures are those of the pairs that are left, whatever stands where the truth is missing."""
    truth, pred = forecasts(n=40)
    lost = np.random.default_rng(1).random(truth.shape) < 0.3
    lost[:, 2, 4] = True
    gappy = np.where(lost, np.nan, truth).astype(np.float32)
    got = forecast_metrics(gappy, pred, "abc", mean=[0] * 3, std=[1] * 3)
    y, p = truth[~lost], pred[~lost]
    assert got["mse"] == pytest.approx(skm.mean_squared_error(y, p), rel=1e-6)
    assert got["original"]["mae"] == pytest.approx(skm.mean_absolute_error(y, p), rel=1e-6)
    assert got["per_channel"]["c"]["mae"] == pytest.approx(abs(truth - pred)[:, 2][~lost[:, 2]].mean(), rel=1e-6)
    assert got["original"]["smape"] == pytest.approx(np.mean(200 * abs(y - p) / (abs(y) + abs(p))), rel=1e-5)
    assert sums.pinball(gappy, pred, [0.3]) == pytest.approx(skm.mean_pinball_loss(y, p, alpha=0.3), rel=1e-5)
    covered = interval_metrics(gappy, pred - 0.5, pred + 0.5, "abc", [1] * 3)["coverage"]
    assert covered == pytest.approx((abs(y - p) <= 0.5).mean(), abs=1e-6)
    nothing = np.full_like(truth, np.nan)
    lost = forecast_metrics(nothing, pred, "abc", mean=[0] * 3, std=[1] * 3)
    assert lost["mse"] is None and lost["per_step"]["rmse"] == [None] * 5 and lost["original"]["smape"] is None
    assert sums.pinball(nothing, pred, [0.5]) is None


def test_errors_are_scaled_series_by_series():
    truth, pred = forecasts(n=30)
    truth[:5, 0] = np.nan
    rows = np.random.default_rng(2).integers(0, 4, 30)
    rows[rows == 3] = 2
    scale = np.array([[0.5, 1, 2], [1, 0, 1], [3, 1, np.nan], [1, 1, 1]])
    got = scaled_errors(truth, pred, rows, scale)
    for r in range(4):
        for k in range(3):
            error = np.abs(pred - truth)[rows == r, k]
            error = error[~np.isnan(error)]
            fair = len(error) and scale[r, k] > 0
            assert got[r, k] == pytest.approx(error.mean() / scale[r, k], rel=1e-6) if fair else np.isnan(got[r, k])
    assert sums.known_mean(got) == pytest.approx(np.nanmean(got))


def test_pinball_is_scikit_learns():
    truth, pred = forecasts(channels=2)
    levels = (0.1, 0.5, 0.9)
    everything = np.stack([pred - 1, pred, pred + 1], axis=2).reshape(300, 6, 5)
    expected = np.mean(
        [
            skm.mean_pinball_loss(truth.ravel(), (pred + d).ravel(), alpha=a)
            for a, d in zip(levels, (-1, 0, 1), strict=True)
        ]
    )
    assert sums.pinball(truth, everything, levels) == pytest.approx(expected, rel=1e-6)


def test_interval_coverage_and_width():
    truth = np.array([[[0.0, 1.0]], [[2.0, 3.0]]], np.float32)
    low, high = np.zeros_like(truth), np.full_like(truth, 2.0)
    got = interval_metrics(truth, low, high, ["a"], [5.0])
    assert got["coverage"] == 0.75 and got["per_channel"]["a"] == {"coverage": 0.75, "width": 10.0}
