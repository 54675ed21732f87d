"""The plot of a search: its history, the importance of the dimensions, and the values of good trials.

A trial is a mapping with `number`, `state` (done, pruned or another), `value` and its parameters by name.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

import viz

MOST_BARS = 12
MOST_AXES = 9  # of the parallel coordinates, including the monitor
SPREAD = 10  # ratio of largest to smallest value above which the scale is logarithmic
DASHES = ("--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)))
Trial = Mapping[str, Any]


def study_figure(
    trials: Sequence[Trial],
    names: Sequence[str],
    importances: Mapping[str, float],
    monitor: str,
    direction: str,
    beside: Mapping[str, float],
) -> Figure:
    """History, importances and parallel coordinates of the parameters `names`; `beside` are references' values."""
    figure = viz.new_figure(11, 7.6)
    axes: dict[str, Axes] = figure.subplot_mosaic([["history", "bars"], ["parallel", "parallel"]], width_ratios=(3, 2))
    _history(axes["history"], trials, monitor, direction, beside)
    _bars(axes["bars"], importances)
    ranked = [*importances, *(name for name in names if name not in importances)]
    _parallel(axes["parallel"], trials, ranked[: MOST_AXES - 1], monitor, direction)
    return figure


def _history(ax: Axes, trials: Sequence[Trial], monitor: str, direction: str, beside: Mapping[str, float]) -> None:
    done = [trial for trial in trials if trial["state"] == "done"]
    stopped = [trial for trial in trials if trial["state"] == "pruned" and trial["value"] is not None]
    viz.dress(ax, "trial", f"{monitor} on validation")
    if not done and not stopped:
        viz.note(ax, "no trial has a value yet")
        return
    if stopped:
        numbers, values = _columns(stopped)
        ax.plot(
            numbers, values, "^", color="none", markeredgecolor=viz.GREY, markersize=5, label="pruned, when stopped"
        )
    if done:
        numbers, values = _columns(done)
        best = np.minimum.accumulate(values) if direction == "min" else np.maximum.accumulate(values)
        ax.plot(numbers, values, "o", color=viz.BLUE, markersize=5, label="done")
        ax.step(numbers, best, where="post", color=viz.BLACK, linewidth=1.6, label="best so far")
    for (name, value), dashes in zip(beside.items(), DASHES, strict=False):
        ax.axhline(value, color=viz.VERMILLION, linewidth=1.2, linestyle=dashes, label=name)
    shown = [trial["value"] for trial in (*done, *stopped)]
    if min(shown) > 0 and max(shown) > SPREAD * min(shown):
        ax.set_yscale("log")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    viz.legend(ax, ncols=3)


def _columns(trials: Sequence[Trial]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([trial["number"] for trial in trials]), np.array([float(trial["value"]) for trial in trials])


def _bars(ax: Axes, importances: Mapping[str, float]) -> None:
    viz.dress(ax, "importance (share of the spread of ranks)", "")
    if not importances:
        viz.note(ax, "too few trials for importances")
        ax.set_yticks([])
        return
    shown = list(importances.items())[:MOST_BARS][::-1]
    ax.barh([_short(name) for name, _ in shown], [share for _, share in shown], color=viz.SKY, edgecolor=viz.BLUE)
    ax.grid(visible=False, axis="y")
    ax.tick_params(axis="y", labelsize=8.5, length=0)


def _short(name: str) -> str:
    """Without the flag that a key belongs to: `d_model`, not `model_args.d_model`."""
    return name.removeprefix("model_args.")


# --- parallel coordinates --------------------------------------------------------------------------------------------


def _parallel(ax: Axes, trials: Sequence[Trial], names: Sequence[str], monitor: str, direction: str) -> None:
    """A line per completed trial through its values; good ones are dark and drawn last, the best one is thick."""
    sign = 1 if direction == "min" else -1
    done = sorted((t for t in trials if t["state"] == "done"), key=lambda t: sign * t["value"], reverse=True)
    ax.set(ylim=(-0.06, 1.08), yticks=[])
    ax.spines[["top", "right", "left", "bottom"]].set_visible(False)
    if not done:
        viz.note(ax, "no trial is complete yet")
        ax.set_xticks([])
        return
    axes = [*names, "value"]
    heights = np.array([_heights(ax, at, [trial.get(name) for trial in done]) for at, name in enumerate(axes)])
    shades = colormaps["cividis_r"](np.linspace(0.15, 1.0, len(done)))
    for line, shade in zip(heights.T[:-1], shades, strict=False):
        ax.plot(line, color=shade, linewidth=1.3, alpha=0.8)
    ax.plot(heights[:, -1], color=viz.VERMILLION, linewidth=2.8, marker="o", markersize=5, label=_best(done[-1]))
    ax.set_xlim(-0.3, len(axes) - 0.4)
    ax.set_xticks(range(len(axes)), [*map(_short, names), f"{monitor}\non validation"], fontsize=9)
    ax.tick_params(axis="x", length=0, pad=8)
    ax.set_title("completed trials, the darker the better", fontsize=10.5, loc="left")
    ax.legend(loc="lower right", bbox_to_anchor=(1, 1), fontsize=8.5, frameon=False)


def _best(trial: Trial) -> str:
    return f"best: trial {trial['number']}, {trial['value']:.4g}"


def _heights(ax: Axes, at: int, values: Sequence[Any]) -> np.ndarray:
    """Draw the axis at x = `at` with labels; returns the height (0 to 1) of each value, NaN without one."""
    ax.axvline(at, ymin=0.05, ymax=0.93, color=viz.GREY, linewidth=0.8, zorder=0.5)
    known = [value for value in values if value is not None]
    numeric = all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in known)
    kinds = sorted(set(known), key=None if numeric else str)
    if numeric and len(kinds) > 4:
        return _scale(ax, at, values, float(kinds[0]), float(kinds[-1]))
    places = {kind: 0.5 if len(kinds) == 1 else number / (len(kinds) - 1) for number, kind in enumerate(kinds)}
    for kind, height in places.items():
        _label(ax, at, height, f"{kind:.3g}" if isinstance(kind, float) else str(kind))
    return np.array([math.nan if value is None else places[value] for value in values])


def _scale(ax: Axes, at: int, values: Sequence[Any], low: float, high: float) -> np.ndarray:
    bend = np.log if low > 0 and high > SPREAD * low else np.asarray
    ends = [float(bend(end)) for end in (low, high)]
    middle = (ends[0] + ends[1]) / 2
    for height, number in ((0.0, low), (0.5, math.exp(middle) if bend is np.log else middle), (1.0, high)):
        _label(ax, at, height, f"{number:.3g}")
    numbers = np.array([math.nan if value is None else float(value) for value in values])
    return (bend(numbers) - ends[0]) / (ends[1] - ends[0])


def _label(ax: Axes, at: int, height: float, text: str) -> None:
    ax.text(at + 0.03, height, text, fontsize=8, va="center", bbox=viz.PAPER | {"pad": 0.6}, zorder=3, parse_math=False)
