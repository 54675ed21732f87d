"""Tables of things without a line of names, as UCI's: readers/things.py calls their columns by letters, told."""

from __future__ import annotations

import numpy as np
import pytest

from errors import DataError
from readers.dialect import AUTO
from readers.wide import read_wide

from .runs import go, good, numbers, preds

DRAW = np.random.default_rng(4)
COUNT = 200
KINDS = np.array(["low", "mid", "high"])[DRAW.integers(0, 3, COUNT)]
LOADS = np.round(DRAW.normal(50, 9, COUNT), 2)
SIDES = np.array(["left", "right"])[DRAW.integers(0, 2, COUNT)]
BAD = np.where((KINDS == "high") | (LOADS > 60), "bad", "good")
FLAGS = "--task classify --csv a.data --backbone boosting --reference off --no-plots"


def lines(*columns, rows=range(COUNT), sep=",") -> str:
    return "\n".join(sep.join(str(column[k]) for column in columns) for k in rows) + "\n"


@pytest.mark.parametrize("place", ["last", "first"])
def test_columns_are_called_by_letters(tmp_path, place):
    columns = [KINDS, LOADS, SIDES]
    (tmp_path / "a.data").write_text(lines(*([BAD, *columns] if place == "first" else [*columns, BAD])))
    series = read_wide([tmp_path / "a.data"], label=place)
    assert series.things.numbers == ("column B",) and [*series.things.words] == ["column A", "column C"]
    table = series.values[0].reshape(COUNT, 3)
    assert np.allclose(table[:, 0], LOADS)
    for at, (name, cells) in enumerate((("column A", KINDS), ("column C", SIDES)), 1):
        assert np.array_equal(np.array(series.things.words[name])[table[:, at].astype(int)], cells)
    assert series.label_words == (("bad", "good"),) and np.array_equal(series.labels[:, 0], BAD == "good")
    assert any("no line of names: columns are called column A and so on" in note for note in series.notes)


def test_columns_of_words_alone_have_no_names_where_the_first_line_comes_again(tmp_path):
    (tmp_path / "a.data").write_text(lines(KINDS, SIDES, KINDS[::-1], BAD))
    series = read_wide([tmp_path / "a.data"], label="last")
    assert series.n_rows == COUNT and [*series.things.words] == ["column A", "column B", "column C"]


def test_names_are_no_data(tmp_path):
    (tmp_path / "a.data").write_text("kind,load,side,state\n" + lines(KINDS, LOADS, SIDES, BAD))
    series = read_wide([tmp_path / "a.data"], label="state")
    assert series.n_rows == COUNT and series.things.columns == ("load", "kind", "side")
    (tmp_path / "b.data").write_text("kind,1,2,3,state\n" + lines(KINDS, LOADS, LOADS, LOADS, BAD))
    assert read_wide([tmp_path / "b.data"], label="state").n_rows == COUNT


@pytest.mark.parametrize("place", ["last", "first"])
def test_a_model_finds_columns_by_their_places(tmp_path, place):
    """A file without the labels, and one of a single line, are told as the whole file is."""

    def written(name, *, labels=True, rows=range(COUNT)):
        columns = [KINDS, LOADS, SIDES]
        given = [BAD] * labels
        (tmp_path / name).write_text(
            lines(*([*given, *columns] if place == "first" else [*columns, *given]), rows=rows)
        )

    def said(name):
        found = good(tmp_path, f"--mode infer --ckpt artifacts/m --csv {name} --tag i --no-plots --overwrite")
        return numbers(preds(found), "y_score")

    written("a.data")
    good(tmp_path, f"--mode train {FLAGS} --label-src-ch {place} --tag m")
    whole = said("a.data")
    assert np.mean((whole > 0.5) == (BAD == "bad")) > 0.95 or np.mean((whole > 0.5) == (BAD == "good")) > 0.95
    written("b.data", labels=False)
    assert np.array_equal(said("b.data"), whole)
    written("c.data", rows=[7])
    assert said("c.data") == pytest.approx([whole[7]], abs=0)


def test_lines_in_no_order_are_things_by_default(tmp_path):
    """Words between numbers alone do not make lines steps of time."""
    (tmp_path / "a.data").write_text(lines(KINDS, LOADS, SIDES, DRAW.integers(0, 9, COUNT), BAD))
    run = go(tmp_path, f"--mode train {FLAGS} --label-src-ch last --dry-run")
    assert run.code == 0 and "each line is an example of its own" in run.err and f"read: {COUNT} rows" in run.err


def test_blanks_of_any_number_between_cells_of_which_some_are_quoted(tmp_path):
    """As UCI's auto-mpg.data: columns of a fixed width, a tab, and a name in quotes."""
    text = "".join(
        f'{LOADS[k]:<9}{k * 7 % 11:<5}{float(k * 13 % 400):<12}{k % 3}\t"car {k % 90} of  {SIDES[k]}"\n'
        for k in range(COUNT)
    )
    (tmp_path / "a.data").write_text(text)
    series = read_wide([tmp_path / "a.data"], label="first", sep=AUTO, decimal=AUTO)
    assert series.things.numbers == ("column A", "column B", "column C")
    assert np.allclose(series.labels[:, 0], LOADS)
    wanted = [[k * 7 % 11, k * 13 % 400, k % 3] for k in range(COUNT)]
    assert np.array_equal(series.values[0].reshape(COUNT, 3), wanted)
    assert any("runs of spaces between cells" in note for note in series.notes)


def test_few_lines_stay_refused(tmp_path):
    (tmp_path / "a.data").write_text(lines(KINDS, LOADS, SIDES, BAD, rows=range(3)))
    with pytest.raises(DataError, match="text"):
        read_wide([tmp_path / "a.data"], label="last")


@pytest.mark.parametrize("gap", [" ", "   "])
def test_words_and_signs_between_spaces(tmp_path, gap):
    """As UCI's ecoli.data (a name first, a class last) and horse-colic.data (signs for missing values, spaces last)."""
    cells = np.round(DRAW.normal(size=(COUNT, 4)), 2)
    rows = [gap.join([f"AT_{k}", *map(str, cells[k]), BAD[k]]) for k in range(COUNT)]
    (tmp_path / "a.data").write_text("\n".join(rows) + "\n")
    series = read_wide([tmp_path / "a.data"], label="last", sep=AUTO, decimal=AUTO)
    assert series.rows[:2] == ("AT_0", "AT_1") and np.allclose(series.view()[:, 0], cells)
    assert np.array_equal(series.labels[:, 0], BAD == "good")
    rows = [
        gap.join(["?" if (k + j) % 9 == 0 else str(cell) for j, cell in enumerate(cells[k])] + [str(k % 2 + 1)]) + " "
        for k in range(COUNT)
    ]
    (tmp_path / "b.data").write_text("\n".join(rows) + "\n")
    series = read_wide([tmp_path / "b.data"], label="last", sep=AUTO, decimal=AUTO, nan="drop", index="no")
    assert series.n_rows == COUNT and int(series.lengths.max()) == 4
    assert np.array_equal(series.labels[:, 0], np.arange(COUNT) % 2 + 1)


def test_a_table_without_names_whose_label_nothing_names_is_told_the_flag(tmp_path):
    (tmp_path / "a.data").write_text(lines(KINDS, SIDES, KINDS[::-1], LOADS, BAD))
    run = go(tmp_path, "--mode train --task classify --csv a.data --header no --dry-run")
    assert run.code == 3 and "--task classify --label-src-ch last" in run.err, run.err


@pytest.mark.parametrize("first", [0, 5])  # a line of numbers, or one with a mark
def test_numbers_and_marks_of_what_is_not_known_are_things(tmp_path, first):
    columns = [LOADS.astype(str), *(np.roll(LOADS, k) / 10**k for k in (1, 2, 3)), np.arange(COUNT) % 3]
    columns[0][5::20] = "?"
    (tmp_path / "a.data").write_text(lines(*columns, rows=range(first, COUNT)))
    series = read_wide([tmp_path / "a.data"], label="last", nan="auto")
    assert series.things.numbers == ("column A", "column B", "column C", "column D") and series.n_rows == COUNT - first
    lacking = np.flatnonzero(columns[0][first:] == "?")
    assert np.array_equal(np.flatnonzero(series.things.lacking[:, 0]), lacking)
    known = np.delete(LOADS, np.arange(5, COUNT, 20))
    known = known[np.array(columns[0][:first] != "?").sum() :]
    assert np.allclose(series.values[0].reshape(-1, 4)[lacking, 0], np.median(known))
