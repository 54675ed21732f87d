"""Rows whose labels come in runs are cut from recordings, and neighbours of them are not drawn for different parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from config import RunConfig
from data import Series
from errors import DataError
from readers.guess import LINE
from readers.runs import blocks, in_runs, sorted_alike, summed_up

OWN = {"split_mode", "val_groups", "test_groups", "split_sizes"}  # flags that say how rows are split


def together(series: Series, config: RunConfig) -> Series:
    """The series with blocks of neighbours as groups where labels come in runs, or where rows sorted by them go on from
    one to the next, told; else as it is.

    A window that overlaps the one before, or a step of a slow process, is told by its neighbour: where that is learned
    from, a score says little of new data.

    Parameters
    ----------
    series : with or without labels [N, K].
    config : the settings.

    Raises
    ------
    DataError : labels in runs under --strict, which guesses nothing.
    """
    if series.labels is None or series.groups is not None or config.mode == "infer" or OWN & config.given:
        return series
    columns = _columns(series.labels)
    found = next((column for column in columns if in_runs(column)), None)
    what = "labels come in runs, as those of rows that follow one another in time do"
    if found is None:
        sums = summed_up(series.values, series.offsets) if np.diff(series.offsets).all() else np.empty((0, 0))
        found = next((column for column in columns if len(sums) and sorted_alike(column, sums)), None)
        what = "rows are sorted by label, and those of a class go on from row to row, as windows of a recording do"
    if found is None:
        return series
    other = "--split-mode group draws rows one by one, --groups FILE says which belong together"
    if config.csv and not config.time_col and series.n_channels == 1:
        other += f", --time-col {LINE} takes each as a step of time"
    if config.strict:
        raise DataError(what, where="--strict", hint=other)
    of = blocks(found)
    width = len(str(of[-1]))
    told = f"{what}: neighbours stay together, in {of[-1] + 1} blocks of {series.n_rows:,} rows; {other}"
    groups = np.array([f"block{number:0{width}d}" for number in of])
    return replace(series, groups=groups, notes=(*series.notes, told))


def _columns(labels: np.ndarray) -> Sequence[np.ndarray]:
    """The labels [N, K] by column, float [N] each; of classes, of which one is true in each row, their number alone."""
    known = np.isfinite(labels).all(axis=1)
    rows = labels[known]
    if labels.shape[1] > 1 and len(rows) and np.isin(rows, (0, 1)).all() and (rows.sum(axis=1) == 1).all():
        return [np.where(known, np.argmax(np.nan_to_num(labels), axis=1), np.nan)]
    return list(labels.T)
