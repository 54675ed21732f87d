"""Reading a long CSV of many columns, and the same as the answer to a query: CPU seconds against pandas.

    python benchmarks/long_csv.py            6,000 lines of 1,600 columns, 70 MB of text
    python benchmarks/long_csv.py --columns 400 --repeat 5

Whatever costs time per column, or worse per pair of columns, shows here: 1,600 is the most that a PostgreSQL selects.
"odd" is the file with one cell in a spelling of its own in every column, which the parser of numbers refuses.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
LIMITS = {"file": 1.5, "query": 2.0, "odd": 4.0}  # times pandas


def write_tables(folder: Path, lines: int, columns: int) -> tuple[Path, Path]:
    """Normal noise with four decimals, and the same with a line of odd cells."""
    import numpy as np
    import pandas

    frame = pandas.DataFrame(np.random.default_rng(0).normal(size=(lines, columns)).round(4)).add_prefix("c")
    frame.insert(0, "time", pandas.date_range("2020-01-01", periods=lines, freq="h"))
    plain, odd = folder / "plain.csv", folder / "odd.csv"
    frame.to_csv(plain, index=False)
    text = plain.read_text().splitlines()
    cells = ("<4", "-", "n.a.", " NA ", "12.25*")
    text[lines // 2] = ",".join([text[lines // 2].split(",")[0], *(cells[k % 5] for k in range(columns))])
    odd.write_text("\n".join(text))
    return plain, odd


def seconds(work: Callable[[], Any], repeat: int) -> float:
    """The least CPU seconds of several calls."""
    found = []
    for _ in range(repeat):
        started = time.process_time()
        work()
        found.append(time.process_time() - started)
    return min(found)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=6000)
    parser.add_argument("--columns", type=int, default=1600)
    parser.add_argument("--repeat", type=int, default=3, help="times each reader runs (%(default)s)")
    args = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    import pandas

    from readers.columns import read_answer
    from readers.long import read_long

    os.environ["TSRUN_CACHE"] = "off"
    with tempfile.TemporaryDirectory() as folder:
        plain, odd = write_tables(Path(folder), args.lines, args.columns)
        text = plain.read_bytes()
        print(f"{args.lines:,} lines of {args.columns:,} columns, {len(text) / 1e6:.0f} MB, best of {args.repeat}\n")
        readers: dict[str, Callable[[], Any]] = {
            "pandas": lambda: pandas.read_csv(plain),
            "file": lambda: read_long([plain], time_col="time"),
            "query": lambda: read_answer([text], Path("query.sql"), "", None),
            "odd": lambda: read_long([odd], time_col="time", nan="drop"),
        }
        found = {name: seconds(work, args.repeat) for name, work in readers.items()}
    print(f"{'':8}{'CPU s':>9}{'x pandas':>10}")
    for name, value in found.items():
        print(f"{name:8}{value:9.3f}{value / found['pandas']:10.2f}")
    kept = all(found[name] <= most * found["pandas"] for name, most in LIMITS.items())
    print(f"\n{'PASS' if kept else 'FAIL'}  a file within 1.5 times pandas, a query within 2, odd cells within 4")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
