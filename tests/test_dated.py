"""readers/dated.py and commandline/taken.py: the columns of times and of ids, by what a few lines say."""

from __future__ import annotations

import datetime
import subprocess
import sys

import numpy as np
import pytest

import cli
from errors import DataError
from readers.dated import dated
from readers.dialect import AUTO, Dialect
from times.stamps import read_stamps

from .conftest import ROOT
from .runs import go, good

HOURS = [datetime.datetime(2024, 1, 28) + datetime.timedelta(hours=k) for k in range(200)]
LINE = "--task forecast --csv a.csv --horizon 3"


MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()


def table(head, cells):
    return "\n".join([head, *(cells(k, time) for k, time in enumerate(HOURS))]) + "\n"


ISO = table("date,y", lambda k, t: f"{t},{k % 7}")


@pytest.mark.parametrize(
    ("text", "time", "ids"),
    [
        (ISO, "date", ()),
        (table("y,when", lambda k, t: f"{k % 7},{t:%d.%m.%Y %H:%M}"), "when", ()),
        (table("when,y", lambda k, t: f"{t:%m/%d/%Y %I:%M %p},{k % 7}"), "when", ()),
        (table("when,y", lambda k, t: f"{t:%d-%b-%Y %H:%M},{k % 7}"), "when", ()),
        (table("time,y", lambda k, t: f"{t.year}-{t.month}-{t.day} {t.hour}:{k % 7}:{k % 9},{k % 7}"), "time", ()),
        (table("Date/Time,y", lambda k, t: f"{t:%d %m %Y %H:%M},{k % 7}"), "Date/Time", ()),
        (table("ts,y", lambda k, t: f"{1_700_000_000 + 3600 * k},{k % 7}"), "ts", ()),
        (table("timestamp,y", lambda k, t: f"{1_393_930_000 + 60 * k}.25,{k % 7}"), "timestamp", ()),
        (table("timestamp,y", lambda k, t: f"{1_700_000_000_000 + 3_600_000 * k},{k % 7}"), "timestamp", ()),
        (table("Datum;Uhrzeit;y", lambda k, t: f"{t:%d.%m.%Y;%H:%M};{k % 7},5"), "Datum+Uhrzeit", ()),
        (table("year,month,day,hour,y", lambda k, t: f"{t:%Y,%m,%d,%H},{k % 7}"), "year+month+day+hour", ()),
        (table(",date,y", lambda k, t: f"{k},{t},{k % 7}"), "date", ()),
        (table("# made by hand\ndate,y", lambda k, t: f"{t},{k % 7}"), "date", ()),
        (table("date,y,state", lambda k, t: f"{t},{k % 7},ok"), "date", ()),
        (table("date,store,y", lambda k, t: f"{HOURS[k // 2]},{'AB'[k % 2]},{k % 7}"), "date", ("store",)),
        (table("store,date,y", lambda k, t: f"{k // 100},{HOURS[k % 100]},{k % 7}"), "date", ("store",)),
        (table("date,y", lambda k, t: f"{HOURS[k * 37 % 200]},{k}"), "date", ()),  # in no order, each another time
        (ISO.split("\n", 1)[1], "1", ()),  # no names
        (table("year,month,y", lambda k, t: f"{1990 + k // 12},{k % 12 + 1},{k % 7}"), "year+month", ()),
        (table("y,year", lambda k, t: f"{k % 7},{1820 + k}"), "year", ()),
        (table("month,y", lambda k, t: f"{1990 + k // 12}{k % 12 + 1:02d},{k % 7}"), "month", ()),
        (table("period,y", lambda k, t: f"Q{k % 4 + 1} {1950 + k // 4},{k % 7}"), "period", ()),
        (table("month,y", lambda k, t: f"{MONTHS[k % 12]}-{(k // 12 + 60) % 100:02d},{k % 7}"), "month", ()),
        ("\n".join(["load", *map(str, range(50))]), "line", ()),
        (
            "\n".join([f"Year,{','.join(MONTHS)},Sum", *(f"{1990 + k}," + "1," * 12 + "9" for k in range(9))]),
            "Year+months",
            (),
        ),
    ],
)
def test_the_columns_of_times_and_of_ids(put, text, time, ids):
    found = dated(put(text), Dialect(AUTO, AUTO))
    assert found is not None and (found.time, found.ids, found.steps) == (time, ids, False)
    backwards = text.splitlines()
    if not ids and not text.startswith("#"):
        turned = dated(put("\n".join([backwards[0], *backwards[:0:-1]])), Dialect(AUTO, AUTO))
        assert turned is not None and turned.time == time


@pytest.mark.parametrize(
    "text",
    [
        "1,2,3\n4,5,6\n7,8,9\n1,2,3\n",
        "id,t0,t1\na,1,2\nb,3,4\nc,5,6\n",
        "date,y\n",
        "hello\n",
        table("y,when", lambda k, t: f"{k},{HOURS[k * 37 % 100]}"),  # in no order, and twice
        table("date,word", lambda k, t: f"{t},w"),  # no number
        table("day,y", lambda k, t: f"{t:%Y-%m-%d},{k}"),  # the same day again, and no series
    ],
)
def test_what_is_not_a_dated_table(put, text):
    assert dated(put(text), Dialect(AUTO, AUTO)) is None


def test_the_time_column_is_taken_and_told(put, monkeypatch):
    monkeypatch.chdir(put(ISO).parent)
    config = cli.parse([*LINE.split(), "--resample", "2h"])
    assert (config.mode, config.time_col) == ("train", "date")
    assert [note for note in config.notes if "'date' taken as the time column" in note]
    assert cli.parse([*LINE.split(), "--time-col", "y"]).notes == ()


def test_a_table_whose_columns_are_steps_is_not_taken(put, monkeypatch):
    monkeypatch.chdir(put(table("week,t0,t1", lambda k, t: f"{t:%Y-%m-%d %H:00},{k},{k % 3}")).parent)
    assert cli.parse(LINE.split()).time_col == ""


@pytest.mark.parametrize("words", ["--strict", "--index yes", "--header yes"])
def test_nothing_is_taken_where_a_flag_says_otherwise(put, monkeypatch, words):
    monkeypatch.chdir(put(ISO).parent)
    config = cli.parse([*LINE.split(), *words.split()])
    assert config.time_col == ""
    assert (config.sep, config.decimal) == ((",", ".") if words == "--strict" else ("auto", "auto"))


def test_the_column_that_names_the_series_is_taken_where_there_is_one(put, monkeypatch):
    monkeypatch.chdir(put(table("date,store,y", lambda k, t: f"{HOURS[k // 2]},{'AB'[k % 2]},{k % 7}")).parent)
    config = cli.parse(LINE.split())
    assert (config.time_col, config.id_col) == ("date", "store")
    assert any("'store' taken as the column that names the series" in note for note in config.notes)
    assert cli.parse([*LINE.split(), "--id-col", "store"]).time_col == "date"


def test_two_columns_that_may_name_the_series_are_refused_with_flags_that_work(put, monkeypatch):
    rows = table("date,store,town,y", lambda k, t: f"{HOURS[k // 2]},{'AB'[k % 2]},{'abcd'[k % 4]},{k % 7}")
    monkeypatch.chdir(put(rows).parent)
    with pytest.raises(DataError, match="come again and again") as caught:
        cli.parse(LINE.split())
    named, _, line = caught.value.hint.partition("; ")
    assert cli.parse([*LINE.split(), *line.split()[:2]]).time_col == "line"
    for hint, name in zip(named.split(" or "), ("store", "town"), strict=True):
        config = cli.parse([*LINE.split(), *hint.split()])
        assert (config.time_col, config.id_col) == ("date", name)


def test_a_look_at_a_table_imports_neither_pandas_nor_torch(put):
    code = f"import sys, cli; cli.parse('{LINE}'.split()); assert not {{'pandas', 'torch'}} & set(sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=put(ISO).parent, env={"PYTHONPATH": str(ROOT)})
    assert done.returncode == 0


def test_an_order_of_dates_is_refused_under_strict(put):
    path = put(table("when,y", lambda k, t: f"{t:%d.%m.%Y %H:%M},{k % 7}"))
    line = f"{LINE} --time-col when --context-len 24 --dry-run --backbone ridge"
    assert go(path.parent, line).code == 0
    refused = go(path.parent, line, "--strict")
    assert refused.code == 3 and "--date-order dmy" in refused.err
    assert go(path.parent, line, "--strict --date-order dmy").code == 0


def test_newer_files_may_call_their_times_otherwise(put):
    """The checkpoint's name first; with --strict, and where nothing grows, it is an error as before."""
    days = [str(date) for date in np.arange("2024-01-01", "2024-03-01", dtype="datetime64[D]")]
    lines = [f"{day},{5 + k % 7}" for k, day in enumerate(days)]
    folder = put("\n".join(["date,load", *lines]) + "\n", "old.csv").parent
    put("\n".join(["when,load", *lines]) + "\n", "new.csv")
    run = good(folder, "--task forecast --csv old.csv --backbone seasonal_naive --horizon 7 --tag old --no-plots")
    done = go(folder, "--mode infer --csv new.csv --ckpt", run, "--no-plots")
    assert done.code == 0 and "new.csv: 'when' taken as the time column" in done.err, done.err
    assert go(folder, "--mode infer --csv new.csv --strict --ckpt", run).code == 3
    assert "taken as" not in go(folder, "--mode infer --csv old.csv --no-plots --ckpt", run).err


def test_of_a_year_and_a_date_the_date_is_the_time(put):
    """Months of several markets, in words, beside their years."""
    rows = [f"{place},{year},7,{month}-{year}" for place in ("a", "b", "c") for year in range(2005, 2015)
            for month in ("January", "May")]  # fmt: skip
    path = put("\n".join(["market,year,quantity,date", *rows]))
    found = dated(path, Dialect(AUTO, AUTO))
    assert found is not None and (found.time, found.ids) == ("date", ("market",))
    times = read_stamps(np.array(["May-2005", "May-2005", "June-2005"], object), str).times
    days = times.astype("datetime64[ns]").astype("datetime64[D]").astype(str)
    assert days.tolist() == ["2005-05-01", "2005-05-01", "2005-06-01"]


def test_days_of_each_chick_are_a_time(put):
    rows = [f"{40 + day},{day},{chick},{chick % 4}" for chick in range(1, 30) for day in (0, 2, 4, 6, 8, 10, 12)]
    found = dated(put("\n".join(["weight,Time,Chick,Diet", *rows])), Dialect(AUTO, AUTO))
    assert found is not None and (found.time, found.ids) == ("Time", ("Chick",))


@pytest.mark.parametrize("sep", [" ", ","])
def test_units_and_their_cycles_without_names(put, sep):
    random = np.random.default_rng(0)
    rows = [[unit, cycle, *random.normal(size=3).round(3), 100] for unit in (1, 2, 3) for cycle in range(1, 20 + unit)]
    found = dated(put("\n".join(sep.join(map(str, row)) for row in rows)), Dialect(AUTO, AUTO))
    assert found.time == "2" and found.ids == ("1",) and found.names == ("1", "2", "3", "4", "5", "6")
    twice = [[row[0], 2 * row[1], *row[2:]] for row in rows]
    assert dated(put("\n".join(sep.join(map(str, row)) for row in twice)), Dialect(AUTO, AUTO)) is None


def test_a_column_that_counts_anew_is_one_of_steps_whatever_it_is_called(put):
    rows = [f"{fault},{run},{k},{k % 5}.5" for fault in (1, 2) for run in (1, 2) for k in range(1, 31)]
    found = dated(put("\n".join(["fault,run,sample,level", *rows])), Dialect(AUTO, AUTO))
    assert found.time == "sample" and found.ids == ("fault+run",)


@pytest.mark.parametrize("step", [0.01, 33])
def test_a_first_column_of_even_steps_without_a_name_is_a_clock(tmp_path, put, step):
    random = np.random.default_rng(0)
    put("\n".join(f"{8 + k * step:g} {' '.join(map(str, random.normal(size=4).round(3)))}" for k in range(60)), "a.dat")
    done = go(tmp_path, "--mode train --task regress --csv a.dat --dry-run")
    assert done.code == 0 and "1 row of 60 steps; 4 channels (2, 3, 4, 5)" in done.out + done.err
    assert "'1' taken as the time column" in done.err


@pytest.mark.parametrize(("name", "found"), [("createdat", True), ("born", False)])
def test_a_log_in_no_order_has_its_times_and_a_table_of_birthdays_none(tmp_path, name, found):
    draw = np.random.default_rng(0)
    minutes = np.arange("2024-01-01T00:00", "2024-01-01T05:00", dtype="datetime64[m]")
    births = np.unique(draw.integers(0, 10**7, 300)).astype("datetime64[m]")
    times = draw.permutation(minutes if found else births)
    lines = [f"{str(time).replace('T', ' ')},{k}.5" for k, time in enumerate(times)]
    (tmp_path / "a.csv").write_text("\n".join([f"{name},x", *lines]) + "\n")
    taken = dated(tmp_path / "a.csv", Dialect())
    assert (taken is not None and taken.time == name) == found


@pytest.mark.parametrize("names", ["year,month,date_of_month", "Year,Month,DayofMonth", "YEAR,MONTH,DAY_OF_MONTH"])
def test_the_day_of_a_month_has_several_names(put, names):
    days = [f"2000,1,{day},{day % 7},{9000 + day}" for day in range(1, 32)]
    found = dated(put("\n".join([f"{names},day_of_week,births", *days])), Dialect(AUTO, AUTO))
    assert found.time == names.replace(",", "+")


@pytest.mark.parametrize(("date", "time"), [("20070103", "Date+Time"), ("2007-01-03", "Date+Time"), ("2007", None)])
def test_minutes_of_one_day_have_its_date(put, date, time):
    lines = [f"NSEI,{date},{9 + k // 60}:{k % 60:02d},{4000 + k % 7}.5" for k in range(55, 200)]
    found = dated(put("\n".join(["Ticker,Date,Time,Open", *lines])), Dialect(AUTO, AUTO))
    assert (found and found.time) == time
