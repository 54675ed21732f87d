"""A process that is alone: the answers of one to what several ask each other."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch import nn

Value = TypeVar("Value")


class Alone:
    """One process, which is rank 0 of 1. `ranks.group.Group` is one of several."""

    rank, world = 0, 1

    @property
    def first(self) -> bool:
        """Whether this process says, writes and draws."""
        return self.rank == 0

    def device(self, device: torch.device) -> torch.device:
        """The device of this process, of those that `--device` may mean."""
        return device

    # --- what all of them know ---------------------------------------------------------------------------------------

    def agreed(self, value: Value) -> Value:
        """What rank 0 says, on every rank; plain values. The others wait for it."""
        return value

    def everyones(self, value: Value) -> list[Value]:
        """What each rank says, rank 0 first, on every rank; plain values."""
        return [value]

    def meet(self) -> None:
        """Wait until all are here."""

    def follow(self, model: nn.Module) -> None:
        """Give the buffers of a model the values that they have on rank 0."""

    def signalled(self, signum: int) -> int:
        """The signal that came to any of them, 0 for none; `signum` is that of this process."""
        return signum

    @contextlib.contextmanager
    def by_turns(self, cached: bool) -> Any:  # noqa: ARG002
        """The first process of each machine goes through the block before the others, where they find its work
        `cached`; else all at once."""
        yield

    # --- training ----------------------------------------------------------------------------------------------------

    def share(self, positions: torch.Tensor) -> torch.Tensor:
        """The positions [2 or 3, b] of this process, of the B that one step trains on."""
        return positions

    def size(self, total: int) -> int:
        """How many of `total` windows are the largest share."""
        return total

    def reduced(
        self,
        runner: Callable[..., torch.Tensor],
        *,
        some_unused: bool,  # noqa: ARG002
    ) -> Callable[..., torch.Tensor]:
        """The model, or what it was compiled to, with the mean of all processes' gradients after a backward pass;
        `some_unused`: it may leave parameters without a gradient."""
        return runner

    def whole(
        self,
        outputs: torch.Tensor,
        y: torch.Tensor,
        total: int,  # noqa: ARG002
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Outputs [N b, K, H] of N copies and targets [b, K, H] of this process's share -> those of the whole batch.

        A loss is not always a mean over windows (soft F1 is not): each process takes the loss of the whole batch, of
        which its own outputs alone have gradients.
        """
        return outputs, y

    def apart(self, seed: int, epoch: int, step: int) -> None:
        """Let dropout differ between the processes, from this step on."""

    def lost(self, error: BaseException) -> bool:  # noqa: ARG002
        """Whether an error says that another process has ended."""
        return False

    def ends(self) -> None:
        """All end by themselves once they are here: the first to be gone makes the launcher signal the others."""

    # --- closed forms ------------------------------------------------------------------------------------------------

    def part(self, total: int) -> tuple[int, int]:
        """The windows [begin, end), of `total`, that this process sums over; there may be none."""
        return 0, total

    def summed(self, sums: np.ndarray) -> np.ndarray:
        """The sum of what each process has, the same on all of them to the last bit."""
        return sums

    # --- scoring -----------------------------------------------------------------------------------------------------

    def slice(self, total: int) -> tuple[int, int]:
        """The windows [begin, end) that this process scores."""
        return 0, total

    def joined(self, outputs: torch.Tensor, total: int) -> torch.Tensor:  # noqa: ARG002
        """Outputs of this process's slice -> outputs [total, K, H] of all windows, in order."""
        return outputs

    def hand(self, block: np.ndarray, rank: int) -> None:
        """Give an array of this rank to rank 0, which puts it into its own of the same shape; the others do nothing."""
