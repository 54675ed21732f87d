"""Lines of predictions: when each is, and the first few of them as text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat
from typing import Any

import numpy as np

from data import Series
from tasks.predictions import EvalContext

MOST_SHOWN = 6  # lines of a file that are printed
AT_ONCE = 1 << 16  # dates that are held as text


def date_column(eval_context: EvalContext) -> list[str]:
    """The header of `dates`: none where the data have no dates."""
    return [] if eval_context.series.clock is None else ["date"]


def dates(eval_context: EvalContext, row: np.ndarray, step: np.ndarray) -> Iterator[tuple[str, ...]]:
    """When n predictions are: (date,) of each, on the clock of its row; () where the data have no dates.

    Parameters
    ----------
    eval_context : the data.
    row, step : int64 [n], the row of each and the step in it from 0, which may be after its end.
    """
    series = eval_context.series
    if series.clock is None:
        yield from repeat((), len(row))
        return
    for begin in range(0, len(row), AT_ONCE):  # millions of texts would be most of what a run holds
        part = slice(begin, begin + AT_ONCE)
        yield from zip(_shown(series, row[part], step[part]), strict=True)


def _shown(series: Series, row: np.ndarray, step: np.ndarray) -> np.ndarray:
    """The dates of steps [n] of rows [n], as text."""
    assert series.clock is not None
    found, order, lengths = np.empty(len(row), object), np.argsort(row, kind="stable"), series.lengths
    rows, begins = np.unique(row[order], return_index=True)
    for one, begin, end in zip(rows.tolist(), begins.tolist(), [*begins[1:].tolist(), len(row)], strict=True):
        at = order[begin:end]
        beyond = max(int(step[at].max()) + 1 - int(lengths[one]), 0)
        times = series.times(one, beyond)
        assert times is not None
        found[at] = series.clock.show(times[step[at]])
    return found


def printed(eval_context: EvalContext, lines: Iterable[Sequence[Any]], title: str) -> list[str]:
    """Lines of preds.csv, the header first, as `aligned` shows them; of things without a time, which they have not."""
    dateless = eval_context.series.things is not None
    return aligned([[line[0], *line[2:]] if dateless else line for line in lines], title)


def aligned(lines: Iterable[Sequence[Any]], title: str) -> list[str]:
    """A title, and cells in columns under it: text to the left, numbers to the right."""
    table = [[_short(cell) for cell in line] for line in lines]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    left = [not any(_is_number(line[c]) for line in table[1:]) for c in range(len(widths))]
    made = (
        "  ".join(c.ljust(w) if to_left else c.rjust(w) for c, w, to_left in zip(line, widths, left, strict=True))
        for line in table
    )
    return [title, *("  " + line.rstrip() for line in made)]


def _short(cell: Any) -> str:
    """A cell with at most five digits of a number that is no count."""
    text = str(cell)
    return f"{float(text):.5g}" if _is_number(text) and not text.lstrip("-").isdigit() else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text  # 40346_00060 is a name, though Python reads it
