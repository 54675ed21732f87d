"""What a checkpoint decides in finetuning and inference, and which parameters train."""

from __future__ import annotations

import fnmatch
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import checkpoint
import tasks
from backbones import MemberSpec, ModelSpec
from backbones.base import Backbone
from backbones.blend import RunBlend
from backbones.model import Forecaster, Model, build_model
from config import RunConfig, adopt, core_flags
from data import Series
from dataset import RunData
from errors import CheckpointError, UsageError, nearest
from scaler import Scaler
from splits import Split

log = logging.getLogger("tsrun")
PARTS = {
    "config",
    "model",
    "state",
    "scaler",
    "input_channels",
    "outputs",
    "per_row",
    "fitted",
    "calibration",
    "references",
}
_RATIOS = ("val_ratio", "test_ratio", "val_groups", "test_groups", "split_sizes")
SPLIT_FLAGS = ("split_mode", *_RATIOS, "gap", "seed", "stride")
LAYOUT_FLAGS = ("time_col", "id_col", "resample", "tz")  # how the files of training were laid out


def adopt_checkpoint(config: RunConfig, stored: Mapping[str, Any]) -> RunConfig:
    """Settings that the checkpoint fixes; CheckpointError where a given flag contradicts it.

    Finetuning keeps what the model means (task, backbone, context, label). Inference takes the split too, so that
    `--eval-split val` is the validation part that the model was chosen on.
    """
    lacking = sorted(PARTS - stored.keys())
    if lacking:
        what = f"not a checkpoint of this toolkit: it has no {', '.join(lacking)}"
        raise CheckpointError(what, where=str(checkpoint.find(config.ckpt)))
    where, old = config.ckpt, stored["config"]
    fixed = [flag.name for flag in (*core_flags(), *tasks.flags(config.task)) if flag.binds]
    if config.task != old["task"]:
        raise CheckpointError(f"is of task {old['task']}, not {config.task}", where=where)
    config = adopt(config, old, fixed, where=where)
    config = adopt(config, old, [name for name in LAYOUT_FLAGS if name not in config.given], where=where)
    if config.mode == "infer":
        rest = [name for name in (*SPLIT_FLAGS, *config.options) if name not in config.given and name not in fixed]
        config = adopt(config, old, rest, where=where)
    return config


def check_files(
    stored: Mapping[str, Any], config: RunConfig, series: Series, derived: Sequence[str] = (), lacking: int = 0
) -> None:
    """CheckpointError when the checkpoint was trained on another number of channels, or on steps of another length.

    `derived` inputs are made of the channels, and were listed among them once; `lacking` labels are not there, and not
    needed.
    """
    wanted, channels = [name for name in stored["input_channels"] if name not in derived], series.n_channels
    if channels != len(wanted) - lacking:
        raise CheckpointError(
            f"was trained on {len(wanted)} input channel(s), the data have {channels}",
            where=config.ckpt,
            hint=f"its channels were {', '.join(wanted[:8])}{', ...' if len(wanted) > 8 else ''}",
        )
    then, now = (stored.get("clock") or {}).get("freq"), None if series.clock is None else series.clock.freq
    if then != now:
        had, have = (f"steps of {freq}" if freq else "steps without times" for freq in (then, now))
        hint = "--time-col names the column of times" if then and not now else "--resample changes the steps"
        raise CheckpointError(f"was trained on {had}, these data have {have}", where=config.ckpt, hint=hint)


def check_checkpoint(stored: Mapping[str, Any], run_data: RunData) -> None:
    """CheckpointError when the model was made for another kind of label than the data have."""
    wanted, where = stored["scaler"]["channels"], run_data.config.ckpt
    if list(run_data.channels) != wanted and sorted(run_data.channels) == sorted(wanted):
        log.warning("warning: the channels come in another order than the checkpoint's: %s", ", ".join(wanted))
    if run_data.per_row != stored["per_row"]:
        kind = "one label a row (--labels)" if stored["per_row"] else "a channel's next value"
        raise CheckpointError(f"predicts {kind}; these data have the other kind of label", where=where)
    if run_data.targets is not None and len(run_data.targets.names) != len(stored["outputs"]):
        raise CheckpointError(
            f"has {len(stored['outputs'])} label(s), the data have {len(run_data.targets.names)}", where=where
        )


@dataclass(frozen=True)
class Members:
    """Trained runs as parts of one model: what describes them, and their weights."""

    specs: tuple[MemberSpec, ...]
    states: list[Mapping[str, Any]]

    def load_into(self, blend: Backbone) -> None:
        """Give the blend's members their weights."""
        assert isinstance(blend, RunBlend)
        for member, state in zip(blend.members, self.states, strict=True):
            member.load_state_dict(state)


def members_of(config: RunConfig, run_data: RunData, split: Split, scaler: Scaler) -> Members:
    """The runs that `--model-args members=DIR,DIR` names; CheckpointError for one that cannot stand beside the others.

    A member must have been trained on the same files and parts: another split may have shown it this run's test.
    """
    specs, states = [], []
    for place in filter(None, str(config.model_args.get("members", "")).split(",")):
        stored = checkpoint.load(checkpoint.find(place))
        spec, theirs = stored["model"], Scaler.of(stored["scaler"])
        ahead = spec.get("ahead")
        if (
            ahead is None
            or ahead["horizon"] != run_data.index.horizon
            or list(theirs.channels) != list(run_data.channels)
        ):
            raise CheckpointError("forecasts another horizon or other channels", where=f"members={place}")
        if tuple(ahead["targets"]) != run_data.target_channels:
            raise CheckpointError("forecasts other targets", where=f"members={place}")
        if spec["length"] > run_data.index.length:
            raise CheckpointError(
                f"looks back {spec['length']} steps, more than --context-len {run_data.index.length}",
                where=f"members={place}",
            )
        sources = [source.sha256 for source in run_data.series.sources]
        if stored["sources"] != sources or stored["split"] != split.how:
            raise CheckpointError(
                "was trained on other files or parts of them, and may have seen this run's test",
                where=f"members={place}",
                hint="train the members and the ensemble with the same --csv and split flags",
            )
        scale, shift = scaler.std / theirs.std, (scaler.mean - theirs.mean) / theirs.std
        specs.append(MemberSpec(ModelSpec.of(spec), tuple(scale.tolist()), tuple(shift.tolist())))
        states.append(stored["state"])
    if not specs:
        raise UsageError("names no run", where="--model-args members=", hint="members=artifacts/RUN,artifacts/OTHER")
    return Members(tuple(specs), states)


def blank_from(stored: Mapping[str, Any]) -> Model | Forecaster:
    """The checkpoint's architecture with fresh weights."""
    return build_model(ModelSpec.of(stored["model"]))


def model_from(stored: Mapping[str, Any]) -> Model | Forecaster:
    """The checkpoint's model with its weights, on the CPU."""
    model = blank_from(stored)
    try:
        model.load_state_dict(stored["state"])
    except RuntimeError as error:
        raise CheckpointError(f"weights and model do not fit: {error}", where=stored["model"]["backbone"]) from None
    return model


def choose_parameters(
    model: Model | Forecaster, config: RunConfig, stored: Mapping[str, Any] | None
) -> dict[str, list[str]]:
    """Apply --reinit (fresh values for the checkpoint's architecture), --freeze and --train-only.

    Returns {"reinit", "frozen", "trained": names} for the manifest.
    """
    names = [name for name, _ in model.named_parameters()]
    anew = _matching(config.reinit, names, "--reinit")
    if anew and stored is not None:
        owners = {name.rpartition(".")[0] for name in anew}  # their running statistics start anew too
        start = {
            name: value for name, value in blank_from(stored).state_dict().items() if name.rpartition(".")[0] in owners
        }
        chosen = {name: value for name, value in start.items() if name in anew or name not in names}
        model.load_state_dict(chosen, strict=False)
    frozen = _matching(config.freeze, names, "--freeze")
    only = config.train_only or [f"backbone.{model.backbone.module_of(name)}" for name in config.adapt_modality]
    if only:
        frozen |= set(names) - _matching(only, names, "--train-only")
    if len(frozen) == len(names):
        raise UsageError("nothing is left to train", where="--freeze / --train-only")
    _check_stages(model.backbone, names, frozen)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name not in frozen)
    return {
        "reinit": [n for n in names if n in anew],
        "frozen": [n for n in names if n in frozen],
        "trained": [n for n in names if n not in frozen],
    }


def _check_stages(backbone: Backbone, names: Sequence[str], frozen: set[str]) -> None:
    """UsageError when a first stage is trained anew under a second that stays: see `stages` of a backbone.

    What reads one modality may change alone: it learns to say the same in the old contexts.
    """
    if not backbone.stages:
        return
    first, second = ([n for n in names if n.startswith(f"backbone.{stage}.")] for stage in backbone.stages)
    shared = [n for n in first if not n.startswith(f"backbone.{backbone.adapters}.") and n not in frozen]
    if shared and second and frozen.issuperset(second):
        one, two = backbone.stages
        raise UsageError(
            f"trains {shared[0]} and keeps the {two}: the {one}'s contexts would come to mean nothing to that {two}",
            where="--freeze / --train-only",
            hint=f"--adapt-modality NAME, --train-only 'backbone.{backbone.adapters}.*', or train both",
        )


def modules_of(model: Model | Forecaster) -> dict[str, dict[str, int]]:
    """Parameters and bytes of each part: the stages of a backbone that has some, else the backbone; and the head."""
    parts = [f"backbone.{stage}" for stage in model.backbone.stages] or ["backbone"]
    found: dict[str, dict[str, int]] = {}
    for name, parameter in model.named_parameters():
        owner = next((part for part in parts if name.startswith(f"{part}.")), "head")
        row = found.setdefault(owner.removeprefix("backbone.") or owner, {"parameters": 0, "bytes": 0})
        row["parameters"] += parameter.numel()
        row["bytes"] += parameter.numel() * parameter.element_size()
    return found


def _matching(globs: Sequence[str], names: Sequence[str], flag: str) -> set[str]:
    """Names that a glob matches, itself or as the beginning of a dotted name; UsageError for a glob with none."""
    found: set[str] = set()
    for glob in globs:
        hits = [n for n in names if fnmatch.fnmatchcase(n, glob) or fnmatch.fnmatchcase(n, glob + ".*")]
        if not hits:
            parts = sorted({n.rpartition(".")[0] for n in names} | set(names))
            hint = nearest(glob, parts) or f"parameters are {', '.join(names[:6])}, ..."
            raise UsageError(f"{glob!r} matches no parameter", where=flag, hint=hint)
        found |= set(hits)
    return found
