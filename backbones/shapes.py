"""What a net of whole series stands on: a pool of closed forms on shapes, intervals and steps, and of trees.

The classes of whole series may differ in shapes that are anywhere, in what some stretch of time is like, or in single
steps. For each of these there is a map of its own: random convolutions (as of the backbone `rocket`), the quantiles of
intervals, the window and its summaries. Their probabilities come from leave-one-out predictions (PreVal). On these they
are weighed, half by greedy selection, half by loss and prior, as the members of `auto` are. A pool of linear maps is
one linear map. Its features are far more than the series, so it knows these by heart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from backbones.banks import FEW, LARGE, MANY, MOST, Banks
from backbones.features import WindowFeatures
from backbones.fitted import CELLS, loss_of
from backbones.fitting import Fitting, Labelled
from backbones.grown import out_of_fold, weighed
from backbones.intervals import IntervalQuantiles
from backbones.kernels import Hydra, MiniRocket
from backbones.preval import Solved, Spectrum, solve
from backbones.specs import TargetSpec
from backbones.trees import Resized
from backbones.under import Under
from backbones.weighing import learnable, pooled, power, raised

MOST_OUTPUTS = 200
WIDEST = 1 << 14  # features of a map of its own beside that of convolutions; of more it is left out
MOST_STEPS = 2048  # channels times steps up to which the steps themselves are features
PRIOR = {"convolutions": 0.55, "intervals": 0.25, "steps": 0.2}
BESIDE = {"trees": 0.4, "boosted": 0.2}  # beside these


def suits(target: TargetSpec | None) -> bool:
    """Whether the target has classes of whole series, and not too many; things have no shapes."""
    whole = target is not None and target.whole and not target.things
    return target is not None and whole and target.kind != "value" and target.outputs <= MOST_OUTPUTS


class Shapes(Under, Resized):
    """The features are as many as training asks for."""

    at_once = 256

    def __init__(self, target: TargetSpec, channels: int, length: int, **beside: bool) -> None:
        super().__init__(target, channels, length, 1, **beside)
        one_of: dict[str, Any] = {
            "intervals": IntervalQuantiles(channels, length),
            "steps": WindowFeatures(channels, length, flat=channels * length <= MOST_STEPS),
        }
        self.banks = nn.ModuleDict({"convolutions": Banks([Hydra(channels, length), MiniRocket(channels, length)])})
        self.banks.update({name: Banks([bank]) for name, bank in one_of.items() if bank.size <= WIDEST})

    def describe(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([banks(x) for banks in self.banks.values()], dim=1)

    def by_heart(self, windows: int) -> bool:
        return True

    @torch.no_grad()
    def fit(self, data: Fitting, target: TargetSpec, lean: Sequence[float]) -> tuple[torch.Tensor, dict[str, Any]]:
        self.target = target
        train = data.train.sample(min(MOST, CELLS // (2 * WIDEST)), data.seed, "closed form under the net")
        found = {name: self._solved(banks, train, data.seed) for name, banks in self.banks.items()}
        said, prior = {name: one.said for name, one in found.items()}, [PRIOR[name] for name in found]
        grown = self.grow(train, data)
        said |= {name: of_trees for name, (of_trees, _) in grown.items()}
        prior += [BESIDE[name] for name in grown]
        left_out = torch.stack(list(said.values()))
        weight = weighed(left_out, train, target.kind, "", prior)
        maps = [(w * one.power, one.map) for w, one in zip(weight[: len(found)], found.values(), strict=True)]
        self.resize("weight", torch.cat([w * one.weight for w, one in maps]).T)
        self.bias.copy_(torch.stack([w * one.offset for w, one in maps]).sum(0) + torch.tensor(lean))
        for share, (name, (_, of_trees)) in zip(weight[len(found) :], grown.items(), strict=True):
            self.beside[name].weight.fill_(float(share) * of_trees)
        loss = loss_of(pooled(left_out, weight, target.kind), train.y, target.kind, "")
        shares = {name: round(float(w), 4) for name, w in zip(said, weight, strict=True)}
        told = {"features": self.weight.shape[1], "windows": len(train), "says": "shapes", "of": shares}
        return torch.zeros(*data.train.y.shape, 1), told | {"loo_loss": loss}

    def _solved(self, banks: nn.Module, train: Labelled, seed: int) -> _Solved:
        """The map of the features of some banks."""
        assert isinstance(banks, Banks)
        for bank in banks.banks:
            if isinstance(bank, WindowFeatures):
                bank.fit(train)
        table = banks.fit(train, seed, FEW if len(train) >= LARGE else MANY)
        banks.scale.clamp_(
            max=torch.finfo(torch.float32).max
        )  # weights are averaged over epochs, which infinity is not
        kind, found = self.target.kind, solve(Spectrum.of(table), train.y, self.target.kind)
        if train.witnesses == len(train):
            return _Solved(found, found.left_out)
        said, known = _by_groups(table, train, kind, seed), learnable(train.y, kind, train.groups)
        best = power(said[known], train.y[known], kind)
        return _Solved(found, raised(said, best, kind), best)


@dataclass(frozen=True)
class _Solved:
    """A map, and what such a map says of each series of training without having seen it [n, K], raised to a power."""

    map: Solved
    said: torch.Tensor
    power: float = 1.0


def _by_groups(table: torch.Tensor, train: Labelled, kind: str, seed: int) -> torch.Tensor:
    """What maps of features [n, F] say of series [n, K] of groups that they have not seen.

    A series that is left out alone has its like in its group, and the map that knows these best seems the best.
    """

    def say(inside: torch.Tensor, outside: torch.Tensor) -> torch.Tensor:
        found = solve(Spectrum.of(table[inside]), train.y[inside], kind)
        return table[outside].double() @ found.weight + found.offset

    return out_of_fold(train, kind, seed, say)
