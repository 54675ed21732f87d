"""The picture of a blend: how much say each member has, and how well it did where it was tried."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from viz import BLUE, VERMILLION, dress, new_figure, save, wrap


def members_figure(members: Mapping[str, Mapping[str, Any]], title: str = "") -> Figure:
    """A row for each member, the heaviest on top: its weight as a bar, and beside it its error (or loss) as a dot.

    `members` has {"weight", "error" or "loss"} of each by its name; an error of None: it could not be tried, or
    forecasts as another does.
    """
    ordered = sorted(members, key=lambda name: -members[name]["weight"])
    figure = new_figure(8.4, 1.5 + 0.34 * len(ordered))
    left, right = figure.subplots(1, 2, sharey=True)
    kind = "loss" if "loss" in members[ordered[0]] else "error"
    errors = [members[name][kind] for name in ordered]
    dress(left, "weight", "", title)
    dress(right, "loss where it was tried" if kind == "loss" else "error in backtests (1: the mean)", "")
    left.barh(range(len(ordered)), [members[name]["weight"] for name in ordered], color=BLUE, height=0.6)
    known = [row for row, error in enumerate(errors) if error is not None]
    right.plot([errors[row] for row in known], known, "D", color=VERMILLION, markersize=6)
    for row in set(range(len(ordered))) - set(known):
        why = "weight as usual, not tried" if members[ordered[row]]["weight"] > 0 else "left out"
        right.annotate(why, (0.02, row), xycoords=("axes fraction", "data"), va="center", fontsize=8)
    left.set_yticks(range(len(ordered)), [wrap(name, 30, 2) for name in ordered], parse_math=False, fontsize=9)
    left.set_ylim(len(ordered) - 0.4, -0.6)
    left.set_xlim(0, max(1.05 * max(members[name]["weight"] for name in ordered), 0.05))
    if known and min(errors[row] for row in known) > 0 and np.ptp(np.log([errors[row] for row in known])) > 1.5:
        right.set_xscale("log")
        right.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=6))
        right.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        right.xaxis.set_minor_formatter(NullFormatter())
    for ax in (left, right):
        ax.tick_params(axis="y", length=0)
    return figure


def members(members: Mapping[str, Mapping[str, Any]], path: Path, title: str = "") -> None:
    """Weights and errors of the members of a blend; see `members_figure`."""
    save(members_figure(members, title), path)
