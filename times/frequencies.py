"""The names of steps, as pandas writes them and beyond: units, anchors, dates, hours of a week."""

from __future__ import annotations

import re
from functools import lru_cache

from times import dates, hours
from times.hours import DAY

_NAMED_DAYS = {1: "1st", 2: "2nd", 3: "3rd", 21: "21st", 22: "22nd", 23: "23rd", dates.LAST: "last"}
FIXED = {"h": DAY // 24, "min": DAY // 1440, "s": DAY // 86_400, "ms": 10**6, "us": 10**3, "ns": 1}
DAYS = {"D": 1, "B": 1, "W": 7, "MS": 28, "ME": 28, "BMS": 28, "BME": 28, "WOM": 28}  # the shortest a step can be
DAYS |= {"QS": 90, "QE": 90, "BQS": 90, "BQE": 90, "YS": 365, "YE": 365, "BYS": 365, "BYE": 365}
_CYCLES: dict[str, tuple[int, ...]] = {"D": (7, 365), "B": (5, 261), "W": (52,)}  # in steps of one unit
_CYCLES |= dict.fromkeys(("MS", "ME", "BMS", "BME", "WOM"), (12,)) | dict.fromkeys(("QS", "QE", "BQS", "BQE"), (4,))
_CYCLES |= dict.fromkeys(("YS", "YE", "BYS", "BYE"), ())
# Where none is given. Steps have the name of their beginning, also weeks, which pandas names by their end.
_ANCHOR = {"W": "-MON", "QS": "-JAN", "BQS": "-JAN", "YS": "-JAN", "BYS": "-JAN"}
_ANCHOR |= {"QE": "-DEC", "BQE": "-DEC", "YE": "-DEC", "BYE": "-DEC"}
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_NAMES = {"D": "day", "B": "business day", "W": "week"} | dict.fromkeys(("QS", "QE", "BQS", "BQE"), "quarter")
_NAMES |= dict.fromkeys(("MS", "ME", "BMS", "BME", "WOM"), "month") | dict.fromkeys(("YS", "YE", "BYS", "BYE"), "year")
# Units as pandas had them before 2.2, and those of today as it had them then.
_OLD = {"H": "h", "T": "min", "S": "s", "L": "ms", "U": "us", "N": "ns", "M": "ME", "Q": "QE", "Y": "YE", "A": "YE"}
_OLD |= {"AS": "YS", "BM": "BME", "BQ": "BQE", "BY": "BYE", "BA": "BYE", "BAS": "BYS"}
_BEGINNING = {"ME": "MS", "BME": "MS", "BMS": "MS", "WOM": "MS", "QE": "QS", "BQE": "QS", "BQS": "QS"}
_BEGINNING |= {"YE": "YS", "BYE": "YS", "BYS": "YS"}
_OF_OLD = {"ME": "M", "QE": "Q", "YE": "A", "YS": "AS", "BME": "BM", "BQE": "BQ", "BYE": "BA", "BYS": "BAS"}
_FREQ = re.compile(r"(\d*)\s*([A-Za-z]+)(-[A-Z]+|(?:-\d+)+|-[A-Z0-9]+)?")


def canonical(freq: str) -> str:
    """A frequency in the spelling of pandas 3: `60T`, `1H` -> `h`; `M` -> `ME`.

    Parameters
    ----------
    freq : any spelling that pandas takes or took.

    Raises
    ------
    ValueError : it is not a frequency.
    """
    step, _, open_ = freq.partition("@")
    if open_:
        step = canonical(step)
        if step != "D" and is_calendar(step):
            raise ValueError(f"{freq!r} is not a frequency")
        return f"{step}@{hours.text_of(hours.slots(open_, shortest(step)), shortest(step))}"
    count, unit, anchor = split(freq)
    if unit in FIXED:
        return fixed_freq(count * FIXED[unit])
    anchor = "" if anchor == "-1" else anchor or _ANCHOR.get(unit, "")
    if "Q" in unit and anchor[1:] in _MONTHS:  # QS-JAN and QS-APR are the same days
        anchor = f"-{_MONTHS[_MONTHS.index(anchor[1:]) % 3 + (0 if unit[-1] == 'S' else 9)]}"
    return f"{count if count > 1 else ''}{unit}{anchor}"


def fixed_freq(step: int) -> str:
    """A length of time as a frequency in its largest whole unit: `h`, `15min`, `36h`.

    Parameters
    ----------
    step : the length in ns, above 0.
    """
    unit = next(unit for unit, length in FIXED.items() if step % length == 0)
    count = step // FIXED[unit]
    return f"{count if count != 1 else ''}{unit}"


def shortest(freq: str) -> int:
    """Nanoseconds of a step; where steps differ, such as months, of the shortest."""
    if any(of := dates_of(freq)):
        return dates.shortest(*of) * DAY
    count, unit, _ = split(freq)
    return count * (FIXED.get(unit) or DAYS[unit] * DAY)


def is_calendar(freq: str) -> bool:
    """Whether steps are counted in days of local time, not in lengths of time."""
    return "@" in freq or split(freq)[1] in DAYS


def dates_of(freq: str) -> tuple[int, tuple[int, ...]]:
    """Days of a step that counts anew each year, and the days of a month on which steps begin; (0, ()) of others."""
    count, unit, anchor = split(freq)
    days = tuple(map(int, anchor.split("-")[1:])) if unit == "MS" and anchor else ()
    return count if unit == "D" and anchor else 0, days if len(days) > 1 else ()


def words(freq: str) -> str:
    """A step in words: `15min`, `1 day`, `2 weeks`, `1 month`, `5min on MON-FRI 09:30-15:55`."""
    step, _, open_ = freq.partition("@")
    every, days = dates_of(step)
    if days:
        return f"a part of a month ({', '.join(_NAMED_DAYS.get(day, f'{day}th') for day in days)})"
    count, unit, _ = split(step)
    name = _NAMES.get(unit, "")
    if unit in FIXED and count * FIXED[unit] % DAY == 0:
        name, count = "day", count * FIXED[unit] // DAY
    if name == "day" and count % 7 == 0:
        name, count = "week", count // 7
    found = f"{count} {name}{'s' * (count > 1)}" if name else step if step[0].isdigit() else f"1 {step}"
    return found + f" on {open_}" * bool(open_) + " from each 1 January" * bool(every)


def cycles(freq: str) -> tuple[int, ...]:
    """The cycles of the calendar in steps that are no hours of a week, see `Clock.periods`."""
    every, days = dates_of(freq)
    if every or days:
        return (*(len(days),) * bool(days), dates.count(every, days))
    count, unit, _ = split(freq)
    if unit in FIXED:
        step = count * FIXED[unit]
        longest = (FIXED["min"], FIXED["h"]) if step < FIXED["min"] else (DAY, 7 * DAY)
        found = [cycle // step for cycle in longest if cycle % step == 0]
    else:
        found = [cycle // count for cycle in _CYCLES[unit] if cycle % count == 0 or cycle > 12]
    return tuple(cycle for cycle in found if cycle > 1)


def of_pandas(name: str) -> str:
    """A frequency that pandas inferred, of calendar steps longer than days and weeks; "" for any other."""
    found = _FREQ.fullmatch(name)
    unit = _OLD.get(found[2], found[2]) if found else ""
    return name if unit in DAYS and unit not in ("D", "W") else ""


def to_pandas(freq: str, *, old: bool) -> str:
    """A frequency as pandas takes it, `old`: before 2.2. ValueError where pandas has no such steps."""
    if "@" in freq or any(dates_of(freq)):
        raise ValueError(f"{freq!r}: pandas has no such steps")
    count, unit, anchor = split(freq)
    return f"{count}{_OF_OLD.get(unit, unit)}{anchor}" if old else freq


def by_beginning(freq: str) -> str:
    """The frequency whose steps have the name of their beginning, for one whose steps are named by their end."""
    count, unit, _ = split(freq)
    return f"{count}{_BEGINNING[unit]}" if unit in _BEGINNING else freq


@lru_cache(maxsize=256)
def split(freq: str) -> tuple[int, str, str]:
    """Count, unit in today's spelling, and anchor (`-SUN`) or ''; hours of a week aside. ValueError for others."""
    match = _FREQ.fullmatch(freq.partition("@")[0].strip())
    unit = _OLD.get(match[2], match[2]) if match else ""
    count = int(match[1] or 1) if match else 0
    anchor = (match[3] or "") if match else ""
    if unit not in FIXED | DAYS or count < 1 or not _may_begin(count, unit, anchor):
        raise ValueError(f"{freq!r} is not a frequency")
    return count, unit, anchor


def _may_begin(count: int, unit: str, anchor: str) -> bool:
    """Whether steps of a unit may begin where an anchor says."""
    if unit == "D":
        return not anchor or (anchor == "-JAN" and 1 < count <= dates.LONGEST_STEP)
    if not anchor[1:].replace("-", "").isdigit():
        return not anchor or unit not in FIXED
    days = list(map(int, anchor.split("-")[1:]))
    rises = days == sorted({*days}) and days[0] >= 1 and days[-1] <= dates.LAST
    return unit == "MS" and rises and (len(days) == 1 or (count == 1 and len(days) <= dates.MOST_DAYS))
