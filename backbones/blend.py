"""Models made of members: a weighted mean, its weights chosen on validation.

    y[b, k, h] = sum_i w[i, k] y_i[b, k, h],   w[i, k] >= 0,   sum_i w[i, k] = 1

A member is whatever makes outputs from a window: a net, a closed form, trees. There are two ways to hold members:

- as they are (`RunBlend`): modules that the blend calls, each with its parameters and buffers in the blend's state
  dict (what is not a weight, such as the thresholds of trees, is a buffer). `InputSpec.members` describes how to build
  them again; with the state dict this is all that a checkpoint needs.
- added up, where they are linear: the blend keeps the one map that they sum to, and the members are gone
  (`ridge_ensemble`).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from backbones import Hyper, InputSpec
from backbones.base import Backbone, KnownAhead, Stretches
from backbones.model import build_model
from errors import UsageError

# {member: its weight for each output [K], or [1] for all of them}. A member's name is what `str` makes of it.
Weights = Mapping[Any, np.ndarray]

HEAVIEST = 5  # members named in a summary


class Blend(Backbone):
    """A weighted mean of members; a subclass has members, a `forward` and `weigh`."""

    closed_form = True

    @abstractmethod
    def weigh(
        self, train: Stretches, val: Stretches, both: Stretches, known: KnownAhead | None
    ) -> tuple[Weights, dict[str, Any]]:
        """Choose the weights on validation and set them; the parameters are those of `Backbone.fit`.

        Returns
        -------
        (weights of the members that got one, further facts about the choice for the summary).
        """

    @torch.no_grad()
    def fit(self, train: Stretches, val: Stretches, both: Stretches, known: KnownAhead | None = None) -> dict[str, Any]:
        """Choose the weights with the members in evaluation mode. Returns what `describe` and `weigh` report."""
        was_training = self.training
        self.eval()
        weights, found = self.weigh(train, val, both, known)
        self.train(was_training)
        return describe(weights) | found


class RunBlend(Blend):
    """A blend of trained runs, kept as modules in `members`; `inputs.members` describes them.

    Member i sees the newest `lengths[i]` steps of `x * scale[i] + shift[i]`: the blend's input, on the scale and with
    the context that the member was trained with. In the state dict: `weight [m]`, `scale` and `shift [m, 1, C, 1]`, and
    each member's own state under `members.{i}`.
    """

    blends_runs = True
    scale: torch.Tensor
    shift: torch.Tensor

    def __init__(self, inputs: InputSpec, hyper: Hyper) -> None:
        super().__init__(inputs, hyper)
        count = len(inputs.members)
        if not count:
            hint = "--model-args members=artifacts/RUN,artifacts/OTHER"
            raise UsageError("takes trained runs to blend", where="--model-args members", hint=hint)
        self.specs = [member.model for member in inputs.members]
        self.names = [f"{i}: {member}" for i, member in enumerate(inputs.members, start=1)]
        self.lengths = [spec.length for spec in self.specs]
        self.members = nn.ModuleList(build_model(spec) for spec in self.specs)
        self.weight = nn.Parameter(torch.full((count,), 1 / count))
        shape = (count, 1, inputs.channels, 1)
        self.register_buffer("scale", torch.tensor([member.scale for member in inputs.members]).view(shape))
        self.register_buffer("shift", torch.tensor([member.shift for member in inputs.members]).view(shape))

    @classmethod
    def runs_in(cls, args: Mapping[str, Any], head: str) -> list[str]:
        if not (found := [path for path in str(args.get("members", "")).split(",") if path]):
            raise UsageError(
                "names no run", where="--model-args members=", hint="members=artifacts/RUN,artifacts/OTHER"
            )
        return found

    @property
    def runs(self) -> Sequence[nn.Module]:
        return list(self.members)

    @abstractmethod
    def member_output(self, i: int, x: torch.Tensor, known: torch.Tensor | None) -> torch.Tensor:
        """The output of member i for `seen(i, x)`, in the units of the blend's outputs: `[B, K, H]`."""

    def seen(self, i: int, x: torch.Tensor) -> torch.Tensor:
        """The blend's input `[B, C, T]` with the length and scale of member i: `[B, C, lengths[i]]`."""
        return x[:, :, -self.lengths[i] :] * self.scale[i] + self.shift[i]

    def member_outputs(self, x: torch.Tensor, known: torch.Tensor | None) -> torch.Tensor:
        """The outputs of all m members before they are blended: `[m, B, K, H]`."""
        return torch.stack([self.member_output(i, x, known) for i in range(len(self.members))])

    def forward(self, x: torch.Tensor, known: torch.Tensor | None = None) -> torch.Tensor:
        return torch.einsum("i,ibkh->bkh", self.weight, self.member_outputs(x, known))


def describe(weights: Weights) -> dict[str, Any]:
    """The weights of a blend for a summary: how many members have one, their effective number, and the heaviest ones.

    The effective number is 1 / sum_i w_i^2, averaged over the outputs.
    """
    heaviest = sorted(weights, key=lambda member: -weights[member].mean())[:HEAVIEST]
    return {
        "members": len(weights),
        "effective_members": float(np.mean(1 / sum(weight**2 for weight in weights.values()))),
        "heaviest": {str(member): float(weights[member].mean()) for member in heaviest},
    }
