"""Test errors of the forecasters over four horizons: `python benchmarks/ett.py --csv ETTh1.csv --target OT`.

Each cell is one `run.py` command with the settings below, the same on every data set; nothing is chosen by looking at
the test part. Finished runs are not repeated, so you can continue an interrupted table. Writes a Markdown table and a
PNG, and prints the table.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tasks.forecast import viz
from viz import save

ROOT = Path(__file__).resolve().parent.parent
HORIZONS = (96, 192, 336, 720)


@dataclass(frozen=True)
class Recipe:
    """How a model is trained: its look-back and the flags besides the common ones; members are blended."""

    context: int
    flags: str
    members: tuple[str, ...] = ()


RECIPES = {
    "ridge": Recipe(512, "--backbone ridge"),
    "ridge_ensemble": Recipe(720, "--backbone ridge_ensemble"),
    "dlinear": Recipe(336, "--backbone dlinear --lr 5e-4"),
    "sparsetsf": Recipe(720, "--backbone sparsetsf --lr 0.02"),
    "itransformer": Recipe(96, "--backbone itransformer --lr 5e-4 --epochs 4"),
    "blend": Recipe(720, "--backbone ensemble", ("ridge_ensemble", "sparsetsf", "dlinear")),
}
EQUAL = "shrink=1e6"  # weights by validation alone give nearly everything to one member if validation differs from test
# Test MSE as published, for the table's last lines; look-back in brackets. For ETTh1 only.
PUBLISHED = {
    "best published (any)": (0.352, 0.386, 0.398, 0.420),
    "PatchTST (published)": (0.370, 0.413, 0.422, 0.447),
    "DLinear (published, 336)": (0.375, 0.405, 0.439, 0.472),
    "Informer (published)": (0.865, 1.008, 1.107, 1.181),
}


def run(name: str, features: str, horizon: int, given: argparse.Namespace) -> dict[str, Any]:
    """The summary of one command; its members' first."""
    recipe = RECIPES[name]
    members = [run(member, features, horizon, given)["directory"] for member in recipe.members]
    words = ["--mode", "train", "--task", "forecast", "--csv", given.csv, "--time-col", given.time_col]
    words += ["--features", features, "--context-len", str(recipe.context), "--horizon", str(horizon)]
    words += ["--target", given.target] if features != "M" else []
    words += ["--split-sizes", given.split_sizes] if given.split_sizes else []
    words += [*recipe.flags.split(), "--seed", str(given.seed), "--out", given.out, "--no-plots", "--quiet"]
    words += ["--model-args", f"members={','.join(members)}", EQUAL] if members else []
    words += ["--desc", name] if recipe.flags.split()[1] != name else []
    named = subprocess.run([sys.executable, "run.py", *words, "--dry-run", "--json"], cwd=ROOT, **TEXT)
    place = Path(given.out) / json.loads(named.stdout)["dry_run"]
    if not (ROOT / place / "summary.json").is_file():
        subprocess.run([sys.executable, "run.py", *words], cwd=ROOT, **TEXT)
    content: dict[str, Any] = json.loads((ROOT / place / "summary.json").read_text())
    return content | {"directory": str(place)}


TEXT: dict[str, Any] = {"check": True, "stdout": subprocess.PIPE, "text": True}


def table(found: dict[str, list[dict[str, Any]]], horizons: Sequence[int], features: str) -> str:
    """Markdown: one line per model: test MSE by horizon, then validation, size and training time."""
    head = ["", "look-back", *map(str, horizons), "mean MSE", "mean MAE", "mean val MSE", "parameters", "seconds"]
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for name, summaries in found.items():
        mse, mae, val = ([s[key] for s in part] for key, part in _parts(summaries))
        size = [f"{s['parameters']:,}" for s in (summaries[0], summaries[-1])]
        cells = [f"`{name}`", str(summaries[0]["context"]), *(f"{v:.4f}" for v in mse)]
        cells += [f"**{statistics.mean(mse):.4f}**", f"{statistics.mean(mae):.4f}", f"{statistics.mean(val):.4f}"]
        cells += [size[0] if size[0] == size[1] else " to ".join(size), f"{sum(s['seconds'] for s in summaries):.0f}"]
        lines.append(f"| {' | '.join(cells)} |")
    first = next(iter(found.values()))
    for reference in ("seasonal_naive", "repeat_last"):
        if all(reference in s["references"] for s in first):
            mse = [s["references"][reference]["mse"] for s in first]
            mae = statistics.mean(s["references"][reference]["mae"] for s in first)
            cells = [reference.replace("_", "-"), "", *(f"{v:.4f}" for v in mse), f"{statistics.mean(mse):.4f}"]
            lines.append(f"| {' | '.join([*cells, f'{mae:.4f}', '', '', ''])} |")
    windows = ", ".join(f"{s['n']:,}" for s in first)
    return f"features {features}; test windows {windows}\n\n" + "\n".join(lines)


def _parts(summaries: Sequence[dict[str, Any]]) -> list[tuple[str, list[dict[str, Any]]]]:
    return [("mse", list(summaries)), ("mae", list(summaries)), ("mse", [s["validation"] for s in summaries])]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--csv", default=str(ROOT.parent / "shared" / "data" / "ett" / "ETTh1.csv"))
    parser.add_argument("--time-col", default="date")
    parser.add_argument("--target", default="OT")
    parser.add_argument("--split-sizes", default="8640,2880,2880", help="train,val,test; '' for 0.7, 0.1, 0.2")
    parser.add_argument("--features", nargs="+", default=["M", "S"])
    parser.add_argument("--horizons", nargs="+", type=int, default=list(HORIZONS))
    parser.add_argument("--models", nargs="+", default=list(RECIPES), choices=list(RECIPES))
    parser.add_argument("--seed", type=int, default=777)
    parser.add_argument("--out", default="artifacts/ett", help="where the runs are kept")
    parser.add_argument("--report", default="artifacts/ett/report", help="NAME: writes NAME.md and NAME_M.png")
    given = parser.parse_args()
    texts = []
    for features in given.features:
        found: dict[str, list[dict[str, Any]]] = {}
        for name in given.models:
            found[name] = [run(name, features, horizon, given) for horizon in given.horizons]
            print(f"{features} {name}: {[round(s['mse'], 4) for s in found[name]]}", file=sys.stderr, flush=True)
        texts.append(table(found, given.horizons, features))
        known = features == "M" and Path(given.csv).name == "ETTh1.csv" and tuple(given.horizons) == HORIZONS
        rows = {name: [s["mse"] for s in summaries] for name, summaries in found.items()}
        ahead, title = [f"H = {horizon}" for horizon in given.horizons], f"{Path(given.csv).stem}, features {features}"
        marks = PUBLISHED if known else None
        figure = viz.table_bars_figure(rows, ahead, "test MSE, standardised channels", title, marks)
        save(figure, Path(f"{given.report}_{features}.png"))
    report = "\n\n".join(texts)
    Path(f"{given.report}.md").write_text(report + "\n")
    print(report)
    return 0


if __name__ == "__main__":
    sys.exit(main())
