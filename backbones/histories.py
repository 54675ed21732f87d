"""What a backbone sees that forecasts from all of a series up to its end, not from the look-back alone.

Classical forecasters need the whole history: a trend, a season and a level are estimated from every step before the
target. A backbone that sets `Backbone.reads_history = True` (`HistoryForecaster` in `backbones/local_forecaster.py`
does, for those that treat each series by itself) offers

- `fit_histories(data: HistoryFitting)`, called instead of `fit`: windows of training and of validation as Histories,
  with their truths, and what `fit` would have got, so that a blend can fit members of either kind;
- `from_histories(histories) -> [n, outputs, H]`, called instead of `forward` wherever windows are predicted: backtests,
  validation, test, inference in known and in new series, past the end.

Each of the n origins is a window of the run; its history is the window's row from its first measured step up to the
window's target, [begin, origin), and never beyond: steps at and after the origin stand in `values` and must not be
read, nor may the forecast of one origin depend on which other origins are asked for. Origins inside what was fitted
are allowed: `data.train` has every training window, `part` picks the origins of a backtest, `labels` says what came.

**What it costs.** `values` is one float64 copy of the targets, whatever the number of origins. `stacks` lays histories
that begin at one step into one line of a matrix, so that a recursion over its columns passes all origins of a series at
once: exponential smoothing costs one pass a series, not one a window. What is estimated anew at every origin (a slope,
seasonal indices) should come from running sums, or from a bounded number of last steps (`Stack.last`): n times that
number.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

if TYPE_CHECKING:
    from backbones.backtests import Before

Stretches = Sequence[torch.Tensor | np.ndarray]  # each [C, n], contiguous in time
CELLS = 1 << 21  # numbers of a stack
STILL = 1e-6  # the deviation of a series that stands still, at most: it is left in the units that it has
UNEVEN = 2  # how many times as long as its shortest series the longest of a stack may be


class KnownAhead(NamedTuple):
    """What is known ahead in the stretches of `Backbone.fit`, `[marks + covariates, n]` for each of them."""

    train: Stretches
    val: Stretches
    both: Stretches


@dataclass(frozen=True)
class Stack:
    """S series side by side, and n origins in them.

    Parameters
    ----------
    y : float64 [S, T], each series from its first step on; after its last known step it repeats that.
    series, end : int64 [n], the series of each origin, and how many of its steps are known there, from 1 to T.
    """

    y: np.ndarray
    series: np.ndarray
    end: np.ndarray

    def __len__(self) -> int:
        """n."""
        return len(self.series)

    def last(self, steps: int) -> np.ndarray:
        """The last `steps` known steps at each origin, [n, steps], the newest last; NaN before the first step."""
        found = np.full((len(self), steps), np.nan)
        for i, (series, end) in enumerate(zip(self.series.tolist(), self.end.tolist(), strict=True)):
            known = min(end, steps)
            found[i, steps - known :] = self.y[series, end - known : end]
        return found

    def some(self, which: np.ndarray) -> Stack:
        """The origins with these numbers, or of a mask [n]."""
        return Stack(self.y, self.series[which], self.end[which])

    def bounded(self, steps: int) -> Stack:
        """The same origins with `steps` to twice as many of their last known steps, or all where there are fewer.

        Where a history begins follows from its end alone, so that no origin depends on others; those that begin at one
        step share a line.
        """
        if self.y.shape[1] <= 2 * steps:
            return self
        begin = np.maximum(self.end // steps - 1, 0) * steps
        (series, first), line = np.unique(np.stack([self.series, begin]), axis=1, return_inverse=True)
        at = np.minimum(first[:, None] + np.arange(2 * steps), self.y.shape[1] - 1)
        return Stack(self.y[series[:, None], at], line.ravel(), self.end - begin)

    def blocks(self, width: int, most: int = CELLS) -> Iterator[tuple[slice, Stack]]:
        """The origins in parts for which a table `width` wide has at most `most` numbers: (which, the part)."""
        step = max(most // max(width, 1), 1)
        for begin in range(0, len(self), step):
            part = slice(begin, begin + step)
            yield part, Stack(self.y, self.series[part], self.end[part])


@dataclass(frozen=True)
class Histories:
    """n origins of forecasts, and what each may look at.

    Parameters
    ----------
    values : float64 [K, total], the targets of all rows, one row after the other, without gaps. In units of the model's
        scale, but counted from the data's own zero: ratios and logarithms mean something. Constant where nothing was
        measured.
    level : float64 [K]; `values - level` is what the model's inputs and outputs are in.
    begin : int64 [K, n], where each history begins: a position in `values`.
    origin : int64 [n], the first step to forecast. Only `values[k, begin[k, i] : origin[i]]` may be read.
    horizon : H.
    periods : of the calendar, in steps, the shortest first; () where there are no dates.
    seen : numbers int64 [B], from 0 to n - 1 -> the model's inputs at these origins, on their device: x [B, C, L], and
        known [B, M, L + H] where anything is known ahead. For members that look at windows.
    labels : numbers int64 [B] -> y [B, K, H] float32, what came, in the model's units. Only where it is known.
    """

    values: np.ndarray
    level: np.ndarray
    begin: np.ndarray
    origin: np.ndarray
    horizon: int
    periods: tuple[int, ...]
    seen: Callable[[torch.Tensor], tuple[torch.Tensor, ...]]
    labels: Callable[[torch.Tensor], torch.Tensor]

    def __len__(self) -> int:
        """n."""
        return len(self.origin)

    @property
    def lengths(self) -> np.ndarray:
        """Known steps of each target at each origin, int64 [K, n]."""
        found: np.ndarray = self.origin - self.begin
        return found

    def deviation(self) -> np.ndarray:
        """The standard deviation of each history, float64 [K, n]; 1 where it is at most STILL."""
        moments = [
            np.pad(np.cumsum((self.values - self.level[:, None]) ** p, axis=1), ((0, 0), (1, 0))) for p in (1, 2)
        ]
        which = np.arange(len(self.values))[:, None]
        mean, square = ((sums[which, self.origin] - sums[which, self.begin]) / self.lengths for sums in moments)
        found = np.sqrt(np.maximum(square - mean**2, 0))
        return np.where(found > STILL, found, 1.0)

    def part(self, numbers: np.ndarray) -> Histories:
        """The origins with these numbers."""
        where = torch.from_numpy(np.ascontiguousarray(numbers, np.int64))
        return replace(
            self,
            begin=self.begin[:, numbers],
            origin=self.origin[numbers],
            seen=lambda n: self.seen(where[n.cpu()]),
            labels=lambda n: self.labels(where[n.cpu()]),
        )

    def pieces(self, beyond: int = 0) -> list[np.ndarray]:
        """Each series once, as far as its last origin and `beyond` steps more: float64 [1, m] each."""
        return [self.values[k : k + 1, begin : end + beyond] for k, begin, end in self._series()[1]]

    def flat(self) -> Histories:
        """The same K * n histories as those of one target, without what the model sees at them."""
        shift = np.arange(len(self.begin))[:, None] * self.values.shape[1]
        return self._flat((self.begin + shift).ravel(), (self.origin + shift).ravel())

    def everywhere(self, least: int) -> Histories:
        """Every origin of these series, flat, that has `least` known steps and is not after the series' last one."""
        total = self.values.shape[1]
        spans = [(k * total + begin, k * total + last + 1) for k, begin, last in self._series()[1]]
        origins = [np.arange(begin + least, after) for begin, after in spans]
        begins_at = [np.full(len(one), begin) for one, (begin, _) in zip(origins, spans, strict=True)]
        return self._flat(np.concatenate(begins_at), np.concatenate(origins))

    def ends(self, beyond: int) -> Histories:
        """One origin for each series, flat: `beyond` steps after its last one."""
        total = self.values.shape[1]
        spans = np.array([(k * total + begin, k * total + last + beyond) for k, begin, last in self._series()[1]])
        return self._flat(*spans.reshape(-1, 2).T)

    def _flat(self, begin: np.ndarray, origin: np.ndarray) -> Histories:
        def nothing(_: torch.Tensor) -> Any:
            raise AssertionError("flat histories are those of values, not of windows")

        return Histories(
            self.values.reshape(1, -1), np.zeros(1), begin[None], origin, self.horizon, self.periods, nothing, nothing
        )

    def stacks(self, most: int = CELLS) -> Iterator[tuple[np.ndarray, Stack]]:
        """All K * n histories, those of about the same length together.

        Parameters
        ----------
        most : numbers that a stack may hold, unless one series alone has more.

        Yields
        ------
        (which histories they are, int64: k * n + i for target k and origin i; their Stack).
        """
        number, series = self._series()
        size = np.array([end - begin for _, begin, end in series])
        order = np.argsort(size, kind="stable")
        rank = np.empty_like(order)
        rank[order] = np.arange(len(order))
        size, place, known = size[order], rank[number], (self.origin - self.begin).ravel()
        by_place = np.argsort(place, kind="stable")
        first = 0
        while first < len(size):
            after = int(np.searchsorted(size, UNEVEN * size[first], side="right"))
            after = min(after, first + max(most // int(size[after - 1]), 1))
            chosen = [series[i] for i in order[first:after]]
            low, high = np.searchsorted(place[by_place], [first, after])
            which = np.sort(by_place[low:high])
            yield which, Stack(self._laid(chosen), place[which] - first, known[which])
            first = after

    def _series(self) -> tuple[np.ndarray, list[tuple[int, int, int]]]:
        """Of each history the number of its series, [K * n], and the series as (target, begin, last origin)."""
        targets, total = len(self.begin), self.values.shape[1] + 1
        key = (self.begin + np.arange(targets)[:, None] * total).ravel()
        found, number = np.unique(key, return_inverse=True)
        last = np.zeros(len(found), np.int64)
        np.maximum.at(last, number, np.tile(self.origin, targets))
        return number, list(zip((found // total).tolist(), (found % total).tolist(), last.tolist(), strict=True))

    def _laid(self, series: Sequence[tuple[int, int, int]]) -> np.ndarray:
        """Series as lines of one matrix."""
        target, begin, end = np.array(series).T
        at = begin[:, None] + np.arange((end - begin).max())
        laid: np.ndarray = self.values[target[:, None], np.minimum(at, end[:, None] - 1)]
        return laid


@dataclass(frozen=True)
class HistoryFitting:
    """What `Backbone.fit_histories` gets.

    Parameters
    ----------
    train, val : the windows of both parts; the targets of those of `train` lie in training.
    stretches : the arguments of `Backbone.fit`, for members that are fitted to stretches.
    seed : fixes everything that is random.
    refit : validation may be learned from in the end: there is a test part to judge on. A backbone that does so returns
        as "held_out" what it forecast of validation's windows when it had not seen them, [n, outputs, H].
    settled : the backbone has been fitted before, and what was chosen then holds; this is all there is to learn from.
    before : all that comes before the scored part, for a backbone that tries others there (backbones/backtests.py). It
        returns as "tried" the numbers of origins in it, what it forecast there without having seen what came, and
        whether validation holds fewer of them.
    seconds : how long fitting may take.
    done : what an interrupted run had kept last: what each member of a blend forecast at backtests, by name.
    keep : called now and then with the same of all members that are finished; it saves them.
    """

    train: Histories
    val: Histories
    stretches: Callable[[], tuple[Stretches, Stretches, Stretches, KnownAhead | None]]
    seed: int
    refit: bool = False
    before: Before | None = None
    settled: bool = False
    seconds: float = math.inf
    done: Mapping[str, torch.Tensor] = field(default_factory=dict)
    keep: Callable[[Mapping[str, torch.Tensor]], None] | None = None


@dataclass(frozen=True)
class Gaps:
    """Where steps of one target are missing.

    after, width : int64 [G], the first measured step after each gap, and how many steps it is from the one before.
    """

    after: np.ndarray
    width: np.ndarray


def closed(values: np.ndarray, offsets: np.ndarray) -> tuple[np.ndarray, list[Gaps], np.ndarray]:
    """Values with their gaps closed, and where the gaps were.

    A gap within a row is filled by a straight line between its neighbours. A history whose last step is measured has
    both of them, so nothing comes from beyond an origin.

    Parameters
    ----------
    values : float [K, total], NaN where missing; those of float64 are changed in place.
    offsets : int64 [N + 1], where each row begins and ends.

    Returns
    -------
    (float64 [K, total]; the gaps of each of the K targets; int64 [K, N], each row's first measured step, where it ends
    for none).
    """
    filled, gaps, first = np.asarray(values, np.float64), [], np.empty((len(values), len(offsets) - 1), np.int64)
    for k, channel in enumerate(filled):
        known = np.isfinite(channel)
        if known.all():
            gaps.append(Gaps(np.zeros(0, np.int64), np.zeros(0, np.int64)))
            first[k] = offsets[:-1]
            continue
        measured, missing = np.flatnonzero(known), np.flatnonzero(~known)
        width = np.diff(measured)
        gaps.append(Gaps(measured[1:][width > 1], width[width > 1]))
        first[k] = np.minimum(np.append(measured, offsets[-1])[np.searchsorted(measured, offsets[:-1])], offsets[1:])
        channel[missing] = np.interp(missing, measured, channel[measured]) if len(measured) else 0
    return filled, gaps, first


def begins(gaps: Sequence[Gaps], first: np.ndarray, row: np.ndarray, origin: np.ndarray, longest: int) -> np.ndarray:
    """Where the history of each origin begins: at its row's first measured step, or after the last gap of more than
    `longest` steps, which no line should bridge.

    Parameters
    ----------
    gaps, first : from `closed`.
    row, origin : int64 [n].

    Returns
    -------
    int64 [K, n].
    """
    begin: np.ndarray = first[:, row].copy()
    for k, each in enumerate(gaps):
        starts = each.after[each.width > longest + 1]
        if len(starts):
            before = np.searchsorted(starts, origin, side="left") - 1
            begin[k] = np.maximum(begin[k], np.where(before >= 0, starts[before], 0))
    return begin
