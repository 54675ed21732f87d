"""A second head while a net learns: what its closed form leaves can be harder to learn than the whole.

    on the closed form   a = head(z) + map(f)
    alone                b = alone(z), plus the target's last value where the map says the change from that
    said                 s a + (1 - s) b

Remaining life that is capped bends where the map does not, and what the map gets wrong there has to be unlearned. So
both heads learn at once from one backbone, which costs K outputs more, and validation takes the share s with the
weights: all, none, or a part. What is kept is one head and one map again, of which each has its share.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import torch
from torch import nn

from backbones.wide import Wide

# Of a closed form: a share of these is one of it.
LINEAR = ("weight", "bias", "trees.weight", "bagged.weight", "boosted.weight", "slow.weight", "persistence.weight")
SHARES = (1.0, 0.75, 0.5, 0.25, 0.0)  # of what is said on the closed form; of equals the first


class Alone(nn.Module):
    """`z [B, d], x [B, C, L] -> [B, K, 1]`; `share` is that of the other head, on the closed form.

    Parameters
    ----------
    dim : d.
    wide : the solved map.
    says : what that says, "change" or "level".
    """

    share: torch.Tensor

    def __init__(self, dim: int, wide: Wide, says: str) -> None:
        super().__init__()
        self.head = nn.Linear(dim, wide.target.outputs)
        for part in self.head.parameters():  # it begins with nothing, as the other does
            nn.init.zeros_(part)
        self.target, self.adds_last = wide.target, says == "change"
        self.register_buffer("share", torch.ones(()))

    def forward(self, z: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        y = self.head(z)
        if self.adds_last:
            y = y + x[:, self.target.channel, -1:] * self.target.scale + self.target.shift
        return y[:, :, None]

    def joined(self, both: torch.Tensor, share: float | None = None) -> torch.Tensor:
        """Outputs [n, K, 2], on the closed form and alone, as one [n, K, 1]: by the share that is kept, or this one."""
        share = float(self.share) if share is None else share
        return share * both[..., :1] + (1 - share) * both[..., 1:]

    @torch.no_grad()
    def choose(self, both: torch.Tensor, loss: Callable[[torch.Tensor], float]) -> None:
        """Keep the share under which outputs [n, K, 2] have the least loss."""
        losses = [loss(self.joined(both, share)) for share in SHARES]
        self.share.fill_(SHARES[losses.index(min(losses))])


def folded(state: Mapping[str, torch.Tensor], alone: Alone, wide: Wide) -> dict[str, torch.Tensor]:
    """The weights of a model with both heads as those of a model with one, which says the same."""
    if "alone.share" not in state:
        return dict(state)
    share = state["alone.share"]
    kept = {name: value for name, value in state.items() if not name.startswith("alone.")}
    for name in ("head.weight", "head.bias"):
        kept[name] = share * state[name] + (1 - share) * state[f"alone.{name}"]
    for name in {f"wide.{part}" for part in LINEAR} & state.keys():
        kept[name] = share * state[name]
    if alone.adds_last:
        kept["wide.weight"][:, wide.place_of_last()] += (1 - share) * alone.target.scale
        kept["wide.bias"] += (1 - share) * alone.target.shift
    return kept


class Validation(Protocol):
    """What training asks of a task: see tasks/base.py."""

    monitor: str
    direction: str

    def loss(self, outputs: torch.Tensor, y: torch.Tensor) -> torch.Tensor: ...
    def val_metrics(self, outputs: torch.Tensor) -> dict[str, float | None]: ...


class OfBoth:
    """The validation of a task for a model with both heads: it judges what they say together.

    Parameters
    ----------
    validation : of the task.
    alone : the second head.
    chooses : whether the loss on validation chooses the share, which has been chosen before otherwise.
    """

    def __init__(self, validation: Validation, alone: Alone, *, chooses: bool) -> None:
        self.monitor, self.direction = validation.monitor, validation.direction
        self._validation, self._alone, self._chooses = validation, alone, chooses

    def loss(self, outputs: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Of outputs [2 B, K, 1] in training, where each head learns by its own; else of [n, K, 2] joined."""
        of = self._validation.loss
        if outputs.shape[-1] == 1:
            return of(outputs, y)
        if self._chooses:
            self._alone.choose(outputs, lambda said: float(of(said, y)))
        return of(self._alone.joined(outputs), y)

    def val_metrics(self, outputs: torch.Tensor) -> dict[str, float | None]:
        """The task's few metrics of outputs [n, K, 2], joined by the share that the loss has chosen."""
        return self._validation.val_metrics(self._alone.joined(outputs))
