"""The homes of a federation: what data each has, how it parts them, and what it tells of them.

A home is a group of rows (`--groups`, or what the data bring along), or one `--csv` file. Rows of a group are parted
in their order, which is that of time: `blocks` stretches, each cut into train, validation and test with `gap` rows
left out at every border, so that windows that overlap never stand on both sides. A file is parted as run.py does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import dataset
import splits
from config import RunConfig
from dataset import RunData
from errors import DataError, UsageError, nearest
from pipeline import open_data
from readers import stem
from readers.paths import expand_paths
from scaler import Scaler, usable
from splits import Split
from tasks.base import Task

TASK = "classify"  # the one with an accuracy
BY = ("groups", "files")
DEFAULTS: dict[str, Any] = {"test_ratio": 0.2, "split_mode": "holdout"}  # what is compared is always a test


@dataclass(frozen=True)
class Parting:
    """How homes are told apart and their rows parted."""

    by: str = "groups"
    blocks: int = 1
    gap: int = 0


@dataclass(frozen=True)
class Home:
    """One home's data, and its own split of them."""

    name: str
    task: Task
    run_data: RunData
    split: Split

    @property
    def config(self) -> RunConfig:
        return self.run_data.config


def settle(config: RunConfig) -> RunConfig:
    """The configuration with the federation's own defaults; UsageError for a task without an accuracy."""
    if config.task != TASK:
        raise UsageError(f"homes are compared by accuracy, which {config.task} has not", where="--task")
    if config.stage not in ("", "end2end"):
        raise UsageError("a federation trains all parts at once", where=f"--stage {config.stage}")
    return replace(config, **{name: value for name, value in DEFAULTS.items() if name not in config.given})


def read_homes(config: RunConfig, parting: Parting, wanted: Sequence[str] = ()) -> dict[str, Home]:
    """{name: home} in the order of the data; `wanted` are names, or how many of the first (none: all).

    UsageError for a name that is not there, DataError for a home that is too small to be parted.
    """
    config = settle(config)
    return _by_file(config, wanted) if parting.by == "files" else _by_group(config, parting, wanted)


def choose(names: Sequence[str], wanted: Sequence[str], hint: str) -> list[str]:
    """Those of `names` that take part."""
    odd = [name for name in names if not re.fullmatch(r"[\w+=,-][\w.+=,-]*", name)]
    if odd:
        raise DataError(f"{odd[0]!r} cannot be a directory's name", where="homes", hint="letters, digits . _ - + = ,")
    if not wanted:
        return list(names)
    if len(wanted) == 1 and wanted[0].isdigit() and wanted[0] not in names:
        count = int(wanted[0])
        if not 0 < count <= len(names):
            raise UsageError(f"there are {len(names)} homes, not {count}", where="--clients")
        return list(names)[:count]
    for name in wanted:
        if name not in names:
            listed = f"there is no home {name!r}: {', '.join(names[:8])}{', ...' if len(names) > 8 else ''}"
            raise UsageError(listed, where="--clients", hint=nearest(name, names) or hint)
    return [name for name in names if name in wanted]


def _by_file(config: RunConfig, wanted: Sequence[str]) -> dict[str, Home]:
    if not config.time_col:
        raise UsageError("a wide CSV is a channel, not a home", where="--homes-by files", hint="--time-col COL")
    paths = {stem(path): path for path in expand_paths(config.csv)}
    homes = {}
    for name in choose(list(paths), wanted, "homes are called as their files"):
        own = replace(config, csv=(str(paths[name]),))
        task, run_data = _open(own)
        homes[name] = Home(name, task, run_data, dataset.make_splits(run_data)[-1])
    return homes


def _by_group(config: RunConfig, parting: Parting, wanted: Sequence[str]) -> dict[str, Home]:
    task, run_data = _open(replace(config, split_mode="group"))
    groups = run_data.series.groups
    if groups is None:
        hint = "--groups FILE says of each row whose it is; --homes-by files takes a file as a home"
        raise UsageError("the data have no groups", where="--homes-by groups", hint=hint)
    homes = {}
    for name in choose(list(dict.fromkeys(map(str, groups))), wanted, "homes are called as their groups"):
        rows = np.flatnonzero(groups.astype(str) == name)
        homes[name] = Home(name, task, run_data, part_rows(run_data, rows, parting, name))
    return homes


def _open(config: RunConfig) -> tuple[Task, RunData]:
    run_data, task, _ = open_data(config, ())
    return task, run_data


def part_rows(run_data: RunData, rows: np.ndarray, parting: Parting, name: str) -> Split:
    """A home's `rows`, in order: each of `blocks` stretches is train | val | test, `gap` rows apart everywhere."""
    config = run_data.config
    parts: dict[str, list[int]] = {part: [] for part in splits.NAMES}
    for number, block in enumerate(np.array_split(rows, parting.blocks)):
        block = block[parting.gap if number else 0 :]
        n_val, n_test = (max(round(share * len(block)), 1) for share in (config.val_ratio, config.test_ratio))
        test_from = len(block) - n_test
        val_from = test_from - parting.gap - n_val
        parts["train"] += block[: max(val_from - parting.gap, 0)].tolist()
        parts["val"] += block[max(val_from, 0) : max(test_from - parting.gap, 0)].tolist()
        parts["test"] += block[max(test_from, 0) :].tolist()
    split = splits.of_rows(run_data.index, {"mode": "group", "rows": parts}, run_data.series.n_rows)
    empty = [part for part in splits.NAMES if not len(split[part])]
    if empty:
        what = f"home {name!r} has {len(rows)} rows, and no window for {' and '.join(empty)}"
        raise DataError(what, where="--blocks / --gap-rows", hint="--clients names the homes that take part")
    return split


# ---- what a home tells of its data


def schema_of(home: Home, keys: Mapping[str, Sequence[int]], *, exclusive: bool) -> dict[str, Any]:
    """What the models of homes must share to be averaged; `keys` are the names and shapes of the weights."""
    config, run_data = home.config, home.run_data
    assert run_data.targets is not None
    return {
        "task": config.task,
        "backbone": config.backbone,
        "model_args": dict(sorted(config.model_args.items())),
        "channels": list(run_data.channels),
        "modalities": run_data.modalities,
        "context": config.context_len,
        "labels": list(run_data.targets.names),
        "one label a row": exclusive,
        "weights": {name: list(shape) for name, shape in keys.items()},
    }


def difference(schema: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """Where `schema` differs from the federation's `other`, in words; empty where it does not."""
    told = [
        f"{key} {_shown(schema[key])}, where the federation has {_shown(other[key])}"
        for key in other
        if key != "weights" and schema.get(key) != other[key]
    ]
    if not told and schema.get("weights") != other["weights"]:
        told = ["weights of other names or shapes"]
    return "; ".join(told)


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return f"{len(value)} ({', '.join(map(str, value[:6]))}{', ...' if len(value) > 6 else ''})"
    return str(value)


def first_sums(home: Home) -> dict[str, list[float]]:
    """Of each channel over the steps that training sees: how many are known, and their sum, in float64."""
    steps = _seen(home)
    return {"count": np.isfinite(steps).sum(axis=1).tolist(), "sum": np.nansum(steps, axis=1).tolist()}


def second_sums(home: Home, mean: Sequence[float]) -> dict[str, list[float]]:
    """The sum of squared differences from the common mean, which loses no digits as a sum of squares would."""
    steps = _seen(home)
    return {"square": np.nansum((steps - np.asarray(mean)[:, None]) ** 2, axis=1).tolist()}


def _seen(home: Home) -> np.ndarray:
    steps: np.ndarray = home.run_data.values()[:, home.run_data.seen(home.task, home.split.train)].astype(np.float64)
    return steps


def common_mean(told: Sequence[Mapping[str, Sequence[float]]]) -> np.ndarray:
    """The mean over all homes' steps, float64 [C], from their `first_sums`."""
    count = np.sum([np.asarray(t["count"]) for t in told], axis=0)
    mean: np.ndarray = np.sum([np.asarray(t["sum"]) for t in told], axis=0) / np.maximum(count, 1)
    return mean


def common_scaler(
    mean: np.ndarray,
    first: Sequence[Mapping[str, Sequence[float]]],
    second: Sequence[Mapping[str, Sequence[float]]],
    channels: Sequence[str],
) -> Scaler:
    """What `Scaler.fit` would find over all homes' steps in one place."""
    count = np.sum([np.asarray(t["count"]) for t in first], axis=0)
    std = np.sqrt(np.sum([np.asarray(t["square"]) for t in second], axis=0) / np.maximum(count, 1))
    return Scaler(mean, usable(mean, std), tuple(channels))
