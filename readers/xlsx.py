"""Excel workbooks, by openpyxl: the first sheet is the table."""

from __future__ import annotations

import io
import warnings
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from errors import DataError
from readers import register
from readers.base import Reader, TableText, csv_text, require

READS = {"endings": [".xlsx"]}
# What zipfile, the parser of XML and openpyxl raise for a damaged workbook.
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, LookupError, TypeError, ValueError, SyntaxError)


@register
class XlsxReader(Reader):
    """The values in the cells, of formulas their last results. Whether there is a header is guessed as for a CSV."""

    named_columns = False

    def text(self, file: io.BufferedReader, path: Path) -> TableText:
        """See `Reader.text`. UsageError without openpyxl, DataError for a file that it cannot read."""
        openpyxl = require("openpyxl", path, "requirements-xlsx.txt")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about parts of a workbook that are not cells
                book = openpyxl.load_workbook(io.BytesIO(file.read()), read_only=True, data_only=True)
                text = csv_text(_trimmed(book.worksheets[0].iter_rows(values_only=True)))
        except _DAMAGED as error:
            raise DataError(f"cannot be read as an Excel workbook: {error}", where=str(path)) from None
        further = ", ".join(sheet.title for sheet in book.worksheets[1:])
        return TableText(text, (f"only the first sheet is read, not {further}",) if further else ())


def _trimmed(rows: Iterable[Sequence[Any]]) -> list[list[Any]]:
    """Rows of one width, without the empty rows and columns at the end of the sheet."""
    cells = [list(row) for row in rows]
    while cells and all(cell is None for cell in cells[-1]):
        cells.pop()
    width = max((1 + at for row in cells for at, cell in enumerate(row) if cell is not None), default=0)
    return [row[:width] + [None] * (width - len(row)) for row in cells]
