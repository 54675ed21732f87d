"""readers/fitting.py: a separator and a decimal mark are taken where only they fit, and never where two readings do."""

from __future__ import annotations

import re

import numpy as np
import pytest

from readers import files, fitting
from readers.dated import dated
from readers.dialect import AUTO, Dialect
from readers.files import dialect_of
from readers.fitting import fitted, rows_of
from readers.long import read_long

DAYS = [f"2024-01-{day:02d}" for day in range(1, 31)]
ASKED = Dialect(AUTO, AUTO)


def lines(sep, decimal, *, head="date{}load{}wind", values=lambda k: (k + 0.5, 2 * k + 0.25)):
    rows = [sep.join([day, *(str(value).replace(".", decimal) for value in values(k))]) for k, day in enumerate(DAYS)]
    return "\n".join([head.format(sep, sep), *rows]) + "\n"


@pytest.mark.parametrize("decimal", [".", ","])
@pytest.mark.parametrize("sep", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_each_writing_gives_the_same_numbers(put, sep, decimal, encoding):
    if sep == decimal:
        pytest.skip("no such file")
    path = put(lines(sep, decimal).encode(encoding))
    found = dialect_of(path, ASKED)
    assert (found.sep, found.decimal) == (sep, decimal)
    assert bool(found.taken) == ((sep, decimal) != (",", "."))
    series = read_long([path], time_col="date", sep=AUTO, decimal=AUTO)
    np.testing.assert_array_equal(series.values, [np.arange(30) + 0.5, 2 * np.arange(30) + 0.25])
    assert any("nothing else fits" in note for note in series.notes) == bool(found.taken)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (lines(";", ",", values=lambda k: (k, k)), (";", ".", "")),  # whole numbers: either mark would do
        ("d;x\n" + "".join(f"{day};1.234,{k}5\n" for k, day in enumerate(DAYS)), (";", ",", ".")),
        ("d;x\n" + "".join(f"{day};{1 + k},234\n" for k, day in enumerate(DAYS)), (";", ".", "")),  # or a thousand
        ("d;x\n" + "".join(f"{day};0,{100 + k}\n" for k, day in enumerate(DAYS)), (";", ",", "")),  # 0,101 is none
        ('Meter;1\nBy;"A; B"\nOn;01.02.2024\n\n' + lines(";", ","), (";", ",", "")),
        ("Meter;1\nOn;01.02.2024\nd;x\n" + "".join(f"{day};{k},5\n" for k, day in enumerate(DAYS)), (";", ",", "")),
        ("1,5;2,5\n3,5;4,5\n", (";", ",", "")),
        ("1 2 3\n4 5 6\n", (" ", ".", "")),
        ("a;b,1\nc;d,2\n", (",", ".", "")),  # both could be: the usual one
        ("hello\n", (",", ".", "")),
    ],
)
def test_the_only_reading_that_fits(put, text, expected):
    found = dialect_of(put(text), ASKED)
    assert (found.sep, found.decimal, found.thousands) == expected


def test_a_meter_that_stands_still_for_long_has_decimals_later(put):
    first = [f"2024-01-01 {k // 60 % 24:02d}:{k % 60:02d};0" for k in range(40000)]
    last = [f"2024-02-01 {k // 60 % 24:02d}:{k % 60:02d};0,{k % 10}5" for k in range(40000)]
    assert dialect_of(put("\n".join(["t;x", *first, *last])), ASKED).decimal == ","


def test_what_is_asked_for_holds(put):
    path = put(lines(";", ","))
    assert dialect_of(path, Dialect(",", AUTO)).sep == ","
    assert dialect_of(path, Dialect(AUTO, ".")).decimal == "."
    assert dialect_of(path, Dialect()) == Dialect()


def test_a_space_within_names_separates_nothing():
    assert fitted([f"plant {row % 5}" for row in range(40)], ASKED).sep == ","
    assert fitted(["a b", *[f"{row} {row * 2}" for row in range(9)]], ASKED).sep == " "


def test_facts_above_the_names_that_are_filled_up_with_separators(put):
    facts = ["Name,SOMEBODY,,,", "Address,1 MAIN ST,,,", "Meter,72621898,,,", "From,03/30/2024,,,", ",,,,"]
    lines = [f"03/30/2024 {k // 4:02}:{k % 4 * 15:02},7262,{k}.5,kwh,x" for k in range(60)]
    path = put("\n".join([*facts, "Start,Meter Id,Usage,Units,Note", *lines]))
    rows = rows_of(path.read_text().split("\n"), Dialect())
    assert rows[0] == ["Start", "Meter Id", "Usage", "Units", "Note"] and len(rows) == 61
    found = read_long([path], time_col="Start", columns=["Usage"])
    assert found.values[0].tolist() == [k + 0.5 for k in range(60)]
    sparse = ["a,b,c,d", "1,,,", "2,,,", "3,4,5,6"]  # names first: nothing stands above them
    assert rows_of(sparse, Dialect())[0] == ["a", "b", "c", "d"]


def test_a_whole_number_with_a_point_beside_decimal_commas(put):
    """As a frame with missing postal codes writes them; no group of thousands has one digit."""
    rows = [f"2024-01-{day:02d};27217.0;{day},{day}" for day in range(1, 29)]
    series = read_long([put("\n".join(["day;code;x", *rows]))], time_col="day", sep=AUTO, decimal=AUTO)
    assert set(series.values[0].tolist()) == {27217}
    assert series.values[1] == pytest.approx([float(f"{day}.{day}") for day in range(1, 29)])


@pytest.mark.parametrize(
    "lines",
    [
        ["a,b", "1.5,2", "3,4.25"],
        ['"a","b"', "1.5,2", "3,4.25"],
        ["time,a", "2020-01-01 00:00,1", "2020-01-01 01:00,2.5"],
        ["a,b", '"1,5",2', '"2,5",3'],
        ["a,b", '"1.234,5",2', '"2.345,25",3'],
        ["a,b", '"1,234",2', '"12,345",3'] + ['"1,234",2'] * 40,
        ["a,b", "1 234,2", "12 345,3"],
        ["a,b", "1'234.5,2", "12'345.5,3"],
        ["a,b", '" 1,5 ",2', '"2,5 ",3'],
        ["a,b", "$1.5,2", "$3,4.25"],
    ],
)
def test_numbers_that_can_be_read_in_one_way_need_no_look_at_each_cell(monkeypatch, lines):
    found = fitted(lines, ASKED)
    fitting._fitted.cache_clear()
    monkeypatch.setattr(fitting, "_OTHER_MARK", re.compile(""))  # which is in every line
    assert fitted(lines, ASKED) == found
    fitting._fitted.cache_clear()


def test_lines_longer_than_what_is_looked_at_show_how_they_are_written(put):
    count = fitting.HEAD // 8 + 1  # a line is longer than HEAD
    rows = [";".join([day, *[f"{k},5"] * count]) for k, day in enumerate(DAYS)]
    path = put("\n".join([";".join(["date", *(f"name{c}z" for c in range(count))]), *rows]))
    assert len(rows[0]) > fitting.HEAD / 2
    found = dialect_of(path, ASKED)
    assert (found.sep, found.decimal) == (";", ",")
    head, notes = files.first_lines(path)
    assert len(head) >= fitting.LEAST_HEAD and head[1] == rows[0] and head[2] == rows[1] and not notes
    table = dated(path, found, "")
    assert table is not None and table.time == "date"
