"""times/written.py, counts.py and the flag --date-order: dates as people write them, and columns that count steps."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from errors import DataError, UsageError
from readers.long import read_long
from times.stamps import read_stamps

from .runs import go, good, strict

WRITINGS = {  # of strftime; those whose order the cells must show, and those that have but one
    "%d.%m.%Y %H:%M": "dmy", "%m/%d/%Y %I:%M %p": "mdy", "%d/%m/%y %H:%M:%S": "dmy", "%m-%d-%Y": "mdy",
    "%m/%d/%Y %I:%M:%S%p": "mdy", "%d.%m.%Y, %H.%M": "dmy",
}  # fmt: skip
CLEAR = (
    "%Y/%m/%d %H:%M",
    "%Y-%m-%d %I:%M %p",
    "%d-%b-%Y",
    "%b %d, %Y %I:%M %p",
    "%d %B %Y %H:%M",
    "%Y.%m.%d",
    "%Y%m%d",
)


@pytest.fixture
def read(put):
    def of(cells, **options):
        lines = [f'"{cell}",{k}' for k, cell in enumerate(cells)]
        return read_long([put("\n".join(["t,x", *lines]))], time_col="t", **options)

    return of


def axis(form, start="2024-01-08"):
    return pd.date_range(start, periods=20, freq="5h" if "%M" in form else "D")


@pytest.mark.parametrize("form", [*WRITINGS, *CLEAR])
def test_dates_as_people_write_them(read, form):
    times = axis(form, start="2024-01-10 15:00" if "%M" in form else "2024-01-10")
    found = read(times.strftime(form))
    np.testing.assert_array_equal(found.time, times.as_unit("ns").asi8)
    unpadded = [cell.lstrip("0").replace("/0", "/").replace(" 0", " ") for cell in times.strftime(form)]
    if "%Y%m" not in form:
        np.testing.assert_array_equal(read(unpadded).time, times.as_unit("ns").asi8)


@pytest.mark.parametrize(("form", "order"), WRITINGS.items())
def test_days_below_13_need_the_flag_and_the_flag_decides(read, form, order):
    times = pd.date_range("2024-02-01", periods=10, freq="h" if "%M" in form else "D")
    cells = times.strftime(form)
    if form.startswith("%d.%m."):  # nobody writes the month first between dots
        np.testing.assert_array_equal(read(cells).time, times.as_unit("ns").asi8)
    else:
        with pytest.raises(DataError, match="--date-order dmy or --date-order mdy"):
            read(cells)
    np.testing.assert_array_equal(read(cells, date_order=order).time, times.as_unit("ns").asi8)
    with pytest.raises(DataError):  # the other order: not even, or not there
        assert not np.array_equal(read(cells, date_order={"dmy": "mdy", "mdy": "dmy"}[order]).time, times.asi8)
        raise DataError("read in the other order")


def test_a_date_that_is_not_in_the_order_asked_for(read):
    with pytest.raises(DataError, match=r"a.csv:2: '01/13/2024' is not a date and time"):
        read(["01/13/2024", "01/14/2024", "01/15/2024"], date_order="dmy")
    assert read(["2024-01-02", "2024-01-03", "2024-01-04"], date_order="dmy").clock.freq == "D"


@pytest.mark.parametrize("form", ["%Y-%m-%d %H:%M", "%d.%m.%Y %H:%M"])
def test_midnight_may_be_the_end_of_a_day(read, form):
    times = pd.date_range("2024-01-30 01:00", periods=72, freq="h")
    cells = [
        time.strftime(form) if time.hour else (time - pd.Timedelta("1D")).strftime(form).replace("00:00", "24:00")
        for time in times
    ]
    np.testing.assert_array_equal(read(cells).time, times.as_unit("ns").asi8)


@pytest.mark.parametrize("zone", ["UTC", "GMT"])
def test_times_that_say_utc(read, zone):
    times = pd.date_range("2024-01-30", periods=5, freq="h")
    found = read([f"{time} {zone}" for time in times])
    assert found.clock.tz == "UTC" and found.time.tolist() == times.as_unit("ns").asi8.tolist()


# ---- columns that count steps


@pytest.mark.parametrize(("start", "step"), [(0, 1), (1, 1), (100, 1), (5, 5), (0.0, 0.25)])
def test_a_column_that_counts_steps_has_no_dates(read, start, step):
    found = read([start + k * step for k in range(30)])
    assert found.time is None and found.clock is None and found.values[0].tolist() == list(range(30))
    assert (
        found.notes == ("a.csv: the time column counts steps: there are no dates",) or "counts steps" in found.notes[0]
    )
    turned = read([start + k * step for k in range(30)][::-1])
    assert turned.values[0].tolist() == list(range(29, -1, -1))


def test_counts_that_are_not_even(read, put):
    with pytest.raises(
        DataError, match=r"a.csv:7: the time column goes on by 2, where its usual step is 1\n.*a line for"
    ):
        read([1, 2, 3, 4, 5, 7, 8])
    with pytest.raises(DataError, match=r"a.csv:5: .* goes on by -2, where its usual step is 1\n.*--id-col"):
        read([1, 2, 3, 1, 2, 3])
    with pytest.raises(UsageError, match=r"--resample: the time column of .* counts steps"):
        read([1, 2, 3], resample="2D")
    text = "unit,cycle,x\n" + "\n".join(f"{unit},{cycle},{cycle}" for unit in "ab" for cycle in (1, 2, 3, 4))
    found = read_long([put(text)], time_col="cycle", id_col="unit")
    assert found.rows == ("a", "b") and found.lengths.tolist() == [4, 4]
    with pytest.raises(DataError, match=r"a.csv:7: .* goes on by 2, where"):
        read_long([put(text.replace("b,2,2\n", ""))], time_col="cycle", id_col="unit")


@pytest.mark.parametrize("task", ["forecast --horizon 2", "regress", "classify --bin-rule gt --bin-thr 0"])
def test_cycles_train_and_infer_in_every_task(tmp_path, task):
    values = np.random.default_rng(0).normal(size=(2, 60)).round(3)
    lines = [f"{unit},{k + 1},{value}" for unit, row in zip("ab", values, strict=True) for k, value in enumerate(row)]
    (tmp_path / "a.csv").write_text("\n".join(["unit,cycle,x", *lines]))
    words = f"--mode train --task {task} --csv a.csv --time-col cycle --id-col unit --context-len 5 --backbone linear"
    run = good(tmp_path, f"{words} --split-mode holdout --epochs 1 --no-plots --reference off --tag a")
    assert any("counts steps" in note for note in strict(run / "manifest.json")["data"]["notes"])
    assert go(tmp_path, f"--mode infer --csv a.csv --ckpt {run} --no-plots --tag b").code == 0


@pytest.mark.parametrize(
    ("begin", "freq", "spelled", "clock"),
    [
        ("1990-01-01", "QS", lambda t: f"{t.year}Q{t.quarter}", "QS-JAN"),
        ("1990-07-01", "QS", lambda t: f"{t.year}-q{t.quarter}", "QS-JAN"),
        ("2019-12-02", "W-MON", lambda t: "{}-W{:02d}".format(*t.isocalendar()[:2]), "7D"),  # 2020 has 53 weeks
        ("2019-12-02", "W-MON", lambda t: "{}W{:02d}".format(*t.isocalendar()[:2]), "7D"),
    ],
)
def test_quarters_and_weeks_by_their_number(read, begin, freq, spelled, clock):
    times = pd.date_range(begin, periods=70, freq=freq)
    series = read([spelled(time) for time in times])
    assert np.array_equal(series.time, times.as_unit("ns").asi8) and series.clock.freq == clock


def test_a_week_that_the_year_does_not_have(read):
    with pytest.raises(DataError, match="'2021-W53' is not a date and time"):
        read([f"2021-W{week}" for week in range(40, 55)])


@pytest.mark.parametrize(
    "cells", [["30.12.9998", "31.12.9998", "01.01.9999"], ["9998-12-30", "9998-12-31", "9999-01-01"]]
)
def test_times_beyond_what_nanoseconds_reach_are_no_times(read, cells):
    with pytest.raises(DataError, match=rf"a.csv:2: '{cells[0]}' is not a date and time"):
        read(cells)


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["Jan-23", "Feb-23", "Mar-23"], ["2023-01-01", "2023-02-01", "2023-03-01"]),
        (["Nov-59", "Dec-59", "Jan-60"], ["1959-11-01", "1959-12-01", "1960-01-01"]),
        (["Nov-68", "Dec-68", "Jan-69"], ["1968-11-01", "1968-12-01", "1969-01-01"]),  # not a hundred years apart
        (["2019-Jan", "2019-Feb", "2019-Mar"], ["2019-01-01", "2019-02-01", "2019-03-01"]),
        (["Mär-19", "Apr-19", "Mai-19"], ["2019-03-01", "2019-04-01", "2019-05-01"]),
        (["201911", "201912", "202001"], ["2019-11-01", "2019-12-01", "2020-01-01"]),
        (["2019M11", "2019M12", "2020M1"], ["2019-11-01", "2019-12-01", "2020-01-01"]),
        (["Q3 2019", "Q4 2019", "Q1 2020"], ["2019-07-01", "2019-10-01", "2020-01-01"]),
        (["3Q2019", "4Q2019", "1Q2020"], ["2019-07-01", "2019-10-01", "2020-01-01"]),
        (["4. Quartal 2019", "1. Quartal 2020", "2. Quartal 2020"], ["2019-10-01", "2020-01-01", "2020-04-01"]),
        (["2019-S1", "2019-S2", "2020-S1"], ["2019-01-01", "2019-07-01", "2020-01-01"]),
        (["2020-W52", "2020-W53", "2021-W1"], ["2020-12-21", "2020-12-28", "2021-01-04"]),
        (["12/31/55", "01/01/56", "01/02/56"], ["1955-12-31", "1956-01-01", "1956-01-02"]),
    ],
)
def test_parts_of_years(read, cells, expected):
    assert read(cells).time.astype("datetime64[ns]").astype("datetime64[D]").astype(str).tolist() == expected


def test_numbers_that_only_look_like_months_count(read):
    assert read(list(range(200001, 200030))).time is None


def test_times_that_come_again_are_read_once_and_located_where_they_come_first():
    cells = np.array(["31.12.2023 24:00", "1.1.2024 17:00", "30.12.2023 10:00"] * 4 + ["1.1.2024 17:00"], object)
    found = read_stamps(cells, lambda at: f"line {at}")
    kinds = read_stamps(cells[:3], lambda at: f"line {at}")
    np.testing.assert_array_equal(found.times, [*np.tile(kinds.times, 4), kinds.times[1]])
    assert found.times[0] == pd.Timestamp("2024-01-01").value and (found.zones, found.note) == (kinds.zones, kinds.note)
    with pytest.raises(DataError, match="'soon'") as error:
        read_stamps(np.array([*cells, "soon", *cells, "soon"], object), lambda at: f"line {at}")
    assert error.value.where == "line 13"


def first_days(freq, count, form="%d/%m/%Y"):
    return [f"{t:{form}}" for t in pd.date_range("1957-12-01", periods=count, freq=freq)]


@pytest.mark.parametrize(("freq", "count"), [("MS", 40), ("QS", 20), ("h", 11 * 24)])
def test_the_order_with_which_alone_steps_are_even(read, freq, count):
    """01/12/1957, 01/01/1958: all could be days of January too, with gaps of a year."""
    for form, order, other in (("%d/%m/%Y %H:%M", "dmy", "mdy"), ("%m/%d/%Y %H:%M", "mdy", "dmy")):
        form = form if freq == "h" else form[:8]
        series = read(first_days(freq, count, form))
        assert np.array_equal(series.time, read(first_days(freq, count, form), date_order=order).time)
        assert any(f"--date-order {other} if they are not" in note for note in series.notes)


@pytest.mark.parametrize("cells", [
    [f"01/{month:02d}/2020" for month in range(1, 13)],  # the months of a year, or twelve days of January
    [f"{day:02d}/02/2020" for day in range(1, 13)],
])  # fmt: skip
def test_both_orders_are_even(read, cells):
    with pytest.raises(DataError, match="could be day before month or month before day"):
        read(cells)


def test_spaces_in_a_row_between_date_and_time(read):
    times = pd.date_range("2001-06-11 11:00", periods=40, freq="h")
    series = read([f"{t.month}/{t.day}/{t.year}  {t:%I:%M:%S %p}" for t in times])
    assert series.clock.show(series.time)[0] == "2001-06-11 11:00:00" and series.clock.freq == "h"


def test_one_day_is_the_same_in_both_orders(read):
    """01/01/2024 was refused, as if it were another day with the month first."""
    series = read([f"01/01/2024 {hour:02d}:00" for hour in range(24)])
    assert series.clock.freq == "h" and series.clock.show(series.time[-1:]) == ["2024-01-01 23:00:00"]


def test_an_order_in_which_weeks_lie_between_lines_is_none(put):
    """As a sensor of glucose writes: its steps are uneven, so that none was taken; of months none is."""
    minutes = np.cumsum([5 + k * k % 23 for k in range(300)])
    times = pd.Timestamp("2024-03-01") + pd.to_timedelta(minutes, unit="min")
    cells = pd.Series(times.strftime("%d-%m-%Y %H:%M"), dtype=object).to_numpy()
    stamps = read_stamps(cells, str, name="t")
    assert (stamps.times == times.as_unit("ns").asi8).all() and "only so no weeks lie between lines" in stamps.note
    months = np.array([f"0{1 + k % 2}/0{1 + k // 2}/2024" for k in range(8)], object)
    with pytest.raises(DataError, match="could be day before month or month before day"):
        read_stamps(months, str, name="t")


def test_an_hour_of_autumn_with_a_letter(put, tmp_path):
    """As power exchanges write: 3A and 3B made a series of each hour."""
    hours = [[str(h) for h in range(1, 25)] for _ in range(9)]
    hours[4] = ["1", "2", "3A", "3B", *map(str, range(4, 25))]
    lines = [f"{23 + d}.10.2024,{h},{d}.{k}" for d, day in enumerate(hours) for k, h in enumerate(day, 10)]
    put("Date,Hour,Price\n" + "\n".join(lines))
    told = go(tmp_path, "--mode train --task forecast --csv a.csv --dry-run").err
    assert "'Date+Hour' taken as the time column" in told and "1 row of 217 steps; 1 channel (Price)" in told


def test_the_hint_for_uneven_visits_keeps_whose_a_line_is(put, tmp_path):
    """--time-col line alone made one series of all trees: windows went from one into the next."""
    visits = (152, 174, 201, 227, 258, 280, 310, 333)
    lines = [f"{size}.{tree},{day},{tree}" for tree in range(1, 13) for size, day in enumerate(visits)]
    path = put("\n".join(["size,Time,tree", *lines]) + "\n")
    failed = go(tmp_path, f"--task forecast --csv {path} --horizon 1 --dry-run")
    assert "goes on by 27, where its usual step is 22" in failed.err
    assert "hint: --time-col line --id-col tree takes each line as a step" in failed.err
    done = go(tmp_path, f"--task forecast --csv {path} --horizon 1 --dry-run --time-col line --id-col tree")
    assert done.code == 0 and "12 rows of 8 steps" in done.err


def test_the_ends_of_steps_are_not_proposed_as_categories(put, tmp_path):
    lines = [f"2024-01-{k:02d} 00:00,{k}.5,2024-01-{k:02d} 12:00,{'ab'[k % 2]}" for k in range(1, 29)]
    done = go(
        tmp_path, f"--task forecast --csv {put(chr(10).join(['Start,y,End,kind', *lines]))} --horizon 2 --dry-run"
    )
    assert "left out, since they hold text: 'End'" in done.err and "--categorical kind takes it" in done.err


@pytest.mark.parametrize("mark", "-/.")
@pytest.mark.parametrize(("form", "order"), [("%y{}%m{}%d", "year before month"), ("%d{}%m{}%y", "day before month")])
def test_of_three_pairs_the_order_in_which_days_lie_close_together(put, mark, form, order):
    """2023-05-20 to 2023-06-13, every day: the other way round these are days of 24 years."""
    days = pd.date_range("2023-05-20", periods=25)
    cells = [f"{day:{form.format(mark, mark)}} 10:00:00,{k}" for k, day in enumerate(days)]
    series = read_long([put("\n".join(["when,x", *cells]))], time_col="when")
    assert series.time.tolist() == (days + pd.Timedelta(hours=10)).as_unit("ns").asi8.tolist()
    assert any(order in note for note in series.notes)


def test_of_one_day_the_other_order_is_told(put):
    path = put("\n".join(["when,x", *(f"23-05-06 10:00:{k:02d},{k}" for k in range(30))]))
    series = read_long([path], time_col="when")
    (note,) = [note for note in series.notes if "--date-order ymd if '23-05-06 10:00:00' begins with the year" in note]
    assert "day before month" in note and series.clock.show(series.time[:1]) == ["2006-05-23 10:00:00"]
    other = read_long([path], time_col="when", date_order="ymd")
    assert other.clock.show(other.time[:1]) == ["2023-05-06 10:00:00"]
