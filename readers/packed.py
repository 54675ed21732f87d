"""What the first bytes of a file say of it, whatever its name: packed text, JSON, or a format that is no text."""

from __future__ import annotations

import gzip
import io
import re
from pathlib import Path

from errors import DataError

START, HEAD = 64, 1 << 16  # bytes that say what it is, and that are unpacked at a time
_JSON = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:\[\s*)?(?:\{\s*\"|\[\s*\[)")
_FORMATS = {  # first bytes -> what the file is, and what helps
    b"PAR1": ("a Parquet file", "give its name the ending .parquet"),
    b"ARROW1": ("a Feather file", "give its name the ending .feather"),
    b"PK\x03\x04": ("a workbook of Excel or a zip archive", "give its name the ending .xlsx or .zip"),
    b"\xd0\xcf\x11\xe0": ("an Excel workbook of the old kind, .xls", "save it as .xlsx or as CSV"),
    b"\x93NUMPY": ("a NumPy array", "give its name the ending .npy"),
    b"\x89HDF": ("an HDF5 file", "write its tables as CSV or Parquet, as pandas.read_hdf(FILE).to_csv() does"),
    b"CDF": ("a NetCDF file", "write its variables as CSV, as xarray.open_dataset(FILE).to_dataframe().to_csv() does"),
    b"MATLAB": ("a MATLAB file", "write its arrays as CSV, as MATLAB's writematrix does"),
    b"SQLite": ("an SQLite database", "write a table as CSV, with sqlite3 -csv -header"),
    b"%PDF": ("a PDF document", "find the table as CSV"),
    b"7z\xbc\xaf": ("a 7z archive", "unpack it first"),
    b"Rar!": ("a RAR archive", "unpack it first"),
    b"(\xb5/\xfd": ("packed by zstd", "unpack it first, or pack it with gzip"),
}
_PAGE = re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype\s+html|html|head|table|meta)\b", re.IGNORECASE)


def unpacked(file: io.BufferedReader) -> io.BufferedReader:
    """The text of a file that gzip, bzip2 or xz has packed; the file itself where none has.

    Parameters
    ----------
    file : at its start.
    """
    head = file.peek(START)
    packed: io.BufferedIOBase | None = None
    if head.startswith(b"\x1f\x8b"):
        packed = gzip.GzipFile(fileobj=file)
    elif head.startswith(b"BZh"):
        import bz2

        packed = bz2.BZ2File(file)
    elif head.startswith(b"\xfd7zXZ\0"):
        import lzma

        packed = lzma.LZMAFile(file)  # noqa: SIM115 - read by the caller
    return file if packed is None else io.BufferedReader(packed, HEAD)


def is_json(head: bytes) -> bool:
    """Whether a text begins as a list of records or rows does, or as an object."""
    return bool(_JSON.match(head))


def check_text(head: bytes, path: Path) -> None:
    """Refuse what is of another format.

    Parameters
    ----------
    head : the first bytes of a file, START or more.
    path : the file.

    Raises
    ------
    DataError : it is none of CSV, with the name of what it is.
    """
    if _PAGE.match(head):
        raise DataError("is a web page, not a CSV", where=str(path), hint="save the table itself, as CSV or .xlsx")
    what, hint = next((known for magic, known in _FORMATS.items() if head.startswith(magic)), ("", ""))
    if what and b"\0" in head:
        raise DataError(f"is {what}, not a CSV", where=str(path), hint=hint)
