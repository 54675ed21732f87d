"""What a command costs before and after its work: `python benchmarks/startup.py`, in CPU seconds on one thread.

Each line is a fresh process, the least of a few: importing torch, the help, a file that is missing, a tiny run of every
task without pictures, and DLinear on ETTh1 where that file is there. Beside it stands what it was of importing torch,
and which modules that take long were imported. `--root` measures another checkout.
"""

from __future__ import annotations

import argparse
import math
import os
import resource
import subprocess
import sys
import tempfile
from datetime import date, timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ETT = ROOT.parent / "shared" / "data" / "ett" / "ETTh1.csv"
COSTLY = ("torch", "pandas", "sklearn", "matplotlib", "torch._dynamo")
TINY = "--mode train --demo --epochs 1 --reference off --no-plots --quiet --overwrite"
DLINEAR = "--mode train --task forecast --time-col date --preset etth --features M --context-len 96 --horizon 96"
SECONDS = {"a look at a CSV, and its forecast": 6.0, "mistyped column": 0.5}  # of CPU, imports included
LIMITS = {"missing file": 0.4, "DLinear, 3 epochs": 2.4}  # times importing torch
CODE = """
import sys
sys.path.insert(0, sys.argv[1])
import run
try:
    code = run.main(sys.argv[3:])
except SystemExit as end:
    code = end.code
print("imported", *(name for name in sys.argv[2].split() if name in sys.modules), file=sys.stderr)
"""


def commands(out: str) -> dict[str, str]:
    """{what it is: the words after `run.py`}."""
    found = {
        "--help": "--help",
        "missing file": "--mode train --task regress --csv not_there.csv --context-len 31",
        "forecast, closed form": f"{TINY} --task forecast --backbone ridge --context-len 24 --horizon 4 --out {out}",
        "forecast, net": f"{TINY} --task forecast --backbone dlinear --context-len 24 --horizon 4 --out {out}",
        "regress": f"{TINY} --task regress --backbone gru --out {out}",
        "classify": f"{TINY} --task classify --backbone gru --out {out}",
        "nilm": f"{TINY} --task nilm --backbone gru --out {out}",
    }
    daily = Path(out) / "my.csv"
    days = [(date(2024, 1, 1) + timedelta(days=k)).isoformat() for k in range(400)]
    lines = (f"{day},{10 + 3 * math.sin(2 * math.pi * k / 7) + 0.01 * k:.3f}" for k, day in enumerate(days))
    daily.write_text("\n".join(["date,y", *lines]) + "\n")
    found["a look at a CSV"] = f"--csv {daily}"
    found["first forecast"] = f"--task forecast --csv {daily} --horizon 14 --overwrite --out {out}"
    found["mistyped column"] = f"--task forecast --csv {daily} --target yy"
    if ETT.is_file():
        more = "--backbone dlinear --epochs 3 --no-plots --reference off --quiet --overwrite"
        found["DLinear, 3 epochs"] = f"{DLINEAR} --csv {ETT} {more} --out {out}"
    return found


def measured(words: list[str], repeat: int) -> tuple[float, str]:
    """The least CPU seconds of a command, and which of `COSTLY` it imported."""
    least, told = float("inf"), ""
    for _ in range(repeat):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        done = subprocess.run([sys.executable, *words], env=environment, capture_output=True, text=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        least = min(least, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        told = done.stderr.rpartition("imported")[2].strip()
    return least, told


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", default=str(ROOT), help="the checkout to measure (this one)")
    parser.add_argument("--repeat", type=int, default=3)
    given = parser.parse_args()
    torch, _ = measured(["-c", "import torch"], given.repeat)
    print(f"{'':<24}{'CPU-s':>8}{'of torch':>10}  imported\n{'import torch':<24}{torch:>8.2f}{1:>10.2f}")
    over, all_spent = [], {}
    with tempfile.TemporaryDirectory() as out:
        for name, words in commands(out).items():
            spent, told = measured(["-c", CODE, given.root, " ".join(COSTLY), *words.split()], given.repeat)
            print(f"{name:<24}{spent:>8.2f}{spent / torch:>10.2f}  {told}", flush=True)
            all_spent[name] = spent
            over += [name] * (spent > LIMITS.get(name, float("inf")) * torch)
    all_spent["a look at a CSV, and its forecast"] = all_spent["a look at a CSV"] + all_spent["first forecast"]
    over += [name for name, most in SECONDS.items() if all_spent[name] > most]
    print(f"over the limit: {', '.join(over)}" if over else "within the limits")
    return int(bool(over))


if __name__ == "__main__":
    sys.exit(main())
