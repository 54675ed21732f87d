"""Validation a block of windows at a time, where what is predicted for all of them would be a multiple of the data."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch

from dataset import RunData
from ranks.alone import Alone
from tasks.base import Loss, Task
from tasks.blocks import MOST
from windows import Index, Windows


class InBlocks:
    """Adds up the loss and the metrics of a task that goes on in blocks, see `Task.in_blocks`.

    Parameters
    ----------
    task : gives the metrics.
    loss : of outputs [m, K, H] and targets, a mean over windows.
    truth : the truth [m, K, H] of the windows from one number to before another.
    """

    def __init__(self, task: Task, loss: Loss, truth: Callable[[int, int], np.ndarray]) -> None:
        self._task, self._loss, self._truth = task, loss, truth

    @classmethod
    def of_windows(cls, run_data: RunData, task: Task, val: Index, loss: Loss) -> InBlocks | None:
        """Judges the windows `val`; None where these, or the task, can be judged at once."""
        assert run_data.targets is not None
        if not task.in_blocks or 4 * len(val) * len(run_data.targets.names) * val.horizon <= MOST:
            return None
        return cls(task, loss, lambda begin, end: run_data.truth(task, val.between(begin, end)))

    def judged(
        self, windows: Windows, blocks: Iterable[torch.Tensor], first: int, together: Alone
    ) -> tuple[float, dict[str, Any]]:
        """Loss and metrics of all windows, of which each process judges its own.

        Parameters
        ----------
        windows : those of validation.
        blocks : outputs [m, K, H] for them in order, from number `first` on.
        together : the processes that call this at the same time.
        """
        sums, begin = {"": np.zeros(2)}, first  # of the loss and of each metric: over windows or truths, and how many
        for outputs in blocks:
            numbers = torch.arange(begin, begin + len(outputs), device=windows.device)
            y = windows.labels(windows.locate(numbers)).to(outputs.device)
            sums[""] += len(outputs) * np.array([float(self._loss(outputs, y)), 1])
            truth = self._truth(begin, begin + len(outputs))
            known = int((~np.isnan(truth)).sum())
            for name, value in self._task.val_metrics(truth, self._task.decode(outputs)).items():
                sums[name] = sums.get(name, 0) + (np.zeros(2) if value is None else known * np.array([value, 1]))
            begin += len(outputs)
        loss, *found = together.summed(np.array(list(sums.values()))).tolist()
        means = [total / count if count else None for total, count in found]
        return loss[0] / loss[1], dict(zip(list(sums)[1:], means, strict=True))
