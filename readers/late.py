"""Channels that begin long after the others, or end long before them: no window holds steps between, told; and those
without a value in the last part, in which nothing could be scored.
"""

from __future__ import annotations

import shlex
from itertools import pairwise

import numpy as np

from data import Series
from readers.mapped import is_mapped
from readers.paths import abridge

LEAST, SHORTEST = 0.1, 20  # of all steps without one channel, where another one has values; of so many steps at least
MOST_LISTED = 8  # columns of a hint


def without_ended(series: Series, named: set[str]) -> Series:
    """The series without columns of numbers that end in each row before its last tenth, told.

    Parameters
    ----------
    series : of a dated table, all of whose columns were read.
    named : columns that flags name, which stay.
    """
    if series.values.shape[1] < SHORTEST or is_mapped(series.values):
        return series
    last = series.offsets[1:] - 1
    unknown = np.isnan(series.values[: series.numeric, last])
    unknown |= False if series.filled is None else series.filled[: series.numeric, last]
    doubtful = [c for c in np.flatnonzero(unknown.all(axis=1)).tolist() if series.channels[c] not in named]
    ends = {series.channels[c]: end for c in doubtful if (end := _end(series, c)) is not None}
    if not ends or not {*series.channels[: series.numeric]} - {*ends}:
        return series
    shown = dict.fromkeys(ends, "")
    if series.clock is not None and series.time is not None:
        shown = {name: f" (until {series.clock.show(series.time[[end]])[0]})" for name, end in ends.items()}
    told = abridge([f"{name}{until}" for name, until in shown.items()])
    note = f"warning: left out, since without a value in the last tenth of the lines: {told}; --columns reads them too"
    return series.without(ends, note)


def _end(series: Series, channel: int) -> int | None:
    """The last step [total] at which a channel was measured; None where a row has it in its last tenth, or none has."""
    known = ~np.isnan(series.values[channel])
    known &= True if series.filled is None else ~series.filled[channel]
    last = -1
    for begin, end in pairwise(series.offsets.tolist()):
        at = np.flatnonzero(known[begin:end])
        if len(at) and at[-1] + 1 > (1 - LEAST) * (end - begin):
            return None
        last = max(last, begin + int(at[-1])) if len(at) else last
    return last if last >= 0 else None


def late(series: Series) -> list[str]:
    """The warning of channels of numbers that begin late or end early, if there are some.

    Parameters
    ----------
    series : with gaps as they stay.
    """
    names, values = series.channels[: series.numeric], series.values[: series.numeric]
    lost = lost_steps(values, series.offsets)
    kept = [name for c, name in enumerate(names) if c not in lost]
    if not lost or len(lost) == len(values) or not kept:
        return []
    told = abridge([f"{names[c]} {count:,}" for c, count in lost.items()])
    some = f"--columns {shlex.join(kept)}" if len(kept) <= MOST_LISTED else "--columns with the others alone"
    what = f"of {values.shape[1]:,} steps, so many lie before a column's first value or after its last"
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
