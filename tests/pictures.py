"""Pictures that are made and not painted, which would be most of the time of a small run."""

from __future__ import annotations

import base64
import os
from pathlib import Path

from matplotlib.figure import Figure

import viz

# A PNG of one pixel.
BLANK = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP4DwABAQEAsTj2FAAAAABJRU5ErkJggg==")
SETTING = "TSRUN_TESTS_PAINT"  # "no": forks of the fork server do not paint
PAINTED, SAVED = viz.painted, Figure.savefig


def paint(*, wanted: bool) -> None:
    """Whether this process, and the forks that it asks for, paint from here on."""
    os.environ[SETTING] = "yes" if wanted else "no"
    viz.painted = PAINTED if wanted else _blank
    Figure.savefig = SAVED if wanted else _save_blank  # type: ignore[method-assign]


def _blank(_: Figure) -> bytes:
    return BLANK


def _save_blank(_: Figure, file: os.PathLike[str], **__: object) -> None:
    Path(file).write_bytes(BLANK)
