"""The plots of a disaggregation, from its timeline."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tasks.nilm import viz
from tasks.nilm.features import DAY, seconds_of
from tasks.nilm.metrics import energy_by_day, f1_curve
from tasks.nilm.timeline import Timeline, kpis
from tasks.predictions import EvalContext


def draw(
    folder: Path, eval_context: EvalContext, line: Timeline, on: np.ndarray, tau: Sequence[float], title: str
) -> None:
    """Write summary.png where the truth is known, timelines.png and energy.png."""
    series, names, seconds = eval_context.series, eval_context.names, seconds_of(eval_context.series)
    assert series.clock is not None and series.time is not None
    wall = series.clock.wall(series.time[line.at])
    if line.on is not None:
        taus = np.linspace(0.02, 0.98, 49)
        curves = {name: (taus, f1_curve(line.on[k], line.score[k], taus)) for k, name in enumerate(names)}
        viz.summary(kpis(line, on, tau, eval_context)["devices"], curves, folder / "summary.png", title)
    estimate = line.watts * on
    mains = series.values[0, line.at]
    truth = on if line.on is None else line.on
    part = viz.busy_stretch(truth, round(6 * 3600 / seconds))
    traces = [
        viz.Trace(
            name=name,
            on=None if line.on is None else line.on[k, part],
            score=line.score[k, part],
            predicted=on[k, part],
            tau=tau[k],
            watts=None if line.true_watts is None else line.true_watts[k, part],
            estimate=estimate[k, part],
        )
        for k, name in enumerate(names)
    ]
    times = wall[part].astype("datetime64[ns]")
    viz.timelines(times, mains[part], traces, folder / "timelines.png", series.clock.tz, title)
    days, kwh = energy_by_day(estimate, wall // DAY, seconds)
    true_kwh = None if line.true_watts is None else energy_by_day(line.true_watts, wall // DAY, seconds)[1]
    viz.energy(days.astype("datetime64[D]"), kwh, names, folder / "energy.png", true_kwh, title)
