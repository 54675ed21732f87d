"""training/stopwatch.py: a flag that makes steps faster is told, and changes nothing."""

from __future__ import annotations

import logging
import types

import pytest
import torch
from torch import nn

import hardware
from hardware import Precision
from training import stopwatch

from .runs import go, lay

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def machine(monkeypatch):
    """A processor with bfloat16 and two threads, whatever runs the test."""
    threads = [2]
    monkeypatch.setattr(hardware, "_cpu_has_bf16", lambda: True)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads[0])
    monkeypatch.setattr(torch, "set_num_threads", lambda n: threads.__setitem__(0, n))
    return threads


def advised(caplog, machine, seconds, *, lower_loss=1.0, given=(), first=1.0, **settings):
    """What is told where a step takes `seconds` as it is, in bfloat16 and on one thread; and how many steps it took."""
    now, steps = [0.0], []
    config = types.SimpleNamespace(**{"epochs": 10, "compile": "off", "given": frozenset(given)} | settings)
    trainer = types.SimpleNamespace(model=nn.Linear(1, 1), config=config, precision=Precision(CPU), steps=100)

    def take():
        low = trainer.precision.dtype is not None
        steps.append((low, machine[0]))
        now[0] += seconds[1] if low else seconds[0] if machine[0] == 2 else seconds[2]
        return torch.tensor([lower_loss if low else 1.0])

    with caplog.at_level(logging.INFO, logger="tsrun"):
        stopwatch.advise(trainer, take, first, lambda: now[0])
    assert trainer.precision == Precision(CPU) and machine == [2]  # as before
    return caplog.text, steps


def test_the_fastest_way_is_told(caplog, machine):
    told, steps = advised(caplog, machine, (0.1, 0.05, 0.09))
    assert "--amp: a step takes 50 ms in place of 100 ms" in told and len(steps) == 9  # three rounds of .24 s
    caplog.clear()
    told, _ = advised(caplog, machine, (0.1, 0.2, 0.05))
    assert "--threads 1: a step takes 50 ms" in told


def test_nothing_is_told_where_nothing_is_won_or_the_loss_differs_or_the_user_chose(caplog, machine):
    assert not advised(caplog, machine, (0.1, 0.09, 0.1))[0]
    assert not advised(caplog, machine, (0.1, 0.05, 0.1), lower_loss=1.1)[0]
    assert not advised(caplog, machine, (0.1, 0.05, 0.1), given={"amp"})[0]
    assert not advised(caplog, machine, (0.1, 0.05, 0.05), given={"amp", "threads"})[1]
    assert not advised(caplog, machine, (0.1, 0.05, 0.05), compile="default")[1]


def test_a_short_training_is_not_measured(caplog, machine):
    assert not advised(caplog, machine, (0.1, 0.05, 0.1), first=0.05)[1]
    told, steps = advised(caplog, machine, (0.01, 0.001, 0.1))  # the first step took longer than those after it
    assert not told and len(steps) == 1


def test_a_run_that_was_measured_ends_with_the_same_weights(tmp_path, monkeypatch):
    draw = torch.Generator().manual_seed(0)
    lay(tmp_path, a=torch.rand(8, 30, generator=draw).numpy())
    words = (
        "--mode train --task regress --csv data/a.csv --context-len 6 --backbone gru --epochs 1 --no-plots --no-wide"
    )
    done = go(tmp_path, words, "--reference off")
    monkeypatch.setattr(stopwatch, "LONG", 0.0)
    monkeypatch.setattr(stopwatch, "SPENT", 0.0)
    monkeypatch.setattr(stopwatch, "GAIN", 0.0)
    monkeypatch.setattr(stopwatch, "NEAR", 1.0)
    again = go(tmp_path, words, "--reference off --out again")
    assert "in place of" in again.err and "in place of" not in done.err
    one, two = (
        torch.load(tmp_path / run.out.splitlines()[-1] / "model.pt", weights_only=True) for run in (again, done)
    )
    assert one["state"].keys() == two["state"].keys() and one["state"]
    assert all(torch.equal(value, two["state"][name]) for name, value in one["state"].items())
