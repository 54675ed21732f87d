"""Training on a series of twice the memory that is allowed, against the same training in memory.

    python benchmarks/out_of_core.py

A long CSV is made and learned from by two processes: one has all the memory it wants; the other may
allocate half of the bytes that the values take as float32 (RLIMIT_DATA, which counts what a process allocates and not
the files that it maps), beside what a run on a small file had left. Printed are windows a second in training and the
largest anonymous memory above that.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

LEAST = 0.7  # of the rate in memory
EPOCHS = 20
COMMAND = (
    "--mode train --task forecast --csv a.csv --time-col t --context-len 96 --horizon 24 --backbone dlinear "
    f"--epochs {EPOCHS} --batch-size 32 --patience 0 --reference off --no-plots --json --threads 1"
)


def write(path: Path, steps: int, channels: int) -> None:
    """A CSV of waves and noise, an hour a line; what a line holds comes again after some thousands."""
    random, at = np.random.default_rng(0), np.arange(4096)[:, None]
    values = np.sin(at * 2 * np.pi / 64 + np.arange(channels)) + random.normal(0, 0.2, (len(at), channels))
    cells = [",".join(line) for line in np.char.mod("%.3f", values)]
    with path.open("w") as file:
        file.write(",".join(["t", *(f"c{k}" for k in range(channels))]) + "\n")
        for begin in range(0, steps, len(cells)):
            hours = np.arange(begin, min(begin + len(cells), steps)).astype("timedelta64[h]")
            times = np.datetime_as_string(np.datetime64("1900-01-01T00", "h") + hours, unit="s")
            file.writelines(f"{time},{line}\n" for time, line in zip(times.tolist(), cells, strict=False))


def status(name: str) -> int:
    """Bytes of a line of this process's status."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def child(stride: int, allowed: int) -> None:
    """Train, within `allowed` bytes if that is not 0; the last line on stderr is the exit code and the peak as JSON."""
    import run

    command = [*COMMAND.split(), "--stride", str(stride)]
    write(Path("small.csv"), 20_000, 3)
    with contextlib.redirect_stdout(io.StringIO()):  # what is imported and kept by any run is not that of the data
        run.main([*(word.replace("a.csv", "small.csv") for word in command), "--tag", f"small{allowed}", "--quiet"])
    before, peak, done = status("RssAnon"), 0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.02):
            peak = max(peak, status("RssAnon"))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    if allowed:
        resource.setrlimit(resource.RLIMIT_DATA, (status("VmData") + allowed, resource.RLIM_INFINITY))
    code = run.main([*command, "--tag", f"run{allowed}"])
    done.set()
    print(json.dumps({"code": code, "peak": peak - before}), file=sys.stderr)


def measured(folder: Path, stride: int, allowed: int) -> dict[str, float]:
    """Windows a second, and peak bytes, of a process of its own."""
    words = [sys.executable, __file__, "--child", str(allowed), "--stride", str(stride)]
    root = Path(__file__).resolve().parent.parent
    env = {**os.environ, "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2", "PYTHONPATH": str(root)}
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, env=env)
    last = (done.stderr.splitlines() or [""])[-1]
    found = json.loads(last) if last.startswith("{") else {"code": done.returncode}
    if found["code"]:
        raise SystemExit(f"the run with {allowed or 'all'} bytes ended with {found['code']}:\n{done.stderr[-2000:]}")
    summary = json.loads(done.stdout)
    manifest = json.loads((folder / "artifacts" / f"run{allowed}" / "manifest.json").read_text())
    windows = manifest["split"]["train"]["windows"]
    return {"rate": windows * EPOCHS / summary["seconds"], "peak": found["peak"], "mse": summary["mse"]}


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=600_000)
    parser.add_argument("--channels", type=int, default=100)
    parser.add_argument("--stride", type=int, default=300)
    parser.add_argument("--extra", type=int, default=0, help="bytes that are allowed beyond half of the values")
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.child is not None:
        child(args.stride, args.child)
        return 0
    values = 4 * args.steps * args.channels
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder, "a.csv"), args.steps, args.channels)
        text = Path(folder, "a.csv").stat().st_size
        size = f"{text / 1e6:,.0f} MB, as float32 {values / 1e6:,.0f} MB"
        print(f"{args.steps:,} steps of {args.channels} channels: {size}")
        whole, mapped = (measured(Path(folder), args.stride, allowed) for allowed in (0, values // 2 + args.extra))
    for name, found in (("in memory", whole), ("in half", mapped)):
        print(f"{name:10s} {found['rate']:10,.0f} windows/s, {found['peak'] / 1e6:8,.0f} MB more than a small run")
    ratio = mapped["rate"] / whole["rate"]
    same = mapped["mse"] == whole["mse"]
    print(f"{ratio:.2f} of the rate (at least {LEAST}); the same error: {same}")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
