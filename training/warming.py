"""What comes before the first step: whether memory is short, the fastest precision, the compiled model."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import torch

from errors import ResourceError, is_out_of_memory
from hardware import Precision, Runner, compile_model, largest_batch, untouched
from training.states import train_mode
from training.stopwatch import fastest

if TYPE_CHECKING:
    from trainer import Trainer


def warm_up(trainer: Trainer) -> None:
    """Choose and compile, and find out before the first epoch whether memory is short, and which batch size would fit.

    Sets what the trainer's model runs through, and the loss of a first batch; weights and random state stay.

    Raises
    ------
    ResourceError : the memory is too small for one batch.
    """
    train_mode(trainer.model)
    together = trainer.together
    some_unused, share = False, together.size(trainer.batch_size)

    def try_out(runner: Runner, size: int = share) -> None:
        nonlocal some_unused
        numbers = torch.arange(size, device=trainer.train.device).clamp_(max=len(trainer.train) - 1)
        trainer.first_loss = float(trainer.loss_and_gradients(runner, trainer.train.locate(numbers))[0])
        some_unused = any(p.grad is None for p in trainer.model.parameters() if p.requires_grad)

    def tried() -> float:
        begun = time.perf_counter()
        with untouched(trainer.model):
            try_out(trainer.model)
        return time.perf_counter() - begun

    warning, short = "", False
    try:
        seconds = tried()
        if trainer.on_choice is not None:
            _choose(trainer, fastest(trainer, seconds, tried) if together.first else {})
        trainer.runner, warning = compile_model(trainer.model, trainer.config.compile, try_out)
    except (MemoryError, RuntimeError) as error:
        short = is_out_of_memory(error)
        if not short:
            raise
    if short:  # probed outside the block above, whose traceback keeps the large batch alive
        fits = trainer.batch_size // 2 if together.world > 1 else 0  # the others do not try
        with untouched(trainer.model):
            fits = fits or largest_batch(share, lambda size: try_out(trainer.model, size))
        raise ResourceError(
            f"out of memory with batches of {trainer.batch_size} windows",
            where=f"--batch-size {trainer.config.batch_size}",
            hint=f"--batch-size {fits} fits" if fits else "a smaller model: not even one window fits",
        )
    trainer.warnings += [warning] * bool(warning)
    trainer.trained = together.reduced(trainer.runner, some_unused=some_unused)


def _choose(trainer: Trainer, found: dict[str, Any]) -> None:
    """Let every process train as the first one found fastest."""
    found = trainer.together.agreed(found)
    if "amp" in found:
        trainer.precision = Precision.choose(found["amp"], trainer.precision.device)
    if "threads" in found:
        torch.set_num_threads(found["threads"])
    trainer.config = trainer.config.as_measured(found)
    assert trainer.on_choice is not None
    trainer.on_choice(found)
