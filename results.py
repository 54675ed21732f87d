"""What a run leaves for people and programs: metrics, predictions, manifest, and the table on the terminal."""

from __future__ import annotations

import platform
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

import splits
from config import RunConfig
from dataset import RunData
from errors import without_password
from hardware import device_name
from splits import Split
from tasks.base import Task

ONE_CALL = ("resume", "overwrite", "json", "quiet", "dry_run", "tag")
SELECTION = {
    "train": "training windows",
    "val": "val-selected",
    "test": "chosen on val, test scored once",
    "all": "includes training windows",
}


def summary(
    task: Task,
    config: RunConfig,
    *,
    run: str,
    split: str,
    selection: str,
    scores: Mapping[str, Any] | None,
    references: Mapping[str, Any],
    calibration: Mapping[str, Any],
    channels: int,
    parameters: int,
    seconds: float,
) -> dict[str, Any]:
    """The content of metrics.json or summary.json."""
    head = {
        "run": run,
        "task": config.task,
        "mode": config.mode,
        "split": split,
        "selection": selection,
        "monitor": {"name": task.monitor, "direction": task.direction},
        "headline": {name: None if scores is None else scores[name] for name in task.headline},
    }
    tail = {
        "calibration": {key: value for key, value in calibration.items() if not isinstance(value, torch.Tensor)},
        "references": dict(references),
        "context": config.context_len,
        **task.setting(config),
        "channels": channels,
        "backbone": config.backbone,
        "seed": config.seed,
        "seconds": round(seconds, 3),
        "parameters": parameters,
    }
    return head | (dict(scores) if scores is not None else {"unscored": "no label is known for these windows"}) | tail


def manifest(
    run_data: RunData,
    argv: Sequence[str],
    *,
    device: torch.device,
    precision: str,
    warnings: Sequence[str],
    model: Mapping[str, Any],
    split: Mapping[str, Any],
) -> dict[str, Any]:
    """How the run came about: enough to repeat it, and to doubt it."""
    series = run_data.series
    return {
        "command": "python run.py " + shlex.join(map(without_password, argv)),
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
            "platform": platform.platform(),
        },
        "device": device_name(device),
        "precision": precision,
        "compile": run_data.config.compile,
        "data": {
            "rows": series.n_rows,
            "channels": list(series.channels),
            "steps": int(series.offsets[-1]),
            "files": [source.plain() for source in series.sources],
            "notes": list(series.notes),
        },
        "split": dict(split),
        "model": dict(model),
        "timings": {name: round(seconds, 3) for name, seconds in run_data.timings.items()},
        "warnings": list(warnings),
    }


def describe_split(split: Split, run_data: RunData, label_means: Mapping[str, list[float]]) -> dict[str, Any]:
    """Sizes, label means (the prevalence, for 0/1 labels) and the overlap (in target steps) of a split's parts."""
    parts = {
        name: {"windows": len(split[name]), "rows": len(np.unique(split[name].row)), "label_mean": label_means[name]}
        for name in splits.NAMES
    }
    total = run_data.series.n_rows if run_data.per_row else int(run_data.series.offsets[-1])
    return {**split.how, **parts, "overlap": splits.overlap(split, total)}


def means(truth: Any) -> list[float]:
    """The mean of each output over windows [n, K, H], or of a Sample; empty where there are none."""
    if not isinstance(truth, np.ndarray):
        return list(truth.means())
    return [float(v) for v in truth.mean(axis=(0, 2), dtype=np.float64)] if truth.size else []


def write_config(path: Path, config: RunConfig) -> None:
    """config.yaml: every setting, usable again with `--config`; what concerns this one call is left out."""
    flat = {key: value for key, value in config.flat().items() if key not in ONE_CALL}
    path.write_text(yaml.safe_dump(flat, sort_keys=False, allow_unicode=True), encoding="utf-8")


def table(content: Mapping[str, Any], directory: Path) -> str:
    """The result as a small table: the model first, then its references, best first."""
    monitor, names = content["monitor"]["name"], list(content["headline"])
    rows = [(content["backbone"], content["headline"])]
    scored = [(name, r) for name, r in content["references"].items() if r.get(monitor) is not None]
    rows += sorted(scored, key=lambda row: row[1][monitor], reverse=content["monitor"]["direction"] == "max")
    lines = [_caption(content)]
    if "unscored" not in content:
        lines.append(" " * 20 + "".join(f"{name:>12}" for name in names))
        lines += [f"{label:<20}" + "".join(f"{_shown(row.get(name)):>12}" for name in names) for label, row in rows]
    for name, fold in content.get("folds", {}).items():
        lines.append(f"{name} over {len(fold['values'])} folds: {_shown(fold['mean'])} ± {_shown(fold['std'])}")
    return "\n".join([*lines, str(directory)])


def _caption(content: Mapping[str, Any]) -> str:
    if "unscored" in content:
        return f"predicted, not scored: {content['unscored']}"
    positive = content.get("prevalence")
    rate = f", {100 * positive:.1f} % positive" if positive is not None else ""
    took = f"{content['parameters']:,} parameters, {content['seconds']:.1f} s"
    return f"{content['split']}: {content['n']:,} windows{rate} ({content['selection']}; {took})"


def _shown(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4g}"


def outline(content: Mapping[str, Any], indent: str = "") -> str:
    """Nested numbers as indented lines: what `--dry-run` prints."""
    lines = []
    for key, value in content.items():
        if isinstance(value, dict):
            lines += [f"{indent}{key}", outline(value, indent + "  ")]
        else:
            readable = f"{value / 2**20:,.1f} MiB" if key.endswith("_bytes") else value
            lines.append(f"{indent}{key.removesuffix('_bytes').replace('_', ' '):<22}{readable}")
    return "\n".join(lines)


def emit(text: str) -> None:
    """The result, on stdout; everything else goes to stderr."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
