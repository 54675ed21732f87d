"""A backbone with the head a task asks for: windows in, `[B, K, H]` out."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from backbones import backbone_class, hyper, names
from errors import UsageError


class Model(nn.Module):
    """`x [B, C, T] -> [B, K, H]`: K outputs at H steps.

    head "pool": the tokens become one vector (the last one, or their mean) and a linear map gives K x H numbers.
    head "step": every token gives K numbers for each of the steps it speaks for; H = T.
    """

    def __init__(self, backbone: nn.Module, outputs: int, horizon: int, head: str) -> None:
        super().__init__()
        assert head in ("pool", "step"), head
        self.backbone = backbone
        self.outputs, self.horizon, self.kind = outputs, horizon, head
        self.head = nn.Linear(backbone.dim, outputs * (horizon if head == "pool" else backbone.stride))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        z = self.backbone(x)
        if self.kind == "pool":
            pooled = z[:, -1] if self.backbone.pool == "last" else z.mean(dim=1)
            return self.head(pooled).unflatten(1, (self.outputs, self.horizon))
        steps = self.head(z).unflatten(2, (self.outputs, self.backbone.stride))  # [B, T', K, stride]
        return steps.permute(0, 2, 1, 3).flatten(2)[..., -self.horizon :]


def build(
    name: str,
    channels: int,
    length: int,
    *,
    outputs: int,
    horizon: int,
    head: str,
    args: dict[str, Any],
    pretrained: dict[str, Any] | None = None,
    pretrained_dir: str | None = None,
) -> Model:
    """Backbone `name` for windows `[B, channels, length]` under a head; `args` overrides HYPER's defaults.

    `pretrained` is the configuration of a loaded model directory (see `load_pretrained` of the backbones that
    take one): it fixes the architecture, so that a checkpoint can rebuild the model without the directory.
    `pretrained_dir` loads such a directory: the architecture and the weights; the built backbone's `pretrained` is
    then the configuration to keep.
    """
    values = {key: spec["default"] for key, spec in hyper(name).items()} | args
    chosen = backbone_class(name)
    if pretrained_dir is not None:
        if not hasattr(chosen, "load_pretrained"):
            able = [known for known in names() if hasattr(backbone_class(known), "load_pretrained")]
            raise UsageError(f"--pretrained-dir serves {' and '.join(able)}", where=f"--backbone {name}")
        backbone = chosen.load_pretrained(channels, length, pretrained_dir, **values)
    elif pretrained is not None:
        backbone = chosen(channels, length, **values, pretrained=pretrained)
    else:
        backbone = chosen(channels, length, **values)
    return Model(backbone, outputs, horizon, head)
