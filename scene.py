"""The data of one run, from files to windows: series, label, index, splits, and the tensors on the device."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from time import perf_counter
from typing import Any

import numpy as np
import torch

import splits
import windows
from backbones import Ahead
from config import RunConfig
from data import Series
from errors import DataError
from hardware import place
from scaling import Scaler
from splits import Split
from tasks._task import Bench, Plane, Task, Views
from windows import Index, Readable, Windows

log = logging.getLogger("tsrun")
DEMO_CONTEXT = 31


@dataclass
class Scene:
    """What a run looks at. `keep`: the channels that the model sees; `plane` is None where no label is known."""

    config: RunConfig
    series: Series
    keep: np.ndarray
    covariates: np.ndarray  # the channels that are known ahead; the model does not see them among the others
    targets: tuple[int, ...]  # where the outputs continue the model's input: their places in `keep`
    plane: Plane | None
    index: Index  # every window whose context and target are known
    ahead: Index  # the last context of every row, its target not yet seen (empty for whole-row targets)
    timings: dict[str, float]
    views: Views | None = None  # what the model sees in place of the channels themselves
    judged: Index | None = None  # the windows of validation and test, where they are not those of training

    @property
    def per_row(self) -> bool:
        return self.index.shift is None

    @property
    def channels(self) -> tuple[str, ...]:
        """The names of what the model sees."""
        return self.views.channels if self.views is not None else tuple(self.series.channels[c] for c in self.keep)

    def columns(self) -> Iterable[np.ndarray]:
        """What the model sees, unscaled: each [total], one after the other."""
        return self.views.columns() if self.views is not None else (self.series.values[c] for c in self.keep)

    @property
    def modalities(self) -> dict[str, int] | None:
        """How many channels of each named group the model sees, in their order; None where there are no groups."""
        if not self.series.modalities:
            return None
        owner = [name for name, count in self.series.modalities for _ in range(count)]
        return dict(Counter(owner[c] for c in self.keep))

    def values(self) -> np.ndarray:
        """What the model sees, unscaled: [C, total]."""
        whole = len(self.keep) == self.series.n_channels
        return self.series.values if whole else self.series.values[self.keep]

    def truth_raw(self, index: Index) -> np.ndarray:
        """The label as it stands in the data: [n, K, H]."""
        assert self.plane is not None
        return self.plane.at(index)

    def truth(self, task: Task, index: Index, fitted: Mapping[str, Any]) -> np.ndarray:
        """The label in the task's units: [n, K, H]."""
        return task.truth(self.truth_raw(index), fitted)

    def seen(self, task: Task, index: Index) -> np.ndarray:
        """Mask [total] of the steps that training on `index` sees of the model's input."""
        total = int(self.series.offsets[-1])
        return index.covered(total) | index.targeted(total) if task.continues else index.covered(total)

    def sample(self, task: Task, index: Index) -> Any:
        """Raw targets that no window repeats: [n, K, 1], or each step of the windows' spans once, [1, K, steps]."""
        assert self.plane is not None
        if task.continues:
            return self.plane.during(self.seen(task, index))
        if index.horizon == 1:
            return self.truth_raw(index)
        return self.plane.during(index.targeted(int(self.series.offsets[-1])))

    def timed(self, name: str) -> AbstractContextManager[None]:
        """Add the seconds of a block to the manifest's timings."""
        return timed(self.timings, name)


@contextmanager
def timed(timings: dict[str, float], name: str) -> Iterator[None]:
    """Add the seconds of a block to `timings`."""
    started = perf_counter()
    yield
    timings[name] = timings.get(name, 0.0) + perf_counter() - started


def load(config: RunConfig, task: Task, columns: Sequence[str] | None = None) -> tuple[Series, dict[str, float]]:
    """The user's data (or the task's own synthetic ones) as one Series, and the seconds that took.

    `columns` are the channels that a checkpoint wants. What the reader noticed goes to the log.
    """
    timings: dict[str, float] = {}
    with timed(timings, "load"):
        series = task.demo(config.seed) if config.demo else task.read(config, columns)
    for note in series.notes:
        log.log(logging.WARNING if note.startswith("warning") else logging.INFO, note)
    return series, timings


def resolve_context(config: RunConfig, series: Series) -> RunConfig:
    """Fill in a context length that may be left out: the demo's, or the whole row for whole-row labels."""
    if config.context_len is not None:
        return config
    return replace(config, context_len=DEMO_CONTEXT if config.demo else int(series.lengths.min()))


def open_scene(
    config: RunConfig,
    task: Task,
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
    plane = task.plane(series, config) if label_known else None
    per_row = per_row if plane is None else plane.per_row
    keep = np.array(task.inputs(series, config, plane), np.int64)
    covariates = np.array([series.channels.index(name) for name in series.known], np.int64)
    continued = plane.names if plane is not None and task.continues else ()
    targets = tuple([series.channels[c] for c in keep].index(name) for name in continued)
    beforehand = _usable(series, covariates)
    usable_x = _usable(series, keep) & beforehand
    if plane is None:
        known = bool(per_row) or task.within
        usable_y = np.full(series.n_rows if per_row else int(series.offsets[-1]), known)
    else:
        usable_y = plane.usable()
        usable_y &= True if per_row else beforehand
    if task.within:
        index, judged = _over(config, task, series, usable_x & usable_y)
        ahead = index.of_rows(np.zeros(series.n_rows, bool))
    else:
        index, ahead = _before(config, task, series, usable_x, usable_y, bool(per_row))
        judged = None
    return Scene(config, series, keep, covariates, targets, plane, index, ahead, timings, task.views(series), judged)


def _over(config: RunConfig, task: Task, series: Series, usable: np.ndarray) -> tuple[Index, Index | None]:
    """Windows over what they are asked about; and those that are judged, where they are others."""
    assert config.context_len is not None
    lay = partial(windows.cover, series.offsets, usable, length=config.context_len)
    stride = task.judged_stride(config)
    return lay(stride=config.stride), None if stride == config.stride else lay(stride=stride)


def _before(
    config: RunConfig, task: Task, series: Series, usable_x: np.ndarray, usable_y: np.ndarray, per_row: bool
) -> tuple[Index, Index]:
    """Windows before their targets; and the last of each row, where its target is ahead."""
    assert config.context_len is not None
    offset = None if per_row else task.offset(config)
    span: dict[str, Any] = {"length": config.context_len, "offset": offset, "horizon": task.horizon}
    index = windows.plan(series.offsets, usable_x, usable_y, stride=config.stride, **span)
    told = np.full(series.n_rows, not per_row)
    if series.known:
        told &= _told_ahead(series, task.horizon)
    return index, windows.last_contexts(series.offsets, usable_x, **span).of_rows(told)


def _usable(series: Series, channels: np.ndarray) -> np.ndarray:
    """Mask [total] of the steps at which none of the channels is missing."""
    usable = np.ones(int(series.offsets[-1]), bool)
    for channel in channels:  # one at a time: a choice of channels would copy the data
        usable &= ~np.isnan(series.values[channel])
    return usable


def _told_ahead(series: Series, horizon: int) -> np.ndarray:
    """Mask [N] of the rows whose known-future channels are given for the `horizon` steps after their end."""
    if series.after is None or series.after.shape[2] < horizon:
        return np.zeros(series.n_rows, bool)
    told: np.ndarray = np.isfinite(series.after[:, :, :horizon]).all(axis=(0, 2))
    return told


def to_train_on(config: RunConfig, task: Task, series: Series, timings: dict[str, float]) -> Scene:
    """The scene of a training run, its configuration completed by what the data say. DataError without a window."""
    scene = open_scene(task.settle(resolve_context(config, series)), task, series, timings)
    check_windows(scene)
    return scene


def check_windows(scene: Scene) -> None:
    """DataError when there is nothing to train on, with the reason."""
    config, series = scene.config, scene.series
    assert config.context_len is not None
    windows.check_length(series.lengths, config.context_len, scene.index.span - config.context_len, series.n_rows)
    if not len(scene.index):
        longest = _longest_stretch(series, scene.keep)
        raise DataError(
            f"every window holds a missing value: the longest stretch has {longest} steps without one, "
            f"a window {scene.index.span} ({series.n_rows} rows of up to {series.lengths.max()} steps)",
            where=f"--nan {config.nan}",
            hint="--nan ffill or zero, or a smaller --context-len",
        )


def _longest_stretch(series: Series, channels: np.ndarray) -> int:
    usable = np.concatenate([[False], _usable(series, channels), [False]])
    edges = np.flatnonzero(np.diff(usable.astype(np.int8)))
    return int((edges[1::2] - edges[::2]).max(initial=0))


def make_splits(scene: Scene) -> list[Split]:
    """The folds that the configuration asks for."""
    made = _splits_of(scene, scene.index)
    if scene.judged is None:
        return made
    judged = _splits_of(scene, scene.judged)
    return [replace(split, val=other.val, test=other.test) for split, other in zip(made, judged, strict=True)]


def _splits_of(scene: Scene, index: Index) -> list[Split]:
    config = scene.config
    return splits.make(
        index,
        scene.series.offsets,
        mode=config.split_mode,
        val_ratio=config.val_ratio,
        test_ratio=config.test_ratio,
        seed=config.seed,
        folds=config.folds,
        gap=config.gap,
        groups=scene.series.groups,
        rows=scene.series.rows,
        named={"val": config.val_groups, "test": config.test_groups},
        sizes=config.split_sizes,
    )


class Stage:
    """A scene's data as one fold's model sees them: scaled by its scalers, encoded by its task, on its device.

    `ahead` is what the model's head is asked for, and `known_scaler` that of the channels known beforehand.
    """

    def __init__(
        self,
        scene: Scene,
        task: Task,
        fitted: Mapping[str, Any],
        scaler: Scaler,
        device: torch.device,
        ahead: Ahead | None = None,
        known_scaler: Scaler | None = None,
    ) -> None:
        self.scene, self.task, self.fitted, self.scaler = scene, task, fitted, scaler
        self.scaled = np.zeros((0, 0), np.float32) if scene.views is not None else scaler.apply(scene.values())
        home = place(2 * max(self.scaled.nbytes, scene.series.values.nbytes), device)
        self.inputs = self._inputs(home)
        self.targets = self._targets(home)
        self.known: torch.Tensor | None = None
        if ahead is not None and ahead.marks + ahead.covariates:
            self.known = torch.from_numpy(_known(scene, ahead, known_scaler)).to(home)

    def _inputs(self, home: torch.device) -> torch.Tensor | Readable:
        views = self.scene.views
        return torch.from_numpy(self.scaled).to(home) if views is None else views.read(self.scaler, home)

    def _targets(self, home: torch.device) -> torch.Tensor | Readable:
        plane, series = self.scene.plane, self.scene.series
        if plane is None:
            return torch.zeros((1, 1), device=home).expand(1, max(int(series.offsets[-1]), series.n_rows))
        if self.task.continues:
            assert isinstance(self.inputs, torch.Tensor)
            everything = self.scene.targets == tuple(range(len(self.inputs)))
            return self.inputs if everything else self.inputs[list(self.scene.targets)]
        return plane.read(self.task, self.fitted, home)

    def windows(self, index: Index) -> Windows:
        """Windows of an index over this stage's tensors."""
        return Windows(self.inputs, self.targets, index, self.known)

    def bench(self, names: Sequence[str]) -> Bench:
        """What the task may look at, its outputs called `names`."""
        scene = self.scene
        return Bench(
            series=scene.series,
            plane=scene.plane,
            scaled=self.scaled,
            targets=scene.targets,
            fitted=self.fitted,
            names=names,
            per_row=scene.per_row,
            seed=scene.config.seed,
            scaler=self.scaler.plain(),
        )


def _known(scene: Scene, ahead: Ahead, scaler: Scaler | None) -> np.ndarray:
    """What is known beforehand, float32 [M, total + N * H]: time features, then covariates; H more steps a row."""
    series, horizon = scene.series, ahead.horizon
    known = np.full(
        (ahead.marks + ahead.covariates, int(series.offsets[-1]) + series.n_rows * horizon), np.nan, np.float32
    )
    past = None if scaler is None else scaler.apply(series.values[scene.covariates])
    future = None if scaler is None or series.after is None else series.after[:, :, :horizon]
    for row in range(series.n_rows):
        begin, end = series.offsets[row], series.offsets[row + 1]
        part = known[:, begin + row * horizon : end + (row + 1) * horizon]
        if ahead.marks:
            times = series.times(row, horizon)
            assert times is not None and series.clock is not None
            part[: ahead.marks] = series.clock.features(times)
        if past is not None:
            part[ahead.marks :, : end - begin] = past[:, begin:end]
        if scaler is not None and future is not None:
            part[ahead.marks :, end - begin :][:, : future.shape[2]] = scaler.apply(future[:, row])
    return known
