"""A long table read some lines at a time: its text is never held, and of its values one copy.

What is plain (numbers under each name, times as ISO 8601 or in seconds since 1970) shows in the first lines, and the
others go to pandas' C parser alone. A table that says only as a whole what it holds is read whole.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from data import Source
from errors import DataError
from readers.cells import Parsed, may_be_grouped, plain_numbers, spelled, without_value
from readers.columns import (
    LongFile,
    Wanted,
    check_dates,
    ids_of,
    joined_names,
    located,
    needed_of,
    read_file,
    read_text,
)
from readers.counter import without_counter
from readers.dialect import Dialect
from readers.files import OpenTable, decode, dialect_of, line_blocks, open_table
from readers.filling import Blurred, Filling
from readers.longtext import LongText, table_of
from readers.missing import suspects
from readers.odd import OddCells, Taken
from readers.tables import even_rows, long_column, unquoted
from times.stamps import Stamps, epoch_of, is_epoch, may_be_either, parsed_stamps

LEAST_BYTES = 1 << 20  # of a file; a smaller one is read whole
PART = 1 << 21  # bytes of text at a time
SIDE_BY_SIDE = 32  # columns from which pandas takes longer for each of them than for one long one
SLACK = 1.02  # times the lines that a file seems to have


class _NotInParts(Exception):
    """A table that says only as a whole what it holds."""


def read_streamed(path: Path, wanted: Wanted, dialect: Dialect, *, large: bool = False) -> LongFile:
    """As `readers.columns.read_file`, in less time and memory; values float32 where that loses nothing that matters.

    A table with comments, quotes that some cell needs, categories or text is read whole.

    Parameters
    ----------
    path, wanted, dialect : as for `read_file`.
    large : whether the values are kept in a file, see `readers.mapped`; they are float32 then.
    """
    if not large and path.is_file() and path.stat().st_size < LEAST_BYTES:
        return read_file(path, wanted, dialect)
    kinds: tuple[type[np.floating], ...] = (np.float32,) if large else (np.float32, np.float64)[wanted.exact :]
    try:
        taken = dialect_of(path, dialect)
        for kind in kinds:
            try:
                with open_table(path) as table:
                    return _read(table, path, wanted, taken, Filling(kind, large=large))
            except Blurred:
                continue
    except (_NotInParts, DataError):  # the whole says better what is wrong
        pass
    return read_file(path, wanted, dialect)


def _read(table: OpenTable, path: Path, wanted: Wanted, dialect: Dialect, kept: Filling) -> LongFile:
    """The file part by part. Blurred where its values need a wider type than `kept` has."""
    first: LongFile | None = None
    ids: list[np.ndarray] = []
    notes = [*table.notes, *filter(None, [dialect.taken])]
    for part in line_blocks(table.text, path, size=PART):
        body = unquoted(part, dialect.sep.encode())
        if body is None or body.startswith(b"#") or (b"#" in body and b"\n#" in body):
            raise _NotInParts
        if first is None:
            head, told = table_of(body, path, dialect, wanted.keys)
            if any(out > head.numbering.first + 1 for out in head.numbering.out):  # more than a line of units
                raise _NotInParts
            plain, body = _Plain.of(head, wanted), head.text[len(head.title) + 1 :]
            notes += told
        found = plain.read(body, odd=not kept.large) if plain else None
        if found is None and not kept.large:
            raise _NotInParts
        if found is None:
            found = read_text(replace(head, text=head.title + b"\n" + body), wanted, head.locate, "", 0, ())
            notes += [note for note in found.notes if note not in notes]
        if first is None:
            first = found
            wanted = replace(wanted, columns=found.columns)
            kept.expect(len(found.columns), int(SLACK * found.lines * path.stat().st_size / len(head.text)))
        same = (found.stamps.zones, found.stamps.counted) == (first.stamps.zones, first.stamps.counted)
        if not same or found.words or found.columns != first.columns:
            raise _NotInParts
        kept.add(found.values.T, found.stamps.times)
        ids += [found.ids] if found.ids is not None else []
    if first is None:
        raise _NotInParts
    every = np.concatenate(ids) if ids else None
    kept.close(every)
    parsed, stamps = Parsed(None, first.columns, kept.values, (), ()), replace(first.stamps, times=kept.times)
    if plain is not None:
        parsed, counter = without_counter(parsed) if plain.free else (parsed, [])
        notes += [*plain.more, *counter, *plain.notes(stamps, kept.values)]
    return replace(
        first,
        columns=parsed.columns,
        at=tuple(at for at, name in zip(first.at, first.columns, strict=True) if name in parsed.columns),
        values=parsed.values,
        stamps=stamps,
        ids=every,
        locate=partial(located, path, dialect, wanted.keys, head.numbering),
        numbering=head.numbering,
        source=Source(str(path), table.sha256, table.bytes, (kept.done, first.source.shape[1])),
        notes=tuple(dict.fromkeys(notes)),
    )


@dataclass(frozen=True)
class _Plain:
    """A table of numbers and times alone, as its names have it.

    head : its first part. names : of all columns. time, ids : the keys. columns : of numbers.
    dated : whether times are dates, and not numbers of seconds.
    free : whether nobody named the columns to read. more : notes on others.
    at : [C], the numbers of the columns of numbers. taken : how odd cells among these are taken.
    """

    head: LongText
    names: tuple[str, ...]
    time: str
    ids: tuple[str, ...]
    columns: tuple[str, ...]
    dated: bool
    free: bool
    more: tuple[str, ...]
    at: tuple[int, ...]
    taken: Taken

    @classmethod
    def of(cls, head: LongText, wanted: Wanted) -> _Plain | None:
        """That of a table by its first part; None where it holds something else."""
        names = head.header()
        needed, more = needed_of(names, wanted, head.path)
        times, ids = joined_names(names, wanted.time), joined_names(names, wanted.id)
        if len(times) > 1 or head.dialect.grouped or set(needed) & {*wanted.categories.named}:
            return None
        cell = head.cells(0)[names.index(times[0])]
        if may_be_either(cell):
            return None
        columns = tuple(needed[1 + len(ids) :])
        free = wanted.columns is None and not head.dialect.strict
        at = tuple(map({name: number for number, name in enumerate(names)}.__getitem__, columns))
        dated, taken = not is_epoch(cell), Taken(head.dialect)
        return cls(head, tuple(names), times[0], tuple(ids), columns, dated, free, tuple(more), at, taken)

    def read(self, body: bytes, *, odd: bool) -> LongFile | None:
        """Some lines; None where they are not plain. Some cells may be `odd`, as `Taken` takes them."""
        text = replace(self.head, text=body)
        lines = even_rows(body, text.dialect.sep.encode(), len(self.names))
        if not lines or text.encoding != "utf-8":
            return None
        found = self._numbers(text) or (self._with_odd(text) if odd else None)
        if found is None or len(found[1]) != lines:
            return None
        keys, values = found
        stamps = parsed_stamps(keys[self.time], body) if self.dated else epoch_of(keys[self.time].to_numpy())[0]
        if stamps is None:
            return None
        return LongFile(
            path=text.path,
            columns=self.columns,
            at=self.at,
            values=values.T,
            stamps=stamps,
            ids=ids_of([keys[name] for name in self.ids], text) if self.ids else None,
            locate=text.locate,
            source=Source(str(text.path), "", 0, (lines, len(self.names))),
            notes=(),
        )

    def _numbers(self, text: LongText) -> tuple[Any, np.ndarray] | None:
        """The keys as pandas has them, and values [n, C]."""
        side = len(self.columns) >= SIDE_BY_SIDE and self.names == (self.time, *self.columns)
        return self._side_by_side(text) if side else self._by_columns(text)

    def _with_odd(self, text: LongText) -> tuple[Any, np.ndarray] | None:
        """As `_numbers`, where some cells are no plain numbers."""
        odd = OddCells.of(text.text, text.dialect, len(self.names), self.at)
        found = self._numbers(replace(text, text=odd.rest)) if odd else None
        numbers = self.taken.values(odd) if odd and found else None
        if odd is None or found is None or numbers is None:
            return None
        keys, values = found
        values = np.require(values, requirements="W")
        place = np.zeros(len(self.names), np.int64)
        place[list(self.at)] = np.arange(len(self.at))
        values[odd.lines, place[odd.columns]] = numbers
        return keys, values

    def _by_columns(self, text: LongText) -> tuple[Any, np.ndarray] | None:
        """The keys as pandas has them, and values [n, C]."""
        named = replace(text, text=self.head.title + b"\n" + text.text)
        return plain_numbers(named, self.names, (self.time, *self.ids), self.columns, dated=self.dated)

    def _side_by_side(self, text: LongText) -> tuple[Any, np.ndarray] | None:
        """As `_by_columns`, of many columns behind the times: their numbers are read as those of one long column."""
        import pandas

        sep, times, numbers = text.dialect.sep.encode(), list[bytes](), list[memoryview]()
        begin, view = 0, memoryview(text.text)
        while begin < len(view):
            cut, end = text.text.find(sep, begin), text.text.find(b"\n", begin)
            end = end if end >= 0 else len(view)
            times.append(text.text[begin:cut])
            numbers.append(view[cut + 1 : end])
            begin = end + 1
        table = long_column(sep.join([*numbers, b""]), text.dialect)
        if table is None or table.size != len(times) * len(self.columns):
            return None
        if table[0] in (0, 1) and text.dialect.is_text(decode(bytes(numbers[0]).partition(sep)[0])):  # false or true
            return None
        cells = list(map(decode, times))
        try:
            column = pandas.to_datetime(cells, format="ISO8601") if self.dated else pandas.to_numeric(cells)
        except ValueError:
            return None
        return {self.time: pandas.Series(column)}, table.reshape(len(times), -1)

    def notes(self, stamps: Stamps, values: np.ndarray) -> list[str]:
        """What `read_text` notes of a whole table; _NotInParts where it would look at more than numbers."""
        if may_be_grouped(self.head, self.columns, values) or (self.free and without_value(self.columns, values, ())):
            raise _NotInParts
        if not self.ids:
            check_dates(stamps, self.names, self.time, self.head)
        told = [*self._spelled(values), *suspects(values, self.columns)]
        return [*told, *filter(None, [stamps.note])]

    def _spelled(self, values: np.ndarray) -> tuple[str, ...]:
        """Notes on how odd cells are taken; _NotInParts where their column's other cells do not allow that."""
        found = {}
        for channel, (name, at) in enumerate(zip(self.columns, self.at, strict=True)):
            if at in self.taken.found:
                told = self.taken.told(at, int((~np.isnan(values[channel])).sum()))
                if told is None:
                    raise _NotInParts
                found[name] = told
        return spelled(found)
