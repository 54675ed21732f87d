"""readers/months_down.py: years side by side whose lines are the months."""

from __future__ import annotations

import pytest

from readers.dated import dated
from readers.dialect import AUTO, Dialect
from readers.long import read_long
from readers.months_down import months_down

ENGLISH = "January February March April May June July August September October November December".split()
TURKISH = "Ocak Şubat Mart Nisan Mayıs Haziran Temmuz Ağustos Eylül Ekim Kasım Aralık".split()
YEARS = [2019, 2020, 2021, 2022]


def table(months, sep=",", value=str, more="", below=(), years=YEARS):
    """The value of the k-th month of them all is k + 0.5; those of the last quarter are not known yet."""
    lines = [sep.join(["Month", *map(str, years), *[more] * bool(more)])]
    for m, month in enumerate(months):
        known = [12 * k + m + 0.5 for k in range(len(years))]
        cells = [value(v) if v < 12 * len(years) - 3 else "" for v in known]
        lines.append(sep.join([month, *cells, *["7"] * bool(more)]))
    return "\n".join([*lines, *below]) + "\n"


@pytest.mark.parametrize(
    "months", [ENGLISH, [name[:3].upper() for name in ENGLISH], TURKISH, [*map(str, range(1, 13))]]
)
@pytest.mark.parametrize("sep", [",", ";"])
def test_the_months_of_all_years_are_one_series(put, months, sep):
    path = put(table(months, sep, (lambda v: str(v).replace(".", ",")) if sep == ";" else str))
    assert dated(path, Dialect(AUTO, AUTO)).time == "month"
    series = read_long([path], time_col="month", sep=AUTO, decimal=AUTO, nan="auto")
    assert series.values.tolist() == [[k + 0.5 for k in range(45)]]
    assert series.clock.freq == "MS" and series.clock.show(series.time[[0, -1]]) == ["2019-01-01", "2022-09-01"]
    assert any("the months of the 4 years side by side: one monthly series" in note for note in series.notes)


def test_a_mean_beside_and_a_total_below_are_left_out_and_told(put):
    path = put(table(ENGLISH, more="Average", below=["", "Total,1,2,3,4,5"]))
    series = read_long([path], time_col="month", nan="auto")
    assert series.values.tolist() == [[k + 0.5 for k in range(45)]]
    assert any("left out beside them: Average, Total" in note for note in series.notes)


@pytest.mark.parametrize(
    "lines",
    [
        ["Month", *[str(year) for year in (2019, 2021, 2022)]],  # years apart
        ["Month", "2019", "price"],  # one year
    ],
)
def test_other_columns_are_no_years_side_by_side(lines):
    assert months_down([lines, *([month, *["1"] * (len(lines) - 1)] for month in ENGLISH)]) is None


def test_other_lines_are_no_months():
    names = ["Region", *map(str, YEARS)]
    assert months_down([names, *([f"part {k}", "1", "2", "3", "4"] for k in range(12))]) is None
    assert months_down([names, *([month, "1", "2", "3", "4"] for month in ENGLISH[::-1])]) is None
