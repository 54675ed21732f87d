"""Tables as loggers, weather services and statistics offices write them, read with no flag but the file's name."""

from __future__ import annotations

import datetime
from itertools import count

import numpy as np
import pytest

from readers.dated import dated
from readers.dialect import AUTO, Dialect
from readers.long import read_long

N = 60
START = datetime.datetime(2024, 2, 27)
HOURS = [START + datetime.timedelta(hours=k) for k in range(N)]
VALUES = [round(10 + k % 7 + k / 50, 2) for k in range(N)]
PAIRS = list(zip(HOURS, VALUES, strict=True))
HOUR = datetime.timedelta(hours=1)


def lines(head, body, foot=""):
    return "\n".join([*head.strip("\n").split("\n"), *body, *([foot] if foot else [])]) + "\n"


def comma(value):
    return str(value).replace(".", ",")


TABLES = {  # text, --time-col, channels, the step
    "hours of a day beside digits of a date, names behind a hash sign below text": (
        lines(
            "SOURCE: OFFICE\nRemark: see below.\n\nHH = hour\n\n# STN,YYYYMMDD,   HH,    T",
            [f"  260,{(t - HOUR * (t.hour == 0)):%Y%m%d},{t.hour or 24:5d},{v}" for t, v in PAIRS[1:]],
        ),
        "YYYYMMDD+HH",
        ["STN", "T"],
        "h",
    ),
    "hours with the name of a zone": (
        lines(
            "ESTACAO:;X\nALTITUDE:;1160,96\nData;Hora UTC;TEMP;",
            [f"{t:%Y/%m/%d};{t:%H}00 UTC;{comma(v)};" for t, v in PAIRS],
        ),
        "Data+Hora UTC",
        ["TEMP"],
        "h",
    ),
    "digits with a colon, notes below": (
        lines(
            "Latitude:\t45.000\nElevation (m):\t250\n\ntime,P,Int",
            [f"{t:%Y%m%d:%H}10,{v},0.5" for t, v in PAIRS],
            "\nP: power (W)\nInt: 1 means reconstructed\nH_sun: height of the sun\nT2m: air\n(c) Office, 2001-2020",
        ),
        "time",
        ["P", "Int"],
        "h",
    ),
    "hours that are counted to their ends, in Polish": (
        lines("Data;Godzina;Moc", [f"{(t - HOUR):%d.%m.%Y};{(t - HOUR).hour + 1};{comma(v)}" for t, v in PAIRS]),
        "Data+Godzina",
        ["Moc"],
        "h",
    ),
    "hours that end": (
        lines("Date,Hour Ending,temp", [f"{(t - HOUR):%Y-%m-%d},{(t - HOUR).hour + 1},{v}" for t, v in PAIRS]),
        "Date+Hour Ending",
        ["temp"],
        "h",
    ),
    "from / to": (
        lines(
            "# Coding: utf-8\n# x\n# period;ghi;bhi",
            [f"{t:%Y-%m-%dT%H:%M:%S}.0/{t + HOUR:%Y-%m-%dT%H:%M:%S}.0;{v};1.5" for t, v in PAIRS],
        ),
        "period",
        ["ghi", "bhi"],
        "h",
    ),
    "names, units, and how values were taken": (
        lines(
            '"TOA5","Ridge","CR1000X","12345"\n"TIMESTAMP","RECORD","temp","volt"\n"TS","RN","C","volts"\n"","","Avg","Min"',
            [f'"{t}",{k},{v},12.5' for k, t, v in zip(count(7), HOURS, VALUES, strict=False)],
        ),
        "TIMESTAMP",
        ["RECORD", "temp", "volt"],
        "h",
    ),
}


@pytest.mark.parametrize("kind", TABLES)
def test_a_table_of_an_office_is_read_as_it_is(tmp_path, kind):
    text, time_col, channels, step = TABLES[kind]
    path = tmp_path / "t.csv"
    path.write_text(text)
    found = dated(path, Dialect(AUTO, AUTO))
    assert found is not None and found.time == time_col and not found.ids
    series = read_long([path], time_col=time_col, sep=AUTO, decimal=AUTO, nan="auto")
    assert list(series.channels) == channels and series.clock.freq == step
    values = VALUES[1:] if "HH" in time_col else VALUES
    where = next(k for k, line in enumerate(series.values) if np.allclose(line, values, rtol=1e-6))
    assert channels[where] in ("T", "TEMP", "P", "ghi", "temp", "Moc")
    first = {"YYYYMMDD+HH": "2024-02-27 01:00:00", "time": "2024-02-27 00:10:00"}.get(time_col, "2024-02-27 00:00:00")
    assert series.clock.show(series.time[:1]) == [first]


def test_years_that_no_time_reaches_count_steps(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(lines("year,wheat", [f"{year},{k % 9 + 1.5}" for k, year in enumerate(range(1565, 1825, 5))]))
    series = read_long([path], time_col="year")
    assert series.clock is None and "count steps" in " ".join(series.notes)


def test_an_offices_table_whose_last_months_are_dots(tmp_path):
    """As Germany's writes it: titles filled up with separators, names and units that leave the times out, notes."""
    months = "Januar Februar März April Mai Juni Juli August September Oktober November Dezember".split()
    lines = [f"{2015 + k // 12};{months[k % 12]};{100 + k if k < 58 else '...'};{7 * k}" for k in range(60)]
    above = [
        "Tabelle: 1",
        "Ankünfte und Übernachtungen;;;",
        "Erhebung im Tourismus;;;",
        ";;Ankünfte;Betten",
        ";;Anzahl;Anzahl",
    ]
    below = ["__________", "Betriebe: ab 2012 mit 10 und mehr Betten.", "(C) Amt, 2024", "Stand: 15.01.2024 / 10:11:12"]
    path = tmp_path / "x.csv"
    path.write_text("\n".join([*above, *lines, *below]) + "\n", encoding="cp1252")
    found = dated(path, Dialect(AUTO, AUTO))
    assert found is not None and found.time == "1+2"
    series = read_long([path], time_col="1+2", sep=AUTO, decimal=AUTO, nan="drop")
    assert series.channels == ("Ankünfte", "Betten") and series.clock.freq == "MS"
    assert np.array_equal(series.values[1], 7.0 * np.arange(60)) and np.isnan(series.values[0]).sum() == 2


@pytest.mark.parametrize(
    ("names", "months"),
    [
        ("Yıl;Ay", "Ocak Şubat Mart Nisan Mayıs Haziran Temmuz Ağustos Eylül Ekim Kasım Aralık"),
        (
            "Év;Hónap",
            "január február március április május június július augusztus szeptember október november december",
        ),
        ("Vuosi;Kuukausi", " ".join(map(str, range(1, 13)))),
    ],
)
def test_years_and_months_of_other_languages(tmp_path, names, months):
    cells = [f"{2015 + k // 12};{months.split()[k % 12]};{k}" for k in range(36)]
    path = tmp_path / "t.csv"
    path.write_text(lines(f"{names};x", cells))
    found = dated(path, Dialect(AUTO, AUTO))
    series = read_long([path], time_col=found.time, sep=AUTO)
    assert found.time == names.replace(";", "+")
    assert series.clock.freq == "MS" and series.clock.show(series.time[[0, 35]]) == ["2015-01-01", "2017-12-01"]


def test_the_parts_of_a_date_in_indonesian(tmp_path):
    days = [datetime.date(2012, 3, 1) + datetime.timedelta(days=k) for k in range(70)]
    path = tmp_path / "t.csv"
    months = {3: "Maret", 4: "April", 5: "Mei"}
    path.write_text(
        lines("Tahun;Bulan;Tanggal;x", [f"2012;{months[day.month]};{day.day};{k}" for k, day in enumerate(days)])
    )
    found = dated(path, Dialect(AUTO, AUTO))
    assert (found.time, found.ids) == ("Tahun+Bulan+Tanggal", ())
    series = read_long([path], time_col=found.time, sep=AUTO)
    assert series.clock.show(series.time) == [str(day) for day in days]
