"""One long table: a header, a line per step of time, and some of its columns."""

from __future__ import annotations

import hashlib
import io
import itertools
import re
import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from data import Source, no_series
from errors import DataError, UsageError, nearest
from readers.categories import NOTHING, Asked
from readers.cells import parse
from readers.counter import without_counter
from readers.dialect import Dialect
from readers.files import dialect_of, open_table, read_whole, text_start
from readers.fitting import MOST_ABOVE
from readers.guess import LINE
from readers.keyless import without_keyless
from readers.longtext import Answer, LongText, Numbering, table_of
from readers.owned import counted_each
from readers.pieces import BLOCK, Pieces
from readers.restarts import counted_anew, recordings
from readers.sieve import Sieve
from readers.worded import without_worded
from times.clock import DAY
from times.date_parts import PARTS
from times.parted import joined
from times.stamps import Locate, Stamps, parsed_stamps, read_stamps
from times.years import are_halves

NAMELESS = ("", "Unnamed: 0")  # the second is what pandas writes for a frame's index that it read back
MOST_NAMES = 30  # columns that a hint lists
HOURS = (*PARTS[3], "hours", "hourending", "hourbeginning", "time", "zeit", "uhrzeit")
_BESIDE = (  # an hour's name: its zone, and which end of it is meant
    *("utc", "gmt", "lst", "local", "cet", "mez", "est", "mst", "pst", "cst"),
    *("of", "the", "day", "end", "ending", "ended", "begin", "beginning", "start", "starting", "delivery", "opr"),
)
_TIME_OF_DAY = re.compile(r"\d{1,2}:\d\d(:\d\d(\.\d+)?)?( ?[ap]\.?m\.?)?", re.IGNORECASE)


def is_hour_word(name: str) -> bool:
    """Whether a column's name says that it holds hours or times of a day: `Hour`, `HH`, `Time (UTC)`, `Hora UTC`,
    `Hour Ending`, `HourEnding`, `Godzina`."""
    words = [word for word in re.findall(r"[^\W\d_]+", name.casefold()) if word not in _BESIDE]
    return len(words) == 1 and words[0] in HOURS


class NoColumn(DataError):
    """A table lacks the column `name`, which was asked for."""

    def __init__(self, name: str, what: str, *, where: str, hint: str) -> None:
        super().__init__(what, where=where, hint=hint)
        self.name = name


@dataclass(frozen=True)
class Wanted:
    """The columns to read by name: the time's, the row ids' (or ""), and the channels' (None: all others).

    time : one column, or those of the date and the time as `date+time`.
    id : one column, or several as `store+item`.
    exact : whether values must stay float64, since something is made of them before they are narrowed.
    categories : which of them hold no numbers, but categories.
    first : the columns of the first file, where those that only a later one has are left out and told.
    """

    time: str
    id: str
    columns: tuple[str, ...] | None
    exact: bool = False
    categories: Asked = NOTHING
    first: tuple[str, ...] = ()

    @property
    def keys(self) -> list[str]:
        """The columns that the header must name: of the time, which may be several, and of the ids."""
        return [*self.time.split("+"), *(self.id.split("+") if self.id else [])]


@dataclass(frozen=True, eq=False)
class LongFile:
    """What was read of one file: n lines below the header, and C channels of them.

    values : float [C, n], NaN where missing. columns : the channels' names.
    at : [C], the numbers of the channels' columns in the file, from 0.
    words : of the last channels, which are categories, the words that their values are the numbers of; () none.
    text : the columns of words that were left out, and may be categories.
    ids : text [n], the row of each line; None where no column of ids was asked for.
    numbering : where its lines are; None where the file must be read again to know. locate : gives `path:line` of a
        line of the table, counted from 0 below the header.
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
    words: tuple[tuple[str, ...], ...] = ()
    text: tuple[str, ...] = ()
    numbering: Numbering | None = None

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
        text, notes = table_of(read_whole(table.text, path), path, dialect, wanted.keys)
    told = [*table.notes, *filter(None, [dialect.taken]), *notes]

    def read(text: LongText, told: Sequence[str]) -> LongFile:
        numbering = None if text.quoted else text.numbering
        locate = partial(located, path, dialect, wanted.keys, numbering)
        return replace(read_text(text, wanted, locate, table.sha256, table.bytes, told), numbering=numbering)

    try:
        return read(text, told)
    except DataError as error:
        names = text.header()
        keys = joined_names(names, wanted.time), joined_names(names, wanted.id)
        mended: list[str] = []
        for less in () if isinstance(error, NoColumn) else (without_keyless, without_worded):
            if found := less(text, *keys):
                text, mended = found[0], [*mended, found[1]]
        if not mended:
            raise
        return read(text, [*told, *mended])


def read_own(path: Path, wanted: Wanted, dialect: Dialect, sieve: Sieve) -> tuple[LongFile | None, Source]:
    """Read the lines of one long file that a shard's own series have, and never hold the others.

    Parameters
    ----------
    path, wanted, dialect : as for `read_file`.
    sieve : keeps the lines.

    Returns
    -------
    (what was read, or None where the file has no such line; the whole file).

    Raises
    ------
    DataError : a file, column, line or cell that is not in order.
    """
    dialect = dialect_of(path, dialect)
    with open_table(path) as table:
        text, notes = sieve.table(table.text, path, dialect, wanted.keys, wanted.id)
    if sieve.total and b"\n" not in text.text:
        return None, Source(str(path), table.sha256, table.bytes, (0, 0))
    locate = partial(located, path, dialect, wanted.keys, text.numbering)
    told = [*table.notes, *filter(None, [dialect.taken]), *notes]
    file = read_text(text, wanted, locate, table.sha256, table.bytes, told)
    return file, file.source


def check_columns(path: Path, wanted: Wanted, dialect: Dialect) -> list[str]:
    """The names of a long file's columns, with the wanted ones among them.

    Parameters
    ----------
    path, wanted, dialect : as for `read_file`.

    Raises
    ------
    DataError : a column that is missing, or a file without a header.
    """
    names = read_names(path, dialect, wanted.keys)
    _check_named(names, wanted, path)
    return names


def read_names(path: Path, dialect: Dialect, keys: Sequence[str]) -> list[str]:
    """The names of a long file's columns.

    Parameters
    ----------
    path, dialect, keys : as for `table_of`.

    Raises
    ------
    DataError : the file cannot be read or has no header.
    """
    dialect = dialect_of(path, dialect)
    with open_table(path) as table:
        head = b"".join(itertools.islice(table.text, MOST_ABOVE))
    return table_of(text_start(head, path), path, dialect, keys)[0].header()


def read_answer(
    pieces: Iterable[bytes | memoryview],
    path: Path,
    id_col: str,
    columns: tuple[str, ...] | None,
    na: Sequence[str] = (),
    sieve: Sieve | None = None,
    categories: Asked = NOTHING,
) -> LongFile:
    """The answer to a query, read as a long file.

    Parameters
    ----------
    pieces : of CSV with a header, of any size: the time, then channels and maybe an id.
    path : the file of the query; a location in a message is this file and the row of the answer, counted from 1.
    id_col : the column of the row ids; "" for none.
    columns : the channels wanted; None for all others.
    na : marks of missing values.
    sieve : as in `read_file`.
    categories : which columns hold no numbers, but categories.

    Raises
    ------
    DataError : as in `read_file`; the answer has no row.
    UsageError : the id is the column of the time.
    """
    sha, seen = hashlib.sha256(), [0, 0]  # bytes, lines

    def passing() -> Iterator[bytes]:
        for piece in pieces:
            sha.update(piece)
            seen[:] = seen[0] + len(piece), seen[1] + bytes(piece).count(b"\n")
            yield bytes(piece)

    stream = io.BufferedReader(Pieces(passing()), BLOCK)
    dialect = Dialect(",", ".", "yes", "no", tuple(na), "none")
    if sieve is None:
        answer = Answer(stream.read().rstrip(b"\n"), path, dialect)
    else:
        table, _ = sieve.table(stream, path, dialect, (), id_col)
        answer = Answer(table.text, path, dialect, table.numbering)
    if seen[1] == 1:
        raise DataError("the query returns no row", where=str(path))
    if sieve is not None and not sieve.part.numbers:
        raise no_series(sieve.part)
    time = answer.header()[0]
    if time == id_col:
        raise UsageError("the first column of a query is the time", where=f"--id-col {id_col}")
    wanted = Wanted(time, id_col, columns, categories=categories)
    return read_text(answer, wanted, answer.locate, sha.hexdigest(), seen[0], ())


def read_text(text: LongText, wanted: Wanted, locate: Locate, sha256: str, size: int, notes: Sequence[str]) -> LongFile:
    """The columns wanted of a table's text; `locate` is kept, so it should not hold the text.

    `sha256` and `size` are those of the file, `notes` what was noticed of it.
    """
    names = text.header()
    needed, more = needed_of(names, wanted, text.path)
    times, of = joined_names(names, wanted.time), joined_names(names, wanted.id)
    keys = len(times) + len(of)
    text.check_widths(len(names))
    asked = wanted.columns is not None
    parsed = parse(text, names, needed[:keys], needed[keys:], asked, wanted.categories)
    begin, counter = np.arange(0), list[str]()
    if wanted.time == LINE and not of and not text.dialect.strict:
        measured = parsed.columns[: len(parsed.columns) - len(parsed.words)]
        begin, counter = recordings(measured, parsed.values, text.begins)
    if wanted.columns is None and not text.dialect.strict:
        parsed, left_out = without_counter(parsed, wanted.time == LINE)
        counter += left_out
    more += counter
    stamps = parsed_stamps(parsed.keys[times[0]], text.text) if len(times) == 1 else None
    if stamps and len(stamps.times) and are_halves([text.cells(0)[names.index(times[0])].strip()]):
        stamps = None  # pandas takes the middle of 1880, 1880.5, for May
    if stamps is None:
        cells, note = joined([_cells_of(text, names, name) for name in times], times)
        stamps = read_stamps(cells, text.locate, text.dialect.dates, None if text.dialect.strict else wanted.time)
        stamps = replace(stamps, note="; ".join(filter(None, (note, stamps.note))))
    if needed[:keys] == [wanted.time]:
        check_dates(stamps, names, wanted.time, text)
    ids = ids_of([parsed.keys[name] for name in of], text) if of else None
    if ids is not None and wanted.time == LINE:
        stamps = counted_each(stamps, ids)
    if len(begin):
        stamps = replace(stamps, times=counted_anew(stamps.times, begin))
    numbers = {name: number for number, name in enumerate(names)}
    return LongFile(
        path=text.path,
        columns=parsed.columns,
        at=tuple(numbers[name] for name in parsed.columns),
        values=parsed.values,
        stamps=stamps,
        ids=ids,
        locate=locate,
        source=Source(str(text.path), sha256, size, (parsed.values.shape[1], len(names))),
        notes=(*notes, *more, *parsed.notes, *([stamps.note] if stamps.note else [])),
        words=parsed.words,
        text=parsed.text,
    )


def located(path: Path, dialect: Dialect, keys: Sequence[str], numbering: Numbering | None, record: int) -> str:
    """`path:line` of a line of the table. Quoted cells may span lines of the file, which is then read again."""
    if numbering is not None:
        return f"{path}:{numbering.line(record + 2)}"
    with open_table(path) as table:
        return table_of(read_whole(table.text, path), path, dialect, keys)[0].locate(record)


# ---- columns


def needed_of(names: Sequence[str], wanted: Wanted, path: Path) -> tuple[list[str], list[str]]:
    """The names of all columns to read, the time first, and notes. DataError for one that is missing or ambiguous."""
    keys = _check_named(names, wanted, path)
    for name in wanted.categories.named:
        if name not in names:
            raise _no_column(name, names, path, where=f"--categorical {name}")
        if name in keys:
            raise UsageError(f"{name!r} is the column of the times or the ids", where="--categorical")
    notes: list[str] = []
    columns = wanted.columns
    if columns is None:
        columns = tuple(name for name in names if name not in (*NAMELESS, *keys))
        numbered = enumerate(names, names[0] != LINE)  # a count that was added here is no column of the file
        nameless = [str(number) for number, name in numbered if name in NAMELESS and name not in keys]
        notes = [f"warning: column {', '.join(nameless)} has no name and is left out"] if nameless else []
    if more := [name for name in names if name and wanted.first and name not in wanted.first]:
        notes.append(f"left out, since the first file has no such column: {', '.join(more[:MOST_NAMES])}")
    counts = Counter(names)
    if not columns:
        raise DataError("has no column besides the time and the id", where=str(path))
    needed = [*keys, *columns]
    for name in needed:
        if counts[name] > 1:
            raise DataError(f"{counts[name]} columns are named {name!r}", where=str(path))
    return needed, notes


def _check_named(names: Sequence[str], wanted: Wanted, path: Path) -> list[str]:
    """The names of the time and the ids. DataError for one, or a channel, that the header does not have."""
    times, ids = joined_names(names, wanted.time), joined_names(names, wanted.id)
    keys = times + ids
    flags = [f"--time-col {name}" for name in times] + [f"--id-col {name}" for name in ids]
    known = set(names)
    for name, where in [*zip(keys, flags, strict=False), *((name, str(path)) for name in wanted.columns or ())]:
        if name not in known:
            raise _no_column(name, names, path, where=where)
    return keys


def joined_names(names: Sequence[str], asked: str) -> list[str]:
    """The column that is asked for, or those whose names a plus sign joins; [] for none."""
    return [asked] * bool(asked) if asked in names else list(filter(None, asked.split("+")))


def _no_column(name: str, names: Sequence[str], path: Path, *, where: str) -> NoColumn:
    meant = nearest(name, names)
    what = f"no column {name!r}{'' if where == str(path) else f' in {path}'}{f'; {meant}' if meant else ''}"
    for sep in ";,\t|":
        if len(names) == 1 and name in names[0].split(sep):
            return NoColumn(name, what, where=where, hint=f"--sep {sep!r}")
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return NoColumn(name, what, where=where, hint=f"its columns: {', '.join(names[:MOST_NAMES])}{more}")


# ---- times and ids


def _cells_of(text: LongText, names: Sequence[str], name: str) -> np.ndarray:
    """The cells [n] of one column as text."""
    cells: np.ndarray = text.cells_of(names, [name], dtype=object, na_filter=False)[name].to_numpy()
    return cells


def check_dates(stamps: Stamps, names: Sequence[str], time: str, text: LongText) -> None:
    """DataError where dates come again and again, with the times of day in another column: no step is a day."""
    if stamps.counted or (stamps.times % DAY).any() or len(np.unique(stamps.times)) == len(stamps.times):
        return
    for name, cell in zip(names, text.cells(0), strict=False):
        hour = cell.strip().isdecimal() and is_hour_word(name)
        if name and name != time and (hour or _TIME_OF_DAY.fullmatch(cell.strip())):
            what = f"the dates of {time!r} come several times, and {name!r} holds times of day"
            hint = f"--time-col {shlex.quote(f'{time}+{name}')} reads both as one time"
            raise DataError(what, where=str(text.path), hint=hint)


def ids_of(columns: Sequence[Any], text: LongText) -> np.ndarray:
    """The ids [n] of a column of text, or of several, as text: 007 is not 7. DataError where one is missing."""
    import pandas

    parts = []
    for column in columns:
        codes, kinds = pandas.factorize(column.to_numpy(object))
        names = np.array([kind.strip() for kind in kinds], object)
        parts.append(names[codes])
        if "" in names:
            where = text.locate(int(np.argmax(parts[-1] == "")))
            raise DataError("the id is missing", where=where, hint="a line without one is of no series: take it out")
    ids: np.ndarray = parts[0]
    for part in parts[1:]:
        ids = ids + "/" + part
    return ids
