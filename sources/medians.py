"""Tables of things (patients, machines): what a line lacks is the median of its column, of the lines of training.

A neighbour is another thing, so nothing else in the line says it. A checkpoint keeps the medians: what is predicted
later is filled as training was.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from data import Series

if TYPE_CHECKING:
    from dataset import RunData
    from tasks.base import Task
    from windows import Index


def of_training(run_data: RunData, task: Task, train: Index) -> RunData:
    """The data of a run with what lines lack as training says; as they are where nothing is lacking.

    Parameters
    ----------
    run_data : the data of all splits.
    task : what is learned.
    train : the windows of training.
    """
    series = run_data.series
    if series.lacking is None or series.usual is not None:  # as a checkpoint says
        return run_data
    known = (run_data.seen(task, train) & ~series.lacking).reshape(series.n_rows, -1)
    table = series.values[0].reshape(known.shape)
    usual = np.array([np.median(table[known[:, at], at]) if known[:, at].any() else 0.0 for at in range(len(table[0]))])
    return replace(run_data, series=filled(series, usual))


def filled(series: Series, usual: np.ndarray | None) -> Series:
    """The series with these medians [T] where its lines lack a value; as it is without medians."""
    if usual is None or series.n_channels > 1 or (series.lengths != len(usual)).any():
        return series
    lacking = series.lacking
    if lacking is None:  # it came without its labels, and was not taken for things
        lacking = np.isnan(series.values[0]) | (False if series.filled is None else series.filled[0])
    values = np.where(lacking, np.tile(usual, series.n_rows), series.values[0]).astype(series.values.dtype)
    return replace(series, values=values[None], lacking=lacking, usual=usual)


def of(kept: Mapping[str, Any] | None) -> np.ndarray | None:
    """The medians that a checkpoint keeps; None where there are none."""
    found = (kept or {}).get("usual")
    return None if found is None else np.array(found, np.float64)
