"""docs/coming_from.md: every line of its tables runs, and leaves what the table says where it says."""

from __future__ import annotations

import contextlib
import io
import json
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from sources.synthetic import demand
from tools import report, synth

from .conftest import ROOT
from .runs import go, lay, standing_in

PAGE = (ROOT / "docs" / "coming_from.md").read_text(encoding="utf-8")
TOOLS: dict[str, Callable[[list[str]], int]] = {"tools/report.py": report.main, "tools/synth.py": synth.main}


@dataclass(frozen=True)
class Line:
    """A line of a table: the commands to type, and what is where after them."""

    commands: list[str]
    where: list[str]


def tables() -> dict[str, list[Line]]:
    """{heading: the lines of its table}."""
    found: dict[str, list[Line]] = {}
    for section in re.split(r"^## ", PAGE, flags=re.M)[1:]:
        title, _, body = section.partition("\n")
        rows = [row for row in body.splitlines() if row.startswith("| ")][1:]
        cells = [re.split(r"(?<!\\)\|", row.strip().strip("|")) for row in rows]
        assert all(len(cell) == 3 for cell in cells), title
        spans = [[re.findall(r"`([^`]+)`", text.replace("\\|", "|")) for text in cell] for cell in cells]
        found[title] = [Line([w for w in now if w.startswith("python ")], where) for _, now, where in spans]
    return found


def typed(folder: Path, command: str, shorter: str) -> tuple[int, str, str]:
    """(exit code, stdout, stderr) of a command in this process; `shorter` makes a run small."""
    _, script, *words = shlex.split(command)
    if script == "run.py":
        done = go(folder, *map(shlex.quote, [*words, *shorter.split()]))
        return done.code, done.out, done.err
    out, err = io.StringIO(), io.StringIO()
    with standing_in(folder), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = TOOLS[script](words)
    return code, out.getvalue(), err.getvalue()


def check_where(folder: Path, run: Path, where: str) -> None:
    """A path is there: from the working folder for artifacts/, runs/, data/ and ./, else in the run's folder."""
    name, _, keys = where.partition(": ")
    outside = name.startswith(("artifacts/", "runs/", "data/", "./"))
    path = (folder if outside else run) / name
    assert path.exists(), where
    if keys:
        content = json.loads(path.read_text(encoding="utf-8"))
        for key in keys.split(", "):
            value = content
            for part in key.split("."):
                assert part in value, where
                value = value[part]


def classifier(folder: Path) -> str:
    values = demand(24, 40, 4, seed=3)
    lay(folder, **{f"LP{k + 1}a": values[k] for k in range(4)})
    return "--epochs 1 --compile off --model-args size=tiny layers=1 --reference off"


PREPARED: dict[str, Callable[[Path], str]] = {"The attention classifier": classifier}


def test_the_page_has_a_table_for_each_system() -> None:
    assert list(tables()) == list(PREPARED)
    assert all(lines and all(line.where for line in lines) for lines in tables().values())
    assert "docs/coming_from.md" in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("system", PREPARED)
def test_every_line_runs_and_leaves_what_it_says(system: str, tmp_path: Path) -> None:
    shorter = PREPARED[system](tmp_path)
    run = tmp_path
    for line in tables()[system]:
        for command in line.commands:
            training = "--mode train" in command or "--config" in command
            code, out, err = typed(tmp_path, command, shorter if training else "")
            assert code == 0, f"{command}\n{err}"
            run = tmp_path / out.strip().splitlines()[-1] if "run.py" in command else run
        for where in line.where:
            check_where(tmp_path, run, where)
