"""Quarters and weeks in words (2003 1. Quartal, II кв. 2020, 2020年第1季度, FY23 W05), days of years (2023-301), the
periods of econometricians' programs (1960:1) and months behind two digits of their year (03-Jan) in a spelling that
times/written.py knows.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from itertools import pairwise

YEAR = r"((?:1[5-9]|2[01])\d\d)"
_WORD = (
    r"(?:quartal|quarter|qtr|quart|trimestre|trimester|trim|kvartal|kvrt|kwartał|kwartal|kw|čtvrtletí|neljännes|"
    r"квартал|кв|季度|四半期|분기)\.?"
)
_NUMBER = r"(IV|I{1,3}|[1-4]|[一二三四])"
_NUMBERS = {"I": 1, "II": 2, "III": 3, "IV": 4, "一": 1, "二": 2, "三": 3, "四": 4}
_ORDINAL = r"(?:\.|st|nd|rd|th|er|ère|e|ème|º|°|ª|-?й)?"
_ABOUT = r"[ ,/.-]*"
Rule = tuple[re.Pattern[str], "str | Callable[[re.Match[str]], str]"]


def _quarter(year: str, number: str) -> str:
    return f"{year}-Q{_NUMBERS.get(number.upper()) or number}"


def _day(found: re.Match[str]) -> str:
    """The date of a day of a year, and its time of day; the text as it is where the year has no such day."""
    day = date(int(found[1]), 1, 1) + timedelta(int(found[2]) - 1)
    return f"{day}{f' {found[3]}' if found[3] else ''}" if day.year == int(found[1]) else found[0]


RULES: list[Rule] = [
    (
        re.compile(rf"^{YEAR}年?{_ABOUT}第?{_NUMBER}{_ORDINAL}{_ABOUT}{_WORD}$", re.IGNORECASE),
        lambda m: _quarter(m[1], m[2]),
    ),
    (re.compile(rf"^{YEAR}{_ABOUT}{_WORD} ?{_NUMBER}$", re.IGNORECASE), lambda m: _quarter(m[1], m[2])),
    (
        re.compile(rf"^{_NUMBER}{_ORDINAL}{_ABOUT}{_WORD}{_ABOUT}{YEAR}$", re.IGNORECASE),
        lambda m: _quarter(m[2], m[1]),
    ),
    (re.compile(rf"^(IV|I{{1,3}})[ ./-]{YEAR}$"), lambda m: _quarter(m[2], m[1])),
    (re.compile(rf"^{YEAR}[ ./-](IV|I{{1,3}})$"), lambda m: _quarter(m[1], m[2])),
    (re.compile(rf"^{YEAR}[-/](\d{{3}})(?:[-T ](\d\d:\d\d(?::\d\d(?:\.\d+)?)?Z?))?$"), _day),
    (
        re.compile(r"^FY ?'?(?:20)?(\d\d)[ -]?(?:W|WK|WEEK)[ -]?(\d\d?)$", re.IGNORECASE),
        lambda m: f"20{m[1]}-W{int(m[2]):02d}",
    ),
    (re.compile(rf"^{YEAR}K([1-4])$"), r"\1-Q\2"),  # of statistics offices in the north, kvartal
    (re.compile(rf"^{YEAR}[UV](\d\d)$", re.IGNORECASE), r"\1-W\2"),  # uke, vecka, viikko
]
_COLON = re.compile(rf"{YEAR}:(\d\d?)")
_SHORT = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = re.compile(rf"(\d\d?)(?:[-/ ]({'|'.join(_SHORT)})|-(\d\d))", re.IGNORECASE)
_FIRST = 60  # steps, by which it is seen: of a long table some lines from all over it follow the first ones
_EVEN, _STEPS = 0.8, (1, 2, 3, 6)  # of these steps at least have the same length, of so many months
_LAST_SHORT = 40  # the last year of this century that two digits mean


def counted(cells: Sequence[str]) -> list[str]:
    """The first day of each cell's quarter (1960:1 to 1960:4) or month (1960:01, or up to 12; 03-Jan or 1-01 where the
    years are seen to go on), in ISO 8601; [] where one is none.

    Parameters
    ----------
    cells : text, in the order of the lines.
    """
    if not len(cells):
        return []
    return _of_years(cells) if _COLON.fullmatch(cells[0]) else _behind_short_years(cells)


def of_short_years(cells: Sequence[str]) -> str:
    """How months behind one or two digits of their year were read; "" for other cells, as for `counted`."""
    found = _behind_short_years(cells) if len(cells) else []
    return f"months of years: {cells[0]!r} is {found[0][:7]}" if found else ""


def _behind_short_years(cells: Sequence[str]) -> list[str]:
    """The first day of each cell's month, of which the year comes first (03-Jan, 1-01); [] where that is not plain.

    A number beside a month may be a day too: years go on by one where the months begin again.
    """
    if not _MONTH.fullmatch(cells[0]):
        return []
    found = {cell: _MONTH.fullmatch(cell) for cell in dict.fromkeys(cells)}
    months = {
        cell: 12 * int(match[1]) + (_SHORT.index(match[2].lower()) + 1 if match[2] else int(match[3]))
        for cell, match in found.items()
        if match and (match[2] or 1 <= int(match[3]) <= 12)
    }
    steps = [after - before for before, after in pairwise(months.values())]
    if len(months) < len(found) or not steps:
        return []
    first = steps[:_FIRST]
    usual = statistics.median_low(first)
    even = first.count(usual) >= _EVEN * len(first) and all(step * usual > 0 for step in steps)
    years = {cell: (month - 1) // 12 for cell, month in months.items()}
    if not even or abs(usual) not in _STEPS or len({*years.values()}) < 2:
        return []
    return [
        f"{years[cell] + (2000 if years[cell] <= _LAST_SHORT else 1900)}-{(months[cell] - 1) % 12 + 1:02d}-01"
        for cell in cells
    ]


def _of_years(cells: Sequence[str]) -> list[str]:
    """The periods of years with a colon behind these."""
    found = [_COLON.fullmatch(cell) for cell in cells]
    parts = [(match[1], int(match[2])) for match in found if match]
    most = max((part for _, part in parts), default=0)
    if len(parts) < len(found) or not all(1 <= part <= 12 for _, part in parts):
        return []
    months = 3 if most <= 4 and all(len(match[2]) == 1 for match in found if match) else 1
    return [f"{year}-{1 + (part - 1) * months:02d}-01" for year, part in parts]
