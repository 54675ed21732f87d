"""readers/longtext.py: what stands above a header, comments, and times in several columns."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from errors import DataError
from readers.long import read_long

from .runs import good, strict

HOURS = pd.date_range("2024-01-30", periods=30, freq="h")
LINES = [f"{time},{k}" for k, time in enumerate(HOURS)]
ABOVE = 'Station "Nord\nexported 2024-05-01, by hand\n\n'


def read(put, text, **options):
    return read_long([put(text)], time_col="t", **options)


@pytest.mark.parametrize("mark", ["", "# "])
@pytest.mark.parametrize("above", ["", "# made by a logger\n", ABOVE, "#a\n#b\n\n"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_what_stands_above_the_header_is_left_out(put, mark, above, end):
    text = (above + "\n".join([f"{mark}t,x", *LINES])).replace("\n", end)
    found = read(put, text)
    assert found.channels == ("x",) and found.values[0].tolist() == list(range(30))
    lines = above.count("\n")
    told = [note for note in found.notes if "above the header left out" in note]
    assert len(told) == bool(lines) and all(re.search(rf"lines? (1 to )?{lines} above", note) for note in told)
    bad = text.replace(f"04:00:00,4{end}", f"04:00:00,x{end}")
    with pytest.raises(DataError, match=rf"a.csv:{lines + 6}:2: text 'x'"):
        read(put, bad)


def test_comments_between_the_lines_are_left_out(put):
    lines = ["t,x", *LINES]
    for at in (20, 9, 9):
        lines.insert(at, "# restarted, by hand")
    found = read(put, "\n".join(lines))
    assert found.values[0].tolist() == list(range(30))
    assert "3 lines that begin with # left out" in found.notes[0]
    for hour, line in ((5, 7), (8, 12), (25, 30)):
        with pytest.raises(DataError, match=rf"a.csv:{line}:2: text 'x'"):
            read(put, "\n".join(lines).replace(f"{HOURS[hour]},{hour}", f"{HOURS[hour]},x"))


@pytest.mark.parametrize(
    ("time_col", "forms"),
    [
        ("d+c", ("%Y-%m-%d", "%H:%M")),
        ("d+c", ("%d.%m.%Y", "%H:%M:%S")),
        ("d+c", ("%m/%d/%Y", "%I:%M %p")),
        ("d+c", ("%Y-%m-%d", "%-H")),
        ("y+m+d+c", ("%Y", "%-m", "%-d", "%-H")),
    ],
)
def test_times_in_several_columns(put, time_col, forms):
    head = ",".join([*time_col.split("+"), "x"])
    lines = [",".join([*(time.strftime(form) for form in forms), str(k)]) for k, time in enumerate(HOURS)]
    found = read_long([put("\n".join([head, *lines]))], time_col=time_col)
    np.testing.assert_array_equal(found.time, HOURS.as_unit("ns").asi8)
    assert found.channels == ("x",) and found.values[0].tolist() == list(range(30))


def test_a_column_that_is_named_like_two(put):
    found = read_long([put("\n".join(["d+c,d,x", *(f"{time},7,{k}" for k, time in enumerate(HOURS))]))], time_col="d+c")
    assert found.channels == ("d", "x")
    with pytest.raises(DataError, match=r"--time-col clock: no column 'clock'"):
        read_long([put("\n".join(["t,x", *LINES]))], time_col="t+clock")
    with pytest.raises(DataError, match=r"--time-col DATE\+TIME joins"):
        read(put, "t,x\n00:00,1\n01:00,2\n02:00,3")


def test_meters_with_a_preamble_and_two_columns_of_time(tmp_path):
    seconds = pd.date_range("2024-01-01", periods=2000, freq="30s")
    lines = [f"{t:%d.%m.%Y};{t:%H:%M:%S};{100 + k % 50};{k % 50}" for k, t in enumerate(seconds)]
    (tmp_path / "m.csv").write_text("\n".join(["# a logger", "day;clock;mains;lamp", *lines]))
    words = "--mode train --task nilm --csv m.csv --time-col day+clock --date-order dmy --sep ';' --device-cols lamp"
    run = good(tmp_path, f"{words} --resample 1min --window 20 --backbone gru --epochs 1 --reference off --no-plots")
    assert strict(run / "manifest.json")["data"]["steps"] == 1000


@pytest.mark.parametrize("hours", [("00:00", "12:00"), ("0", "12"), ("12:00 AM", "12:00 PM")])
def test_dates_without_their_times_of_day_are_no_steps(put, hours):
    """Averaging the lines of a date, which is what repeated times ask for otherwise, would lose the hours."""
    lines = [f"2024-01-{day:02d},{hour},{day}" for day in range(1, 29) for hour in hours]
    path = put("\n".join(["day,hour,load", *lines, ""]))
    with pytest.raises(DataError, match=r"'hour' holds times of day\n.*--time-col day\+hour"):
        read_long([path], time_col="day")
    assert read_long([path], time_col="day+hour").values.shape == (1, 56)


@pytest.mark.parametrize("words", ["", ', "two\nlines"'], ids=["whole lines", "a cell of two lines"])
def test_names_that_come_again_between_quoted_times_are_left_out(put, words):
    days = pd.date_range("2024-01-01", periods=40, freq="D")
    lines = [f'"{day:%B %d, %Y}",{k}B' for k, day in enumerate(days)]
    text = "\n".join(["t,x", *lines[:20], "t,x", *lines[20:]]) + "\n"
    if words:  # lines are not those of the file then, and nothing is left out
        text = text.replace("t,x", "t,x,note").replace("B\n", f"B{words}\n")
        with pytest.raises(DataError):
            read(put, text)
        return
    found = read(put, text)
    assert found.values[0].tolist() == list(range(40)) and found.channels == ("x",)
    told = " ".join(found.notes)
    assert "the names come again in 1 line below, left out" in told
    assert "units beside the numbers left out: x in B" in told
