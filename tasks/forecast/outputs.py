"""The files and pictures of forecasts: what comes next as a table, scored windows as arrays, both as pictures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from config import exact
from data import Series
from rundir import write_csv
from tasks.base import EvalContext, Predictions

if TYPE_CHECKING:
    from tasks.forecast.viz import Panel

SHOWN_WINDOWS = 4
Band = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Levels:
    """How Q quantile levels lie in predictions [n, K * Q, H]: those of the first target, then of the next.

    A prediction of K rows is a point forecast, whatever the levels: that of a reference, or of a model without them.
    """

    values: tuple[float, ...]

    @property
    def middle(self) -> int:
        """The level that stands for the forecast: the one nearest to a half."""
        return min(range(len(self.values)), key=lambda q: abs(self.values[q] - 0.5))

    def point(self, pred: np.ndarray, outputs: int) -> np.ndarray:
        """The forecast [n, K, H]."""
        return pred if pred.shape[1] == outputs else pred[:, self.middle :: len(self.values)]

    def ends(self, pred: np.ndarray, outputs: int) -> Band:
        """What an interval is calibrated from: the outer levels, or twice the forecast."""
        if pred.shape[1] == outputs or len(self.values) < 2:
            point = self.point(pred, outputs)
            return point, point
        return pred[:, 0 :: len(self.values)], pred[:, len(self.values) - 1 :: len(self.values)]

    def band(self, pred: np.ndarray, calibration: Mapping[str, Any], outputs: int) -> Band | None:
        """The calibrated interval; None where nothing was there to calibrate on."""
        if "margin" not in calibration:
            return None
        margin = calibration["margin"].numpy()
        low, high = self.ends(pred, outputs)
        return low - margin, high + margin


def unscaled(value: np.ndarray, fitted: Mapping[str, Any], k: int) -> np.ndarray:
    """One channel's standardised values in its own unit, float64."""
    raw: np.ndarray = value.astype(np.float64) * fitted["std"][k] + fitted["mean"][k]
    return raw


def write_ahead(
    path: Path, eval_context: EvalContext, levels: Levels, calibration: Mapping[str, Any], ahead: Predictions
) -> None:
    """forecast.csv: the steps after each row's end, in the channels' own units; `row` where there are several."""
    row = ["row"] if eval_context.series.n_rows > 1 else []
    step = "date" if eval_context.series.clock is not None else "step"
    ends = ["low", "high"] if "margin" in calibration else []
    header = [*row, step, "channel", "value", *(f"q{exact(level)}" for level in levels.values), *ends]
    write_csv(path, header, _lines(eval_context, levels, calibration, ahead))


def _lines(
    eval_context: EvalContext, levels: Levels, calibration: Mapping[str, Any], ahead: Predictions
) -> Iterator[Sequence[Any]]:
    series, outputs, q = eval_context.series, len(eval_context.names), len(levels.values)
    band, point = levels.band(ahead.pred, calibration, outputs), levels.point(ahead.pred, outputs)
    for n, row in enumerate(ahead.index.rows()):
        dates = _dates(series, int(row), ahead.index.horizon)
        who = [series.rows[row]] if series.n_rows > 1 else []
        for k, name in enumerate(eval_context.names):
            shown = [point[n, k], *ahead.pred[n, k * q : (k + 1) * q]] + [end[n, k] for end in band or ()]
            values = [unscaled(part, eval_context.fitted, k) for part in shown]
            for h, date in enumerate(dates):
                yield *who, date, name, *(f"{value[h]:.7g}" for value in values)


def _dates(series: Series, row: int, steps: int) -> list[str]:
    """The `steps` after a row's end as text: dates where there is a clock, else the step's number within its row."""
    if series.clock is None or series.time is None:
        length = int(series.lengths[row])
        return [str(length + step) for step in range(steps)]
    return series.clock.show(series.clock.extend(int(series.time[series.offsets[row + 1] - 1]), steps))


def write_scored(
    path: Path, eval_context: EvalContext, levels: Levels, calibration: Mapping[str, Any], scored: Predictions
) -> None:
    """preds.npz: pred, truth, low, high [n, K, H] in the channels' own units; `row`, `channel`; `time` of the target's
    first step (ns since 1970 where there are dates, else its number within the row)."""
    outputs, index, series = len(eval_context.names), scored.index, eval_context.series
    parts = {"pred": levels.point(scored.pred, outputs)} | ({} if scored.truth is None else {"truth": scored.truth})
    band = levels.band(scored.pred, calibration, outputs)
    parts |= {} if band is None else {"low": band[0], "high": band[1]}
    mean, std = (np.asarray(eval_context.fitted[key])[:, None] for key in ("mean", "std"))
    arrays = {name: (part * std + mean).astype(np.float32) for name, part in parts.items()}
    rows, at = index.rows(), index.targets()
    arrays["time"] = at - series.offsets[rows] if series.time is None else series.time[at]
    part = path.with_name("preds.part.npz")
    np.savez_compressed(part, row=np.array(series.rows)[rows], channel=np.array(eval_context.names), **arrays)
    part.replace(path)


def panels(
    eval_context: EvalContext, levels: Levels, calibration: Mapping[str, Any], drawn: Predictions
) -> list[Panel]:
    """A few windows, evenly spread, the channels taking turns; of fewer windows, several channels."""
    from tasks.forecast.viz import Panel

    outputs, series = len(eval_context.names), eval_context.series
    made = []
    for at, k in _chosen(len(drawn.pred), outputs):
        start, row = drawn.index.starts()[at], drawn.index.rows()[at]
        one = drawn.pred[at : at + 1]
        band = levels.band(one, calibration, outputs)
        context = eval_context.scaled[eval_context.target_channels[k], start : start + drawn.index.length]
        low, high = (None, None) if band is None else (unscaled(end[0, k], eval_context.fitted, k) for end in band)
        who = f"{series.rows[row]}: " if series.n_rows > 1 else ""
        made.append(
            Panel(
                channel=who + eval_context.names[k],
                context=unscaled(context, eval_context.fitted, k),
                prediction=unscaled(levels.point(one, outputs)[0, k], eval_context.fitted, k),
                truth=None if drawn.truth is None else unscaled(drawn.truth[at, k], eval_context.fitted, k),
                low=low,
                high=high,
                times=_window_times(series, int(row), int(start), drawn.index.length, drawn.index.horizon),
            )
        )
    return made


def _chosen(windows: int, outputs: int) -> list[tuple[int, int]]:
    """Which window and channel each panel shows."""
    if windows < SHOWN_WINDOWS:
        pairs = [(window, k) for window in range(windows) for k in range(outputs)]
        picks = np.unique(np.linspace(0, len(pairs) - 1, SHOWN_WINDOWS).astype(int))
        return [pairs[pick] for pick in picks]
    spread = np.linspace(0, windows - 1, 2 * SHOWN_WINDOWS + 1).astype(int)[1::2]
    return [(int(at), round(i * (outputs - 1) / (SHOWN_WINDOWS - 1))) for i, at in enumerate(spread)]


def _window_times(series: Series, row: int, start: int, length: int, horizon: int) -> np.ndarray | None:
    times = series.times(row, horizon)
    if times is None:
        return None
    begin = start - int(series.offsets[row])
    return times[begin : begin + length + horizon].astype("datetime64[ns]")
