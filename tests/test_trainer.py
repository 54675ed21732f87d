"""trainer.py against a hand-written loop; stopped, killed, resumed, diverged."""

from __future__ import annotations

import copy
import math
import signal
import subprocess
import sys
import time
import types

import numpy as np
import pytest
import torch
from torch import nn
from tqdm import tqdm

import checkpoint
import windows
from config import RunConfig
from errors import DivergedError, Interrupted, ResourceError
from hardware import Precision
from optim import lr_factor, make_optimizer
from trainer import Trainer
from training import budget
from training.states import alike, random_states, set_random_states
from windows import Windows

from . import forkserver
from .conftest import ROOT, command
from .runs import go

CPU = torch.device("cpu")


class Net(nn.Module):
    """A linear model with dropout, so that a resumed run must find the random state where it was."""

    def __init__(self, length: int) -> None:
        super().__init__()
        self.drop, self.map = nn.Dropout(0.2), nn.Linear(length, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.map(self.drop(x[:, 0])).unsqueeze(-1)


class Judge:
    """Mean squared error; `at` maps a count of loss calls to something that happens then."""

    monitor, direction = "mse", "min"

    def __init__(self, truth: torch.Tensor, at: dict | None = None) -> None:
        self.truth, self.at, self.calls = truth, at or {}, 0

    def loss(self, outputs, y):
        self.calls += 1
        factor = self.at.get(self.calls, lambda: None)() or 1.0
        return (outputs - y).square().mean() * factor

    def val_metrics(self, outputs):
        return {"mse": float((outputs - self.truth).square().mean())}


def make(at=None, monkey=None, **settings):
    """(trainer, saved): a small problem; `saved` collects what was written, in order."""
    torch.manual_seed(0)
    values = torch.randn(1, 240)
    usable = np.ones(240, bool)
    index = windows.plan(np.array([0, 160, 240]), usable, usable, length=6, offset=1)
    train, val = (Windows(values, values, index.of_rows(np.array(rows))) for rows in ([True, False], [False, True]))
    truth = val.gather(val.locate(torch.arange(len(val))))[1]
    config = RunConfig(**{"epochs": 4, "batch_size": 32, "patience": 0, "quiet": True} | settings)
    saved = []

    def save(kind, state, training):
        saved.append((kind, copy.deepcopy(dict(state)), copy.deepcopy(training)))

    judge = Judge(truth, at)
    if monkey:
        judge.val_metrics = monkey
    return Trainer(Net(6), train, val, judge, config, Precision(CPU), save), saved


def test_it_is_the_loop_that_a_person_would_write():
    trainer, _ = make(scheduler="cosine", lr=0.05, weight_decay=0.1, clip=0.5)
    model = copy.deepcopy(trainer.model)
    train = trainer.train
    optimizer = torch.optim.AdamW(
        [{"params": [model.map.weight], "weight_decay": 0.1}, {"params": [model.map.bias], "weight_decay": 0.0}],
        lr=0.05,
    )
    torch.manual_seed(123)
    losses, step = [], 0
    for epoch in range(4):
        model.train()
        for positions in train.shuffled(trainer.batch_size, 777 * 1_000_003 + epoch):
            rise = 1  # 5 % of 4 x 5 steps
            factor = (step + 1) / rise if step < rise else 0.5 * (1 + math.cos(math.pi * (step - rise) / (20 - rise)))
            for group in optimizer.param_groups:
                group["lr"] = 0.05 * factor
            x, y = train.gather(positions)
            loss = (model(x) - y).square().mean()
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 0.5)
            optimizer.step()
            losses.append(loss.item())
            step += 1
    torch.manual_seed(123)
    progress = trainer.run()
    assert torch.allclose(trainer.last_state["map.weight"], model.map.weight, atol=1e-6)
    told = [line["train_loss"] for line in progress.history]
    assert told == pytest.approx([np.mean(losses[k : k + 5]) for k in range(0, 20, 5)], abs=1e-6)


def test_the_step_loop_reads_nothing_back(monkeypatch):
    """A read of one number makes a GPU wait for all that was queued: between two epochs' ends there is none."""
    trainer, _ = make(epochs=1)

    def told(self, *args, **kwargs):
        raise AssertionError("a tensor was read back")

    with tqdm(disable=True) as bar, monkeypatch.context() as patch:
        for name in ("item", "tolist", "cpu", "numpy", "__float__", "__int__", "__bool__", "__index__"):
            patch.setattr(torch.Tensor, name, told)
        trainer._epoch(bar)
    assert trainer.progress.step == trainer.steps


def test_the_best_epoch_is_kept_and_patience_ends_the_run():
    values = iter([3.0, 1.0, 2.0, float("nan"), 1.5, 0.5])
    trainer, saved = make(monkey=lambda outputs: {"mse": next(values)}, epochs=6, patience=3)
    progress = trainer.run()
    assert (progress.epoch, progress.best_epoch, progress.best) == (5, 2, 1.0)
    kept = [state for kind, state, _ in saved if kind == "best"]
    assert kept  # written at the first epoch already: a kill finds a best
    assert not torch.equal(trainer.best_state["map.weight"], trainer.last_state["map.weight"])


def test_of_epochs_with_equal_monitors_the_lower_loss_is_best():
    """On small validation parts many epochs are perfect by the monitor: the earliest of them has learned the least."""
    values = iter([2.0, 1.0, 1.0, 1.0, 2.0])
    trainer, _ = make(monkey=lambda outputs: {"mse": next(values)}, epochs=5)
    progress = trainer.run()
    losses = [line["val_loss"] for line in progress.history]
    assert losses[1] != losses[2] != losses[3]
    assert progress.best == 1.0 and progress.best_epoch == 2 + int(np.argmin(losses[1:4]))


def averaging(**settings):
    """(trainer, the weights after each epoch): one that averages the last third."""
    trainer, _ = make(**settings)
    trainer.averages, kept = True, []
    trainer.listeners = [lambda line: kept.append(trainer.model.map.weight.detach().clone())]
    return trainer, kept


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test moves: `clock.now`."""
    made = types.SimpleNamespace(now=0.0)
    monkeypatch.setattr(budget.time, "perf_counter", lambda: made.now)
    return made


def test_a_budget_ends_training_and_the_learning_rate_falls_by_then(clock, caplog):
    """Epochs of five steps, a second each, of which 30 were asked and 22 seconds given."""
    trainer, saved = make(epochs=30, budget=22.0, scheduler="cosine", lr=0.1)
    rates, step = [], trainer._step

    def timed(positions):
        step(positions)
        rates.append(trainer.schedule.lr)
        clock.now += 1

    trainer._step = timed
    with caplog.at_level("INFO", "tsrun"):
        progress = trainer.run()
    assert (progress.epoch, progress.limit, len(rates)) == (4, 4, 20)
    assert rates[5:] == pytest.approx([0.1 * lr_factor(n, 20, "cosine") for n in range(5, 20)])
    assert "--budget leaves time for 4 of 30 epochs, 5 s each" in caplog.text and "epoch 4/4" in caplog.text
    assert trainer.warnings == ["--budget ended training after 4 of 30 epochs"]
    assert saved[-1][2]["progress"]["limit"] == 4


def test_a_budget_below_an_epoch_ends_in_the_midst_of_it(clock, caplog):
    trainer, _ = make(epochs=3, budget=3.0, batch_size=8, lr=0.1)
    assert trainer.steps == 20
    step = trainer._step
    trainer._step = lambda positions: (step(positions), setattr(clock, "now", clock.now + 0.25))
    with caplog.at_level("INFO", "tsrun"):
        progress = trainer.run()
    assert progress.epoch == 1 and trainer.schedule.lr < 0.02  # it has fallen
    assert "--budget ends epoch 1 after 12 of 20 steps" in caplog.text
    assert progress.history[0]["train_loss"] < 3  # the mean of twelve


def test_a_budget_that_is_enough_changes_nothing(clock):
    plain, given = make()[0], make(budget=1e6)[0]
    for trainer in (plain, given):
        torch.manual_seed(1)
        trainer.run()
    assert torch.equal(plain.last_state["map.weight"], given.last_state["map.weight"]) and not given.warnings


def test_where_validation_is_thin_the_last_third_is_averaged():
    trainer, kept = averaging(epochs=7, patience=1, lr=0.05)
    progress = trainer.run()
    assert (progress.epoch, progress.averaged, progress.best_epoch) == (7, [6, 7], 7)
    assert torch.allclose(trainer.best_state["map.weight"], (kept[5] + kept[6]) / 2)
    assert torch.equal(trainer.last_state["map.weight"], kept[6])


def test_the_mean_is_not_taken_where_the_start_is_better():
    trainer, _ = averaging(epochs=3, lr=50.0)
    trainer.judges_start = True
    before = trainer.model.map.weight.detach().clone()
    progress = trainer.run()
    assert progress.best_epoch == 0 and progress.best == progress.start["val_mse"]
    assert torch.equal(trainer.best_state["map.weight"], before)


def test_a_stopped_average_goes_on_bit_for_bit():
    whole, _ = averaging(epochs=6, lr=0.05)
    whole.run()
    first, _ = averaging(epochs=6, lr=0.05)
    first.listeners = [lambda line: first._on_signal(signal.SIGTERM, None) if line["epoch"] == 5 else None]
    with pytest.raises(Interrupted):
        first.run()
    weights, state = copy.deepcopy(first.model.state_dict()), copy.deepcopy(first.state())
    second, _ = averaging(epochs=6, lr=0.05)
    second.restore(weights, state)
    second.run()
    assert second.progress.averaged == [5, 6]
    assert all(torch.equal(value, second.best_state[name]) for name, value in whole.best_state.items())


def test_an_undefined_monitor_still_leaves_a_checkpoint():
    trainer, _ = make(monkey=lambda outputs: {"mse": None}, epochs=2)
    progress = trainer.run()
    assert progress.best is None and progress.best_epoch == 1 and trainer.best_state


@pytest.mark.parametrize("stop_at", [1, 4, 5, 6, 13])
@pytest.mark.parametrize("settings", [{}, {"scheduler": "plateau"}, {"optimizer": "sgd"}])
def test_a_stopped_run_goes_on_bit_for_bit(stop_at, settings):
    whole, _ = make(**settings)
    torch.manual_seed(9)
    expected = whole.run()

    stopped, saved = make(at={2 + stop_at: lambda: signal.raise_signal(signal.SIGTERM)}, **settings)
    torch.manual_seed(9)
    with pytest.raises(Interrupted, match="the state is saved") as caught:
        stopped.run()
    assert caught.value.exit_code == 143
    kind, weights, state = saved[-1]
    assert kind == "last"

    torch.manual_seed(4)  # whatever state the new process starts in
    resumed, _ = make(**settings)
    torch.rand(7)
    resumed.restore(weights, state)
    got = resumed.run()
    assert all(torch.equal(whole.last_state[k], resumed.last_state[k]) for k in whole.last_state)
    assert all(torch.equal(whole.best_state[k], resumed.best_state[k]) for k in whole.best_state)
    strip = [{k: v for k, v in line.items() if k != "seconds"} for line in expected.history]
    assert strip == [{k: v for k, v in line.items() if k != "seconds"} for line in got.history]


def test_handlers_are_put_back():
    before = signal.getsignal(signal.SIGTERM)
    make(epochs=1)[0].run()
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.fault("a loss that is NaN", "exit 5; the best weights so far are kept in NAME.diverged")
@pytest.mark.fault("a loss that is infinite", "exit 5; the best weights so far are kept in NAME.diverged")
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_divergence_stops_with_the_best_checkpoint_intact(bad):
    trainer, saved = make(at={14: lambda: bad}, epochs=9)  # in the third epoch
    with pytest.raises(DivergedError, match="in epoch 3") as caught:
        trainer.run()
    assert caught.value.exit_code == 5
    best = [state for kind, state, _ in saved if kind == "best"][-1]
    assert all(torch.isfinite(value).all() for value in best.values())


def test_out_of_memory_names_a_batch_size_that_fits(monkeypatch):
    trainer, _ = make(batch_size=64)
    whole = trainer.loss_and_gradients

    def limited(runner, positions):
        if positions.shape[1] > 13:
            raise RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory")
        return whole(runner, positions)

    monkeypatch.setattr(trainer, "loss_and_gradients", limited)
    with pytest.raises(ResourceError, match=r"out of memory with batches of \d+ windows") as caught:
        trainer.run()
    assert caught.value.hint == "--batch-size 13 fits" and caught.value.exit_code == 6  # 52, halved twice


@pytest.mark.fault("a loss or weights that grow without end", "exit 5 at a millionfold, unless `--no-divergence-check`")
@pytest.mark.parametrize("factor", [1e5, 1e7])
def test_a_loss_that_grows_a_millionfold_is_divergence_though_it_is_finite(factor):
    """The first call is the try before training, the last of an epoch validates."""
    for check in (True, False):
        grown = {call: lambda: factor for call in range(6, 60)}
        trainer, _ = make(at=grown, lr=1e-9, divergence_check=check)
        if check and factor > 1e6:
            with pytest.raises(DivergedError, match="the validation loss became") as caught:
                trainer.run()
            assert caught.value.exit_code == 5 and "--no-divergence-check" in caught.value.hint
        else:
            assert trainer.run().epoch == 4


@pytest.mark.fault("a loss or weights that grow without end")
def test_weights_that_grow_a_millionfold_are_divergence():
    trainer, _ = make(lr=1e-9)
    with torch.no_grad():
        for weight in trainer.model.parameters():
            weight.fill_(3e6)
    trainer.progress.history.append({"val_loss": 1e30, "epoch": 1})  # so that the loss is no sign
    with pytest.raises(DivergedError, match="weights"):
        trainer._check_growth(1.0)


def test_the_learning_rate_rises_then_follows_a_cosine():
    total = 200
    assert [lr_factor(s, total, "cosine") for s in (0, 4, 9)] == pytest.approx([0.1, 0.5, 1.0])
    assert lr_factor(10, total, "cosine") == 1.0
    assert lr_factor(105, total, "cosine") == pytest.approx(0.5)
    assert lr_factor(199, total, "cosine") == pytest.approx(0.5 * (1 + math.cos(math.pi * 189 / 190)))
    assert lr_factor(150, total, "none") == 1.0


def test_only_what_trains_is_given_to_the_optimizer_and_biases_do_not_decay():
    model = nn.Sequential(nn.Linear(3, 3), nn.LayerNorm(3))
    model[1].weight.requires_grad_(False)
    groups = make_optimizer(model, RunConfig(weight_decay=0.1)).param_groups
    assert [(len(g["params"]), g["weight_decay"]) for g in groups] == [(1, 0.1), (2, 0.0)]


@pytest.mark.parametrize("older", [False, True])
def test_random_states_come_back_exactly_and_are_plain(older):
    states = random_states()
    import random

    draw = (torch.rand(3).tolist(), np.random.rand(3).tolist(), random.random())
    if older:  # lists in place of tensors
        states |= {name: [part.tolist() if torch.is_tensor(part) else part for part in states[name]]
                   for name in ("numpy", "python")}  # fmt: skip
    set_random_states(states)
    assert draw == (torch.rand(3).tolist(), np.random.rand(3).tolist(), random.random())


def test_a_training_of_seconds_leaves_its_files_to_what_follows():
    """A state is written after the first epoch where more follow, and where another kill would cost more."""
    for epochs, kinds in ((1, []), (2, ["best", "last"])):
        trainer, saved = make(epochs=epochs)
        trainer.run()
        assert [kind for kind, *_ in saved] == kinds and trainer.best_state and trainer.last_state


def test_weights_are_alike_to_the_last_bit():
    one = {"a": torch.ones(3), "b": torch.zeros(2)}
    assert alike([one]) and alike([one, {name: value.clone() for name, value in one.items()}])
    assert not alike([one, one | {"b": torch.tensor([0.0, 1e-45])}])
    assert not alike([one | {"a": torch.full((3,), float("nan"))}] * 2)


@pytest.mark.parametrize("mode", ["default", "reduce-overhead"])
def test_a_broken_compiler_falls_back_to_eager_and_says_so(monkeypatch, mode):
    def broken(model, **how):
        def call(x):
            raise RuntimeError("no C++ compiler found")

        return call

    plain, _ = make()
    torch.manual_seed(1)
    plain.run()
    monkeypatch.setattr(torch, "compile", broken)
    trainer, _ = make(compile=mode)
    torch.manual_seed(1)
    trainer.run()
    assert trainer.warnings == [f"--compile {mode} failed and training goes on eagerly: no C++ compiler found"]
    assert torch.equal(plain.last_state["map.weight"], trainer.last_state["map.weight"])


@pytest.mark.slow
def test_compiled_training_gives_the_same_weights_under_clean_keys():
    plain, _ = make()
    torch.manual_seed(1)
    plain.run()
    trainer, _ = make(compile="default")
    trainer.model.drop.p = plain.model.drop.p = 0.0
    torch.manual_seed(1)
    trainer.run()
    assert not trainer.warnings and list(trainer.last_state) == list(plain.last_state)


def test_autocast_trains_to_about_the_same_weights():
    plain, half = (make(lr=0.01, epochs=3)[0] for _ in range(2))
    half.precision = Precision(CPU, torch.bfloat16)
    for trainer in (plain, half):
        torch.manual_seed(1)
        trainer.run()
    assert torch.allclose(plain.last_state["map.weight"], half.last_state["map.weight"], atol=0.02)
    assert half.last_state["map.weight"].dtype is torch.float32


# --- real processes --------------------------------------------------------------------------------------------------

RUN = "--mode train --task classify --csv LP0a.csv --context-len 12 --epochs 6 --batch-size 16 --patience 0".split()
RUN += "--backbone gru --model-args hidden=4 dropout=0.1 layers=2 --no-wide --reference off".split()
NAME = "train_classify_ctx12_ch1_alpha0.50_pwglobal_gru_nowide_seed777_splitgroup"


def lay_table(folder):
    rng = np.random.default_rng(3)
    np.savetxt(folder / "LP0a.csv", rng.random((30, 30)) < 0.3, fmt="%d", delimiter=",")


@pytest.fixture
def files(tmp_path):
    lay_table(tmp_path)
    return tmp_path


def start(cwd, *more):
    line = [sys.executable, str(ROOT / "run.py"), *RUN, *more]
    return forkserver.Popen(line, cwd=cwd, stderr=subprocess.PIPE, text=True)


def wait_for(process, text):
    """Read the run's progress until a line says `text`."""
    for line in process.stderr:
        if text in line:
            return
    raise AssertionError(f"the run ended before it said {text!r}")


def weights(folder):
    return checkpoint.read(folder / "model.pt.best")["state"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The weights of a run that nothing stopped."""
    folder = tmp_path_factory.mktemp("whole")
    lay_table(folder)
    done = command(*RUN, cwd=folder)
    assert done.returncode == 0, done.stderr
    return weights(folder / "artifacts" / NAME)


@pytest.mark.fault(
    "SIGKILL while a model is trained",
    "`--resume` goes on from the last epoch to the same weights, bit for bit; other settings are refused",
)
@pytest.mark.fault(
    "SIGTERM and SIGINT while a model is trained",
    "exit 143 and 130 with the command that goes on; `--resume` leads to the same weights, bit for bit",
)
@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_killed_run_resumes_to_the_same_weights(files, whole, number):
    process = start(files)
    wait_for(process, "epoch 3/6")
    time.sleep(0.05)
    process.send_signal(number)
    process.stderr.read()
    code = process.wait()
    assert code == {signal.SIGTERM: 143, signal.SIGINT: 130, signal.SIGKILL: -9}[number]
    assert not (files / "artifacts" / NAME).exists()
    refused = command(*RUN, cwd=files)
    assert refused.returncode == 2 and "--resume" in refused.stderr
    other = command(*RUN[:-2], "--lr", "0.5", "--resume", cwd=files)
    assert (
        other.returncode == 4 and "the interrupted run had" in other.stderr and "--lr 0.001 (now 0.5)" in other.stderr
    )
    resumed = command(*RUN, "--resume", cwd=files)
    assert resumed.returncode == 0, resumed.stderr
    again = weights(files / "artifacts" / NAME)
    assert all(torch.equal(whole[key], again[key]) for key in whole)


def test_a_run_that_diverges_exits_with_5_and_keeps_its_files_aside(files):
    done = go(files, *RUN, "--lr 1e38 --optimizer sgd --clip 0")
    assert done.code == 5 and "Traceback" not in done.err
    assert "loss became" in done.err and "a smaller --lr" in done.err
    assert not (files / "artifacts" / NAME).exists()
