"""readers/long.py and what it reads with: columns, stamps, rows. Real files, values against pandas and plain loops."""

from __future__ import annotations

import csv
import gzip
import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from data import Series, Source
from errors import DataError, UsageError
from readers import files
from readers.long import read_long
from times.clock import Clock

from .conftest import ROOT

NAN = float("nan")


def read(*paths: Path, **options) -> Series:
    return read_long(paths, **({"time_col": "t"} | options))


def refused(error: type, *parts: str, paths, **options) -> str:
    """The reader's message must hold all `parts`."""
    with pytest.raises(error) as caught:
        read(*paths, **options)
    for part in parts:
        assert part in str(caught.value), str(caught.value)
    return str(caught.value)


def table(times, *values, head="t,x", sep=",") -> str:
    """CSV text: a time a line, and the cells of each further column (`range(n)` if none is given)."""
    values = values or (range(len(times)),)
    return "\n".join([head, *(sep.join(map(str, line)) for line in zip(times, *values, strict=True))]) + "\n"


def hours(start: str, n: int, freq: str = "h") -> list[str]:
    return [str(time) for time in pd.date_range(start, periods=n, freq=freq)]


# ---- values and columns


def test_one_file_is_one_row(put):
    path = put("t,x,y\n2024-01-01 00:00:00,1,-2.5\n2024-01-01 01:00:00,3e2,4\n2024-01-01 02:00:00,5,6\n", "plant.csv")
    long = read(path)
    assert long.values.dtype == np.float32 and long.offsets.dtype == long.time.dtype == np.int64
    np.testing.assert_array_equal(long.values, [[1, 300, 5], [-2.5, 4, 6]])
    assert (long.channels, long.rows, long.offsets.tolist()) == (("x", "y"), ("plant",), [0, 3])
    assert long.clock == Clock("h") and long.after is None and long.notes == ()
    assert long.clock.show(long.time) == [f"2024-01-01 0{hour}:00:00" for hour in range(3)]
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    assert long.sources == (Source(str(path), sha256, path.stat().st_size, (3, 3)),)


def test_columns_are_taken_by_name_in_the_order_asked_for(put):
    path = put(table(hours("2024", 3), "abc", [1, 2, 3], [4, 5, 6], head="t,name,x,y"))
    long = read(path, columns=["y", "x"])
    assert long.channels == ("y", "x")
    np.testing.assert_array_equal(long.values, [[4, 5, 6], [1, 2, 3]])


def test_files_are_rows_with_columns_matched_by_name(put):
    first = put(table(hours("2024", 3), [1, 2, 3], [4, 5, 6], head="t,x,y"), "b.csv")
    second = put(table([*"abcd"], [9, 8, 7, 6], hours("2025-06", 4), [1, 2, 3, 4], head="who,y,t,x"), "a.csv.gz")
    second.write_bytes(gzip.compress(second.read_bytes()))
    long = read(first, second)
    assert (long.rows, long.channels, long.offsets.tolist()) == (("b", "a"), ("x", "y"), [0, 3, 7])
    np.testing.assert_array_equal(long.values, [[1, 2, 3, 1, 2, 3, 4], [4, 5, 6, 9, 8, 7, 6]])
    assert long.clock.show(long.time[2:4]) == ["2024-01-01 02:00:00", "2025-06-01 00:00:00"]
    assert [source.shape for source in long.sources] == [(3, 3), (4, 4)]


def test_files_of_one_name_are_told_apart(put):
    paths = [put(table(hours("2024", 3)), name) for name in ("one/a.csv", "two/a.csv")]
    assert read(*paths).rows == tuple(map(str, paths))
    refused(DataError, "also in", paths=[paths[0], paths[0]])


def test_ids_tell_rows_apart_though_interleaved(put):
    lines = (
        [("B", h, f"b{h}"[1:]) for h in range(4)]
        + [("A ", h, 10 + h) for h in range(3)]
        + [("C", h, 20) for h in range(5)]
    )
    order = np.random.default_rng(0).permutation(len(lines))
    order = sorted(order, key=lambda k: lines[k][1])  # in the order of time, rows mixed
    text = "".join(
        f"{lines[k][0]},2024-02-28 {20 + lines[k][1] % 4}:00,{lines[k][2]}\n" for k in order if lines[k][1] < 4
    )
    long = read(put("id,t,x\n" + text), id_col="id")
    met = list(dict.fromkeys(lines[k][0].strip() for k in order))
    assert list(long.rows) == met
    expected = {"A": [10, 11, 12], "B": [0, 1, 2, 3], "C": [20, 20, 20, 20]}
    for row, name in enumerate(long.rows):
        np.testing.assert_array_equal(long.values[0, long.offsets[row] : long.offsets[row + 1]], expected[name])


def test_ids_over_several_files(put):
    first = put(table([*hours("2024", 3), *hours("2020", 3)], "aaabbb", range(6), head="t,id,x"), "1.csv")
    second = put(table(hours("2022", 3), "ccc", range(3), head="t,id,x"), "2.csv")
    assert read(first, second, id_col="id").rows == ("a", "b", "c")
    third = put(table(hours("2022", 3), "bbb", range(3), head="t,id,x"), "3.csv")
    refused(DataError, "3.csv: id 'b' is also in", "1.csv", paths=[first, third], id_col="id")
    fourth = put(table(hours("2022", 3), ["d", "", "d"], range(3), head="t,id,x"), "4.csv")
    refused(DataError, "4.csv:3: the id is missing", paths=[fourth], id_col="id")


@pytest.mark.parametrize("ids", [("7", "12"), ("007", "7"), ("1.0", "2.0"), ("NA", "nan"), ("true", "false")])
def test_ids_that_look_like_something_else_are_text(put, ids):
    lines = [f"{time},{name},{k}" for k, name in enumerate(ids) for time in hours("2024-01-01", 4)]
    series = read(put("t,id,x\n" + "\n".join(lines) + "\n"), time_col="t", id_col="id")
    assert series.rows == ids and series.lengths.tolist() == [4, 4]


def test_ids_keep_their_text(put):
    path = put(table(hours("2024", 3) * 3, [*["007"] * 3, *["NA"] * 3, *["1.0"] * 3], range(9), head="t,id,x"))
    assert read(path, id_col="id").rows == ("007", "NA", "1.0")


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("sep", [",", ";", "\t"])
def test_ways_to_write_a_file(put, newline, mark, sep):
    head = sep.join(['"t"', '"a name"', '" x "'])
    lines = [f'{time}{sep}"p{sep}q"{sep} "{k}.5" ' for k, time in enumerate(hours("2024", 4))]
    for ending in ("", newline, newline * 3):
        path = put(mark + newline.join([head, *lines]) + ending)
        long = read(path, columns=["x"], sep={"\t": "tab"}.get(sep, sep))
        np.testing.assert_array_equal(long.values, [[0.5, 1.5, 2.5, 3.5]])


def test_decimal_commas_and_latin_1(put):
    text = "t;Wärme;Straße\n" + "".join(f"{time};{k},25;Maß\n" for k, time in enumerate(hours("2024", 3)))
    for code in ("utf-8", "latin-1"):
        long = read(put(text.encode(code)), columns=["Wärme"], sep=";", decimal=",")
        np.testing.assert_array_equal(long.values, [[0.25, 1.25, 2.25]])
    assert read(put(text.encode("latin-1")), columns=["Wärme"], id_col="Straße", sep=";", decimal=",").rows == ("Maß",)


def test_cells_within_quotes_may_hold_line_ends(put):
    cells = ['"one\ntwo"', '"say ""a,b"""', "5 inch", '"x\n\ny"', "z"]
    text = table(hours("2024", 5), cells, range(5), head="t,note,x")
    np.testing.assert_array_equal(read(put(text), columns=["x"]).values, [range(5)])
    # Lines are counted as an editor counts them.
    message = refused(DataError, "text 'one\\ntwo'", paths=[put(text)], columns=["note", "x"])
    assert "a.csv:2:2: " in message
    refused(DataError, "a.csv:9:3: missing value", paths=[put(text.replace("z,4", "z,"))], columns=["x"])
    refused(DataError, "a.csv:9:3: text 'q'", paths=[put(text.replace("z,4", "z,q"))], columns=["x"])
    refused(DataError, "a.csv:6: 'noon'", paths=[put(text.replace("2024-01-01 03:00:00", "noon"))], columns=["x"])
    refused(DataError, "a.csv:9: row has 4 fields, expected 3", paths=[put(text.replace("z,4", "z,4,"))], columns=["x"])


def test_a_stray_quote_is_a_character(put):
    np.testing.assert_array_equal(
        read(put(table(hours("2024", 3), ['5" pipe', "b", "c"], range(3), head="t,n,x")), columns=["x"]).values,
        [[0, 1, 2]],
    )


def test_both_readers_of_numbers_agree(put, monkeypatch):
    spellings = [
        "1",
        "+1",
        "-1.",
        ".5",
        " 7 ",
        "1e5",
        "1E-3",
        "-inf",
        "1e400",
        "",
        "NA",
        "nan",
        "null",
        "None",
        " N/A ",
        "2",  # a table ends where its values end
    ]
    path = put(table(hours("2024", len(spellings)), spellings))
    fast = read(path, nan="drop").values
    expected = [1, 1, -1, 0.5, 7, 1e5, 1e-3, *[NAN] * 8, 2]
    np.testing.assert_array_equal(fast[0], np.array(expected, np.float32))
    # `none` is a missing value that the fast reader does not know, and so it gives up.
    odd = put(table(hours("2024", len(spellings) + 1), ["none", *spellings[1:], "3"]), "odd.csv")
    again = read(odd, nan="drop").values  # begins with its first value
    np.testing.assert_array_equal(again, np.append(fast[:, 1:], np.float32([[3]]), axis=1))


def test_a_column_without_name_is_left_out(put):
    path = put(table(range(3), hours("2024", 3), [5, 6, 7], head=",t,x"))
    long = read(path)
    assert long.channels == ("x",)
    assert long.notes == (f"warning: {path}: column 1 has no name and is left out",)


# ---- columns and lines that are wrong


def test_columns_that_are_not_there(put):
    path = put(table(hours("2024", 3), range(3), range(3), head="t,load,price"))
    refused(
        DataError,
        "--time-col tt",
        "no column 'tt'",
        str(path),
        "did you mean t?",
        "t, load, price",
        paths=[path],
        time_col="tt",
    )
    refused(DataError, "--id-col unit", "no column 'unit'", "t, load, price", paths=[path], id_col="unit")
    refused(
        DataError,
        f"{path}: no column 'prices'",
        "did you mean price?",
        "t, load, price",
        paths=[path],
        columns=["load", "prices"],
    )
    second = put(table(hours("2024", 3), range(3), head="t,load"), "b.csv")
    refused(DataError, f"{second}: no column 'price'", paths=[path, second])
    refused(DataError, "--sep ','", "no column 't'", paths=[path], sep=";")
    wide = put(table(hours("2024", 3), *[range(3)] * 50, head="time," + ",".join(f"c{k}" for k in range(50))), "w.csv")
    refused(DataError, "c28 and 21 more", paths=[wide])


def test_columns_that_cannot_be_told_apart(put):
    path = put(table(hours("2024", 3), range(3), range(3), head="t,x,x"))
    refused(DataError, "2 columns are named 'x'", paths=[path], strict=True)
    refused(
        DataError,
        "has no column besides the time and the id",
        paths=[put(table(hours("2024", 3), "aaa", head="t,id"))],
        id_col="id",
    )


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "the file is empty"),
        ("\n\n", "the file is empty"),
        ("\ufeff", "the file is empty"),
        ("\na,x\n", "line 1 is blank"),
        ("t,x", "has a header and no rows"),
        ("t,x\n\n", "has a header and no rows"),
        ("t,x\n2024-01-01,1\n2024-01-02\n2024-01-03,1\n", "a.csv:3: row has 1 field, expected 2"),
        ("t,x\n2024-01-01,1\n2024-01-02,1,1\n2024-01-03,1\n", "a.csv:3: row has 3 fields, expected 2"),
        ("t,x,y\n2024-01-01,1\n2024-01-02,1,1,1\n2024-01-03,1,1\n", "a.csv:2: row has 2 fields, expected 3"),
        ("t,x\n2024-01-01,1\n2024-01-02\n2024-01-03,1\n", "a.csv:3: row has 1 field, expected 2"),
        ("t,x\n2024-01-01,1\n2024-01-02,abc\n", "a.csv:3:2: text 'abc' where a number is expected, in column 'x'"),
        ("t,x\n2024-01-01,1\n2024-01-02,\n2024-01-03,1\n", "a.csv:3:2: missing value"),
        ('t,x\n2024-01-01,1\n2024-01-02,"1\n2024-01-03,1\n', "a.csv"),
        ("t,x\r2024-01-01,1\n2024-01-02,1\n", "a.csv:1: a carriage return within the line"),
        ("t,x\n\0,1", "not a text file"),
    ],
)
def test_files_that_are_wrong(put, text, part):
    refused(DataError, part, paths=[put(text)])


def test_files_that_cannot_be_read(put, tmp_path):
    refused(DataError, "no such file", paths=[tmp_path / "none.csv"])
    refused(DataError, "is a folder", paths=[tmp_path])
    refused(DataError, "UTF-16", paths=[put(table(hours("2024", 3)).encode("utf-16")[:-1])])
    packed = gzip.compress(table(hours("2024", 5000)).encode())
    refused(DataError, "damaged packed", paths=[put(packed[:-20], "a.csv.gz")])


@pytest.mark.parametrize("cells", [["True"] * 3, ["", "True", "False"], ["false"] * 3])
@pytest.mark.parametrize("quote", ["", '"'])
def test_truths_are_numbers_unless_strict(put, cells, quote):
    path = put(table(hours("2024", 3), [1, 2, 3], [f"{quote}{cell}{quote}" for cell in cells], head="t,x,y"))
    first, of = next(filter(None, cells)), {"": np.nan, "True": 1, "False": 0, "false": 0}
    for columns in (None, ["x", "y"]):
        series = read(path, nan="drop", columns=columns)
        np.testing.assert_array_equal(series.values[1], [of[cell] for cell in cells])
        assert any("in y, True is 1 and False is 0" in note for note in series.notes)
    how = {"nan": "drop", "strict": True}
    refused(DataError, f":3: text '{first}'", "in column 'y'", paths=[path], columns=["x", "y"], **how)
    assert read(path, **how).channels == ("x",)


def test_text_that_another_decimal_mark_explains(put):
    path = put(table(hours("2024", 3), ["1,5"] * 3, head="t;x", sep=";"))
    refused(DataError, "a.csv:2:2: text '1,5'", "--decimal ','", paths=[path], sep=";")
    refused(DataError, "text 'a'", "in column 'x'", paths=[put(table(hours("2024", 3), "abc"))])


def test_trouble_far_down_is_located(put, monkeypatch):
    monkeypatch.setattr(files, "BLOCK", 100)
    cells = [str(k) for k in range(5000)]
    cells[4321] = "oops"
    refused(DataError, "a.csv:4323:2: text 'oops'", paths=[put(table(hours("2020", 5000), cells))])
    cells[4321] = "1,2"
    refused(DataError, "a.csv:4323: row has 3 fields", paths=[put(table(hours("2020", 5000), cells))])


def test_wrong_options(put):
    path = put(table(hours("2024", 3), range(3), range(3), head="t,x,y"))
    for options, flag in [
        ({"nan": "mean"}, "--nan"),
        ({"sep": "ab"}, "--sep"),
        ({"decimal": "x"}, "--decimal"),
        ({"tz": "Europe/Berln"}, "did you mean Europe/Berlin?"),
        ({"tz": "+1"}, "--tz"),
        ({"resample": "hourly"}, "--resample: 'hourly' is not a step"),
        ({"resample": "W-XXX"}, "--resample: 'W-XXX' is not a step"),
        ({"resample": "ME"}, "--resample: 'ME' names a step by its end"),
        ({"columns": ["x", "x"]}, "--columns: 'x' is given twice"),
        ({"columns": ["x", "t"]}, "--columns: 't' is the column of the times"),
        ({"known": ["z"]}, "--known-future: 'z' is not among"),
        ({"known": ["y"], "columns": ["x"]}, "--known-future: 'y' is not among"),
        ({"known": ["y", "x"]}, "--known-future: every column is known ahead"),
        ({"id_col": "t"}, "--id-col: the same as --time-col"),
    ]:
        refused(UsageError, flag, paths=[path], **options)
    refused(UsageError, "--csv", paths=[])


# ---- times


@pytest.mark.parametrize(
    ("times", "shown"),
    [
        (["2016-07-01 00:00:00", "2016-07-01 01:00:00", "2016-07-01 02:00:00"], "2016-07-01 00:00:00"),
        (["2016-07-01T00:00", "2016-07-01T01:00", "2016-07-01T02:00"], "2016-07-01 00:00:00"),
        (["2016/07/01 00:00", "2016/07/01 01:00", "2016/07/01 02:00"], "2016-07-01 00:00:00"),
        ([" 2016-07-01 00:00", "2016-07-01 01:00 ", "2016-07-01 02:00"], "2016-07-01 00:00:00"),
        (["2016-07-01", "2016-07-01 12:00", "2016-07-02"], "2016-07-01 00:00:00"),
        (["2016-07-01", "2016-07-02", "2016-07-03"], "2016-07-01"),
        (["20160701", "20160702", "20160703"], "2016-07-01"),
        (["2016", "2017", "2018"], "2016-01-01"),
        (["2016-07-01 00:00:00.000", "2016-07-01 00:00:00.250", "2016-07-01 00:00:00.500"], "2016-07-01 00:00:00.000"),
        (["2016-07-01 00:00Z", "2016-07-01 01:00Z", "2016-07-01 02:00Z"], "2016-07-01 00:00:00+00:00"),
        (["2016-07-01T00:00+01:00", "2016-07-01T01:00+01:00", "2016-07-01T02:00+01:00"], "2016-07-01 00:00:00+01:00"),
        (["2016-07-01 00:00-0330", "2016-07-01 01:00-0330", "2016-07-01 02:00-0330"], "2016-07-01 00:00:00-03:30"),
    ],
)
def test_iso_times(put, times, shown):
    long = read(put(table(times)))
    assert long.clock.show(long.time)[0] == shown and long.notes == ()
    assert np.diff(long.time).min() > 0


@pytest.mark.parametrize(
    ("times", "note", "shown"),
    [
        (range(1467331200, 1467331200 + 3 * 3600, 3600), "seconds since 1970, in UTC", "2016-07-01 00:00:00+00:00"),
        (["1467331200.25", "1467331200.50", "1467331200.75"], "seconds", "2016-07-01 00:00:00.250+00:00"),
        (["999999999", "1000000000", "1000000001"], "seconds", "2001-09-09 01:46:39+00:00"),
        (range(1467331200000, 1467331200000 + 300, 100), "milliseconds", "2016-07-01 00:00:00.000+00:00"),
    ],
)
def test_epochs(put, times, note, shown):
    long = read(put(table(list(times))))
    assert long.clock.show(long.time)[0] == shown and long.clock.tz == "UTC"
    (line,) = long.notes
    assert "times read as " + note in line and "a.csv" in line
    assert read(put(table(list(times))), tz="Asia/Tokyo").clock.tz == "Asia/Tokyo"


def test_days_and_months_are_taken_only_where_they_can_be_nothing_else(put):
    german = [f"{day:02d}.07.2016 00:00" for day in range(1, 32)]
    long = read(put(table(german)))
    assert long.clock.show(long.time[[0, -1]]) == ["2016-07-01", "2016-07-31"]
    assert "day before month: '13.07.2016 00:00' fits no other order" in long.notes[0]
    american = [
        f"{time.month}/{time.day}/{time.year} {time.hour}:{time.minute:02d}"
        for time in pd.date_range("2016-07-01", periods=1200, freq="15min")
    ]
    long = read(put(table(american)))
    assert long.clock == Clock("15min") and long.clock.show(long.time[-1:]) == ["2016-07-13 11:45:00"]
    assert "month before day" in long.notes[0]
    long = read(put(table(german[:12])))
    assert long.clock.show(long.time[-1:]) == ["2016-07-12"] and "day before month" in long.notes[0]
    slashes = [time.replace(".", "/") for time in german[:12]]
    message = refused(DataError, "a.csv:2: time '01/07/2016 00:00' could be", paths=[put(table(slashes))])
    assert "--date-order dmy or --date-order mdy" in message
    mixed = [*german, "07.31.2016 00:00"]
    refused(DataError, "a.csv:33: '07.31.2016 00:00' is not a date", paths=[put(table(mixed))])


@pytest.mark.parametrize(
    ("cell", "part"),
    [
        ("noon", "a.csv:3: 'noon' is not a date and time"),
        ("now", "a.csv:3: 'now' is not a date and time"),
        ("today", "a.csv:3: 'today' is not a date and time"),
        ("", "a.csv:3: the time is missing"),
        ("NaT", "a.csv:3: the time is missing"),
        ("nan", "a.csv:3: the time is missing"),
        ("2016-02-30", "a.csv:3: '2016-02-30'"),
        ("2016-07-01 25:00", "a.csv:3: '2016-07-01 25:00'"),
        ("1467331200", "a.csv:3: '1467331200' is no"),
        ("01.07.2016", "a.csv:3: '01.07.2016' is no"),
        ("0016-07-01", "a.csv:3: '0016-07-01' is no"),
        ("2016-07-01 01:00+02:00", "a.csv:3: time '2016-07-01 01:00+02:00' has an offset"),
    ],
)
def test_cells_that_are_no_time(put, cell, part):
    refused(DataError, part, paths=[put(table(["2016-07-01 00:00", cell, "2016-07-01 02:00"]))])


@pytest.mark.parametrize(
    ("times", "part"),
    [
        (["1", "2", "x"], "a.csv:2: '1' is not a date and time"),
        (["2016070100", "2016070101", "2016070102"], "a.csv:2: time '2016070100' could be"),
        (["201607010060", "201607010100", "201607010200"], "a.csv:2: '201607010060' is no"),
        (["1467331200", "1467331201", "12"], "a.csv:4: '12' is no"),
        (["1467331200", "", "1467331202"], "a.csv:3: the time is missing"),
        (["1.7", "2.7", "x"], "a.csv:2: '1.7' is no"),
        (["00:00", "01:00", "02:00"], "a.csv:2: '00:00' is no"),
    ],
)
def test_columns_that_are_no_times(put, times, part):
    message = refused(DataError, part, paths=[put(table(times))])
    assert any(part in message for part in ("2016-07-01 00:00:00", "missing", "--time-col DATE+TIME"))


# ---- zones


def berlin(start: str, n: int, freq: str) -> pd.DatetimeIndex:
    return pd.date_range(start, periods=n, freq=freq, tz="Europe/Berlin", unit="ns")


@pytest.mark.parametrize("freq", ["h", "15min", "D", "6h"])
@pytest.mark.parametrize("start", ["2024-03-29", "2024-10-25", "2023-10-25"])
def test_naive_times_in_a_zone_that_changes_its_clocks(put, freq, start):
    axis = berlin(start, {"h": 24 * 400, "15min": 96 * 200, "D": 400, "6h": 1600}[freq], freq)
    path = put(table(axis.tz_localize(None).astype(str)))
    long = read(path, tz="Europe/Berlin")
    np.testing.assert_array_equal(long.time, axis.asi8)
    assert long.clock == Clock(freq, "Europe/Berlin")


def in_rows(axes: list[pd.DatetimeIndex]) -> str:
    """CSV text with the naive times of each axis as a row."""
    times = np.concatenate([axis.tz_localize(None).astype(str) for axis in axes])
    ids = np.repeat(["a", "b", "c"], [len(axis) for axis in axes])
    return table(times, ids, range(len(times)), head="t,id,x")


def test_the_hour_that_comes_twice_in_several_rows(put):
    axes = [berlin("2024-10-26 20:00", 30, "30min"), berlin("2023-10-28 22:00", 12, "30min")]
    for start in ("2024-10-27 00:30", "2024-10-27 02:00"):  # in UTC: within that hour, and after it
        last = pd.date_range(start, periods=9, freq="30min", tz="UTC").tz_convert("Europe/Berlin")
        long = read(put(in_rows([*axes, last])), id_col="id", tz="Europe/Berlin")
        np.testing.assert_array_equal(long.time, np.concatenate([a.as_unit("ns").asi8 for a in (*axes, last)]))
    second = pd.date_range("2024-10-27 01:00", periods=9, freq="30min", tz="UTC").tz_convert("Europe/Berlin")
    part = "a.csv:44: 2024-10-27 02:00:00 occurs twice"
    refused(DataError, part, "offset", paths=[put(in_rows([*axes, second]))], id_col="id", tz="Europe/Berlin")


def test_hours_that_a_zone_does_not_have_so(put):
    path = put(table(hours("2024-03-31", 6)))
    refused(
        DataError,
        "a.csv:4: there is no 2024-03-31 02:00:00 in Europe/Berlin",
        "--tz +01:00",
        paths=[path],
        tz="Europe/Berlin",
    )
    assert read(path, tz="+01:00").clock == Clock("h", "+01:00")
    path = put(table(hours("2024-10-27", 6)))
    refused(DataError, "a.csv:4: 2024-10-27 02:00:00 occurs twice in Europe/Berlin", paths=[path], tz="Europe/Berlin")


def test_the_changes_are_pointed_out_where_no_zone_is_named(put):
    spring = berlin("2024-03-30", 48, "h").tz_localize(None).astype(str)
    refused(
        DataError,
        "a.csv:28: a step of 2h, where the usual step is 1h",
        "--tz Europe/Berlin",
        paths=[put(table(spring))],
        strict=True,
    )
    autumn = berlin("2024-10-26", 49, "h").tz_localize(None).astype(str)
    refused(
        DataError,
        "a.csv:29: time 2024-10-27 02:00:00 occurs twice",
        "--tz Europe/Berlin",
        paths=[put(table(autumn))],
        strict=True,
    )
    autumn = berlin("2024-10-26", 196, "15min").tz_localize(None).astype(str)
    refused(
        DataError,
        "a.csv:110: times go back, from 2024-10-27 02:45:00",
        "--tz Europe/Berlin",
        paths=[put(table(autumn))],
        strict=True,
    )
    june = [*hours("2024-06-01", 2), *hours("2024-06-01 03:00", 5)]
    assert "--tz" not in refused(DataError, "a step of 2h", "--resample 1h", paths=[put(table(june))])
    noon = [*hours("2024-03-31 10:00", 2), *hours("2024-03-31 13:00", 5)]
    assert "--tz" not in refused(DataError, "a step of 2h", "--resample 1h", paths=[put(table(noon))])


def test_offsets_that_differ(put):
    axis = berlin("2024-03-30 12:00", 48, "h")
    path = put(table(axis.astype(str)))
    long = read(path)
    np.testing.assert_array_equal(long.time, axis.asi8)
    assert long.clock == Clock("h", "Europe/Berlin")
    told = "times have several offsets (+01:00, +02:00), those of Europe/Berlin; --tz names another zone"
    assert long.notes == (told,)
    mixed = [f"2024-01-01 0{hour}:00+0{1 + (hour > 3)}:00" for hour in (0, 1, 2, 4, 5, 6)]  # of no zone in January
    assert read(put(table(mixed), "m.csv")).clock == Clock("h", "UTC") == read(path, strict=True).clock
    long = read(path, tz="Europe/Berlin")
    assert (
        long.clock.show(long.time)[14:16] == ["2024-03-31 03:00:00+02:00", "2024-03-31 04:00:00+02:00"]
        and long.notes == ()
    )
    winter, summer = put(table(axis[:12].astype(str)), "w.csv"), put(table(axis[-12:].astype(str)), "s.csv")
    assert read(winter, summer).clock == Clock("h", "Europe/Berlin") and read(winter).clock == Clock("h", "+01:00")
    naive = put(table(hours("2024", 3)), "n.csv")
    refused(DataError, "n.csv: times have no offset", "w.csv", paths=[winter, naive])


def test_days_with_offsets_are_days_of_their_zone(put):
    axis = berlin("2024-03-28", 10, "D")
    assert read(put(table(axis.astype(str))), tz="Europe/Berlin").clock == Clock("D", "Europe/Berlin")
    path = put(table(axis.astype(str)))
    assert read(path).clock == Clock("D", "Europe/Berlin")
    refused(DataError, "a step of 23h, where the usual step is 1D", paths=[path], strict=True)


def test_pairs_of_lines_are_the_two_hours_in_turn(put):
    axis = berlin("2024-10-26", 196, "15min")
    wall = axis.tz_localize(None)
    order = np.argsort(wall, kind="stable")  # as sorted by a spreadsheet: 2:00, 2:00, 2:15, 2:15
    path = put(table(wall[order].astype(str), order))
    for zone in ("", "Europe/Berlin"):
        long = read(path, tz=zone)
        np.testing.assert_array_equal(long.time, axis.asi8)
        assert long.values[0].tolist() == [*range(196)] and long.clock == Clock("15min", "Europe/Berlin")


def test_no_zone_is_taken_that_speaks_against_a_time(put):
    """A line is missing in March where Berlin has no such hour, but the year before has the hour."""
    whole = [*hours("2023-03-25", 48), *hours("2024-03-30", 48)]
    kept = np.delete(np.arange(96), 48 + 26)
    path = put(table(np.array(whole)[kept], np.repeat([*"ab"], 48)[kept], kept, head="t,id,x"))
    refused(DataError, "a step of 2h", "daylight saving time seems", paths=[path], id_col="id")


# ---- steps


@pytest.mark.parametrize("freq", "8s 15min h 36h D 7D B MS ME QS-JAN YS-JAN".split())
def test_steps_are_found(put, freq):
    times = pd.date_range("2019-12-02", periods=60, freq=Clock(freq).offset()).astype(str)
    long = read(put(table(times)))
    assert long.clock == Clock(freq)
    np.testing.assert_array_equal(long.time, pd.DatetimeIndex(times).as_unit("ns").asi8)
    np.testing.assert_array_equal(long.clock.extend(long.time[0], 59), long.time[1:])


def test_lines_in_disorder_are_sorted(put):
    """Where all times differ there is one order; what comes twice may be another series, and is refused."""
    times = hours("2024-06-01", 6)
    path = put(table([*times[:3], *times[4:], times[3]], [0, 1, 2, 4, 5, 3]))
    found = read(path)
    assert found.values[0].tolist() == [0, 1, 2, 3, 4, 5] and (np.diff(found.time) > 0).all()
    assert "lines are not in the order of their times, and were sorted: 1 of 6 come late" in found.notes
    assert read(path, resample="2h").values[0].tolist() == [0.5, 2.5, 4.5]
    message = "a.csv:7: times go back, from 2024-06-01 05:00:00 to 2024-06-01 03:00:00"
    refused(DataError, message, "sort the lines", "--id-col", paths=[path], strict=True)
    refused(DataError, "a.csv:7: times go back", paths=[path], resample="1h", strict=True)
    path = put(table([*times[:3], *times[2:]]))
    refused(DataError, "a.csv:5: time 2024-06-01 02:00:00 occurs twice", "--resample", paths=[path])
    mixed = put(table([*times, *times[:4], times[5], times[4]], [*"aaaaaa", *"bbbbbb"], range(12), head="t,id,x"))
    assert read(mixed, id_col="id").values[0].tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 10]
    message = refused(DataError, "a.csv:13: times go back", paths=[mixed], id_col="id", strict=True)
    assert "--id-col" not in message


def events(*hours):
    """Times so many hours apart, as of runs and bills."""
    return list(pd.Timestamp("2024-06-01") + pd.to_timedelta(np.cumsum(hours), "h"))


@pytest.mark.parametrize(
    ("times", "parts"),
    [
        ([*hours("2024-06-01", 5), *hours("2024-06-01 07:00", 5)], ["a.csv:7", "3h", "1h", "--resample 1h"]),
        ([*hours("2024-06-01", 9), "2024-06-01 08:59:30"], ["a.csv:11", "3570s", "1h"]),
        (
            list(
                pd.Timestamp("2024-06-01")
                + pd.to_timedelta(np.cumsum([88, 190, 300, 420, 540, 88, 610, 191, 333, 401]), "s")
            ),
            ["a.csv:3", "190s", "88s", "--resample 10min"],
        ),
        ([*hours("2024-06-01", 9, "D"), "2024-06-11"], ["a.csv:11", "2D", "1D", "--resample 1D"]),
        (["2024-06-01", "2024-06-03", *hours("2024-06-05", 9, "D")], ["a.csv:3", "2D", "1D"]),
        (["2024-01-01", "2024-02-01", "2024-03-01", "2024-05-01"], ["a.csv:5", "61D", "MS"]),
        (events(19, 25, 31, 43, 52, 27, 22, 47, 33, 50), ["a.csv:3", "25h", "22h", "--resample 1D"]),
        (events(140, 171, 202, 310, 185, 201, 163, 97, 188, 222), ["a.csv:3", "171h", "97h", "--resample 7D"]),
        ([*hours("2023-01-01", 20, "MS"), "2024-10-01"], ["a.csv:22", "61D", "MS", "--resample MS"]),
        ([*hours("2024-04-01", 20, "B"), "2024-04-30"], ["a.csv:22", "4D", "B", "--resample B"]),
    ],
)
def test_odd_steps(put, times, parts):
    place, step, usual, *hint = parts
    refused(
        DataError,
        f"{place}: a step of {step}, where the usual step is {usual}",
        *hint,
        "makes the steps regular",
        paths=[put(table(times))],
    )


def test_days_of_a_zone_that_lack_one(put):
    axis = berlin("2024-03-20", 30, "D").delete(20)
    path = put(table(axis.tz_localize(None).astype(str)))
    refused(DataError, "a.csv:22: a step of 2D, where the usual step is 1D", paths=[path], tz="Europe/Berlin")


def test_rows_of_different_steps(put):
    first, second = put(table(hours("2024", 9)), "a.csv"), put(table(hours("2024", 5, "15min")), "b.csv")
    refused(
        DataError, "b.csv: row 'b' has steps of 15min, where row 'a' has 1h", "--resample 1h", paths=[first, second]
    )
    third = put(table(hours("2024", 5)), "c.csv")
    fourth = put(table([*hours("2024", 2), *hours("2024-01-01 03:00", 5)]), "d.csv")
    refused(DataError, "d.csv:4: a step of 2h", paths=[third, fourth])
    days = pd.date_range("2024-01-01", "2024-02-09 23:45", freq="15min")
    day = days[(days.dayofweek < 5) & (days.hour >= 7) & (days.hour < 22)]  # the registers of two tariffs
    fifth, sixth = put(table(day.astype(str)), "e.csv"), put(table(days.difference(day).astype(str)), "f.csv")
    refused(DataError, "has steps of 15min@MON-FRI", "--resample 15min brings", paths=[fifth, sixth])


def test_short_rows_fit_the_calendar_of_long_ones(put):
    week, month = hours("2024-01-01", 5, "D"), hours("2024-01-01", 25, "B")
    assert read(put(table(week), "a.csv"), put(table(month), "b.csv")).clock == Clock("B")
    summer, years = hours("2024-07-01", 3, "MS"), hours("2020-01-01", 40, "MS")
    assert read(put(table(summer), "a.csv"), put(table(years), "b.csv")).clock == Clock("MS")
    refused(
        DataError,
        "row 'a' has steps of 1D, where row 'b' has B",
        paths=[put(table(hours("2024-01-06", 5, "D")), "a.csv"), put(table(month), "b.csv")],
    )


@pytest.mark.parametrize(("n", "steps"), [(1, "1 step,"), (2, "2 steps,")])
def test_rows_that_are_too_short(put, n, steps):
    refused(DataError, f"row 'a' has {steps} fewer than 3", paths=[put(table(hours("2024", n)))])


# ---- resampling


def test_means_over_steps(put):
    random = np.random.default_rng(5)
    times = pd.Timestamp("2024-02-28 00:07") + pd.to_timedelta(np.sort(random.integers(0, 5 * 86400, 900)), "s")
    cells = random.normal(size=900).round(4)
    cells[random.random(900) < 0.1] = NAN
    path = put(table(times.astype(str), ["" if cell != cell else cell for cell in cells]))
    long = read(path, resample="1h", nan="drop")
    assert long.clock == Clock("h")
    sums: dict[str, list[float]] = {}
    for time, cell in zip(times, cells, strict=True):
        sums.setdefault(str(time)[:13] + ":00:00", []).extend([] if np.isnan(cell) else [cell])
    shown = long.clock.show(long.time)
    # Into the last step fell no more than one line, at its beginning: it is not whole.
    assert (shown[0], shown[-1]) == (min(sums), sorted(sums)[-2]) and (np.diff(long.time) == 3600e9).all()
    expected = [np.mean(sums[time]) if sums.get(time) else NAN for time in shown]
    np.testing.assert_allclose(long.values[0], expected, atol=1e-6)


def test_duplicates_are_averaged_and_counted(put):
    times = [time for time in hours("2024", 4) for _ in range(2)]
    long = read(put(table(times, [1, 3, 5, 5, 7, 8, 0, 1])), resample="h")
    np.testing.assert_array_equal(long.values, [[2, 5, 7.5, 0.5]])
    assert long.notes == (
        "8 lines resampled to 4 steps of 1h; 4 lines of the same time as the line before averaged with it",
    )


def test_rows_are_resampled_each_by_itself(put):
    text = table(
        [*hours("2024-01-01 00:30", 8, "30min"), *hours("2022-01-01", 6, "30min")],
        [*"aaaaaaaabbbbbb"],
        range(14),
        head="t,id,x",
    )
    long = read(put(text), id_col="id", resample="1h")
    assert (long.offsets.tolist(), long.values.tolist()) == ([0, 3, 6], [[1.5, 3.5, 5.5, 8.5, 10.5, 12.5]])
    assert long.clock.show(long.time[[0, 3]]) == ["2024-01-01 01:00:00", "2022-01-01 00:00:00"]
    assert long.notes[1] == (
        "2 first or last steps left out, of which the lines cover a part: a 2024-01-01 00:00:00, a 2024-01-01 04:00:00"
    )


def test_an_empty_step_is_a_missing_value(put):
    path = put(table([*hours("2024", 3), *hours("2024-01-01 05:00", 3)], range(6), range(6), head="t,x,y"))
    refused(
        DataError,
        "a.csv, 2024-01-01 03:00:00: missing value, the first of 4 missing and 0 infinite",
        "column 'x'",
        paths=[path],
        resample="1h",
    )
    np.testing.assert_array_equal(read(path, resample="1h", nan="ffill").values[0], [0, 1, 2, 2, 2, 3, 4, 5])
    np.testing.assert_array_equal(read(path, resample="1h", nan="zero").values[1], [0, 1, 2, 0, 0, 3, 4, 5])


@pytest.mark.parametrize(("high", "low"), [("inf", "-inf"), ("1e300", "-3.4e38"), ("9.97e36", "-1e31")])
def test_infinite_values_are_left_out_of_means(put, high, low):
    long = read(put(table(hours("2024", 6, "30min"), [1, high, low, 3, 5, 6])), resample="1h")
    np.testing.assert_array_equal(long.values, [[1, 3, 5.5]])
    assert "2 infinite values left out" in long.notes[0]


@pytest.mark.parametrize("freq", "D 2D 6h h 24h W-MON MS QS-JAN B".split())
def test_means_over_steps_of_a_zone_are_even_steps_of_its_clock(put, freq):
    axis = berlin("2024-01-01", 300 * 24, "h")
    values = np.random.default_rng(4).integers(0, 100, len(axis))
    long = read(put(table(axis.tz_localize(None).astype(str), values)), tz="Europe/Berlin", resample=freq, nan="drop")
    assert long.clock == Clock(freq, "Europe/Berlin")
    np.testing.assert_array_equal(long.clock.extend(long.time[0], len(long.time) - 1), long.time[1:])
    assert long.clock.show(long.time[:1]) == ["2024-01-01 00:00:00+01:00"]
    means = pd.Series(values, axis).resample(long.clock.offset(), closed="left", label="left").mean()
    edges = [*means.index, means.index[-1] + long.clock.offset()]
    whole = len(means) - (axis[-1] < edges[-1] - pd.Timedelta("1h"))
    np.testing.assert_array_equal(long.time, means.index.as_unit("ns").asi8[:whole])
    which = np.searchsorted(long.time, axis.asi8, "right") - 1
    expected = [values[(which == step) & (axis < edges[step + 1])].mean() for step in range(whole)]
    np.testing.assert_allclose(long.values[0], expected, rtol=1e-6)


def test_rows_share_the_grid_of_their_steps(put):
    days = pd.date_range("2024-01-02", periods=9, freq="D").astype(str)
    later = pd.date_range("2024-01-15", periods=11, freq="D").astype(str)
    paths = put(table(days), "a.csv"), put(table(later), "b.csv")
    long = read(*paths, resample="3D")
    # The first two days of b.csv are the rest of a step.
    expected = ["2024-01-02", "2024-01-05", "2024-01-08", "2024-01-17", "2024-01-20", "2024-01-23"]
    assert long.clock.show(long.time) == expected
    np.testing.assert_array_equal(long.values, [[1, 4, 7, 3, 6, 9]])


def test_steps_far_too_short(put):
    refused(
        DataError,
        "--resample: 360,001 steps of 1s for 101 lines of row 'a'",
        paths=[put(table(hours("2024", 101)))],
        resample="1s",
    )


# ---- the known future


FUTURE = [("1", "10"), ("2", "11"), ("3", "12"), ("", "13"), ("", "14")]


def test_lines_of_the_future_are_cut_off(put):
    path = put(table(hours("2024", 5), *zip(*FUTURE, strict=True), head="t,x,plan"))
    long = read(path, known=["plan"])
    np.testing.assert_array_equal(long.values, [[1, 2, 3], [10, 11, 12]])
    np.testing.assert_array_equal(long.after, [[[13, 14]]])
    assert long.after.dtype == np.float32 and len(long.time) == 3
    assert long.clock.show(long.clock.extend(long.time[-1], 2)) == ["2024-01-01 03:00:00", "2024-01-01 04:00:00"]
    refused(DataError, "a.csv:5:2: missing value, the first of 2 missing", "'x'", paths=[path])


def test_rows_with_futures_of_different_length(put):
    lines = []
    for name, past, ahead in (("a", 4, 2), ("b", 3, 0), ("c", 3, 3)):
        for k, time in enumerate(hours("2024", past + ahead)):
            lines.append((time, name, k if k < past else "", 10 + k, "" if k == past + 1 else 20 + k))
    long = read(put(table(*zip(*lines, strict=True), head="t,id,x,p,q")), id_col="id", known=["q", "p"], nan="drop")
    assert long.offsets.tolist() == [0, 4, 7, 10] and long.after.shape == (2, 3, 3)
    np.testing.assert_array_equal(long.after[1], [[14, 15, NAN], [NAN] * 3, [13, 14, 15]])
    np.testing.assert_array_equal(long.after[0], [[24, NAN, NAN], [NAN] * 3, [23, NAN, 25]])


def test_infinite_values_ahead_are_not_given(put):
    path = put(table(hours("2024", 5), [1, 2, 3, "", ""], [1, 2, 3, "inf", 5], head="t,x,p"))
    np.testing.assert_array_equal(read(path, known=["p"]).after, [[[NAN, 5]]])


def test_a_known_column_without_a_future(put):
    long = read(put(table(hours("2024", 3), range(3), range(3), head="t,x,p")), known=["p"])
    assert long.after.shape == (1, 1, 0) and long.values.shape == (2, 3)


def test_last_lines_without_anything_known_are_gaps(put):
    path = put(table(hours("2024", 4), [1, 2, 3, ""], [1, 2, 3, ""], head="t,x,p"))
    refused(DataError, "a.csv:5:2: missing value", paths=[path], known=["p"])
    path = put(table(hours("2024", 5), [1, 2, 3, "", ""], [1, 2, 3, "", 5], head="t,x,p"))
    refused(DataError, "a.csv:5:2: missing value", paths=[path], known=["p"])


def test_a_row_of_nothing_but_future(put):
    path = put(table(hours("2024", 4), ["", "", "", ""], [1, 2, 3, 4], head="t,x,p"))
    refused(DataError, "row 'a' has no line before the future ones", paths=[path], columns=["x", "p"], known=["p"])


def test_the_future_of_means(put):
    path = put(table(hours("2024", 8, "30min"), [1, 2, 3, 4, "", "", "", ""], range(8), head="t,x,p"))
    with pytest.raises(DataError, match="fewer than 3"):
        read(path, known=["p"], resample="2h")
    long = read(path, known=["p"], resample="1h")
    np.testing.assert_array_equal(long.values, [[1.5, 3.5], [0.5, 2.5]])
    np.testing.assert_array_equal(long.after, [[[4.5, 6.5]]])


# ---- missing values

GAPS = [(1, "", 3), ("", "NA", 5), ("inf", 2, ""), (4, "null", "-inf")]


def test_a_gap_is_located_in_the_columns_of_its_file(put):
    first = put(table(hours("2024", 3), range(3), range(3), head="t,x,y"), "a.csv")
    second = put(table([1, "", 3], [4, 5, 6], hours("2024", 3), head="y,x,t"), "b.csv")
    refused(DataError, "b.csv:3:1: missing value", "in column 'y'", paths=[first, second])


def test_missing_values_are_an_error_by_default(put):
    path = put(table(hours("2024", 4), *zip(*GAPS, strict=True), head="t,x,y,z"))
    message = refused(
        DataError, "a.csv:2:3: missing value, the first of 5 missing and 2 infinite values, in column 'y'", paths=[path]
    )
    assert all(f"--nan {policy}" in message for policy in ("drop", "ffill", "zero"))
    refused(DataError, "a.csv:3:2: missing value", "1 missing and 1 infinite", "'x'", paths=[path], columns=["x"])
    refused(
        DataError,
        "a.csv:5:4: infinite value, the first of 0 missing and 1 infinite",
        paths=[put(table(hours("2024", 4), *[range(4)] * 2, [1, 2, 3, "inf"], head="t,x,y,z"))],
    )


@pytest.mark.parametrize("mark", ["1e300", "-3.4028235e38", "9.96921e36"])
def test_what_no_measurement_reaches_counts_as_infinite(put, mark):
    path = put(table(hours("2024", 5), [1, 2, mark, 4, 5]))
    what = f"value {float(mark):g}, which is larger than any measurement, the first of 0 missing and 1 infinite"
    refused(DataError, what, f"--na {float(mark):g} if it marks a missing value", "a.csv:4:2", paths=[path])
    if abs(float(mark)) < 1e38:  # which float32 holds, and the message shows as it is
        np.testing.assert_array_equal(read(path, na=[f"{float(mark):g}"], nan="ffill").values[0], [1, 2, 2, 4, 5])
    np.testing.assert_array_equal(read(path, nan="ffill").values[0], [1, 2, 2, 4, 5])


@pytest.mark.parametrize(
    ("policy", "expected", "note"),
    [
        ("drop", [[1, NAN, NAN, 4], [NAN, NAN, 2, NAN], [3, 5, NAN, NAN]], "left as gaps"),
        ("zero", [[1, 0, 0, 4], [0, 0, 2, 0], [3, 5, 0, 0]], "set to 0"),
        ("ffill", [[1, 1, 1, 4], [NAN, NAN, 2, 2], [3, 5, 5, 5]], "2 at the start of a row left as gaps"),
    ],
)
def test_missing_policies(put, policy, expected, note):
    whole = put(table(hours("2020", 3), *[[7, 8, 9]] * 3, head="t,x,y,z"), "whole.csv")
    gappy = put(table(hours("2024", 4), *zip(*GAPS, strict=True), head="t,x,y,z"))
    long = read(whole, gappy, nan=policy)
    np.testing.assert_array_equal(long.values, [[7, 8, 9, *row] for row in expected])
    known = [[1, 0, 0, 1], [0, 0, 1, 0], [1, 1, 0, 0]]  # what GAPS holds of x, y and z
    rows = zip(known, expected, strict=True)
    lost = [[False] * 3 + [not k and not np.isnan(v) for k, v in zip(*row, strict=True)] for row in rows]
    assert long.filled is None if policy == "drop" else long.filled.tolist() == lost
    (line,) = long.notes
    assert "5 missing and 2 infinite values in" in line and "a.csv" in line and "whole.csv" not in line and note in line


def test_a_gap_is_located_in_the_line_of_its_row(put):
    lines = [
        "2024-01-01 00:00:00,a,1",
        "2024-01-01 00:00:00,b,2",
        "2024-01-01 01:00:00,a,3",
        "2024-01-01 01:00:00,b,",
        "2024-01-01 02:00:00,a,5",
        "2024-01-01 02:00:00,b,6",
    ]
    refused(DataError, "a.csv:5:3: missing value", paths=[put("\n".join(["t,id,x", *lines]))], id_col="id")


# ---- real data


def test_ett(shared):
    path = shared / "ett/ETTh1.csv"
    long = read_long([path], time_col="date")
    frame = pd.read_csv(path, parse_dates=["date"])
    assert long.channels == tuple(frame.columns[1:]) and long.rows == ("ETTh1",)
    np.testing.assert_array_equal(long.values, frame.iloc[:, 1:].to_numpy(np.float32).T)
    np.testing.assert_array_equal(long.time, frame["date"].to_numpy("datetime64[ns]").astype(np.int64))
    assert long.clock == Clock("h") and long.clock.show(long.time[-1:]) == ["2018-06-26 19:00:00"]
    assert (long.sources[0].bytes, long.sources[0].shape) == (2_589_657, (17_420, 8))
    with path.open() as file:
        assert long.clock.show(long.time) == [row["date"] for row in csv.DictReader(file)]


METERS = [
    ("refit_house2/refit_house2_2015-01-04_2015-01-17_8s.csv.gz", "timestamp", Clock("8s", "UTC"), (5, 151_200)),
    pytest.param("tracebase_1hz/tracebase_8days_1hz.csv.gz", "time", Clock("s"), (8, 691_200), marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("name", "time_col", "clock", "shape"), METERS)
def test_meters(shared, name, time_col, clock, shape):
    long = read_long([shared / name], time_col=time_col)
    frame = pd.read_csv(shared / name)
    assert long.clock == clock and long.values.shape == shape
    assert long.channels == tuple(frame.columns[1:])
    np.testing.assert_array_equal(long.values, frame.iloc[:, 1:].to_numpy(np.float32).T)
    assert long.clock.show(long.time[[0, -1]]) == frame.iloc[[0, -1], 0].tolist()


def test_occupancy_parts(shared):
    path = shared / "occupancy_detection/long.csv"
    refused(
        DataError,
        "long.csv:3: a step of 59s, where the usual step is 1min",
        "--resample 1min",
        paths=[path],
        time_col="date",
        id_col="part",
        strict=True,
    )
    lines = read_long([path], time_col="date", id_col="part")  # some of which have the second before their minute
    frame = pd.read_csv(path)
    assert lines.clock.freq == "min" and lines.lengths.tolist() == frame.groupby("part", sort=False).size().tolist()
    np.testing.assert_array_equal(lines.values[lines.channels.index("Occupancy")], frame["Occupancy"])
    everything = list(pd.read_csv(path, nrows=1).columns[1:])
    refused(DataError, "long.csv:2:8: text 'datatest'", "'part'", paths=[path], time_col="date", columns=everything)
    long = read_long(
        [path], time_col="date", id_col="part", columns=["CO2", "Occupancy"], resample="10min", nan="ffill"
    )
    frame = pd.read_csv(path, parse_dates=["date"])
    assert list(long.rows) == list(frame["part"].unique())
    for row, (_, part) in enumerate(frame.groupby("part", sort=False)):
        part = part.set_index("date")[["CO2", "Occupancy"]]
        expected = part.resample("10min").mean().ffill()
        minute, first, last = pd.Timedelta("1min"), expected.index[0], expected.index[-1] + pd.Timedelta("10min")
        cut = slice(int(part.index[0] > first + minute), -1 if part.index[-1] < last - 1.5 * minute else None)
        expected = expected.iloc[cut]
        start, end = long.offsets[row : row + 2]
        np.testing.assert_allclose(long.values[:, start:end], expected.to_numpy().T, rtol=1e-6)


# ---- the house


def test_pandas_is_loaded_only_to_read():
    code = "import sys, readers.long, sources.datasets; print({'torch', 'pandas'} & set(sys.modules))"
    command = [sys.executable, "-c", code]
    assert subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip() == "set()"
