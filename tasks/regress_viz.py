"""The plots of a regression: how the residuals spread, and prediction against truth."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter
from numpy.typing import ArrayLike

from tasks.label_viz import panels_figure
from viz import (
    BLACK,
    BLUE,
    GREY,
    PAPER,
    SKY,
    STEPS,
    VERMILLION,
    dress,
    legend,
    new_figure,
    note,
    over,
    pad,
    save,
)

SCATTER_POINTS = 2000  # with more of them points cover each other, and counts per cell are clearer
BINS = 15  # of residuals against the truth
COUNTS = ListedColormap(colormaps["Blues"](np.linspace(0.25, 1, 256)))  # one sample must differ from the background


def _finite(y: ArrayLike, pred: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    y, pred = np.ravel(np.asarray(y, np.float64)), np.ravel(np.asarray(pred, np.float64))
    keep = np.isfinite(y) & np.isfinite(pred)
    return y[keep], pred[keep]


def _span(values: np.ndarray) -> tuple[float, float]:
    """The range to show: all values but far outliers, beyond the 1-99 % range by more than twice its width."""
    low, high = np.quantile(values, (0.01, 0.99))
    fence = 2 * (high - low)
    inside = values[(values >= low - fence) & (values <= high + fence)]
    return pad(float(inside.min()), float(inside.max()))


def _with_unit(label: str, unit: str) -> str:
    return f"{label} ({unit})" if unit else label


def _bands(y: np.ndarray, residual: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Median truth `[b]` and 10, 50, 90 % residual `[3, b]` in up to BINS bins of equal count."""
    edges = np.unique(np.quantile(y, np.linspace(0, 1, BINS + 1)))
    bin_of = np.searchsorted(edges[1:-1], y, side="right")
    order = np.argsort(bin_of, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(bin_of[order])) + 1)
    centre = np.array([np.median(y[part]) for part in parts])
    return centre, np.array([np.quantile(residual[part], (0.1, 0.5, 0.9)) for part in parts]).T


def residuals_figure(y: ArrayLike, pred: ArrayLike, unit: str = "", title: str = "") -> Figure:
    """Left, the residuals (prediction - truth) as a histogram; right, their median and 10-90 % against the truth."""
    y, pred = _finite(y, pred)
    figure = new_figure(8.4, 4.0)
    over(figure, title)
    left, right = figure.subplots(1, 2)
    residual_panel(left, y, pred, unit)
    dress(right, _with_unit("truth", unit), _with_unit("residual", unit))
    if not len(y):
        return figure
    centre, (lower, middle, upper) = _bands(y, pred - y)
    bars = (middle - lower, upper - middle)
    label = "median, 10 to 90 %"
    right.errorbar(centre, middle, bars, fmt="o", color=BLUE, markersize=5, elinewidth=1.5, capsize=3, label=label)
    right.axhline(0, color=GREY, linewidth=1.2, linestyle="--", zorder=0)
    legend(right)
    return figure


def residual_panel(left: Axes, y: ArrayLike, pred: ArrayLike, unit: str = "") -> None:
    """The residuals (prediction - truth) as a histogram, with their median and deciles."""
    y, pred = _finite(y, pred)
    dress(left, _with_unit("residual: prediction − truth", unit), "samples")
    if not len(y):
        note(left, "no finite samples")
        return
    residual = pred - y
    low, high = _span(residual)
    outside = int(((residual < low) | (residual > high)).sum())
    bins = 2 * int(np.clip(len(y) ** 0.5, 8, 60) / 2) + 1  # odd: a constant residual is in the middle of one
    counts, edges = np.histogram(residual, np.linspace(low, high, bins + 1))
    left.stairs(counts, edges, fill=True, facecolor=SKY, edgecolor=BLUE, linewidth=0.8)
    left.locator_params(axis="y", integer=True)
    left.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    lower, middle, upper = np.quantile(residual, (0.1, 0.5, 0.9))
    left.axvline(lower, color=BLACK, linewidth=1.3, linestyle="--", label=f"10 %: {lower:.3g}")
    left.axvline(middle, color=BLACK, linewidth=1.8, label=f"median {middle:.3g}")
    left.axvline(upper, color=BLACK, linewidth=1.3, linestyle="-.", label=f"90 %: {upper:.3g}")
    if outside:
        left.plot([], [], linestyle="", label=f"{outside:,} beyond the axis")
    legend(left, ncols=2)


def scatter_figure(y: ArrayLike, pred: ArrayLike, unit: str = "", title: str = "") -> Figure:
    """Prediction against truth on equal axes: points when few, counts per hexagon when many; the identity dashed."""
    figure = new_figure()
    scatter_panel(figure.subplots(), y, pred, unit, title)
    return figure


def scatter_panel(ax: Axes, y: ArrayLike, pred: ArrayLike, unit: str = "", title: str = "") -> None:
    """Prediction against truth on equal axes."""
    y, pred = _finite(y, pred)
    dress(ax, _with_unit("truth", unit), _with_unit("prediction", unit), title)
    if not len(y):
        note(ax, "no finite samples")
        return
    low, high = _span(np.concatenate([y, pred]))
    outside = int(((np.minimum(y, pred) < low) | (np.maximum(y, pred) > high)).sum())
    if len(y) > SCATTER_POINTS:
        extent = (low, high, low, high)
        cells = ax.hexbin(y, pred, gridsize=50, extent=extent, bins="log", mincnt=1, cmap=COUNTS, linewidths=0.1)
        cells.set_clim(1, max(10, float(np.max(np.asarray(cells.get_array())))))
        ax.figure.colorbar(cells, ax=ax, label="samples per cell", shrink=0.85)
    else:
        ax.scatter(y, pred, s=16, color=BLUE, alpha=0.7 if len(y) < 300 else 0.4, edgecolors="none")
    ax.plot([low, high], [low, high], color="white", linewidth=3, alpha=0.5)  # makes the next line visible
    ax.plot([low, high], [low, high], color=VERMILLION, linewidth=1.6, linestyle="--", label="prediction = truth")
    ax.set(xlim=(low, high), ylim=(low, high), aspect="equal")
    ax.locator_params(nbins=6, steps=STEPS)  # the same marks on both axes
    facts = [f"MAE {np.abs(pred - y).mean():.4g}", f"n = {len(y):,}"]
    if np.ptp(y) > 0:
        facts.insert(0, f"R² {1 - np.sum((y - pred) ** 2) / np.sum((y - y.mean()) ** 2):.3f}")
    if outside:
        facts.append(f"{outside:,} beyond the axes")
    ax.text(0.03, 0.97, "\n".join(facts), transform=ax.transAxes, va="top", fontsize=9, bbox=PAPER)
    legend(ax, loc="lower right")


def by_label(folder: Path, truth: np.ndarray, pred: np.ndarray, names: Sequence[str], title: str) -> None:
    """Write residuals.png and scatter.png of truth and pred [n, K]: labels of different units are never pooled."""
    units = [f"unit of {name}" for name in names]
    if len(names) == 1:
        head = f"{title}, {names[0]}"
        save(residuals_figure(truth, pred, units[0], head), folder / "residuals.png")
        save(scatter_figure(truth, pred, units[0], head), folder / "scatter.png")
        return

    def residual(ax: Axes, k: int) -> None:
        residual_panel(ax, truth[:, k], pred[:, k], units[k])

    def cloud(ax: Axes, k: int) -> None:
        scatter_panel(ax, truth[:, k], pred[:, k], units[k])

    save(panels_figure(names, residual, title), folder / "residuals.png")
    save(panels_figure(names, cloud, title), folder / "scatter.png")
