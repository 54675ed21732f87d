"""The plots of a disaggregation, from its timeline: of several houses the one in which most is going on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from tasks.nilm import viz
from tasks.nilm.busy import SHOWN_SECONDS, busiest, on_axis
from tasks.nilm.features import DAY, seconds_of
from tasks.nilm.metrics import energy_by_day
from tasks.nilm.timeline import Decided, Timeline, kpis
from tasks.predictions import EvalContext
from viz import save

SECOND = 10**9  # ns
STRETCHES = 3  # in a picture, of SHOWN_SECONDS in all
THRESHOLDS, FEWER = 24, 9  # of a curve; fewer on long timelines
LONG = 1_000_000  # steps of all devices


def draw(
    folder: Path,
    eval_context: EvalContext,
    decided: Decided,
    states_at: Callable[[Sequence[float]], np.ndarray],
    length: int,
    title: str,
) -> None:
    """Write summary.png where the truth is known, timelines.png, energy.png, and window.png of a window of `length`.

    `states_at` gives the states [T, K, n] that each of T thresholds for all devices would say.
    """
    _draw_window(folder, eval_context, decided, length, title)
    if decided.line.on is not None:
        devices = kpis(decided, eval_context)["devices"]
        figure = viz.summary_figure(devices, curves(eval_context.names, decided, states_at), title)
        save(figure, folder / "summary.png")
    _draw_stretches(folder, eval_context, decided, title)
    _draw_energy(folder, eval_context, decided, title)


def curves(
    names: Sequence[str], decided: Decided, states_at: Callable[[Sequence[float]], np.ndarray]
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """{device: (thresholds, F1 at each)}, of the states that a run with that threshold would say, tau among them."""
    line, on, tau = decided.line, decided.on, decided.tau
    assert line.on is not None
    grid = np.linspace(0.02, 0.98, THRESHOLDS if line.score.size < LONG else FEWER)
    tried = states_at(grid.tolist())
    found = {}
    for k, name in enumerate(names):
        taus, order = np.unique([*grid, tau[k]], return_index=True)
        said = [states[k] for states in (*tried, on)]
        found[name] = taus, np.array([_f1(line.on[k], said[n]) for n in order.tolist()])
    return found


def _f1(truth: np.ndarray, states: np.ndarray) -> float:
    """F1 over the steps [n] whose truth is known; NaN where it is never on."""
    known = ~np.isnan(truth)
    true, said = truth[known] == 1, states[known] == 1
    return float(2 * (said & true).sum() / (said.sum() + true.sum())) if true.any() else float("nan")


def _draw_stretches(folder: Path, eval_context: EvalContext, decided: Decided, title: str) -> None:
    """Write timelines.png: the stretches in which most is going on, of different thirds of the time, or houses."""
    line, on, tau = decided.line, decided.on, decided.tau
    series, names = eval_context.series, eval_context.names
    assert series.clock is not None and series.time is not None
    shown = max(round(SHOWN_SECONDS / seconds_of(series)) // STRETCHES, 2)
    truth = on if line.on is None else line.on
    parts: dict[str, slice] = {}
    steps: list[np.ndarray] = []
    for row, each in stretches(line, truth, shown):
        begin = sum(map(len, steps))
        steps.append(np.arange(each.start, each.stop))
        day = series.clock.show(series.time[each.start : each.start + 1])[0][:16]
        house = f"{series.rows[row]}, " if series.n_rows > 1 else ""
        parts[f"{house}from {day}"] = slice(begin, begin + len(steps[-1]))
    at = np.concatenate(steps)

    def seen(values: np.ndarray | None) -> np.ndarray | None:
        if values is None:
            return None
        return np.concatenate([on_axis(line, values, slice(int(s[0]), int(s[-1]) + 1)) for s in steps], axis=1)

    known, watts, score, states, estimate = map(seen, (line.on, line.true_watts, line.score, on, decided.watts))
    assert score is not None and states is not None and estimate is not None
    traces = [
        viz.Trace(
            name=name,
            on=None if known is None else known[k],
            score=score[k],
            predicted=states[k],
            tau=tau[k],
            watts=None if watts is None else watts[k],
            estimate=estimate[k],
        )
        for k, name in enumerate(names)
    ]
    times = series.clock.wall(series.time[at]).astype("datetime64[ns]")
    zone = series.clock.tz
    save(viz.timelines_figure(times, series.values[0, at], traces, zone, title, parts), folder / "timelines.png")


def stretches(line: Timeline, states: np.ndarray, length: int) -> list[tuple[int, slice]]:
    """A few stretches of `length` steps, as (house, steps of the flat axis): the busiest of each part of the time.

    The parts are houses, or of fewer houses than STRETCHES equal parts of their time.
    """
    houses = np.unique(line.rows)
    each = -(-STRETCHES // len(houses))
    found = []
    for house in houses[:STRETCHES].tolist():
        here = np.flatnonzero(line.rows == house)
        count = max(min(each, len(here) // max(length, 1)), 1)
        for part in np.array_split(here, count):
            one = replace(line, at=line.at[part], rows=line.rows[part])
            found.append(busiest(one, states[:, part], length))
    return found[:STRETCHES]


def _draw_energy(folder: Path, eval_context: EvalContext, decided: Decided, title: str) -> None:
    """Write energy.png, of several houses that in which most is going on."""
    line, on = decided.line, decided.on
    series, names, seconds = eval_context.series, eval_context.names, seconds_of(eval_context.series)
    assert series.clock is not None and series.time is not None
    row, _ = busiest(line, on if line.on is None else line.on, round(SHOWN_SECONDS / seconds))
    if len(np.unique(line.rows)) > 1:
        title = f"{title}, {series.rows[row]}"
    house = line.rows == row
    days = series.clock.wall(series.time[line.at[house]]) // DAY
    found, kwh = energy_by_day(decided.energy[:, house], days, seconds)
    share = np.unique(days, return_counts=True)[1] * seconds * SECOND / DAY
    true_kwh = None
    if line.true_watts is not None:
        true_kwh = energy_by_day(line.true_watts[:, house], days, seconds)[1]
        true_kwh[np.isnan(line.true_watts[:, house]).all(axis=1)] = np.nan
    figure = viz.energy_figure(found.astype("datetime64[D]"), kwh, names, true_kwh, title, share)
    save(figure, folder / "energy.png")


def _draw_window(folder: Path, eval_context: EvalContext, decided: Decided, length: int, title: str) -> None:
    """Write window.png: the meter, the truth and the prediction of one device over one window, in one axes.

    It is the window in which most is going on, and the device that uses most energy in it.
    """
    series, line = eval_context.series, decided.line
    assert series.clock is not None and series.time is not None
    row, steps = busiest(line, decided.on if line.on is None else line.on, length)
    estimate = on_axis(line, decided.watts, steps)
    truth = None if line.true_watts is None else on_axis(line, line.true_watts, steps)
    k = int(np.nansum(estimate if truth is None else truth, axis=1).argmax())
    times = series.clock.wall(series.time[steps]).astype("datetime64[ns]")
    place = f", {series.rows[row]}" if len(series.rows) > 1 else ""
    shown = None if truth is None else truth[k]
    where = f"{title}{place}"
    figure = viz.window_figure(times, series.values[0, steps], eval_context.names[k], shown, estimate[k], where)
    save(figure, folder / "window.png")
