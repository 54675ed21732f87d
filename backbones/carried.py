"""What is estimated at an origin and holds at those after it.

A season of 1,440 minutes is not another one a minute later, but to estimate it takes as long as a forecast of a short
one takes a thousand times: it is estimated a hundred times a cycle. Nor are coefficients that come from a thousand
steps others a few steps later. Of neighbouring origins the first estimates, and what it found of a long season is kept
for the others, and for the next forecaster that asks of the same series; so is what it found of a short season.
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
KEPT_TOGETHER = 1 << 22  # numbers of what is estimated at every origin: the next forecaster asks for the same soon
FRESH, SHORT = 32, 400  # what comes from n steps holds for n / FRESH more, of a history of SHORT steps and more

_found: dict[tuple[Any, ...], np.ndarray] = {}  # the oldest first
_together: dict[tuple[Any, ...], np.ndarray] = {}  # the oldest first
_lock = Lock()


def every(period: int) -> int:
    """How many steps an estimate of a season holds."""
    return period // AGAIN if period >= LONG else 1


def asked(
    stack: Stack, period: int, kind: np.ndarray | None = None, steps: int = 0
) -> tuple[Stack, np.ndarray, np.ndarray]:
    """The origins at which something is estimated: those themselves, or one for several neighbours.

    Of a long season these are the origins in a hundredth of it; of a long history those in a small part of the steps
    that the estimate comes from, as a power of two, so that where it is made follows from the origin alone.

    Parameters
    ----------
    period : steps of the season; 1 for none.
    kind : mask [n]; origins for which it differs do not share. None for no such thing.
    steps : before an origin that the estimate comes from, at most; 0 where the season's length alone counts.

    Returns
    -------
    (g origins; the number of the one of each of the stack's, int64 [n]; how many steps each is after it, int64 [n]).
    """
    holds = np.full(len(stack), every(period))
    if steps and every(period) == 1:
        most = np.minimum(stack.end, steps) // FRESH
        holds = np.where(stack.end < SHORT, 1, 1 << np.log2(np.maximum(most, 1)).astype(np.int64))
    if (holds == 1).all():
        return stack, np.arange(len(stack)), np.zeros(len(stack), np.int64)
    end = np.maximum(stack.end - stack.end % holds, 1)
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
            _make_room(_found, KEPT)
    return np.stack([found[i] for i in range(len(keys))])


def kept_together(
    stack: Stack, what: tuple[Any, ...], mask: np.ndarray, estimate: Callable[[], np.ndarray]
) -> np.ndarray:
    """What `estimate` finds at all origins of a stack under a mask [n], or found before for the same; read only.

    `what` tells apart what is estimated, which follows from the stack and the mask alone.
    """
    seen = blake2b(digest_size=16)
    for part in (stack.y, stack.series, stack.end, mask):
        seen.update(np.ascontiguousarray(part).data)
    key = (*what, stack.y.shape, len(stack), seen.digest())
    with _lock:
        if key in _together:
            return _together[key]
    found = estimate()
    found.flags.writeable = False
    with _lock:
        _together[key] = found
        _make_room(_together, KEPT_TOGETHER)
    return found


def _make_room(kept: dict[tuple[Any, ...], np.ndarray], most: int) -> None:
    """Drop the oldest arrays until so many numbers are left at most."""
    held = sum(each.size for each in kept.values())
    while held > most:
        held -= kept.pop(next(iter(kept))).size
