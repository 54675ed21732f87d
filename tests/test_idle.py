"""sources/idle.py: columns that repeat the times, count the lines or name the place are left out, told."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from .runs import go

RUN = "--mode train --task forecast --csv t.csv --time-col t --horizon 3 --context-len 6 --backbone ridge --dry-run"


def table(n=400, freq="h", start="2022-11-28"):
    times = pd.date_range(start, periods=n, freq=freq)
    load = np.random.default_rng(0).normal(size=n).cumsum()
    return times, pd.DataFrame({"t": times.strftime("%Y-%m-%d %H:%M"), "load": load})


def channels(folder, frame, flags=""):
    frame.to_csv(folder / "t.csv", index=False)
    done = go(folder, RUN, flags)
    assert done.code == 0, done.err
    (read,) = [line for line in done.err.splitlines() if line.startswith("read: ")]
    return read.partition(" (")[2].partition(")")[0].split(", "), done.err


def test_parts_of_the_time_are_no_channels_however_they_count(tmp_path):
    times, frame = table()
    parts = {
        "Year": times.year,
        "month": times.month,
        "Day_of_Month": times.day,
        "Hour": times.hour + 1,  # from 1 to 24
        "minute": times.minute,
        "weekday": (times.weekday + 1) % 7,  # Sunday is 0
        "DOY": times.dayofyear,
        "Quarter": times.quarter,
        "weekofyear": times.isocalendar().week.to_numpy(),
    }
    found, told = channels(tmp_path, frame.assign(**parts))
    assert found == ["load"]
    assert "left out, since the times say it already" in told and "Year (year)" in told
    assert "left out, since the times" not in channels(tmp_path, frame.assign(**parts), "--columns load Hour")[1]


def test_how_many_years_have_gone_by_and_the_number_of_the_line_are_no_channels(tmp_path):
    times, frame = table(800, "D")
    frame.insert(0, "instant", np.arange(1, 801))
    found, told = channels(tmp_path, frame.assign(yr=times.year - 2022, mnth=times.month, rank=np.arange(1, 801)))
    assert found == ["load", "rank"]  # a column that counts may be a quantity that does
    assert "instant (a count), yr (year), mnth (month)" in told


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("unix", lambda times: (times - pd.Timestamp(0)) // pd.Timedelta("1s")),
        ("RECORD", lambda times: 4711 + np.arange(len(times))),
        ("station_id", lambda times: np.full(len(times), 260)),
        ("Latitude", lambda times: np.full(len(times), 52.1)),
        ("JD", lambda times: times.to_julian_date()),
        ("Time_ms", lambda times: (times - pd.Timestamp("1899-12-30")) / pd.Timedelta("1D") * 1e6),  # of WinCC
        ("HE", lambda times: times.hour + 1),
        ("UNIT_MULT", lambda times: np.zeros(len(times), int)),  # of SDMX
        ("Record Type", lambda times: np.zeros(len(times), int)),  # of LibreView
        ("sourceVersion", lambda times: np.full(len(times), 9.1)),  # of Apple's Health
        ("snow", lambda times: np.full(len(times), -9999)),
    ],
)
def test_counts_and_the_number_of_the_place_are_no_channels(tmp_path, name, values):
    times, frame = table()
    assert channels(tmp_path, frame.assign(**{name: values(times)}))[0] == ["load"]


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("hour", lambda times: (times.hour * 7) % 11),  # named so, and something else
        ("month", lambda times: np.arange(len(times)) % 7),
        ("total", lambda times: np.arange(len(times))),  # a meter, not a count of lines
        ("status", lambda times: np.arange(len(times)) % 3),  # which changes
        ("snow", lambda times: np.full(len(times), -9)),
        ("setpoint", lambda times: np.full(len(times), 21)),
    ],
)
def test_other_columns_stay_whatever_they_are_called(tmp_path, name, values):
    times, frame = table()
    assert channels(tmp_path, frame.assign(**{name: values(times)}))[0] == ["load", name]


def test_a_column_that_a_flag_names_stays(tmp_path):
    times, frame = table()
    frame = frame.assign(hour=times.hour)
    assert channels(tmp_path, frame, "--target hour --features MS")[0] == ["load", "hour"]
    assert "times say it" not in channels(tmp_path, frame, "--known-future hour --features MS --target load")[1]
    frame.to_csv(tmp_path / "t.csv", index=False)
    assert "times say it" in go(tmp_path, RUN).err
    refused = go(tmp_path, RUN, "--strict").err
    assert "times say it" not in refused


def test_values_that_fill_gaps_are_not_held_against_a_part_of_the_time(tmp_path):
    times, frame = table(freq="D")
    frame = frame.assign(weekday=times.weekday).drop(index=[5, *range(40, 60, 3), 300])
    assert channels(tmp_path, frame)[0] == ["load"]


def test_a_long_number_that_never_changes_is_that_of_a_thing(tmp_path):
    _, frame = table()
    found, told = channels(tmp_path, frame.assign(ean=871687110001234567, peak=250))
    assert found == ["load", "peak"] and "ean (always 8.716871e+17)" in told


def test_the_end_of_a_step_in_digits_is_no_channel(tmp_path):
    """As FLUXNET writes: its times in digits were channels, both of them, and lines had no dates."""
    times = [datetime(2011, 1, 1) + timedelta(minutes=30 * k) for k in range(96)]
    lines = [f"{t:%Y%m%d%H%M},{t + timedelta(minutes=30):%Y%m%d%H%M},{k % 7}.5" for k, t in enumerate(times)]
    (tmp_path / "f.csv").write_text("# Site: US-CRT,,\nTIMESTAMP_START,TIMESTAMP_END,CO2\n" + "\n".join(lines))
    told = go(tmp_path, "--mode train --task forecast --csv f.csv --dry-run").err
    assert "'TIMESTAMP_START' taken as the time column" in told and "TIMESTAMP_END (the digits of a time)" in told
    assert "1 channel (CO2); 2011-01-01 00:00:00 to 2011-01-02 23:30:00, a step is 30min" in told


def test_a_year_with_a_fraction_says_the_time_again_and_zeros_do_not(tmp_path):
    times, frame = table(freq="D")
    length = np.where(times.is_leap_year, 366, 365)
    frame["1"] = (times.year + (times.dayofyear - 0.5) / length).round(3)
    kept, err = channels(tmp_path, frame)
    assert kept == ["load"] and "1 (the year with a fraction)" in err
    yearly = pd.DataFrame(
        {"t": range(1900, 2000), "load": np.arange(100) % 7, "KW": 0.0, "min": (np.arange(100) > 97) * 1}
    )
    kept, err = channels(tmp_path, yearly)
    assert kept == ["load", "KW", "min"]  # Kuwait, and no week


def test_a_column_that_never_changes_is_no_channel_where_it_is_an_id_or_has_no_name(tmp_path):
    times, frame = table()
    frame = frame.assign(geoid=3, interval=600, ms=0, rain=0.0)
    kept, err = channels(tmp_path, frame)
    assert kept == ["load", "rain"]  # rain may fall one day
    assert "geoid (always 3), interval (always 600), ms (millisecond)" in err
    frame = table()[1].assign(**{"2": 101.0})
    frame.to_csv(tmp_path / "t.csv", index=False, header=False)
    done = go(tmp_path, RUN.replace("--time-col t", "--time-col 1"))
    assert done.code == 0 and "3 (always 101)" in done.err, done.err
