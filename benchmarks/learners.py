"""What learns windows and whole series best for its CPU-seconds, each set by several backbones, beside the references.

    python benchmarks/learners.py [--sets demo rooms ...] [--backbones auto ridge ...] [--seeds 777] [--out DIR]

The demos need nothing; the other sets need `../shared/data` and are left out, which is said, where it is absent. A cell
is one `run.py` command, on one thread, that is not repeated once it is finished. Test is scored once. Prints a
Markdown table: the metric on validation and test (for engines: on the engines of the test files), the CPU-seconds of
the whole command, and the best reference on the same test windows.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT.parent / "shared" / "data"
COMMON = "--mode train --test-ratio 0.2 --no-plots --quiet --json --threads 1 --overwrite"
AIR = " ".join(f"{DATA}/beijing_pm25/ch{n}.csv" for n in ("0_pm", "1_DEWP", "2_TEMP", "3_PRES", "4_Iws"))
ROOM = " ".join(
    f"{DATA}/occupancy_detection/ch{n}.csv" for n in ("0_Occupancy", "1_Temperature", "2_Humidity", "4_CO2")
)
ENGINE = ("rul", *(f"s{n}" for n in (2, 3, 4, 7, 8, 9, 11, 12, 13, 14, 15, 17, 20, 21)))


@dataclass(frozen=True)
class Set:
    """A data set: the flags that name and window it, a file that must be there, and the files of a later inference."""

    words: str
    needs: str = ""
    judged: str = ""


def engines(part: str) -> str:
    """The files of C-MAPSS, remaining cycles first."""
    return " ".join(f"{DATA}/cmapss_fd001/{part}_{name}.csv" for name in ENGINE)


SETS: Mapping[str, Set] = {
    "demo": Set("--task classify --csv {out}/demo/LP1a.csv {out}/demo/LP2a.csv {out}/demo/LP3a.csv {out}/demo/LP4a.csv "
                "--context-len 31"),
    "rooms": Set("--task regress --demo --loss l1"),
    "carparts": Set(f"--task classify --csv {DATA}/carparts/carparts.csv --context-len 31", "carparts"),
    "air": Set(f"--task classify --csv {AIR} --bin-rule gt --bin-thr 150 --label-offset 12 --context-len 48",
               "beijing_pm25"),
    "occupancy": Set(f"--task classify --csv {ROOM} --drop-label-from-x --label-offset 60 --context-len 31",
                     "occupancy_detection"),
    "engines": Set(f"--task regress --header no --csv {engines('train')} --drop-label-from-x --target-clip 0 125 "
                   "--loss l1 --context-len 31", "cmapss_fd001", engines("test")),
}  # fmt: skip


def run(words: Sequence[str]) -> dict[str, Any]:
    """The summary of one command, with the CPU-seconds that it took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, ROOT / "run.py", *words], capture_output=True, text=True, env=environment)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)}\n{done.stderr}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    content: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return content | {"cpu": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime}


def cell(name: str, backbone: str, seed: int, out: Path) -> dict[str, Any]:
    """{"val", "test", "cpu", "reference"} of one backbone on one set; kept in a file of `out`."""
    kept = out / f"{name}_{backbone}_{seed}.json"
    if not kept.is_file():
        one = SETS[name]
        words = f"{COMMON} {one.words.format(out=out)} --backbone {backbone} --seed {seed} --out {out} --desc {name}"
        made = run(words.split())
        monitor, largest = made["monitor"]["name"], made["monitor"]["direction"] == "max"
        found = {"monitor": monitor, "val": made["validation"][monitor], "test": made[monitor], "cpu": made["cpu"]}
        scored = [row[monitor] for row in made["references"].values() if row.get(monitor) is not None]
        found["reference"] = (max if largest else min)(scored)
        if one.judged:
            task = one.words.split()[1]
            words = (
                f"--mode infer --task {task} --header no --csv {one.judged} --ckpt {made['directory']} --eval-split all"
            )
            found["test"] = run([*words.split(), "--no-plots", "--quiet", "--json", "--overwrite", "--out", str(out)])[
                monitor
            ]
            found["reference"] = None  # boosting needs the windows of training
        kept.write_text(json.dumps(found))
    content: dict[str, Any] = json.loads(kept.read_text())
    return content


def rows(sets: Sequence[str], names: Sequence[str], seeds: Sequence[int], out: Path) -> Iterator[str]:
    """The lines of the table, means over the seeds."""
    yield "| set | backbone | metric | val | test | best reference, test | CPU-s |"
    yield "|---|---|---|---|---|---|---|"
    for name in sets:
        if SETS[name].needs and not (DATA / SETS[name].needs).is_dir():
            yield f"| {name} | left out: {DATA / SETS[name].needs} is not there | | | | | |"
            continue
        for backbone in names:
            found = [cell(name, backbone, seed, out) for seed in seeds]
            mean = {
                key: statistics.mean(one[key] for one in found) if found[0][key] is not None else None
                for key in ("val", "test", "reference", "cpu")
            }
            shown = ["" if mean[key] is None else f"{mean[key]:.4g}" for key in ("val", "test", "reference")]
            yield f"| {name} | `{backbone}` | {found[0]['monitor']} | {' | '.join(shown)} | {mean['cpu']:.0f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="+", choices=SETS, default=["demo", "rooms"])
    parser.add_argument("--backbones", nargs="+", default=["ridge", "auto"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[777])
    parser.add_argument("--out", type=Path, default=Path("artifacts/learners"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    if not (options.out / "demo").is_dir():
        subprocess.run(
            [sys.executable, "-m", "sources.synthetic", "--out", options.out.resolve() / "demo"], cwd=ROOT, check=True
        )
    for line in rows(options.sets, options.backbones, options.seeds, options.out):
        print(line, flush=True)


if __name__ == "__main__":
    main()
