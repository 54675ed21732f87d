"""The command line: every flag, grouped; a config file under it; one RunConfig out of both.

argparse splits the words and prints the help. Types and ranges are checked afterwards, all of them, so that a user
sees every problem at once. Nothing heavy is imported until the arguments are known to be good.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import backbones
import tasks
from config import GROUPS, Flag, RunConfig, check_all, core_flags, refuse, table_flags
from errors import UsageError, nearest

DESCRIPTION = "Learn from time series: CSV matrices in, a directory with the model and its judgement out."
ALIASES = {"ckpt": ("--model",)}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(message, hint="run.py --help lists the flags")


class _Formatter(argparse.HelpFormatter):
    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=34, width=110)

    def _format_usage(self, usage: Any, actions: Any, groups: Any, prefix: Any) -> str:  # noqa: ARG002
        return "usage: python run.py --mode {train,finetune,infer} --task TASK --csv FILE ... [flags]\n\n"


def all_flags() -> dict[str, tuple[Flag, tuple[str, ...]]]:
    """{name: (flag, tasks it belongs to)}; no tasks named means every task."""
    table: dict[str, tuple[Flag, tuple[str, ...]]] = {flag.name: (flag, ()) for flag in core_flags()}
    for task in tasks.names():
        for flag in tasks.flags(task):
            owners = table[flag.name][1] if flag.name in table else ()
            assert flag.name not in table or owners, f"{task}: {flag.option} is a flag of every task already"
            table[flag.name] = (flag, (*owners, task))
    return table


def make_parser() -> argparse.ArgumentParser:
    """The parser with every flag of every task, grouped; values stay text."""
    parser = _Parser(
        prog="run.py",
        description=DESCRIPTION,
        allow_abbrev=False,
        formatter_class=_Formatter,
        argument_default=argparse.SUPPRESS,
    )
    parser.add_argument("--config", metavar="FILE", help="YAML file with defaults; flags override it")
    groups = {title: parser.add_argument_group(title) for title in GROUPS}
    for flag, owners in all_flags().values():
        _add(groups[flag.group], flag, owners)
    return parser


def _add(group: Any, flag: Flag, owners: tuple[str, ...]) -> None:
    choices = {"task": tasks.names(), "backbone": backbones.names()}.get(flag.name, flag.choices)
    text = f"{flag.help}{_shown_default(flag)}" + (f" [{', '.join(owners)}]" if owners else "")
    names = (flag.option, *ALIASES.get(flag.name, ()))
    if flag.kind is bool:
        group.add_argument(*names, dest=flag.name, action=argparse.BooleanOptionalAction, help=text.replace("%", "%%"))
        return
    word = "{" + ",".join(choices) + "}" if choices else _metavar(flag)
    if flag.number_too:
        word = word[:-1] + ",FLOAT}"
    group.add_argument(*names, dest=flag.name, nargs=flag.many, metavar=word, help=text.replace("%", "%%"))


def _metavar(flag: Flag) -> str:
    paths = {"csv": "FILE", "labels": "FILE", "groups": "FILE", "ckpt": "PATH", "out": "DIR", "pretrained_dir": "DIR"}
    globs = dict.fromkeys(("freeze", "train_only", "reinit"), "GLOB")
    return (paths | globs).get(flag.name) or {int: "INT", float: "FLOAT", dict: "K=V"}.get(flag.kind, "TEXT")


def _shown_default(flag: Flag) -> str:
    if flag.kind in (bool, dict) or flag.default is None or flag.default in ("", ()):
        return ""
    return f" (default: {flag.default!r})" if flag.name == "sep" else f" (default: {flag.default})"


def parse(argv: Sequence[str]) -> RunConfig:
    """A RunConfig from the words of a command line; UsageError lists every problem found."""
    known, extra = make_parser().parse_known_args(list(argv))
    given = vars(known)
    table = all_flags()
    problems = [_unknown(word, [flag.option for flag, _ in table.values()]) for word in extra]
    raw = _read_yaml(given.pop("config"), table, problems) if "config" in given else {}
    raw |= given
    for name in sorted(given):
        task, owners = raw.get("task"), table[name][1]
        if owners and task in tasks.names() and task not in owners:
            problems.append(f"{table[name][0].option} belongs to --task {' or '.join(owners)}")
    return _assemble(raw, problems)


def _unknown(word: str, options: list[str]) -> str:
    if not word.startswith("-"):
        return f"unexpected argument {word!r}"
    name = word.partition("=")[0]
    return " ".join(filter(None, [f"unknown flag {name}", nearest(name, [*options, "--config", "--model"])]))


def _read_yaml(path: str, table: Mapping[str, Any], problems: list[str]) -> dict[str, Any]:
    import yaml

    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UsageError(f"cannot read the config file: {error.strerror}", where=f"--config {path}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"not a YAML file: {error}", where=f"--config {path}") from None
    if not isinstance(content, dict):
        raise UsageError("a config file is a mapping of flags to values", where=f"--config {path}")
    raw = {str(key).replace("-", "_"): value for key, value in content.items()}
    for key in raw:
        if key not in table:
            problems.append(" ".join(filter(None, [f"{path}: unknown key {key!r}", nearest(key, table)])))
    return {key: value for key, value in raw.items() if key in table}


def _assemble(raw: dict[str, Any], problems: list[str]) -> RunConfig:
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
    problems += _check_together(core)
    refuse(problems, hint="run.py --help lists the flags" if any("unknown flag" in p for p in problems) else "")
    return RunConfig(**core, options=options, given=frozenset(raw))


def _check_name(core: Mapping[str, Any], key: str, known: Sequence[str], problems: list[str]) -> None:
    value = core[key]
    if not value:
        problems.append(f"--{key} is required: {', '.join(known)}")
    elif value not in known:
        listed = f"--{key} {value!r} is not one of {', '.join(known)}"
        problems.append(" ".join(filter(None, [listed, nearest(value, known)])))


def _check_model_args(backbone: str, given: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    flags = table_flags(backbones.hyper(backbone), group=backbone)
    known = [flag.name for flag in flags]
    problems = []
    for key in given:
        if key not in known:
            listed = f"--model-args {key}: {backbone} knows {', '.join(known) or 'no arguments'}"
            problems.append(" ".join(filter(None, [listed, nearest(key, known)])))
    values, found = check_all(flags, given)
    problems += [f"--model-args {problem[2:]}" for problem in found]
    return {key: values[key] for key in values if key in given}, problems


def _check_together(core: Mapping[str, Any]) -> list[str]:
    problems = []
    if not core["mode"]:
        problems.append("--mode is required: train, finetune, infer")
    if core["demo"] and core["csv"]:
        problems.append("--demo makes its own data: leave --csv out")
    if not core["demo"] and not core["csv"]:
        problems.append("--csv FILE... (or --demo) is required")
    if core["mode"] == "train" and core["context_len"] is None and not core["demo"] and not core["labels"]:
        problems.append("--context-len is required")
    if core["mode"] in ("finetune", "infer") and not core["ckpt"]:
        problems.append(f"--mode {core['mode']} needs --ckpt")
    if core["mode"] == "train" and core["ckpt"]:
        problems.append("--ckpt belongs to --mode finetune or infer")
    for name in ("freeze", "train_only", "reinit", "refit_scaler"):
        if core[name] and core["mode"] != "finetune":
            problems.append(f"--{name.replace('_', '-')} belongs to --mode finetune")
    if core["pretrained_dir"] and core["mode"] != "train":
        problems.append("--pretrained-dir belongs to --mode train: a checkpoint holds its weights")
    if core["val_ratio"] + core["test_ratio"] >= 1:
        problems.append("--val-ratio plus --test-ratio must be below 1: nothing would be left to train on")
    if core["folds"] > 1 and core["split_mode"] != "rolling":
        problems.append("--folds belongs to --split-mode rolling")
    if core["gap"] and core["split_mode"] == "group":
        problems.append("--gap belongs to --split-mode rolling or holdout")
    if core["resume"] and core["mode"] == "infer":
        problems.append("--resume belongs to --mode train or finetune")
    return problems
