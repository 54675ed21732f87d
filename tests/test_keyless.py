"""readers/keyless.py: lines without a time or an id."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from errors import DataError
from readers.dated import dated
from readers.dialect import AUTO, Dialect
from readers.long import read_long
from times.tongues import is_unreal

DAYS = [f"{day:%Y-%m-%d}" for day in pd.date_range("2024-01-01", periods=60)]
LINES = ["shop,day,x", *(f"{shop},{day},{k}" for shop in "ab" for k, day in enumerate(DAYS))]


def broken(*at):
    """The lines with others before these numbers, from 0 for the names."""
    lines = list(LINES)
    for number, line in sorted(at, reverse=True):
        lines.insert(number, line)
    return "\n".join(lines)


@pytest.mark.parametrize("line", [",2024-02-02,3", "a,,3", "a,NA,3", '"",2024-02-02,3'])
def test_a_line_without_a_key_is_left_out(put, line):
    whole, series = (read_long([put(text)], time_col="day", id_col="shop") for text in (broken(), broken((50, line))))
    assert series.rows == ("a", "b") and (series.values == whole.values).all() and (series.time == whole.time).all()
    assert any(note.startswith("warning:") and note.endswith(".csv:51") for note in series.notes)


def test_an_id_may_be_called_na(put):
    """Namibia's two letters, of hardly any lines."""
    path = put(broken(*((1, f"NA,{day},7") for day in DAYS[:3]), (50, ",,1")))
    series = read_long([path], time_col="day", id_col="shop")
    assert {*series.rows} == {"a", "b", "NA"}


def test_lines_below_are_found_where_they_are_in_the_file(put):
    path = put(broken((50, ",2024-02-02,3"), (90, "b,2024-03-31,word")))
    with pytest.raises(DataError, match=r":92:3: text 'word'"):
        read_long([path], time_col="day", id_col="shop")


def test_many_such_lines_are_refused(put):
    many = broken(*((30 + k, ",2024-02-02,3") for k in range(4)))
    for text, options in ((many, {}), (broken((50, ",2024-02-02,3")), {"strict": True})):
        with pytest.raises(DataError, match="the id is missing"):
            read_long([put(text)], time_col="day", id_col="shop", **options)


def test_a_line_of_a_day_that_no_calendar_has_is_left_out(put):
    whole = read_long([put(broken())], time_col="day", id_col="shop")
    path = put(broken((33, "a,2024-02-30,7")))
    series = read_long([path], time_col="day", id_col="shop")
    assert series.values.tolist() == whole.values.tolist()
    (note,) = [note for note in series.notes if note.startswith("warning:")]
    assert note.endswith(f"1 line of a day that the calendar lacks left out: {path}:34 (2024-02-30)")


@pytest.mark.parametrize("day", ["2023-02-29", "2024-02-31 10:00", "31/06/2024", "06/31/2024", "20240230", "31.4.2024"])
def test_days_beyond_their_month_in_each_order(day):
    assert is_unreal(day)


@pytest.mark.parametrize("day", ["2024-02-29", "2023-12-31", "31/12/2023", "13/13/2024", "noon", "1"])
def test_days_of_the_calendar_and_words_are_no_such_days(day):
    assert not is_unreal(day)


@pytest.mark.parametrize("day", ["0000-00-00", "1900-01-00", "0001-01-01", "9999-12-31", "31.12.9999", "00.00.0000"])
def test_a_date_that_stands_for_none_is_none(put, day):
    whole = read_long([put(broken())], time_col="day", id_col="shop")
    series = read_long([put(broken((33, f"a,{day},7")))], time_col="day", id_col="shop")
    assert series.values.tolist() == whole.values.tolist() and (series.time == whole.time).all()


def test_sums_and_remarks_among_lines_are_left_out(put):
    """A total of each week, of which the last one is a foot, and a remark of one cell."""
    lines = ["day,x"]
    for k in range(63):
        lines += [f"{pd.Timestamp('2024-01-01') + pd.Timedelta(days=k):%Y-%m-%d},{k}"]
        lines += [f"Week {k // 7},{7 * k}"] * (k % 7 == 6) + ["*** new sensor ***"] * (k == 30)
    series = read_long([put("\n".join(lines))], time_col="day")
    assert series.values[0].tolist() == list(range(63))
    (note,) = [note for note in series.notes if note.startswith("warning:")]
    assert "9 lines with words in place of a time left out" in note and note.endswith(":9 (Week 0), ...")


def test_more_words_than_a_fifth_are_another_table(put):
    lines = [
        "day,x",
        *(f"{day},{k}" for k, day in enumerate(DAYS[:40])),
        *(f"total {k},1" for k in range(11)),
        "2024-03-01,1",
    ]
    with pytest.raises(DataError, match="'total 0' is not a date"):
        read_long([put("\n".join(lines))], time_col="day")


def test_the_times_are_seen_where_a_total_stands_below_each_week(put):
    lines = ["day,x"]
    for k in range(63):
        lines += [f"{pd.Timestamp('2024-01-01') + pd.Timedelta(days=k):%Y-%m-%d},{k}"]
        lines += [f"Week {k // 7},{7 * k}"] * (k % 7 == 6)
    found = dated(put("\n".join(lines)), Dialect(AUTO, AUTO))
    assert found is not None and found.time == "day" and found.ids == ()


@pytest.mark.parametrize("title", [[], ["", "Prices"]])
def test_the_names_of_another_table_are_no_remark(put, title):
    """Whose values would go on in the column of the first one."""
    first, second = ([f"{day},{k}" for k, day in enumerate(part)] for part in (DAYS[:40], DAYS[40:]))
    path = put("\n".join(["day,sales", *first, *title, "day,price", *second]))
    with pytest.raises(DataError, match="another table begins here, of day, price") as caught:
        read_long([path], time_col="day")
    above = 41 + len(title)  # its names, 40 lines and those between
    assert caught.value.where == f"{path}:{above + 1}" and caught.value.hint.startswith(f"head -n {above} {path} > ")


def test_a_remark_in_two_cells_is_refused_as_before(put):
    lines = ["day,x,y", *(f"{day},{k},{k}" for k, day in enumerate(DAYS))]
    lines.insert(30, "sensor,changed,")
    with pytest.raises(DataError, match="another table begins"):
        read_long([put("\n".join(lines))], time_col="day")


@pytest.mark.parametrize(("mark", "count", "freq"), [("M", 12, "MS"), ("Q", 4, "QS-JAN"), ("S", 2, "6MS")])
def test_codes_of_months_and_quarters_beside_the_year_and_its_mean(mark, count, freq, tmp_path):
    """As the Bureau of Labor Statistics writes them: M13, Q05 and S03 are the means of the years."""
    lines = [f"{2000 + y}\t{mark}{p:02d}\t{y * count + p}" for y in range(12) for p in range(1, count + 2)]
    (tmp_path / "x.txt").write_text("\n".join(["year\tperiod\tvalue", *lines]) + "\n")
    found = dated(tmp_path / "x.txt", Dialect(AUTO, AUTO))
    assert found is not None and found.time == "year+period"
    series = read_long([tmp_path / "x.txt"], time_col="year+period", sep=AUTO, decimal=AUTO)
    assert series.values[0].tolist() == [y * count + p for y in range(12) for p in range(1, count + 1)]
    months = series.times(0).astype("datetime64[ns]").astype("datetime64[M]").astype(int)
    assert np.array_equal(months, 360 + np.arange(12 * count) * (12 // count))
    assert any("12 lines of whole years beside their parts left out" in note for note in series.notes)


def test_totals_among_months_that_begin_with_their_names(tmp_path):
    """`Total 2023` is no Thursday in Norwegian, though it begins as one; the newest month stands first."""
    months = pd.date_range("2014-01-01", periods=60, freq="MS")[::-1]
    lines = [f"{month:%B %Y},{k}.5" + f"\nTotal {month:%Y},99" * (month.month == 1) for k, month in enumerate(months)]
    (tmp_path / "x.csv").write_text("\n".join(["Month,Revenue", *lines]) + "\n")
    found = dated(tmp_path / "x.csv", Dialect(AUTO, AUTO))
    assert found is not None and found.time == "Month"
    series = read_long([tmp_path / "x.csv"], time_col="Month")
    assert series.values[0].tolist() == [k + 0.5 for k in range(60)][::-1]
    assert any("5 lines with words in place of a time left out" in note for note in series.notes)


@pytest.mark.parametrize("place", ["before", "behind"])
@pytest.mark.parametrize("form", ["%Y-%m", "%Y/%m", "%Y"])
def test_months_and_years_among_their_days_are_left_out(put, place, form):
    lines = ["day,x"]
    for k, day in enumerate(pd.date_range("2024-01-01", periods=100)):
        ends = day.is_month_start if place == "before" else day.is_month_end
        ends &= form != "%Y" or day.month == 2
        whole = [f"{day.strftime(form)},9999"] * bool(ends)
        one = [f"{day.strftime('%Y/%m/%d' if '/' in form else '%Y-%m-%d')},{k}"]
        lines += whole + one if place == "before" else one + whole
    path = put("\n".join(lines) + "\n")
    series = read_long([path], time_col="day")
    assert series.values[0].tolist() == list(range(100))
    assert any("of whole months or years among days left out" in note for note in series.notes)
    with pytest.raises(DataError):
        read_long([path], time_col="day", strict=True)


def test_totals_written_with_thousands_are_no_names_of_another_table(put):
    months = [f"{month:%b-%y}" for month in pd.date_range("2015-01-01", periods=24, freq="MS")]
    lines = [f"{month};{k},000;{k},500" for k, month in enumerate(months, 10)]
    text = "\n".join(
        ["Month;a;b", *lines[:12], "Total 2015;186,000;192,000", *lines[12:], "Total 2016;330,000;342,000"]
    )
    series = read_long([put(text)], time_col="Month", sep=";", thousands=",")
    assert series.values.tolist() == [[1000 * k for k in range(10, 34)], [1000 * k + 500 for k in range(10, 34)]]
    assert any("2 lines with words in place of a time left out" in note for note in series.notes)
