"""Numbers below a title that go on from line to line: readers/flowing.py."""

from __future__ import annotations

import numpy as np
import pytest

from readers.dated import dated
from readers.dialect import AUTO, Dialect
from readers.files import open_table
from readers.long import read_long

from .faults.targets import limited

NUMBERS = 50 + 30 * np.sin(np.arange(150) / 2.3)
TITLE = "RHINE RIVER, NEAR BASLE,SWITZERLAND, 1807-1957      "


def put(path, width, title=TITLE, numbers=NUMBERS):
    lines = ["".join(f"{n:9.3f}" for n in numbers[at : at + width]) for at in range(0, len(numbers), width)]
    path.write_text("\n".join([*([title] if title else []), *lines]) + "\n")
    return path


@pytest.mark.parametrize("width", [1, 8, 10])
def test_numbers_go_on_from_line_to_line(width, tmp_path):
    path = put(tmp_path / "x.dat", width)
    found = dated(path, Dialect(AUTO, AUTO))
    assert found is not None and found.time == "line"
    series = read_long([path], time_col="line", sep=AUTO, decimal=AUTO)
    assert series.channels == ("value",) and np.allclose(series.values[0], NUMBERS.round(3))
    assert any("1 line above the numbers left out (RHINE RIVER, NEAR BASLE" in note for note in series.notes)


def test_seasons_far_apart_in_lines_of_a_year(tmp_path):
    numbers = np.tile(100.0 * np.arange(12), 10) + np.arange(120) % 7
    series = read_long([put(tmp_path / "x.dat", 12, numbers=numbers)], time_col="line", sep=AUTO, decimal=AUTO)
    assert np.allclose(series.values[0], numbers)


def test_a_title_of_as_many_words_as_numbers_a_line_is_none_of_names(tmp_path):
    path = put(tmp_path / "x.dat", 8, "BRISTLECONE PINE, WHITE MOUNTAINS, CALIFORNIA, 800-1963, 1164 YEARS")
    assert len(path.read_text().splitlines()[0].split()) == 8
    assert np.allclose(read_long([path], time_col="line", sep=AUTO, decimal=AUTO).values[0], NUMBERS.round(3))


@pytest.mark.parametrize(
    "head", ["t a b c d e f g", "# made by hand, 2024", "Heart rate", '"Temp, °C"', ""], ids=lambda head: head or "none"
)
def test_names_remarks_and_bare_numbers_are_no_titles(head, tmp_path):
    width = 1 if head in ("Heart rate", '"Temp, °C"') else 8
    found = dated(put(tmp_path / "x.dat", width, head), Dialect(AUTO, AUTO))
    if width == 1:
        assert found is not None and found.names == (head.strip('"'),)
    else:
        assert found is None or len(found.names) == 8


def test_columns_of_different_things_stay_columns(tmp_path):
    lines = "\n".join(f"{k} {1000 + k % 9} {k % 5 / 10:.1f}" for k in range(60))
    (tmp_path / "x.dat").write_text("Logged by hand, in May\n" + lines + "\n")
    found = dated(tmp_path / "x.dat", Dialect(AUTO, AUTO))
    assert found is None or found.names != ("value",)


@pytest.mark.parametrize("width", [3, 12])
def test_leads_of_a_heart_below_a_title_stay_columns(width, tmp_path):
    """Each is much like itself a line before, and less like the one beside it."""
    phases = np.arange(width) * 2.0
    leads = np.sin(np.arange(300)[:, None] / 12 + phases).ravel()
    found = dated(put(tmp_path / "x.dat", width, "ECG of a volunteer, recorded in May.", leads), Dialect(AUTO, AUTO))
    assert found is None or found.names != ("value",)


def test_lines_of_long_numbers_and_a_word_are_seen_through_at_once(tmp_path):
    """As vmstat's with times behind: before, each took twice as long for each digit, half a minute for 120 lines."""
    numbers = " ".join(["1000000"] * 20)
    (tmp_path / "x.txt").write_text("\n".join(["procs memory", *[f" {numbers} 2024-03-05 10:00:00"] * 200]) + "\n")
    with open_table(tmp_path / "x.txt") as table, limited(5):
        assert "1000000 2024-03-05" in table.text.read().decode()
