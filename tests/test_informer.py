"""Informer: ProbSparse attention against algorithm 1 in plain loops, the layers against their equations, forecasts."""

from __future__ import annotations

import math

import pytest
import torch
from torch._dynamo.testing import CompileCounterWithBackend
from torch.nn import functional as F

from backbones import ForecastSpec, ModelSpec
from backbones.informer import DecoderLayer, Distil, Embedding, Map, SelfAttention, Sizes
from backbones.layers import VARIANCE_FLOOR
from backbones.model import Forecaster, Model, build_model
from backbones.probsparse import ProbSparse, active_count
from errors import UsageError

torch.set_num_threads(1)

CHANNELS, LENGTH, HORIZON, MARKS = 3, 31, 5, 4
SMALL = {"d_model": 16, "n_heads": 2, "d_ff": 32}
SIZES = Sizes(dim=6, heads=2, hidden=12, factor=1, dropout=0.0)


def forecaster(
    channels: int = CHANNELS,
    length: int = LENGTH,
    forecast: ForecastSpec | None = None,
    seed: int = 0,
    **args,
) -> Forecaster:
    torch.manual_seed(seed)
    forecast = forecast or ForecastSpec(HORIZON, tuple(range(channels)), marks=MARKS)
    sizes = {"channels": channels, "length": length, "outputs": forecast.outputs, "horizon": forecast.horizon}
    return build_model(ModelSpec(backbone="informer", head="forecast", forecast=forecast, args=SMALL | args, **sizes))


def tokens(channels: int, length: int, **args) -> Model:
    """The encoder alone, under the head "pool"."""
    sizes = {"channels": channels, "length": length, "outputs": 1, "horizon": 1}
    return build_model(ModelSpec(backbone="informer", head="pool", args=args, **sizes))


def windows(batch: int = 4, channels: int = CHANNELS, length: int = LENGTH) -> torch.Tensor:
    return torch.randn(batch, channels, length, generator=torch.Generator().manual_seed(1))


def marks(batch: int = 4, rows: int = MARKS, steps: int = LENGTH + HORIZON) -> torch.Tensor:
    return torch.rand(batch, rows, steps, generator=torch.Generator().manual_seed(2)) - 0.5


# ProbSparse attention


def queries(length: int, heads: int = 2, width: int = 4) -> tuple[torch.Tensor, ...]:
    return tuple(torch.randn(3, 2, heads, length, width, generator=torch.Generator().manual_seed(3)).double())


def softmax_loop(q, k, v, i: int, last: int) -> list[float]:
    """The output of query i over the keys 0..last of one head, one number at a time."""
    width = q.shape[1]
    scores = [sum(float(q[i, f] * k[j, f]) for f in range(width)) / math.sqrt(width) for j in range(last + 1)]
    share = [math.exp(score) for score in scores]
    return [sum(w / sum(share) * float(v[j, f]) for j, w in enumerate(share)) for f in range(width)]


def algorithm_1(q, k, v, sampled: list[list[int]], count: int, causal: bool) -> torch.Tensor:
    """One window and head, query by query."""
    length, width = q.shape
    measure = []
    for i in range(length):
        scores = [sum(float(q[i, f] * k[j, f]) for f in range(width)) for j in sampled[i]]
        measure.append(max(scores) - sum(scores) / len(scores))
    active = sorted(range(length), key=lambda i: measure[i], reverse=True)[:count]
    out = []
    for i in range(length):
        if i in active:
            out.append(softmax_loop(q, k, v, i, i if causal else length - 1))
        elif causal:
            out.append([sum(float(v[j, f]) for j in range(i + 1)) for f in range(width)])
        else:
            out.append([sum(float(v[j, f]) for j in range(length)) / length for f in range(width)])
    return torch.tensor(out, dtype=torch.float64)


@pytest.mark.parametrize(
    "length, factor, count", [(96, 5, 25), (48, 5, 20), (72, 5, 25), (8, 5, 8), (20, 1, 3), (1, 5, 1)]
)
def test_the_queries_that_attend(length, factor, count):
    assert active_count(length, factor) == count


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("length, factor", [(12, 1), (21, 2)])
def test_prob_sparse_equals_algorithm_1_in_plain_loops(length, factor, causal):
    sparse, (q, k, v) = ProbSparse(length, factor, causal=causal).eval(), queries(length)
    count = factor * math.ceil(math.log(length))
    assert sparse.sampled.shape == (length, count) and count < length
    out, sampled = sparse(q, k, v), sparse.sampled.tolist()
    for window in range(2):
        for head in range(2):
            expected = algorithm_1(q[window, head], k[window, head], v[window, head], sampled, count, causal)
            torch.testing.assert_close(out[window, head], expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("length", [1, 2, 15])
def test_with_every_query_active_it_is_full_attention(length, causal):
    sparse, (q, k, v) = ProbSparse(length, 100, causal=causal), queries(length)
    out = sparse(q, k, v)
    for window in range(2):
        for head in range(2):
            one = q[window, head], k[window, head], v[window, head]
            loop = [softmax_loop(*one, i, i if causal else length - 1) for i in range(length)]
            torch.testing.assert_close(out[window, head], torch.tensor(loop, dtype=torch.float64), rtol=0, atol=1e-6)
    torch.testing.assert_close(out, F.scaled_dot_product_attention(q, k, v, is_causal=causal), rtol=0, atol=1e-6)


@pytest.mark.parametrize("causal", [False, True])
def test_the_path_of_the_active_ends_in_full_attention_too(causal):
    sparse, (q, k, v) = ProbSparse(15, 1, causal=causal).eval(), queries(15)
    sparse.count = 15  # all queries, but chosen, gathered and scattered
    torch.testing.assert_close(sparse(q, k, v), F.scaled_dot_product_attention(q, k, v, is_causal=causal))


@pytest.mark.parametrize("causal", [False, True])
def test_gradients_of_prob_sparse(causal):
    sparse = ProbSparse(12, 1, causal=causal).eval()
    inputs = [part.requires_grad_() for part in queries(12)]
    assert torch.autograd.gradcheck(sparse, inputs)


def test_training_draws_its_keys_from_the_global_generator():
    model = forecaster(dropout=0.0, factor=1)
    outputs = []
    for seed in (7, 7, 8):
        torch.manual_seed(seed)
        outputs.append(model(windows(), marks()))
    assert torch.equal(outputs[0], outputs[1]) and not torch.allclose(outputs[0], outputs[2])


def test_predictions_agree_whatever_the_batch_and_the_generator():
    model, x, known = forecaster(factor=1).eval(), windows(8), marks(8)
    torch.manual_seed(7)
    together = model(x, known)
    torch.manual_seed(8)
    apart = torch.cat([model(x[i : i + 1], known[i : i + 1]) for i in range(8)])
    torch.testing.assert_close(apart, together, rtol=1e-5, atol=1e-5)
    assert torch.equal(model(x, known), together)


# The layers


def test_a_map_is_a_linear_layer():
    torch.manual_seed(0)
    layer, x = Map(5, 7), torch.randn(4, 9, 5)
    torch.testing.assert_close(layer(x), F.linear(x, layer.weight, layer.bias))
    torch.testing.assert_close(layer(x[:, -1:]), F.linear(x[:, -1:], layer.weight, layer.bias))


@pytest.mark.parametrize("channels", [1, 3])
def test_embedding_equals_its_equation(channels):
    torch.manual_seed(0)
    embed = Embedding(channels, 2, 7, SIZES)
    x, known = torch.randn(2, channels, 7), torch.randn(2, 2, 7)
    out, weight = embed(x, known), embed.value.weight.squeeze(2)  # [d, C, 3]
    assert embed.value.bias is None and embed.time.bias is None
    for t in range(7):
        beside = torch.stack([x[:, :, t - 1], x[:, :, t], x[:, :, (t + 1) % 7]], dim=2)
        expected = torch.einsum("bck,dck->bd", beside, weight) + known[:, :, t] @ embed.time.weight.T
        for pair in range(3):
            angle = t / 10000 ** (2 * pair / 6)
            expected[:, 2 * pair] += math.sin(angle)
            expected[:, 2 * pair + 1] += math.cos(angle)
        torch.testing.assert_close(out[:, t], expected)


@pytest.mark.parametrize("mix", [False, True])
def test_heads_are_joined_in_their_order_or_in_the_published_one(mix):
    torch.manual_seed(0)
    attention, x = SelfAttention(5, Sizes(6, 2, 12, 100, 0.0), mix=mix), torch.randn(2, 5, 6)
    q, k, v = (x @ attention.qkv.weight.T + attention.qkv.bias).split(6, dim=2)
    heads = [F.scaled_dot_product_attention(*(p[..., 3 * h : 3 * h + 3] for p in (q, k, v))) for h in range(2)]
    if mix:  # all steps of the first head, then all of the second, cut into rows of six
        joined = torch.stack([torch.cat([h[b].reshape(-1) for h in heads]).reshape(5, 6) for b in range(2)])
    else:
        joined = torch.cat(heads, dim=2)
    torch.testing.assert_close(attention(x), joined @ attention.out.weight.T + attention.out.bias)


@pytest.mark.parametrize("length", [1, 2, 7, 8])
def test_distilling_equals_equation_5(length):
    torch.manual_seed(0)
    distil = Distil(4).eval()
    distil.norm.running_mean.normal_()
    distil.norm.running_var.uniform_(0.5, 2)
    x, weight = torch.randn(2, length, 4), distil.conv.weight.squeeze(2)
    h = distil.conv.bias + sum(x.roll(1 - tap, dims=1) @ weight[:, :, tap].T for tap in range(3))
    h = (h - distil.norm.running_mean) / (distil.norm.running_var + 1e-5).sqrt()
    h = torch.where(h > 0, h, h.exp() - 1)
    pooled = [h[:, max(0, t - 1) : t + 2].amax(dim=1) for t in range(0, length, 2)]
    torch.testing.assert_close(distil(x), torch.stack(pooled, dim=1))


def test_a_decoder_layer_drops_steps_and_changes_no_other():
    torch.manual_seed(0)
    layer = DecoderLayer(9, SIZES, mix=True).eval()
    x, memory = torch.randn(2, 9, 6), torch.randn(2, 4, 6)
    torch.testing.assert_close(layer(x, memory, keep=2), layer(x, memory, keep=9)[:, -2:])


def test_a_decoder_layer_equals_its_equations():
    """Post-norm residual halves (Vaswani et al. 2017, section 3.1), full attention throughout."""
    torch.manual_seed(0)
    layer = DecoderLayer(5, Sizes(6, 2, 12, 100, 0.0), mix=False).eval()
    x, memory = torch.randn(2, 5, 6), torch.randn(2, 4, 6)

    def attend(wq, wk, wv, out, a, b, causal):
        q, k, v = (part.unflatten(2, (2, 3)).transpose(1, 2) for part in (wq(a), wk(b), wv(b)))
        scores = q @ k.transpose(2, 3) / math.sqrt(3)
        if causal:
            scores = scores + torch.full(scores.shape[2:], -torch.inf).triu(1)
        return out((scores.softmax(dim=3) @ v).transpose(1, 2).flatten(2))

    def part(layer, i, of):
        return lambda a: a @ layer.weight.chunk(of)[i].T + layer.bias.chunk(of)[i]

    own, cross = layer.attention, layer.cross
    h = x + attend(part(own.qkv, 0, 3), part(own.qkv, 1, 3), part(own.qkv, 2, 3), own.out, x, x, True)
    h = F.layer_norm(h, (6,))
    h = F.layer_norm(h + attend(cross.q, part(cross.kv, 0, 2), part(cross.kv, 1, 2), cross.out, h, memory, False), (6,))
    wide = part(layer.maps[0], 0, 1)(h)
    h = F.layer_norm(h + part(layer.maps[3], 0, 1)(wide * (1 + torch.erf(wide / math.sqrt(2))) / 2), (6,))
    torch.testing.assert_close(layer(x, memory, keep=5), h, rtol=1e-5, atol=1e-5)


# The forecaster


def count(model: torch.nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def test_parameters_are_the_published_number():
    published = {"d_model": 512, "n_heads": 8, "d_ff": 2048}
    hourly = ForecastSpec(24, tuple(range(7)), marks=4)
    assert count(forecaster(7, 96, hourly, **published)) == 11_328_007
    assert count(forecaster(7, 96, ForecastSpec(24, tuple(range(7))), **published)) == 11_328_007 - 2 * 4 * 512
    assert not [key for key in tokens(7, 96, **published).state_dict() if "decoder" in key]


@pytest.mark.parametrize("label_len, expected", [(0, 16), (1, 1), (LENGTH, LENGTH)])
def test_what_encoder_and_decoder_read(label_len, expected):
    model, x, known, seen = forecaster(label_len=label_len), windows(), marks(), {}
    for name in ("encoder", "decoder"):
        embed = getattr(model.backbone, name).embed
        embed.register_forward_pre_hook(lambda _, inputs, name=name: seen.update({name: inputs}))
    model(x, known)
    assert torch.equal(seen["encoder"][0], x) and torch.equal(seen["encoder"][1], known[..., :LENGTH])
    start, known_there = seen["decoder"]
    assert torch.equal(start, torch.cat([x[..., LENGTH - expected :], torch.zeros(4, CHANNELS, HORIZON)], dim=2))
    assert torch.equal(known_there, known[..., LENGTH - expected :])


@pytest.mark.parametrize("targets, levels", [((0, 1, 2), 1), ((2,), 1), ((2, 0), 3)])
@pytest.mark.parametrize("horizon", [1, 5, 40])
@pytest.mark.parametrize("length", [4, LENGTH])
def test_a_row_for_each_target_and_level(length, horizon, targets, levels):
    out = forecaster(length=length, forecast=ForecastSpec(horizon, targets, levels))(windows(length=length))
    assert out.shape == (4, len(targets) * levels, horizon)


def test_every_step_known_beforehand_matters():
    model, x = forecaster(forecast=ForecastSpec(HORIZON, (0,), marks=2, covariates=1)).eval(), windows()
    known = marks(rows=3)
    out = model(x, known)
    for step in (0, LENGTH - 1, LENGTH, LENGTH + HORIZON - 1):
        changed = known.clone()
        changed[:, 2, step] += 3
        assert (model(x, changed) - out).abs().max() > 1e-4


@pytest.mark.parametrize("revin", [False, True])
def test_revin_moves_a_forecast_with_its_window(revin):
    model, x = forecaster(forecast=ForecastSpec(HORIZON, (2, 0), 2), revin=revin).eval(), windows()
    shift, scale = torch.tensor([100.0, -7.0, 5.0]), torch.tensor([2.0, 9.0, 0.5])
    moved = model(x * scale[:, None] + shift[:, None])
    owner = [2, 2, 0, 0]
    expected = model(x) * scale[owner][:, None] + shift[owner][:, None]
    assert torch.allclose(moved, expected, rtol=1e-3, atol=1e-3) is revin


def test_revin_of_a_constant_window_keeps_its_level():
    model = forecaster(revin=True).eval()
    out = model(torch.full((2, CHANNELS, LENGTH), 1e3), marks(2))
    scale = math.sqrt(VARIANCE_FLOOR)  # all that a constant window leaves to vary
    assert (out - 1e3).abs().max() < 10 * scale


@pytest.mark.parametrize("revin", [False, True])
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("batch, channels, length, horizon", [(1, 1, 4, 1), (4, 3, 4, 1), (2, 1, 96, 24)])
def test_small_and_constant_windows_stay_finite(batch, channels, length, horizon, precision, revin):
    model = forecaster(channels, length, ForecastSpec(horizon, (0,), marks=1), revin=revin)
    known = marks(batch, 1, length + horizon)
    for x in (windows(batch, channels, length), torch.full((batch, channels, length), 100.0)):
        with torch.autocast("cpu", torch.bfloat16, enabled=precision is torch.bfloat16):
            out = model(x, known)
        out.float().square().mean().backward()
        assert out.isfinite().all()
        assert all(p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("distil", [False, True])
@pytest.mark.parametrize("length", [1, 2, 31, 96])
def test_tokens_halve_between_the_layers(length, distil):
    backbone = tokens(2, length, **SMALL, e_layers=3, distil=distil).eval().backbone
    assert backbone.stride == (4 if distil else 1)
    assert backbone(windows(2, 2, length)).shape == (2, math.ceil(length / backbone.stride), 16)


def test_gradient_reaches_every_parameter_of_a_forecast():
    model = forecaster(d_layers=2)
    model(windows(16), marks(16)).square().mean().backward()
    dead = [key for key, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert dead == []


def test_a_saved_forecaster_predicts_the_same():
    model, other = forecaster(factor=1), forecaster(factor=1, seed=1)
    model(windows(), marks())  # batch norm learns its statistics
    other.load_state_dict(model.state_dict())
    assert torch.equal(model.eval()(windows(), marks()), other.eval()(windows(), marks()))


@pytest.mark.slow
def test_it_learns_to_continue_a_sine():
    """Phases never seen before, to a tenth of the error of a forecast of zero (which is 1/2)."""
    model = forecaster(1, 24, ForecastSpec(6, (0,)), dropout=0.0)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)

    def sines(batch: int) -> tuple[torch.Tensor, torch.Tensor]:
        wave = torch.sin(torch.arange(30) * 0.5 + 2 * math.pi * torch.rand(batch, 1)).unsqueeze(1)
        return wave[..., :24], wave[..., 24:]

    for _ in range(120):
        x, y = sines(32)
        F.mse_loss(model(x), y).backward()
        optimizer.step()
        optimizer.zero_grad()
    x, y = sines(200)
    assert F.mse_loss(model.eval()(x), y) < 0.05


@pytest.mark.parametrize(
    "args, message",
    [
        ({"d_model": 17}, "d_model 17 does not split into 2 heads"),
        ({"label_len": LENGTH + 1}, "label_len 32 is more than the 31 steps"),
    ],
)
def test_sizes_that_cannot_be(args, message):
    with pytest.raises(UsageError, match=message) as raised:
        forecaster(**args)
    assert raised.value.hint and raised.value.where == "--model-args"


@pytest.mark.slow
def test_a_compiled_forecaster_equals_eager():
    torch._dynamo.reset()
    model, x, known = forecaster(factor=1).eval(), windows(), marks()
    parameters, expected = list(model.parameters()), model(x, known)
    gradients = torch.autograd.grad(expected.square().mean(), parameters)
    counter = CompileCounterWithBackend("aot_eager")
    model.compile(backend=counter, fullgraph=True)
    out = model(x, known)
    torch.testing.assert_close(out, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(torch.autograd.grad(out.square().mean(), parameters), gradients, rtol=1e-3, atol=1e-5)
    model.train()(x, known).mean().backward()  # random keys and dropout inside the graph
    assert counter.frame_count == 2
    assert all(p.grad.isfinite().all() for p in model.parameters())
