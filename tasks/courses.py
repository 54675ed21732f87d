"""What the pages of several tasks show over time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from data import Series
from pages.frames import Frame, Line, Plot, spread
from tasks.predictions import EvalContext, PlotInputs

MILLISECOND = 1_000_000  # ns


def axis(series: Series, row: int, at: np.ndarray) -> tuple[np.ndarray, bool]:
    """Where steps `at` [n] of the flat axis are in time: ms of a wall clock and True, or steps within the row."""
    if series.clock is None or series.time is None:
        return at - series.offsets[row], False
    return series.clock.wall(series.time[at]) // MILLISECOND, True


def of_labels(
    eval_context: EvalContext, shown: PlotInputs, unit: str = "", levels: Sequence[float] = (), mark: str = ""
) -> list[Frame]:
    """Truth and prediction of each of K labels at the steps that they belong to, a frame a row of the data.

    Parameters
    ----------
    eval_context, shown : as in `Task.course`.
    unit : of the labels.
    levels : [K], thresholds to mark, and `mark`, their name.

    Returns
    -------
    Frames of a few rows; of labels of whole rows one frame, over the rows.
    """
    scored = shown.scored
    if scored is None:
        return []
    rows = scored.index.rows()

    def plots(chosen: np.ndarray) -> tuple[Plot, ...]:
        made = []
        for k, name in enumerate(eval_context.names):
            parts = [("truth", scored.truth), ("prediction", scored.pred)]
            lines = [Line(look, look, part[chosen, k, 0]) for look, part in parts if part is not None]
            made.append(Plot(name, tuple(lines), unit, levels[k] if levels else None, mark))
        return tuple(made)

    if eval_context.per_row:
        order = np.argsort(rows, kind="stable")
        return [Frame("every row", rows[order], False, plots(order), "row", joined=False)]
    frames, found, at = [], np.unique(rows), scored.index.targets()
    for row in found[spread(len(found))].tolist():
        chosen = np.flatnonzero(rows == row)
        chosen = chosen[np.argsort(at[chosen], kind="stable")]
        places, dated = axis(eval_context.series, row, at[chosen])
        frames.append(Frame(str(eval_context.series.rows[row]), places, dated, plots(chosen)))
    return frames
