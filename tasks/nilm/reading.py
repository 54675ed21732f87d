"""Reads the houses of nilm: from long CSVs, published layouts, or a DEDDIAG database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from config import RunConfig
from data import Series
from errors import UsageError
from readers.paths import expand_paths
from registry import Namespace
from sources import layouts
from tasks.nilm.features import coarser, devices_of, header, step_seconds


def read_houses(options: Namespace, config: RunConfig, columns: Sequence[str] | None) -> Series:
    """Houses as rows of one Series: channel 0 is the meter, the others are devices, all in watts.

    Parameters
    ----------
    options : the task's flags.
    config : the settings that name files or a database.
    columns : the channels that a checkpoint wants; None for those of the flags.

    Raises
    ------
    UsageError : flags that are missing or contradict each other.
    DataError : data that cannot be read.
    """
    if config.columns:
        flags = "--mains and --devices" if config.db else "--mains-col and --device-cols"
        raise UsageError("is for the other tasks", where="--columns", hint=f"{flags} name what nilm reads")
    seconds = step_seconds(config.resample)
    columns_of = {text.partition("=")[0]: text.rpartition("=")[2] for text in options.device_cols}
    wanted = columns_of if columns is None else {name: columns_of.get(name, name) for name in devices_of(columns)}
    common: dict[str, Any] = {"sample": seconds, "start": options.start, "end": options.end}
    if config.db:
        series = _read_database(options, config, seconds)
    elif options.dataset:
        devices = wanted or None if columns is None else wanted
        series = layouts.read_layout(
            options.dataset,
            config.csv,
            devices=devices,
            tz=config.tz or "UTC",
            max_fill=_held(options) if options.dataset in layouts.HELD else options.max_ffill,
            **common,
        )
    else:
        series = _read_csv(options, config, wanted, common)
    if columns is None and series.n_channels < 2:
        raise UsageError("names no device", where="--device-cols")
    return series


def _read_database(options: Namespace, config: RunConfig, seconds: int) -> Series:
    if config.db_query:
        raise UsageError("is for the other tasks: nilm reads the tables of DEDDIAG", where="--db-query")
    for flag, given in (("--mains", options.mains), ("--devices", options.devices)):
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
        alone=config.mode == "infer",
        tz=config.tz or "UTC",
        gap=round(_held(options)),
    )
    return coarser(house, seconds)


def _held(options: Namespace) -> float:
    """Seconds that a value holds where meters report changes: the default of --max-ffill is for samples."""
    return float(layouts.HOURLY if options.max_ffill == layouts.MAX_FILL else options.max_ffill)


def _read_csv(options: Namespace, config: RunConfig, devices: Mapping[str, str], common: Mapping[str, Any]) -> Series:
    if not config.time_col:
        raise UsageError("is needed: meters are long CSVs", where="--time-col")
    if not devices:
        raise UsageError("names no device", where="--device-cols")
    paths = expand_paths(config.csv)
    if config.mode == "infer" and not set(devices.values()) & header(paths[0], config.sep):
        devices = {}  # a meter alone: the devices are to be predicted
    return layouts.read_meter(
        paths,
        time_col=config.time_col,
        mains_col=options.mains_col,
        device_cols=devices,
        sep=config.sep,
        decimal=config.decimal,
        max_fill=options.max_ffill,
        sort=options.sort,
        tz=config.tz,
        **common,
    )
