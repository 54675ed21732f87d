"""Recordings of Empatica's wristbands: above the values, a column each, the second since 1970 at which they begin, and
how many there are a second.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from pathlib import Path

from readers.base import TableText, csv_text
from readers.files import decode

_START, _RATE, _VALUE = rb"(1[0-9]{9}\.0{2,6})", rb"([0-9]{1,3}\.0{2,6})", rb"-?\d+(?:\.\d+)?"
START = re.compile(
    rb"(?:\xef\xbb\xbf)?" + _START + rb"(?:, *\1)*\r?\n" + _RATE + rb"(?:, *\2)*\r?\n" + _VALUE + rb"(?:,|\r?\n)"
)


def table(text: bytes, path: Path) -> TableText:
    """Such a text as a table of times in UTC and its columns, which are called as the file is, as the device does.

    Parameters
    ----------
    text : a file's. path : the file.
    """
    lines = [line for line in decode(text).removeprefix("\ufeff").splitlines() if line.strip()]
    begin, rate = (float(line.partition(",")[0]) for line in lines[:2])
    rows = [[cell.strip() for cell in line.split(",")] for line in lines[2:]]
    width = max(map(len, rows))
    name = path.name.partition(".")[0].lower()
    names = [name] if width == 1 else [f"{name}_{k}" for k in (range(1, width + 1) if width != len("xyz") else "xyz")]
    first = datetime.fromtimestamp(begin, timezone.utc)
    times = [(first + timedelta(seconds=at / rate)).isoformat(timespec="microseconds") for at in range(len(rows))]
    told = f"a recording of a wristband from {first:%Y-%m-%d %H:%M:%S} UTC on, {rate:g} values a second"
    cells = ([time, *row, *[""] * (width - len(row))] for time, row in zip(times, rows, strict=True))
    return TableText(csv_text([["time", *names], *cells]), (told,))
