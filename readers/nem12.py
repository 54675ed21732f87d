"""NEM12, as Australian meter data come: a line for each meter's register (200), and below it a line for each day (300).

AEMO, Meter Data File Format Specification NEM12 & NEM13. A day's values are those of its intervals in order, in the
market's time (UTC+10, without summer time).
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from errors import DataError, many
from readers.base import TableText, csv_text

START = re.compile(rb"100,NEM12|200,[^,\r\n]{10,11},(?:[A-Z]\d)+,")  # some exports leave the line 100 out
DAY = 1440  # minutes
VALUE = "value"  # of a register
NO_DATA = "N"  # the quality of intervals of which nothing is known
METER, REGISTER, UNIT, LENGTH = 1, 4, 7, 8  # columns of a line 200
Registers = dict[str, dict[str, list[str]]]  # by name and day: the values of its intervals, "" where missing


@dataclass
class _Meter:
    """One meter: minutes of an interval, and its registers."""

    length: int
    registers: Registers = field(default_factory=dict)


def table(text: bytes, path: Path) -> TableText:
    """A NEM12 file as a long table: time, meter (where there are several), and a column for each register.

    Parameters
    ----------
    text : the file's.
    path : the file, for errors.

    Raises
    ------
    DataError : a line that is not of the format, no values, or meters whose intervals differ in length.
    """
    meters: dict[str, _Meter] = {}
    register: dict[str, list[str]] | None = None
    day: list[str] = []
    twice = 0
    for number, row in enumerate(csv.reader(io.StringIO(text.decode("latin-1"))), 1):
        kind, where = row[0].strip() if row else "", f"{path}:{number}"
        if kind == "200":
            register = _register(meters, row, where)
        elif kind == "300":
            twice += register is not None and len(row) > 1 and row[1] in register
            day = _add(register, row, where)
        elif kind == "400":
            _without(day, row, where)
    if not any(values for meter in meters.values() for values in meter.registers.values()):
        raise DataError("holds no values: no line 300 below a line 200", where=str(path))
    if len({meter.length for meter in meters.values()}) > 1:
        told = ", ".join(f"{name} {meter.length} min" for name, meter in meters.items())
        raise DataError(f"its meters have intervals of several lengths: {told}", where=str(path))
    notes = [f"NEM12: {many(len(meters), 'meter')}; times are those at which intervals begin, UTC+10"]
    notes += [f"{many(twice, 'day')} given twice: the later values are taken"] * bool(twice)
    return TableText(csv_text(_lines(meters)), tuple(notes))


def _register(meters: dict[str, _Meter], row: Sequence[str], where: str) -> dict[str, list[str]]:
    """The days of the register that a line 200 begins, in its meter."""
    if len(row) <= LENGTH or not row[LENGTH].strip().isdecimal() or DAY % int(row[LENGTH]):
        raise DataError("a line 200 of NEM12 without the length of its intervals", where=where)
    length = int(row[LENGTH])
    meter = meters.setdefault(row[METER], _Meter(length))
    if meter.length != length:
        what = f"meter {row[METER]} has intervals of {meter.length} and of {length} min"
        raise DataError(what, where=where, hint="split the file by the length of its intervals")
    return meter.registers.setdefault(f"{row[REGISTER]} ({row[UNIT]})", {})


def _add(register: dict[str, list[str]] | None, row: Sequence[str], where: str) -> list[str]:
    """The values of a line 300, in its register."""
    if register is None:
        raise DataError("a line 300 of NEM12 above the first line 200", where=where)
    if not _is_day(row[1] if len(row) > 1 else ""):
        raise DataError("a line 300 of NEM12 without its day, such as 20240131", where=where)
    count = next((n for n, cell in enumerate(row[2:]) if not _is_number(cell)), len(row) - 2)
    if not count or DAY % count:
        raise DataError(f"a line 300 of NEM12 with {many(count, 'value')}", where=where)
    quality = row[2 + count] if len(row) > 2 + count else ""
    register[row[1]] = [""] * count if quality.startswith(NO_DATA) else list(row[2 : 2 + count])
    return register[row[1]]


def _without(day: list[str], row: Sequence[str], where: str) -> None:
    """A day without the intervals of which a line 400 says that there are no data."""
    try:
        first, last, quality = int(row[1]), int(row[2]), row[3]
    except (ValueError, IndexError):
        raise DataError("a line 400 of NEM12 without the intervals that it speaks of", where=where) from None
    if not 1 <= first <= last <= len(day):
        what = f"a line 400 of NEM12 of intervals {first} to {last}, where the day has {len(day)}"
        raise DataError(what, where=where)
    if quality.startswith(NO_DATA):
        day[first - 1 : last] = [""] * (last - first + 1)


def _is_day(cell: str) -> bool:
    try:
        datetime.strptime(cell.strip(), "%Y%m%d")
    except ValueError:
        return False
    return True


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return not cell.strip()
    return True


def _lines(meters: dict[str, _Meter]) -> list[list[str]]:
    """The lines of the table, the names first: registers that not all meters have are series of their own."""
    names = list(dict.fromkeys(name for meter in meters.values() for name in meter.registers))
    if any(len(meter.registers) < len(names) for meter in meters.values()):
        alone = (
            (f"{title} {name}", meter, days)
            for title, meter in meters.items()
            for name, days in meter.registers.items()
        )
        meters, names = {title: _Meter(meter.length, {VALUE: days}) for title, meter, days in alone}, [VALUE]
    several = len(meters) > 1
    lines = [["time", *["meter"] * several, *names]]
    for title, meter in meters.items():
        for day in sorted({day for register in meter.registers.values() for day in register}):
            begin = datetime.strptime(day.strip(), "%Y%m%d")
            columns = [meter.registers.get(name, {}).get(day, []) for name in names]
            for k in range(DAY // meter.length):
                time = (begin + timedelta(minutes=k * meter.length)).isoformat(" ")
                lines.append([time, *[title] * several, *(values[k] if k < len(values) else "" for values in columns)])
    return lines
