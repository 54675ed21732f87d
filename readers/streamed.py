"""A long table read some lines at a time into a file of values: neither its text nor its values are held."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from data import Source
from errors import DataError
from readers import mapped
from readers.columns import LongFile, Wanted, read_file, read_text
from readers.dialect import Dialect
from readers.files import BLOCK, OpenTable, dialect_of, line_blocks, open_table
from readers.longtext import LongText, Numbering, table_of
from readers.precision import judged
from readers.stamps import Stamps


class _NotInParts(Exception):
    """A table that says only as a whole what it holds."""


def read_streamed(path: Path, wanted: Wanted, dialect: Dialect) -> LongFile:
    """As `readers.columns.read_file`, with values float32 in a file, see `readers.mapped`.

    A table with comments or quotes, with categories, or whose values float32 would blur is read whole.
    """
    try:
        dialect = dialect_of(path, dialect)
        with open_table(path) as table:
            lines = 1 + sum(block.count(b"\n") for block in iter(partial(table.text.read, BLOCK), b""))
        with open_table(path) as table:
            return _Filling(path, lines).read(table, wanted, dialect)
    except (_NotInParts, DataError):  # the whole says better what is wrong
        return read_file(path, wanted, dialect)


@dataclass
class _Filling:
    """What was read so far of a file of so many lines."""

    path: Path
    lines: int
    done: int = 0

    def read(self, table: OpenTable, wanted: Wanted, dialect: Dialect) -> LongFile:
        first: LongFile | None = None  # without its lines
        ids: list[np.ndarray] = []
        notes = [*table.notes, *filter(None, [dialect.taken])]
        values, times = np.zeros((0, 0), np.float32), mapped.array((self.lines,), np.int64)
        for text, told in self._texts(table, wanted, dialect):
            part = read_text(text, wanted, text.locate, "", 0, told)
            if first is None:
                wanted, above = replace(wanted, columns=part.columns), text.numbering
                values = mapped.array((len(part.columns), self.lines))
                first = replace(part, values=values[:, :0], stamps=replace(part.stamps, times=times[:0]), ids=None)
            self._check(part, first)
            ids += [part.ids] if part.ids is not None else []
            end = self.done + part.lines
            values[:, self.done : end], times[self.done : end] = part.values, part.stamps.times
            self.done, notes = end, list(dict.fromkeys([*notes, *part.notes]))
        if first is None:
            raise _NotInParts
        done, path = self.done, self.path
        return replace(
            first,
            values=values[:, :done],
            stamps=Stamps(times[:done], first.stamps.zones, first.stamps.note, first.stamps.counted),
            ids=np.concatenate(ids) if ids else None,
            locate=lambda record: f"{path}:{above.line(record + 2)}",
            source=Source(str(path), table.sha256, table.bytes, (done, first.source.shape[1])),
            notes=tuple(notes),
        )

    def _texts(self, table: OpenTable, wanted: Wanted, dialect: Dialect) -> Iterator[tuple[LongText, list[str]]]:
        """The table in parts, each with the names of its columns."""
        title, line = b"", 0
        for block in line_blocks(table.text, self.path):
            if b'"' in block or b"\n#" in block or block.startswith(b"#"):
                raise _NotInParts
            if title:
                yield LongText(title + b"\n" + block, self.path, dialect, Numbering(line - 1)), []
            else:
                text, notes = table_of(block, self.path, dialect, wanted.keys)
                title = text.text.partition(b"\n")[0]
                yield text, notes
            line = (line or 1) + block.count(b"\n") + 1

    @staticmethod
    def _check(part: LongFile, first: LongFile) -> None:
        same = (part.stamps.zones, part.stamps.counted) == (first.stamps.zones, first.stamps.counted)
        if not same or part.words or part.columns != first.columns or any(judged(one[None])[0] for one in part.values):
            raise _NotInParts
