"""Words that say what a column is: names of times, and cells that are written as a date or a time of day."""

from __future__ import annotations

import re

from times.tongues import ZONES, english, is_season
from times.written import DATED

_SCALE = re.compile(r"(?:.*[^a-z])?(?:[hb]?m?jd|julian[ _]?da(?:te|y)s?|datenum)(?:[ _(]+(?:tdb|utc|tt)\)?)?", re.I)
_UNIT_OF_TIME = re.compile(r"[\s_]*[(\[]\s*\w{1,7}\s*[)\]]$|[\s_](?:s|ms|us|ns|secs?|mins?|h|hrs?)$", re.IGNORECASE)
_TIMES = (
    " date dates datetime time times timestamp stamp timer ts ds t day days month year years week hour hours minute "
    "second seconds period cycle cycles step steps timestep tick frame iteration epoch datum zeit zeitstempel uhrzeit "
    "yyyymmdd yyyyddd yyyydoy yyyyjjj yyyymm yyyy jahr fecha anno jaar annee "
)
_OTHER_TIMES = (  # not of a to z, or rare
    *("année", "año", "rok", "год", "дата", "tarih", "dátum", "yıl"),
    *("年", "日期", "時間", "时间", "日付", "날짜"),
)
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"
_ZONE = rf"(?:Z|[+-]\d\d(?::?\d\d)?|{'|'.join(ZONES)})"
_CLOCK = (
    r"(?:(?:T|,? )\s*\d{1,2}(?::\d{1,2}(?::\d{1,2}(?:[.,]\d+)?)?|\.\d\d(?:\.\d\d)?)(?:\s*[ap]\.?m\.?)?"
    rf"\s*{_ZONE}?)?"
)
_TIME = re.compile(
    rf"(?:{DATED}([-/.])(?:0?[1-9]|1[0-2])(?:\1(?:0?[1-9]|[12]\d|3[01]))?{_CLOCK}"
    rf"|(?:0?[1-9]|[12]\d|3[01])([-/.])(?:0?[1-9]|[12]\d|3[01])\2(?:\d\d)?\d\d{_CLOCK}"
    rf"|(?:0[1-9]|[12]\d|3[01]) (?:0[1-9]|[12]\d|3[01]) {DATED} \d\d:\d\d(?::\d\d)?"
    rf"|(?:\d{{1,2}}[ -])?{_MONTH}[ ./'-]{{1,2}}(?:\d{{1,2}}(?:,? |[-/.]))?(?:\d\d)?\d\d{_CLOCK}"
    rf"|(?:0?[1-9]|1[0-2])[-/.](?:19|20)\d\d|{DATED}[ ./-]{_MONTH}|{DATED}:(?:0?[1-9]|1[0-2])"
    rf"|{DATED}(?:[-/.: ]?(?:[QT][1-4]|[HS][12])|[- ]?W[0-5]?\d|[-/.: ]?M(?:0?[1-9]|1[0-2]))"
    rf"|(?:[QT][1-4]|[1-4]\.? ?Q(?:uartal)?|[HS][12])[-/. ]?{DATED}"
    r"|\d{1,2}:\d\d(?::\d\d(?:\.\d+)?)?(?: ?[ap]\.?m\.?)?|\d\d\.\d\d\.\d\d)",
    re.IGNORECASE,
)
_ZONED = re.compile(r"(?<=\w)[ _(\[]+(?:UTC|GMT|local|LST|CET|CEST|CET/CEST|MEZ|MST|EST)[)\]]?$", re.IGNORECASE)


def last_word(text: str) -> str:
    """The last word of a name such as customer_id or CustomerID, in small letters; a dot where it has none.

    Parameters
    ----------
    text : the name.
    """
    words = words_of(text)
    return words[-1] if words else "."


def words_of(text: str) -> list[str]:
    """The words and numbers of a name such as customer_id or CustomerID, in small letters."""
    return [word.casefold() for word in _WORD.findall(text)]


def is_time(cell: str) -> bool:
    """Whether a cell is written as a date or a time of day, in some order of day, month and year.

    Parameters
    ----------
    cell : its text.
    """
    return bool(_TIME.fullmatch(english(cell.strip()))) or is_season(cell.strip())


def is_time_word(name: str) -> bool:
    """Whether a column's name says that it holds times, such as date, Zeitstempel_ts or year.

    Parameters
    ----------
    name : the name, whose last word counts.
    """
    return f" {last_word(_ZONED.sub('', name))} " in _TIMES or name.strip().casefold() in _OTHER_TIMES


def is_clock_word(name: str) -> bool:
    """Whether a column's name says that it holds times, or how much has passed: Time (s), t_ms, elapsed.

    Parameters
    ----------
    name : the name, maybe with a unit.
    """
    bare = _UNIT_OF_TIME.sub("", name.strip())
    return is_time_word(bare) or last_word(bare) == "elapsed" or bool(_SCALE.fullmatch(bare))
