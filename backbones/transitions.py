"""What a label will be by what it is now: shares of training, as of a Markov chain of first order.

A label that hardly ever changes is told best by its last value, whatever the other channels say.
"""

from __future__ import annotations

import torch
from torch import nn

from backbones.fitted import as_outputs, outputs_on
from backbones.fitting import Fitting, Labelled
from backbones.specs import TargetSpec

PRIOR = 1.0  # windows of the base rate that each state has beside its own


class Transitions(nn.Module):
    """`x [B, C, L] -> [B, K]`: `weight` times what followed the label's last state in training, as logits.

    Parameters
    ----------
    target : with `seen`, the channel that shows the label, and `cuts`, which part its S states.
    """

    cuts: torch.Tensor
    table: torch.Tensor
    weight: torch.Tensor

    def __init__(self, target: TargetSpec) -> None:
        super().__init__()
        assert target.seen is not None
        self.seen, self.kind = target.seen, target.kind
        self.register_buffer("cuts", torch.tensor(target.cuts))
        self.register_buffer("table", torch.zeros(len(target.cuts) + 1, target.outputs))
        self.register_buffer("weight", torch.zeros(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.weight * self.answer(x)

    def answer(self, x: torch.Tensor) -> torch.Tensor:
        """The logits (of classes: log-probabilities) [B, K] of windows [B, C, L]."""
        return self.table[self._state(x)]

    def _state(self, x: torch.Tensor) -> torch.Tensor:
        """The number of the state that each window ends in [B]."""
        return (x[:, self.seen, -1:] > self.cuts).sum(1)

    def suits(self, windows: int) -> bool:
        """Whether so many windows are enough: any are."""
        return windows > 0

    @torch.no_grad()
    def grow(self, train: Labelled, data: Fitting) -> tuple[torch.Tensor, float]:
        """Count what followed; returns what the others say of each window of training [n, K], and 1, as Grown.grow."""
        state = outputs_on(train, lambda x: self._state(x)[:, None])[:, 0].long()
        true = torch.zeros(self.table.shape).index_add_(0, state, train.y)
        total = torch.bincount(state, minlength=len(true)).float()
        rate = train.y.mean(0)
        self.table.copy_(self._logits(true, total, rate))
        return self._logits(true[state] - train.y, total[state] - 1, rate), 1.0

    def _logits(self, true: torch.Tensor, total: torch.Tensor, rate: torch.Tensor) -> torch.Tensor:
        """Of the windows [.., K] that are true of a total [..], and the base rate [K]."""
        return as_outputs((true + PRIOR * rate) / (total[:, None] + PRIOR), self.kind)
