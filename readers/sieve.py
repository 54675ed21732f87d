"""The lines of a shard's own series, picked out of long tables as their text streams by: no others are ever held."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from errors import DataError
from readers.dialect import Dialect
from readers.files import decode, line_blocks
from readers.longtext import LongText, Numbering, table_of
from settings.shards import Part, Shard

MOST_GRID = 1 << 25  # bytes in which the ids of a block are laid out; longer ids are read one by one
EVERYBODY = -1  # the series of a line that has no id: each shard refuses it


@dataclass(frozen=True, eq=False)
class Kept(Numbering):
    """Where the lines that were kept are in their file: `of` int64 [n] is the line of each below the header."""

    of: np.ndarray = field(default_factory=partial(np.zeros, 0, np.int64))

    def line(self, number: int) -> int:
        return self.first if number < 2 else int(self.of[min(number - 2, len(self.of) - 1)])


class Sieve:
    """Numbers the series of long tables in the order of their first lines, and keeps those of one shard.

    Parameters
    ----------
    shard : whose lines are kept.
    """

    def __init__(self, shard: Shard) -> None:
        self.shard = shard
        self._seen: dict[bytes, int] = {}
        self._files: list[tuple[int, Path]] = []  # the number of its first series, and a file

    @property
    def total(self) -> int:
        """How many series the tables read so far have."""
        return len(self._seen)

    @property
    def part(self) -> Part:
        """Which of all series those are whose lines were kept."""
        return Part(self.shard, self.total)

    def names(self) -> list[str]:
        """The ids of all series, in order."""
        return [decode(name) for name in self._seen]

    def table(
        self, stream: io.BufferedIOBase, path: Path, dialect: Dialect, keys: Sequence[str], id_col: str
    ) -> tuple[LongText, list[str]]:
        """A shard's own lines of a table, as `readers.longtext.table_of` gives them all.

        Parameters
        ----------
        stream : the text of the table, which is read to its end.
        path, dialect, keys : as there.
        id_col : the column that says which series a line belongs to.

        Raises
        ------
        DataError : an id that is also in an earlier file.
        """
        blocks = line_blocks(stream, path, quoted=True)
        first = next(blocks, b"")
        head, notes = table_of(first, path, dialect, keys)
        names = head.header() if b"\n" in first else []
        if id_col not in names and "+" in id_col:
            hint = "a table in which one column names the series"
            raise DataError(
                "takes one column of ids, not several joined", where=f"--shard, --id-col {id_col}", hint=hint
            )
        if id_col not in names:
            return head, notes
        above = head.numbering.first
        title = head.text.partition(b"\n")[0]
        begin = above + (above + 1 in head.numbering.out)  # below the names and their units
        rest = first.split(b"\n", begin)[begin:]
        self._files.append((self.total, path))
        lines = _Lines(dialect, names.index(id_col), len(names))
        texts, numbers, line, out = [title], [], begin + 1, 0
        for block in (*rest, *blocks):
            kept, of, comments = self._keep(block, lines, path)
            texts += [kept] * bool(len(kept))
            numbers.append(line + of)
            line, out = line + block.count(b"\n") + 1, out + comments
        if out:
            notes = [note for note in notes if "# left out" not in note]
            notes.append(f"{out} line{'s' * (out > 1)} that begin{'s' * (out == 1)} with # left out")
        return LongText(b"\n".join(texts), path, dialect, Kept(above, of=np.concatenate([[0][:0], *numbers]))), notes

    def _keep(self, block: bytes, lines: _Lines, path: Path) -> tuple[bytes, np.ndarray, int]:
        """A block's own lines, their numbers in it from 0, and how many lines are comments."""
        found = lines.regular(block) or lines.careful(block)
        own = np.array(
            [number == EVERYBODY or self.shard.has(number) for number in self._numbers(found.ids, path)], bool
        )
        mine = np.repeat(own, found.runs)
        texts = found.texts
        kept = b"\n".join(texts[at] for at in np.flatnonzero(mine).tolist()) if texts else found.cut(mine)
        return kept, found.lines[mine], found.comments

    def _numbers(self, ids: Iterable[bytes | None], path: Path) -> Iterator[int]:
        begin, seen = self._files[-1][0], self._seen
        for one in ids:
            number = EVERYBODY if one is None else seen.setdefault(one, len(seen))
            if EVERYBODY < number < begin:
                other = next(file for first, file in reversed(self._files) if first <= number)
                what = f"id {decode(one or b'')!r} is also in {other}"
                raise DataError(what, where=str(path), hint="an id is one row: join its lines in one file")
            yield number


@dataclass(frozen=True)
class _Found:
    """The lines of a block: `ids` of runs of lines that follow each other, of `runs` lines each, and their `lines`.

    They are `texts`, or if that is empty lie in `codes` up to `ends`.
    """

    ids: list[bytes | None]
    runs: np.ndarray
    lines: np.ndarray
    comments: int
    texts: Sequence[bytes] = ()
    codes: np.ndarray = field(default_factory=partial(np.zeros, 0, np.uint8))
    ends: np.ndarray = field(default_factory=partial(np.zeros, 0, np.int64))

    def cut(self, mine: np.ndarray) -> bytes:
        """The lines of a mask [n], without the end of the last one."""
        sizes = np.diff(self.ends, prepend=-1)
        return bytes(self.codes[np.repeat(mine, sizes)].tobytes().removesuffix(b"\n"))


@dataclass(frozen=True)
class _Lines:
    """How the id of a line is found: cell `at` of `width`."""

    dialect: Dialect
    at: int
    width: int

    def regular(self, block: bytes) -> _Found | None:
        """Lines without quotes and comments, all of the right width, many at a time; None for others."""
        if b'"' in block or block.startswith(b"#") or b"\n#" in block:
            return None
        codes = np.frombuffer(block + b"\n", np.uint8)
        found = np.flatnonzero((codes == ord(self.dialect.sep)) | (codes == ord("\n")))
        if len(found) % self.width:
            return None
        marks = found.reshape(-1, self.width)
        ends = marks[:, -1]
        if len(ends) != block.count(b"\n") + 1 or (codes[ends] != ord("\n")).any():
            return None
        begin = marks[:, self.at - 1] + 1 if self.at else np.concatenate([[0], ends[:-1] + 1])
        size = marks[:, self.at] - begin
        longest = max(int(size.max()), 1)
        if longest * len(size) > MOST_GRID:
            return None
        reach = np.arange(longest)
        grid = codes[np.minimum(begin[:, None] + reach, len(codes) - 1)]
        grid[reach >= size[:, None]] = 0
        cells = np.ascontiguousarray(grid).view(f"S{longest}")[:, 0]
        heads = np.flatnonzero(np.concatenate([[True], cells[1:] != cells[:-1]]))
        ids: list[bytes | None] = [cell.strip() for cell in cells[heads].tolist()]
        runs = np.diff(heads, append=len(cells))
        return _Found(ids, runs, np.arange(len(cells)), 0, codes=codes, ends=ends)

    def careful(self, block: bytes) -> _Found:
        """Any lines, one by one. A cell that goes on in the next line has a space where the line ended."""
        texts, ids, numbers, comments, open_line = [], [], [], 0, b""
        for number, line in enumerate(block.split(b"\n")):
            if line.startswith(b"#") and not open_line:
                comments += 1
                continue
            record = open_line + b" " + line if open_line else line
            open_line = record if record.count(b'"') % 2 else b""
            if not open_line:
                texts.append(record)
                ids.append(self._id(record))
                numbers.append(number)
        if open_line:  # a quote that is never closed, which whoever reads the line refuses
            texts.append(open_line)
            ids.append(None)
            numbers.append(number)
        return _Found(ids, np.ones(len(ids), np.int64), np.array(numbers, np.int64), comments, texts)

    def _id(self, record: bytes) -> bytes | None:
        text = record.decode("latin-1")  # keeps all bytes as they are
        try:
            cells = next(csv.reader([text], delimiter=self.dialect.sep, skipinitialspace=self.dialect.sep != " "), [])
        except csv.Error:
            return None
        return cells[self.at].strip().encode("latin-1") if len(cells) == self.width else None
