"""Zip archives: the only table in one, of whatever format its name says."""

from __future__ import annotations

import io
import zipfile
import zlib
from pathlib import Path

from errors import DataError
from readers import reader_of, register
from readers.base import Reader, TableText
from readers.dialect import Dialect
from readers.paths import abridge

READS = {"endings": [".zip"]}
_NO_TABLES = (".md", ".pdf", ".html", ".htm", ".rst", ".png", ".jpg", ".ds_store")  # that lie beside one


@register
class ZipReader(Reader):
    """The table as the reader of its own format gives it. An archive of several is to be unpacked."""

    named_columns = False

    def text(self, file: io.BufferedReader, path: Path) -> TableText:
        """See `Reader.text`. DataError for a damaged archive, and for one that does not hold one table."""
        try:
            with zipfile.ZipFile(io.BytesIO(file.read())) as archive:
                name = _only([each.filename for each in archive.infolist() if not each.is_dir()], path)
                held = archive.read(name)
        except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
            raise DataError(f"cannot be read as a zip archive: {error}", where=str(path)) from None
        return reader_of([name]).text(io.BufferedReader(io.BytesIO(held)), path)

    def dialect(self, asked: Dialect) -> Dialect:
        """As the flags have `asked`: what its table is shows in its lines."""
        return asked


def _only(names: list[str], path: Path) -> str:
    """The one name of a table. DataError where there is none, or several."""
    tables = [
        name
        for name in names
        if not name.startswith("__MACOSX/") and not name.lower().endswith(_NO_TABLES) and "readme" not in name.lower()
    ]
    if len(tables) != 1:
        held = f"holds {len(tables)} files: {abridge(tables)}" if tables else "holds no table"
        raise DataError(held, where=str(path), hint=f"unzip {path}, then name the files in it")
    return tables[0]
