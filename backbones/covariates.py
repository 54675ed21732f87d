"""Other channels' past beside a linear forecaster's own: a joint ridge regression, as far as validation is for it.

The forecaster's map of the targets' own past is one extreme, a joint regression on the own past and the last steps of
the other channels the other; what lies between them is linear too, and its error on validation is a parabola whose
least value is known. A mixture that does not clearly gain is not made: many channels that say nothing do no harm.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Any

import numpy as np

from backbones.gram import Pieces, Squares, uncentred
from backbones.lagged import Joint, joint, together, unchanged

log = logging.getLogger("tsrun")
INPUTS = 1024  # of other channels, for one target; with more targets each has fewer
STRENGTHS = (1e-3, 1e-2, 1e-1, 1.0)  # of the penalty on other channels, per window
SHARE = 3 / 4  # of training that the fold inside it is fitted on
LEAST_GAIN, MOST_GAIN = 0.03, 0.35  # of the squared error, that is asked for


@dataclass(frozen=True)
class Own:
    """How the targets' own past is read: inputs, inputs averaged for the level, and the penalty `[lookback]` per
    window.
    """

    lookback: int
    centre: int
    penalty: np.ndarray


def lags_of(channels: int, maps: int, length: int) -> int:
    """The last steps of each other channel that a model of several maps has room for."""
    return max(min(int(INPUTS / np.sqrt(maps)) // channels, length), 1)


@cache
def tell_cut(channels: int, read: int, length: int) -> None:
    """Say once what is not looked at of the other channels, of which one form reads fewer steps than another."""
    what = f"{read} of {channels} other channels, those that agree most with the changes of a target"
    if read == channels:
        what = f"{channels} other channel{'s' * (channels > 1)}"
    log.info("the closed forms see only the latest of the %d steps in %s", length, what)


def gain_needed(horizon: int, windows: int) -> float:
    """The share by which the error on so many windows of validation must fall for a choice to be more than luck."""
    return min(max(LEAST_GAIN, horizon / max(windows, 1)), MOST_GAIN)


def strongest(train: Pieces, others: Pieces, horizon: int, most: int) -> np.ndarray:
    """The numbers of the `most` channels whose last step agrees most with a change of a target over the horizon."""
    channels = len(others[0])
    if channels <= most:
        return np.arange(channels)
    best = np.zeros(channels)
    for step in sorted({1, horizon}):
        pairs = [(y[:, step:] - y[:, :-step], x[:, :-step]) for y, x in zip(train, others, strict=True)]
        y, x = (np.concatenate([pair[i] for pair in pairs], axis=1) for i in (0, 1))
        y, x = (part - part.mean(axis=1, keepdims=True) for part in (y, x))
        size = np.sqrt(np.outer((x**2).sum(axis=1), (y**2).sum(axis=1)))
        agreement = np.divide(np.abs(x @ y.T), size, out=np.zeros_like(size), where=size > 0)
        best = np.maximum(best, agreement.max(axis=1))
    return np.sort(np.argsort(-best, kind="stable")[:most])


def with_others(
    weight: np.ndarray, own: Own, train: tuple[Pieces, Pieces], val: tuple[Pieces, Pieces], lags: int, horizon: int
) -> tuple[np.ndarray, np.ndarray, list[dict[str, Any]]]:
    """The map of the own past, and that of the others', by which later windows are forecast best.

    Parameters
    ----------
    weight : `[G, L, H]`, of the own past as it is, one map for all targets or one each.
    own : how the joint regression reads the own past, at most L steps.
    train, val : the targets `[K, n]` and the others `[C, n]`; a piece of `val` begins L steps before its first target.
        Without any, the last part of training alone says how much of the others is taken in.
    lags : the others' last steps, at most `own.lookback`.

    Returns
    -------
    (weight `[G, L, H]`, past `[G, lags, C, H]`, and for each map how much of the joint regression is in it).
    """
    shared = len(weight) < len(train[0][0])
    if not val[0]:
        val = [train[0][0][:, :0]], [train[1][0][:, :0]]

    def sums(part: tuple[Pieces, Pieces], lookback: int) -> list[Joint]:
        found = joint(*part, lookback, lags, horizon)
        return [together(found)] if shared else found

    length, lookback = weight.shape[1], own.lookback
    fitted, judged = sums(train, lookback), sums(val, length)
    early, late = (
        sums((part_of(train[0], *span), part_of(train[1], *span)), lookback)
        for span in ((0.0, SHARE, 0), (SHARE, 1.0, lookback))
    )
    made = [
        _blend(one, own, _Fold(fit, score), _Fold(before, after), lags)
        for one, fit, score, before, after in zip(weight, fitted, judged, early, late, strict=True)
    ]
    return np.stack([one[0] for one in made]), np.stack([one[1] for one in made]), [one[2] for one in made]


def part_of(pieces: Pieces, begin: float, end: float, before: int) -> list[np.ndarray]:
    """From a share of each piece to another, and the steps before it."""
    return [piece[:, slice(*share_of(piece.shape[1], begin, end, before))] for piece in pieces]


def share_of(steps: int, begin: float, end: float, before: int) -> tuple[int, int]:
    """Where a share of so many steps begins, less the steps before it, and ends."""
    return max(int(begin * steps) - before, 0), int(end * steps)


@dataclass(frozen=True)
class _Fold:
    """The sums of what is fitted on and of what is judged on."""

    fitted: Joint
    judged: Joint


def _blend(
    weight: np.ndarray, own: Own, last: _Fold, inner: _Fold, lags: int
) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """Of one map: the mixture of `weight` and a joint regression that serves best, on validation and inside training.

    Inside training `weight` would be judged on what it was fitted on: a regression on the own past stands for it.
    """
    size, (length, horizon) = last.fitted.cross.shape[1] * last.fitted.cross.shape[2], weight.shape
    alone = np.concatenate([weight, np.zeros((size, horizon))])
    whole_maps = list(_regressions(own, last.fitted, length, lags))
    pairs = [(last.judged, length, alone, whole_maps)] if last.judged.n else []
    if inner.fitted.n and inner.judged.n:
        plain = np.zeros((own.lookback + size, horizon))
        sums = inner.fitted.squares(own.lookback, own.centre, change=False)
        xx, xy = sums.xx[: own.lookback, : own.lookback], sums.xy[: own.lookback]
        fit = Squares(sums.n, xx, xy, sums.yy).fit(sums.n * own.penalty)
        plain[: own.lookback] = uncentred(fit, own.centre)
        pairs.append((inner.judged, own.lookback, plain, list(_regressions(own, inner.fitted, own.lookback, lags))))
    if not pairs:
        return weight, np.zeros((lags, size // lags, horizon)), {"share": 0.0}
    windows = np.array([judged.n for judged, *_ in pairs])
    scores = [judged.squares(steps, 0, change=False) for judged, steps, _, _ in pairs]
    bases = [base for _, _, base, _ in pairs]
    least, best, told = 1 - gain_needed(horizon, int(windows.sum())), alone, {"share": 0.0}
    for (settings, whole), *made in zip(whole_maps, *(regressions for *_, regressions in pairs), strict=True):
        curves = np.array([_errors(*one) for one in zip(scores, bases, (m for _, m in made), strict=True)])
        share, errors = _share(curves, windows / windows.sum())
        if errors.max() < 1 and windows @ errors / windows.sum() < least:
            least, best = windows @ errors / windows.sum(), alone + share * (whole - alone)
            told = {"share": share, **settings}
    return best[:length], best[length:].reshape(lags, -1, horizon), told


def _errors(scores: Squares, alone: np.ndarray, whole: np.ndarray) -> tuple[float, float, float]:
    """The errors of `whole` and of `alone`, and of their mean, as shares of that of `alone`."""
    first, last, middle = (scores.error(one) for one in (alone, whole, (alone + whole) / 2))
    return (1.0, last / first, middle / first) if first else (1.0, 1.0, 1.0)


def _share(curves: np.ndarray, importance: np.ndarray) -> tuple[float, np.ndarray]:
    """The share of the joint regressions in mixtures that have the least error, and the error of each `[folds]`.

    The error is a parabola of the share; `curves [folds, 3]` has its values at 0, 1 and 1/2.
    """
    bend = 2 * (curves[:, 0] + curves[:, 1] - 2 * curves[:, 2])
    slope = curves[:, 1] - curves[:, 0] - bend
    total_bend, total_slope = importance @ bend, importance @ slope
    share = float(np.clip(-total_slope / (2 * total_bend), 0, 1)) if total_bend > 0 else float(total_slope < 0)
    return share, curves[:, 0] + share * slope + share**2 * bend


def _regressions(own: Own, joint: Joint, length: int, lags: int) -> Iterator[tuple[dict[str, Any], np.ndarray]]:
    """Joint regressions by how the others are read and how strongly they are held: their maps `[L + lags C, H]`.

    Either all changes to the level are read, or all as it is; then the own past, on which nothing need rest, is held no
    more than the others.
    """
    for change, strength in product((True, False), STRENGTHS):
        centre = own.centre if change else 0
        sums = joint.squares(own.lookback, centre, change)
        others = np.full(len(sums.xx) - own.lookback, strength)
        held = own.penalty if change else np.minimum(own.penalty, strength)
        weight = sums.fit(joint.n * np.concatenate([held, others]))
        past = weight[own.lookback :]
        past = unchanged(past, lags).reshape(past.shape) if change else past
        mine = np.zeros((length, weight.shape[1]))
        mine[length - own.lookback :] = uncentred(weight[: own.lookback], centre)
        yield {"change": change, "strength": strength}, np.concatenate([mine, past])


def numbers_of(targets: Sequence[int], channels: int) -> tuple[int, ...]:
    """The channels of `channels` that are no targets."""
    taken = {*targets}
    return tuple(channel for channel in range(channels) if channel not in taken)
