"""The plots of a disaggregation, from its timeline: of several houses the one in which most is going on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tasks.nilm import viz
from tasks.nilm.features import DAY, seconds_of
from tasks.nilm.metrics import energy_by_day, f1_curve
from tasks.nilm.timeline import Timeline, kpis
from tasks.predictions import EvalContext

SHOWN_SECONDS = 6 * 3600


def draw(
    folder: Path,
    eval_context: EvalContext,
    line: Timeline,
    on: np.ndarray,
    tau: Sequence[float],
    length: int,
    title: str,
) -> None:
    """Write summary.png where the truth is known, timelines.png, energy.png, and window.png of a window of `length`."""
    _draw_window(folder, eval_context, line, on, length, title)
    series, names, seconds = eval_context.series, eval_context.names, seconds_of(eval_context.series)
    assert series.clock is not None and series.time is not None
    if line.on is not None:
        taus = np.linspace(0.02, 0.98, 49)
        curves = {name: (taus, f1_curve(line.on[k], line.score[k], taus)) for k, name in enumerate(names)}
        viz.summary(kpis(line, on, tau, eval_context)["devices"], curves, folder / "summary.png", title)
    row, steps = busiest(line, on if line.on is None else line.on, round(SHOWN_SECONDS / seconds))
    if len(np.unique(line.rows)) > 1:
        title = f"{title}, {series.rows[row]}"
    truth, watts = (None if part is None else on_axis(line, part, steps) for part in (line.on, line.true_watts))
    score, states, estimate = (on_axis(line, part, steps) for part in (line.score, on, line.watts * on))
    traces = [
        viz.Trace(
            name=name,
            on=None if truth is None else truth[k],
            score=score[k],
            predicted=states[k],
            tau=tau[k],
            watts=None if watts is None else watts[k],
            estimate=estimate[k],
        )
        for k, name in enumerate(names)
    ]
    times = series.clock.wall(series.time[steps]).astype("datetime64[ns]")
    viz.timelines(times, series.values[0, steps], traces, folder / "timelines.png", series.clock.tz, title)
    house = line.rows == row
    days = series.clock.wall(series.time[line.at[house]]) // DAY
    found, kwh = energy_by_day((line.watts * on)[:, house], days, seconds)
    true_kwh = None
    if line.true_watts is not None:
        true_kwh = energy_by_day(line.true_watts[:, house], days, seconds)[1]
        true_kwh[np.isnan(line.true_watts[:, house]).all(axis=1)] = np.nan
    viz.energy(found.astype("datetime64[D]"), kwh, names, folder / "energy.png", true_kwh, title)


def _draw_window(
    folder: Path, eval_context: EvalContext, line: Timeline, on: np.ndarray, length: int, title: str
) -> None:
    """Write window.png: the meter, the truth and the prediction of one device over one window, in one axes.

    It is the window in which most is going on, and the device that uses most energy in it.
    """
    series = eval_context.series
    assert series.clock is not None and series.time is not None
    row, steps = busiest(line, on if line.on is None else line.on, length)
    estimate = on_axis(line, line.watts * on, steps)
    truth = None if line.true_watts is None else on_axis(line, line.true_watts, steps)
    k = int(np.nansum(estimate if truth is None else truth, axis=1).argmax())
    times = series.clock.wall(series.time[steps]).astype("datetime64[ns]")
    place = f", {series.rows[row]}" if len(series.rows) > 1 else ""
    shown = None if truth is None else truth[k]
    where = f"{title}{place}"
    viz.window(times, series.values[0, steps], eval_context.names[k], shown, estimate[k], folder / "window.png", where)


def busiest(line: Timeline, states: np.ndarray, length: int) -> tuple[int, slice]:
    """The house, and the `length` steps of the flat axis within it, in which most devices of `states` [K, n] run."""
    best = -1.0
    for row in np.unique(line.rows).tolist():
        at = line.at[line.rows == row]
        whole = slice(int(at[0]), int(at[-1]) + 1)
        axis = on_axis(line, states, whole)
        part = viz.busy_stretch(axis, length)
        score = float(np.log1p(np.nansum(axis[:, part], axis=1)).sum())
        if score > best:
            best, house, steps = score, row, slice(whole.start + part.start, whole.start + part.stop)
    return house, steps


def on_axis(line: Timeline, values: np.ndarray, steps: slice) -> np.ndarray:
    """Values [K, n] of a timeline at each of the `steps` of the flat time axis, float32 [K, steps]; NaN in gaps."""
    axis = np.full((len(values), steps.stop - steps.start), np.nan, np.float32)
    chosen = slice(*np.searchsorted(line.at, (steps.start, steps.stop)))
    axis[:, line.at[chosen] - steps.start] = values[:, chosen]
    return axis
