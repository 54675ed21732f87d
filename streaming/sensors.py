"""Messages of several sensors, aligned into steps: a prediction for every step from the window that ends with it.

The model was trained on windows of L steps, so it predicts from the last L steps, each time one is added. A backbone
in stages encodes each step by itself, so a new step is encoded once and its context kept; the second stage runs over
the last L contexts. The predictions equal those of a batch run over the same windows, up to rounding.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
import torch

import restore
from checkpoint import Checkpoint
from errors import CheckpointError
from sources import levels
from streaming.steps import Aligner, Step, parse
from streaming.tally import Tally, short

HINT = "python run.py --mode train --task classify --npz FILE --backbone fusion_gru ... trains one"


def sensors_of(start: Checkpoint) -> dict[str, int]:
    """{sensor: number of values} in the order of the model's input; empty for a model whose input is not of sensors."""
    if start.model.modalities:
        return dict(start.model.modalities)
    names = start.scaler.channels
    if not start.setting("npz") or not all("." in name for name in names):
        return {}
    owners = [name.partition(".")[0] for name in names]
    return {owner: owners.count(owner) for owner in dict.fromkeys(owners)}


class SensorModel:
    """The model of a checkpoint over the last L steps. CheckpointError for a model that cannot be used so."""

    def __init__(self, start: Checkpoint, where: str) -> None:
        words = [each.name for each in levels.of(start.coding)]
        if words:
            raise CheckpointError(f"sees {', '.join(words)}, which no sensor sends", where=where, hint=HINT)
        self.sensors = sensors_of(start)
        if start.model.head != "pool" or not self.sensors:
            what = f"is of task {start.task}, and its input is not of sensors"
            raise CheckpointError(what, where=where, hint=HINT)
        self.names, self.length, self.scaler = start.outputs, start.model.length, start.scaler
        self.task = restore.task_of(start)
        self.exclusive = bool(start.fitted.get("exclusive"))
        self.tau: list[float] | None = restore.calibration_of(start, self.task).get("tau")
        self.model = restore.model_of(start).eval()
        backbone = self.model.backbone
        self.encoder: torch.nn.Module = torch.nn.Identity()
        if backbone.stages:
            self.encoder, backbone.encoded = backbone.get_submodule(backbone.stages[0]), True
        self.contexts: deque[torch.Tensor] = deque(maxlen=self.length)

    def forget(self) -> None:
        """Begin a new window: the next step does not follow the last one."""
        self.contexts.clear()

    def add(self, values: np.ndarray) -> dict[str, Any] | None:
        """Add a step with values [C]. Returns {label: prediction}, or None until there are L steps."""
        x = torch.from_numpy(self.scaler.apply(values[:, None]))[None]
        with torch.inference_mode():
            self.contexts.append(self.encoder(x))
            if len(self.contexts) < self.length:
                return None
            outputs = self.model(torch.cat(list(self.contexts), dim=2))
        predicted = self.task.decode(outputs)[0, :, 0].tolist()
        if self.tau is None:
            each = zip(self.names, predicted, self.task.fitted["std"], strict=True)
            return {name: {"value": short(value, deviation)} for name, value, deviation in each}
        cut = [max(predicted)] * len(predicted) if self.exclusive else self.tau  # of classes the likeliest is on
        return {name: {"p": short(p), "on": p >= tau} for name, p, tau in zip(self.names, predicted, cut, strict=True)}


class Sensors:
    """Messages in, an answer for each step out.

    A sensor without a message in a step is held at its last values, for at most `hold` steps in a row; the answer
    names it. After that there is no answer, and a new window begins once the sensor sends again.
    """

    def __init__(self, model: SensorModel, tally: Tally, period: float, wait: float, hold: int) -> None:
        self.model, self.tally, self.period, self.hold = model, tally, period, hold
        self.aligner = Aligner(len(model.sensors), period, wait, hold)
        self.last: dict[str, np.ndarray] = {}
        self.age: dict[str, int] = {}  # steps since the last message of a sensor
        self.before: int | None = None
        self.steps = self.answered = self.with_held = self.with_missing = 0
        tally.describe = self._describe
        sensors = ", ".join(f"{name} ({size})" for name, size in model.sensors.items())
        self.ready = (
            f"{', '.join(model.names)}; a step every {period:g} s, {model.length} of them a window, of {sensors}"
        )

    def take(self, message: bytes) -> list[dict[str, Any]]:
        """The answers to the steps that a message closes. ValueError with the reason for a malformed one."""
        return self._answers(self.aligner.take(parse(message, self.model.sensors)))

    def end(self) -> list[dict[str, Any]]:
        """The answers to the steps that are still open."""
        return self._answers(self.aligner.end())

    def _answers(self, steps: list[Step]) -> list[dict[str, Any]]:
        for text in self.aligner.told:
            self.tally.note(text)
        self.aligner.told.clear()
        return [self._answer(step) for step in steps]

    def _answer(self, step: Step) -> dict[str, Any]:
        if self.before is not None and step.number != self.before + 1:
            self._forget()
        self.before = step.number
        for name in self.model.sensors:
            self.age[name] = 0 if name in step.values else self.age.get(name, self.hold) + 1
        self.last |= step.values
        missing = [name for name, age in self.age.items() if age > self.hold]
        held = [name for name, age in self.age.items() if 0 < age <= self.hold]
        if missing:
            self.model.forget()
            labels = None
        else:
            labels = self.model.add(np.concatenate([self.last[name] for name in self.model.sensors]))
        self.steps, self.answered = self.steps + 1, self.answered + (labels is not None)
        self.with_held, self.with_missing = self.with_held + bool(held), self.with_missing + bool(missing)
        begin = round(step.number * self.period, 6)
        return {"time": begin, "labels": labels, "held": held, "missing": missing, "steps": len(self.model.contexts)}

    def _forget(self) -> None:
        self.model.forget()
        self.age.clear()

    def _describe(self) -> str:
        ahead = f", {self.aligner.ahead} ahead of all others" if self.aligner.ahead else ""
        return (
            f"{self.tally.taken} messages, {self.aligner.late} of them late{ahead}; "
            f"{self.steps} steps, {self.answered} answered, "
            f"{self.with_held} with a sensor held, {self.with_missing} with one missing"
        )
