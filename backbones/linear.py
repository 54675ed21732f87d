"""The flattened window: with the head on top, a model that is linear in every step of every channel.

`x [B, C, T] -> z [B, 1, C * T]`. The baseline of Zeng et al. 2023 (arXiv 2205.13504, section 4) without its
decomposition, and with weights across channels. One token stands for the whole window, so head "step" reads its
T steps from that token, and the only border for causality is the end of the window.
"""

from __future__ import annotations

from typing import Any

import torch

from backbones import Hyper, InputSpec, register
from backbones.base import Backbone

HYPER: dict[str, dict[str, Any]] = {}


@register
class Linear(Backbone):
    """Without weights; the head has them all."""

    pool = "last"
    causal = True

    def __init__(self, inputs: InputSpec, hyper: Hyper) -> None:
        super().__init__(inputs, hyper)
        self.dim, self.stride = inputs.channels * inputs.length, inputs.length

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.flatten(1).unsqueeze(1)
