"""What to propose where a part of a split has no window: values of flags with which each has one."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import windows
from config import RunConfig
from data import Series
from readers.late import lost_steps
from tasks.targets import Targets
from windows import Index

log = logging.getLogger("tsrun")
Works = Callable[[Index, dict[str, Any]], bool]  # each part has one of some windows, with other values of a split

PARTS = 4  # windows of so many times fit side by side where all three parts have one
FEW_STEPS, MANY_ROWS = 3, 20  # so many series of so few steps are rather lines that are steps themselves


def proposed(
    config: RunConfig,
    series: Series,
    seen: np.ndarray,
    targets: Targets | None,
    index: Index,
    works: Works,
) -> str:
    """The flags with which every part has a window; "" where none is found, and where a checkpoint binds them.

    Parameters
    ----------
    config : the settings that do not work.
    series : N rows.
    seen : mask [total] of the steps whose inputs are all known.
    targets : None where no label is known.
    index : the windows that are too few.
    works : whether each part has one of some windows, with other values of `splits.make`.
    """
    if config.mode != "train":
        return ""
    if config.csv and not config.time_col and series.lengths.max() <= FEW_STEPS and series.n_rows >= MANY_ROWS:
        return "--time-col line if each line is a step of time"
    for name, current, least in (("gap", config.gap, 0), ("folds", config.folds, 2)):
        for value in _halves(current, least):
            if works(index, {name: value}):
                return f"--{name} {value}"
    if targets is None or targets.per_row or index.shift is None or index.shift < index.length:
        return ""
    offset = index.shift - index.length + 1
    ahead = list(_halves(index.horizon, 1)) if "horizon" in config.options else []
    given = "context_len" in config.given
    for horizon in (index.horizon, *ahead):
        less = horizon < index.horizon  # and a look-back that is not given fits itself to the horizon
        lengths = [index.length if given else max(index.length, horizon)] if less else []
        for length in (*lengths, *_halves(index.length, max(min(index.length, horizon) // 2, 1))):
            how: dict[str, Any] = {"length": length, "stride": index.stride, "horizon": horizon}
            if works(windows.plan(series.offsets, seen, targets.usable(), offset=offset, **how), {}):
                return f"--context-len {length} " * (given or not less) + f"--horizon {horizon}" * less
    return ""


def untested(config: RunConfig, series: Series, index: Index, works: Works) -> bool:
    """Whether a split has windows without a test part alone, and none was asked for: three years of months can be
    forecast a year ahead, though one year is all that can be scored.

    Parameters
    ----------
    config, series, index, works : see `proposed`.
    """
    asked = {"test_ratio", "split_sizes", "context_len"} & {*config.given}
    if config.mode != "train" or config.split_mode != "holdout" or asked or "horizon" not in config.options:
        return False
    short = series.lengths.max() < PARTS * index.span
    return bool(short) and not works(index, {}) and works(index, {"test_ratio": 0.0})


def without_test(hint: str) -> dict[str, Any]:
    """The settings of a split without a test part, told; `hint` is the flags with which there is one, "" for none."""
    more = f"; {hint} leaves one" if hint else ""
    log.warning("warning: the series are too short for a test part: scores are those of validation%s", more)
    return {"test_ratio": 0.0}


def columns(
    config: RunConfig,
    series: Series,
    keep: np.ndarray,
    targets: Targets | None,
    index: Index,
    works: Works,
) -> str:
    """The --columns with which every part has a window, without those that begin late or end early; "" for none.

    Parameters
    ----------
    keep : the numbers of the channels that the model sees.
    config, series, targets, index, works : see `proposed`.
    """
    plain = config.mode == "train" and config.time_col and not config.columns and not series.known
    if not plain or targets is None or targets.per_row or index.shift is None or index.shift < index.length:
        return ""
    odd = lost_steps(series.values[: series.numeric], series.offsets)
    kept = [c for c in range(series.numeric) if c not in odd]
    names = [series.channels[c] for c in kept]
    whole = set(targets.names) <= set(names)
    if not odd or not kept or not (whole or len(targets.names) == len(series.channels)):
        return ""
    seen = series.usable(np.intersect1d(keep, kept))
    how = {"length": index.length, "stride": index.stride, "horizon": index.horizon}
    offset = index.shift - index.length + 1
    known = targets.usable() if whole else seen
    found = windows.plan(series.offsets, seen, known, offset=offset, **how)
    return f"--columns {shlex.join(names)}" if works(found, {}) else ""


def _halves(value: int, least: int) -> Iterator[int]:
    """Half of a value, half of that and so on, down to the least."""
    while value > least:
        value = max(value // 2, least)
        yield value
