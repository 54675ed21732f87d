"""data.py and what it reads with: paths, dialect, tables, sidecars, cache. Real files, values against numpy."""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import itertools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import data
from data import Series
from errors import DataError, UsageError
from readers import cache, files, missing, tables, wide
from readers.paths import expand_paths
from readers.spellings import one_spelling
from readers.wide import read_wide

CARPARTS = Path(__file__).resolve().parent.parent.parent / "shared/data/carparts/carparts.csv"


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TSRUN_CACHE", str(tmp_path / "cache"))


def read(*paths: Path, **options) -> Series:
    return read_wide(paths, **options)


def refused(error: type, *parts: str, **options):
    """The reader's message must hold all `parts`."""
    with pytest.raises(error) as caught:
        read(*options.pop("paths"), **options)
    message = str(caught.value)
    for part in parts:
        assert part in message, message
    return message


# ---- values


def test_one_file_becomes_one_channel(put):
    path = put("1,2,4\n4,5.5,-6e2\n")
    series = read(path)
    assert series.values.dtype == np.float32
    np.testing.assert_array_equal(series.values, [[1, 2, 4, 4, 5.5, -600]])
    np.testing.assert_array_equal(series.offsets, [0, 3, 6])
    assert series.offsets.dtype == np.int64
    assert (series.channels, series.rows, series.notes) == (("a",), ("0", "1"), ())
    assert (series.n_rows, series.n_channels, series.lengths.tolist()) == (2, 1, [3, 3])
    assert series.labels is None and series.groups is None


def test_files_are_channels_in_the_order_given(put):
    first, second = put("1,2\n3,4\n", "z.csv"), put("5,6\n7,8\n", "b.csv")
    series = read(first, second)
    assert series.channels == ("z", "b")
    np.testing.assert_array_equal(series.view(), [[[1, 2], [5, 6]], [[3, 4], [7, 8]]])
    assert np.shares_memory(series.view(), series.values)


def test_view_needs_rows_of_one_length():
    series = Series(np.zeros((1, 5), np.float32), np.array([0, 2, 5]), ("a",), ("0", "1"))
    assert series.lengths.tolist() == [2, 3]
    with pytest.raises(AssertionError, match="different length"):
        series.view()


def test_sources_describe_the_file_on_disk(put):
    path = put(gzip.compress(b"1,2\n3,4\n5,6\n"), "a.csv.gz")
    series = read(path)
    (source,) = series.sources
    assert source == data.Source(str(path), hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_size, (3, 2))
    assert series.channels == ("a",)
    np.testing.assert_array_equal(series.values, [[1, 2, 3, 4, 5, 6]])


def test_channel_names_are_made_unique(put):
    paths = [put("1,2\n", name) for name in ("x/a.csv", "y/a.csv", "a_2.csv", "z/a.csv")]
    assert read(*paths).channels == ("a", "a_2", "a_2_2", "a_3")


def test_the_same_file_twice_is_kept_with_a_warning(put):
    path = put("1,2\n")
    series = read(path, path)
    assert series.values.shape == (2, 2)
    assert [note for note in series.notes if note.startswith("warning: given more than once") and "a.csv" in note]


FORMATS = {
    "six decimals": lambda x: f"{x:.6f}",
    "shortest double": lambda x: repr(float(x)),
    "nine digits": lambda x: f"{x:.9g}",
    "scientific": lambda x: f"{x:.7e}",
    "seventeen digits": lambda x: f"{x:.17g}",
}


@pytest.mark.parametrize("write", FORMATS.values(), ids=FORMATS)
@pytest.mark.parametrize("small", [0, 1 << 30], ids=["column", "cells"])
def test_decimals_are_rounded_as_numpy_rounds_them(put, monkeypatch, write, small):
    monkeypatch.setattr(tables, "SMALL", small)
    random = np.random.default_rng(3)
    numbers = random.normal(size=(200, 50)) * 10.0 ** random.integers(-6, 7, (200, 50))
    cells = [[write(number) for number in row] for row in numbers]
    series = read(put("\n".join(map(",".join, cells))))
    np.testing.assert_array_equal(series.values[0], np.array(cells).astype(np.float64).astype(np.float32).ravel())


def test_both_parsers_agree_on_every_spelling(put, monkeypatch):
    spellings = [
        "1",
        "+1",
        "-1.",
        ".5",
        " 7 ",
        "1e5",
        "1E-3",
        "-inf",
        "Infinity",
        "1e400",
        "1e-400",
        "123456789012345678",
    ]
    spellings += ["", "NA", "nan", "NaN", "null", "NULL", "None", "-nan", " NA", "N/A "]
    path = put("\n".join(f"{cell},1" for cell in spellings))
    found = []
    for small in (0, 1 << 30):
        monkeypatch.setattr(tables, "SMALL", small)
        found.append(tables.read_table(path, tables.Dialect())[0])
    np.testing.assert_array_equal(found[0], found[1])
    expected = [1, 1, -1, 0.5, 7, 1e5, 1e-3, -np.inf, np.inf, np.inf, 0, 123456789012345678] + [np.nan] * 10
    np.testing.assert_array_equal(found[0][:, 0], np.array(expected, np.float32))


@pytest.mark.parametrize(
    "cells",
    ["<40 - n.a. <40", "12.3* 12.4* <= 123456789.5 -", "≥3 -3 5p ...", '"1" "2" "-" "4"', "(2) 1 1 1", "x 1 1 1"],
)
def test_both_parsers_take_odd_cells_alike(put, monkeypatch, cells):
    path = put("\n".join(f"a{k},{k}.5,{cell},{cell}" for k, cell in enumerate(cells.split())))
    found = []
    for small in (0, 1 << 30):
        monkeypatch.setattr(tables, "SMALL", small)
        try:
            found.append(tables.read_table(path, tables.Dialect()))
        except DataError as error:
            found.append((np.zeros(0), str(error)))
    np.testing.assert_array_equal(found[0][0], found[1][0])
    assert found[0][1] == found[1][1]


@pytest.mark.parametrize("block", [64, 1000, 1 << 19])
@pytest.mark.parametrize("small", [0, 1 << 30])
def test_round_trips_of_random_tables(put, monkeypatch, block, small):
    monkeypatch.setattr(files, "BLOCK", block)
    monkeypatch.setattr(tables, "SMALL", small)
    random = np.random.default_rng(block + (small > 0))
    variants = itertools.product(
        (False, True), (False, True), ("\n", "\r\n"), ("", "\ufeff"), (",.", ";.", ";,", "\t.", "|,")
    )
    for number, (header, index, newline, bom, (sep, mark)) in enumerate(variants):
        table = random.normal(size=random.integers(1, 40, 2)).astype(np.float32)
        table[random.random(table.shape) < 0.1] = np.nan
        lines = [sep.join("" if np.isnan(v) else str(v).replace(".", mark) for v in row) for row in table]
        lines = [f"part {k}{sep}{line}" for k, line in enumerate(lines)] if index else lines
        top = [sep.join(["id"] * index + [f"t{k}" for k in range(table.shape[1])])] if header else []
        blank_is_row = table.shape[1] == 1 and not index and np.isnan(table[-1, 0])
        if blank_is_row:
            lines[-1] = "NA"
        ending = ["", newline, newline * 3][number % 3]
        path = put(bom + newline.join(top + lines) + ending, f"{number}.csv")
        words = {"header": "yes" if header else "no", "index": "yes" if index else "no"}
        series = read(path, sep=sep, decimal=mark, nan="drop", **words)
        known = [np.flatnonzero(~np.isnan(row)) for row in table]
        ends = [at[-1] + 1 if len(at) else len(row) for at, row in zip(known, table, strict=True)]
        np.testing.assert_array_equal(series.lengths, ends)
        np.testing.assert_array_equal(
            series.values[0], np.concatenate([r[:e] for r, e in zip(table, ends, strict=True)])
        )
        assert series.rows == tuple(f"part {k}" if index else str(k) for k in range(len(table)))


def test_quoted_numbers(put):
    series = read(put('"1","2.5"\n3,"-4"\n'))
    np.testing.assert_array_equal(series.values, [[1, 2.5, 3, -4]])
    series = read(put('"1,5";"2,5"\n'), sep=";", decimal=",")
    np.testing.assert_array_equal(series.values, [[1.5, 2.5]])


def test_packed_and_growing_tables(put, monkeypatch):
    monkeypatch.setattr(files, "BLOCK", 100)
    table = np.arange(3000, dtype=np.float32).reshape(300, 10)
    text = "\n".join(",".join(f"{v:.0f}" for v in row) for row in table)
    for path in (put(gzip.compress(text.encode()), "packed.csv.gz"), put(text, "lines that get longer.csv")):
        np.testing.assert_array_equal(read(path).values.reshape(300, 10), table)


def test_ids_in_latin_1(put):
    assert read(put("Größe,1\nMaß,2\n".encode("latin-1"))).rows == ("Größe", "Maß")


# ---- header and index


@pytest.mark.parametrize(
    ("text", "rows", "first", "note"),
    [
        ("a,b\n1,2\n", ("0",), 1, "header (a, b)"),
        ("id,a,b\n7,1,2\n8,3,4\n", ("7", "8"), 1, "row ids"),
        (",0,1\n0,5,6\n1,7,8\n", ("0", "1"), 5, "row ids"),
        ("unit,2019,2020\n4,5,6\n", ("4",), 5, "header (unit, 2019, 2020)"),
        ("p1,1,2\np2,3,4\n", ("p1", "p2"), 1, "row ids"),
        ('"p,1",1,2\n"p,2",3,4\n', ("p,1", "p,2"), 1, "row ids"),
        ("part,a,b\np1,1,2\n", ("p1",), 1, "row ids"),
        ("0,1,2\n5,6,8\n", ("0",), 5, "warning:"),
        ("1,2,3\n5,6,8\n", ("0",), 5, "--header no"),
        ("x\n1\n2\n", ("0", "1"), 1, "header (x)"),
    ],
)
def test_header_and_index_are_found_and_told(put, text, rows, first, note):
    series = read(put(text))
    assert series.rows == rows and series.values[0, 0] == first
    assert any(note in line and "a.csv" in line for line in series.notes), series.notes


@pytest.mark.parametrize(
    "text", ["0,1,2\n5,6,8\n", "5,7,8\n1,2,3\n", "1,2\n3,4\n", "0.0,1.0,2.0\n1,1,1\n", "0,1,2\n3,4,5\n"]
)
def test_numbers_are_data(put, text):
    series = read(put(text), header="no")
    assert series.n_rows == 2 and not series.notes
    if text != "0,1,2\n5,6,8\n":
        assert read(put(text)).n_rows == 2


def test_forced_header_and_index(put):
    path = put("1,2,3\n4,5,6\n")
    assert read(path, header="yes").values.tolist() == [[4, 5, 6]]
    series = read(path, index="yes", header="no")
    assert series.rows == ("1", "4") and series.values.tolist() == [[2, 3, 5, 6]]
    assert not series.notes


@pytest.mark.parametrize("start", [0, 1])
def test_a_first_column_that_counts_is_data_with_a_warning(put, start):
    path = put("\n".join(f"{k + start},{k * k}" for k in range(5)))
    series = read(path)
    assert series.values.shape == (1, 10)
    assert any(note.startswith("warning:") and "--index yes" in note for note in series.notes)
    assert not read(path, index="no").notes


def test_notes_of_many_files_are_one_line(put):
    paths = [put("id,a,b\np1,1,2\np2,3,4\n", f"LP{k}a.csv") for k in range(6)]
    notes = read(*paths).notes
    assert len(notes) == 2 and all("LP0a.csv" in note and "and 3 more" in note for note in notes)


def test_ids_that_occur_twice_are_a_warning(put):
    assert any("more than once: p1" in note for note in read(put("p1,1\np1,2\n")).notes)


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("country,1960,1961,1962\nA,3,4,5\nB,6,7,6\n", ("A", "B")),  # rising rows do not make a header of years data
        ("store,1,2,3\nnorth,4,4,4\nsouth,5,5,5\n", ("north", "south")),
        ("store,20190101,20190102\n7,4,4\n8,5,5\n", ("7", "8")),
        ("town,2019-01-01,2019-01-02\nA,4,4\nB,5,5\n", ("A", "B")),
        (",1960,1961,1962\n4,1,3,2\n9,2,2,2\n", ("4", "9")),
        ("customer_id,w1,w2\n007,4,4\n010,5,5\n", ("007", "010")),
        ("StoreNo,w1,w2\n7,4,4\n3,5,5\n", ("7", "3")),
        ("engine,a,b\n7,4,4\n3,5,5\n", ("7", "3")),
        ("plant,w1,w2\n7,4,4\n3,5,5\n", ("7", "3")),
        ("whatever,w1,w2\n7,4,4\n3,5,5\n", ("7", "3")),  # the other columns are numbered, and this is none of them
    ],
)
def test_years_dates_and_counts_are_headers_and_numbers_may_be_ids(put, text, rows):
    series = read(put(text))
    assert series.rows == rows and series.lengths.tolist() == [text.split("\n")[0].count(",")] * 2
    assert any("row ids" in note for note in series.notes) and any("header" in note for note in series.notes)


@pytest.mark.parametrize(
    "text",
    [
        "a,2019,2020\nb,2021,2022\n",  # each row could be a header: none is
        "9,8,7,6,5,4\n3,2,1,0,0,0\n7,6,5,4,3,2\n",  # cycles that are left, in every row
        "p1,1,2,3\np2,4,9,1\n",  # the first cell is an id like the others
        "t0,t1,t2\n1,9,9\n2,8,8\n3,7,7\n4,6,6\n5,9,5\n6,1,1\n",  # column 1 is a step by its name
        "3,1,2\n1,2,9\n2,5,1\n5,6,3\n4,4,4\n",
        "\n".join(f"{k},{k + 1},{k + 2}" for k in range(1, 9)),  # all columns rise
        "10.5,20,30\n1,2,1\n",
    ],
)
def test_what_could_be_data_is_data(put, text):
    headed = text.startswith("t0")
    assert read(put(text)).n_rows == len(text.split()) - headed


@pytest.mark.parametrize(
    ("text", "flags"),
    [
        ("3,6,9,12,15,18\n2,9,1,4,6,6\n", "--header yes if it names the columns, --header no"),
        ("a,1990,1995,2000,2010,2015,2021\nb,1,9,4,4,2,1\n", "--header yes"),
        ("0.0,0.5,1.0,1.5,2.0\n2,9,1,4,6\n", "--header yes"),
        ("".join(f"{10234 + 37 * k},{k * 7 % 5},{k * 3 % 4}\n" for k in range(8)), "--index yes if it holds row ids, "),
        ("".join(f"{9000 - k * 31 % 7},{k * 7 % 5},{k * 3 % 4}\n" for k in range(7)), "--index yes"),
        ("".join(f"{k + 1},{k * 7 % 5},{k * 3 % 4}\n" for k in range(8)), "--index yes"),
        ("date,a,b\n2020-01-01,1,5\n2020-01-02,2,6\n", "--time-col date if each line is a step"),
        ("Time (UTC),a,b\n2020-01-01 00:00,1,5\n2020-01-01 01:00,2,6\n", "--time-col 'Time (UTC)'"),
        ("01.02.2020,1,5\n02.02.2020,2,6\n", "--index yes if it is a series"),
        ("timestamp,a,b\n1577836800,1,5\n1577836860,2,6\n", "--time-col timestamp"),
        ("year,a,b\n1990,1,5\n1991,2,6\n", "--time-col year"),
        ("cycle,s1,s2\n1,1,5\n2,2,6\n", "--time-col cycle"),
        ("x,s1,s2\n1577836800,1,5\n1577836860,2,6\n1577836920,2,1\n", "--time-col x"),
        ("20200101,1,5\n20200102,2,6\n20200103,2,1\n", "--index yes if it is a series"),
        ("".join(f"{1 + k % 3},.5,1.{k},{k * 7 % 5}.1\n" for k in range(8)), "--index no if it is the first step"),
    ],
)
def test_a_guess_that_is_not_certain_stops_and_names_the_flags(put, text, flags):
    path = put(text)
    message = refused(DataError, "a.csv", flags, paths=[path])
    flag = "header" if "--header" in flags else "index"
    answers = [read(path, **{flag: word}) for word in ("yes", "no") if word == "yes" or "--time-col" not in message]
    assert all(flag not in note for found in answers for note in found.notes)


# ---- rows that end early

RAGGED = "id,a,b,c,d\np,1,2,,\nq,3,,4,5\nr,6,7,8,\ns,,,,\n"


@pytest.mark.parametrize("policy", ["drop", "ffill"])
def test_a_row_ends_where_its_values_end(put, policy):
    series = read(put(RAGGED), nan=policy)
    assert series.lengths.tolist() == [2, 4, 3, 4]  # s has no value: all of it is missing
    gap = np.nan if policy == "drop" else 3
    np.testing.assert_array_equal(series.values[0], [1, 2, 3, gap, 4, 5, 6, 7, 8, *[np.nan] * 4])
    assert any("2 of 4 rows end where their values end, after 2 to 3 of 4 steps" in note for note in series.notes)
    refused(DataError, "a.csv:3:3: missing value, the first of 5 missing", paths=[put(RAGGED)])
    assert read(put(RAGGED), nan="zero").lengths.tolist() == [4] * 4


def test_a_row_ends_with_the_last_value_of_all_its_channels(put):
    series = read(put("1,2,\n3,,\n", "a.csv"), put("1,,\n3,4,\n", "b.csv"), nan="drop")
    assert series.lengths.tolist() == [2, 2]
    np.testing.assert_array_equal(series.values, [[1, 2, 3, np.nan], [1, np.nan, 3, 4]])


@pytest.mark.parametrize("small", [0, 1 << 30])
@pytest.mark.parametrize("text", ["1,2,\n3,4,\n", "a,b,\n1,2,\n3,4,\n", "a,b\n1,2,\n3,4,\n", "a,b,\n1,2\n3,4\n"])
def test_a_separator_at_the_end_is_no_column(put, monkeypatch, text, small):
    monkeypatch.setattr(tables, "SMALL", small)
    series = read(put(text), put("5,6\n7,8\n", "b.csv"))
    np.testing.assert_array_equal(series.values, [[1, 2, 3, 4], [5, 6, 7, 8]])
    assert not any("row" in note for note in series.notes)


# ---- bad input


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", ["a.csv", "the file is empty"]),
        ("\n\n", ["the file is empty"]),
        ("\ufeff", ["the file is empty"]),
        ("a,b,c\n", ["a header and no rows"]),
        ("1,2,3\n4,5\n", ["a.csv:2: row has 2 fields, expected 3"]),
        ("1,2\n4,5,6\n", ["a.csv:2: row has 3 fields, expected 2"]),
        ("a,b\n1,2\n3,4\n5\n", ["a.csv:4: row has 1 field, expected 2"]),
        ("1,2\n3,x y\n", ["a.csv:2:2: text 'x y'"]),
        ("1,2\nx,4\n", ["a.csv:2:1: text 'x'", "--index yes"]),
        ("1,x,3\n4,5,6\n", ["a.csv:1:2: text 'x'", "--header yes"]),
        ("id,a,b\np1,1,2\np2,3,zz\n", ["a.csv:3:3: text 'zz'", "row 1 was taken as the header", "column 1 as row ids"]),
        ("1,1_0\n", ["a.csv:1:2: text '1_0'"]),
        ("1,0x10\n", ["text '0x10'"]),
        ("1,True\n", ["text 'True'"]),
        ('1,"2\n3",4\n5,6,7\n', ["a.csv:1: ", "quote is open"]),
        ("1;2;3\n4;5;6\n", ["--sep ';'"]),
        ("a;b\n1;2\n", ["--sep ';'"]),
        ("p1;1;2\np2;3;4\n", ["--sep ';'"]),
        ("1,5;2,5\n3,5;4,5\n", ["--sep ';' --decimal ','"]),
        ("1\t2\n3\t4\n", ["--sep '\\t'"]),
        ("1 2\n3 4\n", ["--sep ' '"]),
        ('1,2\n3,"4\n', ["a.csv:2: ", "unexpected end of data"]),
        ("1,2\r3,4\n5,6\n", ["a.csv:1: a carriage return within the line"]),
        ("\x00\x01", ["not a text file"]),
    ],
)
@pytest.mark.parametrize("small", [0, 1 << 30])
def test_bad_tables(put, monkeypatch, text, parts, small):
    monkeypatch.setattr(tables, "SMALL", small)
    refused(DataError, *parts, paths=[put(text)])


def test_bad_decimal_mark(put):
    refused(DataError, "--decimal ','", paths=[put("1,5;2\n1,5;2\n")], sep=";")
    message = refused(DataError, "a.csv:3:2: text '1,5'", paths=[put("1;5;2\n1;2;2\n1;1,5;1\n")], sep=";")
    assert "--decimal ','" in message


def test_trouble_far_down_is_located(put, monkeypatch):
    monkeypatch.setattr(files, "BLOCK", 1000)
    monkeypatch.setattr(tables, "SMALL", 0)
    lines = ["id,a,b"] + [f"p{k},{k},{k}" for k in range(2000)]
    lines[1500] = "p1499,1499"
    refused(DataError, "a.csv:1501: row has 2 fields, expected 3", paths=[put("\n".join(lines))])
    lines[1500], lines[1700] = "p1499,1499,1", "p1699,1,oops"
    refused(DataError, "a.csv:1701:3: text 'oops'", paths=[put("\n".join(lines))])
    lines[1700] = "p1699,,1"
    refused(DataError, "a.csv:1701:2: missing value", "1 missing", paths=[put("\n".join(lines))])


@pytest.mark.parametrize("small", [0, 1 << 30])
def test_blank_lines_of_one_column_are_missing_but_for_the_last(put, monkeypatch, small):
    monkeypatch.setattr(tables, "SMALL", small)
    path = put("5\n\n6\n\n\n7\n\n\n")
    for block in (1, 2, 3, 4, 100):
        monkeypatch.setattr(files, "BLOCK", block)
        np.testing.assert_array_equal(read(path, nan="drop").values, [[5, np.nan, 6, np.nan, np.nan, 7]])


def test_a_short_and_a_long_row_do_not_even_out(put, monkeypatch):
    monkeypatch.setattr(tables, "SMALL", 0)
    refused(DataError, "a.csv:2: row has 2 fields, expected 3", paths=[put("1,2,3\n4,5\n6,7,8,9\n")])


def test_files_that_cannot_be_read(put, tmp_path):
    refused(DataError, "no such file", paths=[tmp_path / "none.csv"])
    refused(DataError, "is a folder", "*.csv", paths=[tmp_path])
    refused(DataError, "UTF-16", "UTF-8", paths=[put("1,2\n".encode("utf-16")[:-1])])
    packed = gzip.compress(b"1,2\n" * 5000)
    refused(DataError, "damaged packed", paths=[put(packed[:-20], "cut.csv.gz")])
    refused(DataError, "damaged packed", paths=[put(packed[:20] + b"\xff" * 20 + packed[40:], "bad.csv.gz")])
    assert DataError("").exit_code == 3


def test_shapes_that_differ_are_shown(put):
    paths = [put("1,2,3\n4,5,6\n", f"{k}.csv") for k in range(4)] + [put("1,2\n3,4\n", "odd.csv")]
    message = refused(DataError, "2 x 3", "and 1 more", "2 x 2", "odd.csv", paths=paths)
    assert message.index("2 x 3") < message.index("2 x 2")


def test_ids_must_agree(put):
    first, second = put("p1,1\np2,2\n", "a.csv"), put("id,x\np1,1\np3,2\n", "b.csv")
    refused(DataError, "b.csv:3: row id 'p3'", "'p2'", "a.csv", paths=[first, second])


def test_bad_options(put):
    path = put("1,2\n")
    for options, flag in [
        ({"header": "maybe"}, "--header"),
        ({"index": "1"}, "--index"),
        ({"nan": "mean"}, "--nan"),
        ({"sep": "ab"}, "--sep"),
        ({"sep": ""}, "--sep"),
        ({"decimal": "x"}, "--decimal"),
        ({"decimal": ","}, "--decimal"),
    ]:
        refused(UsageError, flag, paths=[path], **options)
    refused(UsageError, "--csv", paths=[])
    assert read(put("1\t2\n", "t.csv"), sep="\\t").values.tolist() == [[1, 2]]
    assert UsageError("").exit_code == 2


# ---- missing values

GAPS = "1,,3\n,NA,5\ninf,2,\n"


def test_missing_is_an_error_by_default(put):
    message = refused(
        DataError,
        "a.csv:2:3: missing value, the first of 3 missing and 1 infinite",
        paths=[put("id,x,y,z\n" + "".join(f"p,{line}\n" for line in GAPS.split()))],
    )
    assert all(f"--nan {policy}" in message for policy in ("drop", "ffill", "zero"))
    refused(DataError, "a.csv:1:2: infinite value", paths=[put("1,-inf\n")])


@pytest.mark.parametrize(
    ("policy", "expected", "note"),
    [
        ("drop", [1, np.nan, 3, np.nan, np.nan, 5, np.nan, 2, np.nan], "left as gaps"),
        ("zero", [1, 0, 3, 0, 0, 5, 0, 2, 0], "set to 0"),
        ("ffill", [1, 1, 3, np.nan, np.nan, 5, np.nan, 2, 2], "3 at the start of a row left as gaps"),
    ],
)
def test_missing_policies(put, monkeypatch, policy, expected, note):
    monkeypatch.setattr(missing, "FILL_CELLS", 4)
    whole = put("1,2,3\n4,5,6\n7,8,9\n", "whole.csv")
    series = read(whole, put(GAPS), nan=policy)
    np.testing.assert_array_equal(series.values, [[1, 2, 3, 4, 5, 6, 7, 8, 9], expected])
    lost = [[False] * 9, [at in (1, 3, 4, 6, 8) and not np.isnan(value) for at, value in enumerate(expected)]]
    assert series.filled is None if policy == "drop" else series.filled.tolist() == lost
    (line,) = series.notes
    assert "4 missing and 1 infinite" in line and "a.csv" in line and "whole.csv" not in line and note in line


# ---- labels and groups


@pytest.fixture
def parts(put):
    return put("p1,1,2\np2,3,4\np3,5,6\n", "parts.csv")


@pytest.fixture
def plain(put):
    return put("1,2\n3,4\n5,7\n", "plain.csv")


def test_labels_by_id_in_any_order(put, parts):
    series = read(parts, labels=put("id,hot,cold\np3,3,30\np1,1,10\np2,2,20\n", "y.csv"))
    assert series.labels is not None and series.labels.dtype == np.float32
    np.testing.assert_array_equal(series.labels, [[1, 10], [2, 20], [3, 30]])
    assert series.label_names == ("hot", "cold")
    assert any("matched to the rows by the ids" in note for note in series.notes)


def test_labels_without_ids(put, parts, plain):
    for path in (parts, plain):
        series = read(path, labels=put("1\n0\n1\n", "y.csv"))
        assert series.label_names == ("label",)
        np.testing.assert_array_equal(series.labels, [[1], [0], [1]])
    series = read(plain, labels=put("a,b\n1,0\n0,1\n1,1\n", "y.csv"))
    assert series.label_names == ("a", "b")
    np.testing.assert_array_equal(series.labels, [[1, 0], [0, 1], [1, 1]])
    assert read(plain, labels=put("1,0\n0,1\n1,1\n", "y.csv")).label_names == ("label0", "label1")


def test_labels_with_ids_for_rows_without(put, plain):
    np.testing.assert_array_equal(
        read(plain, labels=put("2,7\n0,5\n1,6\n", "y.csv"), header="no").labels[:, 0], [2, 0, 1]
    )
    np.testing.assert_array_equal(read(plain, labels=put("id,y\n2,7\n0,5\n1,6\n", "y.csv")).labels, [[5], [6], [7]])
    series = read(plain, labels=put("x,7\ny,5\nz,6\n", "y.csv"))
    np.testing.assert_array_equal(series.labels, [[7], [5], [6]])
    assert any(note.startswith("warning:") and "in their order" in note for note in series.notes)


def test_numeric_ids_of_labels_are_not_labels(put):
    path = put("id,x\n11,1\n12,2\n", "n.csv")
    series = read(path, labels=put("12,0\n11,1\n", "y.csv"))
    np.testing.assert_array_equal(series.labels, [[1], [0]])


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("1\n0\n", ["y.csv: 2 lines for 3 rows"]),
        ("p1,1\nq2,0\n", ["missing: p2, p3", "unknown: q2"]),
        ("p1,1\np2,0\np2,1\np3,0\n", ["given twice: p2"]),
        ("id,y\np1,1\np2,oops\np3,1\n", ["y.csv:3:2: text 'oops'"]),
        ("1\ninf\n0\n", ["y.csv:2:1", "not a finite number"]),
        (",y\np1,\np2,\np3,\n", ["no row has a label"]),
        ("p1,1\np2\np3,1\n", ["y.csv:2: row has 1 field, expected 2"]),
        ("", ["the file is empty"]),
    ],
)
def test_bad_labels(put, parts, text, wanted):
    refused(DataError, *wanted, paths=[parts], labels=put(text, "y.csv"))


@pytest.mark.parametrize(
    "text", ["A\nB\nA\n", "group\nA\nB\nA\n", "p3,A\np2,B\np1,A\n", "id,group\np2,B\np1,A\np3,A\n"]
)
def test_groups(put, parts, text):
    series = read(parts, groups=put(text, "g.csv"))
    assert series.groups is not None and series.groups.tolist() == ["A", "B", "A"]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("A\nB\n", ["g.csv: 2 lines for 3 rows"]),
        ("p1,A\np2,B\n", ["missing: p3"]),
        ("p1,A\np2,\np3,B\n", ["g.csv:2: a row without a group"]),
        ("id,of,house\np1,A,x\np2,B,x\np3,B,x\n", ["3 columns", "g.csv:house reads one column"]),
    ],
)
def test_bad_groups(put, parts, text, wanted):
    refused(DataError, *wanted, paths=[parts], groups=put(text, "g.csv"))


@pytest.mark.parametrize(
    ("text", "wanted", "note"),
    [
        ("id,y\np1,1\np3,0\n", [1, np.nan, 0], "no line for the rows p2"),
        ("p1,1\np4,7\np2,2\np3,3\n", [1, 2, 3], "ids that no row has are left out: p4"),
        ("y,id\n3,p3\n1,p1\n2,p2\n", [1, 2, 3], "matched to the rows"),
        ("id,y\np1,1.5 kg\np2,2 kg\np3,3 kg\n", [1.5, 2, 3], "units beside the numbers left out: y in kg"),
        ("p2,2\np1,1\np3,3\np1 ,1\n", [1, 2, 3], "lines that come again as they are count once: p1"),
    ],
)
def test_labels_as_people_have_them(put, parts, text, wanted, note):
    series = read(parts, labels=put(text, "y.csv"))
    assert series.labels is not None and any(note in each for each in series.notes)
    np.testing.assert_array_equal(series.labels[:, 0], wanted)


def test_spellings_of_one_word_are_one_label(put, parts):
    series = read(parts, labels=put("p1,Yes\np2,no \np3,YES\n", "y.csv"))
    assert series.labels is not None and series.label_words == (("YES", "no"),)
    np.testing.assert_array_equal(series.labels[:, 0], [0, 1, 0])


@pytest.mark.parametrize(
    ("cells", "wanted"),
    [
        (["hid", "hId", "hid", "hId"], ("hId", "hid")),  # sounds: before, one of the two was lost
        (["eMail", "email", "email", "email", "email"], ("email",)),
        (["Very bad", "very bad", "Very Bad", "VERY BAD"], ("VERY BAD",)),
    ],
)
def test_capitals_within_a_word_make_another_where_both_are_common(put, cells, wanted):
    rows = put("".join(f"p{n},{n},{n * n}.5\n" for n in range(len(cells) + 1)), "x.csv")
    series = read(rows, labels=put("".join(f"p{n},{cell}\n" for n, cell in enumerate([*cells, "other"])), "y.csv"))
    assert series.label_words == ((*wanted, "other"),)


def test_words_that_a_checkpoint_keeps_apart_stay_so_however_rare_one_is():
    words, codes = ("hId", "hid"), np.array([0.0, *[1.0] * 9])
    assert one_spelling(words, codes, "y")[0] == ("hid",)
    kept, found, told = one_spelling(words, codes, "y", words)
    assert kept == words and found.tolist() == codes.tolist() and not told


def test_ids_whose_zeros_a_table_has_lost(put):
    rows = put("id,x,y\n007,1,2\n010,3,4\n", "x.csv")
    series = read(rows, labels=put("id,y\n10,5\n7,6\n", "y.csv"))
    np.testing.assert_array_equal(series.labels, [[6], [5]])
    assert any("ids are matched as numbers" in note for note in series.notes)


def test_one_column_of_a_file_of_several(put, parts):
    path = put("id,sex,age,home\np3,f,3,A\np1,m,1,B\np2,f,2,A\n", "y.csv")
    series = read(parts, labels=f"{path}:age", groups=f"{path}:home")
    np.testing.assert_array_equal(series.labels, [[1], [2], [3]])
    assert series.label_names == ("age",) and series.groups is not None and series.groups.tolist() == ["B", "A", "A"]
    refused(DataError, "no column 'size'", "id, sex, age, home", paths=[parts], labels=f"{path}:size")


def test_a_missing_sidecar(parts, tmp_path):
    refused(DataError, "no such file", "none.csv", paths=[parts], labels=tmp_path / "none.csv")


# ---- paths

PATTERNS = """
    LP{1..31}a.csv LP{001..031}a.csv {a,b}.csv {a,b}{1..3} x{a,b{1..2},c}y {3..1} {1..10..3} {a..e..2} {10..1..4}
    {-2..2} {-01..2} {01..100..33} {a} {} {a,b a}b{1,2} {{a,b},{c,d}} {1..3,5} x{a{1,2}}y a{b,{c,d} {1..x} pre{,post}
    {e..a} {1..3..0} {1..3..-1}
"""


@pytest.mark.parametrize(
    "pattern",
    PATTERNS.split(),
)
def test_braces_as_bash_reads_them(tmp_path, monkeypatch, pattern):
    monkeypatch.chdir(tmp_path)
    words = subprocess.run(
        ["bash", "-c", f"printf '%s\\n' {pattern}"], capture_output=True, text=True, check=True
    ).stdout
    for word in words.split():
        Path(word).write_text("1")
    assert list(map(str, expand_paths([pattern]))) == words.split()


def test_globs_are_sorted_naturally(put, tmp_path, monkeypatch):
    for number in (10, 9, 1, 2):
        put("1", f"LP{number}a.csv")
    monkeypatch.chdir(tmp_path)
    expected = [f"LP{number}a.csv" for number in (1, 2, 9, 10)]
    assert [path.name for path in expand_paths([f"{tmp_path}/LP*a.csv"])] == expected
    assert list(map(str, expand_paths(["{LP1?a,LP[12]a}.csv"]))) == ["LP10a.csv", "LP1a.csv", "LP2a.csv"]


def test_a_name_that_exists_is_taken_as_it_is(put):
    path = put("1", "a{1..2}[x].csv")
    assert expand_paths([str(path), str(path)]) == [path, path]


def test_home_is_expanded(put, tmp_path, monkeypatch):
    path = put("1")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert expand_paths(["~/{a,a}.csv"]) == [path, path]


def test_all_missing_files_are_named(put, tmp_path):
    put("1", "LP1a.csv")
    with pytest.raises(DataError) as caught:
        expand_paths([f"{tmp_path}/LP{{1..3}}a.csv", f"{tmp_path}/no/x.csv", f"{tmp_path}/*.txt"], flag="--files")
    message = str(caught.value)
    assert message.startswith("--files: 4 of 5 files not found")
    for part in ("LP2a.csv (did you mean LP1a.csv?)", "LP3a.csv", f"x.csv (no folder {tmp_path}/no)", "*.txt"):
        assert part in message


@pytest.mark.parametrize(
    ("pattern", "count"),
    [("{1..1000000000}", "1,000,000,000"), ("{1..200}{1..200}", "40,000"), (f"{{1..{10**30}}}", f"{10**30:,}")],
)
def test_too_many_files(pattern, count):
    with pytest.raises(UsageError, match=count):
        expand_paths([pattern])


def test_the_cap_counts_all_patterns(put, tmp_path):
    paths = [str(put("1", f"{k}.csv")) for k in range(4)]
    assert len(expand_paths(paths, cap=4)) == 4
    with pytest.raises(UsageError, match="limit is 3"):
        expand_paths([f"{tmp_path}/*.csv"], cap=3)


# ---- cache


@pytest.fixture
def big(put, monkeypatch):
    """A file large and old enough for the cache, and its values."""
    monkeypatch.setattr(cache, "LEAST_BYTES", 0)
    monkeypatch.setattr(cache, "RACY_NS", -(10**18))
    table = np.random.default_rng(0).normal(size=(30, 20)).astype(np.float32)
    return put("\n".join(",".join([f"p{k}", *map(str, row)]) for k, row in enumerate(table))), table


@pytest.fixture
def parses(monkeypatch):
    """Paths that were parsed."""
    seen: list[Path] = []

    def spy(path, dialect, **more):
        seen.append(path)
        return tables.read_table(path, dialect, **more)

    monkeypatch.setattr(wide, "read_table", spy)
    return seen


def entries(tmp_path) -> list[Path]:
    return sorted((tmp_path / "cache").glob("*"))


def test_a_second_read_comes_from_the_cache(big, parses, tmp_path):
    path, table = big
    first, second = read(path), read(path)
    assert parses == [path] and len(entries(tmp_path)) == 1
    np.testing.assert_array_equal(second.values.reshape(table.shape), table)
    assert (second.sources, second.rows, second.notes) == (first.sources, first.rows, first.notes)
    assert second.values.flags.writeable
    assert second.sources[0].sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    read(path, index="yes")
    assert len(parses) == 2 and len(entries(tmp_path)) == 2


@pytest.mark.usefixtures("big")
def test_policies_apply_to_cached_values(put, parses):
    path = put(GAPS)
    for policy, third in (("zero", 0), ("drop", np.nan), ("ffill", 1)):
        np.testing.assert_equal(read(path, nan=policy).values[0, 1], np.float32(third))
    refused(DataError, "a.csv:1:2: missing value", "1 infinite", paths=[path])
    assert parses == [path]


def test_a_changed_file_is_read_anew_and_its_entry_replaced(big, parses, tmp_path):
    path, _ = big
    read(path)
    status = path.stat()
    path.write_text(path.read_text().replace("p0,", "q0,"))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert path.stat().st_size == status.st_size
    assert read(path).rows[0] == "q0"
    assert len(parses) == 2 and len(entries(tmp_path)) == 1


@pytest.mark.parametrize(
    "spoil",
    [
        lambda raw: raw[:-1],
        lambda raw: raw + b"x",
        lambda raw: raw[:-5] + bytes([raw[-5] ^ 1]) + raw[-4:],
        lambda raw: raw.replace(b'"p0"', b'"p9"'),
        lambda raw: raw.replace(cache.FORMAT.encode(), b"tsrun-table-0"),
        lambda _: b"",
        lambda _: b"something else\n" * 100,
        lambda _: b"\x80\x04pickle",
    ],
    ids=["short", "long", "bit in values", "other id", "old format", "empty", "foreign", "pickle"],
)
def test_a_spoiled_entry_is_ignored_and_rewritten(big, parses, tmp_path, spoil):
    path, table = big
    read(path)
    (entry,) = entries(tmp_path)
    whole = entry.read_bytes()
    entry.write_bytes(spoil(whole))
    np.testing.assert_array_equal(read(path).values.reshape(table.shape), table)
    assert len(parses) == 2 and entry.read_bytes() == whole


def test_a_young_file_is_not_cached(big, parses, tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "RACY_NS", 2_000_000_000)
    path, _ = big
    os.utime(path, (1, 1))  # the time of change is still now
    read(path), read(path)
    assert len(parses) == 2 and not entries(tmp_path)


def test_a_file_that_changes_while_it_is_read_is_not_cached(big, tmp_path, monkeypatch):
    path, _ = big

    def meddle(path, dialect, **more):
        found = tables.read_table(path, dialect, **more)
        path.write_text(path.read_text() + "\n")
        return found

    monkeypatch.setattr(wide, "read_table", meddle)
    assert any(note.startswith("warning:") and "changed while it was read" in note for note in read(path).notes)
    assert not entries(tmp_path)


def test_a_cache_that_cannot_be_written_is_a_note(big, tmp_path):
    path, table = big
    (tmp_path / "cache").write_text("a file where the folder should be")
    series = read(path)
    np.testing.assert_array_equal(series.values.reshape(table.shape), table)
    assert any("no cache in" in note and "TSRUN_CACHE" in note for note in series.notes)


def test_a_full_disk_leaves_no_part_behind(big, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    assert any("No space left" in note for note in read(big[0]).notes)
    assert not entries(tmp_path)


@pytest.mark.fault(
    "SIGKILL while the cache is written",
    "what it left is not read, and is swept when it is older than an hour and its writer is gone",
)
@pytest.mark.fault("a clock that is set back")
def test_what_a_killed_writer_left_is_swept_once_it_is_old(big, tmp_path):
    """Not what is young, nor what another process still writes."""
    path, _ = big
    (tmp_path / "cache").mkdir()
    old, young, held, future = (tmp_path / "cache" / f"{name}.part" for name in ("old", "young", "held", "future"))
    for part in (old, young, held, future):
        part.write_bytes(b"half")
    os.utime(future, (2**33, 2**33))  # before the clock was set back
    for part in (old, held):
        os.utime(part, (0, 0))
    with held.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        read(path)
        assert not old.exists() and not future.exists() and young.exists() and held.exists()


def test_small_files_and_off_are_not_cached(big, parses, tmp_path, monkeypatch):
    monkeypatch.setenv("TSRUN_CACHE", "off")
    read(big[0]), read(big[0])
    assert len(parses) == 2
    monkeypatch.setenv("TSRUN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "LEAST_BYTES", 1_000_000)
    read(big[0])
    assert not entries(tmp_path)


def test_the_folder_of_the_cache(monkeypatch, tmp_path):
    assert cache.folder() == tmp_path / "cache"
    monkeypatch.delenv("TSRUN_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert cache.folder() == Path("/x/tsrun")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/h")
    assert cache.folder() == Path("/h/.cache/tsrun")


@pytest.mark.usefixtures("big")
def test_the_entry_used_longest_ago_goes_first(put, parses, tmp_path, monkeypatch):
    row = ",".join(["1.5"] * 1000)
    paths = [put(row, f"{k}.csv") for k in range(3)]
    read(paths[0]), read(paths[1])
    for number, entry in enumerate(sorted(entries(tmp_path), key=lambda e: e.stat().st_mtime_ns)):
        os.utime(entry, (1000 + number, 1000 + number))
    read(paths[0])  # used now
    monkeypatch.setattr(cache, "MOST_BYTES", 10_000)
    read(paths[2])
    assert len(entries(tmp_path)) == 2
    parses.clear()
    read(paths[0]), read(paths[2])
    assert parses == []
    read(paths[1])
    assert parses == [paths[1]]


# ---- the house


def test_reading_loads_neither_torch_nor_pandas_for_small_files(put):
    root = Path(data.__file__).parent
    code = "import sys, readers.wide as w; w.read_wide([sys.argv[1]]); print({'torch', 'pandas'} & {*sys.modules})"
    command = [sys.executable, "-c", code, str(put("1,2\n"))]
    assert subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout.strip() == "set()"


@pytest.mark.skipif(not CARPARTS.exists(), reason="../shared/data/carparts is not here")
def test_carparts():
    series = read(CARPARTS)
    assert series.view().shape == (2509, 1, 51)
    assert (series.values > 0).mean() == pytest.approx(0.251, abs=0.0005)
    np.testing.assert_array_equal(series.values[0], np.loadtxt(CARPARTS, delimiter=",", dtype=np.float32).ravel())
