"""Excel workbooks, by openpyxl: the first sheet that holds numbers is the table."""

from __future__ import annotations

import io
import itertools
import re
import warnings
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from errors import DataError, many
from readers import register
from readers.base import Reader, TableText, csv_text, require
from readers.described import HEAD, described
from readers.upright import upright

READS = {"endings": [".xlsx"]}
MOST_PACKED, MOST_EMPTY, LEAST = 100, 100, 1 << 20  # bytes of one packed; cells of one filled; what is small anyway
LEAST_LINES = 2  # with numbers, that a table has
_COMMA = re.compile(r"\s*[+-]?\d*,\d+\s*")
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
                content = file.read()
                _check_size(content, path)
                book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True)
                sheet = next(filter(_has_numbers, book.worksheets), book.worksheets[0])
                cells = _trimmed(_rows(sheet), path)
                commas = _set_points(cells)
                text = csv_text(cells)
        except _DAMAGED as error:
            raise DataError(f"cannot be read as an Excel workbook: {error}", where=str(path)) from None
        further = ", ".join(other.title for other in book.worksheets if other is not sheet)
        which = "the first sheet" if sheet is book.worksheets[0] else f"the sheet {sheet.title}"
        notes = [f"only {which} is read, not {further}"] * bool(further)
        notes += [f"{many(commas, 'cell')} of text with a decimal comma read as numbers"] * bool(commas)
        return _laid_out(text, tuple(notes))


def _laid_out(text: io.BytesIO, notes: tuple[str, ...]) -> TableText:
    """The table in one line and one column of names, a series a line, as of CSV text."""
    found, plain = upright(io.BufferedReader(text, HEAD), HEAD)
    found = found or described(plain) or TableText(plain)
    return replace(found, notes=(*notes, *found.notes))


def _rows(sheet: Any) -> Iterable[Sequence[Any]]:
    sheet.reset_dimensions()  # what the file says of them may be anything
    rows: Iterable[Sequence[Any]] = sheet.iter_rows(values_only=True)
    return rows


def _has_numbers(sheet: Any) -> bool:
    """Whether lines of a sheet hold numbers, as those of a title page do not."""
    numbered = (row for row in _rows(sheet) if any(map(_is_number, row)))
    return len(list(itertools.islice(numbered, LEAST_LINES))) == LEAST_LINES


def _is_number(cell: Any) -> bool:
    return type(cell) in (int, float) or (isinstance(cell, str) and bool(_COMMA.fullmatch(cell)))


def _set_points(cells: list[list[Any]]) -> int:
    """Write a point in numbers that are text with a decimal comma, in cells [n][C]; how many there are.

    A column is left as it is where each of its commas stands before three digits: it may be one of thousands.
    """
    count = 0
    for k in range(len(cells[0]) if cells else 0):
        found = [row for row in cells if isinstance(row[k], str) and _COMMA.fullmatch(row[k])]
        if found and not all(len(row[k]) - row[k].rindex(",") == 4 for row in found):
            count += len(found)
            for row in found:
                row[k] = row[k].replace(",", ".")
    return count


def _check_size(content: bytes, path: Path) -> None:
    """DataError for a workbook that would be far larger unpacked than tables are."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        size = sum(entry.file_size for entry in archive.infolist())
    if size > MOST_PACKED * len(content) + LEAST:
        what = f"is {len(content):,} bytes, and would be {size:,} unpacked: no table packs so well"
        raise DataError(what, where=str(path), hint="save it as CSV if it is right")


def _trimmed(rows: Iterable[Sequence[Any]], path: Path) -> list[list[Any]]:
    """Rows of one width, without the empty rows and columns at the end. DataError where next to all is empty."""
    cells = [list(row) for row in rows]
    while cells and all(cell is None for cell in cells[-1]):
        cells.pop()
    width = max((1 + at for row in cells for at, cell in enumerate(row) if cell is not None), default=0)
    filled = sum(len(row) - row.count(None) for row in cells)
    if len(cells) * width > MOST_EMPTY * filled + LEAST:
        what = f"the sheet spans {len(cells):,} rows and {width:,} columns, and {filled:,} cells hold anything"
        raise DataError(what, where=str(path), hint="a cell far from the table may hold something: delete it")
    return [row[:width] + [None] * (width - len(row)) for row in cells]
