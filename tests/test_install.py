"""Installing: one command, one package in site-packages, and the working folder's files are never modules of ours."""

from __future__ import annotations

import functools
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import cli
import errors
from config import VERSION
from tools import floors

from .conftest import ROOT

tomllib = pytest.importorskip("tomllib", reason="pyproject.toml is read from Python 3.11 on")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
FILES = sorted(ROOT.glob("requirements*.txt"))
LEFT_OUT = ("tests", "artifacts", "data", "runs", "benchmarks", "examples", "build")
SHORT = "--mode train --task forecast --demo --context-len 24 --horizon 4 --backbone ridge --reference off --no-plots"


def copied(folder: Path) -> Path:
    """The files that git would clone: a build leaves its own beside them."""
    left_out = shutil.ignore_patterns(
        ".*", "artifacts", "data", "runs", "build", "*.egg-info", "__pycache__", "tests", "docs"
    )
    return Path(shutil.copytree(ROOT, folder / "src", ignore=left_out))


def installed(folder: Path, *words: str) -> Path:
    """bin/ of a fresh environment with the toolkit in it; it sees the packages of this one: nothing is downloaded."""
    venv.create(folder / "env", symlinks=True)
    (site,) = (folder / "env/lib").glob("python*/site-packages")
    (site / "ours.pth").write_text(str(Path(pytest.__file__).parent.parent) + "\n")
    python = str(folder / "env/bin/python")
    pip = [python, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-index"]
    done = subprocess.run([*pip, "--disable-pip-version-check", *words], capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / "env/bin"


def hostile(folder: Path) -> Path:
    """A working folder with files of the toolkit's names, which end any process that imports them."""
    for name in ("config", "data", "errors", "run", "metrics", "yaml", "tsrun_hook"):
        (folder / f"{name}.py").write_text("raise SystemExit('the working folder was imported')\n")
    return folder


def ask(words: Sequence[str | Path], folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run([*map(str, words)], cwd=folder, env=environment, capture_output=True, text=True)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("wheel")


@pytest.fixture(scope="module")
def bin_of_wheel(place: Path) -> Path:
    return installed(place, str(copied(place)))


@pytest.mark.slow
def test_the_wheel_runs_from_another_folder(bin_of_wheel, tmp_path):
    folder = hostile(tmp_path)
    done = ask([bin_of_wheel / "tsrun", *SHORT.split()], folder)
    assert done.returncode == 0, done.stderr
    (run,) = (folder / "artifacts").iterdir()
    assert f'"tsrun": "{VERSION}"' in (run / "manifest.json").read_text()
    assert '"command": "tsrun --mode train' in (run / "manifest.json").read_text()


@pytest.mark.slow
def test_the_wheel_adds_one_name(bin_of_wheel, place):
    (site,) = (place / "env/lib").glob("python*/site-packages")
    assert {each.name for each in site.iterdir()} == {"ours.pth", "tsrun", f"tsrun-{VERSION}.dist-info"}
    ours = {str(path) for path in floors.python_files(ROOT, LEFT_OUT) if path.parts[0] != "tsrun"}
    assert {str(path.relative_to(site / "tsrun/tree")) for path in (site / "tsrun/tree").rglob("*.py")} == ours
    kinds = {".css", ".js", ".html", ".svg", ".sql", ".npz"}
    beside = {path.relative_to(ROOT) for path in ROOT.glob("[a-z]*/**/*") if path.suffix in kinds}
    for path in beside:
        assert path.parts[0] in LEFT_OUT or (site / "tsrun/tree" / path).is_file(), path


@pytest.mark.slow
@pytest.mark.parametrize("words", [["tsrun"], ["python", "-m", "tsrun"]], ids=" ".join)
def test_the_version_and_the_other_commands(bin_of_wheel, tmp_path, words):
    first = [bin_of_wheel / words[0], *words[1:]]
    assert ask([*first, "--version"], tmp_path).stdout == f"tsrun {VERSION}\n"
    done = ask([*first, "report", "nowhere"], hostile(tmp_path))
    assert done.returncode == 3 and "nowhere" in done.stderr and "python" not in done.stderr


@pytest.mark.slow
def test_an_editable_install_runs_the_checkout(tmp_path):
    source = copied(tmp_path)
    command = installed(tmp_path, "-e", str(source)) / "tsrun"
    (source / "config.py").write_text((source / "config.py").read_text().replace(VERSION, "9.8.7"))
    assert ask([command, "--version"], tmp_path).stdout == "tsrun 9.8.7\n"


@pytest.mark.parametrize("word", errors.COMMANDS)
def test_every_command_has_its_script(word):
    script = errors.COMMANDS[word]
    module = script.removeprefix("-m ").removesuffix(".py").replace("/", ".").replace(".", "/")
    file = ROOT / f"{module}.py" if (ROOT / f"{module}.py").is_file() else ROOT / module / "__main__.py"
    assert "def main(argv" in file.read_text()


TYPED = "pip install -r requirements-search.txt; python search.py, python run.py -h, python -m nas_agent init, run.py"
SHOWN = "pip install 'tsrun[search]'; tsrun search, tsrun -h, tsrun agent init, run.py"


@pytest.mark.parametrize(
    ("started", "shown"),
    [
        ("/env/bin/tsrun", SHOWN),
        ("C:\\env\\tsrun.exe", SHOWN),
        ("/env/site-packages/tsrun/__main__.py", SHOWN),
        ("run.py", TYPED),
    ],
)
def test_commands_in_messages_are_as_typed(monkeypatch, started, shown):
    monkeypatch.setattr(sys, "argv", [started, "--help"])
    assert errors.as_typed(TYPED) == shown


# --- requirements --------------------------------------------------------------------------------------------------


@functools.cache
def requirements(file: Path) -> list[Requirement]:
    lines = (line.partition("#")[0].strip() for line in file.read_text().splitlines())
    return [Requirement(line) for line in lines if line and not line.startswith("-r")]


def test_every_requirements_file_is_an_extra_and_asked_of_developers():
    extras = PROJECT["tool"]["setuptools"]["dynamic"]["optional-dependencies"]
    named = {file.name for file in FILES} - {"requirements.txt", "requirements-dev.txt"}
    assert {f"requirements-{name}.txt" for name in extras} == named
    assert all(extras[name] == {"file": f"requirements-{name}.txt"} for name in extras)
    listed = re.findall(r"^-r (\S+)", (ROOT / "requirements-dev.txt").read_text(), re.M)
    assert set(listed) == named | {"requirements.txt"}


def test_the_lock_holds_a_version_in_range_of_everything():
    """Lines for other Pythons have markers; of those for this one there is one a name."""
    locked = {}
    for each in requirements(ROOT / "requirements.lock"):
        if each.marker is None or each.marker.evaluate():
            assert each.name.lower() not in locked, each
            (pin,) = each.specifier
            assert pin.operator == "=="
            locked[each.name.lower()] = pin.version
    for file in FILES:
        for each in requirements(file):
            assert locked.get(each.name.lower(), "none") in each.specifier, f"{file.name}: {each}"


def test_ranges_are_open_but_for_torch_and_the_linter():
    closed = {
        each.name
        for file in FILES
        for each in requirements(file)
        if any(s.operator in ("<", "<=", "==") for s in each.specifier)
    }
    assert closed == {"torch", "ruff"}


# --- the image -----------------------------------------------------------------------------------------------------


def steps_of(file: Path) -> list[tuple[str, str]]:
    """(instruction, its words) of each step of a Dockerfile."""
    text = re.sub(r"\\\n\s*", "", re.sub(r"^\s*#.*\n", "", file.read_text(), flags=re.M))
    return [(step.partition(" ")[0], step.partition(" ")[2]) for step in text.splitlines() if step.strip()]


def test_the_image_is_made_of_steps_that_can_be_taken():
    steps = steps_of(ROOT / "Dockerfile")
    assert steps[0][0] == "FROM" and steps[0][1].startswith("nvidia/cuda:")
    for what, words in steps:
        assert what in {"FROM", "RUN", "ENV", "COPY", "WORKDIR", "ENTRYPOINT", "CMD"}, what
        if what == "RUN":
            done = subprocess.run(["sh", "-n"], input=words, capture_output=True, text=True)
            assert done.returncode == 0, f"{words}: {done.stderr}"
        elif what == "COPY":
            assert all((ROOT / word).exists() for word in words.split()[:-1]), words
        elif what in ("ENTRYPOINT", "CMD"):
            assert all(isinstance(word, str) for word in json.loads(words))
    assert steps[-2:] == [("ENTRYPOINT", '["tsrun"]'), ("CMD", '["--help"]')]


def test_the_line_in_the_image_is_a_command_of_ours():
    (line,) = re.findall(r"^#\s+tsrun (--mode train .*)$", (ROOT / "Dockerfile").read_text(), re.M)
    config = cli.parse(shlex.split(line))
    assert (config.task, config.compile, config.amp, config.context_len) == ("classify", "reduce-overhead", True, 31)
