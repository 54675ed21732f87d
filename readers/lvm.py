"""LabVIEW's measurement files (.lvm): two heads of facts, then the times in seconds since their start, a column for
each channel, and comments.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from errors import DataError
from readers.base import TableText, csv_text
from readers.files import decode

START = b"LabVIEW Measurement"
END = "***End_of_Header***"
X, COMMENT = "X_Value", "Comment"


def table(text: bytes, path: Path) -> TableText:
    """Such a text as a table of times and channels.

    Parameters
    ----------
    text : a file's. path : the file, for errors.

    Raises
    ------
    DataError : no head ends, the times of its channels differ, or it has several segments with times of their own.
    """
    lines = decode(text).replace("\r\n", "\n").split("\n")
    ends = [at for at, line in enumerate(lines) if line.startswith(END)]
    if len(ends) != 2 or len(lines) < ends[1] + 3:
        what = f"a measurement of LabVIEW with {len(ends)} heads, where a file of one segment has 2"
        raise DataError(what, where=str(path), hint="write each segment to a file of its own in LabVIEW")
    sep = "," if any(line.startswith("Separator,") for line in lines[: ends[0]]) else "\t"
    first, second = (_facts(part, sep) for part in (lines[: ends[0]], lines[ends[0] + 1 : ends[1]]))
    mark = first.get("Decimal_Separator", ["."])[0] or "."
    names = [name.strip() for name in lines[ends[1] + 1].split(sep)]
    body = [line.split(sep) for line in lines[ends[1] + 2 :] if line.strip()]
    rows = [[cell.strip().replace(mark, ".") for cell in row] + [""] * (len(names) - len(row)) for row in body]
    clocks = [k for k, name in enumerate(names) if name == X]
    channels = [k for k, name in enumerate(names) if name not in (X, COMMENT, "")]
    if any(row[k] != row[clocks[0]] for row in rows for k in clocks[1:] if row[k]):
        what = "a measurement of LabVIEW whose channels have times of their own"
        raise DataError(what, where=str(path), hint="write it with one X column (X_Columns One) in LabVIEW")
    step = float(second.get("Delta_X", ["1"])[0].replace(mark, ".") or 1)
    start = _start(second) if step >= 1 else None  # of finer steps the seconds say more than a date would
    seconds = [float(row[clocks[0]]) if clocks and row[clocks[0]] else at * step for at, row in enumerate(rows)]
    times = [f"{each:.9f}" if start is None else str(start + timedelta(seconds=each)) for each in seconds]
    cells = [[time, *(row[k] for k in channels)] for time, row in zip(times, rows, strict=True)]
    told = f"a measurement of LabVIEW, whose times are {'dates' if start else 'seconds since its start'}"
    return TableText(csv_text([["time", *(names[k] for k in channels)], *cells]), (told,))


def _facts(lines: Sequence[str], sep: str) -> dict[str, list[str]]:
    """The cells behind each name in a head."""
    cells = [line.split(sep) for line in lines]
    return {row[0].strip(): [cell.strip() for cell in row[1:]] for row in cells}


def _start(facts: Mapping[str, Sequence[str]]) -> datetime | None:
    """When the channels begin; None where they do not say it."""
    days, clocks = facts.get("Date", []), facts.get("Time", [])
    if not days or not clocks:
        return None
    clock, _, part = clocks[0].replace(",", ".").partition(".")
    try:
        return datetime.fromisoformat(f"{days[0].replace('/', '-')} {clock}.{part[:6].ljust(6, '0')}")
    except ValueError:
        return None
