"""The site of a report: a section a task, and a page a run. No text in it is markup, and no network is needed."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pages import html, run_page
from pages.html import shown
from pages.run_page import at_path, columns_of
from tools.finding import Run, natural

KEYS = ("backbone", "context", "horizon", "seed")  # of a run, before its figures
COSTS = ("seconds", "parameters")  # and after them
LONGEST = 80  # letters of a file's name


def write_site(runs: Sequence[Run], out: Path, picture: Path) -> None:
    """Write index.html and a page a run below runs/ into the folder `out`; `picture` is a PNG of all of them."""
    links = {}
    for k, run in enumerate(runs):
        name = f"{k + 1:03d}_{re.sub(r'[^A-Za-z0-9.=-]+', '_', run.label)[-LONGEST:]}.html"
        links[id(run)] = f"runs/{name}"
        beside = os.path.relpath(run.path, out / "runs")
        html.write(out / "runs" / name, run_page.page(run.path, beside=Path(beside).as_posix()))
    html.write(out / "index.html", index(runs, links, picture))


def index(runs: Sequence[Run], links: dict[int, str], picture: Path) -> str:
    """The page with all runs: a section a task, in it a table for each way of judging."""
    title = f"{len(runs)} run{'s' * (len(runs) != 1)}"
    tasks: dict[str, dict[tuple[str, str], list[Run]]] = {}
    for run in sorted(runs, key=lambda run: (natural(run.task), natural(run.label))):
        tasks.setdefault(run.task, {}).setdefault((run.judged, run.monitor), []).append(run)
    parts = [f"<h1>{title}</h1>", '<p class="dim">The best run and the best reference of each table are marked.</p>']
    for task, groups in tasks.items():
        parts.append(f"<section><h2>{shown(task or 'no task')}</h2>")
        for (judged, monitor), members in sorted(groups.items(), key=lambda group: not group[0][0].startswith("test")):
            parts.append(f"<h3>{shown(judged or 'split not known')}</h3>{_table(members, monitor, links)}")
        parts.append("</section>")
    return html.document(title, "\n".join([*parts, html.picture(picture)]), ("sort.js",))


def _table(runs: Sequence[Run], monitor: str, links: dict[int, str]) -> str:
    """A table that a click on a header sorts; columns that no run has a value for are left out."""
    titles = dict.fromkeys(title for run in runs for title in columns_of(run.metrics))
    columns: list[tuple[str, list[Any]]] = [(key, [run.metrics.get(key) for run in runs]) for key in KEYS]
    columns += [(title, [_figure(run, title) for run in runs]) for title in titles]
    columns += _folds(runs, list(dict.fromkeys(name for run in runs for name in run.section("headline"))))
    best = [next(iter(run.references.items()), (None, None)) for run in runs]
    columns += [("best reference", [name for name, _ in best]), (f"its {monitor}", [value for _, value in best])]
    columns += [(key, [run.metrics.get(key) for run in runs]) for key in COSTS]
    kept = [(title, values) for title, values in columns if any(value is not None for value in values)]
    numeric = {title: any(html.number(value) is not None for value in values) for title, values in kept}
    head = "".join(_head(title, number) for title, number in (("run", False), *numeric.items()))
    first, reference = _best(runs, [run.value for run in runs]), _best(runs, [value for _, value in best])
    lines = []
    for k, run in enumerate(runs):
        mark = ' <span class="tag">best</span>' if k in first else ""
        cells = [
            f'<td class="run" data-by="{shown(run.label)}"><a href="{links[id(run)]}">{shown(run.label)}</a>{mark}</td>'
        ]
        for title, values in kept:
            tag = ' <span class="tag">best reference</span>' if title == "best reference" and k in reference else ""
            cells.append(_cell(values[k], numeric[title], tag))
        lines.append(f"<tr{' class=best' if k in first else ''}>{''.join(cells)}</tr>")
    body = "\n".join(lines)
    table = f'<table class="sortable"><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table>'
    return f'<div class="wide">{table}</div>'


def _head(title: str, numeric: bool) -> str:
    return f'<th{" class=n" if numeric else ""}><button type="button">{shown(title)}</button></th>'


def _cell(value: Any, numeric: bool, tag: str) -> str:
    by = "" if value is None else shown(repr(value) if html.number(value) is not None else value)
    return f'<td{" class=n" if numeric else ""} data-by="{by}">{shown(html.cell(value))}{tag}</td>'


def _figure(run: Run, title: str) -> float | None:
    path = columns_of(run.metrics).get(title)
    return None if path is None else html.number(at_path({**run.section("headline"), **run.metrics}, path))


def _folds(runs: Sequence[Run], names: Sequence[str]) -> list[tuple[str, list[Any]]]:
    found: list[tuple[str, list[Any]]] = []
    for name in names:
        values = [run.folds(name) for run in runs]
        found.append((f"{name}, mean of folds", [sum(each) / len(each) if each else None for each in values]))
    return found


def _best(runs: Sequence[Run], values: Sequence[float | None]) -> set[int]:
    """The numbers of the runs with the best value."""
    known = [value for value in values if value is not None]
    if not known:
        return set()
    best = (max if runs[0].higher_is_better else min)(known)
    return {k for k, value in enumerate(values) if value == best}
