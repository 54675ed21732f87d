"""A meter's series as a model sees it: power, its change, and what else helps, beside the devices' own channels."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from config import RunConfig
from data import Series
from errors import UsageError
from readers.clock import fixed_freq
from states import flat_lines, resting_level, rolling_minimum

MAINS = "mains"
CHANGE, ABOVE, HOUR = "mains change", "mains above minimum", ("hour sine", "hour cosine")
LOG = "log "
FEATURES = (MAINS, CHANGE, ABOVE, *HOUR, *(LOG + name for name in (MAINS, CHANGE, ABOVE)))
BASE_SECONDS = 1800  # over which the least power counts as what always runs
KNEE = 20.0  # W
FROZEN_SECONDS = 1800.0
log = logging.getLogger("tsrun")
SECONDS = {"s": 1, "sec": 1, "min": 60, "h": 3600}


def step_seconds(text: str) -> int:
    """Seconds of a step that `--resample` names: 8s, 1min. UsageError for what is none."""
    found = re.fullmatch(r"(\d*)\s*(s|sec|min|h)", text.strip())
    if not found or found[1] == "0":
        raise UsageError(f"{text!r} is no step of whole seconds", where="--resample", hint="1s, 6s, 8s, 1min")
    return int(found[1] or 1) * SECONDS[found[2]]


def seconds_of(series: Series) -> float:
    """Seconds of a step of a series with a clock."""
    assert series.clock is not None
    return series.clock.step / 1e9


def coarser(series: Series, seconds: int) -> Series:
    """One row of one-second steps as means over `seconds`, begun at multiples of it; NaN where a second misses."""
    assert series.n_rows == 1 and series.time is not None and series.clock is not None
    if seconds == 1:
        return series
    step = seconds * 10**9
    skip = int(-series.time[0] % step) // 10**9
    steps = (len(series.time) - skip) // seconds
    kept = slice(skip, skip + steps * seconds)
    values = series.values[:, kept].reshape(series.n_channels, steps, seconds).mean(axis=2)
    clock = replace(series.clock, freq=fixed_freq(step))
    offsets = np.array([0, steps], np.int64)
    return replace(series, values=values, offsets=offsets, time=series.time[kept][::seconds], clock=clock)


def devices_of(channels: Sequence[str]) -> list[str]:
    """The channels that are devices: those that are no feature."""
    return [name for name in channels if name not in FEATURES]


def with_features(series: Series, extra: Sequence[str]) -> Series:
    """The series (mains first) with the model's inputs in front of the devices.

    The change of power is in watts a step, 0 after a gap; scaled like every input, since raw watts ruin a recurrent
    model. `above`: power above its least over half an hour, which tells a fridge from a house; it looks ahead. `log`:
    the same on a scale that is linear below 20 W and logarithmic above, so that a lamp counts beside a kettle.
    """
    mains = series.values[0]
    change = np.diff(mains, prepend=mains[:1])
    change[series.offsets[:-1]] = 0
    made = {MAINS: mains, CHANGE: np.where(np.isnan(change) & ~np.isnan(mains), 0, change)}
    if "above" in extra:
        width = max(round(BASE_SECONDS / seconds_of(series)), 1)
        rows = [series.values[:1, a:b] for a, b in zip(series.offsets[:-1], series.offsets[1:], strict=True)]
        least = np.concatenate([rolling_minimum(row, width, centred=True)[0] for row in rows])
        made[ABOVE] = mains - least
    if "log" in extra:
        made |= {LOG + name: np.arcsinh(values / KNEE) for name, values in made.items()}
    if "hour" in extra:
        assert series.clock is not None and series.time is not None
        angle = 2 * np.pi * (series.clock.wall(series.time) % (24 * 3600 * 10**9)) / (24 * 3600 * 10**9)
        made |= dict(zip(HOUR, (np.sin(angle), np.cos(angle)), strict=True))
    values = np.concatenate([np.stack(list(made.values())).astype(np.float32), series.values[1:]])
    return replace(series, values=values, channels=(*made, *series.channels[1:]))


def header(path: Path, sep: str) -> set[str]:
    """The column names of a long CSV."""
    from readers.tables import decode, open_bytes

    with open_bytes(path) as (stream, _):
        line = decode(stream.readline()).lstrip("\ufeff").rstrip("\r\n")
    return {cell.strip(' "') for cell in line.split({"tab": "\t", "\\t": "\t"}.get(sep, sep))}


def frozen_steps(series: Series, row: int, config: RunConfig) -> np.ndarray:
    """Steps of a row at which its meter stands still above what the house draws at rest; rest is learned on the
    share of the row that training has."""
    mains = series.values[series.channels.index(MAINS), series.offsets[row] : series.offsets[row + 1]]
    known = (
        config.split_sizes[0] if config.split_sizes else round(len(mains) * (1 - config.val_ratio - config.test_ratio))
    )
    resting = resting_level(mains[:known], seconds_of(series), FROZEN_SECONDS)
    frozen = flat_lines(mains, seconds_of(series), FROZEN_SECONDS, resting)
    for begin, end in zip(
        *(np.flatnonzero(np.diff(frozen.astype(np.int8), prepend=0, append=0) == k) for k in (1, -1)), strict=True
    ):
        log.warning(
            "warning: %s: the meter stands still at %g W for %.1f minutes from step %d; left out",
            series.rows[row], mains[begin], (end - begin) * seconds_of(series) / 60, begin,
        )  # fmt: skip
    return frozen
