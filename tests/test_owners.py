"""readers/owners.py: which columns of a dated table say whose its lines are."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

from readers.dated import dated
from readers.dialect import AUTO, Dialect

from .runs import go

YEARS = [str(year) for year in range(1990, 2020)]
LANDS = [f"land {chr(97 + k)}" for k in range(26)]


def found(put, header, rows):
    table = dated(put("\n".join([header, *(",".join(map(str, row)) for row in rows)])), Dialect(AUTO, AUTO))
    return None if table is None else (table.time, table.ids)


def test_series_of_a_few_years_each(put):
    """Of each land the sample holds a few lines together at the beginning, and single ones from all over the file."""
    lands = [f"{land} {k}" for k, land in itertools.product(range(40), LANDS)]
    rows = [(land, year, 7.5) for land in lands for year in YEARS[:4]]
    assert found(put, "land,year,x", rows) == ("year", ("land",))


def test_the_time_of_lines_comes_first(put):
    assert found(put, "year,land,x", [(y, land, 1.5) for land in LANDS for y in YEARS]) == ("year", ("land",))


@pytest.mark.parametrize("turned", [False, True])
def test_three_columns_together_tell_lines_apart(put, turned):
    rows = [
        (land, what, sex, year, 1.5)
        for what, sex, land, year in itertools.product(("smokers", "doctors"), "mf", LANDS[:5], YEARS)
    ]
    header = "land,what,sex,year,x"
    if turned:
        rows = [row[::-1] for row in rows]
        header = "x,year,sex,what,land"
    time, ids = found(put, header, rows)
    assert time == "year" and {*ids[0].split("+")} == {"land", "what", "sex"}


def test_lines_in_no_order_by_the_fewest_columns_of_words(put):
    rows = [(year, race, sex, "seen" if year < "2010" else "expected", 1.5)
            for year in YEARS for race in ("a", "b", "c") for sex in "mf"]  # fmt: skip
    np.random.default_rng(0).shuffle(rows)
    assert found(put, "year,race,sex,how,x", rows) == ("year", ("race+sex",))


def test_no_line_is_looked_at_twice(put):
    """A file somewhat longer than what is read of it at once: its later pieces lie side by side."""
    days = [f"{day:%Y-%m-%d}" for day in pd.date_range("2015-01-02", periods=754, freq="B")[::-1]]
    rows = [(day, 170.25, 171.5, 169.125, 25643711, "x" * 40, stock) for stock in ("A", "B", "C") for day in days]
    assert found(put, "Date,Open,High,Low,Volume,note,Stock", rows) == ("Date", ("Stock",))


def test_the_hint_for_a_table_of_words_names_its_times(put):
    rows = [(f"shop {k}", "red", "big", f"{day:%Y-%m-%d}", 1.5) for k in range(3) for day in
            pd.date_range("2024-01-01", periods=5)[::-1] for _ in range(2)]  # fmt: skip
    path = put("\n".join(["shop,colour,size,day,x", *(",".join(map(str, row)) for row in rows)]))
    done = go(path.parent, f"--task forecast --csv {path.name} --index yes")
    assert done.code == 3 and "--time-col day if each line is a step of time" in done.err
    path = put("\n".join(["a,b,c,d", *(f"n{k},red,big,1.5" for k in range(9))]))
    done = go(path.parent, f"--task forecast --csv {path.name}")
    assert done.code == 3 and "--time-col line if each line is a step of time" in done.err


def test_readings_of_which_some_come_twice_are_one_series(put):
    """Clouds and weather together tell lines of one hour apart, but no hours are those of several series."""
    random, rows = np.random.default_rng(1), []
    for hour in pd.date_range("2024-01-01", periods=150, freq="h"):
        for weather in ("Rain", "Fog")[: 1 + int(random.random() < 0.1)]:
            rows.append((hour, random.integers(0, 9) * 10, weather, 1.5))
    assert found(put, "date_time,clouds,weather,x", rows) == ("date_time", ())


@pytest.mark.parametrize(("lines", "time"), [(9, "line"), (36, "Month")])
def test_months_that_only_count_are_lines_unless_their_years_go_on(put, lines, time):
    rows = [(f"{1 + k // 12}-{1 + k % 12:02d}", f"{k * k % 7}.5") for k in range(lines)]
    assert found(put, "Month,Sales", rows) == (time, ())


@pytest.mark.parametrize("differs", [True, False])
def test_a_meter_that_writes_most_seconds_twice_is_one_series(put, tmp_path, differs):
    """As the Tracebase's loggers do, without names; a second that is told twice alike is one step as it is."""
    seconds = [second for k in range(1500) for second in [k] * (2 if k % 5 else 1)]
    times = [f"17/10/2011 {s // 3600:02d}:{s // 60 % 60:02d}:{s % 60:02d}" for s in seconds]
    watts = [120 + (k * 7919 % 1000 / 8 if differs else s % 7) for k, s in enumerate(seconds)]
    lines = zip(times, watts, seconds, strict=True)
    path = put("\n".join(f"{time};{watt};{second % 5}" for time, watt, second in lines))
    found = dated(path, Dialect(AUTO, AUTO))
    assert found is not None and (found.time, found.ids) == ("1", ())
    answer = go(tmp_path, f"--csv {path.name}")
    if not differs:
        assert "1 series of 1500 steps" in answer.out and "resampled" not in answer.out
        return
    assert "--time-col 1 --resample" in answer.out
    assert "2,700 lines resampled" in answer.out and "1,200 lines of the same time as the line before" in answer.out


@pytest.mark.parametrize("first", ["Device ID", "Name"])
def test_of_a_name_and_its_code_the_name_says_whose_a_line_is(tmp_path, first):
    """Codes of devices told nobody what they are, nor which appliances."""
    names = {"Device ID": ("mains", "a1b2", "c3d4"), "Name": ("Total Usage", "Fridge", "Kettle")}
    order = [first, *(each for each in names if each != first)]
    times = pd.date_range("2024-03-01", periods=40, freq="min")
    lines = [
        f"{time},{names[order[0]][k]},{names[order[1]][k]},{k + 7 * t % 5}.5"
        for t, time in enumerate(times)
        for k in range(3)
    ]
    path = tmp_path / "s.csv"
    path.write_text("\n".join([",".join(["DateTime", *order, "Watts"]), *lines]) + "\n")
    found = dated(path, Dialect(AUTO, AUTO))
    assert found is not None and found.time == "DateTime" and found.ids[0] == "Name"


def test_tags_name_the_series_of_influxdb_and_its_number_does_not(put, tmp_path):
    """Annotated CSV: `table` counts the series, which the field and the host name."""
    rows = [
        ("", number, f"2024-03-01T{minute // 6:02d}:{minute % 6}0:00Z", number + minute / 4, field, "cpu", host)
        for number, (field, host) in enumerate(itertools.product(("user", "system"), "ab"))
        for minute in range(60)
    ]
    head = "result,table,_time,_value,_field,_measurement,host"
    assert found(put, head, rows) == ("_time", ("_field+host",))
    path = put("\n".join([head, *(",".join(map(str, row)) for row in rows)]))
    run = go(tmp_path, f"--mode train --task forecast --csv {path} --horizon 3 --backbone ridge --dry-run")
    assert run.code == 0 and "4 rows of 60 steps (240 in all); 1 channel (_value)" in run.err, run.err
    assert "table (the number of the series)" in run.err
    one = [row for row in rows if row[1] < 2]  # of two hosts of one field, the host
    assert found(put, head, one) == ("_time", ("host",))


def test_areas_of_lines_in_no_order(put):
    """As CAISO's: hours of two areas, shuffled, beside words that never change and further times."""
    hours = pd.date_range("2023-01-01", periods=400, freq="h").strftime("%Y-%m-%dT%H:%M:%S-00:00").tolist()
    rows = [(hours[k], hours[k + 1], area, "7DA", "ACTUAL", k + 0.5) for k in range(399) for area in ("north", "south")]
    order = np.random.default_rng(0).permutation(len(rows))
    shuffled = [rows[k] for k in order.tolist()]
    assert found(put, "begin,end,area,item,type,mw", shuffled) == ("begin", ("area",))


def test_kinds_of_days_are_no_series_where_some_days_stand_again_further_down(put, tmp_path):
    """As in a city's table of riders: some weeks were pasted once more behind themselves."""
    days = list(pd.date_range("2001-01-01", periods=3000))
    days = days[:700] + days[660:]
    kinds = {5: "A", 6: "U"}
    path = put(
        "day,kind,riders\n"
        + "\n".join(f"{day:%m/%d/%Y},{kinds.get(day.weekday(), 'W')},{1000 + 10 * day.weekday()}" for day in days)
    )
    found = dated(path, Dialect(AUTO, AUTO))
    assert found is not None and (found.time, found.ids) == ("day", ())
    err = go(tmp_path, f"--mode train --task forecast --csv {path.name} --horizon 7 --dry-run").err
    assert "read: 1 row of 3,000 steps" in err and "40 times come twice, and the mean of its lines is taken" in err


def test_of_a_panel_by_month_whose_series_take_turns_both_are_seen(put):
    """As in a table of temperatures by two institutes: one is 30 years older."""
    months = [f"{1850 + k // 12}-{k % 12 + 1:02d}" for k in range(2090)]
    rows = [(who, month, k + 0.5) for k, month in enumerate(months) for who in ["a", *["b"] * (k >= 360)]]
    assert found(put, "Source,Year,Mean", rows) == ("Year", ("Source",))
    noted = [(who, "x" if k < 300 else "yz"[k % 2], month, value) for k, (who, month, value) in enumerate(rows)]
    assert found(put, "remark,note,Year,Mean", noted) == ("Year", ())  # which of two says whose a line is, is unclear


@pytest.mark.parametrize(
    ("name", "others", "ids"), [("state", 4, ("state",)), ("state", 0, ()), ("note", 4, ("note",))]
)
def test_a_series_that_begins_years_before_the_others_of_its_panel(put, name, others, ids):
    """Sorted by date: the first two hundred lines are of the country alone."""
    days = pd.date_range("2001-01-01", periods=900, freq="D").strftime("%Y-%m-%d")
    rows = [
        (day, who, k + 0.5)
        for k, day in enumerate(days)
        for who in ["all", *(f"part {n}" for n in range(others if k >= 200 else 0))]
    ]
    rows = rows if others else [(day, "all" if k < 800 else "west", value) for k, (day, _, value) in enumerate(rows)]
    assert found(put, f"date,{name},value", rows) == ("date", ids)


@pytest.mark.parametrize("name", ["device", "sensor_id", "dev_eui", "sensor", "topic"])
def test_things_that_write_by_turns_at_even_times(put, name):
    """No time comes twice, and all steps are of one length: the readings of one would be scored by another's."""
    times = [f"{time}" for time in pd.date_range("2024-01-01", periods=600, freq="10min")]
    rows = [(time, "abc"[k % 3], 10 * (k % 3) + k / 100) for k, time in enumerate(times)]
    assert found(put, f"time,{name},x", rows) == ("time", (name,))


@pytest.mark.parametrize(("name", "words"), [("shift", "abc"), ("sky", "ab"), ("device", "aab")])
def test_what_comes_by_turns_and_is_no_thing(put, name, words):
    """A name that things do not have; or two lines of one, then one of the other."""
    times = [f"{time}" for time in pd.date_range("2024-01-01", periods=600, freq="10min")]
    rows = [(time, words[k % len(words)], k) for k, time in enumerate(times)]
    assert found(put, f"time,{name},x", rows) == ("time", ())


def test_devices_whose_times_are_uneven_by_the_number_of_their_radio(put):
    draw = np.random.default_rng(3)
    times = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.cumsum(draw.integers(150, 350, 600)), "s")
    rows = [(time, f"70B3D5{draw.integers(3)}", k) for k, time in enumerate(times)]
    assert found(put, "time,dev_eui,x", rows) == ("time", ("dev_eui",))


def test_the_points_of_a_grid_are_named_by_their_coordinates(put, tmp_path):
    """As reanalyses of the weather are written out, sorted by time."""
    times = pd.date_range("2024-01-01", periods=80, freq="6h")
    points = [(lat, lon) for lat in (50.0, 50.25) for lon in (8.0, 8.25, 8.5)]
    rows = [(time, lat, lon, k % 9 + lat - lon) for k, time in enumerate(times) for lat, lon in points]
    assert found(put, "time,latitude,longitude,t2m", rows) == ("time", ("latitude+longitude",))
    path = put("\n".join(["time,latitude,longitude,t2m", *(",".join(map(str, row)) for row in rows)]))
    err = go(tmp_path, f"--mode train --task forecast --csv {path.name} --horizon 4 --dry-run").err
    assert "read: 6 rows of 80 steps (480 in all); 1 channel (t2m)" in err


def test_towns_with_coordinates_are_named_by_their_words(put):
    """A few years of many towns, in no order: four columns would tell them apart, and two of words do."""
    towns = [(f"town {k}", "land", 40 + k / 7, 8 + k / 3) for k in range(60)]
    rows = [(*town, year, 1000 * year + k) for year in (1990, 2000, 2010, 2020) for k, town in enumerate(towns)]
    np.random.default_rng(0).shuffle(rows)
    time, ids = found(put, "City,Country,Latitude,Longitude,Year,Population", rows)
    assert (time, ids) == ("Year", ("City",))
