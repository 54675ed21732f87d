"""Household meters as long tables: a column of times, one of the mains or several, and one for each device."""

from __future__ import annotations

import shlex
from collections.abc import Container, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from data import Series, Source
from errors import DataError, UsageError
from readers.columns import LongFile, Wanted, read_names
from readers.dialect import AUTO, Dialect
from readers.files import dialect_of
from readers.kept import read_kept
from readers.rows import Rows, check_doubled, check_order, file_names, join, oldest_first
from readers.zoned import set_zone
from sources.energies import energies
from sources.grids import MAX_FILL, UNITS, House, Readings, gather, plan, readings
from sources.own_step import held, own_step

COMMA = Dialect(header="yes", index="no")
SOME_DAY = 1577836800  # seconds since 1970: 2020-01-01, from which a file without times may count


def read_meter(
    paths: Sequence[Path | str],
    *,
    time_col: str,
    id_col: str = "",
    mains_col: str,
    device_cols: Mapping[str, str],
    sample: float | None = None,
    start: str = "",
    end: str = "",
    tz: str = "",
    dialect: Dialect = COMMA,
    max_fill: float | None = None,
    sort: bool = False,
    optional: bool = False,
    unit: str = "W",
    device_unit: str = "",
) -> Series:
    """Long tables of meters as rows of one Series in W: channel "mains", then the devices by name.

    Lines may have uneven times: a step has the mean of its lines, and without any the line before, unless more than
    `max_fill` seconds lie between two lines. Lines at one time are averaged. Lines that come newest first are turned.

    Parameters
    ----------
    paths : the files. dialect : how a CSV is written.
    time_col, id_col, mains_col : columns of times, of houses ("": a file is one) and of mains, as `A+B` summed.
    device_cols : {name of the channel: column}.
    tz : the zone of times without an offset, in which all are shown; "" leaves them as they are.
    sort : sorts lines by time; otherwise times that go back are an error.
    sample : seconds of a step; None for that of the lines, see `own_step`.
    max_fill : seconds without a line that are filled; None: 60, or longer where lines are further apart, see `held`.
    start, end, optional : as for `layouts.read_layout`.
    unit, device_unit : of the mains and of the devices: W, kW, or Wh and kWh of registers; "" for that of the mains.

    Raises
    ------
    UsageError, DataError : as for `layouts.read_layout`.
    """
    if not paths:
        raise UsageError("no file given", where="--csv")
    mains = _parts(mains_col, Path(paths[0]), dialect, time_col)
    units = dict.fromkeys(device_cols.values(), device_unit or unit) | dict.fromkeys(mains, unit)
    exact = any(UNITS[one][1] for one in units.values())  # what a register rises by is little beside what it shows
    cells = Wanted(time_col, id_col, tuple(dict.fromkeys([*mains, *device_cols.values()])), exact=exact)
    anywhere = set().union(*(read_names(Path(path), dialect, cells.keys) for path in paths)) if optional else set()
    files = [_read_there(Path(path), cells, dialect, anywhere - {*mains}) for path in paths]
    rows, notes = in_order(files, tz, sort, found=not dialect.strict)
    own, apart, told = own_step(rows.times, rows.offsets.tolist())
    notes += [told] * (sample is None)
    scaled, of_lines = energies(rows, files[0].columns, units, apart)
    longest, told = held(sample or own, apart, MAX_FILL) if max_fill is None else (max_fill, "")
    notes += filter(None, [told])
    wanted = plan(sample or own, start, end, longest, rows.tz)
    houses = []
    for row, (begin, stop) in enumerate(rows.spans()):
        load = partial(readings_of, rows.times[begin:stop], rows.values[:, begin:stop], rows.of[row], scaled)
        houses.append(House(rows.names[row], str(rows.of[row].path), mains, {}, load))
    notes += dict.fromkeys([*of_lines, *(note for file in files for note in file.notes)])
    return gather(houses, {n: [c] * len(houses) for n, c in device_cols.items()}, wanted, notes, optional)


def _parts(mains_col: str, path: Path, dialect: Dialect, time_col: str) -> tuple[str, ...]:
    """The column of the mains, or those that `A+B` names."""
    if "+" not in mains_col or mains_col in read_names(path, dialect, (time_col,)):
        return (mains_col,)
    return tuple(filter(None, mains_col.split("+")))


def _read_there(path: Path, cells: Wanted, dialect: Dialect, optional: Container[str]) -> LongFile:
    """A file with all wanted columns; those of the `optional` ones that it lacks are missing values."""
    asked = cells.columns or ()
    names = read_names(path, dialect, cells.keys) if any(name in optional for name in asked) else asked
    there = tuple(name for name in asked if name in names or name not in optional)
    file = read_kept(path, replace(cells, columns=there), dialect)
    number = np.float64 if cells.exact else np.float32
    if there == asked:
        return replace(file, values=file.values.astype(number, copy=False))
    values = np.full((len(asked), file.lines), np.nan, number)
    values[[asked.index(name) for name in there]] = file.values
    at = tuple(file.at[there.index(name)] if name in there else -1 for name in asked)
    return replace(file, columns=asked, at=at, values=values)


def in_order(files: Sequence[LongFile], tz: str, sort: bool, *, found: bool) -> tuple[Rows, list[str]]:
    """The files as rows in their zone, checked for their order unless they are to be sorted; and notes.

    Parameters
    ----------
    files : with times. tz : as for `read_meter`. sort : whether lines are sorted by time.
    found : as for `set_zone`.

    Raises
    ------
    DataError : steps without times, or times that go back.
    """
    if any(file.stamps.counted for file in files):
        what = "meters need times, and this column counts steps"
        path = files[0].path
        sep = dialect_of(path, Dialect(AUTO, AUTO)).sep
        names = f"""NR==1{{print "time{sep}"$0}} NR>1{{print {SOME_DAY}+3*(NR-2)"{sep}"$0}}"""
        command = f"awk '{names}' {shlex.quote(str(path))} > timed{path.suffix}"
        hint = "--time-col names a column of dates and times, or of seconds since 1970; where the file has none"
        raise DataError(what, where="--time-col", hint=f"{hint} and its lines are 3 s apart, {command} writes one")
    rows, turned = oldest_first(join(files, file_names([file.path for file in files])))
    rows, notes = set_zone(rows, tz, found=found)
    if sort:
        check_doubled(rows)
    else:
        check_order(rows, averaged=True, sorts=True)
    return rows, [*turned, *notes]


def readings_of(
    times: np.ndarray, values: np.ndarray, file: LongFile, units: Mapping[str, str | float], columns: Sequence[str]
) -> tuple[dict[str, Readings], list[Source]]:
    """Columns of a long file as readings, at times that may differ from those in the file; W without a unit."""
    numbers = {column: values[file.columns.index(column)] for column in columns}
    meters = {column: readings(times, one, unit=units.get(column, "W")) for column, one in numbers.items()}
    return meters, [file.source]
