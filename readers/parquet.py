"""Parquet and Feather (Arrow IPC) files, by pyarrow."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from errors import DataError
from readers import register
from readers.base import Reader, TableText, csv_text, require
from readers.pieces import BLOCK, Pieces

READS = {"endings": [".parquet", ".feather"]}
CELLS = 1 << 19  # of a Parquet file that are held at a time


@register
class ArrowReader(Reader):
    """A table's columns as CSV: numbers in their shortest exact spelling, times with the offset of their zone."""

    def text(self, file: io.BufferedReader, path: Path) -> TableText:
        """See `Reader.text`. UsageError without pyarrow, DataError for a file that it cannot read."""
        pyarrow = require("pyarrow", path, "requirements-parquet.txt")

        def pieces() -> Iterator[bytes]:
            try:
                for number, table in enumerate(_tables(file, path)):
                    table.validate(full=True)  # a damaged Feather file could crash the process
                    yield _as_csv(_front_index(table), header=not number)
            except (pyarrow.ArrowException, OSError, KeyError, ValueError) as error:
                raise DataError(f"cannot be read as {path.suffix[1:].title()}: {error}", where=str(path)) from None

        return TableText(io.BufferedReader(Pieces(pieces()), BLOCK))


def _tables(file: io.BufferedReader, path: Path) -> Iterator[Any]:
    """The tables, one below the other, that a file holds: of Parquet some lines at a time, of Feather all."""
    import pyarrow
    from pyarrow import feather, parquet

    if path.suffix.lower() != ".parquet":
        yield feather.read_table(pyarrow.BufferReader(file.read()))
        return
    while file.read(BLOCK):  # hashed; what Parquet needs to know first stands at its end
        pass
    table = parquet.ParquetFile(path)
    yield table.schema_arrow.empty_table()
    for batch in table.iter_batches(max(CELLS // max(len(table.schema_arrow), 1), 1)):
        yield pyarrow.Table.from_batches([batch], table.schema_arrow)


def _front_index(table: Any) -> Any:
    """The table with the index of a pandas frame, which is kept at its end, as the first columns, as to_csv has it."""
    pandas = json.loads((table.schema.metadata or {}).get(b"pandas", b"{}"))
    index = [name for name in pandas.get("index_columns", ()) if name in table.column_names]
    named = {column["field_name"]: column["name"] or "" for column in pandas.get("columns", ())}
    others = [name for name in table.column_names if name not in index]
    return table.select(index + others).rename_columns([named.get(name, name) for name in index] + others)


def _as_csv(table: Any, *, header: bool) -> bytes:
    """The table as CSV, below the names of its columns or without them.

    Cells are quoted only where text in them needs it, since quotes are slow to read.
    """
    import pyarrow
    from pyarrow.csv import WriteOptions, write_csv

    def written(quoting: str) -> bytes:
        text = csv_text([table.column_names] if header else [])
        text.seek(0, io.SEEK_END)
        write_csv(table, text, WriteOptions(include_header=False, quoting_style=quoting))
        return text.getvalue()

    try:
        return written("none")
    except pyarrow.ArrowInvalid:
        return written("needed")
