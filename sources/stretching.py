"""Rows of different length as windows of one length: each is stretched or shrunk to it, on straight lines from step to
step.

A label of a whole row is about all of it. What the rows have in common is not their first steps, but where they begin
and end.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from data import Series


def usual_length(series: Series) -> int:
    """The median length of the rows, which one that is far longer than the others does not change."""
    return max(int(np.median(series.lengths)), 1)


def stretched(series: Series, length: int) -> Series:
    """The series with `length` steps in each row, the first and the last of them where they were.

    A step between one that is known and one that is missing is missing. The steps have no times any more.
    """
    assert series.lengths.all()
    last = series.lengths - 1
    place = last[:, None] * (np.arange(length) / max(length - 1, 1))
    inside = np.minimum(np.floor(place).astype(np.int64), last[:, None])
    share = (place - inside).ravel()
    before = (series.offsets[:-1, None] + inside).ravel()
    after = (series.offsets[:-1, None] + np.minimum(inside + 1, last[:, None])).ravel()
    values = series.values[:, before]
    between = np.flatnonzero(share)
    step = series.values[:, after[between]] - values[:, between]
    values[:, between] += (step * share[between]).astype(values.dtype)
    filled = None if series.filled is None else series.filled[:, before]
    if filled is not None and series.filled is not None:
        filled[:, between] |= series.filled[:, after[between]]
    offsets = np.arange(series.n_rows + 1) * length
    return replace(series, values=values, offsets=offsets, time=None, clock=None, filled=filled)
