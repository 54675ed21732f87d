"""The plots of forecasts: windows with the truth, error by step ahead, and the models of a benchmark side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import floor, isfinite, log10
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from tasks.axes import date_axis
from viz import BLACK, BLUE, GREEN, GREY, ORANGE, SKY, STEPS, VERMILLION, dress, new_figure, note, wrap

CONTEXT = 3  # horizons of context shown: the horizon keeps a quarter of the width
LEAST_CONTEXT = 12  # steps
FEW = 12  # up to so many points in a row, each gets a marker
BEYOND = 2.5  # times the model's largest error: where the axis of errors by step ends at the latest
FAR = 1.3  # times a group's median: where its axis in the table ends at the latest
REFERENCES: tuple[tuple[str, Any, str], ...] = (
    (ORANGE, (0, (7, 2)), "s"),
    (GREEN, (0, (6, 2, 1, 2)), "^"),
    (VERMILLION, (0, (1, 1.2)), "v"),
    (BLACK, (0, (3, 1.5)), "D"),
    (GREY, (0, (6, 1.5, 1, 1.5, 1, 1.5)), "x"),
)  # colour, dashes, marker


@dataclass(frozen=True)
class Panel:
    """One window of one channel: `L` steps of context, `H` steps of forecast, all in the channel's unit.

    Without `times` the steps are numbered, -L..-1 for the context and 0..H-1 for the forecast.
    """

    channel: str
    context: np.ndarray  # [L]
    prediction: np.ndarray  # [H]
    truth: np.ndarray | None = None  # [H]
    low: np.ndarray | None = None  # [H]
    high: np.ndarray | None = None  # [H]
    times: np.ndarray | None = None  # [L + H] datetime64[ns]
    title: str = ""


def _legend_above(figure: Figure, title: str = "") -> None:
    """One legend for all axes, above them, each label once, under the figure's title."""
    entries: dict[str, Artist] = {}
    for ax in figure.axes:
        entries |= dict(zip(*reversed(ax.get_legend_handles_labels()), strict=True))
    columns = int(figure.get_figwidth() / (0.5 + 0.068 * max(map(len, entries))))  # inches: the line, a letter
    look: dict[str, Any] = {"fontsize": 9, "frameon": False, "alignment": "left", "columnspacing": 1.6}
    where = {"loc": "outside upper left", "ncols": min(max(1, columns), len(entries)), "handlelength": 3.2}
    box = figure.legend(list(entries.values()), list(entries), title=wrap(title, 76) or None, **look, **where)
    for text in (box.get_title(), *box.get_texts()):
        text.set_parse_math(False)
    box.get_title().set_fontsize(10.5)


def _title(ax: Axes, text: str, width: int) -> None:
    """A title over axes that are narrower than those of `dress`."""
    ax.set_title(wrap(text, width), fontsize=10.5, loc="left", parse_math=False)


def _marked(values: np.ndarray) -> np.ndarray:
    """Where `values [n]` need a marker: everywhere if they are few, else at single points between two gaps."""
    known = np.isfinite(values)
    beside = np.concatenate([[False], known, [False]])
    marked: np.ndarray = known & ((len(values) <= FEW) | ~(beside[:-2] | beside[2:]))
    return marked


def _draw(ax: Axes, x: np.ndarray, values: np.ndarray, at: np.ndarray, marker: str, **look: Any) -> None:
    """Draw a line with markers where `at [n]` is true; without any, the legend shows none either."""
    ax.plot(x, values, marker=marker if at.any() else "", markevery=at, **look)


def _scale(ax: Axes, dates: bool) -> None:
    """Set few ticks, at whole steps or round dates, and an axis on which a constant looks constant."""
    if dates:
        date_axis(ax, 3, 6)
    else:
        ax.locator_params(axis="x", nbins=8, integer=True)
    low, high = ax.get_ylim()
    if high - low < 1e-6 * abs(high):
        ax.set_ylim(low - 0.05 * abs(low), high + 0.05 * abs(high))


def _window(ax: Axes, panel: Panel, interval: str) -> None:
    """Draw a panel. The line of the truth starts at the last step of the context: it is the same series."""
    ahead = len(panel.prediction)
    context = np.asarray(panel.context, np.float64)[-max(CONTEXT * ahead, LEAST_CONTEXT) :]
    times = np.arange(-len(panel.context), ahead) if panel.times is None else panel.times
    assert len(times) == len(panel.context) + ahead
    past, future = times[-ahead - len(context) : -ahead], times[-ahead:]
    ax.axvline(past[-1] + (future[0] - past[-1]) / 2, color=GREY, linewidth=0.9, linestyle=":")
    _draw(ax, past, context, _marked(context), ".", color=GREY, linewidth=1.2, label="context")
    prediction = np.asarray(panel.prediction, np.float64)
    if panel.truth is not None:  # dashed, and over the prediction: where they agree, both are visible
        truth = np.concatenate([context[-1:], panel.truth])
        at = np.concatenate([[False], _marked(truth[1:])])
        look: dict[str, Any] = {"color": BLACK, "linewidth": 1.3, "linestyle": (0, (3, 1)), "zorder": 3}
        _draw(ax, times[-ahead - 1 :], truth, at, "o", markersize=4, label="truth", **look)
    _draw(ax, future, prediction, _marked(prediction), "D", color=BLUE, linewidth=2.2, label="prediction")
    if panel.low is not None and panel.high is not None:
        band: dict[str, Any] = {"color": SKY, "alpha": 0.4, "zorder": 1, "label": interval or "interval"}
        if ahead == 1:  # a band over one step has no area
            ax.vlines(future, panel.low, panel.high, linewidth=9, **band)
        else:
            ax.fill_between(future, panel.low, panel.high, linewidth=0, **band)
    margin = (future[-1] - past[0]) * 0.04
    ax.set_xlim(past[0] - margin, future[-1] + margin)  # the whole window, also where its ends are unknown
    _scale(ax, panel.times is not None)
    if not np.isfinite(np.concatenate([context, prediction])).any():
        note(ax, "no finite context or prediction")


def forecast_figure(panels: Sequence[Panel], interval: str = "", title: str = "") -> Figure:
    """One to six windows, each the end of its context and its horizon; `interval` names the band from low to high."""
    assert 1 <= len(panels) <= 6
    columns = min(len(panels), 2)
    rows = -(-len(panels) // columns)
    figure = new_figure(*((7.2, 3.6) if len(panels) == 1 else (9.6, 0.5 + 2.5 * rows)))
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    labels = ["time" if panel.times is not None else "step (0: the first ahead)" for panel in panels]
    for k, (ax, panel) in enumerate(zip(axes, panels, strict=False)):
        below = labels[k + columns : k + columns + 1]
        dress(ax, "" if below == [labels[k]] else labels[k], wrap(panel.channel, 28))
        _title(ax, panel.title, 44)
        _window(ax, panel, interval)
    for ax in axes[len(panels) :]:
        ax.remove()
    figure.align_ylabels()
    _legend_above(figure, title)
    return figure


def _three(value: float) -> str:
    """Three significant digits, without an exponent for numbers of usual size: 0.400, 36.3, 1,290."""
    if not isfinite(value) or value == 0:
        return f"{value:g}"
    size = floor(log10(abs(value)))
    return f"{value:,.{max(0, 2 - size)}f}" if -4 <= size < 7 else f"{value:.2e}"


def _end(values: np.ndarray, limit: float) -> float:
    """Where an axis ends: at the largest of `values` up to `limit`. Larger values are beyond the axis."""
    inside = values[np.isfinite(values) & (values <= limit)]
    return float(inside.max()) if len(inside) else 1.0


def _beyond(values: np.ndarray, end: float) -> str:
    """What the legend adds for a line that leaves the axis at `end`."""
    beyond = values > end
    if not beyond.any():
        return ""
    return ", beyond the axis" if (beyond | np.isnan(values)).all() else ", partly beyond the axis"


def _dots(ax: Axes, values: np.ndarray, end: float, **look: Any) -> None:
    """Draw `values [n]` up to `end` on rows 0..n-1."""
    ax.plot(values[values <= end], np.flatnonzero(values <= end), linestyle="", **look)


def _arrow(ax: Axes, row: int, text: str) -> None:
    """Draw an arrow at the right edge: a value is beyond the axis."""
    edge = ax.get_yaxis_transform()
    ax.plot(0.985, row, ">", color=GREY, markersize=6, transform=edge)
    ax.text(0.95, row, text, ha="right", va="center", fontsize=8, color=GREY, transform=edge)


def _name_rows(axes: Sequence[Axes], names: Sequence[str]) -> None:
    """One row for each name, the first on top, labelled at the left of axes that share them."""
    axes[0].set_yticks(range(len(names)), [wrap(name, 32, 2) for name in names], parse_math=False, fontsize=9)
    axes[0].set_ylim(len(names) - 0.4, -0.6)
    for ax in axes:
        ax.tick_params(axis="y", length=0)


def _one_step(curves: Mapping[str, np.ndarray], end: float, label: str, title: str) -> Figure:
    """One row for each predictor, the error of the only step as a dot. The first, the model, is highlighted."""
    figure = new_figure(7.2, 1.2 + 0.3 * len(curves))
    ax = figure.subplots()
    dress(ax, label, "", title)
    _name_rows([ax], [f"{name}, {_three(float(curve[0]))}" for name, curve in curves.items()])
    values = np.concatenate(list(curves.values()))
    _dots(ax, values[:1], end, color=BLUE, marker="D", markersize=9)
    _dots(ax, np.concatenate([[np.nan], values[1:]]), end, color=GREY, marker="o", markersize=7)
    for row in np.flatnonzero(values > end):
        _arrow(ax, int(row), "beyond the axis")
    ax.set_xlim(0, 1.1 * end or 1.0)
    return figure


def error_by_step_figure(curves: Mapping[str, ArrayLike], ylabel: str, title: str = "", step: str = "") -> Figure:
    """Error against steps ahead, a line a predictor, the model first; its mean over the steps in the legend.

    The axis runs from 0 to at most BEYOND times the model's largest error; the legend marks the lines that leave it.
    One step ahead alone gives a dot plot, a row a predictor.
    """
    assert 1 <= len(curves) <= 1 + len(REFERENCES)
    errors = {name: np.asarray(curve, np.float64) for name, curve in curves.items()}
    model = next(iter(errors.values()))
    everything = np.concatenate(list(errors.values()))
    known = model[np.isfinite(model)]
    end = _end(everything, BEYOND * known.max() if len(known) and known.max() > 0 else np.inf)
    xlabel = f"steps ahead ({step} each)" if step else "steps ahead"
    if len(model) == 1:
        return _one_step(errors, end, f"{ylabel}, one step ahead" + (f" ({step})" if step else ""), title)
    figure = new_figure(7.2, 4.4)
    ax = figure.subplots()
    dress(ax, xlabel, ylabel)
    looks = ((BLUE, "-", "o"), *REFERENCES)
    for (name, error), (colour, line, marker) in zip(errors.items(), looks, strict=False):
        label = f"{name}, mean {_three(float(error.mean()))}{_beyond(error, end)}"
        width = 2.6 if error is model else 1.5
        look: dict[str, Any] = {"color": colour, "linestyle": line, "linewidth": width, "markersize": 4.5}
        x = np.arange(1, len(error) + 1)
        _draw(ax, x, error, _marked(error), marker, label=label, zorder=3 if error is model else 2, **look)
    margin = 0.03 * len(model) if len(model) <= FEW else 0  # for the markers
    ax.set(xlim=(1 - margin, len(model) + margin), ylim=(0, 1.06 * end or 1.0))
    ax.locator_params(axis="x", nbins=9, integer=True, steps=[1, 2, 3, 4, 5, 6, 10])
    _legend_above(figure, title)
    return figure


def _compare(ax: Axes, measured: np.ndarray, published: np.ndarray) -> None:
    """One row for each model: a dot for the measured error, a ring for the published one, numbers beyond the axis."""
    both = np.concatenate([measured, published])
    known = both[np.isfinite(both)]
    end = _end(known, FAR * float(np.median(known))) if len(known) else 1.0
    if not len(known):
        note(ax, "no figures")
    best = measured == np.min(measured, initial=np.inf, where=np.isfinite(measured))
    _dots(ax, np.where(best, np.nan, measured), end, color=BLUE, marker="o", markersize=6, label="measured")
    _dots(ax, np.where(best, measured, np.nan), end, color=VERMILLION, marker="D", markersize=7, label="best measured")
    if np.isfinite(published).any():
        ring: dict[str, Any] = {"marker": "o", "markersize": 10, "fillstyle": "none"}
        _dots(ax, published, end, color=BLACK, label="published", **ring)
    for row, values in enumerate(zip(measured, published, strict=True)):
        far = [mark + _three(value) for mark, value in zip(("", "○ "), values, strict=True) if value > end]
        if far:
            _arrow(ax, row, "   ".join(far))
    ax.margins(x=0.12)
    ax.locator_params(axis="x", nbins=4, steps=STEPS)


def table_bars_figure(
    rows: Mapping[str, Sequence[float]],
    groups: Sequence[str],
    ylabel: str,
    title: str = "",
    marks: Mapping[str, Sequence[float]] | None = None,
) -> Figure:
    """A panel for each group, a row for each model; a dot is a measured error, a ring a published one.

    `rows` holds the errors of models for each of `groups` (such as horizons), NaN where there is none, and `marks`
    published ones, also of models that are not in `rows`.

    Each panel has its own scale, up to FAR times its median error at most; larger ones are written as numbers.
    """
    marks = marks or {}
    names = [*rows, *(name for name in marks if name not in rows)]
    missing = [np.nan] * len(groups)
    measured, published = (np.array([table.get(name, missing) for name in names], float) for table in (rows, marks))
    figure = new_figure(max(6.0, 2.6 + 1.9 * len(groups)), 1.5 + 0.3 * len(names))
    axes = figure.subplots(1, len(groups), sharey=True, squeeze=False)[0]
    for k, (ax, group) in enumerate(zip(axes, groups, strict=True)):
        dress(ax, "", "")
        _title(ax, group, 22)
        _compare(ax, measured[:, k], published[:, k])
    figure.supxlabel(ylabel, fontsize=10)
    _name_rows(axes, names)
    _legend_above(figure, title)
    return figure
