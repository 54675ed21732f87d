"""What a device is used to: how long its runs and breaks last, and how the meter jumps as it switches on and off.

A net answers step by step, and its neighbouring answers rest on the same evidence: a fridge of half an hour flickers.
What training shows of whole runs decides between such answers (runs.py). A device that training has few runs of is
known less, and counts as if PRIOR more runs had been of any length, and at any jump.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from tasks.nilm.states import PIECE, UNKNOWN

QUANTILES = 24  # of the lengths of runs that are kept
PRIOR_JUMPS = 5.0
WIDEST = 3.0  # jumps, in units of the mean power when on; above, they are one
JUMPS = np.linspace(-WIDEST, WIDEST, 25)  # the edges of the bins of jumps
NAMES = ("runs", "run_seconds", "break_seconds", "rises", "falls")


class Habit(NamedTuple):
    """Of one device.

    runs : how many of training's have both their ends; 0: nothing is known.
    run_seconds, break_seconds : lengths at QUANTILES even quantiles; 0 without any.
    rises, falls : log of how much oftener the meter jumps so as it switches on, or off, than at any step [bins].
    mean : W when on, the unit of jumps.
    """

    runs: float
    run_seconds: Sequence[float]
    break_seconds: Sequence[float]
    rises: Sequence[float]
    falls: Sequence[float]
    mean: float

    def evidence(self, jumps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What jumps of the meter, W [n], say for a switch-on and for a switch-off there; 0 where they are unknown."""
        place = bins(np.nan_to_num(jumps / self.mean))
        return tuple(np.where(np.isnan(jumps), 0.0, np.asarray(of)[place]) for of in (self.rises, self.falls))  # type: ignore[return-value]


def bins(jumps: np.ndarray) -> np.ndarray:
    """The bin of each jump, in units of the mean power: one below the edges, those between them, one above."""
    return np.searchsorted(JUMPS, jumps, side="right")


def meter_jumps(mains: np.ndarray, at: np.ndarray, rows: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """How much more the meter reads just after steps `at` [n] than just before, W [n]; NaN where that is unknown.

    The step before and the step itself may be mixtures of both and do not count. At the ends of a house, whose numbers
    are `rows` [n] and which begin and end at `offsets`, the nearest step is taken.
    """
    first, last = offsets[:-1][rows], offsets[1:][rows] - 1
    jumps: np.ndarray = mains[np.minimum(at + 1, last)] - mains[np.maximum(at - 2, first)]
    return jumps


def _jumps(mains: np.ndarray) -> np.ndarray:
    """`meter_jumps` at every step of a house, W [n]."""
    padded = np.concatenate([mains[:1], mains[:1], mains, mains[-1:]])
    jumps: np.ndarray = padded[3:] - padded[:-3]
    return jumps


def learned(
    states: np.ndarray, steps: np.ndarray, mains: np.ndarray, offsets: np.ndarray, means: Sequence[float], step: float
) -> dict[str, Any]:
    """The habits of K devices as constants, {name of NAMES: [K] or [K, M]}.

    Parameters
    ----------
    states : int8 [K, total].
    steps : bool [total], those of training.
    mains : W [total].
    offsets : where each of N houses begins and ends, [N + 1].
    means : W of each device when on, [K].
    step : seconds of a step.
    """
    jumps = np.concatenate([_jumps(mains[begin:end]) for begin, end in pairwise(offsets)])
    usual = steps & ~np.isnan(jumps)
    found = [
        _of_device(np.where(steps, state, np.int8(UNKNOWN)), jumps, np.float32(mean), usual, offsets, step)
        for state, mean in zip(states, means, strict=True)
    ]
    return {name: [each[name] for each in found] for name in NAMES}


def _of_device(
    code: np.ndarray, jumps: np.ndarray, mean: np.float32, usual: np.ndarray, offsets: np.ndarray, step: float
) -> dict[str, Any]:
    """The habit of a device whose states are `code` [total], and that draws `mean` W."""
    starts = np.unique(np.concatenate([offsets[:-1], np.flatnonzero(code[1:] != code[:-1]) + 1]))
    lengths, value = np.diff(np.append(starts, len(code))), code[starts]
    begins = np.append(False, value[:-1] != UNKNOWN) & ~np.isin(starts, offsets)  # its beginning was seen
    whole = begins & np.append(begins[1:] & (value[1:] != UNKNOWN), False)
    on, off = (lengths[whole & (value == state)] * step for state in (1, 0))
    known = (
        step > 0 and 2 * len(on) >= (value == 1).sum()
    )  # else rows or gaps cut most runs, and long ones are never seen whole
    background = np.full(len(JUMPS) + 1, 0.5)
    for part in (slice(begin, begin + PIECE) for begin in range(0, len(jumps), PIECE)):
        background += np.bincount(bins(jumps[part][usual[part]] / mean), minlength=len(JUMPS) + 1)
    background /= background.sum()
    ratios = {}
    for name, state in (("rises", 1), ("falls", 0)):
        at = starts[begins & (value == state)]
        seen = np.bincount(bins(jumps[at[usual[at]]] / mean), minlength=len(JUMPS) + 1) / background
        ratios[name] = np.log((seen + PRIOR_JUMPS) / (usual[at].sum() + PRIOR_JUMPS)).tolist()
    return {
        "runs": float(len(on)) if known else 0.0,
        "run_seconds": _quantiles(on),
        "break_seconds": _quantiles(off),
        **ratios,
    }


def _quantiles(seconds: np.ndarray) -> list[float]:
    """QUANTILES of lengths, even on a logarithmic scale; zeros without any."""
    if not seconds.any():
        return [0.0] * QUANTILES
    places = (np.arange(QUANTILES) + 0.5) / QUANTILES
    found: list[float] = np.exp(np.quantile(np.log(seconds), places)).round(3).tolist()
    return found


def kept_or_new(kept: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """The habits of finetuning: those of the new data, and of a device that never ran in them the checkpoint's."""
    if not all(name in kept for name in NAMES):
        return dict(new)
    return {
        name: [n if runs else k for k, n, runs in zip(kept[name], new[name], new["runs"], strict=True)]
        for name in NAMES
    }


def habits_of(constants: Mapping[str, Any]) -> list[Habit]:
    """[K] of a task's constants; [] of a checkpoint that is older than habits."""
    if constants.get("runs") is None:
        return []
    return [Habit(*each) for each in zip(*(constants[name] for name in (*NAMES, "on_mean")), strict=True)]
