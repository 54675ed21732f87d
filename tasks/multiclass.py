"""Several labels per row: exclusive classes (softmax), and the metrics and files for them.

K labels are classes if exactly one of them is true in every row of training; else each is true or not by itself.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import metrics
from errors import DataError
from rundir import shortest, write_csv
from tasks.given_labels import listed
from tasks.lines import date_column, dates
from tasks.predictions import EvalContext, Predictions

log = logging.getLogger("tsrun")
MOST_PRINTED = 5  # classes whose probabilities are printed, beside what the file has
HEADLINE = ("accuracy", "macro_f1", "pr_auc", "roc_auc", "ece", "balanced_accuracy")


def one_of_many(truth: np.ndarray) -> bool:
    """Whether exactly one of K > 1 labels [n, K, 1] is true in every row."""
    return truth.shape[1] > 1 and bool((truth.sum(axis=1) == 1).all())


def check_one(truth: Mapping[str, np.ndarray]) -> None:
    """DataError where a split has a row without a class, or with several, when training has none."""
    for split, part in truth.items():
        count = part.sum(axis=1)
        if not (count == 1).all():
            row = int(np.argmax(count[:, 0] != 1))
            what = (
                f"{int(count[row, 0])} labels are true in row {row} of the {split} split, but one in every training row"
            )
            hint = "with such a row in training (another --seed) each label is learned by itself"
            raise DataError(what, where="labels", hint=hint)


def tell_missing(classes: Sequence[str]) -> None:
    """One warning about the classes that no window of training has."""
    if classes:
        what = "class %s is never true in training, and will hardly be predicted"
        several = "classes %s are never true in training, and will hardly be predicted"
        log.warning("warning: " + (several if len(classes) > 1 else what), listed(classes))


def report(truth: np.ndarray, pred: np.ndarray, names: Sequence[str]) -> dict[str, Any]:
    """Accuracy, macro-F1 and confusion of the likeliest class; truth and pred are [n, K, 1]."""
    found = metrics.class_metrics(truth[:, :, 0].argmax(axis=1), pred[:, :, 0].argmax(axis=1), len(names))
    return {**found, "classes": list(names)}


def accuracy(truth: np.ndarray, pred: np.ndarray, tau: Sequence[float], exclusive: bool) -> float:
    """The share of windows [n, K, 1] that are right: the likeliest of classes, else p >= tau in every label at once."""
    if exclusive:
        return float((truth.argmax(axis=1) == pred.argmax(axis=1)).mean())
    right = (pred >= np.asarray(tau)[:, None]) == (truth > 0.5)
    return float(right.all(axis=(1, 2)).mean())


def write_classes(path: Path, eval_context: EvalContext, parts: Sequence[Predictions]) -> dict[str, list[np.ndarray]]:
    """preds.csv: a line a window, with the true class (empty where it is not known), the likeliest, and all K.

    Returns what `Task.write` does.
    """
    write_csv(path, header(eval_context), (line for part in parts for line in lines(eval_context, part)))
    return {path.name: [part.index.each(eval_context.series.n_rows) for part in parts]}


def header(eval_context: EvalContext) -> list[str]:
    """The columns of `lines`."""
    probabilities = (f"p {name}" for name in eval_context.names)
    return ["row", "time", *date_column(eval_context), "y_true", "y_pred", *probabilities]


def shown(eval_context: EvalContext, lines: Iterable[Sequence[Any]]) -> tuple[Sequence[Any], Iterable[Sequence[Any]]]:
    """The header and some of `lines` as they are printed: of many classes with the probability of the likeliest."""
    count, every = len(eval_context.names), header(eval_context)
    if count <= MOST_PRINTED:
        return every, lines
    return [*every[:-count], "its p"], [[*line[:-count], max(line[-count:], key=float)] for line in lines]


def lines(eval_context: EvalContext, part: Predictions) -> Iterator[Sequence[Any]]:
    """The lines of preds.csv for n windows [n, K, 1]."""
    names, row = eval_context.names, part.index.rows()
    end = part.index.starts() + part.index.length - 1 if eval_context.per_row else part.index.targets()
    time = end - eval_context.series.offsets[row]
    true = np.full(len(row), -1)
    if part.truth is not None:
        known = np.isfinite(part.truth[:, :, 0]).all(axis=1)
        true = np.where(known, np.nan_to_num(part.truth[:, :, 0]).argmax(axis=1), -1)
    likeliest = part.pred[:, :, 0].argmax(axis=1)
    cells = zip(row, time, dates(eval_context, row, time), true, likeliest, part.pred[:, :, 0], strict=True)
    for r, t, when, y, guess, p in cells:
        yield eval_context.series.rows[r], t, *when, names[y] if y >= 0 else "", names[guess], *map(shortest, p)
