"""The column that labels are read from, by its name: of numbers or words, along time or one for each series."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from config import RunConfig
from data import Series
from errors import CheckpointError, DataError, listed, many
from readers.columns import NoColumn
from readers.dialect import Dialect
from readers.files import dialect_of, first_lines
from readers.fitting import MOST_LINES, rows_of
from readers.guess import LINE, has_names, is_class_word, is_id_word, steps_named
from readers.missing import HINT, fill
from readers.named_labels import label_among, named_as_labels
from readers.owned import is_owner_word
from readers.paths import expand_paths
from readers.spellings import one_spelling, plainly
from readers.things import IDS, is_letter, kinds_among
from readers.unlabelled import unlabelled
from sources import path_labels
from sources.reading import names_of, read, strict_on_gaps
from times.words import is_time, is_time_word


def read_labelled(
    config: RunConfig, columns: Sequence[str] | None, words: Sequence[str] = (), least: int = 0
) -> Series:
    """The user's data with a label of `--label-src-ch`; inference may lack it where the model does not see it.

    Parameters
    ----------
    config : the settings, whose `label_src_ch` is a channel's number, or a column's name.
    columns : the channels of a checkpoint, in order; None for those of the flags.
    words : those that the label's values 0, 1, ... stand for in that checkpoint; () for numbers.
    least : series of each class in the mean, of fewer of which none is an example: the steps of each are told apart.

    Returns
    -------
    The series. A column of words is the last channel of numbers, 0, 1, ... by its words, which are `label_words`. A
    column with one value in each of several series, or of `least` for each, is no channel, and gives their `labels`.

    Raises
    ------
    UsageError, DataError : as `sources.reading.read`; a label that has neither numbers nor words alone.
    CheckpointError : other words than the checkpoint's.
    """
    label = config.label_src_ch
    ids = config.id_col.split("+") if config.time_col else []
    if isinstance(label, str) and label in ids and len(ids) > 1:
        return _of_ids(read(config.read_as(label_src_ch=0), columns), label, ids.index(label), words)
    if (by_path := _of_paths(config, columns, words)) is not None:
        return by_path
    if columns is None:
        if not isinstance(label, str):
            return read(config)
        found = _read_named(config, label)
        return found if found.labels is not None else _coded(found, label, (), strict_on_gaps(config).nan, least)
    beside = isinstance(label, str)  # the checkpoint's labels are of whole series, and none of its channels
    name = str(label) if beside else columns[label] if isinstance(label, int) and label < len(columns) else ""
    free = beside or config.drop_label_from_x
    wanted = [*columns, name] if beside else columns
    coded = bool(words) and bool(config.time_col or config.db)  # a wide table has its labels apart
    categorical = (*config.categorical, name) if coded else config.categorical
    try:
        found = read(config.read_as(categorical=categorical), wanted)
    except NoColumn as error:
        others = [other for other in columns if other != name]
        if error.name == name and free and (by_step := _of_steps(config, others, name, words)) is not None:
            return by_step
        if error.name == name and not free and config.mode == "infer":
            error.hint += "; the label's past is an input of this model, unless it is trained with --drop-label-from-x"
        if config.mode != "infer" or error.name != name or not free:
            raise
        plain = config.read_as(label_src_ch=0) if beside else config
        found = read(plain, others)
        return replace(found, notes=(*found.notes, f"there is no column {name!r}, the label: predictions only"))
    if found.labels is not None and config.mode == "infer" and _too_short(found, config):  # there are no labels
        return read(config.read_as(label_src_ch=0), columns)
    if found.labels is not None or not (words or beside):
        return found
    return _coded(found, name, words, strict_on_gaps(config).nan, 0 if beside else found.n_rows)


def without_labels(config: RunConfig, columns: Sequence[str]) -> Series:
    """The data of inference of which the label's column is there and empty, told."""
    found = read(config.read_as(label_src_ch=0), columns)
    note = f"column {config.label_src_ch!r}, the label, is empty: predictions only"
    return replace(found, notes=(*found.notes, note))


def _of_ids(series: Series, name: str, at: int, known: Sequence[str]) -> Series:
    """The series with the part `at` of each row's id, which joins several columns, as its label."""
    words, codes = np.unique([row.split("/")[at] for row in series.rows], return_inverse=True)
    values, kinds = codes.astype(np.float32), tuple(map(str, words))
    if known:
        values, kinds = _among(values, kinds, known, name)
    note = f"label {name!r} has one value in each series: learned of whole series"
    return replace(
        series, labels=values[:, None], label_names=(name,), label_words=(kinds,), notes=(*series.notes, note)
    )


def _of_paths(config: RunConfig, columns: Sequence[str] | None, words: Sequence[str]) -> Series | None:
    """The data with the names of folders or files as labels; None where no label is called so, or a column is, and in
    inference where the names are no classes of the checkpoint."""
    label = config.label_src_ch
    along = columns is not None and isinstance(label, int) and label < len(columns)
    place = columns[label] if along and columns is not None and isinstance(label, int) else str(label)
    if place not in path_labels.PLACES or not config.time_col:
        return None
    paths = expand_paths(config.csv)
    if place in names_of(config, paths[:1]):
        return None
    if columns is not None and not (words and {*path_labels.of_paths(paths, place)} & {*words}):
        return None
    others = None if columns is None else [name for name in columns if name != place]
    found = read(config.read_as(label_src_ch=0), others)
    return path_labels.labelled(found, config, place, words, None if columns is None else along)


def _of_steps(config: RunConfig, others: Sequence[str], name: str, words: Sequence[str]) -> Series | None:
    """The data with a label for each step that --labels gives; None where it does not."""
    found = read(config, others) if config.labels else None
    if found is None or name not in found.channels:
        return None
    at, own = found.channels.index(name), found.label_words[0] if found.label_words else ()
    if words and own:
        values, own = _among(found.values[at], own, words, name)
        changed = found.values.copy()
        changed[at] = values
        found = replace(found, values=changed, label_words=(own,))
    return found


def _too_short(series: Series, config: RunConfig) -> bool:
    """Whether a step was taken for labels: without it rows are shorter than the checkpoint's context, or things lack a
    column that it knows by its place."""
    if series.things is not None:
        lost = {*filter(is_letter, config.categorical)} - {*series.things.columns}
        return config.label_src_ch in PLACES and bool(lost)
    return config.label_src_ch in PLACES and int(series.lengths.max()) + 1 == config.context_len


def _read_named(config: RunConfig, name: str) -> Series:
    """The data with a column of that name, of numbers or as a category."""
    if config.csv and not config.time_col:
        return read(config)
    missing = bool(config.columns) and name not in config.column_of
    asked = config.read_as(columns=(*config.columns, name)) if missing else config
    try:
        series = read(asked)
        return series if name in series.channels else read(asked.read_as(categorical=(*config.categorical, name)))
    except NoColumn as error:
        if error.name == name:
            error.where = f"--label-src-ch {name}"
        raise


log = logging.getLogger("tsrun")
LEAST, LOOKED_AT = 3, 40  # steps beside a column of labels; lines
LEAST_SERIES = path_labels.LEAST_FILES  # of each class in the mean, from which on a series is one example
MOST_NAMES = 50  # columns of lines of which more are looked at
PLACES = ("first", "last")  # of a column in a wide table without names


def _coded(series: Series, name: str, known: Sequence[str], policy: str, least: int = 0) -> Series:
    """The series with a label for each row where its column has one, and `least` rows for each of its values in the
    mean, else with a column of words as numbers."""
    if name not in series.channels:
        where = f"--label-src-ch {name}"
        raise DataError("no column of this name", where=where, hint=listed(series.columns))
    at = series.channels.index(name)
    words: tuple[str, ...] = ()
    values = series.values[at]
    if at >= series.numeric:
        codes = np.where(values < 0, np.nan, values)
        words, values, told = one_spelling(series.words[at - series.numeric], codes, name, known)
        values, words = _among(values, words, known, name) if known else (values, words)
        series = replace(series, notes=(*series.notes, *told))
    labels = one_each(values, series.offsets) if series.n_rows > 1 else None
    if labels is not None and series.n_rows >= least * len(np.unique(labels[~np.isnan(labels)])):
        note = f"label {name!r} has one value in each series: learned of whole series"
        series = _without(series, at)
        label_words = (words,) if words else ()
        return replace(
            series,
            labels=labels[:, None],
            label_names=(name,),
            label_words=label_words,
            notes=(*series.notes, note),
        )
    if not words:
        return series
    if policy == "error" and (lost := int(np.isnan(values).sum())):
        raise DataError(f"{many(lost, 'step')} without a label in column {name!r}", where="--csv", hint=HINT)
    if policy == "auto" and np.isnan(values).any():
        series, values = _without_gaps(series, at, values)
    return _as_number(series, at, values, words)


def _without_gaps(series: Series, at: int, codes: np.ndarray) -> tuple[Series, np.ndarray]:
    """What `--nan auto` makes of the steps without a label: the past of the label is an input."""
    lost = int(np.isnan(codes).sum())
    codes = codes.copy()
    done, made = fill(codes[None], series.offsets, "auto")
    filled = np.zeros(series.values.shape, bool) if series.filled is None else series.filled.copy()
    filled[at] |= False if made is None else made[0]
    note = f"{many(lost, 'step')} without a label in column {series.channels[at]!r}: {done}"
    return replace(series, filled=filled, notes=(*series.notes, note)), codes


def _among(
    values: np.ndarray, words: Sequence[str], known: Sequence[str], name: str
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Codes of words as those of a checkpoint's words, and these."""
    plain = {plainly(word): word for word in known}
    words = [word if word in known else plain.get(plainly(word), word) for word in words]
    if strange := [word for word in words if word not in known]:
        what = f"label {name!r} holds {listed(strange)}, which the checkpoint does not know: {listed(known)}"
        raise CheckpointError(what, where=f"--label-src-ch {name}")
    table = np.array([*(known.index(word) for word in words), np.nan])
    return table[np.nan_to_num(values, nan=len(words)).astype(int)].astype(values.dtype), tuple(known)


def is_of_rows(values: np.ndarray, offsets: np.ndarray) -> bool:
    """Whether a column [total] is the same all along each of several rows, and not in all of them."""
    return len(offsets) > 2 and one_each(values, offsets) is not None


def one_each(values: np.ndarray, offsets: np.ndarray) -> np.ndarray | None:
    """The one value of each row [N], NaN for a row without any; None where a row has several, or all have the same."""
    low, high = np.fmin.reduceat(values, offsets[:-1]), np.fmax.reduceat(values, offsets[:-1])
    once = bool(((low == high) | np.isnan(low)).all()) and len(np.unique(low[~np.isnan(low)])) > 1
    return low.astype(np.float32) if once else None


def _without(series: Series, at: int) -> Series:
    """A series without one of its channels."""
    return replace(
        series,
        values=np.delete(series.values, at, axis=0),
        channels=tuple(name for c, name in enumerate(series.channels) if c != at),
        filled=None if series.filled is None else np.delete(series.filled, at, axis=0),
        words=tuple(each for c, each in enumerate(series.words, start=series.numeric) if c != at),
        static=tuple(name for name in series.static if name != series.channels[at]),
    )


def without_owners(series: Series, config: RunConfig, label: int | str) -> Series:
    """The series without channels that say whose a file of lines is, told: the number of a person, the same all along
    each file, in a column without a name or one that is named so.

    Parameters
    ----------
    series : N rows. config : a number among its flags that counts the channels keeps them all. label : the label,
        which stays.
    """
    counted = isinstance(config.label_src_ch, int) and "label_src_ch" in config.given
    if config.time_col != LINE or series.n_rows == 1 or counted or config.columns or config.strict:
        return series
    for name in series.channels[: series.numeric]:
        if name == label:
            continue
        values = series.values[series.channels.index(name)]
        each = one_each(values, series.offsets) if name.isdecimal() or is_owner_word(name) else None
        if each is not None and series.n_channels > 2 and (each % 1 == 0).all():
            note = (
                f"column {name!r}, the same all along each series, says whose it is and is left out; --columns reads it"
            )
            series = replace(_without(series, series.channels.index(name)), notes=(*series.notes, note))
    return series


def _as_number(series: Series, at: int, values: np.ndarray, words: tuple[str, ...]) -> Series:
    """A series whose category `at` is its last channel of numbers."""
    rest = _without(series, at)
    last, name = rest.numeric, series.channels[at]
    filled = rest.filled
    if filled is not None and series.filled is not None:
        filled = np.insert(filled, last, series.filled[at], axis=0)
    return replace(
        rest,
        values=np.insert(rest.values, last, values, axis=0),
        channels=(*rest.channels[:last], name, *rest.channels[last:]),
        filled=filled,
        label_names=(name,),
        label_words=(words,),
    )


def _words_alone(names: Sequence[str], lines: Sequence[Sequence[str]], dialect: Dialect) -> str:
    """The last column of a wide table where it alone holds words, and is named as labels are: Activity; else ""."""
    columns = list(zip(*lines, strict=True))
    words = [all(map(dialect.is_text, column)) for column in columns]
    named = bool(names[-1]) and is_class_word(names[-1]) and not any(map(dialect.is_number, names))
    return names[-1] if named and words[-1] and not any(words[:-1]) and len(names) > LEAST else ""


def _beside_steps(names: Sequence[str], lines: Sequence[Sequence[str]], dialect: Dialect, path: Path) -> str:
    """The column at an end of a wide table whose name is unlike those of its steps, or which alone holds text, told; ""
    for none."""
    ids = len(names) > LEAST and is_id_word(names[0])
    firsts = [line[0].strip() for line in lines[1:]]
    places = [("last", names[-1], names[ids:-1])]
    if not ids and 2 * len(set(firsts)) <= len(firsts):  # else they are row ids
        places.append(("first", names[0], names[1:]))
    for place, name, others in places:
        plain = name and not dialect.is_number(name) and not is_time(name) and not is_time_word(name)
        if (
            not plain
            or len(others) < LEAST
            or not steps_named(others, dialect)
            or steps_named([*others, name], dialect)
        ):
            continue
        numbers = [number for other in others if (number := dialect.number(other)) is not None]
        if len(numbers) == len(others) and not all(a < b for a, b in pairwise(numbers)):  # the first line is data
            if not all(dialect.is_text(line[-1 if place == "last" else 0]) for line in lines):
                continue
            told = "label: the %s column of %s, which alone holds text; --label-src-ch names another"
            log.info(told, place, path)
            return place
        log.info("label: column %r of %s, named unlike the steps; --label-src-ch names another", name, path)
        return name
    return ""


def _named(names: Sequence[str], lines: Sequence[Sequence[str]], dialect: Dialect) -> str:
    """The column of a table of things, not of steps, that is named as labels are, where it is the only one; else "".

    Lines in no order show it, or words beside numbers, as steps of series never are.
    """
    if len(names) <= LEAST or any(map(dialect.is_number, names)) or steps_named(names[1:-1], dialect):
        return ""
    named = named_as_labels(names)
    kinds = kinds_among([names, *lines], dialect)
    if len(named) != 1 or not {names[at] for at, kind in kinds.items() if kind != IDS} - {*named}:
        return label_among(names, lines)
    return named[0]


def _is_of_ucr(path: Path, lines: Sequence[Sequence[str]], dialect: Dialect) -> bool:
    """Whether a table of numbers without names is called as the UCR archive's are, NAME_TRAIN.tsv, whose first column
    holds classes: few whole numbers, beside decimals."""
    if not path.stem.upper().endswith(("_TRAIN", "_TEST")):
        return False
    numbers = [[dialect.number(cell.strip()) for cell in line] for line in lines]
    if any(None in line for line in numbers) or len(lines[0]) <= LEAST:
        return False
    table = np.array(numbers, float)
    whole = (table % 1 == 0).all(axis=0)
    return bool(whole[0]) and not whole[1:].all() and 2 * len({*table[:, 0]}) <= len(table)


def _called(config: RunConfig) -> int | str:
    """The label that a flag names in a long table: a number that is the name of a column, as where there is no line of
    names, means that column, and is told."""
    label = config.label_src_ch
    if label in PLACES:
        return _at_place(config, str(label))
    if isinstance(label, int) and str(label) in names_of(config, expand_paths(config.csv)[:1]):
        log.info("label: the column called %d, not the channel of that number", label)
        return str(label)
    return label


def _at_place(config: RunConfig, place: str) -> str:
    """The name of the first or last column of a long table, unless a column is called so."""
    path = expand_paths(config.csv)[0]
    dialect = dialect_of(path, Dialect(config.sep, config.decimal))
    names = rows_of(first_lines(path)[0], dialect)[0]
    at = PLACES.index(place) * (len(names) - 1)
    return place if place in names else names[at] if has_names(names, dialect) else str(at + 1)


# ---- wide tables


def usual(config: RunConfig) -> int | str:
    """The label of the settings; of a wide table the column at one of its ends that is no step, where none is named.

    Such a column has a name unlike those of the steps, or text in place of a number; it is told.

    Parameters
    ----------
    config : names the files.
    """
    if config.csv and config.time_col and "label_src_ch" in config.given:
        return _called(config)
    elsewhere = bool(config.labels or config.time_col or config.db or config.npz or not config.csv)
    if "label_src_ch" in config.given or elsewhere or config.strict:
        return config.label_src_ch
    path, *more = expand_paths(config.csv)
    if config.categorical and more:  # some of them are files of words
        return config.label_src_ch
    dialect = dialect_of(path, Dialect(config.sep, config.decimal))
    some = first_lines(path)[0][: MOST_LINES + 1]
    lines = dialect.split(some if some and some[0].count(dialect.sep) < MOST_NAMES else some[:LOOKED_AT], path)
    lines = lines[:-1] if lines and len(lines[-1]) < len(lines[0]) else lines  # one that ends early is left out
    if len({len(line) for line in lines}) > 1:  # without titles and remarks
        lines = rows_of(some, dialect) if some[0].count(dialect.sep) < MOST_NAMES else []
    if len(lines) <= LEAST or len({len(line) for line in lines}) > 1:
        return config.label_src_ch
    names = [cell.strip() for cell in lines[0]]
    if place := _beside_steps(names, lines, dialect, path):
        return place
    if name := _named(names, lines[1:], dialect):
        log.info("label: column %r of %s, by its name; --label-src-ch names another", name, path)
        return name
    if name := _words_alone(names, lines[1:], dialect):
        log.info("label: column %r of %s, which alone holds text; --label-src-ch names another", name, path)
        return name
    if _is_of_ucr(path, lines, dialect):
        log.info("label: the first column of %s, as in the UCR archive; --label-src-ch names another", path)
        return "first"
    of_steps = more or {"header", "index", "bin_rule", "bin_thr", "label_offset", "context_len"} & config.given
    if not of_steps and (error := unlabelled(path, lines, dialect)):
        raise error
    return config.label_src_ch
