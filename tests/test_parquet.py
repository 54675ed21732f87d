"""readers/parquet.py and readers/xlsx.py: a table in any format is the Series that it is as a CSV."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from data import Series
from errors import DataError, UsageError
from readers import missing
from readers.long import read_long
from readers.wide import read_wide
from sources.layouts import read_layout
from sources.meter_tables import read_meter

from .conftest import ROOT
from .runs import good, preds, strict

pytestmark = pytest.mark.usefixtures("solved_once")

FORMATS = ["parquet", "feather", "xlsx"]
ZONED = pytest.mark.parametrize("form", ["parquet", "feather"])  # Excel has no times with a zone
ALL = pytest.mark.parametrize("form", FORMATS)


@pytest.fixture(autouse=True)
def no_cache(monkeypatch):
    monkeypatch.setenv("TSRUN_CACHE", "off")


def write(frame: pd.DataFrame, folder: Path, form: str, name: str = "a") -> Path:
    """The frame in a format, without its index."""
    path = folder / form / f"{name}.{form}"
    path.parent.mkdir(exist_ok=True)
    if form == "csv":
        frame.to_csv(path, index=False)
    elif form == "parquet":
        frame.to_parquet(path, index=False)
    elif form == "feather":
        frame.to_feather(path)
    else:
        frame.to_excel(path, index=False)
    return path


def same(found: Series, expected: Series) -> None:
    """All fields but where they come from."""
    for field in dataclasses.fields(Series):
        if field.name not in ("sources", "notes"):
            one, other = getattr(found, field.name), getattr(expected, field.name)
            if isinstance(other, np.ndarray):
                np.testing.assert_array_equal(one, other, err_msg=field.name)
                assert one.dtype.kind == other.dtype.kind
            else:
                assert one == other, field.name


def numbers(rows: int, columns: int) -> pd.DataFrame:
    table = np.random.default_rng(0).normal(0, 1e3, (rows, columns))
    table[:, 1] = np.round(table[:, 1])
    return pd.DataFrame(table, columns=[f"t{k}" for k in range(columns)])


def hourly(rows: int, tz: str | None = None) -> pd.DataFrame:
    """Two channels by the hour over the end of summer time, in UTC or a zone."""
    times = pd.date_range("2024-10-26 20:00", periods=rows, freq="h", tz="UTC").tz_convert(tz)
    return pd.DataFrame({"t": times, "x": np.arange(rows) / 7, "y": np.arange(rows) * 3})


# ---- wide


@ALL
def test_wide_tables(tmp_path, form):
    frames = {"a": numbers(5, 4), "b": numbers(5, 4) * 2}
    read = {kind: read_wide([write(f, tmp_path, kind, name) for name, f in frames.items()]) for kind in ("csv", form)}
    same(read[form], read["csv"])
    assert read[form].channels == ("a", "b")


@ALL
def test_wide_tables_with_ids_labels_and_groups(tmp_path, form):
    ids = ["p3", "p,1", 'p"2', "ä", "p5"]
    frame = numbers(5, 4)
    frame.insert(0, "id", ids)
    labels = pd.DataFrame({"id": ids[::-1], "late": [0, 1, 1, 0, 1.5], "lost": [1, 0, 0, 0, 1]})
    groups = pd.DataFrame({"id": ids[::-1], "house": [*"xxyyz"]})
    read = {}
    for kind in ("csv", form):
        beside = {"labels": write(labels, tmp_path, kind, "y"), "groups": write(groups, tmp_path, kind, "g")}
        read[kind] = read_wide([write(frame, tmp_path, kind)], **beside)
    same(read[form], read["csv"])
    assert read[form].rows == tuple(ids) and read[form].label_names == ("late", "lost")
    assert list(read[form].groups) == [*"zyyxx"]


@ALL
def test_labels_and_groups_in_the_order_of_the_rows(tmp_path, form):
    path = write(numbers(3, 4), tmp_path, "csv")
    labels = write(pd.DataFrame({"y": [3, 1, 2]}), tmp_path, form, "y")
    groups = write(pd.DataFrame({"of": ["a", "b", "a"]}), tmp_path, form, "g")
    series = read_wide([path], labels=labels, groups=groups)
    assert series.labels.tolist() == [[3], [1], [2]] and series.groups.tolist() == ["a", "b", "a"]
    assert series.label_names == ("y",)


@pytest.mark.parametrize("form", ["parquet", "feather"])
def test_names_of_columns_are_never_data(tmp_path, form):
    """As a CSV, this header of numbers is distinguished from data by a guess; --header no is for the CSVs beside."""
    frame = pd.DataFrame([[5.0, 6.0], [7.0, 8.0]], columns=["3", "1"])
    bare = tmp_path / "b.csv"
    bare.write_text("1;2\n3;4\n")
    series = read_wide([write(frame, tmp_path, form), bare], header="no", sep=";")
    np.testing.assert_array_equal(series.values, [[5, 6, 7, 8], [1, 2, 3, 4]])
    labels = write(pd.DataFrame({"7": [0, 1]}), tmp_path, form, "y")
    assert read_wide([bare], sep=";", labels=labels).labels.tolist() == [[0], [1]]


@pytest.mark.parametrize("form", ["parquet", "feather"])
@pytest.mark.parametrize("name", ["id", None])
def test_an_index_of_pandas_comes_first(tmp_path, form, name):
    frame = numbers(3, 2).set_index(pd.Index(["p", "q", "r"], name=name))
    path = tmp_path / f"a.{form}"
    frame.to_parquet(path) if form == "parquet" else frame.to_feather(path)
    series = read_wide([path])
    assert series.rows == ("p", "q", "r") and series.view().shape == (3, 1, 2)


# ---- values


@pytest.mark.parametrize("small", [0, 1 << 30])
@ZONED
def test_floats_are_exact(tmp_path, form, small, monkeypatch):
    monkeypatch.setattr("readers.tables.SMALL", small)
    bits = np.random.default_rng(0).integers(0, 2**32, (5000, 4), np.uint32).view(np.float32)
    bits[~missing.is_known(bits)] = 0
    frame = pd.DataFrame(bits, columns=[*"abcd"])
    series = read_wide([write(frame, tmp_path, form)])
    np.testing.assert_array_equal(series.values.reshape(bits.shape), bits)
    times = frame.assign(t=pd.date_range("2024", periods=len(frame), freq="h"))
    np.testing.assert_array_equal(read_long([write(times, tmp_path, form)], time_col="t").values, bits.T)


@ALL
def test_doubles_and_large_integers_are_rounded_as_in_a_csv(tmp_path, form):
    frame = pd.DataFrame({"i": [2**24 + 1, 2**53 - 1, -(10**15)], "x": [0.1, 1e-30, 1 / 3]})
    same(read_wide([write(frame, tmp_path, form)]), read_wide([write(frame, tmp_path, "csv")]))
    assert read_wide([write(frame, tmp_path, form)]).values[0, 0] == np.float32(2**24 + 1)


@ALL
@pytest.mark.parametrize("policy", [policy for policy in missing.POLICIES if policy != "error"])
def test_missing_values(tmp_path, form, policy):
    frame = numbers(4, 3)
    frame.iloc[[0, 2], [0, 1]] = np.nan
    frame["whole"] = pd.array([1, None, 3, 4], dtype="Int64")
    read = {kind: read_wide([write(frame, tmp_path, kind)], nan=policy) for kind in ("csv", form)}
    same(read[form], read["csv"])
    with pytest.raises(DataError, match=rf"a\.{form}:2:1: missing value, the first of 4 missing and 0 infinite"):
        read_wide([write(frame, tmp_path, form)])


@ALL
def test_text_is_not_a_number(tmp_path, form):
    frame = pd.DataFrame({"a": [1.5, 2], "b": ["3", "x y"]})
    with pytest.raises(DataError, match=rf"a\.{form}:3:2: text 'x y' where a number is expected"):
        read_wide([write(frame, tmp_path, form)])
    with pytest.raises(DataError, match=r"text '[Tt]rue'"):
        read_wide([write(pd.DataFrame({"a": [1.5, 2], "b": [True, False]}), tmp_path, form)])


# ---- long


@ALL
def test_long_tables_with_ids(tmp_path, form):
    part = hourly(6).assign(t=pd.date_range("2024", periods=6, freq="h"))
    frame = pd.concat([part.assign(site="north"), part.assign(site="s, w")])
    frame = frame.sample(frac=1, random_state=0).sort_values("t", kind="stable").reset_index(drop=True)
    read = {kind: read_long([write(frame, tmp_path, kind)], time_col="t", id_col="site") for kind in ("csv", form)}
    same(read[form], read["csv"])
    assert sorted(read[form].rows) == ["north", "s, w"] and read[form].channels == ("x", "y")
    labels = write(pd.DataFrame({"site": ["s, w", "north"], "y": [1, 2]}), tmp_path, form, "y")
    series = read_long([write(frame, tmp_path, form)], time_col="t", id_col="site", labels=labels)
    assert dict(zip(series.rows, series.labels[:, 0].tolist(), strict=True)) == {"s, w": 1, "north": 2}


@ZONED
@pytest.mark.parametrize("zone", ["Europe/Berlin", "UTC", "+02:00", "Asia/Kolkata"])
@pytest.mark.parametrize("tz", ["", "America/New_York"])
def test_times_in_a_zone(tmp_path, form, zone, tz):
    frame = hourly(12, zone)
    read = {kind: read_long([write(frame, tmp_path, kind)], time_col="t", tz=tz) for kind in ("csv", form)}
    same(read[form], read["csv"])
    assert read[form].time[0] == pd.Timestamp("2024-10-26 20:00").value


@ALL
@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_times_without_a_zone(tmp_path, form, unit):
    frame = hourly(30).assign(t=pd.date_range("2024-01-01 00:30", periods=30, freq="90min").as_unit(unit))
    read = {kind: read_long([write(frame, tmp_path, kind)], time_col="t", tz="Asia/Tokyo") for kind in ("csv", form)}
    same(read[form], read["csv"])


@ALL
def test_dates(tmp_path, form):
    days = [datetime.date(2024, 1, 31) + datetime.timedelta(k) for k in range(5)]
    frame = pd.DataFrame({"day": days, "x": range(5)})
    series = read_long([write(frame, tmp_path, form)], time_col="day")
    same(series, read_long([write(frame, tmp_path, "csv")], time_col="day"))
    assert series.clock.freq == "D" and series.clock.show(series.time)[0] == "2024-01-31"


@ALL
def test_values_known_ahead(tmp_path, form):
    frame = hourly(20).assign(t=pd.date_range("2024", periods=20, freq="D"), load=[*range(16), *[np.nan] * 4])
    how = {"time_col": "t", "columns": ["load", "y"], "known": ["y"]}
    read = {kind: read_long([write(frame, tmp_path, kind)], **how) for kind in ("csv", form)}
    same(read[form], read["csv"])
    assert read[form].after.shape == (1, 1, 4) and read[form].known == ("y",)


@ZONED
def test_categories_and_decimals(tmp_path, form):
    import decimal

    frame = hourly(8).assign(site=pd.Categorical([*"abababab"]), x=[decimal.Decimal(k) / 8 for k in range(8)])
    frame["t"] = np.repeat(pd.date_range("2024", periods=4, freq="h"), 2)
    how = {"time_col": "t", "id_col": "site"}
    same(read_long([write(frame, tmp_path, form)], **how), read_long([write(frame, tmp_path, "csv")], **how))


@ALL
def test_the_location_of_a_mistake_is_its_line(tmp_path, form):
    frame = hourly(8).assign(t=pd.date_range("2024", periods=8, freq="h"))
    frame.loc[5, "t"] = frame.loc[4, "t"]
    with pytest.raises(DataError, match=rf"a\.{form}:7: time 2024-01-01 04:00:00 occurs twice"):
        read_long([write(frame, tmp_path, form)], time_col="t")


# ---- meters


@ALL
def test_meters_of_a_house(tmp_path, form):
    times = pd.date_range("2024-01-01", periods=40, freq="7s")
    frame = pd.DataFrame({"when": times, "total": range(40), "a kettle": np.arange(40) % 3})
    how = {"time_col": "when", "mains_col": "total", "device_cols": {"kettle": "a kettle"}, "sample": 10}
    same(read_meter([write(frame, tmp_path, form)], **how), read_meter([write(frame, tmp_path, "csv")], **how))
    unix = times.astype("datetime64[s]").astype(np.int64)
    refit = pd.DataFrame({"Time": times, "Unix": unix, "Aggregate": range(40), "Appliance1": range(40)})
    read = {k: read_layout("refit", [write(refit, tmp_path, k, "CLEAN_House2")]) for k in ("csv", form)}
    same(read[form], read["csv"])


# ---- files


@ALL
def test_the_source_is_the_file_on_disk(tmp_path, form):
    path = write(numbers(3, 2), tmp_path, form)
    (source,) = read_wide([path]).sources
    content = path.read_bytes()
    assert (source.path, source.bytes, source.shape) == (str(path), len(content), (3, 2))
    assert source.sha256 == hashlib.sha256(content).hexdigest()


@ALL
def test_a_large_file_comes_from_the_cache(tmp_path, form, monkeypatch):
    monkeypatch.setenv("TSRUN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("readers.cache.LEAST_BYTES", 100)
    monkeypatch.setattr("readers.cache.RACY_NS", 0)
    path = write(numbers(5, 4), tmp_path, form)
    first, second = read_wide([path]), read_wide([path])
    same(second, first)
    assert second.sources == first.sources and len(list((tmp_path / "cache").iterdir())) == 1


@ALL
@pytest.mark.parametrize("cut", [0, 3, 0.5, 0.98])
def test_a_damaged_file(tmp_path, form, cut):
    path = write(hourly(50).assign(t=range(50)), tmp_path, form)
    content = path.read_bytes()
    path.write_bytes(content[: int(cut if cut > 1 else cut * len(content))])
    kind = "an Excel workbook" if form == "xlsx" else form.title()
    with pytest.raises(DataError, match=rf"a\.{form}: cannot be read as {kind}"):
        read_wide([path])


@ALL
def test_a_file_without_rows(tmp_path, form):
    path = write(numbers(3, 2).iloc[:0], tmp_path, form)
    with pytest.raises(DataError, match="has a header and no rows"):
        read_wide([path])


@ZONED
def test_a_column_of_lists(tmp_path, form):
    with pytest.raises(DataError, match=r"Unsupported Type:list"):
        read_wide([write(pd.DataFrame({"a": [[1, 2], [3]]}), tmp_path, form)])


def test_further_sheets_are_named_in_a_note(tmp_path):
    path = tmp_path / "a.xlsx"
    with pd.ExcelWriter(path) as book:
        numbers(2, 2).to_excel(book, index=False, sheet_name="first")
        numbers(2, 2).to_excel(book, index=False, sheet_name="second")
        numbers(2, 2).to_excel(book, index=False, sheet_name="third")
    (note,) = [note for note in read_wide([path]).notes if "the first sheet" in note]
    assert note == f"{path}: only the first sheet is read, not second, third"


def test_empty_cells_around_a_sheet(tmp_path):
    import openpyxl

    book = openpyxl.Workbook()
    for row in ([1, 2.5], [3, None], [None, None]):
        book.active.append(row)
    book.active["D5"].number_format = "0.00"
    book.save(tmp_path / "a.xlsx")
    np.testing.assert_array_equal(read_wide([tmp_path / "a.xlsx"], nan="zero").values, [[1, 2.5, 3, 0]])


@pytest.mark.parametrize(
    ("form", "package", "extra"),
    [
        ("parquet", "pyarrow", "requirements-parquet.txt"),
        ("feather", "pyarrow", "requirements-parquet.txt"),
        ("xlsx", "openpyxl", "requirements-xlsx.txt"),
    ],
)
def test_a_missing_extra_is_named(tmp_path, form, package, extra, monkeypatch):
    path = write(numbers(2, 2), tmp_path, form)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UsageError, match=rf"a\.{form}: needs {package}\n  hint: pip install -r {extra}"):
        read_wide([path])
    assert (ROOT / extra).is_file()


def test_a_csv_needs_no_extra(put):
    code = "import sys, readers.wide as w; w.read_wide([sys.argv[1]]); print({'pyarrow', 'openpyxl'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code, str(put("1,2\n"))], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == "set()", done.stderr


# ---- through the command line


def test_a_run_is_that_of_the_csv(tmp_path):
    random = np.random.default_rng(0)
    for name in ("a", "b"):
        frame = pd.DataFrame(random.poisson(0.6, (24, 30)) * 1.0, columns=[f"w{k}" for k in range(30)])
        for form in ("csv", *FORMATS):
            write(frame, tmp_path, form, name)
    flags = "--mode train --task classify --backbone linear --epochs 2 --context-len 8 --test-ratio 0.2"
    plain = "--no-plots --quiet"
    runs = {
        form: good(tmp_path, flags, plain, f"--csv '{form}/{{a,b}}.{form}' --tag {form}") for form in ("csv", *FORMATS)
    }
    for form in FORMATS:
        assert (runs[form] / "preds.csv").read_bytes() == (runs["csv"] / "preds.csv").read_bytes()
        held = strict(runs[form] / "manifest.json")["data"]
        assert held["channels"] == ["a", "b"] and held["files"][0]["path"].endswith(f"a.{form}")
    again = good(tmp_path, f"--mode infer --ckpt {runs['csv']} --csv 'parquet/*.parquet' --eval-split test", plain)
    assert preds(again)


def test_a_page_of_titles_is_no_table(tmp_path):
    path = tmp_path / "a.xlsx"
    with pd.ExcelWriter(path) as book:
        pd.DataFrame({"Report": ["by controlling", "2024"]}).to_excel(book, index=False, sheet_name="Info")
        numbers(3, 2).to_excel(book, index=False, sheet_name="Data")
    found = read_wide([path])
    assert found.n_rows == 3 and f"{path}: only the sheet Data is read, not Info" in found.notes


def test_numbers_that_a_workbook_keeps_as_text_with_a_decimal_comma(tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.active.append(["when", "kWh", "many"])
    for k in range(12):
        book.active.append([f"2024-01-{k + 1:02}", f"{k},5" if k != 6 else "-", f"{k + 1},000"])
    book.save(tmp_path / "a.xlsx")
    series = read_long([tmp_path / "a.xlsx"], time_col="when", columns=["kWh"], nan="drop")
    np.testing.assert_array_equal(series.values, [np.where(np.arange(12) == 6, np.nan, np.arange(12) + 0.5)])
    assert any("11 cells of text with a decimal comma" in note for note in series.notes)
    with pytest.raises(DataError, match="'1,000'"):  # a thousand, or one
        read_long([tmp_path / "a.xlsx"], time_col="when", columns=["many"])
