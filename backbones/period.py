"""The period of a table of series, found as a line in the spectrum of each.

Each bin of a channel's periodogram is compared with its neighbours, so that a random walk, whose spectrum is steep but
smooth, has no period, and a cycle is found on any trend or noise. The strongest line need not be the
cycle itself: a day with two peaks may be strongest at half a day. Where another line fits a cycle two or three times as
long, and not this one, that is the period. A week of days stays a day where the day's line is the strongest: what
repeats most often in a window serves best.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from backbones.seasonality import beyond_chance, in_order, some

LATEST_STEPS = 100_000  # of a longer series only these are read
MOST_CHANNELS = 16  # read, spread evenly over the table
LEAST_STEPS = 48
LEAST_CYCLES = 3  # of a period, in the series
NEIGHBOURS = 16  # bins on either side that a bin is compared with
FALSE_ALARM = 0.005  # bins of noise expected to pass for a line, per channel
MULTIPLES = (3, 2)  # of the strongest line's period that may be the cycle, tried again on the result
HARMONICS = 4  # of the shorter period, looked at for lines of a longer one
LEAST_SHARE = 0.05  # of the strongest line's power, in a line that makes the cycle longer
FEW_STEPS = 200  # up to so many, series are too short to tell alone, and are asked together
MOST_SHORT = 256  # of such series, spread evenly over all
LEAST_AGREEMENT = 0.25  # correlation of changes one period apart
CLEARLY = 5.0  # standard errors that such a correlation is above 0
AS_HIGH = 0.8  # of the highest correlation: a cycle's multiples agree as well as the cycle


def find_period(values: np.ndarray, longest: int | None = None) -> int:
    """The period of `values [C, n]` in steps, that of most of its periodic channels; 1 where two in three have none.

    A cycle longer than `longest` steps does not count, however strong (the year, in hourly data). NaN is a gap: it ends
    no cycle, and steps on its two sides are as far apart as they are in time.
    """
    return period_of_pieces([values], longest)


def period_of_pieces(pieces: Iterable[np.ndarray], longest: int | None = None, calendar: Sequence[int] = ()) -> int:
    """`find_period` of some pieces, each `[C, n]`, whose channels have a say if they are half as long as the longest.

    No step of one piece is compared with one of another. The order of pieces and channels does not matter. Of the
    `calendar`'s cycles, the shortest first, one counts where the data show no other period: the shortest that shows at
    all. A period that the data show is that of the calendar where it can be told from it no better, or where the
    calendar's holds it a whole number of times and shows beside it.
    """
    pieces = list(pieces)
    found = _found_in(pieces, longest)
    steps = max((piece.shape[1] for piece in pieces), default=0)
    allowed = [cycle for cycle in calendar if longest is None or cycle <= longest]
    same = [cycle for cycle in allowed if abs(cycle - found) * steps <= found**2 and found > 1]
    if same:
        return min(same, key=lambda cycle: abs(cycle - found))
    wider = (cycle for cycle in allowed if cycle > found and abs(cycle / round(cycle / found) - found) <= 0.5)
    shown = (cycle for cycle in wider if beyond_chance(pieces, cycle, within=found if cycle % found == 0 else 1))
    return next(shown, found)


def _found_in(pieces: Iterable[np.ndarray], longest: int | None) -> int:
    """The period that pieces show, without a calendar; 1: none."""
    every = [channel for piece in pieces for channel in piece]
    n = max(map(len, every), default=0)
    ordered = in_order(every) if len(every) > MOST_CHANNELS else every
    chosen = some([z for z in ordered if 2 * len(z) >= n], MOST_CHANNELS)
    found = [_period_of(np.asarray(z[-LATEST_STEPS:], dtype=np.float64), longest) for z in chosen]
    periodic = Counter(period for period in found if period > 1)
    if periodic and 3 * sum(periodic.values()) >= len(found):
        return max(periodic, key=lambda period: (periodic[period], -period))
    if n > FEW_STEPS:
        return 1
    return _period_in_common(every if len(every) <= MOST_SHORT else some(ordered, MOST_SHORT), longest)


def _changes(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Changes from step to step less their mean, 0 where one of the two is missing, and where both are known: [n - 1].

    Without trend, and a random walk becomes white.
    """
    steps = np.diff(z)
    known = np.isfinite(steps)
    return np.where(known, steps - (steps[known].mean() if known.any() else 0), 0), known


def _period_of(z: np.ndarray, longest: int | None) -> int:
    """The period of one channel `[n]`, or 1."""
    steps, known = _changes(z)
    n = len(steps)
    if known.sum() < LEAST_STEPS or not np.ptp(steps[known]):
        return 1
    amplitude = np.abs(np.fft.rfft(steps))
    lines = _lines(amplitude**2)
    lines[:LEAST_CYCLES] = False
    amplitude[1:] /= 2 * np.sin(np.pi * np.arange(1, len(amplitude)) / n)  # of the series again
    if longest is not None:
        lines[: int(n / (longest + 0.5) - 0.5)] = False  # bins that hold no cycle short enough
    while lines.any():
        top = int(np.where(lines, amplitude, 0).argmax())
        cycles = _cycles(steps, top)
        if longest is None or round(n / cycles) <= longest:
            break
        lines[top] = False  # the skirt of a longer cycle, or itself
    else:
        return 1
    strong = lines & (amplitude**2 >= LEAST_SHARE * amplitude[top] ** 2)
    fits = LEAST_CYCLES if longest is None else max(LEAST_CYCLES, n / (longest + 0.5))
    while multiple := _longer(strong, cycles, fits):
        cycles /= multiple
    return round(n / cycles)


def _period_in_common(short: Sequence[np.ndarray], longest: int | None) -> int:
    """The period that series `[n]` too short for a spectrum have in common, or 1.

    The shortest lag at which the changes of all of them together agree clearly, and more than at the lags beside it.
    """
    n = max(map(len, short), default=0)
    sums, counts, power, total = np.zeros(n), np.zeros(n), 0.0, 0
    for z in short:
        steps, known = _changes(np.asarray(z, dtype=np.float64))
        size = float(np.sqrt((steps**2).sum() / max(known.sum(), 1)))
        if not size > 0:
            continue
        steps, lags = steps / size, np.arange(len(steps))
        sums[lags] += np.correlate(steps, steps, "full")[len(steps) - 1 :]
        counts[lags] += np.correlate(known.astype(float), known.astype(float), "full")[len(steps) - 1 :]
        power, total = power + float((steps**2).sum()), total + int(known.sum())
    if total < LEAST_STEPS:
        return 1
    agreement = np.divide(sums, counts, out=np.zeros(n), where=counts > 0) / (power / total)
    clear = (agreement > LEAST_AGREEMENT) & (agreement * np.sqrt(counts) > CLEARLY)
    lags = np.arange(2, min(n // 2, longest or n) + 1)
    lags = lags[lags + 1 < n]
    peak = clear[lags] & (agreement[lags] >= agreement[lags - 1]) & (agreement[lags] >= agreement[lags + 1])
    if not peak.any():
        return 1
    high = agreement[lags] >= AS_HIGH * agreement[lags[peak]].max()
    return int(lags[peak & high][0])


def _longer(strong: np.ndarray, cycles: float, slowest: float) -> int:
    """The multiple of a period that a strong line shows: a harmonic of the multiple and not of the period; 0: none.

    Of the multiple the series must have `slowest` cycles.
    """
    for multiple in MULTIPLES:
        harmonics = [k for k in range(1, HARMONICS * multiple) if math.gcd(k, multiple) == 1]
        bins = [round(cycles * k / multiple) for k in harmonics]
        if cycles / multiple > slowest and any(strong[i] for i in bins if i < len(strong)):
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
