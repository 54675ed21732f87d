"""Runs that are not believed: those far longer than any of training, and those that something else comes and goes with.

A heater of an hour looks like a washing machine's heating, and more of the meter is then left over than before and
after. That a device runs while an unknown load keeps the same hours happens, but hardly ever: on three folds of REFIT's
house 2, with a heater and a dryer on the meter and without, what is left rose by at most .36 of a device's mean power
in true runs, and by 1.04 and more in false ones. No true run there was longer than 1.11 times the longest of training.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from tasks.nilm.states import runs

LONGER = 2.0  # times the longest run of training; of few runs, more: the next one may well be longer than all of them
LEAST_W = 200.0  # of a device when on, for its rises: lamps and computers of less than that come and go at any time
MOST = 0.6  # of a device's mean power when on: by so much may what is left rise while it runs
USUAL = 0.95  # quantile of such rises at any time: what happens that often is no reason for doubt
PLACES = 200  # at which they are looked at
BESIDE = 2  # steps between a run and what is before and after it
KNOWN = 0.25  # of a run's length that must be there before or after it


OFTENER = 5.0  # times the share of time in training; of few runs, more: the next days may well have more of them
FEW = 3.0  # runs that those of training are weighed against
SELDOM = 0.1  # of the time, which any device may be on
DAYS = 3.0  # that a house is judged on at least, and any share of less would be chance


def most_often(share: float, runs: float) -> float:
    """The share of time from which on a device is not believed, by its share and its runs in training."""
    return max(OFTENER * share * (1 + FEW / runs), SELDOM) if runs else 1.0


class Usual(NamedTuple):
    """Of a device in training: W when on, the steps of its longest run, and how many runs there were."""

    mean: float
    longest: float
    runs: float


def doubted(
    on: np.ndarray, left: np.ndarray, when: np.ndarray, rows: np.ndarray, usual: Mapping[int, Usual]
) -> np.ndarray:
    """Steps bool [K, n] of runs that are not believed.

    Parameters
    ----------
    on : states, bool [K, n].
    left : of the meter, without what the devices that are on draw, W [n]; NaN where it is unknown.
    when : int64 [n]; a run ends where it does not rise by 1.
    rows : the house of each step, rising, [n].
    usual : what is usual of devices, by their numbers; the runs of others are believed.
    """
    found = np.zeros(on.shape, bool)
    stretch = np.cumsum(np.diff(when, prepend=when[:1] - 2) != 1)
    for k, device in usual.items():
        starts, lengths = runs(2 * stretch + on[k])
        starts, lengths = starts[on[k][starts]], lengths[on[k][starts]]
        long = lengths > LONGER * (1 + 1 / device.runs) * device.longest
        for begin, length, doubt in zip(
            starts, lengths, long | _beside(left, rows, starts, lengths, device.mean), strict=True
        ):
            found[k, begin : begin + length] = doubt
    return found


def _beside(left: np.ndarray, rows: np.ndarray, starts: np.ndarray, lengths: np.ndarray, mean: float) -> np.ndarray:
    """Which of the runs [R] of a device of `mean` W something else comes and goes with, bool [R]."""
    if mean < LEAST_W or not len(starts):
        return np.zeros(len(starts), bool)
    rises = _rises(left, rows, starts, lengths)
    if not (rises > MOST * mean).any():
        return np.zeros(len(starts), bool)
    length = int(np.median(lengths))
    places = np.linspace(0, max(len(left) - length, 0), PLACES).astype(int)
    often = np.quantile(_rises(left, rows, places, np.full(PLACES, length)), USUAL)
    found: np.ndarray = rises > max(MOST * mean, often)
    return found


def _rises(left: np.ndarray, rows: np.ndarray, starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """By how many W the median in runs [R] is above that of as long before and after them, whichever is higher.

    -inf where neither is known.
    """
    found = np.full(len(starts), -np.inf)
    for r, (begin, length) in enumerate(zip(starts.tolist(), lengths.tolist(), strict=True)):
        house = slice(*np.searchsorted(rows, (rows[begin], rows[begin] + 1)))
        end = min(begin + length, house.stop)
        before = left[max(begin - BESIDE - length, house.start) : max(begin - BESIDE, house.start)]
        after = left[end + BESIDE : min(end + BESIDE + length, house.stop)]
        beside = [np.nanmedian(part) for part in (before, after) if (~np.isnan(part)).sum() >= KNOWN * length]
        within = left[begin:end]
        if beside and not np.isnan(within).all():
            found[r] = np.nanmedian(within) - max(beside)
    return found
