"""backbones/copies.py: several networks as one model."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from backbones import ModelSpec
from backbones.copies import Copies, each_its_own
from backbones.model import build_model

SPEC = ModelSpec(
    backbone="tcn", channels=2, length=20, outputs=3, horizon=20, head="step", args={"filters": 4, "depth": 2}, copies=3
)


def test_copies_say_the_mean_of_what_each_says():
    torch.manual_seed(0)
    model, x = build_model(SPEC), torch.randn(4, 2, 20)
    assert isinstance(model, Copies) and model.spec == SPEC and type(model.backbone).__name__ == "TCN"
    model.eval()
    said = [member(x) for member in model.each()]
    assert not torch.allclose(said[0], said[1])
    torch.testing.assert_close(model(x), sum(said) / 3)
    assert len(model.state_dict()) == 3 * len(build_model(replace(SPEC, copies=1)).state_dict())


def test_each_learns_by_its_own_loss():
    torch.manual_seed(0)
    model, x, y = build_model(SPEC), torch.randn(4, 2, 20), torch.randn(4, 3, 20)
    alone = [build_model(replace(SPEC, copies=1)) for _ in range(3)]
    for member, one in zip(model.each(), alone, strict=True):
        one.load_state_dict(member.state_dict())
        for part in (*member.modules(), *one.modules()):
            if type(part).__name__ == "Dropout":
                part.p = 0.0

    def loss(outputs, truth):
        return ((outputs - truth) ** 2).mean().sqrt()  # not a mean over windows

    each_its_own(loss)(model.train()(x), y).backward()
    for member, one in zip(model.each(), alone, strict=True):
        (loss(one.train()(x), y) / 3).backward()
        for mine, other in zip(member.parameters(), one.parameters(), strict=True):
            torch.testing.assert_close(mine.grad, other.grad, rtol=1e-3, atol=1e-6)
    assert float(each_its_own(loss)(y + 1, y)) == pytest.approx(1)


def test_a_specification_keeps_its_copies_and_refuses_a_crowd():
    assert ModelSpec.of(SPEC.plain()) == SPEC and "copies" not in replace(SPEC, copies=1).plain()
    with pytest.raises(ValueError, match="copies"):
        ModelSpec.of({**SPEC.plain(), "copies": 10**6})
