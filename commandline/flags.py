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


USAGE = f"{PROG} --mode {{train,finetune,infer}} --task TASK --csv FILE ... [flags]"
COMMON = (  # the flags that most commands have, in this order
    "csv", "time_col", "id_col", "columns", "context_len", "horizon", "features", "target", "label_src_ch", "bin_rule",
    "bin_thr", "labels", "mains_col", "device_cols", "backbone", "epochs", "split_mode", "test_ratio", "nan",
    "resample", "mode", "ckpt", "tag", "overwrite",
)  # fmt: skip
QUESTIONS: tuple[tuple[str, dict[str, Any], str], ...] = (  # answered in place of a run
    (
        "--list",
        {"nargs": "+", "metavar": "KIND"},
        "list tasks, backbones, datasets or flags, or say all about a NAME",
    ),
    ("--doctor", {"action": "store_true"}, "show versions, devices, extras, and the time of a training step"),
    ("--completion", {"metavar": "SHELL"}, "print the completion of flags for bash, zsh or tcsh (needs shtab)"),
)
EXAMPLES = {
    "forecast": "--csv my.csv --horizon 24",
    "nilm": "--csv my.csv --time-col time --mains-col mains --device-cols kettle fridge",
}


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
        return f"usage: {usage or USAGE}\n\n"

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text if "\n" in text else super()._fill_text(text, width, indent)


def all_flags() -> dict[str, dict[str, Flag]]:
    """{name: {task: flag}}; the task "" means every task. Tasks may share a name, each with its own default."""
    table: dict[str, dict[str, Flag]] = {flag.name: {"": flag} for flag in core_flags()}
    for task in tasks.names():
        for flag in tasks.flags(task):
            owners = table.setdefault(flag.name, {})
            assert "" not in owners, f"{task}: {flag.option} is a flag of every task already"
            owners[task] = flag
    return table


def make_parser(task: str = "") -> argparse.ArgumentParser:
    """The parser with every flag of every task, grouped; values stay text.

    Parameters
    ----------
    task : only its flags, the commonest first, and examples, for its help; "" for all.
    """
    parser = Parser(
        prog=PROG,
        usage=f"{PROG} --task {task} --csv FILE ... [flags]" if task else USAGE,
        description=DESCRIPTION if not task else f"{DESCRIPTION} These are the flags of --task {task}.",
        epilog=_examples(task) if task else f"{PROG} --task TASK --help: a task's flags alone, the commonest first.",
        allow_abbrev=False,
        formatter_class=_Formatter,
        argument_default=argparse.SUPPRESS,
    )
    parser.add_argument("--version", action="version", version=f"tsrun {VERSION}", help="print the version and exit")
    parser.add_argument(
        "--config", metavar="FILE", help="YAML file with defaults; flags override it; or an experiment, .py or .yaml"
    )
    for option, more, text in QUESTIONS:
        parser.add_argument(option, help=text, **more)
    titles = ["Most used", *GROUPS] if task else GROUPS
    groups = {title: parser.add_argument_group(title) for title in titles}
    for owners in _in_order(task):
        flag = next(iter(owners.values()))
        _add(groups["Most used" if task and flag.name in COMMON else flag.group], owners, task)
    return parser


def _in_order(task: str) -> list[dict[str, Flag]]:
    """The flags of all tasks, or of one, the commonest first."""
    every = list(all_flags().values())
    if not task:
        return every
    unused = tasks.table(task, "UNUSED")
    own = [{of: flag for of, flag in owners.items() if of in ("", task)} for owners in every]
    kept = [owners for owners in own if owners and next(iter(owners.values())).name not in unused]
    place = {name: at for at, name in enumerate(COMMON)}
    return sorted(kept, key=lambda owners: place.get(next(iter(owners.values())).name, len(COMMON)))


def _examples(task: str) -> str:
    """Lines that run when typed, for the end of a task's help."""
    file = EXAMPLES.get(task, "--csv my.csv")
    name = f"{PROG} --task {task}"
    return "\n".join(
        [
            "examples:",
            f"  {PROG} --csv my.csv                    what the file is, and commands for it",
            f"  {name} --demo",
            f"  {name} {file}",
            f"  {name} {file} --dry-run          sizes and windows; nothing is trained",
            f"  {name} {file} --tag first        a name of your own",
            f"  {PROG} --mode infer --ckpt artifacts/first --csv newer.csv",
            f"  {PROG} --mode finetune --ckpt artifacts/first --csv newer.csv --epochs 3",
            f"  {PROG} --list backbones                what --backbone takes, with sizes and tasks",
            f"  {PROG} --list backbones gru            its --model-args and their ranges",
        ]
    )


def _add(group: Any, owners: Mapping[str, Flag], task: str) -> None:
    flag = next(iter(owners.values()))
    own_text = (f"{described(own, owners)}{_default_of(own, task)}{_owner(of, task)}" for of, own in owners.items())
    text = "; ".join(own_text)
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


def _default_of(flag: Flag, task: str) -> str:
    known = defaults(flag)
    if task:
        known = {"": known.get(task, known.get("", ""))} if known.get(task, known.get("")) else {}
    parts = [f"{of or 'default'}: {value}" for of, value in known.items()]
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


def _owner(of: str, task: str) -> str:
    return f" [{of}]" if of and not task else ""
