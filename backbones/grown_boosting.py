"""Boosted trees beside the map and the forest under a net: many small corrections, each of what is still wrong.

On the window and its summaries, or on the numbers of a row as they are, in the units of the model's outputs; of a value
whose last one is seen, the change from that. They are boosted on folds too, as the forest is grown (grown.py): what
these say of the others is weighed, and decides how many iterations there are. Of many windows a sample is boosted.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from backbones.features import WindowFeatures
from backbones.fitted import last_of, outputs_on
from backbones.fitting import Fitting, Labelled
from backbones.grown import FOLDS, SAMPLES, Planted, apart, calibrated, sampled
from backbones.specs import TargetSpec
from backbones.trees import MARGIN

if TYPE_CHECKING:
    from backbones.boosted import Booster, Grown, Table

RATE, L2 = 0.15, 1.0
# In smaller steps: of values by squared errors, which take other means than absolute ones and less time for a tree; of
# labels and classes by trees of few leaves, which are nearer to sums of single columns.
SLOW: dict[str, dict[str, float]] = {
    "value": {"learning_rate": 0.06, "max_leaf_nodes": 15, "l2_regularization": 5.0, "max_features": 0.5},
    "label": {"learning_rate": 0.1, "max_leaf_nodes": 5, "l2_regularization": 1.0, "max_features": 0.5},
}
SLOW["class"] = SLOW["label"]
MOST, MOST_SLOW, FEWEST = 150, 300, 40  # iterations that there is time for
LEAST_TREES = 2  # one tree is what is there before any are grown
FEWEST_WINDOWS = 100  # with fewer, they say what a constant says
FEWEST_SLOW = 500  # things of labels and classes; of fewer, more that is boosted only takes weight from trees
SMALL, SMALL_LEAVES, LEAVES = 2000, 15, 31  # windows below which a tree has so many leaves, and else
LEAST, LEAF, PARTS = 5, 20, 200  # windows of a leaf: n / PARTS, between these
WIDE, SHARE = 32, 0.4  # features up to which each node tries all; of more, this share
SECONDS = 15.0  # CPU-seconds of all folds, about
PER_TREE, PER_COLUMN, PER_NUMBER = 2e-3, 2e-6, 1.35e-9  # CPU-seconds


class Boosted(nn.Module):
    """`x [B, C, L] -> [B, K]`: `weight` times what the trees say; nothing before they are grown.

    Parameters
    ----------
    target : what is asked for.
    channels, length : C and L.
    rows : see the numbers of a row as they are.
    aged : see older steps as means of ever more, which are a third of the features, as good, and leave time for more
        windows.
    slow : boost in smaller steps, to stand beside others.
    """

    weight: torch.Tensor
    base: torch.Tensor

    def __init__(
        self,
        target: TargetSpec,
        channels: int,
        length: int,
        *,
        rows: bool = False,
        aged: bool = False,
        slow: bool = False,
    ) -> None:
        super().__init__()
        self.target, self.slow = target, slow
        self.features = WindowFeatures(channels, length, summaries=not rows, aged=aged)
        self.forest = Planted(target.outputs)
        self.register_buffer("base", torch.zeros(target.outputs))
        self.register_buffer("weight", torch.zeros(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if len(self.forest.root) == 1:  # none are grown
            return x.new_zeros(x.shape[0], self.target.outputs)
        return self.weight * self.answer(x)

    def answer(self, x: torch.Tensor) -> torch.Tensor:
        """What the trees say of windows [B, C, L], in the units of the outputs [B, K]."""
        said: torch.Tensor = self.base + self.forest(self.features(x))
        return said if self.target.channel is None else said + self._last(x)

    def suits(self, windows: int) -> bool:
        """Whether so many windows are enough, and their features and outputs not too many."""
        least = FEWEST_SLOW if self.slow and self.target.kind != "value" else FEWEST_WINDOWS
        return windows >= least and self._iterations(min(windows, SAMPLES[0])) >= FEWEST

    @torch.no_grad()
    def grow(self, train: Labelled, data: Fitting) -> tuple[torch.Tensor, float]:
        """As Grown.grow."""
        seen, table, lean = self._table(train, data.seed)
        fold = apart(train, self.target.kind, data.seed)
        booster = self._booster(len(seen), data)
        outside = {one: fold[seen] == one for one in np.unique(fold[seen])}
        grown = {one: booster.grow(table.part(~mask), table.part(mask)) for one, mask in outside.items()}
        sizes = [int(mask.sum()) for mask in outside.values()]
        best = np.average([one.losses for one in grown.values()], axis=0, weights=sizes).argmin()
        count = max(int(best) + 1, LEAST_TREES)
        said = torch.empty(train.y.shape)
        for one, part in grown.items():
            self._plant(part, count, lean)
            others = np.flatnonzero(fold == one)
            said[torch.from_numpy(others)] = outputs_on(train.part(others), self.answer)
        self._plant(self._booster(len(seen), data, count).grow(table, table.part(slice(1))), count, lean)
        return calibrated(said, train, self.target.kind)

    @torch.no_grad()
    def again(self, train: Labelled, data: Fitting) -> None:
        """Grow as many iterations once more, on all of these windows; what they count for stays."""
        count = len(self.forest.root) // self.target.outputs
        seen, table, lean = self._table(train, data.seed)
        self._plant(self._booster(len(seen), data, count).grow(table, table.part(slice(1))), count, lean)

    def _table(self, train: Labelled, seed: int) -> tuple[np.ndarray, Table, torch.Tensor]:
        """What is boosted: the numbers of windows, as many as there is time for; their table; what logits lack."""
        from backbones.boosted import Table

        most = max((n for n in SAMPLES if self._iterations(n) >= FEWEST), default=SAMPLES[0])
        seen, weight = sampled(train, self.target.kind, seed, most)
        some = train.part(seen)
        self.features.fit(some)
        table = Table(some.table(self.features), self._rest(some), np.zeros(some.y.shape, np.float32))
        return seen, table, drawn(some.y, weight, self.target.kind)

    def _booster(self, windows: int, data: Fitting, count: int = 0) -> Booster:
        """With the settings for so many windows, and `count` iterations where these are known."""
        from backbones.boosted import Booster

        settings = self._settings(windows, data.seed)
        loss = "mse" if self.slow else data.loss
        return Booster(self.target.kind, loss, settings | ({"max_iter": count} if count else {}), goes_on=False)

    def _rest(self, windows: Labelled) -> torch.Tensor:
        """What trees are to say of windows [n, K]: their targets, or what these are more than the last value."""
        return windows.y if self.target.channel is None else windows.y - outputs_on(windows, self._last)

    def _last(self, x: torch.Tensor) -> torch.Tensor:
        return last_of(self.target, x)

    def _iterations(self, windows: int) -> int:
        """As many as there is time for on so many windows."""
        size, leaves = self.features.size, self._leaves(windows)
        each = PER_TREE + PER_COLUMN * size * leaves + PER_NUMBER * size * windows * math.log2(leaves)
        return min(int(SECONDS / (each * FOLDS * self.target.outputs)), MOST_SLOW if self.slow else MOST)

    def _leaves(self, windows: int) -> int:
        usual = SMALL_LEAVES if windows < SMALL else LEAVES
        return int(SLOW[self.target.kind]["max_leaf_nodes"]) if self.slow else usual

    def _settings(self, windows: int, seed: int) -> dict[str, Any]:
        """Those of scikit-learn."""
        fast = {
            "max_iter": self._iterations(windows),
            "learning_rate": RATE,
            "max_leaf_nodes": self._leaves(windows),
            "min_samples_leaf": min(max(windows // PARTS, LEAST), LEAF),
            "l2_regularization": L2,
            "max_features": 1.0 if self.features.size <= WIDE else SHARE,
            "early_stopping": False,
            "random_state": seed,
        }
        return fast | (SLOW[self.target.kind] if self.slow else {})

    def _plant(self, grown: Grown, count: int, lean: torch.Tensor) -> None:
        self.forest.plant(grown.planted(count), margin=MARGIN)
        self.forest.finite()
        self.base.copy_(torch.from_numpy(grown.base) + lean)


def drawn(y: torch.Tensor, weight: np.ndarray, kind: str) -> torch.Tensor:
    """What the logits [K] of a sample lack beside those of all, where a class or side of a label is drawn more often
    than another: the log of what its windows count (King and Zeng 2001, equation 7); nothing for values.

    Parameters
    ----------
    y : of the sample, [n, K].
    weight : what each counts [n], the same for all of a class or side.
    """
    each = torch.from_numpy(weight)
    if kind == "value" or bool((each == each[0]).all()):
        return torch.zeros(y.shape[1])
    sides = y.T if kind == "class" else torch.stack([1 - y[:, 0], y[:, 0]])
    counts = torch.stack([each[side > 0].mean() if bool(side.any()) else each.mean() for side in sides]).log()
    return counts.float() if kind == "class" else (counts[1:] - counts[:1]).float()
