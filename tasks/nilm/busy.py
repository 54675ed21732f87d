"""Where most is going on in a timeline, for pictures and pages."""

from __future__ import annotations

import numpy as np

from tasks.nilm.timeline import Timeline

SHOWN_SECONDS = 6 * 3600
CANDIDATES = 8  # starts per length that are tried for the busiest stretch


def busy_stretch(on: np.ndarray, length: int) -> slice:
    """The `length` steps of states `[K, n]` in which most devices run most: sum over devices of log(1 + steps on)."""
    steps = on.shape[1]
    if length >= steps:
        return slice(0, steps)
    total = np.cumsum(np.concatenate([np.zeros((len(on), 1)), np.nan_to_num(on)], axis=1), axis=1)
    starts = np.arange(0, steps - length + 1, max(1, length // CANDIDATES))
    begin = int(starts[np.argmax(np.log1p(total[:, starts + length] - total[:, starts]).sum(axis=0))])
    return slice(begin, begin + length)


def busiest(line: Timeline, states: np.ndarray, length: int) -> tuple[int, slice]:
    """The house, and the `length` steps of the flat axis within it, in which most devices of `states` [K, n] run."""
    best = -1.0
    for row in np.unique(line.rows).tolist():
        at = line.at[line.rows == row]
        whole = slice(int(at[0]), int(at[-1]) + 1)
        axis = on_axis(line, states, whole)
        part = busy_stretch(axis, length)
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
