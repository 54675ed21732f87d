"""readers/remarks.py: remarks above a table in the marks of MATLAB, of C and of NOAA."""

from __future__ import annotations

import numpy as np
import pytest

from readers.dated import dated
from readers.dialect import AUTO, Dialect
from readers.long import read_long

WAVE = np.sin(np.arange(90) / 4).round(3)


@pytest.mark.parametrize("mark", ["%", "%% ", "// ", "! ", ":Issued: 2024 "])
def test_remarks_above_numbers(put, mark):
    """As recorders of brain waves write: the first line was the table's name, and refused."""
    remarks = f"{mark}Recorder\n{mark}Sample Rate = 250 Hz\n\n# of a second kind\n"
    body = "".join(f"{k % 8}, {w}, {-w}, {w / 2:.4f}\n" for k, w in enumerate(WAVE))
    path = put(remarks + body, "r.txt")
    assert dated(path, Dialect(AUTO, AUTO)).time == "line"
    series = read_long([path], time_col="line", sep=AUTO, decimal=AUTO)
    assert series.channels == ("1", "2", "3", "4") and series.values.shape == (4, 90)
    np.testing.assert_allclose(series.values[2], -WAVE, rtol=1e-6)


def test_a_list_of_noaa(put):
    """Its times are a year, a month, a day and HHMM."""
    above = ":Data_list: mag.txt\n:Created: 2009 Jan 02 0011 UT\n# By NOAA\n#\n# YR MO DA  HHMM    S     Bx\n#----\n"
    lines = [f"2009 01 01  {k // 60:02d}{k % 60:02d}    0    {w:6.3f}\n" for k, w in enumerate(WAVE)]
    path = put(above + "".join(lines), "mag.txt")
    assert dated(path, Dialect(AUTO, AUTO)).time in ("YR+MO+DA+HHMM", "1+2+3+4")
    time = dated(path, Dialect(AUTO, AUTO)).time
    series = read_long([path], time_col=time, sep=AUTO, decimal=AUTO)
    assert series.clock.show(series.time[[0, -1]]) == ["2009-01-01 00:00:00", "2009-01-01 01:29:00"]
    np.testing.assert_allclose(series.values[-1], WAVE, rtol=1e-6)


@pytest.mark.parametrize("text", ["%,a\n1,2\n3,4\n5,6\n", "!x,y\n1,2\n3,4\n5,6\n"])
def test_a_text_of_one_such_line_keeps_its_names(put, text):
    series = read_long([put(text, "t.csv")], time_col="line")
    assert series.values.shape == (2, 3)
