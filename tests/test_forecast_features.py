"""tasks/forecast/features.py: a target or a channel that nothing looks at is not left without a word."""

from __future__ import annotations

import pytest
import torch

import backbones
from backbones import ForecastSpec, ModelSpec
from backbones.model import build_model, check_head
from errors import UsageError
from tasks.forecast.features import MIXING

from .runs import go

UNLEARNED = ("boosted_known",)  # they look at nothing before they have learned from something


def lagging(generator: torch.Generator) -> list[torch.Tensor]:
    """A stretch [2, 500] whose channel 0 goes where channel 1 was a step before."""
    leads = torch.randn(501, generator=generator)
    return [torch.stack([leads[:-1].cumsum(0), leads[1:]])]


def mixing(name: str) -> bool | None:
    """Whether a forecast of channel 0 depends on channel 1, found by its gradient; None where it does not forecast."""
    try:
        check_head(name, "forecast")
        sizes = {"channels": 2, "length": 48, "outputs": 1, "horizon": 6, "forecast": ForecastSpec(6, (0,), 1, 0, 0)}
        model = build_model(ModelSpec(backbone=name, head="forecast", args={}, **sizes))
    except UsageError:
        return None
    generator = torch.Generator().manual_seed(1)
    for value in (*model.parameters(), *model.buffers()):
        if value.is_floating_point() and not value.any():  # closed forms begin with weights of 0
            value.data.normal_(0, 0.1, generator=generator)
    if name in UNLEARNED:
        model.backbone.fit(lagging(generator), lagging(generator), lagging(generator))
    x = torch.randn(3, 2, 48, generator=generator).requires_grad_()
    if model.backbone.reads_history:  # in numpy, without gradients
        return None
    (grad,) = torch.autograd.grad(model.eval()(x).sum(), x)
    return bool(grad[:, 1].any())


@pytest.mark.parametrize("name", backbones.names())
def test_a_backbone_says_whether_it_forecasts_a_channel_from_itself_alone(name):
    found = mixing(name)
    assert found is None or found != backbones.backbone_class(name).separate
    assert name not in MIXING or found


def test_a_target_without_features_is_forecast_from_all_channels_which_is_told(tmp_path):
    line = "--mode train --task forecast --demo --context-len 24 --horizon 6 --dry-run --target north"
    done = go(tmp_path, line)
    assert done.code == 0 and "target: forecast from all channels (--features MS); --features S looks" in done.err
    assert done.out == go(tmp_path, line, "--features MS").out
    asked = go(tmp_path, line, "--features M")
    assert asked.code == 0 and "warning: --target does nothing with --features M" in asked.err
    for features in ("S", "MS"):
        quiet = go(tmp_path, line, f"--features {features}")
        assert quiet.code == 0 and "looks at no other" not in quiet.err


def test_what_does_not_use_the_other_channels_is_told_with_what_does(tmp_path):
    line = "--mode train --task forecast --demo --context-len 24 --horizon 6 --dry-run --target north --features MS"
    told = go(tmp_path, line, "--backbone dlinear").err
    assert "--backbone dlinear forecasts a channel from itself alone, without south, west; " in told
    assert "--backbone ridge_ensemble and --backbone itransformer and --backbone informer learn from all" in told
    for quiet in ("ridge_ensemble", "ridge", "itransformer"):
        assert "itself alone" not in go(tmp_path, line, "--backbone", quiet).err
    assert "itself alone" not in go(tmp_path, line.replace("MS", "S"), "--backbone dlinear").err
