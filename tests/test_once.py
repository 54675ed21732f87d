"""readers/once.py and whole years among their months: how people write years and months in sheets."""

from __future__ import annotations

import numpy as np
import pytest

from readers.dated import dated
from readers.dialect import AUTO, Dialect
from readers.long import read_long

MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
VALUES = [200 + 0.5 * k for k in range(40)]  # from January 2015


def lines(year, month, whole=""):
    made = []
    for k, value in enumerate(VALUES):
        made.append(f"{year(k)},{month(k % 12)},{value},{k}.25")
        if whole and k % 12 == 11:
            made.append(f"{2015 + k // 12},{whole},{sum(VALUES[k - 11 : k + 1])},")
    return made


@pytest.mark.parametrize("month", [MONTHS.__getitem__, lambda m: m + 1])
@pytest.mark.parametrize("begin", [0, 4])
def test_a_year_in_its_first_line_alone_is_that_of_the_lines_below(put, month, begin):
    rows = lines(lambda k: 2015 + k // 12 if k % 12 == 0 or k == begin else "", month)[begin:]
    path = put("\n".join(["Year,Month,x,y", *rows]) + "\n")
    assert dated(path, Dialect(AUTO, AUTO)).time == "Year+Month"
    series = read_long([path], time_col="Year+Month", sep=AUTO, decimal=AUTO)
    assert np.allclose(series.values, [VALUES[begin:], [k + 0.25 for k in range(begin, 40)]])
    assert series.clock.show(series.times(0)[[0, -1]]) == [f"2015-{begin + 1:02d}-01", "2018-04-01"]
    assert any("'Year' stands in the first line of several alone" in note for note in series.notes)


@pytest.mark.parametrize("whole", ["Total", "Annual"])
def test_totals_of_years_among_their_months_are_left_out(put, whole):
    path = put("\n".join(["Year,Month,x,y", *lines(lambda k: 2015 + k // 12, MONTHS.__getitem__, whole)]) + "\n")
    assert dated(path, Dialect(AUTO, AUTO)).time == "Year+Month"
    series = read_long([path], time_col="Year+Month", sep=AUTO, decimal=AUTO)
    assert np.allclose(series.values[0], VALUES)
    assert series.clock.show(series.times(0)[[0, -1]]) == ["2015-01-01", "2018-04-01"]
    assert any(
        f"3 lines of whole years beside their parts left out: {path}:14 (2015 {whole})" in n for n in series.notes
    )


def test_a_first_column_with_empty_cells_is_no_year_otherwise(put):
    """Values of a few lines alone, beside a column that counts to twelve; they stay as they are."""
    rows = [f"{'' if k % 5 else 7 * k},{k % 12 + 1},{k}.5" for k in range(40)]
    path = put("\n".join(["load,month,x", *rows]) + "\n")
    series = read_long([path], time_col="line", sep=AUTO, decimal=AUTO, nan="drop")
    assert np.isnan(series.values[series.channels.index("load")]).sum() == 32


def test_a_name_above_its_times_and_a_day_above_its_hours(put):
    towns = {"North": range(0, 40), "South": range(50, 90), "West": range(7, 47)}
    rows = [
        f"{town * (k == 0)},{2015 + k // 12}-{k % 12 + 1:02d},{v}"
        for town, some in towns.items()
        for k, v in enumerate(some)
    ]
    path = put("\n".join(["Town,Month,x", *rows]) + "\n")
    found = dated(path, Dialect(AUTO, AUTO))
    assert (found.time, found.ids) == ("Month", ("Town",))
    series = read_long([path], time_col="Month", id_col="Town")
    assert series.rows == tuple(towns) and series.values.reshape(3, 40).tolist() == [
        list(some) for some in towns.values()
    ]
    hours = [f"{f'2024-02-{27 + k // 24}' * (k % 24 == 0)},{k % 24:02d}:00,{k}" for k in range(72)]
    path = put("\n".join(["Date,Time,x", *hours]) + "\n", "hours.csv")
    assert dated(path, Dialect(AUTO, AUTO)).time == "Date+Time"
    series = read_long([path], time_col="Date+Time")
    assert series.clock.freq == "h" and series.clock.show(series.time[[0, -1]]) == [
        "2024-02-27 00:00:00",
        "2024-02-29 23:00:00",
    ]


def test_remarks_on_some_days_name_no_series(put):
    """A holiday's name stands beside the first line too, but the days go on below the next one."""
    days = [f"{day}" for day in np.arange("2024-01-01", "2024-04-10", dtype="datetime64[D]")]
    rows = [f"{ {0: 'New Year', 45: 'Fair', 80: 'Easter'}.get(k, '') },{day},{k}" for k, day in enumerate(days)]
    path = put("\n".join(["Holiday,Date,x", *rows]) + "\n")
    found = dated(path, Dialect(AUTO, AUTO))
    assert found is None or not found.ids
    series = read_long([path], time_col="Date")
    assert len(series.rows) == 1 and series.values[0].tolist() == list(range(100))
