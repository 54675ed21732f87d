"""What each part of nilm's default is worth in watts: one table over folds and test of REFIT house 2, and other meters.

    python benchmarks/nilm_refit.py [--seeds 1 2 3] [--rows base truth ...] [--made] [--tracebase] [--print]

Rows: the way before (one network of direct watts, all truth, absolute levels, watts at tau step by step), each part
added to it alone, and all of them, which is the default command. All are judged on truth that can be. The folds end
before the test part, and everything was chosen on them. Every training is kept in `--out` and not repeated; `--print`
shows what is there already, `--epochs 9` takes half of the time. A row that only decides differently judges the
networks of another one. `zero` is the error of saying that nothing is on. Energy error: the sum of the devices'
absolute errors in kWh over their sum. `--made` adds a house made by the toolkit's own generator, and others that were
not trained on: with another base load, and with other fridges; `--tracebase` its test part at 1 Hz.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared" / "data"
sys.path.insert(0, str(ROOT))
from sources.synthetic import FRIDGE, appliance_series  # noqa: E402

BEFORE = {"seeds": "1", "nilm-power": "direct", "other-base": "0", "other-loads": "0"}


def before(**changed: str) -> str:
    """The flags of the way before, with some of them changed."""
    more = {name.replace("_", "-"): value for name, value in changed.items()}
    return " ".join(f"--{name} {value}" for name, value in {**BEFORE, **more}.items())


class Part(NamedTuple):
    """A row: the flags of training, whether it leaves out impossible truth, and what is left out as it is judged."""

    flags: str
    truth: bool
    without: str = ""


PARTS = {
    "base": Part(before(), False, "rules runs"),
    "truth": Part(before(), True, "rules runs"),
    "other base": Part(before(other_base="0.5"), False, "rules runs"),
    "three networks": Part(before(seeds="3"), False, "rules runs"),
    "rules for watts": Part(before(), False, "runs"),
    "whole runs": Part(before(), False, "rules"),
    "levels": Part(before(nilm_power="levels"), False, "rules runs"),
    "other loads": Part(before(other_loads="0.1"), False, "rules runs"),
    "all but other loads": Part("--other-loads 0", True),
    "all with one network": Part("--seeds 1", True),
    "all": Part("", True),
}
REFIT = (
    "--time-col timestamp --mains-col aggregate --device-cols fridge washing_machine dishwasher microwave --on-w "
    "fridge=50 washing_machine=20 dishwasher=10 microwave=200 --resample 16s --drop-flatlines"
)
FOLDS = "--split-mode rolling --folds 3 --end 2015-01-15T21:36"
TRACEBASE = (
    "--time-col time --mains-col mains --device-cols refrigerator refrigerator2 kettle coffeemaker tv pc_desktop "
    "microwave --resample 1s"
)
MADE = "--time-col time --device-cols fridge kettle washing_machine microwave --resample 8s"
HOUSES = {  # base load, W; the fridge's W and seconds on and off
    "made": (60.0, FRIDGE),
    "other made": (250.0, FRIDGE),
    "other fridge": (120.0, (150.0, 700.0, 1600.0)),
    "small fridge": (180.0, (65.0, 1900.0, 2200.0)),
}


def main(argv: Sequence[str] | None = None) -> int:
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] == ["--one"]:
        return one(words[1], words[2:])
    parser = argparse.ArgumentParser(prog="nilm_refit", description="What each part of nilm's default is worth.")
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--rows", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--out", type=Path, default=Path("artifacts/nilm_refit"))
    parser.add_argument("--made", action="store_true", help="also made houses, the first of which is trained on")
    parser.add_argument("--tracebase", action="store_true", help="also the default on tracebase at 1 Hz")
    parser.add_argument("--epochs", type=int, help="not the default number; take another --out for it")
    parser.add_argument("--print", action="store_true", help="train nothing: show what is there")
    args = parser.parse_args(words)
    if args.epochs:
        PARTS.update({row: part._replace(flags=f"{part.flags} --epochs {args.epochs}") for row, part in PARTS.items()})
    args.out.mkdir(parents=True, exist_ok=True)
    print("| | seed | folds MAE | mean | zero | F1 | energy | test MAE | zero | F1 | made, others: fridge F1 |")
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    for seed in args.seeds:
        for row in args.rows:
            print(line(row, seed, args.out, train=not args.print, houses=args.made), flush=True)
        if args.tracebase:
            print(tracebase(seed, args.out, train=not args.print), flush=True)
    return 0


def one(left_out: str, words: Sequence[str]) -> int:
    """A command of run.py, without the parts that `left_out` names."""
    import run
    from tasks.nilm import runs, truth, watts

    if "truth" in left_out:
        truth.MORE = np.inf
        truth.dead = lambda mains, *_: np.zeros(len(mains), bool)
    if "rules" in left_out:
        watts.SURE = watts.Limits(-np.inf, 0.5, 0.5)
    if "runs" in left_out:
        runs.LEAST_STEPS = sys.maxsize
    return run.main(list(words))


def call(left_out: str, words: str) -> None:
    command = [sys.executable, __file__, "--one", left_out, *words.split()]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    if done.returncode:
        raise SystemExit(f"{words}\n{done.stderr[-2000:]}")


def trained(row: str, data: str, flags: str, seed: int, out: Path, *, train: bool) -> Path | None:
    """The directory of a run, trained unless it is there; a row that only decides differently takes another one's."""
    more, truth, _ = PARTS[row]
    owner = next(name for name, part in PARTS.items() if part[:2] == PARTS[row][:2])
    name = f"{owner.replace(' ', '_')}_{data}_{seed}"
    if not (out / name / "manifest.json").is_file():
        if not train:
            return None
        words = f"--mode train --task nilm {flags} {more} --seed {seed} --tag {name} --out {out} --reference off"
        call("nothing" if truth else "truth", f"{words} --no-plots --threads 1")
    return out / name


def judged(row: str, folder: Path, flags: str, out: Path, *, split: str = "test") -> dict[str, Any]:
    """The figures of a run, or of a fold of it, by the rules of a row."""
    name = f"judged_{row.replace(' ', '_')}_{'_'.join(folder.relative_to(out).parts)}_{split}"
    if not (out / name / "kpis.json").is_file():
        words = f"--mode infer --task nilm {flags} --ckpt {folder} --eval-split {split} --tag {name} --out {out}"
        call(PARTS[row].without or "nothing", f"{words} --reference off --no-plots --threads 1")
    found: dict[str, Any] = json.loads((out / name / "kpis.json").read_text(encoding="utf-8"))
    return found


def of_house(found: Mapping[str, Any]) -> tuple[float, float, float, float]:
    """(MAE, that of saying nothing, macro-F1, energy error) of one judgement."""
    devices = list(found["devices"].values())
    true = sum(device["energy_kwh"] for device in devices)
    hours = devices[0]["steps"] * found["step_seconds"] / 3600
    wrong = sum(abs(device["energy_error_kwh"]) for device in devices)
    return found["mae"], 1000 * true / len(devices) / hours, found["macro_f1"], wrong / true


def line(row: str, seed: int, out: Path, *, train: bool, houses: bool) -> str:
    """A row of the table for one seed; empty cells for what is not trained yet."""
    (place,) = (SHARED / "refit_house2").glob("*.csv.gz")
    refit = f"--csv {place} {REFIT}"
    cells = [""] * 9
    folds = trained(row, "folds", f"{refit} {FOLDS}", seed, out, train=train)
    if folds is not None:
        each = [judged(row, folds / f"fold_{k}", f"{refit} --end 2015-01-15T21:36", out) for k in range(3)]
        mae, zero, f1, energy = np.array([of_house(one) for one in each]).T
        cells[:3] = [", ".join(f"{one:.1f}" for one in mae), f"{mae.mean():.2f}", f"{zero.mean():.1f}"]
        cells[3:5] = [f"{f1.mean():.3f}", f"{energy.mean():.3f}"]
    test = trained(row, "test", refit, seed, out, train=train)
    if test is not None:
        mae_of, zero_of, f1_of, _ = of_house(judged(row, test, refit, out))
        cells[5:8] = [f"{mae_of:.2f}", f"{zero_of:.1f}", f"{f1_of:.3f}"]
    cells[8] = made(row, seed, out, train=train) if houses else ""
    return f"| {row} | {seed} | " + " | ".join(cells) + " |"


def tracebase(seed: int, out: Path, *, train: bool) -> str:
    """A row with the test part of tracebase, by the default command."""
    (place,) = (SHARED / "tracebase_1hz").glob("*.csv.gz")
    folder = trained("all", "tracebase", f"--csv {place} {TRACEBASE}", seed, out, train=train)
    mae, zero, f1, _ = (
        (0, 0, 0, 0) if folder is None else of_house(judged("all", folder, f"--csv {place} {TRACEBASE}", out))
    )
    return f"| tracebase | {seed} | | | | | | {mae:.2f} | {zero:.1f} | {f1:.3f} | |"


def made(row: str, seed: int, out: Path, *, train: bool) -> str:
    """The fridge's F1 in made houses, all but the first of which were not trained on."""
    files = {name: out / f"{name.replace(' ', '_')}.csv" for name in HOUSES}
    for number, (name, file) in enumerate(files.items()):
        if not file.is_file():
            write_house(file, *HOUSES[name], number)
    folder = trained(row, "made", f"--csv {files['made']} {MADE}", seed, out, train=train)
    if folder is None:
        return ""
    found = [judged(row, folder, f"--csv {files.pop('made')} {MADE}", out)]
    found += [judged(row, folder, f"--csv {file} {MADE}", out, split="all") for file in files.values()]
    return ", ".join(f"{one['devices']['fridge']['f1']:.3f}" for one in found)


def write_house(path: Path, base: float, fridge: tuple[float, float, float], seed: int) -> None:
    """Six days of the generator's house, with a base load of so many watts, and a fridge."""
    series = appliance_series(days=6, seed=seed, standby=base, fridge=fridge)
    assert series.clock is not None and series.time is not None
    times = series.clock.show(series.time)
    lines = (",".join([time, *map(str, row)]) for time, row in zip(times, series.values.T.astype(int), strict=True))
    path.write_text("\n".join([",".join(["time", *series.channels]), *lines]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
