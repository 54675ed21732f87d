"""A regular time axis: how it continues, its calendar features, how it is written.

A stamp is int64 nanoseconds since 1970: in UTC where the zone is known, else local time, as on a wall clock. Steps
below a day are lengths of time, so hours stay even when daylight saving time begins or ends; days and longer steps
count in local time, so midnight stays midnight.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np

from errors import DataError
from readers import hours
from readers.hours import DAY as DAY
from settings.zones import fixed_offset

_FIXED = {"h": DAY // 24, "min": DAY // 1440, "s": DAY // 86_400, "ms": 10**6, "us": 10**3, "ns": 1}
_DAYS = {"D": 1, "B": 1, "W": 7, "MS": 28, "ME": 28, "BMS": 28, "BME": 28, "WOM": 28}  # the shortest a step can be
_DAYS |= {"QS": 90, "QE": 90, "BQS": 90, "BQE": 90, "YS": 365, "YE": 365, "BYS": 365, "BYE": 365}
_CYCLES: dict[str, tuple[int, ...]] = {"D": (7, 365), "B": (5, 261), "W": (52,)}  # in steps of one unit
_CYCLES |= dict.fromkeys(("MS", "ME", "BMS", "BME", "WOM"), (12,)) | dict.fromkeys(("QS", "QE", "BQS", "BQE"), (4,))
_CYCLES |= dict.fromkeys(("YS", "YE", "BYS", "BYE"), ())
# Where none is given. Steps have the name of their beginning, also weeks, which pandas names by their end.
_ANCHOR = {"W": "-MON", "QS": "-JAN", "BQS": "-JAN", "YS": "-JAN", "BYS": "-JAN"}
_ANCHOR |= {"QE": "-DEC", "BQE": "-DEC", "YE": "-DEC", "BYE": "-DEC"}
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_NAMES = {"D": "day", "B": "business day", "W": "week"} | dict.fromkeys(("QS", "QE", "BQS", "BQE"), "quarter")
_NAMES |= dict.fromkeys(("MS", "ME", "BMS", "BME", "WOM"), "month") | dict.fromkeys(("YS", "YE", "BYS", "BYE"), "year")
# Units as pandas had them before 2.2, and those of today as it had them then.
_OLD = {"H": "h", "T": "min", "S": "s", "L": "ms", "U": "us", "N": "ns", "M": "ME", "Q": "QE", "Y": "YE", "A": "YE"}
_OLD |= {"AS": "YS", "BM": "BME", "BQ": "BQE", "BY": "BYE", "BA": "BYE", "BAS": "BYS"}
_BEGINNING = {"ME": "MS", "BME": "MS", "BMS": "MS", "WOM": "MS", "QE": "QS", "BQE": "QS", "BQS": "QS"}
_BEGINNING |= {"YE": "YS", "BYE": "YS", "BYS": "YS"}
_OF_OLD = {"ME": "M", "QE": "Q", "YE": "A", "YS": "AS", "BME": "BM", "BQE": "BQ", "BYE": "BA", "BYS": "BAS"}
_FREQ = re.compile(r"(\d*)\s*([A-Za-z]+)(-[A-Z0-9]+)?")
_MARKS = (("second", 60), ("minute", 60), ("hour", 24), ("weekday", 7), ("day", 31), ("month", 12))  # name, values
_MARK_BELOW = (_FIXED["min"], _FIXED["h"], DAY, 7 * DAY, 28 * DAY, float("inf"))  # each is for steps shorter than this


@dataclass(frozen=True)
class Clock:
    """A step and a zone. Spellings of one step give equal clocks: `60T` becomes `h`.

    freq : a pandas frequency such as h, 15min, D, B, W-MON (weeks that begin on Monday), MS, ME; or MS-15, months that
        begin on the 15th (on the last day of a month that is shorter); or hours of a week (readers/hours.py), such as
        5min@MON-FRI 09:30-15:55 or D@MON-SAT. ValueError for anything else.
    tz : "" for times of an unknown zone, else UTC, a fixed offset such as +01:00, or a name such as Europe/Berlin.
    """

    freq: str
    tz: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "freq", canonical(self.freq))
        object.__setattr__(self, "tz", "UTC" if self.tz in ("Z", "+00:00", "-00:00") else self.tz)

    def __str__(self) -> str:
        """The step in words: `15min`, `1 day`, `2 weeks`, `1 month`, `5min on MON-FRI 09:30-15:55`."""
        step, _, open_ = self.freq.partition("@")
        count, unit, _ = _split(step)
        name = _NAMES.get(unit, "")
        if unit in _FIXED and count * _FIXED[unit] % DAY == 0:
            name, count = "day", count * _FIXED[unit] // DAY
        if name == "day" and count % 7 == 0:
            name, count = "week", count // 7
        words = f"{count} {name}{'s' * (count > 1)}" if name else step if step[0].isdigit() else f"1 {step}"
        return words + f" on {open_}" * bool(open_)

    @property
    def step(self) -> int:
        """Nanoseconds of a step; where steps differ, such as months, of the shortest."""
        count, unit, _ = _split(self.freq)
        return count * (_FIXED.get(unit) or _DAYS[unit] * DAY)

    @property
    def calendar(self) -> bool:
        """Whether steps are counted in days of local time, not in lengths of time."""
        return bool(self.hours) or _split(self.freq)[1] in _DAYS

    @property
    def hours(self) -> str:
        """The hours of a week to which the steps are confined; "" where they go on."""
        return self.freq.partition("@")[2]

    @property
    def open(self) -> np.ndarray:
        """The beginnings of the steps of such a week, ns since Monday, int64 [K]."""
        return hours.slots(self.hours, self.step)

    @property
    def named(self) -> bool:
        """Whether the calendar has a name for the steps: business days, months, years, not so many days."""
        return bool(self.hours) or (self.calendar and _split(self.freq)[1] != "D")

    @property
    def periods(self) -> tuple[int, ...]:
        """The cycles of the calendar in steps, the shortest first: of hours 24 and 168, of months 12, of years none.

        Those that are whole steps, and at least two; the year counts 365 days, 52 weeks or 261 business days.
        """
        if self.hours:
            return hours.cycles(self.open)
        count, unit, _ = _split(self.freq)
        if unit in _FIXED:
            longest = (_FIXED["min"], _FIXED["h"]) if self.step < _FIXED["min"] else (DAY, 7 * DAY)
            found = [cycle // self.step for cycle in longest if cycle % self.step == 0]
        else:
            found = [cycle // count for cycle in _CYCLES[unit] if cycle % count == 0 or cycle > 12]
        return tuple(cycle for cycle in found if cycle > 1)

    def extend(self, last: int, steps: int) -> np.ndarray:
        """The `steps` stamps after the stamp `last`: int64 ns [H] for H steps."""
        ahead = np.arange(1, steps + 1, dtype=np.int64)
        if not self.calendar:
            return last + ahead * self.step
        start = int(self.wall(np.array([last]))[0])
        if self.hours:
            return self.of_wall(hours.after(self.open, start, steps))
        count, unit, anchor = _split(self.freq)
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
        dates = days.astype("datetime64[D]")
        months = dates.astype("datetime64[M]")
        found = {
            "second": clock // _FIXED["s"] % 60,
            "minute": clock // _FIXED["min"] % 60,
            "hour": clock // _FIXED["h"],
            "weekday": (days + 3) % 7,  # 1970 began on a Thursday
            "day": (dates - months).astype(np.int64),
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
        unit = next(u for u in units if not (self.step % _FIXED[u] or (wall % _FIXED[u]).any()))
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
        import pandas

        anchor = _split(self.freq)[2][1:]
        if not anchor.isdigit():
            return int(self.offset().rollback(pandas.Timestamp(wall)).as_unit("ns").value)
        ticks = _on_day(wall, np.arange(-1, 1), int(anchor))
        return int(ticks[ticks <= wall][-1])

    @property
    def by_beginning(self) -> Clock:
        """The clock whose steps have the name of their beginning, for one whose steps are named by their end."""
        count, unit, _ = _split(self.freq)
        return Clock(f"{count}{_BEGINNING[unit]}", self.tz) if unit in _BEGINNING else self

    def offset(self) -> Any:
        """The step as a pandas offset. ValueError where pandas has none."""
        from pandas.tseries.frequencies import to_offset

        if self.hours:
            raise ValueError(f"{self.freq!r}: pandas has no such steps")
        try:
            return to_offset(self.freq)
        except ValueError:  # pandas before 2.2
            count, unit, anchor = _split(self.freq)
            return to_offset(f"{count}{_OF_OLD.get(unit, unit)}{anchor}")

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
    found = _FREQ.fullmatch(named if isinstance(named, str) else named.freqstr if named is not None else "")
    unit = _OLD.get(found[2], found[2]) if found else ""
    freq = found[0] if found and unit in _DAYS and unit not in ("D", "W") else _months(wall)
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
    month = np.array(wall, "datetime64[ns]").astype("datetime64[M]") + months
    first, following = (each.astype("datetime64[D]").astype(np.int64) for each in (month, month + 1))
    return np.minimum(first + day, following) * DAY - DAY + wall % DAY  # type: ignore[no-any-return]


def canonical(freq: str) -> str:
    """A frequency in the spelling of pandas 3: `60T`, `1H` -> `h`; `M` -> `ME`.

    Parameters
    ----------
    freq : any spelling that pandas takes or took.

    Raises
    ------
    ValueError : it is not a frequency.
    """
    step, _, open_ = freq.partition("@")
    if open_:
        clock = Clock(step)
        if step != "D" and clock.calendar:
            raise ValueError(f"{freq!r} is not a frequency")
        return f"{clock.freq}@{hours.text_of(hours.slots(open_, clock.step), clock.step)}"
    count, unit, anchor = _split(freq)
    if unit in _FIXED:
        return fixed_freq(count * _FIXED[unit])
    anchor = "" if anchor == "-1" else anchor or _ANCHOR.get(unit, "")
    if "Q" in unit and anchor[1:] in _MONTHS:  # QS-JAN and QS-APR are the same days
        anchor = f"-{_MONTHS[_MONTHS.index(anchor[1:]) % 3 + (0 if unit[-1] == 'S' else 9)]}"
    return f"{count if count > 1 else ''}{unit}{anchor}"


def fixed_freq(step: int) -> str:
    """A length of time as a frequency in its largest whole unit: `h`, `15min`, `36h`.

    Parameters
    ----------
    step : the length in ns, above 0.
    """
    unit = next(unit for unit, length in _FIXED.items() if step % length == 0)
    count = step // _FIXED[unit]
    return f"{count if count != 1 else ''}{unit}"


def offset_text(shift: int) -> str:
    """An offset from UTC as text: `+01:00`.

    Parameters
    ----------
    shift : the offset in ns. Its seconds, which zones had before 1900, are written only where there are some.
    """
    minutes, seconds = divmod(abs(shift) // _FIXED["s"], 60)
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


def _split(freq: str) -> tuple[int, str, str]:
    """Count, unit in today's spelling, and anchor (`-SUN`) or ''; hours of a week aside. ValueError for others."""
    match = _FREQ.fullmatch(freq.partition("@")[0].strip())
    unit = _OLD.get(match[2], match[2]) if match else ""
    count = int(match[1] or 1) if match else 0
    anchor = (match[3] or "") if match else ""
    dated = anchor[1:].isdigit() and (unit != "MS" or not 1 <= int(anchor[1:]) <= 31)
    if unit not in _FIXED | _DAYS or count < 1 or (anchor and unit in _FIXED) or dated:
        raise ValueError(f"{freq!r} is not a frequency")
    return count, unit, anchor


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
    if Clock(wanted).hours or wanted.rpartition("-")[2].isdigit() or _split(wanted)[1] in _BEGINNING:
        # --resample takes neither hours of a week, nor days of a month, nor steps with the name of their end
        return f"data in steps of {Clock(wanted)}, or a model trained on these"
    return f"--resample {step}"
