"""What the forests of random trees share: growing one with scikit-learn, and what its leaves say.

Of a value whose target the window shows, they say the change from its last value there.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from backbones import Hyper, InputSpec
from backbones.fitted import Described, classes_of, loss_of, outputs_on
from backbones.fitting import Fitting, Labelled
from backbones.trees import MARGIN, Forest, of_forest

PER_TRIED = 1e-8  # CPU-seconds of a window and a feature that is tried, on a level of a tree


def seconds_of(windows: int, tried: float) -> float:
    """CPU-seconds that a tree takes to grow on so many windows, where so many features are tried at each node."""
    return PER_TRIED * tried * windows * math.log2(max(windows, 2))


class ForestBackbone(Described):
    """A subclass gives features (`features`, `describe`) and scikit-learn's settings."""

    seen: torch.Tensor
    features: nn.Module

    def __init__(self, inputs: InputSpec, hyper: Hyper) -> None:
        super().__init__(inputs, hyper)
        self.forest = Forest(self.outputs)
        self.register_buffer("seen", torch.zeros((), dtype=torch.float64))  # windows that the forest was grown on

    def makers(self) -> tuple[Any, Any]:
        """scikit-learn's classifier and regressor."""
        from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor

        return ExtraTreesClassifier, ExtraTreesRegressor

    @abstractmethod
    def settings(self, windows: int) -> dict[str, Any]:
        """scikit-learn's settings for so many windows; a criterion must suit the kind of target."""

    def learn(self, train: Labelled) -> None:
        """Learn what the features need; most need nothing."""

    def describe(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.features(x)
        return found

    def say(self, features: torch.Tensor) -> torch.Tensor:
        return self.as_outputs(self.forest(features))

    def prepare(self, windows: Labelled, seed: int) -> np.ndarray:
        self.learn(windows)
        return windows.table(self.describe)

    def fit_windows(self, data: Fitting) -> dict[str, Any]:
        """Grow a forest on training; validation chooses nothing."""
        train = self.sampled(data.train, self.width, data.seed)
        table = train.table(self.describe) if data.goes_on else self.prepare(train, data.seed)
        loss = {"of": len(data.train)} | self.solve(table, train, data)
        return loss | {"val_loss": loss_of(outputs_on(data.val, self.answer), data.val.y, self.target.kind, data.loss)}

    def solve(
        self, table: np.ndarray, train: Labelled, data: Fitting, weight: np.ndarray | None = None
    ) -> dict[str, Any]:
        """Grow a forest; with `data.goes_on` beside the one that stands. `weight` [n] is what each window counts."""
        from backbones.scikit import limited

        y = self.rest(train)
        with limited():
            model, values = self._fitted(table, y, data.seed, self.settings(len(train)), weight)
        n, before = len(train), float(self.seen) if data.goes_on else 0.0
        rate = np.average(y.double().numpy(), axis=0, weights=weight)
        mixed = 1 / (n + 2) if self.target.kind != "value" else 0.0
        share = n / (n + before)
        planted = of_forest(model, lambda said: share * ((1 - mixed) * values(said) + mixed * rate))
        if before:
            self.forest.value.data.mul_(1 - share)
        self.forest.plant(planted, margin=MARGIN, keep=before > 0)
        self.seen.fill_(n + before)
        return {"windows": n, "trees": len(self.forest.root)}

    def _fitted(
        self, table: np.ndarray, y: torch.Tensor, seed: int, settings: Mapping[str, Any], weight: np.ndarray | None
    ) -> tuple[Any, Callable[[np.ndarray], np.ndarray]]:
        """A fitted forest, and what turns its leaves' values [nodes, outputs, classes] into [nodes, K]."""
        classifier, regressor = self.makers()
        common = {"random_state": seed, "n_jobs": torch.get_num_threads(), **settings}
        truth = y.numpy()
        given = truth[:, 0] if truth.shape[1] == 1 else truth
        if self.target.kind == "value":
            return regressor(**common).fit(table, given, weight), _means
        if self.target.kind == "class":
            model = classifier(**common).fit(table, classes_of(y), weight)
            return model, lambda said: _spread(said[:, 0], model.classes_.astype(int), truth.shape[1])
        model = classifier(**common).fit(table, given.astype(int), weight)
        sides = [np.unique(truth[:, k]).astype(int) for k in range(truth.shape[1])]
        return model, lambda said: np.stack([_spread(said[:, k], side, 2)[:, 1] for k, side in enumerate(sides)], 1)


def _means(said: np.ndarray) -> np.ndarray:
    return said[:, :, 0]


def _spread(shares: np.ndarray, classes: np.ndarray, count: int) -> np.ndarray:
    """Shares [nodes, classes that are there] as shares of all `count` classes; the others have 0."""
    whole = np.zeros((len(shares), count))
    whole[:, classes] = shares[:, : len(classes)] / shares[:, : len(classes)].sum(1, keepdims=True)
    return whole
