"""A column of a table whose lines are steps, which only numbers them, or says how much time has passed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from readers.cells import Parsed
from readers.guess import is_id_word
from readers.restarts import beginnings
from times.words import is_clock_word

MOSTLY_COUNTED = 0.9  # of the steps of what numbers the lines of several parts of a larger table
MOSTLY_ON = 0.98  # of the steps of a time: a few lines are late
LEAST_NUMBERED = 10  # lines whose numbers are no data by chance


def without_counter(parsed: Parsed, lined: bool = False) -> tuple[Parsed, list[str]]:
    """What was read without a column that only numbers the lines, as `no` or `index` does, and the note on it.

    Parameters
    ----------
    parsed : all columns of a table; nobody named the ones to read.
    lined : whether its lines are steps, so that a time that grows from each to the next says nothing else.
    """
    count = parsed.values.shape[1]
    if count < LEAST_NUMBERED or len(parsed.columns) < 2:
        return parsed, []
    notes: list[str] = []
    for number, name in enumerate(parsed.columns[: len(parsed.columns) - len(parsed.words)]):
        named, clock = is_id_word(name, things=False), lined and is_clock_word(name)
        if not (named or clock or (lined and number == 0)):
            continue
        at = parsed.columns.index(name)
        first, gone = parsed.values[at, 0], np.diff(parsed.values[at].astype(np.float64))
        if lined and (named or clock):
            gone = np.delete(gone, beginnings(parsed.values[at]) - 1)
        steps = (first + np.arange(count)).astype(parsed.values.dtype)
        counts = first in (0, 1) and np.array_equal(parsed.values[at], steps)
        rising = lined and named and ((gone > 0).all() or (gone == 1).mean() > MOSTLY_COUNTED)
        if (counts and (named or number == 0)) or rising:
            notes = [f"column {name!r} numbers the lines and is left out; --columns reads it too", *notes]
        elif clock and (gone > 0).mean() > MOSTLY_ON:
            least, most = f"{gone.min():.3g}", f"{gone.max():.3g}"
            told = f"in steps of {least}" + f" to {most}" * (most != least)
            notes.append(f"each line is a step: column {name!r}, {told}, is left out; --columns reads it too")
        else:
            continue
        rest = tuple(other for other in parsed.columns if other != name)
        parsed = replace(parsed, columns=rest, values=np.delete(parsed.values, at, axis=0))
        if len(rest) < 2:
            break
    return parsed, notes
