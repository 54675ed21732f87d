"""The registry of tasks: one file each, found by its name.

A task file holds literal tables, read without importing the file (as `HYPER` of a backbone is), and one class under
`@register`; `tasks/_task.py` says what the class must offer. The tables: `FLAGS`, the task's own flags; and where they
are needed `DEFAULTS`, its own defaults of flags that every task has; `PRESETS` {flag: {value: {flag: default}}},
defaults that come with a value of a flag; `UNUSED`, flags of every task that mean nothing to this one.
"""

from __future__ import annotations

import ast
import importlib
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from config import Flag, table_flags

if TYPE_CHECKING:
    from tasks._task import Task

_FOLDER = Path(__file__).parent
_classes: dict[str, type] = {}
_Class = TypeVar("_Class", bound=type)


def register(cls: _Class) -> _Class:
    """Make `cls` the task that bears the name of its file."""
    _classes[cls.__module__.rpartition(".")[2]] = cls
    return cls


@lru_cache(maxsize=1)
def names() -> tuple[str, ...]:
    """Every task's name, sorted: the files of this folder that do not start with an underscore."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.py") if not path.stem.startswith("_")))


@cache
def flags(name: str) -> tuple[Flag, ...]:
    """The flags that are this task's own."""
    return table_flags(table(name, "FLAGS"), group=name)


@cache
def table(name: str, which: str) -> dict[str, Any]:
    """A literal table of a task's file; empty where it has none."""
    tree = ast.parse((_FOLDER / f"{name}.py").read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == which for t in node.targets):
            found: dict[str, Any] = ast.literal_eval(node.value)
            return found
    return {}


def build(name: str, options: dict[str, Any]) -> Task:
    """The task `name` with its options; imports its file (and with it torch)."""
    importlib.import_module(f"{__name__}.{name}")
    task: Task = _classes[name](**options)
    return task
