"""Exponential smoothing with a grid of parameters at once, its members averaged by how well they foretold each step.

In error-correction form (Hyndman, Koehler, Ord and Snyder 2008, table 2.3), for an additive season of m steps:

    e = y[t] - (l + phi b) - s[t - m];  l = l + phi b + alpha e;  b = phi b + beta e;  s[t] = s[t - m] + gamma e

and for a multiplicative one `e = y[t] - (l + phi b) s[t - m]`, with `e / s` in place of e for level and slope and
`e / (l + phi b)` for the season. The weights at an origin are those of Akaike's criterion over its history.

One pass over a series serves all of its origins: each needs the states and the squared errors up to there. The first
states come from a line with a season, by least squares, over the first PREFIX cycles, or over the whole history where
that is shorter: such an origin has a pass of its own. S series of T steps cost S T times the grid (up to 810 members).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np

from backbones.histories import Stack

ALPHAS = (0.02, 0.08, 0.2, 0.32, 0.44, 0.56, 0.7, 0.85, 0.99)
BETAS = (0.0, 0.05, 0.2)  # of alpha
PHIS = (0.9, 0.98, 1.0)
GAMMAS = (0.0, 0.02, 0.05, 0.1, 0.2, 0.4, 0.7, 1.0)  # of 1 - alpha
PREFIX, PREFIX_STEPS = 3, 10  # cycles, or steps where there is no season, that the first states come from
LEAST_CYCLES = 2  # of a season
LONG = 1 << 14  # steps before an origin, or as many cycles as the first states come from
CELLS = 1 << 19  # series times members that are smoothed at once
FLOOR = 1e-10  # of the mean square of the changes: a series that is foretold without an error


@dataclass(frozen=True)
class Grid:
    """G members.

    alpha, beta, phi, gamma : their parameters [G]; phi is 0 for a level without a slope.
    count : how many numbers each estimates [G].
    slope : which of PHIS each has [G, 3].
    season : which have a season [G].
    """

    alpha: np.ndarray
    beta: np.ndarray
    phi: np.ndarray
    gamma: np.ndarray
    count: np.ndarray
    slope: np.ndarray
    season: np.ndarray


@lru_cache(maxsize=64)
def grid(period: int) -> Grid:
    """The members for a season of `period` steps: those without a season, and with it if there is one."""
    rows = []
    for seasonal in (False, True) if period > 1 else (False,):
        trends = [(0.0, 0.0, False), *((beta, phi, True) for beta, phi in product(BETAS, PHIS))]
        for alpha, (beta, phi, sloped), gamma in product(ALPHAS, trends, GAMMAS if seasonal else (0.0,)):
            count = 3 + sloped * (1 + (beta > 0) + (phi < 1)) + seasonal * (period - 1 + (gamma > 0))
            rows.append((alpha, alpha * beta, phi, gamma * (1 - alpha), count, seasonal, sloped))
    alpha, beta, phi, gamma, count, seasons, slopes = np.array(rows, np.float64).T
    which = (phi[:, None] == np.array(PHIS)) * slopes[:, None]
    return Grid(alpha, beta, phi, gamma, count, which, seasons)


def smoothed(stack: Stack, period: int, horizon: int, multiplies: bool = False) -> np.ndarray:
    """The forecasts [n, H] at the origins of a stack.

    Parameters
    ----------
    period : steps of the season; 1 for none.
    horizon : H.
    multiplies : the season is a factor; all values must be above 0.
    """
    stack = stack.bounded(max(LONG, PREFIX * period))
    made = np.empty((len(stack), horizon))
    prefix = np.minimum(stack.end, PREFIX * period if period > 1 else PREFIX_STEPS)
    seasonal = (period > 1) & (stack.end >= LEAST_CYCLES * period)
    jobs, job = np.unique(np.stack([~seasonal, prefix, stack.series]), axis=1, return_inverse=True)
    job = job.ravel()
    last = np.zeros(jobs.shape[1], np.int64)
    np.maximum.at(last, job, stack.end)
    for chosen in _parts(jobs[0], jobs[1], last, period):
        m = 1 if jobs[0, chosen[0]] else period
        y = stack.y[jobs[2, chosen], : int(last[chosen].max())]
        place = np.full(jobs.shape[1], -1)
        place[chosen] = np.arange(len(chosen))
        which = np.flatnonzero(place[job] >= 0)
        run = _Run(y, int(jobs[1, chosen[0]]), m, multiplies and m > 1)
        made[which] = run.forecast(place[job[which]], stack.end[which], horizon)
    return made


def _parts(plain: np.ndarray, prefix: np.ndarray, last: np.ndarray, period: int) -> Iterator[np.ndarray]:
    """Jobs in parts that are smoothed together: of one kind and one prefix, not too many."""
    kinds, which = np.unique(np.stack([plain, prefix]), axis=1, return_inverse=True)
    for kind in range(kinds.shape[1]):
        alike = np.flatnonzero(which.ravel() == kind)
        alike = alike[np.argsort(last[alike], kind="stable")]
        most = max(CELLS // len(grid(1 if kinds[0, kind] else period).alpha), 1)
        yield from (alike[begin : begin + most] for begin in range(0, len(alike), most))


class _Run:
    """One pass over series y [S, T] with all members of a grid."""

    def __init__(self, y: np.ndarray, prefix: int, period: int, multiplies: bool) -> None:
        self.y, self.period, self.multiplies, self.grid = y, period, multiplies, grid(period)
        shape = len(y), len(self.grid.alpha)
        level, slope, season = first_states(y[:, :prefix], period)
        if multiplies:
            centre = np.maximum(level + slope * (prefix - 1) / 2, 0.1 * y[:, :prefix].mean(1))[:, None]
            season = np.maximum(1 + season / centre, 0.05)
        self.level = np.repeat((level - slope)[:, None], shape[1], axis=1)
        self.slope = slope[:, None] * (self.grid.phi > 0)
        self.level += np.where(self.grid.phi > 0, 0.0, slope[:, None])
        none = 1.0 if multiplies else 0.0
        self.season = [np.where(self.grid.season > 0, one[:, None], none) for one in season.T]
        self.squares = np.zeros(shape)
        change = np.diff(y, axis=1, prepend=y[:, :1])
        self.floor = FLOOR * (change**2).mean(1) + 1e-24 * (y**2).mean(1) + 1e-300

    def forecast(self, series: np.ndarray, end: np.ndarray, horizon: int) -> np.ndarray:
        """The forecasts [n, H] where the first `end` steps of `series` are known, int64 [n] each."""
        made = np.empty((len(series), horizon))
        order = np.argsort(end, kind="stable")
        bounds = np.searchsorted(end[order], np.arange(self.y.shape[1] + 2))
        for t in range(self.y.shape[1]):
            with np.errstate(over="ignore", invalid="ignore"):  # members that diverge have no weight
                self._step(t)
            which = order[bounds[t + 1] : bounds[t + 2]]
            for begin in range(0, len(which), 512):
                part = which[begin : begin + 512]
                made[part] = self._from_here(series[part], t + 1, horizon)
        return made

    def _step(self, t: int) -> None:
        """Take in step t."""
        g, season = self.grid, self.season[t % self.period]
        self.slope *= g.phi
        self.level += self.slope
        if self.multiplies:
            error = self.y[:, t, None] - self.level * season
            base = np.maximum(np.abs(self.level), 1e-3 * np.abs(self.y[:, t, None]) + 1e-300)
            season += g.gamma * error / base
            np.clip(season, 0.05, 20.0, out=season)
            self.squares += error * error
            error /= season
        else:
            error = self.y[:, t, None] - self.level
            error -= season
            self.squares += error * error
            if self.period > 1:
                season += g.gamma * error
        self.level += g.alpha * error
        self.slope += g.beta * error

    def _from_here(self, rows: np.ndarray, count: int, horizon: int) -> np.ndarray:
        """The forecasts [k, H] of series `rows` [k], of which `count` steps are known."""
        weight = self._weights(rows, count)
        ahead = np.cumsum(np.power.outer(np.array(PHIS), np.arange(1, horizon + 1)), axis=1)  # [3, H]
        phases = (count + np.arange(min(horizon, self.period))) % self.period
        level, slope = _weighed(weight, self.level[rows]), _weighed(weight, self.slope[rows])
        which = np.arange(horizon) % self.period
        if not self.multiplies:
            season = np.stack([_weighed(weight, self.season[p][rows]).sum(1) for p in phases], axis=1)
            line: np.ndarray = level.sum(1)[:, None] + (slope @ self.grid.slope) @ ahead
            return line + season[:, which]
        made = np.empty((len(rows), horizon))
        for place, p in enumerate(phases):
            season, steps = np.where(weight > 0, self.season[p][rows], 0.0), which == place
            made[:, steps] = (level * season).sum(1)[:, None] + ((slope * season) @ self.grid.slope) @ ahead[:, steps]
        return made

    def _weights(self, rows: np.ndarray, count: int) -> np.ndarray:
        """The members' weights [k, G] after `count` steps, by Akaike's criterion for small samples."""
        k = self.grid.count
        squares = np.where(np.isnan(self.squares[rows]), np.inf, self.squares[rows])
        loss = np.maximum(squares / count, self.floor[rows, None])
        criterion = count * np.log(loss) + 2 * k + 2 * k * (k + 1) / np.maximum(count - k - 1, 0.5)
        weight = np.exp(-0.5 * (criterion - criterion.min(1, keepdims=True)))
        normed: np.ndarray = weight / weight.sum(1, keepdims=True)
        return normed


def _weighed(weight: np.ndarray, state: np.ndarray) -> np.ndarray:
    """Weights [k, G] times states; 0 without weight, also where a member diverged."""
    return weight * np.where(weight > 0, state, 0.0)


def first_states(y: np.ndarray, period: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A line with a season by least squares over y [S, p]: level at the first step [S], slope [S], season [S, m]."""
    found = y @ _solver(y.shape[1], period).T
    season = np.concatenate([found[:, 2:], -found[:, 2:].sum(1, keepdims=True)], axis=1)
    return found[:, 0], found[:, 1], season


@lru_cache(maxsize=256)
def _solver(steps: int, period: int) -> np.ndarray:
    """The least-squares map [1 + 1 + m - 1, steps] for level, slope and all phases but the last, which sum to 0."""
    t = np.arange(steps)
    phase = np.eye(period)[t % period]
    columns = np.column_stack([np.ones(steps), t, phase[:, :-1] - phase[:, -1:]])
    if steps < 3:
        columns[:, 1] = 0.0
    solver: np.ndarray = np.linalg.pinv(columns)
    return solver
