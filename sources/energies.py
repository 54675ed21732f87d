"""Meters of energy: whether they are registers, which only rise, or each line has the energy of its own time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from readers.rows import Rows
from sources.grids import UNITS

MOST_FALLS = 0.01  # of the changes of a register


def energies(
    rows: Rows, columns: Sequence[str], units: Mapping[str, str], apart: float
) -> tuple[dict[str, str | float], list[str]]:
    """The unit of each column, or the W of one where a line has the energy of its own time; and a note on these.

    A register only rises. Energies that fall again and again are those from line to line.

    Parameters
    ----------
    rows : of meters, values [C, total].
    columns : C names.
    units : of the columns, see `UNITS`.
    apart : seconds from line to line.
    """
    found: dict[str, str | float] = dict(units)
    lines = []
    for name, unit in units.items():
        factor, counts = UNITS[unit]
        if counts and not any(_is_register(rows.values[columns.index(name), a:b]) for a, b in rows.spans()):
            found[name] = factor * 3600 / apart
            lines.append(name)
    told = f"the energy of each line, which rises and falls, and no register: {', '.join(lines)}"
    return found, [told] if lines else []


def _is_register(values: np.ndarray) -> bool:
    """Whether readings hardly ever fall: a register starts again now and then."""
    change = np.diff(values[~np.isnan(values)])
    return int((change < 0).sum()) <= MOST_FALLS * len(change)
