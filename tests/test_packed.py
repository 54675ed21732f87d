"""readers/packed.py, readers/zipped.py: what the first bytes of a file say, whatever its name."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import zipfile

import numpy as np
import pandas as pd
import pytest

from errors import DataError
from readers.long import read_long

from .runs import go

FRAME = pd.DataFrame({"t": pd.date_range("2024-01-01", periods=40, freq="D").strftime("%Y-%m-%d"), "x": np.arange(40)})
TEXT = FRAME.to_csv(index=False).encode()


def archive(**held):
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in held.items():
            file.writestr(name.replace("__", "."), content)
    return made.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", gzip.compress(TEXT)),
        ("a.csv.bz2", bz2.compress(TEXT)),
        ("a.csv.xz", lzma.compress(TEXT)),
        ("a.csv.gz", gzip.compress(TEXT.decode().encode("utf-16"))),
        ("a.txt", FRAME.to_json(orient="records").encode()),
        ("a.csv", "\n".join(map(json.dumps, FRAME.to_dict("records"))).encode()),
        ("a.csv", gzip.compress(b"[\n  " + FRAME.to_json(orient="records").encode()[1:])),
        ("a.zip", archive(b__csv=TEXT)),
        ("a.zip", archive(README__md=b"words", b__json=FRAME.to_json(orient="records"))),
    ],
)
def test_a_table_is_the_same_however_it_is_packed(put, name, content):
    series = read_long([put(content, name)], time_col="t")
    assert series.values[0].tolist() == list(range(40)) and series.channels == ("x",)


def test_a_packed_head_is_seen_as_far_as_a_plain_one(put):
    """Lines above a table that are longer than a buffer of the unpacker."""
    text = b"".join(b"# %d %s\n" % (k, b"x" * 400) for k in range(40)) + TEXT
    assert read_long([put(gzip.compress(text), "a.csv.gz")], time_col="t").values[0].tolist() == list(range(40))


@pytest.mark.parametrize(
    ("name", "content", "what", "hint"),
    [
        ("a.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "an Excel workbook of the old kind", ".xlsx"),
        ("a.csv", b"PAR1" + bytes(600), "is a Parquet file, not a CSV", "ending .parquet"),
        ("a.csv", archive(b__csv=TEXT), "a workbook of Excel or a zip archive", ".xlsx or .zip"),
        ("a.xls", b"<html><body><table><tr><td>1</td></tr></table>", "is a web page, not a CSV", ".xlsx"),
        ("a.h5", b"\x89HDF\r\n\x1a\n" + bytes(600), "is an HDF5 file", "to_csv"),
        ("a.zip", archive(b__csv=TEXT, c__csv=TEXT), "holds 2 files: b.csv", "unzip"),
        ("a.zip", archive(readme__txt=b"words"), "holds no table", "unzip"),
        ("a.zip", archive(b__csv=TEXT)[:-30], "cannot be read as a zip archive", ""),
        ("a.csv.xz", lzma.compress(TEXT)[:-30], "damaged packed file", ""),
        ("a.csv.xz", lzma.compress(TEXT).replace(lzma.compress(TEXT)[60:90], bytes(30)), "damaged packed file", ""),
        ("a.csv", b"\0\1\2", "is not a text file", "another format"),
    ],
)
def test_other_formats_are_named(put, name, content, what, hint):
    with pytest.raises(DataError, match=what) as refused:
        read_long([put(content, name)], time_col="t")
    assert hint in (refused.value.hint or "")


def test_a_zipped_table_is_forecast_by_the_default_command(tmp_path):
    (tmp_path / "a.zip").write_bytes(archive(b__csv=TEXT))
    done = go(tmp_path, "--mode train --task forecast --csv a.zip --horizon 3 --dry-run")
    assert done.code == 0 and "1 row of 40 steps; 1 channel (x); 2024-01-01 to 2024-02-09" in done.err, done.err
