"""Whether bfloat16 or fewer threads make a long training on a CPU faster: measured in the warm-up, and told.

Nothing is chosen by it, so that two runs of one seed do the same, whatever else the machine does meanwhile.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import nn

from config import RunConfig
from hardware import Precision, untouched

LONG = 60.0  # seconds of training, below which nothing is measured
SPENT, LEAST = 0.5, 2  # seconds that measuring takes, and steps each way
GAIN = 1.2  # times faster, from which a flag is worth a line
NEAR = 0.02  # of the loss of a batch, that another precision may change

log = logging.getLogger("tsrun")
Clock = Callable[[], float]  # seconds


class Trains(Protocol):
    """What is asked of a trainer."""

    model: nn.Module
    config: RunConfig
    precision: Precision
    steps: int  # of an epoch


@dataclass(frozen=True)
class Way:
    """How steps could be taken: the flag for it, the precision, and the threads (0: as it is)."""

    flag: str
    precision: Precision
    threads: int = 0


def advise(trainer: Trains, take: Callable[[], torch.Tensor], seconds: float, clock: Clock = time.perf_counter) -> None:
    """Tell of a flag that makes steps faster, where training is long.

    Parameters
    ----------
    take : takes a step with the trainer's precision, up to the gradients, and gives the loss of its batch first.
    seconds : that one step took.
    """
    ways = [Way("", trainer.precision), *_others(trainer.precision, trainer.config.given)]
    enough = LONG / (trainer.steps * trainer.config.epochs)  # seconds of a step
    if seconds < enough or len(ways) == 1 or trainer.config.compile != "off" or not log.isEnabledFor(logging.INFO):
        return
    taken: dict[str, list[float]] = {way.flag: [] for way in ways}
    losses: dict[str, float] = {}
    until = clock() + SPENT
    while len(taken[""]) < LEAST or clock() < until:
        for way in ways:
            begun = clock()
            losses[way.flag] = _taken(trainer, take, way)
            taken[way.flag].append(clock() - begun)
            if min(taken[""]) < enough:
                return  # the first step of a process takes longer than others
    best = {flag: min(times) for flag, times in taken.items()}
    same = [flag for flag in best if flag and abs(losses[flag] - losses[""]) <= NEAR * abs(losses[""])]
    flag = min(same, key=best.__getitem__, default="")
    if flag and best[""] >= GAIN * best[flag]:
        before, after = (f"{1e3 * best[one]:.3g} ms" for one in ("", flag))
        log.info("%s: a step takes %s in place of %s, and the loss of a batch is the same", flag, after, before)


def _others(precision: Precision, given: Collection[str]) -> list[Way]:
    """What the user left open and the machine can do."""
    found: list[Way] = []
    if precision.device.type != "cpu":
        return found
    lower = Precision.choose(True, precision.device)
    if "amp" not in given and precision.dtype is None and lower.dtype is not None:
        found.append(Way("--amp", lower))
    if "threads" not in given and torch.get_num_threads() > 1:
        found.append(Way("--threads 1", precision, 1))
    return found


def _taken(trainer: Trains, take: Callable[[], torch.Tensor], way: Way) -> float:
    """The loss of a step taken that way, which changes nothing."""
    threads, precision = torch.get_num_threads(), trainer.precision
    try:
        torch.set_num_threads(way.threads or threads)
        trainer.precision = way.precision
        with untouched(trainer.model):
            return float(take()[0])
    finally:
        torch.set_num_threads(threads)
        trainer.precision = precision
