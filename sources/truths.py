"""Words of new tables of things in the spelling of training: `High` as `high`, and the truth values of CSV (True), R
(TRUE) and JSON (true, which is read as 1).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from data import Category, Learned, Series, Things
from readers.paths import abridge
from readers.spellings import plainly

log = logging.getLogger("tsrun")
VALUES = {"true": 1.0, "false": 0.0}
NUMBERS = {"1": "true", "0": "false"}


def as_known(series: Series, numbers: Sequence[str], training: Learned) -> Series:
    """A series of things whose words are spelled as those of training, and whose truth values are numbers where they
    were; what is changed is told.

    Parameters
    ----------
    series : of new data, of things or not.
    numbers : the names of the columns of numbers in training.
    training : what that says of the others.
    """
    if series.things is None:
        return series
    words, told = dict(series.things.words), list[str]()
    for each in training.categories:
        if each.name in words:
            words[each.name], changed = _spelled(words[each.name], each)
            told += changed
    if told:
        log.info("words of new data that are spelled otherwise in training: %s", abridge(told))
    series = replace(series, things=replace(series.things, words=words))
    for name in numbers:
        if name in words and {word.casefold() for word in words[name]} <= {*VALUES}:
            series = _as_number(series, name)
    return series


def _spelled(words: Sequence[str], category: Category) -> tuple[tuple[str, ...], list[str]]:
    """Words in the spelling of training, and what is told of those that are changed."""
    known = {*category.levels, *category.rare, *category.plain}
    by_plain: dict[str, str | None] = {}
    for word in known:
        plain = plainly(word)
        by_plain[plain] = None if plain in by_plain else word  # of two spellings neither is meant
    if {*by_plain} <= {*VALUES}:
        by_plain |= {number: by_plain.get(plain) for number, plain in NUMBERS.items()}
    made = tuple(word if word in known else by_plain.get(plainly(word)) or word for word in words)
    pairs = [(old, new) for old, new in zip(words, made, strict=True) if old != new]
    return made, [f"{category.name} {old!r} is {new!r}" for old, new in pairs]


def _as_number(series: Series, name: str) -> Series:
    """A series of things with a column of truth values as the last one of numbers."""
    things = series.things
    assert things is not None
    count = len(things.numbers)
    at = count + list(things.words).index(name)
    table = series.values[0].reshape(series.n_rows, -1)
    codes = table[:, at].astype(int)
    values = np.array([*(VALUES[word.casefold()] for word in things.words[name]), np.nan])[codes]
    lacking = codes < 0
    made = np.insert(np.delete(table, at, axis=1), count, np.where(lacking, 0, values), axis=1)
    rest: Mapping[str, tuple[str, ...]] = {other: words for other, words in things.words.items() if other != name}
    all_lacking = np.concatenate([things.lacking, lacking[:, None]], axis=1)
    return replace(series, values=made.reshape(1, -1), things=Things((*things.numbers, name), rest, all_lacking))
