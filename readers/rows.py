"""The rows of long tables on one regular time axis: lines sorted by row, zones, order, even steps."""

from __future__ import annotations

import itertools
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from errors import DataError
from readers import stem
from readers.categories import Coded, together
from readers.coarser import in_disorder, proposed
from readers.columns import LongFile
from readers.mapped import side_by_side, taken
from readers.paths import abridge
from readers.restarts import beginnings, row_names
from settings.zones import zone_changed_at
from times.clock import DAY, Clock
from times.summertime import HOUR, in_such_a_night

BACKWARDS = 9  # times as many steps back as forward: the lines are newest first
MOST_DOUBLED = 50  # lines of a time that comes twice which can be those of nights in which clocks are set back
MOST_TWICE = 0.02  # of a row's lines may be of a time that comes twice


class Unordered(DataError):
    """Times of a row of the file `path` do not go forward."""

    def __init__(self, what: str, *, where: str, hint: str, path: Path) -> None:
        super().__init__(what, where=where, hint=hint)
        self.path = path


@dataclass(frozen=True, eq=False)
class Rows:
    """N rows one after the other: values float [C, total], times int64 [total], offsets int64 [N+1].

    `of` [N] is the file of each row, `records` [total] the line in it; None where steps are resampled, not lines.
    `made` [total] marks the steps that stand for a missing line; None where there are none.
    `words` are those of the last channels, which are categories: their values are the words' numbers, or NaN.
    """

    values: np.ndarray
    times: np.ndarray
    offsets: np.ndarray
    names: tuple[str, ...]
    of: tuple[LongFile, ...]
    records: np.ndarray | None
    tz: str = ""
    made: np.ndarray | None = None
    words: tuple[tuple[str, ...], ...] = ()

    @property
    def numeric(self) -> int:
        """How many channels hold numbers; categories follow them."""
        return len(self.values) - len(self.words)

    @property
    def lengths(self) -> np.ndarray:
        """Steps of each row, int64 [N]."""
        return np.diff(self.offsets)

    def spans(self) -> list[tuple[int, int]]:
        """The first position of each row on the time axis, and the one after its last: N pairs."""
        return list(itertools.pairwise(self.offsets.tolist()))

    def row(self, at: int) -> int:
        """The number of the row that holds the step at position `at` of [total]."""
        return int(np.searchsorted(self.offsets, at, "right")) - 1

    def locate(self, at: int) -> str:
        """`path:line` of the step at position `at` of [total]; `path, time` where it is resampled."""
        file = self.of[self.row(at)]
        return f"{file.path}, {self.show(at)}" if self.records is None else file.locate(int(self.records[at]))

    def show(self, at: int) -> str:
        """The time of the step at position `at` of [total], as text."""
        return Clock("s", self.tz).show(self.times[at : at + 1])[0]


def join(files: Sequence[LongFile], names: Sequence[str]) -> Rows:
    """The lines of all files sorted by row, rows in the order of their first lines.

    Parameters
    ----------
    files : what was read, all with the same C channels.
    names : of the row that each file is, where it has no ids.

    Returns
    -------
    Rows with values float [C, total] and times as they were written: local where they have no offset.

    Raises
    ------
    DataError : an id is in two files.
    """
    import pandas

    of: dict[str, LongFile] = {}
    parts, orders, times, counts = [], [], [], [0]
    words, every = _same_words(files)
    for file, values, name in zip(files, every, names, strict=True):
        codes, ids = _of_one(file, name) if file.ids is None else pandas.factorize(file.ids)
        for one in ids:
            if one in of:
                what = f"id {one!r} is also in {of[one].path}"
                raise DataError(what, where=str(file.path), hint="an id is one row: join its lines in one file")
            of[one] = file
        orders.append(np.arange(file.lines) if codes is None else np.argsort(codes, kind="stable"))
        parts.append(values if codes is None else taken(values, orders[-1]))
        times.append(file.stamps.times if codes is None else file.stamps.times[orders[-1]])
        counts += [file.lines] if codes is None else np.bincount(codes).tolist()
    return Rows(
        values=side_by_side(parts),
        times=_one(times),
        offsets=np.cumsum(counts, dtype=np.int64),
        names=tuple(of),
        of=tuple(of.values()),
        records=_one(orders),
        words=words,
    )


def _of_one(file: LongFile, name: str) -> tuple[np.ndarray | None, list[str]]:
    """The number of the row of each line of a file without ids, None for one row, and the names of the rows."""
    at = beginnings(file.stamps.times) if file.stamps.counted else np.arange(0)
    if not len(at):
        return None, [name]
    return np.searchsorted(at, np.arange(file.lines), "right"), row_names(name, len(at) + 1)


def _one(parts: Sequence[np.ndarray]) -> np.ndarray:
    """Arrays [n] one after the other; of a single one no copy is made."""
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _same_words(files: Sequence[LongFile]) -> tuple[tuple[tuple[str, ...], ...], list[np.ndarray]]:
    """The words of all files' categories, and the values [C, n] of each file with their numbers."""
    words, every = files[0].words, [file.values for file in files]
    if not words or all(file.words == words for file in files):
        return words, every
    every = [values.copy() for values in every]
    found = []
    for k in range(-len(words), 0):
        coded = [Coded(file.words[k], values[k]) for file, values in zip(files, every, strict=True)]
        all_words, codes = together(coded)
        found.append(all_words)
        for values, given in zip(every, codes, strict=True):
            values[k] = given
    return tuple(found), every


def file_names(paths: Sequence[Path | str]) -> list[str]:
    """The name of each file's row: that of the file without its ending, or the whole path where two are the same."""
    names = [stem(Path(path)) for path in paths]
    return names if len(set(names)) == len(names) else [str(path) for path in paths]


def oldest_first(rows: Rows) -> tuple[Rows, list[str]]:
    """Turn round the rows whose lines come newest first.

    Parameters
    ----------
    rows : as `join` returns them.

    Returns
    -------
    The rows, and a note where some were turned.
    """
    if not (line_steps(rows) < 0).any():  # mostly so, and many rows are not looked at one by one
        return rows, []
    turned = []
    for name, (start, end) in zip(rows.names, rows.spans(), strict=True):
        steps = np.diff(rows.times[start:end])
        if (steps < 0).sum() > BACKWARDS * (steps > 0).sum():
            turned.append((name, start, end))
    if not turned:
        return rows, []
    order = np.arange(len(rows.times))
    for _, start, end in turned:
        order[start:end] = order[start:end][::-1]
    note = f"lines are newest first, and were read from the last to the first: {abridge([name for name, *_ in turned])}"
    return _ordered(rows, order), [note]


def _ordered(rows: Rows, order: np.ndarray) -> Rows:
    """The rows with their steps in another order, int64 [total]."""
    records = None if rows.records is None else rows.records[order]
    return replace(rows, values=rows.values[:, order], times=rows.times[order], records=records)


def in_order(rows: Rows, *, averaged: bool = False) -> tuple[Rows, list[str]]:
    """Sort the lines of the rows that go back in time, where the times of a row are different ones but for a few.

    Where many come twice, or all that go back may be those of an hour in autumn, they stay as they are: these lines may
    be of several series.

    Parameters
    ----------
    rows : as `set_zone` returns them.
    averaged : whether --resample averages the lines of one time, so that those in no order at all are sorted too.

    Returns
    -------
    The rows, and a note where some were sorted.
    """
    if not (line_steps(rows) < 0).any():  # mostly so, and then no index as long as the data is made
        return rows, []
    order = np.arange(len(rows.times))
    moved = 0
    for start, end in rows.spans():
        times = rows.times[start:end]
        late = int((times[1:] < np.maximum.accumulate(times)[:-1]).sum())
        by_time = start + np.argsort(times, kind="stable") if late else order[start:end]
        if late and (_few_twice(rows, start, end) or (averaged and in_disorder(times))):
            order[start:end] = by_time
            moved += late
    if not moved:
        return rows, []
    note = f"lines are not in the order of their times, and were sorted: {moved:,} of {len(order):,} come late"
    return _ordered(rows, order), [note]


def by_time(rows: Rows) -> Rows:
    """The rows with the lines of each by their times; those of one time stay in their order."""
    order = [start + np.argsort(rows.times[start:end], kind="stable") for start, end in rows.spans()]
    return _ordered(rows, np.concatenate(order))


def _few_twice(rows: Rows, start: int, end: int) -> bool:
    """Whether the times of a row that goes back, its lines from `start` to `end`, are different ones but for a few, and
    some go back for another reason than a change of clocks."""
    times = rows.times[start:end]
    twice = len(times) - len(np.unique(times))
    if not twice:
        return True
    usual = usual_step(np.diff(times))
    back = start + 1 + np.flatnonzero(np.diff(times) < 0)
    return twice <= MOST_TWICE * len(times) and not all(clock_change(rows, int(at), usual) for at in back)


def check_order(rows: Rows, *, averaged: bool, sorts: bool = False) -> None:
    """Refuse rows whose times do not go forward.

    Parameters
    ----------
    rows : N rows of times, int64 [total].
    averaged : whether --resample averages the lines of one time, so that a time may occur twice.
    sorts : whether --sort is a flag of the task, which then has none for the ids of rows.

    Raises
    ------
    DataError : at the first line that is not in order.
    """
    steps = np.diff(rows.times)
    steps[rows.offsets[1:-1] - 1] = 1  # from one row to the next
    bad = steps < 0 if averaged and not _doubled(rows, steps) else steps <= 0
    if not bad.any():
        return
    at = int(np.argmax(bad)) + 1
    start, end = rows.spans()[rows.row(at)]
    times = rows.times[start:end]
    if steps[at - 1] == 0:
        what, hint = f"time {rows.show(at)} occurs twice", f"--resample {proposed(times)} averages such lines"
    else:
        what, hint = f"times go back, from {rows.show(at - 1)} to {rows.show(at)}", "sort the lines by time"
        if in_disorder(times):
            hint = f"--resample {proposed(times)} sorts the lines by time and averages those of a step"
    if sorts:
        hint = "--sort sorts the lines by time"
    elif rows.of[0].ids is None:
        words = rows.of[0].text[:1]
        takes = f"--id-col {shlex.quote(words[0])} if that column says whose a line is" if words else ""
        hint += f"; {takes or '--id-col names the column that distinguishes several series of a file'}"
        hint += "; --time-col line takes each line as a step"
    change = clock_change(rows, at, usual_step(np.diff(times)))
    raise Unordered(what, where=rows.locate(at), hint=change or hint, path=rows.of[rows.row(at)].path)


def check_doubled(rows: Rows) -> None:
    """Refuse rows, to be sorted by time, in which clocks seem to be set back.

    Raises
    ------
    DataError : at the first line of the hour that comes twice.
    """
    steps = np.diff(rows.times)
    steps[rows.offsets[1:-1] - 1] = 1
    if _doubled(rows, steps):
        check_order(rows, averaged=False)


def _doubled(rows: Rows, steps: np.ndarray) -> bool:
    """Whether all lines that do not go forward can be those of an hour that comes twice, as no zone is known."""
    at = np.flatnonzero(steps <= 0) + 1
    if rows.tz or not 0 < len(at) <= MOST_DOUBLED:
        return False
    spans = rows.spans()
    usual = {row: usual_step(np.diff(rows.times[slice(*spans[row])])) for row in {rows.row(k) for k in at.tolist()}}
    return all(clock_change(rows, k, usual[rows.row(k)]) for k in at.tolist())


def line_steps(rows: Rows) -> np.ndarray:
    """From each time to the next of its row, ns, int64 [total - N]."""
    return np.delete(np.diff(rows.times), rows.offsets[1:-1] - 1)


def usual_step(steps: np.ndarray) -> int:
    """The most common step forward."""
    kinds, counts = np.unique(steps[steps > 0], return_counts=True)
    return int(kinds[np.argmax(counts)]) if len(kinds) else 0


def clock_change(rows: Rows, at: int, usual: int) -> str:
    """A hint where the step to `at` is an hour off the usual one, in a night in which clocks may have been changed."""
    before = rows.times[at - 1]
    night = in_such_a_night(rows.times[at - 1 : at]).all()
    if rows.tz or not night or abs(rows.times[at] - before - usual) != HOUR:
        return ""
    zone = zone_changed_at(min(int(rows.times[at]), int(before) + usual))
    return f"daylight saving time seems to begin or end here: --tz {zone}, or the zone of these times"


def span(clock: Clock) -> str:
    """A step for a message: `1h`, `36h`, `2D`, `MS`."""
    if not clock.calendar and clock.step % DAY == 0:
        return f"{clock.step // DAY}D"
    return f"1{clock.freq}" if clock.freq in ("D", "h", "min", "s", "ms", "us", "ns") else clock.freq
