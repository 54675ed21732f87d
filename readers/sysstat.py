"""What Linux' sar prints (a report of one kind, with the date above and the names again for each screen), vmstat (the
same, maybe with a time behind each line), and what rrdtool fetches.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta

from errors import many
from readers.base import TableText, csv_text
from readers.files import decode

SAR = re.compile(rb"Linux \S+ \([^)\n]*\)\s+(\d{1,4}[-/.]\d\d?[-/.]\d{1,4})\s[^\n]*\n")
RRD = re.compile(rb"\s{8,}[\w%.-]+(?:\s+[\w%.-]+)*\s*\n\s*\n\d{9,10}: ")
VMSTAT = re.compile(rb"\s*procs -+memory-+[^\n]*\n")
_STAMP = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$")
_CLOCK = re.compile(r"(\d\d:\d\d:\d\d)(?:\s+([AP]M))?\s+(\S.*)")
_NUMBER = re.compile(r"[-+]?\d+(?:[.,]\d+)?")


def sar(text: bytes) -> TableText:
    """A report of sar as a table of its times and columns; of several reports in one file the first kind.

    Parameters
    ----------
    text : a file's.
    """
    lines = decode(text).splitlines()
    found = SAR.match(text)
    day = _day(found[1].decode() if found else "1970-01-01")
    names: list[str] = []
    rows, other, same = [], 0, False
    for stamp, cells in _timed(lines, day):
        if not any(map(_NUMBER.fullmatch, cells)):
            names = names or cells
            same = cells == names
        elif same and len(cells) == len(names):
            rows.append([stamp.isoformat(" "), *(cell.replace(",", ".") for cell in cells)])
        else:
            other += 1
    notes = [f"a report of sar, of {day}"]
    notes += [f"{many(other, 'line')} of other reports left out"] * bool(other)
    return TableText(csv_text([["time", *names], *rows]), tuple(notes))


def vmstat(text: bytes) -> TableText:
    """A report of vmstat as a table of its columns, with the time before them where `-t` wrote it.

    Parameters
    ----------
    text : a file's.
    """
    _, head, *lines = decode(text).splitlines()
    stamps = [_STAMP.search(line) for line in lines]
    rows = [line[: found.start()] if found else line for line, found in zip(lines, stamps, strict=True)]
    names = head.split()
    cells = [(found and found[0], row.split()) for row, found in zip(rows, stamps, strict=True)]
    kept = [(stamp, row) for stamp, row in cells if row and all(map(_NUMBER.fullmatch, row))]
    width = len(kept[0][1]) if kept else 0
    timed = bool(kept) and all(stamp for stamp, _ in kept)
    table = [[*([stamp or ""] if timed else []), *row] for stamp, row in kept if len(row) == width]
    return TableText(csv_text([[*["time"] * timed, *names[:width]], *table]), ("a report of vmstat",))


def rrd(text: bytes) -> TableText:
    """What rrdtool fetches as a table of times and sources.

    Parameters
    ----------
    text : a file's.
    """
    names, *lines = [line for line in decode(text).splitlines() if line.strip()]
    rows = [line.replace(":", " ", 1).split() for line in lines]
    cells = [[row[0], *("" if "nan" in cell.casefold() else cell for cell in row[1:])] for row in rows]
    return TableText(csv_text([["timestamp", *names.split()], *cells]), ("what rrdtool fetched",))


def _timed(lines: Sequence[str], day: date) -> Iterator[tuple[datetime, list[str]]]:
    """The time and the cells of each line that begins with one; after midnight the next day's. Restarts have none."""
    last = datetime.min
    for line in lines[1:]:
        found = _CLOCK.match(line)
        if not found or "RESTART" in line:
            continue
        clock = datetime.strptime(f"{found[1]} {found[2] or ''}".strip(), "%I:%M:%S %p" if found[2] else "%H:%M:%S")
        stamp = datetime.combine(day, clock.time())
        cells = found[3].split()
        if any(map(_NUMBER.fullmatch, cells)):
            if stamp < last:
                stamp, day = stamp + timedelta(1), day + timedelta(1)
            last = stamp
        yield stamp, cells


def _day(text: str) -> date:
    """The date of a report: with the year first, or with the month, as it is printed where no language is set."""
    parts = [int(part) for part in re.split("[-/.]", text)]
    if len(re.split("[-/.]", text)[0]) == 4:
        return date(*parts)
    first, second, year = parts
    year += 2000 * (year < 100)
    return date(year, second, first) if first > 12 or "." in text else date(year, first, second)
