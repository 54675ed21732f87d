"""readers/foreign.py and the formats that it finds: each file is written here by hand, as its specification has it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from errors import DataError
from readers.dated import dated
from readers.dialect import AUTO, Dialect
from readers.long import read_long


def read(put, text, **options):
    path = put(text)
    found = dated(path, Dialect(AUTO, AUTO))
    ids = found.ids[0] if found.ids else ""
    return read_long([path], time_col=found.time, id_col=ids, sep=AUTO, decimal=AUTO, nan="drop", **options)


@pytest.fixture
def put(tmp_path):
    def write(text, name="a.csv"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


# ---- climate indices


def index(mark="-99.9", notes="  INDEX from a service\n  in degrees\n", last=6):
    lines = ["  1990    1993"]
    for year in range(1990, 1994):
        cells = [f"{12 * (year - 1990) + m + 0.25:8.2f}" for m in range(12)]
        cells = cells if year < 1993 else cells[:last] + [f"{float(mark):8.2f}"] * (12 - last)
        lines.append(f" {year} " + "".join(cells))
    return "\n".join([*lines, f"  {mark}", notes])


def test_years_of_months_below_their_span_are_one_series_up_to_the_last_value(put):
    found = read(put, index())
    assert found.values[0].tolist() == [k + 0.25 for k in range(42)]
    assert found.clock.show(found.time[[0, -1]]) == ["1990-01-01", "1993-06-01"]
    told = " ".join(found.notes)
    assert "months of 1990 to 1993, of which -99.9 is missing" in told
    assert "2 lines below the table left out: INDEX from a service, in degrees" in told


def test_a_missing_month_amid_an_index_is_missing(put):
    found = read(put, index().replace("   14.25", "  -99.90"))
    assert np.flatnonzero(np.isnan(found.values[0])).tolist() == [14]


# ---- NEM12


def nem12(*records):
    return "\n".join(["100,NEM12,202401020000,MDP,RET", *records, "900"])


def day(date, values, quality="A"):
    return f"300,{date}," + ",".join(map(str, values)) + f",{quality},,,20240103000000,"


HALF = np.arange(48)


def test_nem12_is_a_line_for_each_interval_and_a_channel_for_each_register(put):
    text = nem12(
        "200,NMI0000001,E1B1,1,E1,N1,SER1,kWh,30,",
        day(20240101, HALF),
        day(20240102, HALF + 100),
        "200,NMI0000001,E1B1,2,B1,N1,SER1,kWh,30,",
        day(20240101, HALF / 2),
    )
    found = read(put, text)
    assert found.channels == ("E1 (kWh)", "B1 (kWh)") and found.clock.freq == "30min"
    assert found.values[0].tolist() == [*HALF, *(HALF + 100)]
    assert found.values[1, :48].tolist() == (HALF / 2).tolist() and np.isnan(found.values[1, 48:]).all()
    assert found.clock.show(found.time[[0, -1]]) == ["2024-01-01 00:00:00", "2024-01-02 23:30:00"]
    bare = read(put, text.partition("\n")[2])  # without the line 100, as some retailers send it
    assert bare.channels == found.channels and np.array_equal(bare.values, found.values, equal_nan=True)


def test_nem12_intervals_without_data_are_missing_and_later_values_of_a_day_count(put):
    text = nem12(
        "200,NMI0000001,E1,1,E1,N1,SER1,kWh,30,",
        day(20240101, HALF),
        day(20240101, HALF + 1),
        day(20240102, HALF, "V"),
        "400,1,40,A,,",
        "400,41,48,N,,",
        day(20240103, HALF, "N"),
        day(20240104, HALF),
    )
    found = read(put, text)
    assert found.values[0, :48].tolist() == (HALF + 1).tolist()
    assert np.flatnonzero(np.isnan(found.values[0])).tolist() == [*range(48 + 40, 3 * 48)]
    assert "1 day given twice: the later values are taken" in " ".join(found.notes)


def test_nem12_meters_with_other_registers_are_series_of_their_own(put):
    first = ["200,A,E1,1,E1,N1,SER1,kWh,30,", day(20240101, HALF), day(20240102, HALF)]
    same = [*first, *(line.replace("200,A", "200,B") for line in first)]
    assert read(put, nem12(*same)).rows == ("A", "B")
    found = read(put, nem12(*first, "200,B,Q1,1,Q1,,SER2,kVArh,30,", day(20240101, HALF), day(20240102, HALF + 7)))
    assert found.rows == ("A E1 (kWh)", "B Q1 (kVArh)") and found.channels == ("value",)
    assert found.values[0, -48:].tolist() == (HALF + 7).tolist()


@pytest.mark.parametrize(
    ("records", "said"),
    [
        (["300,20240101,1,2"], "above the first line 200"),
        (["200,A,E1,1,E1,N1,S,kWh,30,"], "holds no values"),
        (["200,A,E1,1,E1,N1,S,kWh,30,", "300,20240101,1,2,3,4,5,6,7,A"], "with 7 values"),
        (["200,A,E1,1,E1,N1,S,kWh,,"], "without the length of its intervals"),
        (["200,A,E1,1,E1,N1,S,kWh,30,", day("20241301", HALF)], "without its day"),
        (["200,A,E1,1,E1,N1,S,kWh,30,", "300"], "without its day"),
        (
            ["200,A,E1,1,E1,N1,S,kWh,30,", day(20240101, HALF), "400,40,60,N"],
            "intervals 40 to 60, where the day has 48",
        ),
    ],
)
def test_nem12_that_is_not_in_order_is_one_error(put, records, said):
    with pytest.raises(DataError, match=said):
        read_long([put(nem12(*records))], time_col="time")


# ---- PC-Axis

PX = """CHARSET="ANSI";
AXIS-VERSION="2000";
LANGUAGE="de";
TITLE="Values by place "
"and quarter";
CONTENTS="Rooms; beds";
STUB="Place","Kind";
HEADING="Quarter";
VALUES("Place")="Bern","Basel";
VALUES("Kind")="all";
VALUES[fr]("Place")="Berne","Bâle";
VALUES("Quarter")={labels};
{scale}DATA=
1 2 3 ".." 5 6 7 8
11 12 13 14 15 16 17 18;
"""
QUARTERS = ",".join(f'"{year}Q{q}"' for year in (2020, 2021) for q in (1, 2, 3, 4))
CODES = ",".join(f'"{year}{q}"' for year in (2020, 2021) for q in (1, 2, 3, 4))


@pytest.mark.parametrize(
    ("labels", "scale"),
    [
        (QUARTERS, ""),
        (QUARTERS.replace("Q", "T"), ""),
        (CODES.replace("20", "Q 20"), f'TIMEVAL("Quarter")=TLIST(Q1),{CODES};\n'),
    ],
)
@pytest.mark.parametrize("name", ["a.px", "a.txt"])
def test_a_table_of_pc_axis_is_a_series_for_each_combination(put, labels, scale, name):
    path = put(PX.format(labels=labels, scale=scale).encode("latin-1"), name)
    found = read_long([path], time_col="Quarter", id_col="series", sep=AUTO, decimal=AUTO, nan="drop")
    assert found.rows == ("Basel", "Bern") and found.channels == ("Rooms; beds",)
    assert found.values[0, :8].tolist() == [*range(11, 19)]
    np.testing.assert_array_equal(found.values[0, 8:], [1, 2, 3, np.nan, 5, 6, 7, 8])
    assert found.clock.show(found.time[[0, 7]]) == ["2020-01-01", "2021-10-01"]


def test_pc_axis_without_times_or_with_too_few_values_is_one_error(put):
    text = PX.format(labels=",".join(f'"r{k}"' for k in range(8)), scale="")
    with pytest.raises(DataError, match="no variable of Place, Kind, Quarter holds times"):
        read_long([put(text, "a.px")], time_col="Quarter")
    with pytest.raises(DataError, match="holds 15 values where its variables make 16"):
        read_long([put(PX.format(labels=QUARTERS, scale="").replace("5 6", "5"), "a.px")], time_col="Quarter")


# ---- EnergyPlus weather


def epw():
    head = [
        "LOCATION,BERN,-,CHE,IWEC Data,1,46.9,7.5,1.0,553",
        *["COMMENTS 1,x"] * 6,
        "DATA PERIODS,1,1,Data,Sun,1/1,12/31",
    ]
    lines = []
    for k, at in enumerate(pd.date_range("2001-01-01", periods=8760, freq="h")):
        year = (1995, 1988, 1991)[at.month % 3]
        dew = "99.9" if k == 5 else f"{k % 40}"
        cells = [
            f"{year},{at.month},{at.day},{at.hour + 1},60,A7A7",
            f"{k % 50 - 9}.5",
            dew,
            "80",
            "95000",
            *["0"] * 25,
        ]
        lines.append(",".join(cells))
    return "\n".join([*head, *lines])


def test_a_table_whose_first_column_is_a_location_is_no_weather(put):
    """As the OECD exports them; the message was that it begins as EnergyPlus weather."""
    lines = [
        f"{place},{day:%Y-%m},{k}"
        for place in ("AUT", "BEL")
        for k, day in enumerate(pd.date_range("2003", periods=9, freq="MS"))
    ]
    path = put("\n".join(["LOCATION,TIME,Value", *lines]), "a.csv")
    found = read_long([path], time_col="TIME", id_col="LOCATION")
    assert found.channels == ("Value",) and list(found.rows) == ["AUT", "BEL"]


@pytest.mark.parametrize("name", ["a.epw", "a.csv"])
def test_energyplus_weather_is_a_year_of_hours(put, name):
    path = put(epw(), name)
    time = dated(path, Dialect(AUTO, AUTO)).time
    found = read_long([path], time_col=time, sep=AUTO, decimal=AUTO, nan="drop")
    assert time == "Year+Month+Day+Hour" and found.channels[:2] == ("dry_bulb_C", "dew_point_C")
    assert found.values.shape[1] == 8760 and found.clock.freq == "h"
    assert found.values[0].tolist() == [float(f"{k % 50 - 9}.5") for k in range(8760)]
    assert np.flatnonzero(np.isnan(found.values[1])).tolist() == [5]
    assert found.clock.show(found.time[[0, -1]]) == ["1987-01-01 01:00:00", "1988-01-01 00:00:00"]
    assert "a typical year, whose months are of several years: those of 1988 to 1995 as of 1987" in " ".join(
        found.notes
    )
