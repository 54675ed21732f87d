"""The model of one home in one way of learning: alone, all weights shared, or a shared base under the home's head.

The base is the backbone (`backbone.*`), the head what follows it (Arivazhagan et al. 2019, arXiv 1912.00818,
section 3: base and personalisation layers). Every choice, of the round and of tau, is made on the validation windows
of the home; the test windows are scored once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

import checkpoint
from evaler import predict
from federation.homes import Home, schema_of
from hardware import Precision
from learner import Learner
from optim import lr_factor
from rundir import write_config, write_json
from scaler import Scaler
from splits import NAMES
from tasks.multiclass import accuracy
from trainer import Trainer
from training.states import clone_state

BASE = "backbone."
SHARED = {"local": None, "shared": "", "fedper": BASE}  # the prefix of the names of the shared weights
SHOWN = {"local": "local only", "shared": "shared everything", "fedper": "shared base, own heads"}


class _LossMonitor:
    """Monitors the validation loss, which is defined even for a home with one class only."""

    monitor, direction = "loss", "min"

    def __init__(self, learner: Learner) -> None:
        self.loss = learner.task.loss(learner.device)

    def val_metrics(self, outputs: torch.Tensor) -> dict[str, float | None]:  # noqa: ARG002
        return {}


@dataclass(frozen=True)
class SharedBase:
    """The server's result of one way of learning: averaged weights, common scaler, and their validation loss."""

    state: dict[str, torch.Tensor]
    scaler: Scaler
    val_loss: float

    def save(self, path: Path) -> None:
        """Write the file, whole or not at all."""
        checkpoint.save(path, {"state": self.state, "scaler": self.scaler.plain(), "val_loss": self.val_loss})

    @classmethod
    def load(cls, path: Path) -> SharedBase:
        """Read and verify a file. CheckpointError for any other file."""
        found = checkpoint.read_fields(path, cls)
        return cls(**found | {"scaler": Scaler.of(found["scaler"])})


class HomeModel:
    """The model of a home in one way of learning.

    Parameters
    ----------
    home : the data.
    mode : a key of SHARED.
    folder : where the files go.
    scaler : of the federation; None for a home that learns alone.
    """

    def __init__(self, home: Home, mode: str, folder: Path, scaler: Scaler | None = None) -> None:
        self.home, self.mode = home, mode
        self.learner = Learner(home.run_data, home.task, home.split, torch.device("cpu"), None, alone=False)
        self.learner.scaler = scaler or self.learner.scaler
        self.learner.open(folder)
        self.model = self.learner.model
        self.train_windows, self.val_windows = (
            self.learner.device_data.windows(home.split[k]) for k in ("train", "val")
        )
        self.monitor, self.precision = _LossMonitor(self.learner), Precision(torch.device("cpu"))
        self.best, self.best_round = math.inf, 0
        self.best_state = clone_state(self.model)

    @property
    def windows(self) -> int:
        """How many windows are for training: the weight of this home in averages."""
        return len(self.train_windows)

    @property
    def exclusive(self) -> bool:
        """Whether the labels are classes of which exactly one is true."""
        return bool(self.learner.task.fitted.get("exclusive"))

    def schema(self) -> dict[str, Any]:
        """What the models of all homes must have in common, see `schema_of`."""
        shapes = {name: value.shape for name, value in self.model.state_dict().items()}
        return schema_of(self.home, shapes, exclusive=self.exclusive)

    def weights(self) -> dict[str, np.ndarray]:
        """{name: array} of the weights that this way of learning shares, and no others."""
        prefix = SHARED[self.mode]
        if prefix is None:
            return {}
        state = self.model.state_dict()
        return {name: value.numpy().copy() for name, value in state.items() if name.startswith(prefix)}

    def load(self, weights: Mapping[str, np.ndarray]) -> None:
        """Set the shared weights to the average; with a shared base the head stays as it is."""
        current = self.weights()
        assert {k: v.shape for k, v in current.items()} == {k: v.shape for k, v in weights.items()}, "another model"
        self.model.load_state_dict({k: torch.from_numpy(np.array(v)) for k, v in weights.items()}, strict=False)

    def fit_round(self, number: int, rounds: int, epochs: int) -> None:
        """Train the local epochs of round `number` (from 1); the learning rate falls over the rounds as over epochs."""
        config = self.home.config
        lr = config.lr * lr_factor(number - 1, rounds, config.scheduler)
        self._train(epochs, lr=lr, scheduler="none", seed=config.seed + number)

    def fit_alone(self, epochs: int) -> None:
        """Train all epochs at once, with the schedule of the configuration: what a home can do by itself."""
        trainer = self._train(epochs)
        assert trainer.progress.best is not None
        self.best, self.best_round, self.best_state = (
            trainer.progress.best,
            trainer.progress.best_epoch,
            trainer.best_state,
        )

    def _train(self, epochs: int, **changed: Any) -> Trainer:
        config = replace(self.home.config, epochs=epochs, patience=0, compile="off", amp=False, quiet=True, **changed)
        trainer = Trainer(
            self.model, self.train_windows, self.val_windows, self.monitor, config, self.precision, save=lambda *_: None
        )
        trainer.run()
        return trainer

    def validate(self, number: int) -> float:
        """The loss on the validation windows of the home; the state of the best round is kept."""
        self.model.eval()
        outputs = predict(self.model, self.val_windows, self.precision, self.home.config.batch_size)
        everything = self.val_windows.locate(torch.arange(len(self.val_windows)))
        loss = float(self.monitor.loss(outputs, self.val_windows.labels(everything)))
        if loss < self.best:
            self.best, self.best_round, self.best_state = loss, number, clone_state(self.model)
        return loss

    def finish(self) -> dict[str, Any]:
        """Choose tau, score the test windows once, and write a checkpoint directory for `--mode infer`.

        Returns the content of metrics.json.
        """
        learner, home = self.learner, self.home
        learner.folder.mkdir(parents=True, exist_ok=True)
        learner.calibrate({"best": self.best_state}, None)
        scored = learner.evaluator().score(home.split.test)
        report = learner.task.evaluate(scored, learner.calibration, learner.device_data.eval_context(learner.names))
        truth, pred = scored.judged()
        usual = np.array(learner.label_means["train"])[:, None]  # the most frequent answer, as a reference
        content = {
            "home": home.name,
            "mode": self.mode,
            "accuracy": accuracy(truth, pred, learner.calibration["tau"], self.exclusive),
            "majority_accuracy": accuracy(
                truth, np.broadcast_to(usual, pred.shape), [0.5] * len(usual), self.exclusive
            ),
            "windows": {name: len(home.split[name]) for name in NAMES},
            "val_loss": self.best,
            "best_round" if SHARED[self.mode] is not None else "best_epoch": self.best_round,
            "test": report,
        }
        write_json(learner.folder / "metrics.json", content)
        write_config(learner.folder / "config.yaml", home.config)
        return content
