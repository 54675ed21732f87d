"""benchmarks/million.py, out_of_core.py, loading.py, growth.py: run here on a few lines, and none is timed."""

from __future__ import annotations

import contextlib
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks import growth, loading, million, out_of_core
from benchmarks.growing import ROWS, runs
from tools import report

from .runs import go, standing_in


def in_process(folder: Path, script: Path, *words: object) -> tuple[int, float]:
    """What `million.command` does, without a process."""
    if script.name == "run.py":
        done = go(folder, *words)
        assert done.code == 0, done.err
    else:
        with standing_in(folder):
            assert report.main([str(word) for word in words]) == 0
    return 1, 1.0


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_shards_of_a_few_series_are_forecast_joined_and_checked(monkeypatch, capsys, form):
    if form == "parquet":
        pytest.importorskip("pyarrow")
    monkeypatch.setattr(million, "command", in_process)
    monkeypatch.setattr(million, "TRAINED_ON", 10)
    monkeypatch.setattr(million, "ThreadPoolExecutor", lambda _: contextlib.nullcontext(SimpleNamespace(map=map)))
    sizes = ["7", "11"] if form == "csv" else ["5"]
    million.main(["--series", *sizes, "--shards", "2", "--backbones", "ridge", "--side-by-side", "1", "--form", form])
    out = capsys.readouterr().out
    assert all(f"{size} series" in out for size in sizes)


def test_a_joined_file_that_lacks_a_series_is_refused(tmp_path):
    lines = [
        "row,date,channel,value",
        *(f"s{row:07d},2022-0{step}-01,sales,1" for row in range(3) for step in (1, 2, 3)),
    ]
    path = tmp_path / "forecast.csv"
    path.write_text("\n".join(lines) + "\n")
    million.check(path, 3)
    for wrong in (lines[:-1], [*lines[:4], *lines[7:]], [*lines, lines[-1]]):
        path.write_text("\n".join(wrong) + "\n")
        with pytest.raises(SystemExit):
            million.check(path, 3)


def test_the_command_of_out_of_core_runs_from_a_file(tmp_path):
    out_of_core.write(tmp_path / "a.csv", 2000, 2)
    done = go(tmp_path, out_of_core.COMMAND.replace("--epochs 20", "--memory 1kB --epochs 1"), "--stride", "20")
    assert done.code == 0 and "kept in a file" in done.err
    assert out_of_core.status("RssAnon") > 0


def test_both_readers_of_loading_read_the_same(capsys):
    loading.main(["--files", "3", "--rows", "5", "--columns", "40", "--repeat", "1"])
    assert "the same values: True" in capsys.readouterr().out


@pytest.mark.parametrize("name", sorted({*ROWS} - {"search"}))  # whose trials are processes: tests/test_search.py
def test_every_row_of_growth_does_its_work_on_next_to_nothing(name, capsys, monkeypatch):
    monkeypatch.setattr(runs, "DAYS", 500)
    assert growth.main(["--check", name]) == 0
    assert capsys.readouterr().out == f"{name}: works\n"


def test_growth_tells_cost_and_slopes_and_marks_steep_ones():
    found = growth.cost("ridge", 30)
    assert found.cpu > 0 and found.memory >= 0
    cubic = growth.slopes((10, growth.Cost(1.0, 1e6)), (100, growth.Cost(1000.0, 1e7)))
    assert cubic == "3.00* 1.00"


def test_a_row_above_its_limit_fails(monkeypatch, capsys):
    taken = {96: 0.5, 720: 3.0}
    monkeypatch.setattr(growth, "measured", lambda name, size: growth.Cost(taken[size], 1e6))
    assert growth.main(["ridge"]) == 1
    out = capsys.readouterr().out
    assert "limit 1: OVER" in out and "over the limit: ridge" in out
