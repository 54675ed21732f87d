"""Tables as portals, markets, loggers and offices export them: which columns hold the time, and what is left out."""

from __future__ import annotations

import datetime

import numpy as np
import pytest

from readers.dated import dated
from readers.dialect import AUTO, Dialect

from .test_strangers import taken

MINUTES = [datetime.datetime(2024, 3, 13, 22) + datetime.timedelta(minutes=15 * k) for k in range(60)]
DAYS = [datetime.datetime(2024, 1, 25) + datetime.timedelta(days=k) for k in range(60)]
EPOCH = datetime.datetime(1970, 1, 1)


def unix(time):
    return int((time - EPOCH).total_seconds())


EXPORTS = {  # the lines above, how a line is written, the times of the lines
    "Stooq": (
        "<TICKER>,<PER>,<DATE>,<TIME>,<y>",
        lambda t, v: f"A.US,15,{t:%Y%m%d,%H%M%S},{v}",
        MINUTES,
    ),
    "a date, an hour and a minute": (
        "Date,Hour,Minute,y",
        lambda t, v: f"{t:%Y-%m-%d},{t.hour},{t.minute},{v}",
        MINUTES,
    ),
    "Meteostat": ("", lambda t, v: f"{t:%Y-%m-%d},{t.hour},{v}", [t.replace(minute=0) for t in MINUTES[::4]]),
    "PVOutput, newest first": ("", lambda t, v: f"{t:%Y%m%d},{v},Fine,-", DAYS[::-1]),
    "Binance, in microseconds": ("", lambda t, v: f"{unix(t)}000000,{v},{unix(t) + 899}999999,0", MINUTES),
    "Apple's Health": (
        "type,sourceVersion,creationDate,startDate,endDate,y",
        lambda t, v: f"HR,9.1,{t + datetime.timedelta(minutes=3)} +0000,{t} +0000,{t} +0000,{v}",
        MINUTES,
    ),
    "Dexcom Clarity": (
        "Index,Timestamp,Event Type,Patient Info,y\n1,,FirstName,Ann,\n2,,LastName,Smith,\n3,,Device,G6,",
        lambda t, v: f"{4 + MINUTES.index(t)},{t:%Y-%m-%dT%H:%M:%S},EGV,,{v}",
        MINUTES,
    ),
    "a calendar in three columns": ("Tag;Monat;Jahr;y", lambda t, v: f"{t.day};{t.month};{t.year};{v}", DAYS),
}


@pytest.mark.parametrize("kind", EXPORTS)
def test_exports(kind, put):
    head, line, times = EXPORTS[kind]
    body = [line(time, 100.5 + k) for k, time in enumerate(times)]
    series = taken(put("\n".join([*head.split("\n"), *body] if head else body)))
    found = series.times(0)
    values = 100.5 + np.arange(len(times))
    order = np.argsort(times)
    assert found.tolist() == [unix(t) * 10**9 for t in np.array(times)[order]]
    channel = next(c for c, each in enumerate(series.values) if np.array_equal(each, values[order]))
    left = {"Stooq": {"<PER>"}, "Binance, in microseconds": {"3", "4"}, "Apple's Health": {"sourceVersion"}}
    others = {name for c, name in enumerate(series.channels) if c != channel}
    assert others == left.get(kind, {"Index"} if "Dexcom" in kind else set())


@pytest.mark.parametrize("words", ["Jahr;KW", "Année;Semaine", "Año;Semana"])
def test_years_and_weeks_of_other_languages(words, put):
    mondays = [datetime.date(2023, 1, 2) + datetime.timedelta(weeks=k) for k in range(60)]
    lines = [f"{day.isocalendar()[0]};{day.isocalendar()[1]};{k},5" for k, day in enumerate(mondays)]
    series = taken(put("\n".join([f"{words};y", *lines])))
    assert series.channels == ("y",) and series.values[0].tolist() == [k + 0.5 for k in range(60)]
    assert [np.datetime64(int(t), "ns").astype("datetime64[D]").item() for t in series.times(0)] == mondays


def test_seconds_that_rise_unevenly_are_the_times_of_trades(put):
    lines = [f"{1_315_922_016 + 7 * k * k},{5 + k % 3}.8,{k % 4}.0" for k in range(60)]
    found = dated(put("\n".join(lines)), Dialect(AUTO, AUTO))
    assert found is not None and found.time == "1" and found.ids == ()


@pytest.mark.parametrize(
    "column",
    [
        [1_315_922_016 - 7 * (k % 5) for k in range(60)],  # that goes up and down
        [415_922_016 + 9 * k * k for k in range(60)],  # of 1983
        [20240101 + 700 * k for k in range(60)],  # no days of a calendar
    ],
)
def test_numbers_that_are_no_times_stay(column, put):
    found = dated(put("\n".join(f"{number},{k % 7}.5,{k}" for k, number in enumerate(column))), Dialect(AUTO, AUTO))
    assert found is None or found.time == "line"


def test_a_door_among_sensors_does_not_name_the_columns(put):
    """Home Assistant's `off` in the first line, where numbers stand below it."""
    lines = []
    for k, time in enumerate(MINUTES):
        lines += [f"binary_sensor.door,{'on' if k % 14 else 'off'},{time.isoformat()}Z"] * (k % 7 == 0)
        lines += [f"sensor.a,{k}.5,{time.isoformat()}Z", f"sensor.b,{100 - k},{time.isoformat()}Z"]
    series = taken(put("\n".join(["entity_id,state,last_changed", *lines])))
    assert series.channels == ("state",) and series.rows == ("sensor.a", "sensor.b")
    assert series.values[0].tolist() == [k + 0.5 for k in range(60)] + [100.0 - k for k in range(60)]


def test_things_that_write_a_line_when_something_happens_are_not_mixed(put):
    """No time comes twice: all lines would be one series, and their mean that of a temperature and a power."""
    lines = []
    for k in range(200):
        time = DAYS[0] + datetime.timedelta(minutes=10 * k, seconds=k * k % 500)
        later = time + datetime.timedelta(seconds=7 + k % 3)
        lines += [f"{time.isoformat()},sensor.a,{20 + k % 5}", f"{later.isoformat()},sensor.b,{500 + k % 5}"]
    series = taken(put("\n".join(["time,entity_id,state", *lines])), resample="1h")
    assert series.rows == ("sensor.a", "sensor.b")
    low, high = np.split(series.values[0], series.offsets[1:-1])
    assert low.min() >= 20 and low.max() <= 24 and high.min() >= 500 and high.max() <= 504
    named = taken(put("\n".join(["time,weather,state", *lines])), resample="1h")
    assert named.rows == ("a",)  # which is not called as things are
