"""Lines years away from all others, as a logger writes them before its clock is set, or with a slip: 1970, 2203."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from errors import many
from readers.clock import DAY
from readers.rows import Rows

LEAST, MOST = 50, 0.02  # lines of a row, and how many of them may be such
YEAR, FAR = 365 * DAY, 10  # the least distance, and how many times as long as all others take


def without_stray(rows: Rows) -> tuple[Rows, list[str]]:
    """The rows without such lines, and the warning that tells of them.

    Parameters
    ----------
    rows : N rows of lines, in any order.
    """
    out = np.zeros(len(rows.times), bool)
    for begin, end in rows.spans():
        times = rows.times[begin:end]
        if end - begin >= LEAST and int(np.abs(np.diff(times)).max()) > YEAR:
            out[begin:end] = _stray(times)
    if not out.any() or rows.records is None:
        return rows, []
    kept, at = ~out, int(np.argmax(out))
    offsets = np.concatenate([[0], np.cumsum(kept)])[rows.offsets]
    less = replace(
        rows, values=rows.values[:, kept], times=rows.times[kept], offsets=offsets, records=rows.records[kept]
    )
    told = f"{many(int(out.sum()), 'line')} years away from all others left out: {rows.locate(at)} ({rows.show(at)})"
    return less, [f"warning: {told}{', ...' * (int(out.sum()) > 1)}"]


def _stray(times: np.ndarray) -> np.ndarray:
    """Mask [n] of the times before and after the gaps that are far longer than all that lies between these."""
    few = int(MOST * len(times))
    some = np.sort(times)
    gaps = np.diff(some)
    before = np.flatnonzero(gaps[:few] > YEAR)
    after = len(gaps) - few + np.flatnonzero(gaps[len(gaps) - few :] > YEAR)
    low = some[before[-1] + 1] if len(before) else some[0]
    high = some[after[0]] if len(after) else some[-1]
    shortest = min([*gaps[before[-1:]], *gaps[after[:1]]], default=0)
    out: np.ndarray = (times < low) | (times > high)
    far = float(shortest) > FAR * (float(high) - float(low)) and int(out.sum()) <= few
    return out if far else np.zeros(len(times), bool)
