"""readers/breaks.py: a table is read whatever its cells in quotes hold, line breaks among it."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest

from readers import load
from readers.breaks import are_in, without

from .runs import go

DAYS = [f"2024-01-{day:02d}" for day in range(1, 32)] + [f"2024-02-{day:02d}" for day in range(1, 30)]
VALUES = [f"{k % 7}.25" for k in range(len(DAYS))]


def table(names, notes, end="\n", sep=",") -> str:
    rows = [names, *([day, value, note] for day, value, note in zip(DAYS, VALUES, notes, strict=True))]
    out = io.StringIO()
    csv.writer(out, delimiter=sep, lineterminator=end).writerows(rows)
    return out.getvalue()


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("sep", [",", ";"])
def test_comments_of_several_lines_beside_numbers(tmp_path, end, sep):
    notes = ["seen, twice\nand again" if k % 9 == 4 else "" for k in range(len(DAYS))]
    (tmp_path / "a.csv").write_bytes(table(["Date", "kW", "Comment"], notes, end, sep).encode())
    answer = go(tmp_path, "--csv a.csv")
    assert "1 series of 60 steps, 1 column (kW)" in answer.out and "from 2024-01-01 to 2024-02-29" in answer.out
    text = table(["Date", "kW", "Comment"], notes, end, sep).replace(
        "2024-02-03" + sep + "5.25", "2024-02-03" + sep + "oops"
    )
    (tmp_path / "b.csv").write_bytes(text.encode())
    lines = text.split("\n")
    at = next(number for number, line in enumerate(lines, 1) if "oops" in line)
    assert f"b.csv:{at}:2: text 'oops'" in go(tmp_path, "--csv b.csv --time-col Date").err  # as an editor counts lines


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_names_of_two_lines(tmp_path, end):
    text = table(["Date", f"Power{end}(kW)", f"Energy{end}[kWh]"], VALUES, end)
    (tmp_path / "a.csv").write_bytes(text.encode())
    answer = go(tmp_path, "--csv a.csv")
    assert "1 series of 60 steps, 2 columns" in answer.out and "line breaks in the names" in answer.out
    done = go(tmp_path, "--task forecast --csv a.csv --horizon 3 --backbone ridge --dry-run")
    assert done.code == 0, done.err


def test_quotes_that_are_inches_open_nothing():
    text = b"day,what,x\n" + b"".join(b'2024-01-%02d,5" pipe,%d\n' % (k, k) for k in range(1, 20))
    assert not are_in(text)
    assert not are_in(b'a,b\n"open,1\n2,3\n4,5\n')
    assert without(b'a,"b\nc"\nd,"e ""f""\r\n"\n') == b'a,"b c"\nd,"e ""f""  "\n'


def test_cells_of_a_workbook_with_line_breaks(tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.active.append(["Date", "Power\n(kW)", "Note"])
    for k, day in enumerate(DAYS):
        book.active.append([day, k / 2, "one\ntwo" if k % 5 == 0 else None])
    book.save(tmp_path / "a.xlsx")
    with (tmp_path / "a.xlsx").open("rb") as file:
        text = load("xlsx").text(file, tmp_path / "a.xlsx").text.read()
    rows = list(csv.reader(io.StringIO(text.decode())))
    assert text.count(b"\n") == 61 and rows[0] == ["Date", "Power (kW)", "Note"] and rows[1][2] == "one two"
    np.testing.assert_array_equal([float(row[1]) for row in rows[1:]], np.arange(60) / 2)


def test_cells_of_several_lines_in_a_table_of_things(tmp_path):
    lines = [f'{k * 7 % 60},"first\nsecond, third",{k * k % 11},{k % 2}' for k in range(60)]
    (tmp_path / "a.csv").write_text("\n".join(["speed,note,load,fails", *lines]) + "\n")
    done = go(tmp_path, "--mode train --task classify --label-src-ch fails --csv a.csv --dry-run")
    assert done.code == 0 and "read: 60 rows of 3 columns (speed, load, note) as 2 inputs" in done.err, done.err
    assert "line breaks in the cells, which are in quotes, are read as spaces" in done.err
