"""Predictions, calibration on validation, metrics, and the reference predictors beside the model.

No window is dropped from any evaluation, and nothing is averaged over batches.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from dataset import DeviceData
from hardware import Precision, Runner, begin_step
from tasks.base import Predictions, Predictor
from windows import Index, Windows


def predict(runner: Runner, windows: Windows, precision: Precision, batch_size: int) -> torch.Tensor:
    """The model's outputs for every window, in order: [n, K, H] float32 on the model's device."""
    whole: torch.Tensor | None = None
    done = 0
    with torch.no_grad():
        for positions, count in windows.in_order(batch_size):
            seen = [part.to(precision.device, non_blocking=True) for part in windows.seen(positions)]
            begin_step()
            with precision.autocast():
                out = runner(*seen)
            if whole is None:
                whole = torch.empty((len(windows), *out.shape[1:]), device=out.device)
            whole[done : done + count] = out[:count]
            done += count
    assert whole is not None and done == len(windows), "an evaluation of no windows"
    return whole


class Evaluator:
    """Scores one model on windows of a device_data; the predictions of an index are made once."""

    def __init__(self, device_data: DeviceData, runner: Runner, precision: Precision, batch_size: int) -> None:
        self.device_data, self.runner, self.precision, self.batch_size = device_data, runner, precision, batch_size
        self._made: dict[int, Predictions] = {}

    def score(self, index: Index, *, label_known: bool = True) -> Predictions:
        """Predictions for every window of `index`, with the truth where there is one."""
        if id(index) not in self._made:
            device_data = self.device_data
            outputs = predict(self.runner, device_data.windows(index), self.precision, self.batch_size)
            pred = device_data.task.decode(outputs, device_data.fitted)
            truth = device_data.run_data.truth(device_data.task, index, device_data.fitted) if label_known else None
            self._made[id(index)] = Predictions(index, pred, truth)
        return self._made[id(index)]


class References:
    """The trivial predictors beside a model, on the windows of its device_data.

    Those that are fitted need the training windows; without them (inference) they are left out with the reason.
    """

    def __init__(
        self, device_data: DeviceData, names: Sequence[str], train: Index | None, val: Index | None = None
    ) -> None:
        self.task, self.eval_context = device_data.task, device_data.eval_context(names)
        self.makers = self.task.references(self.eval_context, train, val)

    def choose_thresholds(self, val: Predictions, known: Mapping[str, Any]) -> dict[str, Any]:
        """What each chooses on validation, as the model does: {name: calibration}; `known` ones are kept."""
        fresh = {name: make for name, make in self.makers.items() if name not in known}
        return {**known} | {
            name: self.task.choose_thresholds(_by(make, val), self.eval_context.names) for name, make in fresh.items()
        }

    def judge(self, scored: Predictions, calibrations: Mapping[str, Any]) -> dict[str, Any]:
        """The metrics of each on the windows that the model is scored on."""
        found: dict[str, Any] = {
            name: self.task.evaluate(_by(make, scored), calibrations[name], self.eval_context)
            for name, make in self.makers.items()
        }
        skipped = {"skipped": "needs the training windows, which inference does not have"}
        return found | {name: skipped for name in self.task.fitted_references if name not in found}


def _by(make: Predictor, scored: Predictions) -> Predictions:
    """The same windows, predicted by a reference."""
    return replace(scored, pred=make(scored.index))
