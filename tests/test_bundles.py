"""readers/bundles.py: columns that are several quantities at several dates, against pandas' wide_to_long."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from errors import DataError
from readers.bundles import bundled
from readers.wide import read_wide

YEARS = range(2010, 2018)


def frame(words=("gdp", "jobs"), rows=3):
    """A row of whole numbers for each region, all different."""
    names = [f"{word}_{year}" for word in words for year in YEARS]
    numbers = np.arange(rows * len(names)).reshape(rows, -1)
    return pd.DataFrame(numbers, columns=names).assign(geo=[f"R{row}" for row in range(rows)])


def test_each_quantity_is_a_channel(put):
    table = frame()
    series = read_wide([put(table[["geo", *table.columns[:-1]]].to_csv(index=False))])
    long = pd.wide_to_long(table, ["gdp", "jobs"], "geo", "year", sep="_").sort_index()
    assert series.channels == ("gdp", "jobs") and series.rows == ("R0", "R1", "R2")
    np.testing.assert_array_equal(series.values, long[["gdp", "jobs"]].to_numpy().T)
    assert series.clock is not None and series.clock.freq == "YS-JAN"
    years = pd.to_datetime([str(year) for year in YEARS]).as_unit("ns").asi8
    np.testing.assert_array_equal(series.times(2), years)
    assert any("columns are 2 quantities at 8 dates, a channel each: gdp, jobs" in note for note in series.notes)


def test_the_order_of_columns_and_words_before_them_change_nothing(put):
    table = frame()
    names = sorted(table.columns[:-1], key=lambda name: (name[-4:], name), reverse=True)
    mixed = table.assign(land="X")[["geo", "land", *names]]
    plain, other = (
        read_wide([put(each.to_csv(index=False), name)])
        for each, name in [(table[["geo", *table.columns[:-1]]], "a.csv"), (mixed, "b.csv")]
    )
    assert sorted(other.channels) == sorted(plain.channels) and other.rows == plain.rows
    np.testing.assert_array_equal(other.arranged(plain.channels).values, plain.values)


def test_a_quantity_that_lacks_a_year_has_a_gap_there(put):
    table = frame().drop(columns="jobs_2012")
    path = put(table[["geo", *table.columns[:-1]]].to_csv(index=False))
    series = read_wide([path], nan="drop")
    missing = np.isnan(series.view())
    assert missing[:, 1, 2].all() and missing.sum() == 3
    with pytest.raises(DataError, match="3 missing"):
        read_wide([path], nan="error")


def test_the_place_of_an_empty_cell_is_that_in_the_file(put):
    table = frame()[["geo", *frame().columns[:-1]]].astype(object)
    table.loc[1, "jobs_2011"] = ""
    with pytest.raises(DataError) as caught:
        read_wide([put(table.to_csv(index=False))], nan="error")
    assert caught.value.where.endswith(f"a.csv:3:{1 + list(table.columns).index('jobs_2011')}")


@pytest.mark.parametrize(
    ("names", "words", "dates"),
    [
        (["2010 a", "2011 a", "2012 a", "2010 b", "2011 b", "2012 b"], ["a", "b"], ("2010", "2011", "2012")),
        ([f"{w}{y}Q{q}" for w in "xy" for y in (2001, 2002) for q in (1, 2, 3, 4)], ["x", "y"], None),
        ([f"{w}.{y}{m:02d}" for w in ("x", "y") for y in (2001, 2002) for m in range(1, 13)], ["x", "y"], None),
    ],
)
def test_names_that_are_a_word_and_a_date(names, words, dates):
    found, shared = bundled(names)
    assert [word for word, _ in found] == words
    assert [names[column] for column in found[1][1]] == [name for name in names if words[1] in name]
    assert dates is None or shared == dates


@pytest.mark.parametrize(
    "names",
    [
        [f"sales_{year}" for year in YEARS],  # one quantity
        [f"{word}_{k}" for word in "ab" for k in range(30)],  # no years
        ["a_2010", "a_2011", "b_2010", "b_2011"],  # two show no step
        [*(f"a_{year}" for year in YEARS), *(f"b_{year}" for year in YEARS), "area"],
    ],
)
def test_other_names_are_not_split(names):
    assert bundled(names) == ((), ())
