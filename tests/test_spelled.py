"""readers/spelled.py and text.py: reports of weather services, widths below the names, line ends of old Macs."""

from __future__ import annotations

import numpy as np
import pytest

from errors import DataError
from readers.dated import dated
from readers.dialect import AUTO, Dialect
from readers.long import read_long
from readers.wide import read_wide

MONTHS = [(1948 + k // 12, 1 + k % 12) for k in range(30)]


def report(note="", end="\n"):
    above = ["Station (London)", "Location 507800E 176700N, 25m amsl", "Missing data, if any, is marked by ---."]
    names = ["   yyyy  mm   tmax    rain     sun", "              degC      mm   hours"]
    rows = [f"   {year}  {month:2d}   {k / 10:4.1f}    {k}.5    {k}.0{note}" for k, (year, month) in enumerate(MONTHS)]
    rows[4] = "   1948   5   0.4*   ---     4.0#"
    return end.join([*above, *names, *rows]) + end


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("note", ["", "  Provisional"])
def test_a_report_in_columns(put, end, note):
    path = put(report(note, end))
    assert dated(path, Dialect(AUTO, AUTO)).time == "yyyy+mm"
    series = read_long([path], time_col="yyyy+mm", sep=AUTO, decimal=AUTO, nan="drop")
    assert series.channels == ("tmax", "rain", "sun") and series.clock.freq == "MS"
    numbers = np.arange(30)
    want = np.array([numbers / 10, np.where(numbers == 4, np.nan, numbers + 0.5), numbers])
    np.testing.assert_allclose(series.values, want, rtol=1e-6)
    with pytest.raises(DataError, match=r"\.csv:10:4: missing value"):
        read_long([path], time_col="yyyy+mm", sep=AUTO, decimal=AUTO)


def test_the_widths_of_columns_are_no_line(put):
    lines = ["# a river, feet", "agency\tdatetime\t60_va\t60_cd", "5s\t20d\t14n\t10s"]
    lines += [f"USGS\t2024-01-{day:02d}\t{day}\tA" for day in range(1, 21)]
    path = put("\n".join(lines))
    assert dated(path, Dialect(AUTO, AUTO)).time == "datetime"
    series = read_long([path], time_col="datetime", sep=AUTO, decimal=AUTO)
    assert series.values.tolist() == [list(range(1, 21))]


def test_names_behind_a_hash_sign(put):
    lines = [
        "# taken at De Bilt, free to use",
        "# ",
        "# STN,YYYYMMDD,   TG",
        *(f"  260,202401{d:02d},  {d}" for d in range(1, 31)),
    ]
    path = put("\n".join(lines))
    assert dated(path, Dialect(AUTO, AUTO)).time == "YYYYMMDD"
    assert read_long([path], time_col="YYYYMMDD").values[1].tolist() == list(range(1, 31))


def test_line_ends_of_old_macs(put):
    assert read_wide([put("1,2\r3,4\r5,6\r")]).values.tolist() == [[1, 2, 3, 4, 5, 6]]
