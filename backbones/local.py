"""A closed form for each series by itself: a season's shape times its level, which ridge regression continues.

After FLAIR (arXiv 2605.07222). The last cycles stand as the columns of a matrix [P, c], which is nearly of rank one.
Its column sums are the level of a cycle, its shape the mean share of each phase over the last two cycles. The levels,
without a second season of a whole number of cycles (the week in hourly data, 7 days), pass a Box-Cox transform and a
ridge regression of their changes on trend and lags, which shrinks towards a random walk.

    forecast of step h = level of cycle ceil(h / P) * second season * share of the phase

Where the test of `season.seasonal` finds no season P is 1, and levels are the series itself. Estimated anew at every
origin, all origins at once: a tenth of a millisecond to a millisecond each.

Quantiles that are asked for are those of PATHS courses: at each step of a level one of the errors that the regression
makes of a step that it has not seen, the larger the less is known there, and for each cycle what one of the past ones
had beside the shape.
"""

from __future__ import annotations

import numpy as np

from backbones import register
from backbones.carried import asked
from backbones.histories import Stack
from backbones.local_forecaster import LocalForecaster
from backbones.mixed_ridges import MixedRidges
from backbones.season import seasonal

HYPER = {
    "period": {"default": 0, "min": 0, "max": 100000, "help": "steps of the season; 0: the calendar's, or found"},
}

MOST_CYCLES, MOST_STEPS, LEAST_CYCLES = 60, 200, 3  # of history: with a season, and without
SHAPED = 2  # cycles that the shape comes from
POWERS = np.linspace(0.0, 1.0, 5)  # of Box and Cox
MOST = 3.0  # times the greatest level so far, for a forecast
CELLS = 1 << 20
PATHS = 200
DOUBTED = 4.0  # times the variance of an error, for the doubt about its mean, at most


@register
class Local(LocalForecaster):
    """Each origin by itself."""

    _cycles = LEAST_CYCLES

    _has_quantiles = True

    def local(self, stack: Stack) -> np.ndarray:
        made = np.empty((len(stack), self.forecast.levels, self.forecast.horizon))
        has = np.flatnonzero(seasonal(stack, self.season))
        grid, which, late = asked(stack.some(has), self.season)
        long = (grid.end >= LEAST_CYCLES * self.season)[which]
        folded = np.zeros(len(stack), bool)
        folded[has[long]] = True
        if long.any():
            ahead = self._forecast(grid, self.season, self.forecast.horizon + int(late.max()))
            steps = late[long, None] + np.arange(self.forecast.horizon)
            made[folded] = np.take_along_axis(ahead[which[long]], steps[:, None], axis=2)
        made[~folded] = self._forecast(stack.some(~folded), 1, self.forecast.horizon)
        return made

    def _forecast(self, stack: Stack, period: int, horizon: int) -> np.ndarray:
        """The forecasts [n, levels, H] from cycles of so many steps."""
        made = np.empty((len(stack), self.forecast.levels, horizon))
        most = max(min(MOST_CYCLES if period > 1 else MOST_STEPS, stack.y.shape[1] // period), 1)
        drawn, width = None, most * max(period, 8)
        if levels := self.forecast.quantiles:  # the same for all origins, of which none depends on others
            drawn = np.random.default_rng(0).random((-(-horizon // period), 2, PATHS)).transpose(1, 2, 0)
            width = max(width, PATHS * horizon)
        for part, block in stack.blocks(width, CELLS):
            paths = self._block(block, period, most, horizon, drawn)
            made[part] = np.quantile(paths, levels, axis=1).swapaxes(0, 1) if levels else paths
        return made

    def _block(self, stack: Stack, period: int, most: int, horizon: int, drawn: np.ndarray | None) -> np.ndarray:
        """The courses [n, M, H] from at most `most` cycles; `drawn` as for `continued`, and the same of cycles."""
        cycles = stack.last(most * period).reshape(len(stack), most, period)
        known = np.isfinite(cycles).all(2)
        cycles = np.where(known[:, :, None], cycles, np.nan)
        if not known.any(1).all():  # less than one cycle is known
            cycles[~known.any(1), -1] = stack.y[stack.series, stack.end - 1][~known.any(1), None]
            known = np.isfinite(cycles).all(2)
        least, spread = np.nanmin(cycles, axis=(1, 2)), np.nanstd(cycles, axis=(1, 2))
        shift = np.where(least > 0, 0.0, spread - least + (spread == 0))
        cycles = np.where(known[:, :, None], cycles + shift[:, None, None], 0.0)
        sums = cycles.sum(2)
        level = sums * _shrinkage(cycles, known)[:, None]
        share = cycles / np.where(sums > 0, sums, 1.0)[:, :, None]
        shape = share[:, -SHAPED:].sum(1) / np.maximum(known[:, -SHAPED:].sum(1), 1)[:, None]
        beyond = -(-horizon // period)
        every = self.second // period if period > 1 and self.second % period == 0 else 1
        ahead = continued(level, known, beyond, every, None if drawn is None else drawn[0])
        shapes = shape[:, None, None]
        if drawn is not None and period > 1:
            shapes = shapes + _beside(cycles, level, share, known, drawn[1])
        made: np.ndarray = (ahead[..., None] * shapes).reshape(*ahead.shape[:2], -1)
        return made[..., :horizon] - shift[:, None, None]


def _beside(
    cycles: np.ndarray, level: np.ndarray, share: np.ndarray, known: np.ndarray, drawn: np.ndarray
) -> np.ndarray:
    """What cycles had beside the mean shape in shares of their level, of one for each of `drawn` [M, s]: [n, M, s, P].

    The mean is theirs: they are as much larger as it makes them smaller.
    """
    count = known.sum(1)
    mean = share.sum(1) / np.maximum(count, 1)[:, None]
    off = cycles - level[:, :, None] * mean[:, None]
    off = np.where(known[:, :, None], off / np.where(level > 0, level, 1.0)[:, :, None], 0.0)
    off *= np.sqrt(count / np.maximum(count - 1, 1))[:, None, None]
    found: np.ndarray = off[np.arange(len(off))[:, None, None], _latest(drawn, count, off.shape[1])]
    return found


def _latest(drawn: np.ndarray, count: np.ndarray, most: int) -> np.ndarray:
    """Numbers of columns: of `most` in each of n lines one of the last `count` [n], for each of `drawn` in [0, 1)."""
    many = count.reshape(-1, *[1] * drawn.ndim)
    found: np.ndarray = most - 1 - (drawn * np.maximum(many, 1)).astype(np.int64)
    return found


def _shrinkage(cycles: np.ndarray, known: np.ndarray) -> np.ndarray:
    """How much of the first singular value of cycles [n, c, P] is not noise, [n] (Gavish and Donoho 2017, equation 7).

    The noise is what is left beside it.
    """
    n, most, period = cycles.shape
    if period == 1:
        return np.ones(n)
    count = known.sum(1)
    across = cycles.transpose(0, 2, 1)
    product = cycles @ across if most < period else across @ cycles
    first = np.linalg.eigvalsh(product)[:, -1]
    rest = np.maximum((cycles**2).sum((1, 2)) - first, 0.0)
    noise = rest / np.maximum((period - 1) * (count - 1), 1)
    long, aspect = np.maximum(period, count), np.minimum(period, count) / np.maximum(period, count)
    square = first / np.where(noise > 0, noise * long, 1.0)
    root = np.maximum((square - aspect - 1) ** 2 - 4 * aspect, 0.0)
    found: np.ndarray = np.where((noise > 0) & (square > (1 + np.sqrt(aspect)) ** 2), np.sqrt(root) / square, 1.0)
    return found


def continued(
    level: np.ndarray, known: np.ndarray, steps: int, every: int = 1, drawn: np.ndarray | None = None
) -> np.ndarray:
    """Positive levels [n, c], the newest last, by `steps` more: [n, M, steps].

    Parameters
    ----------
    known : mask [n, c]; what is known is at the end of each line.
    every : levels of a second season; 1 for none.
    drawn : [M, steps] in [0, 1), which error each of M courses has at each step; None for one without errors.
    """
    factor = np.ones((len(level), every)) if every < 2 else second_season(level, known, every)
    past, ahead = np.arange(-level.shape[1], 0) % every, np.arange(steps) % every
    level = np.where(known, level / factor[:, past], 0.0)
    greatest = level.max(1)
    unit = np.where(greatest > 0, greatest, 1.0)[:, None]
    power = _power(level / unit, known)
    z = np.where(known, _boxed(level / unit, power), 0.0)
    last = z[:, -1:]
    z = np.where(known, z - last, 0.0)
    course = _recursive(z, known, steps, every, drawn) + last[:, None]
    made = _unboxed(course.reshape(len(level), -1), power).reshape(course.shape)
    capped: np.ndarray = np.minimum(made, MOST) * (unit * factor[:, ahead])[:, None]
    return capped


def second_season(level: np.ndarray, known: np.ndarray, every: int) -> np.ndarray:
    """Factors of a season of `every` levels [n, every]; column j is for the j-th level to come.

    Phase means, with the weight c / (c + every) for c levels, against one wave or none, which Bayes's criterion
    chooses. None where there are not two cycles of it.
    """
    most = level.shape[1]
    phase = np.arange(-most, 0) % every
    each = np.stack([known[:, phase == p].sum(1) for p in range(every)], axis=1)
    total = np.stack([np.where(known, level, 0.0)[:, phase == p].sum(1) for p in range(every)], axis=1)
    count = known.sum(1)
    centre = (total.sum(1) / np.maximum(count, 1))[:, None]
    mean = total / np.maximum(each, 1) / np.where(centre > 0, centre, 1.0)
    angle = 2 * np.pi * np.arange(every) / every
    wave = 1 + sum(2 * (mean * f).mean(1)[:, None] * f for f in (np.cos(angle), np.sin(angle)))
    off = [
        np.where(known, level / np.where(centre > 0, centre, 1.0) - one[:, phase], 0.0) for one in (wave, 0 * wave + 1)
    ]
    waved, flat = (count * np.log((part**2).sum(1) / np.maximum(count, 1) + 1e-12) for part in off)
    prior = np.where((waved + 2 * np.log(np.maximum(count, 1)) < flat)[:, None], wave, 1.0)
    weight = (count / (count + every))[:, None]
    factor = np.maximum(weight * mean + (1 - weight) * prior, 0.05)
    found: np.ndarray = np.where((each.min(1) >= 2)[:, None], factor / factor.mean(1, keepdims=True), 1.0)
    return found


def _power(level: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Box and Cox's power of each line [n], by likelihood; 1 where a level is 0."""
    count = np.maximum(known.sum(1), 1)
    logs = np.where(known, np.log(np.maximum(level, 1e-12)), 0.0).sum(1)
    scores = []
    for power in POWERS:
        z = np.where(known, _boxed(level, np.full(len(level), power)), 0.0)
        spread = np.where(known, z - (z.sum(1) / count)[:, None], 0.0)
        scores.append(-0.5 * count * np.log((spread**2).sum(1) / count + 1e-12) + (power - 1) * logs)
    lowest = np.where(known, level, np.inf).min(1)
    found: np.ndarray = np.where(lowest > 1e-6, POWERS[np.argmax(scores, axis=0)], 1.0)
    return found


def _boxed(level: np.ndarray, power: np.ndarray) -> np.ndarray:
    power = power[:, None]
    safe = np.maximum(level, 1e-12)
    boxed: np.ndarray = np.where(power > 0, (safe**power - 1) / np.where(power > 0, power, 1.0), np.log(safe))
    return boxed


def _unboxed(z: np.ndarray, power: np.ndarray) -> np.ndarray:
    power = power[:, None]
    base = np.maximum(z * power + 1, 0.0)
    grown: np.ndarray = np.where(power > 0, base ** (1 / np.where(power > 0, power, 1.0)), np.exp(np.minimum(z, 50.0)))
    return grown


def _recursive(z: np.ndarray, known: np.ndarray, steps: int, every: int, drawn: np.ndarray | None) -> np.ndarray:
    """Levels z [n, c], of which the last is 0, by `steps` more, one after the other: [n, M, steps]."""
    n, most = z.shape
    courses = 1 if drawn is None else len(drawn)
    lags = [1, every] if 1 < every < most else [1]
    start = max(lags)
    if most <= start + 1:
        return np.zeros((n, courses, steps))
    count = np.maximum(known.sum(1), 1)[:, None]
    time = 1 - np.arange(most - 1, -1, -1) / count  # 1 at the last
    columns = [np.ones((n, most - start)), time[:, start:], -z[:, start - 1 : -1]]
    columns += [z[:, start - lag : most - lag] for lag in lags[1:]]
    rows = known[:, start:] & known[:, : most - start]
    x = np.where(rows[:, :, None], np.stack(columns, axis=2), 0.0)
    change = np.where(rows, z[:, start:] - z[:, start - 1 : -1], 0.0)
    ridges = MixedRidges(x, change, rows.sum(1))
    damping, lines = _damping(change, rows), np.arange(n)[:, None]
    course = [np.repeat(z[:, most - 1 - i, None], courses, axis=1) for i in range(start - 1, -1, -1)]
    t, stride = time[:, -1:].copy(), 1 / count
    for step in range(steps):
        stride = stride * damping[:, None]
        t = t + stride
        at = np.stack(
            [np.ones_like(course[-1]), np.broadcast_to(t, course[-1].shape), -course[-1]]
            + [course[-lag] for lag in lags[1:]],
            axis=2,
        )
        change_to = np.einsum("nmq,nq->nm", at, ridges.weight)
        if drawn is not None:
            error = ridges.left[lines, _latest(drawn[:, step], rows.sum(1), rows.shape[1])]
            change_to += error * np.sqrt(1 + np.minimum(ridges.leverage(at), DOUBTED))
        course.append(course[-1] + change_to)
    return np.stack(course[start:], axis=2)


def _damping(change: np.ndarray, known: np.ndarray) -> np.ndarray:
    """The autocorrelation of changes at lag 1, at least 0: what is left of a trend from one step to the next, [n]."""
    count = np.maximum(known.sum(1), 1)
    off = np.where(known, change - (change.sum(1) / count)[:, None], 0.0)
    square = (off**2).sum(1)
    found: np.ndarray = np.clip((off[:, 1:] * off[:, :-1]).sum(1) / np.where(square > 0, square, 1.0), 0.0, 1.0)
    return found
