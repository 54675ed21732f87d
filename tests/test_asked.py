"""commandline/: the questions that are answered in place of a run: help of a task, --list, --doctor, --completion."""

from __future__ import annotations

import shlex
import subprocess
import sys

import pytest

import backbones
import cli
import tasks
from commandline import doctor
from commandline.asked import answered
from commandline.flags import COMMON, make_parser
from commandline.lists import measured
from commandline.sizes import MEASURED
from config import table_flags
from errors import UsageError

from .conftest import ROOT
from .hints import flags_of


def answer(line: str) -> str:
    text = answered(shlex.split(line))
    assert text is not None
    return text


@pytest.mark.parametrize("task", tasks.names())
def test_the_help_of_a_task_has_its_flags_alone_and_examples_that_parse(task):
    text = answer(f"--task {task} --help")
    shown = {option for action in make_parser(task)._actions for option in action.option_strings}
    own = {f"--{option}" for option in flags_of(task)}
    asked = {"--list", "--doctor", "--completion", "--help", "-h", "--version", "--config"}
    assert shown - asked == own
    assert text.index("Most used:") < text.index("  --csv") < text.index("Training:")
    others = {flag.option for other in tasks.names() for flag in tasks.flags(other)} - {
        f"--{o}" for o in flags_of(task)
    }
    assert not others & shown
    examples = text.partition("examples:")[2].strip().splitlines()
    assert 5 <= len(examples) <= 24
    for line in examples:
        words = line.partition("run.py ")[2].partition("   ")[0]
        if f"--task {task}" in words:
            assert cli.parse(shlex.split(words)).task == task
        elif "--list" in words:
            assert answer(words)


def test_the_commonest_flags_are_flags():
    assert set(COMMON) <= cli.all_flags().keys()


def test_the_help_of_a_task_and_the_lists_import_no_torch():
    code = (
        "import sys, run; assert run.main(['--task', 'forecast', '--help']) == 0\n"
        "print('LISTS')\n"
        "for words in (['backbones'], ['backbones', 'gru'], ['tasks'], ['tasks', 'nilm'], ['datasets'], ['flags']):\n"
        "    assert run.main(['--list', *words]) == 0\n"
        "assert not {'torch', 'numpy', 'pandas'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    helped = done.stdout.partition("LISTS")[0]
    assert done.returncode == 0 and "--horizon" in helped and "--mains-col" not in helped


@pytest.mark.parametrize("name", backbones.names())
def test_what_lists_say_of_a_backbone_is_what_its_class_says(name):
    assert MEASURED[name] == measured(name)


def test_lists_have_every_name():
    for kind, names in (("tasks", tasks.names()), ("backbones", backbones.names()), ("datasets", ("etth1", "refit"))):
        lines = answer(f"--list {kind}").splitlines()
        assert {line.split()[0] for line in lines} >= set(names), kind
    assert len(answer("--list flags").splitlines()) >= len(cli.all_flags())
    line = next(line for line in answer("--list backbones").splitlines() if line.startswith("gru "))
    assert "13 K" in line and "minutes" in line and "classify,forecast,nilm,regress" in line
    line = next(line for line in answer("--list backbones").splitlines() if line.startswith("theta "))
    assert "fitted" in line and " forecast " in line and "classify" not in line


@pytest.mark.parametrize("name", ["gru", "ridge", "dlinear"])
def test_all_about_a_backbone(name):
    text = answer(f"--list backbones {name}")
    for flag in table_flags(backbones.hyper(name), name):
        line = next(line for line in text.splitlines() if line.strip().startswith(f"{flag.name}="))
        assert flag.within in line and all(choice in line for choice in flag.choices)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("--list", "--list backbones"),
        ("--list backbone", "did you mean backbones?"),
        ("--list backbones grru", "did you mean gru?"),
        ("--list flags --csvv", ""),
        ("--list tasks nilmm", "did you mean nilm?"),
    ],
)
def test_lists_of_what_there_is_not(line, told):
    if not told:
        assert "--csv" in answer(line)
        return
    with pytest.raises(UsageError) as caught:
        answered(line.split())
    assert told in str(caught.value)


def test_the_doctor_says_what_is_there(monkeypatch):
    monkeypatch.setattr(doctor, "SECONDS", 0.01)
    text = answer("--doctor")
    for part in ("tsrun ", "torch ", "devices", "threads", "extras", "cache", "s a training step"):
        assert part in text
    extras = {path.stem.partition("-")[2] for path in ROOT.glob("requirements-*.txt")} - {"dev"}
    assert extras == set(doctor.EXTRAS)


def test_completion_of_the_shell():
    pytest.importorskip("shtab", reason="shtab is not installed")
    assert "--context-len" in answer("--completion bash")
    with pytest.raises(UsageError, match="no shell"):
        answered(["--completion", "fush"])


@pytest.mark.parametrize("line", ["--mode train --task classify --csv a.csv", "--help", "", "--task nope --help"])
def test_what_is_no_question(line):
    assert answered(line.split()) is None
