"""What appliances cost that training never saw: a heater and a dryer on the meter of the folds of REFIT house 2.

    python benchmarks/nilm_unseen.py [--seeds 1] [--rows "all but other loads" all] [--out artifacts/nilm_refit]

Both are made up, run once a day at changing hours, and are added to the meter and to no device. The networks are those
of `nilm_refit.py`, trained on the meter as it is; printed are the errors in watts of the folds as they are, and with
these loads, together and of each device.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
from benchmarks.nilm_refit import FOLDS, PARTS, REFIT, SHARED, call, judged, trained  # noqa: E402

STEP = np.timedelta64(16, "s")
DAY = 5400  # steps


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="nilm_unseen", description="What appliances cost that training never saw.")
    parser.add_argument("--seeds", nargs="+", type=int, default=[1])
    parser.add_argument("--rows", nargs="+", choices=list(PARTS), default=["all but other loads", "all"])
    parser.add_argument("--out", type=Path, default=Path("artifacts/nilm_refit"))
    args = parser.parse_args(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    (place,) = (SHARED / "refit_house2").glob("*.csv.gz")
    loaded = args.out / "with_loads.csv"
    if not loaded.is_file():
        add_loads(place, loaded)
    print("| | seed | folds MAE | mean | with a heater and a dryer | mean | of each device |")
    print("|---|---|---|---|---|---|---|")
    for seed in args.seeds:
        for row in args.rows:
            folder = trained(row, "folds", f"--csv {place} {REFIT} {FOLDS}", seed, args.out, train=True)
            assert folder is not None
            plain = [
                judged(row, folder / f"fold_{k}", f"--csv {place} {REFIT} --end 2015-01-15T21:36", args.out)
                for k in range(3)
            ]
            more = [with_loads(row, folder / f"fold_{k}", loaded, args.out) for k in range(3)]
            each = {name: np.mean([one["devices"][name]["mae"] for one in more]) for name in more[0]["devices"]}
            shown = ", ".join(f"{name} {mae:.1f}" for name, mae in each.items())
            print(f"| {row} | {seed} | {of_folds(plain)} | {of_folds(more)} | {shown} |", flush=True)
    return 0


def of_folds(found: Sequence[dict[str, Any]]) -> str:
    """The errors of folds, and their mean."""
    mae = [one["mae"] for one in found]
    return f"{', '.join(f'{one:.1f}' for one in mae)} | {np.mean(mae):.1f}"


def with_loads(row: str, fold: Path, file: Path, out: Path) -> dict[str, Any]:
    """The figures of a fold's networks on its test part, read from a file with more loads on the meter."""
    name = f"loads_{row.replace(' ', '_')}_{'_'.join(fold.relative_to(out).parts)}"
    if not (out / name / "kpis.json").is_file():
        with (fold / "timeline.csv").open(newline="", encoding="utf-8") as lines:
            times = [np.datetime64(line["time"][:19]) for line in csv.DictReader(lines)]
        part = f"--start {times[0]} --end {times[-1] + STEP}"
        words = f"--mode infer --task nilm --csv {file} {REFIT} {part} --ckpt {fold} --tag {name} --out {out}"
        call(PARTS[row].without or "nothing", f"{words} --reference off --no-plots --threads 1")
    found: dict[str, Any] = json.loads((out / name / "kpis.json").read_text(encoding="utf-8"))
    return found


def add_loads(place: Path, file: Path) -> None:
    """Write the lines of a CSV with a heater and a dryer added to its second column."""
    with gzip.open(place, "rt", encoding="utf-8") as lines, file.open("w", encoding="utf-8") as written:
        written.write(next(lines))
        loads, first = heater_and_dryer(15), None
        for line in lines:
            time, mains, rest = line.split(",", 2)
            at = np.datetime64(time[:19].replace(" ", "T"), "s")
            first = at if first is None else first
            more = loads[int((at - first) / STEP)]
            written.write(f"{time},{float(mains) + more:.1f},{rest}" if mains else line)


def heater_and_dryer(days: int) -> np.ndarray:
    """Watts [days * DAY] of a dryer (2.25 kW in bursts over a motor of 210 W) and a fan heater with a thermostat."""
    random, watts = np.random.default_rng(5), np.zeros(days * DAY)
    for day in range(days):
        length, begin = int(random.uniform(55, 90) * 3.75), int((day + random.uniform(0.25, 0.4)) * DAY)
        watts[begin : begin + length] += 210 + bursts(length, 2250, (60, 400), (20, 150), random) * (
            np.arange(length) < 0.93 * length
        )
        length, begin = int(random.uniform(60, 150) * 3.75), int((day + random.uniform(0.7, 0.85)) * DAY)
        watts[begin : begin + length] += bursts(length, 1480, (120, 500), (120, 600), random)
    return watts * (1 + 0.01 * random.standard_normal(len(watts)))


def bursts(
    length: int, power: float, on: tuple[float, float], off: tuple[float, float], random: np.random.Generator
) -> np.ndarray:
    """Watts [length] that are on and off for so many seconds each."""
    watts, begin = np.zeros(length), 0
    while begin < length:
        end = begin + int(random.uniform(*on) / 16) + 1
        watts[begin:end] = power
        begin = end + int(random.uniform(*off) / 16) + 1
    return watts


if __name__ == "__main__":
    sys.exit(main())
