"""The house keeps its shape: imports point one way, and a task or a backbone is one file."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest

import backbones
import tasks
from tools import count_house, floors

from .conftest import ROOT

# The floors, from the ground up. A module may import from the floors below it and, where listed, beside it.
FLOORS = [
    {"errors", "registry", "scaler", "losses", "metrics", "viz"},
    {"settings", "ranks", "pages"},
    {"backbones", "config", "times"},
    {"checkpoint", "data", "optim", "rundir", "windows"},
    {"readers"},
    {"sources", "splits", "hardware"},
    {"tasks"},
    {"dataset", "commandline"},
    {"restore", "evaler", "telling", "training"},
    {"finetune", "trainer", "solving", "explaining"},
    {"learner", "predictor"},
    {"experiments", "fusion", "refitting"},
    {"pipeline"},
    {"cli"},
    {"studies", "federation", "streaming", "exporting", "serving"},
    {"run"},
    {"search", "tools", "nas_agent", "examples"},
    {"benchmarks", "tsrun"},
]
BESIDE = {("data", "readers")}  # by the door, readers/__init__.py, which imports nothing above the registry
FLOOR = {name: level for level, names in enumerate(FLOORS) for name in names}
FILES = [ROOT / path for path in floors.python_files(ROOT, ("tests", "artifacts", "data", "runs"))]


SOURCES = count_house.read(ROOT)


def module_of(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return parts[0]


def imports_of(path):
    """The modules that a file imports anywhere, not counting those for type checking only."""
    return {module.partition(".")[0] for module, _ in floors.imports(ast.parse(path.read_text()))}


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_one_way(path):
    module = module_of(path)
    assert module in FLOOR, f"{module} has no floor: add it to FLOORS"
    for other in imports_of(path) & set(FLOOR) - {module}:
        allowed = FLOOR[other] < FLOOR[module] or (module, other) in BESIDE
        assert allowed, f"{path.name} (floor {FLOOR[module]}) imports {other} (floor {FLOOR[other]})"


def test_every_floor_is_lived_in():
    assert {module_of(path) for path in FILES} == set(FLOOR)


def test_the_root_is_the_path_of_a_run():
    """Every other subject is a room: a new root module wants a very good reason."""
    root = {path.stem for path in FILES if len(path.relative_to(ROOT).parts) == 1}
    path = "run cli config pipeline data windows splits scaler dataset optim trainer evaler losses metrics viz"
    around = "registry errors hardware checkpoint restore finetune learner predictor rundir search"
    assert root == {*path.split(), *around.split()} and len(root) <= 25


def test_every_root_module_has_a_test_of_its_name():
    assert count_house.untested(SOURCES, ROOT).places == ()


@pytest.mark.parametrize(
    "count",
    [
        count_house.checkpoint_keys,  # a checkpoint is an object
        count_house.fitted_signatures,  # a fitted task holds its own state
        count_house.probes,  # the base class of backbones has typed defaults; it alone looks at a class by name
    ],
)
def test_what_the_contracts_made_needless_stays_away(count):
    assert [place for place in count(SOURCES).places if not place.startswith("backbones/")] == []


def test_hyperparameters_and_options_are_written_once():
    for figure in count_house.repeated_options(SOURCES):
        assert figure.places == (), figure.name


def test_the_configuration_changes_in_the_pipeline_alone():
    """Commands that start runs prepare theirs before it; see the rooms that count_house counts apart."""
    beside = ("studies", "tools", "federation", "experiments", "streaming", "exporting", "nas_agent", "refitting")
    changes = [place for place in count_house.config_changes(SOURCES).places if not place.startswith(beside)]
    assert {place.partition(":")[0] for place in changes} == {"pipeline.py"}


def test_functions_stay_short():
    for source in SOURCES:
        for function in source.functions():
            lines = (function.end_lineno or 0) - function.lineno + 1
            assert lines <= 60, f"{source.path}:{function.lineno} {function.name} has {lines} lines"


def test_no_module_bears_a_standard_library_name():
    assert not {module_of(path) for path in FILES} & set(sys.stdlib_module_names)
    assert not (ROOT / "data" / "__init__.py").exists() and not (ROOT / "artifacts" / "__init__.py").exists()


@pytest.mark.parametrize("kind", ["task", "backbone"])
def test_nobody_asks_which_task_or_backbone_it_is(kind):
    """`if task == "classify"` belongs into the task; a branch on a name is how one file becomes many."""
    folder = {"task": "tasks", "backbone": "backbones"}[kind]
    names = tasks.names() if kind == "task" else backbones.names()
    pattern = re.compile(rf"{kind}(_name)?\s*(==|!=|in\b).*[\"']({'|'.join(names)})[\"']")
    for path in FILES:
        if module_of(path) != folder:
            hits = [line for line in path.read_text().splitlines() if pattern.search(line)]
            assert not hits, f"{path.name}: {hits}"


def test_every_room_is_in_the_wheel():
    pages = re.findall(r'"tsrun\.tree\.([a-z_.]+)"', (ROOT / "pyproject.toml").read_text())
    tops = {*floors.LEFT_OUT, "tsrun"}
    rooms = {path.parent.relative_to(ROOT) for path in FILES} - {Path()}
    assert set(pages) == {".".join(room.parts) for room in rooms if room.parts[0] not in tops}


def test_files_stay_readable():
    long = {path.name: n for path in FILES if (n := len(path.read_text().splitlines())) > 450}
    assert not long, long


def test_nothing_is_left_half_done():
    marks = re.compile(r"\b(TODO|FIXME|XXX|NotImplementedError)\b|except Exception:\s*(pass|\.\.\.)")
    hits = [f"{path.name}: {line}" for path in FILES for line in path.read_text().splitlines() if marks.search(line)]
    assert not hits


def test_the_tests_that_are_left_out_of_make_check_for_their_time_are_there():
    for name in (ROOT / "tests" / "slow.txt").read_text(encoding="utf-8").split():
        file, _, test = name.partition("::")
        assert f"\ndef {test}(" in (ROOT / "tests" / file).read_text(encoding="utf-8"), name


SCRIPTS = [path for path in FILES if path.parent.name in ("benchmarks", "tools") and '"__main__"' in path.read_text()]


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_script_runs_by_its_path_and_as_a_module(path):
    """`python benchmarks/growth.py` puts benchmarks/ on the path, not the folder above: the script adds that first."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    ours = [
        node.lineno
        for node in nodes
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in [node.module if isinstance(node, ast.ImportFrom) else node.names[0].name]
        if (name or "").partition(".")[0] in FLOOR
    ]
    calls = [node for node in nodes if isinstance(node, ast.Call)]
    added = [call.lineno for call in calls if ast.unparse(call.func) == "sys.path.insert"]
    assert not ours or (added and min(added) < min(ours))
