"""Regression on its own lags and on waves of the season, averaged over its sizes by Akaike's criterion.

For a series y or its changes, with orders p and numbers of waves K of the season and of a second, longer one,

    y[t] = c + sum_i a[i] y[t - i] + sum_k b[k] cos(2 pi k t / m) + d[k] sin(2 pi k t / m) + e[t]

by least squares: an autoregression where no wave helps, a harmonic regression where no lag does (Hyndman and
Athanasopoulos 2021, sections 9.4 and 10.5). It sees cycles that no calendar has, and a season of 52 or 365 steps from
two cycles on, which exponential smoothing and seasonal indices do not. `log=true` does the same for logarithms where
all of a history is above 0.

Estimated at every origin from its last STEPS steps; in long histories once for a few of them (carried.py), each of
which goes on from its own last steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np

from backbones import register
from backbones.carried import asked
from backbones.histories import Stack
from backbones.local_forecaster import MOST, LocalForecaster

HYPER = {
    "period": {"default": 0, "min": 0, "max": 100000, "help": "steps of the season; 0: the calendar's, or found"},
    "log": {"default": False, "help": "regress logarithms"},
}
SPACE = {"model_args.log": [False, True]}

ORDERS = (0, 1, 2, 3, 5, 8, 12)
WAVES, SECOND_WAVES = (0, 1, 2, 4, 6), (0, 1, 2)
LEAST_CYCLES = 2  # of a season
EACH, MORE = 3, 6  # steps for each lag, and more of them, that a history must have
STEPS = 1000  # before an origin
CELLS = 1 << 20
NEGLIGIBLE = 1e-3  # weight beside the heaviest
RIDGE = 1e-8  # of the mean square of the regressors


@register
class Harmonic(LocalForecaster):
    """Each origin by itself, or a few of one estimate."""

    _cycles = LEAST_CYCLES

    def local(self, stack: Stack) -> np.ndarray:
        made = np.repeat(stack.y[stack.series, stack.end - 1][:, None], self.forecast.horizon, axis=1)
        least, greatest = (f.accumulate(stack.y, axis=1)[stack.series, stack.end - 1] for f in (np.minimum, np.maximum))
        logs = (least > 0) & bool(self.hyper.log)
        longest = min(STEPS, stack.y.shape[1])
        lags = np.array([max((p for p in ORDERS if EACH * p + MORE <= end), default=-1) for end in stack.end])
        for size in np.unique(lags[lags >= 0]):
            for log in np.unique(logs[lags == size]):
                which = np.flatnonzero((lags == size) & (logs == log))
                some = Stack(stack.y, stack.series[which], stack.end[which])
                made[which] = self._of_one_kind(some, int(size), longest, log=bool(log))
        return np.where(logs[:, None], np.minimum(made, MOST * greatest[:, None]), made)

    def _of_one_kind(self, stack: Stack, lags: int, longest: int, *, log: bool) -> np.ndarray:
        """The forecasts [n, H] with so many lags, in logarithms or not."""
        made = np.empty((len(stack), self.forecast.horizon))
        first, second = (m if LEAST_CYCLES * m <= longest else 1 for m in (self.season, self.second))  # no say else
        grid, which, late = asked(stack, 1, steps=longest)
        terms = Terms(lags, first, second, longest, self.forecast.horizon, int(late.max(initial=0)))
        recent = stack.last(lags + 2)
        for part, some in grid.blocks((longest + len(terms.candidates)) * (terms.size + 1), CELLS):
            mine = np.flatnonzero((which >= part.start) & (which < part.start + len(some)))
            past, newest = some.last(longest), recent[mine]
            if log:
                past, newest = np.log(past), np.log(newest)
            made[mine] = averaged(past, terms, newest, which[mine] - part.start, late[mine])
        return np.exp(np.minimum(made, np.log(np.finfo(float).max) - 1)) if log else made


@dataclass(frozen=True)
class Terms:
    """The regressors: so many lags, a constant, waves of the season and of a second one, at T steps and H ahead, also
    from origins that are up to `late` steps later.
    """

    lags: int
    period: int
    second: int
    steps: int
    horizon: int
    late: int = 0

    @cached_property
    def shared(self) -> np.ndarray:
        """Constant and waves, [T + H + late, c], the same for all series: time is counted from the estimate."""
        t = np.arange(-self.steps, self.horizon + self.late)
        waves = [f(2 * np.pi * k * t / m) for m, most in self._seasons for k in range(1, most + 1) for f in _of(k, m)]
        return np.stack([np.ones(len(t)), *waves], axis=1)

    @property
    def _seasons(self) -> list[tuple[int, int]]:
        """(steps, most waves) of each season."""
        both = ((self.period, WAVES), (self.second, SECOND_WAVES))
        return [(m, max(_waves(m, every))) for m, every in both if m > 1]

    @property
    def size(self) -> int:
        """How many regressors there are."""
        return self.lags + self.shared.shape[1]

    @cached_property
    def candidates(self) -> list[tuple[bool, np.ndarray, int]]:
        """(whether of changes, its regressors, steps that a history must have) of each regression."""
        found = []
        first, second = _waves(self.period, WAVES), _waves(self.second, SECOND_WAVES)
        start = self.lags + 1 + _width(self.period, max(first))
        for order, k, more, (changes, constant) in product(
            (p for p in ORDERS if p <= self.lags), first, second, ((False, True), (True, False), (True, True))
        ):
            columns = [*range(order), *([self.lags] if constant else [])]
            columns += range(self.lags + 1, self.lags + 1 + _width(self.period, k))
            columns += range(start, start + _width(self.second, more))
            least = LEAST_CYCLES * max(self.period if k else 0, self.second if more else 0)
            found.append((changes, np.array(columns, np.int64), least))
        return found


def _of(k: int, m: int) -> tuple[np.ufunc, ...]:
    return (np.cos, np.sin) if 2 * k < m else (np.cos,)


def _waves(period: int, every: tuple[int, ...]) -> list[int]:
    """How many waves of a season are tried."""
    return [k for k in every if k <= period // 2] if period > 1 else [0]


def _width(period: int, k: int) -> int:
    """How many regressors `k` waves of a season are."""
    return min(2 * k, period - 1) if k else 0


def averaged(past: np.ndarray, terms: Terms, recent: np.ndarray, which: np.ndarray, late: np.ndarray) -> np.ndarray:
    """The forecasts [n, H] at n origins, by regressions on the past of g.

    Parameters
    ----------
    past : [g, T], NaN before the first step of a series.
    recent : [n, lags + 2], the last steps at each origin.
    which, late : int64 [n], the number of its past, and how many steps after that past it is, up to `terms.late`.
    """
    level, spread = np.nanmean(past, axis=1)[:, None], np.nanstd(past, axis=1)[:, None]
    spread = np.where(spread > 0, spread, 1.0)
    z, newest = (past - level) / spread, (recent - level[which]) / spread[which]
    both = [_Regressions(z, terms, changes) for changes in (False, True)]
    criterion = np.concatenate([one.criterion for one in both])
    weight = np.exp(-0.5 * (criterion - criterion.min(axis=0)))
    weight[weight < NEGLIGIBLE] = 0
    weight /= weight.sum(axis=0)
    split = len(both[0].criterion)
    low, high = np.nanmin(z, axis=1, keepdims=True)[which], np.nanmax(z, axis=1, keepdims=True)[which]
    bounds = 2 * low - high, 2 * high - low  # what grows without bound was not estimated well
    first, second = (
        one.forecast(share, newest, which, late, bounds)
        for one, share in zip(both, (weight[:split], weight[split:]), strict=True)
    )
    made: np.ndarray = (first + second) * spread[which] + level[which]
    return made


class _Regressions:
    """All regressions of one kind, of series z [g, T] or of their changes.

    criterion : [C, g], Akaike's for small samples.
    """

    def __init__(self, z: np.ndarray, terms: Terms, changes: bool) -> None:
        self.terms, self.changes = terms, changes
        self.x = np.diff(z, axis=1, prepend=np.nan) if changes else z
        shared = terms.shared
        if changes:
            shared = np.diff(shared, axis=0, prepend=shared[:1])
            shared[:, 0] = 1.0  # a drift
        self.ahead = shared[terms.steps :]
        self.own = [columns for kind, columns, _ in terms.candidates if kind == changes]
        least = np.array([steps for kind, _, steps in terms.candidates if kind == changes])
        self.gram, self.rows = self._gram(z, shared[: terms.steps])
        self.criterion = self._criterion(self._left(), np.array([len(one) + 1 for one in self.own])[:, None])
        self.criterion[least[:, None] > np.isfinite(z).sum(1)] = np.inf

    def _gram(self, z: np.ndarray, shared: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Products of regressors and target, the target last, [g, q + 1, q + 1], and steps that they are of [g]."""
        lags, first = self.terms.lags, self.terms.lags + 1
        steps = z.shape[1] - first
        known = np.isfinite(z[:, :steps])
        x = np.empty((len(z), steps, self.terms.size + 1))
        for i in range(lags):
            x[:, :, i] = self.x[:, lags - i : lags - i + steps]
        x[:, :, lags:-1] = shared[first:]
        x[:, :, -1] = self.x[:, first:]
        x[~known] = 0.0
        return x.transpose(0, 2, 1) @ x, known.sum(1)

    def _left(self) -> np.ndarray:
        """The squares [C, g] that each regression leaves.

        Those that differ in the number of lags alone share one factor of the products, with the lags and then the
        target last: of its last line the squares are what each regressor adds to those before it.
        """
        left = np.empty((len(self.own), len(self.gram)))
        alike: dict[tuple[int, ...], list[int]] = {}
        for c, columns in enumerate(self.own):
            alike.setdefault(tuple(columns[columns >= self.terms.lags].tolist()), []).append(c)
        for others, members in alike.items():
            lags = max(len(self.own[c]) for c in members) - len(others)
            columns = np.array([*others, *range(lags), self.terms.size])
            bordered, at = self.gram[:, columns[:, None], columns], np.arange(len(columns))
            bordered[:, at, at] += _ridge(bordered[:, :-1, :-1])[:, None]
            bordered[:, -1, -1] += self.gram[:, -1, -1] + 1  # of which the line of the factor knows nothing
            explained = np.cumsum(np.linalg.cholesky(bordered)[:, -1, :-1] ** 2, axis=1)
            for c in members:
                count = len(self.own[c])
                left[c] = self.gram[:, -1, -1] - (explained[:, count - 1] if count else 0.0)
        return left

    def _coefficients(self, weight: np.ndarray) -> np.ndarray:
        """Of each regression where it has a weight [C, g], else 0, as for what it does not have: [C, g, q]."""
        found = np.zeros((*weight.shape, self.terms.size))
        for c, columns in enumerate(self.own):
            which = np.flatnonzero(weight[c])
            if not len(which) or not len(columns):
                continue
            gram = self.gram[which]
            product_ = gram[:, columns[:, None], columns]
            product_ += _ridge(product_)[:, None, None] * np.eye(len(columns))
            solved = np.linalg.solve(product_, gram[:, columns, -1, None])[:, :, 0]
            found[c, which[:, None], columns] = solved
        return found

    def _criterion(self, left: np.ndarray, count: np.ndarray) -> np.ndarray:
        """Akaike's criterion [C, g] of what is left [C, g] by regressions that estimate `count` [C, 1] numbers."""
        spare = self.rows - count - 1
        loss = np.maximum(left / self.rows, 1e-9)  # of series of variance 1
        found: np.ndarray = self.rows * np.log(loss) + 2 * count + 2 * count * (count + 1) / np.maximum(spare, 1)
        found[(spare < 1) & (count > 1)] = np.inf
        return found

    def forecast(
        self,
        weight: np.ndarray,
        recent: np.ndarray,
        which: np.ndarray,
        late: np.ndarray,
        bounds: tuple[np.ndarray, np.ndarray],
    ) -> np.ndarray:
        """The weighted sum [n, H] of forecasts with weights [C, g], each within bounds [n, 1]; see `averaged`."""
        lags, horizon = self.terms.lags, self.terms.horizon
        regression, origin = np.nonzero(weight[:, which])
        coefficient = self._coefficients(weight)[regression, which[origin]]
        steps = late[origin, None] + np.arange(horizon)
        ahead = np.take_along_axis(coefficient[:, lags:] @ self.ahead.T, steps, axis=1)
        x = np.diff(recent, axis=1) if self.changes else recent
        past = x[origin, -1 : -lags - 1 : -1] if lags else np.empty((len(origin), 0))  # the newest first
        for h in range(horizon):
            ahead[:, h] += (coefficient[:, :lags] * past).sum(1)
            past = np.concatenate([ahead[:, h, None], past[:, :-1]], axis=1)[:, :lags]
        if self.changes:
            ahead = recent[origin, -1:] + np.cumsum(ahead, axis=1)
        ahead = np.clip(np.nan_to_num(ahead), bounds[0][origin], bounds[1][origin])
        made = np.zeros((len(which), horizon))
        np.add.at(made, origin, ahead * weight[regression, which[origin]][:, None])
        return made


def _ridge(product_: np.ndarray) -> np.ndarray:
    """What is added to the diagonal of products [g, k, k] to solve them, [g]."""
    found: np.ndarray = RIDGE * np.trace(product_, axis1=1, axis2=2) / max(product_.shape[1], 1) + 1e-12
    return found
