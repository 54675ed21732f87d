"""LSTM (Hochreiter and Schmidhuber 1997; forget gate of Gers et al. 2000, without peepholes).

`x [B, C, T] -> z [B, T, hidden]` (`2 * hidden` when bidirectional); causal unless bidirectional.
"""

from __future__ import annotations

from torch import nn

from backbones import Hyper, InputSpec, register
from backbones.recurrent import Recurrent

HYPER = {
    "hidden": {"default": 64, "min": 1, "max": 4096, "help": "width of the state"},
    "layers": {"default": 1, "min": 1, "max": 16, "help": "recurrent layers"},
    "dropout": {"default": 0.0, "min": 0.0, "max": 0.9, "help": "between the layers and on the tokens"},
    "bidirectional": {"default": False, "help": "read the window backwards too; not causal"},
}


@register
class LSTM(Recurrent):
    """Recurrent tokens, one a step; the last is the window's summary."""

    def __init__(self, inputs: InputSpec, hyper: Hyper) -> None:
        super().__init__(inputs, hyper, cell=nn.LSTM)
