"""Which step to propose where lines are too many for one time, or too far apart for a step."""

from __future__ import annotations

import numpy as np

from times.clock import DAY

STEPS = {  # as --resample takes them, in ns
    **{"1min": DAY // 1440, "5min": DAY // 288, "15min": DAY // 96, "1h": DAY // 24, "D": DAY},
    **{"7D": 7 * DAY, "MS": 31 * DAY, "QS": 92 * DAY, "YS": 366 * DAY},
}
MOST = 0.5  # of the gaps between times have the usual length
EVENTS, LEAST = 0.05, 5  # so many lines go back where they are in no order; a few do where series follow series


def proposed(times: np.ndarray) -> str:
    """The shortest of STEPS that is no shorter than what lies between most times, or else between them in the mean.

    Parameters
    ----------
    times : int64 ns [n], in any order.
    """
    gaps = np.diff(np.unique(times))
    lengths, counts = np.unique(gaps, return_counts=True) if len(gaps) else (np.array([DAY]), np.ones(1))
    usual = lengths[counts.argmax()] if counts.max() >= MOST * counts.sum() else gaps.mean()
    return next((name for name, length in STEPS.items() if length >= usual), "YS")


def in_disorder(times: np.ndarray) -> bool:
    """Whether times [n] go back again and again, as lines in no order do.

    Parameters
    ----------
    times : int64 ns [n].
    """
    return int((np.diff(times) < 0).sum()) > max(EVENTS * len(times), LEAST)
