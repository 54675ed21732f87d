"""Recordings of oscilloscopes: Tektronix' TDS and TBS, whose facts stand beside the values, and Rigol's, whose second
line has the units, the first time and the step.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from pathlib import Path

from errors import DataError
from readers.base import TableText, csv_text
from readers.files import decode

START = re.compile(rb"\"?Record Length\"?,[^,\r\n]*,[^,\r\n]*,[^,\r\n]*,|X,(?:CH\d|D\d|MATH)[^\r\n]*,Start,Increment")
FACTS, TIME, VALUE = 2, 3, 4  # columns of a Tektronix' channel: a fact and its value, nothing, the time and the voltage
TOLD = "an oscilloscope's recording, whose times are seconds from its trigger"


def table(text: bytes, path: Path) -> TableText:
    """Such a text as a table of times and channels.

    Parameters
    ----------
    text : a file's. path : the file, for errors.

    Raises
    ------
    DataError : it has no values, or its channels have times of their own.
    """
    rows = [[cell.strip() for cell in row] for row in csv.reader(decode(text).splitlines()) if any(row)]
    names, lines = _tektronix(rows, path) if rows[0][0] == "Record Length" else _rigol(rows, path)
    if not lines:
        raise DataError("an oscilloscope's recording without values", where=str(path), hint="save it again")
    return TableText(csv_text([["time", *names], *lines]), (TOLD,))


def _tektronix(rows: Sequence[Sequence[str]], path: Path) -> tuple[list[str], list[list[str]]]:
    """The names of the channels, which stand side by side, and the lines of a time and their values."""
    begins = [k for k, cell in enumerate(rows[0]) if cell == "Record Length"]
    rows = [row for row in rows if len(row) > begins[-1] + VALUE and row[begins[0] + TIME]]
    names, units = (_facts(rows, begins, fact) for fact in ("Source", "Vertical Units"))
    for row in rows:
        if any(float(row[k + TIME]) != float(row[begins[0] + TIME]) for k in begins[1:]):
            raise DataError(
                "channels of an oscilloscope with times of their own", where=str(path), hint="save each alone"
            )
    named = [
        f"{name or f'CH{k + 1}'}{f' ({unit})' if unit else ''}"
        for k, (name, unit) in enumerate(zip(names, units, strict=True))
    ]
    return named, [[row[begins[0] + TIME], *(row[k + VALUE] for k in begins)] for row in rows]


def _facts(rows: Sequence[Sequence[str]], begins: Sequence[int], name: str) -> list[str]:
    """What each channel says of itself under this name; nothing where it does not."""
    return [next((row[k + 1] for row in rows if row[k] == name), "") for k in begins]


def _rigol(rows: Sequence[Sequence[str]], path: Path) -> tuple[list[str], list[list[str]]]:
    """The same of a count of lines, channels, and the first time and the step below their names."""
    names, units, *body = rows
    try:
        start, step = (float(units[names.index(name)]) for name in ("Start", "Increment"))
    except (ValueError, IndexError):
        what = "an oscilloscope's recording without its first time and its step in line 2"
        raise DataError(what, where=str(path), hint="save it again, as CSV with times") from None
    channels = range(1, names.index("Start"))
    lines = [
        [f"{start + step * at:.12g}", *(row[k] if k < len(row) else "" for k in channels)]
        for at, row in enumerate(body)
    ]
    return [f"{names[k]} ({units[k]})" for k in channels], lines
