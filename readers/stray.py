"""Lines years away from all others, as a logger writes them before its clock is set, or with a slip: 1970, 2203; and
those outside of the hours of a week at which all others come, as of a market that opened early once.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from errors import many
from readers.rows import Rows
from times.clock import DAY, Clock, weekly
from times.hours import MONDAY, WEEK, slots

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
    return _without(rows, out), [f"warning: {_told(rows, out, 'years away from all others')}"]


def without_closed(rows: Rows) -> tuple[Rows, str] | None:
    """The rows without few lines outside of the usual hours of a week, and what to tell; None where there are none.

    Parameters
    ----------
    rows : N rows, in order.
    """
    begin, end = max(rows.spans(), key=lambda span: span[1] - span[0])
    wall = Clock("D", rows.tz).wall(rows.times)
    clock = weekly(wall[begin:end], rows.tz) if end - begin >= LEAST else None
    if clock is None or rows.records is None:
        return None
    usual = clock.freq.partition("@")[2]
    out = ~np.isin((wall - MONDAY) % WEEK, slots(usual, clock.step))
    if not 0 < out.sum() <= MOST * len(out):
        return None
    return _without(rows, out), f"warning: {_told(rows, out, f'outside of the usual hours ({usual})')}"


def _without(rows: Rows, out: np.ndarray) -> Rows:
    """The rows without some lines, by a mask [total]."""
    assert rows.records is not None
    kept = ~out
    offsets = np.concatenate([[0], np.cumsum(kept)])[rows.offsets]
    return replace(
        rows, values=rows.values[:, kept], times=rows.times[kept], offsets=offsets, records=rows.records[kept]
    )


def _told(rows: Rows, out: np.ndarray, where: str) -> str:
    """What to say of lines that are left out, by a mask [total]."""
    at, count = int(np.argmax(out)), int(out.sum())
    return f"{many(count, 'line')} {where} left out: {rows.locate(at)} ({rows.show(at)}){', ...' * (count > 1)}"


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
