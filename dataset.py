"""The data of one run, from files to windows: series, label, index, splits, and the tensors on the device."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from time import perf_counter
from typing import Any

import numpy as np
import torch

import splits
import windows
from backbones import ForecastSpec
from config import RunConfig
from data import Series
from errors import DataError
from hardware import place
from scaler import Scaler
from splits import Split
from tasks.base import DerivedFeatures, Task
from tasks.predictions import EvalContext
from tasks.targets import Targets
from windows import Index, Readable, Windows

log = logging.getLogger("tsrun")
DEMO_CONTEXT = 31


@dataclass
class RunData:
    """What a run looks at. `keep`: the channels that the model sees; `targets` is None where no label is known."""

    config: RunConfig
    series: Series
    keep: np.ndarray
    covariates: np.ndarray  # the channels that are known ahead; the model does not see them among the others
    target_channels: tuple[int, ...]  # where the outputs continue the model's input: their places in `keep`
    targets: Targets | None
    index: Index  # every window whose context and target are known
    ahead: Index  # the last context of every row, its target not yet seen (empty for whole-row targets)
    timings: dict[str, float]
    derived: DerivedFeatures | None = None  # what the model sees in place of the channels themselves
    judged: Index | None = None  # the windows of validation and test, where they are not those of training

    @property
    def per_row(self) -> bool:
        return self.index.shift is None

    @property
    def channels(self) -> tuple[str, ...]:
        """The names of what the model sees."""
        return self.derived.channels if self.derived is not None else tuple(self.series.channels[c] for c in self.keep)

    def columns(self) -> Iterable[np.ndarray]:
        """What the model sees, unscaled: each [total], one after the other."""
        return self.derived.columns() if self.derived is not None else (self.series.values[c] for c in self.keep)

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
        assert self.targets is not None
        return self.targets.at(index)

    def truth(self, task: Task, index: Index) -> np.ndarray:
        """The label in the units of a fitted task: [n, K, H]."""
        return task.truth(self.truth_raw(index))

    def seen(self, task: Task, index: Index) -> np.ndarray:
        """Mask [total] of the steps that training on `index` sees of the model's input."""
        total = int(self.series.offsets[-1])
        return index.covered(total) | index.targeted(total) if task.autoregressive else index.covered(total)

    def sample(self, task: Task, index: Index) -> Any:
        """Raw targets that no window repeats: [n, K, 1], or each step of the windows' spans once, [1, K, steps]."""
        assert self.targets is not None
        if task.autoregressive:
            return self.targets.during(self.seen(task, index))
        if index.horizon == 1:
            return self.truth_raw(index)
        return self.targets.during(index.targeted(int(self.series.offsets[-1])))

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


def context_of(config: RunConfig, series: Series) -> int:
    """The context's length, which may be left out: the demo's, or the whole row for whole-row labels."""
    if config.context_len is not None:
        return config.context_len
    return DEMO_CONTEXT if config.demo else int(series.lengths.min())


def open_run_data(
    config: RunConfig,
    task: Task,
    series: Series,
    timings: dict[str, float],
    *,
    label_known: bool = True,
    per_row: bool | None = None,
) -> RunData:
    """Lay windows over a series.

    label_known: False when inference runs on files without the label channel (or without `--labels`). per_row says
    what the checkpoint's targets were, and is read off the series in training.
    """
    assert config.context_len is not None
    targets = task.targets(series, config) if label_known else None
    per_row = per_row if targets is None else targets.per_row
    keep = np.array(task.inputs(series, config, targets), np.int64)
    covariates = np.array([series.channels.index(name) for name in series.known], np.int64)
    continued = targets.names if targets is not None and task.autoregressive else ()
    target_channels = tuple([series.channels[c] for c in keep].index(name) for name in continued)
    known_ahead = _usable(series, covariates)
    usable_x = _usable(series, keep) & known_ahead
    if targets is None:
        known = bool(per_row) or task.target_in_context
        usable_y = np.full(series.n_rows if per_row else int(series.offsets[-1]), known)
    else:
        usable_y = targets.usable()
        usable_y &= True if per_row else known_ahead
    if task.target_in_context:
        index, judged = _over(config, task, series, usable_x & usable_y)
        ahead = index.of_rows(np.zeros(series.n_rows, bool))
    else:
        index, ahead = _before(config, task, series, usable_x, usable_y, bool(per_row))
        judged = None
    return RunData(
        config,
        series,
        keep,
        covariates,
        target_channels,
        targets,
        index,
        ahead,
        timings,
        task.derived_features(series),
        judged,
    )


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
    given = np.full(series.n_rows, not per_row)
    if series.known:
        given &= _given_ahead(series, task.horizon)
    return index, windows.last_contexts(series.offsets, usable_x, **span).of_rows(given)


def _usable(series: Series, channels: np.ndarray) -> np.ndarray:
    """Mask [total] of the steps at which none of the channels is missing."""
    usable = np.ones(int(series.offsets[-1]), bool)
    for channel in channels:  # one at a time: a choice of channels would copy the data
        usable &= ~np.isnan(series.values[channel])
    return usable


def _given_ahead(series: Series, horizon: int) -> np.ndarray:
    """Mask [N] of the rows whose known-future channels are given for the `horizon` steps after their end."""
    if series.after is None or series.after.shape[2] < horizon:
        return np.zeros(series.n_rows, bool)
    given: np.ndarray = np.isfinite(series.after[:, :, :horizon]).all(axis=(0, 2))
    return given


def check_windows(run_data: RunData) -> None:
    """DataError when there is nothing to train on, with the reason."""
    config, series = run_data.config, run_data.series
    assert config.context_len is not None
    windows.check_length(series.lengths, config.context_len, run_data.index.span - config.context_len, series.n_rows)
    if not len(run_data.index):
        longest = _longest_stretch(series, run_data.keep)
        raise DataError(
            f"every window holds a missing value: the longest stretch has {longest} steps without one, "
            f"a window {run_data.index.span} ({series.n_rows} rows of up to {series.lengths.max()} steps)",
            where=f"--nan {config.nan}",
            hint="--nan ffill or zero, or a smaller --context-len",
        )


def _longest_stretch(series: Series, channels: np.ndarray) -> int:
    usable = np.insert(_usable(series, channels), series.offsets, False)  # a stretch ends where its row does
    edges = np.flatnonzero(np.diff(usable.astype(np.int8)))
    return int((edges[1::2] - edges[::2]).max(initial=0))


def make_splits(run_data: RunData) -> list[Split]:
    """The folds that the configuration asks for."""
    made = _splits_of(run_data, run_data.index)
    if run_data.judged is None:
        return made
    judged = _splits_of(run_data, run_data.judged)
    return [replace(split, val=other.val, test=other.test) for split, other in zip(made, judged, strict=True)]


def _splits_of(run_data: RunData, index: Index) -> list[Split]:
    config = run_data.config
    return splits.make(
        index,
        run_data.series.offsets,
        mode=config.split_mode,
        val_ratio=config.val_ratio,
        test_ratio=config.test_ratio,
        seed=config.seed,
        folds=config.folds,
        gap=config.gap,
        groups=run_data.series.groups,
        rows=run_data.series.rows,
        named={"val": config.val_groups, "test": config.test_groups},
        sizes=config.split_sizes,
    )


class DeviceData:
    """A run_data's data as one fold's model sees them: scaled by its scalers, encoded by its task, on its device.

    Parameters
    ----------
    run_data : the data, unscaled.
    task : fitted.
    scaler : of the model's input; `known_scaler` of the channels known ahead.
    device : where the model is; data that are too large for it stay on the host.
    forecast : what a forecasting head is asked for.
    """

    def __init__(
        self,
        run_data: RunData,
        task: Task,
        scaler: Scaler,
        device: torch.device,
        forecast: ForecastSpec | None = None,
        known_scaler: Scaler | None = None,
    ) -> None:
        self.run_data, self.task, self.scaler = run_data, task, scaler
        self.scaled = np.zeros((0, 0), np.float32) if run_data.derived is not None else scaler.apply(run_data.values())
        home = place(2 * max(self.scaled.nbytes, run_data.series.values.nbytes), device)
        self.inputs = self._inputs(home)
        self.targets = self._targets(home)
        self.known: torch.Tensor | None = None
        if forecast is not None and forecast.marks + forecast.covariates:
            self.known = torch.from_numpy(_known(run_data, forecast, known_scaler)).to(home)

    def _inputs(self, home: torch.device) -> torch.Tensor | Readable:
        derived = self.run_data.derived
        return torch.from_numpy(self.scaled).to(home) if derived is None else derived.read(self.scaler, home)

    def _targets(self, home: torch.device) -> torch.Tensor | Readable:
        targets, series = self.run_data.targets, self.run_data.series
        if targets is None:
            return torch.zeros((1, 1), device=home).expand(1, max(int(series.offsets[-1]), series.n_rows))
        if self.task.autoregressive:
            assert isinstance(self.inputs, torch.Tensor)
            everything = self.run_data.target_channels == tuple(range(len(self.inputs)))
            return self.inputs if everything else self.inputs[list(self.run_data.target_channels)]
        return targets.read(self.task, home)

    def windows(self, index: Index) -> Windows:
        """Windows of an index over this stage's tensors."""
        return Windows(self.inputs, self.targets, index, self.known)

    def eval_context(self, names: Sequence[str]) -> EvalContext:
        """What the task may look at, its outputs called `names`."""
        run_data = self.run_data
        return EvalContext(
            series=run_data.series,
            targets=run_data.targets,
            scaled=self.scaled,
            target_channels=run_data.target_channels,
            names=names,
            per_row=run_data.per_row,
            seed=run_data.config.seed,
            scaler=self.scaler.plain(),
        )


def _known(run_data: RunData, forecast: ForecastSpec, scaler: Scaler | None) -> np.ndarray:
    """What is known ahead, float32 [M, total + N * H]: time features, then covariates; H more steps a row."""
    series, horizon = run_data.series, forecast.horizon
    known = np.full(
        (forecast.marks + forecast.covariates, int(series.offsets[-1]) + series.n_rows * horizon), np.nan, np.float32
    )
    past = None if scaler is None else scaler.apply(series.values[run_data.covariates])
    future = None if scaler is None or series.after is None else series.after[:, :, :horizon]
    for row in range(series.n_rows):
        begin, end = series.offsets[row], series.offsets[row + 1]
        part = known[:, begin + row * horizon : end + (row + 1) * horizon]
        if forecast.marks:
            times = series.times(row, horizon)
            assert times is not None and series.clock is not None
            part[: forecast.marks] = series.clock.features(times)
        if past is not None:
            part[forecast.marks :, : end - begin] = past[:, begin:end]
        if scaler is not None and future is not None:
            part[forecast.marks :, end - begin :][:, : future.shape[2]] = scaler.apply(future[:, row])
    return known
