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

import numpy as np
import pytest

import nas_agent.__main__ as agent
from experiments import config_file
from sources import datasets
from sources.synthetic import demand
from tools import report, synth

from .conftest import ROOT
from .runs import go, lay, standing_in
from .test_layouts import ITEMS, deddiag
from .test_nilm import lay_house

TINY = "--epochs 1 --model-args hidden=4 --reference off"
PAGE = (ROOT / "docs" / "coming_from.md").read_text(encoding="utf-8")
Shorter = dict[str, str]  # what makes a command small, by its mode, or by its script
TOOLS: dict[str, Callable[[list[str]], int]] = {
    "tools/report.py": report.main,
    "tools/synth.py": synth.main,
    "-m": lambda words: agent.main(words[1:]),
}


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
        found[title] = [Line([w for w in now if w.startswith(("python ", "from "))], where) for _, now, where in spans]
    return found


def typed(folder: Path, command: str, shorter: Shorter) -> tuple[int, str, str]:
    """(exit code, stdout, stderr) of a command in this process, with the words of `shorter` for its kind at the end."""
    if command.startswith("from "):
        with standing_in(folder):
            exec(command, {})
        return 0, "", ""
    _, script, *words = shlex.split(command)
    mode = words[1 + words.index("--mode")] if "--mode" in words else script
    words += shorter.get(mode, "").split()
    if script == "run.py":
        done = go(folder, *map(shlex.quote, words))
        return done.code, done.out, done.err
    out, err = io.StringIO(), io.StringIO()
    with standing_in(folder), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = TOOLS[script](words)
    return code, out.getvalue(), err.getvalue()


def check_where(folder: Path, run: Path, where: str) -> None:
    """A path is there: from the working folder for artifacts/, runs/, data/ and ./, else in the run's folder."""
    name, _, keys = where.partition(": ")
    outside = name.startswith(("artifacts/", "runs/", "data/", "configs/", "./"))
    path = (folder if outside else run) / name
    assert path.exists(), where
    if keys:
        content = json.loads(path.read_text(encoding="utf-8"))
        for key in keys.split(", "):
            value = content
            for part in key.split("."):
                assert part in value, where
                value = value[part]


def classifier(folder: Path) -> Shorter:
    values = demand(24, 40, 4, seed=3)
    lay(folder, **{f"LP{k + 1}a": values[k] for k in range(4)})
    return {
        "train": "--epochs 1 --compile off --model-args size=tiny layers=1 --reference off",
        "finetune": "--epochs 1",
    }


def informer(folder: Path) -> Shorter:
    """A file of a small model, and a table of the size of ETTh1 with a checksum of its own."""
    training = {"optimizer_class": "optim.Adam", "criterion_class": "nn.MSELoss", "max_epochs": 1, "patience": 3}
    model = {"backbone": "dlinear"}
    (folder / "config.py").write_text(config_file.to_text({"model": model, "training": training}))
    hours = np.arange(17420)
    dates = np.datetime_as_string(np.datetime64("2016-07-01T00", "s") + hours * np.timedelta64(3600, "s"))
    wave = np.char.mod("%.3f", np.sin(hours / 4) + hours % 7)
    lines = [",".join([date.replace("T", " "), *[value] * 7]) for date, value in zip(dates, wave, strict=True)]
    path = folder / "data" / "ett" / "ETTh1.csv"
    path.parent.mkdir(parents=True)
    path.write_text("date,HUFL,HULL,MUFL,MULL,LUFL,LULL,OT\n" + "\n".join(lines) + "\n")
    return {"infer": "--reference off"}


def sensors(folder: Path) -> Shorter:
    few = "--epochs 2 --model-args width=8 heads=2 context=12 hidden=6 --reference off"
    return {"train": few, "finetune": "--epochs 1 --reference off", "tools/synth.py": "--samples-per-scenario 8"}


def states(folder: Path) -> Shorter:
    """A house of two devices, the config file as the page has it, and a dump of DEDDIAG."""
    frame = lay_house(folder).rename(columns={"light": "lamp"})
    frame.to_csv(folder / "house.csv", index=False)
    (folder / "config.yaml").write_text(
        re.search(r"sections:\n\n((?:    .*\n)+)", PAGE)[1].replace("\n    ", "\n").lstrip()
    )
    on = [(at, 90 * (at // 240 % 2)) for at in range(0, 20_000, 60)]
    (folder / "dumps").mkdir()
    deddiag(folder / "dumps", {59: [(at, watts + 40) for at, watts in on], 35: on}, ITEMS[:2])
    return {"run.py": TINY, "train": TINY}


def watts(folder: Path) -> Shorter:
    few = "--epochs 1 --model-args variant=reference d_model=8 heads=2 depth=1 --reference off"
    return {"train": few, "tools/synth.py": "--samples 20"}


PREPARED: dict[str, Callable[[Path], Shorter]] = {
    "The attention classifier": classifier,
    "The meter's states (GRU, DEDDIAG)": states,
    "The meter's watts (multi-scale attention)": watts,
    "Informer and the agent": informer,
    "The sensors' encoder and GRU": sensors,
}


@pytest.fixture(autouse=True)
def _any_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """A published data set is whatever file lies in its place."""
    monkeypatch.setattr(datasets, "fetch", lambda name, folder=Path("data/ett"): folder / datasets.FILES[name][0])


def test_the_page_has_a_table_for_each_system() -> None:
    assert list(tables()) == list(PREPARED)
    assert all(lines and all(line.commands for line in lines) for lines in tables().values())
    assert "docs/coming_from.md" in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("system", PREPARED)
def test_every_line_runs_and_leaves_what_it_says(system: str, tmp_path: Path) -> None:
    shorter = PREPARED[system](tmp_path)
    run = tmp_path
    for line in tables()[system]:
        for command in line.commands:
            code, out, err = typed(tmp_path, command, shorter)
            assert code == 0, f"{command}\n{err}"
            run = tmp_path / out.strip().splitlines()[-1] if "run.py" in command else run
        for where in line.where:
            check_where(tmp_path, run, where)
