"""The text of a long table: its header, its lines, where each of them is."""

from __future__ import annotations

import csv
import io
import itertools
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from errors import DataError, many
from readers.dialect import Dialect, line_of, width_error
from readers.files import decode
from readers.fitting import MOST_ABOVE, rows_of
from readers.guess import LINE, has_names
from readers.restarts import parted
from readers.tidying import foot, numbered, widened
from readers.unfolded import VIRTUAL, unfolded
from readers.units import units_below

AT_ONCE = 1 << 22  # bytes that pandas' parser takes at once
MOST_CELLS, LEAST_LINES = 4000, 8  # cells of the first and of the last lines that are looked at, and lines at least


@dataclass(frozen=True)
class Numbering:
    """Where the lines of a table are in its file: `first` is the line of the header, `out` are lines left out below.

    A table that was written out has `per` lines for one of the file, and begins with the number `begin` of all these.
    """

    first: int = 1
    out: tuple[int, ...] = ()
    per: int = 1
    begin: int = 0

    def line(self, number: int) -> int:
        """The line of the file, counted from 1, that is the line of that number of the table with its header."""
        if number > 1:
            number = 2 + (self.begin + number - 2) // self.per
        number += self.first - 1
        for out in self.out:
            number += out <= number
        return number


@dataclass(frozen=True)
class LongText:
    """A table's text, as `read_whole` gives it, without what stands above the header and without comments."""

    text: bytes
    path: Path
    dialect: Dialect
    numbering: Numbering = Numbering()
    begins: tuple[int, ...] = ()  # of recordings that blank lines part but the first, counted from 0
    written: ClassVar[bool] = True  # by people and devices, who choose marks, not by this program

    @cached_property
    def quoted(self) -> bool:
        """Whether there is a quote somewhere, so that a separator or a line's end may lie within a cell."""
        return b'"' in self.text

    @cached_property
    def encoding(self) -> str:
        """utf-8, or latin-1 for what is not."""
        try:
            return "utf-8" if self.text.isascii() or self.text.decode() else ""
        except UnicodeDecodeError:
            return "latin-1"

    @property
    def title(self) -> bytes:
        """The line of the names."""
        return self.text.partition(b"\n")[0]

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

    def check_widths(self, width: int) -> None:
        """DataError at the first line that does not have `width` cells."""
        sep = self.dialect.sep.encode()
        marks = self.text.translate(None, bytes({*range(256)} - {*sep, *b'\n"'})) + b"\n"
        if b'"' in marks:
            codes = np.frombuffer(marks, np.uint8)
            quotes = codes == ord('"')
            marks = codes[~(quotes | np.logical_xor.accumulate(quotes))].tobytes()
        if marks == (sep * (width - 1) + b"\n") * (len(marks) // width) and not self._has_stray_quotes():
            return
        for line, cells in self.lines():  # a quote within a cell may have confused the count
            if len(cells) != width:
                raise width_error(self.path, line, found=len(cells) or 1, expected=width)

    def _has_stray_quotes(self) -> bool:
        """Whether a quote opens within a cell, where it is a character like others, or is never closed."""
        if b'"' not in self.text:
            return False
        codes = np.frombuffer(self.text, np.uint8)
        at = np.flatnonzero(codes == ord('"'))
        opening = at[::2]
        before = codes[opening[opening > 0] - 1]
        starts = np.frombuffer(self.dialect.sep.encode() + b' \t\n\r"', np.uint8)
        return bool(len(at) % 2 or not np.isin(before, starts).all())

    def frame(self, names: Sequence[str], wanted: Sequence[str], **options: Any) -> Any:
        """Some columns as pandas' C parser reads them, in the order of the file.

        Parameters
        ----------
        names : those of all columns.
        wanted : those of the columns to read.
        options : more arguments of `pandas.read_csv`.

        Raises
        ------
        ValueError : what that function raises, such as for text in a column of numbers.
        """
        import pandas

        chosen = set(wanted)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # times of several offsets, which are read as text
            return pandas.read_csv(
                io.BytesIO(self.text),
                header=0,
                names=[name if name in chosen else f"\n{number}" for number, name in enumerate(names)],
                usecols=list(wanted),
                keep_default_na=False,
                date_format="ISO8601",
                sep=self.dialect.sep,
                decimal=self.dialect.decimal,
                skipinitialspace=self.quoted and self.dialect.sep != " ",  # else numbers may begin with a space
                encoding=self.encoding,
                engine="c",
                low_memory=len(self.text) > AT_ONCE,  # joining what was read in parts takes time for each column
                **options,
            )

    def cells_of(self, names: Sequence[str], wanted: Sequence[str], **options: Any) -> Any:
        """As `frame`, of columns that can hold anything: DataError where the table cannot be read at all."""
        try:
            return self.frame(names, wanted, **options)
        except ValueError as error:
            raise DataError(f"cannot be read as CSV: {error}", where=str(self.path)) from None

    def lines(self) -> Iterator[tuple[int, list[str]]]:
        """Each line of the table, with the header: the number of its first line in the file, and its cells."""
        stream = io.TextIOWrapper(io.BytesIO(self.text), encoding=self.encoding or "utf-8", newline="")
        reader = csv.reader(stream, delimiter=self.dialect.sep, skipinitialspace=self.dialect.sep != " ")
        line = 1
        try:
            for cells in reader:
                yield self.numbering.line(line), cells
                line = reader.line_num + 1
        except csv.Error as error:
            raise DataError(str(error), where=f"{self.path}:{line}") from None

    def locate(self, record: int) -> str:
        """`path:line` of a line of the table, counted from 0 below the header."""
        if self.quoted:
            return f"{self.path}:{next(itertools.islice(self.lines(), record + 1, None))[0]}"
        return f"{self.path}:{self.numbering.line(record + 2)}"

    def cells(self, record: int) -> list[str]:
        """The cells of a line of the table, counted from 0 below the header."""
        if self.quoted:
            return next(itertools.islice(self.lines(), record + 1, None))[1]
        line = next(itertools.islice(io.BytesIO(self.text), record + 1, None))
        return self.dialect.split([decode(line).rstrip("\r\n")], self.path)[0]


class Answer(LongText):
    """The answer to a query, as CSV text; `path` is the file with the query."""

    written = False

    def locate(self, record: int) -> str:
        """`path, row N` of a row of the answer."""
        return f"{self.path}, row {self.numbering.line(record + 2) - 1}"


def table_of(text: bytes, path: Path, dialect: Dialect, keys: Sequence[str]) -> tuple[LongText, list[str]]:
    """The table in a file's text, below the line that names its columns, without lines that begin with a hash sign.

    Parameters
    ----------
    text : the file, as `read_whole` gives it.
    path, dialect : the file, and how it is written.
    keys : columns that the header must name.

    Returns
    -------
    (table, notes on what was left out).
    """
    head = [line.rstrip(b"\n") for line in itertools.islice(io.BytesIO(text), MOST_ABOVE)]
    there = [key for key in keys if key not in VIRTUAL and not key.isdecimal()]  # a number may be data
    if there:
        above = next((number for number, line in enumerate(head) if _names(line, dialect, path, there)), 0)
    else:
        above = max(_header_at(head, dialect, path), _named_at(head, dialect, path))
    notes = []
    if above:
        notes.append(f"line{'s' * (above > 1)} {'1 to ' * (above > 1)}{above} above the header left out")
    body = text[sum(len(line) + 1 for line in head[:above]) :]
    start = len(body) - len(body.lstrip(b"# ")) if body.startswith(b"#") and above < len(head) else 0
    body = body[start:] if start and _names(body.split(b"\n", 1)[0], dialect, path, there) else body
    if b"#" not in body or b"\n#" not in body:  # one byte is found far faster than two
        return _written_out(LongText(body, path, dialect, Numbering(1 + above)), keys, notes)
    lines = body.split(b"\n")
    out = [number for number, line in enumerate(lines) if number and line.startswith(b"#")]
    kept = b"\n".join(line for number, line in enumerate(lines) if not number or not line.startswith(b"#"))
    notes.append(f"{len(out)} line{'s' * (len(out) > 1)} that begin{'s' * (len(out) == 1)} with # left out")
    numbering = Numbering(1 + above, tuple(number + 1 + above for number in out))
    return _written_out(LongText(kept, path, dialect, numbering), keys, notes)


def _written_out(table: LongText, keys: Sequence[str], notes: Sequence[str]) -> tuple[LongText, list[str]]:
    """The tidied table, with columns that its text lacks, see readers/unfolded.py; and the notes."""
    found = unfolded(table.text, table.path, table.dialect, keys)
    if found is None:
        return tidied(table, keys, notes)
    first = table.numbering.first - found.named
    numbering = replace(table.numbering, first=first, per=found.per, begin=found.begin)
    return tidied(replace(table, text=found.text, numbering=numbering), keys, [*notes, *found.notes])


def tidied(table: LongText, keys: Sequence[str], notes: Sequence[str]) -> tuple[LongText, list[str]]:
    """A table without the lines in it that are none of it, and with names that are there once.

    Parameters
    ----------
    table : below the line that names its columns.
    keys : the columns of its times and ids.
    notes : on what was left out before.

    Returns
    -------
    (the table, notes).
    """
    told = list(notes)
    if table.dialect.strict or not keys or b"\n" not in table.text:
        return table, told
    parts, last = _some_lines(table), 1 + table.text.count(b"\n")
    try:
        rows, ends = (table.dialect.split([decode(line) for line in part], table.path) for part in parts)
    except DataError:  # a quote that is not closed in its line
        return table, told
    names = [name.strip() for name in rows[0]]
    out: list[int] = []
    cells = [[cell.strip() for cell in row[names[0] == LINE :]] for row in rows]  # without the numbers of the lines
    if len({*map(len, rows)}) == 1 and units_below(cells, table.dialect):
        out.append(2)
        told.append(f"line {table.numbering.line(2)} holds units and is left out: {', '.join(filter(None, cells[1]))}")
    if keys[0] in names and (count := foot(ends, names.index(keys[0]))):
        out += range(last - count + 1, last + 1)
        words = [cell.strip() for row in ends[-count:] for cell in row if cell.strip()]
        told.append(f"{many(count, 'line')} without a time left out at the end{f': {words[0]}, ...' if words else ''}")
    if not out and len(ends) > 1 and len(ends[-1]) < len(names) == len(ends[-2]):
        out.append(last)
        told.append(f"the last line ends early and is left out: {table.dialect.sep.join(ends[-1])}")
    if again := _again(table):
        out += again
        told.append(f"the names come again in {many(len(again), 'line')} below, left out")
    blank: list[int] = []
    if (b"\n\n" in table.text or b"\n\r\n" in table.text) and not table.quoted:
        blank = [
            number for number, line in enumerate(table.text.split(b"\n"), 1) if not line.strip() and number not in out
        ]
        told += [f"{many(len(blank), 'blank line')} left out"] * bool(blank)
        out += blank
    title = numbered(widened(names, [row for row in rows[1:] if any(row)]))
    if len({*names} - {""}) < sum(map(bool, names)):
        told.append(f"names that come twice are numbered: {', '.join(n for n in title if n and n not in names)}")
    begins = parted(np.setdiff1d(np.arange(2, last + 1), out), blank) if blank and keys[0] == LINE else ()
    table = replace(table, begins=tuple(map(int, begins)))
    return without_lines(table, title if title != names else [], sorted(out)), told


def _again(table: LongText) -> list[int]:
    """The numbers of the lines that repeat that of the names, as where one file was written behind another."""
    title = table.title.rstrip(b"\r")
    if b"\n" + title not in table.text:
        return []
    lines = table.text.split(b"\n")[1:]
    if table.quoted and any(line.count(b'"') % 2 for line in lines):  # a line may be part of a cell
        return []
    return [number for number, line in enumerate(lines, 2) if line.rstrip(b"\r") == title]


def _some_lines(table: LongText) -> tuple[list[bytes], list[bytes]]:
    """The first lines of a table, none of them blank, and its last ones: of a table of many columns, few."""
    text = table.text
    width = 1 + text[: text.find(b"\n")].count(table.dialect.sep.encode())
    count = min(max(MOST_CELLS // width, LEAST_LINES), MOST_ABOVE)
    first = [line.rstrip(b"\r\n") for line in itertools.islice(io.BytesIO(text), count)]
    at = len(text)
    for _ in range(count):
        at = text.rfind(b"\n", 0, at)
        if at < 0:
            break
    return [line for line in first if line], text[max(text.find(b"\n"), at) + 1 :].split(b"\n")


def without_lines(table: LongText, title: Sequence[str], out: Sequence[int]) -> LongText:
    """The table with another line of names, if any, and without the lines of these numbers, from 1 for the names.

    Parameters
    ----------
    table : in which no cell spans lines, where `out` has some.
    title : the names; [] for those it has.
    """
    text, numbering = table.text, table.numbering
    if title:
        _, _, body = text.partition(b"\n")
        text = line_of(title, table.dialect.sep).encode(table.encoding or "utf-8") + b"\n" + body
    if out:
        gone = set(out)
        text = b"\n".join(line for number, line in enumerate(text.split(b"\n"), 1) if number not in gone)
        numbering = replace(numbering, out=tuple(sorted({*numbering.out, *map(numbering.line, out)})))
    return replace(table, text=text, numbering=numbering)


def _header_at(head: Sequence[bytes], dialect: Dialect, path: Path) -> int:
    """The number of the first line of a table: the last one behind a hash sign, where that names as many columns."""
    first = next((number for number, line in enumerate(head) if line.strip() and not line.startswith(b"#")), 0)
    behind = next((number for number in range(first - 1, -1, -1) if head[number].strip(b"# \r")), first)
    try:
        names, cells = (dialect.split([decode(head[at]).strip("# \r")], path)[0] for at in (behind, first))
    except DataError:  # a quote that is not closed
        return first
    named = len(names) == len(cells) > 1 and not any(map(dialect.is_number, names))
    return behind if named and any(map(dialect.is_number, cells)) else first


def _named_at(head: Sequence[bytes], dialect: Dialect, path: Path) -> int:
    """The number of the line of names that lines of the same width show, below others; 0 where there is none."""
    rows = rows_of([decode(line).rstrip("\r") for line in head], dialect)
    if not rows or not has_names(rows[0], dialect):
        return 0
    named = [name for name in rows[0] if name]
    return next((number for number, line in enumerate(head) if _names(line, dialect, path, named)), 0)


def _names(line: bytes, dialect: Dialect, path: Path, keys: Sequence[str]) -> bool:
    """Whether a line has the names `keys` among its cells, behind a hash sign or not."""
    plain = decode(line).rstrip("\r")
    try:
        cells = [dialect.split([form], path)[0] for form in (plain, plain.lstrip("# "))]
    except DataError:  # a quote that is not closed
        return False
    return any({cell.strip() for cell in each}.issuperset(keys) for each in cells)
