"""How margins of intervals go on growing beyond the steps that a model was trained for."""

from __future__ import annotations

import numpy as np

USUAL_GROWTH = 0.35  # of errors with the step ahead: half of it beside half of what is found
OF_A_WALK = 0.5  # the growth of errors where one step alone is known
LATE = 4  # the last of so many parts of the trained steps: the widest margin there is what goes on growing


def reaching(known: np.ndarray, steps: int) -> np.ndarray:
    """Margins [..., H] from validation as [..., steps]: cut, or growing on as they do with the step ahead.

    The power of the step by which they grow is halfway between that of the margins and a usual one, as for few windows.
    """
    horizon = known.shape[-1]
    if steps <= horizon:
        return known[..., :steps]
    ahead = np.arange(horizon + 1, steps + 1.0)
    lines = known.reshape(-1, horizon)
    made = np.empty((len(lines), steps), known.dtype)
    for line, margin in zip(made, lines.astype(np.float64), strict=True):
        last = margin[-max(horizon // LATE, 1) :].max()
        line[:horizon] = margin
        # A margin below 0 narrows quantiles that are too wide; it does not narrow them more and more.
        grown = last * (ahead / horizon) ** growth(margin)
        line[horizon:] = np.maximum(grown, margin.max()) if last > 0 else last  # what is farther is no surer
    return made.reshape(*known.shape[:-1], steps)


def growth(margin: np.ndarray) -> float:
    """By which power of the step margins [H] grow, halfway to the usual one, between 0 and 1."""
    step, known = np.arange(1, len(margin) + 1.0), margin > 0
    if known.sum() < 2:
        return OF_A_WALK
    slope = np.polyfit(np.log(step[known]), np.log(margin[known]), 1)[0]
    return float(np.clip((slope + USUAL_GROWTH) / 2, 0, 1))
