"""The fastest of float32, bfloat16 and numbers of threads, by the clock, where training on a CPU is long.

Copies of the model take the same steps each way, so that the run begins as if nothing had been measured. What was
measured stands in the configuration, in the checkpoints and, as flags, in the command of the manifest: a run that is
resumed or repeated looks at no clock.
"""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import torch

from errors import is_out_of_memory
from hardware import Precision
from training.states import random_states, set_random_states, train_mode

if TYPE_CHECKING:
    from trainer import Trainer

LONG = 60.0  # seconds of training, below which nothing is measured
STATED = LONG / 10  # from which the command says how it was: elsewhere, or on a busy machine, the same would be long
SPENT, LEAST = 0.5, 3  # seconds that measuring takes, and steps in a row each way
SHARE = 20  # steps of a training to one that is measured, at least
GAIN = 1.2  # times faster, from which another way is taken
NEAR = 0.01  # of the validation loss, that another precision may change
BATCHES = 4  # of validation, and others of training

log = logging.getLogger("tsrun")
Clock = Callable[[], float]  # seconds


@dataclass(frozen=True)
class Way:
    """How steps are taken."""

    precision: Precision
    threads: int

    def __str__(self) -> str:
        return f"{self.precision.name}, {self.threads} thread{'s' * (self.threads > 1)}"


def fastest(trainer: Trainer, seconds: float, tried: Clock, clock: Clock = time.perf_counter) -> dict[str, Any]:
    """The flags of the fastest way to train, of those that the user left open.

    Parameters
    ----------
    seconds : that a step took, which may have been the first of the process.
    tried : takes one that changes nothing, and says how long it took.

    Returns
    -------
    {"amp": whether, "threads": how many}, without what was given; what was chosen before, if it was; {} where training
    is short.
    """
    config, total = trainer.config, trainer.steps * trainer.config.epochs
    if config.measured is not None:
        return config.measured
    now = Way(trainer.precision, torch.get_num_threads())
    amp, counts = _open(trainer)

    def long(step: float, least: float) -> bool:
        return min(step * total, config.budget or math.inf) >= least

    if not (amp or counts) or not long(seconds, STATED) or not long(seconds := tried(), STATED):
        return {}
    ways = [Way(each, n) for each in (now.precision, *amp) for n in (now.threads, *counts)]
    chosen = now
    if long(seconds, LONG) and total >= SHARE * LEAST * len(ways):
        chosen = _chosen(trainer, ways, LONG / total, clock)
    found: dict[str, Any] = {"amp": chosen.precision.dtype is not None} if amp else {}
    return found | ({"threads": chosen.threads} if counts else {})


def words(measured: Mapping[str, Any] | None) -> list[str]:
    """What `fastest` found, as a command line has it."""
    flags = {"amp": ["--amp"], "threads": ["--threads", str((measured or {}).get("threads"))]}
    return [word for name in measured or {} for word in (flags[name] if measured and measured[name] else ["--no-amp"])]


def _open(trainer: Trainer) -> tuple[list[Precision], list[int]]:
    """What else the machine can do and the user did not rule out: a precision, numbers of threads."""
    given, device = trainer.config.given, trainer.precision.device
    if device.type != "cpu" or trainer.config.compile != "off":
        return [], []
    lower, threads = Precision.choose(True, device), torch.get_num_threads()
    open_amp = "amp" not in given and trainer.precision.dtype is None and lower.dtype is not None
    # A closed form under the net was solved with all threads, which --threads 1 would do in another order of sums.
    open_threads = "threads" not in given and "OMP_NUM_THREADS" not in os.environ and trainer.train.under is None
    fewer = sorted({max(threads // 2, 1), 1} - {threads}, reverse=True)
    return [lower] * open_amp, fewer * open_threads


def _chosen(trainer: Trainer, ways: Sequence[Way], enough: float, clock: Clock) -> Way:
    """The fastest of `ways`, the first of which is how it is; that one where a step takes less than `enough` seconds,
    or where little is won. Told, and nothing else is changed."""
    threads, states = torch.get_num_threads(), random_states()
    try:
        twins = {way.precision: trainer.twin(way.precision) for way in ways}
        taken = _timed(twins, ways, enough, clock)
        torch.set_num_threads(threads)
        losses = {precision: _loss(twin) for precision, twin in twins.items()}
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        return ways[0]
    finally:
        set_random_states(states)
        torch.set_num_threads(threads)
    before = losses[ways[0].precision]
    same = [way for way in ways if abs(losses[way.precision] - before) <= NEAR * abs(before)]
    best = min(same, key=taken.__getitem__, default=ways[0])
    if taken[ways[0]] < max(enough, GAIN * taken[best]):
        return ways[0]
    steps = " in place of ".join(f"{1e3 * taken[way]:.3g} ms ({way})" for way in (best, ways[0]))
    loss = f"validation loss {losses[best.precision]:.4g} and {before:.4g}"
    log.info("training takes the fastest of %d ways: %s a step, %s; --no-amp, --threads set it", len(ways), steps, loss)
    return best


def _timed(twins: Mapping[Precision, Trainer], ways: Sequence[Way], enough: float, clock: Clock) -> dict[Way, float]:
    """The seconds of the fastest step each way; those of one precision go on with one copy of the model."""
    first = next(iter(twins.values()))
    order = list(islice(first.train.shuffled(first.batch_size, first.config.seed), BATCHES))
    taken, until = dict.fromkeys(ways, math.inf), clock() + SPENT
    while math.isinf(taken[ways[-1]]) or clock() < until:
        for way in ways:
            torch.set_num_threads(way.threads)
            twin = twins[way.precision]
            for _ in range(LEAST):
                torch.manual_seed(twin.progress.step)  # dropout is the same with each precision
                begun = clock()
                twin.take(order[twin.progress.step % len(order)])
                taken[way] = min(taken[way], clock() - begun)
            if taken[ways[0]] < enough:
                return taken  # the first steps of a process take longer than others
    return taken


def _loss(twin: Trainer) -> float:
    """The loss on some batches that lie all over validation."""
    n, device, losses = len(twin.val), twin.precision.device, []
    twin.model.eval()
    for first in sorted({n * k // BATCHES for k in range(BATCHES)}):
        numbers = torch.arange(first, min(first + twin.batch_size, n), device=twin.val.device)
        *seen, y = (part.to(device) for part in twin.val.gather(twin.val.locate(numbers)))
        with torch.no_grad(), twin.precision.autocast():
            outputs = twin.model(*seen)
        losses.append(float(twin.validation.loss(outputs.float(), y)))
    train_mode(twin.model)
    return sum(losses) / len(losses)
