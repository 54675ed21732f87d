"""Every backbone keeps the registry's contract; the parts with a published equation agree with it."""

from __future__ import annotations

import copy
import functools
import importlib
import importlib.util
import inspect
import io
import json
import math
import pickle
import re
import sys
import types
from pathlib import Path

import pytest
import torch
from torch._dynamo.testing import CompileCounterWithBackend

import backbones
from backbones import ForecastSpec, Hyper, InputSpec, ModelSpec, TargetSpec
from backbones.base import Backbone, check_contract
from backbones.layers import choose_patch
from backbones.llm_ts import Attention, rotary_table
from backbones.local_forecaster import LocalForecaster
from backbones.model import Forecaster, Model, build_model
from errors import CheckpointError, UsageError
from hardware import leave_alone

from .test_combinations import SMALL

torch.set_num_threads(1)

NAMES = backbones.names()
CLASSES = {name: backbones.backbone_class(name) for name in NAMES}
HEADS = {name: chosen.heads for name, chosen in CLASSES.items()}
TOKENS = [name for name in NAMES if "pool" in HEADS[name] and not CLASSES[name].answers]
# One made of trained runs, or of a directory, is not built from sizes alone, and its own tests build it.
BUILT = [name for name in NAMES if not (CLASSES[name].blends_runs or CLASSES[name].needs_pretrained_dir)]
SERVED = [(name, head) for name in BUILT for head in HEADS[name]]
# A closed form has no weights to descend on: `fit` sets them, and its own tests hold it to that.
TRAINED = [(name, head) for name, head in SERVED if not CLASSES[name].closed_form]
# Under the first head that a backbone serves, where one head is enough.
FIRST = [(name, head) for name, head in TRAINED if head == HEADS[name][0]]
CHANNELS, LENGTH = 3, 31


NARROW = {"informer": {"d_model": 64, "n_heads": 4, "d_ff": 128}}  # a shape says the same of 512 and 2048


def make(
    name: str, *, channels: int = CHANNELS, length: int = LENGTH, head: str = "pool", **more
) -> Model | Forecaster:
    """Two outputs."""
    torch.manual_seed(more.pop("seed", 0))
    horizon = length if head == "step" else 4
    directory = more.pop("pretrained_dir", None)
    forecast = wanted(name, channels, horizon) if head == "forecast" else None
    target = None
    if head == "pool" and CLASSES[name].answers:
        target, horizon = TargetSpec(CLASSES[name].kinds[0], 2), 1
    sizes = {"channels": channels, "length": length, "outputs": 2, "horizon": horizon, "head": head}
    sizes["args"] = more.pop("args", NARROW.get(name, {}))
    return build_model(ModelSpec(backbone=name, forecast=forecast, target=target, **sizes, **more), directory)


def wanted(name: str, channels: int, horizon: int) -> ForecastSpec:
    """Two quantile levels of the last channel; two channels for a closed form, which has no levels."""
    if CLASSES[name].closed_form:
        return ForecastSpec(horizon, (0, channels - 1))
    return ForecastSpec(horizon, (channels - 1,), levels=2)


@functools.cache
def halves(name: str) -> bool:
    """Whether this CPU runs the backbone in bfloat16: torch's LSTM needs AVX-512 for it, and `--amp` asks for more."""
    if name != "lstm":
        return True
    try:
        with torch.autocast("cpu", torch.bfloat16):
            torch.nn.LSTM(1, 1)(torch.zeros(1, 1, 1))
    except RuntimeError:
        return False
    return True


def windows(batch: int = 4, channels: int = CHANNELS, length: int = LENGTH) -> torch.Tensor:
    return torch.randn(batch, channels, length, generator=torch.Generator().manual_seed(1))


# The contract, over the registry


def test_registry_holds_the_six():
    assert set(NAMES) >= {"gru", "inception", "linear", "llm_ts", "lstm", "ttm"}


@pytest.mark.parametrize("name", NAMES)
def test_hyper_defaults_keep_their_own_bounds(name):
    for spec in backbones.hyper(name).values():
        known = {"default", "min", "max", "choices", "local", "help", "alias", "searched"}
        assert set(spec) <= known and spec["help"]
        assert spec["default"] in spec.get("choices", [spec["default"]])
        bounds = [spec[bound] for bound in ("min", "default", "max") if bound in spec]
        if len(bounds) > 1:
            assert bounds == sorted(bounds) and len({type(bound) for bound in bounds}) == 1


READ_ELSEWHERE = {("ensemble", "members")} | {  # by what loads the runs, which the model is then given
    (name, "period")
    for name, kind in CLASSES.items()
    if issubclass(kind, LocalForecaster)  # in the class of them all
}


@pytest.mark.parametrize("name", NAMES)
def test_every_hyperparameter_is_read_and_no_other(name):
    """In every branch of the file, those too that a model with the defaults does not take."""
    kinds = (CLASSES[name], *CLASSES[name].variants)
    owners = [owner for kind in kinds for owner in kind.__mro__[: kind.__mro__.index(Backbone)]]
    source = "".join(inspect.getsource(sys.modules[module]) for module in {owner.__module__ for owner in owners})
    read = set(re.findall(r"\bhyper\.(\w+)", source))
    assert read == {key for key in backbones.hyper(name) if (name, key) not in READ_ELSEWHERE}


def test_hyper_holds_defaults_and_what_was_given_and_nothing_else():
    hyper = Hyper("gru", {"hidden": 8})
    assert vars(hyper) == {"hidden": 8, "layers": 1, "dropout": 0.0, "bidirectional": False}
    with pytest.raises(AttributeError, match="'hiden', only hidden, layers, dropout, bidirectional"):
        hyper.hiden  # noqa: B018
    with pytest.raises(UsageError, match="gru has no hyperparameter 'hiden'") as refused:
        Hyper("gru", {"hiden": 8})
    assert refused.value.hint == "did you mean hidden?"
    assert vars(copy.deepcopy(hyper)) == vars(hyper)


def of(**attributes: object) -> type:
    return type("Made", (Backbone,), attributes)


def test_what_a_class_says_of_itself_is_checked_where_it_is_registered():
    check_contract(of(pool="mean", causal=True, _kept=3, heads=("pool",), helper=lambda self: 1, size=property(len)))
    for attributes, message in (
        ({"casual": True}, "Made.casual: a backbone has no such attribute. did you mean causal?"),
        ({"head": ("pool",)}, "Made.head: .* did you mean heads?"),
        ({"heads": "forecast"}, "Made.heads must be of type tuple"),
        (
            {"fit": lambda self: {}},
            r"Made.closed_form must be True exactly if there is a fit\(\) or fit_w",
        ),
        ({"closed_form": True, "answers": True, "fit": len}, r"answers must be True exactly if there is a fit_windows"),
        ({"takes_pretrained_dir": True}, r"pretrained_dir must be True exactly if there is a load_pretrained\(\)"),
    ):
        with pytest.raises(AssertionError, match=message):
            backbones.register(of(**attributes))
    with pytest.raises(AssertionError, match="Other must be a subclass of Backbone"):
        backbones.register(type("Other", (torch.nn.Module,), {}))


def test_a_misspelt_attribute_of_a_class_between_is_found_too():
    with pytest.raises(AssertionError, match="no such attribute"):
        check_contract(type("Below", (of(forecast_s=True),), {}))


def test_what_a_backbone_does_not_offer_says_so():
    backbone = make("gru").backbone
    for asked, message in (
        (lambda: backbone.fit([], [], []), "GRU has no closed form"),
        (lambda: backbone.fit_windows(None), "GRU is not fitted to windows"),
        (lambda: backbone.fit_histories(None), "GRU is not fitted to histories"),
        (lambda: backbone.from_histories(None), "GRU reads no histories"),
        (lambda: backbone.module_of("sound"), "GRU reads no modalities"),
        (lambda: type(backbone).load_pretrained(InputSpec(channels=1, length=9), Hyper("gru"), "x"), "no directory"),
    ):
        with pytest.raises(AssertionError, match=message):
            asked()


def test_a_specification_is_kept_as_it_was_in_the_first_release():
    """The keys and their order; those for what a model has not are left out."""
    plain = {
        "backbone": "fusion_gru", "channels": 3, "length": 9, "outputs": 2, "horizon": 4, "head": "forecast",
        "args": {"hidden": 8}, "pretrained": None,
        "ahead": {"horizon": 4, "targets": [2, 0], "levels": 1, "marks": 5, "covariates": 1},
        "modalities": {"a": 1, "b": 2}, "part": "encoder",
    }  # fmt: skip
    spec = ModelSpec.of(plain)
    assert spec.plain() == plain and list(spec.plain()) == list(plain)
    assert spec.forecast == ForecastSpec(4, (2, 0), marks=5, covariates=1) and spec.modalities == {"a": 1, "b": 2}
    least = {key: plain[key] for key in list(plain)[:8]} | {"head": "pool"}
    assert list(ModelSpec.of(least).plain()) == list(least)
    del least["pretrained"]
    assert ModelSpec.of(least).pretrained is None


@pytest.mark.parametrize("name", NAMES)
def test_a_head_that_a_backbone_has_not_is_refused(name):
    assert HEADS[name] and set(HEADS[name]) <= set(backbones.HEADS)
    for head in set(backbones.HEADS) - set(HEADS[name]):
        with pytest.raises(UsageError, match=f"{name}: has no '{head}' head") as refused:
            make(name, head=head)
        assert "linear" in refused.value.hint


@pytest.mark.parametrize("length", [1, 4, 31, 96, 512])
@pytest.mark.parametrize("name, head", SERVED)
def test_shapes(name, length, head):
    for channels in (1, 7, 31) if length < 96 else (7,):
        model = make(name, channels=channels, length=length, head=head).eval()
        x = windows(2, channels, length)
        backbone = model.backbone
        if backbone.answers and head == "pool":
            assert model(x).shape == backbone(x).shape == (2, 2, 1)
            continue
        if head != "forecast":
            assert backbone(x).shape == (2, math.ceil(length / backbone.stride), backbone.dim)
            assert backbone.pool in ("last", "mean") and backbone.causal in (False, True)
        assert model(x).shape == (2, 2, length if head == "step" else 4)
        with torch.autocast("cpu", torch.bfloat16, enabled=halves(name)):
            assert model(x).isfinite().all()


@pytest.mark.parametrize("name, head", TRAINED)
def test_gradient_reaches_every_parameter(name, head):
    model = make(name, head=head)
    model(windows(16)).square().mean().backward()
    dead = [key for key, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert dead == []


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name, head", TRAINED)
def test_constant_windows_make_no_nan(name, head, precision):
    if precision is torch.bfloat16 and not halves(name):
        pytest.skip("this CPU has no LSTM in bfloat16")
    model = make(name, head=head)
    with torch.autocast("cpu", torch.bfloat16, enabled=precision is torch.bfloat16):
        out = model(torch.full((4, CHANNELS, LENGTH), 1e4))
    out.float().mean().backward()
    assert out.isfinite().all()
    assert all(p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("name", TOKENS)
def test_level_and_scale_of_a_window_are_not_erased(name):
    model, x = make(name).eval(), windows()
    centred = x - x.mean(dim=2, keepdim=True)
    assert (model(x) - model(x + 3)).abs().max() > 1e-3
    assert (model(centred) - model(centred * 3)).abs().max() > 1e-3


@pytest.mark.parametrize("name, head", TRAINED)
def test_a_seed_fixes_weights_and_dropout(name, head):
    args = {"dropout": 0.5} if "dropout" in backbones.hyper(name) else {}
    one, two, other = (make(name, head=head, args=args, seed=seed) for seed in (0, 0, 1))
    torch.manual_seed(7)
    first = one(windows())
    torch.manual_seed(7)
    assert torch.equal(first, two(windows()))
    assert not torch.equal(first, other(windows()))


@pytest.mark.parametrize("name, head", SERVED)
def test_a_saved_state_gives_the_same_outputs(name, head):
    model, other, file = make(name, head=head), make(name, head=head, seed=1).eval(), io.BytesIO()
    model(windows(16))  # batch norm learns its statistics, which must travel too
    torch.save(model.eval().state_dict(), file)
    file.seek(0)
    other.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(model(windows()), other(windows()))


def compiled_equals_eager(name: str, backend: str, head: str = "pool") -> Model | Forecaster:
    """Outputs and gradients, without dropout (whose random numbers a compiler may draw in another order)."""
    torch._dynamo.reset()
    args = dict(pair.split("=") for pair in SMALL.get(name, "").split())
    values = {key: int(value) if value.isdigit() else value for key, value in args.items()}
    model, x = make(name, head=head, args=values).eval(), windows()
    keys, parameters = list(model.state_dict()), list(model.parameters())
    expected = model(x)
    gradients = torch.autograd.grad(expected.square().mean(), parameters)
    counter = CompileCounterWithBackend(backend)
    leave_alone(model)
    model.compile(backend=counter)
    out = model(x)
    torch.testing.assert_close(out, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(torch.autograd.grad(out.square().mean(), parameters), gradients, rtol=1e-3, atol=1e-5)
    assert counter.frame_count > 0
    assert list(model.state_dict()) == keys
    return model


@pytest.mark.slow
@pytest.mark.parametrize("name, head", FIRST)
def test_compiled_equals_eager(name, head):
    compiled_equals_eager(name, "aot_eager", head)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gru", "llm_ts"])
def test_compiled_by_inductor_equals_eager(name):
    model = compiled_equals_eager(name, "inductor").train()
    model(windows()).mean().backward()
    assert all(p.grad.isfinite().all() for p in model.parameters())


def leak_from_the_future(backbone: torch.nn.Module, length: int = LENGTH) -> float:
    """The largest change of a token when the steps after it change order, over all tokens but the last.

    A permutation keeps each window's mean and scale, which a backbone that normalises may use.
    """
    x = windows(length=length)
    tokens, worst = backbone(x), 0.0
    for j in range(tokens.shape[1] - 1):
        end = length - (tokens.shape[1] - 1 - j) * backbone.stride
        order = torch.arange(length)
        order[end:] = order[end:].flip(0).roll(1)
        changed = backbone(x[:, :, order])
        worst = max(worst, (changed[:, : j + 1] - tokens[:, : j + 1]).abs().max().item())
        if length - end > 2:
            assert not torch.allclose(changed[:, -1], tokens[:, -1], atol=1e-4), "the last token is blind"
    return worst


@pytest.mark.parametrize("name", TOKENS)
def test_no_token_of_a_causal_backbone_sees_the_future(name):
    backbone = make(name).eval().backbone
    with torch.no_grad():
        leak = leak_from_the_future(backbone)
    assert leak < 1e-5 if backbone.causal else leak > 1e-3


@pytest.mark.parametrize("name", ["gru", "lstm"])
def test_a_bidirectional_one_is_not_causal(name):
    backbone = make(name, args={"bidirectional": True, "layers": 2, "dropout": 0.1}).eval().backbone
    assert not backbone.causal and backbone.pool == "mean" and backbone.dim == 128
    assert leak_from_the_future(backbone) > 1e-3


# Against equations and closed forms


@pytest.mark.parametrize("channels", [1, 7])
def test_llm_ts_small_has_the_parameters_its_sizes_say(channels):
    d, layers, hidden, patch = 128, 4, 344, 4
    block = 4 * d * d + 3 * d * hidden + 2 * d
    embeddings = (channels * patch + 1) * d + (2 * channels + 1) * d
    backbone = make("llm_ts", channels=channels).backbone
    assert sum(p.numel() for p in backbone.parameters()) == layers * block + d + embeddings


def test_patches_grow_to_keep_within_64_tokens():
    lengths = (1, 31, 256, 257, 512, 5000)
    assert [choose_patch(length, 64) for length in lengths] == [4, 4, 4, 8, 8, 128]


def test_llm_ts_refuses_heads_that_do_not_divide_the_width():
    with pytest.raises(UsageError, match="does not split into 3 heads"):
        make("llm_ts", args={"heads": 3})


def test_ttm_refuses_features_that_do_not_split():
    with pytest.raises(UsageError, match="13 features do not split by 2"):
        make("ttm", args={"d_model": 13, "levels": 2})


@pytest.mark.parametrize("mixed", [False, True])
def test_ttm_mixes_channels_when_told(mixed):
    backbone = make("ttm", args={"mix_channels": mixed}).eval().backbone
    x, other = windows(), windows()
    other[:, 1] = other[:, 1].flip(1)
    first_channel = slice(0, 64)
    assert torch.allclose(backbone(x)[..., first_channel], backbone(other)[..., first_channel]) is not mixed


def plain_attention(attention: Attention, x: torch.Tensor) -> torch.Tensor:
    """One query, one key, one pair of features at a time; the pair (i, i + half) as a complex number."""
    tokens, dim = x.shape
    width = dim // attention.heads
    half = width // 2
    q, k, v = (x @ attention.qkv.weight.T).unflatten(1, (3, attention.heads, width)).unbind(1)
    mixed = torch.zeros(tokens, attention.heads, width, dtype=torch.float64)
    for head in range(attention.heads):
        for i in range(tokens):
            scores = []
            for j in range(i + 1):
                score = 0.0
                for f in range(half):
                    turn = (i - j) * 10000.0 ** (-2 * f / width)
                    a = complex(q[i, head, f], q[i, head, f + half])
                    b = complex(k[j, head, f], k[j, head, f + half])
                    score += (a * b.conjugate() * complex(math.cos(turn), math.sin(turn))).real
                scores.append(score / math.sqrt(width))
            share = [math.exp(s) for s in scores]
            mixed[i, head] = sum(w / sum(share) * v[j, head] for j, w in enumerate(share))
    return mixed.flatten(1) @ attention.out.weight.T


def test_rotary_attention_equals_a_plain_loop():
    torch.manual_seed(0)
    attention = Attention(16, 2).double()
    x = torch.randn(7, 16, dtype=torch.float64)
    with torch.no_grad():
        ours = attention(x.unsqueeze(0), rotary_table(7, 8).double())[0]
        torch.testing.assert_close(ours, plain_attention(attention, x), rtol=1e-6, atol=1e-6)


def test_gru_equals_its_equations():
    backbone = make("gru").double().backbone
    x = windows().double()
    weight, recurrent, bias, recurrent_bias = backbone.rnn.parameters()
    state, states = torch.zeros(4, 64, dtype=torch.float64), []
    for t in range(LENGTH):
        from_x = (x[:, :, t] @ weight.T + bias).chunk(3, dim=1)
        from_state = (state @ recurrent.T + recurrent_bias).chunk(3, dim=1)
        reset = torch.sigmoid(from_x[0] + from_state[0])
        update = torch.sigmoid(from_x[1] + from_state[1])
        state = (1 - update) * torch.tanh(from_x[2] + reset * from_state[2]) + update * state
        states.append(state)
    torch.testing.assert_close(backbone(x), torch.stack(states, dim=1), rtol=1e-10, atol=1e-10)


def test_linear_is_linear():
    model, x, y = make("linear"), windows(), windows().flip(0)
    zero = model(torch.zeros_like(x))
    torch.testing.assert_close(model(2 * x - y) - zero, 2 * (model(x) - zero) - (model(y) - zero))


def test_inception_kernels_fit_the_window():
    widths = {
        length: [branch.kernel_size[0] for branch in make("inception", length=length).backbone.blocks[0].branches]
        for length in (1, 4, 31, 96)
    }
    assert widths == {1: [1, 1, 1], 4: [3, 3, 3], 31: [31, 19, 9], 96: [39, 19, 9]}


# Pretrained directories of Hugging Face

TINY = {
    "gpt2": {"n_positions": 32, "n_embd": 16, "n_layer": 3, "n_head": 2, "vocab_size": 11},
    "patchtst": {"context_length": 32, "patch_length": 8, "patch_stride": 8, "d_model": 16, "num_hidden_layers": 2,
                 "num_attention_heads": 2, "ffn_dim": 32, "num_input_channels": CHANNELS},
    "patchtsmixer": {"context_length": 32, "patch_length": 8, "patch_stride": 8, "d_model": 16, "num_layers": 2,
                     "num_input_channels": CHANNELS},
}  # fmt: skip


def hugging(kind: str, directory: Path, **more) -> torch.nn.Module:
    """A random tiny model of Hugging Face, saved with its head; returns the body under that head."""
    transformers = pytest.importorskip("transformers")
    stem = {"gpt2": "GPT2", "patchtst": "PatchTST", "patchtsmixer": "PatchTSMixer"}[kind]
    suffix = "LMHeadModel" if kind == "gpt2" else "ForPrediction"
    torch.manual_seed(3)
    whole = getattr(transformers, stem + suffix)(getattr(transformers, f"{stem}Config")(**TINY[kind] | more))
    whole.save_pretrained(directory)
    return (whole.transformer if kind == "gpt2" else whole.model).eval()


@pytest.mark.slow
def test_gpt2_blocks_are_the_files(tmp_path):
    reference = hugging("gpt2", tmp_path)
    body = make("llm_ts", pretrained_dir=str(tmp_path)).eval().backbone.body
    assert torch.equal(body.core.h[2].mlp.c_fc.weight, reference.h[2].mlp.c_fc.weight)
    expected = reference(inputs_embeds=body.tokens(windows())).last_hidden_state[:, 1:]
    torch.testing.assert_close(body(windows()), expected)


def test_layers_cuts_a_pretrained_model(tmp_path):
    reference = hugging("gpt2", tmp_path)
    backbone = make("llm_ts", pretrained_dir=str(tmp_path), args={"layers": 1}).backbone
    assert len(backbone.body.core.h) == 1 and backbone.pretrained["config"]["n_layer"] == 1
    assert torch.equal(backbone.body.core.h[0].attn.c_attn.weight, reference.h[0].attn.c_attn.weight)
    assert backbone.causal and leak_from_the_future(backbone.eval()) < 1e-5
    with pytest.raises(UsageError, match="layers=4"):
        make("llm_ts", pretrained_dir=str(tmp_path), args={"layers": 4})


@pytest.mark.parametrize("kind", ["patchtst", "patchtsmixer"])
def test_per_channel_features_are_the_models_own(kind, tmp_path):
    reference = hugging(kind, tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"do_mask_input": True}))  # as pretraining leaves it
    backbone = make("llm_ts", length=32, pretrained_dir=str(tmp_path)).eval().backbone
    x = windows(length=32)
    z = backbone(x)
    own = reference(x.transpose(1, 2)).last_hidden_state  # [B, C, P, d]
    assert backbone.dim == CHANNELS * 16 + 2 * CHANNELS and not backbone.causal
    torch.testing.assert_close(z[..., : CHANNELS * 16], own.transpose(1, 2).flatten(2))
    torch.testing.assert_close(z[:, 0, CHANNELS * 16 : CHANNELS * 17], x.mean(dim=2))


def test_overlapping_patches_and_a_class_token(tmp_path):
    reference = hugging("patchtst", tmp_path, patch_length=16, use_cls_token=True)
    z = make("llm_ts", length=32, pretrained_dir=str(tmp_path)).eval().backbone(windows(length=32))
    own = reference(windows(length=32).transpose(1, 2)).last_hidden_state[:, :, 1:]
    assert own.shape[2] == 3 and z.shape[1] == 4
    torch.testing.assert_close(z[:, 1:, : CHANNELS * 16], own.transpose(1, 2).flatten(2))
    assert torch.equal(z[:, 0], z[:, 1])


@pytest.mark.parametrize("head", ["pool", "step"])
@pytest.mark.parametrize("channels, length", [(1, 5), (7, 31), (CHANNELS, 50)])
@pytest.mark.parametrize("kind", sorted(TINY))
def test_a_pretrained_model_takes_any_window(kind, channels, length, head, tmp_path):
    hugging(kind, tmp_path)
    model = make("llm_ts", channels=channels, length=length, head=head, pretrained_dir=str(tmp_path))
    out = model(windows(4, channels, length))
    out.mean().backward()
    assert out.shape == (4, 2, length if head == "step" else 4)
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)
    with torch.autocast("cpu", torch.bfloat16):
        assert model(torch.ones(4, channels, length)).isfinite().all()


def test_a_short_window_stands_behind_unobserved_steps(tmp_path):
    reference = hugging("patchtst", tmp_path)
    backbone = make("llm_ts", length=20, pretrained_dir=str(tmp_path)).eval().backbone
    x = windows(length=20).transpose(1, 2)
    padded = torch.cat([x.mean(dim=1, keepdim=True).expand(-1, 12, -1), x], dim=1)
    observed = torch.cat([torch.zeros(4, 12, CHANNELS), torch.ones(4, 20, CHANNELS)], dim=1)
    own = reference(padded, observed)
    torch.testing.assert_close(own.loc[:, 0], x.mean(dim=1))
    newest = own.last_hidden_state[:, :, -3:].transpose(1, 2).flatten(2)
    torch.testing.assert_close(backbone(x.transpose(1, 2))[..., : CHANNELS * 16], newest)


def test_of_a_long_window_the_newest_steps_are_read(tmp_path):
    hugging("patchtst", tmp_path)
    x = windows(length=50)
    short = make("llm_ts", length=32, pretrained_dir=str(tmp_path)).eval().backbone(x[..., -32:])
    long = make("llm_ts", length=50, pretrained_dir=str(tmp_path)).eval().backbone(x)
    torch.testing.assert_close(long, torch.cat([short[:, :1].expand(-1, 3, -1), short], dim=1))


@pytest.mark.parametrize("kind", sorted(TINY))
def test_a_checkpoint_rebuilds_a_pretrained_model_without_its_directory(kind, tmp_path):
    hugging(kind, tmp_path)
    model, file = make("llm_ts", pretrained_dir=str(tmp_path)).eval(), io.BytesIO()
    torch.save({"pretrained": model.backbone.pretrained, "state": model.state_dict()}, file)
    for path in tmp_path.iterdir():
        path.unlink()
    file.seek(0)
    saved = torch.load(file, weights_only=True)
    assert saved["pretrained"] == json.loads(json.dumps(saved["pretrained"]))
    again = make("llm_ts", pretrained=saved["pretrained"], seed=1).eval()
    again.load_state_dict(saved["state"])
    assert torch.equal(model(windows()), again(windows()))


# TinyTimeMixer directories

TTM_CONFIG = {
    "model_type": "tinytimemixer", "context_length": 32, "patch_length": 8, "patch_stride": 8, "d_model": 16,
    "num_layers": 1, "expansion_factor": 2, "adaptive_patching_levels": 2, "decoder_num_layers": 1,
    "decoder_d_model": 8, "decoder_adaptive_patching_levels": 0, "dropout": 0.2, "head_dropout": 0.2,
    "prediction_length": 5, "num_input_channels": 1, "mode": "common_channel", "decoder_mode": "common_channel",
}  # fmt: skip


def published_weights() -> dict[str, torch.Tensor]:
    """Random weights under the published names for TTM_CONFIG."""
    shapes: dict[str, tuple[int, int]] = {
        "backbone.encoder.patcher": (16, 8), "decoder.adapter": (8, 16), "head.base_forecast_block": (5, 32),
    }  # fmt: skip
    weights = {}
    stems = {
        "backbone.encoder.mlp_mixer_encoder.mixers.0.mixer_layers.0": (8, 8),  # patches, features of level 1
        "backbone.encoder.mlp_mixer_encoder.mixers.1.mixer_layers.0": (4, 16),
        "decoder.decoder_block.mixers.0": (4, 8),
    }
    for stem, (patches, features) in stems.items():
        for mixer, size in (("patch_mixer", patches), ("feature_mixer", features)):
            shapes[f"{stem}.{mixer}.mlp.fc1"] = (2 * size, size)
            shapes[f"{stem}.{mixer}.mlp.fc2"] = (size, 2 * size)
            shapes[f"{stem}.{mixer}.gating_block.attn_layer"] = (size, size)
            weights[f"{stem}.{mixer}.norm.norm.weight"] = torch.rand(features)
            weights[f"{stem}.{mixer}.norm.norm.bias"] = torch.rand(features)
    for key, shape in shapes.items():
        weights[f"{key}.weight"], weights[f"{key}.bias"] = torch.randn(shape) / shape[1], torch.randn(shape[0])
    return weights


def write_ttm(directory: Path, weights: dict[str, torch.Tensor], **config) -> str:
    safetensors = pytest.importorskip("safetensors.torch")
    (directory / "config.json").write_text(json.dumps(TTM_CONFIG | config))
    safetensors.save_file(weights, directory / "model.safetensors")
    return str(directory)


@pytest.mark.parametrize("channels, length", [(1, 32), (7, 5), (3, 50)])
def test_ttm_directory_loads_and_rebuilds(channels, length, tmp_path):
    weights = published_weights()
    model = make("ttm", channels=channels, length=length, pretrained_dir=write_ttm(tmp_path, weights)).eval()
    core, x = model.backbone.core, windows(4, channels, length)
    assert torch.equal(core.embed.weight, weights["backbone.encoder.patcher.weight"])
    gate = "decoder.decoder_block.mixers.0.patch_mixer.gating_block.attn_layer.bias"
    assert torch.equal(core.decoder[0].mixers[0].patches.gate.bias, weights[gate])
    assert model.backbone(x).shape == (4, math.ceil(length / 8), channels * 10)
    assert core.forecast(x).shape == (4, channels, 5)
    again = make("ttm", channels=channels, length=length, pretrained=model.backbone.pretrained).eval()
    again.load_state_dict(model.state_dict())
    assert torch.equal(model(x), again(x))


def test_ttm_leaves_no_weight_of_a_directory_out(tmp_path):
    for change in ("missing", "unknown", "shape"):
        weights = published_weights()
        if change == "missing":
            del weights["decoder.adapter.bias"]
        elif change == "unknown":
            weights["decoder.extra.bias"] = torch.zeros(1)
        else:
            weights["head.base_forecast_block.bias"] = torch.zeros(6)
        with pytest.raises(CheckpointError, match=r"do not fit config\.json"):
            make("ttm", pretrained_dir=write_ttm(tmp_path, weights))


@pytest.mark.parametrize(
    "config, message",
    [
        ({"model_type": "gpt2"}, "is not tinytimemixer"),
        ({"resolution_prefix_tuning": True}, "resolution_prefix_tuning = True is not supported"),
        ({"patch_stride": 4}, "overlap"),
        ({"mode": "mix_channel", "num_input_channels": 2}, "mixes 2 channels, the data have 3"),
        ({"d_model": None}, "config.json lacks"),
        ({"patch_length": 0, "patch_stride": 0}, "does not describe a model"),
        ({"num_layers": 10**9}, "more than 1000 layers"),
    ],
)
def test_ttm_refuses_what_it_cannot_be(config, message, tmp_path):
    with pytest.raises(CheckpointError, match=message):
        make("ttm", pretrained_dir=write_ttm(tmp_path, published_weights(), **config))


def published_ttm_classes(monkeypatch):
    """The authors' model and config classes; `pip install --no-deps granite-tsfm` is enough.

    Their package imports a data set library at its top. Empty packages in its place let the two modules
    that hold the model be imported alone.
    """
    spec = importlib.util.find_spec("tsfm_public")
    if spec is None or spec.submodule_search_locations is None:
        pytest.skip("pip install --no-deps granite-tsfm")
    for name in ("tsfm_public", "tsfm_public.models", "tsfm_public.models.tinytimemixer"):
        package = types.ModuleType(name)
        package.__path__ = [str(Path(spec.submodule_search_locations[0]).joinpath(*name.split(".")[1:]))]
        monkeypatch.setitem(sys.modules, name, package)
    stem = "tsfm_public.models.tinytimemixer"
    modelling = pytest.importorskip(f"{stem}.modeling_tinytimemixer", exc_type=ImportError)
    configuration = importlib.import_module(f"{stem}.configuration_tinytimemixer")
    return modelling.TinyTimeMixerForPrediction, configuration.TinyTimeMixerConfig


@pytest.mark.parametrize(
    "config",
    [
        {"d_model": 24, "adaptive_patching_levels": 3, "num_layers": 2, "decoder_d_model": 16},
        {"context_length": 37, "d_model": 16, "adaptive_patching_levels": 3, "decoder_adaptive_patching_levels": 2},
        {"mode": "mix_channel", "decoder_mode": "mix_channel", "adaptive_patching_levels": 0, "decoder_d_model": 16},
    ],
    ids=["levels", "a level too fine", "channels mixed"],
)
def test_ttm_agrees_with_the_published_code(config, tmp_path, monkeypatch):
    peer_class, config_class = published_ttm_classes(monkeypatch)
    torch.manual_seed(5)
    base = {key: value for key, value in TTM_CONFIG.items() if key != "model_type"} | {"num_input_channels": CHANNELS}
    peer = peer_class(config_class(**base | config)).eval()
    peer.save_pretrained(tmp_path)
    length = peer.config.context_length
    backbone = make("ttm", length=length, pretrained_dir=str(tmp_path)).eval().backbone
    x = 3 * windows(length=length) + 10
    with torch.no_grad():
        theirs = peer(x.transpose(1, 2))
        features, _, _ = backbone.core.features(x)
        forecast = backbone.core.forecast(x)
    torch.testing.assert_close(features, theirs.decoder_hidden_state, rtol=0, atol=1e-5)
    torch.testing.assert_close(forecast, theirs.prediction_outputs.transpose(1, 2), rtol=0, atol=1e-5)


# Directories that must not load


@pytest.mark.parametrize("name", ["llm_ts", "ttm"])
@pytest.mark.parametrize(
    "content, message",
    [
        (None, "no such directory"),
        ({}, "no config.json"),
        ({"config.json": b"{"}, "not JSON"),
        ({"config.json": b"\xff\xfe"}, "not JSON"),
        ({"config.json": b"[" * 10**5}, "not JSON"),
        ({"config.json": b"[]"}, "no JSON object"),
        ({"config.json": b"{}"}, "model_type None is not"),
        ({"config.json": b'{"model_type": "bert"}'}, "model_type 'bert' is not"),
    ],
)
def test_a_directory_that_is_no_model(name, content, message, tmp_path):
    directory = tmp_path / "model"
    if content is not None:
        directory.mkdir()
        for file, text in content.items():
            (directory / file).write_bytes(text)
    with pytest.raises(CheckpointError, match=message):
        make(name, pretrained_dir=str(directory))


class Evil:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def test_a_pickle_runs_no_code(tmp_path):
    hugging("gpt2", tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"none of model\.safetensors"):
        make("llm_ts", pretrained_dir=str(tmp_path))
    torch.save({"h.0.ln_1.weight": Evil(tmp_path / "run")}, tmp_path / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match="plain tensors"):
        make("llm_ts", pretrained_dir=str(tmp_path))
    (tmp_path / "pytorch_model.bin").write_bytes(pickle.dumps(Evil(tmp_path / "run"), protocol=2))
    with pytest.raises(CheckpointError, match="plain tensors"):
        make("llm_ts", pretrained_dir=str(tmp_path))
    assert not (tmp_path / "run").exists()


def test_plain_tensors_in_a_pickle_load(tmp_path):
    reference = hugging("gpt2", tmp_path)
    (tmp_path / "model.safetensors").unlink()
    torch.save(reference.state_dict(), tmp_path / "pytorch_model.bin")
    body = make("llm_ts", pretrained_dir=str(tmp_path)).backbone.body
    assert torch.equal(body.core.ln_f.weight, reference.ln_f.weight)


@pytest.mark.parametrize("damage", ["cut", "missing key", "other shape"])
def test_weights_that_do_not_fit(damage, tmp_path):
    hugging("patchtst", tmp_path)
    safetensors = pytest.importorskip("safetensors.torch")
    path = tmp_path / "model.safetensors"
    weights = safetensors.load_file(path)
    key = "model.encoder.layers.1.ff.0.weight"
    weights[key] = weights[key][1:].contiguous() if damage == "other shape" else weights[key]
    if damage == "missing key":
        del weights[key]
    safetensors.save_file(weights, path)
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(CheckpointError, match=r"damaged" if damage == "cut" else r"do not fit config\.json"):
        make("llm_ts", pretrained_dir=str(tmp_path))


@pytest.mark.parametrize("change", [{"n_head": 3}, {"n_layer": 10**9}, {"n_layer": "3"}, {"n_embd": -1}])
def test_a_configuration_that_describes_no_model(change, tmp_path):
    hugging("gpt2", tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | change))
    with pytest.raises(CheckpointError):
        make("llm_ts", pretrained_dir=str(tmp_path))


def test_code_named_in_a_configuration_is_not_looked_at(tmp_path):
    hugging("gpt2", tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config |= {"auto_map": {"AutoModel": "evil.Model"}, "_attn_implementation": "someone/kernel"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    kept = make("llm_ts", pretrained_dir=str(tmp_path)).backbone.pretrained["config"]
    assert not {"auto_map", "_attn_implementation"} & set(kept)


def test_channels_that_a_model_has_weights_for(tmp_path):
    hugging("patchtsmixer", tmp_path, mode="mix_channel")
    make("llm_ts", channels=CHANNELS, pretrained_dir=str(tmp_path))
    with pytest.raises(CheckpointError, match="weights for 3 channels, the data have 7"):
        make("llm_ts", channels=7, pretrained_dir=str(tmp_path))


@pytest.mark.parametrize(
    "kind, args, message",
    [
        ("gpt2", {"d_model": 64}, "d_model: fixed"),
        ("gpt2", {"patch": 1}, r"41 tokens, but the model has 32"),
        ("patchtst", {"patch": 8}, "patch: fixed"),
    ],
)
def test_what_a_directory_fixes(kind, args, message, tmp_path):
    hugging(kind, tmp_path)
    with pytest.raises(UsageError, match=message):
        make("llm_ts", length=40, pretrained_dir=str(tmp_path), args=args)


def test_other_backbones_take_no_directory(tmp_path):
    with pytest.raises(UsageError, match="--pretrained-dir serves auto and chronos2 and llm_ts and mantis and ttm"):
        make("gru", pretrained_dir=str(tmp_path))


def test_transformers_missing(tmp_path, monkeypatch):
    hugging("gpt2", tmp_path)
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(UsageError, match=r"pip install -r requirements-pretrained\.txt"):
        make("llm_ts", pretrained_dir=str(tmp_path))
