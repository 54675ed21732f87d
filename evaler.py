"""Predictions, calibration on validation, metrics, and the reference predictors beside the model.

No window is dropped from any evaluation, and nothing is averaged over batches.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch

from hardware import Precision, Runner
from scene import Stage
from tasks._task import Plane
from windows import Index, Windows

MOST_CELLS = 4_000_000  # numbers that gradient boosting is fitted on: seconds, whatever the data's size
MOST_WINDOWS = 20_000
CHUNK = 1 << 22  # numbers of flattened windows made at once


def predict(runner: Runner, windows: Windows, precision: Precision, batch_size: int) -> torch.Tensor:
    """The model's outputs for every window, in order: [n, K, H] float32 on the model's device."""
    whole: torch.Tensor | None = None
    done = 0
    with torch.no_grad():
        for positions, count in windows.in_order(batch_size):
            x = windows.contexts(positions).to(precision.device, non_blocking=True)
            torch.compiler.cudagraph_mark_step_begin()
            with precision.autocast():
                out = runner(x)
            if whole is None:
                whole = torch.empty((len(windows), *out.shape[1:]), device=out.device)
            whole[done : done + count] = out[:count]
            done += count
    assert whole is not None and done == len(windows), "an evaluation of no windows"
    return whole


@dataclass(frozen=True)
class Scored:
    """One set of windows with the model's predictions; `truth` is None where no label is known."""

    index: Index
    pred: np.ndarray  # [n, K, H], natural units
    truth: np.ndarray | None


class Evaluator:
    """Scores one model on windows of a stage; the predictions of an index are made once."""

    def __init__(self, stage: Stage, runner: Runner, precision: Precision, batch_size: int) -> None:
        self.stage, self.runner, self.precision, self.batch_size = stage, runner, precision, batch_size
        self._made: dict[int, Scored] = {}

    def score(self, index: Index, *, label_known: bool = True) -> Scored:
        """Predictions for every window of `index`, with the truth where there is one."""
        if id(index) not in self._made:
            stage = self.stage
            outputs = predict(self.runner, stage.windows(index), self.precision, self.batch_size)
            pred = stage.task.decode(outputs, stage.fitted)
            truth = stage.scene.truth(stage.task, index, stage.fitted) if label_known else None
            self._made[id(index)] = Scored(index, pred, truth)
        return self._made[id(index)]


class References:
    """The trivial predictors beside a model, on the windows of its stage.

    Gradient boosting needs the training windows; without them (inference on new files) it is left out with its reason.
    """

    def __init__(self, stage: Stage, names: Sequence[str], train: Index | None) -> None:
        task, plane, fitted = stage.task, stage.scene.plane, stage.fitted
        assert plane is not None
        self.task, self.names = task, names
        self.makers: dict[str, Callable[[Index], np.ndarray]] = {}
        for name, constant in task.constants(fitted).items():
            self.makers[name] = partial(_constant, np.asarray(constant, np.float32))
        if not plane.per_row:
            self.makers["persistence"] = lambda index: task.truth(_last_seen(plane, index), fitted)
        if train is not None:
            self.makers["gradient_boosting"] = _boosting(stage, train)

    def calibrate(self, val: Scored, known: Mapping[str, Any]) -> dict[str, Any]:
        """What each chooses on validation, as the model does: {name: calibration}; `known` ones are kept."""
        fresh = {name: make for name, make in self.makers.items() if name not in known}
        return {**known} | {n: self.task.calibrate(val.truth, make(val.index), self.names) for n, make in fresh.items()}

    def judge(self, scored: Scored, calibrations: Mapping[str, Any]) -> dict[str, Any]:
        """The metrics of each on the windows that the model is scored on."""
        assert scored.truth is not None
        found: dict[str, Any] = {
            name: self.task.evaluate(scored.truth, make(scored.index), calibrations[name], self.names)
            for name, make in self.makers.items()
        }
        if "gradient_boosting" not in found:
            found["gradient_boosting"] = {"skipped": "needs the training windows, which inference does not have"}
        return found


def _constant(value: np.ndarray, index: Index) -> np.ndarray:
    return np.tile(value[:, None], (len(index), 1, 1))


def _last_seen(plane: Plane, index: Index) -> np.ndarray:
    """The label at the context's last step, carried to the target; the training-free forecast of no change."""
    value = plane.values[:, index.starts() + index.length - 1]
    return np.nan_to_num(value).T[:, :, None]


def _boosting(stage: Stage, train: Index) -> Callable[[Index], np.ndarray]:
    """Fit one histogram gradient boosting an output on a bounded sample of the flattened training windows."""
    task, inputs, seed = stage.task, stage.scaled, stage.scene.config.seed
    width = inputs.shape[0] * train.length
    n = min(len(train), MOST_WINDOWS, max(MOST_CELLS // width, 1))
    chosen = np.sort(np.random.default_rng(seed).choice(len(train), n, replace=False))
    x = _flatten(inputs, train.starts()[chosen], train.length)
    y = stage.scene.truth(task, train, stage.fitted)[chosen]
    models = []
    for k in range(y.shape[1]):
        model = task.estimator(seed)
        models.append(model.fit(x, y[:, k, 0]) if len(np.unique(y[:, k, 0])) > 1 else None)

    def consult(index: Index) -> np.ndarray:
        starts = index.starts()
        out = np.empty((len(starts), len(models), 1), np.float32)
        step = max(CHUNK // width, 1)
        for begin in range(0, len(starts), step):
            part = _flatten(inputs, starts[begin : begin + step], index.length)
            for k, model in enumerate(models):
                out[begin : begin + step, k, 0] = y[0, k, 0] if model is None else task.consult(model, part)
        return out

    return consult


def _flatten(inputs: np.ndarray, starts: np.ndarray, length: int) -> np.ndarray:
    """[C, total], [n] -> [n, C * L]."""
    windows = np.lib.stride_tricks.sliding_window_view(inputs, length, axis=1)[:, starts]
    return windows.transpose(1, 0, 2).reshape(len(starts), -1)
