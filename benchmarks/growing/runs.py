"""Whole commands: what stands around training."""

from __future__ import annotations

import ctypes
import datetime
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from benchmarks.growing import row

ROOT = Path(__file__).resolve().parents[2]
DAYS = 1826  # five years
SUBREAPER = 36  # of prctl: orphans of processes below this one are its own children


@row("report", "runs", sizes=(10, 300), large=(1000,), least=2)
def report(folder: Path, size: int) -> Callable[[], object]:
    """The site of many runs, each with four pictures."""
    import viz
    from tools import report

    figure = viz.new_figure(6, 4)
    figure.subplots().plot(np.random.default_rng(0).normal(size=2000))
    viz.save(figure, folder / "picture.png")
    picture = (folder / "picture.png").read_bytes()
    for number in range(size):
        place = folder / "runs" / f"run{number}"
        place.mkdir(parents=True)
        content = {
            "run": place.name, "task": "classify", "mode": "train", "split": "test", "pr_auc": 0.4,
            "monitor": {"name": "pr_auc", "direction": "max"}, "headline": {"pr_auc": 0.4},
            "references": {"base_rate": {"pr_auc": 0.3}}, "backbone": "gru", "seed": number,
        }  # fmt: skip
        (place / "metrics.json").write_text(json.dumps(content))
        (place / "manifest.json").write_text("{}")
        for each in range(4):
            (place / f"plot{each}.png").write_bytes(picture)
    return lambda: report.main([str(folder / "runs"), "--out", str(folder / "report")])


@row("search", "trials", sizes=(4, 20), large=(100,), least=1)
def search(folder: Path, size: int) -> Callable[[], object]:
    """A search of an epoch of DLinear a trial, with the processes of its trials."""
    words = f"--trials {size} --pruner none --out {folder / 'out'} -- --task forecast --demo --backbone dlinear"
    argv = [sys.executable, str(ROOT / "search.py"), *words.split(), "--context-len", "24", "--horizon", "4"]

    def work() -> None:
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(SUBREAPER, 1, 0, 0, 0)
        subprocess.run([*argv, "--epochs", "1", "--no-plots"], cwd=folder, check=True, capture_output=True)
        while True:  # the server of the trials' processes, which outlives the command a little
            try:
                os.wait()
            except ChildProcessError:
                return

    return work


@row("many series", "series", sizes=(300, 1000), large=(3000, 10_000), least=4)
def many_series(folder: Path, size: int) -> Callable[[], object]:
    """A forecast of short monthly series by the default command, without pictures."""
    return _panel(folder, size, [f"{2020 + k // 12}-{k % 12 + 1:02d}-01" for k in range(48)], 12, 6)


@row("long series", "series", sizes=(4, 16), large=(64, 500), least=2)
def long_series(folder: Path, size: int) -> Callable[[], object]:
    """The same of DAYS days, of which 336 windows of each series are scored: the sales of items in shops."""
    first = datetime.date(2013, 1, 1)
    return _panel(folder, size, [str(first + datetime.timedelta(days=k)) for k in range(DAYS)], 7, 30)


def _panel(folder: Path, size: int, dates: Sequence[str], period: int, horizon: int) -> Callable[[], object]:
    """The default command on series with a season."""
    import run

    rng, steps = np.random.default_rng(0), len(dates)
    season = np.sin(2 * np.pi * np.arange(steps) / period + rng.uniform(0, 6, (size, 1)))
    level = np.exp(rng.uniform(2, 8, (size, 1)))
    values = level * (1 + 0.2 * season + 0.05 * rng.normal(size=(size, steps)))
    with (folder / "t.csv").open("w") as file:
        file.write("date,id,y\n")
        for number, series in enumerate(values):
            file.writelines(f"{date},s{number},{value:.4f}\n" for date, value in zip(dates, series, strict=True))
    words = f"--mode train --task forecast --time-col date --id-col id --horizon {horizon} --no-plots --quiet"
    argv = [*words.split(), "--csv", str(folder / "t.csv"), "--out", str(folder / "out")]
    return lambda: run.main(argv)
