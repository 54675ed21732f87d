"""Steps of a week in which something is open: trading hours, opening hours, Monday to Saturday.

They are written as `MON-FRI 09:30-15:55; SAT 09:30-12:00`, where a span ends with the beginning of its last step, and
as `MON-SAT` for whole days. A week begins on Monday, 0:00 of local time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from itertools import groupby

import numpy as np

DAY = 86_400_000_000_000  # ns
SECOND, WEEK = DAY // 86_400, 7 * DAY
MONDAY = 4 * DAY  # 1970-01-05
_DAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
_PART = re.compile(r"([A-Z]{3})(?:-([A-Z]{3}))?((?: \d\d:\d\d(?::\d\d)?(?:-\d\d:\d\d(?::\d\d)?)?)*)")
_LEAST, _MOST = 3, WEEK // (60 * SECOND)  # so many days show what comes again; so many steps of a week are looked at


@lru_cache(maxsize=64)
def slots(text: str, step: int) -> np.ndarray:
    """The beginnings of a week's open steps.

    Parameters
    ----------
    text : as above. step : ns.

    Returns
    -------
    ns since Monday, int64 [K], rising. ValueError for text of another form.
    """
    found: list[int] = []
    for part in text.split(";"):
        match = _PART.fullmatch(part.strip())
        if match is None or not {match[1], match[2] or match[1]} <= set(_DAYS):
            raise ValueError(f"{text!r} names no hours of a week")
        first, last = _DAYS.index(match[1]), _DAYS.index(match[2] or match[1])
        for day in range(first, last + 1):
            for span in match[3].split() or ["00:00"]:
                begin, _, end = span.partition("-")
                found += range(day * DAY + _time(begin), day * DAY + _time(end or begin) + 1, step)
    open_ = np.unique(np.array(found, np.int64))
    if not len(open_) or len(open_) != len(found):
        raise ValueError(f"{text!r} names no hours of a week")
    open_.flags.writeable = False
    return open_


def after(open_: np.ndarray, wall: int, steps: int) -> np.ndarray:
    """The `steps` open steps after a local time `wall` in ns: int64 [steps]; `open_` as `slots` gives it."""
    week, within = divmod(wall - MONDAY, WEEK)
    ahead = np.searchsorted(open_, within, "right") + np.arange(steps, dtype=np.int64)
    found: np.ndarray = MONDAY + (week + ahead // len(open_)) * WEEK + open_[ahead % len(open_)]
    return found


def found_in(wall: np.ndarray, step: int) -> str:
    """The hours of a week that come again in most weeks of local times.

    Times of less than a fortnight, three days and more, show whole weeks where their open days have the same hours; of
    days of the week that they do not reach, the same is taken.

    Parameters
    ----------
    wall : ns, int64 [n], rising. step : the usual one, in ns.

    Returns
    -------
    The text of `slots`; "" where the times show too little, are on no grid of steps, or leave nothing out.
    """
    if not len(wall) or DAY % step or step % SECOND or WEEK // step > _MOST or (wall % step != wall[0] % step).any():
        return ""
    first, last = int(wall[0] - MONDAY) // DAY, int(wall[-1] - MONDAY) // DAY
    open_, counts = np.unique((wall - MONDAY) % WEEK, return_counts=True)
    if last - first + 1 >= 14:
        open_ = open_[counts * 2 > (wall[-1] - wall[0]) / WEEK]
    else:
        open_ = _by_days(wall - MONDAY, range(first, last + 1), step)
    return text_of(open_, step) if 0 < len(open_) < WEEK // step else ""


def _by_days(since: np.ndarray, days: range, step: int) -> np.ndarray:
    """The open steps of a week by a few days that have the same hours, but the first and the last; [] for others."""
    of_day = since // DAY
    shown = np.unique(of_day)
    hours = np.unique(since % DAY)
    whole = [np.array_equal(since[of_day == day] % DAY, hours) for day in shown[1:-1].tolist()]
    if len(shown) < _LEAST or not all(whole) or step == DAY:
        return hours[:0]
    closed = {day % 7 for day in days} - {day % 7 for day in shown.tolist()}
    return np.concatenate([day * DAY + hours for day in range(7) if day not in closed])


def text_of(open_: np.ndarray, step: int) -> str:
    """The inverse of `slots`.

    Parameters
    ----------
    open_ : ns since Monday, int64 [K], rising. step : ns.
    """
    spans = []
    for day in range(7):
        today = open_[(open_ >= day * DAY) & (open_ < (day + 1) * DAY)] - day * DAY
        ends = np.flatnonzero(np.diff(today) != step)
        pairs = zip(today[np.r_[0, ends + 1]], today[np.r_[ends, len(today) - 1]], strict=True) if len(today) else ()
        spans.append(" ".join(_span(int(begin), int(end)) for begin, end in pairs))
    plain = set(spans) <= {"", "00:00"}
    parts = []
    for span, days in groupby(range(7), key=spans.__getitem__):
        if span:
            parts.append(_days(list(days)) + ("" if plain else f" {span}"))
    return "; ".join(parts)


def cycles(open_: np.ndarray) -> tuple[int, ...]:
    """The steps of a day, where every open day has as many, and of a week."""
    days = set(np.unique(open_ // DAY, return_counts=True)[1].tolist())
    return tuple(sorted({*(days if len(days) == 1 else ()), len(open_)} - {1}))


def _days(days: Iterable[int]) -> str:
    first, *_ = names = [_DAYS[day] for day in days]
    return first if len(names) == 1 else f"{first}-{names[-1]}"


def _span(begin: int, end: int) -> str:
    return _clock(begin) if begin == end else f"{_clock(begin)}-{_clock(end)}"


def _clock(time: int) -> str:
    minutes, seconds = divmod(time // SECOND, 60)
    return f"{minutes // 60:02d}:{minutes % 60:02d}" + (f":{seconds:02d}" if seconds else "")


def _time(text: str) -> int:
    """ns since midnight."""
    hours, minutes, seconds = (*map(int, text.split(":")), 0)[:3]
    return (hours * 3600 + minutes * 60 + seconds) * SECOND
