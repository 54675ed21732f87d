"""One model of several: the same network from other first weights, trained side by side, its outputs averaged.

Networks that validation calls equal still differ; their mean is better than most of them. They see the same batches,
each learns by its own loss, and an epoch is judged by their mean. One checkpoint holds them all.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from backbones.model import Model

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


class Copies(Model):
    """`x [B, C, T] -> [B, K, H]`: the mean of what the members say; in training the N members' outputs [N B, K, H].

    Parameters
    ----------
    members : N models of one specification, each with weights of its own.
    """

    def __init__(self, members: list[Model]) -> None:
        nn.Module.__init__(self)
        self.members = nn.ModuleList(members)
        self.spec, self.wide = members[0].spec, None
        self.outputs, self.horizon, self.kind = members[0].outputs, members[0].horizon, members[0].kind
        self.__dict__["backbone"] = members[0].backbone  # to ask what it is; its weights are those of the member

    def each(self) -> list[Model]:
        """The members."""
        return [member for member in self.members if isinstance(member, Model)]

    def forward(self, x: torch.Tensor, under: torch.Tensor | None = None) -> torch.Tensor:
        assert under is None, "copies stand on no closed form"
        said = [member(x) for member in self.members]
        return torch.cat(said) if self.training else torch.stack(said).mean(dim=0)


def each_its_own(loss: Loss) -> Loss:
    """A loss of outputs and targets that is the mean of the members' losses where the outputs are N times as many."""

    def of_members(outputs: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        parts = outputs.chunk(len(outputs) // len(y))
        return loss(outputs, y) if len(parts) == 1 else torch.stack([loss(part, y) for part in parts]).mean()

    return of_members
