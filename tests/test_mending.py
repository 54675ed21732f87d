"""readers/mending.py: lines that are missing or come twice, against the regular table they were taken from."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from errors import DataError
from readers.long import read_long
from times.clock import Clock

from .runs import go


def written(path, frame):
    frame.to_csv(path / "t.csv", index=False)
    return [path / "t.csv"]


def days(n, freq="D", start="2011-06-01"):
    times = pd.date_range(start, periods=n, freq=freq)
    return pd.DataFrame({"date": times.strftime("%Y-%m-%d %H:%M"), "y": np.arange(n) * 2.0, "z": -np.arange(n)})


def test_a_calendar_without_leap_days_is_daily(tmp_path):
    whole = days(800)
    leap = int(np.flatnonzero(whole["date"].str.contains("02-29"))[0])
    series = read_long(written(tmp_path, whole.drop(leap)), time_col="date")
    assert series.clock.freq == "D" and series.values.shape == (2, 800)
    wanted = whole[["y", "z"]].to_numpy().T
    wanted[:, leap] = wanted[:, leap - 1]
    np.testing.assert_array_equal(series.values, wanted)
    assert np.argwhere(series.filled).tolist() == [[0, leap], [1, leap]]
    assert "2012-02-29" in series.notes[0] and "never scored" in series.notes[0]


@pytest.mark.parametrize("freq", ["h", "D", "MS", "B", "W-MON", "15min"])
def test_a_few_lines_that_are_missing_or_double_are_made_regular(tmp_path, freq):
    whole = days(300, freq, "2011-05-02")
    double = whole.iloc[[7]].assign(y=20.0)  # beside 14: their mean is 17
    torn = pd.concat([whole.drop([2, 50, 51, 298]), double]).sort_values("date")
    series = read_long(written(tmp_path, torn), time_col="date", nan="drop")
    wanted = whole[["y", "z"]].to_numpy().T.copy()
    wanted[0, 7] = 17
    wanted[:, [2, 50, 51, 298]] = np.nan
    np.testing.assert_array_equal(series.values, wanted)
    assert series.filled is None and "twice" in " ".join(series.notes)


@pytest.mark.parametrize(("others", "fits"), [(0, True), (4, True), (40, False)])
def test_a_time_told_in_several_words_is_one_step(tmp_path, others, fits):
    """Rain and mist in a line each of one hour, with the same numbers but in a few hours: as the words are left out."""
    whole = days(300).assign(word="rain")
    whole.loc[::5, "z"] = np.nan
    again = whole.iloc[::3].assign(word="mist")
    again.iloc[:others, 1] += 1.0
    torn = pd.concat([whole, again, again.assign(word="fog")]).sort_values("date", kind="stable")
    if not fits:
        with pytest.raises(DataError, match="occurs twice"):
            read_long(written(tmp_path, torn), time_col="date", nan="drop")
        return
    series = read_long(written(tmp_path, torn), time_col="date", nan="drop")
    wanted = whole[["y", "z"]].to_numpy().T.copy()
    for k in range(others):
        wanted[0, 3 * k] = (wanted[0, 3 * k] + 2 * (wanted[0, 3 * k] + 1)) / 3
    np.testing.assert_allclose(series.values, wanted, rtol=1e-6)
    assert "100 times come twice, and the mean of its lines is taken" in " ".join(series.notes)


def test_series_of_one_table_are_mended_each_by_itself(tmp_path):
    one, two = days(200).assign(id="a"), days(120, start="2012-01-01").assign(id="b")
    series = read_long(written(tmp_path, pd.concat([one.drop(5), two.drop(90)])), time_col="date", id_col="id")
    assert series.lengths.tolist() == [200, 120]
    assert np.flatnonzero(series.filled[0]).tolist() == [5, 290]


def test_an_hour_left_out_where_clocks_change_gets_a_line_though_another_is_missing_before(
    tmp_path,
):
    whole = days(24 * 365, "h", "2011-01-01")  # as of a table of counts by the hour, in which the double hour is one
    torn = whole[~whole["date"].isin(["2011-01-02 05:00", "2011-03-13 02:00"])]
    series = read_long(written(tmp_path, torn), time_col="date", nan="auto")
    assert series.clock.freq == "h" and series.values.shape == (2, 24 * 365)
    at = [29, int(np.flatnonzero(whole["date"] == "2011-03-13 02:00")[0])]
    assert np.flatnonzero(series.filled[0]).tolist() == at
    assert series.values[0, at].tolist() == [2.0 * (k - 1) for k in at]
    assert any("clocks seem to be changed" in note for note in series.notes)


@pytest.mark.parametrize("dropped", [range(10, 14), range(10, 40, 2)])
def test_more_than_a_few_are_refused(tmp_path, dropped):
    with pytest.raises(DataError, match="usual step"):
        read_long(written(tmp_path, days(150).drop(list(dropped))), time_col="date")


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Europe/London", "America/New_York", "Australia/Sydney"])
def test_the_zone_is_found_by_the_hours_in_which_clocks_are_changed(tmp_path, zone):
    axis = pd.date_range("2021-01-01", "2021-12-31 23:00", freq="h", tz=zone)
    frame = pd.DataFrame({"date": axis.tz_localize(None).strftime("%Y-%m-%d %H:%M"), "y": np.arange(len(axis))})
    path = written(tmp_path, frame)
    series = read_long(path, time_col="date")
    assert series.clock == Clock("h", zone) and series.values[0].tolist() == [*range(len(axis))]
    np.testing.assert_array_equal(series.time, axis.as_unit("ns").asi8)
    assert f"times taken as those of {zone}," in " ".join(series.notes)
    with pytest.raises(DataError, match="daylight saving") as caught:
        read_long(path, time_col="date", strict=True)
    assert f"--tz {zone}, or" in caught.value.hint


# ---- under --nan auto, the default of the command line


def test_lines_that_are_missing_in_a_regular_table_become_gaps(tmp_path):
    whole = days(300)
    gone = [*range(50, 80), *range(100, 140, 4), 200]
    series = read_long(written(tmp_path, whole.drop(gone)), time_col="date", nan="auto")
    assert series.clock.freq == "D" and series.values.shape == (2, 300)
    filled = [k for k in gone if k >= 80]  # 30 days are more than a short gap
    assert np.flatnonzero(series.filled[0]).tolist() == filled
    assert np.flatnonzero(np.isnan(series.values[0])).tolist() == list(range(50, 80))
    assert series.values[0, filled].tolist() == whole["y"][[k - 1 for k in filled]].tolist()
    with pytest.raises(DataError, match="usual step"):
        read_long(
            written(tmp_path, whole.drop(list(range(2, 298, 3)) + list(range(3, 298, 3)))), time_col="date", nan="auto"
        )


def test_series_beside_others_may_lack_more(tmp_path):
    years = pd.DataFrame({"date": np.arange(1990, 2020), "y": np.arange(30.0)})
    some = years.iloc[[3, 6, 11, 13]]
    both = pd.concat([years.assign(id="a"), some.assign(id="b")])
    series = read_long(written(tmp_path, both), time_col="date", id_col="id", nan="auto")
    assert series.lengths.tolist() == [30, 11] and series.clock.freq == "YS-JAN"
    assert series.values[0, 30:].tolist() == [3, 3, 3, 6, 6, 6, 6, 6, 11, 11, 13]


def local(zone, freq, n, ending=0):
    times = pd.date_range("2023-01-01", periods=n, freq=freq, tz="UTC").tz_convert(zone).tz_localize(None)
    return pd.DataFrame(
        {"date": (times + pd.Timedelta(hours=ending)).strftime("%Y-%m-%d %H:%M"), "y": np.arange(n) * 1.0}
    )


@pytest.mark.parametrize(("zone", "freq"), [("Europe/Berlin", "h"), ("Australia/Sydney", "30min")])
def test_clocks_that_are_changed_as_in_a_zone_are_those_of_the_zone(tmp_path, zone, freq):
    n = 400 * pd.Timedelta("1D") // pd.Timedelta(pd.tseries.frequencies.to_offset(freq))
    series = read_long(written(tmp_path, local(zone, freq, n)), time_col="date", nan="auto")
    np.testing.assert_array_equal(series.values[0], np.arange(n))
    assert series.clock.tz == zone and f"those of {zone}," in " ".join(series.notes)


def test_the_double_hour_of_no_known_zone_becomes_one_and_the_missing_one_is_filled(tmp_path):
    frame = local("America/New_York", "h", 9000, ending=1)  # hours by their end: 02:00 comes twice
    series = read_long(written(tmp_path, frame), time_col="date", nan="auto")
    (twice,) = np.flatnonzero(frame["date"].duplicated())
    spring = int(np.flatnonzero(series.filled[0])[0])
    assert series.values.shape == (1, 9000) and series.filled.sum() == 1
    assert series.values[0, spring] == series.values[0, spring - 1]
    assert series.values[0, twice] == twice - 0.5 and series.values[0, twice + 1] == twice + 1
    with pytest.raises(DataError, match="daylight saving"):
        read_long(written(tmp_path, frame), time_col="date")


def test_a_pause_makes_a_log_no_less_regular(tmp_path):
    """200 minutes, a pause of 500, 100 minutes: more than half of the steps lack a line, 500 of them in one place."""
    begin = pd.Timestamp("2024-01-01")
    minutes = [*range(200), *range(700, 800)]
    lines = [f"{begin + pd.Timedelta(minutes=m)},{m % 7}.5" for m in minutes]
    (tmp_path / "log.csv").write_text("\n".join(["time,v", *lines]) + "\n")
    series = read_long([tmp_path / "log.csv"], time_col="time", nan="auto")
    assert series.lengths.tolist() == [800]
    assert np.isnan(series.values[0]).sum() == 500 and series.values[0, 700] == 0.5
    for task in ("forecast --horizon 2", "regress --test-ratio 0.2"):
        run = f"--task {task} --csv log.csv --context-len 4 --backbone ridge --dry-run"
        made = go(tmp_path, run)  # a tenth of the steps lies in the pause
        assert made.code == 0 and "validation and test are shares of the windows" in made.err, made.err


def test_many_pauses_or_endless_ones_are_refused(tmp_path):
    begin = pd.Timestamp("2024-01-01")
    for minutes in ([m + 150 * (m // 20) for m in range(200)], [*range(60), *range(90_000, 90_060)]):
        lines = [f"{begin + pd.Timedelta(minutes=m)},{m % 7}.5" for m in minutes]
        (tmp_path / "log.csv").write_text("\n".join(["time,v", *lines]) + "\n")
        with pytest.raises(DataError, match="where the usual step is 1min"):
            read_long([tmp_path / "log.csv"], time_col="time", nan="auto")


@pytest.mark.parametrize(
    ("hours", "zone"), [(["2002-10-27 02:00"], "Australia"), (["2002-10-06 03:00", "2002-10-27 02:00"], "")]
)
def test_a_zone_that_explains_half_of_the_missing_hours_is_not_taken(tmp_path, hours, zone):
    """As of hours by their end elsewhere, of which one of the two that are missing is by chance so in Sydney too."""
    times = pd.date_range("2002-09-01", "2002-12-01", freq="h").astype(str)
    kept = [time for time in times if time[:16] not in hours]
    frame = pd.DataFrame({"date": kept, "y": np.arange(len(kept)) % 24})
    series = read_long(written(tmp_path, frame), time_col="date", nan="auto")
    assert series.clock.tz.partition("/")[0] == zone
    assert len(series.values[0]) == len(times) - (zone != "")
