"""What the page of a disaggregation shows over time: watts and states of every device, by house."""

from __future__ import annotations

import numpy as np

from pages.frames import Frame, Line, Plot, spread
from tasks.courses import axis
from tasks.nilm.busy import SHOWN_SECONDS, busiest
from tasks.nilm.features import seconds_of
from tasks.nilm.timeline import Decided, Timeline
from tasks.predictions import EvalContext

MOST_HOUSES = 4


def frames(eval_context: EvalContext, decided: Decided) -> list[Frame]:
    """A frame a house, for a few of them; the six hours in which most is going on are shown step by step."""
    series, line, on = eval_context.series, decided.line, decided.on
    found = np.unique(line.rows)
    made = []
    for house in found[spread(len(found), MOST_HOUSES)].tolist():
        here = line.rows == house
        part = _part(line, here)
        at, dated = axis(series, house, part.at)
        seen = on[:, here] if line.on is None else part.on
        assert seen is not None
        _, steps = busiest(part, seen, round(SHOWN_SECONDS / seconds_of(series)))
        detail = slice(*np.searchsorted(part.at, (steps.start, steps.stop)).tolist())
        mains = Line("beside", "mains", series.values[0, part.at])
        together = Line("prediction", "all devices, estimate", decided.watts[:, here].sum(axis=0))
        plots = [Plot("mains", (mains, together), "W")]
        for k, name in enumerate(eval_context.names):
            plots += _device(part, on[k, here], decided.watts[k, here], k, name, decided.tau[k])
        made.append(Frame(str(series.rows[house]), at, dated, tuple(plots), detail=detail))
    return made


def _part(line: Timeline, here: np.ndarray) -> Timeline:
    known = (None if part is None else part[:, here] for part in (line.on, line.true_watts))
    return Timeline(line.at[here], line.rows[here], line.score[:, here], line.watts[:, here], *known)


def _device(line: Timeline, on: np.ndarray, estimate: np.ndarray, k: int, name: str, tau: float) -> list[Plot]:
    """Watts, and the probability with both states; `on` [n] is the predicted one, `estimate` [n] its watts."""
    watts = [Line("truth", "truth", line.true_watts[k])] if line.true_watts is not None else []
    states = [Line("on", "truly on", line.on[k])] if line.on is not None else []
    power = Plot(f"{name}, power", (*watts, Line("prediction", "estimate", estimate)), "W")
    said = [Line("said", "said on", on.astype(float)), Line("prediction", "probability", line.score[k])]
    return [power, Plot(f"{name}, on or off", (*states, *said), "", tau, "threshold τ")]
