"""What stands among the lines of a table and is none: units below the names, totals and sources at its end, a separator
at the end of each line; and names that come twice. All of it is left out, or numbered, and told.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

LEAST_BODY = 4  # lines above a foot
MOST_FOOT = 3  # lines with text at the end of a table that are none of it
MOST_NOTES = 20  # and of those with text in one cell alone
_DIGIT = re.compile(r"\d")


def widened(names: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The names of the columns as many as the lines have cells, where those beyond are empty, as at a separator that
    ends each line; as they are where that is not so.

    Parameters
    ----------
    names : the cells of the header.
    rows : the cells of lines below it.
    """
    width = len(names)
    widths = {len(row) for row in rows}
    if len(widths) != 1:
        return list(names)
    extra = widths.pop() - width
    if extra > 0 and not any(any(map(str.strip, row[width:])) for row in rows):
        return [*names, *[""] * extra]
    return list(names[:extra]) if extra < 0 and not any(map(str.strip, names[extra:])) else list(names)


def numbered(names: Sequence[str]) -> list[str]:
    """Names of which each is there once: the second `load` is `load_2`.

    Parameters
    ----------
    names : the cells of the header; those without text stay.
    """
    known, taken, made = set(names), set[str](), []
    for name in names:
        if name and name in taken:
            numbers = (f"{name}_{number}" for number in range(2, len(names) + 2))
            name = next(free for free in numbers if free not in taken and free not in known)
        taken.add(name)
        made.append(name)
    return made


def foot(rows: Sequence[Sequence[str]], at: int) -> int:
    """How many lines at the end of a table are none of its: empty ones, a total, the name of a source.

    Parameters
    ----------
    rows : the cells of its last lines.
    at : the column of the times.
    """
    if not rows:
        return 0
    count = texts = notes = 0
    begins = sum(_cell(row, at)[:1].isdigit() for row in rows) * 2 > len(rows)
    for row in reversed(rows):
        cell = _cell(row, at)
        if any(map(str.strip, row)):
            bare = not _DIGIT.search(cell) or (begins and not cell[:1].isdigit())
            alone = sum(map(bool, map(str.strip, row))) == 1
            if not bare or (notes if alone else texts) == (MOST_NOTES if alone else MOST_FOOT):
                break
            texts, notes = texts + (not alone), notes + alone
        count += 1
    return count if count + LEAST_BODY <= len(rows) else 0


def _cell(row: Sequence[str], at: int) -> str:
    return row[at].strip() if at < len(row) else ""
