"""Categories as the model's input: a channel of zeros and ones for each level that training has.

Levels are learned from the steps that training sees and from nothing else, and a checkpoint keeps them: whatever is
predicted later is coded as training was. A step without a word is zero in all channels of its category.
"""

from __future__ import annotations

import logging
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from data import Category, Series
from errors import CheckpointError, DataError
from readers.paths import abridge

if TYPE_CHECKING:
    from dataset import RunData
    from tasks.base import Task
    from windows import Index

log = logging.getLogger("tsrun")
MOST_TOLD = 4  # levels of a category
SHOWN = 24  # letters of a level
OTHER = "other"  # the level of all rare ones


# --- what training has -----------------------------------------------------------------------------------------------


def learned(series: Series, seen: np.ndarray, most: int) -> tuple[Category, ...]:
    """The categories of a series with the levels that training sees, sorted; the rarest share a channel.

    Parameters
    ----------
    series : with words.
    seen : mask [total] of the steps that training sees.
    most : levels of a category that have channels of their own.
    """
    found = []
    for name, words, codes in _coded(series):
        known = codes[seen & (codes >= 0)].astype(np.int64)
        counts = np.bincount(known, minlength=len(words))
        order = np.argsort(-counts, kind="stable")[: int((counts > 0).sum())]
        kept, rare = [words[code] for code in order[:most]], [words[code] for code in order[most:]]
        if rare and OTHER in kept:  # it has the name of that channel
            kept.remove(OTHER)
            rare.append(OTHER)
        found.append(Category(name, tuple(sorted(kept)), tuple(sorted(rare))))
    return tuple(found)


def coded(run_data: RunData, task: Task, train: Index) -> RunData:
    """The data of a run with channels for the levels that training sees, told.

    Parameters
    ----------
    run_data : the data of all splits.
    task : what is learned.
    train : the windows of training.
    """
    series = run_data.series
    if not series.words:
        return run_data
    found = learned(series, run_data.seen(task, train), run_data.config.max_levels)
    log.info("categories, a channel for each level that training has: %s", "; ".join(map(shown, found)))
    return with_channels(run_data, spread(series, found))


def shown(category: Category) -> str:
    """A category with some of its levels, for the log."""
    levels = ", ".join(level[:SHOWN] for level in category.levels[:MOST_TOLD])
    more = len(category.levels) - MOST_TOLD
    rare = f", and {len(category.rare):,} rarer ones as {OTHER}" if category.rare else ""
    return f"{category.name} ({levels}{f' and {more} more' if more > 0 else ''}{rare})"


def with_channels(run_data: RunData, series: Series) -> RunData:
    """The data of a run with a series whose categories have become channels: the same windows, more inputs."""
    before = run_data.series
    place = {name: [series.channels.index(name)] for name in before.channels[: before.numeric]}
    place |= {each.name: [series.channels.index(channel) for channel in each.channels] for each in series.categories}

    def channels(numbers: np.ndarray) -> np.ndarray:
        return np.array([at for number in numbers for at in place[before.channels[number]]], np.int64)

    keep = channels(run_data.keep)
    old = [int(run_data.keep[position]) for position in run_data.target_channels]  # of numbers, which stay channels
    at = {int(channel): position for position, channel in enumerate(keep)}
    targets = tuple(at[place[before.channels[number]][0]] for number in old)
    return replace(
        run_data, series=series, keep=keep, covariates=channels(run_data.covariates), target_channels=targets
    )


# --- words as channels -----------------------------------------------------------------------------------------------


def spread(series: Series, categories: Sequence[Category], static: Container[str] = ()) -> Series:
    """A series whose categories are channels of zeros and ones; a level that training does not have is told.

    Parameters
    ----------
    series : with words, for the categories in this order.
    categories : those of training.
    static : names of columns with one value a row, which need not be in each line.

    Raises
    ------
    DataError : a channel of this name is there already.
    """
    if not series.words:
        return series
    if [each.name for each in categories] != list(series.channels[series.numeric :]):
        raise CheckpointError("the file is damaged: its categories are not those of its channels", where="--ckpt")
    made = tuple(channel for each in categories for channel in each.channels)
    twice = set(made) & set(series.channels)
    if twice:
        what = f"column {min(twice)!r} has the name of a level's channel"
        raise DataError(what, where="--csv", hint="--columns names the columns to read")
    values = np.zeros((series.numeric + len(made), series.values.shape[1]), series.values.dtype)
    values[: series.numeric] = series.values[: series.numeric]
    begin = series.numeric
    ahead = _Ahead(series)
    strange: list[str] = []
    for each, (name, words, codes) in zip(categories, _coded(series), strict=True):
        if name in static:
            most = np.maximum.reduceat(codes, series.offsets[:-1])
            codes = np.where(codes < 0, np.repeat(most, series.lengths), codes)
        table = _table(each, words)
        values[begin : begin + len(table)] = _ones(table, codes)
        strange += _strange(each, words, np.append(codes, ahead.codes(name)))
        ahead.replace(name, each.channels, table)
        begin += len(table)
    if strange:
        log.warning("warning: not a level in training: %s", "; ".join(strange))
    filled = series.filled
    if filled is not None:
        filled = np.concatenate([filled[: series.numeric], np.zeros((len(made), filled.shape[1]), bool)])
    by_name = {each.name: each for each in categories}
    counts = ((name, len(by_name[name].channels) if name in by_name else n) for name, n in series.modalities)
    return replace(
        series,
        values=values,
        modalities=tuple(counts),
        channels=(*series.channels[: series.numeric], *made),
        filled=filled,
        words=(),
        categories=tuple(categories),
        known=ahead.known,
        after=ahead.after,
    )


def _coded(series: Series) -> Iterator[tuple[str, tuple[str, ...], np.ndarray]]:
    """(name, words, codes [total]) of each category."""
    first = series.numeric
    return zip(series.channels[first:], series.words, series.values[first:], strict=True)


def _table(category: Category, words: Sequence[str]) -> np.ndarray:
    """What each word is, [channels of the category, words + 1]; the last stands for no word."""
    table = np.zeros((len(category.channels), len(words) + 1))
    at = {level: k for k, level in enumerate(category.levels)}
    for code, word in enumerate(words):
        if word in at:
            table[at[word], code] = 1
        elif category.rare:
            table[-1, code] = 1
    return table


def _ones(table: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """The channels [k, n] of codes [n]; NaN stays NaN."""
    given = np.isnan(codes)
    made: np.ndarray = table[:, np.where(given, -1, codes).astype(np.int64)]  # -1 is the last of the table
    made[:, given] = np.nan
    return made


def _strange(category: Category, words: Sequence[str], codes: np.ndarray) -> Iterator[str]:
    """What to tell of levels that training does not have."""
    counts = np.bincount(codes[codes >= 0].astype(np.int64), minlength=len(words))
    known = {*category.levels, *category.rare}
    new = [(word, n) for word, n in zip(words, counts.tolist(), strict=True) if n and word not in known]
    if new:
        listed = abridge([f"{word[:SHOWN]!r} ({n:,} step{'s' * (n > 1)})" for word, n in new])
        yield f"{category.name} {listed} {f'counts as {OTHER}' if category.rare else 'is zero in all its channels'}"


class _Ahead:
    """The names of what is known ahead, and its values after each row, as categories become channels."""

    def __init__(self, series: Series) -> None:
        self.known, self.after = series.known, series.after

    def codes(self, name: str) -> np.ndarray:
        """The codes of a category after the rows, as far as they are given."""
        codes = np.zeros(0) if self.after is None or name not in self.known else self.after[self.known.index(name)]
        return codes[np.isfinite(codes)]

    def replace(self, name: str, channels: tuple[str, ...], table: np.ndarray) -> None:
        if name not in self.known:
            return
        at = self.known.index(name)
        self.known = (*self.known[:at], *channels, *self.known[at + 1 :])
        if self.after is not None:
            codes = self.after[at]
            made = _ones(table, codes.reshape(-1)).reshape(len(channels), *codes.shape).astype(self.after.dtype)
            self.after = np.concatenate([self.after[:at], made, self.after[at + 1 :]])


# --- one value a row -------------------------------------------------------------------------------------------------


def known_ahead(series: Series, names: Sequence[str], steps: int) -> Series:
    """A series of which the channels `names`, with one value in each row, are known for so many `steps` after it."""
    if not names:
        return series
    known = (*series.known, *(name for name in names if name not in series.known))
    given = 0 if series.after is None else series.after.shape[2]
    after = np.full((len(known), series.n_rows, max(given, steps)), np.nan, series.values.dtype)
    if series.after is not None:
        after[: len(series.known), :, :given] = series.after
    for name in names:
        values = series.values[series.channels.index(name)]
        after[known.index(name)] = np.fmax.reduceat(values, series.offsets[:-1])[:, None]
    return replace(series, known=known, after=after)


def without(series: Series, names: Sequence[str]) -> Series:
    """A series without the channels `names`, which are not known ahead; it may have words."""
    keep = np.array([name not in names for name in series.channels])
    words = zip(series.words, keep[series.numeric :], strict=True)
    return replace(
        series,
        values=series.values[keep],
        channels=tuple(name for name in series.channels if name not in names),
        filled=None if series.filled is None else series.filled[keep],
        words=tuple(each for each, kept in words if kept),
        static=tuple(name for name in series.static if name not in names),
    )


# --- in a checkpoint -------------------------------------------------------------------------------------------------


def plain(series: Series) -> dict[str, Any] | None:
    """What a checkpoint keeps of the columns that are categories, or have one value a row; or None."""
    found = {each.name: {"levels": list(each.levels), "rare": list(each.rare)} for each in series.categories}
    return {"categories": found, "static": list(series.static)} if found or series.static else None


def of(kept: Mapping[str, Any] | None) -> tuple[Category, ...]:
    """The inverse, for the categories."""
    rows = (kept or {}).get("categories", {}).items()
    return tuple(Category(name, tuple(row["levels"]), tuple(row["rare"])) for name, row in rows)


def static(kept: Mapping[str, Any] | None) -> tuple[str, ...]:
    """The names of the columns that had one value a row in training."""
    return tuple((kept or {}).get("static", ()))
