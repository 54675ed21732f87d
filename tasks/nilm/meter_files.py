"""Houses whose meters are files of their own, such as mains.csv and fridge.csv: each a time and one column of numbers.

The files of one folder are one house, and a file's name is the meter's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from data import Series, Source
from readers.columns import Wanted
from readers.dialect import Dialect
from readers.kept import read_kept
from readers.rows import Rows
from sources.energies import energies
from sources.grids import MAX_FILL, UNITS, House, Readings, gather, plan, readings
from sources.meter_tables import in_order
from sources.own_step import held, own_step
from tasks.units_of_names import unit_of


@dataclass(frozen=True)
class Meter:
    """A file, and its only column of numbers."""

    path: Path
    column: str


Houses = Mapping[str, Mapping[str, Meter]]  # by folder, then by the meter's name


def houses_of_files(paths: Sequence[Path], columns_of: Callable[[Path], Sequence[str]]) -> Houses:
    """The houses of files that hold a meter each.

    Parameters
    ----------
    paths : the files. columns_of : the columns of numbers of one.

    Returns
    -------
    {folder: {name of the file without its ending: meter}}; {} where there is one file, or a file of other columns.
    """
    found: dict[str, dict[str, Meter]] = {}
    for path in paths if len(paths) > 1 else ():
        columns = columns_of(path)
        if len(columns) != 1:
            return {}
        found.setdefault(str(path.parent), {})[path.name.split(".")[0]] = Meter(path, columns[0])
    return found


def read_files(
    houses: Houses,
    *,
    time_col: str,
    mains_col: str,
    device_cols: Mapping[str, str],
    dialect: Dialect,
    sample: float | None,
    start: str,
    end: str,
    tz: str,
    max_fill: float | None,
    sort: bool,
    optional: bool,
    unit: str,
    device_unit: str,
) -> Series:
    """The houses as rows of one Series in W: channel "mains", then the devices by name.

    Parameters
    ----------
    houses : as `houses_of_files` gives them.
    mains_col : the meter of the mains, or several whose sum they are, as `A+B`.
    device_cols : {name of the channel: name of the meter}.
    unit, device_unit : of meters whose column does not name its own.
    time_col, dialect, sample, start, end, tz, max_fill, sort, optional : as for `meter_tables.read_meter`.

    Raises
    ------
    UsageError, DataError : as `meter_tables.read_meter`.
    """
    made, notes, own, apart, zone = [], [], 0, 0.0, tz
    one = all(mains_col in meters for meters in houses.values())
    mains = (mains_col,) if one else tuple(mains_col.split("+"))
    for folder, meters in houses.items():
        read: dict[str, tuple[Rows, dict[str, str | float], Source]] = {}
        for name in dict.fromkeys([*mains, *device_cols.values()]):
            if name not in meters:
                continue
            meter = meters[name]
            file = read_kept(meter.path, Wanted(time_col, "", (meter.column,), exact=True), dialect)
            rows, told = in_order([file], tz, sort)
            step, spaced, said = own_step(rows.times, rows.offsets.tolist())
            if name in mains:
                own, apart, zone = max(own, step), max(apart, spaced), rows.tz
                notes += [said] * (sample is None)
            of_column = unit_of(meter.column) if unit_of(meter.column) in UNITS else ""
            units = {meter.column: of_column or (unit if name in mains else device_unit or unit)}
            scaled, of_lines = energies(rows, file.columns, units, spaced)
            read[name] = rows, scaled, file.source
            notes += [*told, *of_lines, *file.notes]
        made.append(House(Path(folder).name or folder, folder, mains, {}, partial(_load, read)))
    longest, told_held = held(sample or own, apart, MAX_FILL) if max_fill is None else (max_fill, "")
    notes += [told_held] * bool(told_held)
    columns: dict[str, list[str | None]] = {
        device: [name if name in meters else None for meters in houses.values()] for device, name in device_cols.items()
    }
    return gather(made, columns, plan(sample or own, start, end, longest, zone), [*dict.fromkeys(notes)], optional)


def _load(
    read: Mapping[str, tuple[Rows, Mapping[str, str | float], Source]], names: Sequence[str]
) -> tuple[dict[str, Readings], list[Source]]:
    meters, sources = {}, []
    for name in names:
        rows, units, source = read[name]
        meters[name] = readings(rows.times, np.asarray(rows.values[0]), unit=next(iter(units.values())))
        sources.append(source)
    return meters, sources
