"""The backbones that forecast in their own way: against plain loops, published sizes and what must not change them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from backbones import ForecastSpec, ModelSpec
from backbones.forecast_layers import BatchNorm, Dropout, EncoderLayer
from backbones.model import Forecaster, build_model
from errors import UsageError

torch.set_num_threads(1)

NAMES = ["dlinear", "itransformer", "patchtst", "sparsetsf"]
TINY = {"itransformer": {"d_model": 16, "heads": 2, "d_ff": 16}, "patchtst": {"layers": 1, "patch": 8, "stride": 4}}


def make(name: str, channels: int, length: int, horizon: int, *, targets=None, levels=1, marks=0, covariates=0, **args):
    torch.manual_seed(0)
    forecast = ForecastSpec(horizon, tuple(range(channels)) if targets is None else targets, levels, marks, covariates)
    model = build_model(spec_of(name, channels, length, forecast, TINY.get(name, {}) | args))
    assert isinstance(model, Forecaster)
    return model.eval()


def spec_of(name: str, channels: int, length: int, forecast: ForecastSpec, args: dict) -> ModelSpec:
    sizes = {"channels": channels, "length": length, "outputs": forecast.outputs, "horizon": forecast.horizon}
    return ModelSpec(backbone=name, head="forecast", forecast=forecast, args=args, **sizes)


def published(name: str, length: int, horizon: int, **args) -> int:
    """Parameters at the defaults of HYPER, for 7 channels."""
    model = build_model(spec_of(name, 7, length, ForecastSpec(horizon, tuple(range(7))), args))
    return sum(p.numel() for p in model.parameters())


def randomised(model: nn.Module) -> nn.Module:
    """Weights that no start gives, so that a mistake in the use of any of them shows."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.3)
    return model


def windows(batch: int, channels: int, length: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(batch, channels, length, generator=torch.Generator().manual_seed(1)).to(dtype)


# What all of them keep


@pytest.mark.parametrize("length, horizon, channels", [(4, 1, 1), (5, 3, 7), (31, 50, 2), (96, 24, 3)])
@pytest.mark.parametrize("name", NAMES)
def test_shapes_and_finite_values(name, length, horizon, channels):
    for targets, levels in ((tuple(range(channels)), 1), ((channels - 1,), 3)):
        model = make(name, channels, length, horizon, targets=targets, levels=levels).train()
        shape = (3, channels, length)
        for x in (windows(*shape), torch.full(shape, 1e4), torch.zeros(shape)):
            for dtype in (torch.float32, torch.bfloat16):
                model.zero_grad()
                with torch.autocast("cpu", torch.bfloat16, enabled=dtype is torch.bfloat16):
                    y = model(x)
                y.float().mean().backward()
                assert y.shape == (3, len(targets) * levels, horizon) and y.isfinite().all()
                assert all(p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("name", NAMES)
def test_eval_is_deterministic_and_compiles_without_a_break(name):
    torch._dynamo.reset()
    model, x = make(name, 3, 20, 6, targets=(2, 0), levels=2), windows(4, 3, 20)
    expected = model(x)
    assert torch.equal(expected, model(x))
    torch.testing.assert_close(torch.compile(model, backend="eager", fullgraph=True)(x), expected)
    compiled = torch.compile(model.train(), backend="eager", fullgraph=True)
    compiled(x).mean().backward()


@pytest.mark.parametrize("targets", [(3, 1), (2, 0, 3, 1)])
@pytest.mark.parametrize("name", NAMES)
def test_targets_are_forecast_in_the_order_asked_for(name, targets):
    every, some = make(name, 4, 20, 6), make(name, 4, 20, 6, targets=targets)
    some.load_state_dict(every.state_dict())
    x = windows(5, 4, 20)
    torch.testing.assert_close(some(x), every(x)[:, targets])


@pytest.mark.parametrize("name", NAMES)
def test_levels_of_a_target_stand_together(name):
    """With only the last level's rows of the last map left, only the last row of each target moves."""
    model = randomised(make(name, 3, 20, 6, targets=(0, 2), levels=3))
    backbone, x = model.backbone, windows(2, 3, 20)
    before = model(x)
    last = {"dlinear": "remainder", "sparsetsf": "periods"}.get(name, "head")
    weight = getattr(backbone, last)
    weight = (weight if isinstance(weight, nn.Parameter) else weight.weight).detach()
    rows = weight[0] if name == "dlinear" else weight
    rows[2 * len(rows) // 3 :] += 1.0
    moved = (model(x) - before).abs().amax(dim=(0, 2)) > 1e-3
    assert moved.tolist() == [False, False, True] * 2


@pytest.mark.parametrize(
    "name, args, shift, scale",
    [
        ("dlinear", {}, False, False),
        ("dlinear", {"norm": True}, True, False),
        ("sparsetsf", {}, True, True),
        ("patchtst", {}, True, True),
        ("itransformer", {}, True, True),
    ],
)
def test_forecasts_follow_the_level_and_scale_of_a_window(name, args, shift, scale):
    model, x = randomised(make(name, 3, 20, 6, **args)).double(), windows(4, 3, 20, torch.float64)
    assert torch.allclose(model(x + 7), model(x) + 7) is shift
    # The floor under a window's variance, 1e-5, is what scales do not carry.
    assert torch.allclose(model(x * 5), model(x) * 5, rtol=1e-3, atol=1e-3) is scale


@pytest.mark.parametrize("name", ["dlinear", "sparsetsf", "patchtst"])
def test_channels_do_not_reach_each_other(name):
    model, x = randomised(make(name, 3, 20, 6)), windows(4, 3, 20)
    other = x.clone()
    other[:, 1] = 2 * other[:, 1].flip(1) + 3
    one, two = model(x), model(other)
    torch.testing.assert_close(one[:, [0, 2]], two[:, [0, 2]])
    assert (one[:, 1] - two[:, 1]).abs().max() > 1e-3


@pytest.mark.parametrize("name", NAMES)
def test_learns_a_noisy_wave(name):
    """Six dozen steps of Adam against repeating the last value, on waves of one period at any phase and level."""
    rng = np.random.default_rng(3)
    start, level = rng.uniform(0, 12, size=(512, 2, 1)), rng.normal(size=(512, 2, 1))
    series = np.sin(2 * np.pi * (start + np.arange(48)) / 12) + level + 0.1 * rng.normal(size=(512, 2, 48))
    x, y = torch.tensor(series, dtype=torch.float32).split([36, 12], dim=2)
    args = {"sparsetsf": {"period": 12}, "dlinear": {"norm": True}, "patchtst": {"dropout": 0.0}}.get(name, {})
    model = make(name, 2, 36, 12, **args).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-2 if name == "sparsetsf" else 1e-2)
    for step in range(72):
        part = slice(64 * (step % 6), 64 * (step % 6) + 64)
        optimizer.zero_grad()
        (model(x[part]) - y[part]).square().mean().backward()
        optimizer.step()
    held = slice(384, 512)
    error = (model.eval()(x[held]) - y[held]).square().mean()
    assert error < 0.1 * (x[held, :, -1:] - y[held]).square().mean()


# DLinear


def plain_dlinear(backbone: nn.Module, x: np.ndarray, channel: int) -> np.ndarray:
    """One window of one channel: the average of each step's neighbours, then the two maps."""
    kernel, length = backbone.kernel, len(x)
    before = (kernel - 1) // 2
    trend = np.array(
        [np.mean([x[min(max(t + o, 0), length - 1)] for o in range(-before, kernel - before)]) for t in range(length)]
    )
    group = channel if len(backbone.trend) > 1 else 0
    of_trend, of_rest = (w[group].detach().numpy() for w in (backbone.trend, backbone.remainder))
    bias = sum(b.detach().numpy().reshape(len(backbone.trend), -1)[group] for b in
               (backbone.bias_trend, backbone.bias_remainder))  # fmt: skip
    return of_trend @ trend + of_rest @ (x - trend) + bias


@pytest.mark.parametrize("individual", [False, True])
@pytest.mark.parametrize("length, kernel", [(31, 25), (4, 25), (12, 6), (12, 1), (2, 3), (1, 5)])
def test_dlinear_equals_a_plain_loop(length, kernel, individual):
    model = randomised(make("dlinear", 3, length, 5, kernel=kernel, individual=individual)).double()
    x = windows(2, 3, length, torch.float64)
    expected = [[plain_dlinear(model.backbone, x[b, c].numpy(), c) for c in range(3)] for b in range(2)]
    np.testing.assert_allclose(model(x).detach().numpy(), expected, rtol=1e-10, atol=1e-10)


def test_dlinear_with_norm_forecasts_the_difference_to_the_last_value():
    model = randomised(make("dlinear", 1, 12, 5, norm=True)).double()
    x = windows(1, 1, 12, torch.float64)[0, 0].numpy()
    expected = plain_dlinear(model.backbone, x - x[-1], 0) + x[-1]
    np.testing.assert_allclose(model(torch.tensor(x).view(1, 1, -1)).detach().numpy()[0, 0], expected, rtol=1e-10)


def test_dlinear_starts_at_the_mean_of_the_window():
    model, x = make("dlinear", 2, 36, 5), windows(3, 2, 36)
    mean_and_bias = x.mean(dim=2, keepdim=True) + model.backbone.bias_trend + model.backbone.bias_remainder
    torch.testing.assert_close(model(x), mean_and_bias)


def test_dlinear_has_the_published_parameters():
    assert published("dlinear", 96, 96) == 18_624
    assert published("dlinear", 96, 720) == 139_680  # 139.7K in the paper's table of efficiency
    assert published("dlinear", 336, 96, individual=True) == 7 * 2 * (336 * 96 + 96)


# SparseTSF


def plain_sparsetsf(kernel: np.ndarray, weight: np.ndarray, x: np.ndarray, period: int, horizon: int) -> np.ndarray:
    """One window of one channel, one phase at a time."""
    mean, half = x.mean(), period // 2
    x = np.concatenate([np.full(-len(x) % period, x[0]), x]) - mean
    smooth = [sum(kernel[o + half] * x[t + o] for o in range(-half, half + 1) if 0 <= t + o < len(x)) + x[t]
              for t in range(len(x))]  # fmt: skip
    y = np.zeros((len(weight), period))
    for phase in range(period):
        y[:, phase] = weight @ np.array(smooth[phase::period])
    return y.flatten()[:horizon] + mean


@pytest.mark.parametrize("length, horizon, period", [(48, 24, 24), (31, 40, 12), (5, 1, 24), (20, 13, 7), (6, 4, 1)])
def test_sparsetsf_equals_a_plain_loop(length, horizon, period):
    model = randomised(make("sparsetsf", 2, length, horizon, period=period)).double()
    kernel, weight = (p.detach().numpy() for p in (model.backbone.kernel, model.backbone.periods.weight))
    x = windows(2, 2, length, torch.float64)
    expected = [[plain_sparsetsf(kernel, weight, x[b, c].numpy(), period, horizon) for c in range(2)] for b in range(2)]
    np.testing.assert_allclose(model(x).detach().numpy(), expected, rtol=1e-9, atol=1e-9)


def test_sparsetsf_has_the_published_parameters():
    """n m + 2 floor(w / 2) + 1: 925 weights for two 720-step sides, "less than 1k" in the paper's title and table."""
    assert published("sparsetsf", 720, 720) == 30 * 30 + 25 == 925
    assert published("sparsetsf", 720, 96) == 30 * 4 + 25 == 145


# PatchTST


def test_patchtst_has_the_parameters_its_sizes_say():
    d, hidden, patch, patches, horizon = 16, 128, 16, 42, 96  # ETTh1: (336 - 16) / 8 + 2 patches
    layer = 4 * (d * d + d) + (2 * d * hidden + hidden + d) + 2 * 2 * d
    embeddings = patch * d + d + patches * d
    assert published("patchtst", 336, 96) == embeddings + 3 * layer + patches * d * horizon + horizon == 81_728


@pytest.mark.parametrize("length, patch, stride, patches", [(20, 8, 4, 5), (22, 8, 4, 6), (4, 16, 8, 2), (9, 3, 3, 4)])
def test_patchtst_cuts_standardised_windows_from_their_newest_step(length, patch, stride, patches):
    backbone = randomised(make("patchtst", 1, length, 5, patch=patch, stride=stride)).double().backbone
    x = windows(1, 1, length, torch.float64)
    values = x[0, 0].numpy()
    scale = math.sqrt(values.var() + 1e-5)
    standard = (values - values.mean()) / scale
    beyond = {t: standard[min(max(t, 0), length - 1)] for t in range(-2 * patch, length + stride)}
    starts = [length + stride - patch - stride * i for i in reversed(range(patches))]
    assert starts[0] <= 0 < starts[0] + stride or length < patch
    cut = torch.tensor([[beyond[start + i] for i in range(patch)] for start in starts])
    h = cut @ backbone.embed.weight.T + backbone.embed.bias + backbone.positions
    for layer in backbone.layers:
        h = layer(h.unsqueeze(0))[0]
    y = (h.flatten() @ backbone.head.weight.T + backbone.head.bias) * scale + values.mean()
    torch.testing.assert_close(backbone(x)[0, 0], y)


def test_patchtst_refuses_what_does_not_fit():
    with pytest.raises(UsageError, match="d_model 16 does not split into 3 heads"):
        make("patchtst", 1, 20, 5, heads=3)
    with pytest.raises(UsageError, match="stride 9 leaves steps out between patches of 8"):
        make("patchtst", 1, 20, 5, stride=9)


# iTransformer


def test_itransformer_has_the_parameters_its_sizes_say():
    d, hidden, length, horizon = 128, 128, 96, 96  # ETTm1
    layer = 4 * (d * d + d) + (2 * d * hidden + hidden + d) + 2 * 2 * d
    assert published("itransformer", 96, 96) == length * d + d + 2 * layer + 2 * d + d * horizon + horizon == 224_224


def test_itransformer_knows_no_order_of_channels():
    model = randomised(make("itransformer", 5, 20, 6, marks=2, covariates=4))
    x, known, order = windows(4, 5, 20), windows(4, 6, 26), [3, 0, 4, 1, 2]
    torch.testing.assert_close(model(x[:, order], known), model(x, known)[:, order])


def test_itransformer_mixes_channels():
    model, x = randomised(make("itransformer", 3, 20, 6)), windows(4, 3, 20)
    other = x.clone()
    other[:, 1] = other[:, 1].flip(1)
    assert (model(x)[:, 0] - model(other)[:, 0]).abs().max() > 1e-3


def test_itransformer_reads_marks_over_the_context_and_covariates_to_the_end():
    model = randomised(make("itransformer", 2, 20, 6, marks=2, covariates=1))
    x, known = windows(4, 2, 20), windows(4, 3, 26)

    def moves(row: int, step: int) -> bool:
        other = known.clone()
        other[:, row, step] += 1.0
        return bool((model(x, other) - model(x, known)).abs().max() > 1e-4)

    assert [moves(0, 19), moves(0, 20), moves(1, 0), moves(2, 0), moves(2, 25)] == [True, False, True, True, True]
    assert model.effect is None
    assert model(x, known).shape == (4, 2, 6)


def test_marks_share_the_embedding_of_the_channels():
    model, plain = make("itransformer", 2, 20, 6, marks=3), make("itransformer", 2, 20, 6)
    assert list(model.state_dict()) == list(plain.state_dict())


# The layers they share


@pytest.mark.parametrize("heads", [1, 4])
def test_encoder_layer_equals_torchs(heads):
    ours = randomised(EncoderLayer(16, heads, 24, 0.1, nn.LayerNorm)).eval()
    theirs = nn.TransformerEncoderLayer(16, heads, 24, activation="gelu", batch_first=True).eval()
    names = {
        "attention.qkv.weight": "self_attn.in_proj_weight", "attention.qkv.bias": "self_attn.in_proj_bias",
        "attention.out": "self_attn.out_proj", "norm_attention": "norm1", "widen": "linear1", "narrow": "linear2",
        "norm": "norm2",
    }  # fmt: skip
    state = {}
    for key, value in ours.state_dict().items():
        stem, _, kind = key.rpartition(".")
        state[names.get(key) or f"{names[stem]}.{kind}"] = value
    theirs.load_state_dict(state)
    h = windows(3, 7, 16)
    torch.testing.assert_close(ours(h), theirs(h))


def test_batch_norm_is_over_windows_and_tokens():
    norm, h = BatchNorm(5).train(), windows(3, 7, 5)
    flat = h.reshape(-1, 5)
    expected = (flat - flat.mean(dim=0)) / (flat.var(dim=0, correction=0) + 1e-5).sqrt()
    torch.testing.assert_close(norm(h), expected.view(3, 7, 5))


@pytest.mark.parametrize("p", [0.001, 0.1, 0.3, 0.9])
def test_dropout_drops_what_it_says_and_keeps_the_mean(p):
    torch.manual_seed(0)
    layer, x = Dropout(p), torch.ones(401, 999, requires_grad=True)
    y = layer(x)
    dropped = max(1, round(256 * p)) / 256
    deviation = math.sqrt(dropped * (1 - dropped) / x.numel())
    assert abs(float((y == 0).float().mean()) - dropped) < 4 * deviation
    assert set(y.unique().tolist()) == {0.0, float(torch.tensor(1 / (1 - dropped)))}
    y.sum().backward()
    assert torch.equal(x.grad, y.detach())
    assert torch.equal(layer.eval()(x), x)


def test_dropout_follows_the_seed_and_neighbours_are_independent():
    layer, x = Dropout(0.5), torch.ones(100_001)
    torch.manual_seed(4)
    first = layer(x)
    torch.manual_seed(4)
    assert torch.equal(first, layer(x)) and not torch.equal(first, layer(x))
    kept = first.bool()
    for lag in (1, 2, 8):
        both = float((kept[lag:] & kept[:-lag]).float().mean())
        assert abs(both - 0.25) < 4 * math.sqrt(0.25 * 0.75 / len(kept))
