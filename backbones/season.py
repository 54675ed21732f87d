"""The seasons of series: which periods they have, whether one is there, and what each phase adds.

All of it looks at the last cycles before an origin, a bounded number, so that n origins cost n times that.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from backbones.carried import asked, every, kept
from backbones.histories import Histories, Stack
from backbones.period import period_of_pieces
from backbones.seasonality import FALSE_ALARM, LAGS, WAVES, waves

LEAST_CYCLES = 2  # of a period, in the median series
AFTER = 2  # steps after a whole cycle, from which on it can be repeated
MOST_CYCLES = 12  # before an origin that are looked at
CELLS = 1 << 21  # numbers that are held at once
CLIP = 4.0  # deviations by the median, beyond which a change is cut
SMOOTHED_FROM = 24  # steps of a season, from which its phases may be averaged with their neighbours
REACHES = (0, 1, 2, 4, 6)  # neighbours on either side
DOUBT = 0.5  # cycles of no season at all that stand against those of a long one


def periods_of(train: Histories) -> tuple[int, int]:
    """The period of the season in steps, and that of a second, longer one; 1 where there is none.

    The shortest of the calendar's, of those of which half of the series have two cycles, and the next longer one, or
    the one that training shows; where training shows a period that the calendar has not, that one first. A calendar's
    cycle that does not show counts all the same: most members see for themselves whether a series has a season.
    """
    found, fitting = _found(train)
    first = min(fitting, default=1) if found in (1, *fitting) else found
    longer = [period for period in fitting if period > first]
    return first, found if found in longer else min(longer, default=1)


def repeatable(train: Histories, above: int = 1) -> int:
    """The shortest of the calendar's periods of more than `above` steps, if half of the series have one and AFTER
    steps; else 1.
    """
    half = float(np.median([piece.shape[1] for piece in train.pieces(train.horizon)])) if len(train) else 0.0
    shortest = min((period for period in train.periods if period > above), default=1)
    return shortest if shortest + AFTER <= half else 1


def seen_once(histories: Histories, end: np.ndarray) -> bool:
    """Whether half of the histories, as far as `end` [n], have one of the calendar's shortest cycles and two steps, but
    not two and a horizon, of which a season could be seen.
    """
    shortest = min(histories.periods, default=1)
    half = float(np.median(end - histories.begin)) if len(histories) else 0.0
    return shortest > 1 and shortest + AFTER <= half < LEAST_CYCLES * shortest + histories.horizon


def shows_season(train: Histories) -> bool:
    """Whether training shows a period."""
    return _found(train)[0] > 1


def _found(train: Histories) -> tuple[int, list[int]]:
    """The period that training shows, 1 for none, and those of the calendar of which half of the series have enough."""
    pieces = train.pieces(train.horizon)
    half = float(np.median([piece.shape[1] for piece in pieces])) if pieces else 0.0
    fitting = [period for period in train.periods if LEAST_CYCLES * period <= half]
    return period_of_pieces(pieces, int(half / LEAST_CYCLES) or 1, fitting), fitting


def seasonal(stack: Stack, period: int) -> np.ndarray:
    """Whether there is a season at each origin, mask [n]: at least one of two F tests says so, those of seasonality.py
    for each origin by itself.

    The phase means of first differences, each cut at 4 median deviations: a trend is a constant there, and a random
    walk is noise, while an autocorrelation at the lag of the season calls most trends and walks seasonal. And two waves
    beside a line and three lags, which sees a smooth season in much noise. At least two cycles; about 1 % of series
    without a season pass. In a cycle of 200 steps and more an origin takes the answer of at most a hundredth before.
    """
    found = np.zeros(len(stack), bool)
    if period < 2:
        return found
    longest = min(MOST_CYCLES * period, stack.y.shape[1] - 1) // period * period
    if longest < LEAST_CYCLES * period:
        return found
    if every(period) > 1:
        grid, which, _ = asked(stack, period)
        answers: np.ndarray = kept(grid, ("seasonal", period), lambda some: _seasonal(grid.some(some), period, longest))
        return answers[which]
    return _seasonal(stack, period, longest)


def _seasonal(stack: Stack, period: int, longest: int) -> np.ndarray:
    """The same at each origin, by its last `longest` changes."""
    found = np.zeros(len(stack), bool)
    for part, some in stack.blocks((longest + 1) * (LAGS + 2 * WAVES + 2), CELLS):
        past = some.last(longest + 1)
        has = _phases_differ(np.diff(past, axis=1), period)
        rest = np.flatnonzero(~has & (some.end >= LEAST_CYCLES * period))
        if len(rest):
            has[rest] = _waves_show(past[rest], period)
        found[part] = has
    return found


def _waves_show(past: np.ndarray, period: int) -> np.ndarray:
    """The test of two waves for the last steps [n, T] of series, NaN before the first."""
    known = np.isfinite(past)
    count = known.sum(1)
    mean = np.where(known, past, 0.0).sum(1) / np.maximum(count, 1)
    z = np.where(known, past - mean[:, None], 0.0)
    size = np.sqrt((z**2).sum(1) / np.maximum(count, 1))
    z /= np.where(size > 0, size, 1.0)[:, None]
    t = np.arange(LAGS, past.shape[1])
    rows = known[:, : past.shape[1] - LAGS]
    trend, season = np.stack([np.ones(len(t)), t / past.shape[1]], axis=1), waves(period, t)
    lags = np.stack([z[:, LAGS - k : past.shape[1] - k] for k in range(1, LAGS + 1)], axis=2)
    line, both = (np.broadcast_to(part, (len(z), *part.shape)) for part in (trend, season))
    x = np.concatenate([line, lags, both], axis=2) * rows[:, :, None]
    y = z[:, LAGS:] * rows
    plain, whole = 2 + LAGS, x.shape[2]
    freedom = np.maximum(rows.sum(1) - whole, 1)
    product, right = x.transpose(0, 2, 1) @ x, (y[:, None] @ x)[:, 0]
    total = (y**2).sum(1)
    coarse, fine = (_left(product[:, :q, :q], right[:, :q], total) for q in (plain, whole))
    noise = np.maximum(fine, 1e-9)
    ratio = (coarse - fine) / (whole - plain) / (noise / freedom)
    enough = (rows.sum(1) >= LEAST_CYCLES * period - LAGS) & (rows.sum(1) > whole) & (size > 0) & (coarse > 1e-9)
    passed: np.ndarray = enough & (ratio > _limits(whole - plain, freedom))
    return passed


def _left(product: np.ndarray, right: np.ndarray, total: np.ndarray) -> np.ndarray:
    """The squares that least squares of y on x leave [n], from x'x [n, q, q], x'y [n, q] and the squares of y [n]."""
    least = 1e-10 * np.trace(product, axis1=1, axis2=2)[:, None, None] + 1e-300
    found = np.linalg.solve(product + least * np.eye(right.shape[1]), right[:, :, None])[:, :, 0]
    squares: np.ndarray = np.maximum(total - (found * right).sum(1), 0.0)
    return squares


def _phases_differ(change: np.ndarray, period: int) -> np.ndarray:
    """The test for changes [n, a multiple of the period], NaN before the first."""
    known = np.isfinite(change)
    count = known.sum(1)
    middle = _median(change, count)
    spread = 1.4826 * _median(np.abs(change - middle[:, None]), count)
    spread = np.where(spread > 0, CLIP * spread, np.inf)[:, None]
    cut = np.where(known, np.clip(np.nan_to_num(change) - middle[:, None], -spread, spread), 0.0)
    by_phase = (len(change), -1, period)
    each = known.reshape(by_phase).sum(1)
    total = cut.reshape(by_phase).sum(1)
    mean = cut.sum(1) / np.maximum(count, 1)
    between = (total**2 / np.maximum(each, 1)).sum(1) - count * mean**2
    within = (cut**2).sum(1) - (total**2 / np.maximum(each, 1)).sum(1)
    enough = (count >= LEAST_CYCLES * period - 1) & (count > period)
    freedom = np.maximum(count - period, 1)
    noise = np.maximum(within / freedom, 1e-12 * (cut**2).sum(1) / np.maximum(count, 1))
    moves = noise > 0
    ratio = between / (period - 1) / np.where(moves, noise, 1.0)
    passed: np.ndarray = enough & moves & (ratio > _limits(period - 1, freedom))
    return passed


def _limits(above: int, below: np.ndarray) -> np.ndarray:
    """The F that noise exceeds with the probability FALSE_ALARM, for degrees of freedom below [n]."""
    sizes, which = np.unique(below, return_inverse=True)
    found: np.ndarray = np.array([_limit(above, int(size)) for size in sizes])[which]
    return found


@lru_cache(maxsize=4096)
def _limit(above: int, below: int) -> float:
    from scipy.special import fdtri  # a fifth of a second, which only what uses it should cost

    return float(fdtri(above, below, 1 - FALSE_ALARM))


def _median(values: np.ndarray, count: np.ndarray) -> np.ndarray:
    """The median of each line's `count` numbers, NaN left out; 0 where there are none."""
    ordered = np.sort(values, axis=1)  # NaN comes last
    line = np.arange(len(values))
    low, high = np.maximum(count - 1, 0) // 2, np.minimum(count // 2, values.shape[1] - 1)
    middle: np.ndarray = np.where(count > 0, (ordered[line, low] + ordered[line, high]) / 2, 0.0)
    return middle


def indices(stack: Stack, period: int, ratio: np.ndarray) -> np.ndarray:
    """What each phase adds, or where the mask `ratio` [n] is true, what it multiplies with: [n, period].

    Column j is the phase of step `end + j`. The ratio (or difference) of each step to the centred moving average of one
    period, averaged over the last cycles; from 24 phases on also over neighbours, as many as one cycle is best foretold
    by the others with; shrunk towards no season by b / (b + v / c), with the variance b between phases, v within them,
    and c cycles. No season where a history has not two cycles.
    """
    found = np.empty((len(stack), period))
    for part, some in stack.blocks(min(MOST_CYCLES * period, stack.y.shape[1] + period), CELLS):
        found[part] = _indices(some, period, ratio[part])
    return found


def _indices(stack: Stack, period: int, ratio: np.ndarray) -> np.ndarray:
    nothing = np.broadcast_to(np.where(ratio, 1.0, 0.0)[:, None], (len(stack), period))
    cycles = _detrended(stack, period, ratio)
    if cycles is None:
        return nothing
    known = np.isfinite(cycles)
    count = known.sum(1)
    whole = count.min(1) >= 1
    cycles = np.where(known, cycles, 0.0)
    mean = cycles.sum(1) / np.maximum(count, 1)
    off = np.where(known, cycles - mean[:, None], 0.0)
    within = (off**2).sum((1, 2)) / np.maximum((count - 1).sum(1), 1)
    if period >= SMOOTHED_FROM:
        mean = _smoothed(mean, off, count)
    centre = mean.mean(1, keepdims=True)
    noise = within / np.maximum(count.mean(1), 1)
    between = np.maximum(mean.var(1) - noise, 0.0)
    trust = np.where(between > 0, between / np.maximum(between + noise, 1e-300), 0.0)
    trust = np.where(count.max(1) > 1, trust, 0.5)[:, None]  # one cycle does not tell noise from season
    centre = np.where(ratio[:, None] & (centre <= 0), 1.0, centre)
    factor = np.maximum(1 + trust * (mean / np.where(ratio[:, None], centre, 1.0) - 1), 0.01)
    made = np.where(ratio[:, None], factor, trust * (mean - centre))
    result: np.ndarray = np.where(whole[:, None], made, nothing)
    return result


def _detrended(stack: Stack, period: int, ratio: np.ndarray) -> np.ndarray | None:
    """Each origin's last cycles over (or less) their centred moving average: [n, cycles, period], NaN where unknown.

    None where no series has two cycles. The average at a step reaches half a period on, so it stops that far before the
    origin.
    """
    half, length = period // 2, stack.y.shape[1]
    if length < 2 * half + period:
        return None
    average = _centred(stack.y, period)
    latest = stack.end - 1 - half
    phase = np.arange(period)
    newest = latest[:, None] - (latest[:, None] - stack.end[:, None] - phase) % period
    most = min(MOST_CYCLES, (length - 2 * half) // period + 1)
    at = newest[:, None] - period * np.arange(most)[:, None]
    there = at >= half
    where = stack.series[:, None, None], np.where(there, at, half)
    y, level = stack.y[where], average[where[0], where[1] - half]
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.where(ratio[:, None, None], y / level, y - level)
    return np.where(there, found, np.nan)


def _centred(y: np.ndarray, period: int) -> np.ndarray:
    """The centred moving average of one period of y [S, T]: [S, T - 2 (period // 2)], the first at period // 2."""
    total = np.cumsum(np.pad(y, ((0, 0), (1, 0))), axis=1)
    average = (total[:, period:] - total[:, :-period]) / period  # of the steps [t, t + period)
    if period % 2 == 0:
        average = (average[:, 1:] + average[:, :-1]) / 2
    made: np.ndarray = average
    return made


def _smoothed(mean: np.ndarray, off: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Phase means [n, m] averaged over neighbours, as widely as each cycle [n, c, m] is best foretold by the others."""
    cycles = np.maximum(count.min(1), 1)[:, None, None]
    best, least = mean, np.full(len(mean), np.inf)
    for reach in REACHES:
        smooth = _around(mean, reach)
        # A cycle is mean + off; the mean of the others is mean - off / (c - 1).
        error = (mean - smooth)[:, None] + off + _around(off, reach) / np.maximum(cycles - 1, 1)
        score = (error**2 * (off != 0)).sum((1, 2))
        better = (score < least) & ((cycles[:, 0, 0] > 1) | (reach == 0))
        best, least = np.where(better[:, None], smooth, best), np.where(better, score, least)
    return best


def _around(values: np.ndarray, reach: int) -> np.ndarray:
    """The mean of each phase [..., m] and `reach` neighbours on either side, the first after the last."""
    return np.asarray(sum(np.roll(values, shift, axis=-1) for shift in range(-reach, reach + 1)) / (2 * reach + 1))


def without_second(stack: Stack, period: int, first: int, horizon: int) -> tuple[Stack, np.ndarray, np.ndarray] | None:
    """Series less a long season that was known before each step, and that season ahead of each origin.

    What a phase adds is the mean of its differences to the centred moving average in earlier cycles, with the weight
    c / (c + .5) for c of them. So the season of a step comes from before it, one series serves all of its origins, and
    a recursion may run over it as over the series itself.

    Parameters
    ----------
    period : steps of the season.
    first : of the shorter season; one that is no whole part of the long one is averaged out.
    horizon : H.

    Returns
    -------
    (the series from the first step on whose season is known, and the origins in them; the season ahead [n, H]; which
    of the stack's origins have three short cycles there, mask [n]: the others are left out). None where none has.
    """
    half, reach = period // 2, first if period % first and 4 * first < period else 0
    start = period + half + reach
    which = stack.end >= start + 3 * first
    if not which.any():
        return None
    off, known = _differences(stack.y, period, reach)
    total, count = (_by_phase(part, period) for part in (off, known))
    before = [np.pad(part[:, :-period], ((0, 0), (period, 0))) for part in (total, count)]
    season = before[0] / (before[1] + DOUBT)
    series, end = stack.series[which, None], stack.end[which, None]
    newest = end + np.arange(horizon) - period
    late = np.maximum(newest - (end - 1 - half - reach), 0)  # steps whose average would reach beyond the origin
    mate = newest - -(-late // period) * period
    seen = mate >= half + reach
    mate = np.where(seen, mate, 0)
    ahead = np.where(seen, total[series, mate] / (count[series, mate] + DOUBT), 0.0)
    return Stack((stack.y - season)[:, start:], stack.series[which], stack.end[which] - start), ahead, which


def _differences(y: np.ndarray, period: int, reach: int) -> tuple[np.ndarray, np.ndarray]:
    """Steps of y [S, T] less the centred average of one period, over `reach` neighbours; 0 at the ends; and where."""
    half, average = period // 2, _centred(y, period)
    off, known = np.zeros(y.shape), np.zeros(y.shape)
    found = y[:, half : half + average.shape[1]] - average
    width = 2 * reach + 1
    if found.shape[1] >= width:
        total = np.cumsum(np.pad(found, ((0, 0), (1, 0))), axis=1)
        smooth = (total[:, width:] - total[:, :-width]) / width
        at = slice(half + reach, half + reach + smooth.shape[1])
        off[:, at], known[:, at] = smooth, 1.0
    return off, known


def _by_phase(values: np.ndarray, period: int) -> np.ndarray:
    """The sum of each step and those whole periods before it: [S, T]."""
    padded = np.pad(values, ((0, 0), (0, -values.shape[1] % period)))
    summed: np.ndarray = padded.reshape(len(values), -1, period).cumsum(axis=1).reshape(len(values), -1)
    return summed[:, : values.shape[1]]
