"""Model directories on this disk (`config.json` beside the weights): read safely, built into backbones.

A directory holds `model.safetensors`, or `pytorch_model.bin`, which is read by `torch.load(weights_only=True)`.
Nothing is downloaded and no code of the directory runs: the configuration is plain JSON of which only the keys listed
here are used, and the weights are tensors that must fit the module built from it.

The models that `llm_ts` can use, by `model_type`:

- `gpt2`: patches of all channels and a token of the window's level, projected to the width of the first n blocks of
  `GPT2Model` (as in Zhou et al. 2023, "One Fits All", section 3); the word embedding is left in the file. Causal.
- `patchtst`, `patchtsmixer`: `PatchTSTModel` or `PatchTSMixerModel`, whose weights are shared by the channels; their
  features are side by side in z, with the level of the window (`join_channels`). A window shorter than the model's
  context is padded in front with steps marked as not observed; of a longer one the newest steps are read, and the
  tokens of older steps repeat the oldest one there is.
- `mantis`, which its `config.json` does not say: one vector for each channel of the whole window, side by side in the
  one token of z (mantis_encoder.py). `--backbone mantis` has the same under a map that is solved.
"""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypeVar

import torch
from torch import nn

from backbones import Hyper, hyper, mantis_encoder
from backbones.layers import (
    MAX_TOKENS,
    PatchTokens,
    choose_patch,
    fit_tokens,
    join_channels,
    left_pad,
    level_of,
    patch_count,
    standardise,
)
from errors import CheckpointError, UsageError, is_out_of_memory, nearest

Built = TypeVar("Built", bound=nn.Module)
INSTALL = "pip install -r requirements-pretrained.txt"
MAX_LAYERS = 1000  # a file that asks for more is not a model
WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin")


def read_config(directory: str) -> dict[str, Any]:
    """The content of `config.json` in a local model directory. An error for the user where it cannot be read."""
    path = Path(directory) / "config.json"
    if not path.is_file():
        raise CheckpointError(
            "no config.json" if Path(directory).is_dir() else "no such directory",
            where=f"--pretrained-dir {directory}",
            hint="name a directory that holds config.json and model.safetensors; nothing is downloaded",
        )
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"not JSON: {error}", where=str(path)) from error
    if not isinstance(config, dict):
        raise CheckpointError("holds no JSON object", where=str(path))
    return config


def read_weights(directory: str) -> dict[str, torch.Tensor]:
    """The tensors of a model directory, on the CPU."""
    path = _weights_in(directory)
    weights = _read_safetensors(path) if path.suffix == ".safetensors" else _read_pickled(path)
    if not isinstance(weights, dict) or not all(isinstance(value, torch.Tensor) for value in weights.values()):
        raise CheckpointError("holds something other than named tensors", where=str(path))
    return weights


def _weights_in(directory: str) -> Path:
    """The file of the weights. CheckpointError where there is none."""
    path = next((found for name in WEIGHT_FILES if (found := Path(directory) / name).is_file()), None)
    if path is None:
        raise CheckpointError(
            f"none of {', '.join(WEIGHT_FILES)}",
            where=f"--pretrained-dir {directory}",
            hint="weights split over several files must be saved as one",
        )
    return path


def _read_safetensors(path: Path) -> Any:
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ImportError as error:
        raise UsageError("--pretrained-dir needs safetensors", hint=INSTALL) from error
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"damaged: {error}", where=str(path)) from error


def _read_pickled(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a pickle that is damaged or tries to run code can fail in any way
        if is_out_of_memory(error):
            raise
        raise CheckpointError(f"does not contain plain tensors: {type(error).__name__}", where=str(path)) from error


def load_strict(module: nn.Module, weights: dict[str, torch.Tensor], where: str) -> None:
    """Load every tensor of `weights` into `module`. CheckpointError if one is missing, left over or misshapen."""
    expected = module.state_dict()
    shapes = {key: tuple(expected[key].shape) for key in expected.keys() & weights.keys()}
    problems = [f"missing {key}" for key in sorted(expected.keys() - weights.keys())]
    problems += [f"unknown {key}" for key in sorted(weights.keys() - expected.keys())]
    problems += [
        f"{key} is {tuple(weights[key].shape)}, not {shape}"
        for key, shape in sorted(shapes.items())
        if tuple(weights[key].shape) != shape
    ]
    if problems:
        more = f" and {len(problems) - 5} more" if len(problems) > 5 else ""
        raise CheckpointError(
            f"the weights do not fit config.json: {'; '.join(problems[:5])}{more}",
            where=f"--pretrained-dir {where}",
            hint="take config.json and the weights from one release of one model",
        )
    module.load_state_dict(weights)


def refuse_fixed(name: str, given: Hyper, fixed: tuple[str, ...]) -> None:
    """UsageError where a hyperparameter that the directory fixes was set to something else than its default."""
    named = [key for key in fixed if vars(given)[key] != hyper(name)[key]["default"]]
    if named:
        raise UsageError(
            f"{', '.join(named)}: fixed by the pretrained directory", where="--model-args", hint="leave it out"
        )


class Body(nn.Module):
    """A pretrained model instead of a backbone's layers, `x [B, C, T] -> z [B, T', dim]`.

    `core` is the model that the directory's weights are for; KEYS are what is read of its `config.json`, LAYERS the one
    that counts its blocks; PREFIX is what the weights' names begin with in a file with a head. The other attributes are
    those of `Backbone`.
    """

    KEYS: tuple[str, ...] = ()
    LAYERS = ""
    PREFIX = ""
    core: Any  # of transformers, whose models have attributes that no annotation knows
    dim: int
    stride: int
    pool: Literal["last", "mean"]
    causal: bool

    @abstractmethod
    def __init__(self, config: dict[str, Any], channels: int, length: int, patch: int) -> None:
        super().__init__()

    def named(self, weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """The weights of a file by the names of `core`."""
        return {key.removeprefix(self.PREFIX): value for key, value in weights.items()}


class GPT2Body(Body):
    """`x [B, C, T] -> z [B, P, n_embd]` through the first n blocks of GPT-2."""

    KEYS = (
        "n_positions", "n_embd", "n_layer", "n_head", "n_inner", "activation_function", "resid_pdrop", "embd_pdrop",
        "attn_pdrop", "layer_norm_epsilon", "scale_attn_weights", "scale_attn_by_inverse_layer_idx",
    )  # fmt: skip
    LAYERS = "n_layer"
    PREFIX = "transformer."
    pool = "last"
    causal = True

    def __init__(self, config: dict[str, Any], channels: int, length: int, patch: int) -> None:
        super().__init__(config, channels, length, patch)
        transformers = _transformers()
        # A vocabulary of one: the word embedding is not used, and is removed below.
        hugging = transformers.GPT2Config(**config, vocab_size=1, bos_token_id=None, eos_token_id=None)
        self.stride = patch or choose_patch(length, MAX_TOKENS)
        self.dim = hugging.n_embd
        self.tokens = PatchTokens(channels, length, self.stride, self.dim)
        if 1 + self.tokens.count > hugging.n_positions:
            raise UsageError(
                f"{1 + self.tokens.count} tokens, but the model has {hugging.n_positions} positions",
                where="--pretrained-dir",
                hint=f"set --model-args patch above {self.stride}",
            )
        self.core = transformers.GPT2Model(hugging)
        self.core.wte = nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.core(inputs_embeds=self.tokens(x), use_cache=False).last_hidden_state[:, 1:]


def _check_fixed(patch: int) -> None:
    """UsageError where --model-args say a patch, which the directory's model has."""
    if patch:
        raise UsageError("patch: fixed by the pretrained directory", where="--model-args", hint="leave it out")


class PerChannelBody(Body):
    """`x [B, C, T] -> z [B, ceil(T / stride), C * d + 2C]` through a model that reads each channel by itself."""

    MASK = ""  # how the model calls its mask of observed steps
    PREFIX = "model."
    pool = "mean"
    causal = False

    def __init__(self, config: dict[str, Any], channels: int, length: int, patch: int) -> None:
        super().__init__(config, channels, length, patch)
        _check_fixed(patch)
        self.core = self._build(config, channels)
        hugging = self.core.config
        self.context, self.stride = hugging.context_length, hugging.patch_stride
        self.patches = (self.context - hugging.patch_length) // self.stride + 1
        self.dim = channels * hugging.d_model + 2 * channels
        self.count = patch_count(length, self.stride)

    @abstractmethod
    def _build(self, config: dict[str, Any], channels: int) -> nn.Module:
        """The Hugging Face model for a configuration."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x[..., -self.context :]
        _, mean, scale = standardise(x)
        # The steps before the window are its mean: zero, once a scaler of the usual kind has taken that off.
        values = left_pad(x - mean, self.context) + mean
        observed = left_pad(torch.ones_like(x), self.context)
        h = self.core(values.transpose(1, 2), **{self.MASK: observed.transpose(1, 2)}).last_hidden_state
        # A class token, where the model has one, comes before its patches [B, C, P, d].
        return fit_tokens(join_channels(h[:, :, -self.patches :], level_of(mean, scale)), self.count)


class PatchTSTBody(PerChannelBody):
    """PatchTST (Nie et al. 2023, arXiv 2211.14730, section 3.1); the masking of its pretraining is not among KEYS."""

    KEYS = (
        "context_length", "patch_length", "patch_stride", "num_hidden_layers", "d_model", "num_attention_heads",
        "num_input_channels", "share_embedding", "channel_attention", "ffn_dim", "norm_type", "norm_eps",
        "attention_dropout", "positional_dropout", "path_dropout", "ff_dropout", "bias", "activation_function",
        "pre_norm", "positional_encoding_type", "use_cls_token", "scaling",
    )  # fmt: skip
    LAYERS = "num_hidden_layers"
    MASK = "past_observed_mask"

    def _build(self, config: dict[str, Any], channels: int) -> nn.Module:
        transformers = _transformers()
        if not config.get("share_embedding", True):
            _require_channels(config, channels)
        hugging = transformers.PatchTSTConfig(**config | {"num_input_channels": channels})
        return transformers.PatchTSTModel(hugging)


class PatchTSMixerBody(PerChannelBody):
    """PatchTSMixer (Ekambaram et al. 2023, arXiv 2306.09364, section 3)."""

    KEYS = (
        "context_length", "patch_length", "patch_stride", "num_input_channels", "d_model", "expansion_factor",
        "num_layers", "dropout", "mode", "gated_attn", "norm_mlp", "self_attn", "self_attn_heads",
        "use_positional_encoding", "positional_encoding_type", "scaling", "norm_eps",
    )  # fmt: skip
    LAYERS = "num_layers"
    MASK = "observed_mask"

    def _build(self, config: dict[str, Any], channels: int) -> nn.Module:
        transformers = _transformers()
        if config.get("mode") == "mix_channel":
            _require_channels(config, channels)
        hugging = transformers.PatchTSMixerConfig(**config | {"num_input_channels": channels})
        return transformers.PatchTSMixerModel(hugging)


class MantisBody(Body):
    """`x [B, C, T] -> z [B, 1, C * d]` through Mantis."""

    KEYS = tuple(mantis_encoder.SETTINGS)
    LAYERS = "transf_depth"
    pool = "last"
    causal = False

    def __init__(self, config: dict[str, Any], channels: int, length: int, patch: int) -> None:
        super().__init__(config, channels, length, patch)
        _check_fixed(patch)
        self.core = mantis_encoder.MantisEncoder(config)
        self.dim, self.stride = channels * self.core.dim, length

    def named(self, weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return mantis_encoder.renamed(weights)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.core(x).flatten(1)[:, None]


BODIES: dict[str, type[Body]] = {
    "gpt2": GPT2Body, "patchtst": PatchTSTBody, "patchtsmixer": PatchTSMixerBody, "mantis": MantisBody,
}  # fmt: skip


def _transformers() -> Any:
    try:
        import transformers
    except ImportError as error:
        raise UsageError("--pretrained-dir needs transformers", hint=INSTALL) from error
    return transformers


def _require_channels(config: dict[str, Any], channels: int) -> None:
    known = config.get("num_input_channels", 1)
    if known != channels:
        raise CheckpointError(
            f"the pretrained model has weights for {known} channels, the data have {channels}",
            where="--pretrained-dir",
            hint=f"give it {known} channels, or a model whose weights are shared by the channels",
        )


def _kind(config: dict[str, Any]) -> Any:
    """The `model_type` of a `config.json`; those of Mantis have none, and its second version another transformer."""
    if "transf_depth" not in config:
        return config.get("model_type")
    return "mantis" if "kernel_size" not in config else "MantisV2"


def describe(directory: str, layers: int) -> dict[str, Any]:
    """The plain dict that rebuilds the directory's architecture, cut to its first `layers` blocks (0: all)."""
    config = read_config(directory)
    kind = _kind(config)
    if kind not in BODIES:
        raise CheckpointError(
            f"model_type {kind!r} is not one of {', '.join(BODIES)}",
            where=f"--pretrained-dir {directory}",
            hint=nearest(str(kind), BODIES),
        )
    body = BODIES[kind]
    kept = {key: config[key] for key in body.KEYS if key in config}
    available = kept.get(body.LAYERS)
    if not isinstance(available, int) or not 0 < available <= MAX_LAYERS:
        raise CheckpointError(f"config.json gives {body.LAYERS} as {available}", where=f"--pretrained-dir {directory}")
    if layers > available:
        raise UsageError(f"layers={layers}, but the pretrained model has {available}", where="--model-args")
    return {"model_type": kind, "config": kept | {body.LAYERS: layers or available}}


def construct(make: Callable[[], Built]) -> Built:
    """What `make` builds from a configuration that came from outside."""
    try:
        return make()
    except (UsageError, CheckpointError):
        raise
    except Exception as error:  # torch and transformers answer an impossible size in many ways
        raise CheckpointError(f"config.json does not describe a model: {error}", where="--pretrained-dir") from error


def check_size(make: Callable[[], nn.Module], directory: str) -> None:
    """CheckpointError where a model that `make` builds has more weights than the files of a directory have bytes."""
    _weights_in(directory)
    with torch.device("meta"):  # shapes alone
        count = sum(value.numel() for value in construct(make).state_dict().values())
    held = sum(file.stat().st_size for file in Path(directory).iterdir() if file.is_file())
    if count > held:
        what = f"config.json describes {count:,} weights, and the directory holds {held:,} bytes"
        raise CheckpointError(what, where=f"--pretrained-dir {directory}")


def build_body(pretrained: dict[str, Any], channels: int, length: int, patch: int) -> Body:
    """The described body with random weights."""
    body = BODIES[pretrained["model_type"]]
    return construct(lambda: body(pretrained["config"], channels, length, patch))


def load_body(body: Body, directory: str) -> None:
    """Load all weights of `body.core` from the directory; heads, words and cut layers of the file are ignored."""
    weights = body.named(read_weights(directory))
    wanted = body.core.state_dict().keys()
    load_strict(body.core, {key: value for key, value in weights.items() if key in wanted}, directory)
