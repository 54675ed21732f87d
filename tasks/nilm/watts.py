"""Which watts count: those of runs that are sure, up to what the meter reads.

A run that is on by its threshold may be false, and its watts are then errors at every step. States, switch-ons and
energy follow the threshold; the watts that are compared step by step follow a stricter rule.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tasks.nilm.states import runs

SURE, LIKELY = 0.8, 0.6  # probabilities: of a run's surest step, and of each step; where the threshold is a half
CAPPED = "no device, and not all together, above the meter"


def sure(tau: float, *, strict: bool) -> tuple[float, float]:
    """(of a run's surest step, of each step): the least probabilities whose watts count.

    Of a threshold other than a half, the same shares of the way from there to 1 as from a half. Not `strict`: tau.
    """
    if not strict:
        return tau, tau
    return tuple(1 - (1 - tau) * (1 - one) / 0.5 for one in (SURE, LIKELY))  # type: ignore[return-value]


def counted(on: np.ndarray, score: np.ndarray, when: np.ndarray, limits: Sequence[tuple[float, float]]) -> np.ndarray:
    """Where watts count, bool [K, n].

    Parameters
    ----------
    on : bool [K, n], the states.
    score : probabilities [K, n].
    when : int64 [n]; a run ends where it does not rise by 1.
    limits : [K], see `sure`.
    """
    kept = np.zeros(on.shape, bool)
    breaks = np.diff(when, prepend=when[:1] - 2) != 1
    stretch = np.cumsum(breaks)
    for k, (greatest, each) in enumerate(limits):
        starts, lengths = runs(2 * stretch + on[k])
        sure_run = np.maximum.reduceat(score[k], starts) >= np.float32(greatest)
        kept[k] = on[k] & np.repeat(sure_run, lengths) & (score[k] >= np.float32(each))
    return kept


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


def described(taus: Sequence[float], names: Sequence[str], *, strict: bool) -> dict[str, Any]:
    """Both rules in words and numbers, for the summary: what watts count, and what states and energy follow."""
    limits: Mapping[str, tuple[float, float]] = {
        name: sure(tau, strict=strict) for name, tau in zip(names, taus, strict=True)
    }
    return {
        "states, events, energy": "at tau and above, after the duration filter",
        "watts": "in runs whose greatest probability is at least `run`, at steps of at least `step`",
        "devices": {name: {"run": run, "step": step} for name, (run, step) in limits.items()},
        "cap": CAPPED,
    }
