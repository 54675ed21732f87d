"""Series of a long table whose values are words alone, as doors that are open or closed beside thermometers have them:
they are left out, told, so that the others can be read."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from errors import many
from readers.longtext import LongText, without_lines
from readers.paths import abridge


def without_worded(table: LongText, times: Sequence[str], ids: Sequence[str]) -> tuple[LongText, str] | None:
    """The table without the series in which no column holds a number, where one holds words; and the note on them.

    Parameters
    ----------
    table : a long table.
    times, ids : the columns of its keys.

    Returns
    -------
    None where there is no such series, or no other one, or a cell spans lines.
    """
    import pandas

    names = table.header()
    others = [name for name in names if name and name not in (*times, *ids)]
    if table.dialect.strict or not ids or not others or len({*names}) < len(names):
        return None
    frame = table.cells_of(names, [*ids, *others], dtype=object, na_filter=False)
    if len(frame) != table.text.count(b"\n"):
        return None
    numbers, words = np.zeros((2, len(frame)), bool)
    for name in others:
        codes, kinds = pandas.factorize(frame[name].to_numpy(object))
        read = [table.dialect.number(kind) for kind in kinds]
        numbers |= np.array([number is not None and number == number for number in read])[codes]
        words |= np.array([number is None for number in read])[codes]
    owner = frame[list(ids)].agg("/".join, axis=1).to_numpy(object) if len(ids) > 1 else frame[ids[0]].to_numpy(object)
    series, kinds = pandas.factorize(owner)
    counted, worded = (np.bincount(series[found], minlength=len(kinds)) for found in (numbers, words))
    bare = (counted == 0) & (worded > 0)
    if not bare.any() or not counted.any():
        return None
    out = bare[series]
    which = abridge([str(kind) for kind in kinds[bare]])
    lines = [number + 2 for number in np.flatnonzero(out).tolist()]
    told = f"warning: {many(int(bare.sum()), 'series')} of words alone left out, {many(len(lines), 'line')}: {which}"
    return without_lines(table, [], lines), told
