"""sources/meter_tables.py: long tables of meters, and the real files."""

from __future__ import annotations

import math
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from errors import DataError, UsageError
from readers.dialect import Dialect
from sources.meter_tables import read_meter
from times.clock import Clock

NAN = math.nan


def fails(kind, what, *parts, **options):
    with pytest.raises(kind) as caught:
        what(**options)
    for part in parts:
        assert part in str(caught.value), str(caught.value)


def long_csv(folder: Path, lines: list[str], name: str = "house.csv", head: str = "when,total,fridge,tv") -> Path:
    path = folder / name
    path.write_text("\n".join([head, *lines]) + "\n")
    return path


def meter(*paths, **options):
    given = {"time_col": "when", "mains_col": "total", "device_cols": {"cold": "fridge"}, "sample": 10}
    return read_meter(paths, **given | options)


def test_a_meter_of_uneven_lines_comes_on_a_grid(tmp_path):
    times = ["12:00:00", "12:00:04", "12:00:04", "12:00:19", "12:00:31", "12:03:00"]
    lines = [f"2020-05-05 {time},{100 * k},{k},0" for k, time in enumerate(times)]
    lines[1] = "2020-05-05 12:00:04,700,7,0"  # the same time again
    series = meter(long_csv(tmp_path, lines))
    assert series.channels == ("mains", "cold") and series.rows == ("house",) and series.clock == Clock("10s", "")
    assert "house: 1 lines of the same time as the line before averaged with it" in series.notes
    # 12:00:00 to :10 holds 0, 700 and 200; from 12:00:31 to 12:03:00 nothing is said for more than a minute
    np.testing.assert_array_equal(series.values[0], [300, 300, 300, 400, *[NAN] * 14, 500])
    np.testing.assert_array_equal(series.values[1, :4], [3, 3, 3, 4])
    longer = meter(long_csv(tmp_path, lines), max_fill=149)
    np.testing.assert_array_equal(longer.values[0, 4:], [*[400] * 14, 500])


def test_several_files_are_several_houses_and_other_dialects_are_read(tmp_path):
    first = [f"2020-05-05 12:00:{s:02d};{s},5;1;2" for s in range(0, 60, 10)]
    second = [f"2021-05-05 12:00:{s:02d};{s},5;1;2" for s in range(0, 40, 10)]
    head = "when;total;fridge;tv"
    paths = [long_csv(tmp_path, first, "a.csv", head), long_csv(tmp_path, second, "b.csv", head)]
    series = meter(*paths, dialect=Dialect(";", ","), tz="Europe/Berlin", device_cols={"cold": "fridge", "tv": "tv"})
    assert series.rows == ("a", "b") and series.lengths.tolist() == [6, 4]
    assert series.values[0, 5:7].tolist() == [50.5, 0.5]
    assert series.clock.show(series.time[[0, 6]]) == ["2020-05-05 12:00:00+02:00", "2021-05-05 12:00:00+02:00"]
    assert [source.shape for source in series.sources] == [(6, 4), (4, 4)]


def test_local_times_pass_through_the_change_of_clocks(tmp_path):
    wall = ["01:59:40", "01:59:50", "02:00:00", "02:30:00", "02:00:00", "02:30:00", "03:00:00"]
    lines = [f"2020-10-25 {time},{k},{k},0" for k, time in enumerate(wall)]
    series = meter(long_csv(tmp_path, lines), tz="Europe/Berlin", sample=600, max_fill=1800)
    times = series.clock.show(series.time)
    assert times[0] == "2020-10-25 01:50:00+02:00" and times[-1] == "2020-10-25 03:00:00+01:00"
    assert series.values[0].tolist() == [0.5, 2, 2, 2, 3, 3, 3, 4, 4, 4, 5, 5, 5, 6]
    skipped = ["2020-03-29 01:59:50,1,1,0", "2020-03-29 02:30:00,1,1,0"]
    fails(DataError, meter_of(long_csv(tmp_path, skipped)), "there is no 2020-03-29 02:30:00", tz="Europe/Berlin")


def meter_of(*paths):
    return lambda **options: meter(*paths, **options)


def test_times_that_go_back_are_an_error_or_sorted(tmp_path):
    lines = ["2020-05-05 12:00:20,2,2,0", "2020-05-05 12:00:00,0,0,0", "2020-05-05 12:00:10,1,1,0"]
    path = long_csv(tmp_path, lines)
    fails(DataError, meter_of(path), "times go back", "house.csv:3", "--sort sorts the lines by time")
    assert meter(path, sort=True).values[0].tolist() == [0, 1, 2]


@pytest.mark.parametrize("sep", [",", ";"])
def test_a_file_without_times_is_given_some_by_the_hint(tmp_path, sep):
    lines = [f"{k},{100 + k},{k % 5},0" for k in range(40)]
    path = tmp_path / "house.csv"
    path.write_text("\n".join(["when,total,fridge,tv", *lines]).replace(",", sep) + "\n")
    with pytest.raises(DataError, match="meters need times, and this column counts steps") as caught:
        meter(path, dialect=Dialect(sep))
    command = caught.value.hint.partition("3 s apart, ")[2].removesuffix(" writes one")
    subprocess.run(command, shell=True, check=True, cwd=tmp_path)
    series = meter(tmp_path / "timed.csv", dialect=Dialect(sep), time_col="time", sample=3)
    assert series.values[0].tolist() == [100 + k for k in range(40)]
    assert series.clock == Clock("3s", "UTC") and series.clock.show(series.time[:1]) == ["2020-01-01 00:00:00+00:00"]


def test_what_a_long_csv_may_lack(tmp_path):
    lines = [f"2020-05-05 12:00:{s:02d},100,{s},-4" for s in range(0, 60, 10)]
    path = long_csv(tmp_path, lines)
    fails(DataError, meter_of(path), "no column 'totl'", "did you mean total?", mains_col="totl")
    fails(DataError, meter_of(path), "no column 'frigde'", "did you mean fridge?", device_cols={"x": "frigde"})
    fails(DataError, meter_of(path), "no column 'time'", time_col="time")
    assert "warning: house: cool is negative in 6 steps, down to -4 W" in meter(path, device_cols={"cool": "tv"}).notes
    mixed = [*lines[:3], "2020-05-05 12:00:30+02:00,1,1,1"]
    fails(DataError, meter_of(long_csv(tmp_path, mixed)), "house.csv:5", "offset from UTC")
    text = [*lines[:3], "2020-05-05 12:00:30,1,much,1"]
    fails(DataError, meter_of(long_csv(tmp_path, text)), "text 'much'", "house.csv:5:3")
    empty = [f"2020-05-05 12:00:{s:02d},100,,1" for s in range(0, 60, 10)]
    fails(DataError, meter_of(long_csv(tmp_path, empty)), "device 'cold' has no reading")
    above = [f"2020-05-05 12:00:{s:02d},100,{90 + s},1" for s in range(0, 60, 10)]
    notes = meter(long_csv(tmp_path, above)).notes
    assert notes == ("warning: house: the devices sum to more than the mains in 50.00% of the steps",)


def test_the_mains_may_stand_alone_and_no_device_takes_their_name(tmp_path):
    path = long_csv(tmp_path, [f"2020-05-05 12:00:{s:02d},5,1,2" for s in range(0, 40, 10)])
    assert meter(path, device_cols={}).values.tolist() == [[5, 5, 5, 5]]
    fails(UsageError, meter_of(path), "cannot be named mains", device_cols={"mains": "tv"})


@pytest.mark.slow
def test_the_real_files_come_through_line_by_line(shared):
    path = shared / "refit_house2" / "refit_house2_2015-01-04_2015-01-17_8s.csv.gz"
    names = ["fridge", "washing_machine", "dishwasher", "microwave"]
    columns = {"time_col": "timestamp", "mains_col": "aggregate", "device_cols": dict(zip(names, names, strict=True))}
    series = read_meter([path], **columns, sample=8)
    table = pd.read_csv(path, index_col=0, parse_dates=True)
    np.testing.assert_array_equal(series.values, table.to_numpy(np.float32).T)
    coarse = read_meter([path], **columns, sample=16, start="2015-01-06", end="2015-01-08")
    wanted = table.loc["2015-01-06":"2015-01-07"].resample("16s").mean()
    np.testing.assert_allclose(coarse.values, wanted.to_numpy().T, rtol=1e-6)
    assert coarse.time.tolist() == wanted.index.as_unit("ns").asi8.tolist()
