"""Files of strangers: readers/tidying.py, units.py and serials.py, as long tables and by the first look."""

from __future__ import annotations

import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from data import Series
from errors import DataError
from readers.dated import dated
from readers.dialect import AUTO, Dialect
from readers.long import read_long

from .runs import go

DAYS = [datetime.date(2024, 1, 1) + datetime.timedelta(days=k) for k in range(40)]
HOURS = [datetime.datetime(2024, 1, 13) + datetime.timedelta(hours=k) for k in range(60)]
VALUES = np.array([1000 + 7.25 * (k % 9) for k in range(60)])
MONTHS = "Januar Februar März April Mai Juni Juli August September Oktober November Dezember".split()


def comma(number: float) -> str:
    return f"{number:.2f}".replace(".", ",")


def table(head: str, cells, times=DAYS) -> str:
    return "\n".join([head, *(cells(time, VALUES[k]) for k, time in enumerate(times))]) + "\n"


def taken(path: Path, **more) -> Series:
    """The table as a command without any flag reads it."""
    found = dated(path, Dialect(AUTO, AUTO))
    assert found is not None
    ids = {"id_col": found.ids[0]} if found.ids else {}
    return read_long([path], time_col=found.time, sep=AUTO, decimal=AUTO, **ids, **more)


PLAIN = {
    "a separator ends each line": (table("date,y", "{},{},".format), ""),
    "decimal commas in quotes": (
        table("date,y", lambda t, v: f'{t},"{comma(v)}"'),
        "',' as the decimal mark, in quotes",
    ),
    "units below": (table("date,y\n,kW", "{},{}".format), "line 2 holds units and is left out: kW"),
    "units in brackets": (table("date,y\n[-],[m/s]", "{},{}".format), "line 2 holds units"),
    "formats below": (table("date,y\nYYYY-MM-DD,EUR", "{},{}".format), "line 2 holds units"),
    "a total": (
        table("date,y", "{},{}".format) + "Total,41000\n",
        "1 line without a time left out at the end: Total, ...",
    ),
    "a total of no name": (table("date,y", "{},{}".format) + ",41000\n", "1 line without a time left out"),
    "a source": (table("date,y", "{},{}".format) + "\nSource: 2 meters\n", "left out at the end: Source: 2 meters"),
    "empty lines of Excel": (table("date;y", "{};{}".format) + ";\n;\n", "2 lines without a time left out at the end"),
    "blank lines": (table("date,y", "{},{}\n".format), "39 blank lines left out"),
    "percent": (table("date,y", "{},{}%".format), "units beside the numbers left out: y in %"),
    "euros": (table("Datum;y", lambda t, v: f"{t:%d.%m.%Y};{comma(v)} €"), "y in €"),
    "dollars": (table("date,y", lambda t, v: f'{t},"${v:,.2f}"'), "y in $"),
    "a unit": (table("date,y", "{},{} kWh".format), "y in kWh"),
    "Excel's dates": (table("date,y", lambda t, v: f"{(t - datetime.date(1899, 12, 30)).days},{v}"), "Excel's days"),
    "German months": (table("Datum;y", lambda t, v: f"{t.day}. {MONTHS[t.month - 1]} {t.year};{comma(v)}"), ""),
    "days of the week": (table("date,y", lambda t, v: f"{t:%a} {t},{v}"), ""),
}


@pytest.mark.parametrize("kind", PLAIN)
def test_what_is_no_data_is_left_out_and_told(kind, put):
    text, note = PLAIN[kind]
    series = taken(put(text))
    assert series.channels == ("y",) and series.values.tolist() == [VALUES[:40].tolist()]
    assert series.clock.show(series.time[[0, -1]]) == ["2024-01-01", "2024-02-09"]
    assert note in "\n".join(series.notes)


def late(time: datetime.datetime) -> str:
    """The end of an hour, as a day of 24 of them has it."""
    end = time + datetime.timedelta(hours=1)
    return f"{time:%d.%m.%Y} 24:00" if end.hour == 0 else f"{end:%d.%m.%Y %H:%M}"


@pytest.mark.parametrize(
    ("write", "first"),
    [
        (lambda t: f"{t:%Y-%m-%d %H:%M} CET", "2024-01-13 00:00:00+01:00"),
        (lambda t: f"{t:%d.%m.%Y %H:%M} MESZ", "2024-01-13 00:00:00+02:00"),
        (lambda t: f"{t:%d/%m/%Y %H:%M} UTC", "2024-01-13 00:00:00+00:00"),
        (lambda t: f"{t:%d.%m.%Y %H:%M:%S} -05:30", "2024-01-13 00:00:00-05:30"),
        (late, "2024-01-13 01:00:00"),
        (lambda t: f"{t:%d.%m.%Y %H:%M} Uhr", "2024-01-13 00:00:00"),
        (lambda t: f"{t:%d.%m.%Y %H:%M} - {t + datetime.timedelta(hours=1):%H:%M}", "2024-01-13 00:00:00"),
        (lambda t: f"{t:%Y-%m-%d %H:%M} bis {t + datetime.timedelta(hours=1):%H:%M}", "2024-01-13 00:00:00"),
        (lambda t: f"{(t - datetime.datetime(1899, 12, 30)) / datetime.timedelta(days=1):.6f}", "2024-01-13 00:00:00"),
    ],
    ids=["CET", "MESZ", "UTC", "offset", "24:00", "Uhr", "from - to", "von bis", "serials"],
)
def test_times_with_zones_midnights_and_serials(write, first, put):
    series = taken(put(table("time,y", lambda t, v: f"{write(t)},{v}", HOURS)))
    assert series.clock.show(series.time[:1]) == [first] and (np.diff(series.time) == 3_600_000_000_000).all()


def test_names_that_come_twice_are_numbered_and_units_need_not_be_known(put):
    text = table("date,kWh,kWh,kWh_2\n,Mio. t,Stk,kWh", lambda t, v: f"{t},{v},{v + 1},{v + 2}")
    series = taken(put(text))
    assert series.channels == ("kWh", "kWh_3", "kWh_2") and series.values[1, 0] == VALUES[0] + 1


@pytest.mark.parametrize("form", ["({})", "{}-", "{} -", "{}\N{MINUS SIGN}"])
def test_numbers_in_brackets_or_before_a_minus_are_below_zero(put, form):
    series = taken(put(table("date,y", lambda t, v: f"{t},{form.format(v) if t.day % 2 else v}")))
    assert series.values[0, :2].tolist() == [-VALUES[0], VALUES[1]] and "below zero" in "".join(series.notes)


@pytest.mark.parametrize("lines", [3, 20, 39])  # the first of them is among the lines that are looked at for names
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_names_that_come_again_are_left_out(put, lines, end):
    """As where `cat` wrote one file behind another."""
    first, *others = table("date,y", "{},{}".format).splitlines()
    series = taken(put(end.join([first, *others[:lines], first, *others[lines:]]).encode()))
    assert series.values[0].tolist() == VALUES[:40].tolist()
    assert "the names come again in 1 line below, left out" in "".join(series.notes)


@pytest.mark.parametrize("odd", ["€3.5", "3.5"])
def test_a_column_of_mixed_units_is_refused_with_its_place(odd, put):
    text = table("date,y", lambda t, v: f"{t},{odd if t.day == 9 and t.month == 1 else f'${v}'}")
    with pytest.raises(DataError, match=r"where most cells of the column 'y' are in \$") as caught:
        taken(put(text))
    assert caught.value.where.endswith("a.csv:10:2")


@pytest.mark.parametrize("kind", ["a total", "a unit", "units below", "Excel's dates"])
def test_strict_takes_nothing(kind, put):
    path = put(PLAIN[kind][0])
    if kind == "Excel's dates":
        assert read_long([path], time_col="date", strict=True).clock is None
        return
    with pytest.raises(DataError, match=r"is not a date and time|where a number is expected|the time is missing"):
        read_long([path], time_col="date", strict=True)


def test_two_columns_of_ids_are_named_and_joined(put):
    lines = [f"{day},{shop},{item},{k}" for k, day in enumerate(DAYS) for shop in "AB" for item in (7, 8)]
    path = put("\n".join(["date,shop,item,y", *lines]) + "\n")
    done = go(path.parent, "--task forecast --csv a.csv")
    assert done.code == 0 and "'shop+item' taken as the column that names the series" in done.err
    series = taken(path)
    assert series.rows == ("A/7", "A/8", "B/7", "B/8") and series.channels == ("y",)


def test_engines_that_count_their_cycles_are_long(put):
    lines = [f"{unit},{cycle},{unit + cycle / 2},{cycle % 5}" for unit in (1, 2, 3) for cycle in range(1, 60 + unit)]
    path = put("\n".join(["unit,cycle,s1,s2", *lines]) + "\n")
    answer = go(path.parent, "--csv a.csv")
    assert (
        answer.code == 2
        and "--time-col cycle --id-col unit" in answer.out
        and "3 series of 60 to 62 steps" in answer.out
    )
    assert taken(path).lengths.tolist() == [60, 61, 62]


def test_a_wide_table_warns_of_its_total_and_names_a_unit(put):
    """The row may be one of the series, so it stays; a hint does not call a price a missing value."""
    rows = [f"p{k},{','.join(str((k + j) % 9) for j in range(20))}" for k in range(12)]
    head = "part," + ",".join(f"w{k}" for k in range(20))
    path = put("\n".join([head, *rows, "Total," + ",".join(["48"] * 20)]) + "\n")
    line = "--task regress --csv a.csv --context-len 4 --backbone ridge --dry-run"
    done = go(path.parent, line)
    assert done.code == 0 and "row 'Total' may be a sum of the others" in done.err, done.err
    put("\n".join([head, *[row.replace(",", ",$") for row in rows]]) + "\n")
    done = go(path.parent, line)
    assert done.code == 3 and "a.csv:2:2" in done.err and "--na" not in done.err


def test_a_column_that_only_a_later_file_has_is_told(put):
    first = put(table("date,y", "{},{}".format))
    more = put(table("date,wind,y", "{},5,{}".format), "b.csv")
    series = read_long([first, more], time_col="date")
    assert series.channels == ("y",) and series.n_rows == 2
    assert "left out, since the first file has no such column: wind" in "".join(series.notes)
    assert "left out" not in "".join(read_long([more, first], time_col="date", columns=["y"]).notes)


def test_a_column_that_numbers_the_lines_is_no_channel(put):
    text = "\n".join(["Nr.,date,y", *[f"{k + 1},{day},{VALUES[k]}" for k, day in enumerate(DAYS)]]) + "\n"
    series = taken(put(text))
    assert series.channels == ("y",) and "'Nr.' numbers the lines" in "".join(series.notes)
    assert read_long([put(text)], time_col="date", columns=["y", "Nr."]).channels == ("y", "Nr.")


def test_numbers_behind_which_letters_of_all_kinds_stand_are_codes(put):
    """Hectares of a park, 1A to 9I: what some letters are called as units of is no reason to refuse the table."""
    lines = [f"{day},{k % 9 + 1}{'ABCFHKVW'[k % 8]},{k}.5" for k, day in enumerate(DAYS)]
    series = read_long([put("\n".join(["date,field,y", *lines]))], time_col="date")
    assert series.channels == ("y",) and "left out, since it holds text: 'field'" in "".join(series.notes)


def test_a_first_line_without_values_is_no_line_of_units(tmp_path):
    lines = [
        "time,angle,aoi",
        *(f"2024-01-01 {h:02d}:30:00-03:00,{'' if h < 5 else h},{'' if h < 5 else -h}" for h in range(24)),
    ]
    (tmp_path / "t.csv").write_text("\n".join(lines) + "\n")
    series = read_long([tmp_path / "t.csv"], time_col="time", nan="zero")
    assert series.values.shape == (2, 24) and (series.values[0, :5] == 0).all()
    series = read_long([tmp_path / "t.csv"], time_col="time", nan="drop")  # which begins with its first value
    assert series.values.shape == (2, 19) and "5 lines without a value" in " ".join(series.notes)


def test_money_in_cells_that_hold_marks_of_thousands_is_one_error(tmp_path):
    lines = ["day,sales", *(f'2024-01-{d:02d},"$1,{d:03d}.50"' for d in range(1, 29))]
    (tmp_path / "t.csv").write_text("\n".join(lines) + "\n")
    with pytest.raises(DataError, match="where a number is expected"):
        read_long([tmp_path / "t.csv"], time_col="day", thousands="none")


def test_thousands_in_quotes_between_commas_below_what_google_analytics_writes(put, tmp_path):
    head = "# ----------------\n# Audience Overview\n# 20240101-20240209\n# ----------------\n\nDay Index,Users\n"
    lines = [f'{day.month}/{day.day}/{day:%y},"{1000 + 7 * k:,}"' for k, day in enumerate(DAYS)]
    put(head + "\n".join([*lines, ',"45,460"']) + "\n")
    answer = go(tmp_path, "--csv a.csv")
    assert "1 series of 40 steps, 1 column (Users)" in answer.out and "',' between thousands" in answer.out
    series = taken(tmp_path / "a.csv")
    assert series.values[0].tolist() == [1000 + 7 * k for k in range(40)]
    put("day;Users\n" + "\n".join(lines).replace(",", ";", 0).replace(',"', ';"'), "b.csv")  # one may be a decimal
    assert "thousands" not in go(tmp_path, "--csv b.csv").out


@pytest.mark.parametrize("alike", [False, True])
def test_lines_of_one_time_are_averaged_where_nothing_says_whose_they_are(tmp_path, alike):
    """A line for each kind of weather of an hour, which says the same or another number of cars."""
    times = [f"2024-01-{1 + k // 24:02d} {k % 24:02d}:00:00" for k in range(200)]
    kinds = {"rain": 0, "mist": 0 if alike else 1}
    lines = [
        f"{time},{kind},{k + kinds[kind]}"
        for k, time in enumerate(times)
        for kind in ["rain", "mist"][: 1 + (k % 9 == 4)]
    ]
    (tmp_path / "a.csv").write_text("\n".join(["time,weather,cars", *lines]) + "\n")
    answer = go(tmp_path, "--csv a.csv")
    assert "1 series of 200 steps, 1 column (cars)" in answer.out and ("--resample 1h" in answer.out) != alike
    assert ("22 lines of the same time as the line before averaged with it" in answer.out) != alike


def test_a_column_is_counted_as_in_the_file_where_lines_are_steps(tmp_path):
    lines = [f"{k % 9}.5,{k % 7}.25,{'x' if k == 50 else k / 4}" for k in range(100)]
    (tmp_path / "a.csv").write_text("\n".join(["acc_x,acc_y,acc_z", *lines]) + "\n")
    done = go(tmp_path, "--task forecast --csv a.csv --time-col line")
    assert "a.csv:52:3: text 'x'" in done.err
    (tmp_path / "b.csv").write_text("\n".join(["acc_x,,acc_z", *lines]).replace("x\n", "1\n") + "\n")
    assert "column 2 has no name and is left out" in go(tmp_path, "--csv b.csv --time-col line").out


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf16_without_a_mark(encoding, tmp_path):
    (tmp_path / "x.csv").write_bytes(table("date\ty", "{}\t{}".format).encode(encoding))
    series = taken(tmp_path / "x.csv")
    assert series.channels == ("y",) and np.allclose(series.values[0], VALUES[:40])


def test_zeros_behind_the_last_line_are_none_of_the_table(tmp_path):
    """A logger that lost its power has reserved more than it wrote."""
    (tmp_path / "x.csv").write_bytes(table("date,y", "{},{}".format).encode() + bytes(700))
    assert np.allclose(taken(tmp_path / "x.csv").values[0], VALUES[:40])


def test_names_of_all_columns_but_the_first_of_dates(put):
    series = taken(put(table("y,z", "{},{},3".format)))
    assert series.channels == ("y", "z") and np.allclose(series.values, [VALUES[:40], [3] * 40])
    assert np.array_equal(series.times(0), np.array(DAYS, "datetime64[ns]").astype(np.int64))


def test_a_last_line_that_ends_early_is_left_out(put):
    """As a logger leaves it that is still writing."""
    series = taken(put(table("date,y,z", "{},{},3".format) + "2024-02-10,10"))
    assert series.channels == ("y", "z") and np.allclose(series.values, [VALUES[:40], [3] * 40])
    assert any(note.endswith("the last line ends early and is left out: 2024-02-10,10") for note in series.notes)
    amid = put(table("date,y,z", lambda day, value: f"{day},{value}" + ",3" * (day != DAYS[20])))
    with pytest.raises(DataError, match="row has 2 fields, expected 3"):
        read_long([amid], time_col="date")


def test_two_files_in_one_with_their_byte_order_marks(put):
    text = table("date,y", "{},{}".format).encode()
    mark = b"\xef\xbb\xbf"
    more = table("date,y", "{},{}".format, [DAYS[-1] + datetime.timedelta(days=k + 1) for k in range(20)]).encode()
    path = put("")
    path.write_bytes(mark + text + mark + more)
    series = taken(path)
    assert np.allclose(series.values[0], [*VALUES[:40], *VALUES[:20]])
    assert any("the names come again in 1 line" in note for note in series.notes)


@pytest.mark.parametrize(
    ("cells", "values", "told"),
    [
        (
            ["($251.19)", "$1.50", "$(3)", "$ (0.5)", "-$4"],
            [-251.19, 1.5, -3, -0.5, -4],
            "in $ ('$ (0.5)' as -$0.5, ...)",
        ),
        (["$-", " $ -   ", "$2.50"], [0, 0, 2.5], "y in $ ("),
        (["%-1.5", "%20", "%0.25"], [-1.5, 20, 0.25], "y in %"),
        (["20℃", "-3℃"], [20, -3], "y in ℃"),
        (["42%", "*", "-", "7%"], [42, None, None, 7], "'*', '-' in 20 lines taken as missing"),
    ],
)
def test_accounts_percents_and_marks_among_numbers_with_a_unit(put, cells, values, told):
    days = [f"{day:%Y-%m-%d}" for day in pd.date_range("2024-01-01", periods=10 * len(cells))]
    path = put("\n".join(["day;y", *(f"{day};{cells[k % len(cells)]}" for k, day in enumerate(days))]))
    assert dated(path, Dialect(AUTO, AUTO)).time == "day"
    series = read_long([path], time_col="day", sep=";", nan="drop")
    wanted = np.array([np.nan if value is None else value for value in values], np.float32)
    np.testing.assert_array_equal(series.values[0], np.tile(wanted, 10))
    assert told in " ".join(series.notes)
