"""backbones/multiscale.py: the published block, held against loops over heads, steps and pairs."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import backbones
import cli
from backbones import Hyper, ModelSpec
from backbones.model import build_model
from backbones.multiscale import Block, ReferenceBlock
from errors import UsageError
from experiments import config_file
from studies.spaces import space_of

DIM, HEADS = 8, 2


def norm(x: np.ndarray, layer: torch.nn.LayerNorm) -> np.ndarray:
    mean, var = x.mean(axis=-1, keepdims=True), x.var(axis=-1, keepdims=True)
    return (x - mean) / np.sqrt(var + layer.eps) * array(layer.weight) + array(layer.bias)


def array(value: torch.Tensor) -> np.ndarray:
    return value.detach().double().numpy()


def attention(x: np.ndarray, layer: torch.nn.Module) -> np.ndarray:
    """One sequence [T, d], head by head, step by step."""
    steps, width = len(x), DIM // HEADS
    weight, found = array(layer.qkv.weight), np.zeros((steps, DIM))
    for head in range(HEADS):
        part = slice(head * width, (head + 1) * width)
        q, k, v = (x @ weight[which * DIM : (which + 1) * DIM][part].T for which in range(3))
        for t in range(steps):
            score = np.array([q[t] @ k[s] / math.sqrt(width) for s in range(steps)])
            share = np.exp(score - score.max())
            found[t, part] = sum(w * v[s] for s, w in enumerate(share / share.sum()))
    return found @ array(layer.project.weight).T + array(layer.project.bias)


def block_by_loops(x: np.ndarray, block: ReferenceBlock, scale: int) -> np.ndarray:
    steps, fine = len(x), attention(norm(x, block.norm_fine), block.fine)
    h, groups = norm(x, block.norm_coarse), len(x) // scale
    coarse = np.zeros_like(x)
    if groups:
        means = np.stack([h[g * scale : (g + 1) * scale].mean(axis=0) for g in range(groups)])
        seen = attention(means, block.coarse)
        for t in range(steps):
            coarse[t] = seen[min(t // scale, groups - 1)]
    fused = np.concatenate([fine, coarse], axis=1) @ array(block.fuse.weight).T + array(block.fuse.bias)
    x = x + fused
    hidden = norm(x, block.norm_fused) @ array(block.widen.weight).T + array(block.widen.bias)
    gelu = hidden * 0.5 * (1 + np.vectorize(math.erf)(hidden / math.sqrt(2)))
    return x + gelu @ array(block.narrow.weight).T + array(block.narrow.bias)


@pytest.mark.parametrize(("steps", "scale"), [(8, 2), (9, 2), (1, 2), (11, 4), (3, 4), (12, 3)])
def test_the_published_block_is_what_loops_compute(steps: int, scale: int) -> None:
    torch.manual_seed(steps)
    block = ReferenceBlock(DIM, HEADS, scale, 4 * DIM, 0.1).eval().double()
    x = torch.randn(2, steps, DIM, dtype=torch.float64)
    wanted = np.stack([block_by_loops(row, block, scale) for row in x.numpy()])
    np.testing.assert_allclose(array(block(x)), wanted, rtol=1e-6, atol=1e-8)


def spec(**args: object) -> ModelSpec:
    return ModelSpec(backbone="multiscale", channels=1, length=60, outputs=1, horizon=60, head="step", args=args)


def test_the_published_size_has_the_published_parameters() -> None:
    model = build_model(spec(variant="reference", d_model=128, depth=4, num_heads=4, scale_factor=2, mlp_ratio=4))
    assert sum(value.numel() for value in model.parameters()) == 1_187_457


def test_attention_weights_drop_out_in_training_alone() -> None:
    torch.manual_seed(0)
    block = ReferenceBlock(DIM, HEADS, 2, 4 * DIM, 0.5)
    x = torch.randn(1, 6, DIM)
    assert not torch.equal(block.fine(x), block.fine(x))
    block.eval()
    assert torch.equal(block.fine(x), block.fine(x)) and block.fine.dropout.p == 0.5


def test_the_block_of_the_house_is_as_it_was() -> None:
    names = {"norm", "fine", "coarse", "fuse", "norm_fused", "widen", "narrow", "dropout"}
    assert {name for name, _ in Block(DIM, HEADS, 4, 4 * DIM, 0.1).named_children()} == names
    assert sum(value.numel() for value in build_model(spec()).parameters()) == 1_054_337


LINE = "--mode train --task nilm --demo --backbone multiscale --model-args"


def test_the_papers_names_are_taken_wherever_hyperparameters_are() -> None:
    words = f"{LINE} num_heads=2 scale_factor=2 mlp_ratio=2 d_model=16"
    wanted = {"heads": 2, "scale": 2, "mlp_ratio": 2.0, "d_model": 16}
    config = cli.parse(words.split())
    assert config.model_args == wanted
    assert cli.parse(f"{LINE} heads=2 scale=2 mlp-ratio=2 d_model=16".split()).model_args == wanted
    assert Hyper("multiscale", {"num_heads": 2}).heads == 2
    assert backbones.other_names("multiscale") == {"num_heads": "heads", "scale_factor": "scale"}
    assert backbones.other_names("gru") == {}
    experiment = {
        "model": {"backbone": "multiscale", "num_heads": 2, "d_model": 16},
        "training": {"optimizer_class": "optim.Adam", "criterion_class": "nn.MSELoss", "max_epochs": 1, "patience": 0},
    }
    assert config_file.parse_text(config_file.to_text(experiment)).plain()["model"]["num_heads"] == 2


def test_a_search_varies_what_it_varied(tmp_path) -> None:
    config = cli.parse(f"{LINE} depth=2".split())
    assert {name for name in space_of(config, False) if name.startswith("model_args.")} == {
        f"model_args.{key}" for key in ("d_model", "heads", "scale", "dropout")
    }
    assert "pos_weight" not in space_of(config, False)
    (tmp_path / "space.yaml").write_text("model_args.num_heads: [2, 4]\nmodel_args.variant: [house, reference]\n")
    space = space_of(config, False, str(tmp_path / "space.yaml"))
    assert space["model_args.heads"].choices == (2, 4) and len(space["model_args.variant"].choices) == 2


def test_two_names_of_one_thing_are_an_error() -> None:
    with pytest.raises(UsageError, match="num_heads is another name of heads, which is given, too"):
        cli.parse(f"{LINE} num_heads=2 heads=4".split())
    with pytest.raises(UsageError, match="did you mean scale_factor"):
        cli.parse(f"{LINE} scale_facto=2".split())
