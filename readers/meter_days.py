"""Meters with a line for each day, whose parts stand side by side, and columns that say whose or what it is (grid and
solar, a meter's number): they are written out as a long table, a line for each part of a day.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator, Sequence

from readers.base import TableText
from readers.dialect import SEPARATORS, Dialect, line_of
from readers.files import decode
from readers.paths import abridge
from readers.unfolded import hour_columns
from times.words import is_time

DAY = 1440  # minutes
MOST = 12  # columns beside the parts of a day
SOME = 20  # lines that show it
CHANNELS = 8  # registers of one meter, at most; of more the lines are those of meters
TIME, METER, VALUE = "time", "meter", "value"
PLAIN = Dialect()


def meter_days(text: io.BufferedReader, head: bytes) -> tuple[TableText | None, io.BufferedReader]:
    """The long table, of a channel for each of a few registers or a series for each of many meters, and the text to go
    on with; None for another text.

    Parameters
    ----------
    text : at its start. head : its first bytes.
    """
    first = decode(head.partition(b"\n")[0]).strip("\ufeff\r ")
    sep = max(SEPARATORS, key=first.count)
    names = [name.strip().strip('"') for name in first.split(sep)]
    slots = hour_columns(names)
    others = [k for k, name in enumerate(names) if name not in slots]
    if not slots or not 2 <= len(others) <= MOST or len({*names}) < len(names):
        return None, text
    whole = text.read()
    lines = decode(whole.removeprefix(b"\xef\xbb\xbf")).replace("\r\n", "\n").split("\n")
    rows = [[cell.strip().strip('"') for cell in line.split(sep)] for line in lines[1:] if line.strip()]
    day = _day(rows, others)
    if any(len(row) != len(names) for row in rows) or day < 0 or len({row[day] for row in rows}) == len(rows):
        return None, io.BufferedReader(io.BytesIO(whole))
    whose = _whose(rows, day, [k for k in others if k != day])
    if not whose:
        return None, io.BufferedReader(io.BytesIO(whole))
    found: dict[str, dict[str, list[str]]] = {}  # of each day the lines of its meters
    places = [names.index(name) for name in slots]
    for row in rows:
        found.setdefault(row[day], {})["/".join(row[k] for k in whose)] = [row[k] for k in places]
    meters = list(dict.fromkeys(name for each in found.values() for name in each))
    made = _channels(found, meters, sep) if len(meters) <= CHANNELS else _series(found, sep)
    note = f"the {len(slots)} columns of the parts of a day are steps: {names[day]!r} with the beginning of each, "
    kind = "a channel" if len(meters) <= CHANNELS else "a series"
    note += f"{kind} for each {' and '.join(repr(names[k]) for k in whose)}"
    left = [repr(names[k]) for k in others if k != day and k not in whose]
    note += f"; left out: {abridge(left)}" * bool(left)
    return TableText(io.BytesIO(("\n".join(made) + "\n").encode()), (note,)), text


def _channels(found: dict[str, dict[str, list[str]]], meters: Sequence[str], sep: str) -> Iterator[str]:
    yield line_of([TIME, *meters], sep)
    for day, each in found.items():
        parts = len(next(iter(each.values())))
        none = [""] * parts
        for k in range(parts):
            yield line_of([f"{day} {_clock(k, parts)}", *(each.get(name, none)[k] for name in meters)], sep)


def _series(found: dict[str, dict[str, list[str]]], sep: str) -> Iterator[str]:
    yield line_of([TIME, METER, VALUE], sep)
    for day, each in found.items():
        parts = len(next(iter(each.values())))
        for k in range(parts):
            for name, values in each.items():
                yield line_of([f"{day} {_clock(k, parts)}", name, values[k]], sep)


def _clock(part: int, parts: int) -> str:
    minute = part * DAY // parts
    return f"{minute // 60:02d}:{minute % 60:02d}"


def _whose(rows: Sequence[Sequence[str]], day: int, others: Sequence[int]) -> list[int]:
    """The fewest of some columns that tell lines of the same day apart; [] where none do."""
    for count in range(1, len(others) + 1):
        for tried in itertools.combinations(others, count):
            if len({(row[day], *(row[k] for k in tried)) for row in rows}) == len(rows):
                return list(tried)
    return []


def _day(rows: Sequence[Sequence[str]], others: Sequence[int]) -> int:
    """The first of some columns that holds days; -1 for none."""
    some = [row for row in rows[:SOME] if len(row) > max(others)]
    days = (k for k in others if some and all(is_time(row[k]) and ":" not in row[k] for row in some))
    return next(days, -1)
