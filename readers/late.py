"""Channels that begin long after the others, or end long before them: no window holds steps between, told."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from readers.paths import abridge
from readers.rows import Rows

LEAST, SHORTEST = 0.1, 20  # of all steps without one channel, where another one has values; of so many steps at least
MOST_LISTED = 8  # columns of a hint


def late(rows: Rows, channels: Sequence[str]) -> list[str]:
    """The warning of such channels, if there are some.

    Parameters
    ----------
    rows : values [C, total] with gaps as they stay; of numbers alone.
    channels : the names of the columns, those of the numbers first.
    """
    lost = lost_steps(rows.values, rows.offsets)
    kept = [name for c, name in enumerate(channels) if c not in lost]
    if not lost or len(lost) == len(rows.values) or not kept:
        return []
    told = abridge([f"{channels[c]} {count:,}" for c, count in lost.items()])
    some = f"--columns {shlex.join(kept)}" if len(kept) <= MOST_LISTED else "--columns with the others alone"
    what = f"of {rows.values.shape[1]:,} steps, so many lie before a column's first value or after its last"
    return [f"warning: {what}: {told}; windows there are left out, and {some} keeps them"]


def lost_steps(values: np.ndarray, offsets: np.ndarray) -> dict[int, int]:
    """The numbers of such channels among values [C, total] of rows with `offsets` [N + 1], each with its lost steps."""
    total = values.shape[1]
    lost = {c: _outside(one, offsets) for c, one in enumerate(values)} if total >= SHORTEST else {}
    return {c: count for c, count in lost.items() if LEAST * total <= count < total}


def _outside(values: np.ndarray, offsets: np.ndarray) -> int:
    """How many steps [total] come before the first value of a channel in their row, or after its last."""
    count = 0
    for begin, end in pairwise(offsets.tolist()):
        part = values[begin:end]
        if np.isnan(part[0]) or np.isnan(part[-1]):
            at = np.flatnonzero(~np.isnan(part))
            count += end - begin - int(at[-1] + 1 - at[0]) if len(at) else end - begin
    return count
