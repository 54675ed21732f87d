"""What a reader must offer: one file format, read into a Series."""

from __future__ import annotations

import csv
import importlib
import io
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from config import RunConfig
from errors import UsageError
from readers.dialect import Dialect
from readers.paths import expand_paths
from settings.shards import parse_shard

if TYPE_CHECKING:
    from data import Series

NUMBER = r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?"  # as programs write one: no way to take it apart twice


@dataclass(frozen=True)
class TableText:
    """A table as CSV text.

    text : binary stream of UTF-8 lines, separated as the reader's `dialect` says: names of columns in the first line
        where `named_columns`; numbers in the shortest spelling that gives them back, times in ISO 8601, nothing in the
        cell of a missing value.
    Messages about a cell give its line in this text, counted from 1; a reader that knows better raises DataError.

    notes : what the user should know about the file, one line each; a likely mistake starts with `warning:`.
    beside : columns of the file that are none of the table's, such as words beside its ids: names and cells, one for
        each line below the first. A label may be among them.
    """

    text: io.BufferedIOBase
    notes: tuple[str, ...] = ()
    beside: Mapping[str, Sequence[str]] = field(default_factory=dict)


class Reader(ABC):
    """One file format, without state: one object serves all files.

    A format of tables implements `text` alone. Its files are then read wherever a CSV is: wide and long, as labels and
    groups, as meters of a house. A format of another kind overrides `series` too.

    named_columns : whether a table of this format always has names of columns, as Parquet has and a CSV may lack.
    """

    named_columns: ClassVar[bool] = True

    @abstractmethod
    def text(self, file: io.BufferedReader, path: Path) -> TableText:
        """The table in an open file as CSV text.

        Parameters
        ----------
        file : the bytes on disk, not seekable; they are hashed as they are read, so read them all.
        path : the file's name, for messages.

        Raises
        ------
        DataError : the file is damaged or holds no table.
        UsageError : the format needs a package that is not installed, see `require`.
        """

    def dialect(self, asked: Dialect) -> Dialect:
        """How the text that `text` returns is written.

        Parameters
        ----------
        asked : what the flags say about CSV files.
        """
        return replace(
            asked, sep=",", decimal=".", thousands="none", header="yes" if self.named_columns else asked.header
        )

    def series(self, config: RunConfig, columns: Sequence[str] | None, known: Sequence[str]) -> Series:
        """The files that a configuration names, as one Series: wide tables, or long ones with --time-col.

        Parameters
        ----------
        config : the run's settings, all of which are flags of the group Data.
        columns : names of the channels wanted, in order; None for all. Wide tables, a channel each, come all.
        known : names of the channels known ahead.

        Raises
        ------
        UsageError, DataError : see `read_wide` and `read_long`.
        """
        from readers.categories import Asked
        from readers.long import read_long
        from readers.wide import read_wide

        paths = expand_paths(config.csv)
        shared = ("sep", "decimal", "na", "thousands", "nan", "labels", "groups")
        common = {name: vars(config)[name] for name in shared}
        if not config.time_col:
            own = {name: vars(config)[name] for name in ("header", "index", "categorical", "memory", "strict")}
            label = config.label_src_ch if isinstance(config.label_src_ch, str) else ""
            return read_wide(paths, label=label, labelled=columns is not None, **own, **common)
        return read_long(
            paths,
            time_col=config.time_col,
            id_col=config.id_col,
            columns=columns,
            known=known,
            resample=config.resample,
            tz=config.tz,
            date_order=config.date_order,
            strict=config.strict,
            shard=parse_shard(config.shard),
            memory=config.memory,
            asked=Asked.of(config, columns, known),
            **common,
        )


def csv_text(rows: Iterable[Sequence[Any]]) -> io.BytesIO:
    """Rows of Python values as CSV text.

    Parameters
    ----------
    rows : a sequence of cells per line. Floats are written in their shortest exact spelling, None as an empty cell, and
        a line break within a cell as a space.

    Returns
    -------
    UTF-8 lines ended by `\\n`, at their start.
    """
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(map(_in_one_line, rows))
    return io.BytesIO(text.getvalue().encode())


def _in_one_line(cells: Sequence[Any]) -> Sequence[Any]:
    """The cells of a line, text with line breaks on one."""
    if any(isinstance(cell, str) and ("\n" in cell or "\r" in cell) for cell in cells):
        return [" ".join(cell.split()) if isinstance(cell, str) else cell for cell in cells]
    return cells


def require(module: str, path: Path, requirements: str) -> Any:
    """The module that a format needs, imported.

    Parameters
    ----------
    module : its full name, such as pyarrow.parquet.
    path : the file that needs it, for the message.
    requirements : the requirements file that installs it.

    Raises
    ------
    UsageError : it is not installed; the message names the requirements file.
    """
    try:
        return importlib.import_module(module)
    except ImportError:
        package = module.partition(".")[0]
        raise UsageError(f"needs {package}", where=str(path), hint=f"pip install -r {requirements}") from None
