"""A column of labels within a wide table, kept apart from its steps: at its end, its beginning, or by its name; and the
columns of words beside it, which are no steps either.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from errors import DataError
from readers.columns import NoColumn
from readers.dialect import Dialect, line_of
from readers.files import decode, dialect_of, first_lines
from readers.guess import has_names, is_id_word, is_person, is_time, steps_named
from readers.units import odd_number, split_mark

FIRST, LAST = "first", "last"
LEAST = 3  # lines below the names
SAMPLE = 40  # lines that show which columns hold words


def split_off(blocks: Iterator[bytes], dialect: Dialect, path: Path, labels: list[str]) -> Iterator[bytes]:
    """Blocks of lines without the column `dialect.apart`, whose cells are added to `labels`.

    Parameters
    ----------
    blocks : of whole lines, the first line of the file first.
    dialect : how they are written; `apart` is first, last, or a name in the first line.
    path : the file, for the error.
    labels : gets a cell for each line, the first line's too.

    Raises
    ------
    NoColumn : no column of this name.
    """
    sep, at = dialect.sep.encode(), None
    for block in blocks:
        lines = block.split(b"\n")
        if at is None:
            at = _place(dialect.split([decode(lines[0])], path)[0], dialect.apart, path)
        kept = []
        for line in lines:
            cell, rest = _quoted(line, at, dialect, path) or _cut(line, at, sep)
            labels.append(decode(cell).strip().strip('"').strip())
            kept.append(rest)
        yield b"\n".join(kept)


@dataclass
class Words:
    """The columns of words that are left out of a table with labels, as it is read.

    names : of these columns. people : the cells of the one that says of whom a line is, its name first; [] for none.
    """

    names: list[str] = field(default_factory=list)
    people: list[str] = field(default_factory=list)

    def left_out(self, blocks: Iterator[bytes], dialect: Dialect, path: Path) -> Iterator[bytes]:
        """Blocks of whole lines, that of names first and without the labels, as they are without such columns."""
        out: dict[int, str] | None = None
        for block in blocks:
            lines = block.split(b"\n")
            if out is None:
                out = words_among(dialect.split([decode(line) for line in lines[:SAMPLE]], path), dialect)
                of = next((at for at, name in out.items() if is_person(name)), -1)
                self.names = list(out.values())
            if out:
                split = [dialect.split([decode(line)], path)[0] for line in lines]
                self.people += [cells[of].strip() for cells in split if 0 <= of < len(cells)]
                kept = ([cell for at, cell in enumerate(cells) if at not in out] for cells in split)
                block = b"\n".join(line_of(cells, dialect.sep).encode() for cells in kept)
            yield block

    @property
    def told(self) -> list[str]:
        """A note on them; [] where there are none."""
        shown = ", ".join(map(repr, self.names))
        return [f"warning: left out, since {'they hold' if len(self.names) > 1 else 'it holds'} text: {shown}"] * bool(
            self.names
        )


def words_among(lines: Sequence[Sequence[str]], dialect: Dialect) -> dict[int, str]:
    """{place: name} of the columns of a table that hold words, where its names are those of things, not of steps.

    One at the beginning whose words are all different names the rows, and is none of them.

    Parameters
    ----------
    lines : the cells of some lines, the names first, without the column of labels. dialect : what a number is.
    """
    names, *rows = lines
    plain = [name.strip() for name in names]
    if len(rows) < LEAST or not has_names(plain, dialect) or steps_named(plain[1:], dialect):
        return {}
    columns = zip(plain, zip(*rows, strict=False), strict=False)
    out = {at: name for at, (name, cells) in enumerate(columns) if _are_words(cells, dialect)}
    first = [row[0].strip() for row in rows]
    if 0 in out and (2 * len({*first}) > len(first) or is_id_word(plain[0])) and not is_person(plain[0]):
        del out[0]
    return out if len(out) < len(plain) - (0 not in out) else {}


def of_things(path: Path, dialect: Dialect) -> bool:
    """Whether the columns of a table with labels are named as things are, and not as the steps of series.

    Parameters
    ----------
    path, dialect : the table, and how it is written; `labelled` there says whether it has labels.
    """
    if not dialect.labelled or dialect.strict or dialect.header == "no":
        return False
    taken = dialect_of(path, dialect)
    names = [name.strip() for name in taken.split(first_lines(path)[0][:1], path)[0]]
    others = [name for name in names if name != dialect.apart]
    return len(others) > LEAST and has_names(others, taken) and not steps_named(others[1:], taken)


def with_medians(table: np.ndarray) -> np.ndarray:
    """Put in place of the missing cells of a table [N, T] of things the median of their column, or 0 where it has none:
    a neighbour is another thing. Returns where they are, a mask [N, T].

    What is learned from is filled anew, by lines of training alone (sources/medians.py).
    """
    missing: np.ndarray = np.isnan(table)
    for at in np.flatnonzero(missing.any(axis=0)):
        table[missing[:, at], at] = 0.0 if missing[:, at].all() else np.nanmedian(table[:, at])
    return missing


def _are_words(cells: Sequence[str], dialect: Dialect) -> bool:
    """Whether the cells that are not missing are text, and neither times nor numbers with marks."""
    texts = [cell.strip() for cell in cells if dialect.is_text(cell)]
    missing = sum(not dialect.is_text(cell) and not dialect.is_number(cell) for cell in cells)
    plain = not any(split_mark(cell) or is_time(cell) or odd_number(cell, dialect) for cell in texts)
    return len(texts) > len(cells) // 2 and len(texts) + missing == len(cells) and plain


def _cut(line: bytes, at: int, sep: bytes) -> tuple[bytes, bytes]:
    """The cell of a column, by its place, -1 for the last, and the line without it."""
    if at < 0:
        rest, _, cell = line.rpartition(sep)
        return cell, rest
    cells = line.split(sep, at + 1)
    return (cells[at] if at < len(cells) else b""), sep.join([*cells[:at], *cells[at + 1 :]])


def _quoted(line: bytes, at: int, dialect: Dialect, path: Path) -> tuple[bytes, bytes] | None:
    """The same of a line in which a separator or a quote stands within quotes; None of others."""
    if b'"' not in line:
        return None
    try:
        cells = dialect.split([decode(line)], path)[0]
    except DataError:
        return None
    if len(cells) == 1 + line.count(dialect.sep.encode()) and b'""' not in line:
        return None
    cell = cells.pop(at if at < len(cells) else -1)
    return cell.encode(), line_of(cells, dialect.sep).encode()


def _place(first: Sequence[str], word: str, path: Path) -> int:
    """The place of the column, -1 for the last."""
    names = [name.strip() for name in first]
    if word in names:
        at = names.index(word)
        return -1 if at == len(names) - 1 else at
    if word in (FIRST, LAST):
        return 0 if word == FIRST else -1
    shown = ", ".join(names[:4]) + (f", ..., {names[-1]}" if len(names) > 4 else "")
    hint = f"its columns: {shown}; --label-src-ch {LAST}, or {FIRST}, where they have no names"
    raise NoColumn(word, f"no column {word!r} in {path}", where=f"--label-src-ch {word}", hint=hint)
