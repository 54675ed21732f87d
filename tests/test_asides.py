"""readers/asides.py: lines of a wide table that are none of it are left out, told, and places count all lines."""

from __future__ import annotations

import numpy as np
import pytest

from errors import DataError
from readers import files
from readers.wide import read_wide

from .runs import go

DRAW = np.random.default_rng(2)
COUNT = 120
HEAD = "kind,load,speed,fails"
LINES = [
    f"{'ab'[k % 2]},{load:.2f},{speed:.1f},{int(load > 55)}"
    for k, (load, speed) in enumerate(DRAW.normal([50, 9], [9, 2], (COUNT, 2)))
]
VALUES = np.array([[float(cell) for cell in line.split(",")[1:3]] for line in LINES])
PLAIN = [HEAD, *LINES]


def written(folder, lines):
    (folder / "a.csv").write_text("\n".join(lines) + "\n")
    return folder / "a.csv"


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ([HEAD, *LINES[:50], "", *LINES[50:]], "1 blank line left out: line 52"),
        ([HEAD, *LINES[:50], HEAD, *LINES[50:]], f"1 line of names that come again left out: line 52, '{HEAD}'"),
        ([HEAD, *LINES[:50], "# cleaned", *LINES[50:]], "1 line behind a hash sign left out: line 52, '# cleaned'"),
        (["# by us", *PLAIN], "1 line above the names left out: line 1, '# by us'"),
        (["Machines of 2024", "", *PLAIN], "1 line above the names left out: line 1, 'Machines of 2024'"),
        (["Machines,,,", ",,,", *PLAIN], "1 line above the names left out: line 1, 'Machines,,,'"),
        ([*PLAIN, "Total,6000,,40"], "1 line of a total left out: line 122, 'Total,6000,,40'"),
        ([HEAD, ",kg,m/s,", *LINES], "1 line of units left out: line 2, ',kg,m/s,'"),
    ],
)
@pytest.mark.parametrize("size", [1 << 20, 400])
def test_what_is_none_of_the_table_is_left_out(tmp_path, monkeypatch, lines, told, size):
    """In one block and in blocks of 400 bytes."""
    monkeypatch.setattr(files, "BLOCK", size)
    series = read_wide([written(tmp_path, lines)], label="fails")
    assert series.things.columns == ("load", "speed", "kind") and series.n_rows == COUNT
    assert np.allclose(series.values[0].reshape(COUNT, 3)[:, :2], VALUES)
    assert np.array_equal(series.labels[:, 0], [float(line[-1]) for line in LINES])
    assert f"{tmp_path}/a.csv: {told}" in series.notes


def test_places_count_the_lines_of_the_file(tmp_path):
    lines = ["# by us", "", HEAD, *LINES[:20], "", *LINES[20:]]
    lines[60] = "a,5x,2,1"
    with pytest.raises(DataError, match="text '5x'") as caught:
        read_wide([written(tmp_path, lines)], label="fails")
    assert caught.value.where.endswith("a.csv:61:2")
    lines[60] = "a,5"
    with pytest.raises(DataError, match="2 fields") as caught:
        read_wide([written(tmp_path, lines)], label="fails")
    assert caught.value.where.endswith("a.csv:61")


def test_lines_that_are_data_stay(tmp_path):
    """A line that comes twice, a word of a category that is called total, and an id behind a hash sign."""
    twice = [HEAD, *LINES, LINES[0], LINES[0]]
    assert read_wide([written(tmp_path, twice)], label="fails").n_rows == COUNT + 2
    named = [HEAD, *(line.replace("b,", "total,") for line in LINES)]
    assert read_wide([written(tmp_path, named)], label="fails").n_rows == COUNT
    hashed = [HEAD.replace("kind", "id"), *(f"#{k}{line[1:]}" for k, line in enumerate(LINES))]
    assert read_wide([written(tmp_path, hashed)], label="fails").n_rows == COUNT
    with pytest.raises(DataError, match="where a number is expected"):
        read_wide([written(tmp_path, [HEAD, *LINES, HEAD])], label="fails", strict=True)


def test_series_beside_each_other_too(tmp_path):
    rows = [f"s{k}," + ",".join(f"{value:.2f}" for value in DRAW.normal(size=12)) for k in range(20)]
    head = "id," + ",".join(f"t{k}" for k in range(12))
    series = read_wide([written(tmp_path, [head, *rows[:9], head, "", *rows[9:]])], index="yes")
    assert series.rows == tuple(f"s{k}" for k in range(20)) and (series.lengths == 12).all()
    assert np.allclose(series.view()[:, 0], [[float(cell) for cell in row.split(",")[1:]] for row in rows])


@pytest.mark.parametrize(
    ("cells", "values", "told"),
    [
        ([f'"${k * 37 % 9000 + 1000:,}.50"' for k in range(COUNT)], lambda k: k * 37 % 9000 + 1000.5, "load in $"),
        ([f"{k * 7 % 100}%" for k in range(COUNT)], lambda k: k * 7 % 100, "load in %"),
        ([f"{k * 7 % 100} km" for k in range(COUNT)], lambda k: k * 7 % 100, "load in km"),
        ([f"({k}.5)" if k % 3 else f"{k}.5" for k in range(COUNT)], lambda k: (k + 0.5) * (-1 if k % 3 else 1), "zero"),
    ],
)
def test_numbers_with_units_and_in_brackets_are_numbers(tmp_path, cells, values, told):
    lines = [HEAD, *(f"{line[0]},{cell},{line.split(',', 2)[2]}" for line, cell in zip(LINES, cells, strict=True))]
    series = read_wide([written(tmp_path, lines)], label="fails", sep="auto", decimal="auto")
    assert series.things.columns == ("load", "speed", "kind") and any(told in note for note in series.notes)
    assert np.allclose(series.values[0].reshape(COUNT, 3)[:, 0], [values(k) for k in range(COUNT)])


def test_names_that_come_twice_are_two_inputs(tmp_path):
    series = read_wide([written(tmp_path, [HEAD.replace("speed", "load"), *LINES])], label="fails")
    assert series.things.columns == ("load", "load_2", "kind")
    assert np.allclose(series.values[0].reshape(COUNT, 3)[:, :2], VALUES)
    assert any("names that come twice are numbered: load_2" in note for note in series.notes)


def test_a_label_is_found_by_its_name_below_a_title(tmp_path):
    written(tmp_path, ["Machines of 2024", "", HEAD.replace("fails", "class"), *LINES])
    run = go(tmp_path, "--mode train --task classify --csv a.csv --backbone ridge --no-plots --dry-run")
    assert run.code == 0 and "label: column 'class'" in run.err and f"read: {COUNT} rows" in run.err, run.err
