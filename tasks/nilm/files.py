"""The files of a disaggregation: its timeline, the figures of each device, and what the outputs stand for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rundir import safe_cell, texts, write_columns, write_csv, write_json
from tasks.nilm.features import DAY, MAINS, seconds_of
from tasks.nilm.metrics import energy_by_day
from tasks.nilm.timeline import Decided
from tasks.predictions import EvalContext

AT_ONCE = 1 << 16  # steps


def write_timeline(path: Path, eval_context: EvalContext, decided: Decided) -> None:
    """timeline.csv: time, mains, per device probability, state and the watts that count (and truth where it is known).

    `over` is 1 where the devices that are on were together more than the mains, before that was their cap.
    """
    line, on, watts = decided.line, decided.on, decided.watts
    series, clock, time_axis = eval_context.series, eval_context.series.clock, eval_context.series.time
    assert clock is not None and time_axis is not None
    mains = series.values[0, line.at]
    row = ["row"] if series.several else []
    truth = None if line.on is None or line.true_watts is None else (line.on, line.true_watts)
    known = [] if truth is None else ["on", "watts"]
    header = [*row, "time", MAINS, "over"]
    header += [
        f"{name} {what}" for name in eval_context.names for what in ("p", "state", "W", *(f"true {t}" for t in known))
    ]

    ids = list(map(safe_cell, series.rows))

    def columns() -> Iterator[Sequence[Sequence[Any]]]:
        for begin in range(0, len(line.at), AT_ONCE):
            part = slice(begin, begin + AT_ONCE)
            named = [[ids[r] for r in line.rows[part].tolist()]] if row else []
            found = [*named, clock.show(time_axis[line.at[part]])]
            found += [texts(mains[part]), texts(decided.over[part].astype(int))]
            for k in range(len(eval_context.names)):
                found += [texts(line.score[k, part]), texts(on[k, part].astype(int)), texts(watts[k, part])]
                for true in truth or ():  # of a device that a house lacks there is none
                    found.append(["" if text == "nan" else text for text in texts(true[k, part])])
            yield found

    write_columns(path, header, columns())


def write_energy(path: Path, eval_context: EvalContext, decided: Decided) -> None:
    """energy.csv: a line a day with the kWh of the mains and of each device, of the hours that windows cover."""
    series, seconds, at = eval_context.series, seconds_of(eval_context.series), decided.line.at
    assert series.clock is not None and series.time is not None
    days = series.clock.wall(series.time[at]) // DAY
    power = np.concatenate([series.values[:1, at], decided.energy])
    found, kwh = energy_by_day(power, days, seconds)
    hours = np.bincount(np.searchsorted(found, days), minlength=len(found)) * seconds / 3600
    shown = np.datetime_as_string(found.astype("datetime64[D]"))
    header = ["day", "hours", MAINS, *eval_context.names]
    lines = ([d, f"{h:.4g}", *(f"{k:.4f}" for k in row)] for d, h, row in zip(shown, hours, kwh.T, strict=True))
    write_csv(path, header, lines)


def write_scales(folder: Path, eval_context: EvalContext, factor: Sequence[float]) -> None:
    """Write normalizer.json: mean and deviation of each input, and by how many watts an output of 1 stands for [K]."""
    outputs = {"outputs": list(eval_context.names), "output_factor": list(factor), "output_unit": "W"}
    write_json(folder / "normalizer.json", {**eval_context.scaler, **outputs})


def write_devices(folder: Path, found: Mapping[str, Any]) -> None:
    """Write kpis.json, and per_device_metrics.csv with a line for each device."""
    write_json(folder / "kpis.json", found)
    devices = found["devices"]
    keys = [key for key, value in next(iter(devices.values())).items() if not isinstance(value, dict)]
    lines = ([name, *("" if row[key] is None else row[key] for key in keys)] for name, row in devices.items())
    write_csv(folder / "per_device_metrics.csv", ["device", *keys], lines)
