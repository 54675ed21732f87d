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
from readers.clock import DAY, Clock, infer_clock
from readers.coarser import in_disorder, proposed
from readers.columns import LongFile
from readers.frequencies import fixed_freq
from readers.mapped import side_by_side, taken
from readers.paths import abridge
from readers.restarts import beginnings, row_names
from readers.summertime import HOUR, in_such_a_night
from settings.zones import zone_changed_at

BACKWARDS = 9  # times as many steps back as forward: the lines are newest first
MOST_DOUBLED = 50  # lines of a time that comes twice which can be those of nights in which clocks are set back
SELDOM, TENTH = 0.1, DAY // 864_000  # of the steps have the usual length; ns
SECOND, MILLI, MICRO = 10 * TENTH, TENTH // 100, TENTH // 100_000  # ns
GAP, NEAR = 3, 0.002  # times the middle step, from which on lines are missing; of a rate, by which one is off
YEAR = 365.25  # days
MONTHS = ((28, 31, "MS"), (59, 62, "2MS"), (89, 92, "QS"), (181, 184, "2QS"), (365, 366, "YS"))  # days, a step
EVEN = [count * DAY // 86_400 for count in (1, 2, 5, 10, 15, 20, 30)]  # ns, of which readings are some seconds off
EVEN += [60 * step for step in EVEN] + [3600 * count * EVEN[0] for count in (1, 2, 3, 4, 6, 8, 12)]
MOST_TWICE = 0.02  # of a row's lines may be of a time that comes twice
COMMON = 0.3  # of a row's steps are as long as the usual one, or no length is usual
HEADS = (12, 6, 3)  # steps at the start of a row that are searched for business days or months


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
    raise DataError(what, where=rows.locate(at), hint=change or hint)


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


def common_clock(rows: Rows) -> Clock:
    """The clock of all rows.

    Parameters
    ----------
    rows : N rows of at least three times each, in order.

    Raises
    ------
    DataError : at the first irregular step, or for a row whose step is not that of the others.
    """
    steps = line_steps(rows)
    if (steps == steps[0]).all() and steps[0] % DAY:
        return Clock(fixed_freq(int(steps[0])), rows.tz)
    clocks = []
    known: dict[bytes, Clock | None] = {}  # mostly rows have the same times
    for start, end in rows.spans():
        times = rows.times[start:end]
        key = times.tobytes()
        clock = known[key] = known[key] if key in known else infer_clock(times, rows.tz)
        if clock is None:
            raise _odd_step(rows, start, end)
        clocks.append(clock)
    longest = int(np.argmax(rows.lengths))
    for row, (start, end) in enumerate(rows.spans()):
        times = rows.times[start:end]
        # A few lines may fit another clock than theirs: five business days, or months of 31 days.
        if clocks[row] != clocks[longest] and not np.array_equal(
            clocks[longest].reach(times[0], len(times) - 1), times[1:]
        ):
            here, there = span(clocks[row]), span(clocks[longest])
            what = f"row {rows.names[row]!r} has steps of {here}, where row {rows.names[longest]!r} has {there}"
            coarser = max(clocks[row], clocks[longest], key=lambda clock: clock.step)
            step = span(coarser.by_beginning).partition("@")[0]  # the hours of a day are no part of a step
            hint = f"--resample {step} brings all rows to one step"
            raise DataError(what, where=str(rows.of[row].path), hint=hint)
    return clocks[longest]


def _odd_step(rows: Rows, start: int, end: int) -> DataError:
    """For a row that is not regular: the first step that is not the usual one."""
    times = rows.times[start:end]
    steps = np.diff(times)
    if usual_step(steps) >= DAY:
        steps = np.diff(Clock("D", rows.tz).wall(times))
    usual = _common_step(steps)
    heads = (infer_clock(times[:size], rows.tz) for size in HEADS)
    named = next((head for head in heads if head and head.named), None)
    if usual == DAY and no_weekend(Clock("D", rows.tz).wall(times)):
        named = Clock("B", rows.tz)
    clock = named or Clock(fixed_freq(usual), rows.tz)
    if named:
        odd = clock.extend(int(times[0]), len(steps)) != times[1:]
    else:
        odd = steps != usual
    at = int(np.argmax(odd))
    what = f"a step of {span(Clock(fixed_freq(int(steps[at]))))}, where the usual step is {span(clock)}"
    if _weeks_445(steps):
        hint = "these are months of 4 and 5 weeks (4-4-5), which are not even; --resample 91D averages their quarters"
        return DataError(what, where=rows.locate(start + at + 1), hint=hint)
    days = usual / DAY
    years = round(days / YEAR)
    known = [*MONTHS, (365 * years, 366 * years, f"{years}YS")]
    long = next((Clock(freq) for low, high, freq in known if low <= days <= high), clock)
    better = span(clock.by_beginning if named else _even(long, steps))
    hint = f"--resample {better} makes the steps regular; a step without a line is then a missing value (--nan)"
    hint += "; --time-col line takes each line as a step, whatever its time"
    change = clock_change(rows, start + at + 1, usual)
    return DataError(what, where=rows.locate(start + at + 1), hint=f"{change}; {hint}" if change else hint)


def _even(clock: Clock, steps: np.ndarray) -> Clock:
    """A clock's step, or the usual one that is a hundredth away from it: readings an hour apart, to some seconds.

    Of `steps` that are as they come, as of a sensor that reports what changes, the next usual one above their median.
    """
    if clock.calendar:
        return clock
    mean = float(steps.mean())  # of steps of 31, 31 and 28 seconds it says more than the usual one
    near = [unit for unit in EVEN if abs(clock.step - unit) * 100 <= unit]
    near = near or [unit for unit in EVEN if abs(mean - unit) * 100 <= unit and abs(clock.step - unit) * 10 <= unit]
    if not near and clock.step >= SECOND and (steps == clock.step).mean() < COMMON:
        near = [unit for unit in EVEN if unit >= np.median(steps)]
    return Clock(fixed_freq(near[0])) if near else clock


def no_weekend(wall: np.ndarray) -> bool:
    """Whether none of some days is a Saturday or a Sunday, though they are more than a week's."""
    return len(wall) > 5 and bool(((wall // DAY + 3) % 7 < 5).all())


def _weeks_445(steps: np.ndarray) -> bool:
    """Whether steps are those of months of four and five weeks, a third of them five (or six, in a year of 53)."""
    weeks, rest = np.divmod(steps, 7 * DAY)
    longer = int((weeks > 4).sum())
    third = len(weeks) <= 3 * longer + 2 and 2 * longer < len(weeks)
    return third and not rest.any() and set(weeks.tolist()) <= {4, 5, 6}


def line_steps(rows: Rows) -> np.ndarray:
    """From each time to the next of its row, ns, int64 [total - N]."""
    return np.delete(np.diff(rows.times), rows.offsets[1:-1] - 1)


def usual_step(steps: np.ndarray) -> int:
    """The most common step forward."""
    kinds, counts = np.unique(steps[steps > 0], return_counts=True)
    return int(kinds[np.argmax(counts)]) if len(kinds) else 0


def _common_step(steps: np.ndarray) -> int:
    """The most common step forward; where hardly one comes again, or it is far shorter than most, as of a device's own
    clock, the one in the middle, in whole tenths of a second."""
    usual, middle = usual_step(steps), float(np.median(steps[steps > 0])) if (steps > 0).any() else 0.0
    share = (steps == usual).mean()
    if 0 < middle < SECOND and share < COMMON:  # so many lines a second, which tenths of one would lose
        return _of_a_second(float(steps[(steps > 0) & (steps < GAP * middle)].mean()))
    if share >= SELDOM and middle < usual / SELDOM:
        return usual
    return max(round(middle / TENTH) * TENTH, TENTH)


def _of_a_second(mean: float) -> int:
    """A step of less than a second in ns: so many a second, or of whole ms, where the mean is about that; or of µs."""
    each, whole = round(SECOND / mean), max(round(mean / MILLI), 1) * MILLI
    step = SECOND / each if abs(SECOND / mean - each) <= NEAR * each else mean
    step = whole if step == mean and abs(mean - whole) <= NEAR * whole else step
    return max(round(step / MICRO), 1) * MICRO


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
