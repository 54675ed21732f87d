"""The registry of readers: a format is one file, and what it says of itself is enough to be read wherever a CSV is."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import data
import readers
import readers.text
from config import RunConfig
from errors import DataError
from readers.base import Reader
from readers.dialect import Dialect
from readers.files import open_table, read_header, sha256_of

from .conftest import ROOT


def test_every_format_is_found_by_its_endings():
    assert {"npz", "parquet", "text", "xlsx"} <= set(readers.names())
    for name, endings in {"npz": ["a.npz"], "parquet": ["a.parquet", "b.FEATHER"], "xlsx": ["a.XLSX"]}.items():
        assert readers.reader_of(endings) is readers.load(name)
    for other in (["a.csv"], ["a.csv.gz"], ["a"], ["a.txt"], ["a.parquet.gz"], ["data/*"], []):
        assert readers.reader_of(other) is readers.load("text")
    assert readers.reader_of(["a.csv", "a.parquet"]) is readers.load("text")


@pytest.mark.parametrize("name", readers.names())
def test_every_reader_keeps_the_contract(name):
    reader = readers.load(name)
    assert isinstance(reader, Reader) and isinstance(reader.named_columns, bool)
    asked = Dialect(";", ",", "auto", "yes")
    dialect = reader.dialect(asked)
    if name in ("text", "zipped"):
        assert dialect == asked
    else:
        assert (dialect.sep, dialect.decimal, dialect.index) == (",", ".", "yes")
        assert dialect.header == ("yes" if reader.named_columns else "auto")


def test_a_channel_is_called_as_its_file_without_the_ending():
    names = {"a.csv": "a", "a.csv.gz": "a", "a.gz": "a", "a.b.parquet": "a.b", "a.feather": "a", "a.xlsx": "a"}
    names |= {"a.txt": "a.txt", "a": "a", "A.CSV": "A.CSV", ".csv": ".csv"}
    assert {name: readers.stem(Path("x.parquet") / name) for name in names} == names


def test_looking_up_a_reader_imports_only_that_one():
    others = {"pyarrow", "openpyxl", "pandas", "readers.parquet", "readers.npz"}
    code = f"import sys, readers; readers.reader_of(['a.csv']); print(sorted({others} & {{*sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_npz_is_not_a_table(put):
    config = RunConfig(csv=(str(put("", "a.npz")),))
    with pytest.raises(DataError, match=r"a\.npz: has arrays, not a table\n  hint: --npz"):
        data.read(config)


@pytest.mark.parametrize(
    ("text", "sep", "names"),
    [
        ("t, x ,y\n1,2,3\n", ",", ["t", "x", "y"]),
        ("\ufefft;x\r\n1;2\r\n", ";", ["t", "x"]),
        ('"a\tb"\tc\n', "tab", ["a\tb", "c"]),
        ("only", ",", ["only"]),
    ],
)
def test_the_header_of_a_file(put, text, sep, names):
    assert read_header(put(text), sep) == names


def test_a_file_is_hashed_as_it_is_on_disk(put):
    path = put("1,2\n")
    with open_table(path) as table:
        assert table.text.read() == b"1,2\n"
    assert table.bytes == 4 and table.sha256 == sha256_of(path)


def test_a_plain_file_is_looked_through_once_until_it_changes(put, monkeypatch):
    path, seen, look = put("date,x\n" + "2024-01-01,1\n" * 30, "again.csv"), [], readers.text.described

    def described(stream):
        seen.append(1)
        return look(stream)

    monkeypatch.setattr(readers.text, "described", described)
    for _ in range(3):
        with open_table(path) as table:
            assert table.text.read().startswith(b"date,x\n2024") and not table.notes
    assert len(seen) == 1
    path.write_text("date,x\nint,float\n" + "2024-01-01,1\n" * 30)  # a line of types
    for _ in range(2):  # what is changed is changed each time
        with open_table(path) as table:
            assert table.text.read().startswith(b"date,x\n2024") and len(table.notes) == 1
    assert len(seen) == 3


# ---- a format of one's own

LINES = """
import json
from readers import register
from readers.base import Reader, TableText, csv_text

READS = {"endings": [".lines"]}


@register
class LinesReader(Reader):
    def text(self, file, path):
        records = [json.loads(line) for line in file]
        return TableText(csv_text([list(records[0]), *(record.values() for record in records)]))
"""
READ = """
import json, sys
import data
from config import RunConfig
wide = data.read(RunConfig(csv=("x.lines",), index="yes", labels="y.lines"))
long = data.read(RunConfig(csv=("x.lines",), time_col="id"), columns=["b"])
print(json.dumps([wide.rows, wide.channels, wide.values.tolist(), wide.labels.tolist()]))
print(json.dumps([long.rows, long.channels, long.values.tolist(), long.clock.freq]))
"""


def test_a_new_format_is_one_file(tmp_path):
    for path in (path for room in (".", "readers", "settings", "times") for path in ROOT.glob(f"{room}/*.py")):
        copy = tmp_path / path.relative_to(ROOT)
        copy.parent.mkdir(exist_ok=True)
        shutil.copy(path, copy)
    (tmp_path / "readers/lines.py").write_text(LINES)
    days = ["2024-01-01", "2024-01-02", "2024-01-03"]
    records = [{"id": day, "a": number, "b": number + 0.5} for number, day in enumerate(days)]
    (tmp_path / "x.lines").write_text("".join(json.dumps(record) + "\n" for record in records))
    labels = [{"id": day, "y": number} for number, day in enumerate(days)]
    (tmp_path / "y.lines").write_text("".join(json.dumps(label) + "\n" for label in reversed(labels)))
    done = subprocess.run([sys.executable, "-c", READ], cwd=tmp_path, capture_output=True, text=True, check=True)
    wide, long = map(json.loads, done.stdout.splitlines())
    assert wide == [days, ["x"], [[0, 0.5, 1, 1.5, 2, 2.5]], [[0], [1], [2]]]
    assert long == [["x"], ["b"], [[0.5, 1.5, 2.5]], "D"]
