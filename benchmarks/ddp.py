"""Two processes of one thread against one process of one thread: `python benchmarks/ddp.py`.

Each trains llm_ts on the same windows through `run.py`, the two under torchrun, with the same global batch. Windows a
second are those of all epochs but the first. Rounds alternate, so that a noisy machine affects both; it wants two cores
that nobody else uses. The ratio that counts is that of the best round: what else runs takes from two processes more
than from one.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from sources.synthetic import demand, write_wide

ROOT = Path(__file__).resolve().parent.parent
LIMIT = 1.7
CONTEXT = 96
TORCHRUN = "torch.distributed.run"  # what the command torchrun runs


def command(processes: int, out: Path, files: Sequence[Path], size: str, epochs: int) -> list[str]:
    """The command line that trains with so many processes."""
    start = [sys.executable]
    if processes > 1:
        start += ["-m", TORCHRUN, "--standalone", "--nproc-per-node", str(processes)]
    flags = f"--mode train --task classify --context-len {CONTEXT} --backbone llm_ts --no-wide --model-args size={size}"
    more = f"--epochs {epochs} --batch-size 512 --patience 0 --threads 1 --device cpu --reference off --no-plots"
    words = [*start, str(ROOT / "run.py"), *flags.split(), *more.split(), "--csv", *map(str, files)]
    return [*words, "--out", str(out), "--tag", f"of{processes}", "--quiet"]


def rate(processes: int, folder: Path, files: Sequence[Path], size: str, epochs: int) -> float:
    """Training windows a second."""
    out = folder / "artifacts"
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run(command(processes, out, files, size, epochs), check=True, env=environment, stdout=subprocess.DEVNULL)
    (run,) = out.iterdir()
    with (run / "history.csv").open(newline="") as file:
        ends = [float(line["seconds"]) for line in csv.DictReader(file)]
    windows = json.loads((run / "manifest.json").read_text())["split"]["train"]["windows"]
    shutil.rmtree(out)
    return float(windows * (epochs - 1) / (ends[-1] - ends[0]))


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=120, help="series of 240 steps")
    parser.add_argument("--size", default="small", help="of llm_ts")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="two processes on a few windows; times nothing")
    asked = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = [folder / f"channel{c}.csv" for c in range(4)]
        rows, steps = (8, 140) if asked.quick else (asked.rows, 240)
        write_wide(demand(rows, steps, 4, seed=7), files)
        if asked.quick:
            rate(2, folder, files, "tiny", 2)
            print("two processes trained")
            return 0
        ratios = []
        for turn in range(asked.rounds):
            order = (1, 2) if turn % 2 else (2, 1)
            found = {n: rate(n, folder, files, asked.size, asked.epochs) for n in order}
            ratios.append(found[2] / found[1])
            print(f"1 process {found[1]:,.0f} windows/s, 2 processes {found[2]:,.0f}, ratio {ratios[-1]:.2f}")
    best = max(ratios)
    print(f"best of {len(ratios)} pairs {best:.2f} (at least {LIMIT}), median {statistics.median(ratios):.2f}")
    return int(best < LIMIT)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
