"""Recordings of one file that stand one behind another: a time or a count begins again with each, or blank lines part
them. Each is a series of its own, since a window must not go from one into the next.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from errors import many
from readers.guess import is_id_word
from times.words import is_clock_word, words_of

LEAST = 5  # lines of a recording
BACK = 0.2  # of what has passed, down to which a time goes back where it begins again
LEAST_PARTED = 3  # recordings that blank lines part: one such line may stand anywhere
MOST_OF_A_PART = 366  # of a year's days, the largest number of a part of a date
_PARTS = ("hour", "hours", "hr", "minute", "minutes", "min", "second", "seconds", "sec", "day", "week", "month", "year")
_MARK = " #"  # between the name of a file and the number of a recording in it


def beginnings(times: np.ndarray) -> np.ndarray:
    """Where numbers that grow begin again, int [parts - 1]; empty where they never go back, or not to where they began.

    Parameters
    ----------
    times : float or int [n], of lines that follow one another.
    """
    none = np.empty(0, np.int64)
    at = np.flatnonzero(np.diff(times) < 0) + 1
    if not len(at) or (np.diff(times) == 0).any() or not np.isfinite(times).all():
        return none
    first, last = times[np.r_[0, at]], times[np.r_[at - 1, len(times) - 1]]
    back = first[1:] - first[:-1] <= BACK * (last[:-1] - first[:-1])
    return at if back.all() and _are_long(at, len(times)) else none


def parted(lines: np.ndarray, left_out: Sequence[int]) -> np.ndarray:
    """Where more blank lines than elsewhere stand before a line, int [parts - 1]; empty where no recordings are parted.

    Parameters
    ----------
    lines : int [n], the numbers of a table's lines in its file. left_out : of the blank ones.
    """
    before = np.diff(np.searchsorted(np.asarray(left_out), lines))
    usual = int(np.bincount(before).argmax()) if len(before) else 0
    at = np.flatnonzero(before > usual) + 1
    return at if len(at) + 1 >= LEAST_PARTED and _are_long(at, len(lines)) else np.empty(0, np.int64)


def recordings(names: Sequence[str], values: np.ndarray, blank: Sequence[int]) -> tuple[np.ndarray, list[str]]:
    """Where each recording of a table whose lines are steps begins but the first, int [parts - 1], and the note on it.

    Parameters
    ----------
    names : of C columns of numbers. values : float [C or more, n], theirs. blank : lines that blank ones part from
        those before.
    """
    for number, name in enumerate(names):
        counts = is_clock_word(name) or is_id_word(name, things=False)
        if counts and not _is_of_the_clock(name, values[number]):
            at = beginnings(values[number].astype(np.float64))
            if len(at):
                return at, [_told(len(at) + 1, f"{name!r} begins again and again")]
    told = [_told(len(blank) + 1, "blank lines part the others")] if blank else []
    return np.array(blank, np.int64), told


def _is_of_the_clock(name: str, values: np.ndarray) -> bool:
    """Whether a column is an hour, a minute or a day, which begins again by itself."""
    words = words_of(name)
    return bool(words) and words[-1] in _PARTS and bool((values % 1 == 0).all()) and values.max() <= MOST_OF_A_PART


def begin_anew(name: str, cells: Sequence[float]) -> bool:
    """Whether the first numbers of a column, of lines that follow one another, grow, maybe from their beginning again.

    Parameters
    ----------
    name : of the column. cells : of the first lines.
    """
    times = np.array(cells)
    if len(times) <= LEAST or _is_of_the_clock(name, times):
        return False
    return bool((np.diff(times) > 0).all()) or len(beginnings(times)) > 0


def counted_anew(times: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Counts of lines [n], from 0 on in each of the recordings that begin `at`."""
    starts = np.r_[0, at]
    sizes = np.diff(np.r_[starts, len(times)])
    counts: np.ndarray = np.arange(len(times), dtype=times.dtype) - np.repeat(starts, sizes).astype(times.dtype)
    return counts


def _told(count: int, why: str) -> str:
    """The note on so many recordings of a file."""
    return f"{why}: {many(count, 'recording')} one behind another, and each is a series of its own"


def row_names(name: str, count: int) -> list[str]:
    """Those of so many recordings of the file of a name."""
    return [f"{name}{_MARK}{number}" for number in range(1, count + 1)]


def file_of(row: str, known: Mapping[str, object]) -> str:
    """The file, one of `known`, whose recording a row is; the row's own name where it is a file's."""
    return row if row in known else row.rpartition(_MARK)[0]


def _are_long(at: np.ndarray, count: int) -> bool:
    """Whether no recording of those that begin `at`, in so many lines, is short, but maybe the last of several."""
    sizes = np.diff(np.r_[0, at, count])
    return bool((sizes[:-1] >= LEAST).all()) and bool(sizes[-1] >= LEAST or len(sizes) > 2)
