"""Quantile levels in predictions, the point forecast among them, and calibrated intervals around them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from errors import CheckpointError
from tasks.forecast.growth import reaching

Band = tuple[np.ndarray, np.ndarray]
CENTRAL = 0.5
CHOSEN_ON = {
    "val": "validation, as the choice of the model does",
    "backtests": "backtests before the scored part, as the weights of the members do",
}
FEW_SERIES = 1000  # up to so many, the summary lists the coverage of each
WORST = 10  # of more series, those that are listed


def with_median(asked: Sequence[float]) -> tuple[float, ...]:
    """The levels that a model learns: those asked for, and the median where they lack it, for the point forecast."""
    return tuple(sorted({*asked, CENTRAL})) if asked else ()


@dataclass(frozen=True)
class Levels:
    """How Q quantile levels are ordered in predictions [n, K * Q, H]: those of the first target, then of the next.

    A prediction of K rows is a point forecast, whatever the levels: of a reference, or of a model without levels.

    values : the Q levels of the model, rising.
    asked : those of --quantiles, which are shown and scored.
    least : the lowest value of each of K targets, standardised, below which no interval reaches; () for none.
    asked_least : it is that of --floor, not the data's own zero.
    """

    values: tuple[float, ...]
    asked: tuple[float, ...]
    least: tuple[float, ...] = ()
    asked_least: bool = True

    def __post_init__(self) -> None:
        if lacking := set(self.asked) - set(self.values):
            raise CheckpointError(f"the file is damaged: its model has no level {min(lacking):g}", where="--ckpt")

    @property
    def middle(self) -> int:
        """The number of the level nearest to 0.5: 0.5 itself, but for models that did not learn it."""
        return min(range(len(self.values)), key=lambda q: abs(self.values[q] - CENTRAL))

    def point(self, pred: np.ndarray, outputs: int) -> np.ndarray:
        """The point forecast [n, K, H] of predictions [n, K * Q, H] or [n, K, H]; `outputs` is K.

        Of a model without the level 0.5 it lies between the two levels around it, or is the nearest one.
        """
        if pred.shape[1] == outputs:
            return pred
        values, q = self.values, len(self.values)
        below = sum(level <= CENTRAL for level in values) - 1
        if values[self.middle] == CENTRAL or not 0 <= below < q - 1:
            return pred[:, self.middle :: q]
        part = (CENTRAL - values[below]) / (values[below + 1] - values[below])
        between: np.ndarray = (1 - part) * pred[:, below::q] + part * pred[:, below + 1 :: q]
        return between.astype(pred.dtype, copy=False)

    def shown(self, pred: np.ndarray, outputs: int) -> np.ndarray:
        """The levels asked for, [n, K * len(asked), H]; of a point forecast [n, K, H] itself, once for each level."""
        if pred.shape[1] == outputs:
            return np.repeat(pred, len(self.asked), axis=1)
        q = len(self.values)
        rows = [k * q + self.values.index(level) for k in range(outputs) for level in self.asked]
        return pred[:, rows]

    def is_point(self, rows: int, outputs: int) -> bool:
        """Whether predictions of so many rows have one value for both ends of an interval; `outputs` is K."""
        return rows == outputs or len(self.asked) < 2

    def ends(self, pred: np.ndarray, outputs: int) -> Band:
        """(low, high), each [n, K, H], that an interval is calibrated from: the outer levels, or twice the forecast."""
        if self.is_point(pred.shape[1], outputs):
            point = self.point(pred, outputs)
            return point, point
        return pred[:, 0 :: len(self.values)], pred[:, len(self.values) - 1 :: len(self.values)]

    def band(
        self, pred: np.ndarray, calibration: Mapping[str, Any], outputs: int, size: np.ndarray | None
    ) -> Band | None:
        """The calibrated interval (low, high), each [n, K, H]; None where there was nothing to calibrate on.

        `size` [n, K] is how large the margins of each window's series are beside the usual one (`sizes`); None: alike.
        """
        if "margin" not in calibration:
            return None
        margin = reaching(calibration["margin"].numpy(), pred.shape[2])
        low, high = self.ends(pred, outputs)
        margin = margin if size is None else margin * size[:, :, None].astype(np.float32)
        middle = (low + high) / 2  # beyond which a margin below 0 does not draw the ends
        low, high = np.minimum(low - margin, middle), np.maximum(high + margin, middle)
        if not self.least:
            return low, high
        least = np.asarray(self.least, np.float32)[:, None]
        return np.maximum(low, least), np.maximum(high, least)


def in_units(calibration: Mapping[str, Any], std: Sequence[float]) -> dict[str, Any]:
    """A calibration for another program: margins and scales in the units of channels of deviation `std` [K]."""
    found = {name: value for name, value in calibration.items() if name != "deciles"}
    if "margin" in found:
        found["margin"] = (found["margin"].numpy() * np.array(std)[:, None]).tolist()
    return found | ({"scale": (np.asarray(found["scale"]) * std).tolist()} if "scale" in found else {})


def usual(scale: np.ndarray) -> list[float]:
    """The usual scale of each channel [K] out of those of N series [N, K]; 1 for one in which nothing ever changes."""
    known = np.where(scale > 0, scale, np.nan)
    return [1.0 if np.isnan(column).all() else float(np.nanmean(column)) for column in known.T]


def sizes(scale: np.ndarray, reference: Sequence[float]) -> np.ndarray:
    """The scale [n, K] at each of n windows over the usual one [K]: [n, K]; 1 where there is none."""
    size = scale / np.asarray(reference)
    fair: np.ndarray = np.where(size > 0, size, 1.0)
    return fair


class SeriesCoverage:
    """The coverage of each of N series, of windows that come some at a time; `names` are theirs."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._covered, self._count = np.zeros(len(names)), np.zeros(len(names))

    def add(self, truth: np.ndarray, band: Band, rows: np.ndarray) -> None:
        """Add windows [m, K, H] of `rows` [m]; NaN in truth does not count."""
        known = ~np.isnan(truth)
        inside = ((truth >= band[0]) & (truth <= band[1])).sum(axis=(1, 2))
        self._covered += np.bincount(rows, inside, minlength=len(self._names))
        self._count += np.bincount(rows, known.sum(axis=(1, 2)), minlength=len(self._names))

    def report(self) -> dict[str, Any]:
        """All of them, or of very many the range and the worst ones."""
        there = np.flatnonzero(self._count)
        found = {self._names[row]: float(self._covered[row] / self._count[row]) for row in there.tolist()}
        values = sorted(found.values())
        if not values:
            return {}
        told = {"least": values[0], "median": float(np.median(values)), "most": values[-1]}
        worst = sorted(found, key=lambda name: found[name])[:WORST]
        return told | {"of": found if len(found) <= FEW_SERIES else {name: found[name] for name in worst}}


def covers(interval: Mapping[str, Any]) -> str:
    """The coverage of intervals beside what it should be, in words: for the table."""
    if interval["coverage"] is None or interval["nominal"] is None:
        return ""
    words = f"{_percent(interval['nominal'])} intervals cover {100 * interval['coverage']:.1f} %"
    series = interval["by_series"]
    if len(series["of"]) > 1:
        words += f" ({100 * series['least']:.1f} to {100 * series['most']:.1f} % of each series)"
    return f"{words}; their margins come from {CHOSEN_ON.get(interval.get('chosen_on') or 'val', 'elsewhere')}"


def legend(calibration: Mapping[str, Any], interval: Mapping[str, Any]) -> str:
    """What the legend of a plot says of the band: its nominal coverage, and what it covers where that is known."""
    if "margin" not in calibration:
        return ""
    covered = interval.get("coverage")
    told = "" if covered is None else f", covers {100 * covered:.0f} %"
    return f"{_percent(calibration['coverage'])} interval{told}"


def _percent(share: float) -> str:
    return f"{100 * share:.4g} %"
