"""The optimizer and the learning rate over time, each chosen by name.

`adamw`, `adam`, `sgd` and `cosine`, `plateau`, `none` are this toolkit's variants: norms and biases do not decay, and
the learning rate rises at first. The name of a class of torch.optim or torch.optim.lr_scheduler means that class as
plain torch has it: one group of all trained parameters, `--lr`, `--weight-decay` and the arguments given, no rise.

A scheduler is stepped once an epoch, ReduceLROnPlateau with the monitor. OneCycleLR and CyclicLR, which torch made for
steps, are stepped once a step; OneCycleLR spans the whole run unless its length is given.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer, lr_scheduler
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from config import RunConfig
from errors import UsageError, nearest

STEPS_AN_EPOCH, STEPS = 20, 1000  # at least so many where batch size and epochs are not given
LEAST_BATCH, MOST_EPOCHS = 4, 200  # for them
WARMUP = 0.05  # share of the steps over which the learning rate rises
OPTIMIZERS: dict[str, type[Optimizer]] = {
    "adamw": torch.optim.AdamW,
    "adam": torch.optim.Adam,
    "sgd": torch.optim.SGD,
}
SCHEDULERS: dict[str, type[LRScheduler] | None] = {"cosine": None, "plateau": ReduceLROnPlateau, "none": None}
BY_STEP = (lr_scheduler.OneCycleLR, lr_scheduler.CyclicLR)
NOT_TEXT = {  # schedulers whose arguments cannot be written as text
    "LambdaLR": "a function",
    "MultiplicativeLR": "a function",
    "SequentialLR": "other schedulers",
    "ChainedScheduler": "other schedulers",
}
GIVEN = {"params", "optimizer", "lr", "weight_decay", "last_epoch"}  # arguments that --*-args cannot set


# --- names and arguments ---------------------------------------------------------------------------------------------


def classes(flag: str) -> dict[str, Any]:
    """The public classes that `--optimizer` or `--scheduler` may name, by name."""
    module, base = (torch.optim, Optimizer) if flag == "optimizer" else (lr_scheduler, LRScheduler)
    found = {name: kind for name, kind in vars(module).items() if isinstance(kind, type) and not name.startswith("_")}
    return {name: kind for name, kind in found.items() if issubclass(kind, base) and kind is not base}


def optimizer_class(name: str) -> type[Optimizer]:
    """The optimizer called `name`. UsageError for an unknown one, with the nearest name, and for one with a closure."""
    known = OPTIMIZERS | classes("optimizer")
    if name not in known:
        raise _unknown("optimizer", name, known)
    kind: type[Optimizer] = known[name]
    if inspect.signature(kind.step).parameters["closure"].default is inspect.Parameter.empty:
        raise UsageError(
            f"{name} evaluates the loss again within a step (a closure), which training in batches does not support",
            where=f"--optimizer {name}",
        )
    return kind


def scheduler_class(name: str) -> type[LRScheduler] | None:
    """The scheduler called `name`; None: cosine or none. UsageError for an unknown one, or one that needs objects."""
    known = SCHEDULERS | classes("scheduler")
    if name not in known:
        raise _unknown("scheduler", name, known)
    if name in NOT_TEXT:
        raise UsageError(f"{name} needs {NOT_TEXT[name]}, which text cannot give", where=f"--scheduler {name}")
    kind: type[LRScheduler] | None = known[name]
    return kind


def _unknown(flag: str, name: str, known: Mapping[str, Any]) -> UsageError:
    hint = nearest(name, known) or f"one of {', '.join(sorted(known))}"
    return UsageError(f"there is no {flag} {name!r}", where=f"--{flag} {name}", hint=hint)


def check_arguments(flag: str, name: str, kind: type | None, given: Mapping[str, Any]) -> None:
    """Refuse arguments that an optimizer or scheduler does not have.

    Parameters
    ----------
    flag : "optimizer" or "scheduler".
    name, kind : what was chosen, and its class; None for a scheduler without a class.
    given : {argument: value} of --optimizer-args or --scheduler-args.

    Raises
    ------
    UsageError : an unknown argument, or one that is required and missing.
    """
    where = f"--{flag}-args"
    table = {} if kind is None else dict(inspect.signature(kind).parameters)
    known = sorted(table.keys() - GIVEN)
    for key in given:
        if key not in known:
            listed = f"{name} knows {', '.join(known) or 'no arguments'}"
            hint = f"--{key.replace('_', '-')} sets it" if key in ("lr", "weight_decay") else listed
            text = f"{name} has no argument {key!r}"
            raise UsageError(text, where=where, hint="; ".join(filter(None, [nearest(key, known), hint])))
    empty = inspect.Parameter.empty
    lacking = [key for key, row in table.items() if row.default is empty and key not in GIVEN and key not in given]
    if lacking:
        hint = f"{where} " + " ".join(f"{key}=..." for key in lacking)
        raise UsageError(f"{name} needs {' and '.join(lacking)}", where=f"--{flag} {name}", hint=hint)


def check(config: RunConfig, device: torch.device) -> None:
    """UsageError unless the optimizer and the scheduler can be built and take a step, tried on three small tensors.

    torch itself checks the values of arguments; its complaint becomes the message.
    """
    optimizer_kind, scheduler_kind = optimizer_class(config.optimizer), scheduler_class(config.scheduler)
    check_arguments("optimizer", config.optimizer, optimizer_kind, config.optimizer_args)
    check_arguments("scheduler", config.scheduler, scheduler_kind, config.scheduler_args)
    ours = config.optimizer in OPTIMIZERS and config.scheduler in SCHEDULERS
    if ours and not config.optimizer_args and not config.scheduler_args:
        return
    model = nn.ParameterList([torch.ones(*shape, device=device) for shape in ((2, 3), (2,), (2, 1, 3))])
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    with _as_usage_error(f"--optimizer {config.optimizer}"):
        optimizer = make_optimizer(model, config)
        optimizer.step()
    with _as_usage_error(f"--scheduler {config.scheduler}"):
        schedule = Schedule(optimizer, config, 1, config.scheduler_args.get("mode", "min"))
        schedule.before_step(0)
        optimizer.step()
        schedule.after_step()
        schedule.after_epoch(1.0)


@contextmanager
def _as_usage_error(where: str) -> Iterator[None]:
    """Turn what torch raises against an optimizer or scheduler into a UsageError: it is the user's mistake."""
    try:
        yield
    except UsageError:
        raise
    except Exception as error:
        raise UsageError(f"cannot be used: {str(error).splitlines()[0]}", where=where) from None


def fitting(config: RunConfig, windows: int) -> dict[str, Any]:
    """The batch size and the number of epochs that suit so many training windows, where they are not given.

    On a few hundred windows the usual batch would be one step an epoch, and thirty epochs thirty steps.
    """
    batch, epochs = config.batch_size, config.epochs
    if "batch_size" not in config.given:
        batch = min(batch, max(windows // STEPS_AN_EPOCH, LEAST_BATCH))
    if "epochs" not in config.given:
        steps = max(-(-windows // batch), 1)
        epochs = max(epochs, min(-(-STEPS // steps), MOST_EPOCHS))
    return {"batch_size": batch, "epochs": epochs}


# --- made for a model ------------------------------------------------------------------------------------------------


def make_optimizer(model: nn.Module, config: RunConfig) -> Optimizer:
    """The optimizer over the parameters of `model` that require gradients, with the settings of `config`."""
    trained = [p for p in model.parameters() if p.requires_grad]
    kind = optimizer_class(config.optimizer)
    args = _tuples(config.optimizer_args)
    if config.compile == "off" and not args.get("differentiable"):
        kind = _without_compiler(kind)
    if config.optimizer not in OPTIMIZERS:
        both: dict[str, Any] = {"lr": config.lr, "weight_decay": config.weight_decay}
        known = inspect.signature(kind).parameters
        return kind(trained, **{key: value for key, value in both.items() if key in known}, **args)
    groups = [
        {"params": [p for p in trained if p.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},  # norms and biases do not decay
    ]
    groups = [group for group in groups if group["params"]]
    defaults: dict[str, Any] = {"momentum": 0.9} if config.optimizer == "sgd" else {"fused": True}
    return kind(groups, **{"lr": config.lr} | defaults | args)


def _without_compiler(kind: type[Optimizer]) -> type[Optimizer]:
    """An optimizer's class that does not import torch.compile, 1.3 CPU-seconds that a run without it has no use for.

    torch hides parts of its optimizers from the compiler in two ways. Some methods of `Optimizer` have a wrapper that
    imports it at the first call, to make the hidden version, and keeps that on the method
    (`torch._compile._disable_dynamo`): where nothing is compiled, the method itself is that version. And `step` has one
    that breaks the compiler's graph before and after, and turns gradients off: here it only turns them off. A torch
    without these wrappers gives the class as it is.
    """
    for method in filter(inspect.isfunction, vars(Optimizer).values()):
        if method.__globals__["__name__"] == "torch._compile":
            plain = vars(method)["__wrapped__"]
            vars(plain).setdefault("__dynamo_disable", plain)
    step = inspect.unwrap(kind.step)
    return type(kind.__name__, (kind,), {"step": torch.no_grad()(step)}) if step is not kind.step else kind


def _make_scheduler(optimizer: Optimizer, config: RunConfig, total: int, direction: str) -> LRScheduler | None:
    kind = scheduler_class(config.scheduler)
    if kind is None:
        return None
    args: dict[str, Any] = _tuples(config.scheduler_args)
    if kind is ReduceLROnPlateau:
        if args.get("mode", direction) != direction:
            hint = f"leave it out: the monitor of this task is best at its {direction}"
            raise UsageError(
                f"mode {args['mode']} follows the monitor in the wrong direction", where="--scheduler-args", hint=hint
            )
        ours = {"factor": 0.5, "patience": max(config.patience // 3, 1)} if config.scheduler in SCHEDULERS else {}
        return kind(optimizer, **{"mode": direction} | ours | args)
    if kind is lr_scheduler.OneCycleLR and not args.keys() & {"total_steps", "epochs", "steps_per_epoch"}:
        args["total_steps"] = total
    made = kind(optimizer, **args)
    if isinstance(made, lr_scheduler.OneCycleLR) and made.total_steps < total:
        text = f"{config.scheduler} ends after {made.total_steps} steps, the run takes {total}"
        raise UsageError(text, where="--scheduler-args", hint="without total_steps it takes the length of the run")
    return made


def _tuples(args: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in args.items()}


class Schedule:
    """Sets the learning rate of `optimizer` over epochs of `steps` steps; `lr` is the rate of the latest step.

    `direction` is "min" or "max": which values of the monitor are better.
    """

    def __init__(self, optimizer: Optimizer, config: RunConfig, steps: int, direction: str) -> None:
        self.optimizer, self.config, self.total = optimizer, config, config.epochs * steps
        self.scheduler = _make_scheduler(optimizer, config, self.total, direction)
        self.lr = float(optimizer.param_groups[0]["lr"])

    def before_step(self, step: int) -> None:
        """Set the learning rate for a step; `step` counts from the start of the run."""
        if self.scheduler is None:
            factor = lr_factor(step, self.total, self.config.scheduler)
            for group in self.optimizer.param_groups:
                group["lr"] = self.config.lr * factor
        self.lr = self.optimizer.param_groups[0]["lr"]

    def after_step(self) -> None:
        """To be called when the optimizer has made its step."""
        if isinstance(self.scheduler, BY_STEP):
            self.scheduler.step()

    def after_epoch(self, value: float | None) -> None:
        """To be called at the end of an epoch with the value of the monitor; None where it is undefined."""
        if isinstance(self.scheduler, ReduceLROnPlateau):
            if value is not None:
                self.scheduler.step(value)
        elif self.scheduler is not None and not isinstance(self.scheduler, BY_STEP):
            self.scheduler.step()

    def state(self) -> dict[str, Any]:
        """Plain values for a checkpoint; the state of the optimizer, with its groups, is kept beside them."""
        kept = None if self.scheduler is None else _plain(self.scheduler.state_dict())
        return {"lr": self.lr, "scheduler": kept}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state` returned."""
        self.lr = state["lr"]
        if self.scheduler is not None:
            self.scheduler.load_state_dict(dict(state["scheduler"]))


def _plain(state: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a scheduler's state that may change; the rest follows from its arguments."""
    return {key: value for key, value in state.items() if isinstance(value, (int, float, str, list, type(None)))}


def lr_factor(step: int, total: int, scheduler: str) -> float:
    """Share of the peak learning rate at a step: a linear rise, then half a cosine down to 0 (or flat: "none")."""
    if scheduler == "none":
        return 1.0
    rise = max(round(WARMUP * total), 1)
    if step < rise:
        return (step + 1) / rise
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(total - rise, 1)))
