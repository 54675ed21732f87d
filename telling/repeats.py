"""Columns that say the label in other words: what a model learns from them is no use where the label is not known.

Told where chance would do it less than once in a billion tables; nothing is left out, since such a column may be known
in time.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from dataset import RunData
from readers.paths import abridge
from splits import Split

CHANCE = np.log(1e-9)  # that a column without anything to do with the label would say it
FEW, MOST = 2_000, 50_000  # cases that say which columns are looked at closely, and of those at most so many
LEAST = 15  # values in an order, of which chance makes one in 10**12
KINDS = 50  # different values of a label that are classes, and not a quantity
SUMMED = 3  # columns that a quantity is made of, at most
FINE = 1e-5  # of the label's range: float32 tells 1e-7 of the largest value apart
SPARE = 3  # cases for each column, before a sum of them says anything
MOST_COLUMNS = 200  # of which sums are looked for


@dataclass(frozen=True)
class _Cases:
    """What is known of n cases: names of columns, of each its values [n], NaN where unknown, and the labels [n]."""

    names: tuple[str, ...]
    columns: tuple[np.ndarray, ...]
    label: np.ndarray


def told(run_data: RunData, split: Split) -> list[str]:
    """A line for each label that columns of the input repeat in training, with the flag that leaves them out."""
    if run_data.targets is None or run_data.derived is not None or run_data.config.mode != "train":
        return []
    return [line for cases, name in _labels(run_data, split) for line in _line(cases, name, run_data)]


def _line(cases: _Cases, label: str, run_data: RunData) -> Iterator[str]:
    alone = [name for name, column in zip(cases.names, cases.columns, strict=True) if _says(column, cases.label)]
    summed = _sum(cases)
    if summed and len(alone) <= len(summed):
        alone, what = summed, f"{label!r} is {_formula(cases, summed)} in each case of training"
    elif alone:
        what = f"from {_listed(alone)} alone {label!r} follows in each case of training"
    else:
        return
    why = "known only with the label? then no figure here holds for new data"
    yield f"warning: {what}: {why}, and {_flag(alone, run_data)}"


def _listed(names: Sequence[str]) -> str:
    return abridge(list(map(repr, names)))


def _flag(names: Sequence[str], run_data: RunData) -> str:
    """The flag that leaves columns out, which works when typed."""
    if run_data.series.things is not None:
        return f"--drop-columns {shlex.join(names)} learns without"
    rest = [name for name in run_data.series.columns if name not in names]
    return f"--columns {shlex.join(rest)} learns without"


# --- the cases of training -------------------------------------------------------------------------------------------


def _labels(run_data: RunData, split: Split) -> Iterator[tuple[_Cases, str]]:
    """The cases of training and the name of each label: of things, of whole series with what is the same in all of a
    series, or of steps where the label is no input."""
    targets, series = run_data.targets, run_data.series
    assert targets is not None
    if series.things is not None and targets.per_row:
        rows = np.unique(split.train.rows())[:MOST]
        names, columns = _of_things(run_data, rows)
        values = targets.values[:, rows].astype(np.float64)
    elif targets.per_row:
        rows = np.unique(split.train.rows())[:MOST]
        names, columns = _of_constants(run_data, rows)
        values = targets.values[:, rows].astype(np.float64)
    elif run_data.label_channel is None and not run_data.target_channels:
        steps = np.unique(split.train.targets())
        steps = steps[:: -(-len(steps) // MOST)]
        chosen = [c for c in run_data.keep.tolist() if c < series.numeric]
        names, columns = (
            (*(series.channels[c] for c in chosen),),
            (*series.values[chosen][:, steps].astype(np.float64),),
        )
        values = targets.values[:, steps].astype(np.float64)
    else:
        return
    named = series.label_names[0] if series.label_names else ""
    if len(values) > 1 and np.isin(values, (0, 1)).all() and (values.sum(0) == 1).all():
        yield _Cases(names, columns, values.argmax(0).astype(np.float64)), named
        return
    for name, label in zip(targets.names, values, strict=True):
        yield _Cases(names, columns, label), name


def _of_things(run_data: RunData, rows: np.ndarray) -> tuple[tuple[str, ...], tuple[np.ndarray, ...]]:
    """The columns of a table of things: a number each, of words that of the word, and NaN where a number is unknown."""
    series, things = run_data.series, run_data.series.things
    assert things is not None
    table = series.values[0].reshape(series.n_rows, -1)[rows]
    count = len(things.numbers)
    numbers = np.where(things.lacking[rows], np.nan, table[:, :count]).T
    words, at = list[np.ndarray](), count
    for each in things.categories:
        ones = table[:, at : at + len(each.channels)]
        words.append(ones @ np.arange(1, len(each.channels) + 1))
        at += len(each.channels)
    return (*things.numbers, *(each.name for each in things.categories)), (*numbers.astype(np.float64), *words)


def _of_constants(run_data: RunData, rows: np.ndarray) -> tuple[tuple[str, ...], tuple[np.ndarray, ...]]:
    """The channels of numbers that are the same all along each of some rows, of several steps."""
    series = run_data.series
    found = {}
    for c in run_data.keep.tolist() if (series.lengths > 1).all() else ():
        low, high = (reduce.reduceat(series.values[c], series.offsets[:-1]) for reduce in (np.fmin, np.fmax))
        if c < series.numeric and (low == high).all():
            found[series.channels[c]] = low[rows].astype(np.float64)
    return tuple(found), tuple(found.values())


# --- what repeats a label --------------------------------------------------------------------------------------------


def _says(column: np.ndarray, label: np.ndarray) -> bool:
    """Whether a label [n] follows from a column [n]: a class from its values or where it lies among them, a quantity
    from its order."""
    known = ~np.isnan(column) & ~np.isnan(label)
    if 2 * known.sum() < len(known):
        return False
    if len(np.unique(label[known][:FEW])) > KINDS:
        return _orders(column[known], label[known])
    return all(_follows(column[known][:most], label[known][:most]) for most in (FEW, MOST))


def _orders(column: np.ndarray, label: np.ndarray) -> bool:
    """Whether a quantity [n] grows, or falls, wherever a column [n] grows, as a wage does with its logarithm."""
    order = np.lexsort((label, column))
    again, steps = np.diff(column[order]) == 0, np.diff(label[order])
    least = FINE * np.ptp(label)
    grown = steps[~again]
    if len(grown) < LEAST or (np.abs(steps[again]) > least).any():
        return False
    return bool((grown >= -least).all() or (grown <= least).all())


def _follows(column: np.ndarray, label: np.ndarray) -> bool:
    _, values = np.unique(column, return_inverse=True)
    _, classes, counts = np.unique(label, return_inverse=True, return_counts=True)
    if len(counts) < 2:
        return False
    first = np.zeros(int(values.max()) + 1, np.int64)
    first[values] = classes  # of each value the class of one case
    if (first[values] != classes).any():
        return False
    each = np.bincount(values)
    logs = np.log(counts / counts.sum())
    pure = np.logaddexp.reduce(each[:, None] * logs, axis=1).sum()  # the log of the chance that all values are so
    runs = 1 + int((np.diff(first) != 0).sum())
    apart = _log_factorials(counts).sum() - _log_factorials(np.array([counts.sum()]))[0]
    apart += _log_factorials(np.array([len(counts)]))[0]
    return bool(pure < CHANCE or (runs == len(counts) and apart < CHANCE))


def _log_factorials(numbers: np.ndarray) -> np.ndarray:
    logs = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, int(numbers.max(initial=0)) + 1)))])
    found: np.ndarray = logs[numbers]
    return found


def _sum(cases: _Cases) -> list[str]:
    """The columns of numbers of which a quantity is a sum, each times a constant; [] where it is none."""
    if not 0 < len(cases.columns) <= MOST_COLUMNS or len(np.unique(cases.label[:FEW])) <= KINDS:
        return []
    table = np.stack([*cases.columns, np.ones(len(cases.label))], axis=1)
    known = np.isfinite(table).all(axis=1) & np.isfinite(cases.label)
    table, label = table[known], cases.label[known]
    if len(label) < SPARE * table.shape[1]:
        return []
    size = np.maximum(np.abs(table).max(axis=0), 1e-300)
    found = _fitted(table[:FEW] / size, label[:FEW])
    parts = np.abs(found) * (table / size).std(axis=0)
    chosen = np.flatnonzero(parts[:-1] > FINE * np.ptp(label))
    if not 0 < len(chosen) <= SUMMED:
        return []
    own = np.append(chosen, table.shape[1] - 1)
    found = _fitted((table / size)[:FEW][:, own], label[:FEW])
    off = np.abs((table / size)[:, own] @ found - label).max()
    return [cases.names[at] for at in chosen] if off <= FINE * np.ptp(label) else []


def _fitted(table: np.ndarray, label: np.ndarray) -> np.ndarray:
    found: np.ndarray = np.linalg.lstsq(table, label, rcond=None)[0]
    return found


def _formula(cases: _Cases, names: Sequence[str]) -> str:
    """What the columns of a sum are in it: `registered` + `casual`, 2.54 times `inches`."""
    columns = [cases.columns[cases.names.index(name)] for name in names]
    known = np.isfinite([*columns, cases.label]).all(axis=0)
    table = np.stack([*(column[known] for column in columns), np.ones(known.sum())], axis=1)
    *times, rest = _fitted(table, cases.label[known])
    words = [_times(value, name) for value, name in zip(times, names, strict=True)]
    return " + ".join([*words, f"{rest:.4g}"] if abs(rest) > FINE * np.ptp(cases.label) else words)


def _times(value: float, name: str) -> str:
    return repr(name) if abs(value - 1) < FINE else f"{value:.4g} times {name!r}"
