"""Sums that the metrics of forecasts are made of, of windows that come some at a time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

BLOCK = 256  # windows whose errors are held in float64 at once


class ForecastSums:
    """Errors of forecasts, of windows that come some at a time, summed in float64.

    Over all windows, channels and steps whose truth is known (not NaN).

    Parameters
    ----------
    names : the K channels.
    mean, std : `[K]`, the scale of each channel: original value = standardised value * std + mean.
    """

    def __init__(self, names: Sequence[str], mean: Sequence[float], std: Sequence[float]) -> None:
        self.names, self.n = names, 0
        self._centre, self._scale = (np.asarray(part, np.float64)[:, None] for part in (mean, std))
        self._sums: np.ndarray | None = None  # [4, K, H]: known, squares, sizes, relative sizes

    def add(self, truth: np.ndarray, pred: np.ndarray) -> None:
        """Add standardised windows `[m, K, H]`."""
        if truth.shape != pred.shape or truth.ndim != 3:
            raise ValueError(f"truth {truth.shape} and pred {pred.shape} must both be [n, K, H]")
        if self._sums is None:
            self._sums = np.zeros((4, *truth.shape[1:]))
        self.n += len(truth)
        count, square, absolute, relative = self._sums
        for begin in range(0, len(truth), BLOCK):
            y, p = (part[begin : begin + BLOCK].astype(np.float64) for part in (truth, pred))
            known = ~np.isnan(y)
            y = np.where(known, y, p)  # an error of 0, which does not count
            error = np.abs(p - y)
            count += known.sum(axis=0)
            square += (error**2).sum(axis=0)
            absolute += error.sum(axis=0)
            size = np.abs(y * self._scale + self._centre) + np.abs(p * self._scale + self._centre)
            relative += np.divide(200 * self._scale * error, size, out=np.zeros_like(error), where=size > 0).sum(axis=0)

    def report(self) -> dict[str, Any]:
        """n; mse, mae, rmse of standardised values over windows, channels and steps, with `per_channel` and `per_step`;
        `original`: the same in the data's units with smape = mean of 200 |e| / (|y| + |p|) in per cent (0 where both
        are 0). None where no truth is known.
        """
        assert self._sums is not None, "no windows"
        (count, square, absolute, relative), scale, names = self._sums, self._scale, self.names
        original: dict[str, Any] = _errors(square * scale**2, absolute * scale, count, names)
        original["smape"] = _ratio(relative, count)
        for k, name in enumerate(names):
            original["per_channel"][name]["smape"] = _ratio(relative[k], count[k])
        return {"n": self.n, **_errors(square, absolute, count, names), "original": original}


def _ratio(total: np.ndarray, count: np.ndarray) -> float | None:
    """The mean of what was summed and counted `[...]`; None where nothing was."""
    return float(total.sum() / count.sum()) if count.sum() else None


def _errors(square: np.ndarray, absolute: np.ndarray, count: np.ndarray, names: Sequence[str]) -> dict[str, Any]:
    """Sums of squared and absolute errors `[K, H]` as figures: over all, by channel, by step ahead."""

    def three(part: Any) -> dict[str, float | None]:
        mse = _ratio(square[part], count[part])
        mae, rmse = _ratio(absolute[part], count[part]), None if mse is None else math.sqrt(mse)
        return {"mse": mse, "mae": mae, "rmse": rmse}

    steps = [three((slice(None), h)) for h in range(count.shape[1])]
    return three(...) | {
        "per_channel": {name: three(k) for k, name in enumerate(names)},
        "per_step": {name: [step[name] for step in steps] for name in ("mse", "mae", "rmse")},
    }


class SeriesErrors:
    """The mean absolute error of each series and channel over its scale, for MASE; windows come some at a time.

    `scale` is `[N, K]`, in the unit of the errors.
    """

    def __init__(self, scale: np.ndarray) -> None:
        self._scale, self._total, self._count = scale, np.zeros_like(scale), np.zeros_like(scale)

    def add(self, rows: np.ndarray, error: np.ndarray) -> None:
        """Add absolute errors [m, K, H] of windows of `rows` [m]; NaN does not count."""
        np.add.at(self._total, rows, np.nansum(error, axis=2))
        np.add.at(self._count, rows, (~np.isnan(error)).sum(axis=2))

    def scaled(self) -> np.ndarray:
        """`[N, K]`; NaN where the scale is NaN or 0, and where a series has no known truth."""
        fair, count = (self._count > 0) & (self._scale > 0), self._count * self._scale
        scaled: np.ndarray = np.divide(self._total, count, out=np.full_like(self._total, np.nan), where=fair)
        return scaled


def known_mean(values: np.ndarray) -> float | None:
    """The mean of the values that are not NaN; None where there are none."""
    known = values[~np.isnan(values)]
    return float(known.mean(dtype=np.float64)) if known.size else None


def pinball(truth: np.ndarray, pred: np.ndarray, levels: Sequence[float]) -> float | None:
    """The mean pinball loss of `pred [n, K * Q, H]` for `truth [n, K, H]`, see `PinballSums`."""
    sums = PinballSums(levels)
    sums.add(truth, pred)
    return sums.mean()


class PinballSums:
    """The mean pinball loss over Q `levels`, of windows that come some at a time."""

    def __init__(self, levels: Sequence[float]) -> None:
        self._levels, self._totals, self._count = levels, [0.0] * len(levels), 0

    def add(self, truth: np.ndarray, pred: np.ndarray) -> None:
        """Add windows: `truth [m, K, H]`, where NaN does not count, and `pred [m, K * Q, H]`, Q levels a target."""
        known = ~np.isnan(truth)
        self._count += int(known.sum())
        for q, level in enumerate(self._levels):
            error = (truth - pred[:, q :: len(self._levels)])[known]
            self._totals[q] += float(np.sum(np.maximum(level * error, (level - 1) * error), dtype=np.float64))

    def mean(self) -> float | None:
        """None where no truth is known."""
        return sum(total / self._count for total in self._totals) / len(self._levels) if self._count else None


class IntervalSums:
    """Coverage of intervals, and their mean width, of windows that come some at a time."""

    def __init__(self) -> None:
        self.n = 0
        self._inside: Any = 0
        self._known: Any = 0
        self._width: Any = 0.0

    def add(self, truth: np.ndarray, low: np.ndarray, high: np.ndarray) -> None:
        """Add windows `[m, K, H]`; NaN in truth does not count for the coverage."""
        self.n += truth.shape[0] * truth.shape[2]
        self._known = self._known + (~np.isnan(truth)).sum(axis=(0, 2))
        self._inside = self._inside + ((truth >= low) & (truth <= high)).sum(axis=(0, 2))
        self._width = self._width + (high - low).sum(axis=(0, 2), dtype=np.float64)

    def report(self, names: Sequence[str], std: Sequence[float]) -> dict[str, Any]:
        """Over all and for each of the K channels `names`, the width in their units (`std` `[K]`)."""
        width = self._width / self.n * np.asarray(std)
        per_channel = {
            name: {"coverage": _ratio(self._inside[k], self._known[k]), "width": float(width[k])}
            for k, name in enumerate(names)
        }
        return {"coverage": _ratio(self._inside, self._known), "per_channel": per_channel}
