"""Reads the houses of nilm: from long CSVs, published layouts, or a DEDDIAG database.

A checkpoint binds the names of devices. In which column, or under which item, a house has a device is a matter of that
house: `--device-cols kettle=Appliance9` names it, in inference and finetuning as in training.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from config import RunConfig
from data import Series
from errors import CheckpointError, DataError, UsageError, no_channel
from readers.dialect import Dialect
from readers.npz import read_npz
from readers.paths import expand_paths
from registry import Namespace
from sources import layouts, meter_tables
from sources.appliances import appliance
from sources.grids import MAX_FILL
from sources.synthetic import YEAR_2024
from tasks.nilm.features import MAINS, coarser, devices_of, header, step_seconds
from tasks.nilm.meter_files import Houses, read_files
from tasks.nilm.meters import id_col_of, same_name
from times.clock import Clock
from times.frequencies import fixed_freq

APART = 3600 * 10**9  # ns between two windows of an .npz, which are no neighbours


@dataclass(frozen=True)
class Wanted:
    """The devices to read.

    items : {name: the columns or items that it may be in, the likeliest first}.
    known : the devices of a checkpoint, in order; None in training, where `items` are all.
    flag : the flag that names them.
    given : whether it was given; otherwise the items are those of the checkpoint's own files.
    """

    items: Mapping[str, tuple[str, ...]]
    known: tuple[str, ...] | None
    flag: str
    given: bool

    @property
    def optional(self) -> bool:
        """Whether a house may lack some of the devices."""
        return self.known is not None


def devices_wanted(options: Namespace, config: RunConfig, columns: Sequence[str] | None) -> Wanted:
    """The devices that the flags name, or a checkpoint with these `columns`.

    CheckpointError where --device-cols names one that the checkpoint does not have.
    """
    name, words = ("devices", options.devices) if config.db else ("device_cols", options.device_cols)
    flag, given = "--" + name.replace("_", "-"), name in config.given
    items = {text.partition("=")[0]: text.rpartition("=")[2] for text in words}
    if columns is None:
        return Wanted({device: (item,) for device, item in items.items()}, None, flag, given)
    known = tuple(devices_of(columns))  # beside the meter, and its features in the oldest checkpoints
    if not given:
        own = {device: tuple(dict.fromkeys((device, items.get(device, device)))) for device in known}
        return Wanted(own, known, flag, given)
    if not config.db:
        _refuse_strays(items, known, flag, config.ckpt)
    return Wanted({device: (item,) for device, item in items.items()}, known, flag, given)


def _refuse_strays(names: Iterable[str], known: Sequence[str], flag: str, ckpt: str) -> None:
    strays = [name for name in names if name not in known]
    if strays:
        what = f"{flag} names {', '.join(strays)}, which the checkpoint does not know: it has {', '.join(known)}"
        hint = f"{flag} {known[0]}={strays[0]} says that {strays[0]} is the {known[0]}"
        raise CheckpointError(what, where=ckpt, hint=hint)


def read_houses(
    options: Namespace, config: RunConfig, columns: Sequence[str] | None, houses: Houses
) -> tuple[Series, tuple[str, ...]]:
    """Houses as rows of one Series: channel 0 is the meter, the others are devices, all in watts.

    Parameters
    ----------
    options : the task's flags.
    config : the settings that name files or a database.
    columns : the channels of a checkpoint; None for those of the flags.
    houses : those whose meters are files of their own; {} for other files.

    Returns
    -------
    (series, borrowed). With `columns` the devices are the checkpoint's, in its order; of one that a house does not
    have, all values are missing, and where no house has any, there is the meter alone. `borrowed` are the devices that
    were found where the checkpoint's own files had them, under no name of theirs: other files may have others there.

    Raises
    ------
    UsageError : flags that are missing or contradict each other.
    DataError : data that cannot be read.
    CheckpointError : a device that the checkpoint does not have.
    """
    seconds = step_seconds(config.resample)
    wanted = devices_wanted(options, config, columns)
    common: dict[str, Any] = {"sample": seconds, "start": options.start, "end": options.end}
    if config.npz:
        series, found = _read_npz(options, config, seconds, wanted)
    elif config.db:
        series, found = _read_database(options, config, seconds, wanted)
    elif options.dataset:
        series, found = _read_layout(options, config, wanted, common)
    else:
        series, found = _read_csv(options, config, wanted, common, houses)
    if wanted.known is not None:
        borrowed = tuple(name for name, item in found.items() if not (wanted.given or same_name(item, name)))
        return _as_known(series, wanted.known, config), borrowed
    if series.n_channels < 2:
        raise UsageError("names no device", where=wanted.flag)
    return series, ()


def _as_known(series: Series, known: Sequence[str], config: RunConfig) -> Series:
    """A series with the devices of a checkpoint in its order, NaN for those that it lacks; the meter alone for none."""
    there = [name for name in known if name in series.channels]
    if not there and config.mode != "infer":
        what = f"none of the checkpoint's devices is in these data: {', '.join(known)}"
        flag = "--devices" if config.db else "--device-cols"
        raise UsageError(what, where=config.ckpt, hint=f"{flag} {known[0]}=NAME says where the {known[0]} is")
    if not there or list(series.channels[1:]) == list(known):
        channels = series.channels if there else series.channels[:1]
        return replace(series, values=series.values[: len(channels)], channels=channels)
    values = np.full((1 + len(known), series.values.shape[1]), np.nan, np.float32)
    for channel, name in enumerate((series.channels[0], *known)):
        if name in series.channels:
            values[channel] = series.values[series.channels.index(name)]
    lacking = ", ".join(name for name in known if name not in there)
    notes = (*series.notes, f"warning: not in these data, so predicted without a score: {lacking}") if lacking else ()
    return replace(series, values=values, channels=(series.channels[0], *known), notes=notes or series.notes)


def without(series: Series, borrowed: Sequence[str], options: Namespace, config: RunConfig) -> Series:
    """A series without the readings of devices that were looked for where other files had them.

    UsageError in finetuning, which needs to know: the model would learn one device from another.
    """
    name, words = ("devices", options.devices) if config.db else ("device_cols", options.device_cols)
    flag = "--" + name.replace("_", "-")
    were = [word for word in words if word.partition("=")[0] in borrowed]
    hint = f"{flag} {' '.join(were)} if they are the same here"
    if config.mode != "infer":
        what = f"these are not the files of training: which columns are {', '.join(borrowed)} here?"
        raise UsageError(what, where=flag, hint=hint)
    kept = [channel for channel in series.channels if channel not in borrowed]
    what = f"not scored, since these are not the files of training: {', '.join(borrowed)}; {hint}"
    notes = (*series.notes, f"warning: {what}")
    if len(kept) == 1 or np.isnan(series.values[[series.channels.index(channel) for channel in kept[1:]]]).all():
        return replace(series, values=series.values[:1], channels=series.channels[:1], notes=notes)
    values = series.values.copy()
    for channel in borrowed:
        values[series.channels.index(channel)] = np.nan
    return replace(series, values=values, notes=notes)


def _read_database(
    options: Namespace, config: RunConfig, seconds: int, wanted: Wanted
) -> tuple[Series, dict[str, str]]:
    if config.db_query:
        raise UsageError("is for the other tasks: nilm reads the tables of DEDDIAG", where="--db-query")
    lenient = config.mode == "infer" and not wanted.given
    for flag, given in (("--mains", options.mains), ("--devices", options.devices or lenient)):
        if not given:
            raise UsageError("is needed with --db", where=flag)
    from sources import deddiag  # psycopg is an extra

    house = deddiag.read_house(
        config.db,
        house=options.house,
        mains=options.mains,
        devices=options.devices,
        schema=options.db_schema,
        reader=options.db_reader,
        start=options.start,
        end=options.end,
        timeout=config.db_timeout,
        alone=lenient,
        tz=config.tz or "UTC",
        gap=round(_held(options)),
    )
    house = replace(house, channels=("mains", *house.channels[1:]))
    if wanted.known is not None and wanted.given:
        _refuse_strays(house.channels[1:], wanted.known, "--devices", config.ckpt)
    items = {name: item for name, _, item in (word.rpartition("=") for word in options.devices) if name}
    return coarser(house, seconds), {name: items.get(name, name) for name in house.channels[1:]}


def _read_npz(options: Namespace, config: RunConfig, seconds: int, wanted: Wanted) -> tuple[Series, dict[str, str]]:
    """Windows of an .npz, arrays [N, T, 1] in watts: each is a row of its own. The file has no times: they are made.

    The devices are the arrays that flags or a checkpoint name, else all but the meter's.
    """
    whole = read_npz(config.npz, na=config.na, nan="drop", infer=config.mode == "infer")
    wide = [name for name, count in whole.modalities if count != 1]
    if wide:
        what = f"{', '.join(wide)}: a meter has one value a step, (N, T, 1)"
        raise DataError(what, where=config.npz)
    names = [name for name, _ in whole.modalities]
    mains = options.mains_col
    if mains not in names:
        raise no_channel(mains, names, "--mains-col")
    there = {device: next((item for item in items if item in names), "") for device, items in wanted.items.items()}
    found = {device: item for device, item in there.items() if item} or ({} if wanted.items else _others(names, mains))
    missing = [wanted.items[device][0] for device, item in there.items() if not item]
    if missing and (wanted.given or not wanted.optional):
        raise no_channel(missing[0], names, wanted.flag)
    order = [names.index(name) for name in (mains, *found.values())]
    length, step = int(whole.lengths[0]), seconds * 10**9
    begin = np.arange(whole.n_rows) * (length * step + APART) + YEAR_2024
    time = (begin[:, None] + np.arange(length) * step).ravel().astype(np.int64)
    note = f"{config.npz} has no times: a step is {seconds} s"
    changed: dict[str, Any] = {
        "values": np.ascontiguousarray(whole.values[order]),
        "channels": (MAINS, *found),
        "modalities": (),
        "notes": (*whole.notes, note),
        "time": time,
        "clock": Clock(fixed_freq(step), config.tz or "UTC"),
        "labels": None,
        "label_names": (),
        "label_words": (),
    }
    return replace(whole, **changed), found


def _others(names: Sequence[str], mains: str) -> dict[str, str]:
    return {name: name for name in names if name != mains}


def alike(device: str, columns: Sequence[str]) -> str:
    """The one column that spells a device's name in another way, or is the only one of such an appliance; "" for none.

    `Wasserkocher` is a kettle, and `Heat Pump` the heat-pump.
    """
    kind = appliance(device)
    spellings = [column for column in columns if same_name(column, device)]
    kin = [column for column in columns if kind and appliance(column) == kind]
    return next((found[0] for found in (spellings, kin) if len(found) == 1), "")


def _held(options: Namespace) -> float:
    """Seconds that a value holds where meters report changes: the default of --max-ffill is for samples."""
    return float(layouts.HOURLY if options.max_ffill == MAX_FILL else options.max_ffill)


def _read_layout(
    options: Namespace, config: RunConfig, wanted: Wanted, common: Mapping[str, Any]
) -> tuple[Series, dict[str, str]]:
    if wanted.given or not wanted.optional:
        found = {device: items[0] for device, items in wanted.items.items()}
    else:
        found = layouts.located(layouts.houses_of(options.dataset, config.csv), wanted.items)
    series = layouts.read_layout(
        options.dataset,
        config.csv,
        devices=None if not found and not wanted.optional else found,
        optional=wanted.optional,
        tz=config.tz or "UTC",
        max_fill=_held(options) if options.dataset in layouts.HELD else options.max_ffill,
        **common,
    )
    return series, found


def _read_csv(
    options: Namespace, config: RunConfig, wanted: Wanted, common: Mapping[str, Any], houses: Houses
) -> tuple[Series, dict[str, str]]:
    if not config.time_col:
        columns = ", ".join(sorted(header(expand_paths(config.csv)[0], config.sep))[:8])
        hint = f"name the column of the times; there are {columns}"
        if not any(letter.isalpha() for letter in columns):
            hint = "--dataset ukdale --csv FOLDER reads the folder of a house, of channel_M.dat and labels.dat"
        raise UsageError("is needed: meters are long CSVs", where="--time-col", hint=hint)
    if not wanted.items:
        raise UsageError("names no device", where="--device-cols")
    paths = expand_paths(config.csv)
    there: set[str] = set()
    if wanted.optional:
        there = there.union(*(houses.values() or (header(path, config.sep) for path in paths)))
    found, notes = {}, []
    for device, items in wanted.items.items():
        present = [item for item in items if item in there]
        if present or wanted.given or not wanted.optional:
            found[device] = (present or items)[0]
        elif other := alike(device, sorted(there - {config.time_col, options.mains_col})):
            found[device] = other
            notes.append(
                f"{device} is read from {other} (--device-cols {shlex.quote(f'{device}=COLUMN')} says another)"
            )
    read = partial(read_files, houses) if houses else partial(meter_tables.read_meter, paths)
    series = read(
        time_col=config.time_col,
        id_col=id_col_of(config),
        mains_col=options.mains_col,
        device_cols=found,
        optional=wanted.optional,
        dialect=Dialect.of_long(config),
        max_fill=options.max_ffill if "max_ffill" in config.given else None,
        sort=options.sort,
        unit=options.mains_unit,
        device_unit=options.device_unit,
        tz=config.tz,
        **(common if "resample" in config.given or wanted.known is not None else {**common, "sample": None}),
    )
    own = {
        device: device if device in wanted.items and item not in wanted.items[device] else item
        for device, item in found.items()
    }
    return replace(series, notes=(*series.notes, *notes)), own
