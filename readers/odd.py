"""Cells that pandas' parser refuses, among numbers that it takes: found by their bytes, and read one by one.

One such cell in each column would have all columns read as text, which takes 25 times as long.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from readers.dialect import Dialect
from readers.files import decode
from readers.missing import is_sign
from readers.units import accounted, is_starred, odd_number, odd_told

SHORT = 8  # bytes of a cell that is compared as one number
BELOW = "brackets"  # around numbers below zero, or a minus behind them
_DIGITS = np.isin(np.arange(256), list(b"0123456789"))


@dataclass(frozen=True, eq=False)
class OddCells:
    """Of a text of whole lines: the cells [m] that are no plain numbers, where they are, and the text without them.

    lines, columns : int64 [m], from 0. kinds : the k texts of these cells, in order. codes : int64 [m], that of each.
    """

    lines: np.ndarray
    columns: np.ndarray
    kinds: list[str]
    codes: np.ndarray
    rest: bytes

    @classmethod
    def of(cls, text: bytes, dialect: Dialect, width: int, chosen: Sequence[int]) -> OddCells | None:
        """Those among the columns `chosen`; None where there is none.

        Parameters
        ----------
        text : lines of `width` cells, with \\n between them and no quotes.
        dialect : what separates the cells.
        """
        codes = np.frombuffer(text + b"\n", np.uint8)
        borders = (codes == ord(dialect.sep)) | (codes == ord("\n"))
        ends = np.flatnonzero(borders)
        starts = np.append(0, ends[:-1] + 1)
        plain = _DIGITS | np.isin(np.arange(256), list(b"+-eE " + dialect.decimal.encode()))
        bad = np.logical_or.reduceat(~(plain[codes] | borders), starts)
        odd = (bad | ~np.logical_or.reduceat(_DIGITS[codes], starts)) & (ends > starts)
        lines, columns = np.nonzero(odd.reshape(-1, width)[:, chosen])
        columns = np.asarray(chosen)[columns]
        at = lines * width + columns
        if not len(at):
            return None
        edges = np.zeros(len(codes), np.int8)
        edges[starts[at]] = 1
        edges[ends[at]] -= 1  # which no cell begins at
        kept = np.cumsum(edges, dtype=np.int8) == 0
        kept[-1] = False  # the end that was added
        return cls(lines, columns, *_kinds(text, codes, starts[at], ends[at]), codes[kept].tobytes())


def _kinds(text: bytes, codes: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> tuple[list[str], np.ndarray]:
    """The texts that come among cells, and which each cell [m] is; short ones are compared without making texts."""
    import pandas

    lengths, number = ends - starts, np.empty(len(starts), np.int64)
    short = lengths <= SHORT
    within = np.arange(SHORT)
    letters = codes[np.minimum(starts[short, None] + within, len(codes) - 1)]
    packed = np.where(within < lengths[short, None], letters, 0).astype(np.uint8).view(np.uint64).reshape(-1)
    number[short], few = pandas.factorize(packed)
    cells = [text[begin:end] for begin, end in zip(starts[~short].tolist(), ends[~short].tolist(), strict=True)]
    number[~short], more = pandas.factorize(np.array([*cells, None], object)[:-1])
    number[~short] += len(few)
    return [decode(kind) for kind in [*(each.tobytes().rstrip(b"\0") for each in few), *more]], number


@dataclass(frozen=True)
class Taken:
    """How the odd cells of a table are taken, see `odd_number`; `kinds` are those seen so far.

    alike : whether all columns are one, in which no number in brackets is one below zero, as in a wide table.
    found : of each column, how many cells of each text are taken in which way. numbers : how many of them are numbers.
    """

    dialect: Dialect
    alike: bool = False
    kinds: dict[str, tuple[float, str] | None] = field(default_factory=dict)
    found: dict[int, Counter[tuple[str, str]]] = field(default_factory=dict)
    numbers: Counter[int] = field(default_factory=Counter)

    def values(self, odd: OddCells) -> np.ndarray | None:
        """The numbers [m] of odd cells, which count from now on; None where one is text."""
        for cell in odd.kinds:
            if cell not in self.kinds:
                self.kinds[cell] = self._taken(cell)
            if self.kinds[cell] is None:
                return None
        taken = [self.kinds[cell] or (math.nan, "") for cell in odd.kinds]
        self._count(odd, taken)
        values: np.ndarray = np.array([value for value, _ in taken])[odd.codes]
        return values

    def _count(self, odd: OddCells, taken: Sequence[tuple[float, str]]) -> None:
        import pandas

        pairs, each = pandas.factorize(odd.columns * (0 if self.alike else len(taken)) + odd.codes)
        for pair, count in zip(each.tolist(), np.bincount(pairs).tolist(), strict=True):
            column, kind = divmod(pair, len(taken))
            value, way = taken[kind]
            if way:
                self.found.setdefault(column, Counter())[odd.kinds[kind].strip(), way] += count
                self.numbers[column] += count * (value == value)

    def _taken(self, cell: str) -> tuple[float, str] | None:
        """The number of a cell, and how it is taken: "" as it is."""
        value = self.dialect.number(cell)
        if value is not None:
            return value, ""
        if self.dialect.strict:
            return None
        value = None if self.alike else self.dialect.number(accounted(cell))
        return odd_number(cell, self.dialect) if value is None else (value, BELOW)

    def told(self, column: int, known: int) -> tuple[str, str] | None:
        """What is around a column's numbers and how others are taken, for `readers.cells.spelled`.

        None where the whole column decides: it has numbers in brackets among others, or fewer numbers than odd cells.

        Parameters
        ----------
        column : its number. known : how many of its values are no NaN.
        """
        ways = self.found[column]
        below = sum(count for (_, way), count in ways.items() if way == BELOW)
        if below:
            return (BELOW, "") if below == ways.total() else None
        starred = sum(
            n for (cell, _), n in ways.items() if is_starred(cell)
        )  # numbers, most of which may have the note
        words = sum(n for (cell, _), n in ways.items() if not is_sign(cell)) - starred
        numbers = known - self.numbers[column] + starred
        return None if words > numbers or numbers < 1 else ("", " and ".join(odd_told(ways, "line")))
