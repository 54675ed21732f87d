"""Series side by side in columns of different lengths: readers/upright.py."""

from __future__ import annotations

import numpy as np

from readers.wide import read_wide

LENGTHS = (20, 26, 23)
SERIES = [[1000.0 * (n + 1) + k for k in range(length)] for n, length in enumerate(LENGTHS)]


def put(path, columns):
    longest = max(map(len, columns))
    lines = [",".join(str(c[k]) if k < len(c) else "" for c in columns) for k in range(longest)]
    path.write_text("\n".join([",".join(f"m{n}" for n in range(1, len(columns) + 1)), *lines]) + "\n")
    return path


def check(found):
    assert found.rows == ("m1", "m2", "m3") and np.diff(found.offsets).tolist() == list(LENGTHS)
    assert np.array_equal(found.values[0], np.concatenate(SERIES))


def test_columns_that_end_at_different_lines_are_series(tmp_path):
    found = read_wide([put(tmp_path / "x.csv", SERIES)])
    check(found)
    assert any("columns end at different lines: each is a series" in note for note in found.notes)


def test_columns_that_begin_at_different_lines_too(tmp_path):
    filled = [[""] * (max(LENGTHS) - len(column)) + column for column in SERIES]
    check(read_wide([put(tmp_path / "x.csv", filled)]))


def test_counts_and_beginnings_above_the_values_are_none(tmp_path):
    """As the tourism competition has them: how many values, the first year, the first quarter; and a slip far below."""
    columns = [[len(column), 1980 + n, 1, *column] for n, column in enumerate(2 * SERIES)]
    columns[0] += [""] * 9 + [77]
    found = read_wide([put(tmp_path / "x.csv", columns)])
    assert np.array_equal(found.values[0], np.concatenate(2 * SERIES))
    assert any("3 lines above the values" in note and "in 1 column" in note for note in found.notes)


def test_lines_that_end_at_different_columns_stay_lines(tmp_path):
    falling = sorted(SERIES, key=len, reverse=True)
    found = read_wide([put(tmp_path / "x.csv", falling)], header="yes", index="no")
    assert len(found.rows) == max(LENGTHS)
    (tmp_path / "y.csv").write_text("V1,V2,V3,V4\n" + "".join(f"{k},1.5,2.5,{'' if k % 2 else 3}\n" for k in range(9)))
    assert len(read_wide([tmp_path / "y.csv"], header="yes", index="no").rows) == 9


def test_a_large_text_is_given_back_whole(tmp_path, monkeypatch):
    monkeypatch.setattr("readers.upright.MOST", 50)
    found = read_wide([put(tmp_path / "x.csv", SERIES)], header="yes", index="no", nan="drop")
    assert len(found.rows) == max(LENGTHS) and np.nansum(found.values) == sum(map(sum, SERIES))
