"""A backbone with the head that a task needs: windows in, `[B, K, H]` out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import torch
from torch import nn

from backbones import ForecastSpec, Hyper, ModelSpec, backbone_class, names
from backbones.alone import Alone, folded
from backbones.base import Backbone
from backbones.histories import Histories
from backbones.layers import standardise
from backbones.shapes import Shapes
from backbones.under import Under
from backbones.wide import Wide
from errors import UsageError

ByHistory = Callable[[Histories], torch.Tensor]  # `Backbone.from_histories`
LARGE = 10**9  # inputs times outputs
EFFECT_WIDTH = 32  # hidden width of the map from the covariates of a step to their effect on its forecast


class Model(nn.Module):
    """`x [B, C, T] -> [B, K, H]`: K outputs at H steps; `build_model(spec)` builds it again.

    head "pool": the tokens become one vector (the last one, or their mean) and a linear map gives K x H numbers.
    head "step": every token gives K numbers for each of the steps it stands for; H = T.
    A backbone that answers by itself has no head. Of things, whose steps are quantities in no order, a net sees all as
    the channels of one step.

    With `spec.wide` the head "pool" stands on a closed form: its outputs are added to those of one linear map of the
    window's features, which is solved before the first step. In training that map's outputs are given as `under`
    [B, K, 1], since they stay the same. While it has a second head (`alone`, see alone.py), it says what both say:
    [2 B, K, 1] in training, else [B, K, 2].
    """

    by_history: ByHistory | None = None  # see Forecaster
    wide: Under | None
    alone: Alone | None

    def __init__(self, backbone: Backbone, spec: ModelSpec) -> None:
        super().__init__()
        assert spec.head in ("pool", "step"), spec.head
        self.backbone, self.spec = backbone, spec
        self.outputs, self.horizon, self.kind = spec.outputs, spec.horizon, spec.head
        if not backbone.answers:
            each = spec.horizon if spec.head == "pool" else backbone.stride
            self.head = nn.Linear(backbone.dim, spec.outputs * each)
        map_of = Shapes if spec.shapes else Wide
        beside = {
            "trees": spec.trees,
            "boosted": spec.boosted,
            "rows": spec.rows,
            "aged": spec.aged,
            "second": spec.second,
        }
        self.wide = None if spec.wide is None else map_of(spec.wide, spec.channels, spec.length, **beside)
        self.alone = None

    def forward(self, x: torch.Tensor, under: torch.Tensor | None = None) -> torch.Tensor:
        z = self.backbone(x.flatten(1)[:, :, None] if self.spec.of_things else x)
        if self.backbone.answers:
            return z
        if self.kind == "pool":
            token = pooled(self.backbone, z)
            y = self.head(token).unflatten(1, (self.outputs, self.horizon))
            under = self.wide(x) if under is None and self.wide is not None else under
            y = y if under is None else y + under
            return y if self.alone is None else torch.cat([y, self.alone(token, x)], dim=0 if self.training else 2)
        steps = self.head(z).unflatten(2, (self.outputs, self.backbone.stride))  # [B, T', K, stride]
        return steps.permute(0, 2, 1, 3).flatten(2)[..., -self.horizon :]

    @torch.no_grad()
    def take_of_head(self, share: float) -> None:
        """Take a share of what the head says: none, before it has learned what the closed form leaves."""
        for part in self.head.parameters():
            part.mul_(share)

    def learn_alone_too(self, says: str) -> Alone:
        """Have a second head from now on; `says`: what the solved map says, "change" or "level"."""
        assert isinstance(self.wide, Wide)
        self.alone = Alone(self.backbone.dim, self.wide, says).to(self.wide.weight.device)
        return self.alone

    def fold(self, state: Mapping[str, torch.Tensor]) -> None:
        """Take the weights of both heads, and go on with one."""
        if self.alone is not None:
            assert isinstance(self.wide, Wide)
            state, self.alone = folded(state, self.alone, self.wide), None
        self.load_state_dict(state)


class Forecaster(nn.Module):
    """`x [B, C, T], known [B, M, T + H] -> [B, outputs, H]`, the continuation of the target channels.

    A backbone that forecasts by itself does so. Any other gets each window standardised (RevIN without its affine part,
    Kim et al. 2022, section 3.1); a linear map of its pooled tokens gives a standardised forecast, which the mean and
    scale of the window bring back. Covariates of a future step add to the forecast of that step.

    `by_history` forecasts whole histories, for a backbone that reads them; None for others.
    """

    owner: torch.Tensor

    def __init__(self, backbone: Backbone, spec: ModelSpec) -> None:
        super().__init__()
        assert spec.forecast is not None, "a forecaster without a forecast to make"
        self.backbone, self.spec, self.forecast = backbone, spec, spec.forecast
        self.by_history: ByHistory | None = backbone.from_histories if backbone.reads_history else None
        outputs, covariates = self.forecast.outputs, self.forecast.covariates
        if not backbone.forecasts:
            self.head = nn.Linear(backbone.dim, outputs * self.forecast.horizon)
            owner = torch.tensor(self.forecast.targets).repeat_interleave(self.forecast.levels)
            self.register_buffer("owner", owner, persistent=False)  # the channel that each output continues
        self.effect: nn.Sequential | None = None
        if covariates and not backbone.reads_known:
            self.effect = nn.Sequential(
                nn.Linear(covariates, EFFECT_WIDTH), nn.GELU(), nn.Linear(EFFECT_WIDTH, outputs)
            )

    def forward(self, x: torch.Tensor, known: torch.Tensor | None = None) -> torch.Tensor:
        y: torch.Tensor = self.backbone(x, known) if self.backbone.forecasts else self._from_tokens(x)
        if self.effect is not None:
            assert known is not None, "covariates without their values"
            future = known[:, self.forecast.marks :, -self.forecast.horizon :]
            y = y + self.effect(future.transpose(1, 2)).transpose(1, 2)
        return y

    def as_fitted(self) -> ForecastSpec:
        """Go on with what the fitted backbone forecasts from: it may do without time features. Returns that."""
        assert self.backbone.forecast is not None
        self.forecast = self.backbone.forecast
        self.spec = replace(self.spec, forecast=self.forecast)
        return self.forecast

    def _from_tokens(self, x: torch.Tensor) -> torch.Tensor:
        standard, mean, scale = standardise(x)
        y = self.head(pooled(self.backbone, self.backbone(standard))).unflatten(1, (-1, self.forecast.horizon))
        return y * scale.index_select(1, self.owner) + mean.index_select(1, self.owner)


def pooled(backbone: Backbone, z: torch.Tensor) -> torch.Tensor:
    """Tokens `[B, T', d]` as one vector `[B, d]`, in the way that suits the backbone."""
    return z[:, -1] if backbone.pool == "last" else z.mean(dim=1)


def build_model(spec: ModelSpec, pretrained_dir: str | None = None) -> Model | Forecaster:
    """The model that `spec` describes, with fresh weights; `model.spec` is what a checkpoint keeps.

    Parameters
    ----------
    spec : backbone, head and sizes; `spec.args` overrides the defaults of the backbone's HYPER.
    pretrained_dir : a model directory to load architecture and weights from. What `model.spec.pretrained` then
        holds builds the architecture again without the directory.

    Raises
    ------
    UsageError : for a head that the backbone does not serve, hyperparameters that do not fit each other, or a directory
        for a backbone that takes none.
    CheckpointError : for a directory that holds no fitting model.
    """
    check_head(spec.backbone, spec.head)
    if spec.copies > 1:
        from backbones.copies import Copies  # which is a Model

        built = [build_model(replace(spec, copies=1), pretrained_dir) for _ in range(spec.copies)]
        copies = Copies([one for one in built if isinstance(one, Model)])
        copies.spec = spec
        return copies
    chosen, hyper = backbone_class(spec.backbone), Hyper(spec.backbone, spec.args)
    seen = replace(spec, channels=spec.channels * spec.length, length=1) if spec.of_things else spec
    if not pretrained_dir:
        backbone = chosen.build(seen, hyper)
    elif chosen.takes_pretrained_dir:
        backbone = chosen.load_pretrained(seen, hyper, pretrained_dir)
    else:
        able = [other for other in names() if backbone_class(other).takes_pretrained_dir]
        raise UsageError(f"--pretrained-dir serves {' and '.join(able)}", where=f"--backbone {spec.backbone}")
    spec = replace(spec, pretrained=backbone.pretrained)
    return Forecaster(backbone, spec) if spec.head == "forecast" else Model(backbone, spec)


def check_sizes(spec: ModelSpec, state: Mapping[str, torch.Tensor]) -> None:
    """Whether a model can be built, and weights are those of a large one, found out before it takes the memory.

    Parameters
    ----------
    spec : the model.
    state : the weights by name.

    Raises
    ------
    RuntimeError : a target is missing, or as torch raises it for weights of other names or shapes.
    """
    if backbone_class(spec.backbone).answers and spec.head == "pool" and spec.target is None:
        raise RuntimeError("it is not said what is asked for")
    if spec.channels * spec.length * spec.outputs * spec.horizon > LARGE:
        with torch.device("meta"):
            build_model(spec).load_state_dict(state)


def check_head(name: str, head: str, kind: str = "") -> None:
    """UsageError when a backbone cannot do what a task asks of it: a head, and the kind of target under it."""
    served, kinds = backbone_class(name).heads, backbone_class(name).kinds
    if head in served and kind and kind not in kinds:
        able = [other for other in names() if head in (its := backbone_class(other)).heads and kind in its.kinds]
        raise UsageError(
            f"learns targets of the kind {' or '.join(map(repr, kinds))}, and these targets are of the kind {kind!r}",
            where=f"--backbone {name}",
            hint=f"for this task take {', '.join(able)}",
        )
    if head not in served:
        able = [other for other in names() if head in backbone_class(other).heads]
        raise UsageError(
            f"has no {head!r} head, only {' and '.join(served)}",
            where=f"--backbone {name}",
            hint=f"for this task take {', '.join(able)}",
        )
