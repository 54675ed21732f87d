"""Rows that are regular but for a few lines that are missing or come twice, made regular."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain

import numpy as np

from readers.missing import MOST_PAUSES, PAUSE
from readers.paths import abridge
from readers.regular import HEADS, common_clock, no_weekend
from readers.rows import MOST_TWICE, Rows, by_time, clock_change, usual_step
from times.clock import DAY, Clock, infer_clock, weekly
from times.frequencies import fixed_freq

MOST = 0.02  # of a row's lines may be missing
GAPPY = 0.5  # where `--nan` says what gaps are, or leaves them
WITH_PAUSES = 10  # times as many steps as lines, at most
SPARSE = 10  # and in one of several rows, as long as all together have no more
HOLIDAYS, FROM = 0.05, 100  # of business days or open hours, from so many on, may be missing


def on_changed_clocks(rows: Rows, policy: str) -> tuple[Rows, Clock, list[str]] | None:
    """Rows in which clocks seem to be changed, though in no zone that is known, on the clock of a wall: the double hour
    becomes one, the missing one a gap.

    Parameters
    ----------
    rows : sorted by row. policy : of missing values, `--nan`.

    Returns
    -------
    The rows, their clock and notes; None where clocks are not changed, or more is not in order.
    """
    if rows.tz or not any(_changed(rows, begin, end) for begin, end in rows.spans()):
        return None
    made = mended(by_time(rows), policy, changed=True)
    if made is None:
        return None
    told = "clocks seem to be changed in these times, but no zone fits: an hour that comes twice becomes one"
    told += ", one that is left out gets a line"
    return made[0], common_clock(made[0]), [told, *made[1]]


def _changed(rows: Rows, begin: int, end: int) -> bool:
    """Whether an odd step of a row is that of a night in which clocks are changed."""
    steps = np.diff(rows.times[begin:end])
    usual = usual_step(steps)
    return any(clock_change(rows, begin + at + 1, usual) for at in np.flatnonzero(steps != usual).tolist())


def mended(rows: Rows, policy: str, *, changed: bool = False) -> tuple[Rows, list[str]] | None:
    """The rows on their clocks: lines of one time become their mean, and a step without a line gets one.

    Parameters
    ----------
    rows : sorted, with values [C, total].
    policy : of missing values, `--nan`. Under error a new step repeats the values before it, and counts as made up;
        under auto, too, where they are few. Else it is missing, and treated as the policy says; up to GAPPY may be,
        and pauses.
    changed : whether an hour may be missing, or come twice, because clocks were changed.

    Returns
    -------
    The rows with values [C, total'], and notes; None where more than a few lines are not in order, or clocks may have
    been changed.
    """
    kinds = ("error", "auto") if policy == "auto" else (policy,)
    return next((made for kind in kinds if (made := _regular(rows, kind, changed))), None)


def _regular(rows: Rows, policy: str, changed: bool) -> tuple[Rows, list[str]] | None:
    """`mended` under one policy: error for few steps without a line, any other for more."""
    starts = rows.offsets[:-1]
    steps = np.diff(rows.times, prepend=rows.times[0])
    steps[starts] = 1
    if (steps < 0).any():
        return None
    usual: list[Clock] = []
    if policy != "error" and len(rows.names) > 1:  # in what the longest one shows, short ones go on as well
        begin, end = max(rows.spans(), key=lambda span: span[1] - span[0])
        usual = list(_clocks(np.unique(rows.times[begin:end]), rows.tz))
    axes = [_axis(rows, begin, end, policy, changed, usual) for begin, end in rows.spans()]
    known = [axis for axis in axes if axis is not None]
    if len(known) < len(axes) or (usual and sum(map(len, known)) > (1 + GAPPY) * len(rows.times)):
        return None
    offsets = np.concatenate([[0], np.cumsum([len(axis) for axis in known])])
    at = np.concatenate(
        [
            offsets[row] + np.searchsorted(axis, rows.times[begin:end])
            for row, (axis, (begin, end)) in enumerate(zip(known, rows.spans(), strict=True))
        ]
    )
    made = np.ones(offsets[-1], bool)
    made[at] = False
    values = np.full((len(rows.values), offsets[-1]), np.nan)
    values[:, at] = rows.values
    doubled = np.unique(at[np.flatnonzero(steps == 0)])
    if len(doubled):
        values[:, doubled] = _means(rows, at, doubled)
    if policy == "error":
        values[:, made] = values[:, np.maximum.accumulate(np.where(made, 0, np.arange(len(made))))[made]]
    regular = replace(
        rows,
        values=values.astype(rows.values.dtype, copy=False),
        times=np.concatenate(known),
        offsets=offsets,
        records=None,
        made=made if policy == "error" and made.any() else None,
    )
    return regular, _notes(regular, np.flatnonzero(made), doubled, policy)


def _means(rows: Rows, at: np.ndarray, doubled: np.ndarray) -> np.ndarray:
    """The mean of the lines of each of some steps [C, d], of what is known; of categories, which have none, the first.

    at : [total], the step of each line, which goes up. doubled : [d], those of several lines.
    """
    lines = np.flatnonzero(np.isin(at, doubled))
    begins = np.flatnonzero(np.diff(at[lines], prepend=-1))
    same = rows.values[:, lines].astype(np.float64)
    given = ~np.isnan(same)
    count = np.add.reduceat(given, begins, axis=1, dtype=np.int64)
    total = np.add.reduceat(np.where(given, same, 0), begins, axis=1)
    means: np.ndarray = np.where(count, total / np.maximum(count, 1), np.nan)
    means[rows.numeric :] = same[rows.numeric :, begins]
    return means


def _repeated(rows: Rows, begin: int, end: int) -> int:
    """How many of a row's lines say at a time what the line before says of it: one in other words, or sent again."""
    again = begin + 1 + np.flatnonzero(np.diff(rows.times[begin:end]) == 0)
    here, before = rows.values[:, again], rows.values[:, again - 1]
    return int(((here == before) | (np.isnan(here) & np.isnan(before))).all(axis=0).sum())


def _axis(
    rows: Rows, begin: int, end: int, policy: str, changed: bool, others: Sequence[Clock] = ()
) -> np.ndarray | None:
    """The regular times, int64 ns, on which those of a row lie; None where they are on none, or too few.

    `others` are the clocks of rows beside it.
    """
    times = np.unique(rows.times[begin:end])
    twice = end - begin - len(times)
    if twice > int(MOST_TWICE * (end - begin)) < twice - _repeated(rows, begin, end):
        return None
    steps = np.diff(rows.times[begin:end])
    usual = usual_step(steps)
    for k in np.flatnonzero(steps != usual).tolist():
        if not changed and clock_change(rows, begin + k + 1, usual):
            return None
    for clock in chain(others, _clocks(times, rows.tz)):  # these are slow to find
        closes = clock.freq == "B" or bool(clock.hours)
        few = HOLIDAYS if closes and end - begin >= FROM else MOST
        share = few if policy == "error" else SPARSE if others else GAPPY
        most = int(share * (end - begin)) + (_in_pauses(np.diff(times), clock.step) if share == GAPPY else 0)
        count = min(len(times) + most, (int(times[-1]) - int(times[0])) // clock.step + 2)
        axis: np.ndarray = np.append(times[0], clock.reach(int(times[0]), count - 1))
        axis = axis[axis <= times[-1]]
        if axis[-1] == times[-1] and len(axis) <= len(times) + most and np.isin(times, axis, assume_unique=True).all():
            return axis
    return None


def _in_pauses(steps: np.ndarray, step: int) -> int:
    """How many steps of a clock lie within pauses, of `steps` [n] from one time to the next: a device that was switched
    off for two weeks is no less regular for it. 0 where pauses are many, or too long for a table of their steps."""
    pauses = steps[steps > PAUSE * step]
    count = int(pauses.sum() // step)
    return count if len(pauses) <= MOST_PAUSES * len(steps) and count < (WITH_PAUSES - 1) * len(steps) else 0


def _clocks(times: np.ndarray, tz: str) -> Iterator[Clock]:
    """What the clock of different times may be, the likeliest first."""
    if len(times) < min(HEADS):
        return
    whole = infer_clock(times, tz)
    if whole is not None:
        yield whole
    wall = Clock("D", tz).wall(times)
    days = usual_step(np.diff(wall))
    if days % DAY == 0 and days:
        if days == DAY and no_weekend(wall):
            yield Clock("B", tz)
        yield Clock(f"{days // DAY}D", tz)
    else:
        yield Clock(fixed_freq(usual_step(np.diff(times))), tz)
    for size in HEADS:
        for start in (0, (len(times) - size) // 2, len(times) - size):  # some are whole, where gaps are few
            head = infer_clock(times[max(start, 0) :][:size], tz)
            if head is not None and head.named:
                yield head
    open_ = weekly(wall, tz)
    if open_ is not None:
        yield open_


def _notes(rows: Rows, made: np.ndarray, doubled: np.ndarray, policy: str) -> list[str]:
    """What was done, a line for each kind."""
    show = [[f"{rows.names[rows.row(at)]} {rows.show(at)}" for at in part.tolist()] for part in (made, doubled)]
    notes = []
    if len(made):
        done = "repeats the values before it, which is never scored" if policy == "error" else "counts as missing"
        each = "a step without a line" if len(made) == 1 else f"each of {len(made):,} steps without a line"
        notes.append(f"{each} {done}: {abridge(show[0])}")
    if len(doubled):
        each = "a time comes twice" if len(doubled) == 1 else f"{len(doubled):,} times come twice"
        notes.append(f"{each}, and the mean of its lines is taken: {abridge(show[1])}")
    return notes
