"""What is known ahead (prices, holidays, a plan) and its effect on a target: a regression with errors that go on.

    y[t] = sum_f sum_j b[f, j] u[f, t - j] + r[t]

The responses b are the same at every step, so that few data are enough and any horizon costs nothing; a forecast is
that of r, which a linear map of the past makes, and the effect of the steps ahead. Errors that go on hide an effect or
feign one, so b is found from what is new at each step: y and u less what an autoregression of r says of them (Cochrane
and Orcutt 1949, Journal of the American Statistical Association 44), or their changes.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import product

import numpy as np

from backbones.calendar_inputs import Days
from backbones.covariates import SHARE, gain_needed, share_of
from backbones.gram import Pieces, count, gram, squares, uncentred

INPUTS = 256  # responses of a target, at most: channels times lags
LAGS = 24  # where the data have no period
LONGEST_FILTER = 200  # steps of an autoregression
CHANGES = np.array([1.0, -1.0])  # the filter of changes
ROUNDS = 2
PARTS = 8  # windows in a part of a piece, at least
STRENGTHS = (1e-3, 1e-1)  # of the penalty, as a share of the mean diagonal of X'X
OWN_STRENGTH = 0.01  # per window, of the maps that responses are judged by
MOST_STEPS, LOOKBACK = 48, 512  # that those maps forecast, and look back, at most
FEW_TARGETS = 8  # that those maps look back so far for; for twice as many they look back half as far
MOST_PIECES = 1000
MOST_SEEN, PART = 40_000, 4096  # steps that responses are found from, in parts of so many where there are more
MOST_KEPT = 100  # effects
BLOCK = 1 << 13  # steps whose effects are made at once
NONE = -1  # the kind of responses that are 0

Known = Sequence[np.ndarray | Days]  # [F, n] each
log = logging.getLogger("tsrun")


def effects(known: np.ndarray | Days, impulse: np.ndarray) -> np.ndarray:
    """The effect `[K, n]` of `known [F, n]` under responses `impulse [K, F, lags]`; before its first step it stood."""
    found, before = np.zeros((len(impulse), known.shape[1])), impulse.shape[2] - 1
    for begin in range(0, known.shape[1], BLOCK):
        seen, missing = known[:, max(begin - before, 0) : begin + BLOCK], max(before - begin, 0)
        late = np.concatenate([np.repeat(seen[:, :1], missing, axis=1), seen], axis=1)
        steps = late.shape[1] - before
        for j in range(impulse.shape[2]):
            found[:, begin : begin + steps] += impulse[:, :, j] @ late[:, before - j : before - j + steps]
    return found


def without(pieces: Pieces, known: Known, impulse: np.ndarray) -> list[np.ndarray]:
    """Targets `[K, n]` less the effect of what was known."""
    same: dict[int, np.ndarray] = {}  # series of the same times share what the calendar says
    less = []
    for piece, u in zip(pieces, known, strict=True):
        if id(u) not in same:
            same = {id(u): effects(u, impulse)} | (same if len(same) < MOST_KEPT else {})
        less.append(piece - same[id(u)])
    return less


def lags_of(channels: int, length: int) -> int:
    """The lags of a response that a model of `channels` known ahead has room for, lag 0 among them."""
    return max(min(INPUTS // channels, length, LAGS + 1), 1)


def chosen_impulse(
    train: tuple[Pieces, Known],
    val: tuple[Pieces, Known],
    lags: int,
    length: int,
    horizon: int,
    period: int,
    both: tuple[Pieces, Known] | None = None,
) -> np.ndarray:
    """The responses `[K, F, lags]` under which each target is forecast best; 0 where none helps.

    On validation and on the last part of training together, and not worse on either.

    Parameters
    ----------
    train, val : targets `[K, n]`, and what is known `[F, n]` of the same steps; a piece of validation begins `length`
        steps before its first target.
    lags : of a response, at most.
    length, horizon : T and H.
    period : of the targets, in steps; 1: none.
    both : what the responses of the chosen kinds are found from in the end; None: from `train`.
    """
    some = partial(_some, least=PARTS * (length + horizon))
    early, rest = some(train, 0.0, SHARE), some(train, SHARE, 1.0, length)
    train, val = some(train, tells=True), some(val)
    folds = [(train, val)]
    if count(early[0], length + horizon) and count(rest[0], length + horizon):
        folds.append((early, rest))
    windows = sum(count([piece[:1] for piece in judged[0]], length + horizon) for _, judged in folds)
    shape = (len(train[0][0]), len(train[1][0]), lags)
    none = [np.zeros(shape) for _ in folds]
    judge = partial(_errors, folds, length=length, horizon=horizon)
    best, alone = none[0], judge(none)
    kind, least = np.full(shape[0], NONE), alone.sum(axis=0)
    needed = least * (1 - gain_needed(horizon, windows))
    for number, whole in enumerate(zip(*(_candidates(*fit, lags, length, period) for fit, _ in folds), strict=True)):
        errors = judge(whole)
        error = errors.sum(axis=0)
        better = (error < np.minimum(least, needed)) & (errors <= alone).all(axis=0)
        best, least = np.where(better[:, None, None], whole[0], best), np.where(better, error, least)
        kind[better] = number
    if both is not None and (kind != NONE).any():
        for number, found in enumerate(_candidates(*some(both), lags, length, period)):
            best[kind == number] = found[kind == number]
    return best


def _some(
    part: tuple[Pieces, Known],
    begin: float = 0.0,
    end: float = 1.0,
    before: int = 0,
    *,
    least: int,
    tells: bool = False,
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """From a share of each piece to another, and the steps `before` it: at most about MOST_SEEN steps of MOST_PIECES
    pieces, in parts of at least `least` steps, all spread evenly."""
    pieces, known = part
    chosen = np.linspace(0, len(pieces) - 1, min(len(pieces), MOST_PIECES)).round().astype(int)
    spans = [(i, *share_of(pieces[i].shape[1], begin, end, before)) for i in chosen]
    steps, size = sum(last - first for _, first, last in spans), max(PART, least)
    if steps > MOST_SEEN:
        spans = [one for i, first, last in spans for one in _parts(i, first, last, MOST_SEEN / steps, size)]
        seen = sum(last - first for _, first, last in spans)
        if tells and seen < steps:
            log.info("effects of what is known ahead: found from %s of %s steps", f"{seen:,}", f"{steps:,}")
    same = {(id(known[i]), first, last): known[i][:, first:last] for i, first, last in spans}
    found = [same[id(known[i]), first, last] for i, first, last in spans]
    return [pieces[i][:, first:last] for i, first, last in spans], found


def _parts(i: int, first: int, last: int, share: float, size: int) -> list[tuple[int, int, int]]:
    """Parts of so many steps of piece `i`, at least one, that make up a share of its steps from `first` to `last`."""
    starts = np.linspace(first, max(last - size, first), max(round(share * (last - first) / size), 1))
    return [(i, int(at), min(int(at) + size, last)) for at in starts]


def _candidates(train: Pieces, known: Pieces, lags: int, length: int, period: int) -> Iterator[np.ndarray]:
    """Responses `[K, F, lags]` by lags, strength and filter; of fewer lags the rest are 0."""
    steps, targets = max(min(piece.shape[1] for piece in train), 1), range(len(train[0]))
    order = min(max(period, LAGS) + 1, length, LONGEST_FILTER, max(steps // 3, 1))
    for size, strength in product(sorted({1, lags}), STRENGTHS):
        left = np.zeros((len(targets), len(known[0]), lags - size))
        found = np.stack([_regress([p[k] for p in train], known, CHANGES, size, strength) for k in targets])
        yield np.concatenate([found, left], axis=2)
        for _ in range(ROUNDS):
            rest = without(train, known, found)
            filters = [_autoregression([p[k : k + 1] for p in rest], order) for k in targets]
            found = np.stack([_regress([p[k] for p in train], known, filters[k], size, strength) for k in targets])
        yield np.concatenate([found, left], axis=2)


def _autoregression(pieces: Pieces, order: int) -> np.ndarray:
    """The filter `[order + 1]` that leaves what an autoregression does not know, the newest step first."""
    n = count(pieces, order + 1)
    sums = squares(gram(pieces, order + 1), n, 1, centre=0)
    weight = sums.fit(np.full(order, OWN_STRENGTH * max(n, 1)))[:, 0]
    return np.concatenate([[1.0], -weight[::-1]])


def _regress(y: Sequence[np.ndarray], known: Pieces, filtered: np.ndarray, lags: int, strength: float) -> np.ndarray:
    """The responses `[F, lags]` of one target, from what a filter leaves of it and of what is known."""
    size = len(known[0]) * lags
    xx, xy = np.zeros((size, size)), np.zeros(size)
    for target, u in zip(y, known, strict=True):
        if len(target) < len(filtered) + lags:
            continue
        new = np.convolve(target, filtered, "valid")[lags - 1 :]
        inputs = np.stack([np.convolve(row, filtered, "valid") for row in u])
        n = inputs.shape[1]
        x = np.stack([inputs[:, lags - 1 - j : n - j] for j in range(lags)], axis=1).reshape(size, -1)
        x, new = x - x.mean(axis=1, keepdims=True), new - new.mean()
        xx, xy = xx + x @ x.T, xy + x @ new
    penalty = strength * xx.trace() / size
    found: np.ndarray = np.linalg.solve(xx + (penalty or 1.0) * np.eye(size), xy).reshape(-1, lags)
    return found


def _errors(
    folds: Sequence[tuple[tuple[Pieces, Pieces], tuple[Pieces, Pieces]]],
    impulses: Sequence[np.ndarray],
    length: int,
    horizon: int,
) -> np.ndarray:
    """The squared error `[folds, K]` of a plain ridge regression of each target, less its effects, on its past."""
    total, steps = np.zeros((len(folds), len(impulses[0]))), min(horizon, MOST_STEPS)
    lookback = min(length, max(LOOKBACK // max(total.shape[1] // FEW_TARGETS, 1), MOST_STEPS))
    width = lookback + steps
    for at, ((fit, judged), impulse) in enumerate(zip(folds, impulses, strict=True)):
        own, scored = without(*fit, impulse), without(*judged, impulse)
        for k in range(total.shape[1]):
            one, late = ([piece[k : k + 1] for piece in part] for part in (own, scored))
            late = [piece[:, length - lookback :] for piece in late]
            n, m = count(one, width), count(late, width)
            weight = squares(gram(one, width), n, steps, centre=1).fit(np.full(lookback, OWN_STRENGTH * max(n, 1)))
            total[at, k] = squares(gram(late, width), m, steps, centre=0).error(uncentred(weight, 1))
    return total
