"""Wide tables whose last line ends early, as that of a download that was cut off."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from errors import DataError
from readers.dialect import Dialect
from readers.files import decode

LEAST = 5  # whole lines, beside which one that ends early is an accident
SHOWN = 40  # characters of it that a note shows


def whole(blocks: Iterator[bytes], dialect: Dialect, path: Path, told: list[str]) -> Iterator[bytes]:
    """Blocks of whole lines without the last line, where that alone is shorter than the first two.

    Parameters
    ----------
    blocks : with `\\n` between lines.
    dialect, path : how the file is written, and its name.
    told : gets a note on a line that is left out.
    """
    first, lines, held = list[bytes](), 0, None
    for block in blocks:
        if held is not None:
            yield held
        first = first or block.split(b"\n", 2)[:2]
        lines += 1 + block.count(b"\n")
        held = block
    if held is None:
        return
    rest, _, last = held.rpartition(b"\n")
    if lines <= LEAST or not _shorter(last, first, dialect, path):
        yield held
        return
    shown = decode(last)[:SHOWN]
    told.append(f"warning: the last line, {lines:,}, ends early and is left out: {shown}{'...' * (len(last) > SHOWN)}")
    if rest:
        yield rest


def _shorter(last: bytes, first: Sequence[bytes], dialect: Dialect, path: Path) -> bool:
    """Whether a line has fewer cells than the first ones of its table: names alone may end in a separator."""
    try:
        cells, *others = dialect.split([decode(line) for line in (last, *first)], path)
    except DataError:  # a quote that is open: the line ends within it
        return last.count(b'"') % 2 == 1
    return len(cells) < min(map(len, others))
