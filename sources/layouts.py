"""Household meters as published data sets lay them out.

REFIT (Murray et al. 2017, doi 10.1038/sdata.2016.122): `CLEAN_HouseN.csv`, a line every six to eight seconds. UK-DALE
(Kelly and Knottenbelt 2015, doi 10.1038/sdata.2015.7) and REDD (Kolter and Johnson 2011): folders `house_N` with
`channel_M.dat`, lines of Unix seconds and watts, and `labels.dat`. DEDDIAG (Wenninger et al. 2021,
doi 10.1038/s41597-021-00963-2): folders of TSV dumps, `items.tsv` and `item_NNNN_data.tsv`, with a line where a value
changes and at least one an hour.
"""

from __future__ import annotations

import io
import re
import shlex
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from data import Series, Source
from errors import DataError, UsageError, nearest
from readers.columns import Wanted, read_file
from readers.dialect import Dialect
from readers.files import decode, open_table, read_cells, read_header
from readers.kept import read_kept
from sources.appliances import appliance, spelled
from sources.grids import MAX_FILL, SECOND, House, Readings, gather, plan, readings
from sources.meter_tables import COMMA, SOME_DAY, readings_of

HOURLY = 3605.0  # seconds: a meter that reports changes reports once an hour too, so a longer silence is a fault
_TAB = Dialect("\t", header="yes", index="no")
_SECONDS = (10**8, 10**10)  # Unix times from 1973 to 2286
_TOTAL, _PHASE = "Smart Meter Total", "Smart Meter Phase"  # DEDDIAG's categories
# What hangs on Appliance1 to Appliance9 of each house; "" is not known.
_REFIT = {
    1: "fridge, freezer 1, freezer 2, washer dryer, washing machine, dishwasher, computer, television, electric heater",
    2: "fridge freezer, washing machine, dishwasher, television, microwave, toaster, hi-fi, kettle, overhead fan",
    3: "toaster, fridge freezer, freezer, tumble dryer, dishwasher, washing machine, television, microwave, kettle",
    4: "fridge, freezer, fridge freezer, tumble dryer, washing machine 1, washing machine 2, television, microwave, "
    "kettle",
    5: "fridge freezer, tumble dryer, washing machine, dishwasher, computer, television, microwave, kettle, toaster",
    6: "freezer, washing machine, dishwasher, computer 1, television, microwave, kettle, toaster, computer 2",
    7: "fridge, freezer 1, freezer 2, tumble dryer, washing machine, dishwasher, television, toaster, kettle",
    8: "fridge, freezer, washer dryer, washing machine, toaster, computer, television, microwave, kettle",
    9: "fridge freezer, washer dryer, washing machine, dishwasher, television, microwave, kettle, hi-fi, "
    "electric heater",
    10: "blender, toaster, freezer, fridge freezer, washing machine, dishwasher, television, microwave, food mixer",
    11: "fridge, fridge freezer, washing machine, dishwasher, computer, microwave, kettle, router, hi-fi",
    12: "fridge freezer, , , computer, microwave, kettle, toaster, television, ",
    13: "television, freezer, washing machine, dishwasher, , network, microwave 1, microwave 2, kettle",
    15: "fridge freezer, tumble dryer, washing machine, dishwasher, computer, television, microwave, hi-fi, toaster",
    16: "fridge freezer 1, fridge freezer 2, electric heater 1, electric heater 2, washing machine, dishwasher, "
    "computer, television, dehumidifier",
    17: "freezer, fridge freezer, tumble dryer, washing machine, computer, television 1, microwave, kettle, "
    "television 2",
    18: "fridge, freezer, fridge freezer, washer dryer, washing machine, dishwasher, computer, television, microwave",
    19: "fridge freezer, washing machine, television, microwave, kettle, toaster, bread maker, games console, hi-fi",
    20: "fridge, freezer, tumble dryer, washing machine, dishwasher, computer, television, microwave, kettle",
    21: "fridge freezer, tumble dryer, washing machine, dishwasher, food mixer, television, , vivarium, pond pump",
}


def read_layout(
    name: str,
    paths: Sequence[Path | str],
    *,
    devices: Sequence[str] | Mapping[str, str] | None = None,
    optional: bool = False,
    sample: float = 8,
    start: str = "",
    end: str = "",
    tz: str = "UTC",
    max_fill: float | None = None,
) -> Series:
    """Houses of a published data set as rows of one Series in W, its first channel "mains".

    Parameters
    ----------
    name : refit, ukdale, redd or deddiag-tsv.
    paths : a file `CLEAN_HouseN.csv` per house for refit, a folder per house for the others.
    devices : names, or columns (`Appliance1`, `channel_5`, an item's number), or {name of the channel: either};
        None for all devices that every house has.
    optional : a house may lack a device, whose values are then missing; one that no house has is an error.
    sample : seconds of a step, whole.
    start, end : the range, end excluded; in `tz`, where they have no offset. Only whole steps within it are used.
    tz : the zone in which times are shown.
    max_fill : the longest gap between two samples in seconds that is filled with the former; a longer one stays NaN
        (None: 60). For deddiag-tsv how long a value holds at most (None: 3605, an hour and a little).

    Raises
    ------
    UsageError : an unknown data set, a step or time that is not valid.
    DataError : files that do not have the layout, an unknown device, a range without data.
    """
    houses = houses_of(name, paths)
    longest = max_fill if max_fill is not None else HOURLY if name in HELD else MAX_FILL
    wanted = plan(sample, start, end, longest, tz)
    columns, notes = _select(houses, devices, optional)
    return gather(houses, columns, wanted, notes, optional)


def houses_of(name: str, paths: Sequence[Path | str]) -> list[House]:
    """The houses of a published data set, whose meters are not read yet.

    Parameters
    ----------
    name, paths : as for `read_layout`.

    Raises
    ------
    UsageError : an unknown data set, or no path.
    DataError : files that do not have the layout, or are the same house.
    """
    if name not in LAYOUTS:
        raise UsageError(f"no data set {name!r}", where="--dataset", hint=nearest(name, LAYOUTS) or ", ".join(LAYOUTS))
    if not paths:
        raise UsageError("no file or folder given", where="--csv")
    houses = [LAYOUTS[name](Path(path)) for path in paths]
    if len({house.name for house in houses}) < len(houses):
        raise DataError("two of the files are the same house", where=", ".join(map(str, paths)))
    return houses


def located(houses: Sequence[House], items: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Of the items that each device may go by, the first that is one device of some house: {device: item}."""
    found = {}
    for device, words in items.items():
        for word in reversed(words):
            if any(len(_meant(house, word)) == 1 for house in houses):
                found[device] = word
    return found


# ---- which columns


def _select(
    houses: Sequence[House], devices: Sequence[str] | Mapping[str, str] | None, optional: bool
) -> tuple[dict[str, list[str | None]], list[str]]:
    """The column of each device in each house, and notes; None where a house does not have an optional one.

    DataError for one that a house does not have, or an optional one that none has.
    """
    if devices is None:
        first, *others = [[names[0] for names in house.devices.values()] for house in houses]
        common = [name for name in first if all(name in other for other in others)]
        if not common:
            hint = "; ".join(f"{house.name}: {_listed(house)}" for house in houses)
            raise DataError("the houses have no device in common", where="--device-cols", hint=hint)
        left = sorted({name for names in (first, *others) for name in names} - set(common))
        notes = [f"left out, not in every house: {', '.join(left)}"] if left else []
        return {name: [_column(house, name) for house in houses] for name in common}, notes
    asked = devices if isinstance(devices, Mapping) else {name: name for name in devices}
    columns: dict[str, list[str | None]] = {}
    for name, text in asked.items():
        lenient = optional and any(_meant(house, text) for house in houses)
        columns[name] = [None if lenient and not _meant(house, text) else _column(house, text) for house in houses]
    return columns, []


def _column(house: House, text: str) -> str:
    """The column that `text` names: itself, its name in any spelling, or the only one of the same appliance."""
    found = _meant(house, text)
    if len(found) == 1:
        return found[0]
    if found:
        what = f"{text!r} could be {', '.join(f'{house.devices[column][0]} ({column})' for column in found)}"
        raise DataError(what, where=house.where, hint=f"--device-cols {text}={found[0]} chooses one")
    known = [word for column, names in house.devices.items() for word in (*names, column)]
    hint = "; ".join(part for part in (nearest(text, known), f"its devices: {_listed(house)}") if part)
    raise DataError(f"no device {text!r}", where=house.where, hint=hint)


def _meant(house: House, text: str) -> list[str]:
    """The columns that `text` may name: of that name, else of one spelled alike, else of the same appliance."""
    named = house.devices.items()
    plain, kind = spelled(text), appliance(text)
    exact = [column for column, names in named if text == column or text in names]
    alike = [column for column, names in named if plain in map(spelled, (column, *names))]
    kin = [column for column, names in named if kind and kind in map(appliance, names)]
    return exact or alike or kin


def _listed(house: House) -> str:
    return ", ".join(f"{names[0]} ({column})" for column, names in house.devices.items())


def _unique(names: Sequence[str]) -> list[str]:
    """The names, numbered where they occur more than once: lighting 1, lighting 2."""
    counts: dict[str, int] = {}
    unique = []
    for name in names:
        counts[name] = counts.get(name, 0) + 1
        unique.append(f"{name} {counts[name]}" if names.count(name) > 1 else name)
    return unique


# ---- the layouts


def _refit(path: Path) -> House:
    header = read_header(path)
    number = re.search(r"House_?(\d+)", path.name, re.IGNORECASE)
    known = _REFIT.get(int(number[1]), "") if number else ""
    names = known.split(", ") if known else []
    devices = {}
    for column in header:
        if match := re.fullmatch(r"Appliance(\d+)", column):
            at = int(match[1]) - 1
            devices[column] = (names[at] if at < len(names) and names[at] else column,)
    if not devices:
        what = "has no column Appliance1 to Appliance9"
        raise DataError(what, where=str(path), hint=f"its columns: {', '.join(header[:30])}")
    name = f"house_{number[1]}" if number else path.name.split(".")[0]
    return House(name, str(path), ("Aggregate",), devices, partial(_load_refit, path))


def _load_refit(path: Path, columns: Sequence[str]) -> tuple[dict[str, Readings], list[Source]]:
    file = read_kept(path, Wanted("Unix", "", tuple(columns), exact=True), COMMA)
    return readings_of(file.stamps.times, file.values, file, {}, columns)


def _channels(folder: Path) -> House:
    """UK-DALE and REDD: a house's folder of channels."""
    labels = folder / "labels.dat"
    if not labels.is_file():
        inside = sorted(path.name for path in folder.glob("house_*")) if folder.is_dir() else []
        hint = f"name its houses: {', '.join(inside)}" if inside else "the folder of a house, such as house_1"
        raise DataError("there is no labels.dat", where=str(folder), hint=hint)
    named = {}
    for line, text in enumerate(decode(labels.read_bytes()).splitlines(), 1):
        match = re.fullmatch(r"\s*(\d{1,9})\s+(\S.*?)\s*", text)
        if not match and text.strip():
            raise DataError(f"{text[:40]!r} is not a channel and its name", where=f"{labels}:{line}")
        if match:
            named[f"channel_{int(match[1])}"] = match[2]
    mains = tuple(c for c in ("channel_1", "channel_2") if named.get(c) in ("aggregate", "mains"))
    if not mains:
        raise DataError("neither channel 1 nor 2 is named aggregate or mains", where=str(labels))
    columns = [column for column in named if column not in mains]
    names = _unique([named[column] for column in columns])
    devices = {column: (name,) for column, name in zip(columns, names, strict=True)}
    return House(folder.name, str(folder), mains, devices, partial(_load_channels, folder))


def _load_channels(folder: Path, columns: Sequence[str]) -> tuple[dict[str, Readings], list[Source]]:
    meters, sources = {}, []
    for column in columns:
        path = _packed(folder / f"{column}.dat")
        with open_table(path) as table:
            text = table.text.read()
        seconds, watts = _two_columns(text, path)
        meters[column] = readings(np.rint(seconds * 1000).astype(np.int64) * (SECOND // 1000), watts)
        sources.append(Source(str(path), table.sha256, table.bytes, (len(watts), 2)))
    return meters, sources


def _two_columns(text: bytes, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Unix seconds float64 [n] and watts float32 [n] of lines `seconds watts`. DataError at the first other line."""
    import pandas

    if not text.strip():
        return np.empty(0), np.empty(0, np.float32)
    try:
        dtypes: dict[int, Any] = {0: np.float64, 1: np.float32}
        frame = pandas.read_csv(io.BytesIO(text), sep=r"\s+", header=None, dtype=dtypes)
    except ValueError:  # of which pandas' ParserError is one
        frame = None
    if frame is None or frame.shape[1] != 2 or frame[1].isna().any() or not frame[0].between(*_SECONDS).all():
        for line, cells in enumerate(map(str.split, decode(text).splitlines()), 1):
            numbers = [COMMA.number(cell) for cell in cells]
            if cells and (len(cells) != 2 or None in numbers or not _SECONDS[0] <= (numbers[0] or 0) <= _SECONDS[1]):
                what = f"{' '.join(cells)[:40]!r} is not a time in Unix seconds and a number of watts"
                command = f"awk '{{print {SOME_DAY}+3*NR, $1}}' {shlex.quote(str(path))} > timed"
                alone = f"if it is watts alone, every 3 s, {command} writes times" if numbers[1:] == [] else ""
                raise DataError(what, where=f"{path}:{line}", hint=alone)
        raise DataError("is not lines of Unix seconds and watts", where=str(path))
    return frame[0].to_numpy(), frame[1].to_numpy()


def _packed(path: Path) -> Path:
    """The file, or the gzip file of the same name where only that exists."""
    packed = path.with_name(path.name + ".gz")
    return packed if packed.is_file() and not path.is_file() else path


def _deddiag(folder: Path) -> House:
    lines, _ = read_cells(folder / "items.tsv", _TAB)
    header = lines[0]
    if not {"id", "name", "category"} <= set(header):
        what = f"has columns {', '.join(header)}, not id, name and category"
        raise DataError(what, where=f"{folder / 'items.tsv'}:1")
    for line, cells in enumerate(lines[1:], 2):
        if len(cells) != len(header) or not re.fullmatch(r"\d{1,9}", cells[header.index("id")]):
            raise DataError(f"{' '.join(cells)[:40]!r} is not an item", where=f"{folder / 'items.tsv'}:{line}")
    items = [dict(zip(header, cells, strict=True)) for cells in lines[1:]]
    items = [item for item in items if _packed(_dump(folder, item["id"])).is_file()]
    total = [item["id"] for item in items if item["category"] == _TOTAL]
    phases = [item["id"] for item in items if item["category"] == _PHASE]
    if not total and not phases:
        what = f"no item of category {_TOTAL!r} or {_PHASE!r} has a dump"
        raise DataError(what, where=str(folder), hint="a folder such as house_08 with its item_NNNN_data.tsv")
    devices = [item for item in items if item["category"] not in (_TOTAL, _PHASE)]
    names = _unique([item["name"] for item in devices])
    named = {item["id"]: (name, item["category"]) for item, name in zip(devices, names, strict=True)}
    return House(folder.name, str(folder), tuple(total[:1] or phases), named, partial(_load_deddiag, folder))


def _dump(folder: Path, item: str) -> Path:
    return folder / f"item_{int(item):04d}_data.tsv"


def _load_deddiag(folder: Path, columns: Sequence[str]) -> tuple[dict[str, Readings], list[Source]]:
    meters, sources = {}, []
    for column in columns:
        file = read_file(_packed(_dump(folder, column)), Wanted("time", "", ("value",)), _TAB)
        meters[column] = readings(file.stamps.times, file.values[0], held=True)
        sources.append(file.source)
    return meters, sources


HELD = ("deddiag-tsv",)  # whose meters report changes
LAYOUTS = {"refit": _refit, "ukdale": _channels, "redd": _channels, "deddiag-tsv": _deddiag}
