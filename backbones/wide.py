"""The closed form that a net stands on: one linear map of a window's features, to which the head's output is added.

    y = head(z) + weight f(x) + bias

with f the features of windows (features.py). The map is solved before the first step, by ridge regression for values
(which predicts the change from the target's last value where that is better) and by PreVal for labels and classes; the
net learns what is left. That must be what is left of windows which the map has not seen: where features are many beside
windows, the map knows its own windows by heart and would leave nothing to learn. There each window of training stands
on what the fit without it says.

A feature beyond the range that it has in training counts as the end of that range: a line says nothing there that was
ever seen, and a net does not go on for ever either. (The last value to which a change is added goes as far as it goes.)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch

from backbones import backbone_class
from backbones.features import WindowFeatures
from backbones.fitted import last_of, loss_of, outputs_on
from backbones.fitting import BLOCK, Fitting, Labelled
from backbones.grown import out_of_fold, weighed
from backbones.preval import Chosen, Ridge, Solved, Spectrum, candidates, least, moments, solve
from backbones.shapes import suits
from backbones.specs import TargetSpec
from backbones.sums import FARTHEST, Standard, Sums
from backbones.under import Under
from backbones.weighing import BLOCKS, on_validation, sure

MOST = 4096  # features up to which a map is solved for
MOST_CELLS = 1 << 17  # numbers in the map
CELLS = 50_000_000  # numbers of the table of features that is solved from
PLENTY = 10  # windows a feature from which a window more or less changes nothing
FINER = 10.0 ** torch.arange(-7, 2.1, 0.5, dtype=torch.float64)  # strengths for values, times the mean eigenvalue


def features_of(channels: int, length: int, *, things: bool = False) -> WindowFeatures:
    """The features of windows [B, C, L]: the steps themselves too, unless they are too many; of things these alone."""
    if things:
        return WindowFeatures(channels, length, summaries=False)
    return WindowFeatures(channels, length, flat=channels * length <= MOST // 2)


def fits(channels: int, length: int, target: TargetSpec) -> bool:
    """Whether there are few enough features, and outputs, for such a map."""
    size = features_of(channels, length, things=target.things).size
    return size <= MOST and size * target.outputs <= MOST_CELLS


def asked_of_map(backbone: str, target: TargetSpec | None, channels: int, length: int) -> dict[str, Any]:
    """What the map under a net with the head "pool" is asked for, as fields of ModelSpec; {} where there is none."""
    chosen = backbone_class(backbone)
    if target is None or chosen.answers or chosen.stages:
        return {}
    shapes = suits(target)
    if not shapes and not fits(channels, length, target):
        return {}
    rows = target.of_rows(channels * length)
    beside = {"trees": True, "boosted": rows or not target.whole, "rows": rows, "aged": not target.whole}
    beside["second"] = target.things
    return {"wide": target, "shapes": shapes, **beside}


class Wide(Under):
    """The features within the ranges that they had in training."""

    low: torch.Tensor
    high: torch.Tensor

    def __init__(self, target: TargetSpec, channels: int, length: int, **beside: bool) -> None:
        features = features_of(channels, length, things=target.things)
        super().__init__(target, channels, length, features.size, **beside)
        self.features = features
        self.at_once = max(BLOCK // features.size, 1)
        self.register_buffer("low", torch.full((features.size,), -FARTHEST))
        self.register_buffer("high", torch.full((features.size,), FARTHEST))

    def _map_of(self, x: torch.Tensor) -> torch.Tensor:
        return (self.describe(x)[:, None] * self.weight).sum(2) + self.bias

    def describe(self, x: torch.Tensor) -> torch.Tensor:
        found = self.features(x)
        return torch.minimum(torch.maximum(found, self.low), self.high)

    def by_heart(self, windows: int) -> bool:
        return windows < self.features.size

    @torch.no_grad()
    def fit(self, data: Fitting, target: TargetSpec, lean: Sequence[float]) -> tuple[torch.Tensor, dict[str, Any]]:
        self.target = target
        if self.persistence is not None:  # a new scaler has other units
            self.persistence.cuts.copy_(torch.tensor(target.cuts))
        train = data.train.sample(max(CELLS // self.features.size, 1), data.seed, "closed form under the net")
        found, says = self._solve(replace(data, train=train), lean)
        told = {"features": self.features.size, "windows": len(train), "strength": found.strength, "says": says}
        grown = self.grow(data.train, data, trees=target.whole or self._known(data))
        if grown:
            return self._sure(*self._beside_trees(found, grown, data, lean, told), data)
        return self._sure(
            (self._left_out(found, data, told, lean) + torch.tensor(lean)).float()[:, :, None], told, data
        )

    def _solve(self, data: Fitting, lean: Sequence[float]) -> tuple[Solved, str]:
        """Take the map of least loss; returns it, of standardised features, and what it says."""
        target, train = self.target, data.train
        self.features.fit(train)
        said = ("level", "change") if target.kind == "value" and target.channel is not None else ("level",)
        sums = Sums.over(train, torch.cat([self._more_than(says, train) for says in said], dim=1), self.features)
        self.low.copy_(sums.low)
        self.high.copy_(sums.high)
        standard = sums.standard()
        found, says = self._choose(said, data, standard)
        raw = found.weight / standard.scale[:, None]
        bias = found.offset - standard.mean @ raw + torch.tensor(lean, dtype=torch.float64)
        if says == "change":
            raw[self.place_of_last()] += target.scale
            self.low[self.place_of_last()], self.high[self.place_of_last()] = -FARTHEST, FARTHEST
            bias += target.shift
        self.weight.copy_(raw.T)
        self.bias.copy_(bias)
        return found, says

    @torch.no_grad()
    def again(self, train: Labelled, data: Fitting, lean: Sequence[float], share: float) -> None:
        """Fit once more to all of these things, and take `share` of the map; what trees count for stays.

        The strength of the map is that of least loss where each thing is left out.
        """
        some = train.sample(max(CELLS // self.features.size, 1), data.seed, "closed form under the net")
        self._solve(replace(data, train=some, val=train.part(np.arange(1))), lean)
        self.weight *= share
        self.bias.copy_(share * self.bias + (1 - share) * torch.tensor(lean, device=self.bias.device))
        for part in (self.trees, self.bagged, self.boosted, self.slow):
            if part is not None and part.weight:
                part.again(train, data)

    def _known(self, data: Fitting) -> bool:
        """Whether there are windows enough to weigh trees by: of values of validation, of labels of training."""
        return (data.val if self.target.kind == "value" else data.train).telling(self.target.kind)

    def _left_out(self, found: Solved, data: Fitting, told: dict[str, Any], lean: Sequence[float]) -> torch.Tensor:
        """What the map, without what the loss adds, says of windows of training [n, K]: of windows that it has not
        seen, unless a window more or less changes nothing."""
        if told["windows"] < len(data.train) or told["windows"] >= PLENTY * self.features.size:
            return outputs_on(data.train, self._map_of, self.at_once) - torch.tensor(lean)
        left_out = found.left_out
        return left_out + outputs_on(data.train, self._last) if told["says"] == "change" else left_out

    def _beside_trees(
        self,
        found: Solved,
        grown: Mapping[str, tuple[torch.Tensor, float]],
        data: Fitting,
        lean: Sequence[float],
        told: dict[str, Any],
    ) -> tuple[torch.Tensor, dict[str, Any]]:
        """Take a share of the solved map and one of each kind of trees; what `fit` returns."""
        grouped = self.target.whole and data.train.witnesses < len(data.train)
        left_out = self._by_groups(found, data) if grouped else self._left_out(found, data, told, lean)
        said = torch.stack([left_out.float(), *(of_trees for of_trees, _ in grown.values())])
        shares = self._shares(said, grown, data, lean)
        self.take(float(shares[0]), [float(1 - shares[0]) * part for part in lean])
        for share, (name, (_, raised)) in zip(shares[1:], grown.items(), strict=True):
            self.beside[name].weight.fill_(float(share) * raised)
        told["of"] = {name: round(float(share), 4) for name, share in zip(("map", *grown), shares, strict=True)}
        return (torch.einsum("i,ink->nk", shares.float(), said) + torch.tensor(lean))[:, :, None], told

    def _sure(self, stood: torch.Tensor, told: dict[str, Any], data: Fitting) -> tuple[torch.Tensor, dict[str, Any]]:
        """Draw what is said of a value that is seen towards its last one, as far as it gains on it by chance.

        Parameters
        ----------
        stood : what windows of training stand on [n, 1, 1].
        told : what was chosen; gets the last value's share beside the others, where it has one.

        Returns
        -------
        Both, as `fit` does.
        """
        stays = 1 - self._share_over_last(data.val, data.loss)
        if not stays:
            return stood, told
        place = self.place_of_last()
        self.take(1 - stays, [stays * self.target.shift])
        self.weight[:, place] += stays * self.target.scale
        self.low[place], self.high[place] = -FARTHEST, FARTHEST
        of = {name: round((1 - stays) * share, 4) for name, share in told.get("of", {"map": 1.0}).items()}
        last = outputs_on(data.train, self._last)[:, :, None]
        return (1 - stays) * stood + stays * last, {**told, "of": {**of, "last": round(stays, 4)}}

    def _share_over_last(self, val: Labelled, loss: str) -> float:
        """Of what is said beside the target's last value: as far as validation is sure that it says more; 1: all."""
        if self.target.channel is None:
            return 1.0
        if self.settled is not None:
            return 1 - self.settled.get("last", 0.0)
        if len(val) < BLOCKS:
            return 1.0
        last, said = (outputs_on(val, answer) for answer in (self._last, self.outputs_of))
        return sure(last, said, val.y, partial(loss_of, kind="value", loss=loss), 1.0)

    def _shares(
        self,
        said: torch.Tensor,
        grown: Mapping[str, tuple[torch.Tensor, float]],
        data: Fitting,
        lean: Sequence[float],
    ) -> torch.Tensor:
        """Of the map and of what has grown, from what they say [m, n, K] of windows of training that they have not
        seen, or of windows of validation."""
        kind = self.target.kind
        if self.settled is not None:
            kept = torch.tensor([self.settled.get(name, 0.0) for name in ("map", *grown)])
            return kept / kept.sum().clamp_min(1e-9)
        if self.target.whole or not data.val.telling(kind):
            return weighed(said, data.train, kind, data.loss, [1.0] * len(said))
        on_val = [outputs_on(data.val, self._map_of) - torch.tensor(lean)]
        on_val += [raised * outputs_on(data.val, self.beside[name].answer) for name, (_, raised) in grown.items()]
        return on_validation(torch.stack(on_val), data.val, kind, data.loss, torch.ones(len(said)) / len(said))

    def _by_groups(self, found: Solved, data: Fitting) -> torch.Tensor:
        """What maps say of whole rows of groups that they have not seen [n, K], of values those of the same strength.

        A row that is left out alone has its like in its group: beside trees that have seen no such, the map would seem
        far better than it is.
        """
        x, y, kind = torch.from_numpy(data.train.table(self.features)), data.train.y.double(), self.target.kind

        def say(inside: torch.Tensor, outside: torch.Tensor) -> torch.Tensor:
            mean, scale = moments(x[inside])
            spectrum, others = Spectrum.of((x[inside] - mean) / scale), ((x[outside] - mean) / scale).double()
            if kind != "value":
                solved = solve(spectrum, y[inside], kind)
                return others @ solved.weight + solved.offset
            ridge = Ridge.of(spectrum, y[inside], kind)
            return others @ ridge.weight(found.strength * float(inside.double().mean())) + ridge.mean

        return out_of_fold(data.train, kind, data.seed, say)

    def _choose(self, said: Sequence[str], data: Fitting, standard: Standard) -> tuple[Solved, str]:
        """The map of standardised features of least loss, and which of `said` it says, the level or the change."""
        spectrum = self._spectrum(data.train, standard)
        parts = standard.xy.split(self.target.outputs, dim=1)
        found = [self._best(spectrum, data, says, standard, xy) for says, xy in zip(said, parts, strict=True)]
        return min(zip(found, said, strict=True), key=lambda one: one[0].loss)

    def _spectrum(self, train: Labelled, standard: Standard) -> Spectrum:
        if len(train) < self.features.size:
            return Spectrum.of(standard.of(torch.from_numpy(train.table(self.features))))
        blocks = train.blocks
        return Spectrum.of_gram(standard.xx, len(train), lambda: map(standard.of, blocks(self.features)))

    def _best(self, spectrum: Spectrum, data: Fitting, says: str, standard: Standard, xy: torch.Tensor) -> Solved:
        """The map of least loss, on validation where that has windows enough."""
        kind, y = self.target.kind, self._more_than(says, data.train)
        ridge = Ridge.of(spectrum, y, kind, xy if spectrum.x is None else None)
        strengths = (
            spectrum.strengths if kind != "value" else (FINER * spectrum.values.mean().clamp_min(1e-12)).tolist()
        )
        if not data.val.telling(kind):
            return least(candidates(ridge, y, kind, strengths))
        if kind == "value":  # which have no scale to choose
            found: list[Sequence[Chosen]] = [[Chosen(ridge, strength, 1.0, ridge.mean)] for strength in strengths]
        else:
            found = list(candidates(ridge, y, kind, strengths))
        return least(self._judged(found, data, self._more_than(says, data.val), standard))

    def _judged(
        self, found: Sequence[Sequence[Chosen]], data: Fitting, truth: torch.Tensor, standard: Standard
    ) -> Iterator[Sequence[Chosen]]:
        """The same with their loss on validation, of which truth [n, K] is to be said."""
        maps = [(Solved(one).weight, Solved(one).offset) for one in found]
        for one, said in zip(found, standard.said(data.val, self.describe, maps), strict=True):
            columns = [len(each.offset) for each in one]
            pairs = zip(said.split(columns, dim=1), truth.split(columns, dim=1), strict=True)
            losses = [loss_of(part, y, self.target.kind, data.loss) for part, y in pairs]
            yield [replace(each, loss=loss) for each, loss in zip(one, losses, strict=True)]

    def _more_than(self, says: str, windows: Labelled) -> torch.Tensor:
        """What is to be said of windows [n, K]: their targets, or what these are more than the last value."""
        return windows.y if says == "level" else windows.y - outputs_on(windows, self._last)

    def _last(self, x: torch.Tensor) -> torch.Tensor:
        return last_of(self.target, x)

    def place_of_last(self) -> int:
        """The number of the feature that is the target's last value."""
        assert self.target.channel is not None
        return self.channels * self.length * self.features.flat + self.target.channel
