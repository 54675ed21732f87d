"""Lazy windows over a Series: an index and one gather, never a copy of the data.

An `Index` says which windows there are, as runs of equally spaced starts: its size is that of the runs, not of the
windows. `Windows` puts it over tensors that live on a device; `gather` reads a batch out of them in one call.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch

from errors import DataError

AHEAD = 1 << 17  # windows of an epoch that are located at once
BLOCK = 1 << 20  # windows whose positions are held: 16 MB at most, however many windows there are


class Readable(Protocol):
    """What stands in for a tensor [C, total] where its values are made from less, as windows are read."""

    device: torch.device
    shape: tuple[int, int]

    def read(self, starts: torch.Tensor, length: int) -> torch.Tensor:
        """Starts [B] -> [B, C, length]."""
        ...


@dataclass(frozen=True)
class Index:
    """Runs of windows: run s holds `count[s]` windows of row `row[s]`, at `first[s]`, `first[s] + stride`, ...

    Starts are positions on the flat time axis of a Series (its `values` are `[C, total]`). The target of a window
    that starts at t is the `horizon` steps from `t + shift` on, or, when `shift` is None, belongs to the whole row.
    """

    first: np.ndarray
    count: np.ndarray
    row: np.ndarray
    stride: int
    length: int
    shift: int | None
    horizon: int = 1

    def __len__(self) -> int:
        return int(self.count.sum())

    def starts(self) -> np.ndarray:
        """Every window's start, int64 [n]."""
        offset = np.arange(len(self)) - np.repeat(np.cumsum(self.count) - self.count, self.count)
        starts: np.ndarray = np.repeat(self.first, self.count) + offset * self.stride
        return starts

    def rows(self) -> np.ndarray:
        """Every window's row, int64 [n]."""
        return np.repeat(self.row, self.count)

    def targets(self) -> np.ndarray:
        """Where every window's target begins: a position on the flat axis, or the row for whole-row targets."""
        return self.rows() if self.shift is None else self.starts() + self.shift

    @property
    def span(self) -> int:
        """Steps of a row from a window's first to its last, target included."""
        return self.length if self.shift is None else max(self.length, self.shift + self.horizon)

    def of_rows(self, chosen: np.ndarray) -> Index:
        """The windows of the rows where the mask `chosen` [N] is true."""
        return self._keep(self.first, self.count, chosen[self.row])

    def with_target_in(self, low: np.ndarray, high: np.ndarray) -> Index:
        """The windows whose whole target lies in [low[r], high[r]) of their row r, positions on the flat axis."""
        assert self.shift is not None, "whole-row targets have no time"
        target = self.first + self.shift
        skip = np.clip(-(-(low[self.row] - target) // self.stride), 0, self.count)
        stop = np.clip(-(-(high[self.row] - (self.horizon - 1) - target) // self.stride), 0, self.count)
        return self._keep(self.first + skip * self.stride, np.maximum(stop - skip, 0), stop > skip)

    def _keep(self, first: np.ndarray, count: np.ndarray, mask: np.ndarray) -> Index:
        return replace(self, first=first[mask], count=count[mask], row=self.row[mask])

    def covered(self, total: int) -> np.ndarray:
        """Mask [total] of the steps that some window's context holds (from each run's first to its last step)."""
        return self._between(total, self.first, self.length)

    def targeted(self, total: int) -> np.ndarray:
        """Mask [total] of the steps that some window's target holds (of the rows, for whole-row targets)."""
        if self.shift is None:
            return np.isin(np.arange(total), self.row)
        if self.stride <= self.horizon:
            return self._between(total, self.first + self.shift, self.horizon)
        mask = np.zeros(total, bool)
        for step in range(self.horizon):
            mask[self.targets() + step] = True
        return mask

    def _between(self, total: int, first: np.ndarray, length: int) -> np.ndarray:
        edge = np.zeros(total + 1, np.int32)
        np.add.at(edge, first, 1)
        np.add.at(edge, first + (self.count - 1) * self.stride + length, -1)
        return np.cumsum(edge[:-1], out=edge[:-1]) > 0

    def pieces(self) -> list[tuple[int, int]]:
        """[begin, end) of each run on the flat axis, from its first context to the end of its last target (of each
        window, where they lie so far apart that steps between them belong to none)."""
        apart = self.stride > self.span
        first = self.starts() if apart else self.first
        ends = first + self.span + (0 if apart else (self.count - 1) * self.stride)
        return list(zip(first.tolist(), ends.tolist(), strict=True))


def plan(
    offsets: np.ndarray,
    usable_x: np.ndarray,
    usable_y: np.ndarray,
    *,
    length: int,
    offset: int | None,
    stride: int = 1,
    horizon: int = 1,
) -> Index:
    """Every window whose context and target are usable.

    offsets [N+1]: row borders; usable_x, usable_y [total]: steps without a missing value (usable_y [N] for whole-row
    targets). length: steps of context L. offset: the target's first of `horizon` steps lies K steps after the
    context's last step; None for whole-row targets. A window lies within one row, and starts are `stride` apart from
    each row's first.
    """
    shift = None if offset is None else length - 1 + offset
    nothing = np.zeros(0, np.int64)
    blank = Index(nothing, nothing, nothing, stride, length, shift, horizon)
    lengths = np.diff(offsets)
    n_starts = np.maximum((lengths - blank.span) // stride + 1, 0)
    if usable_x.all() and usable_y.all():  # one run a row
        rows = np.flatnonzero(n_starts)
        return replace(blank, first=offsets[rows], count=n_starts[rows], row=rows)
    row = np.repeat(np.arange(len(lengths)), n_starts)
    within = np.arange(len(row)) - np.repeat(np.cumsum(n_starts) - n_starts, n_starts)
    start = offsets[row] + within * stride
    good = _clean(usable_x, start, length)
    good &= usable_y[row] if shift is None else _clean(usable_y, start + shift, horizon)
    return _runs(start[good], row[good], blank)


def cover(offsets: np.ndarray, usable: np.ndarray, *, length: int, stride: int) -> Index:
    """Windows whose target is the window itself, over every stretch of usable steps [total] that is as long as one.

    Within a stretch they start `stride` apart, and one more ends where the stretch ends: all of it is covered.
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[False], usable, [False]]).astype(np.int8)))
    begin, end = edges[::2], edges[1::2]
    inner = offsets[1:-1]
    inner = inner[usable[inner - 1] & usable[inner]] if len(inner) else inner  # a stretch ends where its row does
    begin, end = np.sort(np.concatenate([begin, inner])), np.sort(np.concatenate([end, inner]))
    long = end - begin >= length
    begin, end = begin[long], end[long]
    count = (end - begin - length) // stride + 1
    rest = begin + (count - 1) * stride + length < end
    first = np.concatenate([begin, end[rest] - length])
    order = np.argsort(first, kind="stable")
    first = first[order]
    count = np.concatenate([count, np.ones(int(rest.sum()), np.int64)])[order]
    row = np.searchsorted(offsets, first, side="right") - 1
    return Index(first, count, row, stride, length, shift=0, horizon=length)


def _clean(usable: np.ndarray, start: np.ndarray, length: int) -> np.ndarray:
    """Whether all `length` steps from each start on are usable."""
    missing = np.concatenate([[0], np.cumsum(~usable)])
    clean: np.ndarray = missing[start + length] == missing[start]
    return clean


def _runs(start: np.ndarray, row: np.ndarray, blank: Index) -> Index:
    """Starts, sorted, as runs: a new one wherever the next start is not `stride` further in the same row."""
    if not len(start):
        return blank
    new = np.concatenate([[True], (np.diff(start) != blank.stride) | (np.diff(row) != 0)])
    begin = np.flatnonzero(new)
    count = np.diff(np.concatenate([begin, [len(start)]]))
    return replace(blank, first=start[begin], count=count, row=row[begin])


def last_contexts(
    offsets: np.ndarray, usable_x: np.ndarray, *, length: int, offset: int | None, horizon: int = 1
) -> Index:
    """One window a row: the context that ends with the row's last step, its target not yet seen."""
    shift = None if offset is None else length - 1 + offset
    start = np.maximum(offsets[1:] - length, 0)
    fits = np.diff(offsets) >= length
    row = np.flatnonzero(fits & _clean(usable_x, start, np.minimum(length, offsets[1:])))
    return Index(start[row], np.ones(len(row), np.int64), row, 1, length, shift, horizon)


def merged(pieces: Iterable[tuple[int, int]], offsets: np.ndarray) -> list[tuple[int, int]]:
    """Pieces of the flat axis with those that overlap or touch in one row joined."""
    joined: list[tuple[int, int]] = []
    borders = set(offsets.tolist())
    for begin, end in sorted(pieces):
        if joined and begin <= joined[-1][1] and begin not in borders:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((begin, end))
    return joined


def check_length(lengths: np.ndarray, length: int, beyond: int, n_rows: int) -> None:
    """DataError when no row is as long as one window: a context of `length` and the `beyond` steps of its target."""
    longest, span = int(lengths.max(initial=0)), length + beyond
    if longest >= span:
        return
    need = f"{length} + {beyond}" if beyond else f"{length}"
    hint = "a smaller --context-len"
    if n_rows >= span:
        hint = f"rows are series and columns are time: the file has {n_rows} rows, is it transposed? Else {hint}"
    raise DataError(f"rows have {longest} steps, a window needs {need} = {span}", where="--context-len", hint=hint)


class Windows:
    """Windows of an Index over tensors on one device (or what stands in for them).

    inputs: [C, total], what the model sees. targets: [K, total], or [K, N] for whole-row targets. known: [M, total +
    N * H], what is known beforehand, each row followed by the H steps after it (H is the index's horizon).
    """

    def __init__(
        self,
        inputs: torch.Tensor | Readable,
        targets: torch.Tensor | Readable,
        index: Index,
        known: torch.Tensor | None = None,
    ) -> None:
        self.inputs, self.targets, self.index, self.known = inputs, targets, index, known
        self.device = inputs.device
        ends = np.cumsum(index.count)
        self._ends, self._before = self._tensor(ends), self._tensor(ends - index.count)
        self._first, self._row = self._tensor(index.first), self._tensor(index.row)
        self._table: torch.Tensor | None = None
        if len(index) <= BLOCK:  # looked up instead of worked out again every epoch
            self._table = self.locate(torch.arange(len(index), device=self.device))

    def _tensor(self, values: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(values, dtype=np.int64)).to(self.device)

    def __len__(self) -> int:
        return len(self.index)

    @property
    def shape(self) -> tuple[int, int]:
        """(C, L) of one window."""
        return self.inputs.shape[0], self.index.length

    def locate(self, numbers: torch.Tensor) -> torch.Tensor:
        """Window numbers [B] -> positions [2 or 3, B]: where each context, each target and what is known starts."""
        if self._table is not None:
            return self._table.index_select(1, numbers)
        run = torch.searchsorted(self._ends, numbers, right=True)
        start = self._first[run] + (numbers - self._before[run]) * self.index.stride
        target = self._row[run] if self.index.shift is None else start + self.index.shift
        if self.known is None:
            return torch.stack([start, target])
        return torch.stack([start, target, start + self._row[run] * self.index.horizon])

    def gather(self, positions: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Positions from `locate` -> all that a model sees, and y [B, K, H] last, in one read each."""
        return *self.seen(positions), self.labels(positions)

    def contexts(self, positions: torch.Tensor) -> torch.Tensor:
        """Positions -> x [B, C, L] alone, for windows whose target is not known or not asked for."""
        return read(self.inputs, positions[0], self.index.length)

    def seen(self, positions: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Positions -> all that a model sees: x [B, C, L], and where there is any, known [B, M, L + H]."""
        x = self.contexts(positions)
        if self.known is None:
            return (x,)
        return x, read(self.known, positions[2], self.index.length + self.index.horizon)

    def labels(self, positions: torch.Tensor) -> torch.Tensor:
        """Positions -> y [B, K, H] alone: those of a whole split, where its contexts would not fit."""
        return read(self.targets, positions[1], self.index.horizon)

    def in_order(self, batch_size: int) -> Iterator[tuple[torch.Tensor, int]]:
        """Positions [2 or 3, batch_size] of all windows in batches of one size, and how many windows of each count.

        The last batch is filled up by repeating the last window, so that a compiled model sees one shape.
        """
        n = len(self)
        for begin in range(0, n, batch_size):
            numbers = torch.arange(begin, begin + batch_size, device=self.device).clamp_(max=n - 1)
            yield self.locate(numbers), min(batch_size, n - begin)

    def shuffled(self, batch_size: int, seed: int, skip: int = 0) -> Iterator[torch.Tensor]:
        """Positions of all windows in random order, in `steps(n, batch_size)` batches of one size.

        The order depends on the seed alone. A few windows come twice where n does not divide. `skip` batches are
        passed over, so that an interrupted epoch goes on where it stopped.
        """
        n = len(self)
        count, size = steps(n, batch_size)
        narrow = torch.int32 if n < 2**31 else torch.int64  # an order of a hundred million windows weighs 400 MB
        order = torch.randperm(n, generator=torch.Generator().manual_seed(seed), dtype=narrow)
        step = max(AHEAD // size, 1) * size
        for begin in range(skip * size, count * size, step):
            block = order[begin : begin + step]
            missing = min(step, count * size - begin) - len(block)  # the last block goes on with the first windows
            block = torch.cat([block, order[:missing]]) if missing else block
            yield from self.locate(block.to(self.device, torch.int64)).split(size, dim=1)


def steps(n: int, batch_size: int) -> tuple[int, int]:
    """(batches, windows in each) for n windows: as few batches as fit, all of one size, hardly any window twice."""
    count = max(-(-n // batch_size), 1)
    return count, -(-n // count)


def read(targets: torch.Tensor | Readable, starts: torch.Tensor, length: int) -> torch.Tensor:
    """targets [C, P], starts [B] -> [B, C, length]: a strided view of every window, and one read of B of them."""
    if not isinstance(targets, torch.Tensor):
        return targets.read(starts, length)
    channels, total = targets.shape
    view = targets.as_strided((total - length + 1, channels, length), (1, total, 1))
    return view.index_select(0, starts)
