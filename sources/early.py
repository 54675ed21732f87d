"""What can be known of a run's files at a glance: that they are there, and have the columns that flags name.

It is asked before torch is imported, which takes a second. Reading asks again, and of every file.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import readers
from config import Flag, RunConfig
from errors import no_channel
from readers import reader_of
from readers.paths import expand_paths
from sources.kinds import kind_of


def look(config: RunConfig, flags: Sequence[Flag]) -> None:
    """Look at the files that a configuration names, and at the first one's header.

    Parameters
    ----------
    config : the run's settings.
    flags : those of the task and of all tasks.

    Raises
    ------
    DataError : a file or a column is missing.
    UsageError : more files than a run may name, or flags that do not say how the file is written.
    """
    paths = expand_paths(config.csv if "csv" in config.given else ())  # a published set is downloaded where it is read
    expand_paths([config.npz] if config.npz else [], flag="--npz")
    kind = kind_of(flags, vars(config) | dict(config.options))
    if kind == "long" and paths and reader_of(paths[:1]) is readers.load(readers.DEFAULT):  # other formats take long
        _look_at_header(paths[0], config, flags)


def _look_at_header(path: Path, config: RunConfig, flags: Sequence[Flag]) -> None:
    from readers.columns import Wanted, check_columns  # numpy, which a missing file does not wait for
    from readers.dialect import Dialect

    training = config.mode != "infer"  # inference may lack a label, and has the checkpoint's columns
    asked = tuple(config.column_of.values())
    wanted = Wanted(config.time_col, config.id_col, asked if asked and training else None)
    names = check_columns(path, wanted, Dialect.of_long(config))
    channels = [name for name in names if name not in wanted.keys]
    for option, name in _named(config, flags):
        if name not in channels and name not in config.column_of:
            raise no_channel(name, channels, option)


def _named(config: RunConfig, flags: Sequence[Flag]) -> Iterable[tuple[str, str]]:
    """The flags that name channels, and those channels."""
    naming = [flag for flag in flags if flag.channels and flag.name in config.given]
    return ((flag.option, name) for flag in naming for name in config.options[flag.name])
