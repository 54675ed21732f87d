"""Many runs side by side: one table, one dot plot, one web page that needs no network.

    python tools/report.py artifacts/ --out report

writes report.csv, report.png and report.html and prints the table. A run directory holds `metrics.json`, `summary.json`
or `manifest.json`; any other directory is searched for runs, except hidden ones (`.x`). The report knows no task:
`headline`, `monitor` and `references` of the metrics file say what to show and which direction is better.
"""

from __future__ import annotations

import os
import signal

if __name__ == "__main__":  # Ctrl-C while the rest is imported: there is nothing to clean up yet
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))

import base64
import csv
import io
import json
import math
import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # so that `python tools/report.py` finds our modules

from matplotlib.axes import Axes
from matplotlib.figure import Figure

import viz
from cli import Parser
from errors import DataError, UsageError, refused
from run import guarded

METRICS = ("metrics.json", "summary.json")
BESIDE = ("precision", "recall", "accuracy")  # shown where a run has them, though they are not in its headline
SHOWN = 50  # runs in one panel of the dot plot; the table has them all
REFERENCE_LOOKS = tuple(zip("s^DvPX<>", (viz.ORANGE, viz.GREEN, viz.VERMILLION, viz.SKY) * 2, strict=True))
PNG = b"\x89PNG\r\n\x1a\n"

Row = dict[str, Any]


@dataclass(frozen=True)
class Run:
    """One run directory and what its metrics file says; `label` is its name, or its path where names collide."""

    path: Path
    label: str
    metrics: Row

    def section(self, key: str) -> Row:
        """The mapping at `key` of the metrics file, empty where it is absent or something else."""
        value = self.metrics.get(key)
        return value if isinstance(value, dict) else {}

    @property
    def task(self) -> str:
        return str(self.metrics.get("task", ""))

    @property
    def monitor(self) -> str:
        return str(self.section("monitor").get("name", ""))

    @property
    def higher_is_better(self) -> bool:
        return self.section("monitor").get("direction") != "min"

    @property
    def value(self) -> float | None:
        """The monitored metric."""
        return number(self.metrics.get(self.monitor, self.section("headline").get(self.monitor)))

    def score(self, name: str) -> float | None:
        """A metric at the top level, or, in files of version 0.6 and before, in the object at the best threshold."""
        return number(self.metrics.get(name, self.section("best_tau").get(name)))

    @property
    def references(self) -> dict[str, float]:
        """The monitored metric of each reference that has it, best first."""
        values = {name: number(each.get(self.monitor)) for name, each in self._reference_sections()}
        known = [(name, value) for name, value in values.items() if value is not None]
        return dict(sorted(known, key=lambda pair: pair[1], reverse=self.higher_is_better))

    def _reference_sections(self) -> list[tuple[str, Row]]:
        return [(name, each) for name, each in self.section("references").items() if isinstance(each, dict)]

    def folds(self, metric: str) -> list[float]:
        """`metric` in each fold: of `folds` {metric: {"values"}}, or of a list or mapping of the metrics of each."""
        folds = self.metrics.get("folds")
        if isinstance(folds, dict) and isinstance(folds.get(metric), dict) and "values" in folds[metric]:
            return [value for value in map(number, folds[metric]["values"]) if value is not None]
        each = list(folds.values()) if isinstance(folds, dict) else folds if isinstance(folds, list) else []
        runs = [Run(self.path, self.label, fold) for fold in each if isinstance(fold, dict)]
        values = [number(run.metrics.get(metric, run.section("headline").get(metric))) for run in runs]
        return [value for value in values if value is not None]


def number(value: Any) -> float | None:
    """`value` if it is a finite number, else None."""
    real = isinstance(value, int | float) and not isinstance(value, bool)
    return value if real and math.isfinite(value) else None


def warn(text: str) -> None:
    print(f"warning: {text}", file=sys.stderr)


def find_runs(root: Path) -> Iterator[Path]:
    """`root` if it is a run, else every run below it in order; folders inside a run (folds) are part of it."""
    for folder, below, files in os.walk(root):
        if {*METRICS, "manifest.json"} & set(files):
            below.clear()
            yield Path(folder)
        below[:] = sorted(name for name in below if not name.startswith("."))


def read_metrics(path: Path) -> Row:
    """The metrics of the run at `path`; a ValueError or OSError says why there are none."""
    found = [path / name for name in METRICS if (path / name).is_file()]
    if not found:
        raise ValueError("no metrics.json or summary.json: did the run finish?")
    try:
        metrics = json.loads(found[0].read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{found[0].name} is damaged ({error})") from error
    if not isinstance(metrics, dict):
        raise ValueError(f"{found[0].name} is damaged (not an object)")
    return metrics


def gather(roots: Sequence[Path]) -> list[Run]:
    """The runs at or below `roots`, each once; one that cannot be read is skipped with a warning.

    Raises
    ------
    DataError : no run is left.
    """
    found: dict[Path, tuple[Path, Row]] = {}
    for root in roots:
        paths = list(find_runs(root))
        if not paths:
            warn(f"{root}: {'no run here or below' if root.is_dir() else 'no such directory'}")
        for path in paths:
            try:
                found.setdefault(path.resolve(), (path, read_metrics(path)))
            except (ValueError, OSError) as error:
                warn(f"{path}: {error}; skipped")
    if not found:
        raise DataError(
            "no run to report", where=" ".join(map(str, roots)), hint="give run directories, or a directory with runs"
        )
    names = [str(metrics.get("run") or path.resolve().name) for path, metrics in found.values()]
    labels = [
        str(path) if names.count(name) > 1 else name for name, (path, _) in zip(names, found.values(), strict=True)
    ]
    return [Run(path, label, metrics) for label, (path, metrics) in zip(_apart(labels), found.values(), strict=True)]


def _apart(labels: Sequence[str]) -> list[str]:
    """The labels as they are shown, with (2), (3) behind those that would read alike."""
    shown: list[str] = []
    for label in map(cell, labels):
        number, other = 1, label
        while other in shown:
            number += 1
            other = f"{label} ({number})"
        shown.append(other)
    return shown


def shortened(label: str, width: int = 84) -> str:
    """A label of at most `width` characters, cut in the middle: names of runs differ at their end."""
    begin = width // 3
    return label if len(label) <= width else f"{label[:begin]}…{label[begin + 1 - width :]}"


def table_of(runs: Sequence[Run]) -> list[Row]:
    """One row a run, all with the same columns in the same order; None where a run has no such value."""
    headline = list(dict.fromkeys(name for run in runs for name in run.section("headline")))
    beside = [name for name in BESIDE if name not in headline and any(run.score(name) is not None for run in runs)]
    folded = [name for name in headline if any(run.folds(name) for run in runs)]
    return [_row(run, headline, beside, folded) for run in runs]


def _row(run: Run, headline: Sequence[str], beside: Sequence[str], folded: Sequence[str]) -> Row:
    given = run.metrics.get
    best = next(iter(run.references.items()), (None, None))
    row: Row = {"run": run.label, "task": run.task}
    row |= {key: given(key) for key in ("backbone", "context", "seed", "split", "selection")}
    row |= {name: number(run.section("headline").get(name, run.score(name))) for name in headline}
    row |= {name: run.score(name) for name in beside}
    for name in folded:
        values = run.folds(name)
        row[f"{name} fold mean"] = statistics.fmean(values) if values else None
        row[f"{name} fold sd"] = statistics.stdev(values) if len(values) > 1 else None
    row |= {"monitor": run.monitor, "best reference": best[0], "reference value": best[1]}
    return row | {key: given(key) for key in ("seconds", "parameters")}


def cell(value: Any) -> str:
    """A table cell: four digits of a fraction, and nothing that would break a line, a terminal or a font."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "-"
    if isinstance(value, float):
        return f"{value:.1f}" if abs(value) >= 1000 else f"{value:#.4g}"
    return "".join(mark if mark.isprintable() else "?" for mark in str(value))


def as_text(rows: Sequence[Row]) -> str:
    """The table for a terminal: columns two spaces apart, numbers to the right."""
    names = list(rows[0])
    columns = []
    for name in names:
        cells = [cell(row[name]) for row in rows]
        width = max(map(len, (name, *cells)))
        numeric = any(number(row[name]) is not None for row in rows)
        columns.append([text.rjust(width) if numeric else text.ljust(width) for text in (name, *cells)])
    return "\n".join("  ".join(line).rstrip() for line in zip(*columns, strict=True))


def as_csv(rows: Sequence[Row]) -> str:
    """The table with full precision; an unknown value is an empty cell."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def figure_of(runs: Sequence[Run]) -> Figure:
    """The monitored metric of each run and of its references, best run on top, one panel a task and monitor."""
    panels: dict[tuple[str, str], list[tuple[float, Run]]] = {}
    for run in runs:
        if (value := run.value) is not None:
            panels.setdefault((run.task, run.monitor), []).append((value, run))
    heights = [min(len(each), SHOWN) + 1.0 for each in panels.values()] or [4.0]
    figure = viz.new_figure(8.6, 0.36 * sum(heights) + 0.9 * len(heights))
    grid = figure.subplots(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0]
    if not panels:
        viz.dress(grid[0], "monitored metric", "run")
        viz.note(grid[0], "no run has a value of its monitored metric")
    for ax, ((task, monitor), members) in zip(grid, panels.items(), strict=False):
        _panel(ax, task, monitor, members)
    return figure


def _panel(ax: Axes, task: str, monitor: str, members: Sequence[tuple[float, Run]]) -> None:
    higher = members[0][1].higher_is_better
    values, runs = zip(*sorted(members, key=lambda pair: pair[0], reverse=higher)[:SHOWN], strict=True)
    more = f", best {SHOWN} of {len(members)} runs" if len(members) > SHOWN else ""
    viz.dress(ax, f"{cell(task)}: {cell(monitor)} ({'higher' if higher else 'lower'} is better{more})", "")
    ax.plot(values, range(len(runs)), "o", color=viz.BLUE, markersize=9, markeredgecolor="white", label="run", zorder=4)
    _draw_references(ax, runs)
    bar: dict[str, Any] = {"color": viz.BLUE, "linewidth": 4, "alpha": 0.35, "label": "folds: mean ± sd"}
    for place, run in enumerate(runs):
        if len(folds := run.folds(monitor)) > 1:
            mean, spread = statistics.fmean(folds), statistics.stdev(folds)
            ax.plot([mean - spread, mean + spread], [place, place], **bar)
            bar.pop("label", None)  # once in the legend
    names = _apart([shortened(run.label) for run in runs])
    ax.set_yticks(range(len(runs)), [viz.wrap(name, 44, 4) for name in names], fontsize=8, parse_math=False)
    ax.set_ylim(len(runs) - 0.3, -0.6)
    ax.locator_params(axis="x", nbins=7)
    viz.legend(ax, ncols=4)


def _draw_references(ax: Axes, runs: Sequence[Run]) -> None:
    """A mark a reference, a little below its run so that neither hides the other."""
    known = [run.references for run in runs]
    for k, name in enumerate(dict.fromkeys(name for each in known for name in each)):
        marker, colour = REFERENCE_LOOKS[k % len(REFERENCE_LOOKS)]
        points = [(each[name], place + 0.25) for place, each in enumerate(known) if name in each]
        look: dict[str, Any] = {"color": colour, "markersize": 7.5, "markeredgecolor": "white", "zorder": 3}
        ax.plot(*zip(*points, strict=True), marker, label=cell(name), **look)


STYLE = """
:root { color-scheme: light dark; --line: color-mix(in srgb, currentColor 18%, transparent); }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 80rem; margin: 2rem auto; padding: 0 1.2rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.05rem; margin-top: 2.5rem; overflow-wrap: anywhere; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .7rem; border-bottom: 1px solid var(--line); text-align: left; white-space: nowrap; }
td.n, th.n { text-align: right; }
td:first-child { white-space: normal; overflow-wrap: anywhere; min-width: 14rem; }
figure { display: inline-block; margin: .6rem .8rem .6rem 0; vertical-align: top; }
figcaption { font-size: 12px; opacity: .7; }
img { max-width: 100%; width: 30rem; background: #fff; border-radius: 4px; } img.main { width: 54rem; }
"""


def _html_table(rows: Sequence[Row]) -> str:
    kind = {name: ' class="n"' if any(number(row[name]) is not None for row in rows) else "" for name in rows[0]}
    head = "".join(f"<th{kind[name]}>{escape(cell(name))}</th>" for name in rows[0])
    body = ("".join(f"<td{kind[name]}>{escape(cell(value))}</td>" for name, value in row.items()) for row in rows)
    lines = "\n".join(f"<tr>{line}</tr>" for line in body)
    return f'<div class="wide"><table>\n<tr>{head}</tr>\n{lines}\n</table></div>'


def _image(path: Path, attributes: str = "") -> str:
    """The PNG at `path` as an element that carries its own bytes; a ValueError or OSError where it is none."""
    data = path.read_bytes()
    if not data.startswith(PNG):
        raise ValueError("not a PNG")
    source = base64.b64encode(data).decode("ascii")
    return f'<img {attributes}alt="{escape(path.stem)}" src="data:image/png;base64,{source}">'


def _plots(run: Run) -> str:
    parts = []
    for path in sorted(run.path.glob("[!.]*.png")):
        try:
            parts.append(f"<figure>{_image(path)}<figcaption>{escape(path.name)}</figcaption></figure>")
        except (ValueError, OSError) as error:
            warn(f"{path}: {error}; left out of the page")
    return "\n".join(parts) or "<p>no plots</p>"


def as_html(runs: Sequence[Run], rows: Sequence[Row], overview: Path) -> str:
    """The page: the table, the dot plot at `overview`, and the plots of each run; every text escaped."""
    title = f"{len(runs)} run{'s' * (len(runs) != 1)}"
    sections = "\n".join(f"<h2>{escape(cell(run.label))}</h2>\n{_plots(run)}" for run in runs)
    picture = _image(overview, 'class="main" ')
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{STYLE}</style>
</head>
<body>
<h1>{title}</h1>
{_html_table(rows)}
<p>{picture}</p>
{sections}
</body>
</html>
"""


def write_text(path: Path, text: str) -> None:
    """Writes `text` at `path`, complete or not at all."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_text(text, encoding="utf-8", errors="replace")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_report(runs: Sequence[Run], out: Path) -> str:
    """Writes `out`.csv, .png and .html and returns the table as text.

    Raises
    ------
    UsageError : they cannot be written there.
    """
    rows = table_of(runs)
    target = {kind: out.with_name(f"{out.name}.{kind}") for kind in ("csv", "png", "html")}
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        write_text(target["csv"], as_csv(rows))
        viz.save(figure_of(runs), target["png"])
        write_text(target["html"], as_html(runs, rows, target["png"]))
    except OSError as error:
        raise refused(error, UsageError, "cannot be written", f"--out {out}") from None
    print("wrote " + ", ".join(map(str, target.values())), file=sys.stderr)
    return as_text(rows)


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = Parser(prog="python tools/report.py", description="One table, dot plot and web page from many runs.")
    parser.add_argument("dirs", nargs="+", type=Path, metavar="DIR", help="run directory, or a directory with runs")
    parser.add_argument(
        "--out", type=Path, default=Path("report"), help="path of the files without ending (default: report)"
    )

    def body() -> None:
        args = parser.parse_args(argv)
        print(write_report(gather(args.dirs), args.out))

    return guarded(body)


if __name__ == "__main__":
    sys.exit(main())
