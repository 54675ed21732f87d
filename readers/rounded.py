"""Times that were rounded when they were written (64 lines a second in whole milliseconds, or a line a minute of which
some have the second before), or that a device was a little early or late with, some lines missing. They are those of
even steps, and are put there. Of those of a device that keeps no time the usual step is found."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from readers.regular import EVEN
from readers.resample import JITTER, SETTLED
from readers.rows import Rows, line_steps
from times.clock import DAY, Clock
from times.frequencies import fixed_freq

SECOND = 10**9  # ns
FINER = 3  # times at least that a step is as long as what it is rounded to
LEAST = 20  # lines of the longest row
MOST_A_SECOND = 5000  # lines
COARSEST = 60 * SECOND  # what times are rounded to; longer steps of several lengths are those of a calendar
WHOLE = (DAY, DAY // 24, DAY // 1440, SECOND)  # units of which a step is rather a multiple than nearly one
FINEST = 10**6  # ns, of a device's own steps
FINE = [count * FINEST for count in (1, 2, 4, 5, 10, 20, 25, 40, 50, 100, 200, 250, 500)]
OF_CALENDAR = 28 * DAY  # months and years are no steps of a device, nor is one of them a little early
UNEVEN, MOSTLY, SPARSE = 0.5, 0.9, 2  # of a step, as far as so many are off; and steps for a line of a row, at most


def on_even_steps(rows: Rows) -> tuple[Rows, str] | None:
    """The same rows with each line where the even steps of its row are.

    Parameters
    ----------
    rows : N rows, in order.

    Returns
    -------
    The rows and a note; None where some line is farther from its step than its time is rounded.
    """
    steps = line_steps(rows)
    begin, end = max(rows.spans(), key=lambda span: span[1] - span[0])
    if end - begin < LEAST or not len(steps) or steps.min() <= 0:
        return None
    unit = int(np.gcd.reduce(steps))
    if unit > COARSEST or steps.max() - steps.min() > 2 * unit:
        return None
    for step in _lengths(rows.times[begin:end], unit):
        if step >= FINER * unit and (times := _placed(rows, step, unit)) is not None:
            clock = Clock(fixed_freq(step))
            told = f"times are rounded to {Clock(fixed_freq(unit))}: they are those of even steps of {clock}"
            return replace(rows, times=times), told
    return None


def usual_clock(rows: Rows) -> Clock | None:
    """The clock of plain steps that are nearly as long as those of lines which a device sends now sooner, now later;
    None where that is not so: where lines are events, or the steps of a calendar.

    Parameters
    ----------
    rows : N rows, in order.
    """
    steps = line_steps(rows)
    if len(steps) < LEAST or steps.min() <= 0:
        return None
    middle = float(np.median(steps))
    plain = min((*EVEN, *FINE), key=lambda length: abs(length - middle))
    near, even = np.abs(steps - middle) < UNEVEN * middle, steps % plain == 0
    spans = [int(rows.times[end - 1] - rows.times[begin]) // plain + 1 for begin, end in rows.spans()]
    sparse = any(count > SPARSE * (end - begin) for count, (begin, end) in zip(spans, rows.spans(), strict=True))
    if near.mean() < MOSTLY or even.mean() > MOSTLY or abs(plain - middle) > UNEVEN / 2 * middle or sparse:
        return None
    return Clock(fixed_freq(plain), rows.tz)


def near_even_steps(rows: Rows) -> tuple[Rows, str] | None:
    """The same rows with each line on an even step that it is near to; steps may lack one.

    They are of a plain length (a minute), or else as long as those of the device that wrote the lines are in the mean.

    Parameters
    ----------
    rows : N rows, in order.

    Returns
    -------
    The rows and a note; None where lines are farther from such steps, two are nearest to one, or all are on them.
    """
    steps = line_steps(rows)
    if len(steps) < LEAST or steps.min() <= 0:
        return None
    middle = float(np.median(steps))
    if middle >= OF_CALENDAR:
        return None
    plain, own = min(EVEN, key=lambda length: abs(length - middle)), _own(rows, steps)
    lengths = dict.fromkeys([plain, *(round(middle / unit) * unit for unit in WHOLE)])
    ways = [(length, _nearest) for length in lengths if length and abs(length - middle) <= JITTER * length]
    ways += [(own, _in_turn)] * (own > 0 and middle < DAY // 2)  # no device's clock loses minutes a day
    for step, place in ways:
        placed = [place(rows.times[begin:end], step) for begin, end in rows.spans()]
        known = [times for times in placed if times is not None]
        if len(known) < len(placed):
            continue
        times = np.concatenate(known)
        far = int(np.abs(times - rows.times).max()) // FINEST * FINEST
        if not far:
            return None
        unit = next((unit for unit in WHOLE if far > 10 * unit), FINEST)  # of which it is told in whole ones
        up_to = Clock(fixed_freq(-(-far // unit) * unit))
        even = Clock(fixed_freq(step))
        return replace(rows, times=times), f"lines up to {up_to} early or late count to the even steps of {even}"
    return None


def _nearest(times: np.ndarray, step: int) -> np.ndarray | None:
    """The even steps nearest to a row's times, from midnight on or from where most times are; None where they are
    farther from them, or two have the same."""
    after, count = np.unique(times % step, return_counts=True)
    for phase in (0, int(after[np.argmax(count)])):
        placed: np.ndarray = (times - phase + step // 2) // step * step + phase
        near = np.abs(placed - times) <= JITTER * step
        if near.mean() >= SETTLED and (np.diff(placed) > 0).all():
            return placed
    return None


def _own(rows: Rows, steps: np.ndarray) -> int:
    """The length of a device's own steps, in ns: that on which the longest row's lines lie best; 0 where the lengths of
    `steps` are not nearly those of some whole ones."""
    middle = float(np.median(steps))
    short = steps[np.abs(steps - middle) <= JITTER * middle]
    if not len(short):  # the median of a year and of five is neither
        return 0
    usual = float(short.mean())
    whole = np.round(steps / usual)
    if ((whole > 0) & (np.abs(steps - whole * usual) <= JITTER * usual)).mean() < SETTLED:
        return 0
    begin, end = max(rows.spans(), key=lambda span: span[1] - span[0])
    counts = _counts(rows.times[begin:end], usual)
    slope = np.polyfit(counts, (rows.times[begin:end] - rows.times[begin]).astype(np.float64), 1)[0]
    return round(float(slope) / FINEST) * FINEST


def _in_turn(times: np.ndarray, step: int) -> np.ndarray | None:
    """The even steps of a row's times, each as many after the last as are nearest; None where one comes to lie a step
    away."""
    counts = _counts(times, step) * step
    placed: np.ndarray = counts + times[0] + int(np.median(times - times[0] - counts)) // FINEST * FINEST
    return placed if np.abs(placed - times).max() < step else None


def _counts(times: np.ndarray, step: float) -> np.ndarray:
    """The number [n] of each line's step, from 0: one more than the last, or as many as the time between is long."""
    between = np.maximum(np.round(np.diff(times) / step), 1).astype(np.int64)
    return np.append(0, np.cumsum(between))


def _lengths(times: np.ndarray, unit: int) -> Iterator[int]:
    """What the step of a row may be, in ns, the plainest first: a usual one, or so many a second, or the mean."""
    count = len(times) - 1
    mean = float(times[-1] - times[0]) / count
    yield from (length for length in EVEN if abs(length - mean) * count <= unit)
    each = round(SECOND / mean)
    if 0 < each <= MOST_A_SECOND and abs(SECOND / each - mean) * count <= unit:
        yield round(SECOND / each)
    yield round(mean)


def _placed(rows: Rows, step: int, unit: int) -> np.ndarray | None:
    """The times [total] on steps of that length from each row's first line on; None where one is a unit away and more,
    but for the first line's own rounding."""
    times = np.empty_like(rows.times)
    for begin, end in rows.spans():
        even = np.arange(end - begin, dtype=np.int64) * step
        off = rows.times[begin:end] - rows.times[begin] - even
        if off.max() - off.min() > unit:
            return None
        times[begin:end] = rows.times[begin] + even
    return times
