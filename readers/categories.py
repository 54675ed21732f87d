"""Columns of categories, such as weather or the region of a store, where the user names them: their words as numbers.

Each word of a column has a number until it is known what training sees; then a column becomes a channel for each word
of training, see sources/levels.py. They stand behind the columns of numbers, whose numbers as channels stay.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from config import RunConfig
from data import Series
from readers.missing import fill_forward
from readers.paths import abridge
from times.words import is_time

MISSING = -1.0  # the number of a cell without a word
MOST_TRIED = 100  # words that are looked at
SHOWN = 24  # letters of a word that a note shows


@dataclass(frozen=True)
class Asked:
    """Which columns are categories.

    named : those that `--categorical` names, whatever they hold.
    chosen : those that another flag names: of text, they are categories.
    free : whether `--categorical` may name more, and messages say so.
    """

    named: tuple[str, ...] = ()
    chosen: tuple[str, ...] = ()
    free: bool = False

    @classmethod
    def of(cls, config: RunConfig, columns: Sequence[str] | None, known: Sequence[str]) -> Asked:
        """What the settings say, by the columns of the files; a checkpoint has named all of its own.

        Parameters
        ----------
        config : the run's settings.
        columns, known : as in `data.read`.
        """
        named = tuple(config.column_of.get(name, name) for name in config.categorical)
        if config.mode in ("finetune", "infer"):
            return cls(named)
        label = [config.label_src_ch] if isinstance(config.label_src_ch, str) else []
        return cls(named, (*(columns or ()), *known, *label), free=True)


NOTHING = Asked()


@dataclass(frozen=True, eq=False)
class Coded:
    """A column of categories: its words, sorted, and for each line the number of one; NaN where there is none."""

    words: tuple[str, ...]
    codes: np.ndarray

    @classmethod
    def of(cls, cells: Sequence[str], numbers: Sequence[float | None], lines: np.ndarray) -> Coded:
        """The column in which line i holds `cells[lines[i]]`.

        Parameters
        ----------
        cells : k different texts. numbers : what they are as numbers: None for text, NaN for a missing value.
        lines : int [n].
        """
        plain = [as_word(cell, number) for cell, number in zip(cells, numbers, strict=True)]
        words = sorted(set(plain) - {""})
        at = {word: float(code) for code, word in enumerate(words)}
        return cls(tuple(words), np.array([at.get(word, np.nan) for word in plain])[lines])

    def among(self, words: Sequence[str]) -> np.ndarray:
        """The codes [n] under another list of words, which has all of these."""
        at = {word: code for code, word in enumerate(words)}
        table = np.array([float(at[word]) for word in self.words] or [np.nan])
        known = ~np.isnan(self.codes)
        codes: np.ndarray = np.where(known, table[np.where(known, self.codes, 0).astype(int)], np.nan)
        return codes

    def recurs(self, rows: np.ndarray) -> bool:
        """Whether text looks like categories: several words that come again, and no names, comments or times.

        Parameters
        ----------
        rows : int [n], the number of the row that each line belongs to.
        """
        if len(self.words) < 2 or all(map(is_time, self.words[:MOST_TRIED])):
            return False
        known = ~np.isnan(self.codes)
        pairs = np.unique(rows[known] * len(self.words) + self.codes[known].astype(int))
        n_rows = len(np.unique(pairs // len(self.words)))
        static = len(pairs) == n_rows
        return len(self.words) < n_rows if static else 2 * len(self.words) <= int(known.sum())


def as_word(cell: str, number: float | None) -> str:
    """A cell as a word: of a number its plainest spelling, "" for a missing value."""
    if number is None:
        word = cell.strip()
        return word.capitalize() if word.casefold() in ("true", "false") else word  # as formats spell them
    return "" if number != number else str(int(number)) if number.is_integer() else repr(number)


def together(columns: Sequence[Coded]) -> tuple[tuple[str, ...], list[np.ndarray]]:
    """One column of several files: all its words, and the codes of each file under them."""
    words = tuple(sorted({word for column in columns for word in column.words}))
    return words, [column.among(words) for column in columns]


def per_row(values: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """The masks [C] of the channels that have one value in each row, and not the same in all.

    Parameters
    ----------
    values : [C, total], NaN where missing.
    offsets : [N + 1].
    """
    found = np.zeros(len(values), bool)
    if len(offsets) < 3:
        return found
    for channel, given in enumerate(values):
        first = given[: offsets[1]]
        first = first[~np.isnan(first)]
        if len(first) and first.min() < first.max():
            continue  # most channels
        low, high = np.fmin.reduceat(given, offsets[:-1]), np.fmax.reduceat(given, offsets[:-1])
        found[channel] = (low == high).all() and low.min() < low.max()
    return found


def fill(codes: np.ndarray, names: Sequence[str], offsets: np.ndarray, policy: str, static: Sequence[int]) -> list[str]:
    """Give the steps without a word the number of none, in place.

    Parameters
    ----------
    codes : [C, total], NaN where there is no word.
    names : of the C columns.
    offsets : [N + 1].
    policy : of missing values, `--nan`; under ffill such a step has the word before it in its row.
    static : numbers of the columns with one word in each row, which need not stand in every step.

    Returns
    -------
    A note, where there are such steps.
    """
    for c in static:
        codes[c] = np.repeat(np.fmax.reduceat(codes[c], offsets[:-1]), np.diff(offsets))
    if policy == "ffill":
        for given in codes:
            fill_forward(given, offsets)
    gaps = np.isnan(codes)
    if gaps.any():  # values from the cache cannot be written to
        codes[gaps] = MISSING
    counts = [f"{name} ({count:,})" for name, count in zip(names, gaps.sum(axis=1), strict=True) if count]
    return [f"steps without a category, which are zero in all its channels: {abridge(counts)}"] if counts else []


def left_out(names: Sequence[str], words: Sequence[Sequence[str]], recurring: Sequence[str]) -> str:
    """The note on columns of text that nobody named; it proposes those whose words recur as categories."""
    shown = abridge([f"{name!r} ({_some(each)})" for name, each in zip(names, words, strict=True)])
    note = f"warning: left out, since {'it holds' if len(names) == 1 else 'they hold'} text: {shown}"
    some = "it" if len(recurring) == 1 else "them"
    return f"{note}; --categorical {shlex.join(recurring)} takes {some} as categories" if recurring else note


def _some(words: Sequence[str]) -> str:
    return ", ".join(repr(word[:SHOWN]) for word in words[:2]) + ", ..." * (len(words) > 2)


def with_categories(series: Series, columns: Mapping[str, Coded], policy: str) -> Series:
    """A series of numbers with categories behind its channels, a modality each where it has such.

    Parameters
    ----------
    series : of N rows and `total` steps.
    columns : by name, of codes [N], one for each row, or [total].
    policy : of missing values, `--nan`.
    """
    if not columns:
        return series
    made = np.empty((len(columns), int(series.offsets[-1])), series.values.dtype)
    for given, column in zip(made, columns.values(), strict=True):
        given[:] = np.repeat(column.codes, series.lengths) if len(column.codes) == series.n_rows else column.codes
    told = fill(made, list(columns), series.offsets, policy, ())
    filled = series.filled
    if filled is not None:
        filled = np.concatenate([filled, np.zeros(made.shape, bool)])
    static = per_row(made, series.offsets)
    return replace(
        series,
        values=np.concatenate([series.values, made]),
        channels=(*series.channels, *columns),
        filled=filled,
        modalities=(*series.modalities, *((name, 1) for name in columns)) if series.modalities else (),
        words=tuple(column.words for column in columns.values()),
        static=tuple(name for name, one in zip(columns, static, strict=True) if one),
        notes=(*series.notes, *told),
    )
