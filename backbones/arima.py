"""ARIMA(p, d, q) in closed form: autoregressive moving averages of all small orders, averaged by Akaike's criterion.

The season is taken out first where a test finds one (season.py). The differences d are as many as the KPSS test asks
for (Kwiatkowski, Phillips, Schmidt and Shin 1992, of a level, at 5 %); after one difference orders with a drift and
without one stand side by side. The coefficients are those of Hannan and Rissanen (1982): the errors of a long
autoregression stand for the moving average's, so that each order is one least-squares regression; orders that are not
stationary or not invertible have no say. Unlike smoothing, this knows series that return to their mean, or swing around
it.

Estimated again at every origin from its last steps, in long histories for a few origins at once (carried.py), each of
which goes on from its own last values and errors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from backbones import register
from backbones.adjustment import lines
from backbones.histories import Stack
from backbones.local_forecaster import LocalForecaster
from backbones.season import LEAST_CYCLES

HYPER = {
    "period": {"default": 0, "min": 0, "max": 100000, "help": "steps of the season; 0: the calendar's, or found"},
}

STEPS = 300  # before an origin that are looked at
AR, MA = 3, 2  # orders, at most
LONG = 12  # lags of the long autoregression, at most
LEAST = 8  # steps, with fewer of which the last value is repeated
RIDGE = 1e-3  # of a regression, in variances
INSIDE = 0.995  # the greatest root
LEVEL = 0.463  # of the KPSS statistic at 5 %
DIFFERENCES = 2
FARTHEST = 3  # ranges of the history, that a forecast may be from its last value
CELLS = 1 << 21
ORDERS = tuple(product(range(AR + 1), range(MA + 1)))


@register
class ARIMA(LocalForecaster):
    """Each origin by itself, or a few of one estimate."""

    _cycles = LEAST_CYCLES

    def local(self, stack: Stack) -> np.ndarray:
        made = np.empty((len(stack), self.forecast.horizon))
        longest = min(STEPS, stack.y.shape[1])
        for part, some in stack.blocks(longest * len(ORDERS), CELLS):
            rest, season = lines(some, self.season, longest, shared=True)
            made[part] = season.put_back(arima(Lines.of(rest, season.late, longest), self.forecast.horizon))
        return made


@dataclass(frozen=True)
class Lines:
    """Series without a season at which orders are estimated, and the origins that use them.

    Parameters
    ----------
    z : float64 [g, T + m], NaN before the first step of each; the first T columns are estimated from.
    steps : T.
    which, late : int64 [n], the series of each origin, and how many of the last m steps it knows.
    """

    z: np.ndarray
    steps: int
    which: np.ndarray
    late: np.ndarray

    @classmethod
    def of(cls, stack: Stack, late: np.ndarray, longest: int) -> Lines:
        """The lines of `adjustment.lines`, of which an origin is so much `late`."""
        begin, most = np.zeros(len(stack.y), np.int64), int(late.max(initial=0))
        begin[stack.series] = stack.end - late
        every = np.arange(len(begin))
        past = Stack(stack.y, every, begin).last(longest)
        after = stack.y[every[:, None], np.minimum(begin[:, None] + np.arange(most), stack.y.shape[1] - 1)]
        return cls(np.concatenate([past, after], axis=1), longest, stack.series, late)

    @property
    def past(self) -> np.ndarray:
        """What is estimated from, [g, T]."""
        return self.z[:, : self.steps]

    def last(self, values: np.ndarray, back: int = 1) -> np.ndarray:
        """Of values [g, T + m, ...] those of the last step that each origin knows, or `back - 1` steps before it."""
        found: np.ndarray = values[self.which, self.steps - back + self.late]
        return found

    def some(self, chosen: np.ndarray) -> tuple[Lines, np.ndarray]:
        """The series of a mask [g], and a mask [n] of the origins in them."""
        mine = chosen[self.which]
        which = (np.cumsum(chosen) - 1)[self.which[mine]]
        return Lines(self.z[chosen], self.steps, which, self.late[mine]), mine

    def differenced(self, d: int) -> Lines:
        """Their differences."""
        return Lines(np.diff(self.z, n=d, axis=1), self.steps - d, self.which, self.late)


def arima(seen: Lines, horizon: int) -> np.ndarray:
    """The forecasts [n, H] at the origins."""
    z, last = seen.past, seen.last(seen.z)[:, None]
    lowest, highest = (pick(z, axis=1) for pick in (np.nanmin, np.nanmax))
    made = np.repeat(last, horizon, axis=1)
    enough = np.isfinite(z).sum(1) >= LEAST
    needed = np.where(enough & (highest > lowest), _differences(z), -1)
    for d in range(DIFFERENCES + 1):
        if (needed == d).any():
            some, mine = seen.some(needed == d)
            made[mine] = _integrated(some, d, horizon)
    reach = FARTHEST * (highest - lowest)[seen.which, None]
    limited: np.ndarray = np.clip(made, last - reach, last + reach)
    return limited


def _integrated(seen: Lines, d: int, horizon: int) -> np.ndarray:
    """The forecasts [n, H] of series that are differenced `d` times."""
    ahead = arma(seen.differenced(d), horizon, ((True,), (True, False), (False,))[d])
    for k in range(d - 1, -1, -1):
        before = seen.differenced(k)
        ahead = before.last(before.z)[:, None] + np.cumsum(ahead, axis=1)
    return ahead


def _differences(z: np.ndarray) -> np.ndarray:
    """How many differences make each series level by the KPSS test, int64 [n]."""
    needed = np.zeros(len(z), np.int64)
    for d in range(DIFFERENCES):
        x = np.diff(z, n=d, axis=1)
        needed += (needed == d) & (np.isfinite(x).sum(1) > LEAST) & (_kpss(x) > LEVEL)
    return needed


def _kpss(x: np.ndarray) -> np.ndarray:
    """The statistic of a constant level [n]: squared partial sums over the long-run variance (Bartlett's weights)."""
    known = np.isfinite(x)
    count = np.maximum(known.sum(1), 1)
    off = np.where(known, x - np.where(known, x, 0.0).sum(1, keepdims=True) / count[:, None], 0.0)
    lags = (3 * np.sqrt(count) / 13).astype(np.int64)
    variance = (off**2).sum(1) / count
    for k in range(1, int(lags.max()) + 1):
        variance += np.maximum(2 * (1 - k / (lags + 1)), 0) * (off[:, k:] * off[:, :-k]).sum(1) / count
    found: np.ndarray = (np.cumsum(off, axis=1) ** 2).sum(1) / count**2 / np.maximum(variance, 1e-300)
    return found


def arma(seen: Lines, horizon: int, means: Sequence[bool] = (True,)) -> np.ndarray:
    """The forecasts [n, H] at the origins, with a mean, without, or by both."""
    parts = [_orders(seen, horizon, centred) for centred in means]
    made, criterion = (np.concatenate(part, axis=1) for part in zip(*parts, strict=True))
    weight = np.exp(-0.5 * (criterion - criterion.min(1, keepdims=True)))
    share = (weight / weight.sum(1, keepdims=True))[seen.which]
    averaged: np.ndarray = (made * share[:, :, None]).sum(1)
    return averaged


def _orders(seen: Lines, horizon: int, centred: bool) -> tuple[np.ndarray, np.ndarray]:
    """The forecasts [n, G, H] of all orders, around the mean or with `centred` off around 0; their criteria [g, G]."""
    x, steps = seen.past, seen.steps
    known = np.isfinite(x)
    count = known.sum(1)
    mean = np.where(known, x, 0.0).sum(1, keepdims=True) / np.maximum(count, 1)[:, None] * centred
    every = np.isfinite(seen.z)
    w = np.where(every, seen.z - mean, 0.0)
    scale = np.sqrt((w[:, :steps] ** 2).sum(1, keepdims=True) / np.maximum(count, 1)[:, None])
    scale += 1e-9 * np.nanmax(np.abs(x), axis=1, keepdims=True) + 1e-300
    w /= scale
    order = np.minimum(
        np.minimum(np.maximum(np.log(np.maximum(count, 1)) ** 1.5, 4).astype(np.int64), count // 3), LONG
    )
    errors = _long(w[:, :steps], count, order)
    skipped = order + np.where(count - order - MA > LEAST, MA, 0)
    counted = np.arange(steps) >= (steps - count + skipped)[:, None]
    ar, ma, able = _coefficients(w[:, :steps], errors, counted)
    ar, ma = ar * able[:, :, None], ma * able[:, :, None]  # the others have no say, and their errors may grow past all
    errors = _errors(w, every, ar, ma)
    size = counted.sum(1)[:, None]
    loss = ((errors[:, :steps] ** 2 * counted[:, :, None]).sum(1) / np.maximum(size, 1) + 1e-12) * scale**2
    numbers = np.array([p + q for p, q in ORDERS]) + 1 + centred
    criterion = size * np.log(loss) + 2 * numbers + 2 * numbers * (numbers + 1) / np.maximum(size - numbers - 1, 0.5)
    own = seen.which[:, None]
    made = mean[own] + scale[own] * _ahead(seen, w, errors, ar, ma, horizon)
    return made, np.where(able & np.isfinite(criterion), criterion, np.inf)


def _lagged(w: np.ndarray, lags: int) -> np.ndarray:
    """Each step's earlier ones, 0 before the first: [n, T, lags]."""
    padded = np.pad(w, ((0, 0), (lags, 0)))
    return np.stack([padded[:, lags - k : padded.shape[1] - k] for k in range(1, lags + 1)], axis=2)


def _long(w: np.ndarray, count: np.ndarray, order: np.ndarray) -> np.ndarray:
    """The errors of an autoregression with `order` lags [n], 0 before it has them: [n, T]."""
    rows = (np.arange(w.shape[1]) >= (w.shape[1] - count + order)[:, None])[:, :, None]
    lagged = _lagged(w, LONG) * (np.arange(1, LONG + 1) <= order[:, None])[:, None] * rows
    gram = np.einsum("ntk,ntl->nkl", lagged, lagged, optimize=True) + RIDGE * np.eye(LONG)
    found = np.linalg.solve(gram, np.einsum("ntk,nt->nk", lagged, w)[:, :, None])
    errors: np.ndarray = w * rows[:, :, 0] - (lagged @ found)[:, :, 0]
    return errors


def _coefficients(w: np.ndarray, errors: np.ndarray, counted: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each order [n, G, AR], [n, G, MA], 0 beyond it; and whether it is stationary and invertible [n, G]."""
    columns = np.concatenate([_lagged(w, AR), _lagged(errors, MA)], axis=2) * counted[:, :, None]
    gram = np.einsum("ntk,ntl->nkl", columns, columns, optimize=True)
    right = np.einsum("ntk,nt->nk", columns, w)
    ar, ma = np.zeros((len(w), len(ORDERS), AR)), np.zeros((len(w), len(ORDERS), MA))
    for g, (p, q) in enumerate(ORDERS):
        which = [*range(p), *range(AR, AR + q)]
        if which:
            part = gram[:, which][:, :, which] + RIDGE * np.eye(p + q)
            found = np.linalg.solve(part, right[:, which, None])[:, :, 0]
            ar[:, g, :p], ma[:, g, :q] = found[:, :p], found[:, p:]
    return ar, ma, _inside(ar) & _inside(-ma)


def _inside(coefficients: np.ndarray) -> np.ndarray:
    """Whether all roots of z^p - c1 z^(p-1) - ... - cp [..., p] are below INSIDE (Levinson's steps, backwards)."""
    left = coefficients / INSIDE ** np.arange(1, coefficients.shape[-1] + 1)
    found = np.ones(left.shape[:-1], bool)
    for p in range(left.shape[-1], 0, -1):
        last = left[..., p - 1 : p]
        found &= np.abs(last[..., 0]) < 1
        rest = left[..., : p - 1]
        left = (rest + last * rest[..., ::-1]) / np.maximum(1 - last**2, 1e-9)
    return found


def _errors(w: np.ndarray, known: np.ndarray, ar: np.ndarray, ma: np.ndarray) -> np.ndarray:
    """What each order did not foretell of each step, 0 before the first: [n, T, G]."""
    errors = (w[:, :, None] - _lagged(w, AR) @ ar.transpose(0, 2, 1)) * known[:, :, None]
    for t in range(1, w.shape[1]):
        for k in range(min(MA, t)):
            errors[:, t] -= ma[:, :, k] * errors[:, t - 1 - k]
    return errors


def _ahead(seen: Lines, w: np.ndarray, errors: np.ndarray, ar: np.ndarray, ma: np.ndarray, horizon: int) -> np.ndarray:
    """The forecasts [n, G, H] of all orders, from values w [g, T + m] and errors [g, T + m, G]."""
    ar, ma = ar[seen.which], ma[seen.which]
    past = [np.repeat(seen.last(w, k)[:, None], len(ORDERS), axis=1) for k in range(1, AR + 1)]
    rest = [seen.last(errors, k) for k in range(1, MA + 1)]
    made = np.empty((*past[0].shape, horizon))
    for h in range(horizon):
        step = sum(ar[:, :, k] * past[k] for k in range(AR)) + sum(ma[:, :, k] * rest[k] for k in range(MA))
        made[:, :, h] = step
        past = [step, *past[:-1]]
        rest = [np.zeros_like(step), *rest[:-1]]
    return made
