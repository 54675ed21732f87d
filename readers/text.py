"""CSV text, plain or gzip: the reader for every ending that no other reader knows."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

from readers import register
from readers.base import Reader, TableText
from readers.dialect import Dialect

READS = {"endings": [".csv"]}
_GZIP = b"\x1f\x8b"


@register
class TextReader(Reader):
    """The text as it is in the file; flags or guesses say how it is written."""

    named_columns = False

    def text(self, file: io.BufferedReader, path: Path) -> TableText:
        """The file as it is, unpacked where it is gzip. See `Reader.text`."""
        return TableText(gzip.GzipFile(fileobj=file) if file.peek(2)[:2] == _GZIP else file)

    def dialect(self, asked: Dialect) -> Dialect:
        """As the flags have `asked`: nothing is known about a CSV beyond them."""
        return asked
