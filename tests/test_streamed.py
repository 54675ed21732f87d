"""readers/streamed.py and readers/filling.py: a table read in parts is the table read whole, to the last bit."""

from __future__ import annotations

import dataclasses
import time

import numpy as np
import pandas as pd
import pytest

from errors import DataError
from readers import streamed
from readers.columns import Wanted, read_file
from readers.dialect import Dialect
from readers.filling import Blurred, Filling
from readers.long import read_long
from readers.streamed import read_streamed

N = 60
NOISE = np.random.default_rng(3).normal(0, 1, (N, 4)).round(3)
HOURS = pd.date_range("2024-01-01", periods=N, freq="h")


@pytest.fixture(autouse=True)
def parts(monkeypatch):
    """Every file in parts of a few lines."""
    monkeypatch.setattr(streamed, "LEAST_BYTES", 0)
    monkeypatch.setattr(streamed, "PART", 900)


def frame(**more) -> pd.DataFrame:
    return pd.DataFrame({"t": HOURS, "x": NOISE[:, 0], "y": NOISE[:, 1]} | more)


def spoiled(cell: str, line: int = 50) -> str:
    lines = frame().to_csv(index=False).split("\n")
    lines[line] = f"{lines[line].rpartition(',')[0]},{cell}"
    return "\n".join(lines)


PLAIN = {
    "numbers": frame(),
    "counter": frame(no=range(N))[["no", "t", "x"]],
    "constant": frame(c=0.1),
    "missing": frame(y=[*NOISE[:50, 1], *[np.nan] * 10]),
    "epoch": frame(t=HOURS.astype("datetime64[s]").astype(int)),
    "milliseconds": frame(t=HOURS.astype("datetime64[s]").astype(int) * 1000),
    "zone": frame(t=HOURS.tz_localize("+02:00")),
    "marked": frame(y=[*NOISE[:50, 1], *[-999.0] * 10]),
    "nameless": frame().reset_index().rename(columns={"index": ""}),
    "flags": frame(y=[0, 1] * 30),
    "wide": pd.DataFrame({"t": HOURS} | {f"c{k}": NOISE[:, k % 4] + k for k in range(40)}),
    "names in quotes": '"t","x","y"\n' + frame().to_csv(index=False, header=False),
    "text in quotes": frame(t=HOURS.astype(str)).to_csv(index=False, quoting=2),
    "all in quotes": frame().to_csv(index=False, quoting=1),
    "limits": spoiled("<40"),
    "odd cells": frame(y=[*NOISE[:50, 1], "n.a.", "-", "12.3*", "<4", " NA ", "-", "≥ 5", "1 p", "nan", "−3"]),
    "brackets": frame(y=[*NOISE[:50, 1], *["(2.5)", "3"] * 5]),
    "wide and odd": pd.DataFrame(
        {"t": HOURS} | {f"c{k}": [*NOISE[:30, k % 4], f"<{k}", *NOISE[31:, 0]] for k in range(40)}
    ),
    "wide epoch": pd.DataFrame(
        {"t": HOURS.astype("datetime64[s]").astype(int)} | {f"c{k}": NOISE[:, 0] for k in range(40)}
    ),
}
OTHER = {
    "text": frame(w=["abc", "de"] * 30),
    "late text": spoiled("oops"),
    "late gap": spoiled(""),
    "short line": spoiled("1,2"),
    "truths": frame(y=[*NOISE[:50, 1], *["True"] * 10]),
    "only truths": frame(y=["True", "False"] * 30),
    "comments": spoiled("1\n# pause"),
    "blank": spoiled("1\n"),
    "quotes": spoiled('"1"'),
    "brackets and limits": frame(y=[*NOISE[:50, 1], *["(2.5)", "<3"] * 5]),
    "odd cells alone": frame(y=[*[""] * 50, *["<3", ""] * 5]),
    "more odd cells than numbers": frame(y=[*[""] * 50, *["<3", "<4", "1"] * 3, "1"]),
    "units": frame(y=[*NOISE[:59, 1], "3 kW"]),
    "a mark and a word": frame(y=[*NOISE[:57, 1], "-", "oops", "<4"]),
    "two numbers in a cell": frame(y=[*NOISE[:58, 1], "-", "1-2"]),
    "a comma in quotes": spoiled('"1,5"'),
    "a line's end in quotes": spoiled('"1\n2"'),
    "two lines of half as many": spoiled('2\n2024-02-01,"1\n2,3"'),
    "a quote in a cell": spoiled('1"2"'),
    "a quote in quotes": spoiled('"1""2"'),
    "an open quote": spoiled('"1'),
    "a space before a quote": spoiled(' "1"'),
    "total": frame().to_csv(index=False) + "total,,4\n",
    "no time": frame().to_csv(index=False) + ",1,4\n",
    "grouped": frame(y=[998.0, 1.005] * 30),
    "german": frame(t=HOURS.strftime("%d.%m.%Y %H:%M")),
    "counted": frame(t=range(N)),
    "compact": frame(t=[*["2016070100"] * 30, *["2016070101"] * 30]),
    "latin": "t,x,y\n" + spoiled("1").partition("\n")[2],
}


def text_of(table) -> bytes:
    return (table if isinstance(table, str) else table.to_csv(index=False)).encode()


def outcome(read):
    """What a reader returns, or the message of its error."""
    try:
        return read()
    except DataError as error:
        return error.what, error.where


def same(found, whole):
    assert type(found) is type(whole)
    if isinstance(whole, tuple):
        assert found == whole
        return
    for field in dataclasses.fields(whole):
        there, here = getattr(whole, field.name), getattr(found, field.name)
        if isinstance(there, np.ndarray):
            assert here.dtype == there.dtype
            np.testing.assert_array_equal(here, there)
        else:
            assert here == there, field.name


@pytest.mark.parametrize("name", [*PLAIN, *OTHER])
def test_parts_are_the_whole(put, monkeypatch, name):
    table = PLAIN.get(name, OTHER.get(name))
    path = put(text_of(table).decode())
    read = lambda: read_long([path], time_col="t", nan="drop")  # noqa: E731
    found = outcome(read)
    monkeypatch.setattr(streamed, "LEAST_BYTES", 1 << 30)
    same(found, outcome(read))


@pytest.mark.parametrize("name", PLAIN)
def test_plain_tables_are_never_held(put, monkeypatch, name):
    monkeypatch.setattr(streamed, "read_file", None)
    path = put(text_of(PLAIN[name]).decode())
    found = read_streamed(path, Wanted("t", "", None), Dialect(header="yes", index="no"))
    whole = read_file(path, Wanted("t", "", None), Dialect(header="yes", index="no"))
    assert found.values.dtype == np.float32 and found.values.flags.c_contiguous
    np.testing.assert_array_equal(found.values, whole.values.astype(np.float32))
    np.testing.assert_array_equal(found.stamps.times, whole.stamps.times)
    assert (found.columns, found.at, found.source, found.notes) == (whole.columns, whole.at, whole.source, whole.notes)
    assert found.locate(7) == whole.locate(7)


def test_strict_takes_no_odd_cell(put):
    path = put(spoiled("<40"))
    with pytest.raises(DataError, match="'<40'"):
        read_long([path], time_col="t", strict=True)


@pytest.mark.parametrize("change", [{}, {"x": 0.1}, {"x": 1.5e9 + np.arange(N) / 7}, {"x": 1e35}])
def test_rows_of_mixed_lines(put, monkeypatch, change):
    both = pd.concat([frame(**change).assign(id=name) for name in ("Köln", "NA", "a")]).sort_values("t", kind="stable")
    path = put(both.to_csv(index=False))
    read = lambda: read_long([path], time_col="t", id_col="id", nan="drop")  # noqa: E731
    found = outcome(read)
    monkeypatch.setattr(streamed, "LEAST_BYTES", 1 << 30)
    same(found, outcome(read))


def test_means_of_lines_are_those_of_the_numbers_in_the_file(put, monkeypatch):
    doubled = pd.concat([frame()[:30], frame()[29:]])
    path = put(doubled.to_csv(index=False))
    for more in ({}, {"resample": "3h"}):
        read = lambda more=more: read_long([path], time_col="t", **more)  # noqa: E731
        found = outcome(read)
        with monkeypatch.context() as patch:
            patch.setattr(streamed, "LEAST_BYTES", 1 << 30)
            same(found, outcome(read))
        assert found.n_rows == 1


def test_times_of_today_are_as_plain_as_others(put, monkeypatch):
    now = pd.Timestamp(time.time(), unit="s").floor("h")
    path = put(frame(t=pd.date_range(end=now, periods=N, freq="h")).to_csv(index=False))
    monkeypatch.setattr(streamed, "read_file", None)
    found = read_streamed(path, Wanted("t", "", None), Dialect(header="yes", index="no"))
    assert found.stamps.times[-1] == now.value


def test_more_lines_than_expected_find_room():
    values = np.random.default_rng(0).normal(size=(50, 3))
    kept = Filling(np.float32, large=False)
    kept.expect(3, 4)
    for begin in range(0, 50, 7):
        kept.add(values[begin : begin + 7], np.arange(50)[begin : begin + 7])
    kept.close(None)
    np.testing.assert_array_equal(kept.values, values.T.astype(np.float32))
    assert kept.times.tolist() == list(range(50)) and kept.values.flags.c_contiguous


@pytest.mark.parametrize("column", [1e9 + np.arange(50) / 50, np.repeat([1e9, 1e9 + 1], 25), np.full(50, 1e31)])
def test_what_float32_would_blur_is_told(column):
    kept = Filling(np.float32, large=False)
    kept.expect(1, 50)
    for begin in range(0, 50, 10):
        kept.add(column[begin : begin + 10, None], np.arange(10))
    with pytest.raises(Blurred):
        kept.close(None)
