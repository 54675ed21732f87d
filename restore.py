"""A checkpoint turned back into settings, task and model, and checked against new data.

Inference, finetuning, export and streaming all start here.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

import checkpoint
import tasks
from backbones import MemberSpec, backbone_class
from backbones.base import Backbone
from backbones.model import Forecaster, Model, build_model, check_sizes
from checkpoint import Checkpoint
from config import RunConfig, core_flags
from data import Series, on_clock
from dataset import RunData
from errors import CheckpointError, UsageError, is_out_of_memory, without_password
from scaler import Scaler
from splits import Split
from tasks.base import Task
from tasks.constants import check_task
from times.clock import Clock, steps_hint

log = logging.getLogger("tsrun")
SPLIT_FLAGS = (
    "split_mode", "val_ratio", "test_ratio", "val_groups", "test_groups", "split_sizes", "gap", "seed", "stride",
)  # fmt: skip
LAYOUT_FLAGS = ("time_col", "id_col", "resample", "tz", "na")  # how the files of training were laid out


def open_checkpoint(path: str) -> Checkpoint:
    """The checkpoint that `--ckpt PATH` means. Raises CheckpointError."""
    return check_task(Checkpoint.load(checkpoint.find(path)), path)


# --- settings --------------------------------------------------------------------------------------------------------


def settings_of(model: Checkpoint, config: RunConfig) -> dict[str, Any]:
    """The settings that a checkpoint fixes.

    Finetuning keeps what the model means (task, backbone, context, label). Inference takes the split too, so that
    `--eval-split val` is the validation part that the model was chosen on.

    Parameters
    ----------
    model : the checkpoint.
    config : the settings of the command line, with the flags that were given.

    Returns
    -------
    {field of RunConfig: value}; the task's options are under "options".

    Raises
    ------
    CheckpointError : a given flag contradicts the checkpoint.
    """
    where = config.ckpt
    if config.task != model.task:
        raise CheckpointError(f"is of task {model.task}, not {config.task}", where=where)
    named = set(config.column_of)
    renames = any("=" in word for word in config.columns)  # some of them, and the others have their own names
    if config.columns and (named - set(model.input_channels) if renames else named != set(model.input_channels)):
        what = f"--columns {' '.join(config.columns)}, but it was trained on {', '.join(model.input_channels)}"
        raise CheckpointError(what, where=where, hint="without --columns the checkpoint's channels are read by name")
    flags = (*core_flags(), *tasks.flags(config.task))
    fixed = [f.name for f in flags if f.binds and not (f.free_in(config.mode) and f.name in config.given)]
    taken = [*fixed, *(name for name in LAYOUT_FLAGS if name not in config.given)]
    if not model.setting("stride", 1) and "stride" not in config.given:  # windows are whole rows
        taken.append("stride")
    if config.mode == "infer":
        taken += [name for name in (*SPLIT_FLAGS, *config.options) if name not in config.given and name not in taken]
    changed = _agreed(config, model, taken, where)
    if config.npz and not config.columns:  # chosen in training: the file may have more features than these
        changed["columns"] = tuple(model.setting("columns", ()))
    if changed.get("resample") in ("W", "1W") and model.freq:  # such weeks once began on Sunday
        changed["resample"] = model.freq
    return changed


def same_place(model: Checkpoint, config: RunConfig, series: Series) -> bool:
    """Whether a series comes from the files, or the database, that a checkpoint was trained on."""
    if config.demo or config.db:
        return bool(config.demo or without_password(config.db) == model.setting("db"))
    return bool(series.hashes) and set(series.hashes) <= set(model.sources)


def _agreed(config: RunConfig, model: Checkpoint, names: Iterable[str], where: str) -> dict[str, Any]:
    """The values of `names` in a checkpoint. CheckpointError that lists every given flag that differs from it."""
    core, kept = {flag.name for flag in core_flags()}, model.config
    changed: dict[str, Any] = {}
    options = dict(config.options)
    clashes = []
    for name in names:
        if name not in kept:
            continue
        value = tuple(kept[name]) if isinstance(kept[name], list) else kept[name]
        mine = vars(config)[name] if name in core else options.get(name)
        if name in config.given and mine != value and not (name == "label_src_ch" and _is_channel(mine, value, model)):
            clashes.append(f"--{name.replace('_', '-')} {mine} (the checkpoint has {value})")
        if name in core:
            changed[name] = value
        elif name in options:
            options[name] = value
    if clashes:
        what = f"contradicts the checkpoint: {'; '.join(clashes)}"
        raise CheckpointError(what, where=where, hint="without the flag the checkpoint's value is used")
    return changed | {"options": options}


def _is_channel(name: Any, number: Any, model: Checkpoint) -> bool:
    """Whether the channel of that number, which a checkpoint keeps of its label, has that name, or is called first or
    last."""
    known = model.input_channels
    return isinstance(number, int) and number in [
        *(k for k, channel in enumerate(known) if channel == name),
        *{"first": [0], "last": [len(known) - 1]}.get(name, []),
    ]


# --- task and model --------------------------------------------------------------------------------------------------


def task_of(model: Checkpoint) -> Task:
    """The checkpoint's task, fitted, with the options of its run."""
    options = {flag.name: model.setting(flag.name, flag.default) for flag in tasks.flags(check_task(model).task)}
    task = tasks.build(model.task, options)
    task.load_fitted(model.fitted)
    task.use(model.calibration)
    return task


def calibration_of(model: Checkpoint, task: Task) -> dict[str, Any]:
    """What was chosen on validation; the defaults for a run that was stopped before it chose."""
    return task.recalibrated(model.calibration or task.choose_thresholds(None, model.outputs), model.outputs)


def model_of(model: Checkpoint) -> Model | Forecaster:
    """The checkpoint's model with its weights, on the CPU. Raises CheckpointError where they do not fit."""
    try:
        check_sizes(model.model, model.state)
        built = build_model(model.model)
        built.load_state_dict(model.state)
    except (RuntimeError, UsageError) as error:
        if is_out_of_memory(error):
            raise
        what = " ".join(str(error).split())[:200]
        hint = "where another version wrote it, --mode train with the flags in its config.yaml makes it again"
        raise CheckpointError(f"weights and model do not fit: {what}", where=model.model.backbone, hint=hint) from None
    if not all(bool(torch.isfinite(weight).all()) for weight in built.parameters()):
        raise CheckpointError("the weights are not finite", where=model.model.backbone)
    return built


@dataclass(frozen=True)
class Members:
    """Trained runs as members of a blend: their descriptions, and their weights."""

    specs: tuple[MemberSpec, ...]
    states: Sequence[Mapping[str, Any]]

    def load_into(self, blend: Backbone) -> None:
        """Give the blend's members their weights."""
        for member, state in zip(blend.runs, self.states, strict=True):
            member.load_state_dict(state)


def members_of(paths: Sequence[str], run_data: RunData, split: Split, scaler: Scaler) -> Members:
    """The runs that `--model-args members=DIR,DIR` names, as members of a blend.

    Parameters
    ----------
    paths : their directories.
    run_data, split : this run's; a member must have been trained on the same files and parts, since another split may
        have shown it this run's test windows.
    scaler : of the blend's input; a member's input is brought to its own scale from there.

    Raises
    ------
    CheckpointError : a run that does not fit.
    """
    specs, states = [], []
    for path in paths:
        member = open_checkpoint(path)
        _check_member(member, run_data, split, f"members={path}")
        scale = scaler.std / member.scaler.std
        shift = (scaler.mean - member.scaler.mean) / member.scaler.std
        specs.append(MemberSpec(member.model, tuple(scale.tolist()), tuple(shift.tolist())))
        states.append(member.state)
    return Members(tuple(specs), states)


def _check_member(member: Checkpoint, run_data: RunData, split: Split, where: str) -> None:
    forecast, index = member.model.forecast, run_data.index
    same = member.scaler.channels == tuple(run_data.channels)
    if forecast is None or forecast.horizon != index.horizon or not same:
        raise CheckpointError("forecasts another horizon or other channels", where=where)
    if forecast.targets != run_data.target_channels:
        raise CheckpointError("forecasts other targets", where=where)
    if backbone_class(member.model.backbone).reads_history:
        what = f"{member.model.backbone} forecasts from whole series, and an ensemble shows its members the look-back"
        raise CheckpointError(what, where=where)
    if member.model.length > index.length:
        what = f"looks back {member.model.length} steps, more than --context-len {index.length}"
        raise CheckpointError(what, where=where)
    other = {key: value for key, value in member.split.items() if key != "begins"} != split.how
    if member.sources != run_data.series.hashes or other:
        what = "was trained on other files or another split, and may have seen this run's test windows"
        hint = "train the members and the ensemble with the same --csv and split flags"
        raise CheckpointError(what, where=where, hint=hint)


# --- against new data ------------------------------------------------------------------------------------------------


def _is_wide(config: RunConfig) -> bool:
    """Whether the data are files in which a line is a series."""
    return bool(config.csv) and not config.time_col


def timed(model: Checkpoint, config: RunConfig, series: Series) -> Series:
    """The series on the checkpoint's clock where it fits. The dates of a wide file's columns are of no use to a
    checkpoint of steps without times."""
    if model.clock is None and series.clock is not None and _is_wide(config):
        log.info("the checkpoint has steps without times: the dates of the columns are not used")
        return replace(series, time=None, clock=None)
    return on_clock(series, None if model.clock is None else Clock.of(model.clock))


def in_order(model: Checkpoint, config: RunConfig, series: Series) -> Series:
    """Wide files in the order of a checkpoint's channels, found by name.

    Files of which none is named as one of training are other recordings of the same channels, and keep their order.

    Parameters
    ----------
    model : the checkpoint.
    config : names it in messages.
    series : the new data; channels of long files and recordings are read by name, and are in order.

    Raises
    ------
    CheckpointError : some files have names of training's channels, but not all, and not in their places.
    """
    wanted, have = list(model.input_channels), list(series.channels)
    by_name = config.time_col or (series.clock is not None and not config.csv)
    if by_name or series.modalities or wanted == have:
        return series
    if config.drop_label_from_x and len(have) == len(wanted) - 1:
        wanted = [name for name in wanted if name not in model.outputs]
    if sorted(have) == sorted(wanted):
        log.info("the channels are put into the checkpoint's order: %s", ", ".join(wanted))
        return series.arranged(wanted)
    if len(have) != len(wanted):
        return series  # `check_series` says so
    if any(name in wanted and wanted.index(name) != c for c, name in enumerate(have)):
        lines = f"\n  the checkpoint has {', '.join(wanted)}\n  these data have {', '.join(have)}"
        hint = "channels are matched by their files' names: rename the files, or give them in the checkpoint's order"
        raise CheckpointError(f"other channels than the checkpoint's{lines}", where=config.ckpt, hint=hint)
    if len(have) > 1:
        pairs = ", ".join(f"{name} is {other}" for name, other in zip(have, wanted, strict=True))
        log.warning("warning: the channels are taken in the order of the files: %s", pairs)
    return series


def check_series(
    model: Checkpoint, config: RunConfig, series: Series, derived: Sequence[str] = (), lacking: int = 0
) -> None:
    """Refuse a series that does not fit a checkpoint.

    Parameters
    ----------
    model : the checkpoint.
    config : names it in messages.
    series : the new data.
    derived : names of inputs that are computed from channels; old checkpoints list them as channels.
    lacking : how many channels of labels the data lack, and need not have.

    Raises
    ------
    CheckpointError : another number of channels, or steps of another length.
    """
    wanted = [name for name in model.input_channels if name not in derived]
    if series.n_channels != len(wanted) - lacking:
        raise CheckpointError(
            f"was trained on {len(wanted)} input channel(s), the data have {series.n_channels}",
            where=config.ckpt,
            hint=f"the channels were {', '.join(wanted[:8])}{', ...' if len(wanted) > 8 else ''}",
        )
    then, now = model.freq, None if series.clock is None else series.clock.freq
    timeless = now is None and model.model.forecast is None and _is_wide(config)  # labels ask for no dates of columns
    if then != now and not timeless:
        had, have = (f"steps of {Clock(freq)}" if freq else "steps without times" for freq in (then, now))
        if had == have:  # months by their first and by their last day
            had, have = f"{had} ({then})", f"{have} ({now})"
        hint = "--time-col names the column of times" if then and not now else steps_hint(then, now)
        if then and not now and not model.setting("time_col", "") and _is_wide(config):
            hint = "name the columns by their dates, as those of training are"
        raise CheckpointError(f"was trained on {had}, these data have {have}", where=config.ckpt, hint=hint)


def check_run_data(model: Checkpoint, run_data: RunData) -> None:
    """CheckpointError when the model predicts another kind or number of labels than the data have."""
    where = run_data.config.ckpt
    if run_data.per_row != model.per_row:
        kind = "one label a row (--labels)" if model.per_row else "a channel's next value"
        raise CheckpointError(f"predicts {kind}; these data have the other kind of label", where=where)
    if run_data.targets is not None and len(run_data.targets.names) != len(model.outputs):
        what = f"has {len(model.outputs)} label(s), the data have {len(run_data.targets.names)}"
        raise CheckpointError(what, where=where)


def label_known(model: Checkpoint, series: Series, lacking: int) -> bool:
    """Whether the series has the label that the model predicts. CheckpointError for --labels where it is a channel."""
    if model.per_row:
        return series.labels is not None
    if series.labels is not None:
        raise CheckpointError("predicts a channel's next value, not one label a row", where="--labels")
    return not lacking
