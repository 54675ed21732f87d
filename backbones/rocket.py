"""Random convolutions under a ridge whose leave-one-out predictions make probabilities: Hydra and MiniRocket.

Among the best there is for whole series (`--labels`), and for classes rather than values. The same map serves other
features: the quantiles of QUANT (`intervals`), or the window as it is (`steps`).
"""

from __future__ import annotations

import torch
from torch import nn

from backbones import Hyper, InputSpec, register
from backbones.banks import OnBanks
from backbones.intervals import IntervalQuantiles
from backbones.kernels import Hydra, MiniRocket

HYPER = {
    "features": {
        "default": "hydra+minirocket",
        "choices": ["hydra+minirocket", "hydra", "minirocket", "intervals", "steps"],
        "help": "what the map sees: banks of kernels, the quantiles of QUANT, or the window",
    },
    "most": {"default": 0, "min": 0, "max": 100000, "help": "features of MiniRocket; 0: by the windows"},
}
SPACE = {"model_args.features": ["hydra+minirocket", "hydra", "minirocket"]}


@register
class RocketRidge(OnBanks):
    """Random kernels, or other features that are drawn and not learned."""

    def __init__(self, inputs: InputSpec, hyper: Hyper) -> None:
        sizes = inputs.channels, inputs.length
        made = {"hydra": Hydra, "minirocket": MiniRocket, "intervals": IntervalQuantiles, "steps": _Steps}
        super().__init__(inputs, hyper, [made[name](*sizes) for name in hyper.features.split("+")], hyper.most)


class _Steps(nn.Module):
    """The window as it is."""

    def __init__(self, channels: int, length: int) -> None:
        super().__init__()
        self.size = channels * length

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.flatten(1)
