"""The command line: every flag, grouped; a config file under it; one RunConfig out of both.

argparse splits the words and prints the help. Types and ranges are checked afterwards, all of them, so that a user
sees every problem at once. Nothing heavy is imported until the arguments are known to be good.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import backbones
import tasks
from commandline.flags import PROG
from commandline.flags import Parser as Parser
from commandline.flags import all_flags as all_flags
from commandline.flags import defaults as defaults
from commandline.flags import make_parser as make_parser
from commandline.flags import numeric as numeric
from commandline.taken import taken
from commandline.together import check_kind, check_model_args, check_name, check_stage_args, check_together
from config import MODES, Flag, RunConfig, check_all, convert, core_flags, refuse, typed
from errors import UsageError, nearest
from experiments import as_run, config_file
from experiments.flag_files import FlagFile
from experiments.literals import NotYaml, text_of, words_of
from readers.paths import is_file

AROUND = (  # the flags that may be given beside an experiment's file
    "tag", "out", "overwrite", "resume", "device", "threads", "amp", "compile", "json", "quiet", "dry_run", "dataset",
)  # fmt: skip

_parser = cache(make_parser)  # a process may parse many commands: a worker of a search does


class NoTask(UsageError):
    """A command that is right so far and does not say what to learn; `given` are its flags, as text."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        super().__init__(f"--task is required: {', '.join(tasks.names())}")
        self.given = dict(given)


def parse(argv: Sequence[str]) -> RunConfig:
    """A RunConfig from the words of a command line; UsageError lists every problem found."""
    known, extra = _parser().parse_known_args(list(argv))
    given = {name: value for name, value in vars(known).items() if name not in ("list", "doctor", "completion")}
    table = all_flags()
    problems = _unexpected(extra, given, table)
    if "config" in given and config_file.is_one(given["config"], given):
        return _of_experiment(given, problems)
    path = given.pop("config", "")
    file = _of_file(path, table, given) if path else None
    raw = {**file.flags, **given} if file is not None else dict(given)
    problems += file.problems if file is not None else []
    if "task" not in raw and "ckpt" in raw:
        raw |= _task_of(str(raw["ckpt"]))
    for name in sorted(given):
        task, owners = raw.get("task"), table[name]
        if "" not in owners and task in tasks.names() and task not in owners:
            problems.append(f"--{name.replace('_', '-')} belongs to --task {' or '.join(owners)}")
    if not (raw.get("task") or raw.get("ckpt") or problems) and raw.get("mode", "train") == "train":
        raise NoTask(raw)
    more, notes = taken(raw)
    told = (*(() if file is None else file.notes), *notes)
    return replace(_assemble(raw | more, problems), config_file=path, notes=told)


def _of_experiment(given: dict[str, Any], problems: list[str]) -> RunConfig:
    """The file of an experiment sets what is learned; the command line only where and how to run it."""
    path = given.pop("config")
    for name in given.keys() - set(AROUND):
        allowed = f"its file sets everything but {', '.join(AROUND)}"
        problems.append(f"--{name.replace('_', '-')} does not go with --config {path}: {allowed}")
    if "tag" not in given:
        problems.append("--tag NAME is required: the directory of the experiment, such as run_0000")
    written, found = config_file.read(path)
    named = str(given.get("dataset", ""))
    dataset = as_run.dataset_of(written, named)
    if not (problems or found):
        as_run.check_table(written, dataset)
    refuse([*problems, *found, *as_run.data_problems(written, dataset)])
    settings = as_run.settings(written, dataset) | given
    more, notes = taken(settings)
    made = _assemble(settings | more, problems)
    return replace(made, experiment=written.text, config_file=path, notes=(*as_run.told(written, named), *notes))


def _task_of(ckpt: str) -> dict[str, Any]:
    """The task of a run's directory, from config.yaml or from an experiment's checkpoint; {} without either."""
    place = Path(ckpt)
    file = (place if place.is_dir() else place.parent) / "config.yaml"
    try:
        content = words_of(text_of(file, where=ckpt))
    except (UsageError, NotYaml):
        return _task_within(place / "best_model.pth" if place.is_dir() else place, ckpt)
    return {"task": content["task"]} if isinstance(content, dict) and "task" in content else {}


def _task_within(file: Path, ckpt: str) -> dict[str, Any]:
    """The task of a checkpoint without config.yaml beside it. CheckpointError where there is none."""
    from checkpoint import Checkpoint, find  # imports torch

    if not file.is_file():
        find(ckpt)
        return {}
    return {"task": Checkpoint.load(file).task}


def _unexpected(extra: Sequence[str], given: dict[str, Any], table: Mapping[str, Mapping[str, Flag]]) -> list[str]:
    """A line for each mistake among the words that are no flag; files among them, with no flag, are the data."""
    if extra and "csv" not in given and all(is_file(word) for word in extra):
        given["csv"] = list(extra)
        return []
    options = [flag.option for owners in table.values() for flag in owners.values()]
    problems, known = [], [*options, "--config", "--model"]
    for before, word in zip(["", *extra], extra, strict=False):
        if word.startswith("-"):
            name = word.partition("=")[0]
            problems.append("; ".join(filter(None, [f"unknown flag {name}", nearest(name, known)])))
        elif not before.startswith("-"):  # else it is the value of what is told already
            flags = {"--mode": MODES, "--task": tasks.names(), "--backbone": backbones.names()}
            meant = [(flag, near[0]) for flag, words in flags.items() if (near := _close(word, words))][:1]
            given.update({flag[2:]: near for flag, near in meant if flag[2:] not in given})  # no second message of it
            told = "".join(f"; did you mean {flag} {near}?" for flag, near in meant)
            problems.append(f"unexpected argument {word!r}{told}")
    return problems


def _close(word: str, known: Sequence[str]) -> list[str]:
    return difflib.get_close_matches(word.lower(), known, n=1, cutoff=0.8)


def _of_file(path: str, table: Mapping[str, Any], given: Mapping[str, Any]) -> FlagFile:
    """The flags in a config file, by their names or by their other names on the command line."""
    content = read_yaml(path, "--config", "the config file")
    file = FlagFile(path, text_of(path, where=f"--config {path}"), table, given)
    file.read(content)
    return file


def read_yaml(path: str, option: str, what: str) -> dict[str, Any]:
    """The mapping in a YAML file: text as on a command line, `_` for `-` in its keys. UsageError for anything else."""
    where = f"{option} {path}"
    try:
        content = words_of(text_of(path, where=where, what=what))
    except NotYaml as error:
        raise UsageError(str(error), where=where) from None
    if not isinstance(content, dict) or not content:
        raise UsageError(f"{what} must be a mapping of flags to values", where=where)
    return {str(key).replace("-", "_"): value for key, value in content.items()}


def _followed(raw: Mapping[str, Any]) -> dict[str, Any]:
    """`--stage all encoder.epochs=30` as two flags: pairs that follow a value belong to another flag."""
    found = dict(raw)
    for flag in core_flags():
        value = found.get(flag.name)
        if flag.then and isinstance(value, list) and value:
            more = [word for word in value if "=" in str(word)]
            found[flag.name] = [word for word in value if word not in more]
            if more:
                before = found.get(flag.then, [])
                found[flag.then] = [
                    *([f"{k}={v}" for k, v in before.items()] if isinstance(before, dict) else before),
                    *more,
                ]
    return found


def _assemble(raw: dict[str, Any], problems: list[str]) -> RunConfig:
    raw = _followed(raw)
    given, raw = frozenset(raw), _with_defaults(raw, problems)
    core, found = check_all(core_flags(), raw)
    problems += found
    if core["task"] or core["ckpt"] or core["mode"] not in ("infer", "finetune"):  # without --ckpt there is one mistake
        check_name(core, "task", tasks.names(), problems)
    check_name(core, "backbone", backbones.names(), problems)
    options: dict[str, Any] = {}
    if core["task"] in tasks.names():
        options, found = check_all(tasks.flags(core["task"]), raw)
        problems += found
    if core["backbone"] in backbones.names():
        core["model_args"], found = check_model_args(core["backbone"], core["model_args"])
        problems += found
    core["stage_args"], found = check_stage_args(core)
    problems += found
    for name in ("optimizer_args", "scheduler_args"):
        core[name] = {key: typed(value) for key, value in core[name].items()}
    problems += check_together(core, given)
    problems += check_kind(core | options, given)
    refuse(problems, hint=f"{PROG} --help lists the flags" if any("unknown flag" in p for p in problems) else "")
    return RunConfig(**core, options=options, given=given)


def _with_defaults(raw: Mapping[str, Any], problems: list[str]) -> dict[str, Any]:
    """What was given; below it the values of a preset, then the task's own defaults."""
    task = raw.get("task")
    if task not in tasks.names():
        return dict(raw)
    flags = {flag.name: flag for flag in core_flags()}
    unused = tasks.table(task, "UNUSED")
    for name in unused:
        if name in raw and not _is_default(flags[name], raw[name]):  # config.yaml of a run lists every flag
            instead = unused[name] and f": {unused[name]}"
            problems.append(f"--{name.replace('_', '-')} does not apply to --task {task}{instead}")
    preset: dict[str, Any] = {}
    for flag, presets in tasks.table(task, "PRESETS").items():
        preset |= presets.get(str({**preset, **raw}.get(flag)), presets.get("*", {}) if raw.get(flag) else {})
    return {**tasks.table(task, "DEFAULTS"), **preset, **raw}


def _is_default(flag: Flag, raw: Any) -> bool:
    try:
        return bool(convert(flag, raw) == flag.default)
    except ValueError:
        return False
