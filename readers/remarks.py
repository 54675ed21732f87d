"""Lines above a table that begin with the mark of a remark in MATLAB, in C or in lists of NOAA (%, //, !, :Issued:):
they get a hash sign, which all readers know.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator

from readers.pieces import Pieces

HEAD = 1 << 16  # bytes that hold them
_REMARK = re.compile(rb"%|//|!|:[A-Z]\w+:")
_OTHERS = re.compile(rb"%|//|!|:[A-Z]\w+:|#|\s*$")


def hashed(text: io.BufferedReader) -> io.BufferedReader | None:
    """A text whose first lines are such remarks, with a hash sign before each of them; None for another text.

    Parameters
    ----------
    text : at its start.
    """
    head = text.peek(HEAD)[:HEAD]
    if not _REMARK.match(head):
        return None

    def parts() -> Iterator[bytes]:
        above = b""
        while (line := text.readline()) and _OTHERS.match(line):
            above += line if line.startswith(b"#") else b"#" + line
        yield above + line + text.read(HEAD)  # in one piece, of which others look at the beginning
        while block := text.read(HEAD):
            yield block

    return io.BufferedReader(Pieces(parts()), HEAD)
