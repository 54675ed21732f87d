"""Days and the number of a part of them, as markets of electricity settle: 48 half hours, 24 hours or 96 quarters."""

from __future__ import annotations

import re
from collections.abc import Sequence

from times.words import last_word

_NAMES = ("period", "periods", "interval", "slot", "block", "sp", "mtu", "position")
_WHOLE = re.compile(r"\d{1,3}")
_LONGEST = {25: 24, 50: 48, 100: 96}  # of the day on which clocks go back: of other days
_BRITISH, _EUROPEAN = 1, 2  # hours after midnight at which clocks are changed: where half hours are settled, elsewhere
_HALF_YEAR = 180  # days: more short ones than this leaves room for are days with missing lines
_DAY = 1440  # minutes


def is_settled(name: str, cells: Sequence[str]) -> bool:
    """Whether a column numbers the parts of days from 1 on: SETTLEMENT_PERIOD from 1 to 48.

    Parameters
    ----------
    name, cells : of the column.
    """
    if last_word(name) not in _NAMES or not all(map(_WHOLE.fullmatch, cells)):
        return False
    numbers = set(map(int, cells))
    return min(numbers) == 1 and max(numbers) in (*_LONGEST, *_LONGEST.values())


def begins_of(days: Sequence[str], numbers: Sequence[str]) -> tuple[list[str], str]:
    """The local times of day at which such parts begin, and the note on them.

    Where clocks go forward those of an hour are left out, and where they go back they come twice.

    Parameters
    ----------
    days, numbers : of n lines, as the table writes them.
    """
    counts = list(map(int, numbers))
    parts = _LONGEST.get(max(counts), max(counts))
    hour = parts // 24
    change = (_BRITISH if hour == 2 else _EUROPEAN) * hour
    held: dict[str, set[int]] = {}
    for day, number in zip(days, counts, strict=True):
        held.setdefault(day, set()).add(number)
    long = {day: -hour for day, some in held.items() if max(some) == parts + hour}
    short = {day: hour for day, some in held.items() if some == {*range(1, parts - hour + 1)}}
    short = short if (len(short) - 1) * _HALF_YEAR <= len(held) else {}
    for end in (next(iter(held)), next(reversed(held))):  # a table may begin and end amid a day
        short.pop(end, None)
    shifts = long | short
    found = []
    for day, number in zip(days, counts, strict=True):
        shift = shifts.get(day, 0)
        minute = (number - 1 + shift * (number > change + hour * (shift < 0))) * _DAY // parts
        found.append(f"{minute // 60:02d}:{minute % 60:02d}")
    note = f"of the {parts} parts of a day the beginnings are taken"
    return found, note + "; clocks are changed on days of an hour more or less" * bool(shifts)
