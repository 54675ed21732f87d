"""The deciles of what comes, as offsets from a point forecast: the distribution that CRPS judges.

Of few windows they lie evenly on both sides of it, at the ends of four intervals. Where errors of many windows are
known they are those of the errors, of each side its own: counts that are mostly 0 lie mostly below their mean, and
seldom far above it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from tasks.forecast.conformal import Scores, margins_of
from tasks.forecast.growth import reaching

CENTRAL_SHARES = (0.2, 0.4, 0.6, 0.8)  # coverages of intervals whose ends are, with the median, the deciles
LEVELS = np.arange(1, 10) / 10


def even(margins: torch.Tensor) -> torch.Tensor:
    """Offsets [9, K, H] from the margins [4, K, H] of `CENTRAL_SHARES`; the median is the forecast."""
    return torch.cat([-margins.flip(0), torch.zeros_like(margins[:1]), margins])


def sided(scores: Scores, alike: float) -> torch.Tensor:
    """Offsets [9, K, H]: the deciles of signed errors, of which `alike` windows tell as much as one."""
    found = []
    for error in scores.channels():
        below = -margins_of(-error, [*(1 - LEVELS[:4]), 0.5], alike)
        above = margins_of(error, [0.5, *LEVELS[5:]], alike)
        found.append(np.concatenate([below[:4], (above[:1] + below[4:]) / 2, above[1:]]))
    return torch.from_numpy(np.stack(found, axis=1))


def score(
    truth: np.ndarray, point: np.ndarray, offsets: np.ndarray, size: np.ndarray | None, least: Sequence[float]
) -> np.ndarray:
    """Twice the mean pinball loss of the deciles around a point forecast [n, K, H], none below `least` [K]; [n, K, H].

    `offsets` [9, K, h] go on growing beyond their h steps; those of an older checkpoint are margins [4, K, h].
    """
    if len(offsets) == len(CENTRAL_SHARES):
        offsets = even(torch.from_numpy(offsets)).numpy()
    farther = reaching(np.abs(offsets), truth.shape[2])
    offsets = np.where(reaching(offsets, truth.shape[2]) < 0, -farther, farther)
    lowest, total = np.array(least or [-np.inf], np.float32)[:, None], np.zeros(truth.shape)
    for level, offset in zip(LEVELS, offsets, strict=True):
        error = truth - np.maximum(point + (offset if size is None else offset * size[:, :, None]), lowest)
        total += 2 * np.maximum(level * error, (level - 1) * error)
    mean: np.ndarray = total / len(LEVELS)
    return mean
