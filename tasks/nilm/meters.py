"""Which columns of a table are the mains and the devices, and in which unit, where no flag says it."""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from config import RunConfig
from errors import UsageError
from readers.columns import read_names
from readers.dialect import Dialect
from readers.files import dialect_of, first_lines
from readers.fitting import rows_of
from readers.missing import is_mark
from readers.paths import expand_paths
from readers.tidying import numbered
from registry import Namespace
from sources.appliances import appliance, spelled
from sources.grids import UNITS
from tasks.nilm.features import header
from tasks.nilm.meter_files import Houses, Meter, houses_of_files, houses_of_lines
from tasks.nilm.unit_of_readings import by_readings, mean
from tasks.units_of_names import unit_of, without_unit
from times.words import is_time

MOST_NAMES = 12  # columns that a message lists
_MAINS = """
    mains main aggregate total totalpower power activepower powertotal mainspower mainsactivepower aggregatepower whole
    wholehouse whe house housepower meter mainmeter smartmeter sitemeter consumption totalconsumption use usage grid
    gridpower gesamt gesamtleistung gesamtverbrauch netzbezug strombezug hauptzähler zähler leistung verbrauch
    globalactivepower overall housetotal houseoverall totalusage totalload houseload hausverbrauch bezug
    hauszählerbezug zählerbezug gridimport gridconsumption powermeter electricitymeter energymeter electricmeter
"""
MAINS_NAMES = frozenset(map(spelled, _MAINS.split()))
_WHOLE = """
    main mains aggregate total whole overall grid house household haus gesamt netzbezug hauszähler hauptzähler
    stromzähler hausanschluss smartmeter
"""
_BESIDE = """
    sensor home power energy electricity electric active real consumption usage load meter import imported value
    strom leistung verbrauch bezug wirkleistung zähler zaehler
"""
_AE = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue"})
WHOLE = frozenset(spelled(form) for word in _WHOLE.split() for form in (word, word.translate(_AE)))
BESIDE = frozenset(map(spelled, _BESIDE.split()))
_WATTS = re.compile(r"(?<=\w)[ _]W$")  # behind a name: Power W
_TWO_WORDS = re.compile(r"(smart)[\W_]*(meter)", re.IGNORECASE)
_WORD = re.compile(r"[^\W\d_]+?(?=[A-Z][a-z]|[\W\d_]|$)")
_OTHER = """
    unix unixtime epoch issues issue dataid id index nr no house home site homeid houseid frequency freq hz f voltage v
    volt volts vln vll pf powerfactor cosphi current a var va q s reactivepower apparentpower globalreactivepower
    temperature temp humidity weekday hour month day year cost price tariff leg1v leg2v timestamp time date datetime
    returnedenergywh returned pressure
"""
_POWER = """
    power activepower active realpower p w watt watts wattage avgwattage averagewattage value state pwr apower
"""
POWER_NAMES = frozenset(map(spelled, _POWER.split()))
NO_DEVICES = frozenset(map(spelled, _OTHER.split()))
_SOLAR = [
    "gen",
    "solar",
    "solarpower",
    "solar2",
    "pv",
    "pvpower",
    "generation",
    "production",
    "battery",
    "battery1",
    "einspeisung",
]
_MADE = frozenset(map(spelled, _SOLAR))
# A word of these says that a column measures something else than an appliance's power.
_MEASURES = """
    temperature temp humidity rh press wind windspeed visibility dewpoint tdewpoint cloud rain precip lux irradiation
    irradiance current curr intensity voltage volt volts reactive apparent frequency factor
"""
_SENSOR = re.compile(r"(?:t|rh)[ _]?(?:\d{1,2}|out|in)", re.IGNORECASE)  # of a room
_UNITS = "va kva var kvar vah kvah varh kvarh v a ma hz % °c °f degc c f k ppm hpa m3 l lux"
_NO_POWER = frozenset(_UNITS.split())
_NUMBER = re.compile(r"\s*\d{1,3}\s*[:.)_ -]\s*(?=[^\W\d])")  # of a channel, before its name: `01:Dryer`, `1 mains`
_PHASE = re.compile(
    r"(?P<front>.*?)(?P<kind>leg|phase|ph|line|main|mains|l|p)[ _.-]?(?P<number>[123abc])(?P<back>(?![a-z0-9]).*)?",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Meters:
    """What was taken: settings of the task by name, units that are those of these files alone, notes, and the houses
    whose meters are files of their own."""

    settings: Mapping[str, Any] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    houses: Houses = field(default_factory=dict)


def meters_of(options: Namespace, config: RunConfig, known: Sequence[str] | None) -> Meters:
    """The columns and units of the mains and the devices in a table of meters, as far as flags do not say them.

    Parameters
    ----------
    options : the task's flags.
    config : the settings; a table is looked at where `--csv` names one with times.
    known : the devices of a checkpoint, which are looked for by name elsewhere; None in training.

    Raises
    ------
    UsageError : no column, or more than one, can be the mains; there are no devices.
    DataError : the file cannot be read.
    """
    if not config.csv or not config.time_col or options.dataset or config.npz or config.db:
        return Meters()
    paths, houses = expand_paths(config.csv), files_of(config, options.mains_col)
    first, *others = houses.values() or [{}]
    of_files = [name for name in first if all(name in meters for meters in others)]
    names = of_files or _numeric(paths[0], config)
    empty = [] if of_files else _without_numbers(paths[0], config)
    settings: dict[str, Any] = {}
    notes = []
    mains = options.mains_col
    if mains not in names and "mains_col" not in config.given and not set(mains.split("+")) <= set(names):
        mains, why = _mains_of(names, {} if of_files else _columns(paths[0], config), alone=known is not None)
        settings["mains_col"] = mains
        notes.append(f"mains: {mains!r}, {why}; --mains-col names another")
    parts = [mains] if mains in names else mains.split("+")
    devices = [word.rpartition("=")[2] for word in options.device_cols]
    if known is None and not devices:
        devices, left = _devices(names, parts)
        if not devices:
            beside = "; several files are several houses, unless each is a meter, one of them named mains"
            hint = _listed(names) + beside * (len(paths) > 1)
            raise UsageError("no column is left for a device", where="--device-cols", hint=hint)
        settings["device_cols"] = tuple(_named(devices))
        beside = f"; left out: {', '.join(left[:MOST_NAMES])}" if left else ""
        what = f"all other {_kind(first, config)}{beside}"
        notes.append(f"devices: {', '.join(devices[:MOST_NAMES])}, {what}; --device-cols names some")
        notes += [f"left out, since without a reading: {', '.join(empty[:MOST_NAMES])}"] * bool(empty)
    if {"Aggregate", "Appliance1"} <= set(names) and known is None and not options.device_cols:
        notes.append("these are REFIT's columns: --dataset refit knows what each appliance is")
    made = [name for name in names if _plain(name) in _MADE and name not in parts]
    if made and not of_files and (one := _one_meter(made, _columns(paths[0], config))):
        made = [one]
    if made and "mains_col" not in config.given:
        both = shlex.quote("+".join([*parts, *made]))
        notes.append(
            f"warning: {', '.join(made)} is no device: where the mains are what the grid gives, --mains-col {both}"
        )
    there = [name for name in devices if name in names] or _devices(names, parts)[0]
    units = _units(parts, there, options, config)
    if units:
        notes.append(f"units by the columns' names: {', '.join(dict.fromkeys(units.values()))}")
    elif not of_files and not {"mains_unit", "device_unit"} & config.given:
        units, told = by_readings(parts, there, _columns(paths[0], config), config)
        notes += told
    return Meters(settings, units, tuple(notes), houses)


def files_of(config: RunConfig, mains: str = "") -> Houses:
    """The houses whose meters are files of their own, one of them named as mains are, or as the flag `mains` says, or
    lines of their own in one file; {} for other files."""
    paths = expand_paths(config.csv)

    def column_of(path: Path) -> str:
        return _power(_numeric(path, config))

    if ids := id_col_of(config):
        return houses_of_lines(paths, column_of, config.time_col, ids, Dialect.of_long(config))
    houses = houses_of_files(paths, column_of)
    for of_names in (houses, {folder: _unprefixed(meters) for folder, meters in houses.items()}):
        if all(house_of(list(meters))[1] for meters in of_names.values()):
            return of_names
    if houses and {*mains.split("+")} <= {*next(iter(houses.values()))}:
        return houses
    names = [name for meters in list(houses.values())[:1] for name in meters]
    if len(names) > 1 and config.mode == "train" and mains and len(houses) == 1:
        two = f", or {shlex.quote('+'.join(names[:2]))} for a sum"
        hint = f"--mains-col {shlex.quote(names[0])} if that is the whole house's{two}; the files are {_some(names)}"
        raise UsageError("each file is a meter, and none is named as mains are", where="--mains-col", hint=hint)
    return {}


def _some(names: Sequence[str]) -> str:
    return f"{', '.join(names[:MOST_NAMES])}{', ...' if len(names) > MOST_NAMES else ''}"


def id_col_of(config: RunConfig) -> str:
    """The column that says whose a line is; "" without, and where these files lack that of a checkpoint's files."""
    if config.mode == "train" or "id_col" in config.given:
        return config.id_col
    asked = set(filter(None, config.id_col.split("+")))
    return config.id_col if all(asked <= header(path, config.sep) for path in expand_paths(config.csv)) else ""


def _unprefixed(meters: Mapping[str, Meter]) -> dict[str, Meter]:
    """Meters by their names without the word that all begin with: Electricity_WHE, Electricity_FRE."""
    same = itertools.takewhile(lambda letters: len({*letters}) == 1, zip(*meters, strict=False))
    front = "".join(letters[0] for letters in same)
    at = 1 + max(front.rfind(mark) for mark in "_- ")
    return {name[at:]: meter for name, meter in meters.items()}


def _kind(meters: Mapping[str, Meter], config: RunConfig) -> str:
    """What the meters are, and the column of several that is read of each: columns, or files (of each, 'W' is read)."""
    if not meters:
        return "columns"
    one = next(iter(meters.values()))
    several = len(_numeric(one.path, config)) > 1
    return ("meters" if one.id else "files") + f" (of each, {one.column!r} is read)" * several


def _power(columns: Sequence[str]) -> str:
    """The column of one meter's power or energy: the only one, or the only one of several measures that says so."""
    several = len(columns) > 1
    if several and any(map(appliance, columns)):  # a house's table, with its devices
        return ""
    found = [name for name in columns if _plain(_WATTS.sub("", name)) in POWER_NAMES] if several else columns
    return found[0] if len(found) == 1 else ""


def house_of(names: Sequence[str]) -> tuple[str, list[str]]:
    """The mains and the devices among columns of numbers by their names; ("", []) where these do not say them.

    Parameters
    ----------
    names : of the columns.
    """
    try:
        mains = _mains(names)
    except UsageError:
        return "", []
    return mains, _devices(names, [mains] if mains in names else mains.split("+"))[0]


def _numeric(path: Path, config: RunConfig) -> list[str]:
    """The names of the columns of numbers of a table, by some of its lines; without the time's and the ids'."""
    return [name for name, cells in _columns(path, config).items() if any(cells)]


def _without_numbers(path: Path, config: RunConfig) -> list[str]:
    """The names of the columns that have nothing in these lines."""
    return [name for name, cells in _columns(path, config).items() if not any(cells)]


def _columns(path: Path, config: RunConfig) -> dict[str, list[str]]:
    """The columns without words of a table, by some lines from all over it: their numbers, or ""."""
    dialect = dialect_of(path, Dialect.of_long(config))
    rows = rows_of(first_lines(path)[0], dialect)
    if len(rows) < 2:
        return {}
    times = {config.time_col, *config.time_col.split("+"), config.id_col, *config.id_col.split("+")}
    names, body = numbered(rows[0]), rows[1:]
    if all(map(str.isdecimal, config.time_col.split("+"))):  # the columns have no names, but numbers
        counted = [str(number) for number in range(1, len(names) + 1)]
        body = rows if read_names(path, Dialect.of_long(config), [config.time_col]) == counted else body
        names = counted if body is rows else names
    columns = zip(names, zip(*body, strict=True), strict=True)
    return {
        name: [cell.strip() if dialect.is_number(cell) else "" for cell in cells]
        for name, cells in columns
        if name
        and name not in times
        and not any(dialect.is_text(cell) and not is_mark(cell) for cell in cells)
        and not all(map(is_time, cells))
    }


def _named(columns: Sequence[str]) -> list[str]:
    """Columns as --device-cols takes them: those whose names end in a unit without it, where that tells them apart."""
    short = [_short(name) for name in columns]
    apart = len(set(short)) == len(short)
    return [name if not apart or own == name else f"{own}={name}" for name, own in zip(columns, short, strict=True)]


def _short(name: str) -> str:
    """A name without the unit of power or energy that it ends with."""
    return without_unit(name) if unit_of(name) in UNITS else name


def same_name(one: str, other: str) -> bool:
    """Whether two names differ in spelling and units alone: `Fridge (W)` and `fridge`."""
    return _plain(one) == _plain(other)


def _plain(name: str) -> str:
    """A name as `spelled`, without its unit."""
    return spelled(without_unit(name))


def _mains_of(names: Sequence[str], cells: Mapping[str, Sequence[str]], *, alone: bool) -> tuple[str, str]:
    """The column of the mains, and what it is known by: its name, or of measures of one meter that is there `alone`,
    as inference may have it, that it says power. UsageError where that is unclear."""
    try:
        return _mains(names, cells), "by its name"
    except UsageError:
        one = _power(names) if alone and len(names) > 1 else ""
        if not one:
            raise
        return one, "the only column of power"


def _mains(names: Sequence[str], cells: Mapping[str, Sequence[str]] | None = None) -> str:
    """The column of the mains by its name, or the phases that it is the sum of. UsageError where that is unclear.

    `cells` of the columns, as the file has them, tell whether several are one meter's.
    """
    named = [name for name in _of_power(names) if _plain(_NUMBER.sub("", name, count=1)) in MAINS_NAMES]
    if len(named) == 1:
        return named[0]
    phases = _phases(names)
    if phases and not named:
        return "+".join(phases)
    if 2 <= len(named) <= 3 and len({_NUMBER.sub("", name, count=1) for name in named}) == 1:
        return "+".join(named)  # 1 mains, 2 mains
    if named and cells and (one := _one_meter(named, cells)):
        return one
    if named:
        hint = f"--mains-col {shlex.quote(named[0])}, or another of {', '.join(named)}"
        raise UsageError(f"{' and '.join(named)} may be the mains", where="--mains-col", hint=hint)
    whole = [name for name in names if _is_whole(name)]
    if len(whole) == 1:
        return whole[0]
    likely = shlex.quote((whole or sorted(names, key=lambda name: -mean((cells or {}).get(name, ()))))[0])
    hint = f"--mains-col {likely} if it is the whole house's, or A+B for a sum of meters; {_listed(names)}"
    raise UsageError("no column is the mains by its name", where="--mains-col", hint=hint)


def _of_power(names: Sequence[str]) -> list[str]:
    """The columns that do not say another unit, such as kVA, where some say that of power or energy."""
    powers = any(unit_of(name) in UNITS for name in names)
    return [name for name in names if not powers or unit_of(name).casefold() not in _NO_POWER]


def _one_meter(names: Sequence[str], cells: Mapping[str, Sequence[str]]) -> str:
    """The column with the fewest signs of several that are the same but for these; "" where they are not."""
    unsigned = {tuple(cell.lstrip("+-") for cell in cells[name]) for name in names}
    return min(names, key=lambda name: sum(cell.startswith("-") for cell in cells[name])) if len(unsigned) == 1 else ""


def _is_whole(name: str) -> bool:
    """Whether the words of a name say a whole house's meter, and nothing else: sensor.house_power."""
    words = {spelled(word) for word in _WORD.findall(_TWO_WORDS.sub("smartmeter", without_unit(name)))}
    return bool(words & WHOLE) and words <= WHOLE | BESIDE


def _phases(names: Sequence[str]) -> list[str]:
    """Columns that differ in the number of a phase alone, two or three of them: L1, L2, L3."""
    groups: dict[tuple[str, str], list[str]] = {}
    for name in names:
        if found := _PHASE.fullmatch(name.strip()):
            key = (found["front"].casefold() + found["kind"].casefold(), (found["back"] or "").casefold())
            groups.setdefault(key, []).append(name)
    several = [group for group in groups.values() if 2 <= len(group) <= 3]
    return several[0] if len(several) == 1 else []


def _devices(names: Sequence[str], mains: Sequence[str]) -> tuple[list[str], list[str]]:
    """The columns that are devices, and those that by their names are neither these nor the mains."""
    rest = [name for name in names if name not in mains]
    none = NO_DEVICES | _MADE | MAINS_NAMES
    powers = [name for name in names if unit_of(name) in UNITS]
    by_unit = {*mains} <= {*powers} and len(powers) > len(mains) + 1
    left = [
        name
        for name in rest
        if _plain(_NUMBER.sub("", name, count=1)) in none
        or _measures(name)
        or name not in _of_power(names)
        or (by_unit and not unit_of(name))
    ]
    return [name for name in rest if name not in left], left


def _measures(name: str) -> bool:
    """Whether a name that is no appliance's says that something else than power is measured: Global_intensity, RH_1."""
    words = {word.casefold() for word in _WORD.findall(without_unit(name))}
    return not appliance(name) and bool(words & {*_MEASURES.split()} or _SENSOR.fullmatch(name.strip()))


def _units(mains: Sequence[str], devices: Sequence[str], options: Namespace, config: RunConfig) -> dict[str, str]:
    """The units that the names of the columns say, where no flag does. UsageError where devices have several."""
    if {"mains_unit", "device_unit"} & config.given:
        return {}
    of_mains, of_devices = ({unit_of(name) for name in part} for part in (mains, devices))
    unit = of_mains.pop() if len(of_mains) == 1 else ""
    powers = sorted(of_devices & {*UNITS})
    if len(powers) > 1:
        first = " ".join(shlex.quote(name) for name in devices if unit_of(name) == powers[0])
        what = f"devices are in {' and in '.join(powers)} by their names, which are read in one unit"
        raise UsageError(what, where="--device-cols", hint=f"--device-cols {first} names those in {powers[0]}")
    other = powers[0] if powers else of_devices.pop() if len(of_devices) == 1 else ""
    found = {"mains_unit": unit} if unit in UNITS else {}
    if other in UNITS and other != unit:
        found["device_unit"] = other
    elif other not in UNITS and devices and unit not in ("", "W"):
        found["device_unit"] = "W"
    return found if set(found.values()) - {"W"} or options.mains_unit != "W" else {}


def _listed(names: Sequence[str]) -> str:
    return f"the columns are {_some(names)}"
