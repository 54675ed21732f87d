"""The cells of a long table's columns as times, ids and numbers.

pandas' C parser reads all columns at once. A column that holds something it does not take for a number is read again as
text, and so told apart: numbers in an odd spelling, categories, text that nobody asked for, a cell that should be a
number.
"""

from __future__ import annotations

import itertools
import shlex
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from errors import DataError
from readers.categories import NOTHING, Asked, Coded, left_out
from readers.dialect import Dialect
from readers.guess import LINE, is_id_word
from readers.longtext import LongText
from readers.marks import (
    check_thousands,
    may_be_marked,
    may_begin_so,
    may_hide_thousands,
    missing_hint,
    number_hint,
)
from readers.missing import is_mark, is_sign, suspects
from readers.odd import BELOW
from readers.paths import abridge
from readers.prefixes import in_one_unit
from readers.runs import MOST_CODES
from readers.units import accounted, is_starred, odd_number, odd_told, same_mark, split_mark
from settings.marks import MISSING
from times.words import is_time

AT_ONCE = 64  # columns held as text at a time
FIRST_CELLS = 200  # of a column that are looked at before all of them
MOST_TRIED = 100  # kinds of cells that are tried with other marks
MOST_UNITS = 3  # of one quantity: W, kW, MW
MOSTLY_WORDS = 9  # times the numbers in a column of text that holds some
TRUTHS = {"true": 1.0, "false": 0.0}
LEAST_AGAIN = 5  # lines for each of a column's codes
MOST_NUMBERED = 8  # channels that a message lists


@dataclass(frozen=True, eq=False)
class Parsed:
    """What the cells of n lines say.

    keys : the columns of the times and ids as pandas has them. columns : C names. values : float [C, n].
    words : of the last of the columns, which are categories, the words that their values are the numbers of.
    notes : on columns that are left out. text : those of them that hold words, and may be categories.
    """

    keys: Any
    columns: tuple[str, ...]
    values: np.ndarray
    words: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]
    text: tuple[str, ...] = ()


def parse(
    text: LongText,
    names: Sequence[str],
    keys: Sequence[str],
    columns: Sequence[str],
    asked: bool,
    categories: Asked = NOTHING,
) -> Parsed:
    """The cells of some columns.

    Parameters
    ----------
    text : the table.
    names : those of all its columns.
    keys : the column of the times, then maybe that of the ids.
    columns : those of numbers.
    asked : whether the user named these; otherwise those of text are left out.
    categories : which columns hold no numbers, but categories.

    Raises
    ------
    DataError : a cell that is not a number, with `path:line:column`; no column of numbers or categories.
    """
    coded = {name: _coded(words) for name, words in _words(text, names, _in(columns, categories.named))}
    plain = [name for name in columns if name not in coded]
    frame = _frame(text, names, keys, plain)
    odd = _no_numbers(frame, text, keys)
    values = _values(frame, plain, odd)
    odd |= _truths(text, names, plain, values)
    for name, words in _words(text, names, may_be_grouped(text, plain, values)):
        check_thousands(words.kinds, text.dialect, f"{text.path}, column {name!r}")
    numbers, left, wrong = _read_again(text, names, _in(plain, odd), plain if asked else (), categories.chosen)
    for name, words in numbers.items():
        values[plain.index(name)] = np.array(words.numbers)[words.codes]
    coded |= {name: _coded(left.pop(name)) for name in _in(list(left), categories.chosen)}
    empty = [] if asked else without_value(plain, values, [*numbers, *left, *wrong, *coded])
    kept = [name for name in plain if name not in left and name not in coded and name not in empty]
    if wrong or not kept + list(coded):
        name = next(iter(wrong or left))
        good = [k for k in kept if k not in wrong and _measures(k, values[plain.index(k)])]
        good = [] if asked else good  # what is asked for cannot be left out
        raise _not_a_number(text, names, name, wrong.get(name) or left[name], good, categories)
    if len(kept) < len(plain):
        values = values[[name in kept for name in plain]]
    notes = suspects(values, kept)
    last = _in(columns, coded)
    if last:
        values = np.concatenate([values, np.stack([coded[name].codes for name in last])])
    recurring = _recurring(left, frame, keys[1:]) if categories.free else ()
    told = _left_out(left, kept, columns, recurring)
    told += spelled({name: (words.mark, words.told) for name, words in numbers.items()})
    told += (f"warning: left out, since without a value: {abridge(empty)}",) * bool(empty)
    coded_words = tuple(coded[name].words for name in last)
    return Parsed(frame[list(keys)], (*kept, *last), values, coded_words, (*told, *notes), tuple(recurring))


def without_value(columns: Sequence[str], values: np.ndarray, others: Container[str]) -> list[str]:
    """The columns of numbers in which there is none, where another has some.

    Parameters
    ----------
    columns : the C names. values : [C, n]. others : names that hold something else.
    """
    if np.isfinite(values[:, :1]).all():  # mostly the first line shows it
        return []
    bare = [name for name, row in zip(columns, values, strict=True) if name not in others and np.isnan(row).all()]
    return bare if len(bare) < len(columns) else []


def spelled(numbers: Mapping[str, tuple[str, str]]) -> tuple[str, ...]:
    """Notes on columns whose numbers have more around them than digits: {name: (what, how odd cells are taken)}."""
    marks = [f"{name} in {mark}" for name, (mark, _) in numbers.items() if mark not in ("", BELOW)]
    below = [name for name, (mark, _) in numbers.items() if mark == BELOW]
    odd = [f"in {name}, {way}" for name, (_, way) in numbers.items() if way]
    told = [f"numbers in brackets or before a minus are taken as below zero: {abridge(below)}"] * bool(below)
    told += [f"{'; '.join(odd[:MOST_NUMBERED])}; --strict refuses that"] * bool(odd)
    return (*told, *[f"units beside the numbers left out: {abridge(marks)}"] * bool(marks))


def _in(names: Iterable[str], chosen: Container[str]) -> list[str]:
    return [name for name in names if name in chosen]


def _coded(words: _Words) -> Coded:
    return Coded.of(words.kinds, words.numbers, words.codes)


def plain_numbers(
    text: LongText, names: Sequence[str], keys: Sequence[str], columns: Sequence[str], *, dated: bool
) -> tuple[Any, np.ndarray] | None:
    """The keys as pandas has them, and the values [n, C] of columns of plain numbers; None where one is none.

    Parameters
    ----------
    text, names, keys, columns : as for `parse`.
    dated : whether times are dates, not numbers.
    """
    frame = _frame(text, names, keys, columns, dated=dated)
    if _no_numbers(frame, text, keys):
        return None
    values = frame[list(columns)].to_numpy(np.float64)
    doubtful = [name for name, first in zip(columns, values[0], strict=True) if first in (0, 1) or first != first]
    return None if _truths(text, names, doubtful, frame[doubtful].to_numpy(np.float64).T) else (frame, values)


def _no_numbers(frame: Any, text: LongText, keys: Sequence[str]) -> set[str]:
    """The columns that pandas did not take for numbers, or all where these have marks that it does not know."""
    return {name for name, dtype in frame.dtypes.items() if dtype.kind not in "iuf" or text.dialect.grouped} - set(keys)


def _frame(
    text: LongText, names: Sequence[str], keys: Sequence[str], columns: Sequence[str], *, dated: bool = True
) -> Any:
    """The keys and the columns of numbers as pandas has them; a column with something else is no column of numbers."""
    import pandas

    # A list for each column costs time a column, and only ids need it: the id NA is no missing value.
    marks = [*MISSING, " ", *text.dialect.na]
    missing: Any = marks if len(keys) == 1 else dict.fromkeys(columns, tuple(marks))
    options: dict[str, Any] = {"na_values": missing, "parse_dates": list(keys[:1]) if dated else False}
    kinds: dict[str, Any] = dict.fromkeys(keys[1:], object)
    try:
        return text.frame(names, [*keys, *columns], dtype=kinds | dict.fromkeys(columns, np.float64), **options)
    except pandas.errors.ParserError as error:
        raise DataError(f"cannot be read as CSV: {error}", where=str(text.path)) from None
    except ValueError:  # a cell that the parser does not accept as a number
        return text.cells_of(names, [*keys, *columns], dtype=kinds, **options)


def _values(frame: Any, columns: Sequence[str], odd: Container[str]) -> np.ndarray:
    """The columns of a frame as values [C, n], NaN in those that are odd. A column at a time takes a tenth of a ms."""
    if not any(name in odd for name in columns):
        return np.require(frame[list(columns)].to_numpy(np.float64).T, requirements=["C", "W"])
    values = np.full((len(columns), len(frame)), np.nan)
    for channel, name in enumerate(columns):
        if name not in odd:
            values[channel] = frame[name]
    return values


def may_be_grouped(text: LongText, columns: Sequence[str], values: np.ndarray) -> list[str]:
    """The columns of which the values [C, n] let the decimal mark be one of thousands."""
    if text.dialect.thousands or not text.written:
        return []
    found = [columns[c] for c in np.flatnonzero(may_begin_so(values)).tolist() if may_hide_thousands(values[c])]
    return _with_threes(text, found) if found else []


def _with_threes(text: LongText, columns: Sequence[str]) -> list[str]:
    """Those columns whose first cells all have three digits behind a mark: to read a column as text takes all lines."""
    rows = itertools.islice(text.lines(), FIRST_CELLS)
    at = {name.strip(): number for number, name in enumerate(next(rows)[1])}
    left = [name for name in columns if name in at]
    for _, cells in rows:
        left = [name for name in left if may_be_marked(cells[at[name]], text.dialect)]
        if not left:
            break
    return [name for name in columns if name not in at or name in {*left}]


def _truths(text: LongText, names: Sequence[str], columns: Sequence[str], values: np.ndarray) -> set[str]:
    """The columns of False and True, of which the parser makes 0 and 1."""
    lines: dict[int, list[str]] = {}
    found = set()
    at = {name: number for number, name in enumerate(names)}
    for name, given in zip(columns, values, strict=True):
        first = int(np.argmax(~np.isnan(given)))
        if given[first] in (0, 1):
            if first not in lines:
                lines[first] = text.cells(first)
            if text.dialect.is_text(lines[first][at[name]]):
                found.add(name)
    return found


def _read_again(
    text: LongText, names: Sequence[str], odd: Sequence[str], asked: Container[str], chosen: Container[str]
) -> tuple[dict[str, _Words], dict[str, _Words], dict[str, _Words]]:
    """Columns that the parser did not take for numbers: those that are, those of text, those in error.

    Text in a column that is asked for is an error, unless it is among those `chosen` for what they hold.
    """
    numbers: dict[str, _Words] = {}
    left: dict[str, _Words] = {}
    wrong: dict[str, _Words] = {}
    for name, words in _words(text, names, odd):
        if None not in words.numbers:
            numbers[name] = words
        elif name not in chosen and (truths := _as_truths(words, text.dialect)):
            numbers[name] = truths
        elif (name not in asked or name in chosen) and _is_text(words, text.dialect):
            left[name] = words
        else:
            wrong[name] = words
    return numbers, left, wrong


@dataclass(frozen=True, eq=False)
class _Words:
    """A column as text: the k `kinds` of its cells, the number that each spells or None, the kind of each line [n]."""

    kinds: Sequence[str]
    numbers: Sequence[float | None]
    codes: np.ndarray
    mark: str = ""  # the unit that is beside each of the numbers
    told: str = ""  # how cells were taken that are no plain numbers


def _words(text: LongText, names: Sequence[str], columns: Sequence[str]) -> Iterator[tuple[str, _Words]]:
    """Columns as text, one after the other."""
    import pandas

    for begin in range(0, len(columns), AT_ONCE):
        part = columns[begin : begin + AT_ONCE]
        frame = text.cells_of(names, part, dtype=object, na_filter=False)
        for name in part:
            codes, kinds = pandas.factorize(frame[name].to_numpy(object))
            mark, told = "", ""
            numbers: Sequence[float | None] = list(map(text.dialect.number, kinds))
            if None in numbers and text.written and not text.dialect.strict:
                plain, mark = same_mark(kinds, text.dialect)
                spelled = list(map(text.dialect.number, plain if mark else map(accounted, kinds)))
                mark = mark or BELOW * (None not in spelled)
                numbers = spelled if mark else numbers
            if None in numbers and text.written and not text.dialect.strict:
                scaled, told = in_one_unit(kinds, codes, text.dialect)
                numbers = scaled or numbers
            if None in numbers and text.written and not text.dialect.strict:
                numbers, told = _among_numbers(kinds, numbers, codes, text.dialect)
            yield name, _Words(kinds, numbers, codes, mark, told)


def _among_numbers(
    kinds: Sequence[str], numbers: Sequence[float | None], codes: np.ndarray, dialect: Dialect
) -> tuple[Sequence[float | None], str]:
    """The numbers of a column in which some cells are no plain ones, and how these were taken: see `odd_number`.

    All cells must be such or numbers, and numbers more: a column of text keeps its words.
    """
    counts = np.bincount(codes, minlength=len(kinds))
    odd = [at for at, number in enumerate(numbers) if number is None]
    known = sum(int(counts[at]) for at, number in enumerate(numbers) if number is not None and number == number)
    read = {at: odd_number(kinds[at], dialect) for at in odd}
    starred = [at for at in odd if is_starred(kinds[at])]  # are numbers, most of which may have the note
    known += int(counts[starred].sum())
    words = [at for at in odd if not is_sign(kinds[at]) and at not in {*starred}]
    if not known or int(counts[words].sum()) > known or None in read.values():
        return numbers, ""
    taken = list(numbers)
    found: Counter[tuple[str, str]] = Counter()
    for at, (value, way) in ((at, taken_as) for at, taken_as in read.items() if taken_as):
        taken[at] = value
        found[kinds[at].strip(), way] += int(counts[at])
    return taken, " and ".join(odd_told(found, "line"))


def _as_truths(words: _Words, dialect: Dialect) -> _Words | None:
    """A column of True and False, in any case, as 1 and 0, the numbers that others write; None of other text."""
    values = [
        TRUTHS.get(kind.strip().casefold(), number) for kind, number in zip(words.kinds, words.numbers, strict=True)
    ]
    known = {value for value, number in zip(values, words.numbers, strict=True) if number is None}
    mixed = any(number is not None and number == number for number in words.numbers)
    if dialect.strict or mixed or not known or None in known:
        return None
    return replace(words, numbers=values, told="True is 1 and False is 0")


def _is_text(words: _Words, dialect: Dialect) -> bool:
    """Whether a column holds text: no number at all, a few among words (a car called 800), or codes of which some are
    words that come again (0, a, b, c; 0, 1, 2, 3+)."""
    if not _some_number(words, dialect):
        return not _some_mark(words)
    if any(number_hint([kind], dialect) for kind in words.kinds[:MOST_TRIED]) or _some_mark(words):
        return False
    counts = np.bincount(words.codes, minlength=len(words.kinds))
    known = np.array([number is not None and number == number for number in words.numbers])
    odd = np.array([number is None for number in words.numbers])
    if int(counts[odd].sum()) >= MOSTLY_WORDS * int(counts[known].sum()) and odd.sum() > known.sum():
        return True
    whole = all(number is None or number != number or number % 1 == 0 for number in words.numbers)
    again = bool((counts[odd] > 1).all()) and not any(is_sign(kind) for kind in words.kinds)
    return whole and again and len(words.kinds) <= MOST_CODES and len(words.codes) >= LEAST_AGAIN * len(words.kinds)


def _some_number(words: _Words, dialect: Dialect) -> bool:
    """Whether some cells of a column are numbers, or would be with another flag."""
    known = any(number is not None and number == number for number in words.numbers)
    return known or any(number_hint([kind], dialect) for kind in words.kinds[:MOST_TRIED])


def _some_mark(words: _Words) -> bool:
    """Whether most cells of a column are numbers with a unit: of several units, or some without one.

    Of more units than one quantity has (37F, 12A, 4B, ...) the cells are codes.
    """
    found = [split_mark(kind) for kind in words.kinds[:MOST_TRIED]]
    units = [each[1] for each in found if each]
    return 2 * len(units) > len(found) and len({*units}) <= MOST_UNITS


def _recurring(left: Mapping[str, _Words], frame: Any, ids: Sequence[str]) -> list[str]:
    """The columns of text to propose as categories: those whose words recur, or else the first that has several, and
    does not name each series again. Other times, such as the ends of steps, are none."""
    some = {name: filter(None, words.kinds[:MOST_TRIED]) for name, words in left.items()}
    left = {name: left[name] for name, kinds in some.items() if not all(map(is_time, kinds))}
    rows = frame.groupby(list(ids)).ngroup().to_numpy() if left and ids else np.zeros(len(frame), int)
    coded = {name: _coded(words) for name, words in left.items()}
    series = len(np.unique(rows))
    several = [
        name for name, column in coded.items() if len(column.words) > 1 and (series == 1 or len(column.words) != series)
    ]
    return [name for name, column in coded.items() if column.recurs(rows)] or several[:1]


def _left_out(
    left: Mapping[str, _Words], kept: Sequence[str], columns: Sequence[str], recurring: Sequence[str]
) -> tuple[str, ...]:
    """The note on columns of text; where the numbers of channels shift with them, it gives these."""
    if not left:
        return ()
    words = [[cell.strip() for cell in each.kinds if cell.strip()] for each in left.values()]
    note = left_out(list(left), words, recurring)
    if list(columns[: len(kept)]) != list(kept):
        note += f"; the channels are {', '.join(f'{k} {name}' for k, name in enumerate(kept[:MOST_NUMBERED]))}"
        note += ", ..." if len(kept) > MOST_NUMBERED else ""
    return (note,)


def _mixed_marks(text: LongText, names: Sequence[str], name: str, words: _Words) -> DataError | None:
    """The error for a column whose cells have several units, or for some of which there is none; None where all have
    the same, and it is their numbers that are odd."""
    units = [found[1] if (found := split_mark(kind)) else "" for kind in words.kinds]
    if len({*units}) < 2:
        return None
    (usual, _), *_, (rare, _) = Counter(units).most_common()
    kind = units.index(rare)
    what = f"{words.kinds[kind].strip()[:40]!r} where most cells of the column {name!r} are in {usual}"
    line = text.locate(int(np.argmax(words.codes == kind)))
    return DataError(what, where=f"{line}:{column_of(names, name)}", hint="write all cells in one unit, or without it")


def column_of(names: Sequence[str], name: str) -> int:
    """The number of a column in its file, from 1 on, where the count that is put before lines which are steps is none.

    Parameters
    ----------
    names : of all columns. name : one of them.
    """
    return names.index(name) + (names[0] != LINE)


def _measures(name: str, values: np.ndarray) -> bool:
    """Whether a column of numbers [n] is worth reading alone: not called as ids are, nor one number in each line."""
    return not is_id_word(name, things=False) and bool(np.fmin.reduce(values) < np.fmax.reduce(values))


def _not_a_number(
    text: LongText, names: Sequence[str], name: str, words: _Words, good: Sequence[str], asked: Asked
) -> DataError:
    """The error for the first cell of a column that is not a number; `good` are the columns without one."""
    if not text.dialect.strict and _some_mark(words) and (mixed := _mixed_marks(text, names, name, words)):
        return mixed
    kind = words.numbers.index(None)
    cell = words.kinds[kind]
    if number_hint([cell], text.dialect):
        odd = [each for each, number in zip(words.kinds, words.numbers, strict=True) if number is None]
        plain = [each for each in words.kinds if text.dialect.is_number(each)]
        hint = number_hint([*odd, *plain], text.dialect) or number_hint([cell], text.dialect)
    else:
        odd = [each for each, n in zip(words.kinds, words.numbers, strict=True) if n is None and not is_mark(each)]
        hint = missing_hint(cell, odd)
        if good:
            some = shlex.join(good) if len(good) <= MOST_NUMBERED else "NAME..."
            hint += f"; --columns {some} leaves the column out"
    if asked.free and not number_hint([cell], text.dialect):
        hint += f"; --categorical {shlex.quote(name)} takes what it holds as categories"
    line = text.locate(int(np.argmax(words.codes == kind)))
    what = f"text {cell[:40]!r} where a number is expected, in column {name!r}"
    return DataError(what, where=f"{line}:{column_of(names, name)}", hint=hint)
