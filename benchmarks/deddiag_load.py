"""DEDDIAG's raw reader against the database's own `get_measurements`: three days of a house's mains and devices.

    python benchmarks/deddiag_load.py ../shared/data/deddiag_layout/house_08 --start 2012-01-15

loads the dump into a temporary server of its own. Both ways end in the same arrays, one value per second.
`get_measurements` is read as a person would (`SELECT ...`, all rows), and also by binary COPY, the fastest way. The
function in that database is ours, which is faster than the published one. The ways alternate; the seconds are the best
of the repeats. Values must be equal wherever the function is right, below 4000 W. The range is no longer than the
readings, because the function gives nothing at all beyond them.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # so that this runs as a script

import numpy as np

from errors import TsrunError
from sources.deddiag import LOST, Item, Tables, answered, by_function, by_readings, expand, moment, second
from sources.embedded import stop
from sources.postgres import connect

TOOL = Path(__file__).resolve().parent.parent / "tools" / "deddiag_db.py"
LEAST = 5.0  # times as fast as get_measurements
DAYS = 3
Way = Callable[[Tables, int, int, int], np.ndarray]


def raw(tables: Tables, item: int, begin: int, n: int) -> np.ndarray:
    return by_readings(tables, Item(item, "", ""), begin, n).values


def repaired(tables: Tables, item: int, begin: int, n: int) -> np.ndarray:
    return by_function(tables, Item(item, "", ""), begin, n).values


def fetched(tables: Tables, item: int, begin: int, n: int) -> np.ndarray:
    low, high = answered(tables, Item(item, "", ""), begin, n)
    rows = tables.ask(
        "SELECT date_part('epoch', time)::bigint, value "
        "FROM {get_measurements}(%(item)s, %(low)s::timestamp, %(high)s::timestamp) ORDER BY 1",
        item=item, low=moment(low), high=moment(high),
    )  # fmt: skip
    table = np.array(rows, np.float64).reshape(-1, 2)
    return expand(table[:, 0].astype(np.int64), table[:, 1].astype(np.float32), begin, n)


def copied(tables: Tables, item: int, begin: int, n: int) -> np.ndarray:
    low, high = answered(tables, Item(item, "", ""), begin, n)
    found = tables.copy(
        "SELECT time, value FROM {get_measurements}(%(item)s, %(low)s::timestamp, %(high)s::timestamp)",
        item=item, low=moment(low), high=moment(high),
    )  # fmt: skip
    return expand(found.seconds, found.values, begin, n)


WAYS: dict[str, Way] = {
    "raw": raw,
    "get_measurements, SELECT": fetched,
    "get_measurements, COPY": copied,
    "function (put right)": repaired,
}


def measure(tables: Tables, items: list[int], begin: int, n: int, repeat: int) -> tuple[dict[str, float], bool]:
    """The best seconds of each way for all items, and whether raw and the function agree where that is right."""
    best = dict.fromkeys(WAYS, float("inf"))
    for _ in range(repeat):
        found = {}
        for name, way in WAYS.items():
            started = time.perf_counter()
            found[name] = np.stack([way(tables, item, begin, n) for item in items])
            best[name] = min(best[name], time.perf_counter() - started)
    one, other = found["raw"], found["function (put right)"]
    differ = (one != other) & ~(np.isnan(one) & np.isnan(other))
    peaks = one >= LOST
    of_these = (differ & peaks).sum()
    print(f"{one.size:,} values, {peaks.sum():,} of {LOST} W and more; {differ.sum():,} differ, {of_these:,} of these")
    return best, not (differ & ~peaks).any()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dump", type=Path, help="a house's folder of a DEDDIAG dump")
    parser.add_argument("--items", type=int, nargs="+", default=[59, 35, 27, 28], help="(%(default)s)")
    parser.add_argument("--start", required=True, help="the first second, UTC")
    parser.add_argument("--hours", type=int, default=24 * DAYS, help="(%(default)s)")
    parser.add_argument("--repeat", type=int, default=5, help="(%(default)s)")
    args = parser.parse_args()
    begin, n = second(args.start, "--start"), args.hours * 3600
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home) / "pg"
        load = [
            sys.executable,
            str(TOOL),
            "load",
            str(args.dump),
            "--db",
            f"embedded:{folder}",
        ]
        if code := subprocess.run(load).returncode:
            return code
        try:
            with connect(f"embedded:{folder}") as connection:
                best, equal = measure(Tables(connection, "public"), args.items, begin, n, args.repeat)
        except TsrunError as error:
            print(f"error: {error}", file=sys.stderr)
            return error.exit_code
        finally:
            stop(folder)
    print(f"{len(args.items)} items, {args.hours} h, best of {args.repeat}\n")
    for name, seconds in best.items():
        print(f"{name:26}{seconds:8.3f} s{seconds / best['raw']:8.1f} x raw")
    ratio = min(best["get_measurements, SELECT"], best["get_measurements, COPY"]) / best["raw"]
    print(f"\n{'PASS' if equal else 'FAIL'}  equal wherever the function is right")
    print(f"{'PASS' if ratio >= LEAST else 'FAIL'}  raw is {ratio:.1f} times as fast as get_measurements >= {LEAST:g}")
    return 0 if equal and ratio >= LEAST else 1


if __name__ == "__main__":
    sys.exit(main())
