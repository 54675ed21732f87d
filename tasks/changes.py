"""Where along the values of its channel a label changes, as far as the rule says that and not the data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

Place = tuple[float, int]  # a value, and whether the change is just below it (-1), at it (0) or just above (1)


def of_label(constants: Mapping[str, Any], names: Sequence[str], rule: str, *, exclusive: bool) -> list[Place]:
    """The places in ascending order, in the units of the channel.

    Parameters
    ----------
    constants : those of classify: its thresholds, the texts of the two values of a label, and the words that the
        numbers of its channel stand for.
    names : of the outputs; those of classes are their values.
    rule : how a number is made true or false.
    exclusive : the outputs are classes.
    """
    words = constants.get("label_words", ())
    two = (constants.get("two_values") or [None])[0]
    if exclusive or two:
        values = sorted(float(words.index(text)) if words else float(text) for text in (names if exclusive else two))
        return [((one + other) / 2, 0) for one, other in pairwise(values)]
    if rule == "nonzero":
        return [(0.0, -1), (0.0, 1)]
    return [(float(constants["threshold"][0]), -1 if rule == "lt" else 1)]
