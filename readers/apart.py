"""A column of labels within a wide table, kept apart from its steps: at its end, its beginning, or by its name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from errors import DataError, nearest
from readers.columns import NoColumn
from readers.dialect import Dialect, line_of
from readers.files import decode

FIRST, LAST = "first", "last"


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
    close = nearest(word, names) or nearest(word.casefold(), [name.casefold() for name in names])
    hint = f"{close} its columns".lstrip() + f": {shown}; --label-src-ch {LAST}, or {FIRST}, where they have no names"
    raise NoColumn(word, f"no column {word!r} in {path}", where=f"--label-src-ch {word}", hint=hint)
