"""Labels given per row as targets: classes, or true and false; matched with a checkpoint by name."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from checkpoint import Checkpoint
from config import RunConfig
from data import Series
from errors import CheckpointError, DataError
from readers.runs import MOST_CODES
from readers.sidecars import of_file
from tasks.targets import Targets, channel_target

log = logging.getLogger("tsrun")
MOST_CLASSES = 1000
SHOWN = 12  # names that a message lists
_PLAIN = re.compile(r"label\d*")  # what labels without a name are called
_FALSE = (
    " - no n false f off negative neg normal healthy ok good pass passed absent none closed idle benign control "
    "inactive unoccupied nein nei nej nie nem ne non nao não нет hayır "
)


@dataclass(frozen=True)
class TwoValued:
    """The text of the values of a label that are false and true."""

    false: str
    true: str


def in_order(series: Series, start: Checkpoint | None) -> tuple[np.ndarray, tuple[str, ...]]:
    """The given labels in the order of a checkpoint's outputs, found by name.

    Parameters
    ----------
    series : has labels [N, K].
    start : the checkpoint that the run starts from, with K outputs; None for a new model.

    Returns
    -------
    (the numbers int64 [K] of their columns, their K names).

    Raises
    ------
    CheckpointError : another number or set of names; it lists both.
    """
    names = series.label_names
    if start is None or tuple(start.outputs) == names:
        return np.arange(len(names)), names
    if sorted(start.outputs) == sorted(names):
        return np.array([names.index(name) for name in start.outputs]), tuple(start.outputs)
    unnamed = all(map(_PLAIN.fullmatch, names)) or all(map(_PLAIN.fullmatch, start.outputs))
    if len(names) != len(start.outputs) or not unnamed:
        raise _other_names("labels", start.outputs, names)
    if len(names) > 1:
        log.warning("warning: labels without names are taken in the checkpoint's order: %s", listed(start.outputs))
    return np.arange(len(names)), tuple(start.outputs)


def numbers(series: Series, start: Checkpoint | None, config: RunConfig) -> Targets:
    """The labels as numbers, values [K, N]; without labels the channel of --label-src-ch along time, [1, total].

    Parameters
    ----------
    series : N rows of `total` steps.
    start : the checkpoint that the run starts from; None for a new model.
    config : names the channel, and the task in messages.

    Raises
    ------
    UsageError : there is no such channel.
    DataError : the labels are words.
    CheckpointError : another number or set of names.
    """
    for name, words in zip(series.label_names, series.label_words, strict=False):
        if words:
            what = f"label {name!r} holds words ({listed(words)}), and {config.task} takes numbers"
            raise DataError(what, where="labels", hint="--task classify --bin-rule auto learns them as classes")
    if series.labels is None:
        return channel_target(series, config)
    order, names = in_order(series, start)
    return Targets(np.ascontiguousarray(series.labels.T[order]), names, per_row=True)


def truths(series: Series, start: Checkpoint | None, file: str = "") -> tuple[Targets, list[TwoValued | None]]:
    """The labels as 0 and 1: a row for each class of one column of classes, else for each column.

    Parameters
    ----------
    series : has labels [N, K].
    start : the checkpoint that the run starts from; None for a new model.
    file : that of the labels, for a hint.

    Returns
    -------
    (Targets with values [K, N]; for each of the K the text of its two values, None where any number but 0 is true).

    Raises
    ------
    DataError : a column of too many whole numbers, or of several among other columns.
    CheckpointError : other classes, or another set of names.
    """
    assert series.labels is not None
    words = series.label_words or ((),) * len(series.label_names)
    columns = list(zip(series.label_names, series.labels.T, words, strict=True))
    several = start is not None and len(start.outputs) > 1
    if len(columns) == 1 and (several or (start is None and _kinds(*columns[0][1:], len(series.labels)) > 2)):
        return _classes(*columns[0], start), []
    order, names = in_order(series, start)
    kept = None if start is None else start.fitted.get("two_values")
    values, two = [], []
    for k, at in enumerate(order):
        name, column, texts = columns[at]
        if start is None and _kinds(column, texts, len(column)) > 2:
            alone = f"--labels {of_file(file)[0]}:{name} reads that column alone, " if file else ""
            what = f"label {name!r} holds {listed(_texts(column, texts))}: classes, which have a column to themselves"
            raise DataError(what, where="labels", hint=f"{alone}--bin-rule nonzero makes all but 0 true")
        found = _two_values(name, column, texts) if start is None else _kept(kept, k)
        values.append(_true(name, column, texts, found))
        two.append(found)
    return Targets(np.stack(values), names, per_row=True), two


def along_time(
    series: Series, start: Checkpoint | None, config: RunConfig, *, classes: bool
) -> tuple[Targets, list[TwoValued | None]]:
    """The label channel as 0 and 1: a row for each class, or one where the label has two values or any but 0 is true.

    Parameters
    ----------
    series : with the label channel of the settings, of numbers or of words as numbers.
    start : the checkpoint that the run starts from; None for a new model.
    config : names the channel.
    classes : whether its numbers are codes of classes, as words and a few codes without a 0 always are.

    Returns
    -------
    (Targets with values [K, total]; the text of the two values, [None] where any but 0 is true, [] for classes).

    Raises
    ------
    UsageError : there is no such channel.
    DataError : more classes than can be.
    CheckpointError : other classes, or values.
    """
    base = channel_target(series, config)
    column, name = base.values[0], base.names[0]
    words = series.label_words[0] if series.label_words and series.label_names == (name,) else ()
    if start is not None and len(start.outputs) > 1:
        return _on_steps(base, _classes(name, column, words, start)), []
    if start is not None:
        found = _kept(start.fitted.get("two_values"), 0)
        return _on_steps(base, _one(_true(name, column, words, found), start.outputs[0])), [found]
    texts = _codes(column, words, MOST_CLASSES if classes else MOST_CODES)
    if classes and not texts:
        what = f"label {name!r} holds decimals, or more than {MOST_CLASSES:,} different numbers"
        raise DataError(what, where="--bin-rule classes", hint="--task regress learns its value")
    if len(texts) > 2 and (words or classes or "0" not in texts):
        return _on_steps(base, _classes(name, column, words, None)), []
    found = _two_values(name, column, words) if len(texts) == 2 else None
    if len(texts) > 2 and "label_src_ch" in config.given:
        told = "label %r holds %s and is true where it is not 0; --bin-rule classes learns each as a class"
        log.info(told, name, listed(texts))
    return _on_steps(base, _one(_true(name, column, words, found), name)), [found]


def _one(values: np.ndarray, name: str) -> Targets:
    """One label of 0 and 1, values [n]."""
    return Targets(values[None], (name,), per_row=True)


def _on_steps(base: Targets, found: Targets) -> Targets:
    """Rows of 0 and 1 for each step [K, total] as targets along time, made up where the channel is."""
    filled = None if base.filled is None else np.repeat(base.filled, len(found.values), axis=0)
    return Targets(found.values, found.names, per_row=False, filled=filled)


def _codes(column: np.ndarray, words: Sequence[str], most: int) -> list[str]:
    """The values of a column as text where they are words or a few whole numbers, else []."""
    if words:
        return list(words)
    first = np.unique(column[: MOST_CODES**2])
    if len(first[~np.isnan(first)]) > most:
        return []
    kinds = np.unique(column[~np.isnan(column)])
    return [f"{value:.9g}" for value in kinds] if len(kinds) <= most and not (kinds % 1).any() else []


def listed(names: Iterable[str]) -> str:
    """Names for a message, the first of them."""
    every = list(names)
    return ", ".join(every[:SHOWN]) + (f" and {len(every) - SHOWN:,} more" if len(every) > SHOWN else "")


def _kinds(column: np.ndarray, words: Sequence[str], rows: int) -> int:
    """How many classes a column [N] holds; 0 for decimals. DataError for more whole numbers than classes can be."""
    if words:
        count = len(words)
    elif (column[~np.isnan(column)] % 1).any():
        return 0
    else:
        count = len(np.unique(column[~np.isnan(column)]))
    if count > max(min(rows // 2, MOST_CLASSES), 2):
        what = f"the label holds {count:,} different {'words' if words else 'whole numbers'} in {rows:,} rows"
        middle = f"--bin-rule gt --bin-thr {np.nanmedian(column):g} makes them true and false, or --task regress"
        raise DataError(f"{what}, too many for classes", where="labels", hint="" if words else middle)
    return count


def _texts(column: np.ndarray, words: Sequence[str]) -> list[str]:
    """The values of a column as text, in order."""
    return [words[int(value)] if words else f"{value:.9g}" for value in np.unique(column[~np.isnan(column)])]


def _classes(name: str, column: np.ndarray, words: Sequence[str], start: Checkpoint | None) -> Targets:
    """A row of 0 and 1 for each class of a column [N]: values [K, N]."""
    texts = _texts(column, words)
    classes = texts if start is None else start.outputs
    if set(texts) - set(classes):
        raise _other_names(f"classes of label {name!r}", classes, texts)
    kinds = np.unique(column[~np.isnan(column)])
    if start is None:
        log.info("label %r holds %d classes: %s", name, len(classes), listed(classes))
    values = np.zeros((len(classes), len(column)), np.float32)
    for text, kind in zip(texts, kinds, strict=True):
        values[classes.index(text)] = column == kind
    values[:, np.isnan(column)] = np.nan
    return Targets(values, tuple(classes), per_row=True)


def _two_values(name: str, column: np.ndarray, words: Sequence[str]) -> TwoValued | None:
    """Which of two values is true: the number that is not 0, the larger one, or the word that is no word for no."""
    texts = _texts(column, words)
    if len(texts) != 2 or (not words and (column[~np.isnan(column)] % 1).any()):
        return None
    false, true = texts
    if words and _is_no(true) and not _is_no(false):
        false, true = true, false
    if not words and float(true) == 0:
        false, true = true, false
    if (false, true) != ("0", "1"):
        log.info("label %r is true where it is %s, and false where it is %s", name, true, false)
    return TwoValued(false, true)


def _is_no(word: str) -> bool:
    """Whether a word says that nothing is the matter, or begins as such do: no failure, non-event."""
    plain = word.casefold()
    return f" {plain} " in _FALSE or plain.startswith(("no ", "no_", "not ", "non-"))


def _kept(two_values: Sequence[Sequence[str]] | None, k: int) -> TwoValued | None:
    return TwoValued(*two_values[k]) if two_values and two_values[k] else None


def _true(name: str, column: np.ndarray, words: Sequence[str], found: TwoValued | None) -> np.ndarray:
    """1 where a column [N] is true, else 0. CheckpointError for a value that the checkpoint does not know."""
    values = np.where(np.isnan(column), np.nan, np.zeros(len(column), np.float32)).astype(np.float32)
    if found is None:
        values[(column != 0) & ~np.isnan(column)] = 1
        return values
    texts = _texts(column, words)
    if set(texts) - {found.false, found.true}:
        raise _other_names(f"values of label {name!r}", (found.false, found.true), texts)
    kinds = np.unique(column[~np.isnan(column)])
    true = [value for value, text in zip(kinds, texts, strict=True) if text == found.true]
    values[np.isin(column, true)] = 1
    return values


def _other_names(what: str, wanted: Sequence[str], given: Sequence[str]) -> CheckpointError:
    lines = f"\n  the checkpoint has {listed(wanted)}\n  these data have {listed(given)}"
    hint = "labels are matched by name: rename them, or train on these"
    return CheckpointError(f"other {what} than the checkpoint's{lines}", where="labels", hint=hint)
