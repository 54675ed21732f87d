"""What to try first: the space that `search.py` has for a backbone, in the words of an experiment's file."""

from __future__ import annotations

import math
from typing import Any

import backbones

CLASSES: dict[str, tuple[str, dict[str, str | None]]] = {  # key of the file: flag of search.py, and the class of a word
    "optimizer_class": ("optimizer", {"adam": "optim.Adam", "adamw": "optim.AdamW", "sgd": "optim.SGD"}),
    "criterion_class": ("loss", {"mse": "nn.MSELoss", "l1": "nn.L1Loss", "huber": "nn.SmoothL1Loss"}),
    "scheduler_class": (
        "scheduler",
        {
            "none": None,
            "cosine": "optim.lr_scheduler.CosineAnnealingLR",
            "plateau": "optim.lr_scheduler.ReduceLROnPlateau",
            "StepLR": "optim.lr_scheduler.StepLR",
        },
    ),
}
SCHEDULE = "scheduler_args."


class Suggestions:
    """The values of a backbone's table `SPACE`; nothing for a backbone without one."""

    def __init__(self, backbone: str) -> None:
        self.space: dict[str, Any] = {name: body for name, body in backbones.space(backbone).items() if name != "only"}

    def of(self, name: str) -> list[Any]:
        """The choices of a dimension, or the ends and the middle of its range; [] where it is not searched."""
        body = self.space.get(name, [])
        if isinstance(body, list):
            return list(body)
        if "choices" in body:
            return list(body["choices"])
        low, high = body["low"], body["high"]
        return [low, math.sqrt(low * high) if body.get("log") else (low + high) / 2, high]

    def classes(self, key: str) -> list[str | None]:
        """The classes that a key of `training` may name; [] where they are not searched."""
        flag, names = CLASSES[key]
        return [names[word] for word in self.of(flag)] + [None] * (key == "scheduler_class" and flag in self.space)

    def schedule(self, epochs: int) -> dict[str, Any]:
        """The arguments of the schedules, each with the class that it is for; `epochs` are those of the base."""
        found: dict[str, Any] = {}
        _, names = CLASSES["scheduler_class"]
        for name, body in self.space.items():
            if name.startswith(SCHEDULE):
                words = body.get("when", {}).get("scheduler", [])
                owners = [names[word] for word in (words if isinstance(words, list) else [words])]
                values = self.of(name)
                row = {"type": type(values[0]).__name__, "suggest": values, "when": {"scheduler_class": owners}}
                found[name.removeprefix(SCHEDULE)] = row
        if "cosine" in self.of("scheduler"):
            when = {"scheduler_class": [names["cosine"]]}
            found["T_max"] = {"type": "int", "suggest": [epochs], "when": when}
        return found
