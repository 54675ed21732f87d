"""Margins of intervals around forecasts, chosen on what came at other times; and how well all of them together fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from tasks.forecast import deciles, lagged
from tasks.forecast.conformal import Scores, margins_of
from tasks.forecast.growth import USUAL_GROWTH
from tasks.forecast.levels import Levels, sizes, usual
from tasks.predictions import Predictions

FEW_WINDOWS = 20  # independent ones, with fewer of which no quantile of errors is known
MANY_WINDOWS = 100  # with fewer of which none is known of each step by itself
FEW_SERIES = 15  # with fewer of which none is known from other series
FAR, RARE = 6.0, 0.25  # a break: so much farther off than most windows are, in no larger share of them
OF_A_WALK = 2.0  # independent steps, that those of a window of a walk are worth
TINY = 1e-12


def chosen(
    val: Predictions, levels: Levels, coverage: float, names: Sequence[str], at: np.ndarray, alike: bool
) -> dict[str, Any]:
    """What a calibration holds: the margins [K, H] for `coverage`, of a point forecast also those of its deciles, and
    how many windows they are from.

    `at` [n, K] is the scale of each series at each window (`scale.sizes_at`), to which margins are in proportion, but
    where all windows are `alike` and so many that errors are known.
    """
    when, point = val.index.places(), levels.is_point(val.pred.shape[1], len(names))
    shares = (coverage, *(deciles.CENTRAL_SHARES if point else ()))
    rows = val.index.rows() if point and len(np.unique(val.index.row)) < FEW_SERIES else None
    scores = _scores(val, levels, names, None) if alike else None
    reference = {}
    if scores is None or (rows is not None and scores.shape[0] / scores.alike(when) < FEW_WINDOWS):
        reference = {"scale": usual(at)}
        scores = _scores(val, levels, names, sizes(at, reference["scale"]))
    margins, independent = calibrated(scores, shares, when, rows)
    found = {"margin": margins[0], "coverage": coverage, "chosen_on": "val"}
    if point:
        many = rows is None or independent >= MANY_WINDOWS
        found["deciles"] = deciles.sided(scores, scores.alike(when)) if many else deciles.even(margins[1:])
    return found | {"windows": len(val.pred), "independent_windows": round(independent, 1)} | reference


def width(calibration: Mapping[str, Any], size: np.ndarray | None) -> float:
    """The mean margin of a calibration for windows whose series are of `size` [n, K] beside its usual one; None: 1."""
    if "margin" not in calibration:
        return 0.0
    margin: np.ndarray = calibration["margin"].numpy().mean(axis=1)
    return float(np.mean(margin if size is None else margin * size))


def calibrated(
    scores: Scores, coverages: Sequence[float], when: np.ndarray, rows: np.ndarray | None = None
) -> tuple[torch.Tensor, float]:
    """Margins [Q, K, H] for a series of the usual scale, in proportion to which others are scored.

    Split-conformal, of each step by itself; where fewer windows of few series are known, of all steps together; of very
    few a Student's t, whose scale grows with the step ahead. Very few do not draw the ends together that a model gives.

    Parameters
    ----------
    scores : of n windows, in units of their own series.
    coverages : the Q shares of truths that the intervals should contain.
    when : the places of the windows [n], see `conformal.alike`.
    rows : int64 [n], the series of each, where both ends are the forecast and there are few; None of others.

    Returns
    -------
    (margins, how many independent windows the n are worth).
    """
    each = scores.alike(when)
    independent = scores.shape[0] / each
    if rows is not None and independent < MANY_WINDOWS:
        error, apart = np.stack(list(scores.channels()), axis=1), _apart(when, scores.shape[2])
        error = without_breaks(error, rows)
        if independent < FEW_WINDOWS:
            return torch.from_numpy(by_growth(error, coverages, apart)), apart
        return torch.from_numpy(by_profile(error, coverages, apart, each)), independent
    channels = (np.abs(channel) if scores.signed else channel for channel in scores.channels())
    found = np.stack([margins_of(channel, coverages, each) for channel in channels], axis=1)
    if not scores.signed and independent < FEW_WINDOWS:  # too few to tell that a model's own quantiles are too wide
        found = np.maximum(found, 0)
    return torch.from_numpy(found), independent


def _scores(val: Predictions, levels: Levels, names: Sequence[str], size: np.ndarray | None) -> Scores:
    """How far truths are outside of the ends, in units of `size` [n, K]; None for those of all series."""
    assert val.truth is not None
    scores = Scores(val.truth.shape, signed=levels.is_point(val.pred.shape[1], len(names)))
    for windows, block in val.blocks():
        truth, pred = block.judged()
        scores.add(truth, *levels.ends(pred, len(names)), None if size is None else size[windows])
    return scores


def _apart(when: np.ndarray, horizon: int) -> float:
    """How many windows without a common step the places [n] of windows have room for; those of several rows add up."""
    steps = np.minimum(np.diff(np.sort(when)), horizon)
    return 1 + float(steps.sum()) / horizon


def without_breaks(error: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Errors [n, K, H] where windows with a break that is over count like the widest of the others of their series.

    A level that changed once lies in two neighbouring backtests, which say nothing about an ordinary window: what is so
    rare is outside of an interval anyway. It stays where it is not rare, and where no usual window came after it.
    """
    error = error.astype(np.float64)
    for row in np.unique(rows):
        of = np.flatnonzero(rows == row)
        for k, size in enumerate(np.sqrt(_mean(error[of] ** 2, axis=2))[..., 0].T):
            middle = np.median(size[np.isfinite(size)]) if np.isfinite(size).any() else 0.0
            far = size > FAR * middle
            if middle > 0 and 0 < far.mean() <= RARE:
                over = np.flatnonzero(far[: np.flatnonzero(~far)[-1]])
                error[of[over], k] *= np.nanmax(size[~far]) / size[over, None]
    return error


def by_growth(error: np.ndarray, coverages: Sequence[float], apart: float) -> np.ndarray:
    """Margins [Q, K, H] from few errors [n, K, H]: a deviation that grows with the step ahead, times a t.

    Each of the windows that are `apart` has as many degrees of freedom as its steps are worth: two of a walk, as many
    as there are of noise.
    """
    from scipy.special import stdtrit

    reach = _deviation(error, apart)
    freedom = apart * max(worth(_over(error, reach), apart), OF_A_WALK)
    shares = stdtrit(freedom, (1 + np.asarray(coverages)) / 2)
    margins: np.ndarray = (shares[:, None, None] * reach).astype(np.float32)
    return margins


def worth(error: np.ndarray, apart: float) -> float:
    """How many independent ones the H steps of a window tell as much as, of errors [n, K, H] of one size: 1 to H.

    The variance of their mean square is that of H**2 / (sum over pairs of steps of their squared correlation) normal
    ones. Each correlation is that of all steps so far apart, and its square less what it is by chance.
    """
    known, steps = np.isfinite(error), error.shape[2]
    z = np.where(known, error, 0.0)
    square, pairs = (z**2).sum() / max(known.sum(), 1), float(steps)
    if square > 0:
        alike = lagged.products(z)[1:] / np.maximum(lagged.pairs(known)[1:], 1) / square
        left = np.arange(steps - 1, 0, -1)  # of the steps, at each lag
        pairs += 2 * float((left * np.maximum(alike**2 - 1 / (apart * left), 0)).sum())
    return max(steps**2 / pairs, 1.0) if square > 0 else 1.0


def by_profile(error: np.ndarray, coverages: Sequence[float], apart: float, alike: float) -> np.ndarray:
    """Margins [Q, K, H] from more errors [n, K, H], of which `alike` windows tell as much as one.

    They are in proportion to the deviation as of few windows, and to how much farther errors of each step reach than it
    says, as far as that is not chance. The quantile is that of the errors of all steps over both, of which a window's
    count for as many as they are `worth`.
    """
    reach = _deviation(error, apart)
    ratio = _over(error, reach)
    own = _profile(ratio, len(error) / alike)
    ratio /= own
    each = alike * error.shape[2] / worth(ratio, apart)
    flat = np.abs(ratio).swapaxes(0, 1).reshape(len(own), -1, 1)
    found = np.stack([margins_of(line, coverages, each) for line in flat], axis=1)
    margins: np.ndarray = (found * reach * own).astype(np.float32)
    return margins


def _over(error: np.ndarray, reach: np.ndarray) -> np.ndarray:
    """Errors [n, K, H] over how far they reach [K, H]; 0 where that is 0."""
    unknown = np.where(np.isnan(error), np.nan, 0.0)
    ratio: np.ndarray = np.divide(error, reach, out=unknown, where=reach > 0)
    return ratio


def _deviation(error: np.ndarray, apart: float) -> np.ndarray:
    """How far errors [n, K, H] reach, [K, H]: a power of the step ahead.

    The power is between that of the errors and a usual one, the nearer to the former the more windows are `apart`.
    """
    steps = np.arange(1, error.shape[2] + 1.0)
    square = _mean(np.square(error, dtype=np.float64), axis=0)[0]  # [K, H]; a step may be unknown in all windows
    power, trust = np.full(len(square), USUAL_GROWTH), apart / (apart + 1)
    for k, one in enumerate(square):
        known = one > 0
        if known.sum() > 1:
            slope = np.polyfit(np.log(steps[known]), np.log(one[known]) / 2, 1)[0]
            power[k] = np.clip(trust * slope + (1 - trust) * USUAL_GROWTH, 0, 1)
    growth = steps ** power[:, None]
    found: np.ndarray = np.sqrt(_mean(square / growth**2, axis=1)) * growth
    return found


def _profile(error: np.ndarray, independent: float) -> np.ndarray:
    """How much farther errors [n, K, H] reach at each step than at others, [K, H], 1 in the (geometric) mean.

    The logs of the means over windows, drawn together by the share of their variance that so many `independent` windows
    have by chance (James and Stein 1961, Estimation with quadratic loss). A step that no window knows has 1.
    """
    size = _mean(np.abs(error), axis=0)
    chance = _mean((np.abs(error) - size) ** 2, axis=0) / (independent * np.maximum(size, TINY) ** 2)
    log = np.log(np.maximum(size, TINY))
    log -= _mean(log, axis=2)
    kept = 1 - _mean(chance, axis=2) / np.maximum(_mean(log**2, axis=2), TINY)
    found: np.ndarray = np.exp(np.nan_to_num(np.clip(kept, 0, 1) * log))[0]
    return found


def _mean(values: np.ndarray, axis: int) -> np.ndarray:
    """The mean of what is known along an axis, which stays; NaN where nothing is."""
    known = np.isfinite(values)
    total, count = np.where(known, values, 0.0).sum(axis, keepdims=True), known.sum(axis, keepdims=True)
    mean: np.ndarray = np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)
    return mean


def crps(
    truth: np.ndarray, pred: np.ndarray, levels: Levels, calibration: Mapping[str, Any], size: np.ndarray | None
) -> np.ndarray | None:
    """The continuous ranked probability score at each window, channel and step, [n, K, H]; NaN where no truth is known.

    Twice the mean pinball loss of the levels that were asked for; or else of the nine deciles. None where nothing was
    chosen to make these from.
    """
    outputs = truth.shape[1]
    if levels.asked and pred.shape[1] != outputs:
        shown = levels.shown(pred, outputs).reshape(len(truth), outputs, len(levels.asked), -1)
        error = truth[:, :, None] - shown
        level = np.array(levels.asked)[:, None]
        both: np.ndarray = 2 * np.maximum(level * error, (level - 1) * error).mean(axis=2)
        return both
    if "deciles" not in calibration:
        return None
    offsets = calibration["deciles"].numpy()
    return deciles.score(truth, levels.point(pred, outputs), offsets, size, levels.least)
