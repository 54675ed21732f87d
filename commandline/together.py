"""Whether settings go together: one line for each problem, so that a user sees all of them at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import backbones
import tasks
from config import BY_STAGE, STAGES, check_all, convert, core_flags, table_flags
from errors import ADDRESS_FORMS, is_address, nearest
from settings.shards import parse_shard
from settings.sizes import bytes_of
from sources.kinds import idle, kind_of


def check_name(core: Mapping[str, Any], key: str, known: Sequence[str], problems: list[str]) -> None:
    value = core[key]
    if not value:
        problems.append(f"--{key} is required: {', '.join(known)}")
    elif value not in known:
        listed = f"--{key} {value!r} is not one of {', '.join(known)}"
        problems.append("; ".join(filter(None, [listed, nearest(value, known)])))


def check_model_args(backbone: str, given: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    flags, other = table_flags(backbones.hyper(backbone), group=backbone), backbones.other_names(backbone)
    known = [flag.name for flag in flags]
    problems = []
    for key in given:
        if key in other and other[key] in given:
            problems.append(f"--model-args {key} is another name of {other[key]}, which is given, too")
        elif other.get(key, key) not in known:
            listed = f"--model-args {key}: {backbone} knows {', '.join(known) or 'no arguments'}"
            problems.append("; ".join(filter(None, [listed, nearest(key, [*known, *other])])))
    given = {other.get(key, key): value for key, value in given.items()}
    values, found = check_all(flags, given)
    problems += [f"--model-args {problem[2:]}" for problem in found]
    return {key: values[key] for key in values if key in given}, problems


def _check_source(core: Mapping[str, Any], given: frozenset[str]) -> list[str]:
    """Where the data come from: files, a database, or --demo."""
    problems = []
    for name in ("csv", "npz", "db"):
        if core["demo"] and core[name]:
            problems.append(f"--demo makes its own data: leave --{name} out")
    if core["csv"] and core["db"]:
        problems.append("--csv and --db: the data come from files or from a database")
    if core["npz"] and (core["csv"] or core["db"]):
        problems.append("--npz holds all of the data: leave --csv and --db out")
    if not any(core[name] for name in ("demo", "csv", "npz", "db")):
        problems.append("--csv FILE... (or --npz FILE, --db URL, or --demo) is required")
    if core["db"] and not is_address(core["db"]) and not core["db"].startswith("embedded:"):
        problems.append(f"--db takes {ADDRESS_FORMS}")
    usual = {flag.name: flag.default for flag in core_flags()}
    for name in ("label_src_ch", "drop_label_from_x", "label_offset"):
        if core["labels"] and name in given and core[name] != usual[name]:
            problems.append(f"--{name.replace('_', '-')} does nothing with --labels, whose file gives the labels")
    if core["db_query"] and not core["db"]:
        problems.append("--db-query needs --db")
    return problems


def check_kind(values: Mapping[str, Any], given: frozenset[str]) -> list[str]:
    """Flags that do nothing for this kind of data. Of files that a checkpoint is applied to, it knows the kind."""
    if values["task"] not in tasks.names():
        return []
    flags = tasks.every_flag(values["task"])
    if values["mode"] != "train" and kind_of(flags, values) == "wide":
        return []
    return idle(flags, values, tasks.usual(values["task"]), given)


def _check_stage(core: Mapping[str, Any]) -> list[str]:
    """Training in stages, and adapting to a changed sensor. Inference ignores the stage in a config.yaml."""
    problems = []
    if core["encoder"] and core["mode"] != "infer" and (core["stage"] != "gru" or core["mode"] != "train"):
        problems.append("--encoder belongs to --mode train --stage gru")
    if core["stage"] and core["mode"] == "finetune":
        problems.append(
            f"--stage {core['stage']} belongs to --mode train: a GRU that is kept cannot read a retrained encoder; "
            "choose what finetuning changes by --adapt-modality, --freeze or --train-only"
        )
    for name in ("freeze", "train_only", "reinit", "refit_scaler"):
        if core["adapt_modality"] and core[name]:
            problems.append(f"--adapt-modality already chooses what trains: leave --{name.replace('_', '-')} out")
    return problems


def _check_shard(core: Mapping[str, Any]) -> list[str]:
    """Series are shared out in inference alone: a model learns from all of them."""
    try:
        shard = parse_shard(core["shard"])
    except ValueError as error:
        return [f"--shard {error}"]
    return ["--shard belongs to --mode infer"] if shard is not None and core["mode"] != "infer" else []


def check_stage_args(core: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """({PART.FLAG: value} of `--stage-args`, problems)."""
    parts = {"": STAGES[:2], "all": STAGES[:2]}.get(core["stage"], (core["stage"],))
    flags = {flag.name: flag for flag in core_flags()}
    flags["epochs"] = replace(flags["epochs"], within="[1,)")  # no stage is trained already
    found, problems = {}, []
    for key, raw in core["stage_args"].items():
        part, _, word = key.partition(".")
        if part not in parts or core["stage"] == "end2end" or word not in BY_STAGE:
            known = [f"{part}.{name}" for part in parts for name in BY_STAGE]
            listed = f"--stage-args {key}: --stage {core['stage'] or 'all'} takes {', '.join(known[:3])}, ..."
            problems.append("; ".join(filter(None, [listed, nearest(key, known)])))
            continue
        name = BY_STAGE[word]
        try:
            found[f"{part}.{name}"] = convert(flags[name], raw)
        except ValueError as error:
            problems.append(f"--stage-args {key} {error}")
    if core["stage_args"] and core["mode"] == "finetune":
        problems.append("--stage-args belongs to --mode train")
    return found, problems


def check_together(core: Mapping[str, Any], given: frozenset[str]) -> list[str]:
    problems = []
    if not core["mode"]:
        problems.append("--ckpt wants --mode infer or --mode finetune")
    problems += _check_source(core, given)
    if core["split_sizes"] and len(core["split_sizes"]) != 3:
        problems.append(f"--split-sizes takes three numbers, train,val,test; got {len(core['split_sizes'])}")
    if core["split_sizes"] and core["split_mode"] == "group":
        problems.append("--split-sizes belongs to --split-mode holdout or rolling")
    if core["mode"] in ("finetune", "infer") and not core["ckpt"]:
        problems.append(f"--mode {core['mode']} needs --ckpt")
    if core["mode"] == "train" and core["ckpt"]:
        problems.append("--ckpt belongs to --mode finetune or infer")
    for name in ("freeze", "train_only", "reinit", "refit_scaler", "adapt_modality"):
        if core[name] and core["mode"] != "finetune":
            problems.append(f"--{name.replace('_', '-')} belongs to --mode finetune")
    problems += _check_stage(core)
    if core["pretrained_dir"] and core["mode"] != "train":
        problems.append("--pretrained-dir belongs to --mode train: a checkpoint holds its weights")
    if core["val_ratio"] + core["test_ratio"] >= 1:
        problems.append("--val-ratio plus --test-ratio must be below 1: nothing would be left to train on")
    for name in ("val_groups", "test_groups"):
        if core[name] and core["split_mode"] != "group":
            problems.append(f"--{name.replace('_', '-')} belongs to --split-mode group")
    if core["folds"] > 1 and core["split_mode"] != "rolling":
        problems.append("--folds belongs to --split-mode rolling")
    if core["gap"] and core["split_mode"] == "group":
        problems.append("--gap belongs to --split-mode rolling or holdout")
    if core["tag"] and core["desc"]:
        problems.append("--desc and --tag exclude each other: --tag is the whole name")
    if core["resume"] and "{date}" in core["tag"] + core["desc"]:
        problems.append("--resume needs the name of the run that it goes on with, and {date} is another one each time")
    problems += _check_shard(core)
    try:
        bytes_of(core["memory"] or "1")
    except ValueError as error:
        problems.append(f"--memory {error}")
    if core["resume"] and core["mode"] == "infer":
        problems.append("--resume belongs to --mode train or finetune")
    return problems
