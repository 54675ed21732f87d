"""Extremely randomised trees (Geurts et al. 2006) on the window and its summaries, by scikit-learn, kept as tensors.

Or, `bagged`, a random forest (Breiman 2001): each tree on a draw of the windows, each node at the best threshold.

A leaf says the mean target of its windows, the forest the mean of its trees. Probabilities are mixed with the base rate
by 1 / (n + 2): a few unanimous leaves are no proof. Finetuning grows another forest on the new windows, and the two
are weighed by their windows.
"""

from __future__ import annotations

from typing import Any

import torch

from backbones import Hyper, InputSpec, register
from backbones.features import WindowFeatures
from backbones.fitting import Labelled
from backbones.forests import ForestBackbone

HYPER = {
    "trees": {"default": 100, "min": 1, "max": 10000, "help": "trees"},
    "leaf": {"default": 0, "min": 0, "max": 100000, "help": "windows in a leaf, at least; 0: 3, of labels of many 10"},
    "share": {"default": 0.3, "min": 0.01, "max": 1.0, "help": "share of the features tried at each node"},
    "summaries": {"default": True, "help": "see the summaries of the window beside its steps"},
    "bagged": {"default": False, "help": "a random forest: trees on draws of the windows, with the best thresholds"},
    "steps": {"default": 0, "min": 0, "max": 1000000, "help": "see the last steps of the window alone; 0: all"},
}
SPACE = {
    "model_args.trees": [100],
    "model_args.leaf": [1, 3, 10, 30],
    "model_args.share": {"low": 0.05, "high": 1.0},
}


LARGE, LABELS_LEAF, LEAF = 5000, 10, 3  # windows from which a leaf of labels has LABELS_LEAF


def usual_leaf(kind: str, windows: int) -> int:
    """The least windows of a leaf; labels are noisier than values, and many windows show it."""
    return LABELS_LEAF if kind != "value" and windows >= LARGE else LEAF


@register
class ExtraTrees(ForestBackbone):
    """The mean of the trees, as logits where a probability is asked for."""

    features: WindowFeatures

    def __init__(self, inputs: InputSpec, hyper: Hyper) -> None:
        super().__init__(inputs, hyper)
        steps = min(hyper.steps or inputs.length, inputs.length)
        self.features = WindowFeatures(inputs.channels, steps, summaries=hyper.summaries)

    @property
    def width(self) -> int:
        """F, the number of features."""
        return self.features.size

    def describe(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.features(x[:, :, -self.features.length :])
        return found

    def learn(self, train: Labelled) -> None:
        """Learn the channels' minima."""
        self.features.fit(train)

    def makers(self) -> tuple[Any, Any]:
        from sklearn import ensemble

        if self.hyper.bagged:
            return ensemble.RandomForestClassifier, ensemble.RandomForestRegressor
        return super().makers()

    def settings(self, windows: int) -> dict[str, Any]:
        """scikit-learn's settings."""
        return {
            "n_estimators": self.hyper.trees,
            "min_samples_leaf": self.hyper.leaf or usual_leaf(self.target.kind, windows),
            "max_features": self.hyper.share,
        }
