"""Batch norm over the whole batch, of which each process has a share.

`torch.nn.SyncBatchNorm` knows CUDA alone, and takes the place of a class whose forward pass may be another one; these
are `torch.nn`'s own, with mean and variance summed over the processes, where there are several.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

import ranks


class _Sum(torch.autograd.Function):
    """The sum over all processes; so is its gradient."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:  # noqa: ARG004
        return _summed(x)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> torch.Tensor:  # noqa: ARG004
        return _summed(grads[0])


def _sum(x: torch.Tensor) -> torch.Tensor:
    found: torch.Tensor = _Sum.apply(x)  # type: ignore[no-untyped-call]
    return found


def _summed(x: torch.Tensor) -> torch.Tensor:
    import torch.distributed as dist  # not before there are several processes

    total = x.clone().contiguous()
    dist.all_reduce(total)
    return total


def _over_all(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Mean and variance [C] of `x [B, C, ...]` over all but channels, of all processes; and how many numbers a channel
    has."""
    over = [dim for dim in range(x.dim()) if dim != 1]
    shape = [1, -1] + [1] * (x.dim() - 2)
    count = x.new_tensor([x.numel() / x.shape[1]])
    sums = _sum(torch.cat([x.sum(over), count]))
    mean, total = sums[:-1] / sums[-1:].detach(), sums[-1:].detach()
    variance = _sum((x - mean.view(shape)).square().sum(over)) / total
    return mean, variance, total


class _Together(nn.modules.batchnorm._BatchNorm):
    """Normalises by the whole batch in training."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        # No graph holds what processes say to each other; to say so takes torch._dynamo, which one process can spare.
        self._over_all = torch.compiler.disable(_over_all) if ranks.here().world > 1 else _over_all

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training or ranks.here().world == 1:
            plain: torch.Tensor = super().forward(x)
            return plain
        shape = [1, -1] + [1] * (x.dim() - 2)
        mean, variance, total = self._over_all(x.float())
        self._remember(mean.detach(), variance.detach() * total / (total - 1))
        scale = (variance + self.eps).rsqrt() * self.weight
        normal: torch.Tensor = (x - mean.view(shape)) * scale.view(shape) + self.bias.view(shape)
        return normal.to(x.dtype)

    def _remember(self, mean: torch.Tensor, variance: torch.Tensor) -> None:
        """The running statistics, as torch keeps them."""
        assert self.momentum is not None and self.running_mean is not None and self.running_var is not None
        assert self.num_batches_tracked is not None
        with torch.no_grad():
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance, self.momentum)
            self.num_batches_tracked.add_(1)


class BatchNorm1d(_Together, nn.BatchNorm1d):
    """`nn.BatchNorm1d` over the whole batch."""


class BatchNorm2d(_Together, nn.BatchNorm2d):
    """`nn.BatchNorm2d` over the whole batch."""
