"""What the page of a forecast shows over time: the next steps, and scored forecasts one after the other."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from pages.frames import Frame, Line, Plot, spread
from tasks.courses import MILLISECOND, axis
from tasks.forecast.levels import legend
from tasks.forecast.outputs import ForecastOutputs
from tasks.forecast.reach import cut
from tasks.predictions import PlotInputs, Predictions

MOST_VALUES = 1 << 20  # of the forecasts of a row that are shown one after the other
CONTEXT, LEAST_CONTEXT = 3, 48  # horizons, and steps, that are seen before the first forecast


def frames(outputs: ForecastOutputs, calibration: Mapping[str, Any], shown: PlotInputs, steps: int) -> list[Frame]:
    """A frame a row, for a few of them; of every forecast its first `steps`."""
    found: list[Frame] = []
    interval = legend(calibration, {})
    if shown.ahead is not None:
        ahead = cut(shown.ahead, steps)
        found += [_ahead(outputs, calibration, ahead, n, interval) for n in spread(len(ahead.pred), 4)]
    if shown.scored is not None and len(shown.scored.pred):
        scored = cut(shown.scored, steps)
        rows = np.unique(scored.index.rows())
        some = rows[spread(len(rows), 4 if found else 8)].tolist()
        found += [_scored(outputs, calibration, scored, row, interval) for row in some]
    return found


def _ahead(
    outputs: ForecastOutputs, calibration: Mapping[str, Any], ahead: Predictions, n: int, interval: str
) -> Frame:
    """The forecast after the end of the row of window n, behind the end of what is known."""
    series, horizon = outputs.eval_context.series, ahead.index.horizon
    row, stop = int(ahead.index.rows()[n]), int(ahead.index.starts()[n]) + ahead.index.length
    past = _past(stop, int(series.offsets[row]), horizon)
    at, dated = axis(series, row, past)
    if dated:
        assert series.clock is not None and series.time is not None
        times = series.clock.wall(series.clock.extend(int(series.time[stop - 1]), horizon)) // MILLISECOND
    else:
        times = at[-1] + 1 + np.arange(horizon)
    plots = _plots(outputs, calibration, ahead, np.array([n]), past, interval)
    return Frame(f"{series.rows[row]}: the next {horizon} steps", np.concatenate([at, times]), dated, plots)


def _scored(
    outputs: ForecastOutputs, calibration: Mapping[str, Any], scored: Predictions, row: int, interval: str
) -> Frame:
    """Forecasts of a row that follow one another: each begins where the one before ends."""
    series, index = outputs.eval_context.series, scored.index
    numbers = np.flatnonzero(index.rows() == row)
    target = index.targets()[numbers]
    numbers, target = numbers[np.argsort(target)], np.sort(target)
    chosen, end = [], -1
    for number, begin in zip(numbers.tolist(), target.tolist(), strict=True):
        if begin >= end:
            chosen.append(number)
            end = begin + index.horizon
    most = max(MOST_VALUES // math.prod(scored.pred.shape[1:]), 1)
    picked = np.array(chosen[-most:])
    past = _past(int(index.targets()[picked[0]]), int(series.offsets[row]), index.horizon)
    steps = (index.targets()[picked][:, None] + np.arange(index.horizon)).ravel()
    at, dated = axis(series, row, np.concatenate([past, steps]))
    last = "the last " if len(picked) < len(chosen) else ""
    title = f"{series.rows[row]}: {last}{len(picked):,} forecasts of {index.horizon} steps, one after the other"
    return Frame(title, at, dated, _plots(outputs, calibration, scored, picked, past, interval))


def _past(stop: int, first: int, horizon: int) -> np.ndarray:
    """The steps before `stop` that are shown."""
    return np.arange(max(stop - max(CONTEXT * horizon, LEAST_CONTEXT), first), stop)


def _plots(
    outputs: ForecastOutputs,
    calibration: Mapping[str, Any],
    made: Predictions,
    picked: np.ndarray,
    past: np.ndarray,
    interval: str,
) -> tuple[Plot, ...]:
    """A plot a channel: what is known of it, the forecasts `picked` of `made`, and the interval."""
    context, levels = outputs.eval_context, outputs.levels
    pred, size = made.pred[picked], outputs.size(made.index)
    band = levels.band(pred, calibration, len(context.names), None if size is None else size[picked])
    point, blank = levels.point(pred, len(context.names)), np.full(len(past), np.nan)

    def after(values: np.ndarray, k: int, before: np.ndarray) -> np.ndarray:
        return np.concatenate([before, outputs.unscaled_forecast(values[:, k].ravel(), k)])

    truth, plots = None if made.truth is None else made.truth[picked], []
    for k, name in enumerate(context.names):
        known = outputs.measured(k, past)
        true = np.full(point[:, k].size, np.nan)
        if truth is not None:
            true = outputs.unscaled(truth[:, k].ravel(), k)
        lines = [Line("truth", "truth", np.concatenate([known, true]))]
        lines.append(Line("prediction", "prediction", after(point, k, blank)))
        for look, end in zip(("low", "high"), band or (), strict=False):
            lines.append(Line(look, interval or "interval", after(end, k, blank)))
        plots.append(Plot(name, tuple(lines)))
    return tuple(plots)
