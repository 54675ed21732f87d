"""readers/calendar_lines.py: lines one a calendar step that are not evenly apart."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from errors import DataError
from readers.long import read_long


def read(folder, dates, nan="error"):
    frame = pd.DataFrame({"date": [f"{date:%Y-%m-%d %H:%M}" for date in dates], "y": np.arange(len(dates)) * 1.0})
    frame.to_csv(folder / "t.csv", index=False)
    return read_long([folder / "t.csv"], time_col="date", nan=nan)


def last_trading_days() -> pd.Series:
    days = pd.bdate_range("2010-01-01", "2016-12-31")
    open_days = days[np.random.default_rng(0).random(len(days)) > 0.04]
    return pd.Series(open_days).groupby([open_days.year, open_days.month]).max()


def test_the_last_trading_days_of_months_are_months(tmp_path):
    series = read(tmp_path, last_trading_days())
    assert series.clock.freq == "MS" and series.values.shape[1] == 84 and series.filled is None
    assert series.clock.show(series.time[[0, -1]]) == ["2010-01-01", "2016-12-01"]
    assert "one a month" in series.notes[0] and series.values[0].tolist() == list(range(84))


def test_a_month_without_a_line_is_made(tmp_path):
    series = read(tmp_path, last_trading_days().drop(index=(2012, 5)), nan="drop")
    assert series.values.shape[1] == 84 and np.flatnonzero(np.isnan(series.values[0])).tolist() == [28]


@pytest.mark.parametrize(
    ("dates", "freq"),
    [
        (
            [
                day + pd.Timedelta(days=int(k % 9 == 4))
                for k, day in enumerate(pd.date_range("2019-01-07", periods=90, freq="7D"))
            ],
            "7D",
        ),
        (
            [
                day.replace(day=1 + 27 * (k % 2))
                for k, day in enumerate(pd.date_range("2010-01-01", periods=60, freq="MS"))
            ],
            "MS",
        ),
        (
            [
                day + pd.Timedelta(days=k * 5 % 13)
                for k, day in enumerate(pd.date_range("2000-01-01", periods=40, freq="QS"))
            ],
            "QS-JAN",
        ),
    ],
)
def test_weeks_months_and_quarters(tmp_path, dates, freq):
    series = read(tmp_path, dates)
    assert series.clock.freq == freq and series.values.shape[1] == len(dates)


def test_holidays_of_business_days_are_made_regular(tmp_path):
    days = pd.bdate_range("2018-01-01", periods=300)
    series = read(tmp_path, days[np.arange(300) % 26 != 12])  # 4 in 100
    assert series.clock.freq == "B" and series.values.shape[1] == 300 and int(series.filled[0].sum()) == 12


def test_lines_that_share_their_steps_are_refused(tmp_path):
    dates = [
        day + pd.Timedelta(days=(k % 2) * 20)
        for k, day in enumerate(pd.date_range("2010-01-01", periods=60, freq="MS"))
    ]
    dates[10:20] = [dates[10] + pd.Timedelta(days=k) for k in range(10)]
    with pytest.raises(DataError, match="usual step"):
        read(tmp_path, dates)


def test_lines_of_each_day_at_another_hour_are_days(tmp_path):
    """A report that comes at 18:00 and, later on, at 17:00; one day has none."""
    days = pd.date_range("2020-02-24", periods=60, freq="D")
    times = [day + pd.Timedelta(hours=18 if k < 16 else 17) for k, day in enumerate(days) if k != 40]
    path = tmp_path / "a.csv"
    path.write_text("data,cases\n" + "\n".join(f"{t:%Y-%m-%dT%H:%M:%S},{k}" for k, t in enumerate(times)))
    series = read_long([path], time_col="data", nan="drop")
    assert series.clock.freq == "D" and series.time.tolist() == days.as_unit("ns").asi8.tolist()
    assert "lines are one a day, not evenly apart, and count as such: 2020-02-24 18:00:00" in " ".join(series.notes)


def test_a_device_whose_steps_hardly_repeat_is_told_its_usual_one(tmp_path):
    """Ten seconds and some, and pairs a tenth of a millisecond apart: the pairs alone are of one length."""
    gaps = [0.0001 if k % 4 == 0 else 10 + 0.0007 * k for k in range(1, 200)]
    times = 1494645233.0 + np.cumsum(gaps)
    path = tmp_path / "a.csv"
    path.write_text("DateTime,Voltage\n" + "\n".join(f"{t:.4f},{k}" for k, t in enumerate(times)))
    with pytest.raises(DataError, match="where the usual step is 10s") as refused:
        read_long([path], time_col="DateTime")
    assert "--resample 10s makes the steps regular" in refused.value.hint
