"""The rows of long tables on one regular time axis: lines sorted by row, zones, order, even steps or means."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from errors import DataError
from readers import stem
from readers.clock import DAY, Clock, fixed_freq, infer_clock
from readers.columns import LongFile
from readers.paths import abridge
from readers.stamps import to_utc

HOUR = DAY // 24
LEAST_STEPS = 3  # with fewer, nothing shows that the steps are even
MOST_EMPTY = 100  # steps per line; more of them means that --resample is a mistake
HEADS = (12, 6, 3)  # steps at the start of a row that are searched for business days or months
_CHANGES = (3, 4, 10, 11)  # months in which clocks are changed


@dataclass(frozen=True, eq=False)
class Rows:
    """N rows one after the other: values float32 [C, total], times int64 [total], offsets int64 [N+1].

    `of` [N] is the file of each row, `records` [total] the line in it; None where steps are resampled, not lines.
    """

    values: np.ndarray
    times: np.ndarray
    offsets: np.ndarray
    names: tuple[str, ...]
    of: tuple[LongFile, ...]
    records: np.ndarray | None
    tz: str = ""

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


def join(files: Sequence[LongFile]) -> Rows:
    """The lines of all files sorted by row, rows in the order of their first lines.

    Parameters
    ----------
    files : what was read, all with the same C channels.

    Returns
    -------
    Rows with values float32 [C, total] and times as they were written: local where they have no offset.

    Raises
    ------
    DataError : an id is in two files.
    """
    import pandas

    of: dict[str, LongFile] = {}
    parts, orders, counts = [], [], [0]
    for file, name in zip(files, _file_names(files), strict=True):
        codes, ids = (np.zeros(file.lines, np.intp), [name]) if file.ids is None else pandas.factorize(file.ids)
        for one in ids:
            if one in of:
                what = f"id {one!r} is also in {of[one].path}"
                raise DataError(what, where=str(file.path), hint="an id is one row: join its lines in one file")
            of[one] = file
        orders.append(np.argsort(codes, kind="stable"))
        parts.append(file.values if file.ids is None else file.values[:, orders[-1]])
        counts += np.bincount(codes).tolist()
    return Rows(
        values=parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1),
        times=np.concatenate([file.stamps.times[order] for file, order in zip(files, orders, strict=True)]),
        offsets=np.cumsum(counts, dtype=np.int64),
        names=tuple(of),
        of=tuple(of.values()),
        records=np.concatenate(orders),
    )


def _file_names(files: Sequence[LongFile]) -> list[str]:
    """The name of each file's row: that of the file without its ending, or the whole path where two are the same."""
    names = [stem(file.path) for file in files]
    return names if len(set(names)) == len(names) else [str(file.path) for file in files]


def set_zone(rows: Rows, tz: str) -> tuple[Rows, list[str]]:
    """Set the zone of the times; where it is known they become UTC.

    Parameters
    ----------
    rows : as `join` returns them.
    tz : the zone of times without an offset, in which all are shown; "" where that is unknown.

    Returns
    -------
    The rows, and a note where their times have several offsets.

    Raises
    ------
    DataError : only some files give offsets, or a time does not exist in `tz` or occurs twice.
    """
    files = list(dict.fromkeys(rows.of))
    naive = [file for file in files if not file.stamps.zones]
    aware = [file for file in files if file.stamps.zones]
    if naive and aware:
        what = f"times have no offset from UTC, where those of {aware[0].path} have one"
        raise DataError(what, where=str(naive[0].path), hint="give all times an offset, or none and --tz")
    if naive:
        return replace(rows, times=to_utc(rows.times, tz, rows.offsets, rows.locate), tz=tz), []
    zones = sorted(set[str]().union(*(file.stamps.zones for file in aware)))
    if tz or len(zones) == 1:
        return replace(rows, tz=tz or zones[0]), []
    note = f"times have several offsets ({abridge(zones)}) and are shown in UTC; --tz names their zone"
    return replace(rows, tz="UTC"), [note]


def check_order(rows: Rows, *, averaged: bool) -> None:
    """Refuse rows whose times do not go forward.

    Parameters
    ----------
    rows : N rows of times, int64 [total].
    averaged : whether --resample averages the lines of one time, so that a time may occur twice.

    Raises
    ------
    DataError : at the first line that is not in order.
    """
    steps = np.diff(rows.times)
    steps[rows.offsets[1:-1] - 1] = 1  # from one row to the next
    bad = steps < 0 if averaged else steps <= 0
    if not bad.any():
        return
    at = int(np.argmax(bad)) + 1
    start, end = rows.spans()[rows.row(at)]
    if steps[at - 1] == 0:
        what, hint = f"time {rows.show(at)} occurs twice", "--resample 1h, or another step, averages such lines"
    else:
        what, hint = f"times go back, from {rows.show(at - 1)} to {rows.show(at)}", "sort the lines by time"
    if rows.of[0].ids is None:
        hint += "; --id-col names the column that distinguishes several series of a file"
    change = _clock_change(rows, at, _usual(np.diff(rows.times[start:end])))
    raise DataError(what, where=rows.locate(at), hint=change or hint)


def check_lengths(rows: Rows) -> None:
    """Refuse short rows.

    Raises
    ------
    DataError : a row has fewer than LEAST_STEPS steps.
    """
    if (rows.lengths < LEAST_STEPS).any():
        row = int(np.argmax(rows.lengths < LEAST_STEPS))
        steps = f"{rows.lengths[row]} step{'s' * int(rows.lengths[row] > 1)}"
        what = f"row {rows.names[row]!r} has {steps}, fewer than {LEAST_STEPS}"
        raise DataError(what, where=str(rows.of[row].path))


def common_clock(rows: Rows) -> Clock:
    """The clock of all rows.

    Parameters
    ----------
    rows : N rows of at least three times each, in order.

    Raises
    ------
    DataError : at the first irregular step, or for a row whose step is not that of the others.
    """
    steps = _steps(rows)
    if (steps == steps[0]).all() and steps[0] % DAY:
        return Clock(fixed_freq(int(steps[0])), rows.tz)
    clocks = []
    for start, end in rows.spans():
        clock = infer_clock(rows.times[start:end], rows.tz)
        if clock is None:
            raise _odd_step(rows, start, end)
        clocks.append(clock)
    longest = int(np.argmax(rows.lengths))
    for row, (start, end) in enumerate(rows.spans()):
        times = rows.times[start:end]
        # A few lines may fit another clock than theirs: five business days, or months of 31 days.
        if clocks[row] != clocks[longest] and (clocks[longest].extend(times[0], len(times) - 1) != times[1:]).any():
            here, there = _span(clocks[row]), _span(clocks[longest])
            what = f"row {rows.names[row]!r} has steps of {here}, where row {rows.names[longest]!r} has {there}"
            coarser = max(clocks[row], clocks[longest], key=lambda clock: clock.step)
            hint = f"--resample {_span(coarser)} brings all rows to one step"
            raise DataError(what, where=str(rows.of[row].path), hint=hint)
    return clocks[longest]


def _odd_step(rows: Rows, start: int, end: int) -> DataError:
    """For a row that is not regular: the first step that is not the usual one."""
    times = rows.times[start:end]
    steps = np.diff(times)
    if _usual(steps) >= DAY:
        steps = np.diff(Clock("D", rows.tz).wall(times))
    usual = _usual(steps)
    heads = (infer_clock(times[:size], rows.tz) for size in HEADS)
    clock = next((head for head in heads if head and head.calendar and not head.freq.endswith("D")), None)
    if clock:
        odd = clock.extend(int(times[0]), len(steps)) != times[1:]
    else:
        clock, odd = Clock(fixed_freq(usual), rows.tz), steps != usual
    at = int(np.argmax(odd))
    what = f"a step of {_span(Clock(fixed_freq(int(steps[at]))))}, where the usual step is {_span(clock)}"
    hint = f"--resample {_span(clock)} makes the steps regular; a step without a line is then a missing value (--nan)"
    change = _clock_change(rows, start + at + 1, usual)
    return DataError(what, where=rows.locate(start + at + 1), hint=f"{change}; {hint}" if change else hint)


def _steps(rows: Rows) -> np.ndarray:
    """From each time to the next of its row, ns, int64 [total - N]."""
    return np.delete(np.diff(rows.times), rows.offsets[1:-1] - 1)


def _usual(steps: np.ndarray) -> int:
    """The most common step forward."""
    kinds, counts = np.unique(steps[steps > 0], return_counts=True)
    return int(kinds[np.argmax(counts)]) if len(kinds) else 0


def _clock_change(rows: Rows, at: int, usual: int) -> str:
    """A hint where the step to `at` is an hour off the usual one, in a night in which clocks may have been changed."""
    before = rows.times[at - 1]
    month = before.astype("datetime64[ns]").astype("datetime64[M]").astype(int) % 12 + 1
    night = before % DAY < 4 * HOUR
    if rows.tz or not night or month not in _CHANGES or abs(rows.times[at] - before - usual) != HOUR:
        return ""
    return "daylight saving time seems to begin or end here: --tz Europe/Berlin, or the zone of these times"


def _span(clock: Clock) -> str:
    """A step for a message: `1h`, `36h`, `2D`, `MS`."""
    if not clock.calendar and clock.step % DAY == 0:
        return f"{clock.step // DAY}D"
    return f"1{clock.freq}" if clock.freq in ("D", "h", "min", "s", "ms", "us", "ns") else clock.freq


def average(rows: Rows, clock: Clock) -> tuple[Rows, str]:
    """The mean of the values within each step, NaN where there are none; a step's time is its beginning.

    Parameters
    ----------
    rows : values [C, total]; infinite ones count as missing.
    clock : the step and the zone.

    Returns
    -------
    The rows with values [C, total'] on the regular axis, and a note.

    Raises
    ------
    DataError : there would be far more steps than lines.
    """
    edges, step_of = _grid(rows.times, clock)
    first, last = step_of[rows.offsets[:-1]], step_of[rows.offsets[1:] - 1]
    lengths = last - first + 1
    if (lengths > MOST_EMPTY * rows.lengths).any():
        row = int(np.argmax(lengths > MOST_EMPTY * rows.lengths))
        what = f"{lengths[row]:,} steps of {_span(clock)} for {rows.lengths[row]:,} lines of row {rows.names[row]!r}"
        raise DataError(what, where="--resample", hint="choose a longer step")
    offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    at = step_of + np.repeat(offsets[:-1] - first, rows.lengths)
    values = np.empty((len(rows.values), offsets[-1]), np.float32)
    for channel, given in enumerate(rows.values):
        finite = np.isfinite(given)
        sums = np.bincount(at[finite], given[finite], minlength=offsets[-1])
        counts = np.bincount(at[finite], minlength=offsets[-1])
        values[channel] = np.divide(sums, counts, out=np.full(len(sums), np.nan), where=counts > 0)
    times = edges(np.arange(offsets[-1]) + np.repeat(first - offsets[:-1], lengths))
    note = f"{len(rows.times):,} lines resampled to {len(times):,} steps of {_span(clock)}"
    twice = int((_steps(rows) == 0).sum())
    infinite = int(np.isinf(rows.values).sum())
    note += f"; {twice:,} lines of the same time as the line before averaged with it" if twice else ""
    note += f"; {infinite:,} infinite values left out" if infinite else ""
    return replace(rows, values=values, times=times, offsets=offsets, records=None), note


def _grid(times: np.ndarray, clock: Clock) -> tuple[Callable[[np.ndarray], np.ndarray], np.ndarray]:
    """The steps of a clock that stamps [n] fall in: a function from a step's number to its beginning, and the numbers.

    They are counted from the midnight before the first stamp, or from the beginning of its month, week or so.
    """
    import pandas

    start = int(clock.wall(times.min(keepdims=True))[0]) // DAY * DAY
    if not clock.calendar:
        origin = int(clock.of_wall(np.array([start]))[0])
        return lambda number: origin + number * clock.step, (times - origin) // clock.step
    begin = clock.offset().rollback(pandas.Timestamp(start)).value
    first = clock.of_wall(np.array([begin]))
    edges = np.append(first, clock.extend(int(first[0]), int(times.max() - first[0]) // clock.step + 1))
    return lambda number: edges[number], np.searchsorted(edges, times, "right") - 1
