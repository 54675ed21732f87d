"""readers/described.py: words beside a wide table's steps, three lines of names; digits of dates, empty columns."""

from __future__ import annotations

import datetime

import numpy as np
import pandas as pd
import pytest

from errors import DataError
from readers.categories import Asked
from readers.dated import dated
from readers.described import described
from readers.dialect import AUTO, Dialect
from readers.long import read_long
from readers.wide import read_wide

from .runs import go

YEARS = [str(1960 + k) for k in range(30)]
LANDS = {"Aruba": "ABW", "Bonaire, island": "BES", "Chile": "CHL"}


def quoted(cells):
    return ",".join(f'"{cell}"' for cell in cells) + ","


def test_a_table_of_an_office_below_what_stands_above_it(put):
    """Four lines above, four columns of words, a separator at the end of each line: as one downloads them."""
    above = ['"Data Source","Indicators",', "", '"Last Updated Date","2024-01-01",', ""]
    names = ["Country Name", "Country Code", "Indicator Name", "Indicator Code", *YEARS]
    rows = [
        [land, code, "Population", "SP.POP", *range(100 * at, 100 * at + 30)]
        for at, (land, code) in enumerate(LANDS.items())
    ]
    path = put("\n".join([*above, quoted(names), *map(quoted, rows)]) + "\n")
    found = read_wide([path], sep=AUTO, decimal=AUTO)
    assert found.rows == tuple(LANDS) and found.values[0].tolist() == [
        100 * at + k for at in range(3) for k in range(30)
    ]
    told = " ".join(found.notes)
    assert (
        "rows are named by 'Country Name', and 'Country Code', 'Indicator Name', 'Indicator Code' are no steps" in told
    )
    assert "4 lines above the names left out" in told


def test_names_that_only_together_tell_rows_apart(put):
    days = [f"{k + 1}/22/20" for k in range(9)]
    places = [("", "Austria", 47.5), ("Hubei", "China", 30.9), ("Anhui", "China", 31.8)]
    rows = [f"{a},{b},{c}," + ",".join(str(9 * at + k) for k in range(9)) for at, (a, b, c) in enumerate(places)]
    found = read_wide([put("\n".join(["Province/State,Country/Region,Lat," + ",".join(days), *rows]))])
    assert found.rows == ("Austria", "Hubei/China", "Anhui/China")
    assert found.values[0].tolist() == list(range(27)) and "'Lat' is no step" in found.notes[0]


@pytest.mark.parametrize(
    ("first", "second", "channels"),
    [
        ("Price,Close,Open", "Ticker,ABC,ABC", ("Close", "Open")),
        ("Price,Close,Close", "Ticker,ABC,XYZ", ("ABC", "XYZ")),
        ("Price,Close,Open,Close,Open", "Ticker,ABC,ABC,XYZ,XYZ", ("Close ABC", "Open ABC", "Close XYZ", "Open XYZ")),
    ],
)
def test_three_lines_of_names(tmp_path, first, second, channels):
    """As pandas writes a frame with two levels of columns: compared with what it writes."""
    levels = [line.split(",") for line in (first, second)]
    columns = pd.MultiIndex.from_arrays([level[1:] for level in levels], names=[level[0] for level in levels])
    days = pd.date_range("2024-01-01", periods=30, name="Date")
    frame = pd.DataFrame(np.arange(30 * len(columns)).reshape(30, -1) + 0.5, days, columns)
    frame.to_csv(tmp_path / "a.csv")
    found = read_long([tmp_path / "a.csv"], time_col="Date")
    assert found.channels == channels and "three lines of names are taken as one" in found.notes[0]
    np.testing.assert_array_equal(found.values, frame.to_numpy().T)


def test_a_wide_table_takes_what_stands_among_its_numbers_and_tells_it(put):
    path = put("id,2001,2002,2003,2004\na,1,2,3,4.5 p\nb,:,6,7,8\nc,9,<10,11,12*\n")
    found = read_wide([path], nan="drop")
    np.testing.assert_array_equal(found.values[0], [1, 2, 3, 4.5, np.nan, 6, 7, 8, 9, 10, 11, 12])
    told = " ".join(found.notes)
    for words in ("'4.5 p', '12*' in 2 cells taken without the note", "':' in 1 cell taken as missing"):
        assert words in told
    with pytest.raises(DataError, match=r"a.csv:2:5: text '4.5 p'"):
        read_wide([path], strict=True)


# ---- times in digits


@pytest.mark.parametrize("form", ["%Y%m%d%H", "%Y%m%d%H%M", "%Y%m%d%H%M%S"])
@pytest.mark.parametrize("freq", ["h", "3h"])
def test_digits_of_dates_and_times(put, form, freq):
    times = pd.date_range("2022-01-30", periods=60, freq=freq)
    found = read_long([put("\n".join(["t,x", *(f"{time:{form}},1" for time in times)]))], time_col="t")
    assert found.time.tolist() == times.as_unit("ns").asi8.tolist() and "digits of a date and time" in found.notes[0]


@pytest.mark.parametrize(("unit", "name"), [(1, "nanoseconds"), (10**3, "microseconds"), (10**6, "milliseconds")])
def test_parts_of_seconds_since_1970(put, unit, name):
    times = pd.date_range("2022-01-30", periods=60, freq="250ms").as_unit("ns")
    found = read_long([put("\n".join(["t,x", *(f"{time.value // unit},1" for time in times)]))], time_col="t")
    assert found.time.tolist() == times.asi8.tolist() and f"times read as {name} since 1970, in UTC" in found.notes[0]


def test_seconds_that_look_like_digits_of_a_date_stay_seconds(put):
    """2022010100 seconds are in 2034; an hour above 24 shows it. With few lines nothing does, and that is an error."""
    seconds = [2_022_010_100 + k for k in range(60)]
    found = read_long([put("\n".join(["t,x", *(f"{second},1" for second in seconds)]))], time_col="t")
    assert found.time.tolist() == [second * 10**9 for second in seconds]
    with pytest.raises(DataError, match="could be seconds since 1970, or a date with its hour"):
        read_long([put("\n".join(["t,x", *(f"{second},1" for second in seconds[:9])]))], time_col="t")


# ---- columns


def test_a_column_without_a_value_is_left_out_and_told(put):
    text = "\n".join(["t,x,gone,y", *(f"2024-01-{k + 1:02d},{k},,{2 * k}" for k in range(30))])
    found = read_long([put(text)], time_col="t")
    assert found.channels == ("x", "y") and "left out, since without a value: gone" in found.notes[0]
    with pytest.raises(DataError, match="missing value"):
        read_long([put(text)], time_col="t", columns=["x", "gone"])


@pytest.mark.parametrize(
    ("lines", "time", "ids"),
    [
        (lambda k, t: f"{t:%d/%m/%Y};{t:%H.%M.%S};{k}", "Date+Time", ()),
        (lambda k, t: f"{t:%d/%m/%y};{t:%I:%M%p};{k}", "Date+Time", ()),
        (lambda k, t: f"{t:%d/%m/%Y};{t.hour + 1};{k}", "Date+Time", ()),
    ],
)
def test_times_of_day_beside_dates(put, lines, time, ids):
    """A time of day is never taken for what names the series."""
    times = pd.date_range("2024-01-25", periods=200, freq="h")
    text = "\n".join(["Date;Time;x", *(lines(k, t) for k, t in enumerate(times))])
    found = dated(put(text), Dialect(AUTO, AUTO))
    assert found is not None and (found.time, found.ids) == (time, ids)
    read = read_long([put(text)], time_col=time, sep=AUTO, decimal=AUTO)
    assert np.diff(read.time).tolist() == [3600 * 10**9] * 199


def test_a_code_beside_each_name_is_no_other_series(put):
    rows = [
        f"{land},{code},{year},{len(land)}" for land, code in (("Aruba", "ABW"), ("Chile", "CHL")) for year in YEARS
    ]
    found = dated(put("\n".join(["entity,code,year,x", *rows])), Dialect(AUTO, AUTO))
    assert found is not None and (found.time, found.ids) == ("year", ("entity",))


@pytest.mark.parametrize(
    ("rows", "time"),
    [
        ([f"{1990 + k // 12};{k % 12 + 1:02d};{k}.5;{k % 7}" for k in range(60)], "1+2"),
        ([f"{1990 + k // 336} {k // 28 % 12 + 1} {k % 28 + 1} {k}.5" for k in range(90)], "1+2+3"),
        ([f"{1990 + k} " + " ".join(f"{12 * k + m}.5" for m in range(12)) for k in range(20)], "1+months"),
    ],
)
def test_years_and_months_without_names(put, rows, time):
    path = put("# a comment\n" + "\n".join(rows) + "\n")
    found = dated(path, Dialect(AUTO, AUTO))
    assert found is not None and found.time == time
    if time != "1+2+3":  # its months have 28 days
        read = read_long([path], time_col=time, sep=AUTO, decimal=AUTO)
        assert read.clock.freq == "MS" and read.time[0] == pd.Timestamp("1990-01-01").value
        at = read.channels.index("3" if time == "1+2" else "value")
        assert read.values[at].tolist() == [k + 0.5 for k in range(read.lengths[0])]


def test_words_before_steps_that_count(put):
    """As a shop lays out its sales: an id, its parts, and a column for each day."""
    rows = [f"HOBBIES_{k}_CA,HOBBIES,CA," + ",".join(str(25 * k + day) for day in range(25)) for k in range(4)]
    names = "id,cat_id,state_id," + ",".join(f"d_{day + 1}" for day in range(25))
    found = read_wide([put("\n".join([names, *rows]))])
    assert found.rows == tuple(f"HOBBIES_{k}_CA" for k in range(4))
    assert found.values[0].tolist() == list(range(100))
    assert "'cat_id', 'state_id' are no steps" in found.notes[0]


@pytest.mark.parametrize("steps", [["2022M12", "2022M11", "2022M10", "2022M09"], ["2022", "2021", "2020", "2019"]])
def test_columns_that_come_newest_first_are_turned_round(put, steps):
    path = put("\n".join(["geo," + ",".join(steps), "A,4,3,2,1", "B,8,7,6,5", "C,12,11,10,9"]))
    found = read_wide([path])
    assert found.values[0].tolist() == list(range(1, 13))
    assert any(
        f"columns are newest first ({steps[0]}, {steps[1]}, ...), and were turned" in note for note in found.notes
    )
    missing = put("\n".join(["geo," + ",".join(steps), "A,4,3,2,1", "B,8,,6,5"]), "missing.csv")
    with pytest.raises(DataError, match=r":3:3: missing value"):
        read_wide([missing])
    words = put("\n".join(["geo," + ",".join(steps), "A,d,c,b,a", "B,d,c,b,a", "C,d,c,b,a"]), "word.csv")
    coded = read_wide([path, words], categorical=["word"])
    assert [coded.words[0][int(code)] for code in coded.values[1][:4]] == ["a", "b", "c", "d"]


# ---- names of all columns but the first


@pytest.mark.parametrize("ids", [[str(k) for k in range(140, 170)], [f"r{k}" for k in range(30)]])
def test_the_names_of_lines_have_none_themselves(put, ids):
    """As write.table of R writes: the first line has a cell less than the others."""
    days = pd.date_range("2024-01-01", periods=30)
    lines = [f'"{name}","{day:%Y-%m-%d}",{k}.5,{k * k}' for k, (name, day) in enumerate(zip(ids, days, strict=True))]
    path = put("\n".join(['"date","load","wind"', *lines]))
    assert dated(path, Dialect(AUTO, AUTO)).time == "date"
    found = read_long([path], time_col="date")
    assert found.channels == ("load", "wind") and found.values[1].tolist() == [k * k for k in range(30)]
    assert "the 3 names are those of all columns but the first" in " ".join(found.notes)


@pytest.mark.parametrize("text", ["a,b\n1,2\n3,4\n5,6\n7,8\n", "1,2\n1,2,3\n", "a,b\n5,2,1\n3,4,1\n9,2,2\n1,1,1\n"])
def test_other_tables_get_no_name_more(put, text):
    from readers.files import first_lines

    assert first_lines(put(text)) == (text.splitlines(), ())


def test_exports_with_a_name_more_than_columns_lose_the_last_name(put):
    """As exports of prices have it: the name of the zone stands behind those of the three columns."""
    hours = [f'"{k:02d}.01.2020 00:00 - {k + 1:02d}.01.2020 00:00","{k}.5","EUR"' for k in range(1, 29)]
    path = put('"MTU (CET/CEST)","Price [EUR/MWh]","Currency","BZN|FI"\n' + "\n".join(hours) + "\n")
    found = read_long([path], time_col="MTU (CET/CEST)", sep=AUTO, decimal=AUTO)
    assert found.channels == ("Price [EUR/MWh]",) and found.values[0].tolist() == [k + 0.5 for k in range(1, 29)]
    assert "'BZN|FI', the last of the names, has no column and is left out" in " ".join(found.notes)


@pytest.mark.parametrize(
    ("form", "zone"),
    [
        ("{a:%d.%m.%Y %H:%M} - {b:%d.%m.%Y %H:%M} (CET/CEST)", ""),
        ("{a:%d/%m/%Y %H:%M:%S} - {b:%d/%m/%Y %H:%M:%S}", ""),
        ("{a:%d.%m.%Y %H:%M} - {b:%d.%m.%Y %H:%M} (UTC)", "UTC"),
        ("{a:%d/%m/%Y %H:%M:%S} (UTC)", "UTC"),
    ],
)
def test_times_from_to_with_a_zone_in_brackets(put, form, zone):
    times = pd.date_range("2020-01-10", periods=100, freq="h")
    lines = [f"{form.format(a=a, b=a + pd.Timedelta(hours=1))},{k}" for k, a in enumerate(times)]
    path = put("MTU,load\n" + "\n".join(lines) + "\n")
    assert dated(path, Dialect(AUTO, AUTO)).time == "MTU"
    found = read_long([path], time_col="MTU", sep=AUTO, decimal=AUTO)
    assert found.time.tolist() == times.as_unit("ns").asi8.tolist() and found.clock.tz == zone


def test_a_dash_is_missing_however_many_there_are_but_words_are_text(put):
    lines = [f"2024-01-{1 + k // 24:02d} {k % 24:02d}:00,{k},{k / 2 if k % 10 == 3 else '-'}" for k in range(60)]
    found = read_long([put("time,load,gust\n" + "\n".join(lines))], time_col="time", nan="drop")
    assert found.channels == ("load", "gust")
    assert np.flatnonzero(~np.isnan(found.values[1])).tolist() == [3, 13, 23, 33, 43, 53]
    with pytest.raises(DataError, match="text 'error'"):
        read_long([put("time,load,gust\n" + "\n".join(lines).replace("-\n", "error\n"))], time_col="time")


def test_a_column_of_ids_that_is_given_needs_no_proof(put):
    """One series alone at first, two in turn later on: a few lines do not show whose they are."""
    months = pd.period_range("1850-01", periods=1200, freq="M").astype(str)
    lines = [f"old,{m},{k}" for k, m in enumerate(months)]
    lines[600:] = [line for k, m in enumerate(months[600:], 600) for line in (f"old,{m},{k}", f"new,{m},{k + 5}")]
    path = put("Source,Year,Mean\n" + "\n".join(lines) + "\n")
    found = dated(path, Dialect(AUTO, AUTO), "Source")
    assert found is not None and found.time == "Year" and found.ids == ("Source",)
    with pytest.raises(DataError, match="occurs twice") as refused:
        read_long([path], time_col="Year", asked=Asked(free=True))
    assert "--id-col Source if that column says whose a line is" in refused.value.hint
    assert read_long([path], time_col="Year", id_col="Source").lengths.tolist() == [1200, 600]


@pytest.mark.parametrize("row_names", [True, False])
def test_what_r_writes_between_spaces_with_names_and_words_in_quotes(tmp_path, row_names):
    """write.table(x) and write.table(x, row.names = FALSE)."""
    body = [f'{k % 3 + 1} "{"LAYING" if k % 2 else "SITTING DOWN"}" {k / 8} {-k}' for k in range(40)]
    if row_names:
        body = [f'"{k}" {line}' for k, line in enumerate(body, 1)]
    (tmp_path / "r.txt").write_text("\n".join(['"subject" "activity" "acc.x" "angle(X,mean)"', *body]) + "\n")
    series = read_long([tmp_path / "r.txt"], time_col="line", sep=AUTO, decimal=AUTO, asked=Asked(free=True))
    want = [[k % 3 + 1 for k in range(40)], [k / 8 for k in range(40)], [-k for k in range(40)]]
    assert series.values.tolist() == want and series.channels == ("subject", "acc.x", "angle(X,mean)")
    assert series.text == ("activity",)


@pytest.mark.parametrize("marks", ["T,,", ""])
def test_a_line_of_types_below_the_names(put, marks):
    """As NuPIC writes them, with marks below; the names stay those of the first line."""
    lines = ["timestamp,load,count", "datetime,float,int", *([marks] if marks else [])]
    lines += [f"2024-01-{1 + k // 24:02d} {k % 24:02d}:00,{k}.5,{k % 3}" for k in range(60)]
    path = put("\n".join(lines) + "\n")
    assert dated(path, Dialect(AUTO, AUTO)).time == "timestamp"
    series = read_long([path], time_col="timestamp", sep=AUTO, decimal=AUTO)
    assert series.channels == ("load", "count") and series.values[0].tolist() == [k + 0.5 for k in range(60)]
    assert "the columns' types" in " ".join(series.notes)


def test_three_lines_of_names_of_which_the_first_is_empty(put):
    """As frames of two levels without names of their own are written, the prices of two stocks."""
    lines = [",Close,Close,Open,Open", ",A,B,A,B", "Date,,,,"]
    lines += [f"2024-01-{day:02d},{day},{day + 1},{day + 2},{day + 3}" for day in range(1, 29)]
    path = put("\n".join(lines) + "\n")
    assert dated(path, Dialect(AUTO, AUTO)).time == "Date"
    series = read_long([path], time_col="Date", sep=AUTO, decimal=AUTO)
    assert series.channels == ("Close A", "Close B", "Open A", "Open B")
    assert series.values[:, 0].tolist() == [1, 2, 3, 4] and series.values.shape == (4, 28)


def test_columns_of_flags_beside_the_years(put):
    """As the FAO writes them: a letter or two behind the year is the column of its flag or note."""
    names = ["Area Code", "Area", "Item", *(f"Y{year}{mark}" for year in range(1961, 1991) for mark in ("", "F", "N"))]
    places = [("2", "Chad", "Rice"), ("2", "Chad", "Wheat"), ("3", "Benin", "Rice")]
    cells = [[*place, *(f"{30 * at + k},E," for k in range(30))] for at, place in enumerate(places)]
    found = read_wide([put("\n".join(",".join(row) for row in [names, *cells]) + "\n")])
    assert found.rows == ("Chad/Rice", "Chad/Wheat", "Benin/Rice")
    assert found.values[0].tolist() == list(range(90))
    assert found.clock is not None and found.clock.freq == "YS-JAN"
    assert any("columns of flags left out: Y1961F, Y1961N, Y1962F" in note for note in found.notes)


@pytest.mark.parametrize(
    ("words", "rows", "named"),
    [
        (("code", "name"), [("7", "Ulm"), ("9", "Bonn")], ("Ulm", "Bonn")),
        (("", "land", "part"), [("1", "A", "x"), ("2", "A", "y")], ("x", "y")),
        (("a", "b"), [("1", "5"), ("2", "5")], ("1", "2")),
        (("code", "land", "item"), [("7", "A", "x"), ("7", "A", "y"), ("8", "B", "x")], ("A/x", "A/y", "B/x")),
    ],
)
def test_names_are_better_than_numbers(put, words, rows, named):
    steps = [f"{year}{month:02d}" for year in (2010, 2011) for month in range(1, 13)]
    lines = [",".join([*row, *map(str, range(24))]) for row in rows]
    assert read_wide([put("\n".join([",".join([*words, *steps]), *lines]) + "\n")]).rows == named


def test_steps_that_are_counted_behind_two_columns_of_words(put):
    lines = [",".join([f"S{k}", f"C{k % 2}", *map(str, range(k, k + 25))]) for k in range(3)]
    found = read_wide([put("\n".join([",".join(["shop", "city", *map(str, range(1, 26))]), *lines]) + "\n")])
    assert found.rows == ("S0", "S1", "S2") and found.view()[:, 0, 0].tolist() == [0, 1, 2] and found.clock is None


def test_one_long_line_without_an_end(put, tmp_path):
    """It ended in a traceback where it was longer than what is looked at."""
    path = put(",".join(f"{k % 97}.5" for k in range(20_000)))
    assert go(tmp_path, f"--mode train --task forecast --csv {path} --dry-run").code == 0
    assert read_wide([path]).values[0, 100] == np.float32(3.5)


def test_a_month_beside_its_hours_is_no_time(put, tmp_path):
    """The hint named the column of the month, with which no run began."""
    lines = [f"{6 + k // 90},{k % 24 + 1},{k % 7 + 1},{k % 24 / 10},{(k % 24) ** 2}" for k in range(180)]
    put("month,hour,day_type,temp,load\n" + "\n".join(lines), "b.csv")
    assert (
        "hint: --time-col line if each line is a step of time"
        in go(tmp_path, "--mode train --task forecast --csv b.csv --dry-run").err
    )
    assert go(tmp_path, "--mode train --task forecast --csv b.csv --dry-run --time-col line").code == 0


def test_a_second_table_with_its_annotations(put):
    """As InfluxDB exports: the annotations of the second table were the names of the first."""
    above = "#group,false,true,false\n#datatype,string,string,double\n#default,mean,,\n,_time,_field,_value\n"
    parts = [
        above + "".join(f",2024-01-01T{h:02d}:00:00Z,{field},{h + add}.5\n" for h in range(24))
        for add, field in ((0, "temp"), (50, "hum"))
    ]
    path = put("\n".join(parts))
    found = dated(path, Dialect(AUTO, AUTO))
    assert found.time == "_time" and found.ids == ("_field",)
    series = read_long([path], time_col="_time", id_col="_field")
    assert series.rows == ("temp", "hum") and series.values[0, [0, 23, 24, 47]].tolist() == [0.5, 23.5, 50.5, 73.5]


def test_names_of_lines_that_are_steps_below_facts_of_the_same_width(put):
    """As series are kept with what they are about above: the line of the names was known, and the first one read."""
    waves = np.sin(np.arange(60) / 5).round(3)
    facts = "Please,cite:\nwritten by,A. Person\nage_unit,ky BP\n###,###\nAge [ky BP],d18O\n"
    path = put(facts + "".join(f"{wave},{wave / 2:.4f}\n" for wave in waves))
    assert dated(path, Dialect(AUTO, AUTO)).time == "line"
    series = read_long([path], time_col="line")
    assert series.channels == ("Age [ky BP]", "d18O")
    np.testing.assert_allclose(series.values[0], waves, rtol=1e-6)


@pytest.mark.parametrize("label", ["kind", "first", "level"])
def test_a_label_among_the_columns_before_the_steps(put, label):
    """It is no step, and the label all the same, by its name or as the first column."""
    names = ["kind", "id", "level", *(f"t_{k}" for k in range(25))]
    rows = [["ab"[k % 2], f"r{k}", str(k / 4), *map(str, range(k, k + 25))] for k in range(8)]
    found = read_wide([put("\n".join(",".join(row) for row in [names, *rows]) + "\n")], label=label)
    assert found.rows == tuple(f"r{k}" for k in range(8)) and found.lengths.tolist() == [25] * 8
    assert found.values[0].tolist() == [k + step for k in range(8) for step in range(25)]
    expected = [k / 4 for k in range(8)] if label == "level" else [0, 1] * 4
    assert found.labels[:, 0].tolist() == expected
    assert found.label_words == (() if label == "level" else (("a", "b"),))


def test_a_number_beside_the_id_is_no_step(put):
    names = ["id", "age", *(f"t{k}" for k in range(20))]
    rows = [[str(k + 1), str(40 + k), *map(str, range(k, k + 20))] for k in range(4)]
    found = read_wide([put("\n".join(",".join(row) for row in [names, *rows]) + "\n")])
    assert found.rows == ("1", "2", "3", "4") and found.view()[2, 0].tolist() == list(range(2, 22))
    assert "rows are named by 'id', and 'age' is no step" in found.notes[0]


@pytest.mark.parametrize(
    ("names", "first"),
    [
        (["unit", "cycle", *(f"s{k}" for k in range(1, 22))], ["1", "{}"]),  # of engines: each line is a time
        (["stamp", "machine", *(f"ch_{k}" for k in range(1, 25))], ["2024-01-0{} 00:00:00", "M1"]),
        (["id", "temp", *(f"sensor_{k}" for k in range(1, 31))], ["{}", "20.5"]),  # things, and no steps
    ],
)
def test_lines_that_are_times_stay_lines(put, names, first):
    rows = [[cell.format(k) for cell in first] + [str(k)] * (len(names) - 2) for k in range(1, 9)]
    text = "\n".join(",".join(row) for row in [names, *rows]) + "\n"
    with put(text).open("rb") as file:
        assert described(file) is None


@pytest.mark.parametrize("first", [",temp,temp,flow,flow", ",temp,,flow,", "site,temp,temp,flow,flow"])
def test_two_lines_of_names_are_one(put, first):
    """The first was left out, and the names of the second numbered: mean, max, mean_2, max_2."""
    lines = [f"2024-01-{d:02d},{d}.5,{d + 1},{d * 2},{d * 3}" for d in range(1, 31)]
    path = put("\n".join([first, "time,mean,max,mean,max", *lines]))
    assert dated(path, Dialect(AUTO, AUTO)).time == "time"
    series = read_long([path], time_col="time")
    assert series.channels == ("temp mean", "temp max", "flow mean", "flow max")
    assert series.values[:, 4].tolist() == [5.5, 6, 10, 15]


def test_blank_cells_above_a_column_say_nothing_of_its_name(put):
    """As a sheet of a workbook is: facts above fill two columns, and the others were taken to begin there."""
    facts = [
        "Site,,,,,",
        "Country,NL,,,,",
        "Missing,-999,,,,",
        "Longitude,Latitude,Height,,,",
        "5.67,51.97,7,,,",
        "Data,,,,,",
    ]
    names = ["DAY,IRRAD,TMIN,VAP,RAIN,SNOW", "date,kJ/m2/day,Celsius,kPa,mm,cm"]
    lines = [f"2004-01-{d:02d},{d}00,{d}.5,0.{d:02d},{d},1.{d}" for d in range(1, 29)]
    path = put("\n".join([*facts, *names, *lines]))
    assert dated(path, Dialect(AUTO, AUTO)).time == "DAY"
    series = read_long([path], time_col="DAY")
    assert series.channels == ("IRRAD", "TMIN", "VAP", "RAIN", "SNOW") and series.values[1, :2].tolist() == [1.5, 2.5]


def test_two_levels_of_names_over_an_index_without_a_name(tmp_path):
    """As NILMTK writes a meter: the second level is empty where there is none, and so is the line of the index."""
    body = "".join(f"2012-01-01 00:00:{k:02d},{k},{2 * k},{k % 7}\n" for k in range(60))
    head = "physical_quantity,power,power,voltage\ntype,active,reactive,\n,,,\n"
    (tmp_path / "x.csv").write_text(head + body)
    series = read_long([tmp_path / "x.csv"], time_col="time")
    assert series.channels == ("power active", "power reactive", "voltage")
    assert np.array_equal(series.values[1], 2.0 * np.arange(60))


def test_facts_and_a_beginning_before_counted_steps_name_rows(tmp_path):
    """As the M3 competition has them: name, count, horizon, category, first year and month, and the values."""
    rows = [f"N{k},{24 + k},6,MICRO,1990,1," + ",".join(str(100 * k + t) for t in range(24 + k)) for k in range(1, 4)]
    rows = [row + "," * (27 - row.count(",") + 5) for row in rows]
    head = "Series,N,NF,Category,Starting Year,Starting Month," + ",".join(map(str, range(1, 28)))
    (tmp_path / "x.csv").write_text("\n".join([head, *rows]) + "\n")
    found = read_wide([tmp_path / "x.csv"])
    assert found.rows == ("N1", "N2", "N3") and np.diff(found.offsets).tolist() == [25, 26, 27]
    assert found.values[0, 25:28].tolist() == [200.0, 201.0, 202.0]


def test_a_workbook_is_laid_out_as_a_csv(tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.active.append(["Province", "Country", "Lat", *[datetime.date(2020, 1, 1 + k) for k in range(20)]])
    for k in range(4):
        book.active.append([None, f"land {k}", 1.5 * k, *[10 * k + t for t in range(20)]])
    book.save(tmp_path / "x.xlsx")
    found = read_wide([tmp_path / "x.xlsx"])
    assert found.rows == tuple(f"land {k}" for k in range(4)) and found.values[0, 20:23].tolist() == [10.0, 11.0, 12.0]


def test_lines_of_letters_that_mark_the_values_above_them_are_no_series(tmp_path):
    """As INSEE writes them: a line of codes below each series."""
    head = ["Libell\u00e9", "idBank", "P\u00e9riode", *(f"{2010 + k // 12}-{1 + k % 12:02d}" for k in range(24))]
    rows = [[f"Indice {n}", f"00{n}", "", *(f"{n}{k % 12}.5" for k in range(24))] for n in range(1, 4)]
    codes = [["Codes", "", "", *("A" * (k < 20) + "P" * (k >= 20) for k in range(24))] for _ in rows]
    lines = [head, *(line for pair in zip(rows, codes, strict=True) for line in pair)]
    text = "\n".join(";".join(f'"{cell}"' for cell in line) for line in lines)
    (tmp_path / "i.csv").write_text(text + "\n")
    done = go(tmp_path, "--task forecast --csv i.csv --horizon 2 --dry-run")
    assert done.code == 0 and "read: 3 rows of 24 steps" in done.err
    assert "3 lines of letters that mark the values left out: Codes, Codes, Codes" in done.err


def test_a_column_of_which_most_numbers_have_a_note_is_one_of_numbers(put):
    """As the Met Office writes hours of sun: --- at first, and # behind what another sensor measured."""
    lines = [
        f"{1990 + k // 12}-{1 + k % 12:02d},{k}.5,{'---' if k < 9 else f'{k}.5#' if k > 20 else f'{k}.5'}"
        for k in range(60)
    ]
    series = read_long([put("\n".join(["date,rain,sun", *lines]) + "\n")], time_col="date", nan="drop")
    assert series.channels == ("rain", "sun")
    assert series.values[1, 9:].tolist() == [k + 0.5 for k in range(9, 60)] and np.isnan(series.values[1, :9]).all()
    assert "'---' in 9 lines taken as missing and '21.5#', '22.5#', ... in 39 lines taken without the note" in " ".join(
        series.notes
    )


@pytest.mark.parametrize("ids", [1, 2])
def test_words_behind_the_years_are_no_steps(put, ids):
    """A source and the day of the last change, which is the same in each line, stand behind the values."""
    years = range(1990, 2010)
    lands = [f"land {k}" for k in range(6)]
    rows = [
        [land, "kt"][:ids] + [f"{100 * k + year / 10:.1f}" for year in years] + ["UN", "2024-05-01"]
        for k, land in enumerate(lands)
    ]
    head = [*["Country", "Unit"][:ids], *map(str, years), "Source", "Last updated"]
    path = put("\n".join(",".join(row) for row in [head, *rows]) + "\n")
    assert dated(path, Dialect(AUTO, AUTO)) is None
    series = read_wide([path], index="yes")
    assert series.rows == tuple(lands) and (series.lengths == 20).all()
    assert np.allclose(series.view()[:, 0], [[100 * k + year / 10 for year in years] for k in range(6)])
    assert series.clock.show(series.times(0)[[0, -1]]) == ["1990-01-01", "2009-01-01"]
    assert any("'Source', 'Last updated' are no steps" in note for note in series.notes)
    for name in ("Source", "last"):  # the last of the columns by its place too
        labelled = read_wide([path], index="yes", label=name)
        assert labelled.view().shape == (6, 1, 20)
        assert labelled.label_words == ((("UN",) if name == "Source" else ("2024-05-01",)),)
