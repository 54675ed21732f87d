"""A net as a member of a blend: trained by steps, under the contract of the learners that are fitted to windows.

Unweighted loss; at least a thousand steps unless time is short; the learning rate rises, then falls. Validation chooses
among ten moments where it has enough windows, else the weights of the last third are averaged.

It stands on its closed form; where validation has enough windows to choose, with a second head that learns alone.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import nn

import losses
from backbones import Hyper, InputSpec, ModelSpec
from backbones.fitted import Fitted, loss_of, outputs_on
from backbones.fitting import Fitting
from backbones.model import Model, build_model
from backbones.wide import fits

STEPS, EPOCHS = 1000, 10  # at least
LARGEST, PARTS = 512, 20  # windows of a step; of the windows of training, at most one in PARTS
FEWEST = 200  # steps below which a net is not worth its time
MOMENTS = 10  # at which validation looks
TRIED = 8  # steps after which the time of one is known
RATE, WARM, DECAY, CLIP = 2e-3, 0.05, 0.01, 1.0


class TooShort(Exception):
    """The time is too short for FEWEST steps; the text says how much they would need."""


@dataclass
class _Course:
    """How training goes: steps in all, losses of validation, and the weights that are kept."""

    steps: int
    best: float = math.inf
    at: int = 0
    averaged: int = 0
    kept: dict[str, torch.Tensor] = field(default_factory=dict)

    def keep(self, net: nn.Module, step: int, loss: float | None) -> None:
        """The best so far; without a loss the running mean over the last third."""
        state = {name: value.detach().clone() for name, value in net.state_dict().items()}
        if loss is not None and loss < self.best:
            self.best, self.at, self.kept = loss, step, state
        elif loss is None and step > self.steps * 2 // 3:
            self.averaged, self.at = self.averaged + 1, step
            for name, value in state.items():
                mean = self.kept.get(name, value)
                self.kept[name] = mean + (value - mean) / self.averaged if value.is_floating_point() else value


class Net(Fitted):
    """`backbone` of that name under a head.

    Parameters
    ----------
    inputs : channels, length, target.
    name, args : the backbone and its hyperparameters.
    """

    def __init__(self, inputs: InputSpec, name: str, args: Mapping[str, Any]) -> None:
        super().__init__(inputs, Hyper(name, dict(args)))
        self.name, self.args = name, dict(args)
        self.net = self._fresh()
        self.share = 1.0  # of what it says on its closed form, the last time that this was chosen

    def _fresh(self) -> Model:
        made = build_model(
            ModelSpec(
                backbone=self.name,
                args=self.args,
                channels=self.channels,
                length=self.length,
                outputs=self.outputs,
                horizon=1,
                head="pool",
                wide=self.target if fits(self.channels, self.length, self.target) else None,
            )
        )
        assert isinstance(made, Model)
        return made

    @property
    def who(self) -> str:
        return self.name

    def answer(self, x: torch.Tensor) -> torch.Tensor:
        said = self._outputs(x)[:, :, 0]
        return said.log_softmax(1) if self.target.kind == "class" else said

    def _outputs(self, x: torch.Tensor, under: torch.Tensor | None = None) -> torch.Tensor:
        """What the net says; `under` [B, K, 1] is what the closed form under it says, where that is known."""
        said: torch.Tensor = self.net(x, under)
        if self.net.wide is None and self.target.channel is not None:
            said = said + self.last(x)[:, :, None]
        return said

    def fit_in_time(self, data: Fitting) -> dict[str, Any]:
        """Of fewer steps, as `fit_windows` is with little time."""
        return self.fit_windows(data)

    @torch.enable_grad()
    def fit_windows(self, data: Fitting) -> dict[str, Any]:
        """Train; TooShort where `data.seconds` are not enough."""
        devices = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(devices):
            torch.manual_seed(data.seed)
            if not data.goes_on:
                self.net.load_state_dict(self._fresh().state_dict())
            course = self._train(data)
        kept, chosen = course.kept or self.net.state_dict(), self.net.alone is not None
        self.share = float(kept.get("alone.share", 1.0))
        self.net.fold(kept)
        self.net.eval()
        loss = loss_of(outputs_on(data.val, self.answer), data.val.y, self.target.kind, data.loss)
        told = {"windows": len(data.train), "steps": course.steps, "best_step": course.at, "val_loss": loss}
        return {**told, "on_closed_form": self.share} if chosen else told

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    def _on_val(self, data: Fitting) -> bool:
        return data.val.plenty(self.target.kind) and not data.settled

    def _train(self, data: Fitting) -> _Course:
        """Train on what is said of the windows of training already."""
        under = self._stand(data)
        batch = min(max(len(data.train) // PARTS, 8), LARGEST)
        course = _Course(max(STEPS, EPOCHS * len(data.train) // batch))
        optimizer = torch.optim.AdamW(self.net.parameters(), lr=RATE, weight_decay=DECAY)
        on_val = self._on_val(data)
        order, begun, step = torch.zeros(0, dtype=torch.long), time.perf_counter(), 0
        self.net.train()
        while step < course.steps:
            if len(order) < batch:
                order = torch.cat([order, torch.randperm(len(data.train))])
            numbers, order = order[:batch], order[batch:]
            for group in optimizer.param_groups:
                group["lr"] = RATE * _share(step / course.steps)
            loss = self._loss(data, numbers, None if under is None else under[numbers].to(self.device))
            loss.backward()
            nn.utils.clip_grad_norm_(self.net.parameters(), CLIP)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            step += 1
            if step == TRIED:
                course.steps = _affordable(course.steps, (time.perf_counter() - begun) / TRIED, data.seconds)
            if step % max(course.steps // MOMENTS, 1) == 0:
                course.keep(self.net, step, self._judged(data) if on_val else None)
        return course

    def _stand(self, data: Fitting) -> torch.Tensor | None:
        """What the closed form under the net says of training [n, K, 1]. It is solved first; the head adds nothing."""
        if self.net.wide is None:
            return None
        if data.goes_on:
            return self.net.wide.says_of(data.train)
        part = replace(data, val=data.train.part(np.zeros(1, np.int64))) if data.settled else data
        self.net.take_of_head(0.0)
        under, told = self.net.wide.fit(part, self.target, [0.0] * self.outputs)
        if self._on_val(data) or (data.settled and self.share < 1):
            self.net.learn_alone_too(told["says"]).share.fill_(self.share)
        return under

    def _loss(self, data: Fitting, numbers: torch.Tensor, under: torch.Tensor | None) -> torch.Tensor:
        """The loss of a batch, with a gradient."""
        with torch.no_grad():
            x, y = data.train.read(numbers), data.train.y[numbers].to(self.device)
        heads = self._outputs(x, under)[:, :, 0].chunk(1 if self.net.alone is None else 2)
        return torch.stack([self._loss_of(said, y, data.loss) for said in heads]).mean()

    def _loss_of(self, said: torch.Tensor, y: torch.Tensor, loss: str) -> torch.Tensor:
        if self.target.kind == "class":
            return losses.cross_entropy(said, y)
        if self.target.kind == "label":
            return nn.functional.binary_cross_entropy_with_logits(said, y)
        return losses.regression_loss(loss or "l1")(said, y)

    def _judged(self, data: Fitting) -> float:
        """The loss on validation; with two heads under the share that is best there."""

        def loss(said: torch.Tensor) -> float:
            return loss_of(said[:, :, 0], data.val.y, self.target.kind, data.loss)

        self.net.eval()
        both = outputs_on(data.val, lambda x: self._outputs(x).flatten(1)).unflatten(1, (self.outputs, -1))
        if self.net.alone is not None:
            self.net.alone.choose(both, loss)
            both = self.net.alone.joined(both)
        self.net.train()
        return loss(both)


def _share(done: float) -> float:
    """The learning rate as a share of its peak, when this share of the steps is done."""
    return done / WARM if done < WARM else 0.5 * (1 + math.cos(math.pi * (done - WARM) / (1 - WARM)))


def _affordable(steps: int, each: float, seconds: float) -> int:
    """As many steps as the time takes, a power of two in part so that small differences in speed change nothing."""
    if seconds == math.inf or steps * each <= seconds:
        return steps
    if FEWEST * each > seconds:
        raise TooShort(f"{FEWEST} steps would take {FEWEST * each:.0f} s")
    fewer = steps
    while fewer * each > seconds and fewer > FEWEST:
        fewer = max(fewer // 2, FEWEST)
    return fewer
