"""readers/kept.py: a long table is parsed once, and comes from the cache as it was read."""

from __future__ import annotations

import shutil

import numpy as np
import pandas as pd
import pytest

from errors import DataError
from readers import cache, kept, mapped, streamed
from readers.categories import Asked
from readers.long import read_long

from .test_streamed import HOURS, NOISE, N, frame, same


@pytest.fixture(autouse=True)
def reads(monkeypatch, tmp_path):
    """The files that were parsed, one entry each time; every file is cached, and read in parts."""
    found = []
    monkeypatch.setenv("TSRUN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "LEAST_BYTES", 1)
    monkeypatch.setattr(cache, "RACY_NS", 0)
    monkeypatch.setattr(streamed, "LEAST_BYTES", 0)
    monkeypatch.setattr(kept, "read_streamed", lambda *a, **k: found.append(a[0]) or streamed.read_streamed(*a, **k))
    return found


@pytest.mark.parametrize(
    ("more", "options"),
    [
        ({}, {}),
        ({}, {"tz": "Europe/Berlin"}),
        ({"id": ["b", "a"] * (N // 2)}, {"id_col": "id", "resample": "2h"}),
        ({"w": ["sun", "rain"] * (N // 2)}, {"asked": Asked(("w",))}),
        ({"c": 1.5e9 + np.arange(N) / 7}, {}),
        ({"q": ['a "b', "c"] * (N // 2)}, {}),
        ({"t": HOURS.tz_localize("+01:00")}, {}),
        ({"y": [*NOISE[:40, 1], *[np.nan] * 20]}, {"nan": "drop"}),
    ],
)
def test_the_second_time_nothing_is_parsed_and_all_is_the_same(put, reads, more, options):
    path = put(frame(**more).to_csv(index=False))
    first = read_long([path], time_col="t", **options)
    same(read_long([path], time_col="t", **options), first)
    assert len(reads) == 1


def test_errors_name_the_line_from_the_cache_too(put, reads):
    path = put("a title\n" + pd.concat([frame()[:30], frame()[25:]]).to_csv(index=False))
    told = set()
    for _ in range(2):
        with pytest.raises(DataError) as caught:
            read_long([path], time_col="t")
        told.add((caught.value.what, caught.value.where))
    assert len(told) == len(reads) == 1 and ":33" in told.pop()[1]


def test_another_reading_or_a_changed_file_is_another_entry(put, reads):
    path = put(frame().to_csv(index=False))
    read_long([path], time_col="t")
    assert read_long([path], time_col="t", columns=["y"]).channels == ("y",)
    put(frame(y=1.5).to_csv(index=False))
    assert (read_long([path], time_col="t").values[1] == 1.5).all() and len(reads) == 3


def test_large_values_are_mapped_from_their_entry(put, reads, tmp_path, monkeypatch):
    path = put(frame(**{"id": ["b", "a"] * (N // 2)}).to_csv(index=False))
    for options in ({"id_col": "id"}, {"columns": ["y"]}):
        plain = read_long([path], time_col="t", **options)
        reads.clear()
        for _ in range(3):
            found = read_long([path], time_col="t", memory="1kB", **options)
            assert mapped.is_mapped(found.values) and len(reads) == 1
            same(found, plain)
    one, two = sorted((tmp_path / "cache").glob("*.mapped"), key=lambda entry: entry.stat().st_mtime_ns)
    two.write_bytes(two.read_bytes()[:-1])  # torn: read again
    same(read_long([path], time_col="t", memory="1kB", columns=["y"]), plain)
    assert len(reads) == 2
    put(frame(y=[*NOISE[:40, 1], *[np.nan] * 20]).to_csv(index=False))
    for _ in range(2):  # what is filled in is not written into an entry
        found = read_long([path], time_col="t", memory="1kB", nan="zero")
        assert (found.values[1, 40:] == 0).all()
    assert len(reads) == 4
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(cache.shutil, "disk_usage", lambda _: usage._replace(free=100))
    put(frame(y=2.5).to_csv(index=False))
    for _ in range(2):
        read_long([path], time_col="t", memory="1kB")
    assert len(reads) == 6 and one.exists()
