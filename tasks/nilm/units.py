"""What the size of readings says about their unit: kilowatts, registers and currents that pass for watts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from data import Series
from sources.appliances import appliance

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
