"""The contract of a task, and what all tasks share.

A task defines the target of a window, the meaning of the model's K x H outputs, the loss, the metric that early
stopping monitors, what is chosen on validation, and the metrics and files of a run. The pipeline, the trainer and the
evaluation call these methods and know no task by name. `truth` and `pred` below are arrays `[n, K, H]` in the units of
the task (0/1 and probabilities, the label's unit, standardised channels); the K outputs have `names`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from backbones import ForecastSpec, TargetSpec
from checkpoint import Checkpoint
from config import RunConfig
from data import Series
from errors import UsageError
from registry import Namespace
from scaler import Scaler
from sources import reading
from tasks import given_labels
from tasks.derived import DerivedFeatures
from tasks.judging import Judging
from tasks.predictions import Predictions
from tasks.targets import Targets
from windows import Windows

ALIKE = 0.01  # of a score, by which another may be better without a word: on other windows it may be the worse one
VECTOR = 64  # windows, of which a processor rounds all alike: its vectors hold at most so many numbers
Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


class Task(Judging):
    """What a model predicts, and how predictions are evaluated.

    A task is built from its options and fitted to the targets of training; a fitted task holds its constants in
    `fitted`, plain values that a checkpoint keeps. `truth` and `pred` are arrays [n, K, H] in the units of the task:
    n windows, K outputs, H steps.

    Parameters
    ----------
    options : every flag of the task's FLAGS table, checked, as attributes.
    """

    # How the model's tokens become outputs, see backbones/model.py. "pool": H numbers for each output. "step": one for
    # each step of the context; set target_in_context too, and horizon = context_len in finalize_config. "forecast": the
    # channels of `forecast_spec` continued.
    head: str
    horizon: int = 1  # H
    autoregressive: bool = False  # the target is the continuation of the model's input
    target_in_context: bool = False  # the target is inside the context: inference covers every step, nothing comes next
    derived: tuple[str, ...] = ()  # inputs that `derived_features` computes, which are not channels of a series
    monitor: str  # the metric of `val_metrics` that early stopping and the best checkpoint watch
    direction: str  # "max" or "min"
    # Many numbers a window: they are judged, written and drawn some windows at a time; see `val_sums`.
    in_blocks: bool = False
    summary: str  # the file that holds the metrics
    fits_size: bool = False  # batch size and epochs suit the number of windows, where they are not given
    row_kind: str = "value"  # what a row of a prediction is
    fitted_references: tuple[str, ...] = ()  # those of `references` that need the training windows
    slow_references: tuple[str, ...] = ()  # those that take long, and are left alone where none is asked for
    see_label: tuple[str, ...] = ()  # those of `references` that see the label itself, along time
    # The backbone to take where a reference is better, where it is not one of that name; "": of all others.
    learners: Mapping[str, str] | None = None
    copies: int = 1  # networks of one kind whose outputs are averaged, see backbones/copies.py
    fitted: dict[str, Any]  # constants learned from training; there once the task is fitted
    start: Checkpoint | None = None  # what the run starts from: labels are matched with its outputs by name

    def __init__(self, options: Namespace) -> None:
        self.options = options

    # --- going on (autoregressive tasks) -----------------------------------------------------------------------------

    @property
    def steps_ahead(self) -> int:
        """How many steps after the end of a row are wanted; beyond H, forecasts go on from forecasts."""
        return self.horizon

    def continued(self, pred: np.ndarray, outputs: int) -> np.ndarray:
        """Predictions of the K `outputs` as values of their channels, in the data's units, to go on from: [n, K, H]."""
        raise AssertionError(f"{type(self).__name__} continues nothing")

    def further(self, parts: Sequence[Predictions], outputs: int) -> Predictions:
        """Predictions of H steps each, every one made from those before, as one."""
        raise AssertionError(f"{type(self).__name__} continues nothing")

    # --- flags and names ---------------------------------------------------------------------------------------------

    @abstractmethod
    def name_part(self) -> list[str]:
        """The parts of the run's name that stand for the task's options."""

    def chosen(self, series: Series, config: RunConfig) -> dict[str, Any]:
        """{setting: value} of what the task chooses from the data of training where no flag says it."""
        return {}

    def split_of(self, series: Series, config: RunConfig) -> dict[str, Any]:
        """{setting: value} of how the rows are split where no flag says it, in training and finetuning."""
        return {}

    def finalize_config(self, config: RunConfig, context_len: int) -> dict[str, Any]:
        """{setting: value} of what follows from the length of the context; called once, before windows are made.

        `config` has the settings so far, `context_len` is L, in steps; a task may keep it.
        """
        return {}

    def offset(self, config: RunConfig) -> int:
        """The distance of the target from the context. Not asked for where `target_in_context` is set.

        Parameters
        ----------
        config : the settings.

        Returns
        -------
        Steps from the last of the context to the first of the target, 1 or more.
        """
        return config.label_offset

    def setting(self, config: RunConfig) -> dict[str, Any]:
        """The settings of the target that the summary repeats, {name: plain value}."""
        return {"label_offset": config.label_offset}

    # --- data --------------------------------------------------------------------------------------------------------

    @abstractmethod
    def demo(self, seed: int) -> Series:
        """Synthetic data for --demo.

        Parameters
        ----------
        seed : the same seed gives the same data.

        Returns
        -------
        A series with what the task learns from: values [C, total], and labels [N, K] where it needs them.
        """

    def sample(self, folder: Path) -> list[str]:
        """Write a small data set that the tests over the registry train and infer on.
        The default: two channels of twelve rows of twenty steps.

        Parameters
        ----------
        folder : an empty directory.

        Returns
        -------
        The flags that learn from it, without mode and backbone; file names are relative to `folder`.
        """
        rng = np.random.default_rng(5)
        for name in ("a.csv", "b.csv"):
            values = np.round(rng.gamma(1.0, size=(12, 20)) * (rng.random((12, 20)) < 0.5), 3)
            np.savetxt(folder / name, values, delimiter=",", fmt="%g")
        return ["--csv", "a.csv", "b.csv", "--context-len", "9"]

    def read(self, config: RunConfig, columns: Sequence[str] | None) -> Series:
        """The user's data.

        Parameters
        ----------
        config : the settings that name files or a database.
        columns : the channels that a checkpoint wants, in order; None for all.

        Raises
        ------
        UsageError, DataError : for flags that do not fit the task or the data, and files that cannot be read.
        """
        return reading.read(config, columns)

    def match(self, series: Series, config: RunConfig, same_place: bool) -> Series:
        """What `read` returned for a checkpoint, without what only the files of training have where it was looked for.

        `same_place`: whether these are those files. UsageError where the settings must say what the files cannot.
        """
        return series

    def targets(self, series: Series, config: RunConfig) -> Targets | None:
        """What the outputs of a window are learned from, or None where the data do not have it.

        The default is a label: given per row (`--labels`, values [K, N]), or a channel's value along time ([K, total]).

        It raises UsageError, DataError or CheckpointError for a target that the data lack, or labels of other names.
        """
        return given_labels.numbers(series, self.start, config)

    def inputs(self, series: Series, config: RunConfig, targets: Targets | None) -> list[int]:
        """Numbers of the channels that the model sees, in order.

        Parameters
        ----------
        series : values [C, total].
        config : the settings.
        targets : those of `targets`; None where inference runs without the label.

        Raises
        ------
        UsageError : where no channel would be left.
        """
        dropped = config.drop_label_from_x and targets is not None and not targets.per_row
        keep = [c for c in range(series.n_channels) if not (dropped and c == config.label_src_ch)]
        if not keep:
            raise UsageError(
                "drops the only channel: the model would see nothing",
                where="--drop-label-from-x",
                hint="give more --csv files, or keep the label",
            )
        return keep

    def gap_hint(self, series: Series, config: RunConfig, span: int) -> tuple[str, str]:
        """Where to look, and what to do, when each window of `span` steps holds a missing value."""
        fills = " or ".join(policy for policy in ("ffill", "zero") if policy != config.nan)
        return f"--nan {config.nan}", f"--nan {fills}, or a smaller --context-len"

    def derived_features(self, series: Series) -> DerivedFeatures | None:
        """Inputs computed from values [C, total] of a series as windows are read; None: the channels of `inputs`."""
        return None

    def for_training(self, windows: Windows) -> Windows:
        """The windows to learn from, x [B, C, L] and y [B, K, H]; a task that augments returns changed ones."""
        return windows

    def judged_stride(self, config: RunConfig) -> int:
        """The steps from one window to the next of those that are judged: validation, test, and all of inference."""
        return config.stride

    def outputs(self, names: Sequence[str]) -> int:
        """How many rows the model gives.

        Parameters
        ----------
        names : of the K outputs.

        Returns
        -------
        K, or a multiple of it for a task that asks for several rows of each output, such as quantiles.
        """
        return len(names)

    def absent(self, wanted: Sequence[str], outputs: Sequence[str], config: RunConfig, series: Series) -> int:
        """How many channels the data lack that are labels, which inference does not need.

        Parameters
        ----------
        wanted : the channels that the checkpoint was trained on.
        outputs : the names of its K outputs.
        config, series : the settings and data of this run.
        """
        return int(config.drop_label_from_x and series.n_channels == len(wanted) - 1)

    def forecast_spec(self, target_channels: Sequence[int], marks: int, covariates: int) -> ForecastSpec | None:
        """What a forecasting head is asked for; None for other heads.

        Parameters
        ----------
        target_channels : the rows of the model's input [C, total] that are forecast.
        marks : time features that are known over the horizon.
        covariates : channels that are known over the horizon.
        """
        return None

    def target_spec(self, names: Sequence[str], channel: int | None, scaler: Scaler) -> TargetSpec | None:
        """What a backbone that answers by itself (`Backbone.answers`) is asked for; None: no such backbone serves.

        `channel` is the model's input, scaled by `scaler`, of which the target is a later value; None if there is none.
        """
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
        """Take the constants of a checkpoint instead of learning them.

        Parameters
        ----------
        constants : {name: plain value}, as `learn_constants` returned them.
        """
        self.fitted = dict(constants)
        self.on_fitted()

    @abstractmethod
    def learn_constants(self, truth: Any, names: Sequence[str], kept: Mapping[str, Any] | None) -> dict[str, Any]:
        """The constants that `fit` keeps.

        Parameters
        ----------
        truth, names, kept : as in `fit`.

        Returns
        -------
        {name: plain value}; lists have one value for each of the K outputs.
        """

    def on_fitted(self) -> None:
        """Called once the constants are known, to set what depends on them, such as the monitor."""

    def check(self, truth: Mapping[str, Any], names: Sequence[str]) -> None:
        """Refuse splits that nothing can be learned from or chosen on; most tasks accept any.

        Parameters
        ----------
        truth : {split: [n, K, H], or what `Targets.during` gives}, in the task's units.
        names : the K outputs.

        Raises
        ------
        DataError : a split lacks something; the message names both.
        """

    def thin(self, truth: Any, names: Sequence[str]) -> dict[str, Any]:
        """How thin validation is, where an epoch chosen on it would be noise, for the summary; {} where it is not.

        Parameters
        ----------
        truth : as in `fit`, of validation.
        names : of the K outputs.
        """
        return {}

    # --- between the model and the units of the task -----------------------------------------------------------------

    @abstractmethod
    def truth(self, raw: np.ndarray) -> np.ndarray:
        """Raw label values [..., K, H] as truth in the task's units, of the same shape; NaN stays NaN."""

    def encode(self, truth: np.ndarray) -> np.ndarray:
        """Truth [..., K, H] as the loss gets it, float32, of the same shape."""
        return truth

    @abstractmethod
    def loss(self, device: torch.device) -> Loss:
        """A function (outputs [B, K, H], encoded truth [B, K, H]) -> scalar."""

    def lean(self, names: Sequence[str]) -> list[float]:
        """What the loss adds to each of the K outputs of a calibrated model, by the weights that it gives."""
        return [0.0] * len(names)

    def train_metrics(self, device: torch.device) -> dict[str, Loss]:
        """Functions (outputs [B, K, H], encoded truth [B, K, H]) -> scalar, averaged over an epoch as `train_NAME`."""
        return {}

    @abstractmethod
    def units(self, outputs: torch.Tensor) -> torch.Tensor:
        """The model's outputs [n, K, H] in the task's units, in their precision."""

    def calibrated(self, outputs: torch.Tensor, val: Predictions, lean: Sequence[float], rows: int) -> dict[str, Any]:
        """Numbers that make `units` say calibrated probabilities, from outputs [n, K, H] of validation's windows, which
        come from so many rows or groups of rows; `lean` is that of the model. They are kept beside the thresholds."""
        return {}

    def use(self, calibration: Mapping[str, Any]) -> None:
        """Take what was chosen on validation: from here on `units` follows it."""

    def decode(self, outputs: torch.Tensor) -> np.ndarray:
        """`units` of outputs [n, K, H] as an array of the same shape, float32.

        A window's are the same wherever it stands: what is left over behind whole vectors would be rounded another way.
        """
        n, outputs = len(outputs), outputs.float()
        if n % VECTOR:
            outputs = torch.cat([outputs, outputs[-1:].expand(VECTOR - n % VECTOR, -1, -1)])
        return self.units(outputs)[:n].cpu().numpy()

    def inverse_transform(self, pred: torch.Tensor) -> torch.Tensor:
        """Predictions [n, K, H] in the units of the data: a factor and an offset for each row, where they differ."""
        return pred

    def better(
        self, scores: Mapping[str, Any], references: Mapping[str, Mapping[str, Any]], *, blind: bool
    ) -> dict[str, Any]:
        """{"better": the best reference that beats the model by more than is ALIKE, and the backbone to take} or {}.

        A reference that sees the label, where the model is `blind` to it, comes last; no backbone can be taken for it.
        """
        sign, mine = 1 if self.direction == "max" else -1, scores.get(self.monitor)
        if self.learners is None or mine is None:
            return {}
        known = {name: row[self.monitor] for name, row in references.items() if row.get(self.monitor) is not None}
        ahead = {name: sign * (value - mine) for name, value in known.items()}
        hidden = self.see_label if blind else ()
        beaten = [(name in hidden, -by, name) for name, by in ahead.items() if by > ALIKE * abs(mine)]
        if not beaten:
            return {}
        unseen, _, best = min(beaten)
        take = "" if unseen else self.learners.get(best, self.learners.get("", best))
        return {"better": {"reference": best, "take": take}}

    def output_schema(self, names: Sequence[str], calibration: Mapping[str, Any]) -> dict[str, Any]:
        """The description of the outputs for a program that runs an exported model.

        Parameters
        ----------
        names : the K outputs.
        calibration : what `choose_thresholds` returned.

        Returns
        -------
        {"rows": what each row of `inverse_transform`'s result is, "calibration": in the data's units}.
        """
        return {"rows": [{"name": name, "what": self.row_kind} for name in names], "calibration": dict(calibration)}
