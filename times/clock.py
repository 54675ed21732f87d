"""A regular time axis: how it continues, its calendar features, how it is written.

A stamp is int64 nanoseconds since 1970: in UTC where the zone is known, else local time, as on a wall clock. Steps
below a day are lengths of time, so hours stay even when daylight saving time begins or ends; days and longer steps
count in local time, so midnight stays midnight.
"""

from __future__ import annotations

import warnings
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np

from errors import DataError
from settings.zones import fixed_offset
from times import dates, frequencies, hours
from times.frequencies import FIXED, fixed_freq, split
from times.hours import DAY as DAY

_MARKS = (("second", 60), ("minute", 60), ("hour", 24), ("weekday", 7), ("day", 31), ("month", 12))  # name, values
_MARK_BELOW = (FIXED["min"], FIXED["h"], DAY, 7 * DAY, 28 * DAY, float("inf"))  # each is for steps shorter than this


@dataclass(frozen=True)
class Clock:
    """A step and a zone. Spellings of one step give equal clocks: `60T` becomes `h`.

    freq : a pandas frequency such as h, 15min, D, B, W-MON (weeks that begin on Monday), MS, ME; or MS-15, months that
        begin on the 15th (on the last day of a month that is shorter); or dates (times/dates.py), such as MS-1-11-21,
        those days of each month, or 16D-JAN, 16 days counted anew from each first of January; or hours of a week
        (times/hours.py), such as 5min@MON-FRI 09:30-15:55 or D@MON-SAT. ValueError for anything else.
    tz : "" for times of an unknown zone, else UTC, a fixed offset such as +01:00, or a name such as Europe/Berlin.
    """

    freq: str
    tz: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "freq", frequencies.canonical(self.freq))
        object.__setattr__(self, "tz", "UTC" if self.tz in ("Z", "+00:00", "-00:00") else self.tz)

    def __str__(self) -> str:
        """The step in words: `15min`, `1 day`, `2 weeks`, `1 month`, `5min on MON-FRI 09:30-15:55`."""
        return frequencies.words(self.freq)

    @property
    def step(self) -> int:
        """Nanoseconds of a step; where steps differ, such as months, of the shortest."""
        return frequencies.shortest(self.freq)

    @property
    def calendar(self) -> bool:
        """Whether steps are counted in days of local time, not in lengths of time."""
        return frequencies.is_calendar(self.freq)

    @property
    def hours(self) -> str:
        """The hours of a week to which the steps are confined; "" where they go on."""
        return self.freq.partition("@")[2]

    @property
    def open(self) -> np.ndarray:
        """The beginnings of the steps of such a week, ns since Monday, int64 [K]."""
        return hours.slots(self.hours, self.step)

    @property
    def dates(self) -> tuple[int, tuple[int, ...]]:
        """Days of a step that counts anew each year, days of a month on which steps begin; (0, ()) of other steps."""
        return frequencies.dates_of(self.freq)

    @property
    def named(self) -> bool:
        """Whether the calendar has a name for the steps: business days, months, years, not so many days."""
        return bool(self.hours) or any(self.dates) or (self.calendar and split(self.freq)[1] != "D")

    @property
    def periods(self) -> tuple[int, ...]:
        """The cycles of the calendar in steps, the shortest first: of hours 24 and 168, of months 12, of years none.

        Those that are whole steps, and at least two; the year counts 365 days, 52 weeks or 261 business days.
        """
        if self.hours:
            return hours.cycles(self.open)
        return frequencies.cycles(self.freq)

    def extend(self, last: int, steps: int) -> np.ndarray:
        """The `steps` stamps after the stamp `last`: int64 ns [H] for H steps."""
        ahead = np.arange(1, steps + 1, dtype=np.int64)
        if not self.calendar:
            return last + ahead * self.step
        start = int(self.wall(np.array([last]))[0])
        if self.hours:
            return self.of_wall(hours.after(self.open, start, steps))
        if any(self.dates):
            return self.of_wall(dates.after(start, steps, *self.dates))
        count, unit, anchor = split(self.freq)
        if unit in ("D", "W"):
            return self.of_wall(start + ahead * self.step)
        if anchor[1:].isdigit():
            ticks = _on_day(start, count * np.arange(steps + 1), int(anchor[1:]))
            return self.of_wall(ticks[ticks > start][:steps])
        return self.of_wall(_ticks_after(self, start, steps))

    def reach(self, last: int, steps: int) -> np.ndarray:
        """As `extend`; int64 [0] where so many steps go beyond the years that a time may have."""
        try:
            return self.extend(last, steps)
        except DataError:
            return np.zeros(0, np.int64)

    @property
    def marks(self) -> tuple[str, ...]:
        """Names of the calendar features that change from step to step: [M]."""
        return tuple(name for (name, _), below in zip(_MARKS, _MARK_BELOW, strict=True) if self.step < below)

    def features(self, times: np.ndarray) -> np.ndarray:
        """Calendar features of stamps [n], in local time: float32 [M, n] from -0.5 (the first) to 0.5 (the last).

        The values of `marks`: second and minute 0..59, hour 0..23, weekday Monday..Sunday, day 1..31, month 1..12.
        """
        wall = self.wall(times)
        days, clock = np.divmod(wall, DAY)
        dated = days.astype("datetime64[D]")
        months = dated.astype("datetime64[M]")
        found = {
            "second": clock // FIXED["s"] % 60,
            "minute": clock // FIXED["min"] % 60,
            "hour": clock // FIXED["h"],
            "weekday": (days + 3) % 7,  # 1970 began on a Thursday
            "day": (dated - months).astype(np.int64),
            "month": months.astype(np.int64) % 12,
        }
        scale = dict(_MARKS)
        return np.stack([(found[name] / (scale[name] - 1) - 0.5).astype(np.float32) for name in self.marks])

    def show(self, times: np.ndarray) -> list[str]:
        """Stamps [n] as text: `2016-07-01 00:00:00`, for whole days `2016-07-01`, in a zone always with its offset."""
        times = np.asarray(times, np.int64)
        wall = self.wall(times)
        if self.calendar and not self.tz and not (wall % DAY).any():
            return list(map(str, np.datetime_as_string(wall.astype("datetime64[ns]"), unit="D")))
        units: tuple[Literal["s", "ms", "us", "ns"], ...] = ("s", "ms", "us", "ns")
        unit = next(u for u in units if not (self.step % FIXED[u] or (wall % FIXED[u]).any()))
        text = np.datetime_as_string(wall.astype("datetime64[ns]"), unit=unit)
        if len(text):
            text.view(np.uint32).reshape(len(text), -1)[:, len("2016-07-01")] = ord(" ")  # numpy writes a T there
        if self.tz:
            offsets, which = np.unique(wall - times, return_inverse=True)
            text = np.char.add(text, np.array([offset_text(int(offset)) for offset in offsets], str)[which])
        return list(map(str, text))

    def wall(self, times: np.ndarray) -> np.ndarray:
        """Local time at stamps [n], int64 ns [n], as a wall clock would show it."""
        shift = fixed_offset(self.tz)
        if shift is not None:
            return np.asarray(times, np.int64) + shift
        wall: np.ndarray = _index(times).tz_localize("UTC").tz_convert(self.tz).tz_localize(None).asi8
        return wall

    def of_wall(self, wall: np.ndarray) -> np.ndarray:
        """The inverse of `wall`, int64 ns [n].

        Of a time that occurs twice it is the first, for one that is skipped the next that exists.
        """
        shift = fixed_offset(self.tz)
        if shift is not None:
            return np.asarray(wall, np.int64) - shift
        first = np.ones(len(wall), bool)
        times: np.ndarray = _index(wall).tz_localize(self.tz, ambiguous=first, nonexistent="shift_forward").asi8
        return times

    def beginning(self, wall: int) -> int:
        """The beginning of the calendar step that holds a day: its midnight, as that of the day in ns of local time."""
        if any(self.dates):
            return dates.before(wall, *self.dates)
        anchor = split(self.freq)[2][1:]
        if not anchor.isdigit():
            import pandas

            return int(self.offset().rollback(pandas.Timestamp(wall)).as_unit("ns").value)
        ticks = _on_day(wall, np.arange(-1, 1), int(anchor))
        return int(ticks[ticks <= wall][-1])

    @property
    def by_beginning(self) -> Clock:
        """The clock whose steps have the name of their beginning, for one whose steps are named by their end."""
        freq = frequencies.by_beginning(self.freq)
        return self if freq == self.freq else Clock(freq, self.tz)

    def offset(self) -> Any:
        """The step as a pandas offset. ValueError where pandas has none."""
        from pandas.tseries.frequencies import to_offset

        try:
            return to_offset(frequencies.to_pandas(self.freq, old=False))
        except ValueError:  # pandas before 2.2
            return to_offset(frequencies.to_pandas(self.freq, old=True))

    def plain(self) -> dict[str, str]:
        """The step and the zone as plain values, for a checkpoint: {"freq", "tz"}."""
        return asdict(self)

    @classmethod
    def of(cls, plain: dict[str, str]) -> Clock:
        """The inverse of `plain`. ValueError where the frequency is none."""
        return cls(**plain)


def infer_clock(times: np.ndarray, tz: str) -> Clock | None:
    """The clock of a row.

    Parameters
    ----------
    times : stamps in ns, int64 [n], sorted, n >= 3.
    tz : their zone, as `Clock.tz`.

    Returns
    -------
    The clock; None where the stamps are not regular.
    """
    wall = Clock("D", tz).wall(times)
    days, steps = np.diff(wall), np.diff(times)
    regular = None
    if (days == days[0]).all() and days[0] % DAY == 0:
        regular = Clock(f"{days[0] // DAY}D", tz)
    elif (steps == steps[0]).all():
        regular = Clock(fixed_freq(int(steps[0])), tz)
    if regular and regular.step < 28 * DAY:
        return regular
    import pandas

    # Even steps can be those of months, as from July to August to September.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pandas 3 warns that pandas 4 returns an offset
        named = pandas.infer_freq(_index(wall))
    name = named if isinstance(named, str) else named.freqstr if named is not None else ""
    freq = frequencies.of_pandas(name) or _months(wall) or dates.found_in(wall)
    # Of the n-th weekday of a month pandas overlooks missing months.
    if freq and np.array_equal(Clock(freq, tz).extend(int(times[0]), len(times) - 1), times[1:]):
        return Clock(freq, tz)
    return regular or _open_hours(wall, times, tz)


def _open_hours(wall: np.ndarray, times: np.ndarray, tz: str) -> Clock | None:
    """The clock of stamps that are all the open hours of their weeks."""
    clock = weekly(wall, tz)
    return clock if clock and np.array_equal(clock.extend(int(times[0]), len(times) - 1), times[1:]) else None


def weekly(wall: np.ndarray, tz: str) -> Clock | None:
    """The clock of the hours that come again in most weeks of local times [n] in ns; None where there are none."""
    steps, counts = np.unique(np.diff(wall), return_counts=True)
    if not len(steps) or steps[0] <= 0:
        return None
    step = DAY if not (steps % DAY).any() else int(steps[np.argmax(counts)])
    found = hours.found_in(wall, step)
    return Clock(f"{'D' if step == DAY else fixed_freq(step)}@{found}", tz) if found else None


def _months(wall: np.ndarray) -> str:
    """The frequency of stamps on one day of every month, or of every k-th: `MS-15`, `3MS-15`; "" where they are not."""
    months = wall.astype("datetime64[ns]").astype("datetime64[M]")
    steps = np.diff(months).astype(np.int64)
    day = int((wall // DAY - months.astype("datetime64[D]").astype(np.int64)).max()) + 1
    return f"{steps[0]}MS-{day}" if (steps == steps[0]).all() and steps[0] > 0 else ""


def _on_day(wall: int, months: np.ndarray, day: int) -> np.ndarray:
    """A day of the month of the stamp `wall`, or the last one that it has, and so many `months` later: [n] in ns."""
    month = np.array(wall, "datetime64[ns]").astype("datetime64[M]").astype(np.int64)
    return dates.of_months(month + months, [day])[:, 0] * DAY + wall % DAY


def offset_text(shift: int) -> str:
    """An offset from UTC as text: `+01:00`.

    Parameters
    ----------
    shift : the offset in ns. Its seconds, which zones had before 1900, are written only where there are some.
    """
    minutes, seconds = divmod(abs(shift) // FIXED["s"], 60)
    rest = f":{seconds:02d}" if seconds else ""
    return f"{'-' if shift < 0 else '+'}{minutes // 60:02d}:{minutes % 60:02d}{rest}"


@lru_cache(maxsize=1024)  # many series often end at a few times
def _ticks_after(clock: Clock, start: int, steps: int) -> np.ndarray:
    """The ticks of a clock of named steps after a local time."""
    import pandas  # a quarter of a second, which only long data should cost

    # A start that is not a tick of the clock is left out of the range, which then has one step too many.
    try:
        axis = pandas.date_range(pandas.Timestamp(start), periods=steps + 1, freq=clock.offset(), unit="ns").asi8
    except pandas.errors.OutOfBoundsDatetime:
        what = f"{steps} steps of {clock.freq} after {pandas.Timestamp(start)} go beyond the year 2262"
        raise DataError(what, hint="--time-col line takes each line as a step, whatever its time") from None
    found: np.ndarray = axis[axis > start][:steps]
    found.flags.writeable = False
    return found


def _index(times: np.ndarray) -> Any:
    import pandas

    return pandas.DatetimeIndex(np.asarray(times, np.int64).astype("datetime64[ns]"))


def steps_hint(wanted: str | None, found: str | None) -> str:
    """What to do about data in steps of `found` for a model of steps of `wanted`, both as `Clock.freq` has them.

    Parameters
    ----------
    wanted, found : the frequencies; None or "" for steps without times.
    """
    if not wanted or not found:
        return "--resample changes the steps"
    step = wanted if wanted[0].isdigit() or Clock(wanted).calendar else f"1{wanted}"
    if Clock(wanted).step < Clock(found).step:
        what = Clock(wanted) if Clock(wanted).calendar else step
        return f"data in steps of {what}, or a model trained on these: a coarser step does not tell what lies between"
    if Clock(wanted).hours or Clock(wanted).by_beginning != Clock(wanted):
        # --resample takes neither hours of a week nor steps with the name of their end
        return f"data in steps of {Clock(wanted)}, or a model trained on these"
    return f"--resample {step}"
