"""Shards: every N-th series of the data, as a setting names them."""

from __future__ import annotations

import re
from dataclasses import dataclass

_FORM = re.compile(r"(\d{1,9})/(\d{1,9})")


@dataclass(frozen=True)
class Shard:
    """The `number`-th, from 1, of so many shards: it has the rows number - 1, number - 1 + `of`, ... of the data."""

    number: int
    of: int

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    @property
    def name(self) -> str:
        """The part of a run's name that stands for it."""
        return f"shard{self.number}of{self.of}"

    def has(self, row: int) -> bool:
        """Whether a row of the data, counted from 0, is one of its own."""
        return row % self.of == self.number - 1


@dataclass(frozen=True)
class Part:
    """Which rows of data of `total` rows a series has: those of a shard."""

    shard: Shard
    total: int

    @property
    def numbers(self) -> range:
        """The rows' numbers in the data, from 0."""
        return range(self.shard.number - 1, self.total, self.shard.of)


def parse_shard(text: str) -> Shard | None:
    """The shard that I/N means, None for "". ValueError for what is none."""
    if not text:
        return None
    match = _FORM.fullmatch(text)
    if match is None:
        raise ValueError(f"takes I/N, such as 3/8 for the third of eight, got {text!r}")
    number, of = map(int, match.groups())
    if not 1 <= number <= of:
        raise ValueError(f"{text} is none: the first of {of} is 1/{of}, the last {of}/{of}")
    return Shard(number, of)
