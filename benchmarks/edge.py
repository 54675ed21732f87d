"""Size, time and loss of accuracy of exported models: `python benchmarks/edge.py [--out artifacts/edge]`.

Trains four models that a device might run, as `run.py` commands: sensors to zones, sensors to a count of people
(both fusion_gru, encoder and GRU in stages), a meter to appliances (gru), a table to the next day (dlinear). Each is
exported in every format of tools/export.py. The Markdown table has bytes, median milliseconds for one window on one
thread, the same for torch in the same process, and the metric on the whole scored split, exported and of the
checkpoint. Finished runs are not trained again.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from benchmarks import rooms
from exporting.export import export
from exporting.formats import FORMS
from sources import sensors

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared" / "data"


def commands(place: Path, shared: Path) -> Iterator[tuple[str, list[str]]]:
    """(name, the words of run.py) of each model; files that are missing are written."""
    raw, room = place / "sensors.npz", place / "rooms.npz"
    if not raw.is_file():
        sensors.write(raw, sensors.recordings())
    words = f"--task classify --npz {raw} --backbone fusion_gru --stage all --test-ratio 0.2 --epochs 20"
    yield "sensors", words.split()
    table = shared / "room_occupancy_multimodal" / "Occupancy_Estimation.csv"
    if table.is_file():
        if not room.is_file():
            arrays: dict[str, Any] = rooms.windows(table)
            np.savez_compressed(room, **arrays)
        words = f"{rooms.FLAGS} {rooms.TRAINED} --npz {room} --stage all --test-groups {rooms.TEST}"
        yield "people in a room", words.split()
    words = "--task nilm --demo --backbone gru --nilm-features none --epochs 6"
    yield "meter", words.split()
    load = shared / "ett" / "ETTh1.csv"
    if load.is_file():
        words = f"--task forecast --csv {load} --time-col date --preset etth --backbone dlinear"
        yield "load", f"{words} --context-len 96 --horizon 24 --epochs 3".split()


def trained(name: str, words: Sequence[str], place: Path) -> Path:
    """The run's directory; trains it if it is missing."""
    folder = place / name.replace(" ", "_")
    finished = sorted(folder.glob("train_*/manifest.json"))
    if not finished:
        common = ["--reference", "off", "--no-plots", "--quiet", "--out", str(folder)]
        command = [sys.executable, str(ROOT / "run.py"), "--mode", "train", *words, *common]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        finished = sorted(folder.glob("train_*/manifest.json"))
    return finished[0].parent


def line(name: str, card: Mapping[str, Any]) -> str:
    """One row of the table."""
    metric, spent = card["metric"], card["latency_ms"]
    cells = [name, card["backbone"], f"{card['parameters']:,}", card["format"], f"{card['bytes']:,}"]
    cells += [f"{spent['exported']:.3f}", f"{spent['torch']:.3f}", f"{metric['name']}, {metric['windows']:,} windows"]
    cells += [f"{metric[key]:.4f}" for key in ("checkpoint", "exported")]
    return f"| {' | '.join(cells)} | {metric['drop']:.1e} |"


def main() -> int:
    """Train what is missing, export everything, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=SHARED, help="folder of the real data")
    parser.add_argument("--out", type=Path, default=ROOT / "artifacts" / "edge", help="where the runs are kept")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    print("| model | backbone | parameters | format | bytes | ms | torch ms | metric | checkpoint | exported | drop |")
    print("|---|---|---|---|---|---|---|---|---|---|---|", flush=True)
    for name, words in commands(given.out, given.shared):
        run = trained(name, words, given.out)
        for form in FORMS:
            card, _ = export(str(run), form, "", [])
            print(line(name, card), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
