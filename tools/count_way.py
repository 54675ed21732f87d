"""How many files of ours a run passes through, from `--csv` to `metrics.json`.

    python tools/count_way.py               the number imported, and the number of which a function ran
    python tools/count_way.py --places      and their names
    python tools/count_way.py --root DIR    another checkout

It trains `classify` for an epoch on two small CSVs, in this process.
"""

from __future__ import annotations

import argparse
import csv
import importlib
import inspect
import random
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

ROOT = Path(__file__).resolve().parent.parent
WORDS = "--mode train --task classify --context-len 8 --backbone gru --epochs 1 --no-plots --quiet"


def count(root: Path) -> tuple[list[str], list[str]]:
    """(files imported, files of which a function ran) in one training run of the checkout at `root`, as paths."""
    sys.path.insert(0, str(root))
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"{name}.csv" for name in ("a", "b")]
        for seed, path in enumerate(files):
            _write_csv(path, seed)
        with _functions() as ran:
            run = importlib.import_module("run")  # of that checkout
            code = run.main([*WORDS.split(), "--out", f"{folder}/out", "--csv", *map(str, files)])
        assert code == 0 and list(Path(folder).glob("out/*/metrics.json")), f"the run ended with {code}"
    loaded = {str(vars(module).get("__file__") or "") for module in sys.modules.values()} - {__file__}
    return _ours(loaded, root), _ours(ran, root)


@contextmanager
def _functions() -> Iterator[set[str]]:
    """The files of every function that is called within the block, in any thread."""
    ran: set[str] = set()

    def record(frame: FrameType, event: str, _: object) -> None:
        # The body of a module or a class is a call, too; only a function's code has this flag.
        if event == "call" and frame.f_code.co_flags & inspect.CO_OPTIMIZED:
            ran.add(frame.f_code.co_filename)

    threading.setprofile(record)
    sys.setprofile(record)
    try:
        yield ran
    finally:
        sys.setprofile(None)
        threading.setprofile(None)


def _ours(files: set[str], root: Path) -> list[str]:
    """The paths from `root` of the files that belong to it, an environment in a hidden folder left out."""
    inside = [Path(file).relative_to(root) for file in files - {__file__} if Path(file).is_relative_to(root)]
    return sorted(path.as_posix() for path in inside if not any(part.startswith(".") for part in path.parts))


def _write_csv(path: Path, seed: int) -> None:
    numbers = random.Random(seed)
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([numbers.choice((0, 0, 1, 2)) for _ in range(40)] for _ in range(12))


def main(argv: Sequence[str] | None = None) -> int:
    """Print both numbers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=ROOT, help="the checkout to run (default: this one)")
    parser.add_argument("--places", action="store_true", help="print the files as well")
    given = parser.parse_args(argv)
    imported, ran = count(given.root.resolve())
    for title, found in (("imported", imported), ("with a function that ran", ran)):
        print(f"files from --csv to metrics.json, {title}: {len(found)}")
        if given.places:
            print(*(f"    {path}" for path in found), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
