"""QUANT (Dempster, Schmidt and Webb 2024): extremely randomised trees on quantiles of intervals (intervals.py).

Among the best there is for whole series (`--labels`). For the next step of a window the last steps matter more than
the shape: there, take `boosting`.
"""

from __future__ import annotations

from typing import Any

from backbones import Hyper, InputSpec, register
from backbones.forests import ForestBackbone
from backbones.intervals import IntervalQuantiles

HYPER = {
    "trees": {"default": 200, "min": 1, "max": 10000, "help": "trees"},
    "leaf": {"default": 0, "min": 0, "max": 100000, "help": "windows in a leaf, at least; 0: 1, more on large data"},
    "share": {"default": 0.1, "min": 0.01, "max": 1.0, "help": "share of the features tried at each node"},
}
SPACE = {
    "model_args.trees": [200],
    "model_args.leaf": [1, 3, 10],
    "model_args.share": {"low": 0.03, "high": 0.5},
}

LEAVES = 2000  # of a tree, about: beyond, a leaf holds more windows
DRAWN = 12000  # windows that a tree is grown on, where there are more


@register
class Quant(ForestBackbone):
    """The mean of the trees, as logits where a probability is asked for."""

    features: IntervalQuantiles

    def __init__(self, inputs: InputSpec, hyper: Hyper) -> None:
        super().__init__(inputs, hyper)
        self.features = IntervalQuantiles(inputs.channels, inputs.length)

    @property
    def width(self) -> int:
        """F, the number of features."""
        return self.features.size

    def settings(self, windows: int) -> dict[str, Any]:
        """scikit-learn's settings for so many windows."""
        found = {
            "n_estimators": self.hyper.trees,
            "min_samples_leaf": self.hyper.leaf or 1 + min(windows, DRAWN) // LEAVES,
            "max_features": self.hyper.share,
        }
        if windows > DRAWN:
            found |= {"bootstrap": True, "max_samples": DRAWN}
        return found | ({} if self.target.kind == "value" else {"criterion": "entropy"})
