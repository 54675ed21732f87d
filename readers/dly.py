"""The daily files of NOAA's GHCN (`.dly`), in which a line is a month of one element of a station: a line a day, a
column for each element. The columns are those of the archive's readme.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator

from errors import many
from readers.base import TableText, csv_text

START = re.compile(rb"[A-Z]{2}[A-Z0-9_-]{9}[12]\d{3}(?:0[1-9]|1[0-2])[A-Z][A-Z0-9]{3}(?:[ -]*\d+.{3}){3}")
MISSING = "-9999"
WIDTH, FIRST, DAYS = 8, 21, 31  # characters of a day: five digits and three flags; those before the first; days
# Elements that are in tenths of a degree, a millimetre or a metre a second.
_TENTHS = re.compile(r"PRCP|T(?:MAX|MIN|OBS|AVG|AXN)|A[WT]ND|A(?:DPT|WBT|SLP|STP)|EVAP|M(?:DEV|DPR|DTN|DTX|NPN|XPN)|"
                     r"S[NX]\d\d|THIC|W(?:ESD|ESF|SF\w)")  # fmt: skip


def table(text: bytes) -> TableText:
    """The days of a file, its elements as columns.

    Parameters
    ----------
    text : its lines. Values that failed a check of quality, as their flag says, are missing.
    """
    cells: dict[str, dict[tuple[str, str], str]] = {}
    names: list[str] = []
    stations: dict[str, None] = {}
    failed = 0
    for station, day, element, value, flags in _days(text.decode("latin-1")):
        stations[station] = None
        if element not in names:
            names.append(element)
        row = cells.setdefault(day, {})
        failed += flags[1:2].strip() != ""
        if not flags[1:2].strip():
            row[station, element] = _plain(value, element)
    days = sorted(cells)
    several = ["station"] if len(stations) > 1 else []
    rows = [
        [day, *[station] * len(several), *(cells[day].get((station, name), "") for name in names)]
        for station in stations
        for day in days
    ]
    tenths = [name for name in names if _TENTHS.fullmatch(name)]
    notes = [f"GHCN-Daily: {many(len(stations), 'station')}, {len(names)} elements"]
    notes[0] += f"; tenths in the file are whole here: {', '.join(tenths)}" * bool(tenths)
    notes += [f"{many(failed, 'value')} that failed a check of quality taken as missing"] * bool(failed)
    return TableText(csv_text([["date", *several, *names], *rows]), tuple(notes))


def _days(text: str) -> Iterator[tuple[str, str, str, str, str]]:
    """The station, day, element, value and flags of each day of the calendar, with or without a value."""
    for line in text.splitlines():
        station, year, month, element = line[:11], line[11:15], line[15:17], line[17:FIRST]
        if not (year + month).isdecimal():
            continue
        for day in range(1, calendar.monthrange(int(year), int(month))[1] + 1):
            cell = line[FIRST + (day - 1) * WIDTH : FIRST + day * WIDTH]
            yield station, f"{year}-{month}-{day:02d}", element, cell[:5].strip(), cell[5:]


def _plain(value: str, element: str) -> str:
    """A value in the unit of its element; nothing for a missing one."""
    if value in ("", MISSING):
        return ""
    return f"{int(value) / 10:.1f}" if _TENTHS.fullmatch(element) else value
