"""Dates in columns of their parts: year, month and day (and hour, minute), or a year and one part of it."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence

from times.parted import DAY_OF_YEAR, is_clock_number, is_code, is_part
from times.words import is_time, words_of
from times.written import YEAR

_YEAR = re.compile(YEAR)
# The names of columns, those of each part.
PARTS = tuple(
    tuple(words.split())
    for words in (
        "year yyyy yr yy jahr année annee año ano anno jaar rok år год yıl yil rik рік év vuosi an godina tahun aasta",
        "month mm mnth mon mo mth monat mois mes mês mese maand månad måned miesiąc месяц ay měsíc mesiac місяць hónap "
        "kuukausi luna mjesec mesec bulan kuu",
        "day dd dy da tag jour día dia giorno dag dzień день dayofmonth dateofmonth monthday mday dom gün gun den "
        "päivä ziua dan hari päev tanggal tgl",
        "hour hr hh stunde heure hora ora uur timme godzina godz saat hodina óra tunti klo час година jam",
        "minute minutes min mn",
    )
)


def is_month_word(name: str) -> bool:
    """Whether a column is called as one of months is."""
    return not {name.casefold(), "".join(words_of(name))}.isdisjoint(PARTS[1])


def whole_within(column: Sequence[str], least: int, most: int) -> bool:
    """Whether all cells are whole numbers from `least` to `most`."""
    return all(cell.isdecimal() and least <= int(cell) <= most for cell in column)


def in_parts(columns: Mapping[str, Sequence[str]], dates: Sequence[str]) -> list[str]:
    """The columns of a date's parts, the longest first; [] where there are none.

    Parameters
    ----------
    columns : cells by the names of their columns.
    dates : those columns that hold dates as a whole, or years.
    """
    by_name = _by_name(columns)
    parts = [next((by_name[word] for word in words if word in by_name), "") for words in PARTS]
    if dates and [*dates] != parts[:1]:
        return []
    if all(parts[:4]):
        return list(itertools.takewhile(bool, parts))
    if all(parts[:3]):
        days = list(zip(*(columns[part] for part in parts[:3]), strict=True))
        clocks = [name for name, cells in columns.items() if is_clock_number(name, cells)]  # HHMM
        return [*parts[:3], *clocks[:1]] if len({*days}) < len(days) else parts[:3]
    if not dates and not parts[0] and all(parts[1:4]) and whole_within(columns[parts[1]], 1, 12):
        return [part for part in parts[1:] if part]  # of a year that has no number
    whole_days = [] if any(parts[2:]) else year_and_month(columns, *parts[:2])
    return whole_days or ([] if any(parts[1:3]) else _year_and_part(columns, parts[0]))


def minutes_of(columns: Mapping[str, Sequence[str]]) -> list[str]:
    """The columns of minutes, by their names and cells."""
    by_name = _by_name(columns)
    named = [by_name[name] for name in PARTS[-1] if name in by_name]
    return [name for name in named if whole_within(columns[name], 0, 59)]


def _by_name(columns: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """The columns by their names in small letters, with what stands between words and without: Day_of_Month."""
    names = list(columns)[::-1]
    found = {"".join(words_of(name)): name for name in names} | {name.casefold(): name for name in names}
    return found | ({"min": "mm"} if {"MM", "mm"} <= {*columns} else {})


def year_and_month(columns: Mapping[str, Sequence[str]], year: str, month: str) -> list[str]:
    """These columns where they hold years and months; [] where they do not."""
    if not (year and month and all(map(_YEAR.fullmatch, columns[year]))):
        return []
    months = whole_within(columns[month], 1, 12) or all(is_time(f"{cell} 2000") for cell in columns[month])
    return [year, month] if months else []


def _year_and_part(columns: Mapping[str, Sequence[str]], year: str) -> list[str]:
    """The columns of years and of their quarters, weeks or days; [] where there are none."""
    if not (year and all(map(_YEAR.fullmatch, columns[year]))):
        return []
    part = next((name for name, cells in columns.items() if is_part(name, cells) or all(map(is_code, cells))), "")
    if part and is_part(part, columns[part]) == DAY_OF_YEAR:
        pairs = list(zip(columns[year], columns[part], strict=True))
        if len({*pairs}) < len(pairs):  # several lines a day
            hours = [name for name, cells in columns.items() if is_clock_number(name, cells)]
            return [year, part, *hours[:1]]
    return [year, part] if part else []
