"""Dates as people write them, 31.12.2016 or 12/31/16 1:30 PM or 31-Dec-2016, read into wall times.

The order of day, month and year is that of --date-order, or the only one that fits every cell, or with which alone the
steps are even: it is never guessed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import Any

import numpy as np

from errors import DataError
from times.clock import DAY
from times.periods import counted
from times.tongues import AFTER_COMMA, COMPACT, MONTHS, ZONES, english, seasons

ORDERS = {"dmy": "day before month", "mdy": "month before day", "ymd": "year before month"}
FIRST_YEAR, LAST_YEAR = 1678, 2261  # that are whole in nanoseconds of 64 bits
YEAR = r"(?:1[5-9]|2[01])\d\d"  # a number alone that may be one
DATED = r"(?:1[5-9]|2[0-2])\d\d"  # one with something beside it that makes it one
_NAMED = re.compile(rf" ?\b({'|'.join(ZONES)})$")
RELATIVE = ("now", "today")  # to pandas these are the time of reading
_BEFORE_EXCEL = re.compile(r"1[5-8]\d\d-\d\d-\d\d")
_DATE = re.compile(
    r"""(?P<first>\d{1,4}|[A-Za-z]{3,9}) (?P<mark>[ ./-]|,[ ]) (?P<second>\d{1,2}|[A-Za-z]{3,9}) (?P<other>[ ./-]|,[ ])
        (?P<third>\d{4}|\d{1,2})""",
    re.VERBOSE,
)
_CLOCK = re.compile(
    r"""(?P<gap>[ T]|,[ ]) \d{1,2} (?P<colon>[:.]) \d\d (?P<seconds>(?P=colon) \d\d (?P<part>\.\d+)?)?
        (?P<half>[ ]?[ap]\.?m\.?)?""",
    re.VERBOSE | re.IGNORECASE,
)
_HALF = re.compile(r"(?<=\d) ?[ap]\.?m\.?$", re.IGNORECASE)
_MIDNIGHT = re.compile(r"(?<=[ T])24(?=[:.]00(?:[:.]00)?(?: ?(?:Z|[+-]\d\d(?::?\d\d)?))?$)")
_OFFSET = re.compile(r"(?<=\d) ?(Z|[+-]\d\d(?::?\d\d)?)$")
_CLOCKED = re.compile(r"\d[:.]\d\d(?:[:.]\d\d(?:\.\d+)?)?(?: ?[AP]M)? ?(?:Z|[+-]\d\d(?::?\d\d)?)$")
_PARTS_OF_YEARS = [  # quarters, halves, months and ISO weeks, each by the day on which it begins
    re.compile(part.replace("YEAR", f"(?P<year>{DATED})"), re.IGNORECASE)
    for part in (
        r"YEAR[-/.: ]?[QT](?P<quarter>[1-4])",  # T as in trimestre
        r"[QT](?P<quarter>[1-4])[-/. ]?YEAR",
        r"(?P<quarter>[1-4])\.? ?Q(?:uartal)?[-/. ]?YEAR",
        r"YEAR[-/. ]?[HS](?P<half>[12])",
        r"[HS](?P<half>[12])[-/. ]?YEAR",
        r"YEAR[-/.: ]?M(?P<month>0?[1-9]|1[0-2])",
        r"(?P<month>0?[1-9]|1[0-2])[-/.]YEAR",
        r"YEAR[- ]?W(?P<week>\d\d?)",
    )
]
_MONTH_ALONE = re.compile(r"([A-Za-z]{3,9})[ ./'-]{1,2}(\d{4}|\d\d)")
_MONTH_LAST = re.compile(r"(\d{4})[ ./-]([A-Za-z]{3,9})")
_DOTTED = re.compile(r"\d\d?\.\d\d?\.\d\d")
LEAST = 4  # different times, by whose steps the order of day and month is seen
MOST_USUAL = 0.8  # of their steps at least have the usual length,
NEAR, WEEKS = 2, 20  # days
NEARER = 5  # times
_PAIRS = re.compile(r"%[dm]([-/.])%[dm]\1%y")
_PAIR_CELL = re.compile(r"\d\d([-/.])\d\d\1\d\d(?!\d)")
LONGEST = 10  # and none more than so many of it
_LAST_SHORT = 2040  # the last year that two digits mean: 41 is 1941
_REST_OF_MONTH = re.compile(r"(?<=[A-Za-z]{3})[A-Za-z]+")
_WORDS = re.compile(r"[^\W\d_]{3,}")


def too_far(times: Any) -> np.ndarray:
    """Which of pandas' n times nanoseconds in 64 bits do not reach: bool [n]."""
    years: np.ndarray = np.asarray(times.year)
    return (years < FIRST_YEAR) | (years > LAST_YEAR)


def formats(cell: str, order: str) -> dict[str, str]:
    """The ways in which a cell may be a date and time that is not ISO 8601.

    Parameters
    ----------
    cell : its text, without spaces around.
    order : dmy, mdy or ymd where the order is known; "" where it is not.

    Returns
    -------
    {one of ORDERS: a format of strptime}; {} for what is no such date.
    """
    date = _DATE.match(cell)
    rest = cell[date.end() :] if date else ""
    clock = _CLOCK.fullmatch(rest)
    if not date or (rest and not clock):
        return {}
    made = {}
    for name in [order] if order else ORDERS:
        parts = _parts(date, name)
        # Two digits of a year come first only where that is said: any date would be possible.
        if parts and (order or parts[0] != "%y"):
            made[name] = f"{parts[0]}{date['mark']}{parts[1]}{date['other']}{parts[2]}{_clock_format(clock)}"
    return made


def _parts(date: re.Match[str], order: str) -> tuple[str, ...]:
    """The three codes of strptime for a date in an order; () where it cannot be in it."""
    cells = (date["first"], date["second"], date["third"])
    codes = []
    for cell, part in zip(cells, order, strict=True):
        if part == "m" and cell.isalpha():
            codes.append("%b")
        elif cell.isalpha() or (part == "y" and len(cell) not in (2, 4)) or (part != "y" and len(cell) > 2):
            return ()
        else:
            codes.append("%Y" if len(cell) == 4 else f"%{part}")
    return tuple(codes)


def _clock_format(clock: re.Match[str] | None) -> str:
    if clock is None:
        return ""
    colon = clock["colon"]
    seconds = f"{colon}%S{'.%f' if clock['part'] else ''}" if clock["seconds"] else ""
    return f"{clock['gap']}{'%I' if clock['half'] else '%H'}{colon}%M{seconds}{' %p' if clock['half'] else ''}"


def tidy(cell: str) -> str:
    """One cell as `plain` spells it, but for 24:00.

    Parameters
    ----------
    cell : its text.
    """
    cell = _begin(english(cell))
    cell = _MONTH_LAST.sub(r"1 \2 \1", cell) if _MONTH_LAST.fullmatch(cell) else cell
    cell = _MONTH_ALONE.sub(r"1 \1 \2", cell) if _MONTH_ALONE.fullmatch(cell) else cell
    half = _HALF.search(cell)
    text = _HALF.sub(f" {half[0].strip()[0].upper()}M", cell) if half else cell
    return _REST_OF_MONTH.sub("", text) if not half and _REST_OF_MONTH.search(text) else text


def plain(text: Any) -> tuple[Any, np.ndarray]:
    """Cells with `AM` and `PM` for any spelling of these, `Jan` for January, 24:00 as the 00:00 of the day after.

    Months (`Jan 1990`, `1990M01`), quarters, halves and ISO weeks (`2020-W05`) become the day on which they begin.

    Parameters
    ----------
    text : a pandas column of n cells.

    Returns
    -------
    The cells, and what to add to their times: int64 ns [n].
    """
    if known := seasons(text) or counted(text):
        text = text.map(dict(zip(text, known, strict=True)))
    if COMPACT.fullmatch(text[0]):
        return text.str.replace(" ", "T", regex=False), np.zeros(len(text), np.int64)  # which pandas reads
    if AFTER_COMMA.search(text[0]):
        text = text.str.replace(AFTER_COMMA, r".\1", regex=True)
    # Months of other languages may be those of English in the first line, as Jan is in German.
    words = {*_WORDS.findall(" ".join(text))} if _WORDS.search(text[0]) else set()
    if other := english(text[0]) != text[0] or not MONTHS.keys().isdisjoint(map(str.casefold, words)):
        text = text.map(english)
    if _begin(text[0]) != text[0]:
        text = text.map(_begin)
    for month, day in ((_MONTH_LAST, r"1 \2 \1"), (_MONTH_ALONE, r"1 \1 \2")):
        if month.fullmatch(text[0]) and _are_months(text[:2]):
            text = text.str.replace(month, day, regex=True)
    joined = "".join(text)
    if "  " in joined:
        text = text.str.replace(r" {2,}", " ", regex=True)
    late = np.zeros(len(text), bool)
    if " 24" in joined or "T24" in joined:
        late = text.str.contains(_MIDNIGHT).to_numpy(bool)
    if late.any():
        text = text.str.replace(_MIDNIGHT, "00", regex=True)
    if _HALF.search(text[0]):
        text = text.str.replace(_HALF, lambda half: f" {half[0].strip()[0].upper()}M", regex=True)
    if other or _REST_OF_MONTH.search(text[0]) or "May" in text[0]:
        text = text.str.replace(_REST_OF_MONTH, "", regex=True)
    return text, late * DAY


def _are_months(cells: Sequence[str]) -> bool:
    """Whether the first two of some cells are months of years: of Jan-01 and Jan-02 the numbers may be days."""
    found = [match for match in map(_MONTH_ALONE.fullmatch, cells) if match]
    whole = all(len(match[2]) == 4 for match in found)
    return whole or len(found) < len(cells) or len({match[1][:3].title() for match in found}) == len(found)


def before_excel(cell: str) -> bool:
    """Whether a cell is a date before 1900, which spreadsheets do not know and leave as it is, where they turn later
    ones into those of a country: 1899-12-31, 1/31/1900."""
    return _BEFORE_EXCEL.fullmatch(cell) is not None


def in_century(day: datetime) -> datetime:
    """A day whose year was written with two digits, in the hundred years that these mean here.

    Parameters
    ----------
    day : as strptime reads it, whose two digits end in 2068.
    """
    return day if day.year <= _LAST_SHORT else day.replace(year=day.year - 100)


def by_offset(text: Any) -> Any:
    """Cells with the offset in place of the name of a zone that has one.

    Parameters
    ----------
    text : a pandas column of n cells.
    """
    joined = "".join(text)
    if joined.upper() == joined.lower():  # no letter is there, and no cell is looked at
        return text
    return text.str.replace(_NAMED, lambda zone: ZONES[zone[1]], regex=True)


def without_offset(text: Any) -> tuple[Any, np.ndarray]:
    """Cells without the offset from UTC that ends each of them, and those offsets.

    Parameters
    ----------
    text : a pandas column of n cells, as `plain` returns them.

    Returns
    -------
    The cells, and their offsets in ns, int64 [n]; the cells as they are and int64 [0] where some cell has none.
    """
    if not _CLOCKED.search(text[0]) or not text.str.contains(_CLOCKED).all():
        return text, np.zeros(0, np.int64)
    found = text.str.extract(_OFFSET)[0].str.replace(":", "").str.replace("Z", "+00")
    minutes = found.str[1:3].astype(int) * 60 + found.str[3:5].replace("", "0").astype(int)
    signs = np.where(found.str[0] == "-", -1, 1)
    return text.str.replace(_OFFSET, "", regex=True), (signs * minutes.to_numpy()).astype(np.int64) * 60 * 10**9


def first_of_day(cell: str) -> tuple[str, int]:
    """A cell with 24:00 as the 00:00 of the day after, without a zone's name: its text, and the seconds to add.

    Parameters
    ----------
    cell : a time as text.
    """
    cell = english(cell)
    named = _NAMED.search(cell)
    text = f"{cell[: named.start()]}{ZONES[named[1]]}" if named else cell
    return _MIDNIGHT.subn("00", text)[0], DAY // 10**9 * bool(_MIDNIGHT.search(text))


def _begin(cell: str) -> str:
    """The day on which a quarter, half, month or week begins, in ISO 8601; other text, and a week that its year does
    not have, as it is."""
    found = next((match for part in _PARTS_OF_YEARS if (match := part.fullmatch(cell))), None)
    if found is None:
        return cell
    year = int(found["year"])
    part, number = next((part, int(number)) for part, number in found.groupdict().items() if part != "year")
    if part != "week":
        return f"{year}-{1 + (number - 1) * {'month': 1, 'quarter': 3, 'half': 6}[part]:02d}-01"
    monday = iso_week(year, number)
    return monday.isoformat() if monday else cell


def iso_week(year: int, week: int) -> date | None:
    """The Monday on which a week of ISO 8601 begins; None for one that the year does not have.

    Parameters
    ----------
    year, week : its numbers.
    """
    try:
        return date.fromisocalendar(year, week, 1)
    except ValueError:
        return None


def fit(text: Any, known: dict[str, str]) -> bool:
    """Whether all cells, as `plain` returns them, have one of the `formats` of the first."""
    return any(not times.hasnans for times in _tried(text, known).values())


def _tried(text: Any, known: dict[str, str]) -> dict[str, Any]:
    import pandas

    text = text.mask(text.isin(RELATIVE))
    found = {}
    for order, form in known.items():
        times = pandas.DatetimeIndex(pandas.to_datetime(text, format=form, errors="coerce"))
        if "%y" in form and (times.year > _LAST_SHORT).any():
            times = times.where(times.year <= _LAST_SHORT, times - pandas.DateOffset(years=100))
        found[order] = times
    return found


def _is_even(times: Any) -> bool:
    """Whether times [n] go on in steps of one length, or of months, hardly any of them left out."""
    kinds = np.unique(times.as_unit("ns").asi8)
    days = kinds.astype("datetime64[ns]").astype("datetime64[D]")
    months = days.astype("datetime64[M]")
    if len({*(kinds - months.astype("datetime64[ns]").astype(np.int64)).tolist()}) == 1:
        kinds = months.astype(np.int64)
    lengths, counts = np.unique(np.diff(kinds), return_counts=True)
    usual = lengths[counts.argmax()] if len(lengths) else 0
    return len(kinds) >= LEAST and bool(counts.max() >= MOST_USUAL * counts.sum() and lengths[-1] <= LONGEST * usual)


def _is_dense(times: Any, others: Sequence[Any]) -> bool:
    """Whether all lines lie within days of one another, where in each other order weeks lie between some."""
    longest = [int(np.diff(np.unique(each.as_unit("ns").asi8)).max(initial=0)) for each in (times, *others)]
    return longest[0] < NEAR * DAY and min(longest[1:]) > WEEKS * DAY


def _note(order: str, text: Any, found: dict[str, Any], fits: Sequence[str]) -> str:
    """Why times are read in an order: a cell fits no other, or only so steps are even; "" where no other is known."""
    if len(fits) > 1:
        other = next(name for name in fits if name != order)
        others = [times for name, times in found.items() if name in fits and name != order]
        why = "only so no weeks lie between lines" if _is_dense(found[order], others) else "dates with dots are"
        why = "their steps are even only so" if _is_even(found[order]) and not any(map(_is_even, others)) else why
        return f"times read as {ORDERS[order]}, since {why}; --date-order {other} if they are not"
    others = [int(np.argmax(times.isna())) for name, times in found.items() if name != order and times.hasnans]
    return f"times read as {ORDERS[order]}: {text[max(others)]!r} fits no other order" if others else ""


def _year_first(text: Any, known: dict[str, str]) -> Any:
    """Times of which the first of three pairs of digits is the year; None where one cannot be so."""
    form = next((form for form in known.values() if _PAIRS.match(form)), "")
    if not form or not _PAIR_CELL.match(text[0]):
        return None
    times = next(iter(_tried(text, {"ymd": _PAIRS.sub(r"%y\1%m\1%d", form)}).values()))
    return None if times.hasnans else times


def _is_nearer(times: Any, others: Sequence[Any]) -> bool:
    """Whether several days lie far closer together than in each other order."""
    spans = [each.max() - each.min() for each in (times, *others)]
    return times.normalize().nunique() > 1 and all(NEARER * spans[0] < span for span in spans[1:])


def read(
    text: Any, known: dict[str, str], asked: bool, locate: Callable[[int], str], not_a_time: Callable[[int], DataError]
) -> tuple[np.ndarray, str]:
    """Cells as wall times.

    Parameters
    ----------
    text : a pandas column of n cells, as `plain` returns them.
    known : the `formats` of the first cell.
    asked : whether --date-order gave the order.
    locate : gives the location of a cell by its number.
    not_a_time : the error for the cell of a number.

    Returns
    -------
    (wall times int64 ns [n], the note on the order or "").

    Raises
    ------
    DataError : at the first cell that fits no order or is centuries away, and where several fit all cells.
    """
    found = _tried(text, known)
    fits = [order for order, times in found.items() if not times.hasnans]
    short = None if asked else _year_first(text, known)
    if short is not None and _is_nearer(short, [found[order] for order in fits]):
        note = f"times read as {ORDERS['ymd']}, in which they lie close together; --date-order dmy if they are not"
        return short.as_unit("ns").asi8, note
    if not fits:
        raise not_a_time(max(int(np.argmax(times.isna())) for times in found.values()))
    if len(fits) > 1 and all(found[order].equals(found[fits[0]]) for order in fits):  # 01/01/2024
        fits = fits[:1]
    even = [order for order in fits if _is_even(found[order])] if len(fits) > 1 else fits
    even = even or [
        order for order in fits if _is_dense(found[order], [found[other] for other in fits if other != order])
    ]
    dotted = [order for order in fits if order == "dmy" and _DOTTED.match(text[0])]  # nobody writes the month first so
    even = dotted or even if len(even) != 1 else even
    if len(even) != 1:
        what = f"time {text[0]!r} could be {' or '.join(ORDERS[order] for order in fits)}, and so could all the others"
        raise DataError(what, where=locate(0), hint=" or ".join(f"--date-order {order}" for order in fits))
    order = even[0]
    note = "" if asked else _note(order, text, found, fits)
    if short is not None and short.normalize().nunique() == 1:  # of a single day nothing says what comes first
        note = f"times read as {ORDERS[order]}; --date-order ymd if {text[0]!r} begins with the year"
    if too_far(found[order]).any():
        raise not_a_time(int(np.argmax(too_far(found[order]))))
    return found[order].as_unit("ns").asi8, note
