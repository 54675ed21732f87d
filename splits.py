"""Group, rolling and holdout splits, leak-safe by construction.

A window belongs to the split that holds its target. Its context may reach into the past, never into the future. In
a group split whole rows (or groups of rows) belong to one split, context and all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from errors import CheckpointError, DataError, UsageError, nearest
from windows import Index

NAMES = ("train", "val", "test")
FEW = 5  # rows that a message names
FEW_WINDOWS = 8  # a part with fewer is sized in whole horizons


class EmptyPart(DataError):
    """A part of a split has no window."""


@dataclass(frozen=True)
class Split:
    """The windows of one fold: `test` may be empty, `train` and `val` never are.

    train, val, test : indexes over the same series.
    how : how it was made, in plain values for the checkpoint: mode, gap, rows or cuts.
    """

    train: Index
    val: Index
    test: Index
    how: dict[str, Any]

    def __getitem__(self, name: str) -> Index:
        """The index called `name`, one of NAMES."""
        assert name in NAMES, name
        index: Index = vars(self)[name]
        return index

    def before(self, index: Index, offsets: np.ndarray, refit: bool) -> tuple[Index, np.ndarray]:
        """What comes before the scored part, which is test with `refit`, else validation.

        Parameters
        ----------
        index : all windows.
        offsets : int64 [N + 1], where each row begins and ends.

        Returns
        -------
        (the windows whose targets lie there, also those between training and validation; where validation begins in
        each row, int64 [N]).
        """
        begin = offsets[:-1]
        if "cuts" in self.how:
            val_from, test_from = (begin + np.asarray(self.how["cuts"][name]) for name in ("val_from", "test_from"))
            until = (test_from if refit else val_from) - self.how["gap"]
            return index.with_target_in(begin, np.maximum(until, begin)), val_from
        val, test = (np.isin(np.arange(len(begin)), self.how["rows"][name]) for name in ("val", "test"))
        return index.of_rows(~test & (~val | refit)), np.where(val, begin, offsets[1:])


@dataclass(frozen=True, eq=False)
class Parts:
    """How N rows are cut in time, int64 [N] each: steps of validation and of test, and where test ends.

    `whole` [N] marks the rows with a part of whole horizons in place of a share; `paused` says that parts have shares
    of the windows.
    """

    val: np.ndarray
    test: np.ndarray
    end: np.ndarray
    whole: np.ndarray | None = None
    paused: bool = False

    @property
    def back(self) -> np.ndarray:
        """Steps from one rolling fold to the next, [N]."""
        return np.where(self.test > 0, self.test, self.val)


def make(
    index: Index,
    offsets: np.ndarray,
    *,
    mode: str,
    val_ratio: float,
    test_ratio: float,
    seed: int,
    folds: int = 1,
    gap: int = 0,
    groups: np.ndarray | None = None,
    rows: Sequence[str] = (),
    named: Mapping[str, Sequence[str]] = MappingProxyType({}),
    sizes: Sequence[int] = (),
    kinds: np.ndarray | None = None,
) -> list[Split]:
    """The folds, oldest first; one, unless mode is rolling.

    Parameters
    ----------
    index : all windows.
    offsets : int64 [N + 1], where each row begins and ends on the flat time axis.
    mode : "group" (whole rows or groups), "rolling" or "holdout" (each row cut in time).
    val_ratio, test_ratio : shares of the groups, or of each row's steps.
    seed : draws the groups.
    folds : how many rolling folds.
    gap : steps left out before validation and before test.
    groups : the group of each row, str [N]; None: each row is a group.
    rows : the ids of the N rows.
    named : {"val" or "test": groups, or ids of rows where there are no groups}, instead of a ratio.
    sizes : steps of train, validation and test from the start of each row, instead of the ratios.
    kinds : int [N], the class of each row: one that training would not see gets there in exchange for another row.

    Raises
    ------
    UsageError : whole-row targets and a mode that cuts in time, or a group that does not exist or is named twice.
    DataError : a split would be empty.
    """
    named = {part: names for part, names in named.items() if names}
    if mode == "group":
        owner = np.asarray(rows) if named and groups is None else groups
        built = [_by_group(index, len(offsets) - 1, val_ratio, test_ratio, seed, owner, named, kinds)]
    else:
        if index.shift is None:
            raise UsageError("--labels are for whole rows, which have no time to cut: use --split-mode group")
        parts = _parts(index, offsets, (val_ratio, test_ratio), folds, gap, sizes)
        built = [_by_time(index, offsets, parts, gap, folds - 1 - k) for k in range(folds)]
        if mode == "holdout" and not sizes and _has_pause(index, built[0]):
            parts = _by_windows(index, offsets, (val_ratio, test_ratio))
            built = [_by_time(index, offsets, parts, gap, 0)]
        fold = [{"fold": k} if folds > 1 else {} for k in range(folds)]
        built = [Split(s.train, s.val, s.test, {"mode": mode, **fold[k], **s.how}) for k, s in enumerate(built)]
    for split in built:
        _check_sizes(split, bool(sizes[2] if sizes else test_ratio) or "test" in named)
    return built


def _by_group(
    index: Index,
    n_rows: int,
    val_ratio: float,
    test_ratio: float,
    seed: int,
    groups: np.ndarray | None,
    named: Mapping[str, Sequence[str]],
    kinds: np.ndarray | None,
) -> Split:
    """Whole groups (or rows) to each part: those named for it, or else a share of all, drawn from the unnamed ones."""
    names, group_of_row = np.unique(np.arange(n_rows) if groups is None else groups, return_inverse=True)
    part = _named_parts(names.tolist(), named)
    order = np.random.default_rng(seed).permutation(len(names))
    order = order[part[order] == 0]
    n_val = 0 if "val" in named else max(round(val_ratio * len(names)), 1)
    n_test = 0 if "test" in named or not test_ratio else max(round(test_ratio * len(names)), 1)
    if len(order) < n_val + n_test + 1:
        what = f"{len(names)} {'row' if groups is None else 'group'}(s)"
        what += f", without the {len(names) - len(order)} that are named," if len(order) < len(names) else ""
        raise DataError(
            f"{what} cannot be split into train, val" + (" and test" if n_test else ""),
            where="--split-mode group",
            hint="--split-mode holdout cuts each row in time",
        )
    part[order[:n_val]] = 1
    part[order[n_val : n_val + n_test]] = 2
    moved = 0 if kinds is None else _exchange(part, order, _kinds_of(group_of_row, kinds))
    of_row = part[group_of_row]
    rows = {name: np.flatnonzero(of_row == k).tolist() for k, name in enumerate(NAMES)}
    how: dict[str, Any] = {"mode": "group", "groups": None if groups is None else len(names), "rows": rows}
    how |= {"exchanged": moved} if moved else {}
    train, val, test = (index.of_rows(of_row == k) for k in range(3))
    return Split(train, val, test, how)


def _kinds_of(group_of_row: np.ndarray, kinds: np.ndarray) -> np.ndarray:
    """Which classes the rows of each group have: bool [groups, classes]."""
    names, number = np.unique(kinds, return_inverse=True)
    has = np.zeros((group_of_row.max() + 1, len(names)), bool)
    has[group_of_row, number] = True
    return has


def _exchange(part: np.ndarray, order: np.ndarray, has: np.ndarray) -> int:
    """Exchange drawn groups so that training sees every class, and validation two: of few rows a draw may miss some;
    returns how many.

    Parameters
    ----------
    part : the position in NAMES of each group's part, which is changed.
    order : the groups that were drawn; the others stay.
    has : bool [groups, classes].
    """
    count = 0

    def swap(wanted: np.ndarray, to: int, source: Sequence[int], least: int = 1) -> int:
        """Bring a group with a wanted class, of `least` classes, from one of the parts `source`; one goes back that
        training can spare."""
        for one in (g for g in order if part[g] in source and has[g][wanted].any() and has[g].sum() >= least):
            trial = part.copy()
            for other in (g for g in order[::-1] if part[g] == to and g != one):
                trial[one], trial[other] = to, part[one]
                if has[trial == 0].any(0).sum() >= has[part == 0].any(0).sum() + (to == 0):
                    part[:] = trial
                    return 1
                trial[other] = to
        return 0

    for missing in np.flatnonzero(~has[part == 0].any(0)):
        count += swap(np.array([missing]), 0, (1, 2))
    seen = has[part == 1].any(0)
    if seen.sum() == 1:
        alone = (part == 1).sum() == 1
        count += swap(np.flatnonzero(~seen), 1, (0,), 1 + alone)
    return count


def _named_parts(known: Sequence[str], named: Mapping[str, Sequence[str]]) -> np.ndarray:
    """For each known group the position in NAMES of the part it is named for, else 0. UsageError for unknown ones."""
    part = np.zeros(len(known), np.int64)
    for name, wanted in named.items():
        for group in wanted:
            where = f"--{name}-groups"
            if group not in known:
                listed = f"the groups are {', '.join(known[:10])}{', ...' if len(known) > 10 else ''}"
                hint = "; ".join(filter(None, [nearest(group, known), listed]))
                raise UsageError(f"there is no group {group!r}", where=where, hint=hint)
            at = known.index(group)
            if part[at] not in (0, NAMES.index(name)):
                raise UsageError(f"group {group!r} is in --{NAMES[part[at]]}-groups too", where=where)
            part[at] = NAMES.index(name)
    return part


def of_rows(index: Index, how: dict[str, Any], numbers: np.ndarray) -> Split:
    """The group split of an earlier run, whatever groups and seed made it.

    Parameters
    ----------
    index : all windows of the N rows.
    how : the `how` of that split; `how["rows"]` lists the rows of each part.
    numbers : of the rows in that run, int64 [N].

    Raises
    ------
    CheckpointError : a part without such a list.
    """
    try:
        parts = [np.asarray(how["rows"][name], np.int64).reshape(-1) for name in NAMES]
    except (LookupError, TypeError, ValueError, OverflowError) as error:
        raise _unfit(error) from None
    train, val, test = (index.of_rows(np.isin(numbers, rows)) for rows in parts)
    return Split(train, val, test, how)


def _unfit(error: Exception) -> CheckpointError:
    what = f"its split does not fit these rows: {error}"
    return CheckpointError(what, where="--ckpt", hint="--split-mode and the shares make a new one")


def _parts(
    index: Index,
    offsets: np.ndarray,
    ratios: tuple[float, float],
    folds: int,
    gap: int,
    sizes: Sequence[int],
) -> Parts:
    """How each of N rows is cut: by `sizes` of train, val and test, or the `ratios` of val and test.

    Where a ratio would leave fewer than FEW_WINDOWS windows of a horizon, its part is of whole horizons, in the rows
    that are long enough for that.
    """
    length = np.diff(offsets)
    if sizes:
        if sum(sizes) > length.min():
            what = f"{' + '.join(map(str, sizes))} = {sum(sizes)} steps, and the shortest row has {length.min()}"
            raise DataError(what, where="--split-sizes")
        val, test = (np.full_like(length, size) for size in sizes[1:])
        return Parts(val, test, np.full_like(length, sum(sizes)))
    val, test = (np.maximum(np.round(ratio * length).astype(np.int64), 1) for ratio in ratios)
    shares = Parts(val, test if ratios[1] else 0 * length, length)
    if index.shift is None or index.shift < index.length or index.horizon == 1:
        return shares  # the target is in the window, or one step, of which any share holds some
    cut = _by_time(index, offsets, shares, gap, 0)
    val, test = (
        _whole(share, index.horizon) if share.any() and len(cut[name]) < FEW_WINDOWS else share
        for share, name in ((shares.val, "val"), (shares.test, "test"))
    )
    more = Parts(val, test, length)
    needed = index.span + more.val + more.test + (folds - 1) * more.back + (1 + (more.test > 0)) * gap
    fits = (needed <= length) & ((more.val != shares.val) | (more.test != shares.test))
    val, test = (np.where(fits, one, other) for one, other in ((more.val, shares.val), (more.test, shares.test)))
    return Parts(val, test, length, fits)


def _has_pause(index: Index, split: Split) -> bool:
    """Whether a pause without windows takes all of validation, between training and test."""
    after = index.shift is not None and index.shift >= index.length  # else what is judged has windows of its own
    return after and bool(len(split.train) and len(split.test)) and not len(split.val)


def _by_windows(index: Index, offsets: np.ndarray, ratios: tuple[float, float]) -> Parts:
    """How each of N rows is cut so that validation and test have their `ratios` of its windows, and not of its steps;
    one without a window is cut at its end."""
    length = np.diff(offsets)
    val, test = 0 * length, 0 * length
    targets, bounds = index.targets(), np.append(0, np.cumsum(index.each(len(length))))
    for row in np.flatnonzero(np.diff(bounds)).tolist():
        own = np.sort(targets[bounds[row] : bounds[row + 1]]) - offsets[row]
        first, then = (own[min(int(share * len(own)), len(own) - 1)] for share in (1 - sum(ratios), 1 - ratios[1]))
        val[row], test[row] = then - first, length[row] - then
    return Parts(val, test, length, paused=True)


def _whole(share: np.ndarray, horizon: int) -> np.ndarray:
    """The number of steps of whole horizons, one or more, that is nearest to a share [N]."""
    steps: np.ndarray = np.maximum((share + horizon // 2) // horizon, 1) * horizon
    return steps


def _by_time(index: Index, offsets: np.ndarray, parts: Parts, gap: int, folds_back: int) -> Split:
    """Cut every row into its parts, `folds_back` test (or val) parts before its end."""
    end = parts.end - folds_back * parts.back
    test_from = end - parts.test
    cuts = {"val_from": test_from - parts.val, "test_from": test_from, "end": end}
    how: dict[str, Any] = {"gap": gap, "cuts": {name: _one_or_all(values) for name, values in cuts.items()}}
    if parts.whole is not None and parts.whole.any():
        how["whole_horizons"] = int(parts.whole.sum())
    if parts.paused:
        how["of_windows"] = True
    return of_cuts(index, offsets, how)


def of_cuts(index: Index, offsets: np.ndarray, how: dict[str, Any], numbers: np.ndarray | None = None) -> Split:
    """The split in time of an earlier run, by its cuts.

    Parameters
    ----------
    index : all windows.
    offsets : int64 [N + 1], where each row begins and ends.
    how : the `how` of that split: the gap, and {"val_from", "test_from", "end"} within each row.
    numbers : of the rows in that run, int64 [N]; None for all of them.

    Raises
    ------
    CheckpointError : cuts that are none, or that are those of other rows.
    """
    begin = offsets[:-1]
    try:
        gap = int(how["gap"])
        known = {name: np.asarray(cut, np.int64) for name, cut in how["cuts"].items()}
        known |= {name: cut[numbers] for name, cut in known.items() if numbers is not None and cut.ndim}
        cuts = {name: np.broadcast_to(cut, begin.shape) for name, cut in known.items()}
        val_from, test_from, end = cuts["val_from"], cuts["test_from"], cuts["end"]
        until = test_from - gap * (end > test_from)
        train_end = begin + np.maximum(val_from - gap, 0)
    except (LookupError, TypeError, ValueError, OverflowError, AttributeError) as error:
        raise _unfit(error) from None
    train = index.with_target_in(begin, train_end)
    val = index.with_target_in(begin + np.maximum(val_from, 0), begin + np.maximum(until, 0))
    test = index.with_target_in(begin + np.maximum(test_from, 0), begin + np.maximum(end, 0))
    return Split(train, val, test, how)


def _one_or_all(values: np.ndarray) -> int | list[int]:
    return int(values[0]) if len(values) and (values == values[0]).all() else values.tolist()


def _check_sizes(split: Split, tested: bool) -> None:
    wanted = NAMES if tested else NAMES[:2]
    empty = [name for name in wanted if not len(split[name])]
    if empty:
        sizes = ", ".join(f"{name} {len(split[name])}" for name in NAMES)
        fold = f" of fold {split.how['fold']}" if "fold" in split.how else ""
        raise EmptyPart(
            f"the {' and '.join(empty)} split{fold} has no window (windows: {sizes})",
            where=f"--split-mode {split.how['mode']}",
            hint="a shorter --context-len or --gap, another --val-ratio or --test-ratio, --split-sizes, fewer --folds",
        )


def told(split: Split, n_rows: int) -> list[str]:
    """What must be said of how a split was made: that parts are of whole horizons in some of the N rows, or shares of
    the windows."""
    sizes = ", ".join(f"{name} {len(split[name]):,}" for name in NAMES)
    if split.how.get("of_windows"):
        what = "a pause would leave validation no window: validation and test are shares of the windows, not of steps"
        return [f"{what} (windows: {sizes})"]
    if moved := split.how.get("exchanged"):
        return [f"split: {moved} drawn rows or groups changed places, for classes that training or validation lacked"]
    if "whole_horizons" not in split.how:
        return []
    rows = "the series is" if n_rows == 1 else f"{split.how['whole_horizons']:,} of {n_rows:,} series are"
    what = f"{rows} short: validation and test have whole horizons of {split.train.horizon} steps in place of shares"
    return [f"{what} (windows: {sizes})"]


def overlap(split: Split, total: int) -> int:
    """How many target steps are in two splits: 0 by construction, counted so that the manifest shows it.

    Parameters
    ----------
    split : indexes over the same series.
    total : steps of the series, or rows N for whole-row targets.
    """
    seen = np.zeros(max(total, 1), np.uint8)
    for bit, name in enumerate(NAMES):
        if len(split[name]):
            seen[split[name].targeted(len(seen))] |= 1 << bit
    return int((seen & (seen - 1) > 0).sum())


def left_out(
    index: Index,
    chosen: np.ndarray,
    names: Sequence[str],
    lengths: np.ndarray,
    need: int,
    gap: Callable[[int], str],
) -> dict[str, Any]:
    """The rows that have no window in an index, and why; {} where every one has.

    Parameters
    ----------
    index : windows over N rows.
    chosen : mask [N] of the rows that should have one.
    names : ids of the rows [N].
    lengths : steps of the rows, int64 [N].
    need : steps that a window takes.
    gap : gives the reason for a row, by its number, that is long enough.

    Returns
    -------
    {"rows": how many, "names": the first few, "why"}.
    """
    rows = np.flatnonzero(chosen & ~np.isin(np.arange(len(chosen)), index.row))
    if not len(rows):
        return {}
    short = lengths[rows] < need
    reasons = [f"a window takes {need:,} steps"] * bool(short.any())
    reasons += [] if short.all() else [gap(int(rows[~short][0]))]
    few = [f"{names[row]} ({lengths[row]:,} steps)" for row in rows[:FEW]]
    return {"rows": len(rows), "names": few, "why": "; ".join(reasons)}
