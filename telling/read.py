"""What was read, in one line: rows, channels, from when to when, the step, windows of each part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from data import Series
from dataset import RunData
from errors import many, printable
from splits import NAMES, Split

MOST_NAMED = 4  # channels


def of_split(run_data: RunData, split: Split) -> str:
    """The line for a run that learns; the parts are those of a fold."""
    return _line(run_data.series, {name: len(split[name]) for name in NAMES})


def to_predict(run_data: RunData, split: str, windows: int) -> str:
    """The line for inference on so many `windows` of a `split`."""
    past = "predicted" if run_data.targets is None else f"scored ({split})"
    return _line(run_data.series, {past: windows, "past the last step": len(run_data.ahead)})


def _line(series: Series, windows: Mapping[str, int]) -> str:
    counts = ", ".join(f"{count:,} {name}" for name, count in windows.items() if count)
    if (things := series.things) is not None:
        columns = things.columns
        what = f"{many(series.n_rows, 'row')} of {many(len(columns), 'column')} ({_named(columns)})"
        what += f" as {many(len(things.steps), 'input')}" * (len(things.steps) != len(columns))
        return f"read: {what}; windows: {counts or 'none'}"
    steps, lengths = int(series.offsets[-1]), series.lengths
    long = f"{lengths.min():,} to {lengths.max():,} steps" if lengths.min() < lengths.max() else f"{lengths[0]:,} steps"
    columns = series.columns
    rows = f"{many(series.n_rows, 'row')} of {long}" + (f" ({steps:,} in all)" if series.n_rows > 1 else "")
    parts = [rows, f"{many(len(columns), 'channel')} ({_named(columns)})"]
    if series.clock is not None and series.time is not None:
        first, last = series.clock.show(np.array([series.time.min(), series.time.max()]))
        parts.append(f"{first} to {last}, a step is {series.clock}")
    return f"read: {'; '.join(parts)}; windows: {counts or 'none'}"


def _named(columns: Sequence[str]) -> str:
    return ", ".join(map(printable, columns[:MOST_NAMED])) + ", ..." * (len(columns) > MOST_NAMED)
