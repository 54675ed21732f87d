"""The picture of truth and prediction over time, of tasks that predict a label."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pages.frames import Frame, Plot
from tasks.axes import after_gaps, date_axis, opened
from viz import BLACK, BLUE, FEW_POINTS, VERMILLION, AnyPath, dress, legend, new_figure, over, save, wrap

PANELS = 4
SHOWN = 300  # steps of a panel, the last ones


def over_time_figure(frames: Sequence[Frame], title: str = "") -> Figure:
    """A panel for some of the frames and labels, in turn: the last steps of each."""
    pairs = [(frame, plot) for frame in frames for plot in frame.plots]
    chosen = sorted({int(k) for k in np.linspace(0, len(pairs) - 1, min(PANELS, len(pairs)))})
    figure = new_figure(9.2, 0.9 + 2.0 * len(chosen))
    over(figure, title)
    axes = figure.subplots(len(chosen), 1, squeeze=False)[:, 0]
    for ax, k in zip(axes, chosen, strict=True):
        _panel(ax, *pairs[k])
    legend(axes[0], ncols=3)
    axes[0].set_title("")
    for ax, k in zip(axes, chosen, strict=True):
        frame, plot = pairs[k]
        ax.set_title(wrap(f"{plot.name}, {frame.title}", 60, 1), fontsize=9.5, loc="right", parse_math=False)
    figure.align_ylabels(axes)
    return figure


def over_time(frames: Sequence[Frame], path: AnyPath, title: str = "") -> None:
    """Truth and prediction over time, as the page of a run has them; nothing is written where there are none."""
    if frames:
        save(over_time_figure(frames, title), path)


def _panel(ax: Axes, frame: Frame, plot: Plot) -> None:
    part = slice(max(len(frame.at) - SHOWN, 0), None)
    at = frame.at[part].astype("datetime64[ms]") if frame.dated else frame.at[part]
    after, times = (after_gaps(at), opened(at)) if frame.joined else (np.zeros(0, np.int64), at)
    dress(ax, "time" if frame.dated else frame.label, plot.unit or plot.name)
    if plot.level is not None:
        look: dict[str, Any] = {"color": VERMILLION, "linewidth": 1.2, "linestyle": (0, (4, 2))}
        ax.axhline(plot.level, label=f"{plot.mark}", **look)
    for line in plot.lines:
        values = np.insert(np.asarray(line.values[part], np.float64), after, np.nan)
        true = line.look == "truth"
        dots = ("o" if true else "D") if len(at) <= FEW_POINTS or not frame.joined else ""
        look = {"color": BLACK if true else BLUE, "linewidth": 1.3 if true else 1.8, "zorder": 3 if true else 2}
        look |= {
            "linestyle": "" if not frame.joined else (0, (3, 1)) if true else "-",
            "marker": dots,
            "markersize": 3.5,
        }
        ax.plot(times, values, label=line.name, **look)
    if frame.dated:
        date_axis(ax, 3, 9)
    else:
        ax.locator_params(axis="x", nbins=9, integer=True)
