"""The scale of each series: how far the seasonal-naive forecast is off within it.

It is the denominator of MASE, series by series (Hyndman and Koehler 2006, Another look at measures of forecast
accuracy, equation 7), and what the margins of intervals are in proportion to.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from readers.mapped import like
from tasks.predictions import EvalContext
from tasks.targets import Course
from windows import Index

MOST_NAMED = 10  # series listed in a summary
AT_ONCE = 1 << 16  # values scaled at once
LATEST_CYCLES, LATEST_STEPS = 3, 8  # before an origin


def naive_errors(values: np.ndarray, known: Iterable[np.ndarray], offsets: np.ndarray, lag: int) -> np.ndarray:
    """The mean absolute difference of steps that are `lag` steps apart in one row, float64 [N, K]; NaN where none are.

    Parameters
    ----------
    values : [K, total]; known : K masks [total] of what may be compared, which are asked for one by one.
    offsets : int64 [N + 1], where each row begins and ends.
    lag : steps, on the rows' regular axis.
    """
    rows = len(offsets) - 1
    row = np.repeat(np.arange(rows), np.diff(offsets))
    found = np.full((rows, len(values)), np.nan)
    for k, (channel, usable) in enumerate(zip(values, known, strict=True)):
        pair = usable[lag:] & usable[:-lag] & (row[lag:] == row[:-lag])
        off = np.abs(channel[lag:][pair].astype(np.float64) - channel[:-lag][pair])
        count = np.bincount(row[lag:][pair], minlength=rows)
        total = np.bincount(row[lag:][pair], off, minlength=rows)
        np.divide(total, count, out=found[:, k], where=count > 0)
    return found


def scales(eval_context: EvalContext, lag: int, std: Sequence[float]) -> np.ndarray:
    """The scale of each of N series and K channels, standardised: float64 [N, K].

    Of the steps that training saw; of a series without such steps (another file, a row of another split), of all that
    was measured of it. NaN where not even one pair of steps is a lag apart, 0 for a series that repeats itself.
    """
    targets, offsets = eval_context.targets, eval_context.series.offsets
    assert targets is not None
    values, filled = targets.values, targets.filled

    def known(seen: np.ndarray | None) -> Iterator[np.ndarray]:
        for k, channel in enumerate(values):
            mask = np.isfinite(channel)
            mask &= True if seen is None else seen
            yield mask if filled is None else mask & ~filled[k]

    found = np.full((len(offsets) - 1, len(values)), np.nan)
    if eval_context.train is not None:
        total = values.shape[1]
        seen = eval_context.train.covered(total) | eval_context.train.targeted(total)
        found = naive_errors(values, known(seen), offsets, lag)
    if np.isnan(found).any():
        found = np.where(np.isnan(found), naive_errors(values, known(None), offsets, lag), found)
    scaled: np.ndarray = found / np.asarray(std)
    return scaled


def sizes_at(eval_context: EvalContext, scale: np.ndarray, index: Index, lag: int, std: Sequence[float]) -> np.ndarray:
    """How far the errors of windows reach: half the scale [N, K] of their series, half that of its latest steps [n, K].

    Those are the last LATEST cycles (or steps) before each window's target, so that what grows has wider margins.
    """
    targets, offsets = eval_context.targets, eval_context.series.offsets
    assert targets is not None
    rows = index.rows()
    last = index.starts() + index.length
    first = np.maximum(last - max(LATEST_CYCLES * lag, LATEST_STEPS), offsets[rows] + lag)
    first = np.minimum(first, last)  # of a row shorter than a cycle nothing is known
    found = np.empty((len(rows), len(scale[0])))
    for k, values in enumerate(targets.values):
        off = np.zeros(len(values))
        off[lag:] = np.abs(values[lag:].astype(np.float64) - values[:-lag])
        known = np.isfinite(off)
        total = np.concatenate([[0], np.cumsum(np.where(known, off, 0))])
        count = np.concatenate([[0], np.cumsum(known)])
        steps, sums = count[last] - count[first], total[last] - total[first]
        found[:, k] = np.divide(sums, steps, out=np.full(len(rows), np.nan), where=steps > 0) / std[k]
    usual = scale[rows]
    mixed: np.ndarray = np.where(np.isfinite(found), (usual + found) / 2, usual)
    return mixed


def described(eval_context: EvalContext, scale: np.ndarray, rows: np.ndarray, lag: int) -> dict[str, Any]:
    """What the summary says of the scale [N, K] by which the errors of the windows of `rows` [n] were divided."""
    scored = np.unique(rows)
    without = [eval_context.series.rows[row] for row in scored if not (scale[row] > 0).any()]
    return {
        "scaled_by": "the seasonal-naive error within each series, in training where it has a part there; "
        "then the mean over series and channels (Hyndman and Koehler 2006)",
        "lag": lag,
        "series": len(scored),
        "undefined": {"series": len(without), "first": without[:MOST_NAMED]},
    }


def moments(values: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation of values [n], NaN left out."""
    if np.isnan(np.add.reduce(values)):
        return float(np.nanmean(values)), float(np.nanstd(values))
    return float(values.mean()), float(values.std())


def standardised(raw: np.ndarray, mean: Sequence[float], std: Sequence[float]) -> np.ndarray:
    """Raw values [..., K, H] on the scale of training, float32; `mean` and `std` are those of K channels."""
    shift, scale = (np.asarray(part, np.float64) for part in (mean, std))
    scaled = np.empty(raw.shape, np.float32)
    steps = raw.shape[-1]
    count = math.prod(raw.shape[:-1])  # not -1: there may be no step
    lines, made = (part.reshape(count, steps) for part in (raw, scaled))
    block = max(AT_ONCE // max(steps, 1), 1)
    for begin in range(0, count, block):  # float64 of a block stays in the cache, of all of them it would not fit
        at = slice(begin, begin + block)
        channel = np.arange(count)[at] % len(shift)
        made[at] = (lines[at] - shift[channel, None]) / scale[channel, None]
    return scaled


def course_standardised(course: Course, mean: Sequence[float], std: Sequence[float]) -> np.ndarray:
    """Every step that is seen of K targets on the scale of training: float32 [1, K, steps]."""
    count = int(course.seen.sum())
    made = like(course.values, (1, len(course.values), count))
    block = max(AT_ONCE // max(count, 1), 1)
    for begin in range(0, len(course.values), block):
        part = slice(begin, begin + block)
        made[0, part] = standardised(course.values[part][:, course.seen], mean[part], std[part])
    return made
