"""What `--nan` makes of values that are missing or infinite, and how it is told."""

from __future__ import annotations

import numpy as np

from errors import UsageError

POLICIES = ("error", "drop", "ffill", "zero")
HINT = "--nan drop leaves out the windows that hold one, --nan ffill repeats the value before, --nan zero sets 0"
FILL_CELLS = 1 << 20  # cells forward-filled at a time, so that the index it needs stays small
_DONE = {"drop": "left as gaps", "zero": "set to 0", "ffill": "filled with the value before in the row"}


def check_policy(policy: str) -> None:
    """UsageError for what is no policy."""
    if policy not in POLICIES:
        raise UsageError(f"{policy!r} is none of {', '.join(POLICIES)}", where="--nan")


def counted(missing: int, infinite: int) -> str:
    """How many there are."""
    return f"{missing:,} missing and {infinite:,} infinite values"


def done(policy: str, leading: int) -> str:
    """What became of them; `leading` had no value before them in their row."""
    return _DONE[policy] + (f"; {leading:,} at the start of a row left as gaps" if policy == "ffill" else "")


def fill_forward(table: np.ndarray) -> int:
    """Give each NaN of table [N, T] the last value before it in its row, in place; returns how many had none."""
    leading = 0
    step = max(1, FILL_CELLS // table.shape[1])
    for start in range(0, len(table), step):
        rows = table[start : start + step]
        last = np.where(np.isnan(rows), 0, np.arange(rows.shape[1]))
        rows[:] = np.take_along_axis(rows, np.maximum.accumulate(last, axis=1), axis=1)
        leading += int(np.isnan(rows).sum())
    return leading
