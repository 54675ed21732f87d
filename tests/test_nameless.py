"""readers/nameless.py: tables without a line of names, as instruments and archives of data sets write them."""

from __future__ import annotations

import datetime

import numpy as np
import pandas as pd
import pytest

from readers.dated import Dated, dated
from readers.dialect import AUTO, Dialect
from readers.long import read_long

from .runs import go

START = datetime.datetime(2024, 2, 28, 22, 0)
RANDOM = np.random.default_rng(0)
NOISE = RANDOM.normal(size=(120, 3)).round(3)


def found_in(path) -> Dated | None:
    return dated(path, Dialect(AUTO, AUTO))


def lines(write, count: int = 120, minutes: int = 1) -> str:
    times = [START + datetime.timedelta(minutes=minutes * k) for k in range(count)]
    return "\n".join(f"{write(time)} {' '.join(map(str, NOISE[k]))}" for k, time in enumerate(times)) + "\n"


def test_a_year_its_day_and_parts_of_a_time_before_numbers(put, tmp_path):
    """As SURFRAD writes: two lines on the station, then year, day of the year, month, day, hour, minute."""
    text = lines(lambda t: f" {t.year} {t.timetuple().tm_yday:3d} {t.month:2d} {t.day:2d} {t.hour:2d} {t.minute:2d}")
    assert found_in(put(text, "plain.dat")).time == "1+3+4+5+6"
    put(f" Bondville\n   40.05  -88.37  213 m  version 1\n{text}", "noted.dat")
    answer = go(tmp_path, "--csv noted.dat")
    assert "from 2024-02-28 22:00:00 to 2024-02-28 23:59:00 in '1+3+4+5+6', in steps of 1min" in answer.out
    assert "3 columns (7, 8, 9)" in answer.out and "lines 1 to 2 above the header left out" in answer.out


@pytest.mark.parametrize(
    ("names", "time", "channels"),
    [
        ("year, month, day, RMM1, phase. Missing Value= 999", "1+2+3", "4, 5"),
        ("year, month, day, RMM1, phase", "year+month+day", "RMM1, phase"),
    ],
)
def test_days_with_words_behind_them_below_two_lines_of_text(put, tmp_path, names, time, channels):
    days = [START + datetime.timedelta(days=k) for k in range(60)]
    body = [f"  {d.year}  {d.month}  {d.day}  {NOISE[k][0]}  {k % 8 + 1}  Final_value:_OLR" for k, d in enumerate(days)]
    put("\n".join(["RMM values, in real time", names, *body]) + "\n", "rmm.txt")
    answer = go(tmp_path, "--csv rmm.txt")
    assert f"from 2024-02-28 to 2024-04-27 in '{time}', in steps of 1D" in answer.out
    assert f"1 series of 60 steps, 2 columns ({channels})" in answer.out


def test_a_day_and_a_time_of_day_in_digits_beside_a_station(put):
    text = lines(lambda t: f"53878 {t:%Y%m%d %H%M} {t - datetime.timedelta(hours=6):%Y%m%d %H%M}", minutes=60)
    assert found_in(put(text)).time == "2+3"
    assert found_in(put(lines(lambda t: f"53878 {t:%Y%m%d} 9900"))) is None  # no time of day


@pytest.mark.parametrize("late", [False, True])
def test_a_day_of_the_year_that_is_none_is_no_part_of_a_time(put, late):
    text = lines(lambda t: f"{t.year} {t.timetuple().tm_yday + late} {t.month} {t.day} {t.hour} {t.minute}")
    found = found_in(put(text))
    assert (found is not None and found.time == "1+3+4+5+6") != late


def recordings(people) -> str:
    """Three classes of each of several people, with the nanoseconds since a phone was started."""
    rows, clock = [], 49_105_962_326_000
    for person in people:
        for k, word in enumerate(("Walking", "Jogging", "Sitting")):
            for step in range(40):
                clock += 50_000_000 + 10_000 * (step % 3)
                rows.append(f"{person},{word},{clock},{np.sin(step * (k + 1) / 3):.4f},{step % 7}.5;")
    return "\n".join(rows) + "\n"


def test_lines_of_people_and_what_they_do_are_steps_of_a_series_each(put, tmp_path):
    """Of which the nanoseconds are no channel, and the word is the label that its name, a number, means."""
    path = put(recordings((33, 17, 29, 13, 20)), "raw.txt")
    found = found_in(path)
    assert (found.time, found.ids, found.worded) == ("line", ("1",), True)
    answer = go(tmp_path, "--csv raw.txt")
    assert "5 series of 120 steps" in answer.out and "series by '1': 33, 17, 29, 13, 20" in answer.out
    line = "--task classify --csv raw.txt --time-col line --id-col 1 --label-src-ch 2"
    assert line in answer.out
    done = go(tmp_path, f"{line} --context-len 20 --dry-run")
    assert done.code == 0, done.err
    told = done.out + done.err
    assert "label '2' holds 3 classes: Jogging, Sitting, Walking" in told and "3 (a clock)" in told
    assert "the column called 2, not the channel of that number" in told
    assert "5 rows of 120 steps (600 in all); 3 channels (4, 5, 2)" in told


def test_lines_of_one_person_are_one_series(put):
    found = found_in(put(recordings((1600,)), "raw.txt"))
    assert (found.time, found.ids) == ("line", ())


def test_flowers_with_their_kind_at_the_end_are_no_steps(put):
    rows = [f"{5 + k % 3}.1,{k % 4}.5,1.{k % 9},{'setosa' if k < 30 else 'virginica'}" for k in range(60)]
    assert found_in(put("\n".join(rows))) is None


def test_lines_that_are_counted_before_one_number_or_before_channels(put):
    swing = np.sin(np.arange(200) / 9).round(4)
    found = found_in(put("\n".join(f"{k + 1},{x}" for k, x in enumerate(swing))))
    assert found.time == "1"
    others = np.cos(np.arange(200) / 7).round(4)
    more = "\n".join(f"{k},{x},{y},{x * y:.4f}" for k, (x, y) in enumerate(zip(swing, others, strict=True)))
    found = found_in(put(more))
    assert found.time == "1" and found.follow


@pytest.mark.parametrize(
    ("write", "minutes", "time", "last"),
    [
        (lambda t: f"{t.year} {t.timetuple().tm_yday}", 1440, "1+2", "2024-06-26"),
        (lambda t: f"{t.year} {t.timetuple().tm_yday} {t.hour}", 60, "1+2+3", "2024-03-04 21:00:00"),  # as OMNI writes
        (lambda t: f"{t.timestamp():.2f}", 1, "1", "2024-02-28 23:59:00+00:00"),
    ],
)
def test_a_year_and_its_day_or_seconds_begin_a_line(put, tmp_path, write, minutes, time, last):
    """Each line was one of series, or each year a series whose days were counted."""
    start = datetime.datetime(2024, 2, 28, 22, 0, tzinfo=datetime.timezone.utc)
    times = [start + datetime.timedelta(minutes=minutes * k) for k in range(120)]
    path = put("".join(f"{write(t)} {a} {b} {c}\n" for t, (a, b, c) in zip(times, NOISE, strict=True)), "plain.dat")
    assert found_in(path).time == time
    series = read_long([path], time_col=time, sep=AUTO, decimal=AUTO)
    assert series.channels == tuple(str(k + 1 + len(time.split("+"))) for k in range(3))
    assert series.clock.show(series.time[-1:]) == [last] and series.values[1, 5] == np.float32(NOISE[5, 1])


def test_years_with_fractions_begin_a_line(put, tmp_path):
    """As tide gauges are published: the middles of months, without names."""
    path = put("".join(f" {1880 + (k + 0.5) / 12:.4f}; {a};0\n" for k, a in enumerate(NOISE[:, 0])), "plain.dat")
    assert found_in(path).time == "1"
    series = read_long([path], time_col="1", sep=AUTO, decimal=AUTO)
    assert series.clock.freq == "MS" and series.clock.show(series.time[[0, -1]]) == ["1880-01-01", "1889-12-01"]


def test_a_zone_of_java_behind_the_offset_is_no_word(put, tmp_path):
    """As accelerometers of the UK Biobank are read: each line was a series, named by its time."""
    times = [f"{START + datetime.timedelta(seconds=30 * k)}.500000+0100 [Europe/London]" for k in range(120)]
    path = put("time,acc\n" + "".join(f"{t},{a}\n" for t, a in zip(times, NOISE[:, 0], strict=True)), "t.csv")
    assert found_in(path).time == "time"
    series = read_long([path], time_col="time")
    assert series.clock.freq == "30s" and series.clock.show(series.time[:1]) == ["2024-02-28 22:00:00.500+01:00"]


def test_days_behind_a_station_and_before_what_is_measured(put):
    """As the daily climatology of NOAA has its years."""
    days = pd.date_range("2010-01-01", periods=60)
    cells = [(s, f"{day:%Y%m%d}", e, str(10 * k + at)) for k, day in enumerate(days) for at, (s, e) in enumerate(PAIRS)]
    path = put("\n".join(",".join([*cell, "", "", "W", ""]) for cell in cells))
    found = dated(path, Dialect(AUTO, AUTO))
    assert (found.time, found.ids) == ("2", ("1+3",))
    series = read_long([path], time_col="2", id_col="1+3")
    rows = dict(zip(series.rows, series.values.reshape(4, 60).tolist(), strict=True))
    assert rows == {f"{s}/{e}": [10 * k + at for k in range(60)] for at, (s, e) in enumerate(PAIRS)}
    assert series.time[:60].tolist() == days.as_unit("ns").asi8.tolist()


PAIRS = [("US1", "PRCP"), ("US1", "TMAX"), ("US2", "PRCP"), ("US2", "TMAX")]
