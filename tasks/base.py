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
from registry import Namespace
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

    def read(self, task: Task, home: torch.device) -> torch.Tensor | Readable:
        """The targets of windows as the loss sees them, [K, total], on their device."""
        targets = task.encode(task.truth(self.values))
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
        labels: np.ndarray = values[:, index.targets()].T[:, :, None]
        return labels
    view = np.lib.stride_tricks.sliding_window_view(values, index.horizon, axis=1)
    return np.ascontiguousarray(view[:, index.targets()].transpose(1, 0, 2))


def rescaled(value: torch.Tensor, mean: Sequence[float], std: Sequence[float]) -> torch.Tensor:
    """Standardised rows [n, K, H] in the units that `mean` and `std` [K] are in."""
    shift, scale = (torch.tensor(part, dtype=value.dtype, device=value.device)[:, None] for part in (mean, std))
    return value * scale + shift


class Task(ABC):
    """What a model is asked for, and how the answers are judged.

    A task is built from its options and fitted to the targets of training; a fitted task holds its constants in
    `fitted`, plain values that a checkpoint keeps. `truth` and `pred` are arrays [n, K, H] in the task's own units:
    n windows, K outputs, H steps.

    Parameters
    ----------
    options : every flag of the task's FLAGS table, checked, as attributes.
    """

    head: str  # "pool", "step" or "forecast", see backbones/model.py
    horizon: int = 1  # H
    autoregressive: bool = False  # the target is what comes next of the model's own input
    target_in_context: bool = False  # the target lies within the context: inference covers all, nothing comes next
    derived: tuple[str, ...] = ()  # inputs that `derived_features` makes, which are no channels of a series
    monitor: str  # the metric of `val_metrics` that early stopping and the best checkpoint watch
    direction: str  # "max" or "min"
    summary: str  # the file that holds the metrics
    headline: tuple[str, ...]  # the metrics of the summary that come first in tables
    row_kind: str = "value"  # what a row of a prediction is
    fitted_references: tuple[str, ...] = ()  # those of `references` that need the training windows
    fitted: dict[str, Any]  # constants learned from training; there once the task is fitted

    def __init__(self, options: Namespace) -> None:
        self.options = options

    # --- flags and names ---------------------------------------------------------------------------------------------

    @abstractmethod
    def name_part(self) -> list[str]:
        """The parts of the run's name that say how the task is set."""

    def finalize_config(self, config: RunConfig, context_len: int) -> dict[str, Any]:
        """Settings that follow from the context's length, {flag: value}; called once, before windows are laid.

        The task may note the length for itself.
        """
        return {}

    def offset(self, config: RunConfig) -> int:
        """Steps from the context's last to the target's first; 0 or less where the target lies in the context."""
        return config.label_offset

    def setting(self, config: RunConfig) -> dict[str, Any]:
        """The settings of the target that the summary repeats."""
        return {"label_offset": config.label_offset}

    # --- data --------------------------------------------------------------------------------------------------------

    @abstractmethod
    def demo(self, seed: int) -> Series:
        """Synthetic data of the task's kind, for --demo."""

    def sample(self, folder: Path) -> list[str]:
        """Write a small data set into `folder` and return the flags that learn from it, without mode and backbone.

        The tests over the registry train and infer on it. The default: two channels of twelve rows of twenty steps.
        """
        rng = np.random.default_rng(5)
        for name in ("a.csv", "b.csv"):
            values = np.round(rng.gamma(1.0, size=(12, 20)) * (rng.random((12, 20)) < 0.5), 3)
            np.savetxt(folder / name, values, delimiter=",", fmt="%g")
        return ["--csv", "a.csv", "b.csv", "--context-len", "9"]

    def read(self, config: RunConfig, columns: Sequence[str] | None) -> Series:
        """The user's data; `columns` are the channels that a checkpoint wants, None for all.

        Raises UsageError and DataError.
        """
        return reading.read(config, columns)

    def targets(self, series: Series, config: RunConfig) -> Targets | None:
        """The label of a window: given per row (`--labels`), or a channel's value along time."""
        return label_targets(series, config)

    def inputs(self, series: Series, config: RunConfig, targets: Targets | None) -> list[int]:
        """Numbers of the channels that the model sees; `targets` is None where inference runs without the label."""
        dropped = config.drop_label_from_x and targets is not None and not targets.per_row
        keep = [c for c in range(series.n_channels) if not (dropped and c == config.label_src_ch)]
        if not keep:
            raise UsageError(
                "drops the only channel: the model would see nothing",
                where="--drop-label-from-x",
                hint="give more --csv files, or keep the label",
            )
        return keep

    def derived_features(self, series: Series) -> DerivedFeatures | None:
        """Inputs made from the channels that `inputs` names, in their place; None: those channels themselves."""
        return None

    def for_training(self, windows: Windows) -> Windows:
        """Training's windows as they are learned from: a task that augments them returns others of the same kind."""
        return windows

    def judged_stride(self, config: RunConfig) -> int:
        """Steps between the windows of validation and test."""
        return config.stride

    def outputs(self, names: Sequence[str]) -> int:
        """Rows that the model gives for the outputs `names`: K, unless the task asks for more than one of each."""
        return len(names)

    def absent(self, wanted: Sequence[str], outputs: Sequence[str], config: RunConfig, series: Series) -> int:
        """How many of the `wanted` channels these data lack, where they are labels that inference can do without."""
        return int(config.drop_label_from_x and series.n_channels == len(wanted) - 1)

    def forecast_spec(self, target_channels: Sequence[int], marks: int, covariates: int) -> ForecastSpec | None:
        """What a forecasting head is asked for; None for other heads. `target_channels` are rows of the input."""
        return None

    # --- constants learned from training -----------------------------------------------------------------------------

    def fit(self, truth: Any, names: Sequence[str], kept: Mapping[str, Any] | None = None) -> None:
        """Learn the task's constants.

        Parameters
        ----------
        truth : raw targets of training, [n, K, H] (each step once: H is 1, or n is), or a Sample.
        names : the K outputs.
        kept : constants of the checkpoint that finetuning starts from: what the outputs mean stays.
        """
        self.load_fitted(self.learn_constants(truth, names, kept))

    def load_fitted(self, constants: Mapping[str, Any]) -> None:
        """Take the constants of a checkpoint."""
        self.fitted = dict(constants)
        self.on_fitted()

    @abstractmethod
    def learn_constants(self, truth: Any, names: Sequence[str], kept: Mapping[str, Any] | None) -> dict[str, Any]:
        """The constants, as plain values; arguments as in `fit`."""

    def on_fitted(self) -> None:  # noqa: B027
        """Called once the constants are known: what they change about the task, such as the monitor."""

    def check(self, truth: Mapping[str, Any], names: Sequence[str]) -> None:  # noqa: B027
        """DataError when a split ({name: [n, K, H]}) cannot be learned from or chosen on; most tasks take any."""

    # --- between the model and the task's units ----------------------------------------------------------------------

    @abstractmethod
    def truth(self, raw: np.ndarray) -> np.ndarray:
        """Raw label values as truth in the task's units; K is axis -2, and NaN stays NaN."""

    def encode(self, truth: np.ndarray) -> np.ndarray:
        """Truth as the loss sees it, float32, of the same shape."""
        return truth

    @abstractmethod
    def loss(self, device: torch.device) -> Loss:
        """A function (outputs [B, K, H], encoded truth [B, K, H]) -> scalar."""

    def train_metrics(self, device: torch.device) -> dict[str, Loss]:
        """What else is averaged over the steps of an epoch, as `train_NAME` beside the loss."""
        return {}

    @abstractmethod
    def units(self, outputs: torch.Tensor) -> torch.Tensor:
        """The model's outputs [n, K, H] in the task's units, in the precision that they come in."""

    def decode(self, outputs: torch.Tensor) -> np.ndarray:
        """`units` as an array, float32."""
        return self.units(outputs.float()).cpu().numpy()

    def inverse_transform(self, pred: torch.Tensor) -> torch.Tensor:
        """Predictions [n, K, H] in the data's own units: a factor and an offset for each row, where they differ."""
        return pred

    def output_schema(self, names: Sequence[str], calibration: Mapping[str, Any]) -> dict[str, Any]:
        """For a program that runs an exported model: {"rows": what each row is, "calibration": in the data's units}."""
        return {"rows": [{"name": name, "what": self.row_kind} for name in names], "calibration": dict(calibration)}

    # --- judgement ---------------------------------------------------------------------------------------------------

    @abstractmethod
    def val_metrics(self, truth: np.ndarray, pred: np.ndarray) -> dict[str, float | None]:
        """The few numbers followed over epochs, the monitor among them; None where undefined."""

    @abstractmethod
    def choose_thresholds(self, val: Predictions | None, names: Sequence[str]) -> dict[str, Any]:
        """What is chosen on validation, as plain values and tensors; the defaults where `val` is None."""

    @abstractmethod
    def evaluate(
        self, scored: Predictions, calibration: Mapping[str, Any], eval_context: EvalContext
    ) -> dict[str, Any]:
        """Every metric of the summary, for windows whose truth is known."""

    @abstractmethod
    def references(self, eval_context: EvalContext, train: Index | None, val: Index | None) -> dict[str, Predictor]:
        """The reference predictors beside a model; without training windows those that need none."""

    # --- files -------------------------------------------------------------------------------------------------------

    @abstractmethod
    def write(
        self,
        folder: Path,
        eval_context: EvalContext,
        calibration: Mapping[str, Any],
        scored: Sequence[Predictions],
        ahead: Predictions | None,
    ) -> None:
        """Write the predictions; `ahead` are those of the last context of every row, the target not yet seen."""

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
