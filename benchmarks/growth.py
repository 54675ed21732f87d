"""How cost grows with size: CPU seconds and memory of what should follow its data, a line for each row and size.

    python benchmarks/growth.py                     all rows, at sizes that take seconds
    python benchmarks/growth.py ridge report        these rows
    python benchmarks/growth.py --large             the largest sizes too: minutes, and gigabytes

Each size is a process of its own on one thread. It does the work once on next to nothing, which imports what the work
needs, and then on data of that size: what is told is the second time alone, with the processes that it started. The
slope is that of log CPU seconds (and of log memory) against log size, from one size to the next; above 1.15 it is
marked. `--check` does every row's work on next to nothing and times nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import math
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
STEEP = 1.15


@dataclass(frozen=True)
class Cost:
    """CPU seconds, and bytes at the peak beyond what was held before."""

    cpu: float
    memory: float


def main(argv: Sequence[str] | None = None) -> int:
    """Print a table; the exit code is 1 where a row took longer than its limit."""
    from benchmarks.growing import ROWS

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of {', '.join(ROWS)} (all)")
    parser.add_argument("--large", action="store_true", help="the largest sizes too")
    parser.add_argument("--check", action="store_true", help="do the work on next to nothing, and time nothing")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)  # the size, in the process that is measured
    args = parser.parse_args(argv)
    if unknown := set(args.rows) - ROWS.keys():
        parser.error(f"no row {', '.join(sorted(unknown))}; there are {', '.join(ROWS)}")
    rows = {name: ROWS[name] for name in args.rows or ROWS}
    if args.one:
        print(json.dumps(vars(cost(args.rows[0], args.one))))
        return 0
    if args.check:
        for name, row in rows.items():
            with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
                row.make(Path(folder), row.least)()
            print(f"{name}: works")
        return 0
    print(f"{'':<22}{'size':>12}{'CPU-s':>9}{'MB':>8}{'slopes':>14}")
    over = [name for name in rows if not table(name, args.large)]
    print(f"over the limit: {', '.join(over)}" if over else "within the limits")
    return int(bool(over))


def table(name: str, large: bool) -> bool:
    """Measure and print the sizes of one row; returns whether it kept its limits."""
    from benchmarks.growing import ROWS

    row, kept, before = ROWS[name], True, None
    for size in (*row.sizes, *(row.large if large else ())):
        found, most = measured(name, size), row.limits.get(size, math.inf)
        kept &= found.cpu <= most
        told = "" if before is None else slopes(before, (size, found))
        limit = "" if most == math.inf else f"  limit {most:g}: {'ok' if found.cpu <= most else 'OVER'}"
        print(
            f"{name:<22}{size:>12,}{found.cpu:>9.2f}{found.memory / 1e6:>8.0f}{told:>14} {row.unit}{limit}", flush=True
        )
        before = size, found
    return kept


def slopes(before: tuple[int, Cost], after: tuple[int, Cost]) -> str:
    """Of log CPU seconds and log memory against log size, with a star above `STEEP`."""
    width, said = math.log(after[0] / before[0]), []
    for name in ("cpu", "memory"):
        small, large = (max(getattr(each, name), 1e-9) for _, each in (before, after))
        slope = math.log(large / small) / width
        said.append(f"{slope:.2f}{'*' if slope > STEEP else ''}")
    return " ".join(said)


def measured(name: str, size: int) -> Cost:
    """The cost of one size of a row, in a process of its own."""
    words = [sys.executable, "-m", "benchmarks.growth", name, "--one", str(size)]
    done = subprocess.run(words, cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{name} at {size:,} failed:\n{done.stderr[-3000:]}")
    return Cost(**json.loads(done.stdout.splitlines()[-1]))


def cost(name: str, size: int) -> Cost:
    """Do the work of a row, once on next to nothing and then at `size`, in this process: the cost of the latter."""
    from benchmarks.growing import ROWS

    row = ROWS[name]
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        for number, each in enumerate((row.least, size)):
            place = Path(folder) / str(number)
            place.mkdir()
            work = row.make(place, each)
            held, began = begin_peak(), cpu()
            work()
            spent, peak = cpu() - began, peak_memory()
    return Cost(spent, max(peak - held, 0))


def cpu() -> float:
    """CPU seconds of this process and of those that it waited for."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def begin_peak() -> int:
    """Forget the peak so far, where the system can; returns the bytes that are held now, or were at the peak."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return peak_memory()


def peak_memory() -> int:
    """Bytes at the peak since `begin_peak`, of this process."""
    with contextlib.suppress(OSError):
        if found := re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text()):
            return 1024 * int(found[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    sys.exit(main())
