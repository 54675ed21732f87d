"""Files opened as CSV text whatever their format, hashed as they are read; small ones read whole."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import itertools
import lzma
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from errors import DataError, refused
from readers import reader_of
from readers.dialect import AUTO, Dialect
from readers.fitting import fitted, read_head, some_lines
from readers.paths import merge_notes
from readers.pieces import BLOCK

MARK = b"\xef\xbb\xbf"  # of UTF-8 at the beginning of a text
MOST_FILES = 1000  # of a folder that are looked at for a hint


class _Digesting(io.RawIOBase):
    """A file's bytes as they are on disk, hashed on their way."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb", buffering=0)
        self.sha = hashlib.sha256()
        self.size = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = self._file.readinto(buffer) or 0
        self.sha.update(memoryview(buffer)[:count])
        self.size += count
        return count

    def close(self) -> None:
        self._file.close()
        super().close()


@dataclass(frozen=True)
class OpenTable:
    """A table's text, and notes about its file. `sha256` and `bytes`, of the file on disk, are right at its end.

    `beside` are columns of the file that are none of the table's, see `TableText`.
    """

    text: io.BufferedIOBase
    notes: tuple[str, ...]
    raw: _Digesting
    beside: Mapping[str, Sequence[str]]

    @property
    def sha256(self) -> str:
        """The checksum of the file in hexadecimal, right once the text is read to its end."""
        return self.raw.sha.hexdigest()

    @property
    def bytes(self) -> int:
        """The bytes read of the file, its size once the text is read to its end."""
        return self.raw.size


@contextlib.contextmanager
def open_table(path: Path) -> Iterator[OpenTable]:
    """A file as CSV text, whatever its format; a context manager that closes it.

    Parameters
    ----------
    path : the file.

    Raises
    ------
    DataError : whatever goes wrong in opening or reading it, inside the block too.
    UsageError : the format needs a package that is not installed.
    """
    where = str(path)
    try:
        with _Digesting(path) as raw:
            file: io.BufferedReader = io.BufferedReader(raw, BLOCK)
            table = reader_of([path]).text(file, path)
            yield OpenTable(table.text, table.notes, raw, table.beside)
    except FileNotFoundError:
        raise DataError("no such file", where=where) from None
    except IsADirectoryError:
        house = "--task nilm --dataset redd (or ukdale) reads the folder of a house, of channel_M.dat and labels.dat"
        hint = house if (path / "labels.dat").exists() else f"'{_below(path)}' for the files in it"
        raise DataError("is a folder, not a file", where=where, hint=hint) from None
    except (gzip.BadGzipFile, EOFError, lzma.LZMAError, zlib.error) as error:
        raise DataError(f"damaged packed file: {error}", where=where) from None
    except OSError as error:
        raise refused(error, DataError, "cannot be read", where) from None


def _below(folder: Path) -> str:
    """A pattern of the files in a folder, or in those within it, of the commonest ending there."""
    for depth in ("*", "*/*", "*/*/*"):
        ends = Counter(path.suffix for path in itertools.islice(folder.glob(depth), MOST_FILES) if path.is_file())
        if ends:
            return f"{folder}/{depth}{ends.most_common(1)[0][0]}"
    return f"{folder}/*.csv"


def dialect_of(path: Path, asked: Dialect) -> Dialect:
    """How the text of a file is written.

    Parameters
    ----------
    path : the file.
    asked : what the flags say; it holds for CSV, and a reader of another format has a dialect that it writes.

    Raises
    ------
    DataError : its lines must show it, and it cannot be read.
    """
    dialect = reader_of([path]).dialect(asked)
    if AUTO not in (dialect.sep, dialect.decimal):
        return dialect
    return fitted(first_lines(path)[0], dialect)


def first_cells(path: Path, asked: Dialect) -> list[str]:
    """The cells of a file's first line, which may be names.

    Parameters
    ----------
    path : the file.
    asked : what the flags say of how it is written.

    Raises
    ------
    DataError : it cannot be read.
    """
    return [cell.strip() for cell in dialect_of(path, asked).split(first_lines(path)[0][:1], path)[0]]


def first_lines(path: Path) -> tuple[list[str], tuple[str, ...]]:
    """Some lines of a file, the first ones at the beginning, and the notes of its reader.

    Parameters
    ----------
    path : the file, of any format.

    Raises
    ------
    DataError : it cannot be read, or nothing is in it.
    """
    with open_table(path) as table:
        plain = isinstance(table.text, io.BufferedReader) and table.text.raw is table.raw
        head, ended = read_head(table.text)
    lines = some_lines(path, text_start(head, path), ended=ended, plain=plain)
    if not any(line.strip() for line in lines):
        raise DataError("the file is empty", where=str(path))
    return lines, table.notes


def lines_about(path: Path, lines: Sequence[str]) -> int:
    """How many lines a file has, about, by how long some of them are."""
    return path.stat().st_size * len(lines) // max(sum(map(len, lines)) + len(lines), 1)


def sha256_of(path: Path) -> str:
    """The checksum of a file, in hexadecimal.

    Raises
    ------
    OSError : it cannot be read.
    """
    return checksum_of(path)[0]


def checksum_of(path: Path) -> tuple[str, int]:
    """The checksum of a file, in hexadecimal, and its bytes.

    Raises
    ------
    OSError : it cannot be read.
    """
    with _Digesting(path) as raw:
        while raw.read(BLOCK):
            pass
    return raw.sha.hexdigest(), raw.size


def text_start(chunk: bytes, path: Path) -> bytes:
    """The first bytes of a text without their byte order mark.

    Parameters
    ----------
    chunk : the bytes.
    path : the file, for the error.

    Raises
    ------
    DataError : they are UTF-16, or hold a zero byte.
    """
    if chunk.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError("is UTF-16 text", where=str(path), hint="save it as UTF-8")
    chunk = chunk.rstrip(b"\0")  # as a logger leaves behind its last line when its power fails
    if b"\0" in chunk:
        hint = "a CSV is text, plain or gzip; the ending of a file's name says that it has another format"
        raise DataError("is not a text file", where=str(path), hint=hint)
    return chunk.removeprefix(MARK)


def unix_lines(block: bytes) -> bytes:
    """Lines that end in `\\n`, whatever they ended in, and begin with no byte order mark.

    Parameters
    ----------
    block : bytes of whole lines, the last one without its end.
    """
    block = without_marks(block).removeprefix(MARK)
    return block.replace(b"\r\n", b"\n").removesuffix(b"\r") if b"\r" in block else block


def without_marks(text: bytes) -> bytes:
    """A text without byte order marks at the beginnings of lines, as where one file was put behind another."""
    known = MARK[:1] in text and MARK in text  # one byte is found much faster than several
    return text.replace(b"\n" + MARK, b"\n") if known else text


def line_blocks(stream: io.BufferedIOBase, path: Path, *, quoted: bool = False, size: int = 0) -> Iterator[bytes]:
    """Blocks of whole lines, `\\n` between lines and none at the end; blank lines at the end of the text left out.

    Parameters
    ----------
    stream : the text, read to its end.
    path : the file, for the error.
    quoted : whether a line may end within quotes, so that no block does.
    size : bytes of a block; 0 for BLOCK.

    Raises
    ------
    DataError : see `text_start`.
    """
    size = size or BLOCK
    carry, chunk = b"", text_start(stream.read(size), path)
    while chunk:
        text = carry + chunk
        # The last line that is not blank waits for the next block: it may continue there, or only blank lines follow.
        cut = text.rfind(b"\n", 0, len(text.rstrip(b"\r\n")))
        while quoted and cut >= 0 and text.count(b'"', 0, cut) % 2:
            cut = text.rfind(b"\n", 0, cut)
        if cut >= 0:
            yield unix_lines(text[:cut])
        carry = text[cut + 1 :]
        chunk = stream.read(max(size, len(carry)))
    if last := carry.rstrip(b"\r\n\0"):
        yield unix_lines(last)


def decode(text: bytes) -> str:
    """Bytes as text: UTF-8, or else Latin-1. It never fails.

    Parameters
    ----------
    text : the bytes.
    """
    try:
        return text.decode()
    except UnicodeDecodeError:
        return text.decode("latin-1")


def read_whole(stream: io.BufferedIOBase, path: Path) -> bytes:
    """A text without a byte order mark, and without the blank lines at its end.

    Parameters
    ----------
    stream : the text, read to its end.
    path : the file, for the error.

    Raises
    ------
    DataError : see `text_start`.
    """
    blocks = list(iter(lambda: stream.read(BLOCK), b""))
    while blocks and not blocks[-1].strip(b"\r\n\0"):
        blocks.pop()
    blocks[-1:] = [block.rstrip(b"\r\n\0") for block in blocks[-1:]]
    return without_marks(text_start(b"".join(blocks), path))


def read_cells(path: Path, dialect: Dialect) -> tuple[list[list[str]], list[str]]:
    """The cells of a small table as text.

    Parameters
    ----------
    path : the file.
    dialect : how the flags say that CSVs are written.

    Returns
    -------
    A list of cells per line, without blank last lines; and the notes of the reader.

    Raises
    ------
    DataError : the file is empty or cannot be read.
    """
    with open_table(path) as table:
        text = read_whole(table.text, path)
    if not text:
        raise DataError("the file is empty", where=str(path))
    lines = decode(unix_lines(text)).split("\n")
    dialect = dialect_of(path, dialect)
    return dialect.split(lines, path), merge_notes([(path, (*table.notes, *filter(None, [dialect.taken])))])


def read_header(path: Path, sep: str = ",") -> list[str]:
    """The names in a table's first line.

    Parameters
    ----------
    path : the file.
    sep : what separates the cells of CSV text.

    Raises
    ------
    DataError : the file cannot be read.
    """
    with open_table(path) as table:
        line = text_start(table.text.readline(), path)
    cells = dialect_of(path, Dialect(sep)).split([decode(line).rstrip("\r\n")], path)[0]
    return [cell.strip() for cell in cells]
