"""Margins of intervals around forecasts, chosen on what came at other times; and how well all of them together fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from tasks.forecast.conformal import Scores, margin_of
from tasks.forecast.growth import USUAL_GROWTH, reaching
from tasks.forecast.levels import Levels, sizes, usual
from tasks.predictions import Predictions

CENTRAL_SHARES = (0.2, 0.4, 0.6, 0.8)  # coverages whose ends are, with the median, the deciles
FEW_WINDOWS = 20  # independent ones, with fewer of which no quantile of errors is known
FEW_SERIES = 15  # with fewer of which none is known from other series


def chosen(
    val: Predictions, levels: Levels, coverage: float, names: Sequence[str], at: np.ndarray, alike: bool
) -> dict[str, Any]:
    """What a calibration holds: the margins [K, H] for `coverage`, of a point forecast also those of its deciles, and
    how many windows they are from.

    `at` [n, K] is the scale of each series at each window (`scale.sizes_at`), to which margins are in proportion, but
    where all windows are `alike` and so many that errors are known.
    """
    when, point = val.index.places(), levels.is_point(val.pred.shape[1], len(names))
    shares = (coverage, *(CENTRAL_SHARES if point else ()))
    series = len(np.unique(val.index.row)) * len(names) if point else FEW_SERIES
    scores = _scores(val, levels, names, None) if alike else None
    reference = {}
    if scores is None or _few(scores.shape[0] / scores.alike(when), series):
        reference = {"scale": usual(at)}
        scores = _scores(val, levels, names, sizes(at, reference["scale"]))
    margins, independent = calibrated(scores, shares, when, series)
    deciles = {"deciles": margins[1:]} if point else {}
    counts = {"windows": len(val.pred), "independent_windows": round(independent, 1)}
    return {"margin": margins[0], "coverage": coverage, "chosen_on": "val"} | deciles | counts | reference


def calibrated(
    scores: Scores, coverages: Sequence[float], when: np.ndarray, series: int = FEW_SERIES
) -> tuple[torch.Tensor, float]:
    """Margins [Q, K, H] for a series of the usual scale, in proportion to which others are scored.

    Split-conformal; of few windows of few series a Student's t, whose scale grows with the step ahead.

    Parameters
    ----------
    scores : of n windows, in units of their own series.
    coverages : the Q shares of truths that the intervals should contain.
    when : the places of the windows [n], see `conformal.alike`.
    series : how many the windows are of; with fewer than FEW_SERIES, both ends are the forecast.

    Returns
    -------
    (margins, how many independent windows the n are worth).
    """
    each = scores.alike(when)
    independent = scores.shape[0] / each
    if _few(independent, series):
        apart = _apart(when, scores.shape[2])
        return torch.from_numpy(by_growth(np.stack(list(scores.channels()), axis=1), coverages, apart)), apart
    found = [[margin_of(channel, coverage, each) for coverage in coverages] for channel in scores.channels()]
    return torch.from_numpy(np.array(found, np.float32).swapaxes(0, 1).copy()), independent


def _scores(val: Predictions, levels: Levels, names: Sequence[str], size: np.ndarray | None) -> Scores:
    """How far truths are outside of the ends, in units of `size` [n, K]; None for those of all series."""
    assert val.truth is not None
    scores = Scores(val.truth.shape)
    for windows, block in val.blocks():
        truth, pred = block.judged()
        scores.add(truth, *levels.ends(pred, len(names)), None if size is None else size[windows])
    return scores


def _few(independent: float, series: int) -> bool:
    """Whether so many independent windows of so many series do not show the quantile of their errors."""
    return independent < FEW_WINDOWS and series < FEW_SERIES


def _apart(when: np.ndarray, horizon: int) -> float:
    """How many windows without a common step the places [n] of windows have room for; those of several rows add up."""
    steps = np.minimum(np.diff(np.sort(when)), horizon)
    return 1 + float(steps.sum()) / horizon


def by_growth(error: np.ndarray, coverages: Sequence[float], apart: float) -> np.ndarray:
    """Margins [Q, K, H] from few errors [n, K, H]: a deviation that grows as a power of the step ahead, times a t.

    The power is between that of the errors and a usual one, the nearer to the former the more windows are `apart`;
    twice as many are the degrees of freedom.
    """
    from scipy.special import stdtrit

    steps = np.arange(1, error.shape[2] + 1.0)
    square = _mean(np.square(error, dtype=np.float64), axis=0)[0]  # [K, H]; a step may be unknown in all windows
    power, trust = np.full(len(square), USUAL_GROWTH), apart / (apart + 1)
    for k, one in enumerate(square):
        known = one > 0
        if known.sum() > 1:
            slope = np.polyfit(np.log(steps[known]), np.log(one[known]) / 2, 1)[0]
            power[k] = np.clip(trust * slope + (1 - trust) * USUAL_GROWTH, 0, 1)
    growth = steps ** power[:, None]
    deviation = np.sqrt(_mean(square / growth**2, axis=1)) * growth
    shares = stdtrit(2 * apart, (1 + np.asarray(coverages)) / 2)
    margins: np.ndarray = (shares[:, None, None] * deviation).astype(np.float32)
    return margins


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

    Twice the mean pinball loss of the levels that were asked for; or else of the nine deciles: the forecast is the
    median, and four intervals have the others as their ends. None where nothing was chosen to make these from.
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
    error = np.abs(truth - levels.point(pred, outputs))
    total = error.astype(np.float64)
    for share, margin in zip(CENTRAL_SHARES, reaching(calibration["deciles"].numpy(), truth.shape[2]), strict=True):
        half = margin if size is None else margin * size[:, :, None]
        below = (1 - share) / 2  # of the truths are below the lower end, and as many above the upper one
        # Both ends together cost 2 * below * half where truth is between them, and its distance to the near one more.
        total += 2 * (2 * below * half + np.maximum(error - half, 0))
    score: np.ndarray = total / (2 * len(CENTRAL_SHARES) + 1)
    return score
