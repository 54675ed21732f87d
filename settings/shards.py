"""Shards: every N-th series of the data, as a setting names them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

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


def in_runs(numbers: Iterable[int]) -> str:
    """Numbers in short: `8*3 5` for 8, 8, 8, 5."""
    runs = ((number, sum(1 for _ in same)) for number, same in groupby(numbers))
    return " ".join(f"{number}*{count}" if count > 1 else str(number) for number, count in runs)


def of_runs(text: str) -> list[int]:
    """The inverse of `in_runs`."""
    runs = (run.partition("*") for run in text.split())
    return [int(number) for number, _, count in runs for _ in range(int(count or 1))]
