"""The plots of several labels: a panel each, since one curve over labels of different rates is nobody's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import viz

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
        ax.set_title(viz.wrap(names[k], 40, 1), fontsize=10.5, loc="left", parse_math=False)
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
