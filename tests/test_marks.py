"""readers/marks.py and missing.suspect: marks of thousands, marks of missing values, in every reader."""

from __future__ import annotations

import functools
import re
import shlex

import numpy as np
import pandas as pd
import pytest

import cli
from errors import DataError
from readers.dialect import Dialect
from readers.long import read_long
from readers.marks import missing_hint, number_hint
from readers.missing import suspect
from readers.npz import read_npz
from readers.wide import read_wide

from .runs import go

DAYS = [str(day.date()) for day in pd.date_range("2024-01-01", periods=30)]


def long(put, cells, sep=";", **options):
    lines = [f"{day}{sep}{cell}" for day, cell in zip(DAYS, cells, strict=False)]
    return read_long([put("\n".join([f"t{sep}x", *lines]))], time_col="t", sep=sep, **options)


# ---- thousands


@pytest.mark.parametrize(
    ("cells", "decimal", "hint"),
    [
        (["998", "1,005"], ".", "--thousands ','"),
        (["0,998", "1,005"], ".", "--decimal ','"),
        (["12,5", "1,005"], ".", "--decimal ','"),
        (["1,005", "2,310"], ".", "--thousands ',' if 1,005 is above 999, --decimal ',' if it is not"),
        (["1,234,567"], ".", "--thousands ','"),
        (["1,234.5"], ".", "--thousands ','"),
        (["1.234,5", "2"], ".", "--thousands ."),
        (["1.234,5", "0,5"], ",", "--thousands ."),
        (["2.700"], ",", "--thousands ."),
        (["1 234", "5"], ".", "--thousands space"),
        (["1'234.5"], ".", '--thousands "\'"'),
        (["fog"], ".", ""),
        (["1,23,4"], ".", ""),
    ],
)
def test_the_hint_names_the_mark_and_can_be_followed(put, cells, decimal, hint):
    assert number_hint(cells, Dialect(";", decimal)) == hint
    if not hint or " if " in hint:
        return
    with pytest.raises(DataError) as caught:
        long(put, cells * 3, decimal=decimal)
    typed = re.search(r"hint: (.*)", str(caught.value))[1]
    words = ["--mode", "train", "--task", "regress", "--context-len", "2", "--time-col", "t", "--csv", "a.csv"]
    config = cli.parse([*words, "--sep", ";", "--decimal", decimal, *shlex.split(typed)])
    plain = [cell.replace(" ", "").replace("'", "") for cell in cells]
    mark = "," if typed == "--decimal ','" or "." in typed else "."
    expected = [float(cell.replace("," if mark == "." else ".", "").replace(mark, ".")) for cell in plain]
    found = long(put, cells * 3, decimal=config.decimal, thousands=config.thousands)
    np.testing.assert_allclose(found.values[0], expected * 3, rtol=1e-6)


@pytest.mark.parametrize("reader", ["long", "wide"])
@pytest.mark.parametrize("mark", [".", ","])
def test_decimals_that_may_be_thousands_are_not_guessed(put, reader, mark):
    cells = [f"{1 + k // 1000 if k >= 1000 else k}" if k < 1000 else f"{k // 1000}{mark}{k % 1000:03d}" for k in NEAR]

    def read(**options):
        if reader == "long":
            return long(put, cells, decimal=mark, **options)
        return read_wide([put("\n".join([";".join(cells)] * 3))], sep=";", decimal=mark, header="no", **options)

    with pytest.raises(DataError, match=rf"'1\{mark}0\d\d' beside '9\d\d' may be 10\d\d, with a mark of thousands"):
        read()
    np.testing.assert_array_equal(read(thousands=mark).values[0][: len(NEAR)], NEAR)
    decimals = [k if k < 1000 else k / 1000 for k in NEAR]
    np.testing.assert_allclose(read(thousands="none").values[0][: len(NEAR)], decimals, rtol=1e-6)


NEAR = list(range(900, 1100, 7))


@pytest.mark.parametrize(
    "cells", [["0.998", "1.005", "250"], ["1.5", "1.005", "250"], ["1.005", "2.5"], ["1000", "1.005"]]
)
def test_numbers_that_show_that_the_mark_is_one_of_decimals(put, cells):
    np.testing.assert_allclose(long(put, cells * 3).values[0], list(map(float, cells * 3)), rtol=1e-6)


# ---- missing values


@pytest.mark.parametrize(
    "mark", ["-9999", "-999.0", "9999", "-200", "-99.9", "-99", "999.9", "1e20", "-32768", "65535"]
)
def test_a_mark_of_missing_values_is_told_and_can_be_named(put, tmp_path, mark):
    random = np.random.default_rng(2)
    values = [f"{value:.1f}" for value in random.normal(20, 4, 30)]
    lowest = min(map(float, values)) if float(mark) < 0 else max(map(float, values))
    values[4] = values[17] = values[18] = mark
    told = f"holds {float(mark):.7g} in 3 {{}}, and the next value is {lowest:.7g}: a mark for missing values? --na"
    found = long(put, values)
    assert [note for note in found.notes if told.format("lines") in note]
    typed = found.notes[0].rpartition("--na ")[2]
    cleaned = long(put, values, na=[typed], nan="drop")
    assert np.isnan(cleaned.values[0]).nonzero()[0].tolist() == [4, 17, 18] and "a mark" not in " ".join(cleaned.notes)

    wide = put("\n".join([",".join(values)] * 2), "wide.csv")
    assert any("a mark for missing values?" in note for note in read_wide([wide], header="no").notes)
    assert np.isnan(read_wide([wide], header="no", na=[typed], nan="drop").values).sum() == 6

    np.savez(tmp_path / "a.npz", x=np.array(values, float).reshape(3, 10, 1))
    assert any("a mark for missing values?" in note for note in read_npz(tmp_path / "a.npz").notes)
    assert np.isnan(read_npz(tmp_path / "a.npz", na=[typed], nan="drop").values).sum() == 3


def test_marks_in_many_columns_are_one_line_whose_hint_names_them_all(put):
    random = np.random.default_rng(3)
    table = random.normal(20, 4, (5, 30)).round(1).astype(str)
    table[:4, [4, 17]], table[4, [9, 11]] = "-9999", "999.9"
    lines = "\n".join(",".join([str(step), *row]) for step, row in enumerate(table.T))
    read = functools.partial(read_long, [put(f"t,a,b,c,d,e\n{lines}\n")], time_col="t")
    (note,) = [note for note in read().notes if "--na" in note]
    assert ": -9999 (a, b, c and 1 more), 999.9 (e): marks for missing values? --na -9999 999.9" in note
    assert np.isnan(read(na=note.rpartition("--na ")[2].split(), nan="drop").values).sum() == 10


@pytest.mark.parametrize(
    "values",
    [
        np.tile([0, 1], 20),
        np.arange(10000),
        np.repeat([99, 98, 97, 50], 10),
        np.full(30, -999),
        [0] * 20 + [2000] * 10,
        [*range(29), 9999],
        [*range(60, 98), 99, 99],
        [*range(0, 40, 3), 99, 99],
    ],
)
def test_numbers_that_are_no_mark(values):
    assert suspect(np.asarray(values, np.float32), "x", "lines") == ""


@pytest.mark.parametrize(("mark", "told"), [(-32767, "-32767"), (-32768, "-32768"), (99, "99"), (-99.99, "-99.99")])
def test_numbers_that_tide_gauges_and_buoys_write_for_none(mark, told):
    waves = [0.5, 1.5, 2.25, 1.75, 0.75, 4.75] * 5
    note = suspect(np.array([*waves, mark, mark], np.float32), "x", "lines")
    assert note.startswith(f"warning: x holds {told} in 2 lines, and") and note.endswith(f"--na {told}")


def test_words_for_a_missing_value(put):
    cells = [str(k) for k in range(20)]
    cells[3], cells[9] = "n.a.", "-"
    with pytest.raises(DataError, match=r"text 'n.a.' .*\n.*--na n.a. if this marks a missing value"):
        long(put, cells, strict=True)
    for na in ([], ["n.a.", "-"]):
        found = long(put, cells, na=na, nan="drop")
        assert np.isnan(found.values[0]).nonzero()[0].tolist() == [3, 9]
    told = "in x, 'n.a.', '-' in 2 lines taken as missing; --strict refuses that"
    assert told in long(put, cells, nan="drop").notes[0]


def test_all_the_words_of_a_column_are_named_at_once_and_a_dash_can_be_typed(put, tmp_path):
    """As gauges write them: Ice, Eqp; with one word in the hint, the next run named the next."""
    lines = [f"2024-01-{k:02d},{k}.5,{k}.5" for k in range(1, 29)]
    lines[4], lines[9], lines[12] = "2024-01-05,5.5,Ice", "2024-01-10,10.5,Eqp", "2024-01-13,13.5,Ice"
    path = put("\n".join(["date,a,b", *lines]) + "\n")
    run = f"--task forecast --csv {path} --horizon 2 --dry-run"
    failed = go(tmp_path, run)
    assert "hint: --na Ice Eqp if these mark missing values" in failed.err
    assert go(tmp_path, f"{run} --na Ice Eqp").code == 0
    assert missing_hint("-x-").startswith("--na=-x- if this marks")
