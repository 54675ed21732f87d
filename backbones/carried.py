"""What is estimated of a season of many steps a hundred times a cycle, and holds in between.

A season of 1,440 minutes is not another one a minute later, but to estimate it takes as long as a forecast of a short
one takes a thousand times. Of neighbouring origins the first estimates, and what it found is kept for the others, and
for the next forecaster that asks of the same series.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from threading import Lock
from typing import Any

import numpy as np

from backbones.histories import Stack

AGAIN = 100  # times a cycle that a long season is estimated
LONG = 2 * AGAIN  # steps of a season, from which on it is not estimated at every step
KEPT = 1 << 24  # numbers

_found: dict[tuple[Any, ...], np.ndarray] = {}  # the oldest first
_lock = Lock()


def every(period: int) -> int:
    """How many steps an estimate of a season holds."""
    return period // AGAIN if period >= LONG else 1


def asked(stack: Stack, period: int, kind: np.ndarray | None = None) -> tuple[Stack, np.ndarray, np.ndarray]:
    """The origins at which a season is estimated: those themselves, or of a long season one for each hundredth of it.

    Parameters
    ----------
    kind : mask [n]; origins for which it differs do not share. None for no such thing.

    Returns
    -------
    (g origins; the number of the one of each of the stack's, int64 [n]; how many steps each is after it, int64 [n]).
    """
    if every(period) == 1:
        return stack, np.arange(len(stack)), np.zeros(len(stack), np.int64)
    end = np.maximum(stack.end - stack.end % every(period), 1)
    kinds = np.zeros(len(stack), np.int64) if kind is None else kind
    (series, at, _), which = np.unique(np.stack([stack.series, end, kinds]), axis=1, return_inverse=True)
    return Stack(stack.y, series, at), which.ravel(), stack.end - end


def kept(stack: Stack, what: tuple[Any, ...], estimate: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """What `estimate` finds at each origin [n, ...], or found before for the same line.

    Parameters
    ----------
    what : tells apart what is estimated.
    estimate : numbers of origins int64 [k] -> what is found there [k, ...], which follows from their lines alone.
    """
    if not len(stack):
        return estimate(np.zeros(0, np.int64))
    lines = {s: blake2b(stack.y[s].tobytes(), digest_size=16).digest() for s in np.unique(stack.series).tolist()}
    keys = [(*what, lines[s], end) for s, end in zip(stack.series.tolist(), stack.end.tolist(), strict=True)]
    with _lock:
        found = {i: _found[key] for i, key in enumerate(keys) if key in _found}
    missing = [i for i in range(len(keys)) if i not in found]
    if missing:
        found |= dict(zip(missing, np.array(estimate(np.array(missing))), strict=True))
        with _lock:
            _found.update((keys[i], found[i]) for i in missing)
            held = sum(each.size for each in _found.values())
            while held > KEPT:
                held -= _found.pop(next(iter(_found))).size
    return np.stack([found[i] for i in range(len(keys))])
