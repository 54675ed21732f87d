"""Real processes that are killed or interrupted at any moment: what they leave goes on to the very same run.

Each is hit once a place, at a moment drawn from a seed; `make fuzz` hits each fifty times.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import checkpoint

from .. import forkserver
from ..conftest import ROOT
from ..runs import strict

LARGE = bool(os.environ.get("FUZZ"))
HITS = int(os.environ.get("KILLS", 50 if LARGE else 1))  # of each place
RUN = """--mode train --task classify --csv a.csv --context-len 8 --backbone gru --model-args hidden=4 dropout=0.1
    layers=2 --epochs 3 --batch-size 64 --patience 0 --reference off --tag run --resume""".split()
CODES = {"SIGKILL": -9, "SIGTERM": 143, "SIGINT": 130}


def lay(folder: Path) -> Path:
    table = np.random.default_rng(3).poisson(1.0, (20, 30))
    (folder / "a.csv").write_text("\n".join(",".join(map(str, row)) for row in table) + "\n")
    return folder


def doomed(folder: Path, place: str, call: int, number: str) -> subprocess.CompletedProcess[str]:
    """The run in a process of its own, which gets a signal at its call-th call at a place."""
    settings = {"PYTHONPATH": str(ROOT), "TSRUN_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1"}
    script = ROOT / "tests" / "faults" / "doomed.py"
    return forkserver.run(script, place, call, number, "run", *RUN, cwd=folder, env=os.environ | settings)


@dataclass(frozen=True)
class Left:
    """What a run left, without its times."""

    names: set[str]
    preds: bytes
    figures: dict[str, Any]
    history: list[str]
    weights: dict[str, torch.Tensor]

    @classmethod
    def by(cls, folder: Path) -> Left:
        run = folder / "artifacts" / "run"
        assert [path.name for path in (folder / "artifacts").iterdir()] == ["run"]
        figures = strict(run / "metrics.json")
        figures.pop("seconds")
        history = [line.rpartition(",")[0] for line in (run / "history.csv").read_text().splitlines()]
        weights = checkpoint.read(run / "model.pt.best")["state"]
        names = {path.name for path in run.iterdir()}
        return cls(names, (run / "preds.csv").read_bytes(), figures, history, weights)

    def same_as(self, other: Left) -> None:
        assert (self.names, self.figures, self.history) == (other.names, other.figures, other.history)
        assert self.preds == other.preds
        assert all(torch.equal(self.weights[name], other.weights[name]) for name in other.weights)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Left, dict[str, int]]:
    """What the run leaves that nothing stops, and how many calls it makes at each place."""
    folder = lay(tmp_path_factory.mktemp("whole"))
    done = doomed(folder, "nowhere", 0, "calls.json")
    assert done.returncode == 0, done.stderr
    return Left.by(folder), json.loads((folder / "calls.json").read_text())


def moments(place: str, number: str, calls: dict[str, int]) -> Iterator[int]:
    """When the signal comes."""
    draw = random.Random(f"{place} {number}")
    assert calls[place] > 10, f"the run is never at {place}"
    for _ in range(HITS):
        yield draw.randint(1, calls[place])


def hit(box: Path, place: str, number: str, whole: tuple[Left, dict[str, int]]) -> None:
    """Send the signal at each moment; the same command then ends with the same run."""
    for k, call in enumerate(moments(place, number, whole[1])):
        folder = box / str(k)
        folder.mkdir()
        stopped = doomed(lay(folder), place, call, number)
        assert stopped.returncode == CODES[number], (call, stopped.stderr)
        assert "Traceback" not in stopped.stderr and "ignored" not in stopped.stderr, (call, stopped.stderr)
        if number != "SIGKILL":
            assert stopped.stderr.count("error: ") == 1 and stopped.stdout == ""
            assert {path.name for path in (folder / "artifacts").glob("*")} <= {".run.partial"}, call
            assert not any(part.stat().st_size for part in (folder / "cache").glob("*.part")), call
        again = doomed(folder, "", 0, "")
        assert again.returncode == 0, (call, again.stderr)
        Left.by(folder).same_as(whole[0])


@pytest.mark.parametrize(
    "place",
    [
        pytest.param(
            "load",
            marks=pytest.mark.fault(
                "SIGKILL while files are read", "nothing is left but a lock; the same command makes the same run"
            ),
        ),
        pytest.param("cache", marks=pytest.mark.fault("SIGKILL while the cache is written")),
        pytest.param(
            "checkpoint",
            marks=pytest.mark.fault(
                "SIGKILL while a checkpoint is written",
                "the one before it is whole; `--resume` leads to the same run, bit for bit",
            ),
        ),
        pytest.param(
            "artifacts",
            marks=pytest.mark.fault(
                "SIGKILL while artifacts are written",
                "nobody sees half a run; `--resume` trains nothing twice and writes the same run",
            ),
        ),
        *["train", "judge", "plots", "commit"] * LARGE,
    ],
)
def test_a_process_killed_at_any_moment_goes_on_to_the_same_run(place, whole, tmp_path):
    hit(tmp_path, place, "SIGKILL", whole)


@pytest.mark.parametrize("number", ["SIGTERM", "SIGINT"])
@pytest.mark.parametrize(
    "place",
    [
        pytest.param(
            "load",
            marks=pytest.mark.fault("SIGTERM and SIGINT while files are read", "exit 143 and 130, and nothing is left"),
        ),
        pytest.param(
            "judge",
            marks=pytest.mark.fault(
                "SIGTERM and SIGINT while predictions are judged",
                "exit 143 and 130; `--resume` leads to the same run, bit for bit",
            ),
        ),
        pytest.param(
            "plots",
            marks=pytest.mark.fault(
                "SIGTERM and SIGINT while plots are drawn",
                "exit 143 and 130; `--resume` leads to the same run, bit for bit",
            ),
        ),
        *["cache", "train", "checkpoint", "artifacts"] * LARGE,
    ],
)
def test_a_signal_at_any_moment_is_one_message_and_the_run_goes_on(place, number, whole, tmp_path):
    hit(tmp_path, place, number, whole)


@pytest.mark.fault("an output that vanishes")
@pytest.mark.parametrize("place", ["checkpoint", "plots", *["train", "judge", "artifacts"] * LARGE])
def test_an_output_that_vanishes_at_any_moment_is_told(place, whole, tmp_path):
    for k, call in enumerate(moments(place, "vanishes", whole[1])):
        (tmp_path / str(k)).mkdir()
        done = doomed(lay(tmp_path / str(k)), place, call, "artifacts")
        assert done.returncode in (0, 3) and "Traceback" not in done.stderr, (call, done.stderr)
        assert done.returncode == 0 or "error: artifacts/.run.partial" in done.stderr, (call, done.stderr)


@pytest.mark.fault("a working folder that vanishes", "exit 3 with what to do")
def test_a_working_folder_that_vanishes_is_told(whole, tmp_path):
    (tmp_path / "gone").mkdir()
    done = doomed(lay(tmp_path / "gone"), "cache", whole[1]["cache"] // 2, ".")
    assert done.returncode == 3 and "error: the working folder is gone\n  hint: cd into" in done.stderr, done.stderr
