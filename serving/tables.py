"""Frames and arrays as the files that a checkpoint reads: what the command line does with files holds for them too."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from checkpoint import Checkpoint
from errors import DataError, UsageError
from readers.base import csv_text
from sources import levels, things
from times.clock import Clock

if TYPE_CHECKING:
    import pandas as pd

TIME, ROW = "time", "row"  # columns of what has none by a name of its own
HERE = "predict"


def written(model: Checkpoint, given: Any, start: str, folder: Path) -> list[str]:
    """Write data as files of the kind that a model was trained on.

    Parameters
    ----------
    model : the checkpoint.
    given : a frame, a line a step, or a line a thing of a model of things; an array [C, T] or [N, C, T], channels in
        the model's order; {modality: [N, T, d]} for a model of recordings by modality; or a path, or several, of files
        that are read as they are.
    start : time of an array's first step, for a model of dated steps.
    folder : where the files go.

    Returns
    -------
    The flags that read them.

    Raises
    ------
    UsageError, DataError : data of another kind than the model's, or without times where it needs them.
    """
    import pandas as pd

    paths = list(given) if isinstance(given, list | tuple) else [given]
    if paths and all(isinstance(path, str | os.PathLike) for path in paths):
        return ["--npz" if model.setting("npz") else "--csv", *map(os.fspath, paths)]
    frame = given if isinstance(given, pd.DataFrame) else given.to_frame() if isinstance(given, pd.Series) else None
    if frame is not None and things.of(model.coding) is not None:
        path = folder / f"{model.input_channels[0]}.csv"
        frame.to_csv(path, index=False, na_rep="nan")
        return ["--csv", str(path)]
    if model.setting("npz"):
        return _recordings(model, given if frame is None else _lines(model, frame), folder)
    if model.setting("time_col") or (model.clock is not None and not _labels_lines(model)):
        return _long(model, _dated(model, given, start) if frame is None else frame, folder)
    return _wide(model, _array(model, given) if frame is None else _lines(model, frame), folder)


def _labels_lines(model: Checkpoint) -> bool:
    """Whether a model labels the series of wide files, to which the dates of their columns say nothing."""
    return bool(model.setting("csv")) and not model.setting("time_col") and model.model.forecast is None


def _array(model: Checkpoint, given: Any) -> dict[str, np.ndarray]:
    """{channel: [N, T]} of an array."""
    _check_no_words(model)
    values, channels = np.asarray(given, np.float64), model.input_channels
    values = values[None] if values.ndim == 2 else values
    if values.ndim != 3 or values.shape[1] != len(channels):
        what = f"takes [{len(channels)}, T] or [N, {len(channels)}, T] with {', '.join(channels[:8])}"
        raise DataError(f"{what}; got {list(np.shape(given))}", where=HERE, hint="a DataFrame names its columns")
    return {name: values[:, c] for c, name in enumerate(channels)}


def _check_no_words(model: Checkpoint) -> None:
    """DataError where the model sees categories, and what it is given has only numbers."""
    words = [each.name for each in levels.of(model.coding)]
    if words:
        hint = f"a DataFrame with the columns {', '.join(model.input_channels[:8])}"
        if model.setting("npz"):
            hint = f"a dictionary of arrays: a modality [N, T, d], {' and '.join(words)} [N]"
        raise DataError(f"{', '.join(words)} are categories, and these are numbers", where=HERE, hint=hint)


def _lines(model: Checkpoint, frame: pd.DataFrame) -> dict[str, np.ndarray]:
    """{channel: [1, T]} of a frame whose lines are the steps of one row; a label may be absent."""
    if model.setting("npz"):
        _check_no_words(model)
    words = [each.name for each in levels.of(model.coding)]
    found = {str(name): frame[name].to_numpy(object if name in words else np.float64)[None] for name in frame.columns}
    return {name: found[name] for name in model.input_channels if name in found}


def _wide(model: Checkpoint, values: Mapping[str, np.ndarray], folder: Path) -> list[str]:
    if not values:
        raise DataError(f"has none of the columns {', '.join(model.input_channels[:8])}", where=HERE)
    paths = []
    for name, table in values.items():
        paths.append(folder / f"{name}.csv")
        _write(paths[-1], table)
    return ["--csv", *map(str, paths), "--header", "no", "--index", "no"]


def _write(path: Path, table: np.ndarray) -> None:
    """Numbers [N, T] so that they are read as they are, or words; missing ones are nan."""
    if table.dtype == object:
        path.write_bytes(csv_text(table.tolist()).getvalue())
        return
    lines = (",".join("nan" if np.isnan(value) else repr(value) for value in row) for row in table.tolist())
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _recordings(model: Checkpoint, given: Any, folder: Path) -> list[str]:
    arrays: dict[str, np.ndarray] = {}
    if isinstance(given, Mapping) and not set(given) <= set(model.input_channels):
        arrays = {name: np.asarray(part) for name, part in given.items()}
    else:
        values = given if isinstance(given, Mapping) else _array(model, given)
        for name in dict.fromkeys(channel.partition(".")[0] for channel in values):
            own = [channel for channel in values if channel.partition(".")[0] == name]
            arrays[name] = np.stack([values[channel] for channel in own], axis=2)
            arrays[f"{name}_names"] = np.array([channel.partition(".")[2] for channel in own])
    path = folder / "recordings.npz"
    np.savez(path, **arrays)  # type: ignore[arg-type]
    return ["--npz", str(path)]


def _dated(model: Checkpoint, given: Any, start: str) -> pd.DataFrame:
    """The frame of an array whose first step is at `start`."""
    import pandas as pd

    values, clock = _array(model, given), None if model.clock is None else Clock.of(model.clock)
    rows, steps = next(iter(values.values())).shape
    times: Any = range(steps)
    if clock is not None:
        if not start:
            hint = f"predict(array, start='2024-01-01'); its steps are {clock.freq}. Or a DataFrame with times"
            raise UsageError("the model's steps have dates, and an array has none", where=HERE, hint=hint)
        first = pd.Timestamp(start)
        first = first.tz_localize(clock.tz) if clock.tz and first.tzinfo is None else first
        nanoseconds = first.as_unit("ns").value
        times = clock.show(np.concatenate([[nanoseconds], clock.extend(nanoseconds, steps - 1)]).astype(np.int64))
    columns = {name: part.ravel() for name, part in values.items()}
    keys = {_id_column(model): np.repeat(np.arange(rows), steps)} if rows > 1 else {}
    return pd.DataFrame(keys | {_time_column(model): list(times) * rows} | columns)


def _time_column(model: Checkpoint) -> str:
    name = str(model.setting("time_col") or TIME)
    return TIME if "+" in name else name


def _id_column(model: Checkpoint) -> str:
    return str(model.setting("id_col") or ROW)


def _long(model: Checkpoint, frame: pd.DataFrame, folder: Path) -> list[str]:
    import pandas as pd

    time, own = _time_column(model), str(model.setting("time_col") or TIME)
    if any(name not in frame.columns for name in own.split("+")):
        if isinstance(frame.index, pd.PeriodIndex):
            frame = frame.set_axis(frame.index.to_timestamp())
        if isinstance(frame.index, pd.MultiIndex):
            frame = frame.reset_index()
        elif isinstance(frame.index, pd.DatetimeIndex) or model.clock is None:
            frame = frame.rename_axis(time).reset_index()
        if time not in frame.columns:
            hint = f"frame.set_index(...), or a column named {time}"
            raise DataError(f"has no times: neither its index nor a column {own}", where=HERE, hint=hint)
        own = time
    path = folder / "frame.csv"
    frame.to_csv(path, index=False, na_rep="nan")
    id_column = _id_column(model)
    more = ["--id-col", id_column] if id_column in frame.columns else []
    kind = frame.dtypes.get(own)
    if isinstance(kind, pd.DatetimeTZDtype) and model.clock is not None and not model.clock["tz"]:
        more += ["--tz", str(kind.tz)]  # training had times of the wall clock
    return ["--csv", str(path), "--time-col", own, *more]
