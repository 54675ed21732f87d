"""The base of the tasks whose target is a label: one number for each window and output, or for each row.

Their references are constants, persistence and what references.py fits; their predictions are a table, a line a window.
"""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from config import RunConfig
from data import Series
from readers.sidecars import NoLabels
from registry import Namespace
from rundir import write_csv
from scaler import Scaler
from sources import label_column, path_labels
from tasks import contexts, label_choice, label_runs
from tasks.base import Task
from tasks.lines import MOST_SHOWN, date_column, dates, printed
from tasks.predictions import EvalContext, Predictions, Predictor
from tasks.references import Boosting, Reference, gradient_boosting, interval_trees
from tasks.targets import Targets
from windows import Index


class LabelTask(Task):
    """A task with H = 1."""

    fits_size = True
    of_classes = False  # whether the label is true or false, or one of several classes
    in_time = False  # whether validation comes after training in time
    ages = False  # whether boosting may see means of older steps rather than fewer windows
    opens = ("preds.csv", "scatter.png", "pr_curve.png", "confusion.png", "residuals.png")
    columns: tuple[str, ...]  # of preds.csv, after row and time
    see_label: tuple[str, ...] = ("persistence",)
    learners: Mapping[str, str] = MappingProxyType(
        {
            "gradient_boosting": "boosting",
            "interval_trees": "quant",
            "logistic_last": "logistic",
            "logistic_window": "logistic --model-args summaries=false",
            "": "auto",
        }
    )

    def __init__(self, options: Namespace) -> None:
        super().__init__(options)
        self.label: int | str = 0  # the channel, or the column, that labels are read from

    def read(self, config: RunConfig, columns: Sequence[str] | None) -> Series:
        series = self._read(config, columns)
        series = label_column.without_owners(series, config, self.label) if columns is None else series
        return label_runs.together(series, config)

    def _read(self, config: RunConfig, columns: Sequence[str] | None) -> Series:
        words = tuple(self.start.fitted.get("label_words", ())) if self.start else ()
        self.label = config.label_src_ch if columns is not None else label_column.usual(config)
        asked = config.read_as(label_src_ch=self.label)
        try:
            series = label_column.read_labelled(asked, columns, words, label_column.LEAST_SERIES * self.of_classes)
        except NoLabels:
            of_things = self.start is not None and "things" in (self.start.coding or {})
            if columns is None or config.mode != "infer" or config.labels or not of_things:
                raise
            return label_column.without_labels(asked, columns)
        if columns is None and self.of_classes and (name := label_choice.only_words(series, config)):
            self.label = name
            return label_column.read_labelled(config.read_as(label_src_ch=name), columns, words)
        if columns is None and self.of_classes and (place := path_labels.likely(config, series)):
            self.label = place
            return path_labels.labelled(series, config, place, words)
        if columns is None and config.labels and series.labels is None:
            self.label = series.label_names[0]  # a label for each step, which is a channel
        return series

    def chosen(self, series: Series, config: RunConfig) -> dict[str, Any]:
        """The label's channel, the split of one row, and the context's length, where labels are along time: those of
        whole rows have all of a row."""
        if series.labels is not None or config.demo:
            return {} if self.label == config.label_src_ch else {"label_src_ch": self.label}
        found = label_choice.chosen(series, config, self.label, of_classes=self.of_classes)
        if config.context_len is None:
            found["context_len"] = contexts.chosen_length(series, config, found.get("split_mode", config.split_mode))
        self.in_time = found.get("split_mode", config.split_mode) != "group"
        return found | label_choice.apart(series, config, found)

    def split_of(self, series: Series, config: RunConfig) -> dict[str, Any]:
        return label_choice.one_row(series, config)

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
        if not targets.per_row and not _is_of_rows(targets, eval_context.series):
            predictors["persistence"] = lambda index: self.truth(_last_seen(targets, index))
        fitted = self.to_fit(eval_context)
        self.fitted_references = tuple(fitted)
        return predictors | ({} if train is None else {name: fit(train) for name, fit in fitted.items()})

    def to_fit(self, eval_context: EvalContext) -> dict[str, Callable[[Index], Reference]]:
        """The references that are fitted to the windows of training, by name."""

        def boosted(train: Index) -> Reference:
            truth = self.truth(eval_context.raw(train))
            how = Boosting(self.estimator, self.predict_with, self.ages and not eval_context.per_row)
            return gradient_boosting(eval_context, train, truth, how)

        def grown(train: Index) -> Reference:
            target = self.target_spec(eval_context.names, None, Scaler(np.zeros(0), np.ones(0), ()))
            assert target is not None
            plain = copy.copy(self)
            plain.use({})  # what was fitted to the model's outputs on validation is not for those of trees
            return interval_trees(eval_context, train, target, plain.decode)

        whole = {"interval_trees": grown} if eval_context.per_row else {}
        return {"gradient_boosting": boosted, **whole}

    def write(
        self,
        folder: Path,
        eval_context: EvalContext,
        calibration: Mapping[str, Any],
        scored: Sequence[Predictions],
        ahead: Predictions | None,
    ) -> dict[str, list[np.ndarray]]:
        """preds.csv: a line a window and output. `time` is the target's step within its row, counted from 0 (for
        whole-row targets: the context's last step), `date` when that is, where the data have dates; y_true is empty
        where the label is not known."""
        label = [*date_column(eval_context), *(["label"] if len(eval_context.names) > 1 else [])]
        parts = [*scored, *([ahead] if ahead is not None else [])]
        lines = (line for part in parts for line in self._lines(eval_context, calibration, part))
        write_csv(folder / "preds.csv", ["row", "time", *label, *self.columns], lines)
        return {
            "preds.csv": [part.index.each(eval_context.series.n_rows) for part in parts for _ in eval_context.names]
        }

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
            marks = self.table(truth[:, k, 0], part.pred[:, k, 0], chosen)
            for r, t, when, cells in zip(row, time, dates(eval_context, row, time), marks, strict=True):
                yield eval_context.series.rows[r], t, *when, *label, *cells

    def first_values(
        self, eval_context: EvalContext, calibration: Mapping[str, Any], part: Predictions, *, ahead: bool
    ) -> list[str]:
        """The lines of preds.csv for what comes after the last rows, or else the first ones."""
        label = ["label"] if len(eval_context.names) > 1 else []
        header = ["row", "time", *date_column(eval_context), *label, *self.columns]
        lines = islice(self._lines(eval_context, calibration, part), MOST_SHOWN)
        return printed(eval_context, [header, *lines], "after the last step:" if ahead else "the first of preds.csv:")


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


def _is_of_rows(targets: Targets, series: Series) -> bool:
    """Whether labels along time are the same all along each of several rows: the step before tells them to who asks."""
    return all(label_column.is_of_rows(values, series.offsets) for values in targets.values)


def _last_seen(targets: Targets, index: Index) -> np.ndarray:
    """The label at the last step of the context as the prediction of the target: the forecast of no change."""
    value = targets.values[:, index.starts() + index.length - 1]
    table: np.ndarray = np.nan_to_num(value).T[:, :, None]
    return table
