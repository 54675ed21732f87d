"""Pictures that are made and not painted, which would be most of the time of a small run.

Of those that are not painted all axes of a kind share a first tick: to make four for each took half of a figure's time.
Nothing is clipped in them, and bars, areas and lines do not widen their axes: that took a third of what was left.
"""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes._base import _AxesBase
from matplotlib.axis import Axis, Tick
from matplotlib.figure import Figure

import viz

# A PNG of one pixel.
BLANK = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP4DwABAQEAsTj2FAAAAABJRU5ErkJggg==")
SETTING = "TSRUN_TESTS_PAINT"  # "no": forks of the fork server do not paint
PAINTED, SAVED, TICK = viz.painted, Figure.savefig, Axis._get_tick
# What only the painter, or who looks at the picture, asks for.
UNSEEN = [(Artist, "set_clip_path"), (_AxesBase, "_update_patch_limits"), (_AxesBase, "_update_line_limits")]
SEEN = [getattr(owner, name) for owner, name in UNSEEN]
_ticks: dict[tuple[Any, ...], Tick] = {}


def paint(*, wanted: bool) -> None:
    """Whether this process, and the forks that it asks for, paint from here on."""
    os.environ[SETTING] = "yes" if wanted else "no"
    viz.painted = PAINTED if wanted else _blank
    Figure.savefig = SAVED if wanted else _save_blank  # type: ignore[method-assign]
    Axis._get_tick = TICK if wanted else _shared_tick
    for (owner, name), usual in zip(UNSEEN, SEEN, strict=True):
        setattr(owner, name, usual if wanted else _nothing)


def _blank(_: Figure) -> bytes:
    return BLANK


def _save_blank(_: Figure, file: os.PathLike[str], **__: object) -> None:
    Path(file).write_bytes(BLANK)


def _nothing(*_: object) -> None:
    """In place of a method."""


def _shared_tick(self: Axis, major: bool) -> Tick:
    settings = self._major_tick_kw if major else self._minor_tick_kw
    key = (type(self), major, *sorted(map(repr, settings.items())))
    if key not in _ticks:
        _ticks[key] = TICK(self, major)
    return _ticks[key]
