"""The command line: every flag, grouped; a config file under it; one RunConfig out of both.

argparse splits the words and prints the help. Types and ranges are checked afterwards, all of them, so that a user
sees every problem at once. Nothing heavy is imported until the arguments are known to be good.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import backbones
import tasks
from config import (
    BY_STAGE,
    GROUPS,
    STAGES,
    VERSION,
    Flag,
    RunConfig,
    check_all,
    convert,
    core_flags,
    refuse,
    table_flags,
    typed,
)
from errors import ADDRESS_FORMS, UsageError, is_address, nearest
from experiments import as_run, config_file
from experiments.flag_files import FlagFile
from experiments.literals import NotYaml, text_of, words_of
from sources.kinds import idle, kind_of

PROG = "python run.py"
DESCRIPTION = "Learn from time series: CSV files in; a directory with the model, its scores and its plots out."
AROUND = (  # the flags that may be given beside an experiment's file
    "tag", "out", "overwrite", "resume", "device", "threads", "amp", "compile", "json", "quiet", "dry_run", "dataset",
)  # fmt: skip


class Parser(argparse.ArgumentParser):
    """The parser of every command: a mistake is a UsageError, which `run.guarded` turns into a message and a code."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(message, hint=f"{self.prog} --help lists the flags")


def numeric(kind: type, within: str) -> Callable[[str], Any]:
    """The `type` of a command's argument: a number in an interval such as "[1,)"."""
    flag = Flag("", kind, None, "", "", within=within)

    def converted(text: str) -> Any:
        try:
            return convert(flag, text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return converted


class _Formatter(argparse.HelpFormatter):
    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=34, width=110)

    def _format_usage(self, usage: Any, actions: Any, groups: Any, prefix: Any) -> str:  # noqa: ARG002
        return "usage: python run.py --mode {train,finetune,infer} --task TASK --csv FILE ... [flags]\n\n"


def all_flags() -> dict[str, dict[str, Flag]]:
    """{name: {task: flag}}; the task "" means every task. Tasks may share a name, each with its own default."""
    table: dict[str, dict[str, Flag]] = {flag.name: {"": flag} for flag in core_flags()}
    for task in tasks.names():
        for flag in tasks.flags(task):
            owners = table.setdefault(flag.name, {})
            assert "" not in owners, f"{task}: {flag.option} is a flag of every task already"
            owners[task] = flag
    return table


def make_parser() -> argparse.ArgumentParser:
    """The parser with every flag of every task, grouped; values stay text."""
    parser = Parser(
        prog=PROG,
        description=DESCRIPTION,
        allow_abbrev=False,
        formatter_class=_Formatter,
        argument_default=argparse.SUPPRESS,
    )
    parser.add_argument("--version", action="version", version=f"tsrun {VERSION}", help="print the version and exit")
    parser.add_argument(
        "--config", metavar="FILE", help="YAML file with defaults; flags override it; or an experiment, .py or .yaml"
    )
    groups = {title: parser.add_argument_group(title) for title in GROUPS}
    for owners in all_flags().values():
        _add(groups[next(iter(owners.values())).group], owners)
    return parser


def _add(group: Any, owners: Mapping[str, Flag]) -> None:
    flag = next(iter(owners.values()))
    text = "; ".join(f"{described(own, owners)}{_default_of(own)}{_owner(task)}" for task, own in owners.items())
    names = [flag.option, *filter(None, [flag.alias])]
    if flag.kind is bool:
        group.add_argument(*names, dest=flag.name, action=argparse.BooleanOptionalAction, help=text.replace("%", "%%"))
        return
    many = "+" if flag.then else flag.many
    group.add_argument(*names, dest=flag.name, nargs=many, metavar=_metavar(owners), help=text.replace("%", "%%"))


def described(flag: Flag, owners: Mapping[str, Flag]) -> str:
    """The help of a flag, with the choices where the other tasks that have the flag offer others."""
    return f"{flag.help}: {', '.join(flag.choices)}" if flag.choices and not _alike(owners) else flag.help


def _alike(owners: Mapping[str, Flag]) -> bool:
    return len({flag.choices for flag in owners.values()}) == 1


def _metavar(owners: Mapping[str, Flag]) -> str:
    flag = next(iter(owners.values()))
    choices = {"task": tasks.names(), "backbone": backbones.names()}.get(flag.name, flag.choices)
    if choices and _alike(owners):
        return "{" + ",".join([*choices, *["FLOAT"] * bool(flag.number_too)]) + "}"
    return flag.metavar or {int: "INT", float: "FLOAT", dict: "K=V"}.get(flag.kind, "TEXT")


def _default_of(flag: Flag) -> str:
    parts = [f"{task or 'default'}: {value}" for task, value in defaults(flag).items()]
    return f" ({', '.join(parts)})" if parts else ""


def defaults(flag: Flag) -> dict[str, str]:
    """{task: a flag's default as it would be typed}: "" is that of every task, beside the tasks that have another."""
    own = "" if flag.kind in (bool, dict) else _typed(flag.default)
    shown = {"": repr(own) if flag.name == "sep" else own} if own else {}
    tables = {task: tasks.table(task, "DEFAULTS") for task in tasks.names()}
    return shown | {task: _typed(table[flag.name]) for task, table in tables.items() if flag.name in table}


def _typed(value: Any) -> str:
    if value is None:
        return ""
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _owner(task: str) -> str:
    return f" [{task}]" if task else ""


def parse(argv: Sequence[str]) -> RunConfig:
    """A RunConfig from the words of a command line; UsageError lists every problem found."""
    known, extra = make_parser().parse_known_args(list(argv))
    given = vars(known)
    table = all_flags()
    options = [flag.option for owners in table.values() for flag in owners.values()]
    problems = [_unknown(word, options) for word in extra]
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
    notes = () if file is None else tuple(file.notes)
    return replace(_assemble(raw, problems), config_file=path, notes=notes)


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
    made = _assemble(as_run.settings(written, dataset) | given, problems)
    notes = tuple(as_run.told(written, named))
    return replace(made, experiment=written.text, config_file=path, notes=notes)


def _task_of(ckpt: str) -> dict[str, Any]:
    """The task of a run's directory, from config.yaml or from an experiment's checkpoint; {} without either."""
    place = Path(ckpt)
    file = (place if place.is_dir() else place.parent) / "config.yaml"
    try:
        content = words_of(text_of(file, where=ckpt))
    except (UsageError, NotYaml):
        return _task_within(place / "best_model.pth" if place.is_dir() else place)
    return {"task": content["task"]} if isinstance(content, dict) and "task" in content else {}


def _task_within(file: Path) -> dict[str, Any]:
    if not file.is_file():
        return {}
    from checkpoint import Checkpoint  # imports torch: this checkpoint has no config.yaml beside it

    return {"task": Checkpoint.load(file).task}


def _unknown(word: str, options: list[str]) -> str:
    if not word.startswith("-"):
        return f"unexpected argument {word!r}"
    name = word.partition("=")[0]
    return " ".join(filter(None, [f"unknown flag {name}", nearest(name, [*options, "--config", "--model"])]))


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
    _check_name(core, "task", tasks.names(), problems)
    _check_name(core, "backbone", backbones.names(), problems)
    options: dict[str, Any] = {}
    if core["task"] in tasks.names():
        options, found = check_all(tasks.flags(core["task"]), raw)
        problems += found
    if core["backbone"] in backbones.names():
        core["model_args"], found = _check_model_args(core["backbone"], core["model_args"])
        problems += found
    core["stage_args"], found = _check_stage_args(core)
    problems += found
    for name in ("optimizer_args", "scheduler_args"):
        core[name] = {key: typed(value) for key, value in core[name].items()}
    problems += _check_together(core, given)
    problems += _check_kind(core | options, given)
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
        preset |= presets.get(str({**preset, **raw}.get(flag)), {})
    return {**tasks.table(task, "DEFAULTS"), **preset, **raw}


def _is_default(flag: Flag, raw: Any) -> bool:
    try:
        return bool(convert(flag, raw) == flag.default)
    except ValueError:
        return False


def _check_name(core: Mapping[str, Any], key: str, known: Sequence[str], problems: list[str]) -> None:
    value = core[key]
    if not value:
        problems.append(f"--{key} is required: {', '.join(known)}")
    elif value not in known:
        listed = f"--{key} {value!r} is not one of {', '.join(known)}"
        problems.append(" ".join(filter(None, [listed, nearest(value, known)])))


def _check_model_args(backbone: str, given: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    flags, other = table_flags(backbones.hyper(backbone), group=backbone), backbones.other_names(backbone)
    known = [flag.name for flag in flags]
    problems = []
    for key in given:
        if key in other and other[key] in given:
            problems.append(f"--model-args {key} is another name of {other[key]}, which is given, too")
        elif other.get(key, key) not in known:
            listed = f"--model-args {key}: {backbone} knows {', '.join(known) or 'no arguments'}"
            problems.append(" ".join(filter(None, [listed, nearest(key, [*known, *other])])))
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


def _check_kind(values: Mapping[str, Any], given: frozenset[str]) -> list[str]:
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


def _check_stage_args(core: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
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
            problems.append(" ".join(filter(None, [listed, nearest(key, known)])))
            continue
        name = BY_STAGE[word]
        try:
            found[f"{part}.{name}"] = convert(flags[name], raw)
        except ValueError as error:
            problems.append(f"--stage-args {key} {error}")
    if core["stage_args"] and core["mode"] == "finetune":
        problems.append("--stage-args belongs to --mode train")
    return found, problems


def _check_together(core: Mapping[str, Any], given: frozenset[str]) -> list[str]:
    problems = []
    if not core["mode"]:
        problems.append("--mode is required: train, finetune, infer")
    problems += _check_source(core, given)
    if core["split_sizes"] and len(core["split_sizes"]) != 3:
        problems.append(f"--split-sizes takes three numbers, train,val,test; got {len(core['split_sizes'])}")
    if core["split_sizes"] and core["split_mode"] == "group":
        problems.append("--split-sizes belongs to --split-mode holdout or rolling")
    whole = core["demo"] or core["labels"] or core["npz"]
    chosen = core["task"] in tasks.names() and "context_len" in tasks.table(core["task"], "CHOSEN")
    if core["mode"] == "train" and core["context_len"] is None and not whole and not chosen:
        problems.append("--context-len is required")
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
    if core["resume"] and core["mode"] == "infer":
        problems.append("--resume belongs to --mode train or finetune")
    return problems
