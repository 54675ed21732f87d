"""tasks/shorter.py: the flags proposed where a part of a split has no window work when they are typed."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from .runs import go

WORDS = "--mode train --task forecast --csv x.csv --time-col day --backbone ridge --reference off --no-plots --dry-run"


def table(folder, holes=()):
    days = np.datetime64("2024-01-01") + np.arange(100)
    values = [("" if k in holes else f"{np.sin(k / 3):.3f}") for k in range(100)]
    lines = [f"{day},{value}" for day, value in zip(days, values, strict=True)]
    (folder / "x.csv").write_text("\n".join(["day,x", *lines]) + "\n")


@pytest.mark.parametrize(
    ("flags", "holes", "proposed"),
    [
        ("--context-len 60 --horizon 12", (), r"--context-len \d+"),
        ("--horizon 50", (), r"--horizon \d+"),
        ("--context-len 12 --horizon 5 --gap 60", (), r"--gap \d+"),
        ("--context-len 12 --horizon 5 --split-mode rolling --folds 20", (), r"--folds \d+"),
        ("--context-len 24 --horizon 2 --nan drop", range(9, 100, 10), r"--context-len \d+"),
        ("--context-len 12 --horizon 2 --nan drop", range(80, 100, 2), r"--nan ffill"),
    ],
)
def test_the_hint_works(tmp_path, flags, holes, proposed):
    table(tmp_path, holes)
    failed = go(tmp_path, f"{WORDS} {flags}")
    assert failed.code == 3, failed.err
    hint = re.search(proposed, failed.err.partition("hint:")[2])
    assert hint, failed.err
    name = hint[0].split()[0]
    kept = re.sub(rf"{name} \S+", "", flags)
    assert go(tmp_path, f"{WORDS} {kept} {hint[0]}").code == 0


def test_many_series_of_two_steps_may_be_lines_of_time(tmp_path):
    """The names of the lines are written as no dates are that are read."""
    lines = [f"day {k:03d} of it,{np.sin(k / 3):.3f},{np.cos(k / 3):.3f}" for k in range(100)]
    (tmp_path / "x.csv").write_text("\n".join(["date,x,y", *lines]) + "\n")
    words = WORDS.replace("--time-col day", "") + " --horizon 1 --context-len 1"
    failed = go(tmp_path, words)
    assert failed.code == 3, failed.err
    assert "hint: --time-col line if each line is a step of time\n" in failed.err
    assert go(tmp_path, words, "--time-col line").code == 0


def test_three_years_of_months_are_forecast_a_year_ahead_and_scored_on_one(tmp_path):
    months = np.arange("2020-01", "2023-01", dtype="datetime64[M]")
    lines = [f"{month},{100 + 3 * k + 10 * np.sin(np.pi * k / 6):.2f}" for k, month in enumerate(months)]
    (tmp_path / "x.csv").write_text("\n".join(["month,x", *lines]) + "\n")
    words = "--mode train --task forecast --csv x.csv --horizon 12 --no-plots"
    run = go(tmp_path, words)
    told = "warning: the series are too short for a test part: scores are those of validation; "
    assert run.code == 0 and told in run.err and "val: 1 windows (val-selected" in run.out
    (folder,) = (tmp_path / "artifacts").iterdir()
    made = json.loads((folder / "manifest.json").read_text())["split"]
    assert made["test"]["windows"] == 0 and made["val"]["windows"] == 1
    dates = [line.partition(",")[0] for line in (folder / "forecast.csv").read_text().splitlines()[1:]]
    assert dates == [f"2023-{month:02d}-01" for month in range(1, 13)]
    hint = re.search(r"; (--horizon \d+) leaves one", run.err)
    assert "test" in go(tmp_path, words.replace("--horizon 12", hint[1]), "--dry-run").out
    for asked in ("--test-ratio 0.2", "--context-len 2"):
        refused = go(tmp_path, words, asked)
        assert refused.code == 3 and "has no window" in refused.err and told not in refused.err
