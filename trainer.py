"""Epochs over windows: precision, compile, schedule, early stopping, resume, signals. Knows no task by name.

The step loop reads nothing back from the device: losses are summed there and looked at once an epoch.
"""

from __future__ import annotations

import copy
import logging
import math
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from types import FrameType
from typing import Any

import torch
from torch import nn
from tqdm import tqdm

import ranks
from backbones.alone import Validation
from config import RunConfig
from errors import CheckpointError, DivergedError, Interrupted, UsageError, is_out_of_memory
from evaler import batches, predict
from hardware import Precision, Runner, begin_step
from optim import Schedule, make_optimizer
from ranks.alone import Alone
from training.budget import Budget
from training.fetching import Fetching
from training.progress import Progress
from training.states import clone_state, random_states, set_random_states, train_mode
from training.validating import InBlocks
from training.warming import warm_up
from windows import Windows, steps

log = logging.getLogger("tsrun")
GROWTH = 1e6  # of the loss since training began, or of weights that began at about 1
ALONE = Alone()
FLUSH_SECONDS = 5.0  # the shortest time between two writes of a state: a kill costs at most this much work


class Trainer:
    """Trains `model` on `train` and validates it on `val` after every epoch.

    Parameters
    ----------
    model : the model, on the device of `precision`.
    train, val : windows of both parts.
    validation : loss and metrics.
    config : epochs, batch size, patience and the optimizer's settings.
    precision : of the forward pass.
    save : `save(kind, state, training)` writes a checkpoint; kind is "best" (training is None) or "last".
    listeners : get every epoch's line of the history.
    train_metrics : functions `(outputs, y) -> scalar`, averaged over the steps of an epoch like the loss.
    judges_start : the weights that training starts from are worth judging: they may be the best.
    averages : validation is too thin to choose an epoch by: the mean of the last third's weights is taken.
    in_blocks : judges validation in place of `validation`, where all outputs at once would take much memory.
    on_choice : gets the flags of the fastest precision and threads; where it is None, none are measured.
    """

    def __init__(
        self,
        model: nn.Module,
        train: Windows,
        val: Windows,
        validation: Validation,
        config: RunConfig,
        precision: Precision,
        save: Callable[[str, dict[str, torch.Tensor], dict[str, Any] | None], None],
        listeners: Sequence[Callable[[Mapping[str, Any]], None]] = (),
        train_metrics: Mapping[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] | None = None,
        *,
        judges_start: bool = False,
        averages: bool = False,
        in_blocks: InBlocks | None = None,
        on_choice: Callable[[dict[str, Any]], None] | None = None,
    ) -> None:
        self.model, self.train, self.val, self.validation = model, train, val, validation
        self.config, self.precision, self.save, self.listeners = config, precision, save, listeners
        self.train_metrics, self.judges_start = dict(train_metrics or {}), judges_start
        self.together = ranks.here()
        self._fetching = Fetching(train, precision.device)
        self.steps, self.batch_size = steps(len(train), config.batch_size)
        if self.batch_size < self.together.world:
            what = f"a batch of {self.batch_size} has no window for each of {self.together.world} processes"
            raise UsageError(what, where="--batch-size", hint=f"--nproc-per-node {self.batch_size}, or a larger one")
        self.optimizer = make_optimizer(model, config)
        self.schedule = Schedule(self.optimizer, config, self.steps, validation.direction)
        self.scaler = precision.scaler()
        self.progress, self.budget = Progress(), Budget(config.budget, config.epochs, self.steps)
        self.averages, self.in_blocks, self.on_choice = averages, in_blocks, on_choice
        self.best_state: dict[str, torch.Tensor] = {}
        self.start_state: dict[str, torch.Tensor] = {}
        self.mean_state: dict[str, torch.Tensor] = {}
        self.last_state: dict[str, torch.Tensor] = {}
        self.runner: Runner = model  # scores
        self.trained: Runner = model  # learns: its gradients are those of all processes
        self.warnings: list[str] = []
        self._total = torch.zeros(1 + len(self.train_metrics), device=precision.device)
        self._flushed = {"best": -math.inf, "last": -math.inf}
        self._unsaved_best = False
        self._signum = 0
        self.first_loss = math.inf  # the loss of a batch before the first step
        self._others: list[dict[str, Any]] = []  # random states of the other processes, of the same moment
        self._goes_on = False  # with the draws of the run that was interrupted

    # --- the run -----------------------------------------------------------------------------------------------------

    def run(self) -> Progress:
        """Train to the end; then `best_state` and `last_state` hold the weights.

        Raises
        ------
        DivergedError : a loss became NaN or infinite.
        Interrupted : SIGTERM or SIGINT came; the state is saved.
        ResourceError : the memory is too small for one batch.
        """
        self.together.meet()
        warm_up(self)
        if not self._goes_on:
            self.together.apart(self.config.seed, self.progress.epoch, self.progress.step)
        previous = {number: signal.signal(number, self._on_signal) for number in (signal.SIGTERM, signal.SIGINT)}
        self.budget.begin(self.progress)
        try:
            with self._bar() as bar:
                if self.judges_start and not self.best_state:
                    self._judge_start(bar)
                while not self._finished():
                    self._epoch(bar)
                    self.progress.seconds = self.budget.elapsed
                    self._close_epoch(bar)
        except RuntimeError as error:
            if self.together.lost(error):  # this step is not taken: what the last one left is whole
                self._keep()
            raise
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)
        self.last_state = clone_state(self.model)
        if self.progress.averaged:
            self._judge_mean()
        if self.progress.limit and self.progress.limit < self.config.epochs:
            self.warnings.append(f"--budget ended training after {self.progress.epoch} of {self.config.epochs} epochs")
        for epochs in self.progress.lengthened:
            more = f"and gone on with: not what one run of {self.config.epochs} epochs gives"
            self.warnings.append(f"begun with --epochs {epochs} {more}")
            log.warning("warning: %s", self.warnings[-1])
        return self.progress

    def _finished(self) -> bool:
        patience = 0 if self.averages else self.config.patience
        return self.progress.epoch >= self.budget.epochs(self.progress) or bool(
            patience and self.progress.stale >= patience
        )

    def _judge_start(self, bar: tqdm) -> None:
        start = self.progress.start = self._validate()
        self._weigh(0, start)
        self.start_state = self.best_state
        self._report(bar, start | {"epoch": 0, "seconds": 0.0})

    def _add_to_mean(self) -> None:
        """The running mean of the weights of the last third of the epochs."""
        epochs, epoch = self.budget.epochs(self.progress), self.progress.epoch
        first = epochs - max(epochs // 3, 1) + 1
        if not self.averages or epoch < first:
            return
        done = self.progress.averaged = [n for n in self.progress.averaged if n >= first] + [epoch]
        for name, value in clone_state(self.model).items():
            mean = self.mean_state.get(name, value)
            self.mean_state[name] = mean.lerp(value, 1 / len(done)) if value.is_floating_point() else value

    def _judge_mean(self) -> None:
        """Take the mean weights, unless validation finds those of the start better."""
        self.model.load_state_dict(self.mean_state)
        found, start = self._validate(), self.progress.start
        self.progress.best, self.best_state, self._unsaved_best = None, {}, True
        if start:
            self._weigh(0, start, self.start_state)
        self._weigh(self.progress.epoch, found, self.mean_state)
        self.model.load_state_dict(self.last_state)

    def _epoch(self, bar: tqdm) -> None:
        """The steps of one epoch (from `progress.step` on, when it was interrupted)."""
        train_mode(self.model)
        epoch, done, self._others = self.progress.epoch, self.progress.step, []
        order_seed = self.config.seed * 1_000_003 + epoch
        order = self.train.shuffled(self.batch_size, order_seed, skip=done)
        for positions in self._fetching.in_turn(order, self.together.share):
            self.take(positions)
            bar.update()
            self._leave_if_signalled()
            if self.budget.after_step(self.progress, self.schedule, self.together):
                break

    def take(self, positions: torch.Tensor) -> None:
        """One step on the windows at `positions` [2 or 3, B], of this process and its share of them."""
        self.schedule.before_step(self.progress.epoch * self.steps + self.progress.step)
        self._step(positions)
        self.schedule.after_step()
        self.progress.step += 1

    def _step(self, positions: torch.Tensor) -> None:
        self._total += self.loss_and_gradients(self.trained, positions, self.together)
        if self.scaler is not None:
            self.scaler.unscale_(self.optimizer)
        if self.config.clip:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip)
        if self.scaler is not None:
            self.scaler.step(self.optimizer)
            self.scaler.update()
        else:
            self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    def loss_and_gradients(self, runner: Runner, positions: torch.Tensor, together: Alone = ALONE) -> torch.Tensor:
        """A step up to the gradients: [the loss, each of `train_metrics`]."""
        parts = self._fetching.gather(positions, together.share)
        if parts[0].device != self.precision.device:  # data that are too large for the device: batches are copied
            parts = tuple(part.to(self.precision.device, non_blocking=True) for part in parts)
        *seen, y = parts
        begin_step()
        with self.precision.autocast():
            outputs = runner(*seen)
        outputs, y = together.whole(outputs.float(), y, positions.shape[1])
        loss = self.validation.loss(outputs, y)
        whole = loss * together.world  # of the gradients of all processes the mean is taken
        (whole if self.scaler is None else self.scaler.scale(whole)).backward()
        detached = outputs.detach()
        return torch.stack([loss.detach(), *(measure(detached, y) for measure in self.train_metrics.values())])

    def _close_epoch(self, bar: tqdm) -> None:
        progress = self.progress
        train_loss, *metrics = (self._total / max(progress.step, 1)).tolist()
        if not math.isfinite(train_loss):
            self._diverged("the training loss", train_loss)
        line = {"epoch": progress.epoch + 1, "train_loss": train_loss, "lr": self.schedule.lr}
        line |= {f"train_{name}": value for name, value in zip(self.train_metrics, metrics, strict=True)}
        line |= self._validate()
        line["seconds"] = round(progress.seconds, 3)
        progress.epoch, progress.step = progress.epoch + 1, 0
        self._total.zero_()
        progress.history.append(line)
        self._weigh(progress.epoch, line)
        limited = self.budget.after_epoch(progress, self.schedule, self.together)
        self._add_to_mean()
        self.schedule.after_epoch(line[f"val_{self.validation.monitor}"])
        for listener in self.listeners:
            listener(line)
        self._report(bar, line)
        self._others = self.together.everyones(random_states())[1:]
        if limited:
            log.info("%s", limited)
        if progress.seconds >= FLUSH_SECONDS or not self._finished():  # else what training leaves is written soon
            self._flush("best")
            self._flush("last")
        self._leave_if_signalled()

    def _validate(self) -> dict[str, Any]:
        self.model.eval()
        if self.in_blocks is not None:
            (first, end), size = self.in_blocks.share(len(self.val), self.together), self.together.size(self.batch_size)
            blocks = batches(self.runner, self.val, self.precision, size, first, end)
            loss, scores = self.in_blocks.judged(self.val, blocks, first, self.together)
        else:
            outputs = predict(self.runner, self.val, self.precision, self.batch_size, self.together)
            loss, scores = self._judged(outputs) if self.together.first else (0.0, {})
        line = self.together.agreed(self._line(loss, scores) if self.together.first else {})
        self.together.follow(self.model)  # judging may choose something that a model keeps
        return line

    def _judged(self, outputs: torch.Tensor) -> tuple[float, dict[str, Any]]:
        """Loss and metrics of the outputs [n, K, H] for validation."""
        y = self.val.labels(self.val.locate(torch.arange(len(self.val), device=self.val.device)))
        loss = float(self.validation.loss(outputs, y.to(outputs.device)))
        return loss, self.validation.val_metrics(outputs) if math.isfinite(loss) else {}

    def _line(self, loss: float, scores: Mapping[str, Any]) -> dict[str, Any]:
        """What validation says, as the history has it. DivergedError where it says that training went wrong."""
        if not math.isfinite(loss):
            self._diverged("the validation loss", loss)
        if self.config.divergence_check:
            self._check_growth(loss)
        return {"val_loss": loss} | {f"val_{name}": value for name, value in scores.items()}

    def _check_growth(self, loss: float) -> None:
        """DivergedError where the validation loss, or the weights, grew a millionfold: finite is not trained."""
        history = self.progress.history
        begun = history[0]["val_loss"] if history else self.first_loss
        if loss > GROWTH * max(begun, 1.0):
            self._diverged("the validation loss", loss)
        weights = [p.detach().abs().mean() for p in self.model.parameters() if p.requires_grad and p.numel()]
        if weights and float(torch.stack(weights).min()) > GROWTH:
            self._diverged("the weights' mean size", float(torch.stack(weights).mean()))

    def _weigh(self, epoch: int, line: Mapping[str, Any], state: dict[str, torch.Tensor] | None = None) -> None:
        """Keep weights (the model's own where none are given) if they are the best so far: of those that the monitor
        calls equal, as where it is perfect, the ones with the lower validation loss."""
        progress, value, loss = self.progress, line[f"val_{self.validation.monitor}"], line["val_loss"]
        value = None if value is None or math.isnan(value) else value  # a NaN is never best
        first = not self.best_state  # there must be a best state, even where the monitor is undefined
        sign = 1 if self.validation.direction == "max" else -1
        better = value is not None and (
            progress.best is None
            or sign * value > sign * progress.best
            or (value == progress.best and loss < progress.best_loss)
        )
        progress.stale += 1
        if better or first:
            progress.best, progress.best_epoch, progress.best_loss = value, epoch, loss
            progress.stale = 0
            self.best_state = clone_state(self.model) if state is None else state
            self._unsaved_best = True

    # --- before and around the steps ---------------------------------------------------------------------------------

    def twin(self, precision: Precision) -> Trainer:
        """A trainer of a copy of the model, alone: its steps leave this one as it is, and it writes nothing."""
        model, silent = copy.deepcopy(self.model), lambda *_: None
        made = Trainer(model, self.train, self.val, self.validation, self.config, precision, silent)
        made.together = ALONE
        train_mode(model)
        return made

    def _bar(self) -> tqdm:
        hidden = self.config.quiet or not sys.stderr.isatty() or not self.together.first
        tqdm.monitor_interval = 0  # no thread to watch it: where memory is short, its beginning is waited for for ever
        total, done = (
            self.budget.epochs(self.progress) * self.steps,
            self.progress.epoch * self.steps + self.progress.step,
        )
        return tqdm(total=total, initial=done, disable=hidden, desc="training", unit="step", dynamic_ncols=True)

    def _report(self, bar: tqdm, line: Mapping[str, Any]) -> None:
        value = line[f"val_{self.validation.monitor}"]
        shown = "undefined" if value is None else f"{value:.4f}"
        best = " *" if self.progress.best_epoch == self.progress.epoch else ""
        train = f"train {line['train_loss']:.4f}  " if "train_loss" in line else ""
        text = f"{train}val {line['val_loss']:.4f}  {self.validation.monitor} {shown}{best}"
        if bar.disable:
            log.info("epoch %d/%d  %s  %.1fs", line["epoch"], self.budget.epochs(self.progress), text, line["seconds"])
        else:
            bar.set_postfix_str(text)

    # --- interruption and resuming -----------------------------------------------------------------------------------

    def _on_signal(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        if self._signum and self.together.world == 1:  # a second signal: stop at once, with what is on disk
            raise KeyboardInterrupt  # several processes may each get it from the user and from what started them
        self._signum = number

    def _keep(self) -> None:
        self._flush("best", force=True)
        self._flush("last", force=True)

    def _leave_if_signalled(self) -> None:
        self._signum = self.together.signalled(self._signum)
        if not self._signum:
            return
        self._others = self.together.everyones(random_states())[1:]
        self._keep()
        self.together.ends()
        at = f"epoch {self.progress.epoch + 1}, step {self.progress.step} of {self.steps}"
        raise Interrupted(self._signum, f"stopped at {at}; the state is saved", hint="--resume continues this run")

    def _diverged(self, what: str, value: float) -> None:
        self._flush("best", force=True)
        raise DivergedError(
            f"{what} became {value:.3g} in epoch {self.progress.epoch + 1}",
            hint="a smaller --lr, or --clip 1; --no-amp if the values are very large"
            + ("; --no-divergence-check goes on" if math.isfinite(value) else ""),
        )

    def _flush(self, kind: str, force: bool = False) -> None:
        if not self.together.first:
            return
        if not force and time.monotonic() - self._flushed[kind] < FLUSH_SECONDS:
            return
        if kind == "best" and self._unsaved_best:
            self.save("best", self.best_state, None)
            self._unsaved_best = False
        elif kind == "last":
            self.save("last", self.model.state_dict(), self.state())
        self._flushed[kind] = time.monotonic()

    def state(self) -> dict[str, Any]:
        """Everything that the next step depends on, except the weights: plain values and tensors only. More epochs are
        compared with the best one: take it before that is replaced by what the model that is kept says."""
        return {
            "progress": asdict(self.progress),
            "total": self._total.cpu(),
            "best_state": self.best_state,
            "start_state": self.start_state,
            "mean_state": self.mean_state,
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state(),
            "scaler": None if self.scaler is None else self.scaler.state_dict(),
            "random": random_states(),
            **({"others": self._others} if self._others else {}),
            **({} if self.config.measured is None else {"measured": self.config.measured}),
        }

    def restore(self, weights: dict[str, torch.Tensor], state: Mapping[str, Any]) -> None:
        """Continue from what `state` returned, with the weights of that moment; CheckpointError if they do not fit."""
        try:
            self._take(weights, state)
        except (LookupError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            if is_out_of_memory(error):
                raise
            what = f"its state of training does not fit this run: {str(error).partition(chr(10))[0]}"
            raise CheckpointError(what, where="--resume", hint="--overwrite starts again") from None

    def _take(self, weights: dict[str, torch.Tensor], state: Mapping[str, Any]) -> None:
        self.model.load_state_dict(state.get("weights", weights))  # what learns, where another model is kept
        self.progress = Progress(**state["progress"])
        if "best_loss" not in state["progress"] and self.progress.best_epoch:  # of an older version
            self.progress.best_loss = self.progress.history[self.progress.best_epoch - 1]["val_loss"]
        self._total.copy_(state["total"])
        self.best_state = dict(state["best_state"])
        self.start_state, self.mean_state = (dict(state.get(name, {})) for name in ("start_state", "mean_state"))
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.restore(state["schedule"])
        if self.progress.limit:
            self.schedule.total = self.progress.limit * self.steps
        if self.scaler is not None:
            self.scaler.load_state_dict(state["scaler"])
        states = [state["random"], *state.get("others", ())]
        self._goes_on = len(states) == self.together.world
        set_random_states(states[self.together.rank if self._goes_on else 0])
