"""Every metric of forecasts: errors on both scales, against the seasonal-naive error, and of the intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import metrics
from tasks.forecast import intervals
from tasks.forecast.levels import Levels, by_series, covers
from tasks.forecast.scale import described
from tasks.predictions import EvalContext, Predictions


def pinball(truth: np.ndarray, pred: np.ndarray, levels: Levels) -> float | None:
    """The mean pinball loss over the levels that were asked for, of truth [n, K, H] and pred [n, K * Q, H]."""
    return metrics.pinball(truth, levels.shown(pred, truth.shape[1]), levels.asked)


@dataclass(frozen=True)
class Scored:
    """Forecasts whose truth is known, and what their metrics are relative to.

    scored : truth [n, K, H] and pred [n, K * Q, H], standardised.
    scale : [N, K], the seasonal-naive error of each series and channel.
    size : [n, K], how large the margins of each window's series are (`Levels.band`), or None.
    """

    scored: Predictions
    levels: Levels
    calibration: Mapping[str, Any]
    eval_context: EvalContext
    scale: np.ndarray
    size: np.ndarray | None

    def report(self, mean: Sequence[float], std: Sequence[float], period: int) -> dict[str, Any]:
        """The metrics by name; `mean` and `std` [K] are the scale of training, `period` is the lag of MASE."""
        (truth, pred), names = self.scored.judged(), self.eval_context.names
        point, rows = self.levels.point(pred, len(names)), self.scored.index.rows()
        found = metrics.forecast_metrics(truth, point, names, mean=mean, std=std)
        scaled = metrics.scaled_errors(truth, point, rows, self.scale)
        found["mase"] = metrics.known_mean(scaled)
        for k, name in enumerate(names):
            found["original"]["per_channel"][name]["mase"] = metrics.known_mean(scaled[:, k])
        found["mase_scale"] = described(self.eval_context, self.scale, rows, period)
        if self.levels.asked:
            found["pinball"] = pinball(truth, pred, self.levels)
        score = intervals.crps(truth, pred, self.levels, self.calibration, self.size)
        scores = None if score is None else metrics.scaled_errors(score, 0 * score, rows, self.scale)
        found["crps"] = None if scores is None else metrics.known_mean(scores)
        return found | self._interval(truth, pred, std) | _made_up(truth) | self._at_floor(point)

    def _at_floor(self, point: np.ndarray) -> dict[str, Any]:
        """The share of point forecasts [n, K, H] that --floor holds up; {} without it."""
        if not self.levels.least:
            return {}
        share = float((point <= np.asarray(self.levels.least, point.dtype)[:, None]).mean())
        return {"floor": {"share": share, "in_words": f"--floor holds up {100 * share:.3g} % of the forecasts"}}

    def _interval(self, truth: np.ndarray, pred: np.ndarray, std: Sequence[float]) -> dict[str, Any]:
        """What the intervals cover; {} where there are none."""
        names, rows, calibration = self.eval_context.names, self.scored.index.rows(), self.calibration
        band = self.levels.band(pred, calibration, len(names), self.size)
        if band is None:
            return {}
        found = metrics.interval_metrics(truth, *band, names, std)
        found |= {"nominal": calibration["coverage"], "chosen_on": calibration.get("chosen_on", "val")}
        found["by_series"] = by_series(truth, band, rows, self.eval_context.series.rows)
        return {"interval": found | {"in_words": covers(found)}}


def _made_up(truth: np.ndarray) -> dict[str, Any]:
    """The share of truths that were made up; {} where none were."""
    unknown = float(np.isnan(truth).mean())
    if not unknown:
        return {}
    words = f"{100 * unknown:.3g} % of the values to forecast were made up to fill gaps: they are not scored"
    return {"made_up": {"share": unknown, "in_words": words}}
