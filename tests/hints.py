"""Flags that texts name: whether a command has them, whether a task does, and whether they take the value that stands
behind them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import backbones
import tasks
from config import Flag
from tools import floors

from .conftest import ROOT

FLAG = re.compile(r"(?<![\w/.-])--([a-z][a-z0-9«»-]*)(?:[ =]([\w.'\"«-]+))?")
UNKNOWN = "«»"  # what a message fills in
COMMON = {"help", "version", "config", "list", "doctor", "completion"}  # argparse's, and the one that is no setting
COMMANDS = ("search.py", "tools", "nas_agent", "examples", "sources/synthetic.py")  # with flags of their own


@dataclass(frozen=True)
class Named:
    """A flag that a text names, and the word behind it, "" for none."""

    flag: str
    word: str
    where: str


def named(text: str, where: str) -> list[Named]:
    return [Named(flag.rstrip("-"), (word or "").strip("'\".,;:"), where) for flag, word in FLAG.findall(text)]


@cache
def commands_flags() -> set[str]:
    """The flags of the other commands: every text of theirs that is a flag and nothing else."""
    every = floors.python_files(ROOT, ("tests", "artifacts", "data", "runs"))
    files = [ROOT / path for path in every if str(path).startswith(COMMANDS)]
    return {text[2:] for path in files for text, _ in texts(path) if re.fullmatch("--[a-z-]+", text)}


def flags_of(task: str) -> dict[str, list[Flag]]:
    """The flags that may be given with a task, by what is typed; with "" those of any task."""
    found: dict[str, list[Flag]] = {}
    for name in [task] if task else tasks.names():
        for flag in tasks.every_flag(name):
            if flag.name not in tasks.table(name, "UNUSED"):
                negated = [f"no-{flag.option[2:]}"] if flag.kind is bool else []
                for option in (flag.option[2:], *negated, *([flag.alias[2:]] if flag.alias else [])):
                    found.setdefault(option, []).append(flag)
    return found


def takes(flag: Flag, word: str) -> bool:
    """Whether a flag with choices takes a word; one without takes any."""
    known = {"task": tasks.names(), "backbone": backbones.names()}.get(flag.name) or flag.choices
    return not known or word in known or bool(flag.number_too)


def wrong(text: str, task: str, where: str = "") -> list[Named]:
    """The flags that a message names and that its reader cannot type: another task's, or with a value not taken."""
    if not (found := named(text, where)):
        return []
    known, others = flags_of(task), commands_flags() | COMMON
    return [
        one
        for one in found
        if not {one.flag, one.flag.partition("«")[0].rstrip("-")} & (others | {"", "no"})
        and not any(_fits(flag, one.word) for flag in known.get(one.flag, ()))
    ]


PROSE = set(
    "or and is are was as to of in for with by at on if it its has have had does do did gives give names name says say "
    "sets makes make leaves reads read holds needs takes chooses chose means already above below alone too instead "
    "belongs there beside what which that they the a an each all none not no more one names' "
    "decide decides fits changes already exclude".split()
)


def _fits(flag: Flag, word: str) -> bool:
    return not word or "«" in word or word.startswith("-") or word in PROSE or word.isupper() or takes(flag, word)


def texts(path: Path) -> Iterator[tuple[str, int]]:
    """Every text in a Python file but docstrings, with its line; what an f-string fills in is UNKNOWN."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    inner = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = (part.value if isinstance(part, ast.Constant) else UNKNOWN for part in node.values)
            yield "".join(map(str, parts)), node.lineno
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and not {id(node)} & (docs | inner):
            yield node.value, node.lineno
