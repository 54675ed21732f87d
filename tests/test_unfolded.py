"""readers/unfolded.py and readers/spelled.py: tables without names or times, months side by side, odd spelling."""

from __future__ import annotations

import datetime
import gzip

import numpy as np
import pandas as pd
import pytest

from errors import DataError
from readers.dated import dated
from readers.dialect import AUTO, Dialect
from readers.long import read_long
from readers.unfolded import hour_columns
from readers.wide import read_wide

from .runs import go

MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
GERMAN = "Januar Februar März April Mai Juni Juli August September Oktober November Dezember".split()
DAYS = [datetime.date(2024, 1, 25) + datetime.timedelta(days=k) for k in range(40)]


def read(put, text, time, **options):
    return read_long([put(text)], time_col=time, sep=AUTO, decimal=AUTO, **options)


def years(names, count=4, more=lambda year: "", start=1990):
    return "\n".join(
        [
            ",".join(["Year", *names]),
            *(f"{start + y}," + ",".join(f"{12 * y + m}.5" for m in range(12)) + more(y) for y in range(count)),
        ]
    )


@pytest.mark.parametrize("names", [MONTHS, GERMAN, [name.upper() for name in MONTHS]])
def test_months_side_by_side_are_one_series(put, names):
    found = read(put, years(names), "Year+months")
    expected = pd.date_range("1990-01-01", periods=48, freq="MS").as_unit("ns").asi8
    assert found.channels == ("value",) and found.time.tolist() == expected.tolist()
    np.testing.assert_array_equal(found.values[0], np.arange(48) + 0.5)
    assert "the 12 columns of months are steps of one series, 4 lines of them" in found.notes[0]


def test_sums_beside_the_months_and_months_to_come_are_left_out_and_told(put):
    """As the tables of weather services are: a title, seasons behind the months, stars for what is not yet known."""
    text = "Means of a station\n" + years([*MONTHS, "J-D", "DJF"], more=lambda year: ",1.0,***")
    text = text.replace("46.5,47.5", "***,***").replace("1990,0.5", "1990,***")
    found = read(put, text, "Year+months")
    assert found.values[0].tolist() == [k + 0.5 for k in range(1, 46)]
    assert found.clock.show(found.time[[0, -1]]) == ["1990-02-01", "1993-10-01"]
    told = " ".join(found.notes)
    assert "line 1 above the header left out" in told and "left out beside the months: J-D, DJF" in told
    assert "3 empty cells before the first value or after the last left out" in told
    with pytest.raises(DataError, match=r"a.csv:4:3: text 'x'"):  # the line of the file
        read(put, text.replace("1991,12.5", "1991,x"), "Year+months")


@pytest.mark.parametrize("count", [24, 96])
def test_hours_side_by_side_are_one_series(put, count):
    names = [f"h{k}" for k in range(count)]
    rows = [f"{day:%d.%m.%Y};" + ";".join(f"{count * at + k},5" for k in range(count)) for at, day in enumerate(DAYS)]
    text = "\n".join([";".join(["Tag", *names]), *rows])
    found = read(put, text, "Tag+hours")
    expected = pd.date_range("2024-01-25", periods=40 * count, freq=pd.Timedelta("1D") / count).as_unit("ns").asi8
    assert found.time.tolist() == expected.tolist() and found.values[0].tolist() == [k + 0.5 for k in range(40 * count)]
    with pytest.raises(DataError, match=r"--time-col Tag\+hours if its columns are the hours of one series"):
        read_wide([put(text)], sep=";", decimal=",")


def test_a_table_without_names_has_numbers_for_them(put):
    found = read(put, "\n".join(f"{day},{k},{2 * k}" for k, day in enumerate(DAYS)), "1")
    assert found.channels == ("2", "3") and found.values.tolist() == [list(range(40)), list(range(0, 80, 2))]
    assert "no line of names: the columns are called 1 to 3" in found.notes[0]
    with pytest.raises(DataError, match=r"a.csv:5:3: text 'x'"):
        read(put, "\n".join(f"{day},{k},{'x' if k == 4 else k}" for k, day in enumerate(DAYS)), "1")
    with pytest.raises(DataError, match="its columns: day, x"):  # a table with names has no column 3
        read(put, "day,x\n" + "\n".join(f"{day},{k}" for k, day in enumerate(DAYS)), "3")
    chosen = read(put, "\n".join(f"{day},{k},{2 * k}" for k, day in enumerate(DAYS)), "1", columns=["3"])
    assert chosen.values.tolist() == [list(range(0, 80, 2))]


@pytest.mark.parametrize(
    ("head", "channels"), [("temp,load\n", ("temp", "load")), ("", ("1", "2")), ("temp,line\n", ("temp",))]
)
def test_lines_are_steps_where_no_column_has_times(put, head, channels):
    found = read(put, head + "\n".join(f"{k}.25,{k}" for k in range(50)), "line")
    assert found.channels == channels and found.time is None
    assert found.values[0].tolist() == [k + 0.25 for k in range(50)]


@pytest.mark.parametrize("head", ["", "sales\n"])
def test_a_file_of_one_number_a_line_is_a_series(put, head):
    folder = put(head + "\n".join(f"{50 + k % 7}" for k in range(200))).parent
    done = go(folder, "--mode train --task forecast --csv a.csv --horizon 7 --backbone seasonal_naive --dry-run")
    assert done.code == 0 and "each line holds one number and is a step of one series" in done.err
    assert f"1 row of 200 steps; 1 channel ({head.strip() or 'value'})" in done.err
    assert go(folder, "--mode train --task forecast --csv a.csv --horizon 7 --dry-run --strict").code == 3


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("'{}','{}'", "cells are in single quotes"),
        ("'{}';{}", "cells are in single quotes"),
        ("{}     {}", "runs of spaces between cells are read as one separator"),
        ("  {:14}{:>9}", "runs of spaces between cells are read as one separator"),
    ],
)
def test_odd_spelling(put, line, told, pack):
    rows = [line.format("day", "x"), *(line.format(str(day), str(k + 0.5)) for k, day in enumerate(DAYS))]
    found = read_long([put(pack("\n".join(rows).encode()))], time_col="day", sep=AUTO, decimal=AUTO)
    assert found.values[0].tolist() == [k + 0.5 for k in range(40)] and told in found.notes[0]


def test_names_with_a_space_in_a_table_of_runs_of_spaces(put):
    rows = ["day         mean load", *(f"{day}      {k}.5" for k, day in enumerate(DAYS))]
    found = read(put, "\n".join(rows), "day")
    assert found.channels == ("mean load",) and found.values[0].tolist() == [k + 0.5 for k in range(40)]


@pytest.mark.parametrize("text", ["it's, 5\n" * 9, "a 'b' c, 5\n" * 9, "x  y,1\n" * 9, "'a','b'\n'c','d'\n"])
def test_what_is_spelled_as_usual_stays(put, text):
    from readers.files import first_lines

    assert first_lines(put(text)) == (text.splitlines(), ())


@pytest.mark.parametrize(
    "names",
    [
        [f"{k // 4:02}:{k % 4 * 15:02}" for k in range(96)],
        [f"{k // 4:02}:{k % 4 * 15:02}-{(k + 1) // 4:02}:{(k + 1) % 4 * 15:02}" for k in range(96)],
        [f"{(k - 1) % 12 + 1}:00 {'PM' if k % 24 > 11 else 'AM'}" for k in range(24)],
        [f"{k}:00" for k in range(1, 25)],
    ],
)
def test_clock_times_side_by_side_are_taken_for_the_parts_of_a_day(put, names):
    assert hour_columns(["Total", *names]) == names and not hour_columns(names[:-1]) and not hour_columns(names[::-1])
    rows = [f"{day:%Y-%m-%d}," + ",".join(f"{100 * at + k}" for k in range(len(names))) for at, day in enumerate(DAYS)]
    path = put("\n".join([",".join(["Giorno", *names, ""]), *(f"{row}," for row in rows)]))
    taken = dated(path, Dialect(sep=AUTO, decimal=AUTO))
    assert taken is not None and taken.time == "Giorno+hours"
    found = read(put, path.read_text(), "Giorno+hours")
    assert found.n_rows == 1 and found.values[0].tolist() == [
        100 * at + k for at in range(len(DAYS)) for k in range(len(names))
    ]


@pytest.mark.parametrize(("before", "after"), [("", "  "), ("", " "), (" ", ""), ("  ", " ")])
def test_spaces_around_the_lines_of_numbers_are_none_between_cells(put, before, after):
    rows = np.round(np.random.default_rng(0).normal(size=(30, 4)) * 10, 2)
    text = "\n".join(f"{before}{' '.join(map(str, row))}{after}" for row in rows)
    found = read_wide([put(text)], sep=AUTO, decimal=AUTO)
    np.testing.assert_allclose(found.view()[:, 0], rows, rtol=1e-6)


def test_a_semicolon_at_the_end_of_each_line_is_left_out(put):
    rows = [f"{user},{act},{1000 * k},{k}.5,-{k}.25;" for user in (3, 5) for k, act in enumerate(["walk", "sit"] * 10)]
    text = "\n".join([*rows[:20], "", *rows[20:], ""])
    found = read_long([put(text)], time_col="line", id_col="1", sep=AUTO, decimal=AUTO)
    assert found.rows == ("3", "5") and found.channels == ("3", "4", "5")
    assert found.values[2].tolist() == [-(k + 0.25) for k in range(20)] * 2
    told = " ".join(found.notes)
    assert "a semicolon at the end of each line is left out" in told and "1 blank line left out" in told


def test_a_column_goes_by_its_number_where_the_first_line_holds_that_number(put):
    rows = [f"{33 * k},5,{k % 7}.5,1,1" for k in range(30)]
    found = read_long([put("\n".join(rows))], time_col="1")
    assert found.channels == ("2", "3", "4", "5") and found.values.shape == (4, 30)
    named = read_long([put("\n".join(["1,0,2", *(f"{k},{k}.5,3" for k in range(30))]))], time_col="1")
    assert named.channels == ("0", "2") and named.values.shape == (2, 30)


def test_a_last_year_that_ends_early_is_read_as_far_as_it_goes(put):
    """Climate services end the file with the months of the current year; its line was dropped without a word."""
    text = years(MONTHS, count=3) + "\n1993,36.5,37.5,38.5"
    found = read(put, text, "Year+months")
    assert found.values[0].tolist() == [k + 0.5 for k in range(39)]
    found = read(put, text + "\nmean,1,2", "Year+months")
    assert found.values.shape == (1, 39) and "1 line at the end left out: mean 1 2" in " ".join(found.notes)
    found = read(put, years(MONTHS, count=3) + "\n1999,36.5", "Year+months")  # no year that follows
    assert found.values.shape == (1, 36) and "1 line at the end left out: 1999 36.5" in " ".join(found.notes)


def test_years_without_a_name_before_their_months_are_one_series(put):
    path = put(years(MONTHS, count=4).replace("Year,", ",", 1))
    assert dated(path, Dialect(AUTO, AUTO)).time == "1+months"
    assert read_long([path], time_col="1+months").values[0].tolist() == [k + 0.5 for k in range(48)]


@pytest.mark.parametrize("of", ["mean", "sum", "other"])
def test_a_year_behind_its_months_is_left_out(tmp_path, of):
    """As of HadCRUT3 and NINO's: a year, twelve months, and what they make; another column is none of a year."""
    lines = []
    for year in range(1950, 1980):
        months = [round(np.sin(year + month) * 2, 2) for month in range(12)]
        last = {"mean": np.mean(months), "sum": np.sum(months), "other": 50 + year % 7}[of]
        lines.append(f"{year}  " + " ".join(f"{value:6.2f}" for value in [*months, last]))
    path = tmp_path / "x.txt"
    path.write_text("\n".join(lines) + "\n")
    found = dated(path, Dialect(AUTO, AUTO))
    assert (found is not None and found.time == "1+months") == (of != "other")
    if of != "other":
        series = read_long([path], time_col="1+months", sep=AUTO, decimal=AUTO)
        wanted = [round(np.sin(year + month) * 2, 2) for year in range(1950, 1980) for month in range(12)]
        assert np.allclose(series.values[0], wanted)
        assert series.clock.show(series.times(0)[[0, -1]]) == ["1950-01-01", "1979-12-01"]
        assert any("left out beside the months: 14" in note for note in series.notes)
