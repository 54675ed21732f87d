"""People in a room by five kinds of sensors: stages against end to end, and a light sensor that drops to two channels.

    python benchmarks/rooms.py [--csv Occupancy_Estimation.csv] [--seeds 1 2 3] [--out artifacts/rooms]

Windows of 30 steps (15 minutes) within a day's unbroken recording; the label is the count 0..3 at the last step. Test
is every window of 2017-12-23; training is every third window (neighbours share 29 of 30 steps) of 2017-12-22, 12-24,
2018-01-10 and 01-11. Validation is every fifth block of 60 steps of those days, without five steps at both ends; no
training window reaches into such a block. The only time feature is the hour (sine and cosine), because a weekday or a
date would identify the day.

Each cell is one `run.py` command with the settings below, which were chosen on validation; the test day is scored once.
Prints a Markdown table; finished runs are not repeated.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parent.parent
LENGTH, BLOCK, GAP, STRIDE, LONGEST_STEP = 30, 60, 5, 3, 70.0  # steps, and seconds
TEST, TRAIN = "2017-12-23", ("2017-12-22", "2017-12-24", "2018-01-10", "2018-01-11")
SENSORS = {
    "temp": ("S1_Temp", "S2_Temp", "S3_Temp", "S4_Temp"),
    "light": ("S1_Light", "S2_Light", "S3_Light", "S4_Light"),
    "sound": ("S1_Sound", "S2_Sound", "S3_Sound", "S4_Sound"),
    "co2": ("S5_CO2", "S5_CO2_Slope"),
    "pir": ("S6_PIR", "S7_PIR"),
    "time": ("hour_sin", "hour_cos"),
}
COUNT = "Room_Occupancy_Count"


def windows(csv: Path, light: int = 4) -> dict[str, np.ndarray]:
    """The arrays of an .npz: the modalities [N, 30, d] with `light` light sensors, labels one-hot [N, 4], and groups:
    the day, or `val`."""
    table = pd.read_csv(csv)
    day = pd.to_datetime(table["Date"], format="%m/%d/%Y").dt.strftime("%Y-%m-%d").to_numpy()
    angle = 2 * np.pi * table["Time"].to_numpy()
    table["hour_sin"], table["hour_cos"] = np.sin(angle), np.cos(angle)
    starts, groups = zip(*_starts(day, table["Time"].to_numpy() * 86400), strict=True)
    steps = np.array(starts)[:, None] + np.arange(LENGTH)
    sensors = {**SENSORS, "light": SENSORS["light"][:light]}
    made = {name: table[[*columns]].to_numpy(np.float32)[steps] for name, columns in sensors.items()}
    made |= {f"{name}_names": np.array(columns) for name, columns in sensors.items()}
    made["labels"] = np.eye(4, dtype=np.float32)[table[COUNT].to_numpy()[steps[:, -1]]]
    return made | {"labels_names": np.array([f"{n} people" for n in range(4)]), "groups": np.array(groups)}


def _starts(day: np.ndarray, seconds: np.ndarray) -> Iterator[tuple[int, str]]:
    """The first step of each window, and its group."""
    new = np.flatnonzero((day[1:] != day[:-1]) | (np.diff(seconds) > LONGEST_STEP)) + 1
    for begin, end in zip([0, *new], [*new, len(day)], strict=True):
        if day[begin] == TEST:
            yield from ((start, TEST) for start in range(begin, end - LENGTH + 1))
        elif day[begin] in TRAIN:
            role = (np.arange(end - begin) // BLOCK) % 5 == 1
            for start in range(begin, end - LENGTH + 1):
                inside = role[start - begin : start - begin + LENGTH]
                around = role[max(start - begin - GAP, 0) : start - begin + LENGTH + GAP]
                if not inside.any() and (start - begin) % STRIDE == 0:
                    yield start, str(day[begin])
                if around.all():
                    yield start, "val"


FLAGS = "--task classify --batch-size 32 --val-groups val --no-plots --quiet --json"
TRAINED = "--mode train --backbone fusion_gru --model-args dropout=0.3 --epochs 10 --lr 2e-3"
ADAPT = "--epochs 15 --lr 3e-3"
UNTRAINED = "--epochs 1 --lr 1e-12"  # the kept columns as they are


def command(words: Sequence[str]) -> dict[str, Any]:
    """The summary of one `run.py`, read from disk if the run is finished."""
    words = [sys.executable, "run.py", *FLAGS.split(), *words]
    named = subprocess.run([*words, "--dry-run"], cwd=ROOT, **TEXT)
    folder = Path(words[words.index("--out") + 1]) / json.loads(named.stdout)["dry_run"]
    if not (ROOT / folder / "metrics.json").is_file():
        subprocess.run(words, cwd=ROOT, **TEXT)
    content: dict[str, Any] = json.loads((ROOT / folder / "metrics.json").read_text())
    return content | {"directory": str(folder)}


TEXT: dict[str, Any] = {"check": True, "stdout": subprocess.PIPE, "text": True}


def rooms(seed: int, files: dict[int, Path], out: str) -> dict[str, dict[str, Any]]:
    """Every row of the table for one seed: the summary of its run."""
    common = ["--out", out, "--seed", str(seed), "--test-groups", TEST]
    train = [*TRAINED.split(), *common]
    two = command([*train, "--npz", str(files[4]), "--stage", "all"])
    rest = ["--reference", "off"]
    found = {
        "two stages": two,
        "end to end": command([*train, *rest, "--npz", str(files[4]), "--stage", "end2end"]),
        "logistic regression, last frame": _reference(two, "logistic_last"),
        "logistic regression, window": _reference(two, "logistic_window"),
        "gradient boosting, window": _reference(two, "gradient_boosting"),
    }
    adapt = ["--mode", "finetune", *common, *rest, "--npz", str(files[2]), "--ckpt", two["directory"]]
    adapt += ["--adapt-modality", "light"]
    found["light 4 to 2: columns copied"] = command([*adapt, *UNTRAINED.split(), "--desc", "copied"])
    found["light 4 to 2: projection alone"] = command([*adapt, *ADAPT.split(), "--desc", "trained"])
    retrained = [*train, *rest, "--npz", str(files[2]), "--stage", "all", "--desc", "light2"]
    found["light 4 to 2: all retrained"] = command(retrained)
    return found


def _reference(summary: dict[str, Any], name: str) -> dict[str, Any]:
    return {"validation": {}, **summary["references"][name]}


def table(found: Sequence[dict[str, dict[str, Any]]]) -> str:
    """Markdown: one line per model: the mean over the seeds, and the range if they differ."""
    lines = ["| | accuracy | macro-F1 | validation macro-F1 | seconds |", "|---|---|---|---|---|"]
    for name in found[0]:
        rows = [one[name] for one in found]
        parts = [[row.get(key) for row in rows] for key in ("accuracy", "macro_f1")]
        parts.append([row["validation"].get("macro_f1") for row in rows])
        seconds = [row.get("seconds") for row in rows]
        cells = [*(_spread(values, 3) for values in parts), _spread(seconds, 0)]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _spread(values: Sequence[float | None], digits: int) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return ""
    text = f"{statistics.mean(known):.{digits}f}"
    ends = [f"{end:.{digits}f}" for end in (min(known), max(known))]
    return text if ends[0] == ends[1] else f"{text} ({ends[0]} to {ends[1]})"


def main() -> int:
    """Write the windows, run what is missing, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    shared = ROOT.parent / "shared" / "data" / "room_occupancy_multimodal"
    parser.add_argument("--csv", default=str(shared / "Occupancy_Estimation.csv"))
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--out", default="artifacts/rooms", help="where the runs are kept")
    given = parser.parse_args()
    place = (ROOT / given.out).resolve()
    place.mkdir(parents=True, exist_ok=True)
    files = {light: place / f"light{light}.npz" for light in (4, 2)}
    for light, path in files.items():
        if not path.is_file():
            arrays: dict[str, Any] = windows(Path(given.csv), light)
            np.savez_compressed(path, **arrays)
    print(table([rooms(seed, files, given.out) for seed in given.seeds]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
