"""The step of a meter's own lines, and how long one of them holds: what applies where no flag says another."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

SECOND = 10**9  # ns
FINE, USUAL = 6, 8  # seconds: lines that are closer than the first are averaged to steps of about the second
FEWEST = 1000  # steps, with fewer of which validation and test have no room for windows
EVEN, NEAR = 0.9, 0.1  # lines are even where this share of them are within this part of the usual distance
NICE = (8, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1800, 3600)  # seconds: steps for lines that are not
CLOSE = 0.02  # lines a little late or early are at a nice step all the same
MISSING = 2.5  # steps: one line that is missing is filled, however late the next one is within its step


def own_step(times: np.ndarray, offsets: Sequence[int]) -> tuple[int, float, str]:
    """The step for lines at times [total] of N rows with offsets [N + 1], in order within each row.

    Returns
    -------
    (seconds of a step, seconds from line to line, what to tell). The step is the lines' own distance, of the row in
    which they are furthest apart; a multiple of it of eight seconds or more where that is below six, and steps of that
    are not too few.
    """
    apart, even = spacing(times, offsets)
    if apart >= FINE and even:
        step = round(apart)
        return step, apart, f"steps of {shown(step)}, the data's own (--resample sets another)"
    if even and apart >= 1:
        step = round(apart) * -(-USUAL // round(apart))
        if max(b - a for a, b in pairwise(offsets)) * apart < FEWEST * step:
            told = f"steps of {shown(round(apart))}, the data's own, since there are few (--resample sets another)"
            return round(apart), apart, told
        return (
            step,
            apart,
            f"lines every {apart:g} s are averaged to steps of {step} s (--resample {apart:g}s keeps them)",
        )
    step = next((nice for nice in NICE if nice >= apart), 3600)
    return (
        step,
        apart,
        f"lines about every {apart:.3g} s are averaged to steps of {shown(step)} (--resample sets another)",
    )


def spacing(times: np.ndarray, offsets: Sequence[int]) -> tuple[float, bool]:
    """Seconds from line to line in the row in which they are furthest apart, and whether they are even there."""
    found = []
    for begin, end in pairwise(offsets):
        steps = np.diff(times[begin:end])
        steps = steps[steps > 0] / SECOND
        if len(steps):
            usual = float(np.median(steps))
            usual = next((nice for nice in NICE if abs(usual - nice) <= CLOSE * nice), usual)
            found.append((usual, bool((np.abs(steps - usual) <= NEAR * usual).mean() >= EVEN)))
    return max(found, default=(float(USUAL), True))


def held(step: float, apart: float, usual: float) -> tuple[float, str]:
    """For how many seconds a line holds at most in steps of so many seconds, and what to tell.

    A line that is missing is filled where steps are as long as lines are apart; in finer steps `usual` is all.
    """
    if step >= apart * (1 - NEAR):
        return max(usual, MISSING * apart), ""
    told = f"warning: lines are {shown(round(apart))} apart, and steps of {shown(round(step))} are finer than that"
    return usual, told


def shown(seconds: int) -> str:
    """A step as --resample takes it: 8s, 15min, 1h."""
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= size and seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"
