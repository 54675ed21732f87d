"""Validation a block of windows at a time, where what is predicted for all of them would be a multiple of the data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import torch

from dataset import RunData
from ranks.alone import Alone
from tasks.base import Loss, Task
from tasks.blocks import ALIKE, MOST, added
from windows import Index, Windows


class InBlocks:
    """Adds up the loss and the metrics of a task that goes on in blocks, see `Task.in_blocks`.

    The loss is the mean of those of ALIKE windows each, whatever the batches and however many processes.

    Parameters
    ----------
    task : gives the metrics.
    loss : of outputs [m, K, H] and targets.
    truth : the truth [m, K, H] of the windows from one number to before another.
    """

    def __init__(self, task: Task, loss: Loss, truth: Callable[[int, int], np.ndarray]) -> None:
        self._task, self._loss, self._truth = task, loss, truth

    @classmethod
    def of_windows(cls, run_data: RunData, task: Task, val: Index, loss: Loss) -> InBlocks | None:
        """Judges the windows `val`; None where these, or the task, can be judged at once."""
        assert run_data.targets is not None
        if not task.in_blocks or len(val) * run_data.truth(task, val.between(0, 1)).nbytes <= MOST:
            return None
        return cls(task, loss, lambda begin, end: run_data.truth(task, val.between(begin, end)))

    def share(self, total: int, together: Alone) -> tuple[int, int]:
        """The windows [begin, end), of `total`, that this process judges: whole blocks."""
        begin, end = together.part(-(-total // ALIKE))
        return min(begin * ALIKE, total), min(end * ALIKE, total)

    def judged(
        self, windows: Windows, outputs: Iterable[torch.Tensor], first: int, together: Alone
    ) -> tuple[float, dict[str, Any]]:
        """Loss and metrics of all windows, of which each process judges its own.

        Parameters
        ----------
        windows : those of validation.
        outputs : [m, K, H] for them in order, from number `first` on.
        together : the processes that call this at the same time.
        """
        own = added(self._sums(windows, block, first + begin) for begin, block in _regrouped(outputs))
        together.meet()
        sums = added(together.everyones(own))
        loss, count = sums.pop("")
        return float(loss / count), self._task.of_sums(sums)

    def _sums(self, windows: Windows, outputs: torch.Tensor, begin: int) -> dict[str, np.ndarray]:
        """What is added up of the windows from number `begin` on, the loss under ""."""
        numbers = torch.arange(begin, begin + len(outputs), device=windows.device)
        y = windows.labels(windows.locate(numbers)).to(outputs.device)
        loss = len(outputs) * np.array([float(self._loss(outputs, y)), 1])
        truth = self._truth(begin, begin + len(outputs))
        return {"": loss, **self._task.val_sums(truth, self._task.decode(outputs))}


def _regrouped(outputs: Iterable[torch.Tensor]) -> Iterator[tuple[int, torch.Tensor]]:
    """Outputs of batches as those of ALIKE windows each, the last of fewer, with the number of the first."""
    waiting: list[torch.Tensor] = []
    begin = 0
    for batch in outputs:
        waiting.append(batch)
        while (count := sum(map(len, waiting))) >= ALIKE:
            whole = torch.cat(waiting)
            yield begin, whole[:ALIKE]
            begin, waiting = begin + ALIKE, [whole[ALIKE:]] if count > ALIKE else []
    if waiting:
        yield begin, torch.cat(waiting)
