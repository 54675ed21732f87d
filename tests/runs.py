"""Running the command line inside the test process, and reading back what a run left."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import re
import shlex
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import run
import tasks
from sources.synthetic import write_wide
from tasks.base import Task

from .hints import wrong


@dataclass(frozen=True)
class Done:
    """One command line that ran in this process, in its folder."""

    code: int
    out: str
    err: str
    folder: Path

    @property
    def directory(self) -> Path:
        """The run's directory: the last line of the table, or what the JSON says."""
        text = json.loads(self.out)["directory"] if self.out.startswith("{") else self.out.strip().splitlines()[-1]
        return self.folder / text


@contextlib.contextmanager
def standing_in(folder: Path) -> Iterator[None]:
    """The working directory and the signal handlers are as before, after the block."""
    here, handlers = Path.cwd(), {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(here)
        for number, handler in handlers.items():
            signal.signal(number, handler)


def go(folder: Path, *words: object) -> Done:
    """`run.py WORDS` in this process, standing in `folder`; words may hold spaces as a shell's would."""
    out, err = io.StringIO(), io.StringIO()
    argv = shlex.split(" ".join(map(str, words)))
    with standing_in(folder), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run.main(argv)
    done = Done(code, out.getvalue(), err.getvalue(), folder)
    check_hint(argv, done.err)
    return done


def check_hint(argv: list[str], err: str) -> None:
    """What a hint names can be typed with the task of the command that it answers."""
    task = argv[argv.index("--task") + 1] if "--task" in argv[:-1] else ""
    for hint in (line for line in err.splitlines() if line.startswith("  hint: ")):
        other = re.match(r"  hint: --task (\w+)", hint)  # the hint of another command
        named = other[1] if other else task
        assert not wrong(hint, named if named in tasks.names() else ""), hint


def good(folder: Path, *words: object) -> Path:
    """`go`, and the directory of a run that went well."""
    done = go(folder, *words)
    assert done.code == 0, done.err
    return done.directory


def strict(path: Path) -> dict:
    """JSON without NaN and infinities, or a ValueError."""

    def refuse(word: str) -> float:
        raise ValueError(f"{path} holds {word}")

    return json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)


def preds(folder: Path, name: str = "preds.csv") -> list[dict[str, str]]:
    with (folder / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def numbers(lines: list[dict[str, str]], column: str) -> np.ndarray:
    return np.array([float(line[column]) for line in lines])


def lay(folder: Path, **tables: np.ndarray) -> Path:
    """Write data/NAME.csv for each table; returns the folder."""
    write_wide(np.stack(list(tables.values())), [folder / "data" / f"{name}.csv" for name in tables])
    return folder


def sampled(task: str, folder: Path) -> list[str]:
    """The flags of the task's own sample in `folder`, with one network where it would train several side by side."""
    return [*built(task).sample(folder), *(["--seeds", "1"] if built(task).copies > 1 else [])]


def built(task: str) -> Task:
    """A task with the defaults of its flags, not fitted."""
    return tasks.build(task, {flag.name: flag.default for flag in tasks.flags(task)})
