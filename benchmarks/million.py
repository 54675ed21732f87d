"""Very many short series forecast in shards: series a second, peak memory of a process, how the time grows.

    python -m benchmarks.million --series 10000 100000 1000000

For each size a long CSV (or Parquet) of short series is made; `ridge` and `dlinear` are trained on a few thousand of
them; eight shards of one inference go two at a time and are joined. The joined forecast must have every step of every
series in order, and those of one shard are compared with a run over its series alone.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
STEPS, CONTEXT, HORIZON = 24, 12, 3
TRAINED_ON = 2000
MOST_BYTES = 1.5e9  # of a process
MOST_SLOPE = 1.15  # of log time against log size


@dataclass(frozen=True)
class Found:
    """One size: wall seconds of all shards and of joining, CPU seconds of them, and the largest peak in bytes."""

    series: int
    shards: float
    join: float
    cpu: float
    peak: int

    @property
    def rate(self) -> float:
        """Series a second, joined."""
        return self.series / (self.shards + self.join)


def write(path: Path, series: int, form: str) -> Path:
    """Monthly series with a season and a level, written in parts; returns the file."""
    random, months = np.random.default_rng(0), np.arange(STEPS)
    times = np.datetime_as_string(np.datetime64("2020-01", "M") + months.astype("timedelta64[M]"), unit="D").tolist()
    file = path.with_suffix(".csv")
    with file.open("w") as out:
        out.write("id,date,sales\n")
        for begin in range(0, series, 10_000):
            count = min(10_000, series - begin)
            level = random.gamma(2.0, 50.0, (count, 1))
            values = level * (1 + 0.3 * np.sin(2 * np.pi * months / 12) + random.normal(0, 0.1, (count, STEPS)))
            for number, row in enumerate(np.round(values, 2).tolist(), start=begin):
                out.writelines(f"s{number:07d},{date},{value}\n" for date, value in zip(times, row, strict=True))
    if form == "csv":
        return file
    from pyarrow import csv, parquet

    parquet.write_table(csv.read_csv(file), path.with_suffix(".parquet"))
    file.unlink()
    return path.with_suffix(".parquet")


def command(folder: Path, *words: object) -> tuple[int, float]:
    """Run `python WORDS` in a folder as a process of its own: its peak in bytes, and its CPU seconds."""
    argv = [sys.executable, *map(str, words)]
    env = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(argv, cwd=folder, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    told = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(argv)} ended with {process.returncode}:\n{told[-2000:]}")
    return 1024 * usage.ru_maxrss, usage.ru_utime + usage.ru_stime


def trained(folder: Path, backbone: str, form: str) -> Path:
    """A run on a few of the series."""
    some = write(folder / "some", TRAINED_ON, form)
    words = f"--mode train --task forecast --csv {some} --time-col date --id-col id --context-len {CONTEXT} --quiet"
    more = f"--horizon {HORIZON} --backbone {backbone} --epochs 2 --reference off --no-plots --tag {backbone}"
    command(folder, ROOT / "run.py", *words.split(), *more.split())
    return folder / "artifacts" / backbone


def shared(folder: Path, model: Path, file: Path, series: int, shards: int, side_by_side: int) -> Found:
    """Forecast all series of a file in shards, and join them."""
    name = f"{model.name}_{series}"
    words = f"--mode infer --ckpt {model} --csv {file} --time-col date --id-col id --reference off --no-plots --quiet"

    def one(number: int) -> tuple[int, float]:
        return command(folder, ROOT / "run.py", *words.split(), "--tag", name, "--shard", f"{number}/{shards}")

    began = time.perf_counter()
    with ThreadPoolExecutor(side_by_side) as pool:
        costs = list(pool.map(one, range(1, shards + 1)))
    middle = time.perf_counter()
    places = [folder / "artifacts" / f"{name}_shard{number}of{shards}" for number in range(1, shards + 1)]
    costs.append(command(folder, ROOT / "tools" / "report.py", "--join", *places, "--out", folder / "artifacts" / name))
    ended = time.perf_counter()
    check(folder / "artifacts" / name / "forecast.csv", series)
    peak, cpu = max(peak for peak, _ in costs), sum(cpu for _, cpu in costs)
    return Found(series, middle - began, ended - middle, cpu, peak)


def check(path: Path, series: int) -> None:
    """The joined file has every step of every series, in order."""
    with path.open() as file:
        header = next(file).rstrip().split(",")
        if header[:4] != ["row", "date", "channel", "value"]:
            raise SystemExit(f"{path} begins with {header}")
        for number in range(series):
            for _ in range(HORIZON):
                if not (line := next(file, "")).startswith(f"s{number:07d},2022-"):
                    raise SystemExit(f"{path}: series {number} has the line {line!r}")
        if next(file, ""):
            raise SystemExit(f"{path} has more lines than {series * HORIZON}")


def main(argv: Sequence[str] | None = None) -> int:
    """Print a table; the exit code is 1 where a limit is not kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--backbones", nargs="+", default=["ridge", "dlinear"])
    parser.add_argument("--form", choices=("csv", "parquet"), default="csv")
    parser.add_argument("--shards", type=int, default=8)
    parser.add_argument("--side-by-side", type=int, default=2)
    args = parser.parse_args(argv)
    kept = True
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        models = [trained(folder, backbone, args.form) for backbone in args.backbones]
        found: dict[str, list[Found]] = {model.name: [] for model in models}
        for series in args.series:
            file = write(folder / "all", series, args.form)
            for model in models:
                one = shared(folder, model, file, series, args.shards, args.side_by_side)
                found[model.name].append(one)
                kept &= one.peak <= MOST_BYTES
                cost = f"{one.shards:.1f} s and {one.join:.1f} s to join, {one.cpu:.1f} CPU-s"
                print(
                    f"{model.name:8s} {series:9,} series: {one.rate:8,.0f} a second ({cost}), {one.peak / 1e6:,.0f} MB"
                )
    for name, rows in found.items():
        for small, large in pairwise(rows):
            slope = math.log(large.cpu / small.cpu) / math.log(large.series / small.series)
            kept &= slope <= MOST_SLOPE
            print(f"{name:8s} {small.series:,} to {large.series:,} series: CPU time grows with the power {slope:.2f}")
    print(json.dumps({"kept": kept}))
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
