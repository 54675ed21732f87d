"""Whether the constants, thresholds and settings in a checkpoint are those of its task."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch

import tasks
from backbones.specs import fits
from checkpoint import Checkpoint, problems_of_settings
from config import core_flags
from errors import CheckpointError

# The kinds of what tasks choose on validation, see `backbones.specs.fits`.
CHOSEN = {"tau": "K?", "chosen_on": "text?", "f1_on_val": "each?", "not_chosen": "notes?"}
CHOSEN |= {"margin": "steps", "coverage": "number?", "scale": "K?", "tau_from": "K words?", "best": "some?"}
CHOSEN |= {"deciles": "shares", "power": "K?", "latest": "number?", "calm": "K?"}
OF_LABELS = CHOSEN | {"f1_on_val": "some?", "shift": "K?", "probabilities": "text?"}

FORMER = {"nan": "error"}  # defaults of older releases, which their checkpoints keep


def check_task(model: Checkpoint, where: str = "--ckpt") -> Checkpoint:
    """Refuse a checkpoint whose settings or constants are not those of a task, whatever its checksum says.

    Parameters
    ----------
    model : the checkpoint.
    where : names it in the message.

    Returns
    -------
    The checkpoint.

    Raises
    ------
    CheckpointError : with what is wrong.
    """
    name = model.config.get("task")
    if name not in tasks.names():
        raise CheckpointError(f"the file is damaged: there is no task {str(name)[:40]!r}", where=where)
    problems = list(problems_of_settings(tasks.every_flag(name), model.config))
    constants = tasks.table(name, "FITTED")
    labels = "base_rate" in constants  # of what is on or off, probabilities; of values, intervals
    kinds = OF_LABELS if labels else CHOSEN
    for what, found in (("fitted", model.fitted), ("calibration", model.calibration)):
        problems += _problems_of_table(found, constants if what == "fitted" else kinds, what, model)
    problems += _problems_of_others(model)
    if model.model.forecast is not None:
        problems += _problems_of_forecast(model)
    if labels and ("scale" in model.calibration) != ("shift" in model.calibration):
        problems.append("calibration has a scale without a shift, or the reverse")
    if model.calibration and model.calibration.get("tau" if labels else "margin") is None:
        problems.append("calibration holds neither thresholds nor margins")
    if problems:
        raise CheckpointError(f"the file is damaged: {problems[0]}", where=where)
    return model


def _problems_of_forecast(model: Checkpoint) -> Iterator[str]:
    if str(model.config.get("horizon")) != str(model.model.horizon):
        yield "the horizon is not that of the model"
    if model.per_row:
        yield "a forecast has no target of a whole row"
    if model.calibration and model.calibration.get("coverage") is None:
        yield "its margins have no coverage"
    if any(not 0 <= power <= 1 for power in model.calibration.get("power") or ()):
        yield "its margins grow by a power that is none"
    if not 0 <= (model.calibration.get("latest") or 0) <= 1:
        yield "its margins follow more than all of the latest changes"
    if any(calm < 0 for calm in model.calibration.get("calm") or ()):
        yield "its margins know of changes below 0"


def _problems_of_others(model: Checkpoint) -> list[str]:
    """Of the settings that are none of the task: they are what they are by default."""
    flags = [flag for flag in core_flags() if flag.name in tasks.table(model.task, "UNUSED")]
    found = {flag: model.setting(flag.name, flag.default) for flag in flags}
    set_to = (
        flag
        for flag, value in found.items()
        if (tuple(value) if isinstance(value, list) else value) not in (flag.default, FORMER.get(flag.name))
    )
    return list(problems_of_settings(flags, model.config)) or [
        f"its setting {flag.option} is none of the task" for flag in set_to
    ]


def _problems_of_table(
    found: Mapping[str, Any], kinds: Mapping[str, str], what: str, model: Checkpoint
) -> Iterator[str]:
    """Of constants and thresholds; a run stopped before it chose has no thresholds.

    "steps" is a tensor [K, H], "shares" one [S, K, H]; they may be left out, but "shares" not be None.
    """
    steps = (len(model.outputs), model.model.horizon)
    for name, kind in kinds.items():
        value = found.get(name)
        if kind in ("steps", "shares"):
            left_out = name not in found if kind == "shares" else value is None
            table = isinstance(value, torch.Tensor) and value.is_floating_point() and value.shape
            if not left_out and (not table or table[-2:] != steps or len(table) != (3 if kind == "shares" else 2)):
                yield f"{what} has no {name} for each step"
        elif not found and what == "calibration":
            continue
        elif not fits(value, kind.rstrip("?") if name in found and what == "calibration" else kind, len(model.outputs)):
            yield f"{what} has no {name} for each output"
