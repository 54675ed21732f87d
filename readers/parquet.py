"""Parquet and Feather (Arrow IPC) files, by pyarrow."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

from errors import DataError
from readers import register
from readers.base import Reader, TableText, csv_text, require

READS = {"endings": [".parquet", ".feather"]}


@register
class ArrowReader(Reader):
    """A table's columns as CSV: numbers in their shortest exact spelling, times with the offset of their zone."""

    def text(self, file: io.BufferedReader, path: Path) -> TableText:
        """See `Reader.text`. UsageError without pyarrow, DataError for a file that it cannot read."""
        pyarrow = require("pyarrow", path, "requirements-parquet.txt")
        try:
            table = _read(file.read(), path)
            return TableText(_as_csv(_front_index(table)))
        except (pyarrow.ArrowException, OSError, KeyError, ValueError) as error:
            raise DataError(f"cannot be read as {path.suffix[1:].title()}: {error}", where=str(path)) from None


def _read(content: bytes, path: Path) -> Any:
    """The table in a file's bytes."""
    import pyarrow
    from pyarrow import feather, parquet

    read = parquet.read_table if path.suffix.lower() == ".parquet" else feather.read_table
    table = read(pyarrow.BufferReader(content))
    table.validate(full=True)  # a damaged Feather file could crash the process
    return table


def _front_index(table: Any) -> Any:
    """The table with the index of a pandas frame, which is kept at its end, as the first columns, as to_csv has it."""
    pandas = json.loads((table.schema.metadata or {}).get(b"pandas", b"{}"))
    index = [name for name in pandas.get("index_columns", ()) if name in table.column_names]
    named = {column["field_name"]: column["name"] or "" for column in pandas.get("columns", ())}
    others = [name for name in table.column_names if name not in index]
    return table.select(index + others).rename_columns([named.get(name, name) for name in index] + others)


def _as_csv(table: Any) -> io.BufferedIOBase:
    """The table as CSV. Cells are quoted only where text in them needs it, since quotes are slow to read."""
    import pyarrow
    from pyarrow.csv import WriteOptions, write_csv

    def written(quoting: str) -> io.BufferedIOBase:
        text = csv_text([table.column_names])
        text.seek(0, io.SEEK_END)
        write_csv(table, text, WriteOptions(include_header=False, quoting_style=quoting))
        text.seek(0)
        return text

    try:
        return written("none")
    except pyarrow.ArrowInvalid:
        return written("needed")
