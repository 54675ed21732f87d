"""Lines without a value before the first one of a row or after its last: those of a year that is not yet over."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from errors import many
from readers.mapped import taken
from readers.paths import abridge
from readers.rows import Rows


def without_blank_ends(rows: Rows, policy: str) -> tuple[Rows, list[str]]:
    """The rows from their first line with a value to their last, and a note; a row without any value stays.

    Parameters
    ----------
    rows : N rows, each in the order of time.
    policy : of missing values, `--nan`: where it refuses them, or sets them to 0, all lines stay.
    """
    starts = rows.offsets[:-1]
    if policy in ("error", "zero") or not np.isnan(rows.values[:, [*starts, *(rows.offsets[1:] - 1)]]).any():
        return rows, []
    known = _known(rows)
    keep = np.ones(len(known), bool)
    cut: dict[str, int] = {}
    for row in np.flatnonzero(~known[starts] | ~known[rows.offsets[1:] - 1]).tolist():
        begin, end = int(rows.offsets[row]), int(rows.offsets[row + 1])
        at = np.flatnonzero(known[begin:end])
        if len(at):
            keep[begin : begin + at[0]] = keep[begin + at[-1] + 1 : end] = False
            cut[rows.names[row]] = end - begin - int(at[-1] + 1 - at[0])
    if not cut:
        return rows, []
    left = replace(
        rows,
        values=taken(rows.values, np.flatnonzero(keep)),
        times=rows.times[keep],
        offsets=np.concatenate([[0], np.cumsum(np.add.reduceat(keep, rows.offsets[:-1], dtype=np.int64))]),
        records=None if rows.records is None else rows.records[keep],
        made=None if rows.made is None else rows.made[keep],
    )
    listed = abridge([f"{name} {many(count, 'line')}" for name, count in cut.items()])
    total = many(sum(cut.values()), "line")
    return left, [f"{total} without a value before the first one or after the last left out: {listed}"]


def _known(rows: Rows) -> np.ndarray:
    """Whether a line has a value, bool [total], of a channel that is not the same in all lines of its row."""
    known = np.zeros(rows.values.shape[1], bool)
    starts = rows.offsets[:-1]
    for channel in rows.values:
        given = ~np.isnan(channel)
        same = np.fmin.reduceat(channel, starts) == np.fmax.reduceat(channel, starts)
        same &= np.logical_and.reduceat(given, starts)
        known |= given & ~np.repeat(same, rows.lengths)
    return known
