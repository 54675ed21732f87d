"""tools/count_house.py counts what it says, and tools/count_way.py follows a run."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tools import count_house
from tools.count_house import Source

from .conftest import ROOT


def value(figure):
    return figure.value.split()[0]


def test_root_modules_are_the_files_at_the_root(tmp_path):
    for name in ("run.py", "tasks/base.py", "tests/test_run.py", ".venv/x.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    sources = count_house.read(tmp_path)
    assert [source.path for source in sources] == ["run.py", "tasks/base.py"]
    assert count_house.root_modules(sources).places == ("run.py",)
    assert count_house.untested(sources, tmp_path).value == "0 of 1"


@pytest.mark.parametrize(
    ("text", "changes"),
    [
        ("def f(config): return replace(config, seed=1)", 1),
        ("def f(self): return dataclasses.replace(self.config, seed=1)", 1),
        ("def f(config):\n    config = settle(config)", 1),
        ("def f(run): config = run.config", 0),
        ("def f(text): return text.replace(config, '')", 0),
        ("def f(split): return replace(split, val=other)", 0),
    ],
)
def test_a_function_that_changes_the_configuration(text, changes):
    assert value(count_house.config_changes([Source("pipeline.py", text)])) == str(changes)
    assert value(count_house.config_changes([Source("cli.py", text)])) == "0"


@pytest.mark.parametrize(
    ("text", "reads"),
    [
        ('stored["task"]', 1),
        ('self.stored.get("task")', 1),
        ('"task" in ckpt', 1),
        ('x = checkpoint.read(path)\nx["task"]', 1),
        ('checkpoint.load(path)["task"]', 1),
        ('stored["task"] = 1', 0),
        ("stored[key]", 0),
        ("stored.task", 0),
        ('other["task"]', 0),
    ],
)
def test_a_read_of_a_checkpoint_by_key(text, reads):
    assert value(count_house.checkpoint_keys([Source("learner.py", text)])) == str(reads)
    assert value(count_house.checkpoint_keys([Source("restore.py", text)])) == "0"


def test_a_signature_that_carries_fitted():
    text = "def f(task, fitted): ...\ndef g(*, fitted=None): ...\ndef h(task): return task.fitted"
    assert value(count_house.fitted_signatures([Source("a.py", text)])) == "2"


def test_a_probe_is_one_of_a_backbones_attributes():
    gru = Source("backbones/gru.py", "class GRU:\n    causal = True\n    def fit(self): hasattr(self, 'x')")
    used = Source("learner.py", "hasattr(b, 'fit')\ngetattr(b, 'causal', False)\ngetattr(flag, 'help')")
    assert count_house.probes([gru, used]).value == "3 (1 in backbones/)"


def test_a_hyperparameter_is_written_twice_if_the_constructor_names_it():
    table = 'HYPER: dict = {"d_model": {}, "layers": {}}\n'
    init = "@register\nclass A:\n    def __init__(self, channels, {}): ..."
    twice = Source("backbones/a.py", table + init.format("d_model, layers"))
    once = Source("backbones/b.py", table + init.format("hyper"))
    assert next(count_house.repeated_options([twice, once])).value == "2 of 4"


def test_a_docstring_says_what_goes_in_and_out():
    text = '''
class Task:
    def fit(self, truth):
        """Learn.

        Parameters
        ----------
        truth : the labels.
        """
    def loss(self, y):
        """A scalar for [B, K, H]."""
    def vague(self, y):
        """Something."""
    def name(self):
        """Takes nothing."""
'''
    figure = next(count_house.contract_docstrings([Source("tasks/base.py", text)]))
    assert figure.value == "1 with sections, 1 with shapes, of 3 that take arguments"
    assert figure.places == ("tasks/base.py:Task.vague",)


@pytest.mark.slow
def test_every_figure_has_a_value_on_this_tree():
    found = count_house.figures(ROOT)
    assert len({figure.name for figure in found}) == len(found)
    assert all(figure.value for figure in found)


@pytest.mark.slow
def test_the_way_of_a_run_is_counted():
    argv = [sys.executable, "tools/count_way.py", "--places"]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True)
    imported, ran = done.stdout.split("with a function that ran")
    assert "    data.py\n" in imported and "    trainer.py\n" in ran and "    pipeline.py\n" in ran
    assert "    studies/" not in imported and "tools/" not in ran
