"""How the series of training begin, by which files that go on from them are known: next week has the lines of last."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from data import Series

STEPS, LEAST = 24, 8  # of a row's beginning, and different numbers in it: what begins with zeros is known by nothing
MOST, LOOKED_AT = 64, 20_000  # rows that a checkpoint keeps, and of new data that are looked at


def kept(series: Series, channels: Sequence[int]) -> list[str]:
    """What a checkpoint keeps of rows, some from all over them; [] of things, which stand in any order.

    Parameters
    ----------
    series : N rows. channels : the numbers of the model's inputs, in its order.
    """
    rows = np.unique(np.linspace(0, series.n_rows - 1, min(series.n_rows, MOST)).astype(int))
    return [] if series.things is not None else list(filter(None, (_of(series, channels, row) for row in rows)))


def go_on(series: Series, channels: Sequence[int], known: Sequence[str]) -> bool:
    """Whether some rows begin as rows of training did.

    Parameters
    ----------
    series, channels : as in `kept`, of the new data. known : what the checkpoint has.
    """
    if not known or series.things is not None:
        return False
    wanted = {*known}
    return any(_of(series, channels, row) in wanted for row in range(min(series.n_rows, LOOKED_AT)))


def _of(series: Series, channels: Sequence[int], row: int) -> str:
    """The beginning of a row in a few letters; "" where it is short, or too plain to tell it from others."""
    begin, end = (int(at) for at in series.offsets[row : row + 2])
    if end - begin < STEPS:
        return ""
    values = np.stack([series.values[c, begin : begin + STEPS] for c in channels]).astype(np.float32)
    if len(np.unique(values[~np.isnan(values)])) < LEAST:
        return ""
    return hashlib.sha256(np.where(np.isnan(values), 0, values).tobytes()).hexdigest()[:16]
