"""TinyTimeMixer (Ekambaram et al. 2024, arXiv 2401.03955, section 3), from scratch or from a local published model.

`x [B, C, T] -> z [B, ceil(T / patch), C * decoder_dim + 2C]`. Windows are standardised per channel and cut into
patches. The encoder mixes over patches and over features (TSMixer blocks: norm, MLP, softmax gate, residual) in levels
of adaptive patching: level i looks at 2^i times as many patches of 2^-i times the features, the finest level first. The
decoder is a shallower mixer, which may mix over channels too. Its features are z: the channels side by side, with the
level of the window that standardising removed (`join_channels`). The published forecast head is kept beside them when a
directory brought one (`TinyTimeMixer.forecast`).

A window shorter than the context is padded in front with zeros, that is with its mean; of a longer one the newest
steps are read, and the tokens of older steps repeat the oldest one.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from backbones import Hyper, InputSpec, pretrained_files, register
from backbones.base import Backbone
from backbones.layers import choose_patch, fit_tokens, join_channels, left_pad, level_of, patch_count, standardise
from errors import CheckpointError, UsageError

HYPER = {
    "patch": {"default": 0, "min": 0, "max": 512, "help": "steps a patch; 0: 4, or more to keep within 8 patches"},
    "d_model": {"default": 96, "min": 8, "max": 1024, "help": "features of the encoder, a multiple of 2^(levels - 1)"},
    "levels": {"default": 3, "min": 0, "max": 6, "help": "levels of adaptive patching; 0: plain mixers"},
    "layers": {"default": 2, "min": 1, "max": 16, "help": "mixers in each level"},
    "expansion": {"default": 2, "min": 1, "max": 8, "help": "hidden width of a mixer, relative to its input"},
    "decoder_dim": {"default": 64, "min": 4, "max": 1024, "help": "features of the decoder"},
    "decoder_layers": {"default": 2, "min": 1, "max": 16, "help": "mixers in the decoder"},
    "mix_channels": {"default": False, "help": "let the decoder mix over channels"},
    "dropout": {"default": 0.2, "min": 0.0, "max": 0.9, "help": "in the mixers"},
}

MAX_PATCHES = 8  # of the published models: 64 steps a patch of 512
FEWEST_FEATURES = 4  # a level that would leave no more than this keeps the patches as they are

# Settings of a published config.json that this implementation has in one form: the key and the values that mean it.
ONE_FORM: dict[str, tuple[Any, ...]] = {
    "mode": ("common_channel", "mix_channel"), "decoder_mode": ("common_channel", "mix_channel"),
    "scaling": ("std", True), "minimum_scale": (1e-5,), "norm_mlp": ("LayerNorm",), "norm_eps": (1e-5,),
    "gated_attn": (True,), "gate_mode": ("softmax",), "use_register_context_gating": (False,),
    "self_attn": (False,), "use_positional_encoding": (False,), "resolution_prefix_tuning": (False,),
    "use_decoder": (True,), "decoder_raw_residual": (False,), "enable_forecast_channel_mixing": (False,),
    "multi_scale": (False,), "multi_quantile_head": (False,), "enable_base_norm_always": (False,),
    "decompose": (False,), "register_tokens": (0,), "fft_length": (0,), "categorical_vocab_size_list": (None,),
    "prediction_channel_indices": (None,), "exogenous_channel_indices": (None,), "prediction_filter_length": (None,),
    "masked_context_length": (None,),
}  # fmt: skip

# From the published key names to the ones here, in this order.
RENAMES = (
    (r"^backbone\.encoder\.patcher\.", "embed."),
    (r"^backbone\.encoder\.mlp_mixer_encoder\.mixers\.", "encoder."),
    (r"^decoder\.decoder_block\.mixers\.", "decoder."),
    (r"^decoder\.adapter\.", "adapter."),
    (r"^head\.base_forecast_block\.", "head."),
    (r"^(encoder|decoder)\.(\d+)\.mixer_layers\.", r"\1.\2.mixers."),
    (r"^(encoder|decoder)\.(\d+)\.(?!mixers\.)", r"\1.0.mixers.\2."),  # without adaptive patching there is one level
    (r"\.channel_feature_mixer\.", ".channels."),
    (r"\.patch_mixer\.", ".patches."),
    (r"\.feature_mixer\.", ".features."),
    (r"\.norm\.norm\.", ".norm."),
    (r"\.mlp\.fc1\.", ".widen."),
    (r"\.mlp\.fc2\.", ".narrow."),
    (r"\.gating_block\.attn_layer\.", ".gate."),
)


class Mixer(nn.Module):
    """An MLP along one axis of `h [B, C, P, d]`, gated and added to h (section 3.1).

    The gate weighs what the MLP gives; over channels (`gate_first`) it weighs what the MLP takes, as published.
    """

    def __init__(self, size: int, axis: int, features: int, expansion: int, dropout: float, gate_first: bool) -> None:
        super().__init__()
        self.axis, self.gate_first = axis, gate_first
        self.norm = nn.LayerNorm(features)
        self.widen = nn.Linear(size, size * expansion)
        self.narrow = nn.Linear(size * expansion, size)
        self.gate = nn.Linear(size, size)
        self.dropout = nn.Dropout(dropout)

    def weigh(self, h: torch.Tensor) -> torch.Tensor:
        return h * self.gate(h).softmax(dim=-1)

    def forward(self, h: torch.Tensor) -> torch.Tensor:
        mixed = self.norm(h).transpose(self.axis, 3)
        mixed = self.weigh(mixed) if self.gate_first else mixed
        mixed = self.dropout(self.narrow(self.dropout(F.gelu(self.widen(mixed)))))
        mixed = mixed if self.gate_first else self.weigh(mixed)
        return h + mixed.transpose(self.axis, 3)


class MixerLayer(nn.Module):
    """Mixing over channels (where asked), over patches (where there are several), over features."""

    def __init__(self, channels: int, patches: int, features: int, expansion: int, dropout: float) -> None:
        super().__init__()
        rest: dict[str, Any] = {"features": features, "expansion": expansion, "dropout": dropout}
        self.channels = Mixer(channels, axis=1, gate_first=True, **rest) if channels else nn.Identity()
        self.patches = Mixer(patches, axis=2, gate_first=False, **rest) if patches > 1 else nn.Identity()
        self.features = Mixer(features, axis=3, gate_first=False, **rest)

    def forward(self, h: torch.Tensor) -> torch.Tensor:
        return self.features(self.patches(self.channels(h)))


class Level(nn.Module):
    """Mixers over `h [B, C, P, d]` seen as `[B, C, P * split, d / split]` (section 3.1, adaptive patching)."""

    def __init__(self, split: int, layers: int, channels: int, patches: int, features: int, **rest: Any) -> None:
        super().__init__()
        split = split if features // split > FEWEST_FEATURES else 1
        if features % split:
            raise UsageError(f"{features} features do not split by {split}", where="ttm d_model and levels")
        self.split = split
        self.mixers = nn.ModuleList(
            MixerLayer(channels, patches * split, features // split, **rest) for _ in range(layers)
        )

    def forward(self, h: torch.Tensor) -> torch.Tensor:
        shape = h.shape
        h = h.reshape(*shape[:2], shape[2] * self.split, shape[3] // self.split)
        for mixer in self.mixers:
            h = mixer(h)
        return h.reshape(shape)


def _levels(levels: int, **rest: Any) -> nn.ModuleList:
    return nn.ModuleList(Level(2**i, **rest) for i in reversed(range(max(levels, 1))))


class TinyTimeMixer(nn.Module):
    """The published network: `features` for z and `forecast` for the published head (`horizon` 0: none)."""

    def __init__(
        self,
        *,
        context: int,
        patch: int,
        dim: int,
        levels: int,
        layers: int,
        expansion: int,
        decoder_dim: int,
        decoder_levels: int,
        decoder_layers: int,
        dropout: float,
        decoder_dropout: float,
        channels: int,
        decoder_channels: int,
        horizon: int,
    ) -> None:
        super().__init__()
        self.context, self.patch = context, patch
        patches = context // patch
        self.embed = nn.Linear(patch, dim)
        common = {"patches": patches, "expansion": expansion}
        self.encoder = _levels(levels, layers=layers, features=dim, channels=channels, dropout=dropout, **common)
        self.adapter = nn.Linear(dim, decoder_dim) if dim != decoder_dim else nn.Identity()
        self.decoder = _levels(
            decoder_levels,
            layers=decoder_layers,
            features=decoder_dim,
            channels=decoder_channels,
            dropout=decoder_dropout,
            **common,
        )
        self.head = nn.Linear(patches * decoder_dim, horizon) if horizon else None
        self.head_dropout = nn.Dropout(decoder_dropout)

    def features(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """`x [B, C, T]` -> the decoder's features `[B, C, P, d]`, and the window's mean and scale `[B, C, 1]`."""
        standard, mean, scale = standardise(x[..., -self.context :])
        padded = left_pad(standard, self.context)[..., self.context % self.patch :]
        h = self.embed(padded.unflatten(2, (-1, self.patch)))
        for level in (*self.encoder, self.adapter, *self.decoder):
            h = level(h)
        return h, mean, scale

    def forecast(self, x: torch.Tensor) -> torch.Tensor:
        """`x [B, C, T] -> [B, C, horizon]` by the loaded head, at the level of the window."""
        assert self.head is not None, "this model was built without a forecast head"
        h, mean, scale = self.features(x)
        return self.head(self.head_dropout(h.flatten(2))) * scale + mean


@register
class TTM(Backbone):
    """Mixers over patches and features; the mean over the patches is the window's summary."""

    pool = "mean"
    causal = False

    takes_pretrained_dir = True

    def __init__(self, inputs: InputSpec, hyper: Hyper) -> None:
        super().__init__(inputs, hyper)
        settings = _own_settings(inputs, hyper) if inputs.pretrained is None else inputs.pretrained["config"]
        self.core = TinyTimeMixer(**settings)
        if self.core.head is not None:
            # The published head is not trained here; after finetuning `forecast` no longer gives what was published.
            self.core.head.requires_grad_(False)
        self.stride = settings["patch"]
        self.dim = inputs.channels * (settings["decoder_dim"] + 2)
        self.count = patch_count(inputs.length, self.stride)

    @classmethod
    def load_pretrained(cls, inputs: InputSpec, hyper: Hyper, directory: str) -> TTM:
        """A published model on this disk: every tensor of the file is used, and none is missing."""
        pretrained_files.refuse_fixed("ttm", hyper, tuple(HYPER))
        described = {"model_type": "tinytimemixer", "config": _published_settings(directory, inputs.channels)}

        def make() -> TTM:
            return cls(replace(inputs, pretrained=described), hyper)

        pretrained_files.check_size(make, directory)
        model = pretrained_files.construct(make)
        weights = {_renamed(key): value for key, value in pretrained_files.read_weights(directory).items()}
        pretrained_files.load_strict(model.core, weights, directory)
        return model

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h, mean, scale = self.core.features(x)
        return fit_tokens(join_channels(h, level_of(mean, scale)), self.count)


def _own_settings(inputs: InputSpec, hyper: Hyper) -> dict[str, Any]:
    """The arguments of `TinyTimeMixer` from scratch: a context of whole patches, and no forecast head."""
    patch = hyper.patch or choose_patch(inputs.length, MAX_PATCHES)
    return {
        "context": patch * patch_count(inputs.length, patch), "patch": patch, "dim": hyper.d_model,
        "levels": hyper.levels, "layers": hyper.layers, "expansion": hyper.expansion,
        "decoder_dim": hyper.decoder_dim, "decoder_levels": 0, "decoder_layers": hyper.decoder_layers,
        "dropout": hyper.dropout, "decoder_dropout": hyper.dropout, "channels": 0,
        "decoder_channels": inputs.channels if hyper.mix_channels else 0, "horizon": 0,
    }  # fmt: skip


def _renamed(key: str) -> str:
    for pattern, ours in RENAMES:
        key = re.sub(pattern, ours, key)
    return key


def _published_settings(directory: str, channels: int) -> dict[str, Any]:
    """A published config.json as the arguments of `TinyTimeMixer`."""
    config, where = pretrained_files.read_config(directory), f"--pretrained-dir {directory}"
    if config.get("model_type") != "tinytimemixer":
        raise CheckpointError(f"model_type {config.get('model_type')!r} is not tinytimemixer", where=where)
    for key, meant in ONE_FORM.items():
        if config.get(key, meant[0]) not in meant:
            raise CheckpointError(f"{key} = {config[key]!r} is not supported, only {meant[0]!r}", where=where)
    if config.get("patch_stride") != config.get("patch_length"):
        raise CheckpointError("patches that overlap are not supported", where=where)
    mixing = [key for key in ("mode", "decoder_mode") if config.get(key) == "mix_channel"]
    if mixing and config.get("num_input_channels") != channels:
        raise CheckpointError(
            f"the model mixes {config.get('num_input_channels')} channels, the data have {channels}", where=where
        )
    try:
        settings = {
            "context": int(config["context_length"]), "patch": int(config["patch_length"]),
            "dim": int(config["d_model"]), "levels": int(config["adaptive_patching_levels"]),
            "layers": int(config["num_layers"]), "expansion": int(config["expansion_factor"]),
            "decoder_dim": int(config["decoder_d_model"]), "decoder_layers": int(config["decoder_num_layers"]),
            "decoder_levels": int(config["decoder_adaptive_patching_levels"]),
            "dropout": float(config["dropout"]), "decoder_dropout": float(config["head_dropout"]),
            "channels": channels if "mode" in mixing else 0,
            "decoder_channels": channels if "decoder_mode" in mixing else 0,
            "horizon": int(config["prediction_length"]),
        }  # fmt: skip
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise CheckpointError(f"config.json lacks {error}, or it is not valid", where=where) from error
    if max(settings[key] for key in settings if key.endswith(("layers", "levels"))) > pretrained_files.MAX_LAYERS:
        raise CheckpointError(f"more than {pretrained_files.MAX_LAYERS} layers or levels", where=where)
    return settings
