"""The plots of several labels: a panel each, since one curve over labels of different rates is nobody's.

And the picture of calibration, of one label or several.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import viz

GROUPS, LEAST_IN_GROUP = 10, 5  # of windows, in a picture of reliability
Z = 1.96  # of a 95 % interval
MOST = 12  # labels in one picture; metrics.json has them all


def panels_figure(names: Sequence[str], draw: Callable[[Axes, int], None], title: str = "") -> Figure:
    """A panel for each of the first labels, drawn by `draw(axes, k)`; the title says how many are left out."""
    shown = min(len(names), MOST)
    columns = min(shown, 3)
    rows = -(-shown // columns)
    figure = viz.new_figure(4.4 * columns, 3.9 * rows + 0.4)
    more = f", the first {shown} of {len(names)} labels" if shown < len(names) else ""
    viz.over(figure, title + more, 44 * columns)
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for k, ax in enumerate(axes[:shown]):
        draw(ax, k)
        ax.set_title("")
        box = ax.get_legend()
        above = box is not None and box.get_gid() == viz.ABOVE  # in two columns
        pad = 8 + 14 * -(-len(box.get_texts()) // 2) if above else None
        ax.set_title(viz.wrap(names[k], 40, 1), fontsize=10.5, loc="left", parse_math=False, pad=pad)
    for ax in axes[shown:]:
        ax.remove()
    return figure


def curves(
    folder: Path,
    truth: np.ndarray,
    pred: np.ndarray,
    names: Sequence[str],
    marks: Sequence[Mapping[str, float]],
    title: str,
) -> None:
    """Write roc_curve.png, pr_curve.png and hist_score.png of K labels.

    Parameters
    ----------
    folder : where the files go.
    truth, pred : [n, K], 0 or 1 and probabilities.
    names : of the K labels.
    marks : {name: threshold} of each label, "tau" among them where it has one.
    title : over each picture.
    """

    def roc(ax: Axes, k: int) -> None:
        viz.roc_panel(ax, truth[:, k], pred[:, k])

    def pr(ax: Axes, k: int) -> None:
        viz.pr_panel(ax, truth[:, k], pred[:, k], tau=marks[k].get("tau"))

    def hist(ax: Axes, k: int) -> None:
        viz.hist_panel(ax, truth[:, k], pred[:, k], marks[k])

    for name, draw in (("roc_curve", roc), ("pr_curve", pr), ("hist_score", hist)):
        viz.save(panels_figure(names, draw, title), folder / f"{name}.png")


def matrices(folder: Path, counts: Sequence[Mapping[str, Any]], names: Sequence[str], title: str) -> None:
    """Write confusion.png: of each label the counts tp, fp, fn, tn at its threshold."""

    def matrix(ax: Axes, k: int) -> None:
        viz.matrix_panel(ax, counts[k], "")

    named = [f"{name}, τ = {found['threshold']:.3g}" for name, found in zip(names, counts, strict=True)]
    viz.save(panels_figure(named, matrix, title), folder / "confusion.png")


def reliability(folder: Path, truth: np.ndarray, pred: np.ndarray, names: Sequence[str], title: str) -> None:
    """Write reliability.png: how often each of K labels is true where the model says so; truth and pred are [n, K]."""

    def panel(ax: Axes, k: int) -> None:
        reliability_panel(ax, truth[:, k], pred[:, k])

    viz.save(panels_figure(names, panel, title), folder / "reliability.png")


def reliability_panel(ax: Axes, y: np.ndarray, p: np.ndarray) -> None:
    """The share that is true against the mean probability, in up to ten groups of equal size, with 95 % intervals of
    independent windows (Wilson's); below, how often each probability is said. A calibrated model is on the diagonal."""
    ax.plot([0, 1], [0, 1], color=viz.GREY, linewidth=1, linestyle="--", label="calibrated")
    if len(y):
        order = np.argsort(p, kind="stable")
        groups = [part for part in np.array_split(order, min(GROUPS, max(len(y) // LEAST_IN_GROUP, 1))) if len(part)]
        n = np.array([len(part) for part in groups])
        said, true = (np.array([values[part].mean() for part in groups]) for values in (p, y))
        middle = (true + Z**2 / (2 * n)) / (1 + Z**2 / n)
        half = Z / (1 + Z**2 / n) * np.sqrt(true * (1 - true) / n + Z**2 / (4 * n**2))
        low, high = (np.maximum(part, 0) for part in (true - (middle - half), (middle + half) - true))
        ax.errorbar(said, true, yerr=[low, high], color=viz.BLUE, marker="o", markersize=4, capsize=2, label="found")
        counts, edges = np.histogram(p, bins=50, range=(0, 1))
        ax.bar(edges[:-1], 0.15 * counts / counts.max(), width=0.02, align="edge", color=viz.BLUE, alpha=0.25)
    ax.set_xlim(0, 1)
    ax.set_ylim(0, 1)
    viz.dress(ax, "probability", "share that is true")
    ax.legend(loc="upper left", fontsize=9, frameon=False)
