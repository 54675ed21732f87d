"""A sensor changes: what a checkpoint becomes when some of its modalities have other features."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from backbones import backbone_class
from config import RunConfig
from dataset import RunData
from errors import UsageError, nearest
from scaler import Scaler
from splits import Split
from tasks.base import Task

log = logging.getLogger("tsrun")


def check(config: RunConfig, stored: Mapping[str, Any]) -> None:
    """UsageError when `--adapt-modality` names what the checkpoint does not read as a modality."""
    known = stored["model"].get("modalities")
    if config.adapt_modality and known is None:
        what = f"{config.ckpt} was trained on plain channels, by {stored['model']['backbone']}: it has no modalities"
        raise UsageError(what, where="--adapt-modality", hint="train --backbone fusion_gru on an --npz")
    for name in config.adapt_modality:
        if name not in known:
            hint = " ".join(filter(None, [nearest(name, known), f"the checkpoint has {', '.join(known)}"]))
            raise UsageError(f"there is no modality {name!r}", where="--adapt-modality", hint=hint)


def adapt(stored: Mapping[str, Any], run_data: RunData, task: Task, split: Split) -> dict[str, Any]:
    """The checkpoint for the run_data's channels: only what reads an adapted modality is new.

    Of a feature whose name survives the weights and the scale stay. The weights of a new one begin at 0, so that it
    says nothing yet, and its scale comes from training. `adapted` in the result says what became of each feature.
    """
    owner = backbone_class(stored["model"]["backbone"])
    modalities = run_data.modalities
    assert modalities is not None and owner.reads_modalities
    before, after = list(stored["scaler"]["channels"]), list(run_data.channels)
    state = dict(stored["state"])
    told, rebuilt = {}, []
    for name in run_data.config.adapt_modality:
        mine, theirs = _of(name, after), _of(name, before)
        module = f"backbone.{owner.module_of(name)}"
        rebuilt += [f"{module}.weight", f"{module}.bias"]
        weight = state[f"{module}.weight"]
        fresh = torch.zeros(len(weight), len(mine))
        for column, channel in enumerate(mine):
            if channel in theirs:
                fresh[:, column] = weight[:, theirs.index(channel)]
        state[f"{module}.weight"] = fresh
        told[name] = _compared(mine, theirs)
        _tell(name, told[name])
    spec = {**stored["model"], "channels": len(after), "modalities": modalities}
    scaler = _scaler(Scaler.of(stored["scaler"]), run_data, task, split)
    count = sum(value.numel() for key, value in state.items() if key not in rebuilt)
    log.info("trained: %s; frozen: all the rest, %s parameters", ", ".join(rebuilt), f"{count:,}")
    changed = {
        "model": spec,
        "state": state,
        "scaler": scaler.plain(),
        "input_channels": list(run_data.series.channels),
    }
    return {**stored, **changed, "adapted": told}


def _of(modality: str, channels: Sequence[str]) -> list[str]:
    return [channel for channel in channels if channel.partition(".")[0] == modality]


def _compared(mine: Sequence[str], theirs: Sequence[str]) -> dict[str, list[str]]:
    return {
        "kept": [channel for channel in mine if channel in theirs],
        "new": [channel for channel in mine if channel not in theirs],
        "gone": [channel for channel in theirs if channel not in mine],
    }


def _scaler(old: Scaler, run_data: RunData, task: Task, split: Split) -> Scaler:
    """The checkpoint's scale where it knows the channel, else that of what training sees."""
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


def _tell(name: str, told: Mapping[str, Sequence[str]]) -> None:
    parts = "; ".join(f"{what}: {', '.join(channels) or 'none'}" for what, channels in told.items())
    log.info("%s rebuilt for %d features (%s)", name, len(told["kept"]) + len(told["new"]), parts)
    counted = [channel for channel in (*told["kept"], *told["gone"]) if channel.partition(".")[2].isdecimal()]
    if counted:
        log.warning("warning: the features of %s have no names, so they were matched by their places", name)
