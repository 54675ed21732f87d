"""Traces of other houses' devices, or of plugs measured alone, pasted into training windows (`--overlay-from`).

A house has few runs of a device, and they look alike. Those of other houses, scaled a little, are what makes the
published gain: -27 % of the error in watts against -7 % for traces of the same house (docs/nilm.md).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from config import RunConfig
from data import Series
from errors import DataError, UsageError
from readers.dialect import Dialect
from readers.paths import expand_paths
from registry import Namespace
from sources import layouts, meter_tables
from sources.appliances import appliance, spelled
from tasks.nilm.features import seconds_of
from tasks.nilm.rules import Rules
from tasks.nilm.states import on_states, runs
from tasks.nilm.targets import Overlaid

SCALED = (0.8, 1.2)  # the factors by which a trace's watts are multiplied, from and to
FROM_OTHERS = 0.5  # of the traces, where there are any of the device
MOST_TRACES = 2000  # of a device
ALONE = ("power", "watts", "watt", "w", "value", "p", "leistung", "potencia", "puissance")  # columns of one plug


@dataclass(frozen=True)
class Traces:
    """Runs of K devices, watts float32 [K][runs][steps], and how to tell of them."""

    runs: tuple[tuple[np.ndarray, ...], ...]
    note: str = ""

    def elsewhere(self, chance: float, length: int) -> dict[int, tuple[float, np.ndarray]]:
        """{device: (the share of training's steps at which its traces are on, their watts)} for those that have any.

        Parameters
        ----------
        chance : that a device of a window gets a trace.
        length : steps of a window.
        """
        found = {}
        for k, traces in enumerate(self.runs):
            if traces:
                steps = np.array([len(trace) for trace in traces])
                found[k] = (chance * FROM_OTHERS * float((steps / (steps + length - 1)).mean()), np.concatenate(traces))
        return found

    def drawn(self, k: int, length: int, random: torch.Tensor) -> np.ndarray:
        """A run of device k somewhere in a window, watts [length], by three random numbers from 0 to 1."""
        which, where, factor = random.tolist()
        trace = self.runs[k][min(int(which * len(self.runs[k])), len(self.runs[k]) - 1)]
        begin = int(where * (len(trace) + length - 1)) - len(trace) + 1
        watts = np.zeros(length, np.float32)
        part = trace[max(-begin, 0) : max(length - begin, 0)]
        watts[max(begin, 0) : max(begin, 0) + len(part)] = part
        watts *= np.float32(SCALED[0] + (SCALED[1] - SCALED[0]) * factor)
        return watts


class Pasted(Overlaid):
    """Overlaid windows of which a part of the traces are those of other houses."""

    traces: Traces

    def more(self, count: int, length: int) -> tuple[torch.Tensor, torch.Tensor]:
        """States and watts [count, K, length] to add, from other windows or from other houses."""
        states, watts = super().more(count, length)
        for k in [k for k, found in enumerate(self.traces.runs) if found]:
            for row in torch.nonzero(torch.rand(count) < FROM_OTHERS)[:, 0].tolist():
                trace = torch.from_numpy(self.traces.drawn(k, length, torch.rand(3))).to(watts.device)
                watts[row, k], states[row, k] = trace, (trace > 0).to(states.dtype)
        return states, watts


def read_traces(options: Namespace, config: RunConfig, series: Series, rules: Rules) -> Traces:
    """The runs of a series' devices in the files of `--overlay-from`.

    Parameters
    ----------
    options, config : the flags; files are read as --csv is.
    series : the data of the run, whose devices and step these are.
    rules : when a device is on.

    Raises
    ------
    UsageError : a file of the run itself, whose test part would be trained on.
    DataError : a file that has none of the devices, or cannot be read.
    """
    names = series.channels[1:]
    found: list[list[np.ndarray]] = [[] for _ in names]
    paths = expand_paths(options.overlay_from)
    step = seconds_of(series)
    for path in paths:
        if path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() in series.hashes:
            hint = "--overlay uses the training part of this run's own files already"
            raise UsageError(f"{path} is a file of this run", where="--overlay-from", hint=hint)
        watts = _read(path, options, config, names, round(step))
        on_w, least_on, least_off = np.array([rules.of(name, names).values for name in watts]).T
        values = np.concatenate(list(watts.values())).reshape(len(watts), -1)
        states = on_states(values, on_w, least_on, least_off, step)
        for name, power, state in zip(watts, values, states, strict=True):
            begins, lengths = runs(state)
            for begin, length in zip(begins.tolist(), lengths.tolist(), strict=True):
                if state[begin] == 1 and len(found[names.index(name)]) < MOST_TRACES:
                    found[names.index(name)].append(np.maximum(np.nan_to_num(power[begin : begin + length]), 0))
    counts = [f"{len(one):,} of {name}" for name, one in zip(names, found, strict=True) if one]
    if not counts:
        raise DataError("no device is ever on in these files", where="--overlay-from")
    none = [name for name, one in zip(names, found, strict=True) if not one]
    left = f"; none of {', '.join(none)}" if none else ""
    count = f"{len(paths)} file{'s' * (len(paths) != 1)}"
    note = f"pasted into training windows alone, runs from {count} scaled by {SCALED[0]:g} to {SCALED[1]:g}: "
    return Traces(tuple(map(tuple, found)), note + ", ".join(counts) + left)


def _read(path: Path, options: Namespace, config: RunConfig, names: Sequence[str], step: int) -> dict[str, np.ndarray]:
    """{device: watts [steps]} of a file, or of a house of a published layout. DataError where it has none of them."""
    common: dict[str, Any] = {"sample": step, "tz": config.tz or ""}
    if options.dataset:
        house = layouts.houses_of(options.dataset, [str(path)])
        wanted = layouts.located(house, {name: (name,) for name in names})
        if not wanted:
            raise _nothing(path, names, [word for one in house[0].devices.values() for word in one])
        found = layouts.read_layout(
            options.dataset, [str(path)], devices=wanted, optional=True, **common | {"tz": config.tz or "UTC"}
        )
        return dict(zip(found.channels[1:], found.values[1:], strict=True))
    from readers.files import read_header

    columns = read_header(path, config.sep)
    time_col = config.time_col or columns[0]
    columns = [column for column in columns if column not in (time_col, options.mains_col)]
    items = {word.partition("=")[0]: word.rpartition("=")[2] for word in options.device_cols}
    wanted = _columns(columns, names, path, items)
    if not wanted:
        raise _nothing(path, names, columns)
    watts = {}
    for name, column in wanted.items():  # each by itself: a plug's gaps are its own
        alone = meter_tables.read_meter(
            [path],
            time_col=time_col,
            mains_col=column,
            device_cols={},
            dialect=Dialect.of_long(config),
            sort=True,
            unit=options.device_unit or options.mains_unit,
            **common,
        )
        watts[name] = alone.values[0]
    least = min(map(len, watts.values()))
    return {name: power[:least] for name, power in watts.items()}


def _columns(columns: Sequence[str], names: Sequence[str], path: Path, items: Mapping[str, str]) -> dict[str, str]:
    """{device: its column}: of its name, its column elsewhere, spelled alike, or the only one of its kind.

    A plug's own file has one column of power, and the file's name says what it measured.
    """
    found = {}
    for name in names:
        exact = [column for column in columns if column == name]
        alike = [column for column in columns if spelled(column) == spelled(name)]
        kin = [column for column in columns if appliance(name) and appliance(column) == appliance(name)]
        same = [column for column in columns if column == items.get(name)]
        for choice in (exact, alike, kin, same):
            if len(choice) == 1:
                found[name] = choice[0]
                break
    power = [column for column in columns if spelled(column) in ALONE]
    meant = [name for name in names if _of_file(name, path)]
    if not found and len(meant) == 1 and len(power) == 1:
        return {meant[0]: power[0]}
    return found


def _of_file(name: str, path: Path) -> bool:
    stem = path.stem
    kind = appliance(name)
    return spelled(name) in spelled(stem) or bool(kind and appliance(stem) == kind)


def _nothing(path: Path, names: Sequence[str], there: Sequence[str]) -> DataError:
    what = f"has none of the devices {', '.join(names)}: it has {', '.join(there[:20])}"
    hint = "columns bear the devices' names, or a plug's file has one column of power and the device's name"
    return DataError(what, where=str(path), hint=hint)
