"""Chronos-2 (Ansari et al. 2025, arXiv 2510.15821) from a directory on this disk: a forecaster trained on other series.

`x [B, C, T], known [B, marks + F, T + H] -> [B, outputs, H]`. The channels of a window and what is known ahead are one
group, whose members see each other; what is not forecast is covariate. The model's own head has quantiles, between
which those asked for are interpolated; a point forecast is the median.

`--pretrained-dir` is needed, and nothing is downloaded. `--mode infer` without a checkpoint, or `--epochs 0`, forecasts
with the weights as they are; with more epochs they are trained on. In `auto` it is a member that stays as it is and
sees each series by itself (`ZeroShot`).
The code is that of the package `chronos-forecasting` (requirements-chronos.txt).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from backbones import ForecastSpec, Hyper, InputSpec, pretrained_files, register
from backbones.base import Backbone
from backbones.histories import Stack
from backbones.local_forecaster import LocalForecaster
from errors import CheckpointError, UsageError

HYPER: dict[str, dict[str, Any]] = {}

INSTALL = "pip install -r requirements-chronos.txt"
KEYS = (
    "d_model", "d_kv", "d_ff", "num_layers", "num_heads", "dropout_rate", "layer_norm_epsilon", "initializer_factor",
    "feed_forward_proj", "rope_theta",
)  # fmt: skip
CHRONOS_KEYS = (
    "context_length", "output_patch_size", "input_patch_size", "input_patch_stride", "quantiles", "use_reg_token",
    "use_arcsinh", "max_output_patches", "time_encoding_scale",
)  # fmt: skip
ROWS = 256  # series that attend to each other at once: the cost grows with their square


@register
class Chronos2(Backbone):
    """The published model under the toolkit's contract."""

    forecasts = True
    reads_known = True
    heads = ("forecast",)
    takes_pretrained_dir = True
    needs_pretrained_dir = True
    forecast: ForecastSpec
    levels: torch.Tensor
    targets: torch.Tensor

    def __init__(self, inputs: InputSpec, hyper: Hyper) -> None:
        super().__init__(inputs, hyper)
        if inputs.pretrained is None:
            raise UsageError(
                "its weights come from a directory on this disk",
                where="--backbone chronos2",
                hint="add --pretrained-dir DIR, which holds config.json and model.safetensors",
            )
        settings = inputs.pretrained["config"]
        self.core = _core(settings)
        self.length = inputs.length
        self.patches = _patches(self.forecast.horizon, settings["chronos_config"])
        levels = _between(settings["chronos_config"]["quantiles"], self.forecast.quantiles or (0.5,))
        assert len(levels) == self.forecast.levels
        self.register_buffer("levels", torch.tensor(levels, dtype=torch.float32), persistent=False)
        self.register_buffer("targets", torch.tensor(self.forecast.targets), persistent=False)

    @classmethod
    def load_pretrained(cls, inputs: InputSpec, hyper: Hyper, directory: str) -> Chronos2:
        """The model of a directory: every tensor of the file is used, and none is missing."""
        described = describe(directory)
        model = pretrained_files.construct(lambda: cls(replace(inputs, pretrained=described), hyper))
        pretrained_files.load_strict(model.core, pretrained_files.read_weights(directory), directory)
        return model

    def forward(self, x: torch.Tensor, known: torch.Tensor | None = None) -> torch.Tensor:
        ahead = None
        if self.forecast.covariates:
            assert known is not None, "covariates without their values"
            ahead = known[:, self.forecast.marks :]
        size = max(ROWS // (x.shape[1] + self.forecast.covariates), 1)
        parts = [None] * -(-len(x) // size) if ahead is None else list(ahead.split(size))
        return torch.cat([self._group(one, part) for one, part in zip(x.split(size), parts, strict=True)])

    def _group(self, x: torch.Tensor, ahead: torch.Tensor | None) -> torch.Tensor:
        """`x [B, C, T], ahead [B, F, T + H]` or None, each window a group of its own: `[B, outputs, H]`."""
        future = None
        context = x
        if ahead is not None:
            context = torch.cat([x, ahead[..., : self.length]], dim=1)
            unknown = torch.full((*x.shape[:2], self.forecast.horizon), torch.nan, device=x.device)
            future = torch.cat([unknown, ahead[..., self.length :]], dim=1).flatten(0, 1)
        rows = context.shape[1]
        found = self.core(
            context=context.flatten(0, 1),
            group_ids=torch.arange(len(x), device=x.device).repeat_interleave(rows),
            future_covariates=future,
            num_output_patches=self.patches,
        ).quantile_preds[..., : self.forecast.horizon]
        own = found.unflatten(0, (len(x), rows)).index_select(1, self.targets)  # [B, K, Q, H]
        return torch.einsum("lq,bkqh->bklh", self.levels, own).flatten(1, 2)


class ZeroShot(LocalForecaster):
    """The same model with the weights of a directory, for each series by itself, from its whole history."""

    levels: torch.Tensor

    def __init__(self, inputs: InputSpec, hyper: Hyper) -> None:
        super().__init__(inputs, hyper)
        assert inputs.pretrained is not None
        settings = inputs.pretrained["config"]
        own = settings["chronos_config"]
        self.core, self.patches = _core(settings), _patches(self.forecast.horizon, own)
        self.context: int = own["context_length"]
        median = torch.from_numpy(_between(own["quantiles"], (0.5,))[0]).float()
        self.register_buffer("levels", median, persistent=False)

    @torch.no_grad()
    def local(self, stack: Stack) -> np.ndarray:
        """The medians [n, H]. Steps before a series' first are missing, which the model knows how to read."""
        made = np.empty((len(stack), self.forecast.horizon))
        length = min(int(stack.end.max()), self.context)
        for part, block in stack.blocks(1, ROWS):
            context = torch.from_numpy(block.last(length)).float().to(self.levels.device)
            found = self.core(context=context, num_output_patches=self.patches).quantile_preds
            median = torch.einsum("q,bqh->bh", self.levels, found[..., : self.forecast.horizon])
            made[part] = median.double().cpu().numpy()
        return made


def describe(directory: str) -> dict[str, Any]:
    """The plain dict that rebuilds a directory's architecture."""
    return {"model_type": "chronos2", "config": _settings(directory)}


def _patches(horizon: int, own: dict[str, Any]) -> int:
    """How many patches of outputs a horizon takes. UsageError where the model has fewer."""
    found, most = -(-horizon // own["output_patch_size"]), own.get("max_output_patches", 1)
    if found > most:
        what = f"{horizon} steps, but the model forecasts at most {most * own['output_patch_size']}"
        raise UsageError(what, where="--horizon", hint="shorten it")
    return int(found)


def _between(known: list[float], wanted: tuple[float, ...]) -> np.ndarray:
    """The weights `[wanted, known]` that interpolate levels between known ones; beyond the outermost, those stand."""
    return np.stack([np.interp(wanted, known, row) for row in np.eye(len(known))], axis=1)


def _core(settings: dict[str, Any]) -> Any:
    """The package's model, with random weights."""
    try:
        from chronos.chronos2.config import Chronos2CoreConfig
        from chronos.chronos2.model import Chronos2Model
    except ImportError as error:
        raise UsageError("needs chronos-forecasting", where="--backbone chronos2", hint=INSTALL) from error
    config = Chronos2CoreConfig(**{key: value for key, value in settings.items() if key != "chronos_config"})
    config.chronos_config = dict(settings["chronos_config"])
    return Chronos2Model(config)


def _settings(directory: str) -> dict[str, Any]:
    """What is kept of a directory's `config.json`."""
    config = pretrained_files.read_config(directory)
    own = config.get("chronos_config")
    where = f"--pretrained-dir {directory}"
    if not isinstance(own, dict) or "Chronos2Model" not in config.get("architectures", ["Chronos2Model"]):
        raise CheckpointError("config.json does not describe a Chronos-2 model", where=where)
    missing = [key for key in CHRONOS_KEYS[:5] if key not in own]
    if missing:
        raise CheckpointError(f"config.json lacks {', '.join(missing)} in chronos_config", where=where)
    layers = config.get("num_layers")
    if layers is not None and not (isinstance(layers, int) and 0 < layers <= pretrained_files.MAX_LAYERS):
        raise CheckpointError(f"config.json gives num_layers as {layers}", where=where)
    kept = {key: config[key] for key in KEYS if key in config}
    return kept | {"chronos_config": {key: own[key] for key in CHRONOS_KEYS if key in own}}
