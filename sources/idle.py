"""Columns of a dated table that say nothing: parts of its time (year, weekday), what only counts lines, the number of
the station in every line. Models know the calendar of a step, and a target that is known ahead only flatters the score.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from data import Series
from readers.guess import is_id_word
from readers.mapped import is_mapped
from readers.paths import abridge
from times.clock import DAY
from times.words import is_clock_word, is_time_word, last_word

LEAST = 20  # lines, by fewer of which nothing is seen
LEAST_NUMBER = 10**8  # from which on a whole number in each line is that of a thing
EXACT = 0.98  # of the lines at least are what the name says: lines that were made up may not be
HOUR = DAY // 24
MOST_YEARS, ROUNDED = (1500, 2200), 1e-3  # of years with fractions, and how they may be rounded
PARTS = {  # of a time, by the names of their columns without all but letters
    "year": "year yr yyyy jahr ano anno annee an",
    "quarter": "quarter qtr quartal trimestre trimester",
    "month": "month mon mm mo mnth mth monat mes mois mese monthnum monthnumber",
    "week": "week weekofyear weekno weeknum isoweek kw woche semaine semana",
    "day": "day dd dom mday dayofmonth dateofmonth monthday tag dia jour giorno",
    "yearday": "doy yday yearday dayofyear jday julian julianday",
    "weekday": "weekday dow wday dayofweek weekdaynum wochentag",
    "hour": "hour hours hr hh he hourending hourofday stunde hora heure ora",
    "minute": "minute minutes min mi minuto",
    "second": "second seconds sec ss",
    "millisecond": "ms msec millisecond milliseconds millis",
}
_PART = {word: part for part, words in PARTS.items() for word in words.split()}
_COUNTERS = "record rec rn instant seq sequence counter elapsed unix unixtime epoch tick ticks step jd mjd jdn datenum"
_PLACES = "stn stnr lat lon lng latitude longitude elevation altitude latitud longitud altitud nmi mpan"
_CODES = (
    "type kind code codes flag flags qc qn quality status validity decimals mult multiplier scale version freq unit "
    "interval"
)
_MARKS = (-9999, -99999, -999, -99, -999.9, -99.9, -9999.9, 9999, 99999, -32768)  # of a value that is not there
_LETTERS = re.compile(r"[^a-zäöüéèñ]")


def without_idle(series: Series, named: set[str]) -> Series:
    """The series without columns that only repeat its time, count its lines or name its place, told.

    Parameters
    ----------
    series : of a dated table, all of whose columns were read.
    named : columns that flags name, which stay.
    """
    if series.values.shape[1] < LEAST or is_mapped(series.values):
        return series
    why = dict(_idle(series, named))
    if not why or not {*series.channels[: series.numeric]} - {*why}:
        return series
    told = abridge([f"{name} ({reason})" for name, reason in why.items()])
    note = f"left out, since the times say it already or it is the same in each line: {told}; --columns reads them too"
    return series.without(why, note)


def _idle(series: Series, named: set[str]) -> Iterator[tuple[str, str]]:
    """Name and reason of each such column of numbers."""
    wall = None if series.clock is None or series.time is None else series.clock.wall(series.time)
    made = series.filled
    lows, highs = (each.reduce(series.values, axis=1) for each in (np.fmin, np.fmax))
    for c, (name, values) in enumerate(zip(series.channels[: series.numeric], series.values, strict=False)):
        word = _LETTERS.sub("", name.casefold())
        if name in named or name in series.static:
            if name not in named and _numbers_rows(values[series.offsets[:-1]]):
                yield name, "the number of the series"
            continue
        low, high = float(lows[c]), float(highs[c])
        if made is not None and made[c].any():
            values = np.where(made[c], np.nan, values)
            low, high = (float(each.reduce(values)) for each in (np.fmin, np.fmax))
        if np.isnan(low):
            continue
        if name.isdecimal() and _ticks(values, series.offsets):
            yield name, "a clock"
        elif wall is None:
            continue
        elif _is_digits(name, values):
            yield name, "the digits of a time"
        elif word in _PART and _is_part(values, wall, _PART[word]):
            yield name, _PART[word]
        elif MOST_YEARS[0] <= low and high <= MOST_YEARS[1] and _is_decimal_year(values, wall):
            yield name, "the year with a fraction"
        elif _counts(name, word) and _runs(values, series.offsets):
            yield name, "a count"
        elif low == high and (_is_fact(name) or _is_number_of(low)):
            yield name, f"always {low:.7g}"


def _numbers_rows(values: np.ndarray) -> bool:
    """Whether the values of N rows are 0, 1, 2 or 1, 2, 3 and so on."""
    first = values[0]
    return len(values) > 2 and first in (0, 1) and np.array_equal(values, first + np.arange(len(values)))


def _is_fact(name: str) -> bool:
    """Whether a column is called as those are that say of all lines where they are from, or of which kind."""
    words = {*re.findall(r"[^\W\d_]+", name.casefold())}
    codes = {*_CODES.split()}
    if name.isdecimal() or (name.casefold().endswith("id") and len(name) > 3):  # without a name; geoid
        return True
    return (
        is_id_word(name) or is_time_word(name) or bool(({*_PLACES.split()} | codes) & words) or last_word(name) in codes
    )


def _is_number_of(value: float) -> bool:
    """Whether a value that never changes is rather the number of a thing, as of a meter, or a mark, than a reading."""
    return (abs(value) >= LEAST_NUMBER and float(value).is_integer()) or bool(
        np.isclose(value, _MARKS, rtol=1e-6).any()
    )


def _is_digits(name: str, values: np.ndarray) -> bool:
    """Whether a column named as times are, such as TIMESTAMP_END, holds whole numbers as large as the digits of a date
    and its hour and minute, and maybe second, are."""
    if not any(map(is_time_word, re.findall(r"[^\W\d_]+", name))):
        return False
    known = values[~np.isnan(values)]
    low, high = float(known.min()), float(known.max())
    return not (known % 1).any() and any(1900 * 10**more <= low <= high < 2100 * 10**more for more in (8, 10))


def _counts(name: str, word: str) -> bool:
    return name == "#" or word in _COUNTERS.split() or is_clock_word(name) or is_id_word(name, things=False)


def _runs(values: np.ndarray, offsets: np.ndarray) -> bool:
    """Whether values go up by one length from line to line, in each row."""
    steps = np.delete(np.diff(values.astype(np.float64)), offsets[1:-1] - 1)
    steps = steps[~np.isnan(steps)]
    usual = float(np.median(steps)) if len(steps) else 0.0
    bit = float(np.spacing(np.nanmax(np.abs(values))))  # of seconds since 1970 in float32: minutes
    return usual > bit and float(np.isclose(steps, usual, rtol=1e-3, atol=bit).mean()) >= EXACT


def _is_decimal_year(values: np.ndarray, wall: np.ndarray) -> bool:
    """Whether values [n], like years, are those of the wall times [n] with a fraction, of somewhere in their steps."""
    known = values[~np.isnan(values)].astype(np.float64)
    if not (known % 1).any():
        return False
    stamps = wall[~np.isnan(values)]
    years = stamps.astype("datetime64[ns]").astype("datetime64[Y]")
    begin, end = (each.astype("datetime64[ns]").astype(np.int64) for each in (years, years + 1))
    found = years.astype(np.int64) + 1970 + (stamps - begin) / (end - begin)
    step = max(float(np.median(np.abs(np.diff(found)))), ROUNDED)
    return float((np.abs(known - found) <= step).mean()) >= EXACT


def _ticks(values: np.ndarray, offsets: np.ndarray) -> bool:
    """Whether whole numbers as large as those of clocks in thousandths of seconds, or finer, rise in each row."""
    known = values[~np.isnan(values)]
    if known.min() < LEAST_NUMBER or (known % 1).any():
        return False
    steps = np.delete(np.diff(values.astype(np.float64)), offsets[1:-1] - 1)
    return bool(len(steps)) and float((steps > 0).mean()) >= EXACT


def _is_part(values: np.ndarray, wall: np.ndarray, part: str) -> bool:
    """Whether values [n] are a part of the wall times [n], counted in one of the ways in which people do."""
    given = ~np.isnan(values)
    stamps = wall[given]
    found = _PART_OF[part](stamps.astype("datetime64[ns]").astype("datetime64[D]"), stamps)
    off = values[given] - found
    if len(found) and (found == found[0]).all():  # as the week is of all first days of years: zeros are none
        return not off.any()
    if part == "weekday":  # from 0 or 1, on Monday or Sunday
        return any(float((np.mod(off, 7) == shift).mean()) >= EXACT for shift in range(7))
    ways = (0, 1, -1) if part in ("hour", "month", "yearday") else (0,)
    if part == "year":  # or how many have gone by
        return bool(given.any()) and float((off == off[0]).mean()) >= EXACT
    if part == "week":  # several calendars
        return float((np.abs(off) <= 1).mean()) >= 0.9
    return bool(given.any()) and any(float((off == way).mean()) >= EXACT for way in ways)


def _since(dates: np.ndarray, unit: str) -> np.ndarray:
    """Days [n] since the beginning of their month (M) or year (Y)."""
    days: np.ndarray = (dates - dates.astype(f"datetime64[{unit}]")).astype(np.int64)
    return days


def _month(dates: np.ndarray) -> np.ndarray:
    months: np.ndarray = dates.astype("datetime64[M]").astype(np.int64) % 12
    return months


_PART_OF: Mapping[str, Callable[[np.ndarray, np.ndarray], Any]] = {
    "year": lambda dates, _: dates.astype("datetime64[Y]").astype(np.int64) + 1970,
    "quarter": lambda dates, _: _month(dates) // 3 + 1,
    "month": lambda dates, _: _month(dates) + 1,
    "week": lambda dates, _: _since(dates, "Y") // 7 + 1,
    "day": lambda dates, _: _since(dates, "M") + 1,
    "yearday": lambda dates, _: _since(dates, "Y") + 1,
    "weekday": lambda dates, _: dates.astype(np.int64) + 3,
    "hour": lambda _, stamps: stamps // HOUR % 24,
    "minute": lambda _, stamps: stamps // (HOUR // 60) % 60,
    "second": lambda _, stamps: stamps // (HOUR // 3600) % 60,
    "millisecond": lambda _, stamps: stamps // (HOUR // 3_600_000) % 1000,
}
