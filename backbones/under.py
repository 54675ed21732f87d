"""What a net stands on: one linear map of features of a window, trees, and what usually follows the label's last
state, to which the head's output is added.

Its features are those of windows (wide.py), or those of shapes for whole series with labels (shapes.py).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from backbones.fitted import outputs_on
from backbones.fitting import BLOCK, Fitting, Labelled
from backbones.grown import Grown
from backbones.grown_boosting import Boosted
from backbones.specs import TargetSpec
from backbones.transitions import Transitions


class Under(nn.Module):
    """`x [B, C, L] -> [B, K, 1]`, in the units of the model's outputs.

    Products and sums, no matrix product: autocast and int8 weights leave them in float32.

    Parameters
    ----------
    target : what is asked for.
    channels, length : C and L.
    size : F, the number of features.
    trees : whether trees stand beside the map (grown.py).
    boosted : whether boosted trees do (grown_boosting.py).
    rows : whether these trees see the numbers of a row as they are.
    aged : whether boosted trees see older steps as means of ever more.
    second : whether another kind of trees, and of boosted ones, stands beside these.
    """

    weight: torch.Tensor
    bias: torch.Tensor
    at_once = 4096  # windows
    settled: Mapping[str, float] | None = None  # the shares of map and trees, where they were chosen before

    def __init__(
        self,
        target: TargetSpec,
        channels: int,
        length: int,
        size: int,
        *,
        trees: bool = False,
        boosted: bool = False,
        rows: bool = False,
        aged: bool = False,
        second: bool = False,
    ) -> None:
        super().__init__()
        self.trees = Grown(target, channels, length, rows=rows) if trees else None
        self.boosted = Boosted(target, channels, length, rows=rows, aged=aged) if boosted else None
        self.bagged = Grown(target, channels, length, bagged=True) if second else None
        self.slow = Boosted(target, channels, length, rows=rows, aged=aged, slow=True) if second else None
        self.persistence = Transitions(target) if target.cuts else None
        self.target, self.channels, self.length = target, channels, length
        self.register_buffer("weight", torch.zeros(target.outputs, size))
        self.register_buffer("bias", torch.zeros(target.outputs))

    @abstractmethod
    def describe(self, x: torch.Tensor) -> torch.Tensor:
        """The features [B, F]."""

    @abstractmethod
    def fit(self, data: Fitting, target: TargetSpec, lean: Sequence[float]) -> tuple[torch.Tensor, dict[str, Any]]:
        """Solve the map.

        Parameters
        ----------
        data : windows of training, and of validation, on which the strength is chosen where there are enough.
        target : what is asked for, in the units of these data.
        lean : what the loss adds to each of the K outputs of a calibrated model.

        Returns
        -------
        (what each window of training stands on [n, K, 1], what was chosen).
        """

    @abstractmethod
    def by_heart(self, windows: int) -> bool:
        """Whether a map that was solved from so many windows knows them by heart."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.outputs_of(x)[:, :, None]

    def outputs_of(self, x: torch.Tensor) -> torch.Tensor:
        """The outputs [B, K]."""
        said = self._map_of(x)
        for part in self.beside.values():
            said = said + part(x)
        return said

    @property
    def beside(self) -> dict[str, Grown | Boosted | Transitions]:
        """What stands beside the map, by name."""
        forests = {"trees": self.trees, "bagged": self.bagged, "boosted": self.boosted, "slow": self.slow}
        every = {**forests, "persistence": self.persistence}
        return {name: part for name, part in every.items() if part is not None}

    def grow(self, train: Labelled, data: Fitting, *, trees: bool = True) -> dict[str, tuple[torch.Tensor, float]]:
        """Grow what suits so many windows; see Grown.grow. Without `trees` none are grown."""
        some = {name: part for name, part in self.beside.items() if trees or part is self.persistence}
        return {name: part.grow(train, data) for name, part in some.items() if part.suits(len(train))}

    def _map_of(self, x: torch.Tensor) -> torch.Tensor:
        found = self.describe(x)
        if torch.compiler.is_compiling():  # or exporting, where the number of windows is not known
            return self._products(found)
        return torch.cat([self._products(part) for part in found.split(max(BLOCK // found.shape[1], 1))])

    def _products(self, found: torch.Tensor) -> torch.Tensor:
        return torch.stack([(found * weight).sum(1) for weight in self.weight], dim=1) + self.bias

    def says_of(self, windows: Labelled) -> torch.Tensor:
        """The map's outputs for all windows, [n, K, 1] on the host."""
        return outputs_on(windows, self.outputs_of, self.at_once)[:, :, None]

    @torch.no_grad()
    def take(self, share: float, more: Sequence[float]) -> None:
        """Take a share of the map, and add so much to each of its K outputs."""
        self.weight *= share
        for part in self.beside.values():
            part.weight *= share
        self.bias.mul_(share).add_(torch.tensor(more, device=self.bias.device))
