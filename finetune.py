"""Which parameters train: all of a new model, or those of a checkpoint that finetuning may change."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence

from backbones.base import Backbone
from backbones.copies import Copies
from backbones.model import Forecaster, Model, build_model
from checkpoint import Checkpoint
from config import RunConfig
from errors import UsageError, nearest


def choose_parameters(
    model: Model | Forecaster, config: RunConfig, start: Checkpoint | None, freeze: Sequence[str] = ()
) -> dict[str, list[str]]:
    """Apply --reinit (fresh values for the checkpoint's architecture), --freeze and --train-only.

    Parameters
    ----------
    model : gets `requires_grad` of each parameter set.
    config : the flags.
    start : the checkpoint that finetuning starts from; None for a new model.
    freeze : patterns to freeze in addition to those of --freeze.

    Returns
    -------
    {"reinit", "frozen", "trained": names of parameters}, for the manifest.

    Raises
    ------
    UsageError : a pattern that matches nothing, nothing left to train, or a first stage trained under a frozen second.
    """
    trains_in_epochs(model, config)
    names = [name for name, _ in model.named_parameters()]
    fresh = _matching(config.reinit, names, "--reinit")
    if fresh and start is not None:
        _reinitialise(model, fresh, start)
    frozen = _matching([*config.freeze, *freeze], names, "--freeze")
    only = config.train_only or [f"backbone.{model.backbone.module_of(name)}" for name in config.adapt_modality]
    if only:
        frozen |= set(names) - _matching(only, names, "--train-only")
    if frozen and len(frozen) == len(names):
        raise UsageError("nothing is left to train", where="--freeze / --train-only")
    _check_stages(model.backbone, names, frozen)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name not in frozen)
    return {
        "reinit": [n for n in names if n in fresh],
        "frozen": [n for n in names if n in frozen],
        "trained": [n for n in names if n not in frozen],
    }


def trains_in_epochs(model: Model | Forecaster, config: RunConfig) -> bool:
    """Whether a model is trained in epochs: not one that is solved, nor with --epochs 0 one of a directory.

    UsageError where a model would stay untrained.
    """
    if config.epochs or model.backbone.closed_form:
        return not model.backbone.closed_form
    if not model.backbone.needs_pretrained_dir:
        raise UsageError("a new model would stay untrained", where="--epochs 0", hint="--epochs 1, or more")
    return False


def _reinitialise(model: Model | Forecaster, fresh: set[str], start: Checkpoint) -> None:
    """Fresh values for parameters, and for the running statistics of their modules."""
    names = {name for name, _ in model.named_parameters()}
    owners = {name.rpartition(".")[0] for name in fresh}
    state = build_model(start.model).state_dict()
    chosen = {
        name: value
        for name, value in state.items()
        if name in fresh or (name not in names and name.rpartition(".")[0] in owners)
    }
    model.load_state_dict(chosen, strict=False)


def _check_stages(backbone: Backbone, names: Sequence[str], frozen: set[str]) -> None:
    """UsageError when the first stage of a backbone is trained while its second stage is frozen.

    The module of one modality may be trained alone: it learns to give the contexts that the second stage knows.
    """
    if not backbone.stages:
        return
    first, second = ([n for n in names if n.startswith(f"backbone.{stage}.")] for stage in backbone.stages)
    shared = [n for n in first if not n.startswith(f"backbone.{backbone.adapters}.") and n not in frozen]
    if shared and second and frozen.issuperset(second):
        one, two = backbone.stages
        raise UsageError(
            f"trains {shared[0]} but freezes the {two}, which could not read the {one}'s new contexts",
            where="--freeze / --train-only",
            hint=f"--adapt-modality NAME, --train-only 'backbone.{backbone.adapters}.*', or train both",
        )


def modules_of(model: Model | Forecaster) -> dict[str, dict[str, int]]:
    """{part: {"parameters", "bytes"}} of the backbone, or of each of its stages, and of the head."""
    parts = [f"backbone.{stage}" for stage in model.backbone.stages] or ["backbone"]
    found: dict[str, dict[str, int]] = {}
    for name, parameter in model.named_parameters():
        own = name.split(".", 2)[2] if isinstance(model, Copies) else name
        owner = next((part for part in parts if own.startswith(f"{part}.")), "head")
        row = found.setdefault(owner.removeprefix("backbone.") or owner, {"parameters": 0, "bytes": 0})
        row["parameters"] += parameter.numel()
        row["bytes"] += parameter.numel() * parameter.element_size()
    return found


def sizes_in_words(model: Model | Forecaster) -> str:
    """`modules_of` for a line of the log."""
    parts = modules_of(model).items()
    return ", ".join(f"{name} {row['parameters']:,} ({row['bytes'] / 1024:,.1f} KiB)" for name, row in parts)


def _matching(globs: Sequence[str], names: Sequence[str], flag: str) -> set[str]:
    """Names that match a glob, whole or by their dotted beginning; UsageError for a glob that matches none.

    What has no head of its own may have one in its backbone, or one in each of its members: `head` means that, then.
    """
    found: set[str] = set()
    for glob in globs:
        hits = _hits(glob, names) or _hits(f"backbone.{glob}", names) or _hits(f"*.{glob}", names)
        if not hits:
            parts = sorted({n.rpartition(".")[0] for n in names} | set(names))
            hint = nearest(glob, parts) or f"parameters are {', '.join(names[:6])}, ..."
            raise UsageError(f"{glob!r} matches no parameter", where=flag, hint=hint)
        found |= set(hits)
    return found


def _hits(glob: str, names: Sequence[str]) -> list[str]:
    return [n for n in names if fnmatch.fnmatchcase(n, glob) or fnmatch.fnmatchcase(n, glob + ".*")]
