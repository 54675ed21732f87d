"""Houses whose meters are files of their own, such as mains.csv and fridge.csv, or lines of their own in one file.

The files of one folder are one house, and a file's name is the meter's. Where a column says whose a line is and another
one has all the numbers, as home automation writes its history, a file is a house, and that column names the meters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from data import Series, Source
from readers import stem
from readers.columns import LongFile, Wanted
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
    """A file, its column of power or energy, and what its lines have in the column of ids; "" for all of them."""

    path: Path
    column: str
    id: str = ""


DAY = 86400.0  # seconds
HELD = "meters report changes: a reading holds until the next, for a day at most (--max-ffill)"
Houses = Mapping[str, Mapping[str, Meter]]  # by folder, then by the meter's name


def houses_of_files(paths: Sequence[Path], column_of: Callable[[Path], str]) -> Houses:
    """The houses of files that hold a meter each.

    Parameters
    ----------
    paths : the files. column_of : the column of power or energy of one; "" for a file of several meters.

    Returns
    -------
    {folder: {name of the file without its ending: meter}}; {} where there is one file, or a file of several meters.
    """
    found: dict[str, dict[str, Meter]] = {}
    for path in paths if len(paths) > 1 else ():
        column = column_of(path)
        if not column:
            return {}
        found.setdefault(str(path.parent), {})[path.name.split(".")[0]] = Meter(path, column)
    return found


def houses_of_lines(
    paths: Sequence[Path], column_of: Callable[[Path], str], time_col: str, id_col: str, dialect: Dialect
) -> Houses:
    """The houses of files of which each line is of the meter that a column of ids names.

    Parameters
    ----------
    paths, column_of : as for `houses_of_files`. time_col, id_col : columns. dialect : how a CSV is written.

    Returns
    -------
    {file: {id: meter}}; {} where a file has several meters in a line.
    """
    found: dict[str, dict[str, Meter]] = {}
    for path in paths:
        column = column_of(path)
        if not column:
            return {}
        ids = read_kept(path, Wanted(time_col, id_col, (column,), exact=True), dialect).ids
        assert ids is not None
        found[str(path)] = {name: Meter(path, column, name) for name in dict.fromkeys(ids.tolist())}
    return found


def read_files(
    houses: Houses,
    *,
    time_col: str,
    id_col: str = "",
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
    houses : as `houses_of_files` or `houses_of_lines` give them.
    mains_col : the meter of the mains, or several whose sum they are, as `A+B`.
    device_cols : {channel: meter}.
    unit, device_unit : of meters whose column does not name its own.
    time_col, id_col, dialect, sample, start, end, tz, max_fill, sort, optional : as for `meter_tables.read_meter`.

    Raises
    ------
    UsageError, DataError : as `meter_tables.read_meter`.
    """
    made: list[House] = []
    notes, own, apart, zone, changing = list[str](), 0, 0.0, tz, False
    one = all(mains_col in meters for meters in houses.values())
    mains = (mains_col,) if one else tuple(mains_col.split("+"))
    for folder, meters in houses.items():
        read: dict[str, tuple[Rows, dict[str, str | float], Source]] = {}
        for name in dict.fromkeys(name for name in (*mains, *device_cols.values()) if name in meters):
            file, found = _read(meters[name], time_col, id_col, dialect), not (made or read or dialect.strict)
            rows, told = in_order([file], zone, sort, found=found)  # the first meter says the zone of all
            step, spaced, said = own_step(rows.times, rows.offsets.tolist())
            if name in mains:
                own, apart, zone = max(own, step), max(apart, spaced), rows.tz
                notes += [said] * (sample is None)
            asked = unit if name in mains else device_unit or unit
            units = {file.columns[0]: own_unit if (own_unit := unit_of(file.columns[0])) in UNITS else asked}
            scaled, of_energies = energies(rows, file.columns, units, spaced)
            read[name] = rows, scaled, file.source
            notes += [*told, *of_energies, *file.notes]
        changes = any(meter.id for meter in meters.values()) and not _same_times([rows for rows, *_ in read.values()])
        changing |= changes
        made.append(House(_name_of(folder), folder, mains, {}, partial(_load, read, changes)))
    usual, told_held = (DAY, HELD) if changing else held(sample or own, apart, MAX_FILL)
    longest = usual if max_fill is None else max_fill
    notes += [told_held] * (max_fill is None and bool(told_held))
    columns = {
        device: [name if name in meters else None for meters in houses.values()] for device, name in device_cols.items()
    }
    return gather(made, columns, plan(sample or own, start, end, longest, zone), [*dict.fromkeys(notes)], optional)


def _name_of(folder: str) -> str:
    """The name of a house, of which a folder or a file is all."""
    return (stem(Path(folder)) if Path(folder).is_file() else Path(folder).name) or folder


def _read(meter: Meter, time_col: str, id_col: str, dialect: Dialect) -> LongFile:
    """The lines of a meter in its file."""
    file = read_kept(meter.path, Wanted(time_col, meter.id and id_col, (meter.column,), exact=True), dialect)
    if file.ids is None:
        return file
    kept = np.flatnonzero(file.ids == meter.id)
    return replace(
        file,
        values=file.values[:, kept],
        stamps=replace(file.stamps, times=file.stamps.times[kept]),
        ids=None,
        locate=lambda line: file.locate(int(kept[line])),
    )


def _same_times(meters: Sequence[Rows]) -> bool:
    """Whether meters have a reading each time that one has, as devices that are asked do; others report changes."""
    return all(np.array_equal(rows.times, meters[0].times) for rows in meters)


def _load(
    read: Mapping[str, tuple[Rows, Mapping[str, str | float], Source]], changes: bool, names: Sequence[str]
) -> tuple[dict[str, Readings], list[Source]]:
    meters, sources = {}, []
    for name in names:
        rows, units, source = read[name]
        meters[name] = readings(rows.times, np.asarray(rows.values[0]), changes, next(iter(units.values())))
        sources.append(source)
    return meters, sources
