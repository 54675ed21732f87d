"""What there is: `--list tasks|backbones|datasets|flags [NAME]`, a line each, or all about one."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import backbones
import tasks
from commandline.flags import PROG, all_flags, defaults
from commandline.sizes import MEASURED
from config import Flag, table_flags
from errors import UsageError, nearest

if TYPE_CHECKING:
    from backbones.base import Backbone

KINDS = ("tasks", "backbones", "datasets", "flags")
LENGTH, HORIZON = 96, 24  # of the window and the forecast for which sizes are counted
WIDTH = 78  # of a line's last column
LARGE = 500_000  # parameters, from which on training by steps takes long without a GPU


def listing(words: Sequence[str]) -> str:
    """The text that `--list WORDS` prints.

    Parameters
    ----------
    words : one of `KINDS`, and a name of that kind or nothing.

    Raises
    ------
    UsageError : a kind or a name that there is not.
    """
    kind, name = words[0], words[1] if len(words) > 1 else ""
    if kind not in KINDS or len(words) > 2:
        close = nearest(kind, KINDS)
        raise UsageError(f"takes {', '.join(KINDS)}, and a name", where="--list", hint=close or "--list backbones")
    known = {"tasks": tasks.names(), "backbones": backbones.names(), "flags": _options()}.get(kind) or tuple(
        _data_sets()
    )
    if name and name not in known and f"--{name}" not in known:
        hint = nearest(name, known) or f"--list {kind} shows them all"
        raise UsageError(f"there is no {name!r}", where=f"--list {kind}", hint=hint)
    if kind == "tasks":
        return _task(name) if name else _columns((task, _about_task(task)) for task in known)
    if kind == "backbones":
        return _backbone(name) if name else _columns([_line_of(one) for one in known])
    if kind == "flags":
        return _flags([name if name.startswith("--") else f"--{name}"] if name else known)
    return _columns((one, text) for one, text in _data_sets().items() if name in ("", one))


def _columns(rows: Iterable[Sequence[str]]) -> str:
    """Rows of text in columns as wide as their longest cell."""
    table = [list(row) for row in rows]
    widths = [max(len(row[at]) for row in table) for at in range(len(table[0]) - 1)]
    cut = [[*row[:-1], row[-1] if len(row[-1]) <= WIDTH else f"{row[-1][: WIDTH - 3]}..."] for row in table]
    return "\n".join("  ".join([*map(str.ljust, row, widths), row[-1]]).rstrip() for row in cut)


def _about(module: str) -> str:
    """The first line of a module's docstring, without importing it."""
    root = Path(__file__).resolve().parent.parent
    text = (root / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8")
    return (ast.get_docstring(ast.parse(text)) or "").split("\n\n")[0].replace("\n", " ")


# ---- tasks


def _about_task(name: str) -> str:
    root = Path(__file__).resolve().parent.parent / "tasks" / name
    return _about(f"tasks.{name}{'.task' * root.is_dir()}").removeprefix(f"{name}: ")


def _task(name: str) -> str:
    able = [one for one in backbones.names() if name in _line_of(one)[3].split(",")]
    own = [flag.option for flag in tasks.flags(name)]
    usual = tasks.usual(name)["backbone"]
    return "\n".join(
        [
            f"{name}: {_about_task(name)}",
            f"backbones ({usual} without --backbone): {', '.join(able)}",
            f"flags of its own: {', '.join(own)}",
            f"an example: {PROG} --task {name} --demo; its flags: {PROG} --task {name} --help",
        ]
    )


# ---- backbones


def _classes(cls: type[Backbone]) -> tuple[type[Backbone], ...]:
    from backbones.base import Backbone

    return (cls, *(variant for variant in cls.variants if issubclass(variant, Backbone)))


def _tasks_of(cls: type[Backbone]) -> list[str]:
    """The tasks whose head one of the classes behind a backbone's name serves."""
    heads = {head for one in _classes(cls) for head in one.heads}
    return [task for task in tasks.names() if tasks.class_of(task).head in heads]


def _line_of(name: str) -> tuple[str, str, str, str, str]:
    return name, *(MEASURED.get(name) or measured(name)), _about(f"backbones.{name}")


def measured(name: str) -> tuple[str, str, str]:
    """The size, speed class and tasks of a backbone, by its class.

    Parameters
    ----------
    name : of the backbone.
    """
    cls = backbones.backbone_class(name)
    return (*_size_and_speed(name, cls), ",".join(_tasks_of(cls)))


def _size_and_speed(name: str, cls: type[Backbone]) -> tuple[str, str]:
    """How many parameters it has for one channel and 96 steps, and how long it takes to train."""
    if cls.needs_pretrained_dir or cls.blends_runs:
        return "its files'", "seconds" if cls.needs_pretrained_dir and cls.closed_form else "ready"
    if any(one.closed_form or one.answers or one.reads_history for one in _classes(cls)):
        return "fitted", "seconds"
    forecast = backbones.ForecastSpec(HORIZON, (0,)) if cls.heads == ("forecast",) else None
    modalities = {"all": 1} if cls.reads_modalities else None
    inputs = backbones.InputSpec(channels=1, length=LENGTH, forecast=forecast, modalities=modalities)
    count = sum(weights.numel() for weights in cls.build(inputs, backbones.Hyper(name)).parameters())
    size = f"{count / 1e6:.1f} M" if count >= LARGE else f"{count / 1e3:.0f} K" if count >= 1000 else str(count)
    return size, "slow on a CPU" if count >= LARGE else "minutes"


def _backbone(name: str) -> str:
    _, size, speed, served, about = _line_of(name)
    rows = [
        (f"  {flag.name}={_value(flag)}", _range(flag), flag.help) for flag in table_flags(backbones.hyper(name), name)
    ]
    lines = [f"{name}: {about}", f"for {served.replace(',', ', ')}; size {size}; training {speed}"]
    if not rows:
        return "\n".join([*lines, "it takes no --model-args"])
    return "\n".join([*lines, "--model-args, each with its default and range:", _columns(rows)])


def _value(flag: Flag) -> str:
    return ",".join(map(str, flag.default)) if isinstance(flag.default, tuple) else str(flag.default)


def _range(flag: Flag) -> str:
    return "|".join(flag.choices) or flag.within or flag.kind.__name__


# ---- data sets and flags


def _data_sets() -> dict[str, str]:
    """The published data sets and layouts that --dataset names, and the tasks' own."""
    found: dict[str, str] = {}
    for task, flag in all_flags().get("dataset", {}).items():
        found |= {name: f"--task {task} --dataset {name}: {flag.help}" for name in flag.choices}
    return found | {f"demo-{task}": f"--task {task} --demo: made by this program" for task in tasks.names()}


def _options() -> list[str]:
    return [next(iter(owners.values())).option for owners in all_flags().values()]


def _flags(options: Sequence[str]) -> str:
    rows = []
    for owners in all_flags().values():
        for task, flag in owners.items():
            if flag.option in options:
                usual = ", ".join(f"{of}: {value}" if of else value for of, value in defaults(flag).items())
                rows.append((flag.option, task or "all", usual[:30] or "-", flag.help))
    return _columns(rows)
