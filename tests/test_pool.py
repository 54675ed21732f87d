"""Files that are read by processes side by side: what one process reads, in order, and the same errors."""

from __future__ import annotations

import multiprocessing
import os
import signal
from pathlib import Path

import numpy as np
import pytest

from errors import DataError
from readers import pool
from readers.wide import read_wide


@pytest.fixture
def files(tmp_path) -> list[Path]:
    random = np.random.default_rng(1)
    for number in range(7):
        np.savetxt(tmp_path / f"{number}.csv", random.normal(size=(6, 9)).round(3), delimiter=",", fmt="%g")
    return sorted(tmp_path.iterdir())


def test_small_files_and_one_core_take_one_process(files, monkeypatch):
    assert pool.processes(files) == 1 and pool.processes([*files, Path("nowhere")]) == 1
    monkeypatch.setattr(pool, "LARGE", 0)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(20)), raising=False)
    assert pool.processes(files) == 7 and pool.processes(files * 3) == 8 and pool.processes(files[:1]) == 1
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3}, raising=False)
    assert pool.processes(files) == 1 or not hasattr(os, "sched_setaffinity")


def fragile(path: Path) -> str:
    """Reads in the process that asks; another one is killed by it."""
    if multiprocessing.parent_process() is not None:
        os.kill(os.getpid(), signal.SIGKILL)
    return path.read_text()


def test_processes_read_what_one_does(files, monkeypatch):
    monkeypatch.setenv("TSRUN_CACHE", "off")
    expected = read_wide(files)
    monkeypatch.setattr(pool, "processes", lambda _: 2)
    found = read_wide(files)
    np.testing.assert_array_equal(found.values, expected.values)
    assert (found.channels, found.sources, found.notes) == (expected.channels, expected.sources, expected.notes)
    assert list(pool.in_order(fragile, files)) == [path.read_text() for path in files]
    files[3].write_text("1,2\n3,oops\n")
    files[5].unlink()
    with pytest.raises(DataError, match="oops"):
        read_wide(files)
