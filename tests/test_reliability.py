"""tools/reliability.py: every fault of the list is proved by a test, and RELIABILITY.md says by which."""

from __future__ import annotations

import pytest

from errors import UsageError
from tools import reliability
from tools.reliability import Mark, marks

from .conftest import ROOT


def test_the_page_is_what_the_tests_say():
    written = (ROOT / reliability.PAGE).read_text(encoding="utf-8")
    assert written == reliability.page(reliability.found(ROOT)), f"{reliability.COMMAND} brings it up to date"
    assert sum(line.startswith("| ") for line in written.splitlines()) - 1 >= 42


def test_markers_are_read_where_they_stand():
    text = """
@pytest.mark.fault("one", "this "
                   "happens")
@pytest.mark.parametrize("k", [1, pytest.param(2, marks=pytest.mark.fault("two"))])
def test_a(k):
    pass

@pytest.mark.slow
def test_b():
    pytest.mark.fault("three", "no marker")
"""
    assert list(marks(text, "x.py")) == [Mark("one", "this happens", "x.py::test_a"), Mark("two", "", "x.py::test_a")]


def test_a_fault_without_a_test_is_told(monkeypatch):
    monkeypatch.setattr(reliability, "ROWS", ["one"])
    proved = Mark("one", "all is well", "x.py::test_a")
    assert "| one | all is well | `x.py::test_a`, `x.py::test_b` |\n| two | " in reliability.page(
        [proved, Mark("one", "", "x.py::test_b"), Mark("two", "it stops", "x.py::test_a")]
    )
    for wrong in ([], [Mark("one", "", "x.py::test_a")], [proved, Mark("one", "all is lost", "x.py::test_b")]):
        with pytest.raises(UsageError, match="one: "):
            reliability.page(wrong)
