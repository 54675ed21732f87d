"""Pages of docs/ begin with an example that runs, from a folder that has nothing in it yet."""

from __future__ import annotations

import re
import shlex
import subprocess
from importlib import import_module

import pytest

from .conftest import ROOT
from .runs import go, standing_in

PAGES = ("data", "data#Categories", "forecast", "models", "runs", "scale")


def first_of(page: str) -> list[str]:
    """The lines of the first example of a page, or of a section of it: page#Section."""
    page, _, section = page.partition("#")
    text = (ROOT / f"docs/{page}.md").read_text()
    found = re.search(r"```bash\n(.*?)```", text[text.index(f"## {section}") if section else 0 :], re.S)
    assert found is not None, page
    return found[1].strip().splitlines()


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_the_first_example_of_a_page_runs(page, tmp_path):
    for line in first_of(page):
        python, *words = shlex.split(line)
        if python != "python":
            subprocess.run(["sh", "-c", line], cwd=tmp_path, check=True)
        elif words[0] == "run.py":
            done = go(tmp_path, shlex.join(words[1:]))
            assert done.code == 0, f"{line}\n{done.err}"
        else:
            module = import_module(words[1] if words[0] == "-m" else words[0].removesuffix(".py").replace("/", "."))
            with standing_in(tmp_path):
                assert module.main(words[1 + (words[0] == "-m") :]) == 0, line


def test_the_links_between_pages_lead_somewhere():
    for page in (ROOT / "docs").glob("*.md"):
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
