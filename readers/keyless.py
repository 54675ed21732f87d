"""Lines of a long table that lack their time or their id: a few are left out, and told."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from errors import many
from readers.dialect import MISSING
from readers.longtext import LongText, without_lines

MOST = 0.02  # of the lines


def without_keyless(table: LongText, times: Sequence[str], ids: Sequence[str]) -> tuple[LongText, str] | None:
    """The table without the few lines in which one of its keys is empty, and the note on them.

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
    lost = np.zeros(len(frame), bool)
    for name in (*times, *ids):
        lost |= frame[name].str.strip().isin(MISSING if name in times else [""]).to_numpy()
    if not 0 < lost.sum() <= MOST * len(frame):
        return None
    at = np.flatnonzero(lost).tolist()
    note = f"{many(len(at), 'line')} without a time or an id left out: {table.locate(at[0])}{', ...' * (len(at) > 1)}"
    return without_lines(table, [], [number + 2 for number in at]), f"warning: {note}"
