"""Tables without a line of names: which of their columns hold the time of a line, and which one says whose it is."""

from __future__ import annotations

import itertools
import re
import statistics
from collections.abc import Sequence
from datetime import date

from readers.dialect import Dialect
from readers.fitting import MOST_LINES, rows_of
from readers.guess import CLOCK_LINES, MONTHS, clocks, rises
from readers.lined import LEAST_LINES, follow, unnamed
from readers.owned import FEW_CHANGES
from readers.owners import owners
from times import written
from times.date_parts import whole_within
from times.parted import is_day_of_year
from times.words import is_time
from times.years import are_years

LEAST_COUNT, MOST_BEFORE = 5, 4  # the number to which lines are counted, and the columns of which one may count them
MOST_OWNERS = 2  # columns of words before the day
OF_A_DATE = ((1, 12), (1, 31), (0, 24), (0, 59))  # the least and the most of month, day, hour and minute
CLOSE, MOSTLY = 0.05, 0.8  # of the spread of months, within which their mean is given; of the lines
PLAIN = Dialect()
_YEAR = re.compile(written.YEAR)
_DAY = re.compile(r"(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])")
_ISO_DAY = re.compile(r"(?:19|20)\d\d-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])")
_SECONDS = (9.4e8, 2.3e9)  # since 1970, of 2000 to 2042
_UNIX = re.compile(r"(\d{9,10})(?:\.\d+|(?:\d{3}){1,3})?")
_HHMM = re.compile(r"(?:[01]\d|2[0-4])[0-5]\d")


def begin_with_times(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first line holds a time, or the parts of one, where all others do.

    Parameters
    ----------
    rows : the cells of some lines, the first ones at the beginning.
    """
    columns = list(zip(*rows, strict=True))
    return any(all(map(is_time, column)) for column in columns) or bool(times_first(columns))


def times_first(columns: Sequence[Sequence[str]]) -> list[str]:
    """The columns, by number, that hold a year and other parts of the time first, a day and a time or the hour, a day
    in eight digits or a year with its fraction alone, or seconds since 1970; [] for none.

    A column of years before twelve others has their months side by side, maybe with their mean or sum behind them.
    """
    if not columns or not all(map(_YEAR.fullmatch, columns[0])):
        return _day_and_hour(columns) or ["1"] * bool(columns and _one_number(columns[0])) or _day_behind_words(columns)
    years = [int(cell) for cell in columns[0]]
    months = len(columns) == 13 or (len(columns) == 14 and _sum_up(columns[1:]))
    if months and all(b == a + 1 for a, b in itertools.pairwise(years)):
        return ["1", MONTHS]
    return _parts(columns, 1) or (_parts(columns, 2) if _has_days_of_years(columns) else []) or _days_of_years(columns)


def _day_behind_words(columns: Sequence[Sequence[str]]) -> list[str]:
    """The column, by number, of days in eight digits behind one or two of words, as of a station; [] for none."""
    at = next((k for k, cells in enumerate(columns[: MOST_OWNERS + 1]) if all(map(_DAY.fullmatch, cells))), 0)
    words = all(any(map(PLAIN.is_text, cells)) for cells in columns[:at])
    return [str(at + 1)] if at and words and len({*columns[at]}) > 1 else []


def _sum_up(columns: Sequence[Sequence[str]]) -> bool:
    """Whether the last of some columns is the mean of the others, or their sum, in nearly all lines that have them."""
    try:
        lines = [list(map(float, line)) for line in zip(*columns, strict=True)]
    except ValueError:
        return False
    usual = statistics.pstdev(value for *parts, _ in lines for value in parts)
    for of_sum in (1, len(columns) - 1):
        off = [abs(last * (len(columns) - 1) / of_sum - sum(parts)) / (len(columns) - 1) for *parts, last in lines]
        if sum(each <= CLOSE * usual for each in off) > MOSTLY * len(lines):
            return usual > 0
    return False


def _parts(columns: Sequence[Sequence[str]], begin: int) -> list[str]:
    """The columns of a year and, from `begin` on, of its month, day, hour (or HHMM) and minute, as few as tell lines
    apart."""
    within = [
        whole_within(column, least, most) or (most == OF_A_DATE[2][1] and all(map(_HHMM.fullmatch, column)))
        for column, (least, most) in zip(columns[begin:], OF_A_DATE, strict=False)
    ]
    known = len(list(itertools.takewhile(bool, within)))
    for count in range(min(known, 2), known + 1):
        chosen = [0, *range(begin, begin + count)]
        parts = [tuple(int(columns[k][row]) for k in chosen) for row in range(len(columns[0]))]
        if count and all(a < b for a, b in itertools.pairwise(parts)):
            return [str(k + 1) for k in chosen]
    return []


def _days_of_years(columns: Sequence[Sequence[str]]) -> list[str]:
    """The first columns where they hold a year and the number of its day, as no months have it, and maybe the hour."""
    for count in (2, 3) if len(columns) > 3 else (2,):
        hours = count == 3 and whole_within(columns[2], 0, 24)
        lines = [tuple(map(int, line)) for line in zip(*columns[:count], strict=True) if all(map(str.isdecimal, line))]
        rising = len(lines) == len(columns[0]) and all(a < b for a, b in itertools.pairwise(lines))
        if rising and (hours or count == 2) and is_day_of_year("2", columns[1], hours=hours):
            return [str(k + 1) for k in range(count)]
    return []


def _has_days_of_years(columns: Sequence[Sequence[str]]) -> bool:
    """Whether the second column is the day of the year that the year, month and day around it make."""
    if len(columns) < 4 or not all(
        whole_within(column, *most) for column, most in zip(columns[2:4], OF_A_DATE, strict=False)
    ):
        return False
    for year, number, month, day in zip(*columns[:4], strict=True):
        try:
            passed = date(int(year), int(month), int(day)) - date(int(year), 1, 1)
        except ValueError:
            return False
        if number != str(passed.days + 1) and number.lstrip("0") != str(passed.days + 1):
            return False
    return True


def _day_and_hour(columns: Sequence[Sequence[str]]) -> list[str]:
    """The first two columns side by side that hold a day and a time of day in four digits, or the hour; [] for none."""
    for at, (days, hours) in enumerate(itertools.pairwise(columns[: MOST_BEFORE + 1]), 1):
        digits = all(map(_DAY.fullmatch, days)) and all(map(_HHMM.fullmatch, hours))
        if digits or (all(map(_ISO_DAY.fullmatch, days)) and whole_within(hours, 0, 24)):
            pairs = [(day, int(hour)) for day, hour in zip(days, hours, strict=True)]
            return [str(at), str(at + 1)] if all(a < b for a, b in itertools.pairwise(pairs)) else []
    return []


def _one_number(column: Sequence[str]) -> bool:
    """Whether a first column holds days in eight digits, years with fractions, or seconds or parts of these since 1970,
    that rise or fall."""
    if len(column) < LEAST_COUNT:
        return False
    if all(map(_DAY.fullmatch, column)) or are_years("1", column):
        return rises(days := list(map(float, column))) or rises(days[::-1])
    found = [_UNIX.fullmatch(cell) for cell in column]
    seconds = [float(match[1]) for match in found if match]
    if len(seconds) < len(column) or len({*map(len, column)} if "." not in column[0] else {0}) > 1:
        return False
    ordered = seconds in (sorted(seconds), sorted(seconds, reverse=True))
    return ordered and seconds[0] != seconds[-1] and _SECONDS[0] <= min(seconds) and max(seconds) < _SECONDS[1]


def is_first(cells: Sequence[str], lines: Sequence[str], dialect: Dialect) -> bool:
    """Whether the cells are those of the first line of a file, comments aside.

    Parameters
    ----------
    cells : of a line. lines, dialect : the first lines of the file, and how it is written.
    """
    first = next((line for line in lines if line.strip() and not line.startswith("#")), "")
    return rows_of([first], dialect) == [list(cells)]


def begins_anew(column: Sequence[str]) -> bool:
    """Whether a column counts lines from 0 or 1 on, again and again: in its first lines, which follow one another,
    every number is one more than that before, or the first one."""
    if not all(map(str.isdecimal, column)):
        return False
    steps = [int(cell) for cell in column]
    first = all(b in (a + 1, steps[0]) for a, b in itertools.pairwise(steps[:MOST_LINES]))
    return first and steps[0] in (0, 1) and not rises(steps) and max(steps) >= LEAST_COUNT


def first_anew(rows: Sequence[Sequence[str]]) -> str:
    """The number of the column, of a table without names, that counts the steps of series that one before it numbers;
    "" for no such one."""
    for at, column in enumerate(list(zip(*rows, strict=True))[:MOST_BEFORE]):
        if at and begins_anew(column):
            steps = [float(cell) for cell in column]
            before = {str(k + 1): [row[k] for row in rows] for k in range(at)}
            return str(at + 1) if owners(before, steps, PLAIN, rises) else ""
    return ""


def first_has_words(rows: Sequence[Sequence[str]], dialect: Dialect) -> bool:
    """Whether the first of some lines is one of data with words between its numbers: each cell is of the kind that all
    below it are, and one of the words comes again.

    Parameters
    ----------
    rows : the cells of some lines, the first ones at the beginning. dialect : what a number is.
    """
    first, columns = rows[0], list(zip(*rows[1:], strict=True))
    words = [k for k, column in enumerate(columns) if all(map(dialect.is_text, column))]
    numbers = [k for k, column in enumerate(columns) if all(map(dialect.is_number, column))]
    if len(rows) <= LEAST_LINES or len(numbers) < 2 or len(words) + len(numbers) < len(first):
        return False
    alike = all(dialect.is_number(first[k]) for k in numbers) and all(dialect.is_text(first[k]) for k in words)
    between = any(0 < k < len(first) - 1 for k in words)
    return alike and between and any(first[k] in columns[k] for k in words)


def owner_of_lines(columns: Sequence[Sequence[str]]) -> str:
    """The number of the first column where whole numbers in it say whose the lines are, which come in runs; else ""."""
    first = columns[0]
    changes = sum(a != b for a, b in itertools.pairwise(first))
    whole = all(map(str.isdecimal, first))
    return "1" if whole and 0 < changes * FEW_CHANGES <= len(first) and len({*first}) > 1 else ""


def lines_of(rows: Sequence[Sequence[str]], count: int, dialect: Dialect) -> tuple[str, bool] | None:
    """The column, by number, that counts the lines of a table of numbers or goes on in even steps, or "" for none, and
    whether lines are seen to follow one another; None for a table whose lines are series.

    Parameters
    ----------
    rows : the cells of some lines, the first ones at the beginning.
    count : of all lines, about.
    dialect : what a number is.
    """
    firsts = [dialect.number(row[0]) or 0.0 for row in rows[:MOST_LINES]]
    seconds = [row[1] for row in rows[:MOST_LINES] if row[1:]]
    long = len(firsts) > CLOCK_LINES and len(rows[0]) > 1
    if long and clocks(firsts, seconds, dialect):
        return "1", True
    rest = [row[1:] for row in rows]
    counted = long and firsts == [firsts[0] + k for k in range(len(firsts))] and firsts[0] in (0, 1)
    if counted and (len(rest[0]) == 1 or unnamed(rest, count, dialect)):
        return "1", len(rest[0]) > 1 or follow(rest, dialect)
    follows = unnamed(rows, count, dialect)
    return None if follows is None else ("", follows)
