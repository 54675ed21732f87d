"""The recurrent backbones: a token for each step, through torch's `nn.GRU` or `nn.LSTM`."""

from __future__ import annotations

import torch
from torch import nn

from backbones import Hyper, InputSpec
from backbones.base import Backbone


class Recurrent(Backbone):
    """`x [B, C, T] -> z [B, T, d]`, d = hidden, or twice that in both directions.

    Parameters
    ----------
    hyper : hidden, layers, dropout, bidirectional.
    cell : `nn.GRU` or `nn.LSTM`.
    """

    stride = 1
    not_compiled = ("recur",)  # dynamo does not compile a frame that calls an `nn.RNNBase`

    def __init__(self, inputs: InputSpec, hyper: Hyper, cell: type[nn.GRU | nn.LSTM]) -> None:
        super().__init__(inputs, hyper)
        both: bool = hyper.bidirectional
        between = hyper.dropout if hyper.layers > 1 else 0.0  # torch warns where there is no layer to drop between
        sizes = {"input_size": inputs.channels, "hidden_size": hyper.hidden, "num_layers": hyper.layers}
        self.rnn = cell(**sizes, batch_first=True, dropout=between, bidirectional=both)
        self.dropout = nn.Dropout(hyper.dropout)
        self.dim = hyper.hidden * (2 if both else 1)
        self.causal = not both
        # The last state backwards in time has seen one step alone, so both directions are averaged.
        self.pool = "mean" if both else "last"

    def recur(self, x: torch.Tensor) -> torch.Tensor:
        """The recurrent kernel, which stays outside a compiled graph."""
        return self.rnn(x)[0]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.dropout(self.recur(x.transpose(1, 2)))
