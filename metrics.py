"""Metrics of predictions: at a threshold, by rank, of calibration and of regression.

Every function returns plain Python values that `json.dumps` takes. A quantity that the data do not define is None,
and `undefined` says why; it is never NaN. Inputs that no metric can judge (shapes that differ, a NaN score, a label
that is not 0 or 1) raise ValueError. "Predicted positive" means `score >= threshold`, compared in the score's own
float type, as `score >= threshold` is in numpy and torch, so evaluation and inference agree on every window.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

ECE_BINS = 15
AT_THRESHOLD = ("precision", "recall", "f1", "accuracy", "balanced_accuracy")


def _checked(y: ArrayLike, score: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """`y` as bool `[n]` and `score` as float `[n]`, or a ValueError that says what is wrong with them."""
    y, score = np.asarray(y), np.asarray(score)
    if y.ndim != 1 or y.shape != score.shape:
        raise ValueError(f"y {y.shape} and score {score.shape} must both be [n]")
    if not ((y == 0) | (y == 1)).all():
        raise ValueError("y must hold 0 and 1 only")
    if not ((score >= 0) & (score <= 1)).all():  # a NaN fails both
        raise ValueError("score must lie in [0, 1]")
    return y == 1, score if np.issubdtype(score.dtype, np.floating) else score.astype(np.float64)


def binary_metrics(y: ArrayLike, score: ArrayLike, threshold: float) -> dict[str, Any]:
    """Counts and ratios of one binary label at one threshold.

    Parameters
    ----------
    y : `[n]`, 0 or 1.
    score : `[n]`, probability of the positive class in [0, 1].
    threshold : predicted positive when `score >= threshold`.

    Returns
    -------
    threshold, tp, fp, fn, tn, precision = tp / (tp + fp), recall = tp / (tp + fn),
    f1 = 2 tp / (2 tp + fp + fn), accuracy = (tp + tn) / n, balanced_accuracy, the mean share of right ones of the true
    and of the false (of one alone where the other is not there), and `undefined`: {name: why it is None}.
    """
    truth, score = _checked(y, score)
    threshold = float(threshold)
    positive = score >= threshold
    tp, fp = int((positive & truth).sum()), int((positive & ~truth).sum())
    fn, tn = int((~positive & truth).sum()), int((~positive & ~truth).sum())
    ratios = {
        "precision": (tp, tp + fp, "no positive prediction"),
        "recall": (tp, tp + fn, "no positive label"),
        "f1": (2 * tp, 2 * tp + fp + fn, "no positive label and no positive prediction"),
        "accuracy": (tp + tn, tp + fp + fn + tn, "no samples"),
    }
    values = {name: part / whole if whole else None for name, (part, whole, _) in ratios.items()}
    undefined = {name: reason for name, (_, whole, reason) in ratios.items() if not whole}
    sides = [right / whole for right, whole in ((tp, tp + fn), (tn, tn + fp)) if whole]
    values["balanced_accuracy"] = sum(sides) / len(sides) if sides else None
    undefined |= {} if sides else {"balanced_accuracy": "no samples"}
    return {"threshold": threshold, "tp": tp, "fp": fp, "fn": fn, "tn": tn, **values, "undefined": undefined}


def _calibration_error(truth: np.ndarray, score: np.ndarray) -> float:
    """sum over bins of (n_b / n) |mean y - mean score| = sum over bins of |sum (y - score)| / n."""
    bins = np.minimum((score * ECE_BINS).astype(np.intp), ECE_BINS - 1)  # a score of 1 belongs to the last bin
    gap = np.bincount(bins, weights=truth - score, minlength=ECE_BINS)
    return float(np.abs(gap).sum() / len(score))


def ranking_metrics(y: ArrayLike, score: ArrayLike) -> dict[str, Any]:
    """Metrics of one binary label that need no threshold.

    Parameters
    ----------
    y : `[n]`, 0 or 1.
    score : `[n]`, probability of the positive class in [0, 1].

    Returns
    -------
    roc_auc : area under the ROC curve; None with one class.
    pr_auc : average precision, sum (R_k - R_{k-1}) P_k over falling thresholds, without interpolation (Davis and
        Goadrich 2006 on why not to interpolate); None with one class.
    brier : mean (score - y)^2.
    ece : expected calibration error, sum (n_b / n) |mean y - mean score| over 15 equal bins [k/15, (k+1)/15) of
        the positive class's probability (Naeini et al. 2015; not the confidence form of Guo et al. 2017).
    undefined : {name: why it is None}.
    """
    truth, score = _checked(y, score)
    score = score.astype(np.float64)
    if not len(truth):
        names = ("roc_auc", "pr_auc", "brier", "ece")
        return {**dict.fromkeys(names), "undefined": dict.fromkeys(names, "no samples")}
    values: dict[str, Any] = {"roc_auc": None, "pr_auc": None}
    undefined = {}
    if truth.all() or not truth.any():
        undefined = dict.fromkeys(values, f"one class only: every label is {int(truth[0])}")
    else:
        values["roc_auc"], values["pr_auc"] = _areas(truth, score)
    values["brier"] = float(np.mean((score - truth) ** 2))
    values["ece"] = _calibration_error(truth, score)
    return {**values, "undefined": undefined}


def _areas(truth: np.ndarray, score: np.ndarray) -> tuple[float, float]:
    """The area under the ROC curve, and average precision, of 0 and 1 and their scores, of both of which there are.

    As scikit-learn's, which takes ten times as long for a thousand samples.
    """
    order = np.argsort(-score, kind="stable")
    ranked = score[order]
    cut = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))  # the last of each run of equal scores
    found = np.cumsum(truth[order] > 0)[cut]
    wrong = cut + 1 - found
    new, before = np.diff(found, prepend=0), np.append(0, found[:-1])
    area = (np.diff(wrong, prepend=0) * (found + before)).sum() / (2.0 * found[-1] * wrong[-1])
    return float(area), float((new * (found / (cut + 1))).sum() / found[-1])


def best_threshold(y: ArrayLike, score: ArrayLike) -> tuple[float, float | None]:
    """The threshold tau that maximises F1, and that F1, by one sort: O(n log n).

    Every cut between neighbouring distinct scores is tried, and the one below the smallest. tau is the midpoint of
    the two scores beside the cut (0 below the smallest score): the widest margin for scores not seen yet.
    Of cuts with equal F1 it is the tau nearest to 0.5, then the higher one. Without a positive: (0.5, None).

    Parameters
    ----------
    y : `[n]`, 0 or 1.
    score : `[n]`, probability of the positive class in [0, 1].
    """
    truth, score = _checked(y, score)
    positives = int(truth.sum())
    if not positives:
        return 0.5, None
    order = np.argsort(-score, kind="stable")
    ranked = score[order]
    cut = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))  # the last of each run of equal scores
    f1 = 2 * np.cumsum(truth[order])[cut] / (cut + 1 + positives)
    above = ranked[cut]
    below = np.append(above[1:], above.dtype.type(0))
    tau = (above + below) / 2
    tau = np.where(tau > below, tau, above)  # neighbours one rounding apart have no midpoint
    best = np.flatnonzero(f1 == f1.max())
    pick = best[np.argmin(np.abs(tau[best] - 0.5))]
    return float(tau[pick]), float(f1[pick])


def classification_report(y: ArrayLike, score: ArrayLike, default_threshold: float, tau: float) -> dict[str, Any]:
    """`binary_metrics` at two thresholds and `ranking_metrics` of one binary label.

    Parameters
    ----------
    y : `[n]`, 0 or 1.
    score : `[n]`, probability of the positive class in [0, 1].
    default_threshold : a threshold that does not depend on the data.
    tau : the threshold chosen on validation; never on the data scored here.

    Returns
    -------
    {"precision", "recall", "f1", "accuracy" at tau, "best_tau": tau, "at_tau", "default": `binary_metrics` at each,
    **`ranking_metrics`, "n", "positives", "prevalence"}; `undefined` has the reasons of all but those of "default".
    """
    truth, _ = _checked(y, score)
    n, positives = len(truth), int(truth.sum())
    ranking = ranking_metrics(y, score)
    if not n:
        ranking["undefined"]["prevalence"] = "no samples"
    at_tau = binary_metrics(y, score, tau)
    ranking["undefined"] |= at_tau["undefined"]
    return {
        **{name: at_tau[name] for name in AT_THRESHOLD},
        "best_tau": at_tau["threshold"],
        "at_tau": at_tau,
        "default": binary_metrics(y, score, default_threshold),
        **ranking,
        "n": n,
        "positives": positives,
        "prevalence": positives / n if n else None,
    }


def log_loss(y: ArrayLike, probability: ArrayLike) -> float | None:
    """The mean of -log p of what is true, p at least 1e-6; None without samples.

    Parameters
    ----------
    y : of one label `[n]`, 0 or 1; of classes `[n, K]`, one of them 1.
    probability : of the same shape.
    """
    truth, p = np.asarray(y), np.asarray(probability, np.float64)
    if not len(truth):
        return None
    if truth.ndim == 1:
        return float(-np.log(np.where(truth == 1, p, 1 - p).clip(1e-6)).mean()) + 0.0  # never -0
    return float(-(truth * np.log(p.clip(1e-6))).sum(1).mean()) + 0.0


def class_metrics(y: ArrayLike, pred: ArrayLike, classes: int) -> dict[str, Any]:
    """Metrics of one class out of many.

    Parameters
    ----------
    y, pred : `[n]`, the true and the predicted class, in 0 .. classes - 1.

    Returns
    -------
    n; accuracy; balanced_accuracy, the mean recall of the classes that are true somewhere; precision, recall and f1 as
    means over the classes that are true or predicted somewhere, 0 where a class has none (macro_f1 is f1 again);
    per_class {"precision", "recall", "f1"}: of each class, None where it is neither; confusion
    `[classes][classes]`, counts by true (rows) and predicted class.
    """
    y, pred = np.asarray(y, np.int64), np.asarray(pred, np.int64)
    if y.shape != pred.shape or y.ndim != 1:
        raise ValueError(f"y {y.shape} and pred {pred.shape} must both be [n]")
    counts = np.bincount(y * classes + pred, minlength=classes * classes).reshape(classes, classes)
    hits, said, true = np.diag(counts), counts.sum(axis=0), counts.sum(axis=1)
    there = said + true > 0
    parts = {"precision": (hits, said), "recall": (hits, true), "f1": (2 * hits, said + true)}
    shares = {name: part / np.maximum(whole, 1) for name, (part, whole) in parts.items()}
    means = {name: float(share[there].mean()) if there.any() else None for name, share in shares.items()}
    each = {
        name: [float(value) if known else None for value, known in zip(share, there, strict=True)]
        for name, share in shares.items()
    }
    return {
        "n": len(y),
        "accuracy": int(hits.sum()) / len(y) if len(y) else None,
        "balanced_accuracy": float(shares["recall"][true > 0].mean()) if len(y) else None,
        "macro_f1": means["f1"],
        **means,
        "per_class": each,
        "confusion": counts.tolist(),
    }


def regression_metrics(y: ArrayLike, pred: ArrayLike) -> dict[str, Any]:
    """Errors over all elements of `y` and `pred`, which may have any shape, the same, in float64.

    Returns
    -------
    mae (unit of y), mse (its square), rmse (unit of y), r2 = 1 - sum (y - pred)^2 / sum (y - mean y)^2 (None when
    y is constant), n elements, undefined: {name: why it is None}.

    Raises
    ------
    ValueError : shapes that differ, values that are not finite.
    """
    y, pred = np.asarray(y, np.float64), np.asarray(pred, np.float64)
    if y.shape != pred.shape:
        raise ValueError(f"y {y.shape} and pred {pred.shape} differ in shape")
    if not (np.isfinite(y).all() and np.isfinite(pred).all()):
        raise ValueError("y and pred must be finite")
    if not y.size:
        names = ("mae", "mse", "rmse", "r2")
        return {**dict.fromkeys(names), "n": 0, "undefined": dict.fromkeys(names, "no samples")}
    error = pred - y
    mse = float(np.mean(error**2))
    variance = float(np.var(y))
    constant = y.min() == y.max() or not variance  # the rounded mean of a constant can differ from it
    return {
        "mae": float(np.mean(np.abs(error))),
        "mse": mse,
        "rmse": math.sqrt(mse),
        "r2": None if constant else 1 - mse / variance,
        "n": y.size,
        "undefined": {"r2": "y is constant"} if constant else {},
    }


def clean_json(obj: Any) -> Any:
    """`obj` with numpy scalars, arrays and keys made plain, tuples made lists, and NaN and infinities made None."""
    if isinstance(obj, dict):
        return {key.item() if isinstance(key, np.generic) else key: clean_json(value) for key, value in obj.items()}
    if isinstance(obj, list | tuple):
        return [clean_json(value) for value in obj]
    if isinstance(obj, np.ndarray):
        return clean_json(obj.tolist())
    if isinstance(obj, np.generic):
        obj = float(obj) if isinstance(obj, np.floating) else obj.item()
    return None if isinstance(obj, float) and not math.isfinite(obj) else obj
