"""Rows whose time column counts steps, such as cycles: checked for order and even steps; they have no clock."""

from __future__ import annotations

import numpy as np

from errors import DataError, UsageError
from readers.rows import Rows, line_steps


def steps_counted(rows: Rows, *, resample: str, tz: str) -> bool:
    """Whether the rows count steps, and do so evenly.

    Parameters
    ----------
    rows : N rows, oldest first.
    resample, tz : the flags, which only times can follow.

    Raises
    ------
    UsageError : a flag for times.
    DataError : some files count and some have times; counts that go back, come twice or are not even.
    """
    counts = [file for file in rows.of if file.stamps.counted]
    if not counts:
        return False
    for flag, given in (("--resample", resample), ("--tz", tz)):
        if given:
            what = f"the time column of {counts[0].path} counts steps, and has no dates"
            raise UsageError(what, where=flag, hint=f"leave {flag} out, or name a column of dates by --time-col")
    if len(counts) < len(rows.of):
        other = next(file for file in rows.of if not file.stamps.counted)
        what = f"the time column counts steps, where {other.path} has dates"
        raise DataError(what, where=str(counts[0].path), hint="--time-col names a column that all files have")
    steps = line_steps(rows)
    if not len(steps):
        return True
    usual = int(np.bincount(steps[steps > 0]).argmax()) if 0 < steps.max(initial=0) < 1 << 24 else int(steps.max())
    if (steps != usual).any():
        raise _uneven(rows, int(np.argmax(steps != usual)), usual)
    return True


def _uneven(rows: Rows, step: int, usual: int) -> DataError:
    """The error for the step of that number, which is not the usual one."""
    at = step + 1 + int(np.searchsorted(rows.offsets[1:-1] - 1 - np.arange(len(rows.names) - 1), step, "right"))
    found = int(rows.times[at] - rows.times[at - 1])
    what = f"the time column goes on by {found}, where its usual step is {usual}"
    hint = "--time-col line takes each line as a step; else a line for every step, with empty cells for what is missing"
    if found <= 0:
        hint = "--id-col names the column that distinguishes several series"
    return DataError(what, where=rows.locate(at), hint=hint)
