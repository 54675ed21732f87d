"""What a task offers the path, and what the tasks share.

A task says what the target of a window is, what the model's K x H outputs mean, what training minimises and early
stopping watches, what is chosen on validation, and which figures and files a run leaves. The path (pipeline,
trainer, evaler) calls these and knows no task by name. `truth` and `pred` below are `[n, K, H]` arrays in natural
units (0/1 and probabilities, or the label's own unit); K outputs carry `names`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from config import RunConfig
from data import Series
from errors import UsageError

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Plane:
    """What targets are made from: values [K, total] along time, or [K, N] one a row; NaN where unknown."""

    values: np.ndarray
    names: tuple[str, ...]
    per_row: bool


class Task(ABC):
    """One task; its constructor takes every flag of its FLAGS table."""

    head: str  # "pool" or "step", see backbones/_model.py
    horizon: int = 1  # H
    monitor: str  # the metric of `watch` that early stopping and the best checkpoint follow
    direction: str  # "max" or "min"
    summary: str  # the file that holds the metrics
    headline: tuple[str, ...]  # the metrics of the summary that stand first in tables
    columns: tuple[str, ...]  # of preds.csv, after row and time

    @abstractmethod
    def name_part(self) -> list[str]:
        """What of the task's settings stands in the run's name."""

    @abstractmethod
    def demo(self, seed: int) -> Series:
        """Synthetic data of the task's own kind."""

    @abstractmethod
    def fit(self, truth: np.ndarray, names: Sequence[str], stored: Mapping[str, Any] | None) -> dict[str, Any]:
        """Constants learned from the training windows' raw targets [n, K, H].

        `stored` are those of the checkpoint that finetuning starts from: what its outputs mean is kept.
        """

    def check(self, truth: Mapping[str, np.ndarray], names: Sequence[str]) -> None:  # noqa: B027
        """DataError when a split ({name: [n, K, H]}) cannot be learned from or chosen on; most tasks take any."""

    @abstractmethod
    def truth(self, raw: np.ndarray, fitted: Mapping[str, Any]) -> np.ndarray:
        """Raw label values as truth in natural units; K lies on axis -2, and NaN stays NaN."""

    @abstractmethod
    def encode(self, truth: np.ndarray, fitted: Mapping[str, Any]) -> np.ndarray:
        """Truth as the loss sees it, float32."""

    @abstractmethod
    def loss(self, fitted: Mapping[str, Any], device: torch.device) -> Loss:
        """(outputs [B, K, H], encoded truth [B, K, H]) -> scalar."""

    @abstractmethod
    def decode(self, outputs: torch.Tensor, fitted: Mapping[str, Any]) -> np.ndarray:
        """The model's outputs [n, K, H] in natural units."""

    @abstractmethod
    def watch(self, truth: np.ndarray, pred: np.ndarray) -> dict[str, float | None]:
        """The few numbers followed over epochs, the monitor among them; None where undefined."""

    @abstractmethod
    def calibrate(self, truth: np.ndarray | None, pred: np.ndarray | None, names: Sequence[str]) -> dict[str, Any]:
        """What is chosen on validation; its defaults where there is none."""

    @abstractmethod
    def evaluate(
        self, truth: np.ndarray, pred: np.ndarray, calibration: Mapping[str, Any], names: Sequence[str]
    ) -> dict[str, Any]:
        """Every metric of the summary."""

    @abstractmethod
    def constants(self, fitted: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Reference predictions that need no input: {name: [K]}."""

    @abstractmethod
    def estimator(self, seed: int) -> Any:
        """A scikit-learn model, unfitted, for one output on flattened windows."""

    @abstractmethod
    def consult(self, estimator: Any, x: np.ndarray) -> np.ndarray:
        """A fitted estimator's predictions [n] for flattened windows [n, C * L], in natural units."""

    @abstractmethod
    def table(self, truth: np.ndarray, pred: np.ndarray, calibration: Mapping[str, Any]) -> Iterable[Sequence[Any]]:
        """What preds.csv says of each window under `columns`, for one output."""

    @abstractmethod
    def plots(
        self, folder: Path, truth: np.ndarray, pred: np.ndarray, calibration: Mapping[str, Any], title: str
    ) -> None:
        """Write the task's pictures."""


def label_plane(series: Series, config: RunConfig) -> Plane | None:
    """The label of a window: given per row (`--labels`), or a channel's value along time; None where there is none.

    A model that drops the label channel from its input can infer on files that do not have it.
    """
    if series.labels is not None:
        return Plane(np.ascontiguousarray(series.labels.T), series.label_names, per_row=True)
    if config.label_src_ch >= series.n_channels:
        raise UsageError(
            f"there is no channel {config.label_src_ch}: {series.n_channels} given, counted from 0",
            where="--label-src-ch",
        )
    channel = config.label_src_ch
    return Plane(series.values[channel : channel + 1], (series.channels[channel],), per_row=False)


def per_output(names: Sequence[str], reports: Sequence[dict[str, Any]], averaged: Sequence[str]) -> dict[str, Any]:
    """One output's report as it is; several as {mean of `averaged` over the outputs where defined, per_label}."""
    if len(reports) == 1:
        return reports[0]
    mean: dict[str, Any] = {"n": reports[0]["n"]}
    for key in averaged:
        values = [r[key] for r in reports if r[key] is not None]
        mean[key] = float(np.mean(values)) if values else None
    return mean | {"averaged_over": "labels", "per_label": dict(zip(names, reports, strict=True))}
