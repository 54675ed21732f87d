"""The registry (registry.py), on packages made for the purpose: what is an entry, and what its table says."""

from __future__ import annotations

import importlib
import sys

import pytest

from registry import Registry

PLAIN = """
from PACKAGE import registry
FLAGS = {"size": {"default": 3, "help": "of it"}}

@registry.register
class NAME:
    pass
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A function of files {path: text} that makes a package with a registry; -> the registry."""
    name = f"made_{tmp_path.name.replace('-', '_')}"
    monkeypatch.syspath_prepend(tmp_path)

    def make(**files: str) -> Registry:
        folder = tmp_path / name
        head = "from pathlib import Path\nfrom registry import Registry\n"
        head += 'registry = Registry(__name__, Path(__file__).parent, table="FLAGS", main="task")\n'
        for path, text in {"__init__": head, **files}.items():
            file = folder / f"{path.replace('__in__', '/')}.py"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text.replace("PACKAGE", name))
        importlib.invalidate_caches()
        return importlib.import_module(name).registry

    yield make
    for module in [module for module in sys.modules if module.partition(".")[0] == name]:
        del sys.modules[module]


def entry(name: str = "Made") -> str:
    return PLAIN.replace("NAME", name)


def test_names_are_those_of_files_with_a_table_in_order(package):
    registry = package(wide=entry(), long=entry(), helper="SIZES = {'FLAGS': 3}\n# FLAGS = {}\n")
    assert registry.names() == ("long", "wide")
    assert registry.load("wide").__name__ == "Made"


def test_a_table_is_read_without_importing_the_file(package):
    registry = package(wide="raise RuntimeError\nFLAGS = {'size': {'default': 3}}\n")
    assert registry.names() == ("wide",) and registry.table("wide", "FLAGS") == {"size": {"default": 3}}


def test_an_annotated_table_counts(package):
    registry = package(wide="FLAGS: dict[str, dict] = {'size': {}}\n", long="FLAGS : dict = {}\n")
    assert registry.names() == ("long", "wide") and registry.table("wide", "FLAGS") == {"size": {}}


def test_a_second_table_is_empty_where_there_is_none(package):
    registry = package(wide="FLAGS = {}\nSPACE = {'only': True}\n", long="FLAGS = {}\nSPACE: dict\n")
    assert registry.table("wide", "SPACE") == {"only": True} and registry.table("long", "SPACE") == {}


def test_a_computed_table_is_refused_with_its_line(package):
    registry = package(wide="\nFLAGS = dict(size=3)\n")
    with pytest.raises(ValueError, match=r"wide\.py:2: FLAGS must be a literal"):
        registry.table("wide", "FLAGS")


def test_a_folder_is_an_entry_by_its_main_file(package):
    registry = package(
        meter__in__task=entry("Meter"),
        meter__in____init__="",
        meter__in__features="FLAGS = {}\n",  # no main file: a helper
        empty__in____init__="",
        empty__in__other="FLAGS = {}\n",
    )
    assert registry.names() == ("meter",)
    assert registry.table("meter", "FLAGS") == {"size": {"default": 3, "help": "of it"}}
    assert registry.load("meter").__name__ == "Meter"


def test_two_classes_in_one_entry_are_refused(package):
    registry = package(wide=entry("One") + "\n@registry.register\nclass Two:\n    pass\n")
    with pytest.raises(AssertionError, match=r"two classes are registered in made_.*/wide"):
        registry.load("wide")


def test_an_entry_that_registers_no_class_is_refused(package):
    registry = package(wide="FLAGS = {}\n")
    with pytest.raises(AssertionError, match=r"wide\.py registers no class"):
        registry.load("wide")


def test_a_file_that_is_loaded_again_takes_the_place_of_itself(package):
    registry = package(wide=entry())
    first = registry.load("wide")
    again = importlib.reload(sys.modules[first.__module__])
    assert registry.load("wide") is again.Made is not first


def test_a_folder_may_hold_its_tables_beside_its_class(package):
    registry = package(
        meter__in__task=entry("Meter").replace("FLAGS", "OTHER"), meter__in__flags="FLAGS = {'size': {}}\n"
    )
    assert registry.names() == ("meter",) and registry.table("meter", "FLAGS") == {"size": {}}
