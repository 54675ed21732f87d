"""Which learners `auto` blends, by the target: measured on data kept apart.

A member is (backbone, its arguments, its weight before anything was seen); the cheapest come first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from backbones import Hyper, InputSpec, backbone_class, names
from backbones.by_steps import Net
from backbones.fitted import Fitted
from backbones.fitting import Fitting
from backbones.specs import TargetSpec
from backbones.transitions import Transitions
from errors import UsageError, nearest

Member = tuple[str, dict[str, Any], float]
Pool = tuple[Member, ...]

LABELS: Pool = (
    ("logistic", {"summaries": False}, 0.13),
    ("logistic", {}, 0.27),
    ("boosting", {}, 0.27),
    ("extra_trees", {}, 0.33),
)
VALUES: Pool = (("ridge", {}, 1.0), ("boosting", {}, 1.0), ("extra_trees", {}, 1.0))
SHAPES: Pool = (
    ("nearest", {}, 0.05),
    ("rocket", {"features": "steps"}, 0.04),
    ("extra_trees", {"summaries": False, "leaf": 1, "share": 0.1}, 0.10),
    ("rocket", {"features": "intervals"}, 0.12),
    ("rocket", {"features": "hydra"}, 0.08),
    ("quant", {}, 0.30),
    ("rocket", {}, 0.25),
)
# Classes of recordings by many sensors may be those of their last step; of few channels it says too little.
LAST: Pool = (
    ("extra_trees", {"summaries": False, "steps": 1}, 0.10),
    ("extra_trees", {"summaries": False, "steps": 1, "leaf": 1, "share": 0.1}, 0.10),
)
SENSORS = 4  # channels from which these join
# A few recordings show no more than a few cases, and of views that fit them alike the smallest is the likeliest to hold
# in another: so many times its usual weight.
SMALLEST = 20.0
SHAPE_VALUES: Pool = (  # none of them chooses anything on validation, of which folds have none
    ("rocket", {"features": "steps"}, 0.2),
    ("extra_trees", {}, 0.2),
    ("boosting", {"trees": 100}, 0.2),
    ("quant", {}, 0.4),
)
# Rows of a few numbers, each of which may be another quantity: trees that try all of them, and more of boosting.
ROWS: Pool = (("extra_trees", {"summaries": False, "leaf": 1, "share": 1.0}, 0.4),)
ROWS_VALUES: Pool = (*ROWS, ("boosting", {"trees": 150, "fixed": 150, "rate": 0.15, "leaves": 31, "share": 1.0}, 0.4))
# Things, of which each number is another quantity: what sees shapes in a row says nothing of them.
OF_THINGS: Pool = (
    ("rocket", {"features": "steps"}, 0.2),
    ("extra_trees", {"summaries": False}, 0.2),
    ("boosting", {"trees": 100}, 0.2),
    ("boosting", {"trees": 150, "fixed": 150, "rate": 0.15, "leaves": 31, "share": 1.0}, 0.2),
)
THINGS: Pool = (("logistic", {"summaries": False}, 0.2), *OF_THINGS)
# Where the window shows what its target was, all others say what it changes by; of a walk, that is nothing.
STAYS: Pool = (("persistence", {}, 0.0),)
KEEPS: Pool = (("persistence", {}, 0.1),)  # where it shows what its label was
FROM_DIRECTORY: Pool = (("mantis", {}, 0.0),)  # with --pretrained-dir, for whole series
NETS = "+gru,+llm_ts"  # where there is time for them
SIZES: dict[str, dict[str, Any]] = {"llm_ts": {"size": "tiny"}}  # what a member is by default, for its time
# Fewer rows or groups than these in training: without the forest of many, which has its weight from large sets.
MANY = 40
OF_MANY = "extra_trees"


class Persistence(Fitted):
    """The target's last value in the window, of labels what followed it in training; it is a member alone, since by
    itself it is a reference."""

    def __init__(self, inputs: InputSpec) -> None:
        super().__init__(inputs, Hyper("auto"))
        self.followed = Transitions(self.target) if self.target.cuts else None

    def answer(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(x) if self.followed is None else self.followed.answer(x)

    def fit_windows(self, data: Fitting) -> dict[str, Any]:
        """Of a value there is nothing to fit."""
        if self.followed is not None:
            self.followed.grow(data.train, data)
        return {}


def pool_of(given: str, target: TargetSpec, channels: int, length: int) -> Pool:
    """The members: those that suit the target, those given by name, or with a `+` before each name both.

    A pool may grow at its end alone: checkpoints hold those that there were.

    UsageError for a backbone that cannot be a member.
    """
    named = list(dict.fromkeys(name.strip() for name in given.split(",") if name.strip()))
    added = [name.removeprefix("+") for name in named if name.startswith("+")]
    for name in (each.removeprefix("+") for each in named):
        _check(name, target)
    if len(added) < len(named):
        return tuple((name.removeprefix("+"), SIZES.get(name.removeprefix("+"), {}), 1.0) for name in named)
    value = target.kind == "value"
    usual = ((LABELS, VALUES), (SHAPES, SHAPE_VALUES), (THINGS, OF_THINGS))[target.whole + target.things][value]
    last = LAST if target.whole and not value and channels >= SENSORS else ()
    last = STAYS if value and target.channel is not None else KEEPS if target.cuts else last
    rows = target.of_rows(channels * length)
    last = (*last, *((ROWS, ROWS_VALUES)[value and not target.things] if rows else ()))
    # What was not measured with the others has no weight before it has earned one.
    return (*usual, *((name, SIZES.get(name, {}), 0.0) for name in added), *last)


def favoured(entries: Sequence[Member]) -> list[float]:
    """How many times its usual weight each member has where a few recordings are all that there is."""
    return [SMALLEST if entry in LAST else 1.0 for entry in entries]


def _check(name: str, target: TargetSpec) -> None:
    if name in names() and _serves(name, target):
        return
    able = [other for other in names() if _serves(other, target)]
    hint = nearest(name, able) or f"for this target take {', '.join(able)}"
    raise UsageError(f"{name!r} cannot be blended here", where="--model-args members", hint=hint)


def _serves(name: str, target: TargetSpec) -> bool:
    if name == "auto":
        return False
    chosen = backbone_class(name)
    if chosen.blends_runs or chosen.stages or chosen.reads_modalities:
        return False
    return "pool" in chosen.heads and target.kind in chosen.kinds


def blank(member: Member, inputs: InputSpec) -> Fitted:
    """A member that knows nothing yet."""
    name, args, _ = member
    if name == "persistence":
        return Persistence(inputs)
    chosen = backbone_class(name)
    if not chosen.answers:
        return Net(inputs, name, args)
    made = chosen.build(inputs, Hyper(name, args))
    assert isinstance(made, Fitted)
    return made


def label(member: Member) -> str:
    """The name of a member, with the arguments that set it apart."""
    name, args, _ = member
    return " ".join([name, *(f"{key}={value}" for key, value in args.items())])
