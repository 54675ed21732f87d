"""The rows that a run does not use, learn from, score or predict."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import splits
from dataset import RunData
from splits import Split

log = logging.getLogger("tsrun")


def tell_left_out(run_data: RunData, split: Split | None = None) -> None:
    """Warn of rows that are not used at all, not learned from, not scored or not predicted; `left_out` keeps it.

    Rows of another part of a split by rows are not left out. In inference, without `split`, what comes after each row
    is predicted too, and by training where the target continues the model's input.
    """
    series, index = run_data.series, run_data.index if split is not None else run_data.judged
    rows = partial(splits.left_out, names=series.rows, lengths=series.lengths)
    every = np.ones(series.n_rows, bool)
    found: dict[str, dict[str, Any]] = {}
    if run_data.targets is not None:
        gap = _says("each of their windows holds a missing value")
        known = run_data.targets.usable() if run_data.per_row else every
        found["used" if split is not None else "scored"] = rows(index, known, need=index.span, gap=gap)
        found["labelled"] = _unlabelled(run_data, known, "scored" if split is None else "learned from, and not scored")
    if split is not None and split.how["mode"] != "group":
        used, last = np.isin(np.arange(series.n_rows), index.row), split.test if len(split.test) else split.val
        gap = _says("none of their windows has its target in that part of the row")
        found["learned from"] = rows(split.train, used, need=0, gap=gap)
        found["scored"] = rows(last, used, need=0, gap=gap)
    before = index.shift is not None and index.shift >= index.length  # else the target is in the window, or the row's
    goes_on = before and (split is None or bool(run_data.target_channels))
    if goes_on and (len(run_data.ahead) or not series.known):
        # In training the others are not used at all, which is told.
        told = every if split is None else np.isin(np.arange(series.n_rows), index.row)
        found["predicted past their end"] = rows(
            run_data.ahead, told, need=index.length, gap=partial(_last_gap, run_data)
        )
    elif goes_on:
        log.warning(
            "warning: nothing is forecast past the end: %s must be given for the %d steps after it, in lines that "
            "leave the other columns empty",
            ", ".join(series.known),
            run_data.ahead.horizon,
        )
    found["scored in full"] = _made_up(run_data)
    run_data.left_out.update({f"not {what}": left for what, left in found.items() if left})
    for what, left in run_data.left_out.items():
        more = left["rows"] - len(left["names"])
        listed = ", ".join(left["names"]) + (f" and {more:,} more" if more else "")
        log.warning(
            "warning: %d of %d rows %s: %s; %s", left["rows"], series.n_rows, f"are {what}", listed, left["why"]
        )


def _unlabelled(run_data: RunData, known: np.ndarray, use: str) -> dict[str, Any]:
    """The rows whose label is not among the `known` ones, mask [N], and what use they are not; {} where all are."""
    rows = np.flatnonzero(~known)
    names = [run_data.series.rows[row] for row in rows[: splits.FEW]]
    why = f"without a label they are not {use}"
    return {"rows": len(rows), "names": names, "why": why} if len(rows) else {}


def _made_up(run_data: RunData) -> dict[str, Any]:
    """The rows in which `--nan` made up values of the target; {} where it made up none."""
    targets, series = run_data.targets, run_data.series
    if targets is None or targets.filled is None or not targets.filled.any():
        return {}
    row = np.repeat(np.arange(series.n_rows), series.lengths)
    counts = np.bincount(row, targets.filled.sum(axis=0), minlength=series.n_rows).astype(int)
    of, rows = len(targets.names) * series.lengths, np.flatnonzero(counts)
    few = [f"{series.rows[r]} ({counts[r]:,} of {of[r]:,} values)" for r in rows[: splits.FEW]]
    policy = run_data.config.nan
    kinds = {"error": "what stands for missing lines", "auto": "what stands for missing values"}
    made = kinds.get(policy, f"what --nan {policy} made up")
    why = f"{made} may be input and is never scored"
    return {"rows": len(rows), "names": few, "why": why}


def _says(why: str) -> Callable[[int], str]:
    return lambda _: why


def _last_gap(run_data: RunData, row: int) -> str:
    """Why the end of a row is no context: where its last missing value is."""
    series, (begin, end) = run_data.series, run_data.series.offsets[row : row + 2]
    channels = [*run_data.keep, *run_data.covariates]
    gaps = [np.flatnonzero(np.isnan(series.values[c, begin:end])) for c in channels]
    last = [int(gap[-1]) if len(gap) else -1 for gap in gaps]
    if max(last) < 0:
        return f"{', '.join(series.known)} must be given after their end"
    at, channel = max(last), series.channels[channels[last.index(max(last))]]
    when = f"step {at}"
    if series.time is not None and series.clock is not None:
        when = series.clock.show(series.time[begin + at : begin + at + 1])[0]
    cure = "; --nan ffill repeats the value before" * (run_data.config.nan != "ffill")
    return f"of the last {run_data.index.length:,} steps of {series.rows[row]}, {channel} is missing at {when}{cure}"
