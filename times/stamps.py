"""Times as text, read into stamps: int64 nanoseconds since 1970 (see times/clock.py).

Dates are never guessed: ISO 8601 first, then another order of day, month and year if it is known or only one fits every
cell (times/written.py), then numbers that count steps, then nothing.
"""

from __future__ import annotations

import re
import time
import zoneinfo
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from errors import DataError, UsageError, nearest
from settings.marks import MISSING
from settings.zones import fixed_offset, is_zone
from times import daynumbers, serials, tongues, written, years
from times.clock import DAY, Clock, offset_text
from times.parted import part_of
from times.periods import of_short_years

COUNTED = "the time column counts steps: there are no dates"
OFF = 0.25  # of a step, by which a number that counts them may be off
MOST_KINDS = 0.5  # of the cells of a column: where so many are different, each is read
Locate = Callable[[int], str]  # the location, `file:line`, of the cell with this number
ISO_HINT = (
    "write times as 2016-07-01 00:00:00 or 2016-07-01 00:00:00+02:00, or in seconds, or parts of these, since 1970"
)
_EPOCH = re.compile(r"\d{9,}(\.\d*)?")
_UNITS = (  # name, least, below, ns
    ("seconds", 10**8, 10**10, 10**9),
    ("milliseconds", 10**12, 10**13, 10**6),
    ("microseconds", 10**15, 10**16, 10**3),
    ("nanoseconds", 10**18, 10**19, 1),
)
_COMPACT = re.compile(r"(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:[01]\d|2[0-4])(?:[0-5]\d){0,2}")
_COARSE = re.compile(rb"(?:^|[\n,;\t])(?:18|19|20)\d\d(?:[-/.]\d{1,2})?[,;\t]")
_DAY = re.compile(rb"(?:18|19|20)\d\d[-/.]\d{1,2}[-/.]\d")
MOST_LOOKED_AT = 10_000  # lines one by one
_COUNT = re.compile(r"[+-]?\d{1,8}(\.\d{1,6})?")
_ZONE = re.compile(r" ?(?:Z|[+-]\d\d(?::?\d\d)?)$")
_ZONED = re.compile(r"[T ]\d.*" + _ZONE.pattern)


@dataclass(frozen=True)
class Stamps:
    """A column of times. `zones` are the offsets written in it, none where the times are naive.

    counted : the cells count steps, such as cycles, and `times` are their numbers, in units of the last decimal.
    """

    times: np.ndarray  # int64 ns [n], local time where naive, else UTC
    zones: frozenset[str]
    note: str = ""
    counted: bool = False


def check_zone(tz: str) -> None:
    """Refuse what is not a time zone.

    Parameters
    ----------
    tz : an offset such as +01:00, the name of a zone, or "" for an unknown one.

    Raises
    ------
    UsageError : it is none of these.
    """
    if not is_zone(tz):
        hint = (
            nearest(tz, zoneinfo.available_timezones()) or "a name such as Europe/Berlin, or an offset such as +01:00"
        )
        raise UsageError(f"no time zone {tz!r}", where="--tz", hint=hint)


def parsed_stamps(column: Any, text: bytes) -> Stamps | None:
    """The times of a column that pandas parsed.

    Parameters
    ----------
    column : a pandas column of n cells, parsed as ISO 8601.
    text : the table.

    Returns
    -------
    The stamps [n]; None where pandas did not find times of one offset or none.
    """
    import pandas

    if column.dtype.kind != "M" or column.hasnans:
        return None
    try:
        times = pandas.DatetimeIndex(column).as_unit("ns")
    except pandas.errors.OutOfBoundsDatetime:
        return None
    if (np.abs(times.asi8 - time.time_ns()) < DAY).any() and any(word.encode() in text for word in written.RELATIVE):
        return None
    if _has_months_among_days(times.asi8, text):
        return None
    zone = times.tz and offset_text(int(times.tz.utcoffset(None).total_seconds()) * 10**9)
    return Stamps(times.asi8, frozenset([zone] if zone else []))


def _has_months_among_days(times: np.ndarray, text: bytes) -> bool:
    """Whether some of times [n], of n lines below a header or without one, are months or years, as days are read.

    pandas takes a month for its first day, which does not rise among the month's days: such lines are looked at.
    """
    back = np.flatnonzero(np.diff(times) <= 0)
    at = np.unique([back, back + 1])
    begins = times[at].view("datetime64[ns]")
    at = at[begins == begins.astype("datetime64[M]")]
    if not len(at):
        return False
    begin = np.append(0, np.flatnonzero(np.frombuffer(text, np.uint8) == ord("\n")) + 1)
    above = len(begin) - text.endswith(b"\n") - len(times)
    if len(at) > MOST_LOOKED_AT or above not in (0, 1) or b'"' in text:
        return _COARSE.search(text) is not None
    begin = np.append(begin[above:], len(text) + 1)
    near = np.unique(np.clip([at - 1, at, at + 1], 0, len(times) - 1)).tolist()
    lines = [text[begin[i] : begin[i + 1]] for i in near]
    days = [bool(_DAY.search(line)) for line in lines]
    return any(days) and any(_COARSE.search(line) for line, day in zip(lines, days, strict=True) if not day)


def read_stamps(cells: np.ndarray, locate: Locate, order: str = "", name: str | None = None) -> Stamps:
    """The times of text cells.

    Parameters
    ----------
    cells : text [n].
    order : that of day, month and year, where it is known: one of written.ORDERS, or EXCEL.
    name : of their column, by which numbers may be Excel's dates; None where nothing is to be taken for them.
    locate : gives the location of a cell by its number, for the error.

    Returns
    -------
    Stamps [n], with a note where the order of day and month was inferred from the cells.

    Raises
    ------
    DataError : at the first cell that is missing or not a time.
    """
    import pandas

    text = pandas.Series([cell.strip() for cell in cells], dtype=object)  # a third of what pandas takes for it
    if name is not None and (scale := daynumbers.scale_of(name, text)):
        times, note = daynumbers.times(scale, text)
        return Stamps(times, frozenset(), note)
    if is_epoch(text[0]):
        return _epoch(text, locate)
    if name is not None and not order and (days := daynumbers.spelled_out(name, text))[0]:
        text, note = pandas.Series(days[0], dtype=object), days[1]
        stamps = _each_read(text, locate, order, name)
        return replace(stamps, note=note or stamps.note)
    codes, kinds = pandas.factorize(text)
    if len(kinds) > len(text) * MOST_KINDS or _COUNT.fullmatch(text[0]):  # of numbers the order says more than these
        return _each_read(text, locate, order, name)
    first = np.flatnonzero(~text.duplicated())
    stamps = _each_read(pandas.Series(kinds, dtype=object), lambda at: locate(int(first[at])), order, name)
    return replace(stamps, times=stamps.times[codes])


def _each_read(text: Any, locate: Locate, order: str, name: str | None) -> Stamps:
    """The times of a pandas column of cells [n] that are not seconds since 1970; the parameters as in `read_stamps`."""
    import pandas

    spans = "times are those at which steps begin: of 'from - to' the first" if tongues.is_span(text[0]) else ""
    spans = tongues.SEASONS if tongues.seasons(text) else spans or of_short_years(text)
    text, late = written.plain(written.by_offset(text))
    utc = pandas.DatetimeIndex(pandas.to_datetime(text, format="ISO8601", errors="coerce", utc=True))
    bad = (
        utc.isna()
        | (utc.year < written.FIRST_YEAR)
        | (utc.year > written.LAST_YEAR)
        | text.isin(written.RELATIVE).to_numpy()
    )
    if name is not None and (bad.any() or part_of(name) or years.are_halves(text)) and years.are_years(name, text):
        return _years(name, text)
    if bad.any() and _COUNT.fullmatch(text[0]) and text.str.fullmatch(_COUNT).all():
        serial = serials.may_be_serials(text)
        if serial and (order == serials.EXCEL or (name is not None and serials.are_serials(name, text))):
            return Stamps(serials.times_of(text), frozenset(), "times read as Excel's days since 1900")
        counted = _counted(text)
        more = f"; --date-order {serials.EXCEL} if they are Excel's days since 1900"
        return replace(counted, note=counted.note + more) if serial else counted
    bare, shifts = written.without_offset(text)
    forms = written.formats(bare[0], order * (order in written.ORDERS)) if bad.any() else {}
    if (bad[0] and forms) or (forms and written.fit(bare, forms)):
        times, note = written.read(bare, forms, bool(order), locate, lambda at: _not_a_time(text, at, locate))
        zones = frozenset(offset_text(int(shift)) for shift in np.unique(shifts)) if len(shifts) else frozenset()
        return Stamps(times + late - (shifts if zones else 0), zones, "; ".join(filter(None, (note, spans))))
    if bad.any():
        if (evenly := _evenly(text)) is not None:
            return evenly
        if 0 < (old := int(np.argmax(bad))) < len(text) and all(map(written.before_excel, text[:old])):
            rest = text[old:].reset_index(drop=True)
            later = _each_read(rest, lambda at: locate(at + old), order, name)
            return replace(later, times=np.concatenate([utc[:old].as_unit("ns").asi8, later.times]))
        raise _not_a_time(text, int(np.argmax(bad)), locate)
    if (whole := tongues.of_whole_months(text)) is not None:
        at = int(np.argmax(whole))
        raise DataError(f"{text[at]!r} is a whole month or year, among days", where=locate(at), hint="delete its line")
    times = utc.as_unit("ns").asi8 + late
    zoned = text.str.contains(_ZONED).to_numpy()
    if not zoned.any():
        return Stamps(times, frozenset(), spans)
    if not zoned.all():
        at = int(np.argmax(zoned != zoned[0]))
        what = f"time {text[at]!r} has {'an' if zoned[at] else 'no'} offset from UTC, unlike those before it"
        raise DataError(what, where=locate(at), hint="give all of them an offset, or none and --tz")
    plain = text.str.replace(_ZONE, "", regex=True)
    wall = pandas.DatetimeIndex(pandas.to_datetime(plain, format="ISO8601")).as_unit("ns").asi8
    return Stamps(times, frozenset(offset_text(int(shift)) for shift in np.unique(wall - times)))


def to_utc(wall: np.ndarray, tz: str, offsets: np.ndarray, locate: Locate) -> np.ndarray:
    """Local times in UTC.

    Parameters
    ----------
    wall : local times in ns, int64 [n], of N series one after the other. Of the hour that occurs twice in autumn, the
        lines after a step back are the second, and of pairs of lines of one time each, the second ones.
    tz : their zone, as `Clock.tz`.
    offsets : int64 [N + 1], where each series begins and ends.
    locate : gives the location of a line by its number, for the error.

    Returns
    -------
    Stamps in ns, int64 [n].

    Raises
    ------
    DataError : at a time that the zone skips, and where an hour that occurs twice has no step back, or several.
    """
    if fixed_offset(tz) is not None:
        return Clock("D", tz).of_wall(wall)
    import pandas

    def localize(ambiguous: Any) -> Any:
        return pandas.DatetimeIndex(wall.astype("datetime64[ns]")).tz_localize(tz, ambiguous, "NaT")

    plain = localize("NaT")
    if not plain.hasnans:
        unique: np.ndarray = plain.asi8
        return unique
    first, second = localize(np.ones(len(wall), bool)), localize(np.zeros(len(wall), bool))
    if first.hasnans:
        at = int(np.argmax(first.isna()))
        before = wall[at : at + 1] - DAY
        standard = offset_text(int(before[0] - Clock("D", tz).of_wall(before)[0]))
        hint = f"a clock that is not changed in summer has one offset: --tz {standard}"
        raise DataError(f"there is no {_show(wall[at])} in {tz}, which skips this hour", where=locate(at), hint=hint)
    twice = np.flatnonzero(plain.isna())
    cuts = np.searchsorted(twice, offsets[1:-1]).tolist() + (np.flatnonzero(np.diff(twice) > 1) + 1).tolist()
    utc: np.ndarray = first.asi8.copy()
    for run in np.split(twice, sorted({*cuts} - {0, len(twice)})):
        back = np.flatnonzero(np.diff(wall[run]) <= 0) + 1
        if _paired(wall[run]):
            back = np.arange(1, len(run), 2)
            utc[run[back]] = second.asi8[run[back]]
            continue
        if len(back) != 1:
            what = f"{_show(wall[run[0]])} occurs twice in {tz}, and the order of the lines does not show which this is"
            hint = "write times with their offset, such as 2024-10-27 02:00:00+02:00"
            raise DataError(what, where=locate(int(run[0])), hint=hint)
        utc[run[back[0] :]] = second.asi8[run[back[0] :]]
    return utc


def _paired(wall: np.ndarray) -> bool:
    """Whether times [n] come in pairs: 2:00, 2:00, 2:15, 2:15."""
    return len(wall) % 2 == 0 and np.array_equal(wall[::2], wall[1::2]) and bool((np.diff(wall[::2]) > 0).all())


def _years(name: str, text: Any) -> Stamps:
    """Years, or parts of them, as numbers."""
    if text.min() < str(written.FIRST_YEAR):  # nanoseconds do not reach there
        told = f"years before {written.FIRST_YEAR} count steps: there are no dates"
        return replace(_counted(text.str.removesuffix(".0")), note=told)
    times, note = years.read(name, text)
    return Stamps(times, frozenset(), note)


def _counted(text: Any) -> Stamps:
    """Numbers of steps, such as cycles or seconds since a start."""
    decimals = int(text.str.extract(r"\.(\d+)$")[0].str.len().fillna(0).max())
    numbers = np.rint(text.astype(float).to_numpy() * 10**decimals).astype(np.int64)
    return Stamps(numbers, frozenset(), COUNTED, counted=True)


def _evenly(text: Any) -> Stamps | None:
    """Numbers of a time since a start, in even steps that rounding blurs; None for others."""
    import pandas

    numbers = pandas.to_numeric(text, errors="coerce").to_numpy(float)
    steps = np.diff(numbers)
    usual = float(np.median(steps[steps > 0])) if (steps > 0).any() else 0.0
    if not usual or not np.isfinite(numbers).all():
        return None
    counts = (numbers - numbers[0]) / usual
    if np.abs(counts - np.rint(counts)).max() > OFF:
        return None
    return Stamps(np.rint(counts).astype(np.int64), frozenset(), COUNTED, counted=True)


def _epoch(text: Any, locate: Locate) -> Stamps:
    """Times given as seconds, or parts of these, since 1970, in UTC; or as digits of a date and an hour."""
    import pandas

    if text.str.fullmatch(_COMPACT).all() and (written_out := _compact(text, locate)) is not None:
        return written_out
    numbers = pandas.to_numeric(text, errors="coerce").to_numpy()
    stamps, fit = epoch_of(numbers)
    if stamps is None:
        raise _not_a_time(text, int(np.argmin(fit)), locate)
    return stamps


def is_epoch(cell: str) -> bool:
    """Whether a cell is a number that may be one of seconds since 1970."""
    return bool(_EPOCH.fullmatch(cell.strip()))


def may_be_either(cell: str) -> bool:
    """Whether a cell may be seconds since 1970 or a date with its hour: the first and the last one decide."""
    return bool(_COMPACT.fullmatch(cell.strip()))


def epoch_of(numbers: np.ndarray) -> tuple[Stamps | None, np.ndarray]:
    """Numbers [n] as seconds, or parts of these, since 1970, or None; and a mask [n] of those that can be."""
    fits = [(numbers >= least) & (numbers < below) for _, least, below, _ in _UNITS]
    (name, _, _, length), fit = max(zip(_UNITS, fits, strict=True), key=lambda unit: bool(unit[1][0]))
    if not fit.all():
        return None, fit
    note = f"times read as {name} since 1970, in UTC"
    if numbers.dtype.kind in "iu":  # a double would not hold nanoseconds
        return Stamps(numbers.astype(np.int64) * length, frozenset(["+00:00"]), note), fit
    if length < 10**6:
        return None, np.zeros(len(fit), bool)
    whole = np.floor(numbers).astype(np.int64)
    # A double holds a fraction of a second to a quarter of a microsecond.
    micros = np.rint((numbers - whole) * (length / 1000)).astype(np.int64)
    return Stamps(whole * length + micros * 1000, frozenset(["+00:00"]), note), fit


def _compact(text: Any, locate: Locate) -> Stamps | None:
    """Times as YYYYMMDDHH, with minutes and seconds or without; None where they are rather seconds since 1970.

    Ten digits may be either: they are taken as what goes on in even steps.
    """
    import pandas

    size = len(text[0])
    if size not in (10, 12, 14) or (text.str.len() != size).any():
        return None
    day = pandas.to_datetime(text.str[:8], format="%Y%m%d", errors="coerce")
    for at, unit in ((8, "h"), (10, "min"), (12, "s")):
        if at < size:
            day = day + pandas.to_timedelta(text.str[at : at + 2].astype(int), unit=unit)
    times = pandas.DatetimeIndex(day)
    if times.hasnans:
        return None
    wall = times.as_unit("ns").asi8
    if size == 10:
        even, counted = (_evenness(steps) for steps in (np.diff(wall), np.diff(text.astype(np.int64).to_numpy())))
        if even == counted:
            what = f"time {text[0]!r} could be seconds since 1970, or a date with its hour"
            raise DataError(what, where=locate(0), hint=ISO_HINT)
        if counted > even:
            return None
    return Stamps(wall, frozenset(), f"times read as digits of a date and time: {text[0]} is {_show(int(wall[0]))}")


def _evenness(steps: np.ndarray) -> float:
    """The share of steps that are the most common one."""
    return float(np.unique(steps, return_counts=True)[1].max() / len(steps)) if len(steps) else 1.0


def _not_a_time(text: Any, at: int, locate: Locate) -> DataError:
    cell = text[at]
    missing = cell in MISSING or cell == "NaT"
    what = "the time is missing" if missing else f"{cell[:40]!r} is not a date and time"
    clock = re.match(r"\d{1,2}:\d\d", cell)
    days = "--time-col line takes each line as a step; --time-col DATE+TIME joins a column of dates and one of times"
    hint = days if clock else ISO_HINT
    if cell.isdecimal():
        hint += "; --time-col line takes each line as a step"
    return DataError(what, where=locate(at), hint="" if missing else hint)


def _show(wall: int) -> str:
    return Clock("s").show(np.array([wall]))[0]
