"""The homes of a federation: the data of each, how they are split, and what a home sends about them.

A home is a group of rows (`--groups`, or the groups in the data), or one `--csv` file. The rows of a group are split in
their order, which is that of time: `blocks` stretches, each cut into train, validation and test with `gap` rows left
out at every border, so that overlapping windows are never on both sides. A file is split as run.py does.
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
from sources import levels
from splits import Split
from tasks.base import Task

TASK = "classify"  # the task with an accuracy
BY = ("groups", "files")
DEFAULTS: dict[str, Any] = {
    "test_ratio": 0.2,
    "split_mode": "holdout",  # they are compared on test windows
    "wide": False,  # weights are averaged, and the closed forms of two homes have other features
}


@dataclass(frozen=True)
class HomeSplit:
    """How the data are divided into homes, and the rows of a home split.

    by : one of BY.
    blocks : stretches of a group, each with its train, validation and test rows.
    gap : rows left out at every border.
    """

    by: str = "groups"
    blocks: int = 1
    gap: int = 0


@dataclass(frozen=True)
class Home:
    """The data of one home, and their split."""

    name: str
    task: Task
    run_data: RunData
    split: Split

    @property
    def config(self) -> RunConfig:
        """The final settings."""
        return self.run_data.config


def with_defaults(config: RunConfig) -> RunConfig:
    """The configuration with the defaults of a federation. UsageError for a task without an accuracy, or a stage."""
    if config.task != TASK:
        raise UsageError(f"homes are compared by accuracy, which {config.task} does not have", where="--task")
    if config.stage not in ("", "end2end"):
        raise UsageError("a federation trains all parts at once", where=f"--stage {config.stage}")
    return replace(config, **{name: value for name, value in DEFAULTS.items() if name not in config.given})


def read_homes(config: RunConfig, home_split: HomeSplit, wanted: Sequence[str] = ()) -> dict[str, Home]:
    """The homes that take part.

    Parameters
    ----------
    config : the settings.
    home_split : how the data are divided.
    wanted : names of homes, or one number: so many of the first; () for all.

    Returns
    -------
    {name: home} in the order of the data.

    Raises
    ------
    UsageError : a home that does not exist.
    DataError : a home that is too small to be split.
    """
    config = with_defaults(config)
    return _by_file(config, wanted) if home_split.by == "files" else _by_group(config, home_split, wanted)


def choose(names: Sequence[str], wanted: Sequence[str], hint: str) -> list[str]:
    """Those of `names` that take part: `wanted`, see `read_homes`. `hint` says where the names come from."""
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
    for name in choose(list(paths), wanted, "homes have the names of their files"):
        task, run_data = _open(replace(config, csv=(str(paths[name]),)))
        homes[name] = _home(name, task, run_data, dataset.make_splits(run_data)[-1])
    return homes


def _by_group(config: RunConfig, home_split: HomeSplit, wanted: Sequence[str]) -> dict[str, Home]:
    task, run_data = _open(replace(config, split_mode="group"))
    groups = run_data.series.groups
    if groups is None:
        hint = "--groups FILE gives the home of each row; --homes-by files makes each file a home"
        raise UsageError("the data have no groups", where="--homes-by groups", hint=hint)
    homes = {}
    for name in choose(list(dict.fromkeys(map(str, groups))), wanted, "homes have the names of their groups"):
        rows = np.flatnonzero(groups.astype(str) == name)
        homes[name] = _home(name, task, run_data, split_rows(run_data, rows, home_split, name))
    return homes


def _home(name: str, task: Task, run_data: RunData, split: Split) -> Home:
    """A home, whose categories have the levels of its own training: homes with others have other channels."""
    return Home(name, task, levels.coded(run_data, task, split.train), split)


def _open(config: RunConfig) -> tuple[Task, RunData]:
    run_data, task, _ = open_data(config, ())
    return task, run_data


def split_rows(run_data: RunData, rows: np.ndarray, home_split: HomeSplit, name: str) -> Split:
    """The split of a home's `rows`, in order: each of `blocks` stretches is train | val | test, `gap` rows apart."""
    config = run_data.config
    parts: dict[str, list[int]] = {part: [] for part in splits.NAMES}
    for number, block in enumerate(np.array_split(rows, home_split.blocks)):
        block = block[home_split.gap if number else 0 :]
        n_val, n_test = (max(round(share * len(block)), 1) for share in (config.val_ratio, config.test_ratio))
        test_from = len(block) - n_test
        val_from = test_from - home_split.gap - n_val
        parts["train"] += block[: max(val_from - home_split.gap, 0)].tolist()
        parts["val"] += block[max(val_from, 0) : max(test_from - home_split.gap, 0)].tolist()
        parts["test"] += block[max(test_from, 0) :].tolist()
    split = splits.of_rows(run_data.index, {"mode": "group", "rows": parts}, run_data.series.numbers)
    empty = [part for part in splits.NAMES if not len(split[part])]
    if empty:
        what = f"home {name!r} has {len(rows)} rows, and no window for {' and '.join(empty)}"
        raise DataError(what, where="--blocks / --gap-rows", hint="--clients names the homes that take part")
    return split


# ---- what a home sends about its data


def schema_of(home: Home, keys: Mapping[str, Sequence[int]], *, exclusive: bool) -> dict[str, Any]:
    """What the models of homes must have in common to be averaged; `keys` are the names and shapes of the weights."""
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
    differing = [
        f"{key} {_shown(schema[key])}, where the federation has {_shown(other[key])}"
        for key in other
        if key != "weights" and schema.get(key) != other[key]
    ]
    if not differing and schema.get("weights") != other["weights"]:
        differing = ["weights of other names or shapes"]
    return "; ".join(differing)


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return f"{len(value)} ({', '.join(str(item)[:40] for item in value[:6])}{', ...' if len(value) > 6 else ''})"
    return str(value)[:200]


def first_sums(home: Home) -> dict[str, list[float]]:
    """Of each of C channels over the steps that training sees: how many are known, and their sum, in float64."""
    steps = _seen(home)
    return {"count": np.isfinite(steps).sum(axis=1).tolist(), "sum": np.nansum(steps, axis=1).tolist()}


def second_sums(home: Home, mean: Sequence[float]) -> dict[str, list[float]]:
    """Of each channel the sum of squared differences from a common centre [C]; a sum of squares would lose digits."""
    steps = _seen(home)
    return {"square": np.nansum((steps - np.asarray(mean)[:, None]) ** 2, axis=1).tolist()}


def _seen(home: Home) -> np.ndarray:
    steps: np.ndarray = home.run_data.values()[:, home.run_data.seen(home.task, home.split.train)].astype(np.float64)
    return steps


def common_mean(sums: Sequence[Mapping[str, Sequence[float]]]) -> np.ndarray:
    """The mean over all homes' steps, float64 [C], from their `first_sums`."""
    count = np.sum([np.asarray(t["count"]) for t in sums], axis=0)
    mean: np.ndarray = np.sum([np.asarray(t["sum"]) for t in sums], axis=0) / np.maximum(count, 1)
    return mean


def recentred(
    first: Mapping[str, Sequence[float]], second: Mapping[str, Sequence[float]], centre: np.ndarray, mean: np.ndarray
) -> dict[str, list[float]]:
    """A home's `second_sums` from another `mean` [C], from those from a `centre` [C] that is near: by Steiner."""
    count, total, square = (np.asarray(part) for part in (first["count"], first["sum"], second["square"]))
    own = total / np.maximum(count, 1)
    return {"square": np.maximum(square + count * ((own - mean) ** 2 - (own - centre) ** 2), 0.0).tolist()}


def common_scaler(
    mean: np.ndarray,
    first: Sequence[Mapping[str, Sequence[float]]],
    second: Sequence[Mapping[str, Sequence[float]]],
    channels: Sequence[str],
) -> Scaler:
    """The scaler that `Scaler.fit` would find over the steps of all homes, from the mean [C] and the homes' sums."""
    count = np.sum([np.asarray(t["count"]) for t in first], axis=0)
    std = np.sqrt(np.sum([np.asarray(t["square"]) for t in second], axis=0) / np.maximum(count, 1))
    return Scaler(mean, usable(mean, std), tuple(channels))
