"""Metrics of a disaggregation on one timeline with one value a step: states, events, watts, energy.

Truth and prediction are NaN where they are unknown; such steps do not count. Steps that lie side by side in an array
may be hours or houses apart: `when` [n] says at which step of time each one is, and neighbours differ by 1. As in
metrics.py, a quantity that the data
do not define is None, with the reason in `undefined`. `formulas` tells how each is calculated.

Two names that the field uses in several ways: SAE is the relative error of the whole sum, not a mean over periods; NDE
is the ratio of the squares without a root, while NILMTK prints the square root under the same name.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from metrics import best_threshold

LEAST_ACTIVATIONS = 12  # in validation: with fewer, the tau of the best F1 is overfitted to them
TOLERANCE = 60.0  # seconds between a switch-on and its prediction
NOT_KNOWN = "the device is not in these data"
RELATIVE = ("sae", "nde", "energy_error_share")  # to the energy of the device
JOULES = 3.6e6  # of a kWh
FORMULAS = {
    "precision": "tp / (tp + fp) over steps; predicted on where score >= tau, after a duration filter if there is one",
    "recall": "tp / (tp + fn)",
    "f1": "2 tp / (2 tp + fp + fn); null where the truth is never on",
    "macro_f1": "mean f1 of the devices that have one",
    "mae": "mean |estimate - truth|, W",
    "rmse": "sqrt(mean (estimate - truth)^2), W",
    "sae": "|sum estimate - sum truth| / sum truth; null where f1 is",
    "nde": "sum (estimate - truth)^2 / sum truth^2, without a square root; null where f1 is",
    "energy_error_kwh": "(sum estimate - sum truth) * step / 3.6e6 J",
    "energy_error_share": "energy_error_kwh / energy_kwh; null where f1 is",
    "events": "switch-ons (off, then on at the very next step, both known), matched one to one within the tolerance; "
    "precision, recall, f1 as above",
}


def nilm_kpis(
    names: Sequence[str],
    step_seconds: float,
    *,
    on: np.ndarray | None = None,
    score: np.ndarray | None = None,
    tau: Sequence[float] | None = None,
    predicted: np.ndarray | None = None,
    watts: np.ndarray | None = None,
    estimate: np.ndarray | None = None,
    energy: np.ndarray | None = None,
    tolerance: float = TOLERANCE,
    when: np.ndarray | None = None,
) -> dict[str, Any]:
    """All figures of K devices on one timeline of n steps, per device and together.

    Parameters
    ----------
    names : the K devices.
    step_seconds : length of a step.
    on, score, tau : true states `[K, n]` of 0, 1, NaN; probabilities `[K, n]` or NaN; thresholds `[K]`.
    predicted : states `[K, n]` of 0, 1, NaN after a duration filter; None: score >= tau.
    watts, estimate : true and estimated power `[K, n]`, W.
    energy : estimated power `[K, n]` for the sums alone (kWh, SAE); None: `estimate`.
    tolerance : seconds by which a predicted switch-on may miss the true one.
    when : rising steps of time int64 `[n]`; None: without a gap.

    States or watts may be absent, but not both.

    Returns:
        {"devices": {name: `state_metrics` and `power_metrics`}, "macro_f1", "macro_f1_devices" (those with an F1),
        "mae", "rmse", "sae", "nde" (means over the devices that have them), "step_seconds", "tolerance_seconds",
        "formulas"}.
    """
    assert (on is None) == (score is None and predicted is None) and (on is not None or watts is not None)
    devices: dict[str, dict[str, Any]] = {}
    for k, name in enumerate(names):
        found: dict[str, Any] = {"undefined": {}}
        if on is not None:
            states = predicted[k] if predicted is not None else thresholded(score[k], tau[k])  # type: ignore[index]
            part = state_metrics(on[k], states, step_seconds, tolerance, when)
            found |= {"tau": None if tau is None else float(tau[k])} | part
        if watts is not None and estimate is not None:
            part = power_metrics(watts[k], estimate[k], step_seconds, None if energy is None else energy[k])
            found |= part | {"undefined": found["undefined"] | part["undefined"]}
            if on is not None and found["f1"] is None and found["mae"] is not None:
                found = _without_runs(found)
        devices[name] = found
    together: dict[str, Any] = {"devices": devices}
    if on is not None:
        together["macro_f1"] = _mean(devices, "f1")
        together["macro_f1_devices"] = [name for name, found in devices.items() if found["f1"] is not None]
    if watts is not None:
        together |= {key: _mean(devices, key) for key in ("mae", "rmse", "sae", "nde")}
    return together | {"step_seconds": step_seconds, "tolerance_seconds": tolerance, "formulas": FORMULAS}


def _without_runs(found: Mapping[str, Any]) -> dict[str, Any]:
    """A device's figures without what is relative to its energy: that of one which is never on is a standby's."""
    reason = found["undefined"]["f1"]
    none = dict.fromkeys(RELATIVE)
    return {**found, **none, "undefined": {**dict.fromkeys(RELATIVE, reason), **found["undefined"]}}


def _mean(devices: Mapping[str, Mapping[str, Any]], key: str) -> float | None:
    """The mean over the devices for which it is defined."""
    known = [found[key] for found in devices.values() if found[key] is not None]
    return float(np.mean(known)) if known else None


def sums_of_windows(truth: np.ndarray, pred: np.ndarray) -> dict[str, np.ndarray]:
    """What macro-F1 and MAE of windows [n, 2K, H], states then watts, are made from, at 0.5: see `of_sums`.

    Steps by device [K] that are on, predicted on, and both; the sum of errors and how many there are [2].
    """
    (states, watts), (score, estimate) = np.split(truth, 2, axis=1), np.split(pred, 2, axis=1)
    true, on = states == 1, (score >= 0.5) & ~np.isnan(states)
    error = np.abs(estimate * on - watts)
    sums = {"true": true, "on": on, "both": true & on}
    known = np.array([np.nansum(error, dtype=np.float64), np.count_nonzero(~np.isnan(error))])
    return {name: part.sum(axis=(0, 2)) for name, part in sums.items()} | {"error": known}


def of_sums(sums: Mapping[str, np.ndarray]) -> dict[str, float | None]:
    """Macro-F1 and MAE of windows from `sums_of_windows`, added up over them: fast enough for every epoch."""
    counts = zip(sums["both"], sums["true"], sums["on"], strict=True)
    f1 = [2 * both / (true + on) for both, true, on in counts if true]
    error, known = sums["error"].tolist()
    return {"macro_f1": float(np.mean(f1)) if f1 else None, "mae": error / known if known else math.nan}


# ---- states


def thresholded(score: np.ndarray, tau: float) -> np.ndarray:
    """States [n]: 1 where score >= tau, else 0, NaN where there is no score."""
    return np.where(np.isnan(score), np.nan, score >= float(tau))  # in the score's own float type


def _both_known(truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    return ~(np.isnan(np.asarray(truth, np.float64)) | np.isnan(np.asarray(predicted, np.float64)))


def state_metrics(
    on: np.ndarray, predicted: np.ndarray, step_seconds: float, tolerance: float, when: np.ndarray | None = None
) -> dict[str, Any]:
    """States of one device over n steps, truth and prediction `[n]` of 0, 1, NaN, at the steps `when [n]`.

    Returns:
        steps (where both are known), tp, fp, fn, tn, precision, recall, f1, events (of `event_metrics`), undefined.
    """
    known = _both_known(on, predicted)
    truth, predicted_on = np.asarray(on)[known] == 1, np.asarray(predicted)[known] == 1
    tp, fp = int((truth & predicted_on).sum()), int((~truth & predicted_on).sum())
    fn, tn = int((truth & ~predicted_on).sum()), int((~truth & ~predicted_on).sum())
    return {
        "steps": len(truth),
        **{"tp": tp, "fp": fp, "fn": fn, "tn": tn},
        **_ratios(tp, fp, fn, "the device is never on" if len(truth) else NOT_KNOWN, "it is never predicted on"),
        "events": event_metrics(on, predicted, step_seconds, tolerance, when),
    }


def _ratios(tp: int, fp: int, fn: int, no_truth: str, no_prediction: str) -> dict[str, Any]:
    """precision, recall, f1 and undefined from counts; F1 is undefined without a positive in the truth."""
    some = tp + fn > 0
    undefined = {} if tp + fp else {"precision": no_prediction}
    return {
        "precision": tp / (tp + fp) if tp + fp else None,
        "recall": tp / (tp + fn) if some else None,
        "f1": 2 * tp / (2 * tp + fp + fn) if some else None,
        "undefined": undefined if some else undefined | {"recall": no_truth, "f1": no_truth},
    }


def event_metrics(
    on: np.ndarray, predicted: np.ndarray, step_seconds: float, tolerance: float, when: np.ndarray | None = None
) -> dict[str, Any]:
    """Switch-ons of one device: a step that is on after one that is off, both known in truth and prediction.

    After a gap nobody saw a switch-on. `when [n]` are the steps' places in time, None: without a gap.

    True and predicted ones at most `tolerance` seconds apart are matched one to one, as many as can be.

    Returns:
        true, predicted, matched (counts), precision, recall, f1, undefined.
    """
    known = _both_known(on, predicted)
    when = np.arange(len(known)) if when is None else when
    true = _switch_ons(np.asarray(on) == 1, known, when)
    predicted_on = _switch_ons(np.asarray(predicted) == 1, known, when)
    matched = _matches(true.tolist(), predicted_on.tolist(), tolerance / step_seconds + 1e-9)
    wrong, missed = len(predicted_on) - matched, len(true) - matched
    ratios = _ratios(matched, wrong, missed, "the device never switches on", "no switch-on is predicted")
    return {"true": len(true), "predicted": len(predicted_on), "matched": matched, **ratios}


def _switch_ons(on: np.ndarray, known: np.ndarray, when: np.ndarray) -> np.ndarray:
    """When a device switches on: int64 [events]."""
    beside = known[1:] & known[:-1] & (np.diff(when) == 1)
    found: np.ndarray = when[1:][on[1:] & ~on[:-1] & beside]
    return found


def _matches(true: Sequence[int], predicted_on: Sequence[int], most: float) -> int:
    """How many pairs of two sorted lists differ by at most `most`. Taking the earliest pair first leaves the most."""
    i = j = count = 0
    while i < len(true) and j < len(predicted_on):
        if abs(true[i] - predicted_on[j]) <= most:
            i, j, count = i + 1, j + 1, count + 1
        elif true[i] < predicted_on[j]:
            i += 1
        else:
            j += 1
    return count


def best_tau(
    y: ArrayLike, score: ArrayLike, least: int = LEAST_ACTIVATIONS, rows: np.ndarray | None = None
) -> tuple[float, float | None, str]:
    """The threshold of the best F1 on validation: tau, that F1 or None, and why tau is 0.5 where it is not chosen.

    Parameters
    ----------
    y : `[n]` in order of time, of 0, 1, NaN (left out).
    score : `[n]`, probabilities, or NaN (left out).
    least : activations (runs of y = 1; what a gap interrupts is one) below which validation supports no choice.
    rows : `[n]`, the house of each step, where there are several.
    """
    truth, score = np.asarray(y, np.float64), np.asarray(score)
    known = _both_known(truth, score)
    truth, score = truth[known], score[known]
    before = np.append(0, truth[:-1])  # as if every house began with its device off
    if rows is not None:
        before[np.diff(rows[known], prepend=-1) != 0] = 0
    count = int(((truth == 1) & (before == 0)).sum())
    if count < least:
        return 0.5, None, f"validation holds {count} activation{'s' * (count != 1)}, fewer than {least}"
    if truth.all():
        return 0.5, None, "the device is always on in validation"
    return *best_threshold(truth, score), ""


def f1_curve(y: ArrayLike, score: ArrayLike, taus: ArrayLike) -> np.ndarray:
    """F1 at each of the thresholds [T], float64. NaN in `y [n]` or `score [n]` is left out; without a 1 all are NaN."""
    truth, chance, taus = (np.asarray(part, np.float64) for part in (y, score, taus))
    known = _both_known(truth, chance)
    on = truth[known] == 1
    if not on.any():
        return np.full(len(taus), np.nan)
    ranked, hits = np.sort(chance[known]), np.sort(chance[known][on])
    predicted_on = len(ranked) - np.searchsorted(ranked, taus, "left")
    tp = len(hits) - np.searchsorted(hits, taus, "left")
    return 2 * tp / (predicted_on + len(hits))


# ---- watts


def power_metrics(
    watts: np.ndarray, estimate: np.ndarray, step_seconds: float, energy: np.ndarray | None = None
) -> dict[str, Any]:
    """Power of one device over n steps, W, of which those without a truth or an estimate (NaN) are left out.

    `energy` [n] is the estimate that is summed, where that is another one.

    Returns:
        mae, rmse, sae, nde, energy_kwh, estimated_kwh, energy_error_kwh, energy_error_share, undefined.
    """
    watts, estimate = np.asarray(watts, np.float64), np.asarray(estimate, np.float64)
    known = _both_known(watts, estimate)
    y, error = watts[known], (estimate - watts)[known]
    if not len(y):
        names = ("mae", "rmse", "sae", "nde", "energy_kwh", "estimated_kwh", "energy_error_kwh", "energy_error_share")
        return {**dict.fromkeys(names), "undefined": dict.fromkeys(names, NOT_KNOWN)}
    total, square = float(y.sum()), float((y**2).sum())
    surplus = float(error.sum() if energy is None else (np.asarray(energy, np.float64)[known] - y).sum())
    kwh = step_seconds / JOULES
    undefined = {} if total > 0 else dict.fromkeys(("sae", "energy_error_share"), "the device uses no energy")
    return {
        "mae": float(np.abs(error).mean()),
        "rmse": float(np.sqrt((error**2).mean())),
        "sae": abs(surplus) / total if total > 0 else None,
        "nde": float((error**2).sum()) / square if square > 0 else None,
        "energy_kwh": total * kwh,
        "estimated_kwh": (total + surplus) * kwh,
        "energy_error_kwh": surplus * kwh,
        "energy_error_share": surplus / total if total > 0 else None,
        "undefined": undefined if square > 0 else undefined | {"nde": "the device uses no energy"},
    }


def energy_by_day(power: np.ndarray, days: np.ndarray, step_seconds: float) -> tuple[np.ndarray, np.ndarray]:
    """The days [D] that steps `days [n]` (whole numbers) fall into, and kWh [K, D] of power `[K, n]`; NaN counts 0."""
    found, which = np.unique(days, return_inverse=True)
    watts = np.nan_to_num(power, nan=0.0)
    kwh = [np.bincount(which, each, minlength=len(found)) * (step_seconds / JOULES) for each in watts]
    return found, np.stack(kwh)
