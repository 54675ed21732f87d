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

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch

from backbones import backbone_class
from backbones.features import WindowFeatures
from backbones.fitted import loss_of, outputs_on
from backbones.fitting import Fitting, Labelled
from backbones.preval import Solved, Spectrum, beside, candidates, least, moments
from backbones.shapes import suits
from backbones.specs import TargetSpec
from backbones.under import Under

MOST = 4096  # features up to which a map is solved for
MOST_CELLS = 1 << 17  # numbers in the map
CELLS = 50_000_000  # numbers of the table of features that is solved from: 200 MB
PLENTY = 10  # windows a feature from which a window more or less changes nothing
FARTHEST = torch.finfo(torch.float32).max
FINER = 10.0 ** torch.arange(-7, 2.1, 0.5, dtype=torch.float64)  # strengths for values, times the mean eigenvalue


def features_of(channels: int, length: int) -> WindowFeatures:
    """The features of windows [B, C, L]: the steps themselves too, unless they are too many."""
    return WindowFeatures(channels, length, flat=channels * length <= MOST // 2)


def fits(channels: int, length: int, outputs: int) -> bool:
    """Whether there are few enough features, and outputs, for such a map."""
    size = features_of(channels, length).size
    return size <= MOST and size * outputs <= MOST_CELLS


def asked_of_map(backbone: str, target: TargetSpec | None, channels: int, length: int) -> TargetSpec | None:
    """What the map under a net with the head "pool" is asked for, of all the target is; None where there is none."""
    chosen = backbone_class(backbone)
    if target is None or chosen.answers or chosen.stages:
        return None
    return target if suits(target) or fits(channels, length, target.outputs) else None


class Wide(Under):
    """The features within the ranges that they had in training."""

    low: torch.Tensor
    high: torch.Tensor

    def __init__(self, target: TargetSpec, channels: int, length: int) -> None:
        features = features_of(channels, length)
        super().__init__(target, channels, length, features.size)
        self.features = features
        self.register_buffer("low", torch.full((features.size,), -FARTHEST))
        self.register_buffer("high", torch.full((features.size,), FARTHEST))

    def outputs_of(self, x: torch.Tensor) -> torch.Tensor:
        return (self.describe(x)[:, None] * self.weight).sum(2) + self.bias

    def describe(self, x: torch.Tensor) -> torch.Tensor:
        found = self.features(x)
        return torch.minimum(torch.maximum(found, self.low), self.high)

    def by_heart(self, windows: int) -> bool:
        return windows < self.features.size

    @torch.no_grad()
    def fit(self, data: Fitting, target: TargetSpec, lean: Sequence[float]) -> tuple[torch.Tensor, dict[str, Any]]:
        self.target = target
        train = data.train.sample(max(CELLS // self.features.size, 1), data.seed, "closed form under the net")
        self.features.fit(train)
        x = torch.from_numpy(train.table(self.features))
        self.low.copy_(x.amin(0))
        self.high.copy_(x.amax(0))
        mean, scale = moments(x)
        spectrum = Spectrum.of(x.sub_(mean).div_(scale))
        found, says = self._choose(spectrum, train, data, (mean, scale))
        raw = found.weight / scale[:, None].double()
        bias = found.offset - mean.double() @ raw + torch.tensor(lean, dtype=torch.float64)
        if says == "change":
            raw[self.place_of_last()] += self.target.scale
            self.low[self.place_of_last()], self.high[self.place_of_last()] = -FARTHEST, FARTHEST
            bias += self.target.shift
        self.weight.copy_(raw.T)
        self.bias.copy_(bias)
        told = {"features": self.features.size, "windows": len(train), "strength": found.strength, "says": says}
        if len(train) < len(data.train) or len(train) >= PLENTY * self.features.size:
            return self.says_of(data.train), told
        left_out = found.left_out + torch.tensor(lean)
        if says == "change":
            left_out += outputs_on(train, self._last)
        return left_out.float()[:, :, None], told

    def _choose(
        self, spectrum: Spectrum, train: Labelled, data: Fitting, standard: tuple[torch.Tensor, torch.Tensor]
    ) -> tuple[Solved, str]:
        """The map of standardised features of least loss, and whether it says the level or the change."""
        kind, val = self.target.kind, data.val
        strengths = (FINER * spectrum.values.mean().clamp_min(1e-12)).tolist() if kind == "value" else ()
        on_val = val if val.plenty(kind) else None
        z = None if on_val is None else (torch.from_numpy(on_val.table(self.describe)) - standard[0]) / standard[1]

        def best(y: torch.Tensor, truth: torch.Tensor) -> Solved:
            found: Iterable[Solved] = candidates(spectrum, y, kind, strengths)
            return least(found if z is None else self._judged(found, z, truth, data.loss))

        if kind == "label":
            columns = range(self.target.outputs)
            return beside([best(train.y[:, k : k + 1], val.y[:, k : k + 1]) for k in columns]), "level"
        level = best(train.y, val.y)
        if kind == "class" or self.target.channel is None:
            return level, "level"
        change = best(train.y - outputs_on(train, self._last), val.y - outputs_on(val, self._last))
        return (change, "change") if change.loss < level.loss else (level, "level")

    def _judged(self, found: Iterable[Solved], z: torch.Tensor, y: torch.Tensor, loss: str) -> Iterator[Solved]:
        """The same with their loss on validation: standardised features z [n, F], truth y [n, K]."""
        for one in found:
            said = z @ one.weight.float() + one.offset.float()
            yield replace(one, loss=loss_of(said, y, self.target.kind, loss))

    def _last(self, x: torch.Tensor) -> torch.Tensor:
        """The target's last value in windows [B, C, L], in the units of the outputs, [B, 1]."""
        assert self.target.channel is not None
        return x[:, self.target.channel, -1:] * self.target.scale + self.target.shift

    def place_of_last(self) -> int:
        """The number of the feature that is the target's last value."""
        assert self.target.channel is not None
        return self.channels * self.length * self.features.flat + self.target.channel
