"""The plots of a disaggregation, a row a device: states at a glance, a stretch of the timeline, energy by day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.dates import date2num
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from tasks.axes import after_gaps, date_axis, date_label, opened
from viz import BLACK, BLUE, GREY, SKY, VERMILLION, dress, legend, new_figure, note, wrap

PALE = "#D0D0D0"
RATIOS = (("precision", SKY, ""), ("recall", "#FFFFFF", "////"), ("f1", BLUE, ""))  # name, colour, hatch
MOST_BARS = 40  # days; with more of them a line is easier to read than bars
MOST_TICKS = 10  # days that are named
WHOLE = 0.95  # of a day: one with the clock put forward is whole


@dataclass(frozen=True)
class Trace:
    """The truth and the prediction of one device over n steps, each `[n]`, NaN where unknown.

    Either of states (`score` with `tau`, `predicted` states, `on` the truth) or watts (`estimate`, `watts` the truth),
    or both; a truth may be absent.
    """

    name: str
    on: np.ndarray | None = None
    score: np.ndarray | None = None
    predicted: np.ndarray | None = None
    tau: float | None = None
    watts: np.ndarray | None = None
    estimate: np.ndarray | None = None


# ---- states at a glance


def summary_figure(
    devices: Mapping[str, Mapping[str, Any]], curves: Mapping[str, tuple[ArrayLike, ArrayLike]], title: str = ""
) -> Figure:
    """A row a device: its confusion matrix, precision, recall and F1, and F1 against the threshold with tau."""
    figure = new_figure(9.2, 1.0 + 1.75 * len(devices))
    axes = figure.subplots(len(devices), 3, squeeze=False, width_ratios=(1, 1.5, 1.5))
    for row, (name, found) in zip(axes, devices.items(), strict=True):
        last = row[0] is axes[-1][0]
        _matrix(row[0], name, found, last)
        _bars(row[1], found, last)
        _curve(row[2], curves.get(name), found, last)
    for ax, text in zip(axes[0], ("steps, and share of the row", "at τ", "F1 by threshold"), strict=True):
        ax.set_title(text, fontsize=10, loc="left", color=GREY)
    if title:
        figure.suptitle(wrap(title, 90), fontsize=11, x=0.01, ha="left", parse_math=False)
    return figure


def _matrix(ax: Axes, name: str, found: Mapping[str, Any], last: bool) -> None:
    table = np.array([[found["tn"], found["fp"]], [found["fn"], found["tp"]]], np.int64)
    rows = table.sum(axis=1, keepdims=True)
    share = np.divide(table, rows, out=np.zeros((2, 2)), where=rows > 0)
    ax.imshow(share, cmap="Blues", vmin=0, vmax=1.25, aspect="auto")
    for (i, j), count in np.ndenumerate(table):
        part = _percent(share[i, j]) if rows[i, 0] else "none"
        colour = "white" if share[i, j] > 0.7 else BLACK
        ax.text(j, i, f"{count:,}\n{part}", ha="center", va="center", color=colour, fontsize=8.5, linespacing=1.1)
    dress(ax, "predicted" if last else "", "true")
    ax.grid(visible=False)
    ax.set_xticks([0, 1], ["off", "on"])
    ax.set_yticks([0, 1], ["off", "on"])
    head: dict[str, Any] = {"rotation": 90, "va": "center", "ha": "center", "fontsize": 10.5, "fontweight": "bold"}
    ax.annotate(wrap(name, 18, 2), (-0.52, 0.5), xycoords="axes fraction", parse_math=False, **head)


def _percent(share: float) -> str:
    """One decimal, but never 0.0 % for some or 100.0 % for not all."""
    if 0 < share < 0.0005:
        return "< 0.1 %"
    return "> 99.9 %" if 0.9995 <= share < 1 else f"{100 * share:.1f} %"


def _bars(ax: Axes, found: Mapping[str, Any], last: bool) -> None:
    dress(ax, "share" if last else "", "")
    why = found.get("undefined", {})
    for row, (key, colour, hatch) in enumerate(RATIOS):
        value = found[key]
        if value is None:
            ax.text(0.01, row, f"null: {wrap(why.get(key, ''), 34, 1)}", va="center", fontsize=8.5, color=GREY)
            continue
        ax.barh(row, value, height=0.62, color=colour, hatch=hatch, edgecolor=BLACK, linewidth=0.8)
        inside = value > 0.82
        text: dict[str, Any] = {"va": "center", "ha": "right" if inside else "left", "fontsize": 9}
        paper = {"facecolor": "white", "edgecolor": "none", "pad": 1.0} if inside else None
        ax.text(value - 0.02 if inside else value + 0.02, row, f"{value:.3f}", bbox=paper, **text)
    ax.set_yticks(range(3), [key if key != "f1" else "F1" for key, _, _ in RATIOS])
    ax.set(xlim=(0, 1), ylim=(2.6, -0.6))
    ax.tick_params(axis="y", length=0)
    ax.grid(visible=False, axis="y")


def _curve(ax: Axes, curve: tuple[ArrayLike, ArrayLike] | None, found: Mapping[str, Any], last: bool) -> None:
    dress(ax, "threshold τ" if last else "", "F1")
    ax.set(xlim=(0, 1), ylim=(0, 1.05))
    taus, f1 = (np.asarray(part, np.float64) for part in curve or ((), ()))
    if not np.isfinite(f1).any():
        note(ax, found.get("undefined", {}).get("f1", "no curve"))
        return
    ax.plot(taus, f1, color=BLUE, linewidth=2)
    tau = found.get("tau")
    if tau is not None:
        here = float(np.interp(tau, taus, f1))
        ax.axvline(tau, color=BLACK, linewidth=1, linestyle=":")
        ax.plot(tau, here, "D", color=VERMILLION, markersize=7, markeredgecolor="white")
        left = tau > 0.6
        where: dict[str, Any] = {"ha": "right" if left else "left", "va": "bottom", "fontsize": 8.5}
        ax.text(tau - 0.02 if left else tau + 0.02, 0.04, f"τ = {tau:.3g}", **where)


# ---- a stretch of the timeline


def timelines_figure(
    times: np.ndarray,
    mains: np.ndarray,
    traces: Sequence[Trace],
    zone: str = "",
    title: str = "",
    parts: Mapping[str, slice] | None = None,
) -> Figure:
    """Mains on top, then a panel a device for its states and one for its watts, over the same time.

    Parameters
    ----------
    times, mains, traces : datetime64 [n], local time in `zone`; W [n]; of each device. No line crosses a gap.
    title : over the figure.
    parts : stretches of the n steps by name, side by side; None: all as one.
    """
    panels = [(trace, kind) for trace in traces for kind in _kinds(trace)]
    parts = parts or {"": slice(0, len(times))}
    figure = new_figure(10.5, 2.6 + 1.35 * len(panels))
    ratios = [1.4] + [1] * len(panels)
    grid = figure.subplots(1 + len(panels), len(parts), sharex="col", sharey="row", squeeze=False, height_ratios=ratios)
    for column, (axes, (name, part)) in enumerate(zip(grid.T, parts.items(), strict=True)):
        _stretch(axes, times[part], mains[part], [(_cut(trace, part), kind) for trace, kind in panels], column == 0)
        if name:
            axes[0].set_title(wrap(name, 34, 2), fontsize=9, loc="left", parse_math=False)
        date_axis(axes[-1], 3, 9 // len(parts) + 1)
        axes[-1].set_xlabel(f"time ({zone})" if zone else "time", parse_math=False)
    figure.align_ylabels(grid[:, 0])
    _legend(figure, title)
    return figure


def _cut(trace: Trace, part: slice) -> Trace:
    arrays: dict[str, Any] = {key: value[part] for key, value in vars(trace).items() if isinstance(value, np.ndarray)}
    return replace(trace, **arrays)


def _stretch(
    axes: Sequence[Axes], times: np.ndarray, mains: np.ndarray, panels: Sequence[tuple[Trace, str]], first: bool
) -> None:
    """One stretch: the mains, and the panels below; names and axes' labels stand at the first one."""
    after, times = after_gaps(times), opened(times)
    dress(axes[0], "", "mains (W)" if first else "")
    axes[0].plot(times, _with_gaps(mains, after), color=BLACK, linewidth=1)
    axes[0].set_ylim(bottom=0)
    for ax, (trace, kind) in zip(axes[1:], panels, strict=True):
        known = {key: value for key, value in vars(trace).items() if isinstance(value, np.ndarray)}
        arrays: dict[str, Any] = {key: _with_gaps(value, after) for key, value in known.items()}
        trace = replace(trace, **arrays)
        (_states if kind == "states" else _watts)(ax, times, trace)
        if not first:
            ax.set_ylabel("")
        elif kind == _kinds(trace)[0]:
            ax.set_title(wrap(trace.name, 100, 1), fontsize=10, fontweight="bold", loc="left", pad=3, parse_math=False)
    axes[-1].set_xlim(times[0], times[-1])


def _with_gaps(values: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Values [n] with NaN before each of the positions `after`."""
    return np.insert(np.asarray(values, np.float64), after, np.nan) if len(after) else values


def window_figure(
    times: np.ndarray, mains: np.ndarray, name: str, truth: np.ndarray | None, estimate: np.ndarray, title: str = ""
) -> Figure:
    """Mains, and the true (where known) and predicted watts of one device `[n]`, in one axes."""
    figure = new_figure(9, 4)
    ax = figure.subplots()
    dress(ax, "time", "W", title)
    after, times = after_gaps(times), opened(times)
    mains, estimate = _with_gaps(mains, after), _with_gaps(estimate, after)
    truth = None if truth is None else _with_gaps(truth, after)
    ax.plot(times, mains, color=GREY, linewidth=1, label="mains")
    if truth is not None:  # dashed, and over the prediction: where they agree, both are visible
        ax.plot(times, truth, color=BLACK, linewidth=1.4, linestyle=(0, (3, 1)), label=f"{name}, truth", zorder=3)
    ax.plot(times, estimate, color=BLUE, linewidth=2, label=f"{name}, prediction")
    date_axis(ax, 4, 9)
    ax.set_ylim(bottom=0)
    legend(ax, loc="best")
    return figure


def _kinds(trace: Trace) -> list[str]:
    states = ["states"] if trace.score is not None or trace.predicted is not None else []
    return states + (["watts"] if trace.estimate is not None else [])


def _states(ax: Axes, times: np.ndarray, trace: Trace) -> None:
    """Probability as a line from 0 to 1; above it, two strips: when the device was on, and when it was predicted on."""
    dress(ax, "", "probability")
    if trace.score is not None:
        ax.plot(times, trace.score, color=BLUE, linewidth=1.1, label="probability")
    if trace.tau is not None:
        ax.axhline(trace.tau, color=VERMILLION, linewidth=1.1, linestyle=(0, (4, 2)), label="threshold τ")
    at = date2num(times)
    ends = np.append(at, 2 * at[-1] - at[-2])
    strips = ((trace.on, 1.38, PALE, "truly on"), (trace.predicted, 1.12, BLUE, "predicted on"))
    for states, height, colour, label in strips:
        if states is not None:
            edges = np.flatnonzero(np.diff(np.concatenate([[0], np.nan_to_num(states) == 1, [0]])))
            begin, end = ends[edges[::2]], ends[edges[1::2]]
            look: dict[str, Any] = {"facecolor": colour, "edgecolor": BLACK, "linewidth": 0.4, "label": label}
            ax.broken_barh(list(zip(begin, end - begin, strict=True)), (height, 0.2), **look)
    ax.set_ylim(-0.05, 1.65 if trace.on is not None else 1.4)
    ax.set_yticks([0, 0.5, 1])


def _watts(ax: Axes, times: np.ndarray, trace: Trace) -> None:
    assert trace.estimate is not None
    dress(ax, "", "power (W)")
    if trace.watts is not None:
        ax.fill_between(times, 0, trace.watts, color=PALE, step="post", linewidth=0, label="true power")
        ax.plot(times, trace.watts, color=GREY, linewidth=0.6, drawstyle="steps-post")
    look: dict[str, Any] = {"color": BLUE, "linewidth": 1.3, "linestyle": (0, (5, 1.2))}
    ax.plot(times, trace.estimate, label="estimated power", **look)
    ax.set_ylim(bottom=0)


# ---- energy


def energy_figure(
    days: np.ndarray,
    estimate: np.ndarray,
    names: Sequence[str],
    truth: np.ndarray | None = None,
    title: str = "",
    share: np.ndarray | None = None,
) -> Figure:
    """A row a device: kWh of each day, true beside estimated, and both sums; `share` [D] of each day was read."""
    figure = new_figure(9.2, 1.2 + 1.55 * len(names))
    axes = figure.subplots(len(names), 1, sharex=True, squeeze=False)[:, 0]
    bars = len(days) <= MOST_BARS
    part = np.zeros(len(days), bool) if share is None else share < WHOLE
    for k, (ax, name) in enumerate(zip(axes, names, strict=True)):
        dress(ax, "", "kWh per day")
        true = None if truth is None else truth[k]
        (_day_bars if bars else _day_lines)(ax, days, estimate[k], true, part)
        ax.set_ylim(bottom=0)
        ax.set_title(_sums(name, estimate[k], true), fontsize=10, loc="left", parse_math=False)
        ax.grid(visible=False, axis="x")
    if bars:
        _day_ticks(axes[-1], days, share)
    else:
        date_axis(axes[-1], 3, 10)
    axes[-1].set_xlabel("day (* a part of it)" if part.any() else "day")
    figure.align_ylabels(axes)
    _legend(figure, title)
    return figure


def _day_ticks(ax: Axes, days: np.ndarray, share: np.ndarray | None) -> None:
    """A tick under the middle of a day's bars, with the hours that were read where they are not all."""
    every = -(-len(days) // MOST_TICKS)
    chosen, before = range(0, len(days), every), None
    labels = []
    for k in chosen:
        date = days[k].astype("datetime64[s]").item()
        hours = "" if share is None or share[k] >= WHOLE else f"*\n{24 * share[k]:.0f} h"
        text = date_label(date, before, 1)
        labels.append(text.replace("\n", f"{hours}\n", 1) if "\n" in text else text + hours)
        before = date
    middle = date2num(days) + 0.5
    ax.set_xticks([middle[k] for k in chosen], labels)
    ax.set_xlim(middle[0] - 0.7, middle[-1] + 0.7)


def _sums(name: str, estimate: np.ndarray, truth: np.ndarray | None) -> str:
    estimated = float(estimate.sum())
    if truth is None:
        return f"{name}: estimated {estimated:.3g} kWh"
    true = float(truth.sum())
    if np.isnan(true):
        return f"{name}: estimated {estimated:.3g} kWh, true not known"
    share = f" ({100 * (estimated / true - 1):+.0f} %)" if true > 0 else ""
    return f"{name}: true {true:.3g} kWh, estimated {estimated:.3g} kWh{share}"


def _day_bars(ax: Axes, days: np.ndarray, estimate: np.ndarray, truth: np.ndarray | None, part: np.ndarray) -> None:
    day, width = np.timedelta64(24 * 60, "m"), np.timedelta64(9 * 60, "m")
    at = days.astype("datetime64[s]") + day / 2
    looks: dict[str, Any] = {"edgecolor": BLACK, "linewidth": 0.6, "width": width}
    if truth is None:
        drawn = [ax.bar(at, estimate, color=BLUE, **looks)]
    else:
        drawn = [ax.bar(at - width / 2, truth, color=PALE, hatch="////", **looks)]
        drawn.append(ax.bar(at + width / 2, estimate, color=BLUE, **looks))
        ax.fill_between([], [], facecolor=PALE, hatch="////", edgecolor=BLACK, linewidth=0.6, label="true")
    ax.fill_between([], [], facecolor=BLUE, edgecolor=BLACK, linewidth=0.6, label="estimated")
    for bars in drawn:
        for k in np.flatnonzero(part):
            bars[k].set(alpha=0.55, linestyle=":")


def _day_lines(ax: Axes, days: np.ndarray, estimate: np.ndarray, truth: np.ndarray | None, part: np.ndarray) -> None:
    after, times = after_gaps(days), opened(days)
    estimate = _with_gaps(estimate, after)
    if truth is not None:
        ax.fill_between(times, 0, _with_gaps(truth, after), color=PALE, step="mid", linewidth=0, label="true")
    ax.plot(times, estimate, color=BLUE, linewidth=1.3, drawstyle="steps-mid", label="estimated")
    if part.any():
        look: dict[str, Any] = {"color": VERMILLION, "markersize": 4, "label": "a part of the day"}
        ax.plot(days[part], np.zeros(part.sum()), "^", clip_on=False, **look)


def _legend(figure: Figure, title: str) -> None:
    """One legend for all axes, above them, each label once, under the figure's title."""
    entries: dict[str, Artist] = {}
    for ax in figure.axes:
        entries |= {label: handle for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)}
    where: dict[str, Any] = {"loc": "outside upper left", "ncols": max(1, len(entries)), "alignment": "left"}
    box = figure.legend(
        list(entries.values()), list(entries), title=wrap(title, 90) or None, **where, frameon=False, fontsize=9
    )
    box.get_title().set(parse_math=False, fontsize=11)
