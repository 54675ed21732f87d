"""The Monash archive's `.tsf`: lines `@key value`, then `@data` and a series a line, its attributes between colons, its
values between commas.

Godahewa, Bergmeir, Webb, Hyndman and Montero-Manso, "Monash Time Series Forecasting Archive" (2021).
"""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from errors import DataError, many
from readers import register
from readers.base import Reader, TableText, csv_text
from readers.files import decode
from readers.refused import no_data

READS = {"endings": [".tsf"]}
START = re.compile(rb"^@frequency\b", re.MULTILINE | re.IGNORECASE)
LATEST = 2261  # years beyond which no time can be kept
TIME, COUNT, VALUE = "time", "step", "value"
_FREQUENCY = re.compile(r"(?:(\d+)_|(half)_)?(second|minute|hour|da|week|month|quarter|year)(?:s|ly|ily)?")
_FORMS = ("%Y-%m-%d %H-%M-%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d")
_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "da": 86400, "week": 7 * 86400}
_MONTHS = {"month": 1, "quarter": 3, "year": 12}


@dataclass(frozen=True)
class _Head:
    """What stands above @data: the attributes' names and kinds, the length of a step, and the number of lines."""

    attributes: list[tuple[str, str]]
    frequency: str
    horizon: str
    lines: int


@register
class TsfReader(Reader):
    """All series of a file as one long table: the time, the attributes, the value."""

    def text(self, file: io.BufferedReader, path: Path) -> TableText:
        """See `Reader.text`. DataError for a file that is not of the format."""
        return table(file.read(), path)


def table(text: bytes, path: Path) -> TableText:
    """A file's text as a long table. DataError where it is not in order.

    Parameters
    ----------
    text : all of it. path : the file, for errors.
    """
    lines = decode(text.removeprefix(b"\xef\xbb\xbf")).replace("\r\n", "\n").split("\n")
    head = _head(lines, path)
    at = next((k for k, (_, kind) in enumerate(head.attributes) if kind == "date"), None)
    below = enumerate(lines[head.lines :], head.lines + 1)
    cases = [_case(line, number, head, path) for number, line in below if line.strip()]
    if not cases:
        raise DataError("there is no series below @data", where=str(path))
    times = _times(cases, at, head, path)
    names = [name for k, (name, _) in enumerate(head.attributes) if k != at]
    columns = [COUNT if times is None else TIME, *names, VALUE]
    notes = [f"Monash archive: {many(len(cases), 'series')}" + f", {head.frequency}" * bool(head.frequency)]
    notes[0] += f"; its horizon is {head.horizon}, --horizon {head.horizon} forecasts that" * bool(head.horizon)
    return TableText(csv_text(_rows(columns, cases, times, at)), tuple(notes))


def _head(lines: Sequence[str], path: Path) -> _Head:
    attributes, known = [], {"frequency": "", "horizon": ""}
    for number, line in enumerate(lines, 1):
        key, *words = line.split() or [""]
        key = key.casefold().removeprefix("@") if key.startswith("@") else ""
        if key == "attribute" and len(words) > 1:
            attributes.append((words[0], words[1].casefold()))
        elif key in known and words:
            known[key] = words[0].casefold()
        elif key == "data":
            if not attributes:
                raise DataError("no @attribute says what stands before the values", where=str(path))
            return _Head(attributes, known["frequency"], known["horizon"], number)
    raise no_data(lines, path)


def _case(line: str, number: int, head: _Head, path: Path) -> list[str]:
    """The attributes of a series, and its values as one text."""
    cells = line.strip().split(":", len(head.attributes))
    if len(cells) <= len(head.attributes):
        what = f"{many(len(cells) - 1, 'attribute')} before the values, expected {len(head.attributes)}"
        raise DataError(what, where=f"{path}:{number}")
    return [cell.strip() for cell in cells]


def _times(cases: Sequence[Sequence[str]], at: int | None, head: _Head, path: Path) -> list[list[str]] | None:
    """The times of each series' steps; None where they are counted: without a beginning or a length of a step, and
    where a series ends later than any time that can be kept."""
    found = _FREQUENCY.fullmatch(head.frequency)
    if at is None or found is None:
        return None
    count, unit = (0.5 if found[2] else float(found[1] or 1)), found[3]
    times = []
    for number, case in enumerate(cases, head.lines + 1):
        first = _date(case[at], f"{path}:{number}")
        times.append(_steps_of(first, case[-1].count(",") + 1, count, unit))
    return times if all(times) else None


def _steps_of(first: datetime, steps: int, count: float, unit: str) -> list[str]:
    """The times of so many steps of `count` units; [] where the last is too late."""
    if unit in _MONTHS:
        begin, months = 12 * first.year + first.month - 1, int(count) * _MONTHS[unit]
        spans = [divmod(begin + months * k, 12) for k in range(steps)]
        return [f"{year:04d}-{month + 1:02d}-01" for year, month in spans] if spans[-1][0] <= LATEST else []
    if unit in ("da", "week"):
        first = first.replace(hour=0, minute=0, second=0)
    step = timedelta(seconds=count * _SECONDS[unit])
    late = first.year + (step * steps).days // 365 > LATEST
    return [] if late else [str(first + k * step) for k in range(steps)]


def _date(cell: str, where: str) -> datetime:
    for form in _FORMS:
        try:
            return datetime.strptime(cell, form)
        except ValueError:
            continue
    raise DataError(f"{cell[:40]!r} is not a date and time", where=where)


def _rows(
    columns: Sequence[str], cases: Sequence[Sequence[str]], times: list[list[str]] | None, at: int | None
) -> Iterator[Sequence[str]]:
    """The lines of the table."""
    yield columns
    order = range(len(cases))
    if times is not None and all(before[0] < after[0] for before, after in itertools.pairwise(times)):
        order = order[::-1]  # series that begin one after the other might look like one
    for number in order:
        *said, text = cases[number]
        values = text.split(",")
        steps = range(1, len(values) + 1) if times is None else times[number]
        for step, value in zip(steps, values, strict=True):
            cell = value.strip()
            yield [str(step), *(word for k, word in enumerate(said) if k != at), "" if cell in ("?", "NaN") else cell]
