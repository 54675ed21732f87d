"""docs/architecture.md is true: its floors are the imports, its table is the tree, and what it names is there."""

from __future__ import annotations

import ast
import re
from itertools import pairwise

import pytest

from tools import draw_architecture, floors

from .conftest import ROOT

PAGE = (ROOT / draw_architecture.PAGE).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def house():
    return floors.read(ROOT)


@pytest.fixture(scope="module")
def level(house):
    """{box: its floor}."""
    return {box: floor for floor, boxes in enumerate(house.floors()) for box in boxes}


def house_of(folder, files):
    """The house of a few made-up files."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return floors.read(folder)


def test_no_import_points_up(house, level):
    assert [(box, other) for box, below in house.graph.items() for other in below if level[other] >= level[box]] == []


def test_every_module_and_folder_has_a_floor(level):
    ours = [path for path in ROOT.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()]
    names = {path.name.removesuffix(".py") for path in ours if path.name not in floors.LEFT_OUT}
    assert names == {box for box in level if not box.endswith(floors.DOOR)}


def test_the_table_on_the_page_is_the_tree(house):
    assert draw_architecture.table(house) in PAGE, "run: python tools/draw_architecture.py"


def test_every_file_on_the_page_is_there():
    named = set(re.findall(r"`((?:[a-z_]+/)*[a-z_0-9]+\.(?:py|md)|[a-z_]+/)`", PAGE))
    assert len(named) > 30
    assert [path for path in sorted(named - {"artifacts/", "data/"}) if not (ROOT / path).exists()] == []
    for target in re.findall(r"\]\(([^)#]+)\)", PAGE):
        assert (ROOT / "docs" / target).exists(), target


def test_the_way_of_a_window_names_what_is_there():
    steps = re.findall(r"^\| \d+ \| `([^`]+)` \| `([^`]+)` \|", PAGE, re.MULTILINE)
    assert len(steps) > 10
    for path, name in steps:
        body = ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8")))
        defined = {node.name for node in body if isinstance(node, ast.ClassDef | ast.FunctionDef)}
        assert name in defined, f"{path} has no {name}"


def test_a_registry_may_be_asked_from_below(tmp_path):
    """`data` asks the registry for a reader, and the readers make what `data` defines."""
    made = house_of(
        tmp_path,
        {
            "registry.py": "class Registry: ...",
            "data.py": "import readers",
            "readers/__init__.py": "from registry import Registry\n_registry = Registry()",
            "readers/wide.py": "from data import Series\nfrom readers import register",
            "run.py": "import readers.wide",
        },
    )
    assert made.floors() == [["registry"], ["readers (registry)"], ["data"], ["readers"], ["run"]]


def test_a_registry_that_nobody_needs_below_is_part_of_its_folder(tmp_path):
    files = {"registry.py": "class Registry: ...", "tasks/__init__.py": "from registry import Registry\nr = Registry()"}
    assert house_of(tmp_path, files | {"run.py": "import tasks"}).floors() == [["registry"], ["tasks"], ["run"]]


def test_a_folder_of_data_is_no_room(tmp_path):
    """`make demo` writes data/demo beside data.py."""
    (tmp_path / "data" / "demo").mkdir(parents=True)
    assert house_of(tmp_path, {"data.py": "", "run.py": "import data", "readers/wide.py": ""}).files == {"readers": 1}


def test_a_circle_is_an_error(tmp_path):
    made = house_of(tmp_path, {"a.py": "import b", "b.py": "def f():\n    import a"})
    with pytest.raises(ValueError, match="circle among a, b"):
        made.floors()


def test_only_imports_that_follow_from_others_are_left_out(tmp_path):
    made = house_of(tmp_path, {"a.py": "import b, c", "b.py": "import c", "c.py": ""})
    assert made.drawn() == {"a": {"b"}, "b": {"c"}, "c": set()}


def test_the_picture_shows_every_box_once_and_no_two_overlap(house, level):
    made = draw_architecture.plan(house)
    boxes = [node for floor in made.floors for node in floor if isinstance(node, str)]
    assert sorted(boxes) == sorted(level)
    for floor in made.floors:
        middles = [made.centre[node] for node in floor if isinstance(node, str)]
        assert all(b - a >= draw_architecture.WIDTH for a, b in pairwise(middles))


@pytest.mark.paints
def test_drawing_twice_gives_the_same_picture(house, tmp_path):
    pictures = [tmp_path / "1.png", tmp_path / "2.png"]
    for picture in pictures:
        draw_architecture.draw(house, picture)
    assert pictures[0].read_bytes() == pictures[1].read_bytes()
