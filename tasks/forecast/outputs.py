"""The files and plots of forecasts: the next steps as a table, scored windows as arrays, both as plots."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from config import exact
from data import Series
from rundir import digits, safe_cell, shortened, write_columns
from tasks.arrays import Arrays
from tasks.forecast import reach
from tasks.forecast.levels import Levels
from tasks.lines import MOST_SHOWN, aligned
from tasks.predictions import EvalContext, Predictions
from times.clock import Clock
from windows import Index

if TYPE_CHECKING:
    from tasks.forecast.viz import Panel

SHOWN_WINDOWS = 4
LOOKED_AT = 20  # windows before and after one, of which it is shown which is known best
MOST_CHANNELS = 3  # of which the next steps are printed


@dataclass(frozen=True)
class ForecastOutputs:
    """Writes and draws forecasts in the units of the channels.

    fitted : with mean and std [K], the scale of training.
    floors : lowest value of a forecast of each of K channels; () for none.
    size : index -> [n, K], how large the margins of each window's series are (`Levels.band`), or None.
    """

    eval_context: EvalContext
    levels: Levels
    fitted: Mapping[str, Any]
    floors: Sequence[float]
    size: Callable[[Index], np.ndarray | None]

    def unscaled(self, value: np.ndarray, k: int) -> np.ndarray:
        """Standardised values of channel k in its unit, float64, of the same shape."""
        raw: np.ndarray = value.astype(np.float64) * self.fitted["std"][k] + self.fitted["mean"][k]
        return raw

    def unscaled_forecast(self, value: np.ndarray, k: int) -> np.ndarray:
        """The same of forecasts, of which those at the floor are the floor, whatever was rounded."""
        if not self.floors:
            return self.unscaled(value, k)
        mean, std, floor = (np.asarray(part[k]) for part in (self.fitted["mean"], self.fitted["std"], self.floors))
        return reach.in_units(value, mean, std, floor)

    def measured(self, k: int, steps: slice | np.ndarray) -> np.ndarray:
        """What channel k was at some steps, in its unit: NaN where it is made up, such as in a gap."""
        context = self.eval_context
        past = self.unscaled(np.asarray(context.scaled[context.target_channels[k], steps]), k)
        filled = None if context.targets is None else context.targets.filled
        return past if filled is None else np.where(filled[k, steps], np.nan, past)

    def write(
        self, folder: Path, calibration: Mapping[str, Any], scored: Predictions | None, ahead: Predictions | None
    ) -> dict[str, list[np.ndarray]]:
        """Write forecast.csv of what comes `ahead`, preds.npz of what is `scored`; returns what `Task.write` does."""
        rows, written = self.eval_context.series.n_rows, {}
        if ahead is not None:
            self.write_ahead(folder / "forecast.csv", calibration, ahead)
            written["forecast.csv"] = [ahead.index.each(rows) * len(self.eval_context.names) * ahead.index.horizon]
        if scored is not None:
            self.write_scored(folder / "preds.npz", calibration, scored)
            written["preds.npz"] = [scored.index.each(rows)]
        return written

    def write_ahead(self, path: Path, calibration: Mapping[str, Any], ahead: Predictions) -> None:
        """Write forecast.csv: the steps after the end of each row, in the units of the channels; `row` if several."""
        write_columns(path, self._header(calibration), self._columns(calibration, ahead))

    def first_lines(self, calibration: Mapping[str, Any], ahead: Predictions) -> list[str]:
        """The next steps as text: the first few of the first channels of the first row."""
        horizon, outputs = ahead.index.horizon, min(len(self.eval_context.names), MOST_CHANNELS)
        each = max(MOST_SHOWN // outputs, 2)
        first = Predictions(ahead.index.between(0, 1), ahead.pred[:1], None)
        every = chain.from_iterable(zip(*columns, strict=True) for columns in self._columns(calibration, first))
        shown = [line for at, line in enumerate(islice(every, outputs * horizon)) if at % horizon < each]
        count = len(ahead.pred) * len(self.eval_context.names) * horizon
        return aligned([self._header(calibration), *shown], f"the next steps ({len(shown)} of {count:,} lines):")

    def _header(self, calibration: Mapping[str, Any]) -> list[str]:
        series = self.eval_context.series
        row = ["row"] if series.several else []
        step = "date" if series.clock is not None else "step"
        ends = ["low", "high"] if "margin" in calibration else []
        return [*row, step, "channel", "value", *(f"q{exact(level)}" for level in self.levels.asked), *ends]

    def _columns(self, calibration: Mapping[str, Any], ahead: Predictions) -> Iterator[list[list[str]]]:
        """The cells of some windows' lines by column, as they are written."""
        size = self.size(ahead.index)
        for windows, block in ahead.blocks():
            own = None if size is None else size[windows]
            yield self._block(calibration, block.index, np.asarray(block.pred), own)

    def _block(
        self, calibration: Mapping[str, Any], index: Index, pred: np.ndarray, size: np.ndarray | None
    ) -> list[list[str]]:
        series, names, levels = self.eval_context.series, self.eval_context.names, self.levels
        outputs, rows, horizon = len(names), index.rows().tolist(), index.horizon
        band = levels.band(pred, calibration, outputs, size)
        shown = levels.shown(pred, outputs).reshape(len(pred), outputs, len(levels.asked), horizon)
        each = [levels.point(pred, outputs), *(shown[:, :, q] for q in range(len(levels.asked))), *(band or ())]
        values = [np.stack([self.unscaled_forecast(part[:, k], k) for k in range(outputs)], axis=1) for part in each]
        figures = np.repeat(digits(values[0], np.asarray(self.fitted["std"])), horizon)
        steps = [_dates(series, row, horizon) for row in rows]
        dates = [date for those in steps for date in those * outputs]
        channels = [name for name in map(safe_cell, names) for _ in range(horizon)] * len(rows)
        ids = [[name for name in (safe_cell(series.rows[row]) for row in rows) for _ in range(outputs * horizon)]]
        return [
            *(ids if series.several else []),
            dates,
            channels,
            *(shortened(part.ravel(), figures) for part in values),
        ]

    def write_scored(self, path: Path, calibration: Mapping[str, Any], scored: Predictions) -> None:
        """Write preds.npz: pred, truth, low, high [n, K, H] in the units of the channels; `row` [n], `channel` [K];
        `time` [n] of the target's first step (ns since 1970 where there are dates, else its number within the row).
        """
        names, index, series = self.eval_context.names, scored.index, self.eval_context.series
        mean, std = (np.asarray(part)[:, None] for part in (self.fitted["mean"], self.fitted["std"]))
        size, n = self.size(index), len(scored.pred)
        with Arrays(path, n) as arrays:
            for windows, block in scored.blocks():
                pred = np.asarray(block.pred)
                parts = {"pred": self.levels.point(pred, len(names))}
                band = self.levels.band(pred, calibration, len(names), None if size is None else size[windows])
                parts |= {} if band is None else {"low": band[0], "high": band[1]}
                for name, part in parts.items():
                    floors = np.array(self.floors)[:, None]
                    arrays.add(name, reach.in_units(part, mean, std, floors) if self.floors else part * std + mean)
                if block.truth is not None:  # as read: standardised, a 0 comes back a little below an interval from 0
                    assert self.eval_context.targets is not None
                    arrays.add("truth", self.eval_context.targets.scored_at(block.index).astype(np.float64))
            rows, at = index.rows(), index.targets()
            arrays.whole("time", at - series.offsets[rows] if series.time is None else series.time[at])
            arrays.whole("row", np.array(series.rows)[rows])
            arrays.whole("channel", np.array(names))

    def panels(self, calibration: Mapping[str, Any], drawn: Predictions) -> list[Panel]:
        """Panels of a few windows, evenly spread, with the channels in turn; of fewer windows, several channels."""
        picks = _chosen(len(drawn.pred), len(self.eval_context.names))
        if drawn.truth is not None and len(drawn.pred) >= SHOWN_WINDOWS:
            picks = [(_best_known(drawn.truth, at, k), k) for at, k in picks]
        return [self._panel(calibration, drawn, at, k) for at, k in picks]

    def draw_errors(self, path: Path, reports: Mapping[str, Any], title: str) -> None:
        """Draw the error of each predictor by step ahead; `reports` are metrics by name, the model's first."""
        from tasks.forecast import viz
        from viz import save

        rows = {name: row["per_step"]["mse"] for name, row in reports.items() if "per_step" in row}
        clock = self.eval_context.series.clock
        curves = {name: np.array(row, float) for name, row in rows.items()}
        save(viz.error_by_step_figure(curves, "MSE, standardised channels", title, str(clock or "")), path)

    def _panel(self, calibration: Mapping[str, Any], drawn: Predictions, at: int, k: int) -> Panel:
        """Window `at` of channel k."""
        from tasks.forecast.viz import Panel

        context, series = self.eval_context, self.eval_context.series
        start, row = int(drawn.index.starts()[at]), int(drawn.index.rows()[at])
        one, size = drawn.pred[at : at + 1], self.size(drawn.index)
        band = self.levels.band(one, calibration, len(context.names), None if size is None else size[at : at + 1])
        low, high = (None, None) if band is None else (self.unscaled(end[0, k], k) for end in band)
        row_id = f"{series.rows[row]}: " if series.n_rows > 1 else ""
        return Panel(
            channel=row_id + context.names[k],
            context=self.measured(k, slice(start, start + drawn.index.length)),
            prediction=self.unscaled(self.levels.point(one, len(context.names))[0, k], k),
            truth=None if drawn.truth is None else self.unscaled(drawn.truth[at, k], k),
            low=low,
            high=high,
            times=_window_times(series, row, start, drawn.index.length, drawn.index.horizon),
        )


def _dates(series: Series, row: int, steps: int) -> list[str]:
    """The `steps` after the end of a row as text: dates where there is a clock, else numbers of steps in the row."""
    if series.clock is None or series.time is None:
        length = int(series.offsets[row + 1] - series.offsets[row])
        return [str(length + step) for step in range(steps)]
    return _dates_after(series.clock, int(series.time[series.offsets[row + 1] - 1]), steps)


@lru_cache(maxsize=1024)  # many series often end at a few times
def _dates_after(clock: Clock, last: int, steps: int) -> list[str]:
    return clock.show(clock.extend(last, steps))


def _chosen(windows: int, outputs: int) -> list[tuple[int, int]]:
    """Which window and channel each panel shows."""
    if windows < SHOWN_WINDOWS:
        pairs = [(window, k) for window in range(windows) for k in range(outputs)]
        picks = np.unique(np.linspace(0, len(pairs) - 1, SHOWN_WINDOWS).astype(int))
        return [pairs[pick] for pick in picks]
    spread = np.linspace(0, windows - 1, 2 * SHOWN_WINDOWS + 1).astype(int)[1::2]
    return [(int(at), round(i * (outputs - 1) / (SHOWN_WINDOWS - 1))) for i, at in enumerate(spread)]


def _best_known(truth: Any, at: int, k: int) -> int:
    """Of the windows around `at`, that of which most of the truth of channel k is known; the nearest of these."""
    reach = len(truth) // (2 * SHOWN_WINDOWS) - 1  # less than to where another panel looks
    near = np.unique(np.clip(np.linspace(at - reach, at + reach, 2 * LOOKED_AT + 1).astype(int), 0, len(truth) - 1))
    near = near[np.argsort(np.abs(near - at), kind="stable")]
    return int(near[np.argmin([np.isnan(truth[window, k]).sum() for window in near])]) if reach > 0 else at


def _window_times(series: Series, row: int, start: int, length: int, horizon: int) -> np.ndarray | None:
    times = series.times(row, horizon)
    if times is None:
        return None
    begin = start - int(series.offsets[row])
    return times[begin : begin + length + horizon].astype("datetime64[ns]")
