"""Which watts count: those of runs that are sure, up to what the meter reads.

A run that is on by its threshold may be false, and its watts are then errors at every step. States and switch-ons
follow the threshold; energy leaves out runs that are unlikely as a whole, and the watts that are compared step by step
follow a stricter rule.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from tasks.nilm.states import runs


class Limits(NamedTuple):
    """The least probabilities: in the mean of a run, at its surest step, and at each step whose watts count."""

    mean: float
    run: float
    step: float


SURE = Limits(mean=0.7, run=0.8, step=0.6)  # where the threshold is a half
OFTEN = Limits(0.0, 0.0, 0.0)  # of a device whose runs are decided as a whole, and of which training has many
CAPPED = "no device, and not all together, above the meter"


def sure(tau: float, *, strict: bool) -> Limits:
    """Of a threshold that is no half, the same shares of the way from there to 1 as from a half. Not `strict`: tau."""
    if not strict:
        return Limits(0.0, tau, tau)
    return Limits(*(1 - (1 - tau) * (1 - one) / 0.5 for one in SURE))


def certain(score: np.ndarray) -> bool:
    """Whether a device's probabilities [n] are those of a rule that has none: 0 and 1 alone."""
    return bool(np.isin(score, (0, 1)).all())


def counted(
    on: np.ndarray, score: np.ndarray, when: np.ndarray, limits: Sequence[Limits]
) -> tuple[np.ndarray, np.ndarray]:
    """Where watts count, and where energy does, bool [K, n] each.

    Parameters
    ----------
    on : bool [K, n], the states.
    score : probabilities [K, n].
    when : int64 [n]; a run ends where it does not rise by 1.
    limits : [K].
    """
    kept, likely = np.zeros(on.shape, bool), np.zeros(on.shape, bool)
    breaks = np.diff(when, prepend=when[:1] - 2) != 1
    stretch = np.cumsum(breaks)
    for k, limit in enumerate(limits):
        starts, lengths = runs(2 * stretch + on[k])
        mean = np.add.reduceat(score[k], starts, dtype=np.float64) / lengths
        greatest = np.maximum.reduceat(score[k], starts)
        likely[k] = on[k] & np.repeat(mean >= limit.mean, lengths)
        sure_run = np.repeat(greatest >= np.float32(limit.run), lengths)
        kept[k] = likely[k] & sure_run & (score[k] >= np.float32(limit.step))
    return kept, likely


def capped(watts: np.ndarray, mains: np.ndarray) -> np.ndarray:
    """Watts [K, n] of which none, and not their sum, is above the mains [n]; what is too much is taken off in shares.

    Where the mains are unknown nothing is capped.
    """
    most = np.where(np.isnan(mains), np.inf, np.maximum(mains, 0))
    watts = np.minimum(watts, most)
    total = watts.sum(axis=0)
    share = np.divide(most, total, out=np.ones_like(total), where=total > most)
    found: np.ndarray = (watts * share).astype(watts.dtype)
    return found


def at_rest(constants: Mapping[str, Any], devices: int) -> list[float]:
    """W of each device while it is off; 0 in the constants of older checkpoints, which do not know."""
    return constants.get("off_w") or [0.0] * devices


def described(limits: Sequence[Limits], names: Sequence[str]) -> dict[str, Any]:
    """Both rules in words and numbers, for the summary: what watts count, and what states follow."""
    return {
        "states, events": "at tau and above, or in the likeliest whole runs; after the duration filter",
        "energy": "in such runs whose mean probability is at least `mean`",
        "watts": "there, where a run's greatest probability is at least `run`, at steps of at least `step`",
        "devices": {name: limit._asdict() for name, limit in zip(names, limits, strict=True)},
        "cap": CAPPED,
    }
