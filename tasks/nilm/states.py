"""Rules on power signals that need no learning: states, frozen meters, rolling minima, windows averaged.

Power is in W, NaN where there is no reading; a gap ends every run, and the states within it are unknown.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

BASE_SHARE = 0.1  # of the time, a house draws its base load or less
PIECE = 1 << 20  # steps of a rolling minimum computed at once
UNKNOWN = 2  # of a state: 0 is off, 1 is on
SAME_HOLD = 0.01  # relative difference up to which two constant levels of a meter count as one


def on_states(
    power: np.ndarray, threshold: ArrayLike, min_on: ArrayLike, min_off: ArrayLike, step_seconds: float
) -> np.ndarray:
    """Which of C devices are on, int8 [C, n]: 1, 0, and UNKNOWN where the power is not known.

    The rule of Kelly and Knottenbelt 2015 (arXiv 1507.06594): on at the threshold or above; then breaks shorter
    than `min_off` between two runs are filled; then runs shorter than `min_on` are dropped. Gaps and both ends
    end a run: a break there is not between two runs, and a run there counts with the length that is visible.

    Parameters
    ----------
    power : W, [C, n].
    threshold : W, one or [C].
    min_on, min_off : seconds, one or [C].
    step_seconds : length of a step.
    """
    channels = len(power)
    limits = [np.broadcast_to(np.asarray(limit, np.float64), channels) for limit in (threshold, min_on, min_off)]
    states = np.empty(power.shape, np.int8)
    for channel, (watts, level, least_on, least_off) in enumerate(zip(power, *limits, strict=True)):
        states[channel] = watts >= float(level)
        states[channel, np.isnan(watts)] = UNKNOWN
        states[channel] = filter_runs(
            states[channel], steps_of(least_on, step_seconds), steps_of(least_off, step_seconds)
        )
    return states


def filter_runs(code: np.ndarray, least_on: int, least_off: int) -> np.ndarray:
    """`code` int8 [n] of 0 (off), 1 (on), UNKNOWN, its short breaks filled and then its short runs dropped."""
    starts, lengths = runs(code)
    values = code[starts]
    if least_off > 1:
        beside = np.concatenate([[0], values, [0]])
        between = (beside[:-2] == 1) & (beside[2:] == 1)
        values = np.where((values == 0) & between & (lengths < least_off), np.int8(1), values)
        code = np.repeat(values, lengths)
        starts, lengths = runs(code)
        values = code[starts]
    if least_on > 1:
        values = np.where((values == 1) & (lengths < least_on), np.int8(0), values)
    return np.repeat(values, lengths)


def runs(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First positions and lengths of the runs of equal values in [n]; every NaN is a run by itself."""
    starts = np.flatnonzero(np.concatenate([[len(values) > 0], values[1:] != values[:-1]]))
    return starts, np.diff(np.append(starts, len(values)))


def agreement(one: np.ndarray, other: np.ndarray) -> float:
    """The F1 of states bool [n] to others; 1 where both are never on."""
    both = int(one.sum() + other.sum())
    return 2 * int((one & other).sum()) / both if both else 1.0


def steps_of(seconds: float, step_seconds: float) -> int:
    """The fewest steps that last at least `seconds`."""
    return math.ceil(seconds / step_seconds - 1e-9)


def resting_level(mains: np.ndarray, step_seconds: float, at_least: float) -> float:
    """The power in W up to which the mains may be constant although the meter works, from training data [n].

    Loads fluctuate in proportion to their size, so a meter that counts whole watts is constant at low power only. This
    power is the larger of the base load, which is the 10 % quantile, and the highest level at which the meter was
    constant for `at_least` seconds in two or more separate spans: a standby comes back, an outage does not. Spans with
    nothing but a gap between them are one.
    """
    known = mains[~np.isnan(mains)]
    if not len(known):
        return 0.0
    starts, lengths = runs(mains)
    reading = ~np.isnan(mains[starts])
    held, lengths = mains[starts[reading]].astype(np.float64), lengths[reading]
    span = np.cumsum(np.append(True, held[1:] != held[:-1]))
    long = lengths >= max(2, steps_of(at_least, step_seconds))
    levels = np.sort(held[long][np.unique(span[long], return_index=True)[1]])
    again = levels[1:] - levels[:-1] <= SAME_HOLD * levels[1:]
    return float(max(np.quantile(known, BASE_SHARE), levels[1:][again].max(initial=0.0)))


def flat_lines(mains: np.ndarray, step_seconds: float, at_least: float, resting: float) -> np.ndarray:
    """Steps bool [n] at which a meter is frozen: one value above `resting` W for `at_least` seconds or longer.

    `resting` comes from `resting_level` of the training part.
    """
    starts, lengths = runs(mains)
    frozen = (lengths >= max(2, steps_of(at_least, step_seconds))) & (mains[starts] > resting)
    return np.repeat(frozen, lengths)


def rolling_minimum(x: np.ndarray, width: int, centred: bool) -> np.ndarray:
    """The least value in the `width` steps up to each one, or around it, for x [..., n]; gaps count as no value.

    Around step i are those from i - width // 2 to i + (width - 1) // 2; at the ends the window is shorter.
    A window of gaps gives NaN. Two running minima over blocks of `width` steps, O(n) for any width (van Herk 1992,
    Pattern Recognition Letters 13, 517).
    """
    assert width >= 1
    after = (width - 1) // 2 if centred else 0
    before, steps = width - 1 - after, x.shape[-1]
    least = np.empty_like(x)
    piece = max(PIECE, 4 * width)
    for begin in range(0, steps, piece):  # the steps around it are read too; one piece at a time, since copies are made
        low, end = max(begin - before, 0), min(begin + piece, steps)
        found = _rolling_minimum(x[..., low : end + after], width, after)
        least[..., begin:end] = found[..., begin - low : end - low]
    return least


def _rolling_minimum(x: np.ndarray, width: int, after: int) -> np.ndarray:
    """Over the `width` steps that end `after` steps after each."""
    steps = x.shape[-1]
    blocks = -(-(steps + width - 1) // width)
    padded = np.full((*x.shape[:-1], blocks * width), np.inf, x.dtype)
    padded[..., width - 1 - after : width - 1 - after + steps] = np.where(np.isnan(x), np.inf, x)
    parts = padded.reshape(*x.shape[:-1], blocks, width)
    forward = np.minimum.accumulate(parts, axis=-1).reshape(padded.shape)
    backward = np.minimum.accumulate(parts[..., ::-1], axis=-1)[..., ::-1].reshape(padded.shape)
    least = np.minimum(backward[..., :steps], forward[..., width - 1 : width - 1 + steps])
    return np.where(np.isinf(least), np.nan, least).astype(x.dtype, copy=False)


class Stitcher:
    """Windows of predictions averaged into one value a step, a batch of windows at a time.

    Over each step windows are added up in the order in which they come: whatever the batches, the averages are the
    same to the last bit.
    """

    def __init__(self, channels: int, total: int) -> None:
        self._sum = np.zeros((channels, total), np.float32)
        self._count = np.zeros(total, np.int32)

    def add(self, windows: np.ndarray, starts: np.ndarray) -> None:
        """Windows [W, K, L] that begin at steps [W], rising where they overlap."""
        length = windows.shape[2]
        if len(windows) <= length or len(np.unique(starts)) < len(starts):
            for window, start in zip(windows, starts.tolist(), strict=True):
                self._sum[:, start : start + length] += window
                self._count[start : start + length] += 1
            return
        for step in reversed(range(length)):  # at one step of all windows, no two have the same position
            at = starts + step
            self._sum[:, at] += windows[:, :, step].T
            self._count[at] += 1

    def means(self) -> tuple[np.ndarray, np.ndarray]:
        """The n steps that windows cover, int64 [n], and the averages there, float32 [K, n], in the place of the sums.

        Nothing can be added after that.
        """
        covered = np.flatnonzero(self._count)
        count = self._count[covered]
        for channel in self._sum:
            channel[: len(covered)] = channel[covered] / count
        found = self._sum[:, : len(covered)]
        return covered, found if 2 * len(covered) > len(self._count) else found.copy()
