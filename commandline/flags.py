"""Every flag of every task in one parser, and how the help describes it."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import backbones
import tasks
from config import GROUPS, VERSION, Flag, convert, core_flags
from errors import UsageError, as_typed

PROG = "python run.py"
DESCRIPTION = "Learn from time series: CSV files in; a directory with the model, its scores and its plots out."


class Parser(argparse.ArgumentParser):
    """The parser of every command: a mistake is a UsageError, which `run.guarded` turns into a message and a code."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(message, hint=f"{self.prog} --help lists the flags")

    def format_help(self) -> str:
        return as_typed(super().format_help())


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
    shown = {"": own} if own else {}
    tables = {task: tasks.table(task, "DEFAULTS") for task in tasks.names()}
    chosen = {task: tasks.table(task, "CHOSEN") for task in tasks.names()}
    own_tables = {task: chosen[task] | tables[task] for task in tasks.names()}
    return shown | {task: _typed(table[flag.name]) for task, table in own_tables.items() if flag.name in table}


def _typed(value: Any) -> str:
    if value is None:
        return ""
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _owner(task: str) -> str:
    return f" [{task}]" if task else ""
