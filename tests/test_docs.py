"""Pages of docs/ begin with an example that runs, from a folder that has nothing in it yet, and show what it prints."""

from __future__ import annotations

import contextlib
import importlib
import io
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from . import forkserver
from .conftest import ROOT
from .runs import go, standing_in

PAGES = [*sorted(page.stem for page in (ROOT / "docs").glob("*.md")), "data#Categories"]
WITHIN = 0.25  # of a figure: what is trained differs from machine to machine, and a little from release to release
SHORTER = {"models": "--stride 30"}  # words for a page's demos that leave all that these show
NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?(?:e-?\d+)?")
CLOCKED = re.compile(r"\d[\d,.]* ?(?=s\b|ms\b)")  # what depends on the machine's speed


def first_of(page: str) -> tuple[list[str], list[str]]:
    """The commands of the first block of a page or of a section (page#Section), a here-document as one, and the lines
    that it shows under them."""
    page, _, section = page.partition("#")
    text = (ROOT / f"docs/{page}.md").read_text(encoding="utf-8")
    text = text[text.index(f"## {section}") if section else 0 :]
    found = re.search(r"```bash\n((?:.*\n)*?)```\n\n((?:    .+\n)+)?", text)
    assert found is not None, page
    parts = re.findall(r"^.*<<'END'\n(?:.*\n)*?END$|^.+$", found[1], re.M)
    return parts, [line.strip() for line in (found[2] or "").splitlines()]


def typed(folder: Path, line: str, more: str = "") -> str:
    """What a line of a shell prints; those of our scripts run in this process."""
    words = shlex.split(line)
    if words[0] != "python":
        done = subprocess.run(["sh", "-c", line], cwd=folder, check=True, capture_output=True, text=True)
        return done.stdout
    if words[1] == "run.py":
        ran = go(folder, line.removeprefix("python run.py "), more if "--demo" in line else "")
        assert ran.code == 0, f"{line}\n{ran.err}"
        return ran.out + ran.err
    if words[-1].startswith("<"):  # standard input is read by its number
        text = (folder / words.pop()[1:]).read_text()
        done = forkserver.run(ROOT / words[1], *words[2:], cwd=folder, input=text)
        return done.stdout + done.stderr
    words = words[1:]
    name = words.pop(0) if words[0] == "-m" else ""
    name = words.pop(0) if name else words.pop(0).removesuffix(".py").replace("/", ".")
    main = f"{name}.__main__" if (ROOT / name / "__main__.py").exists() else name
    printed = io.StringIO()
    with standing_in(folder), contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        code = importlib.import_module(main).main(words)
    assert code == 0, f"{line}\n{printed.getvalue()}"
    return printed.getvalue()


def alike(shown: str, printed: str) -> bool:
    """Whether two lines differ by little in figures alone; `...` stands for anything."""
    parts = [CLOCKED.sub("", text) for text in (shown, printed)]
    words = [re.sub(r"\s+", " ", NUMBER.sub("#", text)).strip() for text in parts]
    pattern = ".*".join(map(re.escape, words[0].split("...")))
    if not re.fullmatch(pattern, words[1]):
        return False
    figures = [[float(number.replace(",", "")) for number in NUMBER.findall(text)] for text in parts]
    return "..." in shown or all(abs(a - b) <= WITHIN * abs(b) + 1e-3 for a, b in zip(*figures, strict=True))


@pytest.mark.slow
@pytest.mark.grows
@pytest.mark.parametrize("page", PAGES)
def test_the_first_example_of_a_page_runs_and_prints_what_it_shows(page, tmp_path):
    commands, shown = first_of(page)
    printed = iter([text for line in commands for text in typed(tmp_path, line, SHORTER.get(page, "")).splitlines()])
    missed = [line for line in shown if line != "..." and not found(line, printed)]
    assert not missed


def found(line: str, printed: Iterator[str]) -> bool:
    """Whether the line is among what is left of the printed ones."""
    return any(alike(line, other) for other in printed)


def test_figures_may_differ_a_little_and_words_not():
    assert alike("test: 7 windows (3.2 s)", "test:  7 windows (12.0 s)")
    assert alike("mae 0.1234", "mae 0.1235") and not alike("mae 0.12", "mae 0.23") and not alike("mae 1", "rmse 1")
    assert alike("to look at: ...", "to look at: index.html 4")


def test_the_links_between_pages_lead_somewhere():
    for page in (ROOT / "docs").glob("*.md"):
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
