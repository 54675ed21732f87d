"""The plots of a run: figures of arrays, and `save`, which writes one as a PNG, whole or not at all.

Figures are built through matplotlib's object API on the Agg canvas: no pyplot, no display, no global state. Colours are
those of Okabe and Ito (2008), and what differs in colour differs in line style, marker or hatch as well, so that a plot
can be printed in grey. Data that cannot fill a plot (no samples, one class) still give one, which says why it is empty.
"""

from __future__ import annotations

import io
import os
import re
import warnings
from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from numpy.typing import ArrayLike
from PIL import Image

AnyPath: TypeAlias = str | os.PathLike[str]
BLACK, GREY, BLUE, SKY = "#000000", "#6E6E6E", "#0072B2", "#56B4E9"
ORANGE, GREEN, VERMILLION = "#E69F00", "#009E73", "#D55E00"
DPI, COLOURS = 120, 64
CURVE_POINTS = 4000  # several per column of pixels: a thinned curve looks like the full one
PAPER = {"facecolor": "white", "alpha": 0.85, "edgecolor": "none"}  # under text on data
ABOVE = "above"  # the mark of a legend over the axes, where a title has to make room
STEPS = [1, 2, 5, 10]  # between ticks
FEW_POINTS = 60  # of a line over time, up to which each has a marker


def save(figure: Figure, path: AnyPath) -> None:
    """Write `figure` as a PNG at `path`, by way of a hidden file beside it: nobody can read half a picture."""
    path = Path(path)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(painted(figure))
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def painted(figure: Figure) -> bytes:
    """The figure as a PNG of at most COLOURS colours: a third of the bytes of all of them, in less time."""
    canvas = figure.canvas
    assert isinstance(canvas, FigureCanvasAgg)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)  # such a character is drawn as a box
        canvas.draw()
    image = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    file = io.BytesIO()
    few = image.quantize(COLOURS, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    few.save(file, "png", dpi=(DPI, DPI))
    return file.getvalue()


def new_figure(width: float = 6.0, height: float = 4.5) -> Figure:
    """An empty figure, `width` x `height` inches, on an Agg canvas."""
    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def wrap(text: str, width: int, lines: int = 3) -> str:
    """`text` in at most `lines` lines of `width`, broken at spaces and after `_ - / ,` (run names have no spaces)."""
    rows = [row.rstrip() for row in re.findall(rf"(?:.{{1,{width}}}(?:(?<=[\s_\-/,])|$)|.{{1,{width}}})", text)]
    return "\n".join(rows[:lines]) + ("…" if len(rows) > lines else "")


def dress(ax: Axes, xlabel: str, ylabel: str, title: str = "") -> None:
    """Set labels, title and a faint grid, remove the box. Dollar signs in names and units are text, not mathematics."""
    ax.set_xlabel(xlabel, parse_math=False)
    ax.set_ylabel(ylabel, parse_math=False)
    ax.set_title(wrap(title, 64), fontsize=10.5, loc="left", parse_math=False)
    ax.grid(color="#E4E4E4", linewidth=0.7)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)


def over(figure: Figure, title: str, width: int = 90) -> None:
    """The title over a figure of several panels, if there is one."""
    if title:
        figure.suptitle(wrap(title, width), fontsize=10.5, x=0.01, ha="left", parse_math=False)


def legend(ax: Axes, **where: Any) -> None:
    """Add the legend: inside at `loc`, or without it above the axes, where it covers no data, in `ncols` columns."""
    above = "loc" not in where
    if above:
        where |= {"loc": "lower left", "bbox_to_anchor": (0, 1), "borderaxespad": 0.2, "columnspacing": 1.4}
    box = ax.legend(fontsize=8.5, framealpha=0.9, edgecolor="none", **where)
    box.set_gid(ABOVE if above else None)
    for text in box.get_texts():
        text.set_parse_math(False)


def note(ax: Axes, text: str) -> None:
    """Write into the middle of an empty plot why it is empty."""
    ax.text(0.5, 0.5, wrap(text, 48), transform=ax.transAxes, ha="center", va="center", color=GREY, fontsize=11)


def _has_curve(ax: Axes, y: np.ndarray, xlabel: str, ylabel: str, title: str) -> bool:
    """Dress axes for a curve over two rates; whether `y` holds the two classes that define it."""
    dress(ax, xlabel, ylabel, title)
    ax.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.03))
    both = bool(0 < y.sum() < len(y))
    if not both:
        note(ax, f"one class only: all {len(y):,} labels are {int(y[0])}" if len(y) else "no samples")
    return both


def _thin(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """At most about CURVE_POINTS of the points of a curve, evenly spread along its length, ends included."""
    if len(x) <= CURVE_POINTS:
        return x, y
    length = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(x)) + np.abs(np.diff(y)))])
    _, keep = np.unique(np.floor(length / length[-1] * CURVE_POINTS), return_index=True)
    return x[keep], y[keep]


def roc_panel(ax: Axes, y: ArrayLike, score: ArrayLike, title: str = "") -> None:
    """True positive rate against false positive rate over all thresholds; the diagonal is chance."""
    y, score = np.asarray(y), np.asarray(score)
    labels = ("false positive rate (share of negatives)", "true positive rate (share of positives)")
    if not _has_curve(ax, y, *labels, title):
        return
    import sklearn.metrics as skm  # a second, for these two curves alone

    fpr, tpr, _ = skm.roc_curve(y, score)
    ax.plot(*_thin(fpr, tpr), color=BLUE, linewidth=2, label=f"model, area {skm.roc_auc_score(y, score):.3f}")
    ax.plot([0, 1], [0, 1], color=GREY, linewidth=1.2, linestyle="--", label="chance, area 0.500")
    legend(ax, loc="lower right")


def roc_figure(y: ArrayLike, score: ArrayLike, title: str = "") -> Figure:
    """The ROC curve of labels `y [n]` (0 or 1) and `score [n]`."""
    figure = new_figure()
    roc_panel(figure.subplots(), y, score, title)
    return figure


def pr_panel(ax: Axes, y: ArrayLike, score: ArrayLike, title: str = "", tau: float | None = None) -> None:
    """Precision against recall as steps (no interpolation, as average precision has it), the base rate, and tau."""
    y, score = np.asarray(y), np.asarray(score)
    labels = ("recall (share of positives found)", "precision (share of alarms that are right)")
    if not _has_curve(ax, y, *labels, title):
        return
    import sklearn.metrics as skm  # a second, for these two curves alone

    precision, recall, _ = skm.precision_recall_curve(y, score)
    # scikit-learn's last point, precision 1 at recall 0, belongs to no threshold
    curve = _thin(recall[:-1], precision[:-1])
    average = skm.average_precision_score(y, score)
    ax.plot(*curve, color=BLUE, linewidth=2, drawstyle="steps-post", label=f"model, average precision {average:.3f}")
    base = float(np.mean(y))
    ax.axhline(base, color=GREY, linewidth=1.2, linestyle="--", label=f"base rate {base:.3g}")
    if tau is not None:
        alarm = score >= tau
        hits = y[alarm].sum()
        at = (hits / y.sum(), hits / alarm.sum()) if alarm.any() else (np.nan, np.nan)
        text = f"precision {at[1]:.2f}, recall {at[0]:.2f}" if alarm.any() else "no alarm"
        ax.plot(*at, "D", color=VERMILLION, markersize=8, markeredgecolor="white", label=f"τ = {tau:.3g}: {text}")
    legend(ax, loc="best")


def pr_figure(y: ArrayLike, score: ArrayLike, title: str = "", tau: float | None = None) -> Figure:
    """The precision-recall curve of labels `y [n]` (0 or 1) and `score [n]`, with the threshold `tau` marked."""
    figure = new_figure()
    pr_panel(figure.subplots(), y, score, title, tau)
    return figure


def _score_range(score: np.ndarray, marks: Sequence[float]) -> tuple[float, float]:
    """[0, 1] for scores that use half of it; else their range, with the marks where that at most doubles it."""
    low, high = pad(score.min(), score.max())
    near = [mark for mark in marks if low - (high - low) <= mark <= high + (high - low)]
    if near:
        low, high = min(low, pad(min(near), high)[0]), max(high, pad(low, max(near))[1])
    return (0.0, 1.0) if high - low > 0.5 else (max(low, 0.0), min(high, 1.0))


def hist_panel(ax: Axes, y: ArrayLike, score: ArrayLike, thresholds: Mapping[str, float] | None = None) -> None:
    """The scores of each class as a density of area 1, so that a rare class is as visible as a common one."""
    y, score = np.asarray(y), np.asarray(score, np.float64)
    marks = dict(thresholds or {})
    dress(ax, "predicted probability of the positive class", "density (each class has area 1)")
    if not len(y):
        note(ax, "no samples")
        return
    low, high = _score_range(score, list(marks.values()))
    edges = np.linspace(low, high, int(np.clip(2 * len(y) ** 0.5, 10, 40)) + 1)
    looks = (("negative", 0, SKY, "", "-"), ("positive", 1, VERMILLION, "////", "--"))
    for name, label, colour, hatch, line in looks:
        part = score[y == label]
        density = np.histogram(part, edges, density=True)[0] if len(part) else np.zeros(len(edges) - 1)
        look: dict[str, Any] = {"fill": True, "facecolor": to_rgba(colour, 0.35), "edgecolor": colour, "hatch": hatch}
        ax.stairs(density, edges, linewidth=1.6, linestyle=line, label=f"{name} (n = {len(part):,})", **look)
    for (name, value), line in zip(marks.items(), cycle((":", "-.", "--")), strict=False):
        where = "" if low <= value <= high else " (beyond the axis)"
        ax.axvline(value, color=BLACK, linewidth=1.5, linestyle=line, label=f"{name} = {value:.3g}{where}")
    ax.set_xlim(low, high)
    legend(ax, ncols=2)


def hist_figure(
    y: ArrayLike, score: ArrayLike, thresholds: Mapping[str, float] | None = None, title: str = ""
) -> Figure:
    """The distribution of `score [n]` in each class of `y [n]`, with named thresholds as vertical lines."""
    figure = new_figure()
    over(figure, title, 64)
    hist_panel(figure.subplots(), y, score, thresholds)
    return figure


def _percent(share: float) -> str:
    """One decimal, but never 0.0% for some or 100.0% for not all."""
    if 0 < share < 0.0005:
        return "<0.1%"
    return ">99.9%" if 0.9995 <= share < 1 else f"{share:.1%}"


def matrix_panel(ax: Axes, counts: Mapping[str, Any], name: str) -> None:
    """A 2 x 2 matrix, truth down and prediction across; a cell holds its count and its share of the row."""
    table = np.array([[counts["tn"], counts["fp"]], [counts["fn"], counts["tp"]]], np.int64)
    rows = table.sum(axis=1, keepdims=True)
    share = np.divide(table, rows, out=np.zeros((2, 2)), where=rows > 0)
    ax.imshow(share, cmap="Blues", vmin=0, vmax=1.25)  # never so dark that 80 and 100 % look the same
    for (i, j), count in np.ndenumerate(table):
        part = _percent(share[i, j]) if rows[i, 0] else "no samples"
        colour = "white" if share[i, j] > 0.8 else BLACK
        ax.text(j, i, f"{count:,}\n{part}", ha="center", va="center", color=colour, fontsize=11)
    dress(ax, "predicted", "true")
    value = f" = {counts['threshold']:.3g}" if counts.get("threshold") is not None else ""
    ax.set_title(name + value, fontsize=10.5, parse_math=False)
    ax.grid(visible=False)
    ax.set_xticks([0, 1], ["negative", "positive"])
    ax.set_yticks([0, 1], ["negative", "positive"], rotation=90, va="center")


def confusion_figure(counts_default: Mapping[str, Any], counts_tau: Mapping[str, Any], title: str = "") -> Figure:
    """Two matrices, at the default threshold and at tau; each mapping has tp, fp, fn, tn and maybe threshold."""
    figure = new_figure(6.6, 3.7 if title else 3.4)
    over(figure, title, 72)
    left, right = figure.subplots(1, 2)
    matrix_panel(left, counts_default, "default threshold")
    matrix_panel(right, counts_tau, "best τ")
    figure.supxlabel("count, and share of the row", fontsize=8.5, color=GREY)
    return figure


def confusion_classes_figure(counts: Sequence[Sequence[int]], names: Sequence[str], title: str = "") -> Figure:
    """Counts [K][K] of true (rows) by predicted class, coloured by their share of the row."""
    table = np.asarray(counts, np.int64)
    size = len(names)
    figure = new_figure(max(2.4 + 0.75 * size, 6.0), max(1.9 + 0.6 * size, 4.0))
    over(figure, title, 72)
    ax = figure.subplots()
    rows = table.sum(axis=1, keepdims=True)
    share = np.divide(table, rows, out=np.zeros(table.shape), where=rows > 0)
    ax.imshow(share, cmap="Blues", vmin=0, vmax=1.25, aspect="auto")
    for (i, j), count in np.ndenumerate(table):
        if count:
            colour = "white" if share[i, j] > 0.8 else BLACK
            text = f"{count:,}\n{_percent(share[i, j])}"
            ax.text(j, i, text, ha="center", va="center", color=colour, fontsize=9 if size < 9 else 7)
    dress(ax, "predicted", "true")
    ax.grid(visible=False)
    ax.set_xticks(range(size), [wrap(name, 14) for name in names], rotation=0 if size < 6 else 45)
    ax.set_yticks(
        range(size), [f"{wrap(name, 14)}\n(n = {int(n):,})" for name, n in zip(names, rows[:, 0], strict=True)]
    )
    figure.supxlabel("count, and share of the row", fontsize=8.5, color=GREY)
    return figure


def _column(history: Sequence[Mapping[str, Any]], key: str) -> np.ndarray:
    """One column of the history as float64, NaN where an epoch lacks it."""
    values = [row.get(key) for row in history]
    return np.array([np.nan if value is None else float(value) for value in values], np.float64)


def _mark_best(axes: Sequence[Axes], ax: Axes, epoch: np.ndarray, values: np.ndarray, direction: str) -> None:
    if not np.isfinite(values).any():
        note(ax, "no finite value of the monitored metric")
        return
    best = int(np.nanargmax(values) if direction == "max" else np.nanargmin(values))
    for each in axes:
        each.axvline(epoch[best], color=GREY, linewidth=1, linestyle=":")
    label = f"best: {values[best]:.4g} at epoch {epoch[best]:g}"
    ax.plot(epoch[best], values[best], "*", color=VERMILLION, markersize=13, markeredgecolor="white", label=label)


def learning_figure(
    history: Sequence[Mapping[str, Any]], monitor: str, direction: str = "max", loss: str = "loss", title: str = ""
) -> Figure:
    """Losses above, the monitored metric below (one panel when it is a loss already drawn), the best epoch marked.

    Parameters
    ----------
    history : a mapping for each epoch with epoch, train_loss, val_loss and `monitor` (None or absent: not measured).
    monitor : the column of which the best epoch is marked.
    direction : "max" or "min": which of its values is best.
    loss : the label of the losses' axis.
    title : over the picture.
    """
    figure = new_figure()
    over(figure, title, 64)
    losses = {"train_loss": ("train", BLUE, "-", "o"), "val_loss": ("validation", ORANGE, "--", "s")}
    axes = list(figure.subplots(1 if monitor in losses else 2, 1, sharex=True, squeeze=False)[:, 0])
    epoch = _column(history, "epoch")
    dress(axes[0], "", loss)
    if len(axes) > 1:
        dress(axes[1], "", wrap(monitor, 24))
    axes[-1].set_xlabel("epoch")
    if not history:
        note(axes[0], "no epoch was run")
        return figure
    look: dict[str, Any] = {"markersize": 4, "linewidth": 1.8, "markevery": max(1, len(epoch) // 20)}
    drawn = []
    for key, (name, colour, line, marker) in losses.items():
        values = _column(history, key)
        if np.isfinite(values).any():
            axes[0].plot(epoch, values, color=colour, linestyle=line, marker=marker, label=name, **look)
            drawn.append(values[np.isfinite(values)])
    everything = np.concatenate(drawn) if drawn else np.ones(1)
    if everything.min() > 0 and everything.max() > 20 * everything.min():
        axes[0].set_yscale("log")
        axes[0].set_ylabel(f"{loss} (log scale)")
    values = _column(history, monitor)
    if len(axes) > 1:
        axes[1].plot(epoch, values, color=GREEN, marker="^", **look)
    _mark_best(axes, axes[-1], epoch, values, direction)
    axes[-1].locator_params(axis="x", nbins=8, integer=True, steps=STEPS)
    if len(epoch) == 1:
        axes[-1].set_xlim(epoch[0] - 1, epoch[0] + 1)
    for ax in axes:
        if ax.get_legend_handles_labels()[0]:
            legend(ax, ncols=3)
    return figure


def pad(low: float, high: float) -> tuple[float, float]:
    """[low, high] with a margin, also where it is one point."""
    margin = 0.03 * (high - low) or 0.05 * abs(high) or 1.0
    return low - margin, high + margin
