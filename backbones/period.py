"""The period of a table of series, found as a line in its spectrum.

Each bin of a channel's periodogram is compared with its neighbours, so that a random walk, whose spectrum is steep but
smooth, has no period, and a cycle is found on any trend or noise. The strongest line need not be the
cycle itself: a day with two peaks may be strongest at half a day. Where another line fits a cycle two or three times as
long, and not this one, that is the period. A week of days stays a day where the day's line is the strongest: what
repeats most often in a window serves best.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np

LATEST_STEPS = 100_000  # of a longer series only these are read
MOST_CHANNELS = 16  # read, spread evenly over the table
LEAST_STEPS = 48
LEAST_CYCLES = 3  # of a period, in the series
NEIGHBOURS = 16  # bins on either side that a bin is compared with
FALSE_ALARM = 0.005  # bins of noise expected to pass for a line, per channel
MULTIPLES = (3, 2)  # of the strongest line's period that may be the cycle, tried again on the result
HARMONICS = 4  # of the shorter period, looked at for lines of a longer one
LEAST_SHARE = 0.05  # of the strongest line's power, in a line that makes the cycle longer


def find_period(values: np.ndarray, longest: int | None = None) -> int:
    """The period of `values [C, n]` in steps, that of most of its periodic channels; 1 where two in three have none.

    A cycle longer than `longest` steps does not count, however strong (the year, in hourly data).
    """
    rows = np.linspace(0, len(values) - 1, min(len(values), MOST_CHANNELS)).round().astype(int)
    found = [_period_of(np.asarray(values[row][-LATEST_STEPS:], dtype=np.float64), longest) for row in rows]
    periodic = Counter(period for period in found if period > 1)
    if 3 * sum(periodic.values()) < len(found) or not periodic:
        return 1
    return max(periodic, key=lambda period: (periodic[period], -period))


def period_of_pieces(pieces: Sequence[np.ndarray], longest: int) -> int:
    """`find_period` in the longest of some pieces, each `[C, n]`; those that are equally long count as channels."""
    n = max(piece.shape[1] for piece in pieces)
    return find_period(np.concatenate([piece for piece in pieces if piece.shape[1] == n]), longest)


def _period_of(z: np.ndarray, longest: int | None) -> int:
    """The period of one channel `[n]`, or 1."""
    steps = np.diff(z)  # without trend, and a random walk becomes white
    n = len(steps)
    if n < LEAST_STEPS or not np.ptp(steps):
        return 1
    amplitude = np.abs(np.fft.rfft(steps - steps.mean()))
    lines = _lines(amplitude**2)
    slowest = max(LEAST_CYCLES, -(-n // longest) if longest is not None else 0)
    lines[:slowest] = False
    if not lines.any():
        return 1
    amplitude[1:] /= 2 * np.sin(np.pi * np.arange(1, len(amplitude)) / n)  # of the series again
    top = int(np.where(lines, amplitude, 0).argmax())
    cycles = _cycles(steps, top)
    strong = lines & (amplitude**2 >= LEAST_SHARE * amplitude[top] ** 2)
    while multiple := _longer(strong, cycles, slowest):
        cycles /= multiple
    return round(n / cycles)


def _longer(strong: np.ndarray, cycles: float, slowest: int) -> int:
    """The multiple of a period that a strong line shows: a harmonic of the multiple and not of the period; 0: none."""
    for multiple in MULTIPLES:
        harmonics = [k for k in range(1, HARMONICS * multiple) if math.gcd(k, multiple) == 1]
        bins = [round(cycles * k / multiple) for k in harmonics]
        if cycles / multiple >= slowest and any(strong[i] for i in bins if i < len(strong)):
            return multiple
    return 0


def _lines(power: np.ndarray) -> np.ndarray:
    """Which bins of a power spectrum `[n]` are well above those around them.

    In noise a bin is exponential, and its ratio to a mean of K others has the tail `(1 + x / K)^-K`. The others' mean
    is estimated by their median, which other lines hardly change; that loses about half of the information in K bins.
    """
    reach = min(NEIGHBOURS, len(power) - 2)
    padded = np.pad(power[1:], reach, mode="reflect")
    around = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1)
    level = np.partition(around, reach, axis=1)[:, reach] / np.log(2)
    least = reach * ((len(power) / FALSE_ALARM) ** (1 / reach) - 1)
    return np.concatenate([[False], power[1:] > least * np.maximum(level, 1e-12 * power.max())])


def _cycles(steps: np.ndarray, line: int) -> float:
    """Cycles in `steps [n]` to a fraction of a bin, near a line: exact for a sine under a Hann window.

    The ratio of the amplitudes of the two largest bins shows where between them it is (Grandke 1983, IEEE Transactions
    on Instrumentation and Measurement 32).
    """
    amplitude = np.abs(np.fft.rfft((steps - steps.mean()) * np.hanning(len(steps) + 1)[:-1]))
    top = line - 1 + int(amplitude[line - 1 : line + 2].argmax())
    side = 1 if top + 1 < len(amplitude) and amplitude[top + 1] > amplitude[top - 1] else -1
    ratio = amplitude[top + side] / amplitude[top]
    return top + side * (2 * ratio - 1) / (ratio + 1)
