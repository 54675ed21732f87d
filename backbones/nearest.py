"""The nearest window of training of each class: probabilities are softmax(-c d) of the distances d to them.

Of a label the two classes are true and false. A value (or its change, where the window shows its last) is the mean over
training, weighted by softmax(-c d). The distance is Euclid's, over all steps of all channels; c is the one under which
training windows say each other's targets best, those of the same group left out. Finetuning adds the new windows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from backbones import Hyper, InputSpec, register
from backbones.fitted import Fitted, loss_of, outputs_on
from backbones.fitting import Fitting
from backbones.trees import Resized

HYPER = {"most": {"default": 2000, "min": 2, "max": 100000, "help": "windows that are kept, at most"}}

SHARPNESS = np.logspace(-1.5, 2.5, 33)  # of c, over the typical distance to the nearest
FEW = 5  # groups below which the windows of one may say each other's targets
FAR = 1e6  # a distance to what is not there


class Kept(Resized):
    """Windows [n, C * T] and what is known of them [n, K]; none at first."""

    x: torch.Tensor
    y: torch.Tensor

    def __init__(self, width: int, outputs: int) -> None:
        super().__init__()
        self.register_buffer("x", torch.zeros(1, width))
        self.register_buffer("y", torch.zeros(1, outputs))

    def distances(self, x: torch.Tensor) -> torch.Tensor:
        """Of windows [B, C * T] to those that are kept, [B, n]; in float64, where differences of squares are exact."""
        one, other = x.double(), self.x.double()
        squares = one.square().sum(1)[:, None] + other.square().sum(1) - 2 * one @ other.T
        return squares.clamp_min(0).sqrt()


@register
class Nearest(Fitted):
    """The windows of training, or a sample of them."""

    rate: torch.Tensor

    def __init__(self, inputs: InputSpec, hyper: Hyper) -> None:
        super().__init__(inputs, hyper)
        self.kept = Kept(inputs.channels * inputs.length, self.outputs)
        self.sharpness = torch.nn.Parameter(torch.ones(1))
        self.register_buffer("rate", torch.full((self.outputs,), 1 / self.outputs))

    def answer(self, x: torch.Tensor) -> torch.Tensor:
        said = self._said(self.kept.distances(x.flatten(1)), self.sharpness.double())
        mixed = self._mixed(said).float()
        return mixed if self.target.channel is None else mixed + self.last(x)

    def _said(self, distance: torch.Tensor, sharpness: torch.Tensor | float) -> torch.Tensor:
        """Distances [B, n] to the windows that are kept as values or probabilities [B, K], float64."""
        y = self.kept.y.double()
        if self.target.kind == "value":
            return (-sharpness * distance).softmax(1) @ y
        true = torch.stack([_least(distance, one > 0.5) for one in y.T], dim=1)
        if self.target.kind == "class":
            return (-sharpness * true).softmax(1)
        false = torch.stack([_least(distance, one < 0.5) for one in y.T], dim=1)
        return (sharpness * (false - true)).sigmoid()

    def _mixed(self, said: torch.Tensor) -> torch.Tensor:
        """Outputs of what is said, probabilities mixed with the base rate: no neighbour is proof."""
        if self.target.kind == "value":
            return said
        share = 1 / (len(self.kept.y) + 2)
        return self.as_outputs((1 - share) * said + share * self.rate)

    def fit_windows(self, data: Fitting) -> dict[str, Any]:
        """Keep windows, and choose how sharply the distance counts."""
        train = data.train.sample(self.hyper.most, data.seed, self.who)
        x, y, groups = torch.from_numpy(train.table(lambda x: x.flatten(1))), train.y, train.groups
        if self.target.channel is not None:
            y = y - outputs_on(train, self.last)
        if data.goes_on:
            x, y = torch.cat([self.kept.x.cpu(), x]), torch.cat([self.kept.y.cpu(), y])
            groups = np.concatenate([-1 - np.arange(len(x) - len(groups)), groups])
        self.kept.resize("x", x)
        self.kept.resize("y", y)
        self.rate.copy_(y.mean(0))
        distance = self.kept.distances(self.kept.x)
        same = groups if len(np.unique(groups)) >= FEW else np.arange(len(groups))
        distance = distance.masked_fill(torch.from_numpy(same[:, None] == same).to(distance.device), FAR)
        typical = float(distance.amin(1).median().clamp(1e-9, FAR / 10))
        found = [
            (
                loss_of(
                    self._mixed(self._said(distance, float(c / typical))).float(),
                    self.kept.y,
                    self.target.kind,
                    data.loss,
                ),
                c,
            )
            for c in SHARPNESS
        ]
        loss, chosen = min(found)
        self.sharpness.data.fill_(float(chosen / typical))
        return {"windows": len(train), "of": len(data.train), "sharpness": float(chosen), "loo_loss": loss}


def _least(distance: torch.Tensor, among: torch.Tensor) -> torch.Tensor:
    """The least distance [B] to the kept windows that the mask `among` [n] selects; FAR if it selects none."""
    return distance.masked_fill(~among, FAR).amin(1)
