"""A label for each step from beside the table: a channel more, which is the label and not there when one predicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from data import Series
from errors import DataError, many
from readers.dialect import Dialect
from readers.files import read_cells
from readers.sidecars import of_file, read_labels


def of_steps(series: Series, labels: Path | str, dialect: Dialect) -> tuple[Series, Path | str]:
    """The series with the labels of a file that has a line for each step, and ""; both as they are for another file.

    Parameters
    ----------
    series : a shard's has not all rows, and no labels of steps.
    labels : the file, or one column of it as `FILE:COLUMN`; "" for none.
    dialect : how CSVs are written.

    Raises
    ------
    DataError : several columns of labels, or as `readers.sidecars.read_labels`.
    """
    if not labels or series.part is not None:
        return series, labels
    steps, path = int(series.offsets[-1]), of_file(str(labels))[0]
    lines = len(read_cells(path, dialect)[0])
    if lines - steps not in (0, 1) or lines - series.n_rows in (0, 1):
        return series, labels
    found = read_labels(labels, list(map(str, range(steps))), False, dialect)
    if len(found.names) > 1:
        hint = f"--labels {path}:{found.names[-1]} reads one of them"
        raise DataError(f"{len(found.names)} columns of labels for each step", where=str(path), hint=hint)
    told = f"{path}: a label for each of {many(steps, 'step')}; it is learned, and no input"
    series = replace(series, notes=(*series.notes, *found.notes, told))
    words = found.words[0] if found.words else ()
    return with_label(series, _free(found.names[0], series.channels), found.values[:, 0], words), ""


def _free(name: str, taken: Sequence[str]) -> str:
    """A name that no channel has."""
    while name in taken:
        name += "_label"
    return name


def with_label(series: Series, name: str, values: np.ndarray, words: Sequence[str]) -> Series:
    """The series with a label along time as its last channel of numbers.

    Parameters
    ----------
    series : values [C, total].
    name : that no channel has.
    values : [total], NaN where a step has no label.
    words : those that its values 0, 1, ... stand for; () for numbers.
    """
    at = series.numeric
    return replace(
        series,
        values=np.insert(series.values, at, values, axis=0),
        channels=(*series.channels[:at], name, *series.channels[at:]),
        filled=None if series.filled is None else np.insert(series.filled, at, False, axis=0),
        label_names=(name,),
        label_words=(tuple(words),) if words else (),
    )
