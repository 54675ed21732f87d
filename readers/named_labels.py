"""The column that is named as labels are, in a table of things without times whose lines are in no order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from readers.guess import is_class_word
from readers.runs import changes
from times.words import words_of

LEAST_CHANGES, MOSTLY = 3, 0.75  # expected of labels in no order, and the share of them that shows no order


def named_as_labels(names: Sequence[str]) -> list[str]:
    """The names that say that a column holds labels; of several (class, Hit target) the only one of one word.

    Parameters
    ----------
    names : of columns.
    """
    named = [name for name in names if is_class_word(name)]
    plain = [name for name in named if len(words_of(name)) == 1]
    return plain if len(plain) == 1 else named


def label_among(names: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The only column that is named as labels are, whose cells change from line to line as in no order; "" for none.

    Parameters
    ----------
    names : of the columns. rows : the cells of lines that follow one another in the file.
    """
    named = [names.index(name) for name in named_as_labels(names)]
    if len(named) != 1 or len(rows) < 2 or any(len(row) != len(names) for row in rows):
        return ""
    found, expected = changes(np.array([row[named[0]].strip() for row in rows]))
    return names[named[0]] if expected >= LEAST_CHANGES and found >= MOSTLY * expected else ""
