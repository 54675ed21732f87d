"""The base of the tasks whose target is a label: one number for each window and output, or for each row.

Their references are constants, persistence and gradient boosting; their predictions are a table, a line a window.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from rundir import write_csv
from tasks.base import Task
from tasks.predictions import EvalContext, Predictions, Predictor
from tasks.targets import Targets
from windows import Index

MOST_CELLS = 4_000_000  # numbers that gradient boosting is fitted on: it takes seconds for data of any size
MOST_WINDOWS = 20_000
LEAVES = 20  # of gradient boosting, which on a few windows would else be a constant
CHUNK = 1 << 22  # numbers of flattened windows made at once


class LabelTask(Task):
    """A task with H = 1."""

    columns: tuple[str, ...]  # of preds.csv, after row and time
    fitted_references: tuple[str, ...] = ("gradient_boosting",)
    learners: Mapping[str, str] = MappingProxyType(
        {"gradient_boosting": "boosting", "logistic_last": "logistic", "logistic_window": "logistic", "": "auto"}
    )

    @abstractmethod
    def constant_predictions(self) -> dict[str, np.ndarray]:
        """Reference predictions that need no input: {name: [K]}."""

    @abstractmethod
    def estimator(self, seed: int) -> Any:
        """A scikit-learn model, unfitted, for one output on flattened windows."""

    @abstractmethod
    def predict_with(self, estimator: Any, x: np.ndarray) -> np.ndarray:
        """A fitted estimator's predictions [n] for flattened windows [n, C * L], in the task's units."""

    @abstractmethod
    def table(self, truth: np.ndarray, pred: np.ndarray, calibration: Mapping[str, Any]) -> Iterable[Sequence[Any]]:
        """The cells of preds.csv under `columns` for each of n windows, for one output: truth and pred [n]."""

    def references(self, eval_context: EvalContext, train: Index | None, val: Index | None) -> dict[str, Predictor]:
        targets = eval_context.targets
        assert targets is not None
        predictors: dict[str, Predictor] = {
            name: partial(_constant, np.asarray(constant, self.truth(targets.values[:, :1]).dtype))
            for name, constant in self.constant_predictions().items()
        }
        if not targets.per_row:
            predictors["persistence"] = lambda index: self.truth(_last_seen(targets, index))
        if train is not None:
            predictors["gradient_boosting"] = self._boosting(eval_context, train)
        return predictors

    def _boosting(self, eval_context: EvalContext, train: Index) -> Predictor:
        """Fit one histogram gradient boosting an output on a bounded sample of the flattened training windows."""
        inputs = eval_context.scaled
        width = inputs.shape[0] * train.length
        n = min(len(train), MOST_WINDOWS, max(MOST_CELLS // width, 1))
        chosen = np.sort(np.random.default_rng(eval_context.seed).choice(len(train), n, replace=False))
        x = flatten(inputs, train.starts()[chosen], train.length)
        y = self.truth(eval_context.raw(train))[chosen]
        models = []
        for k in range(y.shape[1]):
            model = self.estimator(eval_context.seed)
            model.set_params(min_samples_leaf=min(model.min_samples_leaf, max(2, n // LEAVES)))
            models.append(model.fit(x, y[:, k, 0]) if len(np.unique(y[:, k, 0])) > 1 else None)

        def predict(index: Index) -> np.ndarray:
            starts = index.starts()
            out = np.empty((len(starts), len(models), 1), np.promote_types(y.dtype, np.float32))
            step = max(CHUNK // width, 1)
            for begin in range(0, len(starts), step):
                part = flatten(inputs, starts[begin : begin + step], index.length)
                for k, model in enumerate(models):
                    out[begin : begin + step, k, 0] = y[0, k, 0] if model is None else self.predict_with(model, part)
            return out

        return predict

    def write(
        self,
        folder: Path,
        eval_context: EvalContext,
        calibration: Mapping[str, Any],
        scored: Sequence[Predictions],
        ahead: Predictions | None,
    ) -> None:
        """preds.csv: a line a window and output. `time` is the target's step within its row, counted from 0 (for
        whole-row targets: the context's last step); y_true is empty where the label is not known."""
        label = ["label"] if len(eval_context.names) > 1 else []
        parts = [*scored, *([ahead] if ahead is not None else [])]
        lines = (line for part in parts for line in self._lines(eval_context, calibration, part))
        write_csv(folder / "preds.csv", ["row", "time", *label, *self.columns], lines)

    def _lines(
        self, eval_context: EvalContext, calibration: Mapping[str, Any], part: Predictions
    ) -> Iterator[Sequence[Any]]:
        """The lines of one set of windows, made one by one: there can be millions."""
        row = part.index.rows()
        end = part.index.starts() + part.index.length - 1 if eval_context.per_row else part.index.targets()
        time = end - eval_context.series.offsets[row]
        truth = np.full_like(part.pred, np.nan) if part.truth is None else part.truth
        for k, name in enumerate(eval_context.names):
            chosen = {key: value[k] if isinstance(value, list) else value for key, value in calibration.items()}
            label = [name] if len(eval_context.names) > 1 else []
            for r, t, marks in zip(row, time, self.table(truth[:, k, 0], part.pred[:, k, 0], chosen), strict=True):
                yield eval_context.series.rows[r], t, *label, *marks


def per_output(names: Sequence[str], reports: Sequence[dict[str, Any]], averaged: Sequence[str]) -> dict[str, Any]:
    """One output's report as it is; several as {mean of `averaged` over the outputs where defined, per_label}."""
    if len(reports) == 1:
        return reports[0]
    mean: dict[str, Any] = {"n": reports[0]["n"]}
    for key in averaged:
        values = [r[key] for r in reports if r[key] is not None]
        mean[key] = float(np.mean(values)) if values else None
    return mean | {"averaged_over": "labels", "per_label": dict(zip(names, reports, strict=True))}


def _constant(value: np.ndarray, index: Index) -> np.ndarray:
    return np.tile(value[:, None], (len(index), 1, 1))


def _last_seen(targets: Targets, index: Index) -> np.ndarray:
    """The label at the last step of the context as the prediction of the target: the forecast of no change."""
    value = targets.values[:, index.starts() + index.length - 1]
    table: np.ndarray = np.nan_to_num(value).T[:, :, None]
    return table


def flatten(inputs: np.ndarray, starts: np.ndarray, length: int) -> np.ndarray:
    """The windows of `inputs` [C, total] at `starts` [n], flattened: [n, C * L]."""
    windows = np.lib.stride_tricks.sliding_window_view(inputs, length, axis=1)[:, starts]
    table: np.ndarray = windows.transpose(1, 0, 2).reshape(len(starts), -1)
    return table
