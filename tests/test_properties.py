"""Properties of whole runs and of the readers: what may change about the files without changing a figure.

Small data and few examples; the models are closed forms, so that a run takes a fraction of a second and no random start
depends on the order of rows or channels.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import cli
import data
from config import core_flags
from data import Series
from errors import TsrunError

from .runs import good, numbers, preds, strict

# No shrinking: a run costs too much. The same examples each time: a test must not fail by chance.
SETTINGS: dict[str, Any] = {
    "deadline": None,
    "derandomize": True,
    "phases": (Phase.explicit, Phase.generate),
    "suppress_health_check": [HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
}
few = settings(max_examples=4, **SETTINGS)
many = settings(max_examples=40, **SETTINGS)
FORECAST = """--mode train --task forecast --csv t.csv --time-col time --id-col site --context-len 12 --horizon 3
    --backbone ridge --split-mode holdout --val-ratio 0.2 --test-ratio 0.2 --no-plots"""


# --- tables ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Long:
    """A long table: {site: {channel: values}}, hourly."""

    sites: Mapping[str, Mapping[str, np.ndarray]]
    begin: str = "2024-01-01"

    def lines(self) -> list[list[str]]:
        """Line by line: site, time, the value of each channel."""
        found = []
        for site, channels in self.sites.items():
            length = len(next(iter(channels.values())))
            times = pd.date_range(self.begin, periods=length, freq="h")
            columns = [[repr(float(v)) if np.isfinite(v) else "" for v in values] for values in channels.values()]
            found += [[site, str(time), *cells] for time, *cells in zip(times, *columns, strict=True)]
        return found

    @property
    def header(self) -> list[str]:
        return ["site", "time", *next(iter(self.sites.values()))]


def waves(seed: int, sites: Sequence[str] = ("a", "b", "c"), length: int = 90) -> Long:
    """A daily wave in noise, at another level for each site and channel."""
    rng = np.random.default_rng(seed)
    made = {}
    for k, site in enumerate(sites):
        hours = np.arange(length)
        made[site] = {
            name: np.round(10 * (k + c + 1) + 3 * np.sin(2 * np.pi * hours / 24 + c) + rng.normal(0, 1, length), 3)
            for c, name in enumerate(("load", "wind"))
        }
    return Long(made)


def write(path: Path, header: Sequence[str], lines: Sequence[Sequence[str]]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *lines])


def figures(summary: Mapping[str, Any]) -> dict[str, float]:
    """Every number of a summary that is about errors, those of the references too, by its path."""
    found: dict[str, float] = {}

    def walk(part: Any, path: str) -> None:
        if isinstance(part, Mapping):
            for key, value in part.items():
                walk(value, f"{path}.{key}")
        elif isinstance(part, (int, float)) and not isinstance(part, bool):
            found[path] = float(part)

    for name in ("headline", "validation", "references", "n", "best_val"):
        walk(summary[name], name)
    return found


def same(one: Mapping[str, float], two: Mapping[str, float], rel: float = 1e-5) -> None:
    assert one.keys() == two.keys()
    for name, value in one.items():
        assert two[name] == pytest.approx(value, rel=rel, abs=1e-9), name


def forecast(folder: Path, header: Sequence[str], lines: Sequence[Sequence[str]], *more: object) -> dict[str, float]:
    write(folder / "t.csv", header, lines)
    return figures(strict(good(folder, FORECAST, "--overwrite", *more) / "summary.json"))


# --- order, and what is not used -------------------------------------------------------------------------------------


@few
@given(seed=st.integers(0, 10**6), data=st.data())
def test_the_order_of_lines_series_and_columns_changes_no_figure(tmp_path, seed, data):
    table = waves(seed)
    lines, header = table.lines(), table.header
    straight = forecast(tmp_path, header, lines)
    # of one site the lines stay in their order; between sites they may be mixed
    sites = data.draw(st.permutations([line[0] for line in lines]))
    waiting = {site: [line for line in lines if line[0] == site] for site in table.sites}
    mixed = [waiting[site].pop(0) for site in sites]
    order = data.draw(st.permutations(range(len(header))))
    same(straight, forecast(tmp_path, [header[k] for k in order], [[line[k] for k in order] for line in mixed]))


@few
@given(seed=st.integers(0, 10**6), words=st.sampled_from(["text", "number"]))
def test_a_column_that_is_not_used_changes_no_figure(tmp_path, seed, words):
    table = waves(seed)
    lines, header = table.lines(), table.header
    straight = forecast(tmp_path, header, lines)
    rng = np.random.default_rng(seed)
    more = [["fine"] if words == "text" else [f"{v:.3f}"] for v in rng.normal(size=len(lines))]
    wider = [line[:2] + cell + line[2:] for line, cell in zip(lines, more, strict=True)]
    columns = "" if words == "text" else "--columns load wind"
    same(straight, forecast(tmp_path, [*header[:2], "note", *header[2:]], wider, columns))


@few
@given(seed=st.integers(0, 10**6), data=st.data())
def test_the_order_of_rows_and_files_changes_no_figure(tmp_path, seed, data):
    """Rows with ids, matched with their labels; which of them are for validation and test is said by name."""
    rng = np.random.default_rng(seed)
    ids = [f"m{k:02d}" for k in range(24)]
    tables = {name: rng.normal(k, 1, (24, 10)).round(3) for k, name in enumerate(("x", "y", "z"))}
    labels = (tables["x"].mean(1) * 3 + tables["y"][:, -1] + rng.normal(0, 0.1, 24)).round(4)

    def run(rows: Sequence[int], files: Sequence[str], of: Sequence[int]) -> dict[str, float]:
        for name, values in tables.items():
            lines = [[ids[r], *map(str, values[r])] for r in rows]
            write(tmp_path / f"{name}.csv", ["id", *(f"t{k}" for k in range(10))], lines)
        write(tmp_path / "labels.csv", ["id", "value"], [[ids[r], str(labels[r])] for r in of])
        words = f"--mode train --task regress --csv {' '.join(f'{f}.csv' for f in files)} --labels labels.csv"
        parts = f"--val-groups {' '.join(ids[:5])} --test-groups {' '.join(ids[5:10])}"
        directory = good(tmp_path, words, parts, "--backbone ridge --no-plots --overwrite")
        return figures(strict(directory / "summary.json"))

    straight = run(range(24), ("x", "y", "z"), range(24))
    rows, of = (data.draw(st.permutations(range(24))) for _ in range(2))
    found = run(rows, data.draw(st.permutations(("x", "y", "z"))), of)
    trees = {name for name in straight if "boosting" in name or "trees" in name}  # what they draw depends on the order
    same(*({name: v for name, v in each.items() if name not in trees} for each in (straight, found)))


# --- level -----------------------------------------------------------------------------------------------------------


@few
@given(seed=st.integers(0, 10**6), level=st.sampled_from([1e9, -1e9, 1e6]))
def test_a_constant_added_to_a_channel_changes_no_error(tmp_path, seed, level):
    """In original units, by no more than a thousandth of itself: 1e9 leaves float32 steps of 64."""
    table = waves(seed)
    straight = forecast(tmp_path, table.header, table.lines())
    lifted = replace(
        table, sites={site: {name: v + level for name, v in channels.items()} for site, channels in table.sites.items()}
    )
    found = forecast(tmp_path, table.header, lifted.lines())
    relative = ("mape", "wape", ".theta.", ".ets.")  # to the level: both see a season as a share of it
    relative += (".interval.", "crps")  # margins follow the level
    keep = [name for name in straight if not any(word in name for word in relative)]
    same({n: straight[n] for n in keep}, {n: found[n] for n in keep}, rel=1e-3)


# --- gaps ------------------------------------------------------------------------------------------------------------


def with_gap(table: Long, at: int, steps: int) -> Long:
    """Steps without a value before step `at` of every site."""
    return replace(
        table,
        sites={
            site: {name: np.concatenate([v[:at], np.full(steps, np.nan), v[at:]]) for name, v in channels.items()}
            for site, channels in table.sites.items()
        },
    )


@few
@given(seed=st.integers(0, 10**6), at=st.integers(20, 40), gaps=st.tuples(st.integers(15, 30), st.integers(31, 60)))
def test_the_length_of_a_gap_changes_no_figure(tmp_path, seed, at, gaps):
    """Nothing spans it: not a window, not the period, not a scale. The parts are cut at the same steps."""
    table = waves(seed)
    found = []
    for gap in gaps:
        long = with_gap(table, at, gap)
        sizes = f"--split-sizes {54 + gap},18,18 --nan drop"
        found.append(forecast(tmp_path, long.header, long.lines(), sizes))
    points = [{n: value for n, value in each.items() if "crps" not in n and ".interval." not in n} for each in found]
    same(*points)  # margins follow the level of the last cycles of the clock


@pytest.fixture(scope="module")
def regressor(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that predicts the next value of `load`."""
    folder = tmp_path_factory.mktemp("regressor")
    table = waves(3)
    write(folder / "t.csv", table.header, table.lines())
    words = "--mode train --task regress --csv t.csv --time-col time --id-col site --context-len 8 --backbone linear"
    return good(folder, words, "--epochs 1 --no-plots --reference off")


@few
@given(seed=st.integers(0, 10**6), at=st.integers(10, 80), gap=st.integers(1, 30))
def test_predictions_outside_a_gap_are_what_they_are_without_it(regressor, tmp_path, seed, at, gap):
    table = waves(seed)
    said = []
    for long in (table, with_gap(table, at, gap)):
        write(tmp_path / "n.csv", long.header, long.lines())
        words = f"--mode infer --task regress --csv n.csv --ckpt {regressor} --nan drop --no-plots --overwrite"
        lines = preds(good(tmp_path, words, "--reference off"))
        said.append({(line["row"], int(line["time"])): k for k, line in enumerate(lines)} | {"lines": lines})
    without, broken = said
    scores = [numbers(each.pop("lines"), "y_score" if "y_score" in str(each) else "y_pred") for each in said]
    moved = {(row, time + gap * (time >= at)): k for (row, time), k in without.items() if time < at or time >= at + 8}
    assert moved.keys() == broken.keys()
    for place, k in moved.items():
        assert scores[1][broken[place]] == pytest.approx(scores[0][k], rel=1e-5, abs=1e-6)


# --- dialects --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Dialect:
    """How a file is written."""

    sep: str
    decimal: str
    date: str
    bom: bool
    crlf: bool
    quoted: bool
    last_line: bool  # ended, as by most programs

    def text(self, header: Sequence[str], lines: Sequence[Sequence[Any]]) -> bytes:
        buffer = io.StringIO()
        quoting = csv.QUOTE_ALL if self.quoted else csv.QUOTE_MINIMAL
        writer = csv.writer(buffer, delimiter=self.sep, quoting=quoting, lineterminator="\r\n" if self.crlf else "\n")
        writer.writerow(header)
        writer.writerows([[self.cell(value) for value in line] for line in lines])
        text = buffer.getvalue()
        return (b"\xef\xbb\xbf" if self.bom else b"") + (text if self.last_line else text.rstrip("\r\n")).encode()

    def cell(self, value: Any) -> str:
        if isinstance(value, pd.Timestamp):
            return value.strftime(self.date)
        return value if isinstance(value, str) else repr(value).replace(".", self.decimal)

    @property
    def words(self) -> list[str]:
        return [f"--sep={self.sep}", f"--decimal={self.decimal}"]


ISO = "%Y-%m-%d %H:%M:%S"
DATES = [ISO, "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%Y/%m/%d %H:%M", "%d.%m.%Y %H:%M", "%m/%d/%Y %H:%M"]
dialects = st.builds(
    Dialect,
    sep=st.sampled_from([",", ";", "\t", "|"]),
    decimal=st.sampled_from([".", ","]),
    date=st.sampled_from(DATES),
    bom=st.booleans(),
    crlf=st.booleans(),
    quoted=st.booleans(),
    last_line=st.booleans(),
).filter(lambda one: one.sep != one.decimal)
PLAIN = Dialect(",", ".", ISO, False, False, False, True)


def read(path: Path, dialect: Dialect, *words: str) -> Series:
    config = cli.parse(["--mode", "train", "--task", "regress", f"--csv={path}", *dialect.words, *words])
    return data.read(config)


def equal(one: Series, two: Series) -> None:
    np.testing.assert_array_equal(one.values, two.values)
    np.testing.assert_array_equal(one.offsets, two.offsets)
    assert (one.channels, one.rows) == (two.channels, two.rows)
    assert (one.time is None) == (two.time is None)
    if one.time is not None and two.time is not None:
        np.testing.assert_array_equal(one.time, two.time)
        assert one.clock == two.clock


cells = st.floats(-1e6, 1e6, allow_nan=False, width=32).map(float)


@many
@given(dialect=dialects, values=st.lists(st.tuples(cells, cells), min_size=30, max_size=40))
def test_a_long_file_in_another_dialect_is_the_same_series(tmp_path, dialect, values):
    times = pd.date_range("2024-03-05", periods=len(values), freq="12h")  # more than twelve days: one order fits
    lines = [[time, *cells] for time, cells in zip(times, values, strict=True)]
    found = []
    for one in (PLAIN, dialect):
        (tmp_path / "t.csv").write_bytes(one.text(["time", "load", "wind"], lines))
        found.append(read(tmp_path / "t.csv", one, "--time-col=time", "--context-len=4"))
    equal(*found)


@pytest.mark.skipif(not any(flag.name == "date_order" for flag in core_flags()), reason="there is no --date-order")
@few
@given(dialect=dialects, order=st.sampled_from(["dmy", "mdy"]))
def test_days_below_13_are_read_in_the_order_that_is_said(tmp_path, dialect, order):
    times = pd.date_range("2024-03-05", periods=10, freq="12h")
    written = replace(dialect, date="%d.%m.%Y %H:%M" if order == "dmy" else "%m/%d/%Y %H:%M")
    lines = [[time, float(k)] for k, time in enumerate(times)]
    found = []
    for one, more in ((PLAIN, []), (written, [f"--date-order={order}"])):
        (tmp_path / "t.csv").write_bytes(one.text(["time", "load"], lines))
        found.append(read(tmp_path / "t.csv", one, "--time-col=time", "--context-len=4", *more))
    equal(*found)


@many
@given(
    dialect=dialects,
    values=st.lists(st.lists(cells, min_size=5, max_size=5), min_size=3, max_size=8),
    named=st.booleans(),
    ids=st.booleans(),
)
def test_a_wide_file_in_another_dialect_is_the_same_series(tmp_path, dialect, values, named, ids):
    lines = [[f"r{k}"] * ids + row for k, row in enumerate(values)]
    header = ["id"] * ids + [f"t{k}" for k in range(5)]
    found = []
    for one in (PLAIN, dialect):
        text = one.text(header, lines)
        if not named:
            begin = text.index(b"\n") + 1
            text = (b"\xef\xbb\xbf" if one.bom else b"") + text[begin:]
        (tmp_path / "t.csv").write_bytes(text)
        flags = [f"--header={'yes' if named else 'no'}", f"--index={'yes' if ids else 'no'}", "--context-len=2"]
        found.append(read(tmp_path / "t.csv", one, *flags))
    equal(*found)


def test_a_wrong_separator_is_an_error_and_no_series(tmp_path):
    """The properties above would hold of a reader that reads nothing."""
    (tmp_path / "t.csv").write_bytes(PLAIN.text(["time", "load"], [[pd.Timestamp("2024-01-01"), 1.5]] * 9))
    with pytest.raises(TsrunError):
        read(tmp_path / "t.csv", replace(PLAIN, sep=";"), "--time-col=time", "--context-len=2")
