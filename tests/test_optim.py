"""optim.py: a name means what plain torch does, step by step, stopped and resumed; or it is refused with a reason."""

from __future__ import annotations

import copy
import signal

import pytest
import torch
from torch import nn
from torch.optim import lr_scheduler

import checkpoint
import optim
from config import RunConfig, typed
from errors import Interrupted, UsageError

from .runs import go
from .test_trainer import make

CPU = torch.device("cpu")
NOT_HERE = {"LBFGS", "SparseAdam", "Muon"}
OPTIMIZERS = sorted(
    name
    for name, kind in vars(torch.optim).items()
    if isinstance(kind, type) and issubclass(kind, torch.optim.Optimizer) and name != "Optimizer"
)
SCHEDULERS = {
    "StepLR": {"step_size": 2, "gamma": 0.5},
    "MultiStepLR": {"milestones": [1, 3], "gamma": 0.1},
    "ConstantLR": {"factor": 0.5, "total_iters": 2},
    "LinearLR": {"start_factor": 0.2, "total_iters": 3},
    "ExponentialLR": {"gamma": 0.7},
    "PolynomialLR": {"total_iters": 5, "power": 2},
    "CosineAnnealingLR": {"T_max": 3},
    "CosineAnnealingWarmRestarts": {"T_0": 2},
    "ReduceLROnPlateau": {"patience": 0, "factor": 0.3},
    "OneCycleLR": {"max_lr": 0.1},
    "CyclicLR": {"base_lr": 0.01, "max_lr": 0.1, "step_size_up": 3},
}
BY_HAND = {"LambdaLR", "MultiplicativeLR", "SequentialLR", "ChainedScheduler"}


def small() -> nn.Module:
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(4, 3), nn.LayerNorm(3))
    model(torch.randn(5, 4)).pow(2).sum().backward()
    return model


@pytest.mark.parametrize(
    ("windows", "given", "wanted"),
    [
        (100_000, {}, (512, 30)),
        (10_000, {}, (500, 50)),
        (400, {}, (20, 50)),
        (20, {}, (4, 200)),
        (400, {"epochs": 3}, (20, 3)),
        (400, {"batch_size": 400}, (400, 200)),
        (400, {"batch_size": 64, "epochs": 2}, (64, 2)),
    ],
)
def test_batch_and_epochs_suit_the_number_of_windows_where_they_are_not_given(windows, given, wanted):
    """Twenty steps an epoch and a thousand in all, with batches of 4 to 512 and at most 200 epochs."""
    config = RunConfig(**given, given=frozenset(given))
    assert tuple(optim.fitting(config, windows)[name] for name in ("batch_size", "epochs")) == wanted


@pytest.mark.parametrize("name", [name for name in OPTIMIZERS if name not in NOT_HERE])
def test_a_class_is_that_class_on_all_parameters_with_the_users_words(name):
    mine, plain = small(), small()
    config = RunConfig(optimizer=name, lr=0.03, weight_decay=0.2)
    optim.check(config, CPU)
    optimizer = optim.make_optimizer(mine, config)
    decay = {} if name == "Rprop" else {"weight_decay": 0.2}  # the one without such an argument
    known = getattr(torch.optim, name)(plain.parameters(), lr=0.03, **decay)
    before = [p.detach().clone() for p in mine.parameters()]
    optimizer.step()
    known.step()
    assert len(optimizer.param_groups) == 1
    for old, one, other in zip(before, mine.parameters(), plain.parameters(), strict=True):
        assert torch.equal(one, other) and not torch.equal(one, old)


def test_arguments_reach_the_optimizer():
    config = RunConfig(optimizer="RMSprop", lr=0.1, optimizer_args={"momentum": 0.7, "centered": True})
    group = optim.make_optimizer(small(), config).param_groups[0]
    assert (group["momentum"], group["centered"], group["alpha"]) == (0.7, True, 0.99)
    own = optim.make_optimizer(small(), RunConfig(optimizer="sgd", optimizer_args={"nesterov": True})).param_groups[0]
    assert (own["momentum"], own["nesterov"]) == (0.9, True)
    betas = optim.make_optimizer(small(), RunConfig(optimizer="Adam", optimizer_args={"betas": [0.5, 0.6]}))
    assert betas.param_groups[0]["betas"] == (0.5, 0.6)


def plain_rates(name, steps, epochs, monitor):
    """The rate of every epoch's last step, by a loop in plain torch."""
    args = dict(SCHEDULERS[name])
    if name == "OneCycleLR":
        args["total_steps"] = steps * epochs
    optimizer = torch.optim.SGD([torch.ones(2, requires_grad=True)], lr=0.05, momentum=0.9)
    scheduler = getattr(lr_scheduler, name)(optimizer, **args)
    rates = []
    for epoch in range(epochs):
        for _ in range(steps):
            used = optimizer.param_groups[0]["lr"]
            optimizer.step()
            if name in ("OneCycleLR", "CyclicLR"):
                scheduler.step()
        rates.append(used)
        if name == "ReduceLROnPlateau":
            scheduler.step(monitor[epoch])
        elif name not in ("OneCycleLR", "CyclicLR"):
            scheduler.step()
    return rates


@pytest.mark.parametrize("name", SCHEDULERS)
def test_a_scheduler_moves_the_rate_as_the_same_loop_in_plain_torch(name):
    trainer, _ = make(optimizer="SGD", optimizer_args={"momentum": 0.9}, lr=0.05, weight_decay=0.0, epochs=6,
                      scheduler=name, scheduler_args=SCHEDULERS[name])  # fmt: skip
    history = trainer.run().history
    expected = plain_rates(name, trainer.steps, 6, [line["val_mse"] for line in history])
    assert [line["lr"] for line in history] == pytest.approx(expected, rel=1e-12)
    assert len(set(expected)) > 1 or name == "ReduceLROnPlateau"


def test_a_plateau_lowers_the_rate_when_the_monitor_stands_still():
    values = iter([1.0, 2.0, 2.0, 2.0])
    trainer, _ = make(monkey=lambda outputs: {"mse": next(values)}, optimizer="SGD", lr=0.1, weight_decay=0.0,
                      scheduler="ReduceLROnPlateau", scheduler_args={"patience": 1, "factor": 0.1})  # fmt: skip
    assert [line["lr"] for line in trainer.run().history] == pytest.approx([0.1, 0.1, 0.1, 0.01])


def test_every_scheduler_of_torch_is_tried_here_or_refused():
    known = {name for name, kind in vars(lr_scheduler).items()
             if isinstance(kind, type) and issubclass(kind, lr_scheduler.LRScheduler)}  # fmt: skip
    assert {name for name in known if not name.startswith("_")} - {"LRScheduler"} == SCHEDULERS.keys() | BY_HAND


def test_training_with_a_class_is_the_loop_in_plain_torch():
    trainer, _ = make(optimizer="Adam", lr=0.02, weight_decay=0.1, clip=0.0, scheduler="CyclicLR",
                      scheduler_args=SCHEDULERS["CyclicLR"] | {"cycle_momentum": False})  # fmt: skip
    model = copy.deepcopy(trainer.model)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02, weight_decay=0.1)
    scheduler = lr_scheduler.CyclicLR(optimizer, 0.01, 0.1, step_size_up=3, cycle_momentum=False)
    torch.manual_seed(5)
    for epoch in range(4):
        model.train()
        for positions in trainer.train.shuffled(trainer.batch_size, 777 * 1_000_003 + epoch):
            x, y = trainer.train.gather(positions)
            optimizer.zero_grad()
            (model(x) - y).square().mean().backward()
            optimizer.step()
            scheduler.step()
    torch.manual_seed(5)
    trainer.run()
    assert torch.allclose(trainer.last_state["map.weight"], model.map.weight, atol=1e-7)


@pytest.mark.parametrize("stop_at", [5, 8])  # at the end of an epoch of five steps, and within one
@pytest.mark.parametrize("name", SCHEDULERS)
def test_a_stopped_run_goes_on_bit_for_bit(name, stop_at, tmp_path):
    settings = {"optimizer": "NAdam" if name == "StepLR" else "SGD", "lr": 0.05, "scheduler": name}
    settings["scheduler_args"] = SCHEDULERS[name]
    settings["optimizer_args"] = {} if name == "StepLR" else {"momentum": 0.9}
    whole, _ = make(**settings)
    torch.manual_seed(9)
    expected = whole.run()
    stopped, saved = make(at={2 + stop_at: lambda: signal.raise_signal(signal.SIGTERM)}, **settings)
    torch.manual_seed(9)
    with pytest.raises(Interrupted):
        stopped.run()
    checkpoint.save(tmp_path / "model.pt", {"state": saved[-1][1], "training": saved[-1][2]})
    stored = checkpoint.read(tmp_path / "model.pt")
    resumed, _ = make(**settings)
    resumed.restore(stored["state"], stored["training"])
    got = resumed.run()
    assert all(torch.equal(whole.last_state[key], resumed.last_state[key]) for key in whole.last_state)
    assert [line["lr"] for line in got.history] == [line["lr"] for line in expected.history]


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"optimizer": "Adm"}, "there is no optimizer 'Adm'"),
        ({"optimizer": "Adm"}, "did you mean Adam?"),
        ({"optimizer": "LBFGS"}, "a closure"),
        ({"optimizer": "SparseAdam"}, "does not support dense gradients"),
        ({"optimizer": "Muon"}, "only supports 2D parameters"),
        ({"optimizer": "RMSprop", "optimizer_args": {"momentun": 1}}, "did you mean momentum?"),
        ({"optimizer": "RMSprop", "optimizer_args": {"momentun": 1}}, "RMSprop knows alpha, capturable"),
        ({"optimizer": "Adam", "optimizer_args": {"lr": 1}}, "--lr sets it"),
        ({"optimizer": "Adam", "optimizer_args": {"betas": [0.9, 2]}}, "Invalid beta parameter at index 1: 2"),
        ({"optimizer": "SGD", "optimizer_args": {"momentum": "much"}}, "--optimizer SGD: cannot be used"),
        ({"scheduler": "StpLR"}, "did you mean StepLR?"),
        ({"scheduler": "StepLR"}, "StepLR needs step_size"),
        ({"scheduler": "CyclicLR"}, "CyclicLR needs base_lr and max_lr"),
        ({"scheduler": "StepLR", "scheduler_args": {"step_size": 1, "gama": 1}}, "did you mean gamma?"),
        ({"scheduler": "StepLR", "scheduler_args": {"step_size": 0}}, "--scheduler StepLR: cannot be used"),
        ({"scheduler": "LambdaLR"}, "needs a function, which text cannot give"),
        ({"scheduler": "ChainedScheduler"}, "needs other schedulers"),
        ({"scheduler": "cosine", "scheduler_args": {"T_max": 3}}, "cosine knows no arguments"),
    ],
)
def test_what_cannot_train_is_refused_with_the_reason(settings, text):
    with pytest.raises(UsageError) as caught:
        optim.check(RunConfig(**settings), CPU)
    assert text in str(caught.value)


def test_a_cycle_that_ends_before_the_run_and_a_monitor_followed_the_wrong_way():
    with pytest.raises(UsageError, match="ends after 3 steps, the run takes 20"):
        make(scheduler="OneCycleLR", scheduler_args={"max_lr": 0.1, "total_steps": 3})
    with pytest.raises(UsageError, match="in the wrong direction"):
        make(scheduler="ReduceLROnPlateau", scheduler_args={"mode": "max"})


def test_words_of_a_shell_become_the_values_they_spell():
    given = ["0.9", "1e-4", "true", "None", "0.9,0.95", "[1, 2]", "cos", "b'x'", 3, [1, "2"]]
    told = [0.9, 1e-4, True, None, [0.9, 0.95], [1, 2], "cos", "b'x'", 3, [1, 2]]
    assert [typed(value) for value in given] == told


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("--optimizer Adm", "did you mean Adam?"),
        ("--loss SmothL1Loss", "did you mean SmoothL1Loss?"),
        ("--loss KLDivLoss", "does not suit standardised values"),
        ("--loss CTCLoss", "does not compare numbers with numbers"),
    ],
)
@pytest.mark.filterwarnings("ignore:reduction")
def test_the_command_line_answers_before_anything_is_written(tmp_path, words, text):
    done = go(tmp_path, "--mode train --task forecast --demo --context-len 24", words)
    assert done.code == 2 and text in done.err and "Traceback" not in done.err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["SmoothL1Loss", "L1Loss", "HuberLoss", "MSELoss"])
def test_a_loss_of_torch_trains_a_forecast(tmp_path, name):
    done = go(tmp_path, "--mode train --task forecast --demo --context-len 24 --horizon 2 --backbone dlinear",
              "--epochs 1 --reference off --no-plots --optimizer Adagrad --scheduler ExponentialLR",
              f"--scheduler-args gamma=0.5 --loss {name}")  # fmt: skip
    assert done.code == 0, done.err
    again = (done.directory / "config.yaml").read_text()
    assert f"loss: {name}" in again and "gamma: 0.5" in again
