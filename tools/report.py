"""Many runs side by side: one table, one dot plot, and a site that needs no network.

    python tools/report.py artifacts/ --out report

writes report/index.html, a page a run below report/runs/, report/report.csv and report/report.png, and prints the
table. A run directory holds `metrics.json`, `summary.json` or `manifest.json`; others are searched for them,
except hidden ones (`.x`). The report knows no task: `headline`, `shown`, `monitor` and `references` of the metrics file
say what to show and which direction is better.

    python tools/report.py --join artifacts/

joins the files of the shards of one inference (`run.py --mode infer --shard I/N`), see tools/shards.py.
"""

from __future__ import annotations

import os
import signal

if __name__ == "__main__":  # Ctrl-C while the rest is imported: there is nothing to clean up yet
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))

import csv
import io
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # so that `python tools/report.py` finds our modules

from matplotlib.axes import Axes
from matplotlib.figure import Figure

import viz
from cli import Parser
from errors import UsageError, refused
from pages.html import write
from run import guarded
from tools import report_site, shards
from tools.finding import Row, Run, apart, cell, gather, number

BESIDE = ("precision", "recall", "accuracy")  # shown where a run has them, though they are not in its headline
SHOWN = 50  # runs in one panel of the dot plot; the table has them all
REFERENCE_LOOKS = tuple(zip("s^DvPX<>", (viz.ORANGE, viz.GREEN, viz.VERMILLION, viz.SKY) * 2, strict=True))


def differing(labels: Sequence[str]) -> list[str]:
    """The labels without the parts, between underscores, that all of them share."""
    parts = [label.split("_") for label in labels]
    shared = set.intersection(*map(set, parts)) if len(parts) > 1 else set()
    found = ["_".join(part for part in each if part not in shared) for each in parts]
    return [short or label for short, label in zip(found, labels, strict=True)]


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
    """The monitored metric of each run and of its references, best run on top.

    One panel a task, monitor and split: what was chosen on validation and what was tested share no axis.
    """
    panels: dict[tuple[str, str, str], list[tuple[float, Run]]] = {}
    for run in runs:
        if (value := run.value) is not None:
            panels.setdefault((run.task, run.monitor, run.judged), []).append((value, run))
    heights = [min(len(each), SHOWN) + 1.0 for each in panels.values()] or [4.0]
    figure = viz.new_figure(8.6, 0.36 * sum(heights) + 0.9 * len(heights))
    grid = figure.subplots(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0]
    if not panels:
        viz.dress(grid[0], "monitored metric", "run")
        viz.note(grid[0], "no run has a value of its monitored metric")
    for ax, ((task, monitor, judged), members) in zip(grid, panels.items(), strict=False):
        _panel(ax, f"{task}, {judged}" if judged else task, monitor, members)
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
    names = apart(map(shortened, differing([run.label for run in runs])))
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


def write_report(runs: Sequence[Run], out: Path) -> str:
    """Write the site into the folder `out`, with report.csv and report.png; returns the table as text.

    Raises
    ------
    UsageError : it cannot be written there.
    """
    rows = table_of(runs)
    try:
        (out / "runs").mkdir(parents=True, exist_ok=True)
        write(out / "report.csv", as_csv(rows))
        viz.save(figure_of(runs), out / "report.png")
        report_site.write_site(runs, out, out / "report.png")
    except OSError as error:
        raise refused(error, UsageError, "cannot be written", f"--out {out}") from None
    print(f"wrote {out / 'index.html'}, a page a run beside it, {out / 'report.csv'} and report.png", file=sys.stderr)
    return as_text(rows)


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = Parser(prog="python tools/report.py", description="One table, dot plot and site from many runs.")
    parser.add_argument("dirs", nargs="+", type=Path, metavar="DIR", help="run directory, or a directory with runs")
    parser.add_argument(
        "--join",
        action="store_true",
        help="the runs are the shards of one inference (--shard I/N): check that all are there, and join their files",
    )
    parser.add_argument(
        "--out",
        type=Path,
        help="folder of the site (default: report), or of the joined run (default: beside the shards)",
    )

    def body() -> None:
        args = parser.parse_args(argv)
        if args.join:
            print(shards.join(args.dirs, args.out))
        else:
            print(write_report(gather(args.dirs), args.out or Path("report")))

    return guarded(body)


if __name__ == "__main__":
    sys.exit(main())
