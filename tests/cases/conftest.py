"""The cases: inputs that once went wrong, each with its command and the right answer; skipped where they are absent."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from ..conftest import ROOT
from ..runs import Done, go

PLAIN = "--backbone ridge --reference off"  # a forecaster in no time, where it does not matter which
CASES = ROOT.parent / "shared" / "cases"


@dataclass(frozen=True)
class Case:
    """A copy of one case's folder, where its commands run."""

    folder: Path

    @property
    def commands(self) -> list[str]:
        """What stands behind `python run.py` on each such line of cmd.txt."""
        lines = (self.folder / "cmd.txt").read_text(encoding="utf-8").splitlines()
        found = (re.match(r"python run\.py ([^;|#]*)", line) for line in lines)
        return [match[1].strip() for match in found if match]

    def line(self, script: str) -> list[str]:
        """The words behind `python SCRIPT` on the first such line of cmd.txt."""
        lines = (self.folder / "cmd.txt").read_text(encoding="utf-8").splitlines()
        found = next(filter(None, (re.search(rf"python {re.escape(script)} ([^;|#<]*)", line) for line in lines)))
        return shlex.split(found[1])

    def make(self, *words: str) -> None:
        """Run the case's own make.py, which writes its files."""
        subprocess.run([sys.executable, "make.py", *words], cwd=self.folder, check=True)

    def go(self, words: int | str, more: str = "") -> Done:
        """`run.py` in this process, in the folder: the command of that number (from 0), or the words given."""
        return go(self.folder, self.commands[words] if isinstance(words, int) else words, more)


@pytest.fixture
def case(tmp_path: Path) -> Callable[[str], Case]:
    """case("t-02") -> the folder of that case, copied: a name is as long as it takes to be the only one."""

    def find(name: str) -> Case:
        if not CASES.is_dir():
            pytest.skip("the cases are not on this machine")
        (found,) = [folder for folder in CASES.iterdir() if folder.name == name or folder.name.startswith(f"{name}-")]
        return Case(Path(shutil.copytree(found, tmp_path / found.name)))

    return find
