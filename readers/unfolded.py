"""Tables that people understand at a glance and that are no long ones yet: without a line of names, without a column of
times, or with the months of a year, or the hours of a day, side by side. They are written out as long tables.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from errors import DataError, many
from readers.dialect import Dialect, line_of
from readers.files import decode
from readers.guess import DAY_LONG, HOURS, LINE, MONTHS, has_names
from readers.lined import are_ids
from readers.missing import is_mark
from readers.paths import abridge
from times.words import is_time

DAY = 1440  # minutes
YEARLY = 13  # columns of the months and of the year
VALUE = "value"  # the column of a table that names none
_CLOCK = r"\d{1,2}:\d\d(?::00)?(?:\s*[ap]m)?"
_SLOT = re.compile(
    r"(?P<hour>\d{1,2}):(?P<minute>\d\d)(?::00)?(?:\s*(?P<half>[ap]m))?(?:\s*[-\N{EN DASH}]\s*" + _CLOCK + ")?",
    re.IGNORECASE,
)
LEAST = 8  # lines that show what stands above them
VIRTUAL = (LINE, MONTHS, HOURS)
PLAIN = Dialect()


@dataclass(frozen=True)
class Unfolded:
    """A table's text written out, and where it comes from.

    text : with a line of names. notes : on what was done.
    named : whether its line of names was put before the file's first line.
    per, begin : it has `per` lines for each one of the file, and begins with the number `begin` of all these.
    """

    text: bytes
    notes: tuple[str, ...] = ()
    named: bool = False
    per: int = 1
    begin: int = 0


def unfolded(text: bytes, path: Path, dialect: Dialect, keys: Sequence[str]) -> Unfolded | None:
    """A table with the columns that are asked for, written out where its text lacks them.

    Parameters
    ----------
    text : the table, the line of names first if there is one.
    path, dialect : its file, and how it is written.
    keys : the columns of the times and ids; numbers are the columns of a table without names, see also LINE, MONTHS and
        HOURS.

    Returns
    -------
    None where nothing of that is lacking, or anything else is.
    """
    try:
        cells = [cell.strip() for cell in dialect.split([decode(text.partition(b"\n")[0]).rstrip("\r")], path)[0]]
    except DataError:  # told where it is read
        return None
    data = not has_names(cells, dialect) and not _count(cells)  # where a number in the first line is no name
    lacking = [key for key in keys if key not in cells or (data and key.isdecimal())]
    if not lacking or not all(key in VIRTUAL or key.isdecimal() for key in lacking):
        return None
    notes: list[str] = []
    if any(_is_unnamed(key, cells) for key in lacking):  # a column over which no name stands goes by its number
        cells = [cell or str(number) for number, cell in enumerate(cells, 1)]
        text = line_of(cells, dialect.sep).encode() + b"\n" + text.partition(b"\n")[2]
        lacking = [key for key in lacking if key not in cells]
    if not lacking:
        return Unfolded(text)
    below = [dialect.split([decode(line)], path)[0] for line in text.split(b"\n", LEAST + 1)[1 : LEAST + 1]]
    named = not (has_names(cells, dialect) or are_ids(cells, below, dialect)) and (
        LINE in lacking or any(key.isdecimal() for key in lacking)
    )
    if not named and any(key.isdecimal() for key in lacking):
        return None
    if named:
        cells = [VALUE] if len(cells) == 1 else [str(number) for number in range(1, len(cells) + 1)]
        text = line_of(cells, dialect.sep).encode() + b"\n" + text
        notes.append(f"no line of names: the columns are called {cells[0]}{f' to {cells[-1]}' * (len(cells) > 1)}")
    if LINE in lacking:
        return Unfolded(_counted(text, dialect), tuple(notes), named)
    if {MONTHS, HOURS} & {*lacking}:
        what = MONTHS if MONTHS in lacking else HOURS
        return _side_by_side(text, path, dialect, keys[0], what, named) if keys[0] in cells else None
    return Unfolded(text, tuple(notes), named)


def _count(cells: Sequence[str]) -> bool:
    """Whether the numbers among some cells may name columns: whole ones, each there once."""
    numbers = [cell for cell in cells if PLAIN.is_number(cell)]
    return all(map(str.isdecimal, numbers)) and len({*numbers}) == len(numbers)


def _is_unnamed(key: str, cells: Sequence[str]) -> bool:
    return key.isdecimal() and 1 <= int(key) <= len(cells) and not cells[int(key) - 1] and any(cells)


def month_columns(names: Sequence[str]) -> list[str]:
    """Twelve of some names that are those of the months, in their order; [] where there are none."""
    found = [name for name in names if name and not name[-1].isdigit() and len(name) < 13 and is_time(f"{name} 2000")]
    return found if len(found) == 12 else []


def hour_columns(names: Sequence[str]) -> list[str]:
    """Those of some names that are the parts of a day in order, by their beginnings or ends; [] where there are none.

    Parameters
    ----------
    names : such as 00:00, 12:30 AM or 00:00-00:15; others may stand among them.
    """
    found = [(name, slot) for name in names if (slot := _SLOT.fullmatch(name.strip()))]
    if len(found) not in DAY_LONG:
        return []
    step = DAY // len(found)
    minutes = [_minute(slot) for _, slot in found]
    even = all((minute - minutes[0] - k * step) % DAY == 0 for k, minute in enumerate(minutes))
    return [name for name, _ in found] if even and minutes[0] in (0, step) else []


def _minute(slot: re.Match[str]) -> int:
    hour, half = int(slot["hour"]), (slot["half"] or "").lower()
    return (hour % 12 + 12 * (half == "pm") if half else hour) * 60 + int(slot["minute"])


def _counted(text: bytes, dialect: Dialect) -> bytes:
    """The table with a first column that counts its lines."""
    title, *lines = text.split(b"\n")
    sep, numbers = dialect.sep.encode(), itertools.count(1)
    counted = [b"%d%s%s" % (next(numbers), sep, line) if line.strip() else line for line in lines]
    return b"\n".join([LINE.encode() + sep + title, *counted])


def _side_by_side(text: bytes, path: Path, dialect: Dialect, key: str, what: str, named: bool) -> Unfolded | None:
    """The table with a line for each month of its years, or each part of its days: the key, the part, the value."""
    rows = dialect.split(decode(text).split("\n"), path)
    names = [name.strip() for name in rows[0]]
    others = [name for name in names if name and name != key]
    parts = month_columns(others) if what == MONTHS and not named else (hour_columns(others) or others)
    if named and what == MONTHS and len(parts) == YEARLY:  # a year's mean or sum is behind its months
        parts = parts[:12]
    if len(parts) not in ((12,) if what == MONTHS else DAY_LONG):
        return None
    out = [name for name in others if name not in parts]
    at, columns = names.index(key), [names.index(name) for name in parts]
    labels = parts
    if what == HOURS:
        labels = [_clock(k * DAY // len(parts)) for k in range(len(parts))]
    elif named:
        labels = [str(month) for month in range(1, 13)]
    body = [[cell.strip() for cell in row] for row in rows[1:]]
    body, odd = _whole_lines(body, len(names), at)
    lines = [[row[at], label, row[column]] for row in body for label, column in zip(labels, columns, strict=True)]
    known = [k for k, line in enumerate(lines) if line[2] and not is_mark(line[2])]
    begin, end = (known[0], known[-1] + 1) if known else (0, len(lines))
    made = "\n".join(line_of(cells, dialect.sep) for cells in [[key, what, VALUE], *lines[begin:end]]).encode()
    notes = [f"the {len(parts)} columns of {what} are steps of one series, {many(len(body), 'line')} of them"]
    notes += [f"left out beside the {what}: {abridge(out)}"] * bool(out)
    notes += [f"{many(len(odd), 'line')} at the end left out: {abridge(odd)}"] * bool(odd)
    if end - begin < len(lines):
        notes.append(
            f"{many(len(lines) - end + begin, 'empty cell')} before the first value or after the last left out"
        )
    return Unfolded(made, tuple(notes), named, len(parts), begin)


def _whole_lines(body: list[list[str]], width: int, at: int) -> tuple[list[list[str]], list[str]]:
    """The lines of a table up to the last one that is whole, and what the lines behind it begin with; a last line that
    ends early, as the current year may, is filled up with empty cells.

    Parameters
    ----------
    body : cells of its lines. width : of a whole one. at : the column of its keys.
    """
    kept = next((n for n in range(len(body), 0, -1) if len(body[n - 1]) >= width), 0)
    behind = [row for row in body[kept:] if any(row)]
    if behind and kept and len(behind[0]) > at + 1 and _goes_on(body[kept - 1], behind[0], at):
        first = behind.pop(0)
        return [*body[:kept], first + [""] * (width - len(first))], [" ".join(row) for row in behind]
    return body[:kept], [" ".join(row) for row in behind]


def _goes_on(before: Sequence[str], row: Sequence[str], at: int) -> bool:
    """Whether a line that ends early has the key after that of the line before, and else numbers or marks."""
    keys = before[at], row[at]
    plain = all(not cell or PLAIN.is_number(cell) or is_mark(cell) for cell in row[at + 1 :])
    return plain and (not all(map(str.isdecimal, keys)) or int(keys[1]) == int(keys[0]) + 1)


def _clock(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"
