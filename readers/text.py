"""CSV text, plain or gzip: the reader for every ending that no other reader knows."""

from __future__ import annotations

import gzip
import io
import re
from pathlib import Path

from errors import DataError
from readers import register
from readers.base import Reader, TableText
from readers.dialect import Dialect

READS = {"endings": [".csv"]}
MOST_PEEKED = 1 << 16  # bytes
_NUMBERS = re.compile(rb"[-+.\deEnaNA ]+")
_GZIP = b"\x1f\x8b"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


@register
class TextReader(Reader):
    """The text as it is in the file; flags or guesses say how it is written."""

    named_columns = False

    def text(self, file: io.BufferedReader, path: Path) -> TableText:
        """The file as it is, unpacked where it is gzip; UTF-16, as Excel writes it, as UTF-8. See `Reader.text`."""
        if _spaced(file.peek(MOST_PEEKED)):
            lines = (b" ".join(line.split()) for line in file.read().splitlines())
            return TableText(io.BytesIO(b"\n".join(lines) + b"\n"))
        start = file.peek(2)[:2]
        if start in _UTF16:
            try:
                return TableText(io.BytesIO(file.read().decode("utf-16").encode()))
            except UnicodeDecodeError as error:
                hint = "save it as UTF-8"
                raise DataError(f"is damaged UTF-16 text: {error.reason}", where=str(path), hint=hint) from None
        return TableText(gzip.GzipFile(fileobj=file) if start == _GZIP else file)

    def dialect(self, asked: Dialect) -> Dialect:
        """As the flags have `asked`: nothing is known about a CSV beyond them."""
        return asked


def _spaced(head: bytes) -> bool:
    """Whether a file begins with numbers between which several spaces stand, as Fortran, MATLAB and old archives do."""
    line = head.split(b"\n", 1)[0].strip(b"\r")
    return bool(b"  " in line.strip() and _NUMBERS.fullmatch(line))
