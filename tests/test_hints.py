"""No message and no page of the documentation names a flag that is not there, or a value that it does not take."""

from __future__ import annotations

import re
import shlex
from functools import partial
from pathlib import Path

import pytest

import cli
import tasks
from errors import UsageError
from tools import floors

from .conftest import ROOT
from .hints import named, texts, wrong

SOURCES = [ROOT / path for path in floors.python_files(ROOT, ("tests", "artifacts", "data", "runs", "benchmarks"))]
STYLES = ("line",)  # names of a style sheet, which look like flags
OF_LAUNCHERS = (
    "standalone",
    "nnodes",
    "nproc-per-node",
    "rdzv-backend",
    "rdzv-endpoint",
    "rdzv-id",
    "ntasks",
    "kill-on-bad-exit",
)
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def task_of(path: Path) -> str:
    """The task in whose folder or file a source lies; "" for what serves several."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return parts[1] if parts[0] == "tasks" and parts[1] in tasks.names() else ""


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_flag_in_a_text_of_the_source_can_be_typed(path):
    found = [one for text, line in texts(path) for one in wrong(text, task_of(path), f"{path.name}:{line}")]
    assert not [one for one in found if one.flag not in (*STYLES, *OF_LAUNCHERS)]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_flag_on_a_page_can_be_typed(path):
    lines = enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
    found = [one for number, line in lines for one in wrong(line, "", f"{path.name}:{number}")]
    assert not [one for one in found if one.flag not in OF_LAUNCHERS]


def commands(path: Path) -> list[str]:
    """The words behind `python run.py` of each command on a page, lines that go on joined."""
    text = path.read_text(encoding="utf-8").replace("\\\n", " ")
    return re.findall(r"^\s*(?:\$ )?python run\.py ([^\n|#>]*)", text, re.M)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_command_on_a_page_is_understood(path):
    for line in commands(path):
        words = shlex.split(line.replace("...", ""))
        if "--config" in words or "--help" in words or "--version" in words:
            continue
        errors = list(filter(None, map(partial(refused, words), [""] if "--task" in words else tasks.names())))
        assert len(errors) < (1 if "--task" in words else len(tasks.names())), f"{line}: {errors}"


def refused(words: list[str], task: str) -> str:
    """Why a command is not understood; of one that has its task from a checkpoint, with this one."""
    try:
        cli.parse([*words, *(["--task", task] if task else [])])
    except UsageError as error:
        return str(error)
    return ""


def test_the_check_finds_what_it_is_for():
    assert [one.flag for one in wrong("--nan ffill, or --max-ffill 70", "nilm")] == ["nan"]
    assert [one.word for one in wrong("--nan fill or --nan «» or --nan drop", "regress")] == ["fill"]
    assert [one.flag for one in wrong("--colums names the columns; --columns too", "")] == ["colums"]
    assert named("--resample 1h, or", "x")[0].word == "1h"
