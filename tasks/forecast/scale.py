"""The scale of each series: how far the seasonal-naive forecast is off within it.

It is the denominator of MASE, series by series (Hyndman and Koehler 2006, Another look at measures of forecast
accuracy, equation 7), and what the margins of intervals are in proportion to.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from readers.mapped import is_mapped
from readers.paths import abridge
from tasks.predictions import EvalContext
from tasks.targets import Course
from windows import Index

MOST_NAMED = 10  # series listed in a summary
AT_ONCE = 1 << 16  # values scaled at once
PIECES_AT_ONCE = 1000
CYCLES, STEPS = 3, 8  # before an origin, that its level is the mean of; STEPS or a cycle are a block
USUAL_POWER, DOUBT = 0.5, 0.5  # of the level, before the blocks say more, and the deviation of that
NOISE = 1.4  # the variance of the log of the mean of n changes is about NOISE / n, as n neighbours are alike
FARTHEST = 10.0  # from its usual level, that counts
LATEST, MANY = 0.5, 15  # of the square of a size, from the latest changes, and of how many series
CALM, SOME = 0.9, 20_000  # of the windows so far, whose latest changes are nothing unusual; and how many are looked at


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
    values, seen = targets.values, _seen(eval_context)
    found = np.full((len(offsets) - 1, len(values)), np.nan)
    if seen is not None:
        found = naive_errors(values, _known(eval_context, seen), offsets, lag)
    if np.isnan(found).any():
        found = np.where(np.isnan(found), naive_errors(values, _known(eval_context), offsets, lag), found)
    scaled: np.ndarray = found / np.asarray(std)
    return scaled


def _seen(eval_context: EvalContext) -> np.ndarray | None:
    """The steps that training saw, mask [total]; None where the data are not those of training."""
    if eval_context.train is None or eval_context.targets is None:
        return None
    total = eval_context.targets.values.shape[1]
    mask: np.ndarray = eval_context.train.covered(total) | eval_context.train.targeted(total)
    return mask


def _known(eval_context: EvalContext, seen: np.ndarray | None = None) -> Iterator[np.ndarray]:
    """Of each channel the steps that were measured, of those `seen`: masks [total]."""
    targets = eval_context.targets
    assert targets is not None
    for k, channel in enumerate(targets.values):
        mask = np.isfinite(channel)
        mask &= True if seen is None else seen
        yield mask if targets.filled is None else mask & ~targets.filled[k]


def powers(eval_context: EvalContext, lag: int) -> list[float]:
    """The power of a series' level that its changes are in proportion to, of each channel [K]: from 0 to 1.

    The slope of the log of changes (a lag apart) over that of the level, in blocks of training within each series,
    drawn towards the square root, as of counts. 0 for a channel that is below 0 somewhere, whose level means nothing,
    and where values are mapped, of which no copy fits in memory.
    """
    targets, offsets = eval_context.targets, eval_context.series.offsets
    assert targets is not None
    if is_mapped(targets.values):
        return [0.0] * len(targets.values)
    size, rows = max(lag, STEPS), len(offsets) - 1
    row = np.repeat(np.arange(rows), np.diff(offsets))
    first = np.cumsum(np.concatenate([[0], -(-np.diff(offsets) // size)]))  # block of each row
    block = first[row] + (np.arange(len(row)) - offsets[row]) // size
    owner = np.repeat(np.arange(rows), np.diff(first))
    found = []
    for channel, known in zip(targets.values, _known(eval_context, _seen(eval_context)), strict=True):
        if not known.any() or channel[known].min() < 0:
            found.append(0.0)
            continue
        late = lag + np.flatnonzero(known[lag:] & known[:-lag] & (row[lag:] == row[:-lag]))
        y, before = channel[late].astype(np.float64), channel[late - lag].astype(np.float64)
        change, level = (_means(part, block[late], first[-1]) for part in (np.abs(y - before), (y + before) / 2))
        whole = (2 * np.bincount(block[late], minlength=first[-1]) >= size) & (change > 0) & (level > 0)
        found.append(_slope(np.log(level[whole]), np.log(change[whole]), owner[whole], size))
    return found


def _means(values: np.ndarray, group: np.ndarray, groups: int) -> np.ndarray:
    """The mean of the values [n] of each group; NaN of none."""
    count = np.bincount(group, minlength=groups)
    total = np.bincount(group, values, minlength=groups)
    mean: np.ndarray = np.divide(total, count, out=np.full(groups, np.nan), where=count > 0)
    return mean


def _slope(level: np.ndarray, change: np.ndarray, row: np.ndarray, size: int) -> float:
    """How logs of changes [n] follow those of levels [n] within rows [n], each of a block of `size` steps."""
    x, y = (part - _means(part, row, int(row.max(initial=0)) + 1)[row] for part in (level, change))
    precision = size / NOISE
    slope = (precision * (x * y).sum() + USUAL_POWER / DOUBT**2) / (precision * (x**2).sum() + 1 / DOUBT**2)
    return float(np.clip(slope, 0, 1))


def followed(eval_context: EvalContext, lag: int) -> dict[str, Any]:
    """What margins follow, for the calibration: {"power": of the level, by channel [K]; "latest": see `sizes_at`}.

    The latest changes of one series say little about the next; those of MANY, whose margins are chosen together, do.
    """
    power = powers(eval_context, lag)
    assert eval_context.targets is not None
    many = (len(eval_context.series.offsets) - 1) * len(power) >= MANY and not is_mapped(eval_context.targets.values)
    return {"power": power, "latest": LATEST if many else 0.0}


def sizes_at(
    eval_context: EvalContext, scale: np.ndarray, index: Index, lag: int, how: Mapping[str, Any]
) -> np.ndarray:
    """How far the errors of windows reach, [n, K]: the scale [N, K] of their series times a power of its level.

    The level is the mean of the last CYCLES cycles (or STEPS steps) before each window's target, over that of the steps
    that the scale is from: what grows has wider margins. A share `latest` of the square comes from the changes (a lag
    apart) of these last steps themselves. Where these are more times as large as this size than they are at `calm`
    times, it grows with them. `how` is a calibration, with what `followed` and `calm` give.
    """
    targets, offsets = eval_context.targets, eval_context.series.offsets
    assert targets is not None
    rows, seen = index.rows(), _seen(eval_context)
    last = index.starts() + index.length
    first = np.maximum(last - max(CYCLES * lag, STEPS), offsets[rows])
    found: np.ndarray = scale[rows]
    none = [0.0] * scale.shape[1]
    power, latest, usual = how.get("power") or none, how.get("latest", 0.0), how.get("calm") or none
    if not (any(power) or latest or any(usual)):
        return found
    row = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    seen = np.ones(len(row), bool) if seen is None else seen
    before = np.maximum(np.arange(len(row)) - lag, 0)
    for k, known in enumerate(_known(eval_context)):
        y = np.where(known, targets.values[k], 0).astype(np.float64)
        square = np.ones(len(rows))
        if power[k]:
            square = _of_late(y, known, known & seen, row, rows, first, last) ** (2 * power[k])
        if latest or usual[k]:
            pair = known & known[before] & (row == row[before]) & (np.arange(len(row)) >= lag)
            change = np.where(pair, np.abs(y - y[before]), 0)
            own = _of_late(change, pair, pair & seen & seen[before], row, rows, first, last)
            square = (1 - latest) * square + latest * own**2
            if usual[k]:
                square *= np.clip(own / np.sqrt(square) / usual[k], 1, FARTHEST) ** 2
        found[:, k] *= np.sqrt(square)
    return found


def calm(
    eval_context: EvalContext, scale: np.ndarray, index: Index, lag: int, how: Mapping[str, Any]
) -> dict[str, list[float]]:
    """{"calm": how many times as large as the size of windows their latest changes are at CALM of them at most, [K]}.

    The windows are those of training and of `index`, on which margins are chosen: these say nothing of a wilder time,
    which has wider ones, in proportion. 0 for a channel in which nothing changes. None of many series, which follow
    the latest changes in any case.
    """
    assert eval_context.targets is not None
    if how.get("latest") or is_mapped(eval_context.targets.values):
        return {}
    every = [index] if eval_context.train is None else [eval_context.train, index]
    stride = -(-sum(map(len, every)) // SOME)
    parts = [part.part(np.arange(0, len(part), stride)) for part in every]
    late, size = (
        np.concatenate([sizes_at(eval_context, scale, part, lag, which) for part in parts])
        for which in ({"latest": 1.0}, how)
    )
    ratio = np.divide(late, size, out=np.full_like(size, np.nan), where=size > 0)
    known = [column[np.isfinite(column)] for column in ratio.T]
    return {"calm": [float(np.quantile(column, CALM)) if len(column) else 0.0 for column in known]}


def _of_late(
    values: np.ndarray,
    known: np.ndarray,
    usual: np.ndarray,
    row: np.ndarray,
    rows: np.ndarray,
    first: np.ndarray,
    last: np.ndarray,
) -> np.ndarray:
    """The mean of what is known of values [total] in steps [first, last) [n], over that of the usual ones in their rows
    (of all known ones where there are none): [n], 1 where nothing is known.
    """
    total, count = (np.concatenate([[0], np.cumsum(part)]) for part in (values, known))
    every, of_usual = (_means(values[mask], row[mask], int(row[-1]) + 1) for mask in (known, usual))
    mean = np.where(np.isfinite(of_usual), of_usual, every)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = (total[last] - total[first]) / (count[last] - count[first]) / mean[rows]
    found: np.ndarray = np.where(np.isfinite(ratio), np.clip(ratio, 1 / FARTHEST, FARTHEST), 1)
    return found


def described(eval_context: EvalContext, scale: np.ndarray, rows: np.ndarray, lag: int) -> dict[str, Any]:
    """What the summary says of the scale [N, K] by which the errors of the windows of `rows` [n] were divided."""
    scored = np.unique(rows)
    without = [eval_context.series.rows[row] for row in scored[~(scale[scored] > 0).any(axis=1)].tolist()]
    return {
        "scaled_by": "the seasonal-naive error within each series, in training (the steps that its windows see) "
        "where it has a part there; then the mean over series and channels (Hyndman and Koehler 2006)",
        "lag": lag,
        "series": len(scored),
        "undefined": {"series": len(without), "first": without[:MOST_NAMED]},
        **({"in_words": _without_scale(without, len(scored))} if without else {}),
    }


def _without_scale(rows: Sequence[str], scored: int) -> str:
    """Why mase and crps are undefined, of all series that are scored or of some."""
    why = "no two measured values a season apart differ, so there is nothing to divide errors by"
    if len(rows) == scored:
        return f"mase and crps are undefined: {why}"
    return f"mase and crps are those of other series than {abridge(rows)}, where {why}"


@dataclass(frozen=True)
class OnScale:
    """A course on the scale of training, of which hardly anything is ever asked: it is not made.

    course : every step that training, validation or test sees.
    mean, std : of the K targets in training.
    """

    course: Course
    mean: Sequence[float]
    std: Sequence[float]

    def means(self) -> list[float]:
        """The mean of each of the K targets; [] where nothing is seen."""
        return [(own - mean) / std for own, mean, std in zip(self.course.means(), self.mean, self.std, strict=False)]

    def constant(self) -> bool:
        """Whether no target ever has two values."""
        known = (channel[~np.isnan(channel)] for channel in self.course.each())
        return all(len(channel) and channel.min() == channel.max() for channel in known)


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


def pieces_standardised(course: Course, mean: Sequence[float], std: Sequence[float]) -> Iterator[np.ndarray]:
    """`Course.pieces` on the scale of training, many short ones at a time."""
    pieces, waiting = course.pieces(), list[np.ndarray]()
    while piece := list(islice(pieces, 1)):
        waiting += piece
        if piece[0].size < AT_ONCE and len(waiting) < PIECES_AT_ONCE:
            continue
        yield from _each_standardised(waiting, mean, std)
        waiting = []
    yield from _each_standardised(waiting, mean, std)


def _each_standardised(
    pieces: Sequence[np.ndarray], mean: Sequence[float], std: Sequence[float]
) -> Iterator[np.ndarray]:
    if pieces:
        scaled, end = standardised(np.concatenate(pieces, axis=1) if len(pieces) > 1 else pieces[0], mean, std), 0
        for piece in pieces:
            begin, end = end, end + piece.shape[1]
            yield scaled[:, begin:end]
