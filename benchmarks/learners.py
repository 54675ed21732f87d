"""What learns windows and whole series best for its CPU-seconds, each set by several backbones, beside the references.

    python benchmarks/learners.py [--sets demo ...] [--backbones auto ...] [--seeds 777 1 2] [--budget 5min] [--each]

The demos, the six small sets of whole series (shapes.py) and those of other kinds (strangers.py) need nothing; the
others need `../shared/data` and are left out, which is said, where it is absent. A cell is one `run.py` command, on one
thread, that is not repeated once it is finished. Test is scored once. Prints a Markdown table of means over the seeds:
the metric on validation and test (for engines: on the engines of the test files), log-loss, the CPU-seconds of the
command, and on the same test windows flat gradient boosting and the best reference that sees no more than the model.
With `--each` a second table has every seed, beside the best reference on validation too.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import rooms, shapes, strangers  # noqa: E402
from benchmarks.shapes import SHAPES  # noqa: E402
from benchmarks.strangers import STRANGERS  # noqa: E402

DATA = ROOT.parent / "shared" / "data"
COMMON = "--mode train --no-plots --quiet --json --threads 1 --overwrite"
TESTED = "--test-ratio 0.2"
AIR = " ".join(f"{DATA}/beijing_pm25/ch{n}.csv" for n in ("0_pm", "1_DEWP", "2_TEMP", "3_PRES", "4_Iws"))
ROOM = " ".join(
    f"{DATA}/occupancy_detection/ch{n}.csv" for n in ("0_Occupancy", "1_Temperature", "2_Humidity", "4_CO2")
)
LIVES = f"--id-col unit --time-col cycle --csv {DATA}/cmapss_fd001"  # engines from their first cycle on
ENGINE = ("rul", *(f"s{n}" for n in (2, 3, 4, 7, 8, 9, 11, 12, 13, 14, 15, 17, 20, 21)))


@dataclass(frozen=True)
class Set:
    """A data set: the flags that name, window and split it, a folder that must be there, those of a later inference.

    `make(folder, seed)` writes it and gives the flags that name it.
    """

    words: str
    needs: str = ""
    judged: str = ""
    metric: str = ""  # the monitor, or this
    make: Callable[[Path, int], str] | None = None


def engines(part: str) -> str:
    """The files of C-MAPSS, remaining cycles first."""
    return " ".join(f"{DATA}/cmapss_fd001/{part}_{name}.csv" for name in ENGINE)


DEMO = " ".join(f"{{out}}/demo/LP{n}a.csv" for n in (1, 2, 3, 4))
WINDOWS = {
    "demo": Set(f"{TESTED} --task classify --csv {DEMO} --context-len 31"),
    "rooms": Set(f"{TESTED} --task regress --demo --loss l1"),
    "carparts": Set(f"{TESTED} --task classify --csv {DATA}/carparts/carparts.csv --context-len 31", "carparts"),
    "air": Set(
        f"{TESTED} --task classify --csv {AIR} --bin-rule gt --bin-thr 150 --label-offset 12 --context-len 48",
        "beijing_pm25",
    ),
    "occupancy": Set(
        f"{TESTED} --task classify --csv {ROOM} --drop-label-from-x --label-offset 60 --context-len 31",
        "occupancy_detection",
    ),
    "engines": Set(
        f"--task regress --header no --csv {engines('train')} --drop-label-from-x --target-clip 0 125 "
        "--loss l1 --context-len 31",
        "cmapss_fd001",
        f"--header no --csv {engines('test')}",
    ),
    "lives": Set(
        f"--task regress {LIVES}/long_train.csv.gz --columns {' '.join(ENGINE)} --label-src-ch rul --drop-label-from-x "
        "--target-clip 0 125 --loss l1 --context-len 31",
        "cmapss_fd001",
        f"{LIVES}/long_test.csv.gz",
    ),
}


def whole(name: str) -> Set:
    """A set of whole series, which `shapes.write` makes for each seed."""
    return Set("--task classify", metric="accuracy", make=partial(_shapes, name))


def _shapes(name: str, out: Path, seed: int) -> str:
    shapes.write(out, name, seed)
    stem = f"{out}/{name}_{seed}"
    return f"--csv {stem}.csv --labels {stem}_labels.csv --groups {stem}_groups.csv --test-groups test"


def people(out: Path, seed: int) -> str:  # noqa: ARG001
    """The windows of rooms.py: how many people are in a room, on a day that is held out."""
    made: dict[str, Any] = rooms.windows(DATA / "room_occupancy_multimodal" / "Occupancy_Estimation.csv")
    np.savez_compressed(out / "people.npz", **made)
    return f"--npz {out / 'people.npz'}"


def stranger(name: str) -> Set:
    """A set that `strangers.write` makes for each seed."""
    return Set("", metric=STRANGERS[name].metric, make=lambda out, seed: strangers.write(out, name, seed))


SETS: Mapping[str, Set] = {
    **WINDOWS,
    "people": Set(
        f"--task classify --val-groups val --test-groups {rooms.TEST}",
        "room_occupancy_multimodal",
        metric="accuracy",
        make=people,
    ),
    **{name: whole(name) for name in SHAPES},
    **{name: stranger(name) for name in STRANGERS},
}


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


def _words(name: str, backbone: str, seed: int, out: Path) -> str:
    """The command that trains a backbone on a set."""
    make = SETS[name].make
    words = f"{COMMON} {SETS[name].words} {make(out, seed) if make else ''}"
    return f"{words} --backbone {backbone} --seed {seed} --out {out}".format(out=out)


def cell(name: str, backbone: str, seed: int, budget: str, out: Path) -> dict[str, Any]:
    """What one backbone gets on one set, see `measured`; kept in a file of `out`."""
    kept = out / f"{name}_{backbone}_{seed}{f'_{budget}' if budget else ''}.json"
    if not kept.is_file():
        words = f"{_words(name, backbone, seed, out)} --desc {name}{budget}" + f" --budget {budget}" * bool(budget)
        made = run(words.split())
        found = measured(made, SETS[name].metric or made["monitor"]["name"], "--drop-label-from-x" in words)
        if SETS[name].judged:
            found |= judged(SETS[name], made, out)
        kept.write_text(json.dumps(found))
    content: dict[str, Any] = json.loads(kept.read_text())
    return content


def measured(made: Mapping[str, Any], metric: str, hidden: bool) -> dict[str, Any]:
    """{metric, val, test, loss, cpu, flat, reference} of a summary; `hidden`: none that sees the label counts."""
    best = min if metric == "mae" else max
    beside = {name: row[metric] for name, row in made["references"].items() if row.get(metric) is not None}
    flat = beside.get("gradient_boosting")
    if hidden:
        beside.pop("persistence", None)
    val = made.get("validation", made)
    found = {"metric": metric, "val": val[metric], "test": made[metric], "loss": made.get("log_loss")}
    return found | {"cpu": made["cpu"], "flat": flat, "reference": best(beside.values())}


def before(name: str, seed: int, out: Path) -> float:
    """The best reference's metric on validation, of a seed; a quick learner runs beside it."""
    kept = out / f"{name}_validation_{seed}.json"
    if not kept.is_file():
        words = f"{_words(name, 'ridge', seed, out)} --desc {name}_validation --eval-split val"
        made = run(words.split())
        found = measured(made, SETS[name].metric or made["monitor"]["name"], "--drop-label-from-x" in words)
        kept.write_text(json.dumps(found["reference"]))
    return float(json.loads(kept.read_text()))


def judged(one: Set, made: Mapping[str, Any], out: Path) -> dict[str, Any]:
    """The same on other files; the references need the windows of training."""
    task = one.words.split("--task ")[1].split()[0]
    words = f"--mode infer --task {task} {one.judged} --ckpt {made['directory']} --eval-split all"
    again = run([*words.split(), "--no-plots", "--quiet", "--json", "--overwrite", "--out", str(out)])
    return {"test": again[one.metric or made["monitor"]["name"]], "flat": None, "reference": None}


def rows(sets: Sequence[str], names: Sequence[str], seeds: Sequence[int], budget: str, out: Path) -> Iterator[str]:
    """The lines of the table, means over the seeds."""
    yield "| set | backbone | metric | val | test | log-loss | flat boosting, test | best reference, test | CPU-s |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for name in sets:
        if SETS[name].needs and not (DATA / SETS[name].needs).is_dir():
            yield f"| {name} | left out: {DATA / SETS[name].needs} is not there | | | | | | | |"
            continue
        for backbone in names:
            found = [cell(name, backbone, seed, budget, out) for seed in seeds]
            shown = [_mean(found, key) for key in ("val", "test", "loss", "flat", "reference")]
            cpu = statistics.mean(one["cpu"] for one in found)
            yield f"| {name} | `{backbone}` | {found[0]['metric']} | {' | '.join(shown)} | {cpu:.0f} |"


def each(sets: Sequence[str], names: Sequence[str], seeds: Sequence[int], budget: str, out: Path) -> Iterator[str]:
    """The lines of the table of every seed, with the mean on test."""
    yield "| set | backbone | metric | val | best reference, val | test | best reference, test |"
    yield "|---|---|---|---|---|---|---|"
    for name in (name for name in sets if not SETS[name].needs or (DATA / SETS[name].needs).is_dir()):
        beside = [before(name, seed, out) for seed in seeds]
        for backbone in names:
            found = [cell(name, backbone, seed, budget, out) for seed in seeds]
            val, test, reference = ([one[key] for one in found] for key in ("val", "test", "reference"))
            shown = " | ".join(_listed(one) for one in (val, beside, test, reference))
            yield f"| {name} | `{backbone}` | {found[0]['metric']} | {shown} |"


def _listed(numbers: Sequence[float | None]) -> str:
    known = [one for one in numbers if one is not None]
    return f"{', '.join(f'{one:.4g}' for one in known)}: {statistics.mean(known):.4g}" if known else ""


def _mean(found: Sequence[Mapping[str, Any]], key: str) -> str:
    known = [one[key] for one in found if one[key] is not None]
    return f"{statistics.mean(known):.4g}" if known else ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="+", choices=SETS, default=["demo", "rooms", *SHAPES])
    parser.add_argument("--backbones", nargs="+", default=["ridge", "auto"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[777])
    parser.add_argument("--budget", default="", help="of each run, such as 5min: nets join auto")
    parser.add_argument("--each", action="store_true", help="every seed, beside the best reference on validation")
    parser.add_argument("--out", type=Path, default=Path("artifacts/learners"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    if not (options.out / "demo").is_dir():
        subprocess.run(
            [sys.executable, "-m", "sources.synthetic", "--out", options.out.resolve() / "demo"], cwd=ROOT, check=True
        )
    for lines in (rows, each)[: 1 + options.each]:
        for line in lines(options.sets, options.backbones, options.seeds, options.budget, options.out):
            print(line, flush=True)


if __name__ == "__main__":
    main()
