"""readers/factual.py: facts above lines that nothing names, and steps of several lengths below one another."""

from __future__ import annotations

import io

import pandas as pd
import pytest

from readers.factual import factual

from .runs import go

MONTHS = pd.period_range("2000-01", periods=60, freq="M")
VALUES = [100 + k % 12 + k / 8 for k in range(60)]
FACTS = [
    "Title,Index of prices",
    "CDID,L522",
    "PreUnit,",
    "Unit,2015=100",
    "Release date,19-06-2024",
    "Notes,",
]


def blocks():
    """Years, quarters and months of the same values, as the office of the United Kingdom writes them."""
    by = pd.Series(VALUES, MONTHS)
    years = [f"{year},{part.mean():.3f}" for year, part in by.groupby(by.index.year)]
    quarters = [f"{q.year} Q{q.quarter},{p.mean():.3f}" for q, p in by.groupby(by.index.asfreq("Q"))]
    months = [f"{month.year} {month.strftime('%b').upper()},{value:.3f}" for month, value in by.items()]
    return years, quarters, months


def made(text):
    table, _ = factual(io.BufferedReader(io.BytesIO(text.encode())), 1 << 16)
    return None if table is None else (table.text.read().decode().split("\n"), table.notes)


def test_the_shortest_steps_are_read_and_the_facts_above_are_not():
    years, quarters, months = blocks()
    lines, notes = made("\n".join([*FACTS, *years, *quarters, *months]) + "\n")
    assert lines == [""] * 5 + ["time,value", *months, ""]
    assert notes == (
        "no line names the columns below the facts: they are called time, value",
        "lines of longer steps beside the months left out: 5 of years and 20 of quarters",
    )
    lines, notes = made("\n".join(["date,index", *years, *quarters]) + "\n")
    assert lines == ["date,index", *quarters, ""] and notes == (
        "lines of longer steps beside the quarters left out: 5 of years",
    )


@pytest.mark.parametrize("flags", ["", ","])
def test_a_register_of_a_river_is_read(tmp_path, flags):
    facts = ["file,timestamp,2024-01-10T10:10:10", "database,id,nrfa-public-30", "station,id,39001"]
    facts += ["station,name,Thames", "dataType,id,gdf", "data,first,2020-01-01", "data,last,2020-02-25"]
    days = pd.date_range("2020-01-01", periods=56).strftime("%Y-%m-%d")
    lines = [f"{day},{60 + k % 9}.25{flags}" for k, day in enumerate(days)]
    (tmp_path / "river.csv").write_text("\n".join([*facts, *lines]) + "\n")
    done = go(tmp_path, "--task forecast --csv river.csv --horizon 2 --dry-run")
    assert done.code == 0 and "1 row of 56 steps; 1 channel (value); 2020-01-01 to 2020-02-25" in done.err, done.err
    assert "the columns below the facts: they are called time, value" in done.err
    (tmp_path / "river.csv").write_text("\n".join([*facts, *lines[:20], "2020-01-21,x" + flags, *lines[21:]]) + "\n")
    assert "river.csv:28:2: text 'x'" in go(tmp_path, "--task forecast --csv river.csv --horizon 2 --dry-run").err


@pytest.mark.parametrize(
    "text",
    [
        "\n".join([*FACTS, "Date,Price", *(f"2020-01-{k:02d},{k}" for k in range(1, 20))]),  # with names
        "\n".join(["Date,Price", *(f"2020-01-{k:02d},{k}" for k in range(1, 20))]),
        "\n".join(["Year,Price", *(f"{1990 + k},{k}" for k in range(20))]),
        "\n".join(["Quarter,Price", *(f"{2000 + k // 4} Q{1 + k % 4},{k}" for k in range(20))]),
    ],
)
def test_other_tables_are_left_as_they_are(text):
    assert made(text + "\n") is None
