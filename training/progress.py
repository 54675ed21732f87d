"""How far training has come, and what it asks of a task."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any

import numpy as np
import torch

from backbones.copies import each_its_own
from dataset import RunData
from windows import Index


class OfTask:
    """The validation of a task: `truth` gives the targets [n, K, H] of the windows that are judged."""

    def __init__(self, task: Any, truth: Callable[[], np.ndarray], device: torch.device) -> None:
        self.monitor, self.direction = task.monitor, task.direction
        self.loss = each_its_own(task.loss(device))
        self._task, self._truth = task, truth

    @classmethod
    def of_windows(cls, run_data: RunData, task: Any, val: Index, device: torch.device) -> OfTask:
        """Judges the windows `val`: the targets are kept over the epochs, unless overlapping windows would make them a
        multiple of the data."""
        truth = partial(run_data.truth, task, val)
        return cls(task, truth if run_data.derived is not None else cache(truth), device)

    def val_metrics(self, outputs: torch.Tensor) -> dict[str, float | None]:
        """The task's few metrics of outputs [n, K, H]."""
        found: dict[str, float | None] = self._task.val_metrics(self._truth(), self._task.decode(outputs))
        return found


@dataclass
class Progress:
    """How far training has come; all of it goes into the checkpoint, so that a killed run can continue."""

    epoch: int = 0  # epochs finished
    step: int = 0  # steps of the running epoch that are done
    best: float | None = None
    best_epoch: int = 0  # 0: before the first step
    best_loss: float = math.inf  # of the best epoch, on validation
    start: dict[str, Any] = field(default_factory=dict)  # what validation says before the first step, if it was asked
    stale: int = 0  # epochs since the best
    seconds: float = 0.0
    limit: int = 0  # epochs that --budget leaves time for; 0: not said
    history: list[dict[str, Any]] = field(default_factory=list)
    averaged: list[int] = field(default_factory=list)  # the epochs whose weights are averaged so far
    lengthened: list[int] = field(default_factory=list)  # each --epochs that the run was begun with before it got more
