"""Finished runs below some folders, and what their metrics files say. Knows no task."""

from __future__ import annotations

import json
import math
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from errors import DataError, printable

METRICS = ("metrics.json", "summary.json")

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
    def judged(self) -> str:
        """On which split, and how what is judged was chosen: such figures alone can be compared."""
        split, selection = self.metrics.get("split"), self.metrics.get("selection")
        return ", ".join(str(part) for part in (split, selection) if part)

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
        paths = sorted(find_runs(root), key=lambda path: natural(str(path)))
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
    return [Run(path, label, metrics) for label, (path, metrics) in zip(apart(labels), found.values(), strict=True)]


def apart(labels: Iterable[str]) -> list[str]:
    """The labels as they are shown, with (2), (3) behind those that would read alike."""
    shown: list[str] = []
    for label in map(cell, labels):
        number, other = 1, label
        while other in shown:
            number += 1
            other = f"{label} ({number})"
        shown.append(other)
    return shown


def natural(text: str) -> tuple[tuple[int, str], ...]:
    """What names are sorted by: run2 comes before run10."""
    parts = re.findall(r"\d+|\D+", text)
    return tuple((int(part), "") if part.isdecimal() and part.isascii() else (-1, part) for part in parts)


def cell(value: Any) -> str:
    """A table cell: four digits of a fraction, and nothing that would break a line, a terminal or a font."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "-"
    if isinstance(value, float):
        return f"{value:.1f}" if abs(value) >= 1000 else f"{value:#.4g}"
    return printable(str(value))
