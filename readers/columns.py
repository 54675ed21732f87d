"""One long table: a header, a line per step of time, and some of its columns read by pandas' C parser.

That parser accepts lines that are short or long, and does not say where a bad cell is. So the cells of each line are
counted first, and what it does not accept as a time or a number is read again, as text.
"""

from __future__ import annotations

import csv
import hashlib
import io
import itertools
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from data import Source
from errors import DataError, UsageError, nearest
from readers.dialect import MISSING, Dialect, width_error
from readers.files import decode, dialect_of, open_table, read_whole
from readers.stamps import Locate, Stamps, parsed_stamps, read_stamps

MOST_NAMES = 30  # columns that a hint lists


@dataclass(frozen=True)
class Wanted:
    """The columns to read by name: the time's, the row ids' (or ""), and the channels' (None: all others)."""

    time: str
    id: str
    columns: tuple[str, ...] | None


@dataclass(frozen=True, eq=False)
class LongFile:
    """What was read of one file: n lines below the header, and C channels of them.

    values : float32 [C, n], NaN where missing. columns : the channels' names.
    at : [C], the numbers of the channels' columns in the file, from 0.
    ids : text [n], the row of each line; None where no column of ids was asked for.
    locate : gives `path:line` of a line of the table, counted from 0 below the header.
    source : the file; its shape is (n, columns of the file).
    """

    path: Path
    columns: tuple[str, ...]
    at: tuple[int, ...]
    values: np.ndarray
    stamps: Stamps
    ids: np.ndarray | None
    locate: Locate
    source: Source
    notes: tuple[str, ...]

    @property
    def lines(self) -> int:
        """Lines of the table below the header."""
        return int(self.values.shape[1])


def read_file(path: Path, wanted: Wanted, dialect: Dialect) -> LongFile:
    """Read one long file.

    Parameters
    ----------
    path : the file, of any format that a reader knows.
    wanted : the columns to read.
    dialect : how the flags say that CSVs are written.

    Raises
    ------
    DataError : a file, column, line or cell that is not in order.
    """
    dialect = dialect_of(path, dialect)
    with open_table(path) as table:
        text = _Text(read_whole(table.text, path), path, dialect)
    locate = partial(_locate, path, dialect, b'"' in text.text)
    return _read_table(text, wanted, locate, table.sha256, table.bytes, table.notes)


def read_answer(text: bytes, path: Path, id_col: str, columns: tuple[str, ...] | None) -> LongFile:
    """The answer to a query, read as a long file.

    Parameters
    ----------
    text : CSV with a header: the time, then channels and maybe an id.
    path : the file of the query; a location in a message is this file and the row of the answer, counted from 1.
    id_col : the column of the row ids; "" for none.
    columns : the channels wanted; None for all others.

    Raises
    ------
    DataError : as in `read_file`.
    UsageError : the id is the column of the time.
    """
    answer = _Answer(text.rstrip(b"\n"), path, Dialect(",", ".", "yes", "no"))
    time = answer.header()[0]
    if time == id_col:
        raise UsageError("the first column of a query is the time", where=f"--id-col {id_col}")
    sha256 = hashlib.sha256(text).hexdigest()
    return _read_table(answer, Wanted(time, id_col, columns), answer.locate, sha256, len(text), ())


def _read_table(text: _Text, wanted: Wanted, locate: Locate, sha256: str, size: int, notes: Sequence[str]) -> LongFile:
    """The columns wanted of a table's text; `locate` is kept, so it should not hold the text."""
    names = text.header()
    needed, more = _needed(names, wanted, text)
    columns = [name for name in needed if name not in (wanted.time, wanted.id)]
    _check_widths(text, len(names))
    frame, values = _parse(text, names, needed, columns)
    stamps = parsed_stamps(frame[wanted.time])
    if stamps is None:
        stamps = read_stamps(_read_text(text, names, wanted.time), text.locate)
    ids = _ids(frame[wanted.id], text) if wanted.id else None
    return LongFile(
        path=text.path,
        columns=tuple(columns),
        at=tuple(names.index(name) for name in columns),
        values=values,
        stamps=stamps,
        ids=ids,
        locate=locate,
        source=Source(str(text.path), sha256, size, (values.shape[1], len(names))),
        notes=(*notes, *more, *([stamps.note] if stamps.note else [])),
    )


def _locate(path: Path, dialect: Dialect, quoted: bool, record: int) -> str:
    """`path:line` of a line of the table. Quoted cells may span lines of the file, which is then read again."""
    if not quoted:
        return f"{path}:{record + 2}"
    with open_table(path) as table:
        return _Text(read_whole(table.text, path), path, dialect).locate(record)


@dataclass(frozen=True)
class _Text:
    """A table's text, as `read_whole` gives it."""

    text: bytes
    path: Path
    dialect: Dialect

    @property
    def quoted(self) -> bool:
        return b'"' in self.text

    def header(self) -> list[str]:
        """The names of the columns. DataError where there are none, or no line below them."""
        end = self.text.find(b"\n")
        head = self.text[: end if end >= 0 else None].removesuffix(b"\r")
        if not head.strip():
            raise DataError("line 1 is blank, not a header" if self.text else "the file is empty", where=str(self.path))
        names = self.dialect.split([decode(head)], self.path)[0]
        if end < 0:
            raise DataError("has a header and no rows", where=str(self.path))
        return [name.strip() for name in names]

    def lines(self) -> Iterator[tuple[int, list[str]]]:
        """Each line of the table, with the header: the number of its first line in the file, and its cells."""
        stream = io.StringIO(decode(self.text), newline="")
        reader = csv.reader(stream, delimiter=self.dialect.sep, skipinitialspace=self.dialect.sep != " ")
        line = 1
        try:
            for cells in reader:
                yield line, cells
                line = reader.line_num + 1
        except csv.Error as error:
            raise DataError(str(error), where=f"{self.path}:{line}") from None

    def locate(self, record: int) -> str:
        """`path:line` of a line of the table, counted from 0 below the header."""
        line = next(itertools.islice(self.lines(), record + 1, None))[0] if self.quoted else record + 2
        return f"{self.path}:{line}"

    def cells(self, record: int) -> list[str]:
        """The cells of a line of the table, counted from 0 below the header."""
        if self.quoted:
            return next(itertools.islice(self.lines(), record + 1, None))[1]
        line = next(itertools.islice(io.BytesIO(self.text), record + 1, None))
        return self.dialect.split([decode(line).rstrip("\r\n")], self.path)[0]


class _Answer(_Text):
    """The answer to a query, as CSV text; `path` is the file with the query."""

    def locate(self, record: int) -> str:
        """`path, row N` of a row of the answer."""
        return f"{self.path}, row {record + 1}"


# ---- columns


def _needed(names: Sequence[str], wanted: Wanted, text: _Text) -> tuple[list[str], list[str]]:
    """The names of all columns to read, the time first, and notes. DataError for one that is missing or ambiguous."""
    keys = [wanted.time] + [wanted.id] * bool(wanted.id)
    for name, flag in zip(keys, ("--time-col", "--id-col"), strict=False):
        if name not in names:
            raise _no_column(name, names, text.path, where=f"{flag} {name}")
    notes = []
    columns = wanted.columns
    if columns is None:
        columns = tuple(name for name in names if name and name not in keys)
        nameless = [str(number) for number, name in enumerate(names, 1) if not name]
        notes = [f"warning: column {', '.join(nameless)} has no name and is left out"] if nameless else []
    for name in columns:
        if name not in names:
            raise _no_column(name, names, text.path, where=str(text.path))
    if not columns:
        raise DataError("has no column besides the time and the id", where=str(text.path))
    needed = [*keys, *columns]
    for name in needed:
        if names.count(name) > 1:
            raise DataError(f"{names.count(name)} columns are named {name!r}", where=str(text.path))
    return needed, notes


def _no_column(name: str, names: Sequence[str], path: Path, *, where: str) -> DataError:
    meant = nearest(name, names)
    what = f"no column {name!r}{'' if where == str(path) else f' in {path}'}{f'; {meant}' if meant else ''}"
    for sep in ";,\t|":
        if len(names) == 1 and name in names[0].split(sep):
            return DataError(what, where=where, hint=f"--sep {sep!r}")
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return DataError(what, where=where, hint=f"its columns: {', '.join(names[:MOST_NAMES])}{more}")


# ---- lines


def _check_widths(text: _Text, width: int) -> None:
    """DataError at the first line that does not have `width` cells."""
    sep = text.dialect.sep.encode()
    marks = text.text.translate(None, bytes({*range(256)} - {*sep, *b'\n"'})) + b"\n"
    if b'"' in marks:
        codes = np.frombuffer(marks, np.uint8)
        quotes = codes == ord('"')
        marks = codes[~(quotes | np.logical_xor.accumulate(quotes))].tobytes()
    if marks == (sep * (width - 1) + b"\n") * (len(marks) // width):
        return
    for line, cells in text.lines():  # a quote within a cell may have confused the count
        if len(cells) != width:
            raise width_error(text.path, line, found=len(cells) or 1, expected=width)


# ---- cells


def _parse(text: _Text, names: Sequence[str], needed: Sequence[str], columns: Sequence[str]) -> tuple[Any, np.ndarray]:
    """The columns of the time and the ids as a frame, and the channels `columns` as float32 [C, n]."""
    import pandas

    dtypes: dict[str, Any] = dict.fromkeys(needed[1:], "category") | dict.fromkeys(columns, np.float32)
    missing = {name: list(MISSING) for name in columns}
    try:
        frame = _read_csv(text, names, needed, dtype=dtypes, na_values=missing, parse_dates=needed[:1])
    except pandas.errors.ParserError as error:
        raise DataError(f"cannot be read as CSV: {error}", where=str(text.path)) from None
    except ValueError:  # a cell that the parser does not accept as a number
        keys = needed[: len(needed) - len(columns)]
        frame = _read_csv(text, names, keys, dtype=dict.fromkeys(keys[1:], "category"), parse_dates=keys[:1])
        return frame, np.stack([_numbers(text, names, name) for name in columns])
    values = np.empty((len(columns), len(frame)), np.float32)
    for channel, name in enumerate(columns):
        values[channel] = frame.pop(name)
        first = int(np.argmax(~np.isnan(values[channel])))
        # The parser makes 0 and 1 of columns of False and True.
        if values[channel, first] in (0, 1) and text.dialect.is_text(text.cells(first)[names.index(name)]):
            _numbers(text, names, name)
    return frame, values


def _read_csv(text: _Text, names: Sequence[str], needed: Sequence[str], **options: Any) -> Any:
    import pandas

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # times of several offsets, which are read as text
        return pandas.read_csv(
            io.BytesIO(text.text),
            header=0,
            names=[name if name in needed else f"\n{number}" for number, name in enumerate(names)],
            usecols=list(needed),
            keep_default_na=False,
            date_format="ISO8601",
            sep=text.dialect.sep,
            decimal=text.dialect.decimal,
            skipinitialspace=text.dialect.sep != " ",
            encoding="utf-8" if _is_utf8(text.text) else "latin-1",
            engine="c",
            **options,
        )


def _read_text(text: _Text, names: Sequence[str], name: str) -> np.ndarray:
    """The cells [n] of one column as text."""
    cells: np.ndarray = _read_csv(text, names, [name], dtype=object, na_filter=False)[name].to_numpy()
    return cells


def _is_utf8(text: bytes) -> bool:
    try:
        return text.isascii() or bool(text.decode())
    except UnicodeDecodeError:
        return False


def _ids(column: Any, text: _Text) -> np.ndarray:
    """The ids [n] of a column of categories. DataError where one is missing."""
    kinds = column.cat.categories.str.strip().to_numpy(object)
    ids: np.ndarray = kinds[column.cat.codes.to_numpy()]
    if "" in kinds:
        raise DataError("the id is missing", where=text.locate(int(np.argmax(ids == ""))))
    return ids


def _numbers(text: _Text, names: Sequence[str], name: str) -> np.ndarray:
    """A column as float32 [n], cell by cell. DataError with `path:line:column` at the first that is not a number."""
    import pandas

    codes, kinds = pandas.factorize(_read_text(text, names, name))
    numbers = [text.dialect.number(cell) for cell in kinds]
    if None not in numbers:
        found: np.ndarray = np.array(numbers, np.float32)[codes]
        return found
    cell = kinds[numbers.index(None)]
    hint = "a missing value is an empty cell, NA, nan or null; --columns names the columns to read"
    if text.dialect.swapped.is_number(cell):
        hint = f"--decimal '{text.dialect.swapped.decimal}'"
    line = text.locate(int(np.argmax(codes == numbers.index(None))))
    what = f"text {cell[:40]!r} where a number is expected, in column {name!r}"
    raise DataError(what, where=f"{line}:{names.index(name) + 1}", hint=hint)
