"""The data of one run, from files to windows: series, label, index, splits, and the tensors on the device."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from time import perf_counter
from typing import Any

import numpy as np
import torch

import data
import splits
import windows
from backbones import ForecastSpec
from backbones.fitting import Labelled
from backbones.histories import Histories
from config import RunConfig
from data import Series
from errors import DataError, UsageError
from hardware import device_for
from readers import mapped
from readers.precision import check_distinct, rows_to_see
from readers.scaled import Scaled
from scaler import Scaler
from settings.shards import parse_shard
from sources import stretching, things
from splits import Split
from tasks import planned, shorter
from tasks.base import Task
from tasks.derived import DerivedFeatures
from tasks.histories import Past
from tasks.predictions import EvalContext
from tasks.targets import Course, Targets
from windows import Index, Readable, Windows

log = logging.getLogger("tsrun")
DEMO_CONTEXT = 31


@dataclass
class RunData:
    """The data of one run: a series and the windows over it, still in the data's units.

    config : the run's settings, final.
    series : N rows of `total` steps in all.
    keep : int64 [C], the series' channels that the model sees, in order.
    covariates : int64 [F], the channels that are known ahead; the model gets them apart from the others.
    target_channels : for outputs that continue the model's input, their positions in `keep`; else ().
    targets : what the outputs are learned from; None where no label is known.
    index : every window whose context and target are known.
    ahead : the last context of every row, its target not yet seen; empty for whole-row targets.
    judged : the windows of validation, test and inference: those of `index`, unless a task judges at another stride.
    timings : seconds spent, by name, for the manifest.
    derived : the model's input where it is computed from the channels as windows are read; else None.
    beside : {flag, path, sha256, bytes} of each file of the run that is not of the series, see `training.resuming`.
    left_out : {what they are not: {"rows": how many, "names": the first few, "why"}}, for the files of the run.
    """

    config: RunConfig
    series: Series
    keep: np.ndarray
    covariates: np.ndarray
    target_channels: tuple[int, ...]
    targets: Targets | None
    index: Index
    ahead: Index
    judged: Index
    timings: dict[str, float]
    derived: DerivedFeatures | None = None
    beside: tuple[dict[str, Any], ...] = ()
    left_out: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def per_row(self) -> bool:
        """Whether a target belongs to a whole row, not to a step."""
        return self.index.shift is None

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the model's C input channels."""
        return self.derived.channels if self.derived is not None else tuple(self.series.channels[c] for c in self.keep)

    def columns(self) -> Iterable[np.ndarray]:
        """The model's C input channels, unscaled: each [total], one after the other."""
        return self.derived.columns() if self.derived is not None else things.channels(self.series, self.keep)

    @property
    def modalities(self) -> dict[str, int] | None:
        """{group: how many of its channels the model sees}, in order; None where the channels have no groups."""
        if not self.series.modalities:
            return None
        owner = [name for name, count in self.series.modalities for _ in range(count)]
        return dict(Counter(owner[c] for c in self.keep))

    def scaled(self, scaler: Scaler) -> np.ndarray | Scaled:
        """The model's input, scaled: float32 [C, total], or what reads it. Without `derived` features only."""
        values = self.series.values
        return Scaled(values, scaler, self.keep) if mapped.is_mapped(values) else scaler.apply(self.values())

    def values(self) -> np.ndarray:
        """The model's input, unscaled: float [C, total]. Without `derived` features only."""
        return things.scaled(self.series, mapped.rows(self.series.values, self.keep))

    @property
    def label_channel(self) -> int | None:
        """The input channel whose later value is the label; None where the model does not see it."""
        where = np.flatnonzero(self.keep == self.config.label_src_ch)
        return None if self.per_row or not len(where) else int(where[0])

    def truth_raw(self, index: Index) -> np.ndarray:
        """The label in the data's units, at the targets of an index of n windows: [n, K, H]. Only where it is known."""
        assert self.targets is not None
        return self.targets.at(index)

    def truth(self, task: Task, index: Index) -> np.ndarray:
        """The label in the units of a fitted `task`, at the targets of an index of n windows: [n, K, H].

        NaN where it is made up (`--nan ffill`, `--nan zero`): that is not scored.
        """
        assert self.targets is not None
        return task.truth(self.targets.scored_at(index))

    def seen(self, task: Task, index: Index) -> np.ndarray:
        """Mask [total] of the steps of the model's input that training on the windows of `index` sees."""
        total = int(self.series.offsets[-1])
        return index.covered(total) | index.targeted(total) if task.autoregressive else index.covered(total)

    def sample(self, task: Task, index: Index) -> Any:
        """Raw targets for fitting a task's constants, no step more than once.

        Parameters
        ----------
        task : the task; one that continues its input is fitted to all steps that training sees.
        index : the windows.

        Returns
        -------
        [n, K, 1] where a target is one step, else [1, K, steps] with each step of the windows once, or a Sample: for a
        task that continues its input a Course.
        """
        assert self.targets is not None
        if task.autoregressive:
            targets, clock = self.targets, self.series.clock
            calendar = () if clock is None else clock.periods
            return Course(targets.values, self.seen(task, index), self.series.offsets, targets.filled, calendar)
        if index.horizon == 1:
            return self.truth_raw(index)
        return self.targets.during(index.targeted(int(self.series.offsets[-1])))

    def timed(self, name: str) -> AbstractContextManager[None]:
        """A context manager that adds the seconds of its block to the manifest's `timings` under `name`."""
        return timed(self.timings, name)


@contextmanager
def timed(timings: dict[str, float], name: str) -> Iterator[None]:
    """Add the seconds of a block to `timings[name]`."""
    started = perf_counter()
    yield
    timings[name] = timings.get(name, 0.0) + perf_counter() - started


def load(config: RunConfig, task: Task, columns: Sequence[str] | None = None) -> tuple[Series, dict[str, float]]:
    """Read the user's data, or make the task's synthetic data (--demo). Notes of the reader go to the log.

    Parameters
    ----------
    config : the settings that name files or a database.
    task : reads or makes the data.
    columns : the channels that a checkpoint wants, in order; None for all.

    Returns
    -------
    (series, {"load": seconds}).

    Raises
    ------
    UsageError, DataError : see `Task.read`.
    """
    timings: dict[str, float] = {}
    with timed(timings, "load"):
        series = task.demo(config.seed) if config.demo else task.read(config, columns)
        series = data.own(series, parse_shard(config.shard))
    data.tell(series.notes)
    if series.part is None and (seen := rows_to_see(series.values, series.offsets, series.channels, series.rows)):
        series = data.of_rows(series, seen[0])
        data.tell([seen[1]])
    return series, timings


def window_of(config: RunConfig, series: Series) -> dict[str, Any]:
    """The context's length L and the stride of windows, as settings, from those so far.

    L is --context-len, or without it the demo's length or that of the shortest row. Labels of whole rows whose lengths
    differ belong to one window each, the row as a whole at the usual length: stride 0.

    UsageError for that stride where nothing belongs to a whole row.
    """
    labelled = series.labels is not None
    if not config.stride and "stride" in config.given and not labelled:
        what = "0 takes a row as one window, and without labels of whole rows there are others"
        raise UsageError(what, where="--stride", hint="--labels FILE gives each row its label")
    usual = bool(config.npz) and config.mode == "train" and "context_len" not in config.given  # rows are windows
    if (config.context_len is not None and not usual) or config.demo:
        return {"context_len": config.context_len or DEMO_CONTEXT, "stride": config.stride}
    shortest, longest = int(series.lengths.min()), int(series.lengths.max())
    if not labelled or shortest == longest or ("stride" in config.given and config.stride):
        return {"context_len": shortest, "stride": config.stride}
    length = stretching.usual_length(series)
    log.info(
        "rows have %d to %d steps: the model sees each as a whole, stretched or shrunk to %d; "
        "with --context-len it sees every stretch of that length",
        shortest,
        longest,
        length,
    )
    return {"context_len": length, "stride": 0}


def open_run_data(
    config: RunConfig,
    task: Task,
    series: Series,
    timings: dict[str, float],
    *,
    label_known: bool = True,
    per_row: bool | None = None,
    targets: Targets | None = None,
) -> RunData:
    """The windows over a series, and what they are made from.

    Parameters
    ----------
    config : the final settings, with the context's length.
    task : decides inputs, targets and the windows' offsets.
    series : values [C, total].
    timings : seconds spent so far; later steps add to it.
    label_known : False when inference runs on files without the label channel (or without `--labels`).
    per_row : what the checkpoint's targets were, where no label is known; else taken from the targets.
    targets : those of the task, where they were made already: making them logs what the label is.

    Raises
    ------
    UsageError, DataError : see `Task.targets` and `Task.inputs`.
    """
    assert config.context_len is not None
    if targets is None and label_known:
        targets = task.targets(series, config)
    per_row = per_row if targets is None else targets.per_row
    keep = np.array(task.inputs(series, config, targets), np.int64)
    covariates = np.array([series.channels.index(name) for name in series.known], np.int64)
    continued = targets.names if targets is not None and task.autoregressive else ()
    position = {series.channels[c]: at for at, c in enumerate(keep)}
    target_channels = tuple(position[name] for name in continued)
    found = planned.windows_of(config, task, series, targets, keep, covariates, per_row=bool(per_row))
    return RunData(
        config,
        series,
        keep,
        covariates,
        target_channels,
        targets,
        *found,
        timings,
        task.derived_features(series),
    )


def check_windows(run_data: RunData, task: Task) -> None:
    """Refuse data without a single window: DataError with the reason."""
    config, series = run_data.config, run_data.series
    assert config.context_len is not None
    beyond, fixed = run_data.index.span - config.context_len, config.mode != "train"
    ahead = "--horizon" if "horizon" in config.options else "--label-offset"
    windows.check_length(series.lengths, config.context_len, beyond, series.n_rows, fixed=fixed, ahead=ahead)
    if not len(run_data.index):
        found = windows.stretches(series.usable(run_data.keep), series.offsets)
        longest = int((found[:, 1] - found[:, 0]).max(initial=0))
        where, hint = task.gap_hint(series, config, run_data.index.span)
        fewer, columns = proposed(run_data)
        hint = columns or hint.replace(", or a smaller --context-len", f", or {fewer}" if fewer else "")
        raise DataError(
            f"every window holds a missing value: the longest stretch has {longest} steps without one, "
            f"a window {run_data.index.span} ({series.n_rows} rows of up to {series.lengths.max()} steps)",
            where=where,
            hint=hint,
        )


def make_splits(run_data: RunData) -> list[Split]:
    """The folds that the configuration asks for, one without --folds. UsageError, DataError: see `splits.make`."""
    config = run_data.config
    try:
        folds = _splits_of(run_data, run_data.index)
    except splits.EmptyPart as error:
        hint, columns = proposed(run_data)
        filled = config.nan == "drop" and not run_data.series.usable(run_data.keep).all()
        hints = ", or ".join(filter(None, ["--nan ffill" * bool(filled), hint]))
        raise DataError(error.what, where=error.where, hint=columns or hints or error.hint) from None
    if run_data.judged is run_data.index:
        return folds
    judged = _splits_of(run_data, run_data.judged)
    return [replace(split, val=other.val, test=other.test) for split, other in zip(folds, judged, strict=True)]


def proposed(run_data: RunData) -> tuple[str, str]:
    """The flags with which every part of the split has a window, and the --columns that do; "" for none."""
    series, rest = run_data.series, (run_data.targets, run_data.index, partial(has_windows, run_data))
    seen = series.usable(run_data.keep) & series.usable(run_data.covariates)
    flags = shorter.proposed(run_data.config, series, seen, *rest).strip()
    return flags, shorter.columns(run_data.config, series, run_data.keep, *rest)


def has_windows(run_data: RunData, index: Index, other: dict[str, Any]) -> bool:
    """Whether every part has some of these windows, with other values of `splits.make`."""
    try:
        return bool(len(index) and _splits_of(run_data, index, **other))
    except DataError:
        return False


def _splits_of(run_data: RunData, index: Index, **other: Any) -> list[Split]:
    kinds = None if run_data.targets is None else run_data.targets.kinds
    return planned.splits_of(run_data.config, run_data.series, index, kinds, **other)


class DeviceData:
    """The data of a run as the model of one fold sees them: scaled, encoded by the task, on a device.

    Parameters
    ----------
    run_data : the data, unscaled.
    task : fitted.
    scaler : of the model's input [C].
    device : the model's; data that are too large for it stay in the host's memory.
    forecast : what a forecasting head is asked for; None for other heads.
    known_scaler : of the F channels known ahead; None where there are none.
    train : the windows of training; None where these are not the data of training.

    Attributes
    ----------
    scaled : float32 [C, total] on the host; empty where the input is computed as windows are read. Of values in a
        file, what reads and scales them.
    inputs : the same on the device, or what reads it there.
    targets : float32 [K, total], or [K, N] for whole-row targets, as the loss sees them, or what reads them.
    known : float32 [marks + F, total + N * H], what is known ahead; None where nothing is.
    """

    def __init__(
        self,
        run_data: RunData,
        task: Task,
        scaler: Scaler,
        device: torch.device,
        forecast: ForecastSpec | None = None,
        known_scaler: Scaler | None = None,
        train: Index | None = None,
    ) -> None:
        self.run_data, self.task, self.scaler, self.train = run_data, task, scaler, train
        self.scaled: np.ndarray | Scaled = np.zeros((0, 0), np.float32)
        series = run_data.series
        if run_data.derived is None:
            self.scaled = run_data.scaled(scaler)
            check_distinct(run_data.columns(), scaler, series.offsets, run_data.channels, series.rows)
        data_device = device_for(2 * max(self.scaled.nbytes, series.values.nbytes), device)
        self.apart = mapped.is_mapped(self.scaled) or data_device != device  # a batch takes time to come
        self.inputs = self._inputs(data_device)
        self.targets = self._targets(data_device)
        self.known: torch.Tensor | None = None
        if forecast is not None and forecast.marks + forecast.covariates:
            ahead = data.known_ahead(run_data.series, forecast.marks, forecast.horizon, known_scaler)
            self.known = torch.from_numpy(ahead).to(data_device)

    def _inputs(self, data_device: torch.device) -> torch.Tensor | Readable:
        derived = self.run_data.derived
        if derived is not None:
            return derived.read(self.scaler, data_device)
        if isinstance(self.scaled, Scaled):
            return self.scaled.on(data_device)
        return torch.from_numpy(self.scaled).to(data_device)

    def _targets(self, data_device: torch.device) -> torch.Tensor | Readable:
        targets, series = self.run_data.targets, self.run_data.series
        if targets is None:
            return torch.zeros((1, 1), device=data_device).expand(1, max(int(series.offsets[-1]), series.n_rows))
        if self.task.autoregressive:
            which = list(self.run_data.target_channels)
            if which == list(range(self.inputs.shape[0])):
                return self.inputs
            if isinstance(self.inputs, Scaled):
                return self.inputs.channels(which)
            assert isinstance(self.inputs, torch.Tensor)
            return self.inputs[which]
        return targets.read(self.task, data_device)

    def windows(self, index: Index, under: torch.Tensor | None = None) -> Windows:
        """The n windows of `index` over these tensors: x [B, C, L], y [B, K, H] by batches; see `Windows.under`."""
        return Windows(self.inputs, self.targets, index, self.known, under, self.apart)

    def labelled(self, index: Index) -> Labelled:
        """The n windows of `index` and their targets, for a backbone that is fitted to them."""
        over, device, series = self.windows(index), self.inputs.device, self.run_data.series
        y = over.labels(over.locate(torch.arange(len(index), device=device)))[:, :, 0]
        rows = np.arange(series.n_rows) if series.groups is None else np.unique(series.groups, return_inverse=True)[1]
        return Labelled(lambda numbers: over.contexts(over.locate(numbers.to(device))), y.cpu(), rows[index.rows()])

    def keep_known(self, forecast: ForecastSpec) -> ForecastSpec:
        """Of what is known ahead, keep the last rows, as many as a fitted model reads; returns what it is asked for."""
        rows = forecast.marks + forecast.covariates
        self.known = None if self.known is None or not rows else self.known[-rows:]
        return forecast

    def histories(self, index: Index) -> Histories:
        """All that comes before the targets of the n windows of `index`, in their rows."""
        return self._past.of(index, self.windows(index))

    @cached_property
    def _past(self) -> Past:
        which, targets = list(self.run_data.target_channels), self.run_data.targets
        assert targets is not None
        return Past(self.run_data.series, targets.values, self.scaler.mean[which], self.scaler.std[which])

    def eval_context(self, names: Sequence[str]) -> EvalContext:
        """What a task may look at when it evaluates, draws and writes; `names` are those of the K outputs."""
        run_data = self.run_data
        return EvalContext(
            series=run_data.series,
            targets=run_data.targets,
            scaled=self.scaled,
            target_channels=run_data.target_channels,
            names=names,
            per_row=run_data.per_row,
            seed=run_data.config.seed,
            labelled=self.labelled,
            scaler=self.scaler.plain(),
            train=self.train,
            known=self.known,
        )
