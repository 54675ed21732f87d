"""The clock of all rows of long tables, or what is odd about the first row that has none."""

from __future__ import annotations

import numpy as np

from errors import DataError
from readers.rows import Rows, clock_change, line_steps, span, usual_step
from times.clock import DAY, Clock, infer_clock
from times.frequencies import fixed_freq

SELDOM, TENTH = 0.1, DAY // 864_000  # of the steps have the usual length; ns
SECOND, MILLI, MICRO = 10 * TENTH, TENTH // 100, TENTH // 100_000  # ns
GAP, NEAR = 3, 0.002  # times the middle step, from which on lines are missing; of a rate, by which one is off
YEAR = 365.25  # days
MONTHS = ((28, 31, "MS"), (59, 62, "2MS"), (89, 92, "QS"), (181, 184, "2QS"))  # days, a step
EVEN = [count * DAY // 86_400 for count in (1, 2, 5, 10, 15, 20, 30)]  # ns, of which readings are some seconds off
EVEN += [60 * step for step in EVEN] + [3600 * count * EVEN[0] for count in (1, 2, 3, 4, 6, 8, 12)]
EVENTS = {"D": 7 * DAY // 2, "7D": 21 * DAY, "MS": 60 * DAY}  # the step that is proposed, for medians below so many ns
COMMON = 0.3  # of a row's steps are as long as the usual one, or no length is usual
HEADS = (12, 6, 3)  # steps at the start of a row that are searched for business days or months


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
        median = np.median(steps)
        near = [unit for unit in EVEN if unit >= median]
        if not near:  # a run, a bill: more than half a day apart
            return next((Clock(freq) for freq, most in EVENTS.items() if median < most), clock)
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
