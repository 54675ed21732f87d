"""The registry of tasks: a file or a folder each, see registry.py.

A task's file (where it is a folder `task.py`, or `flags.py` beside it) holds literal tables, read without importing
it; the file or `task.py` has one class under `@register`, and `tasks/base.py` describes what that must offer. The
tables: `FLAGS`, the flags of the task; and if needed `DEFAULTS`, other defaults for flags that every task has;
`PRESETS` {flag: {value: {flag: default}}}, defaults that come with a value of a flag ("*": any other that is given);
`UNUSED` {flag: what does the same here}, flags of every task that this one does not use; `CHOSEN` {flag: how}, what
`Task.chosen` chooses from the data where it is not given; `FITTED` {name: kind}, of the constants that a checkpoint
must hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from config import Flag, core_flags, table_flags
from registry import Namespace, Registry

if TYPE_CHECKING:
    from tasks.base import Task

_registry = Registry(__name__, Path(__file__).parent, table="FLAGS", main="task")
register, names, table, module = _registry.register, _registry.names, _registry.table, _registry.module


@cache
def flags(name: str) -> tuple[Flag, ...]:
    """The flags of this task alone, from the FLAGS table."""
    return table_flags(table(name, "FLAGS"), group=name)


def every_flag(name: str) -> tuple[Flag, ...]:
    """The flags that may be given with this task: those of every task, and its own."""
    return (*core_flags(), *flags(name))


def usual(name: str) -> dict[str, Any]:
    """{flag: what it is where it is not given}, of every flag that may be given with this task."""
    defaults: dict[str, Any] = {flag.name: flag.default for flag in every_flag(name)}
    return defaults | table(name, "DEFAULTS")


def class_of(name: str) -> type[Task]:
    """The class of a task; imports its file (and with it torch)."""
    return _registry.load(name)


def build(name: str, options: Mapping[str, Any]) -> Task:
    """The task `name` with its options; imports its file (and with it torch)."""
    task: Task = _registry.load(name)(Namespace(options))
    return task
