"""Rows of so few steps that nothing shows how they go on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from errors import DataError, many
from readers.mapped import taken
from readers.paths import abridge
from readers.rows import Rows

LEAST_STEPS = 3  # with fewer, nothing shows that the steps are even


def check_lengths(rows: Rows) -> None:
    """Refuse short rows.

    Parameters
    ----------
    rows : N rows.

    Raises
    ------
    DataError : a row has fewer than LEAST_STEPS steps.
    """
    if (rows.lengths < LEAST_STEPS).any():
        row = int(np.argmax(rows.lengths < LEAST_STEPS))
        what = f"row {rows.names[row]!r} has {many(int(rows.lengths[row]), 'step')}, fewer than {LEAST_STEPS}"
        raise DataError(what, where=str(rows.of[row].path))


def without_short(rows: Rows) -> tuple[Rows, list[str]]:
    """The rows that are long enough, and the note on the others; all of them where none is.

    Parameters
    ----------
    rows : N rows.
    """
    long = rows.lengths >= LEAST_STEPS
    if long.all() or not long.any():
        return rows, []
    kept = np.flatnonzero(np.repeat(long, rows.lengths))
    names = [name for name, short in zip(rows.names, ~long, strict=True) if short]
    count = f"warning: {many(len(names), 'row')} of {len(long)} left out"
    what = f"{count}, of fewer than {LEAST_STEPS} steps: {abridge(names)}"
    left = replace(
        rows,
        values=taken(rows.values, kept),
        times=rows.times[kept],
        offsets=np.concatenate([[0], np.cumsum(rows.lengths[long])]),
        names=tuple(name for name, keep in zip(rows.names, long, strict=True) if keep),
        of=tuple(file for file, keep in zip(rows.of, long, strict=True) if keep),
        records=None if rows.records is None else rows.records[kept],
        made=None if rows.made is None else rows.made[kept],
    )
    return left, [what]
