"""What a task offers the path, and what the tasks share.

A task says what the target of a window is, what the model's K x H outputs mean, what training minimises and early
stopping watches, what is chosen on validation, and which figures and files a run leaves. The path (pipeline,
trainer, evaler) calls these and knows no task by name. `truth` and `pred` below are arrays `[n, K, H]` in the task's
own units (0/1 and probabilities, the label's unit, standardised channels); K outputs carry `names`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from backbones import ForecastSpec
from config import RunConfig
from data import Series
from errors import UsageError
from scaler import Scaler
from sources import reading
from windows import Index, Readable, Windows

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
Predictor = Callable[[Index], np.ndarray]  # predictions [n, K, H] for the windows of an index


class Sample(Protocol):
    """What a task fits its constants to, where an array of it all would be a copy of the data."""

    def means(self) -> list[float]:
        """The mean of each output."""
        ...


@dataclass(frozen=True)
class Targets:
    """What targets are made from: values [K, total] along time, or [K, N] one a row; NaN where unknown."""

    values: np.ndarray
    names: tuple[str, ...]
    per_row: bool

    def usable(self) -> np.ndarray:
        """Mask [total] (or [N]) of what is known of all outputs."""
        known: np.ndarray = ~np.isnan(self.values).any(axis=0)
        return known

    def at(self, index: Index) -> np.ndarray:
        """The labels as they stand in the data at the targets of an index: [n, K, H]."""
        return spans(self.values, index)

    def during(self, steps: np.ndarray) -> Any:
        """The labels at the steps of a mask, each once: [1, K, steps], or a Sample."""
        return self.values[:, steps][None]

    def read(self, task: Task, fitted: Mapping[str, Any], home: torch.device) -> torch.Tensor | Readable:
        """The targets of windows as the loss sees them, [K, total], on their device."""
        targets = task.encode(task.truth(self.values, fitted), fitted)
        return torch.from_numpy(np.ascontiguousarray(targets, np.float32)).to(home)


class DerivedFeatures(Protocol):
    """Inputs that are made of a series as windows are read, since all of them would be a multiple of it."""

    channels: tuple[str, ...]

    def columns(self) -> Iterable[np.ndarray]:
        """Each input unscaled, [total], one after the other."""
        ...

    def read(self, scaler: Scaler, home: torch.device) -> Readable:
        """The inputs of windows, scaled, on their device."""
        ...


@dataclass(frozen=True)
class Predictions:
    """One set of windows with predictions; `truth` is None where no label is known."""

    index: Index
    pred: np.ndarray  # [n, K, H]
    truth: np.ndarray | None

    def judged(self) -> tuple[np.ndarray, np.ndarray]:
        """(truth, pred), where the truth is known."""
        assert self.truth is not None
        return self.truth, self.pred


@dataclass(frozen=True)
class PlotInputs:
    """What a task draws: scored windows, or where there are none the forecasts past the end."""

    name: str  # the model's
    title: str
    scored: Predictions | None
    ahead: Predictions | None
    beside: Mapping[str, Any]  # the references' figures on the same windows


@dataclass(frozen=True)
class EvalContext:
    """What a task may look at when it compares, draws and writes: the data as they are and as the model sees them."""

    series: Series
    targets: Targets | None
    scaled: np.ndarray  # [C, total], the model's input; empty where it is made as windows are read
    target_channels: tuple[int, ...]  # rows of `scaled` that the outputs continue; none where they do not
    fitted: Mapping[str, Any]
    names: Sequence[str]
    per_row: bool
    seed: int
    scaler: Mapping[str, Any]  # of the model's input, as the checkpoint has it

    def raw(self, index: Index) -> np.ndarray:
        """The label as it stands in the data: [n, K, H]."""
        assert self.targets is not None
        return self.targets.at(index)


def spans(values: np.ndarray, index: Index) -> np.ndarray:
    """Values [K, total] (or [K, N]) at the targets of an index: [n, K, H]."""
    if index.horizon == 1:
        return values[:, index.targets()].T[:, :, None]
    view = np.lib.stride_tricks.sliding_window_view(values, index.horizon, axis=1)
    return np.ascontiguousarray(view[:, index.targets()].transpose(1, 0, 2))


def rescaled(value: torch.Tensor, mean: Sequence[float], std: Sequence[float]) -> torch.Tensor:
    """Standardised rows [n, K, H] in the units that `mean` and `std` [K] are in."""
    shift, scale = (torch.tensor(part, dtype=value.dtype, device=value.device)[:, None] for part in (mean, std))
    return value * scale + shift


class Task(ABC):
    """One task; its constructor takes every flag of its FLAGS table."""

    head: str  # "pool", "step" or "forecast", see backbones/model.py
    horizon: int = 1  # H
    autoregressive: bool = False  # the target is what comes next of the model's own input
    target_in_context: bool = (
        False  # the target lies within the context: inference covers all of it, and nothing comes next
    )
    derived: tuple[str, ...] = ()  # inputs that `views` makes, which are no channels of a series
    monitor: str  # the metric of `watch` that early stopping and the best checkpoint follow
    direction: str  # "max" or "min"
    summary: str  # the file that holds the metrics
    headline: tuple[str, ...]  # the metrics of the summary that stand first in tables
    says: str = "value"  # what a row of a prediction is
    fitted_references: tuple[str, ...] = ()  # those of `references` that need the training windows

    @abstractmethod
    def name_part(self) -> list[str]:
        """What of the task's settings stands in the run's name."""

    @abstractmethod
    def demo(self, seed: int) -> Series:
        """Synthetic data of the task's own kind."""

    def read(self, config: RunConfig, columns: Sequence[str] | None) -> Series:
        """The user's data; `columns` are the channels that a checkpoint wants of them."""
        return reading.read(config, columns)

    def targets(self, series: Series, config: RunConfig) -> Targets | None:
        """The label of a window: given per row (`--labels`), or a channel's value along time."""
        return label_targets(series, config)

    def inputs(self, series: Series, config: RunConfig, targets: Targets | None) -> list[int]:
        """The channels that the model sees; `targets` is None where inference runs without the label."""
        dropped = config.drop_label_from_x and targets is not None and not targets.per_row
        keep = [c for c in range(series.n_channels) if not (dropped and c == config.label_src_ch)]
        if not keep:
            raise UsageError(
                "drops the only channel: the model would see nothing",
                where="--drop-label-from-x",
                hint="give more --csv files, or keep the label",
            )
        return keep

    def views(self, series: Series) -> DerivedFeatures | None:
        """What the model sees in place of the channels that `inputs` names; None: those channels."""
        return None

    def for_training(self, windows: Windows) -> Windows:
        """Training's windows as they are learned from: where a task varies them, another of the same kind."""
        return windows

    def judged_stride(self, config: RunConfig) -> int:
        """Steps between the windows of validation and test."""
        return config.stride

    def finalize_config(self, config: RunConfig) -> RunConfig:
        """The configuration with what the task makes of it; called once the context is known."""
        return config

    def offset(self, config: RunConfig) -> int:
        """Steps from the context's last to the target's first; not positive where the target lies within."""
        return config.label_offset

    def outputs(self, names: Sequence[str]) -> int:
        """How many rows the model gives: K, unless the task asks for more than one of each."""
        return len(names)

    def absent(self, wanted: Sequence[str], outputs: Sequence[str], config: RunConfig, series: Series) -> int:
        """How many channels these data lack of the `wanted` ones, all of them labels that inference can do without."""
        return int(config.drop_label_from_x and series.n_channels == len(wanted) - 1)

    def setting(self, config: RunConfig) -> dict[str, Any]:
        """What of the target's settings stands in the summary."""
        return {"label_offset": config.label_offset}

    def ahead(self, targets: Sequence[int], marks: int, covariates: int) -> ForecastSpec | None:
        """What a forecasting head is asked for; None for other heads. `targets` are rows of the model's input."""
        return None

    @abstractmethod
    def fit(self, truth: Any, names: Sequence[str], stored: Mapping[str, Any] | None) -> dict[str, Any]:
        """Constants learned from the raw targets [n, K, H] of training (each step once: H is 1, or n is), or a Sample.

        `stored` are those of the checkpoint that finetuning starts from: what its outputs mean is kept.
        """

    def on_fitted(self, fitted: Mapping[str, Any]) -> None:  # noqa: B027
        """Called once the constants are known, of this run or of a checkpoint: what they change about the task."""

    def check(self, truth: Mapping[str, Any], names: Sequence[str]) -> None:  # noqa: B027
        """DataError when a split ({name: [n, K, H]}) cannot be learned from or chosen on; most tasks take any."""

    @abstractmethod
    def truth(self, raw: np.ndarray, fitted: Mapping[str, Any]) -> np.ndarray:
        """Raw label values as truth in the task's units; K lies on axis -2, and NaN stays NaN."""

    def encode(self, truth: np.ndarray, fitted: Mapping[str, Any]) -> np.ndarray:
        """Truth as the loss sees it, float32."""
        return truth

    @abstractmethod
    def loss(self, fitted: Mapping[str, Any], device: torch.device) -> Loss:
        """(outputs [B, K, H], encoded truth [B, K, H]) -> scalar."""

    def train_metrics(self, fitted: Mapping[str, Any], device: torch.device) -> dict[str, Loss]:
        """What else is averaged over the steps of an epoch, as `train_NAME` beside the loss."""
        return {}

    @abstractmethod
    def units(self, outputs: torch.Tensor, fitted: Mapping[str, Any]) -> torch.Tensor:
        """The model's outputs [n, K, H] in the task's units, in the precision that they come in."""

    def decode(self, outputs: torch.Tensor, fitted: Mapping[str, Any]) -> np.ndarray:
        """`units` as an array."""
        return self.units(outputs.float(), fitted).cpu().numpy()

    def inverse_transform(self, pred: torch.Tensor, fitted: Mapping[str, Any]) -> torch.Tensor:
        """Predictions [n, K, H] in the data's own units: a factor and an offset for each row, where they differ."""
        return pred

    def output_schema(
        self, names: Sequence[str], calibration: Mapping[str, Any], fitted: Mapping[str, Any]
    ) -> dict[str, Any]:
        """For a program that runs an exported model: what each row of `own` is, and the calibration, in its units."""
        return {"rows": [{"name": name, "what": self.says} for name in names], "calibration": dict(calibration)}

    @abstractmethod
    def val_metrics(self, truth: np.ndarray, pred: np.ndarray) -> dict[str, float | None]:
        """The few numbers followed over epochs, the monitor among them; None where undefined."""

    @abstractmethod
    def choose_thresholds(self, val: Predictions | None, names: Sequence[str]) -> dict[str, Any]:
        """What is chosen on validation; its defaults where there is none."""

    @abstractmethod
    def evaluate(
        self, scored: Predictions, calibration: Mapping[str, Any], eval_context: EvalContext
    ) -> dict[str, Any]:
        """Every metric of the summary, for windows whose truth is known."""

    @abstractmethod
    def references(self, eval_context: EvalContext, train: Index | None, val: Index | None) -> dict[str, Predictor]:
        """The trivial predictors beside a model; without training windows those that need none."""

    @abstractmethod
    def write(
        self,
        folder: Path,
        eval_context: EvalContext,
        calibration: Mapping[str, Any],
        scored: Sequence[Predictions],
        ahead: Predictions | None,
    ) -> None:
        """Write the predictions; `ahead` are those of the last context of every row, its target not yet seen."""

    @abstractmethod
    def plots(self, folder: Path, eval_context: EvalContext, calibration: Mapping[str, Any], shown: PlotInputs) -> None:
        """Write the task's pictures."""


def label_targets(series: Series, config: RunConfig) -> Targets | None:
    """The label of a window: given per row (`--labels`), or a channel's value along time; None where there is none.

    A model that drops the label channel from its input can infer on files that do not have it.
    """
    if series.labels is not None:
        return Targets(np.ascontiguousarray(series.labels.T), series.label_names, per_row=True)
    if config.label_src_ch >= series.n_channels:
        raise UsageError(
            f"there is no channel {config.label_src_ch}: {series.n_channels} given, counted from 0",
            where="--label-src-ch",
        )
    channel = config.label_src_ch
    return Targets(series.values[channel : channel + 1], (series.channels[channel],), per_row=False)
