"""What the readings of a house can be true: meters that stood still, and devices that draw more than their house.

What cannot be true teaches a model nothing but the fault. Steps of it are unknown, and how many is told.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import pairwise

import numpy as np

from config import RunConfig
from data import Series
from errors import DataError
from readers.paths import abridge
from tasks.nilm.features import seconds_of
from tasks.nilm.rules import Rules
from tasks.nilm.standby import Standby, standby
from tasks.nilm.states import (
    BASE_SHARE,
    UNKNOWN,
    flat_lines,
    on_states,
    resting_level,
    rolling_minimum,
    runs,
    steps_of,
)
from tasks.nilm.targets import DeviceTargets

log = logging.getLogger("tsrun")
FROZEN_SECONDS = 1800.0
FROZEN_READINGS = 12  # equal ones in a row, at least: in long steps a meter of whole Wh repeats itself by chance
MORE, SLACK = 1.1, 20.0  # devices above MORE x mains + SLACK W are more than errors of meters and clocks explain
IMPOSSIBLE_SECONDS = 300.0  # and it lasts: shorter, a meter is late by some readings
MOST_SHARE = 0.1  # of the steps that are wrong by this; where more are, a device is a meter that holds others
DEAD_SECONDS = 300.0  # of exactly 0 W, where a house otherwise draws something
AROUND_SECONDS = 600.0  # within which a meter has seen what a device draws, however late either is
SPIKE_SECONDS, SPIKES = 60.0, 0.01  # that a wrong reading of a device lasts, less than; and their share, at most


def rows_of(series: Series) -> Iterator[slice]:
    """Where each house is on the flat time axis."""
    return (slice(begin, end) for begin, end in pairwise(series.offsets.tolist()))


def _together(devices: np.ndarray) -> np.ndarray:
    """W [n] that devices [K, n] draw together, one after the other, so that no copy of all is made."""
    total = np.zeros(devices.shape[1], np.float32)
    for watts in devices:
        total += np.maximum(np.nan_to_num(watts), 0)
    return total


def exceeding(mains: np.ndarray, devices: np.ndarray, step_seconds: float) -> np.ndarray:
    """Steps bool [n] of stretches of IMPOSSIBLE_SECONDS or more in which the devices draw more than the house.

    Parameters
    ----------
    mains, devices : W, [n] and [K, n]; NaN where there is no reading.
    step_seconds : length of a step.
    """
    total = _together(devices)
    above = total > MORE * mains + SLACK  # False where the mains are unknown
    starts, lengths = runs(above)
    return np.repeat(above[starts] & (lengths >= steps_of(IMPOSSIBLE_SECONDS, step_seconds)), lengths)


def impossible(series: Series) -> np.ndarray:
    """Steps bool [n] of a series, the mains first, whose truth cannot be: see `exceeding`, house by house."""
    seconds, values = seconds_of(series), series.values
    found: np.ndarray = np.concatenate([exceeding(values[0, p], values[1:, p], seconds) for p in rows_of(series)])
    return found


def dead(mains: np.ndarray, devices: np.ndarray, step_seconds: float) -> np.ndarray:
    """Steps bool [n] at which a meter of exactly 0 W has read nothing: for DEAD_SECONDS, or while a device is on.

    A house that draws 0 W for a tenth of the time or more may rest at it: there, 0 W is a reading.
    Parameters as for `exceeding`.
    """
    known = mains[~np.isnan(mains)]
    if not len(known) or np.quantile(known, BASE_SHARE) <= 0:
        return np.zeros(len(mains), bool)
    total = _together(devices)
    zero = mains == 0
    starts, lengths = runs(zero)
    drawn = np.maximum.reduceat(total, starts) if len(starts) else total
    return np.repeat(zero[starts] & ((lengths >= steps_of(DEAD_SECONDS, step_seconds)) | (drawn > SLACK)), lengths)


def spikes(mains: np.ndarray, watts: np.ndarray, step_seconds: float) -> np.ndarray:
    """Steps bool [n] at which a device reads more than its house has drawn in the minutes around, for a moment alone.

    Parameters
    ----------
    mains, watts : W of a house and of a device, [n]; NaN where there is no reading.
    step_seconds : length of a step.
    """
    most = -rolling_minimum(-mains, steps_of(AROUND_SECONDS, step_seconds), centred=True)
    above = watts > MORE * most + SLACK  # False where either is unknown
    starts, lengths = runs(above)
    return np.repeat(above[starts] & (lengths < steps_of(SPIKE_SECONDS, step_seconds)), lengths)


def _without_spikes(series: Series) -> Series:
    """A series in whose devices a wrong reading is the one before it, or the one after at the beginning of a house."""
    values, told, step = series.values, [], seconds_of(series)
    for k, name in enumerate(series.channels[1:], start=1):
        wrong = np.concatenate(
            [spikes(series.values[0, part], series.values[k, part], step) for part in rows_of(series)]
        )
        if not wrong.any() or wrong.mean() > SPIKES:
            continue
        values = series.values.copy() if values is series.values else values
        for part in rows_of(series):
            right = np.flatnonzero(~wrong[part])
            before = np.maximum(np.searchsorted(right, np.arange(len(wrong[part])), side="right") - 1, 0)
            values[k, part] = values[k, part][right[before]]
        told.append(f"{name} ({wrong.sum():,}, up to {np.nanmax(series.values[k][wrong]):,.0f} W)")
    if not told:
        return series
    what = f"single readings above all that the house draws in the ten minutes around: {abridge(told)}"
    return replace(series, values=values, notes=(*series.notes, f"warning: {what}; taken as the ones before them"))


def believable(series: Series) -> Series:
    """A series without the readings of a meter that was dead and of devices that spiked, and notes of what is not true.

    Parameters
    ----------
    series : the mains, then the devices, in W.
    """
    series = _without_spikes(series)
    mains, devices = series.values[0], series.values[1:]
    nothing = np.concatenate([dead(mains[part], devices[:, part], seconds_of(series)) for part in rows_of(series)])
    too_much, notes = impossible(series) & ~nothing, []
    if nothing.any():
        values = series.values.copy()
        values[0, nothing] = np.nan
        series = replace(series, values=values)
        told = f"{nothing.sum():,} steps with a meter of exactly 0 W ({100 * nothing.mean():.2g} %)"
        notes.append(f"warning: {told}: for {DEAD_SECONDS:g} s, or with devices on, that is no reading; left out")
    if too_much.any():
        told = f"{too_much.sum():,} steps at which the devices together draw more than {MORE:g} times the meter"
        many = too_much.mean() > MOST_SHARE
        why = "so many that one of them may hold others; they stay" if many else "left out"
        notes.append(f"warning: {told} + {SLACK:g} W for {IMPOSSIBLE_SECONDS:g} s or longer: {why}")
    return replace(series, notes=(*series.notes, *notes))


def targets_of(series: Series, config: RunConfig, rules: Rules, drop_flatlines: bool) -> DeviceTargets:
    """States and watts of every device of a series, UNKNOWN where they cannot be true, or the meter is frozen.

    DataError where training has no reading of one, or any run none of all.
    """
    names, watts = series.channels[1:], series.values[1:]
    unknown = [name for name, power in zip(names, watts, strict=True) if np.isnan(power).all()]
    if unknown and (config.mode == "train" or len(unknown) == len(names)):
        raise DataError(f"no readings of {', '.join(unknown)}", where="--device-cols")
    on_w, least_on, least_off = np.array([rules.of(name, names).values for name in names]).T
    states, seconds = np.empty(watts.shape, np.int8), seconds_of(series)
    for row, part in enumerate(rows_of(series)):
        states[:, part] = on_states(watts[:, part], on_w, least_on, least_off, seconds)
        if drop_flatlines:
            states[:, part][:, frozen_steps(series, row, config)] = UNKNOWN
    wrong = impossible(series)
    if wrong.mean() <= MOST_SHARE:
        states[:, wrong] = UNKNOWN
    absent = np.stack([np.logical_and.reduceat(np.isnan(power), series.offsets[:-1]) for power in watts])
    return DeviceTargets(
        watts,
        tuple(names),
        per_row=False,
        states=states,
        offsets=series.offsets,
        absent=absent,
        mains=series.values[0],
    )


def learned_from(steps: int, config: RunConfig) -> int:
    """The first steps of a row of so many that every fold learns from: the training part of the first of them."""
    if config.split_sizes:
        train, val, test = config.split_sizes
        return max(train - (config.folds - 1) * (test or val), 0)
    back = config.test_ratio or config.val_ratio  # from each fold to the next
    return max(round(steps * (1 - config.val_ratio - config.test_ratio - (config.folds - 1) * back)), 0)


def standbys(series: Series, config: RunConfig, on_w: Mapping[str, float]) -> dict[str, Standby]:
    """{device: its standby} of those that have one above their threshold, from what every fold trains on.

    Where whole houses are held out, from all of them: to be told, not to be taken.

    Parameters
    ----------
    series : the mains, then the devices.
    on_w : {device: W from which on it would be on} of the devices that are looked at.
    """
    parts = list(rows_of(series))
    if config.split_mode != "group":
        parts = [slice(part.start, part.start + learned_from(part.stop - part.start, config)) for part in parts]
    found = {}
    for name, least in on_w.items():
        watts = series.values[series.channels.index(name)]
        if rest := standby(np.concatenate([watts[part] for part in parts]), least):
            found[name] = rest
    return found


def frozen_steps(series: Series, row: int, config: RunConfig) -> np.ndarray:
    """Steps of a row at which the meter is frozen: constant above the power of the house at rest.

    The power at rest is learned on the part of the row that every fold trains on.
    """
    mains, step = series.values[0, series.offsets[row] : series.offsets[row + 1]], seconds_of(series)
    at_least = max(FROZEN_SECONDS, FROZEN_READINGS * step)
    resting = resting_level(mains[: learned_from(len(mains), config)], step, at_least)
    frozen = flat_lines(mains, step, at_least, resting)
    for begin, end in zip(
        *(np.flatnonzero(np.diff(frozen.astype(np.int8), prepend=0, append=0) == k) for k in (1, -1)), strict=True
    ):
        log.warning(
            "warning: %s: the meter is frozen at %g W for %.1f minutes from step %d; left out",
            series.rows[row], mains[begin], (end - begin) * step / 60, begin,
        )  # fmt: skip
    return frozen
