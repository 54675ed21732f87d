"""The picture of what a model looks at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from matplotlib.axes import Axes

from viz import BLACK, BLUE, dress, new_figure, over, save, wrap

if TYPE_CHECKING:
    from explaining.importance import Importance

SHOWN = 20  # channels


def bars(found: Sequence[Importance], path: Path, metric: str, base: float, title: str) -> None:
    """Channels, the most important first, beside blocks of lags, the newest first.

    Parameters
    ----------
    found : the parts and what they are worth.
    path : of the picture.
    metric, base : what became worse, and its value with the whole input.
    title : run and split.
    """
    channels = sorted((one for one in found if one.kind == "channel"), key=lambda one: -one.worse)[:SHOWN]
    lags = [one for one in reversed(found) if one.kind == "lags"]
    figure = new_figure(9.0, 1.9 + 0.3 * max(len(channels), len(lags)))
    left, right = figure.subplots(1, 2)
    over(figure, title)
    across = f"{metric} is worse by (from {base:.4g})"
    _panel(left, channels, across, "the channel shuffled among windows")
    _panel(right, lags, across, "these steps of the window shuffled, from its end, all channels")
    save(figure, path)


def _panel(ax: Axes, parts: Sequence[Importance], across: str, title: str) -> None:
    dress(ax, across, "", title)
    places = range(len(parts))
    spread = {"ecolor": BLACK, "elinewidth": 1.0, "capsize": 2}
    ax.barh(places, [one.worse for one in parts], xerr=[one.spread for one in parts], color=BLUE, error_kw=spread)
    ax.set_yticks(places, [wrap(one.name, 26, 2) for one in parts], parse_math=False, fontsize=9)
    ax.set_ylim(len(parts) - 0.4, -0.6)
    ax.axvline(0, color=BLACK, linewidth=0.8)
    ax.tick_params(axis="y", length=0)
