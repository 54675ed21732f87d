"""A column of labels within a wide table, kept apart from its steps: at its end, its beginning, or by its name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from readers.columns import NoColumn
from readers.dialect import Dialect
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
            if at < 0:
                rest, _, cell = line.rpartition(sep)
            elif not at:
                cell, _, rest = line.partition(sep)
            else:
                cells = line.split(sep, at + 1)
                cell, rest = (cells[at] if at < len(cells) else b""), sep.join([*cells[:at], *cells[at + 1 :]])
            labels.append(decode(cell).strip().strip('"').strip())
            kept.append(rest)
        yield b"\n".join(kept)


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
