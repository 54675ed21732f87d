"""Gradient boosting on the window and its summaries: scikit-learn's histogram boosting, its trees kept as tensors.

The loss is unweighted log-loss, or the absolute error (squared with `--loss mse`). The number of iterations is read off
validation where it has at least 50 rows or groups, or the target is a value; else it is fixed, since thin validation
would choose it by chance. Finetuning goes on with more trees.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from backbones import Hyper, InputSpec, register
from backbones.features import WindowFeatures
from backbones.fitted import Fitted, outputs_on
from backbones.fitting import Fitting, Labelled
from backbones.trees import MARGIN, Forest

HYPER = {
    "trees": {"default": 400, "min": 1, "max": 100000, "help": "iterations, at most; validation chooses how many"},
    "fixed": {"default": 100, "min": 1, "max": 100000, "help": "iterations where validation is too thin to choose"},
    "rate": {"default": 0.05, "min": 0.001, "max": 1.0, "help": "learning rate"},
    "leaves": {"default": 15, "min": 2, "max": 1024, "help": "leaves of a tree, at most"},
    "leaf": {"default": 0, "min": 0, "max": 100000, "help": "windows in a leaf, at least; 0: 40, fewer on small data"},
    "l2": {"default": 5.0, "min": 0.0, "max": 1e6, "help": "penalty on what leaves say"},
    "share": {"default": 0.4, "min": 0.01, "max": 1.0, "help": "share of the features tried at each node"},
}
SPACE = {
    "model_args.leaves": [7, 15, 31, 63],
    "model_args.rate": {"low": 0.02, "high": 0.2, "log": True},
    "model_args.l2": {"low": 0.5, "high": 50.0, "log": True},
    "model_args.share": {"low": 0.1, "high": 1.0},
    "model_args.trees": [400],
    "model_args.fixed": [100],
}

LARGE, LEAF, PARTS = 8000, 40, 200  # windows from which a leaf has LEAF; below, n / PARTS
WITNESSES = 50  # rows or groups of validation from which it may choose the iterations of labels


@register
class Boosting(Fitted):
    """`y = base + the sum of the trees' leaves`."""

    base: torch.Tensor
    change: torch.Tensor

    def __init__(self, inputs: InputSpec, hyper: Hyper) -> None:
        super().__init__(inputs, hyper)
        self.features = WindowFeatures(inputs.channels, inputs.length)
        self.forest = Forest(self.outputs)
        self.register_buffer("base", torch.zeros(self.outputs))
        self.register_buffer("change", torch.zeros(1))  # 1: the trees say the change from the last value

    def answer(self, x: torch.Tensor) -> torch.Tensor:
        said = self.base + self.forest(self.features(x))
        return said if self.target.channel is None else said + self.change * self.last(x)

    def fit_windows(self, data: Fitting) -> dict[str, Any]:
        """Grow trees for the target, and for its change where its last value is seen; keep what validation prefers."""
        from backbones.boosted import Booster, Table

        train = self.sampled(data.train, self.features.size, data.seed)
        if not data.goes_on:
            self.features.fit(train)
        tables = [part.table(self.features) for part in (train, data.val)]
        reads = self.hyper.trees > self.hyper.fixed and not data.settled
        reads &= self.target.kind == "value" or data.val.witnesses >= WITNESSES
        booster = Booster(self.target.kind, data.loss, self._settings(data, len(train), reads), data.goes_on)
        found = {}
        for change in self._ways(data.goes_on or data.settled):
            pair = [
                Table(x, part.y, self._start(part, change, data.goes_on))
                for x, part in zip(tables, (train, data.val), strict=True)
            ]
            grown = booster.grow(*pair)
            count = grown.best if reads else len(grown.losses)
            found[change] = grown, count, float(grown.losses[count - 1])
        change = min(found, key=lambda way: found[way][2])
        grown, count, loss = found[change]
        self.change.fill_(float(change))
        self.base.add_(torch.from_numpy(grown.base)) if data.goes_on else self.base.copy_(torch.from_numpy(grown.base))
        self.forest.plant(grown.planted(count), margin=MARGIN, keep=data.goes_on)
        told = {"windows": len(train), "of": len(data.train), "iterations": count, "val_loss": loss}
        return told | ({"says": "change" if change else "level"} if len(found) > 1 else {})

    def _ways(self, goes_on: bool) -> list[bool]:
        """Whether the trees predict the change from the target's last value; fixed once the first trees are fitted."""
        if self.target.kind != "value" or self.target.channel is None:
            return [False]
        return [bool(self.change)] if goes_on else [False, True]

    def _start(self, windows: Labelled, change: bool, goes_on: bool) -> np.ndarray:
        """The outputs [n, K] that new trees come on top of."""
        if goes_on:
            return outputs_on(windows, self.answer).numpy()
        if change:
            return outputs_on(windows, self.last).numpy()
        return np.zeros(windows.y.shape, np.float32)

    def _iterations(self, data: Fitting, reads: bool) -> int:
        """As many as there are, once settled; with many classes, an iteration has as many trees, and fewer do."""
        if data.settled:
            return len(self.forest.root) // self.outputs
        hyper, trees = self.hyper, self.outputs if self.target.kind == "class" else 1
        most = hyper.trees if reads else min(hyper.fixed, hyper.trees)
        return max(most * 2 // max(trees, 2), min(most, hyper.fixed))

    def _settings(self, data: Fitting, n: int, reads: bool) -> dict[str, Any]:
        """Those of scikit-learn."""
        hyper = self.hyper
        return {
            "max_iter": self._iterations(data, reads),
            "learning_rate": hyper.rate,
            "max_leaf_nodes": hyper.leaves,
            "min_samples_leaf": hyper.leaf or (LEAF if n >= LARGE else max(5, n // PARTS)),
            "l2_regularization": hyper.l2,
            "max_features": hyper.share,
            "early_stopping": False,
            "random_state": data.seed,
        }
