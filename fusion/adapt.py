"""A sensor changes: what a checkpoint becomes when some of its modalities have other features."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch

from backbones import backbone_class
from checkpoint import Checkpoint
from config import RunConfig
from dataset import RunData
from errors import UsageError, nearest
from scaler import Scaler
from splits import Split
from tasks.base import Task

log = logging.getLogger("tsrun")


def check(config: RunConfig, start: Checkpoint) -> None:
    """UsageError when `--adapt-modality` names what the checkpoint does not read as a modality."""
    known = start.model.modalities
    if config.adapt_modality and known is None:
        what = f"{config.ckpt} was trained on plain channels, by {start.model.backbone}: it has no modalities"
        raise UsageError(what, where="--adapt-modality", hint="train --backbone fusion_gru on an --npz")
    for name in config.adapt_modality:
        if known is not None and name not in known:
            hint = "; ".join(filter(None, [nearest(name, known), f"the checkpoint has {', '.join(known)}"]))
            raise UsageError(f"there is no modality {name!r}", where="--adapt-modality", hint=hint)


def adapt(start: Checkpoint, run_data: RunData, task: Task, split: Split) -> Checkpoint:
    """The checkpoint, changed for the channels of `run_data`: only the module of an adapted modality is new.

    A feature that keeps its name keeps its weights and its scale. The weights of a new feature begin at 0, so that it
    has no effect yet, and its scale comes from training. `adapted` in the result lists kept, new and gone features.
    """
    owner = backbone_class(start.model.backbone)
    before, after = list(start.scaler.channels), list(run_data.channels)
    state, adapted, rebuilt = dict(start.state), {}, []
    for name in run_data.config.adapt_modality:
        mine, theirs = _of(name, after), _of(name, before)
        module = f"backbone.{owner.module_of(name)}"
        rebuilt += [f"{module}.weight", f"{module}.bias"]
        state[f"{module}.weight"] = _columns(state[f"{module}.weight"], mine, theirs)
        adapted[name] = _compared(mine, theirs)
        _report(name, adapted[name])
    count = sum(value.numel() for key, value in state.items() if key not in rebuilt)
    log.info("trained: %s; frozen: all the rest, %s parameters", ", ".join(rebuilt), f"{count:,}")
    return replace(
        start,
        model=replace(start.model, channels=len(after), modalities=run_data.modalities),
        state=state,
        scaler=_scaler(start.scaler, run_data, task, split),
        input_channels=list(run_data.series.columns),
        adapted=adapted,
    )


def _columns(weight: torch.Tensor, mine: Sequence[str], theirs: Sequence[str]) -> torch.Tensor:
    """Weights [d, features] for the features `mine`: known ones keep their column, new ones begin at 0."""
    fresh = torch.zeros(len(weight), len(mine))
    for column, channel in enumerate(mine):
        if channel in theirs:
            fresh[:, column] = weight[:, theirs.index(channel)]
    return fresh


def _of(modality: str, channels: Sequence[str]) -> list[str]:
    return [channel for channel in channels if channel.partition(".")[0] == modality]


def _compared(mine: Sequence[str], theirs: Sequence[str]) -> dict[str, list[str]]:
    return {
        "kept": [channel for channel in mine if channel in theirs],
        "new": [channel for channel in mine if channel not in theirs],
        "gone": [channel for channel in theirs if channel not in mine],
    }


def _scaler(old: Scaler, run_data: RunData, task: Task, split: Split) -> Scaler:
    """The checkpoint's scale for the channels that it knows, for others the scale in training."""
    at = {channel: k for k, channel in enumerate(old.channels)}
    seen = run_data.seen(task, split.train)
    mean, std = np.empty(len(run_data.keep)), np.empty(len(run_data.keep))
    for k, channel in enumerate(run_data.channels):
        if channel in at:
            mean[k], std[k] = old.mean[at[channel]], old.std[at[channel]]
        else:
            fresh = Scaler.fit([run_data.series.values[run_data.keep[k]]], seen, [channel])
            mean[k], std[k] = fresh.mean[0], fresh.std[0]
    return Scaler(mean, std, run_data.channels)


def _report(name: str, adapted: Mapping[str, Sequence[str]]) -> None:
    parts = "; ".join(f"{what}: {', '.join(channels) or 'none'}" for what, channels in adapted.items())
    log.info("%s rebuilt for %d features (%s)", name, len(adapted["kept"]) + len(adapted["new"]), parts)
    counted = [channel for channel in (*adapted["kept"], *adapted["gone"]) if channel.partition(".")[2].isdecimal()]
    if counted:
        log.warning("warning: the features of %s have no names, so they were matched by their positions", name)
