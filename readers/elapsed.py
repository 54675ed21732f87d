"""Tables whose first column says how much has passed: 1 min, 2h, 1h 30min, 0 days 00:01:30, PT90S; or a clock that goes
on in even steps without a date, also past midnight. They become seconds, and count steps as other numbers there do.
"""

from __future__ import annotations

import io
import itertools
import re
import statistics
from collections.abc import Sequence

from readers.dialect import SEPARATORS, Dialect
from readers.guess import steps_named
from readers.spelled import changed
from times.words import is_clock_word, is_time

LEAST = 5  # lines that show it
MOST = 400  # lines that are looked at
EVEN = 0.9  # of the steps of a clock, which are as long as most
DAY = 86_400
_UNITS = {"ms": 0.001, "millisecond": 0.001, "s": 1, "sec": 1, "second": 1, "m": 60, "min": 60, "minute": 60}
_UNITS |= {"h": 3600, "hr": 3600, "hour": 3600, "d": DAY, "day": DAY}
_PART = r"\d+(?:\.\d+)?\s*(?:ms|milliseconds?|s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?)"
_PARTS = re.compile(rf"P?T?(?:{_PART}[\sT,]*)+", re.IGNORECASE)
_EACH = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|[a-z]+?)s?(?![a-z])", re.IGNORECASE)
_CLOCK = re.compile(r"(?:(\d+) days?,? \+?)?(\d+):([0-5]\d)(?::([0-5]\d(?:\.\d+)?))?", re.IGNORECASE)
PLAIN = Dialect()
NOTE = "times without a date ({}, {}, ...) are taken as the seconds that have passed"


def elapsed(text: io.BufferedReader, head: bytes) -> tuple[io.BufferedReader | None, str]:
    """A file's text with seconds in its first column, and a note; None where this holds no such times.

    Parameters
    ----------
    text : at its start. head : its first bytes.
    """
    lines = [line for line in head.replace(b"\r", b"").split(b"\n")[: MOST + 1] if line.strip()]
    lines = lines[: len(lines) - (len(lines) <= MOST)]  # the last one may be cut
    name, sep = _first(lines[0].decode("utf-8", "replace")) if len(lines) > LEAST else ("", "")
    if not sep or not is_clock_word(name):
        return None, ""
    rows = [line.decode("utf-8", "replace").split(sep) for line in lines]
    others = [cell.strip().strip('"') for cell in rows[0][1:]]
    cells = [row[0].strip().strip('"') for row in rows[1:]]
    dated = any(is_time(cell.strip().strip('"')) for cell in rows[1][1:])
    if dated or (len(others) > 1 and steps_named(others, PLAIN)) or not (_are_parts(cells) or _are_even(cells)):
        return None, ""
    return changed(text, _Seconds(sep).change), NOTE.format(*cells[:2])


def _first(line: str) -> tuple[str, str]:
    """The first name of a header, and what separates it from the others; ("", "") of a single one."""
    found = [(line.index(mark), mark) for mark in SEPARATORS if mark in line]
    at, mark = min(found, default=(0, ""))
    return line[:at].strip().strip('"\ufeff'), mark


def _are_parts(cells: Sequence[str]) -> bool:
    """Whether all cells are numbers with units of time, or days and a clock."""
    return all(_PARTS.fullmatch(cell) or (found and found[1]) for cell in cells for found in [_CLOCK.fullmatch(cell)])


def _are_even(cells: Sequence[str]) -> bool:
    """Whether cells are those of a clock that goes on in even steps, at midnight from its beginning."""
    if not all(map(_CLOCK.fullmatch, cells)):
        return False
    clock = _Seconds("")
    seconds = [clock.of(cell) for cell in cells]
    steps = [b - a for a, b in itertools.pairwise(seconds)]
    usual = statistics.median(steps)
    return usual > 0 and min(steps) > 0 and sum(abs(step - usual) < usual / 100 for step in steps) >= EVEN * len(steps)


class _Seconds:
    """Lines with seconds in place of the times in their first column."""

    def __init__(self, sep: str) -> None:
        self.sep = sep.encode()
        self.days, self.last = 0, 0.0

    def change(self, lines: bytes) -> bytes:
        """Some whole lines, which follow those of the call before; others than of such times stay as they are."""
        made = []
        for line in lines.split(b"\n"):
            cell, mark, rest = line.partition(self.sep)
            text = cell.decode("utf-8", "replace").strip().strip('"')
            known = mark and (_PARTS.fullmatch(text) or _CLOCK.fullmatch(text))
            # With a sign, so that the seconds of a day are not taken for Excel's days under the name of dates.
            made.append(f"+{self.of(text):.12g}".encode() + mark + rest if known else line)
        return b"\n".join(made)

    def of(self, cell: str) -> float:
        """The seconds of a cell; a clock that goes back by more than half a day is that of the next day."""
        found = _CLOCK.fullmatch(cell)
        if found is None:
            return sum(float(number) * _UNITS[unit.casefold()] for number, unit in _EACH.findall(cell))
        days, first, second, third = found.groups()
        seconds = int(first) * 3600 + int(second) * 60 + float(third or 0)
        if days is not None:
            return int(days) * DAY + seconds
        self.days += seconds < self.last - DAY / 2
        self.last = seconds
        return self.days * DAY + seconds
