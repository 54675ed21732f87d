"""Tables of things (patients, machines): what training says of their columns, and lines coded by that.

A word is a step of zeros and ones for each that training has; what a line lacks is the median of its column there. Both
come from the lines of training alone, and a checkpoint keeps them: whatever is predicted later is coded as training
was. A word that training does not have, and a cell without one, are zero in all steps of their column.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from config import RunConfig
from data import Category, Learned, Series, Things
from errors import CheckpointError, DataError, UsageError, listed, many
from readers.dialect import Dialect
from readers.files import first_cells
from readers.paths import abridge, expand_paths
from readers.things import LETTER
from scaler import MOST_SHIFT, Scaler, usable
from sources import levels, truths
from sources.levels import OTHER, SHOWN, shown

if TYPE_CHECKING:
    from dataset import RunData

log = logging.getLogger("tsrun")
FEW = 10  # lines whose mean may be twice as far off
LEAST = 5  # lines of training with a word that has a step of its own, and so many that share one


# --- what training says ----------------------------------------------------------------------------------------------


def learned(series: Series, rows: np.ndarray, most: int) -> Learned:
    """What the lines of training say of a table's columns.

    Parameters
    ----------
    series : of things.
    rows : the numbers of the rows of training.
    most : words of a column that have steps of their own.
    """
    things = series.things
    assert things is not None
    table = series.values[0].reshape(series.n_rows, -1)[rows].astype(np.float64)
    count = len(things.numbers)
    numbers = np.where(things.lacking[rows], np.nan, table[:, :count])
    known = ~np.isnan(numbers)
    usual = np.array(
        [np.median(column[some]) if some.any() else 0.0 for column, some in zip(numbers.T, known.T, strict=True)]
    )
    numbers = np.where(known, numbers, usual)
    mean, deviation = numbers.mean(axis=0), numbers.std(axis=0)
    found = zip(things.words.items(), table[:, count:].T, strict=True)
    categories = tuple(_category(name, words, codes, most) for (name, words), codes in found)
    scale = usable(mean, deviation)
    return Learned(tuple(usual.tolist()), tuple(mean.tolist()), tuple(scale.tolist()), categories)


def _category(name: str, words: Sequence[str], codes: np.ndarray, most: int) -> Category:
    """A column of words with those that its codes [n] show; of two, where no line lacks one, the rarer has a step."""
    counts = np.bincount(codes[codes >= 0].astype(int), minlength=len(words))
    order = [int(code) for code in np.argsort(-counts, kind="stable") if counts[code]]
    if len(order) < 2 and (codes >= 0).all():
        return Category(name, (), (), tuple(words[code] for code in order))
    if len(order) == 2 and (codes >= 0).all():
        return Category(name, (words[order[1]],), (), (words[order[0]],))
    own = [words[code] for code in order if counts[code] >= LEAST][:most]
    rest = [words[code] for code in order if words[code] not in own]
    if OTHER in own and rest:  # it has the name of the step of the others
        own.remove(OTHER)
        rest.append(OTHER)
    few = sum(counts[words.index(word)] for word in rest) < LEAST
    shared, plain = ((), sorted(rest)) if few else (sorted(rest), ())
    return Category(name, tuple(sorted(own)), tuple(shared), tuple(plain))


def coded(series: Series, config: RunConfig, rows: np.ndarray) -> Series:
    """The series of a run, coded by the lines of training, told. DataError where nothing differs among these."""
    found = learned(series, rows, config.max_levels)
    if not found.usual and not any(each.channels for each in found.categories):
        raise DataError("no column of words holds two in training, and none holds numbers", where="--csv")
    if varied := [each for each in found.categories if each.channels]:
        log.info("columns of words, an input for each word that training has: %s", "; ".join(map(shown, varied)))
    return spread(series, found)


def as_asked(series: Series, config: RunConfig) -> Series:
    """The series to train on, without the columns of --drop-columns; where --context-len asks for stretches of a line,
    its numbers are steps, told."""
    if config.drop_columns:
        series = _without(series, config.drop_columns)
    if series.things is None or config.context_len in (None, length_of(series)):
        return series
    if series.things.words:
        words = abridge(list(map(repr, series.things.words)))
        log.warning(
            "warning: --context-len %d takes stretches of a line, so words are left out: %s", config.context_len, words
        )
    return without_words(series)


def _without(series: Series, names: Sequence[str]) -> Series:
    """A series of things without some columns. UsageError where it has none of these names, or no others."""
    have = () if series.things is None else series.things.columns
    strange = [name for name in names if name not in have]
    if strange or series.things is None:
        what = f"no input is called {abridge(list(map(repr, strange)))}"
        hint = f"its inputs: {listed(have)}" if have else "for tables of things, whose columns have names"
        raise UsageError(what, where="--drop-columns", hint=hint)
    numbers = [name for name in series.things.numbers if name not in names]
    words = [name for name in series.things.words if name not in names]
    if not numbers and not words:
        raise UsageError("no column is left to learn from", where="--drop-columns")
    return _arranged(series, numbers, words)


def length_of(series: Series) -> int:
    """The steps of each row of a series of things."""
    assert series.things is not None
    return len(series.things.steps)


# --- lines as training codes them ------------------------------------------------------------------------------------


def spread(series: Series, found: Learned) -> Series:
    """A series of things whose cells without a number hold the medians of training, and whose words are zeros and ones.

    Parameters
    ----------
    series : with the columns of `found`, in their order.
    found : what training says.
    """
    things = series.things
    assert things is not None
    count = len(things.numbers)
    table = series.values[0].reshape(series.n_rows, -1)
    parts = [np.where(things.lacking, found.usual, table[:, :count])]
    strange, none = list[str](), list[str]()
    for each, words, codes in zip(found.categories, things.words.values(), table[:, count:].T, strict=True):
        parts.append(_ones(each, words)[codes.astype(int)])  # of -1 the last, which stands for no word
        strange += _strange(each, words, codes)
        if lost := int((codes < 0).sum()):
            none.append(f"{each.name} ({lost:,})")
    if none:
        log.info("cells without a word, which are zero in all inputs of their column: %s", abridge(none))
    if strange:
        log.warning("warning: words that training does not have: %s", "; ".join(strange))
    made = np.concatenate(parts, axis=1).astype(series.values.dtype)
    offsets = np.arange(series.n_rows + 1, dtype=np.int64) * made.shape[1]
    things = replace(things, words={}, learned=found)
    return replace(series, values=made.reshape(1, -1), offsets=offsets, things=things, filled=None)


def _ones(category: Category, words: Sequence[str]) -> np.ndarray:
    """What each word is [words + 1, steps of the category]; the last stands for no word."""
    made = np.zeros((len(words) + 1, len(category.channels)))
    for code, word in enumerate(words):
        if word in category.levels:
            made[code, category.levels.index(word)] = 1
        elif category.rare and word not in category.plain:
            made[code, -1] = 1
    return made


def _strange(category: Category, words: Sequence[str], codes: np.ndarray) -> Iterator[str]:
    """What to tell of words that training does not have."""
    counts = np.bincount(codes[codes >= 0].astype(int), minlength=len(words))
    known = {*category.levels, *category.rare, *category.plain}
    new = [(word, n) for word, n in zip(words, counts.tolist(), strict=True) if n and word not in known]
    if new:
        listed = abridge([f"{word[:SHOWN]!r} ({many(n, 'line')})" for word, n in new])
        yield f"{category.name} {listed} {f'counts as {OTHER}' if category.rare else 'is zero in all its inputs'}"


def channels(series: Series, keep: np.ndarray) -> Iterable[np.ndarray]:
    """The channels [total] with these numbers, one after the other; of things on one scale."""
    some = (series.values[c] for c in keep)
    return some if series.things is None else scaled(series, np.array(list(some)))


def scaled(series: Series, values: np.ndarray) -> np.ndarray:
    """Values [1, total] of a series of things with its columns of numbers on one scale; those of others as they are."""
    found = None if series.things is None else series.things.learned
    if found is None:
        return values
    table = values[0].reshape(series.n_rows, -1).astype(np.float64)
    count = len(found.usual)
    table[:, :count] = (table[:, :count] - found.mean) / found.scale
    made: np.ndarray = table.reshape(1, -1)
    return made


def far(series: Series) -> str:
    """Which columns of new things are far from those of training, as `Scaler.far` says it; "" for none, and for steps.

    Of few lines the mean may be further off by chance.
    """
    things = series.things
    if things is None or things.learned is None:
        return ""
    names, rows = tuple(things.numbers), series.n_rows
    table = scaled(series, series.values).reshape(rows, -1)[:, : len(names)]
    usual, found = (Scaler.fit(part.T, np.ones(len(part), bool), names) for part in (np.zeros((1, len(names))), table))
    near = np.abs(found.mean) < MOST_SHIFT * (1 + FEW / rows)
    return usual.far(found, {name for name, is_near in zip(names, near, strict=True) if is_near})


def in_units(run_data: RunData) -> RunData:
    """The same data, whose columns are not brought to one scale."""
    series = run_data.series
    if series.things is None or series.things.learned is None:
        return run_data
    found = series.things.learned
    plain = replace(found, mean=(0.0,) * len(found.mean), scale=(1.0,) * len(found.scale))
    return replace(run_data, series=replace(series, things=replace(series.things, learned=plain)))


# --- what a checkpoint keeps -----------------------------------------------------------------------------------------


def kept(series: Series) -> dict[str, Any] | None:
    """What a checkpoint keeps of columns: what levels.py does, and of things what training says; None for nothing."""
    found, own = levels.plain(series), _plain(series.things)
    return found if own is None else {"categories": {}, "static": [], **(found or {}), "things": own}


def _plain(things: Things | None) -> dict[str, Any] | None:
    if things is None or things.learned is None:
        return None
    found = things.learned
    words = {
        each.name: {"levels": [*each.levels], "rare": [*each.rare], "plain": [*each.plain]} for each in found.categories
    }
    own = {"usual": [*found.usual], "mean": [*found.mean], "scale": [*found.scale]}
    return {"numbers": [*things.numbers], **own, "words": words}


def scale_of(coding: Mapping[str, Any] | None) -> tuple[np.ndarray, np.ndarray] | None:
    """What is taken off each step of a row, and what it is divided by, float64 [steps]; None for a model of steps."""
    found = of(coding)
    if found is None:
        return None
    ones = sum(len(each.channels) for each in found[1].categories)
    return np.array([*found[1].mean, *[0.0] * ones]), np.array([*found[1].scale, *[1.0] * ones])


def card(series: Series) -> dict[str, Any]:
    """The steps of a row by name, and what is usual in columns that lack a value, for who feeds an exported model."""
    things = series.things
    if things is None or things.learned is None:
        return {}
    return {"steps": [*things.steps], "usual": dict(zip(things.numbers, things.learned.usual, strict=True))}


def of(coding: Mapping[str, Any] | None) -> tuple[tuple[str, ...], Learned] | None:
    """The inverse: the names of a table's columns of numbers, and what training says; None for a model of steps."""
    own = (coding or {}).get("things")
    if own is None:
        return None
    rows = own["words"].items()
    words = tuple(Category(name, tuple(row["levels"]), tuple(row["rare"]), tuple(row["plain"])) for name, row in rows)
    return tuple(own["numbers"]), Learned(tuple(own["usual"]), tuple(own["mean"]), tuple(own["scale"]), words)


def index_of(config: RunConfig, coding: Mapping[str, Any] | None) -> str:
    """Whether the first column of new data holds row ids, as `--index` says it: none of training's does."""
    found = of(coding)
    if found is None or "index" in config.given or not config.csv:
        return config.index
    names = first_cells(expand_paths(config.csv)[0], Dialect(config.sep, config.decimal))
    first = next((name for name in names if name != config.label_src_ch), "")
    known = (*found[0], *(each.name for each in found[1].categories))
    return "no" if first in known or LETTER in known else config.index


def as_kept(series: Series, coding: Mapping[str, Any] | None, where: str) -> Series:
    """The series as the model of a checkpoint sees it.

    Parameters
    ----------
    series : the new data, of things or not.
    coding : what the checkpoint keeps of columns.
    where : names it in messages.

    Raises
    ------
    CheckpointError : columns of training that the data do not have.
    """
    found = of(coding)
    if found is None:
        return without_words(series)
    names, training = found
    if series.things is None:
        series = _by_place(series, names, training)
    series = truths.as_known(series, names, training)
    things = series.things
    wanted = (*names, *(each.name for each in training.categories))
    have = () if things is None else things.columns
    if lost := [name for name in wanted if name not in have]:
        what = f"was trained on columns that these data do not have: {abridge(list(map(repr, lost)))}"
        shown = f"they have {abridge(list(map(repr, have)))}" if have else "name the columns in the first line"
        places = "; columns without names are known by their places, so that of the label has to be there too"
        raise CheckpointError(what, where=where, hint=shown + places * (LETTER in wanted))
    assert things is not None
    if more := [name for name in things.columns if name not in wanted]:
        log.info("columns that the model does not know are left out: %s", abridge(list(map(repr, more))))
    return spread(_arranged(series, names, [each.name for each in training.categories]), training)


def _by_place(series: Series, names: tuple[str, ...], training: Learned) -> Series:
    """A series of lines without names as things, where it has as many numbers in each."""
    if training.categories or series.n_channels > 1 or (series.lengths != len(names)).any():
        return series
    lacking = np.isnan(series.values[0]) | (False if series.filled is None else series.filled[0])
    return replace(series, things=Things(names, {}, lacking.reshape(series.n_rows, -1)))


def _arranged(series: Series, numbers: Sequence[str], words: Sequence[str]) -> Series:
    """A series of things with these columns in this order."""
    things = series.things
    assert things is not None
    places = [things.columns.index(name) for name in (*numbers, *words)]
    table = series.values[0].reshape(series.n_rows, -1)[:, places]
    own = things.lacking[:, places[: len(numbers)]]
    rest = Things(tuple(numbers), {name: things.words[name] for name in words}, own)
    offsets = np.arange(series.n_rows + 1, dtype=np.int64) * len(places)
    return replace(series, values=table.reshape(1, -1), offsets=offsets, things=rest, filled=None)


def without_words(series: Series) -> Series:
    """A series of things without its columns of words, as a series of steps."""
    things = series.things
    if things is None:
        return series
    return replace(_arranged(series, things.numbers, ()), things=None) if things.words else replace(series, things=None)
