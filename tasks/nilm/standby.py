"""What a device draws at rest: one that is never below its threshold has a standby above it, and is not always on.

Otsu's threshold on logarithms (Otsu 1979, IEEE Transactions on Systems, Man and Cybernetics 9, equation 12) parts the
readings of training into two kinds. Where they are plainly two, the lower one is the usual one, and it reaches the
threshold that names give, a device is on from between them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

LEAST_W = 1.0  # below which readings are alike
BINS = 256
PLAIN = 0.8  # of the variance of logarithms is between the kinds: of a uniform distribution it is three quarters
TWICE = 2.0  # how many times as much the upper kind draws
USUAL, SELDOM = 0.5, 1e-3  # share of time at rest, and of time on, at least
REACHES = 0.9  # quantile of what is drawn at rest that is at the threshold or above
HIGHEST, LOWEST = 0.99, 0.05  # quantiles of the two kinds that the new threshold lies between
MOST = 1 << 20  # readings that are looked at, spread evenly


class Standby(NamedTuple):
    """W at rest, the median, and W from which on a device is on."""

    rest: float
    on_w: float


def standby(watts: np.ndarray, on_w: float) -> Standby | None:
    """The standby of a device that reaches its threshold of `on_w` W; None where it has none that does.

    Parameters
    ----------
    watts : its readings [n]; NaN where there is none.
    on_w : W from which on it would be on.
    """
    known = watts[~np.isnan(watts)]
    known = np.maximum(known[:: max(len(known) // MOST, 1)].astype(np.float64), LEAST_W)
    if not len(known) or (known >= on_w).mean() < USUAL * (1 - REACHES):
        return None
    logs = np.log(known)
    cut, between = _otsu(logs)
    rests, runs = known[logs < cut], known[logs >= cut]
    if between < PLAIN or len(rests) < USUAL * len(known) or len(runs) < SELDOM * len(known):
        return None
    if np.quantile(rests, REACHES) < on_w or np.log(runs).mean() - np.log(rests).mean() < np.log(TWICE):
        return None
    between_w = float(np.sqrt(np.quantile(rests, HIGHEST) * np.quantile(runs, LOWEST)))
    return Standby(float(np.median(rests)), float(f"{between_w:.2g}"))


def _otsu(values: np.ndarray) -> tuple[float, float]:
    """Where values [n] part best into two kinds, and the share of their variance that is then between the kinds."""
    count, edges = np.histogram(values, BINS)
    middle = (edges[1:] + edges[:-1]) / 2
    share, moment = np.cumsum(count) / len(values), np.cumsum(count * middle) / len(values)
    mean, below = moment[-1], share[:-1]
    with np.errstate(divide="ignore", invalid="ignore"):
        between = np.nan_to_num((mean * below - moment[:-1]) ** 2 / (below * (1 - below)))
    best = int(between.argmax())
    total = float((count * (middle - mean) ** 2).sum() / len(values))
    # Between two kinds that are far apart many cuts are equally good.
    return float(edges[best + 1]), float(between[best]) / total if total else 0.0
