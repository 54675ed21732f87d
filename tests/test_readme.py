"""The README tells the truth: its commands run, its flag tables are the flags, its links lead somewhere."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys

import pytest

from tools import flag_tables

from . import forkserver
from .conftest import ROOT, SHARED

README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [line for block in re.findall(r"```bash\n(.*?)```", README, re.S) for line in block.strip().splitlines()]


def test_the_flag_tables_are_the_flags():
    assert flag_tables.with_tables(README) == README, "python tools/flag_tables.py --write brings them up to date"
    assert README.count(flag_tables.BEGIN) == README.count(flag_tables.END) == 1


def test_a_promised_flag_stays_listed_when_it_goes(tmp_path, monkeypatch):
    (tmp_path / "flags.txt").write_text("--gone\n")
    monkeypatch.setattr(flag_tables, "PROMISED", tmp_path / "flags.txt")
    listed = flag_tables.promise().split()
    assert {"--gone", "--csv", "--horizon"} <= set(listed) and listed == sorted(listed)


def test_the_command_says_which_page_is_out_of_date(tmp_path, monkeypatch, capsys):
    for name, file in (("README", "README.md"), ("PROMISED", "flags.txt")):
        (tmp_path / file).write_text(README if file == "README.md" else "")
        monkeypatch.setattr(flag_tables, name, tmp_path / file)
    assert flag_tables.main([]) == 2 and "flags.txt: is out of date" in capsys.readouterr().err
    assert flag_tables.main(["--write"]) == 0 and flag_tables.main([]) == 0
    assert (tmp_path / "README.md").read_text() == README


def test_every_link_and_picture_is_there():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).is_file(), target


def test_the_make_targets_are_the_plain_commands():
    """What stands under the two commands is what `make` would run."""
    for target in ("demo", "test"):
        done = subprocess.run(["make", "-n", "-B", target], cwd=ROOT, capture_output=True, text=True, check=True)
        printed = done.stdout.replace("OMP_NUM_THREADS=1 ", "")
        printed = printed.replace("pip install -q", "pip install").replace("install --no-compile", "install")
        wanted = [
            c for c in COMMANDS if c.startswith(".venv/bin/") and ("pytest" in c or "dev" in c) == (target == "test")
        ]
        assert wanted
        for command in wanted:
            assert command in printed, f"`make {target}` does not run: {command}"


def test_the_hooks_before_a_commit_run_what_make_check_runs():
    hooks = re.findall(r"entry: make (\w+)", (ROOT / ".pre-commit-config.yaml").read_text())
    check = re.search(r"^check: (.*)$", (ROOT / "Makefile").read_text(), re.M)
    assert check is not None and hooks == check[1].split()


# Words that make a command shorter and leave all that it shows: they come last, where a flag's value counts.
SHORTER = {
    "sources.synthetic": "--rows 20 --columns 70",
    "tools/synth.py": "--samples-per-scenario 12",
    "--epochs": "--epochs 1",
    "--dataset etth1": "--stride 64",
    "--context-len 336": "--stride 240 --reference off --model-args members=ridge_ensemble,seasonal_naive",
    "--task regress --demo": "--stride 12",
    "--mode infer --demo": "--reference off",
    "--mode infer --task classify": "--reference off --no-plots",
    "--task nilm": "--stride 300 --seeds 1 --reference off",
}
ROWS = 1000  # of ETTh1, for the experiment: a published split needs all of them


@pytest.mark.slow
def test_the_commands_run_in_the_order_of_the_page(tmp_path):
    """From a folder that holds the project's files and nothing else; installing is what CI did before.

    The first of each script that does not train is typed into a shell, the others are forks, which grow few trees.
    """
    for item in ROOT.iterdir():
        if not item.name.startswith(".") and item.name not in ("data", "artifacts", "runs"):
            (tmp_path / item.name).symlink_to(item)
    runnable = [c for c in COMMANDS if "pip install" not in c and "-m venv" not in c and "pytest" not in c]
    published, here = SHARED / "ett" / "ETTh1.csv", tmp_path / "data" / "ett" / "ETTh1.csv"
    if published.is_file():
        here.parent.mkdir(parents=True)
        here.write_bytes(published.read_bytes())
    else:
        runnable = [c for c in runnable if "--dataset" not in c and "examples/informer.py" not in c]
    assert len(runnable) >= 7
    typed: set[str] = set()
    for command in runnable:
        _, *words = shlex.split(command)
        more = " ".join(text for mark, text in SHORTER.items() if mark in command and "search.py" not in command)
        if "examples/informer.py" in command:
            here.write_text("\n".join(here.read_text().splitlines()[: 1 + ROWS]) + "\n")
        if (script := " ".join(words[: 1 + words[0].startswith("-")])) in typed or "--mode train" in command:
            done = forkserver.run(*words, *more.split(), cwd=tmp_path, timeout=900)
        else:
            typed.add(script)
            line = f"{re.sub(r'^(.venv/bin/)?python', sys.executable, command)} {more}"
            done = subprocess.run(["bash", "-c", line], cwd=tmp_path, capture_output=True, text=True, timeout=900)
        assert done.returncode == 0, f"{command} {more}\n{done.stderr}"
    assert (tmp_path / "report" / "index.html").is_file()


@pytest.mark.slow
@pytest.mark.grows
def test_the_figures_of_the_first_example_are_those_of_its_commands(tmp_path):
    """Its file is made by the line above; figures may differ by what another processor rounds."""
    text = README.partition("## I have one dated CSV")[2].partition("\n## ")[0]
    made = re.search(r"```bash\npython (.*?)\n```", text, re.S)
    shown = re.search(r"```\n(date,sales\n.*?)\.\.\.\n```", text, re.S)
    assert made is not None and shown is not None
    subprocess.run(["bash", "-c", f"{sys.executable} {made[1]}"], cwd=tmp_path, check=True, timeout=60)
    assert (tmp_path / "sales.csv").read_text().startswith(shown[1])
    told = ""
    for command in re.findall(r"^    python (run\.py .*sales\.csv.*)$", text, re.M):
        words = [*shlex.split(command), "--no-plots"] if "--ckpt" not in command else shlex.split(command)
        done = forkserver.run(str(ROOT / words[0]), *words[1:], cwd=tmp_path, timeout=300)
        assert done.returncode == 0, done.stderr
        told += done.stdout
    rows = re.findall(r"^    +(\w+|\d{4}-\d\d-\d\d  sales)((?: +[\d.]+)+)$", text, re.M)
    assert len(rows) == 8
    for name, figures in rows:
        printed = re.search(rf"^ *{name}((?: +[\d.]+)+)$", told, re.M)
        assert printed is not None, name
        assert [*map(float, printed[1].split())] == pytest.approx([*map(float, figures.split())], rel=0.02), name
