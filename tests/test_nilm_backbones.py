"""The backbones that label every step: their layers against plain loops, what a token sees, windows of any length."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from backbones import ModelSpec, multiscale, seq2point, tcn, tpnn, unet
from backbones.layers import position_table, repeat_last
from backbones.model import build_model
from errors import UsageError

torch.set_num_threads(1)

CHANNELS = 3


def make(name: str, length: int = 31, channels: int = CHANNELS, **args) -> nn.Module:
    """A backbone whose batch norms have seen data, so that none is the identity."""
    torch.manual_seed(0)
    sizes = {"channels": channels, "length": length, "outputs": 1, "horizon": length, "head": "step"}
    backbone = build_model(ModelSpec(backbone=name, args=args, **sizes)).backbone
    for part in backbone.modules():
        if isinstance(part, nn.BatchNorm1d):
            unsettle(part)
    return backbone.eval()


def unsettle(norm: nn.BatchNorm1d) -> None:
    with torch.no_grad():
        norm.running_mean.uniform_(-0.2, 0.2)
        norm.running_var.uniform_(0.5, 2.0)
        norm.weight.uniform_(0.5, 2.0)
        norm.bias.uniform_(-0.2, 0.2)


def windows(length: int = 31, batch: int = 2, channels: int = CHANNELS) -> torch.Tensor:
    return torch.randn(batch, channels, length, generator=torch.Generator().manual_seed(1))


def parameters(backbone: nn.Module) -> int:
    return sum(p.numel() for p in backbone.parameters())


def steps_that_change(backbone: nn.Module, length: int, step: int) -> list[int]:
    """The tokens that differ at all when one step of the window does."""
    x = windows(length)
    other = x.clone()
    other[:, :, step] += 5.0
    with torch.no_grad():
        changed = (backbone(x) != backbone(other)).any(dim=2).any(dim=0)
    return changed.nonzero().flatten().tolist()


def convolution_loop(x: np.ndarray, weight: np.ndarray, dilation: int, before: int) -> np.ndarray:
    """`x [C, T]`, `weight [out, C, kernel]` -> `[out, T]`: the first tap lies `before` steps back; beyond is zero."""
    out, channels, kernel = weight.shape
    length = x.shape[1]
    y = np.zeros((out, length))
    for o in range(out):
        for t in range(length):
            for c in range(channels):
                for k in range(kernel):
                    at = t - before + k * dilation
                    if 0 <= at < length:
                        y[o, t] += weight[o, c, k] * x[c, at]
    return y


def normed_relu(y: np.ndarray, norm: nn.BatchNorm1d) -> np.ndarray:
    mean, variance = norm.running_mean.numpy()[:, None], norm.running_var.numpy()[:, None]
    scaled = (y - mean) / np.sqrt(variance + norm.eps)
    return np.maximum(0.0, scaled * norm.weight.detach().numpy()[:, None] + norm.bias.detach().numpy()[:, None])


# Windows of any length


@pytest.mark.parametrize("length", [*range(1, 20), 599])
@pytest.mark.parametrize("name", ["multiscale", "seq2point", "tpnn", "unet"])
def test_one_window_of_any_length_trains(name, length):
    """Batch norm has nothing to normalise by where one window leaves one value: no pooling may go so far."""
    args = {"multiscale": {"d_model": 8}, "seq2point": {"hidden": 4}, "tpnn": {"filters": 4}, "unet": {"filters": 2}}
    backbone = make(name, length, **args[name]).train()
    z = backbone(windows(length, batch=1))
    assert z.shape == (1, length, backbone.dim)
    z.sum().backward()
    assert all(p.grad.isfinite().all() for p in backbone.parameters() if p.grad is not None)


@pytest.mark.parametrize("name", ["tpnn", "unet"])
def test_a_window_that_does_not_halve_stands_before_repeats_of_its_last_value(name):
    x = windows(21)
    longer = torch.cat([x, x[:, :, -1:], x[:, :, -1:], x[:, :, -1:]], dim=2)
    backbone = make(name, 21)
    with torch.no_grad():
        assert torch.equal(backbone(x), backbone(longer)[:, :21])


def test_repeats_reach_the_next_multiple_and_two_of_them_at_least():
    lengths = [repeat_last(windows(length), 8).shape[2] for length in (1, 8, 15, 16, 17, 24)]
    assert lengths == [16, 16, 16, 16, 24, 24]


# U-Net


def test_unet_has_the_parameters_its_sizes_say():
    levels, kernel, filters = 3, 5, 4
    count = 0
    for level in range(levels):
        width = filters * 2**level
        entering = CHANNELS if level == 0 else width // 2
        count += kernel * width * (entering + width) + 4 * width
        if level < levels - 1:  # the way up: enlarge from twice the width, then take both halves
            count += 2 * width * width * 2 + width + kernel * width * (2 * width + width) + 4 * width
    assert parameters(make("unet", filters=filters, levels=levels, kernel=kernel)) == count


def test_unet_convolutions_equal_a_plain_loop():
    torch.manual_seed(0)
    block = unet.TwoConvolutions(2, 3, 5).eval()
    unsettle(block[1])
    unsettle(block[4])
    x = windows(11, channels=2)
    y = x[0].double().numpy()
    for convolve, norm in ((block[0], block[1]), (block[3], block[4])):
        y = normed_relu(convolution_loop(y, convolve.weight.detach().numpy(), 1, 2), norm)
    np.testing.assert_allclose(block(x)[0].detach().numpy(), y, rtol=1e-4, atol=1e-5)


def test_unet_equals_its_figure():
    """Two levels, written out: down, pool, down, enlarge, join, up."""
    backbone = make("unet", filters=2, levels=2, kernel=3)
    x = windows(12)
    with torch.no_grad():
        top = backbone.down[0](x)
        low = backbone.down[1](torch.maximum(top[:, :, 0::2], top[:, :, 1::2]))
        enlarge = backbone.enlarge[0]
        halves = [torch.einsum("bct,cd->bdt", low, enlarge.weight[:, :, tap]) for tap in (0, 1)]
        doubled = torch.stack(halves, dim=3).flatten(2) + enlarge.bias[:, None]
        expected = backbone.up[0](torch.cat([top, doubled], dim=1)).transpose(1, 2)
        torch.testing.assert_close(backbone(x), expected)


# Temporal convolution network


@pytest.mark.parametrize("causal", [False, True])
def test_tcn_block_equals_a_plain_loop(causal):
    torch.manual_seed(0)
    block = tcn.Block(2, 3, kernel=3, dilation=4, dropout=0.5, causal=causal).eval()
    unsettle(block.first.norm)
    unsettle(block.second.norm)
    x = windows(15, channels=2)
    y = x[0].double().numpy()
    around = block.around.weight.detach().numpy()[:, :, 0] @ y + block.around.bias.detach().numpy()[:, None]
    for part in (block.first, block.second):
        y = normed_relu(convolution_loop(y, part.convolve.weight.detach().numpy(), 4, 8 if causal else 4), part.norm)
    np.testing.assert_allclose(block(x)[0].detach().numpy(), np.maximum(0.0, around + y), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("depth, kernel", [(1, 3), (3, 3), (2, 5)])
def test_a_causal_tcn_sees_its_own_step_and_those_before_it(depth, kernel):
    backbone = make("tcn", 60, filters=16, depth=depth, kernel=kernel, causal=True)
    assert backbone.causal and backbone.pool == "last"
    reach = 2 * (kernel - 1) * (2**depth - 1)  # the formula of the module, less the step itself
    assert 0 < reach < 30
    for step in (0, 20, 59):
        assert steps_that_change(backbone, 60, step) == list(range(step, min(60, step + reach + 1)))


def test_a_tcn_that_is_not_causal_sees_as_far_ahead_as_back():
    backbone = make("tcn", 60, filters=16, depth=3, kernel=3)
    assert not backbone.causal and backbone.pool == "mean"
    assert steps_that_change(backbone, 60, 30) == list(range(30 - 14, 30 + 14 + 1))


def test_a_causal_tcn_streams():
    """What it says of a step does not depend on where the window before it starts, beyond its reach."""
    backbone = make("tcn", 60, filters=8, depth=2, causal=True)
    x = windows(60)
    with torch.no_grad():
        torch.testing.assert_close(backbone(x[:, :, 20:])[:, 12:], backbone(x)[:, 32:])


def test_tcn_has_the_parameters_its_sizes_say():
    filters, depth, kernel = 8, 3, 5
    first = kernel * filters * (CHANNELS + filters) + CHANNELS * filters + filters
    others = (depth - 1) * kernel * filters * 2 * filters
    norms = depth * 2 * 2 * filters
    assert parameters(make("tcn", filters=filters, depth=depth, kernel=kernel)) == first + others + norms


# Temporal pooling


@pytest.mark.parametrize("length, scale", [(12, 4), (13, 5), (3, 30)])
def test_a_pooled_branch_equals_a_plain_loop(length, scale):
    torch.manual_seed(0)
    branch = tpnn.Pooled(2, 3, scale)
    h = windows(length, channels=2)
    y = h[0].double().numpy()
    wide = min(scale, length)
    means = np.array([y[:, start : start + wide].mean(axis=1) for start in range(0, length, wide)]).T
    squeezed = branch.squeeze.weight.detach().numpy()[:, :, 0] @ means + branch.squeeze.bias.detach().numpy()[:, None]
    coarse = np.maximum(0.0, squeezed)
    # Linear interpolation: the coarse values lie in the middle of equal parts of the length.
    count = coarse.shape[1]
    middles = (np.arange(count) + 0.5) * length / count - 0.5
    expected = np.stack([np.interp(np.arange(length), middles, row) for row in coarse])
    np.testing.assert_allclose(branch(h)[0].detach().numpy(), expected, rtol=1e-4, atol=1e-5)


def test_tpnn_has_the_parameters_its_sizes_say():
    filters = 8
    widths = [CHANNELS, filters, 2 * filters, 4 * filters, 8 * filters]
    encoder = sum(3 * a * b + 2 * b for a, b in pairwise(widths))
    pooled = 4 * (8 * filters * 2 * filters + 2 * filters)
    enlarge = 16 * filters * filters * 8 + filters
    assert parameters(make("tpnn", filters=filters)) == encoder + pooled + enlarge


# Sequence to point


def test_a_point_is_the_published_network_on_the_steps_about_it():
    """Away from the window's ends, each token equals the stack run, without padding, on a cut of its own."""
    around, length = 7, 61
    backbone = make("seq2point", length, around=around, hidden=5)
    x = windows(length)
    layers = [layer for layer in backbone.convolve if isinstance(layer, nn.Conv1d)]
    kernels = [layer.kernel_size[0] for layer in layers]
    assert kernels == [10, 8, 6, 5, 5, around]
    assert [layer.out_channels for layer in layers] == [30, 30, 40, 50, 50, 5]
    before = sum((kernel - 1) // 2 for kernel in kernels)
    after = sum(kernel // 2 for kernel in kernels)
    with torch.no_grad():
        tokens = backbone(x)
        for step in range(before, length - after):
            cut = x[:, :, step - before : step + after + 1]
            for layer in layers:
                cut = F.relu(F.conv1d(cut, layer.weight, layer.bias))
            torch.testing.assert_close(cut, tokens[:, step].unsqueeze(2))


@pytest.mark.parametrize("length, kept", [(61, 61), (31, 61), (30, 59), (1, 1)])
def test_seq2point_has_the_parameters_its_sizes_say(length, kept):
    hidden, entering, count = 16, CHANNELS, 0
    for kernel, filters in seq2point.CONVOLUTIONS:
        count += filters * (kernel * entering + 1)
        entering = filters
    assert parameters(make("seq2point", length, hidden=hidden)) == count + hidden * (50 * kept + 1)


# Transformer of two resolutions


def attention_loop(x: np.ndarray, weight: np.ndarray, heads: int) -> np.ndarray:
    """Multi-head attention of `x [T, d]` with stacked maps `weight [3 d, d]`, one query at a time."""
    tokens, dim = x.shape
    width = dim // heads
    q, k, v = (x @ part.T for part in np.split(weight, 3))
    out = np.zeros_like(x)
    for head in range(heads):
        of = slice(head * width, (head + 1) * width)
        for i in range(tokens):
            scores = np.array([q[i, of] @ k[j, of] / math.sqrt(width) for j in range(tokens)])
            share = np.exp(scores - scores.max())
            out[i, of] = (share / share.sum()) @ v[:, of]
    return out


@pytest.mark.parametrize("length, scale", [(8, 4), (9, 4), (3, 4), (11, 3)])
def test_multiscale_block_equals_a_plain_loop(length, scale):
    dim, heads = 8, 2
    torch.manual_seed(0)
    block = multiscale.Block(dim, heads, scale, 4 * dim, dropout=0.5).double().eval()
    x = torch.randn(1, length, dim, dtype=torch.float64)
    weights = {key: value.numpy() for key, value in block.state_dict().items()}

    def normed(h: np.ndarray) -> np.ndarray:  # a fresh LayerNorm scales by one and shifts by nothing
        return (h - h.mean(axis=1, keepdims=True)) / np.sqrt(h.var(axis=1, keepdims=True) + 1e-5)

    y = x[0].numpy()
    h = normed(y)
    fine = attention_loop(h, weights["fine.qkv.weight"], heads)
    averages = np.stack([h[start : start + scale].mean(axis=0) for start in range(0, length, scale)])
    coarse = attention_loop(averages, weights["coarse.qkv.weight"], heads)
    repeated = np.stack([coarse[t // scale] for t in range(length)])
    y = y + np.hstack([fine, repeated]) @ weights["fuse.weight"].T + weights["fuse.bias"]
    hidden = normed(y) @ weights["widen.weight"].T + weights["widen.bias"]
    gelu = hidden * np.vectorize(lambda a: 0.5 * (1 + math.erf(a / math.sqrt(2))))(hidden)
    expected = y + gelu @ weights["narrow.weight"].T + weights["narrow.bias"]
    np.testing.assert_allclose(block(x)[0].detach().numpy(), expected, rtol=1e-10, atol=1e-10)


def test_multiscale_has_the_parameters_its_sizes_say():
    d, depth = 16, 3
    block = 2 * 3 * d * d + (2 * d * d + d) + (8 * d * d + 5 * d) + 4 * d
    embedding, last_norm = CHANNELS * d + d, 2 * d
    assert parameters(make("multiscale", d_model=d, depth=depth)) == depth * block + embedding + last_norm


def test_positions_are_sines_and_cosines_of_falling_frequency():
    table = position_table(9, 5).tolist()
    for t in range(9):
        for i in range(5):
            angle = t / 10000.0 ** ((i - i % 2) / 5)
            assert table[t][i] == pytest.approx(math.cos(angle) if i % 2 else math.sin(angle), abs=1e-6)


# What they refuse


@pytest.mark.parametrize("name", ["tcn", "unet"])
def test_a_convolution_without_a_middle_is_refused(name):
    with pytest.raises(UsageError, match="kernel 4 has no middle step"):
        make(name, kernel=4)


def test_multiscale_refuses_heads_that_do_not_divide_the_width():
    with pytest.raises(UsageError, match="d_model 128 does not split into 3 heads"):
        make("multiscale", heads=3)
