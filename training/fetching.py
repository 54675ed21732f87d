"""Batches gathered one ahead by another thread, where they come from a file or go to another device."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import torch

from readers.threads import check_room, result_of
from windows import Windows

Batch = tuple[torch.Tensor, ...]
POOL = "gather"
Share = Callable[[torch.Tensor], torch.Tensor]  # of the positions of a step those of this process


class Fetching:
    """The batches of an epoch.

    Parameters
    ----------
    windows : where they are gathered; where these are not `apart`, no thread is needed.
    device : that of the model: batches for a GPU go into pinned memory, from where they are copied beside its work.
    """

    def __init__(self, windows: Windows, device: torch.device) -> None:
        self.windows, self._pinned = windows, device.type == "cuda" and windows.device.type == "cpu"
        if windows.apart:
            check_room(1)
        self._thread = ThreadPoolExecutor(1, POOL) if windows.apart else None
        self._ready: tuple[torch.Tensor, Future[Batch]] | None = None

    def in_turn(self, steps: Iterator[torch.Tensor], share: Share) -> Iterator[torch.Tensor]:
        """The positions of each step, while those of the next are gathered."""
        if self._thread is None:
            yield from steps
            return
        waiting = None
        for positions in steps:
            coming = positions, self._thread.submit(self._gather, share(positions))
            if waiting is not None:
                self._ready = waiting
                yield waiting[0]
            waiting = coming
        if waiting is not None:
            self._ready = waiting
            yield waiting[0]
        self._ready = None

    def gather(self, positions: torch.Tensor, share: Share) -> Batch:
        """What `Windows.gather` gives for the share of `positions` [2 or 3, B], which may be there already."""
        if self._ready is not None and self._ready[0] is positions:
            return result_of(self._ready[1], POOL)
        return self._gather(share(positions))

    def _gather(self, positions: torch.Tensor) -> Batch:
        parts = self.windows.gather(positions)
        return tuple(part.pin_memory() for part in parts) if self._pinned else parts
