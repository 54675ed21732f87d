"""Sensors of several kinds fused step by step, then a GRU over the fused steps.

`x [B, C, T] -> z [B, T, hidden]`, causal, in two parts that can be trained separately (`stages`):

- `encoder`, each step by itself: every modality (a named group of channels) is projected to a common width, the bias of
  its projection being its embedding; the modalities of a step and one learned token attend to each other (Vaswani et
  al. 2017, section 3.2.2, the residual around a normalised input of Xiong et al. 2020, section 3); their mean is mapped
  to a context of 160 numbers.
- `gru` reads the contexts (Cho et al. 2014, section 2.3, in cuDNN's form); its state, normalised, is the token.

Channels without names are one modality.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from backbones import Hyper, InputSpec, register
from backbones.base import Backbone
from backbones.forecast_layers import check_heads

HYPER = {
    "width": {"default": 80, "min": 2, "max": 1024, "help": "to which every modality is projected"},
    "heads": {"default": 4, "min": 1, "max": 64, "help": "attention heads across the modalities of a step"},
    "context": {"default": 160, "min": 1, "max": 4096, "help": "numbers that a step's sensors become"},
    "hidden": {"default": 64, "min": 1, "max": 4096, "help": "width of the GRU's state"},
    "dropout": {"default": 0.1, "min": 0.0, "max": 0.9, "help": "on the contexts and on the tokens"},
}


class Encoder(nn.Module):
    """`x [B, C, T] -> contexts [B, context, T]`, step by step: step t of x alone makes context t."""

    def __init__(self, modalities: dict[str, int], width: int, heads: int, context: int) -> None:
        super().__init__()
        check_heads(width, heads)
        self.heads, self.sizes = heads, list(modalities.values())
        self.project = nn.ModuleDict({_key(name): nn.Linear(size, width) for name, size in modalities.items()})
        self.token = nn.Parameter(torch.randn(width) / width**0.5)
        self.norm = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width)
        self.join = nn.Linear(width, context)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, _, steps = x.shape
        parts = x.transpose(1, 2).flatten(0, 1).split(self.sizes, dim=1)
        projected = [project(part) for project, part in zip(self.project.values(), parts, strict=True)]
        token = self.token.to(projected[0].dtype).expand_as(projected[0])
        tokens = torch.stack([*projected, token], dim=1)  # [B * T, M + 1, width]
        tokens = tokens + self._attend(self.norm(tokens))
        context = F.gelu(self.join(F.gelu(tokens).mean(dim=1)))
        return context.unflatten(0, (batch, steps)).transpose(1, 2).to(x.dtype)

    def _attend(self, tokens: torch.Tensor) -> torch.Tensor:
        q, k, v = self.qkv(tokens).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


def _key(name: str) -> str:
    """The key of a modality in a ModuleDict, which does not take `values`, `type` and the like."""
    return f"{name}_" if name in dir(nn.ModuleDict()) else name


@register
class FusionGRU(Backbone):
    """With `inputs.part = "encoder"` that alone: a token is the context of a step and the mean of all up to it."""

    reads_modalities = True
    stages = ("encoder", "gru")
    adapters = "encoder.project"  # may be trained alone: a module for each modality
    stride = 1
    pool = "last"
    causal = True
    not_compiled = ("recur",)  # dynamo does not compile a frame that calls an `nn.RNNBase`

    def __init__(self, inputs: InputSpec, hyper: Hyper) -> None:
        super().__init__(inputs, hyper)
        modalities = inputs.modalities or {"all": inputs.channels}
        assert sum(modalities.values()) == inputs.channels, "every channel belongs to one modality"
        self.encoder = Encoder(modalities, hyper.width, hyper.heads, hyper.context)
        self.dropout = nn.Dropout(hyper.dropout)
        whole = inputs.part is None
        self.gru = nn.GRU(hyper.context, hyper.hidden, batch_first=True) if whole else None
        self.norm = nn.LayerNorm(hyper.hidden) if whole else None
        self.dim = hyper.hidden if whole else 2 * hyper.context

    def recur(self, contexts: torch.Tensor) -> torch.Tensor:
        """The recurrent kernel, which stays outside a compiled graph: `[B, T, context] -> [B, T, hidden]`."""
        assert self.gru is not None
        return self.gru(contexts)[0]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        contexts = self.dropout((x if self.encoded else self.encoder(x)).transpose(1, 2))
        if self.norm is None:
            count = torch.arange(1, contexts.shape[1] + 1, device=x.device, dtype=x.dtype)
            return torch.cat([contexts, contexts.cumsum(dim=1) / count[:, None]], dim=2)
        return self.dropout(self.norm(self.recur(contexts)))

    @classmethod
    def module_of(cls, modality: str) -> str:
        return f"encoder.project.{_key(modality)}"
