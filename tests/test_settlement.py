"""times/settlement.py: days and the number of a half hour, an hour or a quarter of one."""

from __future__ import annotations

import pandas as pd
import pytest

from readers.dated import dated
from readers.dialect import AUTO, Dialect
from readers.long import read_long
from times.settlement import begins_of, is_settled

MINUTES = {48: 30, 24: 60, 96: 15}


def lines(begin, end, zone, parts, name="SETTLEMENT_PERIOD"):
    """A market's table, and its times by the zone's own clock."""
    days = pd.date_range(begin, end, freq="D")
    each = [pd.date_range(day.tz_localize(zone), (day + pd.Timedelta(days=1)).tz_localize(zone), freq=f"{MINUTES[parts]}min", inclusive="left") for day in days]  # noqa: E501  # fmt: skip
    cells = [
        f"{day:%d-%b-%Y},{k},{k % 7}" for day, some in zip(days, each, strict=True) for k in range(1, len(some) + 1)
    ]
    return "\n".join([f"SETTLEMENT_DATE,{name},x", *cells]), each[0].append(each[1:])


@pytest.mark.parametrize(("zone", "parts"), [("Europe/London", 48), ("Europe/Berlin", 24), ("Europe/Berlin", 96)])
@pytest.mark.parametrize(("begin", "end"), [("2023-03-01", "2023-04-20"), ("2023-10-01", "2023-11-20")])
def test_clocks_are_changed_within_the_days_of_an_hour_more_or_less(put, zone, parts, begin, end):
    text, times = lines(begin, end, zone, parts)
    path = put(text)
    assert dated(path, Dialect(AUTO, AUTO)).time == "SETTLEMENT_DATE+SETTLEMENT_PERIOD"
    series = read_long([path], time_col="SETTLEMENT_DATE+SETTLEMENT_PERIOD")
    assert series.time.tolist() == times.as_unit("ns").asi8.tolist()
    assert series.clock.tz == zone


def test_times_of_a_day_of_48():
    found, note = begins_of(["a"] * 48, [str(k) for k in range(1, 49)])
    assert found == [f"{k // 2:02d}:{k % 2 * 30:02d}" for k in range(48)]
    assert note == "of the 48 parts of a day the beginnings are taken"


@pytest.mark.parametrize("days", [["2023-03-01"] * 48 + ["2023-03-02"] * 46, ["2023-03-01"] * 46 + ["2023-03-02"] * 48])
def test_a_table_may_begin_or_end_amid_a_day(days):
    numbers = [str(k) for day in dict.fromkeys(days) for k in range(1, days.count(day) + 1)]
    assert begins_of(days, numbers)[0][-1] == (
        "22:30" if days[-1] == "2023-03-02" and days.count(days[-1]) == 46 else "23:30"
    )


def test_days_with_missing_lines_are_no_change_of_clocks():
    days = [f"2023-03-{day:02d}" for day in range(1, 21) for _ in range(46 if day % 5 == 0 else 48)]
    numbers = [str(k) for day in dict.fromkeys(days) for k in range(1, days.count(day) + 1)]
    times, note = begins_of(days, numbers)
    assert "clocks" not in note and times[numbers.index("3")] == "01:00" and times[48 * 4 + 2] == "01:00"


@pytest.mark.parametrize(
    ("name", "cells"),
    [("period", [*map(str, range(1, 31))]), ("shop", [*map(str, range(1, 49))]), ("period", [*map(str, range(48))])],
)
def test_other_counts_are_none(name, cells):
    assert not is_settled(name, cells)
