"""Channels that begin long after the others, or end long before them: no window holds steps between, told; and those
that hardly overlap with them, with which nothing could be learned, or scored.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from data import Series
from readers.mapped import is_mapped
from readers.paths import abridge

HALF = 0.5  # of the steps of a row, before which a column begins that is kept
LEAST, SHORTEST = 0.1, 20  # of all steps without one channel, where another one has values; of so many steps at least
MOST_LISTED = 8  # columns of a hint


def without_partial(series: Series, named: set[str]) -> Series:
    """The series without columns of numbers that begin in no row within its first half, or end in each before its last
    tenth, told: they would leave windows of hardly any part.

    Parameters
    ----------
    series : of a dated table, all of whose columns were read.
    named : columns that flags name, which stay.
    """
    if series.values.shape[1] < SHORTEST or is_mapped(series.values):
        return series
    first, last = _unknown(series, series.offsets[:-1]), _unknown(series, series.offsets[1:] - 1)
    doubtful = np.flatnonzero(first.all(axis=1) | last.all(axis=1)).tolist()
    found = {c: _span(series, c) for c in doubtful if series.channels[c] not in named}
    why = {series.channels[c]: span for c, span in found.items() if span}
    if not why or not {*series.channels[: series.numeric]} - {*why}:
        return series
    told = abridge([f"{name} ({span})" for name, span in why.items()])
    note = f"warning: left out, since without a value in the first half of the lines, or the last tenth: {told}"
    return series.without(why, f"{note}; --columns or --target keeps them{_from_others(series, list(why))}")


def _unknown(series: Series, steps: np.ndarray) -> np.ndarray:
    """Mask [C, n] of the channels of numbers that were not measured at some steps [n]."""
    unknown: np.ndarray = np.isnan(series.values[: series.numeric, steps])
    return unknown if series.filled is None else unknown | series.filled[: series.numeric, steps]


def _from_others(series: Series, lost: Sequence[str]) -> str:
    """How the one column that is lost is forecast where the others go on without it; "" where that is not so."""
    names = series.channels[: series.numeric]
    last = _unknown(series, series.offsets[1:] - 1)
    others = [name for name in names if name not in lost]
    ends = [name for name, unknown in zip(names, last, strict=True) if unknown.all()]
    if len(lost) != 1 or ends != [*lost] or last.sum() > series.n_rows or not 0 < len(others) <= MOST_LISTED:
        return ""
    return f"; --target {shlex.quote(lost[0])} --known-future {shlex.join(others)} forecasts it from the others"


def _span(series: Series, channel: int) -> str:
    """From when on, or until when, a channel was measured, where it begins late or ends early in each row that has it;
    "" for another one."""
    known = ~np.isnan(series.values[channel])
    known &= True if series.filled is None else ~series.filled[channel]
    begins, ends = list[int](), list[int]()
    late, early = True, True
    for begin, end in pairwise(series.offsets.tolist()):
        at = begin + np.flatnonzero(known[begin:end])
        if len(at):
            late &= bool(at[0] - begin >= HALF * (end - begin))
            early &= bool(at[-1] + 1 - begin <= (1 - LEAST) * (end - begin))
            begins, ends = [*begins, int(at[0])], [*ends, int(at[-1])]
    if not begins or not (late or early):
        return ""
    word, step = ("until", max(ends)) if early else ("from", min(begins))
    if series.clock is None or series.time is None:
        return f"{word} line {step + 1}"
    return f"{word} {series.clock.show(series.time[[step]])[0]}"


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
    more = _from_others(series, [names[c] for c in lost])
    return [f"warning: {what}: {told}; windows there are left out, and {some} keeps them{more}"]


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
