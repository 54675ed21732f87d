"""Which windows a task has over a series: those that are learned from, those ahead of the rows' ends, those judged."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

import splits
import windows
from config import RunConfig
from data import Series
from splits import Split
from tasks.base import Task
from tasks.targets import Targets
from windows import Index


def windows_of(
    config: RunConfig,
    task: Task,
    series: Series,
    targets: Targets | None,
    keep: np.ndarray,
    covariates: np.ndarray,
    *,
    per_row: bool,
) -> tuple[Index, Index, Index]:
    """The windows whose context and target are known; the last context of every row; the windows that are judged.

    Parameters
    ----------
    config : the final settings, with the context's length.
    task : says where the target is.
    series : values [C, total].
    targets : None where no label is known: each step of long tables has a window then, but of a task that continues
        its input; of wide ones the last context of each row is all that is asked.
    keep, covariates : the channels that the model sees, and those that are known ahead.
    per_row : whether a target belongs to a whole row.
    """
    known_ahead = series.usable(covariates)
    usable_x = series.usable(keep) & known_ahead
    if targets is None:
        along = bool(config.time_col) and not task.autoregressive  # a label of steps can be told of each without it
        known = per_row or task.target_in_context or along
        usable_y = np.full(series.n_rows if per_row else int(series.offsets[-1]), known)
    else:
        usable_y = _usable_targets(targets, task, known_ahead)
    if task.target_in_context:
        index, judged = _on_target(config, task, series, usable_x & usable_y)
        return index, index.of_rows(np.zeros(series.n_rows, bool)), judged
    index, ahead = _before_target(config, task, series, usable_x, usable_y, per_row)
    return index, ahead, index


def _usable_targets(targets: Targets, task: Task, known_ahead: np.ndarray) -> np.ndarray:
    """Mask [total], or [N] for whole-row targets, of what may be a target. A label that `--nan` made up may not.

    Of a target of several steps, those that are made up are left out when it is scored.
    """
    usable = targets.usable()
    if not task.autoregressive:
        usable &= targets.measured()
    return usable if targets.per_row else usable & known_ahead


def _on_target(config: RunConfig, task: Task, series: Series, usable: np.ndarray) -> tuple[Index, Index]:
    """Windows whose target is the window itself: those of training, and those that are judged."""
    assert config.context_len is not None
    cover = partial(windows.cover, series.offsets, usable, length=config.context_len)
    index, stride = cover(stride=config.stride), task.judged_stride(config)
    return index, index if stride == config.stride else cover(stride=stride)


def _before_target(
    config: RunConfig, task: Task, series: Series, usable_x: np.ndarray, usable_y: np.ndarray, per_row: bool
) -> tuple[Index, Index]:
    """Windows that end before their target; and the last context of each row, whose target is not yet seen."""
    assert config.context_len is not None
    offset = None if per_row else task.offset(config)
    span: dict[str, Any] = {"length": config.context_len, "offset": offset, "horizon": task.horizon}
    index = windows.plan(series.offsets, usable_x, usable_y, stride=max(config.stride, 1), **span)
    given = np.full(series.n_rows, not per_row)
    if series.known:
        given &= series.given_ahead(task.horizon)
    return index, windows.last_contexts(series.offsets, usable_x, **span).of_rows(given)


def splits_of(config: RunConfig, series: Series, index: Index, kinds: np.ndarray | None, **other: Any) -> list[Split]:
    """The folds that the configuration asks for; UsageError, DataError: see `splits.make`.

    Parameters
    ----------
    kinds : the class of each row, int [N]; None where there are none.
    other : values of `splits.make` in place of the configuration's.
    """
    usual: dict[str, Any] = {"val_ratio": config.val_ratio, "test_ratio": config.test_ratio}
    usual |= {"gap": config.gap, "folds": config.folds, "sizes": config.split_sizes}
    return splits.make(
        index,
        series.offsets,
        mode=config.split_mode,
        seed=config.seed,
        groups=series.groups,
        rows=series.rows,
        named={"val": config.val_groups, "test": config.test_groups},
        kinds=kinds,
        **(usual | other),
    )
