"""finetune.py: which parameters train, which begin again, and how many each part of a model has."""

from __future__ import annotations

import pytest
import torch

import finetune
from backbones import ModelSpec
from backbones.model import build_model
from checkpoint import Checkpoint
from config import RunConfig
from errors import UsageError
from scaler import Scaler

NORMS = ("backbone.blocks.0.norm", "backbone.blocks.1.norm")
BLOCKS = {
    f"backbone.blocks.{block}.{name}"
    for block in (0, 1)
    for name in ("bottleneck.weight", *(f"branches.{k}.weight" for k in range(3)), "pooled.weight")
} | {f"{norm}.{name}" for norm in NORMS for name in ("weight", "bias")}
HEAD = {"head.weight", "head.bias"}
CONVOLVED = {name for name in BLOCKS | HEAD if not {"norm", "bottleneck"} & set(name.split("."))}
MODALITIES = {"light": 3, "sound": 2}


def spec_of(backbone, **more) -> ModelSpec:
    sizes = {"channels": 2, "length": 6, "outputs": 3, "horizon": 1, "head": "pool"}
    return ModelSpec(backbone=backbone, **sizes | more)


def convolutions() -> ModelSpec:
    """Two blocks of convolutions, each under a batch norm."""
    return spec_of("inception", args={"filters": 2, "depth": 2, "kernel": 3})


def fusion() -> ModelSpec:
    args = {"width": 8, "heads": 2, "context": 12, "hidden": 6}
    return spec_of("fusion_gru", channels=5, args=args, modalities=MODALITIES)


def saved(spec) -> Checkpoint:
    """A checkpoint of this architecture; its weights are all 5, as is what batch norms have seen."""
    state = {name: torch.full_like(value, 5) for name, value in build_model(spec).state_dict().items()}
    return Checkpoint(
        config={"task": "classify"},
        model=spec,
        state=state,
        scaler=Scaler(torch.zeros(1).numpy(), torch.ones(1).numpy(), ("a",)),
        input_channels=["a"],
        outputs=["a"],
        per_row=False,
        fitted={},
        calibration={},
        references={},
    )


def chosen(spec, start=None, besides=(), **settings):
    """(the model, what the manifest says) after the flags were applied to a checkpoint's weights."""
    model = build_model(spec)
    if start is not None:
        model.load_state_dict(start.state)
    said = finetune.choose_parameters(model, RunConfig(mode="finetune", **settings), start, besides)
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert trained == set(said["trained"])
    assert sorted(said["trained"] + said["frozen"]) == sorted(name for name, _ in model.named_parameters())
    return model, said


def refused(spec, **settings) -> UsageError:
    with pytest.raises(UsageError) as caught:
        chosen(spec, **settings)
    return caught.value


# ---- which train


def test_all_train_where_nothing_is_asked_for():
    _, said = chosen(convolutions())
    assert set(said["trained"]) == BLOCKS | HEAD and said["frozen"] == said["reinit"] == []


@pytest.mark.parametrize(
    ("settings", "trained"),
    [
        ({"freeze": ("backbone",)}, HEAD),  # a beginning of dotted names
        ({"freeze": ("backbone.*",)}, HEAD),
        ({"freeze": ("head", "*.bias")}, {name for name in BLOCKS if not name.endswith("bias")}),
        ({"freeze": ("backbone.blocks.?.norm", "*bottle*")}, CONVOLVED),
        ({"train_only": ("head",)}, HEAD),
        ({"train_only": ("head.bias", NORMS[1])}, {"head.bias", f"{NORMS[1]}.weight", f"{NORMS[1]}.bias"}),
        ({"train_only": ("head",), "freeze": ("head.weight",)}, {"head.bias"}),
        ({"train_only": ("backbone.blocks.[1]",)}, {name for name in BLOCKS if name.startswith("backbone.blocks.1.")}),
    ],
)
def test_patterns_choose_what_trains(settings, trained):
    _, said = chosen(convolutions(), **settings)
    assert set(said["trained"]) == trained


def test_a_pattern_is_no_beginning_of_a_word():
    assert "'hea' matches no parameter" in refused(convolutions(), freeze=("hea",)).what
    assert "'backbone.block' matches no parameter" in refused(convolutions(), freeze=("backbone.block",)).what


def test_more_may_be_frozen_than_the_flags_say():
    only = ("head", "backbone.encoder.norm", "backbone.gru")
    _, said = chosen(fusion(), besides=("backbone.encoder",), train_only=only)
    assert {name.rpartition(".")[0] for name in said["trained"]} == {"head", "backbone.gru"}
    _, said = chosen(convolutions(), besides=("backbone",), freeze=("head.bias",))
    assert said["trained"] == ["head.weight"]


@pytest.mark.parametrize(
    ("flag", "pattern", "hint"),
    [
        ("freeze", "backbone.bloks.0.norm", "did you mean backbone.blocks.0.norm?"),
        ("train_only", "haed.weight", "did you mean head.weight?"),
        ("reinit", "heads", "did you mean head?"),
        ("reinit", "xyz", "parameters are backbone.blocks.0.bottleneck.weight"),
    ],
)
def test_a_pattern_without_a_match_is_an_error_with_a_name_that_is_near(flag, pattern, hint):
    error = refused(convolutions(), start=saved(convolutions()), **{flag: (pattern,)})
    assert error.what == f"{pattern!r} matches no parameter" and error.where == f"--{flag.replace('_', '-')}"
    assert error.hint.startswith(hint)


@pytest.mark.parametrize(
    "settings", [{"freeze": ("*",)}, {"freeze": ("backbone", "head")}, {"train_only": ("head",), "freeze": ("head",)}]
)
def test_nothing_left_to_train_is_an_error(settings):
    assert "nothing is left to train" in refused(convolutions(), **settings).what


# ---- which begin again


def test_parameters_begin_again_where_a_model_of_the_same_seed_does():
    start = saved(convolutions())
    with torch.random.fork_rng():
        torch.manual_seed(3)
        fresh = build_model(convolutions()).state_dict()
    model = build_model(convolutions())
    model.load_state_dict(start.state)
    torch.manual_seed(3)
    said = finetune.choose_parameters(model, RunConfig(mode="finetune", reinit=("head", "*.0.pooled")), start)
    again = HEAD | {"backbone.blocks.0.pooled.weight"}
    assert set(said["reinit"]) == again and set(said["trained"]) == BLOCKS | HEAD
    for name, value in model.state_dict().items():
        assert torch.equal(value, fresh[name] if name in again else start.state[name]), name


def test_a_batch_norm_that_begins_again_has_seen_nothing():
    start = saved(convolutions())
    model, said = chosen(convolutions(), start, reinit=(NORMS[0],))
    assert said["reinit"] == [f"{NORMS[0]}.weight", f"{NORMS[0]}.bias"]
    expected = {"weight": 1, "bias": 0, "running_mean": 0, "running_var": 1, "num_batches_tracked": 0}
    for name, value in expected.items():
        assert (model.state_dict()[f"{NORMS[0]}.{name}"] == value).all(), name
        assert (model.state_dict()[f"{NORMS[1]}.{name}"] == 5).all(), name


def test_a_frozen_parameter_may_begin_again():
    model, said = chosen(convolutions(), saved(convolutions()), reinit=("head",), freeze=("head.bias",))
    assert "head.bias" in said["frozen"] and "head.bias" in said["reinit"]
    assert (model.head.bias != 5).all()


# ---- a backbone of two stages


@pytest.mark.parametrize(
    "settings",
    [
        {"freeze": ("backbone.gru",)},
        {"train_only": ("backbone.encoder.join", "head")},
        {"train_only": ("backbone.encoder",)},
    ],
)
def test_a_first_stage_is_not_retrained_under_a_second_that_stays(settings):
    error = refused(fusion(), **settings)
    assert "but freezes the gru, which could not read the encoder's new contexts" in error.what
    assert error.what.startswith("trains backbone.encoder.") and "--adapt-modality NAME" in error.hint


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"freeze": ("backbone.encoder",)},
        {"freeze": ("backbone.encoder", "backbone.gru")},
        {"freeze": ("backbone.gru.weight_hh_l0",)},  # some of the second stage trains
        {"train_only": ("backbone.encoder.project.*",)},
        {"train_only": ("backbone.encoder.project.light", "head")},
        {"train_only": ("backbone.encoder", "backbone.gru")},
    ],
)
def test_stages_may_train_together_or_the_second_alone_or_what_reads_a_modality(settings):
    chosen(fusion(), **settings)


def test_a_changed_modality_trains_what_reads_it_alone():
    _, said = chosen(fusion(), adapt_modality=("sound",))
    assert said["trained"] == ["backbone.encoder.project.sound.weight", "backbone.encoder.project.sound.bias"]


# ---- sizes


def test_the_sizes_of_a_backbone_and_a_head():
    """A GRU has three gates of (input + state) weights and two biases; a head K x H outputs."""
    model = build_model(spec_of("gru", outputs=3, horizon=2, args={"hidden": 4}))
    gru, head = 3 * 4 * (2 + 4 + 2), (4 + 1) * 3 * 2
    assert finetune.modules_of(model) == {
        "backbone": {"parameters": gru, "bytes": 4 * gru},
        "head": {"parameters": head, "bytes": 4 * head},
    }
    assert finetune.modules_of(model.half())["head"]["bytes"] == 2 * head


def test_the_sizes_of_stages_and_what_follows_them():
    found = finetune.modules_of(build_model(fusion()))
    project, token, norm = (3 + 1) * 8 + (2 + 1) * 8, 8, 2 * 8
    encoder = project + token + norm + 3 * 8 * 8 + (8 + 1) * 8 + (8 + 1) * 12
    gru, head = 3 * 6 * (12 + 6 + 2), 2 * 6 + (6 + 1) * 3  # the norm of the state counts with the head
    assert {name: row["parameters"] for name, row in found.items()} == {"encoder": encoder, "gru": gru, "head": head}


def test_a_backbone_without_weights_has_no_line():
    assert list(finetune.modules_of(build_model(spec_of("linear")))) == ["head"]
