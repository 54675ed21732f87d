"""A backbone with the head a task asks for: windows in, `[B, K, H]` out."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from backbones import HEADS, ForecastSpec, backbone_class, hyper, names
from backbones.layers import standardise
from errors import UsageError

EFFECT_WIDTH = 32  # of the map from a step's covariates to what they add to its forecast


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
            return self.head(pooled(self.backbone, z)).unflatten(1, (self.outputs, self.horizon))
        steps = self.head(z).unflatten(2, (self.outputs, self.backbone.stride))  # [B, T', K, stride]
        return steps.permute(0, 2, 1, 3).flatten(2)[..., -self.horizon :]


class Forecaster(nn.Module):
    """`x [B, C, T], known [B, M, T + H] -> [B, outputs, H]`, the continuation of the target channels.

    A backbone that forecasts by itself does. Any other sees each window standardised (RevIN without its affine part,
    Kim et al. 2022, section 3.1); a linear map of its pooled tokens is the forecast in the window's own units, brought
    back by the window's mean and scale. Covariates of a future step add to the forecast of that step.
    """

    def __init__(self, backbone: nn.Module, ahead: ForecastSpec) -> None:
        super().__init__()
        self.backbone, self.ahead = backbone, ahead
        self.alone = bool(getattr(backbone, "forecasts", False))
        if not self.alone:
            self.head = nn.Linear(backbone.dim, ahead.outputs * ahead.horizon)
            owner = torch.tensor(ahead.targets).repeat_interleave(ahead.levels)
            self.register_buffer("owner", owner, persistent=False)  # the channel that each output continues
        if ahead.covariates and not getattr(backbone, "reads_known", False):
            self.effect = nn.Sequential(
                nn.Linear(ahead.covariates, EFFECT_WIDTH), nn.GELU(), nn.Linear(EFFECT_WIDTH, ahead.outputs)
            )

    def forward(self, x: torch.Tensor, known: torch.Tensor | None = None) -> torch.Tensor:
        y = self.backbone(x, known) if self.alone else self._from_tokens(x)
        if hasattr(self, "effect"):
            assert known is not None, "covariates without their values"
            future = known[:, self.ahead.marks :, -self.ahead.horizon :]
            y = y + self.effect(future.transpose(1, 2)).transpose(1, 2)
        return y

    def _from_tokens(self, x: torch.Tensor) -> torch.Tensor:
        standard, mean, scale = standardise(x)
        y = self.head(pooled(self.backbone, self.backbone(standard))).unflatten(1, (-1, self.ahead.horizon))
        return y * scale.index_select(1, self.owner) + mean.index_select(1, self.owner)


def pooled(backbone: nn.Module, z: torch.Tensor) -> torch.Tensor:
    """Tokens `[B, T', d]` as one vector `[B, d]`, in the way that suits the backbone."""
    return z[:, -1] if backbone.pool == "last" else z.mean(dim=1)


def build_model(
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
    ahead: ForecastSpec | dict[str, Any] | None = None,
    modalities: dict[str, int] | None = None,
    part: str | None = None,
) -> Model | Forecaster:
    """Backbone `name` for windows `[B, channels, length]` under a head; `args` overrides HYPER's defaults.

    `ahead` is what head "forecast" asks for. `pretrained` is the configuration of a loaded model directory (see
    `load_pretrained` of the backbones that take one): it fixes the architecture, so that a checkpoint can rebuild the
    model without the directory. `pretrained_dir` loads such a directory: the architecture and the weights; the built
    backbone's `pretrained` is then the configuration to keep. `modalities` {name: channels}, in order, reach a backbone
    that reads them; `part` asks one with `stages` for that part alone.
    """
    check_head(name, head)
    chosen = backbone_class(name)
    ahead = ForecastSpec.of(ahead) if isinstance(ahead, dict) else ahead
    values = {key: spec["default"] for key, spec in hyper(name).items()} | args
    if getattr(chosen, "forecasts", False):
        values["ahead"] = ahead
    if getattr(chosen, "reads_modalities", False):
        values["modalities"] = modalities
    if hasattr(chosen, "stages"):
        values["part"] = part
    if pretrained_dir is not None:
        if not hasattr(chosen, "load_pretrained"):
            able = [known for known in names() if hasattr(backbone_class(known), "load_pretrained")]
            raise UsageError(f"--pretrained-dir serves {' and '.join(able)}", where=f"--backbone {name}")
        backbone = chosen.load_pretrained(channels, length, pretrained_dir, **values)
    elif pretrained is not None:
        backbone = chosen(channels, length, **values, pretrained=pretrained)
    else:
        backbone = chosen(channels, length, **values)
    if head == "forecast":
        assert ahead is not None, "a forecast of what?"
        return Forecaster(backbone, ahead)
    return Model(backbone, outputs, horizon, head)


def check_head(name: str, head: str) -> None:
    """UsageError when a backbone cannot do what a task asks of it."""
    served = getattr(backbone_class(name), "heads", HEADS)
    if head not in served:
        able = [known for known in names() if head in getattr(backbone_class(known), "heads", HEADS)]
        raise UsageError(
            f"has no {head!r} head, only {' and '.join(served)}",
            where=f"--backbone {name}",
            hint=f"for this task take {', '.join(able)}",
        )
