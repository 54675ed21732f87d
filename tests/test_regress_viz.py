"""tasks/regress_viz.py: residuals, and prediction against truth, drawn as numpy and scikit-learn compute them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import sklearn.metrics as skm
from matplotlib.figure import Figure

import viz
from tasks import regress_viz

from .test_viz import line, words

RNG = np.random.default_rng(0)
TRUTH = RNG.gamma(2, 20, 500)
PRED = 0.8 * TRUTH + RNG.normal(size=500) * 4
NONE = np.zeros(0)
DRAWN: dict[str, Callable[[], Figure]] = {
    "residuals": lambda: regress_viz.residuals_figure(TRUTH, PRED, "kW"),
    "residuals, one": lambda: regress_viz.residuals_figure([1.0], [2.0], "$"),
    "residuals, constant": lambda: regress_viz.residuals_figure(np.ones(9), np.ones(9)),
    "residuals, empty": lambda: regress_viz.residuals_figure(NONE, NONE),
    "scatter": lambda: regress_viz.scatter_figure(TRUTH, PRED, "kW"),
    "scatter, constant": lambda: regress_viz.scatter_figure(np.ones(9), np.ones(9), "$ per $m"),
    "scatter, empty": lambda: regress_viz.scatter_figure(NONE, NONE),
    "scatter, many": lambda: regress_viz.scatter_figure(np.tile(TRUTH, 6), np.tile(PRED, 6)),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", DRAWN)
def test_every_picture_is_a_png_of_sane_size_with_something_on_it(name: str, sane_png: Callable[..., None]) -> None:
    sane_png(lambda path: viz.save(DRAWN[name](), path), height=(350, 700), width=(650, 1100), below=300_000)


@pytest.mark.parametrize(
    "figure",
    [
        regress_viz.residuals_figure(TRUTH, PRED, "kW"),
        regress_viz.residuals_figure(NONE, NONE, "kW"),
        regress_viz.scatter_figure(TRUTH, PRED, "kW"),
    ],
)
def test_every_axis_is_labelled(figure: Figure) -> None:
    for ax in figure.axes:
        assert ax.get_xlabel() and ax.get_ylabel()


def test_the_title_names_the_run_and_the_split() -> None:
    assert regress_viz.residuals_figure(TRUTH, PRED, "", "a (val)").get_suptitle() == "a (val)"
    assert regress_viz.scatter_figure(TRUTH, PRED, "", "a (val)").axes[0].get_title(loc="left") == "a (val)"


def test_units_stand_on_the_axes() -> None:
    left, right = regress_viz.residuals_figure(TRUTH, PRED, "kW").axes
    assert left.get_xlabel().endswith("(kW)") and right.get_xlabel() == "truth (kW)"
    assert right.get_ylabel() == "residual (kW)"
    assert regress_viz.scatter_figure(TRUTH, PRED).axes[0].get_xlabel() == "truth"


def test_residuals_mark_median_and_deciles_and_their_trend() -> None:
    figure = regress_viz.residuals_figure(TRUTH, PRED, "kW")
    residual = PRED - TRUTH
    for label, q in (("10 %", 0.1), ("median", 0.5), ("90 %", 0.9)):
        assert np.allclose(line(figure, label)[:, 0], np.quantile(residual, q))
    centre, (lower, middle, upper) = regress_viz._bands(TRUTH, residual)
    edges = np.quantile(TRUTH, np.linspace(0, 1, 16))
    place = np.clip(np.searchsorted(edges, TRUTH, side="right") - 1, 0, 14)
    for k in range(15):
        assert centre[k] == np.median(TRUTH[place == k])
        assert [lower[k], middle[k], upper[k]] == pytest.approx(np.quantile(residual[place == k], (0.1, 0.5, 0.9)))
    bars = figure.axes[1].containers[0]
    assert np.allclose(np.asarray(bars[0].get_xydata()), np.column_stack([centre, middle]))


def test_far_outliers_are_left_out_of_the_axes_but_counted() -> None:
    pred = PRED.copy()
    pred[:3] = 1e6, -1e6, np.nan
    assert "2 beyond the axis" in words(regress_viz.residuals_figure(TRUTH, pred))
    figure = regress_viz.scatter_figure(TRUTH, pred)
    assert "2 beyond the axes" in words(figure) and "n = 499" in words(figure)
    assert figure.axes[0].get_xlim()[1] < 1000


@pytest.mark.parametrize("copies", [1, 6])
def test_scatter_has_every_sample_equal_axes_and_the_right_numbers(copies: int) -> None:
    y, pred = np.tile(TRUTH, copies), np.tile(PRED, copies)
    figure = regress_viz.scatter_figure(y, pred, "kW")
    ax = figure.axes[0]
    assert ax.get_xlim() == ax.get_ylim() and ax.get_aspect() == 1
    assert f"R² {skm.r2_score(y, pred):.3f}\nMAE {skm.mean_absolute_error(y, pred):.4g}" in words(figure)
    drawn = ax.collections[0]
    if copies == 1:
        assert np.allclose(np.asarray(drawn.get_offsets()), np.column_stack([y, pred]))
    else:
        assert np.asarray(drawn.get_array()).sum() == len(y)


def test_labels_of_different_units_are_never_pooled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found: dict[str, Figure] = {}
    monkeypatch.setattr(regress_viz, "save", lambda figure, path: found.update({Path(path).name: figure}))
    truth, pred = np.stack([TRUTH, 1000 * TRUTH], axis=1), np.stack([PRED, 900 * TRUTH], axis=1)
    regress_viz.by_label(tmp_path, truth, pred, ["indoor", "power"], "a (val)")
    axes = found["scatter.png"].axes
    assert [ax.get_title(loc="left") for ax in axes] == ["indoor", "power"]
    for k, ax in enumerate(axes):
        assert f"R² {skm.r2_score(truth[:, k], pred[:, k]):.3f}" in ax.texts[0].get_text()
    assert [ax.get_title(loc="left") for ax in found["residuals.png"].axes] == ["indoor", "power"]
    regress_viz.by_label(tmp_path, truth[:, :1], pred[:, :1], ["indoor"], "a (val)")
    assert found["scatter.png"].axes[0].get_title(loc="left") == "a (val), indoor"
    assert found["scatter.png"].axes[0].get_xlabel() == "truth (unit of indoor)"
