"""tasks/forecast/levels.py: quantiles, the point forecast among them, intervals by series."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import tasks
from tasks.forecast import conformal
from tasks.forecast.intervals import calibrated
from tasks.forecast.levels import Levels, SeriesCoverage, covers, legend, sizes, usual, with_median


def scores_of(truth, pred, size):
    scores = conformal.Scores(truth.shape)
    scores.add(truth, pred, pred, size)
    return scores


def by_series(truth, band, rows, names):
    covered = SeriesCoverage(names)
    covered.add(truth, band, rows)
    return covered.report()


def ramp(levels: int, outputs: int = 2) -> np.ndarray:
    """[3, outputs * levels, 4], level q of every output at q."""
    rows = np.tile(np.arange(levels, dtype=np.float32), outputs)
    return np.broadcast_to(rows[None, :, None], (3, outputs * levels, 4))


@pytest.mark.parametrize(
    ("asked", "learned", "point"),
    [
        ((0.1, 0.9), (0.1, 0.5, 0.9), 1),
        ((0.9,), (0.5, 0.9), 0),
        ((0.1, 0.5, 0.9), (0.1, 0.5, 0.9), 1),
        ((0.5, 0.8, 0.9), (0.5, 0.8, 0.9), 0),
    ],
)
def test_the_point_forecast_is_a_median_that_is_learned_where_it_was_not_asked_for(asked, learned, point):
    assert with_median(asked) == learned
    levels = Levels(learned, asked)
    assert (levels.point(ramp(len(learned)), 2) == point).all()
    assert levels.shown(ramp(len(learned)), 2)[0, :, 0].tolist() == [learned.index(level) for level in asked] * 2
    assert levels.point(ramp(1), 2).shape == (3, 2, 4) and with_median(()) == ()


def test_a_model_that_never_learned_the_median_takes_what_lies_between():
    assert (Levels((0.1, 0.9), (0.1, 0.9)).point(ramp(2), 2) == 0.5).all()
    assert np.allclose(Levels((0.1, 0.4, 0.6, 0.9), ()).point(ramp(4), 2), 1.5)
    assert (Levels((0.7, 0.9), (0.7, 0.9)).point(ramp(2), 2) == 0).all()  # no level below a half


def test_quantiles_never_cross():
    task = tasks.build(
        "forecast", {flag.name: flag.default for flag in tasks.flags("forecast")} | {"quantiles": (0.1, 0.9)}
    )
    task.load_fitted({"levels": [0.1, 0.5, 0.9], "mean": [0.0], "std": [1.0], "period": 1})
    outputs = torch.randn(50, 6, 4)
    found = task.decode(outputs).reshape(50, 2, 3, 4)
    assert (np.diff(found, axis=2) >= 0).all()
    assert np.array_equal(np.sort(outputs.numpy().reshape(50, 2, 3, 4), axis=2), found)


def test_ends_that_are_drawn_together_do_not_pass_each_other():
    pred = np.array([[[-3.0], [0.0], [5.0]]], np.float32)  # at the levels .1, .5, .9
    for margin, ends in ((1.0, (-4, 6)), (-1.0, (-2, 4)), (-4.0, (1, 1)), (-9.0, (1, 1))):
        band = Levels((0.1, 0.5, 0.9), (0.1, 0.9)).band(pred, {"margin": torch.tensor([[margin]])}, 1, None)
        assert tuple(float(end.item()) for end in band) == ends


def test_margins_are_in_proportion_to_the_scale_of_a_series():
    """Three series that differ only in scale: what is scored on the usual one covers each of them alike."""
    rng = np.random.default_rng(0)
    scale = np.array([[1.0], [10.0], [100.0], [np.nan], [0.0]])
    rows = np.repeat(np.arange(3), 400)
    truth = (rng.normal(size=(1200, 1, 2)) * scale[rows][:, :, None]).astype(np.float32)
    pred, reference = np.zeros_like(truth), usual(scale)
    assert reference == [37.0] and sizes(scale[[0, 3, 4]], reference)[:, 0].tolist() == [1 / 37, 1, 1]
    size = sizes(scale[rows], reference)
    when = np.arange(1200)
    margin, independent = calibrated(scores_of(truth, pred, size), (0.9,), when)
    assert independent > 900
    band = Levels((), ()).band(pred, {"margin": margin[0]}, 1, size)
    told = by_series(truth, band, rows, "abcde")
    assert all(0.87 < share < 0.93 for share in told["of"].values()) and list(told["of"]) == ["a", "b", "c"]
    margin = torch.from_numpy(conformal.margins_of(np.abs(truth)[:, 0], [0.9]))
    alike = by_series(truth, Levels((), ()).band(pred, {"margin": margin}, 1, None), rows, "abcde")
    assert alike["of"]["a"] == 1 and alike["of"]["c"] < 0.75 and alike["least"] == alike["of"]["c"]


def test_of_very_many_series_the_worst_are_listed():
    truth = np.zeros((1500, 1, 1))
    low = np.where(np.arange(1500) == 700, 1.0, -1.0)[:, None, None]
    told = by_series(truth, (low, low + 2), np.arange(1500), [str(r) for r in range(1500)])
    assert told["of"]["700"] == 0 and len(told["of"]) == 10 and told["median"] == 1


def test_what_intervals_cover_stands_under_the_table_and_in_the_legend():
    told = {"coverage": 0.8386, "nominal": 0.9, "by_series": {"least": 0.8, "most": 0.95, "of": {"a": 0.8, "b": 0.95}}}
    assert covers(told).startswith("90 % intervals cover 83.9 % (80.0 to 95.0 % of each series);")
    assert "each" not in covers(told | {"by_series": {"of": {"a": 0.8386}}}) and covers({"coverage": None}) == ""
    calibration = {"margin": torch.zeros(1, 1), "coverage": 0.9}
    assert legend(calibration, told) == "90 % interval, covers 84 %" and legend(calibration, {}) == "90 % interval"
    assert legend({}, {}) == ""
