"""Lines of a long table that lack their time or their id, or whose day no calendar has: a few are left out, told."""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from errors import many
from readers.dialect import MISSING
from readers.longtext import LongText, without_lines

MOST = 0.02  # of the lines
_DAY = re.compile(r"(\d{4})([-/.]?)(\d{1,2})\2(\d{1,2})(?!\d)|(\d{1,2})([-/.])(\d{1,2})\6(\d{4})(?!\d)")


def without_keyless(table: LongText, times: Sequence[str], ids: Sequence[str]) -> tuple[LongText, str] | None:
    """The table without the few lines in which one of its keys is empty or 30 February, and the note on them.

    Parameters
    ----------
    table : a long table.
    times, ids : the columns of its keys. An id may be called NA, as Namibia is; a time is none then.

    Returns
    -------
    None where every line has them, many have not, or a cell spans lines.
    """
    frame = table.cells_of(table.header(), [*times, *ids], dtype=object, na_filter=False)
    if table.dialect.strict or len(frame) != table.text.count(b"\n"):
        return None
    lost, unreal = np.zeros((2, len(frame)), bool)
    for name in (*times, *ids):
        cells = frame[name].str.strip()
        lost |= cells.isin(MISSING if name in times else [""]).to_numpy()
        if name in times:
            unreal |= cells.isin([cell for cell in cells.unique() if is_unreal(cell)]).to_numpy()
    out = lost | unreal
    if not 0 < out.sum() <= MOST * len(frame):
        return None
    told = "; ".join(_notes(table, lost, unreal & ~lost, frame[list(times)]))
    return without_lines(table, [], [number + 2 for number in np.flatnonzero(out).tolist()]), f"warning: {told}"


def is_unreal(cell: str) -> bool:
    """Whether a date is of a day that its month lacks, in each order that it may have: 2021-02-29, 31/04/2021."""
    found = _DAY.match(cell)
    if not found:
        return False
    year, _, month, day, *ends, last = found.groups()
    orders = [(month, day)] if year else [(ends[0], ends[2]), (ends[2], ends[0])]
    dates = [(int(month), int(day)) for month, day in orders if 1 <= int(month) <= 12 and 1 <= int(day) <= 31]
    return bool(dates) and all(day > calendar.monthrange(int(year or last), month)[1] for month, day in dates)


def _notes(table: LongText, lost: np.ndarray, unreal: np.ndarray, times: Any) -> Iterator[str]:
    """What was left out, by its kind."""
    for out, what in ((lost, "without a time or an id"), (unreal, "of a day that the calendar lacks")):
        at = np.flatnonzero(out).tolist()
        if at:
            which = f" ({' '.join(times.iloc[at[0]])})" if out is unreal else ""
            yield f"{many(len(at), 'line')} {what} left out: {table.locate(at[0])}{which}{', ...' * (len(at) > 1)}"
