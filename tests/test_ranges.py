"""times/ranges.py: days from ... to ... whose month is a word."""

from __future__ import annotations

import numpy as np
import pytest

from readers.dated import dated
from readers.dialect import AUTO, Dialect
from readers.long import read_long
from times.tongues import english, is_span


@pytest.mark.parametrize(
    ("cell", "first"),
    [
        ("12–14 Sep 2022", "12 Sep 2022"),
        ("30 Sep – 2 Oct 2022", "30 Sep 2022"),
        ("29 Dec – 2 Jan 2022", "29 Dec 2021"),
        ("29 Dec 2021 – 2 Jan 2022", "29 Dec 2021"),
        ("Jan 3-5, 2022", "3 Jan 2022"),
        ("Dec 29 - Jan 2, 2022", "29 Dec 2021"),
        ("12.–14. September 2022", "12 September 2022"),
        ("12 al 14 de enero de 2024", "12 Jan 2024"),
        ("01.06.2019-07.06.2019", "01.06.2019"),
        ("14 Sep 2022", "14 Sep 2022"),
        ("12-Sep-2022", "12-Sep-2022"),
        ("12-14 apples 2022", "12-14 apples 2022"),
    ],
)
def test_the_first_day_stands_for_all(cell, first):
    assert english(cell) == first
    assert is_span(cell) == (english(cell) != cell)


def test_a_table_of_weeks(put):
    weeks = ["29 Dec – 4 Jan 2022", "5–11 Jan 2022", "12–18 Jan 2022", "19–25 Jan 2022", "26 Jan – 1 Feb 2022"]
    path = put("\n".join(["week,x", *(f"{week},{k}" for k, week in enumerate(weeks))]))
    series = read_long([path], time_col="week")
    wanted = np.arange("2021-12-29", "2022-02-01", 7, dtype="datetime64[D]").astype("datetime64[ns]").astype(np.int64)
    assert series.time.tolist() == wanted.tolist()
    assert any("of 'from - to' the first" in note for note in series.notes)


@pytest.mark.parametrize("mark", ",:")
def test_parts_of_seconds_behind_a_comma_or_a_colon(put, mark):
    """As Python's logging and data loggers write them."""
    cells = [f"2023-01-13 00:00:{k // 4:02d}{mark}{k % 4 * 250:03d};{k}" for k in range(40)]
    path = put("\n".join(["asctime;x", *cells]))
    assert dated(path, Dialect(AUTO, AUTO)).time == "asctime"
    series = read_long([path], time_col="asctime", sep=";")
    begin = np.datetime64("2023-01-13", "ns").astype(np.int64)
    assert (series.time - begin).tolist() == [k * 250_000_000 for k in range(40)]
