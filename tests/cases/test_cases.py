"""That no case is forgotten."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from .conftest import CASES

# Cases that no test runs yet: take a line out with its test.
OPEN: set[str] = set()


def test_every_case_is_run_by_a_test():
    if not CASES.is_dir():
        pytest.skip("the cases are not on this machine")
    named = {
        name
        for file in Path(__file__).parent.glob("test_*.py")
        for name in re.findall(r'case\("([^"]+)"\)', file.read_text())
    }
    folders = {folder.name for folder in CASES.iterdir() if folder.is_dir()}
    assert {f for f in folders if not any(f == name or f.startswith(f"{name}-") for name in named)} == OPEN
