"""The names of folders and files as labels: walking/001.csv, subject01_running.csv, normal.csv."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from config import RunConfig
from data import Series
from errors import DataError
from readers.along import with_label
from readers.dialect import Dialect
from readers.guess import is_person, steps_named
from readers.paths import abridge, expand_paths
from readers.restarts import file_of
from readers.rows import file_names

FOLDER, FILENAME = "folder", "filename"  # what --label-src-ch takes, unless a column is called so
PLACES = (FOLDER, FILENAME)
SAID = {FOLDER: "folder", FILENAME: "word in the name"}
SPLITS = {"train", "training", "test", "testing", "val", "valid", "validation", "dev", "eval"}
MOST_ZERO = 0.1  # of a channel, with more of which "is it nonzero?" may be what is asked
HARDLY = 0.01  # of a channel, with fewer of which it is nonzero nearly everywhere
SLOWEST = 60_000_000_000  # ns: longer steps are those of weather or sales rather than of movements or machines
LEAST_FILES = 3  # of each class, from which on a file is one example; of fewer, its steps are
_DIGITS = re.compile(r"[\W_]*\d+[\W_]*")
_BREAK = re.compile(r"[\W_]+|(?<=[a-z])(?=[A-Z])")

log = logging.getLogger("tsrun")


def likely(config: RunConfig, series: Series) -> str:
    """`folder` or `filename` where these name classes and nothing else can be the label, told; "" where not.

    Parameters
    ----------
    config : names the files, and whether a flag says what the label is.
    series : read from them, with the first channel as the label.
    """
    asked = {"label_src_ch", "bin_rule", "bin_thr", "labels", "columns", "demo"} & config.given
    if asked or config.strict or not config.time_col or config.id_col or series.labels is not None or series.n_rows < 2:
        return ""
    zeros, clock = (series.values[0] == 0).mean(), series.clock
    if zeros > MOST_ZERO or (clock is not None and (clock.calendar or clock.step > SLOWEST)):
        return ""
    paths = expand_paths(config.csv)
    alone = zeros < HARDLY and clock is None  # the usual label has one class
    for place in PLACES:
        if words := classes_of(paths, place, alone=alone):
            kinds = abridge(sorted(set(words)))
            log.info("label: the %s of each file (%s); --label-src-ch names another", SAID[place], kinds)
            return place
    return ""


def classes_of(paths: Sequence[Path], place: str, *, alone: bool = False) -> list[str]:
    """The class of each file where each has several files, or with `alone` each has one; else [].

    Parameters
    ----------
    paths : the files.
    place : `folder` or `filename`.
    alone : whether names that are all different may be classes.
    """
    words = of_paths(paths, place)
    most = min(Counter(words).values(), default=0)
    return words if most > 1 or (alone and len(set(words)) == len(words)) else []


def of_paths(paths: Sequence[Path], place: str) -> list[str]:
    """The class of each file; [] where folders (or names) do not tell files apart, or in several ways.

    Parameters
    ----------
    paths : the files.
    place : `folder` or `filename`.
    """
    return _of_folders(paths) if place == FOLDER else _of_names([path.name.partition(".")[0] for path in paths])


def _of_folders(paths: Sequence[Path]) -> list[str]:
    """The only level of folders that differs and is no person, number, or part of a split."""
    folders = [path.parent.parts for path in paths]
    depth = min(map(len, folders))
    levels = [[parts[-depth + k] for parts in folders] for k in range(depth)]
    return _only(levels)


def _of_names(stems: Sequence[str]) -> list[str]:
    """The only word that differs in the names of files, or what is left of these without numbers."""
    words = [[word for word in _BREAK.split(_DIGITS.sub(" ", stem).strip()) if word] for stem in stems]
    if len({len(parts) for parts in words}) == 1 and words[0]:
        levels = [list(level) for level in zip(*words, strict=True)]
        return _only(levels) or _joined(levels)
    whole = [" ".join(parts) for parts in words]
    return whole if all(whole) and len(set(whole)) > 1 else []


def _joined(levels: Sequence[Sequence[str]]) -> list[str]:
    """Words that differ together: ball fault, inner race."""
    differing = [level for level in levels if _tells(level)]
    whole = [" ".join(parts) for parts in zip(*differing, strict=True)]
    counts = [len(set(level)) for level in differing]
    return whole if len(counts) > 1 and len(set(whole)) <= max(counts) else []


def _only(levels: Sequence[Sequence[str]]) -> list[str]:
    found = [level for level in levels if _tells(level)]
    return list(found[0]) if len(found) == 1 else []


def _tells(level: Sequence[str]) -> bool:
    """Whether words may be classes: there are several, which are no parts of a split, and not one word with numbers."""
    kinds = {word.casefold() for word in level}
    if len(kinds) < 2 or kinds <= SPLITS or any(map(is_person, kinds)):
        return False
    return not steps_named(sorted(kinds), Dialect())


def labelled(
    series: Series, config: RunConfig, place: str, known: Sequence[str] = (), steps: bool | None = None
) -> Series:
    """The series with the classes that its files' folders or names say.

    Of few files of a class each is a recording whose steps are told apart: the class is a channel along time. Else a
    file is one example.

    Parameters
    ----------
    series : a row each of the files of `config`.
    place : `folder` or `filename`.
    known : the words of a checkpoint, in order; () for a new model.
    steps : whether the class is a channel along time; None as the number of files says.

    Raises
    ------
    DataError : the names do not say one class for each file.
    """
    paths = expand_paths(config.csv)
    words = of_paths(paths, place)
    if not words or config.id_col:
        what = f"no one {SAID[place]} tells the files apart"
        hint = f"--labels FILE, with a line FILENAME,CLASS for each: {abridge(file_names(paths))}"
        raise DataError(what, where=f"--label-src-ch {place}", hint=hint)
    of = dict(zip(file_names(paths), words, strict=True))
    kinds = tuple(sorted(set(words))) if not known else tuple(known)
    at = {word: float(number) for number, word in enumerate(kinds)}
    codes = np.array([at.get(of.get(file_of(row, of), ""), np.nan) for row in series.rows], np.float32)
    if steps is None:
        steps = min(np.bincount(codes[~np.isnan(codes)].astype(int), minlength=len(kinds))) < LEAST_FILES
    if not steps:
        return replace(series, labels=codes[:, None], label_names=(place,), label_words=(kinds,))
    return with_label(series, place, np.repeat(codes, series.lengths), kinds)
