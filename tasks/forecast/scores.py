"""Every metric of forecasts: errors on both scales, against the seasonal-naive error, and of the intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tasks.forecast import intervals, sums
from tasks.forecast.levels import Band, Levels, SeriesCoverage, covers
from tasks.forecast.scale import described
from tasks.predictions import EvalContext, Predictions


def pinball(truth: np.ndarray, pred: np.ndarray, levels: Levels) -> float | None:
    """The mean pinball loss over the levels that were asked for, of truth [n, K, H] and pred [n, K * Q, H]."""
    return sums.pinball(truth, levels.shown(pred, truth.shape[1]), levels.asked)


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
        names, levels = self.eval_context.names, self.levels
        errors, losses = sums.ForecastSums(names, mean, std), sums.PinballSums(levels.asked)
        scaled, ranked = sums.SeriesErrors(self.scale), sums.SeriesErrors(self.scale)
        covered, each, held = sums.IntervalSums(), SeriesCoverage(self.eval_context.series.rows), Held(levels)
        for at, block in self.scored.blocks():
            (truth, pred), rows = block.judged(), block.index.rows()
            point, size = levels.point(pred, len(names)), None if self.size is None else self.size[at]
            errors.add(truth, point)
            scaled.add(rows, np.abs(point.astype(np.float64) - truth))
            losses.add(truth, levels.shown(pred, len(names)))
            score = intervals.crps(truth, pred, levels, self.calibration, size)
            if score is not None:
                ranked.add(rows, np.abs(score.astype(np.float64)))
            band = levels.band(pred, self.calibration, len(names), size)
            held.add(truth, point, band)
            if band is not None:
                covered.add(truth, *band)
                each.add(truth, band, rows)
        found, mase = errors.report(), scaled.scaled()
        found["mase"] = sums.known_mean(mase)
        for k, name in enumerate(names):
            found["original"]["per_channel"][name]["mase"] = sums.known_mean(mase[:, k])
        found["mase_scale"] = described(self.eval_context, self.scale, self.scored.index.row, period)
        found |= {"pinball": losses.mean()} if levels.asked else {}
        found["crps"] = sums.known_mean(ranked.scaled())
        if covered.n:
            interval = covered.report(names, std) | {"nominal": self.calibration["coverage"]}
            interval |= {"chosen_on": self.calibration.get("chosen_on", "val"), "by_series": each.report()}
            found["interval"] = interval | {"in_words": covers(interval)}
        return found | held.report()


class Held:
    """How many of the truths were made up, and how many point forecasts and low ends a floor holds up."""

    def __init__(self, levels: Levels) -> None:
        self._levels = levels
        self._truths = self._unknown = self._held = self._ends = 0

    def add(self, truth: np.ndarray, point: np.ndarray, band: Band | None) -> None:
        """Add windows [m, K, H] and the intervals around them, if any."""
        self._truths, self._unknown = self._truths + truth.size, self._unknown + int(np.isnan(truth).sum())
        if self._levels.least:
            least = np.asarray(self._levels.least, point.dtype)[:, None]
            self._held += int((point <= least).sum())
            self._ends += 0 if band is None else int((band[0] <= least).sum())

    def report(self) -> dict[str, Any]:
        """Both as shares and in words; what there is none of is left out."""
        made_up, share, ends = (count / self._truths for count in (self._unknown, self._held, self._ends))
        found = {}
        if made_up:
            words = f"{100 * made_up:.3g} % of the values to forecast were made up to fill gaps: they are not scored"
            found["made_up"] = {"share": made_up, "in_words": words}
        if self._levels.least and (self._levels.asked_least or share or ends):
            words = f"--floor holds up {100 * share:.3g} % of the forecasts"
            if not self._levels.asked_least:
                held = f"{100 * share:.3g} % of the forecasts and {100 * ends:.3g} % of the low ends"
                words = f"no value of training is below 0, which holds up {held} of intervals; --floor sets another"
            found["floor"] = {"share": share, "ends": ends, "in_words": words}
        return found
