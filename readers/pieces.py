"""Bytes as streams: what readers put back in front of a text, or make in its place."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterable
from typing import Any

BLOCK = 3 << 18  # bytes read, and parsed, at a time; at half of it malloc returns and refetches memory at every block


class Pieces(io.RawIOBase):
    """Bytes that come in pieces of any size, as a stream."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not len(self._rest):
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = memoryview(piece)
        count = min(len(buffer), len(self._rest))
        memoryview(buffer)[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


def looked_through(text: io.BufferedReader, most: int) -> tuple[bytes, io.BufferedReader]:
    """All of a text, b"" where it has `most` bytes or more; and the text from its start."""
    whole = text.read(most)
    parts = filter(None, itertools.chain([whole], iter(lambda: text.read(BLOCK), b"")))
    return whole if len(whole) < most else b"", io.BufferedReader(Pieces(parts), BLOCK)
