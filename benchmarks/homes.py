"""Days of one room as homes: what a shared base with own heads gains over learning alone and over sharing everything.

    python benchmarks/homes.py [--npz raw_features.npz] [--backbones gru fusion_gru] [--seeds 1 2 3] [--out DIR]

UCI 864, windows of 30 steps that start 10 steps apart, people counted 0..3. A home is a day. Its windows are cut in
time into three stretches, each with train, validation and test and two windows left out between them, so no two
parts share a step. The sensors do not see the time. Each row is one `tools/federate.py` command; every choice is made
on a home's own validation. Prints a Markdown table; finished runs are not repeated.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
SENSORS = ("temp", "light", "sound", "co2", "pir")
WAYS = ("local", "shared", "fedper", "majority")
PARTING = "--rounds 20 --epochs 2 --blocks 3 --gap-rows 2 --wait 300"
TRAINING = "--task classify --groups groups --batch-size 32"
RATES = {"gru": 3e-3, "fusion_gru": 1e-3}  # gru: of 1e-3, 3e-3, 1e-2 on validation with seed 4; else the default


def by_day(npz: Path) -> dict[str, np.ndarray]:
    """The sensors' arrays, the labels, and as groups the day that a window ends on."""
    with np.load(npz) as file:
        day = file["t_end"].astype("datetime64[s]").astype("datetime64[D]").astype(str)
        return {name: file[name] for name in (*SENSORS, "labels")} | {"groups": day}


def federated(npz: Path, backbone: str, seed: int, out: Path) -> Path:
    """The directory of one comparison."""
    found = sorted(out.glob(f"federate_*_{backbone}_seed{seed}/metrics.json"))
    if not found:
        words = [*PARTING.split(), "--", *TRAINING.split(), "--npz", npz, "--backbone", backbone, "--seed", seed]
        words += ["--lr", RATES[backbone]]
        command = [sys.executable, ROOT / "tools" / "federate.py", *words, "--out", out]
        subprocess.run([*map(str, command)], check=True, stdout=subprocess.DEVNULL)
        found = sorted(out.glob(f"federate_*_{backbone}_seed{seed}/metrics.json"))
    return found[0]


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="homes", description="Days as homes: alone, all shared, own heads.")
    shared = ROOT.parent / "shared" / "data" / "room_occupancy_multimodal" / "raw_features.npz"
    parser.add_argument("--npz", type=Path, default=shared)
    parser.add_argument("--backbones", nargs="+", default=["gru", "fusion_gru"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--out", type=Path, default=Path("artifacts/homes"))
    args = parser.parse_args(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    npz = args.out / "by_day.npz"
    made: dict[str, Any] = by_day(args.npz)
    np.savez(npz, **made)
    print("| backbone | seed | alone | shared everything | shared base, own heads | most frequent answer |")
    print("|---|---|---|---|---|---|")
    for backbone in args.backbones:
        for seed in args.seeds:
            content = json.loads(federated(npz, backbone, seed, args.out).read_text(encoding="utf-8"))
            means = " | ".join(f"{content['mean_accuracy'][way]:.3f}" for way in WAYS)
            print(f"| {backbone} | {seed} | {means} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
