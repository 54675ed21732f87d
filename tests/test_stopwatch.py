"""training/stopwatch.py: precision and threads are chosen by the clock, told, kept and repeated."""

from __future__ import annotations

import json
import logging
import shlex
import types

import pytest
import torch

import hardware
from hardware import Precision
from training import stopwatch
from training.warming import warm_up

from .runs import go, lay
from .test_trainer import make

CPU, LOW = Precision(torch.device("cpu")), Precision(torch.device("cpu"), torch.bfloat16)


@pytest.fixture(autouse=True)
def machine(monkeypatch):
    """A processor with bfloat16 and two threads, whatever runs the test."""
    threads = [2]
    monkeypatch.setattr(hardware, "_cpu_has_bf16", lambda: True)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads[0])
    monkeypatch.setattr(torch, "set_num_threads", lambda n: threads.__setitem__(0, n))
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(stopwatch, "LONG", 60.0)
    monkeypatch.setattr(stopwatch, "STATED", 6.0)
    return threads


class Clock:
    """Seconds that pass only as steps are taken: {(bfloat16, threads): seconds of a step}."""

    def __init__(self, machine, seconds):
        self.now, self.machine, self.seconds, self.steps = 0.0, machine, seconds, []

    def __call__(self):
        return self.now

    def passes(self, precision):
        way = (precision.dtype is not None, self.machine[0])
        self.steps.append(way)
        self.now += self.seconds[way]


WAYS = (False, 2), (False, 1), (True, 2), (True, 1)


def chosen(caplog, monkeypatch, machine, seconds, *, low_loss=1.0, given=(), **settings):
    """(what is chosen where a step takes `seconds` each of WAYS, what is told, the ways of the steps)."""
    trainer, saved = make(**{"epochs": 10, "given": frozenset(given)} | settings)
    trainer.steps = 100
    clock, twin = Clock(machine, dict(zip(WAYS, seconds, strict=True))), trainer.twin
    before = torch.get_rng_state(), [p.clone() for p in trainer.model.parameters()]

    def slow(precision):
        made = twin(precision)
        take, loss = made.take, made.validation.loss
        made.take = lambda positions: (take(positions), clock.passes(precision))
        low = precision.dtype is not None
        made.validation = types.SimpleNamespace(loss=lambda out, y: loss(out, y) * 0 + (low_loss if low else 1.0))
        return made

    def tried():
        clock.passes(CPU)
        return clock.seconds[WAYS[0]]

    monkeypatch.setattr(trainer, "twin", slow)
    with caplog.at_level(logging.INFO, logger="tsrun"):
        found = stopwatch.fastest(trainer, seconds[0], tried, clock)
    assert machine == [2] and not saved and torch.equal(before[0], torch.get_rng_state())
    assert all(torch.equal(a, b) for a, b in zip(before[1], trainer.model.parameters(), strict=True))
    assert trainer.progress.step == 0 and not trainer.optimizer.state
    return found, caplog.text, clock.steps


def test_the_fastest_way_is_chosen_and_told(caplog, monkeypatch, machine):
    found, told, steps = chosen(caplog, monkeypatch, machine, (0.1, 0.09, 0.05, 0.06))
    assert found == {"amp": True, "threads": 2} and stopwatch.words(found) == ["--amp", "--threads", "2"]
    assert "50 ms (bfloat16, 2 threads) in place of 100 ms (float32, 2 threads)" in told
    assert steps[1:] == [way for way in WAYS for _ in range(3)]  # a second for all of them: no time for another round
    found, told, _ = chosen(caplog, monkeypatch, machine, (0.1, 0.05, 0.2, 0.2))
    assert found == {"amp": False, "threads": 1} and "50 ms (float32, 1 thread)" in told
    assert stopwatch.words(found) == ["--no-amp", "--threads", "1"]


def test_little_gain_or_another_loss_changes_nothing_but_is_stated(caplog, monkeypatch, machine):
    as_before = {"amp": False, "threads": 2}
    assert chosen(caplog, monkeypatch, machine, (0.1, 0.09, 0.09, 0.1))[0] == as_before
    assert chosen(caplog, monkeypatch, machine, (0.1, 0.1, 0.05, 0.1), low_loss=1.02)[0] == as_before
    assert chosen(caplog, monkeypatch, machine, (0.1, 0.1, 0.05, 0.1), low_loss=float("nan"))[0] == as_before
    assert not caplog.text


def test_what_the_user_gave_is_not_timed(caplog, monkeypatch, machine):
    fast = (0.1, 0.05, 0.02, 0.01)
    assert chosen(caplog, monkeypatch, machine, fast, given={"amp"})[0] == {"threads": 1}
    assert chosen(caplog, monkeypatch, machine, fast, given={"threads"})[0] == {"amp": True}
    for more in ({"given": {"amp", "threads"}}, {"compile": "default"}, {"measured": {}}):
        found, _, steps = chosen(caplog, monkeypatch, machine, fast, **more)
        assert found == {} and not steps
    assert chosen(caplog, monkeypatch, machine, fast, measured={"threads": 1})[::2] == ({"threads": 1}, [])
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert chosen(caplog, monkeypatch, machine, fast)[0] == {"amp": True}


def test_a_short_training_is_not_timed(caplog, monkeypatch, machine):
    assert chosen(caplog, monkeypatch, machine, (0.005, 0.001, 0.001, 0.001))[::2] == ({}, [])  # 5 of 60 seconds
    found, _, steps = chosen(caplog, monkeypatch, machine, (0.05, 0.01, 0.01, 0.01))  # 50: elsewhere it may be long
    assert found == {"amp": False, "threads": 2} and len(steps) == 1
    assert chosen(caplog, monkeypatch, machine, (0.1, 0.01, 0.01, 0.01), budget=5.0)[::2] == ({}, [])
    assert len(chosen(caplog, monkeypatch, machine, (9.0, 1, 1, 1), epochs=1)[2]) == 1  # too few steps to try some


def test_other_processes_do_as_the_first_one_says(machine):
    told = []
    trainer, _ = make(epochs=1)
    trainer.on_choice = told.append
    trainer.together = types.SimpleNamespace(
        first=False, world=2, size=lambda n: n, reduced=lambda runner, **_: runner,
        agreed=lambda mine: {"amp": True, "threads": 1} if mine == {} else mine,
    )  # fmt: skip
    warm_up(trainer)
    assert told == [{"amp": True, "threads": 1}] and machine == [1] and trainer.precision == LOW
    assert trainer.state()["measured"] == told[0]


def test_a_chosen_run_is_kept_resumed_and_repeated(tmp_path, monkeypatch, machine):
    """What is chosen stands in the files; the printed command gives the same weights without a clock."""
    draw = torch.Generator().manual_seed(0)
    lay(tmp_path, a=torch.rand(8, 30, generator=draw).numpy())
    words = (
        "--mode train --task regress --csv data/a.csv --context-len 6 --backbone gru --epochs 2 --no-plots --no-wide "
        "--batch-size 2 --reference off"
    )
    for name, value in (("LONG", 1e-9), ("STATED", 0.0), ("SPENT", 0.0), ("GAIN", 0.0), ("NEAR", 1.0), ("LEAST", 1)):
        monkeypatch.setattr(stopwatch, name, value)
    monkeypatch.setattr(stopwatch, "_timed", lambda twins, ways, *_: {way: 8.0 - i for i, way in enumerate(ways)})
    done = go(tmp_path, words)
    folder = tmp_path / done.out.splitlines()[-1]
    manifest = json.loads((folder / "manifest.json").read_text())
    assert "(bfloat16, 1 thread) in place of" in done.err and machine == [1]
    assert manifest["command"].endswith(" --amp --threads 1") and manifest["precision"] == "bfloat16"
    kept = torch.load(folder / "model.pt", weights_only=True)
    assert kept["config"]["amp"] and kept["config"]["threads"] == 1
    assert kept["training"]["measured"] == {"amp": True, "threads": 1}

    machine[0] = 2
    longer = go(tmp_path, words.replace("--epochs 2", "--epochs 3"), "--resume --out artifacts")
    folder = tmp_path / longer.out.splitlines()[-1]
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["precision"] == "bfloat16" and machine == [1] and " --amp --threads 1" in manifest["command"]
    assert "in place of" not in longer.err

    again = go(tmp_path, shlex.join(shlex.split(words)), "--amp --threads 1 --out again")
    other = torch.load(tmp_path / again.out.splitlines()[-1] / "model.pt", weights_only=True)
    assert kept["state"].keys() == other["state"].keys() and kept["state"]
    assert all(torch.equal(value, other["state"][name]) for name, value in kept["state"].items())
