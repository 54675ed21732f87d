"""readers/renamed.py: a first line of values that pandas once took for names, and wrote back with numbers behind."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest

from errors import DataError
from readers.dialect import AUTO
from readers.files import first_lines
from readers.long import read_long
from readers.wide import read_wide

from .runs import go

DECIMALS = np.round(np.random.default_rng(0).normal(size=(30, 12)), 1)  # so that some come twice
INTEGERS = np.random.default_rng(1).integers(0, 5, (30, 20)) * 7


def written_back(table: np.ndarray, sep: str = ",") -> str:
    """The table as pandas reads it without `header=None`, and writes it."""
    text = "\n".join(sep.join(map(str, row)) for row in table.tolist()) + "\n"
    return pd.read_csv(io.StringIO(text), sep=sep).to_csv(index=False, sep=sep)


@pytest.mark.parametrize("table", [DECIMALS, INTEGERS], ids=["decimals", "integers"])
@pytest.mark.parametrize("sep", [",", ";", "\t"])
def test_the_first_line_is_the_values_that_it_was(table, sep, put):
    text = written_back(table, sep)
    assert text.count(".1.1") or table is INTEGERS
    series = read_wide([put(text)], sep=AUTO, decimal=AUTO)
    assert np.allclose(series.values.reshape(table.shape), table)
    assert "the first line holds values, once taken as names" in " ".join(series.notes)


def test_a_class_in_words_at_the_end_stays_one(put):
    rows = [[*row, "ab"[k % 2]] for k, row in enumerate(DECIMALS.tolist())]
    text = written_back(np.array(rows, dtype=object))
    done = go(put(text).parent, "--task classify --csv a.csv --label-src-ch last --backbone gru --dry-run")
    assert done.code == 0 and "read: 30 rows of 12 steps" in done.err, done.err


@pytest.mark.parametrize(
    "head",
    [
        "0,0.1,0.2,0.3,0.4,0.5",  # times
        "1.5,2.5,3.5,4.5,5.5,6.5",
        "a,a.1,a.2,b,b.1,b.2",
        "1,2,2.1,3,4,5",  # one may be a value
        "1.5,1.5.2,2,3,4,5",  # the second of two alike is .1
    ],
)
def test_other_lines_are_no_such(head, put):
    path = put("\n".join([head, *(",".join(map(str, row)) for row in INTEGERS[:, :6].tolist())]) + "\n")
    lines, notes = first_lines(path)
    assert lines[0] == head and notes == ()


def test_a_first_line_of_decimals_that_rise_is_no_row_of_data_without_a_word(put):
    """Times of the samples of heartbeats, and behind them a name that is a number too, so that the steps are uneven."""
    draw = np.random.default_rng(0)
    head = ",".join([*(f"{t:.9f}" for t in np.linspace(-0.3, 0.4, 40)), "0.5"])
    rows = [",".join(f"{v:.3f}" for v in row) for row in draw.normal(size=(30, 41))]
    path = put("\n".join([head, *rows]) + "\n")
    with pytest.raises(DataError, match="rises as names of steps do") as caught:
        read_wide([path])
    assert "--header yes if it names the columns, --header no if it is data" in str(caught.value)
    assert read_wide([path], header="yes").n_rows == 30 and read_wide([path], header="no").n_rows == 31


@pytest.mark.parametrize("columns", [1, 2, 5, 8])
@pytest.mark.parametrize("index", [True, False])
@pytest.mark.parametrize("again", [False, True], ids=["written once", "read and written again"])
def test_a_frame_that_pandas_wrote_without_names_is_its_columns(put, columns, index, again):
    values = np.round(50 + np.cumsum(np.random.default_rng(columns).normal(size=(60, columns)), axis=0), 3)
    text = pd.DataFrame(values).to_csv(index=index)
    if again:
        text = pd.read_csv(io.StringIO(text)).to_csv(index=False)
    assert text.splitlines()[0].split(",")[index:] == [*map(str, range(columns))]
    path = put(text)
    done = go(path.parent, f"--task forecast --csv {path.name} --horizon 2 --context-len 4 --backbone ridge --dry-run")
    names = ", ".join("one two three four five six seven eight".split()[:columns] if columns > 1 else ["value"])
    assert done.code == 0 and f"here they are called {names}" in done.err, done.err
    assert f"read: 1 row of 60 steps; {columns} channel" in done.err
    series = read_long([path], time_col="line", nan="auto")
    assert np.allclose(series.values, values.T, rtol=1e-6) and f"({names})".startswith(f"({series.channels[0]}")


@pytest.mark.parametrize(
    "text",
    [
        "0,1\n" + "".join(f"{k % 3},{k}\n" for k in range(40)),  # whole numbers, of which these may be the first
        ",0\n" + "".join(f"{3 * k},{k}.5\n" for k in range(40)),  # no index
        ",0,1\n" + "".join(f"{k},1.5,2.5\n" for k in range(10)),  # few lines
        "0,2\n" + "".join(f"{k}.5,2.5\n" for k in range(40)),
        ",".join(["", *map(str, range(12))]) + "\n" + "".join(f"{k}{',1.5' * 12}\n" for k in range(40)),
    ],
)
def test_other_first_lines_that_count_are_left(text, put):
    lines, notes = first_lines(put(text))
    assert lines[0] == text.partition("\n")[0] and not any("numbers the columns" in note for note in notes)
