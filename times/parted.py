"""Times in several columns, joined: date and time of day; year and month, quarter, week or day of the year."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import numpy as np

from times.settlement import begins_of, is_settled
from times.tongues import full_year, month_of
from times.words import is_time_word, last_word
from times.written import YEAR, iso_week

DAY_OF_YEAR = "day of the year"
PARTS = {  # of a year, by the names of their columns; with the largest number
    "quarter": (4, "quarter qtr quartal trimestre trimester kwartał kvartal q"),
    "week": (
        53,
        "week weeks wk weekno weeknum weeknumber weekofyear isoweek epiweek mmwr woche kw semaine semana uke vecka "
        "hafta tydzień yearweek yyyyww isoyearweek weekid",
    ),
    DAY_OF_YEAR: (366, "doy yday dayofyear julian"),
}
MOST_MONTHS = 12
HOUR_NAMES = ["hour", "hours", "hr", "hh", "hhmm", "time", "mst", "pst", "cst", "est", "lst", "utc", "gmt"]
NO_YEAR, LEAP = "2001", "2000"  # of months, days and hours of a year without a number
MIDNIGHT = " 00:00:00"  # behind a date, as a spreadsheet's becomes text
_DECIMAL = re.compile(r"\d+(?:\.\d+)?")
_OF_DAY = re.compile(r"0?\.\d{4,}")  # so many decimals that seconds are told apart, or nearly
_TWICE = re.compile(r"(\d{1,2})[AB]", re.IGNORECASE)
_HOUR = re.compile(r"\d{1,2}")
_HOURS = re.compile(r"(\d{1,2})\s*[-\N{EN DASH}]\s*\d{1,2}")
_HHMM = re.compile(r"([01]\d|2[0-4])([0-5]\d)(?: ?UTC| ?GMT|Z|([0-5]\d))?")
_YEAR = re.compile(YEAR)
# The codes of means of years beside those of their parts, and words in place of a month.
WHOLE_YEARS = ("M13", "Q05", "S03", "Total", "TOTAL", "total", "Annual", "ANNUAL", "annual", "Year", "Average", "Mean")
_QUARTER = r"(?:q|t|qtr\.?|quarter|quartal|quart|trim\w*|kwartał|kvartal|kv)\.?"
_WORDED = {
    "quarter": re.compile(
        rf"(?:{_QUARTER})? ?(?P<number>IV|I{{1,3}}|[1-4])(?:\.|st|nd|rd|th|er|ème|[eº°])? ?(?:{_QUARTER})?",
        re.IGNORECASE,
    ),
    "week": re.compile(r"(?:w|wk|week|kw|cw|woche|sem|semaine|semana|uke|v)?[ .-]?(?P<number>\d{1,2})", re.IGNORECASE),
}
_ROMAN = ("I", "II", "III", "IV")
_CODE = re.compile(r"M(?:0[1-9]|1[0-3])|Q0[1-5]|S0[1-3]")


def part_of(name: str) -> str:
    """The part of a year, one of PARTS, that a column's name says it counts; "" for another name.

    Parameters
    ----------
    name : the name, such as WEEK, mmwr_week or Day of Year.
    """
    named = {re.sub("[^a-z]", "", name.casefold()), last_word(name)}
    return next((part for part, (_, known) in PARTS.items() if {*known.split()} & named), "")


def is_code(cell: str) -> bool:
    """Whether a cell names a month, a quarter or a half of a year, or all of it (M13, Q05, S03), as the Bureau of Labor
    Statistics does.

    Parameters
    ----------
    cell : its text.
    """
    return bool(_CODE.fullmatch(cell))


def is_whole_year(row: Sequence[str]) -> bool:
    """Whether a line begins with a year and a word for all of it, as its total does among those of its months.

    Parameters
    ----------
    row : its cells.
    """
    return len(row) > 1 and bool(_YEAR.fullmatch(row[0])) and row[1] in WHOLE_YEARS


def is_part(name: str, cells: Sequence[str]) -> str:
    """The part of a year, one of PARTS, that a column counts by its name and its cells; "" for another column.

    Parameters
    ----------
    name, cells : of the column.
    """
    part = part_of(name) or ("quarter" if is_time_word(name) and not any(map(str.isdecimal, cells)) else "")
    numbers = part_numbers(part, cells) if part else []
    return part if numbers and min(numbers) >= 1 and max(numbers) <= PARTS[part][0] else ""


def part_numbers(part: str, cells: Sequence[str]) -> list[int]:
    """The numbers of parts of years: of quarters also Q1, 1Q, Qtr 1, II, 2. Quartal, of weeks W05 and KW 5; [] where a
    cell is none.

    Parameters
    ----------
    part : one of PARTS. cells : text.
    """
    if part not in _WORDED:
        return list(map(int, cells)) if all(map(str.isdecimal, cells)) else []
    found = [_WORDED[part].fullmatch(cell.strip()) for cell in cells]
    said = [match["number"].upper() for match in found if match]
    numbers = [_ROMAN.index(number) + 1 if number in _ROMAN else int(number) for number in said]
    return numbers if len(numbers) == len(cells) else []


def is_day_of_year(name: str, cells: Sequence[str], *, hours: bool = False) -> bool:
    """Whether a column counts the days of a year: by its name, or without one (`2`) by numbers that no week has.

    Parameters
    ----------
    name, cells : of the column.
    hours : whether one of hours stands beside it, as beside no week.
    """
    if name.isdecimal():
        least, most = MOST_MONTHS if hours else PARTS["week"][0], PARTS[DAY_OF_YEAR][0]
        return all(c.isdecimal() and 1 <= int(c) <= most for c in cells) and max(map(int, cells)) > least
    return is_part(name, cells) == DAY_OF_YEAR


def first_hour(cell: str) -> str:
    """The hour in which `08 - 09` begins, 3 for `3A` and `3B`, which come in autumn, 13:30 for 1330 or `1330 UTC`,
    13:30:15 for 133015; another cell as it is.

    Parameters
    ----------
    cell : its text.
    """
    if found := _TWICE.fullmatch(cell):
        return found[1]
    if found := _HHMM.fullmatch(cell):
        return ":".join(filter(None, found.groups()))
    found = _HOURS.fullmatch(cell)
    return found[1] if found else cell


def is_clock_number(name: str, cells: Sequence[str]) -> bool:
    """Whether a column is that of the hour, maybe with a fraction (0.5), or holds hours and minutes as one number: 5
    for 00:05, 1330 for 13:30.

    Parameters
    ----------
    name, cells : of the column.
    """
    named = {re.sub("[^a-z]", "", name.casefold()), last_word(name)} & {*HOUR_NAMES}
    if not named or not all(map(_DECIMAL.fullmatch, cells)):
        return False
    if "." in "".join(cells):
        return max(map(float, cells)) <= 24
    return all(int(cell) <= 2400 and int(cell) % 100 < 60 for cell in cells)


def are_of_day(cells: Sequence[str]) -> bool:
    """Whether cells hold fractions of a day, as times of a spreadsheet are when they are numbers: 0.451169.

    Parameters
    ----------
    cells : their texts.
    """
    fine = sum(bool(_OF_DAY.fullmatch(cell)) for cell in cells)
    return 2 * fine > len(cells) and all(_DECIMAL.fullmatch("0" + cell) and float(cell) < 1 for cell in cells)


def of_day(cells: Sequence[str]) -> list[str]:
    """The time of day 10:49:41 for 0.451169, to the second.

    Parameters
    ----------
    cells : fractions of a day, as text.
    """
    seconds = [min(round(float(cell) * 86_400), 86_399) for cell in cells]
    return [f"{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}" for second in seconds]


def times_of_day(cells: Sequence[str]) -> list[str]:
    """14:00 for the hour 14, 13:30 for 1330 where one of the numbers is more than any hour, and for 13.5.

    Parameters
    ----------
    cells : numbers, as text; fractions are of hours.
    """
    if "." in "".join(cells):
        minutes_of = [round(60 * float(cell)) for cell in cells]
        return [f"{minute // 60:02d}:{minute % 60:02d}" for minute in minutes_of]
    numbers = [int(cell) for cell in cells]
    minutes = max(numbers) > 24
    parts = [divmod(number, 100) if minutes else (number, 0) for number in numbers]
    return [f"{hour:02d}:{minute:02d}" for hour, minute in parts]


def joined(columns: Sequence[np.ndarray], names: Sequence[str]) -> tuple[np.ndarray, str]:
    """The cells of one column of times, or of several joined.

    Parameters
    ----------
    columns : text [n] each: date and time or hour; year and one of PARTS; year, month, maybe day and hour.
    names : those of the columns.

    Returns
    -------
    Text [n], and a note or "".
    """
    if len(columns) == 1:
        return columns[0], ""
    import pandas

    parts = [pandas.Series(column, dtype=object).str.strip() for column in columns]
    for form in (_HOURS, _HHMM) if len(parts) == 2 and len(parts[0][0]) > len("2024") else ():
        if form.fullmatch(parts[1][0]) and parts[1].str.fullmatch(form).all():
            parts[1] = parts[1].map(first_hour)
    if len(parts) == 2 and _YEAR.fullmatch(parts[1][0]) and not _YEAR.fullmatch(parts[0][0]):
        parts, names = parts[::-1], names[::-1]  # month and year
    note = ""
    if len(parts) == 2 and len(parts[0][0]) > len("2024") and is_settled(names[1], parts[1]):
        begun, note = begins_of(parts[0], parts[1])
        parts[1] = pandas.Series(begun, dtype=object)
    if len(parts) == 2 and len(parts[0][0]) > len("2024") and are_of_day(parts[1].tolist()):
        parts[1], note = pandas.Series(of_day(parts[1]), dtype=object), "fractions of a day are taken to the second"
    if len(parts) > 2 and names[0].casefold() in ("month", "mm"):
        year = LEAP if ((parts[0].str.lstrip("0") == "2") & (parts[1] == "29")).any() else NO_YEAR
        parts, note = [pandas.Series(year, index=parts[0].index), *parts], f"times without a year, taken as of {year}"
    if len(parts) > 2 and _HOUR.fullmatch(parts[0][0]):
        parts[0] = pandas.Series(whole_years(parts[0]), dtype=object)
    if _YEAR.fullmatch(parts[0][0]):
        if len(parts) == 3 and is_day_of_year(names[1], parts[1], hours=True) and parts[0].str.fullmatch(_YEAR).all():
            days, _ = _of_year(parts[0].astype(int), parts[1].astype(int), DAY_OF_YEAR)
            return days + " " + np.array(times_of_day(parts[2]), object), note
        part = DAY_OF_YEAR if is_day_of_year(names[1], parts[1]) else is_part(names[1], parts[1])
        if len(parts) == 2 and part and parts[0].str.fullmatch(_YEAR).all():
            return _of_year(parts[0].astype(int), part_numbers(part, parts[1]), part)
        if len(parts) == 2 and is_code(parts[1][0]):
            return (parts[0] + parts[1].str.replace(r"(?<=\D)0", "", regex=True)).to_numpy(object), note
        parts = _from_year(parts)
    if len(parts) == 3 and len(parts[0][0]) > len("2024") and is_interval(names[2], parts[2]):
        parts = [parts[0], pandas.Series(within_hours(parts[1], parts[2]), dtype=object)]
    if len(parts) == 3 and len(parts[0][0]) > len("2024"):  # a date, an hour and a minute
        parts = [parts[0], parts[1].str.zfill(2).str.cat(parts[2].str.zfill(2), sep=":")]
    if len(parts) == 2 and parts[0].str.endswith(MIDNIGHT).all():  # dates of a spreadsheet
        parts[0] = parts[0].str.removesuffix(MIDNIGHT)
    if len(parts) == 2 and parts[1].str.fullmatch(_TWICE).any():
        parts[1] = parts[1].map(first_hour)
    if len(parts) == 2 and _HOUR.fullmatch(parts[1][0]):
        parts[1] = parts[1].str.zfill(2) + ":00"
    cells: np.ndarray = parts[0].str.cat(parts[1:], sep=" ").to_numpy(object)
    return cells, note


def _from_year(parts: list[Any]) -> list[Any]:
    """Columns of a year, a month and maybe a day, and of an hour and a minute where there are any, as one or two: of
    the date and of the time of day."""
    import pandas

    if len(parts) > 2:
        parts = [parts[0], pandas.Series(month_numbers(parts[1].tolist()), dtype=object), *parts[2:]]
    padded = [parts[0], *(part.str.zfill(2) for part in parts[1:])]
    if len(padded) == 4 and padded[3].str.fullmatch(_DECIMAL).all():
        padded[3] = pandas.Series(times_of_day(parts[3]), dtype=object)
    text = padded[0].str.cat(padded[1:3], sep="-")
    return [text, padded[3].str.cat(padded[4:], sep=":")] if len(padded) > 3 else [text]


def is_interval(name: str, cells: Sequence[str]) -> bool:
    """Whether a column counts equal parts of an hour from 1 on, as markets of electricity do: DeliveryInterval 1 to 4.

    Parameters
    ----------
    name, cells : of the column.
    """
    counts = all(map(_HOUR.fullmatch, cells)) and last_word(name) == "interval"
    return counts and min(map(int, cells)) == 1 and max(map(int, cells)) in (2, 3, 4, 6, 12)


def within_hours(hours: Sequence[str], intervals: Sequence[str]) -> list[str]:
    """The times of day at which such parts begin, of hours that are counted from 1 to 24.

    Parameters
    ----------
    hours, intervals : numbers, as text [n].
    """
    length = 60 // max(map(int, intervals))
    pairs = zip(map(int, hours), map(int, intervals), strict=True)
    return [f"{hour - 1:02d}:{(interval - 1) * length:02d}" for hour, interval in pairs]


def month_numbers(cells: Sequence[str]) -> Sequence[str]:
    """Months by their names in any language, as they stand between a year and a day, in digits; others as they are.

    Parameters
    ----------
    cells : of a column of months.
    """
    known = {cell: month_of(cell) for cell in {*cells}}
    return [f"{known[cell]:02d}" for cell in cells] if all(known.values()) else cells


def whole_years(cells: Sequence[str]) -> Sequence[str]:
    """Years of two digits, as all of them have, with four: 61 is 1961; others as they are.

    Parameters
    ----------
    cells : of a column of years beside one of months and one of days.
    """
    return [full_year(cell.zfill(2)) for cell in cells] if all(map(_HOUR.fullmatch, cells)) else cells


def _of_year(years: Sequence[int], numbers: Sequence[int], part: str) -> tuple[np.ndarray, str]:
    """The days, as text, on which these parts of years begin, and a note."""
    if part == "week":
        days, note = weeks(years, numbers)
        return np.array(days, object), note
    begin = _quarter if part == "quarter" else _day
    known = {pair: begin(*pair).isoformat() for pair in {*zip(years, numbers, strict=True)}}
    return np.array([known[pair] for pair in zip(years, numbers, strict=True)], object), ""


def weeks(years: Sequence[int], numbers: Sequence[int]) -> tuple[list[str], str]:
    """The days on which weeks begin, by ISO 8601 or, where it has no such week 53, as the CDC counts them; and a note.

    Parameters
    ----------
    years, numbers : of n weeks.

    Returns
    -------
    Text [n]: a day, or YEAR-Wn for a week that is in neither calendar.
    """
    pairs = list(zip(years, numbers, strict=True))
    kinds = sorted({*pairs})
    iso, sunday = ([first(*pair) for pair in kinds] for first in (iso_week, sunday_week))
    by_sunday = None in iso and None not in sunday
    days = {
        pair: day.isoformat() if day else f"{pair[0]}-W{pair[1]}"
        for pair, day in zip(kinds, sunday if by_sunday else iso, strict=True)
    }
    note = "weeks counted from Sunday, as the CDC counts them: by ISO 8601 there is no such week 53" * by_sunday
    return [days[pair] for pair in pairs], note


def _quarter(year: int, number: int) -> date:
    return date(year, 3 * number - 2, 1)


def _day(year: int, number: int) -> date:
    return date(year, 1, 1) + timedelta(number - 1)


def sunday_week(year: int, week: int) -> date | None:
    """The Sunday on which a week begins where the first one has at least four days in its year (MMWR weeks of the CDC);
    None for one that the year does not have.

    Parameters
    ----------
    year, week : its numbers.
    """
    first, after = (date(of, 1, 4) - timedelta(date(of, 1, 4).isoweekday() % 7) for of in (year, year + 1))
    begin = first + timedelta(weeks=week - 1)
    return begin if week >= 1 and begin < after else None
