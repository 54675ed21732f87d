"""The data of one run, from files to windows: series, label, index, splits, and the tensors on the device."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

import numpy as np
import torch

import data
import splits
import windows
from config import RunConfig
from data import Series
from errors import DataError, UsageError
from hardware import place
from scaling import Scaler
from splits import Split
from tasks._task import Plane, Task, label_plane
from windows import Index, Windows

log = logging.getLogger("tsrun")
DEMO_CONTEXT = 31


@dataclass
class Scene:
    """What a run looks at. `keep`: the channels that the model sees; `plane` is None where no label is known."""

    config: RunConfig
    series: Series
    keep: np.ndarray
    plane: Plane | None
    index: Index  # every window whose context and target are known
    ahead: Index  # the last context of every row, its target not yet seen (empty for whole-row targets)
    timings: dict[str, float]

    @property
    def per_row(self) -> bool:
        return self.index.shift is None

    @property
    def channels(self) -> tuple[str, ...]:
        """The names of the channels that the model sees."""
        return tuple(self.series.channels[c] for c in self.keep)

    def values(self) -> np.ndarray:
        """What the model sees, unscaled: [C, total]."""
        whole = len(self.keep) == self.series.n_channels
        return self.series.values if whole else self.series.values[self.keep]

    def truth_raw(self, index: Index) -> np.ndarray:
        """The label as it stands in the data: [n, K, H]."""
        assert self.plane is not None
        return self.plane.values[:, index.targets()].T[:, :, None]

    def truth(self, task: Task, index: Index, fitted: Mapping[str, Any]) -> np.ndarray:
        """The label in the task's natural units: [n, K, H]."""
        return task.truth(self.truth_raw(index), fitted)

    def timed(self, name: str) -> AbstractContextManager[None]:
        """Add the seconds of a block to the manifest's timings."""
        return timed(self.timings, name)


@contextmanager
def timed(timings: dict[str, float], name: str) -> Iterator[None]:
    """Add the seconds of a block to `timings`."""
    started = perf_counter()
    yield
    timings[name] = timings.get(name, 0.0) + perf_counter() - started


def load(config: RunConfig, task: Task) -> tuple[Series, dict[str, float]]:
    """The files (or the task's own synthetic data) as one Series, and the seconds that took.

    What the reader noticed goes to the log.
    """
    timings: dict[str, float] = {}
    with timed(timings, "load"):
        series = task.demo(config.seed) if config.demo else _read(config)
    for note in series.notes:
        log.log(logging.WARNING if note.startswith("warning") else logging.INFO, note)
    return series, timings


def _read(config: RunConfig) -> Series:
    return data.read_wide(
        data.expand_paths(config.csv),
        header=config.header,
        index=config.index,
        sep=config.sep,
        decimal=config.decimal,
        nan=config.nan,
        labels=config.labels or None,
        groups=config.groups or None,
    )


def resolve_context(config: RunConfig, series: Series) -> RunConfig:
    """Fill in a context length that may be left out: the demo's, or the whole row for whole-row labels."""
    if config.context_len is not None:
        return config
    return replace(config, context_len=DEMO_CONTEXT if config.demo else int(series.lengths.min()))


def open_scene(
    config: RunConfig,
    series: Series,
    timings: dict[str, float],
    *,
    label_known: bool = True,
    per_row: bool | None = None,
) -> Scene:
    """Lay windows over a series.

    label_known: False when inference runs on files without the label channel (or without `--labels`). per_row says
    what the checkpoint's targets were, and is read off the series in training.
    """
    assert config.context_len is not None
    plane = label_plane(series, config) if label_known else None
    per_row = per_row if plane is None else plane.per_row
    drop = config.drop_label_from_x and label_known and not per_row
    keep = np.array([c for c in range(series.n_channels) if not (drop and c == config.label_src_ch)], np.int64)
    if not len(keep):
        raise UsageError(
            "drops the only channel: the model would see nothing",
            where="--drop-label-from-x",
            hint="give more --csv files, or keep the label",
        )
    usable_x = np.ones(int(series.offsets[-1]), bool)
    for channel in keep:  # one at a time: a choice of channels would copy the data
        usable_x &= ~np.isnan(series.values[channel])
    length, offset = config.context_len, None if per_row else config.label_offset
    if plane is None:
        usable_y = np.full(series.n_rows if per_row else int(series.offsets[-1]), bool(per_row))
    else:
        usable_y = ~np.isnan(plane.values).any(axis=0)
    index = windows.plan(series.offsets, usable_x, usable_y, length=length, offset=offset, stride=config.stride)
    ahead = windows.last_contexts(series.offsets, usable_x, length=length, offset=offset)
    return Scene(config, series, keep, plane, index, ahead.of_rows(np.full(series.n_rows, not per_row)), timings)


def check_windows(scene: Scene) -> None:
    """DataError when there is nothing to train on, with the reason."""
    config, series = scene.config, scene.series
    assert config.context_len is not None
    windows.check_length(
        series.lengths, config.context_len, None if scene.per_row else config.label_offset, series.n_rows
    )
    if not len(scene.index):
        raise DataError(
            f"every window holds a missing value ({series.n_rows} rows of up to {series.lengths.max()} steps)",
            where=f"--nan {config.nan}",
            hint="--nan ffill or zero, or a smaller --context-len",
        )


def make_splits(scene: Scene) -> list[Split]:
    """The folds that the configuration asks for."""
    config = scene.config
    return splits.make(
        scene.index,
        scene.series.offsets,
        mode=config.split_mode,
        val_ratio=config.val_ratio,
        test_ratio=config.test_ratio,
        seed=config.seed,
        folds=config.folds,
        gap=config.gap,
        groups=scene.series.groups,
    )


class Stage:
    """A scene's data as one fold's model sees them: scaled by its scaler, encoded by its task, on its device."""

    def __init__(self, scene: Scene, task: Task, fitted: Mapping[str, Any], scaler: Scaler, device: torch.device):
        self.scene, self.task, self.fitted, self.scaler = scene, task, fitted, scaler
        self.scaled = scaler.apply(scene.values())
        home = place(2 * self.scaled.nbytes, device)
        self.inputs = torch.from_numpy(self.scaled).to(home)
        if scene.plane is None:
            targets = np.zeros((1, max(self.scaled.shape[1], scene.series.n_rows)), np.float32)
        else:
            targets = task.encode(task.truth(scene.plane.values, fitted), fitted)
        self.targets = torch.from_numpy(np.ascontiguousarray(targets, np.float32)).to(home)

    def windows(self, index: Index) -> Windows:
        """Windows of an index over this stage's tensors."""
        return Windows(self.inputs, self.targets, index, self.task.horizon)
