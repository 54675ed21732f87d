"""Whether a table is dated: which of its columns hold the time of a line, and which one says whose it is.

Only a few lines are looked at, and without pandas, so that a mistake elsewhere on the command line is told at once.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from readers.columns import is_hour_word
from readers.counted import Columns, anew, are_even, clocks, even_counter, is_index
from readers.dialect import Dialect
from readers.files import dialect_of, first_lines, lines_about
from readers.fitting import MOST_LINES, rows_of
from readers.guess import DAY_LONG, LINE, MONTHS, UNIX, is_id_word, rises, steps_named
from readers.guess import HOURS as PARTS_OF_DAYS
from readers.lined import LEAST_LINES, are_ids, follow, named_as_channels
from readers.midnights import to_next_day
from readers.named_labels import label_among
from readers.nameless import (
    begin_with_times,
    begins_anew,
    first_anew,
    first_has_words,
    is_first,
    lines_of,
    owner_of_lines,
    times_first,
)
from readers.owned import owner_of
from readers.owners import HALF, divides, hidden_owner, one_after_another, owners, takes_turns
from readers.prefixes import is_in_units
from readers.tidying import numbered
from readers.typical import is_typical
from readers.unfolded import hour_columns, month_columns
from times import written
from times.date_parts import in_parts, is_month_word, minutes_of, whole_within, year_and_month
from times.daynumbers import scale_of, spelled_out
from times.growing import are_things, grows, mostly_even, stamps_of
from times.parted import (
    MIDNIGHT,
    NO_YEAR,
    are_of_day,
    first_hour,
    is_clock_number,
    is_day_of_year,
    is_interval,
    is_part,
    is_whole_year,
    month_numbers,
    of_day,
    part_numbers,
    times_of_day,
    whole_years,
    within_hours,
)
from times.periods import counted
from times.serials import are_serials
from times.settlement import begins_of, is_settled
from times.tongues import MOST_WORDED, is_unreal
from times.words import is_time, is_time_word, last_word
from times.years import are_years

LEAST = 3  # lines below the header
PLAIN = Dialect()
_DOTTED = re.compile(r"(?:[01]\d|2[0-3])\.[0-5]\d\.[0-5]\d")
_YEAR = re.compile(written.YEAR)
_COUNTED = re.compile(r"\d{1,2}-\d\d")  # months of years that have no date: 1-01, 1-02
_AFTERWARDS = re.compile(
    r"creat|updat|modif|upload|revis|(?:^|[^a-z])(?:end|to|until|bis|tot|fin)(?![a-z])", re.IGNORECASE
)
_DIGITS = re.compile(  # of a date and a time of day, with seconds or without
    r"(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:[01]\d|2[0-4])[0-5]\d(?:[0-5]\d)?"
)
CLOCK = 5  # characters of a time of day


@dataclass(frozen=True)
class Dated:
    """The columns of a dated table.

    names : those of the header. time : the time's column, or several joined by a plus sign, as --time-col takes it.
    ids : the columns that may say which series a line belongs to, the likeliest first; () where times grow without.
    steps : whether the other columns have names of steps, as a wide table with a date for each series has.
    follow : whether lines are seen to follow one another in time; False of some tables without times.
    worded : whether a table without times has a column of words.
    label : the column of such a table that is named as labels are, whose lines are in no order; "" for none.
    """

    names: tuple[str, ...]
    time: str
    ids: tuple[str, ...]
    steps: bool
    follow: bool = True
    worded: bool = False
    label: str = ""


def dated(path: Path, asked: Dialect, id_col: str = "") -> Dated | None:
    """What a few lines of a file say; None for a table without times that grow, or without names.

    Parameters
    ----------
    path : the file.
    asked : how the flags say that CSVs are written.
    id_col : the column of ids, where it is known.

    Raises
    ------
    DataError : the file cannot be read.
    """
    dialect = dialect_of(path, asked)
    lines = first_lines(path)[0]
    rows = _without_odd(rows_of(lines, dialect))
    if len(rows) <= LEAST:
        return None
    names = [name or str(number) for number, name in enumerate(numbered(rows[0]), 1)]
    if len(names) == 1 and not any(dialect.is_text(row[0]) for row in rows[1:]) and dialect.is_number(rows[1][0]):
        return Dated(tuple(names), LINE, (), steps=False)
    anew = first_anew(rows) if all(map(dialect.is_number, rows[0])) else ""
    worded = first_has_words(rows, dialect)
    if nameless := (bool(anew) or worded or begin_with_times(rows)) and is_first(rows[0], lines, dialect):
        names = [str(number) for number in range(1, len(names) + 1)]
    elif are_ids(rows[0], rows[1:], dialect):
        return Dated(tuple(names), LINE, (), steps=False, follow=follow(rows[1:], dialect))
    elif all(map(dialect.is_number, rows[0])) and not rises([dialect.number(cell) or 0.0 for cell in rows[0]]):
        return _unnamed(path, rows, lines, dialect)
    elif not _are_names(names):
        return None
    columns = dict(zip(names, zip(*rows[not nameless :], strict=True), strict=True))
    dates = _dates(columns, rows[0], nameless)
    if MONTHS in dates:
        return Dated(tuple(names), "+".join(dates), (), steps=False)
    time = dates or ([anew] if nameless and anew else _counter(columns))
    if time:
        known = list(columns)[: int(anew) - 1] if nameless and anew else list(columns)
        stamps = stamps_of(_times_of(columns, time))
        found = _timed(columns, time, stamps, bool(dates), nameless, known, dialect, id_col)
        if found is None or not dates or found.ids or id_col:
            return found
        return replace(found, ids=tuple(hidden_owner(columns, stamps, lines_about(path, lines), dialect)))
    if nameless:
        owner = owner_of_lines(list(columns.values()))
        follows = bool(owner) or follow(rows, dialect)
        ids = (owner,) if owner else ()
        return Dated(tuple(names), LINE, ids, steps=False, follow=follows, worded=True) if worded else None
    return _dateless(rows[0], columns, dialect, id_col)


def _without_odd(rows: list[list[str]]) -> list[list[str]]:
    """The first lines of a table without those that reading leaves out: of a date that stands for none, and with words
    where others have times."""
    real = [row for row in rows if not any(map(is_unreal, row)) and not is_whole_year(row)]
    rows = real if len(real) * 2 > len(rows) else rows
    for column in range(len(rows[1]) if len(rows) > LEAST else 0):
        some = (rows[1], rows[len(rows) // 2])  # one of which may be a total
        if any(is_time(row[column]) for row in some) and not is_time(rows[0][column]):
            kept = [row for row in rows[1:] if row[column][:1].isdigit()] or [r for r in rows[1:] if is_time(r[column])]
            if (1 - MOST_WORDED) * len(rows) <= len(kept) < len(rows) - 1:
                return [rows[0], *kept]
    return rows


def _timed(
    columns: Columns,
    time: list[str],
    stamps: list[float],
    dates: bool,
    nameless: bool,
    known: list[str],
    dialect: Dialect,
    id_col: str,
) -> Dated | None:
    """A table with columns of times; None where they do not grow, nor any column of `known` says whose a line is.

    stamps : what grows as the times do. dates : whether the times are dates, rather than counts.
    """
    names = tuple(columns)
    others = {name: column for name, column in columns.items() if name and name not in time}
    if not any(dialect.is_number(cell) or is_in_units(cell) for column in others.values() for cell in column):
        return None
    if not stamps:
        return None
    stamps = to_next_day(stamps) if dates else stamps
    if len(time) == 1 and (beside := _beside(list(others), columns[time[0]])):
        return Dated(names, f"{time[0]}+{beside}", (), steps=False)
    steps = len(others) in DAY_LONG if nameless else len(others) > 1 and steps_named(list(others), dialect)
    steps = steps and not (dates and are_things(list(others), stamps))
    joined = "+".join(time)
    growing = grows if dates else rises
    if not id_col and (growing(stamps) or (dates and is_typical(_times_of(columns, time), stamps_of))):
        return Dated(names, joined, tuple(takes_turns(others, stamps, dialect)), steps)
    if dates and id_col and {*id_col.split("+")} <= {*names}:
        return Dated(names, joined, (id_col,), steps)
    ids = owners({name: others[name] for name in others if name in known}, stamps, dialect, growing, id_col)
    if dates and not ids and not id_col and one_after_another(stamps, HALF):
        return Dated(names, joined, (), steps)  # lines of one time are told where they are read
    timed = nameless or is_time_word(time[0]) or mostly_even(stamps)
    if ids or id_col or not dates or not timed or len(set(stamps)) < len(stamps):
        return Dated(names, joined, tuple(ids), steps) if ids else None
    return Dated(names, joined, (), steps)  # lines in disorder, each of another time


def _dates(columns: dict[str, tuple[str, ...]], title: Sequence[str], nameless: bool) -> list[str]:
    """The columns of dates; [] for none. `title` is the first line of the table, which names them unless `nameless`."""
    years = times_first(list(columns.values())) if nameless else []
    return years or _time(columns) or _bare_months(columns, title) or _bare_years(columns, title)


def long_hint(path: Path, dialect: Dialect) -> str:
    """The flag for a table whose lines were taken as series, and hold words, if its columns say that they are steps.

    Parameters
    ----------
    path : the file.
    dialect : how it is written.

    Returns
    -------
    The hint, with the columns that hold times if there are some; "" for a table of which at most one column between the
    first and the last holds words, which are then rather marks.
    """
    rows = rows_of(first_lines(path)[0], dialect)
    if len(rows) <= LEAST:
        return ""
    if not _are_names(rows[0]):
        worded = [k for k, cells in enumerate(zip(*rows, strict=True)) if all(map(dialect.is_text, cells))]
        return f"--time-col {LINE} if each line is a step of time" * any(0 < k < len(rows[0]) - 1 for k in worded)
    columns = dict(zip(rows[0], zip(*rows[1:], strict=True), strict=True))
    if time := _time(columns):
        return f"--time-col {shlex.quote('+'.join(time))} if each line is a step of time; here it is a series"
    words = sum(all(map(dialect.is_text, cells)) for cells in list(columns.values())[1:-1])
    named = shlex.quote(next(filter(is_time_word, rows[0]), LINE))
    return f"--time-col {named} if each line is a step of time; here it is a series" * (words > 0)


def _unnamed(path: Path, rows: Sequence[Sequence[str]], lines: Sequence[str], dialect: Dialect) -> Dated | None:
    """A table of numbers without names, and without dates, whose lines are steps; None for another one."""
    if not is_first(rows[0], lines, dialect):
        return None
    found = lines_of(rows, lines_about(path, lines), dialect)
    names = tuple(str(number) for number in range(1, len(rows[0]) + 1))
    return None if found is None else Dated(names, found[0] or LINE, (), steps=False, follow=found[1])


def _dateless(title: Sequence[str], columns: Columns, dialect: Dialect, id_col: str) -> Dated | None:
    """A table without dates whose lines are steps: they are counted, or the columns are channels; None for another."""
    names = tuple(columns)
    if len(names) == 2 and is_time_word(names[0]) and all(map(_COUNTED.fullmatch, columns[names[0]])):
        return Dated(names, LINE, (), steps=False)
    even = "" if id_col else even_counter(columns, dialect)
    if even:
        return Dated(names, even, (), steps=False)
    owner = owner_of(columns, dialect)
    numbers = [name for name, cells in columns.items() if owner and is_id_word(name) and len({*cells}) == len(cells)]
    lined = _lined(title, {name: cells for name, cells in columns.items() if name not in (owner, *numbers)}, dialect)
    return lined and replace(lined, names=names, ids=tuple(filter(None, [owner])))


def _lined(title: Sequence[str], columns: Columns, dialect: Dialect) -> Dated | None:
    """A table without times in even steps whose columns are channels by their names; None for another one.

    None of them is the index of a frame, or a time that goes on unevenly.

    title : the names as the header has them. columns : the cells, by name.
    """
    names = list(columns)
    timed = clocks(columns, dialect) or anew(columns, dialect)
    index = names[:1] if is_index(title[0], columns[names[0]][:MOST_LINES]) else []
    kept = [name for name in names if name not in (*timed, *index)]
    rows = list(zip(*(columns[name] for name in kept), strict=True))
    if len(kept) == 1 and (timed or index) and len(rows) >= LEAST_LINES:
        numbers = all(map(dialect.is_number, columns[kept[0]]))
        return Dated(tuple(names), LINE, (), steps=False) if numbers else None
    worded = named_as_channels(kept, rows, dialect) if kept else None
    if worded is None:
        return None
    label = label_among(kept, rows[:MOST_LINES])
    follows = bool(timed) or follow(rows, dialect, kept)
    return Dated(tuple(names), LINE, (), steps=False, follow=follows, worded=bool(worded), label=label)


def _times_of(columns: Columns, time: Sequence[str]) -> list[str]:
    """The times of all lines, of the cells of these columns."""
    if len(time) > 2 and is_month_word(time[0]):
        return [" ".join([NO_YEAR, *cells]) for cells in zip(*(columns[name] for name in time), strict=True)]
    cells = [spelled_out(name, columns[name])[0] or columns[name] for name in time]
    if len(time) > 2:
        cells[:2] = tuple(whole_years(cells[0])), tuple(month_numbers(cells[1]))
    if len(time) == 3 and is_interval(time[2], cells[2]):
        cells = [cells[0], tuple(within_hours(cells[1], cells[2]))]
    if len(time) == 2 and are_of_day(cells[1]):
        cells[1] = tuple(of_day(cells[1]))
    if len(time) == 2 and is_settled(time[1], cells[1]):
        cells[1] = tuple(begins_of(*cells)[0])
    if len(time) == 2 and (part := is_part(time[1], cells[1])):
        cells[1] = tuple(map(str, part_numbers(part, cells[1])))
    if len(time) == 3 and is_day_of_year(time[1], cells[1], hours=True):
        cells[2] = tuple(times_of_day(cells[2]))
    if len(time) == 4 and is_clock_number(time[3], cells[3]):  # 100 to 2400
        cells[3] = tuple(times_of_day(cells[3]))
    return [_joined(each) for each in zip(*cells, strict=True)]


def _joined(cells: Sequence[str]) -> str:
    """The cells of a time in several columns as one; an hour alone becomes a time of day."""
    date, *rest = cells
    date = date.removesuffix(MIDNIGHT) if rest else date
    if len(rest) == 2 and len(date) > 4:
        return f"{date} {rest[0].zfill(2)}:{rest[1].zfill(2)}"
    if len(rest) == 1 and len(date) > 4:
        hour = first_hour(rest[0])
        return f"{date} {int(hour):02d}:00" if hour.isdecimal() else f"{date} {hour}"
    return " ".join([date, *rest])


def _are_names(cells: Sequence[str]) -> bool:
    """Whether a first line names its columns: it holds no number, and no name twice."""
    named = [cell for cell in cells if cell]
    return len(set(named)) == len(named) and not any(map(is_time, cells[:1])) and len(named) > 1


def _time(columns: dict[str, tuple[str, ...]]) -> list[str]:
    """The columns of the time: one, a date and a time of day, or year, month, day (and hour); [] for none."""
    found = [name for name, column in columns.items() if name and _are_times(name, column)]
    clocks = [name for name in found if _are_clocks(name, columns[name])]
    dates = [name for name in found if name not in clocks]
    same = [name for name in dates if len(set(columns[name])) == 1]  # an export's beginning, or its day
    dates = [name for name in dates if name not in same] or _one_day(columns, same, clocks)
    if parts := in_parts(columns, dates):
        return parts
    if not dates:
        return []
    # Of a year and a date, the date; of the times at which a step begins, ends and was written down, the first.
    date = max(dates, key=lambda name: (len(set(columns[name])), not _AFTERWARDS.search(name)))
    whole = any(":" in cell and not cell.endswith(MIDNIGHT) for cell in columns[date])
    hours = [
        name for name, column in columns.items() if is_hour_word(name) and (_are_hours(column) or are_of_day(column))
    ]
    parted = [name for name, column in columns.items() if is_interval(name, column)]
    if parted and not whole and not clocks:  # parts of hours that are counted from 1
        ends = [name for name, column in columns.items() if last_word(name) == "hour" and whole_within(column, 1, 24)]
        return [date, *ends[:1], *parted[:1]] if ends else [date]
    settled = [name for name, column in columns.items() if is_settled(name, column)]
    within = clocks or hours or settled
    if whole or len(set(columns[date])) == len(columns[date]) or not within:
        return [date]
    minutes = [] if clocks or not hours else minutes_of(columns)
    return [date, within[0], *minutes[:1]]


def _one_day(columns: Columns, same: Sequence[str], clocks: Sequence[str]) -> list[str]:
    """The column of the only date of a table of one day, whose times of day stand beside it; or []."""
    alone = len(same) == len(clocks) == 1 and not _YEAR.fullmatch(columns[same[0]][0])
    return [*same] if alone else []


def _beside(others: Sequence[str], times: Sequence[str]) -> str:
    """What the other columns of a table hold side by side, the months of its years or parts of its days; or ""."""
    if month_columns(others) and all(map(_YEAR.fullmatch, times)):
        return MONTHS
    days = hour_columns(others) and len({*times}) == len(times) and ":" not in "".join(times)
    return PARTS_OF_DAYS if days else ""


def _bare_months(columns: dict[str, tuple[str, ...]], title: Sequence[str]) -> list[str]:
    """The first two columns where they hold years and months, as statistics offices leave them without names; or []."""
    return [] if any(title[:2]) else year_and_month(columns, "1", "2")


def _bare_years(columns: dict[str, tuple[str, ...]], title: Sequence[str]) -> list[str]:
    """The first column, without a name, where it holds years whose months the others are; or []."""
    years = all(map(_YEAR.fullmatch, columns["1"])) if not title[0] else False
    return ["1", MONTHS] if years and month_columns(title) else []


def _are_clocks(name: str, cells: Sequence[str]) -> bool:
    """Whether times are those of a day: 14:30, 2:30 PM, or 14.30.00 under the name of a time."""
    if all(len(cell) <= CLOCK + 6 and ":" in cell[:3] for cell in cells):
        return True
    return is_hour_word(name) and all(_DOTTED.fullmatch(cell) for cell in cells)


def _counter(columns: dict[str, tuple[str, ...]]) -> list[str]:
    """A column named as steps are that counts them anew for each series, which another column names: cycle; [] none."""
    for name, column in columns.items():
        if all(cell.isdecimal() and len(cell) < CLOCK + 2 for cell in column):
            steps = [float(cell) for cell in column]
            others = {other: cells for other, cells in columns.items() if other and other != name}
            if is_time_word(name) and not rises(steps):
                if any(divides(cells, steps, PLAIN, rises) for cells in others.values()):
                    return [name]
            elif begins_anew(column) and owners(others, steps, PLAIN, rises):
                return [name]
    return []


def _are_hours(column: Sequence[str]) -> bool:
    column = [cell.removesuffix(":00") for cell in map(first_hour, column)]
    bare = all(cell.isdecimal() and len(cell) <= 2 and int(cell) <= 24 for cell in column)
    return bare or all(len(cell) in (2, CLOCK, CLOCK + 3) and cell[:2].isdecimal() for cell in column)


def _are_times(name: str, column: Sequence[str]) -> bool:
    """Whether a column holds times: written as such, or by its name seconds since 1970 or dates of eight digits."""
    if all(map(is_time, column)):
        return True
    if are_serials(name, column) or are_years(name, column) or spelled_out(name, column)[0] or counted(column):
        return True
    if all(map(_DIGITS.fullmatch, column)):  # TIMESTAMP_START
        return True
    if scale_of(name, column):
        return are_even(column, PLAIN)
    return is_time_word(name) and all(
        cell.replace(".", "", 1).isdecimal() and float(cell) >= (UNIX if "." in cell else 10_000_000) for cell in column
    )
