"""Whether the first or the last column of a wide table of decimals holds classes, as people put them beside series."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from errors import DataError

MOST_CLASSES, LEAST_ROWS, LEAST_STEPS = 30, 10, 3
LOOKED_AT = 1 << 22  # cells of the other columns
MOST_CHANNELS = 50  # columns, of which more are rather steps


def check_ends(values: np.ndarray, path: Path) -> None:
    """Refuse a table in which a column at an end alone holds whole numbers, few and again and again.

    In a table sorted by classes its first lines do not show it (`guess.sniff`).

    Parameters
    ----------
    values : [N, T], without row ids.
    path : the file, for the error.

    Raises
    ------
    DataError : with the flags that decide.
    """
    n, columns = values.shape
    if n < LEAST_ROWS or columns <= LEAST_STEPS:
        return
    for place, at in (("last", -1), ("first", 0)):
        kinds = np.unique(values[:, at])
        if not 1 < len(kinds) <= min(MOST_CLASSES, n // 2) or (kinds != np.trunc(kinds)).any():
            continue
        some = values[:: max(1, n * columns // LOOKED_AT)]
        others = np.delete(some, at, axis=1)
        decimal = (others != np.trunc(others)).any(axis=0)
        padded = (others == 0).all(axis=0)  # behind the ends of heartbeats
        if not (decimal | padded).all() or decimal.sum() < max(LEAST_STEPS, padded.sum()):
            continue
        shown = ", ".join(f"{kind:g}" for kind in kinds[:5]) + ", ..." * (len(kinds) > 5)
        what = f"the {place} column alone holds whole numbers, {len(kinds)} in {n:,} rows ({shown}): classes or data"
        hint = f"--task classify --label-src-ch {place} if these are classes of series, "
        if columns <= MOST_CHANNELS:
            hint += f"--task classify --time-col line --label-src-ch {place} if each line is a step of time, "
        raise DataError(what, where=str(path), hint=f"{hint}--index no if it is the {place} step")
