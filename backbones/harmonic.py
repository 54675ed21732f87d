"""Regression on its own lags and on waves of the season, averaged over its sizes by Akaike's criterion.

For a series y or its changes, with orders p and numbers of waves K of the season and of a second, longer one,

    y[t] = c + sum_i a[i] y[t - i] + sum_k b[k] cos(2 pi k t / m) + d[k] sin(2 pi k t / m) + e[t]

by least squares: an autoregression where no wave helps, a harmonic regression where no lag does (Hyndman and
Athanasopoulos 2021, sections 9.4 and 10.5). It sees cycles that no calendar has, and a season of 52 or 365 steps from
two cycles on, which exponential smoothing and seasonal indices do not. `log=true` does the same for logarithms where
all of a history is above 0.

Estimated anew at every origin, from its last STEPS steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np

from backbones import register
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
    """Each origin by itself."""

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
        terms = Terms(lags, first, second, longest, self.forecast.horizon)
        for part, some in stack.blocks((longest + len(terms.candidates)) * (terms.size + 1), CELLS):
            past = some.last(longest)
            made[part] = averaged(np.log(past) if log else past, terms)
        return np.exp(np.minimum(made, np.log(np.finfo(float).max) - 1)) if log else made


@dataclass(frozen=True)
class Terms:
    """The regressors: so many lags, a constant, waves of the season and of a second one, at T steps and H ahead."""

    lags: int
    period: int
    second: int
    steps: int
    horizon: int

    @cached_property
    def shared(self) -> np.ndarray:
        """Constant and waves, [T + H, c], the same for all series: time is counted from the origin."""
        t = np.arange(-self.steps, self.horizon)
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


def averaged(past: np.ndarray, terms: Terms) -> np.ndarray:
    """The forecasts [n, H] of series [n, T], NaN before the first step of each."""
    level, spread = np.nanmean(past, axis=1), np.nanstd(past, axis=1)
    spread = np.where(spread > 0, spread, 1.0)
    z = (past - level[:, None]) / spread[:, None]
    both = [_Regressions(z, terms, changes) for changes in (False, True)]
    criterion = np.concatenate([one.criterion for one in both])
    weight = np.exp(-0.5 * (criterion - criterion.min(axis=0)))
    weight[weight < NEGLIGIBLE] = 0
    weight /= weight.sum(axis=0)
    split = len(both[0].criterion)
    low, high = np.nanmin(z, axis=1, keepdims=True), np.nanmax(z, axis=1, keepdims=True)
    bounds = 2 * low - high, 2 * high - low  # what grows without bound was not estimated well
    first, second = (
        one.forecast(share, bounds) for one, share in zip(both, (weight[:split], weight[split:]), strict=True)
    )
    made: np.ndarray = (first + second) * spread[:, None] + level[:, None]
    return made


class _Regressions:
    """All regressions of one kind, of series z [n, T] or of their changes.

    coefficients : [C, n, q], 0 for what a regression does not have; criterion : [C, n], Akaike's for small samples.
    """

    def __init__(self, z: np.ndarray, terms: Terms, changes: bool) -> None:
        self.terms, self.changes, self.last = terms, changes, z[:, -1:]
        self.x = np.diff(z, axis=1, prepend=np.nan) if changes else z
        shared = terms.shared
        if changes:
            shared = np.diff(shared, axis=0, prepend=shared[:1])
            shared[:, 0] = 1.0  # a drift
        self.ahead = shared[terms.steps :]
        own = [columns for kind, columns, _ in terms.candidates if kind == changes]
        least = np.array([steps for kind, _, steps in terms.candidates if kind == changes])
        gram, self.rows = self._gram(z, shared[: terms.steps])
        self.coefficients = np.zeros((len(own), len(z), terms.size))
        left = np.stack([self._solved(gram, one, c) for c, one in enumerate(own)])
        self.criterion = self._criterion(left, np.array([len(one) + 1 for one in own])[:, None])
        self.criterion[least[:, None] > np.isfinite(z).sum(1)] = np.inf

    def _gram(self, z: np.ndarray, shared: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Products of regressors and target, the target last, [n, q + 1, q + 1], and steps that they are of [n]."""
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

    def _solved(self, gram: np.ndarray, columns: np.ndarray, c: int) -> np.ndarray:
        """The squares [n] that the regression number `c` on some regressors leaves; its coefficients are kept."""
        total = gram[:, -1, -1]
        if not len(columns):
            return np.asarray(total)
        product_ = gram[:, columns[:, None], columns]
        right = gram[:, columns, -1]
        size = np.trace(product_, axis1=1, axis2=2) / len(columns)
        product_ = product_ + (RIDGE * size + 1e-12)[:, None, None] * np.eye(len(columns))
        found = np.linalg.solve(product_, right[:, :, None])[:, :, 0]
        self.coefficients[c][:, columns] = found
        left: np.ndarray = total - (found * right).sum(1)
        return left

    def _criterion(self, left: np.ndarray, count: np.ndarray) -> np.ndarray:
        """Akaike's criterion [C, n] of what is left [C, n] by regressions that estimate `count` [C, 1] numbers."""
        spare = self.rows - count - 1
        loss = np.maximum(left / self.rows, 1e-9)  # of series of variance 1
        found: np.ndarray = self.rows * np.log(loss) + 2 * count + 2 * count * (count + 1) / np.maximum(spare, 1)
        found[(spare < 1) & (count > 1)] = np.inf
        return found

    def forecast(self, weight: np.ndarray, bounds: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
        """The weighted sum [n, H] of forecasts with weights [C, n], each within bounds [n, 1]."""
        which, series = np.nonzero(weight)
        coefficient, lags = self.coefficients[which, series], self.terms.lags
        ahead = coefficient[:, lags:] @ self.ahead.T
        past = self.x[series, -1 : -lags - 1 : -1] if lags else np.empty((len(series), 0))  # the newest first
        for h in range(ahead.shape[1]):
            ahead[:, h] += (coefficient[:, :lags] * past).sum(1)
            past = np.concatenate([ahead[:, h, None], past[:, :-1]], axis=1)[:, :lags]
        if self.changes:
            ahead = self.last[series] + np.cumsum(ahead, axis=1)
        ahead = np.clip(np.nan_to_num(ahead), bounds[0][series], bounds[1][series])
        made = np.zeros((weight.shape[1], ahead.shape[1]))
        np.add.at(made, series, ahead * weight[which, series][:, None])
        return made
