"""Reading many wide CSVs, a file a channel: against pandas' C engine over the same files in the same run.

    python -m benchmarks.loading            31 files of 500 x 2,000 numbers

A file's blocks are parsed by two threads. The readers alternate, without the cache; the seconds are the best of the
repeats, and the values must be the same.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import pandas

from readers.wide import read_wide

MOST = 1.0  # of pandas' time


def write(folder: Path, files: int, rows: int, columns: int) -> list[Path]:
    """Normal noise with four decimals."""
    random = np.random.default_rng(0)
    lines = [",".join(line) for line in np.char.mod("%.4f", random.normal(0, 3, (rows, columns)))]
    paths = [folder / f"LP{number}a.csv" for number in range(1, files + 1)]
    for number, path in enumerate(paths):  # the same lines in another order
        path.write_text("\n".join(np.roll(lines, number).tolist()) + "\n")
    return paths


def by_pandas(paths: Sequence[Path]) -> np.ndarray:
    """Values [C, N * T], file by file."""
    options = {"header": None, "dtype": np.float32, "engine": "c", "na_filter": False, "low_memory": False}
    return np.stack([pandas.read_csv(path, **options).to_numpy().reshape(-1) for path in paths])


def by_tsrun(paths: Sequence[Path]) -> np.ndarray:
    """The same as a run reads them."""
    return read_wide(paths).values


def main(argv: Sequence[str] | None = None) -> int:
    """Print both times; the exit code is 1 where pandas is faster or the values differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=31)
    parser.add_argument("--rows", type=int, default=500)
    parser.add_argument("--columns", type=int, default=2000)
    parser.add_argument("--repeat", type=int, default=3)
    args = parser.parse_args(argv)
    before, os.environ["TSRUN_CACHE"] = os.environ.get("TSRUN_CACHE", ""), "off"
    readers: dict[str, Callable[[Sequence[Path]], np.ndarray]] = {"pandas": by_pandas, "tsrun": by_tsrun}
    seconds: dict[str, list[float]] = {name: [] for name in readers}
    values: dict[str, np.ndarray] = {}
    with tempfile.TemporaryDirectory() as folder:
        paths = write(Path(folder), args.files, args.rows, args.columns)
        size = sum(path.stat().st_size for path in paths)
        for _ in range(args.repeat):
            for name, reader in readers.items():
                started = time.perf_counter()
                values[name] = reader(paths)
                seconds[name].append(time.perf_counter() - started)
    os.environ["TSRUN_CACHE"] = before
    best = {name: min(each) for name, each in seconds.items()}
    ratio, same = best["tsrun"] / best["pandas"], bool((values["pandas"] == values["tsrun"]).all())
    print(f"{args.files} files of {args.rows} x {args.columns}, {size / 1e6:.0f} MB, {os.cpu_count()} cores")
    times = f"pandas {best['pandas']:.2f} s, tsrun {best['tsrun']:.2f} s: {ratio:.2f} (at most {MOST:g})"
    print(f"{times}; the same values: {same}")
    return 0 if same and ratio <= MOST else 1


if __name__ == "__main__":
    sys.exit(main())
