"""Origins inside what comes before the scored part, at which forecasters are tried before any of them is relied on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
import torch

from backbones.histories import STILL, Histories, HistoryFitting, KnownAhead, Stretches

OF_MANY, OF_FEW, MOST = 4, 8, 60  # backtests of each series: of many, of few, and at most
CHEAP, FEWER = 5000, 2  # windows in which members are fitted four times in no time; fits where there are more
FITS, AT_ONCE = 4, 2  # of a member, for the backtests of a series, and how many of them it is fitted for at least
INNER = 0.2  # of what a member is fitted on, that it chooses its settings on

Pieces = list[tuple[int, int]]  # [begin, end) on the flat axis
Within = Callable[[np.ndarray, np.ndarray], tuple[Pieces, list[int]]]
Laid = Callable[[Pieces, Pieces], tuple[Stretches, Stretches, Stretches, KnownAhead | None]]


@dataclass(frozen=True, eq=False)
class Before:
    """What comes before the scored part: n origins in N rows.

    Parameters
    ----------
    histories : the n origins, by row and in order of time; their targets end before the scored part.
    rows : int64 [n], the row of each.
    val_from : int64 [N], where validation begins in each row: a position on the flat time axis.
    within : low, high int64 [N] -> what the windows cover whose targets lie in [low, high) of their row: pieces of the
        flat axis, and the row of each.
    laid : pieces of training and of validation -> the arguments of `Backbone.fit`.
    """

    histories: Histories
    rows: np.ndarray
    val_from: np.ndarray
    within: Within
    laid: Laid

    @property
    def horizon(self) -> int:
        """H."""
        return self.histories.horizon

    @cached_property
    def first(self) -> np.ndarray:
        """The first origin of each row, int64 [N]; where validation begins in rows without any."""
        found = self.val_from.copy()
        np.minimum.at(found, self.rows, self.histories.origin)
        return found

    @cached_property
    def end(self) -> np.ndarray:
        """Where the last target of each row ends, int64 [N]; 0 in rows without any."""
        found = np.zeros(len(self.val_from), np.int64)
        np.maximum.at(found, self.rows, self.histories.origin + self.horizon)
        return found

    @cached_property
    def _scales(self) -> dict[int, torch.Tensor]:
        """The deviation of the inputs of each row that has a window, [C, 1]; of one row alone 1."""
        pieces, rows = self.within(0 * self.end, self.end)
        parts: dict[int, list[torch.Tensor]] = {}
        for row, piece in zip(rows, self.laid(pieces, [])[0], strict=True):
            parts.setdefault(row, []).append(torch.as_tensor(piece))
        if len(parts) == 1:
            return {row: torch.ones(len(pieces[0]), 1) for row, pieces in parts.items()}
        spread = {row: torch.cat(pieces, dim=1).std(dim=1, correction=0)[:, None] for row, pieces in parts.items()}
        return {row: torch.where(scale > STILL, scale, 1.0) for row, scale in spread.items()}

    def _stretches(
        self, inner: np.ndarray, cut: np.ndarray, scaled: bool, others: Sequence[int]
    ) -> tuple[Stretches, Stretches, Stretches, KnownAhead | None]:
        """The arguments of `Backbone.fit` for windows whose targets end at `cut` [N]; those from `inner` on choose."""
        train, train_rows = self.within(0 * cut, inner)
        val, val_rows = self.within(inner, cut)
        early, late, _, known = self.laid(train, val)
        whole, whole_rows = self.within(0 * cut, cut)
        both, _, _, known_of_both = self.laid(whole, [])
        if known is not None and known_of_both is not None:
            known = known._replace(both=known_of_both.train)
        if scaled:
            as_they_are = torch.tensor(others, dtype=torch.long)
            scales = {row: scale.index_fill(0, as_they_are, 1.0) for row, scale in self._scales.items()}
            early, late, both = (
                [torch.as_tensor(piece) / scales[row] for piece, row in zip(part, rows, strict=True)]
                for part, rows in ((early, train_rows), (late, val_rows), (both, whole_rows))
            )
        return early, late, both, known

    def fitting(
        self, cut: np.ndarray, seed: int, *, choose: bool = True, scaled: bool = True, others: Sequence[int] = ()
    ) -> HistoryFitting:
        """What a member is fitted to: windows whose targets end at `cut` [N] or before, with `choose` the latest
        for its own choices.

        A `scaled` stretch is divided by the deviation of its row, so that the largest rows do not decide alone; the
        channels `others` are not.
        """
        held = np.maximum(self.horizon, (INNER * np.maximum(cut - self.first, 0)).astype(np.int64))
        inner = cut - held if choose else cut
        origin, end = self.histories.origin, self.histories.origin + self.horizon
        train = np.flatnonzero(end <= inner[self.rows])
        val = np.flatnonzero((origin >= inner[self.rows]) & (end <= cut[self.rows]))

        stretches = partial(self._stretches, inner, cut, scaled, others)
        return HistoryFitting(self.histories.part(train), self.histories.part(val), stretches, seed)


@dataclass(frozen=True, eq=False)
class Backtests:
    """m origins, of those of `Before`, each with the number of its fold; a fold's members are fitted before its cut.

    numbers, fold : int64 [m].
    back : int64 [m], which of its row's backtests each is, the latest 0: those of one number are at one date, where
        rows end together.
    cuts : int64 [F, N].
    short : validation holds fewer of them.
    """

    numbers: np.ndarray
    fold: np.ndarray
    back: np.ndarray
    cuts: np.ndarray
    short: bool

    def folds(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """(which of the m, their cut [N]) of each fold; where windows are far apart, one may have none."""
        for number, cut in enumerate(self.cuts):
            if len(which := np.flatnonzero(self.fold == number)):
                yield which, cut


def planned(before: Before, many: bool, late: bool = False) -> Backtests:
    """Backtests at strides of half a horizon or more back from the end of each row.

    Of `many` series the latest, or where validation is long, all over it. Of few all over the later half of the
    history, up to MOST: validation may be one season of several, or one time of trouble. They stay in a validation that
    is long where members have seen what comes before it: `late`.
    """
    stride, horizon = max(before.horizon // 2, 1), before.horizon
    there = before.end > 0

    def room(begin: np.ndarray) -> int:
        return int(np.median((before.end - begin)[there]) - horizon) // stride + 1

    held, least = room(before.val_from), OF_MANY if many else OF_FEW
    reach = held if many or (late and held > OF_FEW) else max(room(before.first) // 2, held)
    count = min(max(reach, least), MOST)
    stride *= 1 if many else max(reach // count, 1)
    inside = reach == held > OF_FEW  # all of them in validation: one fit, to training
    fits = 1 if inside else FITS if len(before.rows) <= CHEAP else FEWER
    at_once = max(-(-count // fits), AT_ONCE)
    origin, rows = before.histories.origin, before.rows
    last = before.end - horizon
    numbers, backs = [], []
    for back in range(count):
        wanted = last - back * stride
        at = _at_or_before(origin, rows, wanted)
        numbers.append(at)
        backs.append(np.full(len(at), back))
    every, kept = np.unique(np.concatenate(numbers), return_index=True)
    back_of = np.concatenate(backs)[kept]
    fold_of = back_of // at_once
    cuts = np.stack([_cut(before, origin[every], rows[every], fold_of == f) for f in range(int(fold_of.max()) + 1)])
    return Backtests(every, fold_of, back_of, cuts, held <= least)


def _at_or_before(origin: np.ndarray, rows: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Of each row the number of its latest origin at or before `wanted` [N]; none of rows without one."""
    chosen = np.flatnonzero(origin <= wanted[rows])
    if not len(chosen):
        return chosen
    last = np.append(np.flatnonzero(np.diff(rows[chosen])), len(chosen) - 1)
    return chosen[last]


def _cut(before: Before, origin: np.ndarray, rows: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Where the first of the chosen targets begins in each row; in other rows the end."""
    cut = before.end.copy()
    np.minimum.at(cut, rows[chosen], origin[chosen])
    return cut
