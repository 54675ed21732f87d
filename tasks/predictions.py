"""What is evaluated, drawn and written: predictions, and the data they belong to."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch

from backbones.fitting import Labelled
from data import Series
from readers.scaled import Scaled
from tasks.blocks import Made, Sliced, spans
from tasks.targets import Targets
from windows import Index

Numbers = np.ndarray | Sliced  # [n, K, H]
Predictor = Callable[[Index], np.ndarray]  # predictions [n, K, H] for the windows of an index


@dataclass(frozen=True)
class Predictions:
    """The predictions of n windows, pred and truth [n, K, H]; `truth` is None where no label is known.

    Of a task that goes on in blocks they may be `Sliced`, of which `blocks` gives arrays.
    """

    index: Index
    pred: Numbers
    truth: Numbers | None

    def judged(self) -> tuple[np.ndarray, np.ndarray]:
        """(truth, pred), each [n, K, H]. Only where the truth is known."""
        assert self.truth is not None
        return np.asarray(self.truth), np.asarray(self.pred)

    def blocks(self) -> Iterator[tuple[slice, Predictions]]:
        """Some windows at a time, in order: which they are, and their predictions as arrays."""
        parts = spans(len(self.pred), math.prod(self.pred.shape[1:]))
        for begin, end in parts:
            index = self.index if len(parts) == 1 else self.index.between(begin, end)
            at = slice(begin, end)
            yield at, Predictions(index, self.pred[at], None if self.truth is None else self.truth[at])

    def by(self, predictor: Predictor) -> Predictions:
        """The same windows and truth with the predictions of a reference, which are made where they are read."""
        if not isinstance(self.truth, Sliced):
            return replace(self, pred=predictor(self.index))
        return replace(self, pred=Made(self.truth.shape, lambda begin, end: predictor(self.index.between(begin, end))))


class Tried(NamedTuple):
    """Backtests of a forecaster: their windows, its outputs there [n, K, H], and whether they stand `alone`, as where
    validation holds fewer windows."""

    windows: Index
    outputs: torch.Tensor
    alone: bool


@dataclass(frozen=True)
class PlotInputs:
    """What a task draws: scored windows, or if there are none the forecasts past the end."""

    name: str  # of the model
    title: str  # names the run and the split of `scored`
    title_ahead: str
    scored: Predictions | None
    ahead: Predictions | None
    beside: Mapping[str, Any]  # the metrics of the references on the same windows


@dataclass(frozen=True)
class EvalContext:
    """What a task may look at when it compares, draws and writes: the data as they are and as the model sees them."""

    series: Series
    targets: Targets | None
    scaled: np.ndarray | Scaled  # [C, total], the model's input; empty where it is made as windows are read
    target_channels: tuple[int, ...]  # rows of `scaled` that the outputs continue; () where they do not
    names: Sequence[str]
    per_row: bool
    seed: int
    labelled: Callable[[Index], Labelled]  # the windows as the model sees them
    scaler: Mapping[str, Any]  # of the model's input, as the checkpoint has it
    train: Index | None = None  # the windows of training; None where these are not the data of training
    known: torch.Tensor | None = None  # [M, total + N * H], what is known ahead, covariates last; None: nothing
    seconds: float = 10.0  # CPU-seconds that a fitted reference may take, by an estimate

    @property
    def shaped(self) -> int:
        """Channels of whole series, of which models see shapes; 0 for windows of steps."""
        return int(self.scaled.shape[0]) if self.per_row else 0

    def raw(self, index: Index) -> np.ndarray:
        """The label in the data's units, at the targets of an index of n windows: [n, K, H]."""
        assert self.targets is not None
        return self.targets.at(index)
