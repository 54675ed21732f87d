"""Times of a table's first lines as numbers that grow as they do, under whatever order of day and month."""

from __future__ import annotations

import itertools
import re
import statistics
from collections.abc import Sequence
from datetime import datetime, timezone

from times import written
from times.periods import counted
from times.serials import may_be_serials
from times.tongues import seasons
from times.words import is_time_word
from times.years import are_years

LATE = 25  # one line of so many may go back or come twice: the hour of autumn, a line that was sent again
MANY = 10  # times as many lines as columns: so many series of so few steps are rather steps of few things
HOUR = 3600  # seconds
DAY = 24 * HOUR
_SECONDS = re.compile(r"\d{9,10}(?:\.\d+)?|\d{5,7}\.\d+")  # since 1970, or days since long ago
_BARE_CLOCK = re.compile(r"\d{4}([-/.])\d{1,2}\1\d{1,2}[ T]\d{1,2}:\d{1,2}(?::\d{1,2}(?:\.\d+)?)?")
_HALF_DAY = re.compile(r"\b(\d{1,2})((?::\d\d){1,2}(?:\.\d+)?) ?([ap])\.?m\.?$", re.IGNORECASE)
_MONTH = re.compile(r"(\d{4})[-/](\d{1,2})")
_NAMED_MONTH = re.compile(r"[^\W\d_]{3}")
# What the steps of series are called before their numbers, beside words of times.
_STEPS = ("", "h", "hr", "p", "q", "s", "v", "x", "sample", "point", "value", "bin", "lag", "interval", "slot")


def _of_24_hours(found: re.Match[str]) -> str:
    """A time of day by a clock of twelve hours, 02:30:00 PM, as one of 24."""
    hour = int(found[1]) % 12 + 12 * (found[3].casefold() == "p")
    return f"{hour:02d}{found[2]}"


def stamps_of(cells: Sequence[str]) -> list[float]:
    """Something that grows as the times do, under the order of day and month with which they grow; [] where unclear.

    Parameters
    ----------
    cells : the times, as text.
    """
    if are_years("time", cells):
        return [float(cell) * 365 * 24 * HOUR for cell in cells]
    if known := seasons(cells) or counted(cells):
        return _iso(known)
    if may_be_serials(cells):
        return [float(cell) * 24 * HOUR for cell in cells]
    old = [cell for cell in cells if written.before_excel(cell)]
    if 0 < len(old) < len(cells):
        newer = stamps_of([cell for cell in cells if not written.before_excel(cell)])
        return [*_iso(old), *newer] if newer and list(cells[: len(old)]) == old else []
    whole, late = zip(*map(written.first_of_day, cells), strict=True)
    if any(late) or whole != tuple(cells):
        stamps = stamps_of(whole)
        return [stamp + more for stamp, more in zip(stamps, late, strict=True)] if stamps else []
    if all(cell.isdecimal() for cell in cells):
        return [float(cell) / (1000 if len(cell) > 12 else 1) for cell in cells]
    if all(map(_SECONDS.fullmatch, cells)):
        return [float(cell) for cell in cells]
    if all(cell[:4].isdecimal() and not _NAMED_MONTH.search(cell) for cell in cells):
        return _iso([_HALF_DAY.sub(_of_24_hours, cell) for cell in cells])
    bare = [re.sub(r"(?<=:\d\d) ?(?:Z|[+-]\d\d(?::?\d\d)?)$", "", written.tidy(cell)) for cell in cells]
    if all(cell[:4].isdecimal() for cell in bare):
        return _iso(bare)
    tried = [_parsed(bare, form) for form in written.formats(bare[0], "").values()]
    good = [stamps for stamps in tried if stamps]
    return next((stamps for stamps in good if grows(stamps)), good[0] if good else [])


def _iso(cells: Sequence[str]) -> list[float]:
    """Seconds of ISO 8601 times, or months; of what is only like it (2024-1-5, 2024-Q1), its numbers as one."""
    if all(months := [_MONTH.fullmatch(cell) for cell in cells]):
        cells = [f"{found[1]}-{int(found[2]):02d}-01" for found in months if found]
    try:
        parsed = [datetime.fromisoformat(cell.replace("Z", "+00:00")) for cell in cells]
        return [(time if time.tzinfo else time.replace(tzinfo=timezone.utc)).timestamp() for time in parsed]
    except ValueError:
        parts = [[int(part) for part in re.findall(r"\d+", cell)[:6]] for cell in cells]
        return _unpadded(cells, parts) or [
            float(sum(part * 1000 ** (5 - k) for k, part in enumerate(each))) for each in parts
        ]


def _unpadded(cells: Sequence[str], parts: Sequence[Sequence[int]]) -> list[float]:
    """Seconds of times whose parts have no zeros before them (2024-1-5 6:4:40), as programs write them; or []."""
    if not all(map(_BARE_CLOCK.fullmatch, cells)):
        return []
    try:
        return [datetime(*part, tzinfo=timezone.utc).timestamp() for part in parts]  # type: ignore[misc, arg-type]
    except ValueError:
        return []


def _parsed(cells: Sequence[str], form: str) -> list[float]:
    start = datetime(1970, 1, 1)
    try:
        days = [datetime.strptime(cell, form) for cell in cells]
        if "%y" in form:
            days = [written.in_century(day) for day in days]
        return [(day - start).total_seconds() for day in days]
    except ValueError:
        return []


def grows(stamps: Sequence[float]) -> bool:
    """Whether times grow, or fall, from line to line; a few lines may come twice, or be an hour late in autumn."""
    steps = [b - a for a, b in itertools.pairwise(stamps)]
    if not steps:
        return True
    sign = 1 if sum(step > 0 for step in steps) * 2 >= len(steps) else -1
    usual = statistics.median(abs(step) for step in steps)
    back = [step * sign for step in steps if step * sign <= 0]
    return len(back) <= len(steps) // LATE and all(-step <= max(HOUR, 5 * usual) for step in back)


def mostly_even(stamps: Sequence[float]) -> bool:
    """Whether times in some disorder are those of a log: many lie as far apart as others, which birthdays do not."""
    steps = [after - before for before, after in itertools.pairwise(sorted(stamps))]
    return steps.count(statistics.median_low(steps)) > len(steps) / 3


def are_things(names: Sequence[str], stamps: Sequence[float]) -> bool:
    """Whether columns of one word and numbers (MT_001, MT_002) are things that are measured in each line, rather than
    the steps of a series in it: lines go on in even steps of less than a day, or there are many more of them than
    columns, and the word is none of steps.

    Parameters
    ----------
    names : of the columns beside the times. stamps : of the first lines, in seconds.
    """
    words = {name.strip().rstrip("0123456789").casefold() for name in names}
    steps = [b - a for a, b in itertools.pairwise(stamps)]
    if len(words) != 1 or not steps or len(names) > len(stamps):
        return False
    usual = statistics.median_low(steps)  # of the first lines, which follow one another, and of some farther apart
    even = steps.count(usual) * 2 >= len(steps)
    many = usual < DAY or len(stamps) >= MANY * len(names)
    return usual > 0 and many and even and not is_step_word(words.pop())


def is_step_word(name: str) -> bool:
    """Whether columns of this word and numbers (t_0, day 1, v1) are the steps of a series in each line.

    Parameters
    ----------
    name : the word, maybe with what stands between it and the number.
    """
    word = name.strip().rstrip("_- .#").casefold()
    return word in _STEPS or is_time_word(word)
