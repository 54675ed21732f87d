"""Lines without a value before the first one of a row or after its last: those of a year that is not yet over; and
those between steps, as a logger writes them when it is read out or a button is pressed.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from errors import many
from readers.mapped import taken
from readers.paths import abridge
from readers.rows import Rows

LEAST = 20  # steps between lines with values that are even


def without_blank_ends(rows: Rows, policy: str) -> tuple[Rows, list[str]]:
    """The rows from their first line with a value to their last, and a note; a row without any value stays.

    Parameters
    ----------
    rows : N rows, each in the order of time.
    policy : of missing values, `--nan`: where it refuses them, or sets them to 0, all lines stay.
    """
    starts = rows.offsets[:-1]
    if policy in ("error", "zero") or not (_is_blank_at(rows, starts) or _steps_differ(rows)):
        return rows, []
    known = _known(rows)
    keep = np.ones(len(known), bool)
    cut: dict[str, int] = {}
    between = 0
    for row in range(len(rows.names)):
        begin, end = int(rows.offsets[row]), int(rows.offsets[row + 1])
        at = np.flatnonzero(known[begin:end])
        if not len(at):
            continue
        first, last = int(at[0]), int(at[-1])
        off = _between(rows.times[begin + first : begin + last + 1], known[begin + first : begin + last + 1])
        keep[begin : begin + first] = keep[begin + last + 1 : end] = False
        keep[begin + first : begin + last + 1] &= ~off
        between += int(off.sum())
        if outside := end - begin - (last + 1 - first):
            cut[rows.names[row]] = outside
    if not cut and not between:
        return rows, []
    return _kept(rows, keep), _told(cut, between)


def _is_blank_at(rows: Rows, starts: np.ndarray) -> bool:
    """Whether some value is missing in the first lines of rows or in their last ones."""
    return bool(np.isnan(rows.values[:, [*starts, *(rows.offsets[1:] - 1)]]).any())


def _steps_differ(rows: Rows) -> bool:
    """Whether the first row has lines at several distances, and one of them lacks a value."""
    begin, end = int(rows.offsets[0]), int(rows.offsets[1])
    steps = np.diff(rows.times[begin:end])
    return len(steps) > 1 and bool((steps != steps[0]).any()) and bool(np.isnan(rows.values[:, begin:end]).any())


def _between(times: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Mask [n] of the lines without a value that lie between the even steps of the others."""
    steps = np.diff(times[known])
    none = np.zeros(len(times), bool)
    if known.all() or len(steps) < LEAST or (steps <= 0).any() or (steps % steps.min()).any():
        return none
    off: np.ndarray = ~known & ((times - times[0]) % steps.min() != 0)
    return off


def _told(cut: dict[str, int], between: int) -> list[str]:
    notes = [f"{many(between, 'line')} without a value between the steps of the others left out"] * bool(between)
    if not cut:
        return notes
    listed = abridge([f"{name} {many(count, 'line')}" for name, count in cut.items()])
    total = many(sum(cut.values()), "line")
    return [f"{total} without a value before the first one or after the last left out: {listed}", *notes]


def _kept(rows: Rows, keep: np.ndarray) -> Rows:
    """The rows with these lines alone, bool [total]."""
    return replace(
        rows,
        values=taken(rows.values, np.flatnonzero(keep)),
        times=rows.times[keep],
        offsets=np.concatenate([[0], np.cumsum(np.add.reduceat(keep, rows.offsets[:-1], dtype=np.int64))]),
        records=None if rows.records is None else rows.records[keep],
        made=None if rows.made is None else rows.made[keep],
    )


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
