"""What readings say about the flags to read them with: their unit, and how far apart they may be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from data import Series
from sources.appliances import appliance
from tasks.nilm.features import seconds_of

LEAST_RISES = 20  # of a meter that only rises
MOST_FALLS = 0.001  # of the rises: a register that starts again
KILO = 1000.0
SMALL = 50.0  # no house has less than so many W at most
LARGE = 5000.0  # W: more than any of the appliances with a rule of their own draws


def doubts(series: Series, on_w: Mapping[str, float]) -> list[str]:
    """Notes on channels that are hardly in watts.

    Parameters
    ----------
    series : the mains, then the devices.
    on_w : {device: the power from which on it is on}, W.
    """
    mains = float(np.nanmax(series.values[0]))
    known = {
        name: power for name, power in zip(series.channels, series.values, strict=True) if not np.isnan(power).all()
    }
    rising = [name for name, power in known.items() if _only_rises(power, series.offsets)]
    notes = [_register(rising, known, series.channels[0])] if rising else []
    small = mains < SMALL and series.channels[0] not in rising
    kilo = "--mains-unit kW" if small else "--device-unit kW"
    for name, power in known.items():
        high = float(np.nanmax(power))
        if name in rising or name not in on_w:
            continue
        if high < on_w[name]:
            asked = f": is it in kilowatts? {kilo}" if high * KILO >= on_w[name] else ""
            notes.append(
                f"warning: {name} never reaches its threshold of {on_w[name]:g} W: {high:.4g} W at most{asked}"
            )
        elif appliance(name) and high > LARGE:
            told = f"{name} reaches {high:,.0f} W, more than such an appliance draws"
            notes.append(f"warning: {told}: is it in another unit, such as mA or VA?")
    if small and not any(kilo in note for note in notes):
        notes.append(f"warning: mains reaches {mains:.4g} W at most: is it in kilowatts? {kilo}")
    return notes


def _register(rising: Sequence[str], known: Mapping[str, np.ndarray], mains: str) -> str:
    """A note on channels that only rise."""
    name, flag = rising[0], "--mains-unit" if mains in rising else "--device-unit"
    low, high = float(np.nanmin(known[name])), float(np.nanmax(known[name]))
    others = f"; so does {', '.join(rising[1:])}" if rising[1:] else ""
    told = f"{name} only rises, from {low:.6g} to {high:.6g}{others}: is it a register?"
    return f"warning: {told} {flag} kWh (or Wh) makes watts of what it rises by"


def _only_rises(power: np.ndarray, offsets: np.ndarray) -> bool:
    """Whether each value [total] is at least the one before in its row, again and again more."""
    rises = falls = 0
    for begin, end in pairwise(offsets.tolist()):
        part = power[begin:end]
        change = np.diff(part[~np.isnan(part)])
        rises, falls = rises + int((change > 0).sum()), falls + int((change < 0).sum())
    return rises >= LEAST_RISES and falls <= MOST_FALLS * rises


def gap_hint(series: Series, span: int) -> str:
    """What to do when each window of `span` steps touches a gap: the shortest limit of gaps that leaves a window.

    Parameters
    ----------
    series : N houses; devices that a house does not have at all make no gap.
    span : steps.
    """
    holes = np.zeros(series.values.shape[1], bool)
    for power in series.values:
        gone = np.isnan(power)
        for begin, end in pairwise(series.offsets.tolist()):
            if not gone[begin:end].all():
                holes[begin:end] |= gone[begin:end]
    lengths = sorted(
        {length for row in pairwise(series.offsets.tolist()) for length, _ in _stretches(holes[slice(*row)])}
    )
    low, high = 0, len(lengths)
    while low < high:
        middle = (low + high) // 2
        if _longest(holes, series.offsets, lengths[middle]) >= span:
            high = middle
        else:
            low = middle + 1
    if low == len(lengths):
        return "a smaller --window"
    seconds = (lengths[low] + 1) * seconds_of(series)
    return f"--max-ffill {seconds:g} fills gaps of up to {seconds:g} s, or a smaller --window"


def _stretches(holes: np.ndarray) -> list[tuple[int, int]]:
    """Lengths and first steps of the gaps between readings of a row [n]; none at its ends."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], holes.view(np.int8), [0]])))
    runs = zip((edges[1::2] - edges[::2]).tolist(), edges[::2].tolist(), strict=True)
    return [(length, first) for length, first in runs if first > 0 and first + length < len(holes)]


def _longest(holes: np.ndarray, offsets: np.ndarray, filled: int) -> int:
    """Steps of the longest stretch of a row without a gap of more than `filled` steps."""
    longest = 0
    for begin, end in pairwise(offsets.tolist()):
        row = holes[begin:end].copy()
        for length, first in _stretches(row):
            if length <= filled:
                row[first : first + length] = False
        edges = np.flatnonzero(np.diff(np.concatenate([[0], (~row).view(np.int8), [0]])))
        longest = max(longest, int((edges[1::2] - edges[::2]).max(initial=0)))
    return longest
