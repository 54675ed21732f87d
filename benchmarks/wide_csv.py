"""Reading a wide CSV: time and peak memory against pandas and numpy, each in a separate process.

    python benchmarks/wide_csv.py            500 x 20,000 numbers, 95 MB of text
    python benchmarks/wide_csv.py --repeat 5 --loadtxt

Every process imports the same modules first; a reader's memory is its peak minus that of a process that only imports.
The seconds are the best of the repeats, the peak is the worst. The readers alternate, so a busy moment of the machine
affects all of them.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MIB = 1 << 20


def work(reader: str, path: Path) -> dict[str, float]:
    """Run one reader in this process: seconds, and peak resident bytes of the process."""
    sys.path.insert(0, str(ROOT))
    import numpy as np
    import pandas

    from readers import reader_of
    from readers.wide import read_wide

    reader_of([path])  # imports what reads the format

    started = time.perf_counter()
    if reader == "pandas":
        pandas.read_csv(path, header=None, dtype=np.float32, engine="c", na_filter=False, low_memory=False).to_numpy()
    elif reader == "np.loadtxt":
        np.loadtxt(path, delimiter=",", dtype=np.float32)
    elif reader in ("tsrun, first", "tsrun, cached"):
        read_wide([path])
    return {
        "seconds": time.perf_counter() - started,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


def write_table(path: Path, rows: int, columns: int, seed: int) -> None:
    """Normal noise with six decimals."""
    import numpy as np

    random = np.random.default_rng(seed)
    with path.open("w") as file:
        for _ in range(rows):
            file.write(",".join([f"{value:.6f}" for value in random.normal(0, 3, columns)]) + "\n")


def measure(reader: str, path: Path, cache: Path) -> dict[str, float]:
    """One reader in a fresh process. The file's cache entry is deleted for a first read and kept for a cached one."""
    if reader == "tsrun, first":
        for entry in cache.glob("*"):
            entry.unlink()
    command = [sys.executable, __file__, "--worker", reader, "--file", str(path)]
    environment = {**os.environ, "TSRUN_CACHE": str(cache)}
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    measured: dict[str, float] = json.loads(done.stdout)
    return measured


def report(best: dict[str, dict[str, float]], array: int) -> bool:
    """Print the table and the limits; returns whether all limits are kept."""
    peer, base = best["pandas"]["seconds"], best["imports only"]["peak"]
    print(f"{'reader':16}{'seconds':>9}{'x pandas':>10}{'peak MiB':>10}{'x array':>9}")
    for reader, found in best.items():
        if reader != "imports only":
            extra = found["peak"] - base
            row = f"{found['seconds']:9.3f}{peer / found['seconds']:10.1f}{extra / MIB:10.0f}{extra / array:9.2f}"
            print(f"{reader:16}{row}")
    print(f"float32 array {array / MIB:.0f} MiB; a process that only imports {base / MIB:.0f} MiB\n")
    first, cached = best["tsrun, first"], best["tsrun, cached"]
    limits = [
        ("first read at least as fast as pandas", peer / first["seconds"], ">=", 1.0),
        ("first read's peak memory over the array", (first["peak"] - base) / array, "<", 3.0),
        ("cached read's speed over pandas' first", peer / cached["seconds"], ">=", 20.0),
    ]
    kept = [value >= limit if sign == ">=" else value < limit for _, value, sign, limit in limits]
    for (name, value, sign, limit), good in zip(limits, kept, strict=True):
        print(f"{'PASS' if good else 'FAIL'}  {name}: {value:.2f} {sign} {limit:g}")
    return all(kept)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=500)
    parser.add_argument("--columns", type=int, default=20_000)
    parser.add_argument("--repeat", type=int, default=3, help="times each reader runs (%(default)s)")
    parser.add_argument("--loadtxt", action="store_true", help="np.loadtxt too")
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker == "write":
        write_table(args.file, args.rows, args.columns, seed=0)
        return 0
    if args.worker:
        print(json.dumps(work(args.worker, args.file)))
        return 0
    readers = ["imports only", "pandas", *["np.loadtxt"] * args.loadtxt, "tsrun, first", "tsrun, cached"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "wide.csv"
        size = ["--rows", str(args.rows), "--columns", str(args.columns)]
        # In a separate process: a child's peak memory starts at that of its parent.
        subprocess.run([sys.executable, __file__, "--worker", "write", "--file", str(path), *size], check=True)
        time.sleep(2.1)  # the cache does not trust a file that is younger
        print(f"{args.rows} x {args.columns}, {path.stat().st_size / 1e6:.0f} MB of text, best of {args.repeat}\n")
        runs = [{name: measure(name, path, Path(folder) / "cache") for name in readers} for _ in range(args.repeat)]
    best = {
        name: {"seconds": min(run[name]["seconds"] for run in runs), "peak": max(run[name]["peak"] for run in runs)}
        for name in readers
    }
    return 0 if report(best, args.rows * args.columns * 4) else 1


if __name__ == "__main__":
    sys.exit(main())
