"""What a fold asks of its model: the target in the terms of a closed form, and all that builds the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from backbones import ForecastSpec, MemberSpec, ModelSpec, TargetSpec, backbone_class
from backbones.wide import asked_of_map
from dataset import RunData
from scaler import Scaler
from tasks.base import Task


def target_of(task: Task, names: Sequence[str], run_data: RunData, scaler: Scaler) -> TargetSpec | None:
    """The task's target, in the terms of a closed form."""
    asked = task.target_spec(names, run_data.label_channel, scaler)
    return asked and replace(asked, whole=run_data.per_row, things=run_data.series.things is not None)


def model_of(
    task: Task,
    names: Sequence[str],
    run_data: RunData,
    asked: TargetSpec | None,
    forecast: ForecastSpec | None,
    part: str | None,
    members: tuple[MemberSpec, ...],
) -> ModelSpec:
    """The specification of a model.

    Parameters
    ----------
    task, names, run_data : of the fold.
    asked : its target.
    forecast : what a forecasting head is asked for.
    part : the part of the backbone that is trained by itself.
    members : those of a blend, () for other models.
    """
    config, kind = run_data.config, backbone_class(run_data.config.backbone)
    assert config.context_len is not None
    stands = asked if config.wide and task.head == "pool" else None
    return ModelSpec(
        backbone=config.backbone,
        channels=len(run_data.channels),
        length=config.context_len,
        outputs=task.outputs(names),
        horizon=task.horizon,
        head=task.head,
        args=kind.in_time(config.model_args, config.budget, task.head),
        forecast=forecast,
        target=asked if kind.answers else None,
        modalities=run_data.modalities if kind.reads_modalities else None,
        part=part,
        members=members,
        copies=1 if part or kind.stages else task.copies,
        **asked_of_map(config.backbone, stands, len(run_data.channels), config.context_len),
    )
