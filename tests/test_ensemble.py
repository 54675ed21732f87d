"""backbones/ensemble.py: the weights against brute force, and members that the checkpoint no longer needs."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from backbones import ForecastSpec, ModelSpec
from backbones.ensemble import BLOCKS
from backbones.model import build_model
from backbones.stacking import choose_pull, stacked_weights, to_simplex
from errors import UsageError


def grams_of(errors):
    """errors [n, m] -> the mean products of each block, [BLOCKS, m, m]."""
    blocks = torch.from_numpy(errors).tensor_split(BLOCKS)
    return torch.stack([block.T @ block / len(errors) for block in blocks])


def test_the_nearest_point_of_the_simplex():
    for point, expected in (([0.2, 0.3, 0.5], [0.2, 0.3, 0.5]), ([2.0, 0.0], [1.0, 0.0]), ([1.0, 1.0], [0.5, 0.5])):
        assert to_simplex(torch.tensor(point)).tolist() == pytest.approx(expected)


@pytest.mark.parametrize("pull", [0.0, 0.1])
def test_weights_are_the_best_of_a_fine_grid(pull):
    rng = np.random.default_rng(3)
    errors = rng.normal(size=(400, 3)) @ np.array([[1.0, 0.5, 0.2], [0, 0.8, 0.3], [0, 0, 1.1]])
    gram = grams_of(errors).sum(0)
    weight = stacked_weights(gram, pull)
    assert weight.min() >= 0 and float(weight.sum()) == pytest.approx(1)
    strength = pull * float(gram.diagonal().mean())

    def cost(w):
        return float(w @ gram @ w) + strength * float(((w - 1 / 3) ** 2).sum())

    grid = [torch.tensor([a, b, 1 - a - b]) for a in np.linspace(0, 1, 101) for b in np.linspace(0, 1 - a, 101)]
    best = min(cost(w.double()) for w in grid)
    assert cost(weight) <= best + 1e-9


def test_a_strong_pull_makes_weights_equal_and_a_useless_member_gets_none():
    gram = torch.diag(torch.tensor([1.0, 4.0], dtype=torch.float64))
    assert stacked_weights(gram, 1e6).tolist() == pytest.approx([0.5, 0.5], abs=1e-3)
    gram = torch.tensor([[1.0, 2.0], [2.0, 9.0]], dtype=torch.float64)  # the second errs as the first does, and more
    assert stacked_weights(gram, 0.0).tolist() == pytest.approx([1.0, 0.0], abs=1e-6)


@pytest.mark.slow
def test_the_pull_is_strong_where_blocks_disagree_and_weak_where_one_member_is_better():
    rng = np.random.default_rng(0)
    noisy = rng.normal(size=(40, 12))  # twelve members, equally good, ten windows a block
    assert choose_pull(grams_of(noisy)) >= 1
    clear = rng.normal(size=(4000, 2)) * np.array([1.0, 3.0])
    assert choose_pull(grams_of(clear)) <= 0.1


FORECAST = ForecastSpec(4, (0, 1))


def stored(*lengths: int, scales: list, shifts: list) -> dict:
    """What a checkpoint of the first release keeps under "model", for members of these lengths."""
    shape = {"outputs": 2, "horizon": 4, "head": "forecast", "args": {}, "ahead": FORECAST.plain()}
    dlinear = {"backbone": "dlinear", "channels": 2, "pretrained": None, **shape}
    specs = [{**dlinear, "length": length} for length in lengths]
    described = {"members": specs, "scales": scales, "shifts": shifts}
    return {"backbone": "ensemble", "channels": 2, "length": max(lengths), "pretrained": described, **shape}


TWO = stored(12, 8, scales=[[1.0, 1.0], [0.5, 2.0]], shifts=[[0.0, 0.0], [3.0, -1.0]])


def two_members():
    torch.manual_seed(0)
    model = build_model(ModelSpec.of(TWO))
    for member in model.backbone.members:
        for weight in member.parameters():
            torch.nn.init.normal_(weight, std=0.3)
    return model


def test_a_member_with_another_scale_and_a_shorter_context_forecasts_the_same():
    """x seen by a member is its own scaling of the same values; its forecast comes back into the ensemble's."""
    model = two_members()
    x = torch.randn(5, 2, 12)
    first, second = model.backbone.members
    scale, shift = torch.tensor([[0.5], [2.0]]), torch.tensor([[3.0], [-1.0]])
    expected = 0.5 * first(x) + 0.5 * (second(x[:, :, -8:] * scale + shift) - shift) / scale
    assert torch.allclose(model(x), expected, atol=1e-5)


def test_a_stored_checkpoint_loads_by_its_old_keys_and_predicts_the_same():
    model, x = two_members(), torch.randn(5, 2, 12)
    members = [
        f"backbone.members.{i}.backbone.{name}"
        for i in (0, 1)
        for name in ("bias_remainder", "bias_trend", "remainder", "trend")
    ]
    assert sorted(model.state_dict()) == sorted([*members, "backbone.scale", "backbone.shift", "backbone.weight"])
    assert model.spec.plain() == TWO
    kept = model.state_dict() | {"backbone.weight": torch.tensor([0.25, 0.75])}
    again = build_model(ModelSpec.of(TWO))
    again.load_state_dict(kept)
    apart = model.backbone.member_outputs(x, None)
    assert torch.allclose(again(x), 0.25 * apart[0] + 0.75 * apart[1], atol=1e-6)


def test_validation_weighs_the_members_and_the_choice_is_reported():
    model = two_members().train()
    z = torch.randn(2, 200, generator=torch.Generator().manual_seed(1))
    found = model.backbone.fit([], [z], [])
    assert set(found) == {"members", "effective_members", "heaviest", "weights", "pull", "val_mse_of_members"}
    assert found["weights"] == model.backbone.weight.tolist() and sum(found["weights"]) == pytest.approx(1)
    assert found["effective_members"] == pytest.approx(1 / sum(weight**2 for weight in found["weights"]))
    assert list(found["heaviest"].values()) == sorted((w for w in found["weights"] if w), reverse=True)
    assert set(found["heaviest"]) <= {"1: dlinear on 12 steps", "2: dlinear on 8 steps"} and model.training


def test_a_blend_of_nothing_is_refused():
    with pytest.raises(UsageError, match="takes trained runs to blend"):
        build_model(ModelSpec.of(TWO | {"pretrained": None}))
