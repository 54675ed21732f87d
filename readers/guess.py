"""What the first line and the first column of a wide table are: names of steps, ids of rows, or data.

A guess that is likely is told; one that is not certain stops the run, and the error names the flags that decide it.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Sequence
from pathlib import Path

from errors import DataError
from readers.dialect import Dialect, Layout, check_dialect, width_error
from times.words import is_time, is_time_word, last_word
from times.written import YEAR

LINE = "line"  # as --time-col: each line is a step, and no column holds times
MONTHS = "months"  # behind the column of the years: its twelve months are columns
HOURS = "hours"  # behind the column of the days: the hours of a day, or parts of these, are columns
DAY_LONG = (24, 48, 96, 144, 288, 1440)  # values of a day in one line
SAMPLE = 40  # lines under the first that are looked at
CELLS = 50  # cells of each of them
LEAST_LADDER = 5  # numbers in even steps that are no chance
CLOCK_LINES = 20  # lines from which on numbers in even steps are those of a clock
UNIX = 1e8  # numbers from here on that rise evenly are seconds since 1970, or parts of them
LEAST_RISE, MANY_RISE = 6, 20  # whole numbers, and any, that rise without even steps, and are no chance either


# What a column of row ids is called, whole or as the last word of its name: customer_id, StoreKey, engine no.
_KEYS = (
    " id ids idx index key code no nr num number name names uid udi uuid guid row rownames series item unit part sku ",
    " store shop station engine machine device sensor meter house household home customer client user patient subject "
    "person product article country region state city county site plant node cell batch lot run trial sample case "
    "eui imei mac topic vehicle car truck well turbine building room account asset serial file filename recording ",
)
PEOPLE = ("user", "subject", "participant", "person", "patient")  # whose lines are labelled, and no labels
_CLASSES = ("class", "classe", "classes", "label", "target", "species", "category", "activity", "klasse", "diagnosis")
_FINDINGS = (
    " labels anomaly anomalies outlier fault failure failures attack intrusion occupancy outcome disease stroke "
    "diabetes churn exited survived fraud attrition defect defective "
)
_CLOCK_ALONE = re.compile(r"\d{1,2}:\d\d(?::\d\d)?")
_YEAR = re.compile(YEAR)
_DATE = re.compile(rf"{YEAR}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])?")
_NUMBERED = re.compile(r"(\D*)(\d+)")


def sniff(lines: list[str], dialect: Dialect, path: Path) -> tuple[Layout, list[str]]:
    """The layout of a table by its first lines, and notes on it.

    Parameters
    ----------
    lines : the first lines of the file; [""] where it is empty.
    dialect : how the file is written, and what the flags say of its header and row ids.
    path : the file, for the error.

    Raises
    ------
    DataError : an empty file, a header without rows, cells that another --sep or --decimal would explain, and a first
        line or column that may be data or not.
    """
    if lines == [""]:
        raise DataError("the file is empty", where=str(path))
    head = dialect.split(lines[:2], path)
    check_dialect(lines[:2][-1], dialect, path)
    body = [line.split(dialect.sep, CELLS)[:CELLS] for line in lines[1 : SAMPLE + 1]]
    header, notes = _find_header(head[0], body, dialect, path)
    if len(lines) == header:
        hint = "--header no if row 1 holds data" * any(map(dialect.is_number, head[0]))
        raise DataError("has a header and no rows", where=str(path), hint=hint)
    width = len(head[header])
    if len(head[0]) != width and not _ends_in_separator(head[0], head[header]):
        raise width_error(path, 2, found=width, expected=len(head[0]))
    if not header:
        body.insert(0, lines[0].split(dialect.sep, CELLS)[:CELLS])
    index, more = _find_index(head[0] if header else [], body, dialect, path) if width > 1 else (False, [])
    index = index or dialect.index == "yes"
    if dialect.index == "auto" and not dialect.apart:
        _check_last(head[0] if header else [], lines[header : header + SAMPLE], dialect, path)
    if width == index:
        raise DataError("has row ids and no values", where=str(path), hint="--index no if column 1 holds data")
    return Layout(header, index, width - index), notes + more


def has_names(cells: Sequence[str], dialect: Dialect) -> bool:
    """Whether a line names columns: it has no number, and text outside the first cell, which may be over row ids.

    Parameters
    ----------
    cells : the line's cells.
    dialect : what a number is.
    """
    return not any(map(dialect.is_number, cells)) and any(map(dialect.is_text, cells[1:] or cells))


def is_id_word(cell: str, *, things: bool = True) -> bool:
    """Whether a header's first cell says that its column holds row ids.

    Parameters
    ----------
    cell : that cell, as text.
    things : whether a store, an engine or a patient is an id too; beside labels, it may be one of them.
    """
    text = cell.strip()
    if text.casefold() in ("unnamed: 0", "#", "№", "n°", "nº", "序号"):  # of a frame's index, as pandas reads it back
        return True
    return not text or any(f" {last_word(text)} " in keys for keys in _KEYS[: 1 + things])


def is_class_word(name: str) -> bool:
    """Whether a column's name says that it holds labels, such as class, Anomaly or is_fault.

    Parameters
    ----------
    name : the name, whose last word counts.
    """
    return last_word(name) in _CLASSES or f" {last_word(name)} " in _FINDINGS


def _ends_in_separator(header: Sequence[str], row: Sequence[str]) -> bool:
    """Whether only one of a header and a row ends in a separator, after which nothing stands."""
    longer, shorter = sorted((header, row), key=len, reverse=True)
    return len(longer) == len(shorter) + 1 and not longer[-1].strip()


# ---- the first line


def _find_header(
    cells: Sequence[str], body: Sequence[Sequence[str]], dialect: Dialect, path: Path
) -> tuple[bool, list[str]]:
    """Whether a table's first line is a header, and the note on that. `body` are cells of the lines under it."""
    if dialect.header != "auto":
        return dialect.header == "yes", []
    corner, shown = cells[0].strip(), ", ".join(cells[:3]) + (", ..." if len(cells) > 3 else "")
    note = f"first line taken as a header ({shown})"
    if has_names(cells, dialect) or (corner and dialect.is_text(corner) and is_id_word(corner)):
        return True, [note]
    apart = not dialect.is_number(corner)  # what stands over row ids is no step
    steps, numbers = cells[apart:], _plain(cells[apart:], dialect)
    below = [(row[apart:], _plain(row[apart:], dialect)) for row in body]
    alike = bool(corner) and any(_same_word(corner, row[0].strip('" ')) for row in body)
    if not numbers or not body:
        return False, []
    if _names_steps(steps, numbers, 3 if corner else 1) and not alike:
        if apart and not any(_names_steps(*row, 1) for row in below):
            return True, [note]
        if not apart and not any(_evenly(row) and rises(row) for _, row in below):
            return True, [f"warning: first line counts ({shown}) and was taken as a header; --header no if it is data"]
    if _no_chance(numbers) and not any(rises(row) or _no_chance(row) for _, row in below):
        what = f"the first line ({shown}) rises as names of steps do, and may be data as well"
        raise DataError(what, where=f"{path}:1", hint="--header yes if it names the columns, --header no if it is data")
    return False, []


def _names_steps(cells: Sequence[str], numbers: Sequence[float], least: int) -> bool:
    """Whether numbers are what steps are called: from `least` on 0, 1, 2 or 1, 2, 3; years in a row, or dates."""
    if not numbers:
        return False
    if len(cells) >= least and _whole(cells) and numbers[0] in (0, 1) and numbers[-1] == numbers[0] + len(cells) - 1:
        return rises(numbers)
    if all(_YEAR.fullmatch(cell.strip('" ')) for cell in cells):
        return len(cells) > 1 and abs(numbers[1] - numbers[0]) > 0 and _evenly(numbers)
    dates = all(_DATE.fullmatch(cell.strip('" ')) for cell in cells)
    return len(cells) > 1 and dates and (rises(numbers) or rises(numbers[::-1]))


def _same_word(one: str, other: str) -> bool:
    """Whether two cells are one word with two numbers: p1 and p2."""
    first, second = _NUMBERED.fullmatch(one), _NUMBERED.fullmatch(other)
    return bool(first and second and first[1] and first[1] == second[1])


def _no_chance(numbers: Sequence[float]) -> bool:
    """Whether numbers rise in even steps, or are whole and rise, for so long that it is unlikely in data."""
    even = len(numbers) >= LEAST_LADDER and _evenly(numbers) and numbers[0] != numbers[1]
    least = LEAST_RISE if all(number % 1 == 0 for number in numbers) else MANY_RISE
    return even or (len(numbers) >= least and rises(numbers))


def _plain(cells: Sequence[str], dialect: Dialect) -> list[float]:
    """The cells as finite numbers; [] where one is not."""
    numbers = [dialect.number(cell.strip('" ')) for cell in cells]
    plain = [number for number in numbers if number is not None and math.isfinite(number)]
    return plain if len(plain) == len(numbers) else []


def _whole(cells: Sequence[str]) -> bool:
    return all(cell.strip('" ').removeprefix("-").isdecimal() for cell in cells)


def rises(numbers: Sequence[float]) -> bool:
    """Whether each number is above the one before.

    Parameters
    ----------
    numbers : in order.
    """
    return all(a < b for a, b in itertools.pairwise(numbers))


def _evenly(numbers: Sequence[float]) -> bool:
    """Whether the numbers go on in steps of one size, up to rounding of decimals."""
    if len(numbers) < 2:
        return True
    step = (numbers[-1] - numbers[0]) / (len(numbers) - 1)
    return all(abs(number - numbers[0] - k * step) <= 1e-6 * abs(step) for k, number in enumerate(numbers))


# ---- the first column


def _find_index(
    header: Sequence[str], body: Sequence[Sequence[str]], dialect: Dialect, path: Path
) -> tuple[bool, list[str]]:
    """Whether column 1 holds row ids, and the note on that. DataError where that is not certain, or where it is time.

    Parameters
    ----------
    header : the cells of the header; [] where there is none.
    body : cells of the first lines under it.
    """
    if dialect.index != "auto":
        return False, []
    note = ["first column taken as row ids"]
    firsts = [row[0].strip('" ') for row in body]
    corner, width = header[0].strip() if header else "", len(header or body[0])
    if all(map(dialect.is_text, firsts)):
        if all(map(is_time, firsts)):
            raise _time_error(corner, firsts, path, width)
        if last_word(corner) in _CLASSES and len({*firsts}) * 2 <= len(firsts) and not dialect.apart:
            raise _words_error(corner, firsts, path)
        return True, note
    numbers = _plain(firsts, dialect)
    if numbers and _are_times(corner, firsts, numbers):
        raise _time_error(corner, firsts, path, width)
    if header and is_id_word(corner):
        return True, note
    if len(numbers) > CLOCK_LINES and clocks(numbers, [row[1] for row in body if row[1:]], dialect):
        raise _time_error(corner, firsts, path, width)
    if not numbers or any(number % 1 for number in numbers) or (header and _is_step(corner, header[1:], dialect)):
        return False, []
    rest = [_plain(row[1:], dialect) for row in body]
    if len(set(firsts)) < len(firsts):
        if _whole_alone(firsts, rest):
            raise _whole_error(firsts, path)
        return False, []
    if not _whole(firsts):
        return False, []
    if header and dialect.is_text(corner) and steps_named(header[1:], dialect):
        return True, note
    if _stands_out(numbers, rest):
        shown = ", ".join(firsts[:3])
        what = f"the first column ({shown}, ...) may be row ids or the first step of every series"
        raise DataError(what, where=str(path), hint="--index yes if it holds row ids, --index no if it is data")
    return False, []


def _time_error(corner: str, firsts: Sequence[str], path: Path, width: int) -> DataError:
    shown = ", ".join(firsts[:2]) + (", ..." if len(firsts) > 2 else "")
    what = (
        f"the first column holds times ({shown}), and without --time-col each line is a series, its columns the steps"
    )
    name = _quoted(corner) if corner else "1"
    bare = all(len(first) < 3 and first.isdecimal() for first in firsts)  # a month, a day or an hour, or a count
    again = bare and not rises(list(map(float, firsts)))
    name = LINE if again or all(map(_CLOCK_ALONE.fullmatch, firsts)) else name  # which are no dates
    hints = [f"--time-col {name} if each line is a step of time", "--index yes if it is a series"]
    if width - 1 in DAY_LONG:
        hints.insert(1, f"--time-col {name}+{HOURS} if its columns are the hours of one series")
    return DataError(what, where=str(path), hint=", ".join(hints))


def _are_times(corner: str, firsts: Sequence[str], numbers: Sequence[float]) -> bool:
    """Whether numbers in column 1 are times: by its name, or as dates in digits or seconds since 1970 that rise."""
    dates = all(map(_DATE.fullmatch, firsts)) and len(firsts[0]) == 8
    return is_time_word(corner) or (
        len(numbers) >= 3 and rises(numbers) and (dates or (min(numbers) >= UNIX and _evenly(numbers)))
    )


def clocks(firsts: Sequence[float], seconds: Sequence[str], dialect: Dialect) -> bool:
    """Whether numbers in column 1 rise in even steps, of parts of seconds or many at once, as those beside do not.

    Parameters
    ----------
    firsts : the numbers. seconds : the cells of column 2. dialect : what a number is.
    """
    beside = _plain([cell for cell in seconds if dialect.is_number(cell)], dialect)
    step = firsts[1] - firsts[0]
    even = step not in (0, 1) and rises(firsts) and _evenly(firsts)
    return even and len(beside) > 1 and not (rises(beside) or rises(beside[::-1]))


def _whole_alone(firsts: Sequence[str], rest: Sequence[Sequence[float]]) -> bool:
    """Whether column 1 alone holds whole numbers, and few of them: classes, as in the UCR archive."""
    decimals = [any(number % 1 for number in column) for column in zip(*rest, strict=False)]
    return len(firsts) >= LEAST_LADDER and len(set(firsts)) > 1 and len(decimals) > 2 and all(decimals)


def _check_last(header: Sequence[str], lines: Sequence[str], dialect: Dialect, path: Path) -> None:
    """DataError where the last column alone holds whole numbers, and some again: classes, as people append them."""
    lasts = [line.rpartition(dialect.sep)[2].strip('" ') for line in lines]
    numbers = _plain(lasts, dialect)
    if not numbers or len(set(lasts)) * 2 > len(lasts) or any(number % 1 for number in numbers):
        return
    cells = [[cell.strip('" ') for cell in line.rsplit(dialect.sep, CELLS)] for line in lines]
    if len({len(row) for row in cells}) > 1 or (header and steps_named(header[1:], dialect)):
        return
    rest = [_plain(row[1:-1], dialect) for row in cells]  # without what may be ids
    if _whole_alone(lasts, rest):
        shown = ", ".join(sorted(set(lasts))[:5])
        what = f"the last column alone holds whole numbers, and some more than once ({shown}): classes or data"
        hint = "--task classify --label-src-ch last if these are classes of series, "
        if len(lines[0].split(dialect.sep)) <= CELLS:
            hint += "--task classify --time-col line --label-src-ch last if each line is a step of time, "
        raise DataError(what, where=str(path), hint=f"{hint}--index no if it is the last step")


def _words_error(corner: str, firsts: Sequence[str], path: Path) -> DataError:
    shown = ", ".join(sorted(set(firsts))[:5])
    what = f"the first column, {corner!r}, holds words that come again ({shown}): classes or row ids"
    hint = "--task classify --label-src-ch first if these are classes; --index yes if they are row ids"
    return DataError(what, where=str(path), hint=hint)


def _whole_error(firsts: Sequence[str], path: Path) -> DataError:
    shown = ", ".join(sorted(set(firsts))[:5])
    what = f"the first column alone holds whole numbers, and some more than once ({shown}): classes, ids or data"
    hint = "--task classify --label-src-ch first if these are classes; --index no if it is the first step, "
    hint += "--index yes if it holds row ids"
    return DataError(what, where=str(path), hint=hint)


def _quoted(word: str) -> str:
    return f"'{word}'" if " " in word else word


def _is_step(corner: str, others: Sequence[str], dialect: Dialect) -> bool:
    """Whether a header's first cell is named as the others are: t0, t1, t2, or 0, 1, 2, or dates."""
    if dialect.is_number(corner):
        return True
    return (is_time(corner) and is_time(others[0])) or _same_word(corner, others[0].strip())


def steps_named(names: Sequence[str], dialect: Dialect) -> bool:
    """Whether all names are those of steps: numbers, dates, or one word with numbers that count.

    Parameters
    ----------
    names : cells of a header.
    dialect : what a number is.
    """
    found = [_NUMBERED.fullmatch(name.strip('" ')) for name in names if name.strip()]
    numbered = all(found) and len({match[1] for match in found if match}) == 1
    return bool(found) and (numbered or all(map(is_time, names)) or all(map(dialect.is_number, names)))


def _stands_out(firsts: Sequence[float], rest: Sequence[Sequence[float]]) -> bool:
    """Whether distinct whole numbers in column 1 rise as the next column does not, or are far from all others."""
    seconds = [row[0] for row in rest if row]
    if len(firsts) >= LEAST_LADDER and rises(firsts) and not rises(seconds):
        return True
    others = [number for row in rest for number in row]
    if len(firsts) < LEAST_LADDER or not others:
        return False
    low, high = min(others), max(others)
    return min(firsts) > high + (high - low) or max(firsts) < low - (high - low)


def is_person(name: str) -> bool:
    """Whether a column, or a folder, is called as those are that say whose a line is, such as user or subject_id."""
    return name.casefold().rstrip("0123456789").removesuffix("id").rstrip("_- ").endswith(PEOPLE)
